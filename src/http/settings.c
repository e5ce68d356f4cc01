/* SPDX-License-Identifier: Apache-2.0 */
/* http/settings.c - rules of a client, from the configuration.
 *
 * The settings' own defaults are those of a plain client (one connection, one attempt); object stores have
 * others (sheet storage §9.1). So a value counts where somebody set it. "unlimited" sizes of headers are ours:
 * no input is without a limit.
 *
 * One default is not the sheet's: connections are kept for 30 s instead of 1. Mail comes in sparsely, and a
 * handshake costs more than the request. A connection that the server closed meanwhile is noticed before it is
 * used, or repeated on a new one with the caller told (maybe_repeated); 30 s is below what firewalls forget. */
#include "config/config.h"
#include "http/http_private.h"

struct http_settings http_settings_default(void)
{
	const int64_t timeout = 10 * US_PER_SEC;
	return (struct http_settings){
		.timeout_us = { timeout, timeout, timeout },
		.connect_timeout_us = 5 * US_PER_SEC,
		.attempts_max = { 5, 5, 5 },
		.connect_attempts_max = 3,
		.connect_backoff_us = 100 * US_PER_MS,
		.connect_backoff_max_us = US_PER_SEC,
		.retry_us = 50 * US_PER_MS,
		.retry_max_us = 10 * US_PER_SEC,
		.redirects_max = 2,
		.connections_max = 10,
		.idle_max_us = 30 * US_PER_SEC,
		.dns_ttl_us = 30 * 60 * US_PER_SEC,
		.header_bytes_max = 256 * 1024,
		.header_line_max = 64 * 1024,
		.header_count_max = 500,
		.slow_warning_us = 5 * US_PER_SEC,
		.sends_trace_headers = true,
		.breaker_failures = 8,
		.breaker_us = US_PER_SEC,
		.breaker_max_us = 30 * US_PER_SEC,
	};
}

static int64_t time_of(
	const struct config_scope *scope, enum config_setting id, int64_t otherwise_us)
{
	if (!config_is_set(scope, id))
		return otherwise_us;
	int64_t us = config_time_us(scope, id);
	return us == CONFIG_TIME_INFINITE ? 0 : us;
}

static unsigned count_of(
	const struct config_scope *scope, enum config_setting id, unsigned otherwise, unsigned max)
{
	return config_is_set(scope, id) ? (unsigned)MIN(config_u64(scope, id), max) : otherwise;
}

static void read_times(const struct config_scope *scope, struct http_settings *s)
{
	static const enum config_setting classes[HTTP_CLASS_COUNT] = {
		SET_http_client_read_request_timeout,
		SET_http_client_write_request_timeout,
		SET_http_client_delete_request_timeout,
	};
	for (unsigned i = 0; i < HTTP_CLASS_COUNT; i++) {
		int64_t us = time_of(scope, SET_http_client_request_timeout, s->timeout_us[i]);
		s->timeout_us[i] = time_of(scope, classes[i], us);
	}
	s->absolute_timeout_us =
		time_of(scope, SET_http_client_request_absolute_timeout, s->absolute_timeout_us);
	s->connect_timeout_us =
		time_of(scope, SET_http_client_connect_timeout, s->connect_timeout_us);
	s->connect_backoff_us =
		time_of(scope, SET_http_client_connect_backoff_time, s->connect_backoff_us);
	s->connect_backoff_max_us =
		time_of(scope, SET_http_client_connect_backoff_max_time, s->connect_backoff_max_us);
	s->idle_max_us = time_of(scope, SET_http_client_max_idle_time, s->idle_max_us);
	s->dns_ttl_us = time_of(scope, SET_http_client_dns_ttl, s->dns_ttl_us);
	s->slow_warning_us = config_time_us(scope, SET_fs_http_slow_warning);
	if (s->slow_warning_us == CONFIG_TIME_INFINITE)
		s->slow_warning_us = 0;
}

static void read_counts(const struct config_scope *scope, struct http_settings *s)
{
	static const enum config_setting classes[HTTP_CLASS_COUNT] = {
		SET_http_client_read_request_max_attempts,
		SET_http_client_write_request_max_attempts,
		SET_http_client_delete_request_max_attempts,
	};
	bool may_retry = config_bool(scope, SET_http_client_auto_retry);
	for (unsigned i = 0; i < HTTP_CLASS_COUNT; i++) {
		unsigned n = count_of(scope, SET_http_client_request_max_attempts,
			s->attempts_max[i], HTTP_ATTEMPTS_MAX);
		n = count_of(scope, classes[i], n, HTTP_ATTEMPTS_MAX);
		s->attempts_max[i] = may_retry ? n : 1;
	}
	s->connect_attempts_max = count_of(scope, SET_http_client_max_connect_attempts,
		s->connect_attempts_max, HTTP_ATTEMPTS_MAX);
	s->redirects_max = count_of(
		scope, SET_http_client_request_max_redirects, s->redirects_max, HTTP_ATTEMPTS_MAX);
	if (!config_bool(scope, SET_http_client_auto_redirect))
		s->redirects_max = 0;
	s->connections_max = MAX(1, count_of(scope, SET_http_client_max_parallel_connections,
					    s->connections_max, 10000));
	s->header_count_max = count_of(scope, SET_http_client_response_hdr_max_fields,
		s->header_count_max, s->header_count_max);
	s->header_bytes_max =
		MIN(config_size(scope, SET_http_client_response_hdr_max_size), s->header_bytes_max);
	s->header_line_max = MIN(config_size(scope, SET_http_client_response_hdr_max_field_size),
		s->header_line_max);
	s->reason_max = (size_t)MIN(config_u64(scope, SET_fs_http_reason_header_max_length), 4096);
}

static void read_headers(
	struct arena *arena, const struct config_scope *scope, struct http_settings *s)
{
	struct config_item item;
	size_t added = 0, logged = 0;
	for (size_t at = 0; config_list_next(scope, SET_fs_http_add_headers, &at, &item);)
		added++;
	for (size_t at = 0; config_list_next(scope, SET_fs_http_log_headers, &at, &item);)
		logged++;
	struct http_header *add = ARENA_NEW_ARRAY(arena, struct http_header, added);
	struct str *log = ARENA_NEW_ARRAY(arena, struct str, logged);
	for (size_t at = 0; config_list_next(scope, SET_fs_http_add_headers, &at, &item);)
		add[s->add_header_count++] = (struct http_header){ item.key, item.value };
	for (size_t at = 0; config_list_next(scope, SET_fs_http_log_headers, &at, &item);)
		log[s->log_header_count++] = item.key;
	s->add_headers = add;
	s->log_headers = log;
}

enum err http_settings_read(
	struct op *op, const struct config_scope *scope, struct http_settings *out)
{
	struct http_settings s = http_settings_default();
	read_times(scope, &s);
	read_counts(scope, &s);
	read_headers(op->arena, scope, &s);
	s.user_agent = config_str(scope, SET_http_client_user_agent);
	s.sends_trace_headers = config_bool(scope, SET_fs_http_log_trace_headers);
	s.ca_pem = config_file(scope, SET_ssl_client_ca_file);
	s.ca_dir = config_str(scope, SET_ssl_client_ca_dir);
	s.cert_pem = config_file(scope, SET_ssl_client_cert_file);
	s.key_pem = config_file(scope, SET_ssl_client_key_file);
	s.key_password = config_str(scope, SET_ssl_client_key_password);
	s.accepts_any_cert = !config_bool(scope, SET_ssl_client_require_valid_cert);
	s.tls_min_protocol = config_str(scope, SET_ssl_min_protocol);
	if (s.ca_pem.n == 0 && config_str(scope, SET_ssl_client_ca_file).n > 0)
		return op_fail(op, ERR_INVALID, "ssl_client_ca_file %.*s is empty or was not read",
			STRF(config_str(scope, SET_ssl_client_ca_file)));
	*out = s;
	return ERR_NONE;
}
