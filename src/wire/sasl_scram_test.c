/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/sasl_scram.h"

#include "base/base.h"
#include "base/test.h"

static void first_messages(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	struct sasl_scram_first f;
	assert_ok(sasl_scram_parse_first(&arena, STR("n,,n=user,r=abc"), &f)); /* RFC 5802 §5 */
	assert_str(f.gs2_header, STR("n,,"));
	assert_str(f.bare, STR("n=user,r=abc"));
	assert_str(f.user, STR("user"));
	assert_str(f.nonce, STR("abc"));
	assert_int_equal(f.authzid.n, 0);
	assert_ok(sasl_scram_parse_first(
		&arena, STR("p=tls-exporter,a=b=2Coss,n=us=3Der,r=abc,ext=1"), &f));
	assert_int_equal(f.binding, SCRAM_BINDING_USED);
	assert_str(f.binding_name, STR("tls-exporter"));
	assert_str(f.gs2_header, STR("p=tls-exporter,a=b=2Coss,"));
	assert_str(f.authzid, STR("b,oss"));
	assert_str(f.user, STR("us=er"));
	assert_ok(sasl_scram_parse_first(&arena, STR("y,,n=user,r=abc"), &f));
	assert_int_equal(f.binding, SCRAM_BINDING_REFUSED);
	assert_err(sasl_scram_parse_first(&arena, STR("n,,m=x,n=user,r=abc"), &f), ERR_UNSUPPORTED);
	static const char *const bad[] = { "", "n", "n,", "n,,", "n,,n=,r=abc", "n,,n=user",
		"n,,n=user,r=", "n,,n=us=er,r=abc", "x,,n=user,r=abc", "p=,,n=user,r=abc",
		"p=a b,,n=user,r=abc", "n,b=x,n=user,r=abc", "n,,r=abc,n=user", "n,,n=\xff,r=abc",
		"n,,n=user,r=a\x01" };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_err(sasl_scram_parse_first(&arena, str_from(bad[i]), &f), ERR_INVALID);
}

static void final_messages(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	struct sasl_scram_final f;
	assert_ok(sasl_scram_parse_final(&arena, STR("c=biws,r=abcdef,p=AAEC"), &f));
	assert_str(f.binding, STR("n,,"));
	assert_str(f.nonce, STR("abcdef"));
	assert_str(f.without_proof, STR("c=biws,r=abcdef"));
	assert_int_equal(f.proof.n, 3);
	assert_ok(sasl_scram_parse_final(&arena, STR("c=biws,r=abcdef,x=ext,p=AAEC"), &f));
	assert_str(f.without_proof, STR("c=biws,r=abcdef,x=ext"));
	static const char *const bad[] = { "", "c=biws", "c=biws,r=abc", "c=!,r=abc,p=AAEC",
		"c=biws,r=abc,p=!", "r=abc,c=biws,p=AAEC", "c=biws,r=,p=AAEC",
		"c=biws,r=abc,m=x,p=AAEC", "c=biws,r=abc,p=AAEC,x=y" };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_err(sasl_scram_parse_final(&arena, str_from(bad[i]), &f), ERR_INVALID);
}

static void server_messages(void **state)
{
	(void)state;
	AUTO_BUF(out, 0);
	sasl_scram_put_server_first(&out, STR("abc"), STR("def"), STR("salt"), 4096);
	assert_str(buf_str(&out), STR("r=abcdef,s=c2FsdA==,i=4096"));
	buf_clear(&out);
	sasl_scram_put_server_final(&out, STR("\x01\x02\x03"));
	assert_str(buf_str(&out), STR("v=AQID"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_messages),
		cmocka_unit_test(final_messages),
		cmocka_unit_test(server_messages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
