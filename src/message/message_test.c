/* SPDX-License-Identifier: Apache-2.0 */
#include "message/message.h"

#include "message/crlf.h"
#include "message/test_kit.h"

static void spans_check(struct str mail, const struct message_tree *tree)
{
	for (uint32_t i = 0; i < tree->count; i++) {
		const struct message_part *part = &tree->parts[i];
		assert_int_equal(message_crlf_size(message_span_bytes(mail, &part->header)),
			part->header.virtual_size);
		assert_int_equal(part->header.offset + part->header.size, part->body.offset);
		assert_true(part->body.offset + part->body.size <= mail.n);
	}
}

/* The tree as text: "kind[type/subtype header+body lines](children)". */
static struct str show(struct arena *a, struct str mail)
{
	static const char *const kinds[] = { "", "*", "@" };
	struct message_tree tree;
	AUTO_BUF(out, 0);

	message_parse(a, mail, &tree);
	spans_check(mail, &tree);
	assert_int_equal(tree.parts[0].header.size + tree.parts[0].body.size, mail.n);
	for (uint32_t i = 0; i < tree.count; i++) {
		const struct message_part *part = &tree.parts[i];
		const struct message_content *content = &tree.contents[i];
		buf_putf(&out, "%s%.*s/%.*s %d+%d/%d", kinds[part->kind], STRF(content->type),
			STRF(content->subtype), (int)part->header.size, (int)part->body.size,
			(int)part->body.lines);
		buf_put(&out, part->child_count > 0 ? STR("(") : STR(""));
		for (uint32_t at = i; at != MESSAGE_NO_PART && tree.parts[at].end == i + 1;
			at = tree.parts[at].parent)
			buf_put(&out, tree.parts[at].child_count > 0 ? STR(")") : STR(" "));
	}
	return str_trim(buf_dup(a, &out));
}

#define assert_tree(mail, want) assert_str(show(&a, STR(mail)), STR(want))
#define MULTI(b)                "Content-Type: multipart/mixed; boundary=" b "\n\n"

static void single_parts(void **state)
{
	(void)state;
	AUTO_ARENA(a, 0);

	assert_tree("", "text/plain 0+0/0");
	assert_tree("\n", "text/plain 1+0/0");
	assert_tree("\r\nhi", "text/plain 2+2/0");
	assert_tree("Subject: x", "text/plain 10+0/0");
	assert_tree("Subject: x\n\na\nb\n", "text/plain 12+4/2");
	assert_tree("content-TYPE: Text/HTML; x=y\n\n", "Text/HTML 30+0/0");
	assert_tree("Content-Type: text\n\n", "application/octet-stream 20+0/0");
	assert_tree("Content-Type: (c) a / (d) b ;x\n\n", "a/b 32+0/0");
	assert_tree("Content-Type: a/b\nContent-Type: c/d\n\n", "a/b 37+0/0");
	assert_tree("no header at all", "text/plain 16+0/0");
}

static void multiparts(void **state)
{
	(void)state;
	AUTO_ARENA(a, 0);

	assert_tree(MULTI("b") "pre\n--b\n\none\n--b\nX: y\n\ntwo\nx\n--b--\nepilogue\n",
		"*multipart/mixed 43+44/11(text/plain 1+3/0 text/plain 6+5/1 )");
	assert_tree("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n",
		"*multipart/mixed 45+19/4(text/plain 2+3/0 )");
	/* Empty parts, parts without header, a header without an empty line. */
	assert_tree(MULTI("b") "--b\n--b\n\n--b\n\n\n--b\nX: y\n--b--\n",
		"*multipart/mixed 43+30/9(text/plain 0+0/0 text/plain 1+0/0 text/plain 1+0/0 "
		"text/plain 5+0/0 )");
	/* No end; no part; no boundary. */
	assert_tree(MULTI("b") "--b\n\none\n", "*multipart/mixed 43+9/3(text/plain 1+4/1 )");
	assert_tree(MULTI("b") "nothing\n", "*multipart/mixed 43+8/1");
	assert_tree("Content-Type: multipart/mixed\n\n--\n\n", "*multipart/mixed 31+4/2");
	assert_tree(MULTI("b") "--b", "*multipart/mixed 43+3/0(text/plain 0+0/0 )");
	/* Not boundaries. */
	assert_tree(MULTI("b") "--bb\n --b\n-b\n--b x\n", "*multipart/mixed 43+19/4");
	assert_tree(
		MULTI("b") "--b \t\n\nx\n--b-- \n", "*multipart/mixed 43+16/4(text/plain 1+1/0 )");
	assert_tree(MULTI("\"b \"") "--b\n\nx", "*multipart/mixed 46+6/2(text/plain 1+1/0 )");
}

static void nested_boundaries(void **state)
{
	(void)state;
	AUTO_ARENA(a, 0);

	/* The longest boundary wins, also when it looks like an end. */
	assert_tree(MULTI("b") "--b\n" MULTI("b--") "--b--\n\nin\n--b----\n--b\n\nx\n--b--\n",
		"*multipart/mixed 43+80/11(*multipart/mixed 45+17/3(text/plain 1+2/0 )text/plain "
		"1+1/0 )");
	assert_tree(MULTI("b") "--b\n" MULTI("bb") "--bb\n\nin\n--b\n\nx\n--b--\n",
		"*multipart/mixed 43+70/10(*multipart/mixed 44+8/2(text/plain 1+2/0 )text/plain "
		"1+1/0 )");
	/* The same boundary twice: the innermost takes it. */
	assert_tree(MULTI("b") "--b\n" MULTI("b") "--b\n\nin\n--b--\n--b--\n",
		"*multipart/mixed 43+67/8(*multipart/mixed 43+13/3(text/plain 1+2/0 ))");
	/* An outer boundary closes all; the line end before it may belong to a header. */
	assert_tree(MULTI("b") "--b\n" MULTI("c") "--c\nX: y\n\n--b--\n",
		"*multipart/mixed 43+63/7(*multipart/mixed 43+10/3(text/plain 6+0/0 ))");
}

static void embedded_mails(void **state)
{
	(void)state;
	AUTO_ARENA(a, 0);

	assert_tree("Content-Type: message/rfc822\n\nSubject: x\n\nhi\n",
		"@message/rfc822 30+15/3(text/plain 12+3/1 )");
	assert_tree(
		"Content-Type: message/rfc822\n\n", "@message/rfc822 30+0/0(text/plain 0+0/0 )");
	assert_tree("Content-Type: message/rfc822\n", "@message/rfc822 29+0/0(text/plain 0+0/0 )");
	assert_tree("Content-Type: message/rfc822\n"
		    "Content-Transfer-Encoding: base64\n\nAAAA\n",
		"application/octet-stream 64+5/1");
	assert_tree("Content-Type: multipart/digest; boundary=b\n\n"
		    "--b\n\nSubject: 1\n\none\n--b\nContent-Type: text/plain\n\ntwo\n--b--\n",
		"*multipart/digest 44+61/10(@message/rfc822 1+15/2(text/plain 12+3/0 )text/plain "
		"26+3/0 )");
	assert_tree(MULTI("b") "--b\nContent-Type: message/global\n--b--\n",
		"*multipart/mixed 43+39/3(@message/global 29+0/0(text/plain 0+0/0 ))");
}

static void long_boundaries_are_compared_by_their_start(void **state)
{
	(void)state;
	AUTO_ARENA(a, 0);
	AUTO_BUF(boundary, 0);
	AUTO_BUF(mail, 0);
	struct message_tree tree;

	for (int i = 0; i < 10000; i++)
		buf_put_byte(&boundary, 'x');
	buf_put(&mail, STR("Content-Type: multipart/mixed; boundary="));
	buf_put(&mail, buf_str(&boundary));
	buf_put(&mail, STR("\n\n--"));
	buf_put(&mail, buf_str(&boundary));
	buf_put(&mail, STR("\n\none\n--"));
	buf_put(&mail, buf_str(&boundary));
	buf_put(&mail, STR("--\n--"));
	buf_put(&mail, buf_str(&boundary));
	buf_put(&mail, STR("\nepilogue\n"));
	message_parse(&a, buf_str(&mail), &tree);
	assert_int_equal(tree.count, 2);
	assert_str(message_span_bytes(buf_str(&mail), &tree.parts[1].body), STR("one"));
}

#define SAMPLE                                                                                     \
	"Subject: outer\r\n"                                                                       \
	"Content-Type: multipart/mixed; boundary=o\r\n\r\n"                                        \
	"--o\r\n"                                                                                  \
	"Content-ID: 1\r\n\r\n"                                                                    \
	"text\n"                                                                                   \
	"\r\n--o\r\n"                                                                              \
	"Content-Type: message/rfc822\r\n\r\n"                                                     \
	"Subject: inner\r\n"                                                                       \
	"Content-Type: multipart/alternative; boundary=i\r\n\r\n"                                  \
	"--i\r\n\r\nplain\r\n"                                                                     \
	"--i\r\nContent-Type: text/html\r\n\r\n<p>\r\n"                                            \
	"--i--\r\n"                                                                                \
	"\r\n--o\r\n"                                                                              \
	"Content-Type: message/rfc822\r\n\r\n"                                                     \
	"Subject: single\r\n\r\nlast"                                                              \
	"\r\n--o--\r\n"

static void section_check(const struct message_tree *tree, const char *section, struct str want)
{
	struct message_span span;
	struct str mail = STR(SAMPLE);

	assert_int_equal(message_section_find(tree, str_from(section), &span), ERR_NONE);
	assert_str(message_span_bytes(mail, &span), want);
	assert_int_equal(span.virtual_size, message_crlf_size(want));
}

static void sections_name_parts(void **state)
{
	(void)state;
	struct message_tree tree;
	AUTO_ARENA(a, 0);

	message_parse(&a, STR(SAMPLE), &tree);
	section_check(&tree, "", STR(SAMPLE));
	section_check(&tree, "1", STR("text\n"));
	section_check(&tree, "1.MIME", STR("Content-ID: 1\r\n\r\n"));
	section_check(&tree, "2.mime", STR("Content-Type: message/rfc822\r\n\r\n"));
	section_check(&tree, "2.HEADER",
		STR("Subject: inner\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n"));
	section_check(&tree, "2.0",
		STR("Subject: inner\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n"));
	section_check(&tree, "2.1", STR("plain"));
	section_check(&tree, "2.2", STR("<p>"));
	section_check(&tree, "2.2.MIME", STR("Content-Type: text/html\r\n\r\n"));
	section_check(&tree, "3", STR("Subject: single\r\n\r\nlast"));
	section_check(&tree, "3.1", STR("last"));
	section_check(&tree, "3.TEXT", STR("last"));
	section_check(&tree, "HEADER",
		STR("Subject: outer\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n"));
	section_check(&tree, "0",
		STR("Subject: outer\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n"));
	assert_int_equal(tree.parts[1].body.virtual_size, 6);
}

static void absent_and_malformed_sections(void **state)
{
	(void)state;
	static const char *const absent[] = { "4", "1.1", "1.TEXT", "1.HEADER", "1.0", "2.3", "3.2",
		"3.1.1", "2.1.HEADER", "4294967295", "1.1.1.1.1.1.MIME" };
	static const char *const malformed[] = { ".", "1.", "1..2", "x", "1.X", "MIME", "0.1",
		"HEADER.FIELDS", "1 ", "1.HEADERX", "99999999999", "0.MIME", "TEXT.1" };
	struct message_tree tree;
	struct message_span span;
	uint32_t part;
	AUTO_ARENA(a, 0);

	message_parse(&a, STR(SAMPLE), &tree);
	for (size_t i = 0; i < ARRAY_COUNT(absent); i++)
		assert_int_equal(
			message_section_find(&tree, str_from(absent[i]), &span), ERR_NOT_FOUND);
	for (size_t i = 0; i < ARRAY_COUNT(malformed); i++)
		assert_int_equal(
			message_section_find(&tree, str_from(malformed[i]), &span), ERR_INVALID);
	assert_int_equal(message_section_part(&tree, STR("2.2"), &part), ERR_NONE);
	assert_int_equal(part, 5);
	assert_int_equal(message_section_part(&tree, STR("2.TEXT"), &part), ERR_INVALID);
}

static void part_one_of_a_simple_mail_is_its_body(void **state)
{
	(void)state;
	struct str mail = STR("A: b\n\nbody\n");
	struct message_tree tree;
	struct message_span span;
	AUTO_ARENA(a, 0);

	message_parse(&a, mail, &tree);
	assert_int_equal(message_section_find(&tree, STR("1"), &span), ERR_NONE);
	assert_str(message_span_bytes(mail, &span), STR("body\n"));
	assert_int_equal(message_section_find(&tree, STR("TEXT"), &span), ERR_NONE);
	assert_str(message_span_bytes(mail, &span), STR("body\n"));
	assert_int_equal(message_section_find(&tree, STR("1.1"), &span), ERR_NOT_FOUND);
}

static void bodies_are_decoded(void **state)
{
	(void)state;
	struct message_tree tree;
	struct str mail = STR("Content-Transfer-Encoding: Base64\n\naGVs\nbG8=\n");
	struct str odd = STR("Content-Transfer-Encoding: x-uuencode (c)\n\nabc");
	struct buf small;
	AUTO_ARENA(a, 0);
	AUTO_BUF(out, 0);

	message_parse(&a, mail, &tree);
	assert_int_equal(message_part_decode(mail, &tree.parts[0], &out), ERR_NONE);
	assert_str(buf_str(&out), STR("hello"));
	buf_init(&small, 3);
	assert_int_equal(message_part_decode(mail, &tree.parts[0], &small), ERR_LIMIT);
	buf_clear(&out);
	struct str latin = STR("Content-Type: text/plain; charset=\"iso-8859-1\"\n"
			       "Content-Transfer-Encoding: quoted-printable\n\n=E4\n");
	message_parse(&a, latin, &tree);
	assert_int_equal(message_part_text(latin, &tree.parts[0], &out), ERR_NONE);
	assert_str(buf_str(&out), STR("\xc3\xa4\n"));
	message_parse(&a, odd, &tree);
	assert_str(tree.contents[0].encoding, STR("x-uuencode"));
	assert_int_equal(message_part_decode(odd, &tree.parts[0], &out), ERR_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(single_parts),
		cmocka_unit_test(multiparts),
		cmocka_unit_test(nested_boundaries),
		cmocka_unit_test(embedded_mails),
		cmocka_unit_test(long_boundaries_are_compared_by_their_start),
		cmocka_unit_test(sections_name_parts),
		cmocka_unit_test(absent_and_malformed_sections),
		cmocka_unit_test(part_one_of_a_simple_mail_is_its_body),
		cmocka_unit_test(bodies_are_decoded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
