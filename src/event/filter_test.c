/* SPDX-License-Identifier: Apache-2.0 */
#include "event/filter.h"

#include "base/test.h"

struct row {
	const char *filter;
	bool matches;
};

static struct event *sample(void)
{
	struct event *session = event_new(NULL, "lmtp");
	event_set_str(session, "user", STR("Jane@Example.test"));
	event_set_str(session, "remote_ip", STR("10.1.2.3"));
	event_set_str(session, "empty", STR(""));
	event_set_str(session, "stars", STR("a*b"));
	struct event *command = event_new(session, "sieve-action");
	event_set_int(command, "data_size", 5 << 20);
	event_set_int(command, "running_usecs", 2 * US_PER_SEC);
	event_set_str(command, "ip6", STR("2001:db8::7"));
	event_unref(session);
	return command;
}

static void check(const struct row *rows, size_t count)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	struct event *e = sample();
	struct event_facts facts = { .event = e,
		.name = "smtp_server_command_finished",
		.source_file = "../src/service/lmtp/mail.c",
		.source_line = 17 };
	for (size_t i = 0; i < count; i++) {
		struct event_filter *f;
		if (event_filter_compile(&op, str_from(rows[i].filter), &f) != ERR_NONE)
			fail_msg("%s: %s", rows[i].filter, op.failure.text);
		if (event_filter_matches(f, &facts) != rows[i].matches)
			fail_msg("%s: not %d", rows[i].filter, rows[i].matches);
		event_filter_free(f);
	}
	event_unref(e);
}

static void comparisons(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ "event=smtp_server_command_finished", true },
		{ "event=smtp_*_finished", true },
		{ "event=SMTP_*", false },
		{ "event=\"*\"", true },
		{ "event=\"\\*\"", false },
		{ "user=jane@example.test", true },
		{ "user=\"jane@*\"", true },
		{ "user=*example*", true },
		{ "user=j??e@example.test", true },
		{ "user=jan", false },
		{ "stars=\"a\\*b\"", true },
		{ "stars=\"a\\*c\"", false },
		{ "category=lmtp", true },
		{ "category=sieve-action", true },
		{ "category=sieve", true },
		{ "category=imap", false },
		{ "category=service:lmtp", true },
		{ "category=service:imap", false },
		{ "remote_ip=10.1.2.3", true },
		{ "remote_ip=10.0.0.0/8", true },
		{ "remote_ip=11.0.0.0/8", false },
		{ "remote_ip=10.1.*", true },
		{ "ip6=2001:db8::/32", true },
		{ "ip6=2001:DB8:0:0:0:0:0:7", true },
		{ "remote_ip=::/0", false },
		{ "data_size=5MB", true },
		{ "data_size > 4MB", true },
		{ "data_size>=5242880", true },
		{ "data_size < 5120KB", false },
		{ "data_size <= \"5 MB\"", true },
		{ "data_size = 524*", true },
		{ "running_usecs > 1500msecs", true },
		{ "running_usecs > \"2 seconds\"", false },
		{ "running_usecs < 1minute", true },
		{ "duration < 1hour", true },
		{ "duration > 1hour", false },
		{ "user > 5", false },
		{ "absent=x", false },
		{ "absent=\"\"", true },
		{ "empty=\"\"", true },
		{ "user=\"\"", false },
		{ "source_location=mail.c", true },
		{ "source_location=mail.c:17", true },
		{ "source_location=mail.c:18", false },
	};
	check(rows, ARRAY_COUNT(rows));
}

static void logic(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ "event=* AND user=jane*", true }, { "event=* and user=bob", false },
		{ "event=x OR user=jane*", true }, { "NOT event=x", true },
		{ "not event=*", false }, { "NOT event=x AND user=jane*", true },
		{ "NOT (event=x OR user=jane*)", false },
		/* equal precedence, to the left: (false AND false) OR true, (true OR true) AND false */
		{ "event=x AND event=y OR event=*", true },
		{ "event=* OR event=* AND event=x", false },
		{ "event=* OR (event=* AND event=x)", true }, { "((((event=*))))", true },
		{ "(event=x) OR (NOT (event=y))", true }, { "", false }, { "  \t ", false },
		{ "and=x OR event=*", true }, /* a field may be called so */
	};
	check(rows, ARRAY_COUNT(rows));
}

static void mistakes(void **state)
{
	(void)state;
	static const char *const wrong[] = { "event", "event=", "=x", "event=x AND", "AND event=x",
		"event=x event=y", "(event=x", "event=x)", "()", "NOT", "NOT NOT event=x",
		"event=\"x", "event<5", "category>x", "user > abc", "event!=x", "a=\"\1\"",
		"running_usecs > 1500 msecs" };
	AUTO_ARENA(arena, 0);
	struct op op;
	struct event_filter *f;
	op_init(&op, &arena, NULL, TIME_NEVER);
	for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
		if (event_filter_compile(&op, str_from(wrong[i]), &f) != ERR_INVALID)
			fail_msg("%s is taken", wrong[i]);
	AUTO_BUF(text, 0);
	for (int i = 0; i < 100; i++)
		buf_put(&text, STR("("));
	assert_err(event_filter_compile(&op, buf_str(&text), &f), ERR_INVALID);
	buf_clear(&text);
	for (int i = 0; i < 200; i++)
		buf_put(&text, STR("a=b OR "));
	buf_put(&text, STR("a=b"));
	assert_err(event_filter_compile(&op, buf_str(&text), &f), ERR_INVALID);
	while (text.n < 5000)
		buf_put(&text, STR(" "));
	assert_err(event_filter_compile(&op, buf_str(&text), &f), ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comparisons),
		cmocka_unit_test(logic),
		cmocka_unit_test(mistakes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
