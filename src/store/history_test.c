/* SPDX-License-Identifier: Apache-2.0 */
/* What a client that was away is told: HIGHESTMODSEQ and VANISHED (EARLIER); and views that move to
 * another process. */
#include "store/scenario_test.h"

static void assert_vanished(
	struct view *v, uint64_t since, uint32_t first, uint32_t last, const char *expected)
{
	struct range_set uids = world_set(first, last), out;
	AUTO_BUF(text, 0);
	range_set_init(&out);
	view_vanished(v, since, &uids, &out);
	range_set_print(&out, &text);
	assert_str(buf_str(&text), str_from(expected));
	range_set_done(&out);
	range_set_done(&uids);
}

static void expunge_uids(struct world *w, struct view *v, uint32_t first, uint32_t last)
{
	struct range_set uids = world_set(first, last), seqs;
	struct store_flags change = {
		.change = FLAGS_ADD, .flags = MAIL_DELETED, .unchanged_since = UINT64_MAX
	};
	range_set_init(&seqs);
	view_uids_to_seqs(v, &uids, &seqs);
	assert_ok(view_store_flags(&w->op, v, &seqs, &change, NULL));
	assert_ok(view_expunge(&w->op, v, &uids));
	range_set_done(&seqs);
	range_set_done(&uids);
}

static void expunges_are_told_to_who_was_away(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	for (int i = 0; i < 10; i++)
		world_append(w, m, "x");
	struct view *v = world_view(w, m);
	uint64_t all = view_highest_modseq(v);
	expunge_uids(w, v, 8, 8);
	(void)world_sync(w, v, true);
	uint64_t without_8 = view_highest_modseq(v);
	assert_true(without_8 > all);
	expunge_uids(w, v, 2, 4);
	assert_vanished(v, all, 1, UINT32_MAX, "8"); /* the others are withheld */
	(void)world_sync(w, v, false);
	assert_vanished(v, all, 1, UINT32_MAX, "8");
	assert_true(view_highest_modseq(v) >= without_8);
	(void)world_sync(w, v, true);
	uint64_t last = view_highest_modseq(v);
	for (enum world_end how = WORLD_STOP; how <= WORLD_CRASH_DROP; how++) {
		assert_vanished(v, all, 1, UINT32_MAX, "2:4,8");
		assert_vanished(v, all, 3, 5, "3:4");
		assert_vanished(v, without_8, 1, 10, "2:4");
		assert_vanished(v, last, 1, UINT32_MAX, "");
		assert_vanished(v, 0, 1, UINT32_MAX, "2:4,8"); /* whatever is not there */
		view_close(v);
		mailbox_unref(m);
		world_reopen(w, how);
		m = world_box(w, "INBOX");
		v = world_view(w, m);
		assert_true(view_highest_modseq(v) >= last);
	}
	view_close(v);
	mailbox_unref(m);
}

static void withheld_expunges_hold_the_modseq_down(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	for (int i = 0; i < 3; i++)
		world_append(w, m, "x");
	struct view *a = world_view(w, m), *b = world_view(w, m);
	uint64_t before = view_highest_modseq(b);
	expunge_uids(w, a, 2, 2);
	(void)world_sync(w, a, true);
	uint64_t told = view_highest_modseq(a);
	world_append(w, m, "x");
	(void)world_sync(w, b, false);
	assert_true(view_highest_modseq(b) >= before);
	assert_true(view_highest_modseq(b) < told);
	assert_vanished(b, before, 1, UINT32_MAX, "");
	(void)world_sync(w, b, true);
	assert_true(view_highest_modseq(b) > told);
	assert_vanished(b, before, 1, UINT32_MAX, "2");
	view_close(a);
	view_close(b);
	mailbox_unref(m);
}

/* ---- another host in between ---- */

static void change_host(struct world *w, enum world_end how, const char *host)
{
	if (how == WORLD_STOP)
		world_stop(w);
	else
		world_crash(w);
	w->settings.local_dir = str_printf(&w->arena, "%s/%s", w->dir, host);
	world_open_store(w);
}

/* What this host's log has is not what the other one's had. */
static void an_old_log_does_not_stand_for_another_hosts_flags(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	world_append(w, m, "x");
	struct view *v = world_view(w, m);
	world_flags(w, v, 1, 1, FLAGS_ADD, MAIL_FLAGGED);
	assert_ok(task_sleep(&w->op, 2 * US_PER_SEC));
	view_close(v);
	mailbox_unref(m);
	change_host(w, WORLD_CRASH, "other");
	m = world_box(w, "INBOX");
	v = world_view(w, m);
	world_flags(w, v, 1, 1, FLAGS_ADD, MAIL_SEEN);
	uint64_t told = index_modseq(m->index);
	view_close(v);
	mailbox_unref(m);
	change_host(w, WORLD_CRASH, "local");
	m = world_box(w, "INBOX");
	assert_int_equal(index_hot(m->index, 0)->flags, MAIL_FLAGGED);
	assert_true(index_modseq(m->index) > told);
	assert_int_equal(index_settle_modseq(m->index, told), 0);
	assert_ok(mailbox_verify(&w->op, m));
	mailbox_unref(m);
}

/* Flags that waited for the journal here when the other host took over were given up then. */
static void flags_that_were_given_up_do_not_come_back(struct world *w)
{
	for (enum world_end how = WORLD_STOP; how <= WORLD_CRASH; how++) {
		struct mailbox *m = world_box(w, "INBOX");
		uint32_t uid = world_append(w, m, "x"), at;
		assert_ok(task_sleep(&w->op, 2 * US_PER_SEC));
		struct view *v = world_view(w, m);
		world_flags(w, v, 1, view_exists(v), FLAGS_ADD, MAIL_SEEN);
		view_close(v);
		mailbox_unref(m);
		change_host(w, WORLD_CRASH, "other");
		m = world_box(w, "INBOX");
		assert_true(index_find(m->index, uid, &at));
		assert_int_equal(index_hot(m->index, at)->flags, 0);
		world_append(w, m, "y");
		mailbox_unref(m);
		change_host(w, how, "local");
		m = world_box(w, "INBOX");
		assert_true(index_find(m->index, uid, &at));
		assert_int_equal(index_hot(m->index, at)->flags, 0);
		assert_ok(mailbox_verify(&w->op, m));
		mailbox_unref(m);
	}
}

/* An open head that is written again, for more UIDs, does not say that flags which wait are durable. */
static void flags_that_wait_are_above_what_a_head_says(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	world_append(w, m, "x");
	mailbox_unref(m);
	world_reopen(w, WORLD_STOP);
	m = world_box(w, "INBOX");
	struct view *v = world_view(w, m);
	world_flags(w, v, 1, 1, FLAGS_ADD, MAIL_SEEN);
	uint64_t told = index_modseq(m->index);
	world_append(w, m, "y");
	view_close(v);
	mailbox_unref(m);
	change_host(w, WORLD_CRASH, "other");
	m = world_box(w, "INBOX");
	assert_int_equal(index_hot(m->index, 0)->flags, 0);
	assert_int_equal(index_settle_modseq(m->index, told), 0);
	assert_ok(mailbox_verify(&w->op, m));
	mailbox_unref(m);
}

SCENARIO(flags_that_wait_are_above_what_a_head_says)
SCENARIO(an_old_log_does_not_stand_for_another_hosts_flags)
SCENARIO(flags_that_were_given_up_do_not_come_back)

/* ---- frozen views ---- */

static struct view *world_thaw(struct world *w, struct str frozen)
{
	struct view *v;
	assert_ok(view_thaw(&w->op, w->user, frozen, &v));
	return v;
}

static void a_frozen_view_goes_on(struct world *w)
{
	for (enum world_end how = WORLD_STOP; how <= WORLD_CRASH_DROP; how++) {
		struct mailbox *m = world_box(w, "INBOX");
		struct view *v = world_view(w, m);
		for (int i = 0; i < 8; i++)
			world_append(w, m, "x");
		(void)world_sync(w, v, true);
		uint32_t first = view_last_uid(v) - 7, exists = view_exists(v);
		uint32_t recent = view_recent(v);
		AUTO_BUF(frozen, 0);
		struct view *other = world_view(w, m);
		expunge_uids(w, other, first + 1, first + 2);
		(void)world_sync(w, v, false); /* withheld */
		struct mail mail;
		assert_true(view_get_uid(other, first + 5, &mail));
		world_flags(w, other, mail.seq, mail.seq, FLAGS_ADD, MAIL_FLAGGED);
		expunge_uids(w, other, first + 7, first + 7);
		world_append(w, m, "x");
		assert_int_equal(view_exists(v), exists);
		view_freeze(v, &frozen);
		uint64_t modseq = view_highest_modseq(v);
		view_close(v);
		view_close(other);
		mailbox_unref(m);
		world_reopen(w, how);
		struct view *again = world_thaw(w, buf_str(&frozen));
		v = world_thaw(w, buf_str(&frozen));
		view_close(again);
		m = view_mailbox(v);
		assert_int_equal(view_exists(v), exists);
		assert_int_equal(view_recent(v), recent);
		assert_int_equal(view_highest_modseq(v), modseq);
		for (uint32_t i = 0; i < 8; i++) {
			assert_true(view_get(v, exists - 7 + i, &mail));
			assert_int_equal(mail.uid, first + i);
			assert_int_equal(mail.is_expunged, i == 1 || i == 2 || i == 7);
		}
		struct view_changes c = world_sync(w, v, true);
		assert_int_equal(c.expunged_count, 3);
		assert_int_equal(c.expunged_uids[0], first + 7);
		assert_int_equal(c.expunged_uids[1], first + 2);
		assert_int_equal(c.expunged_seqs[1], exists - 5);
		assert_int_equal(c.exists, exists - 2);
		if (how != WORLD_CRASH_DROP) { /* else flags that were not journalled are lost */
			assert_int_equal(c.changed_count, 1);
			assert_int_equal(c.changed_seqs[0], exists - 4);
		}
		assert_ok(mailbox_verify(&w->op, m));
		view_close(v);
	}
}

static void a_frozen_view_is_checked(struct world *w)
{
	struct mailbox *m = world_box(w, "Sent");
	world_append(w, m, "x");
	struct view *v = world_view(w, m), *other;
	AUTO_BUF(frozen, 0);
	view_freeze(v, &frozen);
	for (size_t n = 0; n < frozen.n; n++)
		assert_err(view_thaw(&w->op, w->user, (struct str){ frozen.p, n }, &other),
			ERR_CORRUPT);
	for (size_t i = 0; i < frozen.n * 8; i++) {
		struct buf copy = { 0 };
		buf_put(&copy, buf_str(&frozen));
		copy.p[i / 8] = (char)(copy.p[i / 8] ^ 1 << i % 8);
		if (view_thaw(&w->op, w->user, buf_str(&copy), &other) == ERR_NONE)
			view_close(other);
		op_forgive(&w->op);
		buf_done(&copy);
	}
	assert_int_equal(view_exists(v), 1);
	view_close(v);
	mailbox_unref(m);
	/* The mailbox may have another name by now; it may be gone. */
	assert_ok(tree_rename(&w->op, w->user, STR("Sent"), STR("Away")));
	v = world_thaw(w, buf_str(&frozen));
	assert_int_equal(view_exists(v), 1);
	view_close(v);
	assert_ok(tree_remove(&w->op, w->user, STR("Away")));
	assert_err(view_thaw(&w->op, w->user, buf_str(&frozen), &other), ERR_NOT_FOUND);
}

SCENARIO(a_frozen_view_goes_on)
SCENARIO(a_frozen_view_is_checked)
SCENARIO(expunges_are_told_to_who_was_away)
SCENARIO(withheld_expunges_hold_the_modseq_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_old_log_does_not_stand_for_another_hosts_flags),
		cmocka_unit_test(test_flags_that_wait_are_above_what_a_head_says),
		cmocka_unit_test(test_flags_that_were_given_up_do_not_come_back),
		cmocka_unit_test(test_a_frozen_view_goes_on),
		cmocka_unit_test(test_a_frozen_view_is_checked),
		cmocka_unit_test(test_expunges_are_told_to_who_was_away),
		cmocka_unit_test(test_withheld_expunges_hold_the_modseq_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
