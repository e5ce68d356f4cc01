/* SPDX-License-Identifier: Apache-2.0 */
/* Building batches: changes in any order; before they are written they are put into the one order of
 * which every prefix is safe (enum batch_rank), and get their stamps. A catalog that writes a batch as a
 * whole gets the same. */
#include "store/store_private.h"

#include "base/codec.h"

struct batch *batch_new(struct user *u)
{
	struct batch *b = MEM_NEW(struct batch);
	arena_init(&b->arena, 0);
	b->user = u;
	return b;
}

void batch_free(struct batch *b)
{
	if (!b)
		return;
	list_remove(&b->link);
	arena_done(&b->arena);
	mem_free(b);
}

struct catalog_change *batch_add(
	struct batch *b, enum catalog_change_kind kind, struct catalog_guid mailbox)
{
	if (b->count == b->cap) {
		size_t cap = MAX(b->cap * 2, 8);
		b->changes = arena_grow(&b->arena, b->changes, b->cap * sizeof(*b->changes),
			cap * sizeof(*b->changes));
		b->items = arena_grow(
			&b->arena, b->items, b->cap * sizeof(*b->items), cap * sizeof(*b->items));
		b->cap = cap;
	}
	b->items[b->count] = (struct batch_item){ 0 };
	struct catalog_change *change = &b->changes[b->count++];
	*change = (struct catalog_change){ .kind = kind, .mailbox = mailbox };
	change->row.kind = CATALOG_OP;
	return change;
}

struct batch_item *batch_last(struct batch *b)
{
	return &b->items[b->count - 1];
}

void batch_put_row(struct batch *b, struct catalog_guid mailbox, enum catalog_kind kind,
	uint32_t bucket, struct catalog_name name, const struct buf *value)
{
	struct catalog_change *change = batch_add(b, CATALOG_PUT_ROW, mailbox);
	change->row = (struct catalog_row){ kind, bucket, name, buf_dup(&b->arena, value) };
}

void batch_put_op(
	struct batch *b, struct catalog_guid mailbox, uint32_t bucket, const struct buf *value)
{
	batch_put_row(b, mailbox, CATALOG_OP, bucket, user_mint(b->user), value);
}

void batch_delete_row(struct batch *b, struct catalog_guid mailbox, enum catalog_kind kind,
	uint32_t bucket, struct catalog_name name)
{
	struct catalog_change *change = batch_add(b, CATALOG_DELETE_ROW, mailbox);
	change->row = (struct catalog_row){ kind, bucket, name, STR_NONE };
}

void batch_put_head(
	struct batch *b, struct catalog_guid mailbox, struct str key, const struct buf *value)
{
	struct catalog_change *change = batch_add(b, CATALOG_PUT_HEAD, mailbox);
	change->key = str_dup(&b->arena, key);
	change->value = buf_dup(&b->arena, value);
}

void batch_delete_head(struct batch *b, struct catalog_guid mailbox, struct str key)
{
	struct catalog_change *change = batch_add(b, CATALOG_DELETE_HEAD, mailbox);
	change->key = str_dup(&b->arena, key);
}

struct str batch_oid_text(struct batch *b, struct row_id oid)
{
	AUTO_BUF(text, 0);
	hex_encode(&text, (struct str){ (const char *)oid.bytes, sizeof(oid.bytes) });
	return buf_dup(&b->arena, &text);
}

void batch_reference(struct batch *b, bool is_added, struct row_id oid, struct catalog_guid mailbox,
	uint32_t bucket, struct catalog_name name)
{
	struct catalog_change *change =
		batch_add(b, is_added ? CATALOG_PUT_REVERSE : CATALOG_DELETE_REVERSE, mailbox);
	change->row.bucket = bucket;
	change->row.name = name;
	change->object = batch_oid_text(b, oid);
}

void batch_garbage(struct batch *b, struct str object, struct catalog_guid mailbox, uint32_t bucket,
	struct catalog_name row, struct catalog_name queued)
{
	struct catalog_change *change = batch_add(b, CATALOG_PUT_GARBAGE, mailbox);
	change->object = str_dup(&b->arena, object);
	change->row.bucket = bucket;
	change->row.name = row;
	change->queued = queued;
}

void batch_remove_mail(struct batch *b, struct catalog_guid mailbox, const struct row_mark *mark,
	const struct catalog_name *queued)
{
	if (queued)
		batch_garbage(b, batch_oid_text(b, mark->oid), mailbox, mark->bucket, mark->name,
			*queued);
	batch_delete_row(b, mailbox, CATALOG_APPEND, mark->bucket, mark->name);
	batch_reference(b, false, mark->oid, mailbox, mark->bucket, mark->name);
}

/* ---- order ---- */

static enum batch_rank usual_rank(const struct catalog_change *change)
{
	switch (change->kind) {
	case CATALOG_PUT_HEAD:
	case CATALOG_DELETE_HEAD:
		return RANK_HEADS;
	case CATALOG_PUT_REVERSE:
		return RANK_REVERSE;
	case CATALOG_PUT_ROW:
		return change->row.kind == CATALOG_APPEND ? RANK_APPEND : RANK_OP;
	case CATALOG_PUT_GARBAGE:
		return RANK_GARBAGE;
	case CATALOG_DELETE_ROW:
	case CATALOG_DELETE_OPS:
	case CATALOG_DELETE_MAILBOX:
		return RANK_GONE_ROW;
	case CATALOG_DELETE_REVERSE:
	case CATALOG_DELETE_GARBAGE:
		break;
	}
	return RANK_GONE_REVERSE;
}

/* Reverse rows of a rank stand together by their parts: one group takes many. */
static size_t sort_place(const struct batch *b, size_t i)
{
	enum catalog_change_kind kind = b->changes[i].kind;
	bool is_reverse = kind == CATALOG_PUT_REVERSE || kind == CATALOG_DELETE_REVERSE;
	return b->items[i].rank * CATALOG_PARTS +
	       (is_reverse ? catalog_object_part(b->changes[i].object) : 0);
}

/* Stable: within a rank the order of adding is kept, in which names rise. */
static void batch_sort(struct batch *b)
{
	struct catalog_change *changes =
		ARENA_NEW_ARRAY(&b->arena, struct catalog_change, MAX(b->count, 1));
	struct batch_item *items = ARENA_NEW_ARRAY(&b->arena, struct batch_item, MAX(b->count, 1));
	size_t count[RANK_COUNT * CATALOG_PARTS + 1] = { 0 };
	for (size_t i = 0; i < b->count; i++) {
		if (b->items[i].rank == RANK_USUAL)
			b->items[i].rank = usual_rank(&b->changes[i]);
		count[sort_place(b, i) + 1]++;
	}
	for (size_t place = 1; place < ARRAY_COUNT(count); place++)
		count[place] += count[place - 1];
	for (size_t i = 0; i < b->count; i++) {
		size_t at = count[sort_place(b, i)]++;
		changes[at] = b->changes[i];
		items[at] = b->items[i];
	}
	b->changes = changes;
	b->items = items;
	b->cap = b->count;
}

/* What rests on the commit row is sent when that is certain. A move within a mailbox has both in one place:
 * should they arrive together after a takeover has voided the batch, the copy would not count, and the
 * expunge would. The void of another's batch waits for the floor row that tells who asked for it (moves.c). */
static void batch_part(struct batch *b)
{
	for (size_t i = 1; i < b->count; i++)
		b->changes[i].begins_group =
			b->items[i].is_apart ||
			(b->items[i - 1].rank <= RANK_COMMIT && b->items[i].rank > RANK_COMMIT);
}

/* ---- stamps ---- */

static int64_t change_stamp(const struct catalog_change *change, int64_t stamp_us)
{
	int64_t name_us = (int64_t)name_ms(change->row.name) * US_PER_MS;
	switch (change->kind) {
	case CATALOG_DELETE_ROW:
	case CATALOG_DELETE_REVERSE:
		return MAX(stamp_us, name_us + NAME_STALE_US) + STORE_DELETION_AHEAD_US;
	case CATALOG_DELETE_HEAD:
	case CATALOG_DELETE_GARBAGE:
	case CATALOG_DELETE_OPS:
	case CATALOG_DELETE_MAILBOX:
		return stamp_us + STORE_DELETION_AHEAD_US;
	case CATALOG_PUT_ROW:
	case CATALOG_PUT_HEAD:
	case CATALOG_PUT_REVERSE:
	case CATALOG_PUT_GARBAGE:
		break;
	}
	return stamp_us;
}

void store_stamp_changes(struct store *s, struct catalog_change *changes, size_t count)
{
	int64_t clock_us = (int64_t)s->clock.ms * US_PER_MS;
	s->stamp_us = MAX(MAX(store_name_wall_us(s), clock_us), s->stamp_us + 1);
	for (size_t i = 0; i < count; i++)
		if (changes[i].stamp_us == 0)
			changes[i].stamp_us = change_stamp(&changes[i], s->stamp_us);
}

void batch_stamp(struct batch *b)
{
	for (size_t i = 0; i < b->durable; i++)
		if (b->changes[i].stamp_us == 0)
			b->durable = i;
	store_stamp_changes(b->user->store, b->changes, b->count);
}

void batch_finish(struct batch *b)
{
	batch_sort(b);
	batch_part(b);
	batch_stamp(b);
}

void batch_renew_claims(struct batch *b)
{
	uint32_t number;
	for (size_t i = 0; i < b->count; i++) {
		struct catalog_change *change = &b->changes[i];
		if (change->kind == CATALOG_PUT_HEAD && head_is_writer_key(change->key, &number) &&
			number == b->user->writer)
			change->stamp_us = 0;
	}
	batch_stamp(b);
}

/* Of flags that waited too long all of the batch are made anew: one may take another back. */
static void refresh_flags(struct batch *b)
{
	struct row_op_value v;
	bool are_old = false;
	for (size_t i = 0; i < b->count; i++) {
		struct catalog_change *change = &b->changes[i];
		if (change->kind != CATALOG_PUT_ROW || change->row.kind != CATALOG_OP ||
			row_op_decode(change->row.value, &v) != ERR_NONE || v.op != ROW_FLAGS)
			continue;
		are_old =
			are_old || flags_are_old(b->user, v.groups, v.keyword_count, b->made_anew);
		if (!are_old)
			continue;
		AUTO_BUF(value, 0);
		row_flags_encode_head(&value, v.keywords, v.keyword_count);
		b->made_anew = flags_make_anew(&value, b->user, v.groups, v.keyword_count);
		change->row.value = buf_dup(&b->arena, &value);
		change->row.name = user_mint(b->user); /* what a name says never changes */
		change->stamp_us = 0;
	}
}

void batch_refresh(struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->changes[i].kind == CATALOG_PUT_ROW &&
			b->changes[i].row.kind == CATALOG_APPEND)
			return;
	if (!b->says_again)
		refresh_flags(b);
	for (size_t i = 0; i < b->count; i++) {
		struct catalog_change *change = &b->changes[i];
		if (change->kind != CATALOG_PUT_ROW ||
			!name_is_stale(change->row.name, now_wall_us()))
			continue;
		change->row.name = user_mint(b->user);
		change->stamp_us = 0;
	}
	batch_stamp(b);
}

bool batch_is_one_group(const struct user *u, size_t rows, size_t bytes)
{
	return catalog_is_atomic(u->store->catalog) ||
	       (rows <= CATALOG_GROUP_COUNT - 1 && bytes <= CATALOG_GROUP_MAX - 1024);
}

/* ---- void ---- */

/* Until the void is there others may fold and tell of its mails: their modseqs are not given again. Its UIDs the
 * void burns. */
static void spend_modseqs(const struct batch *v, struct catalog_guid mailbox, uint64_t modseq)
{
	struct mailbox *m = user_find_mailbox(v->user, mailbox);
	if (m && m->is_loaded)
		m->voided_modseq = MAX(m->voided_modseq, modseq);
}

static void void_marks(struct batch *v, struct catalog_guid mailbox, uint32_t bucket,
	const struct row_mark *marks, size_t count, uint64_t modseq)
{
	spend_modseqs(v, mailbox, modseq);
	for (size_t from = 0; from < count; from += ROW_EXPUNGE_MAX) {
		AUTO_BUF(value, 0);
		row_void_encode(
			&value, modseq, marks + from, MIN(count - from, (size_t)ROW_EXPUNGE_MAX));
		batch_put_op(v, mailbox, bucket, &value);
	}
}

static struct row_mark mark_of_append(const struct catalog_change *put)
{
	struct row_append a;
	enum err e = row_append_decode(put->row.value, &a);
	ASSERT(e == ERR_NONE); /* we encoded it */
	return (struct row_mark){ .name = put->row.name,
		.uid = a.uid,
		.modseq = a.modseq,
		.bucket = put->row.bucket,
		.oid = a.oid };
}

static struct row_mark mark_of_commit(const struct catalog_change *put)
{
	struct row_op_value v;
	enum err e = row_op_decode(put->row.value, &v);
	ASSERT(e == ERR_NONE && v.op == ROW_COMMIT);
	return (struct row_mark){ .name = put->row.name,
		.uid = v.uid + (uint32_t)v.count - 1,
		.modseq = v.modseq,
		.bucket = put->row.bucket };
}

/* Heads and reverse rows as they were, also their stamps. */
static void void_copy(struct batch *v, const struct catalog_change *c)
{
	struct catalog_change *copy = batch_add(v, c->kind, c->mailbox);
	*copy = *c;
	copy->row.value = STR_NONE;
	copy->key = str_dup(&v->arena, c->key);
	copy->value = str_dup(&v->arena, c->value);
	copy->object = str_dup(&v->arena, c->object);
}

struct batch *batch_void(const struct batch *b)
{
	struct batch *v = batch_new(b->user);
	struct row_mark *marks = ARENA_NEW_ARRAY(&v->arena, struct row_mark, MAX(b->count, 1));
	struct row_mark commit = { 0 };
	struct catalog_guid mailbox = { { 0 } };
	struct catalog_name queued = user_mint(b->user);
	uint64_t modseq = 0;
	size_t count = 0;
	for (size_t i = 0; i < b->count; i++) {
		const struct catalog_change *c = &b->changes[i];
		if (c->kind == CATALOG_PUT_ROW && c->row.kind == CATALOG_APPEND) {
			marks[count] = mark_of_append(c);
			modseq = MAX(modseq, marks[count].modseq);
			count++;
			mailbox = c->mailbox;
		} else if (b->items[i].rank == RANK_COMMIT) {
			commit = mark_of_commit(c);
		} else if (c->kind != CATALOG_PUT_ROW) {
			void_copy(v, c);
		}
	}
	if (count == 0)
		return v;
	if (name_is_none(commit.name)) {
		void_marks(v, mailbox, marks[0].bucket, marks, count, modseq);
	} else {
		void_marks(v, mailbox, commit.bucket, &commit, 1, commit.modseq);
		batch_delete_row(v, mailbox, CATALOG_OP, commit.bucket, commit.name);
	}
	for (size_t i = 0; i < count; i++)
		batch_remove_mail(v, mailbox, &marks[i], &queued);
	return v;
}
