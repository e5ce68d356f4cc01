/* SPDX-License-Identifier: Apache-2.0 */
/* Pure parts of routing: tokens (values told by Cassandra's token()), replicas on the ring, the rules
 * of fallback consistency, and the histogram of latencies. */
#include "cql/cql_private.h"

#include "base/test.h"

static void tokens_are_cassandras(void **state)
{
	(void)state;
	assert_true(cql_token(STR("")) == 0);
	assert_true(cql_token(STR("123")) == INT64_C(-7468325962851647638));
	assert_true(cql_token(STR("a")) == INT64_C(-8839064797231613815));
}

static void composite_keys_are_joined(void **state)
{
	struct cql_value values[] = { cql_text(STR("x")), cql_text(STR("gg")), cql_text(STR("u")) };
	uint16_t key[] = { 2, 1 };
	AUTO_BUF(out, 0);
	(void)state;
	assert_str(cql_routing_key(&out, values, key, 2), STR("\0\1u\0\0\2gg\0"));
	assert_str(cql_routing_key(&out, values, key, 1), STR("u"));
}

static struct str replication(struct buf *b, const char *class, const char *key, const char *n)
{
	buf_clear(b);
	cql_put_int(b, 2);
	cql_put_long_string(b, STR("class"));
	cql_put_long_string(b, str_from(class));
	cql_put_long_string(b, str_from(key));
	cql_put_long_string(b, str_from(n));
	return buf_str(b);
}

static void replication_is_read(void **state)
{
	AUTO_BUF(b, 0);
	bool is_simple;
	(void)state;
	struct str map = replication(
		&b, "org.apache.cassandra.locator.SimpleStrategy", "replication_factor", "2");
	assert_int_equal(cql_replication_parse(map, STR("dc1"), &is_simple), 2);
	assert_true(is_simple);
	map = replication(&b, "org.apache.cassandra.locator.NetworkTopologyStrategy", "dc1", "3/1");
	assert_int_equal(cql_replication_parse(map, STR("dc1"), &is_simple), 3);
	assert_false(is_simple);
	assert_int_equal(cql_replication_parse(map, STR("dc2"), &is_simple), 0);
	assert_int_equal(cql_replication_parse(str_slice(map, 0, 50), STR("dc1"), &is_simple), 0);
}

static void build(struct cql_ring *r, struct cql_host *hosts, const size_t *of, size_t count)
{
	r->entries = mem_new_array(count, sizeof(struct cql_ring_entry));
	r->count = count;
	for (size_t i = 0; i < count; i++)
		r->entries[i] = (struct cql_ring_entry){ .token = (int64_t)(i * 100),
			.host = &hosts[of[i]] };
}

static void replicas_are_spread_over_racks(void **state)
{
	char a[] = "a", b[] = "b";
	struct cql_host hosts[4] = { { .number = 0, .rack = a }, { .number = 1, .rack = a },
		{ .number = 2, .rack = b }, { .number = 3, .rack = b } };
	const size_t of[] = { 0, 1, 0, 2, 3 };
	struct cql_ring r = { 0 };
	(void)state;
	build(&r, hosts, of, ARRAY_COUNT(of));
	cql_ring_build(&r, 3, true);
	assert_int_equal(r.replica_count, 3);
	/* from the first entry: 0 (a); 1 is of the same rack and waits; 2 (b); then 1 */
	const struct cql_ring_entry *e = cql_ring_find(&r, -5);
	assert_true(e->replicas[0] == 0 && e->replicas[1] == 2 && e->replicas[2] == 1);
	/* behind the last comes the first; exactly at a token is that one */
	assert_ptr_equal(cql_ring_find(&r, 401), e);
	assert_ptr_equal(cql_ring_find(&r, 300), &r.entries[3]);
	assert_ptr_equal(cql_ring_find(&r, 301), &r.entries[4]);
	cql_ring_build(&r, 2, false);
	e = cql_ring_find(&r, 50);
	assert_true(e->replicas[0] == 1 && e->replicas[1] == 0);
	/* more replicas wanted than there are nodes */
	cql_ring_build(&r, 8, true);
	assert_int_equal(r.replica_count, 4);
	cql_ring_done(&r);
	assert_null(cql_ring_find(&r, 0));
}

static void one_rack_is_like_none(void **state)
{
	char a[] = "a";
	struct cql_host hosts[3] = { { .number = 0, .rack = a }, { .number = 1, .rack = a },
		{ .number = 2, .rack = a } };
	const size_t of[] = { 0, 1, 2 };
	struct cql_ring r = { 0 };
	(void)state;
	build(&r, hosts, of, 3);
	cql_ring_build(&r, 3, true);
	assert_int_equal(r.replica_count, 3);
	const struct cql_ring_entry *e = cql_ring_find(&r, 100);
	assert_true(e->replicas[0] == 1 && e->replicas[1] == 2 && e->replicas[2] == 0);
	cql_ring_done(&r);
}

/* Sheet §11.6. */
static void fallback_probes_with_growing_pauses(void **state)
{
	struct cql_fallback f;
	int64_t at = 1000 * US_PER_SEC;
	(void)state;
	cql_fallback_init(&f, CQL_AT_EACH_QUORUM, CQL_AT_LOCAL_QUORUM);
	assert_true(cql_fallback_choose(&f, at) == CQL_AT_EACH_QUORUM);
	assert_true(cql_fallback_failed(&f, at));
	assert_true(cql_fallback_choose(&f, at + 49 * US_PER_MS) == CQL_AT_LOCAL_QUORUM);
	int64_t pause = 50 * US_PER_MS;
	for (int i = 0; i < 20; i++) {
		at += pause;
		assert_true(cql_fallback_choose(&f, at - 1) == CQL_AT_LOCAL_QUORUM);
		assert_true(cql_fallback_choose(&f, at) == CQL_AT_EACH_QUORUM);
		/* one probe at a time */
		assert_true(cql_fallback_choose(&f, at) == CQL_AT_LOCAL_QUORUM);
		(void)cql_fallback_failed(&f, at);
		pause = MIN(pause * 2, 60 * US_PER_SEC);
	}
	cql_fallback_succeeded(&f);
	assert_true(cql_fallback_choose(&f, at) == CQL_AT_EACH_QUORUM);
}

static void fallback_warns_once_a_minute(void **state)
{
	struct cql_fallback f;
	(void)state;
	cql_fallback_init(&f, CQL_AT_QUORUM, CQL_AT_ONE);
	assert_true(cql_fallback_failed(&f, 0));
	cql_fallback_succeeded(&f);
	assert_false(cql_fallback_failed(&f, 59 * US_PER_SEC));
	assert_true(cql_fallback_failed(&f, 61 * US_PER_SEC));
	cql_fallback_init(&f, CQL_AT_QUORUM, CQL_AT_QUORUM);
	assert_false(cql_fallback_failed(&f, 0));
	assert_false(f.is_fallen);
}

static void percentiles_are_right_within_an_eighth(void **state)
{
	struct cql_metrics m = { 0 };
	(void)state;
	assert_int_equal(cql_metrics_percentile(&m, 0.5), 0);
	for (int64_t us = 1; us <= 10000; us++)
		cql_metrics_add(&m, CQL_OUTCOME_OK, us);
	for (int i = 1; i <= 999; i++) {
		double got = (double)cql_metrics_percentile(&m, i / 1000.0), exact = i * 10.0;
		assert_true(got <= exact + 1 && got >= exact * 7 / 8 - 1);
	}
	cql_metrics_add(&m, CQL_OUTCOME_OTHER, INT64_MAX);
	assert_true(cql_metrics_percentile(&m, 1) > 10000);
	cql_metrics_tick(&m, 10);
	assert_true(m.rates[0] > 1000 && m.rates[0] < 1001);
	cql_metrics_tick(&m, 60);
	assert_true(m.rates[0] < 400 && m.rates[2] > 900);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens_are_cassandras),
		cmocka_unit_test(composite_keys_are_joined),
		cmocka_unit_test(replication_is_read),
		cmocka_unit_test(replicas_are_spread_over_racks),
		cmocka_unit_test(one_rack_is_like_none),
		cmocka_unit_test(fallback_probes_with_growing_pauses),
		cmocka_unit_test(fallback_warns_once_a_minute),
		cmocka_unit_test(percentiles_are_right_within_an_eighth),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
