/* SPDX-License-Identifier: Apache-2.0 */
/* Users whose mail makes their worker crash get a worker of their own, so that the next crash hurts
 * nobody else's worker.
 *
 * The shard moves, because a shard's catalog has one writer: the few users who hash to it come along.
 * Order: the worker that had it is dead -> the table names the new worker -> both start; a worker serves
 * nobody whom the table gives to another (role_mail.c). Back: the worker of the quarantine ends ->
 * the table names the first one again.
 *
 * A quarantine ends by `doveadm quarantine release`, or with the master. */
#include "base/hash.h"
#include "event/event.h"
#include "main/master_private.h"

#define CRASH_MEMORY_US (3600 * US_PER_SEC)
#define RELEASE_US      (60 * US_PER_SEC)

/* Second within the hour? Remembers this one. */
static bool is_second(struct master *m, uint64_t user_hash)
{
	bool has_one = false;
	for (size_t i = 0; i < CRASHES_MAX; i++) {
		const struct crash_record *r = &m->crashes[i];
		has_one |= r->at_us > 0 && r->user_hash == user_hash &&
			   now_us() - r->at_us < CRASH_MEMORY_US;
	}
	m->crashes[m->next_crash++ % CRASHES_MAX] =
		(struct crash_record){ .user_hash = user_hash, .at_us = now_us() };
	return has_one;
}

static struct quarantine *find_free(struct master *m)
{
	for (uint32_t i = 0; i < QUARANTINES_MAX; i++) {
		if (m->quarantines[i].is_used)
			continue;
		m->quarantines[i].slot = m->plans.worker_count + i;
		return &m->quarantines[i];
	}
	return NULL;
}

static enum err begin(struct op *op, struct child *c, struct str user)
{
	struct master *m = c->master;
	struct quarantine *q = find_free(m);
	struct process_plan plan;
	if (!q)
		return op_fail(
			op, ERR_LIMIT, "%d users are in quarantine already", QUARANTINES_MAX);
	TRY(process_plan_extra(op, m->config, &m->sockets, q->slot, &plan));
	q->shard = shared_shard_of(m->shared, user);
	q->home_slot = c->plan.slot;
	memcpy(q->user, user.p, MIN(user.n, sizeof(q->user) - 1));
	q->user[MIN(user.n, sizeof(q->user) - 1)] = '\0';
	q->is_used = true;
	shared_set_worker(m->shared, q->shard, q->slot);
	struct child *own = child_new(m, &plan);
	enum err e = child_start(op, own);
	if (e != ERR_NONE) {
		shared_set_worker(m->shared, q->shard, q->home_slot);
		q->is_used = false;
		child_free(own);
	}
	return e;
}

void quarantine_note_crash(struct child *c, struct str user)
{
	struct master *m = c->master;
	AUTO_ARENA(arena, 0);
	struct op op;
	if (user.n == 0 || !is_second(m, hash_stable(user)) || m->is_stopping || c->is_leaving)
		return;
	if (c->plan.slot >= m->plans.worker_count)
		return; /* he is in one */
	if (shared_worker_of(m->shared, user) != c->plan.slot)
		return; /* the dead may have written anything: the worker of this one lives */
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (begin(&op, c, user) != ERR_NONE) {
		event_send_failure(NULL, EVENT_ERROR, "quarantine_failed", &op, "isolating a user");
		return;
	}
	event_send(NULL, EVENT_ERROR, "quarantine_started",
		"user %.*s made his worker crash twice within an hour and has a worker of his own "
		"now: look at the back-traces above and report them; then `doveadm quarantine "
		"release %.*s`",
		STRF(user), STRF(user));
}

enum err quarantine_release(struct op *op, struct master *m, struct str user)
{
	struct quarantine *q = NULL;
	for (size_t i = 0; i < QUARANTINES_MAX; i++) {
		if (m->quarantines[i].is_used && str_eq(str_from(m->quarantines[i].user), user))
			q = &m->quarantines[i];
	}
	if (!q)
		return op_fail(op, ERR_NOT_FOUND, "user %.*s is in no quarantine", STRF(user));
	struct child *c = child_find(m, &role_mail, q->slot);
	uint32_t slot = q->slot;
	if (c && c->pid > 0)
		child_retire(c, RELEASE_US);
	else if (c)
		child_free(c);
	/* Until its process has ended nobody else may open its shard. */
	struct op until;
	op_init(&until, op->arena, NULL, now_us() + RELEASE_US);
	for (bool is_there = true; is_there;) {
		struct child *i, *next;
		is_there = false;
		LIST_FOR_EACH(i, next, &m->children, struct child, link)
		is_there |= i->plan.role == &role_mail && i->plan.slot == slot && i->pid > 0;
		if (is_there)
			TRY(wait_queue_wait(&until, &m->changed));
	}
	shared_set_worker(m->shared, q->shard, q->home_slot);
	*q = (struct quarantine){ 0 };
	event_send(NULL, EVENT_INFO, "quarantine_ended", "user %.*s is back with the others",
		STRF(user));
	return ERR_NONE;
}
