/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of bases as garbage. An entry of the queue says that a base was replaced; before its object
 * goes, the heads are asked, and the manifests that they name: of two writers who made bases at once, one
 * may go on using what the other gave up. The object of a root head is one of the zero scope. */
#include "store/base_private.h"

#include "base/codec.h"

bool base_is_of_root(struct catalog_guid mailbox)
{
	static const struct catalog_guid root_scope;
	return memcmp(&mailbox, &root_scope, sizeof(mailbox)) == 0;
}

static void add_name(struct op *op, struct base_names *n, const struct row_id *id)
{
	if (row_id_is_none(id))
		return;
	if (n->count == n->cap) {
		size_t cap = MAX(2 * n->cap, 16);
		n->ids = arena_grow(
			op->arena, n->ids, n->cap * sizeof(*n->ids), cap * sizeof(*n->ids));
		n->cap = cap;
	}
	n->ids[n->count++] = *id;
}

/* WAITS. Of a manifest that is gone or damaged nobody reads the segments. */
static enum err add_manifest(struct op *op, const struct user *named, bool with_retired,
	const struct row_id *id, struct base_names *n)
{
	struct base_parts parts = { 0 };
	struct str manifest;
	if (row_id_is_none(id))
		return ERR_NONE;
	add_name(op, n, id);
	enum err e = objects_get(op, named->store->objects,
		base_object_key(op->arena, named, n->mailbox, *id), BASE_FILE_BYTES_MAX, &manifest);
	if (e == ERR_NONE)
		e = base_parts_read(manifest, n->mailbox, &parts);
	for (size_t i = 0; i < parts.count && e == ERR_NONE; i++)
		if (with_retired || !parts.segments[i].is_retired)
			add_name(op, n, &parts.segments[i].id);
	base_parts_done(&parts);
	if (e == ERR_NOT_FOUND || e == ERR_CORRUPT || e == ERR_UNSUPPORTED) {
		op_forgive(op);
		return ERR_NONE;
	}
	return e;
}

/* In the zero scope the root head alone names an object. */
static enum err add_root(
	struct op *op, const struct catalog_head *heads, size_t count, struct base_names *n)
{
	struct head_root root;
	for (size_t i = 0; i < count; i++) {
		if (memcmp(&heads[i].mailbox, &n->mailbox, sizeof(n->mailbox)) != 0 ||
			!str_eq(heads[i].key, HEAD_ROOT_KEY))
			continue;
		enum err e = head_root_decode(heads[i].value, &root);
		if (e != ERR_NONE)
			return op_fail(op, e, "the root head cannot be read");
		add_name(op, n, &root.object);
	}
	return ERR_NONE;
}

enum err base_names_read(struct op *op, struct store *s, struct str user,
	struct catalog_guid mailbox, bool with_retired, struct base_names *out)
{
	struct user named = { .store = s, .name = user };
	struct catalog_head *heads;
	struct base_names n = { .user = user, .mailbox = mailbox };
	size_t count;
	TRY(catalog_read_heads(op, s->catalog, user, &heads, &count));
	for (size_t i = 0; i < count; i++) {
		struct head_base head;
		uint32_t writer;
		if (memcmp(&heads[i].mailbox, &mailbox, sizeof(mailbox)) != 0 ||
			!head_is_base_key(heads[i].key, &writer))
			continue;
		enum err e = head_base_decode(heads[i].value, &head);
		if (e != ERR_NONE)
			return op_fail(op, e, "the head of a base cannot be read");
		TRY(add_manifest(op, &named, with_retired, &head.base.id, &n));
		TRY(add_manifest(op, &named, with_retired, &head.previous.id, &n));
	}
	if (base_is_of_root(mailbox))
		TRY(add_root(op, heads, count, &n));
	*out = n;
	return ERR_NONE;
}

enum err base_garbage_is_used(struct op *op, struct store *s, const struct catalog_garbage *g,
	const struct row_id *id, struct base_names *known, bool *out)
{
	if (memcmp(&known->mailbox, &g->mailbox, sizeof(g->mailbox)) != 0 ||
		!str_eq(known->user, g->user))
		TRY(base_names_read(op, s, g->user, g->mailbox, false, known));
	*out = false;
	for (size_t i = 0; i < known->count; i++)
		*out = *out || memcmp(&known->ids[i], id, sizeof(*id)) == 0;
	return ERR_NONE;
}

struct str base_garbage_object(struct arena *a, const struct row_id *id)
{
	AUTO_BUF(object, 0);
	buf_put(&object, STR(BASE_GARBAGE));
	hex_encode(&object, (struct str){ (const char *)id->bytes, sizeof(id->bytes) });
	return buf_dup(a, &object);
}

enum err base_purge(struct op *op, struct store *s, struct str user, struct catalog_guid mailbox)
{
	struct base_names n;
	TRY(base_names_read(op, s, user, mailbox, true, &n));
	struct catalog_change *puts =
		ARENA_NEW_ARRAY(op->arena, struct catalog_change, MAX(n.count, 1));
	for (size_t i = 0; i < n.count; i++)
		puts[i] = (struct catalog_change){ .kind = CATALOG_PUT_GARBAGE,
			.mailbox = mailbox,
			.row = { .kind = CATALOG_OP },
			.object = base_garbage_object(op->arena, &n.ids[i]),
			.queued = store_name(s) };
	store_stamp_changes(s, puts, n.count);
	return n.count > 0 ? catalog_write(op, s->catalog, user, puts, n.count) : ERR_NONE;
}
