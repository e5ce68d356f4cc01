/* SPDX-License-Identifier: Apache-2.0 */
/* Fronts: the context by the name that a client asks for, and the keys of tickets.
 *
 * The choice is made at the ClientHello, before OpenSSL looks at versions, tickets or certificates, so
 * that every rule of the chosen context holds for the whole handshake. */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "crypto/crypto.h"
#include "net/net_private.h"

/* ---- the name ---- */

static bool cut_length(struct str *rest, struct str *out)
{
	if (rest->n < 2)
		return false;
	size_t n = (size_t)(uint8_t)rest->p[0] << 8 | (uint8_t)rest->p[1];
	*rest = str_slice(*rest, 2, rest->n);
	if (n > rest->n)
		return false;
	*out = str_take(rest, n);
	return true;
}

/* Only what can stand in a configuration's local_name, and nothing that could upset a log. */
bool tls_is_host_name(struct str name)
{
	if (name.n == 0 || name.n > 255)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		if (!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '-' && c != '.' && c != '_')
			return false;
	}
	return true;
}

struct str tls_name_in(struct str extension)
{
	struct str list, name;
	if (!cut_length(&extension, &list) || extension.n > 0)
		return STR("");
	/* A list of one, of type host_name: there never was another (RFC 6066 §3). */
	if (!str_skip(&list, (struct str){ "\0", 1 }) || !cut_length(&list, &name) || list.n > 0)
		return STR("");
	return tls_is_host_name(name) ? name : STR("");
}

/* ---- the choice ---- */

/* Everything that SSL_new() had copied from the front. */
static bool adopt(SSL *ssl, const struct tls_context *t)
{
	if (!SSL_set_SSL_CTX(ssl, t->ctx))
		return false;
	if (t->prefers_server)
		(void)SSL_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
	if (!t->has_tickets)
		(void)SSL_set_options(ssl, SSL_OP_NO_TICKET);
	(void)SSL_set_num_tickets(ssl, t->has_tickets ? 1 : 0);
	SSL_set_verify(ssl, t->verify_mode, NULL);
	return SSL_set_min_proto_version(ssl, t->min_version) == 1 &&
	       (!t->groups || SSL_set1_groups_list(ssl, t->groups) == 1) &&
	       SSL_set_session_id_context(ssl, t->session_scope, sizeof(t->session_scope)) == 1;
}

static int on_hello(SSL *ssl, int *alert, void *arg)
{
	const struct tls_context *front = arg;
	struct stream *s = SSL_get_app_data(ssl);
	const unsigned char *body;
	size_t n;
	struct str name = STR("");
	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &body, &n) == 1)
		name = tls_name_in((struct str){ (const char *)body, n });
	struct tls_context *chosen = front->choose(front->choose_arg, &s->local, name);
	if (!chosen || !adopt(ssl, chosen)) {
		*alert = SSL_AD_INTERNAL_ERROR;
		return SSL_CLIENT_HELLO_ERROR;
	}
	tls_context_unref(s->tls_chosen);
	s->tls_chosen = tls_context_ref(chosen);
	return SSL_CLIENT_HELLO_SUCCESS;
}

/* Tells the client that his name was heard; an unknown one got the default certificate. */
static int on_name(SSL *ssl, int *alert, void *arg)
{
	(void)ssl;
	(void)alert;
	(void)arg;
	return SSL_TLSEXT_ERR_OK;
}

/* ---- tickets ---- */

static void derive(
	const struct tls_context *front, int64_t period, const char *part, uint8_t *out, size_t n)
{
	AUTO_BUF(label, 0);
	uint8_t digest[CRYPTO_SHA256_BYTES];
	struct str seed = { (const char *)front->ticket_seed, sizeof(front->ticket_seed) };
	buf_putf(&label, "pombal tls ticket %s %" PRId64, part, period);
	crypto_hmac_sha256(seed, buf_str(&label), digest);
	memcpy(out, digest, MIN(n, sizeof(digest)));
	mem_wipe(digest, sizeof(digest));
}

static void key_of(const struct tls_context *front, int64_t period, struct ticket_key *out)
{
	derive(front, period, "name", out->name, sizeof(out->name));
	derive(front, period, "cipher", out->cipher, sizeof(out->cipher));
	derive(front, period, "mac", out->mac, sizeof(out->mac));
}

static bool start_cipher(EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, const struct ticket_key *key,
	unsigned char *iv, int is_sealing)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(
			OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->mac, sizeof(key->mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, is_sealing) ==
		       1 &&
	       EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* The keys of this period and of the old ones, derived when the period changes. */
static const struct ticket_key *keys_at(struct tls_context *front, int64_t period)
{
	if (front->tickets_period != period)
		for (int age = 0; age <= TLS_TICKET_OLD_PERIODS; age++)
			key_of(front, period - age, &front->ticket_keys[age]);
	front->tickets_period = period;
	return front->ticket_keys;
}

/* Which key made the ticket: how many periods ago; -1: none that still counts. */
static int age_of(const struct ticket_key *keys, const unsigned char name[16])
{
	for (int age = 0; age <= TLS_TICKET_OLD_PERIODS; age++)
		if (mem_equal_const_time(keys[age].name, name, sizeof(keys[age].name)))
			return age;
	return -1;
}

/* OpenSSL's contract: -1 error, 0 unknown key, 1 good, 2 good but give the client a new one. */
static int on_ticket(SSL *ssl, unsigned char name[16], unsigned char iv[EVP_MAX_IV_LENGTH],
	EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_sealing)
{
	const struct stream *s = SSL_get_app_data(ssl);
	const struct ticket_key *keys = keys_at(s->tls, now_wall_us() / TLS_TICKET_PERIOD_US);
	int age = is_sealing ? 0 : age_of(keys, name);
	if (age < 0)
		return 0;
	if (is_sealing) {
		memcpy(name, keys->name, sizeof(keys->name));
		if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
			return -1;
	}
	if (!start_cipher(cipher, mac, &keys[age], iv, is_sealing))
		return -1;
	return age > 0 ? 2 : 1;
}

void tls_front_prepare(struct tls_context *front)
{
	SSL_CTX *ctx = front->ctx;
	front->has_tickets = true;
	front->tickets_period = -1;
	SSL_CTX_set_client_hello_cb(ctx, on_hello, front);
	(void)SSL_CTX_set_tlsext_servername_callback(ctx, on_name);
	(void)SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
	(void)SSL_CTX_set_timeout(
		ctx, (TLS_TICKET_OLD_PERIODS + 1) * TLS_TICKET_PERIOD_US / US_PER_SEC);
}
