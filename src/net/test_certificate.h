/* SPDX-License-Identifier: Apache-2.0 */
/* net/test_certificate.h - a certificate made on the spot. Included by tests only. */
#pragma once

#include <stdio.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/test.h"

/* Appends the PEM texts of a self-signed certificate for the host `name` at 127.0.0.1, and of its key. */
static inline void test_certificate(const char *name, struct buf *cert_pem, struct buf *key_pem)
{
	char *text, alt_name[128];
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	assert_true(key && cert && X509_set_version(cert, 2) == 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), 1), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), -3600));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), 3600));
	assert_int_equal(X509_set_pubkey(cert, key), 1);
	assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
				 (const unsigned char *)name, -1, -1, 0),
		1);
	assert_int_equal(X509_set_issuer_name(cert, X509_get_subject_name(cert)), 1);
	snprintf(alt_name, sizeof alt_name, "DNS:%s,IP:127.0.0.1", name);
	X509_EXTENSION *alt = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alt_name);
	assert_true(alt && X509_add_ext(cert, alt, -1) == 1);
	X509_EXTENSION_free(alt);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	BIO *out = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_X509(out, cert), 1);
	long n = BIO_get_mem_data(out, &text);
	buf_put(cert_pem, (struct str){ text, (size_t)n });
	BIO_free(out);
	out = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), 1);
	n = BIO_get_mem_data(out, &text);
	buf_put(key_pem, (struct str){ text, (size_t)n });
	BIO_free(out);
	X509_free(cert);
	EVP_PKEY_free(key);
}
