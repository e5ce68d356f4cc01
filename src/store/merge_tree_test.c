/* SPDX-License-Identifier: Apache-2.0 */
/* Names of mailboxes that two hosts change at once. */
#include "store/pair_test.h"

static void both_have_the_same_inbox_in(struct pair *p)
{
	struct mailbox *a = world_box(p->a, "INBOX");
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	assert_memory_equal(&a->guid, &b->guid, sizeof(a->guid));
	mailbox_unref(a);
	mailbox_unref(b);
}
PAIR_TEST(both_have_the_same_inbox)

static void names_of_both_come_together_in(struct pair *p)
{
	struct tree_entry e;
	world_open_store(p->b);
	assert_ok(tree_create(&p->a->op, p->a->user, STR("of-a"), STR("")));
	assert_ok(tree_create(&p->b->op, p->b->user, STR("of-b"), STR("")));
	assert_ok(tree_create(&p->a->op, p->a->user, STR("same"), STR("")));
	assert_ok(task_sleep(&p->a->op, 10 * US_PER_MS));
	assert_ok(tree_create(&p->b->op, p->b->user, STR("same"), STR("")));
	struct mailbox *b = world_box(p->b, "same");
	(void)world_append(p->b, b, "late");
	for (int i = 0; i < 2; i++) {
		assert_ok(user_refresh(&p->a->op, p->a->user));
		assert_ok(user_refresh(&p->b->op, p->b->user));
	}
	struct world *both[] = { p->a, p->b };
	for (int i = 0; i < 2; i++) {
		struct tree_entry *all;
		size_t count, same = 0;
		assert_ok(tree_lookup(&both[i]->op, both[i]->user, STR("of-a"), &e));
		assert_ok(tree_lookup(&both[i]->op, both[i]->user, STR("of-b"), &e));
		assert_ok(tree_list(&both[i]->op, both[i]->user, &all, &count));
		for (size_t k = 0; k < count; k++)
			same += str_starts(all[k].name, STR("same"));
		assert_int_equal(same, 2); /* the older has the name, the other one beside it */
	}
	assert_true(tree_find(&p->a->user->tree, STR("same"))->stamp <
		    tree_find_guid(&p->a->user->tree, b->guid)->stamp);
	struct str other = tree_find_guid(&p->b->user->tree, b->guid)->name;
	assert_int_equal(other.n, 9);
	assert_str(tree_find_guid(&p->a->user->tree, b->guid)->name, other);
	mailbox_unref(b);
}
PAIR_TEST(names_of_both_come_together)

/* Somebody has the name that one gets who steps aside. */
static void who_steps_aside_hides_nobody_in(struct pair *p)
{
	char name[16];
	world_open_store(p->b);
	assert_ok(tree_create(&p->a->op, p->a->user, STR("same"), STR("")));
	assert_ok(task_sleep(&p->a->op, 10 * US_PER_MS));
	assert_ok(tree_create(&p->b->op, p->b->user, STR("same"), STR("")));
	struct catalog_guid later = tree_find(&p->b->user->tree, STR("same"))->guid;
	(void)snprintf(name, sizeof(name), "same-%02x%02x", (unsigned)later.bytes[0],
		(unsigned)later.bytes[1]);
	assert_ok(tree_create(&p->a->op, p->a->user, str_from(name), STR("")));
	struct catalog_guid real = tree_find(&p->a->user->tree, str_from(name))->guid;
	for (int i = 0; i < 2; i++) {
		assert_ok(user_refresh(&p->a->op, p->a->user));
		assert_ok(user_refresh(&p->b->op, p->b->user));
	}
	for (int i = 0; i < 2; i++) {
		const struct tree *t = i == 0 ? &p->a->user->tree : &p->b->user->tree;
		const struct tree_node *aside = tree_find_guid(t, later);
		assert_memory_equal(&tree_find(t, str_from(name))->guid, &real, sizeof(real));
		assert_true(tree_find(t, aside->name) == aside);
		assert_true(str_starts(aside->name, str_from(name)) && aside->name.n == 11);
		assert_true(tree_find(t, STR("same")) != NULL);
	}
}
PAIR_TEST(who_steps_aside_hides_nobody)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_have_the_same_inbox),
		cmocka_unit_test(names_of_both_come_together),
		cmocka_unit_test(who_steps_aside_hides_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
