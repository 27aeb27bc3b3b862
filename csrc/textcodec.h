/*
 * textcodec: very many addresses as text.
 *
 * Read by the compiler and, without the lines that begin with #, by cffi.  No function keeps anything, allocates anything or touches a
 * descriptor.
 */
#ifndef TEXTCODEC_H
#define TEXTCODEC_H

#include <stddef.h>
#include <stdint.h>

enum {
	TEXTCODEC_REFUSED = -1,		/* no width of addresses, or no room */
	TEXTCODEC_IPV4_MAX = 15,	/* the longest addresses, as long as INET_ADDRSTRLEN and INET6_ADDRSTRLEN without their NUL */
	TEXTCODEC_IPV6_MAX = 45,
};

/*
 * Writes addresses of 4 or 16 bytes as inet_ntop() does, each followed by the suffix, with a comma and a space between them; returns
 * the bytes written, without a NUL.  For each address there must be room for the longest, the suffix and two bytes more.
 */
int64_t textcodec_addresses(const uint8_t *keys, size_t count, size_t width, const char *suffix, char *text, size_t size);

/*
 * The same for ranges, of which the keys are the first and the last address: as one address, as a network with the length of its
 * prefix, or as both with a hyphen.  For each range there must be room for two of the longest and a hyphen.
 */
int64_t textcodec_ranges(const uint8_t *keys, size_t count, size_t width, const char *suffix, char *text, size_t size);

#endif
