/* SPDX-License-Identifier: Apache-2.0 */
/* Several backends serve one user at the same time. One of them may stand still, for seconds or hours, and
 * go on; one may end, and another host takes its place. When all have looked and nothing is under way, each
 * of them shows what a host shows that reads all anew. */
#include "ledger.h"

#define LONGEST_FREEZE_US (3 * 3600 * US_PER_SEC)

struct lives {
	struct process *items[LIVES_MAX]; /* by seat; NULL: it did not open the user */
	int64_t frozen_until_us[LIVES_MAX];
	size_t count;
};

static struct backend *free_backend(void)
{
	struct world *w = sim_world;
	struct backend *found[SIM_BACKENDS];
	size_t count = 0;
	for (size_t i = 0; i < SIM_BACKENDS; i++) {
		bool is_used = false;
		for (size_t k = 0; k < LIVES_MAX; k++)
			is_used =
				is_used || (w->lives[k] && w->lives[k]->backend == &w->backends[i]);
		if (!is_used)
			found[count++] = &w->backends[i];
	}
	ASSERT(count > 0);
	return found[random_below(count)];
}

/* WAITS. */
static void take_seat(struct lives *l, size_t seat)
{
	struct world *w = sim_world;
	struct backend *b = free_backend();
	prepare_files(b);
	struct process *p = process_start(b);
	p->seat = (int)seat;
	p->link.faults = random_faults();
	if (sim_chance(40))
		p->link.crash_at = 1 + sim_time_between(0, 300);
	l->items[seat] = p;
	if (process_open_user(&w->op, p) != ERR_NONE) {
		sim_trace("p%d opening the user: %s", p->number, w->op.failure.text);
		op_forgive(&w->op);
		process_crash(p);
		l->items[seat] = NULL;
		return;
	}
	sessions_start(p, 1 + (int)random_below(3));
}

static void freeze(struct lives *l, size_t seat)
{
	struct process *p = l->items[seat];
	int64_t us =
		sim_time_between(US_PER_SEC, sim_chance(80) ? 90 * US_PER_SEC : LONGEST_FREEZE_US);
	sim_trace("p%d stands still for %" PRId64 " s", p->number, us / US_PER_SEC);
	sim_did(DID_FREEZE);
	p->link.is_paused = true;
	l->frozen_until_us[seat] = now_us() + us;
}

static void thaw(struct process *p)
{
	if (!p->link.is_paused)
		return;
	sim_trace("p%d goes on", p->number);
	p->link.is_paused = false;
	wait_queue_wake_all(&p->link.resumed);
}

/* WAITS. Another host goes on in its place. */
static void replace(struct lives *l, size_t seat, bool is_crash)
{
	struct process *p = l->items[seat];
	if (is_crash) {
		process_crash(p);
	} else {
		thaw(p);
		end_faults(p);
		process_stop(p);
	}
	l->items[seat] = NULL;
	sim_did(DID_REPLACE);
	if (sim_chance(70))
		take_seat(l, seat);
}

/* WAITS. One moment of a process's life. False: it does nothing any more. */
static bool turn(struct lives *l, size_t seat)
{
	struct process *p = l->items[seat];
	if (!p)
		return false;
	if (p->is_crashing || random_below(3000) == 0) {
		replace(l, seat, p->is_crashing || sim_chance(50));
		return l->items[seat] != NULL;
	}
	if (p->link.is_paused && now_us() > l->frozen_until_us[seat])
		thaw(p);
	else if (!p->link.is_paused && random_below(600) == 0)
		freeze(l, seat);
	if (p->link.faults.refused > 0 && random_below(800) == 0)
		p->link.cut_until_us = now_us() + sim_time_between(0, 60 * US_PER_SEC);
	return p->sessions > 0;
}

static bool has_flags_to_write(const struct process *p)
{
	for (struct list *at = p->user->mailboxes.next; at != &p->user->mailboxes; at = at->next) {
		const struct mailbox *m = CONTAINER_OF(at, struct mailbox, link);
		if (m->pending.n > 0 && !m->is_removed)
			return true;
	}
	return false;
}

/* What was in doubt keeps them in memory. Without a journal nothing else would write them. */
static bool is_at_rest(const struct lives *l)
{
	for (size_t i = 0; i < l->count && sim_world->journal != STORE_FLAGS_OFF; i++)
		if (l->items[i] && has_flags_to_write(l->items[i]))
			return false;
	return true;
}

/* WAITS until the journals of all have written what their sessions were told, and what was in doubt is
 * settled: who lives may still do it. */
static void come_to_rest(struct lives *l)
{
	struct world *w = sim_world;
	for (size_t i = 0; i < l->count; i++) {
		struct process *p = l->items[i];
		if (!p)
			continue;
		thaw(p);
		end_faults(p);
		p->is_ending = true;
	}
	for (size_t i = 0; i < l->count; i++)
		if (l->items[i])
			process_wait(l->items[i]);
	if (sim_chance(50))
		late_run(true);
	do {
		sim_must(&w->op, task_sleep(&w->op, 3 * US_PER_SEC), "resting");
		for (size_t i = 0; i < l->count; i++)
			while (l->items[i] && l->items[i]->store->background > 0)
				sim_must(&w->op,
					wait_queue_wait(&w->op, &l->items[i]->store->quiet),
					"resting");
		for (size_t i = 0; i < l->count; i++)
			if (l->items[i])
				sim_must(
					&w->op, user_settle(&w->op, l->items[i]->user), "settling");
	} while (!is_at_rest(l));
}

/* Of a mailbox that lacks flags of another host's base; or its host stood still until rows were dropped that it
 * has not seen. */
static bool may_open_anew(enum err e)
{
	struct str why = str_from(sim_world->op.failure.text);
	return e == ERR_UNAVAILABLE &&
	       (sim_world->journal == STORE_FLAGS_OFF ||
		       str_find(why, STR("not looked at for too long")) >= 0);
}

/* WAITS. Twice: a merge of one is news for the others. */
static void refresh_all(struct lives *l)
{
	struct world *w = sim_world;
	for (size_t round = 0; round < 2; round++)
		for (size_t i = 0; i < l->count; i++) {
			struct process *p = l->items[i];
			if (!p)
				continue;
			enum err e = user_refresh(&w->op, p->user);
			/* A mailbox may have to be opened anew: that is no part of the next. */
			for (size_t n = 0; n < TREE_NAMES && may_open_anew(e); n++) {
				op_forgive(&w->op);
				e = user_refresh(&w->op, p->user);
			}
			sim_must(&w->op, e, "refreshing");
		}
}

/* WAITS. */
static void compare(struct lives *l)
{
	come_to_rest(l);
	if (sim_chance(50))
		look_from(free_backend());
	for (size_t i = 0; i < l->count; i++) {
		refresh_all(l);
		if (l->items[i])
			look(l->items[i]);
	}
}

void both_live(void)
{
	struct world *w = sim_world;
	struct lives l = { .count = sim_chance(80) ? 2 : 3 };
	int64_t ends_us = now_us() + sim_time_between(10 * US_PER_SEC, 300 * US_PER_SEC);
	sim_did(DID_BOTH);
	for (size_t i = 0; i < l.count; i++)
		take_seat(&l, i);
	for (bool any = true; any;) {
		any = false;
		sim_must(&w->op,
			task_sleep(&w->op, now_us() > ends_us ? US_PER_SEC : 20 * US_PER_MS),
			"waiting");
		for (size_t i = 0; i < l.count; i++) {
			if (l.items[i] && now_us() > ends_us)
				l.items[i]->is_ending = true;
			any = turn(&l, i) || any;
		}
	}
	if (sim_chance(70))
		compare(&l);
	for (size_t i = 0; i < l.count; i++)
		if (l.items[i]) {
			thaw(l.items[i]);
			end_life(l.items[i]);
		}
	arena_reset(&w->arena);
}
