/*
 * How long it takes from a change of an address to the transaction that follows it.
 *
 *     probe INTERFACE ADDRESS TIMES PAUSE [LENGTH]
 *
 * Adds and removes ADDRESS/LENGTH (32) in turns, TIMES in all, PAUSE microseconds apart, and after each waits for the next transaction
 * of anybody.  Prints the microseconds of each, from before the request is sent to after the notification is received.
 */
#include "common.h"

static void await(struct mnl_socket *watch)
{
	struct pollfd waiting = { mnl_socket_get_fd(watch), POLLIN, 0 };
	char buffer[8192];

	if (poll(&waiting, 1, 10000) != 1) {
		errno = ETIMEDOUT;
		fail("no transaction follows");
	}
	if (mnl_socket_recvfrom(watch, buffer, sizeof(buffer)) < 0)
		fail("nf_tables group");
}

int main(int count, char **arguments)
{
	struct mnl_socket *requests = open_netlink(NETLINK_ROUTE, 0), *watch = open_watch();
	int index = if_nametoindex(arguments[1]), i;
	uint32_t address;
	char buffer[256];
	double start;
	size_t size;

	if (count < 5 || index == 0 || inet_pton(AF_INET, arguments[2], &address) != 1)
		fail("arguments");
	for (i = 0; i < atoi(arguments[3]); i++) {
		usleep(atoi(arguments[4]));
		size = put_address(buffer, i % 2 ? RTM_DELADDR : RTM_NEWADDR, index, address,
				   count > 5 ? atoi(arguments[5]) : 32);
		start = now();
		if (mnl_socket_sendto(requests, buffer, size) < 0)
			fail("rtnetlink");
		await(watch);
		printf("%.1f\n", (now() - start) * 1e6);
	}
	return 0;
}
