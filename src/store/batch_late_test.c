/* SPDX-License-Identifier: Apache-2.0 */
/* What comes late: a host stands still while a move of its is in doubt, and goes on with it; the collector comes later
 * than it should. */
#include "store/pair_test.h"

static const struct catalog_fault_plan down = {
	.fail_at = 1, .fail_from_there = true, .spares_reads = true
};

#define HOUR_US (INT64_C(3600) * US_PER_SEC)

struct doubt {
	struct mailbox *inbox, *sent;
};

/* `a` moves the first two of three mails from INBOX to Sent, and stands still. */
static struct doubt move_in_doubt(struct pair *p)
{
	struct doubt d = { .inbox = world_box(p->a, "INBOX"), .sent = world_box(p->a, "Sent") };
	struct range_set some = world_set(1, 2);
	struct copy_result result;
	(void)world_append(p->a, d.inbox, "a1");
	(void)world_append(p->a, d.inbox, "a2");
	(void)world_append(p->a, d.inbox, "a3");
	(void)world_append(p->a, d.sent, "sent");
	struct view *v = world_view(p->a, d.inbox);
	catalog_fault_set(p->a->catalog, &down);
	assert_err(view_copy(&p->a->op, v, &some, d.sent, true, &result), ERR_UNAVAILABLE);
	catalog_fault_set(p->a->catalog, &(struct catalog_fault_plan){ 0 });
	op_forgive(&p->a->op);
	view_close(v);
	range_set_done(&some);
	assert_false(list_is_empty(&p->a->user->unsettled));
	timer_cancel(&p->a->user->refresh);
	return d;
}

static void let_go(struct doubt *d)
{
	mailbox_unref(d->inbox);
	mailbox_unref(d->sent);
}

/* Messages of a mailbox that is as its rows say, and whose mails can be read. */
static uint32_t count_of(struct world *w, const char *name)
{
	struct mailbox *m = world_box(w, name);
	struct view *v = world_view(w, m);
	assert_ok(mailbox_verify(&w->op, m));
	for (uint32_t seq = 1; seq <= view_exists(v); seq++) {
		struct mail mail;
		struct str body;
		assert_true(view_get(v, seq, &mail));
		assert_ok(view_read_body(&w->op, v, &mail, &body));
	}
	uint32_t count = view_exists(v);
	view_close(v);
	mailbox_unref(m);
	return count;
}

/* ---- rows that come late ---- */

/* It dies at its `n`th request: what was written is found, and a head says where. */
static void who_dies_is_found(struct pair *p, int64_t n)
{
	struct doubt d = move_in_doubt(p);
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX"), *sent = world_box(p->b, "Sent");
	assert_ok(task_sleep(&p->b->op, HOUR_US / 2));
	(void)world_append(p->b, b, "b1");
	(void)world_append(p->b, sent, "b2");
	mailbox_unref(b);
	mailbox_unref(sent);
	world_stop(p->b);
	catalog_fault_set(p->a->catalog,
		&(struct catalog_fault_plan){
			.fail_at = n, .fail_from_there = true, .spares_reads = true });
	bool is_done = user_settle(&p->a->op, p->a->user) == ERR_NONE;
	op_forgive(&p->a->op);
	let_go(&d);
	world_crash(p->a);
	catalog_fault_set(p->a->catalog, &(struct catalog_fault_plan){ 0 });
	world_open_store(p->b);
	uint32_t left = count_of(p->b, "INBOX"), there = count_of(p->b, "Sent");
	assert_int_equal(left + there, 6);
	assert_true(there == 2 || there == 4);
	assert_true(!is_done || there == 4);
	world_open_store(p->a);
	assert_int_equal(count_of(p->a, "INBOX"), left);
	assert_int_equal(count_of(p->a, "Sent"), there);
}

#define WHO_DIES(n)                                                                                \
	static void who_dies_at_##n##_in(struct pair *p)                                           \
	{                                                                                          \
		who_dies_is_found(p, n);                                                           \
	}                                                                                          \
	PAIR_TEST(who_dies_at_##n)

WHO_DIES(1)
WHO_DIES(2)
WHO_DIES(3)
WHO_DIES(4)
WHO_DIES(5)
WHO_DIES(6)

/* ---- objects that are gone ---- */

static void expunge_first(struct world *w, const char *name)
{
	struct mailbox *m = world_box(w, name);
	struct view *v = world_view(w, m);
	world_flags(w, v, 1, 1, FLAGS_ADD, MAIL_DELETED);
	assert_ok(view_expunge(&w->op, v, NULL));
	view_close(v);
	mailbox_unref(m);
}

/* `b` expunges one of the mails, and the collector takes it. */
static void what_was_collected_is_left_out_in(struct pair *p)
{
	struct doubt d = move_in_doubt(p);
	uint64_t deleted;
	world_open_store(p->b);
	expunge_first(p->b, "INBOX");
	assert_ok(task_sleep(&p->b->op, 2 * HOUR_US));
	assert_ok(world_try_collect(p->b, HOUR_US, &deleted));
	assert_int_equal(deleted, 1);
	assert_ok(user_settle(&p->a->op, p->a->user));
	refresh(p->a, d.inbox);
	let_go(&d);
	assert_int_equal(count_of(p->a, "INBOX"), 1);
	assert_int_equal(count_of(p->a, "Sent"), 2);
	world_stop(p->a);
	world_stop(p->b);
	world_open_store(p->b);
	assert_int_equal(count_of(p->b, "INBOX"), 1);
	assert_int_equal(count_of(p->b, "Sent"), 2);
	world_open_store(p->a);
}
PAIR_TEST(what_was_collected_is_left_out)

/* The collector comes late, too: an old entry, of another row that named the object, does not shorten the hour. */
static void each_row_gives_its_object_an_hour_in(struct pair *p)
{
	struct mailbox *a = world_box(p->a, "INBOX"), *sent = world_box(p->a, "Sent");
	struct range_set all = world_set(1, 1);
	struct copy_result result;
	uint64_t deleted;
	(void)world_append(p->a, a, "a1");
	struct view *v = world_view(p->a, a);
	assert_ok(view_copy(&p->a->op, v, &all, sent, false, &result));
	view_close(v);
	range_set_done(&all);
	mailbox_unref(a);
	mailbox_unref(sent);
	expunge_first(p->a, "Sent");
	assert_ok(task_sleep(&p->a->op, 2 * HOUR_US));
	expunge_first(p->a, "INBOX");
	assert_ok(world_try_collect(p->a, HOUR_US, &deleted));
	assert_int_equal(deleted, 0);
	assert_ok(task_sleep(&p->a->op, HOUR_US / 2));
	assert_ok(world_try_collect(p->a, HOUR_US, &deleted));
	assert_int_equal(deleted, 0);
	assert_ok(task_sleep(&p->a->op, HOUR_US));
	assert_ok(world_try_collect(p->a, HOUR_US, &deleted));
	assert_int_equal(deleted, 1);
	world_open_store(p->b);
}
PAIR_TEST(each_row_gives_its_object_an_hour)

/* What was not tried yet is refused. */
static void old_sources_are_refused_in(struct pair *p)
{
	struct mailbox *a = world_box(p->a, "INBOX");
	(void)world_append(p->a, a, "a1");
	struct batch *b = batch_new(p->a->user);
	AUTO_BUF(value, 0);
	row_hole_encode(&value, 1, 2);
	batch_put_op(b, a->guid, 0, &value);
	b->sources_seen_ms = now_wall_us() / US_PER_MS;
	assert_false(batch_has_old_sources(b));
	assert_ok(task_sleep(&p->a->op, HOUR_US));
	assert_true(batch_has_old_sources(b));
	uint64_t writes = catalog_counters(p->a->catalog).writes;
	assert_err(user_write(&p->a->op, p->a->user, b), ERR_UNAVAILABLE);
	op_forgive(&p->a->op);
	assert_int_equal(catalog_counters(p->a->catalog).writes, writes);
	assert_true(list_is_empty(&p->a->user->unsettled));
	mailbox_unref(a);
	world_open_store(p->b);
}
PAIR_TEST(old_sources_are_refused)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_dies_at_1),
		cmocka_unit_test(who_dies_at_2),
		cmocka_unit_test(who_dies_at_3),
		cmocka_unit_test(who_dies_at_4),
		cmocka_unit_test(who_dies_at_5),
		cmocka_unit_test(who_dies_at_6),
		cmocka_unit_test(what_was_collected_is_left_out),
		cmocka_unit_test(each_row_gives_its_object_an_hour),
		cmocka_unit_test(old_sources_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
