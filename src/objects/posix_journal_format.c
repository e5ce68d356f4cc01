/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of an object journal: a header, groups of records with a checksum each. Total: any bytes
 * are read as the groups at their beginning. */
#include "base/hash.h"
#include "base/number.h"
#include "objects/objects_private.h"
#include "objects/posix_journal.h"

#define GROUP_MAGIC  0x4a4f4731u
#define RECORD_BYTES 8 /* type, zero, key length; body length */

void journal_header_encode(char out[JOURNAL_HEADER_BYTES])
{
	memcpy(out, JOURNAL_VERSION_LINE "1", JOURNAL_HEADER_BYTES);
}

enum err journal_header_cut(struct str *rest)
{
	struct str header = str_take(rest, JOURNAL_HEADER_BYTES);
	if (header.n < JOURNAL_HEADER_BYTES || !str_starts(header, STR(JOURNAL_VERSION_LINE)))
		return ERR_CORRUPT;
	return header.p[JOURNAL_HEADER_BYTES - 1] == '1' ? ERR_NONE : ERR_UNSUPPORTED;
}

void journal_group_encode(char out[JOURNAL_GROUP_BYTES], uint64_t epoch, struct str records)
{
	put_le32(out, GROUP_MAGIC);
	put_le32(out + 4, (uint32_t)records.n);
	put_le64(out + 8, epoch);
	put_le32(out + 16, hash_crc32c(0, (struct str){ out, 16 }));
	put_le32(out + 20, hash_crc32c(0, records));
}

bool journal_group_cut(struct str *rest, uint64_t *out_epoch, struct str *out_records)
{
	if (rest->n < JOURNAL_GROUP_BYTES)
		return false;
	const char *p = rest->p;
	uint32_t n = get_le32(p + 4);
	if (get_le32(p) != GROUP_MAGIC ||
		get_le32(p + 16) != hash_crc32c(0, (struct str){ p, 16 }) ||
		rest->n - JOURNAL_GROUP_BYTES < n)
		return false;
	struct str records = { p + JOURNAL_GROUP_BYTES, n };
	if (get_le32(p + 20) != hash_crc32c(0, records))
		return false;
	*out_epoch = get_le64(p + 8);
	*out_records = records;
	(void)str_take(rest, JOURNAL_GROUP_BYTES + (size_t)n);
	return true;
}

void journal_record_encode(struct buf *out, const struct journal_record *r)
{
	char head[RECORD_BYTES] = { (char)r->type };
	ASSERT(r->key.n <= OBJECTS_KEY_MAX && r->body.n <= JOURNAL_BODY_MAX);
	put_le16(head + 2, (uint16_t)r->key.n);
	put_le32(head + 4, (uint32_t)r->body.n);
	buf_put(out, (struct str){ head, sizeof(head) });
	buf_put(out, r->key);
	buf_put(out, r->body);
}

bool journal_record_cut(struct str *records, struct journal_record *out)
{
	struct str head = str_take(records, RECORD_BYTES);
	if (head.n < RECORD_BYTES)
		return false;
	size_t key = get_le16(head.p + 2), body = get_le32(head.p + 4);
	*out = (struct journal_record){ .type = (enum journal_type)(unsigned char)head.p[0] };
	if ((out->type != JOURNAL_PUT && out->type != JOURNAL_REMOVE) || records->n < key ||
		records->n - key < body)
		return false;
	out->key = str_take(records, key);
	out->body = str_take(records, body);
	return objects_key_is_valid(out->key);
}
