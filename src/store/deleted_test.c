/* SPDX-License-Identifier: Apache-2.0 */
/* A user is deleted while another host has him open: that one ends his sessions when it looks, and what it
 * wrote before brings nobody back. */
#include "store/pair_test.h"

static void obliterate(struct world *w)
{
	struct user_obliterated out;
	struct user *u = w->user;
	struct str name = str_dup(&w->arena, u->name);
	world_stop(w);
	world_open_store(w);
	user_unref(w->user);
	w->user = NULL;
	struct user *idle = LIST_FIRST(&w->store->idle_users, struct user, idle_link);
	idle_user_close(idle);
	while (w->store->users.count > 0)
		assert_ok(task_sleep(&w->op, US_PER_MS));
	assert_ok(user_obliterate(&w->op, w->store, name, &out));
	world_crash(w);
}

static size_t count_heads(struct world *w, struct str name)
{
	struct catalog_head *heads;
	size_t count;
	assert_ok(catalog_read_heads(&w->op, w->catalog, name, &heads, &count));
	return count;
}

static void who_has_him_open_ends_in(struct pair *p)
{
	uint32_t uid;
	struct mailbox *a = world_box(p->a, "INBOX");
	struct str name = str_dup(&p->a->arena, p->a->user->name);
	(void)world_append(p->a, a, "a1");
	world_open_store(p->b);
	obliterate(p->b);
	assert_err(user_refresh(&p->a->op, p->a->user), ERR_UNAVAILABLE);
	assert_true(a->is_removed);
	assert_true(world_try_append(p->a, a, "a2", &uid) != ERR_NONE);
	assert_err(tree_create(&p->a->op, p->a->user, STR("more"), STR("")), ERR_UNAVAILABLE);
	mailbox_unref(a);
	assert_int_equal(count_heads(p->a, name), 1); /* the generation */
	world_crash(p->a);
	world_open_store(p->a);
	a = world_box(p->a, "INBOX");
	assert_int_equal(index_counters(a->index).messages, 0);
	assert_true(world_append(p->a, a, "new") == 1);
	mailbox_unref(a);
}
PAIR_TEST(who_has_him_open_ends)

static void who_closes_without_knowing_leaves_nobody_in(struct pair *p)
{
	struct mailbox *a = world_box(p->a, "INBOX");
	struct catalog_guid before = a->guid;
	(void)world_append(p->a, a, "a1");
	world_open_store(p->b);
	obliterate(p->b);
	(void)world_append(p->a, a, "a2");
	mailbox_unref(a);
	world_stop(p->a);
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	assert_memory_not_equal(&b->guid, &before, sizeof(before));
	assert_int_equal(index_counters(b->index).messages, 0);
	assert_int_equal(world_append(p->b, b, "new"), 1);
	mailbox_unref(b);
	world_stop(p->b);
	world_open_store(p->a);
}
PAIR_TEST(who_closes_without_knowing_leaves_nobody)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_has_him_open_ends),
		cmocka_unit_test(who_closes_without_knowing_leaves_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
