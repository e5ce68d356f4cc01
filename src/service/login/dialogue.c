/* SPDX-License-Identifier: Apache-2.0 */
/* IMAP before login (RFC 3501 §6.1, §6.2): the commands of the not-authenticated state.
 *
 * To add a command: write command_x(), add a row to commands[], add a case to the dialogue tests. */
#include "service/login/login_private.h"
#include "wire/sasl.h"

/* What a command did to the connection. */
enum outcome { GOES_ON, HANDED_OVER };

struct command {
	struct login_connection *c;
	struct imap_cursor *cursor; /* after the name */
	struct str tag;
	struct buf *out;
};

static void say_ok(const struct command *x, struct str text)
{
	imap_put_tagged(x->out, x->tag, "OK", STR_NONE, text);
	x->c->bad_commands = 0;
}

static void say_bad(struct login_connection *c, struct str tag, struct str text)
{
	imap_put_tagged(stream_output(c->stream), tag, "BAD", STR_NONE, text);
	if (++c->bad_commands >= LOGIN_BAD_MAX) {
		imap_put_untagged(stream_output(c->stream), "BYE", STR_NONE,
			STR("Too many invalid IMAP commands."));
		c->closing_reason = "too many invalid commands";
	}
}

static enum outcome bad_arguments(const struct command *x)
{
	say_bad(x->c, x->tag, str_from(x->cursor->error ? x->cursor->error : "Invalid arguments"));
	return GOES_ON;
}

bool login_may_use_cleartext(const struct login_connection *c)
{
	const struct login *l = c->login;
	if (stream_is_tls(c->stream))
		return true;
	return !l->needs_tls && (c->is_secured || l->allows_cleartext);
}

static bool may_start_tls(const struct login_connection *c)
{
	return c->login->tls && !stream_is_tls(c->stream);
}

/* RFC 3501 §6.1.1, §7.2.1. LOGINDISABLED: §6.2.3 and RFC 2595 §3.2. */
static void put_capabilities(struct buf *out, const struct login_connection *c)
{
	const struct login *l = c->login;
	buf_put(out, STR("CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+"));
	if (may_start_tls(c))
		buf_put(out, STR(" STARTTLS"));
	if (!login_may_use_cleartext(c)) {
		buf_put(out, STR(" LOGINDISABLED"));
		return;
	}
	if (l->offers_plain)
		buf_put(out, STR(" AUTH=PLAIN"));
	if (l->offers_login)
		buf_put(out, STR(" AUTH=LOGIN"));
}

void login_put_greeting(struct login_connection *c)
{
	AUTO_BUF(code, 0);
	put_capabilities(&code, c);
	imap_put_untagged(stream_output(c->stream), "OK", buf_str(&code), c->login->greeting);
}

static enum outcome command_capability(struct op *op, const struct command *x)
{
	(void)op;
	if (imap_parse_none(x->cursor) != ERR_NONE)
		return bad_arguments(x);
	buf_put(x->out, STR("* "));
	put_capabilities(x->out, x->c);
	buf_put(x->out, STR("\r\n"));
	x->c->asked_capability = true;
	say_ok(x, STR("Pre-login capabilities listed, post-login capabilities have more."));
	return GOES_ON;
}

static enum outcome command_noop(struct op *op, const struct command *x)
{
	(void)op;
	if (imap_parse_none(x->cursor) != ERR_NONE)
		return bad_arguments(x);
	say_ok(x, STR("NOOP completed."));
	return GOES_ON;
}

static enum outcome command_logout(struct op *op, const struct command *x)
{
	(void)op;
	if (imap_parse_none(x->cursor) != ERR_NONE)
		return bad_arguments(x);
	imap_put_untagged(x->out, "BYE", STR_NONE, STR("Logging out"));
	say_ok(x, STR("Logout completed."));
	x->c->closing_reason = "logged out before login";
	return GOES_ON;
}

/* RFC 2971. What the client says is kept for the log line of the session. */
static void keep_client_id(struct login_connection *c, const struct imap_id *id)
{
	AUTO_BUF(text, 0);
	for (size_t i = 0; i < id->count; i++) {
		buf_putf(&text, "%s%.*s=%.*s", text.n ? ", " : "", STRF(id->pairs[i].key),
			STRF(id->pairs[i].value));
	}
	mem_free(c->client_id);
	c->client_id = str_new_z(str_slice(buf_str(&text), 0, LOGIN_CLIENT_ID_BYTES));
}

static enum outcome command_id(struct op *op, const struct command *x)
{
	struct imap_id id;
	(void)op;
	if (imap_parse_id(x->cursor, &id) != ERR_NONE)
		return bad_arguments(x);
	keep_client_id(x->c, &id);
	buf_put(x->out, STR("* ID (\"name\" \"Pombal\")\r\n"));
	say_ok(x, STR("ID completed."));
	return GOES_ON;
}

/* RFC 3501 §6.2.1. Input that came with the command was sent in the clear by whoever sits between:
 * stream_start_tls() refuses it, and the connection ends. */
static enum outcome command_starttls(struct op *op, const struct command *x)
{
	struct login_connection *c = x->c;
	if (imap_parse_none(x->cursor) != ERR_NONE)
		return bad_arguments(x);
	if (!may_start_tls(c)) {
		say_bad(c, x->tag,
			stream_is_tls(c->stream) ? STR("TLS is already active.")
						 : STR("TLS support isn't enabled."));
		return GOES_ON;
	}
	say_ok(x, STR("Begin TLS negotiation now."));
	if (stream_flush(op, c->stream) != ERR_NONE ||
		stream_start_tls(op, c->stream, c->login->tls) != ERR_NONE) {
		c->closing_reason = "TLS handshake failed";
		return GOES_ON;
	}
	c->is_secured = true;
	c->asked_capability = false; /* RFC 3501 §6.2.1: the client forgets what it knew */
	mem_free(c->client_id);
	c->client_id = NULL;
	return GOES_ON;
}

/* True if the answer was given: this connection may not carry passwords. */
static bool refuse_cleartext(const struct command *x, bool has_password)
{
	if (login_may_use_cleartext(x->c))
		return false;
	if (has_password)
		imap_put_untagged(x->out, "BAD", STR("ALERT"),
			STR("Plaintext authentication not allowed without SSL/TLS, but your client "
			    "did it "
			    "anyway. If anyone was listening, the password was exposed."));
	imap_put_tagged(x->out, x->tag, "NO", STR("PRIVACYREQUIRED"),
		STR("Cleartext authentication disallowed on non-secure (SSL/TLS) connections."));
	return true;
}

/* RFC 3501 §6.2.3 */
static enum outcome command_login(struct op *op, const struct command *x)
{
	struct imap_login login;
	if (imap_parse_login(x->cursor, &login) != ERR_NONE)
		return bad_arguments(x);
	if (refuse_cleartext(x, true))
		return GOES_ON;
	struct login_attempt attempt = {
		.tag = x->tag,
		.user = login.user,
		.password = login.password,
		.mechanism = "PLAIN",
	};
	x->c->bad_commands = 0;
	return login_try(op, x->c, &attempt) ? HANDED_OVER : GOES_ON;
}

/* WAITS for one line of the SASL dialogue; borrowed from the arena. */
static enum err read_line(struct op *op, struct login_connection *c, struct str *out)
{
	TRY(stream_flush(op, c->stream));
	for (;;) {
		struct str input = stream_input(c->stream), line;
		if (str_cut_line(&input, &line)) {
			*out = str_dup(op->arena, line);
			stream_consume(c->stream, stream_input(c->stream).n - input.n);
			return ERR_NONE;
		}
		TRY(stream_read_more(op, c->stream));
	}
}

/* The client's next message: its initial response, or the answer to `challenge`. */
static enum err next_message(struct op *op, const struct command *x,
	struct imap_authenticate *authenticate, struct str challenge, struct str *out)
{
	struct str line;
	if (authenticate->has_initial) {
		authenticate->has_initial = false;
		return sasl_response_decode(op->arena, authenticate->initial, out);
	}
	buf_put(x->out, STR("+ "));
	sasl_put_line(x->out, challenge);
	buf_put(x->out, STR("\r\n"));
	TRY(read_line(op, x->c, &line));
	return sasl_response_decode(op->arena, line, out);
}

static enum err run_plain(struct op *op, const struct command *x,
	struct imap_authenticate *authenticate, struct login_attempt *attempt)
{
	struct str message;
	struct sasl_plain plain;
	TRY(next_message(op, x, authenticate, STR(""), &message));
	TRY(sasl_plain_parse(message, &plain));
	attempt->mechanism = "PLAIN";
	attempt->authzid = plain.authzid;
	attempt->user = plain.authcid;
	attempt->password = plain.password;
	return ERR_NONE;
}

static enum err run_login(struct op *op, const struct command *x,
	struct imap_authenticate *authenticate, struct login_attempt *attempt)
{
	struct sasl_login login = { 0 };
	while (!login.is_done) {
		struct str message;
		TRY(next_message(op, x, authenticate, sasl_login_prompt(&login), &message));
		TRY(sasl_login_step(&login, message));
	}
	attempt->mechanism = "LOGIN";
	attempt->user = login.user;
	attempt->password = login.password;
	return ERR_NONE;
}

static void say_sasl_failure(const struct command *x, enum err e)
{
	/* The client's "*" and the end of our patience have one class. */
	if (task_is_cancelled())
		return; /* the connection ends, and its client hears why */
	if (e == ERR_CANCELLED)
		say_bad(x->c, x->tag, STR("Authentication aborted by client."));
	else if (e == ERR_INVALID)
		say_bad(x->c, x->tag, STR("Invalid base64 data in continued response"));
	else if (e == ERR_LIMIT)
		say_bad(x->c, x->tag, STR("Authentication response is too long."));
	else
		x->c->closing_reason = "disconnected during authentication";
}

/* RFC 3501 §6.2.2, RFC 4959 */
static enum outcome command_authenticate(struct op *op, const struct command *x)
{
	struct imap_authenticate authenticate;
	struct login_attempt attempt = { .tag = x->tag };
	const struct login *l = x->c->login;
	if (imap_parse_authenticate(x->cursor, &authenticate) != ERR_NONE)
		return bad_arguments(x);
	bool is_plain = l->offers_plain && str_eq_ci(authenticate.mechanism, STR("PLAIN"));
	bool is_login = l->offers_login && str_eq_ci(authenticate.mechanism, STR("LOGIN"));
	if (!is_plain && !is_login) {
		imap_put_tagged(x->out, x->tag, "NO", STR_NONE,
			STR("Unsupported authentication mechanism."));
		return GOES_ON;
	}
	if (refuse_cleartext(x, authenticate.has_initial))
		return GOES_ON;
	enum err e = is_plain ? run_plain(op, x, &authenticate, &attempt)
			      : run_login(op, x, &authenticate, &attempt);
	if (e != ERR_NONE) {
		say_sasl_failure(x, e);
		return GOES_ON;
	}
	x->c->bad_commands = 0;
	return login_try(op, x->c, &attempt) ? HANDED_OVER : GOES_ON;
}

static const struct {
	struct str name;
	enum outcome (*run)(struct op *op, const struct command *x);
} commands[] = {
	{ { "CAPABILITY", 10 }, command_capability },
	{ { "NOOP", 4 }, command_noop },
	{ { "LOGOUT", 6 }, command_logout },
	{ { "ID", 2 }, command_id },
	{ { "STARTTLS", 8 }, command_starttls },
	{ { "LOGIN", 5 }, command_login },
	{ { "AUTHENTICATE", 12 }, command_authenticate },
};

/* `text` is a complete command in op's arena, no longer in the stream. */
static enum outcome run_command(struct op *op, struct login_connection *c, struct str text)
{
	struct imap_cursor cursor;
	struct imap_command parsed;
	imap_cursor_init(&cursor, op->arena, text);
	if (imap_cut_command(&cursor, &parsed) != ERR_NONE) {
		say_bad(c, imap_frame_tag(&imap_limits_login, text),
			str_from(cursor.error ? cursor.error : "Invalid command"));
		return GOES_ON;
	}
	struct command x = {
		.c = c,
		.cursor = &cursor,
		.tag = parsed.tag,
		.out = stream_output(c->stream),
	};
	for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
		if (!parsed.is_uid && str_eq_ci(parsed.name, commands[i].name))
			return commands[i].run(op, &x);
	}
	say_bad(c, parsed.tag, STR("Error in IMAP command received by server."));
	return GOES_ON;
}

/* Acts on what the framing found in the buffered input. */
static enum outcome act(struct op *op, struct login_connection *c, enum imap_frame_result found,
	bool *out_needs_more)
{
	struct imap_frame *f = &c->frame;
	struct str text;
	switch (found) {
	case IMAP_FRAME_MORE:
		*out_needs_more = true;
		return GOES_ON;
	case IMAP_FRAME_SKIP:
		stream_consume(c->stream, f->used);
		return GOES_ON;
	case IMAP_FRAME_LITERAL:
		if (f->literal.is_message) {
			say_bad(c, imap_frame_tag(&imap_limits_login, stream_input(c->stream)),
				STR("Error in IMAP command received by server."));
			size_t used = f->used;
			if (!imap_frame_refuse(f, &imap_limits_login))
				c->closing_reason = "too much input before login";
			stream_consume(c->stream, used);
			return GOES_ON;
		}
		if (f->literal.is_sync)
			imap_put_continue(stream_output(c->stream), STR("OK"));
		imap_frame_accept(f);
		return GOES_ON;
	case IMAP_FRAME_COMPLETE:
		text = str_dup(op->arena, str_slice(stream_input(c->stream), 0, f->used));
		stream_consume(c->stream, f->used);
		serving_expire_in(&c->serving, LOGIN_IDLE_US);
		return run_command(op, c, text);
	case IMAP_FRAME_ERROR:
		say_bad(c, imap_frame_tag(&imap_limits_login, stream_input(c->stream)),
			str_from(f->error));
		stream_consume(c->stream, f->used);
		return GOES_ON;
	case IMAP_FRAME_FATAL:
		imap_put_untagged(stream_output(c->stream), "BYE", STR_NONE, str_from(f->error));
		c->closing_reason = "cannot follow the client's input";
		return GOES_ON;
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
		if (act(op, c, found, &needs_more) == HANDED_OVER)
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
