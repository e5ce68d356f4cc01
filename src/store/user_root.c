/* SPDX-License-Identifier: Apache-2.0 */
/* What the catalog knows of a user when he is opened: heads, and the tree by root head and journal. Where the root
 * head names an object that is gone, the heads are read once more, as it may have been replaced; then
 * the journal is read as a whole. */
#include "event/event.h"
#include "store/base_private.h"

static const struct catalog_guid root_scope;

/* A writer that nobody of this user ever was. */
static void choose_writer(struct user *u)
{
	bool is_new = false;
	while (!is_new) {
		u->writer = name_writer_new(u->store->settings.host);
		is_new = true;
		for (size_t i = 0; i < u->head_count; i++)
			is_new = is_new && u->heads[i].writer != u->writer;
	}
}

enum err user_find_root(struct op *op, const struct catalog_head *heads, size_t count,
	struct str *out_root, struct head_generation *out)
{
	*out_root = STR_NONE;
	*out = (struct head_generation){ 0 };
	for (size_t i = 0; i < count; i++) {
		if (memcmp(&heads[i].mailbox, &root_scope, sizeof(root_scope)) != 0)
			continue;
		if (str_eq(heads[i].key, HEAD_ROOT_KEY))
			*out_root = heads[i].value;
		if (str_eq(heads[i].key, HEAD_GENERATION) &&
			head_generation_decode(heads[i].value, out) != ERR_NONE)
			return op_fail(op, ERR_CORRUPT, "the generation head cannot be read");
	}
	/* Of one who was deleted, by a host that did not know. */
	struct head_root of;
	if (out_root->p && head_root_decode(*out_root, &of) == ERR_NONE &&
		of.generation < out->generation)
		*out_root = STR_NONE;
	return ERR_NONE;
}

/* He was deleted, and a host that did not know has left heads since: none is of INBOX as it is now. */
static bool is_left_over(const struct user *u, const struct head_generation *before)
{
	struct catalog_guid inbox = tree_inbox_guid(u);
	for (size_t i = 0; i < u->head_count; i++)
		if (memcmp(&u->heads[i].mailbox, &inbox, sizeof(inbox)) == 0)
			return false;
	return before->generation > 0;
}

/* What was kept of heads that are read again. */
static void forget_heads(struct user *u)
{
	mem_free(u->heads);
	mem_free(u->bases);
	u->heads = NULL;
	u->bases = NULL;
	u->head_count = u->base_count = 0;
}

/* The root head's object is lost, but no change of names ever leaves the journal, so all of it is as good. It must
 * reach as far as the root head did: a journal that was lost, too, is no user without mailboxes. */
static enum err read_journal(struct op *op, struct user *u, struct str root)
{
	struct head_root head;
	enum err e = head_root_decode(root, &head);
	if (e != ERR_NONE)
		return op_fail(op, e, "the user's root head cannot be read");
	u->store->counters.roots_damaged++;
	event_send(op->event, EVENT_ERROR, "store_root_damaged",
		"the list of mailboxes of %.*s cannot be used, his journal of names is read as a "
		"whole instead: %s",
		STRF(u->name), op->failure.text);
	struct op_failure why = op->failure;
	op_forgive(op);
	TRY(tree_read_tail(op, u));
	if (name_cmp(u->tree.cover, head.cover) >= 0)
		return ERR_NONE;
	return op_fail(op, ERR_CORRUPT,
		"the user's root cannot be read, and his journal of names is not whole (bring the "
		"object back): %s",
		why.text);
}

/* WAITS. The tree as root head and journal have it; `begin_ms`: when reading the heads began. *out_is_lost: the
 * root head's object is gone or damaged, op says why, and nothing was read. */
static enum err read_tree(
	struct op *op, struct user *u, struct str root, int64_t begin_ms, bool *out_is_lost)
{
	enum err e = root_read(op, u, root);
	bool is_damage = e == ERR_NOT_FOUND || e == ERR_CORRUPT || e == ERR_UNSUPPORTED;
	*out_is_lost = is_damage && !row_id_is_none(&u->root_object);
	if (*out_is_lost)
		return ERR_NONE;
	TRY(e);
	if (!root_is_whole(u))
		return tree_read_tail(op, u);
	/* Others may have written since: our own changes move the cover past that. */
	u->tree_seen_ms = begin_ms;
	root_note_seen(u);
	return ERR_NONE;
}

/* *out_again: the heads are to be read once more; not said to who `is_last`. */
static enum err try_root(struct op *op, struct user *u, bool is_last, bool *out_again)
{
	struct catalog *c = u->store->catalog;
	struct catalog_head *heads;
	size_t count;
	struct str root;
	struct head_generation before;
	int64_t begin_ms = now_wall_us() / US_PER_MS;
	bool is_lost;
	*out_again = false;
	TRY(catalog_read_heads(op, c, u->name, &heads, &count));
	TRY(user_find_root(op, heads, count, &root, &before));
	if (before.is_deleting)
		return op_fail(op, ERR_UNAVAILABLE,
			"the user's deletion was not finished: doveadm obox user delete");
	for (size_t i = 0; i < count; i++)
		TRY(user_keep_head(op, u, &heads[i]));
	choose_writer(u);
	u->tree.generation = MAX(before.generation, 1);
	u->tree.last_uid_validity = before.last_uid_validity;
	if (count == (before.generation > 0) || (!root.p && is_left_over(u, &before))) {
		u->tree_seen_ms = begin_ms;
		return tree_create_first(op, u);
	}
	if (!root.p)
		return op_fail(op, ERR_CORRUPT, "the user has heads but no root head");
	u->root_object = root_object_of(root);
	TRY(read_tree(op, u, root, begin_ms, &is_lost));
	*out_again = is_lost && !is_last;
	if (*out_again) {
		op_forgive(op);
		return ERR_NONE;
	}
	if (is_lost)
		TRY(read_journal(op, u, root));
	/* The next change of a name must win over the last one. */
	name_observe(&u->store->clock, u->tree.cover, now_wall_us());
	return tree_create_defaults(op, u);
}

enum err user_read_root(struct op *op, struct user *u)
{
	bool again = false;
	enum err e = try_root(op, u, false, &again);
	if (e != ERR_NONE || !again)
		return e;
	forget_heads(u);
	return try_root(op, u, true, &again);
}
