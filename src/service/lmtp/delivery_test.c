/* SPDX-License-Identifier: Apache-2.0 */
#include "service/lmtp/test_client.h"

#define ONE(recipient)                                                                             \
	(const char *const[])                                                                      \
	{                                                                                          \
		recipient, NULL                                                                    \
	}
static const char small_mail[] = "Subject: x\r\n\r\nHello.\r\n";

static void script_a_mail_is_saved_with_its_trace(struct kit *k)
{
	say_hello(k);
	say_envelope(k, ONE("U@example.test"));
	say(k, "Subject: x\r\n\r\n..dot\r\n.\r\n");
	struct str line = expect(k, "250 2.0.0 <U@example.test> ");
	assert_int_equal(k->saved_count, 1);
	const struct saved *s = &k->saved[0];
	assert_str(s->mail, STR("Subject: x\r\n\r\n.dot\r\n"));
	assert_str(s->user, STR("u@example.test"));
	assert_str(s->sender, STR("s@example.org"));
	assert_true(str_ends(s->session, STR(":R1")));
	assert_str(line,
		str_printf(&k->arena, "250 2.0.0 <U@example.test> %.*s Saved", STRF(s->session)));
	struct str head = s->head, date = STR("; ");
	assert_true(str_skip(&head, STR("Return-Path: <s@example.org>\r\n")));
	assert_true(str_skip(&head, STR("Delivered-To: U@example.test\r\n")));
	assert_true(str_skip(&head, str_printf(&k->arena,
					    "Received: from client.example.org\r\n"
					    "\tby mail.example.test with LMTP\r\n\tid %.*s\r\n"
					    "\t(envelope-from <s@example.org>)\r\n"
					    "\tfor <U@example.test>",
					    STRF(s->session))));
	assert_true(str_skip(&head, date));
	assert_true(str_ends(head, STR(" +0000\r\n")));
	expect_in_step(k);
}
KIT_TEST(a_mail_is_saved_with_its_trace, "")

static void script_the_trace_can_be_switched_off(struct kit *k)
{
	say_hello(k);
	say(k, "MAIL FROM:<>\r\nRCPT TO:<u@example.test>\r\nDATA\r\n\r\n.\r\n");
	expect(k, "250 2.1.0 ");
	expect(k, "250 2.1.5 ");
	expect(k, "354 ");
	expect(k, "250 2.0.0 ");
	assert_str(k->saved[0].head, STR("Return-Path: <>\r\n"));
	assert_str(k->saved[0].mail, STR("\r\n"));
}
KIT_TEST(the_trace_can_be_switched_off,
	"lmtp_add_received_header = no\nlmtp_hdr_delivery_address = none\n")

/* RFC 2920: the next transactions follow without a wait. */
static void script_pipelined_transactions(struct kit *k)
{
	say_hello(k);
	say(k, "MAIL FROM:<a@example.org>\r\nRCPT TO:<u1@example.test>\r\n"
	       "RCPT TO:<nobody@example.test>\r\nDATA\r\n"
	       "first\r\n.\r\n"
	       "MAIL FROM:<b@example.org>\r\nRCPT TO:<u2@example.test>\r\nDATA\r\n"
	       "second\r\n.\r\nRSET\r\nQUIT\r\n");
	const char *const replies[] = { "250 2.1.0", "250 2.1.5", "550 5.1.1", "354",
		"250 2.0.0 <u1@", "250 2.1.0", "250 2.1.5", "354", "250 2.0.0 <u2@", "250 2.0.0",
		"221 2.0.0" };
	for (size_t i = 0; i < ARRAY_COUNT(replies); i++)
		expect(k, replies[i]);
	expect_end(k);
	assert_str(k->saved[0].mail, STR("first\r\n"));
	assert_str(k->saved[1].mail, STR("second\r\n"));
	assert_true(str_ends(k->saved[1].session, STR(":R2")));
}
KIT_TEST(pipelined_transactions, "")

static void script_bytes_one_by_one(struct kit *k)
{
	const char *all = "LHLO c.example.org\r\nMAIL FROM:<s@example.org>\r\n"
			  "RCPT TO:<u@example.test>\r\nDATA\r\n.\r\r\n\n.\n..\r\n.\r\n"
			  "QUIT\r\n";
	for (const char *p = all; *p; p++) {
		say(k, (char[]){ *p, '\0' });
		task_yield();
		if (p - all > 70)
			assert_ok(task_sleep(&k->op, 1)); /* parked in between */
	}
	expect(k, "220 ");
	for (int i = 0; i < 7; i++)
		expect(k, "250-");
	for (const char *const *r = (const char *const[]){ "250 VRFY", "250 2.1.0", "250 2.1.5",
		     "354", "250 2.0.0", "221", NULL };
		*r; r++)
		expect(k, *r);
	assert_str(k->saved[0].mail, STR("\r\r\n\n.\n..\r\n"));
}
KIT_TEST(bytes_one_by_one, "")

/* Only CRLF.CRLF ends a mail. */
static void script_smuggling_stays_in_the_mail(struct kit *k)
{
	const char *const ends[] = { "\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n",
		"\n\n.\r\r\n" };
	say_hello(k);
	for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
		AUTO_BUF(text, 0);
		buf_putf(&text,
			"text%sMAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.test>\r\n"
			"DATA\r\nSmuggled\r\n.\r\n",
			ends[i]);
		say_envelope(k, ONE("u@example.test"));
		assert_ok(stream_write(&k->op, k->client, buf_str(&text)));
		expect(k, "250 2.0.0 <u@example.test> ");
		expect_in_step(k);
		assert_int_equal(k->saved_count, i + 1);
		assert_true(str_find(k->saved[i].mail, STR("Smuggled\r\n")) > 0);
		assert_str(k->saved[i].user, STR("u@example.test"));
	}
}
KIT_TEST(smuggling_stays_in_the_mail, "")

static void script_every_recipient_has_his_own_outcome(struct kit *k)
{
	say_hello(k);
	say_envelope(k, (const char *const[]){ "slow@example.test", "full@example.test",
				"disk@example.test", "u@example.test", "gone@example.test",
				"down@example.test", "slow@example.test", "late@example.test",
				"slow2@example.test", NULL });
	say(k, "x\r\n.\r\n");
	expect(k, "250 2.0.0 <slow@example.test> ");
	assert_str(expect(k, "552 "), STR("552 5.2.2 <full@example.test> Quota exceeded "
					  "(mailbox for user is full)"));
	assert_str(
		expect(k, "451 "), STR("451 4.3.0 <disk@example.test> Temporary internal error"));
	expect(k, "250 2.0.0 <u@example.test> ");
	expect(k, "550 5.1.1 <gone@example.test> ");
	assert_str(
		expect(k, "451 "), STR("451 4.3.0 <down@example.test> Temporary internal error"));
	expect(k, "250 2.0.0 <slow@example.test> ");
	expect(k, "250 2.0.0 <late@example.test> "); /* with a second ticket */
	expect(k, "250 2.0.0 <slow2@example.test> ");
	expect_in_step(k);
	assert_int_equal(k->saved_count, 5);
	assert_true(k->running_most >= 2);
	assert_false(k->has_overlap);
	assert_true(str_find(k->saved[0].head, STR("Delivered-To")) < 0);
}
KIT_TEST(every_recipient_has_his_own_outcome, "")

static void script_quota_may_be_temporary(struct kit *k)
{
	say_hello(k);
	say_envelope(k, ONE("full@example.test"));
	say(k, "x\r\n.\r\n");
	expect(k, "452 4.2.2 <full@example.test> Quota exceeded");
}
KIT_TEST(quota_may_be_temporary, "quota_full_tempfail = yes\n")

/* The first reply does not wait for the second. */
static void script_replies_leave_when_known(struct kit *k)
{
	say_hello(k);
	say_envelope(k, (const char *const[]){ "u@example.test", "slow@example.test", NULL });
	say(k, "x\r\n.\r\n");
	expect(k, "250 2.0.0 <u@example.test> ");
	assert_int_equal(k->saved_count, 1);
	expect(k, "250 2.0.0 <slow@example.test> ");
}
KIT_TEST(replies_leave_when_known, "")

static void script_old_tickets_are_replaced(struct kit *k)
{
	say_hello(k);
	say_envelope(k, ONE("u@example.test"));
	assert_int_equal(k->lookups, 1);
	k->lmtp->ticket_fresh_us = 0;
	say(k, "x\r\n.\r\n");
	expect(k, "250 2.0.0 ");
	assert_int_equal(k->lookups, 2);
	assert_str(k->saved[0].ticket, STR("2:u@example.test"));
}
KIT_TEST(old_tickets_are_replaced, "")

static void script_deliveries_to_one_user_are_limited(struct kit *k)
{
	struct stream *all[4];
	for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
		all[i] = kit_connect(k, NULL);
		assert_ok(stream_write(&k->op, all[i],
			STR("LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<slow@example.test>\r\nDATA\r\n"
			    "x\r\n.\r\nQUIT\r\n")));
		assert_ok(stream_flush(&k->op, all[i]));
	}
	for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
		while (stream_read_more(&k->op, all[i]) == ERR_NONE)
			continue;
		assert_true(str_find(stream_input(all[i]), STR(" Saved\r\n221")) > 0);
		stream_abandon(all[i]);
	}
	assert_int_equal(k->saved_count, ARRAY_COUNT(all));
	assert_int_equal(k->running_most, 1);
}
KIT_TEST(deliveries_to_one_user_are_limited, "lmtp_user_concurrency_limit = 1\n")

/* ---- sizes ---- */

/* CRLF lines with dots at their beginning, as sent and as meant. */
static void make_mail(struct buf *sent, struct buf *meant, size_t bytes)
{
	for (size_t i = 0; meant->n < bytes; i++) {
		bool has_dot = i % 7 == 0;
		buf_putf(sent, "%s%zu%0*d\r\n", has_dot ? ".." : "", i, (int)(i % 900), 0);
		buf_putf(meant, "%s%zu%0*d\r\n", has_dot ? "." : "", i, (int)(i % 900), 0);
	}
	buf_put(sent, STR(".\r\n"));
}

static void send_mail(struct kit *k, size_t bytes, const char *reply)
{
	AUTO_BUF(sent, 0);
	AUTO_BUF(meant, 0);
	make_mail(&sent, &meant, bytes);
	say_envelope(k, ONE("u@example.test"));
	assert_ok(stream_write(&k->op, k->client, buf_str(&sent)));
	expect(k, reply);
	if (reply[0] == '2')
		assert_true(str_eq(k->saved[k->saved_count - 1].mail, buf_str(&meant)));
}

static void script_sizes_of_all_kinds_arrive_whole(struct kit *k)
{
	say_hello(k);
	send_mail(k, 100000, "250 ");
	send_mail(k, 300000, "250 ");
	send_mail(k, 3 << 20, "250 ");
	/* The same through a directory on disk. */
	k->lmtp->spool_dir = open(k->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(k->lmtp->spool_dir >= 0);
	send_mail(k, 300000, "250 ");
	send_mail(k, 3 << 20, "250 ");
	close(k->lmtp->spool_dir);
}
KIT_TEST(sizes_of_all_kinds_arrive_whole, "")

static void script_too_big_mails_are_read_to_their_end(struct kit *k)
{
	say_hello(k);
	send_mail(k, 250000, "552 5.3.4 <u@example.test> ");
	expect_in_step(k);
	assert_int_equal(k->lmtp->spooled_bytes, 0);
	send_mail(k, 150000, "250 ");
	assert_int_equal(k->saved_count, 1);
	/* Far too big: the line is cut (sheet protocols §7.1). */
	AUTO_BUF(sent, 0);
	AUTO_BUF(meant, 0);
	make_mail(&sent, &meant, 4 << 20);
	say_envelope(k, ONE("u@example.test"));
	enum err e = stream_write(&k->op, k->client, buf_str(&sent));
	if (e == ERR_NONE)
		e = stream_flush(&k->op, k->client);
	while (e == ERR_NONE)
		e = stream_read_more(&k->op, k->client);
	assert_int_equal(k->saved_count, 1);
}
KIT_TEST(too_big_mails_are_read_to_their_end, "lmtp_max_mail_size = 200000\n")

/* ---- ends ---- */

static void wait_until_gone(struct kit *k)
{
	while (k->lmtp->count > 0)
		assert_ok(task_sleep(&k->op, US_PER_MS));
}

static void script_half_a_mail_is_no_mail(struct kit *k)
{
	say_hello(k);
	say_envelope(k, ONE("u@example.test"));
	say(k, "Subject: x\r\n\r\nnever ends\r\n.");
	while (k->lmtp->spooled_bytes == 0)
		assert_ok(task_sleep(&k->op, US_PER_MS));
	stream_abandon(k->client);
	k->client = NULL;
	wait_until_gone(k);
	assert_int_equal(k->saved_count, 0);
	assert_int_equal(k->lmtp->spooled_bytes, 0);
}
KIT_TEST(half_a_mail_is_no_mail, "")

/* Who leaves after the dot has handed the mail over. */
static void script_a_client_that_leaves_after_the_dot(struct kit *k)
{
	say_hello(k);
	say_envelope(k, (const char *const[]){
				"slow@example.test", "u@example.test", "slow@example.test", NULL });
	say(k, small_mail);
	say(k, ".\r\n");
	stream_abandon(k->client);
	k->client = NULL;
	wait_until_gone(k);
	assert_int_equal(k->saved_count, 3);
}
KIT_TEST(a_client_that_leaves_after_the_dot, "")

static void close_service(void *arg)
{
	struct kit *k = arg;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, now_us() + 5 * US_PER_SEC);
	lmtp_close(&op, k->lmtp);
	k->lmtp = NULL;
}

static void script_closing_finishes_what_is_under_way(struct kit *k)
{
	say_hello(k);
	struct stream *busy = k->client;
	say_envelope(k, ONE("slow@example.test"));
	k->client = kit_connect(k, NULL);
	say_hello(k);
	say(k, "MAIL FROM:<s@example.org>\r\n");
	expect(k, "250 2.1.0 ");
	task_start("close", close_service, k);
	expect(k, "421 4.3.2 ");
	expect_end(k);
	stream_abandon(k->client);
	k->client = busy;
	say(k, "in the middle\r\n.\r\n");
	expect(k, "250 2.0.0 <slow@example.test> ");
	expect(k, "421 4.3.2 ");
	expect_end(k);
	assert_int_equal(k->saved_count, 1);
	while (k->lmtp)
		assert_ok(task_sleep(&k->op, US_PER_MS));
}
KIT_TEST(closing_finishes_what_is_under_way, "")

static void script_a_worker_that_left_is_a_temporary_failure(struct kit *k)
{
	say_hello(k);
	say_envelope(k, ONE("u@example.test"));
	kit_kill(k, STR("u@example.test"));
	say(k, "x\r\n.\r\n");
	expect(k, "451 4.3.0 <u@example.test> Temporary internal error");
	kit_revive(k, STR("u@example.test"));
	say_envelope(k, ONE("u@example.test"));
	say(k, "x\r\n.\r\n");
	expect(k, "250 2.0.0 ");
}
KIT_TEST(a_worker_that_left_is_a_temporary_failure, "")

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mail_is_saved_with_its_trace),
		cmocka_unit_test(the_trace_can_be_switched_off),
		cmocka_unit_test(pipelined_transactions),
		cmocka_unit_test(bytes_one_by_one),
		cmocka_unit_test(smuggling_stays_in_the_mail),
		cmocka_unit_test(every_recipient_has_his_own_outcome),
		cmocka_unit_test(quota_may_be_temporary),
		cmocka_unit_test(replies_leave_when_known),
		cmocka_unit_test(old_tickets_are_replaced),
		cmocka_unit_test(deliveries_to_one_user_are_limited),
		cmocka_unit_test(sizes_of_all_kinds_arrive_whole),
		cmocka_unit_test(too_big_mails_are_read_to_their_end),
		cmocka_unit_test(half_a_mail_is_no_mail),
		cmocka_unit_test(a_client_that_leaves_after_the_dot),
		cmocka_unit_test(closing_finishes_what_is_under_way),
		cmocka_unit_test(a_worker_that_left_is_a_temporary_failure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
