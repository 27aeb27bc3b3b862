/*
 * Changes addresses as fast as told.
 *
 *     storm INTERFACE ADDRESSES RATE SECONDS
 *
 * Adds and removes the addresses 172.16.0.0, 172.16.0.1, ... /32 round after round, RATE changes a second (0: as many as
 * the kernel does); ends with the lower half of them there.  Prints the number of changes, and the monotonic time of begin and end.
 */
#include "common.h"

#define PIECE 50

static struct mnl_socket *requests;
static char buffer[PIECE * 64];
static size_t filled, pieces;

static void flush(void)
{
	if (filled > 0 && mnl_socket_sendto(requests, buffer, filled) < 0)
		fail("rtnetlink");
	filled = pieces = 0;
}

static void change(int type, int index, uint32_t number)
{
	filled += put_address(buffer + filled, type, index, htonl(0xac100000 + number), 32);
	if (++pieces == PIECE)
		flush();
}

static void keep_pace(double begin, double rate, uint64_t done)
{
	double ahead = rate > 0 ? begin + done / rate - now() : 0;

	if (ahead > 0)
		usleep(ahead * 1e6);
}

int main(int count, char **arguments)
{
	int index = if_nametoindex(arguments[1]), addresses = atoi(arguments[2]), i;
	double rate = atof(arguments[3]), seconds = atof(arguments[count - 1]), begin;
	uint64_t done = 0;

	requests = open_netlink(NETLINK_ROUTE, 0);
	begin = now();
	while (now() < begin + seconds) {
		for (i = 0; i < addresses; i++, done++) {
			change(RTM_NEWADDR, index, i);
			if (done % PIECE == 0)
				keep_pace(begin, rate, done);
		}
		for (i = 0; i < addresses; i++, done++) {
			change(RTM_DELADDR, index, i);
			if (done % PIECE == 0)
				keep_pace(begin, rate, done);
		}
	}
	for (i = 0; i < addresses / 2; i++, done++)
		change(RTM_NEWADDR, index, i);
	flush();
	printf("%llu %.6f %.6f\n", (unsigned long long)done, begin, now());
	return 0;
}
