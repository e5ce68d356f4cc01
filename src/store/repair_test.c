/* SPDX-License-Identifier: Apache-2.0 */
/* What administrators repair and remove: users as a whole, damaged queues, mailboxes made anew. */
#include "store/scenario_test.h"

#include "base/codec.h"
#include "store/format/name.h"

static const struct str who = { "u1@example.test", 15 };

static enum err count_object(
	struct op *op, struct str key, const struct object_info *info, void *arg)
{
	(void)op;
	(void)key;
	(void)info;
	(*(size_t *)arg)++;
	return ERR_NONE;
}

static size_t count_objects(struct world *w)
{
	size_t n = 0;
	assert_ok(objects_iter(&w->op, w->objects, STR(""), count_object, &n));
	return n;
}

static void wait_idle(struct world *w)
{
	user_unref(w->user);
	w->user = NULL;
	assert_ok(user_wait_idle(&w->op, w->store, who));
}

/* INBOX with three mails of which one is copied, and one expunged. */
static void fill(struct world *w)
{
	struct mailbox *inbox = world_box(w, "INBOX"), *sent = world_box(w, "Sent");
	struct copy_result copied;
	world_append(w, inbox, "one");
	world_append(w, inbox, "two");
	world_append(w, inbox, "three");
	struct view *v = world_view(w, inbox);
	struct range_set two = world_set(2, 2);
	assert_ok(view_copy(&w->op, v, &two, sent, false, &copied));
	range_set_done(&two);
	world_flags(w, v, 1, 1, FLAGS_ADD, MAIL_DELETED);
	assert_ok(view_expunge(&w->op, v, NULL));
	view_close(v);
	mailbox_unref(sent);
	mailbox_unref(inbox);
}

/* ---- deleting a user ---- */

static size_t count_heads(struct world *w)
{
	struct catalog_head *heads;
	size_t count;
	assert_ok(catalog_read_heads(&w->op, w->catalog, who, &heads, &count));
	return count;
}

static void a_deleted_user_leaves_one_head(struct world *w)
{
	struct user_obliterated gone;
	struct mailbox *m = world_box(w, "INBOX");
	struct mailbox_guid before = mailbox_guid(m);
	mailbox_unref(m);
	fill(w);
	assert_err(user_obliterate(&w->op, w->store, who, &gone), ERR_CONFLICT);
	op_forgive(&w->op);
	wait_idle(w);
	assert_ok(user_obliterate(&w->op, w->store, who, &gone));
	assert_int_equal(gone.objects, 3);
	assert_int_equal(gone.mails, 3); /* the expunged one has no row; the copy has */
	assert_int_equal(gone.mailboxes, 2);
	assert_int_equal(count_heads(w), 1);
	assert_int_equal(count_objects(w), 0);
	char *dir = user_dir(w->store, who);
	assert_int_not_equal(access(dir, F_OK), 0);
	mem_free(dir);
	assert_err(user_obliterate(&w->op, w->store, who, &gone), ERR_NOT_FOUND);
	op_forgive(&w->op);
	assert_err(user_obliterate(&w->op, w->store, STR("nobody"), &gone), ERR_NOT_FOUND);
	op_forgive(&w->op);
	/* The next one of that name begins with other mailboxes, and stays. */
	assert_ok(user_open(&w->op, w->store, who, &w->user));
	m = world_box(w, "INBOX");
	struct mailbox_guid after = mailbox_guid(m);
	assert_memory_not_equal(&before, &after, sizeof(before));
	world_append(w, m, "new");
	mailbox_unref(m);
	world_reopen(w, WORLD_CRASH_DROP);
	m = world_box(w, "INBOX");
	assert_int_equal(index_count(m->index), 1);
	mailbox_unref(m);
}
SCENARIO(a_deleted_user_leaves_one_head)

/* Whatever fails, he is either whole or cannot be opened, and calling it again ends it. */
static void a_deletion_that_fails_anywhere_is_resumed(void *arg)
{
	(void)arg;
	bool has_failed = true;
	for (int64_t at = 1; has_failed; at++) {
		struct user_obliterated gone;
		struct world *w = world_open(false);
		fill(w);
		wait_idle(w);
		catalog_fault_set(w->catalog,
			&(struct catalog_fault_plan){ .fail_at = at, .fail_from_there = true });
		has_failed = user_obliterate(&w->op, w->store, who, &gone) != ERR_NONE;
		op_forgive(&w->op);
		catalog_fault_set(w->catalog, &(struct catalog_fault_plan){ 0 });
		world_crash(w);
		assert_ok(store_open(&w->op, &w->settings, w->objects, w->catalog, &w->store));
		if (has_failed) {
			enum err e = user_open(&w->op, w->store, who, &w->user);
			if (e == ERR_NONE) {
				struct mailbox *m = world_box(w, "INBOX");
				assert_int_equal(index_counters(m->index).messages, 2);
				mailbox_unref(m);
				wait_idle(w);
			} else {
				assert_int_equal(e, ERR_UNAVAILABLE);
				op_forgive(&w->op);
			}
			assert_ok(user_obliterate(&w->op, w->store, who, &gone));
		}
		assert_int_equal(count_heads(w), 1);
		assert_int_equal(count_objects(w), 0);
		world_close(w);
	}
}

static void test_a_deletion_that_fails_anywhere_is_resumed(void **state)
{
	(void)state;
	world_in_memory(a_deletion_that_fails_anywhere_is_resumed, NULL);
}

struct opener {
	struct world *w;
	enum err result;
	bool is_done;
};

static void open_meanwhile(void *arg)
{
	struct opener *o = arg;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	o->result = user_open(&op, o->w->store, who, &o->w->user);
	o->is_done = true;
}

static void who_opens_meanwhile_creates_him_anew(struct world *w)
{
	struct user_obliterated gone;
	struct opener o = { .w = w };
	fill(w);
	wait_idle(w);
	struct user *u;
	assert_ok(user_hold(&w->op, w->store, who, &u)); /* as the deletion does */
	task_start("opener", open_meanwhile, &o);
	assert_ok(task_sleep(&w->op, US_PER_MS));
	assert_false(o.is_done);
	user_let_go(u);
	while (!o.is_done)
		assert_ok(task_sleep(&w->op, US_PER_MS));
	assert_ok(o.result);
	wait_idle(w);
	assert_ok(user_obliterate(&w->op, w->store, who, &gone));
	assert_ok(user_open(&w->op, w->store, who, &w->user));
}
SCENARIO(who_opens_meanwhile_creates_him_anew)

/* ---- a lost catalog ---- */

/* The same objects, and a catalog that knows nobody. */
static void lose_catalog(struct world *w)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	world_stop(w);
	op_init(&op, &arena, NULL, TIME_NEVER);
	catalog_close(&op, w->catalog);
	assert_ok(catalog_open_text(&w->op,
		world_is_loose ? STR("fault:mem(2,loose)") : STR("fault:mem(2)"), &w->catalog));
	assert_ok(file_remove_tree(&w->op, w->settings.local_dir.p));
	assert_ok(store_open(&w->op, &w->settings, w->objects, w->catalog, &w->store));
}

/* What clients compare: UID, flags, keywords of each mail. */
static struct str mails_as_text(struct world *w, struct mailbox *m)
{
	AUTO_BUF(out, 0);
	const struct str *words;
	(void)index_keywords(m->index, &words);
	for (uint32_t at = 0; at < index_count(m->index); at++) {
		const struct snapshot_hot *hot = index_hot(m->index, at);
		if (!index_is_ghost(hot))
			buf_putf(&out, "%u:%x:%" PRIx64 " ", hot->uid, hot->flags, hot->keywords);
	}
	return buf_dup(&w->arena, &out);
}

static void what_bases_and_objects_say_comes_back(struct world *w)
{
	AUTO_BUF(report, 0);
	assert_ok(tree_create(&w->op, w->user, STR("work/plans"), STR("")));
	struct mailbox *inbox = world_box(w, "INBOX"), *plans = world_box(w, "work/plans");
	for (int i = 0; i < 3; i++)
		world_append(w, inbox, "based");
	struct view *v = world_view(w, inbox);
	struct str word = STR("kept");
	struct store_flags change = { .change = FLAGS_ADD,
		.flags = MAIL_SEEN,
		.keywords = &word,
		.keyword_count = 1,
		.unchanged_since = UINT64_MAX };
	struct range_set two = world_set(2, 2);
	assert_ok(view_store_flags(&w->op, v, &two, &change, NULL));
	struct copy_result copied;
	assert_ok(view_copy(&w->op, v, &two, plans, false, &copied));
	range_set_done(&two);
	assert_ok(mailbox_upload_base(&w->op, inbox, BASE_FLUSH));
	assert_ok(mailbox_upload_base(&w->op, plans, BASE_FLUSH));
	struct str before = mails_as_text(w, inbox), plans_before = mails_as_text(w, plans);
	uint32_t validity = inbox->uid_validity, next = index_next_uid(inbox->index);
	world_append(w, inbox, "later");
	view_close(v);
	mailbox_unref(plans);
	mailbox_unref(inbox);
	assert_err(user_recover(&w->op, w->store, who, false, &report), ERR_CONFLICT);
	op_forgive(&w->op);
	wait_idle(w);
	assert_err(user_recover(&w->op, w->store, who, false, &report), ERR_EXISTS);
	op_forgive(&w->op);
	assert_ok(user_open(&w->op, w->store, who, &w->user));
	lose_catalog(w);
	assert_ok(user_recover(&w->op, w->store, who, true, &report));
	assert_int_equal(count_heads(w), 0);
	/* Left anywhere it is done again, and nothing comes twice. */
	enum err e = ERR_UNAVAILABLE;
	for (int64_t at = 1; e != ERR_NONE; at++) {
		op_forgive(&w->op);
		buf_clear(&report);
		assert_ok(task_sleep(&w->op, US_PER_SEC));
		catalog_fault_set(w->catalog, &(struct catalog_fault_plan){ .fail_at = at });
		e = user_recover(&w->op, w->store, who, false, &report);
		catalog_fault_set(w->catalog, &(struct catalog_fault_plan){ 0 });
		assert_in_range(at, 1, 50);
	}
	assert_ok(user_open(&w->op, w->store, who, &w->user));
	inbox = world_box(w, "INBOX");
	plans = world_box(w, "work/plans");
	assert_int_equal(inbox->uid_validity, validity);
	struct str after = mails_as_text(w, inbox);
	assert_true(str_starts(after, before));
	assert_str(mails_as_text(w, plans), plans_before);
	v = world_view(w, inbox);
	assert_int_equal(view_exists(v), 4);
	struct mail mail;
	assert_true(view_get(v, 4, &mail));
	assert_true(mail.uid > next);
	world_assert_body(w, v, 1, "based");
	world_assert_body(w, v, 4, "later");
	/* The copy keeps the object of a mail that goes. */
	uint64_t deleted;
	world_flags(w, v, 2, 2, FLAGS_ADD, MAIL_DELETED);
	assert_ok(view_expunge(&w->op, v, NULL));
	view_close(v);
	assert_ok(world_try_collect(w, -US_PER_SEC, &deleted));
	v = world_view(w, plans);
	world_assert_body(w, v, 1, "based");
	view_close(v);
	assert_ok(mailbox_verify(&w->op, inbox));
	mailbox_unref(plans);
	mailbox_unref(inbox);
	world_reopen(w, WORLD_CRASH_DROP);
	world_assert_inbox(w, 3);
}
MEMORY_SCENARIO(what_bases_and_objects_say_comes_back)

/* ---- the audit ---- */

static void orphans_are_queued_and_dangling_rows_told(struct world *w)
{
	struct user_audit a;
	AUTO_BUF(report, 0);
	uint64_t deleted;
	fill(w);
	assert_ok(user_audit(&w->op, w->store, who, -US_PER_SEC, &report, &a));
	assert_int_equal(a.objects, 3);
	assert_int_equal(a.rows, 3);
	assert_int_equal(a.orphans, 1); /* the expunged one; it is in the queue already */
	assert_int_equal(a.dangling, 0);
	struct str body = STR("nobody's"), key = STR("u1@example.test/mails/"
						     "00112233445566778899aabbccddeeff");
	assert_ok(objects_put(&w->op, w->objects,
		&(struct object_put){ .key = key, .parts = &body, .part_count = 1 }));
	assert_ok(user_audit(&w->op, w->store, who, STORE_ORPHAN_AGE_US, &report, &a));
	assert_int_equal(a.orphans, 0); /* too young */
	assert_ok(user_audit(&w->op, w->store, who, -US_PER_SEC, &report, &a));
	assert_ok(world_try_collect(w, -US_PER_SEC, &deleted));
	assert_true(deleted >= 2);
	assert_int_equal(count_objects(w), 2);
	struct mailbox *m = world_box(w, "INBOX");
	struct str lost = store_object_key(&w->arena, w->user, index_cold(m->index, 0)->oid);
	mailbox_unref(m);
	assert_ok(objects_delete(&w->op, w->objects, lost));
	buf_clear(&report);
	assert_ok(user_audit(&w->op, w->store, who, STORE_ORPHAN_AGE_US, &report, &a));
	assert_true(a.dangling > 0);
	assert_true(str_find(buf_str(&report), STR("dangling")) > 0);
}
SCENARIO(orphans_are_queued_and_dangling_rows_told)

/* ---- rows that are gone ---- */

static void missing_rows_are_put_back(struct world *w)
{
	struct mailbox_rebuilt rebuilt;
	struct mailbox *m = world_box(w, "INBOX");
	for (int i = 0; i < 3; i++)
		world_append(w, m, "kept");
	assert_ok(mailbox_rebuild(&w->op, m, REBUILD_LOOK, &rebuilt));
	struct snapshot_cold cold = *index_cold(m->index, 1);
	struct catalog_change gone = { .kind = CATALOG_DELETE_ROW,
		.mailbox = m->guid,
		.row = { CATALOG_APPEND, cold.bucket, cold.name, STR_NONE, 0 },
		.stamp_us = w->store->stamp_us };
	assert_ok(catalog_write(&w->op, w->catalog, who, &gone, 1));
	assert_err(mailbox_verify(&w->op, m), ERR_CORRUPT);
	assert_err(mailbox_rebuild(&w->op, m, REBUILD_LOOK, &rebuilt), ERR_CORRUPT);
	op_forgive(&w->op);
	assert_ok(mailbox_rebuild(&w->op, m, REBUILD_PUT_BACK, &rebuilt));
	assert_int_equal(rebuilt.put_back, 1);
	assert_ok(mailbox_verify(&w->op, m));
	/* Without its object it is told, and stays. */
	gone.stamp_us = w->store->stamp_us;
	assert_ok(catalog_write(&w->op, w->catalog, who, &gone, 1));
	assert_ok(
		objects_delete(&w->op, w->objects, store_object_key(&w->arena, w->user, cold.oid)));
	assert_err(mailbox_rebuild(&w->op, m, REBUILD_PUT_BACK, &rebuilt), ERR_CORRUPT);
	op_forgive(&w->op);
	assert_int_equal(rebuilt.lost, 1);
	assert_int_equal(rebuilt.lost_uid, 2);
	assert_int_equal(index_counters(m->index).messages, 3);
	assert_ok(mailbox_rebuild(&w->op, m, REBUILD_DROP_LOST, &rebuilt));
	assert_int_equal(rebuilt.lost, 1);
	assert_int_equal(index_counters(m->index).messages, 2);
	assert_ok(mailbox_verify(&w->op, m));
	mailbox_unref(m);
}
SCENARIO(missing_rows_are_put_back)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_deleted_user_leaves_one_head),
		cmocka_unit_test(test_a_deletion_that_fails_anywhere_is_resumed),
		cmocka_unit_test(test_who_opens_meanwhile_creates_him_anew),
		cmocka_unit_test(test_what_bases_and_objects_say_comes_back),
		cmocka_unit_test(test_missing_rows_are_put_back),
		cmocka_unit_test(test_orphans_are_queued_and_dangling_rows_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
