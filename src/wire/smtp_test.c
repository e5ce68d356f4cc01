/* SPDX-License-Identifier: Apache-2.0 */
/* SMTP and LMTP: lines, commands, the DATA stream, replies. */
#include "wire/smtp.h"

#include "wire/test_private.h"

/* What a command line means, as text. */
static void describe(struct arena *arena, struct str line, unsigned workarounds, struct buf *out)
{
	struct smtp_command cmd;
	struct smtp_reply why = { .code = 0 };
	if (smtp_parse_command(arena, line, workarounds, &cmd, &why) != ERR_NONE) {
		buf_putf(out, "!%u %s %s", why.code, why.enhanced, why.text);
		return;
	}
	buf_putf(out, "%d", cmd.verb);
	if (cmd.verb == SMTP_MAIL || cmd.verb == SMTP_RCPT) {
		buf_put(out, cmd.path.is_null ? STR(" null") : STR(" "));
		smtp_put_path(out, &cmd.path);
	}
	if (cmd.domain.n > 0)
		buf_putf(out, " @%.*s", STRF(cmd.domain));
	if (cmd.has_size || cmd.verb == SMTP_BDAT)
		buf_putf(out, " size=%" PRIu64 "%s", cmd.size, cmd.is_last ? " last" : "");
	if (cmd.body)
		buf_putf(out, " body=%d", cmd.body);
	if (cmd.is_utf8)
		buf_put(out, STR(" utf8"));
	if (cmd.ret)
		buf_put(out, cmd.ret == SMTP_RET_FULL ? STR(" full") : STR(" hdrs"));
	if (cmd.envid.n > 0)
		buf_putf(out, " envid=%.*s", STRF(cmd.envid));
	if (cmd.notify)
		buf_putf(out, " notify=%u", cmd.notify);
	if (cmd.orcpt_type.n > 0)
		buf_putf(out, " orcpt=%.*s;%.*s", STRF(cmd.orcpt_type), STRF(cmd.orcpt));
	for (size_t i = 0; i < cmd.param_count; i++)
		buf_putf(out, " %.*s:%.*s", STRF(cmd.params[i].keyword), STRF(cmd.params[i].value));
}

struct row {
	struct str line;
	const char *want;
	unsigned workarounds;
};

static void check(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		AUTO_ARENA(arena, 1 << 20);
		AUTO_BUF(out, 0);
		describe(&arena, rows[i].line, rows[i].workarounds, &out);
		assert_text(buf_str(&out), rows[i].want);
	}
}

static void commands_are_parsed(void **state)
{
	(void)state;
	ASSERT(SMTP_HELO == 0 && SMTP_LHLO == 2 && SMTP_MAIL == 3 && SMTP_RCPT == 4 &&
		SMTP_DATA == 5 && SMTP_BDAT == 6 && SMTP_XCLIENT == 15);
	static const struct row rows[] = {
		/* RFC 5321 §4.1.1.1, RFC 2033 §4.1 */
		{ STR("LHLO foo.example"), "2 @foo.example" },
		{ STR("ehlo [127.0.0.1] "), "1 @[127.0.0.1]" },
		{ STR("EHLO [IPv6:::1]"), "1 @[IPv6:::1]" },
		{ STR("HELO my_host"), "0 @my_host" },
		{ STR("LHLO"), "!501 5.5.4 Invalid hostname" },
		{ STR("LHLO a b"), "!501 5.5.4 Invalid hostname" },
		{ STR("LHLO a..b"), "!501 5.5.4 Invalid hostname" },
		{ STR("LHLO \xc3\xb6.example"), "!501 5.5.4 Invalid hostname" },
		{ STR("LHLO [1"), "!501 5.5.4 Invalid hostname" },
		/* §4.1.1.2, §4.1.2 */
		{ STR("MAIL FROM:<>"), "3 null" },
		{ STR("mail from:<a@b.example>"), "3 a@b.example" },
		{ STR("MAIL FROM:<@x,@[1.2.3.4]:a@b>"), "3 a@b" },
		{ STR("MAIL FROM:<\"a b\\\"\\c\"@d>"), "3 \"a b\\\"c\"@d" },
		{ STR("MAIL FROM:<\"plain\"@d>"), "3 plain@d" },
		{ STR("MAIL FROM:<a..b.@docomo.example>"), "3 a..b.@docomo.example" },
		{ STR("MAIL FROM:<a@b> SIZE=100 body=8bitmime RET=HDRS ENVID=x+2B"),
			"3 a@b size=100 body=2 hdrs envid=x+" },
		{ STR("MAIL FROM:<a@b> BODY=BINARYMIME SMTPUTF8"), "3 a@b body=3 utf8" },
		{ STR("MAIL FROM:<\xc3\xa4@\xc3\xb6.example>"), "3 \xc3\xa4@\xc3\xb6.example" },
		{ STR("MAIL FROM:<a@b> SIZE=18446744073709551616"),
			"!501 5.5.4 Invalid SIZE parameter" },
		{ STR("MAIL FROM:<a@b> SIZE"), "!501 5.5.4 Invalid SIZE parameter" },
		{ STR("MAIL FROM:<a@b> BODY=x"), "!501 5.5.4 Invalid BODY parameter" },
		{ STR("MAIL FROM:<a@b> A=1 a=2"), "!501 5.5.4 Invalid parameters" },
		{ STR("MAIL FROM:<a@b> A=b=c"), "!501 5.5.4 Invalid parameters" },
		{ STR("MAIL FROM:<a@b> A="), "!501 5.5.4 Invalid parameters" },
		{ STR("MAIL FROM:<a@b>SIZE=1"), "!501 5.5.4 Invalid parameters" },
		{ STR("MAIL FROM:<a@b"), "!501 5.5.4 Invalid FROM" },
		{ STR("MAIL FROM:<a@>"), "!501 5.5.4 Invalid FROM" },
		{ STR("MAIL FROM:<@b>"), "!501 5.5.4 Invalid FROM" },
		{ STR("MAIL FROM:<a b@c>"), "!501 5.5.4 Invalid FROM" },
		{ STR("MAIL FROM:<a@b@c>"), "!501 5.5.4 Invalid FROM" },
		{ STR("MAIL FROM:<a\0@b>"), "!501 5.5.4 Invalid FROM" },
		{ STR("MAIL FROM:<\"a@b>"), "!501 5.5.4 Invalid FROM" },
		{ STR("MAIL FROM:<\"a\\"), "!501 5.5.4 Invalid FROM" },
		{ STR("MAIL FROM:<\xff@b>"), "!501 5.5.4 Invalid FROM" },
		{ STR("MAIL FROM:<\"\xff\"@b>"), "!501 5.5.4 Invalid FROM" },
		{ STR("MAIL"), "!501 5.5.4 Invalid FROM" },
		/* §4.1.1.3 */
		{ STR("RCPT TO:<postmaster>"), "4 postmaster" },
		{ STR("RCPT TO:<u1@example.test> ORCPT=rfc822;u1+40example.test NOTIFY=NEVER"),
			"4 u1@example.test notify=1 orcpt=rfc822;u1@example.test" },
		{ STR("RCPT TO:<>"), "!501 5.5.4 Invalid TO" },
		{ STR("RCPT TO:<\"\"@b>"), "!501 5.5.4 Invalid TO" },
		/* forms that are wrong, and their switches */
		{ STR("RCPT TO: <a@b>"), "!501 5.5.4 Invalid TO" },
		{ STR("RCPT TO: <a@b>"), "4 a@b", SMTP_ALLOW_SPACE_BEFORE_PATH },
		{ STR("RCPT TO:a@b"), "!501 5.5.4 Invalid TO" },
		{ STR("RCPT TO:a@b X=1"), "4 a@b X:1", SMTP_ALLOW_BARE_PATH },
		/* RFC 3030 §2 */
		{ STR("BDAT 86"), "6 size=86" },
		{ STR("BDAT 0 last"), "6 size=0 last" },
		{ STR("BDAT"), "!501 5.5.4 Invalid chunk size" },
		{ STR("BDAT 5LAST"), "!501 5.5.4 Invalid chunk size" },
		{ STR("BDAT -1"), "!501 5.5.4 Invalid chunk size" },
		{ STR("BDAT 5 LAST x"), "!501 5.5.4 Invalid chunk size" },
		/* the rest */
		{ STR("DATA"), "5" },
		{ STR("DATA x"), "!501 5.5.4 Parameters are not allowed here" },
		{ STR("XCLIENT ADDR=1.2.3.4 PORT=25 HELO=[UNAVAILABLE]"),
			"15 ADDR:1.2.3.4 PORT:25 HELO:[UNAVAILABLE]" },
		{ STR("XCLIENT"), "!501 5.5.4 Missing parameters" },
		{ STR("FOO bar"), "!500 5.5.1 Unknown command" },
		{ STR("DATA\tx"), "!500 5.5.2 Invalid command syntax" },
		{ STR(""), "!500 5.5.2 Invalid command syntax" },
		{ STR("\xff"), "!500 5.5.2 Invalid command syntax" },
	};
	check(rows, ARRAY_COUNT(rows));
}

static void parameters_have_limits(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 1 << 20);
	AUTO_BUF(line, 0);
	AUTO_BUF(out, 0);
	buf_put(&line, STR("RCPT TO:<a@b>"));
	for (int i = 0; i <= SMTP_PARAMS_MAX; i++)
		buf_putf(&line, " X%d=1", i);
	describe(&arena, buf_str(&line), 0, &out);
	assert_text(buf_str(&out), "!501 5.5.4 Too many parameters");
	buf_clear(&line);
	buf_clear(&out);
	buf_put(&line, STR("RCPT TO:<"));
	for (int i = 0; i <= SMTP_LOCAL_MAX; i++)
		buf_put_byte(&line, 'a');
	buf_put(&line, STR("@b>"));
	describe(&arena, buf_str(&line), 0, &out);
	assert_text(buf_str(&out), "!501 5.5.4 Invalid TO");
	struct str x;
	assert_true(smtp_xtext_decode(&arena, STR("u1+40example"), &x));
	assert_text(x, "u1@example");
	assert_false(smtp_xtext_decode(&arena, STR("u1+4"), &x)); /* RFC 3461 §4 */
}

/* Feeds `in` in pieces of `step`; output is the mail, then "|" and what is left when it ended. */
static void filter(struct str in, size_t step, struct buf *out)
{
	struct smtp_data data = { .state = 0 };
	struct str rest = in;
	while (rest.n > 0 && !data.is_done) {
		size_t used;
		struct smtp_data dry = data;
		struct str piece = str_slice(rest, 0, step);
		size_t n = smtp_data_feed(&data, piece, buf_reserve(out, piece.n + 1), &used);
		assert_true(n <= piece.n + 1);
		buf_grew(out, n);
		assert_int_equal(smtp_data_feed(&dry, piece, NULL, &used), n);
		assert_int_equal(dry.is_done, data.is_done);
		(void)str_take(&rest, used);
	}
	if (data.is_done) {
		buf_put_byte(out, '|');
		buf_put(out, rest);
	}
}

static void only_crlf_dot_crlf_ends_a_mail(void **state)
{
	(void)state;
	static const struct {
		struct str in;
		const char *out;
	} rows[] = {
		/* RFC 5321 §4.5.2 */
		{ STR("a\r\n.\r\nQUIT\r\n"), "a\r\n|QUIT\r\n" },
		{ STR(".\r\nx"), "|x" },
		{ STR("..\r\n.\r\n"), ".\r\n|" },
		{ STR("..a\r\n...b\r\n.\r\n"), ".a\r\n..b\r\n|" },
		{ STR(".a\r\n.\r\n"), "a\r\n|" },
		{ STR("a.\r\n.\r\n"), "a.\r\n|" },
		{ STR("a"), "a" },
		/* smuggling: none of these is an end */
		{ STR("a\n.\nMAIL\r\n.\r\n"), "a\n.\nMAIL\r\n|" },
		{ STR("a\n.\r\nMAIL\r\n.\r\n"), "a\n.\r\nMAIL\r\n|" },
		{ STR("a\r.\rMAIL\r\n.\r\n"), "a\r.\rMAIL\r\n|" },
		{ STR("a\r.\r\nMAIL\r\n.\r\n"), "a\r.\r\nMAIL\r\n|" },
		{ STR("a\r\n.\rMAIL\r\n.\r\n"), "a\r\n\rMAIL\r\n|" },
		{ STR("a\r\n.\nMAIL\r\n.\r\n"), "a\r\n\nMAIL\r\n|" },
		{ STR("a\r\n.\r\r\nMAIL\r\n.\r\n"), "a\r\n\r\r\nMAIL\r\n|" },
		{ STR("a\r\r\n.\r\n"), "a\r\r\n|" },
		{ STR("\n.\r\n\r\n.\r\n"), "\n.\r\n\r\n|" },
		{ STR("a\r\n.\r\r\n.\r\nx"), "a\r\n\r\r\n|x" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		for (size_t step = 1; step <= rows[i].in.n; step++) {
			AUTO_BUF(out, 0);
			filter(rows[i].in, step, &out);
			assert_text(buf_str(&out), rows[i].out);
		}
	}
}

static void mail_survives_the_dots(void **state)
{
	(void)state;
	static const struct {
		const char *mail, *wire;
	} rows[] = {
		{ "", ".\r\n" },
		{ "a\r\n", "a\r\n.\r\n" },
		{ "a", "a\r\n.\r\n" },
		{ ".\r\n..\r\n", "..\r\n...\r\n.\r\n" },
		{ "a\n.b\r\n", "a\n.b\r\n.\r\n" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		AUTO_BUF(out, 0);
		smtp_data_put(&out, str_from(rows[i].mail));
		assert_text(buf_str(&out), rows[i].wire);
	}
}

static void lines_are_found_in_any_split(void **state)
{
	(void)state;
	AUTO_BUF(stream, 0);
	buf_put(&stream, STR("NOOP\r\nQUIT\n"));
	for (int i = 0; i < 3 * SMTP_LINE_MAX; i++)
		buf_put_byte(&stream, 'x');
	buf_put(&stream, STR("\r\n\r\nRSET\r\n"));
	static const size_t steps[] = { 1, 3, 1000, 100000 };
	for (size_t k = 0; k < ARRAY_COUNT(steps); k++) {
		AUTO_BUF(out, 0);
		struct smtp_line state_now = { .scanned = 0 };
		size_t start = 0, have = 0;
		while (have < stream.n) {
			have = MIN(have + steps[k], stream.n);
			for (bool is_waiting = false; !is_waiting;) {
				struct str line;
				size_t used;
				enum smtp_line_result r = smtp_line_feed(&state_now,
					str_slice(buf_str(&stream), start, have), &line, &used);
				if (r == SMTP_LINE_COMPLETE)
					buf_putf(&out, "[%.*s]", STRF(line));
				if (r == SMTP_LINE_TOO_LONG)
					buf_put(&out, STR("[!]"));
				start += used;
				is_waiting = r == SMTP_LINE_MORE;
			}
		}
		assert_text(buf_str(&out), "[NOOP][QUIT][!][][RSET]");
	}
}

static void replies_are_formatted(void **state)
{
	(void)state;
	AUTO_BUF(out, 0);
	smtp_put_reply(&out, false, 250, NULL, STR("host\nPIPELINING\nSIZE 100"));
	smtp_put_reply(&out, false, 550, "5.1.1", STR("<a\r\tb\xc3> User doesn't exist"));
	smtp_put_reply(&out, false, 354, NULL, STR("OK"));
	smtp_put_reply(&out, false, 250, "2.0.0", STR("a\nb"));
	smtp_put_reply(&out, true, 250, "2.1.5", STR("<\xc3\xa4@b>"));
	smtp_put_reply(&out, true, 250, "2.1.5", STR("<\xc3@b>"));
	assert_text(buf_str(&out), "250-host\r\n250-PIPELINING\r\n250 SIZE 100\r\n"
				   "550 5.1.1 <a  b?> User doesn't exist\r\n354 OK\r\n"
				   "250-2.0.0 a\r\n250 2.0.0 b\r\n"
				   "250 2.1.5 <\xc3\xa4@b>\r\n250 2.1.5 <?@b>\r\n");
}

/* RFC 3461 §4, RFC 6531 §3.4, RFC 6533 §3, RFC 4954 §5 */
static void delivery_parameters_are_parsed(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ STR("MAIL FROM:<> RET=full"), "3 null full" },
		{ STR("MAIL FROM:<> RET=BODY"), "!501 5.5.4 Invalid RET parameter" },
		{ STR("MAIL FROM:<> RET"), "!501 5.5.4 Invalid RET parameter" },
		{ STR("MAIL FROM:<> ENVID=a+00"), "!501 5.5.4 Invalid ENVID parameter" },
		{ STR("MAIL FROM:<> ENVID=a+0D+0A"), "!501 5.5.4 Invalid ENVID parameter" },
		{ STR("MAIL FROM:<> ENVID"), "!501 5.5.4 Invalid ENVID parameter" },
		{ STR("MAIL FROM:<> SMTPUTF8=yes"), "!501 5.5.4 Invalid SMTPUTF8 parameter" },
		{ STR("MAIL FROM:<> AUTH=<>"), "3 null" },
		{ STR("MAIL FROM:<> AUTH=e+3Dmc2@example.com"), "3 null" },
		{ STR("MAIL FROM:<> AUTH=a+zz"), "!501 5.5.4 Invalid AUTH parameter" },
		{ STR("RCPT TO:<a@b> NOTIFY=NEVER"), "4 a@b notify=1" },
		{ STR("RCPT TO:<a@b> notify=success,Failure,DELAY"), "4 a@b notify=14" },
		{ STR("RCPT TO:<a@b> NOTIFY=NEVER,DELAY"), "!501 5.5.4 Invalid NOTIFY parameter" },
		{ STR("RCPT TO:<a@b> NOTIFY=DELAY,DELAY"), "!501 5.5.4 Invalid NOTIFY parameter" },
		{ STR("RCPT TO:<a@b> NOTIFY=DELAY,"), "!501 5.5.4 Invalid NOTIFY parameter" },
		{ STR("RCPT TO:<a@b> NOTIFY"), "!501 5.5.4 Invalid NOTIFY parameter" },
		{ STR("RCPT TO:<a@b> ORCPT=rfc822;x+2By@c"), "4 a@b orcpt=rfc822;x+y@c" },
		{ STR("RCPT TO:<a@b> ORCPT=utf-8;\\x+7BE4+7D@c"), "4 a@b orcpt=utf-8;\xc3\xa4@c" },
		{ STR("RCPT TO:<a@b> ORCPT=UTF-8;\xc3\xa4@c"), "4 a@b orcpt=UTF-8;\xc3\xa4@c" },
		{ STR("RCPT TO:<a@b> ORCPT=utf-8;\\x+7BD800+7D"),
			"!501 5.5.4 Invalid ORCPT parameter" },
		{ STR("RCPT TO:<a@b> ORCPT=rfc822"), "!501 5.5.4 Invalid ORCPT parameter" },
		{ STR("RCPT TO:<a@b> ORCPT=;x"), "!501 5.5.4 Invalid ORCPT parameter" },
		{ STR("RCPT TO:<a@b> ORCPT=rfc822;"), "!501 5.5.4 Invalid ORCPT parameter" },
		{ STR("RCPT TO:<a@b> ORCPT=rfc822;x+0Ay"), "!501 5.5.4 Invalid ORCPT parameter" },
	};
	check(rows, ARRAY_COUNT(rows));
}

static void check_xclient(const char *line, const char *want)
{
	AUTO_ARENA(arena, 1 << 20);
	AUTO_BUF(out, 0);
	struct smtp_command cmd;
	struct smtp_xclient x;
	struct smtp_reply why;
	assert_int_equal(smtp_parse_command(&arena, str_from(line), 0, &cmd, &why), ERR_NONE);
	if (smtp_parse_xclient(&arena, &cmd, &x, &why) != ERR_NONE) {
		buf_putf(&out, "!%u %s", why.code, why.enhanced);
	} else {
		for (int i = 0; i < SMTP_XCLIENT_ATTRIBUTES; i++)
			if (x.is_given[i])
				buf_putf(&out, "%d=%.*s/%u ", i, STRF(x.text[i]), x.number[i]);
	}
	assert_text(buf_str(&out), want);
}

/* Sheet protocols §7.3 */
static void xclient_is_parsed(void **state)
{
	(void)state;
	check_xclient("XCLIENT ADDR=192.0.2.1 PORT=25", "0=192.0.2.1/0 1=/25 ");
	check_xclient("XCLIENT addr=IPV6:2001:db8::1", "0=2001:db8::1/0 ");
	check_xclient("XCLIENT ADDR=2001:db8::1", "0=2001:db8::1/0 ");
	check_xclient("XCLIENT ADDR=[UNAVAILABLE] LOGIN=[TEMPUNAVAIL]", "0=/0 6=/0 ");
	check_xclient("XCLIENT PROTO=esmtp HELO=a.example LOGIN=u+40b",
		"5=a.example/0 6=u@b/0 7=ESMTP/0 ");
	check_xclient("XCLIENT SESSION=abc TTL=4 TIMEOUT=60 CLIENT-TRANSPORT=TLS",
		"8=abc/0 9=TLS/0 10=/4 11=/60 ");
	check_xclient("XCLIENT DESTADDR=::1 DESTPORT=24 DESTNAME=x.example",
		"2=::1/0 3=/24 4=x.example/0 ");
	check_xclient("XCLIENT FORWARD=YT1i", "12=a=b/0 ");
	static const char *const bad[] = { "ADDR=host", "ADDR=1.2.3.4.5", "PORT=65536", "PORT=x",
		"PROTO=HTTP", "HELO=a..b", "SESSION=a<b", "TTL=-1", "FORWARD=YWI", "FORWARD=*",
		"FUTURE=1", "ADDR", "LOGIN=a+0D+0Ab" };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		AUTO_BUF(line, 0);
		buf_putf(&line, "XCLIENT %s", bad[i]);
		buf_put_byte(&line, '\0');
		check_xclient(line.p, "!501 5.5.4");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_are_parsed),
		cmocka_unit_test(parameters_have_limits),
		cmocka_unit_test(delivery_parameters_are_parsed),
		cmocka_unit_test(xclient_is_parsed),
		cmocka_unit_test(only_crlf_dot_crlf_ends_a_mail),
		cmocka_unit_test(mail_survives_the_dots),
		cmocka_unit_test(lines_are_found_in_any_split),
		cmocka_unit_test(replies_are_formatted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
