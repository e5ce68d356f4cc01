/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the dialogues (dialogue.h) against the real service over socket pairs. Each is a test. Twice: as
 * written, and with every byte sent by itself. */
#include "service/lmtp/dialogue.h"

#include <stdio.h>

#include "net/tls.h"
#include "service/lmtp/test_certificate.h"
#include "service/lmtp/test_client.h"

#define DIALOGUES_MAX 400
#define SLOW_MAX      2000 /* longer things are sent at once in any case */

static struct {
	const struct dialogue *dialogue;
	bool is_slow;
	size_t saved_seen;
	unsigned line;
	char failure[4096]; /* "": none */
} run;

/* ---- saying what went wrong ---- */

__attribute__((format(printf, 1, 2))) static void fail_dialogue(const char *fmt, ...)
{
	va_list args;
	if (run.failure[0])
		return; /* the first one counts */
	va_start(args, fmt);
	int n = snprintf(run.failure, sizeof(run.failure), "line %u: ", run.line);
	(void)vsnprintf(run.failure + n, sizeof(run.failure) - (size_t)n, fmt, args);
	va_end(args);
}

/* ".." in `pattern` is any run. */
static bool matches(struct str text, struct str pattern)
{
	for (;;) {
		ssize_t at = str_find(pattern, STR(".."));
		if (at < 0)
			return str_eq(text, pattern);
		if (!str_skip(&text, str_slice(pattern, 0, (size_t)at)))
			return false;
		(void)str_take(&pattern, (size_t)at + 2);
		at = str_find(pattern, STR(".."));
		struct str part = str_slice(pattern, 0, at < 0 ? pattern.n : (size_t)at);
		if (at < 0)
			return str_ends(text, part);
		ssize_t found = str_find(text, part);
		if (found < 0)
			return false;
		(void)str_take(&text, (size_t)found);
	}
}

static void check(struct str text, struct str pattern)
{
	if (!matches(text, pattern))
		fail_dialogue("have '%.*s', want '%.*s'", STRF(text), STRF(pattern));
}

/* ---- writing ---- */

static void put_many_lines(struct buf *out, struct str *text)
{
	unsigned count = 0;
	while (text->n > 0 && ascii_is_digit(text->p[0]))
		count = count * 10 + (unsigned)(str_take(text, 1).p[0] - '0');
	for (unsigned i = 0; i < count; i++)
		buf_putf(out, "%062u\r\n", i);
}

static void put_text(struct buf *out, struct str text)
{
	while (text.n > 0) {
		struct str byte = str_take(&text, 1);
		bool has_count = text.n > 0 && ascii_is_digit(text.p[0]);
		if (byte.p[0] == '|')
			buf_put(out, STR("\r\n"));
		else if (byte.p[0] == '@' && has_count)
			put_many_lines(out, &text);
		else if (byte.p[0] == '^' && str_skip(&text, STR("J")))
			buf_put_byte(out, '\n');
		else if (byte.p[0] == '^' && str_skip(&text, STR("M")))
			buf_put_byte(out, '\r');
		else if (byte.p[0] == '^' && str_skip(&text, STR("@")))
			buf_put_byte(out, '\0');
		else
			buf_put(out, byte);
	}
}

static void send_text(struct kit *k, struct str text, bool is_line)
{
	AUTO_BUF(bytes, 0);
	put_text(&bytes, text);
	if (is_line)
		buf_put(&bytes, STR("\r\n"));
	struct str rest = buf_str(&bytes);
	bool is_slow = run.is_slow && rest.n < SLOW_MAX;
	while (rest.n > 0) {
		struct str piece = str_take(&rest, is_slow ? 1 : rest.n);
		/* Who was refused may be gone already: what he hears is what counts. */
		if (stream_write(&k->op, k->client, piece) != ERR_NONE ||
			stream_flush(&k->op, k->client) != ERR_NONE)
			return;
		task_yield();
	}
}

/* ---- hearing ---- */

/* "EOF" when the server closed, "silence" when nothing comes. */
static struct str hear_line(struct kit *k)
{
	struct str line, rest;
	for (;;) {
		rest = stream_input(k->client);
		if (str_cut_line(&rest, &line))
			break;
		enum err e = stream_read_more(&k->op, k->client);
		if (e == ERR_NOT_FOUND || e == ERR_UNAVAILABLE)
			return STR("EOF");
		if (e != ERR_NONE)
			return STR("silence");
	}
	line = str_dup(&k->arena, line);
	stream_consume(k->client, stream_input(k->client).n - rest.n);
	return line;
}

static void hear(struct kit *k, struct str pattern)
{
	check(hear_line(k), pattern);
}

/* CRLF as "|". */
static struct str shown(struct kit *k, struct str text)
{
	AUTO_BUF(out, 0);
	while (text.n > 0) {
		if (str_skip(&text, STR("\r\n")))
			buf_put_byte(&out, '|');
		else
			buf_put(&out, str_take(&text, 1));
	}
	return buf_dup(&k->arena, &out);
}

/* The mail that was named last. */
static struct saved latest(const struct kit *k)
{
	static const struct saved none = { .head = { "none", 4 }, .mail = { "none", 4 } };
	return run.saved_seen > 0 ? k->saved[run.saved_seen - 1] : none;
}

static void next_mail(struct kit *k, struct str pattern)
{
	if (run.saved_seen == k->saved_count)
		fail_dialogue("no further mail was saved");
	if (run.failure[0])
		return;
	const struct saved *s = &k->saved[run.saved_seen++];
	check(str_printf(&k->arena, "%.*s from %.*s to %.*s detail %.*s", STRF(s->user),
		      STRF(s->sender), STRF(s->recipient), STRF(s->detail)),
		pattern);
}

static void check_mail(struct kit *k, struct str text)
{
	AUTO_BUF(want, 0);
	put_text(&want, text);
	if (!str_eq(latest(k).mail, buf_str(&want)))
		fail_dialogue("have mail '%.*s', want '%.*s'", STRF(shown(k, latest(k).mail)),
			STRF(text));
}

/* ---- the script ---- */

static void start_tls(struct kit *k)
{
	struct tls_context *t;
	assert_ok(tls_context_new_client(&k->op, STR(TEST_CERTIFICATE), &t));
	if (stream_connect_tls(&k->op, k->client, t, "localhost") != ERR_NONE)
		fail_dialogue("no TLS: %s", k->op.failure.text);
	tls_context_unref(t);
}

static void hello(struct kit *k)
{
	struct str line;
	hear(k, STR("220 mail.example.test .."));
	send_text(k, STR("LHLO client.example.org"), true);
	do
		line = hear_line(k);
	while (str_starts(line, STR("250-")));
}

static void obey(struct kit *k, struct str word, struct str rest)
{
	if (str_eq(word, STR("!hello"))) {
		hello(k);
	} else if (str_eq(word, STR("!cut"))) {
		while (stream_read_more(&k->op, k->client) == ERR_NONE)
			stream_consume(k->client, stream_input(k->client).n);
	} else if (str_eq(word, STR("!tls"))) {
		start_tls(k);
	} else if (str_eq(word, STR("!from"))) {
		struct address peer;
		assert_true(address_parse(rest, &peer));
		stream_abandon(k->client);
		k->client = kit_connect(k, &peer);
	} else if (str_eq(word, STR("!door"))) {
		k->door.is_tls = str_eq(rest, STR("tls"));
		k->door.has_proxy_header = str_eq(rest, STR("proxy"));
	} else if (str_eq(word, STR("!reload"))) {
		kit_reload(k, rest);
	} else if (str_eq(word, STR("!kill"))) {
		kit_kill(k, rest);
	} else if (str_eq(word, STR("!revive"))) {
		kit_revive(k, rest);
	} else {
		fail_dialogue("no such order");
	}
}

static void play_line(struct kit *k, struct str line)
{
	struct str rest = line, word = line;
	(void)str_cut(&rest, ' ', &word); /* without one it is all */
	k->op.deadline_us = now_us() + 10 * US_PER_SEC;
	op_forgive(&k->op);
	if (str_eq(word, STR("C:")))
		send_text(k, rest, true);
	else if (str_eq(word, STR("C~")))
		send_text(k, rest, false);
	else if (str_eq(word, STR("S:")))
		hear(k, rest);
	else if (str_eq(word, STR("U:")))
		next_mail(k, rest);
	else if (str_eq(word, STR("H:")))
		check(shown(k, latest(k).head), rest);
	else if (str_eq(word, STR("M:")))
		check_mail(k, rest);
	else
		obey(k, word, rest);
}

static void play(struct kit *k)
{
	struct str script = str_from(run.dialogue->script), line;
	bool is_over = false;
	run.saved_seen = 0;
	run.line = 0;
	while (!run.failure[0] && str_cut(&script, '\n', &line)) {
		run.line++;
		is_over = str_eq(line, STR("S: EOF")) || str_eq(line, STR("!cut"));
		play_line(k, line);
	}
	if (run.failure[0])
		return;
	assert_int_equal(script.n, 0);
	if (run.saved_seen < k->saved_count && run.saved_seen > 0)
		fail_dialogue("more mails were saved than named");
	if (is_over)
		return;
	send_text(k, STR("NOOP"), true);
	hear(k, STR("250 2.0.0 OK"));
}

static void run_dialogue(void **state)
{
	run.dialogue = *state;
	for (int i = 0; i < 2; i++) {
		run.is_slow = i == 1;
		run.failure[0] = '\0';
		kit_run(run.dialogue->settings, play);
		if (run.failure[0])
			fail_msg("%s%s", run.is_slow ? "byte by byte: " : "", run.failure);
	}
}

static size_t add_all(struct CMUnitTest *tests, const struct dialogue *table, size_t count)
{
	for (const struct dialogue *d = table; d->name; d++) {
		assert_true(count < DIALOGUES_MAX);
		tests[count++] = (struct CMUnitTest){ .name = d->name,
			.test_func = run_dialogue,
			.initial_state = (void *)(uintptr_t)d };
	}
	return count;
}

int main(void)
{
	static struct CMUnitTest tests[DIALOGUES_MAX];
	const struct dialogue *const tables[] = { dialogues_commands, dialogues_envelope,
		dialogues_mail, dialogues_chunks, dialogues_outcomes, dialogues_trust };
	size_t count = 0;
	for (size_t i = 0; i < ARRAY_COUNT(tables); i++)
		count = add_all(tests, tables[i], count);
	return _cmocka_run_group_tests("lmtp dialogues", tests, count, NULL, NULL);
}
