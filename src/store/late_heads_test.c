/* SPDX-License-Identifier: Apache-2.0 */
/* Heads that are older than they seem: answers that come late, heads that another task read, hosts that stood
 * still. Nobody ends who is there, and no mailbox is left without a head. */
#include "store/pair_test.h"

#define LATE_US STORE_LATE_US

/* He says that nothing is late any more, and must not say so instead of who has more. */
static void who_looked_only_at_heads_hides_nothing_in(struct pair *p)
{
	struct mailbox_status s;
	world_open_store(p->b);
	struct mailbox *a, *b = world_box(p->b, "INBOX");
	a = world_box(p->a, "INBOX");
	(void)world_append(p->a, a, "a1");
	mailbox_unref(a);
	world_reopen(p->a, WORLD_CRASH_DROP);
	a = world_box(p->a, "INBOX"); /* ends the head of who was there before */
	(void)world_append(p->a, a, "a2");
	timer_cancel(&p->a->user->refresh); /* it stands still */
	assert_ok(task_sleep(&p->b->op, LATE_US(p->b->store) + US_PER_SEC));
	refresh(p->b, b);
	(void)world_append(p->a, a, "a3");
	mailbox_unref(a);
	world_stop(p->a);
	assert_ok(user_read_heads(&p->b->op, p->b->user));
	mailbox_unref(b);
	world_stop(p->b);
	world_open_store(p->b);
	assert_ok(mailbox_status(&p->b->op, p->b->user, STR("INBOX"), &s));
	assert_int_equal(s.messages, 3);
	world_open_store(p->a);
}
PAIR_TEST(who_looked_only_at_heads_hides_nothing)

/* Heads are the user's: another task may have read them anew since a takeover of this mailbox went above them. */
static void who_went_above_is_not_ended_in(struct pair *p)
{
	struct mailbox *a, *b;
	one_mail_each(p, &a, &b);
	assert_ok(mailbox_refresh(&p->a->op, a));
	(void)world_append(p->a, a, "a2"); /* above what b may give */
	assert_ok(user_read_heads(&p->b->op, p->b->user));
	assert_true(user_handover(p->b->user, b->guid).limit_uid > b->floor_uid);
	struct batch *ending = batch_new(p->b->user);
	mailbox_end_others(ending, b);
	for (size_t i = 0; i < ending->count; i++)
		assert_true(ending->changes[i].kind != CATALOG_DELETE_HEAD);
	assert_true(b->must_take_over);
	batch_free(ending);
	mailbox_unref(a);
	mailbox_unref(b);
	world_stop(p->b);
}
PAIR_TEST(who_went_above_is_not_ended)

static void assert_ends_nobody(struct mailbox *m)
{
	struct batch *ending = batch_new(m->user);
	m->must_take_over = false;
	mailbox_end_others(ending, m);
	assert_int_equal(ending->count, 1);
	assert_int_equal(ending->changes[0].kind, CATALOG_PUT_HEAD);
	assert_true(m->must_take_over);
	batch_free(ending);
}

/* It stood still within a takeover: the head of who took over from it and closed is the only one that tells of his
 * mail, also when its own is put again. */
static void who_closed_meanwhile_is_not_ended_in(struct pair *p)
{
	struct mailbox *a = ended_by_b(p);
	assert_ok(user_read_heads(&p->a->op, p->a->user));
	assert_false(a->is_claimed);
	assert_ends_nobody(a);
	struct batch *again = batch_new(p->a->user);
	mailbox_put_open_head(again, a);
	assert_ok(user_write(&p->a->op, p->a->user, again));
	assert_ok(user_read_heads(&p->a->op, p->a->user));
	assert_true(a->is_claimed);
	assert_ends_nobody(a);
	refresh(p->a, a);
	assert_int_equal(index_counters(a->index).messages, 4);
	mailbox_unref(a);
	world_open_store(p->b);
}
PAIR_TEST(who_closed_meanwhile_is_not_ended)

/* The first try of a claim is carried out, and its writer stands still: somebody ends it. With the stamp of then
 * the next try would do nothing, and the mailbox would have no head at all. */
static void a_claim_is_made_anew_by_each_try_in(struct pair *p)
{
	struct mailbox *a = world_box(p->a, "INBOX");
	uint32_t uid;
	catalog_fault_set(p->a->catalog,
		&(struct catalog_fault_plan){
			.fail_at = 1, .fail_after_doing = true, .fail_from_there = true });
	assert_err(world_try_append(p->a, a, "doubtful", &uid), ERR_UNAVAILABLE);
	assert_ok(task_sleep(&p->a->op, US_PER_SEC));
	timer_cancel(&p->a->user->refresh); /* it stands still */
	catalog_fault_set(p->a->catalog, &(struct catalog_fault_plan){ 0 });
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	(void)world_append(p->b, b, "b1");
	mailbox_unref(b);
	world_stop(p->b);
	assert_ok(user_settle(&p->a->op, p->a->user));
	assert_ok(user_read_heads(&p->a->op, p->a->user));
	assert_true(user_handover(p->a->user, a->guid).has_closed);
	assert_true(a->is_claimed);
	mailbox_unref(a);
	world_stop(p->a);
	world_open_store(p->b);
	world_assert_inbox(p->b, 1);
	world_open_store(p->a);
}
PAIR_TEST(a_claim_is_made_anew_by_each_try)

/* Its head is put again after somebody ended it, and it does not know: at the next look it sees that he went above
 * without its last mail, which gets a UID that nobody has passed. */
static void who_came_back_unknowing_tells_of_his_mail_in(struct pair *p)
{
	struct mailbox *b, *a = world_box(p->a, "INBOX");
	(void)world_append(p->a, a, "a1");
	world_open_store(p->b);
	b = world_box(p->b, "INBOX");
	uint32_t passed = world_append(p->b, b, "b1");
	struct batch *again = batch_new(p->a->user);
	mailbox_put_open_head(again, a);
	assert_ok(user_write(&p->a->op, p->a->user, again));
	mailbox_unref(b);
	world_stop(p->b);
	assert_int_equal(world_append(p->a, a, "a2"), 2);
	refresh(p->a, a);
	assert_int_equal(index_counters(a->index).messages, 3);
	assert_true(index_hot(a->index, 2)->uid > passed);
	world_open_store(p->b);
	b = world_box(p->b, "INBOX");
	converge(p, a, b);
	mailbox_unref(a);
	mailbox_unref(b);
}
PAIR_TEST(who_came_back_unknowing_tells_of_his_mail)

/* A move in doubt is carried out when others have worked for long, under its old names, and `a` closes: `b`, whose files
 * are of before, looks as far back. */
static void a_move_that_comes_late_is_found_in(struct pair *p)
{
	static const struct catalog_fault_plan down = {
		.fail_at = 1, .fail_from_there = true, .spares_reads = true
	};
	struct mailbox *b, *a = ended_by_b(p), *sent = world_box(p->a, "Sent");
	struct range_set some = world_set(1, 2);
	struct copy_result result;
	(void)world_append(p->a, a, "a4");
	(void)world_append(p->a, sent, "a5");
	struct view *v = world_view(p->a, a);
	catalog_fault_set(p->a->catalog, &down);
	assert_err(view_copy(&p->a->op, v, &some, sent, true, &result), ERR_UNAVAILABLE);
	op_forgive(&p->a->op);
	assert_false(list_is_empty(&p->a->user->unsettled));
	timer_cancel(&p->a->user->refresh); /* it stands still */
	catalog_fault_set(p->a->catalog, &(struct catalog_fault_plan){ 0 });
	world_open_store(p->b);
	b = world_box(p->b, "INBOX");
	assert_ok(task_sleep(&p->b->op, 30 * 60 * US_PER_SEC));
	(void)world_append(p->b, b, "b2");
	mailbox_unref(b);
	world_stop(p->b);
	assert_ok(user_settle(&p->a->op, p->a->user));
	refresh(p->a, a);
	view_close(v);
	mailbox_unref(a);
	mailbox_unref(sent);
	world_stop(p->a);
	world_open_store(p->b);
	b = world_box(p->b, "INBOX");
	assert_ok(mailbox_verify(&p->b->op, b));
	assert_int_equal(index_counters(b->index).messages, 4);
	mailbox_unref(b);
	range_set_done(&some);
	world_open_store(p->a);
}
PAIR_TEST(a_move_that_comes_late_is_found)

static void close_again(struct world *w, struct mailbox **m)
{
	mailbox_unref(*m);
	world_stop(w);
	world_open_store(w);
	*m = world_box(w, "INBOX");
}

static size_t late_count(const struct mailbox *m)
{
	struct row_mark *late;
	size_t count = index_late(m->index, &late);
	mem_free(late);
	return count;
}

/* Wherever it fails: the next look takes it up again, also without mail that needs a UID. */
static void a_takeover_that_failed_is_done_again_in(struct pair *p)
{
	struct mailbox *b, *a = world_box(p->a, "INBOX");
	(void)world_append(p->a, a, "a1");
	world_open_store(p->b);
	b = world_box(p->b, "INBOX");
	for (int64_t at = 1; at <= 12; at++) {
		(void)world_append(p->a, a, "a"); /* it is his */
		p->b->user->heads_us -= p->b->store->settings.refresh_us + 1;
		uint32_t passed = world_append(p->b, b, "b");
		assert_true(world_append(p->a, a, "a") < passed);
		catalog_fault_set(p->a->catalog,
			&(struct catalog_fault_plan){ .fail_at = at, .fail_from_there = true });
		bool has_failed = mailbox_refresh(&p->a->op, a) != ERR_NONE;
		assert_true(has_failed || at > 6);
		op_forgive(&p->a->op);
		catalog_fault_set(p->a->catalog, &(struct catalog_fault_plan){ 0 });
		refresh(p->a, a);
		assert_int_equal(late_count(a), 0);
	}
	converge(p, a, b);
	mailbox_unref(a);
	mailbox_unref(b);
}
PAIR_TEST(a_takeover_that_failed_is_done_again)

/* The floor of a takeover that nobody finished comes when all have closed, or one alone is there, who has a higher one
 * of his own: who looks next gives the mail of then another UID, not only who opens without local files. */
static void a_floor_comes_late(struct pair *p, bool is_closed)
{
	struct mailbox *b, *a = world_box(p->a, "INBOX");
	(void)world_append(p->a, a, "a1");
	world_open_store(p->b);
	catalog_fault_set(
		p->a->catalog, &(struct catalog_fault_plan){ .fail_at = 4, /* what it has seen */
				       .fail_late = true,
				       .fail_from_there = true,
				       .spares_reads = true });
	assert_err(mailbox_open(&p->b->op, p->b->user, STR("INBOX"), &b), ERR_UNAVAILABLE);
	world_crash(p->b);
	catalog_fault_set(p->a->catalog, &(struct catalog_fault_plan){ 0 });
	assert_int_equal(world_append(p->a, a, "a2"), 2);
	refresh(p->a, a);
	uint32_t passed = world_append(p->a, a, "a3");
	if (is_closed)
		close_again(p->a, &a);
	assert_int_equal(a->is_claimed, !is_closed);
	assert_ok(catalog_fault_replay_first(&p->a->op, p->a->catalog, 1));
	refresh(p->a, a);
	assert_int_equal(late_count(a), 0);
	assert_true(index_hot(a->index, index_count(a->index) - 1)->uid > passed);
	world_open_store(p->b);
	b = world_box(p->b, "INBOX");
	converge(p, a, b);
	mailbox_unref(a);
	mailbox_unref(b);
}

static void a_floor_that_comes_late_is_met_at_once_in(struct pair *p)
{
	a_floor_comes_late(p, true);
}
PAIR_TEST(a_floor_that_comes_late_is_met_at_once)

static void a_floor_below_ours_is_met_too_in(struct pair *p)
{
	a_floor_comes_late(p, false);
}
PAIR_TEST(a_floor_below_ours_is_met_too)

/* His numbers are lower than ours, and he expunged a mail all the same: what nobody uses here is looked after, too. */
static void who_closed_later_is_looked_at_in(struct pair *p)
{
	world_open_store(p->b);
	struct mailbox *a, *b = world_box(p->b, "INBOX");
	a = world_box(p->a, "INBOX");
	(void)world_append(p->a, a, "a1");
	(void)world_append(p->a, a, "a2");
	refresh(p->b, b);
	assert_ok(task_sleep(&p->b->op, US_PER_SEC));
	struct view *v = world_view(p->b, b);
	world_flags(p->b, v, 1, 1, FLAGS_ADD, MAIL_DELETED);
	assert_ok(view_expunge(&p->b->op, v, NULL));
	view_close(v);
	mailbox_unref(b);
	world_stop(p->b);
	for (int i = 0; i < 3; i++)
		(void)world_append(p->a, a, "a");
	mailbox_unref(a);
	assert_ok(user_refresh(&p->a->op, p->a->user));
	world_assert_inbox(p->a, 4);
	world_open_store(p->b);
}
PAIR_TEST(who_closed_later_is_looked_at)

/* The write that takes the heads of others away, whose rows it has read, is in doubt: the rows are not folded, and
 * no head speaks of them any more. */
static void what_a_look_in_doubt_has_read_is_looked_for_in(struct pair *p)
{
	struct mailbox *a, *b;
	one_mail_each(p, &a, &b);
	mailbox_unref(b);
	world_stop(p->b);
	struct batch *again = batch_new(p->a->user);
	mailbox_put_open_head(again, a); /* of a write that began before b ended it */
	assert_ok(user_write(&p->a->op, p->a->user, again));
	catalog_fault_set(p->a->catalog, &(struct catalog_fault_plan){ .fail_at = 1,
						 .fail_after_doing = true,
						 .fail_from_there = true,
						 .spares_reads = true });
	assert_err(mailbox_refresh(&p->a->op, a), ERR_UNAVAILABLE);
	op_forgive(&p->a->op);
	catalog_fault_set(p->a->catalog, &(struct catalog_fault_plan){ 0 });
	mailbox_unref(a);
	assert_ok(user_refresh(&p->a->op, p->a->user));
	world_assert_inbox(p->a, 2);
	world_open_store(p->b);
}
PAIR_TEST(what_a_look_in_doubt_has_read_is_looked_for)

/* What he told of flags that wait for the journal is in no row: who ends him goes on well above the rows. */
static void told_modseqs_are_not_given_again_in(struct pair *p)
{
	struct mailbox *a, *b;
	one_mail_each(p, &a, &b);
	p->a->user->heads_us -= p->a->store->settings.refresh_us + 1;
	(void)world_append(p->a, a, "a2"); /* above b, by as much as b will go above himself */
	struct view *v = world_view(p->a, a);
	for (uint32_t seq = 1; seq <= 3; seq++)
		world_flags(p->a, v, seq, seq, FLAGS_ADD, MAIL_SEEN);
	p->b->user->heads_us -= p->b->store->settings.refresh_us + 1;
	(void)world_append(p->b, b, "b2");
	assert_int_equal(a->pending_mails, 3);
	assert_true(index_modseq(b->index) > index_modseq(a->index));
	view_close(v);
	assert_ok(flags_journal_flush(&p->a->op, a));
	converge(p, a, b);
	mailbox_unref(a);
	mailbox_unref(b);
}
PAIR_TEST(told_modseqs_are_not_given_again)

/* The answer to a claim may be older than what was read meanwhile. */
static void heads_read_meanwhile_say_whether_it_is_claimed_in(struct pair *p)
{
	struct user *u = p->a->user;
	struct mailbox *a = world_box(p->a, "INBOX");
	struct batch *b = batch_new(u);
	AUTO_BUF(value, 0);
	mailbox_claim(b, a);
	row_hole_encode(&value, 1, 2);
	batch_put_op(b, a->guid, 0, &value);
	b->head_reads = u->head_reads;
	assert_false(batch_may_be_ended(b));
	assert_ok(user_read_heads(&p->a->op, u));
	assert_true(batch_may_be_ended(b));
	batch_free(b);
	mailbox_unref(a);
	world_open_store(p->b);
	world_stop(p->b);
}
PAIR_TEST(heads_read_meanwhile_say_whether_it_is_claimed)

/* `b` closes without knowing that `c` expunged a mail, and `a` ends with the numbers that `b` had: the files of `b`, and
 * his base, are not those of the head that is there. */
static void the_same_numbers_in(struct pair *p, bool by_base)
{
	static const struct catalog_fault_plan down = {
		.fail_at = 1, .fail_from_there = true, .spares_reads = true
	};
	p->a->settings.refresh_us = p->b->settings.refresh_us = 48 * 60 * 60 * US_PER_SEC;
	world_reopen(p->a, WORLD_STOP);
	struct world *c = world_beside(p->a, "host-c"), *opener = by_base ? c : p->b;
	struct mailbox *a = world_box(p->a, "INBOX");
	(void)world_append(p->a, a, "a1");
	(void)world_append(p->a, a, "a2");
	world_open_store(c);
	struct mailbox *of_c = world_box(c, "INBOX");
	struct view *v = world_view(c, of_c);
	world_flags(c, v, 1, 1, FLAGS_ADD, MAIL_DELETED);
	assert_ok(flags_journal_flush(&c->op, of_c));
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	(void)world_append(p->b, b, "b1");
	catalog_fault_set(p->a->catalog, &down);
	assert_err(view_expunge(&c->op, v, NULL), ERR_UNAVAILABLE);
	timer_cancel(&c->user->refresh); /* it stands still */
	op_forgive(&c->op);
	catalog_fault_set(p->a->catalog, &(struct catalog_fault_plan){ 0 });
	view_close(v);
	assert_ok(task_sleep(&p->b->op, 10 * US_PER_MS));
	(void)world_append(p->b, b, "b2"); /* the last row of all */
	assert_ok(task_sleep(&p->b->op, 10 * US_PER_MS));
	if (by_base)
		assert_ok(mailbox_upload_base(&p->b->op, b, BASE_FLUSH));
	struct catalog_guid guid = b->guid;
	uint32_t next_uid = index_next_uid(b->index);
	uint64_t modseq = index_modseq(b->index);
	mailbox_unref(b);
	world_stop(p->b);
	assert_ok(user_settle(&c->op, c->user));
	mailbox_unref(of_c);
	world_stop(c);
	refresh(p->a, a);
	assert_ok(task_sleep(&p->a->op, LATE_US(p->a->store) + US_PER_SEC));
	refresh(p->a, a); /* nothing is late any more */
	mailbox_unref(a);
	world_stop(p->a);
	if (by_base)
		assert_ok(file_remove_tree(&c->op, c->settings.local_dir.p));
	world_open_store(opener);
	struct handover h = user_handover(opener->user, guid);
	assert_true(h.has_closed && h.late_ms == 0);
	assert_true(h.closed.next_uid == next_uid && h.closed.modseq == modseq);
	b = world_box(opener, "INBOX");
	assert_int_equal(opener->store->counters.base_reads, by_base);
	assert_int_equal(index_counters(b->index).messages, 3);
	assert_ok(mailbox_verify(&opener->op, b));
	mailbox_unref(b);
	if (by_base)
		world_stop(c);
	world_end_beside(c);
	world_open_store(p->a);
}

static void the_same_numbers_are_not_the_same_mails_in(struct pair *p)
{
	the_same_numbers_in(p, false);
}
PAIR_TEST(the_same_numbers_are_not_the_same_mails)

static void nor_are_they_in_a_base_in(struct pair *p)
{
	the_same_numbers_in(p, true);
}
PAIR_TEST(nor_are_they_in_a_base)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_looked_only_at_heads_hides_nothing),
		cmocka_unit_test(who_went_above_is_not_ended),
		cmocka_unit_test(who_closed_meanwhile_is_not_ended),
		cmocka_unit_test(a_claim_is_made_anew_by_each_try),
		cmocka_unit_test(who_came_back_unknowing_tells_of_his_mail),
		cmocka_unit_test(a_move_that_comes_late_is_found),
		cmocka_unit_test(a_takeover_that_failed_is_done_again),
		cmocka_unit_test(a_floor_that_comes_late_is_met_at_once),
		cmocka_unit_test(a_floor_below_ours_is_met_too),
		cmocka_unit_test(who_closed_later_is_looked_at),
		cmocka_unit_test(what_a_look_in_doubt_has_read_is_looked_for),
		cmocka_unit_test(told_modseqs_are_not_given_again),
		cmocka_unit_test(heads_read_meanwhile_say_whether_it_is_claimed),
		cmocka_unit_test(the_same_numbers_are_not_the_same_mails),
		cmocka_unit_test(nor_are_they_in_a_base),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
