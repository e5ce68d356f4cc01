/* SPDX-License-Identifier: Apache-2.0 */
/* Flag changes that reach the journal when others have forgotten the stamps of their time: in doubt, in memory, in the
 * log of a process that died. */
#include "store/pair_rows_test.h"

#define MINUTE_US (60 * US_PER_SEC)

static const struct catalog_fault_plan down = {
	.fail_at = 1, .fail_from_there = true, .fail_late = true, .spares_reads = true
};
static const struct catalog_fault_plan up;

/* `a` and `b` have INBOX with a mail open, and look only when they are asked to. */
struct two {
	struct mailbox *a, *b;
	struct view *va, *vb;
};

static struct two open_both(struct pair *p)
{
	struct two t;
	p->a->settings.refresh_us = p->b->settings.refresh_us = 48 * 60 * MINUTE_US;
	world_reopen(p->a, WORLD_STOP);
	t.a = world_box(p->a, "INBOX");
	(void)world_append(p->a, t.a, "a1");
	t.va = world_view(p->a, t.a);
	world_open_store(p->b);
	t.b = world_box(p->b, "INBOX");
	t.vb = world_view(p->b, t.b);
	return t;
}

static void close_both(struct two *t)
{
	view_close(t->va);
	view_close(t->vb);
	mailbox_unref(t->a);
	mailbox_unref(t->b);
}

/* Takes it back at last. */
static void flag_again_and_again(struct pair *p, struct two *t)
{
	for (int i = 0; i < 2; i++) {
		world_flags(p->a, t->va, 1, 1, FLAGS_ADD, MAIL_FLAGGED | MAIL_SEEN);
		world_flags(p->a, t->va, 1, 1, FLAGS_REMOVE, MAIL_FLAGGED);
	}
}

/* It competes with what `a` did before, and came later. */
static void change_at_b(struct pair *p, struct two *t)
{
	refresh(p->b, t->b);
	(void)world_sync(p->b, t->vb, true);
	world_flags(p->b, t->vb, 1, 1, FLAGS_ADD, MAIL_FLAGGED);
	world_flags(p->b, t->vb, 1, 1, FLAGS_ADD, MAIL_SEEN);
	world_flags(p->b, t->vb, 1, 1, FLAGS_REMOVE, MAIL_SEEN);
	assert_ok(flags_journal_flush(&p->b->op, t->b));
	assert_ok(task_sleep(&p->b->op, US_PER_SEC / 10));
}

/* The row has a new name, and its changes stamps of some minutes before `begin_ms`, in their order. */
static void assert_is_anew(const struct found *row, uint64_t begin_ms)
{
	assert_true(name_ms(row->name) >= begin_ms);
	assert_true(row->groups > 0);
	for (size_t i = 0; i < row->groups; i++) {
		uint64_t ms = row->group[i].stamp >> 16;
		assert_true(ms + STORE_STAMPS_MS / 2 > begin_ms && ms < begin_ms);
		assert_true(i == 0 || row->group[i].stamp > row->group[i - 1].stamp);
	}
}

/* All say so, also who reads all anew. */
static void assert_flags(struct pair *p, struct two *t, unsigned flags)
{
	struct mail mail;
	converge(p, t->a, t->b);
	assert_int_equal(hot_of(t->a, 1)->flags, flags);
	(void)world_sync(p->a, t->va, true);
	assert_true(view_get(t->va, 1, &mail));
	assert_int_equal(mail.flags & MAIL_STORABLE_FLAGS, flags);
}

static void wait_in_doubt(struct pair *p, struct two *t, int minutes)
{
	flag_again_and_again(p, t);
	catalog_fault_set(p->a->catalog, &down);
	assert_err(flags_journal_flush(&p->a->op, t->a), ERR_UNAVAILABLE);
	assert_false(list_is_empty(&p->a->user->unsettled));
	t->a->is_journalling = true; /* not by itself */
	assert_ok(task_sleep(&p->a->op, minutes * MINUTE_US));
	t->a->is_journalling = false;
	catalog_fault_set(p->a->catalog, &up);
}

/* The host stands still; who calls lets it go on. */
static void wait_in_memory(struct pair *p, struct two *t)
{
	t->a->is_journalling = true;
	flag_again_and_again(p, t);
	assert_ok(task_sleep(&p->a->op, 40 * MINUTE_US));
}

/* They are pending again until it was looked what others did. */
static void in_doubt_for_long_gives_way_in(struct pair *p)
{
	struct two t = open_both(p);
	wait_in_doubt(p, &t, 40);
	uint64_t begin_ms = now_ms();
	change_at_b(p, &t);
	assert_ok(user_settle(&p->a->op, p->a->user));
	assert_true(list_is_empty(&p->a->user->unsettled));
	assert_ok(flags_journal_flush(&p->a->op, t.a));
	assert_int_equal(t.a->pending.n, 0);
	struct found row = rows_of(p->a, t.a, ROW_FLAGS);
	assert_is_anew(&row, begin_ms);
	assert_flags(p, &t, MAIL_FLAGGED);
	/* Those that were asked for in vain come, too. */
	assert_ok(catalog_fault_replay(&p->a->op, p->a->catalog));
	assert_flags(p, &t, MAIL_FLAGGED);
	close_both(&t);
}
PAIR_TEST(in_doubt_for_long_gives_way)

static void in_doubt_for_long_is_written_in(struct pair *p)
{
	struct two t = open_both(p);
	wait_in_doubt(p, &t, 40);
	uint64_t begin_ms = now_ms();
	assert_ok(user_settle(&p->a->op, p->a->user));
	assert_int_equal(t.a->pending_mails, 4);
	assert_ok(flags_journal_flush(&p->a->op, t.a));
	assert_int_equal(t.a->pending.n, 0);
	assert_int_equal(t.a->pending_mails, 0);
	struct found row = rows_of(p->a, t.a, ROW_FLAGS);
	assert_is_anew(&row, begin_ms);
	assert_flags(p, &t, MAIL_SEEN);
	close_both(&t);
}
PAIR_TEST(in_doubt_for_long_is_written)

/* Nobody acknowledged it, and it is not pending: it counts before what others did in the last minutes. */
static void in_doubt_without_a_journal_gives_way_in(struct pair *p)
{
	p->a->settings.flags_journal = STORE_FLAGS_SYNC;
	struct two t = open_both(p);
	catalog_fault_set(p->a->catalog, &down);
	assert_err(world_try_flags(p->a, t.va, 1, 1, FLAGS_ADD, MAIL_SEEN), ERR_UNAVAILABLE);
	op_forgive(&p->a->op);
	assert_ok(task_sleep(&p->a->op, 40 * MINUTE_US));
	assert_false(list_is_empty(&p->a->user->unsettled));
	uint64_t begin_ms = now_ms();
	catalog_fault_set(p->a->catalog, &up);
	change_at_b(p, &t);
	assert_ok(user_settle(&p->a->op, p->a->user));
	struct found row = rows_of(p->a, t.a, ROW_FLAGS);
	assert_is_anew(&row, begin_ms);
	assert_flags(p, &t, MAIL_FLAGGED);
	close_both(&t);
}
PAIR_TEST(in_doubt_without_a_journal_gives_way)

/* The name is stale, the change is not. */
static void in_doubt_for_minutes_keeps_its_stamp_in(struct pair *p)
{
	struct two t = open_both(p);
	uint64_t flagged_ms = now_ms();
	wait_in_doubt(p, &t, 20);
	uint64_t begin_ms = now_ms();
	change_at_b(p, &t);
	assert_ok(user_settle(&p->a->op, p->a->user));
	struct found row = rows_of(p->a, t.a, ROW_FLAGS);
	assert_true(name_ms(row.name) >= begin_ms);
	assert_true(row.group[0].stamp >> 16 <= flagged_ms + 1000);
	assert_flags(p, &t, MAIL_FLAGGED); /* of b */
	close_both(&t);
}
PAIR_TEST(in_doubt_for_minutes_keeps_its_stamp)

/* The host stood still: when it goes on it sees what `b` did, and then writes. */
static void in_memory_for_long_gives_way_in(struct pair *p)
{
	struct two t = open_both(p);
	wait_in_memory(p, &t);
	uint64_t begin_ms = now_ms();
	change_at_b(p, &t);
	t.a->is_journalling = false;
	assert_ok(flags_journal_flush(&p->a->op, t.a));
	struct found row = rows_of(p->a, t.a, ROW_FLAGS);
	assert_is_anew(&row, begin_ms);
	assert_flags(p, &t, MAIL_FLAGGED);
	close_both(&t);
}
PAIR_TEST(in_memory_for_long_gives_way)

static void in_memory_for_long_is_told_anew_in(struct pair *p)
{
	struct two t = open_both(p);
	wait_in_memory(p, &t);
	uint64_t begin_ms = now_ms(), told = index_modseq(t.a->index);
	(void)world_sync(p->a, t.va, true);
	t.a->is_journalling = false;
	assert_ok(flags_journal_flush(&p->a->op, t.a));
	struct found row = rows_of(p->a, t.a, ROW_FLAGS);
	assert_is_anew(&row, begin_ms);
	assert_true(hot_of(t.a, 1)->modseq > told); /* its own sessions are told, too */
	assert_int_equal(world_sync(p->a, t.va, true).changed_count, 1);
	assert_flags(p, &t, MAIL_SEEN);
	close_both(&t);
}
PAIR_TEST(in_memory_for_long_is_told_anew)

/* The host of `a` was down for two hours. Meanwhile `b` changed one of the flags, and its files forgot the stamps of
 * then: all agree all the same. */
static void of_a_process_that_died_counts_for_all_in(struct pair *p)
{
	struct two t = open_both(p);
	refresh(p->a, t.a);
	world_flags(p->a, t.va, 1, 1, FLAGS_ADD, MAIL_FLAGGED | MAIL_SEEN);
	view_close(t.va);
	mailbox_unref(t.a);
	world_crash(p->a);
	world_flags(p->b, t.vb, 1, 1, FLAGS_ADD, MAIL_SEEN);
	world_flags(p->b, t.vb, 1, 1, FLAGS_REMOVE, MAIL_SEEN);
	for (int i = 0; i < 2; i++) {
		assert_ok(task_sleep(&p->b->op, 60 * MINUTE_US));
		world_flags(p->b, t.vb, 1, 1, i ? FLAGS_REMOVE : FLAGS_ADD, MAIL_ANSWERED);
		assert_ok(flags_journal_flush(&p->b->op, t.b));
	}
	assert_ok(local_rewrite(&p->b->op, t.b));
	world_open_store(p->a);
	t.a = world_box(p->a, "INBOX");
	t.va = world_view(p->a, t.a);
	converge(p, t.a, t.b);
	view_close(t.vb);
	mailbox_unref(t.b);
	world_reopen(p->b, WORLD_CRASH);
	t.b = world_box(p->b, "INBOX");
	t.vb = world_view(p->b, t.b);
	assert_flags(p, &t, MAIL_FLAGGED);
	close_both(&t);
}
PAIR_TEST(of_a_process_that_died_counts_for_all)

/* What others wrote since the last look may be older than our last row. */
static void stamps_are_kept_from_the_last_look_on_in(struct pair *p)
{
	struct two t = open_both(p);
	uint64_t begin_ms = now_ms();
	assert_ok(task_sleep(&p->a->op, 120 * MINUTE_US));
	(void)world_append(p->a, t.a, "a2");
	assert_true(name_ms(index_cover(t.a->index)) >= begin_ms + 120 * 60 * 1000);
	assert_true((flags_stamp_floor(t.a) >> 16) + STORE_STAMPS_MS <= begin_ms);
	refresh(p->a, t.a);
	assert_true((flags_stamp_floor(t.a) >> 16) > begin_ms);
	close_both(&t);
}
PAIR_TEST(stamps_are_kept_from_the_last_look_on)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_doubt_for_long_gives_way),
		cmocka_unit_test(in_doubt_for_long_is_written),
		cmocka_unit_test(in_doubt_without_a_journal_gives_way),
		cmocka_unit_test(in_doubt_for_minutes_keeps_its_stamp),
		cmocka_unit_test(in_memory_for_long_gives_way),
		cmocka_unit_test(in_memory_for_long_is_told_anew),
		cmocka_unit_test(of_a_process_that_died_counts_for_all),
		cmocka_unit_test(stamps_are_kept_from_the_last_look_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
