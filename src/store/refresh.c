/* SPDX-License-Identifier: Apache-2.0 */
/* A live owner looks now and then whether others wrote what is his (storage contract §6): heads, names, and
 * the tails of the mailboxes that somebody uses here. Nothing of this where a catalog is atomic. And a change in
 * doubt ends soon after an outage, though nobody writes: whoever was refused sees what became of it. */
#include "event/event.h"
#include "store/store_private.h"

#define AGAIN_US      US_PER_SEC /* after a failure; twice as much after the next */
#define FAILURES_TOLD 3          /* in a row, and then each time there are twice as many */

struct refreshing {
	struct mailbox **items; /* referenced */
	size_t count;
};

/* Those that are there when it begins; each is held meanwhile. */
static struct refreshing hold_mailboxes(struct op *op, struct user *u)
{
	struct refreshing r = { 0 };
	size_t all = 0;
	for (struct list *at = u->mailboxes.next; at != &u->mailboxes; at = at->next)
		all++;
	r.items = ARENA_NEW_ARRAY(op->arena, struct mailbox *, MAX(all, 1));
	for (struct list *at = u->mailboxes.next; at != &u->mailboxes; at = at->next) {
		struct mailbox *m = CONTAINER_OF(at, struct mailbox, link);
		/* Whoever comes next joins what is open: it is looked after while another host writes, or
		 * may do so without knowing that he was ended. */
		bool is_shared = user_handover(u, m->guid).limit_uid > 0 || mailbox_late_ms(m) > 0;
		bool is_due =
			m->refs > 0 || m->must_take_over || is_shared || !mailbox_has_seen_heads(m);
		/* One that is being opened may have read its tail before: that is waited for. */
		if ((m->state == OPEN || m->state == OPENING) && !m->is_removed && is_due)
			r.items[r.count++] = mailbox_ref(m);
	}
	return r;
}

static enum err refresh_one(struct op *op, struct mailbox *m)
{
	enum err e = mailbox_write_begin(op, m);
	if (e == ERR_NOT_FOUND) {
		op_forgive(op);
		return ERR_NONE;
	}
	TRY(e);
	e = mailbox_merge(op, m, false);
	mailbox_write_end(m);
	return e;
}

enum err user_refresh(struct op *op, struct user *u)
{
	int64_t begin_us = now_us();
	TRY(user_settle(op, u));
	if (catalog_is_atomic(u->store->catalog))
		return ERR_NONE;
	TRY(user_read_heads(op, u));
	TRY(tree_refresh(op, u));
	struct refreshing r = hold_mailboxes(op, u);
	enum err first = ERR_NONE;
	struct op_failure why = { 0 };
	for (size_t i = 0; i < r.count; i++) {
		enum err e = refresh_one(op, r.items[i]);
		if (first == ERR_NONE && e != ERR_NONE) {
			first = e;
			why = op->failure;
		}
		base_consider_idle(r.items[i]);
		mailbox_unref(r.items[i]);
	}
	if (first == ERR_NONE)
		u->looked_us = begin_us;
	else
		op->failure = why; /* not what was forgiven since */
	return first;
}

enum err user_look(struct op *op, struct user *u)
{
	bool is_due = u->must_look || now_us() - u->heads_us > u->store->settings.refresh_us;
	if (!is_due || catalog_is_atomic(u->store->catalog))
		return ERR_NONE;
	return user_read_heads(op, u);
}

static bool is_in_doubt(const struct user *u)
{
	return !list_is_empty(&u->unsettled);
}

static bool has_to_look(const struct user *u)
{
	return is_in_doubt(u) || !catalog_is_atomic(u->store->catalog);
}

static void refresh_arm(struct user *u)
{
	int64_t every_us = u->store->settings.refresh_us;
	if (u->refresh_failures > 0)
		every_us = MIN(every_us, AGAIN_US << MIN(u->refresh_failures, 10u));
	if (every_us > 0 && has_to_look(u))
		timer_set(&u->refresh, now_us() + every_us);
}

/* Nothing is lost yet, and an operator must know: what others took is not seen here. */
static void note_failure(struct user *u, const struct op *op)
{
	struct store *s = u->store;
	uint32_t n = ++u->refresh_failures;
	bool is_told = n >= FAILURES_TOLD && (n % FAILURES_TOLD == 0) &&
		       ((n / FAILURES_TOLD) & (n / FAILURES_TOLD - 1)) == 0;
	event_send(s->event, is_told ? EVENT_WARNING : EVENT_DEBUG, "store_refresh_failed",
		"Looking for what %s for %.*s failed %" PRIu32
		" times in a row, it is done again: %s",
		is_in_doubt(u) ? "became of a change" : "other hosts wrote", STRF(u->name), n,
		op->failure.text);
}

static void refresh_task(void *arg)
{
	struct user *u = arg;
	struct store *s = u->store;
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, s->event, now_us() + STORE_WRITE_US);
	op.doing = STR("looking for other writers");
	if (user_refresh(&op, u) == ERR_NONE)
		u->refresh_failures = 0;
	else if (!s->is_closing && !s->is_abandoned)
		note_failure(u, &op);
	u->is_refreshing = false;
	refresh_arm(u);
	user_unref(u);
	store_background_end(s);
}

static void refresh_due(void *arg)
{
	struct user *u = arg;
	timer_cancel(&u->refresh);
	/* Nobody sees what is not looked at; who comes looks (user_ref()). */
	bool is_due = u->refs > 0 || is_in_doubt(u);
	if (is_due && u->state == OPEN && !u->is_refreshing && !u->store->is_closing) {
		u->is_refreshing = true;
		store_background(u->store, "store-refresh", refresh_task, user_ref(u));
	} else {
		refresh_arm(u);
	}
}

void user_refresh_init(struct user *u)
{
	timer_init(&u->refresh, refresh_due, u);
	u->looked_us = u->heads_us = now_us();
	refresh_arm(u);
}

void user_refresh_soon(struct user *u)
{
	if (u->is_refreshing || u->refresh_failures > 0 || u->state != OPEN || !has_to_look(u))
		return;
	timer_cancel(&u->refresh);
	timer_set(&u->refresh, now_us());
}
