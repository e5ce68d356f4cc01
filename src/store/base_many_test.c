/* SPDX-License-Identifier: Apache-2.0 */
/* Bases while another host has the mailbox open, or had it: what one host drops from the journal is in a base
 * that the other will see, and nobody goes on without it. */
#include "store/pair_test.h"

#include "base/random.h"

#define HOUR_US (INT64_C(3600) * US_PER_SEC)

/* Two hosts that do not look by themselves have a mailbox with so many mails open. */
static void open_both(struct pair *p, int mails, struct mailbox **out_a, struct mailbox **out_b)
{
	world_stop(p->a);
	p->a->settings.refresh_us = p->b->settings.refresh_us = 48 * HOUR_US;
	world_open_store(p->a);
	*out_a = world_box(p->a, "INBOX");
	for (int i = 0; i < mails; i++)
		world_append(p->a, *out_a, "first");
	world_open_store(p->b);
	*out_b = world_box(p->b, "INBOX");
}

/* Bases by one host, an hour apart, until op rows of before were dropped. */
static void make_bases(struct world *w, struct mailbox *m)
{
	for (int i = 0; i < 4; i++) {
		assert_ok(task_sleep(&w->op, HOUR_US + US_PER_SEC));
		world_append(w, m, "later");
		assert_ok(mailbox_upload_base(&w->op, m, BASE_FLUSH));
	}
	assert_false(name_is_none(user_dropped(w->user, m->guid)));
}

static void expunge(struct world *w, struct view *v, uint32_t seq)
{
	world_flags(w, v, seq, seq, FLAGS_ADD, MAIL_DELETED);
	assert_ok(view_expunge(&w->op, v, NULL));
}

/* What b wrote is in a's bases when a drops its rows. */
static void a_base_has_what_another_wrote_in(struct pair *p)
{
	struct mailbox *a, *b;
	open_both(p, 4, &a, &b);
	struct view *v = world_view(p->b, b);
	world_flags(p->b, v, 2, 2, FLAGS_ADD, MAIL_FLAGGED);
	expunge(p->b, v, 3);
	assert_ok(flags_journal_flush(&p->b->op, b));
	view_close(v);
	make_bases(p->a, a);
	assert_int_equal(index_counters(a->index).messages, 3 + 4);
	assert_int_equal(index_hot(a->index, 1)->flags, MAIL_FLAGGED);
	mailbox_unref(b);
	mailbox_unref(a);
	world_crash(p->b);
	world_reopen(p->a, WORLD_CRASH_DROP);
	a = world_box(p->a, "INBOX");
	assert_int_equal(index_counters(a->index).messages, 3 + 4);
	assert_int_equal(index_hot(a->index, 1)->flags, MAIL_FLAGGED);
	assert_ok(mailbox_verify(&p->a->op, a));
	mailbox_unref(a);
}
PAIR_TEST(a_base_has_what_another_wrote)

/* b did not look for hours, and the rows of what a did are gone: b does not go on without them. */
static void who_was_away_too_long_opens_anew_in(struct pair *p)
{
	struct mailbox *a, *b;
	open_both(p, 4, &a, &b);
	struct view *vb = world_view(p->b, b), *v = world_view(p->a, a);
	world_flags(p->a, v, 2, 2, FLAGS_ADD, MAIL_FLAGGED);
	expunge(p->a, v, 3);
	view_close(v);
	assert_ok(flags_journal_flush(&p->a->op, a));
	make_bases(p->a, a);
	assert_err(mailbox_refresh(&p->b->op, b), ERR_UNAVAILABLE);
	op_forgive(&p->b->op);
	assert_err(world_try_flags(p->b, vb, 1, 1, FLAGS_ADD, MAIL_SEEN), ERR_UNAVAILABLE);
	op_forgive(&p->b->op);
	struct mailbox *old = b;
	b = world_box(p->b, "INBOX");
	assert_ptr_not_equal(b, old);
	view_close(vb);
	mailbox_unref(old);
	assert_int_equal(index_counters(b->index).messages, 3 + 4);
	assert_int_equal(index_hot(b->index, 1)->flags, MAIL_FLAGGED);
	converge(p, a, b);
	mailbox_unref(b);
	mailbox_unref(a);
}
PAIR_TEST(who_was_away_too_long_opens_anew)

/* The host that reads heads, and then the journal, is slow: rows go in between. */
static void rows_go_while_it_is_opened_in(struct pair *p)
{
	struct mailbox *a, *b;
	open_both(p, 4, &a, &b);
	mailbox_unref(b);
	world_stop(p->b);
	struct view *v = world_view(p->a, a);
	expunge(p->a, v, 2);
	view_close(v);
	assert_ok(mailbox_upload_base(&p->a->op, a, BASE_FLUSH));
	world_open_store(p->b);
	assert_true(name_is_none(user_dropped(p->b->user, a->guid)));
	make_bases(p->a, a);
	uint32_t count = index_counters(a->index).messages;
	world_assert_inbox(p->b, count);
	mailbox_unref(a);
}
PAIR_TEST(rows_go_while_it_is_opened)

static void rows_go_while_it_is_looked_at_in(struct pair *p)
{
	struct mailbox *a, *b;
	open_both(p, 4, &a, &b);
	struct view *v = world_view(p->a, a);
	expunge(p->a, v, 2);
	view_close(v);
	assert_ok(user_read_heads(&p->b->op, p->b->user));
	make_bases(p->a, a);
	uint32_t count = index_counters(a->index).messages;
	assert_ok(mailbox_write_begin(&p->b->op, b));
	assert_err(mailbox_merge(&p->b->op, b, false), ERR_UNAVAILABLE);
	op_forgive(&p->b->op);
	mailbox_write_end(b);
	mailbox_unref(b);
	world_assert_inbox(p->b, count);
	mailbox_unref(a);
}
PAIR_TEST(rows_go_while_it_is_looked_at)

/* ---- at random ---- */

static void look_or_open(struct world *w, struct mailbox **m)
{
	enum err e = mailbox_refresh(&w->op, *m);
	if (e == ERR_NONE)
		return;
	assert_int_equal(e, ERR_UNAVAILABLE); /* away for too long */
	op_forgive(&w->op);
	mailbox_unref(*m);
	*m = world_box(w, "INBOX");
	refresh(w, *m);
}

/* One step of one of them; how many mails there are more. */
static int step(struct world *w, struct mailbox **m)
{
	int more = 0;
	look_or_open(w, m);
	struct view *v = world_view(w, *m);
	uint32_t exists = view_exists(v), seq = exists ? 1 + (uint32_t)random_below(exists) : 0;
	uint64_t what = random_below(8);
	if (what < 3) {
		world_append(w, *m, "x");
		more = 1;
	} else if (what < 5 && exists > 0) {
		world_flags(w, v, seq, seq, FLAGS_REPLACE, MAIL_SEEN | (unsigned)random_below(4));
		assert_ok(flags_journal_flush(&w->op, *m));
	} else if (what == 5 && exists > 0) {
		expunge(w, v, seq);
		more = -1;
	} else if (what == 6) {
		assert_ok(mailbox_upload_base(&w->op, *m, BASE_FLUSH));
	}
	view_close(v);
	return more;
}

static void both_make_bases_for_days_in(struct pair *p)
{
	struct mailbox *a, *b;
	open_both(p, 1, &a, &b);
	int count = 1;
	for (int i = 0; i < 600; i++) {
		int64_t pause_us =
			random_below(8) ? US_PER_SEC : (int64_t)random_below(4) * HOUR_US;
		assert_ok(task_sleep(&p->a->op, pause_us));
		count += random_below(2) ? step(p->a, &a) : step(p->b, &b);
	}
	look_or_open(p->a, &a);
	look_or_open(p->b, &b);
	converge(p, a, b);
	assert_int_equal(index_counters(a->index).messages, count);
	assert_false(name_is_none(user_dropped(p->a->user, a->guid)));
	mailbox_unref(b);
	mailbox_unref(a);
	world_crash(p->b);
	world_reopen(p->a, WORLD_CRASH_DROP);
	world_assert_inbox(p->a, count);
}
PAIR_TEST(both_make_bases_for_days)

/* ---- flags that only bases have ---- */

static void set_flag(struct world *w, struct mailbox *m, unsigned flag)
{
	struct view *v = world_view(w, m);
	world_flags(w, v, 1, 1, FLAGS_ADD, flag);
	view_close(v);
}

static void flag_at_b(struct pair *p, struct mailbox *b)
{
	set_flag(p->b, b, MAIL_FLAGGED);
	assert_ok(mailbox_upload_base(&p->b->op, b, BASE_FLUSH));
}

static struct mailbox *without_journal(struct pair *p)
{
	world_stop(p->a);
	p->a->settings.flags_journal = p->b->settings.flags_journal = STORE_FLAGS_OFF;
	world_open_store(p->a);
	struct mailbox *a = world_box(p->a, "INBOX");
	world_append(p->a, a, "a1");
	return a;
}

static struct mailbox *then_b(struct pair *p)
{
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	world_append(p->b, b, "b1");
	return b;
}

static struct mailbox *beside_b(struct pair *p, struct mailbox **b)
{
	struct mailbox *a = without_journal(p);
	*b = then_b(p);
	return a;
}

static void upload_a_base(void *arg)
{
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	assert_ok(mailbox_upload_base(&op, arg, BASE_FLUSH));
}

static void set_flagged(void *arg)
{
	struct world *w = arg;
	struct mailbox *m = world_box(w, "INBOX");
	set_flag(w, m, MAIL_FLAGGED);
	mailbox_unref(m);
}

/* With a journal each flag of a base is a row, too, also one that comes while the base is begun: he who is
 * there beside it need not open anew. */
static void a_journal_has_all_that_is_in_a_base_in(struct pair *p)
{
	struct mailbox *a = world_box(p->a, "INBOX");
	(void)world_append(p->a, a, "a1");
	set_flag(p->a, a, MAIL_SEEN);
	assert_ok(mailbox_write_begin(&p->a->op, a));
	struct task_handle base = task_start("base", upload_a_base, a);
	task_yield();
	struct task_handle flag = task_start("flag", set_flagged, p->a);
	task_yield();
	mailbox_write_end(a);
	while (task_is_alive(base) || task_is_alive(flag))
		assert_ok(task_sleep(&p->b->op, US_PER_MS));
	assert_int_equal(index_hot(a->index, 0)->flags, MAIL_SEEN | MAIL_FLAGGED);
	assert_non_null(user_base_of(p->a->user, a->guid));
	assert_false(user_base_of(p->a->user, a->guid)->head.has_own_flags);
	mailbox_unref(a);
	world_open_store(p->b);
}
PAIR_TEST(a_journal_has_all_that_is_in_a_base)

/* While he who was ended may live they are rows, too. */
static void flags_are_rows_while_others_may_live_in(struct pair *p)
{
	struct mailbox *b, *a = beside_b(p, &b);
	flag_at_b(p, b);
	refresh(p->a, a);
	assert_int_equal(index_hot(a->index, 0)->flags, MAIL_FLAGGED);
	mailbox_unref(a);
	mailbox_unref(b);
}
PAIR_TEST(flags_are_rows_while_others_may_live)

/* Afterwards who is still there opens it anew before he takes over: his next base would not have them. */
static void who_takes_over_opens_anew_for_them_in(struct pair *p)
{
	struct mailbox *b, *a = beside_b(p, &b);
	assert_ok(task_sleep(&p->b->op, 2 * HOUR_US));
	flag_at_b(p, b);
	uint32_t uid;
	assert_err(world_try_append(p->a, a, "a2", &uid), ERR_UNAVAILABLE);
	assert_true(a->is_removed);
	mailbox_unref(a);
	a = world_box(p->a, "INBOX");
	assert_int_equal(index_hot(a->index, 0)->flags, MAIL_FLAGGED);
	refresh(p->a, a);
	assert_ok(mailbox_upload_base(&p->a->op, a, BASE_FLUSH));
	assert_int_equal(index_hot(a->index, 0)->flags, MAIL_FLAGGED);
	mailbox_unref(a);
	mailbox_unref(b);
}
PAIR_TEST(who_takes_over_opens_anew_for_them)

/* Modseqs do not say it: who has told greater ones than the base has may lack its flags all the same. */
static void local_files_do_not_stand_for_them_in(struct pair *p)
{
	struct mailbox *b, *a = beside_b(p, &b);
	assert_ok(task_sleep(&p->b->op, 2 * HOUR_US));
	flag_at_b(p, b);
	uint64_t modseq = index_modseq(b->index);
	assert_ok(task_sleep(&p->a->op, US_PER_SEC));
	set_flag(p->a, a, MAIL_SEEN);
	assert_true(index_modseq(a->index) > modseq);
	assert_false(index_hot(a->index, 0)->flags & MAIL_FLAGGED);
	mailbox_unref(a);
	mailbox_unref(b);
	world_crash(p->b);
	world_reopen(p->a, WORLD_CRASH);
	a = world_box(p->a, "INBOX");
	assert_true(index_hot(a->index, 0)->flags & MAIL_FLAGGED);
	assert_ok(mailbox_verify(&p->a->op, a));
	mailbox_unref(a);
}
PAIR_TEST(local_files_do_not_stand_for_them)

/* A base without them would come before the one that has them. */
static void no_base_is_made_without_them_in(struct pair *p)
{
	struct mailbox *b, *a = beside_b(p, &b);
	assert_ok(task_sleep(&p->b->op, 2 * HOUR_US));
	flag_at_b(p, b);
	assert_ok(mailbox_refresh(&p->a->op, a));
	assert_err(mailbox_verify(&p->a->op, a), ERR_CONFLICT); /* he knows what he lacks */
	assert_err(mailbox_upload_base(&p->a->op, a, BASE_FLUSH), ERR_UNAVAILABLE);
	assert_true(a->is_removed);
	mailbox_unref(a);
	a = world_box(p->a, "INBOX");
	assert_int_equal(index_hot(a->index, 0)->flags, MAIL_FLAGGED);
	assert_ok(mailbox_verify(&p->a->op, a));
	mailbox_unref(a);
	mailbox_unref(b);
}
PAIR_TEST(no_base_is_made_without_them)

/* Those of who opens anew: his log is of a writer who was ended. */
static void own_ones_are_written_before_it_is_opened_anew_in(struct pair *p)
{
	p->a->settings.refresh_us = 48 * HOUR_US; /* he does not know yet */
	struct mailbox *b, *a = without_journal(p);
	set_flag(p->a, a, MAIL_SEEN);
	b = then_b(p);
	assert_ok(task_sleep(&p->b->op, 2 * HOUR_US));
	flag_at_b(p, b);
	assert_int_equal(a->pending_mails, 1);
	assert_err(mailbox_upload_base(&p->a->op, a, BASE_FLUSH), ERR_UNAVAILABLE);
	assert_true(a->is_removed);
	mailbox_unref(a);
	a = world_box(p->a, "INBOX");
	assert_int_equal(index_hot(a->index, 0)->flags, MAIL_SEEN | MAIL_FLAGGED);
	mailbox_unref(a);
	mailbox_unref(b);
}
PAIR_TEST(own_ones_are_written_before_it_is_opened_anew)

/* Whose head was ended leaves none that counts them; and of what others have passed they are told by rows. */
static void who_was_ended_writes_rows_in(struct pair *p)
{
	struct mailbox *b, *a = without_journal(p);
	set_flag(p->a, a, MAIL_SEEN);
	b = then_b(p);
	mailbox_unref(b);
	world_stop(p->b);
	assert_ok(task_sleep(&p->a->op, 2 * HOUR_US));
	assert_int_equal(a->pending_mails, 1);
	assert_ok(mailbox_upload_base(&p->a->op, a, BASE_FLUSH));
	assert_int_equal(a->pending_mails, 0);
	mailbox_unref(a);
	world_stop(p->a);
	world_open_store(p->b);
	b = world_box(p->b, "INBOX");
	assert_int_equal(index_hot(b->index, 0)->flags, MAIL_SEEN);
	struct mailbox_status status;
	mailbox_unref(b);
	world_reopen(p->b, WORLD_STOP);
	assert_ok(mailbox_status(&p->b->op, p->b->user, STR("INBOX"), &status));
	assert_int_equal(status.unseen, 1);
	world_open_store(p->a);
}
PAIR_TEST(who_was_ended_writes_rows)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_base_has_what_another_wrote),
		cmocka_unit_test(who_was_away_too_long_opens_anew),
		cmocka_unit_test(rows_go_while_it_is_opened),
		cmocka_unit_test(rows_go_while_it_is_looked_at),
		cmocka_unit_test(both_make_bases_for_days),
		cmocka_unit_test(a_journal_has_all_that_is_in_a_base),
		cmocka_unit_test(flags_are_rows_while_others_may_live),
		cmocka_unit_test(who_takes_over_opens_anew_for_them),
		cmocka_unit_test(local_files_do_not_stand_for_them),
		cmocka_unit_test(no_base_is_made_without_them),
		cmocka_unit_test(own_ones_are_written_before_it_is_opened_anew),
		cmocka_unit_test(who_was_ended_writes_rows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
