/* SPDX-License-Identifier: Apache-2.0 */
/* Append rows, and what encoders and decoders of op rows have in common (row_op.c has the rest). */
#include "store/format/row.h"

#include "store/format/cut_private.h"
#include "store/format/row_private.h"

#define APPEND_HAS_BATCH   1
#define APPEND_HAS_SUMMARY 2
#define STORABLE_FLAGS     0x1fu

static void put_wall(struct buf *out, int64_t wall_us)
{
	/* Zigzag: dates before 1970 are legal. */
	number_put_varint(out, ((uint64_t)wall_us << 1) ^ (uint64_t)(wall_us >> 63));
}

static bool cut_wall(struct str *rest, int64_t *out)
{
	uint64_t v;
	if (!number_cut_varint(rest, &v))
		return false;
	*out = (int64_t)((v >> 1) ^ (~(v & 1) + 1));
	return true;
}

void row_put_keywords(struct buf *out, const struct str *keywords, size_t count)
{
	number_put_varint(out, count);
	for (size_t i = 0; i < count; i++)
		put_counted(out, keywords[i]);
}

bool row_cut_keywords(struct str *rest, struct str *out, size_t *out_count)
{
	uint64_t count;
	if (!number_cut_varint(rest, &count) || count > ROW_KEYWORDS_MAX)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!cut_counted(rest, ROW_KEYWORD_MAX, &out[i]) || out[i].n == 0)
			return false;
	*out_count = (size_t)count;
	return true;
}

void row_append_encode(struct buf *out, const struct row_append *row)
{
	bool has_summary = row->summary.n > 0;
	buf_put_byte(out, ROW_VERSION);
	buf_put_byte(out, (char)((row->has_batch ? APPEND_HAS_BATCH : 0) |
				  (has_summary ? APPEND_HAS_SUMMARY : 0)));
	number_put_varint(out, row->uid);
	number_put_varint(out, row->modseq);
	put_bytes(out, row->oid.bytes, ROW_ID_BYTES);
	number_put_varint(out, row->offset);
	number_put_varint(out, row->length);
	put_bytes(out, row->guid.bytes, ROW_ID_BYTES);
	buf_put_byte(out, (char)row->flags);
	row_put_keywords(out, row->keywords, row->keyword_count);
	put_wall(out, row->received_wall_us);
	put_wall(out, row->saved_wall_us);
	number_put_varint(out, row->size_physical);
	number_put_varint(out, row->size_virtual);
	if (row->has_batch)
		put_bytes(out, row->batch.bytes, ROW_ID_BYTES);
	if (has_summary)
		put_counted(out, row->summary);
}

size_t row_append_fading(const struct row_append *row)
{
	size_t length_bytes = 1;
	for (size_t n = row->summary.n; n > 0x7f; n >>= 7)
		length_bytes++;
	return row->summary.n > 0 ? length_bytes + row->summary.n : 0;
}

enum err row_check_version(struct str *rest)
{
	uint8_t version;
	if (!cut_u8(rest, &version) || version == 0)
		return ERR_CORRUPT;
	return version > ROW_VERSION ? ERR_UNSUPPORTED : ERR_NONE;
}

static bool cut_size(struct str *rest, uint64_t *out)
{
	return number_cut_varint(rest, out) && *out <= ROW_MESSAGE_SIZE_MAX;
}

enum err row_append_decode(struct str value, struct row_append *out)
{
	struct row_append row = { 0 };
	struct str rest = value;
	uint8_t parts, flags;
	TRY(row_check_version(&rest));
	bool ok = cut_u8(&rest, &parts) && parts <= (APPEND_HAS_BATCH | APPEND_HAS_SUMMARY) &&
		  cut_u32(&rest, &row.uid) && number_cut_varint(&rest, &row.modseq) &&
		  cut_bytes(&rest, row.oid.bytes, ROW_ID_BYTES) && cut_size(&rest, &row.offset) &&
		  cut_size(&rest, &row.length) && cut_bytes(&rest, row.guid.bytes, ROW_ID_BYTES) &&
		  cut_u8(&rest, &flags) && (flags & ~STORABLE_FLAGS) == 0 &&
		  row_cut_keywords(&rest, row.keywords, &row.keyword_count) &&
		  cut_wall(&rest, &row.received_wall_us) && cut_wall(&rest, &row.saved_wall_us) &&
		  cut_size(&rest, &row.size_physical) && cut_size(&rest, &row.size_virtual);
	if (!ok)
		return ERR_CORRUPT;
	row.flags = flags;
	row.has_batch = (parts & APPEND_HAS_BATCH) != 0;
	if (row.has_batch && !cut_bytes(&rest, row.batch.bytes, ROW_ID_BYTES))
		return ERR_CORRUPT;
	/* It may have faded: then all of it is gone. */
	if ((parts & APPEND_HAS_SUMMARY) && rest.n > 0 &&
		(!cut_counted(&rest, SIZE_MAX, &row.summary) || row.summary.n == 0))
		return ERR_CORRUPT;
	/* Rows of a batch wait for their modseq. */
	if (rest.n > 0 || row.uid == 0 || (row.has_batch && row.modseq > 0))
		return ERR_CORRUPT;
	*out = row;
	return ERR_NONE;
}
