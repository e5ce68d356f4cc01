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

static unsigned mismatch_count;

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
	if (strcmp(got, want) != 0) {
		print_message("%s\n  %s\n  %s\n", template, got, want);
		mismatch_count++;
	}
}

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
	{ "%{xx:y}", "!Unsupported prefix 'xx'" },
	{ "%{system:moon}", "!Unsupported system key 'moon'" },
	{ "%{process:x}", "!Unsupported process key 'x'" },
	{ "%{generate:x}", "!Unsupported generate key 'x'" },
	{ "%{date:hour}", "!Unsupported date key 'hour'" },
	{ "%{time:year}", "!Unsupported time key 'year'" },
	{ "%{dovecot:name}%{dovecot:revision}%{dovecot:support-url}", "Pombal" },
	{ "%{dovecot:x}", "!Unsupported dovecot key 'x'" },
	{ "%{event:anything}", "" },
	{ "%{system:os}", "Linux" },
	{ "%{date:year | substr(0, 2)}", "20" },
	{ "%{time:unix | if(>, 1600000000, 'later', 'earlier')}", "later" },
	{ "%{time:hour | substr(2)}%{time:usec | substr(6)}", "" },
	{ "%{generate:guid | substr(32)}", "" },
	{ "%{generate:guid128 | regexp('^[0-9a-f]{32}$', 'ok')}", "ok" },
	{ "%{generate:uuid | regexp('^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab].*$', "
	  "'ok')}",
		"ok" },
	{ "%{generate:uuid:record | substr(36)}", "" },
	{ "%{generate:uuid:compact | substr(32)}", "" },
	{ "%{generate:uuid:microsoft | regexp('^[{].*[}]$', 'ok')}", "ok" },
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
	{ "%{literal('abc') | md5}", "900150983cd24fb0d6963f7d28e17f72" },
	{ "%{literal('abc') | sha1}", "a9993e364706816aba3e25717850c26c9cd0d89d" },
	{ "%{literal('abc') | sha384 | hexlify | substr(0, 8)}", "cb00753f" },
	{ "%{literal('abc') | sha512 | hexlify(4)}", "ddaf" },
	{ "%{literal('abc') | sha1 % 4}", "1" },
	{ "%{literal('abc') | sha1 % 256 | hex(2)}", "9d" },
	{ "%{literal('abc') | md5 | % 16}", "2" },
	{ "%{literal('abc') | md5 % 0}",
		"!calculate: division by zero in %{literal('abc') | md5 % 0}" },
	{ "%{literal('abc') | md5 | base64}", "kAFQmDzST7DWlj99KOF/cg==" },
	{ "%{literal('bc') | sha1(salt='a')}", "a9993e364706816aba3e25717850c26c9cd0d89d" },
	{ "%{literal('x') | sha1(rounds=2)}", "b69027d44f6e5edc07f1aead1477967b16f28227" },
	{ "%{literal('x') | sha1(rounds=0)}",
		"!sha1: takes salt= and rounds= from 1 to 10000 in %{literal('x') | "
		"sha1(rounds=0)}" },
	{ "%{literal('x') | hash('crc')}",
		"!hash: methods are md5, sha1, sha224, sha256, sha384, sha512 in "
		"%{literal('x') | hash('crc')}" },
	{ "%{literal('abc') | hash('sha224') | hexlify(8)}", "23097d22" },
	{ "%{literal('a\tb\tc') | list}", "a,b,c" },
	{ "%{literal('a\tb') | list(sep=' ')}", "a b" },
	{ "%{literal('a\x01tb') | list | hexlify}", "610962" },
	{ "%{literal('a') | list(x='y')}", "!list: takes sep= in %{literal('a') | list(x='y')}" },
	{ "%{port | switch('==', 110, 'pop3', 143, 'imap', 'other')}", "imap" },
	{ "%{port | switch(==, 110, 'pop3', 'other')}", "other" },
	{ "%{switch(user, '*', '*@x', 'x', '*@Example.com', 'ex', 'other')}", "ex" },
	{ "%{port | switch('==', 1, 'a') | default('none')}", "none" },
	{ "%{port | switch('eq', '143', 'same')}", "same" },
	{ "%{port | switch('==', 1, 'a')}", "!No value for %{port | switch('==', 1, 'a')}" },
	{ "%{user | switch(~, '^J', 'capital j', 'not')}", "capital j" },
	{ "%{literal('0') | date('%Y-%m-%d %H:%M', 'UTC')}", "1970-01-01 00:00" },
	{ "%{literal('1700000000') | date('%H:%M', '+0530')}", "03:43" },
	{ "%{literal('1700000000') | date('%F', '-1200')}", "2023-11-14" },
	{ "%{literal('0') | date('%H', 'Mars')}",
		"!date: time zones are local, UTC or +HHMM in %{literal('0') | date('%H', "
		"'Mars')}" },
	{ "%{user | date('%H')}", "!date: input is not a time stamp in %{user | date('%H')}" },
	{ "%{literal('1700000000') | iso8601}", "2023-11-14T22:13:20Z" },
	{ "%{literal('1700000000.5') | iso8601}", "2023-11-14T22:13:20.500000000Z" },
	{ "%{literal('1700000000') | iso8601('+0100')}", "2023-11-14T23:13:20+01:00" },
	{ "%{literal('-1') | iso8601}", "1969-12-31T23:59:59Z" },
	{ "%{literal('99999999999999') | iso8601}",
		"!iso8601: input is not a time stamp in %{literal('99999999999999') | "
		"iso8601}" },
	{ "%{literal('12.25') | epoch}", "12" },
	{ "%{literal('12.25') | epoch('ms')}", "12250" },
	{ "%{literal('12.25') | epoch('ns')}", "12250000000" },
	{ "%{literal('1') | epoch('years')}",
		"!epoch: units are s, ms, us and ns in %{literal('1') | epoch('years')}" },
	{ "%{literal('12250') | from_epoch('ms')}", "12.250000000" },
	{ "%{literal('1700000000000') | from_epoch('ms') | iso8601}", "2023-11-14T22:13:20Z" },
	{ "%{literal('?>') | base64}", "Pz4=" },
	{ "%{literal('?>>') | base64(url=1)}", "Pz4-" },
	{ "%{literal('?>') | base64(pad=no)}", "Pz4" },
	{ "%{literal('Pz4-') | unbase64(url=yes) | text}", "?>>" },
	{ "%{literal('Pz4') | unbase64(pad=0) | text}", "?>" },
	{ "%{literal('Pz4') | unbase64}",
		"!unbase64: input is not base64 in %{literal('Pz4') | unbase64}" },
	{ "%{literal('x') | base64(foo=1)}", "!base64: takes pad= and url=, yes or no in "
					     "%{literal('x') | base64(foo=1)}" },
	{ "%{user | encrypt(key='k', salt='s', rounds=3) | decrypt(key='k')}", "Joe@Example.com" },
	{ "%{user | encrypt(key='k', salt='s', rounds=3)}",
		"s=cw==,r=3$SnHaIkFcjqwP3A7R8gwCqA==$" },
	{ "%{user | encrypt(key='0123456789abcdef', algorithm='aes-128-cbc') | "
	  "decrypt(key='0123456789abcdef', algorithm='aes-128-cbc')}",
		"Joe@Example.com" },
	{ "%{port | encrypt(key='0123456789abcdef', iv='0123456789abcdef', "
	  "algorithm='aes-128-cbc', raw=yes) | decrypt(key='0123456789abcdef', "
	  "iv='30313233343536373839616263646566', algorithm='aes-128-cbc', raw=yes)}",
		"143" },
	{ "%{user | encrypt(key='k', salt='s', rounds=3) | decrypt(key='K', rounds=3)}",
		"!decrypt: input was not made with this key in %{user | encrypt(key='k', "
		"salt='s', rounds=3) | decrypt(key='K', rounds=3)}" },
	{ "%{user | encrypt(iv='x')}", "!encrypt: needs key= in %{user | encrypt(iv='x')}" },
	{ "%{user | decrypt(key='x')}",
		"!decrypt: input is not an encrypted text in %{user | decrypt(key='x')}" },
	{ "%{user | regexp('(a{255}){255}', 'x')}",
		"!regexp: pattern repeats too much or refers back in %{user | "
		"regexp('(a{255}){255}', 'x')}" },
	{ "%{user | regexp('a++++++++++++', 'x')}",
		"!regexp: pattern repeats too much or refers back in %{user | "
		"regexp('a++++++++++++', 'x')}" },
	{ "%{user | regexp('(((a+)+)+)+', 'x')}", "Joe@Exxmple.com" },
	{ "%{user | regexp('(a)\\\\1', 'x')}",
		"!regexp: pattern repeats too much or refers back in %{user | "
		"regexp('(a)\\\\1', 'x')}" },
	{ "%{user | regexp('(', 'x')}",
		"!regexp: invalid regular expression in %{user | regexp('(', 'x')}" },
	{ "%{user % 2}", "!calculate: input is not a number in %{user % 2}" },
	{ "%{port * port}", "20449" },
	{ "%{port | calculate('^', 2)}",
		"!calculate: unknown operator in %{port | calculate('^', 2)}" },
	{ "%{missing | sha1 % 4}", "!No value for %{missing}" },
	{ "%{user|domain|lower|regexp('\\\\.', '-')}", "example-com" },
	{ "%{lookup('nothing')}", "!Unknown variable 'nothing'" },
	{ "%{if(port, '>', 100, 'big', 'small')}", "big" },
	{ "%{if(user, 'eq', 'x', 'y')}",
		"!if: needs five arguments here in %{if(user, 'eq', 'x', 'y')}" },
	{ "%{port | if('==', 'x', 1, 2)}", "!if: a numeric comparison needs numbers in "
					   "%{port | if('==', 'x', 1, 2)}" },
	{ "%{user | if('!*', 'x*', 'no x', 'x')}", "no x" },
	{ "%{user | if('!~', 'x', 'a', 'b')}", "b" },
	{ "%{port | lfill(300)}", "!lfill: width must be 0 to 256 in %{port | lfill(300)}" },
	{ "%{literal(\"it's\")}", "it's" },
	{ "%{literal('it\\'s')}", "it's" },
	{ "%{ user|upper }", "JOE@EXAMPLE.COM" },
	{ "%{user | upper", "!Missing '}' after %{user | upper" },
	{ "%{user | }", "!Expected a filter in %{user | }" },
	{ "%{user | lower(}", "!Invalid argument in %{user | lower(}" },
	{ "%{user | default('a' 'b')}", "!Expected ',' or ')' in %{user | default('a' 'b')}" },
	{ "%{literal('abc}", "!Missing '}' after %{literal('abc}" },
	{ "%u", "%u" },
	{ "100%", "100%" },
	{ "%%%{port}", "%%{port}" },
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
static void expands(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
		check(cases[i].template, cases[i].want, false);
	assert_int_equal(mismatch_count, 0);
}

static void escapes_results_alone(void **state)
{
	(void)state;
	check("x%{port}y", "x[143]y", true);
	check("x%{port | safe}y", "x143y", true);
	check("x%{port | escape}y", "x[143]y", true);
	assert_int_equal(mismatch_count, 0);
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
