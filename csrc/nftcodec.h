/*
 * nftcodec: nf_tables messages, written and read in buffers of the caller's.
 *
 * Read by the compiler and, without the lines that begin with #, by cffi.  No function keeps anything, allocates anything that
 * outlives it, or touches a descriptor.  A negative return is a refusal: the arguments make no sense, the result does not fit, or
 * the bytes to be read are not what the kernel sends.  Buffers must be aligned to four bytes, as netlink is.
 */
#ifndef NFTCODEC_H
#define NFTCODEC_H

#include <stddef.h>
#include <stdint.h>

enum {
	NFTCODEC_REFUSED = -1,
	NFTCODEC_KEY_MAX = 16,		/* the longest key that is read */
	NFTCODEC_NAME_MAX = 255,	/* NFT_NAME_MAXLEN without its NUL */
	NFTCODEC_MESSAGE_MAX = 67584,	/* the longest message that is written: names and 64 KiB of elements */
	NFTCODEC_SET_MAKER = 200,	/* in the userdata of a set, the type of the name of who made it */
	NFTCODEC_ELEMENTS_MAX = 4096,	/* no message holds more elements: 64 KiB in pieces of at least 16 bytes */
};

/* How nftcodec_elements() shall write them. */
enum {
	NFTCODEC_RANGES = 1,		/* an element is first key + last key */
	NFTCODEC_FOREVER = 2,		/* with a timeout of 0: whatever the set's default is, it does not apply */
};

/* What an element that was read is.  NFTCODEC_START makes an END sort before a start of the same key. */
enum {
	NFTCODEC_OURS = 1,		/* has the comment that was asked for */
	NFTCODEC_EXPIRES = 2,
	NFTCODEC_START = 128,		/* no NFT_SET_ELEM_INTERVAL_END */
};

struct nftcodec_element {
	uint8_t key[16];		/* filled up with zeros */
	uint8_t flags;
};

/* Writers: the length of the message is returned, which is also the first thing in it. */
int nftcodec_new_table(void *buffer, size_t size, uint32_t seq, uint16_t family, const char *table);
int nftcodec_new_set(void *buffer, size_t size, uint32_t seq, uint16_t family, const char *table, const char *set,
		     uint32_t set_id, uint32_t key_type, uint32_t key_length, uint32_t byteorder, const char *maker);

/* A message about elements of a set: those at the beginning of these that fit, whose number is returned.  It has no list without any. */
int nftcodec_elements(void *buffer, size_t size, uint32_t seq, uint16_t family, uint16_t type, uint16_t flags, const char *table,
		      const char *set, const uint8_t *elements, size_t count, size_t width, uint32_t how, const char *comment);

/* Reads what follows the nfgenmsg of NFT_MSG_NEWSETELEM; returns the number of elements. */
int nftcodec_get_elements(const void *attributes, size_t length, size_t width, const char *comment,
			  struct nftcodec_element *elements, size_t room);

/* Sorts, drops what is there twice, returns how many are left. */
size_t nftcodec_sort(struct nftcodec_element *elements, size_t count);

/* Packs the keys, or the ranges, of all sorted elements that have (flags & mask) == value; returns the bytes written.  A range
 * expires when its start or its end does. */
int64_t nftcodec_pick(const struct nftcodec_element *elements, size_t count, size_t width, int ranges, uint8_t mask, uint8_t value,
		      uint8_t *packed, size_t size);

#endif
