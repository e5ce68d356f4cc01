/* SPDX-License-Identifier: Apache-2.0 */
/* A keyspace of one's own in the Cassandra that POMBAL_TEST_CQL names (host:port), for the tests of this
 * folder. Without that variable they are skipped. Included by *_test.c only. */
#pragma once

#include <stdlib.h>

#include "base/random.h"
#include "base/test.h"
#include "catalog/schema.h"
#include "cql/cql.h"
#include "task/task.h"

/* The keyspace of this run; empty before cluster_setup(). */
static char cluster_keyspace[48];

static inline const char *cluster_address(void)
{
	const char *address = getenv("POMBAL_TEST_CQL");
	return address && address[0] ? address : NULL;
}

struct cluster_task {
	struct op *op;
	const char *text; /* CQL; NULL: makes the tables */
};

static inline void cluster_run(struct op *op, const char *text)
{
	struct cql_client *client;
	assert_ok(cql_open_text(
		op, str_from(cluster_address()), str_from(cluster_keyspace), &client));
	test_assert_err(cql_run(op, client, str_from(text)), ERR_NONE, text, __FILE__, __LINE__);
	cql_close(op, client);
}

static inline void cluster_task(void *arg)
{
	struct cluster_task *t = arg;
	const struct catalog_schema_wanted wanted = { .replication = STR("1") };
	AUTO_BUF(out, 0);
	if (t->text) {
		cluster_run(t->op, t->text);
	} else {
		struct str argument =
			str_printf(t->op->arena, "%s,%s,4", cluster_address(), cluster_keyspace);
		enum err e = catalog_schema_make_text(t->op, argument, &wanted, &out);
		if (e != ERR_NONE)
			print_error("%s\n", t->op->failure.text);
		assert_ok(e);
	}
	loop_stop();
}

static inline void cluster_do(const char *text)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, now_us() + 120 * US_PER_SEC);
	struct cluster_task t = { &op, text };
	assert_ok(loop_open(&op, NULL));
	task_start("cluster", cluster_task, &t);
	loop_run();
	loop_close();
}

/* For cmocka's groups. */
static inline int cluster_setup(void **state)
{
	(void)state;
	if (!cluster_address())
		return 0;
	snprintf(cluster_keyspace, sizeof(cluster_keyspace), "pombal_catalog_%08x",
		(unsigned)(random_u64() & 0xffffffffu));
	cluster_do(NULL);
	return 0;
}

static inline int cluster_teardown(void **state)
{
	char text[100];
	(void)state;
	if (!cluster_keyspace[0])
		return 0;
	snprintf(text, sizeof(text), "DROP KEYSPACE IF EXISTS %s", cluster_keyspace);
	cluster_do(text);
	return 0;
}

/* A catalog of its own inside the keyspace: "cql(host:port,keyspace,4,prefix/)". */
static inline struct str cluster_catalog(struct arena *a)
{
	return str_printf(a, "cql(%s,%s,4,%016llx/)", cluster_address(), cluster_keyspace,
		(unsigned long long)random_u64());
}
