/* SPDX-License-Identifier: Apache-2.0 */
/* Moves that end with their process, and what others made of them in doubt: whatever comes late, a mail is
 * in the source or in the target. Catalogs that are not atomic only. */
#include "store/pair_test.h"

#define MAILS 3
#define FIRST_FLOOR                                                                                \
	3 /* requests of a takeover: its open head, its first floor row, and the next, held */

/* From the n-th request on writes are refused, and come when the test wants them. */
static void hold_from(struct world *w, int64_t n)
{
	catalog_fault_set(w->catalog, &(struct catalog_fault_plan){ .fail_at = n,
					      .fail_late = true,
					      .fail_from_there = true,
					      .spares_reads = true });
}

static void no_faults(struct world *w)
{
	catalog_fault_set(w->catalog, &(struct catalog_fault_plan){ 0 });
}

static void fill(struct world *w)
{
	char word[8];
	struct mailbox *inbox = world_box(w, "INBOX"), *sent = world_box(w, "Sent");
	(void)world_append(w, sent, "there");
	for (int i = 0; i < MAILS; i++) {
		(void)snprintf(word, sizeof(word), "m%d", i);
		(void)world_append(w, inbox, word);
	}
	mailbox_unref(inbox);
	mailbox_unref(sent);
}

/* All of INBOX. */
static enum err move_to(struct world *w, const char *name)
{
	struct mailbox *inbox = world_box(w, "INBOX"), *target = world_box(w, name);
	struct range_set uids = world_set(1, MAILS);
	struct copy_result result;
	enum err e = mailbox_transfer(&w->op, inbox, target, &uids, true, &result);
	range_set_done(&uids);
	mailbox_unref(inbox);
	mailbox_unref(target);
	return e;
}

static enum err move_all(struct world *w)
{
	return move_to(w, "Sent");
}

static size_t count(struct world *w, const char *name)
{
	struct mailbox *m = world_box(w, name);
	size_t n = index_counters(m->index).messages;
	assert_ok(mailbox_verify(&w->op, m));
	mailbox_unref(m);
	return n;
}

/* Opens and is interrupted: its writes are held from the n-th request on. Then the process ends. */
static void open_in_vain(struct world *w, const char *name, int64_t n)
{
	struct mailbox *m;
	hold_from(w, n);
	if (mailbox_open(&w->op, w->user, str_from(name), &m) == ERR_NONE)
		mailbox_unref(m);
	else
		op_forgive(&w->op);
	no_faults(w);
	world_reopen(w, WORLD_CRASH);
}

struct story {
	int64_t move_at, open_at;   /* requests from which on writes are held */
	const char *first, *second; /* what is opened in vain, and then in the calm */
	const char *target;
};

/* A move is interrupted, who opens next too; then the move's requests arrive, a third one looks at both
 * mailboxes, and at last what the second one had asked for comes. False: nothing was held any more. */
static bool tell(struct world *w, const struct story *s)
{
	fill(w);
	hold_from(w, s->move_at);
	bool is_moved = move_to(w, s->target) == ERR_NONE && strcmp(s->target, "Sent") == 0;
	op_forgive(&w->op);
	no_faults(w);
	world_reopen(w, WORLD_CRASH);
	size_t of_move = catalog_fault_late(w->catalog);
	open_in_vain(w, s->first, s->open_at);
	bool is_any = catalog_fault_late(w->catalog) > of_move;
	assert_ok(catalog_fault_replay_first(&w->op, w->catalog, of_move));
	(void)count(w, s->second);
	size_t in_target = count(w, "Sent") - 1, in_source = count(w, "INBOX");
	if (in_target + in_source < MAILS)
		fail_msg("%" PRId64 "/%" PRId64 " %s %s: %zu in the target, %zu in the source",
			s->move_at, s->open_at, s->first, s->second, in_target, in_source);
	assert_true(!is_moved || in_source == 0);
	assert_ok(catalog_fault_replay(&w->op, w->catalog));
	world_reopen(w, WORLD_CRASH);
	in_target = count(w, "Sent") - 1;
	in_source = count(w, "INBOX");
	if (in_target + in_source < MAILS)
		fail_msg("%" PRId64 "/%" PRId64
			 " %s %s: late, %zu in the target, %zu in the source",
			s->move_at, s->open_at, s->first, s->second, in_target, in_source);
	assert_true(!is_moved || in_source == 0);
	return is_any;
}

struct told {
	struct story story;
	bool is_any;
};

static void tell_task(void *arg)
{
	struct told *t = arg;
	struct world *w = world_open(false);
	t->is_any = tell(w, &t->story);
	world_close(w);
}

static void mails_are_in_the_source_or_in_the_target(void **state)
{
	static const char *const names[] = { "INBOX", "Sent" };
	(void)state;
	world_is_loose = true;
	for (int64_t move_at = 1; move_at < 24; move_at++)
		for (int order = 0; order < 8; order++) {
			struct told t = { { move_at, 0, names[order & 1], names[order >> 1 & 1],
						  names[order >> 2] },
				true };
			while (t.is_any && t.story.open_at < 40) {
				t.story.open_at++;
				test_in_virtual_task(tell_task, &t);
			}
		}
	world_is_loose = false;
}

/* Another host takes over, some of its processes one after the other, and what was held arrives before the last.
 * True: the move was done before. */
static bool another_host_finishes(struct pair *p, int64_t held_from, int before)
{
	fill(p->a);
	hold_from(p->a, held_from);
	bool is_moved = move_all(p->a) == ERR_NONE;
	op_forgive(&p->a->op);
	no_faults(p->a);
	world_crash(p->a);
	for (int i = 0; i < before; i++) {
		world_open_store(p->b);
		(void)count(p->b, "INBOX");
		(void)count(p->b, "Sent");
		world_crash(p->b);
	}
	assert_ok(catalog_fault_replay(&p->b->op, p->b->catalog));
	world_open_store(p->b);
	size_t in_target = count(p->b, "Sent") - 1, in_source = count(p->b, "INBOX");
	assert_int_equal(in_target, in_source == 0 ? MAILS : 0);
	assert_int_equal(in_target + in_source, MAILS);
	assert_true(!is_moved || in_source == 0);
	world_open_store(p->a);
	return is_moved;
}

struct held {
	int64_t from;
	int before;
	bool is_moved;
};

static void another_host_task(void *arg)
{
	struct held *h = arg;
	struct pair p = pair_open();
	h->is_moved = another_host_finishes(&p, h->from, h->before);
	pair_close(&p);
}

static void another_host_does_all_or_nothing(void **state)
{
	(void)state;
	world_is_loose = true;
	for (int before = 1; before <= 3; before++)
		for (struct held h = { 1, before, false }; !h.is_moved && h.from < 40; h.from++)
			test_in_virtual_task(another_host_task, &h);
	world_is_loose = false;
}

/* What is in both is there twice. */
static size_t count_all(struct world *w)
{
	return count(w, "INBOX") + count(w, "Sent") - 1;
}

struct interruption {
	int64_t move_at, open_at;
	const char *target, *opened;
	bool is_any;
};

/* Another host's opening is interrupted: it asks for no void of a batch whose writer it takes for alive, so
 * who comes next to the mover's host finishes the move. False: nothing of it was held any more. */
static bool a_stranger_opens_in_vain(struct pair *p, int64_t move_at, int64_t open_at)
{
	struct mailbox *m;
	fill(p->a);
	hold_from(p->a, move_at);
	(void)move_all(p->a);
	op_forgive(&p->a->op);
	no_faults(p->a);
	world_crash(p->a);
	size_t of_move = catalog_fault_late(p->a->catalog);
	world_open_store(p->b);
	hold_from(p->b, open_at);
	if (mailbox_open(&p->b->op, p->b->user, STR("INBOX"), &m) == ERR_NONE)
		mailbox_unref(m);
	op_forgive(&p->b->op);
	no_faults(p->b);
	world_crash(p->b);
	bool is_any = catalog_fault_late(p->a->catalog) > of_move;
	assert_ok(catalog_fault_replay_first(&p->a->op, p->a->catalog, of_move));
	world_open_store(p->a);
	assert_int_equal(count(p->a, "INBOX") + count(p->a, "Sent") - 1, MAILS);
	assert_ok(catalog_fault_replay(&p->a->op, p->a->catalog));
	world_reopen(p->a, WORLD_CRASH);
	assert_int_equal(count(p->a, "INBOX") + count(p->a, "Sent") - 1, MAILS);
	return is_any;
}

static void stranger_task(void *arg)
{
	struct interruption *o = arg;
	struct pair p = pair_open();
	o->is_any = a_stranger_opens_in_vain(&p, o->move_at, o->open_at);
	pair_close(&p);
}

static void a_stranger_in_between_asks_for_no_void(void **state)
{
	(void)state;
	world_is_loose = true;
	for (int64_t move_at = 1; move_at < 24; move_at++)
		for (struct interruption o = { .move_at = move_at, .open_at = 1, .is_any = true };
			o.is_any && o.open_at < 40; o.open_at++)
			test_in_virtual_task(stranger_task, &o);
	world_is_loose = false;
}

/* The mover's host opens again, and dies after its first floor row: that says of nobody what was seen, so no void can
 * be on its way. Another host finishes the move. */
static void only_the_first_floor(struct pair *p, const struct interruption *o)
{
	fill(p->a);
	hold_from(p->a, o->move_at);
	(void)move_to(p->a, o->target);
	op_forgive(&p->a->op);
	no_faults(p->a);
	world_reopen(p->a, WORLD_CRASH);
	size_t of_move = catalog_fault_late(p->a->catalog);
	open_in_vain(p->a, o->opened, o->open_at);
	world_crash(p->a);
	assert_ok(catalog_fault_replay_first(&p->a->op, p->a->catalog, of_move));
	world_open_store(p->b);
	assert_int_equal(count_all(p->b), MAILS);
	world_crash(p->b);
	assert_ok(catalog_fault_replay(&p->b->op, p->b->catalog));
	world_open_store(p->b);
	assert_int_equal(count_all(p->b), MAILS);
	world_open_store(p->a);
}

static void first_floor_task(void *arg)
{
	struct pair p = pair_open();
	only_the_first_floor(&p, arg);
	pair_close(&p);
}

static void who_wrote_only_a_first_floor_asked_for_no_void(void **state)
{
	static const char *const names[] = { "INBOX", "Sent" };
	(void)state;
	world_is_loose = true;
	for (int64_t move_at = 1; move_at < 24; move_at++)
		for (int i = 0; i < 4; i++)
			for (struct interruption o = { move_at, 1, names[i & 1], names[i >> 1],
				     true };
				o.open_at <= FIRST_FLOOR; o.open_at++)
				test_in_virtual_task(first_floor_task, &o);
	world_is_loose = false;
}

/* The mover's host opens again, and dies with what it asked for on its way; another one takes over, to whom the mover
 * may have lived, before the move's rows come. Its mails are there in the end. False: nothing was held any more. */
static bool a_stranger_comes_between(struct pair *p, const struct interruption *o)
{
	fill(p->a);
	hold_from(p->a, o->move_at);
	(void)move_to(p->a, o->target);
	op_forgive(&p->a->op);
	no_faults(p->a);
	world_reopen(p->a, WORLD_CRASH);
	size_t of_move = catalog_fault_late(p->a->catalog);
	open_in_vain(p->a, o->opened, o->open_at);
	bool is_any = catalog_fault_late(p->a->catalog) > of_move;
	world_crash(p->a);
	for (int i = 0; i < 2; i++) {
		world_open_store(p->b);
		assert_true(count_all(p->b) >= MAILS);
		world_crash(p->b);
		if (i == 0)
			assert_ok(catalog_fault_replay_first(&p->a->op, p->a->catalog, of_move));
	}
	assert_ok(catalog_fault_replay(&p->b->op, p->b->catalog));
	world_open_store(p->b);
	assert_true(count_all(p->b) >= MAILS);
	world_open_store(p->a);
	return is_any;
}

static void between_task(void *arg)
{
	struct interruption *o = arg;
	struct pair p = pair_open();
	o->is_any = a_stranger_comes_between(&p, o);
	pair_close(&p);
}

static void a_void_on_its_way_is_known_behind_a_stranger(void **state)
{
	static const char *const names[] = { "INBOX", "Sent" };
	(void)state;
	world_is_loose = true;
	for (int64_t move_at = 1; move_at < 24; move_at++)
		for (int i = 0; i < 4; i++)
			for (struct interruption o = { move_at, 1, names[i & 1], names[i >> 1],
				     true };
				o.is_any && o.open_at < 40; o.open_at++)
				test_in_virtual_task(between_task, &o);
	world_is_loose = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mails_are_in_the_source_or_in_the_target),
		cmocka_unit_test(another_host_does_all_or_nothing),
		cmocka_unit_test(a_stranger_in_between_asks_for_no_void),
		cmocka_unit_test(who_wrote_only_a_first_floor_asked_for_no_void),
		cmocka_unit_test(a_void_on_its_way_is_known_behind_a_stranger),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
