/* SPDX-License-Identifier: Apache-2.0 */
/* File: header (64 bytes), table (32 bytes an entry), sections aligned to 64 bytes.
 *   header:  magic[8] version:4 sections:4 file_bytes:8 mailbox[16] table_crc:4 0:16 header_crc:4
 *   entry:   type:4 items:4 offset:8 length:8 crc:4 0:4 */
#include "store/format/snapshot.h"

#include "base/hash.h"
#include "store/format/cut_private.h"

#define MAGIC        "PMBSNAP\n"
#define HEADER_BYTES 64
#define ENTRY_BYTES  32

static size_t item_bytes(enum snapshot_type type)
{
	switch (type) {
	case SNAPSHOT_HOLES:
		return sizeof(struct snapshot_hole);
	case SNAPSHOT_TOMBSTONES:
		return sizeof(struct snapshot_tombstone);
	case SNAPSHOT_MOVED:
		return sizeof(struct snapshot_moved);
	case SNAPSHOT_FLOORS:
		return sizeof(struct snapshot_floor);
	case SNAPSHOT_BATCHES:
		return sizeof(struct snapshot_batch);
	case SNAPSHOT_STAMPS:
		return sizeof(struct snapshot_stamp);
	case SNAPSHOT_HOT:
		return sizeof(struct snapshot_hot);
	case SNAPSHOT_COLD:
		return sizeof(struct snapshot_cold);
	case SNAPSHOT_META:
	case SNAPSHOT_KEYWORDS:
		break;
	}
	return 0; /* not of fixed size, or of a later version */
}

static size_t align_up(size_t n)
{
	return (n + SNAPSHOT_ALIGN - 1) & ~(size_t)(SNAPSHOT_ALIGN - 1);
}

static void encode_table(char *table, const struct snapshot_section *sections, size_t count)
{
	size_t at = align_up(HEADER_BYTES + count * ENTRY_BYTES);
	for (size_t i = 0; i < count; i++) {
		char *e = table + i * ENTRY_BYTES;
		put_le32(e, (uint32_t)sections[i].type);
		put_le32(e + 4, sections[i].items);
		put_le64(e + 8, at);
		put_le64(e + 16, sections[i].bytes.n);
		put_le32(e + 24, hash_crc32c(0, sections[i].bytes));
		put_le32(e + 28, 0);
		at = align_up(at + sections[i].bytes.n);
	}
}

void snapshot_encode(struct buf *out, struct catalog_guid mailbox,
	const struct snapshot_section *sections, size_t count)
{
	ASSERT(out->n == 0 && count <= SNAPSHOT_SECTIONS_MAX);
	size_t front = align_up(HEADER_BYTES + count * ENTRY_BYTES), total = front;
	for (size_t i = 0; i < count; i++)
		total = align_up(total + sections[i].bytes.n);
	char *p = buf_reserve(out, total);
	memset(p, 0, front);
	encode_table(p + HEADER_BYTES, sections, count);
	memcpy(p, MAGIC, 8);
	put_le32(p + 8, SNAPSHOT_VERSION);
	put_le32(p + 12, (uint32_t)count);
	put_le64(p + 16, total);
	memcpy(p + 24, mailbox.bytes, CATALOG_GUID_BYTES);
	put_le32(p + 40, hash_crc32c(0, (struct str){ p + HEADER_BYTES, count * ENTRY_BYTES }));
	put_le32(p + 60, hash_crc32c(0, (struct str){ p, 60 }));
	size_t at = front;
	for (size_t i = 0; i < count; i++) {
		struct str b = sections[i].bytes;
		size_t end = align_up(at + b.n);
		if (b.n)
			memcpy(p + at, b.p, b.n);
		memset(p + at + b.n, 0, end - at - b.n);
		at = end;
	}
	buf_grew(out, total);
}

struct snapshot_section snapshot_get(struct str file, size_t section)
{
	const char *e = file.p + HEADER_BYTES + section * ENTRY_BYTES;
	return (struct snapshot_section){
		.type = (enum snapshot_type)get_le32(e),
		.items = get_le32(e + 4),
		.bytes = { file.p + get_le64(e + 8), (size_t)get_le64(e + 16) },
	};
}

static bool entry_is_good(struct str file, size_t front, const char *e)
{
	uint64_t offset = get_le64(e + 8), length = get_le64(e + 16), wanted;
	if (offset < front || offset > file.n || offset % SNAPSHOT_ALIGN != 0 ||
		length > file.n - offset)
		return false;
	size_t item = item_bytes((enum snapshot_type)get_le32(e));
	if (item && (mul_overflows((uint64_t)get_le32(e + 4), item, &wanted) || wanted != length))
		return false;
	return hash_crc32c(0, (struct str){ file.p + offset, (size_t)length }) == get_le32(e + 24);
}

enum err snapshot_parse(struct str file, struct catalog_guid mailbox, size_t *out_sections)
{
	if (file.n < HEADER_BYTES || memcmp(file.p, MAGIC, 8) != 0 ||
		hash_crc32c(0, (struct str){ file.p, 60 }) != get_le32(file.p + 60))
		return ERR_CORRUPT;
	if (get_le32(file.p + 8) > SNAPSHOT_VERSION)
		return ERR_UNSUPPORTED;
	uint32_t count = get_le32(file.p + 12);
	if (count > SNAPSHOT_SECTIONS_MAX || get_le64(file.p + 16) != file.n ||
		file.n < align_up(HEADER_BYTES + (size_t)count * ENTRY_BYTES) ||
		memcmp(file.p + 24, mailbox.bytes, CATALOG_GUID_BYTES) != 0)
		return ERR_CORRUPT;
	struct str table = { file.p + HEADER_BYTES, (size_t)count * ENTRY_BYTES };
	if (hash_crc32c(0, table) != get_le32(file.p + 40))
		return ERR_CORRUPT;
	for (size_t i = 0; i < count; i++)
		if (!entry_is_good(
			    file, align_up(HEADER_BYTES + table.n), table.p + i * ENTRY_BYTES))
			return ERR_CORRUPT;
	*out_sections = count;
	return ERR_NONE;
}

void snapshot_meta_encode(struct buf *out, const struct snapshot_meta *meta)
{
	number_put_varint(out, meta->next_uid);
	number_put_varint(out, meta->recent_uid);
	number_put_varint(out, meta->modseq);
	number_put_varint(out, meta->stamp_floor);
	number_put_varint(out, meta->tombstone_floor);
	put_bytes(out, meta->cover.bytes, CATALOG_NAME_BYTES);
}

enum err snapshot_meta_decode(struct str bytes, struct snapshot_meta *out)
{
	struct snapshot_meta m;
	struct str rest = bytes;
	bool ok = cut_u32(&rest, &m.next_uid) && cut_u32(&rest, &m.recent_uid) &&
		  number_cut_varint(&rest, &m.modseq) && number_cut_varint(&rest, &m.stamp_floor) &&
		  number_cut_varint(&rest, &m.tombstone_floor) &&
		  cut_bytes(&rest, m.cover.bytes, CATALOG_NAME_BYTES) && rest.n == 0;
	if (!ok || m.next_uid == 0)
		return ERR_CORRUPT;
	*out = m;
	return ERR_NONE;
}

bool snapshot_keyword_next(struct str *rest, struct str *out)
{
	return cut_counted(rest, ROW_KEYWORD_MAX, out) && out->n > 0;
}
