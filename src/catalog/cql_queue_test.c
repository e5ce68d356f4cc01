/* SPDX-License-Identifier: Apache-2.0 */
/* The collector's queue in Cassandra: hours, what is left of them, what is not read again. With Cassandra at
 * POMBAL_TEST_CQL. */
#include "catalog/cql_test.h"

/* ---- the queue ---- */

static size_t read_queue(
	struct place *p, struct catalog *c, size_t max, struct catalog_garbage **out)
{
	size_t count = 0;
	assert_ok(catalog_read_garbage(
		p->op, c, catalog_user_shard(p->catalog, user), NULL, max, out, &count));
	return count;
}

static void delete_entry(struct place *p, const struct catalog_garbage *entry)
{
	struct catalog_change change = {
		.kind = CATALOG_DELETE_GARBAGE, .object = entry->object, .queued = entry->name
	};
	assert_ok(catalog_write(p->op, p->catalog, entry->user, &change, 1));
}

static enum err count_hour(struct op *op, const struct cql_row *r, void *arg)
{
	(void)op;
	(void)r;
	(*(size_t *)arg)++;
	return ERR_NONE;
}

static size_t hours_listed(struct place *p)
{
	struct catalog_cql *c = catalog_cql(p->catalog);
	size_t count = 0;
	const struct cql_value values[] = { cql_text(str_from(c->prefix)),
		cql_int(p->op->arena, (int32_t)catalog_user_shard(p->catalog, user)) };
	const struct cql_bound b = catalog_cql_bind(c, CATALOG_CQL_READ_HOURS, values, 2);
	assert_ok(cql_query(p->op, c->client, &b, count_hour, &count));
	return count;
}

static void hours(struct place *p)
{
	const uint64_t hour_ms = 3600 * 1000, now_ms = (uint64_t)(now_wall_us() / US_PER_MS);
	const struct catalog_change changes[] = { garbage(now_ms, 5, STR("today")),
		garbage(3 * hour_ms, 4, STR("c")), garbage(hour_ms + 1, 2, STR("b")),
		garbage(hour_ms, 1, STR("a")) };
	struct catalog_garbage *entries;
	write_all(p, changes, ARRAY_COUNT(changes));
	assert_int_equal(hours_listed(p), 3);
	assert_int_equal(read_queue(p, p->catalog, 9, &entries), 4);
	assert_str(entries[0].object, STR("a"));
	assert_str(entries[1].object, STR("b"));
	assert_str(entries[2].object, STR("c"));
	assert_str(entries[3].object, STR("today"));
	for (size_t i = 0; i < 3; i++)
		delete_entry(p, &entries[i]);
	assert_int_equal(read_queue(p, p->catalog, 9, &entries), 1);

	/* Hours that are long over leave the list when they are found empty from their beginning. */
	struct catalog *other;
	assert_ok(catalog_open_text(p->op, p->text, &other));
	assert_int_equal(read_queue(p, other, 9, &entries), 1);
	catalog_close(p->op, other);
	/* ... unless they were listed within the last ten minutes, as these were. */
	assert_int_equal(hours_listed(p), 3);

	/* What comes late is found by who reads the hour from its beginning. */
	const struct catalog_change late = garbage(hour_ms, 0, STR("late"));
	write_all(p, &late, 1);
	assert_int_equal(read_queue(p, p->catalog, 9, &entries), 1);
	assert_ok(catalog_open_text(p->op, p->text, &other));
	assert_int_equal(read_queue(p, other, 9, &entries), 2);
	assert_str(entries[0].object, STR("late"));
	catalog_close(p->op, other);
}
static void the_queue_is_read_by_hours(void **state)
{
	(void)state;
	run(hours);
}

static void leave(struct place *p)
{
	struct catalog_garbage *entries;
	/* As if it had been listed when it was the present hour. */
	AUTO_BUF(text, 0);
	buf_putf(&text,
		"INSERT INTO %%s.gc_hours (prefix, shard, hour) VALUES ('%%p', %" PRIu32
		", 5) USING TIMESTAMP 18000000000",
		catalog_user_shard(p->catalog, user));
	type(p, str_dup_z(p->op->arena, buf_str(&text)));
	assert_int_equal(hours_listed(p), 1);
	assert_int_equal(read_queue(p, p->catalog, 9, &entries), 0);
	assert_int_equal(hours_listed(p), 0);
	const struct catalog_change late = garbage(5 * 3600 * 1000, 0, STR("late"));
	write_all(p, &late, 1);
	assert_int_equal(read_queue(p, p->catalog, 9, &entries), 1);
}
static void an_empty_hour_leaves_the_list_and_comes_back(void **state)
{
	(void)state;
	run(leave);
}

/* Many entries that were dealt with do not stand before those that were not. */
static void consumed(struct place *p)
{
	enum { COUNT = 2000, AT_ONCE = 250 };
	const uint64_t now_ms = (uint64_t)(now_wall_us() / US_PER_MS);
	struct catalog_change *changes =
		ARENA_NEW_ARRAY(p->op->arena, struct catalog_change, COUNT);
	struct catalog_garbage *entries;
	size_t count, total = 0;
	for (uint64_t i = 0; i < COUNT; i++)
		changes[i] = garbage(now_ms, i, str_printf(p->op->arena, "o%05u", (unsigned)i));
	write_all(p, changes, COUNT);
	while ((count = read_queue(p, p->catalog, AT_ONCE, &entries)) > 0) {
		for (size_t i = 0; i < count; i++, total++) {
			assert_int_equal(get_be64(entries[i].name.bytes + 8), total);
			delete_entry(p, &entries[i]);
		}
	}
	assert_int_equal(total, COUNT);
}
static void what_is_done_is_not_read_again(void **state)
{
	(void)state;
	run(consumed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_queue_is_read_by_hours),
		cmocka_unit_test(an_empty_hour_leaves_the_list_and_comes_back),
		cmocka_unit_test(what_is_done_is_not_read_again),
	};
	return cmocka_run_group_tests(tests, cluster_setup, cluster_teardown);
}
