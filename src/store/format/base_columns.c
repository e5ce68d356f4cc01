/* SPDX-License-Identifier: Apache-2.0 */
/* Columns: one field of all mails behind each other, as differences to the mail before, so that what
 * rises steadily is a byte or two and what is the same compresses to nothing. Names are four columns:
 * time, counter, writer (a number into a table of writers) and the random part.
 *
 *   hot:   uid (its distance - 1) | flags | modseq | how many have keywords, then where and which
 *   cold:  names | which of guid and object id are the same, object ids, guids that differ |
 *          saved (against the name's time) | received (against saved) | bucket | offset |
 *          physical size | virtual size and length (against it) */
#include "store/format/base.h"

#include "base/hash.h"
#include "store/format/cut_private.h"

#define WRITERS_MAX 256 /* of a table; the others are written out */

/* ---- differences ---- */

static void put_difference(struct buf *out, uint64_t value, uint64_t before)
{
	uint64_t d = value - before;
	number_put_varint(out, d << 1 ^ (d >> 63 ? UINT64_MAX : 0));
}

static bool cut_difference(struct str *rest, uint64_t before, uint64_t *out)
{
	uint64_t v;
	if (!number_cut_varint(rest, &v))
		return false;
	*out = before + (v >> 1 ^ (v & 1 ? UINT64_MAX : 0));
	return true;
}

static bool cut_difference_u32(struct str *rest, uint32_t before, uint32_t *out)
{
	uint64_t v;
	if (!cut_difference(rest, before, &v) || v > UINT32_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}

/* ---- names ---- */

#define MS_BYTES      6
#define COUNTER_BYTES 2
#define WRITER_BYTES  4
#define WRITER_AT     (MS_BYTES + COUNTER_BYTES)
#define RANDOM_AT     (WRITER_AT + WRITER_BYTES)
#define RANDOM_BYTES  (CATALOG_NAME_BYTES - RANDOM_AT)

/* A column's items are structs of `stride` bytes, in which the name stands at the pointer given. */
struct names {
	const char *at;
	size_t stride, count;
};

static const uint8_t *name_bytes(const struct names *n, size_t i)
{
	return (const uint8_t *)n->at + i * n->stride;
}

static uint64_t be_number(const uint8_t *p, size_t n)
{
	uint64_t v = 0;
	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static void put_be_number(uint8_t *p, size_t n, uint64_t v)
{
	for (size_t i = n; i > 0; i--, v >>= 8)
		p[i - 1] = (uint8_t)v;
}

static void put_writers(struct buf *out, const struct names *n)
{
	uint64_t table[WRITERS_MAX];
	size_t known = 0;
	for (size_t i = 0; i < n->count; i++) {
		uint64_t writer = be_number(name_bytes(n, i) + WRITER_AT, WRITER_BYTES);
		size_t at = 0;
		while (at < known && table[at] != writer)
			at++;
		number_put_varint(out, at); /* one that is new comes with itself */
		if (at < known)
			continue;
		number_put_varint(out, writer);
		if (known < WRITERS_MAX)
			table[known++] = writer;
	}
}

static bool cut_writers(struct str *rest, const struct names *n, uint8_t *items)
{
	uint64_t table[WRITERS_MAX], at, writer;
	size_t known = 0;
	for (size_t i = 0; i < n->count; i++) {
		if (!number_cut_varint(rest, &at) || at > known)
			return false;
		if (at < known) {
			writer = table[at];
		} else if (!number_cut_varint(rest, &writer) || writer > UINT32_MAX) {
			return false;
		} else if (known < WRITERS_MAX) {
			table[known++] = writer;
		}
		put_be_number(items + i * n->stride + WRITER_AT, WRITER_BYTES, writer);
	}
	return true;
}

static void put_names(struct buf *out, const struct names *n)
{
	uint64_t before = 0;
	for (size_t i = 0; i < n->count; i++) {
		uint64_t ms = be_number(name_bytes(n, i), MS_BYTES);
		put_difference(out, ms, before);
		before = ms;
	}
	for (size_t i = 0; i < n->count; i++)
		number_put_varint(out, be_number(name_bytes(n, i) + MS_BYTES, COUNTER_BYTES));
	put_writers(out, n);
	for (size_t i = 0; i < n->count; i++)
		put_bytes(out, name_bytes(n, i) + RANDOM_AT, RANDOM_BYTES);
}

/* `items` is where the first name goes; the others a stride behind each other. */
static bool cut_names(struct str *rest, uint8_t *items, size_t stride, size_t count)
{
	struct names n = { (const char *)items, stride, count };
	uint64_t ms = 0, counter;
	for (size_t i = 0; i < count; i++) {
		if (!cut_difference(rest, ms, &ms) || ms >> 48)
			return false;
		put_be_number(items + i * stride, MS_BYTES, ms);
	}
	for (size_t i = 0; i < count; i++) {
		if (!number_cut_varint(rest, &counter) || counter > UINT16_MAX)
			return false;
		put_be_number(items + i * stride + MS_BYTES, COUNTER_BYTES, counter);
	}
	if (!cut_writers(rest, &n, items))
		return false;
	for (size_t i = 0; i < count; i++)
		if (!cut_bytes(rest, items + i * stride + RANDOM_AT, RANDOM_BYTES))
			return false;
	return true;
}

/* ---- tombstones, stamps ---- */

void base_tombstones_encode(struct buf *out, const struct snapshot_tombstone *items, size_t count)
{
	uint64_t before = 0;
	uint32_t uid = 0;
	for (size_t i = 0; i < count; before = items[i++].modseq)
		put_difference(out, items[i].modseq, before);
	for (size_t i = 0; i < count; uid = items[i++].uid)
		put_difference(out, items[i].uid, uid);
	if (count > 0)
		put_names(out, &(struct names){
				       (const char *)items[0].name.bytes, sizeof(*items), count });
}

enum err base_tombstones_decode(struct str bytes, struct snapshot_tombstone *out, size_t count)
{
	struct str rest = bytes;
	uint64_t modseq = 0;
	uint32_t uid = 0;
	for (size_t i = 0; i < count; i++) {
		if (!cut_difference(&rest, modseq, &modseq))
			return ERR_CORRUPT;
		out[i] = (struct snapshot_tombstone){ .modseq = modseq };
	}
	for (size_t i = 0; i < count; i++) {
		if (!cut_difference_u32(&rest, uid, &uid))
			return ERR_CORRUPT;
		out[i].uid = uid;
	}
	bool ok = count == 0 || cut_names(&rest, out[0].name.bytes, sizeof(*out), count);
	return ok && rest.n == 0 ? ERR_NONE : ERR_CORRUPT;
}

void base_stamps_encode(struct buf *out, const struct snapshot_stamp *items, size_t count)
{
	uint64_t stamp = 0;
	uint32_t uid = 0;
	for (size_t i = 0; i < count; i++) {
		put_difference(out, items[i].stamp, stamp);
		put_difference(out, items[i].uid, uid);
		buf_put_byte(out, (char)items[i].bit);
		stamp = items[i].stamp;
		uid = items[i].uid;
	}
}

enum err base_stamps_decode(struct str bytes, struct snapshot_stamp *out, size_t count)
{
	struct str rest = bytes;
	uint64_t stamp = 0;
	uint32_t uid = 0;
	for (size_t i = 0; i < count; i++) {
		uint8_t bit;
		if (!cut_difference(&rest, stamp, &stamp) ||
			!cut_difference_u32(&rest, uid, &uid) || !cut_u8(&rest, &bit) || bit > 127)
			return ERR_CORRUPT;
		out[i] = (struct snapshot_stamp){ stamp, uid, bit };
	}
	return rest.n == 0 ? ERR_NONE : ERR_CORRUPT;
}

/* ---- hot ---- */

void base_hot_encode(struct buf *out, const struct snapshot_hot *items, size_t count)
{
	uint64_t modseq = 0;
	size_t last = 0, with = 0;
	for (size_t i = 0; i < count; i++)
		number_put_varint(out, items[i].uid - (i ? items[i - 1].uid : 0) - 1);
	for (size_t i = 0; i < count; i++)
		buf_put_byte(out, (char)items[i].flags);
	for (size_t i = 0; i < count; modseq = items[i++].modseq)
		put_difference(out, items[i].modseq, modseq);
	for (size_t i = 0; i < count; i++)
		with += items[i].keywords != 0;
	number_put_varint(out, with);
	for (size_t i = 0; i < count; i++) {
		if (items[i].keywords == 0)
			continue;
		number_put_varint(out, i - last);
		number_put_varint(out, items[i].keywords);
		last = i;
	}
}

static bool cut_keywords(struct str *rest, struct snapshot_hot *out, size_t count)
{
	uint64_t with, skip, at = 0;
	if (!number_cut_varint(rest, &with) || with > count)
		return false;
	for (uint64_t i = 0; i < with; i++) {
		if (!number_cut_varint(rest, &skip) || skip >= count - at || (i > 0 && skip == 0))
			return false;
		at += skip;
		if (!number_cut_varint(rest, &out[at].keywords))
			return false;
	}
	return true;
}

enum err base_hot_decode(struct str bytes, struct snapshot_hot *out, size_t count)
{
	struct str rest = bytes;
	uint64_t uid = 0, modseq = 0;
	for (size_t i = 0; i < count; i++) {
		if (!cut_next_uid(&rest, &uid))
			return ERR_CORRUPT;
		out[i] = (struct snapshot_hot){ .uid = (uint32_t)uid };
	}
	for (size_t i = 0; i < count; i++)
		if (!cut_u8(&rest, &out[i].flags))
			return ERR_CORRUPT;
	for (size_t i = 0; i < count; i++) {
		if (!cut_difference(&rest, modseq, &modseq))
			return ERR_CORRUPT;
		out[i].modseq = modseq;
	}
	return cut_keywords(&rest, out, count) && rest.n == 0 ? ERR_NONE : ERR_CORRUPT;
}

/* ---- cold ---- */

static bool has_own_guid(const struct snapshot_cold *c)
{
	return memcmp(&c->guid, &c->oid, sizeof(c->guid)) != 0;
}

static uint64_t name_us(const struct snapshot_cold *c)
{
	return be_number(c->name.bytes, MS_BYTES) * 1000;
}

static void put_ids(struct buf *out, const struct snapshot_cold *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		buf_put_byte(out, has_own_guid(&items[i]) ? 1 : 0);
	for (size_t i = 0; i < count; i++)
		put_bytes(out, items[i].oid.bytes, ROW_ID_BYTES);
	for (size_t i = 0; i < count; i++)
		if (has_own_guid(&items[i]))
			put_bytes(out, items[i].guid.bytes, ROW_ID_BYTES);
}

static bool cut_ids(struct str *rest, struct snapshot_cold *out, size_t count)
{
	struct str own = str_take(rest, count);
	if (own.n < count)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!cut_bytes(rest, out[i].oid.bytes, ROW_ID_BYTES))
			return false;
		out[i].guid = out[i].oid;
	}
	for (size_t i = 0; i < count; i++)
		if (own.p[i] && !cut_bytes(rest, out[i].guid.bytes, ROW_ID_BYTES))
			return false;
	return true;
}

void base_cold_encode(struct buf *out, const struct snapshot_cold *items, size_t count)
{
	uint32_t bucket = 0;
	if (count == 0)
		return;
	put_names(out, &(struct names){ (const char *)items[0].name.bytes, sizeof(*items), count });
	put_ids(out, items, count);
	for (size_t i = 0; i < count; i++)
		put_difference(out, (uint64_t)items[i].saved_wall_us, name_us(&items[i]));
	for (size_t i = 0; i < count; i++)
		put_difference(
			out, (uint64_t)items[i].received_wall_us, (uint64_t)items[i].saved_wall_us);
	for (size_t i = 0; i < count; bucket = items[i++].bucket)
		put_difference(out, items[i].bucket, bucket);
	for (size_t i = 0; i < count; i++)
		number_put_varint(out, items[i].offset);
	for (size_t i = 0; i < count; i++)
		number_put_varint(out, items[i].size_physical);
	for (size_t i = 0; i < count; i++)
		put_difference(out, items[i].size_virtual, items[i].size_physical);
	for (size_t i = 0; i < count; i++)
		put_difference(out, items[i].length, items[i].size_physical);
}

static bool cut_dates(struct str *rest, struct snapshot_cold *out, size_t count)
{
	uint64_t v;
	for (size_t i = 0; i < count; i++) {
		if (!cut_difference(rest, name_us(&out[i]), &v))
			return false;
		out[i].saved_wall_us = (int64_t)v;
	}
	for (size_t i = 0; i < count; i++) {
		if (!cut_difference(rest, (uint64_t)out[i].saved_wall_us, &v))
			return false;
		out[i].received_wall_us = (int64_t)v;
	}
	return true;
}

static bool cut_sizes(struct str *rest, struct snapshot_cold *out, size_t count)
{
	uint32_t bucket = 0;
	for (size_t i = 0; i < count; i++) {
		if (!cut_difference_u32(rest, bucket, &bucket))
			return false;
		out[i].bucket = bucket;
	}
	for (size_t i = 0; i < count; i++)
		if (!cut_u32(rest, &out[i].offset))
			return false;
	for (size_t i = 0; i < count; i++)
		if (!cut_u32(rest, &out[i].size_physical))
			return false;
	for (size_t i = 0; i < count; i++)
		if (!cut_difference_u32(rest, out[i].size_physical, &out[i].size_virtual))
			return false;
	for (size_t i = 0; i < count; i++)
		if (!cut_difference_u32(rest, out[i].size_physical, &out[i].length))
			return false;
	return true;
}

enum err base_cold_decode(struct str bytes, struct snapshot_cold *out, size_t count)
{
	struct str rest = bytes;
	memset(out, 0, count * sizeof(*out));
	bool ok =
		count == 0 || (cut_names(&rest, out[0].name.bytes, sizeof(*out), count) &&
				      cut_ids(&rest, out, count) && cut_dates(&rest, out, count) &&
				      cut_sizes(&rest, out, count));
	return ok && rest.n == 0 ? ERR_NONE : ERR_CORRUPT;
}

/* ---- summaries ---- */

uint32_t base_summary_check(struct catalog_name mail)
{
	return hash_crc32c(0, (struct str){ (const char *)mail.bytes, sizeof(mail.bytes) });
}

void base_summaries_encode(struct buf *out, const struct base_summary *items, size_t count)
{
	char fixed[8];
	for (size_t i = 0; i < count; i++)
		number_put_varint(out, items[i].uid - (i ? items[i - 1].uid : 0) - 1);
	for (size_t i = 0; i < count; i++)
		number_put_varint(out, items[i].length);
	for (size_t i = 0; i < count; i++) {
		put_le32(fixed, items[i].check);
		put_le32(fixed + 4, items[i].crc);
		put_bytes(out, fixed, sizeof(fixed));
	}
}

enum err base_summaries_decode(struct str bytes, struct base_summary *out, size_t count)
{
	struct str rest = bytes;
	uint64_t uid = 0;
	char fixed[8];
	for (size_t i = 0; i < count; i++) {
		if (!cut_next_uid(&rest, &uid))
			return ERR_CORRUPT;
		out[i] = (struct base_summary){ .uid = (uint32_t)uid };
	}
	for (size_t i = 0; i < count; i++)
		if (!cut_u32(&rest, &out[i].length))
			return ERR_CORRUPT;
	for (size_t i = 0; i < count; i++) {
		if (!cut_bytes(&rest, fixed, sizeof(fixed)))
			return ERR_CORRUPT;
		out[i].check = get_le32(fixed);
		out[i].crc = get_le32(fixed + 4);
	}
	return rest.n == 0 ? ERR_NONE : ERR_CORRUPT;
}
