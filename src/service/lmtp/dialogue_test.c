/* SPDX-License-Identifier: Apache-2.0 */
#include "service/lmtp/test_client.h"

static void script_commands_have_an_order(struct kit *k)
{
	expect(k, "220 ");
	say(k, "MAIL FROM:<s@example.org>\r\n");
	expect(k, "503 5.5.0 ");
	/* RFC 2033 §4.1 */
	say(k, "HELO x\r\nEHLO x\r\n");
	expect(k, "500 5.5.1 ");
	expect(k, "500 5.5.1 ");
	say(k, "LHLO x.example\r\n");
	for (int i = 0; i < 4; i++)
		expect(k, "250-");
	expect(k, "250 SIZE 1073741824");
	say(k, "RCPT TO:<u@example.test>\r\nDATA\r\n");
	expect(k, "503 5.5.0 ");
	expect(k, "503 5.5.0 ");
	say(k, "MAIL FROM:<s@example.org>\r\nMAIL FROM:<s@example.org>\r\nDATA\r\n");
	expect(k, "250 2.1.0 ");
	expect(k, "503 5.5.0 MAIL already given");
	expect(k, "554 5.5.0 No valid recipients");
	say(k, "RSET\r\nRCPT TO:<u@example.test>\r\n");
	expect(k, "250 2.0.0 ");
	expect(k, "503 5.5.0 MAIL needed first");
	/* LHLO resets, as EHLO does (RFC 5321 §4.1.4) */
	say(k, "MAIL FROM:<>\r\nLHLO y.example\r\nMAIL FROM:<>\r\n");
	expect(k, "250 2.1.0 ");
	for (int i = 0; i < 4; i++)
		expect(k, "250-");
	expect(k, "250 SIZE ");
	expect(k, "250 2.1.0 ");
	say(k, "VRFY u@example.test\r\nHELP\r\nnoop with words\nQUIT\r\n");
	expect(k, "252 2.3.3 ");
	expect(k, "214 2.0.0 ");
	expect(k, "250 2.0.0 ");
	expect(k, "221 2.0.0 Bye");
	expect_end(k);
}
KIT_TEST(commands_have_an_order, "")

static void script_parameters_are_checked(struct kit *k)
{
	say_hello(k);
	say(k, "MAIL FROM:<s@example.org> FUTURE=x\r\n");
	expect(k, "555 5.5.4 ");
	say(k, "MAIL FROM:<s@example.org> BODY=BINARYMIME\r\n");
	expect(k, "504 5.5.4 ");
	say(k, "MAIL FROM:s@example.org\r\n");
	expect(k, "501 5.5.4 ");
	say(k, "MAIL FROM:<s@example.org> SIZE=2001\r\n");
	expect(k, "552 5.3.4 ");
	say(k, "MAIL FROM:<s@example.org> SIZE=2000 BODY=8BITMIME\r\n");
	expect(k, "250 2.1.0 ");
	say(k, "RCPT TO:<u@example.test> NOTIFY=NEVER\r\nRCPT TO:<>\r\n");
	expect(k, "555 5.5.4 ");
	expect(k, "501 5.5.4 ");
	say(k, "STARTTLS\r\nAUTH PLAIN\r\n");
	expect(k, "502 5.5.1 ");
	expect(k, "502 5.5.1 ");
	expect_in_step(k);
	/* What follows BDAT is no command, so the line is cut (RFC 3030 §2). */
	say(k, "BDAT 30 LAST\r\nMAIL FROM:<evil@example.org>\r\n");
	expect(k, "502 5.5.1 ");
	expect_end(k);
}
KIT_TEST(parameters_are_checked, "lmtp_max_mail_size = 2000\n")

static void script_ten_bad_commands_end_it(struct kit *k)
{
	say_hello(k);
	for (int i = 0; i < 9; i++) {
		say(k, "NONSENSE\r\n");
		expect(k, "500 5.5.1 ");
	}
	expect_in_step(k); /* a good one in between forgives */
	for (int i = 0; i < 10; i++) {
		say(k, "NONSENSE\r\n");
		expect(k, "500 5.5.1 ");
	}
	expect(k, "421 4.7.0 ");
	expect_end(k);
}
KIT_TEST(ten_bad_commands_end_it, "")

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

static void connect_from(struct kit *k, const char *ip)
{
	struct address peer;
	assert_true(address_parse(str_from(ip), &peer));
	stream_abandon(k->client);
	k->client = kit_connect(k, &peer);
}

static void script_strangers_are_refused(struct kit *k)
{
	connect_from(k, "192.0.2.1");
	expect(k, "554 5.7.1 ");
	expect_end(k);
	connect_from(k, "127.0.0.1");
	expect(k, "220 ");
	connect_from(k, "::1");
	expect(k, "220 ");
	connect_from(k, "10.1.2.3");
	say_hello(k);
}
KIT_TEST(strangers_are_refused, "lmtp_trusted_networks = 10.0.0.0/8\n")

static void script_too_many_connections_are_told(struct kit *k)
{
	expect(k, "220 ");
	struct stream *first = k->client;
	k->client = kit_connect(k, NULL);
	expect(k, "421 4.3.2 ");
	expect_end(k);
	stream_abandon(k->client);
	k->client = first;
	say(k, "QUIT\r\n");
	expect(k, "221 ");
}
KIT_TEST(too_many_connections_are_told, "service lmtp {\n  client_limit = 1\n}\n")

static void script_workarounds_are_optional(struct kit *k)
{
	say_hello(k);
	say(k, "MAIL FROM: s@example.org\r\n");
	expect(k, "250 2.1.0 ");
}
KIT_TEST(workarounds_are_optional,
	"lmtp_client_workarounds = whitespace-before-path mailbox-for-path\n")

/* Idle connections wait by the thousand. */
static void an_idle_connection_is_small(void **state)
{
	(void)state;
	assert_true(sizeof(struct lmtp_connection) <= 320);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_have_an_order),
		cmocka_unit_test(parameters_are_checked),
		cmocka_unit_test(ten_bad_commands_end_it),
		cmocka_unit_test(long_lines_are_skipped),
		cmocka_unit_test(recipients_are_looked_up),
		cmocka_unit_test(recipients_are_limited),
		cmocka_unit_test(strangers_are_refused),
		cmocka_unit_test(too_many_connections_are_told),
		cmocka_unit_test(workarounds_are_optional),
		cmocka_unit_test(an_idle_connection_is_small),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
