/* SPDX-License-Identifier: Apache-2.0 */
/* One open mailbox: opening from local files and the catalog's tail, publishing, closing.
 *
 *   OPENING ── files, tail, floor row if the last owner did not close ──> OPEN ──> CLOSING
 *
 * Clean: the closed head equals the mark at the end of the local log: nothing is read. Closed, but the
 * files are old or gone: the tail from ten minutes before their cover is folded again. Not closed:
 * also, modseqs restart in a floor row that is durable before the first answer, and a hole is noted
 * if flag changes may be lost. */
#include "store/store_private.h"

#include "base/hash.h"
#include "base/number.h"

struct row_id row_id_of(struct catalog_guid guid)
{
	struct row_id id;
	memcpy(id.bytes, guid.bytes, sizeof(id.bytes));
	return id;
}

/* ---- opening ---- */

static struct mailbox *mailbox_new(struct user *u, const struct tree_node *node)
{
	struct mailbox *m = MEM_NEW(struct mailbox);
	m->magic = MAILBOX_MAGIC;
	m->user = u;
	m->guid = node->guid;
	m->serial = ++u->mailbox_serial;
	m->uid_validity = node->uid_validity;
	m->local.log_fd = m->local.summary_fd = -1;
	list_init(&m->commits);
	list_init(&m->views);
	list_add_last(&u->mailboxes, &m->link);
	u->store->counters.mailboxes_open++;
	return m;
}

void mailbox_free(struct mailbox *m)
{
	ASSERT(list_is_empty(&m->views) && list_is_empty(&m->commits));
	timer_cancel(&m->journal_timer);
	timer_cancel(&m->notify_timer);
	list_remove(&m->link);
	index_free(m->index);
	local_close(&m->local);
	base_state_done(&m->base);
	buf_done(&m->pending);
	m->user->store->counters.mailboxes_open--;
	mem_free(m);
}

static enum err open_first(struct op *op, struct mailbox *m)
{
	enum err e = task_mutex_lock(op, &m->write_lock);
	if (e == ERR_NONE) {
		e = mailbox_load(op, m);
		task_mutex_unlock(&m->write_lock);
	}
	m->state = e == ERR_NONE ? OPEN : CLOSING;
	m->was_left = e == ERR_TIMEOUT || e == ERR_CANCELLED;
	wait_queue_wake_all(&m->changed);
	return e;
}

static enum err open_join(struct op *op, struct mailbox *m)
{
	while (m->state == OPENING)
		TRY(wait_queue_wait(op, &m->changed));
	return m->state == OPEN ? ERR_NONE
				: op_fail(op, ERR_UNAVAILABLE, "the mailbox could not be opened");
}

enum err mailbox_open_node(
	struct op *op, struct user *u, const struct tree_node *node, struct mailbox **out)
{
	enum err e = ERR_NONE;
	bool again = true;
	while (again && !node->is_removed) {
		struct mailbox *m = user_find_mailbox(u, node->guid);
		bool is_first = !m;
		if (is_first)
			m = mailbox_new(u, node);
		*out = mailbox_ref(m);
		e = is_first ? open_first(op, m) : open_join(op, m);
		/* That the first one left is no reason for the others. */
		again = e == ERR_UNAVAILABLE && !is_first && m->was_left;
		if (e != ERR_NONE)
			mailbox_unref(m);
		if (again)
			op_forgive(op);
	}
	return again ? op_fail(op, ERR_NOT_FOUND, "the mailbox was deleted") : e;
}

enum err mailbox_open(struct op *op, struct user *u, struct str name, struct mailbox **out)
{
	struct str canonical;
	TRY(name_check(op, u->store, name, &canonical));
	const struct tree_node *node = tree_find(&u->tree, canonical);
	if (!node || node->is_going)
		return op_fail(op, ERR_NOT_FOUND, "no mailbox %.*s", STRF(canonical));
	return op_within(op, mailbox_open_node(op, u, node, out), "opening %.*s", STRF(canonical));
}

struct mailbox *mailbox_ref(struct mailbox *m)
{
	CHECK(m, MAILBOX_MAGIC);
	m->refs++;
	(void)user_ref(m->user);
	return m;
}

void mailbox_unref(struct mailbox *m)
{
	struct user *u = m->user;
	CHECK(m, MAILBOX_MAGIC);
	ASSERT(m->refs > 0);
	m->refs--;
	if (m->refs == 0 && (m->is_removed || m->state == CLOSING))
		mailbox_free(m);
	user_unref(u);
}

struct mailbox_guid mailbox_guid(const struct mailbox *m)
{
	struct mailbox_guid guid;
	memcpy(guid.bytes, m->guid.bytes, sizeof(guid.bytes));
	return guid;
}

uint32_t mailbox_uid_validity(const struct mailbox *m)
{
	return m->uid_validity;
}

size_t mailbox_keywords(const struct mailbox *m, const struct str **out)
{
	return index_keywords(m->index, out);
}

/* ---- status ---- */

static void status_of_index(const struct mailbox *m, struct mailbox_status *out)
{
	struct index_counters c = index_counters(m->index);
	uint32_t total = index_count(m->index), recent = 0;
	for (uint32_t at = index_seek(m->index, index_recent_uid(m->index) + 1); at < total; at++)
		recent += !index_is_ghost(index_hot(m->index, at));
	*out = (struct mailbox_status){ .guid = mailbox_guid(m),
		.messages = c.messages,
		.recent = recent,
		.unseen = c.unseen,
		.deleted = c.deleted,
		.uid_validity = m->uid_validity,
		.uid_next = index_next_uid(m->index),
		.highest_modseq = MAX(index_modseq(m->index), 1),
		.bytes_virtual = c.bytes_virtual };
}

static void status_of_head(
	const struct tree_node *node, const struct handover *h, struct mailbox_status *out)
{
	const struct head_counters *c = &h->closed.counters;
	*out = (struct mailbox_status){ .messages = c->messages,
		.recent = c->recent,
		.unseen = c->unseen,
		.deleted = c->deleted,
		.uid_validity = node->uid_validity,
		.uid_next = MAX(h->closed.next_uid, 1),
		.highest_modseq = MAX(h->closed.modseq, 1),
		.bytes_virtual = c->bytes_virtual };
	memcpy(out->guid.bytes, node->guid.bytes, sizeof(out->guid.bytes));
}

enum err mailbox_status(struct op *op, struct user *u, struct str name, struct mailbox_status *out)
{
	struct str canonical;
	TRY(name_check(op, u->store, name, &canonical));
	const struct tree_node *node = tree_find(&u->tree, canonical);
	if (!node || node->is_going)
		return op_fail(op, ERR_NOT_FOUND, "no mailbox %.*s", STRF(canonical));
	struct handover h = user_handover(u, node->guid);
	if (!user_find_mailbox(u, node->guid) && !h.is_open && !h.is_shared && h.late_ms == 0) {
		status_of_head(node, &h, out); /* never written, or closed: exact */
		return ERR_NONE;
	}
	struct mailbox *m;
	TRY(mailbox_open(op, u, canonical, &m));
	status_of_index(m, out);
	mailbox_unref(m);
	return ERR_NONE;
}

/* ---- writing ---- */

enum err mailbox_write_begin(struct op *op, struct mailbox *m)
{
	TRY(store_check_clock(op, m->user->store));
	TRY(task_mutex_lock(op, &m->write_lock));
	enum err e = m->state == CLOSING
			     ? op_fail(op, ERR_UNAVAILABLE, "the mailbox has to be opened anew")
		     : m->is_removed ? op_fail(op, ERR_NOT_FOUND, "the mailbox was deleted")
				     : user_settle(op, m->user);
	if (e == ERR_NONE)
		e = user_look(op, m->user);
	if (e == ERR_NONE && m->is_removed) /* by what was just settled */
		e = op_fail(op, ERR_NOT_FOUND, "the mailbox was deleted");
	if (e != ERR_NONE)
		task_mutex_unlock(&m->write_lock);
	return e;
}

void mailbox_write_end(struct mailbox *m)
{
	task_mutex_unlock(&m->write_lock);
}

uint64_t mailbox_next_modseq(struct mailbox *m, uint64_t *last)
{
	*last = MAX(*last, MAX(index_modseq(m->index), m->voided_modseq));
	*last = modseq_next(*last, store_name_wall_us(m->user->store));
	return *last;
}

/* Flag changes of an earlier process, in the log, that are taken over only when the mailbox is. */
static uint64_t before_left(const struct mailbox *m, uint64_t modseq)
{
	struct str rest = buf_str(&m->local.pending_values);
	struct row_op_value v;
	struct row_flags_group first;
	uint64_t n;
	if (number_cut_varint(&rest, &n) &&
		row_op_decode(str_take(&rest, (size_t)n), &v) == ERR_NONE && v.op == ROW_FLAGS &&
		row_flags_next(&v.groups, v.keyword_count, &first))
		return MIN(modseq, first.modseq - 1);
	return modseq;
}

/* All that is at or below it is durable: flag changes that were told and wait for the journal are above. */
static uint64_t durable_modseq(const struct mailbox *m)
{
	const struct str *words;
	size_t count = index_keywords(m->index, &words);
	struct str rest = buf_str(&m->pending);
	struct row_flags_group first;
	uint64_t modseq = before_left(m, index_modseq(m->index));
	return row_flags_next(&rest, count, &first) ? MIN(modseq, first.modseq - 1) : modseq;
}

/* Not above rows of ours that came late, while others have to look for them. */
static struct catalog_name head_cover(const struct mailbox *m)
{
	struct catalog_name cover = index_cover(m->index);
	bool is_late = !name_is_none(m->late_row) && mailbox_late_ms(m) > 0;
	return is_late && name_cmp(m->late_row, cover) < 0 ? m->late_row : cover;
}

static void head_encode(const struct mailbox *m, bool is_open, struct buf *out)
{
	struct mailbox_status s;
	status_of_index(m, &s);
	uint32_t next_uid = MAX(s.uid_next, m->floor_uid);
	struct head_writer head = { .is_open = is_open,
		.may_lose_flags =
			is_open && m->user->store->settings.flags_journal != STORE_FLAGS_SYNC,
		.next_uid = next_uid,
		.limit_uid = is_open ? MAX(m->limit_uid, next_uid) : next_uid,
		.recent_uid = index_recent_uid(m->index),
		.modseq = is_open ? durable_modseq(m) : index_modseq(m->index),
		.counters = { s.messages, s.unseen, s.deleted, s.recent, s.bytes_virtual },
		.cover = head_cover(m),
		.host = hash_stable(m->user->store->settings.host),
		.late_ms = (uint64_t)mailbox_late_ms(m) };
	head_writer_encode(out, &head);
}

static void put_own_head(struct batch *b, struct mailbox *m, bool is_open)
{
	char key[HEAD_OPEN_SIZE];
	AUTO_BUF(value, 0);
	head_encode(m, is_open, &value);
	batch_put_head(b, m->guid, head_writer_key(m->user->writer, key), &value);
}

void mailbox_put_open_head(struct batch *b, struct mailbox *m)
{
	put_own_head(b, m, true);
}

void mailbox_claim(struct batch *b, struct mailbox *m)
{
	if (m->is_claimed)
		return;
	put_own_head(b, m, true);
	if (mailbox_has_seen_heads(m))
		user_delete_foreign_heads(b, m->guid, 0, RANK_USUAL);
}

enum err mailbox_claim_now(struct op *op, struct mailbox *m)
{
	if (m->is_claimed)
		return ERR_NONE;
	struct batch *b = batch_new(m->user);
	mailbox_claim(b, m);
	return user_write(op, m->user, b);
}

uint32_t mailbox_bucket_for(struct batch *b, struct mailbox *m, size_t rows)
{
	if (m->bucket_rows == 0 || m->bucket_rows + rows <= STORE_BUCKET_ROWS)
		return m->bucket;
	AUTO_BUF(value, 0);
	head_bucket_encode(&value, m->bucket + 1);
	batch_put_head(b, m->guid, HEAD_BUCKET, &value);
	return m->bucket + 1;
}

static void log_append_row(struct mailbox *m, const struct catalog_row *row, struct str summary)
{
	struct row_append a;
	enum err e = row_append_decode(row->value, &a);
	ASSERT(e == ERR_NONE);
	struct str known = summary.n > 0 ? summary : a.summary;
	a.summary = STR_NONE;
	AUTO_BUF(lean, 0);
	row_append_encode(&lean, &a);
	struct log_record record = { .type = LOG_ROW, .row = *row };
	record.row.value = buf_str(&lean);
	local_add(m, &record);
	uint32_t at;
	if (index_find_name(m->index, a.uid, row->name, &at))
		summary_keep(m, index_hot(m->index, at)->uid, known);
	m->bucket_rows++;
}

void mailbox_publish(struct mailbox *m, const struct catalog_row *row, struct str summary)
{
	enum err e = index_fold(m->index, row);
	ASSERT(e == ERR_NONE); /* our own row, decoded once already by its encoder's tests */
	if (row->kind == CATALOG_APPEND)
		log_append_row(m, row, summary);
	else
		local_add(m, &(struct log_record){ .type = LOG_ROW, .row = *row });
	base_note_row(m, row);
	m->is_touched = true;
}

static void rewrite_task(void *arg)
{
	struct mailbox *m = arg;
	struct store *s = m->user->store;
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, s->event, now_us() + STORE_WRITE_US);
	if (mailbox_write_begin(&op, m) == ERR_NONE) {
		/* Flags whose row is on its way stand in the old log alone: another time. */
		if (m->local.pending <= m->pending_records)
			(void)(local_rewrite(&op, m) == ERR_NONE); /* else the old files go on */
		mailbox_write_end(m);
	}
	m->is_rewriting = false;
	mailbox_unref(m);
	store_background_end(s);
}

void mailbox_published(struct mailbox *m)
{
	if (!m->is_touched)
		return;
	m->is_touched = false;
	metacache_note_change(m);
	local_write(m);
	views_trim(m);
	views_notify(m);
	base_consider(m);
	if (m->local.log_bytes > STORE_LOG_MAX_BYTES + m->local.snapshot_bytes / 2 &&
		!m->is_rewriting && m->state == OPEN && m->user->state == OPEN) {
		m->is_rewriting = true;
		store_background(m->user->store, "store-rewrite", rewrite_task, mailbox_ref(m));
	}
}

void mailbox_touch(struct mailbox *m)
{
	m->is_touched = true;
	mailbox_published(m);
}

void mailbox_mark_removed(struct mailbox *m)
{
	m->is_removed = true;
	views_notify(m);
}

/* ---- closing ---- */

/* The heads say that rows of others may come late, and after that time we have looked: the next one who
 * opens it need not. */
static bool is_late_over(const struct mailbox *m)
{
	struct handover h = user_handover(m->user, m->guid);
	return h.late_ms > 0 && !h.is_open && mailbox_late_ms(m) == 0 && mailbox_has_seen_heads(m);
}

enum err mailbox_close_cleanly(struct op *op, struct mailbox *m, struct batch *b)
{
	if (m->is_removed || m->state != OPEN)
		return ERR_NONE;
	base_close(op, m);
	TRY(flags_journal_flush(op, m));
	TRY(mailbox_write_begin(op, m));
	const struct local *l = &m->local;
	if (l->log_bytes > (64u << 10) + l->snapshot_bytes / 4 || l->is_broken)
		(void)(local_rewrite(op, m) == ERR_NONE); /* else it is read from the catalog */
	struct log_record clean = { .type = LOG_CLEAN,
		.uid = index_next_uid(m->index),
		.number = index_modseq(m->index),
		.cover = index_cover(m->index),
		.writer = m->user->writer };
	bool is_told = is_late_over(m);
	if (m->is_claimed || mailbox_is_untold(m) || is_told) {
		put_own_head(b, m, false);
		if (is_told)
			user_delete_foreign_heads(b, m->guid, 0, RANK_USUAL);
	} else if (m->has_clean_head) {
		clean.uid = m->clean_head.next_uid;
		clean.number = m->clean_head.modseq;
		clean.cover = m->clean_head.cover;
		clean.writer = m->clean_writer;
	}
	if (m->is_claimed || m->has_clean_head || mailbox_is_untold(m) || is_told) {
		local_add(m, &clean);
		local_write(m);
	}
	mailbox_write_end(m);
	return ERR_NONE;
}
