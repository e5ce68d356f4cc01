/* SPDX-License-Identifier: Apache-2.0 */
/* The clients of dialogues: what they say, and whether what they hear fits. */
#include "service/imap/dialogue_private.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/ticket.h"
#include "ipc/handover.h"

#define SLOW_MAX 2000 /* longer things are sent at once in any case */

/* ---- saying what went wrong ---- */

bool dialogue_fail(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	int n = snprintf(
		dialogue_kit.failure, sizeof(dialogue_kit.failure), "line %u: ", dialogue_kit.line);
	(void)vsnprintf(
		dialogue_kit.failure + n, sizeof(dialogue_kit.failure) - (size_t)n, fmt, args);
	va_end(args);
	return false;
}

/* ---- clients ---- */

static struct str hear(struct op *op, struct dialogue_client *c)
{
	struct str input, line;
	for (;;) {
		input = stream_input(c->stream);
		size_t before = input.n;
		if (str_cut_line(&input, &line)) {
			line = str_dup(op->arena, line);
			stream_consume(c->stream, before - input.n);
			return line;
		}
		op->deadline_us = now_us() + (dialogue_kit.is_virtual ? 3600 * US_PER_SEC
								      : DIALOGUE_PATIENCE_US);
		enum err e = stream_read_more(op, c->stream);
		if (e == ERR_NOT_FOUND || e == ERR_UNAVAILABLE)
			return STR("EOF");
		if (e != ERR_NONE)
			return STR("(silence)");
	}
}

bool dialogue_log_in(struct op *op, char name, struct dialogue_client *c)
{
	int fds[2];
	struct user *user;
	struct str user_name = str_printf(op->arena, "user%u", dialogue_kit.user_serial);
	struct handover h = { .protocol = STR("imap"),
		.session_id = str_printf(op->arena, "session-%c", name),
		.reply_tag = STR("login"),
		.wants_capability = true };
	struct ticket ticket = { .service = STR("imap"), .user = user_name };
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
		return dialogue_fail("no socket pair");
	h.fd = fds[1];
	op->deadline_us = now_us() + DIALOGUE_PATIENCE_US;
	enum err e = stream_new(op, fds[0], 1 << 20, &c->stream);
	if (e == ERR_NONE)
		e = user_open(op, dialogue_kit.store, user_name, &user);
	if (e != ERR_NONE) {
		close(h.fd);
		return dialogue_fail("cannot open the user: %s", op->failure.text);
	}
	e = imap_session_start(op, dialogue_kit.imap, &h, &ticket, user);
	user_unref(user);
	if (e != ERR_NONE)
		return dialogue_fail("cannot start a session: %s", op->failure.text);
	struct str greeting = hear(op, c);
	if (!str_starts(greeting, STR("login OK [CAPABILITY IMAP4rev1 ")))
		return dialogue_fail("greeted with: %.*s", STRF(greeting));
	return true;
}

/* "@70" is 70 lines of 64 bytes. */
static void put_many_lines(struct buf *out, struct str *text)
{
	unsigned count = 0;
	while (text->n > 0 && ascii_is_digit(text->p[0]))
		count = count * 10 + (unsigned)(str_take(text, 1).p[0] - '0');
	for (unsigned i = 0; i < count; i++)
		buf_putf(out, "%062u\r\n", i);
}

void dialogue_put_lines(struct buf *out, struct str text)
{
	while (text.n > 0) {
		struct str byte = str_take(&text, 1);
		if (byte.p[0] == '@' && text.n > 0 && ascii_is_digit(text.p[0]))
			put_many_lines(out, &text);
		else
			buf_put(out, byte.p[0] == '|' ? STR("\r\n") : byte);
	}
}

/* "<<a|>>" as "{3+}" CRLF "a" CRLF. */
static void put_with_literals(struct buf *out, struct str text)
{
	struct str before, literal;
	ssize_t from, to;
	while ((from = str_find(text, STR("<<"))) >= 0 && (to = str_find(text, STR(">>"))) > from) {
		before = str_take(&text, (size_t)from);
		(void)str_skip(&text, STR("<<"));
		literal = str_take(&text, (size_t)(to - from - 2));
		(void)str_skip(&text, STR(">>"));
		AUTO_BUF(bytes, 0);
		dialogue_put_lines(&bytes, literal);
		buf_put(out, before);
		buf_putf(out, "{%zu+}\r\n", bytes.n);
		buf_put(out, buf_str(&bytes));
	}
	buf_put(out, text);
	buf_put(out, STR("\r\n"));
}

static enum err send_bytes(struct op *op, struct dialogue_client *c, struct str bytes)
{
	bool is_slow = dialogue_kit.setting == BYTE_BY_BYTE && bytes.n < SLOW_MAX;
	op->deadline_us = now_us() + DIALOGUE_PATIENCE_US;
	while (bytes.n > 0) {
		TRY(stream_write(op, c->stream, str_take(&bytes, is_slow ? 1 : bytes.n)));
		TRY(stream_flush(op, c->stream));
		task_yield();
	}
	return ERR_NONE;
}

/* Where "?v" stands; -1: nowhere. */
static ssize_t find_variable(struct str text, size_t from)
{
	for (size_t i = from; i + 1 < text.n; i++) {
		if (text.p[i] == '?' && text.p[i + 1] >= 'a' && text.p[i + 1] <= 'z')
			return (ssize_t)i;
	}
	return -1;
}

/* Keeps the number at `from` of the line. */
static bool keep_number(char *kept, struct str line, size_t from)
{
	size_t n = from;
	while (n < line.n && ascii_is_digit(line.p[n]))
		n++;
	if (n == from || n - from >= sizeof(dialogue_kit.kept[0]))
		return false;
	memcpy(kept, line.p + from, n - from);
	return true;
}

/* Puts what was kept in the place of variables; `line` gives those that are new. NULL: none may be
 * new. False: one is. */
static bool fill_variables(struct op *op, struct str *text, const struct str *line)
{
	ssize_t at = -1;
	while ((at = find_variable(*text, (size_t)(at + 1))) >= 0) {
		char *kept = dialogue_kit.kept[text->p[at + 1] - 'a'];
		struct str before = str_slice(*text, 0, (size_t)at);
		struct str after = str_slice(*text, (size_t)at + 2, text->n);
		if (!kept[0] && (!line || !str_starts(*line, before) ||
					!keep_number(kept, *line, (size_t)at)))
			return false;
		*text = str_printf(op->arena, "%.*s%s%.*s", STRF(before), kept, STRF(after));
	}
	return true;
}

bool dialogue_say(
	struct op *op, char name, struct dialogue_client *c, struct str text, bool has_tag)
{
	AUTO_BUF(line, 0);
	if (!fill_variables(op, &text, NULL))
		return dialogue_fail("nothing was kept for: %.*s", STRF(text));
	if (has_tag) {
		buf_putf(&line, "%c%u ", name, ++c->serial);
		put_with_literals(&line, text);
	} else {
		dialogue_put_lines(&line, text);
		buf_put(&line, STR("\r\n"));
	}
	if (send_bytes(op, c, buf_str(&line)) != ERR_NONE)
		return dialogue_fail("client %c cannot send: %s", name, op->failure.text);
	return true;
}

/* ".." in the pattern stands for any run of bytes. */
static bool fits(struct str pattern, struct str line)
{
	struct str piece, any = STR("..");
	ssize_t at = str_find(pattern, any);
	if (at < 0)
		return str_eq(pattern, line);
	if (!str_skip(&line, str_take(&pattern, (size_t)at)))
		return false;
	while (str_skip(&pattern, any)) {
		at = str_find(pattern, any);
		if (at < 0)
			return str_ends(line, pattern);
		piece = str_take(&pattern, (size_t)at);
		if ((at = str_find(line, piece)) < 0)
			return false;
		(void)str_take(&line, (size_t)at + piece.n);
	}
	return false;
}

/* `skips`: other lines may come before it. */
bool dialogue_expect(
	struct op *op, char name, struct dialogue_client *c, struct str pattern, bool skips)
{
	struct str line = hear(op, c);
	struct str wanted = pattern;
	if (str_skip(&pattern, STR("$")))
		wanted = str_printf(op->arena, "%c%u%.*s", name, c->serial, STRF(pattern));
	while (skips && !(fill_variables(op, &wanted, &line) && fits(wanted, line)) &&
		!str_eq(line, STR("EOF")) && !str_eq(line, STR("(silence)")))
		line = hear(op, c);
	if (!fill_variables(op, &wanted, &line) || !fits(wanted, line))
		return dialogue_fail("client %c heard:\n    %.*s\n  instead of:\n    %.*s", name,
			STRF(line), STRF(wanted));
	if (str_eq(line, STR("EOF"))) {
		stream_abandon(c->stream);
		c->stream = NULL;
	}
	return true;
}
