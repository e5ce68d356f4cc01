/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/cql_used.c - what of the garbage is still needed: many entries by few queries.
 *
 * Entries are put into questions of one partition, at most IN_MAX each: their objects by the part of the
 * reverse rows, their append rows by mailbox and bucket. All are asked side by side, at QUORUM; an answer
 * names what is there, and marks every entry that names it. */
#include "base/number.h"
#include "catalog/cql_private.h"

#define IN_MAX 100

struct question {
	struct search *search;
	bool is_reverse;
	const struct catalog_garbage *first; /* its partition */
	size_t *entries;                     /* which of the search's */
	size_t count;
};

struct search {
	struct catalog_cql *c;
	struct arena *arena;
	struct str user; /* as in keys */
	const struct catalog_garbage *entries;
	bool *is_used;
	struct question *questions;
	size_t count;
};

static bool share_partition(
	bool is_reverse, const struct catalog_garbage *a, const struct catalog_garbage *b)
{
	if (is_reverse)
		return catalog_object_part(a->object) == catalog_object_part(b->object);
	return a->bucket == b->bucket && memcmp(&a->mailbox, &b->mailbox, sizeof(a->mailbox)) == 0;
}

/* Into the youngest question of its partition. */
static void search_add(struct search *s, bool is_reverse, size_t entry)
{
	struct question *q = NULL;
	const struct catalog_garbage *g = &s->entries[entry];
	for (size_t i = s->count; i > 0 && !q; i--)
		if (s->questions[i - 1].is_reverse == is_reverse &&
			share_partition(is_reverse, s->questions[i - 1].first, g))
			q = &s->questions[i - 1];
	if (!q || q->count == IN_MAX) {
		q = &s->questions[s->count++];
		*q = (struct question){ .search = s, .is_reverse = is_reverse, .first = g };
		q->entries = ARENA_NEW_ARRAY(s->arena, size_t, IN_MAX);
	}
	q->entries[q->count++] = entry;
}

static struct str asked_of(const struct question *q, size_t i)
{
	const struct catalog_garbage *g = &q->search->entries[q->entries[i]];
	return q->is_reverse ? g->object
			     : (struct str){ (const char *)g->row.bytes, sizeof(g->row.bytes) };
}

static void put_int(struct buf *out, size_t v)
{
	uint8_t bytes[8];
	put_be64(bytes, v);
	buf_put(out, (struct str){ (const char *)bytes + 4, 4 });
}

/* A list as CQL has it: how many, and each behind its length. */
static struct cql_value asked(const struct question *q)
{
	AUTO_BUF(list, 0);
	put_int(&list, q->count);
	for (size_t i = 0; i < q->count; i++) {
		put_int(&list, asked_of(q, i).n);
		buf_put(&list, asked_of(q, i));
	}
	return cql_blob(buf_dup(q->search->arena, &list));
}

static enum err see_used(struct op *op, const struct cql_row *row, void *arg)
{
	struct question *q = arg;
	(void)op;
	for (size_t i = 0; i < q->count; i++)
		if (str_eq(asked_of(q, i), cql_column(row, 0)))
			q->search->is_used[q->entries[i]] = true;
	return ERR_NONE;
}

static enum err ask(struct op *op, void *arg, size_t i)
{
	struct search *s = arg;
	struct question *q = &s->questions[i];
	const struct cql_value part =
		cql_int(s->arena, (int32_t)catalog_object_part(q->first->object));
	const struct cql_value reverse[] = { cql_text(s->user), part, asked(q) };
	const struct cql_value rows[] = { cql_text(s->user), catalog_cql_guid(&q->first->mailbox),
		cql_int(s->arena, (int32_t)q->first->bucket), reverse[2] };
	const struct cql_bound b = q->is_reverse ? catalog_cql_bind(s->c, CATALOG_CQL_HAVE_REVERSE,
							   reverse, ARRAY_COUNT(reverse))
						 : catalog_cql_bind(s->c, CATALOG_CQL_HAVE_ROWS,
							   rows, ARRAY_COUNT(rows));
	return catalog_cql_failed(op, cql_query(op, s->c->client, &b, see_used, q));
}

enum err catalog_cql_find_used(struct op *op, struct catalog *catalog, struct str user,
	const struct catalog_garbage *entries, size_t count, bool *out_is_used)
{
	struct catalog_cql *c = catalog_cql(catalog);
	AUTO_ARENA(arena, 0);
	struct search s = { .c = c, .arena = &arena, .entries = entries, .is_used = out_is_used };
	if (count == 0)
		return ERR_NONE;
	TRY(catalog_cql_ready(op, c));
	TRY(catalog_cql_user_key(op, c, &arena, user, &s.user));
	s.questions = ARENA_NEW_ARRAY(&arena, struct question, 2 * count);
	for (size_t i = 0; i < count; i++) {
		search_add(&s, true, i);
		search_add(&s, false, i);
	}
	return catalog_cql_parallel(op, c, s.count, ask, &s);
}
