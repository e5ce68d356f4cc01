/* SPDX-License-Identifier: Apache-2.0 */
/* The tree's tail: what its journal has behind the root head, and covering writers that left their `open`
 * head in the root scope. They may live: what they write counts whenever it comes, by the rules of
 * tree_fold.c, and is seen by whoever looks next. */
#include "store/store_private.h"

#include "base/hash.h"

static const struct catalog_guid root_scope;

struct tail {
	struct user *user;
	bool is_taking;   /* others left their head */
	bool has_removal; /* of somebody else */
};

static bool is_root(const struct catalog_guid *guid)
{
	return memcmp(guid, &root_scope, sizeof(root_scope)) == 0;
}

/* The mailbox that the row removes, if it is there. */
static struct tree_node *removed_by(const struct tree *t, const struct catalog_row *row)
{
	struct row_op_value v;
	struct catalog_guid guid;
	if (row_op_decode(row->value, &v) != ERR_NONE || v.op != ROW_TREE_REMOVE)
		return NULL;
	memcpy(guid.bytes, v.mailbox.bytes, sizeof(guid.bytes));
	struct tree_node *n = tree_find_guid(t, guid);
	return n && !n->is_removed ? n : NULL;
}

static enum err fold_row(struct op *op, const struct catalog_row *row, void *arg)
{
	struct tail *t = arg;
	struct user *u = t->user;
	struct tree_node *n = NULL;
	if (name_writer(row->name) != u->writer && !catalog_is_atomic(u->store->catalog))
		n = removed_by(&u->tree, row);
	enum err e = tree_fold(&u->tree, row);
	if (e != ERR_NONE)
		return op_fail(op, e, "a row of the mailbox tree cannot be folded");
	if (n) {
		n->purge = row->name;
		t->has_removal = true;
	}
	return ERR_NONE;
}

static bool has_open_heads(const struct user *u)
{
	for (size_t i = 0; i < u->head_count; i++)
		if (is_root(&u->heads[i].mailbox) && u->heads[i].head.is_open &&
			u->heads[i].writer != u->writer)
			return true;
	return false;
}

/* What was saved there after the row's name is rescued by the purge, so it must not be missing. */
void tree_put_purges(struct batch *b)
{
	struct user *u = b->user;
	struct catalog_name queued = user_mint(u);
	for (size_t i = 0; i < u->tree.node_count; i++) {
		const struct tree_node *n = u->tree.nodes[i];
		if (!name_is_none(n->purge))
			batch_garbage(b, STORE_PURGE_OBJECT, n->guid, 0, n->purge, queued);
	}
}

/* WAITS. */
static enum err queue_purges(struct op *op, struct user *u)
{
	TRY(store_check_clock(op, u->store)); /* before names are given */
	struct batch *b = batch_new(u);
	tree_put_purges(b);
	TRY(user_write(op, u, b));
	for (size_t i = 0; i < u->tree.node_count; i++)
		u->tree.nodes[i]->purge = (struct catalog_name){ { 0 } };
	return ERR_NONE;
}

/* WAITS. Also somebody who is dead, and was not told that a change is done, may have it on its way: whoever
 * comes in the next minutes looks, so that all show the same. */
static enum err take_over(struct op *op, struct user *u)
{
	TRY(store_check_clock(op, u->store)); /* before names are given */
	struct batch *b = batch_new(u);
	if (!catalog_is_atomic(u->store->catalog)) {
		u->tree_late_ms = user_late_until(u);
		tree_put_open_head(b, u);
	}
	user_delete_foreign_heads(b, root_scope, UINT32_MAX, RANK_LAST_HEADS);
	return user_write(op, u, b);
}

int64_t tree_late_ms(const struct user *u)
{
	return user_late_ms(u, root_scope, u->tree_late_ms, u->tree_seen_ms);
}

/* WAITS. The cover may lie ahead of the wall, by the clock of its writer. */
static enum err read_tail(struct op *op, struct tail *t)
{
	struct user *u = t->user;
	const struct store *s = u->store;
	struct catalog_name cover = u->tree.cover;
	int64_t begin_ms = now_wall_us() / US_PER_MS;
	int64_t from_ms = MIN((int64_t)name_ms(cover), begin_ms);
	if (u->tree_seen_ms > 0)
		from_ms = MIN(from_ms, u->tree_seen_ms);
	from_ms -= STORE_TAIL_MS;
	if (!catalog_is_atomic(s->catalog))
		from_ms -= s->settings.refresh_us / US_PER_MS;
	from_ms = MIN(from_ms, user_late_from(u, root_scope, u->tree_late_ms, u->tree_seen_ms));
	from_ms = MAX(from_ms, 0);
	struct catalog_name after = name_at_ms(name_is_none(cover) ? 0 : from_ms);
	t->is_taking = has_open_heads(u);
	TRY(catalog_read_rows(op, s->catalog, u->name, root_scope, 0, 0, after, fold_row, t));
	u->tree_seen_ms = begin_ms;
	root_note_seen(u);
	/* The next change of a name must win over the last one. */
	name_observe(&u->store->clock, u->tree.cover, now_wall_us());
	return ERR_NONE;
}

enum err tree_read_tail(struct op *op, struct user *u)
{
	struct tail t = { .user = u };
	TRY(read_tail(op, &t));
	if (t.has_removal)
		TRY(queue_purges(op, u));
	return t.is_taking ? take_over(op, u) : ERR_NONE;
}

void tree_tell_removed(struct user *u)
{
	for (struct list *at = u->mailboxes.next; at != &u->mailboxes; at = at->next) {
		struct mailbox *m = CONTAINER_OF(at, struct mailbox, link);
		const struct tree_node *node = tree_find_guid(&u->tree, m->guid);
		if (node && node->is_removed && !m->is_removed)
			mailbox_mark_removed(m);
	}
}

enum err tree_refresh(struct op *op, struct user *u)
{
	struct tail t = { .user = u };
	TRY(task_mutex_lock(op, &u->tree_lock));
	enum err e = read_tail(op, &t);
	if (e == ERR_NONE) {
		tree_tell_removed(u);
		if (t.has_removal)
			e = queue_purges(op, u);
		/* Who has changed nothing leaves it to the next who does. */
		if (e == ERR_NONE && t.is_taking && u->has_claimed_root)
			e = take_over(op, u);
	}
	task_mutex_unlock(&u->tree_lock);
	return e;
}

static void put_own_head(struct batch *b, struct user *u, bool is_open)
{
	char key[HEAD_OPEN_SIZE];
	AUTO_BUF(value, 0);
	head_writer_encode(&value, &(struct head_writer){ .is_open = is_open,
					   .cover = u->tree.cover,
					   .host = hash_stable(u->store->settings.host),
					   .late_ms = (uint64_t)tree_late_ms(u) });
	batch_put_head(b, root_scope, head_writer_key(u->writer, key), &value);
}

void tree_put_open_head(struct batch *b, struct user *u)
{
	put_own_head(b, u, true);
}

void tree_claim(struct batch *b, struct user *u)
{
	if (u->has_claimed_root)
		return;
	put_own_head(b, u, true);
	if (!root_is_behind(u))
		user_delete_foreign_heads(b, root_scope, 0, RANK_USUAL);
}

void tree_release(struct batch *b, struct user *u)
{
	put_own_head(b, u, false);
}
