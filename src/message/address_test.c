/* SPDX-License-Identifier: Apache-2.0 */
#include "message/address.h"

#include "message/test_kit.h"

static void piece_show(struct buf *out, struct str s)
{
	if (s.p)
		buf_put(out, s);
	else
		buf_put_byte(out, '-');
}

/* Each address as "name/route/mailbox/host;", groups as "name{" and "}". */
static void check(struct str in, struct str want, int line)
{
	struct message_addresses list;
	struct message_address address;
	AUTO_BUF(out, 0);

	message_addresses_init(&list, in);
	while (message_address_next(&list, &address)) {
		if (address.kind == MESSAGE_GROUP_END) {
			buf_put_byte(&out, '}');
			continue;
		}
		piece_show(&out, address.name);
		if (address.kind == MESSAGE_GROUP_START) {
			buf_put_byte(&out, '{');
			continue;
		}
		buf_put_byte(&out, '/');
		piece_show(&out, address.route);
		buf_put_byte(&out, '/');
		piece_show(&out, address.mailbox);
		buf_put_byte(&out, '/');
		piece_show(&out, address.host);
		buf_put_byte(&out, ';');
	}
	message_addresses_done(&list);
	kit_assert_str(buf_str(&out), want, __FILE__, line);
}
#define assert_list(in, want) check(STR(in), STR(want), __LINE__)

static void ordinary_addresses(void **state)
{
	(void)state;
	assert_list("joe@example.com", "-/-/joe/example.com;");
	assert_list("Joe Q. Public <john.q.public@example.com>",
		"Joe Q. Public/-/john.q.public/example.com;");
	assert_list("\"Giant; \\\"Big\\\" Box\" <b@x>", "Giant; \"Big\" Box/-/b/x;");
	assert_list("a@b, c@d", "-/-/a/b;-/-/c/d;");
	assert_list("=?utf-8?q?x?= <a@b>", "=?utf-8?q?x?=/-/a/b;");
	assert_list("a@b (Joe (the) Cook)", "Joe (the) Cook/-/a/b;");
	assert_list("\"a b\"@c", "-/-/a b/c;");
	assert_list("a@[1.2.3. 4]", "-/-/a/[1.2.3.4];");
	assert_list("Joe\r\n Doe <a@b>", "Joe Doe/-/a/b;");
	assert_list("", "");
}

static void groups(void **state)
{
	(void)state;
	assert_list("undisclosed-recipients:;", "undisclosed-recipients{}");
	assert_list("A Group: Ed <ed@x>, joe@y; z@w", "A Group{Ed/-/ed/x;-/-/joe/y;}-/-/z/w;");
	assert_list("open: a@b", "open{-/-/a/b;}");
	assert_list("a: b: c@d;", "a{-/-/b/-;-/-/c/d;}");
}

static void obsolete_forms(void **state)
{
	(void)state;
	assert_list(
		"Mary <@node.test,@b:mary@example.net>", "Mary/@node.test,@b/mary/example.net;");
	assert_list("joe . smith @ example . com", "-/-/joe.smith/example.com;");
	assert_list("Joe <joe (work) @ (at) x.com (company)>", "Joe/-/joe/x.com;");
	assert_list(", ,a@b,,", "-/-/a/b;");
	assert_list("<a@b>", "-/-/a/b;");
}

static void broken_forms_are_tolerated(void **state)
{
	(void)state;
	assert_list("joe", "-/-/joe/-;");
	assert_list("@example.com", "-/-/-/example.com;");
	assert_list("<@example.com>", "-/-/-/example.com;");
	assert_list("<>", "-/-/-/-;");
	assert_list("Joe <joe@x", "Joe/-/joe/x;");
	assert_list("a@b c@d", "-/-/a/b;-/-/c/d;");
	assert_list("a@b <c@d>", "a@b/-/c/d;");
	assert_list("A <a@b> B <c@d>", "A/-/a/b;B/-/c/d;");
	assert_list(")>]\\a@b", "-/-/a/b;");
	assert_list("\"open", "-/-/open/-;");
	assert_list("(open", "");
	assert_list("a@[1", "-/-/a/[1;");
	assert_list("<joe\0x@y\0>", "-/-/joe\0x/y\0;");
}

static unsigned count(struct str in)
{
	struct message_addresses list;
	struct message_address address;
	unsigned n = 0;

	message_addresses_init(&list, in);
	while (message_address_next(&list, &address))
		n++;
	assert_int_equal(list.rest.n, 0);
	message_addresses_done(&list);
	return n;
}

static void bombs_are_bounded(void **state)
{
	(void)state;
	AUTO_BUF(in, 0);

	for (int i = 0; i < 1000000; i++)
		buf_put(&in, STR("a@b,"));
	assert_int_equal(count(buf_str(&in)), MESSAGE_ADDRESSES_MAX);
	buf_clear(&in);
	for (int i = 0; i < 1000000; i++)
		buf_put_byte(&in, '(');
	assert_int_equal(count(buf_str(&in)), 0);
	buf_clear(&in);
	for (int i = 0; i < 1000000; i++)
		buf_put(&in, STR("<@"));
	assert_in_range(count(buf_str(&in)), 1, MESSAGE_ADDRESSES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary_addresses),
		cmocka_unit_test(groups),
		cmocka_unit_test(obsolete_forms),
		cmocka_unit_test(broken_forms_are_tolerated),
		cmocka_unit_test(bombs_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
