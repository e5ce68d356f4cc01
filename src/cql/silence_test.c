/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that are up and do not answer: another one is asked in time, and they are passed over until they
 * say something. */
#include "cql/test_node_private.h"

#define RARELY_US (30 * US_PER_SEC)

/* Two nodes or three that know the statement; a second one is asked after 0.3 s. */
static void start_impatient(struct cluster *k, size_t nodes, int64_t heartbeat_us)
{
	cluster_start(k, nodes);
	k->settings.dial.heartbeat_us = heartbeat_us;
	k->settings.speculation_us = 300 * US_PER_MS;
	k->settings.speculation_times = 3;
	cluster_client(k);
	while (cql_counters(k->client).connections < nodes)
		assert_ok(task_sleep(&k->op, US_PER_MS));
	for (size_t i = 0; i < 2 * nodes; i++)
		assert_ok(write_one(k));
}

static void run_slow_node(void *arg)
{
	struct cluster k = { 0 };
	(void)arg;
	start_impatient(&k, 2, RARELY_US);
	size_t before = k.taken_count;
	script(&k, (struct step){ .kind = STEP_SILENT });
	assert_ok(write_one(&k));
	assert_int_equal(k.taken_count, before + 2);
	assert_true(k.taken[before].node != k.taken[before + 1].node);
	assert_true(k.taken[before].stamp_us == k.taken[before + 1].stamp_us);
	assert_int_equal(cql_counters(k.client).speculations, 1);
	cluster_stop(&k);
}

/* A node that stands still costs the first call that meets it a moment, and no other. */
static void run_frozen_node(void *arg)
{
	struct cluster k = { 0 };
	(void)arg;
	start_impatient(&k, 2, RARELY_US);
	k.is_frozen[1] = true;
	for (int i = 0; i < 20; i++)
		assert_ok(write_one(&k));
	assert_int_equal(k.frozen_count, 1);
	assert_int_equal(cql_counters(k.client).speculations, 1);
	cluster_stop(&k);
}

/* Without a quorum the nodes that answer say so: those that stand still are not waited for. */
static void run_frozen_quorum(void *arg)
{
	struct cluster k = { 0 };
	(void)arg;
	start_impatient(&k, 3, RARELY_US);
	k.is_frozen[1] = k.is_frozen[2] = true;
	for (int i = 0; i < 4; i++) {
		int64_t began_us = now_us();
		k.step_at = k.step_count = 0;
		script_error(&k, CQL_ERROR_WRITE_TIMEOUT);
		assert_err(write_one(&k), ERR_TIMEOUT);
		assert_true(now_us() - began_us < 5 * US_PER_SEC);
	}
	cluster_stop(&k);
}

/* A request that a node never answers does not make it one that stands still: it answers others. */
static void run_one_lost_request(void *arg)
{
	struct cluster k = { 0 };
	(void)arg;
	start_impatient(&k, 2, US_PER_SEC);
	script(&k, (struct step){ .kind = STEP_SILENT });
	assert_ok(write_one(&k));
	size_t beats = k.options + 2, taken = k.taken_count;
	while (k.options < beats)
		assert_ok(task_sleep(&k.op, US_PER_MS));
	assert_ok(task_sleep(&k.op, US_PER_SEC / 2));
	assert_int_equal(cql_counters(k.client).in_flight, 1);
	script_error(&k, CQL_ERROR_OVERLOADED); /* of the other */
	assert_ok(write_one(&k));
	assert_int_equal(k.taken_count, taken + 2);
	cluster_stop(&k);
}

static void write_alone(void *arg)
{
	struct cluster *k = arg;
	struct op op = test_op(20 * US_PER_SEC);
	struct cql_value v = cql_text(STR("key"));
	struct cql_bound b = { k->write, &v, 1, 0 };
	k->alone = cql_execute(&op, k->client, &b);
}

/* All seem to stand still when a call begins, and it waits at one that does: once another says something it
 * is asked as well, however late that is. */
static void run_answers_again(void *arg)
{
	struct cluster k = { 0 };
	(void)arg;
	start_impatient(&k, 2, RARELY_US);
	size_t before = k.taken_count;
	k.is_silent = true;
	task_start("first", write_alone, &k); /* at both */
	while (k.taken_count < before + 2)
		assert_ok(task_sleep(&k.op, US_PER_MS));
	assert_ok(task_sleep(&k.op, US_PER_SEC / 2));
	struct task_handle waiting = task_start("waiting", write_alone, &k);
	while (k.taken_count < before + 3)
		assert_ok(task_sleep(&k.op, US_PER_MS));
	assert_ok(task_sleep(&k.op, 3 * US_PER_SEC / 2));
	k.is_silent = false;
	k.alone = ERR_TIMEOUT;
	assert_ok(write_one(&k));
	assert_true(k.taken[before + 2].node != k.taken[before + 3].node);
	while (task_is_alive(waiting))
		assert_ok(task_sleep(&k.op, US_PER_MS));
	assert_ok(k.alone);
	cluster_stop(&k);
}

TEST(a_second_node_is_asked_when_the_first_is_slow, slow_node)
TEST(a_node_that_answers_again_is_asked, answers_again)
TEST(a_node_that_lost_one_request_is_asked_others, one_lost_request)
TEST(a_frozen_node_is_met_once, frozen_node)
TEST(frozen_nodes_are_not_waited_for_without_a_quorum, frozen_quorum)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_second_node_is_asked_when_the_first_is_slow),
		cmocka_unit_test(a_node_that_answers_again_is_asked),
		cmocka_unit_test(a_node_that_lost_one_request_is_asked_others),
		cmocka_unit_test(a_frozen_node_is_met_once),
		cmocka_unit_test(frozen_nodes_are_not_waited_for_without_a_quorum),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
