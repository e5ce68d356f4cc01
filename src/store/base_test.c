/* SPDX-License-Identifier: Apache-2.0 */
/* Bases: what is opened from one is what was uploaded; every request of an upload and of an opening may
 * fail, the process may die in between; op rows go when they may; a damaged base costs nothing. */
#include "store/base_test.h"
#include "store/scenario_test.h"

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

static void summaries_come_from_segments(struct world *w)
{
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
}
MEMORY_SCENARIO(summaries_come_from_segments)

/* ---- dropping ---- */

static void op_rows_are_dropped_in_time(struct world *w)
{
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
}
MEMORY_SCENARIO(op_rows_are_dropped_in_time)

/* ---- what breaks ---- */

static void a_lost_base_gives_way_to_the_one_before(struct world *w)
{
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
}
MEMORY_SCENARIO(a_lost_base_gives_way_to_the_one_before)

/* Without any base that can be read: by the journal while it is whole, else a clear error, of a class that
 * sends no mail back and creates nothing. */
static void without_any_base_nothing_is_empty(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	for (int i = 0; i < 2; i++) {
		shake(w, m, 10);
		upload(w, m);
	}
	for (int i = 0; i < 2; i++) {
		struct str before = world_describe(w, m);
		const struct head_base *head = &user_base_of(w->user, m->guid)->head;
		struct str keys[] = {
			base_object_key(&w->arena, w->user, m->guid, head->base.id),
			base_object_key(&w->arena, w->user, m->guid, head->previous.id),
		};
		assert_int_equal(name_is_none(head->dropped), i == 0);
		mailbox_unref(m);
		assert_ok(objects_delete_many(&w->op, w->objects, keys, 2));
		if (i > 0)
			break;
		assert_str(opened_cold(w, WORLD_STOP), before);
		m = world_box(w, "INBOX");
		for (int k = 0; k < 4; k++) {
			sleep_hours(w, 1);
			shake(w, m, 10);
			upload(w, m);
		}
	}
	world_stop(w);
	assert_ok(file_remove_tree(&w->op, w->settings.local_dir.p));
	world_open_store(w);
	assert_err(mailbox_open(&w->op, w->user, STR("INBOX"), &m), ERR_CORRUPT);
	op_forgive(&w->op);
}
MEMORY_SCENARIO(without_any_base_nothing_is_empty)

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

static void any_request_of_an_upload_may_fail(struct world *w)
{
	for (int64_t at = 1; at <= 6; at++)
		for (int kind = 0; kind < 4; kind++)
			fail_upload(w, at, kind & 1, kind & 2);
}
MEMORY_SCENARIO(any_request_of_an_upload_may_fail)

static void any_request_of_an_opening_may_fail(struct world *w)
{
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
}
MEMORY_SCENARIO(any_request_of_an_opening_may_fail)

/* ---- crashes ---- */

static void a_crash_behind_a_base_loses_nothing(struct world *w)
{
	for (int round = 0; round < 6; round++) {
		struct mailbox *m = world_box(w, "INBOX");
		shake(w, m, 10);
		if (round % 2)
			upload(w, m);
		shake(w, m, round);
		uint32_t messages = index_counters(m->index).messages;
		mailbox_unref(m);
		(void)opened_cold(w, round % 3 ? WORLD_CRASH_DROP : WORLD_STOP);
		world_assert_inbox(w, messages);
	}
}
MEMORY_SCENARIO(a_crash_behind_a_base_loses_nothing)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_cold_opening_is_what_was_uploaded),
		cmocka_unit_test(test_summaries_come_from_segments),
		cmocka_unit_test(test_op_rows_are_dropped_in_time),
		cmocka_unit_test(test_a_lost_base_gives_way_to_the_one_before),
		cmocka_unit_test(test_without_any_base_nothing_is_empty),
		cmocka_unit_test(test_any_request_of_an_upload_may_fail),
		cmocka_unit_test(test_any_request_of_an_opening_may_fail),
		cmocka_unit_test(test_a_crash_behind_a_base_loses_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
