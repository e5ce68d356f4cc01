/* SPDX-License-Identifier: Apache-2.0 */
/* Base files, manifests and heads of bases.
 *   header:  magic[8] version:4 sections:4 file_bytes:8 mailbox[16] table_crc:4 header_crc:4
 *   entry:   type:4 items:4 length:8 crc:4
 *   sections one behind the other */
#include "store/format/base.h"

#include <stdio.h>

#include "base/hash.h"
#include "store/format/cut_private.h"

#define MAGIC             "PMBBASE\n"
#define CRC_AT            (BASE_HEADER_BYTES - 4)
#define TABLE_AT          (BASE_HEADER_BYTES - 8)
#define HEAD_BASE_VERSION 1

/* ---- files ---- */

void base_file_encode(struct buf *out, struct catalog_guid mailbox,
	const struct base_section *sections, size_t count)
{
	ASSERT(out->n == 0 && count <= BASE_SECTIONS_MAX);
	size_t front = BASE_HEADER_BYTES + count * BASE_ENTRY_BYTES, total = front;
	for (size_t i = 0; i < count; i++)
		total += sections[i].bytes.n;
	char *p = buf_reserve(out, total), *at = p + front;
	for (size_t i = 0; i < count; i++) {
		char *e = p + BASE_HEADER_BYTES + i * BASE_ENTRY_BYTES;
		struct str bytes = sections[i].bytes;
		put_le32(e, (uint32_t)sections[i].type);
		put_le32(e + 4, sections[i].items);
		put_le64(e + 8, bytes.n);
		put_le32(e + 16, hash_crc32c(0, bytes));
		if (bytes.n)
			memcpy(at, bytes.p, bytes.n);
		at += bytes.n;
	}
	memcpy(p, MAGIC, 8);
	put_le32(p + 8, BASE_VERSION);
	put_le32(p + 12, (uint32_t)count);
	put_le64(p + 16, total);
	memcpy(p + 24, mailbox.bytes, CATALOG_GUID_BYTES);
	struct str table = { p + BASE_HEADER_BYTES, front - BASE_HEADER_BYTES };
	put_le32(p + TABLE_AT, hash_crc32c(0, table));
	put_le32(p + CRC_AT, hash_crc32c(0, (struct str){ p, CRC_AT }));
	buf_grew(out, total);
}

enum err base_file_parse(
	struct str file, struct catalog_guid mailbox, struct base_section *out, size_t *out_count)
{
	if (file.n < BASE_HEADER_BYTES || memcmp(file.p, MAGIC, 8) != 0 ||
		hash_crc32c(0, (struct str){ file.p, CRC_AT }) != get_le32(file.p + CRC_AT))
		return ERR_CORRUPT;
	if (get_le32(file.p + 8) > BASE_VERSION)
		return ERR_UNSUPPORTED;
	uint32_t count = get_le32(file.p + 12);
	struct str rest = file;
	(void)str_take(&rest, BASE_HEADER_BYTES);
	if (count > BASE_SECTIONS_MAX || get_le64(file.p + 16) != file.n ||
		rest.n < (size_t)count * BASE_ENTRY_BYTES ||
		memcmp(file.p + 24, mailbox.bytes, CATALOG_GUID_BYTES) != 0)
		return ERR_CORRUPT;
	struct str table = str_take(&rest, (size_t)count * BASE_ENTRY_BYTES);
	if (hash_crc32c(0, table) != get_le32(file.p + TABLE_AT))
		return ERR_CORRUPT;
	for (uint32_t i = 0; i < count; i++) {
		const char *e = table.p + i * BASE_ENTRY_BYTES;
		uint64_t length = get_le64(e + 8);
		if (length > rest.n)
			return ERR_CORRUPT;
		out[i] = (struct base_section){ .type = (enum base_type)get_le32(e),
			.items = get_le32(e + 4),
			.bytes = str_take(&rest, (size_t)length) };
		if (hash_crc32c(0, out[i].bytes) != get_le32(e + 16) ||
			!base_count_is_possible(&out[i]))
			return ERR_CORRUPT;
	}
	*out_count = count;
	return rest.n == 0 ? ERR_NONE : ERR_CORRUPT;
}

bool base_count_is_possible(const struct base_section *s)
{
	static const uint8_t least_bytes[] = { [BASE_TOMBSTONES] = 9,
		[BASE_STAMPS] = 3,
		[BASE_HOT] = 3,
		[BASE_COLD] = 32,
		[BASE_SUMMARIES] = 10,
		[BASE_MOVED] = 48,
		[BASE_FLOORS] = 32,
		[BASE_BATCHES] = 48 };
	size_t least = (size_t)s->type < ARRAY_COUNT(least_bytes) ? least_bytes[s->type] : 0;
	bool is_block = s->type == BASE_HOT || s->type == BASE_COLD || s->type == BASE_SUMMARIES;
	uint32_t limit = is_block ? BASE_BLOCK_MAILS : BASE_LIST_MAX;
	return s->items <= limit && s->items <= s->bytes.n / MAX(least, 1);
}

/* ---- meta, segments ---- */

void base_name_encode(struct buf *out, const struct base_name *name)
{
	put_counted(out, name->name);
	put_counted(out, name->special_use);
}

enum err base_name_decode(struct str bytes, struct base_name *out)
{
	struct base_name name;
	if (!cut_counted(&bytes, ROW_TREE_NAME_MAX, &name.name) ||
		!cut_counted(&bytes, ROW_SPECIAL_USE_MAX, &name.special_use) || bytes.n > 0)
		return ERR_CORRUPT;
	*out = name;
	return ERR_NONE;
}

void base_meta_encode(struct buf *out, const struct base_meta *meta)
{
	number_put_varint(out, meta->next_uid);
	number_put_varint(out, meta->recent_uid);
	number_put_varint(out, meta->uid_validity);
	number_put_varint(out, meta->modseq);
	number_put_varint(out, meta->stamp_floor);
	number_put_varint(out, meta->tombstone_floor);
	put_bytes(out, meta->cover.bytes, CATALOG_NAME_BYTES);
	number_put_varint(out, (uint64_t)meta->made_wall_us);
	number_put_varint(out, meta->messages);
	number_put_varint(out, meta->summary_uid);
}

static bool cut_wall(struct str *rest, int64_t *out)
{
	uint64_t v;
	if (!number_cut_varint(rest, &v) || v > INT64_MAX)
		return false;
	*out = (int64_t)v;
	return true;
}

enum err base_meta_decode(struct str bytes, struct base_meta *out)
{
	struct base_meta m;
	struct str rest = bytes;
	bool ok = cut_u32(&rest, &m.next_uid) && cut_u32(&rest, &m.recent_uid) &&
		  cut_u32(&rest, &m.uid_validity) && number_cut_varint(&rest, &m.modseq) &&
		  number_cut_varint(&rest, &m.stamp_floor) &&
		  number_cut_varint(&rest, &m.tombstone_floor) &&
		  cut_bytes(&rest, m.cover.bytes, CATALOG_NAME_BYTES) &&
		  cut_wall(&rest, &m.made_wall_us) && cut_u32(&rest, &m.messages) &&
		  cut_u32(&rest, &m.summary_uid) && rest.n == 0;
	if (!ok || m.next_uid == 0)
		return ERR_CORRUPT;
	*out = m;
	return ERR_NONE;
}

void base_segment_encode(struct buf *out, const struct base_segment *s)
{
	buf_put_byte(out, (char)s->type);
	buf_put_byte(out, s->is_retired ? 1 : 0);
	put_bytes(out, s->id.bytes, ROW_ID_BYTES);
	number_put_varint(out, s->first_uid);
	number_put_varint(out, s->last_uid);
	number_put_varint(out, s->count);
	number_put_varint(out, s->bytes);
	number_put_varint(out, s->hash);
}

bool base_segment_next(struct str *rest, struct base_segment *out)
{
	struct str at = *rest;
	struct base_segment s = { 0 };
	uint8_t type, bits;
	if (!cut_u8(&at, &type) || !cut_u8(&at, &bits) ||
		!cut_bytes(&at, s.id.bytes, ROW_ID_BYTES) || !cut_u32(&at, &s.first_uid) ||
		!cut_u32(&at, &s.last_uid) || !cut_u32(&at, &s.count) ||
		!number_cut_varint(&at, &s.bytes) || !number_cut_varint(&at, &s.hash))
		return false;
	s.type = (enum base_type)type;
	s.is_retired = bits & 1;
	if (bits > 1 || s.first_uid > s.last_uid || s.count > BASE_BLOCK_MAILS ||
		(s.type != BASE_HOT && s.type != BASE_COLD && s.type != BASE_SUMMARIES))
		return false;
	*out = s;
	*rest = at;
	return true;
}

/* ---- the head ---- */

struct str head_base_key(uint32_t writer, char key[HEAD_BASE_SIZE])
{
	int n = writer == 0 ? snprintf(key, HEAD_BASE_SIZE, HEAD_BASE)
			    : snprintf(key, HEAD_BASE_SIZE, HEAD_BASE "/%08" PRIx32, writer);
	return (struct str){ key, (size_t)n };
}

bool head_is_base_key(struct str key, uint32_t *out_writer)
{
	uint64_t writer = 0;
	bool is_plain = str_eq(key, STR(HEAD_BASE));
	if (!is_plain && (!str_skip(&key, STR(HEAD_BASE "/")) || key.n != 8 ||
				 !number_parse_hex_u64(key, &writer)))
		return false;
	*out_writer = (uint32_t)writer;
	return true;
}

static void put_place(struct buf *out, const struct head_base_place *p)
{
	put_bytes(out, p->id.bytes, ROW_ID_BYTES);
	put_bytes(out, p->cover.bytes, CATALOG_NAME_BYTES);
	number_put_varint(out, (uint64_t)p->made_wall_us);
}

static bool cut_place(struct str *rest, struct head_base_place *out)
{
	return cut_bytes(rest, out->id.bytes, ROW_ID_BYTES) &&
	       cut_bytes(rest, out->cover.bytes, CATALOG_NAME_BYTES) &&
	       cut_wall(rest, &out->made_wall_us);
}

void head_base_encode(struct buf *out, const struct head_base *head)
{
	buf_put_byte(out, HEAD_BASE_VERSION);
	put_place(out, &head->base);
	put_place(out, &head->previous);
	put_place(out, &head->drop);
	put_bytes(out, head->dropped.bytes, CATALOG_NAME_BYTES);
	number_put_varint(out, head->dropped_bucket);
	number_put_varint(out, head->bucket);
	buf_put_byte(out, head->has_own_flags ? 1 : 0);
	number_put_varint(out, head->next_uid);
	number_put_varint(out, head->recent_uid);
	number_put_varint(out, head->modseq);
	head_counters_encode(out, &head->counters);
}

enum err head_base_decode(struct str value, struct head_base *out)
{
	struct head_base h = { 0 };
	struct str rest = value;
	uint8_t version, bits;
	if (!cut_u8(&rest, &version) || version == 0)
		return ERR_CORRUPT;
	if (version > HEAD_BASE_VERSION)
		return ERR_UNSUPPORTED;
	bool ok = cut_place(&rest, &h.base) && cut_place(&rest, &h.previous) &&
		  cut_place(&rest, &h.drop) &&
		  cut_bytes(&rest, h.dropped.bytes, CATALOG_NAME_BYTES) &&
		  cut_u32(&rest, &h.dropped_bucket) && cut_u32(&rest, &h.bucket) &&
		  cut_u8(&rest, &bits) && bits <= 1 && cut_u32(&rest, &h.next_uid) &&
		  cut_u32(&rest, &h.recent_uid) && number_cut_varint(&rest, &h.modseq) &&
		  head_counters_cut(&rest, &h.counters) && rest.n == 0;
	if (!ok || row_id_is_none(&h.base.id))
		return ERR_CORRUPT;
	h.has_own_flags = bits != 0;
	*out = h;
	return ERR_NONE;
}

bool row_id_is_none(const struct row_id *id)
{
	static const struct row_id none;
	return memcmp(id, &none, sizeof(none)) == 0;
}
