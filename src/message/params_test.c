/* SPDX-License-Identifier: Apache-2.0 */
#include "message/params.h"

#include "message/test_kit.h"

/* The parameters of `raw` as "name=value|...". */
static struct str show(struct arena *a, struct str raw)
{
	struct message_params params;
	AUTO_BUF(out, 0);

	message_params_parse(a, raw, &params);
	for (size_t i = 0; i < params.count; i++) {
		buf_put(&out, params.items[i].name);
		buf_put_byte(&out, '=');
		buf_put(&out, params.items[i].value);
		buf_put_byte(&out, '|');
	}
	return buf_dup(a, &out);
}

#define assert_params(raw, want) assert_str(show(&a, STR(raw)), STR(want))

static void plain_forms(void **state)
{
	(void)state;
	AUTO_ARENA(a, 0);

	assert_params("; charset=utf-8", "charset=utf-8|");
	assert_params(";a=1;b=\"two; \\\"x\\\"\" ; c = 3", "a=1|b=two; \"x\"|c=3|");
	assert_params("; name=my file (1).pdf; x=y", "name=my file (1).pdf|x=y|");
	assert_params("; charset=us-ascii (Plain text)", "charset=us-ascii|");
	assert_params("; a=1; A=2", "a=1|");
	assert_params(";;; =x; junk; b=1", "b=1|");
	assert_params("; a=\"open", "a=open|");
	assert_params("; a=\"fold\r\n ed\"", "a=fold ed|");
	assert_params("; a=", "a=|");
	assert_params("", "");
}

static void continuations_of_rfc_2231(void **state)
{
	(void)state;
	AUTO_ARENA(a, 0);

	assert_params("; URL*0=\"ftp://\"; URL*1=\"cs.utk.edu/pub\"", "URL=ftp://cs.utk.edu/pub|");
	assert_params("; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
		"title=This is ***fun***|");
	assert_params(
		"; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*0*=us-ascii'en'This%20is%20even%20"
		"more%20; title*2=\"isn't it!\"",
		"title=This is even more ***fun*** isn't it!|");
	assert_params("; f*=iso-8859-1''%E4", "f=\xc3\xa4|");
	assert_params("; f*=no-such-set''%E4", "f=no-such-set''%E4|");
	assert_params("; f*=utf-8''100%", "f=100%|");
	assert_params("; f*=utf-7''", "f=|");
	assert_params("; f*0=a; f*2=c", "f=a|");
	assert_params("; f*1=b", "");
	assert_params("; f*0=a; f*0=b", "f=a|");
}

static void at_most_128_pieces(void **state)
{
	(void)state;
	struct message_params params;
	AUTO_ARENA(a, 0);
	AUTO_BUF(raw, 0);

	for (int i = 0; i < 100000; i++)
		buf_putf(&raw, "; p%d=1", i);
	message_params_parse(&a, buf_str(&raw), &params);
	assert_int_equal(params.count, MESSAGE_PARAMS_MAX);
	buf_clear(&raw);
	for (int i = 0; i < 100000; i++)
		buf_putf(&raw, "; p*%d=x", i);
	message_params_parse(&a, buf_str(&raw), &params);
	assert_int_equal(params.count, 1);
	assert_int_equal(params.items[0].value.n, MESSAGE_PARAMS_MAX);
	assert_params("; p*4294967294=x; p*4294967295=y; p*99999999999=z; p*0=a",
		"p*4294967294=x|p*4294967295=y|p*99999999999=z|p=a|");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_forms),
		cmocka_unit_test(continuations_of_rfc_2231),
		cmocka_unit_test(at_most_128_pieces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
