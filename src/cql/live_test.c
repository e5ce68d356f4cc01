/* SPDX-License-Identifier: Apache-2.0 */
/* The client against a real Cassandra: POMBAL_TEST_CQL is host:port, POMBAL_TEST_CQL_TLS is
 * user:password@host:port of one with TLS, signed by POMBAL_TEST_CA; skipped without. Each test makes a
 * table of its own in a keyspace that stays. */
#include "cql/cql_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/config.h"

#include "base/random.h"
#include "task/test.h"

#define KEYSPACE "pombal_cql_test"

struct live {
	struct op op;
	struct arena arena;
	struct cql_client *client;
	struct str table;
};

static struct str make(struct live *l, const char *format)
{
	AUTO_BUF(text, 0);
	for (const char *p = format; *p; p++) {
		if (*p == '@')
			buf_put(&text, l->table);
		else
			buf_put_byte(&text, *p);
	}
	return buf_dup(&l->arena, &text);
}

static void set_up(struct live *l)
{
	struct str hosts = str_from(getenv("POMBAL_TEST_CQL"));
	arena_init(&l->arena, 0);
	op_init(&l->op, &l->arena, NULL, now_us() + 60 * US_PER_SEC);
	assert_ok(cql_open_text(&l->op, hosts, STR(KEYSPACE), &l->client));
	assert_ok(cql_run(&l->op, l->client,
		STR("CREATE KEYSPACE IF NOT EXISTS " KEYSPACE " WITH replication = "
		    "{'class': 'NetworkTopologyStrategy', 'datacenter1': 1}")));
	l->table = str_printf(&l->arena, KEYSPACE ".t%" PRIx64, random_u64());
	assert_ok(cql_run(&l->op, l->client,
		make(l, "CREATE TABLE @ (u text, g blob, n bigint, i int, v blob, "
			"PRIMARY KEY ((u, g), n))")));
}

static void tear_down(struct live *l)
{
	assert_ok(cql_run(&l->op, l->client, make(l, "DROP TABLE @")));
	cql_close(&l->op, l->client);
	arena_done(&l->arena);
}

struct seen {
	size_t rows;
	int64_t last_n, stamp;
	int32_t i;
	struct str v;
	bool is_null;
	struct arena *arena;
};

static enum err see(struct op *op, const struct cql_row *row, void *arg)
{
	struct seen *s = arg;
	(void)op;
	s->rows++;
	assert_true(cql_column_bigint(row, 0, &s->last_n));
	s->is_null = cql_column_is_null(row, 1);
	(void)cql_column_int(row, 1, &s->i);
	s->v = str_dup(s->arena, cql_column(row, 2));
	(void)cql_column_bigint(row, 3, &s->stamp);
	return ERR_NONE;
}

static void write_row(
	struct live *l, const struct cql_statement *s, int64_t n, struct str v, int64_t stamp_us)
{
	struct cql_value values[] = { cql_text(STR("user")), cql_blob(STR("guid")),
		cql_bigint(&l->arena, n), cql_int(&l->arena, -5), cql_blob(v) };
	struct cql_bound b = { s, values, ARRAY_COUNT(values), stamp_us };
	assert_ok(cql_execute(&l->op, l->client, &b));
}

static const struct cql_statement *insert(struct live *l)
{
	return cql_statement(l->client, CQL_WRITE, STR("insert"),
		make(l, "INSERT INTO @ (u, g, n, i, v) VALUES (?, ?, ?, ?, ?)"));
}

static enum err read_rows_as(struct live *l, enum cql_class class, struct seen *seen)
{
	const struct cql_statement *s = cql_statement(l->client, class, STR("read"),
		make(l, "SELECT n, i, v, writetime(v) FROM @ WHERE u = ? AND g = ?"));
	struct cql_value values[] = { cql_text(STR("user")), cql_blob(STR("guid")) };
	struct cql_bound b = { s, values, ARRAY_COUNT(values), 0 };
	*seen = (struct seen){ .arena = &l->arena };
	return cql_query(&l->op, l->client, &b, see, seen);
}

static enum err read_rows(struct live *l, struct seen *seen)
{
	return read_rows_as(l, CQL_READ, seen);
}

static void run_values(void *arg)
{
	struct live l;
	struct seen seen;
	(void)arg;
	set_up(&l);
	const struct cql_statement *s = insert(&l);
	write_row(&l, s, INT64_MIN + 7, STR("\0\1bytes"), 1000);
	assert_ok(read_rows(&l, &seen));
	assert_int_equal(seen.rows, 1);
	assert_true(seen.last_n == INT64_MIN + 7 && seen.i == -5 && seen.stamp == 1000);
	assert_str(seen.v, STR("\0\1bytes"));
	/* An older stamp changes nothing, a newer one does. */
	write_row(&l, s, INT64_MIN + 7, STR("older"), 999);
	assert_ok(read_rows(&l, &seen));
	assert_str(seen.v, STR("\0\1bytes"));
	write_row(&l, s, INT64_MIN + 7, STR("newer"), 0);
	assert_ok(read_rows(&l, &seen));
	assert_str(seen.v, STR("newer"));
	assert_ok(read_rows_as(&l, CQL_QUORUM, &seen));
	assert_str(seen.v, STR("newer"));
	tear_down(&l);
}

static void run_batches(void *arg)
{
	struct live l;
	struct seen seen;
	struct cql_bound items[50];
	(void)arg;
	set_up(&l);
	const struct cql_statement *s = insert(&l);
	char *big = arena_alloc(&l.arena, 100000);
	for (size_t i = 0; i < ARRAY_COUNT(items); i++) {
		struct cql_value *v = ARENA_NEW_ARRAY(&l.arena, struct cql_value, 5);
		v[0] = cql_text(STR("user"));
		v[1] = cql_blob(STR("guid"));
		v[2] = cql_bigint(&l.arena, (int64_t)i);
		v[3] = cql_null();
		v[4] = cql_blob((struct str){ big, 500 });
		items[i] = (struct cql_bound){ s, v, 5, 77 };
	}
	assert_ok(cql_batch(&l.op, l.client, items, ARRAY_COUNT(items), false));
	assert_ok(cql_batch(&l.op, l.client, items, 3, true));
	assert_ok(read_rows(&l, &seen));
	assert_int_equal(seen.rows, 50);
	assert_true(seen.is_null && seen.stamp == 77 && seen.v.n == 500);
	write_row(&l, s, 1000, (struct str){ big, 100000 }, 0);
	assert_ok(read_rows(&l, &seen));
	assert_int_equal(seen.v.n, 100000);
	tear_down(&l);
}

static void run_errors(void *arg)
{
	struct live l;
	struct seen seen;
	(void)arg;
	set_up(&l);
	assert_err(cql_run(&l.op, l.client, STR("SELEKT")), ERR_INVALID);
	assert_err(cql_run(&l.op, l.client, make(&l, "CREATE TABLE @ (a int PRIMARY KEY)")),
		ERR_EXISTS);
	const struct cql_statement *s = cql_statement(
		l.client, CQL_READ, STR("nothing"), STR("SELECT a FROM no_such_table"));
	assert_err(cql_query(&l.op, l.client, &(struct cql_bound){ s, NULL, 0, 0 }, see, &seen),
		ERR_INVALID);
	assert_non_null(strstr(l.op.failure.text, "dictmap init"));
	tear_down(&l);
}

/* The table is made anew, so the node forgets the statement: it is prepared again unseen. */
static void run_unprepared(void *arg)
{
	struct live l;
	struct seen seen;
	(void)arg;
	set_up(&l);
	const struct cql_statement *s = insert(&l);
	write_row(&l, s, 1, STR("x"), 0);
	assert_ok(cql_run(&l.op, l.client, make(&l, "ALTER TABLE @ ADD more text")));
	assert_ok(cql_run(&l.op, l.client, make(&l, "DROP TABLE @")));
	assert_ok(cql_run(&l.op, l.client,
		make(&l, "CREATE TABLE @ (u text, g blob, n bigint, i int, v blob, "
			 "PRIMARY KEY ((u, g), n))")));
	write_row(&l, s, 2, STR("y"), 0);
	assert_ok(read_rows(&l, &seen));
	assert_int_equal(seen.rows, 1);
	tear_down(&l);
}

struct tokens {
	size_t rows;
};

static enum err see_token(struct op *op, const struct cql_row *row, void *arg)
{
	struct tokens *t = arg;
	int64_t expected = 0;
	struct cql_value key[] = { cql_text(cql_column(row, 0)), cql_blob(cql_column(row, 1)) };
	uint16_t parts[] = { 0, 1 };
	AUTO_BUF(b, 0);
	(void)op;
	t->rows++;
	assert_true(cql_column_bigint(row, 2, &expected));
	assert_true(cql_token(cql_routing_key(&b, key, parts, 2)) == expected);
	return ERR_NONE;
}

/* Keys of all lengths, and bytes of both halves, have the token that the node says; and with them each
 * call knows its replica. */
static void run_tokens(void *arg)
{
	struct live l;
	struct tokens t = { 0 };
	(void)arg;
	set_up(&l);
	const struct cql_statement *write = cql_statement(l.client, CQL_WRITE, STR("w"),
		make(&l, "INSERT INTO @ (g, u, n) VALUES (?, ?, 1)"));
	for (size_t n = 0; n < 40; n++) {
		char *bytes = arena_alloc(&l.arena, n + 1);
		random_bytes(bytes, n + 1);
		struct cql_value v[] = { cql_blob((struct str){ bytes, n + 1 }),
			cql_text(STR("u")) };
		assert_ok(cql_execute(
			&l.op, l.client, &(struct cql_bound){ write, v, ARRAY_COUNT(v), 0 }));
	}
	/* the order of the key, not that of the values */
	assert_true(write->key_count == 2 && write->key[0] == 1 && write->key[1] == 0);
	const struct cql_statement *read = cql_statement(
		l.client, CQL_READ, STR("r"), make(&l, "SELECT u, g, token(u, g) FROM @"));
	assert_ok(
		cql_query(&l.op, l.client, &(struct cql_bound){ read, NULL, 0, 0 }, see_token, &t));
	assert_int_equal(t.rows, 40);
	/* The keyspace may be younger than the first look at the cluster: news of it come within a second. */
	while (l.client->ring.count == 0)
		assert_ok(task_sleep(&l.op, 20 * US_PER_MS));
	assert_int_equal(l.client->ring.replica_count, 1);
	assert_true(l.client->hosts[0]->connection->has_lz4);
	tear_down(&l);
}

/* "user:password@host:port" and the authority, as settings. */
static struct str tls_settings(struct arena *a, const char *target, const char *more)
{
	struct str rest = str_from(target), user, password, host;
	assert_true(str_cut(&rest, ':', &user) && str_cut(&rest, '@', &password) &&
		    str_cut(&rest, ':', &host));
	return str_printf(a,
		"dovecot_config_version = 3.1.0\ndovecot_storage_version = 3.1.0\n"
		"cassandra_hosts = %.*s\ncassandra_port = %.*s\ncassandra_keyspace = " KEYSPACE
		"\ncassandra_user = %.*s\ncassandra_password = %.*s\n%s",
		STRF(host), STRF(rest), STRF(user), STRF(password), more);
}

static enum err ask_with(const char *more, char *out_text)
{
	struct arena arena;
	struct op op;
	struct config_problems problems;
	struct config *config;
	struct cql_client *client;
	arena_init(&arena, 0);
	op_init(&op, &arena, NULL, now_us() + 30 * US_PER_SEC);
	struct config_load_args args = { .text = tls_settings(
						 &arena, getenv("POMBAL_TEST_CQL_TLS"), more),
		.reads_files = true };
	assert_ok(config_load(&op, &args, &problems, &config));
	assert_ok(cql_open(&op, config_scope(config, NULL), &client));
	enum err e = cql_run(&op, client, STR("SELECT key FROM system.local"));
	memcpy(out_text, op.failure.text, OP_FAILURE_TEXT_MAX);
	cql_close(&op, client);
	config_unref(config);
	arena_done(&arena);
	return e;
}

static void run_tls(void *arg)
{
	char with_ca[1024], text[OP_FAILURE_TEXT_MAX];
	(void)arg;
	(void)snprintf(with_ca, sizeof(with_ca),
		"cassandra_ssl = cert-ip\nssl_client_ca_file = %s\n", getenv("POMBAL_TEST_CA"));
	assert_ok(ask_with(with_ca, text));
	(void)snprintf(with_ca, sizeof(with_ca),
		"cassandra_ssl = cert-only\ncassandra_ssl_ca_file = %s\n",
		getenv("POMBAL_TEST_CA"));
	assert_ok(ask_with(with_ca, text));
	assert_ok(
		ask_with("cassandra_ssl = cert-only\nssl_client_require_valid_cert = no\n", text));
	/* signed by nobody whom the system knows */
	assert_err(ask_with("cassandra_ssl = cert-only\n", text), ERR_UNAVAILABLE);
	assert_non_null(strstr(text, "certificate"));
	/* no TLS where there must be */
	assert_err(ask_with("cassandra_connect_timeout = 2s\n", text), ERR_UNAVAILABLE);
}

static void tls(void **state)
{
	(void)state;
	if (!getenv("POMBAL_TEST_CQL_TLS") || !getenv("POMBAL_TEST_CA"))
		skip();
	test_in_task(run_tls, NULL);
}

#define LIVE_TEST(what)                                                                            \
	static void what(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		if (!getenv("POMBAL_TEST_CQL"))                                                    \
			skip();                                                                    \
		test_in_task(run_##what, NULL);                                                    \
	}
LIVE_TEST(values)
LIVE_TEST(batches)
LIVE_TEST(errors)
LIVE_TEST(unprepared)
LIVE_TEST(tokens)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values),
		cmocka_unit_test(batches),
		cmocka_unit_test(errors),
		cmocka_unit_test(unprepared),
		cmocka_unit_test(tokens),
		cmocka_unit_test(tls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
