/* SPDX-License-Identifier: Apache-2.0 */
/* Heads are small and rewritten as a whole: one version byte, then fields in a fixed order. */
#include "store/format/head.h"

#include <stdio.h>

#include "store/format/cut_private.h"

#define WRITER_IS_OPEN        1
#define WRITER_MAY_LOSE_FLAGS 2

struct str head_writer_key(uint32_t writer, char key[HEAD_OPEN_SIZE])
{
	int n = snprintf(key, HEAD_OPEN_SIZE, HEAD_OPEN "%08" PRIx32, writer);
	return (struct str){ key, (size_t)n };
}

static bool key_has_writer(struct str key, struct str before, uint32_t *out_writer)
{
	uint64_t writer;
	if (!str_skip(&key, before) || key.n != 8 || !number_parse_hex_u64(key, &writer))
		return false;
	*out_writer = (uint32_t)writer;
	return true;
}

bool head_is_writer_key(struct str key, uint32_t *out_writer)
{
	return key_has_writer(key, STR(HEAD_OPEN), out_writer);
}

static enum err cut_version(struct str *rest, uint8_t newest, uint8_t *out)
{
	if (!cut_u8(rest, out) || *out == 0)
		return ERR_CORRUPT;
	return *out > newest ? ERR_UNSUPPORTED : ERR_NONE;
}

static enum err check_version(struct str *rest)
{
	uint8_t version;
	return cut_version(rest, HEAD_VERSION, &version);
}

void head_counters_encode(struct buf *out, const struct head_counters *counters)
{
	number_put_varint(out, counters->messages);
	number_put_varint(out, counters->unseen);
	number_put_varint(out, counters->deleted);
	number_put_varint(out, counters->recent);
	number_put_varint(out, counters->bytes_virtual);
}

bool head_counters_cut(struct str *rest, struct head_counters *out)
{
	return cut_u32(rest, &out->messages) && cut_u32(rest, &out->unseen) &&
	       cut_u32(rest, &out->deleted) && cut_u32(rest, &out->recent) &&
	       number_cut_varint(rest, &out->bytes_virtual);
}

void head_writer_encode(struct buf *out, const struct head_writer *head)
{
	buf_put_byte(out, head->late_ms > 0 ? HEAD_LATE : HEAD_VERSION);
	buf_put_byte(out, (char)((head->is_open ? WRITER_IS_OPEN : 0) |
				  (head->may_lose_flags ? WRITER_MAY_LOSE_FLAGS : 0)));
	number_put_varint(out, head->next_uid);
	number_put_varint(out, head->limit_uid);
	number_put_varint(out, head->recent_uid);
	number_put_varint(out, head->modseq);
	head_counters_encode(out, &head->counters);
	put_bytes(out, head->cover.bytes, CATALOG_NAME_BYTES);
	number_put_varint(out, head->host);
	if (head->late_ms > 0)
		number_put_varint(out, head->late_ms);
}

enum err head_writer_decode(struct str value, struct head_writer *out)
{
	struct head_writer h = { 0 };
	struct str rest = value;
	uint8_t version, bits;
	TRY(cut_version(&rest, HEAD_LATE, &version));
	bool ok =
		cut_u8(&rest, &bits) && bits <= (WRITER_IS_OPEN | WRITER_MAY_LOSE_FLAGS) &&
		cut_u32(&rest, &h.next_uid) && cut_u32(&rest, &h.limit_uid) &&
		cut_u32(&rest, &h.recent_uid) && number_cut_varint(&rest, &h.modseq) &&
		head_counters_cut(&rest, &h.counters) &&
		cut_bytes(&rest, h.cover.bytes, CATALOG_NAME_BYTES) &&
		number_cut_varint(&rest, &h.host) &&
		(version < HEAD_LATE || (number_cut_varint(&rest, &h.late_ms) && h.late_ms > 0)) &&
		rest.n == 0;
	if (!ok)
		return ERR_CORRUPT;
	h.is_open = (bits & WRITER_IS_OPEN) != 0;
	h.may_lose_flags = (bits & WRITER_MAY_LOSE_FLAGS) != 0;
	*out = h;
	return ERR_NONE;
}

void head_bucket_encode(struct buf *out, uint32_t bucket)
{
	buf_put_byte(out, HEAD_VERSION);
	number_put_varint(out, bucket);
}

enum err head_bucket_decode(struct str value, uint32_t *out)
{
	struct str rest = value;
	TRY(check_version(&rest));
	return cut_u32(&rest, out) && rest.n == 0 ? ERR_NONE : ERR_CORRUPT;
}

void head_generation_encode(struct buf *out, const struct head_generation *head)
{
	buf_put_byte(out, HEAD_VERSION);
	number_put_varint(out, head->generation);
	number_put_varint(out, head->last_uid_validity);
	buf_put_byte(out, head->is_deleting ? 1 : 0);
}

enum err head_generation_decode(struct str value, struct head_generation *out)
{
	struct head_generation h = { 0 };
	struct str rest = value;
	uint8_t is_deleting;
	TRY(check_version(&rest));
	if (!number_cut_varint(&rest, &h.generation) || !cut_u32(&rest, &h.last_uid_validity) ||
		!cut_u8(&rest, &is_deleting) || is_deleting > 1 || rest.n > 0)
		return ERR_CORRUPT;
	h.is_deleting = is_deleting;
	*out = h;
	return ERR_NONE;
}

void head_root_encode(struct buf *out, const struct head_root *head)
{
	buf_put_byte(out, head->form == HEAD_ROOT_PLAIN ? HEAD_VERSION : HEAD_ROOT_FORM);
	number_put_varint(out, head->generation);
	number_put_varint(out, head->last_uid_validity);
	put_bytes(out, head->cover.bytes, CATALOG_NAME_BYTES);
	number_put_varint(out, head->mailbox_count);
	number_put_varint(out, head->subscription_count);
	if (head->form == HEAD_ROOT_PLAIN)
		return;
	buf_put_byte(out, (uint8_t)head->form);
	number_put_varint(out, head->plain_bytes);
	if (head->form == HEAD_ROOT_PACKED)
		return;
	put_bytes(out, head->object.bytes, ROW_ID_BYTES);
	number_put_varint(out, head->bytes);
	number_put_varint(out, head->hash);
}

void head_root_encode_mailbox(struct buf *out, const struct head_mailbox *m)
{
	put_bytes(out, m->guid.bytes, ROW_ID_BYTES);
	put_counted(out, m->name);
	put_counted(out, m->special_use);
	number_put_varint(out, m->uid_validity);
	number_put_varint(out, m->stamp);
	buf_put_byte(out, m->is_removed ? 1 : 0);
}

void head_root_encode_subscription(struct buf *out, const struct head_subscription *s)
{
	put_counted(out, s->name);
	number_put_varint(out, s->stamp);
	buf_put_byte(out, s->is_on ? 1 : 0);
}

bool head_root_next_mailbox(struct str *rest, struct head_mailbox *out)
{
	struct head_mailbox m = { 0 };
	struct str at = *rest;
	uint8_t removed;
	if (!cut_bytes(&at, m.guid.bytes, ROW_ID_BYTES) ||
		!cut_counted(&at, ROW_TREE_NAME_MAX, &m.name) || m.name.n == 0 ||
		!cut_counted(&at, ROW_SPECIAL_USE_MAX, &m.special_use) ||
		!cut_u32(&at, &m.uid_validity) || !number_cut_varint(&at, &m.stamp) ||
		!cut_u8(&at, &removed) || removed > 1)
		return false;
	m.is_removed = removed == 1;
	*rest = at;
	*out = m;
	return true;
}

bool head_root_next_subscription(struct str *rest, struct head_subscription *out)
{
	struct head_subscription s = { 0 };
	struct str at = *rest;
	uint8_t on;
	if (!cut_counted(&at, ROW_TREE_NAME_MAX, &s.name) || s.name.n == 0 ||
		!number_cut_varint(&at, &s.stamp) || !cut_u8(&at, &on) || on > 1)
		return false;
	s.is_on = on == 1;
	*rest = at;
	*out = s;
	return true;
}

enum err head_root_take_lists(struct head_root *head, struct str lists)
{
	struct str rest = lists;
	struct head_mailbox m;
	for (size_t i = 0; i < head->mailbox_count; i++)
		if (!head_root_next_mailbox(&rest, &m))
			return ERR_CORRUPT;
	struct head_subscription s;
	for (size_t i = 0; i < head->subscription_count; i++)
		if (!head_root_next_subscription(&rest, &s))
			return ERR_CORRUPT;
	if (rest.n > 0)
		return ERR_CORRUPT;
	head->rest = lists;
	return ERR_NONE;
}

/* Of the second version: where the lists are. */
static enum err cut_form(struct str *rest, struct head_root *h)
{
	static const struct row_id none;
	uint8_t form;
	if (!cut_u8(rest, &form) || form == HEAD_ROOT_PLAIN)
		return ERR_CORRUPT;
	if (form > HEAD_ROOT_OBJECT)
		return ERR_UNSUPPORTED;
	h->form = form;
	if (!number_cut_varint(rest, &h->plain_bytes))
		return ERR_CORRUPT;
	if (form == HEAD_ROOT_PACKED)
		return ERR_NONE;
	bool is_whole = cut_bytes(rest, h->object.bytes, ROW_ID_BYTES) &&
			number_cut_varint(rest, &h->bytes) && number_cut_varint(rest, &h->hash);
	if (!is_whole || rest->n > 0 || memcmp(&h->object, &none, sizeof(none)) == 0)
		return ERR_CORRUPT;
	return ERR_NONE;
}

enum err head_root_decode(struct str value, struct head_root *out)
{
	struct head_root h = { 0 };
	struct str rest = value;
	uint64_t mailboxes, subscriptions;
	uint8_t version;
	TRY(cut_version(&rest, HEAD_ROOT_FORM, &version));
	if (!number_cut_varint(&rest, &h.generation) || !cut_u32(&rest, &h.last_uid_validity) ||
		!cut_bytes(&rest, h.cover.bytes, CATALOG_NAME_BYTES) ||
		!number_cut_varint(&rest, &mailboxes) || !number_cut_varint(&rest, &subscriptions))
		return ERR_CORRUPT;
	h.mailbox_count = (size_t)mailboxes;
	h.subscription_count = (size_t)subscriptions;
	if (version == HEAD_ROOT_FORM) {
		TRY(cut_form(&rest, &h));
		h.rest = rest;
	} else {
		TRY(head_root_take_lists(&h, rest));
	}
	*out = h;
	return ERR_NONE;
}
