/*
 * See textcodec.h.
 */
#include "textcodec.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

static char *put_decimal(char *text, unsigned int number)
{
	if (number >= 100)
		*text++ = '0' + number / 100;
	if (number >= 10)
		*text++ = '0' + number / 10 % 10;
	*text++ = '0' + number % 10;
	return text;
}

static char *put_address(char *text, const uint8_t *key, size_t width)
{
	size_t i;

	if (width == 16)
		return inet_ntop(AF_INET6, key, text, TEXTCODEC_IPV6_MAX + 1) == NULL ? text : text + strlen(text);
	for (i = 0; i < 4; i++) {
		if (i > 0)
			*text++ = '.';
		text = put_decimal(text, key[i]);
	}
	return text;
}

static size_t longest(size_t width)
{
	return width == 4 ? TEXTCODEC_IPV4_MAX : TEXTCODEC_IPV6_MAX;
}

/* The length of the prefix when the range is a network, otherwise -1. */
static int prefix_length(const uint8_t *first, const uint8_t *last, size_t width)
{
	size_t same = 0, i;
	unsigned int host;
	int length;

	while (same < width && first[same] == last[same])
		same++;
	if (same == width)
		return (int)width * 8;
	host = first[same] ^ last[same];
	if ((host & (host + 1)) != 0 || (first[same] & host) != 0)
		return -1;
	for (i = same + 1; i < width; i++)
		if (first[i] != 0 || last[i] != 0xFF)
			return -1;
	for (length = (int)same * 8 + 8; host != 0; host >>= 1)
		length--;
	return length;
}

static char *put_range(char *text, const uint8_t *first, const uint8_t *last, size_t width)
{
	int length = prefix_length(first, last, width);

	text = put_address(text, first, width);
	if (length < 0) {
		*text++ = '-';
		return put_address(text, last, width);
	}
	if ((size_t)length < width * 8) {
		*text++ = '/';
		text = put_decimal(text, (unsigned int)length);
	}
	return text;
}

static char *put_comma(char *text)
{
	memcpy(text, ", ", 2);
	return text + 2;
}

static char *put_suffix(char *text, const char *suffix, size_t length)
{
	memcpy(text, suffix, length);
	return text + length;
}

int64_t textcodec_addresses(const uint8_t *keys, size_t count, size_t width, const char *suffix, char *text, size_t size)
{
	const size_t suffix_length = strlen(suffix);
	char *at = text;
	size_t i;

	if ((width != 4 && width != 16) || size / (longest(width) + suffix_length + 2) < count)
		return TEXTCODEC_REFUSED;
	for (i = 0; i < count; i++) {
		if (i > 0)
			at = put_comma(at);
		at = put_suffix(put_address(at, keys + i * width, width), suffix, suffix_length);
	}
	return at - text;
}

int64_t textcodec_ranges(const uint8_t *keys, size_t count, size_t width, const char *suffix, char *text, size_t size)
{
	const size_t suffix_length = strlen(suffix);
	char *at = text;
	size_t i;

	if ((width != 4 && width != 16) || size / (2 * longest(width) + 1 + suffix_length + 2) < count)
		return TEXTCODEC_REFUSED;
	for (i = 0; i < count; i++, keys += 2 * width) {
		if (i > 0)
			at = put_comma(at);
		at = put_suffix(put_range(at, keys, keys + width, width), suffix, suffix_length);
	}
	return at - text;
}
