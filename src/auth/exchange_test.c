/* SPDX-License-Identifier: Apache-2.0 */
/* SASL exchanges inside auth: a SCRAM client of the test's own, and what abandoned ones leave. */
#include "auth/mechanism_private.h"
#include "auth/test_kit_private.h"
#include "base/codec.h"
#include "crypto/crypto.h"
#include "crypto/digest.h"
#include "crypto/scram.h"
#include "ipc/ipc.h"

#include <openssl/hmac.h>

#define USERS                                                                                      \
	"auth_mechanisms = plain login scram-sha-1 scram-sha-256 scram-sha-256-plus external "     \
	"anonymous\n"                                                                              \
	"auth_master_user_separator = *\n"                                                         \
	"passdb m {\n driver = static\n passdb_master = yes\n passdb_static_password = master\n"   \
	" fields {\n  from_master = yes\n }\n}\n"                                                  \
	"passdb a {\n driver = static\n passdb_username_filter = user\n"                           \
	" passdb_static_password = pencil\n}\n"                                                    \
	"passdb d {\n driver = static\n passdb_username_filter = disabled\n passdb_deny = "        \
	"yes\n}\n"                                                                                 \
	"passdb e {\n driver = static\n fields {\n  noauthenticate = y\n }\n"                      \
	" passdb_username_filter = nobody\n}\n"                                                    \
	"passdb f {\n driver = static\n passdb_username_filter = empty\n"                          \
	" passdb_static_password = {PLAIN}\n}\n"                                                   \
	"userdb static {\n allow_all_users = yes\n fields {\n  home = /h\n }\n}\n"

static const struct ipc_peer peer = { .uid = 1, .pid = 2 };

static enum err begin(struct auth_test *t, const char *mechanism, struct str initial,
	struct auth_request r, struct auth_turn *turn)
{
	r.mechanism = str_from(mechanism);
	r.service = STR("imap");
	r.is_secured = true;
	return auth_exchange_begin(&t->op, t->auth, &peer, &r, initial.p != NULL, initial, turn);
}

/* ---- the client's side of SCRAM, from the RFC's formulas ---- */

struct client {
	const struct scram_digest *digest;
	const char *user, *password, *authzid;
	struct str header, binding;
	struct str server_last; /* out */
	uint32_t rounds;        /* out */
	struct str salt;        /* out */
};

static void hmac_put(const struct scram_digest *d, const uint8_t *key, struct str in, uint8_t *out)
{
	unsigned n = 0;
	HMAC(d == &scram_sha1 ? EVP_sha1() : EVP_sha256(), key, (int)d->bytes,
		(const unsigned char *)in.p, in.n, out, &n);
	assert_int_equal(n, d->bytes);
}

static struct str proof(struct auth_test *t, const struct client *c, struct str auth_message)
{
	uint8_t salted[32], key[32], stored[64], signature[32];
	AUTO_BUF(text, 0);
	assert_true(crypto_key_derive(c->digest->digest, str_from(c->password), c->salt, c->rounds,
		salted, c->digest->bytes));
	hmac_put(c->digest, salted, STR("Client Key"), key);
	crypto_digest(c->digest->digest, (struct str){ (char *)key, c->digest->bytes }, stored);
	hmac_put(c->digest, stored, auth_message, signature);
	for (size_t i = 0; i < c->digest->bytes; i++)
		key[i] ^= signature[i];
	base64_encode(&text, (struct str){ (char *)key, c->digest->bytes });
	return buf_dup(&t->arena, &text);
}

static void read_challenge(struct auth_test *t, struct client *c, struct str challenge)
{
	AUTO_BUF(salt, 0);
	struct str rest = challenge, part;
	assert_true(str_cut(&rest, ',', &part) && str_starts(part, STR("r=nonce")));
	assert_true(part.n > 20);
	assert_true(str_cut(&rest, ',', &part) && str_skip(&part, STR("s=")));
	assert_true(base64_decode(&salt, part));
	c->salt = buf_dup(&t->arena, &salt);
	assert_true(str_skip(&rest, STR("i=")));
	c->rounds = (uint32_t)strtoul(str_dup_z(&t->arena, rest), NULL, 10);
}

static enum err scram(struct auth_test *t, const char *mechanism, struct client *c,
	struct auth_request r, struct auth_turn *turn)
{
	struct arena *a = &t->arena;
	AUTO_BUF(c_text, 0);
	struct str bare = str_printf(a, "n=%s,r=nonce", c->user);
	struct str first = str_printf(a, "%.*s%.*s", STRF(c->header), STRF(bare));
	enum err e = begin(t, mechanism, first, r, turn);
	if (e != ERR_NONE)
		return e;
	assert_false(turn->is_done);
	struct str challenge = turn->data, nonce = challenge, whole = challenge;
	read_challenge(t, c, challenge);
	assert_true(str_cut(&whole, ',', &nonce));
	base64_encode(&c_text, str_printf(a, "%.*s%.*s", STRF(c->header), STRF(c->binding)));
	struct str without = str_printf(a, "c=%.*s,%.*s", STRF(buf_str(&c_text)), STRF(nonce));
	struct str message =
		str_printf(a, "%.*s,%.*s,%.*s", STRF(bare), STRF(challenge), STRF(without));
	struct str last = str_printf(a, "%.*s,p=%.*s", STRF(without), STRF(proof(t, c, message)));
	e = auth_exchange_respond(&t->op, t->auth, &peer, turn->id, last, turn);
	c->server_last = turn->data;
	return e;
}

#define CLIENT(d, u, p)                                                                            \
	{                                                                                          \
		.digest = d, .user = u, .password = p, .header = STR("n,,"), .binding = STR("")    \
	}

static void script_scram(struct auth_test *t)
{
	struct auth_turn turn;
	struct auth_request none = { 0 };
	struct client good = CLIENT(&scram_sha256, "user", "pencil");
	assert_ok(scram(t, "SCRAM-SHA-256", &good, none, &turn));
	assert_true(turn.is_done && str_starts(good.server_last, STR("v=")));
	assert_str(turn.result.user, STR("user"));
	struct client old = CLIENT(&scram_sha1, "user", "pencil");
	assert_ok(scram(t, "scram-sha-1", &old, none, &turn));

	struct client wrong = CLIENT(&scram_sha256, "user", "pen");
	assert_err(scram(t, "SCRAM-SHA-256", &wrong, none, &turn), ERR_DENIED);
	assert_int_equal(turn.result.refusal, AUTH_REFUSAL_CREDENTIALS);
	struct client out = CLIENT(&scram_sha256, "disabled", "pencil");
	assert_err(scram(t, "SCRAM-SHA-256", &out, none, &turn), ERR_DENIED);
	assert_int_equal(turn.result.refusal, AUTH_REFUSAL_CREDENTIALS);
	struct client empty = CLIENT(&scram_sha256, "empty", "");
	assert_err(scram(t, "SCRAM-SHA-256", &empty, none, &turn), ERR_DENIED);
	/* His salt looks like anybody's, and stays the same. */
	struct str salt = out.salt;
	assert_int_equal(salt.n, good.salt.n);
	assert_int_equal(out.rounds, good.rounds);
	assert_err(scram(t, "SCRAM-SHA-256", &out, none, &turn), ERR_DENIED);
	assert_str(out.salt, salt);
	assert_false(str_eq(good.salt, salt));

	struct client master = CLIENT(&scram_sha256, "boss", "master");
	master.header = STR("n,a=user,");
	assert_ok(scram(t, "SCRAM-SHA-256", &master, none, &turn));
	assert_str(turn.result.user, STR("user"));
	assert_str(turn.result.master_user, STR("boss"));
	assert_str(auth_test_field(
			   turn.result.login_fields, turn.result.login_field_count, "from_master"),
		STR("yes"));
	assert_int_equal(auth_exchanges_count(t->auth->exchanges), 0);
}

static void scram_logs_in_and_refuses_alike(void **state)
{
	(void)state;
	auth_test_run(USERS, script_scram);
}

static void script_binding(struct auth_test *t)
{
	struct auth_turn turn;
	struct auth_request tls = { .channel_binding = STR("0123456789abcdef"), .is_tls = true };
	struct auth_request none = { 0 };
	struct client c = CLIENT(&scram_sha256, "user", "pencil");
	c.header = STR("p=tls-exporter,,");
	c.binding = tls.channel_binding;
	assert_ok(scram(t, "SCRAM-SHA-256-PLUS", &c, tls, &turn));
	c.binding = STR("0123456789abcdeX"); /* another connection's: somebody is between us */
	assert_err(scram(t, "SCRAM-SHA-256-PLUS", &c, tls, &turn), ERR_INVALID);
	c.binding = tls.channel_binding;
	c.header = STR("p=tls-unique,,");
	assert_err(scram(t, "SCRAM-SHA-256-PLUS", &c, tls, &turn), ERR_INVALID);
	c.header = STR("n,,");
	assert_err(scram(t, "SCRAM-SHA-256-PLUS", &c, tls, &turn), ERR_INVALID);
	c.header = STR("p=tls-exporter,,");
	assert_err(scram(t, "SCRAM-SHA-256-PLUS", &c, none, &turn), ERR_INVALID);
	/* "y": the list of mechanisms that he saw was not ours. */
	c.header = STR("y,,");
	c.binding = STR("");
	assert_err(scram(t, "SCRAM-SHA-256", &c, tls, &turn), ERR_INVALID);
	assert_ok(scram(t, "SCRAM-SHA-256", &c, none, &turn));
	c.header = STR("p=tls-exporter,,");
	assert_err(scram(t, "SCRAM-SHA-256", &c, tls, &turn), ERR_INVALID);
	assert_err(scram(t, "SCRAM-SHA-1-PLUS", &c, tls, &turn), ERR_UNSUPPORTED);
	assert_int_equal(turn.result.refusal, AUTH_REFUSAL_MECHANISM);
}

static void scram_binds_to_the_tls_connection(void **state)
{
	(void)state;
	auth_test_run(USERS, script_binding);
}

static void script_others(struct auth_test *t)
{
	struct auth_turn turn;
	struct auth_request none = { 0 };
	struct auth_request cert = { .has_cert = true, .cert_user = STR("user") };
	assert_ok(begin(t, "EXTERNAL", STR(""), cert, &turn));
	assert_str(turn.result.user, STR("user"));
	assert_err(begin(t, "EXTERNAL", STR(""), none, &turn), ERR_UNSUPPORTED);
	cert.cert_user = STR("disabled");
	assert_err(begin(t, "EXTERNAL", STR(""), cert, &turn), ERR_DENIED);
	cert.cert_user = STR("");
	assert_err(begin(t, "EXTERNAL", STR(""), cert, &turn), ERR_DENIED);
	cert.cert_user = STR("boss"); /* the certificate may be a master's */
	assert_ok(begin(t, "EXTERNAL", STR("user"), cert, &turn));
	assert_str(turn.result.user, STR("user"));

	assert_ok(begin(t, "ANONYMOUS", STR("me"), none, &turn));
	assert_str(turn.result.user, STR("anonymous"));

	assert_ok(begin(t, "LOGIN", STR_NONE, none, &turn));
	assert_str(turn.data, STR("Username:"));
	assert_ok(auth_exchange_respond(&t->op, t->auth, &peer, turn.id, STR("user"), &turn));
	assert_str(turn.data, STR("Password:"));
	assert_ok(auth_exchange_respond(&t->op, t->auth, &peer, turn.id, STR("pencil"), &turn));
	assert_true(turn.is_done);

	assert_err(begin(t, "PLAIN", STR("nonsense"), none, &turn), ERR_INVALID);
	assert_int_equal(turn.result.refusal, AUTH_REFUSAL_MALFORMED);
	assert_err(begin(t, "CRAM-MD5", STR(""), none, &turn), ERR_UNSUPPORTED);
}

static void mechanisms_without_passwords_and_old_ones(void **state)
{
	(void)state;
	auth_test_run(USERS, script_others);
}

static void script_abandoned(struct auth_test *t)
{
	struct auth_turn turn, other;
	struct auth_request none = { 0 };
	struct ipc_peer stranger = { .uid = 1, .pid = 3 };
	for (int i = 0; i < 10100; i++)
		assert_ok(begin(t, "LOGIN", STR_NONE, none, &turn));
	assert_int_equal(auth_exchanges_count(t->auth->exchanges), 10000);
	assert_err(auth_exchange_respond(&t->op, t->auth, &stranger, turn.id, STR("x"), &other),
		ERR_UNAVAILABLE);
	auth_exchange_forget(t->auth, &stranger, turn.id);
	assert_int_equal(auth_exchanges_count(t->auth->exchanges), 10000);
	auth_exchange_forget(t->auth, &peer, turn.id);
	assert_int_equal(auth_exchanges_count(t->auth->exchanges), 9999);
	assert_ok(task_sleep(&t->op, 61 * US_PER_SEC));
	assert_int_equal(auth_exchanges_count(t->auth->exchanges), 0);
	assert_err(auth_exchange_respond(&t->op, t->auth, &peer, turn.id, STR("x"), &turn),
		ERR_UNAVAILABLE);
}

static void abandoned_exchanges_are_forgotten(void **state)
{
	(void)state;
	auth_test_run(USERS, script_abandoned);
}

/* ---- guessing ---- */

static void script_penalty(struct auth_test *t)
{
	struct address a, same_network, b, local;
	struct auth_penalties *p = t->auth->penalties;
	assert_true(address_parse(STR("2001:db8:1:2::3"), &a));
	assert_true(address_parse(STR("2001:db8:1:ffff::9"), &same_network));
	assert_true(address_parse(STR("2001:db8:2::3"), &b));
	assert_true(address_parse(STR("127.0.0.1"), &local));
	static const int64_t seconds[] = { 0, 2, 4, 8, 15, 15 };
	for (size_t i = 0; i < ARRAY_COUNT(seconds); i++) {
		int64_t before = now_us();
		assert_int_equal(auth_penalty_of(p, &same_network), seconds[i]);
		assert_ok(auth_penalty_wait(&t->op, p, &a));
		assert_true(now_us() - before >= seconds[i] * US_PER_SEC);
		auth_penalty_count(p, &a, true, 0);
		auth_penalty_count(p, &local, true, 0);
	}
	assert_int_equal(auth_penalty_of(p, &b), 0);
	assert_int_equal(auth_penalty_of(p, &local), 0);
	/* An old password that a program repeats counts once. */
	uint64_t stale = auth_penalty_guess(p, STR("u"), STR("old"));
	assert_true(stale != auth_penalty_guess(p, STR("u"), STR("older")));
	for (int i = 0; i < 10; i++)
		auth_penalty_count(p, &b, true, stale);
	assert_int_equal(auth_penalty_of(p, &b), 2);
	auth_penalty_count(p, &a, false, 0);
	assert_int_equal(auth_penalty_of(p, &a), 8);
	assert_ok(task_sleep(&t->op, 16 * 60 * US_PER_SEC));
	assert_int_equal(auth_penalty_of(p, &a), 0);
}

static void hurry_task(void *arg)
{
	struct auth_test *t = arg;
	auth_hurry(t->auth);
}

static void script_hurry(struct auth_test *t)
{
	struct address a;
	int64_t before = now_us();
	assert_true(address_parse(STR("192.0.2.1"), &a));
	auth_penalty_count(t->auth->penalties, &a, true, 0);
	task_start("hurry", hurry_task, t);
	assert_ok(auth_penalty_wait(&t->op, t->auth->penalties, &a));
	auth_penalty_delay_refusal(&t->op, t->auth->penalties, US_PER_SEC);
	assert_true(now_us() - before < US_PER_SEC);
}

static void a_stop_waits_for_no_penalty(void **state)
{
	(void)state;
	auth_test_run(USERS, script_hurry);
}

static void penalties_grow_by_network(void **state)
{
	(void)state;
	auth_test_run(USERS, script_penalty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scram_logs_in_and_refuses_alike),
		cmocka_unit_test(scram_binds_to_the_tls_connection),
		cmocka_unit_test(mechanisms_without_passwords_and_old_ones),
		cmocka_unit_test(abandoned_exchanges_are_forgotten),
		cmocka_unit_test(penalties_grow_by_network),
		cmocka_unit_test(a_stop_waits_for_no_penalty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
