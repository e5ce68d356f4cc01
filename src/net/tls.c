/* SPDX-License-Identifier: Apache-2.0 */
/* TLS settings shared by the streams of a listener: certificates, protocols, ciphers, and the modes
 * that make an idle session small. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "net/net_private.h"

/* Forward secret AEAD only (for TLS 1.2; the suites of 1.3 are all of that kind). */
#define CIPHERS_DEFAULT "ECDHE+AESGCM:ECDHE+CHACHA20"

struct tls_context {
	SSL_CTX *ctx;
	unsigned references;
};

const char *tls_take_error(void)
{
	unsigned long code = ERR_get_error();
	const char *text = ERR_reason_error_string(code);
	ERR_clear_error();
	return text ? text : "unknown TLS error";
}

SSL_CTX *tls_context_get(const struct tls_context *t)
{
	return t->ctx;
}

static BIO *bio_over(struct str pem)
{
	ASSERT(pem.n <= INT32_MAX);
	return BIO_new_mem_buf(pem.n ? pem.p : "", (int)pem.n);
}

/* A key with a passphrase is refused instead of asked for on the terminal. */
static int no_passphrase(char *out, int size, int is_writing, void *arg)
{
	(void)out;
	(void)size;
	(void)is_writing;
	(void)arg;
	return -1;
}

static enum err use_chain(struct op *op, SSL_CTX *ctx, struct str pem)
{
	BIO *in = bio_over(pem);
	X509 *cert = PEM_read_bio_X509(in, NULL, no_passphrase, NULL);
	bool is_good = cert && SSL_CTX_use_certificate(ctx, cert) == 1;
	X509_free(cert);
	while (is_good && (cert = PEM_read_bio_X509(in, NULL, no_passphrase, NULL)) != NULL) {
		is_good = SSL_CTX_add0_chain_cert(ctx, cert) == 1;
		if (!is_good)
			X509_free(cert);
	}
	BIO_free(in);
	if (is_good) {
		ERR_clear_error(); /* "no more certificates" is how the list ends */
		return ERR_NONE;
	}
	return op_fail(op, ERR_INVALID, "certificate: %s", tls_take_error());
}

static enum err use_key(struct op *op, SSL_CTX *ctx, struct str pem)
{
	BIO *in = bio_over(pem);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL);
	bool is_good =
		key && SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
	EVP_PKEY_free(key);
	BIO_free(in);
	return is_good ? ERR_NONE : op_fail(op, ERR_INVALID, "private key: %s", tls_take_error());
}

static enum err use_protocol(struct op *op, SSL_CTX *ctx, struct str min)
{
	int version = 0;
	if (min.n == 0 || str_eq(min, STR("TLSv1.2")))
		version = TLS1_2_VERSION;
	else if (str_eq(min, STR("TLSv1.3")))
		version = TLS1_3_VERSION;
	if (version && SSL_CTX_set_min_proto_version(ctx, version) == 1)
		return ERR_NONE;
	return op_fail(
		op, ERR_INVALID, "minimum protocol \"%.*s\": use TLSv1.2 or TLSv1.3", STRF(min));
}

static enum err use_ciphers(struct op *op, SSL_CTX *ctx, struct str list)
{
	char *text = str_new_z(list.n ? list : STR(CIPHERS_DEFAULT));
	bool is_good = SSL_CTX_set_cipher_list(ctx, text) == 1;
	mem_free(text);
	if (is_good)
		return ERR_NONE;
	return op_fail(op, ERR_INVALID, "cipher list: %s", tls_take_error());
}

static struct tls_context *context_new(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);
	ASSERT(ctx != NULL);
	struct tls_context *t = MEM_NEW(struct tls_context);
	t->ctx = ctx;
	t->references = 1;
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
					    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* A peer that just drops the connection is an end of input: our protocols frame all data. */
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
					       SSL_OP_IGNORE_UNEXPECTED_EOF |
					       SSL_OP_CIPHER_SERVER_PREFERENCE);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(ctx, 1); /* one read() for header and body of a record */
	return t;
}

enum err tls_context_new(
	struct op *op, const struct tls_settings *settings, struct tls_context **out)
{
	struct tls_context *t = context_new(TLS_server_method());
	(void)SSL_CTX_set_num_tickets(t->ctx, 1);
	enum err e = use_protocol(op, t->ctx, settings->min_protocol);
	if (e == ERR_NONE)
		e = use_ciphers(op, t->ctx, settings->cipher_list);
	if (e == ERR_NONE)
		e = use_chain(op, t->ctx, settings->certificate_pem);
	if (e == ERR_NONE)
		e = use_key(op, t->ctx, settings->key_pem);
	if (e != ERR_NONE) {
		tls_context_unref(t);
		return e;
	}
	*out = t;
	return ERR_NONE;
}

static enum err trust(struct op *op, SSL_CTX *ctx, struct str ca_pem)
{
	if (ca_pem.n == 0) {
		if (SSL_CTX_set_default_verify_paths(ctx) == 1)
			return ERR_NONE;
		return op_fail(op, ERR_INVALID, "the system's CA list: %s", tls_take_error());
	}
	BIO *in = bio_over(ca_pem);
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	X509 *cert;
	size_t count = 0;
	while ((cert = PEM_read_bio_X509(in, NULL, no_passphrase, NULL)) != NULL) {
		count += X509_STORE_add_cert(store, cert) == 1;
		X509_free(cert);
	}
	BIO_free(in);
	if (count == 0)
		return op_fail(op, ERR_INVALID, "CA certificates: %s", tls_take_error());
	ERR_clear_error(); /* "no more certificates" is how the list ends */
	return ERR_NONE;
}

enum err tls_context_new_client(struct op *op, struct str ca_pem, struct tls_context **out)
{
	struct tls_context *t = context_new(TLS_client_method());
	SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
	enum err e = use_protocol(op, t->ctx, STR(""));
	if (e == ERR_NONE)
		e = trust(op, t->ctx, ca_pem);
	if (e != ERR_NONE) {
		tls_context_unref(t);
		return e;
	}
	*out = t;
	return ERR_NONE;
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
	mem_free(t);
}
