/* SPDX-License-Identifier: Apache-2.0 */
/* SASL PLAIN and LOGIN messages. */
#include "wire/sasl.h"

#include "wire/test_private.h"

static void responses_are_decoded(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 1 << 20);
	struct str out;
	/* RFC 4648 §4, §10 */
	assert_int_equal(sasl_response_decode(&arena, STR("Zm9vYg=="), &out), ERR_NONE);
	assert_text(out, "foob");
	assert_int_equal(sasl_response_decode(&arena, STR(""), &out), ERR_NONE);
	assert_int_equal(out.n, 0);
	/* RFC 3501 §6.2.2 */
	assert_int_equal(sasl_response_decode(&arena, STR("*"), &out), ERR_CANCELLED);
	static const struct str bad[] = { STR("="), STR("Zm9"), STR("Zm9v "), STR("Zm9v\r"),
		STR("Zm9vYh=="), STR("Zg==Zg=="), STR("Z\0==") };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_int_equal(sasl_response_decode(&arena, bad[i], &out), ERR_INVALID);
	AUTO_BUF(endless, 0);
	for (int i = 0; i <= SASL_RESPONSE_MAX; i += 4)
		buf_put(&endless, STR("AAAA"));
	assert_int_equal(sasl_response_decode(&arena, buf_str(&endless), &out), ERR_LIMIT);
	AUTO_BUF(line, 0);
	sasl_put_line(&line, STR("Username:"));
	assert_text(buf_str(&line), "VXNlcm5hbWU6");
}

static void plain_has_three_parts(void **state)
{
	(void)state;
	struct sasl_plain p;
	/* RFC 4616 §4 */
	assert_int_equal(sasl_plain_parse(STR("\0tim\0tanstaaftanstaaf"), &p), ERR_NONE);
	assert_int_equal(p.authzid.n, 0);
	assert_text(p.authcid, "tim");
	assert_text(p.password, "tanstaaftanstaaf");
	assert_int_equal(sasl_plain_parse(STR("Ursel\0Kurt\0xipj3plmq"), &p), ERR_NONE);
	assert_text(p.authzid, "Ursel");
	static const struct str bad[] = { STR(""), STR("a"), STR("a\0b"), STR("\0\0p"),
		STR("\0u\0p\0"), STR("\0\xff\0p"), STR("\0u\0\xc0\x80") };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_int_equal(sasl_plain_parse(bad[i], &p), ERR_INVALID);
	AUTO_BUF(out, 0);
	sasl_plain_put(&out, &(struct sasl_plain){ STR("z"), STR("c"), STR("p") });
	assert_true(str_eq(buf_str(&out), STR("z\0c\0p")));
	buf_clear(&out);
	buf_put_byte(&out, '\0');
	for (int i = 0; i <= SASL_NAME_MAX; i++)
		buf_put_byte(&out, 'u');
	buf_put(&out, STR("\0p"));
	assert_int_equal(sasl_plain_parse(buf_str(&out), &p), ERR_INVALID);
}

static void login_takes_two_steps(void **state)
{
	(void)state;
	struct sasl_login login = { .is_done = false };
	assert_text(sasl_login_prompt(&login), "Username:");
	assert_int_equal(sasl_login_step(&login, STR("")), ERR_INVALID);
	assert_int_equal(sasl_login_step(&login, STR("u\0")), ERR_INVALID);
	assert_int_equal(sasl_login_step(&login, STR("u1@example.test")), ERR_NONE);
	assert_text(sasl_login_prompt(&login), "Password:");
	assert_false(login.is_done);
	assert_int_equal(sasl_login_step(&login, STR("secret")), ERR_NONE);
	assert_true(login.is_done);
	assert_text(login.user, "u1@example.test");
	assert_text(login.password, "secret");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(responses_are_decoded),
		cmocka_unit_test(plain_has_three_parts),
		cmocka_unit_test(login_takes_two_steps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
