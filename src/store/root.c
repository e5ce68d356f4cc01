/* SPDX-License-Identifier: Apache-2.0 */
/* The root head: a snapshot of the tree of names. Whoever closes the user says in his closed head up to
 * which change he knew the tree. If that is what the root head holds, and nobody else was there, the
 * journal has nothing to add: such a login reads the heads and nothing else.
 *
 * So a small root is written at each close that has something to add; a large one only when enough has
 * gathered, and until then logins read the tail of the journal. */
#include "store/store_private.h"

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

bool root_is_behind(const struct user *u)
{
	for (size_t i = 0; i < u->head_count; i++) {
		const struct user_head *h = &u->heads[i];
		if (!is_root(h) || h->writer == u->writer)
			continue;
		if (may_hide_others(u, &h->head))
			return true;
		if ((int64_t)name_ms(h->head.cover) > u->tree_seen_ms - ROOT_CLOCK_MS &&
			name_cmp(h->head.cover, u->tree.cover) != 0)
			return true;
	}
	return false;
}

void root_close(struct batch *b, struct user *u)
{
	AUTO_BUF(head, 0);
	tree_put_purges(b);
	if (root_is_told(u))
		return;
	if (root_is_behind(u)) { /* its head stays, so that the next login reads the journal */
		if (u->has_claimed_root)
			tree_release(b, u);
		return;
	}
	tree_encode(&u->tree, &head);
	/* What came late lies below the cover, by which the next would take an older root head for whole. */
	bool is_due = u->tree.ops > 16 + u->tree.names.count / 16 || u->tree.has_late;
	if (head.n > CATALOG_VALUE_MAX || (head.n > ROOT_SMALL && !is_due)) {
		if (u->has_claimed_root && !u->tree.has_late)
			tree_release(b, u);
		return;
	}
	batch_put_head(b, root_scope, HEAD_ROOT_KEY, &head);
	tree_release(b, u);
	user_delete_foreign_heads(b, root_scope, 0, RANK_USUAL);
}
