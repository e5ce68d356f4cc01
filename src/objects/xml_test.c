/* SPDX-License-Identifier: Apache-2.0 */
#include "objects/xml.h"

#include "base/test.h"

static enum err print_element(struct op *op, struct str path, struct str text, void *arg)
{
	(void)op;
	buf_putf(arg, "%.*s=%.*s;", STRF(path), STRF(text));
	return ERR_NONE;
}

static enum err read_all(struct str document, struct buf *out)
{
	struct op op;
	op_init(&op, NULL, NULL, TIME_NEVER);
	return xml_read(&op, document, print_element, out);
}

static void elements_come_with_their_paths(void **state)
{
	(void)state;
	AUTO_BUF(out, 0);
	assert_ok(read_all(STR("<?xml version='1.0'?><a x='1'>1<b>two</b>3<b/>"
			       "<c><b>&lt;&#x41;&amp;<![CDATA[<d>]]></b></c></a>"),
		&out));
	assert_str(buf_str(&out), STR("a/b=two;a/b=;a/c/b=<A&<d>;a/c=;a=13;"));
}

static void hostile_documents_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "<a>", "<a></b>", "<a/><b/>", "text", "<a>\xff</a>",
		"<a>&x;</a>", "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "<!DOCTYPE a><a/>" };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		AUTO_BUF(out, 0);
		assert_err(read_all(str_from(bad[i]), &out), ERR_CORRUPT);
	}
}

static void limits_hold(void **state)
{
	(void)state;
	AUTO_BUF(document, 0);
	AUTO_BUF(out, 0);
	for (size_t i = 0; i <= XML_DEPTH_MAX; i++)
		buf_put(&document, STR("<a>"));
	assert_err(read_all(buf_str(&document), &out), ERR_CORRUPT);

	buf_clear(&document);
	buf_put(&document, STR("<a>"));
	for (size_t i = 0; i <= XML_TEXT_MAX; i++)
		buf_put_byte(&document, 'x');
	buf_put(&document, STR("</a>"));
	assert_err(read_all(buf_str(&document), &out), ERR_CORRUPT);

	buf_clear(&document);
	buf_put_byte(&document, '<');
	for (size_t i = 0; i <= XML_PATH_MAX; i++)
		buf_put_byte(&document, 'x');
	buf_put(&document, STR("/>"));
	assert_err(read_all(buf_str(&document), &out), ERR_CORRUPT);
	assert_int_equal(out.n, 0);
}

static enum err refuse_b(struct op *op, struct str path, struct str text, void *arg)
{
	(void)text;
	(*(int *)arg)++;
	return str_eq(path, STR("a/b")) ? op_fail(op, ERR_CANCELLED, "enough") : ERR_NONE;
}

static void a_reader_may_stop(void **state)
{
	(void)state;
	struct op op;
	int calls = 0;
	op_init(&op, NULL, NULL, TIME_NEVER);
	assert_err(xml_read(&op, STR("<a><c/><b/><b/></a>"), refuse_b, &calls), ERR_CANCELLED);
	assert_int_equal(calls, 2);
}

static void text_is_escaped(void **state)
{
	(void)state;
	AUTO_BUF(out, 0);
	xml_put_text(&out, STR("a<b>&\"c'"));
	assert_str(buf_str(&out), STR("a&lt;b&gt;&amp;&quot;c&apos;"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements_come_with_their_paths),
		cmocka_unit_test(hostile_documents_are_refused),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(a_reader_may_stop),
		cmocka_unit_test(text_is_escaped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
