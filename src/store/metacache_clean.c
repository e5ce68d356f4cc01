/* SPDX-License-Identifier: Apache-2.0 */
/* Dropping local state.
 *
 *   upload what no base holds -> hold the user (nobody opens him, in no process of this host) -> look
 *   at his files -> nothing in a log that no row has? -> remove -> let go
 *
 * A log with flags that only this host knows is opened as a mailbox once, which writes them, and looked at
 * again. When room is short each worker drops its own lowest unit while nobody else has a lower one; one that
 * has waited for the others long enough goes ahead. */
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "event/event.h"
#include "store/metacache_private.h"

#define TURN_US     (US_PER_SEC / 5)
#define TURNS_MAX   15
#define CANDIDATES  64
#define SLACK_SHARE 64 /* a 64th of the limit is freed beyond it, so that not every mail cleans */

/* ---- one user ---- */

/* WAITS. Removes what was asked for of a user who is held. *out_pending: what has flags that no row has
 * stays. */
static enum err remove_units(struct op *op, struct user *held, enum cache_priority from,
	enum cache_priority to, struct counted *found, bool *out_pending)
{
	*out_pending = false;
	for (size_t i = 0; i < found->count; i++)
		*out_pending |= found->mailboxes[i].pending > 0;
	if (from == CACHE_ROOT && !*out_pending) {
		TRY(local_remove_dir(op, held->dir));
		*found = (struct counted){ 0 };
		return ERR_NONE;
	}
	size_t kept = 0;
	*out_pending = false;
	for (size_t i = 0; i < found->count; i++) {
		struct counted_mailbox box = found->mailboxes[i];
		enum cache_priority p = box.is_special ? CACHE_SPECIAL : CACHE_OTHER;
		bool is_wanted = p >= from && p <= to;
		*out_pending |= is_wanted && box.pending > 0;
		if (!is_wanted || box.pending > 0) {
			found->mailboxes[kept++] = box;
			continue;
		}
		char *dir = local_dir_of(held, box.guid);
		enum err e = local_remove_dir(op, dir);
		mem_free(dir);
		TRY(e);
	}
	found->count = kept;
	return ERR_NONE;
}

enum err metacache_adopt(struct op *op, struct store *s, struct str name)
{
	struct user *u;
	struct tree_entry *entries;
	size_t count;
	TRY(user_open(op, s, name, &u));
	enum err e = tree_list(op, u, &entries, &count);
	for (size_t i = 0; e == ERR_NONE && i < count; i++) {
		struct mailbox *m;
		if (!(entries[i].flags & TREE_SELECTABLE))
			continue;
		e = mailbox_open(op, u, entries[i].name, &m);
		if (e == ERR_NONE)
			mailbox_unref(m);
	}
	user_unref(u);
	return e;
}

/* WAITS. Once. */
static enum err clean_held(struct op *op, struct metacache *c, struct cache_user *cu,
	enum cache_priority from, enum cache_priority to, bool *out_pending)
{
	struct user *held;
	struct counted found;
	TRY(user_hold(op, c->store, cu->name, &held));
	enum err e = metacache_look(op, held->dir, true, &found);
	if (e == ERR_NONE)
		e = remove_units(op, held, from, to, &found, out_pending);
	if (e == ERR_NONE)
		metacache_apply(c, cu, &found);
	user_let_go(held);
	return e;
}

static enum err clean_units(struct op *op, struct metacache *c, struct cache_user *u,
	enum cache_priority from, enum cache_priority to)
{
	bool is_pending = false;
	TRY(clean_held(op, c, u, from, to, &is_pending));
	if (!is_pending)
		return ERR_NONE;
	metacache_maintain(c, u);
	TRY(metacache_adopt(op, c->store, u->name));
	TRY(clean_held(op, c, u, from, to, &is_pending));
	if (is_pending)
		return op_fail(op, ERR_CONFLICT,
			"%.*s has flag changes that the catalog does not have", STRF(u->name));
	return ERR_NONE;
}

static bool is_in_use(const struct metacache *c, const struct cache_user *u)
{
	const struct user *open = map_get(&c->store->users, u->name);
	return open && (open->state != OPEN || open->refs > 0);
}

static enum cache_change units_change(
	const struct cache_user *u, enum cache_priority from, enum cache_priority to)
{
	uint8_t worst = CACHE_UNCHANGED;
	for (int p = from; p <= (int)to; p++)
		worst = MAX(worst, u->units[p].change);
	return (enum cache_change)worst;
}

/* WAITS. Pinned by the caller. */
static enum err clean_user(struct op *op, struct metacache *c, struct cache_user *u,
	const struct metacache_clean *how, enum cache_priority to, uint64_t *out_bytes)
{
	uint64_t before = cache_user_bytes(u);
	size_t uploaded;
	*out_bytes = 0;
	if (is_in_use(c, u))
		return op_fail(op, ERR_CONFLICT, "%.*s has sessions or deliveries", STRF(u->name));
	if (units_change(u, how->min_priority, to) != CACHE_UNCHANGED) {
		if (!how->flushes)
			return op_fail(op, ERR_INVALID,
				"%.*s has changes that no base holds: doveadm metacache flush",
				STRF(u->name));
		TRY(metacache_upload(op, c, u, BASE_CLEAN, &uploaded));
	}
	enum err e = clean_units(op, c, u, how->min_priority, to);
	uint64_t after = cache_user_bytes(u);
	*out_bytes = before > after ? before - after : 0;
	metacache_tell(c);
	if (e == ERR_NONE) {
		c->figures.cleaned_units++;
		c->figures.cleaned_bytes += *out_bytes;
		struct event *event = event_new(c->store->event, "metacache");
		event_set_str(event, "user", u->name);
		event_set_int(event, "min_priority", how->min_priority);
		event_set_int(event, "bytes", (int64_t)*out_bytes);
		event_send(event, EVENT_INFO, "metacache_user_clean_finished",
			"Local state of %.*s dropped from priority %d on: %" PRIu64 " bytes",
			STRF(u->name), (int)how->min_priority, *out_bytes);
		event_unref(event);
	}
	return e;
}

static bool was_used_lately(const struct cache_user *u, const struct metacache_clean *how)
{
	int64_t limit_s = (now_wall_us() - how->unused_us) / US_PER_SEC;
	uint32_t last_s = u->units[CACHE_ROOT].access_s;
	for (int p = how->min_priority; p < CACHE_PRIORITIES; p++)
		last_s = MAX(last_s, u->units[p].access_s);
	return how->unused_us > 0 && last_s > limit_s;
}

enum err metacache_clean(struct op *op, struct store *s, struct str name,
	const struct metacache_clean *how, uint64_t *out_bytes)
{
	struct metacache *c = s->metacache;
	*out_bytes = 0;
	if (!user_name_is_valid(name))
		return op_fail(op, ERR_INVALID, "not a user name");
	struct cache_user *u = metacache_pin(c, name);
	enum err e = ERR_NONE;
	if (!was_used_lately(u, how))
		e = clean_user(op, c, u, how, CACHE_OTHER, out_bytes);
	metacache_unpin(c, u);
	return op_within(op, e, "cleaning");
}

/* ---- asking the catalog again ---- */

struct unlink_job {
	struct offload_job job; /* first */
	struct buf paths;       /* each ends with a zero byte */
};

static void unlink_run(struct offload_job *job)
{
	struct unlink_job *j = CONTAINER_OF(job, struct unlink_job, job);
	struct str rest = buf_str(&j->paths), path;
	while (str_cut(&rest, '\0', &path))
		(void)unlink(path.p); /* what is not there need not go */
}

static void unlink_release(struct offload_job *job)
{
	struct unlink_job *j = CONTAINER_OF(job, struct unlink_job, job);
	buf_done(&j->paths);
	mem_free(j);
}

/* WAITS. Without a log no opening takes the files for current: it reads the tail. */
static enum err drop_logs(struct op *op, struct user *held, const struct counted *found)
{
	struct unlink_job *j = MEM_NEW(struct unlink_job);
	j->job.run = unlink_run;
	j->job.release = unlink_release;
	for (size_t i = 0; i < found->count; i++) {
		char *dir = local_dir_of(held, found->mailboxes[i].guid);
		buf_putf(&j->paths, "%s/log", dir);
		buf_put_byte(&j->paths, '\0');
		mem_free(dir);
	}
	TRY(offload(op, OFFLOAD_DISK, &j->job));
	unlink_release(&j->job);
	return ERR_NONE;
}

/* WAITS. Beside his sessions: what other hosts wrote is looked for now. */
static enum err refresh_open(struct op *op, struct store *s, struct str name)
{
	struct user *u;
	TRY(user_open(op, s, name, &u));
	enum err e = user_refresh(op, u);
	user_unref(u);
	return e;
}

enum err metacache_refresh(struct op *op, struct store *s, struct str name)
{
	struct user *held;
	struct counted found;
	struct user *open = map_get(&s->users, name);
	if (open && open->state == OPEN && open->refs > 0)
		return op_within(op, refresh_open(op, s, name), "refreshing");
	/* Whatever waits in logs is in rows after this, and he closes cleanly. */
	TRY(metacache_adopt(op, s, name));
	TRY(user_hold(op, s, name, &held));
	enum err e = metacache_look(op, held->dir, true, &found);
	for (size_t i = 0; e == ERR_NONE && i < found.count; i++)
		if (found.mailboxes[i].pending > 0)
			e = op_fail(op, ERR_CONFLICT,
				"%.*s has flag changes that the catalog does not have", STRF(name));
	if (e == ERR_NONE)
		e = drop_logs(op, held, &found);
	user_let_go(held);
	struct cache_user *u = cache_find(&s->metacache->account, name);
	if (u)
		metacache_count_soon(s->metacache, name);
	return op_within(op, e, "refreshing");
}

/* ---- room is short ---- */

int64_t metacache_user_weight(const struct metacache *c, const struct cache_user *u,
	const uint64_t totals[CACHE_PRIORITIES], enum cache_priority *out_priority)
{
	int64_t lowest = INT64_MAX;
	*out_priority = CACHE_OTHER;
	for (int p = CACHE_PRIORITIES - 1; p >= 0; p--) {
		if (u->units[p].bytes == 0)
			continue;
		int64_t weight = cache_weight(&c->settings.weights, (enum cache_priority)p,
			&u->units[p], totals[p], c->settings.max_bytes);
		if (weight < lowest) {
			lowest = weight;
			*out_priority = (enum cache_priority)p;
		}
	}
	return lowest;
}

struct candidate {
	int64_t weight;
	struct cache_user *user; /* pinned */
	enum cache_priority priority;
};
struct candidates {
	struct candidate items[CANDIDATES]; /* lowest first */
	size_t count;
};

static void consider(struct candidates *l, struct candidate new)
{
	size_t at = l->count;
	if (at == CANDIDATES && l->items[at - 1].weight <= new.weight)
		return;
	at = MIN(at, (size_t)CANDIDATES - 1);
	l->count = MIN(l->count + 1, (size_t)CANDIDATES);
	for (; at > 0 && l->items[at - 1].weight > new.weight; at--)
		l->items[at] = l->items[at - 1];
	l->items[at] = new;
}

static void find_candidates(struct metacache *c, struct candidates *out)
{
	uint64_t totals[CACHE_PRIORITIES];
	size_t at = SIZE_MAX;
	struct cache_user *u;
	out->count = 0;
	(void)cache_totals_sum(c->totals, totals);
	while ((u = cache_walk(&c->account, &at)) != NULL) {
		struct candidate new = { .user = u };
		if (is_in_use(c, u) || cache_user_bytes(u) == 0)
			continue;
		new.weight = metacache_user_weight(c, u, totals, &new.priority);
		consider(out, new);
	}
	for (size_t i = 0; i < out->count; i++)
		out->items[i].user->pins++;
}

static bool is_over(const struct metacache *c, bool is_cleaning)
{
	uint64_t max = c->settings.max_bytes;
	return cache_totals_sum(c->totals, NULL) > (is_cleaning ? max - max / SLACK_SHARE : max);
}

/* WAITS until nobody else has something that goes before. */
static enum err wait_turn(struct op *op, struct metacache *c, int64_t weight)
{
	cache_totals_tell(c->totals, c->account.bytes, weight);
	for (int turn = 0; turn < TURNS_MAX && is_over(c, true) && !c->is_stopping &&
			   cache_totals_lowest_of_others(c->totals) < weight;
		turn++)
		TRY(task_sleep(op, TURN_US));
	return ERR_NONE;
}

/* WAITS. Returns whether something was dropped. */
static bool clean_candidate(struct metacache *c, const struct candidate *at)
{
	struct op op;
	uint64_t bytes = 0;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, c->store->event, now_us() + METACACHE_OP_US);
	struct metacache_clean how = { .min_priority = at->priority, .flushes = true };
	enum cache_priority to = at->priority == CACHE_ROOT ? CACHE_OTHER : at->priority;
	enum err e = wait_turn(&op, c, at->weight);
	if (e == ERR_NONE && is_over(c, true) && !c->is_stopping)
		e = clean_user(&op, c, at->user, &how, to, &bytes);
	/* Who logged in meanwhile is no failure. */
	if (e != ERR_NONE && e != ERR_CONFLICT)
		event_send_failure(c->store->event, EVENT_WARNING, "metacache_clean_failed", &op,
			"dropping local state");
	return bytes > 0;
}

static void check_task(void *arg)
{
	struct metacache *c = arg;
	struct candidates *list = MEM_NEW(struct candidates);
	bool has_more = is_over(c, false);
	struct metacache_run run;
	metacache_run_begin(c, &run);
	while (has_more && !c->is_stopping) {
		size_t dropped = 0;
		find_candidates(c, list);
		for (size_t i = 0; i < list->count; i++) {
			if (is_over(c, true) && !c->is_stopping)
				dropped += clean_candidate(c, &list->items[i]);
			metacache_unpin(c, list->items[i].user);
		}
		has_more = dropped > 0 && is_over(c, true);
	}
	mem_free(list);
	metacache_run_end(&run);
	c->is_checking = false;
	c->checked_us = now_us();
	cache_totals_tell(c->totals, c->account.bytes, INT64_MAX);
	if (!c->is_stopping)
		timer_set(&c->check_timer, now_us() + METACACHE_CHECK_US);
	store_background_end(c->store);
}

void metacache_check_due(void *arg)
{
	struct metacache *c = arg;
	if (c->is_checking)
		return;
	if (!is_over(c, false)) {
		timer_set(&c->check_timer, now_us() + METACACHE_CHECK_US);
		return;
	}
	c->is_checking = true;
	store_background(c->store, "metacache-clean", check_task, c);
}
