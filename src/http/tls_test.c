/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a client believes, and the configuration it gets its beliefs from. */
#include "http/test_server.h"

#include <stdlib.h>

#include "base/file.h"
#include "config/config.h"
#include "http/http.h"
#include "net/test_certificate.h"

struct side {
	struct buf cert, key;
	struct tls_context *tls;
	struct test_server server;
	struct str url;
};

static const struct act acts[] = { { REPLY_OK(2, "ok") } };

static void side_open(struct op *op, struct side *s, const char *name)
{
	*s = (struct side){ .url = STR_NONE };
	test_certificate(name, &s->cert, &s->key);
	const struct tls_settings settings = {
		.certificate = { .chain_pem = buf_str(&s->cert), .key_pem = buf_str(&s->key) },
	};
	assert_ok(tls_context_new(op, &settings, &s->tls));
	test_server_open(&s->server, s->tls, acts, 1);
	s->url = str_printf(op->arena, "https://localhost:%u/", s->server.port);
}

static void side_close(struct side *s)
{
	test_server_close(&s->server);
	tls_context_unref(s->tls);
	buf_done(&s->cert);
	buf_done(&s->key);
}

static enum err ask(struct op *op, const struct http_settings *settings, struct str url)
{
	struct http_client *c;
	struct http_answer a;
	const struct http_request request = { .method = STR("GET"), .url = url, .answer_max = 9 };
	assert_ok(http_client_open_with(op, settings, "test", &c));
	op_forgive(op);
	enum err e = http_request(op, c, &request, &a);
	if (e == ERR_NONE)
		e = http_request(op, c, &request, &a); /* on the connection that stands */
	http_client_close(c);
	return e;
}

static void run_trust(void *arg)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	struct side good, other;
	(void)arg;
	op_init(&op, &arena, NULL, now_us() + 20 * US_PER_SEC);
	side_open(&op, &good, "localhost");
	side_open(&op, &other, "other.example");
	/* The system trusts everybody here: that must not matter once an authority is named. */
	char path[] = "/tmp/pombal-http-test-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0 && write(fd, good.cert.p, good.cert.n) == (ssize_t)good.cert.n);
	close(fd);
	assert_int_equal(setenv("SSL_CERT_FILE", path, 1), 0);

	struct http_settings s = http_settings_default();
	s.attempts_max[HTTP_READ] = 1;
	assert_ok(ask(&op, &s, good.url)); /* the system's */
	assert_int_equal(good.server.connection_count, 1);
	s.ca_pem = buf_str(&good.cert);
	assert_ok(ask(&op, &s, good.url));
	s.ca_pem = buf_str(&other.cert);
	assert_err(ask(&op, &s, good.url), ERR_UNAVAILABLE);
	assert_true(strstr(op.failure.text, "certificate") != NULL);
	assert_true(strstr(op.failure.text, "see ssl_client_ca_file") != NULL);
	assert_err(ask(&op, &s, other.url), ERR_UNAVAILABLE); /* its name is another */
	assert_true(strstr(op.failure.text, "localhost") != NULL);
	s.accepts_any_cert = true;
	assert_ok(ask(&op, &s, good.url));
	assert_ok(ask(&op, &s, other.url));
	s.accepts_any_cert = false;
	s.ca_pem = STR_NONE;
	s.ca_dir = STR("/nonexistent");
	assert_err(ask(&op, &s, good.url), ERR_UNAVAILABLE);
	unlink(path);

	struct http_client *c;
	s.ca_dir = STR_NONE;
	s.ca_pem = STR("no certificate");
	assert_err(http_client_open_with(&op, &s, "test", &c), ERR_INVALID);
	struct buf broken = { .limit = 0 };
	buf_put(&broken, buf_str(&good.cert));
	buf_put(&broken, STR("-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"));
	s.ca_pem = buf_str(&broken);
	assert_err(http_client_open_with(&op, &s, "test", &c), ERR_INVALID);
	buf_done(&broken);
	side_close(&good);
	side_close(&other);
}

static void only_named_authorities_are_trusted(void **state)
{
	(void)state;
	test_in_task(run_trust, NULL);
}

static void run_downgrade(void *arg)
{
	static const struct act away[] = {
		{ STR("HTTP/1.1 307 There\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: "
		      "0\r\n\r\n") },
	};
	AUTO_ARENA(arena, 0);
	struct op op;
	struct side side;
	struct http_client *c;
	struct http_answer a;
	(void)arg;
	op_init(&op, &arena, NULL, now_us() + 20 * US_PER_SEC);
	side_open(&op, &side, "localhost");
	test_server_script(&side.server, away, 1);
	struct http_settings s = http_settings_default();
	s.ca_pem = buf_str(&side.cert);
	assert_ok(http_client_open_with(&op, &s, "test", &c));
	const struct http_request request = {
		.method = STR("GET"), .url = side.url, .answer_max = 9
	};
	assert_ok(http_request(&op, c, &request, &a));
	assert_int_equal(a.status, 307);
	assert_int_equal(a.attempts, 1);
	http_client_close(c);
	side_close(&side);
}

static void nothing_leads_from_tls_to_plain(void **state)
{
	(void)state;
	test_in_task(run_downgrade, NULL);
}

/* Asks, and waits until the server has closed the connection. */
static void ask_once(
	struct op *op, struct side *s, struct http_client *c, const struct http_request *request)
{
	struct http_answer a;
	assert_ok(http_request(op, c, request, &a));
	assert_int_equal(a.status, 200);
	while (s->server.live > 0)
		assert_ok(wait_queue_wait(op, &s->server.ended));
}

static void run_resumed(void *arg)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	struct side side;
	struct http_client *c;
	(void)arg;
	op_init(&op, &arena, NULL, now_us() + 20 * US_PER_SEC);
	side_open(&op, &side, "localhost");
	struct http_settings s = http_settings_default();
	s.ca_pem = buf_str(&side.cert);
	s.idle_max_us = 10 * US_PER_MS;
	assert_ok(http_client_open_with(&op, &s, "test", &c));
	const struct http_request request = {
		.method = STR("GET"), .url = side.url, .answer_max = 9
	};
	for (unsigned i = 0; i < 3; i++)
		ask_once(&op, &side, c, &request);
	assert_int_equal(side.server.connection_count, 3);
	assert_int_equal(side.server.resumed_count, 2);
	http_client_close(c);
	side_close(&side);
}

static void handshakes_are_resumed_after_a_rest(void **state)
{
	(void)state;
	test_in_task(run_resumed, NULL);
}

/* Kept for as long as stores want it, and closed by the server meanwhile. Its leave looks to libcurl like a sign of
 * life, so the request is written there before it goes, at once, over a new connection. */
static void run_closed(void *arg)
{
	const struct act closing[] = { { REPLY_OK(1, "x"), .then = THEN_CLOSE } };
	AUTO_ARENA(arena, 0);
	struct op op;
	struct side side;
	struct http_client *c;
	(void)arg;
	op_init(&op, &arena, NULL, now_us() + 20 * US_PER_SEC);
	side_open(&op, &side, "localhost");
	test_server_script(&side.server, closing, ARRAY_COUNT(closing));
	struct http_settings s = http_settings_default();
	assert_true(s.idle_max_us >= 20 * US_PER_SEC);
	s.ca_pem = buf_str(&side.cert);
	assert_ok(http_client_open_with(&op, &s, "test", &c));
	static char big[300000];
	const struct str bodies[] = { STR("mail"), { big, sizeof big } };
	for (unsigned i = 0; i < 20; i++) {
		const struct http_request request = { .method = STR("PUT"),
			.url = side.url,
			.parts = &bodies[i % 2],
			.part_count = 1,
			.answer_max = 9,
			.is_repeatable = true };
		ask_once(&op, &side, c, &request);
	}
	assert_int_equal(side.server.request_count, 20);
	http_client_close(c);
	side_close(&side);
}

static void connections_that_the_server_closed_do_not_matter(void **state)
{
	(void)state;
	test_in_task(run_closed, NULL);
}

static void run_shown(void *arg)
{
	AUTO_ARENA(arena, 0);
	AUTO_BUF(cert, 0);
	AUTO_BUF(key, 0);
	struct op op;
	struct side side;
	(void)arg;
	op_init(&op, &arena, NULL, now_us() + 20 * US_PER_SEC);
	side_open(&op, &side, "localhost");
	test_certificate("client.example", &cert, &key);
	const struct tls_settings strict = {
		.certificate = { .chain_pem = buf_str(&side.cert), .key_pem = buf_str(&side.key) },
		.ask = TLS_ASK_CERTIFICATE,
		.authorities_pem = buf_str(&cert),
	};
	tls_context_unref(side.tls);
	assert_ok(tls_context_new(&op, &strict, &side.tls));
	side.server.tls = side.tls;
	struct http_settings s = http_settings_default();
	s.ca_pem = buf_str(&side.cert);
	assert_ok(ask(&op, &s, side.url));
	assert_int_equal(side.server.last_peer, TLS_PEER_NONE);
	s.cert_pem = buf_str(&cert);
	s.key_pem = buf_str(&key);
	assert_ok(ask(&op, &s, side.url));
	assert_int_equal(side.server.last_peer, TLS_PEER_VERIFIED);
	side_close(&side);
}

static void certificates_of_clients_are_shown(void **state)
{
	(void)state;
	test_in_task(run_shown, NULL);
}

static struct config *load(struct op *op, const char *text)
{
	struct config *cfg;
	struct config_problems problems;
	const struct config_load_args args = { .text = str_from(text), .is_offline = true };
	assert_ok(config_load(op, &args, &problems, &cfg));
	return cfg;
}

#define CONFIG_HEAD "dovecot_config_version = 3.2.0\ndovecot_storage_version = 3.2.0\n"

static void settings_are_those_of_storage(void **state)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	struct http_settings s, d = http_settings_default();
	(void)state;
	op_init(&op, &arena, NULL, TIME_NEVER);
	struct config *cfg = load(&op, CONFIG_HEAD);
	assert_ok(http_settings_read(&op, config_scope(cfg, NULL), &s));
	assert_int_equal(s.attempts_max[HTTP_WRITE], 5);
	assert_int_equal(s.connections_max, 10);
	assert_int_equal(s.timeout_us[HTTP_READ], 10 * US_PER_SEC);
	assert_int_equal(s.slow_warning_us, 5 * US_PER_SEC);
	assert_int_equal(s.header_bytes_max, d.header_bytes_max);
	assert_true(s.sends_trace_headers && !s.accepts_any_cert);
	config_unref(cfg);

	cfg = load(&op, CONFIG_HEAD "fs_compress {\n"
				    "http_client_request_timeout = 3s\n"
				    "http_client_write_request_timeout = 4s\n"
				    "http_client_request_max_attempts = 2\n"
				    "http_client_delete_request_max_attempts = 7\n"
				    "http_client_max_parallel_connections = 33\n"
				    "http_client_response_hdr_max_fields = 9\n"
				    "http_client_auto_redirect = no\n"
				    "fs_http_slow_warning = 1s\n"
				    "fs_http_add_headers {\n X-One = 1\n X-User = %{user}\n }\n"
				    "fs_http_log_headers = x-request-id\n"
				    "ssl_client_require_valid_cert = no\n}\n");
	const struct config_scope *scope =
		config_block_get(config_scope(cfg, NULL), BLOCK_fs_compress, STR_NONE);
	assert_ok(http_settings_read(&op, scope, &s));
	assert_int_equal(s.timeout_us[HTTP_READ], 3 * US_PER_SEC);
	assert_int_equal(s.timeout_us[HTTP_WRITE], 4 * US_PER_SEC);
	assert_int_equal(s.attempts_max[HTTP_READ], 2);
	assert_int_equal(s.attempts_max[HTTP_DELETE], 7);
	assert_int_equal(s.connections_max, 33);
	assert_int_equal(s.header_count_max, 9);
	assert_int_equal(s.redirects_max, 0);
	assert_int_equal(s.slow_warning_us, US_PER_SEC);
	assert_int_equal(s.add_header_count, 2);
	assert_str(s.add_headers[1].value, STR("%{user}"));
	assert_int_equal(s.log_header_count, 1);
	assert_str(s.log_headers[0], STR("x-request-id"));
	assert_true(s.accepts_any_cert);
	config_unref(cfg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_named_authorities_are_trusted),
		cmocka_unit_test(nothing_leads_from_tls_to_plain),
		cmocka_unit_test(handshakes_are_resumed_after_a_rest),
		cmocka_unit_test(connections_that_the_server_closed_do_not_matter),
		cmocka_unit_test(certificates_of_clients_are_shown),
		cmocka_unit_test(settings_are_those_of_storage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
