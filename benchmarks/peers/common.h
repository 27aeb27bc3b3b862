/*
 * What the C programs here share: the clock, netlink sockets, and transactions of IPv4 elements, by libmnl and libnftnl.
 *
 * They are yardsticks and not examples: no error is survived, and nothing is read again when the kernel says that something was lost.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_addr.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <libnftnl/batch.h>
#include <libnftnl/common.h>
#include <libnftnl/set.h>

#define BUFFER (256 << 10)
#define EACH_MESSAGE 65536

static inline void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static inline double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static inline struct mnl_socket *open_netlink(int bus, unsigned int groups)
{
	struct mnl_socket *socket = mnl_socket_open(bus);
	int size = 64 << 20;

	if (socket == NULL || mnl_socket_bind(socket, groups, MNL_SOCKET_AUTOPID) < 0)
		fail("netlink");
	setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return socket;
}

/* A subscriber to nf_tables that gets one message for each transaction, NFT_MSG_NEWGEN. */
static inline struct mnl_socket *open_watch(void)
{
	struct mnl_socket *socket = open_netlink(NETLINK_NETFILTER, 0);
	uint16_t wanted = htons(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN);
	struct sock_filter steps[] = {
		{ 0x28, 0, 0, 4 }, { 0x15, 0, 1, wanted }, { 0x06, 0, 0, UINT32_MAX }, { 0x06, 0, 0, 0 },
	};
	struct sock_fprog program = { 4, steps };
	int group = NFNLGRP_NFTABLES;

	if (setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ||
	    mnl_socket_setsockopt(socket, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		fail("nf_tables group");
	return socket;
}

/* A transaction on one set under construction. */
struct transaction {
	const char *family, *table, *set;
	struct nftnl_batch *batch;
	uint32_t seq;
};

static inline int family_number(const char *family)
{
	return strcmp(family, "inet") == 0 ? NFPROTO_INET : NFPROTO_IPV4;
}

static inline struct nlmsghdr *next_message(struct transaction *transaction, int type, int flags)
{
	return nftnl_nlmsg_build_hdr(nftnl_batch_buffer(transaction->batch), type, family_number(transaction->family), flags,
				     transaction->seq++);
}

static inline void begin(struct transaction *transaction)
{
	transaction->batch = nftnl_batch_alloc(EACH_MESSAGE * 2, EACH_MESSAGE);
	nftnl_batch_begin(nftnl_batch_buffer(transaction->batch), transaction->seq++);
	nftnl_batch_update(transaction->batch);
}

static inline void put_element(struct nftnl_set *set, uint32_t key, int type, uint32_t flags)
{
	static const char comment[] = "\0\7netmgr";
	struct nftnl_set_elem *element = nftnl_set_elem_alloc();

	nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, &key, sizeof(key));
	if (flags != 0)
		nftnl_set_elem_set_u32(element, NFTNL_SET_ELEM_FLAGS, flags);
	else if (type == NFT_MSG_NEWSETELEM)
		nftnl_set_elem_set(element, NFTNL_SET_ELEM_USERDATA, comment, sizeof(comment));
	nftnl_set_elem_add(set, element);
}

static inline struct nftnl_set *set_of(const struct transaction *transaction)
{
	struct nftnl_set *set = nftnl_set_alloc();

	nftnl_set_set_str(set, NFTNL_SET_TABLE, transaction->table);
	nftnl_set_set_str(set, NFTNL_SET_NAME, transaction->set);
	return set;
}

static inline void put_set(struct transaction *transaction, int type, struct nftnl_set *set)
{
	struct nftnl_set_elems_iter *iterator = nftnl_set_elems_iter_create(set);
	int more;

	do {
		more = nftnl_set_elems_nlmsg_build_payload_iter(next_message(transaction, type, NLM_F_CREATE), iterator);
		nftnl_batch_update(transaction->batch);
	} while (more > 0);
	nftnl_set_elems_iter_destroy(iterator);
	nftnl_set_free(set);
}

/* Adds (NFT_MSG_NEWSETELEM) or deletes (NFT_MSG_DELSETELEM) these keys, with netmgr's comment. */
static inline void put_elements(struct transaction *transaction, int type, const uint32_t *keys, size_t count)
{
	struct nftnl_set *set = set_of(transaction);
	size_t i;

	for (i = 0; i < count; i++)
		put_element(set, keys[i], type, 0);
	put_set(transaction, type, set);
}

/* First and last key of a range, in the host's byte order. */
struct range {
	uint32_t first, last;
};

/* The same with ranges, none of which reaches the highest key. */
static inline void put_ranges(struct transaction *transaction, int type, const struct range *ranges, size_t count)
{
	struct nftnl_set *set = set_of(transaction);
	size_t i;

	for (i = 0; i < count; i++) {
		put_element(set, htonl(ranges[i].first), type, 0);
		put_element(set, htonl(ranges[i].last + 1), type, NFT_SET_ELEM_INTERVAL_END);
	}
	put_set(transaction, type, set);
}

/* Sends; returns the seconds that the kernel took.  Ends the program when the kernel refuses. */
static inline double commit(struct transaction *transaction, struct mnl_socket *socket)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	int pieces = nftnl_batch_iovec_len(transaction->batch) + 1;
	struct iovec *vector = calloc(pieces, sizeof(*vector));
	struct msghdr message = { .msg_name = &kernel, .msg_namelen = sizeof(kernel), .msg_iov = vector };
	char answer[8192];
	double start;
	ssize_t size;

	nftnl_batch_end(nftnl_batch_buffer(transaction->batch), transaction->seq++);
	nftnl_batch_update(transaction->batch);
	nftnl_batch_iovec(transaction->batch, vector, pieces);
	message.msg_iovlen = nftnl_batch_iovec_len(transaction->batch);
	start = now();
	if (sendmsg(mnl_socket_get_fd(socket), &message, 0) < 0)
		fail("nf_tables");
	start = now() - start;
	while ((size = recv(mnl_socket_get_fd(socket), answer, sizeof(answer), MSG_DONTWAIT)) > 0) {
		struct nlmsghdr *reply = (struct nlmsghdr *)answer;

		if (reply->nlmsg_type == NLMSG_ERROR && (errno = -((struct nlmsgerr *)mnl_nlmsg_get_payload(reply))->error) != 0)
			fail("nf_tables refuses");
	}
	nftnl_batch_free(transaction->batch);
	free(vector);
	return start;
}

/* The IPv4 address in a message about an address, 0 when there is none. */
static inline uint32_t local_address(const struct nlmsghdr *message)
{
	const struct ifaddrmsg *body = mnl_nlmsg_get_payload(message);
	const struct nlattr *attribute;

	if (body->ifa_family == AF_INET)
		mnl_attr_for_each(attribute, message, sizeof(*body))
			if (mnl_attr_get_type(attribute) == IFA_LOCAL)
				return mnl_attr_get_u32(attribute);
	return 0;
}

/* Writes a request to add (RTM_NEWADDR) or delete (RTM_DELADDR) ADDRESS/LENGTH, without a route to it; returns its length. */
static inline size_t put_address(void *buffer, int type, int index, uint32_t address, int length)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct ifaddrmsg *body = mnl_nlmsg_put_extra_header(message, sizeof(*body));

	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | (type == RTM_NEWADDR ? NLM_F_CREATE : 0);
	body->ifa_family = AF_INET;
	body->ifa_prefixlen = length;
	body->ifa_index = index;
	mnl_attr_put_u32(message, IFA_LOCAL, address);
	if (length < 32)
		mnl_attr_put_u32(message, IFA_FLAGS, IFA_F_NOPREFIXROUTE);
	return message->nlmsg_len;
}
