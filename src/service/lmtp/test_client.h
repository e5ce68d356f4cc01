/* SPDX-License-Identifier: Apache-2.0 */
/* service/lmtp/test_client.h - the client's side of a dialogue, for *_test.c: what it says on k->client
 * and what it must hear. */
#pragma once

#include "service/lmtp/test_kit.h"

static inline void say(struct kit *k, const char *text)
{
	assert_ok(stream_write(&k->op, k->client, str_from(text)));
	assert_ok(stream_flush(&k->op, k->client));
}

/* The next line starts with `start`; returns it without its end. */
static inline struct str expect(struct kit *k, const char *start)
{
	struct str line, rest;
	for (;;) {
		rest = stream_input(k->client);
		if (str_cut_line(&rest, &line))
			break;
		assert_ok(stream_read_more(&k->op, k->client));
	}
	line = str_dup(&k->arena, line);
	stream_consume(k->client, stream_input(k->client).n - rest.n);
	if (!str_starts(line, str_from(start)))
		assert_str(line, str_from(start));
	return line;
}

static inline void expect_end(struct kit *k)
{
	struct str rest = stream_input(k->client);
	assert_str(rest, STR(""));
	assert_err(stream_read_more(&k->op, k->client), ERR_NOT_FOUND);
}

static inline void say_hello(struct kit *k)
{
	expect(k, "220 mail.example.test ");
	say(k, "LHLO client.example.org\r\n");
	expect(k, "250-mail.example.test");
	expect(k, "250-8BITMIME");
	expect(k, "250-CHUNKING");
	expect(k, "250-ENHANCEDSTATUSCODES");
	expect(k, "250-PIPELINING");
	expect(k, "250-SIZE ");
	expect(k, "250-STARTTLS");
	expect(k, "250 VRFY");
}

/* MAIL, RCPT to each (NULL ends), DATA; all accepted. */
static inline void say_envelope(struct kit *k, const char *const *recipients)
{
	AUTO_BUF(text, 0);
	buf_put(&text, STR("MAIL FROM:<s@example.org>\r\n"));
	for (size_t i = 0; recipients[i]; i++)
		buf_putf(&text, "RCPT TO:<%s>\r\n", recipients[i]);
	buf_put(&text, STR("DATA\r\n"));
	assert_ok(stream_write(&k->op, k->client, buf_str(&text)));
	expect(k, "250 2.1.0 ");
	for (size_t i = 0; recipients[i]; i++)
		expect(k, "250 2.1.5 ");
	expect(k, "354 ");
}

/* The connection has nothing under way and answers. */
static inline void expect_in_step(struct kit *k)
{
	say(k, "NOOP\r\n");
	expect(k, "250 2.0.0 OK");
}
