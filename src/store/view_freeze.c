/* SPDX-License-Identifier: Apache-2.0 */
/* Moving a session's picture of a mailbox to another process: what it was told, as bytes.
 *
 *   version:1, mailbox:16, uid validity, flag (claims recent), told uid, told expunges, told changes,
 *   exists, keywords told, recent UIDs, loud UIDs, silent modseqs; numbers are varints, lists counted
 *
 * Never stored: both processes are of one upgrade. Everything else is remade from the index, which
 * has a tombstone of every expunge and the modseq of every mail's last change. */
#include "store/store_private.h"

#include "base/number.h"

#define FREEZE_VERSION 1
#define RANGES_MAX     (1u << 20)

static void put_ranges(struct buf *out, const struct range_set *s)
{
	number_put_varint(out, s->count);
	for (size_t i = 0; i < s->count; i++) {
		number_put_varint(out, s->ranges[i].first);
		number_put_varint(out, s->ranges[i].last);
	}
}

void view_freeze(const struct view *v, struct buf *out)
{
	const struct mailbox *m = v->mailbox;
	buf_put_byte(out, FREEZE_VERSION);
	buf_put(out, (struct str){ (const char *)m->guid.bytes, sizeof(m->guid.bytes) });
	const uint64_t numbers[] = { m->uid_validity, v->claims_recent, v->told_uid,
		v->told_expunges, v->told_changes, v->exists, v->told_keywords };
	for (size_t i = 0; i < ARRAY_COUNT(numbers); i++)
		number_put_varint(out, numbers[i]);
	put_ranges(out, &v->recent);
	put_ranges(out, &v->loud);
	number_put_varint(out, v->silent_count);
	for (size_t i = 0; i < v->silent_count; i++)
		number_put_varint(out, v->silent[i]);
}

/* ---- back ---- */

struct frozen {
	struct catalog_guid mailbox;
	uint64_t uid_validity, claims_recent, told_uid, told_expunges, told_changes, exists;
	uint64_t told_keywords;
	struct range_set recent, loud; /* owned */
	uint64_t *silent;              /* owned */
	size_t silent_count;
};

static void frozen_done(struct frozen *f)
{
	range_set_done(&f->recent);
	range_set_done(&f->loud);
	mem_free(f->silent);
}

static bool cut_ranges(struct str *rest, struct range_set *out)
{
	uint64_t count, first, last, end = 0;
	if (!number_cut_varint(rest, &count) || count > RANGES_MAX)
		return false;
	for (uint64_t i = 0; i < count; i++) {
		if (!number_cut_varint(rest, &first) || !number_cut_varint(rest, &last) ||
			first <= end || first > last || last > UINT32_MAX)
			return false;
		range_set_add(out, (uint32_t)first, (uint32_t)last);
		end = last;
	}
	return true;
}

static bool cut_frozen(struct str rest, struct frozen *f)
{
	struct str version = str_take(&rest, 1), guid = str_take(&rest, sizeof(f->mailbox.bytes));
	uint64_t *numbers[] = { &f->uid_validity, &f->claims_recent, &f->told_uid,
		&f->told_expunges, &f->told_changes, &f->exists, &f->told_keywords };
	uint64_t silent;
	if (version.n == 0 || version.p[0] != FREEZE_VERSION || guid.n < sizeof(f->mailbox.bytes))
		return false;
	memcpy(f->mailbox.bytes, guid.p, guid.n);
	for (size_t i = 0; i < ARRAY_COUNT(numbers); i++)
		if (!number_cut_varint(&rest, numbers[i]))
			return false;
	if (f->claims_recent > 1 || f->told_uid > STORE_SEEN_UID_MAX ||
		!cut_ranges(&rest, &f->recent) || !cut_ranges(&rest, &f->loud) ||
		!number_cut_varint(&rest, &silent) || silent > rest.n)
		return false;
	f->silent = mem_new_array((size_t)MAX(silent, 1), sizeof(*f->silent));
	while (f->silent_count < silent)
		if (!number_cut_varint(&rest, &f->silent[f->silent_count++]))
			return false;
	return rest.n == 0;
}

/* Takes lists out of `f`. */
static enum err view_restore(struct op *op, struct mailbox *m, struct frozen *f, struct view **out)
{
	if (m->is_removed || m->uid_validity != f->uid_validity)
		return op_fail(op, ERR_NOT_FOUND, "the mailbox is not the one of before");
	enum err e =
		index_revive(m->index, f->told_expunges, f->told_changes, (uint32_t)f->told_uid);
	view_forget_positions(m); /* ghosts may have come */
	struct view *v = view_new(m, f->claims_recent == 1);
	v->told_uid = (uint32_t)f->told_uid;
	v->told_expunges = f->told_expunges;
	v->told_changes = f->told_changes;
	v->told_keywords = (size_t)f->told_keywords;
	if (e == ERR_NONE) {
		v->exists = view_count_existing(v);
		e = v->exists == f->exists ? ERR_NONE : ERR_CONFLICT;
	}
	if (e != ERR_NONE) {
		view_close(v);
		return op_fail(op, e, "what the session was told cannot be made again");
	}
	v->recent = f->recent;
	v->loud = f->loud;
	v->silent = f->silent;
	v->silent_count = f->silent_count;
	range_set_init(&f->recent);
	range_set_init(&f->loud);
	f->silent = NULL;
	*out = v;
	return ERR_NONE;
}

enum err view_thaw(struct op *op, struct user *u, struct str frozen, struct view **out)
{
	struct frozen f = { 0 };
	enum err e = ERR_NONE;
	range_set_init(&f.recent);
	range_set_init(&f.loud);
	const struct tree_node *node = NULL;
	if (!cut_frozen(frozen, &f))
		e = op_fail(op, ERR_CORRUPT, "the frozen view cannot be read");
	else if ((node = tree_find_guid(&u->tree, f.mailbox)) == NULL || node->is_removed ||
		 node->is_going)
		e = op_fail(op, ERR_NOT_FOUND, "the mailbox was deleted");
	struct mailbox *m;
	if (e == ERR_NONE)
		e = mailbox_open_node(op, u, node, &m);
	if (e == ERR_NONE) {
		e = view_restore(op, m, &f, out);
		mailbox_unref(m);
	}
	frozen_done(&f);
	return e;
}
