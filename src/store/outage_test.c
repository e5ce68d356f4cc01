/* SPDX-License-Identifier: Apache-2.0 */
/* The catalog is away for minutes, or our clock is wrong: what is known can be read, nothing is saved in
 * doubt, memory stays bounded, and everything goes on by itself. */
#include <signal.h>
#include <sys/resource.h>

#include "store/scenario_test.h"

#define MINUTES 60

static const struct catalog_fault_plan down = { .fail_at = 1, .fail_from_there = true };
static const struct catalog_fault_plan down_late = {
	.fail_at = 1, .fail_from_there = true, .fail_late = true
};
static const struct catalog_fault_plan up;

static size_t count_unsettled(struct world *w)
{
	size_t count = 0;
	for (struct list *at = w->user->unsettled.next; at != &w->user->unsettled; at = at->next)
		count++;
	return count;
}

static void refuse_login(struct world *w, const char *name)
{
	struct user *u;
	assert_err(user_open(&w->op, w->store, str_from(name), &u), ERR_UNAVAILABLE);
}

static void stay_away(void *arg)
{
	struct world *w = world_open(false);
	const struct catalog_fault_plan *plan = arg;
	struct mailbox *m = world_box(w, "INBOX");
	uint32_t uid;
	world_append(w, m, "one");
	struct view *v = world_view(w, m);
	catalog_fault_set(w->catalog, plan);
	for (int i = 0; i < 5; i++) {
		struct mail mail;
		assert_err(world_try_append(w, m, "doubtful", &uid), ERR_UNAVAILABLE);
		assert_true(view_get(v, 1, &mail) && !view_get(v, 2, &mail));
		world_assert_body(w, v, 1, "one");
		refuse_login(w, "u2@example.test");
		assert_true(count_unsettled(w) == 1);
		assert_ok(task_sleep(&w->op, MINUTES * US_PER_SEC));
	}
	catalog_fault_set(w->catalog, &up);
	uid = world_append(w, m, "two");
	assert_int_equal(uid, 3); /* the doubtful one's is burned */
	assert_int_equal(count_unsettled(w), 0);
	if (plan->fail_late && world_is_loose)
		assert_ok(catalog_fault_replay(&w->op, w->catalog));
	(void)world_sync(w, v, true);
	assert_int_equal(view_exists(v), 2);
	world_assert_body(w, v, 2, "two");
	assert_ok(mailbox_verify(&w->op, m));
	view_close(v);
	mailbox_unref(m);
	struct user *other;
	assert_ok(user_open(&w->op, w->store, STR("u2@example.test"), &other));
	user_unref(other);
	world_reopen(w, WORLD_CRASH_DROP);
	world_assert_inbox(w, 2);
	world_close(w);
}

static void minutes_without_a_catalog(void **state)
{
	(void)state;
	world_in_memory(stay_away, (void *)(uintptr_t)&down);
	world_in_memory(stay_away, (void *)(uintptr_t)&down_late);
}

static void come_back(void *arg)
{
	struct world *w = arg;
	assert_ok(task_sleep(&w->op, 4 * US_PER_SEC));
	catalog_fault_set(w->catalog, &up);
}

/* Another host may serve him next: it has nothing but the catalog. */
static void a_clean_end_waits_for_the_catalog(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	world_append(w, m, "one");
	struct view *v = world_view(w, m);
	world_flags(w, v, 1, 1, FLAGS_ADD, MAIL_SEEN);
	view_close(v);
	mailbox_unref(m);
	catalog_fault_set(w->catalog, &down);
	task_start("coming back", come_back, w);
	w->store->is_closing = true;
	world_stop(w);
	assert_ok(file_remove_tree(&w->op, w->settings.local_dir.p));
	world_open_store(w);
	m = world_box(w, "INBOX");
	assert_int_equal(index_hot(m->index, 0)->flags, MAIL_SEEN);
	mailbox_unref(m);
}
MEMORY_SCENARIO(a_clean_end_waits_for_the_catalog)

/* Whoever opened it would see mail go that was acknowledged since. */
static void a_delete_in_doubt_shuts_the_mailbox(struct world *w)
{
	struct mailbox *m;
	assert_ok(tree_create(&w->op, w->user, STR("b"), STR("")));
	m = world_box(w, "b");
	struct view *v = world_view(w, m);
	world_append(w, m, "one");
	catalog_fault_set(w->catalog, &down);
	assert_err(tree_remove(&w->op, w->user, STR("b")), ERR_UNAVAILABLE);
	assert_true(m->is_removed);
	view_close(v);
	mailbox_unref(m);
	assert_err(mailbox_open(&w->op, w->user, STR("b"), &m), ERR_NOT_FOUND);
	catalog_fault_set(w->catalog, &up);
	m = world_box(w, "INBOX");
	world_append(w, m, "two"); /* settles it */
	mailbox_unref(m);
	assert_err(mailbox_open(&w->op, w->user, STR("b"), &m), ERR_NOT_FOUND);
	world_reopen(w, WORLD_CRASH_DROP);
	assert_err(mailbox_open(&w->op, w->user, STR("b"), &m), ERR_NOT_FOUND);
}
MEMORY_SCENARIO(a_delete_in_doubt_shuts_the_mailbox)

/* A user of whom nothing could be read is not a new one. */
static void a_failed_read_makes_nobody_new(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	world_append(w, m, "one");
	mailbox_unref(m);
	for (int64_t at = 1; at < 5; at++) {
		world_crash(w);
		assert_ok(store_open(&w->op, &w->settings, w->objects, w->catalog, &w->store));
		assert_ok(task_sleep(&w->op, US_PER_SEC));
		catalog_fault_set(w->catalog,
			&(struct catalog_fault_plan){ .fail_at = at, .fail_from_there = true });
		enum err e = user_open(&w->op, w->store, STR("u1@example.test"), &w->user);
		if (e == ERR_NONE) {
			e = mailbox_open(&w->op, w->user, STR("INBOX"), &m);
			assert_err(e, ERR_UNAVAILABLE);
		} else {
			assert_true(e == ERR_UNAVAILABLE);
			w->user = NULL;
		}
		catalog_fault_set(w->catalog, &up);
		if (!w->user)
			assert_ok(user_open(&w->op, w->store, STR("u1@example.test"), &w->user));
		world_assert_inbox(w, 1);
	}
}
MEMORY_SCENARIO(a_failed_read_makes_nobody_new)

struct names {
	uint64_t expunge_ms;
	size_t appends;
};

static enum err see_row(struct op *op, const struct catalog_row *row, void *arg)
{
	struct names *names = arg;
	struct row_op_value v;
	(void)op;
	names->appends += row->kind == CATALOG_APPEND;
	if (row->kind == CATALOG_OP && row_op_decode(row->value, &v) == ERR_NONE &&
		v.op == ROW_EXPUNGE)
		names->expunge_ms = name_ms(row->name);
	return ERR_NONE;
}

/* An expunge that had to wait for minutes is written under a new name. */
static void a_stale_name_is_given_up(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	world_append(w, m, "one");
	world_append(w, m, "two");
	struct view *v = world_view(w, m);
	w->store->settings.flags_journal = STORE_FLAGS_SYNC;
	world_flags(w, v, 1, 1, FLAGS_ADD, MAIL_DELETED);
	catalog_fault_set(w->catalog, &down);
	assert_err(view_expunge(&w->op, v, NULL), ERR_UNAVAILABLE);
	assert_ok(task_sleep(&w->op, 3 * MINUTES * US_PER_SEC));
	catalog_fault_set(w->catalog, &up);
	assert_ok(user_settle(&w->op, w->user));
	struct names names = { 0 };
	assert_ok(catalog_read_rows(&w->op, w->catalog, w->user->name, m->guid, 0, 1,
		(struct catalog_name){ { 0 } }, see_row, &names));
	assert_false(name_is_stale(name_at_ms((int64_t)names.expunge_ms), now_wall_us()));
	assert_int_equal(names.appends, 1);
	assert_int_equal(world_sync(w, v, true).expunged_count, 1);
	assert_ok(mailbox_verify(&w->op, m));
	view_close(v);
	mailbox_unref(m);
}
MEMORY_SCENARIO(a_stale_name_is_given_up)

static void set_skew(struct world *w, int64_t skew_us)
{
	catalog_fault_set(w->catalog, &(struct catalog_fault_plan){ .clock_skew_us = skew_us });
}

static void be_off(void *arg)
{
	int64_t skew_us = *(const int64_t *)arg;
	struct world *w = world_open(false);
	struct mailbox *m = world_box(w, "INBOX");
	uint32_t uid;
	world_append(w, m, "one");
	set_skew(w, skew_us / 2);
	assert_ok(task_sleep(&w->op, 6 * MINUTES * US_PER_SEC));
	world_append(w, m, "two");
	set_skew(w, skew_us);
	assert_ok(task_sleep(&w->op, 6 * MINUTES * US_PER_SEC));
	assert_err(world_try_append(w, m, "x", &uid), ERR_UNAVAILABLE);
	assert_true(str_find(str_from(w->op.failure.text), STR("clock")) >= 0);
	struct view *v = world_view(w, m);
	world_assert_body(w, v, 1, "one");
	view_close(v);
	mailbox_unref(m);
	/* Who starts with a wrong clock writes nothing at all. */
	world_crash(w);
	assert_ok(store_open(&w->op, &w->settings, w->objects, w->catalog, &w->store));
	refuse_login(w, "u3@example.test");
	set_skew(w, 0);
	assert_ok(task_sleep(&w->op, MINUTES * US_PER_SEC));
	assert_ok(user_open(&w->op, w->store, STR("u1@example.test"), &w->user));
	m = world_box(w, "INBOX");
	/* A takeover leaves out what the dead one may have given. */
	uint32_t third = world_append(w, m, "three");
	assert_true(third == 3 || (!catalog_is_atomic(w->catalog) && third == 1001));
	mailbox_unref(m);
	world_close(w);
}

static void a_wrong_clock_writes_nothing(void **state)
{
	static const int64_t skews_us[] = { 3 * US_PER_SEC, -3 * US_PER_SEC };
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(skews_us); i++)
		world_in_memory(be_off, (void *)(uintptr_t)&skews_us[i]);
}

/* Between two looks at the catalog's clock ours is set an hour wrong: what is written then would have
 * names that the tails of other hosts pass over. */
static void be_set(void *arg)
{
	int64_t step_us = *(const int64_t *)arg;
	struct world *w = world_open(false);
	struct mailbox *m = world_box(w, "INBOX");
	uint32_t uid;
	world_append(w, m, "one");
	clock_step_wall(step_us);
	set_skew(w, -step_us);
	assert_err(world_try_append(w, m, "x", &uid), ERR_UNAVAILABLE);
	assert_true(str_find(str_from(w->op.failure.text), STR("clock")) >= 0);
	assert_err(tree_create(&w->op, w->user, STR("x"), STR("")), ERR_UNAVAILABLE);
	clock_step_wall(-step_us);
	set_skew(w, 0);
	assert_int_equal(world_append(w, m, "two"), 2);
	assert_ok(mailbox_verify(&w->op, m));
	mailbox_unref(m);
	world_close(w);
}

static void a_clock_that_is_set_is_noticed_at_once(void **state)
{
	static const int64_t steps_us[] = { 3600 * US_PER_SEC, -3600 * US_PER_SEC };
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(steps_us); i++)
		world_in_memory(be_set, (void *)(uintptr_t)&steps_us[i]);
}

/* The void of a batch that began with our open head begins with it too: a mailbox with rows of a writer
 * has his head, or nobody would take over from him. */
static void a_void_begins_with_the_claim(struct world *w)
{
	struct mailbox *source = world_box(w, "INBOX"), *m = world_box(w, "Sent");
	struct range_set one = world_set(1, 1);
	struct copy_result result;
	struct catalog_head *heads;
	size_t count, open = 0;
	uint32_t writer;
	world_append(w, source, "x");
	catalog_fault_set(w->catalog, &down);
	assert_err(mailbox_transfer(&w->op, source, m, &one, false, &result), ERR_UNAVAILABLE);
	range_set_done(&one);
	catalog_fault_set(w->catalog, &up);
	assert_ok(user_settle(&w->op, w->user));
	assert_ok(catalog_read_heads(&w->op, w->catalog, w->user->name, &heads, &count));
	for (size_t i = 0; i < count; i++)
		open += memcmp(&heads[i].mailbox, &m->guid, sizeof(m->guid)) == 0 &&
			head_is_writer_key(heads[i].key, &writer) && writer == w->user->writer;
	assert_int_equal(open, 1);
	mailbox_unref(m);
	mailbox_unref(source);
}
MEMORY_SCENARIO(a_void_begins_with_the_claim)

/* A move was refused, and its user only looks from then on, or is gone: what became of it shows soon. */
static void doubt_ends_though_nobody_writes(struct world *w)
{
	struct mailbox *m = world_box(w, "Sent");
	world_append(w, m, "so that it has UIDs");
	for (uint32_t i = 1; i <= 2; i++) {
		struct range_set one = world_set(i, i);
		struct copy_result result;
		struct mailbox *source = world_box(w, "INBOX");
		world_append(w, source, "x");
		catalog_fault_set(w->catalog, &down);
		assert_err(
			mailbox_transfer(&w->op, source, m, &one, true, &result), ERR_UNAVAILABLE);
		range_set_done(&one);
		mailbox_unref(source);
		if (i == 2) {
			mailbox_unref(m);
			user_unref(w->user);
		}
		assert_ok(task_sleep(&w->op, 3 * US_PER_SEC));
		assert_int_equal(count_unsettled(w), 1);
		catalog_fault_set(w->catalog, &up);
		assert_ok(task_sleep(&w->op, 5 * US_PER_SEC));
		assert_int_equal(count_unsettled(w), 0);
	}
	(void)user_ref(w->user);
	m = world_box(w, "Sent");
	assert_int_equal(index_counters(m->index).messages, 3);
	mailbox_unref(m);
}
MEMORY_SCENARIO(doubt_ends_though_nobody_writes)

/* ---- what an earlier process left ---- */

/* Flags that were told wait in the log of a host that died. It comes back, takes the mailbox over, and dies before
 * they are in the journal, after any of its writes; then its files are lost. Nobody who was told of the flags
 * goes on as if they were there. */
static void take_over_and_die(struct world *w, int64_t writes)
{
	struct mailbox *m;
	assert_ok(store_open(&w->op, &w->settings, w->objects, w->catalog, &w->store));
	catalog_fault_set(w->catalog,
		&(struct catalog_fault_plan){
			.fail_at = writes + 1, .fail_from_there = true, .spares_reads = true });
	if (user_open(&w->op, w->store, STR("u1@example.test"), &w->user) == ERR_NONE &&
		mailbox_open(&w->op, w->user, STR("INBOX"), &m) == ERR_NONE)
		mailbox_unref(m);
	op_forgive(&w->op);
	world_crash(w);
	catalog_fault_set(w->catalog, &up);
}

static void flags_left_twice_leave_a_hole(struct world *w)
{
	for (int64_t writes = 0; writes < 8; writes++) {
		struct mailbox *m = world_box(w, "INBOX");
		uint32_t uid = world_append(w, m, "x"), at;
		struct view *v = world_view(w, m);
		world_flags(w, v, view_exists(v), view_exists(v), FLAGS_ADD, MAIL_FLAGGED);
		uint64_t told = index_modseq(m->index);
		view_close(v);
		mailbox_unref(m);
		world_crash(w);
		take_over_and_die(w, writes);
		assert_ok(file_remove_tree(&w->op, w->settings.local_dir.p));
		world_open_store(w);
		m = world_box(w, "INBOX");
		assert_true(index_find(m->index, uid, &at));
		assert_true(index_hot(m->index, at)->flags & MAIL_FLAGGED ||
			    index_settle_modseq(m->index, told) == 0);
		mailbox_unref(m);
	}
}
MEMORY_SCENARIO(flags_left_twice_leave_a_hole)

static void fill_disk(bool is_full)
{
	static struct rlimit before;
	if (is_full) {
		(void)signal(SIGXFSZ, SIG_IGN);
		assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	}
	/* What a file has can be written anew, as on a disk. */
	struct rlimit limit = { is_full ? LOG_HEADER_BYTES : before.rlim_cur, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A process that can write neither its files nor, after a while, the catalog loses nothing that the disk had. */
static void a_full_disk_keeps_flags_that_wait(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	world_append(w, m, "one");
	struct view *v = world_view(w, m);
	world_flags(w, v, 1, 1, FLAGS_ADD, MAIL_SEEN);
	view_close(v);
	mailbox_unref(m);
	world_reopen(w, WORLD_CRASH);
	struct catalog_fault_plan later = { .fail_from_there = true, .spares_reads = true };
	later.fail_at = catalog_is_atomic(w->catalog) ? 2 : 3; /* behind the floor row */
	catalog_fault_set(w->catalog, &later);
	fill_disk(true);
	assert_err(mailbox_open(&w->op, w->user, STR("INBOX"), &m), ERR_UNAVAILABLE);
	assert_true(catalog_fault_requests(w->catalog) >= later.fail_at);
	fill_disk(false);
	catalog_fault_set(w->catalog, &up);
	for (int i = 0; i < 2; i++) {
		world_reopen(w, WORLD_CRASH);
		m = world_box(w, "INBOX");
		assert_int_equal(index_counters(m->index).unseen, 0);
		mailbox_unref(m);
	}
}
MEMORY_SCENARIO(a_full_disk_keeps_flags_that_wait)

/* A few requests get through each time, never as many as the change needs: it is done in the end. */
static void expunge_little_by_little(void *arg)
{
	(void)arg;
	struct world *w = world_open(false);
	struct mailbox *m = world_box(w, "INBOX");
	for (int i = 0; i < 60; i++)
		world_append(w, m, "one of many");
	struct view *v = world_view(w, m);
	world_flags(w, v, 1, 59, FLAGS_ADD, MAIL_DELETED);
	const struct catalog_fault_plan few = {
		.fail_at = 8, .fail_from_there = true, .spares_reads = true
	};
	catalog_fault_set(w->catalog, &few);
	enum err e = view_expunge(&w->op, v, NULL);
	assert_int_equal(e, world_is_loose ? ERR_UNAVAILABLE : ERR_NONE);
	for (int i = 0; i < 20 && e != ERR_NONE; i++) {
		op_forgive(&w->op);
		assert_int_equal(count_unsettled(w), 1);
		catalog_fault_set(w->catalog, &few);
		e = user_settle(&w->op, w->user);
	}
	assert_ok(e);
	catalog_fault_set(w->catalog, &up);
	assert_int_equal(index_counters(m->index).messages, 1);
	assert_ok(mailbox_verify(&w->op, m));
	view_close(v);
	mailbox_unref(m);
	world_reopen(w, WORLD_CRASH_DROP);
	world_assert_inbox(w, 1);
	world_close(w);
}

static void a_large_change_ends_on_a_bad_way(void **state)
{
	(void)state;
	world_in_memory(expunge_little_by_little, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_clean_end_waits_for_the_catalog),
		cmocka_unit_test(minutes_without_a_catalog),
		cmocka_unit_test(test_a_failed_read_makes_nobody_new),
		cmocka_unit_test(test_a_delete_in_doubt_shuts_the_mailbox),
		cmocka_unit_test(test_a_stale_name_is_given_up),
		cmocka_unit_test(a_wrong_clock_writes_nothing),
		cmocka_unit_test(a_clock_that_is_set_is_noticed_at_once),
		cmocka_unit_test(test_a_void_begins_with_the_claim),
		cmocka_unit_test(test_doubt_ends_though_nobody_writes),
		cmocka_unit_test(test_flags_left_twice_leave_a_hole),
		cmocka_unit_test(test_a_full_disk_keeps_flags_that_wait),
		cmocka_unit_test(a_large_change_ends_on_a_bad_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
