/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a connection: TCP, TLS, OPTIONS, STARTUP, credentials, keyspace; and asking on it by text.
 * Spec: CQL binary protocol v4, §3 and §4. */
#include "cql/cql_private.h"
#include "net/net.h"

static enum err unexpected(struct op *op, const struct cql_answer *a, const char *to)
{
	return op_fail(op, ERR_UNAVAILABLE, "answer 0x%02x to %s was not expected", a->opcode, to);
}

/* ---- asking by text ---- */

enum err cql_connection_query(struct op *op, struct cql_connection *c, struct str text,
	int64_t until_us, enum cql_result_kind *out_kind, struct cql_answer *out)
{
	const struct cql_parameters parameters = { .consistency = CQL_AT_ONE,
		.stamp_us = INT64_MIN };
	AUTO_BUF(body, 0);
	struct cql_answer answer = { 0 };
	struct cql_error error;
	cql_put_query(&body, text, &parameters);
	TRY(cql_connection_ask(op, c, CQL_OP_QUERY, buf_str(&body), until_us, &answer));
	enum err e = ERR_NONE;
	if (answer.opcode == CQL_OP_ERROR && cql_error_parse(answer.body, &error))
		e = cql_error_fail(op, &error);
	else if (answer.opcode != CQL_OP_RESULT || !cql_result_cut_kind(&answer.body, out_kind))
		e = unexpected(op, &answer, "a query");
	if (e != ERR_NONE) {
		cql_answer_done(&answer);
		return e;
	}
	*out = answer;
	return ERR_NONE;
}

enum err cql_connection_use(struct op *op, struct cql_connection *c, int64_t until_us)
{
	enum cql_result_kind kind;
	struct cql_answer answer = { 0 };
	if (c->has_keyspace || c->dial->keyspace.n == 0)
		return ERR_NONE;
	AUTO_BUF(text, 0);
	buf_put(&text, STR("USE "));
	cql_put_name(&text, c->dial->keyspace);
	TRY(cql_connection_query(op, c, buf_str(&text), until_us, &kind, &answer));
	cql_answer_done(&answer);
	c->has_keyspace = true;
	return ERR_NONE;
}

/* ---- the dialogue ---- */

static enum err ask(struct op *op, struct cql_connection *c, enum cql_opcode opcode,
	struct str body, struct cql_answer *out)
{
	struct cql_error error;
	struct cql_answer answer = { 0 };
	TRY(cql_connection_ask(op, c, opcode, body, TIME_NEVER, &answer));
	if (answer.opcode == CQL_OP_ERROR && cql_error_parse(answer.body, &error)) {
		enum err class = error.code == CQL_ERROR_CREDENTIALS ? ERR_DENIED
				 : error.code == CQL_ERROR_PROTOCOL  ? ERR_UNSUPPORTED
								     : ERR_UNAVAILABLE;
		class = op_fail(
			op, class, "%s: %.*s", cql_error_name(error.code), STRF(error.message));
		cql_answer_done(&answer);
		return class;
	}
	*out = answer;
	return ERR_NONE;
}

static enum err offer(struct op *op, struct cql_connection *c, bool *out_lz4)
{
	struct cql_answer answer = { 0 };
	TRY(ask(op, c, CQL_OP_OPTIONS, STR(""), &answer));
	enum err e = ERR_NONE;
	if (answer.opcode == CQL_OP_SUPPORTED)
		*out_lz4 = cql_supported_has(answer.body, STR("COMPRESSION"), STR("lz4"));
	else
		e = unexpected(op, &answer, "OPTIONS");
	cql_answer_done(&answer);
	return e;
}

static enum err log_in(struct op *op, struct cql_connection *c, const struct cql_answer *asked)
{
	struct str mechanism = STR(""), rest = asked->body;
	struct cql_answer answer = { 0 };
	AUTO_BUF(body, 0);
	if (!cql_cut_string(&rest, &mechanism))
		return unexpected(op, asked, "STARTUP");
	if (c->dial->user.n == 0)
		return op_fail(op, ERR_DENIED,
			"it wants credentials (%.*s): set cassandra_user and cassandra_password",
			STRF(mechanism));
	cql_put_plain(&body, c->dial->user, c->dial->password);
	enum err e = ask(op, c, CQL_OP_AUTH_RESPONSE, buf_str(&body), &answer);
	mem_wipe(body.p, body.n);
	TRY(e);
	if (answer.opcode != CQL_OP_AUTH_SUCCESS)
		e = op_fail(op, ERR_UNSUPPORTED, "it wants more than a password (%.*s)",
			STRF(mechanism));
	cql_answer_done(&answer);
	return e;
}

static enum err start(struct op *op, struct cql_connection *c)
{
	struct cql_answer answer = { 0 };
	AUTO_BUF(body, 0);
	bool has_lz4 = false;
	enum err e = offer(op, c, &has_lz4);
	if (e == ERR_UNAVAILABLE && !c->dial->tls)
		return op_within(op, e, "before its first answer (cassandra_ssl is \"no\")");
	TRY(e);
	cql_put_startup(&body, has_lz4);
	TRY(ask(op, c, CQL_OP_STARTUP, buf_str(&body), &answer));
	c->has_lz4 = has_lz4;
	if (answer.opcode == CQL_OP_AUTHENTICATE)
		e = log_in(op, c, &answer);
	else if (answer.opcode != CQL_OP_READY)
		e = unexpected(op, &answer, "STARTUP");
	cql_answer_done(&answer);
	TRY(e);
	e = cql_connection_use(op, c, TIME_NEVER);
	if (e != ERR_INVALID)
		return e;
	op_forgive(op); /* no keyspace yet: who needs one will hear of it */
	return ERR_NONE;
}

/* ---- the stream below it ---- */

static enum err connect_stream(
	struct op *op, const struct cql_dial *dial, const struct address *to, struct stream **out)
{
	int fd;
	struct stream *stream;
	AUTO_BUF(name, 0);
	TRY(connect_tcp(op, to, &fd));
	TRY(stream_new(op, fd, CQL_INPUT_MAX, &stream));
	if (dial->tls) {
		address_put(&name, to, false);
		buf_put_byte(&name, '\0');
		enum err e = stream_connect_tls(
			op, stream, dial->tls, dial->checks_address ? name.p : NULL);
		if (e != ERR_NONE) {
			stream_abandon(stream);
			return e;
		}
	}
	*out = stream;
	return ERR_NONE;
}

enum err cql_connection_open(struct op *op, const struct cql_dial *dial, const struct address *to,
	struct event *event, struct cql_connection **out)
{
	struct stream *stream;
	int64_t deadline_us = op->deadline_us;
	op->deadline_us = MIN(deadline_us, now_us() + dial->connect_us);
	struct cql_connection *c = NULL;
	enum err e = connect_stream(op, dial, to, &stream);
	if (e == ERR_NONE) {
		c = cql_connection_new(dial, stream, to, event);
		e = start(op, c);
	}
	op->deadline_us = deadline_us;
	if (e == ERR_NONE) {
		*out = c;
		return ERR_NONE;
	}
	cql_connection_close(c);
	AUTO_BUF(text, 0);
	address_put(&text, to, true);
	return op_within(op, e, "Cassandra node %.*s", STRF(buf_str(&text)));
}
