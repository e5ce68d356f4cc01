/* SPDX-License-Identifier: Apache-2.0 */
/* Users of this process: opened by the first who asks, cached when the last one left, closed cleanly.
 *
 *   OPENING ── lock, heads, tree ──> OPEN <── refs ──> idle ── timer, pressure, store_close ──> CLOSING
 *                                       ^──────────────── changes of unknown fate ────────────────┘
 * Who comes while a user closes waits and opens him again. */
#include "store/store_private.h"

#include "base/file.h"
#include "event/event.h"

#define CLOSE_AGAIN_US  (US_PER_SEC / 4)
#define CLOSE_LATEST_US (8 * US_PER_SEC)
#define IDLE_POLL_US    (US_PER_SEC / 10)

/* ---- life ---- */

void store_drop_idle(struct store *s)
{
	while (!list_is_empty(&s->idle_users))
		idle_user_close(LIST_FIRST(&s->idle_users, struct user, idle_link));
}

static void idle_due(void *arg);

static struct user *user_new(struct store *s, struct str name)
{
	struct user *u = MEM_NEW(struct user);
	u->store = s;
	u->name = (struct str){ str_new_z(name), name.n };
	u->dir = user_dir(s, name);
	u->lock_fd = -1;
	tree_init(&u->tree);
	list_init(&u->mailboxes);
	list_init(&u->unsettled);
	timer_init(&u->idle, idle_due, u);
	user_refresh_init(u);
	(void)map_set(&s->users, u->name, u);
	s->counters.users_open++;
	return u;
}

/* Who opens him next may have the files. */
static void release_files(struct user *u)
{
	struct mailbox *m, *next;
	LIST_FOR_EACH(m, next, &u->mailboxes, struct mailbox, link)
	mailbox_free(m);
	file_close_fd(&u->lock_fd);
}

/* Frees everything in memory; what is not durable is lost. */
static void user_free(struct user *u)
{
	struct store *s = u->store;
	struct batch *b;
	while ((b = LIST_FIRST(&u->unsettled, struct batch, link)) != NULL)
		batch_free(b);
	release_files(u);
	metacache_user_closed(u);
	timer_cancel(&u->idle);
	timer_cancel(&u->refresh);
	if (map_get(&s->users, u->name) == u)
		(void)map_remove(&s->users, u->name);
	tree_done(&u->tree);
	mem_free(u->heads);
	mem_free(u->buckets);
	mem_free(u->bases);
	mem_free(u->dir);
	mem_free((void *)(uintptr_t)u->name.p);
	s->counters.users_open--;
	mem_free(u);
}

struct user *user_ref(struct user *u)
{
	if (list_is_linked(&u->idle_link)) {
		list_remove(&u->idle_link);
		u->store->idle_count--;
		timer_cancel(&u->idle);
		if (now_us() - u->looked_us > u->store->settings.refresh_us)
			user_refresh_soon(u);
	}
	u->refs++;
	return u;
}

/* WAITS. Who stood still does not know who came since, and would put his root head over a newer one. */
static enum err look_before_closing(struct op *op, struct user *u)
{
	bool was_claimed = u->has_claimed_root;
	if (catalog_is_atomic(u->store->catalog) || (root_is_told(u) && !root_is_behind(u)))
		return ERR_NONE;
	TRY(user_read_heads(op, u));
	if (root_is_behind(u) || was_claimed != u->has_claimed_root)
		TRY(tree_refresh(op, u));
	return ERR_NONE;
}

/* WAITS. Whatever cannot be written stays `open` in the heads: the next opening repairs it. The first
 * error is returned. */
static enum err write_closed(struct op *op, struct user *u, struct root_made *made)
{
	struct mailbox *m, *next;
	struct batch *b = batch_new(u);
	enum err first = ERR_NONE;
	LIST_FOR_EACH(m, next, &u->mailboxes, struct mailbox, link)
	{
		enum err e = mailbox_close_cleanly(op, m, b);
		first = first == ERR_NONE ? e : first;
	}
	root_close(b, u, made);
	if (b->count == 0) {
		batch_free(b);
		return first;
	}
	enum err e = user_write(op, u, b);
	return first == ERR_NONE ? e : first;
}

/* WAITS. */
static enum err close_cleanly(struct op *op, struct user *u)
{
	struct root_made made;
	enum err e = user_settle(op, u);
	if (e != ERR_NONE || u->is_deleted)
		return e;
	root_made_init(&made);
	root_prepare_close(op, u, &made);
	e = look_before_closing(op, u);
	if (e == ERR_NONE && made.is_object && !root_made_is_of(&made, &u->tree)) {
		/* Others changed names meanwhile: once more. */
		root_made_drop(op, u, &made);
		root_prepare_close(op, u, &made);
		e = look_before_closing(op, u);
	}
	if (e == ERR_NONE)
		e = write_closed(op, u, &made);
	if (!made.is_taken)
		root_made_drop(op, u, &made);
	root_made_done(&made);
	return e;
}

/* WAITS. At the end of the process nobody comes later to write it: a catalog that was away comes back
 * within seconds, and is waited for. */
static bool close_stubbornly(struct op *op, struct user *u)
{
	struct store *s = u->store;
	int64_t latest_us = now_us() + CLOSE_LATEST_US;
	enum err e = close_cleanly(op, u);
	while (e != ERR_NONE && s->is_closing && now_us() < latest_us &&
		task_sleep(op, CLOSE_AGAIN_US) == ERR_NONE) {
		op_forgive(op);
		e = close_cleanly(op, u);
	}
	if (e != ERR_NONE && s->is_closing)
		event_send(s->event, EVENT_WARNING, "store_user_left_open",
			"%.*s was not closed cleanly: changes wait in the local state of this "
			"host: %s",
			STRF(u->name), op->failure.text);
	op_forgive(op);
	return e == ERR_NONE;
}

/* A change whose fate is unknown may still be carried out: whoever opened him now could read a journal
 * without it, and give its UIDs again. */
static void stay_open(struct user *u)
{
	u->state = OPEN;
	wait_queue_wake_all(&u->changed);
	user_unref(user_ref(u)); /* idle again */
}

static void close_task(void *arg)
{
	struct user *u = arg;
	struct store *s = u->store;
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, s->event, now_us() + STORE_WRITE_US);
	op.doing = STR("closing a user");
	task_shield();
	if (!s->is_abandoned)
		u->was_left_open = !close_stubbornly(&op, u);
	task_unshield();
	if (!list_is_empty(&u->unsettled) && !s->is_closing && !s->is_abandoned) {
		stay_open(u);
		store_background_end(s);
		return;
	}
	release_files(u);
	(void)map_remove(&s->users, u->name);
	wait_queue_wake_all(&u->changed);
	while (u->refs > 0) /* those who waited leave first */
		task_yield();
	user_free(u);
	store_background_end(s);
}

void idle_user_close(struct user *u)
{
	ASSERT(u->refs == 0 && u->state == OPEN);
	if (list_is_linked(&u->idle_link)) {
		list_remove(&u->idle_link);
		u->store->idle_count--;
	}
	timer_cancel(&u->idle);
	u->state = CLOSING;
	store_background(u->store, "store-close-user", close_task, u);
}

static void idle_due(void *arg)
{
	idle_user_close(arg);
}

void user_unref(struct user *u)
{
	struct store *s = u->store;
	ASSERT(u->refs > 0);
	if (--u->refs > 0 || u->state != OPEN)
		return;
	if (s->is_closing || s->is_abandoned || u->is_deleted) {
		idle_user_close(u);
		return;
	}
	list_add_last(&s->idle_users, &u->idle_link);
	s->idle_count++;
	timer_set(&u->idle, now_us() + s->settings.idle_user_us);
	if (s->idle_count > s->settings.cached_users_max)
		idle_user_close(LIST_FIRST(&s->idle_users, struct user, idle_link));
}

static enum err open_first(struct op *op, struct user *u)
{
	enum err e = store_wait_clock(op, u->store);
	if (e == ERR_NONE)
		e = user_lock_dir(op, u->dir, &u->lock_fd);
	if (e == ERR_NONE)
		e = user_read_root(op, u);
	if (e == ERR_NONE) {
		u->state = OPEN;
		metacache_user_opened(u);
	} else {
		u->has_failed = true;
		u->was_left = e == ERR_TIMEOUT || e == ERR_CANCELLED;
		(void)map_remove(&u->store->users, u->name);
	}
	wait_queue_wake_all(&u->changed);
	return e;
}

/* WAITS until somebody else has opened or closed him. *out_again: look once more. */
static enum err open_join(struct op *op, struct user *u, bool *out_again)
{
	enum err e = ERR_NONE;
	bool was_closing = u->state == CLOSING;
	(void)user_ref(u);
	while (e == ERR_NONE && u->state == OPENING && !u->has_failed)
		e = wait_queue_wait(op, &u->changed);
	if (e == ERR_NONE && was_closing)
		e = wait_queue_wait(op, &u->changed);
	*out_again = was_closing || u->was_left;
	if (e == ERR_NONE && u->has_failed && !u->was_left)
		e = op_fail(op, ERR_UNAVAILABLE, "the user could not be opened");
	return e;
}

/* Gives up a reference to a user who never opened or is closing. */
static void drop(struct user *u)
{
	bool is_mine = u->has_failed && u->refs == 1;
	if (!is_mine) {
		user_unref(u);
		return;
	}
	u->refs = 0;
	user_free(u);
}

enum err user_open(struct op *op, struct store *s, struct str name, struct user **out)
{
	if (!user_name_is_valid(name))
		return op_fail(op, ERR_INVALID, "not a user name");
	bool again = true;
	while (again) {
		if (s->is_closing)
			return op_fail(op, ERR_UNAVAILABLE, "the store is closing");
		struct user *u = map_get(&s->users, name);
		enum err e;
		if (!u) {
			u = user_ref(user_new(s, name));
			e = open_first(op, u);
			again = false;
		} else if (u->state == OPEN && u->is_deleted) {
			return op_fail(op, ERR_UNAVAILABLE,
				"another host deleted the user, and his sessions still end");
		} else if (u->state == OPEN) {
			*out = user_ref(u);
			return ERR_NONE;
		} else {
			e = open_join(op, u, &again);
		}
		if (e != ERR_NONE || again)
			drop(u);
		else
			*out = u;
		if (e != ERR_NONE)
			return op_within(op, e, "opening %.*s", STRF(name));
	}
	return ERR_NONE;
}

/* WAITS. ERR_CONFLICT: he is not idle. */
static enum err close_idle(struct op *op, struct store *s, struct str name)
{
	enum err e = ERR_NONE;
	bool is_left = false;
	struct user *u = map_get(&s->users, name);
	if (u && u->state == OPEN && u->refs == 0)
		idle_user_close(u);
	if (u && u->state == CLOSING) {
		(void)user_ref(u);
		e = wait_queue_wait(op, &u->changed);
		/* Then his local state may be all that tells of some flags. */
		is_left = u->was_left_open;
		drop(u);
	}
	if (e == ERR_NONE && (is_left || map_get(&s->users, name)))
		e = op_fail(op, ERR_CONFLICT,
			"%.*s has sessions or deliveries, or changes that are not certain yet",
			STRF(name));
	return e;
}

void user_let_go(struct user *u)
{
	struct store *s = u->store;
	file_close_fd(&u->lock_fd);
	u->has_failed = u->was_left = true;
	(void)map_remove(&s->users, u->name);
	wait_queue_wake_all(&u->changed);
	drop(u);
	store_background_end(s);
}

enum err user_hold(struct op *op, struct store *s, struct str name, struct user **out)
{
	if (!user_name_is_valid(name))
		return op_fail(op, ERR_INVALID, "not a user name");
	TRY(close_idle(op, s, name));
	if (s->is_closing)
		return op_fail(op, ERR_UNAVAILABLE, "the store is closing");
	s->background++; /* store_close() waits for us */
	struct user *u = user_ref(user_new(s, name));
	enum err e = user_lock_dir(op, u->dir, &u->lock_fd);
	if (e == ERR_NONE)
		*out = u;
	else
		user_let_go(u);
	return e;
}

enum err user_forget_local(struct op *op, struct store *s, struct str name)
{
	struct user *u;
	TRY(user_hold(op, s, name, &u));
	enum err e = local_remove_dir(op, u->dir);
	metacache_user_forgotten(s, name);
	user_let_go(u);
	return op_within(op, e, "removing local state of %.*s", STRF(name));
}

enum err user_wait_idle(struct op *op, struct store *s, struct str name)
{
	struct user *u;
	enum err e = ERR_NONE;
	s->background++; /* store_close() waits for us, and we end when it does */
	while (e == ERR_NONE && (u = map_get(&s->users, name)) != NULL &&
		(u->state != OPEN || u->refs > 0))
		e = s->is_closing ? op_fail(op, ERR_UNAVAILABLE, "the store is closing")
				  : task_sleep(op, IDLE_POLL_US);
	store_background_end(s);
	return e;
}

struct str user_name(const struct user *u)
{
	return u->name;
}

struct store *user_store(struct user *u)
{
	return u->store;
}

struct mailbox *user_find_mailbox(const struct user *u, struct catalog_guid guid)
{
	for (struct list *at = u->mailboxes.next; at != &u->mailboxes; at = at->next) {
		struct mailbox *m = CONTAINER_OF(at, struct mailbox, link);
		if (memcmp(&m->guid, &guid, sizeof(guid)) == 0 && m->state != CLOSING)
			return m;
	}
	return NULL;
}
