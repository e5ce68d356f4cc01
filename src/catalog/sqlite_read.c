/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/sqlite_read.c - the queries on one shard, on offload threads; each on a connection of its
 * own, which sees the last commit before it began and waits for no writer.
 *
 * Rows of a mailbox stand in the order (bucket, kind, name) but are told by name: each bucket and
 * kind is a stream, and the streams are merged. A read is done in pieces of bounded size; a piece
 * begins behind the row that the piece before ended with. */
#include "catalog/sqlite_private.h"

#define PIECE_ROWS_MAX  512
#define PIECE_BYTES_MAX ((size_t)512 * 1024)

static const enum catalog_kind kinds[] = { CATALOG_APPEND, CATALOG_OP };

/* ---- columns ---- */

static struct str column_bytes(struct op *op, sqlite3_stmt *st, int at)
{
	const char *p = sqlite3_column_blob(st, at);
	struct str borrowed = { p, (size_t)sqlite3_column_bytes(st, at) };
	return str_dup(op->arena, borrowed.n ? borrowed : STR(""));
}

/* Fixed fields of another length are damage. */
static enum err column_fixed(
	struct op *op, const struct shard *s, sqlite3_stmt *st, int at, void *out, size_t n)
{
	const void *p = sqlite3_column_blob(st, at);
	if (!p || (size_t)sqlite3_column_bytes(st, at) != n)
		return op_fail(op, ERR_CORRUPT, "catalog %s has a name or GUID of %d bytes",
			s->path, sqlite3_column_bytes(st, at));
	memcpy(out, p, n);
	return ERR_NONE;
}

/* NULL: it was written before there were checksums. */
static enum err column_check(struct op *op, const struct shard *s, sqlite3_stmt *st, int at,
	const struct catalog_place *place, struct str value)
{
	if (sqlite3_column_type(st, at) == SQLITE_NULL ||
		sqlite3_column_int64(st, at) == catalog_checksum(place, value))
		return ERR_NONE;
	return op_fail(op, ERR_CORRUPT,
		"catalog %s: a row of user %.*s is damaged (bucket %" PRIu32 ", key \"%.*s\")",
		s->path, STRF(place->user), place->bucket, STRF(place->key));
}

/* Steps; *has_row tells whether there is one. */
static enum err step(
	struct op *op, struct shard *s, struct connection *c, sqlite3_stmt *st, bool *has_row)
{
	int code = sqlite3_step(st);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return shard_fail(op, s, c, "reading");
	*has_row = code == SQLITE_ROW;
	return ERR_NONE;
}

/* Doubles an array in op's arena when it is full. */
static void *need_room(struct op *op, void *array, size_t count, size_t *cap, size_t item_bytes)
{
	if (count < *cap)
		return array;
	size_t new_cap = *cap ? 2 * *cap : 16;
	void *grown = arena_grow(op->arena, array, *cap * item_bytes, new_cap * item_bytes);
	*cap = new_cap;
	return grown;
}

/* ---- heads ---- */

static enum err heads_read(struct op *op, struct shard *s, struct connection *c, sqlite3_stmt *st,
	struct str user, struct catalog_head **out, size_t *out_count)
{
	struct catalog_head *heads = NULL;
	size_t count = 0, cap = 0;
	bool has_row = false;
	for (;;) {
		TRY(step(op, s, c, st, &has_row));
		if (!has_row)
			break;
		heads = need_room(op, heads, count, &cap, sizeof(*heads));
		struct catalog_head *head = &heads[count++];
		TRY(column_fixed(op, s, st, 0, head->mailbox.bytes, sizeof(head->mailbox.bytes)));
		head->key = column_bytes(op, st, 1);
		head->value = column_bytes(op, st, 2);
		const struct catalog_place place = {
			.table = 'h', .user = user, .mailbox = head->mailbox, .key = head->key
		};
		TRY(column_check(op, s, st, 3, &place, head->value));
	}
	*out = heads;
	*out_count = count;
	return ERR_NONE;
}

enum err shard_read_heads(struct op *op, struct shard *s, struct str user,
	struct catalog_head **out, size_t *out_count)
{
	struct connection *c;
	TRY(shard_take_reader(op, s, &c));
	sqlite3_stmt *st = connection_statement(op, s, c, STATEMENT_READ_HEADS);
	enum err e = op->failure.class;
	if (st) {
		bind_text(st, 1, user);
		e = heads_read(op, s, c, st, user, out, out_count);
		(void)sqlite3_reset(st); /* ends the read; the result is known */
	}
	shard_give_reader(s, c);
	return e;
}

/* ---- rows ---- */

struct stream {
	sqlite3_stmt *st;
	bool has_row;
	struct catalog_row row; /* value not read yet */
};

static int row_compare(const struct catalog_row *x, const struct catalog_row *y)
{
	int order = memcmp(x->name.bytes, y->name.bytes, sizeof(x->name.bytes));
	if (order)
		return order;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return (x->bucket > y->bucket) - (x->bucket < y->bucket);
}

/* To the next row behind `last`. */
static enum err stream_step(struct op *op, struct shard *s, struct connection *c,
	struct stream *stream, const struct catalog_row *last)
{
	do {
		TRY(step(op, s, c, stream->st, &stream->has_row));
		if (!stream->has_row)
			return ERR_NONE;
		TRY(column_fixed(op, s, stream->st, 0, stream->row.name.bytes,
			sizeof(stream->row.name.bytes)));
	} while (row_compare(&stream->row, last) <= 0);
	return ERR_NONE;
}

/* The n-th stream's statement, which stays prepared. */
static enum err stream_statement(
	struct op *op, struct shard *s, struct connection *c, size_t n, sqlite3_stmt **out)
{
	static const char sql[] =
		"SELECT name, value, checksum FROM user_mailbox_rows WHERE user = ?1"
		" AND mailbox = ?2 AND bucket = ?3 AND kind = ?4"
		" AND name >= ?5 ORDER BY name";
	if (n == c->stream_count) {
		sqlite3_stmt *st;
		if (sqlite3_prepare_v3(c->db, sql, sizeof(sql), SQLITE_PREPARE_PERSISTENT, &st,
			    NULL) != SQLITE_OK)
			return shard_fail(op, s, c, "preparing for");
		c->streams = mem_resize(c->streams, (n + 1) * sizeof(*c->streams));
		c->streams[n] = st;
		c->stream_count = n + 1;
	}
	(void)sqlite3_reset(c->streams[n]); /* tells again how the last step ended */
	*out = c->streams[n];
	return ERR_NONE;
}

struct merge {
	struct str user;
	const struct catalog_guid *mailbox;
	struct stream *streams; /* in op's arena */
	size_t count;
	size_t cap;
};

static enum err merge_add_bucket(struct op *op, struct shard *s, struct connection *c,
	struct merge *m, uint32_t bucket, const struct catalog_row *last)
{
	for (size_t k = 0; k < ARRAY_COUNT(kinds); k++) {
		m->streams = need_room(op, m->streams, m->count, &m->cap, sizeof(*m->streams));
		struct stream *stream = &m->streams[m->count];
		*stream = (struct stream){ .row = { .kind = kinds[k], .bucket = bucket } };
		TRY(stream_statement(op, s, c, m->count, &stream->st));
		m->count++;
		bind_text(stream->st, 1, m->user);
		bind_guid(stream->st, 2, m->mailbox);
		(void)sqlite3_bind_int64(stream->st, 3, bucket); /* numbers always fit */
		(void)sqlite3_bind_int64(stream->st, 4, kinds[k]);
		bind_name(stream->st, 5, &last->name);
		TRY(stream_step(op, s, c, stream, last));
	}
	return ERR_NONE;
}

/* Buckets are found by seeks: each asks for the next one that has rows. */
static enum err merge_open(struct op *op, struct shard *s, struct connection *c, struct merge *m,
	const struct rows_piece *piece, const struct catalog_row *last)
{
	int64_t from = piece->bucket;
	for (;;) {
		bool has_row = false;
		sqlite3_stmt *st = connection_statement(op, s, c, STATEMENT_NEXT_BUCKET);
		if (!st)
			return op->failure.class;
		bind_text(st, 1, m->user);
		bind_guid(st, 2, m->mailbox);
		(void)sqlite3_bind_int64(st, 3, from); /* numbers always fit */
		TRY(step(op, s, c, st, &has_row));
		if (!has_row || sqlite3_column_type(st, 0) == SQLITE_NULL)
			return ERR_NONE;
		from = sqlite3_column_int64(st, 0);
		if (from > piece->last_bucket)
			return ERR_NONE;
		TRY(merge_add_bucket(op, s, c, m, (uint32_t)from, last));
		from++;
	}
}

static enum err merge_piece(struct op *op, struct shard *s, struct connection *c, struct merge *m,
	struct rows_piece *piece)
{
	size_t bytes = 0;
	piece->rows = ARENA_NEW_ARRAY(op->arena, struct catalog_row, PIECE_ROWS_MAX);
	piece->count = 0;
	piece->is_last = false;
	while (piece->count < PIECE_ROWS_MAX && bytes < PIECE_BYTES_MAX) {
		struct stream *least = NULL;
		for (size_t i = 0; i < m->count; i++)
			if (m->streams[i].has_row &&
				(!least || row_compare(&m->streams[i].row, &least->row) < 0))
				least = &m->streams[i];
		piece->is_last = !least;
		if (!least)
			return ERR_NONE;
		struct catalog_row *row = &piece->rows[piece->count++];
		piece->last = *row = least->row;
		row->value = column_bytes(op, least->st, 1);
		const struct catalog_place place = { .table = 'r',
			.user = m->user,
			.mailbox = *m->mailbox,
			.bucket = row->bucket,
			.kind = (uint32_t)row->kind,
			.name = row->name };
		TRY(column_check(op, s, least->st, 2, &place, row->value));
		bytes += row->value.n;
		TRY(stream_step(op, s, c, least, &piece->last));
	}
	return ERR_NONE;
}

enum err shard_read_rows(struct op *op, struct shard *s, struct str user,
	const struct catalog_guid *mailbox, struct rows_piece *piece)
{
	struct connection *c;
	TRY(shard_take_reader(op, s, &c));
	struct merge m = { .user = user, .mailbox = mailbox };
	/* One transaction, so that all streams see the same commit. */
	enum err e = statement_run(op, s, c, connection_statement(op, s, c, STATEMENT_READ_BEGIN));
	if (e == ERR_NONE) {
		const struct catalog_row last = piece->last;
		e = merge_open(op, s, c, &m, piece, &last);
		if (e == ERR_NONE)
			e = merge_piece(op, s, c, &m, piece);
		for (size_t i = 0; i < m.count; i++)
			(void)sqlite3_reset(m.streams[i].st); /* the result is known */
		sqlite3_stmt *st = c->statements[STATEMENT_NEXT_BUCKET];
		(void)sqlite3_reset(st); /* likewise */
		enum err ended =
			statement_run(op, s, c, connection_statement(op, s, c, STATEMENT_COMMIT));
		e = e == ERR_NONE ? ended : e;
	}
	shard_give_reader(s, c);
	return e;
}

/* ---- single answers ---- */

enum err shard_count_reverse(
	struct op *op, struct shard *s, struct str user, struct str object, uint32_t *out_count)
{
	struct connection *c;
	TRY(shard_take_reader(op, s, &c));
	sqlite3_stmt *st = connection_statement(op, s, c, STATEMENT_COUNT_REVERSE);
	enum err e = op->failure.class;
	if (st) {
		bool has_row = false;
		bind_text(st, 1, user);
		bind_text(st, 2, object);
		e = step(op, s, c, st, &has_row);
		if (e == ERR_NONE)
			*out_count = (uint32_t)sqlite3_column_int64(st, 0);
		(void)sqlite3_reset(st); /* ends the read; the result is known */
	}
	shard_give_reader(s, c);
	return e;
}

enum err shard_has_row(struct op *op, struct shard *s, struct str user,
	const struct catalog_guid *mailbox, uint32_t bucket, const struct catalog_name *name,
	bool *out)
{
	struct connection *c;
	TRY(shard_take_reader(op, s, &c));
	sqlite3_stmt *st = connection_statement(op, s, c, STATEMENT_HAS_ROW);
	enum err e = op->failure.class;
	if (st) {
		bind_text(st, 1, user);
		bind_guid(st, 2, mailbox);
		(void)sqlite3_bind_int64(st, 3, bucket); /* numbers always fit */
		(void)sqlite3_bind_int64(st, 4, CATALOG_APPEND);
		bind_name(st, 5, name);
		e = step(op, s, c, st, out);
		(void)sqlite3_reset(st); /* ends the read; the result is known */
	}
	shard_give_reader(s, c);
	return e;
}

/* ---- of a whole shard ---- */

static enum err garbage_columns(
	struct op *op, struct shard *s, sqlite3_stmt *st, struct catalog_garbage *g)
{
	*g = (struct catalog_garbage){ .user = STR("") };
	TRY(column_fixed(op, s, st, 0, g->name.bytes, sizeof(g->name.bytes)));
	g->user = column_bytes(op, st, 1);
	g->object = column_bytes(op, st, 2);
	TRY(column_fixed(op, s, st, 3, g->mailbox.bytes, sizeof(g->mailbox.bytes)));
	g->bucket = (uint32_t)sqlite3_column_int64(st, 4);
	TRY(column_fixed(op, s, st, 5, g->row.bytes, sizeof(g->row.bytes)));
	const struct catalog_place place = {
		.table = 'g', .user = g->user, .name = g->name, .key = g->object
	};
	char bytes[CATALOG_GARBAGE_BYTES];
	catalog_garbage_encode(bytes, g);
	return column_check(op, s, st, 6, &place, (struct str){ bytes, sizeof(bytes) });
}

static enum err garbage_read(struct op *op, struct shard *s, struct connection *c, sqlite3_stmt *st,
	struct catalog_garbage **out, size_t *out_count)
{
	struct catalog_garbage *garbage = NULL;
	size_t count = 0, cap = 0;
	bool has_row = false;
	for (;;) {
		TRY(step(op, s, c, st, &has_row));
		if (!has_row)
			break;
		garbage = need_room(op, garbage, count, &cap, sizeof(*garbage));
		struct catalog_garbage *g = &garbage[count++];
		enum err e = garbage_columns(op, s, st, g);
		if (e == ERR_CORRUPT) {
			g->is_damaged = true;
			op_forgive(op);
		} else {
			TRY(e);
		}
	}
	*out = garbage;
	*out_count = count;
	return ERR_NONE;
}

enum err shard_read_garbage(struct op *op, struct shard *s, const struct catalog_garbage *from,
	size_t max, struct catalog_garbage **out, size_t *out_count)
{
	struct connection *c;
	TRY(shard_take_reader(op, s, &c));
	sqlite3_stmt *st = connection_statement(op, s, c, STATEMENT_READ_GARBAGE);
	enum err e = op->failure.class;
	if (st) {
		(void)sqlite3_bind_int64(st, 1, (int64_t)MIN(max, (size_t)INT64_MAX));
		bind_name(st, 2, &from->name);
		bind_text(st, 3, from->user);
		bind_text(st, 4, from->object);
		e = garbage_read(op, s, c, st, out, out_count);
		(void)sqlite3_reset(st); /* ends the read; the result is known */
	}
	shard_give_reader(s, c);
	return e;
}

/* Each step seeks to the next user, so its cost does not depend on the number of heads. */
enum err shard_list_users(struct op *op, struct shard *s, struct str after, size_t max,
	struct str **out, size_t *out_count)
{
	struct connection *c;
	TRY(shard_take_reader(op, s, &c));
	struct str *users = ARENA_NEW_ARRAY(op->arena, struct str, max);
	size_t count = 0;
	enum err e = ERR_NONE;
	while (count < max) {
		bool has_row = false;
		sqlite3_stmt *st = connection_statement(op, s, c, STATEMENT_NEXT_USER);
		e = op->failure.class;
		if (!st)
			break;
		bind_text(st, 1, after.n ? after : STR(""));
		e = step(op, s, c, st, &has_row);
		bool has_user =
			e == ERR_NONE && has_row && sqlite3_column_type(st, 0) != SQLITE_NULL;
		if (has_user)
			users[count++] = after = column_bytes(op, st, 0);
		(void)sqlite3_reset(st); /* ends the read; the result is known */
		if (!has_user)
			break;
	}
	shard_give_reader(s, c);
	if (e == ERR_NONE) {
		*out = users;
		*out_count = count;
	}
	return e;
}
