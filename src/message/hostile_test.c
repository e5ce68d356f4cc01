/* SPDX-License-Identifier: Apache-2.0 */
/* message/hostile_test.c - mails made to hurt parsers. Work is measured in steps, not in time. */
#include "message/address.h"
#include "message/header.h"
#include "message/imap_form.h"
#include "message/params.h"
#include "message/summary.h"
#include "message/test_kit.h"

/* Steps a byte of input may cost: a byte of "--\n" costs one line and a few boundary look-ups. */
#define STEPS_PER_BYTE 4
#define STEPS_FIXED    100

static void parse(struct arena *a, const struct buf *mail, struct message_tree *tree)
{
	message_parse(a, buf_str(mail), tree);
	assert_in_range(tree->steps, 1, STEPS_FIXED + STEPS_PER_BYTE * mail->n);
	assert_in_range(tree->count, 1, MESSAGE_PARTS_MAX);
	for (uint32_t i = 0; i < tree->count; i++)
		assert_in_range(tree->parts[i].depth, 0, MESSAGE_DEPTH_MAX);
}

/* Parses, makes the summary, reads it back. */
static void digest(const struct buf *mail, struct message_summary *out, struct buf *bytes)
{
	struct message_tree tree, stored;
	AUTO_ARENA(a, 0);

	parse(&a, mail, &tree);
	message_summary_encode(bytes, buf_str(mail), &tree);
	assert_int_equal(message_summary_decode(buf_str(bytes), out), ERR_NONE);
	assert_int_equal(message_summary_tree(&a, out, &stored), ERR_NONE);
	assert_int_equal(stored.count, tree.count);
}

static void put_times(struct buf *b, unsigned times, struct str s)
{
	for (unsigned i = 0; i < times; i++)
		buf_put(b, s);
}

static void multiparts_nested_beyond_the_limit(void **state)
{
	(void)state;
	struct message_summary s;
	struct message_tree tree;
	AUTO_ARENA(a, 0);
	AUTO_BUF(mail, 0);
	AUTO_BUF(bytes, 0);

	for (int i = 0; i < 5000; i++)
		buf_putf(&mail, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i);
	parse(&a, &mail, &tree);
	assert_int_equal(tree.count, MESSAGE_DEPTH_MAX + 1);
	assert_true(tree.is_cut);
	assert_str(tree.contents[MESSAGE_DEPTH_MAX].type, STR("application"));
	digest(&mail, &s, &bytes);
}

static void mails_nested_beyond_the_limit(void **state)
{
	(void)state;
	struct message_summary s;
	struct message_tree tree;
	AUTO_ARENA(a, 0);
	AUTO_BUF(mail, 0);
	AUTO_BUF(bytes, 0);

	put_times(&mail, 100000, STR("Content-Type: message/rfc822\n\n"));
	parse(&a, &mail, &tree);
	assert_int_equal(tree.count, MESSAGE_DEPTH_MAX + 1);
	assert_true(tree.is_cut);
	digest(&mail, &s, &bytes);
}

static void parts_beyond_the_limit(void **state)
{
	(void)state;
	struct message_summary s;
	struct message_tree tree;
	AUTO_ARENA(a, 0);
	AUTO_BUF(mail, 0);
	AUTO_BUF(bytes, 0);

	buf_put(&mail, STR("Content-Type: multipart/mixed; boundary=b\n\n"));
	put_times(&mail, 2 * MESSAGE_PARTS_MAX, STR("--b\n\nx\n"));
	parse(&a, &mail, &tree);
	assert_int_equal(tree.count, MESSAGE_PARTS_MAX);
	assert_true(tree.is_cut);
	const struct message_part *last = &tree.parts[tree.count - 1];
	assert_int_equal(last->body.offset + last->body.size, mail.n);
	digest(&mail, &s, &bytes);
	assert_in_range(s.bodystructure.n, MESSAGE_PARTS_MAX * 50u, MESSAGE_PARTS_MAX * 100u);
}

static void a_small_arena_cuts_the_tree(void **state)
{
	(void)state;
	struct message_tree tree;
	AUTO_ARENA(a, MESSAGE_PARSE_ARENA_ROOM);
	AUTO_BUF(mail, 0);

	buf_put(&mail, STR("Content-Type: multipart/mixed; boundary=b\n\n"));
	put_times(&mail, MESSAGE_PARTS_MAX, STR("--b\n\nx\n"));
	parse(&a, &mail, &tree);
	assert_in_range(tree.count, 8, 100);
	assert_true(tree.is_cut);
}

/* 100 open multiparts whose boundaries agree in all but the last bytes, and lines that nearly match. */
static void near_misses_of_boundaries(void **state)
{
	(void)state;
	struct message_tree tree;
	AUTO_ARENA(a, 0);
	AUTO_BUF(mail, 0);
	AUTO_BUF(prefix, 0);

	put_times(&prefix, 60, STR("x"));
	for (int i = 0; i < 99; i++)
		buf_putf(&mail, "Content-Type: multipart/mixed; boundary=%.*s%d\n\n--%.*s%d\n",
			STRF(buf_str(&prefix)), i, STRF(buf_str(&prefix)), i);
	buf_put(&mail, STR("\n"));
	for (int i = 0; i < 10000; i++)
		buf_putf(&mail, "--%.*s\n", STRF(buf_str(&prefix)));
	parse(&a, &mail, &tree);
	assert_int_equal(tree.count, 100);
	assert_in_range(tree.steps, 1, mail.n);
}

static void dashes_alone(void **state)
{
	(void)state;
	struct message_tree tree;
	AUTO_ARENA(a, 0);
	AUTO_BUF(mail, 0);

	buf_put(&mail, STR("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n"));
	put_times(&mail, 300000, STR("---\n"));
	parse(&a, &mail, &tree);
	assert_int_equal(tree.count, 2);
}

static void a_million_fields(void **state)
{
	(void)state;
	struct message_summary s;
	AUTO_BUF(mail, 0);
	AUTO_BUF(bytes, 0);

	put_times(&mail, 1000000, STR("To: x\n"));
	buf_put(&mail, STR("\nbody\n"));
	digest(&mail, &s, &bytes);
	assert_in_range(s.envelope.n, 1000, 4 * MESSAGE_ENVELOPE_TEXT_MAX);
	assert_false(s.has_fields);
}

static void one_header_beyond_its_limit(void **state)
{
	(void)state;
	struct message_tree tree;
	AUTO_ARENA(a, 0);
	AUTO_BUF(mail, 0);

	buf_put(&mail, STR("Content-Type: multipart/mixed; boundary=b\nSubject: "));
	put_times(&mail, (MESSAGE_HEADER_MAX >> 4) + 1000, STR("0123456789abcdef"));
	buf_put(&mail, STR("\n\n--b\n\nx\n"));
	parse(&a, &mail, &tree);
	assert_int_equal(tree.count, 1);
	assert_true(tree.is_cut);
	assert_int_equal(tree.parts[0].header.size, MESSAGE_HEADER_MAX);
	assert_str(tree.contents[0].subtype, STR("octet-stream"));
	assert_int_equal(tree.parts[0].body.size, mail.n - MESSAGE_HEADER_MAX);
}

static void all_headers_beyond_their_limit(void **state)
{
	(void)state;
	struct message_tree tree;
	AUTO_ARENA(a, 0);
	AUTO_BUF(mail, 0);
	AUTO_BUF(block, 0);

	put_times(&block, MESSAGE_HEADER_MAX >> 5, STR("X: 0123456789abcdef0123456789ab\n"));
	buf_truncate(&block, block.n - 32);
	buf_put(&mail, STR("Content-Type: multipart/mixed; boundary=b\n\n"));
	for (int i = 0; i < 7; i++) {
		buf_put(&mail, STR("--b\n"));
		buf_put(&mail, buf_str(&block));
		buf_put(&mail, STR("\nx\n"));
	}
	parse(&a, &mail, &tree);
	assert_true(tree.is_cut);
	assert_int_equal(tree.count, 1 + 6); /* the sixth finds almost no room */
	uint64_t sum = 0;
	for (uint32_t i = 0; i < tree.count; i++)
		sum += tree.parts[i].header.size;
	assert_int_equal(sum, MESSAGE_HEADERS_MAX);
}

static void bombs_in_fields(void **state)
{
	(void)state;
	static const struct str bombs[] = { { "(", 1 }, { "\"", 1 }, { "\\", 1 }, { "<@", 2 },
		{ "a:", 2 }, { "=?a?q?", 6 }, { "=?", 2 }, { ";a*0*=", 6 }, { "a@b,", 4 },
		{ "\n ", 2 }, { "\0", 1 }, { "\xff", 1 }, { "[", 1 }, { ";a=\"", 4 } };
	static const char *const names[] = { "From", "Subject", "Content-Type", "Date",
		"Content-Disposition", "Content-Language", "Content-Transfer-Encoding",
		"Content-Type: multipart/x" };

	for (size_t i = 0; i < ARRAY_COUNT(bombs); i++) {
		AUTO_BUF(mail, 0);
		for (size_t j = 0; j < ARRAY_COUNT(names); j++) {
			buf_put(&mail, str_from(names[j]));
			buf_put(&mail, STR(": "));
			put_times(&mail, 30000, bombs[i]);
			buf_put(&mail, STR("\n"));
		}
		buf_put(&mail, STR("\nbody\n"));
		struct message_summary s;
		AUTO_BUF(bytes, 0);
		digest(&mail, &s, &bytes);
		assert_true(str_starts(s.envelope, STR("(")));
		assert_int_equal(s.has_nul, bombs[i].p[0] == '\0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(multiparts_nested_beyond_the_limit),
		cmocka_unit_test(mails_nested_beyond_the_limit),
		cmocka_unit_test(parts_beyond_the_limit),
		cmocka_unit_test(a_small_arena_cuts_the_tree),
		cmocka_unit_test(near_misses_of_boundaries),
		cmocka_unit_test(dashes_alone),
		cmocka_unit_test(a_million_fields),
		cmocka_unit_test(one_header_beyond_its_limit),
		cmocka_unit_test(all_headers_beyond_their_limit),
		cmocka_unit_test(bombs_in_fields),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
