/* SPDX-License-Identifier: Apache-2.0 */
/* A store to test with: one process's view of a small world that survives that process.
 *
 * world_open() -> world_user()/world_box() ... -> world_reopen() (clean or as after a crash) ->
 * world_close(). Included by *_test.c only; everything runs inside a task. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "store/store_private.h"
#include "task/test.h"

#define MAIL_TEXT                                                                                  \
	"From: a@example.test\r\nSubject: %s\r\nMessage-ID: <%s@example.test>\r\n\r\nbody of "     \
	"%s\r\n"

struct world {
	struct arena arena;
	struct op op;
	char dir[64];
	struct store_settings settings;
	struct objects *objects;
	struct catalog *catalog;
	struct store *store;
	struct user *user;
};

static const struct store_default_mailbox world_defaults[] = {
	{ { "Sent", 4 }, { "\\Sent", 5 }, true, true },
	{ { "Junk", 4 }, { "\\Junk", 5 }, true, false },
};

static inline void world_open_store(struct world *w)
{
	assert_ok(store_open(&w->op, &w->settings, w->objects, w->catalog, &w->store));
	assert_ok(user_open(&w->op, w->store, STR("u1@example.test"), &w->user));
}

/* The catalog in memory is one that writes batches in groups and keeps by stamps. */
static bool world_is_loose;

/* Opened instead of files where they are set: drivers of remote stores as text. */
static struct str world_remote_objects, world_remote_catalog;

/* `is_on_disk`: posix objects and SQLite; else memory, with faults to be set. */
static inline struct world *world_new(bool is_on_disk)
{
	struct world *w = MEM_NEW(struct world);
	arena_init(&w->arena, 0);
	op_init(&w->op, &w->arena, NULL, TIME_NEVER);
	/* Local files are synced all the time, which would be most of what a test does. */
	bool is_in_memory = !is_on_disk && access("/dev/shm", W_OK) == 0;
	(void)snprintf(w->dir, sizeof(w->dir), "%s/pombal-store-XXXXXX",
		is_in_memory ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(w->dir));
	w->settings = (struct store_settings){
		.local_dir = str_printf(&w->arena, "%s/local", w->dir),
		.object_prefix = STR(""),
		.separator = '/',
		.flags_journal = STORE_FLAGS_ASYNC,
		.idle_user_us = 60 * US_PER_SEC,
		.cached_users_max = 100,
		.defaults = world_defaults,
		.default_count = ARRAY_COUNT(world_defaults),
		.keyword_bytes_max = 50,
		.mailboxes_max = 1000,
		.message_bytes_max = 64u << 20,
	};
	struct str objects =
		is_on_disk ? str_printf(&w->arena, "posix(%s/objects)", w->dir) : STR("fault:mem");
	struct str catalog = is_on_disk ? str_printf(&w->arena, "sqlite(%s/catalog,2)", w->dir)
			     : world_is_loose ? STR("fault:mem(2,loose)")
					      : STR("fault:mem(2)");
	if (is_on_disk && world_remote_catalog.n > 0)
		catalog = world_remote_catalog;
	if (is_on_disk && world_remote_objects.n > 0)
		objects = world_remote_objects;
	assert_ok(objects_open_text(&w->op, objects, &w->objects));
	assert_ok(catalog_open_text(&w->op, catalog, &w->catalog));
	return w;
}

static inline struct world *world_open(bool is_on_disk)
{
	struct world *w = world_new(is_on_disk);
	world_open_store(w);
	return w;
}

/* The process ends without a word; everything durable stays. */
static inline void world_crash(struct world *w)
{
	if (w->user)
		user_unref(w->user);
	w->user = NULL;
	assert_ok(store_abandon(&w->op, w->store, &w->objects, &w->catalog));
}

/* A clean end that keeps what the store would close with it. */
static inline void world_stop(struct world *w)
{
	user_unref(w->user);
	w->user = NULL;
	while (w->store->users.count > 0 || w->store->background > 0) {
		struct user *u = LIST_FIRST(&w->store->idle_users, struct user, idle_link);
		if (u)
			idle_user_close(u);
		assert_ok(task_sleep(&w->op, US_PER_MS));
	}
	world_crash(w);
}

enum world_end { WORLD_STOP, WORLD_CRASH, WORLD_CRASH_DROP };

static inline void world_reopen(struct world *w, enum world_end how)
{
	if (how == WORLD_STOP)
		world_stop(w);
	else
		world_crash(w);
	if (how == WORLD_CRASH_DROP)
		assert_ok(file_remove_tree(&w->op, w->settings.local_dir.p));
	world_open_store(w);
}

static inline void world_close(struct world *w)
{
	if (w->user)
		user_unref(w->user);
	w->user = NULL;
	assert_ok(store_close(&w->op, w->store));
	assert_ok(file_remove_tree(&w->op, w->dir));
	arena_done(&w->arena);
	mem_free(w);
}

static inline struct mailbox *world_box(struct world *w, const char *name)
{
	struct mailbox *m;
	assert_ok(mailbox_open(&w->op, w->user, str_from(name), &m));
	return m;
}

/* Opened now, INBOX has so many mails, and its rows say the same. */
static inline void world_assert_inbox(struct world *w, uint64_t count)
{
	struct mailbox *m = world_box(w, "INBOX");
	assert_int_equal(index_counters(m->index).messages, count);
	assert_ok(mailbox_verify(&w->op, m));
	mailbox_unref(m);
}

static inline struct str world_mail(struct world *w, const char *word)
{
	return str_printf(&w->arena, MAIL_TEXT, word, word, word);
}

static inline enum err world_try_append(
	struct world *w, struct mailbox *m, const char *word, uint32_t *out_uid)
{
	struct append a = { .message = world_mail(w, word) };
	struct append_result r;
	TRY(mailbox_append(&w->op, m, &a, 1, &r));
	*out_uid = r.uids[0];
	return ERR_NONE;
}

static inline uint32_t world_append(struct world *w, struct mailbox *m, const char *word)
{
	uint32_t uid = 0;
	assert_ok(world_try_append(w, m, word, &uid));
	return uid;
}

static inline struct view *world_view(struct world *w, struct mailbox *m)
{
	struct view *v;
	assert_ok(view_open(&w->op, m, true, &v));
	return v;
}

static inline struct view_changes world_sync(struct world *w, struct view *v, bool may_expunge)
{
	struct view_changes c;
	assert_ok(view_sync(&w->op, v, may_expunge, &c));
	return c;
}

static inline struct range_set world_set(uint32_t first, uint32_t last)
{
	struct range_set s;
	range_set_init(&s);
	range_set_add(&s, first, last);
	return s;
}

static inline enum err world_try_flags(struct world *w, struct view *v, uint32_t first,
	uint32_t last, enum flags_change how, unsigned flags)
{
	struct store_flags change = {
		.change = how, .flags = flags, .unchanged_since = UINT64_MAX
	};
	struct range_set seqs = world_set(first, last);
	enum err e = view_store_flags(&w->op, v, &seqs, &change, NULL);
	range_set_done(&seqs);
	return e;
}

static inline void world_flags(struct world *w, struct view *v, uint32_t first, uint32_t last,
	enum flags_change how, unsigned flags)
{
	assert_ok(world_try_flags(w, v, first, last, how, flags));
}

/* Of all shards. */
static inline enum err world_try_collect(struct world *w, int64_t min_age_us, uint64_t *out_deleted)
{
	*out_deleted = 0;
	for (uint32_t shard = 0; shard < catalog_shard_count(w->catalog); shard++) {
		uint64_t deleted;
		TRY(store_collect_garbage(&w->op, w->store, shard, min_age_us, &deleted));
		*out_deleted += deleted;
	}
	return ERR_NONE;
}

/* The mailbox as text: two moments are equal if their texts are. */
static inline struct str world_describe(struct world *w, struct mailbox *m)
{
	AUTO_BUF(b, 0);
	index_describe(m->index, &b);
	return buf_dup(&w->arena, &b);
}

static inline void world_assert_body(
	struct world *w, struct view *v, uint32_t seq, const char *word)
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
