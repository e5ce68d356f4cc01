/* SPDX-License-Identifier: Apache-2.0 */
/* The root head: a snapshot of the tree of names. Whoever closes the user says in his closed head up to
 * which change he knew the tree. If that is what the root head holds, and nobody else was there, the
 * journal has nothing to add: such a login reads the heads and nothing else.
 *
 * So a small root is written at each close that has something to add; a large one only when enough has
 * gathered, and until then logins read the tail of the journal. A very large one is an object (root_object.c), which
 * is put before the heads are read for the last time: between that and the writing nothing takes long. */
#include "event/event.h"
#include "store/base_private.h"

#define ROOT_SMALL    ((size_t)8 * 1024)
#define ROOT_CLOCK_MS (64 * 1000) /* a change may be a minute older than its row; clocks differ */

static const struct catalog_guid root_scope;

static bool is_root(const struct user_head *head)
{
	return memcmp(&head->mailbox, &root_scope, sizeof(root_scope)) == 0;
}

/* The head of the root scope, if there is one and somebody closed it with what the tree is. */
static const struct user_head *closed_with_this(const struct user *u)
{
	const struct user_head *last = NULL;
	for (size_t i = 0; i < u->head_count; i++) {
		if (!is_root(&u->heads[i]))
			continue;
		if (last)
			return NULL;
		last = &u->heads[i];
	}
	bool is_this =
		last && !last->head.is_open && name_cmp(last->head.cover, u->tree.cover) == 0;
	return is_this ? last : NULL;
}

bool root_is_whole(const struct user *u)
{
	const struct user_head *last = closed_with_this(u);
	return last && last->head.late_ms == 0;
}

bool root_is_told(const struct user *u)
{
	const struct user_head *last = closed_with_this(u);
	return u->tree.ops == 0 && last && (last->head.late_ms == 0 || tree_late_ms(u) > 0);
}

/* What he wrote since may have any name; the next reads from somewhat below our cover. Who is open says what
 * he knew when he began to write, which may be long ago. */
static bool may_hide_others(const struct user *u, const struct head_writer *other)
{
	return other->is_open && (int64_t)name_ms(u->tree.cover) > u->tree_seen_ms + ROOT_CLOCK_MS;
}

/* He ends with the same change as we, and may have others below it that we have not read, unless his head was there
 * when we read the names. */
static bool may_know_more(const struct user *u, const struct user_head *other)
{
	return !other->head.is_open && other->stamp_us != u->root_stamp_us &&
	       other->stamp_us / US_PER_MS > u->tree_seen_ms - ROOT_CLOCK_MS;
}

void root_note_seen(struct user *u)
{
	u->root_stamp_us = 0;
	for (size_t i = 0; i < u->head_count; i++) {
		const struct user_head *h = &u->heads[i];
		if (is_root(h) && h->writer != u->writer && !h->head.is_open &&
			name_cmp(h->head.cover, u->tree.cover) == 0)
			u->root_stamp_us = MAX(u->root_stamp_us, h->stamp_us);
	}
}

bool root_is_behind(const struct user *u)
{
	for (size_t i = 0; i < u->head_count; i++) {
		const struct user_head *h = &u->heads[i];
		if (!is_root(h) || h->writer == u->writer)
			continue;
		if (may_hide_others(u, &h->head))
			return true;
		if (name_cmp(h->head.cover, u->tree.cover) == 0
				? may_know_more(u, h)
				: (int64_t)name_ms(h->head.cover) > u->tree_seen_ms - ROOT_CLOCK_MS)
			return true;
	}
	return false;
}

/* What came late lies below the cover, by which the next would take an older root head for whole. */
static bool is_due(const struct user *u)
{
	return u->tree.ops > 16 + u->tree.names.count / 16 || u->tree.has_late;
}

/* How many bytes of lists may be written now. */
static size_t bytes_due(const struct user *u)
{
	if (is_due(u))
		return SIZE_MAX;
	/* GUIDs do not compress: so many are never small. */
	return u->tree.names.count > ROOT_SMALL / ROW_ID_BYTES ? 0 : ROOT_SMALL;
}

void root_prepare_close(struct op *op, struct user *u, struct root_made *made)
{
	size_t due = bytes_due(u);
	if (due == 0 || root_is_told(u) || root_is_behind(u) ||
		root_make(op, u, due, made) == ERR_NONE)
		return;
	event_send(op->event, EVENT_WARNING, "store_root_not_written",
		"the list of mailboxes of %.*s could not be saved as an object, logins read his "
		"journal of names until it can: %s",
		STRF(u->name), op->failure.text);
	op_forgive(op);
	buf_clear(&made->head);
}

/* What the root head named before is nobody's. */
static void put_garbage(struct batch *b, struct user *u, const struct root_made *made)
{
	static const struct catalog_name none;
	if (row_id_is_none(&u->root_object) ||
		memcmp(&u->root_object, &made->object, sizeof(made->object)) == 0)
		return;
	batch_garbage(b, base_garbage_object(&b->arena, &u->root_object), root_scope, 0, none,
		user_mint(u));
}

/* Is there a root head to write? Others may have changed the tree since it was made. */
static bool can_write(struct user *u, struct root_made *made)
{
	if (root_made_is_of(made, &u->tree))
		return true;
	struct root_made now;
	size_t due = bytes_due(u);
	if (due == 0)
		return false;
	root_made_init(&now);
	bool can = root_make_inline(u, &now) && now.bytes <= due;
	if (can) {
		buf_clear(&made->head);
		buf_put(&made->head, buf_str(&now.head));
	}
	root_made_done(&now);
	return can;
}

void root_close(struct batch *b, struct user *u, struct root_made *made)
{
	tree_put_purges(b);
	if (root_is_told(u))
		return;
	if (root_is_behind(u)) { /* its head stays, so that the next login reads the journal */
		if (u->has_claimed_root)
			tree_release(b, u);
		return;
	}
	bool is_prepared = root_made_is_of(made, &u->tree);
	if (!can_write(u, made)) {
		if (u->has_claimed_root && !u->tree.has_late)
			tree_release(b, u);
		return;
	}
	made->is_taken = is_prepared;
	batch_put_head(b, root_scope, HEAD_ROOT_KEY, &made->head);
	put_garbage(b, u, made);
	tree_release(b, u);
	user_delete_foreign_heads(b, root_scope, 0, RANK_USUAL);
}
