/* SPDX-License-Identifier: Apache-2.0 */
/* Tests: streams over TLS: handshakes, names, data, ends, parking, settings. */
#include <sys/socket.h>

#include "net/net.h"
#include "net/test_certificate.h"
#include "net/tls.h"
#include "task/test.h"

struct tls_pair {
	struct op op;
	struct arena arena;
	struct buf certificate, key;
	struct tls_context *server_context, *client_context;
	struct stream *server, *client;
	struct task_handle server_task;
	enum err server_result;
	int64_t parked_calls;
};

static void handshake_server(void *arg)
{
	struct tls_pair *p = arg;
	struct op op;
	op_init(&op, &p->arena, NULL, p->op.deadline_us);
	p->server_result = stream_start_tls(&op, p->server, p->server_context);
}

static void tls_pair_open(struct tls_pair *p)
{
	int fds[2];
	*p = (struct tls_pair){ 0 };
	arena_init(&p->arena, 0);
	op_init(&p->op, &p->arena, NULL, now_us() + 10 * US_PER_SEC);
	test_certificate("localhost", &p->certificate, &p->key);
	struct tls_settings settings = {
		.certificate = { .chain_pem = buf_str(&p->certificate),
			.key_pem = buf_str(&p->key) },
	};
	assert_ok(tls_context_new(&p->op, &settings, &p->server_context));
	assert_ok(tls_context_new_client(&p->op, buf_str(&p->certificate), &p->client_context));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_ok(stream_new(&p->op, fds[0], 100000, &p->server));
	assert_ok(stream_new(&p->op, fds[1], 100000, &p->client));
}

static void tls_pair_close(struct tls_pair *p)
{
	stream_abandon(p->server);
	stream_abandon(p->client);
	tls_context_unref(p->server_context);
	tls_context_unref(p->client_context);
	buf_done(&p->certificate);
	buf_done(&p->key);
	arena_done(&p->arena);
}

static enum err shake_hands(struct tls_pair *p, const char *name)
{
	p->server_task = task_start("tls-server", handshake_server, p);
	enum err e = stream_connect_tls(&p->op, p->client, p->client_context, name);
	if (e != ERR_NONE) {
		stream_abandon(p->client);
		p->client = NULL;
	}
	while (task_is_alive(p->server_task))
		task_yield();
	return e;
}

static void say(struct tls_pair *p, struct stream *s, const char *text)
{
	assert_ok(stream_write(&p->op, s, str_from(text)));
	assert_ok(stream_flush(&p->op, s));
}

static void talk_task(void *arg)
{
	struct tls_pair p;
	(void)arg;
	tls_pair_open(&p);
	assert_str(stream_tls_protocol(p.server), STR(""));
	assert_ok(shake_hands(&p, "localhost"));
	assert_ok(p.server_result);
	assert_true(stream_is_tls(p.server));
	assert_str(stream_tls_protocol(p.server), STR("TLSv1.3"));
	assert_true(str_starts(stream_tls_cipher(p.server), STR("TLS_")));
	assert_str(stream_tls_server_name(p.server), STR("localhost"));

	say(&p, p.client, "a login\r\n");
	assert_ok(stream_read_more(&p.op, p.server));
	assert_str(stream_input(p.server), STR("a login\r\n"));
	stream_consume(p.server, 9);
	say(&p, p.server, "a OK\r\n");
	assert_ok(stream_read_more(&p.op, p.client));
	assert_str(stream_input(p.client), STR("a OK\r\n"));

	assert_ok(stream_close(&p.op, p.client));
	p.client = NULL;
	assert_err(stream_read_more(&p.op, p.server), ERR_NOT_FOUND);
	tls_pair_close(&p);
}

static void both_sides_talk_until_goodbye(void **state)
{
	(void)state;
	test_in_task(talk_task, NULL);
}

static void drop_task(void *arg)
{
	struct tls_pair p;
	(void)arg;
	tls_pair_open(&p);
	bool got;
	assert_ok(shake_hands(&p, "localhost"));
	assert_ok(stream_read_ready(&p.op, p.client, &got)); /* the session ticket: no reset then */
	assert_false(got);
	stream_abandon(p.client);
	p.client = NULL;
	assert_err(stream_read_more(&p.op, p.server), ERR_NOT_FOUND);
	tls_pair_close(&p);
}

static void a_dropped_connection_is_an_end(void **state)
{
	(void)state;
	test_in_task(drop_task, NULL);
}

static void wrong_name_task(void *arg)
{
	struct tls_pair p;
	(void)arg;
	tls_pair_open(&p);
	assert_err(shake_hands(&p, "mail.example.test"), ERR_UNAVAILABLE);
	assert_non_null(strstr(p.op.failure.text, "certificate verify failed"));
	tls_pair_close(&p);
}

static void a_wrong_name_is_refused(void **state)
{
	(void)state;
	test_in_task(wrong_name_task, NULL);
}

static void address_name_task(void *arg)
{
	struct tls_pair p;
	(void)arg;
	tls_pair_open(&p);
	assert_ok(shake_hands(&p, "127.0.0.1"));
	assert_str(stream_tls_server_name(p.server), STR(""));
	tls_pair_close(&p);
}

static void an_address_may_be_the_name(void **state)
{
	(void)state;
	test_in_task(address_name_task, NULL);
}

/* What a client may leave unchecked, and what it may show. */
static void client_rules_task(void *arg)
{
	struct tls_pair p;
	(void)arg;
	/* any name, but a certificate of somebody it trusts */
	tls_pair_open(&p);
	assert_ok(shake_hands(&p, NULL));
	assert_str(stream_tls_server_name(p.server), STR(""));
	tls_pair_close(&p);
	/* nobody's certificate, and one of its own */
	tls_pair_open(&p);
	tls_context_unref(p.client_context);
	tls_context_unref(p.server_context);
	struct tls_settings server = { .ask = TLS_ASK_CERTIFICATE,
		.authorities_pem = buf_str(&p.certificate),
		.certificate = {
			.chain_pem = buf_str(&p.certificate), .key_pem = buf_str(&p.key) } };
	struct tls_client_settings client = { .accepts_any = true,
		.certificate = server.certificate };
	assert_ok(tls_context_new(&p.op, &server, &p.server_context));
	assert_ok(tls_context_new_client_of(&p.op, &client, &p.client_context));
	assert_ok(shake_hands(&p, NULL));
	assert_int_equal(stream_tls_peer(p.server), TLS_PEER_VERIFIED);
	tls_pair_close(&p);
	/* signed by nobody whom the system knows */
	tls_pair_open(&p);
	tls_context_unref(p.client_context);
	client = (struct tls_client_settings){ 0 };
	assert_ok(tls_context_new_client_of(&p.op, &client, &p.client_context));
	assert_err(shake_hands(&p, NULL), ERR_UNAVAILABLE);
	tls_pair_close(&p);
}

static void a_client_has_its_own_rules(void **state)
{
	(void)state;
	test_in_task(client_rules_task, NULL);
}

static void injection_task(void *arg)
{
	struct tls_pair p;
	(void)arg;
	tls_pair_open(&p);
	say(&p, p.client, "STARTTLS\r\nRSET\r\n");
	assert_ok(stream_read_more(&p.op, p.server));
	stream_consume(p.server, 10);
	assert_err(stream_start_tls(&p.op, p.server, p.server_context), ERR_INVALID);
	/* Not read yet, it is taken for a broken handshake. */
	stream_consume(p.server, 6);
	say(&p, p.client, "RSET\r\n");
	assert_err(stream_start_tls(&p.op, p.server, p.server_context), ERR_UNAVAILABLE);
	tls_pair_close(&p);
}

static void plaintext_before_the_handshake_is_refused(void **state)
{
	(void)state;
	test_in_task(injection_task, NULL);
}

struct bulk {
	struct tls_pair pair;
	struct buf received, sent;
	struct stream *worker;
};

static void bulk_reader(void *arg)
{
	struct bulk *b = arg;
	struct op op;
	enum err e;
	op_init(&op, &b->pair.arena, NULL, b->pair.op.deadline_us);
	while ((e = stream_read_more(&op, b->pair.server)) == ERR_NONE) {
		buf_put(&b->received, stream_input(b->pair.server));
		stream_consume(b->pair.server, stream_input(b->pair.server).n);
	}
	assert_err(e, ERR_NOT_FOUND);
}

static void bulk_task(void *arg)
{
	enum { BYTES = 3 * 1000 * 1000 };
	struct bulk b = { 0 };
	(void)arg;
	tls_pair_open(&b.pair);
	assert_ok(shake_hands(&b.pair, "localhost"));
	char *big = mem_new(BYTES);
	for (size_t i = 0; i < BYTES; i++)
		big[i] = (char)(i * 11 ^ i >> 7);
	struct task_handle t = task_start("bulk-reader", bulk_reader, &b);
	assert_ok(stream_write(&b.pair.op, b.pair.client, (struct str){ big, BYTES }));
	assert_ok(stream_close(&b.pair.op, b.pair.client));
	b.pair.client = NULL;
	while (task_is_alive(t))
		assert_ok(task_sleep(&b.pair.op, 1000));
	assert_int_equal(b.received.n, BYTES);
	assert_memory_equal(b.received.p, big, BYTES);
	mem_free(big);
	buf_done(&b.received);
	tls_pair_close(&b.pair);
}

static void bulk_goes_through_whole(void **state)
{
	(void)state;
	test_in_task(bulk_task, NULL);
}

static void note_ready(void *arg)
{
	struct tls_pair *p = arg;
	p->parked_calls++;
}

static void park_task(void *arg)
{
	struct tls_pair p;
	bool got = true;
	(void)arg;
	tls_pair_open(&p);
	assert_ok(shake_hands(&p, "localhost"));
	assert_true(stream_park(p.server, note_ready, &p));
	assert_ok(task_sleep(&p.op, 5000));
	assert_int_equal(p.parked_calls, 0);
	/* Two records in one burst: both must be found before it may park again. */
	say(&p, p.client, "one");
	say(&p, p.client, "two");
	assert_ok(task_sleep(&p.op, 5000));
	assert_int_equal(p.parked_calls, 1);
	assert_ok(stream_read_ready(&p.op, p.server, &got));
	stream_consume(p.server, 3);
	assert_false(stream_park(p.server, note_ready, &p));
	assert_ok(stream_read_ready(&p.op, p.server, &got));
	assert_true(got);
	assert_str(stream_input(p.server), STR("two"));
	stream_consume(p.server, 3);
	assert_true(stream_park(p.server, note_ready, &p));
	say(&p, p.client, "three");
	assert_ok(task_sleep(&p.op, 5000));
	assert_int_equal(p.parked_calls, 2);
	tls_pair_close(&p);
}

static void a_parked_session_wakes_for_every_record(void **state)
{
	(void)state;
	test_in_task(park_task, NULL);
}

/* ---- relay: TLS client <-> socket of a worker ---- */

static bool relay_is_over;

static void note_relay_end(void *arg, const struct stream_counters *client)
{
	struct bulk *b = arg;
	relay_is_over = true;
	assert_int_equal(client->bytes_in, b->received.n);
	assert_int_equal(client->bytes_out, b->received.n);
}

static void echo_worker(void *arg)
{
	struct bulk *b = arg;
	struct op op;
	enum err e;
	op_init(&op, &b->pair.arena, NULL, b->pair.op.deadline_us);
	while ((e = stream_read_more(&op, b->worker)) == ERR_NONE) {
		assert_ok(stream_write(&op, b->worker, stream_input(b->worker)));
		stream_consume(b->worker, stream_input(b->worker).n);
	}
	assert_err(e, ERR_NOT_FOUND);
	assert_ok(stream_close(&op, b->worker));
}

static void relay_client(void *arg)
{
	struct bulk *b = arg;
	struct op op;
	op_init(&op, &b->pair.arena, NULL, b->pair.op.deadline_us);
	while (b->received.n < b->sent.n) {
		assert_ok(stream_read_more(&op, b->pair.client));
		buf_put(&b->received, stream_input(b->pair.client));
		stream_consume(b->pair.client, stream_input(b->pair.client).n);
	}
}

static void relay_task(void *arg)
{
	struct bulk b = { 0 };
	int fds[2];
	(void)arg;
	tls_pair_open(&b.pair);
	assert_ok(shake_hands(&b.pair, "localhost"));
	for (uint32_t i = 0; i < 200 * 1000; i++)
		buf_put(&b.sent, (struct str){ (const char *)&i, sizeof i });
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_ok(stream_new(&b.pair.op, fds[0], 100000, &b.worker));
	assert_ok(relay_start(&b.pair.op, b.pair.server, fds[1], note_relay_end, &b));
	b.pair.server = NULL;
	task_start("echo-worker", echo_worker, &b);
	struct task_handle t = task_start("relay-client", relay_client, &b);
	/* Small and large records, with pauses in which the relay is parked. */
	struct str rest = buf_str(&b.sent);
	for (size_t n = 1; rest.n; n = n * 3 + 1) {
		assert_ok(stream_write(&b.pair.op, b.pair.client, str_take(&rest, n)));
		assert_ok(stream_flush(&b.pair.op, b.pair.client));
		assert_ok(task_sleep(&b.pair.op, 2 * US_PER_MS));
	}
	while (task_is_alive(t))
		assert_ok(task_sleep(&b.pair.op, 1000));
	assert_str(buf_str(&b.received), buf_str(&b.sent));
	assert_ok(stream_close(&b.pair.op, b.pair.client));
	b.pair.client = NULL;
	for (int i = 0; i < 1000 && !relay_is_over; i++)
		assert_ok(task_sleep(&b.pair.op, 1000));
	assert_true(relay_is_over);
	buf_done(&b.received);
	buf_done(&b.sent);
	tls_pair_close(&b.pair);
}

static void a_relay_carries_tls(void **state)
{
	(void)state;
	test_in_task(relay_task, NULL);
}

static void settings_task(void *arg)
{
	struct tls_pair p;
	struct tls_context *t = NULL;
	(void)arg;
	tls_pair_open(&p);
	struct tls_settings good = {
		.certificate = { .chain_pem = buf_str(&p.certificate), .key_pem = buf_str(&p.key) },
		.min_protocol = STR("TLSv1.3"),
	};
	assert_ok(tls_context_new(&p.op, &good, &t));
	tls_context_unref(tls_context_ref(t));
	tls_context_unref(t);
	struct tls_settings bad = good;
	bad.min_protocol = STR("SSLv3");
	assert_err(tls_context_new(&p.op, &bad, &t), ERR_INVALID);
	assert_non_null(strstr(p.op.failure.text, "SSLv3"));
	bad = good;
	bad.certificate.chain_pem = STR("nothing");
	assert_err(tls_context_new(&p.op, &bad, &t), ERR_INVALID);
	assert_non_null(strstr(p.op.failure.text, "certificate"));
	bad = good;
	bad.certificate.key_pem = STR("");
	assert_err(tls_context_new(&p.op, &bad, &t), ERR_INVALID);
	assert_non_null(strstr(p.op.failure.text, "key"));
	bad = good;
	bad.cipher_list = STR("NO-SUCH-CIPHER");
	assert_err(tls_context_new(&p.op, &bad, &t), ERR_INVALID);
	assert_err(tls_context_new_client(&p.op, STR("nothing"), &t), ERR_INVALID);

	AUTO_BUF(other_certificate, 0);
	AUTO_BUF(other_key, 0);
	test_certificate("localhost", &other_certificate, &other_key);
	bad = good;
	bad.certificate.key_pem = buf_str(&other_key);
	assert_err(tls_context_new(&p.op, &bad, &t), ERR_INVALID);
	tls_pair_close(&p);
}

static void bad_settings_are_named(void **state)
{
	(void)state;
	test_in_task(settings_task, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sides_talk_until_goodbye),
		cmocka_unit_test(a_dropped_connection_is_an_end),
		cmocka_unit_test(a_wrong_name_is_refused),
		cmocka_unit_test(an_address_may_be_the_name),
		cmocka_unit_test(a_client_has_its_own_rules),
		cmocka_unit_test(plaintext_before_the_handshake_is_refused),
		cmocka_unit_test(bulk_goes_through_whole),
		cmocka_unit_test(a_parked_session_wakes_for_every_record),
		cmocka_unit_test(a_relay_carries_tls),
		cmocka_unit_test(bad_settings_are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
