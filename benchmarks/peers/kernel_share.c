/*
 * The kernel's share of a start: dump all IPv4 addresses, commit them as elements of one set.
 *
 *     kernel_share FAMILY TABLE SET [COUNT | networks]
 *
 * With COUNT there is no dump, and so many made-up addresses are committed; with "networks" the networks of the addresses, as ranges.
 * Prints microseconds: in the kernel for the dump, in the kernel for the commit, from begin to end; then the number of elements.
 */
#include "common.h"

static uint32_t *keys;
static struct range *networks;
static size_t used, room;

static void take(uint32_t key, int length)
{
	uint32_t host = length < 32 ? UINT32_MAX >> length : 0;

	if (used == room) {
		room = room * 2 + 1024;
		keys = realloc(keys, room * sizeof(*keys));
		networks = realloc(networks, room * sizeof(*networks));
	}
	keys[used] = key;
	networks[used].first = ntohl(key) & ~host;
	networks[used++].last = ntohl(key) | host;
}

/* Returns the seconds spent in send and recv. */
static double dump(void)
{
	struct mnl_socket *socket = open_netlink(NETLINK_ROUTE, 0);
	char *buffer = malloc(BUFFER);
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	double start, spent;
	int size;

	message->nlmsg_type = RTM_GETADDR;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(message, sizeof(struct ifaddrmsg));
	start = now();
	mnl_socket_sendto(socket, message, message->nlmsg_len);
	spent = now() - start;
	for (;;) {
		start = now();
		size = mnl_socket_recvfrom(socket, buffer, BUFFER);
		spent += now() - start;
		if (size < 0)
			fail("dump");
		for (message = (void *)buffer; mnl_nlmsg_ok(message, size); message = mnl_nlmsg_next(message, &size)) {
			if (message->nlmsg_type == NLMSG_DONE)
				return spent;
			if (local_address(message) != 0)
				take(local_address(message), ((struct ifaddrmsg *)mnl_nlmsg_get_payload(message))->ifa_prefixlen);
		}
	}
}

int main(int count, char **arguments)
{
	struct transaction transaction = { arguments[1], arguments[2], arguments[3], NULL, 1 };
	struct mnl_socket *socket = open_netlink(NETLINK_NETFILTER, 0);
	bool ranges = count > 4 && strcmp(arguments[4], "networks") == 0;
	double start = now(), dumped = 0, committed;
	long made_up;

	if (count < 5 || ranges)
		dumped = dump();
	else
		for (made_up = 0; made_up < atol(arguments[4]); made_up++)
			take(htonl(0x0a000000 + made_up), 32);
	begin(&transaction);
	if (ranges)
		put_ranges(&transaction, NFT_MSG_NEWSETELEM, networks, used);
	else
		put_elements(&transaction, NFT_MSG_NEWSETELEM, keys, used);
	committed = commit(&transaction, socket);
	printf("%.1f %.1f %.1f %zu\n", dumped * 1e6, committed * 1e6, (now() - start) * 1e6, used);
	return 0;
}
