/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of names that come late: acknowledged by a host that did not know that it was ended, and in doubt
 * when their writer died. Whoever opens the user, all see the same; and what was saved in a mailbox that a late
 * DELETE takes away is in INBOX. */
#include "store/names_test.h"
#include "store/pair_test.h"

static const struct catalog_guid root_scope;

/* Opened, looked at and closed. */
static struct str names_seen_by(struct world *w)
{
	world_open_store(w);
	struct str found = world_names(w);
	world_stop(w);
	return found;
}

static void assert_all_see(struct pair *p, struct str want)
{
	for (int i = 0; i < 3; i++) {
		assert_str(names_seen_by(p->a), want);
		assert_str(names_seen_by(p->b), want);
		assert_ok(task_sleep(&p->a->op, 600 * US_PER_SEC));
	}
	world_open_store(p->a);
}

static void change_all(struct world *w)
{
	assert_ok(tree_create(&w->op, w->user, STR("created"), STR("")));
	assert_ok(tree_rename(&w->op, w->user, STR("old"), STR("new")));
	assert_ok(tree_remove(&w->op, w->user, STR("removed")));
	assert_ok(tree_subscribe(&w->op, w->user, STR("subscribed"), true));
}

#define AFTER_ALL STR("INBOX:5 Junk:1 Sent:5 created:1 new:1 of-b:1 subscribed:5 ")

static void begin(struct world *w)
{
	assert_ok(tree_create(&w->op, w->user, STR("old"), STR("")));
	assert_ok(tree_create(&w->op, w->user, STR("removed"), STR("")));
	assert_ok(tree_create(&w->op, w->user, STR("subscribed"), STR("")));
}

/* `a` was ended and does not know; `b` changes something before or after him, and closes. */
static void acknowledged_unknowing(struct pair *p, bool is_before)
{
	begin(p->a);
	world_open_store(p->b);
	if (is_before)
		change_all(p->a);
	assert_ok(tree_create(&p->b->op, p->b->user, STR("of-b"), STR("")));
	world_stop(p->b);
	if (!is_before)
		change_all(p->a);
	world_crash(p->a);
	assert_all_see(p, AFTER_ALL);
}

static void acknowledged_unknowing_is_there_in(struct pair *p)
{
	acknowledged_unknowing(p, false);
}
PAIR_TEST(acknowledged_unknowing_is_there)

static void also_below_the_cover_in(struct pair *p)
{
	acknowledged_unknowing(p, true);
}
PAIR_TEST(also_below_the_cover)

static void create_many(struct world *w, const char *what, int count)
{
	for (int i = 0; i < count; i++)
		assert_ok(tree_create(&w->op, w->user,
			str_printf(
				&w->arena, "a name so long that the root is large/%s %d", what, i),
			STR("")));
}

/* A root head that is too large to be written at each close is written with it: else the next, who finds the
 * cover that both have, believes the old one. */
static void a_large_root_head_has_it_in(struct pair *p)
{
	struct tree_entry e;
	create_many(p->a, "first", 600);
	world_open_store(p->b);
	assert_ok(tree_create(&p->a->op, p->a->user, STR("late"), STR("")));
	create_many(p->b, "second", 50);
	/* Its head is durable, and then its process stops. */
	struct world *c = world_beside(p->a, "host-c");
	world_open_store(c);
	world_stop(p->b);
	world_crash(p->a);
	struct batch *claim = batch_new(c->user);
	tree_put_open_head(claim, c->user);
	assert_ok(user_write(&c->op, c->user, claim));
	world_crash(c);
	world_open_store(p->a);
	assert_ok(tree_lookup(&p->a->op, p->a->user, STR("late"), &e));
	assert_ok(task_sleep(&p->a->op, STORE_LATE_US(p->a->store) + US_PER_SEC));
	assert_ok(user_refresh(&p->a->op, p->a->user));
	world_stop(p->a);
	for (int i = 0; i < 2; i++) {
		world_open_store(p->b);
		assert_ok(tree_lookup(&p->b->op, p->b->user, STR("late"), &e));
		world_stop(p->b);
	}
	world_end_beside(c);
	world_open_store(p->a);
}
PAIR_TEST(a_large_root_head_has_it)

/* For an hour, while all others go on. */
static void stand_still(struct world *w)
{
	timer_cancel(&w->user->refresh);
	assert_ok(task_sleep(&w->op, 3600 * US_PER_SEC));
}

/* `b` read the heads alone when he opened; what `a` wrote soon after lies far below the name of b's first
 * change, and he finds it when he looks. */
static void by_who_stood_still_since_he_opened_in(struct pair *p)
{
	world_stop(p->a);
	world_open_store(p->b);
	assert_true(root_is_whole(p->b->user));
	world_open_store(p->a);
	assert_ok(tree_create(&p->a->op, p->a->user, STR("of-a"), STR("")));
	stand_still(p->b);
	world_stop(p->a);
	assert_ok(tree_create(&p->b->op, p->b->user, STR("of-b"), STR("")));
	assert_ok(user_refresh(&p->b->op, p->b->user));
	assert_str(world_names(p->b), STR("INBOX:5 Junk:1 Sent:5 of-a:1 of-b:1 "));
	world_stop(p->b);
	assert_all_see(p, STR("INBOX:5 Junk:1 Sent:5 of-a:1 of-b:1 "));
}
PAIR_TEST(by_who_stood_still_since_he_opened)

/* The same of the one who made the user. */
static void by_who_was_the_first_in(struct pair *p)
{
	world_open_store(p->b);
	assert_ok(tree_create(&p->b->op, p->b->user, STR("of-b"), STR("")));
	stand_still(p->a);
	world_stop(p->b);
	assert_ok(tree_create(&p->a->op, p->a->user, STR("of-a"), STR("")));
	assert_ok(user_refresh(&p->a->op, p->a->user));
	assert_str(world_names(p->a), STR("INBOX:5 Junk:1 Sent:5 of-a:1 of-b:1 "));
	world_stop(p->a);
	assert_all_see(p, STR("INBOX:5 Junk:1 Sent:5 of-a:1 of-b:1 "));
}
PAIR_TEST(by_who_was_the_first)

/* The open head of `b` is as old as his opening, what he wrote is not; the root head of `a`, who closes as soon
 * as he goes on, has it. */
static void a_root_head_hides_nothing_of_who_lives_in(struct pair *p)
{
	world_stop(p->a);
	assert_ok(task_sleep(&p->a->op, 24 * 3600 * US_PER_SEC));
	world_open_store(p->b);
	world_open_store(p->a);
	assert_ok(user_refresh(&p->a->op, p->a->user));
	assert_ok(tree_create(&p->b->op, p->b->user, STR("of-b"), STR("")));
	stand_still(p->a);
	assert_ok(tree_create(&p->a->op, p->a->user, STR("of-a"), STR("")));
	world_stop(p->a);
	world_crash(p->b);
	assert_all_see(p, STR("INBOX:5 Junk:1 Sent:5 of-a:1 of-b:1 "));
}
PAIR_TEST(a_root_head_hides_nothing_of_who_lives)

/* `a` closes with the change of `b` as his last one, and knows a name below it that `b` has not read. */
static void nor_does_the_same_cover_in(struct pair *p)
{
	world_stop(p->a);
	assert_ok(task_sleep(&p->a->op, 24 * 3600 * US_PER_SEC));
	world_open_store(p->b);
	world_open_store(p->a);
	assert_ok(tree_create(&p->a->op, p->a->user, STR("of-a"), STR("")));
	assert_ok(task_sleep(&p->a->op, US_PER_SEC));
	assert_ok(tree_create(&p->b->op, p->b->user, STR("of-b"), STR("")));
	assert_str(world_names(p->b), STR("INBOX:5 Junk:1 Sent:5 of-b:1 "));
	assert_ok(user_refresh(&p->a->op, p->a->user));
	timer_cancel(&p->b->user->refresh);
	assert_ok(task_sleep(&p->a->op, STORE_LATE_US(p->a->store) + US_PER_SEC));
	assert_ok(user_refresh(&p->a->op, p->a->user)); /* nothing is late any more */
	world_stop(p->a);
	stand_still(p->b);
	assert_ok(user_read_heads(&p->b->op, p->b->user));
	world_stop(p->b);
	assert_all_see(p, STR("INBOX:5 Junk:1 Sent:5 of-a:1 of-b:1 "));
}
PAIR_TEST(nor_does_the_same_cover)

/* What `b` could not write he writes when he goes on; by then his head was ended, and nobody waits for him. */
static void settled_by_who_was_ended_in(struct pair *p)
{
	const struct catalog_fault_plan down = { .fail_at = 1, .fail_from_there = true };
	world_stop(p->a);
	world_open_store(p->b);
	assert_ok(tree_create(&p->b->op, p->b->user, STR("first"), STR("")));
	catalog_fault_set(p->b->catalog, &down);
	assert_err(tree_create(&p->b->op, p->b->user, STR("of-b"), STR("")), ERR_UNAVAILABLE);
	catalog_fault_set(p->b->catalog, &(const struct catalog_fault_plan){ 0 });
	world_open_store(p->a);
	stand_still(p->b);
	world_stop(p->a);
	assert_ok(user_settle(&p->b->op, p->b->user));
	assert_str(world_names(p->b), STR("INBOX:5 Junk:1 Sent:5 first:1 of-b:1 "));
	assert_str(names_seen_by(p->a), STR("INBOX:5 Junk:1 Sent:5 first:1 of-b:1 "));
	world_crash(p->b);
	assert_all_see(p, STR("INBOX:5 Junk:1 Sent:5 first:1 of-b:1 "));
}
PAIR_TEST(settled_by_who_was_ended)

/* What made the user, or the rows of it, is carried out after all, when another host has made him and gone on. */
static void make_twice(struct pair *p, struct str name, int64_t fail_at)
{
	struct user *u;
	struct tree_entry *entries;
	size_t count;
	catalog_fault_set(p->a->catalog, &(struct catalog_fault_plan){ .fail_at = fail_at,
						 .fail_from_there = true,
						 .fail_late = true,
						 .spares_reads = true });
	assert_err(user_open(&p->a->op, p->a->store, name, &u), ERR_UNAVAILABLE);
	catalog_fault_set(p->a->catalog, &(struct catalog_fault_plan){ 0 });
	assert_ok(user_open(&p->b->op, p->b->store, name, &u));
	assert_ok(catalog_fault_replay(&p->a->op, p->a->catalog));
	assert_ok(user_refresh(&p->b->op, u));
	assert_ok(tree_list(&p->b->op, u, &entries, &count));
	assert_int_equal(count, 3); /* INBOX, Junk, Sent */
	user_unref(u);
}

static void who_makes_a_user_makes_the_same_in(struct pair *p)
{
	world_open_store(p->b);
	make_twice(p, STR("u8@example.test"), 1);
	make_twice(p, STR("u9@example.test"), 2);
	world_stop(p->b);
}
PAIR_TEST(who_makes_a_user_makes_the_same)

/* ---- in doubt ---- */

#define DOUBTS_MAX 4
struct doubts {
	struct catalog_change changes[DOUBTS_MAX];
	size_t count;
};

static void doubt(struct world *w, struct doubts *d, const struct buf *value)
{
	d->changes[d->count++] = (struct catalog_change){ .kind = CATALOG_PUT_ROW,
		.mailbox = root_scope,
		.row = { CATALOG_OP, 0, user_mint(w->user), buf_dup(&w->arena, value) },
		.stamp_us = now_wall_us() };
}

static struct row_id guid_of(struct world *w, struct str name)
{
	return row_id_of(tree_find(&w->user->tree, name)->guid);
}

static void doubt_removal(struct world *w, struct doubts *d, struct str name)
{
	AUTO_BUF(value, 0);
	struct row_id id = guid_of(w, name);
	row_tree_remove_encode(&value, &id);
	doubt(w, d, &value);
}

/* The same as change_all(), on its way when the process dies. */
static struct doubts die_in_doubt(struct world *w)
{
	struct doubts d = { .count = 0 };
	AUTO_BUF(create, 0);
	AUTO_BUF(rename, 0);
	AUTO_BUF(subscribe, 0);
	struct row_id id = { { 0xcc } };
	struct row_rename to = { guid_of(w, STR("old")), STR("new") };
	row_tree_create_encode(&create, &id, STR("created"), STR(""), 4000000000u);
	row_tree_rename_encode(&rename, &to, 1);
	row_tree_subscribe_encode(&subscribe, STR("subscribed"), true);
	doubt(w, &d, &create);
	doubt(w, &d, &rename);
	doubt_removal(w, &d, STR("removed"));
	doubt(w, &d, &subscribe);
	world_crash(w);
	return d;
}

static void arrive(struct world *w, const struct doubts *d)
{
	assert_ok(catalog_write(&w->op, w->catalog, STR("u1@example.test"), d->changes, d->count));
}

/* Who came next has closed before it arrives; he is of the same host, so that nobody lives. */
static void in_doubt_behind_a_clean_close_in(struct pair *p)
{
	begin(p->a);
	struct doubts d = die_in_doubt(p->a);
	world_open_store(p->a);
	assert_ok(tree_create(&p->a->op, p->a->user, STR("of-b"), STR("")));
	world_stop(p->a);
	arrive(p->a, &d);
	assert_all_see(p, AFTER_ALL);
}
PAIR_TEST(in_doubt_behind_a_clean_close)

/* A live owner finds it when he looks. He had opened with nothing to read, and changes nothing. */
static void in_doubt_and_found_by_who_lives_in(struct pair *p)
{
	begin(p->a);
	struct doubts d = die_in_doubt(p->a);
	world_open_store(p->a);
	assert_ok(tree_create(&p->a->op, p->a->user, STR("of-b"), STR("")));
	int64_t late_us = STORE_LATE_US(p->a->store);
	world_stop(p->a);
	assert_ok(task_sleep(&p->b->op, late_us + US_PER_SEC));
	(void)names_seen_by(p->b);
	world_open_store(p->b);
	assert_true(root_is_whole(p->b->user));
	arrive(p->a, &d);
	assert_ok(user_refresh(&p->b->op, p->b->user));
	assert_str(world_names(p->b), AFTER_ALL);
	world_stop(p->b);
	assert_all_see(p, AFTER_ALL);
}
PAIR_TEST(in_doubt_and_found_by_who_lives)

static uint64_t writes_of_a_visit(struct world *w, uint64_t *out_reads)
{
	struct catalog_counters before = catalog_counters(w->catalog);
	(void)names_seen_by(w);
	struct catalog_counters after = catalog_counters(w->catalog);
	*out_reads = after.reads - before.reads;
	return after.writes - before.writes;
}

/* After somebody died each login reads the tail of the names for a while, and writes nothing. */
static void what_waiting_costs_in(struct pair *p)
{
	uint64_t reads;
	begin(p->a);
	world_reopen(p->a, WORLD_CRASH);
	int64_t late_us = STORE_LATE_US(p->a->store);
	world_stop(p->a);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(writes_of_a_visit(p->a, &reads), 0);
		assert_int_equal(reads, 2); /* heads, tail */
	}
	assert_ok(task_sleep(&p->a->op, late_us + US_PER_SEC));
	assert_int_equal(writes_of_a_visit(p->a, &reads), 1);
	assert_int_equal(reads, 3); /* and the heads again, before a root head is written */
	assert_int_equal(writes_of_a_visit(p->a, &reads), 0);
	assert_int_equal(reads, 1);
	world_open_store(p->a);
}
PAIR_TEST(what_waiting_costs)

/* ---- a late DELETE ---- */

static bool has_mail(struct world *w, const char *word, unsigned flags)
{
	bool found = false;
	struct mailbox *m = world_box(w, "INBOX");
	struct view *v = world_view(w, m);
	for (uint32_t seq = 1; seq <= view_exists(v); seq++) {
		struct mail mail;
		struct str body;
		assert_true(view_get(v, seq, &mail));
		assert_ok(view_read_body(&w->op, v, &mail, &body));
		if (str_eq(body, world_mail(w, word))) {
			found = true;
			assert_int_equal(mail.flags & MAIL_STORABLE_FLAGS, flags);
		}
	}
	view_close(v);
	mailbox_unref(m);
	return found;
}

enum finder { WHO_LIVES, NEXT_OF_THE_DEAD, NEXT_AFTER_A_CLOSE };

/* Its user went on: what he saved there since is moved to INBOX, whoever finds the row. */
static void delete_late(struct pair *p, enum finder who)
{
	struct doubts d = { .count = 0 };
	struct tree_entry e;
	uint64_t deleted;
	begin(p->a);
	struct mailbox *m = world_box(p->a, "removed");
	(void)world_append(p->a, m, "before");
	mailbox_unref(m);
	doubt_removal(p->a, &d, STR("removed"));
	world_reopen(p->a, WORLD_CRASH);
	assert_ok(task_sleep(&p->a->op, US_PER_SEC));
	m = world_box(p->a, "removed");
	(void)world_append(p->a, m, "since");
	struct view *v = world_view(p->a, m);
	assert_int_equal(view_exists(v), 2);
	world_flags(p->a, v, 2, 2, FLAGS_ADD, MAIL_FLAGGED);
	assert_ok(flags_journal_flush(&p->a->op, m));
	arrive(p->a, &d);
	if (who == WHO_LIVES)
		assert_ok(user_refresh(&p->a->op, p->a->user));
	assert_int_equal(view_is_gone(v), who == WHO_LIVES);
	view_close(v);
	mailbox_unref(m);
	world_reopen(p->a, who == NEXT_OF_THE_DEAD ? WORLD_CRASH_DROP : WORLD_STOP);
	assert_err(tree_lookup(&p->a->op, p->a->user, STR("removed"), &e), ERR_NOT_FOUND);
	p->a->op.failure = (struct op_failure){ 0 };
	world_reopen(p->a, WORLD_STOP); /* also when the next has nothing to read */
	assert_ok(task_sleep(&p->a->op, 2 * 3600 * US_PER_SEC));
	assert_ok(world_try_collect(p->a, 3600 * US_PER_SEC, &deleted));
	assert_true(has_mail(p->a, "since", MAIL_FLAGGED));
	assert_false(has_mail(p->a, "before", 0));
}

static void a_late_delete_found_by_who_lives_in(struct pair *p)
{
	delete_late(p, WHO_LIVES);
}
PAIR_TEST(a_late_delete_found_by_who_lives)

static void a_late_delete_found_after_a_crash_in(struct pair *p)
{
	delete_late(p, NEXT_OF_THE_DEAD);
}
PAIR_TEST(a_late_delete_found_after_a_crash)

static void a_late_delete_found_after_a_close_in(struct pair *p)
{
	delete_late(p, NEXT_AFTER_A_CLOSE);
}
PAIR_TEST(a_late_delete_found_after_a_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acknowledged_unknowing_is_there),
		cmocka_unit_test(also_below_the_cover),
		cmocka_unit_test(a_large_root_head_has_it),
		cmocka_unit_test(by_who_stood_still_since_he_opened),
		cmocka_unit_test(by_who_was_the_first),
		cmocka_unit_test(a_root_head_hides_nothing_of_who_lives),
		cmocka_unit_test(nor_does_the_same_cover),
		cmocka_unit_test(settled_by_who_was_ended),
		cmocka_unit_test(who_makes_a_user_makes_the_same),
		cmocka_unit_test(in_doubt_behind_a_clean_close),
		cmocka_unit_test(in_doubt_and_found_by_who_lives),
		cmocka_unit_test(what_waiting_costs),
		cmocka_unit_test(a_late_delete_found_by_who_lives),
		cmocka_unit_test(a_late_delete_found_after_a_crash),
		cmocka_unit_test(a_late_delete_found_after_a_close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
