/*
 * The smallest program that follows addresses with a set: one event, one transaction, and no more.
 *
 *     follow FAMILY TABLE SET INTERFACE
 *
 * Says "ready" once it listens.
 */
#include "common.h"

int main(int count, char **arguments)
{
	struct transaction transaction = { arguments[1], arguments[2], arguments[3], NULL, 1 };
	struct mnl_socket *events = open_netlink(NETLINK_ROUTE, RTMGRP_IPV4_IFADDR), *sets = open_netlink(NETLINK_NETFILTER, 0);
	unsigned int index = if_nametoindex(arguments[count - 1]);
	static char buffer[BUFFER];
	struct nlmsghdr *message;
	uint32_t key;
	int size;

	puts("ready");
	fflush(stdout);
	while ((size = mnl_socket_recvfrom(events, buffer, sizeof(buffer))) > 0) {
		for (message = (void *)buffer; mnl_nlmsg_ok(message, size); message = mnl_nlmsg_next(message, &size)) {
			key = local_address(message);
			if (key == 0 || ((struct ifaddrmsg *)mnl_nlmsg_get_payload(message))->ifa_index != index)
				continue;
			begin(&transaction);
			put_elements(&transaction, message->nlmsg_type == RTM_NEWADDR ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, &key, 1);
			commit(&transaction, sets);
		}
	}
	fail("events");
}
