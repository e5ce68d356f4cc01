/* SPDX-License-Identifier: Apache-2.0 */
/* Framing: a table of streams with the events they must give, fed whole and byte by byte. */
#include "base/base.h"
#include "wire/imap.h"
#include "wire/test_private.h"

/* Feeds a stream as a server would: accepts ordinary literals, streams messages (or refuses them),
 * and writes what happened: "C12" complete of 12 bytes, "L5s" literal of 5, sync ("n" non-sync, "b"
 * binary, "m" message), "E:text", "F:text". `step` bytes arrive at a time. */
static void events_of(struct str stream, size_t step, bool is_refusing,
	const struct imap_limits *limits, struct buf *out)
{
	struct imap_frame f;
	size_t start = 0, have = 0;
	imap_frame_init(&f);
	while (have < stream.n) {
		have = MIN(have + step, stream.n);
		for (bool is_waiting = false; !is_waiting;) {
			struct str buffered = str_slice(stream, start, have);
			switch (imap_frame_feed(&f, limits, buffered)) {
			case IMAP_FRAME_MORE:
				assert_int_equal(f.used, 0);
				is_waiting = true;
				break;
			case IMAP_FRAME_SKIP:
				assert_true(f.used > 0);
				start += f.used;
				break;
			case IMAP_FRAME_COMPLETE:
				buf_putf(out, "C%zu ", f.used);
				start += f.used;
				break;
			case IMAP_FRAME_ERROR: {
				struct str tag = imap_frame_tag(limits, buffered);
				buf_putf(out, "E:%.*s:%s ", STRF(tag), f.error);
				start += f.used;
				break;
			}
			case IMAP_FRAME_FATAL:
				assert_true(f.used <= buffered.n);
				buf_putf(out, "F:%s ", f.error);
				return;
			case IMAP_FRAME_LITERAL:
				buf_putf(out, "L%u%s%s%s ", f.literal.size,
					f.literal.is_sync ? "s" : "n",
					f.literal.is_binary ? "b" : "",
					f.literal.is_message ? "m" : "");
				if (is_refusing) {
					start += f.used;
					if (!imap_frame_refuse(&f, limits)) {
						buf_putf(out, "F:%s ", f.error);
						return;
					}
				} else if (f.literal.is_message) {
					start += f.used + f.literal.size;
					have = MIN(MAX(have, start), stream.n);
					start = MIN(start, stream.n);
					imap_frame_stream(&f);
				} else {
					imap_frame_accept(&f);
				}
				break;
			}
		}
	}
}

struct row {
	struct str in;
	const char *events;
	bool is_refusing;
};

static void check_rows(const struct row *rows, size_t count, const struct imap_limits *limits)
{
	static const size_t steps[] = { 1, 2, 3, 7, SIZE_MAX / 2 };
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < ARRAY_COUNT(steps); k++) {
			AUTO_BUF(events, 0);
			events_of(rows[i].in, steps[k], rows[i].is_refusing, limits, &events);
			assert_text(buf_str(&events), rows[i].events);
		}
	}
}

static void frames_follow_the_grammar(void **state)
{
	(void)state;
	static const struct row rows[] = {
		/* RFC 3501 §2.2: commands are lines; a lone LF ends one too */
		{ STR("a NOOP\r\n"), "C8 " },
		{ STR("a NOOP\nb NOOP\r\n"), "C7 C8 " },
		{ STR("\r\n"), "C2 " },
		{ STR("a NOOP"), "" },
		/* RFC 3501 §4.3: literals; quoted strings hide braces */
		{ STR("a LOGIN {3}\r\nfoo {3}\r\nbar\r\n"), "L3s L3s C27 " },
		{ STR("a LOGIN {3}\nf\nx {0}\r\n\r\n"), "L3s L0s C23 " },
		{ STR("a LOGIN \"{3}\" \"\\\"{3}\"\r\n"), "C23 " },
		{ STR("a X foo{3}\r\nb\r\n\r\n"), "L3s C17 " },
		{ STR("a X {3}x\r\n{}\r\n"), "C10 C4 " },
		{ STR("a X {3+\r\n"), "C9 " },
		/* RFC 7888 §3 non-synchronising, RFC 3516 §4.4 literal8 */
		{ STR("a LOGIN {3+}\r\nfoo ~{3+}\r\n\0\0\0\r\n"), "L3n L3nb C30 " },
		/* RFC 3501 §6.3.11: only what follows the mailbox is a mail; RFC 3502: several */
		{ STR("a append {5}\r\nINBOX {2}\r\nxx\r\n"), "L5s L2sm C2 " },
		{ STR("a APPEND x (\\Seen) \"d\" {2+}\r\nxx ~{1+}\r\ny\r\nb NOOP\r\n"),
			"L2nm L1nbm C2 C8 " },
		{ STR("a APPENDX x {2}\r\nxx\r\n"), "L2s C21 " },
		{ STR("APPEND b c {2}\r\nxx\r\n"), "L2s C20 " },
		/* errors: the line is answered once and the stream stays in step */
		{ STR("a \"b\r\nc NOOP\r\n"), "E:a:Missing '\"'. C8 " },
		{ STR("a \"b\nc NOOP\r\n"), "E:a:Missing '\"'. C8 " },
		{ STR("a NO\rOP\r\nb NOOP\r\n"), "E:a:CR without LF. C8 " },
		{ STR("a \0 {3+}\r\nb\r\nc\r\nd NOOP\r\n"), "E:a:NUL in command. C8 " },
		{ STR("a \0 {3}\r\nb NOOP\r\n"), "E:a:NUL in command. C8 " },
		/* RFC 7888 §4: what was announced without waiting arrives whatever we say */
		{ STR("a X {4294967296}\r\n"), "F:Literal size too large. " },
		{ STR("a X {4294967295+}\r\n"), "F:Literal size too large. " },
		{ STR("a X {4294967295}\r\nb NOOP\r\n"), "E:a:Too long argument. C8 " },
		{ STR("a \0 {99999999999"), "E:a:NUL in command. F:Literal size too large. " },
		{ STR("a APPEND x {4294967295}\r\n"), "L4294967295sm " },
		{ STR("a APPEND x {4294967295+}\r\n"), "L4294967295nm " },
	};
	check_rows(rows, ARRAY_COUNT(rows), &imap_limits_user);
}

static void refused_literals_are_skipped(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ STR("a APPEND x {5}\r\nb NOOP\r\n"), "L5sm C8 ", true },
		{ STR("a APPEND x {5+}\r\n\r\n\r\n1 {3+}\r\nx\r\n\r\nb NOOP\r\n"), "L5nm C8 ",
			true },
		{ STR("a APPEND x {4294967295+}\r\n"), "L4294967295nm F:Literal size too large. ",
			true },
	};
	check_rows(rows, ARRAY_COUNT(rows), &imap_limits_user);
}

static void limits_end_a_command(void **state)
{
	(void)state;
	static const struct imap_limits tight = {
		.command_bytes = 24, .skip_bytes = 10, .arg_count = 5, .tag_bytes = 4, .depth = 2
	};
	static const struct row rows[] = {
		{ STR("a 345678901234567890123\r\nb NOOP\r\n"), "E:a:Too long argument. C8 " },
		{ STR("a 3456789012345678901\r\nb NOOP\r\n"), "C23 C8 " },
		{ STR("a X {10}\r\n0123456789\r\n"), "L10s C22 " },
		{ STR("a X {15}\r\nb NOOP\r\n"), "E:a:Too long argument. C8 " },
		{ STR("a X {9+}\r\n012345678901{5+}\r\n....."), "L9n E:a:Too long argument. " },
		/* the limit falls inside an announcement: its bytes are skipped all the same */
		{ STR("a 345678901234567890{3+}\r\nb\r\n\r\nc X\r\n"),
			"E:a:Too long argument. C5 " },
		{ STR("a X {15+}\r\n"), "F:Literal size too large. " },
		{ STR("abcde NOOP\r\nb NOOP\r\n"), "E:*:Too long tag. C8 " },
		{ STR("a 2 3 4 5 6\r\nb NOOP\r\n"), "E:a:Too many arguments. C8 " },
		{ STR("a ((( \r\nb NOOP\r\n"), "E:a:Too many nested parentheses. C8 " },
		{ STR("a (()) () () ()\r\n"), "E:a:Too many arguments. " },
	};
	check_rows(rows, ARRAY_COUNT(rows), &tight);
}

static void hostile_commands_are_refused(void **state)
{
	(void)state;
	AUTO_BUF(bomb, 0);
	AUTO_BUF(events, 0);
	buf_put(&bomb, STR("a FETCH "));
	for (int i = 0; i < 1000000; i++)
		buf_put_byte(&bomb, '(');
	buf_put(&bomb, STR("\r\nb NOOP\r\n"));
	events_of(buf_str(&bomb), 1000, false, &imap_limits_user, &events);
	assert_text(buf_str(&events), "E:a:Too many nested parentheses. C8 ");

	/* sequence set of a million entries */
	buf_clear(&bomb);
	buf_clear(&events);
	buf_put(&bomb, STR("a FETCH "));
	for (int i = 1; i <= 1000000; i++)
		buf_putf(&bomb, "%d,", i);
	buf_put(&bomb, STR("1 FLAGS\r\nb NOOP\r\n"));
	events_of(buf_str(&bomb), 4096, false, &imap_limits_user, &events);
	assert_text(buf_str(&events), "E:a:Too long argument. C8 ");

	/* empty literals cost six bytes each, and count */
	buf_clear(&bomb);
	buf_clear(&events);
	buf_put(&bomb, STR("a LOGIN"));
	for (int i = 0; i < 100; i++)
		buf_put(&bomb, STR(" {0+}\r\n"));
	buf_put(&bomb, STR("\r\nb NOOP\r\n"));
	events_of(buf_str(&bomb), 50, false, &imap_limits_login, &events);
	assert_true(str_ends(buf_str(&events), STR("L0n E:a:Too many arguments. C8 ")));
}

static void expected_line_is_taken_raw(void **state)
{
	(void)state;
	struct imap_frame f;
	imap_frame_init(&f);
	imap_frame_expect_line(&f);
	assert_int_equal(imap_frame_feed(&f, &imap_limits_login, STR("\"{3}")), IMAP_FRAME_MORE);
	assert_int_equal(
		imap_frame_feed(&f, &imap_limits_login, STR("\"{3}\r\na")), IMAP_FRAME_COMPLETE);
	assert_int_equal(f.used, 6);
	assert_int_equal(imap_frame_feed(&f, &imap_limits_login, STR("a {3}\r\n")),
		IMAP_FRAME_LITERAL); /* a command again */
}

static void parked_state_is_small(void **state)
{
	(void)state;
	assert_true(sizeof(struct imap_frame) <= 48);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_follow_the_grammar),
		cmocka_unit_test(refused_literals_are_skipped),
		cmocka_unit_test(limits_end_a_command),
		cmocka_unit_test(hostile_commands_are_refused),
		cmocka_unit_test(expected_line_is_taken_raw),
		cmocka_unit_test(parked_state_is_small),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
