/* SPDX-License-Identifier: Apache-2.0 */
/* The ways of a process to what is shared: what gets lost, delayed, doubled, and what arrives after its
 * process has ended. A request is on its way for a moment, is carried out at once, and its answer is on
 * its way for a moment: a process may end, and its clock be set, anywhere between. */
#include "sim.h"

#define TIMEOUT_US (2 * US_PER_SEC)
#define SLOWEST_US (40 * US_PER_SEC)
#define LATEST_US  (3 * 3600 * US_PER_SEC)
/* Tails begin STORE_TAIL_MS before their cover; clocks differ. */
#define LATEST_ROW_US (STORE_TAIL_MS * (int64_t)US_PER_MS - 10 * US_PER_SEC)

/* ---- what arrives later ---- */

struct late_work *late_new(void)
{
	struct late_work *work = MEM_NEW(struct late_work);
	arena_init(&work->arena, 0);
	return work;
}

void late_add(struct late_work *work)
{
	struct list *at = &sim_world->late;
	work->due_us = now_us() + (sim_chance(50) ? sim_time_between(0, 30 * US_PER_SEC)
						  : sim_time_between(0, LATEST_US));
	sim_world->counters->late++;
	while (at->prev != &sim_world->late &&
		CONTAINER_OF(at->prev, struct late_work, link)->due_us > work->due_us)
		at = at->prev;
	list_add_before(at, &work->link);
}

static void late_free(struct late_work *work)
{
	list_remove(&work->link);
	arena_done(&work->arena);
	mem_free(work);
}

static void trace_change(const struct catalog_change *c)
{
	static const char *const words[] = { "put row", "delete row", "put head", "delete head",
		"put reverse", "delete reverse", "put garbage", "delete garbage",
		"delete mailbox" };
	sim_trace("late: %s %.*s%s, stamp %" PRId64 " ms",
		(size_t)c->kind < ARRAY_COUNT(words) ? words[c->kind] : "another", STRF(c->key),
		c->row.kind == CATALOG_APPEND ? "of a mail" : "",
		(c->stamp_us - INT64_C(1700000000) * US_PER_SEC) / US_PER_MS);
}

/* How long rows of others are looked for behind a cover: heads tell of a host that was ended for so long as he may
 * not know it (STORE_LATE_US), and a tail begins ten minutes back. */
static int64_t latest_row_us(void)
{
	return sim_world->is_both ? sim_world->refresh_us + 2 * STORE_WRITE_US : LATEST_ROW_US;
}

/* A row that nobody acknowledged, behind every tail that is still read: only a fold of all rows would find
 * it (storage contract §2: tails). It never comes. */
bool late_is_beyond_tails(const struct catalog_change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct catalog_change *c = &changes[i];
		int64_t name_us = (int64_t)name_ms(c->row.name) * US_PER_MS;
		if (c->kind == CATALOG_PUT_ROW &&
			name_us + latest_row_us() < now_wall_us() - sim_world->skew_us)
			return true;
	}
	return false;
}

static bool has_names(const struct late_work *work)
{
	static const struct catalog_guid root_scope;
	for (size_t i = 0; i < work->count; i++)
		if (work->changes[i].kind == CATALOG_PUT_ROW &&
			memcmp(&work->changes[i].mailbox, &root_scope, sizeof(root_scope)) == 0)
			return true;
	return false;
}

static void late_do(struct late_work *work)
{
	struct world *w = sim_world;
	struct op op;
	if (late_is_beyond_tails(work->changes, work->count))
		return;
	op_init(&op, &work->arena, NULL, TIME_NEVER);
	if (work->count > 0) {
		w->late_us = MAX(now_us(), w->looked_us + 1); /* a look takes no time at its end */
		if (has_names(work))
			w->late_names_us = now_us();
		for (size_t i = 0; i < MIN(work->count, 8); i++)
			trace_change(&work->changes[i]);
		sim_must(&op,
			catalog_write(&op, w->catalog, work->user, work->changes, work->count),
			"a late write");
	} else if (work->remove_key.n > 0) {
		(void)(objects_delete(&op, w->objects, work->remove_key) == ERR_NONE);
	} else {
		(void)(objects_put(&op, w->objects, &work->put) == ERR_NONE);
	}
}

void late_run(bool all)
{
	struct late_work *work;
	if (sim_world->is_looking)
		return;
	while ((work = LIST_FIRST(&sim_world->late, struct late_work, link)) != NULL &&
		(all || work->due_us <= now_us())) {
		late_do(work);
		late_free(work);
	}
}

static int64_t looked_at(const struct process *p)
{
	bool has_looked = sim_world->is_both && p->user;
	return has_looked ? MAX(p->began_us, p->user->looked_us) : p->began_us;
}

bool late_may_come(const struct process *p)
{
	struct late_work *work, *next;
	LIST_FOR_EACH(work, next, &sim_world->late, struct late_work, link)
	if (work->count > 0)
		return true;
	return sim_world->late_us >= looked_at(p);
}

bool late_came(void)
{
	return sim_world->late_us > sim_world->looked_us;
}

bool late_names_may_come(const struct process *p)
{
	struct late_work *work, *next;
	LIST_FOR_EACH(work, next, &sim_world->late, struct late_work, link)
	if (has_names(work) && !late_is_beyond_tails(work->changes, work->count))
		return true;
	return sim_world->late_names_us >= looked_at(p);
}

void late_free_all(void)
{
	struct late_work *work, *next;
	LIST_FOR_EACH(work, next, &sim_world->late, struct late_work, link)
	late_free(work);
}

/* ---- a request's fate ---- */

static enum link_verdict decide(const struct link_faults *f, int64_t *out_slow_us)
{
	unsigned at = (unsigned)random_below(1000);
	*out_slow_us = random_below(1000) < f->slow ? sim_time_between(0, SLOWEST_US) : 0;
	if (at < f->refused)
		return LINK_REFUSE;
	if ((at -= f->refused) < f->lost)
		return LINK_LOSE;
	if ((at -= f->lost) < f->late)
		return LINK_LATE;
	if (at - f->late < f->twice)
		return LINK_TWICE;
	return LINK_DO;
}

void link_stand_still(struct link *link)
{
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	task_shield();
	while (link->is_paused)
		(void)(wait_queue_wait(&op, &link->resumed) == ERR_NONE);
	task_unshield();
}

static enum err travel(struct op *op, struct link *link, int64_t us, bool is_leaving)
{
	enum err e = task_sleep(op, us);
	if (!link->is_paused || (is_leaving && sim_chance(50)))
		return e; /* what has left arrives */
	link_stand_still(link);
	if (e == ERR_NONE && now_us() > op->deadline_us && sim_chance(80))
		return op_fail(op, ERR_TIMEOUT, "sim: the process stood still");
	return e;
}

static void note_fault(const struct link *link, const char *what, const char *how)
{
	sim_world->counters->faults++;
	sim_trace("p%d    %s: %s", link->process->number, what, how);
}

enum err link_begin(struct op *op, struct link *link, const char *what, enum link_verdict *out)
{
	int64_t slow_us;
	static const char *const words[] = { "", "refused", "answer lost", "late", "twice" };
	*out = decide(&link->faults, &slow_us);
	if (++link->requests == link->crash_at)
		link->process->is_crashing = true;
	if (link->is_dead)
		return op_fail(op, ERR_UNAVAILABLE, "sim: the process is dead");
	if (*out != LINK_DO)
		note_fault(link, what, words[*out]);
	enum err e = travel(op, link, (int64_t)random_below(3 * US_PER_MS) + slow_us, true);
	late_run(false);
	if (link->is_dead || e != ERR_NONE) {
		/* It was on its way. */
		*out = sim_chance(50) ? LINK_LOSE : LINK_LATE;
		return sim_chance(50)  ? ERR_NONE
		       : e != ERR_NONE ? e
				       : op_fail(op, ERR_UNAVAILABLE, "sim: the process died");
	}
	if (link->cut_until_us > now_us()) {
		note_fault(link, what, "cut off");
		TRY(travel(op, link, TIMEOUT_US, false));
		return op_fail(op, ERR_UNAVAILABLE, "sim: no way there");
	}
	if (*out == LINK_REFUSE)
		return op_fail(op, ERR_UNAVAILABLE, "sim: refused");
	return ERR_NONE;
}

enum err link_end(struct op *op, struct link *link, enum link_verdict verdict, enum err e)
{
	enum err back = travel(op, link, (int64_t)random_below(3 * US_PER_MS), false);
	if (link->is_dead || verdict == LINK_LOSE || verdict == LINK_LATE)
		return op_fail(op, ERR_UNAVAILABLE, "sim: no answer");
	return back == ERR_NONE ? e : back;
}
