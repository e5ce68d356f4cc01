/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/cql_read.c - heads, the journal's tail, references.
 *
 * A tail is read from streams, one for each bucket and kind, and told by name: rows of a stream come in
 * that order. The first piece is asked for both kinds of a bucket at once; where it is all there is, as in
 * most tails, a bucket costs one query. Later pieces are queries of one kind that begin behind the last
 * name: no state is kept in the cluster, every piece may be asked of another node, and tombstones before
 * the tail are not walked. Of mails that the reader knows later pieces leave out what may fade. First pieces are read side by side; where there are many buckets they are one
 * row, so that a mailbox of a hundred buckets holds two or three pieces at a time and not two hundred.
 *
 * What comes from the cluster is not trusted: lengths, order and checksums are looked at, and ERR_CORRUPT
 * names the partition. */
#include "base/codec.h"
#include "catalog/cql_private.h"

#define PIECE_FIRST       256
#define PIECE_MIN         32
#define PIECE_MAX         2000
#define PIECE_BYTES       (1024 * 1024) /* that later pieces aim at */
#define BUCKETS_WHOLE     4             /* above: the first pieces are one row */
#define BUCKETS_MAX       4096
#define REVERSE_COUNT_MAX 3

/* ---- heads ---- */

struct heads {
	struct str user;            /* as in keys */
	struct catalog_head *items; /* in the op's arena */
	size_t count;
	size_t cap;
	struct arena *arena;
};

static enum err see_head(struct op *op, const struct cql_row *row, void *arg)
{
	struct heads *heads = arg;
	struct str mailbox = cql_column(row, 0), key = cql_column(row, 1), value;
	struct catalog_place place = { .table = 'h', .user = heads->user, .key = key };
	int64_t stamp_us = 0;
	bool is_sound = mailbox.n == CATALOG_GUID_BYTES && key.n > 0 && key.n <= CATALOG_KEY_MAX &&
			!str_has_nul(key);
	if (is_sound) {
		memcpy(place.mailbox.bytes, mailbox.p, mailbox.n);
		is_sound = catalog_cql_unseal(&place, cql_column(row, 2), &value) &&
			   cql_column_bigint(row, 3, &stamp_us);
	}
	if (!is_sound)
		return op_fail(op, ERR_CORRUPT, "user_heads of user %.*s: head \"%.*s\" is damaged",
			STRF(heads->user), STRF(key));
	if (heads->count == heads->cap) {
		size_t cap = MAX(2 * heads->cap, 16);
		heads->items = arena_grow(heads->arena, heads->items,
			heads->cap * sizeof(*heads->items), cap * sizeof(*heads->items));
		heads->cap = cap;
	}
	heads->items[heads->count++] = (struct catalog_head){ .mailbox = place.mailbox,
		.key = str_dup(heads->arena, key),
		.value = str_dup(heads->arena, value.n ? value : STR("")),
		.stamp_us = stamp_us };
	return ERR_NONE;
}

enum err catalog_cql_read_heads(struct op *op, struct catalog *catalog, struct str user,
	struct catalog_head **out, size_t *out_count)
{
	struct catalog_cql *c = catalog_cql(catalog);
	struct heads heads = { .arena = op->arena };
	TRY(catalog_cql_ready(op, c));
	TRY(catalog_cql_user_key(op, c, op->arena, user, &heads.user));
	const struct cql_value values[] = { cql_text(heads.user) };
	const struct cql_bound b = catalog_cql_bind(c, CATALOG_CQL_READ_HEADS, values, 1);
	TRY(catalog_cql_failed(op, cql_query(op, c->client, &b, see_head, &heads)));
	*out = heads.items;
	*out_count = heads.count;
	return ERR_NONE;
}

/* ---- rows: one stream ---- */

static int name_order(const struct catalog_name *a, const struct catalog_name *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

struct tail;
struct stream {
	struct tail *tail;
	uint32_t bucket;
	enum catalog_kind kind;
	struct catalog_name last; /* the last that was read */
	struct arena arena;       /* of the piece */
	struct catalog_row *rows;
	size_t count;
	size_t cap;
	size_t at;     /* the next to tell */
	size_t bytes;  /* of values */
	bool is_last;  /* nothing is behind this piece */
	bool is_known; /* this piece is of mails that the reader has */
};

struct tail {
	struct catalog_cql *c;
	struct str user; /* as in keys */
	struct catalog_guid mailbox;
	struct stream *streams; /* two for each bucket: appends, operations */
	size_t count;
	int32_t first_limit;
	struct catalog_name known;
};

static enum err row_corrupt(struct op *op, const struct stream *s, const char *what)
{
	AUTO_BUF(guid, 0);
	hex_encode(&guid, (struct str){ (const char *)s->tail->mailbox.bytes, CATALOG_GUID_BYTES });
	return op_fail(op, ERR_CORRUPT,
		"user_mailbox_rows of user %.*s, mailbox %.*s, bucket %" PRIu32 ", kind %d: %s",
		STRF(s->tail->user), STRF(buf_str(&guid)), s->bucket, (int)s->kind, what);
}

/* The value, with the part that may be gone where it is there; in the piece's arena. */
static bool row_value(struct stream *s, const struct cql_row *row, const struct catalog_name *name,
	struct str *out)
{
	struct str value, fading = STR_NONE;
	struct catalog_place place = { .table = 'r',
		.user = s->tail->user,
		.mailbox = s->tail->mailbox,
		.bucket = s->bucket,
		.kind = (uint32_t)s->kind,
		.name = *name };
	if (!catalog_cql_unseal(&place, cql_column(row, 1), &value))
		return false;
	place.table = 'f';
	if (!s->is_known && !cql_column_is_null(row, 2) &&
		!catalog_cql_unseal(&place, cql_column(row, 2), &fading))
		return false;
	char *p = arena_alloc(&s->arena, value.n + fading.n + 1);
	memcpy(p, value.p, value.n);
	if (fading.n)
		memcpy(p + value.n, fading.p, fading.n);
	*out = (struct str){ p, value.n + fading.n };
	return true;
}

static enum err row_add(struct op *op, struct stream *s, const struct cql_row *row)
{
	struct str name = cql_column(row, 0);
	struct catalog_row r = { .kind = s->kind, .bucket = s->bucket };
	if (name.n != CATALOG_NAME_BYTES)
		return row_corrupt(op, s, "a name is not 16 bytes long");
	memcpy(r.name.bytes, name.p, name.n);
	if (name_order(&r.name, &s->last) <= 0)
		return row_corrupt(op, s, "names are not in order");
	if (!row_value(s, row, &r.name, &r.value))
		return row_corrupt(op, s, "a value is damaged");
	if (s->count == s->cap) {
		size_t cap = MAX(2 * s->cap, 32);
		s->rows = arena_grow(
			&s->arena, s->rows, s->cap * sizeof(*s->rows), cap * sizeof(*s->rows));
		s->cap = cap;
	}
	s->rows[s->count++] = r;
	s->bytes += r.value.n;
	s->last = r.name;
	return ERR_NONE;
}

static enum err see_row(struct op *op, const struct cql_row *row, void *arg)
{
	return row_add(op, arg, row);
}

/* `arg` is the stream of appends; that of operations is behind it. */
static enum err see_row_of_both(struct op *op, const struct cql_row *row, void *arg)
{
	struct stream *both = arg;
	int32_t kind;
	if (!cql_column_int(row, 3, &kind) || (kind != CATALOG_APPEND && kind != CATALOG_OP))
		return row_corrupt(op, both, "a row of another kind was told");
	return row_add(op, &both[kind == CATALOG_OP], row);
}

/* How many rows the next piece is to have. */
static int32_t next_limit(const struct stream *s)
{
	size_t fitting =
		s->count < PIECE_MIN ? PIECE_FIRST : PIECE_BYTES * s->count / (s->bytes + 1);
	return (int32_t)MIN(MAX(fitting, PIECE_MIN), PIECE_MAX);
}

/* One piece, of at most `limit` rows. */
static enum err stream_read(struct op *op, struct stream *s, int32_t limit)
{
	struct tail *t = s->tail;
	arena_reset(&s->arena);
	s->rows = NULL;
	s->count = s->cap = s->at = s->bytes = 0;
	const struct catalog_name after = s->last; /* moves while rows come in */
	s->is_known = s->kind == CATALOG_APPEND && name_order(&after, &t->known) < 0;
	struct cql_value values[] = { cql_text(t->user), catalog_cql_guid(&t->mailbox),
		cql_int(&s->arena, (int32_t)s->bucket), cql_int(&s->arena, (int32_t)s->kind),
		catalog_cql_name(&after), catalog_cql_name(&t->known), cql_int(&s->arena, limit) };
	size_t count = ARRAY_COUNT(values);
	if (!s->is_known) {
		values[5] = values[6];
		count--;
	}
	const struct cql_bound b = catalog_cql_bind(
		t->c, s->is_known ? CATALOG_CQL_READ_KNOWN : CATALOG_CQL_READ_ROWS, values, count);
	TRY(catalog_cql_failed(op, cql_query(op, t->c->client, &b, see_row, s)));
	s->is_last = s->count < (size_t)limit;
	if (s->is_known && s->is_last) {
		s->is_last = false;
		s->last = t->known;
	}
	return ERR_NONE;
}

/* The next piece. */
static enum err stream_fill(struct op *op, struct stream *s, int32_t limit)
{
	TRY(stream_read(op, s, limit));
	return s->count > 0 || s->is_last ? ERR_NONE : stream_read(op, s, limit);
}

/* The first piece of both kinds of the i-th bucket. Appends come first: that there are operations, or
 * room for them, means that there are no more appends. */
static enum err fill_first(struct op *op, void *arg, size_t i)
{
	struct tail *tail = arg;
	struct stream *both = &tail->streams[2 * i];
	const struct catalog_name after = both->last;
	const struct cql_value values[] = { cql_text(tail->user), catalog_cql_guid(&tail->mailbox),
		cql_int(&both->arena, (int32_t)both->bucket), catalog_cql_name(&after),
		cql_int(&both->arena, tail->first_limit) };
	const struct cql_bound b =
		catalog_cql_bind(tail->c, CATALOG_CQL_READ_BOTH, values, ARRAY_COUNT(values));
	enum err e = cql_query(op, tail->c->client, &b, see_row_of_both, both);
	TRY(catalog_cql_failed(op, e));
	both[1].is_last = both[0].count + both[1].count < (size_t)tail->first_limit;
	both[0].is_last = both[1].is_last || both[1].count > 0;
	return both[0].is_last ? ERR_NONE : stream_fill(op, &both[1], tail->first_limit);
}

/* ---- rows: all streams ---- */

static bool is_before(const struct stream *a, const struct stream *b)
{
	int order = name_order(&a->rows[a->at].name, &b->rows[b->at].name);
	if (order != 0)
		return order < 0;
	return a->kind != b->kind ? a->kind < b->kind : a->bucket < b->bucket;
}

/* The stream whose row is next; NULL at the end. Streams without rows leave. */
static struct stream *tail_next(struct tail *tail)
{
	struct stream *next = NULL;
	for (size_t i = 0; i < tail->count;) {
		struct stream *s = &tail->streams[i];
		if (s->at == s->count) {
			arena_done(&s->arena);
			*s = tail->streams[--tail->count];
			continue;
		}
		i++;
	}
	for (size_t i = 0; i < tail->count; i++) {
		struct stream *s = &tail->streams[i];
		if (!next || is_before(s, next))
			next = s;
	}
	return next;
}

static enum err tail_tell(struct op *op, struct tail *tail, catalog_row_fn *row_fn, void *arg)
{
	struct stream *s;
	while ((s = tail_next(tail)) != NULL) {
		TRY(row_fn(op, &s->rows[s->at++], arg));
		if (s->at == s->count && !s->is_last)
			TRY(stream_fill(op, s, next_limit(s)));
	}
	return ERR_NONE;
}

static void tail_open(
	struct tail *tail, uint32_t bucket, uint32_t bucket_count, const struct catalog_name *after)
{
	tail->count = 2 * (size_t)bucket_count;
	tail->streams = mem_new_array(tail->count, sizeof(*tail->streams));
	tail->first_limit = bucket_count <= BUCKETS_WHOLE ? PIECE_FIRST : 1;
	for (size_t i = 0; i < tail->count; i++) {
		struct stream *s = &tail->streams[i];
		s->tail = tail;
		s->bucket = bucket + (uint32_t)(i / 2);
		s->kind = i % 2 ? CATALOG_OP : CATALOG_APPEND;
		s->last = *after;
		arena_init(&s->arena, 0);
	}
}

static void tail_close(struct tail *tail)
{
	for (size_t i = 0; i < tail->count; i++)
		arena_done(&tail->streams[i].arena);
	mem_free(tail->streams);
}

enum err catalog_cql_read_rows(struct op *op, struct catalog *catalog, struct str user,
	struct catalog_guid mailbox, uint32_t bucket, uint32_t last_bucket,
	struct catalog_name after, struct catalog_name known, catalog_row_fn *row_fn, void *arg)
{
	struct catalog_cql *c = catalog_cql(catalog);
	AUTO_ARENA(arena, 0);
	struct tail tail = { .c = c, .mailbox = mailbox, .known = known };
	if (last_bucket < bucket)
		return ERR_NONE;
	if (last_bucket - bucket >= BUCKETS_MAX)
		return op_fail(op, ERR_INVALID,
			"buckets %" PRIu32 " to %" PRIu32 " of a mailbox are too many", bucket,
			last_bucket);
	TRY(catalog_cql_ready(op, c));
	TRY(catalog_cql_user_key(op, c, &arena, user, &tail.user));
	tail_open(&tail, bucket, last_bucket - bucket + 1, &after);
	enum err e = catalog_cql_parallel(op, c, tail.count / 2, fill_first, &tail);
	if (e == ERR_NONE)
		e = tail_tell(op, &tail, row_fn, arg);
	tail_close(&tail);
	return e;
}

/* ---- references ---- */

static enum err count_row(struct op *op, const struct cql_row *row, void *arg)
{
	uint32_t *count = arg;
	(void)op;
	(void)row;
	(*count)++;
	return ERR_NONE;
}

enum err catalog_cql_count_reverse(
	struct op *op, struct catalog *catalog, struct str user, struct str object, uint32_t *out)
{
	struct catalog_cql *c = catalog_cql(catalog);
	AUTO_ARENA(arena, 0);
	struct str key;
	uint32_t count = 0;
	TRY(catalog_cql_ready(op, c));
	TRY(catalog_cql_user_key(op, c, &arena, user, &key));
	const struct cql_value values[] = { cql_text(key),
		cql_int(&arena, (int32_t)catalog_object_part(object)), cql_text(object),
		cql_int(&arena, REVERSE_COUNT_MAX) };
	const struct cql_bound b =
		catalog_cql_bind(c, CATALOG_CQL_COUNT_REVERSE, values, ARRAY_COUNT(values));
	TRY(catalog_cql_failed(op, cql_query(op, c->client, &b, count_row, &count)));
	*out = count;
	return ERR_NONE;
}

enum err catalog_cql_has_row(struct op *op, struct catalog *catalog, struct str user,
	struct catalog_guid mailbox, uint32_t bucket, struct catalog_name name, bool *out)
{
	struct catalog_cql *c = catalog_cql(catalog);
	AUTO_ARENA(arena, 0);
	struct str key;
	uint32_t count = 0;
	TRY(catalog_cql_ready(op, c));
	TRY(catalog_cql_user_key(op, c, &arena, user, &key));
	const struct cql_value values[] = { cql_text(key), catalog_cql_guid(&mailbox),
		cql_int(&arena, (int32_t)bucket), cql_int(&arena, CATALOG_APPEND),
		catalog_cql_name(&name) };
	const struct cql_bound b =
		catalog_cql_bind(c, CATALOG_CQL_HAS_ROW, values, ARRAY_COUNT(values));
	TRY(catalog_cql_failed(op, cql_query(op, c->client, &b, count_row, &count)));
	*out = count > 0;
	return ERR_NONE;
}
