/* SPDX-License-Identifier: Apache-2.0 */
/* Calling another host's administration service. */
#include "base/number.h"
#include "config/config.h"
#include "net/net.h"
#include "net/resolve.h"
#include "net/tls.h"
#include "service/doveadm/doveadm_service.h"

#define ADDRESSES_MAX 8
#define CONNECT_US    (10 * US_PER_SEC)

struct doveadm_client {
	struct stream *stream;
	struct tls_context *tls; /* NULL: none */
	char *host;              /* owned */
};

/* ---- lines ---- */

/* WAITS. Without its end; borrowed. */
static enum err read_line(struct op *op, struct doveadm_client *c, size_t *used, struct str *out)
{
	stream_consume(c->stream, *used);
	*used = 0;
	for (;;) {
		struct str input = stream_input(c->stream), rest = input;
		if (str_cut(&rest, '\n', out)) {
			*used = input.n - rest.n;
			return ERR_NONE;
		}
		enum err e = stream_read_more(op, c->stream);
		if (e == ERR_NOT_FOUND)
			return op_fail(op, ERR_UNAVAILABLE, "%s closed the connection", c->host);
		if (e != ERR_NONE)
			return op_within(op, e, "%s", c->host);
	}
}

/* WAITS. A line of the dialogue before commands, copied into the arena. */
static enum err answer(struct op *op, struct doveadm_client *c, struct str *out)
{
	size_t used = 0;
	struct str line;
	TRY(read_line(op, c, &used, &line));
	*out = str_dup(op->arena, line);
	stream_consume(c->stream, used);
	return ERR_NONE;
}

/* ---- the beginning ---- */

static enum err check_version(struct op *op, struct doveadm_client *c)
{
	struct doveadm_line l;
	struct str line;
	TRY(stream_write(op, c->stream,
		str_printf(op->arena, "VERSION\tdoveadm-server\t%d\t%d\n", DOVEADM_MAJOR,
			DOVEADM_MINOR)));
	TRY(stream_flush(op, c->stream));
	TRY(answer(op, c, &line));
	if (doveadm_parse_line(op, line, &l) == ERR_NONE && l.kind == DOVEADM_VERSION &&
		str_eq(l.peer, STR("doveadm-client")) && l.major == DOVEADM_MAJOR)
		return ERR_NONE;
	return op_fail(op, ERR_UNSUPPORTED, "%s does not speak version %d of this protocol",
		c->host, DOVEADM_MAJOR);
}

static enum err read_tls(
	struct op *op, const struct config_scope *settings, struct tls_context **out)
{
	struct tls_client_settings t = {
		.authorities_pem = config_file(settings, SET_ssl_client_ca_file),
		.authorities_dir = config_str(settings, SET_ssl_client_ca_dir),
		.certificate = { .chain_pem = config_file(settings, SET_ssl_client_cert_file),
			.key_pem = config_file(settings, SET_ssl_client_key_file),
			.key_password = config_str(settings, SET_ssl_client_key_password) },
		.accepts_any = !config_bool(settings, SET_ssl_client_require_valid_cert),
	};
	return op_within(op, tls_context_new_client_of(op, &t, out), "ssl_client");
}

static enum err secure(struct op *op, struct doveadm_client *c, const struct config_scope *settings)
{
	bool is_any = !config_bool(settings, SET_ssl_client_require_valid_cert);
	TRY(read_tls(op, settings, &c->tls));
	return op_within(op, stream_connect_tls(op, c->stream, c->tls, is_any ? NULL : c->host),
		"TLS with %s", c->host);
}

static enum err start_tls(
	struct op *op, struct doveadm_client *c, const struct config_scope *settings)
{
	struct str line;
	TRY(stream_write(op, c->stream, STR("STARTTLS\n")));
	TRY(stream_flush(op, c->stream));
	TRY(answer(op, c, &line));
	if (!str_eq(line, STR("+")))
		return op_fail(op, ERR_UNSUPPORTED, "%s offers no STARTTLS", c->host);
	return secure(op, c, settings);
}

static enum err authenticate(
	struct op *op, struct doveadm_client *c, const struct config_scope *settings)
{
	struct str password = config_str(settings, SET_doveadm_password), line;
	if (password.n == 0)
		return op_fail(
			op, ERR_DENIED, "doveadm_password is not set: %s wants one", c->host);
	doveadm_put_plain(
		stream_output(c->stream), config_str(settings, SET_doveadm_username), password);
	TRY(stream_flush(op, c->stream));
	TRY(answer(op, c, &line));
	if (!str_eq(line, STR("+")))
		return op_fail(op, ERR_DENIED,
			"%s refused: doveadm_username and doveadm_password must be the same there",
			c->host);
	return stream_write(op, c->stream, STR("OPTION\tfailure-text\n"));
}

static enum err begin(struct op *op, struct doveadm_client *c, const struct config_scope *settings)
{
	if (config_is(settings, SET_doveadm_ssl, STR("ssl")))
		TRY(secure(op, c, settings));
	TRY(check_version(op, c));
	if (config_is(settings, SET_doveadm_ssl, STR("starttls")))
		TRY(start_tls(op, c, settings));
	return authenticate(op, c, settings);
}

static enum err connect_to(struct op *op, struct str host, uint16_t port, int *out_fd)
{
	struct address found[ADDRESSES_MAX];
	size_t count;
	TRY(resolve_host(op, host, port, found, ADDRESSES_MAX, &count));
	enum err e = connect_tcp(op, &found[0], out_fd);
	for (size_t i = 1; i < count && e != ERR_NONE && e != ERR_CANCELLED; i++) {
		op_forgive(op);
		e = connect_tcp(op, &found[i], out_fd);
	}
	return e;
}

/* "name:port", "[::1]:port", or without a port. */
static enum err split(struct op *op, const struct config_scope *settings, struct str text,
	struct str *out_host, uint16_t *out_port)
{
	uint32_t port = config_port(settings, SET_doveadm_port);
	struct address at;
	ssize_t colon = str_find_last_byte(text, ':');
	bool is_bare = address_parse(text, &at) && at.port == 0; /* "::1" has colons of its own */
	*out_host = text;
	if (!is_bare && colon >= 0) {
		*out_host = str_slice(text, 0, (size_t)colon);
		if (!number_parse_u32(str_slice(text, (size_t)colon + 1, text.n), &port))
			port = UINT32_MAX;
	}
	if (str_starts(*out_host, STR("[")) && str_ends(*out_host, STR("]")))
		*out_host = str_slice(*out_host, 1, out_host->n - 1);
	if (port == 0 || port > UINT16_MAX || out_host->n == 0)
		return op_fail(op, ERR_INVALID,
			"\"%.*s\" is not HOST:PORT; without a port doveadm_port must be set",
			STRF(text));
	*out_port = (uint16_t)port;
	return ERR_NONE;
}

enum err doveadm_dial(struct op *op, const struct config_scope *settings, struct str host,
	struct doveadm_client **out)
{
	struct str name;
	uint16_t port = 0;
	int fd = -1;
	TRY(split(op, settings, host, &name, &port));
	int64_t deadline_us = op->deadline_us;
	op->deadline_us = MIN(deadline_us, now_us() + CONNECT_US);
	struct doveadm_client *c = MEM_NEW(struct doveadm_client);
	c->host = str_new_z(name);
	enum err e = connect_to(op, name, port, &fd);
	if (e == ERR_NONE)
		e = stream_new(op, fd, DOVEADM_LINE_MAX, &c->stream);
	if (e == ERR_NONE)
		e = begin(op, c, settings);
	op->deadline_us = deadline_us;
	if (e == ERR_NONE)
		*out = c;
	else
		doveadm_client_close(c);
	return op_within(op, e, "administration at %.*s", STRF(host));
}

/* ---- commands ---- */

enum err doveadm_client_send(struct op *op, struct doveadm_client *c, struct str user,
	struct str command, const struct str *args, size_t arg_count)
{
	struct buf *out = stream_output(c->stream);
	buf_put_byte(out, '\t');
	doveadm_put_field(out, user);
	buf_put_byte(out, '\t');
	doveadm_put_field(out, command);
	for (size_t i = 0; i < arg_count; i++) {
		buf_put_byte(out, '\t');
		doveadm_put_field(out, args[i]);
	}
	buf_put_byte(out, '\n');
	return op_within(op, stream_flush(op, c->stream), "%s", c->host);
}

enum err doveadm_client_line(
	struct op *op, struct doveadm_client *c, struct str *out, bool *out_ended)
{
	enum err e;
	struct str line, text;
	TRY(answer(op, c, &line));
	*out = line;
	*out_ended = line.n == 0;
	if (!*out_ended)
		return ERR_NONE;
	TRY(answer(op, c, &line));
	if (!doveadm_parse_status(op->arena, line, &e, &text))
		return op_fail(op, ERR_INVALID, "%s sent no status behind its output", c->host);
	if (e == ERR_NONE)
		return ERR_NONE;
	return op_fail(op, e, "%s: %.*s", c->host, STRF(text.n > 0 ? text : STR("it failed")));
}

enum err doveadm_client_read(
	struct op *op, struct doveadm_client *c, char *out, size_t max, size_t *out_n)
{
	enum err e = stream_read_some(op, c->stream, out, max, out_n);
	if (e == ERR_NOT_FOUND)
		return op_fail(op, ERR_UNAVAILABLE, "%s closed the connection", c->host);
	return op_within(op, e, "%s", c->host);
}

void doveadm_client_close(struct doveadm_client *c)
{
	if (!c)
		return;
	stream_abandon(c->stream);
	tls_context_unref(c->tls);
	mem_free(c->host);
	mem_free(c);
}
