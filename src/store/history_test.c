/* SPDX-License-Identifier: Apache-2.0 */
/* What a client that was away is told: HIGHESTMODSEQ and VANISHED (EARLIER). */
#include "store/world_test.h"

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

SCENARIO(expunges_are_told_to_who_was_away)
SCENARIO(withheld_expunges_hold_the_modseq_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expunges_are_told_to_who_was_away),
		cmocka_unit_test(test_withheld_expunges_hold_the_modseq_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
