/* SPDX-License-Identifier: Apache-2.0 */
/* Tests: contexts by name, tickets and the age of their keys, clients' certificates, channel binding. */
#include <sys/socket.h>

#include <openssl/ssl.h>

#include "base/clock.h"
#include "net/net.h"
#include "net/test_certificate.h"
#include "net/tls.h"
#include "task/test.h"

/* A server behind a front, and a plain OpenSSL client that may bring a session along. */
struct front {
	struct op op;
	struct arena arena;
	struct buf certificate, key, other_certificate, other_key;
	struct tls_context *one, *other, *front;
	struct stream *server;
	SSL_CTX *client_context;
	SSL *client;
	struct task_handle task;
	enum err server_result;
};

static struct tls_context *choose(void *arg, const struct address *local, struct str name)
{
	struct front *f = arg;
	(void)local;
	return str_eq(name, STR("other.test")) ? f->other : f->one;
}

static struct tls_context *new_front(struct front *f, uint8_t seed)
{
	uint8_t bytes[TLS_TICKET_SEED_BYTES] = { seed };
	return tls_context_new_front(bytes, choose, f);
}

static struct tls_context *new_context(
	struct front *f, const struct buf *certificate, const struct buf *key)
{
	struct tls_context *t;
	struct tls_settings settings = {
		.certificate = { .chain_pem = buf_str(certificate), .key_pem = buf_str(key) },
		.ask = TLS_ASK_CERTIFICATE,
		.authorities_pem = buf_str(&f->certificate),
	};
	assert_ok(tls_context_new(&f->op, &settings, &t));
	return t;
}

static void front_open(struct front *f)
{
	*f = (struct front){ 0 };
	arena_init(&f->arena, 0);
	op_init(&f->op, &f->arena, NULL, now_us() + 10 * US_PER_SEC);
	test_certificate("localhost", &f->certificate, &f->key);
	test_certificate("localhost", &f->other_certificate, &f->other_key);
	f->one = new_context(f, &f->certificate, &f->key);
	f->other = new_context(f, &f->other_certificate, &f->other_key);
	f->front = new_front(f, 1);
	f->client_context = SSL_CTX_new(TLS_client_method());
	assert_non_null(f->client_context);
}

static void front_close(struct front *f)
{
	SSL_CTX_free(f->client_context);
	tls_context_unref(f->front);
	tls_context_unref(f->one);
	tls_context_unref(f->other);
	buf_done(&f->certificate);
	buf_done(&f->key);
	buf_done(&f->other_certificate);
	buf_done(&f->other_key);
	arena_done(&f->arena);
}

static void serve(void *arg)
{
	struct front *f = arg;
	struct op op;
	op_init(&op, &f->arena, NULL, f->op.deadline_us);
	f->server_result = stream_start_tls(&op, f->server, f->front);
	if (f->server_result == ERR_NONE && stream_write(&op, f->server, STR("hello")) == ERR_NONE)
		assert_ok(stream_flush(&op, f->server));
}

/* One connection; ends with hang_up(). */
static void talk(struct front *f, const char *name, SSL_SESSION *session)
{
	int fds[2], r;
	char word[8];
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	assert_ok(stream_new(&f->op, fds[0], 10000, &f->server));
	f->client = SSL_new(f->client_context);
	assert_int_equal(SSL_set_fd(f->client, fds[1]), 1);
	SSL_set_connect_state(f->client);
	if (name)
		assert_int_equal(SSL_ctrl(f->client, SSL_CTRL_SET_TLSEXT_HOSTNAME,
					 TLSEXT_NAMETYPE_host_name, (void *)(uintptr_t)name),
			1);
	if (session)
		assert_int_equal(SSL_set_session(f->client, session), 1);
	f->task = task_start("front", serve, f);
	for (int i = 0; i < 5000; i++) {
		r = SSL_read(f->client, word, sizeof(word));
		if (r > 0)
			break;
		assert_int_equal(SSL_get_error(f->client, r), SSL_ERROR_WANT_READ);
		assert_ok(task_sleep(&f->op, US_PER_MS));
	}
	assert_int_equal(r, 5);
	while (task_is_alive(f->task))
		task_yield();
	assert_ok(f->server_result);
}

static void hang_up(struct front *f)
{
	int fd = SSL_get_fd(f->client);
	(void)SSL_shutdown(f->client); /* without it the session may not be resumed */
	SSL_free(f->client);
	close(fd);
	stream_abandon(f->server);
}

static SSL_SESSION *first_session(struct front *f)
{
	talk(f, "one.test", NULL);
	assert_false(stream_tls_is_resumed(f->server));
	SSL_SESSION *session = SSL_get1_session(f->client);
	hang_up(f);
	return session;
}

static bool is_resumed(struct front *f, const char *name, SSL_SESSION *session)
{
	talk(f, name, session);
	bool answer = stream_tls_is_resumed(f->server);
	assert_int_equal(answer, SSL_session_reused(f->client));
	hang_up(f);
	return answer;
}

/* ---- names ---- */

static void expect_certificate(struct front *f, const char *name, const struct buf *pem)
{
	char *text;
	talk(f, name, NULL);
	BIO *out = BIO_new(BIO_s_mem());
	X509 *cert = SSL_get1_peer_certificate(f->client);
	assert_int_equal(PEM_write_bio_X509(out, cert), 1);
	long n = BIO_get_mem_data(out, &text);
	assert_str(((struct str){ text, (size_t)n }), buf_str(pem));
	X509_free(cert);
	BIO_free(out);
	assert_str(stream_tls_server_name(f->server), name ? str_from(name) : STR(""));
	hang_up(f);
}

static void names_task(void *arg)
{
	struct front f;
	(void)arg;
	front_open(&f);
	expect_certificate(&f, "other.test", &f.other_certificate);
	expect_certificate(&f, "unknown.test", &f.certificate);
	expect_certificate(&f, NULL, &f.certificate);
	front_close(&f);
}

static void the_name_chooses_the_certificate(void **state)
{
	(void)state;
	test_in_task(names_task, NULL);
}

static void names_are_found_in_hellos(void **state)
{
	(void)state;
	assert_str(tls_name_in((struct str){ "\0\7\0\0\4a.bc", 9 }), STR("a.bc"));
	static const struct str bad[] = { { "", 0 }, { "\0", 1 }, { "\0\7\0\0\4a.b", 8 },
		{ "\0\7\0\0\4a.bcd", 10 }, { "\0\7\1\0\4a.bc", 9 }, { "\0\7\0\0\5a.bc", 9 },
		{ "\0\7\0\0\3a.bc", 9 }, { "\0\7\0\0\4a b\n", 9 }, { "\0\3\0\0\0", 5 } };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_str(tls_name_in(bad[i]), STR(""));
}

/* ---- tickets ---- */

static void tickets_task(void *arg)
{
	const int *version = arg;
	struct front f;
	front_open(&f);
	assert_int_equal(SSL_CTX_set_max_proto_version(f.client_context, *version), 1);
	SSL_SESSION *session = first_session(&f);
	assert_true(is_resumed(&f, "one.test", session));
	/* Not under another certificate: who it was that spoke is part of a session. */
	assert_false(is_resumed(&f, "other.test", session));
	/* Another process with the same seed, and one with another. */
	tls_context_unref(f.front);
	f.front = new_front(&f, 1);
	assert_true(is_resumed(&f, "one.test", session));
	tls_context_unref(f.front);
	f.front = new_front(&f, 2);
	assert_false(is_resumed(&f, "one.test", session));
	SSL_SESSION_free(session);
	front_close(&f);
}

static void tickets_are_good_in_every_process(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(versions); i++) {
		int version = versions[i];
		test_in_task(tickets_task, &version);
	}
}

static void ages_task(void *arg)
{
	struct front f;
	(void)arg;
	front_open(&f);
	SSL_SESSION *session = first_session(&f);
	/* The clock of OpenSSL goes on: only our keys grow old here. */
	int64_t wall_us = now_wall_us();
	for (int age = 0; age <= TLS_TICKET_OLD_PERIODS; age++) {
		assert_true(is_resumed(&f, "one.test", session));
		clock_step_wall(TLS_TICKET_PERIOD_US);
	}
	assert_false(is_resumed(&f, "one.test", session));
	clock_step_wall(wall_us - now_wall_us());
	assert_true(is_resumed(&f, "one.test", session));
	SSL_SESSION_free(session);
	front_close(&f);
}

static void keys_of_tickets_grow_old(void **state)
{
	(void)state;
	test_in_loop(&(struct loop_settings){ .is_virtual = true }, ages_task, NULL);
	clock_set_real();
}

/* ---- clients' certificates ---- */

static void use_certificate(struct front *f, const struct buf *certificate, const struct buf *key)
{
	BIO *in = BIO_new_mem_buf(certificate->p, (int)certificate->n);
	X509 *cert = PEM_read_bio_X509(in, NULL, NULL, NULL);
	BIO_free(in);
	in = BIO_new_mem_buf(key->p, (int)key->n);
	EVP_PKEY *private = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
	BIO_free(in);
	assert_int_equal(SSL_CTX_use_certificate(f->client_context, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(f->client_context, private), 1);
	X509_free(cert);
	EVP_PKEY_free(private);
}

static void peers_task(void *arg)
{
	struct front f;
	(void)arg;
	front_open(&f);
	talk(&f, "one.test", NULL);
	assert_int_equal(stream_tls_peer(f.server), TLS_PEER_NONE);
	assert_str(stream_tls_peer_name(&f.arena, f.server), STR(""));
	hang_up(&f);
	use_certificate(&f, &f.certificate, &f.key); /* is its own authority */
	talk(&f, "one.test", NULL);
	assert_int_equal(stream_tls_peer(f.server), TLS_PEER_VERIFIED);
	assert_str(stream_tls_peer_name(&f.arena, f.server), STR("localhost"));
	hang_up(&f);
	use_certificate(&f, &f.other_certificate, &f.other_key);
	SSL_SESSION *session = first_session(&f);
	talk(&f, "one.test", session);
	/* What was wrong with it stays wrong in a session that is resumed. */
	assert_true(stream_tls_is_resumed(f.server));
	assert_int_equal(stream_tls_peer(f.server), TLS_PEER_UNVERIFIED);
	assert_str(stream_tls_peer_name(&f.arena, f.server), STR(""));
	assert_non_null(strstr(stream_tls_peer_error(f.server), "certificate"));
	hang_up(&f);
	SSL_SESSION_free(session);
	front_close(&f);
}

static void certificates_of_clients_are_judged(void **state)
{
	(void)state;
	test_in_task(peers_task, NULL);
}

/* ---- channel binding: RFC 9266 ---- */

static void binding_task(void *arg)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	struct front f;
	uint8_t ours[TLS_BINDING_BYTES], theirs[TLS_BINDING_BYTES];
	(void)arg;
	front_open(&f);
	talk(&f, "one.test", NULL);
	assert_true(stream_tls_binding(f.server, ours));
	assert_int_equal(SSL_export_keying_material(f.client, theirs, sizeof(theirs), label,
				 sizeof(label) - 1, NULL, 0, 1),
		1);
	assert_memory_equal(ours, theirs, sizeof(ours));
	hang_up(&f);
	front_close(&f);
}

static void both_sides_know_the_binding(void **state)
{
	(void)state;
	test_in_task(binding_task, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_name_chooses_the_certificate),
		cmocka_unit_test(names_are_found_in_hellos),
		cmocka_unit_test(tickets_are_good_in_every_process),
		cmocka_unit_test(keys_of_tickets_grow_old),
		cmocka_unit_test(certificates_of_clients_are_judged),
		cmocka_unit_test(both_sides_know_the_binding),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
