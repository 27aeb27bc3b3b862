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
		return inet_ntop(AF_INET6, key, text, TEXTCODEC_ADDRESS_MAX + 1) == NULL ? text : text + strlen(text);
	for (i = 0; i < 4; i++) {
		if (i > 0)
			*text++ = '.';
		text = put_decimal(text, key[i]);
	}
	return text;
}

int64_t textcodec_addresses(const uint8_t *keys, size_t count, size_t width, const char *suffix, char *text, size_t size)
{
	const size_t suffix_length = strlen(suffix);
	char *at = text;
	size_t i;

	if ((width != 4 && width != 16) || size / (TEXTCODEC_ADDRESS_MAX + suffix_length + 2) < count)
		return TEXTCODEC_REFUSED;
	for (i = 0; i < count; i++) {
		if (i > 0) {
			memcpy(at, ", ", 2);
			at += 2;
		}
		at = put_address(at, keys + i * width, width);
		memcpy(at, suffix, suffix_length);
		at += suffix_length;
	}
	return at - text;
}
