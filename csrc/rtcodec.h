/*
 * rtcodec: rtnetlink's messages about addresses, very many at a time.
 *
 * Read by the compiler and, without the lines that begin with #, by cffi.  What it makes of a message is what netmgr/rtnetlink.py makes
 * of it, one by one and in plain words; tests hold them equal.  No function keeps anything, allocates anything or touches a descriptor.
 */
#ifndef RTCODEC_H
#define RTCODEC_H

#include <stddef.h>
#include <stdint.h>

enum {
	RTCODEC_REFUSED = -1,		/* a length lies, or an address makes no sense */
	RTCODEC_GONE = -1,		/* instead of flags: the address was deleted */
	RTCODEC_IDENTITY_MAX = 33,	/* the longest identity */
};

/* So many addresses in a row are on the same link and have identities of the same length. */
struct rtcodec_run {
	uint32_t ifindex, identity_length, count;
};

struct rtcodec_found {
	uint32_t runs;
	uint32_t message_flags;		/* the nlmsg_flags of all messages that were read, together */
};

/*
 * Reads messages up to the first that is neither RTM_NEWADDR nor RTM_DELADDR, or that is the RTM_NEWADDR of an IPv6 address with a peer, or
 * up to `room` addresses; returns the bytes read.
 * An identity is local address + peer + prefix length, 9 or 33 bytes; they follow each other without gaps.  There must be room for
 * `room` of the longest identities, `room` flags and `room` runs.  Families other than IPv4 and IPv6 are passed over.
 */
int64_t rtcodec_addresses(const uint8_t *buffer, size_t length, size_t room, uint8_t *identities, int64_t *flags,
			  struct rtcodec_run *runs, struct rtcodec_found *found);

/* One address: its flags, or RTCODEC_GONE, its link, and how long its identity is. */
struct rtcodec_address {
	int64_t flags;
	uint32_t ifindex;
	uint8_t length;
	uint8_t identity[33];
};

/* Whether this is one message about one address, and no more; then what rtcodec_addresses() would read. */
int rtcodec_one(const uint8_t *buffer, size_t length, struct rtcodec_address *found);

#endif
