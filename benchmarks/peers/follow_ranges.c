/*
 * The smallest program that follows addresses with a set of ranges: one event, one transaction, which is known beforehand.
 *
 *     follow_ranges FAMILY TABLE SET INTERFACE -FIRST-LAST... +FIRST-LAST...
 *
 * An address that comes takes out the ranges with a minus and puts in those with a plus; one that goes, the other way round.  Says
 * "ready" once it listens.
 */
#include "common.h"

#define RANGES_AT_MOST 16

static struct range before[RANGES_AT_MOST], after[RANGES_AT_MOST];
static size_t count_before, count_after;

static uint32_t parse(const char *text)
{
	struct in_addr address;

	if (inet_pton(AF_INET, text, &address) != 1)
		fail(text);
	return ntohl(address.s_addr);
}

static void take(char *argument)
{
	struct range *range = *argument == '-' ? &before[count_before++] : &after[count_after++];
	char *middle = strchr(argument + 1, '-');

	*middle = '\0';
	range->first = parse(argument + 1);
	range->last = parse(middle + 1);
}

static void exchange(struct transaction *transaction, struct mnl_socket *sets, const struct range *old, size_t olds,
		     const struct range *new, size_t news)
{
	begin(transaction);
	if (olds > 0)
		put_ranges(transaction, NFT_MSG_DELSETELEM, old, olds);
	if (news > 0)
		put_ranges(transaction, NFT_MSG_NEWSETELEM, new, news);
	commit(transaction, sets);
}

int main(int count, char **arguments)
{
	struct transaction transaction = { arguments[1], arguments[2], arguments[3], NULL, 1 };
	struct mnl_socket *events = open_netlink(NETLINK_ROUTE, RTMGRP_IPV4_IFADDR), *sets = open_netlink(NETLINK_NETFILTER, 0);
	unsigned int index = if_nametoindex(arguments[4]);
	static char buffer[BUFFER];
	struct nlmsghdr *message;
	int size, i;

	for (i = 5; i < count && i < 5 + RANGES_AT_MOST; i++)
		take(arguments[i]);
	puts("ready");
	fflush(stdout);
	while ((size = mnl_socket_recvfrom(events, buffer, sizeof(buffer))) > 0) {
		for (message = (void *)buffer; mnl_nlmsg_ok(message, size); message = mnl_nlmsg_next(message, &size)) {
			if (local_address(message) == 0 || ((struct ifaddrmsg *)mnl_nlmsg_get_payload(message))->ifa_index != index)
				continue;
			if (message->nlmsg_type == RTM_NEWADDR)
				exchange(&transaction, sets, before, count_before, after, count_after);
			else
				exchange(&transaction, sets, after, count_after, before, count_before);
		}
	}
	fail("events");
}
