/* SPDX-License-Identifier: Apache-2.0 */
/* Requests against nodes that misbehave as scripted: what callers are told, what is sent again and where,
 * and that no answer, late or wrong, reaches anybody else. */
#include <stdlib.h>

#include "base/file.h"
#include "cql/test_node_private.h"

static struct cql_value the_value;

struct got {
	struct buf text;
	size_t rows;
};

static enum err see(struct op *op, const struct cql_row *row, void *arg)
{
	struct got *g = arg;
	g->rows++;
	buf_put(&g->text, cql_column(row, 0));
	return task_sleep(op, 1); /* rows may wait */
}

static enum err read_all(struct cluster *k, struct got *g)
{
	the_value = cql_text(STR("key"));
	struct cql_bound b = { k->read, &the_value, 1, 0 };
	k->op.deadline_us = now_us() + 10 * US_PER_SEC;
	buf_clear(&g->text);
	g->rows = 0;
	return cql_query(&k->op, k->client, &b, see, g);
}

/* ---- errors of nodes ---- */

static void run_errors(void *arg)
{
	static const struct {
		enum cql_error_code code;
		enum err expected;
	} rows[] = {
		{ CQL_ERROR_SERVER, ERR_TIMEOUT }, { CQL_ERROR_UNAVAILABLE, ERR_UNAVAILABLE },
		{ CQL_ERROR_OVERLOADED, ERR_UNAVAILABLE },
		{ CQL_ERROR_BOOTSTRAPPING, ERR_UNAVAILABLE }, { CQL_ERROR_TRUNCATE, ERR_TIMEOUT },
		{ CQL_ERROR_WRITE_TIMEOUT, ERR_TIMEOUT }, { CQL_ERROR_WRITE_FAILURE, ERR_TIMEOUT },
		{ CQL_ERROR_SYNTAX, ERR_INVALID }, { CQL_ERROR_INVALID, ERR_INVALID },
		{ CQL_ERROR_CONFIGURATION, ERR_INVALID }, { CQL_ERROR_PROTOCOL, ERR_INVALID },
		{ CQL_ERROR_UNAUTHORIZED, ERR_DENIED }, { CQL_ERROR_EXISTS, ERR_EXISTS },
		{ (enum cql_error_code)0x7777, ERR_TIMEOUT }, /* who knows */
	};
	struct cluster k = { 0 };
	(void)arg;
	cluster_start(&k, 1);
	cluster_client(&k);
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		k.step_at = k.step_count = 0;
		script_error(&k, rows[i].code);
		assert_err(write_one(&k), rows[i].expected);
	}
	k.step_at = k.step_count = 0;
	script(&k,
		(struct step){
			.kind = STEP_ERROR, .code = CQL_ERROR_INVALID, .text = "Batch too large" });
	assert_err(write_one(&k), ERR_LIMIT);
	struct got g = { 0 };
	script_error(&k, CQL_ERROR_READ_TIMEOUT);
	assert_err(read_all(&k, &g), ERR_UNAVAILABLE);
	script_error(&k, CQL_ERROR_READ_FAILURE);
	assert_err(read_all(&k, &g), ERR_UNAVAILABLE);
	/* one connection served all of it, beside the one that listens */
	assert_int_equal(k.connections, 2);
	assert_ok(write_one(&k));
	struct cql_counters n = cql_counters(k.client);
	assert_int_equal(n.uncertain, 5);
	buf_done(&g.text);
	cluster_stop(&k);
}

static void run_next_node(void *arg)
{
	struct cluster k = { 0 };
	(void)arg;
	cluster_start(&k, 2);
	cluster_client(&k);
	while (cql_counters(k.client).connections < 2)
		assert_ok(task_sleep(&k.op, US_PER_MS));
	/* the second node gets the same with the same stamp, and what was uncertain is settled */
	script_error(&k, CQL_ERROR_WRITE_TIMEOUT);
	assert_ok(write_one(&k));
	assert_int_equal(k.taken_count, 2);
	assert_true(k.taken[0].node != k.taken[1].node);
	assert_true(k.taken[0].stamp_us != 0 && k.taken[0].stamp_us == k.taken[1].stamp_us);
	/* timeouts of replicas are asked elsewhere once, not for ever */
	script_error(&k, CQL_ERROR_WRITE_TIMEOUT);
	script_error(&k, CQL_ERROR_UNAVAILABLE);
	assert_err(write_one(&k), ERR_TIMEOUT);
	/* stamps grow */
	assert_true(k.taken[2].stamp_us > k.taken[0].stamp_us);
	cluster_stop(&k);
}

static void run_fallback(void *arg)
{
	struct cluster k = { 0 };
	struct got g = { 0 };
	(void)arg;
	cluster_start(&k, 1);
	k.settings.fallback[CQL_READ] = CQL_AT_ONE;
	k.settings.page_size = 1;
	cluster_client(&k);
	script_error(&k, CQL_ERROR_UNAVAILABLE);
	script(&k, (struct step){ .kind = STEP_ROWS, .text = "a", .more = "p2" });
	/* the second page: at the primary level, and it never falls back */
	script_error(&k, CQL_ERROR_UNAVAILABLE);
	assert_err(read_all(&k, &g), ERR_UNAVAILABLE);
	assert_int_equal(k.taken_count, 3);
	assert_int_equal(k.taken[0].consistency, CQL_AT_LOCAL_QUORUM);
	assert_int_equal(k.taken[1].consistency, CQL_AT_ONE);
	assert_false(k.taken[1].has_page_state);
	assert_int_equal(k.taken[2].consistency, CQL_AT_LOCAL_QUORUM);
	assert_true(k.taken[2].has_page_state);
	assert_int_equal(cql_counters(k.client).fallbacks, 1);
	/* after the pause the primary is probed, and its success ends it */
	assert_ok(task_sleep(&k.op, 60 * US_PER_MS));
	script(&k, (struct step){ .kind = STEP_ROWS, .text = "b" });
	assert_ok(read_all(&k, &g));
	assert_int_equal(k.taken[3].consistency, CQL_AT_LOCAL_QUORUM);
	script(&k, (struct step){ .kind = STEP_ROWS, .text = "b" });
	assert_ok(read_all(&k, &g));
	assert_int_equal(k.taken[4].consistency, CQL_AT_LOCAL_QUORUM);
	/* writes are a class of their own, without a fallback here */
	script_error(&k, CQL_ERROR_UNAVAILABLE);
	assert_err(write_one(&k), ERR_UNAVAILABLE);
	buf_done(&g.text);
	cluster_stop(&k);
}

/* ---- answers that are none ---- */

static void run_broken_streams(void *arg)
{
	static const enum step_kind kinds[] = { STEP_CLOSE, STEP_HALF, STEP_STREAM, STEP_HUGE,
		STEP_VERSION, STEP_COMPRESSED };
	struct cluster k = { 0 };
	(void)arg;
	cluster_start(&k, 1);
	cluster_client(&k);
	for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
		script(&k, (struct step){ .kind = kinds[i] });
		k.settings.request_us = US_PER_SEC;
		assert_err(write_one(&k), ERR_TIMEOUT);
		/* connected again soon, whatever it was */
		enum err e = ERR_UNAVAILABLE;
		for (int j = 0; j < 500 && e != ERR_NONE; j++) {
			e = write_one(&k);
			if (e != ERR_NONE)
				assert_ok(task_sleep(&k.op, 10 * US_PER_MS));
		}
		assert_ok(e);
	}
	script(&k, (struct step){ .kind = STEP_BAD_BODY });
	assert_err(write_one(&k), ERR_TIMEOUT);
	assert_ok(write_one(&k));
	cluster_stop(&k);
}

static void run_too_big(void *arg)
{
	struct cluster k = { 0 };
	struct got g = { 0 };
	(void)arg;
	cluster_start(&k, 1);
	k.settings.dial.answer_max = 100000;
	cluster_client(&k);
	script(&k, (struct step){ .kind = STEP_BIG });
	assert_err(read_all(&k, &g), ERR_LIMIT);
	script(&k, (struct step){ .kind = STEP_BIG });
	assert_err(write_one(&k), ERR_TIMEOUT); /* it may say anything */
	/* it was dropped, the connection is as it was */
	script(&k, (struct step){ .kind = STEP_ROWS, .text = "x" });
	assert_ok(read_all(&k, &g));
	assert_int_equal(k.connections, 2);
	buf_done(&g.text);
	cluster_stop(&k);
}

static void run_silence(void *arg)
{
	struct cluster k = { 0 };
	(void)arg;
	cluster_start(&k, 1);
	k.settings.request_us = 50 * US_PER_MS;
	cluster_client(&k);
	assert_ok(write_one(&k));
	script(&k, (struct step){ .kind = STEP_SILENT });
	assert_err(write_one(&k), ERR_TIMEOUT);
	assert_int_equal(cql_counters(k.client).in_flight, 1); /* its stream id stays taken */
	/* the late answer goes to nobody, and frees it */
	script(&k, (struct step){ .kind = STEP_OLD });
	assert_ok(write_one(&k));
	assert_int_equal(cql_counters(k.client).in_flight, 0);
	cluster_stop(&k);
}

static enum err write_one_alone(struct cluster *k)
{
	struct op op = test_op(10 * US_PER_SEC);
	struct cql_value v = cql_text(STR("key"));
	struct cql_bound b = { k->write, &v, 1, 0 };
	return cql_execute(&op, k->client, &b);
}

static void write_and_end(void *arg)
{
	assert_err(write_one_alone(arg), ERR_CANCELLED);
}

static void run_cancelled(void *arg)
{
	struct cluster k = { 0 };
	(void)arg;
	cluster_start(&k, 1);
	cluster_client(&k);
	assert_ok(write_one(&k));
	script(&k, (struct step){ .kind = STEP_SILENT });
	struct task_handle t = task_start("writer", write_and_end, &k);
	while (k.taken_count < 2)
		assert_ok(task_sleep(&k.op, US_PER_MS));
	task_cancel(t);
	while (task_is_alive(t))
		assert_ok(task_sleep(&k.op, US_PER_MS));
	script(&k, (struct step){ .kind = STEP_OLD });
	assert_ok(write_one(&k));
	cluster_stop(&k);
}

static void write_until_cancelled(void *arg)
{
	while (write_one_alone(arg) != ERR_CANCELLED)
		;
}

static void run_cancelled_anywhere(void *arg)
{
	(void)arg;
	for (int64_t after_us = 0; after_us < 6000; after_us += 150) {
		struct cluster k = { 0 };
		cluster_start(&k, 2);
		k.settings.speculation_us = 300;
		k.settings.speculation_times = 1;
		cluster_client(&k);
		script_error(&k, CQL_ERROR_OVERLOADED);
		script_error(&k, CQL_ERROR_UNPREPARED);
		script(&k, (struct step){ .kind = STEP_SILENT });
		script(&k, (struct step){ .kind = STEP_CLOSE });
		struct task_handle t = task_start("writer", write_until_cancelled, &k);
		assert_ok(task_sleep(&k.op, after_us));
		task_cancel(t);
		while (task_is_alive(t))
			assert_ok(task_sleep(&k.op, 100));
		cluster_stop(&k);
	}
}

static void run_heartbeat(void *arg)
{
	struct cluster k = { .is_mute = true };
	(void)arg;
	cluster_start(&k, 1);
	k.settings.dial.heartbeat_us = 20 * US_PER_MS;
	k.settings.dial.idle_us = 40 * US_PER_MS;
	cluster_client(&k);
	/* the node does not answer heart beats: both connections are made anew */
	while (k.connections < 4)
		assert_ok(task_sleep(&k.op, 5 * US_PER_MS));
	cluster_stop(&k);
}

/* ---- statements and pages ---- */

static void run_unprepared(void *arg)
{
	struct cluster k = { 0 };
	(void)arg;
	cluster_start(&k, 1);
	cluster_client(&k);
	assert_ok(write_one(&k));
	size_t before = k.prepares;
	script_error(&k, CQL_ERROR_UNPREPARED);
	assert_ok(write_one(&k));
	assert_int_equal(k.prepares, before + 1);
	/* a node that never learns */
	for (int i = 0; i < 10; i++)
		script_error(&k, CQL_ERROR_UNPREPARED);
	assert_err(write_one(&k), ERR_UNAVAILABLE);
	cluster_stop(&k);
}

static void run_pages(void *arg)
{
	struct cluster k = { 0 };
	struct got g = { 0 };
	(void)arg;
	cluster_start(&k, 1);
	k.settings.page_size = 1;
	cluster_client(&k);
	script(&k, (struct step){ .kind = STEP_ROWS, .text = "a", .more = "p2" });
	script(&k, (struct step){ .kind = STEP_ROWS, .text = "b", .more = "p3" });
	script(&k, (struct step){ .kind = STEP_ROWS, .text = "c" });
	assert_ok(read_all(&k, &g));
	assert_str(buf_str(&g.text), STR("abc"));
	assert_int_equal(k.taken_count, 3);
	assert_true(!k.taken[0].has_page_state && k.taken[2].has_page_state);
	buf_done(&g.text);
	cluster_stop(&k);
}

static void run_wrong_count(void *arg)
{
	struct cluster k = { 0 };
	(void)arg;
	cluster_start(&k, 1);
	cluster_client(&k);
	struct cql_value two[2] = { cql_null(), cql_null() };
	struct cql_bound b = { k.write, two, 2, 0 };
	assert_err(cql_execute(&k.op, k.client, &b), ERR_INVALID);
	assert_int_equal(k.taken_count, 0);
	cluster_stop(&k);
}

static void run_batch(void *arg)
{
	struct cluster k = { 0 };
	struct cql_bound items[20];
	(void)arg;
	cluster_start(&k, 1);
	cluster_client(&k);
	the_value = cql_text(STR("key"));
	for (size_t i = 0; i < ARRAY_COUNT(items); i++)
		items[i] = (struct cql_bound){ k.write, &the_value, 1, 4711 };
	assert_ok(cql_batch(&k.op, k.client, items, ARRAY_COUNT(items), true));
	assert_int_equal(k.taken_count, 1);
	assert_int_equal(k.taken[0].opcode, CQL_OP_BATCH);
	assert_int_equal(k.taken[0].stamp_us, 4711);
	assert_ok(cql_batch(&k.op, k.client, NULL, 0, true));
	cluster_stop(&k);
}

TEST(errors_have_their_classes, errors)
TEST(another_node_gets_the_same_with_the_same_stamp, next_node)
TEST(fallback_follows_the_sheet, fallback)
TEST(what_is_no_answer_ends_the_connection, broken_streams)
TEST(an_answer_above_the_limit_is_dropped, too_big)
TEST(a_late_answer_reaches_nobody, silence)
TEST(a_cancelled_caller_leaves_nothing_behind, cancelled)
TEST(a_caller_may_be_cancelled_at_any_time, cancelled_anywhere)
TEST(who_misses_heart_beats_is_left, heartbeat)
TEST(forgotten_statements_are_prepared_again, unprepared)
TEST(pages_follow_each_other, pages)
TEST(values_are_counted_before_they_are_sent, wrong_count)
TEST(a_batch_has_one_stamp, batch)

static void run_figures(void *arg)
{
	struct cluster k = { 0 };
	char dir[] = "/tmp/cql-test-XXXXXX";
	AUTO_BUF(text, 0);
	(void)arg;
	assert_non_null(mkdtemp(dir));
	cluster_start(&k, 1);
	k.settings.metrics_path = str_printf(&k.arena, "%s/figures", dir);
	cluster_client(&k);
	script(&k, (struct step){ .kind = STEP_VOID });
	script_error(&k, CQL_ERROR_WRITE_TIMEOUT);
	assert_ok(write_one(&k));
	assert_err(write_one(&k), ERR_TIMEOUT);
	while (file_read(&k.op, k.settings.metrics_path.p, 1 << 20, &text) != ERR_NONE)
		assert_ok(task_sleep(&k.op, 10 * US_PER_MS));
	struct str s = buf_str(&text);
	assert_true(str_starts(s, STR("{\"requests\":{\"min\":")));
	assert_true(str_ends(s, STR("]}}}\n")));
	assert_true(str_find(s, STR("\"queries\":{\"sent\":2,\"recv_ok\":1")) > 0);
	assert_true(str_find(s, STR("\"recv_err_server_timeout\":1")) > 0);
	assert_true(str_find(s, STR("\"write\":{\"count\":2,\"errors\":1")) > 0);
	cluster_stop(&k);
	assert_ok(file_remove_tree(&k.op, dir));
}
TEST(figures_are_written_as_json, figures)

/* What `act` makes the log say. */
static struct str logged(struct cluster *k, void (*act)(struct cluster *k))
{
	char path[] = "/tmp/cql-test-XXXXXX";
	AUTO_BUF(text, 0);
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	assert_ok(event_log_open(&k->op, "json", str_from(path), EVENT_DEBUG, EVENT_FATAL));
	act(k);
	event_log_close();
	assert_ok(file_read(&k->op, path, 1 << 20, &text));
	assert_int_equal(unlink(path), 0);
	return buf_dup(k->op.arena, &text);
}

static size_t times(struct str text, struct str word)
{
	size_t n = 0;
	for (ssize_t at; (at = str_find(text, word)) >= 0; n++)
		text = str_slice(text, (size_t)at + word.n, text.n);
	return n;
}

static void work_and_fail(struct cluster *k)
{
	script(k, (struct step){ .kind = STEP_VOID });
	script_error(k, CQL_ERROR_INVALID);
	assert_ok(write_one(k));
	assert_err(write_one(k), ERR_INVALID);
}

/* The event has what the sheet lists, and no values. */
static void run_event(void *arg)
{
	struct cluster k = { 0 };
	(void)arg;
	cluster_start(&k, 1);
	k.settings.logs_queries = true;
	k.settings.warn_us = 1; /* both are slow, one line says so */
	cluster_client(&k);
	struct str text = logged(&k, work_and_fail);
	static const char *const parts[] = { "sql_query_finished", "\"sql_driver\":\"cassandra\"",
		"\"query_first_word\":\"INSERT\"", "\"consistency\":\"local-quorum\"",
		"\"error_code\":\"invalid\"", "\"error_consistency\":\"local-quorum\"",
		"scripted" };
	for (size_t i = 0; i < ARRAY_COUNT(parts); i++)
		if (times(text, str_from(parts[i])) == 0)
			fail_msg("no %s in %.*s", parts[i], STRF(text));
	assert_int_equal(times(text, STR("\"key\"")), 0);
	assert_int_equal(times(text, STR("cql_query_slow")), 1);
	assert_int_equal(cql_counters(k.client).slow, 2);
	cluster_stop(&k);
}
TEST(the_event_tells_what_the_sheet_lists, event)

static void fail_and_work(struct cluster *k)
{
	for (int i = 0; i < 5; i++) {
		k->step_at = k->step_count = 0;
		for (int failing = 0; failing < 3; failing++)
			script_error(k, CQL_ERROR_OVERLOADED);
		for (int failing = 0; failing < 3; failing++)
			assert_err(write_one(k), ERR_UNAVAILABLE);
		assert_ok(write_one(k));
	}
}

/* That it is down, and up again, is told once though it comes and goes. */
static void run_flapping(void *arg)
{
	struct cluster k = { 0 };
	(void)arg;
	cluster_start(&k, 1);
	cluster_client(&k);
	struct str text = logged(&k, fail_and_work);
	assert_int_equal(times(text, STR("cql_store_down")), 1);
	assert_int_equal(times(text, STR("cql_store_up")), 1);
	cluster_stop(&k);
}
TEST(outages_that_come_and_go_are_told_once, flapping)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_have_their_classes),
		cmocka_unit_test(another_node_gets_the_same_with_the_same_stamp),
		cmocka_unit_test(fallback_follows_the_sheet),
		cmocka_unit_test(what_is_no_answer_ends_the_connection),
		cmocka_unit_test(an_answer_above_the_limit_is_dropped),
		cmocka_unit_test(a_late_answer_reaches_nobody),
		cmocka_unit_test(a_cancelled_caller_leaves_nothing_behind),
		cmocka_unit_test(a_caller_may_be_cancelled_at_any_time),
		cmocka_unit_test(who_misses_heart_beats_is_left),
		cmocka_unit_test(forgotten_statements_are_prepared_again),
		cmocka_unit_test(pages_follow_each_other),
		cmocka_unit_test(values_are_counted_before_they_are_sent),
		cmocka_unit_test(a_batch_has_one_stamp),
		cmocka_unit_test(figures_are_written_as_json),
		cmocka_unit_test(the_event_tells_what_the_sheet_lists),
		cmocka_unit_test(outages_that_come_and_go_are_told_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
