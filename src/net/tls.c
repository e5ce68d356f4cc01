/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts: certificates, protocols, ciphers, and the modes that make an idle session small. */
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "crypto/crypto.h"
#include "net/net_private.h"

/* Forward secret AEAD only (for TLS 1.2; the suites of 1.3 are all of that kind). */
#define CIPHERS_DEFAULT "ECDHE+AESGCM:ECDHE+CHACHA20"

const char *tls_take_error(void)
{
	unsigned long code = ERR_get_error();
	const char *text = ERR_reason_error_string(code);
	ERR_clear_error();
	return text ? text : "unknown TLS error";
}

/* ---- settings ---- */

static enum err use_protocol(struct op *op, struct tls_context *t, struct str min)
{
	t->min_version = -1;
	if (min.n == 0 || str_eq(min, STR("TLSv1.2")))
		t->min_version = TLS1_2_VERSION;
	else if (str_eq(min, STR("TLSv1.3")))
		t->min_version = TLS1_3_VERSION;
	else if (str_eq(min, STR("ANY")))
		t->min_version = 0;
	if (t->min_version >= 0 && SSL_CTX_set_min_proto_version(t->ctx, t->min_version) == 1)
		return ERR_NONE;
	return op_fail(
		op, ERR_INVALID, "ssl_min_protocol = %.*s: use TLSv1.2 or TLSv1.3", STRF(min));
}

static enum err use_ciphers(struct op *op, SSL_CTX *ctx, const struct tls_settings *settings)
{
	struct str list = settings->cipher_list.n ? settings->cipher_list : STR(CIPHERS_DEFAULT);
	char *text = str_new_z(list), *suites = str_new_z(settings->cipher_suites);
	enum err e = ERR_NONE;
	if (SSL_CTX_set_cipher_list(ctx, text) != 1)
		e = op_fail(op, ERR_INVALID, "ssl_cipher_list: %s", tls_take_error());
	else if (suites[0] && SSL_CTX_set_ciphersuites(ctx, suites) != 1)
		e = op_fail(op, ERR_INVALID, "ssl_cipher_suites: %s", tls_take_error());
	mem_free(text);
	mem_free(suites);
	return e;
}

static enum err use_groups(struct op *op, struct tls_context *t, struct str groups)
{
	if (groups.n == 0)
		return ERR_NONE;
	t->groups = str_new_z(groups);
	if (SSL_CTX_set1_groups_list(t->ctx, t->groups) == 1)
		return ERR_NONE;
	return op_fail(op, ERR_INVALID, "ssl_curve_list = %s: %s", t->groups, tls_take_error());
}

/* A certificate that does not stand the check is no reason to break the handshake: whoever asks for
 * one later says so in words. The result is kept in the session. */
static int check_peer(X509_STORE_CTX *store, void *arg)
{
	(void)arg;
	if (X509_verify_cert(store) != 1 && X509_STORE_CTX_get_error(store) == X509_V_OK)
		X509_STORE_CTX_set_error(store, X509_V_ERR_UNSPECIFIED);
	return 1;
}

static enum err use_peers(struct op *op, struct tls_context *t, const struct tls_settings *settings)
{
	char *field = str_new_z(settings->name_field.n ? settings->name_field : STR("commonName"));
	t->name_nid = OBJ_txt2nid(field);
	mem_free(field);
	if (t->name_nid == NID_undef)
		return op_fail(op, ERR_INVALID,
			"ssl_server_cert_username_field = %.*s: there is no such field",
			STRF(settings->name_field));
	if (settings->ask == TLS_ASK_NOTHING)
		return ERR_NONE;
	t->verify_mode = SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE;
	SSL_CTX_set_verify(t->ctx, t->verify_mode, NULL);
	SSL_CTX_set_cert_verify_callback(t->ctx, check_peer, NULL);
	if (settings->authorities_pem.n == 0)
		return ERR_NONE;
	return tls_load_authorities(op, t->ctx, settings->authorities_pem, settings->requires_crl);
}

/* What a ticket must have in common with the handshake that it shortens. */
static void set_session_scope(struct tls_context *t, const struct tls_settings *settings)
{
	AUTO_BUF(all, 0);
	uint8_t digest[CRYPTO_SHA256_BYTES];
	buf_put(&all, settings->certificate.chain_pem);
	buf_putf(&all, "%d %d", t->verify_mode, settings->requires_crl);
	buf_put(&all, settings->authorities_pem);
	crypto_sha256(buf_str(&all), digest);
	memcpy(t->session_scope, digest, MIN(sizeof(digest), sizeof(t->session_scope)));
	ASSERT(SSL_CTX_set_session_id_context(t->ctx, t->session_scope, sizeof(t->session_scope)) ==
		1);
}

/* ---- contexts ---- */

static struct tls_context *context_new(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);
	ASSERT(ctx != NULL);
	struct tls_context *t = MEM_NEW(struct tls_context);
	t->ctx = ctx;
	t->references = 1;
	t->min_version = TLS1_2_VERSION;
	(void)SSL_CTX_set_min_proto_version(ctx, t->min_version);
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
					    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* A peer that just drops the connection is an end of input: our protocols frame all data. */
	(void)SSL_CTX_set_options(ctx,
		SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(ctx, 1); /* one read() for header and body of a record */
	return t;
}

static enum err apply(struct op *op, struct tls_context *t, const struct tls_settings *settings)
{
	t->has_tickets = !settings->has_no_tickets;
	t->prefers_server = settings->prefers_server;
	(void)SSL_CTX_set_num_tickets(t->ctx, t->has_tickets ? 1 : 0);
	if (!t->has_tickets)
		(void)SSL_CTX_set_options(t->ctx, SSL_OP_NO_TICKET);
	if (t->prefers_server)
		(void)SSL_CTX_set_options(t->ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
	TRY(use_protocol(op, t, settings->min_protocol));
	TRY(use_ciphers(op, t->ctx, settings));
	TRY(use_groups(op, t, settings->groups));
	TRY(op_within(op, tls_load_certificate(op, t->ctx, &settings->certificate),
		"ssl_server_cert_file, ssl_server_key_file"));
	if (settings->alt.chain_pem.n > 0)
		TRY(op_within(op, tls_load_certificate(op, t->ctx, &settings->alt),
			"ssl_server_alt_cert_file, ssl_server_alt_key_file"));
	TRY(op_within(op, tls_load_dh(op, t->ctx, settings->dh_pem), "ssl_server_dh_file"));
	TRY(op_within(op, use_peers(op, t, settings), "ssl_server_ca_file"));
	set_session_scope(t, settings);
	return ERR_NONE;
}

enum err tls_context_new(
	struct op *op, const struct tls_settings *settings, struct tls_context **out)
{
	struct tls_context *t = context_new(TLS_server_method());
	enum err e = apply(op, t, settings);
	if (e != ERR_NONE) {
		tls_context_unref(t);
		return e;
	}
	*out = t;
	return ERR_NONE;
}

static enum err trust(
	struct op *op, struct tls_context *t, const struct tls_client_settings *settings)
{
	char *dir;
	bool is_good = true;
	SSL_CTX_set_verify(t->ctx, settings->accepts_any ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	if (settings->authorities_pem.n > 0)
		TRY(tls_load_authorities(op, t->ctx, settings->authorities_pem, false));
	if (settings->authorities_dir.n > 0) {
		dir = str_new_z(settings->authorities_dir);
		is_good = SSL_CTX_load_verify_dir(t->ctx, dir) == 1;
		mem_free(dir);
	} else if (settings->authorities_pem.n == 0) {
		is_good = SSL_CTX_set_default_verify_paths(t->ctx) == 1;
	}
	return is_good ? ERR_NONE
		       : op_fail(op, ERR_INVALID, "the list of CAs: %s", tls_take_error());
}

enum err tls_context_new_client_of(
	struct op *op, const struct tls_client_settings *settings, struct tls_context **out)
{
	struct tls_context *t = context_new(TLS_client_method());
	enum err e = trust(op, t, settings);
	if (e == ERR_NONE && settings->certificate.chain_pem.n > 0)
		e = tls_load_certificate(op, t->ctx, &settings->certificate);
	if (e != ERR_NONE) {
		tls_context_unref(t);
		return e;
	}
	*out = t;
	return ERR_NONE;
}

enum err tls_context_new_client(struct op *op, struct str ca_pem, struct tls_context **out)
{
	return tls_context_new_client_of(
		op, &(struct tls_client_settings){ .authorities_pem = ca_pem }, out);
}

struct tls_context *tls_context_new_front(
	const uint8_t seed[TLS_TICKET_SEED_BYTES], tls_choose_fn *choose, void *arg)
{
	struct tls_context *t = context_new(TLS_server_method());
	t->choose = choose;
	t->choose_arg = arg;
	memcpy(t->ticket_seed, seed, sizeof(t->ticket_seed));
	tls_front_prepare(t);
	return t;
}

struct tls_context *tls_context_ref(struct tls_context *t)
{
	t->references++;
	return t;
}

void tls_context_unref(struct tls_context *t)
{
	if (!t || --t->references > 0)
		return;
	SSL_CTX_free(t->ctx);
	mem_wipe(t->ticket_seed, sizeof(t->ticket_seed));
	mem_wipe(t->ticket_keys, sizeof(t->ticket_keys));
	mem_free(t->groups);
	mem_free(t);
}
