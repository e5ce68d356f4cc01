/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/doveadm.h"
#include "wire/test_private.h"

struct fixture {
	struct arena arena;
	struct op op;
};

static void begin(struct fixture *f)
{
	arena_init(&f->arena, 0);
	op_init(&f->op, &f->arena, NULL, TIME_NEVER);
}

static void test_lines(void **state)
{
	struct fixture f;
	struct doveadm_line l;
	(void)state;
	begin(&f);
	assert_int_equal(
		doveadm_parse_line(&f.op, STR("VERSION\tdoveadm-server\t1\t4"), &l), ERR_NONE);
	assert_int_equal(l.kind, DOVEADM_VERSION);
	assert_text(l.peer, "doveadm-server");
	assert_int_equal(l.major * 10 + l.minor, 14);
	assert_int_equal(doveadm_parse_line(&f.op, STR("STARTTLS"), &l), ERR_NONE);
	assert_int_equal(l.kind, DOVEADM_STARTTLS);
	assert_int_equal(doveadm_parse_line(&f.op, STR("OPTION\tfailure-text"), &l), ERR_NONE);
	assert_text(l.option, "failure-text");
	assert_int_equal(doveadm_parse_line(&f.op, STR("\tu@d\tmailbox verify\tINBOX\001t2\t"), &l),
		ERR_NONE);
	assert_int_equal(l.kind, DOVEADM_COMMAND);
	assert_text(l.user, "u@d");
	assert_text(l.command, "mailbox verify");
	assert_int_equal(l.arg_count, 2);
	assert_text(l.args[0], "INBOX\t2");
	assert_text(l.args[1], "");
	assert_int_equal(doveadm_parse_line(&f.op, STR("Dx\ta=b\tu\tc"), &l), ERR_NONE);
	assert_text(l.command, "c");
	arena_done(&f.arena);
}

static void test_plain(void **state)
{
	struct fixture f;
	struct doveadm_line l;
	AUTO_BUF(out, 0);
	(void)state;
	begin(&f);
	doveadm_put_plain(&out, STR("doveadm"), STR("s\tcret"));
	assert_int_equal(
		doveadm_parse_line(&f.op, str_slice(buf_str(&out), 0, out.n - 1), &l), ERR_NONE);
	assert_int_equal(l.kind, DOVEADM_PLAIN);
	assert_text(l.name, "doveadm");
	assert_text(l.password, "s\tcret");
	arena_done(&f.arena);
}

static void test_nonsense(void **state)
{
	static const char *const lines[] = { "", "VERSION", "VERSION\tx\t1", "VERSION\tx\ta\tb",
		"PLAIN", "PLAIN\t!", "PLAIN\tYWJj", "OPTION", "D", "D\tu", "GET / HTTP/1.1",
		"x\tonly",
		"\tu\001"
		"0\tc",
		"\tu\tc\ta\001"
		"0" };
	struct fixture f;
	struct doveadm_line l;
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
		begin(&f);
		if (doveadm_parse_line(&f.op, str_from(lines[i]), &l) != ERR_INVALID)
			fail_msg("line %zu was taken", i);
		arena_done(&f.arena);
	}
	AUTO_BUF(many, 0);
	buf_put(&many, STR("\tu\tc"));
	for (int i = 0; i <= DOVEADM_ARGS_MAX; i++)
		buf_put(&many, STR("\ta"));
	begin(&f);
	assert_int_equal(doveadm_parse_line(&f.op, buf_str(&many), &l), ERR_LIMIT);
	arena_done(&f.arena);
}

static void test_escapes(void **state)
{
	struct fixture f;
	struct str rest, field;
	AUTO_BUF(out, 0);
	(void)state;
	begin(&f);
	struct str text = { "\0\001\t\r\n\\x", 7 };
	doveadm_put_field(&out, text);
	assert_true(
		str_find_byte(buf_str(&out), '\t') < 0 && str_find_byte(buf_str(&out), '\n') < 0);
	rest = buf_str(&out);
	assert_true(doveadm_cut_field(&f.arena, &rest, &field));
	assert_true(str_eq(field, text));
	assert_false(doveadm_cut_field(&f.arena, &rest, &field));
	rest = STR("a\001\001zb\001");
	assert_true(doveadm_cut_field(&f.arena, &rest, &field));
	assert_text(field, "a\001\001zb\001");
	arena_done(&f.arena);
}

static void test_status(void **state)
{
	struct fixture f;
	struct str text;
	enum err e;
	(void)state;
	for (int i = ERR_NONE; i < ERR_COUNT; i++) {
		AUTO_BUF(out, 0);
		begin(&f);
		doveadm_put_status(&out, (enum err)i, STR("no\nroom"), true);
		assert_true(doveadm_parse_status(
			&f.arena, str_slice(buf_str(&out), 1, out.n - 1), &e, &text));
		assert_int_equal(e, i);
		assert_text(text, i == ERR_NONE ? "" : "no\nroom");
		arena_done(&f.arena);
	}
	begin(&f);
	assert_true(doveadm_parse_status(&f.arena, STR("-NOUSER"), &e, &text));
	assert_int_equal(e, ERR_NOT_FOUND);
	assert_true(doveadm_parse_status(&f.arena, STR("-"), &e, &text));
	assert_int_equal(e, ERR_UNAVAILABLE);
	assert_false(doveadm_parse_status(&f.arena, STR("OK"), &e, &text));
	arena_done(&f.arena);
}

static void test_stream(void **state)
{
	uint64_t n;
	(void)state;
	assert_true(doveadm_parse_stream(STR("stream\t123"), &n));
	assert_int_equal(n, 123);
	assert_false(doveadm_parse_stream(STR("stream\t-1"), &n));
	assert_false(doveadm_parse_stream(STR("stream\t99999999999999999999999"), &n));
	assert_false(doveadm_parse_stream(STR("user\tdone"), &n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_stream),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
