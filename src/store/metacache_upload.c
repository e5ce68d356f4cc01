/* SPDX-License-Identifier: Apache-2.0 */
/* Uploading bases: now, for whoever asks; soon, for what only this host has; at night, for everybody who
 * changed. The order is that of store/cache/queue.h. */
#include "base/hash.h"
#include "event/event.h"
#include "store/metacache_private.h"

#define ROUNDS_MAX 3
#define DAY_US     (24 * 3600 * US_PER_SEC)

/* ---- one user ---- */

static void note_result(
	struct metacache *c, struct op *op, struct str name, size_t uploaded, enum err e)
{
	c->figures.uploads += uploaded;
	c->figures.upload_failures += e != ERR_NONE;
	if (e == ERR_NONE && uploaded == 0)
		return;
	struct event *event = event_new(c->store->event, "metacache");
	event_set_str(event, "user", name);
	event_set_int(event, "uploaded", (int64_t)uploaded);
	if (e != ERR_NONE)
		event_send_failure(
			event, EVENT_WARNING, "metacache_upload_finished", op, "uploading bases");
	else
		event_send(event, EVENT_DEBUG, "metacache_upload_finished",
			"%zu bases of %.*s uploaded", uploaded, STRF(name));
	event_unref(event);
}

/* By the heads, without opening it. */
static bool may_have_news(const struct user *u, const struct tree_node *node)
{
	struct handover h = user_handover(u, node->guid);
	const struct user_base *base = user_base_of(u, node->guid);
	if (user_find_mailbox(u, node->guid) || h.is_open)
		return true;
	return h.has_closed && (!base || base->head.modseq != h.closed.modseq ||
				       base->head.next_uid != h.closed.next_uid);
}

/* WAITS. */
static enum err upload_mailbox(struct op *op, struct user *u, struct catalog_guid guid,
	enum base_reason why, size_t *uploaded)
{
	const struct tree_node *node = tree_find_guid(&u->tree, guid);
	struct mailbox *m;
	if (!node || node->is_removed || node->is_going || !may_have_news(u, node))
		return ERR_NONE;
	TRY(mailbox_open_node(op, u, node, &m));
	int64_t before_us = m->base.made_wall_us;
	/* Rows of flags that came behind the base would be news again. */
	enum err e = u->store->settings.flags_journal == STORE_FLAGS_ASYNC
			     ? flags_journal_flush(op, m)
			     : ERR_NONE;
	if (e == ERR_NONE)
		e = mailbox_upload_base(op, m, why);
	*uploaded += e == ERR_NONE && m->base.made_wall_us != before_us;
	mailbox_unref(m);
	return e;
}

/* WAITS. Of all mailboxes, also of those that nobody has open; what fails is left for the next time. */
static enum err upload_user(
	struct op *op, struct store *s, struct str name, enum base_reason why, size_t *uploaded)
{
	struct user *u;
	enum err first = ERR_NONE;
	TRY(user_open(op, s, name, &u));
	/* The tree changes while we wait. */
	size_t count = u->tree.node_count;
	struct catalog_guid *guids = ARENA_NEW_ARRAY(op->arena, struct catalog_guid, MAX(count, 1));
	for (size_t i = 0; i < count; i++)
		guids[i] = u->tree.nodes[i]->guid;
	for (size_t i = 0; i < count; i++) {
		enum err e = upload_mailbox(op, u, guids[i], why, uploaded);
		if (e == ERR_NOT_FOUND) { /* deleted meanwhile */
			op_forgive(op);
			e = ERR_NONE;
		}
		first = first == ERR_NONE ? e : first;
	}
	user_unref(u);
	return first;
}

enum err metacache_upload(struct op *op, struct metacache *c, struct cache_user *u,
	enum base_reason why, size_t *out_uploaded)
{
	uint32_t changes = 0;
	enum err e = ERR_NONE;
	*out_uploaded = 0;
	metacache_maintain(c, u);
	/* Opening a mailbox may write rows of its own: then once more, for little. */
	for (int round = 0; round < ROUNDS_MAX && e == ERR_NONE; round++) {
		changes = u->changes;
		e = upload_user(op, c->store, u->name, why, out_uploaded);
		if (u->changes == changes)
			break;
	}
	if (e == ERR_NONE)
		cache_note_uploaded(&c->account, u, changes);
	note_result(c, op, u->name, *out_uploaded, e);
	return op_within(op, e, "uploading bases");
}

/* WAITS. What only this host has: of mailboxes that are open, since closing one writes it. */
static enum err upload_important(
	struct op *op, struct metacache *c, struct cache_user *u, size_t *out_uploaded)
{
	uint32_t changes = u->changes;
	enum err e = user_flush(op, c->store, u->name, true, out_uploaded);
	if (e == ERR_NONE)
		cache_note_durable(&c->account, u, changes);
	note_result(c, op, u->name, *out_uploaded, e);
	return e;
}

enum err metacache_flush(
	struct op *op, struct store *s, struct str name, bool important_only, size_t *out_uploaded)
{
	struct metacache *c = s->metacache;
	*out_uploaded = 0;
	if (!user_name_is_valid(name))
		return op_fail(op, ERR_INVALID, "not a user name");
	struct cache_user *u = metacache_pin(c, name);
	enum err e = important_only ? upload_important(op, c, u, out_uploaded)
				    : metacache_upload(op, c, u, BASE_FLUSH, out_uploaded);
	metacache_unpin(c, u);
	return e;
}

/* ---- everybody ---- */

struct flushing {
	struct store *store;
	const struct metacache_filter *filter;
	bool important_only;
	size_t at; /* of the walk that its tasks share */
	size_t users, failed;
};

static enum err flush_some(struct op *op, void *arg)
{
	struct flushing *f = arg;
	struct cache_user *u;
	while ((u = cache_walk(&f->store->metacache->account, &f->at)) != NULL) {
		size_t uploaded;
		if (cache_user_change(u) <
				(f->important_only ? CACHE_IMPORTANT : CACHE_UNIMPORTANT) ||
			(f->filter->wanted && !f->filter->wanted(u->name, f->filter->arg)))
			continue;
		struct arena_mark mark = arena_mark(op->arena);
		struct str name = str_dup(op->arena, u->name);
		enum err e = metacache_flush(op, f->store, name, f->important_only, &uploaded);
		f->users += e == ERR_NONE;
		f->failed += e != ERR_NONE;
		arena_rewind(op->arena, mark);
		if (e == ERR_TIMEOUT || e == ERR_CANCELLED)
			return e;
		op_forgive(op);
	}
	return ERR_NONE;
}

static enum err flush_some_apart(struct op *op, void *arg)
{
	struct op own;
	AUTO_ARENA(arena, 0); /* that of the group is shared: nobody could rewind it */
	op_init(&own, &arena, op->event, op->deadline_us);
	enum err e = flush_some(&own, arg);
	return e == ERR_NONE ? e : op_fail(op, e, "%s", own.failure.text);
}

enum err metacache_flush_all(struct op *op, struct store *s, const struct metacache_filter *filter,
	bool important_only, size_t *out_users, size_t *out_failed)
{
	struct metacache *c = s->metacache;
	struct flushing f = {
		.store = s, .filter = filter, .important_only = important_only, .at = SIZE_MAX
	};
	struct task_group *g = task_group_new(op);
	for (uint32_t i = 0; i < c->queue.parallel_max; i++)
		task_group_start(g, "metacache-flush", flush_some_apart, &f);
	enum err e = task_group_finish(op, g);
	*out_users = f.users;
	*out_failed = f.failed;
	if (e == ERR_NONE && f.failed > 0)
		e = op_fail(op, ERR_UNAVAILABLE, "%zu users could not be uploaded", f.failed);
	return e;
}

/* ---- the queue ---- */

static void upload_task(void *arg)
{
	struct cache_user *u = arg; /* running: it stays */
	struct metacache *c = CONTAINER_OF(u->cache, struct metacache, account);
	enum upload_class class = (enum upload_class)u->upload.class;
	struct metacache_run run;
	struct op op;
	size_t uploaded;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, c->store->event, now_us() + METACACHE_OP_US);
	op.doing = STR("uploading bases");
	metacache_run_begin(c, &run);
	enum err e = ERR_NONE;
	if (!c->is_stopping && cache_user_change(u) != CACHE_UNCHANGED)
		e = class == UPLOAD_HIGH ? upload_important(&op, c, u, &uploaded)
					 : metacache_upload(&op, c, u, BASE_NIGHTLY, &uploaded);
	metacache_run_end(&run);
	upload_finish(&c->queue, &u->upload, e == ERR_UNAVAILABLE || e == ERR_TIMEOUT, now_us());
	metacache_upload_arm(c);
	store_background_end(c->store);
}

void metacache_upload_due(void *arg)
{
	struct metacache *c = arg;
	struct upload_entry *e;
	while (!c->is_stopping && (e = upload_next(&c->queue, now_us())) != NULL) {
		struct cache_user *u = CONTAINER_OF(e, struct cache_user, upload);
		store_background(c->store, "metacache-upload", upload_task, u);
	}
	metacache_upload_arm(c);
}

void metacache_upload_arm(struct metacache *c)
{
	int64_t wake_us = upload_wake_us(&c->queue, now_us());
	if (c->is_stopping || wake_us == TIME_NEVER)
		timer_cancel(&c->upload_timer);
	else
		timer_set(&c->upload_timer, wake_us);
}

void metacache_plan(
	struct metacache *c, struct cache_user *u, enum upload_class class, int64_t due_us)
{
	upload_plan(&c->queue, &u->upload, class, due_us);
	metacache_upload_arm(c);
}

/* ---- at night ---- */

void metacache_night_arm(struct metacache *c)
{
	const struct metacache_settings *s = &c->settings;
	if (s->night_length_us <= 0 || c->is_stopping)
		return;
	int64_t wait_us = s->night_begin_us - now_wall_us() % DAY_US;
	timer_set(&c->night_timer, now_us() + (wait_us > 0 ? wait_us : wait_us + DAY_US));
}

void metacache_night_due(void *arg)
{
	struct metacache *c = arg;
	struct cache_user *u;
	size_t at = SIZE_MAX;
	while ((u = cache_walk(&c->account, &at)) != NULL) {
		uint64_t part = hash_stable(u->name) % (uint64_t)c->settings.night_length_us;
		if (cache_user_change(u) != CACHE_UNCHANGED)
			upload_plan(&c->queue, &u->upload, UPLOAD_LOW, now_us() + (int64_t)part);
	}
	metacache_upload_arm(c);
	metacache_night_arm(c);
}
