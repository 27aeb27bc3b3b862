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
	NFTCODEC_KEY_MAX = 64,		/* the longest key, concatenated or not, and the longest value but a verdict: the kernel's registers */
	NFTCODEC_NAME_MAX = 255,	/* NFT_NAME_MAXLEN without its NUL */
	NFTCODEC_VERDICT_MAX = 260,	/* a verdict's code and the longest name of a chain */
	NFTCODEC_MESSAGE_MAX = 67584,	/* the longest message that is written: names and 64 KiB of elements */
	NFTCODEC_SET_MAKER = 200,	/* in the userdata of a set, the type of the name of who made it */
	NFTCODEC_ELEMENTS_MAX = 4096,	/* no message holds more elements: 64 KiB in pieces of at least 16 bytes */
	NFTCODEC_FIELDS_MAX = 16,	/* no concatenation has more */
};

/* What the elements of a set are like. */
enum {
	NFTCODEC_RANGES = 1,		/* to the kernel each is two, the first key and the one after the last */
	NFTCODEC_BOXES = 2,		/* to the kernel each is one with two keys, the first and the last of each field */
	NFTCODEC_VERDICTS = 4,		/* the values of a map are verdicts */
};

/*
 * A set.  Its elements are packed as the key, with ranges and boxes the last key, and in a map the value, which has `value` bytes: of a
 * verdict its code in network order and the name of its chain, filled up with zeros.
 */
struct nftcodec_set {
	const char *table, *name;
	uint16_t family;
	uint16_t like;
	uint32_t width;			/* of one key */
	uint32_t value;
};

/* What is to be done about elements: the message, its flags, and what comes with each. */
struct nftcodec_manner {
	uint16_t message, flags;
	int adds;			/* with their values */
	int forever;			/* with a timeout of 0: whatever the set's default is, it does not apply */
	const char *comment;		/* or NULL */
};

/* A set that is to be made, beside its name and its elements: see nftcodec_new_set(). */
struct nftcodec_plan {
	uint32_t id, flags, key_type, value_type, key_byteorder, value_byteorder;
	uint32_t value_length;
	uint32_t fields;		/* how many, if it is a concatenation whose fields the kernel must know */
	uint8_t field[16];		/* the length of each */
	const char *maker;
};

/* What an element that was read is.  NFTCODEC_START makes an END sort before a start of the same key. */
enum {
	NFTCODEC_OURS = 1,		/* has the comment that was asked for */
	NFTCODEC_EXPIRES = 2,
	NFTCODEC_START = 128,		/* no NFT_SET_ELEM_INTERVAL_END */
};

/* Writers: the length of the message is returned, which is also the first thing in it. */
int nftcodec_new_table(void *buffer, size_t size, uint32_t seq, uint16_t family, const char *table);
int nftcodec_new_set(void *buffer, size_t size, uint32_t seq, const struct nftcodec_set *set, const struct nftcodec_plan *plan);

/* A message about elements of a set: those at the beginning of these that fit, whose number is returned.  It has no list without any. */
int nftcodec_elements(void *buffer, size_t size, uint32_t seq, const struct nftcodec_set *set, const struct nftcodec_manner *manner,
		      const uint8_t *elements, size_t count);

/*
 * Elements that are read become records: the key, in a set of boxes the last key, in a map the value, then a byte of flags.  This many
 * bytes; 0 for a set that makes no sense.
 */
size_t nftcodec_record(const struct nftcodec_set *set);

/* Reads what follows the nfgenmsg of NFT_MSG_NEWSETELEM into no more than `room` records; returns how many. */
int nftcodec_get_elements(const void *attributes, size_t length, const struct nftcodec_set *set, const char *comment, uint8_t *records,
			  size_t room);

/* Sorts, drops what is there twice, returns how many are left. */
size_t nftcodec_sort(const struct nftcodec_set *set, uint8_t *records, size_t count);

/* Packs all elements among sorted records that have (flags & mask) == value; returns the bytes written.  A range expires when its start
 * or its end does. */
int64_t nftcodec_pick(const struct nftcodec_set *set, const uint8_t *records, size_t count, uint8_t mask, uint8_t value, uint8_t *packed,
		      size_t size);

#endif
