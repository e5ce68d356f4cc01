/* SPDX-License-Identifier: Apache-2.0 */
/* Local state in virtual time: what is accounted, dropped, uploaded, and never lost. */
#include "store/metacache_private.h"

#include "store/scenario_test.h"

#define MINUTE (60 * US_PER_SEC)
#define HOUR   (60 * MINUTE)

static struct metacache_settings usual;

static struct world *open_world(const struct metacache_settings *settings)
{
	struct world *w = world_new(false);
	w->settings.idle_user_us = 2 * US_PER_SEC;
	usual = *settings;
	assert_ok(file_make_dirs(&w->op, w->settings.local_dir.p, 0700));
	usual.userdb = str_printf(&w->arena, "%s/users.db", w->dir);
	w->settings.metacache = &usual;
	world_open_store(w);
	return w;
}

static void leave(struct world *w)
{
	user_unref(w->user);
	w->user = NULL;
	assert_ok(task_sleep(&w->op, 3 * US_PER_SEC)); /* he is closed */
}

static void come_back(struct world *w)
{
	assert_ok(user_open(&w->op, w->store, STR("u1@example.test"), &w->user));
}

static struct cache_user *account_of(struct world *w, const char *name)
{
	return cache_find(&w->store->metacache->account, str_from(name));
}

static struct cache_user *account(struct world *w)
{
	return account_of(w, "u1@example.test");
}

/* A mail, and a flag on it; the flag's fate is the test's. */
static struct mailbox *fill(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	(void)world_append(w, m, "one");
	(void)world_append(w, m, "two");
	return m;
}

static void flag(struct world *w, struct mailbox *m)
{
	struct view *v = world_view(w, m);
	world_flags(w, v, 1, 1, FLAGS_ADD, MAIL_FLAGGED);
	view_close(v);
}

static void assert_flagged(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	assert_true(index_hot(m->index, 0)->flags & MAIL_FLAGGED);
	assert_int_equal(index_count(m->index), 2);
	mailbox_unref(m);
}

/* ---- the account ---- */

static void account_is_what_is_there(void *arg)
{
	(void)arg;
	struct world *w = open_world(&(struct metacache_settings){ 0 });
	struct mailbox *m = fill(w), *sent = world_box(w, "Sent");
	(void)world_append(w, sent, "three");
	assert_ok(task_sleep(&w->op, US_PER_SEC));
	struct cache_user *u = account(w);
	uint64_t inbox = u->units[CACHE_SPECIAL].bytes, others = u->units[CACHE_OTHER].bytes;
	assert_true(u->is_counted && inbox > 0 && others > 0 && u->units[CACHE_ROOT].bytes > 0);
	assert_int_equal(cache_user_change(u), CACHE_UNIMPORTANT);
	size_t users;
	uint64_t bytes;
	assert_ok(metacache_rescan(&w->op, w->store, &users, &bytes));
	assert_int_equal(users, 1);
	assert_int_equal(u->units[CACHE_SPECIAL].bytes, inbox);
	assert_int_equal(u->units[CACHE_OTHER].bytes, others);
	mailbox_unref(sent);
	mailbox_unref(m);
	leave(w);
	uint64_t closed = cache_user_bytes(u);
	assert_ok(metacache_rescan(&w->op, w->store, &users, &bytes));
	assert_int_equal(bytes, closed);
	come_back(w);
	assert_ok(tree_remove(&w->op, w->user, STR("Sent")));
	assert_ok(task_sleep(&w->op, US_PER_SEC));
	assert_int_equal(account(w)->units[CACHE_OTHER].bytes, 0);
	world_close(w);
}

static void account_comes_back(void *arg)
{
	(void)arg;
	struct world *w = open_world(&(struct metacache_settings){ 0 });
	mailbox_unref(fill(w));
	leave(w);
	uint64_t bytes = cache_user_bytes(account(w));
	assert_ok(task_sleep(&w->op, 2 * MINUTE)); /* it was saved */
	for (int round = 0; round < 2; round++) {
		assert_ok(store_abandon(&w->op, w->store, &w->objects, &w->catalog));
		if (round == 1)
			assert_ok(file_replace(&w->op, usual.userdb.p, STR("PMUSERS1 torn"), 0600));
		assert_ok(store_open(&w->op, &w->settings, w->objects, w->catalog, &w->store));
		assert_true(round == 1 || cache_user_bytes(account(w)) == bytes);
		assert_ok(task_sleep(&w->op, 10 * US_PER_SEC)); /* after a crash: counted anew */
		assert_non_null(account(w));
		assert_int_equal(cache_user_bytes(account(w)), bytes);
		assert_true(w->store->metacache->round > 0);
	}
	world_close(w);
}

/* ---- uploads ---- */

static void flags_without_journal_are_uploaded_in_time(void *arg)
{
	(void)arg;
	struct world *w = open_world(&(struct metacache_settings){
		.upload_interval_us = 5 * MINUTE, .uploads_max = 2, .uploads_per_second = 1 });
	w->store->settings.flags_journal = STORE_FLAGS_OFF;
	struct mailbox *m = fill(w);
	flag(w, m);
	assert_int_equal(cache_user_change(account(w)), CACHE_IMPORTANT);
	assert_ok(task_sleep(&w->op, 2 * MINUTE));
	assert_true(m->pending_mails > 0);
	assert_ok(task_sleep(&w->op, 3 * MINUTE));
	assert_int_equal(m->pending_mails, 0);
	assert_int_not_equal(cache_user_change(account(w)), CACHE_IMPORTANT);
	mailbox_unref(m);
	world_reopen(w, WORLD_CRASH_DROP);
	assert_flagged(w);
	world_close(w);
}

static void nights_bring_bases_up_to_date(void *arg)
{
	(void)arg;
	int64_t now_of_day = now_wall_us() % (24 * HOUR);
	struct world *w = open_world(&(struct metacache_settings){ .uploads_max = 1,
		.night_begin_us = (now_of_day + HOUR) % (24 * HOUR),
		.night_length_us = 2 * HOUR });
	mailbox_unref(fill(w));
	leave(w);
	uint32_t access_s = account(w)->units[CACHE_SPECIAL].access_s;
	assert_int_equal(cache_user_change(account(w)), CACHE_UNIMPORTANT);
	assert_ok(task_sleep(&w->op, HOUR / 2));
	assert_int_equal(cache_user_change(account(w)), CACHE_UNIMPORTANT);
	assert_ok(task_sleep(&w->op, 3 * HOUR));
	assert_int_equal(cache_user_change(account(w)), CACHE_UNCHANGED);
	assert_int_equal(metacache_figures(w->store).uploads, 1);
	/* Nobody was here: that is no access. */
	assert_int_equal(account(w)->units[CACHE_SPECIAL].access_s, access_s);
	come_back(w);
	world_close(w);
}

static void a_store_that_refuses_is_left_alone(void *arg)
{
	(void)arg;
	int64_t now_of_day = now_wall_us() % (24 * HOUR);
	struct world *w = open_world(&(struct metacache_settings){ .uploads_max = 1,
		.night_begin_us = (now_of_day + MINUTE) % (24 * HOUR),
		.night_length_us = 1 });
	mailbox_unref(fill(w));
	leave(w);
	objects_fault_set(
		w->objects, &(struct objects_fault_plan){ .fail_at = 1, .fail_from_there = true });
	assert_ok(task_sleep(&w->op, 2 * HOUR));
	struct metacache_figures f = metacache_figures(w->store);
	assert_int_equal(f.backoff_us, 5 * MINUTE);
	assert_in_range(f.upload_failures, 20, 40); /* not thousands */
	assert_int_equal(cache_user_change(account(w)), CACHE_UNIMPORTANT);
	objects_fault_set(w->objects, &(struct objects_fault_plan){ 0 });
	assert_ok(task_sleep(&w->op, 10 * MINUTE));
	assert_int_equal(cache_user_change(account(w)), CACHE_UNCHANGED);
	assert_int_equal(metacache_figures(w->store).backoff_us, 0);
	come_back(w);
	world_close(w);
}

/* ---- dropping ---- */

static const struct metacache_clean all_of_him = { .min_priority = CACHE_ROOT, .flushes = true };

/* Killed with a flag in the log alone. */
static void dropping_keeps_flags_of_the_dead(void *arg)
{
	(void)arg;
	struct world *w = open_world(&(struct metacache_settings){ 0 });
	struct mailbox *m = fill(w);
	flag(w, m);
	assert_true(m->pending_mails > 0);
	mailbox_unref(m);
	world_crash(w);
	assert_ok(store_open(&w->op, &w->settings, w->objects, w->catalog, &w->store));
	uint64_t bytes;
	assert_ok(metacache_clean(&w->op, w->store, STR("u1@example.test"), &all_of_him, &bytes));
	char *dir = user_dir(w->store, STR("u1@example.test"));
	assert_int_not_equal(access(dir, F_OK), 0);
	mem_free(dir);
	come_back(w);
	assert_flagged(w);
	world_close(w);
}

static void dropping_asks_who_is_there(void *arg)
{
	(void)arg;
	struct world *w = open_world(&(struct metacache_settings){ .uploads_max = 1 });
	struct metacache_clean how = { .min_priority = CACHE_OTHER };
	struct mailbox *m = fill(w), *sent = world_box(w, "Sent");
	struct str name = STR("u1@example.test");
	uint64_t bytes;
	(void)world_append(w, sent, "three");
	mailbox_unref(sent);
	mailbox_unref(m);
	assert_err(metacache_clean(&w->op, w->store, name, &how, &bytes), ERR_CONFLICT);
	leave(w);
	assert_err(metacache_clean(&w->op, w->store, name, &how, &bytes), ERR_INVALID);
	size_t uploaded;
	assert_ok(metacache_flush(&w->op, w->store, name, false, &uploaded));
	assert_int_equal(uploaded, 2);
	how.unused_us = HOUR;
	assert_ok(metacache_clean(&w->op, w->store, name, &how, &bytes));
	assert_int_equal(bytes, 0);
	assert_ok(task_sleep(&w->op, 2 * HOUR));
	assert_ok(metacache_clean(&w->op, w->store, name, &how, &bytes));
	assert_true(bytes > 0);
	assert_int_equal(account(w)->units[CACHE_OTHER].bytes, 0);
	assert_true(account(w)->units[CACHE_SPECIAL].bytes > 0); /* of another priority */
	come_back(w);
	world_close(w);
}

#define CROWD 12

static void room_is_made(void *arg)
{
	(void)arg;
	struct world *w = open_world(&(struct metacache_settings){
		.max_bytes = 100 << 10, .grace_bytes = 1 << 20, .uploads_max = 1 });
	for (int i = 0; i < CROWD; i++) {
		struct str name = str_printf(&w->arena, "c%d@example.test", i);
		struct user *u;
		struct mailbox *m;
		struct append a = { .message = world_mail(w, "x") };
		struct append_result r;
		assert_ok(user_open(&w->op, w->store, name, &u));
		assert_ok(mailbox_open(&w->op, u, STR("INBOX"), &m));
		assert_ok(mailbox_append(&w->op, m, &a, 1, &r));
		mailbox_unref(m);
		user_unref(u);
		assert_ok(task_sleep(&w->op, 5 * US_PER_SEC));
	}
	assert_ok(task_sleep(&w->op, MINUTE));
	struct metacache_figures f = metacache_figures(w->store);
	assert_true(f.own_bytes > 0 && f.own_bytes <= f.max_bytes);
	assert_true(f.cleaned_units > 0 && f.cleaned_bytes > 0);
	assert_ok(metacache_admit(&w->op, w->store));
	/* The first ones went. */
	const struct cache_user *first = account_of(w, "c0@example.test");
	const struct cache_user *last = account_of(w, "c11@example.test");
	assert_true(!first || first->units[CACHE_SPECIAL].bytes == 0);
	assert_true(last && last->units[CACHE_SPECIAL].bytes > 0);
	world_close(w);
}

static void above_grace_sessions_are_refused(void *arg)
{
	(void)arg;
	struct world *w =
		open_world(&(struct metacache_settings){ .max_bytes = 1, .grace_bytes = 1 });
	mailbox_unref(fill(w));
	assert_ok(task_sleep(&w->op, US_PER_SEC));
	assert_err(metacache_admit(&w->op, w->store), ERR_UNAVAILABLE);
	assert_true(w->op.failure.client_text[0] != '\0');
	leave(w);
	assert_ok(task_sleep(&w->op, MINUTE));
	assert_ok(metacache_admit(&w->op, w->store)); /* nothing is left of him */
	come_back(w);
	assert_int_equal(metacache_figures(w->store).refused_logins, 1);
	world_close(w);
}

/* ---- dropping and opening at once ---- */

struct visitor {
	struct world *w;
	int left;
};

static void visit_task(void *arg)
{
	struct visitor *v = arg;
	struct world *w = v->w;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	for (int i = 0; i < 30; i++) {
		struct user *u;
		struct mailbox *m;
		assert_ok(user_open(&op, w->store, STR("u1@example.test"), &u));
		assert_ok(mailbox_open(&op, u, STR("INBOX"), &m));
		assert_int_equal(index_count(m->index), 2);
		assert_true(index_hot(m->index, 0)->flags & MAIL_FLAGGED);
		mailbox_unref(m);
		user_unref(u);
		assert_ok(task_sleep(&op, (i % 5) * US_PER_SEC));
	}
	v->left--;
}

static void dropping_and_opening_go_together(void *arg)
{
	(void)arg;
	struct world *w = open_world(&(struct metacache_settings){ .uploads_max = 1 });
	struct mailbox *m = fill(w);
	flag(w, m);
	mailbox_unref(m);
	leave(w);
	struct visitor v = { w, 2 };
	task_start("visit", visit_task, &v);
	task_start("visit", visit_task, &v);
	int dropped = 0;
	while (v.left > 0) {
		uint64_t bytes;
		enum err e = metacache_clean(
			&w->op, w->store, STR("u1@example.test"), &all_of_him, &bytes);
		assert_true(e == ERR_NONE || e == ERR_CONFLICT);
		dropped += e == ERR_NONE && bytes > 0;
		assert_ok(task_sleep(&w->op, US_PER_SEC / 7));
	}
	assert_true(dropped > 3);
	come_back(w);
	world_close(w);
}

static void refreshing_reads_the_catalog(void *arg)
{
	(void)arg;
	struct world *w = open_world(&(struct metacache_settings){ 0 });
	struct mailbox *m = fill(w);
	flag(w, m);
	mailbox_unref(m);
	leave(w);
	assert_ok(metacache_refresh(&w->op, w->store, STR("u1@example.test")));
	uint64_t rebuilt = w->store->counters.opens_rebuilt;
	come_back(w);
	assert_flagged(w);
	assert_true(w->store->counters.opens_rebuilt > rebuilt);
	world_close(w);
}

#define TEST(name)                                                                                 \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		world_in_memory(name, NULL);                                                       \
	}
TEST(account_is_what_is_there)
TEST(account_comes_back)
TEST(flags_without_journal_are_uploaded_in_time)
TEST(nights_bring_bases_up_to_date)
TEST(a_store_that_refuses_is_left_alone)
TEST(dropping_keeps_flags_of_the_dead)
TEST(dropping_asks_who_is_there)
TEST(room_is_made)
TEST(above_grace_sessions_are_refused)
TEST(dropping_and_opening_go_together)
TEST(refreshing_reads_the_catalog)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_account_is_what_is_there),
		cmocka_unit_test(test_account_comes_back),
		cmocka_unit_test(test_flags_without_journal_are_uploaded_in_time),
		cmocka_unit_test(test_nights_bring_bases_up_to_date),
		cmocka_unit_test(test_a_store_that_refuses_is_left_alone),
		cmocka_unit_test(test_dropping_keeps_flags_of_the_dead),
		cmocka_unit_test(test_dropping_asks_who_is_there),
		cmocka_unit_test(test_room_is_made),
		cmocka_unit_test(test_above_grace_sessions_are_refused),
		cmocka_unit_test(test_dropping_and_opening_go_together),
		cmocka_unit_test(test_refreshing_reads_the_catalog),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
