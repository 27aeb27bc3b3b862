/*
 * The floor of a repair: whenever somebody else commits anything, COUNT elements are committed again, without a look.
 *
 *     refill FAMILY TABLE SET COUNT
 *
 * Says "ready" once it listens.
 */
#include "common.h"

int main(int count, char **arguments)
{
	struct transaction transaction = { arguments[1], arguments[2], arguments[3], NULL, 1 };
	struct mnl_socket *sets = open_netlink(NETLINK_NETFILTER, 0), *watch = open_watch();
	size_t elements = atol(arguments[count - 1]), i;
	uint32_t *keys = calloc(elements, sizeof(*keys));
	char buffer[8192];

	for (i = 0; i < elements; i++)
		keys[i] = htonl(0x0a000000 + i);
	puts("ready");
	fflush(stdout);
	while (mnl_socket_recvfrom(watch, buffer, sizeof(buffer)) > 0) {
		if (((struct nlmsghdr *)buffer)->nlmsg_pid == mnl_socket_get_portid(sets))
			continue;
		begin(&transaction);
		put_elements(&transaction, NFT_MSG_NEWSETELEM, keys, elements);
		commit(&transaction, sets);
	}
	fail("nf_tables group");
}
