/* SPDX-License-Identifier: Apache-2.0 */
/* Changing flags, and the journal of what was changed.
 *
 * sync:  the change is a journal row before it is told.
 * async: it is in memory and in the local log (kill -9 keeps it) and is told; once a second what has
 *        gathered becomes one row. 1,000 changed mails make STORE wait for that; when the journal
 *        is ten seconds late STORE is refused.
 * off:   as async, but only bases make it durable; rows are written when there is no base to be had. */
#include "store/store_private.h"

#include "base/number.h"

#define JOURNAL_US      US_PER_SEC
#define JOURNAL_LATE_US (10 * US_PER_SEC)
#define PENDING_MAILS   1000
#define MARKS_A_GROUP   1000
#define PENDING_OFF_MAX (1u << 20)             /* bytes without a base; then rows are written */
#define PENDING_BYTES   (ROW_BYTES_MAX - 8192) /* leaves room for the keyword table */

/* What one STORE does, in bits of the index. */
struct plan {
	unsigned mask, value;
	uint64_t keywords_mask, keywords_value;
	struct row_mark *marks;
	size_t count;
};

static bool keyword_is_valid(struct str k)
{
	for (size_t i = 0; i < k.n; i++)
		if ((unsigned char)k.p[i] <= 0x20 || (unsigned char)k.p[i] >= 0x7f)
			return false;
	return k.n > 0;
}

enum err flags_check_keywords(
	struct op *op, struct mailbox *m, const struct str *keywords, size_t count)
{
	const struct str *known;
	size_t total = index_keywords(m->index, &known);
	uint32_t limit = MIN(m->user->store->settings.keyword_bytes_max, ROW_KEYWORD_MAX);
	for (size_t i = 0; i < count; i++) {
		if (!keyword_is_valid(keywords[i]))
			return op_fail(op, ERR_INVALID, "not a keyword");
		if (keywords[i].n > limit)
			return op_fail(
				op, ERR_LIMIT, "keyword of more than %" PRIu32 " bytes", limit);
		if (index_keyword_find(m->index, keywords[i]) < 0)
			total++;
	}
	if (total <= MAILBOX_KEYWORDS_MAX)
		return ERR_NONE;
	enum err e =
		op_fail(op, ERR_LIMIT, "a mailbox has at most %d keywords", MAILBOX_KEYWORDS_MAX);
	op_tell_client(op, "Too many keywords in this mailbox");
	return e;
}

static void plan_flags(struct mailbox *m, const struct store_flags *change, struct plan *plan)
{
	uint64_t named = 0;
	for (size_t i = 0; i < change->keyword_count; i++) {
		int bit = change->change == FLAGS_REMOVE
				  ? index_keyword_find(m->index, change->keywords[i])
				  : index_keyword_bit(m->index, change->keywords[i]);
		if (bit >= 0)
			named |= UINT64_C(1) << bit;
	}
	unsigned flags = change->flags & MAIL_STORABLE_FLAGS;
	plan->mask = change->change == FLAGS_REPLACE ? MAIL_STORABLE_FLAGS : flags;
	plan->keywords_mask = named;
	if (change->change == FLAGS_REPLACE) {
		const struct str *words;
		size_t count = index_keywords(m->index, &words);
		plan->keywords_mask = count >= 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
	}
	plan->value = change->change == FLAGS_REMOVE ? 0 : flags;
	plan->keywords_value = change->change == FLAGS_REMOVE ? 0 : named;
}

static bool is_changed(const struct snapshot_hot *hot, const struct plan *plan)
{
	return (hot->flags & plan->mask) != plan->value ||
	       (hot->keywords & plan->keywords_mask) != plan->keywords_value;
}

/* RFC 7162 3.1.3: 0 asks whether there is something to change. System flags always are; a keyword is
 * where it is set, so a client can set it if nobody did. */
static bool is_test_of_keywords(const struct store_flags *change)
{
	return change->unchanged_since == 0 && change->change != FLAGS_REPLACE &&
	       change->flags == 0 && change->keyword_count > 0;
}

static void plan_marks(struct op *op, struct view *v, const struct range_set *seqs,
	const struct store_flags *change, struct plan *plan, struct range_set *modified)
{
	struct mailbox *m = v->mailbox;
	struct range_set_iter it = { 0 };
	uint64_t since = change->unchanged_since;
	uint64_t unchanged_since =
		since == UINT64_MAX ? since : index_settle_modseq(m->index, since);
	bool is_test = is_test_of_keywords(change);
	uint32_t seq;
	plan->marks = ARENA_NEW_ARRAY(
		op->arena, struct row_mark, (size_t)MIN(range_set_size(seqs), v->exists));
	while (range_set_next(seqs, &it, &seq) && seq <= v->exists) {
		if (seq == 0)
			continue;
		uint32_t position = view_position(v, seq);
		const struct snapshot_hot *hot = index_hot(m->index, position);
		if (is_test ? (hot->keywords & plan->keywords_mask) != 0
			    : hot->modseq > unchanged_since) {
			if (modified)
				range_set_add(modified, seq, seq);
			continue;
		}
		if (index_is_ghost(hot) || !is_changed(hot, plan))
			continue;
		if (hot->modseq > v->told_changes && !view_is_silent(v, hot->modseq))
			range_set_add(&v->loud, hot->uid, hot->uid);
		plan->marks[plan->count++] =
			(struct row_mark){ .name = index_cold(m->index, position)->name,
				.uid = hot->uid };
	}
}

static void put_group(
	struct buf *out, const struct plan *plan, size_t from, uint64_t modseq, uint64_t stamp)
{
	struct row_flags_group g = { .modseq = modseq,
		.stamp = stamp,
		.mask = plan->mask,
		.value = plan->value,
		.keywords_mask = plan->keywords_mask,
		.keywords_value = plan->keywords_value,
		.count = MIN(plan->count - from, (size_t)MARKS_A_GROUP) };
	row_flags_encode_group(out, &g, plan->marks + from);
}

static void put_head(struct buf *out, struct mailbox *m)
{
	const struct str *words;
	size_t count = index_keywords(m->index, &words);
	row_flags_encode_head(out, words, count);
}

/* WAITS. Rows first, then told. */
static enum err apply_sync(
	struct op *op, struct mailbox *m, const struct plan *plan, uint64_t modseq)
{
	struct batch *b = batch_new(m->user);
	uint64_t stamp = name_stamp(store_name(m->user->store));
	mailbox_claim(b, m);
	for (size_t from = 0; from < plan->count; from += MARKS_A_GROUP) {
		AUTO_BUF(value, 0);
		put_head(&value, m);
		put_group(&value, plan, from, modseq, stamp);
		batch_put_op(b, m->guid, m->bucket, &value);
	}
	return user_write(op, m->user, b);
}

static void journal_due(void *arg);

void flags_journal_arm(struct mailbox *m)
{
	if (m->user->store->settings.flags_journal == STORE_FLAGS_OFF || m->is_journalling)
		return;
	if (m->journal_timer.at_us == TIME_NEVER || !m->journal_timer.fn) {
		timer_init(&m->journal_timer, journal_due, m);
		timer_set(&m->journal_timer, now_us() + JOURNAL_US);
	}
}

/* In memory and in the log; told at once. */
static void apply_async(struct mailbox *m, const struct plan *plan, uint64_t modseq)
{
	uint64_t stamp = name_stamp(store_name(m->user->store));
	for (size_t from = 0; from < plan->count; from += MARKS_A_GROUP) {
		AUTO_BUF(value, 0);
		put_head(&value, m);
		put_group(&value, plan, from, modseq, stamp);
		put_group(&m->pending, plan, from, modseq, stamp);
		m->pending_records++;
		local_add(m, &(struct log_record){ .type = LOG_PENDING, .value = buf_str(&value) });
		enum err e = index_fold_pending(m->index, buf_str(&value));
		ASSERT(e == ERR_NONE);
		if (m->user->store->settings.flags_journal == STORE_FLAGS_OFF)
			base_note_bytes(m, value.n);
	}
	if (m->pending_mails == 0)
		m->pending_since_us = now_us();
	m->pending_mails += plan->count;
	mailbox_touch(m);
	flags_journal_arm(m);
}

/* ---- the journal ---- */

static bool pending_are_old(const struct mailbox *m)
{
	const struct str *words;
	size_t count = index_keywords(m->index, &words);
	return flags_are_old(m->user, buf_str(&m->pending), count, 0);
}

/* Moves pending groups into rows of at most ROW_BYTES_MAX. */
static void journal_rows(struct batch *b, struct mailbox *m)
{
	const struct str *words;
	size_t count = index_keywords(m->index, &words);
	struct str rest = buf_str(&m->pending);
	AUTO_BUF(anew, 0);
	if (pending_are_old(m)) {
		struct row_op_value v = { .op = ROW_FLAGS, .groups = rest, .keyword_count = count };
		memcpy(v.keywords, words, count * sizeof(*words));
		flags_tell_anew(&anew, m, &v);
		b->made_anew = m->user->anew_stamp;
		rest = buf_str(&anew);
	}
	while (rest.n > 0) {
		struct str from = rest;
		struct row_flags_group g;
		struct str at = rest;
		while (row_flags_next(&at, count, &g) &&
			(at.n == 0 || from.n - at.n <= PENDING_BYTES || rest.n == from.n))
			rest = at;
		ASSERT(rest.n < from.n);
		AUTO_BUF(value, 0);
		put_head(&value, m);
		buf_put(&value, (struct str){ from.p, from.n - rest.n });
		batch_put_op(b, m->guid, m->bucket, &value);
	}
}

enum err flags_flush_locked(struct op *op, struct mailbox *m)
{
	if (m->pending.n == 0)
		return ERR_NONE;
	struct batch *b = batch_new(m->user);
	mailbox_claim(b, m);
	journal_rows(b, m);
	b->journal = m->guid;
	b->journal_serial = m->serial;
	b->journalled = m->pending_records;
	/* From here on the batch is the pending state: while its fate is unknown it stays unsettled. */
	struct buf groups = m->pending;
	size_t mails = m->pending_mails;
	uint64_t records = m->pending_records;
	int64_t since_us = m->pending_since_us;
	m->pending_epoch++;
	m->pending = (struct buf){ 0 };
	m->pending_mails = 0;
	m->pending_records = 0;
	enum err e = user_write(op, m->user, b);
	if (e != ERR_NONE && e != ERR_UNAVAILABLE) {
		/* It certainly was not written, so it is pending again, before what came meanwhile. */
		buf_put(&groups, buf_str(&m->pending));
		buf_done(&m->pending);
		m->pending = groups;
		m->pending_mails += mails;
		m->pending_records += records;
		m->pending_since_us = since_us;
	} else {
		m->pending_are_rows = false;
		buf_done(&groups);
	}
	return e;
}

bool flags_wait_for_base(const struct mailbox *m)
{
	/* Who was ended has no head that says how many are unseen now: a row brings one. */
	return m->user->store->settings.flags_journal == STORE_FLAGS_OFF && m->pending.n > 0 &&
	       m->is_claimed && !m->pending_are_rows && m->late_ms < now_wall_us() / US_PER_MS &&
	       !user_has_others(m->user, m->guid); /* they see rows, not our base */
}

struct flags_mark flags_mark_pending(const struct mailbox *m)
{
	return (struct flags_mark){ m->pending.n, m->pending_mails, m->pending_records,
		m->pending_epoch };
}

void flags_drop_pending(struct mailbox *m, const struct flags_mark *mark)
{
	if (m->pending_epoch != mark->epoch || mark->bytes == 0)
		return; /* they went into rows meanwhile */
	buf_drop_front(&m->pending, mark->bytes);
	m->pending_mails -= mark->mails;
	m->pending_records -= mark->records;
	m->pending_since_us = now_us();
	m->pending_epoch++;
	local_add(m, &(struct log_record){ .type = LOG_JOURNALLED, .number = mark->records });
	local_write(m);
}

enum err flags_journal_flush(struct op *op, struct mailbox *m)
{
	if (m->pending.n == 0)
		return ERR_NONE;
	enum err e = mailbox_write_begin(op, m);
	if (e == ERR_NOT_FOUND) { /* removed: its flags went with it */
		op_forgive(op);
		buf_clear(&m->pending);
		return ERR_NONE;
	}
	TRY(e);
	/* What others did meanwhile is later than flags that waited for long. */
	if (pending_are_old(m) && !catalog_is_atomic(m->user->store->catalog)) {
		e = user_read_heads(op, m->user);
		if (e == ERR_NONE)
			e = mailbox_merge(op, m, false);
	}
	/* The log counts what is journalled from its beginning, and what comes before is settled. */
	if (e == ERR_NONE)
		e = flags_flush_locked(op, m);
	mailbox_write_end(m);
	return e;
}

static void journal_task(void *arg)
{
	struct mailbox *m = arg;
	struct store *s = m->user->store;
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, s->event, now_us() + STORE_WRITE_US);
	op.doing = STR("journalling flags");
	task_shield();
	bool is_done = flags_journal_flush(&op, m) == ERR_NONE;
	task_unshield();
	m->is_journalling = false;
	if (!s->is_abandoned && (!is_done || m->pending.n > 0))
		flags_journal_arm(m);
	mailbox_unref(m);
	store_background_end(s);
}

static void journal_due(void *arg)
{
	struct mailbox *m = arg;
	timer_init(&m->journal_timer, journal_due, m);
	if (m->is_journalling)
		return;
	if (m->user->state == CLOSING) { /* that writes them itself, or stays open */
		flags_journal_arm(m);
		return;
	}
	m->is_journalling = true;
	store_background(m->user->store, "store-journal", journal_task, mailbox_ref(m));
}

static enum err adopt_value(struct op *op, struct mailbox *m, struct str value)
{
	struct row_op_value v;
	struct row_flags_group g;
	enum err e = row_op_decode(value, &v);
	if (e != ERR_NONE || v.op != ROW_FLAGS)
		return op_fail(op, ERR_CORRUPT, "the local log has a bad flag change");
	while (row_flags_next(&v.groups, v.keyword_count, &g)) {
		struct row_flags_group own = g;
		/* Whoever knows the name of our row makes his changes later than these. */
		name_observe_stamp(&m->user->store->clock, g.stamp, now_wall_us());
		own.keywords_mask = own.keywords_value = 0;
		for (uint64_t left = g.keywords_mask; left; left &= left - 1) {
			uint64_t theirs = left & (0 - left);
			int bit = index_keyword_bit(m->index, v.keywords[__builtin_ctzll(theirs)]);
			uint64_t ours = bit < 0 ? 0 : UINT64_C(1) << bit;
			own.keywords_mask |= ours;
			own.keywords_value |= g.keywords_value & theirs ? ours : 0;
		}
		struct row_mark *marks = ARENA_NEW_ARRAY(op->arena, struct row_mark, g.count);
		for (size_t i = 0; i < g.count && row_mark_next(ROW_FLAGS, &g.marks, &marks[i]);
			i++)
			m->pending_mails++;
		row_flags_encode_group(&m->pending, &own, marks);
	}
	m->pending_records++;
	return ERR_NONE;
}

enum err flags_adopt_pending(struct op *op, struct mailbox *m)
{
	struct str rest = buf_str(&m->local.pending_values), value;
	uint64_t n;
	while (number_cut_varint(&rest, &n)) {
		value = str_take(&rest, (size_t)n);
		TRY(adopt_value(op, m, value));
	}
	buf_done(&m->local.pending_values);
	return m->pending.n > 0 ? flags_flush_locked(op, m) : ERR_NONE;
}

/* ---- STORE ---- */

static void add_silent(struct view *v, uint64_t modseq)
{
	v->silent = mem_resize(v->silent, (v->silent_count + 1) * sizeof(*v->silent));
	v->silent[v->silent_count++] = modseq;
}

static enum err store_locked(struct op *op, struct view *v, const struct range_set *seqs,
	const struct store_flags *change, struct range_set *modified)
{
	struct mailbox *m = v->mailbox;
	struct plan plan = { 0 };
	TRY(flags_check_keywords(op, m, change->keywords, change->keyword_count));
	plan_flags(m, change, &plan);
	plan_marks(op, v, seqs, change, &plan, modified);
	if (plan.count == 0)
		return ERR_NONE;
	uint64_t modseq = 0;
	modseq = mailbox_next_modseq(m, &modseq);
	if (m->user->store->settings.flags_journal == STORE_FLAGS_SYNC)
		TRY(apply_sync(op, m, &plan, modseq));
	else
		apply_async(m, &plan, modseq);
	if (change->is_silent)
		add_silent(v, modseq);
	return ERR_NONE;
}

enum err view_store_flags(struct op *op, struct view *v, const struct range_set *seqs,
	const struct store_flags *change, struct range_set *out_modified_seqs)
{
	struct mailbox *m = v->mailbox;
	if (m->pending_mails > 0 && now_us() - m->pending_since_us > JOURNAL_LATE_US &&
		m->user->store->settings.flags_journal == STORE_FLAGS_ASYNC)
		return op_fail(op, ERR_UNAVAILABLE, "the flags journal is late");
	TRY(mailbox_write_begin(op, m));
	enum err e = mailbox_claim_now(op, m);
	if (e == ERR_NONE)
		e = store_locked(op, v, seqs, change, out_modified_seqs);
	mailbox_write_end(m);
	if (e == ERR_NONE && (flags_wait_for_base(m) ? m->pending.n > PENDING_OFF_MAX
						     : m->pending_mails >= PENDING_MAILS))
		e = flags_journal_flush(op, m);
	return e;
}
