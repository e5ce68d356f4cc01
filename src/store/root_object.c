/* SPDX-License-Identifier: Apache-2.0 */
/* Where the lists of a root head are. Small ones stand in it as they are, larger ones compressed. Of a user with
 * thousands of mailboxes that would be carried through every reading of heads: his lists are an immutable object, put
 * before the head that names it, which says the rest. The object is a base file of the zero scope, and as
 * garbage it is one, too: the collector asks the root head before it deletes (base_gc.c). */
#include "base/hash.h"
#include "base/random.h"
#include "event/event.h"
#include "objects/frame.h"
#include "store/base_private.h"

#define PLAIN_MAX  ((size_t)1024)
#define INLINE_MAX ((size_t)48 * 1024)
#define PUT_US     (STORE_WRITE_US / 3) /* of the time that closing has */

static const struct catalog_guid root_scope;

void root_made_init(struct root_made *made)
{
	*made = (struct root_made){ 0 };
	buf_init(&made->head, 0);
}

void root_made_done(struct root_made *made)
{
	buf_done(&made->head);
}

bool root_made_is_of(const struct root_made *made, const struct tree *t)
{
	return made->head.n > 0 && made->ops == t->ops && name_cmp(made->cover, t->cover) == 0;
}

static size_t inline_max(const struct user *u)
{
	size_t wanted = u->store->settings.root_inline_bytes;
	return wanted > 0 ? wanted : INLINE_MAX;
}

/* ---- writing ---- */

void tree_encode(const struct tree *t, struct buf *out)
{
	struct head_root root;
	AUTO_BUF(lists, 0);
	tree_encode_lists(t, &root, &lists);
	head_root_encode(out, &root);
	buf_put(out, buf_str(&lists));
}

/* The head if it needs no object, else the frame. */
static bool make_inline(
	const struct user *u, struct root_made *out, struct head_root *root, struct buf *frame)
{
	AUTO_BUF(lists, 0);
	buf_clear(&out->head);
	tree_encode_lists(&u->tree, root, &lists);
	out->cover = u->tree.cover;
	out->ops = u->tree.ops;
	bool is_plain = lists.n <= MIN(PLAIN_MAX, inline_max(u));
	if (!is_plain)
		frame_pack(buf_str(&lists), frame);
	out->bytes = is_plain ? lists.n : frame->n;
	root->form = is_plain ? HEAD_ROOT_PLAIN : HEAD_ROOT_PACKED;
	root->plain_bytes = lists.n;
	if (out->bytes > inline_max(u))
		return false;
	head_root_encode(&out->head, root);
	buf_put(&out->head, is_plain ? buf_str(&lists) : buf_str(frame));
	return true;
}

bool root_make_inline(const struct user *u, struct root_made *out)
{
	struct head_root root;
	AUTO_BUF(frame, 0);
	return make_inline(u, out, &root, &frame);
}

/* WAITS. */
static enum err put_file(
	struct op *op, const struct user *u, const struct row_id *id, const struct buf *file)
{
	struct str bytes = buf_str(file);
	struct object_meta meta = { .name = STR("username"),
		.value = str_dup(op->arena, str_slice(u->name, 0, 255)) };
	if (u->store->is_abandoned)
		return op_fail(op, ERR_UNAVAILABLE, "the store was abandoned");
	return objects_put(op, u->store->objects,
		&(struct object_put){ .key = base_object_key(op->arena, u, root_scope, *id),
			.parts = &bytes,
			.part_count = 1,
			.meta = &meta,
			.meta_count = 1 });
}

enum err root_make(struct op *op, struct user *u, size_t max, struct root_made *out)
{
	struct head_root root;
	struct op inner;
	AUTO_BUF(frame, 0);
	AUTO_BUF(file, 0);
	if (make_inline(u, out, &root, &frame) || out->bytes > max) {
		if (out->bytes > max)
			buf_clear(&out->head);
		return ERR_NONE;
	}
	if (root.plain_bytes > HEAD_ROOT_BYTES_MAX)
		return op_fail(
			op, ERR_LIMIT, "lists of mailboxes of %" PRIu64 " bytes", root.plain_bytes);
	struct base_section section = { BASE_TREE, 1, buf_str(&frame) };
	base_file_encode(&file, root_scope, &section, 1);
	root.form = HEAD_ROOT_OBJECT;
	root.bytes = file.n;
	root.hash = hash_stable(buf_str(&file));
	random_bytes(root.object.bytes, sizeof(root.object.bytes));
	op_init(&inner, op->arena, op->event, MIN(op->deadline_us, now_us() + PUT_US));
	inner.doing = op->doing;
	enum err e = put_file(&inner, u, &root.object, &file);
	if (e != ERR_NONE)
		return op_fail(op, e, "%s", inner.failure.text);
	head_root_encode(&out->head, &root);
	out->is_object = true;
	out->object = root.object;
	u->store->counters.root_puts++;
	return ERR_NONE;
}

void root_made_drop(struct op *op, struct user *u, struct root_made *made)
{
	bool is_ours = made->is_object && !made->is_taken && !u->store->is_abandoned;
	struct op_failure before = op->failure;
	/* What cannot be deleted is for the offline audit. */
	if (is_ours)
		(void)(objects_delete(op, u->store->objects,
			       base_object_key(op->arena, u, root_scope, made->object)) ==
			ERR_NONE);
	op->failure = before;
	made->is_object = made->is_taken = false;
	buf_clear(&made->head);
}

/* ---- reading ---- */

static enum err take_frame(struct op *op, struct tree *t, struct head_root *root, struct str frame)
{
	AUTO_BUF(lists, 0);
	if (root->plain_bytes > HEAD_ROOT_BYTES_MAX)
		return op_fail(op, ERR_CORRUPT,
			"the user's root says that it has %" PRIu64 " bytes, at most %zu are read",
			root->plain_bytes, HEAD_ROOT_BYTES_MAX);
	TRY(frame_unpack(op, frame, (size_t)root->plain_bytes, &lists));
	enum err e = head_root_take_lists(root, buf_str(&lists));
	if (e != ERR_NONE)
		return op_fail(op, e, "the lists of the user's root cannot be read");
	tree_take(t, root);
	return ERR_NONE;
}

static enum err decode_head(struct op *op, struct str value, struct head_root *out)
{
	enum err e = head_root_decode(value, out);
	return e == ERR_NONE ? e : op_fail(op, e, "the user's root head cannot be read");
}

static enum err take_inline(struct op *op, struct tree *t, struct head_root *root)
{
	if (root->form == HEAD_ROOT_PACKED)
		return take_frame(op, t, root, root->rest);
	tree_take(t, root);
	return ERR_NONE;
}

enum err tree_decode(struct op *op, struct tree *t, struct str root_head)
{
	struct head_root root;
	TRY(decode_head(op, root_head, &root));
	if (root.form == HEAD_ROOT_OBJECT)
		return op_fail(op, ERR_CORRUPT, "the user's root head names an object");
	return take_inline(op, t, &root);
}

/* WAITS. */
static enum err read_object(struct op *op, struct user *u, struct head_root *root)
{
	struct base_section sections[BASE_SECTIONS_MAX];
	struct str key = base_object_key(op->arena, u, root_scope, root->object), file;
	size_t count;
	size_t max = (size_t)MIN(root->bytes, 2 * HEAD_ROOT_BYTES_MAX);
	enum err e = objects_get(op, u->store->objects, key, max, &file);
	if (e == ERR_LIMIT)
		return op_fail(op, ERR_CORRUPT, "%.*s is larger than it was", STRF(key));
	TRY(e);
	if (file.n != root->bytes || hash_stable(file) != root->hash)
		return op_fail(op, ERR_CORRUPT, "%.*s is not what the root head says", STRF(key));
	e = base_file_parse(file, root_scope, sections, &count);
	if (e != ERR_NONE || count == 0 || sections[0].type != BASE_TREE)
		return op_fail(
			op, e == ERR_NONE ? ERR_CORRUPT : e, "%.*s cannot be read", STRF(key));
	u->store->counters.root_reads++;
	return take_frame(op, &u->tree, root, sections[0].bytes);
}

enum err root_read(struct op *op, struct user *u, struct str head)
{
	struct head_root root;
	TRY(decode_head(op, head, &root));
	if (root.form != HEAD_ROOT_OBJECT)
		return take_inline(op, &u->tree, &root);
	u->tree.generation = root.generation;
	u->tree.last_uid_validity = root.last_uid_validity;
	return read_object(op, u, &root);
}

struct row_id root_object_of(struct str head)
{
	struct head_root root;
	bool has = head.p && head_root_decode(head, &root) == ERR_NONE;
	return has ? root.object : (struct row_id){ { 0 } };
}
