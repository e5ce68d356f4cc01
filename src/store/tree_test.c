/* SPDX-License-Identifier: Apache-2.0 */
/* Users and their trees: names, opening and closing, damaged local files, idle users. As store_test.c,
 * every scenario runs on both kinds of drivers. */
#include "store/names_test.h"
#include "store/scenario_test.h"

/* ---- the tree ---- */

static void the_tree_remembers(struct world *w)
{
	struct op *op = &w->op;
	assert_str(world_names(w), STR("INBOX:5 Junk:1 Sent:5 "));
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
	assert_str(world_names(w), want);
	for (enum world_end how = WORLD_STOP; how <= WORLD_CRASH_DROP; how++) {
		world_reopen(w, how);
		assert_str(world_names(w), want);
	}
	struct tree_entry e;
	assert_ok(tree_lookup(op, w->user, STR("trash"), &e));
	assert_str(e.special_use, STR("\\Trash"));
	assert_err(tree_lookup(op, w->user, STR("a//b"), &e), ERR_INVALID);
}

/* What was closed cleanly needs no journal of names; a crash leaves the head open, and it is read. */
static void a_login_reads_the_heads_alone(struct world *w)
{
	struct op *op = &w->op;
	assert_ok(tree_create(op, w->user, STR("a"), STR("")));
	assert_ok(tree_subscribe(op, w->user, STR("a"), true));
	for (int i = 0; i < 3; i++) {
		world_reopen(w, WORLD_STOP);
		assert_true(root_is_whole(w->user));
		assert_int_equal(w->user->tree.ops, 0);
		assert_str(world_names(w), STR("INBOX:5 Junk:1 Sent:5 a:5 "));
	}
	assert_ok(tree_create(op, w->user, STR("b"), STR("")));
	world_reopen(w, WORLD_CRASH_DROP);
	assert_true(w->user->tree.ops > 0);
	assert_str(world_names(w), STR("INBOX:5 Junk:1 Sent:5 a:5 b:1 "));
	world_reopen(w, WORLD_STOP);
	/* Where the dead may have something on its way, the next look for it (tree_late_test.c). */
	assert_true(root_is_whole(w->user) == catalog_is_atomic(w->catalog));
	assert_int_equal(w->user->tree.ops, 0);
	assert_str(world_names(w), STR("INBOX:5 Junk:1 Sent:5 a:5 b:1 "));
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
	world_assert_body(w, v, 2, "two");
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

/* Who comes while he is being closed waits, and then finds his files free. */
static void a_closing_user_is_opened_again(struct world *w)
{
	for (int i = 0; i < 50; i++) {
		struct mailbox *m = world_box(w, "INBOX");
		world_append(w, m, "x");
		mailbox_unref(m);
		user_unref(w->user);
		idle_user_close(w->user);
		assert_ok(user_open(&w->op, w->store, STR("u1@example.test"), &w->user));
	}
	assert_int_equal(w->store->counters.users_open, 1);
}

/* A directory that cannot be made is our own trouble: the user is there, and his mail comes again. */
static void a_missing_directory_is_temporary(struct world *w)
{
	world_stop(w);
	const char *local = w->settings.local_dir.p;
	assert_ok(file_remove_tree(&w->op, local));
	assert_int_equal(symlink("/nonexistent/pombal", local), 0);
	struct user *u;
	assert_ok(store_open(&w->op, &w->settings, w->objects, w->catalog, &w->store));
	assert_err(user_open(&w->op, w->store, STR("u1@example.test"), &u), ERR_UNAVAILABLE);
	assert_true(str_find(str_from(w->op.failure.text), STR("mkdir")) >= 0);
	assert_int_equal(unlink(local), 0);
	assert_ok(user_open(&w->op, w->store, STR("u1@example.test"), &w->user));
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
		world_assert_body(w, v, 1, "x");
		world_assert_body(w, v, 10, "x");
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

/* ---- names ---- */

static enum err check(struct world *w, struct str name)
{
	struct str canonical;
	return name_check(&w->op, w->store, name, &canonical);
}

static void names_are_checked(struct world *w)
{
	struct str canonical;
	char part[300];
	memset(part, 'x', sizeof(part));
	assert_ok(check(w, (struct str){ part, 255 }));
	assert_err(check(w, (struct str){ part, 256 }), ERR_INVALID);
	assert_ok(check(w, STR("a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p")));
	assert_err(check(w, STR("a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q")), ERR_INVALID);
	const char *bad[] = { "", "/a", "a/", "a//b", ".", "a/..", "~x", "a\x01", "a\x7f", "\xff",
		"a\xc2\x85" };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_err(check(w, str_from(bad[i])), ERR_INVALID);
	assert_true(strlen(w->op.failure.client_text) > 0);
	assert_ok(check(w, STR("a.b/..c/\xc3\xa4")));
	assert_ok(name_check(&w->op, w->store, STR("inbox/Sub"), &canonical));
	assert_str(canonical, STR("INBOX/Sub"));
	assert_ok(name_check(&w->op, w->store, STR("inboxes"), &canonical));
	assert_str(canonical, STR("inboxes"));
}

SCENARIO(the_tree_remembers)
SCENARIO(a_login_reads_the_heads_alone)
SCENARIO(a_removed_mailbox_ends_its_views)
SCENARIO(renaming_inbox_moves_its_mails)
SCENARIO(a_second_process_is_kept_out)
SCENARIO(a_closing_user_is_opened_again)
SCENARIO(a_missing_directory_is_temporary)
SCENARIO(local_files_may_be_damaged)
SCENARIO(status_of_a_closed_mailbox_needs_no_opening)
SCENARIO(watchers_are_called_once_a_change)
SCENARIO(idle_users_are_closed)
SCENARIO(names_are_checked)

/* The first batch of a user got lost on the way and came after all, behind a second one. */
static void an_inbox_that_was_created_twice_keeps_the_later_number(void **state)
{
	(void)state;
	static const uint32_t validities[] = { 100, 200, 150 };
	struct tree t;
	struct row_id id = { { 7 } };
	tree_init(&t);
	for (size_t i = 0; i < ARRAY_COUNT(validities); i++) {
		AUTO_BUF(value, 0);
		row_tree_create_encode(&value, &id, STR("INBOX"), STR(""), validities[i]);
		struct catalog_row row = { CATALOG_OP, 0, name_at_ms((int64_t)i + 1),
			buf_str(&value) };
		assert_ok(tree_fold(&t, &row));
	}
	assert_int_equal(t.node_count, 1);
	assert_int_equal(tree_find(&t, STR("INBOX"))->uid_validity, 200);
	assert_int_equal(t.last_uid_validity, 200);
	tree_done(&t);
}

/* Two hosts create one name within a second: who knows it with the mails of the one does not see those of the
 * other under the same number. A root head in between changes nothing. */
static void a_name_that_two_hosts_created_gets_another_number(void **state)
{
	(void)state;
	for (int order = 0; order < 4; order++) {
		struct tree t;
		struct op op;
		AUTO_ARENA(arena, 0);
		AUTO_BUF(head, 0);
		op_init(&op, &arena, NULL, TIME_NEVER);
		tree_init(&t);
		for (int i = 0; i < 2; i++) {
			int which = (i + order) % 2;
			struct row_id id = { { (uint8_t)(1 + which) } };
			AUTO_BUF(value, 0);
			row_tree_create_encode(&value, &id, STR("Work"), STR(""), 100);
			struct catalog_row row = { CATALOG_OP, 0, name_at_ms(which + 1),
				buf_str(&value) };
			for (int twice = 0; twice < 2; twice++)
				assert_ok(tree_fold(&t, &row));
		}
		if (order >= 2) {
			tree_encode(&t, &head);
			tree_done(&t);
			tree_init(&t);
			assert_ok(tree_decode(&op, &t, buf_str(&head)));
		}
		const struct tree_node *first = tree_find(&t, STR("Work"));
		assert_int_equal(first->guid.bytes[0], 1);
		assert_int_equal(first->uid_validity, 101);
		assert_int_equal(tree_find(&t, STR("Work-0200"))->uid_validity, 100);
		assert_int_equal(t.last_uid_validity, 101);
		tree_done(&t);
	}
}

/* More names than a root head has room for: mailboxes are closed all the same. */
static void a_tree_beyond_the_root_head(void *arg)
{
	(void)arg;
	struct world *w = world_new(false);
	w->settings.mailboxes_max = 10000;
	world_open_store(w);
	for (int i = 0; i < 5000; i++)
		assert_ok(
			tree_create(&w->op, w->user, str_printf(&w->arena, "%0220d", i), STR("")));
	struct mailbox *m = world_box(w, "INBOX");
	world_append(w, m, "x");
	mailbox_unref(m);
	world_reopen(w, WORLD_STOP);
	uint64_t unclean = w->store->counters.opens_rebuilt;
	m = world_box(w, "INBOX");
	assert_int_equal(w->store->counters.opens_rebuilt, unclean);
	assert_int_equal(w->user->tree.names.count, 5003);
	mailbox_unref(m);
	world_close(w);
}

static void a_large_tree_is_closed(void **state)
{
	(void)state;
	world_in_memory(a_tree_beyond_the_root_head, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_tree_remembers),
		cmocka_unit_test(test_a_login_reads_the_heads_alone),
		cmocka_unit_test(an_inbox_that_was_created_twice_keeps_the_later_number),
		cmocka_unit_test(a_name_that_two_hosts_created_gets_another_number),
		cmocka_unit_test(a_large_tree_is_closed),
		cmocka_unit_test(test_a_removed_mailbox_ends_its_views),
		cmocka_unit_test(test_renaming_inbox_moves_its_mails),
		cmocka_unit_test(test_a_second_process_is_kept_out),
		cmocka_unit_test(test_a_closing_user_is_opened_again),
		cmocka_unit_test(test_a_missing_directory_is_temporary),
		cmocka_unit_test(test_local_files_may_be_damaged),
		cmocka_unit_test(test_status_of_a_closed_mailbox_needs_no_opening),
		cmocka_unit_test(test_watchers_are_called_once_a_change),
		cmocka_unit_test(test_idle_users_are_closed),
		cmocka_unit_test(test_names_are_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
