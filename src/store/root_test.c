/* SPDX-License-Identifier: Apache-2.0 */
/* Users with very many mailboxes: the root as an object that its head names. */
#include "base/random.h"
#include "objects/frame.h"
#include "store/base_private.h"
#include "store/scenario_test.h"

#define MANY      20000
#define SOME      40 /* with an inline limit that makes an object of so few */
#define AT_ONCE   500
#define HOUR_US   (INT64_C(3600) * US_PER_SEC)
#define USER_NAME STR("u1@example.test")

static const struct catalog_guid root_scope;

/* As many mailboxes, in a few batches. */
static void create_many(struct world *w, int count)
{
	struct user *u = w->user;
	for (int i = 0; i < count;) {
		struct batch *b = batch_new(u);
		tree_claim(b, u);
		for (int end = MIN(i + AT_ONCE, count); i < end; i++) {
			struct row_id id = { { 9 } };
			AUTO_BUF(value, 0);
			random_bytes(id.bytes, sizeof(id.bytes));
			row_tree_create_encode(&value, &id,
				str_printf(&b->arena, "Archive/%d/box %05d", i % 40, i), STR(""),
				1000000 + (uint32_t)i);
			batch_put_op(b, root_scope, 0, &value);
		}
		assert_ok(user_write(&w->op, u, b));
	}
}

static struct str root_head(struct world *w)
{
	struct catalog_head *heads;
	size_t count;
	assert_ok(catalog_read_heads(&w->op, w->catalog, USER_NAME, &heads, &count));
	for (size_t i = 0; i < count; i++)
		if (str_eq(heads[i].key, HEAD_ROOT_KEY))
			return heads[i].value;
	fail();
	return STR_NONE;
}

static struct head_root root_of(struct world *w)
{
	struct head_root root;
	assert_ok(head_root_decode(root_head(w), &root));
	return root;
}

static struct str key_of(struct world *w, struct row_id id)
{
	struct store named = { .object_prefix = (char[]){ "" } };
	struct user u = { .store = &named, .name = USER_NAME };
	return base_object_key(&w->arena, &u, root_scope, id);
}

static bool has_object(struct world *w, struct row_id id)
{
	struct object_info info;
	enum err e = objects_stat(&w->op, w->objects, key_of(w, id), &info);
	op_forgive(&w->op);
	assert_true(e == ERR_NONE || e == ERR_NOT_FOUND);
	return e == ERR_NONE;
}

static bool has_name(struct world *w, const char *name)
{
	return tree_find(&w->user->tree, str_from(name)) != NULL;
}

static uint64_t collect_later(struct world *w, int64_t wait_us)
{
	uint64_t deleted;
	assert_ok(task_sleep(&w->op, wait_us));
	assert_ok(world_try_collect(w, HOUR_US, &deleted));
	return deleted;
}

static struct world *world_of(int count, size_t inline_bytes)
{
	struct world *w = world_new(false);
	w->settings.mailboxes_max = 2 * MANY;
	w->settings.root_inline_bytes = inline_bytes;
	world_open_store(w);
	create_many(w, count);
	return w;
}

static void many_mailboxes(void *arg)
{
	(void)arg;
	struct world *w = world_of(MANY, 0);
	world_reopen(w, WORLD_STOP);
	struct row_id first = root_of(w).object;
	assert_false(row_id_is_none(&first));
	assert_true(root_head(w).n < 100);
	world_stop(w);
	struct objects_counters gets = objects_counters(w->objects);
	int64_t requests = catalog_fault_requests(w->catalog);
	world_open_store(w);
	assert_int_equal(w->user->tree.names.count, MANY + 3);
	assert_int_equal(w->store->counters.root_reads, 1);
	assert_int_equal(objects_counters(w->objects).gets, gets.gets + 1);
	assert_true(root_is_whole(w->user));
	/* The clock, asked once by a process, and the heads. */
	assert_int_equal(catalog_fault_requests(w->catalog), requests + 2);
	assert_ok(tree_rename(&w->op, w->user, STR("Archive/7"), STR("Old")));
	world_reopen(w, WORLD_STOP); /* one change is not worth a new object */
	struct row_id same = root_of(w).object;
	assert_memory_equal(&same, &first, sizeof(first));
	assert_false(has_name(w, "Archive/7/box 00047"));
	create_many(w, 0);
	for (int i = 0; i < MANY / 16 + 20; i++)
		assert_ok(tree_subscribe(
			&w->op, w->user, str_printf(&w->arena, "Old/box %05d", i), true));
	world_reopen(w, WORLD_STOP);
	struct row_id second = root_of(w).object;
	assert_memory_not_equal(&second, &first, sizeof(first));
	assert_true(has_name(w, "Old/box 00047"));
	assert_int_equal(w->user->tree.ops, 0);
	assert_int_equal(collect_later(w, HOUR_US / 2), 0);
	assert_true(has_object(w, first));
	assert_int_equal(collect_later(w, HOUR_US), 1);
	assert_false(has_object(w, first));
	assert_true(has_object(w, second));
	world_close(w);
}

static void assert_read_from_journal(struct world *w, size_t count)
{
	assert_int_equal(w->store->counters.roots_damaged, 1);
	assert_int_equal(w->user->tree.names.count, count);
	assert_true(has_name(w, "New"));
	assert_false(has_name(w, "Archive/0/box 00000"));
	/* Closing heals it. */
	world_reopen(w, WORLD_STOP);
	assert_int_equal(w->store->counters.roots_damaged, 0);
	assert_int_equal(w->user->tree.names.count, count);
	assert_int_equal(w->user->tree.ops, 0);
}

/* With a removal, a rename and a subscription behind its creations. */
static struct world *world_with_object(void)
{
	struct world *w = world_of(SOME, 200);
	assert_ok(tree_remove(&w->op, w->user, STR("Archive/0/box 00000")));
	assert_ok(tree_rename(&w->op, w->user, STR("Archive/1"), STR("New")));
	assert_ok(tree_create(&w->op, w->user, STR("New"), STR("")));
	world_stop(w);
	return w;
}

static void lost_object(void *arg)
{
	(void)arg;
	struct world *w = world_with_object();
	assert_ok(objects_delete(&w->op, w->objects, key_of(w, root_of(w).object)));
	world_open_store(w);
	assert_read_from_journal(w, SOME + 3);
	world_close(w);
}

static void replace_object(struct world *w, struct row_id id, struct str body)
{
	assert_ok(objects_delete(&w->op, w->objects, key_of(w, id)));
	assert_ok(objects_put(&w->op, w->objects,
		&(struct object_put){ .key = key_of(w, id), .parts = &body, .part_count = 1 }));
}

static void damaged_object(void *arg)
{
	(void)arg;
	struct world *w = world_with_object();
	struct head_root root = root_of(w);
	struct str body;
	AUTO_BUF(bad, 0);
	assert_ok(objects_get(&w->op, w->objects, key_of(w, root.object), 1 << 20, &body));
	buf_put(&bad, body);
	bad.p[bad.n / 2] ^= 4;
	replace_object(w, root.object, buf_str(&bad));
	world_open_store(w);
	assert_read_from_journal(w, SOME + 3);
	world_close(w);
}

/* A head whose journal is gone, too, makes nobody a user without mailboxes. */
static void lost_object_and_journal(void *arg)
{
	(void)arg;
	struct world *w = world_with_object();
	struct head_root root = root_of(w);
	struct user *u;
	assert_ok(objects_delete(&w->op, w->objects, key_of(w, root.object)));
	root.cover = name_at_ms(now_wall_us() / US_PER_MS + 1);
	AUTO_BUF(value, 0);
	head_root_encode(&value, &root);
	assert_ok(store_open(&w->op, &w->settings, w->objects, w->catalog, &w->store));
	struct catalog_change change = {
		.kind = CATALOG_PUT_HEAD, .key = HEAD_ROOT_KEY, .value = buf_str(&value)
	};
	assert_ok(store_write_changes(&w->op, w->store, USER_NAME, &change, 1));
	assert_err(user_open(&w->op, w->store, USER_NAME, &u), ERR_CORRUPT);
	op_forgive(&w->op);
	world_close(w);
}

/* The user is closed as if his root were not due, and later logins read the journal behind the old one. */
static void object_that_cannot_be_put(void *arg)
{
	(void)arg;
	struct world *w = world_with_object();
	struct row_id before = root_of(w).object;
	world_open_store(w);
	assert_ok(tree_create(&w->op, w->user, STR("Later"), STR("")));
	objects_fault_set(
		w->objects, &(struct objects_fault_plan){ .fail_at = 1, .fail_from_there = true });
	world_stop(w);
	objects_fault_set(w->objects, &(struct objects_fault_plan){ 0 });
	struct row_id after = root_of(w).object;
	assert_memory_equal(&after, &before, sizeof(before));
	world_open_store(w);
	assert_true(has_name(w, "Later"));
	assert_true(w->user->tree.ops > 0);
	world_reopen(w, WORLD_STOP);
	assert_true(has_name(w, "Later"));
	assert_int_equal(w->user->tree.ops, 0);
	world_close(w);
}

/* The audit knows it; what nothing names is an orphan; who is deleted leaves none. */
static void audit_and_deletion(void *arg)
{
	(void)arg;
	struct world *w = world_with_object();
	struct user_audit found;
	struct user_obliterated gone;
	struct row_id id = root_of(w).object, orphan = { { 5 } };
	struct str body = STR("put by somebody who died");
	AUTO_BUF(report, 0);
	assert_ok(objects_put(&w->op, w->objects,
		&(struct object_put){ .key = key_of(w, orphan), .parts = &body, .part_count = 1 }));
	assert_ok(task_sleep(&w->op, 2 * HOUR_US));
	world_open_store(w);
	assert_ok(user_audit(&w->op, w->store, USER_NAME, HOUR_US, &report, &found));
	assert_int_equal(found.orphans, 1);
	assert_int_equal(collect_later(w, 2 * HOUR_US), 1);
	assert_true(has_object(w, id));
	assert_false(has_object(w, orphan));
	user_unref(w->user);
	w->user = NULL;
	assert_ok(user_obliterate(&w->op, w->store, USER_NAME, &gone));
	assert_false(has_object(w, id));
	world_close(w);
}

static void old_head(void *arg)
{
	(void)arg;
	struct world *w = world_of(SOME, 0);
	AUTO_BUF(plain, 0);
	world_reopen(w, WORLD_STOP);
	assert_int_equal(root_of(w).form, HEAD_ROOT_PACKED);
	tree_encode(&w->user->tree, &plain);
	struct catalog_change change = {
		.kind = CATALOG_PUT_HEAD, .key = HEAD_ROOT_KEY, .value = buf_str(&plain)
	};
	assert_ok(store_write_changes(&w->op, w->store, USER_NAME, &change, 1));
	world_reopen(w, WORLD_STOP);
	assert_int_equal(root_of(w).form, HEAD_ROOT_PLAIN);
	assert_int_equal(w->user->tree.names.count, SOME + 3);
	assert_int_equal(w->user->tree.ops, 0);
	world_close(w);
}

/* A frame of a few bytes that says it has very many. */
static void hostile_heads(void **state)
{
	(void)state;
	static const uint64_t sizes[] = { HEAD_ROOT_BYTES_MAX + 1, UINT64_MAX, 1 << 20, 0 };
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
		struct tree t;
		struct head_root root = {
			.form = HEAD_ROOT_PACKED, .plain_bytes = sizes[i], .mailbox_count = 1 << 30
		};
		AUTO_BUF(value, 0);
		tree_init(&t);
		head_root_encode(&value, &root);
		frame_pack(STR("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), &value);
		assert_err(tree_decode(&op, &t, buf_str(&value)), ERR_CORRUPT);
		assert_int_equal(t.node_count, 0);
		tree_done(&t);
	}
}

#define IN_MEMORY(name)                                                                            \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		world_in_memory(name, NULL);                                                       \
	}

IN_MEMORY(many_mailboxes)
IN_MEMORY(lost_object)
IN_MEMORY(damaged_object)
IN_MEMORY(lost_object_and_journal)
IN_MEMORY(object_that_cannot_be_put)
IN_MEMORY(audit_and_deletion)
IN_MEMORY(old_head)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_mailboxes),
		cmocka_unit_test(test_lost_object),
		cmocka_unit_test(test_damaged_object),
		cmocka_unit_test(test_lost_object_and_journal),
		cmocka_unit_test(test_object_that_cannot_be_put),
		cmocka_unit_test(test_audit_and_deletion),
		cmocka_unit_test(test_old_head),
		cmocka_unit_test(hostile_heads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
