/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates, keys and revocation lists from PEM. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "net/net_private.h"

static BIO *bio_over(struct str pem)
{
	ASSERT(pem.n <= INT32_MAX);
	return BIO_new_mem_buf(pem.n ? pem.p : "", (int)pem.n);
}

/* Gives the password in `arg` (struct str), or none: nobody is asked on the terminal. */
static int give_password(char *out, int size, int is_writing, void *arg)
{
	const struct str *password = arg;
	(void)is_writing;
	if (!password || password->n == 0 || password->n > (size_t)size)
		return -1;
	memcpy(out, password->p, password->n);
	return (int)password->n;
}

static enum err load_chain(struct op *op, SSL_CTX *ctx, struct str pem)
{
	BIO *in = bio_over(pem);
	X509 *cert = PEM_read_bio_X509(in, NULL, give_password, NULL);
	bool is_good = cert && SSL_CTX_use_certificate(ctx, cert) == 1;
	X509_free(cert);
	while (is_good && (cert = PEM_read_bio_X509(in, NULL, give_password, NULL)) != NULL) {
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

static enum err load_key(struct op *op, SSL_CTX *ctx, const struct tls_certificate *certificate)
{
	struct str password = certificate->key_password;
	BIO *in = bio_over(certificate->key_pem);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, give_password, &password);
	BIO_free(in);
	if (!key)
		return op_fail(op, ERR_INVALID, "private key: %s%s", tls_take_error(),
			password.n == 0 ? "" : " (is ssl_server_key_password right?)");
	/* Both calls check it against the certificate that was loaded before. */
	bool is_good = SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
	EVP_PKEY_free(key);
	if (is_good)
		return ERR_NONE;
	return op_fail(op, ERR_INVALID, "the private key does not belong to the certificate: %s",
		tls_take_error());
}

enum err tls_load_certificate(
	struct op *op, SSL_CTX *ctx, const struct tls_certificate *certificate)
{
	TRY(load_chain(op, ctx, certificate->chain_pem));
	return load_key(op, ctx, certificate);
}

enum err tls_load_dh(struct op *op, SSL_CTX *ctx, struct str pem)
{
	if (pem.n == 0) {
		(void)SSL_CTX_set_dh_auto(ctx, 1);
		return ERR_NONE;
	}
	BIO *in = bio_over(pem);
	EVP_PKEY *parameters = PEM_read_bio_Parameters(in, NULL);
	BIO_free(in);
	if (parameters && SSL_CTX_set0_tmp_dh_pkey(ctx, parameters) == 1)
		return ERR_NONE;
	EVP_PKEY_free(parameters);
	return op_fail(op, ERR_INVALID, "Diffie-Hellman parameters: %s", tls_take_error());
}

struct authorities {
	size_t certificates, lists;
};

/* Takes what one block of PEM held. */
static bool add_authority(SSL_CTX *ctx, const X509_INFO *info, struct authorities *n)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	if (info->x509) {
		n->certificates++;
		if (X509_STORE_add_cert(store, info->x509) != 1 ||
			SSL_CTX_add_client_CA(ctx, info->x509) != 1)
			return false;
	}
	if (!info->crl)
		return true;
	n->lists++;
	return X509_STORE_add_crl(store, info->crl) == 1;
}

enum err tls_load_authorities(struct op *op, SSL_CTX *ctx, struct str pem, bool requires_crl)
{
	struct authorities n = { 0 };
	BIO *in = bio_over(pem);
	STACK_OF(X509_INFO) *all = PEM_X509_INFO_read_bio(in, NULL, give_password, NULL);
	bool is_good = all != NULL;
	BIO_free(in);
	for (int i = 0; is_good && i < sk_X509_INFO_num(all); i++)
		is_good = add_authority(ctx, sk_X509_INFO_value(all, i), &n);
	sk_X509_INFO_pop_free(all, X509_INFO_free);
	if (!is_good)
		return op_fail(op, ERR_INVALID, "CA certificates: %s", tls_take_error());
	if (n.certificates == 0)
		return op_fail(op, ERR_INVALID, "CA certificates: there is none in the file");
	if (requires_crl && n.lists == 0)
		return op_fail(op, ERR_INVALID,
			"CA certificates: there is no revocation list in the file, which "
			"ssl_server_require_crl = yes demands");
	if (requires_crl)
		(void)X509_STORE_set_flags(SSL_CTX_get_cert_store(ctx),
			X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	ERR_clear_error();
	return ERR_NONE;
}
