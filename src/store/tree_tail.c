/* SPDX-License-Identifier: Apache-2.0 */
/* The tree at opening: what its journal has behind the root head, and taking over from a writer that
 * left his `open` head in the root scope (opening.c does the same for mailboxes). Nothing of his counts
 * behind the last row that was seen: a DELETE that nobody was told of must not come hours later. */
#include "store/store_private.h"

static const struct catalog_guid root_scope;

struct dead {
	uint32_t writer;
	struct catalog_name last;
};
struct tail {
	struct user *user;
	struct dead *dead;
	size_t dead_count;
	/* of mailboxes that dead writers removed: their garbage may be missing */
	struct catalog_guid *removed;
	size_t removed_count;
	struct arena *arena;
};

static bool is_root(const struct catalog_guid *guid)
{
	return memcmp(guid, &root_scope, sizeof(root_scope)) == 0;
}

static void note_removal(struct tail *t, const struct catalog_row *row)
{
	struct row_op_value v;
	if (row_op_decode(row->value, &v) != ERR_NONE || v.op != ROW_TREE_REMOVE)
		return;
	t->removed = arena_grow(t->arena, t->removed, t->removed_count * sizeof(*t->removed),
		(t->removed_count + 1) * sizeof(*t->removed));
	memcpy(&t->removed[t->removed_count++], v.mailbox.bytes, sizeof(*t->removed));
}

static enum err fold_row(struct op *op, const struct catalog_row *row, void *arg)
{
	struct tail *t = arg;
	struct user *u = t->user;
	const struct user_fence *fence = user_fence_of(u, root_scope, name_writer(row->name));
	if (fence && name_cmp(row->name, fence->last) > 0)
		return ERR_NONE;
	for (size_t i = 0; i < t->dead_count; i++) {
		struct dead *d = &t->dead[i];
		if (d->writer != name_writer(row->name))
			continue;
		d->last = name_cmp(row->name, d->last) > 0 ? row->name : d->last;
		note_removal(t, row);
	}
	enum err e = tree_fold(&u->tree, row);
	return e == ERR_NONE ? e : op_fail(op, e, "a row of the mailbox tree cannot be folded");
}

static void find_dead(struct tail *t, struct catalog_name after)
{
	const struct user *u = t->user;
	t->dead = ARENA_NEW_ARRAY(t->arena, struct dead, MAX(u->head_count, 1));
	for (size_t i = 0; i < u->head_count; i++)
		if (is_root(&u->heads[i].mailbox) && u->heads[i].head.is_open &&
			u->heads[i].writer != u->writer)
			t->dead[t->dead_count++] = (struct dead){ u->heads[i].writer, after };
}

/* WAITS. */
static enum err take_over(struct op *op, struct tail *t)
{
	struct user *u = t->user;
	struct batch *b = batch_new(u);
	struct catalog_name queued = user_mint(u);
	bool is_atomic = catalog_is_atomic(u->store->catalog);
	char key[HEAD_OPEN_SIZE];
	for (size_t i = 0; i < t->removed_count && !is_atomic; i++)
		batch_garbage(b, STORE_PURGE_OBJECT, t->removed[i], 0, queued, queued);
	for (size_t i = 0; i < t->dead_count; i++) {
		AUTO_BUF(value, 0);
		head_fence_encode(&value, t->dead[i].last);
		if (!is_atomic && !user_fence_of(u, root_scope, t->dead[i].writer))
			batch_put_head(
				b, root_scope, head_fence_key(t->dead[i].writer, key), &value);
		batch_delete_head(b, root_scope, head_writer_key(t->dead[i].writer, key));
		batch_last(b)->rank = RANK_LAST_HEADS;
	}
	return user_write(op, u, b);
}

enum err tree_read_tail(struct op *op, struct user *u)
{
	struct tail t = { .user = u, .arena = op->arena };
	struct catalog_name cover = u->tree.cover;
	int64_t from_ms = (int64_t)name_ms(cover) - STORE_TAIL_MS;
	struct catalog_name after = name_at_ms(name_is_none(cover) ? 0 : from_ms);
	find_dead(&t, after);
	TRY(catalog_read_rows(
		op, u->store->catalog, u->name, root_scope, 0, 0, after, fold_row, &t));
	/* The next change of a name must win over the last one. */
	name_observe(&u->store->clock, u->tree.cover, now_wall_us());
	return t.dead_count > 0 ? take_over(op, &t) : ERR_NONE;
}

static void put_own_head(struct batch *b, struct user *u, bool is_open)
{
	char key[HEAD_OPEN_SIZE];
	AUTO_BUF(value, 0);
	head_writer_encode(
		&value, &(struct head_writer){ .is_open = is_open, .cover = u->tree.cover });
	batch_put_head(b, root_scope, head_writer_key(u->writer, key), &value);
}

void tree_claim(struct batch *b, struct user *u)
{
	char key[HEAD_OPEN_SIZE];
	if (u->has_claimed_root)
		return;
	put_own_head(b, u, true);
	for (size_t i = 0; i < u->head_count; i++)
		if (is_root(&u->heads[i].mailbox) && u->heads[i].writer != u->writer)
			batch_delete_head(b, root_scope, head_writer_key(u->heads[i].writer, key));
}

void tree_release(struct batch *b, struct user *u)
{
	put_own_head(b, u, false);
}
