/* SPDX-License-Identifier: Apache-2.0 */
/* Bases over time: flags that only they keep, garbage, large mailboxes, when they are made, and those of
 * other writers. */
#include "store/base_test.h"
#include "store/scenario_test.h"

/* ---- without a journal of flags ---- */

/* The heads tell of a base whose upload seemed to fail: no other host's flags are in it. */
static void doubtful_base_is_ours(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	struct view *v = world_view(w, m);
	assert_ok(mailbox_verify(&w->op, m));
	for (int64_t at = 1; at <= 4; at++) {
		world_append(w, m, "x"); /* the cover is another one */
		world_flags(w, v, 2, 2, at % 2 ? FLAGS_ADD : FLAGS_REMOVE, MAIL_SEEN);
		catalog_fault_set(w->catalog,
			&(struct catalog_fault_plan){
				.fail_at = at, .fail_after_doing = true, .fail_from_there = true });
		if (mailbox_upload_base(&w->op, m, BASE_TAIL) != ERR_NONE)
			op_forgive(&w->op);
		catalog_fault_set(w->catalog, &(struct catalog_fault_plan){ 0 });
		assert_ok(user_read_heads(&w->op, w->user));
		assert_false(mailbox_lacks_flags(m));
		assert_ok(user_settle(&w->op, w->user));
		assert_false(mailbox_lacks_flags(m));
	}
	assert_ok(mailbox_upload_base(&w->op, m, BASE_TAIL));
	assert_ok(mailbox_verify(&w->op, m));
	view_close(v);
	mailbox_unref(m);
}

static void flags_off_task(void *arg)
{
	(void)arg;
	struct world *w = world_new(false);
	w->settings.flags_journal = STORE_FLAGS_OFF;
	world_open_store(w);
	struct mailbox *m = world_box(w, "INBOX");
	for (int i = 0; i < 5; i++)
		world_append(w, m, "x");
	size_t ops = rows_of(w, m).ops;
	struct view *v = world_view(w, m);
	world_flags(w, v, 1, 3, FLAGS_ADD, MAIL_FLAGGED);
	size_t uploaded;
	assert_ok(user_flush(&w->op, w->store, w->user->name, true, &uploaded));
	assert_int_equal(uploaded, 1);
	assert_int_equal(m->pending.n, 0);
	assert_int_equal(rows_of(w, m).ops, ops);
	assert_ok(user_flush(&w->op, w->store, w->user->name, true, &uploaded));
	assert_int_equal(uploaded, 0);
	struct str before = world_describe(w, m);
	view_close(v);
	mailbox_unref(m);
	assert_str(opened_cold(w, WORLD_STOP), before);

	/* What no base has is kept by this host's log, also over a crash; closing makes one. */
	m = world_box(w, "INBOX");
	v = world_view(w, m);
	world_flags(w, v, 4, 5, FLAGS_ADD, MAIL_SEEN);
	view_close(v);
	mailbox_unref(m);
	world_reopen(w, WORLD_CRASH);
	m = world_box(w, "INBOX");
	assert_int_equal(index_counters(m->index).unseen, 3);
	v = world_view(w, m);
	world_flags(w, v, 1, 1, FLAGS_ADD, MAIL_SEEN);
	view_close(v);
	before = world_describe(w, m);
	mailbox_unref(m);
	assert_str(opened_cold(w, WORLD_STOP), before);
	doubtful_base_is_ours(w);
	world_close(w);
}

static void bases_keep_flags_without_a_journal(void **state)
{
	(void)state;
	world_in_memory(flags_off_task, NULL);
}

/* ---- garbage ---- */

static enum err count_object(
	struct op *op, struct str key, const struct object_info *info, void *arg)
{
	size_t *count = arg;
	(void)op;
	(void)info;
	*count += str_find(key, STR("/idx/")) >= 0;
	return ERR_NONE;
}

static size_t count_objects(struct world *w)
{
	size_t count = 0;
	assert_ok(objects_iter(&w->op, w->objects, STR("u1@example.test/"), count_object, &count));
	return count;
}

static void old_bases_are_collected(struct world *w)
{
	assert_ok(tree_create(&w->op, w->user, STR("box"), STR("")));
	struct mailbox *m = world_box(w, "box");
	uint64_t deleted;
	for (int i = 0; i < 8; i++) {
		world_append(w, m, "x");
		upload(w, m);
		sleep_hours(w, 2);
		assert_ok(world_try_collect(w, HOUR_US, &deleted));
	}
	/* Two manifests, and the summaries that they and the retired ones stand on. */
	assert_in_range(count_objects(w), 3, 10);
	struct str before = world_describe(w, m);
	mailbox_unref(m);
	world_reopen(w, WORLD_CRASH_DROP);
	m = world_box(w, "box");
	assert_int_equal(str_find(before, STR("messages=8")), 0);
	assert_int_equal(index_counters(m->index).messages, 8);
	mailbox_unref(m);
	assert_ok(tree_remove(&w->op, w->user, STR("box")));
	for (int i = 0; i < 3; i++) {
		sleep_hours(w, 2);
		assert_ok(world_try_collect(w, HOUR_US, &deleted));
	}
	assert_int_equal(count_objects(w), 0);
}
MEMORY_SCENARIO(old_bases_are_collected)

/* ---- large mailboxes ---- */

static void fill(struct world *w, struct mailbox *m, uint32_t count)
{
	for (uint32_t uid = 2; uid <= count; uid++) {
		struct row_append a = { .uid = uid,
			.modseq = modseq_next(index_modseq(m->index), now_wall_us()),
			.size_physical = 1000 + uid % 5000,
			.size_virtual = 1030 + uid % 5000,
			.length = 1000 + uid % 5000,
			.received_wall_us = now_wall_us(),
			.saved_wall_us = now_wall_us() };
		random_bytes(a.oid.bytes, sizeof(a.oid.bytes));
		a.guid = a.oid;
		AUTO_BUF(value, 0);
		row_append_encode(&value, &a);
		struct catalog_row row = { .kind = CATALOG_APPEND,
			.bucket = uid / STORE_BUCKET_ROWS,
			.name = user_mint(w->user),
			.value = buf_str(&value) };
		assert_ok(index_fold(m->index, &row));
	}
}

/* Bytes and requests of a base after one flag changed. */
static void one_flag(struct world *w, struct mailbox *m, uint64_t *out_bytes, uint64_t *out_puts)
{
	struct view *v = world_view(w, m);
	world_flags(w, v, 5, 5, FLAGS_ADD, MAIL_FLAGGED);
	view_close(v);
	uint64_t puts = objects_counters(w->objects).puts;
	upload(w, m);
	*out_puts = objects_counters(w->objects).puts - puts;
	*out_bytes = m->base.uploaded_bytes;
}

static void large_task(void *arg)
{
	(void)arg;
	struct world *w = world_open(false);
	struct mailbox *m = world_box(w, "INBOX");
	uint64_t bytes, puts;
	world_append(w, m, "x");
	fill(w, m, 150000);
	upload(w, m);
	uint64_t whole = m->base.uploaded_bytes;
	one_flag(w, m, &bytes, &puts);
	assert_int_equal(puts, 2); /* a hot segment and the manifest */
	assert_true(bytes < whole / 15);
	struct str before = world_describe(w, m);
	mailbox_unref(m);
	world_stop(w);
	assert_ok(file_remove_tree(&w->op, w->settings.local_dir.p));
	uint64_t gets = objects_counters(w->objects).gets;
	world_open_store(w);
	m = world_box(w, "INBOX");
	assert_int_equal(objects_counters(w->objects).gets - gets, 1 + 2 * 3);
	struct str after = world_describe(w, m);
	assert_true(str_eq(after, before));
	mailbox_unref(m);
	world_close(w);
}

static void a_large_mailbox_uploads_what_changed(void **state)
{
	(void)state;
	test_in_virtual_task(large_task, NULL);
}

static void small_task(void *arg)
{
	(void)arg;
	struct world *w = world_open(false);
	struct mailbox *m = world_box(w, "INBOX");
	uint64_t bytes, puts;
	world_append(w, m, "x");
	fill(w, m, 50000);
	upload(w, m);
	one_flag(w, m, &bytes, &puts);
	assert_int_equal(puts, 1);
	assert_true(bytes < 50000 * 50);
	struct str before = world_describe(w, m);
	mailbox_unref(m);
	world_stop(w);
	assert_ok(file_remove_tree(&w->op, w->settings.local_dir.p));
	uint64_t gets = objects_counters(w->objects).gets,
		 reads = catalog_counters(w->catalog).reads;
	world_open_store(w);
	m = world_box(w, "INBOX");
	assert_int_equal(objects_counters(w->objects).gets - gets, 1);
	/* heads, the tree's tail, the mailbox's tail */
	assert_in_range(catalog_counters(w->catalog).reads - reads, 2, 3);
	struct str after = world_describe(w, m);
	assert_true(str_eq(after, before));
	mailbox_unref(m);
	world_close(w);
}

static void a_mailbox_is_opened_by_one_get(void **state)
{
	(void)state;
	test_in_virtual_task(small_task, NULL);
}

/* The tail that grows makes bases by itself, and not too many. */
static void a_long_tail_makes_a_base(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	for (int i = 0; i < 900; i++)
		world_append(w, m, "x");
	assert_ok(task_sleep(&w->op, US_PER_SEC));
	assert_in_range(w->store->counters.base_uploads, 1, 3);
	mailbox_unref(m);
	world_reopen(w, WORLD_STOP);
	m = world_box(w, "INBOX");
	assert_int_equal(w->store->counters.opens_clean, 1);
	mailbox_unref(m);
}
MEMORY_SCENARIO(a_long_tail_makes_a_base)

/* However fast mails come, what lies behind the last base is little. */
static void a_tail_has_an_end(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	size_t most = 0;
	for (int i = 0; i < 12000; i++) {
		world_append(w, m, "x");
		most = MAX(most, m->base.tail_bytes);
		assert_ok(task_sleep(&w->op, US_PER_MS));
	}
	assert_in_range(most, 2u << 20, 3u << 20);
	assert_in_range(w->store->counters.base_uploads, 2, 6);
	mailbox_unref(m);
}
MEMORY_SCENARIO(a_tail_has_an_end)

static void what_rests_gets_a_base(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	for (int i = 0; i < 150; i++)
		world_append(w, m, "x");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(w->store->counters.base_uploads, 0);
		assert_ok(task_sleep(&w->op, HOUR_US / 10));
		base_consider_idle(m);
		assert_ok(task_sleep(&w->op, US_PER_SEC));
	}
	assert_int_equal(w->store->counters.base_uploads, 1);
	assert_int_equal(m->base.tail_rows, 0);
	mailbox_unref(m);
}
MEMORY_SCENARIO(what_rests_gets_a_base)

/* ---- others make bases too ---- */

/* The heads were read before another writer's base took the place of the one that they name. */
static void a_replaced_base_is_found_by_the_heads(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	shake(w, m, 20);
	upload(w, m);
	struct index *x;
	AUTO_BUF(text, 0);
	random_bytes(&w->user->bases[0].head.base.id, sizeof(struct row_id));
	assert_ok(base_read(&w->op, m, &x));
	index_describe(x, &text);
	assert_str(buf_str(&text), world_describe(w, m));
	index_free(x);
	assert_int_equal(w->store->counters.bases_damaged, 0);
	mailbox_unref(m);
}
SCENARIO(a_replaced_base_is_found_by_the_heads)

static size_t count_base_heads(struct world *w)
{
	struct catalog_head *heads;
	size_t count, bases = 0;
	uint32_t writer;
	assert_ok(catalog_read_heads(&w->op, w->catalog, w->user->name, &heads, &count));
	for (size_t i = 0; i < count; i++)
		bases += head_is_base_key(heads[i].key, &writer);
	return bases;
}

/* Two writers made a base each: the newer one is opened, and who is alone makes one of both. */
static void of_two_bases_the_newer_counts(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	char key[HEAD_BASE_SIZE];
	AUTO_BUF(value, 0);
	shake(w, m, 20);
	upload(w, m);
	head_base_encode(&value, &user_base_of(w->user, m->guid)->head);
	struct catalog_change put = { .kind = CATALOG_PUT_HEAD,
		.mailbox = m->guid,
		.row = { .kind = CATALOG_OP },
		.key = head_base_key(0xabcd, key),
		.value = buf_str(&value) };
	assert_ok(catalog_write(&w->op, w->catalog, w->user->name, &put, 1));
	world_append(w, m, "y");
	upload(w, m);
	struct str before = world_describe(w, m);
	struct row_id newest = user_base_of(w->user, m->guid)->head.base.id;
	/* Where others may write, they were looked for, and it went with this one. */
	assert_int_equal(count_base_heads(w), catalog_is_atomic(w->catalog) ? 2 : 1);
	mailbox_unref(m);
	assert_str(opened_cold(w, WORLD_STOP), before);
	m = world_box(w, "INBOX");
	assert_memory_equal(&user_base_of(w->user, m->guid)->head.base.id, &newest, sizeof(newest));
	world_append(w, m, "z");
	upload(w, m);
	assert_int_equal(count_base_heads(w), 1);
	before = world_describe(w, m);
	mailbox_unref(m);
	assert_str(opened_cold(w, WORLD_STOP), before);
}
SCENARIO(of_two_bases_the_newer_counts)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bases_keep_flags_without_a_journal),
		cmocka_unit_test(test_old_bases_are_collected),
		cmocka_unit_test(a_large_mailbox_uploads_what_changed),
		cmocka_unit_test(a_mailbox_is_opened_by_one_get),
		cmocka_unit_test(test_a_long_tail_makes_a_base),
		cmocka_unit_test(test_a_tail_has_an_end),
		cmocka_unit_test(test_what_rests_gets_a_base),
		cmocka_unit_test(test_a_replaced_base_is_found_by_the_heads),
		cmocka_unit_test(test_of_two_bases_the_newer_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
