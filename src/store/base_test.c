/* SPDX-License-Identifier: Apache-2.0 */
/* Bases: what is opened from one is what was uploaded; every request of an upload and of an opening may
 * fail, the process may die in between; op rows go when they may; a damaged base costs nothing. */
#include "store/world_test.h"

#include "base/random.h"
#include "task/test.h"

#define HOUR_US (INT64_C(3600) * US_PER_SEC)

/* ---- helpers ---- */

/* Appends, flags, expunges at random. */
static void shake(struct world *w, struct mailbox *m, int steps)
{
	struct view *v = world_view(w, m);
	for (int i = 0; i < steps; i++) {
		uint32_t exists = view_exists(v);
		uint32_t seq = exists ? 1 + (uint32_t)random_below(exists) : 0;
		switch (random_below(4)) {
		case 0:
		case 1:
			world_append(w, m, "x");
			break;
		case 2:
			if (seq)
				world_flags(
					w, v, seq, seq, FLAGS_REPLACE, (unsigned)random_below(32));
			break;
		case 3:
			if (seq && random_below(3) == 0) {
				world_flags(w, v, seq, seq, FLAGS_ADD, MAIL_DELETED);
				assert_ok(view_expunge(&w->op, v, NULL));
			}
			break;
		}
		(void)world_sync(w, v, true);
	}
	view_close(v);
	assert_ok(flags_journal_flush(&w->op, m));
}

static void upload(struct world *w, struct mailbox *m)
{
	assert_ok(mailbox_upload_base(&w->op, m, BASE_FLUSH));
	assert_true(m->base.exists);
}

/* Without local files. */
static struct str opened_cold(struct world *w, enum world_end how)
{
	if (how == WORLD_STOP) {
		world_stop(w);
		assert_ok(file_remove_tree(&w->op, w->settings.local_dir.p));
		world_open_store(w);
	} else {
		world_reopen(w, WORLD_CRASH_DROP);
	}
	struct mailbox *m = world_box(w, "INBOX");
	struct str text = world_describe(w, m);
	mailbox_unref(m);
	return text;
}

static void sleep_hours(struct world *w, int hours)
{
	assert_ok(task_sleep(&w->op, hours * HOUR_US + US_PER_SEC));
}

/* ---- round trips ---- */

static void a_cold_opening_is_what_was_uploaded(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	shake(w, m, 60);
	upload(w, m);
	struct str before = world_describe(w, m);
	mailbox_unref(m);
	assert_str(opened_cold(w, WORLD_STOP), before);
	assert_int_equal(w->store->counters.base_reads, 1);

	m = world_box(w, "INBOX");
	shake(w, m, 30); /* a tail behind the base */
	before = world_describe(w, m);
	mailbox_unref(m);
	assert_str(opened_cold(w, WORLD_STOP), before);
	m = world_box(w, "INBOX");
	shake(w, m, 10);
	upload(w, m);
	upload(w, m); /* nothing new: nothing happens */
	assert_int_equal(w->store->counters.base_uploads, 1);
	assert_ok(mailbox_verify(&w->op, m));
	mailbox_unref(m);
}
SCENARIO(a_cold_opening_is_what_was_uploaded)

static void summaries_task(void *arg)
{
	(void)arg;
	struct world *w = world_open(false);
	struct mailbox *m = world_box(w, "INBOX");
	for (int i = 0; i < 20; i++)
		world_append(w, m, "first");
	upload(w, m);
	for (int i = 0; i < 5; i++)
		world_append(w, m, "second");
	upload(w, m);
	sleep_hours(w, 1);
	world_append(w, m, "third"); /* the tail behind it has no other */
	upload(w, m);
	size_t segments = 0;
	for (size_t i = 0; i < m->base.parts.count; i++)
		segments += !m->base.parts.segments[i].is_retired;
	assert_int_equal(segments, 3);
	mailbox_unref(m);
	(void)opened_cold(w, WORLD_STOP);
	m = world_box(w, "INBOX");
	struct view *v = world_view(w, m);
	for (uint32_t seq = 1; seq <= 26; seq++) {
		struct mail mail;
		struct message_summary summary;
		assert_true(view_get(v, seq, &mail));
		assert_ok(view_read_summary(&w->op, v, &mail, &summary));
		assert_true(str_find(summary.envelope, str_from(seq > 25   ? "third"
								: seq > 20 ? "second"
									   : "first")) >= 0);
	}
	assert_int_equal(w->store->counters.summary_misses, 0);
	assert_int_equal(w->store->counters.summary_segments, 2);
	view_close(v);
	mailbox_unref(m);
	world_close(w);
}

static void summaries_come_from_segments(void **state)
{
	(void)state;
	world_in_memory(summaries_task, NULL);
}

/* ---- dropping ---- */

struct count {
	size_t appends, ops;
};

static enum err count_row(struct op *op, const struct catalog_row *row, void *arg)
{
	struct count *c = arg;
	(void)op;
	c->appends += row->kind == CATALOG_APPEND;
	c->ops += row->kind == CATALOG_OP;
	return ERR_NONE;
}

static struct count rows_of(struct world *w, struct mailbox *m)
{
	static const struct catalog_name all;
	struct count c = { 0 };
	assert_ok(catalog_read_rows(&w->op, w->catalog, w->user->name, m->guid, 0,
		user_last_bucket(w->user, m->guid), all, count_row, &c));
	return c;
}

static void drop_task(void *arg)
{
	(void)arg;
	struct world *w = world_open(false);
	struct mailbox *m = world_box(w, "INBOX");
	shake(w, m, 60);
	upload(w, m);
	size_t all = rows_of(w, m).ops;
	assert_true(all > 0);
	sleep_hours(w, 1);
	shake(w, m, 10);
	upload(w, m); /* those behind the first one's tail stay */
	assert_true(rows_of(w, m).ops >= all);
	sleep_hours(w, 1);
	world_append(w, m, "y");
	all = rows_of(w, m).ops;
	upload(w, m);
	struct count left = rows_of(w, m);
	assert_true(left.ops < all);
	assert_int_equal(left.appends, index_counters(m->index).messages);
	struct str before = world_describe(w, m);
	mailbox_unref(m);
	assert_str(opened_cold(w, WORLD_STOP), before);
	m = world_box(w, "INBOX");
	shake(w, m, 10);
	assert_ok(mailbox_verify(&w->op, m));
	mailbox_unref(m);
	world_close(w);
}

static void op_rows_are_dropped_in_time(void **state)
{
	(void)state;
	world_in_memory(drop_task, NULL);
}

/* ---- what breaks ---- */

static void damaged_task(void *arg)
{
	(void)arg;
	struct world *w = world_open(false);
	struct mailbox *m = world_box(w, "INBOX");
	shake(w, m, 40);
	upload(w, m);
	sleep_hours(w, 2);
	shake(w, m, 10);
	upload(w, m);
	sleep_hours(w, 2);
	shake(w, m, 10);
	upload(w, m);
	struct str before = world_describe(w, m);
	const struct user_base *b = user_base_of(w->user, m->guid);
	struct str key = base_object_key(&w->arena, w->user, m->guid, b->head.base.id);
	mailbox_unref(m);
	assert_ok(objects_delete(&w->op, w->objects, key));
	struct str after = opened_cold(w, WORLD_STOP);
	assert_str(after, before);
	assert_int_equal(w->store->counters.bases_damaged, 1);
	m = world_box(w, "INBOX");
	world_append(w, m, "z");
	upload(w, m);
	before = world_describe(w, m);
	mailbox_unref(m);
	assert_str(opened_cold(w, WORLD_STOP), before);
	assert_int_equal(w->store->counters.bases_damaged, 0);
	world_close(w);
}

static void a_lost_base_gives_way_to_the_one_before(void **state)
{
	(void)state;
	world_in_memory(damaged_task, NULL);
}

/* Every single request of an upload fails, in three ways; the mailbox is what it was, cold too. */
static void fail_upload(struct world *w, int64_t at, bool after, bool is_object)
{
	struct mailbox *m = world_box(w, "INBOX");
	shake(w, m, 4);
	if (is_object)
		objects_fault_set(w->objects,
			&(struct objects_fault_plan){ .fail_at = at, .fail_after_doing = after });
	else
		catalog_fault_set(w->catalog,
			&(struct catalog_fault_plan){ .fail_at = at, .fail_after_doing = after });
	enum err e = mailbox_upload_base(&w->op, m, BASE_TAIL);
	objects_fault_set(w->objects, &(struct objects_fault_plan){ 0 });
	catalog_fault_set(w->catalog, &(struct catalog_fault_plan){ 0 });
	if (e != ERR_NONE)
		op_forgive(&w->op);
	world_append(w, m, "behind");
	struct str before = world_describe(w, m);
	mailbox_unref(m);
	assert_str(opened_cold(w, WORLD_STOP), before);
	m = world_box(w, "INBOX");
	assert_ok(mailbox_upload_base(&w->op, m, BASE_TAIL));
	before = world_describe(w, m);
	mailbox_unref(m);
	assert_str(opened_cold(w, WORLD_STOP), before);
}

static void faults_task(void *arg)
{
	(void)arg;
	struct world *w = world_open(false);
	for (int64_t at = 1; at <= 6; at++)
		for (int kind = 0; kind < 4; kind++)
			fail_upload(w, at, kind & 1, kind & 2);
	world_close(w);
}

static void any_request_of_an_upload_may_fail(void **state)
{
	(void)state;
	world_in_memory(faults_task, NULL);
}

static void fail_open_task(void *arg)
{
	(void)arg;
	struct world *w = world_open(false);
	struct mailbox *m = world_box(w, "INBOX");
	shake(w, m, 30);
	upload(w, m);
	shake(w, m, 5);
	struct str before = world_describe(w, m);
	mailbox_unref(m);
	for (int64_t at = 1; at <= 3; at++) {
		world_stop(w);
		assert_ok(file_remove_tree(&w->op, w->settings.local_dir.p));
		world_open_store(w);
		objects_fault_set(w->objects, &(struct objects_fault_plan){ .fail_at = at });
		enum err e = mailbox_open(&w->op, w->user, STR("INBOX"), &m);
		objects_fault_set(w->objects, &(struct objects_fault_plan){ 0 });
		if (e == ERR_NONE) {
			mailbox_unref(m);
		} else {
			assert_int_equal(e, ERR_UNAVAILABLE);
			op_forgive(&w->op);
		}
		m = world_box(w, "INBOX");
		assert_str(world_describe(w, m), before);
		mailbox_unref(m);
	}
	world_close(w);
}

static void any_request_of_an_opening_may_fail(void **state)
{
	(void)state;
	world_in_memory(fail_open_task, NULL);
}

/* ---- crashes ---- */

static void crash_task(void *arg)
{
	(void)arg;
	struct world *w = world_open(false);
	for (int round = 0; round < 6; round++) {
		struct mailbox *m = world_box(w, "INBOX");
		shake(w, m, 10);
		if (round % 2)
			upload(w, m);
		shake(w, m, round);
		uint32_t messages = index_counters(m->index).messages;
		mailbox_unref(m);
		(void)opened_cold(w, round % 3 ? WORLD_CRASH_DROP : WORLD_STOP);
		m = world_box(w, "INBOX");
		assert_int_equal(index_counters(m->index).messages, messages);
		assert_ok(mailbox_verify(&w->op, m));
		mailbox_unref(m);
	}
	world_close(w);
}

static void a_crash_behind_a_base_loses_nothing(void **state)
{
	(void)state;
	world_in_memory(crash_task, NULL);
}

/* ---- without a journal of flags ---- */

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
	m = world_box(w, "INBOX");
	assert_ok(mailbox_verify(&w->op, m));
	mailbox_unref(m);
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

static void garbage_task(void *arg)
{
	(void)arg;
	struct world *w = world_open(false);
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
	world_close(w);
}

static void old_bases_are_collected(void **state)
{
	(void)state;
	world_in_memory(garbage_task, NULL);
}

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
static void tail_task(void *arg)
{
	(void)arg;
	struct world *w = world_open(false);
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
	world_close(w);
}

static void a_long_tail_makes_a_base(void **state)
{
	(void)state;
	world_in_memory(tail_task, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_cold_opening_is_what_was_uploaded),
		cmocka_unit_test(summaries_come_from_segments),
		cmocka_unit_test(op_rows_are_dropped_in_time),
		cmocka_unit_test(a_lost_base_gives_way_to_the_one_before),
		cmocka_unit_test(any_request_of_an_upload_may_fail),
		cmocka_unit_test(any_request_of_an_opening_may_fail),
		cmocka_unit_test(a_crash_behind_a_base_loses_nothing),
		cmocka_unit_test(bases_keep_flags_without_a_journal),
		cmocka_unit_test(old_bases_are_collected),
		cmocka_unit_test(a_large_mailbox_uploads_what_changed),
		cmocka_unit_test(a_mailbox_is_opened_by_one_get),
		cmocka_unit_test(a_long_tail_makes_a_base),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
