/* SPDX-License-Identifier: Apache-2.0 */
/* Settings: what the configuration says is what the client does, and what cannot be is named. */
#include "config/config.h"
#include "cql/cql_private.h"

#include "base/test.h"

struct world {
	struct arena arena;
	struct op op;
	struct config *config;
	struct cql_settings settings;
};

static enum err read_text(struct world *w, const char *text)
{
	struct config_problems problems;
	arena_init(&w->arena, 0);
	op_init(&w->op, &w->arena, NULL, TIME_NEVER);
	struct config_load_args args = { .text = str_printf(&w->arena,
						 "dovecot_config_version = 3.1.0\n"
						 "dovecot_storage_version = 3.1.0\n%s",
						 text) };
	assert_ok(config_load(&w->op, &args, &problems, &w->config));
	w->settings = (struct cql_settings){ 0 };
	return cql_settings_read(&w->op, config_scope(w->config, NULL), &w->settings);
}

static void done(struct world *w)
{
	cql_settings_done(&w->settings);
	config_unref(w->config);
	arena_done(&w->arena);
}

#define NEEDED "cassandra_hosts = a b:9142\ncassandra_keyspace = mails\n"

static void defaults_are_those_of_the_sheet(void **state)
{
	struct world w;
	(void)state;
	assert_ok(read_text(&w, NEEDED));
	const struct cql_settings *s = &w.settings;
	assert_int_equal(s->contact_count, 2);
	assert_str(s->contacts[0], STR("a"));
	assert_str(s->contacts[1], STR("b:9142"));
	assert_int_equal(s->port, 9042);
	assert_str(s->dial.keyspace, STR("mails"));
	assert_true(s->dial.connect_us == 5 * US_PER_SEC && s->request_us == 60 * US_PER_SEC &&
		    s->warn_us == 5 * US_PER_SEC && s->dial.heartbeat_us == 30 * US_PER_SEC &&
		    s->dial.idle_us == 60 * US_PER_SEC);
	assert_true(s->page_size == 0 && s->speculation_us == 0 && s->speculation_times == 0);
	for (unsigned i = 0; i < CQL_QUORUM; i++)
		assert_true(s->primary[i] == CQL_AT_LOCAL_QUORUM &&
			    s->fallback[i] == CQL_AT_LOCAL_QUORUM);
	assert_true(s->primary[CQL_QUORUM] == CQL_AT_EACH_QUORUM);
	assert_null(s->dial.tls);
	done(&w);
}

static void everything_can_be_set(void **state)
{
	struct world w;
	(void)state;
	assert_ok(read_text(&w, NEEDED "cassandra_port = 9999\n"
				       "cassandra_user = me\ncassandra_password = secret\n"
				       "cassandra_write_consistency = each-quorum\n"
				       "cassandra_write_fallback_consistency = local-quorum\n"
				       "cassandra_read_consistency = two\n"
				       "cassandra_idle_timeout = 5s\n"
				       "cassandra_page_size = 500\n"
				       "cassandra_protocol_version = 4\n"
				       "cassandra_execution_retry_interval = 500ms\n"
				       "cassandra_execution_retry_times = 3\n"
				       "cassandra_datacenter = west\n"
				       "cassandra_latency_aware_routing = yes\n"
				       "ssl_client_require_valid_cert = no\n"
				       "cassandra_ssl = cert-ip\n"));
	const struct cql_settings *s = &w.settings;
	assert_int_equal(s->port, 9999);
	assert_str(s->dial.user, STR("me"));
	assert_str(s->dial.password, STR("secret"));
	assert_true(s->primary[CQL_WRITE] == CQL_AT_EACH_QUORUM &&
		    s->fallback[CQL_WRITE] == CQL_AT_LOCAL_QUORUM);
	/* a fallback that nobody set is none */
	assert_true(s->primary[CQL_READ] == CQL_AT_TWO && s->fallback[CQL_READ] == CQL_AT_TWO);
	assert_true(s->dial.idle_us == 5 * US_PER_SEC && s->page_size == 500);
	assert_true(s->speculation_us == 500 * US_PER_MS && s->speculation_times == 3);
	assert_str(s->datacenter, STR("west"));
	assert_non_null(s->dial.tls);
	assert_false(s->dial.checks_address); /* nothing is checked */
	done(&w);
}

static void what_cannot_be_is_named(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "cassandra_keyspace = mails\n", "cassandra_hosts" },
		{ "cassandra_hosts = a\n", "cassandra_keyspace" },
		{ NEEDED "cassandra_user = me\n", "cassandra_password" },
		{ NEEDED "cassandra_protocol_version = 3\n", "cassandra_protocol_version" },
		{ NEEDED "cassandra_read_consistency = each-quorum\n", "not for reads" },
		{ NEEDED "cassandra_delete_consistency = serial\n",
			"cassandra_delete_consistency" },
		{ NEEDED "cassandra_write_fallback_consistency = local-serial\n",
			"not for writes" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct world w;
		assert_err(read_text(&w, rows[i].text), ERR_INVALID);
		assert_non_null(strstr(w.op.failure.text, rows[i].says));
		done(&w);
	}
}

static void weak_consistencies_are_noticed(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ NEEDED, NULL },
		{ NEEDED "cassandra_read_consistency = two\n", NULL },
		{ NEEDED "cassandra_read_consistency = one\n", "cassandra_read_consistency" },
		{ NEEDED "cassandra_read_fallback_consistency = local-one\n",
			"cassandra_read_consistency" },
		{ NEEDED "cassandra_write_fallback_consistency = any\n",
			"cassandra_write_consistency" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct world w;
		assert_ok(read_text(&w, rows[i].text));
		const char *says = cql_settings_weak(&w.settings);
		assert_true(rows[i].says ? says && strcmp(says, rows[i].says) == 0 : !says);
		done(&w);
	}
}

static void zero_is_no_limit(void **state)
{
	struct world w;
	(void)state;
	assert_ok(read_text(&w, NEEDED "cassandra_request_timeout = 0\n"
				       "cassandra_connect_timeout = 0\n"));
	assert_true(w.settings.request_us > 3600 * US_PER_SEC &&
		    w.settings.dial.connect_us > 3600 * US_PER_SEC);
	done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_the_sheet),
		cmocka_unit_test(everything_can_be_set),
		cmocka_unit_test(what_cannot_be_is_named),
		cmocka_unit_test(weak_consistencies_are_noticed),
		cmocka_unit_test(zero_is_no_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
