/* SPDX-License-Identifier: Apache-2.0 */
/* Op rows. Decoding checks every list to its end, so that walking it later cannot fail half way. */
#include "store/format/row.h"

#include "store/format/cut_private.h"
#include "store/format/row_private.h"

#define STORABLE_FLAGS 0x1fu

static void put_op(struct buf *out, enum row_op op)
{
	buf_put_byte(out, ROW_VERSION);
	buf_put_byte(out, (char)op);
}

/* Do the marks say where the row is, and its object? */
static bool names_objects(enum row_op op)
{
	return op == ROW_EXPUNGE || op == ROW_MOVE_INTENT;
}

static void put_mark(struct buf *out, enum row_op op, const struct row_mark *mark)
{
	put_bytes(out, mark->name.bytes, CATALOG_NAME_BYTES);
	number_put_varint(out, mark->uid);
	if (names_objects(op)) {
		number_put_varint(out, mark->bucket);
		put_bytes(out, mark->oid.bytes, ROW_ID_BYTES);
	} else if (op == ROW_MERGE) {
		number_put_varint(out, mark->modseq);
		number_put_varint(out, mark->origin);
	}
}

static void put_marks(struct buf *out, enum row_op op, const struct row_mark *marks, size_t count)
{
	number_put_varint(out, count);
	for (size_t i = 0; i < count; i++)
		put_mark(out, op, &marks[i]);
}

bool row_mark_next(enum row_op op, struct str *marks, struct row_mark *out)
{
	struct row_mark mark = { 0 };
	struct str rest = *marks;
	if (!cut_bytes(&rest, mark.name.bytes, CATALOG_NAME_BYTES) || !cut_u32(&rest, &mark.uid))
		return false;
	if (names_objects(op) &&
		(!cut_u32(&rest, &mark.bucket) || !cut_bytes(&rest, mark.oid.bytes, ROW_ID_BYTES)))
		return false;
	if (op == ROW_MERGE &&
		(!number_cut_varint(&rest, &mark.modseq) || !cut_u32(&rest, &mark.origin)))
		return false;
	*marks = rest;
	*out = mark;
	return true;
}

/* A counted list of marks: takes it off the front when all of it is there. */
static bool cut_marks(struct str *rest, enum row_op op, size_t *out_count, struct str *out)
{
	uint64_t count;
	if (!number_cut_varint(rest, &count) || count > rest->n / CATALOG_NAME_BYTES)
		return false;
	struct str at = *rest;
	struct row_mark mark;
	for (uint64_t i = 0; i < count; i++)
		if (!row_mark_next(op, &at, &mark))
			return false;
	*out = (struct str){ rest->p, rest->n - at.n };
	*out_count = (size_t)count;
	*rest = at;
	return true;
}

bool row_flags_next(struct str *groups, size_t keyword_count, struct row_flags_group *out)
{
	struct row_flags_group g = { 0 };
	struct str rest = *groups;
	uint8_t mask, value;
	bool ok = number_cut_varint(&rest, &g.modseq) && number_cut_varint(&rest, &g.stamp) &&
		  cut_u8(&rest, &mask) && cut_u8(&rest, &value) &&
		  number_cut_varint(&rest, &g.keywords_mask) &&
		  number_cut_varint(&rest, &g.keywords_value) &&
		  cut_marks(&rest, ROW_FLAGS, &g.count, &g.marks);
	uint64_t known = keyword_count >= 64 ? UINT64_MAX : (UINT64_C(1) << keyword_count) - 1;
	if (!ok || (mask & ~STORABLE_FLAGS) != 0 || (value & ~mask) != 0 ||
		(g.keywords_mask & ~known) != 0 || (g.keywords_value & ~g.keywords_mask) != 0)
		return false;
	g.mask = mask;
	g.value = value;
	*groups = rest;
	*out = g;
	return true;
}

static bool flags_decode(struct str rest, struct row_op_value *v)
{
	if (!row_cut_keywords(&rest, v->keywords, &v->keyword_count))
		return false;
	v->groups = rest;
	struct row_flags_group group;
	while (row_flags_next(&rest, v->keyword_count, &group))
		v->count++;
	return rest.n == 0;
}

bool row_rename_next(struct str *renames, struct row_rename *out)
{
	struct row_rename r;
	struct str rest = *renames;
	if (!cut_bytes(&rest, r.mailbox.bytes, ROW_ID_BYTES) ||
		!cut_counted(&rest, ROW_TREE_NAME_MAX, &r.name) || r.name.n == 0)
		return false;
	*renames = rest;
	*out = r;
	return true;
}

static bool renames_decode(struct str rest, struct row_op_value *v)
{
	v->renames = rest;
	struct row_rename rename;
	while (row_rename_next(&rest, &rename))
		v->count++;
	return rest.n == 0;
}

static bool tree_create_decode(struct str *rest, struct row_op_value *v)
{
	return cut_bytes(rest, v->mailbox.bytes, ROW_ID_BYTES) &&
	       cut_counted(rest, ROW_TREE_NAME_MAX, &v->name) && v->name.n > 0 &&
	       cut_counted(rest, ROW_SPECIAL_USE_MAX, &v->special_use) &&
	       cut_u32(rest, &v->uid_validity) && v->uid_validity > 0;
}

static bool commit_decode(struct str *rest, struct row_op_value *v)
{
	uint64_t count;
	if (!cut_bytes(rest, v->batch.bytes, ROW_ID_BYTES) || !cut_u32(rest, &v->uid) ||
		!number_cut_varint(rest, &v->modseq) || !number_cut_varint(rest, &count))
		return false;
	v->count = (size_t)count;
	return v->uid > 0 && count > 0 && count <= UINT32_MAX - v->uid;
}

static bool op_decode(struct str *rest, struct row_op_value *v)
{
	uint8_t on;
	switch (v->op) {
	case ROW_EXPUNGE:
	case ROW_VOID:
		return number_cut_varint(rest, &v->modseq) &&
		       cut_marks(rest, v->op, &v->count, &v->marks);
	case ROW_FLAGS: {
		bool ok = flags_decode(*rest, v);
		rest->n = 0;
		return ok;
	}
	case ROW_COMMIT:
		return commit_decode(rest, v);
	case ROW_MOVE_INTENT:
		return cut_bytes(rest, v->batch.bytes, ROW_ID_BYTES) &&
		       cut_bytes(rest, v->mailbox.bytes, ROW_ID_BYTES) &&
		       cut_marks(rest, v->op, &v->count, &v->marks);
	case ROW_MERGE:
		return cut_marks(rest, v->op, &v->count, &v->marks);
	case ROW_FLOOR:
		return cut_u32(rest, &v->uid) && number_cut_varint(rest, &v->modseq) &&
		       cut_marks(rest, v->op, &v->count, &v->marks);
	case ROW_VOID_BATCH:
		return cut_bytes(rest, v->batch.bytes, ROW_ID_BYTES);
	case ROW_HOLE:
		return number_cut_varint(rest, &v->hole_first) &&
		       number_cut_varint(rest, &v->hole_last) && v->hole_first <= v->hole_last;
	case ROW_TREE_CREATE:
		return tree_create_decode(rest, v);
	case ROW_TREE_RENAME: {
		bool ok = renames_decode(*rest, v);
		rest->n = 0;
		return ok;
	}
	case ROW_TREE_REMOVE:
		return cut_bytes(rest, v->mailbox.bytes, ROW_ID_BYTES);
	case ROW_TREE_SUBSCRIBE:
		if (!cut_u8(rest, &on) || on > 1)
			return false;
		v->is_on = on == 1;
		return cut_counted(rest, ROW_TREE_NAME_MAX, &v->name) && v->name.n > 0;
	}
	return false;
}

enum err row_op_decode(struct str value, struct row_op_value *out)
{
	struct row_op_value v = { 0 };
	struct str rest = value;
	uint8_t op;
	TRY(row_check_version(&rest));
	if (!cut_u8(&rest, &op))
		return ERR_CORRUPT;
	v.op = (enum row_op)op;
	if (!op_decode(&rest, &v) || rest.n > 0)
		return ERR_CORRUPT;
	*out = v;
	return ERR_NONE;
}

void row_expunge_encode(
	struct buf *out, uint64_t modseq, const struct row_mark *marks, size_t count)
{
	ASSERT(count <= ROW_EXPUNGE_MAX);
	put_op(out, ROW_EXPUNGE);
	number_put_varint(out, modseq);
	put_marks(out, ROW_EXPUNGE, marks, count);
}

void row_commit_encode(struct buf *out, const struct row_id *batch, uint32_t first_uid,
	uint64_t modseq, size_t count)
{
	put_op(out, ROW_COMMIT);
	put_bytes(out, batch->bytes, ROW_ID_BYTES);
	number_put_varint(out, first_uid);
	number_put_varint(out, modseq);
	number_put_varint(out, count);
}

void row_move_intent_encode(struct buf *out, const struct row_id *batch,
	const struct row_id *destination, const struct row_mark *marks, size_t count)
{
	put_op(out, ROW_MOVE_INTENT);
	put_bytes(out, batch->bytes, ROW_ID_BYTES);
	put_bytes(out, destination->bytes, ROW_ID_BYTES);
	put_marks(out, ROW_MOVE_INTENT, marks, count);
}

void row_void_encode(struct buf *out, uint64_t modseq, const struct row_mark *marks, size_t count)
{
	put_op(out, ROW_VOID);
	number_put_varint(out, modseq);
	put_marks(out, ROW_VOID, marks, count);
}

void row_void_batch_encode(struct buf *out, const struct row_id *batch)
{
	put_op(out, ROW_VOID_BATCH);
	put_bytes(out, batch->bytes, ROW_ID_BYTES);
}

void row_floor_encode(struct buf *out, uint32_t next_uid, uint64_t modseq,
	const struct row_mark *seen, size_t count)
{
	put_op(out, ROW_FLOOR);
	number_put_varint(out, next_uid);
	number_put_varint(out, modseq);
	put_marks(out, ROW_FLOOR, seen, count);
}

void row_hole_encode(struct buf *out, uint64_t first, uint64_t last)
{
	put_op(out, ROW_HOLE);
	number_put_varint(out, first);
	number_put_varint(out, last);
}

void row_merge_encode(struct buf *out, const struct row_mark *marks, size_t count)
{
	put_op(out, ROW_MERGE);
	put_marks(out, ROW_MERGE, marks, count);
}

void row_flags_encode_head(struct buf *out, const struct str *keywords, size_t count)
{
	put_op(out, ROW_FLAGS);
	row_put_keywords(out, keywords, count);
}

void row_flags_encode_group(
	struct buf *out, const struct row_flags_group *g, const struct row_mark *marks)
{
	number_put_varint(out, g->modseq);
	number_put_varint(out, g->stamp);
	buf_put_byte(out, (char)g->mask);
	buf_put_byte(out, (char)g->value);
	number_put_varint(out, g->keywords_mask);
	number_put_varint(out, g->keywords_value);
	put_marks(out, ROW_FLAGS, marks, g->count);
}

void row_tree_create_encode(struct buf *out, const struct row_id *mailbox, struct str name,
	struct str special_use, uint32_t uid_validity)
{
	put_op(out, ROW_TREE_CREATE);
	put_bytes(out, mailbox->bytes, ROW_ID_BYTES);
	put_counted(out, name);
	put_counted(out, special_use);
	number_put_varint(out, uid_validity);
}

void row_tree_rename_encode(struct buf *out, const struct row_rename *renames, size_t count)
{
	put_op(out, ROW_TREE_RENAME);
	for (size_t i = 0; i < count; i++) {
		put_bytes(out, renames[i].mailbox.bytes, ROW_ID_BYTES);
		put_counted(out, renames[i].name);
	}
}

void row_tree_remove_encode(struct buf *out, const struct row_id *mailbox)
{
	put_op(out, ROW_TREE_REMOVE);
	put_bytes(out, mailbox->bytes, ROW_ID_BYTES);
}

void row_tree_subscribe_encode(struct buf *out, struct str name, bool is_on)
{
	put_op(out, ROW_TREE_SUBSCRIBE);
	buf_put_byte(out, is_on ? 1 : 0);
	put_counted(out, name);
}
