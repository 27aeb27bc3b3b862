/*
 * The kernel's share of a start: dump all IPv4 addresses, commit them as elements of one set.
 *
 *     kernel_share FAMILY TABLE SET [COUNT]
 *
 * With COUNT there is no dump, and so many made-up addresses are committed.  Prints microseconds: in the kernel for the dump, in
 * the kernel for the commit, from begin to end; then the number of elements.
 */
#include "common.h"

static uint32_t *keys;
static size_t used, room;

static void take(uint32_t key)
{
	if (used == room)
		keys = realloc(keys, (room = room * 2 + 1024) * sizeof(*keys));
	keys[used++] = key;
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
				take(local_address(message));
		}
	}
}

int main(int count, char **arguments)
{
	struct transaction transaction = { arguments[1], arguments[2], arguments[3], NULL, 1 };
	struct mnl_socket *socket = open_netlink(NETLINK_NETFILTER, 0);
	double start = now(), dumped = 0, committed;
	long made_up;

	if (count < 5)
		dumped = dump();
	else
		for (made_up = 0; made_up < atol(arguments[4]); made_up++)
			take(htonl(0x0a000000 + made_up));
	begin(&transaction);
	put_elements(&transaction, NFT_MSG_NEWSETELEM, keys, used);
	committed = commit(&transaction, socket);
	printf("%.1f %.1f %.1f %zu\n", dumped * 1e6, committed * 1e6, (now() - start) * 1e6, used);
	return 0;
}
