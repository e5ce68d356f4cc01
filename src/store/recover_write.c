/* SPDX-License-Identifier: Apache-2.0 */
/* What was found in the store becomes rows and heads again: rows under their old names, as if they had
 * never been gone; a closed head for each mailbox; the root at the end. Doing it again after a failure
 * writes the same. Summaries are made again when somebody asks. */
#include "base/codec.h"
#include "store/recover_private.h"

#define ROWS_AT_ONCE 500

struct writing {
	struct recovery *r;
	struct recovered_box *box;
	struct arena arena; /* of what was gathered */
	struct catalog_change references[ROWS_AT_ONCE], rows[ROWS_AT_ONCE];
	size_t reference_count, row_count;
	struct head_writer head; /* of the mailbox, afterwards */
	uint32_t bucket;
};

/* WAITS. What keeps an object alive before the row that names it. */
static enum err write_gathered(struct op *op, struct writing *w)
{
	struct user *u = w->r->user;
	TRY(store_write_changes(op, u->store, u->name, w->references, w->reference_count));
	TRY(store_write_changes(op, u->store, u->name, w->rows, w->row_count));
	w->reference_count = w->row_count = 0;
	arena_reset(&w->arena);
	return ERR_NONE;
}

/* WAITS now and then. */
static enum err put_row(struct op *op, struct writing *w, struct catalog_name name, uint32_t bucket,
	const struct row_append *row, bool is_shared)
{
	AUTO_BUF(value, 0);
	AUTO_BUF(hex, 0);
	row_append_encode(&value, row);
	w->rows[w->row_count++] = (struct catalog_change){ .kind = CATALOG_PUT_ROW,
		.mailbox = w->box->guid,
		.row = { CATALOG_APPEND, bucket, name, buf_dup(&w->arena, &value),
			row_append_fading(row) } };
	hex_encode(&hex, (struct str){ (const char *)row->oid.bytes, sizeof(row->oid.bytes) });
	if (is_shared)
		w->references[w->reference_count++] =
			(struct catalog_change){ .kind = CATALOG_PUT_REVERSE,
				.mailbox = w->box->guid,
				.row = { CATALOG_OP, bucket, name, STR_NONE },
				.object = buf_dup(&w->arena, &hex) };
	struct head_counters *c = &w->head.counters;
	c->messages++;
	c->unseen += (row->flags & MAIL_SEEN) == 0;
	c->deleted += (row->flags & MAIL_DELETED) != 0;
	c->bytes_virtual += row->size_virtual;
	w->head.modseq = MAX(w->head.modseq, row->modseq);
	if (name_cmp(name, w->head.cover) > 0)
		w->head.cover = name;
	w->bucket = MAX(w->bucket, bucket);
	task_breathe();
	return w->row_count == ROWS_AT_ONCE ? write_gathered(op, w) : ERR_NONE;
}

static enum err put_record(struct op *op, struct writing *w, uint32_t at)
{
	const struct index *x = w->box->index;
	const struct snapshot_hot *hot = index_hot(x, at);
	const struct snapshot_cold *cold = index_cold(x, at);
	const struct recovered_mail *mail = map_get(&w->r->mails,
		(struct str){ (const char *)cold->oid.bytes, sizeof(cold->oid.bytes) });
	if (!mail || index_is_ghost(hot))
		return ERR_NONE;
	struct row_append row = recovery_row_of(x, at);
	return put_row(op, w, cold->name, cold->bucket, &row, mail->refs > 1);
}

/* The same each time, so that doing it again doubles nothing. */
static struct catalog_name name_of_found(const struct writing *w, const struct recovered_mail *mail)
{
	struct catalog_name name = name_at_ms(MAX(mail->meta.saved_wall_us / US_PER_MS, 1));
	memcpy(name.bytes + 6, mail->oid.bytes, 2);
	memcpy(name.bytes + 8, w->box->guid.bytes, 4);
	memcpy(name.bytes + 12, mail->oid.bytes + 2, 4);
	return name;
}

/* WAITS. */
static enum err put_found(
	struct op *op, struct writing *w, const struct recovered_mail *mail, uint32_t uid)
{
	struct user *u = w->r->user;
	struct str body;
	AUTO_BUF(summary, 0);
	TRY(objects_get(op, u->store->objects, store_object_key(op->arena, u, mail->oid),
		ROW_MESSAGE_SIZE_MAX, &body));
	w->head.modseq = modseq_next(w->head.modseq, now_wall_us());
	struct row_append row = { .uid = uid,
		.modseq = w->head.modseq,
		.oid = mail->oid,
		.length = body.n,
		.guid = mail->meta.has_guid ? mail->meta.guid : mail->oid,
		.flags = mail->meta.flags,
		.keyword_count = mail->meta.keyword_count,
		.received_wall_us = mail->meta.received_wall_us,
		.saved_wall_us = mail->meta.saved_wall_us,
		.size_physical = body.n };
	memcpy(row.keywords, mail->meta.keywords, sizeof(row.keywords));
	summary_make(body, &summary, &row.size_virtual);
	row.summary = summary.n <= ROW_SUMMARY_MAX ? buf_str(&summary) : STR_NONE;
	return put_row(op, w, name_of_found(w, mail), w->bucket, &row, false);
}

/* What clients kept of before says nothing sure about what was expunged and flagged since. */
static void put_hole(struct writing *w)
{
	AUTO_BUF(value, 0);
	w->head.modseq = modseq_restart(w->head.modseq, now_wall_us());
	row_hole_encode(&value, 1, w->head.modseq);
	w->head.cover = user_mint(w->r->user);
	w->rows[w->row_count++] = (struct catalog_change){ .kind = CATALOG_PUT_ROW,
		.mailbox = w->box->guid,
		.row = { CATALOG_OP, w->bucket, w->head.cover, buf_dup(&w->arena, &value), 0 } };
}

/* WAITS. */
static enum err write_heads(struct op *op, struct writing *w)
{
	struct user *u = w->r->user;
	char key[HEAD_OPEN_SIZE];
	AUTO_BUF(closed, 0);
	AUTO_BUF(bucket, 0);
	w->head.next_uid = w->box->next_uid;
	w->head.counters.recent = w->box->found_count;
	w->head.recent_uid = w->box->next_uid - w->box->found_count - 1;
	head_writer_encode(&closed, &w->head);
	head_bucket_encode(&bucket, w->bucket);
	struct catalog_change heads[] = {
		{ .kind = CATALOG_PUT_HEAD,
			.mailbox = w->box->guid,
			.key = HEAD_BUCKET,
			.value = buf_str(&bucket) },
		{ .kind = CATALOG_PUT_HEAD,
			.mailbox = w->box->guid,
			.key = head_writer_key(u->writer, key),
			.value = buf_str(&closed) },
	};
	return store_write_changes(op, u->store, u->name, heads, ARRAY_COUNT(heads));
}

static enum err write_box(struct op *op, struct writing *w)
{
	const struct recovered_box *box = w->box;
	uint32_t uid = box->next_uid - box->found_count;
	if (box->index)
		name_observe(&w->r->user->store->clock, index_cover(box->index), now_wall_us());
	for (uint32_t at = 0; box->index && at < index_count(box->index); at++)
		TRY(put_record(op, w, at));
	for (const struct recovered_mail *mail = box->found; mail; mail = mail->next) {
		struct arena_mark mark = arena_mark(op->arena);
		enum err e = put_found(op, w, mail, uid++);
		arena_rewind(op->arena, mark);
		TRY(e);
	}
	put_hole(w);
	TRY(write_gathered(op, w));
	return write_heads(op, w);
}

#define NAMES_AT_ONCE 40

/* A change of names, into the tree and for the journal. */
static struct catalog_change name_change(struct op *op, struct user *u, const struct buf *value)
{
	struct catalog_row row = {
		.kind = CATALOG_OP, .name = user_mint(u), .value = buf_dup(op->arena, value)
	};
	enum err e = tree_fold(&u->tree, &row);
	ASSERT(e == ERR_NONE);
	return (struct catalog_change){ .kind = CATALOG_PUT_ROW, .row = row };
}

/* WAITS. The journal has all names, as that of every user: his root head may be lost one day. */
static enum err write_names(struct op *op, struct recovery *r)
{
	struct user *u = r->user;
	struct catalog_change changes[2 * NAMES_AT_ONCE];
	size_t n = 0;
	for (const struct recovered_box *box = r->boxes; box; box = box->next) {
		struct row_id id = row_id_of(box->guid);
		AUTO_BUF(create, 0);
		AUTO_BUF(subscribe, 0);
		row_tree_create_encode(
			&create, &id, box->name, box->special_use, box->uid_validity);
		row_tree_subscribe_encode(&subscribe, box->name, true);
		changes[n++] = name_change(op, u, &create);
		changes[n++] = name_change(op, u, &subscribe);
		if (n < ARRAY_COUNT(changes) && box->next)
			continue;
		TRY(store_write_changes(op, u->store, u->name, changes, n));
		n = 0;
	}
	return ERR_NONE;
}

/* WAITS. From here on he exists. */
static enum err put_root(struct op *op, struct user *u, struct root_made *made)
{
	TRY(root_make(op, u, SIZE_MAX, made));
	struct catalog_change change = {
		.kind = CATALOG_PUT_HEAD, .key = HEAD_ROOT_KEY, .value = buf_str(&made->head)
	};
	return store_write_changes(op, u->store, u->name, &change, 1);
}

static enum err write_root(struct op *op, struct recovery *r)
{
	struct root_made made;
	TRY(write_names(op, r));
	root_made_init(&made);
	enum err e = put_root(op, r->user, &made);
	root_made_done(&made);
	return e;
}

enum err recovery_write(struct op *op, struct recovery *r)
{
	enum err e = ERR_NONE;
	for (struct recovered_box *box = r->boxes; box && e == ERR_NONE; box = box->next) {
		struct writing *w = MEM_NEW(struct writing);
		w->r = r;
		w->box = box;
		arena_init(&w->arena, 0);
		e = write_box(op, w);
		arena_done(&w->arena);
		mem_free(w);
	}
	return e == ERR_NONE ? write_root(op, r) : e;
}
