/* SPDX-License-Identifier: Apache-2.0 */
#include "message/imap_form.h"

#include "message/test_kit.h"

static void envelope_check(struct str header, struct str want, int line)
{
	AUTO_BUF(out, 0);

	message_envelope_put(&out, header);
	kit_assert_str(buf_str(&out), want, __FILE__, line);
}
#define assert_envelope(header, want) envelope_check(STR(header), STR(want), __LINE__)

static void structure_check(struct str mail, bool is_extended, struct str want, int line)
{
	struct message_tree tree;
	AUTO_ARENA(a, 0);
	AUTO_BUF(out, 0);

	message_parse(&a, mail, &tree);
	message_bodystructure_put(&out, mail, &tree, is_extended);
	kit_assert_str(buf_str(&out), want, __FILE__, line);
}
#define assert_body(mail, want)          structure_check(STR(mail), false, STR(want), __LINE__)
#define assert_bodystructure(mail, want) structure_check(STR(mail), true, STR(want), __LINE__)

static void string_check(struct str s, struct str want, int line)
{
	AUTO_BUF(out, 0);

	message_imap_nstring_put(&out, s);
	kit_assert_str(buf_str(&out), want, __FILE__, line);
}
#define assert_string(s, want) string_check(STR(s), STR(want), __LINE__)

static void strings_are_quoted_or_literals(void **state)
{
	(void)state;
	string_check(STR_NONE, STR("NIL"), __LINE__);
	assert_string("", "\"\"");
	assert_string("NIL", "\"NIL\"");
	assert_string("a \"b\" \\", "\"a \\\"b\\\" \\\\\"");
	assert_string("\"\"\"\"\"", "{5}\r\n\"\"\"\"\"");
	assert_string("\xc3\xa4", "{2}\r\n\xc3\xa4");
	assert_string("a\r\nb", "{4}\r\na\r\nb");
	assert_string("a\0b", "{3}\r\na\x80"
			      "b");
	assert_string("\x7f\x01", "\"\x7f\x01\"");
}

static void envelope_of_rfc_3501(void **state)
{
	(void)state;
	assert_envelope("Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n"
			"From: Terry Gray <gray@cac.washington.edu>\r\n"
			"Subject: IMAP4rev1 WG mtg summary and minutes\r\n"
			"To: imap@cac.washington.edu\r\n"
			"Cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
			"Message-Id: <B27397-0100000@cac.washington.edu>\r\n"
			"MIME-Version: 1.0\r\n\r\n",
		"(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" "
		"\"IMAP4rev1 WG mtg summary and minutes\" "
		"((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
		"((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
		"((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
		"((NIL NIL \"imap\" \"cac.washington.edu\")) "
		"((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")"
		"(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL "
		"\"<B27397-0100000@cac.washington.edu>\")");
}

static void envelope_corner_cases(void **state)
{
	(void)state;
	assert_envelope("", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
	assert_envelope("Subject:\nFrom: a@b\nSender:\nReply-To: ,\n\n",
		"(NIL \"\" ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) "
		"NIL NIL NIL NIL NIL)");
	assert_envelope("To: a@b\nSubject: 1\n 2\nto: c\nSubject: 3\nBcc: @d\n\n",
		"(NIL \"1 2\" NIL NIL NIL "
		"((NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"MISSING_DOMAIN\")) NIL "
		"((NIL NIL \"MISSING_MAILBOX\" \"d\")) NIL NIL)");
	assert_envelope("To: G: A <@r:a@b>;, N:;\n\n",
		"(NIL NIL NIL NIL NIL ((NIL NIL \"G\" NIL)(\"A\" \"@r\" \"a\" \"b\")"
		"(NIL NIL NIL NIL)(NIL NIL \"N\" NIL)(NIL NIL NIL NIL)) NIL NIL NIL NIL)");
	assert_envelope("Subject: \xe4\n\n", "(NIL {1}\r\n\xe4 NIL NIL NIL NIL NIL NIL NIL NIL)");
}

static void simple_bodies(void **state)
{
	(void)state;
	assert_body(
		"\nhi\n", "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 4 1)");
	assert_body("", "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0)");
	assert_body(
		"\na\nb", "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 4 2)");
	assert_body("Content-Type: TEXT/Html; format=flowed\nContent-ID: <i>\n"
		    "Content-Description: a\n b\nContent-Transfer-Encoding: 8BIT\n\n",
		"(\"TEXT\" \"Html\" (\"format\" \"flowed\" \"charset\" \"us-ascii\") \"<i>\" \"a "
		"b\" "
		"\"8BIT\" 0 0)");
	assert_body("Content-Type: image/png; name=\"a\\\"b\"\nContent-ID:\n\nxx",
		"(\"image\" \"png\" (\"name\" \"a\\\"b\") NIL NIL \"7bit\" 2)");
	assert_body("Content-Type: nonsense\n\nxx",
		"(\"application\" \"octet-stream\" NIL NIL NIL \"7bit\" 2)");
}

static void extension_fields(void **state)
{
	(void)state;
	assert_bodystructure("\n",
		"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" "
		"0 0 NIL NIL NIL NIL)");
	assert_bodystructure("Content-Type: a/b\nContent-MD5: Q2hlY2s=\n"
			     "Content-Disposition: attachment; filename*=utf-8''%C3%A4\n"
			     "Content-Language: en, (x) de\nContent-Location: http://x/\n\n",
		"(\"a\" \"b\" NIL NIL NIL \"7bit\" 0 \"Q2hlY2s=\" (\"attachment\" (\"filename\" "
		"{2}\r\n\xc3\xa4)) (\"en\" \"de\") \"http://x/\")");
	assert_bodystructure("Content-Type: a/b\nContent-Disposition: inline\n"
			     "Content-Language: en\n\n",
		"(\"a\" \"b\" NIL NIL NIL \"7bit\" 0 NIL (\"inline\" NIL) \"en\" NIL)");
}

static void multipart_bodies(void **state)
{
	(void)state;
	assert_body("Content-Type: multipart/x; boundary=b\n\n--b\n\none\n--b\n"
		    "Content-Type: a/b\n\n--b--\n",
		"((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1)"
		"(\"a\" \"b\" NIL NIL NIL \"7bit\" 0) \"x\")");
	assert_bodystructure("Content-Type: multipart/x; boundary=b\n\n--b\n\none\n--b--\n",
		"((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1 NIL NIL NIL "
		"NIL) \"x\" (\"boundary\" \"b\") NIL NIL NIL)");
	assert_body("Content-Type: multipart/x\n\nlost",
		"((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) \"x\")");
	assert_bodystructure("Content-Type: multipart/x\n\nlost",
		"((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL "
		"NIL) \"x\" NIL NIL NIL NIL)");
}

static void embedded_bodies(void **state)
{
	(void)state;
	assert_body("Content-Type: message/rfc822\n\nSubject: in\n\nhi\n",
		"(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 19 "
		"(NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) "
		"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 4 1) 3)");
	assert_bodystructure("Content-Type: message/rfc822\n\n\n",
		"(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 2 "
		"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) "
		"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL "
		"NIL) 1 NIL NIL NIL NIL)");
}

static void foreign_text_has_a_budget(void **state)
{
	(void)state;
	AUTO_BUF(header, 0);
	AUTO_BUF(out, 0);

	buf_put(&header, STR("Subject: "));
	for (int i = 0; i < 3 << 20; i++)
		buf_put_byte(&header, 'x');
	buf_put(&header, STR("\nTo: g:a@b;\n\n"));
	message_envelope_put(&out, buf_str(&header));
	assert_in_range(out.n, MESSAGE_ENVELOPE_TEXT_MAX - 1000, MESSAGE_ENVELOPE_TEXT_MAX + 1000);
	assert_true(str_ends(buf_str(&out), STR(" NIL NIL NIL NIL)")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_are_quoted_or_literals),
		cmocka_unit_test(envelope_of_rfc_3501),
		cmocka_unit_test(envelope_corner_cases),
		cmocka_unit_test(simple_bodies),
		cmocka_unit_test(extension_fields),
		cmocka_unit_test(multipart_bodies),
		cmocka_unit_test(embedded_bodies),
		cmocka_unit_test(foreign_text_has_a_budget),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
