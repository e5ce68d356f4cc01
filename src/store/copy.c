/* SPDX-License-Identifier: Apache-2.0 */
/* COPY, MOVE and EXPUNGE: one batch each, so they are whole or not at all, also over a crash.
 *
 * Where the catalog writes a batch in groups, rows that do not fit into one wait for a commit row, and
 * a move begins with intent rows in its source: who opens the source after a crash expunges there if
 * the commit row is in the target, else drops the intent (opening.c).
 *
 * A copy is a new row that names the same object, and two reverse rows (original and copy), so that
 * the object lives as long as one of them. A move gives the target a reverse row and takes the
 * source's away in the same transaction, and queues nothing. An expunge queues the object: the
 * collector deletes it when no reverse row and no append row is left. */
#include "store/store_private.h"

#include "base/account.h"

/* ---- expunge ---- */

#define AWAY_REFRESHES 2 /* a usual look may be a little late */

void mailbox_put_expunge(struct batch *b, struct mailbox *m, const struct row_mark *marks,
	size_t count, uint64_t modseq, bool is_move)
{
	AUTO_BUF(value, 0);
	row_expunge_encode(&value, modseq, marks, count);
	batch_put_op(b, m->guid, m->bucket, &value);
	struct catalog_name queued = user_mint(m->user);
	for (size_t i = 0; i < count; i++)
		batch_remove_mail(b, m->guid, &marks[i], is_move ? NULL : &queued);
}

struct row_mark mailbox_mark_at(const struct mailbox *m, uint32_t position)
{
	const struct snapshot_cold *cold = index_cold(m->index, position);
	return (struct row_mark){ .name = cold->name,
		.uid = index_hot(m->index, position)->uid,
		.bucket = cold->bucket,
		.oid = cold->oid };
}

/* The next \Deleted mails of the view above *after; at most ROW_EXPUNGE_MAX. */
static size_t next_deleted(const struct view *v, const struct range_set *only_uids, uint32_t *after,
	struct row_mark *marks)
{
	const struct mailbox *m = v->mailbox;
	uint32_t total = index_count(m->index);
	size_t n = 0;
	for (uint32_t at = index_seek(m->index, *after + 1); at < total; at++) {
		const struct snapshot_hot *hot = index_hot(m->index, at);
		if (hot->uid > v->told_uid || n == ROW_EXPUNGE_MAX)
			break;
		*after = hot->uid;
		if (!(hot->flags & MAIL_DELETED) || index_is_ghost(hot) ||
			(only_uids && !range_set_has(only_uids, hot->uid)))
			continue;
		marks[n++] = mailbox_mark_at(m, at);
	}
	return n;
}

static enum err expunge_some(struct op *op, struct view *v, const struct range_set *only_uids,
	uint32_t *after, size_t *out_count)
{
	struct mailbox *m = v->mailbox;
	struct row_mark *marks = ARENA_NEW_ARRAY(op->arena, struct row_mark, ROW_EXPUNGE_MAX);
	size_t n = next_deleted(v, only_uids, after, marks);
	*out_count = n;
	if (n == 0)
		return ERR_NONE;
	struct batch *b = batch_new(m->user);
	uint64_t modseq = 0;
	mailbox_claim(b, m);
	mailbox_put_expunge(b, m, marks, n, mailbox_next_modseq(m, &modseq), false);
	TRY(user_write(op, m->user, b));
	m->user->store->counters.expunges += n;
	return ERR_NONE;
}

/* WAITS. An expunge cannot be taken back, and by another host's word a mail may not be \Deleted any more: who stood
 * still, or was cut off, looks before he chooses. */
static enum err look_before_expunge(struct op *op, struct mailbox *m)
{
	struct user *u = m->user;
	bool was_away = now_us() - u->looked_us > AWAY_REFRESHES * u->store->settings.refresh_us;
	if (!was_away || catalog_is_atomic(u->store->catalog))
		return ERR_NONE;
	return mailbox_merge(op, m, false);
}

enum err view_expunge(struct op *op, struct view *v, const struct range_set *only_uids)
{
	struct mailbox *m = v->mailbox;
	uint32_t after = 0;
	size_t n = 1;
	if (index_counters(m->index).deleted == 0)
		return ERR_NONE;
	while (n > 0) {
		struct arena_mark mark = arena_mark(op->arena);
		TRY(mailbox_write_begin(op, m));
		enum err e = after == 0 ? look_before_expunge(op, m) : ERR_NONE;
		if (e == ERR_NONE)
			e = expunge_some(op, v, only_uids, &after, &n);
		mailbox_write_end(m);
		arena_rewind(op->arena, mark);
		if (e != ERR_NONE)
			return e;
	}
	return ERR_NONE;
}

/* ---- copy and move ---- */

struct transfer {
	struct mailbox *source, *target;
	struct batch *batch;
	struct row_mark *marks; /* of the source */
	struct str *summaries;  /* in the batch's arena */
	size_t count;
	size_t summary_bytes; /* of those that travel with the rows */
	bool is_move;
	struct copy_result result;
};

/* Summaries beyond are made again from their mails when somebody asks: a batch is in memory as a whole. */
#define TRANSFER_SUMMARIES_MAX (32u << 20)
/* A row without summary and keywords weighs less. */
#define TRANSFER_ROW_BYTES ((size_t)512 + BATCH_ROW_BYTES)
/* What a mail needs at the most until its batch is written, beside its summary: rows, references, order, and
 * arrays that grow. */
#define TRANSFER_MAIL_BYTES ((uint64_t)3072)
#define COPY_UNSEEN_MS      (30 * 60 * 1000)

/* A batch is in memory as a whole: what does not fit is refused before anything is done. */
static enum err check_room(struct op *op, uint64_t mails)
{
	if (account_has_room(mails * TRANSFER_MAIL_BYTES))
		return ERR_NONE;
	enum err e = op_fail(op, ERR_LIMIT,
		"no memory for %" PRIu64 " mails at once: vsz_limit of service imap is %" PRIu64
		" bytes",
		mails, account_limit());
	op_tell_client(op, "Too many messages for one command, take fewer at a time");
	return e;
}

/* WAITS. Of mails that another host has expunged, the collector takes the objects an hour later: who has not
 * looked for half of that (a host that stood still, or was cut off) looks before it says that a copy names
 * one. */
static enum err look_at_source(struct op *op, struct mailbox *source)
{
	int64_t seen_ms = now_wall_us() / US_PER_MS - source->seen_ms;
	if (seen_ms < COPY_UNSEEN_MS || catalog_is_atomic(source->user->store->catalog))
		return ERR_NONE;
	TRY(user_read_heads(op, source->user));
	return mailbox_merge(op, source, false);
}

static enum err find_sources(struct op *op, struct transfer *t, const struct range_set *uids)
{
	const struct index *x = t->source->index;
	size_t most = (size_t)MIN(range_set_size(uids), index_count(x));
	struct range_set_iter it = { 0 };
	uint32_t uid, at;
	t->marks = ARENA_NEW_ARRAY(op->arena, struct row_mark, most);
	while (range_set_next(uids, &it, &uid)) {
		if (!index_find(x, uid, &at) || index_is_ghost(index_hot(x, at))) {
			enum err e = op_fail(op, ERR_NOT_FOUND, "UID %" PRIu32 " is expunged", uid);
			op_tell_client(op, "Some of the messages no longer exist");
			return e;
		}
		ASSERT(t->count < most);
		t->marks[t->count++] = mailbox_mark_at(t->source, at);
	}
	return ERR_NONE;
}

static void copied_row(
	const struct mailbox *source, uint32_t at, struct row_append *out, struct str summary)
{
	const struct snapshot_hot *hot = index_hot(source->index, at);
	const struct snapshot_cold *cold = index_cold(source->index, at);
	const struct str *words;
	size_t count = index_keywords(source->index, &words);
	*out = (struct row_append){ .oid = cold->oid,
		.offset = cold->offset,
		.length = cold->length,
		.guid = cold->guid,
		.flags = hot->flags,
		.received_wall_us = cold->received_wall_us,
		.saved_wall_us = now_wall_us(),
		.size_physical = cold->size_physical,
		.size_virtual = cold->size_virtual,
		.summary = summary.n <= ROW_SUMMARY_MAX ? summary : STR_NONE };
	for (size_t i = 0; i < count; i++)
		if (hot->keywords >> i & 1)
			out->keywords[out->keyword_count++] = words[i];
}

/* WAITS. The summary of a source into the batch, or none. */
static struct str transfer_summary(
	struct op *op, struct transfer *t, const struct snapshot_cold *cold, uint32_t uid)
{
	struct str summary, kept = STR_NONE;
	struct arena_mark mark = arena_mark(op->arena);
	if (t->summary_bytes >= TRANSFER_SUMMARIES_MAX)
		return STR_NONE;
	if (summary_read(op, t->source, cold, uid, &summary) == ERR_NONE)
		kept = str_dup(&t->batch->arena, summary);
	else
		op_forgive(op); /* made again when somebody asks */
	arena_rewind(op->arena, mark);
	t->summary_bytes += kept.n;
	return kept;
}

/* WAITS. What the rows are made of, so that their names are minted at the end. */
static size_t transfer_prepare(struct op *op, struct transfer *t)
{
	const struct str *words;
	size_t bytes = 0, row_bytes = TRANSFER_ROW_BYTES;
	for (size_t i = index_keywords(t->source->index, &words); i > 0; i--)
		row_bytes += words[i - 1].n + 2;
	for (size_t i = 0; i < t->count; i++) {
		uint32_t at;
		bool is_there = index_find(t->source->index, t->marks[i].uid, &at);
		ASSERT(is_there); /* the write lock keeps it */
		struct snapshot_cold cold = *index_cold(t->source->index, at);
		t->summaries[i] = transfer_summary(op, t, &cold, t->marks[i].uid);
		bytes += row_bytes + MIN(t->summaries[i].n, (size_t)ROW_SUMMARY_MAX);
		task_breathe();
	}
	return bytes;
}

/* One mail's rows. */
static void transfer_one(struct transfer *t, size_t i, uint32_t uid, uint64_t modseq,
	uint32_t bucket, const struct append_batch *whole)
{
	struct row_append row;
	uint32_t at;
	const struct row_mark *from = &t->marks[i];
	bool is_there = index_find(t->source->index, from->uid, &at);
	ASSERT(is_there);
	copied_row(t->source, at, &row, t->summaries[i]);
	row.uid = uid;
	row.modseq = whole ? whole->modseq : modseq;
	struct catalog_name name = user_mint(t->target->user);
	/* A move that is left halfway leaves a target without a row: the source keeps the object. */
	if (!t->is_move || whole)
		batch_reference(
			t->batch, true, from->oid, t->source->guid, from->bucket, from->name);
	batch_reference(t->batch, true, from->oid, t->target->guid, bucket, name);
	append_put_row(t->batch, t->target, &row, bucket, name, whole);
	t->result.source_uids[i] = from->uid;
	t->result.target_uids[i] = uid;
}

/* The intent rows come first, and go last. */
static void transfer_intend(struct transfer *t, const struct append_batch *whole)
{
	struct batch *b = t->batch;
	struct mailbox *source = t->source;
	struct row_id target = row_id_of(t->target->guid);
	for (size_t from = 0; from < t->count; from += ROW_EXPUNGE_MAX) {
		AUTO_BUF(value, 0);
		row_move_intent_encode(&value, &whole->id, &target, t->marks + from,
			MIN(t->count - from, (size_t)ROW_EXPUNGE_MAX));
		struct catalog_name name = user_mint(source->user);
		batch_put_row(b, source->guid, CATALOG_OP, source->bucket, name, &value);
		batch_last(b)->rank = RANK_INTENT;
		batch_delete_row(b, source->guid, CATALOG_OP, source->bucket, name);
		batch_last(b)->rank = RANK_INTENT_DONE;
	}
}

static void transfer_expunge(struct transfer *t, uint64_t modseq)
{
	for (size_t from = 0; from < t->count; from += ROW_EXPUNGE_MAX)
		mailbox_put_expunge(t->batch, t->source, t->marks + from,
			MIN(t->count - from, (size_t)ROW_EXPUNGE_MAX),
			mailbox_next_modseq(t->source, &modseq), true);
}

static enum err transfer_build(struct op *op, struct transfer *t)
{
	struct batch *b = t->batch;
	size_t bytes = transfer_prepare(op, t);
	uint32_t first = index_next_uid(t->target->index);
	uint64_t modseq = 0;
	bool is_atomic = catalog_is_atomic(t->target->user->store->catalog);
	struct append_batch whole =
		append_batch_new(first, mailbox_next_modseq(t->target, &modseq), t->count);
	bool waits =
		(t->is_move && !is_atomic) || !batch_is_one_group(t->target->user, t->count, bytes);
	b->is_voidable = !t->is_move;
	mailbox_claim(b, t->target);
	if (t->is_move && t->source != t->target)
		mailbox_claim(b, t->source);
	if (t->is_move && waits)
		transfer_intend(t, &whole);
	uint32_t bucket = mailbox_bucket_for(b, t->target, t->count);
	for (size_t i = 0; i < t->count; i++)
		transfer_one(t, i, first + (uint32_t)i, mailbox_next_modseq(t->target, &modseq),
			bucket, waits ? &whole : NULL);
	if (waits)
		append_put_commit(b, t->target, bucket, &whole);
	if (t->is_move)
		transfer_expunge(t, t->source == t->target ? modseq : 0);
	return ERR_NONE;
}

static enum err transfer_locked(struct op *op, struct transfer *t, const struct range_set *uids)
{
	struct user *u = t->target->user;
	TRY(check_room(op, MIN(range_set_size(uids), (uint64_t)index_count(t->source->index))));
	/* First, and in this order: what a look finds may need other UIDs, and a takeover that sources are gone. */
	TRY(look_at_source(op, t->source));
	TRY(mailbox_ensure_uids(op, t->target, (size_t)range_set_size(uids)));
	TRY(find_sources(op, t, uids));
	const struct str *words;
	size_t count = index_keywords(t->source->index, &words);
	TRY(flags_check_keywords(op, t->target, words, count));
	t->result.uid_validity = t->target->uid_validity;
	t->result.count = t->count;
	t->result.source_uids = ARENA_NEW_ARRAY(op->arena, uint32_t, t->count);
	t->result.target_uids = ARENA_NEW_ARRAY(op->arena, uint32_t, t->count);
	if (t->count == 0)
		return ERR_NONE;
	t->batch = batch_new(u);
	t->batch->sources_seen_ms = t->source->seen_ms;
	t->summaries = ARENA_NEW_ARRAY(&t->batch->arena, struct str, t->count);
	enum err e = transfer_build(op, t);
	if (e != ERR_NONE) {
		batch_free(t->batch);
		return e;
	}
	TRY(user_write(op, u, t->batch));
	u->store->counters.copies += t->count;
	return ERR_NONE;
}

enum err mailbox_transfer(struct op *op, struct mailbox *source, struct mailbox *target,
	const struct range_set *uids, bool is_move, struct copy_result *out)
{
	struct transfer t = { .source = source, .target = target, .is_move = is_move };
	if (source->user != target->user)
		return op_fail(op, ERR_UNSUPPORTED, "copying between users");
	/* Two transfers the other way round must not wait for each other. */
	bool in_order = memcmp(&source->guid, &target->guid, sizeof(source->guid)) <= 0;
	struct mailbox *first = in_order ? source : target;
	struct mailbox *second = first == source ? target : source;
	TRY(mailbox_write_begin(op, first));
	enum err e = second == first ? ERR_NONE : mailbox_write_begin(op, second);
	if (e == ERR_NONE) {
		e = transfer_locked(op, &t, uids);
		if (second != first)
			mailbox_write_end(second);
	}
	mailbox_write_end(first);
	if (e == ERR_NONE)
		*out = t.result;
	return e;
}

enum err view_copy(struct op *op, struct view *v, const struct range_set *seqs,
	struct mailbox *target, bool is_move, struct copy_result *out)
{
	struct range_set uids;
	range_set_init(&uids);
	view_seqs_to_uids(v, seqs, &uids);
	enum err e = mailbox_transfer(op, v->mailbox, target, &uids, is_move, out);
	range_set_done(&uids);
	return e;
}
