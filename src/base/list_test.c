/* SPDX-License-Identifier: Apache-2.0 */
#include "base/list.h"

#include "base/test.h"

struct item {
	int value;
	struct list node;
};

static int sum_in_order(struct list *head)
{
	struct item *item, *next;
	int sum = 0;

	LIST_FOR_EACH(item, next, head, struct item, node)
	sum = sum * 10 + item->value;
	return sum;
}

static void list_keeps_order(void **state)
{
	(void)state;
	struct list head;
	struct item a = { .value = 1 }, b = { .value = 2 }, c = { .value = 3 };

	list_init(&head);
	assert_true(list_is_empty(&head));
	assert_null(LIST_FIRST(&head, struct item, node));
	list_add_last(&head, &b.node);
	list_add_last(&head, &c.node);
	list_add_first(&head, &a.node);
	assert_int_equal(sum_in_order(&head), 123);
	assert_ptr_equal(LIST_FIRST(&head, struct item, node), &a);
	list_remove(&b.node);
	list_add_before(&a.node, &b.node);
	assert_int_equal(sum_in_order(&head), 213);
}

static void list_remove_is_harmless_twice(void **state)
{
	(void)state;
	struct list head;
	struct item a = { .value = 1 };

	list_init(&head);
	list_remove(&a.node); /* a zeroed node is in no list */
	list_add_last(&head, &a.node);
	assert_true(list_is_linked(&a.node));
	list_remove(&a.node);
	list_remove(&a.node);
	assert_false(list_is_linked(&a.node));
	assert_true(list_is_empty(&head));
}

static void list_may_lose_the_current_node_in_a_walk(void **state)
{
	(void)state;
	struct list head;
	struct item items[9] = { 0 };
	struct item *item, *next;

	list_init(&head);
	for (int i = 0; i < 9; i++) {
		items[i].value = i + 1;
		list_add_last(&head, &items[i].node);
	}
	LIST_FOR_EACH(item, next, &head, struct item, node)
	if (item->value % 2 == 0)
		list_remove(&item->node);
	assert_int_equal(sum_in_order(&head), 13579);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_keeps_order),
		cmocka_unit_test(list_remove_is_harmless_twice),
		cmocka_unit_test(list_may_lose_the_current_node_in_a_walk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
