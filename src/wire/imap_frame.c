/* SPDX-License-Identifier: Apache-2.0 */
/* wire/imap_frame.c - finds the ends of commands, one byte at a time.
 *
 * The scanner's state lives in struct imap_frame, never in the buffer, so bytes may arrive in any
 * split:
 *
 *   TEXT --"--> QUOTED --\--> QUOTED_ESCAPE
 *   TEXT --CR--> CR --LF--> the command is complete
 *   TEXT --{--> SIZE_FIRST --0-9--> SIZE --+--> PLUS --}--> CLOSED --CR--> CLOSED_CR --LF--> literal
 *   TEXT --~--> TILDE --{--> the same, binary; anything unexpected leads back to TEXT
 *
 * Invariants: (1) bytes before `scanned` are never looked at again; (2) text_left > 0 only inside
 * an accepted literal, or a skipped one; (3) while skipping, only literals and line ends count.
 * Spec: RFC 3501 §2.2, §4.3, §9; RFC 7888 */
#include "wire/imap_frame.h"

#include "base/base.h"
#include "base/number.h"

const struct imap_limits imap_limits_login = {
	.command_bytes = 8 * 1024,
	.skip_bytes = 64 * 1024,
	.arg_count = 96,
	.tag_bytes = 30,
	.depth = 2,
};
const struct imap_limits imap_limits_user = {
	.command_bytes = 64 * 1024,
	.skip_bytes = 64 * 1024 * 1024,
	.arg_count = 8192,
	.tag_bytes = 128,
	.depth = 100,
};

enum state {
	STATE_TEXT,
	STATE_QUOTED,
	STATE_QUOTED_ESCAPE,
	STATE_CR,
	STATE_TILDE,
	STATE_SIZE_FIRST,
	STATE_SIZE,
	STATE_PLUS,
	STATE_CLOSED,
	STATE_CLOSED_CR,
	STATE_UNANSWERED, /* a literal was reported */
};

/* What one byte meant. */
enum step {
	STEP_ON,
	STEP_LINE_END,
	STEP_LITERAL,
	STEP_ERROR,
	STEP_FATAL,
};

#define APPEND_NO       UINT8_MAX
#define APPEND_LETTERS  6 /* of "APPEND" */
#define APPEND_NAME_ARG 2
#define APPEND_MBOX_ARG 3

void imap_frame_init(struct imap_frame *f)
{
	*f = (struct imap_frame){ .error = NULL };
}

/* Ready for the next command; what was reported stays. */
static void frame_restart(struct imap_frame *f)
{
	*f = (struct imap_frame){ .error = f->error, .used = f->used, .literal = f->literal };
}

static enum step frame_error(struct imap_frame *f, const char *text)
{
	f->error = text;
	return STEP_ERROR;
}

static enum step frame_begin_arg(struct imap_frame *f, const struct imap_limits *limits)
{
	f->is_in_arg = true;
	if (f->arg_count >= limits->arg_count)
		return frame_error(f, "Too many arguments.");
	f->arg_count++;
	return STEP_ON;
}

/* A byte of a word: watches the length of the tag, and whether the name is APPEND. */
static enum step frame_word(struct imap_frame *f, const struct imap_limits *limits, char b)
{
	if (!f->is_in_arg && frame_begin_arg(f, limits) != STEP_ON)
		return STEP_ERROR;
	if (f->arg_count == 1) {
		if (f->tag_bytes >= limits->tag_bytes)
			return frame_error(f, "Too long tag.");
		f->tag_bytes++;
	} else if (f->arg_count == APPEND_NAME_ARG && f->append_matched != APPEND_NO) {
		bool is_match = f->append_matched < APPEND_LETTERS &&
				ascii_upper(b) == "APPEND"[f->append_matched];
		f->append_matched = is_match ? (uint8_t)(f->append_matched + 1) : APPEND_NO;
	}
	return STEP_ON;
}

static enum step frame_text(struct imap_frame *f, const struct imap_limits *limits, char b)
{
	f->state = STATE_TEXT;
	switch (b) {
	case '\0':
		return frame_error(f, "NUL in command.");
	case '\n':
		return STEP_LINE_END;
	case '\r':
		f->state = STATE_CR;
		return STEP_ON;
	case ' ':
		f->is_in_arg = false;
		return STEP_ON;
	case '(':
		if (f->depth >= limits->depth)
			return frame_error(f, "Too many nested parentheses.");
		f->depth++;
		if (frame_begin_arg(f, limits) != STEP_ON)
			return STEP_ERROR;
		f->is_in_arg = false;
		return STEP_ON;
	case ')':
		if (f->depth > 0)
			f->depth--;
		f->is_in_arg = false;
		return STEP_ON;
	case '"':
		f->state = STATE_QUOTED;
		return f->is_in_arg ? STEP_ON : frame_begin_arg(f, limits);
	case '{':
		f->state = STATE_SIZE_FIRST;
		f->literal = (struct imap_literal){ .is_sync = true };
		return f->is_in_arg ? STEP_ON : frame_begin_arg(f, limits);
	case '~':
		f->state = STATE_TILDE;
		return frame_word(f, limits, b);
	default:
		return frame_word(f, limits, b);
	}
}

static enum step frame_quoted(struct imap_frame *f, char b)
{
	if (b == '\0')
		return frame_error(f, "NUL in command.");
	if (b == '\r' || b == '\n')
		return frame_error(f, "Missing '\"'.");
	if (f->state == STATE_QUOTED_ESCAPE)
		f->state = STATE_QUOTED;
	else if (b == '\\')
		f->state = STATE_QUOTED_ESCAPE;
	else if (b == '"')
		f->state = STATE_TEXT;
	return STEP_ON;
}

static enum step frame_size_digit(struct imap_frame *f, char b)
{
	uint32_t size;
	if (mul_overflows(f->literal.size, 10u, &size) ||
		add_overflows(size, (uint32_t)(b - '0'), &size)) {
		f->error = "Literal size too large.";
		return STEP_FATAL;
	}
	f->literal.size = size;
	f->state = STATE_SIZE;
	return STEP_ON;
}

/* Inside "{n+}" CRLF. What isn't of that form is ordinary text, for the cursor to complain about.
 */
static enum step frame_announcement(struct imap_frame *f, const struct imap_limits *limits, char b)
{
	bool may_close = f->state == STATE_SIZE || f->state == STATE_PLUS;
	if (ascii_is_digit(b) && (f->state == STATE_SIZE_FIRST || f->state == STATE_SIZE))
		return frame_size_digit(f, b);
	if (b == '+' && f->state == STATE_SIZE) {
		f->literal.is_sync = false;
		f->state = STATE_PLUS;
		return STEP_ON;
	}
	if (b == '}' && may_close) {
		f->state = STATE_CLOSED;
		return STEP_ON;
	}
	if (f->state == STATE_CLOSED && b == '\r') {
		f->state = STATE_CLOSED_CR;
		return STEP_ON;
	}
	if (f->state == STATE_CLOSED && b == '\n')
		return STEP_LITERAL;
	return frame_text(f, limits, b);
}

static enum step frame_step(struct imap_frame *f, const struct imap_limits *limits, char b)
{
	switch ((enum state)f->state) {
	case STATE_TEXT:
		return frame_text(f, limits, b);
	case STATE_QUOTED:
	case STATE_QUOTED_ESCAPE:
		return frame_quoted(f, b);
	case STATE_CR:
		return b == '\n' ? STEP_LINE_END : frame_error(f, "CR without LF.");
	case STATE_CLOSED_CR:
		return b == '\n' ? STEP_LITERAL : frame_error(f, "CR without LF.");
	case STATE_TILDE: {
		enum step step = frame_text(f, limits, b);
		if (f->state == STATE_SIZE_FIRST)
			f->literal.is_binary = true;
		return step;
	}
	case STATE_SIZE_FIRST:
	case STATE_SIZE:
	case STATE_PLUS:
	case STATE_CLOSED:
		return frame_announcement(f, limits, b);
	case STATE_UNANSWERED:
		break;
	}
	UNREACHABLE();
}

/* The same while a refused command is skipped: nothing is an error any more, quotes don't count. */
static enum step frame_skip_step(struct imap_frame *f, char b)
{
	enum state was = (enum state)f->state;
	bool is_size = was == STATE_SIZE_FIRST || was == STATE_SIZE;
	bool is_closed = was == STATE_CLOSED || was == STATE_CLOSED_CR;
	if (b == '\n')
		return is_closed ? STEP_LITERAL : STEP_LINE_END;
	f->state = STATE_TEXT;
	if (f->is_line)
		return STEP_ON;
	if (b == '{') {
		f->state = STATE_SIZE_FIRST;
		f->literal = (struct imap_literal){ .is_sync = true };
	} else if (is_size && ascii_is_digit(b)) {
		return frame_size_digit(f, b);
	} else if (was == STATE_SIZE && b == '+') {
		f->literal.is_sync = false;
		f->state = STATE_PLUS;
	} else if ((was == STATE_SIZE || was == STATE_PLUS) && b == '}') {
		f->state = STATE_CLOSED;
	} else if (was == STATE_CLOSED && b == '\r') {
		f->state = STATE_CLOSED_CR;
	}
	return STEP_ON;
}

static void frame_skip_from_here(struct imap_frame *f)
{
	struct imap_frame was = *f;
	frame_restart(f);
	f->is_skipping = true;
	f->is_line = was.is_line;
	f->state = was.state; /* the rest of an announcement may still follow */
}

/* The client has been told BAD or NO, so it doesn't send a synchronising literal: its announcement
 * ends the command. The bytes of the others follow whatever we said. */
static enum imap_frame_result frame_skip(
	struct imap_frame *f, const struct imap_limits *limits, struct str buffered)
{
	size_t at = 0;
	f->used = 0;
	while (at < buffered.n && f->is_skipping) {
		if (f->text_left > 0) {
			size_t n = MIN(f->text_left, buffered.n - at);
			f->text_left -= (uint32_t)n;
			at += n;
			continue;
		}
		enum step step = frame_skip_step(f, buffered.p[at++]);
		if (step == STEP_FATAL)
			return IMAP_FRAME_FATAL;
		if (step == STEP_LINE_END)
			frame_restart(f);
		if (step == STEP_LITERAL && !imap_frame_refuse(f, limits))
			return IMAP_FRAME_FATAL;
	}
	f->used = at;
	return at > 0 ? IMAP_FRAME_SKIP : IMAP_FRAME_MORE;
}

/* A literal is announced: reports it, or refuses it when it doesn't fit. */
static enum imap_frame_result frame_literal(struct imap_frame *f, const struct imap_limits *limits)
{
	f->used = f->scanned;
	f->literal.is_message =
		f->append_matched == APPEND_LETTERS && f->arg_count > APPEND_MBOX_ARG;
	f->state = STATE_UNANSWERED;
	if (f->literal.is_message || f->literal.size <= limits->command_bytes - f->scanned)
		return IMAP_FRAME_LITERAL;
	f->error = "Too long argument.";
	return imap_frame_refuse(f, limits) ? IMAP_FRAME_ERROR : IMAP_FRAME_FATAL;
}

static enum step frame_line_step(char b)
{
	return b == '\n' ? STEP_LINE_END : STEP_ON;
}

/* The command ends here, well or badly; if its line goes on, that is skipped. */
static enum imap_frame_result frame_stop(struct imap_frame *f, enum step step, bool is_line_end)
{
	f->used = f->scanned;
	if (step == STEP_FATAL)
		return IMAP_FRAME_FATAL;
	if (is_line_end)
		frame_restart(f);
	else
		frame_skip_from_here(f);
	return step == STEP_ERROR ? IMAP_FRAME_ERROR : IMAP_FRAME_COMPLETE;
}

enum imap_frame_result imap_frame_feed(
	struct imap_frame *f, const struct imap_limits *limits, struct str buffered)
{
	if (f->is_skipping)
		return frame_skip(f, limits, buffered);
	ASSERT(f->state != STATE_UNANSWERED && buffered.n >= f->scanned);
	f->used = 0;
	while (f->scanned < buffered.n) {
		if (f->text_left > 0) {
			size_t n = MIN(f->text_left, buffered.n - f->scanned);
			f->text_left -= (uint32_t)n;
			f->scanned += (uint32_t)n;
			continue;
		}
		if (f->scanned >= limits->command_bytes) {
			f->error = "Too long argument.";
			return frame_stop(f, STEP_ERROR, false);
		}
		char b = buffered.p[f->scanned++];
		enum step step = f->is_line ? frame_line_step(b) : frame_step(f, limits, b);
		if (step == STEP_LITERAL)
			return frame_literal(f, limits);
		if (step != STEP_ON)
			return frame_stop(f, step, b == '\n');
	}
	return IMAP_FRAME_MORE;
}

void imap_frame_accept(struct imap_frame *f)
{
	ASSERT(f->state == STATE_UNANSWERED && !f->literal.is_message);
	f->state = STATE_TEXT;
	f->is_in_arg = true;
	f->text_left = f->literal.size;
}

void imap_frame_stream(struct imap_frame *f)
{
	ASSERT(f->state == STATE_UNANSWERED);
	f->state = STATE_TEXT;
	f->is_in_arg = true;
	f->scanned = 0;
}

bool imap_frame_refuse(struct imap_frame *f, const struct imap_limits *limits)
{
	if (f->literal.is_sync) {
		frame_restart(f);
		return true;
	}
	if (f->literal.size > limits->skip_bytes) {
		f->error = "Literal size too large.";
		return false;
	}
	frame_skip_from_here(f);
	f->state = STATE_TEXT;
	f->text_left = f->literal.size;
	return true;
}

void imap_frame_expect_line(struct imap_frame *f)
{
	ASSERT(f->scanned == 0 && f->state == STATE_TEXT && !f->is_skipping);
	f->is_line = true;
}

void imap_frame_freeze(const struct imap_frame *f, struct buf *out)
{
	const struct imap_literal *l = &f->literal;
	ASSERT(f->state != STATE_UNANSWERED);
	const uint64_t numbers[] = { f->scanned, f->text_left, f->arg_count, f->state, f->depth,
		f->tag_bytes, f->append_matched, l->size };
	for (size_t i = 0; i < ARRAY_COUNT(numbers); i++)
		number_put_varint(out, numbers[i]);
	number_put_varint(out, f->is_line | f->is_skipping << 1 | f->is_in_arg << 2 |
				       l->is_sync << 3 | l->is_binary << 4 | l->is_message << 5);
}

/* In the order of freezing; `max` of each. */
static bool frame_cut_numbers(struct str *rest, const uint64_t *max, uint64_t *out, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!number_cut_varint(rest, &out[i]) || out[i] > max[i])
			return false;
	}
	return true;
}

bool imap_frame_thaw(struct str *rest, size_t buffered_bytes, struct imap_frame *out)
{
	const uint64_t max[] = { MIN(buffered_bytes, UINT32_MAX), UINT32_MAX, UINT16_MAX,
		STATE_CLOSED_CR, UINT8_MAX, UINT8_MAX, UINT8_MAX, UINT32_MAX, 63 };
	uint64_t n[ARRAY_COUNT(max)];
	if (!frame_cut_numbers(rest, max, n, ARRAY_COUNT(max)))
		return false;
	*out = (struct imap_frame){
		.scanned = (uint32_t)n[0],
		.text_left = (uint32_t)n[1],
		.arg_count = (uint16_t)n[2],
		.state = (uint8_t)n[3],
		.depth = (uint8_t)n[4],
		.tag_bytes = (uint8_t)n[5],
		.append_matched = (uint8_t)n[6],
		.is_line = n[8] & 1,
		.is_skipping = n[8] & 2,
		.is_in_arg = n[8] & 4,
		.literal = { .size = (uint32_t)n[7],
			.is_sync = n[8] & 8,
			.is_binary = n[8] & 16,
			.is_message = n[8] & 32 },
	};
	return true;
}

struct str imap_frame_tag(const struct imap_limits *limits, struct str buffered)
{
	size_t n = 0;
	while (n < buffered.n && buffered.p[n] > ' ' && buffered.p[n] < 0x7f &&
		!memchr("(){%*\"\\+", buffered.p[n], 8))
		n++;
	bool is_tag = n > 0 && n < buffered.n && n <= limits->tag_bytes &&
		      memchr(" \r\n", buffered.p[n], 3) != NULL;
	return is_tag ? str_slice(buffered, 0, n) : STR("*");
}
