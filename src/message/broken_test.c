/* SPDX-License-Identifier: Apache-2.0 */
/* message/broken_test.c - anything parses: small mails that break one rule each, and what is made of them (the
 * BODY that a client sees). Spec: sheet protocols §13.1, §13.2. */
#include "message/imap_form.h"
#include "message/message.h"
#include "message/summary.h"
#include "message/test_kit.h"

#define MULTIPART "Content-Type: multipart/mixed; boundary=b\n\n"
#define TEXT(size, lines)                                                                          \
	"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" " size " " lines ")"

static const struct {
	const char *rule;
	struct str mail;
	struct str body;
} cases[] = {
	{ "nothing at all", STR(""), STR(TEXT("0", "0")) },
	{ "an empty line alone", STR("\n"), STR(TEXT("0", "0")) },
	{ "no empty line", STR("Subject: x\n"), STR(TEXT("0", "0")) },
	{ "no line end", STR("Subject: x"), STR(TEXT("0", "0")) },
	{ "a body without header", STR("\nhello\n"), STR(TEXT("7", "1")) },
	{ "a line without colon does not end the header", STR("hello\nSubject: x\n\nbody\n"),
		STR(TEXT("6", "1")) },
	{ "bare CR is no line end", STR("Subject: x\rTo: y\n\na\rb\n"), STR(TEXT("5", "1")) },
	{ "LF and CRLF mixed", STR("A: b\r\nC: d\n\r\none\ntwo\r\n"), STR(TEXT("10", "2")) },
	{ "NUL bytes", STR("Subject: a\0b\n\n\0\n"), STR(TEXT("3", "1")) },
	{ "8-bit bytes in the header",
		STR("Content-Type: text/plain; name=\"gr\xfc\xdf\xe9.txt\"\n\nx\n"),
		STR("(\"text\" \"plain\" (\"name\" {9}\r\ngr\374\337\351.txt \"charset\" "
		    "\"us-ascii\") NIL NIL \"7bit\" 3 1)") },
	{ "no type", STR("Content-Type:\n\nx\n"),
		STR("(\"application\" \"octet-stream\" NIL NIL NIL \"7bit\" 3)") },
	{ "a type without subtype", STR("Content-Type: text\n\nx\n"),
		STR("(\"application\" \"octet-stream\" NIL NIL NIL \"7bit\" 3)") },
	{ "a type of rubbish", STR("Content-Type: ///;;;==\n\nx\n"),
		STR("(\"application\" \"octet-stream\" NIL NIL NIL \"7bit\" 3)") },
	{ "two types: the first counts",
		STR("Content-Type: text/html\nContent-Type: image/png\n\nx\n"),
		STR("(\"text\" \"html\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1)") },
	{ "an unknown encoding", STR("Content-Transfer-Encoding: x-uue\n\nx\n"),
		STR("(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"x-uue\" 3 1)") },
	{ "a multipart without boundary", STR("Content-Type: multipart/mixed\n\n--b\n\nx\n"),
		STR("(" TEXT("0", "0") " \"mixed\")") },
	{ "an empty boundary", STR("Content-Type: multipart/mixed; boundary=\"\"\n\n--\n\nx\n"),
		STR("(" TEXT("0", "0") " \"mixed\")") },
	{ "a boundary that never comes", STR(MULTIPART "x\n"),
		STR("(" TEXT("0", "0") " \"mixed\")") },
	{ "no last boundary", STR(MULTIPART "--b\n\none\n--b\n\ntwo\n"),
		STR("(" TEXT("3", "1") TEXT("5", "1") " \"mixed\")") },
	{ "boundaries alone", STR(MULTIPART "--b\n--b\n--b--\n"),
		STR("(" TEXT("0", "0") TEXT("0", "0") " \"mixed\")") },
	{ "the mail ends in a boundary", STR(MULTIPART "--b"),
		STR("(" TEXT("0", "0") " \"mixed\")") },
	{ "the mail ends in a part's header", STR(MULTIPART "--b\nContent-Type: text/html"),
		STR("((\"text\" \"html\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) "
		    "\"mixed\")") },
	{ "parts after the last boundary", STR(MULTIPART "--b\n\na\n--b--\n--b\n\nb\n"),
		STR("(" TEXT("1", "1") " \"mixed\")") },
	{ "a boundary with blanks behind", STR(MULTIPART "--b \t\n\na\n--b-- \n"),
		STR("(" TEXT("1", "1") " \"mixed\")") },
	{ "an outer boundary closes the inner multipart",
		STR(MULTIPART "--b\nContent-Type: multipart/x; boundary=c\n\n--c\n\na\n--b\n\nb\n"),
		STR("((" TEXT("1", "1") " \"x\")" TEXT("3", "1") " \"mixed\")") },
	{ "inner and outer boundary are the same",
		STR(MULTIPART "--b\nContent-Type: multipart/x; boundary=b\n\n--b\n\na\n--b--\n"),
		STR("((" TEXT("1", "1") " \"x\") \"mixed\")") },
	{ "an embedded mail of nothing", STR("Content-Type: message/rfc822\n\n"),
		STR("(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 0 (NIL NIL NIL NIL NIL NIL NIL "
		    "NIL NIL NIL) " TEXT("0", "0") " 0)") },
	{ "an embedded mail in base64",
		STR("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQQ==\n"),
		STR("(\"application\" \"octet-stream\" NIL NIL NIL \"base64\" 6)") },
	{ "a comment that never ends", STR("Content-Type: text/plain (((\n\nx\n"),
		STR(TEXT("3", "1")) },
	{ "a quoted string that never ends",
		STR("Content-Type: text/plain; name=\"x\nSubject: y\n\nz\n"),
		STR("(\"text\" \"plain\" (\"name\" \"x\" \"charset\" \"us-ascii\") NIL NIL "
		    "\"7bit\" 3 1)") },
	{ "a parameter without value", STR("Content-Type: text/plain; name; charset=\n\nx\n"),
		STR("(\"text\" \"plain\" (\"charset\" \"\") NIL NIL \"7bit\" 3 1)") },
	{ "pieces of RFC 2231 out of order and with a hole",
		STR("Content-Type: text/plain; n*2=c; n*0*=utf-8''a%C3%A4; n*1=b; m*1=x\n\nx\n"),
		STR("(\"text\" \"plain\" (\"n\" {5}\r\na\303\244bc \"charset\" \"us-ascii\") NIL "
		    "NIL \"7bit\" 3 1)") },
};

static void body_put(struct buf *out, struct str mail)
{
	struct message_tree tree;
	struct message_summary summary;
	AUTO_ARENA(a, 0);
	AUTO_BUF(bytes, 0);

	message_parse(&a, mail, &tree);
	message_bodystructure_put(out, mail, &tree, false);
	message_summary_encode(&bytes, mail, &tree);
	assert_int_equal(message_summary_decode(buf_str(&bytes), &summary), ERR_NONE);
	assert_str(summary.body, buf_str(out));
}

static void broken_mails_have_a_structure(void **state)
{
	(void)state;
	unsigned mismatches = 0;

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		AUTO_BUF(got, 0);
		body_put(&got, cases[i].mail);
		if (str_eq(buf_str(&got), cases[i].body))
			continue;
		print_error("%s\n  got  %.*s\n  want %.*s\n", cases[i].rule, STRF(buf_str(&got)),
			STRF(cases[i].body));
		mismatches++;
	}
	assert_int_equal(mismatches, 0);
}

/* Every prefix of a mail is a mail, and so is every mail with one byte changed. */
static void prefixes_and_flips(void **state)
{
	(void)state;
	static const char mail[] =
		"From: \"J\xc3\xb6\" <j@example.com>, a:b@c,d;\nSubject: =?utf-8?Q?=C3=A4?= x\n"
		"Content-Type: multipart/mixed; boundary=\"b c\"\n\npre\n--b c\n"
		"Content-Type: message/rfc822\n\nSubject: inner\n\nbody\n--b c\n"
		"Content-Disposition: attachment; filename*0*=utf-8''%41; filename*1=b\n"
		"Content-Transfer-Encoding: base64\n\nQUJD\n--b c--\npost\n";
	char copy[sizeof(mail)];

	for (size_t n = 0; n < sizeof(mail); n++) {
		AUTO_BUF(out, 0);
		body_put(&out, (struct str){ mail, n });
	}
	for (size_t n = 0; n < sizeof(mail) - 1; n++) {
		static const char bytes[] = { '\0', '\r', '\n', '"', '(', '\xff', ';', '-' };
		memcpy(copy, mail, sizeof(mail));
		for (size_t k = 0; k < sizeof(bytes); k++) {
			AUTO_BUF(out, 0);
			copy[n] = bytes[k];
			body_put(&out, (struct str){ copy, sizeof(mail) - 1 });
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(broken_mails_have_a_structure),
		cmocka_unit_test(prefixes_and_flips),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
