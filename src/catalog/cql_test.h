/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the Cassandra driver share: a catalog in a keyspace of the run's own, rows, requests that
 * are counted. Included by cql*_test.c only. */
#pragma once

#include "catalog/cql_private.h"

#include <stdio.h>

#include "base/codec.h"
#include "base/number.h"
#include "base/test.h"
#include "catalog/cluster_test.h"
#include "catalog/place_test.h"

static const struct str user = { "u1", 2 };
static const struct catalog_guid inbox = { { 1, 2, 3 } };

static inline void run(void (*body)(struct place *p))
{
	if (!cluster_address())
		skip();
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	struct place p = { .op = &op, .body = body, .text = cluster_catalog(&arena) };
	place_run(&p);
}

/* ---- shorthand ---- */

static inline struct catalog_name name(uint64_t ms, uint64_t n)
{
	struct catalog_name v = { { 0 } };
	put_be64(v.bytes, ms << 16);
	put_be64(v.bytes + 8, n);
	return v;
}

static inline struct catalog_change row(
	enum catalog_kind kind, uint32_t bucket, uint64_t n, struct str value)
{
	return (struct catalog_change){ .kind = CATALOG_PUT_ROW,
		.mailbox = inbox,
		.row = { .kind = kind, .bucket = bucket, .name = name(n, 1), .value = value } };
}

static inline struct catalog_change head(const char *key, struct str value)
{
	return (struct catalog_change){
		.kind = CATALOG_PUT_HEAD, .mailbox = inbox, .key = str_from(key), .value = value
	};
}

static inline struct catalog_change garbage(uint64_t ms, uint64_t n, struct str object)
{
	return (struct catalog_change){ .kind = CATALOG_PUT_GARBAGE,
		.mailbox = inbox,
		.object = object,
		.queued = name(ms, n),
		.row = { .bucket = 7, .name = name(n, 2) } };
}

static inline void write_all(struct place *p, const struct catalog_change *changes, size_t count)
{
	enum err e = catalog_write(p->op, p->catalog, user, changes, count);
	if (e != ERR_NONE)
		print_error("%s\n", p->op->failure.text);
	assert_ok(e);
}

static inline uint64_t requests(struct place *p)
{
	return cql_counters(catalog_cql(p->catalog)->client).requests;
}

/* Runs what an administrator could type; "%s" is the keyspace, "%p" the prefix. */
static inline void type(struct place *p, const char *text)
{
	AUTO_BUF(out, 0);
	struct str rest = str_from(text), part;
	while (str_cut(&rest, '%', &part)) {
		buf_put(&out, part);
		char what = *str_take(&rest, 1).p;
		buf_putf(&out, "%s",
			what == 's' ? cluster_keyspace : catalog_cql(p->catalog)->prefix);
	}
	buf_put(&out, rest);
	cluster_run(p->op, str_dup_z(p->op->arena, buf_str(&out)));
}

static size_t seen, seen_bytes;
static struct str seen_value;

static inline enum err see(struct op *op, const struct catalog_row *r, void *arg)
{
	(void)arg;
	seen++;
	seen_bytes += r->value.n;
	seen_value = str_dup(op->arena, r->value);
	return ERR_NONE;
}

static inline enum err read_tail(struct place *p, uint32_t last_bucket)
{
	seen = 0;
	return catalog_read_rows(p->op, p->catalog, user, inbox, 0, last_bucket,
		(struct catalog_name){ { 0 } }, see, NULL);
}

static inline void assert_told(struct place *p, const char *text)
{
	if (str_find(str_from(p->op->failure.text), str_from(text)) < 0)
		fail_msg("\"%s\" does not tell \"%s\"", p->op->failure.text, text);
}
