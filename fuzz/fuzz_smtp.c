/* SPDX-License-Identifier: Apache-2.0 */
/* SMTP: command lines with their parameters and XCLIENT are total and paths print back; lines and the DATA stream are the same in any
 * split. The first byte chooses what, the second the size of the pieces. */
#include "base/base.h"
#include "wire/smtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_command(struct str line)
{
	AUTO_ARENA(arena, 1 << 20);
	struct smtp_command cmd, again;
	struct smtp_reply why = { .code = 0 };
	unsigned loose = SMTP_ALLOW_BARE_PATH | SMTP_ALLOW_SPACE_BEFORE_PATH;
	if (smtp_parse_command(&arena, line, loose, &cmd, &why) != ERR_NONE) {
		AUTO_BUF(reply, 0);
		smtp_put_reply(&reply, true, why.code, why.enhanced, str_from(why.text));
		return;
	}
	struct smtp_xclient xclient;
	if (cmd.verb == SMTP_XCLIENT &&
		smtp_parse_xclient(&arena, &cmd, &xclient, &why) == ERR_NONE)
		for (size_t i = 0; i < SMTP_XCLIENT_ATTRIBUTES; i++)
			ASSERT(str_find_byte(xclient.text[i], '\n') < 0);
	if (cmd.verb != SMTP_RCPT)
		return;
	ASSERT(str_find_byte(cmd.orcpt, '\r') < 0 && str_find_byte(cmd.orcpt, '\n') < 0);
	AUTO_BUF(printed, 0);
	buf_put(&printed, STR("RCPT TO:<"));
	smtp_put_path(&printed, &cmd.path);
	buf_put(&printed, STR(">"));
	ASSERT(smtp_parse_command(&arena, buf_str(&printed), 0, &again, &why) == ERR_NONE);
	ASSERT(str_eq(again.path.local, cmd.path.local));
	ASSERT(str_eq(again.path.domain, cmd.path.domain));
}

/* The mail, then a mark and what follows it. */
static void filter(struct str stream, size_t piece, struct buf *out)
{
	struct smtp_data state = { .state = 0 };
	while (stream.n > 0 && !state.is_done) {
		size_t used;
		struct str in = str_slice(stream, 0, piece);
		buf_grew(out, smtp_data_feed(&state, in, buf_reserve(out, in.n + 1), &used));
		ASSERT(used == in.n || state.is_done);
		(void)str_take(&stream, used);
	}
	buf_put(out, state.is_done ? STR("|end|") : STR("|open|"));
	buf_put(out, stream);
}

static void check_data(struct str stream, size_t piece)
{
	AUTO_BUF(whole, 0);
	AUTO_BUF(split, 0);
	filter(stream, stream.n + 1, &whole);
	filter(stream, piece, &split);
	ASSERT(str_eq(buf_str(&whole), buf_str(&split)));

	/* and whatever the mail holds, stuffing hides it */
	AUTO_BUF(stuffed, 0);
	AUTO_BUF(back, 0);
	smtp_data_put(&stuffed, stream);
	filter(buf_str(&stuffed), piece, &back);
	bool is_whole_line = stream.n == 0 || str_ends(stream, STR("\r\n"));
	AUTO_BUF(want, 0);
	buf_put(&want, stream);
	buf_put(&want, is_whole_line ? STR("|end|") : STR("\r\n|end|"));
	ASSERT(str_eq(buf_str(&back), buf_str(&want)));
}

static void lines_of(struct str stream, size_t piece, struct buf *out)
{
	struct smtp_line state = { .scanned = 0 };
	size_t start = 0, have = 0;
	while (have < stream.n) {
		have += MIN(piece, stream.n - have);
		enum smtp_line_result r;
		do {
			struct str line = STR("");
			size_t used;
			r = smtp_line_feed(&state, str_slice(stream, start, have), &line, &used);
			start += used;
			if (r == SMTP_LINE_COMPLETE) {
				buf_put(out, line);
				buf_put_byte(out, '\n');
			}
			if (r == SMTP_LINE_TOO_LONG)
				buf_put(out, STR("!\n"));
		} while (r != SMTP_LINE_MORE);
	}
}

static void check_lines(struct str stream, size_t piece)
{
	AUTO_BUF(whole, 0);
	AUTO_BUF(split, 0);
	lines_of(stream, stream.n + 1, &whole);
	lines_of(stream, piece, &split);
	ASSERT(str_eq(buf_str(&whole), buf_str(&split)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct str rest = { (const char *)data + 2, size - 2 };
	size_t piece = 1 + data[1] % 16;
	if (data[0] % 3 == 0)
		check_command(rest);
	else if (data[0] % 3 == 1)
		check_data(rest, piece);
	else
		check_lines(rest, piece);
	return 0;
}
