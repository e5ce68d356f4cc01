/* SPDX-License-Identifier: Apache-2.0 */
/* wire/smtp_stream.c - what surrounds the commands: lines, the mail after DATA, replies.
 *
 * States of struct smtp_data, whose job is to see CRLF "." CRLF and nothing else as the end:
 *
 *   LINE_START --.--> DOT --CR--> DOT_CR --LF--> done
 *        |             |             |else: the CR was data
 *        |else         |else         v
 *        +-> MIDDLE <--+            CR --LF--> LINE_START
 *              |  ^                 ^ |else
 *              |  +-----------------|-+
 *              +---------CR---------+
 *
 * A lone LF leads to MIDDLE, never to LINE_START: that is what smuggling lives on elsewhere.
 * Spec: RFC 5321 §4.1.1.4, §4.5.2 */
#include "base/base.h"
#include "base/unicode.h"
#include "wire/smtp.h"

enum smtp_line_result smtp_line_feed(
	struct smtp_line *state, struct str buffered, struct str *line, size_t *used)
{
	ASSERT(buffered.n >= state->scanned);
	if (state->is_skipping) {
		ssize_t end = str_find_byte(buffered, '\n');
		*used = end < 0 ? buffered.n : (size_t)end + 1;
		state->is_skipping = end < 0;
		return *used > 0 ? SMTP_LINE_SKIP : SMTP_LINE_MORE;
	}
	ssize_t at = str_find_byte(str_slice(buffered, state->scanned, SMTP_LINE_MAX), '\n');
	*used = 0;
	if (at >= 0) {
		*used = state->scanned + (size_t)at + 1;
		state->scanned = 0;
		*line = str_slice(buffered, 0, *used - 1);
		if (str_ends(*line, STR("\r")))
			line->n--;
		return SMTP_LINE_COMPLETE;
	}
	if (buffered.n < SMTP_LINE_MAX) {
		state->scanned = (uint32_t)buffered.n;
		return SMTP_LINE_MORE;
	}
	*used = SMTP_LINE_MAX;
	*state = (struct smtp_line){ .is_skipping = true };
	return SMTP_LINE_TOO_LONG;
}

enum data_state {
	DATA_LINE_START,
	DATA_MIDDLE,
	DATA_CR,
	DATA_DOT,
	DATA_DOT_CR,
};

/* Where the bytes go: nowhere when the mail is skipped. */
struct data_out {
	char *p;
	size_t n;
};

static void data_put(struct data_out *out, struct str s)
{
	if (out->p && s.n > 0)
		memcpy(out->p + out->n, s.p, s.n);
	out->n += s.n;
}

/* Copies up to and with the next LF, or all; tells the state after it. */
static enum data_state data_copy_line(struct str *in, struct data_out *out)
{
	ssize_t at = str_find_byte(*in, '\n');
	struct str s = str_take(in, at < 0 ? in->n : (size_t)at + 1);
	data_put(out, s);
	if (at < 0)
		return s.p[s.n - 1] == '\r' ? DATA_CR : DATA_MIDDLE;
	return at > 0 && s.p[at - 1] == '\r' ? DATA_LINE_START : DATA_MIDDLE;
}

size_t smtp_data_feed(struct smtp_data *data, struct str in, char *out_bytes, size_t *used)
{
	struct data_out out = { .p = out_bytes };
	struct str rest = in;
	enum data_state state = (enum data_state)data->state;
	while (rest.n > 0 && !data->is_done) {
		char b = rest.p[0];
		switch (state) {
		case DATA_LINE_START:
			state = b == '.' ? DATA_DOT : DATA_MIDDLE;
			if (b == '.')
				(void)str_take(&rest, 1);
			break;
		case DATA_MIDDLE:
			state = data_copy_line(&rest, &out);
			break;
		case DATA_CR:
			state = DATA_MIDDLE;
			if (b == '\n') {
				data_put(&out, str_take(&rest, 1));
				state = DATA_LINE_START;
			}
			break;
		case DATA_DOT:
			state = b == '\r' ? DATA_DOT_CR : DATA_MIDDLE;
			if (b == '\r')
				(void)str_take(&rest, 1);
			break;
		case DATA_DOT_CR:
			if (b == '\n') {
				(void)str_take(&rest, 1);
				data->is_done = true;
				break;
			}
			data_put(&out, STR("\r"));
			state = DATA_CR;
			break;
		}
	}
	data->state = (uint8_t)state;
	*used = in.n - rest.n;
	return out.n;
}

/* Only a line that begins after CRLF has its dot doubled, as only there it would be taken out. */
void smtp_data_put(struct buf *out, struct str mail)
{
	struct str rest = mail;
	bool is_line_start = true;
	while (rest.n > 0) {
		if (is_line_start && rest.p[0] == '.')
			buf_put_byte(out, '.');
		ssize_t at = str_find(rest, STR("\r\n"));
		is_line_start = at >= 0;
		buf_put(out, str_take(&rest, at < 0 ? rest.n : (size_t)at + 2));
	}
	buf_put(out, is_line_start ? STR(".\r\n") : STR("\r\n.\r\n"));
}

void smtp_put_reply(
	struct buf *out, bool is_utf8, unsigned code, const char *enhanced, struct str text)
{
	ASSERT(code >= 200 && code < 600);
	ASSERT(!enhanced || (unsigned)(enhanced[0] - '0') == code / 100);
	bool shows_high = is_utf8 && utf8_is_valid(text), has_more;
	do {
		struct str line = text;
		has_more = str_cut(&text, '\n', &line);
		buf_put_u64_dec(out, code);
		buf_put_byte(out, has_more ? '-' : ' ');
		if (enhanced)
			buf_putf(out, "%s ", enhanced);
		for (size_t i = 0; i < line.n; i++) {
			unsigned char b = (unsigned char)line.p[i];
			bool is_hidden = b > 0x7f && !shows_high;
			buf_put_byte(out, b < ' ' || b == 0x7f ? ' ' : is_hidden ? '?' : line.p[i]);
		}
		buf_put(out, STR("\r\n"));
	} while (has_more);
}
