/* SPDX-License-Identifier: Apache-2.0 */
/* Record: length:4 crc:4 type:1 payload. The length counts type and payload; the checksum covers
 * them and begins with the serial. */
#include "store/format/log.h"

#include "base/hash.h"
#include "store/format/cut_private.h"

#define MAGIC         "PMBLOG1\n"
#define FRAME_BYTES   8
#define HEADER_USED   (8 + 4 + 16 + 16 + 4 + 16)
#define HEADER_CRC_AT (LOG_HEADER_BYTES - 4)

void log_header_encode(struct buf *out, const struct log_header *header)
{
	char h[LOG_HEADER_BYTES] = { 0 };
	memcpy(h, MAGIC, 8);
	put_le32(h + 8, LOG_VERSION);
	memcpy(h + 12, header->mailbox.bytes, CATALOG_GUID_BYTES);
	memcpy(h + 28, header->boot_id, sizeof(header->boot_id));
	put_le32(h + 44, header->serial);
	memcpy(h + 48, header->base.bytes, CATALOG_NAME_BYTES);
	put_le32(h + HEADER_CRC_AT, hash_crc32c(0, (struct str){ h, HEADER_CRC_AT }));
	put_bytes(out, h, sizeof(h));
}

enum err log_header_cut(struct str *rest, struct log_header *out)
{
	_Static_assert(HEADER_USED <= HEADER_CRC_AT, "the checksum stands at the end");
	const char *h = rest->p;
	if (rest->n < LOG_HEADER_BYTES || memcmp(h, MAGIC, 8) != 0 ||
		hash_crc32c(0, (struct str){ h, HEADER_CRC_AT }) != get_le32(h + HEADER_CRC_AT))
		return ERR_CORRUPT;
	if (get_le32(h + 8) > LOG_VERSION)
		return ERR_UNSUPPORTED;
	memcpy(out->mailbox.bytes, h + 12, CATALOG_GUID_BYTES);
	memcpy(out->boot_id, h + 28, sizeof(out->boot_id));
	out->serial = get_le32(h + 44);
	memcpy(out->base.bytes, h + 48, CATALOG_NAME_BYTES);
	(void)str_take(rest, LOG_HEADER_BYTES);
	return ERR_NONE;
}

static void put_payload(struct buf *out, const struct log_record *r)
{
	switch (r->type) {
	case LOG_ROW:
		buf_put_byte(out, (char)r->row.kind);
		number_put_varint(out, r->row.bucket);
		put_bytes(out, r->row.name.bytes, CATALOG_NAME_BYTES);
		buf_put(out, r->row.value);
		break;
	case LOG_PENDING:
		buf_put(out, r->value);
		break;
	case LOG_JOURNALLED:
	case LOG_RECENT:
	case LOG_WRITER:
	case LOG_SEEN:
		number_put_varint(out, r->number);
		break;
	case LOG_SUMMARY:
		number_put_varint(out, r->uid);
		number_put_varint(out, r->offset);
		number_put_varint(out, r->length);
		break;
	case LOG_CLEAN:
		number_put_varint(out, r->uid);
		number_put_varint(out, r->number);
		put_bytes(out, r->cover.bytes, CATALOG_NAME_BYTES);
		if (r->writer != 0)
			number_put_varint(out, r->writer);
		break;
	}
}

void log_record_encode(struct buf *out, uint32_t serial, const struct log_record *record)
{
	size_t start = out->n;
	char frame[FRAME_BYTES] = { 0 };
	put_bytes(out, frame, sizeof(frame));
	buf_put_byte(out, (char)record->type);
	put_payload(out, record);
	struct str body = { out->p + start + FRAME_BYTES, out->n - start - FRAME_BYTES };
	ASSERT(body.n <= LOG_RECORD_MAX);
	put_le32(out->p + start, (uint32_t)body.n);
	put_le32(out->p + start + 4, hash_crc32c(serial, body));
}

static bool cut_row(struct str *body, struct catalog_row *out)
{
	uint8_t kind;
	if (!cut_u8(body, &kind) || (kind != CATALOG_APPEND && kind != CATALOG_OP) ||
		!cut_u32(body, &out->bucket) ||
		!cut_bytes(body, out->name.bytes, CATALOG_NAME_BYTES))
		return false;
	out->kind = (enum catalog_kind)kind;
	out->value = str_take(body, body->n);
	return true;
}

static bool cut_payload(struct str body, struct log_record *r)
{
	switch (r->type) {
	case LOG_ROW:
		return cut_row(&body, &r->row);
	case LOG_PENDING:
		r->value = body;
		return true;
	case LOG_JOURNALLED:
	case LOG_RECENT:
	case LOG_WRITER:
	case LOG_SEEN:
		return number_cut_varint(&body, &r->number) && body.n == 0;
	case LOG_SUMMARY:
		return cut_u32(&body, &r->uid) && number_cut_varint(&body, &r->offset) &&
		       cut_u32(&body, &r->length) && body.n == 0;
	case LOG_CLEAN:
		return cut_u32(&body, &r->uid) && number_cut_varint(&body, &r->number) &&
		       cut_bytes(&body, r->cover.bytes, CATALOG_NAME_BYTES) &&
		       (body.n == 0 || (cut_u32(&body, &r->writer) && r->writer != 0)) &&
		       body.n == 0;
	}
	return false;
}

bool log_record_cut(struct str *rest, uint32_t serial, struct log_record *out)
{
	struct log_record r = { 0 };
	uint8_t type;
	if (rest->n < FRAME_BYTES)
		return false;
	uint32_t length = get_le32(rest->p);
	if (length == 0 || length > LOG_RECORD_MAX || length > rest->n - FRAME_BYTES)
		return false;
	struct str body = { rest->p + FRAME_BYTES, length };
	if (hash_crc32c(serial, body) != get_le32(rest->p + 4) || !cut_u8(&body, &type))
		return false;
	r.type = (enum log_type)type;
	if (!cut_payload(body, &r))
		return false;
	(void)str_take(rest, FRAME_BYTES + length);
	*out = r;
	return true;
}
