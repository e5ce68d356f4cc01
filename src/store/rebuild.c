/* SPDX-License-Identifier: Apache-2.0 */
/* Rows against records: every mail of a mailbox has its append row, or the collector would take its object.
 * Rows that are gone (a partly lost catalog) are put back under their old names, from what base and journal
 * say together; a mail whose object is gone too is told, and stays unless lost mails are to be expunged. */
#include "base/codec.h"
#include "store/recover_private.h"

struct rows {
	struct map names; /* of append rows */
	struct arena *arena;
	struct row_mark *lost;
	size_t lost_cap;
};

static enum err see_row(struct op *op, const struct catalog_row *row, void *arg)
{
	struct rows *r = arg;
	(void)op;
	task_breathe();
	if (row->kind != CATALOG_APPEND)
		return ERR_NONE;
	struct str name = { (const char *)row->name.bytes, sizeof(row->name.bytes) };
	(void)map_set(&r->names, str_dup(r->arena, name), r);
	return ERR_NONE;
}

static bool has_row(const struct rows *r, const struct catalog_name *name)
{
	return map_get(&r->names, (struct str){ (const char *)name->bytes, sizeof(name->bytes) });
}

struct row_append recovery_row_of(const struct index *x, uint32_t at)
{
	const struct snapshot_hot *hot = index_hot(x, at);
	const struct snapshot_cold *cold = index_cold(x, at);
	const struct str *words;
	size_t count = index_keywords(x, &words);
	struct row_append row = { .uid = hot->uid,
		.modseq = hot->modseq,
		.oid = cold->oid,
		.offset = cold->offset,
		.length = cold->length,
		.guid = cold->guid,
		.flags = hot->flags & MAIL_STORABLE_FLAGS,
		.received_wall_us = cold->received_wall_us,
		.saved_wall_us = cold->saved_wall_us,
		.size_physical = cold->size_physical,
		.size_virtual = cold->size_virtual };
	for (size_t i = 0; i < count; i++)
		if (hot->keywords >> i & 1)
			row.keywords[row.keyword_count++] = words[i];
	return row;
}

static void note_lost(struct rows *r, struct row_mark mark, struct mailbox_rebuilt *out)
{
	if (out->lost == r->lost_cap) {
		size_t cap = MAX(2 * r->lost_cap, 64);
		r->lost = arena_grow(
			r->arena, r->lost, r->lost_cap * sizeof(*r->lost), cap * sizeof(*r->lost));
		r->lost_cap = cap;
	}
	out->lost_uid = out->lost == 0 ? mark.uid : out->lost_uid;
	r->lost[out->lost++] = mark;
}

/* WAITS. */
static enum err put_back(struct op *op, struct mailbox *m, uint32_t at, struct rows *rows,
	struct mailbox_rebuilt *out)
{
	struct row_mark mark = mailbox_mark_at(m, at);
	struct user *u = m->user;
	struct object_info info;
	struct row_append row = recovery_row_of(m->index, at);
	struct snapshot_cold cold = *index_cold(m->index, at);
	enum err e =
		objects_stat(op, u->store->objects, store_object_key(op->arena, u, row.oid), &info);
	if (e == ERR_NOT_FOUND) {
		op_forgive(op);
		note_lost(rows, mark, out);
		return ERR_NONE;
	}
	TRY(e);
	AUTO_BUF(value, 0);
	row_append_encode(&value, &row);
	struct catalog_change change = { .kind = CATALOG_PUT_ROW,
		.mailbox = m->guid,
		.row = { CATALOG_APPEND, cold.bucket, cold.name, buf_str(&value), 0 } };
	TRY(store_write_changes(op, u->store, u->name, &change, 1));
	out->put_back++;
	return ERR_NONE;
}

/* WAITS. */
static enum err drop_lost(struct op *op, struct mailbox *m, const struct rows *rows, size_t count)
{
	uint64_t modseq = 0;
	for (size_t from = 0; from < count; from += ROW_EXPUNGE_MAX) {
		struct batch *b = batch_new(m->user);
		mailbox_claim(b, m);
		mailbox_put_expunge(b, m, rows->lost + from,
			MIN(count - from, (size_t)ROW_EXPUNGE_MAX), mailbox_next_modseq(m, &modseq),
			false);
		TRY(user_write(op, m->user, b));
	}
	return ERR_NONE;
}

static enum err rebuild_locked(struct op *op, struct mailbox *m, enum rebuild_way way,
	struct rows *rows, struct mailbox_rebuilt *out)
{
	static const struct catalog_name all;
	struct user *u = m->user;
	TRY(catalog_read_rows(op, u->store->catalog, u->name, m->guid, 0,
		user_last_bucket(u, m->guid), all, see_row, rows));
	for (uint32_t at = 0; at < index_count(m->index); at++) {
		if (index_is_ghost(index_hot(m->index, at)) ||
			has_row(rows, &index_cold(m->index, at)->name))
			continue;
		if (way == REBUILD_LOOK)
			return op_fail(op, ERR_CORRUPT, "the mail with UID %u has no row",
				index_hot(m->index, at)->uid);
		struct arena_mark mark = arena_mark(op->arena);
		enum err e = put_back(op, m, at, rows, out);
		arena_rewind(op->arena, mark);
		TRY(e);
	}
	if (out->lost == 0)
		return ERR_NONE;
	if (way == REBUILD_DROP_LOST)
		return drop_lost(op, m, rows, out->lost);
	return op_fail(op, ERR_CORRUPT,
		"%u mails have neither row nor object, the first with UID %u: they stay, and "
		"cannot "
		"be read",
		out->lost, out->lost_uid);
}

enum err mailbox_rebuild(
	struct op *op, struct mailbox *m, enum rebuild_way way, struct mailbox_rebuilt *out)
{
	AUTO_ARENA(arena, 0);
	struct rows rows = { .arena = &arena };
	CHECK(m, MAILBOX_MAGIC);
	*out = (struct mailbox_rebuilt){ 0 };
	TRY(mailbox_write_begin(op, m));
	map_init(&rows.names);
	enum err e = rebuild_locked(op, m, way, &rows, out);
	map_done(&rows.names);
	mailbox_write_end(m);
	return e;
}
