/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster that changes: nodes that come, go and hide, the task that listens, and who may not enter. */
#include "base/random.h"
#include "cql/test_node_private.h"

/* Sends a frame to all who are connected. */
static void tell_all(const struct str body)
{
	for (size_t i = 0; i < visit_count; i++) {
		if (!all_visits[i]->stream)
			continue;
		answer(all_visits[i], CQL_OP_EVENT, UINT16_MAX, body);
		struct op op = test_op(US_PER_SEC);
		assert_ok(stream_flush(&op, all_visits[i]->stream));
	}
}

static void wait_connections(struct cluster *k, size_t count)
{
	while (cql_counters(k->client).connections != count)
		assert_ok(task_sleep(&k->op, US_PER_MS));
}

/* Ends all connections of a node, and lets nobody in (or again). */
static void hide(struct cluster *k, unsigned number, bool is_hidden)
{
	k->nodes[number]->is_refusing = is_hidden;
	for (size_t i = 0; is_hidden && i < visit_count; i++)
		if (all_visits[i]->stream && all_visits[i]->node->number == number)
			task_cancel(all_visits[i]->task);
}

static void run_all_found(void *arg)
{
	struct cluster k = { 0 };
	(void)arg;
	cluster_start(&k, 3);
	k.datacenters[2] = "elsewhere";
	cluster_client(&k);
	wait_connections(&k, 2);
	assert_int_equal(cql_counters(k.client).hosts, 2);
	/* nodes of another data centre are not asked */
	for (int i = 0; i < 20; i++)
		assert_ok(write_one(&k));
	bool is_used[NODES_MAX] = { false };
	for (size_t i = 0; i < k.taken_count; i++)
		is_used[k.taken[i].node] = true;
	assert_true(is_used[0] && is_used[1] && !is_used[2]);
	cluster_stop(&k);
}

static void run_wrong_datacenter(void *arg)
{
	struct cluster k = { 0 };
	(void)arg;
	cluster_start(&k, 1);
	k.settings.datacenter = STR("nowhere");
	cluster_client(&k);
	assert_err(write_one(&k), ERR_UNAVAILABLE);
	assert_non_null(strstr(k.op.failure.text, "\"nowhere\""));
	cluster_stop(&k);
}

static void run_down_and_up(void *arg)
{
	struct cluster k = { 0 };
	(void)arg;
	cluster_start(&k, 2);
	cluster_client(&k);
	wait_connections(&k, 2);
	hide(&k, 1, true);
	wait_connections(&k, 1);
	for (int i = 0; i < 10; i++)
		assert_ok(write_one(&k));
	hide(&k, 1, false);
	/* the cluster says that it is up: connected at once, whatever the pause */
	tell_all(STR("\x00\x0dSTATUS_CHANGE\x00\x02UP\x04\x7f\x00\x00\x02\x00\x00\x00\x01"));
	wait_connections(&k, 2);
	/* the node that is listened to goes: the other one is */
	hide(&k, 0, true);
	wait_connections(&k, 1);
	assert_ok(write_one(&k));
	while (!k.client->control_connection)
		assert_ok(task_sleep(&k.op, US_PER_MS));
	assert_int_equal(k.client->control_connection->address.ip[3], 2);
	/* all are gone: told at once; and it works again without any help */
	hide(&k, 1, true);
	wait_connections(&k, 0);
	enum err e = write_one(&k);
	assert_true(e == ERR_UNAVAILABLE || e == ERR_TIMEOUT);
	hide(&k, 0, false);
	hide(&k, 1, false);
	wait_connections(&k, 2);
	assert_ok(write_one(&k));
	cluster_stop(&k);
}

static void run_topology(void *arg)
{
	struct cluster k = { 0 };
	(void)arg;
	cluster_start(&k, 2);
	k.node_count = 1; /* the second is not in the cluster yet */
	cluster_client(&k);
	wait_connections(&k, 1);
	static const struct str news =
		STR("\x00\x0fTOPOLOGY_CHANGE\x00\x08NEW_NODE\x04\x7f\x00\x00\x02\x00\x00\x00\x01");
	k.node_count = 2;
	/* listening may begin after the connections stand */
	while (!k.client->control_connection)
		assert_ok(task_sleep(&k.op, US_PER_MS));
	tell_all(news);
	wait_connections(&k, 2);
	k.node_count = 1;
	tell_all(news);
	wait_connections(&k, 1);
	assert_int_equal(cql_counters(k.client).hosts, 1);
	k.node_count = 2;
	tell_all(news);
	wait_connections(&k, 2);
	assert_ok(write_one(&k));
	cluster_stop(&k);
}

static void run_nobody(void *arg)
{
	struct cluster k = { 0 };
	(void)arg;
	cluster_start(&k, 1);
	hide(&k, 0, true);
	cluster_client(&k);
	assert_err(write_one(&k), ERR_UNAVAILABLE);
	assert_non_null(strstr(k.op.failure.text, "no Cassandra node can be reached"));
	hide(&k, 0, false);
	wait_connections(&k, 1);
	assert_ok(write_one(&k));
	cluster_stop(&k);
}

static void run_passwords(void *arg)
{
	static const struct {
		const char *user, *password, *says;
		bool is_right;
	} rows[] = {
		{ "", "", "set cassandra_user", false },
		{ "me", "wrong", "bad_credentials", false },
		{ "me", "right", "", true },
	};
	(void)arg;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct cluster k = { .wants_password = true };
		cluster_start(&k, 1);
		k.settings.dial.user = str_from(rows[i].user);
		k.settings.dial.password = str_from(rows[i].password);
		cluster_client(&k);
		assert_err(write_one(&k), rows[i].is_right ? ERR_NONE : ERR_UNAVAILABLE);
		if (!rows[i].is_right)
			assert_non_null(strstr(k.op.failure.text, rows[i].says));
		assert_null(strstr(k.op.failure.text, "wrong"));
		cluster_stop(&k);
	}
}

static void run_old_protocol(void *arg)
{
	struct cluster k = { .has_version_3 = true };
	(void)arg;
	cluster_start(&k, 1);
	cluster_client(&k);
	assert_err(write_one(&k), ERR_UNAVAILABLE);
	assert_non_null(strstr(k.op.failure.text, "version 3"));
	cluster_stop(&k);
}

static void run_mixed_contacts(void *arg)
{
	struct cluster k = { 0 };
	(void)arg;
	cluster_start(&k, 2);
	k.datacenters[1] = "elsewhere";
	k.settings.contacts[k.settings.contact_count++] = STR("127.0.0.2");
	cluster_client(&k);
	wait_connections(&k, 1);
	assert_true(k.client->is_mixed_told);
	cluster_stop(&k);
}

static void run_no_keyspace(void *arg)
{
	struct cluster k = { .has_no_keyspace = true };
	(void)arg;
	cluster_start(&k, 1);
	cluster_client(&k);
	assert_err(write_one(&k), ERR_INVALID);
	assert_non_null(strstr(k.op.failure.text, "dictmap init"));
	/* what makes it works without */
	assert_ok(cql_run(&k.op, k.client, STR("CREATE KEYSPACE k")));
	k.has_no_keyspace = false;
	assert_ok(write_one(&k));
	cluster_stop(&k);
}

static void run_agreement(void *arg)
{
	struct cluster k = { .disagreeing = 2 };
	(void)arg;
	cluster_start(&k, 2);
	cluster_client(&k);
	wait_connections(&k, 2);
	int64_t before_us = now_us();
	assert_ok(cql_run(&k.op, k.client, STR("CREATE TABLE t")));
	assert_int_equal(k.disagreeing, 0);
	/* what is inserted by it is there for readers at a quorum */
	assert_int_equal(k.changed_at, CQL_AT_LOCAL_QUORUM);
	assert_true(now_us() - before_us >= 2 * 100 * US_PER_MS);
	cluster_stop(&k);
}

/* A node that takes connections but does not prepare does not hold up calls for ever. */
static void run_half_dead(void *arg)
{
	struct cluster k = { .prepares_nothing = { true, false } };
	(void)arg;
	cluster_start(&k, 2);
	cluster_client(&k);
	wait_connections(&k, 2);
	for (int i = 0; i < 4; i++)
		assert_ok(write_one(&k));
	for (size_t i = 0; i < k.taken_count; i++)
		assert_int_equal(k.taken[i].node, 1);
	cluster_stop(&k);
}

static void run_latency(void *arg)
{
	struct cluster k = { 0 };
	(void)arg;
	cluster_start(&k, 2);
	k.settings.is_latency_aware = true;
	cluster_client(&k);
	wait_connections(&k, 2);
	for (size_t i = 0; i < 2; i++) {
		struct cql_host *h = k.client->hosts[i];
		h->latency_us = h->address.ip[3] == 1 ? 90 * US_PER_SEC : 1;
		h->latency_at_us = now_us();
	}
	for (int i = 0; i < 10; i++) {
		assert_ok(write_one(&k));
		assert_int_equal(k.taken[i].node, 1);
		k.client->hosts[0]->latency_at_us = k.client->hosts[1]->latency_at_us = now_us();
	}
	cluster_stop(&k);
}

struct crowd {
	struct cluster *k;
	size_t running, fine, refused;
};

static void crowd_member(void *arg)
{
	struct crowd *c = arg;
	struct op op = test_op(20 * US_PER_SEC);
	struct cql_value v = cql_text(STR("key"));
	struct cql_bound b = { c->k->write, &v, 1, 0 };
	enum err e = cql_execute(&op, c->k->client, &b);
	c->fine += e == ERR_NONE;
	c->refused += e == ERR_UNAVAILABLE;
	c->running--;
}

/* More at once than a node is given, and then more than may wait. */
static void run_crowd(void *arg)
{
	struct cluster k = { 0 };
	struct crowd c = { .k = &k };
	(void)arg;
	cluster_start(&k, 1);
	cluster_client(&k);
	assert_ok(write_one(&k));
	c.running = CQL_IN_FLIGHT_MAX + CQL_WAITING_MAX + 100;
	for (size_t i = c.running; i > 0; i--)
		task_start("member", crowd_member, &c);
	while (c.running > 0)
		assert_ok(task_sleep(&k.op, US_PER_MS));
	assert_int_equal(c.fine, CQL_IN_FLIGHT_MAX + CQL_WAITING_MAX);
	assert_int_equal(c.refused, 100);
	assert_ok(write_one(&k));
	cluster_stop(&k);
}

/* Answers that never come keep their stream ids; too many of them, and the connection is made anew. */
static void run_orphans(void *arg)
{
	struct cluster k = { 0 };
	struct crowd c = { .k = &k };
	(void)arg;
	cluster_start(&k, 1);
	k.settings.request_us = 200 * US_PER_MS;
	cluster_client(&k);
	assert_ok(write_one(&k));
	k.is_silent = true;
	size_t before = k.connections;
	c.running = 1100;
	for (size_t i = c.running; i > 0; i--)
		task_start("member", crowd_member, &c);
	while (c.running > 0)
		assert_ok(task_sleep(&k.op, US_PER_MS));
	assert_int_equal(c.fine + c.refused, 0); /* all uncertain */
	k.is_silent = false;
	while (k.connections == before)
		assert_ok(task_sleep(&k.op, US_PER_MS));
	wait_connections(&k, 1);
	assert_ok(write_one(&k));
	cluster_stop(&k);
}

struct chaos {
	struct cluster *k;
	size_t running, left, outcomes[ERR_COUNT];
};

static void chaos_member(void *arg)
{
	struct chaos *c = arg;
	struct cql_value v = cql_text(STR("key"));
	struct cql_bound b = { c->k->write, &v, 1, 0 };
	while (c->left > 0) {
		struct op op = test_op((int64_t)random_below(60) * US_PER_MS);
		c->left--;
		if (c->k->step_at >= c->k->step_count)
			c->k->step_at = 0;
		c->outcomes[cql_execute(&op, c->k->client, &b)]++;
		task_yield();
	}
	c->running--;
}

/* Everything that a node can do wrong, in an order of chance, under calls with little time. */
static void run_chaos(void *arg)
{
	struct cluster k = { 0 };
	struct chaos c = { .k = &k, .running = 8, .left = 600 };
	static const enum cql_error_code codes[] = { CQL_ERROR_SERVER, CQL_ERROR_OVERLOADED,
		CQL_ERROR_UNPREPARED, CQL_ERROR_WRITE_TIMEOUT, CQL_ERROR_UNAVAILABLE,
		CQL_ERROR_INVALID };
	(void)arg;
	random_set_seed(7);
	cluster_start(&k, 3);
	k.settings.speculation_us = 5 * US_PER_MS;
	k.settings.speculation_times = 2;
	k.settings.dial.heartbeat_us = 20 * US_PER_MS;
	k.settings.dial.idle_us = 60 * US_PER_MS;
	k.settings.dial.answer_max = 100000;
	k.settings.fallback[CQL_WRITE] = CQL_AT_ONE;
	cluster_client(&k);
	for (size_t i = 0; i < STEPS_MAX; i++) {
		enum step_kind kind = (enum step_kind)random_below(STEP_COMPRESSED + 1);
		if (kind == STEP_OLD)
			kind = STEP_VOID;
		script(&k, (struct step){ .kind = kind,
				   .text = "x",
				   .code = codes[random_below(ARRAY_COUNT(codes))] });
	}
	for (size_t i = 0; i < c.running; i++)
		task_start("member", chaos_member, &c);
	while (c.running > 0)
		assert_ok(task_sleep(&k.op, US_PER_MS));
	/* and then it is as if nothing had been */
	k.step_at = k.step_count = 0;
	wait_connections(&k, 3);
	assert_ok(write_one(&k));
	assert_true(c.outcomes[ERR_NONE] > 0 && c.outcomes[ERR_TIMEOUT] > 0);
	cluster_stop(&k);
}

static void late_call(void *arg)
{
	struct cluster *k = arg;
	struct op op = test_op(20 * US_PER_SEC);
	struct cql_value v = cql_text(STR("key"));
	struct cql_bound b = { k->write, &v, 1, 0 };
	assert_err(cql_execute(&op, k->client, &b), ERR_TIMEOUT);
}

static void run_close_under_calls(void *arg)
{
	struct cluster k = { 0 };
	(void)arg;
	cluster_start(&k, 1);
	cluster_client(&k);
	assert_ok(write_one(&k));
	script(&k, (struct step){ .kind = STEP_SILENT });
	task_start("late", late_call, &k);
	while (k.taken_count < 2)
		assert_ok(task_sleep(&k.op, US_PER_MS));
	cluster_stop(&k); /* closes the client while the call waits */
}

static enum err see_slowly(struct op *op, const struct cql_row *row, void *arg)
{
	struct cluster *k = arg;
	(void)row;
	k->is_mute = true; /* seen */
	return task_sleep(op, 50 * US_PER_MS);
}

static void slow_reader(void *arg)
{
	struct cluster *k = arg;
	struct op op = test_op(20 * US_PER_SEC);
	struct cql_value v = cql_text(STR("key"));
	struct cql_bound b = { k->read, &v, 1, 0 };
	assert_err(cql_query(&op, k->client, &b, see_slowly, k), ERR_UNAVAILABLE);
}

/* The second page is asked for when the client is being closed. */
static void run_close_under_callback(void *arg)
{
	struct cluster k = { 0 };
	(void)arg;
	cluster_start(&k, 1);
	k.settings.page_size = 1;
	cluster_client(&k);
	script(&k, (struct step){ .kind = STEP_ROWS, .text = "a", .more = "p2" });
	task_start("slow", slow_reader, &k);
	while (!k.is_mute)
		assert_ok(task_sleep(&k.op, US_PER_MS));
	cluster_stop(&k);
}

#define TEST_CROWDED(title, what)                                                                  \
	static void title(void **state)                                                            \
	{                                                                                          \
		(void)state;                                                                       \
		test_in_loop(&(struct loop_settings){ .running_max = 10000 }, run_##what, NULL);   \
	}
TEST(nodes_of_the_data_centre_are_found, all_found)
TEST(a_data_centre_without_nodes_is_named, wrong_datacenter)
TEST(nodes_go_and_come_back, down_and_up)
TEST(the_cluster_tells_of_new_nodes, topology)
TEST(without_any_node_calls_fail_at_once, nobody)
TEST(credentials_are_checked, passwords)
TEST(an_older_protocol_is_named, old_protocol)
TEST(contacts_of_two_data_centres_are_told, mixed_contacts)
TEST(a_keyspace_may_be_made_later, no_keyspace)
TEST_CROWDED(too_many_requests_are_refused, crowd)
TEST(too_many_orphans_end_the_connection, orphans)
TEST(ddl_waits_until_nodes_agree, agreement)
TEST(who_does_not_prepare_is_passed_over, half_dead)
TEST(slow_nodes_come_last, latency)
TEST(after_any_misbehaviour_it_works, chaos)
TEST(closing_ends_calls, close_under_calls)
TEST(closing_waits_for_callbacks, close_under_callback)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_of_the_data_centre_are_found),
		cmocka_unit_test(a_data_centre_without_nodes_is_named),
		cmocka_unit_test(nodes_go_and_come_back),
		cmocka_unit_test(the_cluster_tells_of_new_nodes),
		cmocka_unit_test(without_any_node_calls_fail_at_once),
		cmocka_unit_test(credentials_are_checked),
		cmocka_unit_test(an_older_protocol_is_named),
		cmocka_unit_test(contacts_of_two_data_centres_are_told),
		cmocka_unit_test(a_keyspace_may_be_made_later),
		cmocka_unit_test(too_many_requests_are_refused),
		cmocka_unit_test(too_many_orphans_end_the_connection),
		cmocka_unit_test(ddl_waits_until_nodes_agree),
		cmocka_unit_test(who_does_not_prepare_is_passed_over),
		cmocka_unit_test(slow_nodes_come_last),
		cmocka_unit_test(after_any_misbehaviour_it_works),
		cmocka_unit_test(closing_ends_calls),
		cmocka_unit_test(closing_waits_for_callbacks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
