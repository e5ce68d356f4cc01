/* SPDX-License-Identifier: Apache-2.0 */
/* The wall clock is set back, or was far ahead, between two processes: what users do later still counts
 * as later, and nothing of the journal is passed over. */
#include "store/scenario_test.h"

#define AN_HOUR (3600 * US_PER_SEC)

static unsigned flags_of(struct mailbox *m, uint32_t uid)
{
	uint32_t at;
	assert_true(index_find(m->index, uid, &at));
	return index_hot(m->index, at)->flags;
}

static void set_seen(struct world *w, struct mailbox *m, enum flags_change how)
{
	struct view *v = world_view(w, m);
	world_flags(w, v, 1, view_exists(v), how, MAIL_SEEN);
	view_close(v);
}

static void later_is_later(void *arg)
{
	enum world_end how = *(const enum world_end *)arg;
	struct world *w = world_open(false);
	struct mailbox *m = world_box(w, "INBOX");
	struct tree_entry entry;
	world_append(w, m, "x");
	set_seen(w, m, FLAGS_ADD);
	assert_int_equal(flags_of(m, 1), MAIL_SEEN);
	mailbox_unref(m);
	assert_ok(task_sleep(&w->op, 5 * US_PER_SEC));
	assert_ok(tree_create(&w->op, w->user, STR("old"), STR("")));
	assert_ok(tree_subscribe(&w->op, w->user, STR("old"), true));
	clock_step_wall(-3 * AN_HOUR);
	world_reopen(w, how);
	m = world_box(w, "INBOX");
	set_seen(w, m, FLAGS_REMOVE);
	assert_int_equal(flags_of(m, 1), 0);
	assert_ok(tree_rename(&w->op, w->user, STR("old"), STR("new")));
	assert_ok(tree_subscribe(&w->op, w->user, STR("old"), false));
	assert_ok(tree_lookup(&w->op, w->user, STR("new"), &entry));
	assert_err(tree_lookup(&w->op, w->user, STR("old"), &entry), ERR_NOT_FOUND);
	assert_ok(mailbox_verify(&w->op, m));
	mailbox_unref(m);
	world_reopen(w, how);
	assert_ok(tree_lookup(&w->op, w->user, STR("new"), &entry));
	m = world_box(w, "INBOX");
	assert_int_equal(flags_of(m, 1), 0);
	mailbox_unref(m);
	world_close(w);
}

static void a_clock_that_was_set_back_undoes_nothing(void **state)
{
	(void)state;
	static const enum world_end ends[] = { WORLD_STOP, WORLD_CRASH, WORLD_CRASH_DROP };
	for (size_t i = 0; i < ARRAY_COUNT(ends); i++)
		world_in_memory(later_is_later, (void *)(uintptr_t)&ends[i]);
}

/* A snapshot of before, the log lost with the power: the tail begins where the snapshot ends. */
static void the_tail_is_whole(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	world_append(w, m, "x");
	assert_ok(mailbox_write_begin(&w->op, m));
	assert_ok(local_rewrite(&w->op, m));
	mailbox_write_end(m);
	mailbox_unref(m);
	clock_step_wall(-3 * AN_HOUR);
	world_reopen(w, WORLD_STOP);
	m = world_box(w, "INBOX");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(world_append(w, m, "y"), i + 2);
		assert_ok(task_sleep(&w->op, AN_HOUR));
	}
	AUTO_BUF(path, 0);
	buf_putf(&path, "%s/log%c", m->local.dir, '\0');
	mailbox_unref(m);
	world_crash(w);
	assert_int_equal(unlink(path.p), 0);
	world_open_store(w);
	world_assert_inbox(w, 4);
}
MEMORY_SCENARIO(the_tail_is_whole)

/* Set while a change waits that found the clock right: flags in mode async are told without a row, so whoever
 * comes next must be able to go above their modseq. Nor do stamps follow. */
static void nothing_follows_a_clock_that_was_set(struct world *w)
{
	uint64_t modseq = 0;
	struct mailbox *m = world_box(w, "INBOX");
	world_append(w, m, "x");
	uint64_t restart = modseq_restart(index_modseq(m->index), 0);
	assert_ok(mailbox_write_begin(&w->op, m));
	clock_step_wall(AN_HOUR);
	assert_true(mailbox_next_modseq(m, &modseq) < restart);
	store_stamp_changes(w->store, NULL, 0);
	clock_step_wall(-AN_HOUR);
	mailbox_write_end(m);
	assert_true(w->store->stamp_us < now_wall_us() + 60 * US_PER_SEC);
	mailbox_unref(m);
}
MEMORY_SCENARIO(nothing_follows_a_clock_that_was_set)

/* A clock somewhat ahead gave the stamp of a flag that only the local log has: the row that it becomes, by a clock
 * that is right, says so to hosts who know nothing else. */
static void what_a_fast_clock_left_is_followed(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	world_append(w, m, "x");
	clock_step_wall(400 * US_PER_MS);
	w->store->settings.flags_journal = STORE_FLAGS_ASYNC;
	set_seen(w, m, FLAGS_ADD);
	mailbox_unref(m);
	world_crash(w);
	clock_step_wall(-400 * US_PER_MS);
	world_open_store(w);
	m = world_box(w, "INBOX");
	assert_int_equal(flags_of(m, 1), MAIL_SEEN);
	mailbox_unref(m);
	world_reopen(w, WORLD_CRASH_DROP);
	m = world_box(w, "INBOX");
	set_seen(w, m, FLAGS_REMOVE);
	assert_int_equal(flags_of(m, 1), 0);
	mailbox_unref(m);
}
MEMORY_SCENARIO(what_a_fast_clock_left_is_followed)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_clock_that_was_set_back_undoes_nothing),
		cmocka_unit_test(test_the_tail_is_whole),
		cmocka_unit_test(test_nothing_follows_a_clock_that_was_set),
		cmocka_unit_test(test_what_a_fast_clock_left_is_followed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
