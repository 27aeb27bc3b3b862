/*
 * See nftcodec.h.
 *
 * libnftnl writes tables and sets; elements go through libmnl, whose put functions check the room, because libnftnl's
 * wrap the 16-bit length of the list without a sign and allocate each element.
 *
 *	NFTA_SET_ELEM_LIST_ELEMENTS {
 *		NFTA_LIST_ELEM {
 *			NFTA_SET_ELEM_KEY { NFTA_DATA_VALUE }
 *			NFTA_SET_ELEM_FLAGS, _TIMEOUT, _EXPIRATION, _USERDATA, ...
 *		} ...
 *	}
 *
 * A range is an element with its first key and one with the key after the last and NFT_SET_ELEM_INTERVAL_END.  A range up to the
 * highest key has no end; nft marks such a start in its userdata, and so do we.  Only the start may carry anything but the key.
 *
 * Userdata are a string of { u8 type; u8 length; u8 data[length]; }.  The kernel does not look into them: whatever does not read
 * as our comment is somebody else's.
 */
#include "nftcodec.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#define UDATA_COMMENT 0			/* of an element: NFTNL_UDATA_SET_ELEM_COMMENT */
#define UDATA_ELEM_FLAGS 1		/* NFTNL_UDATA_SET_ELEM_FLAGS */
#define UDATA_ELEM_FLAG_OPEN 1u		/* nft's SET_ELEM_F_INTERVAL_OPEN */
#define UDATA_SET_KEYBYTEORDER 0	/* of a set: NFTNL_UDATA_SET_KEYBYTEORDER */
#define UDATA_SET_MAKER NFTCODEC_SET_MAKER	/* our own: nft passes over what it does not know */
#define UDATA_MAX 64
#define ELEMENT_ROOM 160		/* more than a range of the longest keys takes, with all that may stand beside it */

static bool aligned(const void *pointer)
{
	return ((uintptr_t)pointer & (MNL_ALIGNTO - 1)) == 0;
}

static bool good_name(const char *name)
{
	size_t length = strnlen(name, NFTCODEC_NAME_MAX + 1);

	return length > 0 && length <= NFTCODEC_NAME_MAX;
}

int nftcodec_new_table(void *buffer, size_t size, uint32_t seq, uint16_t family, const char *table)
{
	struct nlmsghdr *message;

	if (!aligned(buffer) || size < NFTCODEC_MESSAGE_MAX || !good_name(table))
		return NFTCODEC_REFUSED;
	memset(buffer, 0, size);
	message = nftnl_nlmsg_build_hdr(buffer, NFT_MSG_NEWTABLE, family, NLM_F_CREATE, seq);
	mnl_attr_put_strz(message, NFTA_TABLE_NAME, table);
	return message->nlmsg_len;
}

static size_t put_tlv(uint8_t *userdata, size_t used, uint8_t type, const void *data, size_t length)
{
	if (UDATA_MAX - used < 2 + length)
		return used;
	userdata[used] = type;
	userdata[used + 1] = (uint8_t)length;
	memcpy(userdata + used + 2, data, length);
	return used + 2 + length;
}

static bool describe_set(struct nftnl_set *set, const char *table, const char *name, uint32_t set_id, uint32_t key_type,
			 uint32_t key_length, uint32_t byteorder, const char *maker)
{
	uint8_t userdata[UDATA_MAX];
	size_t used = put_tlv(userdata, 0, UDATA_SET_KEYBYTEORDER, &byteorder, sizeof(byteorder));

	used = put_tlv(userdata, used, UDATA_SET_MAKER, maker, strlen(maker) + 1);
	nftnl_set_set_u32(set, NFTNL_SET_FLAGS, 0);
	nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, key_type);
	nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, key_length);
	nftnl_set_set_u32(set, NFTNL_SET_ID, set_id);
	return nftnl_set_set_str(set, NFTNL_SET_TABLE, table) == 0 && nftnl_set_set_str(set, NFTNL_SET_NAME, name) == 0 &&
	       nftnl_set_set_data(set, NFTNL_SET_USERDATA, userdata, used) == 0;
}

int nftcodec_new_set(void *buffer, size_t size, uint32_t seq, uint16_t family, const char *table, const char *name,
		     uint32_t set_id, uint32_t key_type, uint32_t key_length, uint32_t byteorder, const char *maker)
{
	struct nftnl_set *set;
	struct nlmsghdr *message;
	int length = NFTCODEC_REFUSED;

	if (!aligned(buffer) || size < NFTCODEC_MESSAGE_MAX || !good_name(table) || !good_name(name) || strnlen(maker, 32) == 32)
		return NFTCODEC_REFUSED;
	set = nftnl_set_alloc();
	if (set == NULL)
		return NFTCODEC_REFUSED;
	memset(buffer, 0, size);
	if (describe_set(set, table, name, set_id, key_type, key_length, byteorder, maker)) {
		message = nftnl_nlmsg_build_hdr(buffer, NFT_MSG_NEWSET, family, NLM_F_CREATE, seq);
		nftnl_set_nlmsg_build_payload(message, set);
		length = message->nlmsg_len;
	}
	nftnl_set_free(set);
	return length;
}

/* The userdata of an element with this comment (NULL: none), open to the top or not; returns their length. */
static size_t put_userdata(uint8_t *userdata, const char *comment, bool open)
{
	const uint32_t flags = UDATA_ELEM_FLAG_OPEN;
	size_t used = 0;

	if (comment != NULL)
		used = put_tlv(userdata, used, UDATA_COMMENT, comment, strlen(comment) + 1);
	if (open)
		used = put_tlv(userdata, used, UDATA_ELEM_FLAGS, &flags, sizeof(flags));
	return used;
}

static bool put_element(struct nlmsghdr *message, size_t size, const uint8_t *key, size_t width, uint32_t flags, bool forever,
			const uint8_t *userdata, size_t userdata_length)
{
	struct nlattr *element, *nested;

	element = mnl_attr_nest_start_check(message, size, NFTA_LIST_ELEM);
	if (element == NULL)
		return false;
	nested = mnl_attr_nest_start_check(message, size, NFTA_SET_ELEM_KEY);
	if (nested == NULL || !mnl_attr_put_check(message, size, NFTA_DATA_VALUE, width, key))
		return false;
	mnl_attr_nest_end(message, nested);
	if (flags != 0 && !mnl_attr_put_u32_check(message, size, NFTA_SET_ELEM_FLAGS, htobe32(flags)))
		return false;
	if (forever && !mnl_attr_put_u64_check(message, size, NFTA_SET_ELEM_TIMEOUT, 0))
		return false;
	if (userdata_length > 0 && !mnl_attr_put_check(message, size, NFTA_SET_ELEM_USERDATA, userdata_length, userdata))
		return false;
	mnl_attr_nest_end(message, element);
	return true;
}

/* The key after this one in `next`; false after the highest. */
static bool successor(uint8_t *next, const uint8_t *key, size_t width)
{
	size_t i = width;

	memcpy(next, key, width);
	while (i-- > 0)
		if (++next[i] != 0)
			return true;
	return false;
}

static void predecessor(uint8_t *previous, const uint8_t *key, size_t width)
{
	size_t i = width;

	memcpy(previous, key, width);
	while (i-- > 0)
		if (previous[i]-- != 0)
			return;
}

static bool put_range(struct nlmsghdr *message, size_t size, const uint8_t *range, size_t width, bool adds, bool forever,
		      const char *comment)
{
	uint8_t end[NFTCODEC_KEY_MAX], userdata[UDATA_MAX];
	bool open = !successor(end, range + width, width);
	size_t length = put_userdata(userdata, comment, adds && open);

	return put_element(message, size, range, width, 0, forever, userdata, length) &&
	       (open || put_element(message, size, end, width, NFT_SET_ELEM_INTERVAL_END, false, NULL, 0));
}

static bool ranges_ascend(const uint8_t *ranges, size_t count, size_t width)
{
	size_t i;

	for (i = 0; i < count; i++, ranges += 2 * width)
		if (memcmp(ranges, ranges + width, width) > 0)
			return false;
	return true;
}

static int put_elements(struct nlmsghdr *message, size_t room, const uint8_t *elements, size_t count, size_t width, bool adds,
			uint32_t how, const char *comment)
{
	bool ranges = how & NFTCODEC_RANGES, forever = how & NFTCODEC_FOREVER, fitted;
	size_t stride = ranges ? 2 * width : width, length, taken;
	struct nlattr *list = mnl_attr_nest_start_check(message, room, NFTA_SET_ELEM_LIST_ELEMENTS);
	uint8_t userdata[UDATA_MAX];

	if (list == NULL)
		return NFTCODEC_REFUSED;
	length = put_userdata(userdata, comment, false);
	for (taken = 0; taken < count; taken++, elements += stride) {
		uint32_t before = message->nlmsg_len;

		fitted = ranges ? put_range(message, room, elements, width, adds, forever, comment)
				: put_element(message, room, elements, width, 0, forever, userdata, length);
		if (!fitted) {
			message->nlmsg_len = before;
			break;
		}
	}
	mnl_attr_nest_end(message, list);
	return taken > 0 ? (int)taken : NFTCODEC_REFUSED;
}

/* libmnl before 1.0.5 leaves the padding behind an attribute as it is. */
static void clear(void *buffer, size_t size, size_t count)
{
	size_t used = 3 * (NFTCODEC_NAME_MAX + 1) + count * ELEMENT_ROOM;

	memset(buffer, 0, count < NFTCODEC_ELEMENTS_MAX && used < size ? used : size);
}

int nftcodec_elements(void *buffer, size_t size, uint32_t seq, uint16_t family, uint16_t type, uint16_t flags, const char *table,
		      const char *set, const uint8_t *elements, size_t count, size_t width, uint32_t how, const char *comment)
{
	struct nlmsghdr *message;
	size_t room;

	if (!aligned(buffer) || size < NFTCODEC_MESSAGE_MAX || !good_name(table) || !good_name(set) ||
	    (count > 0 && (width == 0 || width > NFTCODEC_KEY_MAX)) || (comment != NULL && strnlen(comment, 32) == 32) ||
	    (how & NFTCODEC_RANGES && !ranges_ascend(elements, count, width)))
		return NFTCODEC_REFUSED;
	clear(buffer, size, count);
	message = nftnl_nlmsg_build_hdr(buffer, type, family, flags, seq);
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, table);
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, set);
	room = MNL_ALIGN(message->nlmsg_len) + UINT16_MAX;
	return count == 0 ? 0 : put_elements(message, room < size ? room : size, elements, count, width, type == NFT_MSG_NEWSETELEM, how,
					     comment);
}

static bool has_comment(const uint8_t *userdata, size_t length, const char *comment)
{
	size_t wanted = strlen(comment) + 1;

	while (length >= 2 && length - 2 >= userdata[1]) {
		if (userdata[0] == UDATA_COMMENT)
			return userdata[1] == wanted && memcmp(userdata + 2, comment, wanted) == 0;
		length -= 2 + (size_t)userdata[1];
		userdata += 2 + (size_t)userdata[1];
	}
	return false;
}

/* The next attribute in [*at, end), NULL at the end; *bad when what is there is none. */
static const struct nlattr *next_attribute(const uint8_t **at, const uint8_t *end, bool *bad)
{
	const struct nlattr *attribute = (const struct nlattr *)*at;

	if (*at >= end)
		return NULL;
	if (!mnl_attr_ok(attribute, end - *at)) {
		*bad = true;
		return NULL;
	}
	*at += MNL_ALIGN(attribute->nla_len);
	return attribute;
}

static const uint8_t *begin_of(const struct nlattr *attribute)
{
	return mnl_attr_get_payload(attribute);
}

static const uint8_t *end_of(const struct nlattr *attribute)
{
	return begin_of(attribute) + mnl_attr_get_payload_len(attribute);
}

static bool get_key(const struct nlattr *key, size_t width, struct nftcodec_element *element)
{
	const uint8_t *at = begin_of(key);
	const struct nlattr *value;
	bool bad = false, found = false;

	while ((value = next_attribute(&at, end_of(key), &bad)) != NULL) {
		if (mnl_attr_get_type(value) != NFTA_DATA_VALUE)
			continue;
		if (found || mnl_attr_get_payload_len(value) != width)
			return false;
		memcpy(element->key, begin_of(value), width);
		found = true;
	}
	return found && !bad;
}

/* 1: an element was read; 0: the catch-all element, which has no key; negative: refused. */
static int get_element(const struct nlattr *list_element, size_t width, const char *comment, struct nftcodec_element *element)
{
	const uint8_t *at = begin_of(list_element);
	const struct nlattr *attribute;
	bool bad = false, keyed = false;
	uint32_t flags = 0;

	memset(element, 0, sizeof(*element));
	while ((attribute = next_attribute(&at, end_of(list_element), &bad)) != NULL) {
		switch (mnl_attr_get_type(attribute)) {
		case NFTA_SET_ELEM_KEY:
			keyed = get_key(attribute, width, element);
			bad |= !keyed;
			break;
		case NFTA_SET_ELEM_FLAGS:
			if (mnl_attr_get_payload_len(attribute) != sizeof(flags))
				return NFTCODEC_REFUSED;
			flags = be32toh(mnl_attr_get_u32(attribute));
			break;
		case NFTA_SET_ELEM_EXPIRATION:
			element->flags |= NFTCODEC_EXPIRES;
			break;
		case NFTA_SET_ELEM_USERDATA:
			if (has_comment(begin_of(attribute), mnl_attr_get_payload_len(attribute), comment))
				element->flags |= NFTCODEC_OURS;
			break;
		case NFTA_SET_ELEM_KEY_END:
			return NFTCODEC_REFUSED;
		}
	}
	if (!(flags & NFT_SET_ELEM_INTERVAL_END))
		element->flags |= NFTCODEC_START;
	if (bad || (!keyed && !(flags & NFT_SET_ELEM_CATCHALL)))
		return NFTCODEC_REFUSED;
	return keyed;
}

static int get_list(const struct nlattr *list, size_t width, const char *comment, struct nftcodec_element *elements, size_t room)
{
	const uint8_t *at = begin_of(list);
	const struct nlattr *attribute;
	bool bad = false;
	size_t count = 0;
	int read;

	while ((attribute = next_attribute(&at, end_of(list), &bad)) != NULL) {
		if (mnl_attr_get_type(attribute) != NFTA_LIST_ELEM || count == room)
			return NFTCODEC_REFUSED;
		read = get_element(attribute, width, comment, &elements[count]);
		if (read < 0)
			return NFTCODEC_REFUSED;
		count += read;
	}
	return bad ? NFTCODEC_REFUSED : (int)count;
}

int nftcodec_get_elements(const void *attributes, size_t length, size_t width, const char *comment,
			  struct nftcodec_element *elements, size_t room)
{
	const uint8_t *at = attributes, *end = at + length;
	const struct nlattr *attribute;
	bool bad = false;
	int count = 0, read;

	if (!aligned(attributes) || length > INT32_MAX || width == 0 || width > NFTCODEC_KEY_MAX)
		return NFTCODEC_REFUSED;
	while ((attribute = next_attribute(&at, end, &bad)) != NULL) {
		if (mnl_attr_get_type(attribute) != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		read = get_list(attribute, width, comment, elements + count, room - count);
		if (read < 0)
			return NFTCODEC_REFUSED;
		count += read;
	}
	return bad ? NFTCODEC_REFUSED : count;
}

static int by_key(const void *left, const void *right)
{
	return memcmp(left, right, sizeof(struct nftcodec_element));
}

static bool same(const struct nftcodec_element *left, const struct nftcodec_element *right)
{
	return memcmp(left->key, right->key, sizeof(left->key)) == 0 && ((left->flags ^ right->flags) & NFTCODEC_START) == 0;
}

size_t nftcodec_sort(struct nftcodec_element *elements, size_t count)
{
	size_t i, kept = 0;

	qsort(elements, count, sizeof(*elements), by_key);
	for (i = 0; i < count; i++)
		if (kept == 0 || !same(&elements[kept - 1], &elements[i]))
			elements[kept++] = elements[i];
	return kept;
}

static uint8_t range_flags(const struct nftcodec_element *start, const struct nftcodec_element *next)
{
	bool ended = next != NULL && !(next->flags & NFTCODEC_START);

	return start->flags | (ended ? next->flags & NFTCODEC_EXPIRES : 0);
}

int64_t nftcodec_pick(const struct nftcodec_element *elements, size_t count, size_t width, int ranges, uint8_t mask, uint8_t value,
		      uint8_t *packed, size_t size)
{
	size_t stride = ranges ? 2 * width : width, used = 0, i;

	if (width == 0 || width > NFTCODEC_KEY_MAX)
		return NFTCODEC_REFUSED;
	for (i = 0; i < count; i++) {
		const struct nftcodec_element *next = i + 1 < count ? &elements[i + 1] : NULL;
		uint8_t flags = ranges ? range_flags(&elements[i], next) : elements[i].flags;

		if ((flags & mask) != value)
			continue;
		if (size - used < stride)
			return NFTCODEC_REFUSED;
		memcpy(packed + used, elements[i].key, width);
		if (ranges && next != NULL)
			predecessor(packed + used + width, next->key, width);
		else if (ranges)
			memset(packed + used + width, 0xff, width);
		used += stride;
	}
	return used;
}
