/* SPDX-License-Identifier: Apache-2.0 */
/* A stream over TLS: handshakes, and single attempts to read and write records. */
#include <errno.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "net/net_private.h"

/* One SSL call returned <= 0: what now? Must directly follow the call. */
static enum io_result after_call(struct stream *s, int ret, unsigned *wants)
{
	int error_number = errno;
	switch (SSL_get_error(s->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		watch_forget(&s->watch, WATCH_READ);
		*wants = WATCH_READ;
		return IO_AGAIN;
	case SSL_ERROR_WANT_WRITE:
		watch_forget(&s->watch, WATCH_WRITE);
		*wants = WATCH_WRITE;
		return IO_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		ERR_clear_error();
		s->is_ended = true;
		return IO_ENDED;
	case SSL_ERROR_SYSCALL:
		ERR_clear_error();
		s->broken_why = error_number ? strerrordesc_np(error_number) : "unexpected end";
		break;
	default:
		s->broken_why = tls_take_error();
	}
	SSL_set_quiet_shutdown(s->ssl, 1); /* after an error no goodbye may be sent */
	return IO_FAILED;
}

enum io_result tls_io_read(struct stream *s, char *out, size_t n, size_t *out_n)
{
	ERR_clear_error();
	int ret = SSL_read_ex(s->ssl, out, n, out_n);
	if (ret > 0) {
		s->read_wants = WATCH_READ;
		return IO_DONE;
	}
	return after_call(s, ret, &s->read_wants);
}

enum io_result tls_io_write(struct stream *s, struct str bytes, size_t *out_n)
{
	ERR_clear_error();
	int ret = SSL_write_ex(s->ssl, bytes.p, bytes.n, out_n);
	if (ret > 0) {
		s->write_wants = WATCH_WRITE;
		return IO_DONE;
	}
	enum io_result r = after_call(s, ret, &s->write_wants);
	if (r != IO_ENDED)
		return r;
	s->broken_why = "the peer closed the connection";
	return IO_FAILED;
}

bool tls_io_has_input(struct stream *s)
{
	char byte;
	size_t n;
	ERR_clear_error();
	int ret = SSL_peek_ex(s->ssl, &byte, 1, &n);
	return ret > 0 || after_call(s, ret, &s->read_wants) != IO_AGAIN;
}

void tls_io_end_output(struct stream *s)
{
	if (s->broken_why)
		return;
	ERR_clear_error();
	(void)SSL_shutdown(s->ssl); /* a goodbye that does not fit now is not sent */
	ERR_clear_error();
}

/* ---- handshakes ---- */

static enum err handshake(struct op *op, struct stream *s)
{
	unsigned wants = 0;
	for (;;) {
		ERR_clear_error();
		int ret = SSL_do_handshake(s->ssl);
		if (ret > 0)
			break;
		enum io_result r = after_call(s, ret, &wants);
		if (r == IO_ENDED)
			s->broken_why = "the peer closed the connection";
		if (r != IO_AGAIN)
			return op_fail(op, ERR_UNAVAILABLE, "TLS handshake: %s", s->broken_why);
		TRY(watch_wait(op, &s->watch, wants));
	}
	s->read_wants = WATCH_READ;
	s->write_wants = WATCH_WRITE;
	/* Application data may have been read along with the last flight. */
	s->watch.ready |= WATCH_READ;
	return ERR_NONE;
}

static enum err attach(struct op *op, struct stream *s, struct tls_context *t)
{
	ASSERT(!s->ssl);
	if (s->input.n)
		return op_fail(op, ERR_INVALID, "%zu bytes of plaintext before the TLS handshake",
			s->input.n);
	TRY(stream_flush(op, s));
	s->ssl = SSL_new(t->ctx);
	ASSERT(s->ssl != NULL && SSL_set_fd(s->ssl, s->watch.fd) == 1);
	(void)SSL_set_app_data(s->ssl, s);
	s->tls = tls_context_ref(t);
	buf_done(&s->input);
	buf_done(&s->output);
	return ERR_NONE;
}

enum err stream_start_tls(struct op *op, struct stream *s, struct tls_context *t)
{
	TRY(attach(op, s, t));
	SSL_set_accept_state(s->ssl);
	return handshake(op, s);
}

/* What SSL_set_tlsext_host_name() does, without losing const in a cast that warns. */
static bool set_server_name(SSL *ssl, const char *name)
{
	return SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
		       (void *)(uintptr_t)name) == 1;
}

enum err stream_connect_tls(
	struct op *op, struct stream *s, struct tls_context *t, const char *name)
{
	struct address ip;
	TRY(attach(op, s, t));
	SSL_set_connect_state(s->ssl);
	bool is_set = true;
	if (name && address_parse(str_from(name), &ip))
		is_set = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(s->ssl), name) == 1;
	else if (name)
		is_set = SSL_set1_host(s->ssl, name) == 1 && set_server_name(s->ssl, name);
	if (!is_set)
		return op_fail(
			op, ERR_INVALID, "\"%s\" is no name to verify: %s", name, tls_take_error());
	return handshake(op, s);
}
