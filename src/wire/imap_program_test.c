/* SPDX-License-Identifier: Apache-2.0 */
/* FETCH and SEARCH: what is parsed is compared as it prints, and parses again. */
#include "wire/imap.h"
#include "wire/test_private.h"

struct row {
	const char *in;
	const char *want; /* printed, or the beginning of the error after "!" */
};

static void print_fetch(struct arena *arena, struct str in, struct buf *out)
{
	struct imap_cursor c;
	struct imap_fetch fetch;
	imap_cursor_init(&c, arena, in);
	if (imap_parse_fetch(&c, &fetch) != ERR_NONE)
		buf_putf(out, "!%s", c.error);
	else
		imap_put_fetch_args(out, &fetch);
}

static void print_search(struct arena *arena, struct str in, struct buf *out)
{
	struct imap_cursor c;
	struct imap_search search;
	imap_cursor_init(&c, arena, in);
	if (imap_parse_search(&c, &search) != ERR_NONE)
		buf_putf(out, "!%s", c.error);
	else
		imap_put_search_args(out, &search);
}

static void check(const struct row *rows, size_t count,
	void (*print)(struct arena *, struct str, struct buf *))
{
	for (size_t i = 0; i < count; i++) {
		AUTO_ARENA(arena, 8 << 20);
		AUTO_BUF(once, 0);
		AUTO_BUF(twice, 0);
		print(&arena, str_from(rows[i].in), &once);
		assert_text(buf_str(&once), rows[i].want);
		if (rows[i].want[0] == '!')
			continue;
		AUTO_BUF(again, 0);
		buf_putf(&again, " %.*s", STRF(buf_str(&once)));
		print(&arena, buf_str(&again), &twice);
		assert_text(buf_str(&twice), rows[i].want);
	}
}

static void fetch_items(void **state)
{
	(void)state;
	static const struct row rows[] = {
		/* RFC 3501 §6.4.5 */
		{ " 1 ALL", "1 (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)" },
		{ " 1 fast", "1 (FLAGS INTERNALDATE RFC822.SIZE)" },
		{ " 1 FULL", "1 (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY)" },
		{ " 1:* UID", "1:* (UID)" },
		{ " 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])",
			"2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])" },
		{ " 1 (RFC822 RFC822.HEADER RFC822.TEXT rfc822.size)",
			"1 (RFC822.SIZE RFC822 RFC822.HEADER RFC822.TEXT)" },
		{ " 1 BODY", "1 (BODY)" },
		{ " 1 BODYSTRUCTURE", "1 (BODYSTRUCTURE)" },
		{ " 1 BODY[]", "1 (BODY[])" },
		{ " 1 body.peek[text]<0.2048>", "1 (BODY.PEEK[TEXT]<0.2048>)" },
		{ " 1 BODY[4.2.2.1]", "1 (BODY[4.2.2.1])" },
		{ " 1 BODY[4.2.HEADER]", "1 (BODY[4.2.HEADER])" },
		{ " 1 BODY[1.MIME]", "1 (BODY[1.MIME])" },
		{ " 1 BODY[1.HEADER.FIELDS.NOT (\"x y\" {1}\r\nz)]",
			"1 (BODY[1.HEADER.FIELDS.NOT (\"X Y\" Z)])" },
		{ " 1 BODY[0]", "1 (BODY[0])" },
		{ " 1 BODY[2.0]<5.6>", "1 (BODY[2.0]<5.6>)" },
		/* RFC 7162 §3.1.4 */
		{ " 1:* (FLAGS MODSEQ) (CHANGEDSINCE 12345)",
			"1:* (FLAGS MODSEQ) (CHANGEDSINCE 12345)" },
		/* refused */
		{ " 1 ()", "!FETCH list is empty." },
		{ " 1", "!Missing arguments." },
		{ " 1 (ALL)", "!Unknown FETCH item: ALL" },
		{ " 1 FOO", "!Unknown FETCH item: FOO" },
		{ " 1 BODY[MIME]", "!Invalid BODY[] section.: MIME" },
		{ " 1 BODY[1.]", "!Invalid BODY[] section." },
		{ " 1 BODY[1.0.1]", "!Invalid BODY[] section." },
		{ " 1 BODY[1TEXT]", "!Invalid BODY[] section." },
		{ " 1 BODY[HEADER.FIELDS ()]", "!Empty list of header fields." },
		{ " 1 BODY[HEADER.FIELDS]", "!Missing space." },
		{ " 1 BODY[TEXT", "!Invalid BODY[] section." },
		{ " 1 BODY[]<0.0>", "!Number must not be zero." },
		{ " 1 BODY[]<1>", "!Invalid arguments." },
		{ " 1 ENVELOPE[]", "!Unknown FETCH item: ENVELOPE" },
		{ " 1 BODYSTRUCTURE[1]", "!Unknown FETCH item: BODYSTRUCTURE" },
		{ " 1 (FLAGS", "!Missing ')'." },
		{ " 1 (FLAGS  UID)", "!Unknown FETCH item: " },
		{ " 1 FLAGS UID", "!Missing '('." },
		{ " 1 BODY[4294967296]", "!Invalid number." },
	};
	check(rows, ARRAY_COUNT(rows), print_fetch);
}

static void fetch_names_have_no_peek(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 1 << 20);
	AUTO_BUF(out, 0);
	struct imap_cursor c;
	struct imap_fetch fetch;
	imap_cursor_init(&c, &arena,
		STR(" 1 (BODY.PEEK[1.TEXT]<100.5> RFC822 BODY.PEEK[HEADER.FIELDS (from)])"));
	assert_int_equal(imap_parse_fetch(&c, &fetch), ERR_NONE);
	for (size_t i = 0; i < fetch.body_count; i++) {
		imap_put_fetch_name(&out, &fetch.bodies[i]);
		buf_put_byte(&out, ' ');
	}
	assert_text(buf_str(&out), "BODY[1.TEXT]<100> RFC822 BODY[HEADER.FIELDS (FROM)] ");
	assert_true(fetch.bodies[0].is_peek && !fetch.bodies[1].is_peek);
}

static void search_programs(void **state)
{
	(void)state;
	static const struct row rows[] = {
		/* RFC 3501 §6.4.4 */
		{ " FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"",
			"FLAGGED SINCE 1-Feb-1994 NOT FROM Smith" },
		{ " CHARSET UTF-8 TEXT {6}\r\nXXXXXX", "TEXT XXXXXX" },
		{ " all", "ALL" },
		{ " 1:5,7 UID 9:* NEW OLD RECENT", "1:5,7 UID 9:* NEW OLD RECENT" },
		{ " UNSEEN UNKEYWORD NIL KEYWORD $a", "UNSEEN NOT KEYWORD NIL KEYWORD $a" },
		{ " HEADER Message-ID <x@y>", "HEADER Message-ID <x@y>" },
		{ " HEADER \"\" \"\"", "HEADER \"\" \"\"" },
		{ " HEADER from x", "HEADER from x" },
		{ " SENTBEFORE \"1-Jan-2000\" SENTON 2-Jan-2000 SENTSINCE 3-Jan-2000",
			"SENTBEFORE 1-Jan-2000 SENTON 2-Jan-2000 SENTSINCE 3-Jan-2000" },
		{ " LARGER 10000000000 SMALLER 0", "LARGER 10000000000 SMALLER 0" },
		{ " OR SEEN OR FLAGGED ANSWERED", "OR OR SEEN FLAGGED ANSWERED" },
		{ " OR (SEEN) (FLAGGED (ANSWERED))", "OR (SEEN) (FLAGGED (ANSWERED))" },
		{ " NOT NOT (SEEN OR BCC a CC b)", "NOT NOT (SEEN OR BCC a CC b)" },
		{ " (SUBJECT a) (TO b) BODY c", "(SUBJECT a) (TO b) BODY c" },
		{ " OR NOT OR SEEN DRAFT UID $", "OR NOT OR SEEN DRAFT UID $" },
		/* RFC 5032 §3, RFC 7162 §3.1.5, RFC 4731 §3.1 */
		{ " YOUNGER 259200 OLDER 1", "YOUNGER 259200 OLDER 1" },
		{ " MODSEQ \"/flags/\\\\draft\" all 620162338", "MODSEQ 620162338" },
		{ " RETURN (MIN COUNT) CHARSET us-ascii SEEN", "SEEN" },
		/* refused */
		{ "", "!Missing arguments." },
		{ " ", "!Missing arguments." },
		{ " FOO", "!Unknown search key: FOO" },
		{ " OR SEEN", "!Missing arguments." },
		{ " NOT", "!Missing arguments." },
		{ " ()", "!Invalid atom." },
		{ " (SEEN", "!Missing arguments." },
		{ " SEEN)", "!Missing space." },
		{ " (SEEN OR FLAGGED)", "!Missing space." },
		{ " SEEN  DRAFT", "!Invalid atom." },
		{ " YOUNGER 0", "!Number must not be zero." },
		{ " CHARSET KOI8-R TEXT x", "!Unknown charset: KOI8-R" },
		{ " RETURN (FOO) SEEN", "!Unknown SEARCH return option: FOO" },
		{ " TEXT {1}\r\n\xff", "!Search string is not valid UTF-8." },
	};
	check(rows, ARRAY_COUNT(rows), print_search);
}

static void search_tree_is_in_prefix_order(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 1 << 20);
	struct imap_cursor c;
	struct imap_search s;
	imap_cursor_init(&c, &arena, STR(" RETURN () OR SEEN (FLAGGED NOT TO x) ALL"));
	assert_int_equal(imap_parse_search(&c, &s), ERR_NONE);
	static const struct {
		enum imap_search_kind kind;
		uint32_t end;
	} want[] = {
		{ IMAP_SEARCH_ALL_OF, 8 },
		{ IMAP_SEARCH_ANY_OF, 7 },
		{ IMAP_SEARCH_FLAGS, 3 },
		{ IMAP_SEARCH_ALL_OF, 7 },
		{ IMAP_SEARCH_FLAGS, 5 },
		{ IMAP_SEARCH_NOT, 7 },
		{ IMAP_SEARCH_HEADER, 7 },
		{ IMAP_SEARCH_FLAGS, 8 },
	};
	assert_int_equal(s.key_count, ARRAY_COUNT(want));
	for (size_t i = 0; i < s.key_count; i++) {
		assert_int_equal(s.keys[i].kind, want[i].kind);
		assert_int_equal(s.keys[i].end, want[i].end);
	}
	assert_text(s.keys[6].field, "To");
	assert_true(s.is_esearch && s.returned == IMAP_SEARCH_RETURN_ALL);
}

/* §13.3 of the sheet: each must be refused (or taken) in time and space that grow with its length. */
static void check_bomb(const char *unit, size_t times, const char *end, enum err want)
{
	AUTO_ARENA(arena, 2 << 20);
	AUTO_BUF(text, 0);
	struct imap_cursor c;
	struct imap_search s;
	buf_put_byte(&text, ' ');
	for (size_t i = 0; i < times; i++)
		buf_put(&text, str_from(unit));
	buf_put(&text, str_from(end));
	imap_cursor_init(&c, &arena, buf_str(&text));
	assert_int_equal(imap_parse_search(&c, &s), want);
	assert_true(arena.used_bytes <= (1 << 20) + 64 * text.n);
}

static void search_bombs_are_refused(void **state)
{
	(void)state;
	check_bomb("(", 60000, "ALL", ERR_LIMIT);
	check_bomb("NOT ", 60000, "ALL", ERR_LIMIT);
	check_bomb("OR NOT ", 40000, "ALL ALL", ERR_LIMIT);
	check_bomb("OR (", 40000, "ALL", ERR_LIMIT);
	check_bomb("OR ", 40000, "ALL", ERR_INVALID);
	check_bomb("OR ALL ", 10000, "ALL", ERR_LIMIT);
	check_bomb("OR ALL ", 4000, "ALL", ERR_NONE); /* clients make such chains: flat */
	check_bomb("ALL ", 10000, "ALL", ERR_LIMIT);
	check_bomb("(", IMAP_SEARCH_DEPTH_MAX - 1, "ALL", ERR_INVALID);
	check_bomb("NOT ", IMAP_SEARCH_DEPTH_MAX - 1, "ALL", ERR_NONE);
	check_bomb("NOT ", IMAP_SEARCH_DEPTH_MAX - 1, "UNKEYWORD a", ERR_LIMIT);
}

static void fetch_bombs_are_refused(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 2 << 20);
	AUTO_BUF(text, 0);
	struct imap_cursor c;
	struct imap_fetch fetch;
	buf_put(&text, STR(" 1 (BODY[]"));
	for (int i = 0; i < IMAP_FETCH_BODIES_MAX; i++)
		buf_put(&text, STR(" BODY[]"));
	buf_put_byte(&text, ')');
	imap_cursor_init(&c, &arena, buf_str(&text));
	assert_int_equal(imap_parse_fetch(&c, &fetch), ERR_LIMIT);

	buf_clear(&text);
	buf_put(&text, STR(" 1 BODY[1"));
	for (int i = 0; i < 20000; i++)
		buf_put(&text, STR(".1"));
	buf_put_byte(&text, ']');
	imap_cursor_init(&c, &arena, buf_str(&text));
	assert_int_equal(imap_parse_fetch(&c, &fetch), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fetch_items),
		cmocka_unit_test(fetch_names_have_no_peek),
		cmocka_unit_test(search_programs),
		cmocka_unit_test(search_tree_is_in_prefix_order),
		cmocka_unit_test(search_bombs_are_refused),
		cmocka_unit_test(fetch_bombs_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
