/* SPDX-License-Identifier: Apache-2.0 */
/* What a host acknowledges without knowing that another one ended it and closed, and that nobody announces,
 * since it dies. Whoever opens the mailbox next sees it, and all hosts show the same. */
#include "store/pair_test.h"

#define LATE_US STORE_LATE_US
#define MANY    150 /* with a commit row */

static void expunge(struct world *w, struct view *v, uint32_t seq)
{
	world_flags(w, v, seq, seq, FLAGS_ADD, MAIL_DELETED);
	assert_ok(view_expunge(&w->op, v, NULL));
}

static struct str seen_by(struct world *w)
{
	world_open_store(w);
	struct mailbox *m = world_box(w, "INBOX");
	struct str found = world_describe(w, m);
	assert_ok(mailbox_verify(&w->op, m));
	mailbox_unref(m);
	return found;
}

/* As many mails as before: no number tells of it. */
static void change_without_knowing(struct pair *p, struct mailbox *a)
{
	struct view *v = world_view(p->a, a);
	(void)world_append(p->a, a, "a4");
	expunge(p->a, v, 1);
	(void)world_sync(p->a, v, true);
	world_flags(p->a, v, 1, 1, FLAGS_ADD, MAIL_FLAGGED);
	assert_ok(flags_journal_flush(&p->a->op, a));
	view_close(v);
	mailbox_unref(a);
	world_crash(p->a);
}

static void assert_all_is_there(struct world *w, size_t messages)
{
	struct mailbox *m = world_box(w, "INBOX");
	struct mail mail;
	struct view *v = world_view(w, m);
	assert_int_equal(view_exists(v), messages);
	assert_true(view_get(v, 1, &mail));
	assert_int_equal(mail.uid, 2); /* the first is expunged */
	assert_int_equal(mail.flags & MAIL_STORABLE_FLAGS, MAIL_FLAGGED);
	world_assert_body(w, v, (uint32_t)messages, "a4");
	view_close(v);
	mailbox_unref(m);
}

static void who_closed_sees_it_when_he_comes_back_in(struct pair *p)
{
	change_without_knowing(p, ended_by_b(p));
	struct str at_b = seen_by(p->b);
	assert_all_is_there(p->b, 4);
	world_stop(p->b);
	/* Without local files, and with those of the one who died. */
	assert_str(seen_by(p->a), at_b);
	world_reopen(p->a, WORLD_CRASH_DROP);
	assert_all_is_there(p->a, 4);
}
PAIR_TEST(who_closed_sees_it_when_he_comes_back)

/* Nobody came while it could still happen: the first who comes afterwards looks. */
static void also_days_later_in(struct pair *p)
{
	change_without_knowing(p, ended_by_b(p));
	assert_ok(task_sleep(&p->b->op, 3 * INT64_C(86400) * US_PER_SEC));
	(void)seen_by(p->b);
	assert_all_is_there(p->b, 4);
	world_stop(p->b);
	world_open_store(p->a);
}
PAIR_TEST(also_days_later)

/* What makes a batch count was seen with its mails, also by who has both from the files of the one who wrote
 * them: nobody gives the mails other UIDs for that. */
static void a_batch_that_is_in_the_files_is_not_late_in(struct pair *p)
{
	for (int i = 0; i < 2; i++) {
		struct mailbox *m = world_box(p->a, "INBOX");
		if (i == 0)
			append_many(p->a, m, MANY);
		else
			(void)world_append(p->a, m, "last");
		mailbox_unref(m);
		if (i == 0)
			world_stop(p->a);
		else
			world_crash(p->a);
		assert_ok(task_sleep(&p->a->op, 3600 * US_PER_SEC)); /* no tail reads it again */
		world_open_store(p->a);
	}
	struct mailbox *a = world_box(p->a, "INBOX");
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	struct mail mail;
	struct view *v = world_view(p->b, b);
	assert_true(view_get(v, 1, &mail));
	assert_int_equal(mail.uid, 1);
	assert_int_equal(view_exists(v), MANY + 1);
	converge(p, a, b);
	view_close(v);
	mailbox_unref(a);
	mailbox_unref(b);
}
PAIR_TEST(a_batch_that_is_in_the_files_is_not_late)

static void status_counts_it_in(struct pair *p)
{
	struct mailbox_status s;
	struct mailbox *a = ended_by_b(p);
	(void)world_append(p->a, a, "a4");
	mailbox_unref(a);
	world_crash(p->a);
	world_open_store(p->b);
	assert_ok(mailbox_status(&p->b->op, p->b->user, STR("INBOX"), &s));
	assert_int_equal(s.messages, 5);
	world_stop(p->b);
	world_open_store(p->a);
}
PAIR_TEST(status_counts_it)

static uint64_t reads_to_open(struct world *w)
{
	world_open_store(w);
	uint64_t reads = catalog_counters(w->catalog).reads;
	struct mailbox *m = world_box(w, "INBOX");
	reads = catalog_counters(w->catalog).reads - reads;
	mailbox_unref(m);
	world_stop(w);
	return reads;
}

/* Within the time each opening looks; the first one afterwards ends it for good, also one who writes
 * nothing. */
static void the_time_ends_in(struct pair *p)
{
	mailbox_unref(ended_by_b(p));
	int64_t late_us = LATE_US(p->a->store);
	world_crash(p->a);
	for (int i = 0; i < 2; i++)
		assert_int_equal(reads_to_open(p->b), 1);
	assert_ok(task_sleep(&p->b->op, late_us + US_PER_SEC));
	assert_int_equal(reads_to_open(p->b), 1);
	for (int i = 0; i < 2; i++)
		assert_int_equal(reads_to_open(p->b), 0);
	world_open_store(p->a);
}
PAIR_TEST(the_time_ends)

/* Somebody of the same host is dead: what he asked for, and nobody was told of, may be on its way. */
static void who_died_here_is_waited_for_in(struct pair *p)
{
	struct mailbox *a = world_box(p->a, "INBOX");
	(void)world_append(p->a, a, "a1");
	mailbox_unref(a);
	world_reopen(p->a, WORLD_CRASH);
	mailbox_unref(world_box(p->a, "INBOX"));
	int64_t late_us = LATE_US(p->a->store);
	world_stop(p->a);
	assert_int_equal(reads_to_open(p->a), 1);
	assert_ok(task_sleep(&p->a->op, late_us + US_PER_SEC));
	assert_int_equal(reads_to_open(p->a), 1);
	assert_int_equal(reads_to_open(p->a), 0);
	world_open_store(p->a);
}
PAIR_TEST(who_died_here_is_waited_for)

/* A host sleeps for hours, writes a row before it looks, and dies: the cover of its files is new, but what
 * others wrote meanwhile is not in them. */
static void who_slept_reads_what_he_missed_in(struct pair *p)
{
	int64_t usual_us = p->a->settings.refresh_us;
	world_stop(p->a);
	p->a->settings.refresh_us = INT64_C(48) * 3600 * US_PER_SEC;
	world_open_store(p->a);
	struct mailbox *a = world_box(p->a, "INBOX");
	struct view *v = world_view(p->a, a);
	(void)world_append(p->a, a, "a1");
	(void)world_sync(p->a, v, true);
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	(void)world_append(p->b, b, "b1");
	mailbox_unref(b);
	world_stop(p->b);
	assert_ok(task_sleep(&p->a->op, INT64_C(5) * 3600 * US_PER_SEC));
	world_flags(p->a, v, 1, 1, FLAGS_ADD, MAIL_FLAGGED);
	assert_ok(flags_journal_flush(&p->a->op, a));
	view_close(v);
	mailbox_unref(a);
	world_crash(p->a);
	for (int i = 0; i < 2; i++) { /* then nobody is waited for any more */
		(void)seen_by(p->b);
		world_stop(p->b);
		assert_ok(task_sleep(&p->a->op, INT64_C(3600) * US_PER_SEC));
	}
	p->a->settings.refresh_us = usual_us;
	world_open_store(p->a);
	world_assert_inbox(p->a, 2);
}
PAIR_TEST(who_slept_reads_what_he_missed)

static enum err try_copy(struct world *w, struct mailbox *m, uint32_t uid, uint32_t *out_uid)
{
	struct range_set uids = world_set(uid, uid);
	struct copy_result result = { 0 };
	enum err e = mailbox_transfer(&w->op, m, m, &uids, false, &result);
	if (e == ERR_NONE)
		*out_uid = result.target_uids[0];
	range_set_done(&uids);
	return e;
}

/* The collector has taken what another host expunged more than an hour ago: no copy may name it. */
static void who_slept_copies_nothing_that_is_gone_in(struct pair *p)
{
	struct mailbox *a = world_box(p->a, "INBOX");
	(void)world_append(p->a, a, "a1");
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	struct view *v = world_view(p->b, b);
	world_flags(p->b, v, 1, 1, FLAGS_ADD, MAIL_DELETED);
	assert_ok(view_expunge(&p->b->op, v, NULL));
	view_close(v);
	uint32_t copied;
	uint64_t reads = catalog_counters(p->a->catalog).reads;
	assert_ok(try_copy(p->a, a, 1, &copied)); /* its object is there for an hour */
	assert_int_equal(catalog_counters(p->a->catalog).reads, reads);
	a->seen_ms -= INT64_C(31) * 60 * 1000;
	assert_err(try_copy(p->a, a, 1, &copied), ERR_NOT_FOUND);
	op_forgive(&p->a->op);
	mailbox_unref(b);
	mailbox_unref(a);
}
PAIR_TEST(who_slept_copies_nothing_that_is_gone)

/* The look before it finds mail of the other: the copy goes above what he may give. */
static void who_slept_takes_over_for_a_copy_in(struct pair *p)
{
	struct mailbox *a = world_box(p->a, "INBOX");
	(void)world_append(p->a, a, "a1");
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	uint32_t copied = 0, taken = world_append(p->b, b, "b1");
	a->seen_ms -= INT64_C(31) * 60 * 1000;
	assert_ok(try_copy(p->a, a, 1, &copied));
	assert_true(copied >= taken + UIDS_A_FLOOR);
	converge(p, a, b);
	mailbox_unref(b);
	mailbox_unref(a);
}
PAIR_TEST(who_slept_takes_over_for_a_copy)

/* The one who took over dies, too, and begins again: the first one may still live. */
static void a_crash_does_not_forget_it_in(struct pair *p)
{
	struct mailbox *a, *b;
	one_mail_each(p, &a, &b);
	mailbox_unref(b);
	world_reopen(p->b, WORLD_CRASH);
	mailbox_unref(world_box(p->b, "INBOX"));
	world_stop(p->b);
	(void)world_append(p->a, a, "a2");
	mailbox_unref(a);
	world_crash(p->a);
	world_open_store(p->b);
	world_assert_inbox(p->b, 3);
	world_stop(p->b);
	world_open_store(p->a);
}
PAIR_TEST(a_crash_does_not_forget_it)

/* His write took longer than others wait for him: his open head says that he is there. */
static void who_was_too_slow_says_so_in(struct pair *p)
{
	struct mailbox *a = ended_by_b(p);
	const struct store *s = p->a->store;
	world_open_store(p->b);
	assert_false(user_has_living(p->b->user, a->guid));
	AUTO_BUF(value, 0);
	row_hole_encode(&value, 1, 1);
	for (int i = 0; i < 2; i++) {
		struct batch *b = batch_new(p->a->user);
		batch_put_op(b, a->guid, a->bucket, &value);
		p->a->user->heads_us = now_us();
		if (i == 1)
			p->a->user->heads_us -= s->settings.refresh_us + STORE_WRITE_US + 1;
		assert_ok(user_write(&p->a->op, p->a->user, b));
		assert_ok(user_read_heads(&p->b->op, p->b->user));
		assert_int_equal(user_has_living(p->b->user, a->guid), i);
	}
	mailbox_unref(a);
}
PAIR_TEST(who_was_too_slow_says_so)

/* What he acknowledged so late is found, though its name is old and others have looked since. */
static void a_slow_write_is_found_in(struct pair *p)
{
	struct mailbox *a, *b;
	one_mail_each(p, &a, &b);
	assert_ok(mailbox_write_begin(&p->a->op, a));
	AUTO_BUF(value, 0);
	struct row_append row = { .uid = 2, .modseq = index_modseq(a->index) + 1 };
	row_append_encode(&value, &row);
	struct batch *slow = batch_new(p->a->user);
	batch_put_row(slow, a->guid, CATALOG_APPEND, a->bucket, user_mint(p->a->user), &value);
	for (int i = 0; i < 6; i++) {
		assert_ok(task_sleep(&p->b->op, 600 * US_PER_SEC));
		refresh(p->b, b);
		(void)world_append(p->b, b, "more");
	}
	assert_ok(user_write(&p->a->op, p->a->user, slow));
	mailbox_write_end(a);
	mailbox_unref(a);
	world_crash(p->a);
	refresh(p->b, b);
	assert_int_equal(index_counters(b->index).messages, 9);
	mailbox_unref(b);
	world_open_store(p->a);
}
PAIR_TEST(a_slow_write_is_found)

/* A move was refused, and its host tries to settle it: when that succeeds at last, its rows have old names, and others
 * have looked since. */
static void a_move_that_settles_late_is_found_in(struct pair *p)
{
	int64_t usual_us = p->a->settings.refresh_us;
	world_stop(p->a);
	p->a->settings.refresh_us = INT64_C(48) * 3600 * US_PER_SEC; /* it stands still */
	world_open_store(p->a);
	struct mailbox *a = world_box(p->a, "INBOX"), *sent = world_box(p->a, "Sent");
	struct range_set first = world_set(1, 1);
	struct copy_result result;
	(void)world_append(p->a, a, "a1");
	(void)world_append(p->a, sent, "a2");
	catalog_fault_set(p->a->catalog,
		&(struct catalog_fault_plan){
			.fail_at = 1, .fail_from_there = true, .spares_reads = true });
	assert_err(mailbox_transfer(&p->a->op, a, sent, &first, true, &result), ERR_UNAVAILABLE);
	timer_cancel(&p->a->user->refresh);
	op_forgive(&p->a->op);
	catalog_fault_set(p->a->catalog, &(struct catalog_fault_plan){ 0 });
	range_set_done(&first);
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX"), *sent_b = world_box(p->b, "Sent");
	for (int i = 0; i < 6; i++) {
		(void)world_append(p->b, b, "more");
		(void)world_append(p->b, sent_b, "more");
		assert_ok(task_sleep(&p->b->op, 600 * US_PER_SEC));
		refresh(p->b, b);
		refresh(p->b, sent_b);
	}
	assert_int_equal(index_counters(b->index).messages, 7);
	p->a->settings.refresh_us = p->a->store->settings.refresh_us = usual_us;
	assert_ok(user_settle(&p->a->op, p->a->user));
	mailbox_unref(a);
	mailbox_unref(sent);
	world_crash(p->a);
	refresh(p->b, b);
	refresh(p->b, sent_b);
	assert_int_equal(index_counters(b->index).messages, 6);
	assert_int_equal(index_counters(sent_b->index).messages, 8);
	assert_ok(mailbox_verify(&p->b->op, b));
	assert_ok(mailbox_verify(&p->b->op, sent_b));
	mailbox_unref(b);
	mailbox_unref(sent_b);
	world_open_store(p->a);
}
PAIR_TEST(a_move_that_settles_late_is_found)

/* More than a limit has room for comes late, of two hosts: it gets UIDs that our open head had announced. */
static void what_is_late_has_announced_uids_in(struct pair *p)
{
	struct world *c = world_beside(p->a, "host-c");
	struct mailbox *a = world_box(p->a, "INBOX");
	(void)world_append(p->a, a, "a1");
	world_open_store(c);
	struct mailbox *of_c = world_box(c, "INBOX");
	(void)world_append(c, of_c, "c1");
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	(void)world_append(p->b, b, "b1");
	mailbox_unref(b);
	world_stop(p->b);
	append_many(p->a, a, 700);
	append_many(c, of_c, 700);
	mailbox_unref(a);
	mailbox_unref(of_c);
	world_crash(p->a);
	world_crash(c);
	world_open_store(p->b);
	b = world_box(p->b, "INBOX");
	assert_int_equal(index_counters(b->index).messages, 1403);
	assert_true(index_next_uid(b->index) <= b->limit_uid && b->is_checked);
	for (size_t i = 0; i < p->b->user->head_count; i++) {
		const struct user_head *h = &p->b->user->heads[i];
		if (memcmp(&h->mailbox, &b->guid, sizeof(b->guid)) == 0)
			assert_true(h->writer == p->b->user->writer &&
				    h->head.limit_uid >= index_next_uid(b->index));
	}
	assert_ok(mailbox_verify(&p->b->op, b));
	mailbox_unref(b);
	world_end_beside(c);
	world_open_store(p->a);
}
PAIR_TEST(what_is_late_has_announced_uids)

/* A base leaves commit rows out: one comes as news, and is the only row of its writer in the log. What he wrote
 * after it was seen, too: nothing is late. */
static void a_log_does_not_say_what_was_seen_in(struct pair *p)
{
	uint32_t at;
	struct mailbox *m = world_box(p->a, "INBOX");
	append_many(p->a, m, 130);
	assert_int_equal(world_append(p->a, m, "last"), 131);
	assert_ok(task_sleep(&p->a->op, US_PER_SEC));
	assert_ok(mailbox_upload_base(&p->a->op, m, BASE_FLUSH));
	mailbox_unref(m);
	world_stop(p->a);
	assert_ok(task_sleep(&p->b->op, 3600 * US_PER_SEC));
	world_open_store(p->b);
	m = world_box(p->b, "INBOX");
	refresh(p->b, m);
	mailbox_unref(m);
	world_reopen(p->b, WORLD_STOP);
	for (int i = 0; i < 3; i++) {
		m = world_box(p->b, "INBOX");
		assert_true(index_find(m->index, 131, &at));
		assert_false(index_is_ghost(index_hot(m->index, at)));
		(void)world_append(p->b, m, "more");
		mailbox_unref(m);
		world_reopen(p->b, WORLD_CRASH);
	}
	world_open_store(p->a);
}
PAIR_TEST(a_log_does_not_say_what_was_seen)

/* Names: created without knowing that somebody ended it. */
static void a_mailbox_that_was_created_late_is_there_in(struct pair *p)
{
	struct tree_entry e;
	assert_ok(tree_create(&p->a->op, p->a->user, STR("first"), STR("")));
	world_open_store(p->b);
	assert_ok(tree_create(&p->b->op, p->b->user, STR("of-b"), STR("")));
	world_stop(p->b);
	assert_ok(tree_create(&p->a->op, p->a->user, STR("late"), STR("")));
	world_crash(p->a);
	assert_ok(task_sleep(&p->b->op, 3600 * US_PER_SEC));
	world_open_store(p->b);
	assert_ok(tree_lookup(&p->b->op, p->b->user, STR("late"), &e));
	world_stop(p->b);
	world_open_store(p->a);
}
PAIR_TEST(a_mailbox_that_was_created_late_is_there)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_closed_sees_it_when_he_comes_back),
		cmocka_unit_test(also_days_later),
		cmocka_unit_test(a_batch_that_is_in_the_files_is_not_late),
		cmocka_unit_test(status_counts_it),
		cmocka_unit_test(the_time_ends),
		cmocka_unit_test(who_died_here_is_waited_for),
		cmocka_unit_test(who_slept_reads_what_he_missed),
		cmocka_unit_test(who_slept_copies_nothing_that_is_gone),
		cmocka_unit_test(who_slept_takes_over_for_a_copy),
		cmocka_unit_test(a_crash_does_not_forget_it),
		cmocka_unit_test(who_was_too_slow_says_so),
		cmocka_unit_test(a_slow_write_is_found),
		cmocka_unit_test(a_move_that_settles_late_is_found),
		cmocka_unit_test(what_is_late_has_announced_uids),
		cmocka_unit_test(a_log_does_not_say_what_was_seen),
		cmocka_unit_test(a_mailbox_that_was_created_late_is_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
