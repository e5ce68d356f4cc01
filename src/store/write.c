/* SPDX-License-Identifier: Apache-2.0 */
/* Writing: a batch is durable as a whole, then folded and told, or it is known not to exist.
 *
 *   built ── write ──> durable ──> published
 *              │ uncertain, repeated in vain
 *              ▼
 *          unsettled: its void (appends, copies) or itself is written before the next write of the
 *                     user begins; until then he changes nothing.
 * Repeating a batch is harmless: rows have unique names, stamps stay, and the fold is idempotent. Groups
 * that are known to be durable are not sent again, so that a large batch ends however often requests fail. A row
 * whose name got stale meanwhile gets a new one (batch_refresh), unless mails are in the batch: a move
 * goes on under its names, and its user waits. What is long after its time is the subject of batch_late.c. */
#include "store/store_private.h"

#define TRIES            4
#define BREATHE_EVERY    64
#define SETTLE_AGAIN_US  (20 * US_PER_MS)
#define SETTLE_LATEST_US (2 * US_PER_SEC)
#define ROW_WRITE_US     (20 * US_PER_MS) /* what a change may add to the time of a large batch */

static const int64_t pause_us[TRIES] = { 0, 20 * US_PER_MS, 100 * US_PER_MS, 500 * US_PER_MS };

/* ---- publishing ---- */

static void publish_writer(struct user *u, const struct catalog_change *change, uint32_t writer)
{
	struct mailbox *m = user_find_mailbox(u, change->mailbox);
	struct user_head own = { .mailbox = change->mailbox, .writer = writer };
	static const struct catalog_guid root;
	if (change->kind == CATALOG_DELETE_HEAD) {
		user_drop_head(u, change->mailbox, writer);
		return;
	}
	if (writer != u->writer || head_writer_decode(change->value, &own.head) != ERR_NONE)
		return;
	user_set_head(u, &own);
	if (m)
		m->is_claimed = own.head.is_open;
	if (m && m->is_claimed)
		local_add_writer(m);
	if (memcmp(&change->mailbox, &root, sizeof(root)) == 0)
		u->has_claimed_root = own.head.is_open;
}

static void publish_bucket(struct user *u, struct catalog_guid mailbox, uint32_t bucket)
{
	struct mailbox *m = user_find_mailbox(u, mailbox);
	user_set_bucket(u, mailbox, bucket);
	if (m && bucket > m->bucket) {
		m->bucket = bucket;
		m->bucket_rows = 0;
	}
}

static void publish_base(struct user *u, const struct catalog_change *change, uint32_t writer)
{
	struct user_base base = { .mailbox = change->mailbox, .writer = writer };
	struct mailbox *m = user_find_mailbox(u, change->mailbox);
	u->head_changes++;
	if (change->kind == CATALOG_DELETE_HEAD) {
		user_drop_base(u, change->mailbox, writer);
	} else if (head_base_decode(change->value, &base.head) == ERR_NONE) {
		user_set_base(u, &base);
		if (m && name_cmp(base.head.base.cover, m->base_cover) > 0)
			m->base_cover = base.head.base.cover;
	}
}

static bool puts_base(const struct catalog_change *change, const struct user_base *base)
{
	uint32_t writer;
	struct head_base head;
	return change->kind == CATALOG_PUT_HEAD && head_is_base_key(change->key, &writer) &&
	       memcmp(&change->mailbox, &base->mailbox, sizeof(base->mailbox)) == 0 &&
	       head_base_decode(change->value, &head) == ERR_NONE &&
	       memcmp(&head.base.id, &base->head.base.id, sizeof(head.base.id)) == 0;
}

bool user_may_have_put_base(const struct user *u, const struct user_base *base)
{
	for (struct list *at = u->unsettled.next; at != &u->unsettled; at = at->next) {
		const struct batch *b = CONTAINER_OF(at, struct batch, link);
		for (size_t i = 0; i < b->count; i++)
			if (puts_base(&b->changes[i], base))
				return true;
	}
	return false;
}

static void publish_head(struct user *u, const struct catalog_change *change)
{
	uint32_t number;
	if (head_is_writer_key(change->key, &number))
		publish_writer(u, change, number);
	else if (head_is_base_key(change->key, &number))
		publish_base(u, change, number);
	else if (change->kind == CATALOG_DELETE_HEAD)
		return;
	else if (str_eq(change->key, HEAD_ROOT_KEY))
		u->root_object = root_object_of(change->value);
	else if (str_eq(change->key, HEAD_BUCKET) &&
		 head_bucket_decode(change->value, &number) == ERR_NONE)
		publish_bucket(u, change->mailbox, number);
}

static void publish_row(
	struct user *u, const struct catalog_change *change, const struct batch_item *item)
{
	static const struct catalog_guid root;
	if (memcmp(&change->mailbox, &root, sizeof(root)) == 0) {
		enum err e = tree_fold(&u->tree, &change->row);
		ASSERT(e == ERR_NONE);
		return;
	}
	struct mailbox *m = user_find_mailbox(u, change->mailbox);
	/* A commit row, too, though its mails are resolved: it is the last row of ours that we have seen, and
	 * a floor row that named the mails alone would call them late. */
	if (!m || !m->is_loaded || item->is_quiet || item->rank == RANK_INTENT)
		return;
	struct catalog_row row = change->row;
	if (item->resolved.n > 0)
		row.value = item->resolved;
	mailbox_publish(m, &row, item->summary);
}

/* WAITS now and then in large batches: the write lock of their mailboxes keeps others from adding
 * anything, and sessions may see a part. */
static void publish(struct batch *b)
{
	static const struct catalog_guid root;
	struct user *u = b->user;
	bool has_names = false;
	for (size_t i = 0; i < b->count; i++) {
		const struct catalog_change *change = &b->changes[i];
		has_names = has_names || memcmp(&change->mailbox, &root, sizeof(root)) == 0;
		if (change->kind == CATALOG_PUT_HEAD || change->kind == CATALOG_DELETE_HEAD)
			publish_head(u, change);
		if (change->kind == CATALOG_PUT_ROW)
			publish_row(u, change, &b->items[i]);
		if (i % BREATHE_EVERY == BREATHE_EVERY - 1)
			task_breathe();
	}
	if (has_names)
		tree_tell_removed(u);
	struct mailbox *m = user_find_mailbox(u, b->journal), *next;
	if (m && b->journalled > 0 && m->serial == b->journal_serial) {
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
	batch_renew_claims(b);
	b->head_reads = b->user->head_reads;
	enum err e = s->is_abandoned ? op_fail(op, ERR_UNAVAILABLE, "the store was abandoned")
				     : store_check_clock(op, s);
	if (e == ERR_NONE && batch_has_late_rows(b))
		TRY(user_claim_again(op, b)); /* what others must know of is there before it */
	if (e == ERR_NONE)
		e = catalog_write_rest(
			op, s->catalog, b->user->name, b->changes, b->count, &b->durable);
	*uncertain = *uncertain || is_uncertain(e);
	return e;
}

static enum err write_repeatedly(struct op *op, struct batch *b, bool *uncertain)
{
	enum err e = ERR_NONE;
	for (int i = 0; i < TRIES; i++) {
		if (pause_us[i] > 0 && task_sleep(op, pause_us[i]) != ERR_NONE)
			return e;
		if (batch_has_old_sources(b))
			return op_fail(
				op, ERR_UNAVAILABLE, "the source was not looked at for too long");
		e = write_once(op, b, uncertain);
		if (!is_uncertain(e))
			break;
	}
	if (e == ERR_NONE && batch_may_be_ended(b)) {
		e = user_claim_again(op, b);
		*uncertain = *uncertain || e != ERR_NONE;
	}
	return e;
}

static enum err settle_all(struct op *op, struct user *u)
{
	struct batch *b;
	while ((b = LIST_FIRST(&u->unsettled, struct batch, link)) != NULL) {
		bool uncertain = false;
		if (u->is_deleted) {
			batch_free(b);
			continue;
		}
		if (flags_take_back(b)) {
			batch_free(b);
			continue;
		}
		batch_refresh(b);
		enum err e = batch_has_old_sources(b) ? batch_leave_out_collected(op, b) : ERR_NONE;
		if (e == ERR_NONE)
			e = write_once(op, b, &uncertain);
		if (e == ERR_NONE && batch_may_be_ended(b)) /* its names are old to others */
			e = user_claim_again(op, b);
		if (e != ERR_NONE)
			return op_fail(op, ERR_UNAVAILABLE, "an earlier change is not settled: %s",
				op->failure.text);
		publish(b); /* listed until all of it counts: others wait for that */
		batch_free(b);
	}
	return ERR_NONE;
}

/* One try after another, with growing pauses, however many ask. */
static enum err settle_in_time(struct op *op, struct user *u)
{
	int64_t wait_us = u->settle_next_us - now_us();
	if (!list_is_empty(&u->unsettled) && wait_us > 0 && task_sleep(op, wait_us) != ERR_NONE)
		return op_fail(op, ERR_UNAVAILABLE, "an earlier change is not settled");
	enum err e = settle_all(op, u);
	u->settle_pause_us =
		e == ERR_NONE ? 0
			      : MIN(MAX(2 * u->settle_pause_us, SETTLE_AGAIN_US), SETTLE_LATEST_US);
	u->settle_next_us = now_us() + u->settle_pause_us;
	return e;
}

static void inner_op(struct op *inner, const struct op *op, size_t changes)
{
	op_init(inner, op->arena, op->event,
		now_us() + STORE_WRITE_US + (int64_t)changes * ROW_WRITE_US);
	inner->doing = op->doing;
}

static enum err pass_on(struct op *op, const struct op *inner, enum err e)
{
	return e == ERR_NONE ? e : op_fail(op, e, "%s", inner->failure.text);
}

static size_t count_unsettled(const struct user *u)
{
	size_t count = 0;
	for (struct list *at = u->unsettled.next; at != &u->unsettled; at = at->next)
		count += CONTAINER_OF(at, struct batch, link)->count;
	return count;
}

enum err user_settle(struct op *op, struct user *u)
{
	if (list_is_empty(&u->unsettled))
		return ERR_NONE;
	struct op inner;
	inner_op(&inner, op, count_unsettled(u));
	task_shield();
	enum err e = task_mutex_lock(&inner, &u->settle_lock);
	if (e == ERR_NONE) {
		e = settle_in_time(&inner, u);
		task_mutex_unlock(&u->settle_lock);
	}
	task_unshield();
	return pass_on(op, &inner, e);
}

enum err store_write_changes(struct op *op, struct store *s, struct str user,
	struct catalog_change *changes, size_t count)
{
	store_stamp_changes(s, changes, count);
	return catalog_write(op, s->catalog, user, changes, count);
}

enum err user_write(struct op *op, struct user *u, struct batch *b)
{
	struct op inner;
	bool uncertain = false;
	if (u->is_deleted) {
		batch_free(b);
		return op_fail(op, ERR_UNAVAILABLE, "another host deleted the user");
	}
	inner_op(&inner, op, b->count);
	batch_finish(b);
	task_shield();
	enum err e = write_repeatedly(&inner, b, &uncertain);
	if (e == ERR_NONE) {
		publish(b);
		if (now_us() - u->heads_us > u->store->settings.refresh_us)
			user_refresh_soon(u); /* we stood still meanwhile */
	} else if (uncertain) {
		u->must_look = true;
		struct batch *next = b;
		if (b->is_voidable) {
			next = batch_void(b);
			batch_finish(next);
		}
		list_add_last(&u->unsettled, &next->link);
		if (next == b)
			b = NULL;
		e = op_fail(&inner, ERR_UNAVAILABLE, "%s", inner.failure.text);
		struct op settle;
		inner_op(&settle, op, next->count);
		/* Trying now keeps the window small; then the next write does it, or the next look. */
		if (user_settle(&settle, u) != ERR_NONE)
			user_refresh_soon(u);
	}
	task_unshield();
	batch_free(b);
	return pass_on(op, &inner, e);
}
