/* SPDX-License-Identifier: Apache-2.0 */
/* Two hosts that have the same user open at once, on a catalog that is not atomic: what one writes while
 * the other lives, each rule of the storage contract §6. "a" is the one who was there first. */
#include "store/pair_test.h"

static struct str subject_of(struct str body)
{
	struct str line, rest = body;
	assert_true(str_cut_line(&rest, &line) && str_cut_line(&rest, &line));
	assert_true(str_skip(&line, STR("Subject: ")));
	return line;
}

/* The words of a mailbox in the order of its view, each with a space; no UID ever means two mails. */
static struct str shown(struct pair *p, struct world *w, struct view *v)
{
	AUTO_BUF(out, 0);
	struct mail mail;
	(void)world_sync(w, v, true);
	for (uint32_t seq = 1; view_get(v, seq, &mail); seq++) {
		struct str body;
		assert_ok(view_read_body(&w->op, v, &mail, &body));
		struct str word = subject_of(body);
		buf_putf(&out, "%.*s ", STRF(word));
		assert_true(mail.uid < SEEN_MAX);
		if (p->words[mail.uid])
			assert_str(word, str_from(p->words[mail.uid]));
		else
			p->words[mail.uid] = str_new_z(word);
	}
	return buf_dup(&w->arena, &out);
}

static bool has_word(struct str words, const char *word)
{
	AUTO_BUF(padded, 0);
	AUTO_BUF(all, 0);
	buf_putf(&padded, " %s ", word);
	buf_putf(&all, " %.*s", STRF(words));
	return str_find(buf_str(&all), buf_str(&padded)) >= 0;
}

/* ---- mail ---- */

static void acknowledged_mail_of_both_is_kept_in(struct pair *p)
{
	struct mailbox *a = world_box(p->a, "INBOX");
	struct view *va = world_view(p->a, a);
	assert_int_equal(world_append(p->a, a, "a1"), 1);
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	struct view *vb = world_view(p->b, b);
	assert_str(shown(p, p->b, vb), STR("a1 "));
	uint32_t b1 = world_append(p->b, b, "b1");
	assert_true(b1 > 1000);                           /* above all that a may give */
	assert_int_equal(world_append(p->a, a, "a2"), 2); /* he has not looked */
	assert_str(shown(p, p->a, va), STR("a1 a2 "));
	assert_str(shown(p, p->b, vb), STR("a1 b1 "));
	/* The higher one gives the unseen mail a UID above all that he told. */
	refresh(p->b, b);
	struct view_changes c = world_sync(p->b, vb, true);
	assert_true(c.exists_changed && c.exists == 3);
	assert_str(shown(p, p->b, vb), STR("a1 b1 a2 "));
	/* The lower one takes the mail from its old place. */
	refresh(p->a, a);
	c = world_sync(p->a, va, true);
	assert_int_equal(c.expunged_count, 1);
	assert_int_equal(c.expunged_uids[0], 2);
	assert_str(shown(p, p->a, va), STR("a1 b1 a2 "));
	converge(p, a, b);
	/* Now he gives UIDs only after a takeover. */
	assert_true(world_append(p->a, a, "a3") > b1 + 1000 - 10);
	converge(p, a, b);
	assert_str(shown(p, p->b, vb), STR("a1 b1 a2 a3 "));
	view_close(va);
	view_close(vb);
	mailbox_unref(a);
	mailbox_unref(b);
}
PAIR_TEST(acknowledged_mail_of_both_is_kept)

static void both_write_all_the_time_in(struct pair *p)
{
	char word[16];
	struct mailbox *a = world_box(p->a, "INBOX");
	(void)world_append(p->a, a, "first");
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	struct view *va = world_view(p->a, a), *vb = world_view(p->b, b);
	for (int i = 0; i < 12; i++) {
		(void)snprintf(word, sizeof(word), "x%d", i);
		(void)(i % 3 == 0 ? world_append(p->a, a, word) : world_append(p->b, b, word));
		if (i % 2 == 0)
			(void)(i % 4 == 0 ? shown(p, p->a, va) : shown(p, p->b, vb));
		if (i % 5 == 4)
			refresh(i % 10 == 4 ? p->a : p->b, i % 10 == 4 ? a : b);
	}
	converge(p, a, b);
	struct str all = shown(p, p->a, va);
	assert_str(shown(p, p->b, vb), all);
	assert_int_equal(view_exists(va), 13);
	for (int i = 0; i < 12; i++) {
		(void)snprintf(word, sizeof(word), "x%d", i);
		assert_true(has_word(all, word));
	}
	view_close(va);
	view_close(vb);
	mailbox_unref(a);
	mailbox_unref(b);
}
PAIR_TEST(both_write_all_the_time)

static void who_comes_later_sees_what_came_late_in(struct pair *p)
{
	struct mailbox *a, *b;
	one_mail_each(p, &a, &b);
	(void)world_append(p->a, a, "a2"); /* b never looks at it */
	mailbox_unref(b);
	world_stop(p->b);
	mailbox_unref(a);
	world_crash(p->a);
	world_open_store(p->b);
	b = world_box(p->b, "INBOX");
	refresh(p->b, b);
	struct view *v = world_view(p->b, b);
	assert_str(shown(p, p->b, v), STR("a1 b1 a2 "));
	assert_ok(mailbox_verify(&p->b->op, b));
	view_close(v);
	mailbox_unref(b);
	world_stop(p->b);
	world_open_store(p->a);
}
PAIR_TEST(who_comes_later_sees_what_came_late)

static void a_clean_hand_over_has_no_gap_in(struct pair *p)
{
	struct world *order[] = { p->a, p->b, p->a };
	for (uint32_t i = 0; i < ARRAY_COUNT(order); i++) {
		if (!order[i]->user)
			world_open_store(order[i]);
		struct mailbox *m = world_box(order[i], "INBOX");
		uint64_t reads = catalog_counters(order[i]->catalog).reads;
		assert_int_equal(world_append(order[i], m, "one"), i + 1);
		/* Once: was somebody else there when the claim was durable? */
		assert_int_equal(catalog_counters(order[i]->catalog).reads - reads, 1);
		reads = catalog_counters(order[i]->catalog).reads;
		mailbox_unref(m);
		world_stop(order[i]);
		/* Who changed names looks before he writes a root head; the first made INBOX. */
		assert_int_equal(catalog_counters(order[i]->catalog).reads - reads, i == 0);
	}
	world_open_store(p->a);
}
PAIR_TEST(a_clean_hand_over_has_no_gap)

static void a_thousand_uids_need_one_look_in(struct pair *p)
{
	struct mailbox *a = world_box(p->a, "INBOX");
	assert_int_equal(world_append(p->a, a, "first"), 1);
	struct catalog_counters before = catalog_counters(p->a->catalog);
	for (uint32_t i = 2; i <= 100; i++)
		assert_int_equal(world_append(p->a, a, "more"), i);
	assert_int_equal(catalog_counters(p->a->catalog).reads, before.reads);
	assert_int_equal(catalog_counters(p->a->catalog).writes, before.writes + 99);
	index_raise(a->index, 1000, 0);
	for (uint32_t i = 1000; i <= 1003; i++)
		assert_int_equal(world_append(p->a, a, "more"), i);
	assert_int_equal(catalog_counters(p->a->catalog).reads, before.reads + 1);
	mailbox_unref(a);
}
PAIR_TEST(a_thousand_uids_need_one_look)

/* A mailbox with one mail each; `a` stood still while `b` took over. */
static struct mailbox *beside_one_who_slept(struct pair *p, struct mailbox *a)
{
	assert_int_equal(world_append(p->a, a, "a1"), 1);
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	assert_true(world_append(p->b, b, "b1") > 1000);
	return b;
}

static void close_again(struct world *w, struct mailbox **m)
{
	mailbox_unref(*m);
	world_stop(w);
	world_open_store(w);
	*m = world_box(w, "INBOX");
}

/* What he acknowledged without knowing is found by one who closed in time and comes back. */
static void who_was_ended_tells_of_his_mail_in(struct pair *p)
{
	struct mailbox *a = world_box(p->a, "INBOX"), *b = beside_one_who_slept(p, a);
	assert_int_equal(world_append(p->a, a, "a2"), 2);
	mailbox_unref(b);
	world_stop(p->b);
	refresh(p->a, a); /* our head is ended, and nobody has seen the last mail */
	world_open_store(p->b);
	b = world_box(p->b, "INBOX");
	struct view *vb = world_view(p->b, b);
	assert_str(shown(p, p->b, vb), STR("a1 b1 a2 "));
	view_close(vb);
	converge(p, a, b);
	/* All of it is told: neither takes over because of it again. */
	uint32_t next = index_next_uid(b->index);
	for (int i = 0; i < 2; i++) {
		close_again(p->b, &b);
		refresh(p->a, a);
	}
	assert_true(index_next_uid(b->index) <= next + 2 * UIDS_A_FLOOR);
	mailbox_unref(a);
	mailbox_unref(b);
}
PAIR_TEST(who_was_ended_tells_of_his_mail)

static void who_was_ended_tells_when_he_closes_in(struct pair *p)
{
	struct mailbox *a = world_box(p->a, "INBOX"), *b = beside_one_who_slept(p, a);
	assert_int_equal(world_append(p->a, a, "a2"), 2);
	mailbox_unref(b);
	world_stop(p->b);
	close_again(p->a, &a);
	world_open_store(p->b);
	b = world_box(p->b, "INBOX");
	converge(p, a, b);
	assert_int_equal(index_counters(b->index).messages, 3);
	mailbox_unref(a);
	mailbox_unref(b);
}
PAIR_TEST(who_was_ended_tells_when_he_closes)

/* He looks before he acknowledges anything, and takes over. */
static void who_slept_looks_first_in(struct pair *p)
{
	struct mailbox *a = world_box(p->a, "INBOX"), *b = beside_one_who_slept(p, a);
	uint64_t reads = catalog_counters(p->a->catalog).reads;
	p->a->user->heads_us -= p->a->store->settings.refresh_us + 1;
	uint32_t uid = world_append(p->a, a, "a2");
	assert_true(uid > 1000 && uid > index_next_uid(b->index));
	assert_true(catalog_counters(p->a->catalog).reads > reads);
	reads = catalog_counters(p->a->catalog).reads;
	assert_int_equal(world_append(p->a, a, "a3"), uid + 1);
	assert_int_equal(catalog_counters(p->a->catalog).reads, reads);
	converge(p, a, b);
	mailbox_unref(a);
	mailbox_unref(b);
}
PAIR_TEST(who_slept_looks_first)

/* Heads that were read for another mailbox say nothing about this one's rows. */
static void a_head_counts_once_its_rows_are_here_in(struct pair *p)
{
	struct mailbox *a = world_box(p->a, "INBOX");
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	for (uint32_t i = 1; i <= 3; i++)
		assert_int_equal(world_append(p->b, b, "b"), i);
	mailbox_unref(b);
	world_stop(p->b);
	assert_ok(user_read_heads(&p->a->op, p->a->user));
	assert_true(world_append(p->a, a, "a1") > 3);
	assert_int_equal(index_counters(a->index).messages, 4);
	mailbox_unref(a);
	world_open_store(p->b);
}
PAIR_TEST(a_head_counts_once_its_rows_are_here)

/* ---- flags and expunges ---- */

/* It told them with a modseq that whoever folds all rows goes on above. */
static void flags_of_a_mail_that_is_gone_in(struct pair *p)
{
	struct mailbox *a = ended_by_b(p);
	struct view *va = world_view(p->a, a);
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	struct view *vb = world_view(p->b, b);
	world_flags(p->b, vb, 1, 1, FLAGS_ADD, MAIL_DELETED);
	assert_ok(view_expunge(&p->b->op, vb, NULL));
	assert_ok(task_sleep(&p->a->op, 5 * 60 * US_PER_SEC));
	world_flags(p->a, va, 1, 1, FLAGS_ADD, MAIL_FLAGGED);
	assert_ok(flags_journal_flush(&p->a->op, a));
	uint64_t told = index_modseq(a->index);
	assert_true(told > index_modseq(b->index));
	refresh(p->b, b);
	assert_ok(mailbox_verify(&p->b->op, b));
	assert_true(index_modseq(b->index) >= told);
	view_close(va);
	view_close(vb);
	mailbox_unref(a);
	mailbox_unref(b);
}
PAIR_TEST(flags_of_a_mail_that_is_gone)

static void the_last_flag_wins_and_expunge_beats_it_in(struct pair *p)
{
	struct mailbox *a = world_box(p->a, "INBOX");
	for (int i = 0; i < 3; i++)
		(void)world_append(p->a, a, i == 0 ? "one" : i == 1 ? "two" : "three");
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	struct view *va = world_view(p->a, a), *vb = world_view(p->b, b);
	world_flags(p->b, vb, 1, 3, FLAGS_ADD, MAIL_SEEN);
	assert_ok(flags_journal_flush(&p->b->op, b));
	assert_ok(task_sleep(&p->a->op, US_PER_MS * 10));
	world_flags(p->a, va, 1, 1, FLAGS_ADD, MAIL_FLAGGED);
	world_flags(p->a, va, 3, 3, FLAGS_ADD, MAIL_DELETED);
	assert_ok(view_expunge(&p->a->op, va, NULL));
	world_flags(p->b, vb, 3, 3, FLAGS_ADD, MAIL_ANSWERED);
	uint64_t told = view_highest_modseq(vb);
	assert_ok(flags_journal_flush(&p->a->op, a));
	assert_ok(flags_journal_flush(&p->b->op, b));
	converge(p, a, b);
	struct view_changes c = world_sync(p->b, vb, true);
	struct mail mail;
	assert_int_equal(c.expunged_count, 1);
	assert_true(view_get(vb, 1, &mail));
	assert_int_equal(mail.flags & MAIL_STORABLE_FLAGS, MAIL_SEEN | MAIL_FLAGGED);
	/* What came late is above all that was told. */
	assert_true(mail.modseq > told);
	struct range_set all = world_set(1, 100), gone;
	range_set_init(&gone);
	view_vanished(vb, told, &all, &gone);
	assert_true(range_set_has(&gone, 3));
	range_set_done(&all);
	range_set_done(&gone);
	(void)world_sync(p->a, va, true);
	assert_true(view_get(va, 1, &mail));
	assert_int_equal(mail.flags & MAIL_STORABLE_FLAGS, MAIL_SEEN | MAIL_FLAGGED);
	view_close(va);
	view_close(vb);
	mailbox_unref(a);
	mailbox_unref(b);
}
PAIR_TEST(the_last_flag_wins_and_expunge_beats_it)

/* ---- batches and moves ---- */

/* They came with the rows: no mail is read for them. */
static void assert_summaries_are_kept(struct world *w, struct mailbox *m)
{
	struct message_summary summary;
	struct mail mail;
	struct view *v = world_view(w, m);
	for (uint32_t seq = 1; view_get(v, seq, &mail); seq++)
		assert_ok(view_read_summary(&w->op, v, &mail, &summary));
	assert_int_equal(w->store->counters.summary_misses, 0);
	view_close(v);
}

static void rows_of_a_batch_carry_summaries_in(struct pair *p)
{
	struct mailbox *a = world_box(p->a, "INBOX");
	append_many(p->a, a, 150);
	mailbox_unref(a);
	world_reopen(p->a, WORLD_CRASH_DROP);
	a = world_box(p->a, "INBOX");
	assert_int_equal(index_counters(a->index).messages, 150);
	assert_summaries_are_kept(p->a, a);
	mailbox_unref(a);
}
PAIR_TEST(rows_of_a_batch_carry_summaries)

static void a_batch_of_the_lower_one_counts_as_a_whole_in(struct pair *p)
{
	struct mailbox *a = world_box(p->a, "INBOX");
	(void)world_append(p->a, a, "a1");
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	struct view *vb = world_view(p->b, b);
	(void)world_append(p->b, b, "b1");
	append_many(p->a, a, 150);
	refresh(p->b, b);
	struct view_changes c = world_sync(p->b, vb, true);
	assert_int_equal(c.exists, 152);
	converge(p, a, b);
	assert_summaries_are_kept(p->b, b);
	view_close(vb);
	mailbox_unref(a);
	mailbox_unref(b);
}
PAIR_TEST(a_batch_of_the_lower_one_counts_as_a_whole)

static void a_move_of_the_lower_one_is_one_in(struct pair *p)
{
	struct mailbox *a = world_box(p->a, "INBOX"), *sent = world_box(p->a, "Sent");
	struct copy_result result;
	(void)world_append(p->a, a, "one");
	(void)world_append(p->a, a, "two");
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX"), *sent_b = world_box(p->b, "Sent");
	struct view *va = world_view(p->a, a), *vb = world_view(p->b, b);
	(void)world_append(p->b, b, "b1");
	struct range_set first = world_set(1, 1);
	assert_ok(view_copy(&p->a->op, va, &first, sent, true, &result));
	range_set_done(&first);
	refresh(p->b, sent_b);
	refresh(p->a, sent);
	converge(p, a, b);
	assert_str(shown(p, p->b, vb), STR("two b1 "));
	assert_int_equal(index_counters(sent_b->index).messages, 1);
	assert_str(world_describe(p->b, sent_b), world_describe(p->a, sent));
	view_close(va);
	view_close(vb);
	mailbox_unref(sent);
	mailbox_unref(sent_b);
	mailbox_unref(a);
	mailbox_unref(b);
}
PAIR_TEST(a_move_of_the_lower_one_is_one)

/* ---- looking by itself ---- */

static void a_live_owner_looks_now_and_then_in(struct pair *p)
{
	p->a->settings.refresh_us = p->b->settings.refresh_us = 10 * US_PER_SEC;
	world_reopen(p->a, WORLD_STOP);
	struct mailbox *a = world_box(p->a, "INBOX");
	struct view *va = world_view(p->a, a);
	(void)world_append(p->a, a, "a1");
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	(void)world_append(p->b, b, "b1");
	assert_ok(task_sleep(&p->a->op, 11 * US_PER_SEC));
	assert_str(shown(p, p->a, va), STR("a1 b1 "));
	view_close(va);
	mailbox_unref(a);
	mailbox_unref(b);
}
PAIR_TEST(a_live_owner_looks_now_and_then)

/* The answer to a merge row is lost, and mail is saved before it is read: none of it gets a UID that the row gave. */
static void uids_of_a_merge_in_doubt_are_burned_in(struct pair *p)
{
	struct mailbox *a = world_box(p->a, "INBOX");
	(void)world_append(p->a, a, "a1");
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	uint32_t b1 = world_append(p->b, b, "b1");
	assert_int_equal(world_append(p->a, a, "a2"), 2);
	catalog_fault_set(p->b->catalog, &(struct catalog_fault_plan){ .fail_at = 1,
						 .fail_after_doing = true,
						 .fail_from_there = true,
						 .spares_reads = true });
	assert_err(mailbox_refresh(&p->b->op, b), ERR_UNAVAILABLE);
	catalog_fault_set(p->b->catalog, &(struct catalog_fault_plan){ 0 });
	assert_int_equal(world_append(p->b, b, "b2"), b1 + 2);
	refresh(p->b, b);
	converge(p, a, b);
	struct view *v = world_view(p->b, b);
	assert_str(shown(p, p->b, v), STR("a1 b1 b2 a2 "));
	view_close(v);
	mailbox_unref(a);
	mailbox_unref(b);
}
PAIR_TEST(uids_of_a_merge_in_doubt_are_burned)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acknowledged_mail_of_both_is_kept),
		cmocka_unit_test(both_write_all_the_time),
		cmocka_unit_test(who_comes_later_sees_what_came_late),
		cmocka_unit_test(a_clean_hand_over_has_no_gap),
		cmocka_unit_test(a_thousand_uids_need_one_look),
		cmocka_unit_test(who_was_ended_tells_of_his_mail),
		cmocka_unit_test(who_was_ended_tells_when_he_closes),
		cmocka_unit_test(who_slept_looks_first),
		cmocka_unit_test(a_head_counts_once_its_rows_are_here),
		cmocka_unit_test(flags_of_a_mail_that_is_gone),
		cmocka_unit_test(the_last_flag_wins_and_expunge_beats_it),
		cmocka_unit_test(rows_of_a_batch_carry_summaries),
		cmocka_unit_test(a_batch_of_the_lower_one_counts_as_a_whole),
		cmocka_unit_test(a_move_of_the_lower_one_is_one),
		cmocka_unit_test(a_live_owner_looks_now_and_then),
		cmocka_unit_test(uids_of_a_merge_in_doubt_are_burned),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
