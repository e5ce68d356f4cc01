/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of a client: from the configuration (cassandra_*, ssl_client_*), or from a text in tests. */
#include <unistd.h>

#include "config/config.h"
#include "config/expand.h"
#include "cql/cql_private.h"
#include "net/tls.h"

#define ANSWER_MAX     (size_t)(64 * 1024 * 1024)
#define CONTACTS_MAX   64
#define IDLE_US        (60 * US_PER_SEC)
#define CREDENTIAL_MAX 1024
#define TIME_MAX_US    (24 * 3600 * US_PER_SEC)

static void init(struct cql_settings *s)
{
	arena_init(&s->arena, 0);
	s->contacts = ARENA_NEW_ARRAY(&s->arena, struct str, CONTACTS_MAX);
	s->port = 9042;
	s->request_us = 60 * US_PER_SEC;
	s->warn_us = 5 * US_PER_SEC;
	for (unsigned i = 0; i < CQL_CLASS_COUNT; i++)
		s->primary[i] = s->fallback[i] = CQL_AT_LOCAL_QUORUM;
	s->primary[CQL_QUORUM] = s->fallback[CQL_QUORUM] = CQL_AT_EACH_QUORUM;
	s->dial = (struct cql_dial){ .connect_us = 5 * US_PER_SEC,
		.heartbeat_us = 30 * US_PER_SEC,
		.idle_us = IDLE_US,
		.answer_max = ANSWER_MAX };
}

void cql_settings_done(struct cql_settings *s)
{
	tls_context_unref(s->tls);
	arena_done(&s->arena);
}

static enum err add_contact(struct op *op, struct cql_settings *s, struct str contact)
{
	if (contact.n == 0)
		return ERR_NONE;
	if (s->contact_count == CONTACTS_MAX)
		return op_fail(
			op, ERR_INVALID, "cassandra_hosts names more than %d nodes", CONTACTS_MAX);
	s->contacts[s->contact_count++] = str_dup(&s->arena, contact);
	return ERR_NONE;
}

enum err cql_settings_parse(
	struct op *op, struct str hosts, struct str keyspace, struct cql_settings *out)
{
	struct str one;
	init(out);
	while (str_cut(&hosts, ',', &one))
		TRY(add_contact(op, out, str_trim(one)));
	TRY(add_contact(op, out, str_trim(hosts)));
	out->dial.keyspace = str_dup(&out->arena, keyspace);
	return out->contact_count > 0 ? ERR_NONE : op_fail(op, ERR_INVALID, "no Cassandra node");
}

/* ---- from the configuration ---- */

static const struct {
	enum config_setting primary, fallback;
	const char *name;
	bool is_read;
} classes[CQL_QUORUM] = {
	[CQL_READ] = { SET_cassandra_read_consistency, SET_cassandra_read_fallback_consistency,
		"cassandra_read_consistency", true },
	[CQL_WRITE] = { SET_cassandra_write_consistency, SET_cassandra_write_fallback_consistency,
		"cassandra_write_consistency", false },
	[CQL_DELETE] = { SET_cassandra_delete_consistency,
		SET_cassandra_delete_fallback_consistency, "cassandra_delete_consistency", false },
};

static bool is_allowed(enum cql_consistency c, bool is_read)
{
	if (is_read)
		return c != CQL_AT_ANY && c != CQL_AT_EACH_QUORUM;
	return c != CQL_AT_SERIAL && c != CQL_AT_LOCAL_SERIAL;
}

static enum err read_consistencies(
	struct op *op, const struct config_scope *scope, struct cql_settings *s)
{
	for (unsigned i = 0; i < ARRAY_COUNT(classes); i++) {
		struct str primary = config_str(scope, classes[i].primary),
			   fallback = config_str(scope, classes[i].fallback);
		bool is_sound = cql_consistency_parse(primary, &s->primary[i]);
		/* One that nobody set is that of the primary. */
		if (!config_is_set(scope, classes[i].fallback))
			s->fallback[i] = s->primary[i];
		else
			is_sound &= cql_consistency_parse(fallback, &s->fallback[i]);
		if (!is_sound || !is_allowed(s->primary[i], classes[i].is_read) ||
			!is_allowed(s->fallback[i], classes[i].is_read))
			return op_fail(op, ERR_INVALID, "%s = %.*s (fallback %.*s): not for %s",
				classes[i].name, STRF(primary), STRF(fallback),
				classes[i].is_read ? "reads" : "writes");
	}
	return ERR_NONE;
}

static bool is_weak(enum cql_consistency c)
{
	return c == CQL_AT_ANY || c == CQL_AT_ONE || c == CQL_AT_LOCAL_ONE;
}

const char *cql_settings_weak(const struct cql_settings *s)
{
	for (unsigned i = 0; i < ARRAY_COUNT(classes); i++)
		if (is_weak(s->primary[i]) || is_weak(s->fallback[i]))
			return classes[i].name;
	return NULL;
}

static enum err read_credentials(
	struct op *op, const struct config_scope *scope, struct cql_settings *s)
{
	struct str user = config_str(scope, SET_cassandra_user),
		   password = config_str(scope, SET_cassandra_password);
	if ((user.n == 0) != (password.n == 0))
		return op_fail(
			op, ERR_INVALID, "cassandra_user and cassandra_password need each other");
	if (user.n > CREDENTIAL_MAX || password.n > CREDENTIAL_MAX)
		return op_fail(op, ERR_INVALID, "cassandra_user or cassandra_password: too long");
	s->dial.user = str_dup(&s->arena, user);
	s->dial.password = str_dup(&s->arena, password);
	return ERR_NONE;
}

/* cassandra_ssl_* where it is set, else ssl_client_*. */
static struct str file_of(
	const struct config_scope *scope, enum config_setting own, enum config_setting common)
{
	struct str content = config_file(scope, own);
	return content.n > 0 ? content : config_file(scope, common);
}

static enum err read_tls(struct op *op, const struct config_scope *scope, struct cql_settings *s)
{
	struct str mode = config_str(scope, SET_cassandra_ssl);
	if (str_eq(mode, STR("no")))
		return ERR_NONE;
	struct tls_client_settings t = {
		.authorities_pem =
			file_of(scope, SET_cassandra_ssl_ca_file, SET_ssl_client_ca_file),
		.authorities_dir = config_str(scope, SET_ssl_client_ca_dir),
		.certificate = { .chain_pem = file_of(scope, SET_cassandra_ssl_cert_file,
					 SET_ssl_client_cert_file),
			.key_pem = file_of(
				scope, SET_cassandra_ssl_private_key_file, SET_ssl_client_key_file),
			.key_password = config_str(scope, SET_cassandra_ssl_private_key_password) },
		.accepts_any = !config_bool(scope, SET_ssl_client_require_valid_cert),
	};
	if (t.certificate.key_password.n == 0)
		t.certificate.key_password = config_str(scope, SET_ssl_client_key_password);
	TRY(op_within(op, tls_context_new_client_of(op, &t, &s->tls), "cassandra_ssl"));
	s->dial.tls = s->tls;
	s->dial.checks_address = str_eq(mode, STR("cert-ip")) && !t.accepts_any;
	return ERR_NONE;
}

/* "unlimited" and the like are a day: sums of times do not overflow. */
static int64_t time_of(const struct config_scope *scope, enum config_setting id)
{
	return MIN(config_time_us(scope, id), TIME_MAX_US);
}

/* Of limits 0 is none. */
static int64_t limit_of(const struct config_scope *scope, enum config_setting id)
{
	int64_t us = time_of(scope, id);
	return us > 0 ? us : TIME_MAX_US;
}

static void read_times(const struct config_scope *scope, struct cql_settings *s)
{
	s->dial.connect_us = limit_of(scope, SET_cassandra_connect_timeout);
	s->request_us = limit_of(scope, SET_cassandra_request_timeout);
	s->warn_us = time_of(scope, SET_cassandra_warn_timeout);
	s->dial.heartbeat_us = time_of(scope, SET_cassandra_heartbeat_interval);
	s->dial.idle_us = time_of(scope, SET_cassandra_idle_timeout);
	if (s->dial.idle_us == 0)
		s->dial.idle_us = IDLE_US;
	s->speculation_us = time_of(scope, SET_cassandra_execution_retry_interval);
	s->speculation_times = (unsigned)MIN(
		config_u64(scope, SET_cassandra_execution_retry_times), UINT64_C(100));
}

static enum err read_contacts(
	struct op *op, const struct config_scope *scope, struct cql_settings *s)
{
	struct config_item item;
	size_t at = 0;
	while (config_list_next(scope, SET_cassandra_hosts, &at, &item))
		TRY(add_contact(op, s, item.key));
	if (s->contact_count == 0)
		return op_fail(op, ERR_INVALID, "cassandra_hosts must name the local nodes");
	s->dial.keyspace = str_dup(&s->arena, config_str(scope, SET_cassandra_keyspace));
	if (s->dial.keyspace.n == 0)
		return op_fail(op, ERR_INVALID, "cassandra_keyspace must be set");
	s->port = config_port(scope, SET_cassandra_port);
	s->datacenter = str_dup(&s->arena, config_str(scope, SET_cassandra_datacenter));
	return ERR_NONE;
}

/* Each process writes a file of its own: hence %{pid}. */
static enum err read_metrics_path(
	struct op *op, const struct config_scope *scope, struct cql_settings *s)
{
	struct str path = config_str(scope, SET_cassandra_metrics_path);
	AUTO_ARENA(arena, 0);
	struct op own;
	op_init(&own, &arena, NULL, TIME_NEVER);
	const struct config_var pid = { STR("pid"), str_printf(&arena, "%d", (int)getpid()) };
	if (path.n == 0)
		return ERR_NONE;
	if (config_expand(&own, path, &(struct config_vars){ .items = &pid, .count = 1 }, &path) !=
			ERR_NONE ||
		str_has_nul(path))
		return op_fail(op, ERR_INVALID, "cassandra_metrics_path: %s", own.failure.text);
	s->metrics_path = str_dup(&s->arena, config_state_path(&arena, scope, path));
	return ERR_NONE;
}

enum err cql_settings_read(
	struct op *op, const struct config_scope *scope, struct cql_settings *out)
{
	uint64_t version = config_u64(scope, SET_cassandra_protocol_version);
	init(out);
	if (version != 0 && version != CQL_PROTOCOL_VERSION)
		return op_fail(op, ERR_INVALID,
			"cassandra_protocol_version = %" PRIu64 " is not supported: use 0 or 4",
			version);
	TRY(read_contacts(op, scope, out));
	TRY(read_credentials(op, scope, out));
	TRY(read_consistencies(op, scope, out));
	TRY(read_tls(op, scope, out));
	read_times(scope, out);
	out->page_size =
		(uint32_t)MIN(config_u64(scope, SET_cassandra_page_size), (uint64_t)INT32_MAX);
	out->is_latency_aware = config_bool(scope, SET_cassandra_latency_aware_routing);
	out->logs_retries = config_bool(scope, SET_cassandra_log_retries);
	out->logs_queries = config_bool(scope, SET_cassandra_debug_queries);
	return read_metrics_path(op, scope, out);
}
