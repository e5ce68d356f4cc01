/* SPDX-License-Identifier: Apache-2.0 */
/* lmtp_user_concurrency_limit: who finds no slot waits a while before the sender is asked to come
 * again, because most deliveries end within milliseconds. */
#include "service/lmtp/lmtp_private.h"

struct lmtp_slot {
	/* owned */
	char *user;
	size_t user_bytes;
	unsigned busy, refs; /* refs: busy ones and those who wait */
	struct wait_queue freed;
};

static struct str slot_key(const struct lmtp_slot *s)
{
	return (struct str){ s->user, s->user_bytes };
}

static struct lmtp_slot *slot_get(struct lmtp *l, struct str user)
{
	struct lmtp_slot *s = map_get(&l->slots, user);
	if (!s) {
		s = MEM_NEW(struct lmtp_slot);
		s->user = str_new_z(user);
		s->user_bytes = user.n;
		(void)map_set(&l->slots, slot_key(s), s); /* there was none */
	}
	s->refs++;
	return s;
}

static void slot_unref(struct lmtp *l, struct lmtp_slot *s)
{
	if (--s->refs > 0)
		return;
	(void)map_remove(&l->slots, slot_key(s)); /* it is this one */
	mem_free(s->user);
	mem_free(s);
}

enum err lmtp_slot_take(
	struct op *op, struct lmtp *l, struct str user, unsigned limit, struct lmtp_slot **out)
{
	struct lmtp_slot *s = slot_get(l, user);
	int64_t deadline_us = op->deadline_us;
	enum err e = ERR_NONE;
	op->deadline_us = MIN(deadline_us, now_us() + LMTP_SLOT_WAIT_US);
	while (e == ERR_NONE && limit > 0 && s->busy >= limit)
		e = wait_queue_wait(op, &s->freed);
	op->deadline_us = deadline_us;
	if (e == ERR_NONE) {
		s->busy++;
		*out = s;
		return ERR_NONE;
	}
	slot_unref(l, s);
	if (e != ERR_TIMEOUT)
		return e;
	e = op_fail(op, ERR_UNAVAILABLE,
		"more than %u deliveries for this user at a time (lmtp_user_concurrency_limit)",
		limit);
	op_tell_client(op, "Too many concurrent deliveries for user");
	return e;
}

void lmtp_slot_give(struct lmtp *l, struct lmtp_slot *slot)
{
	slot->busy--;
	wait_queue_wake_one(&slot->freed);
	slot_unref(l, slot);
}
