/* SPDX-License-Identifier: Apache-2.0 */
/* Programs are written as a client writes them, and run against one mail. */
#include "service/imap/search_private.h"

#include "base/test.h"

#define DAY_US (86400 * US_PER_SEC)

static const char mail_text[] =
	"From: =?UTF-8?Q?J=C3=BCrgen?= <j@example.org>\r\n"
	"To: Someone Else <else@example.net>\r\n"
	"Subject: =?ISO-8859-1?Q?Gr=FC=DFe?=\r\n =?ISO-8859-1?Q?_aus_K=F6ln?=\r\n"
	"Date: Sat, 02 Mar 2024 23:30:00 -0500\r\n"
	"X-Odd: first\r\n"
	"X-Odd: second\r\n"
	"X-Empty:\r\n"
	"MIME-Version: 1.0\r\n"
	"Content-Type: multipart/mixed; boundary=b\r\n"
	"\r\n"
	"preamble words\r\n"
	"--b\r\n"
	"Content-Type: text/plain; charset=iso-8859-1\r\n"
	"Content-Transfer-Encoding: quoted-printable\r\n"
	"\r\n"
	"Der Fr=FChling ist soft=\r\nbroken.\r\n"
	"--b\r\n"
	"Content-Type: text/html\r\n"
	"Content-Transfer-Encoding: base64\r\n"
	"\r\n"
	"PHA+SGVsbG8gQmFzZTwvcD4=\r\n"
	"--b\r\n"
	"Content-Type: application/octet-stream; name=hidden.bin\r\n"
	"\r\n"
	"attachedbytes\r\n"
	"--b\r\n"
	"Content-Type: message/rfc822\r\n"
	"\r\n"
	"Subject: Inner subject\r\n"
	"\r\n"
	"inner body\r\n"
	"--b--\r\n";

struct fixture {
	struct arena arena;
	struct mail mail;
	struct message_summary summary;
	struct buf summary_bytes;
	struct str body;
	/* how far the last program had to read: 0 mail, 1 summary, 2 body */
	int level;
};

static int set_up(void **state)
{
	static struct fixture f;
	struct message_tree tree;
	f = (struct fixture){ .mail = {
				      .seq = 3,
				      .uid = 30,
				      .flags = MAIL_SEEN | MAIL_FLAGGED | MAIL_RECENT,
				      .keywords = 2,
				      .modseq = 1000,
				      .received_wall_us =
					      19784 * DAY_US + 3600 * US_PER_SEC, /* 2-Mar-2024 */
				      .size_virtual = 5000,
			      } };
	arena_init(&f.arena, 64u << 20);
	f.body = str_from(mail_text);
	message_parse(&f.arena, f.body, &tree);
	message_summary_encode(&f.summary_bytes, f.body, &tree);
	assert_ok(message_summary_decode(buf_str(&f.summary_bytes), &f.summary));
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	buf_done(&f->summary_bytes);
	arena_done(&f->arena);
	return 0;
}

static bool matches(struct fixture *f, const char *program)
{
	static const struct str keywords[] = { { "$Junk", 5 }, { "Work", 4 } };
	static const struct range_set saved = { .ranges = NULL };
	struct search_frame frame = {
		.exists = 10,
		.last_uid = 100,
		.keywords = keywords,
		.keyword_count = ARRAY_COUNT(keywords),
		.now_wall_us = f->mail.received_wall_us + 5000 * US_PER_SEC,
		.saved_seqs = &saved,
		.saved_uids = &saved,
	};
	struct imap_cursor c;
	struct imap_search search;
	struct search_matcher m;
	imap_cursor_init(&c, &f->arena, str_printf(&f->arena, " %s", program));
	assert_ok(imap_parse_search(&c, &search));
	search_matcher_init(&m, &f->arena, &search, &frame);
	search_matcher_begin(&m, &f->mail);
	f->level = 0;
	enum search_verdict v = search_matcher_run(&m);
	if (v == SEARCH_MAYBE) {
		f->level = 1;
		m.summary = &f->summary;
		v = search_matcher_run(&m);
	}
	if (v == SEARCH_MAYBE) {
		f->level = 2;
		m.body = f->body;
		m.has_body = true;
		v = search_matcher_run(&m);
	}
	assert_int_not_equal(v, SEARCH_MAYBE);
	search_matcher_done(&m);
	return v == SEARCH_YES;
}

static void flags_and_keywords(void **state)
{
	struct fixture *f = *state;
	assert_true(matches(f, "ALL"));
	assert_true(matches(f, "SEEN FLAGGED"));
	assert_false(matches(f, "SEEN UNFLAGGED"));
	assert_true(matches(f, "RECENT UNDELETED"));
	assert_false(matches(f, "NEW"));
	assert_false(matches(f, "OLD"));
	assert_true(matches(f, "KEYWORD work"));
	assert_false(matches(f, "KEYWORD $Junk"));
	assert_true(matches(f, "UNKEYWORD unheard-of"));
	assert_false(matches(f, "KEYWORD unheard-of"));
	assert_int_equal(f->level, 0);
}

static void sets_name_numbers(void **state)
{
	struct fixture *f = *state;
	assert_true(matches(f, "1:3"));
	assert_false(matches(f, "4:*"));
	assert_true(matches(f, "UID 30"));
	assert_true(matches(f, "UID *:30"));
	assert_false(matches(f, "UID 3"));
	assert_false(matches(f, "*"));
}

static void sizes_ages_modseqs(void **state)
{
	struct fixture *f = *state;
	assert_true(matches(f, "LARGER 4999 SMALLER 5001"));
	assert_false(matches(f, "LARGER 5000"));
	assert_false(matches(f, "SMALLER 5000"));
	assert_true(matches(f, "OLDER 5000"));
	assert_false(matches(f, "OLDER 5001"));
	assert_true(matches(f, "YOUNGER 5000"));
	assert_false(matches(f, "YOUNGER 4999"));
	assert_true(matches(f, "MODSEQ 1000"));
	assert_false(matches(f, "MODSEQ 1001"));
}

static void received_dates_are_days(void **state)
{
	struct fixture *f = *state;
	assert_true(matches(f, "ON 2-Mar-2024"));
	assert_true(matches(f, "SINCE 2-Mar-2024"));
	assert_true(matches(f, "BEFORE 3-Mar-2024"));
	assert_false(matches(f, "BEFORE 2-Mar-2024"));
	assert_false(matches(f, "SINCE 3-Mar-2024"));
	assert_int_equal(f->level, 0);
}

/* 23:30 -0500 is the next day in UTC; the day as written counts. */
static void sent_dates_are_as_written(void **state)
{
	struct fixture *f = *state;
	assert_true(matches(f, "SENTON 2-Mar-2024"));
	assert_false(matches(f, "SENTON 3-Mar-2024"));
	assert_true(matches(f, "SENTBEFORE 3-Mar-2024 SENTSINCE 2-Mar-2024"));
	assert_int_equal(f->level, 1);
	f->summary.has_sent_date = false;
	assert_false(matches(f, "SENTSINCE 1-Jan-1970"));
	assert_false(matches(f, "SENTBEFORE 1-Jan-2040"));
}

static void header_fields_are_decoded(void **state)
{
	struct fixture *f = *state;
	assert_true(matches(f, "FROM {7}\r\nJ\xc3\x9crgen"));
	assert_true(matches(f, "FROM example.ORG"));
	assert_true(matches(f, "TO \"someone else\""));
	assert_true(matches(f, "SUBJECT {8}\r\naus k\xc3\xb6l"));
	assert_false(matches(f, "SUBJECT grusse"));
	assert_false(matches(f, "CC \"\""));
	assert_false(matches(f, "HEADER Message-ID x"));
	assert_int_equal(f->level, 1);
}

static void other_fields_need_the_body(void **state)
{
	struct fixture *f = *state;
	assert_true(matches(f, "HEADER X-Odd SECOND"));
	assert_int_equal(f->level, 2);
	assert_true(matches(f, "HEADER x-odd \"\" HEADER X-Empty \"\""));
	assert_false(matches(f, "HEADER X-Missing \"\""));
	assert_false(matches(f, "HEADER X-Odd third"));
	f->summary.has_fields = false; /* they were too large to keep */
	assert_true(matches(f, "FROM j@example"));
	assert_int_equal(f->level, 2);
}

static void bodies_are_decoded_text(void **state)
{
	struct fixture *f = *state;
	assert_true(matches(f, "BODY {9}\r\nFR\xc3\x9chling"));
	assert_true(matches(f, "BODY softbroken"));
	assert_true(matches(f, "BODY \"hello base\""));
	assert_true(matches(f, "BODY \"inner body\""));
	assert_false(matches(f, "BODY attachedbytes"));
	assert_false(matches(f, "BODY \"Inner subject\""));
	assert_false(matches(f, "BODY example.org"));
	assert_true(matches(f, "BODY \"\""));
	assert_int_equal(f->level, 0);
}

static void text_is_headers_too(void **state)
{
	struct fixture *f = *state;
	assert_true(matches(f, "TEXT softbroken"));
	assert_true(matches(f, "TEXT \"inner subject\""));
	assert_true(matches(f, "TEXT hidden.bin"));
	assert_true(matches(f, "TEXT {8}\r\naus K\xc3\x96l"));
	assert_false(matches(f, "TEXT nowhere"));
}

static void cheap_keys_decide_first(void **state)
{
	struct fixture *f = *state;
	assert_false(matches(f, "BODY softbroken UNSEEN"));
	assert_int_equal(f->level, 0);
	assert_true(matches(f, "OR BODY softbroken SEEN"));
	assert_int_equal(f->level, 0);
	assert_false(matches(f, "BODY softbroken SENTON 3-Mar-2024"));
	assert_int_equal(f->level, 1);
	assert_false(matches(f, "NOT (OR SEEN TEXT x)"));
	assert_int_equal(f->level, 0);
}

static void groups_nest(void **state)
{
	struct fixture *f = *state;
	assert_true(matches(f, "NOT UNSEEN"));
	assert_true(matches(f, "NOT NOT SEEN"));
	assert_false(matches(f, "NOT (SEEN FLAGGED)"));
	assert_true(matches(f, "NOT (SEEN UNFLAGGED)"));
	assert_true(matches(f, "OR (UNSEEN) OR (DELETED) (SEEN (FLAGGED (1:5)))"));
	assert_false(matches(f, "OR UNSEEN OR DELETED DRAFT"));
	assert_true(matches(f, "OR DELETED NOT DRAFT SEEN"));
	assert_true(matches(f, "OR TEXT nowhere NOT BODY nowhere"));
	assert_false(matches(f, "(OR SEEN UNSEEN) (OR DELETED DRAFT)"));
}

static void deep_programs_fit(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF(program, 0);
	for (size_t i = 0; i < IMAP_SEARCH_DEPTH_MAX - 1; i++)
		buf_put(&program, STR("NOT "));
	buf_put(&program, STR("SEEN"));
	buf_put_byte(&program, '\0');
	assert_false(matches(f, program.p));
}

/* A mail whose summary is that of another one: spans are clamped, nothing is read beyond. */
static void body_need_not_fit_the_summary(void **state)
{
	struct fixture *f = *state;
	f->body = STR("Subject: x\r\n\r\nshort");
	assert_false(matches(f, "TEXT softbroken"));
	f->body = STR("");
	assert_false(matches(f, "OR TEXT softbroken HEADER X-Odd first"));
	f->summary.parts = STR("nonsense");
	f->body = STR("X-Odd: yes\r\n\r\nfound it");
	assert_true(matches(f, "BODY found HEADER X-Odd YES"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(flags_and_keywords),
		TEST(sets_name_numbers),
		TEST(sizes_ages_modseqs),
		TEST(received_dates_are_days),
		TEST(sent_dates_are_as_written),
		TEST(header_fields_are_decoded),
		TEST(other_fields_need_the_body),
		TEST(bodies_are_decoded_text),
		TEST(text_is_headers_too),
		TEST(cheap_keys_decide_first),
		TEST(groups_nest),
		TEST(deep_programs_fit),
		TEST(body_need_not_fit_the_summary),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
