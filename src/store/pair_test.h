/* SPDX-License-Identifier: Apache-2.0 */
/* Two hosts that have the same user open at once, on a catalog that is not atomic. "a" is the one who was
 * there first. Included by *_test.c only. */
#pragma once

#include "store/world_test.h"

#define SEEN_MAX 4096

struct pair {
	struct world *a, *b;
	/* Everything ever shown in INBOX: one word for each UID. */
	char **words;
};

static inline struct world *world_beside(struct world *a, const char *host)
{
	struct world *b = MEM_NEW(struct world);
	arena_init(&b->arena, 0);
	op_init(&b->op, &b->arena, NULL, TIME_NEVER);
	(void)snprintf(b->dir, sizeof(b->dir), "/tmp/pombal-store-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->settings = a->settings;
	b->settings.host = str_from(host);
	b->settings.local_dir = str_printf(&b->arena, "%s/local", b->dir);
	b->objects = a->objects;
	b->catalog = a->catalog;
	return b;
}

static inline struct pair pair_open(void)
{
	struct pair p = { .a = world_new(false), .words = mem_new_array(SEEN_MAX, sizeof(char *)) };
	p.a->settings.host = STR("host-a");
	world_open_store(p.a);
	p.b = world_beside(p.a, "host-b");
	return p;
}

static inline void world_end_beside(struct world *b)
{
	assert_ok(file_remove_tree(&b->op, b->dir));
	arena_done(&b->arena);
	mem_free(b);
}

static inline void pair_close(struct pair *p)
{
	for (size_t i = 0; i < SEEN_MAX; i++)
		mem_free(p->words[i]);
	mem_free(p->words);
	if (p->b->user)
		world_crash(p->b);
	world_end_beside(p->b);
	world_close(p->a);
}

static inline void refresh(struct world *w, struct mailbox *m)
{
	enum err e = mailbox_refresh(&w->op, m);
	if (e != ERR_NONE)
		fail_msg("%s", w->op.failure.text);
}

/* INBOX at both, with a mail of each; `a` was not told of "b1". */
static inline void one_mail_each(struct pair *p, struct mailbox **a, struct mailbox **b)
{
	*a = world_box(p->a, "INBOX");
	(void)world_append(p->a, *a, "a1");
	world_open_store(p->b);
	*b = world_box(p->b, "INBOX");
	(void)world_append(p->b, *b, "b1");
}

/* `a` has INBOX with three mails and does not know that `b` took over, changed something and closed. */
static inline struct mailbox *ended_by_b(struct pair *p)
{
	struct mailbox *a = world_box(p->a, "INBOX");
	(void)world_append(p->a, a, "a1");
	(void)world_append(p->a, a, "a2");
	(void)world_append(p->a, a, "a3");
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	(void)world_append(p->b, b, "b1");
	assert_int_equal(index_counters(b->index).messages, 4);
	mailbox_unref(b);
	world_stop(p->b);
	return a;
}

/* Both look until nothing is new to either. */
static inline void converge(struct pair *p, struct mailbox *a, struct mailbox *b)
{
	for (int i = 0; i < 3; i++) {
		refresh(p->a, a);
		refresh(p->b, b);
	}
	assert_str(world_describe(p->b, b), world_describe(p->a, a));
	assert_ok(mailbox_verify(&p->a->op, a));
	assert_ok(mailbox_verify(&p->b->op, b));
}

/* With a commit row, as from 128 on. */
static inline void append_many(struct world *w, struct mailbox *m, size_t count)
{
	struct append *some = ARENA_NEW_ARRAY(&w->arena, struct append, count);
	struct append_result result;
	for (size_t i = 0; i < count; i++)
		some[i] = (struct append){ .message = world_mail(w, "many") };
	assert_ok(mailbox_append(&w->op, m, some, count, &result));
}

#define PAIR_TEST(name)                                                                            \
	static void name##_task(void *arg)                                                         \
	{                                                                                          \
		(void)arg;                                                                         \
		struct pair p = pair_open();                                                       \
		name##_in(&p);                                                                     \
		pair_close(&p);                                                                    \
	}                                                                                          \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		world_is_loose = true;                                                             \
		test_in_virtual_task(name##_task, NULL);                                           \
		world_is_loose = false;                                                            \
	}
