/* SPDX-License-Identifier: Apache-2.0 */
/* What happens while something else waits: openings that are left, users and mailboxes that go. The
 * catalog takes a second for each request, or does not answer; the clock is virtual. */
#include "store/scenario_test.h"

/* Who opens a mailbox may leave in the middle, after the process has put its name on it: the next one
 * opens it from all that is known, not as a new one. */
static void leave_and_come_again(void *arg)
{
	struct world *w = world_open(false);
	const struct catalog_fault_plan slow = { .delay_us = US_PER_SEC };
	const int64_t patience_us = *(const int64_t *)arg;
	struct mailbox *m = world_box(w, "INBOX");
	for (int i = 0; i < 3; i++)
		world_append(w, m, "x");
	mailbox_unref(m);
	world_reopen(w, WORLD_CRASH_DROP);
	catalog_fault_set(w->catalog, &slow);
	struct op hasty;
	op_init(&hasty, &w->arena, NULL, now_us() + patience_us);
	assert_err(mailbox_open(&hasty, w->user, STR("INBOX"), &m), ERR_TIMEOUT);
	m = world_box(w, "INBOX");
	assert_int_equal(index_counters(m->index).messages, 3);
	assert_true(world_append(w, m, "new") > 3);
	assert_ok(mailbox_verify(&w->op, m));
	mailbox_unref(m);
	world_close(w);
}

/* A change that may still be carried out is not forgotten with its user, however idle he is. */
static void unsettled_users_stay(struct world *w)
{
	const struct catalog_fault_plan down = { .fail_at = 1, .fail_from_there = true };
	struct mailbox *m = world_box(w, "INBOX");
	uint32_t uid;
	world_append(w, m, "x");
	catalog_fault_set(w->catalog, &down);
	assert_err(world_try_append(w, m, "y", &uid), ERR_UNAVAILABLE);
	mailbox_unref(m);
	user_unref(w->user);
	assert_ok(task_sleep(&w->op, 600 * US_PER_SEC));
	assert_int_equal(w->store->users.count, 1);
	catalog_fault_set(w->catalog, &(const struct catalog_fault_plan){ 0 });
	assert_ok(user_open(&w->op, w->store, STR("u1@example.test"), &w->user));
	m = world_box(w, "INBOX");
	assert_int_equal(world_append(w, m, "z"), 3); /* 2 is burned */
	mailbox_unref(m);
	user_unref(w->user);
	w->user = NULL;
	assert_ok(task_sleep(&w->op, 600 * US_PER_SEC));
	assert_int_equal(w->store->users.count, 0);
}
MEMORY_SCENARIO(unsettled_users_stay)

static void remove_sent(void *arg)
{
	struct world *w = arg;
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	assert_ok(tree_remove(&op, w->user, STR("Sent")));
}

/* A mail is acknowledged only in a mailbox that is there: what comes behind the removal would be purged
 * with it. */
static void no_mail_goes_with_a_mailbox(struct world *w)
{
	const struct catalog_fault_plan slow = { .delay_us = US_PER_SEC };
	catalog_fault_set(w->catalog, &slow);
	task_start("remover", remove_sent, w);
	assert_ok(task_sleep(&w->op, US_PER_SEC / 2));
	struct mailbox *m;
	uint32_t uid;
	enum err e = mailbox_open(&w->op, w->user, STR("Sent"), &m);
	if (e == ERR_NONE) {
		e = world_try_append(w, m, "x", &uid);
		mailbox_unref(m);
	}
	assert_int_equal(e, ERR_NOT_FOUND);
	assert_ok(task_sleep(&w->op, 5 * US_PER_SEC));
	assert_err(mailbox_open(&w->op, w->user, STR("Sent"), &m), ERR_NOT_FOUND);
}
MEMORY_SCENARIO(no_mail_goes_with_a_mailbox)

static void open_hastily(void *arg)
{
	struct world *w = arg;
	struct user *u;
	struct mailbox *m;
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, NULL, now_us() + US_PER_SEC / 4);
	assert_err(user_open(&op, w->store, STR("u1@example.test"), &u), ERR_TIMEOUT);
	op_init(&op, &arena, NULL, TIME_NEVER);
	assert_ok(task_sleep(&op, 10 * US_PER_SEC));
	op_init(&op, &arena, NULL, now_us() + US_PER_SEC / 4);
	assert_err(mailbox_open(&op, w->user, STR("INBOX"), &m), ERR_TIMEOUT);
}

/* That somebody lost his patience is no reason for who came after him. */
static void the_second_opens_when_the_first_left(struct world *w)
{
	const struct catalog_fault_plan slow = { .delay_us = US_PER_SEC };
	struct mailbox *m = world_box(w, "INBOX");
	world_append(w, m, "x");
	mailbox_unref(m);
	world_crash(w);
	assert_ok(store_open(&w->op, &w->settings, w->objects, w->catalog, &w->store));
	catalog_fault_set(w->catalog, &slow);
	int64_t start_us = now_us();
	task_start("hasty", open_hastily, w);
	assert_ok(task_sleep(&w->op, US_PER_SEC / 8));
	assert_ok(user_open(&w->op, w->store, STR("u1@example.test"), &w->user));
	while (now_us() < start_us + 83 * US_PER_SEC / 8) /* the other one has begun at 10.25 s */
		assert_ok(task_sleep(&w->op, US_PER_SEC / 8));
	world_assert_inbox(w, 1);
}
MEMORY_SCENARIO(the_second_opens_when_the_first_left)

/* A journal row of flags of unknown fate: no change is told before it is settled, and the log must not
 * take a later row for it. */
static void flags_are_journalled_in_order(struct world *w)
{
	const struct catalog_fault_plan down = { .fail_at = 1, .fail_from_there = true };
	struct mailbox *m = world_box(w, "INBOX");
	world_append(w, m, "x");
	world_append(w, m, "y");
	struct view *v = world_view(w, m);
	world_flags(w, v, 1, 1, FLAGS_ADD, MAIL_SEEN);
	catalog_fault_set(w->catalog, &down);
	while (!m->is_journalling)
		assert_ok(task_sleep(&w->op, 10 * US_PER_MS));
	assert_err(world_try_flags(w, v, 2, 2, FLAGS_ADD, MAIL_FLAGGED), ERR_UNAVAILABLE);
	assert_false(list_is_empty(&w->user->unsettled));
	catalog_fault_set(w->catalog, &(const struct catalog_fault_plan){ 0 });
	world_flags(w, v, 2, 2, FLAGS_ADD, MAIL_FLAGGED);
	while (m->pending.n > 0 || m->is_journalling)
		assert_ok(task_sleep(&w->op, US_PER_MS));
	view_close(v);
	mailbox_unref(m);
	world_reopen(w, WORLD_CRASH);
	m = world_box(w, "INBOX");
	assert_int_equal(index_hot(m->index, 0)->flags, MAIL_SEEN);
	assert_int_equal(index_hot(m->index, 1)->flags, MAIL_FLAGGED);
	assert_ok(mailbox_verify(&w->op, m));
	mailbox_unref(m);
}
MEMORY_SCENARIO(flags_are_journalled_in_order)

static void an_opening_may_be_left(void **state)
{
	(void)state;
	/* While the tail is read, and while the floor is written: one second each. */
	for (int64_t patience_us = US_PER_SEC / 2; patience_us < 3 * US_PER_SEC / 2 + 1;
		patience_us += US_PER_SEC)
		world_in_memory(leave_and_come_again, &patience_us);
}

/* ---- what a dead writer left lands while its mailboxes are opened one after the other ---- */

static size_t count_mails(struct world *w, const char *name)
{
	struct mailbox *m = world_box(w, name);
	size_t count = index_counters(m->index).messages;
	assert_ok(mailbox_verify(&w->op, m));
	mailbox_unref(m);
	return count;
}

/* True if the fault was met. The rest of a move lands between the openings of its two mailboxes, in the
 * order that is asked for: its mails are in one of them. */
static bool land_between(int64_t at, const char *first, const char *second)
{
	struct world *w = world_open(false);
	struct mailbox *m = world_box(w, "INBOX"), *sent = world_box(w, "Sent");
	struct copy_result result;
	world_append(w, m, "one");
	world_append(w, m, "two");
	struct view *v = world_view(w, m);
	struct range_set both = world_set(1, 2);
	catalog_fault_set(
		w->catalog, &(struct catalog_fault_plan){
				    .fail_at = at, .fail_from_there = true, .fail_late = true });
	bool was_met = view_copy(&w->op, v, &both, sent, true, &result) != ERR_NONE;
	range_set_done(&both);
	view_close(v);
	mailbox_unref(sent);
	mailbox_unref(m);
	world_crash(w);
	catalog_fault_set(w->catalog, &(struct catalog_fault_plan){ 0 });
	world_open_store(w);
	size_t count = count_mails(w, first);
	assert_ok(catalog_fault_replay(&w->op, w->catalog));
	/* A commit that lands late may count: then the mails are in the target, once that is looked into. */
	size_t other = count_mails(w, second);
	count = count_mails(w, first);
	assert_int_equal(count + other, 2);
	for (int i = 0; i < 2; i++) {
		world_reopen(w, i == 0 ? WORLD_CRASH_DROP : WORLD_STOP);
		assert_int_equal(count_mails(w, first), count);
		assert_int_equal(count_mails(w, second), 2 - count);
	}
	world_close(w);
	return was_met;
}

static void land_late(void *arg)
{
	const char *const *boxes = arg;
	int64_t at = 1;
	while (land_between(at, boxes[0], boxes[1]))
		at++;
	assert_true(at > 5);
}

static void a_move_that_lands_between_two_openings_is_one(void **state)
{
	static const char *const orders[][2] = { { "INBOX", "Sent" }, { "Sent", "INBOX" } };
	(void)state;
	world_is_loose = true;
	for (size_t i = 0; i < ARRAY_COUNT(orders); i++)
		test_in_virtual_task(land_late, (void *)(uintptr_t)orders[i]);
	world_is_loose = false;
}

static enum err count_rows(struct op *op, const struct catalog_row *row, void *arg)
{
	(void)op;
	(void)row;
	(*(size_t *)arg)++;
	return ERR_NONE;
}

/* True if the fault was met. */
static bool remove_and_die(int64_t at)
{
	struct world *w = world_open(false);
	struct mailbox *m = world_box(w, "Junk");
	struct catalog_guid guid = m->guid;
	struct tree_entry entry;
	uint64_t deleted;
	size_t rows = 0;
	world_append(w, m, "one");
	mailbox_unref(m);
	w->settings.default_count = 0; /* nobody makes it again */
	catalog_fault_set(
		w->catalog, &(struct catalog_fault_plan){ .fail_at = at, .fail_from_there = true });
	bool was_met = tree_remove(&w->op, w->user, STR("Junk")) != ERR_NONE;
	world_crash(w);
	catalog_fault_set(w->catalog, &(struct catalog_fault_plan){ 0 });
	world_open_store(w);
	bool is_gone = tree_lookup(&w->op, w->user, STR("Junk"), &entry) != ERR_NONE;
	assert_true(is_gone || was_met);
	assert_ok(world_try_collect(w, -US_PER_SEC, &deleted));
	assert_ok(world_try_collect(w, -US_PER_SEC, &deleted));
	assert_ok(catalog_read_rows(&w->op, w->catalog, w->user->name, guid, 0, 1,
		(struct catalog_name){ { 0 } }, count_rows, &rows));
	assert_true(is_gone == (rows == 0));
	world_close(w);
	return was_met;
}

static void remove_at_each(void *arg)
{
	int64_t at = 1;
	(void)arg;
	while (remove_and_die(at))
		at++;
}

static void nothing_stays_of_a_mailbox_whose_remover_died(void **state)
{
	(void)state;
	world_in_memory(remove_at_each, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_opening_may_be_left),
		cmocka_unit_test(test_the_second_opens_when_the_first_left),
		cmocka_unit_test(test_unsettled_users_stay),
		cmocka_unit_test(test_no_mail_goes_with_a_mailbox),
		cmocka_unit_test(test_flags_are_journalled_in_order),
		cmocka_unit_test(a_move_that_lands_between_two_openings_is_one),
		cmocka_unit_test(nothing_stays_of_a_mailbox_whose_remover_died),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
