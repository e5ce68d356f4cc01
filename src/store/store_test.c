/* SPDX-License-Identifier: Apache-2.0 */
/* The store from end to end: saving, looking, changing, expunging, copying. Every scenario runs on
 * memory drivers in virtual time and on SQLite and files in real time. */
#include "store/scenario_test.h"

#include "catalog/cluster_test.h"

/* Once more with Cassandra and S3 where POMBAL_TEST_CQL and POMBAL_TEST_S3 say where they are. */
static void run_everywhere(world_scenario_fn *fn)
{
	const char *s3 = getenv("POMBAL_TEST_S3");
	world_run_all(fn);
	if (!cluster_address() || !s3 || !s3[0])
		return;
	AUTO_ARENA(arena, 0);
	struct world_run r = { fn, true };
	world_remote_catalog = cluster_catalog(&arena);
	world_remote_objects = str_printf(&arena, "s3(%s/%016" PRIx64 ")", s3, random_u64());
	test_in_task(world_run_task, &r);
	world_remote_catalog = world_remote_objects = STR_NONE;
}

/* ---- saving and reading ---- */

static void mail_is_saved_read_and_kept(struct world *w)
{
	struct mailbox *m = world_box(w, "inbox");
	struct view *v = world_view(w, m);
	assert_int_equal(view_exists(v), 0);
	assert_int_equal(world_append(w, m, "one"), 1);
	assert_int_equal(world_append(w, m, "two"), 2);
	assert_int_equal(view_exists(v), 0); /* not told yet */
	struct view_changes c = world_sync(w, v, false);
	assert_true(c.exists_changed);
	assert_int_equal(c.exists, 2);
	assert_int_equal(c.recent, 2);
	world_assert_body(w, v, 1, "one");
	world_assert_body(w, v, 2, "two");
	struct mail mail;
	assert_false(view_get(v, 3, &mail));
	assert_true(view_get_uid(v, 2, &mail));
	assert_int_equal(mail.seq, 2);
	assert_int_equal(mail.flags, MAIL_RECENT);
	view_close(v);
	struct str before = world_describe(w, m);
	mailbox_unref(m);
	for (enum world_end how = WORLD_STOP; how <= WORLD_CRASH_DROP; how++) {
		world_reopen(w, how);
		m = world_box(w, "INBOX");
		if (how == WORLD_STOP)
			assert_str(world_describe(w, m), before);
		assert_int_equal(w->store->counters.opens_clean, how != WORLD_CRASH_DROP);
		v = world_view(w, m);
		assert_int_equal(view_exists(v), 2);
		assert_int_equal(view_recent(v), 0);
		world_assert_body(w, v, 1, "one");
		assert_int_equal(w->store->counters.summary_misses, 0); /* rows carry them */
		assert_ok(mailbox_verify(&w->op, m));
		view_close(v);
		mailbox_unref(m);
	}
}

static void a_multiappend_gets_uids_in_order(struct world *w)
{
	struct mailbox *m = world_box(w, "Sent");
	struct str words[] = { STR("$Forwarded") };
	struct append many[20];
	for (size_t i = 0; i < ARRAY_COUNT(many); i++)
		many[i] = (struct append){ .message = world_mail(w, "x"),
			.flags = MAIL_SEEN,
			.keywords = words,
			.keyword_count = 1,
			.received_wall_us = 1000 * US_PER_SEC };
	struct append_result r;
	assert_ok(mailbox_append(&w->op, m, many, ARRAY_COUNT(many), &r));
	for (uint32_t i = 0; i < ARRAY_COUNT(many); i++)
		assert_int_equal(r.uids[i], i + 1);
	assert_int_equal(r.uid_validity, mailbox_uid_validity(m));
	assert_int_equal(w->store->counters.append_commits, 1);
	struct view *v = world_view(w, m);
	struct mail mail;
	const struct str *keywords;
	assert_true(view_get(v, 20, &mail));
	assert_int_equal(mail.flags, MAIL_SEEN | MAIL_RECENT);
	assert_int_equal(mail.keywords, 1);
	assert_int_equal(mail.received_wall_us, 1000 * US_PER_SEC);
	assert_int_equal(mailbox_keywords(m, &keywords), 1);
	assert_str(keywords[0], STR("$Forwarded"));
	many[3].message.n = 65u << 20;
	assert_err(mailbox_append(&w->op, m, many, 4, &r), ERR_LIMIT);
	view_close(v);
	mailbox_unref(m);
}

struct delivery {
	struct world *w;
	struct mailbox *m;
	int *left;
	uint32_t *uids;
};

static void deliver_task(void *arg)
{
	struct delivery *d = arg;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	struct append a = { .message = STR("Subject: x\r\n\r\nx\r\n") };
	struct append_result r;
	assert_ok(mailbox_append(&op, d->m, &a, 1, &r));
	assert_int_equal(d->uids[r.uids[0]]++, 0);
	--*d->left;
}

static void deliveries_share_commits(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	uint32_t uids[101] = { 0 };
	int left = 100;
	struct delivery d = { w, m, &left, uids };
	for (int i = 0; i < 100; i++)
		task_start("deliver", deliver_task, &d);
	while (left > 0)
		assert_ok(task_sleep(&w->op, US_PER_MS));
	for (int i = 1; i <= 100; i++)
		assert_int_equal(uids[i], 1);
	assert_int_equal(w->store->counters.appends, 100);
	assert_true(w->store->counters.append_commits < 60);
	mailbox_unref(m);
}

/* ---- flags ---- */

static void flags_are_told_to_the_others(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	for (int i = 0; i < 5; i++)
		world_append(w, m, "x");
	struct view *a = world_view(w, m), *b = world_view(w, m);
	struct mail mail;
	world_flags(w, a, 2, 3, FLAGS_ADD, MAIL_SEEN | MAIL_FLAGGED);
	struct view_changes c = world_sync(w, b, false);
	assert_int_equal(c.changed_count, 2);
	assert_int_equal(c.changed_seqs[0], 2);
	assert_int_equal(c.changed_seqs[1], 3);
	assert_true(view_get(b, 2, &mail));
	assert_int_equal(mail.flags & ~(unsigned)MAIL_RECENT, MAIL_SEEN | MAIL_FLAGGED);
	assert_int_equal(world_sync(w, a, false).changed_count, 2); /* not silent */
	assert_int_equal(world_sync(w, a, false).changed_count, 0);
	/* Silent, with a keyword, and conditional. */
	struct str words[] = { STR("work") };
	struct store_flags change = { .change = FLAGS_REPLACE,
		.flags = MAIL_ANSWERED,
		.keywords = words,
		.keyword_count = 1,
		.unchanged_since = mail.modseq - 1,
		.is_silent = true };
	struct range_set all = world_set(1, 9), modified;
	range_set_init(&modified);
	assert_ok(view_store_flags(&w->op, a, &all, &change, &modified));
	assert_int_equal(range_set_size(&modified), 2);
	assert_true(range_set_has(&modified, 3));
	c = world_sync(w, a, true);
	assert_int_equal(c.changed_count, 0);
	assert_true(c.keywords_changed);
	c = world_sync(w, b, true);
	assert_int_equal(c.changed_count, 3);
	range_set_done(&modified);
	range_set_done(&all);
	struct mailbox_status s;
	assert_ok(mailbox_status(&w->op, w->user, STR("INBOX"), &s));
	assert_int_equal(s.unseen, 3);
	assert_ok(mailbox_verify(&w->op, m));
	view_close(a);
	view_close(b);
	mailbox_unref(m);
}

/* kill -9 directly after a STORE: the local log has it, and the next opening journals it. */
static void async_flags_survive_the_process(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	world_append(w, m, "x");
	world_append(w, m, "y");
	struct view *v = world_view(w, m);
	world_flags(w, v, 1, 1, FLAGS_ADD, MAIL_FLAGGED);
	uint64_t told = index_modseq(m->index);
	view_close(v);
	mailbox_unref(m);
	world_reopen(w, WORLD_CRASH);
	m = world_box(w, "INBOX");
	assert_int_equal(index_hot(m->index, 0)->flags, MAIL_FLAGGED);
	assert_true(index_modseq(m->index) > told);
	assert_ok(mailbox_verify(&w->op, m));
	assert_int_equal(index_settle_modseq(m->index, told + 1), told + 1); /* no hole */
	mailbox_unref(m);
	/* And a second later the row is there, whatever happens to the local files. */
	world_reopen(w, WORLD_CRASH_DROP);
	m = world_box(w, "INBOX");
	assert_int_equal(index_hot(m->index, 0)->flags, MAIL_FLAGGED);
	mailbox_unref(m);
}

/* Once a second what has gathered is one row; in mode off it is written at close. */
static void async_flags_are_journalled(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	for (int i = 0; i < 10; i++)
		world_append(w, m, "x");
	struct view *v = world_view(w, m);
	world_flags(w, v, 1, 1, FLAGS_ADD, MAIL_SEEN); /* claims the mailbox */
	assert_ok(task_sleep(&w->op, 1500 * US_PER_MS));
	uint64_t writes = catalog_counters(w->catalog).writes;
	for (uint32_t seq = 1; seq <= 10; seq++)
		world_flags(w, v, seq, seq, FLAGS_ADD, MAIL_FLAGGED);
	assert_ok(task_sleep(&w->op, 1500 * US_PER_MS));
	assert_int_equal(catalog_counters(w->catalog).writes, writes + 1);
	view_close(v);
	mailbox_unref(m);
	world_reopen(w, WORLD_CRASH_DROP);
	w->store->settings.flags_journal = STORE_FLAGS_OFF;
	m = world_box(w, "INBOX");
	v = world_view(w, m);
	for (uint32_t at = 0; at < 10; at++)
		assert_true(index_hot(m->index, at)->flags & MAIL_FLAGGED);
	world_flags(w, v, 1, 10, FLAGS_REPLACE, MAIL_DRAFT);
	assert_ok(task_sleep(&w->op, 1500 * US_PER_MS));
	assert_true(m->pending.n > 0);
	view_close(v);
	mailbox_unref(m);
	world_reopen(w, WORLD_STOP);
	m = world_box(w, "INBOX");
	assert_int_equal(index_hot(m->index, 9)->flags, MAIL_DRAFT);
	assert_ok(mailbox_verify(&w->op, m));
	mailbox_unref(m);
}

/* A power loss takes the log: what was told lately may be lost, so a hole is noted. */
static void lost_flags_leave_a_hole(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	world_append(w, m, "x");
	struct view *v = world_view(w, m);
	world_flags(w, v, 1, 1, FLAGS_ADD, MAIL_FLAGGED);
	world_append(w, m, "durable, but the flag before it is not");
	uint64_t told = index_modseq(m->index);
	view_close(v);
	mailbox_unref(m);
	world_reopen(w, WORLD_CRASH_DROP);
	m = world_box(w, "INBOX");
	assert_int_equal(index_count(m->index), 2);
	assert_int_equal(index_hot(m->index, 0)->flags, 0);
	assert_true(index_modseq(m->index) > told);
	assert_int_equal(index_settle_modseq(m->index, told), 0);
	mailbox_unref(m);
}

/* ---- expunge ---- */

static void expunges_wait_until_they_may_be_told(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	for (int i = 0; i < 6; i++)
		world_append(w, m, "x");
	struct view *a = world_view(w, m), *b = world_view(w, m);
	world_flags(w, a, 2, 2, FLAGS_ADD, MAIL_DELETED);
	world_flags(w, a, 5, 6, FLAGS_ADD, MAIL_DELETED);
	(void)world_sync(w, b, true);
	struct range_set only = world_set(1, 5);
	assert_ok(view_expunge(&w->op, a, &only));
	range_set_done(&only);
	struct view_changes c = world_sync(w, a, true);
	assert_int_equal(c.expunged_count, 2);
	assert_int_equal(c.expunged_seqs[0], 5);
	assert_int_equal(c.expunged_uids[0], 5);
	assert_int_equal(c.expunged_seqs[1], 2);
	assert_int_equal(c.exists, 4);
	assert_false(c.exists_changed);
	struct mail mail;
	assert_true(view_get(a, 4, &mail));
	assert_int_equal(mail.uid, 6);
	/* b still sees all six, and may read the body. */
	world_append(w, m, "new");
	c = world_sync(w, b, false);
	assert_true(c.has_withheld_expunges);
	assert_true(c.exists_changed);
	assert_int_equal(c.exists, 7);
	assert_true(view_get(b, 2, &mail));
	assert_true(mail.is_expunged);
	world_assert_body(w, b, 2, "x");
	struct mailbox_status s;
	view_status(b, &s);
	assert_true(s.highest_modseq < index_modseq(m->index));
	struct range_set two = world_set(2, 2);
	struct copy_result r;
	assert_err(view_copy(&w->op, b, &two, m, false, &r), ERR_NOT_FOUND);
	range_set_done(&two);
	assert_int_equal(index_count(m->index), 7);
	c = world_sync(w, b, true);
	assert_int_equal(c.expunged_count, 2);
	assert_int_equal(index_count(m->index), 5); /* the memory is free */
	assert_false(view_get_uid(b, 2, &mail));
	view_close(a);
	view_close(b);
	assert_ok(mailbox_verify(&w->op, m));
	mailbox_unref(m);
	for (enum world_end how = WORLD_STOP; how <= WORLD_CRASH_DROP; how++) {
		world_reopen(w, how);
		m = world_box(w, "INBOX");
		assert_int_equal(index_counters(m->index).messages, 5);
		assert_int_equal(index_next_uid(m->index), 8);
		mailbox_unref(m);
	}
}

/* UIDs have 32 bits (RFC 9051 2.3.1.1): none is given twice, and mails can be taken elsewhere. */
static void uids_end(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX"), *sent = world_box(w, "Sent");
	struct range_set one = world_set(1, 1);
	struct copy_result r;
	uint32_t uid;
	world_append(w, m, "x");
	struct view *v = world_view(w, m);
	index_raise(m->index, UINT32_MAX - 2, 0);
	assert_err(world_try_append(w, m, "y", &uid), ERR_LIMIT);
	assert_ok(view_copy(&w->op, v, &one, sent, false, &r));
	range_set_done(&one);
	view_close(v);
	mailbox_unref(sent);
	mailbox_unref(m);
}

static void garbage_is_collected_when_nothing_refers(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX"), *sent = world_box(w, "Sent");
	uint64_t deleted;
	for (int i = 0; i < 3; i++)
		world_append(w, m, "x");
	struct view *v = world_view(w, m), *s = world_view(w, sent);
	struct range_set first = world_set(1, 1);
	struct copy_result r;
	assert_ok(view_copy(&w->op, v, &first, sent, false, &r));
	world_flags(w, v, 1, 2, FLAGS_ADD, MAIL_DELETED);
	assert_ok(view_expunge(&w->op, v, NULL));
	(void)world_sync(w, v, true);
	assert_ok(world_try_collect(w, US_PER_SEC * 3600, &deleted));
	assert_int_equal(deleted, 0); /* too young */
	assert_ok(world_try_collect(w, -US_PER_SEC, &deleted));
	assert_int_equal(deleted, 1); /* the copied one lives */
	(void)world_sync(w, s, true);
	world_assert_body(w, s, 1, "x");
	world_flags(w, s, 1, 1, FLAGS_ADD, MAIL_DELETED);
	assert_ok(view_expunge(&w->op, s, NULL));
	assert_ok(world_try_collect(w, -US_PER_SEC, &deleted));
	assert_int_equal(deleted, 1);
	view_close(v);
	view_close(s);
	range_set_done(&first);
	mailbox_unref(m);
	mailbox_unref(sent);
	/* A deleted mailbox: rows first, objects in the next round. */
	assert_ok(tree_create(&w->op, w->user, STR("old"), STR("")));
	m = world_box(w, "old");
	world_append(w, m, "x");
	assert_ok(tree_remove(&w->op, w->user, STR("old")));
	mailbox_unref(m);
	assert_ok(world_try_collect(w, -US_PER_SEC, &deleted));
	uint64_t more;
	assert_ok(world_try_collect(w, -US_PER_SEC, &more));
	assert_int_equal(deleted + more, 1);
}

static void a_bad_entry_does_not_stop_the_collector(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	uint32_t shard = catalog_user_shard(w->catalog, w->user->name);
	struct catalog_change bad = { .kind = CATALOG_PUT_GARBAGE,
		.mailbox = m->guid,
		.object = STR("no object"),
		.row = { .kind = CATALOG_OP, .name = store_name(w->store) },
		.queued = store_name(w->store) };
	uint64_t deleted;
	assert_ok(catalog_write(&w->op, w->catalog, w->user->name, &bad, 1));
	world_append(w, m, "x");
	struct view *v = world_view(w, m);
	world_flags(w, v, 1, 1, FLAGS_ADD, MAIL_DELETED);
	assert_ok(view_expunge(&w->op, v, NULL));
	assert_err(
		store_collect_garbage(&w->op, w->store, shard, -US_PER_SEC, &deleted), ERR_CORRUPT);
	assert_int_equal(deleted, 1);
	view_close(v);
	mailbox_unref(m);
}

/* A delivery to a mailbox that this process writes: one object, one write of rows, nothing is read. */
static void a_warm_delivery_is_a_put_and_a_row(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	world_append(w, m, "first");
	for (int i = 0; i < 3; i++) {
		struct catalog_counters c = catalog_counters(w->catalog);
		struct objects_counters o = objects_counters(w->objects);
		world_append(w, m, "warm");
		struct catalog_counters c2 = catalog_counters(w->catalog);
		struct objects_counters o2 = objects_counters(w->objects);
		assert_int_equal(c2.writes, c.writes + 1);
		assert_int_equal(c2.commits, c.commits + 1);
		assert_int_equal(c2.rows_written, c.rows_written + 1);
		assert_int_equal(c2.reads, c.reads);
		assert_int_equal(o2.puts, o.puts + 1);
		assert_int_equal(o2.gets + o2.stats + o2.deletes, o.gets + o.stats + o.deletes);
	}
	mailbox_unref(m);
}

/* ---- copy and move ---- */

static void copies_and_moves_keep_what_a_mail_is(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX"), *sent = world_box(w, "Sent");
	for (int i = 0; i < 4; i++)
		world_append(w, m, i == 1 ? "moved" : "x");
	struct view *v = world_view(w, m), *s = world_view(w, sent);
	world_flags(w, v, 2, 2, FLAGS_ADD, MAIL_FLAGGED);
	struct mail before, after;
	assert_true(view_get(v, 2, &before));
	struct range_set some = world_set(1, 3), second = world_set(2, 2);
	struct copy_result r;
	assert_ok(view_copy(&w->op, v, &some, sent, false, &r));
	assert_int_equal(r.count, 3);
	assert_int_equal(r.source_uids[2], 3);
	assert_int_equal(r.target_uids[2], 3);
	assert_ok(view_copy(&w->op, v, &second, sent, true, &r));
	assert_int_equal(r.target_uids[0], 4);
	assert_int_equal(world_sync(w, v, true).expunged_count, 1);
	assert_int_equal(world_sync(w, s, true).exists, 4);
	assert_true(view_get(s, 4, &after));
	assert_memory_equal(after.guid, before.guid, sizeof(after.guid));
	assert_int_equal(after.received_wall_us, before.received_wall_us);
	assert_int_equal(after.flags & MAIL_FLAGGED, MAIL_FLAGGED);
	world_assert_body(w, s, 4, "moved");
	assert_int_equal(w->store->counters.summary_misses, 0);
	/* Within one mailbox a moved mail gets a new UID. */
	struct range_set first = world_set(1, 1);
	assert_ok(view_copy(&w->op, v, &first, m, true, &r));
	struct view_changes c = world_sync(w, v, true);
	assert_int_equal(c.expunged_count, 1);
	assert_int_equal(c.exists, 3);
	assert_int_equal(view_last_uid(v), 5);
	range_set_done(&some);
	range_set_done(&second);
	range_set_done(&first);
	view_close(v);
	view_close(s);
	assert_ok(mailbox_verify(&w->op, m));
	assert_ok(mailbox_verify(&w->op, sent));
	mailbox_unref(m);
	mailbox_unref(sent);
}

#define CLOUD_SCENARIO(name)                                                                       \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		run_everywhere(name);                                                              \
	}

CLOUD_SCENARIO(mail_is_saved_read_and_kept)
CLOUD_SCENARIO(a_multiappend_gets_uids_in_order)
SCENARIO(deliveries_share_commits) /* how many meet depends on the time that objects take */
CLOUD_SCENARIO(a_warm_delivery_is_a_put_and_a_row)
CLOUD_SCENARIO(flags_are_told_to_the_others)
CLOUD_SCENARIO(async_flags_survive_the_process)
CLOUD_SCENARIO(async_flags_are_journalled)
CLOUD_SCENARIO(lost_flags_leave_a_hole)
CLOUD_SCENARIO(expunges_wait_until_they_may_be_told)
CLOUD_SCENARIO(uids_end)
CLOUD_SCENARIO(garbage_is_collected_when_nothing_refers)
CLOUD_SCENARIO(a_bad_entry_does_not_stop_the_collector)
CLOUD_SCENARIO(copies_and_moves_keep_what_a_mail_is)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mail_is_saved_read_and_kept),
		cmocka_unit_test(test_a_multiappend_gets_uids_in_order),
		cmocka_unit_test(test_deliveries_share_commits),
		cmocka_unit_test(test_a_warm_delivery_is_a_put_and_a_row),
		cmocka_unit_test(test_flags_are_told_to_the_others),
		cmocka_unit_test(test_async_flags_survive_the_process),
		cmocka_unit_test(test_async_flags_are_journalled),
		cmocka_unit_test(test_lost_flags_leave_a_hole),
		cmocka_unit_test(test_expunges_wait_until_they_may_be_told),
		cmocka_unit_test(test_uids_end),
		cmocka_unit_test(test_garbage_is_collected_when_nothing_refers),
		cmocka_unit_test(test_a_bad_entry_does_not_stop_the_collector),
		cmocka_unit_test(test_copies_and_moves_keep_what_a_mail_is),
	};
	return cmocka_run_group_tests(tests, cluster_setup, cluster_teardown);
}
