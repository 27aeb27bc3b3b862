/*
 * See nftcodec.h.
 *
 * libnftnl writes tables and sets; elements go through libmnl, whose put functions check the room, because libnftnl's
 * wrap the 16-bit length of the list without a sign and allocate each element.
 *
 *	NFTA_SET_ELEM_LIST_ELEMENTS {
 *		NFTA_LIST_ELEM {
 *			NFTA_SET_ELEM_KEY, _KEY_END { NFTA_DATA_VALUE }
 *			NFTA_SET_ELEM_DATA { NFTA_DATA_VALUE, or NFTA_DATA_VERDICT { NFTA_VERDICT_CODE, _CHAIN } }
 *			NFTA_SET_ELEM_FLAGS, _TIMEOUT, _EXPIRATION, _USERDATA, ...
 *		} ...
 *	}
 *
 * A range of single keys is an element with its first key and one with the key after the last and NFT_SET_ELEM_INTERVAL_END.  A range up
 * to the highest key has no end; nft marks such a start in its userdata, and so do we.  Only the start may carry anything but the key.
 * A box of concatenated keys is one element; without NFTA_SET_ELEM_KEY_END it holds just its key.
 *
 * Userdata are a string of { u8 type; u8 length; u8 data[length]; }.  The kernel does not look into them: whatever does not read
 * as our comment is somebody else's.
 */
#define _GNU_SOURCE			/* qsort_r */
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
#define UDATA_SET_DATABYTEORDER 1	/* NFTNL_UDATA_SET_DATABYTEORDER */
#define UDATA_SET_MAKER NFTCODEC_SET_MAKER	/* our own: nft passes over what it does not know */
#define UDATA_MAX 64
#define MANY 256			/* records that are not sorted by comparing them */
#define ELEMENT_ROOM 160			/* more than an element takes beside its keys and its value, and a range for both */

static bool aligned(const void *pointer)
{
	return ((uintptr_t)pointer & (MNL_ALIGNTO - 1)) == 0;
}

static bool good_name(const char *name)
{
	size_t length = strnlen(name, NFTCODEC_NAME_MAX + 1);

	return length > 0 && length <= NFTCODEC_NAME_MAX;
}

static bool good_set(const struct nftcodec_set *set)
{
	uint32_t longest = set->like & NFTCODEC_VERDICTS ? NFTCODEC_VERDICT_MAX : NFTCODEC_KEY_MAX;

	return set->width > 0 && set->width <= NFTCODEC_KEY_MAX && set->value <= longest &&
	       (!(set->like & NFTCODEC_VERDICTS) || set->value >= sizeof(uint32_t)) &&
	       (set->like & (NFTCODEC_RANGES | NFTCODEC_BOXES)) != (NFTCODEC_RANGES | NFTCODEC_BOXES);
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

static bool describe_set(struct nftnl_set *set, const struct nftcodec_set *named, const struct nftcodec_plan *plan)
{
	uint8_t userdata[UDATA_MAX];
	size_t used = put_tlv(userdata, 0, UDATA_SET_KEYBYTEORDER, &plan->key_byteorder, sizeof(plan->key_byteorder));

	if (plan->flags & NFT_SET_MAP) {
		used = put_tlv(userdata, used, UDATA_SET_DATABYTEORDER, &plan->value_byteorder, sizeof(plan->value_byteorder));
		nftnl_set_set_u32(set, NFTNL_SET_DATA_TYPE, plan->value_type);
		nftnl_set_set_u32(set, NFTNL_SET_DATA_LEN, plan->value_length);
	}
	used = put_tlv(userdata, used, UDATA_SET_MAKER, plan->maker, strlen(plan->maker) + 1);
	nftnl_set_set_u32(set, NFTNL_SET_FLAGS, plan->flags);
	nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, plan->key_type);
	nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, named->width);
	nftnl_set_set_u32(set, NFTNL_SET_ID, plan->id);
	return (plan->fields == 0 || nftnl_set_set_data(set, NFTNL_SET_DESC_CONCAT, plan->field, plan->fields) == 0) &&
	       nftnl_set_set_str(set, NFTNL_SET_TABLE, named->table) == 0 && nftnl_set_set_str(set, NFTNL_SET_NAME, named->name) == 0 &&
	       nftnl_set_set_data(set, NFTNL_SET_USERDATA, userdata, used) == 0;
}

int nftcodec_new_set(void *buffer, size_t size, uint32_t seq, const struct nftcodec_set *named, const struct nftcodec_plan *plan)
{
	struct nftnl_set *set;
	struct nlmsghdr *message;
	int length = NFTCODEC_REFUSED;

	if (!aligned(buffer) || size < NFTCODEC_MESSAGE_MAX || !good_name(named->table) || !good_name(named->name) ||
	    !good_set(named) || plan->fields > NFTCODEC_FIELDS_MAX || strnlen(plan->maker, 32) == 32)
		return NFTCODEC_REFUSED;
	set = nftnl_set_alloc();
	if (set == NULL)
		return NFTCODEC_REFUSED;
	memset(buffer, 0, size);
	if (describe_set(set, named, plan)) {
		message = nftnl_nlmsg_build_hdr(buffer, NFT_MSG_NEWSET, named->family, NLM_F_CREATE, seq);
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

static bool put_data(struct nlmsghdr *message, size_t size, uint16_t type, const uint8_t *data, size_t length)
{
	struct nlattr *nested = mnl_attr_nest_start_check(message, size, type);

	if (nested == NULL || !mnl_attr_put_check(message, size, NFTA_DATA_VALUE, length, data))
		return false;
	mnl_attr_nest_end(message, nested);
	return true;
}

static bool put_verdict(struct nlmsghdr *message, size_t size, const uint8_t *value, size_t length)
{
	struct nlattr *data = mnl_attr_nest_start_check(message, size, NFTA_SET_ELEM_DATA), *verdict;
	const char *chain = (const char *)value + sizeof(uint32_t);
	size_t named = strnlen(chain, length - sizeof(uint32_t));
	char name[NFTCODEC_VERDICT_MAX] = { 0 };

	if (data == NULL)
		return false;
	memcpy(name, chain, named);
	verdict = mnl_attr_nest_start_check(message, size, NFTA_DATA_VERDICT);
	if (verdict == NULL || !mnl_attr_put_check(message, size, NFTA_VERDICT_CODE, sizeof(uint32_t), value) ||
	    (named > 0 && !mnl_attr_put_strz_check(message, size, NFTA_VERDICT_CHAIN, name)))
		return false;
	mnl_attr_nest_end(message, verdict);
	mnl_attr_nest_end(message, data);
	return true;
}

static bool put_value(struct nlmsghdr *message, size_t size, const struct nftcodec_set *set, const uint8_t *value)
{
	if (set->like & NFTCODEC_VERDICTS)
		return put_verdict(message, size, value, set->value);
	return put_data(message, size, NFTA_SET_ELEM_DATA, value, set->value);
}

/* An element; without a manner the end of a range, which is nothing but its key.  `last` and `value` may be NULL. */
static bool put_element(struct nlmsghdr *message, size_t size, const struct nftcodec_set *set, const struct nftcodec_manner *manner,
			const uint8_t *key, const uint8_t *last, const uint8_t *value, const uint8_t *userdata, size_t userdata_length)
{
	struct nlattr *element = mnl_attr_nest_start_check(message, size, NFTA_LIST_ELEM);

	if (element == NULL || !put_data(message, size, NFTA_SET_ELEM_KEY, key, set->width))
		return false;
	if (last != NULL && !put_data(message, size, NFTA_SET_ELEM_KEY_END, last, set->width))
		return false;
	if (value != NULL && !put_value(message, size, set, value))
		return false;
	if (manner == NULL && !mnl_attr_put_u32_check(message, size, NFTA_SET_ELEM_FLAGS, htobe32(NFT_SET_ELEM_INTERVAL_END)))
		return false;
	if (manner != NULL && manner->forever && !mnl_attr_put_u64_check(message, size, NFTA_SET_ELEM_TIMEOUT, 0))
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

/* The userdata is as it was put for elements that are not open. */
static bool put_range(struct nlmsghdr *message, size_t size, const struct nftcodec_set *set, const struct nftcodec_manner *manner,
		      const uint8_t *range, const uint8_t *value, uint8_t *userdata, size_t length)
{
	uint8_t end[NFTCODEC_KEY_MAX];
	bool open = !successor(end, range + set->width, set->width);

	if (open)	/* only the last of all keys has none behind it */
		length = put_userdata(userdata, manner->comment, manner->adds);
	return put_element(message, size, set, manner, range, NULL, value, userdata, length) &&
	       (open || put_element(message, size, set, NULL, end, NULL, NULL, NULL, 0));
}

static size_t keys_of(const struct nftcodec_set *set)
{
	return set->like & (NFTCODEC_RANGES | NFTCODEC_BOXES) ? 2 * (size_t)set->width : set->width;
}

static int put_elements(struct nlmsghdr *message, size_t room, const struct nftcodec_set *set, const struct nftcodec_manner *manner,
			const uint8_t *elements, size_t count)
{
	bool ranges = set->like & NFTCODEC_RANGES, valued = manner->adds && set->value > 0, fitted;
	size_t keys = keys_of(set), stride = keys + set->value, length, taken;
	struct nlattr *list = mnl_attr_nest_start_check(message, room, NFTA_SET_ELEM_LIST_ELEMENTS);
	uint8_t userdata[UDATA_MAX];

	if (list == NULL)
		return NFTCODEC_REFUSED;
	length = put_userdata(userdata, manner->comment, false);
	for (taken = 0; taken < count; taken++, elements += stride) {
		const uint8_t *last = set->like & NFTCODEC_BOXES ? elements + set->width : NULL;
		const uint8_t *value = valued ? elements + keys : NULL;
		uint32_t before = message->nlmsg_len;

		if (ranges && memcmp(elements, elements + set->width, set->width) > 0)
			return NFTCODEC_REFUSED;
		fitted = ranges ? put_range(message, room, set, manner, elements, value, userdata, length)
				: put_element(message, room, set, manner, elements, last, value, userdata, length);
		if (!fitted) {
			message->nlmsg_len = before;
			break;
		}
	}
	mnl_attr_nest_end(message, list);
	return taken > 0 ? (int)taken : NFTCODEC_REFUSED;
}

/* libmnl before 1.0.5 leaves the padding behind an attribute as it is. */
static void clear(void *buffer, size_t size, const struct nftcodec_set *set, size_t count)
{
	size_t used = 3 * (NFTCODEC_NAME_MAX + 1) + count * (ELEMENT_ROOM + 2 * (size_t)set->width + set->value);

	memset(buffer, 0, count < NFTCODEC_ELEMENTS_MAX && used < size ? used : size);
}

int nftcodec_elements(void *buffer, size_t size, uint32_t seq, const struct nftcodec_set *set, const struct nftcodec_manner *manner,
		      const uint8_t *elements, size_t count)
{
	struct nlmsghdr *message;
	size_t room;

	if (!aligned(buffer) || size < NFTCODEC_MESSAGE_MAX || !good_name(set->table) || !good_name(set->name) ||
	    (count > 0 && !good_set(set)) || (manner->comment != NULL && strnlen(manner->comment, 32) == 32))
		return NFTCODEC_REFUSED;
	clear(buffer, size, set, count);
	message = nftnl_nlmsg_build_hdr(buffer, manner->message, set->family, manner->flags, seq);
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, set->table);
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, set->name);
	room = MNL_ALIGN(message->nlmsg_len) + UINT16_MAX;
	return count == 0 ? 0 : put_elements(message, room < size ? room : size, set, manner, elements, count);
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

/* The one value in it that NFTA_DATA_VALUE has, of just this length. */
static bool get_data(const struct nlattr *data, uint8_t *to, size_t length)
{
	const uint8_t *at = begin_of(data);
	const struct nlattr *value;
	bool bad = false, found = false;

	while ((value = next_attribute(&at, end_of(data), &bad)) != NULL) {
		if (mnl_attr_get_type(value) != NFTA_DATA_VALUE)
			continue;
		if (found || mnl_attr_get_payload_len(value) != length)
			return false;
		memcpy(to, begin_of(value), length);
		found = true;
	}
	return found && !bad;
}

static bool get_code_and_chain(const struct nlattr *verdict, uint8_t *to, size_t room)
{
	const uint8_t *at = begin_of(verdict);
	const struct nlattr *part;
	bool bad = false, found = false;

	while ((part = next_attribute(&at, end_of(verdict), &bad)) != NULL) {
		size_t length = mnl_attr_get_payload_len(part);

		if (mnl_attr_get_type(part) == NFTA_VERDICT_CODE) {
			if (length != sizeof(uint32_t))
				return false;
			memcpy(to, begin_of(part), length);
			found = true;
		} else if (mnl_attr_get_type(part) == NFTA_VERDICT_CHAIN) {
			length = strnlen((const char *)begin_of(part), length);
			if (length > room - sizeof(uint32_t))
				return false;
			memcpy(to + sizeof(uint32_t), begin_of(part), length);
		}
	}
	return found && !bad;
}

static bool get_verdict(const struct nlattr *data, uint8_t *to, size_t room)
{
	const uint8_t *at = begin_of(data);
	const struct nlattr *verdict;
	bool bad = false, found = false;

	while ((verdict = next_attribute(&at, end_of(data), &bad)) != NULL) {
		if (mnl_attr_get_type(verdict) != NFTA_DATA_VERDICT)
			continue;
		if (found || !get_code_and_chain(verdict, to, room))
			return false;
		found = true;
	}
	return found && !bad;
}

static bool get_value(const struct nlattr *data, const struct nftcodec_set *set, uint8_t *to)
{
	return set->like & NFTCODEC_VERDICTS ? get_verdict(data, to, set->value) : get_data(data, to, set->value);
}

/* Where in a record the value begins. */
static size_t value_at(const struct nftcodec_set *set)
{
	return set->like & NFTCODEC_BOXES ? 2 * (size_t)set->width : set->width;
}

size_t nftcodec_record(const struct nftcodec_set *set)
{
	return good_set(set) ? value_at(set) + set->value + 1 : 0;
}

/* 1: an element was read; 0: the catch-all element, which has no key; negative: refused. */
static int get_element(const struct nlattr *list_element, const struct nftcodec_set *set, const char *comment, uint8_t *record)
{
	const uint8_t *at = begin_of(list_element);
	const struct nlattr *attribute;
	bool bad = false, keyed = false, boxed = false, valued = false;
	uint8_t *about = record + value_at(set) + set->value;
	uint32_t flags = 0;

	memset(record, 0, value_at(set) + set->value + 1);
	while ((attribute = next_attribute(&at, end_of(list_element), &bad)) != NULL) {
		switch (mnl_attr_get_type(attribute)) {
		case NFTA_SET_ELEM_KEY:
			keyed = get_data(attribute, record, set->width);
			bad |= !keyed;
			break;
		case NFTA_SET_ELEM_KEY_END:
			boxed = set->like & NFTCODEC_BOXES && get_data(attribute, record + set->width, set->width);
			bad |= !boxed;
			break;
		case NFTA_SET_ELEM_DATA:
			valued = set->value > 0 && get_value(attribute, set, record + value_at(set));
			bad |= !valued;
			break;
		case NFTA_SET_ELEM_FLAGS:
			if (mnl_attr_get_payload_len(attribute) != sizeof(flags))
				return NFTCODEC_REFUSED;
			flags = be32toh(mnl_attr_get_u32(attribute));
			break;
		case NFTA_SET_ELEM_EXPIRATION:
			*about |= NFTCODEC_EXPIRES;
			break;
		case NFTA_SET_ELEM_USERDATA:
			if (has_comment(begin_of(attribute), mnl_attr_get_payload_len(attribute), comment))
				*about |= NFTCODEC_OURS;
			break;
		}
	}
	if (!(flags & NFT_SET_ELEM_INTERVAL_END))
		*about |= NFTCODEC_START;
	if (bad || (!keyed && !(flags & NFT_SET_ELEM_CATCHALL)) || (set->value > 0 && *about & NFTCODEC_START && !valued))
		return NFTCODEC_REFUSED;
	if (set->like & NFTCODEC_BOXES && !boxed)
		memcpy(record + set->width, record, set->width);
	return keyed;
}

static int get_list(const struct nlattr *list, const struct nftcodec_set *set, const char *comment, uint8_t *records, size_t room)
{
	const uint8_t *at = begin_of(list);
	const struct nlattr *attribute;
	size_t count = 0, size = nftcodec_record(set);
	bool bad = false;
	int read;

	while ((attribute = next_attribute(&at, end_of(list), &bad)) != NULL) {
		if (mnl_attr_get_type(attribute) != NFTA_LIST_ELEM || count == room)
			return NFTCODEC_REFUSED;
		read = get_element(attribute, set, comment, records + count * size);
		if (read < 0)
			return NFTCODEC_REFUSED;
		count += read;
	}
	return bad ? NFTCODEC_REFUSED : (int)count;
}

int nftcodec_get_elements(const void *attributes, size_t length, const struct nftcodec_set *set, const char *comment, uint8_t *records,
			  size_t room)
{
	const uint8_t *at = attributes, *end = at + length;
	const struct nlattr *attribute;
	bool bad = false;
	int count = 0, read;

	if (!aligned(attributes) || length > INT32_MAX || !good_set(set))
		return NFTCODEC_REFUSED;
	while ((attribute = next_attribute(&at, end, &bad)) != NULL) {
		if (mnl_attr_get_type(attribute) != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		read = get_list(attribute, set, comment, records + count * nftcodec_record(set), room - count);
		if (read < 0)
			return NFTCODEC_REFUSED;
		count += read;
	}
	return bad ? NFTCODEC_REFUSED : count;
}

/*
 * Sorts by one byte after the other, the last first, where records differ in it: ten times as fast as comparing very many.  Takes as much
 * room again; false when there is none.
 */
static bool sort_by_bytes(uint8_t *records, size_t count, size_t size)
{
	uint8_t *room = malloc(count * size), *from = records, *to = room, *swap;
	size_t places[256], at, i, place, next;

	if (room == NULL)
		return false;
	for (at = size; at-- > 0;) {
		memset(places, 0, sizeof(places));
		for (i = 0; i < count; i++)
			places[from[i * size + at]]++;
		if (places[from[at]] == count)
			continue;
		for (i = 0, place = 0; i < 256; i++, place = next) {
			next = place + places[i];
			places[i] = place;
		}
		for (i = 0; i < count; i++)
			memcpy(to + places[from[i * size + at]]++ * size, from + i * size, size);
		swap = from;
		from = to;
		to = swap;
	}
	if (from != records)
		memcpy(records, from, count * size);
	free(room);
	return true;
}

static int by_all(const void *left, const void *right, void *size)
{
	return memcmp(left, right, *(const size_t *)size);
}

static bool same(const uint8_t *left, const uint8_t *right, size_t keys, size_t size)
{
	return memcmp(left, right, keys) == 0 && ((left[size - 1] ^ right[size - 1]) & NFTCODEC_START) == 0;
}

size_t nftcodec_sort(const struct nftcodec_set *set, uint8_t *records, size_t count)
{
	size_t size = nftcodec_record(set), keys = value_at(set), i, kept = 0;

	if (size == 0)
		return 0;
	if (count < MANY || !sort_by_bytes(records, count, size))
		qsort_r(records, count, size, by_all, &size);
	for (i = 0; i < count; i++) {
		uint8_t *next = records + kept * size, *here = records + i * size;

		if (kept > 0 && same(next - size, here, keys, size))
			continue;
		memmove(next, here, size);
		kept++;
	}
	return kept;
}

/* A range's flags, by its start and what comes after it. */
static uint8_t range_flags(uint8_t start, const uint8_t *next)
{
	bool ended = next != NULL && !(*next & NFTCODEC_START);

	return start | (ended ? *next & NFTCODEC_EXPIRES : 0);
}

int64_t nftcodec_pick(const struct nftcodec_set *set, const uint8_t *records, size_t count, uint8_t mask, uint8_t value, uint8_t *packed,
		      size_t size)
{
	size_t record = nftcodec_record(set), keys = value_at(set), stride = keys_of(set) + set->value, used = 0, i;
	bool ranges = set->like & NFTCODEC_RANGES;

	if (record == 0)
		return NFTCODEC_REFUSED;
	for (i = 0; i < count; i++) {
		const uint8_t *here = records + i * record, *next = i + 1 < count ? here + record : NULL;
		uint8_t flags = here[record - 1];

		if (ranges)
			flags = range_flags(flags, next == NULL ? NULL : next + record - 1);
		if ((flags & mask) != value)
			continue;
		if (size - used < stride)
			return NFTCODEC_REFUSED;
		memcpy(packed + used, here, keys);
		if (ranges && next != NULL)
			predecessor(packed + used + keys, next, set->width);
		else if (ranges)
			memset(packed + used + keys, 0xff, set->width);
		memcpy(packed + used + stride - set->value, here + keys, set->value);
		used += stride;
	}
	return used;
}
