/* SPDX-License-Identifier: Apache-2.0 */
/* What is known about a TLS session after its handshake. */
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "net/net_private.h"

struct str stream_tls_protocol(const struct stream *s)
{
	return s->ssl ? str_from(SSL_get_version(s->ssl)) : STR("");
}

struct str stream_tls_cipher(const struct stream *s)
{
	return s->ssl ? str_from(SSL_get_cipher_name(s->ssl)) : STR("");
}

struct str stream_tls_server_name(const struct stream *s)
{
	const char *name = s->ssl ? SSL_get_servername(s->ssl, TLSEXT_NAMETYPE_host_name) : NULL;
	return tls_is_host_name(str_from(name)) ? str_from(name) : STR("");
}

bool stream_tls_is_resumed(const struct stream *s)
{
	return s->ssl && SSL_session_reused(s->ssl);
}

/* ---- the peer's certificate ---- */

enum tls_peer stream_tls_peer(const struct stream *s)
{
	if (!s->ssl || !SSL_get0_peer_certificate(s->ssl))
		return TLS_PEER_NONE;
	return SSL_get_verify_result(s->ssl) == X509_V_OK ? TLS_PEER_VERIFIED : TLS_PEER_UNVERIFIED;
}

const char *stream_tls_peer_error(const struct stream *s)
{
	return X509_verify_cert_error_string(SSL_get_verify_result(s->ssl));
}

/* The first entry of that kind; one that holds a NUL could mean two things and means nothing. */
static struct str name_entry(struct arena *arena, const X509_NAME *subject, int nid)
{
	unsigned char *text = NULL;
	int at = X509_NAME_get_index_by_NID(subject, nid, -1);
	if (at < 0)
		return STR("");
	int n = ASN1_STRING_to_UTF8(
		&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	struct str name = { (const char *)text, n > 0 ? (size_t)n : 0 };
	struct str out = n > 0 && !str_has_nul(name) ? str_dup(arena, name) : STR("");
	OPENSSL_free(text);
	ERR_clear_error();
	return out;
}

struct str stream_tls_peer_name(struct arena *arena, const struct stream *s)
{
	if (stream_tls_peer(s) != TLS_PEER_VERIFIED)
		return STR("");
	const struct tls_context *t = s->tls_chosen ? s->tls_chosen : s->tls;
	const X509 *cert = SSL_get0_peer_certificate(s->ssl);
	return name_entry(arena, X509_get_subject_name(cert), t->name_nid);
}

/* ---- channel binding ---- */

bool stream_tls_binding(const struct stream *s, uint8_t out[TLS_BINDING_BYTES])
{
	static const char label[] = "EXPORTER-Channel-Binding";
	/* RFC 9266 §4.2: without extended master secret a TLS 1.2 session binds nothing. */
	if (!s->ssl || (SSL_version(s->ssl) < TLS1_3_VERSION && !SSL_get_extms_support(s->ssl)))
		return false;
	bool is_good = SSL_export_keying_material(s->ssl, out, TLS_BINDING_BYTES, label,
			       sizeof(label) - 1, NULL, 0, 1) == 1;
	ERR_clear_error();
	return is_good;
}
