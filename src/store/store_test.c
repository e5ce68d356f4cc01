/* SPDX-License-Identifier: Apache-2.0 */
/* The store from end to end: saving, looking, changing, expunging, opening again. Every scenario runs
 * on memory drivers in virtual time and on SQLite and files in real time. */
#include "store/world_test.h"

static void assert_body(struct world *w, struct view *v, uint32_t seq, const char *word)
{
	struct mail mail;
	struct str body;
	struct message_summary summary;
	assert_true(view_get(v, seq, &mail));
	assert_ok(view_read_body(&w->op, v, &mail, &body));
	assert_str(body, world_mail(w, word));
	assert_ok(view_read_summary(&w->op, v, &mail, &summary));
	assert_int_equal(summary.physical_size, body.n);
	assert_true(str_find(summary.envelope, str_from(word)) >= 0);
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
	assert_body(w, v, 1, "one");
	assert_body(w, v, 2, "two");
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
		assert_body(w, v, 1, "one");
		assert_int_equal(w->store->counters.summary_misses, how == WORLD_CRASH_DROP);
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

/* A power loss takes the log: what was told lately may be lost, so a hole is noted. */
static void lost_flags_leave_a_hole(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	world_append(w, m, "x");
	struct view *v = world_view(w, m);
	world_flags(w, v, 1, 1, FLAGS_ADD, MAIL_FLAGGED);
	uint64_t told = index_modseq(m->index);
	view_close(v);
	mailbox_unref(m);
	world_reopen(w, WORLD_CRASH_DROP);
	m = world_box(w, "INBOX");
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
	assert_body(w, b, 2, "x");
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
	assert_ok(store_collect_garbage(&w->op, w->store, US_PER_SEC * 3600, &deleted));
	assert_int_equal(deleted, 0); /* too young */
	assert_ok(store_collect_garbage(&w->op, w->store, -US_PER_SEC, &deleted));
	assert_int_equal(deleted, 1); /* the copied one lives */
	(void)world_sync(w, s, true);
	assert_body(w, s, 1, "x");
	world_flags(w, s, 1, 1, FLAGS_ADD, MAIL_DELETED);
	assert_ok(view_expunge(&w->op, s, NULL));
	assert_ok(store_collect_garbage(&w->op, w->store, -US_PER_SEC, &deleted));
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
	assert_ok(store_collect_garbage(&w->op, w->store, -US_PER_SEC, &deleted));
	uint64_t more;
	assert_ok(store_collect_garbage(&w->op, w->store, -US_PER_SEC, &more));
	assert_int_equal(deleted + more, 1);
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
	assert_body(w, s, 4, "moved");
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

/* ---- the tree ---- */

static struct str list_names(struct world *w)
{
	struct tree_entry *entries;
	size_t count;
	AUTO_BUF(b, 0);
	assert_ok(tree_list(&w->op, w->user, &entries, &count));
	for (size_t i = 0; i < count; i++)
		buf_putf(&b, "%.*s:%u ", STRF(entries[i].name), entries[i].flags);
	return buf_dup(&w->arena, &b);
}

static void the_tree_remembers(struct world *w)
{
	struct op *op = &w->op;
	assert_str(list_names(w), STR("INBOX:5 Junk:1 Sent:5 "));
	assert_ok(tree_create(op, w->user, STR("a/b/c"), STR("")));
	assert_ok(tree_create(op, w->user, STR("trash"), STR("\\Trash")));
	assert_err(tree_create(op, w->user, STR("bin"), STR("\\Trash")), ERR_CONFLICT);
	assert_err(tree_create(op, w->user, STR("inBOX"), STR("")), ERR_EXISTS);
	assert_ok(tree_subscribe(op, w->user, STR("gone/x"), true));
	assert_ok(tree_subscribe(op, w->user, STR("gone/x"), true));
	assert_ok(tree_rename(op, w->user, STR("a"), STR("z")));
	assert_err(tree_rename(op, w->user, STR("z"), STR("z/y")), ERR_INVALID);
	assert_err(tree_rename(op, w->user, STR("nix"), STR("q")), ERR_NOT_FOUND);
	assert_err(tree_rename(op, w->user, STR("trash"), STR("Sent")), ERR_EXISTS);
	assert_err(tree_remove(op, w->user, STR("inbox")), ERR_DENIED);
	assert_err(tree_remove(op, w->user, STR("nix")), ERR_NOT_FOUND);
	struct str want = STR("INBOX:5 Junk:1 Sent:5 gone:24 gone/x:12 trash:1 z:2 z/b:2 z/b/c:1 ");
	assert_str(list_names(w), want);
	for (enum world_end how = WORLD_STOP; how <= WORLD_CRASH_DROP; how++) {
		world_reopen(w, how);
		assert_str(list_names(w), want);
	}
	struct tree_entry e;
	assert_ok(tree_lookup(op, w->user, STR("trash"), &e));
	assert_str(e.special_use, STR("\\Trash"));
	assert_err(tree_lookup(op, w->user, STR("a//b"), &e), ERR_INVALID);
}

static void a_removed_mailbox_ends_its_views(struct world *w)
{
	assert_ok(tree_create(&w->op, w->user, STR("x"), STR("")));
	struct mailbox *m = world_box(w, "x");
	uint32_t validity = mailbox_uid_validity(m), uid;
	world_append(w, m, "x");
	struct view *v = world_view(w, m);
	assert_false(view_is_gone(v));
	assert_ok(tree_remove(&w->op, w->user, STR("x")));
	assert_true(view_is_gone(v));
	assert_err(world_try_append(w, m, "y", &uid), ERR_NOT_FOUND);
	view_close(v);
	mailbox_unref(m);
	assert_err(mailbox_open(&w->op, w->user, STR("x"), &m), ERR_NOT_FOUND);
	assert_ok(tree_create(&w->op, w->user, STR("x"), STR("")));
	m = world_box(w, "x");
	assert_true(mailbox_uid_validity(m) > validity);
	assert_int_equal(index_count(m->index), 0);
	mailbox_unref(m);
}

static void renaming_inbox_moves_its_mails(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	world_append(w, m, "one");
	world_append(w, m, "two");
	assert_ok(tree_rename(&w->op, w->user, STR("INBOX"), STR("Archive")));
	assert_int_equal(index_counters(m->index).messages, 0);
	assert_int_equal(world_append(w, m, "three"), 3);
	struct mailbox *a = world_box(w, "Archive");
	struct view *v = world_view(w, a);
	assert_int_equal(view_exists(v), 2);
	assert_body(w, v, 2, "two");
	view_close(v);
	mailbox_unref(a);
	mailbox_unref(m);
}

/* ---- opening ---- */

static void a_second_process_is_kept_out(struct world *w)
{
	struct store *second;
	struct user *u;
	assert_ok(store_open(&w->op, &w->settings, w->objects, w->catalog, &second));
	assert_err(user_open(&w->op, second, w->user->name, &u), ERR_UNAVAILABLE);
	assert_err(user_open(&w->op, second, STR("../x"), &u), ERR_INVALID);
	struct objects *o;
	struct catalog *c;
	assert_ok(store_abandon(&w->op, second, &o, &c));
}

/* Clean closes read nothing of the mailbox from the catalog; damaged local files cost a rebuild. */
static void local_files_may_be_damaged(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	for (int i = 0; i < 10; i++)
		world_append(w, m, "x");
	char *dir = str_new_z(str_from(m->local.dir));
	struct str want = world_describe(w, m);
	mailbox_unref(m);
	const char *names[] = { "log", "snapshot", "summaries", "log" };
	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		world_stop(w);
		char path[4200];
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		FILE *f = fopen(path, i == 3 ? "w" : "r+");
		if (f) {
			(void)fseek(f, 20, SEEK_SET);
			(void)fputs("garbage garbage garbage", f);
			(void)fclose(f);
		}
		world_open_store(w);
		m = world_box(w, "INBOX");
		assert_str(world_describe(w, m), want);
		struct view *v = world_view(w, m);
		assert_body(w, v, 1, "x");
		assert_body(w, v, 10, "x");
		view_close(v);
		mailbox_unref(m);
	}
	mem_free(dir);
}

static void status_of_a_closed_mailbox_needs_no_opening(struct world *w)
{
	struct mailbox *m = world_box(w, "Sent");
	world_append(w, m, "x");
	mailbox_unref(m);
	world_reopen(w, WORLD_STOP);
	struct mailbox_status s;
	assert_ok(mailbox_status(&w->op, w->user, STR("Sent"), &s));
	assert_int_equal(s.messages, 1);
	assert_int_equal(s.unseen, 1);
	assert_int_equal(s.uid_next, 2);
	assert_int_equal(s.recent, 1);
	assert_true(s.uid_validity > 0 && s.bytes_virtual > 50);
	assert_int_equal(w->store->counters.mailboxes_open, 0);
	assert_err(mailbox_status(&w->op, w->user, STR("nix"), &s), ERR_NOT_FOUND);
}

static void count_call(void *arg)
{
	++*(int *)arg;
}

static void watchers_are_called_once_a_change(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	struct view *v = world_view(w, m);
	int calls = 0;
	view_on_change(v, count_call, &calls);
	assert_ok(task_sleep(&w->op, US_PER_MS));
	assert_int_equal(calls, 0);
	struct append two[2] = { { .message = STR("a: b\r\n\r\n") },
		{ .message = STR("a: b\r\n\r\n") } };
	struct append_result r;
	assert_ok(mailbox_append(&w->op, m, two, 2, &r));
	assert_ok(task_sleep(&w->op, US_PER_MS));
	assert_int_equal(calls, 1);
	(void)world_sync(w, v, true);
	view_on_change(v, NULL, NULL);
	world_append(w, m, "x");
	assert_ok(task_sleep(&w->op, US_PER_MS));
	assert_int_equal(calls, 1);
	view_close(v);
	mailbox_unref(m);
}

static void idle_users_are_closed(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	world_append(w, m, "x");
	mailbox_unref(m);
	w->store->settings.idle_user_us = 10 * US_PER_MS;
	user_unref(w->user);
	assert_ok(task_sleep(&w->op, 500 * US_PER_MS));
	assert_int_equal(w->store->counters.users_open, 0);
	assert_ok(user_open(&w->op, w->store, STR("u1@example.test"), &w->user));
	m = world_box(w, "INBOX");
	assert_int_equal(w->store->counters.opens_clean, 1);
	assert_int_equal(index_count(m->index), 1);
	mailbox_unref(m);
}

/* ---- running them ---- */

typedef void scenario_fn(struct world *w);
struct run {
	scenario_fn *fn;
	bool is_on_disk;
};

static void run_task(void *arg)
{
	struct run *r = arg;
	struct world *w = world_open(r->is_on_disk);
	r->fn(w);
	world_close(w);
}

static void run_both(scenario_fn *fn)
{
	struct run r = { fn, false };
	test_in_virtual_task(run_task, &r);
	r.is_on_disk = true;
	test_in_task(run_task, &r);
}

#define SCENARIO(name)                                                                             \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		run_both(name);                                                                    \
	}
SCENARIO(mail_is_saved_read_and_kept)
SCENARIO(a_multiappend_gets_uids_in_order)
SCENARIO(deliveries_share_commits)
SCENARIO(flags_are_told_to_the_others)
SCENARIO(async_flags_survive_the_process)
SCENARIO(lost_flags_leave_a_hole)
SCENARIO(expunges_wait_until_they_may_be_told)
SCENARIO(garbage_is_collected_when_nothing_refers)
SCENARIO(copies_and_moves_keep_what_a_mail_is)
SCENARIO(the_tree_remembers)
SCENARIO(a_removed_mailbox_ends_its_views)
SCENARIO(renaming_inbox_moves_its_mails)
SCENARIO(a_second_process_is_kept_out)
SCENARIO(local_files_may_be_damaged)
SCENARIO(status_of_a_closed_mailbox_needs_no_opening)
SCENARIO(watchers_are_called_once_a_change)
SCENARIO(idle_users_are_closed)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mail_is_saved_read_and_kept),
		cmocka_unit_test(test_a_multiappend_gets_uids_in_order),
		cmocka_unit_test(test_deliveries_share_commits),
		cmocka_unit_test(test_flags_are_told_to_the_others),
		cmocka_unit_test(test_async_flags_survive_the_process),
		cmocka_unit_test(test_lost_flags_leave_a_hole),
		cmocka_unit_test(test_expunges_wait_until_they_may_be_told),
		cmocka_unit_test(test_garbage_is_collected_when_nothing_refers),
		cmocka_unit_test(test_copies_and_moves_keep_what_a_mail_is),
		cmocka_unit_test(test_the_tree_remembers),
		cmocka_unit_test(test_a_removed_mailbox_ends_its_views),
		cmocka_unit_test(test_renaming_inbox_moves_its_mails),
		cmocka_unit_test(test_a_second_process_is_kept_out),
		cmocka_unit_test(test_local_files_may_be_damaged),
		cmocka_unit_test(test_status_of_a_closed_mailbox_needs_no_opening),
		cmocka_unit_test(test_watchers_are_called_once_a_change),
		cmocka_unit_test(test_idle_users_are_closed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
