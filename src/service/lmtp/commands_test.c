/* SPDX-License-Identifier: Apache-2.0 */
#include "service/lmtp/test_client.h"

static void script_long_lines_are_skipped(struct kit *k)
{
	AUTO_BUF(line, 0);
	buf_put(&line, STR("NOOP "));
	for (int i = 0; i < 300000; i++)
		buf_put_byte(&line, 'x');
	buf_put(&line, STR("\r\nNOOP\r\n"));
	say_hello(k);
	assert_ok(stream_write(&k->op, k->client, buf_str(&line)));
	expect(k, "500 5.5.2 Line too long");
	expect(k, "250 2.0.0 ");
}
KIT_TEST(long_lines_are_skipped, "")

static void script_recipients_are_looked_up(struct kit *k)
{
	say_hello(k);
	say(k, "MAIL FROM:<s@example.org>\r\n");
	expect(k, "250 ");
	say(k, "RCPT TO:<nobody@example.test>\r\n");
	assert_str(expect(k, "550 "),
		STR("550 5.1.1 <nobody@example.test> User doesn't exist: nobody@example.test"));
	say(k, "RCPT TO:<bad@example.test>\r\nRCPT TO:<lost@example.test>\r\n");
	expect(k, "550 5.1.1 ");
	/* The reason is not for the sender. */
	assert_str(
		expect(k, "451 "), STR("451 4.3.0 <lost@example.test> Temporary internal error"));
	say(k, "RCPT TO:<\"a b\"@example.test>\r\nRCPT TO:<@relay.example:u@example.test>\r\n");
	expect(k, "250 2.1.5 ");
	expect(k, "250 2.1.5 ");
	unsigned before = k->lookups;
	say(k, "RCPT TO:<Postmaster>\r\n"); /* RFC 5321 §4.5.1 */
	expect(k, "250 2.1.5 ");
	assert_int_equal(k->lookups - before, 2);
	say(k, "RCPT TO:<plus+name@example.test>\r\nRCPT TO:<u+box-1@example.test>\r\nDATA\r\n");
	expect(k, "250 2.1.5 ");
	expect(k, "250 2.1.5 ");
	expect(k, "354 ");
	say(k, "x\r\n.\r\n");
	expect(k, "250 2.0.0 <\"a b\"@example.test> ");
	expect(k, "250 2.0.0 <u@example.test> ");
	expect(k, "250 2.0.0 <Postmaster> ");
	expect(k, "250 2.0.0 <plus+name@example.test> ");
	expect(k, "250 2.0.0 <u+box-1@example.test> ");
	const char *const users[] = { "a b@example.test", "u@example.test", "root@example.test",
		"plus+name@example.test" };
	for (size_t i = 0; i < ARRAY_COUNT(users); i++) {
		bool is_found = false;
		for (size_t at = 0; at < k->saved_count; at++)
			is_found |= str_eq(k->saved[at].user, str_from(users[i]));
		assert_true(is_found);
	}
	bool has_detail = false;
	for (size_t at = 0; at < k->saved_count; at++)
		has_detail |= str_eq(k->saved[at].detail, STR("box-1")) &&
			      str_eq(k->saved[at].user, STR("u@example.test"));
	assert_true(has_detail);
}
KIT_TEST(recipients_are_looked_up, "")

static void script_recipients_are_limited(struct kit *k)
{
	say_hello(k);
	say(k, "MAIL FROM:<s@example.org>\r\n");
	expect(k, "250 ");
	for (int i = 0; i < LMTP_RECIPIENTS_MAX; i++) {
		AUTO_BUF(line, 0);
		buf_putf(&line, "RCPT TO:<u%d@example.test>\r\n", i);
		assert_ok(stream_write(&k->op, k->client, buf_str(&line)));
		assert_ok(stream_flush(&k->op, k->client));
		expect(k, "250 2.1.5 ");
	}
	say(k, "RCPT TO:<one-more@example.test>\r\nDATA\r\n");
	expect(k, "451 4.5.3 ");
	expect(k, "354 ");
	say(k, "to all\r\n.\r\n");
	for (int i = 0; i < LMTP_RECIPIENTS_MAX; i++) {
		struct str start = str_printf(&k->arena, "250 2.0.0 <u%d@example.test> ", i);
		expect(k, str_dup_z(&k->arena, start));
	}
	assert_int_equal(k->saved_count, LMTP_RECIPIENTS_MAX);
}
KIT_TEST(recipients_are_limited, "")

/* Idle connections wait by the thousand. */
static void an_idle_connection_is_small(void **state)
{
	(void)state;
	assert_true(sizeof(struct lmtp_connection) <= 320);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(long_lines_are_skipped),
		cmocka_unit_test(recipients_are_looked_up),
		cmocka_unit_test(recipients_are_limited),
		cmocka_unit_test(an_idle_connection_is_small),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
