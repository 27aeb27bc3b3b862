/*
 * See rtcodec.h.
 *
 * Buffers need not be aligned: headers are copied out of them.  Each length is checked against what holds it, and lengths count their
 * header but not the padding behind, which may be missing at the very end.
 */
#include "rtcodec.h"

#include <stdbool.h>
#include <string.h>

#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

struct address {
	uint32_t ifindex, flags;
	uint8_t prefixlen;
	size_t width;
	const uint8_t *local, *peer;
};

/* The attribute's value if it is as long as it must be, else NULL. */
static const uint8_t *value_of(const uint8_t *attribute, size_t length, size_t wanted)
{
	return length == NLA_HDRLEN + wanted ? attribute + NLA_HDRLEN : NULL;
}

static bool read_attributes(const uint8_t *at, size_t left, struct address *address)
{
	const uint8_t *ifa_address = NULL, *ifa_local = NULL, *ifa_flags = NULL;
	bool has_address = false, has_local = false, has_flags = false;
	struct nlattr header;
	size_t padded;

	while (left > 0) {
		if (left < sizeof(header))
			return false;
		memcpy(&header, at, sizeof(header));
		if (header.nla_len < NLA_HDRLEN || header.nla_len > left)
			return false;
		switch (header.nla_type & NLA_TYPE_MASK) {
		case IFA_ADDRESS:
			has_address = true;
			ifa_address = value_of(at, header.nla_len, address->width);
			break;
		case IFA_LOCAL:
			has_local = true;
			ifa_local = value_of(at, header.nla_len, address->width);
			break;
		case IFA_FLAGS:
			has_flags = true;
			ifa_flags = value_of(at, header.nla_len, sizeof(address->flags));
			break;
		}
		padded = NLA_ALIGN(header.nla_len);
		at += padded < left ? padded : left;
		left -= padded < left ? padded : left;
	}
	address->local = has_local ? ifa_local : ifa_address;
	address->peer = has_address ? ifa_address : ifa_local;
	if (has_flags && ifa_flags != NULL)
		memcpy(&address->flags, ifa_flags, sizeof(address->flags));
	return address->local != NULL && address->peer != NULL && (!has_flags || ifa_flags != NULL);
}

/* 1: an address was read; 0: it is of another family; negative: refused. */
static int read_address(const uint8_t *body, size_t length, struct address *address)
{
	struct ifaddrmsg header;

	if (length < sizeof(header))
		return RTCODEC_REFUSED;
	memcpy(&header, body, sizeof(header));
	if (header.ifa_family != AF_INET && header.ifa_family != AF_INET6)
		return 0;
	address->width = header.ifa_family == AF_INET ? 4 : 16;
	address->ifindex = header.ifa_index;
	address->flags = header.ifa_flags;
	address->prefixlen = header.ifa_prefixlen;
	if (header.ifa_prefixlen > address->width * 8 || !read_attributes(body + sizeof(header), length - sizeof(header), address))
		return RTCODEC_REFUSED;
	return 1;
}

/* Such an address takes more to tell than flags. */
static bool is_ipv6_with_peer(const struct address *address)
{
	return address->width == 16 && memcmp(address->local, address->peer, address->width) != 0;
}

/* The peer of an IPv6 address is no part of what makes it the same address: see rtnetlink.py. */
static uint8_t *put_identity(uint8_t *identity, const struct address *address)
{
	memcpy(identity, address->local, address->width);
	memcpy(identity + address->width, address->width == 16 ? address->local : address->peer, address->width);
	identity[2 * address->width] = address->prefixlen;
	return identity + 2 * address->width + 1;
}

static void count(struct rtcodec_run *runs, struct rtcodec_found *found, const struct address *address)
{
	struct rtcodec_run *last = found->runs > 0 ? &runs[found->runs - 1] : NULL;
	uint32_t length = 2 * address->width + 1;

	if (last != NULL && last->ifindex == address->ifindex && last->identity_length == length)
		last->count++;
	else
		runs[found->runs++] = (struct rtcodec_run){ address->ifindex, length, 1 };
}

int64_t rtcodec_addresses(const uint8_t *buffer, size_t length, size_t room, uint8_t *identities, int64_t *flags,
			  struct rtcodec_run *runs, struct rtcodec_found *found)
{
	struct nlmsghdr header;
	struct address address;
	size_t at = 0;
	int read;

	*found = (struct rtcodec_found){ 0, 0 };
	while (at < length && room > 0) {
		if (length - at < sizeof(header))
			return RTCODEC_REFUSED;
		memcpy(&header, buffer + at, sizeof(header));
		if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > length - at)
			return RTCODEC_REFUSED;
		if (header.nlmsg_type != RTM_NEWADDR && header.nlmsg_type != RTM_DELADDR)
			break;
		read = read_address(buffer + at + sizeof(header), header.nlmsg_len - sizeof(header), &address);
		if (read < 0)
			return RTCODEC_REFUSED;
		if (read > 0 && header.nlmsg_type == RTM_NEWADDR && is_ipv6_with_peer(&address))
			break;
		if (read > 0) {
			identities = put_identity(identities, &address);
			*flags++ = header.nlmsg_type == RTM_NEWADDR ? (int64_t)address.flags : RTCODEC_GONE;
			count(runs, found, &address);
			room--;
		}
		found->message_flags |= header.nlmsg_flags;
		at += NLMSG_ALIGN(header.nlmsg_len);
	}
	return at < length ? (int64_t)at : (int64_t)length;
}

int rtcodec_one(const uint8_t *buffer, size_t length, struct rtcodec_address *found)
{
	struct nlmsghdr header;
	struct address address;
	bool is_new;

	if (length < sizeof(header))
		return 0;
	memcpy(&header, buffer, sizeof(header));
	is_new = header.nlmsg_type == RTM_NEWADDR;
	if (header.nlmsg_len != length || (!is_new && header.nlmsg_type != RTM_DELADDR) ||
	    read_address(buffer + sizeof(header), length - sizeof(header), &address) <= 0 || (is_new && is_ipv6_with_peer(&address)))
		return 0;
	found->flags = is_new ? (int64_t)address.flags : RTCODEC_GONE;
	found->ifindex = address.ifindex;
	found->length = put_identity(found->identity, &address) - found->identity;
	return 1;
}
