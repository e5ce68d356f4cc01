/* SPDX-License-Identifier: Apache-2.0 */
/* The Cassandra driver beyond the contract: cells, costs, what fades, damage, tables, connections that are cut.
 * With Cassandra at POMBAL_TEST_CQL. */
#include "catalog/cql_test.h"

#include "catalog/proxy_test.h"

/* ---- cells ---- */

static void cells_know_their_place_and_their_bytes(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	const struct catalog_place place = { .table = 'r',
		.user = STR("u"),
		.mailbox = inbox,
		.bucket = 3,
		.kind = CATALOG_APPEND,
		.name = name(5, 6),
		.key = STR("k") };
	static const struct str values[] = { { "", 0 }, { "a\0b", 3 },
		{ "longer than a checksum", 22 } };
	for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
		struct str cell = catalog_cql_seal(&arena, &place, values[i]).bytes, value;
		assert_true(catalog_cql_unseal(&place, cell, &value));
		assert_str(value, values[i]);
		for (size_t bit = 0; bit < 8 * cell.n; bit++) {
			char *damaged = str_dup_z(&arena, cell);
			damaged[bit / 8] = (char)(damaged[bit / 8] ^ 1 << bit % 8);
			assert_false(catalog_cql_unseal(
				&place, (struct str){ damaged, cell.n }, &value));
		}
		struct catalog_place others[] = { place, place, place, place, place, place, place };
		others[0].table = 'f';
		others[1].user = STR("v");
		others[2].mailbox.bytes[15] = 1;
		others[3].bucket = 4;
		others[4].kind = CATALOG_OP;
		others[5].name.bytes[0] = 1;
		others[6].key = STR("");
		for (size_t k = 0; k < ARRAY_COUNT(others); k++)
			assert_false(catalog_cql_unseal(&others[k], cell, &value));
		for (size_t n = 0; n < cell.n; n++)
			assert_false(catalog_cql_unseal(&place, str_slice(cell, 0, n), &value));
	}
}

static void entries_of_the_queue_are_forty_bytes_at_most(void **state)
{
	(void)state;
	const struct catalog_garbage entry = { .mailbox = inbox, .bucket = 9, .row = name(1, 2) };
	struct catalog_garbage back = { 0 };
	char bytes[CATALOG_GARBAGE_BYTES];
	catalog_garbage_encode(bytes, &entry);
	assert_true(catalog_garbage_decode((struct str){ bytes, sizeof(bytes) }, &back));
	assert_memory_equal(&back.mailbox, &entry.mailbox, sizeof(back.mailbox));
	assert_memory_equal(&back.row, &entry.row, sizeof(back.row));
	assert_int_equal(back.bucket, 9);
	assert_false(catalog_garbage_decode((struct str){ bytes, sizeof(bytes) - 1 }, &back));
}

/* ---- what things cost ---- */

static void costs(struct place *p)
{
	struct catalog_head *heads;
	struct catalog_garbage *entries;
	size_t count;
	static struct catalog_change changes[250];
	struct catalog_change mail = row(CATALOG_APPEND, 0, 1, STR("a mail and its summary"));
	mail.row.fading_bytes = 11;
	write_all(p, &mail, 1); /* looks at the tables, prepares */
	uint64_t before = requests(p);
	write_all(p, &mail, 1);
	assert_int_equal(requests(p) - before, 1); /* a delivery */

	before = requests(p);
	assert_ok(catalog_read_heads(p->op, p->catalog, user, &heads, &count));
	assert_int_equal(requests(p) - before, 1);

	before = requests(p);
	assert_ok(read_tail(p, 1));
	assert_int_equal(requests(p) - before, 2); /* two buckets */

	for (uint64_t i = 0; i < ARRAY_COUNT(changes); i++)
		changes[i] = row(CATALOG_APPEND, 1, i + 1, STR("v"));
	before = requests(p);
	write_all(p, changes, ARRAY_COUNT(changes));
	assert_int_equal(requests(p) - before, 3); /* groups of a hundred */

	for (unsigned i = 0; i < ARRAY_COUNT(changes); i++)
		changes[i] = (struct catalog_change){ .kind = CATALOG_PUT_REVERSE,
			.object = str_printf(p->op->arena, "%x-%u", i / CATALOG_PARTS, i) };
	before = requests(p);
	write_all(p, changes, ARRAY_COUNT(changes));
	assert_int_equal(requests(p) - before, CATALOG_PARTS);

	uint64_t now_ms = (uint64_t)(now_wall_us() / US_PER_MS);
	for (uint64_t i = 0; i < ARRAY_COUNT(changes); i++)
		changes[i] = garbage(now_ms, i, str_printf(p->op->arena, "o%u", (unsigned)i));
	before = requests(p);
	write_all(p, changes, ARRAY_COUNT(changes));
	assert_int_equal(requests(p) - before, 4); /* and the hour, once */
	before = requests(p);
	write_all(p, changes, 1);
	assert_int_equal(requests(p) - before, 1);
	before = requests(p);
	uint32_t shard = catalog_user_shard(p->catalog, user);
	assert_ok(catalog_read_garbage(p->op, p->catalog, shard, NULL, 1000, &entries, &count));
	assert_int_equal(count, ARRAY_COUNT(changes));
	assert_int_equal(requests(p) - before, 2); /* the hours, and one of them */

	static bool is_used[ARRAY_COUNT(changes)];
	before = requests(p);
	assert_ok(catalog_find_used(p->op, p->catalog, user, entries, count, is_used));
	assert_int_equal(requests(p) - before, 6); /* a part and a bucket, a hundred at once */
}
static void requests_are_few(void **state)
{
	(void)state;
	run(costs);
}

/* ---- what fades ---- */

static enum err see_ttl(struct op *op, const struct cql_row *r, void *arg)
{
	(void)op;
	assert_true(cql_column_int(r, 0, arg));
	return ERR_NONE;
}

static int32_t ttl_of_fading(struct place *p)
{
	struct cql_client *client = catalog_cql(p->catalog)->client;
	const struct catalog_name row_name = name(1, 1);
	int32_t seconds = 0;
	struct str key = str_printf(p->op->arena, "%su1", catalog_cql(p->catalog)->prefix);
	const struct cql_value values[] = { cql_text(key), catalog_cql_guid(&inbox),
		catalog_cql_name(&row_name) };
	const struct cql_bound b = { cql_statement(client, CQL_READ, STR("ttl"),
					     STR("SELECT TTL(fading) FROM user_mailbox_rows WHERE"
						 " user = ? AND mailbox = ? AND bucket = 0 AND"
						 " kind = 1 AND name = ?")),
		values, ARRAY_COUNT(values), 0 };
	assert_ok(cql_query(p->op, client, &b, see_ttl, &seconds));
	return seconds;
}

/* Of what a reader knows he gets the rest of the value, wherever a piece is enough to save something. */
static void is_left_out(struct place *p)
{
	enum { ROWS = 300, KNOWN = 280 };
	static struct catalog_change changes[ROWS];
	static const struct catalog_name all;
	for (uint64_t i = 0; i < ROWS; i++) {
		changes[i] = row(CATALOG_APPEND, 0, i + 1, STR("mail, summary"));
		changes[i].row.fading_bytes = 9;
	}
	write_all(p, changes, ROWS);
	seen = seen_bytes = 0;
	assert_ok(catalog_read_tail(
		p->op, p->catalog, user, inbox, 0, 0, all, name(KNOWN, 1), see, NULL));
	assert_int_equal(seen, ROWS);
	assert_in_range(seen_bytes, ROWS * 13 - KNOWN * 9, ROWS * 13 - 9);
	assert_str(seen_value, STR("mail, summary"));
}
static void what_is_known_is_left_out(void **state)
{
	(void)state;
	run(is_left_out);
}

static void fades(struct place *p)
{
	struct catalog_change mail = row(CATALOG_APPEND, 0, 1, STR("a mail and its summary"));
	mail.row.fading_bytes = 12;
	write_all(p, &mail, 1);
	assert_ok(read_tail(p, 0));
	assert_str(seen_value, STR("a mail and its summary"));
	assert_in_range(ttl_of_fading(p), 11 * 86400 - 100, 11 * 86400);
	type(p, "DELETE fading FROM %s.user_mailbox_rows WHERE user = '%pu1' AND mailbox ="
		" 0x01020300000000000000000000000000 AND bucket = 0 AND kind = 1 AND name ="
		" 0x00000000000100000000000000000001");
	assert_ok(read_tail(p, 0));
	assert_int_equal(seen, 1);
	assert_str(seen_value, STR("a mail and"));

	/* Too large for one batch: nothing fades. */
	char *big = arena_alloc(p->op->arena, CATALOG_GROUP_MAX);
	mail = row(CATALOG_APPEND, 0, 2, (struct str){ big, CATALOG_GROUP_MAX });
	mail.row.fading_bytes = CATALOG_GROUP_MAX / 2;
	write_all(p, &mail, 1);
	type(p, "DELETE fading FROM %s.user_mailbox_rows WHERE user = '%pu1' AND mailbox ="
		" 0x01020300000000000000000000000000 AND bucket = 0 AND kind = 1 AND name ="
		" 0x00000000000200000000000000000001");
	assert_ok(read_tail(p, 0));
	assert_int_equal(seen_value.n, CATALOG_GROUP_MAX);
}
static void what_faded_is_missing_at_the_end(void **state)
{
	(void)state;
	run(fades);
}

/* ---- foreign bytes ---- */

#define GUID "0x01020300000000000000000000000000"
#define ROWS "INSERT INTO %s.user_mailbox_rows (user, mailbox, bucket, kind, name, value) VALUES"

static void damaged(struct place *p)
{
	struct catalog_head *heads;
	struct catalog_garbage *entries;
	size_t count;
	static const char *const rows[] = {
		ROWS " ('%pu1', " GUID ", 0, 1, 0x0001, 0x00)",
		ROWS " ('%pu1', " GUID ", 0, 2, 0x00000000000100000000000000000001, 0x0011223344)",
		ROWS " ('%pu1', " GUID ", 0, 1, 0x00000000000100000000000000000001, null)",
		ROWS " ('%pu1', " GUID ", 0, 1, 0x00000000000100000000000000000001, 0x00)",
	};
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		type(p, rows[i]);
		assert_err(read_tail(p, 0), ERR_CORRUPT);
		assert_told(p, "mailbox 01020300000000000000000000000000, bucket 0");
		type(p, "DELETE FROM %s.user_mailbox_rows WHERE user = '%pu1' AND mailbox = " GUID
			" AND bucket = 0");
	}
	/* Kinds and buckets that nobody writes are never asked for. */
	type(p, ROWS " ('%pu1', " GUID ", 0, 3, 0x0001, 0x00)");
	type(p, ROWS " ('%pu1', " GUID ", -1, 1, 0x0001, 0x00)");
	assert_ok(read_tail(p, 1));
	assert_int_equal(seen, 0);

	type(p, "INSERT INTO %s.user_heads (user, mailbox, key, value) VALUES ('%pu1', " GUID
		", 'base', 0x00112233445566)");
	assert_err(catalog_read_heads(p->op, p->catalog, user, &heads, &count), ERR_CORRUPT);
	assert_told(p, "base");
	type(p, "INSERT INTO %s.gc_hours (prefix, shard, hour) VALUES ('%p', 1, 5)");
	type(p, "INSERT INTO %s.gc_queue (prefix, shard, hour, queued, user, object, value) VALUES"
		" ('%p', 1, 5, 0x01, 'u', 'o', 0x00)");
	assert_ok(catalog_read_garbage(p->op, p->catalog, 1, NULL, 9, &entries, &count));
	assert_int_equal(count, 1);
	assert_true(entries[0].is_damaged);
}
static void damaged_cells_are_told(void **state)
{
	(void)state;
	run(damaged);
}

/* ---- tables ---- */

static void missing(struct place *p)
{
	struct catalog *c;
	char keyspace[64];
	snprintf(keyspace, sizeof(keyspace), "%.40s_m", cluster_keyspace);
	struct str argument = str_printf(p->op->arena, "%s,%s,4", cluster_address(), keyspace);
	struct catalog_change change = head("k", STR("v"));
	struct catalog_schema_wanted wanted = { .replication = STR("1") };
	AUTO_BUF(out, 0);
	assert_ok(catalog_open_text(
		p->op, str_printf(p->op->arena, "cql(%.*s)", STRF(argument)), &c));
	assert_err(catalog_write(p->op, c, user, &change, 1), ERR_UNAVAILABLE);
	assert_told(p, "doveadm dictmap init");
	wanted.is_dry = true;
	assert_ok(catalog_schema_make_text(p->op, argument, &wanted, &out));
	assert_true(str_find(buf_str(&out), STR("CREATE TABLE")) > 0);
	assert_err(catalog_write(p->op, c, user, &change, 1), ERR_UNAVAILABLE);
	wanted.is_dry = false;
	assert_ok(catalog_schema_make_text(p->op, argument, &wanted, &out));
	assert_ok(catalog_write(p->op, c, user, &change, 1)); /* without being opened again */
	catalog_close(p->op, c);

	/* Again: nothing to do. */
	buf_clear(&out);
	assert_ok(catalog_schema_make_text(p->op, argument, &wanted, &out));
	assert_str(buf_str(&out), STR(""));
	wanted.shard_count = 5;
	assert_err(catalog_schema_make_text(p->op, argument, &wanted, &out), ERR_CONFLICT);
	assert_told(p, "4 shards");
	wanted.shard_count = 4;
	wanted.replication = STR("datacenter1:2");
	assert_err(catalog_schema_make_text(p->op, argument, &wanted, &out), ERR_CONFLICT);
	assert_told(p, "ALTER KEYSPACE");
	wanted.replication = STR("1;x");
	assert_err(catalog_schema_make_text(p->op, argument, &wanted, &out), ERR_INVALID);
	wanted.replication = STR_NONE;
	AUTO_BUF(text, 0);
	buf_putf(&text, "DROP TABLE %s.gc_hours%c", keyspace, '\0');
	cluster_run(p->op, text.p);
	buf_clear(&text);
	buf_putf(&text, "CREATE TABLE %s.gc_hours (prefix text PRIMARY KEY, shard int)%c", keyspace,
		'\0');
	cluster_run(p->op, text.p);
	assert_err(catalog_schema_make_text(p->op, argument, &wanted, &out), ERR_CONFLICT);
	assert_told(p, "gc_hours is there and is none of ours");
	assert_str(buf_str(&out), STR(""));
	buf_clear(&text);
	buf_putf(&text, "DROP KEYSPACE %s%c", keyspace, '\0');
	cluster_run(p->op, text.p);
}
static void tables_are_made_once(void **state)
{
	(void)state;
	run(missing);
}

/* ---- connections that are cut ---- */

static struct catalog *open_behind(struct place *p, const struct proxy *proxy)
{
	struct catalog *c;
	struct str text = str_printf(p->op->arena, "cql(127.0.0.1:%u,%s,4,%s)", proxy->port,
		cluster_keyspace, catalog_cql(p->catalog)->prefix);
	assert_ok(catalog_open_text(p->op, text, &c));
	return c;
}

static enum err write_soon(struct place *p, struct catalog *c, struct catalog_change change)
{
	p->op->deadline_us = now_us() + 3 * US_PER_SEC;
	enum err e = catalog_write(p->op, c, user, &change, 1);
	p->op->deadline_us = TIME_NEVER;
	return e;
}

static void write_until_it_works(struct place *p, struct catalog *c, struct catalog_change change)
{
	enum err e = ERR_TIMEOUT;
	for (int i = 0; i < 300 && e != ERR_NONE; i++) {
		e = write_soon(p, c, change);
		if (e != ERR_NONE)
			assert_ok(task_sleep(p->op, 100 * US_PER_MS));
	}
	if (e != ERR_NONE)
		print_error("%s\n", p->op->failure.text);
	assert_ok(e);
}

static void cut(struct place *p)
{
	struct proxy proxy;
	proxy_open(&proxy, cluster_address(), PROXY_REFUSES);
	struct catalog *c = open_behind(p, &proxy);
	struct catalog_change mail = row(CATALOG_APPEND, 0, 1, STR("v"));
	mail.stamp_us = now_wall_us();

	/* The cluster is away when the process starts. */
	assert_err(write_soon(p, c, mail), ERR_UNAVAILABLE);
	proxy_set(&proxy, PROXY_PASSES);
	write_until_it_works(p, c, mail);

	/* An answer gets lost: uncertain, and in truth carried out. Repeating changes nothing. */
	mail.row.name = name(2, 1);
	proxy_set(&proxy, PROXY_LOSES_ANSWERS);
	assert_err(write_soon(p, c, mail), ERR_TIMEOUT);
	assert_ok(read_tail(p, 0));
	assert_int_equal(seen, 2);
	proxy_set(&proxy, PROXY_PASSES);
	write_until_it_works(p, c, mail);
	assert_ok(read_tail(p, 0));
	assert_int_equal(seen, 2);

	/* A request gets lost: uncertain as well. */
	mail.row.name = name(3, 1);
	proxy_set(&proxy, PROXY_LOSES_REQUESTS);
	assert_err(write_soon(p, c, mail), ERR_TIMEOUT);
	assert_ok(read_tail(p, 0));
	assert_int_equal(seen, 2);
	proxy_set(&proxy, PROXY_PASSES);
	write_until_it_works(p, c, mail);
	assert_ok(read_tail(p, 0));
	assert_int_equal(seen, 3);
	assert_true(atomic_load(&proxy.cuts) > 2);
	catalog_close(p->op, c);
	proxy_close(&proxy);
}
static void cut_connections_leave_it_uncertain(void **state)
{
	(void)state;
	run(cut);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cells_know_their_place_and_their_bytes),
		cmocka_unit_test(entries_of_the_queue_are_forty_bytes_at_most),
		cmocka_unit_test(requests_are_few),
		cmocka_unit_test(what_is_known_is_left_out),
		cmocka_unit_test(what_faded_is_missing_at_the_end),
		cmocka_unit_test(damaged_cells_are_told),
		cmocka_unit_test(tables_are_made_once),
		cmocka_unit_test(cut_connections_leave_it_uncertain),
	};
	return cmocka_run_group_tests(tests, cluster_setup, cluster_teardown);
}
