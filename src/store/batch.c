/* SPDX-License-Identifier: Apache-2.0 */
/* Writing: a batch is durable as a whole, then folded and told, or it is known not to exist.
 *
 *   built ── write ──> durable ──> published
 *              │ uncertain, repeated in vain
 *              ▼
 *          unsettled: its void (appends, copies) or itself is written before the next write of the
 *                     user begins; until then he changes nothing.
 * Repeating a batch is harmless: rows have unique names and the fold is idempotent. */
#include "store/store_private.h"

#include "base/codec.h"

#define TRIES         4
#define BREATHE_EVERY 64

static const int64_t pause_us[TRIES] = { 0, 20 * US_PER_MS, 100 * US_PER_MS, 500 * US_PER_MS };

struct batch *batch_new(struct user *u)
{
	struct batch *b = MEM_NEW(struct batch);
	arena_init(&b->arena, 0);
	b->user = u;
	return b;
}

void batch_free(struct batch *b)
{
	if (!b)
		return;
	list_remove(&b->link);
	arena_done(&b->arena);
	mem_free(b);
}

struct catalog_change *batch_add(
	struct batch *b, enum catalog_change_kind kind, struct catalog_guid mailbox)
{
	if (b->count == b->cap) {
		size_t cap = MAX(b->cap * 2, 8);
		b->changes = arena_grow(&b->arena, b->changes, b->cap * sizeof(*b->changes),
			cap * sizeof(*b->changes));
		b->items = arena_grow(
			&b->arena, b->items, b->cap * sizeof(*b->items), cap * sizeof(*b->items));
		b->cap = cap;
	}
	struct catalog_change *change = &b->changes[b->count++];
	*change = (struct catalog_change){ .kind = kind, .mailbox = mailbox };
	change->row.kind = CATALOG_OP;
	return change;
}

void batch_put_row(struct batch *b, struct catalog_guid mailbox, enum catalog_kind kind,
	uint32_t bucket, struct catalog_name name, const struct buf *value)
{
	struct catalog_change *change = batch_add(b, CATALOG_PUT_ROW, mailbox);
	change->row = (struct catalog_row){ kind, bucket, name, buf_dup(&b->arena, value) };
}

void batch_put_op(
	struct batch *b, struct catalog_guid mailbox, uint32_t bucket, const struct buf *value)
{
	batch_put_row(b, mailbox, CATALOG_OP, bucket, store_name(b->user->store), value);
}

void batch_put_head(
	struct batch *b, struct catalog_guid mailbox, struct str key, const struct buf *value)
{
	struct catalog_change *change = batch_add(b, CATALOG_PUT_HEAD, mailbox);
	change->key = str_dup(&b->arena, key);
	change->value = buf_dup(&b->arena, value);
}

struct str batch_oid_text(struct batch *b, struct row_id oid)
{
	AUTO_BUF(text, 0);
	hex_encode(&text, (struct str){ (const char *)oid.bytes, sizeof(oid.bytes) });
	return buf_dup(&b->arena, &text);
}

void batch_reference(struct batch *b, bool is_added, struct row_id oid, struct catalog_guid mailbox,
	uint32_t bucket, struct catalog_name name)
{
	struct catalog_change *change =
		batch_add(b, is_added ? CATALOG_PUT_REVERSE : CATALOG_DELETE_REVERSE, mailbox);
	change->row.bucket = bucket;
	change->row.name = name;
	change->object = batch_oid_text(b, oid);
}

void batch_garbage(struct batch *b, struct str object, struct catalog_guid mailbox, uint32_t bucket,
	struct catalog_name row, struct catalog_name queued)
{
	struct catalog_change *change = batch_add(b, CATALOG_PUT_GARBAGE, mailbox);
	change->object = str_dup(&b->arena, object);
	change->row.bucket = bucket;
	change->row.name = row;
	change->queued = queued;
}

/* ---- void ---- */

static void void_append(struct batch *v, const struct catalog_change *put)
{
	struct row_append a;
	enum err e = row_append_decode(put->row.value, &a);
	ASSERT(e == ERR_NONE); /* we encoded it */
	struct row_mark mark = { .name = put->row.name, .uid = a.uid };
	AUTO_BUF(value, 0);
	row_void_encode(&value, &mark, 1);
	batch_put_op(v, put->mailbox, put->row.bucket, &value);
	batch_garbage(v, batch_oid_text(v, a.oid), put->mailbox, put->row.bucket, put->row.name,
		store_name(v->user->store));
	struct catalog_change *gone = batch_add(v, CATALOG_DELETE_ROW, put->mailbox);
	gone->row = put->row;
	gone->row.value = STR_NONE;
	batch_reference(v, false, a.oid, put->mailbox, put->row.bucket, put->row.name);
}

/* The batch that makes sure that the appends of `b` never were. Its heads are kept, and its reverse
 * rows are put again: those of the originals must be there when the collector looks whether the
 * object of a copy that never was is still needed. void_append() takes away those of the copies. */
static struct batch *void_of(const struct batch *b)
{
	struct batch *v = batch_new(b->user);
	for (size_t i = 0; i < b->count; i++) {
		const struct catalog_change *c = &b->changes[i];
		if (c->kind == CATALOG_PUT_ROW && c->row.kind == CATALOG_APPEND) {
			void_append(v, c);
		} else if (c->kind == CATALOG_PUT_HEAD || c->kind == CATALOG_DELETE_HEAD) {
			struct catalog_change *head = batch_add(v, c->kind, c->mailbox);
			head->key = str_dup(&v->arena, c->key);
			head->value = str_dup(&v->arena, c->value);
		} else if (c->kind == CATALOG_PUT_REVERSE) {
			struct catalog_change *reverse = batch_add(v, c->kind, c->mailbox);
			reverse->row = c->row;
			reverse->object = str_dup(&v->arena, c->object);
		}
	}
	return v;
}

/* ---- publishing ---- */

static void publish_head(struct user *u, const struct catalog_change *change)
{
	struct mailbox *m = user_find_mailbox(u, change->mailbox);
	struct user_head own = { .mailbox = change->mailbox };
	uint32_t bucket;
	if (!m)
		return;
	if (str_eq(change->key, HEAD_BUCKET) &&
		head_bucket_decode(change->value, &bucket) == ERR_NONE) {
		m->bucket = bucket;
		m->bucket_rows = 0;
	}
	if (head_is_writer_key(change->key, &own.writer) && own.writer == u->store->clock.writer &&
		head_writer_decode(change->value, &own.head) == ERR_NONE) {
		m->is_claimed = own.head.is_open;
		user_set_head(u, &own);
	}
}

/* WAITS now and then in large batches: the write lock of their mailboxes keeps others from adding
 * anything, and sessions may see a part. */
static void publish(struct batch *b)
{
	static const struct catalog_guid root;
	struct user *u = b->user;
	for (size_t i = 0; i < b->count; i++) {
		const struct catalog_change *change = &b->changes[i];
		if (change->kind == CATALOG_PUT_HEAD)
			publish_head(u, change);
		if (change->kind != CATALOG_PUT_ROW)
			continue;
		if (memcmp(&change->mailbox, &root, sizeof(root)) == 0) {
			enum err e = tree_fold(&u->tree, &change->row);
			ASSERT(e == ERR_NONE);
			continue;
		}
		struct mailbox *m = user_find_mailbox(u, change->mailbox);
		if (m && m->index)
			mailbox_publish(m, &change->row, b->items[i].summary);
		if (i % BREATHE_EVERY == BREATHE_EVERY - 1)
			task_breathe();
	}
	struct mailbox *m = user_find_mailbox(u, b->journal), *next;
	if (m && b->journalled > 0) {
		local_add(
			m, &(struct log_record){ .type = LOG_JOURNALLED, .number = b->journalled });
		m->is_touched = true;
	}
	LIST_FOR_EACH(m, next, &u->mailboxes, struct mailbox, link)
	mailbox_published(m);
}

/* ---- writing ---- */

static bool is_uncertain(enum err e)
{
	return e == ERR_UNAVAILABLE || e == ERR_TIMEOUT || e == ERR_CANCELLED;
}

/* *uncertain stays true once an answer got lost, whatever later answers say. */
static enum err write_once(struct op *op, struct batch *b, bool *uncertain)
{
	struct store *s = b->user->store;
	if (s->is_abandoned)
		return op_fail(op, ERR_UNAVAILABLE, "the store was abandoned");
	enum err e = catalog_write(op, s->catalog, b->user->name, b->changes, b->count);
	*uncertain = *uncertain || is_uncertain(e);
	return e;
}

static enum err write_repeatedly(struct op *op, struct batch *b, bool *uncertain)
{
	enum err e = ERR_NONE;
	for (int i = 0; i < TRIES; i++) {
		if (pause_us[i] > 0 && task_sleep(op, pause_us[i]) != ERR_NONE)
			return e;
		e = write_once(op, b, uncertain);
		if (!is_uncertain(e))
			break;
	}
	return e;
}

static enum err settle_all(struct op *op, struct user *u)
{
	struct batch *b;
	while ((b = LIST_FIRST(&u->unsettled, struct batch, link)) != NULL) {
		bool uncertain = false;
		enum err e = write_once(op, b, &uncertain);
		if (e != ERR_NONE)
			return op_fail(op, ERR_UNAVAILABLE, "an earlier change is not settled: %s",
				op->failure.text);
		publish(b); /* listed until all of it counts: others wait for that */
		batch_free(b);
	}
	return ERR_NONE;
}

static void inner_op(struct op *inner, const struct op *op)
{
	op_init(inner, op->arena, op->event, now_us() + STORE_WRITE_US);
	inner->doing = op->doing;
}

static enum err pass_on(struct op *op, const struct op *inner, enum err e)
{
	return e == ERR_NONE ? e : op_fail(op, e, "%s", inner->failure.text);
}

enum err user_settle(struct op *op, struct user *u)
{
	if (list_is_empty(&u->unsettled))
		return ERR_NONE;
	struct op inner;
	inner_op(&inner, op);
	task_shield();
	enum err e = task_mutex_lock(&inner, &u->settle_lock);
	if (e == ERR_NONE) {
		e = settle_all(&inner, u);
		task_mutex_unlock(&u->settle_lock);
	}
	task_unshield();
	return pass_on(op, &inner, e);
}

enum err user_write(struct op *op, struct user *u, struct batch *b)
{
	struct op inner;
	bool uncertain = false;
	inner_op(&inner, op);
	task_shield();
	enum err e = write_repeatedly(&inner, b, &uncertain);
	if (e == ERR_NONE) {
		publish(b);
	} else if (uncertain) {
		struct batch *next = b->is_voidable ? void_of(b) : b;
		list_add_last(&u->unsettled, &next->link);
		if (next == b)
			b = NULL;
		e = op_fail(&inner, ERR_UNAVAILABLE, "%s", inner.failure.text);
		struct op settle;
		inner_op(&settle, op);
		/* Usually the next write does it; trying now keeps the window small. */
		(void)(user_settle(&settle, u) == ERR_NONE);
	}
	task_unshield();
	batch_free(b);
	return pass_on(op, &inner, e);
}
