/* SPDX-License-Identifier: Apache-2.0 */
/* net/test_net_private.h - what the tests of streams share: a certificate made on the spot.
 * Included by *_test.c of this folder only. */
#pragma once

#include "net/net.h"
#include "net/tls.h"
#include "task/test.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

/* A self-signed certificate for localhost, and its key. */
static inline void test_make_certificate(struct buf *certificate_pem, struct buf *key_pem)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	assert_true(key && cert && X509_set_version(cert, 2) == 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), 1), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), -3600));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), 3600));
	assert_int_equal(X509_set_pubkey(cert, key), 1);
	X509_NAME *name = X509_get_subject_name(cert);
	assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
				 (const unsigned char *)"localhost", -1, -1, 0),
		1);
	assert_int_equal(X509_set_issuer_name(cert, name), 1);
	X509_EXTENSION *alt =
		X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
	assert_true(alt && X509_add_ext(cert, alt, -1) == 1);
	X509_EXTENSION_free(alt);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);

	char *text;
	BIO *out = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_X509(out, cert), 1);
	long n = BIO_get_mem_data(out, &text);
	buf_put(certificate_pem, (struct str){ text, (size_t)n });
	BIO_free(out);
	out = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), 1);
	n = BIO_get_mem_data(out, &text);
	buf_put(key_pem, (struct str){ text, (size_t)n });
	BIO_free(out);
	X509_free(cert);
	EVP_PKEY_free(key);
}
