/* SPDX-License-Identifier: Apache-2.0 */
/* Saving mail: object durable -> row durable -> published -> acknowledged.
 *
 * mailbox_append() makes the summary, stores the object and hands a request to the mailbox's commit
 * task, which takes all requests that are ready, gives names and UIDs in order and writes one batch.
 * A request belongs to both: who waits may leave (deadline, client gone), the commit goes on. */
#include "store/store_private.h"

#include "base/codec.h"
#include "base/random.h"

#define COMMIT_REQUESTS_MAX 256
#define PARALLEL_PUTS       16

struct commit_request {
	struct list link;
	uint32_t refs;
	struct arena arena;
	struct row_append *rows; /* uid and modseq are given by the commit */
	size_t count;
	size_t bytes; /* what its rows weigh in a batch, at most */
	bool is_done;
	enum err result;
	char failure[OP_FAILURE_TEXT_MAX];
	struct wait_queue done;
};

static void request_unref(struct commit_request *r)
{
	if (--r->refs > 0)
		return;
	arena_done(&r->arena);
	mem_free(r);
}

/* ---- the commit task ---- */

void append_put_row(struct batch *b, struct mailbox *m, const struct row_append *row,
	uint32_t bucket, struct catalog_name name, const struct append_batch *whole)
{
	struct row_append stored = *row;
	if (stored.summary.n > ROW_SUMMARY_MAX)
		stored.summary = STR_NONE;
	AUTO_BUF(value, 0);
	AUTO_BUF(resolved, 0);
	if (whole) {
		row_append_encode(&resolved, &stored);
		stored.has_batch = true;
		stored.batch = whole->id;
		stored.uid = row->uid - whole->first_uid + 1;
		stored.modseq = 0;
	}
	row_append_encode(&value, &stored);
	batch_put_row(b, m->guid, CATALOG_APPEND, bucket, name, &value);
	b->changes[b->count - 1].row.fading_bytes = row_append_fading(&stored);
	batch_last(b)->summary = str_dup(&b->arena, row->summary);
	batch_last(b)->resolved = buf_dup(&b->arena, &resolved);
}

void append_put_commit(
	struct batch *b, struct mailbox *m, uint32_t bucket, const struct append_batch *whole)
{
	AUTO_BUF(value, 0);
	row_commit_encode(&value, &whole->id, whole->first_uid, whole->modseq, whole->count);
	batch_put_op(b, m->guid, bucket, &value);
	batch_last(b)->rank = RANK_COMMIT;
}

struct append_batch append_batch_new(uint32_t first_uid, uint64_t modseq, size_t count)
{
	struct append_batch whole = {
		.first_uid = first_uid, .modseq = modseq, .count = (uint32_t)count
	};
	random_bytes(whole.id.bytes, sizeof(whole.id.bytes));
	return whole;
}

static void commit_rows(struct batch *b, struct mailbox *m, struct commit_request **taken, size_t n,
	const struct append_batch *whole, uint32_t bucket)
{
	uint32_t uid = index_next_uid(m->index);
	uint64_t modseq = 0;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < taken[i]->count; k++) {
			struct row_append *row = &taken[i]->rows[k];
			row->uid = uid++;
			row->modseq = whole ? whole->modseq : mailbox_next_modseq(m, &modseq);
			append_put_row(b, m, row, bucket, user_mint(m->user), whole);
		}
	}
	if (whole)
		append_put_commit(b, m, bucket, whole);
}

static enum err commit(struct op *op, struct mailbox *m, struct commit_request **taken, size_t n)
{
	struct store *s = m->user->store;
	uint64_t modseq = 0;
	size_t rows = 0, bytes = 0;
	for (size_t i = 0; i < n; i++) {
		rows += taken[i]->count;
		bytes += taken[i]->bytes;
	}
	TRY(mailbox_ensure_uids(op, m, rows));
	struct batch *b = batch_new(m->user);
	uint32_t uid = index_next_uid(m->index);
	b->is_voidable = true;
	mailbox_claim(b, m);
	uint32_t bucket = mailbox_bucket_for(b, m, rows);
	struct append_batch whole = append_batch_new(uid, mailbox_next_modseq(m, &modseq), rows);
	bool fits = batch_is_one_group(m->user, rows, bytes);
	commit_rows(b, m, taken, n, fits ? NULL : &whole, bucket);
	TRY(user_write(op, m->user, b));
	s->counters.append_commits++;
	s->counters.appends += rows;
	return ERR_NONE;
}

/* As many as are written as a whole; one that is larger goes alone. */
static size_t take_ready(struct mailbox *m, struct commit_request **taken)
{
	size_t n = 0, rows = 0, bytes = 0;
	struct commit_request *r;
	while (n < COMMIT_REQUESTS_MAX &&
		(r = LIST_FIRST(&m->commits, struct commit_request, link)) != NULL) {
		rows += r->count;
		bytes += r->bytes;
		if (n > 0 && !batch_is_one_group(m->user, rows, bytes))
			break;
		list_remove(&r->link);
		taken[n++] = r;
	}
	return n;
}

static void commit_round(struct mailbox *m)
{
	struct commit_request *taken[COMMIT_REQUESTS_MAX];
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, m->user->store->event, now_us() + STORE_WRITE_US);
	op.doing = STR("committing mail");
	size_t n = 0;
	enum err e = mailbox_write_begin(&op, m);
	if (e == ERR_NONE) {
		n = take_ready(m, taken);
		e = n > 0 ? commit(&op, m, taken, n) : ERR_NONE;
		mailbox_write_end(m);
	} else {
		n = take_ready(m, taken);
	}
	for (size_t i = 0; i < n; i++) {
		taken[i]->result = e;
		taken[i]->is_done = true;
		memcpy(taken[i]->failure, op.failure.text, sizeof(op.failure.text));
		wait_queue_wake_all(&taken[i]->done);
		request_unref(taken[i]);
	}
}

static void commit_task(void *arg)
{
	struct mailbox *m = arg;
	struct store *s = m->user->store;
	task_shield();
	while (!list_is_empty(&m->commits))
		commit_round(m);
	m->is_committing = false;
	task_unshield();
	mailbox_unref(m);
	store_background_end(s);
}

static enum err commit_and_wait(struct op *op, struct mailbox *m, struct commit_request *r)
{
	r->refs++;
	list_add_last(&m->commits, &r->link);
	if (!m->is_committing) {
		m->is_committing = true;
		store_background(m->user->store, "store-commit", commit_task, mailbox_ref(m));
	}
	while (!r->is_done)
		TRY(wait_queue_wait(op, &r->done));
	if (r->result == ERR_NONE)
		return ERR_NONE;
	return op_fail(op, r->result, "%s", r->failure);
}

/* ---- the objects ---- */

struct put {
	struct mailbox *mailbox;
	struct str key, message;
	const struct row_append *row;
};

static enum err put_one(struct op *op, void *arg)
{
	struct put *p = arg;
	struct object_meta meta[META_OF_MAIL_MAX];
	size_t meta_count = meta_of_mail(op->arena, p->mailbox, p->row, meta);
	return objects_put(op, p->mailbox->user->store->objects,
		&(struct object_put){ .key = p->key,
			.parts = &p->message,
			.part_count = 1,
			.meta = meta,
			.meta_count = meta_count });
}

static enum err put_slice(struct op *op, struct put *puts, size_t count)
{
	if (count == 1)
		return put_one(op, puts);
	struct task_group *g = task_group_new(op);
	for (size_t i = 0; i < count; i++)
		task_group_start(g, "store-put", put_one, &puts[i]);
	return task_group_finish(op, g);
}

static enum err put_all(struct op *op, struct put *puts, size_t count)
{
	for (size_t at = 0; at < count; at += PARALLEL_PUTS)
		TRY(put_slice(op, puts + at, MIN(count - at, (size_t)PARALLEL_PUTS)));
	return ERR_NONE;
}

/* ---- mailbox_append ---- */

static enum err prepare(struct op *op, struct mailbox *m, const struct append *in,
	struct commit_request *r, size_t i, struct put *put)
{
	struct row_append *row = &r->rows[i];
	TRY(flags_check_keywords(op, m, in->keywords, in->keyword_count));
	random_bytes(row->oid.bytes, sizeof(row->oid.bytes));
	row->guid = row->oid;
	row->flags = in->flags & MAIL_STORABLE_FLAGS;
	for (size_t k = 0; k < in->keyword_count; k++)
		row->keywords[k] = str_dup(&r->arena, in->keywords[k]);
	row->keyword_count = in->keyword_count;
	row->saved_wall_us = now_wall_us();
	row->received_wall_us = in->received_wall_us ? in->received_wall_us : row->saved_wall_us;
	AUTO_BUF(summary, 0);
	summary_make(in->message, &summary, &row->size_virtual);
	row->summary = buf_dup(&r->arena, &summary);
	row->length = row->size_physical = in->message.n;
	*put = (struct put){ m, store_object_key(op->arena, m->user, row->oid), in->message, row };
	AUTO_BUF(value, 0);
	struct row_append weighed = *row;
	weighed.uid = UINT32_MAX;
	weighed.modseq = UINT64_MAX;
	weighed.has_batch = true;
	weighed.summary = summary.n > ROW_SUMMARY_MAX ? STR_NONE : row->summary;
	row_append_encode(&value, &weighed);
	r->bytes += BATCH_ROW_BYTES + value.n;
	return row->size_virtual > ROW_MESSAGE_SIZE_MAX
		       ? op_fail(op, ERR_LIMIT, "mail of more than 4 GiB")
		       : ERR_NONE;
}

struct saving {
	struct mailbox *mailbox;
	struct put *puts;
	size_t count;
};

static enum err put_task(struct op *op, void *arg)
{
	struct saving *s = arg;
	return put_all(op, s->puts, s->count);
}

/* If it cannot be written now, the commit tries again. */
static enum err claim_task(struct op *op, void *arg)
{
	struct saving *s = arg;
	enum err e = mailbox_write_begin(op, s->mailbox);
	if (e == ERR_NONE) {
		e = mailbox_ensure_uids(op, s->mailbox, s->count);
		if (e == ERR_NONE)
			e = mailbox_claim_now(op, s->mailbox);
		mailbox_write_end(s->mailbox);
	}
	if (e != ERR_NONE)
		op_forgive(op);
	return ERR_NONE;
}

/* WAITS. The first mails of a process are stored while its open head is written. */
static enum err store_objects(struct op *op, struct mailbox *m, struct put *puts, size_t count)
{
	struct saving s = { m, puts, count };
	if (m->is_claimed)
		return put_all(op, puts, count);
	struct task_group *g = task_group_new(op);
	task_group_start(g, "store-claim", claim_task, &s);
	task_group_start(g, "store-put", put_task, &s);
	return task_group_finish(op, g);
}

static enum err append_all(struct op *op, struct mailbox *m, const struct append *appends,
	size_t count, struct commit_request *r)
{
	struct put *puts = ARENA_NEW_ARRAY(op->arena, struct put, count);
	for (size_t i = 0; i < count; i++)
		TRY(prepare(op, m, &appends[i], r, i, &puts[i]));
	TRY(store_objects(op, m, puts, count));
	return commit_and_wait(op, m, r);
}

enum err mailbox_append(struct op *op, struct mailbox *m, const struct append *appends,
	size_t count, struct append_result *out)
{
	CHECK(m, MAILBOX_MAGIC);
	uint64_t limit = MIN(m->user->store->settings.message_bytes_max, ROW_MESSAGE_SIZE_MAX);
	for (size_t i = 0; i < count; i++)
		if (appends[i].message.n > limit)
			return op_fail(op, ERR_LIMIT, "mail of %zu bytes, at most %" PRIu64,
				appends[i].message.n, limit);
	struct commit_request *r = MEM_NEW(struct commit_request);
	arena_init(&r->arena, 0);
	r->refs = 1;
	r->count = count;
	r->rows = ARENA_NEW_ARRAY(&r->arena, struct row_append, count);
	enum err e = count > 0 ? append_all(op, m, appends, count, r) : ERR_NONE;
	if (e == ERR_NONE) {
		out->uid_validity = m->uid_validity;
		out->uids = ARENA_NEW_ARRAY(op->arena, uint32_t, count);
		for (size_t i = 0; i < count; i++)
			out->uids[i] = r->rows[i].uid;
	}
	request_unref(r);
	return e;
}
