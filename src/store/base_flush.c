/* SPDX-License-Identifier: Apache-2.0 */
/* Bases that others ask for: when a mailbox is closed, when a user is flushed. */
#include "store/base_private.h"

void base_close(struct op *op, struct mailbox *m)
{
	if ((m->base.tail_rows > BASE_CLOSE_ROWS || flags_wait_for_base(m)) &&
		mailbox_upload_base(op, m, BASE_CLOSE) != ERR_NONE)
		op_forgive(op);
}

/* The next mailbox of the user by GUID: the list changes while we wait. */
static struct mailbox *next_mailbox(struct user *u, const struct catalog_guid *after)
{
	struct mailbox *next = NULL;
	for (struct list *at = u->mailboxes.next; at != &u->mailboxes; at = at->next) {
		struct mailbox *m = CONTAINER_OF(at, struct mailbox, link);
		if (m->state == OPEN && !m->is_removed &&
			(!after || memcmp(&m->guid, after, sizeof(*after)) > 0) &&
			(!next || memcmp(&m->guid, &next->guid, sizeof(next->guid)) < 0))
			next = m;
	}
	return next;
}

static enum err flush_open(struct op *op, struct user *u, bool important_only, size_t *out_uploaded)
{
	struct catalog_guid at;
	enum err first = ERR_NONE;
	for (struct mailbox *m = next_mailbox(u, NULL); m; m = next_mailbox(u, &at)) {
		at = m->guid;
		if (important_only && !flags_wait_for_base(m))
			continue;
		(void)mailbox_ref(m);
		int64_t before = m->base.made_wall_us;
		enum err e = mailbox_upload_base(op, m, BASE_FLUSH);
		*out_uploaded += e == ERR_NONE && m->base.made_wall_us != before;
		first = first == ERR_NONE ? e : first;
		mailbox_unref(m);
	}
	return first;
}

enum err user_flush(
	struct op *op, struct store *s, struct str name, bool important_only, size_t *out_uploaded)
{
	struct user *u = map_get(&s->users, name);
	*out_uploaded = 0;
	if (!u || u->state != OPEN)
		return ERR_NONE;
	(void)user_ref(u);
	enum err e = flush_open(op, u, important_only, out_uploaded);
	user_unref(u);
	return op_within(op, e, "flushing %.*s", STRF(name));
}
