/*
 * How long it takes from a change of an address to the transaction that follows it.
 *
 *     probe INTERFACE ADDRESS TIMES PAUSE [LENGTH [NAME]]
 *
 * Adds and removes ADDRESS/LENGTH (32) in turns, TIMES in all, PAUSE microseconds apart, and after each waits for the next transaction
 * of anybody, or of a process with that name.  Prints the microseconds of each, from before the request is sent to after the notification is received.
 */
#include "common.h"

/* Whether the kernel says that a process of this name has committed; any will do without a name. */
static int is_by(const struct nlmsghdr *message, const char *name)
{
	const struct nlattr *attribute;

	mnl_attr_for_each(attribute, message, sizeof(struct nfgenmsg))
		if (name != NULL && mnl_attr_get_type(attribute) == NFTA_GEN_PROC_NAME)
			return strcmp(mnl_attr_get_str(attribute), name) == 0;
	return name == NULL;
}

static void await(struct mnl_socket *watch, const char *name)
{
	struct pollfd waiting = { mnl_socket_get_fd(watch), POLLIN, 0 };
	char buffer[8192];

	do {
		if (poll(&waiting, 1, 10000) != 1) {
			errno = ETIMEDOUT;
			fail("no transaction follows");
		}
		if (mnl_socket_recvfrom(watch, buffer, sizeof(buffer)) < 0)
			fail("nf_tables group");
	} while (!is_by((void *)buffer, name));
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
		await(watch, count > 6 ? arguments[6] : NULL);
		printf("%.1f\n", (now() - start) * 1e6);
	}
	return 0;
}
