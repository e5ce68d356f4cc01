/* SPDX-License-Identifier: Apache-2.0 */
/* message/preview.c - the first words of a mail (RFC 8970).
 *
 * Only the start of the first text part is looked at. HTML loses its tags, styles, scripts and
 * comments; the usual entities become characters. Blanks collapse, invisible characters vanish. */
#include "base/number.h"
#include "base/unicode.h"
#include "message/params.h"
#include "message/summary.h"

/* Bytes of the body that are looked at: first a few, then more if they had too little text (HTML
 * often begins with styles). */
#define PREVIEW_FIRST_MAX  (3u << 10)
#define PREVIEW_SECOND_MAX (64u << 10)
#define PREVIEW_ENTITY_MAX 10

/* Collects visible characters, at most MESSAGE_PREVIEW_CHARS. */
struct line {
	struct buf *out;
	unsigned chars;
	bool is_gap; /* a blank is due before the next character */
};

static bool is_invisible(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x34f ||
	       (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

static void line_put(struct line *line, uint32_t c)
{
	if (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == 0xa0) {
		line->is_gap = line->chars > 0;
		return;
	}
	if (is_invisible(c))
		return;
	if (line->chars + line->is_gap >= MESSAGE_PREVIEW_CHARS) {
		line->chars = MESSAGE_PREVIEW_CHARS; /* no room for a blank and a character */
		return;
	}
	if (line->is_gap)
		buf_put_byte(line->out, ' ');
	utf8_put(line->out, c);
	line->chars += 1u + line->is_gap;
	line->is_gap = false;
}

static void plain_put(struct line *line, struct str text)
{
	uint32_t c;

	while (line->chars < MESSAGE_PREVIEW_CHARS && utf8_cut(&text, &c))
		line_put(line, c);
}

static const struct {
	struct str name;
	uint32_t c;
} entities[] = {
	{ { "amp", 3 }, '&' },
	{ { "lt", 2 }, '<' },
	{ { "gt", 2 }, '>' },
	{ { "quot", 4 }, '"' },
	{ { "apos", 4 }, '\'' },
	{ { "nbsp", 4 }, ' ' },
	{ { "zwnj", 4 }, 0x200c },
	{ { "shy", 3 }, 0xad },
};

static bool code_from(struct str digits, uint32_t *out)
{
	uint64_t v;
	bool is_hex = str_skip_ci(&digits, STR("x"));

	if (!(is_hex ? number_parse_hex_u64(digits, &v) : number_parse_u64(digits, &v)))
		return false;
	if (v == 0 || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
		return false;
	*out = (uint32_t)v;
	return true;
}

/* *rest begins with '&'. An unknown entity is an ordinary ampersand. */
static uint32_t entity_cut(struct str *rest)
{
	struct str after = str_slice(*rest, 1, 1 + PREVIEW_ENTITY_MAX), name;
	uint32_t c = '&';
	size_t taken = 1;

	if (str_cut(&after, ';', &name)) {
		taken = name.n + 2;
		struct str digits = name;
		bool is_known = str_skip(&digits, STR("#")) && code_from(digits, &c);
		for (size_t i = 0; i < ARRAY_COUNT(entities) && !is_known; i++) {
			if (str_eq(name, entities[i].name)) {
				c = entities[i].c;
				is_known = true;
			}
		}
		if (!is_known)
			taken = 1;
	}
	(void)str_take(rest, taken);
	return c;
}

/* Passes over everything up to and including `end`; to the end of the text if it is not there. */
static void pass_after(struct str *rest, struct str end)
{
	ssize_t at = str_find_ci(*rest, end);

	(void)str_take(rest, at < 0 ? rest->n : (size_t)at + end.n);
}

/* *rest begins with '<'. */
static void tag_skip(struct str *rest, struct line *line)
{
	if (str_starts(*rest, STR("<!--"))) {
		pass_after(rest, STR("-->"));
		return;
	}
	if (str_starts_ci(*rest, STR("<style")))
		pass_after(rest, STR("</style"));
	else if (str_starts_ci(*rest, STR("<script")))
		pass_after(rest, STR("</script"));
	else if (str_starts_ci(*rest, STR("<title")))
		pass_after(rest, STR("</title"));
	pass_after(rest, STR(">"));
	line_put(line, ' ');
}

static void html_put(struct line *line, struct str text)
{
	uint32_t c;

	while (text.n > 0 && line->chars < MESSAGE_PREVIEW_CHARS) {
		if (*text.p == '<')
			tag_skip(&text, line);
		else if (*text.p == '&')
			line_put(line, entity_cut(&text));
		else if (utf8_cut(&text, &c))
			line_put(line, c);
		else
			return; /* the text was cut inside a character */
	}
}

/* The first text part that is meant to be read; NULL if there is none. */
static const struct message_part *text_find(const struct message_tree *tree)
{
	for (uint32_t i = 0; i < tree->count; i++) {
		const struct message_part *part = &tree->parts[i];
		struct str disposition = tree->contents[i].disposition;
		if (part->kind == MESSAGE_LEAF && part->is_text && part->body.size > 0 &&
			!str_eq_ci(message_token_cut(&disposition), STR("attachment")))
			return part;
	}
	return NULL;
}

/* Writes the preview from the first `raw_max` bytes of the body; true if it is full. */
static bool window_put(struct line *line, struct str mail, const struct message_part *part,
	bool is_html, size_t raw_max)
{
	struct message_part start = *part;
	AUTO_BUF(text, 0);

	start.body.size = MIN(start.body.size, raw_max);
	if (message_part_text(mail, &start, &text) != ERR_NONE)
		return true; /* unknown encoding: nothing to show */
	if (is_html)
		html_put(line, buf_str(&text));
	else
		plain_put(line, buf_str(&text));
	return line->chars >= MESSAGE_PREVIEW_CHARS;
}

void message_preview_put(struct buf *out, struct str mail, const struct message_tree *tree)
{
	const struct message_part *part = text_find(tree);
	struct line line = { .out = out };
	size_t start = out->n;

	if (!part)
		return;
	bool is_html = str_eq_ci(tree->contents[part - tree->parts].subtype, STR("html"));
	if (window_put(&line, mail, part, is_html, PREVIEW_FIRST_MAX) ||
		part->body.size <= PREVIEW_FIRST_MAX)
		return;
	buf_truncate(out, start);
	line = (struct line){ .out = out };
	(void)window_put(&line, mail, part, is_html, PREVIEW_SECOND_MAX);
}
