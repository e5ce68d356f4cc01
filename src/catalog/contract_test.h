/* SPDX-License-Identifier: Apache-2.0 */
/* The drivers that hold the contract of catalog.h, and what its tests share; Cassandra is the one that
 * POMBAL_TEST_CQL names. A new driver is a new row in `contract_variants`. Each test is one task on a
 * real loop with real offload threads. Included by contract*_test.c only. */
#pragma once

#include "catalog/catalog.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/number.h"
#include "base/test.h"
#include "catalog/cluster_test.h"
#include "catalog/place_test.h"

enum keeps { IN_MEMORY, IN_FILES, IN_CLUSTER };
struct variant {
	const char *name;
	const char
		*text; /* "%s" is a fresh directory; of a cluster: what stands before "cql(...)" */
	enum keeps keeps;
};
static const struct variant contract_variants[] = {
	{ "mem", "mem(4)", IN_MEMORY },
	{ "mem(loose)", "mem(4,loose)", IN_MEMORY },
	{ "sqlite", "sqlite(%s,4)", IN_FILES },
	{ "fault:mem", "fault:mem(4)", IN_MEMORY },
	{ "fault:mem(loose)", "fault:mem(4,loose)", IN_MEMORY },
	{ "fault:sqlite", "fault:sqlite(%s,4)", IN_FILES },
	{ "cql", "", IN_CLUSTER },
	{ "fault:cql", "fault:", IN_CLUSTER },
};

static inline void run(void **state, void (*body)(struct place *p))
{
	const struct variant *variant = *state;
	if (variant->keeps == IN_CLUSTER && !cluster_address())
		skip();
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	char dir[] = "/tmp/catalog-test-XXXXXX";
	assert_non_null(mkdtemp(dir));
	struct str text = str_from(variant->text);
	ssize_t at = str_find(text, STR("%s"));
	if (at >= 0)
		text = str_printf(
			&arena, "%.*s%s/deep/er%s", (int)at, text.p, dir, variant->text + at + 2);
	if (variant->keeps == IN_CLUSTER)
		text = str_printf(&arena, "%s%.*s", variant->text, STRF(cluster_catalog(&arena)));
	struct place p = { .variant = variant, .op = &op, .text = text, .body = body };
	place_run(&p);
	assert_ok(file_remove_tree(&op, dir));
}

/* ---- shorthand ---- */

static const struct str user = { "u1@example.test", 15 };
static const struct catalog_guid inbox = { { 1, 2, 3 } };
static const struct catalog_guid trash = { { 1, 2, 4 } };

static inline struct catalog_name name(uint64_t n)
{
	struct catalog_name v = { { 0 } };
	put_be64(v.bytes, n);
	v.bytes[15] = 7;
	return v;
}

static inline struct catalog_change row(
	enum catalog_kind kind, uint32_t bucket, uint64_t n, struct str value)
{
	return (struct catalog_change){ .kind = CATALOG_PUT_ROW,
		.mailbox = inbox,
		.row = { .kind = kind, .bucket = bucket, .name = name(n), .value = value } };
}

static inline struct catalog_change head(
	struct catalog_guid mailbox, struct str key, struct str value)
{
	return (struct catalog_change){
		.kind = CATALOG_PUT_HEAD, .mailbox = mailbox, .key = key, .value = value
	};
}

static inline enum err write_one(struct place *p, struct catalog_change change)
{
	return catalog_write(p->op, p->catalog, user, &change, 1);
}

/* What a read of rows gave, as "bucket:kind:name=value " each. */
struct seen {
	struct buf text;
	size_t count;
	size_t stop_at;
	uint64_t last;
};

static inline enum err see(struct op *op, const struct catalog_row *r, void *arg)
{
	struct seen *seen = arg;
	uint64_t n = get_be64(r->name.bytes);
	assert_true(seen->count == 0 || n >= seen->last);
	seen->last = n;
	seen->count++;
	if (seen->text.n < 1000)
		buf_putf(&seen->text, "%" PRIu32 ":%c:%" PRIu64 "=%.*s ", r->bucket,
			r->kind == CATALOG_APPEND ? 'a' : 'o', n, STRF(r->value));
	return seen->count == seen->stop_at ? op_fail(op, ERR_CANCELLED, "enough") : ERR_NONE;
}

static inline void check_buckets(struct place *p, struct catalog_guid mailbox, uint32_t bucket,
	uint32_t last_bucket, uint64_t after, const char *text)
{
	struct seen seen = { 0 };
	struct catalog_name from = name(after);
	if (after == 0)
		from = (struct catalog_name){ { 0 } };
	assert_ok(catalog_read_rows(
		p->op, p->catalog, user, mailbox, bucket, last_bucket, from, see, &seen));
	assert_str(buf_str(&seen.text), str_from(text));
	buf_done(&seen.text);
}

static inline void check_rows(struct place *p, struct catalog_guid mailbox, uint32_t bucket,
	uint64_t after, const char *text)
{
	check_buckets(p, mailbox, bucket, 20, after, text);
}

#define CONTRACT_TEST(fn)                                                                          \
	{                                                                                          \
#fn, fn, NULL, NULL, NULL                                                          \
	}

/* Each of `count` tests with each driver. */
static inline int contract_run(const struct CMUnitTest *tests, size_t count)
{
	static struct CMUnitTest all[ARRAY_COUNT(contract_variants) * 32];
	static char names[ARRAY_COUNT(all)][96];
	size_t n = 0;
	assert_true(count <= 32);
	for (size_t v = 0; v < ARRAY_COUNT(contract_variants); v++) {
		for (size_t t = 0; t < count; t++, n++) {
			all[n] = tests[t];
			snprintf(names[n], sizeof(names[n]), "%s: %s", contract_variants[v].name,
				tests[t].name);
			all[n].name = names[n];
			all[n].initial_state = (void *)(uintptr_t)&contract_variants[v];
		}
	}
	/* cmocka's macro would take the size of the array. */
	return _cmocka_run_group_tests("catalog", all, n, cluster_setup, cluster_teardown);
}
