/* SPDX-License-Identifier: Apache-2.0 */
/* IMAP before login (RFC 3501 §6.1, §6.2): the commands of the not-authenticated state.
 *
 * To add a command: write command_x(), add a row to commands[], add a case to the dialogue tests. */
#include "service/login/login_private.h"
#include "wire/sasl.h"

static void say_ok(const struct login_command *x, struct str text)
{
	imap_put_tagged(x->out, x->tag, "OK", STR_NONE, text);
	x->c->bad_commands = 0;
}

void login_say_bad(struct login_connection *c, struct str tag, struct str text)
{
	imap_put_tagged(stream_output(c->stream), tag, "BAD", STR_NONE, text);
	if (++c->bad_commands >= LOGIN_BAD_MAX) {
		imap_put_untagged(stream_output(c->stream), "BYE", STR_NONE,
			STR("Too many invalid IMAP commands."));
		c->closing_reason = "too many invalid commands";
	}
}

enum login_outcome login_bad_arguments(const struct login_command *x)
{
	login_say_bad(
		x->c, x->tag, str_from(x->cursor->error ? x->cursor->error : "Invalid arguments"));
	return LOGIN_GOES_ON;
}

static bool may_start_tls(const struct login_connection *c)
{
	return c->login->tls && !login_is_tls(c) && !config_is(c->scope, SET_ssl, STR("no"));
}

void login_put_greeting(struct op *op, struct login_connection *c)
{
	AUTO_BUF(code, 0);
	login_put_capabilities(&code, c);
	struct str text = login_expand(op, c, config_str(c->scope, SET_login_greeting), NULL, NULL);
	imap_put_untagged(
		stream_output(c->stream), "OK", buf_str(&code), text.n ? text : STR("Ready."));
}

static enum login_outcome command_capability(struct op *op, const struct login_command *x)
{
	(void)op;
	if (imap_parse_none(x->cursor) != ERR_NONE)
		return login_bad_arguments(x);
	buf_put(x->out, STR("* "));
	login_put_capabilities(x->out, x->c);
	buf_put(x->out, STR("\r\n"));
	x->c->asked_capability = true;
	say_ok(x, STR("Pre-login capabilities listed, post-login capabilities have more."));
	return LOGIN_GOES_ON;
}

static enum login_outcome command_noop(struct op *op, const struct login_command *x)
{
	(void)op;
	if (imap_parse_none(x->cursor) != ERR_NONE)
		return login_bad_arguments(x);
	say_ok(x, STR("NOOP completed."));
	return LOGIN_GOES_ON;
}

static enum login_outcome command_logout(struct op *op, const struct login_command *x)
{
	(void)op;
	if (imap_parse_none(x->cursor) != ERR_NONE)
		return login_bad_arguments(x);
	imap_put_untagged(x->out, "BYE", STR_NONE, STR("Logging out"));
	say_ok(x, STR("Logout completed."));
	x->c->closing_reason = "logged out before login";
	return LOGIN_GOES_ON;
}

/* RFC 3501 §6.2.1. Input that came with the command was sent in the clear by whoever sits between:
 * stream_start_tls() refuses it, and the connection ends. */
static enum login_outcome command_starttls(struct op *op, const struct login_command *x)
{
	struct login_connection *c = x->c;
	if (imap_parse_none(x->cursor) != ERR_NONE)
		return login_bad_arguments(x);
	if (!may_start_tls(c)) {
		login_say_bad(c, x->tag,
			stream_is_tls(c->stream) ? STR("TLS is already active.")
						 : STR("TLS support isn't enabled."));
		return LOGIN_GOES_ON;
	}
	say_ok(x, STR("Begin TLS negotiation now."));
	if (stream_flush(op, c->stream) != ERR_NONE || login_start_tls(op, c) != ERR_NONE)
		return LOGIN_GOES_ON;
	c->asked_capability = false; /* RFC 3501 §6.2.1: the client forgets what it knew */
	mem_free(c->client_id);
	c->client_id = NULL;
	return LOGIN_GOES_ON;
}

static const struct {
	struct str name;
	enum login_outcome (*run)(struct op *op, const struct login_command *x);
} commands[] = {
	{ { "CAPABILITY", 10 }, command_capability },
	{ { "NOOP", 4 }, command_noop },
	{ { "LOGOUT", 6 }, command_logout },
	{ { "ID", 2 }, login_command_id },
	{ { "STARTTLS", 8 }, command_starttls },
	{ { "LOGIN", 5 }, login_command_login },
	{ { "AUTHENTICATE", 12 }, login_command_authenticate },
};

/* `text` is a complete command in op's arena, no longer in the stream. */
static enum login_outcome run_command(struct op *op, struct login_connection *c, struct str text)
{
	struct imap_cursor cursor;
	struct imap_command parsed;
	imap_cursor_init(&cursor, op->arena, text);
	if (imap_cut_command(&cursor, &parsed) != ERR_NONE) {
		login_say_bad(c, imap_frame_tag(&imap_limits_login, text),
			str_from(cursor.error ? cursor.error : "Invalid command"));
		return LOGIN_GOES_ON;
	}
	struct login_command x = {
		.c = c,
		.cursor = &cursor,
		.tag = parsed.tag,
		.out = stream_output(c->stream),
	};
	for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
		if (!parsed.is_uid && str_eq_ci(parsed.name, commands[i].name))
			return commands[i].run(op, &x);
	}
	login_say_bad(c, parsed.tag, STR("Error in IMAP command received by server."));
	return LOGIN_GOES_ON;
}

/* Acts on what the framing found in the buffered input. */
static enum login_outcome act(struct op *op, struct login_connection *c,
	enum imap_frame_result found, bool *out_needs_more)
{
	struct imap_frame *f = &c->frame;
	struct str text;
	switch (found) {
	case IMAP_FRAME_MORE:
		*out_needs_more = true;
		return LOGIN_GOES_ON;
	case IMAP_FRAME_SKIP:
		stream_consume(c->stream, f->used);
		return LOGIN_GOES_ON;
	case IMAP_FRAME_LITERAL:
		if (f->literal.is_message) {
			login_say_bad(c,
				imap_frame_tag(&imap_limits_login, stream_input(c->stream)),
				STR("Error in IMAP command received by server."));
			size_t used = f->used;
			if (!imap_frame_refuse(f, &imap_limits_login))
				c->closing_reason = "too much input before login";
			stream_consume(c->stream, used);
			return LOGIN_GOES_ON;
		}
		if (f->literal.is_sync)
			imap_put_continue(stream_output(c->stream), STR("OK"));
		imap_frame_accept(f);
		return LOGIN_GOES_ON;
	case IMAP_FRAME_COMPLETE:
		text = str_dup(op->arena, str_slice(stream_input(c->stream), 0, f->used));
		stream_consume(c->stream, f->used);
		serving_expire_in(&c->serving, LOGIN_IDLE_US);
		return run_command(op, c, text);
	case IMAP_FRAME_ERROR:
		login_say_bad(c, imap_frame_tag(&imap_limits_login, stream_input(c->stream)),
			str_from(f->error));
		stream_consume(c->stream, f->used);
		return LOGIN_GOES_ON;
	case IMAP_FRAME_FATAL:
		imap_put_untagged(stream_output(c->stream), "BYE", STR_NONE, str_from(f->error));
		c->closing_reason = "cannot follow the client's input";
		return LOGIN_GOES_ON;
	}
	UNREACHABLE();
}

bool login_serve_input(struct op *op, struct login_connection *c)
{
	bool got;
	while (!c->closing_reason && !task_is_cancelled()) {
		bool needs_more = false;
		/* A pipeline may be endless: memory of one command each, and turns for the others. */
		arena_reset(op->arena);
		op_init(op, op->arena, c->event, now_us() + LOGIN_IDLE_US);
		enum imap_frame_result found =
			imap_frame_feed(&c->frame, &imap_limits_login, stream_input(c->stream));
		if (act(op, c, found, &needs_more) == LOGIN_HANDED_OVER)
			return false;
		if (!needs_more) {
			/* A client that only talks and never listens waits here. */
			if (!c->closing_reason && stream_write_check(op, c->stream) != ERR_NONE)
				c->closing_reason = "disconnected";
			task_breathe();
			continue;
		}
		enum err e = stream_read_ready(op, c->stream, &got);
		if (e == ERR_LIMIT)
			c->closing_reason = "command line too long";
		else if (e != ERR_NONE)
			c->closing_reason = "disconnected";
		else if (!got)
			return true;
	}
	return true;
}
