/* SPDX-License-Identifier: Apache-2.0 */
/* http/tls.c - whom we trust, and what we show.
 *
 * Authorities are read once: libcurl would parse them for every connection. Its context gets our store, and
 * libcurl itself is given none, so that nothing else is trusted. Ours are read when the client opens, so that
 * a mistake is told then; the library's, a hundred and more, for the first connection over TLS. A
 * directory is read as certificates are asked for. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "http/http_private.h"

static CURLcode on_context(CURL *easy, void *ctx, void *arg)
{
	struct http_client *c = arg;
	(void)easy;
	if (!c->is_trust_full && X509_STORE_set_default_paths(c->trust) != 1)
		return CURLE_SSL_CACERT_BADFILE;
	c->is_trust_full = true;
	SSL_CTX_set1_cert_store(ctx, c->trust);
	return CURLE_OK;
}

/* All certificates of a PEM text. */
static enum err add_authorities(struct op *op, X509_STORE *store, struct str pem)
{
	BIO *in = BIO_new_mem_buf(pem.p, (int)MIN(pem.n, INT32_MAX));
	unsigned count = 0;
	bool is_good = in != NULL;
	for (X509 *cert; is_good && (cert = PEM_read_bio_X509(in, NULL, NULL, NULL)); count++) {
		is_good = X509_STORE_add_cert(store, cert) == 1;
		X509_free(cert);
	}
	BIO_free(in);
	/* At the end there is no further certificate to be found: that is no failure, anything else is. */
	unsigned long why = ERR_peek_last_error();
	ERR_clear_error();
	if (!is_good || count == 0 || ERR_GET_REASON(why) != PEM_R_NO_START_LINE)
		return op_fail(op, ERR_INVALID,
			"ssl_client_ca_file holds no certificates, or a broken one after %u good "
			"ones",
			count);
	return ERR_NONE;
}

static enum err fill(struct op *op, const struct http_settings *s, X509_STORE *store)
{
	if (s->ca_pem.n > 0)
		TRY(add_authorities(op, store, s->ca_pem));
	if (s->ca_dir.n > 0 && X509_STORE_load_path(store, s->ca_dir.p) != 1)
		return op_fail(op, ERR_INVALID, "ssl_client_ca_dir %s cannot be used", s->ca_dir.p);
	return ERR_NONE;
}

enum err http_tls_open(struct op *op, struct http_client *c)
{
	X509_STORE *store = X509_STORE_new();
	if (!store)
		return op_fail(op, ERR_UNAVAILABLE, "no memory for authorities");
	c->trust = store;
	c->is_trust_full = c->settings.ca_pem.n > 0 || c->settings.ca_dir.n > 0;
	return fill(op, &c->settings, store);
}

void http_tls_close(struct http_client *c)
{
	X509_STORE_free(c->trust);
}

#define SET(option, value)                                                                         \
	do {                                                                                       \
		if (curl_easy_setopt(easy, option, value) != CURLE_OK)                             \
			return false;                                                              \
	} while (0)

static struct curl_blob blob(struct str s)
{
	return (struct curl_blob){
		.data = (void *)(uintptr_t)s.p, .len = s.n, .flags = CURL_BLOB_COPY
	};
}

static bool show_certificate(const struct http_settings *s, CURL *easy)
{
	struct curl_blob cert = blob(s->cert_pem), key = blob(s->key_pem);
	if (s->cert_pem.n == 0)
		return true;
	SET(CURLOPT_SSLCERT_BLOB, &cert);
	SET(CURLOPT_SSLCERTTYPE, "PEM");
	SET(CURLOPT_SSLKEY_BLOB, &key);
	SET(CURLOPT_SSLKEYTYPE, "PEM");
	if (s->key_password.n > 0)
		SET(CURLOPT_KEYPASSWD, s->key_password.p);
	return true;
}

bool http_tls_configure(struct http_client *c, CURL *easy)
{
	const struct http_settings *s = &c->settings;
	long least = CURL_SSLVERSION_TLSv1_2;
	if (str_eq(s->tls_min_protocol, STR("TLSv1.3")))
		least = CURL_SSLVERSION_TLSv1_3;
	else if (str_eq(s->tls_min_protocol, STR("ANY")))
		least = CURL_SSLVERSION_TLSv1;
	SET(CURLOPT_SSLVERSION, least);
	SET(CURLOPT_SSL_VERIFYPEER, s->accepts_any_cert ? 0L : 1L);
	SET(CURLOPT_SSL_VERIFYHOST, s->accepts_any_cert ? 0L : 2L);
	SET(CURLOPT_CAINFO, NULL);
	SET(CURLOPT_CAPATH, NULL);
	SET(CURLOPT_SSL_CTX_FUNCTION, on_context);
	SET(CURLOPT_SSL_CTX_DATA, c);
	return show_certificate(s, easy);
}
