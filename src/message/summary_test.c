/* SPDX-License-Identifier: Apache-2.0 */
#include "message/summary.h"

#include "message/imap_form.h"
#include "message/test_kit.h"

#define MAIL                                                                                       \
	"Received: from x\n"                                                                       \
	"From: a@b\n"                                                                              \
	"Subject: s\n fold\n"                                                                      \
	"Date: Fri, 21 Nov 1997 09:55:06 -0600\n"                                                  \
	"Content-Type: multipart/mixed; boundary=o\n\n"                                            \
	"--o\n\none\ntwo\n--o\nContent-Type: message/rfc822\n\nSubject: in\n"                      \
	"Content-Type: multipart/x; boundary=i\n\n--i\nContent-Transfer-Encoding: base64\n\nAA=="  \
	"\n--i--\n\n--o--\n"

static void encode(struct arena *a, struct str mail, struct message_tree *tree, struct buf *out)
{
	message_parse(a, mail, tree);
	message_summary_encode(out, mail, tree);
}

static void columns_come_back(void **state)
{
	(void)state;
	struct message_tree tree;
	struct message_summary s;
	AUTO_ARENA(a, 0);
	AUTO_BUF(bytes, 0);
	AUTO_BUF(form, 0);

	encode(&a, STR(MAIL), &tree, &bytes);
	assert_int_equal(message_summary_decode(buf_str(&bytes), &s), ERR_NONE);
	assert_int_equal(s.physical_size, sizeof(MAIL) - 1);
	assert_int_equal(s.virtual_size, tree.whole.virtual_size);
	assert_true(s.has_sent_date);
	assert_int_equal(s.sent_wall_s, 880127706);
	assert_int_equal(s.sent_zone_min, -360);
	assert_true(s.has_fields);
	assert_false(s.has_nul);
	assert_str(s.fields,
		STR("From: a@b\r\nSubject: s\r\n fold\r\nDate: Fri, 21 Nov 1997 09:55:06 -0600\r\n"
		    "Content-Type: multipart/mixed; boundary=o\r\n"));
	assert_str(s.preview, STR("one two"));
	message_bodystructure_put(&form, STR(MAIL), &tree, true);
	assert_str(s.bodystructure, buf_str(&form));
	buf_clear(&form);
	message_bodystructure_put(&form, STR(MAIL), &tree, false);
	assert_str(s.body, buf_str(&form));
	assert_true(str_starts(s.envelope, STR("(\"Fri, 21 Nov 1997")));
}

static void tree_comes_back(void **state)
{
	(void)state;
	struct message_tree tree, stored;
	struct message_summary s;
	AUTO_ARENA(a, 0);
	AUTO_BUF(bytes, 0);

	encode(&a, STR(MAIL), &tree, &bytes);
	assert_int_equal(message_summary_decode(buf_str(&bytes), &s), ERR_NONE);
	assert_int_equal(message_summary_tree(&a, &s, &stored), ERR_NONE);
	assert_int_equal(stored.count, 5);
	assert_int_equal(stored.count, tree.count);
	assert_memory_equal(&stored.whole, &tree.whole, sizeof(tree.whole));
	for (uint32_t i = 0; i < tree.count; i++) {
		const struct message_part *p = &stored.parts[i], *q = &tree.parts[i];
		assert_int_equal(p->parent, q->parent);
		assert_int_equal(p->child_count, q->child_count);
		assert_int_equal(p->end, q->end);
		assert_int_equal(p->depth, q->depth);
		assert_int_equal(p->kind, q->kind);
		assert_int_equal(p->encoding, q->encoding);
		assert_int_equal(p->is_text, q->is_text);
		assert_int_equal(p->is_last_line_open, q->is_last_line_open);
		assert_memory_equal(&p->header, &q->header, sizeof(p->header));
		assert_memory_equal(&p->body, &q->body, sizeof(p->body));
	}
}

/* Every cut and every changed byte either is refused or gives a tree inside the mail. */
static void damage_is_refused_or_harmless(void **state)
{
	(void)state;
	struct message_tree tree;
	struct message_summary s;
	AUTO_ARENA(a, 0);
	AUTO_BUF(bytes, 0);

	encode(&a, STR(MAIL), &tree, &bytes);
	for (size_t n = 0; n < bytes.n; n++)
		assert_int_not_equal(
			message_summary_decode(str_slice(buf_str(&bytes), 0, n), &s), ERR_NONE);
	for (size_t i = 0; i < bytes.n; i++) {
		for (int flip = 1; flip < 256; flip <<= 1) {
			bytes.p[i] = (char)(bytes.p[i] ^ flip);
			if (message_summary_decode(buf_str(&bytes), &s) == ERR_NONE &&
				message_summary_tree(&a, &s, &tree) == ERR_NONE) {
				for (uint32_t j = 0; j < tree.count; j++)
					assert_true(tree.parts[j].body.offset +
							    tree.parts[j].body.size <=
						    s.physical_size);
			}
			bytes.p[i] = (char)(bytes.p[i] ^ flip);
		}
	}
	bytes.p[0] = MESSAGE_SUMMARY_VERSION + 1;
	assert_int_equal(message_summary_decode(buf_str(&bytes), &s), ERR_UNSUPPORTED);
}

static void nothing_has_a_summary_too(void **state)
{
	(void)state;
	struct message_tree tree;
	struct message_summary s;
	AUTO_ARENA(a, 0);
	AUTO_BUF(bytes, 0);

	encode(&a, STR_NONE, &tree, &bytes);
	assert_int_equal(message_summary_decode(buf_str(&bytes), &s), ERR_NONE);
	assert_int_equal(s.virtual_size, 0);
	assert_int_equal(message_summary_tree(&a, &s, &tree), ERR_NONE);
	assert_int_equal(tree.count, 1);
}

static void huge_fields_are_left_out(void **state)
{
	(void)state;
	struct message_tree tree;
	struct message_summary s;
	AUTO_ARENA(a, 0);
	AUTO_BUF(mail, 0);
	AUTO_BUF(bytes, 0);

	buf_put(&mail, STR("To: "));
	for (unsigned i = 0; i < MESSAGE_SUMMARY_FIELDS_MAX; i++)
		buf_put_byte(&mail, 'x');
	encode(&a, buf_str(&mail), &tree, &bytes);
	assert_int_equal(message_summary_decode(buf_str(&bytes), &s), ERR_NONE);
	assert_false(s.has_fields);
	assert_int_equal(s.fields.n, 0);
	assert_false(s.has_sent_date);
}

static void kept_fields_are_found(void **state)
{
	(void)state;
	static const char *const kept[] = { "Date", "SUBJECT", "x-priority", "auto-submitted",
		"References", "Content-Type", "x-universally-unique-identifier", "Importance" };

	for (size_t i = 0; i < ARRAY_COUNT(kept); i++)
		assert_true(message_summary_keeps_field(str_from(kept[i])));
	assert_false(message_summary_keeps_field(STR("Received")));
	assert_false(message_summary_keeps_field(STR("")));
}

static void preview_check(struct str mail, struct str want, int line)
{
	struct message_tree tree;
	AUTO_ARENA(a, 0);
	AUTO_BUF(out, 0);

	message_parse(&a, mail, &tree);
	message_preview_put(&out, mail, &tree);
	kit_assert_str(buf_str(&out), want, __FILE__, line);
}
#define assert_preview(mail, want) preview_check(STR(mail), STR(want), __LINE__)

static void previews(void **state)
{
	(void)state;
	assert_preview("", "");
	assert_preview("\n  a \r\n\t b\n\x01\xff\n", "a b \xef\xbf\xbd");
	assert_preview("Content-Type: image/png\n\nxx", "");
	assert_preview("Content-Type: text/plain; charset=iso-8859-1\n"
		       "Content-Transfer-Encoding: quoted-printable\n\n=E4=\n=F6",
		"\xc3\xa4\xc3\xb6");
	assert_preview(
		"Content-Type: text/html\n\n<html><head><title>T</title><style>p{}</style>"
		"</head><body><!-- x > y --><p>a&amp;b&nbsp;&#228;&#x41;&bogus;</p><p>c<br>d",
		"a&b \xc3\xa4"
		"A&bogus; c d");
	assert_preview("Content-Type: text/html\n\n<style>never closed", "");
	assert_preview("Content-Type: multipart/x; boundary=b\n\n--b\nContent-Disposition: "
		       "attachment\n\nno\n--b\n\nyes\n--b--\n",
		"yes");
}

static void preview_ends_at_200_characters(void **state)
{
	(void)state;
	struct message_tree tree;
	AUTO_ARENA(a, 0);
	AUTO_BUF(mail, 0);
	AUTO_BUF(out, 0);

	buf_put(&mail, STR("\n"));
	for (int i = 0; i < 1000; i++)
		buf_put(&mail, STR("\xc3\xa4 "));
	message_parse(&a, buf_str(&mail), &tree);
	message_preview_put(&out, buf_str(&mail), &tree);
	assert_int_equal(out.n, 100 * 3 - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_come_back),
		cmocka_unit_test(tree_comes_back),
		cmocka_unit_test(damage_is_refused_or_harmless),
		cmocka_unit_test(nothing_has_a_summary_too),
		cmocka_unit_test(huge_fields_are_left_out),
		cmocka_unit_test(kept_fields_are_found),
		cmocka_unit_test(previews),
		cmocka_unit_test(preview_ends_at_200_characters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
