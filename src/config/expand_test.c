/* SPDX-License-Identifier: Apache-2.0 */
/* config/expand_test.c - %{variables}: one line per rule of the sheet's §2. */
#include "config/expand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct str add_brackets(void *ctx, struct arena *arena, struct str value)
{
	(void)ctx;
	return str_printf(arena, "[%.*s]", STRF(value));
}

static const struct config_var variables[] = {
	{ STR("user"), STR("Joe@Example.com") },
	{ STR("port"), STR("143") },
	{ STR("empty"), STR("") },
	{ STR("missing"), { NULL, 0 } },
	{ STR("name"), STR("user") },
	{ STR("userdb:quota"), STR("5G") },
};
static const char *const environment[] = { "HOME=/root", "NCPU=12", NULL };

/* Expands and compares; a `want` that begins with '!' is the text of the failure. */
static void check(const char *template, const char *want, bool escapes)
{
	struct config_vars vars = { .items = variables,
		.count = ARRAY_COUNT(variables),
		.environment = environment,
		.escape = escapes ? add_brackets : NULL };
	AUTO_ARENA(arena, 0);
	struct op op;
	struct str out = STR_NONE;
	char got[1024];
	op_init(&op, &arena, NULL, TIME_NEVER);
	enum err e = config_expand(&op, str_from(template), &vars, &out);
	if (e == ERR_NONE)
		(void)snprintf(got, sizeof(got), "%.*s", STRF(out));
	else
		(void)snprintf(got, sizeof(got), "!%s", op.failure.text);
	assert_string_equal(got, want);
}

static void expands(void **state)
{
	(void)state;
	static const struct {
		const char *template, *want;
	} cases[] = {
		{ "plain 100% text", "plain 100% text" },
		{ "%%{user}", "%{user}" },
		{ "a%{user}b%{ port }c", "aJoe@Example.comb143c" },
		{ "%{user | lower}", "joe@example.com" },
		{ "%{user|upper|username}", "JOE" },
		{ "%{user | domain | lower}", "example.com" },
		{ "%{port | domain}", "" },
		{ "%{empty | default('x')}", "x" },
		{ "%{missing | default('x')}", "x" },
		{ "%{missing | lower | default}", "" },
		{ "%{missing}", "!No value for %{missing}" },
		{ "%{nothing}", "!Unknown variable 'nothing'" },
		{ "%{xx:y}", "!Unsupported variable 'xx:y'" },
		{ "%{userdb:quota}", "5G" },
		{ "%{env:HOME}%{env:NOT}", "/root" },
		{ "%{system:cpu_count}", "12" },
		{ "%{literal('\\r\\n\\x41\\101')}", "\r\nAA" },
		{ "%{lookup('port')}", "143" },
		{ "%{lookup(name)}", "Joe@Example.com" },
		{ "%{concat('a', port, \"b\")}", "a143b" },
		{ "%{port | concat('x')}", "143x" },
		{ "%{port + 1000}", "1143" },
		{ "%{port | * 2 | - 6}", "280" },
		{ "%{port | calculate('/', 10)}", "14" },
		{ "%{port | / 0}", "!calculate: result does not fit in %{port | / 0}" },
		{ "%{user + 1}", "!calculate: input is not a number in %{user + 1}" },
		{ "%{user | substr(0, 3)}", "Joe" },
		{ "%{user | substr(-3)}", "com" },
		{ "%{user | substr(4, -4)}", "Example" },
		{ "%{port | substr(4)}", "!substr: offset is out of range in %{port | substr(4)}" },
		{ "%{user | truncate(3)}", "Joe" },
		{ "%{literal('ff') | unhexlify | truncate(bits=3)}", "e0" },
		{ "%{port | reverse}", "341" },
		{ "%{user | index('@', -1)}", "Example.com" },
		{ "%{user | index('@', 2)}",
			"!index: there are not so many parts in %{user | index('@', 2)}" },
		{ "%{user | regexp('(.*)@(.*)', '\\\\2!\\\\1')}", "Example.com!Joe" },
		{ "%{user | domain | ldap_dn}", "Example,dc=com" },
		{ "%{port | hex(8)}", "0000008f" },
		{ "%{port | hex(-4)}", "8f00" },
		{ "%{literal('8f') | unhex}", "143" },
		{ "%{port | hexlify}", "313433" },
		{ "%{port | base64 | unbase64 | text}", "143" },
		{ "%{literal('0102') | unhexlify | benumber}", "258" },
		{ "%{literal('0102') | unhexlify | lenumber}", "513" },
		{ "%{port | lfill(6)}", "000143" },
		{ "%{port | rfill(5, 'x')}", "143xx" },
		{ "%{literal('abc') | sha256}",
			"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "%{literal('abc') | sha256 % 4}", "1" },
		{ "%{literal('abc') | hash('sha256', salt='', rounds=1) | substr(0, 1)}", "ba" },
		{ "%{port | if(>, 100, 'big', 'small')}", "big" },
		{ "%{if(user, '*', 'Joe@*', 'yes', 'no')}", "yes" },
		{ "%{user | if('~', '^[A-Z]', 'capital', 'not')}", "capital" },
		{ "%{user | if(eq, 'x', 'same', 'other')}", "other" },
		{ "%{user | nothing}", "!No such function 'nothing' in %{user | nothing}" },
		{ "%{user", "!Missing '}' after %{user" },
		{ "%{}", "!Expected a variable in %{}" },
		{ "%{user lower}", "!Expected '|' in %{user lower}" },
		{ "%{user | lower(1)}", "!lower: wrong number of arguments in %{user | lower(1)}" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
		check(cases[i].template, cases[i].want, false);
}

static void escapes_results_alone(void **state)
{
	(void)state;
	check("x%{port}y", "x[143]y", true);
	check("x%{port | safe}y", "x143y", true);
	check("x%{port | escape}y", "x[143]y", true);
}

static void output_is_bounded(void **state)
{
	(void)state;
	AUTO_BUF(template, 0);
	for (int i = 0; i < 300; i++)
		buf_put(&template, STR("%{port | lfill(256)}"));
	buf_put_byte(&template, '\0');
	check(template.p, "!Expanded text is longer than 65536 bytes", false);
	buf_clear(&template);
	buf_put(&template, STR("%{port"));
	for (int i = 0; i < 65; i++)
		buf_put(&template, STR("|lower"));
	buf_put(&template, STR("}"));
	buf_put_byte(&template, '\0');
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	assert_int_equal(config_expand_check(&op, str_from(template.p)), ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expands),
		cmocka_unit_test(escapes_results_alone),
		cmocka_unit_test(output_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
