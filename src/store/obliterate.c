/* SPDX-License-Identifier: Apache-2.0 */
/* Deleting a user: objects, rows, heads, local state. Spec: sheet storage §8.4, contract §4.
 *
 *   1. the generation head says that he is being deleted: from now on nobody opens him;
 *   2. all objects that the store lists under his name go; where it cannot list, those that rows name;
 *   3. mailbox by mailbox: reverse rows, rows, heads; then the root scope;
 *   4. the generation head says that it is over. It stays: INBOX's GUID hangs on the generation.
 * Every step can be repeated, and what is needed to find the rest goes last: a crash leaves a user whom
 * nobody can open until the deletion is called again. A catalog that keeps by stamps hides what is written
 * soon after a deletion, so step 4 waits until the present is past all stamps of step 3.
 *
 * Another host that has him open sees it when it looks (user_read_heads()): it writes nothing more, and his
 * sessions end. What it wrote until then belongs to an earlier generation: neither its root head nor its
 * writer heads make him, or the next of his name, exist. */
#include "store/store_private.h"

#include "base/codec.h"

#define AT_ONCE 1000 /* objects and rows */

static const struct catalog_guid root_scope;

struct deletion {
	struct user *user;
	bool by_rows; /* the store cannot list */
	struct catalog_head *heads;
	size_t head_count;
	/* What was gathered, in an arena of its own. */
	struct arena arena;
	struct str keys[AT_ONCE];
	size_t key_count;
	struct catalog_change references[AT_ONCE];
	size_t reference_count;
	struct catalog_guid mailbox; /* being walked */
	struct user_obliterated *out;
};

/* WAITS. Objects first: rows are what they are found by. */
static enum err delete_gathered(struct op *op, struct deletion *d)
{
	struct store *s = d->user->store;
	if (d->key_count > 0)
		TRY(objects_delete_many(op, s->objects, d->keys, d->key_count));
	if (d->reference_count > 0)
		TRY(store_write_changes(op, s, d->user->name, d->references, d->reference_count));
	d->out->objects += d->key_count;
	d->key_count = d->reference_count = 0;
	arena_reset(&d->arena);
	return ERR_NONE;
}

/* ---- objects that the store lists ---- */

static enum err see_object(struct op *op, struct str key, const struct object_info *info, void *arg)
{
	struct deletion *d = arg;
	(void)info;
	d->keys[d->key_count++] = str_dup(&d->arena, key);
	return d->key_count == AT_ONCE ? delete_gathered(op, d) : ERR_NONE;
}

/* WAITS. Again until there is nothing: a list may pass over what stands behind what was deleted. */
static enum err delete_listed(struct op *op, struct deletion *d)
{
	const struct user *u = d->user;
	struct str prefix =
		str_printf(op->arena, "%s%.*s/", u->store->object_prefix, STRF(u->name));
	uint64_t before;
	do {
		before = d->out->objects;
		enum err e = objects_iter(op, u->store->objects, prefix, see_object, d);
		d->by_rows = e == ERR_UNSUPPORTED;
		if (d->by_rows) {
			op_forgive(op);
			return ERR_NONE;
		}
		TRY(e);
		TRY(delete_gathered(op, d));
	} while (d->out->objects > before);
	return ERR_NONE;
}

/* WAITS. Where the store cannot list: the object that the root head names. */
static enum err delete_root_object(struct op *op, struct deletion *d, struct row_id object)
{
	if (row_id_is_none(&object))
		return ERR_NONE;
	d->keys[d->key_count++] = base_object_key(&d->arena, d->user, root_scope, object);
	return delete_gathered(op, d);
}

/* ---- rows ---- */

static enum err see_row(struct op *op, const struct catalog_row *row, void *arg)
{
	struct deletion *d = arg;
	struct row_append a;
	task_breathe();
	if (row->kind != CATALOG_APPEND || row_append_decode(row->value, &a) != ERR_NONE)
		return ERR_NONE; /* a row that nobody can read names nothing */
	AUTO_BUF(hex, 0);
	hex_encode(&hex, (struct str){ (const char *)a.oid.bytes, sizeof(a.oid.bytes) });
	d->references[d->reference_count++] = (struct catalog_change){
		.kind = CATALOG_DELETE_REVERSE,
		.mailbox = d->mailbox,
		.row = { CATALOG_OP, row->bucket, row->name, STR_NONE },
		.object = buf_dup(&d->arena, &hex),
	};
	d->out->mails++;
	if (d->by_rows)
		d->keys[d->key_count++] = store_object_key(&d->arena, d->user, a.oid);
	return d->reference_count == AT_ONCE ? delete_gathered(op, d) : ERR_NONE;
}

static uint32_t last_bucket(const struct deletion *d, struct catalog_guid mailbox)
{
	uint32_t bucket = 0;
	for (size_t i = 0; i < d->head_count; i++)
		if (memcmp(&d->heads[i].mailbox, &mailbox, sizeof(mailbox)) == 0 &&
			str_eq(d->heads[i].key, HEAD_BUCKET) &&
			head_bucket_decode(d->heads[i].value, &bucket) != ERR_NONE)
			bucket = 0; /* damaged: as if it were not there */
	return bucket + 1;
}

/* WAITS. All heads of a scope but the generation head. */
static enum err delete_heads(struct op *op, struct deletion *d, struct catalog_guid scope)
{
	struct catalog_change *gone =
		ARENA_NEW_ARRAY(op->arena, struct catalog_change, MAX(d->head_count, 1));
	size_t n = 0;
	for (size_t i = 0; i < d->head_count; i++)
		if (memcmp(&d->heads[i].mailbox, &scope, sizeof(scope)) == 0 &&
			!str_eq(d->heads[i].key, HEAD_GENERATION))
			gone[n++] = (struct catalog_change){ .kind = CATALOG_DELETE_HEAD,
				.mailbox = scope,
				.key = d->heads[i].key };
	return store_write_changes(op, d->user->store, d->user->name, gone, n);
}

/* WAITS. */
static enum err delete_scope(struct op *op, struct deletion *d, struct catalog_guid scope)
{
	static const struct catalog_name all;
	struct store *s = d->user->store;
	uint32_t last = last_bucket(d, scope);
	bool is_root = memcmp(&scope, &root_scope, sizeof(scope)) == 0;
	d->mailbox = scope;
	if (!is_root) {
		TRY(catalog_read_rows(
			op, s->catalog, d->user->name, scope, 0, last, all, see_row, d));
		TRY(delete_gathered(op, d));
		d->out->mailboxes++;
	}
	struct catalog_change rows = { .kind = CATALOG_DELETE_MAILBOX,
		.mailbox = scope,
		.row = { .kind = CATALOG_OP, .bucket = last } };
	TRY(store_write_changes(op, s, d->user->name, &rows, 1));
	return delete_heads(op, d, scope);
}

/* WAITS. A mailbox that has rows has a head. */
static enum err delete_scopes(struct op *op, struct deletion *d)
{
	for (size_t i = 0; i < d->head_count; i++) {
		struct catalog_guid scope = d->heads[i].mailbox;
		bool is_done = memcmp(&scope, &root_scope, sizeof(scope)) == 0;
		for (size_t k = 0; k < i && !is_done; k++)
			is_done = memcmp(&d->heads[k].mailbox, &scope, sizeof(scope)) == 0;
		if (!is_done)
			TRY(delete_scope(op, d, scope));
	}
	return delete_scope(op, d, root_scope);
}

/* ---- the generation ---- */

/* WAITS. */
static enum err write_generation(
	struct op *op, struct deletion *d, struct head_generation *head, bool is_deleting)
{
	AUTO_BUF(value, 0);
	head->is_deleting = is_deleting;
	head_generation_encode(&value, head);
	struct catalog_change change = {
		.kind = CATALOG_PUT_HEAD, .key = HEAD_GENERATION, .value = buf_str(&value)
	};
	return store_write_changes(op, d->user->store, d->user->name, &change, 1);
}

/* What the next user of this name must not repeat. A root that cannot be read keeps nobody from being
 * deleted. */
static void next_generation(struct str root, struct head_generation *head)
{
	struct head_root r;
	struct head_mailbox m;
	uint64_t generation = MAX(head->generation, 1);
	if (head->is_deleting)
		return;
	if (root.p && head_root_decode(root, &r) == ERR_NONE) {
		generation = MAX(generation, r.generation);
		head->last_uid_validity = MAX(head->last_uid_validity, r.last_uid_validity);
		bool is_plain = r.form == HEAD_ROOT_PLAIN; /* others say all in last_uid_validity */
		for (size_t i = 0;
			is_plain && i < r.mailbox_count && head_root_next_mailbox(&r.rest, &m); i++)
			head->last_uid_validity = MAX(head->last_uid_validity, m.uid_validity);
	}
	head->generation = generation + 1;
}

/* WAITS until what is written now is not hidden by the deletions. */
static enum err wait_for_stamps(struct op *op, const struct store *s)
{
	int64_t past_us = s->stamp_us + STORE_DELETION_AHEAD_US;
	while (!catalog_is_atomic(s->catalog) && now_wall_us() <= past_us)
		TRY(task_sleep(op, past_us - now_wall_us() + US_PER_MS));
	return ERR_NONE;
}

static enum err delete_all(struct op *op, struct deletion *d)
{
	struct user *u = d->user;
	struct store *s = u->store;
	struct head_generation head;
	struct str root;
	TRY(store_check_clock(op, s));
	TRY(catalog_read_heads(op, s->catalog, u->name, &d->heads, &d->head_count));
	TRY(user_find_root(op, d->heads, d->head_count, &root, &head));
	bool is_known = d->head_count > (head.generation > 0) || head.is_deleting;
	if (is_known) {
		next_generation(root, &head);
		TRY(write_generation(op, d, &head, true));
	}
	TRY(delete_listed(op, d));
	if (d->by_rows)
		TRY(delete_root_object(op, d, root_object_of(root)));
	if (is_known)
		TRY(delete_scopes(op, d));
	TRY(local_remove_dir(op, u->dir));
	if (!is_known) /* there may be objects whose catalog was lost */
		return d->out->objects > 0 ? ERR_NONE
					   : op_fail(op, ERR_NOT_FOUND, "there is no such user");
	TRY(wait_for_stamps(op, s));
	return write_generation(op, d, &head, false);
}

enum err user_obliterate(
	struct op *op, struct store *s, struct str name, struct user_obliterated *out)
{
	struct user *u;
	*out = (struct user_obliterated){ 0 };
	TRY(user_hold(op, s, name, &u));
	struct deletion *d = MEM_NEW(struct deletion);
	d->user = u;
	d->out = out;
	arena_init(&d->arena, 0);
	enum err e = delete_all(op, d);
	arena_done(&d->arena);
	mem_free(d);
	user_let_go(u);
	return op_within(op, e, "deleting user %.*s", STRF(name));
}
