/* SPDX-License-Identifier: Apache-2.0 */
/* Local state that goes from host "a" to host "b": what comes is facts or garbage, and what only "b" knows stays. */
#include "store/metacache_private.h"

#include <unistd.h>

#include "store/format/parcel.h"
#include "store/pair_test.h"

#define USER   STR("u1@example.test")
#define PIECE  1000
#define STRIDE 61

static void leave(struct world *w)
{
	user_unref(w->user);
	w->user = NULL;
}

static void open_store(struct world *w)
{
	assert_ok(store_open(&w->op, &w->settings, w->objects, w->catalog, &w->store));
}

static void come(struct world *w)
{
	assert_ok(user_open(&w->op, w->store, USER, &w->user));
}

/* The parcel of `w`, in its arena. */
static struct str pack(struct world *w)
{
	struct metacache_parcel *p;
	AUTO_BUF(all, 0);
	AUTO_BUF(piece, 0);
	assert_ok(metacache_pack(&w->op, w->store, USER, false, &p));
	do {
		buf_clear(&piece);
		assert_ok(metacache_parcel_read(&w->op, p, &piece, PIECE));
		buf_put(&all, buf_str(&piece));
	} while (piece.n > 0);
	assert_int_equal(all.n, metacache_parcel_bytes(p));
	metacache_parcel_free(p);
	return buf_dup(&w->arena, &all);
}

static enum err give(struct op *op, void *arg, char *out, size_t max, size_t *out_n)
{
	struct str *rest = arg;
	(void)op;
	struct str some = str_take(rest, MIN(MIN(max, rest->n), PIECE));
	memcpy(out, some.p, some.n);
	*out_n = some.n;
	return ERR_NONE;
}

static enum err receive(struct world *w, struct str parcel, uint64_t promised)
{
	struct metacache_held *held;
	struct metacache_received got;
	struct metacache_source source = { .bytes = promised, .read = give, .arg = &parcel };
	assert_ok(metacache_hold(&w->op, w->store, USER, &held));
	enum err e = metacache_receive(&w->op, held, &source, &got);
	char *dir = user_dir(w->store, USER);
	assert_int_not_equal(access(str_printf(&w->arena, "%s/.pull", dir).p, F_OK), 0);
	mem_free(dir);
	metacache_let_go(held);
	op_forgive(&w->op);
	return e;
}

/* Some mails and a flag at `a`, who is left without a session; what INBOX is then. */
static struct str begin(struct pair *p)
{
	struct mailbox *m = world_box(p->a, "INBOX");
	struct view *v = world_view(p->a, m);
	for (int i = 0; i < 5; i++)
		(void)world_append(p->a, m, "word");
	world_flags(p->a, v, 2, 2, FLAGS_ADD, MAIL_FLAGGED);
	view_close(v);
	struct str is = world_describe(p->a, m);
	mailbox_unref(m);
	leave(p->a);
	open_store(p->b);
	return is;
}

static void assert_same(struct world *w, struct str is)
{
	struct mailbox *m = world_box(w, "INBOX");
	assert_str(world_describe(w, m), is);
	assert_ok(mailbox_verify(&w->op, m));
	mailbox_unref(m);
}

static void what_came_is_current_in(struct pair *p)
{
	struct str is = begin(p), parcel = pack(p->a);
	assert_ok(receive(p->b, parcel, parcel.n));
	come(p->b);
	struct mailbox *m = world_box(p->b, "INBOX");
	assert_int_equal(p->b->store->counters.opens_clean, 1);
	assert_int_equal(p->b->store->counters.opens_rebuilt, 0);
	mailbox_unref(m);
	assert_same(p->b, is);
}

static void damage_is_refused_in(struct pair *p)
{
	struct str is = begin(p), parcel = pack(p->a);
	char *bytes = arena_alloc(&p->b->arena, parcel.n);
	for (size_t at = 0; at < parcel.n; at += STRIDE) {
		memcpy(bytes, parcel.p, parcel.n);
		bytes[at] ^= 0x10;
		assert_int_not_equal(
			receive(p->b, (struct str){ bytes, parcel.n }, parcel.n), ERR_NONE);
		assert_int_not_equal(receive(p->b, str_slice(parcel, 0, at), parcel.n), ERR_NONE);
		assert_int_not_equal(receive(p->b, str_slice(parcel, 0, at), at), ERR_NONE);
	}
	assert_int_not_equal(receive(p->b, parcel, parcel.n + 1), ERR_NONE);
	come(p->b);
	assert_same(p->b, is);
}

static void old_files_cost_only_reading_in(struct pair *p)
{
	(void)begin(p);
	struct str parcel = pack(p->a);
	come(p->b);
	struct mailbox *m = world_box(p->b, "INBOX");
	(void)world_append(p->b, m, "later");
	struct str is = world_describe(p->b, m);
	mailbox_unref(m);
	leave(p->b);
	assert_ok(receive(p->b, parcel, parcel.n));
	come(p->b);
	assert_same(p->b, is);
}

static void flags_that_only_this_host_knows_stay_in(struct pair *p)
{
	(void)begin(p);
	struct str parcel = pack(p->a);
	come(p->b);
	struct mailbox *m = world_box(p->b, "INBOX");
	struct view *v = world_view(p->b, m);
	world_flags(p->b, v, 4, 4, FLAGS_ADD, MAIL_FLAGGED);
	view_close(v);
	mailbox_unref(m);
	world_crash(p->b);
	open_store(p->b);
	assert_ok(receive(p->b, parcel, parcel.n));
	come(p->b);
	m = world_box(p->b, "INBOX");
	assert_true(index_hot(m->index, 3)->flags & MAIL_FLAGGED);
	mailbox_unref(m);
}

static void flags_of_a_dead_process_come_along_in(struct pair *p)
{
	(void)begin(p);
	come(p->a);
	struct mailbox *m = world_box(p->a, "INBOX");
	struct view *v = world_view(p->a, m);
	world_flags(p->a, v, 4, 4, FLAGS_ADD, MAIL_FLAGGED);
	view_close(v);
	mailbox_unref(m);
	world_crash(p->a);
	open_store(p->a);
	struct str parcel = pack(p->a);
	assert_ok(receive(p->b, parcel, parcel.n));
	come(p->b);
	m = world_box(p->b, "INBOX");
	assert_true(index_hot(m->index, 3)->flags & MAIL_FLAGGED);
	assert_ok(mailbox_verify(&p->b->op, m));
	mailbox_unref(m);
}

static void who_is_in_use_is_left_alone_in(struct pair *p)
{
	struct metacache_parcel *parcel;
	struct metacache_held *held;
	struct str is = begin(p);
	come(p->a);
	assert_int_equal(
		metacache_pack(&p->a->op, p->a->store, USER, false, &parcel), ERR_CONFLICT);
	assert_int_equal(metacache_drop_sent(&p->a->op, p->a->store, USER), ERR_CONFLICT);
	op_forgive(&p->a->op);
	leave(p->a);
	assert_ok(metacache_drop_sent(&p->a->op, p->a->store, USER));
	come(p->b);
	assert_int_equal(metacache_hold(&p->b->op, p->b->store, USER, &held), ERR_CONFLICT);
	op_forgive(&p->b->op);
	assert_same(p->b, is);
}

/* A removal or a change of places that went on when he was let go would take what the next opening writes. */
static void disk_work_is_never_left_halfway_in(struct pair *p)
{
	struct str is = begin(p), parcel = pack(p->a);
	assert_ok(receive(p->b, parcel, parcel.n));
	p->b->op.deadline_us = now_us();
	enum err e = metacache_drop_sent(&p->b->op, p->b->store, USER);
	assert_err(e, ERR_TIMEOUT); /* the lock, or the look, is what had no time */
	op_forgive(&p->b->op);
	char *dir = user_dir(p->b->store, USER);
	assert_ok(local_remove_dir(&p->b->op, dir));
	p->b->op.deadline_us = TIME_NEVER;
	assert_int_not_equal(access(dir, F_OK), 0);
	mem_free(dir);
	come(p->b);
	assert_same(p->b, is);
}

static void wait_task(void *arg)
{
	struct world *w = arg;
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	(void)user_wait_idle(&op, w->store, USER); /* he is, or the store closes */
}

static void who_waits_task(void *arg)
{
	struct world *w = world_new(false);
	struct op op;
	(void)arg;
	op_init(&op, NULL, NULL, TIME_NEVER);
	world_open_store(w);
	(void)task_start("waiting", wait_task, w);
	assert_ok(task_sleep(&op, 1));
	world_close(w);
	assert_ok(task_sleep(&op, US_PER_SEC)); /* he would look again meanwhile */
}

static void who_waits_keeps_the_store(void **state)
{
	(void)state;
	test_in_virtual_task(who_waits_task, NULL);
}

PAIR_TEST(what_came_is_current)
PAIR_TEST(damage_is_refused)
PAIR_TEST(old_files_cost_only_reading)
PAIR_TEST(flags_that_only_this_host_knows_stay)
PAIR_TEST(flags_of_a_dead_process_come_along)
PAIR_TEST(who_is_in_use_is_left_alone)
PAIR_TEST(disk_work_is_never_left_halfway)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_came_is_current),
		cmocka_unit_test(damage_is_refused),
		cmocka_unit_test(old_files_cost_only_reading),
		cmocka_unit_test(flags_that_only_this_host_knows_stay),
		cmocka_unit_test(flags_of_a_dead_process_come_along),
		cmocka_unit_test(who_is_in_use_is_left_alone),
		cmocka_unit_test(disk_work_is_never_left_halfway),
		cmocka_unit_test(who_waits_keeps_the_store),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
