/* SPDX-License-Identifier: Apache-2.0 */
#include "objects/json.h"

#include "base/test.h"

static enum err read_two(struct op *op, struct str document, struct str *a, struct str *b)
{
	const struct json_text texts[] = { { STR("a"), a }, { STR("b"), b } };
	*a = *b = STR("unset");
	return json_texts_read(op, document, texts, ARRAY_COUNT(texts));
}

static void texts_are_read(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	struct op op;
	struct str a, b;
	op_init(&op, &arena, NULL, TIME_NEVER);
	assert_ok(read_two(&op, STR("{\"b\":\"x\\u0041\",\"c\":[{}],\"a\":\"\"}"), &a, &b));
	assert_str(a, STR(""));
	assert_str(b, STR("xA"));
	assert_ok(read_two(&op, STR(" {\"a\":1,\"b\":null} "), &a, &b));
	assert_str(a, STR("unset"));
	assert_str(b, STR("unset"));
}

static void hostile_documents_are_refused(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	struct op op;
	struct str a, b;
	op_init(&op, &arena, NULL, TIME_NEVER);
	static const char *const bad[] = { "", "[]", "\"a\"", "{", "{\"a\":\"\xff\"}",
		"{\"a\":\"b\"}x", "{\"a\":\"\\u0000\"}", "{'a':'b'}" };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_err(read_two(&op, str_from(bad[i]), &a, &b), ERR_CORRUPT);
	AUTO_BUF(deep, 0);
	buf_put(&deep, STR("{\"a\":"));
	for (size_t i = 0; i < 50000; i++)
		buf_put_byte(&deep, '[');
	assert_err(read_two(&op, buf_str(&deep), &a, &b), ERR_CORRUPT);
	buf_clear(&deep);
	for (size_t i = 0; i <= JSON_DOCUMENT_MAX; i++)
		buf_put_byte(&deep, ' ');
	assert_err(read_two(&op, buf_str(&deep), &a, &b), ERR_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_read),
		cmocka_unit_test(hostile_documents_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
