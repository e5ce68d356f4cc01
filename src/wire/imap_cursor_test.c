/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: what each cutter takes and refuses. */
#include "base/range_set.h"
#include "wire/imap.h"
#include "wire/test_private.h"

struct fixture {
	struct arena arena;
	struct imap_cursor c;
};

static void begin(struct fixture *f, struct str text)
{
	arena_done(&f->arena);
	arena_init(&f->arena, 8 << 20);
	imap_cursor_init(&f->c, &f->arena, text);
}

static void strings_are_cut(void **state)
{
	(void)state;
	static const struct {
		struct str in;
		const char *want; /* NULL: invalid */
		const char *rest;
	} rows[] = {
		/* RFC 3501 §9 astring, quoted, literal */
		{ STR("atom rest"), "atom", " rest" },
		{ STR("a]b)"), "a]b", ")" },
		{ STR("NIL"), "NIL", "" },
		{ STR("\"\" x"), "", " x" },
		{ STR("\"a b\""), "a b", "" },
		{ STR("\"a\\\"b\\\\c\""), "a\"b\\c", "" },
		{ STR("\"a\\zb\""), "azb", "" }, /* tolerated */
		{ STR("{3}\r\nfoo)"), "foo", ")" },
		{ STR("{3+}\nfoo"), "foo", "" },
		{ STR("{0}\r\n"), "", "" },
		{ STR("{2}\r\n\r\nx"), "\r\n", "x" },
		/* refused */
		{ STR(""), NULL, NULL },
		{ STR("(x)"), NULL, NULL },
		{ STR("\\Seen"), NULL, NULL },
		{ STR("\xc3\xa4"), NULL, NULL },
		{ STR("\"abc"), NULL, NULL },
		{ STR("\"abc\\\""), NULL, NULL },
		{ STR("\"abc\\"), NULL, NULL },
		{ STR("\"a\nb\""), NULL, NULL },
		{ STR("{4}\r\nfoo"), NULL, NULL },
		{ STR("{3}foo"), NULL, NULL },
		{ STR("{-1}\r\n"), NULL, NULL },
		{ STR("{4294967296}\r\n"), NULL, NULL },
		{ STR("{3}\r\na\0b"), NULL, NULL },
	};
	struct fixture f = { .c.rest = STR_NONE };
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct str got;
		begin(&f, STR(""));
		f.c.rest = rows[i].in; /* without losing a line end that belongs to a literal */
		enum err e = imap_cut_astring(&f.c, &got);
		if (!rows[i].want) {
			assert_int_equal(e, ERR_INVALID);
			assert_non_null(f.c.error);
			continue;
		}
		assert_int_equal(e, ERR_NONE);
		assert_text(got, rows[i].want);
		assert_text(f.c.rest, rows[i].rest);
	}
	arena_done(&f.arena);
}

static void nil_is_not_a_string(void **state)
{
	(void)state;
	struct fixture f = { .c.rest = STR_NONE };
	struct str got;
	begin(&f, STR("nil \"NIL\" \"\""));
	assert_int_equal(imap_cut_nstring(&f.c, &got), ERR_NONE);
	assert_null(got.p);
	assert_int_equal(imap_cut_space(&f.c), ERR_NONE);
	assert_int_equal(imap_cut_nstring(&f.c, &got), ERR_NONE);
	assert_text(got, "NIL");
	assert_int_equal(imap_cut_space(&f.c), ERR_NONE);
	assert_int_equal(imap_cut_nstring(&f.c, &got), ERR_NONE);
	assert_non_null(got.p);
	begin(&f, STR("NILX"));
	assert_int_equal(imap_cut_nstring(&f.c, &got), ERR_INVALID);
	arena_done(&f.arena);
}

static void numbers_do_not_overflow(void **state)
{
	(void)state;
	struct fixture f = { .c.rest = STR_NONE };
	uint32_t n;
	uint64_t big;
	begin(&f, STR("4294967295"));
	assert_int_equal(imap_cut_number(&f.c, &n), ERR_NONE);
	assert_int_equal(n, UINT32_MAX);
	begin(&f, STR("4294967296"));
	assert_int_equal(imap_cut_number(&f.c, &n), ERR_INVALID);
	begin(&f, STR("0"));
	assert_int_equal(imap_cut_nz_number(&f.c, &n), ERR_INVALID);
	begin(&f, STR("9223372036854775807"));
	assert_int_equal(imap_cut_number64(&f.c, &big), ERR_NONE);
	begin(&f, STR("9223372036854775808"));
	assert_int_equal(imap_cut_number64(&f.c, &big), ERR_INVALID);
	arena_done(&f.arena);
}

static void sequence_sets_resolve(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		uint32_t star;
		const char *want; /* NULL: invalid */
	} rows[] = {
		/* RFC 3501 §9 sequence-set, seq-range */
		{ "1", 9, "1" },
		{ "4:2", 9, "2:4" },
		{ "*", 9, "9" },
		{ "*:*", 9, "9" },
		{ "*:4", 9, "4:9" },
		{ "2,4:7,9,12:*", 15, "2,4:7,9,12:15" },
		{ "12:*", 5, "5" }, /* RFC 3501 §6.4.8: always includes the last */
		{ "*", 0, "" },
		{ "3:*,2", 0, "2" },
		{ "9,8,7,1,2,3", 9, "1:3,7:9" },
		{ "1:4294967295", 9, "1:4294967295" },
		{ "$", 9, "" }, /* RFC 5182 */
		{ "0", 9, NULL },
		{ "1:", 9, NULL },
		{ ",1", 9, NULL },
		{ "1,,2", 9, NULL },
		{ "4294967296", 9, NULL },
		{ "", 9, NULL },
		{ "x", 9, NULL },
	};
	struct fixture f = { .c.rest = STR_NONE };
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct imap_sequence_set set;
		begin(&f, str_from(rows[i].in));
		enum err e = imap_cut_sequence_set(&f.c, &set);
		if (!rows[i].want) {
			assert_int_equal(e, ERR_INVALID);
			continue;
		}
		assert_int_equal(e, ERR_NONE);
		assert_true(imap_at_end(&f.c));
		AUTO_BUF(printed, 0);
		imap_put_sequence_set(&printed, &set);
		struct range_set numbers;
		range_set_init(&numbers);
		imap_sequence_set_resolve(&f.arena, &set, rows[i].star, &numbers);
		buf_clear(&printed);
		range_set_print(&numbers, &printed);
		range_set_done(&numbers);
		assert_text(buf_str(&printed), rows[i].want);
	}
	arena_done(&f.arena);
}

/* §13.3 of the sheet: a million entries, in the worst order for a sorted set. */
static void huge_sequence_set_is_cheap(void **state)
{
	(void)state;
	enum { ENTRIES = 1000000 };
	AUTO_BUF(text, 0);
	for (uint32_t i = ENTRIES; i > 0; i--) {
		buf_put_u64_dec(&text, (uint64_t)i * 2);
		buf_put_byte(&text, i > 1 ? ',' : ' ');
	}
	AUTO_ARENA(arena, 64 << 20);
	struct imap_cursor c;
	struct imap_sequence_set set;
	imap_cursor_init(&c, &arena, buf_str(&text));
	assert_int_equal(imap_cut_sequence_set(&c, &set), ERR_NONE);
	assert_int_equal(set.count, ENTRIES);
	assert_int_equal(set.greatest, 2 * ENTRIES);
	struct range_set numbers;
	range_set_init(&numbers);
	int64_t start_us = now_us();
	imap_sequence_set_resolve(&arena, &set, 5, &numbers);
	assert_true(now_us() - start_us < 5 * US_PER_SEC); /* quadratic would take minutes */
	assert_int_equal(range_set_size(&numbers), ENTRIES);
	range_set_done(&numbers);

	/* and a small arena says no instead of aborting */
	AUTO_ARENA(small, 64 << 10);
	imap_cursor_init(&c, &small, buf_str(&text));
	assert_int_equal(imap_cut_sequence_set(&c, &set), ERR_LIMIT);
}

static void greatest_tells_bad_message_numbers(void **state)
{
	(void)state;
	struct fixture f = { .c.rest = STR_NONE };
	struct imap_sequence_set set;
	begin(&f, STR("1:5,99:*"));
	assert_int_equal(imap_cut_sequence_set(&f.c, &set), ERR_NONE);
	assert_int_equal(set.greatest, 5);
	assert_true(set.has_star);
	arena_done(&f.arena);
}

static void dates_are_days(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		int64_t day; /* -1: invalid */
	} rows[] = {
		/* RFC 3501 §9 date */
		{ "1-Jan-1970", 0 },
		{ "\"01-Jan-1970\"", 0 },
		{ "29-feb-2000", 11016 },
		{ "31-DEC-2024", 20088 },
		{ "29-Feb-1900", -1 },
		{ "31-Apr-2020", -1 },
		{ "0-Jan-2020", -1 },
		{ "1-Jan-20", -1 },
		{ "1-Foo-2020", -1 },
		{ "1-Jan-2020x", -1 },
		{ "\"1 Jan 2020\"", -1 },
	};
	struct fixture f = { .c.rest = STR_NONE };
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		int32_t day;
		begin(&f, str_from(rows[i].in));
		enum err e = imap_cut_date(&f.c, &day);
		assert_int_equal(e, rows[i].day < 0 ? ERR_INVALID : ERR_NONE);
		if (e == ERR_NONE)
			assert_int_equal(day, rows[i].day);
	}
	arena_done(&f.arena);
}

static void date_times_are_wall_clock(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		int64_t seconds; /* INT64_MIN: invalid */
		int zone;
		const char *printed;
	} rows[] = {
		/* RFC 3501 §9 date-time; the example of §2.3.3 */
		{ "\"17-Jul-1996 02:44:25 -0700\"", 837596665, -420,
			"\"17-Jul-1996 02:44:25 -0700\"" },
		{ "\" 1-Jan-1970 00:00:00 +0000\"", 0, 0, "\"01-Jan-1970 00:00:00 +0000\"" },
		{ "\"31-Dec-1969 23:59:59 +0000\"", -1, 0, "\"31-Dec-1969 23:59:59 +0000\"" },
		{ "\"01-Jan-2020 00:30:00 +0545\"", 1577817900, 345,
			"\"01-Jan-2020 00:30:00 +0545\"" },
		{ "\"01-Jan-0000 00:00:00 +0000\"", -62167219200, 0,
			"\"01-Jan-0000 00:00:00 +0000\"" },
		{ "\"1-Jan-2020 24:00:00 +0000\"", INT64_MIN, 0, NULL },
		{ "\"1-Jan-2020 00:00:00\"", INT64_MIN, 0, NULL },
		{ "\"1-Jan-2020 00:00:00 0000\"", INT64_MIN, 0, NULL },
		{ "\"30-Feb-2020 00:00:00 +0000\"", INT64_MIN, 0, NULL },
		{ "\"1-Jan-2020 00:00:00 +0000 \"", INT64_MIN, 0, NULL },
		{ "1-Jan-2020", INT64_MIN, 0, NULL },
	};
	struct fixture f = { .c.rest = STR_NONE };
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		int64_t wall_us;
		begin(&f, str_from(rows[i].in));
		enum err e = imap_cut_date_time(&f.c, &wall_us);
		assert_int_equal(e, rows[i].printed ? ERR_NONE : ERR_INVALID);
		if (e != ERR_NONE)
			continue;
		assert_int_equal(wall_us, rows[i].seconds * US_PER_SEC);
		AUTO_BUF(out, 0);
		imap_put_date_time(&out, wall_us, rows[i].zone);
		assert_text(buf_str(&out), rows[i].printed);
	}
	arena_done(&f.arena);
}

static void flags_are_bits_and_keywords(void **state)
{
	(void)state;
	struct fixture f = { .c.rest = STR_NONE };
	struct imap_flags flags;
	begin(&f, STR("(\\seen $Junk \\DELETED Work)"));
	assert_int_equal(imap_cut_flag_list(&f.c, &flags), ERR_NONE);
	assert_int_equal(flags.system, IMAP_FLAG_SEEN | IMAP_FLAG_DELETED);
	assert_int_equal(flags.keyword_count, 2);
	AUTO_BUF(out, 0);
	imap_put_flag_list(&out, &flags);
	assert_text(buf_str(&out), "(\\Deleted \\Seen $Junk Work)");
	buf_clear(&out);
	imap_put_permanent_flags(&out, &flags, true);
	assert_text(buf_str(&out), "(\\Deleted \\Seen $Junk Work \\*)");
	buf_clear(&out);
	imap_put_permanent_flags(&out, &(struct imap_flags){ .system = 0 }, true);
	assert_text(buf_str(&out), "(\\*)");

	static const char *const bad[] = { "(\\Foo)", "(\\*)", "(\"a\")", "(a", "(a  b)", "(a )",
		"a)", "" };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		begin(&f, str_from(bad[i]));
		assert_int_equal(imap_cut_flag_list(&f.c, &flags), ERR_INVALID);
	}
	begin(&f, STR("(\\Foo\x01)"));
	assert_int_equal(imap_cut_flag_list(&f.c, &flags), ERR_INVALID);
	assert_string_equal(f.c.error, "Invalid system flag: \\Foo");
	arena_done(&f.arena);
}

static void mailbox_names_are_canonical(void **state)
{
	(void)state;
	static const struct {
		const char *wire;
		const char *name; /* NULL: invalid */
		const char *back;
	} rows[] = {
		/* RFC 3501 §5.1: INBOX in any case, other names as they are */
		{ "inbox", "INBOX", "INBOX" },
		{ "\"iNbOx\"", "INBOX", "INBOX" },
		{ "inbox/Sub", "INBOX/Sub", "INBOX/Sub" },
		{ "Inboxes", "Inboxes", "Inboxes" },
		{ "sent", "sent", "sent" },
		/* §5.1.3 */
		{ "Entw&APw-rfe", "Entw\xc3\xbcrfe", "Entw&APw-rfe" },
		{ "~peter/mail/&U,BTFw-/&ZeVnLIqe-",
			"~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
			"~peter/mail/&U,BTFw-/&ZeVnLIqe-" },
		{ "R&-D", "R&D", "R&-D" },
		{ "\"a b\"", "a b", "\"a b\"" },
		{ "a&b", NULL, NULL },
		{ "a&AGE-", NULL, NULL }, /* printable ASCII must not be encoded */
		{ "\"a\xc3\xbc\"", NULL, NULL },
		{ "\"a\tb\"", NULL, NULL },
	};
	struct fixture f = { .c.rest = STR_NONE };
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct str name;
		begin(&f, str_from(rows[i].wire));
		enum err e = imap_cut_mailbox(&f.c, &name);
		assert_int_equal(e, rows[i].name ? ERR_NONE : ERR_INVALID);
		if (e != ERR_NONE)
			continue;
		assert_text(name, rows[i].name);
		AUTO_BUF(out, 0);
		imap_put_mailbox(&out, name);
		assert_text(buf_str(&out), rows[i].back);
	}
	struct str name;
	begin(&f, STR("\"a\xc3\xbc&\""));
	f.c.is_utf8 = true;
	assert_int_equal(imap_cut_mailbox(&f.c, &name), ERR_NONE);
	assert_text(name, "a\xc3\xbc&");
	arena_done(&f.arena);
}

static void strings_are_written_safely(void **state)
{
	(void)state;
	static const struct {
		struct str in;
		const char *astring;
		const char *nstring;
	} rows[] = {
		{ STR("atom"), "atom", "\"atom\"" },
		{ STR(""), "\"\"", "\"\"" },
		{ STR("NIL"), "\"NIL\"", "\"NIL\"" },
		{ STR("a b"), "\"a b\"", "\"a b\"" },
		{ STR("a\"b\\"), "\"a\\\"b\\\\\"", "\"a\\\"b\\\\\"" },
		{ STR("\"\"\"\"\""), "{5}\r\n\"\"\"\"\"", "{5}\r\n\"\"\"\"\"" },
		{ STR("a\r\nb"), "{4}\r\na\r\nb", "{4}\r\na\r\nb" },
		{ STR("\xc3\xa4"), "{2}\r\n\xc3\xa4", "{2}\r\n\xc3\xa4" },
		{ STR("a\0b\0"),
			"{4}\r\na\x80"
			"b\x80",
			"{4}\r\na\x80"
			"b\x80" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		AUTO_BUF(out, 0);
		imap_put_astring(&out, rows[i].in);
		assert_text(buf_str(&out), rows[i].astring);
		buf_clear(&out);
		imap_put_nstring(&out, rows[i].in);
		assert_text(buf_str(&out), rows[i].nstring);
	}
	AUTO_BUF(out, 0);
	imap_put_nstring(&out, STR_NONE);
	imap_put_separator(&out, '\0');
	imap_put_separator(&out, '/');
	imap_put_separator(&out, '\\');
	assert_text(buf_str(&out), "NILNIL\"/\"\"\\\\\"");
}

static void lines_stay_lines(void **state)
{
	(void)state;
	AUTO_BUF(out, 0);
	imap_put_tagged(&out, STR("a"), "NO", STR("TRYCREATE"), STR("No\r\n* BYE"));
	imap_put_untagged(&out, "OK", STR_NONE, STR("Still here"));
	imap_put_continue(&out, STR(""));
	imap_put_number_line(&out, 3, "EXISTS");
	assert_text(buf_str(&out),
		"a NO [TRYCREATE] No  * BYE\r\n* OK Still here\r\n+ \r\n* 3 EXISTS\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_are_cut),
		cmocka_unit_test(nil_is_not_a_string),
		cmocka_unit_test(numbers_do_not_overflow),
		cmocka_unit_test(sequence_sets_resolve),
		cmocka_unit_test(huge_sequence_set_is_cheap),
		cmocka_unit_test(greatest_tells_bad_message_numbers),
		cmocka_unit_test(dates_are_days),
		cmocka_unit_test(date_times_are_wall_clock),
		cmocka_unit_test(flags_are_bits_and_keywords),
		cmocka_unit_test(mailbox_names_are_canonical),
		cmocka_unit_test(strings_are_written_safely),
		cmocka_unit_test(lines_stay_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
