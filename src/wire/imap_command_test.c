/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of whole commands: tables of text and what it means, printed back. */
#include "wire/imap.h"
#include "wire/test_private.h"

/* After "text: " comes what the peer sent; the table has only the beginning. */
static void assert_refused(enum err e, enum err want, const struct imap_cursor *c, const char *text)
{
	assert_int_equal(e, want);
	assert_non_null(c->error);
	if (!str_starts(str_from(c->error), str_from(text)))
		fail_msg("error '%s', want '%s'", c->error, text);
}

struct fixture {
	struct arena arena;
	struct imap_cursor c;
};

static int setup(void **state)
{
	static struct fixture f;
	arena_init(&f.arena, 8 << 20);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	arena_done(&f->arena);
	return 0;
}

static struct imap_cursor *begin(void **state, const char *text)
{
	struct fixture *f = *state;
	imap_cursor_init(&f->c, &f->arena, str_from(text));
	return &f->c;
}

static void command_names_are_cut(void **state)
{
	struct imap_command cmd;
	struct imap_cursor *c = begin(state, "a1 uid FETCH 1 FLAGS\r\n");
	assert_int_equal(imap_cut_command(c, &cmd), ERR_NONE);
	assert_text(cmd.tag, "a1");
	assert_text(cmd.name, "FETCH");
	assert_true(cmd.is_uid);
	assert_text(c->rest, " 1 FLAGS");
	c = begin(state, "a]1 NOOP\n");
	assert_int_equal(imap_cut_command(c, &cmd), ERR_NONE);
	assert_int_equal(imap_parse_none(c), ERR_NONE);
	static const char *const bad[] = { "\r\n", "a\r\n", "a \r\n", "a+b NOOP\r\n", "+ NOOP",
		"* NOOP", "a UID\r\n", " a NOOP", "a  NOOP", "a (NOOP)" };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_int_equal(imap_cut_command(begin(state, bad[i]), &cmd), ERR_INVALID);
}

static void login_and_authenticate(void **state)
{
	struct imap_login login;
	assert_int_equal(
		imap_parse_login(begin(state, " {5}\r\nu\"{1} \"p w\"\r\n"), &login), ERR_NONE);
	assert_text(login.user, "u\"{1}");
	assert_text(login.password, "p w");
	assert_int_equal(imap_parse_login(begin(state, " u"), &login), ERR_INVALID);
	assert_int_equal(imap_parse_login(begin(state, " u p x"), &login), ERR_INVALID);

	struct imap_authenticate auth;
	assert_int_equal(imap_parse_authenticate(begin(state, " PLAIN"), &auth), ERR_NONE);
	assert_false(auth.has_initial);
	/* RFC 4959 §3 */
	assert_int_equal(imap_parse_authenticate(begin(state, " PLAIN ="), &auth), ERR_NONE);
	assert_true(auth.has_initial && auth.initial.n == 0);
	assert_int_equal(imap_parse_authenticate(begin(state, " PLAIN AHUAcA=="), &auth), ERR_NONE);
	assert_text(auth.initial, "AHUAcA==");
	assert_int_equal(imap_parse_authenticate(begin(state, " PLAIN a b"), &auth), ERR_INVALID);
}

static void mailbox_commands(void **state)
{
	struct str name;
	assert_int_equal(imap_parse_mailbox(begin(state, " inbox\r\n"), &name), ERR_NONE);
	assert_text(name, "INBOX");
	assert_refused(imap_parse_mailbox(begin(state, ""), &name), ERR_INVALID,
		&((struct fixture *)*state)->c, "Missing arguments.");

	struct imap_rename rename;
	assert_int_equal(imap_parse_rename(begin(state, " a \"b c\""), &rename), ERR_NONE);
	assert_text(rename.from, "a");
	assert_text(rename.to, "b c");

	struct imap_select select;
	assert_int_equal(imap_parse_select(begin(state, " a (condstore)"), &select), ERR_NONE);
	assert_true(select.is_condstore);
	assert_int_equal(imap_parse_select(begin(state, " a (FOO)"), &select), ERR_INVALID);
	assert_int_equal(
		imap_parse_select(begin(state, " a (QRESYNC (3 9 1:4,7 (1,2 3,4)))"), &select),
		ERR_NONE);
	assert_true(select.is_qresync && select.has_known_uids && select.has_match);
	assert_int_equal(select.uid_validity, 3);
	assert_int_equal(select.modseq, 9);
	assert_int_equal(select.known_uids.greatest, 7);
	assert_int_equal(
		imap_parse_select(begin(state, " a (CONDSTORE QRESYNC (3 9 (1 3)))"), &select),
		ERR_NONE);
	assert_true(select.is_condstore && !select.has_known_uids && select.has_match);
	assert_int_equal(
		imap_parse_select(begin(state, " a (QRESYNC (3 9 1:*))"), &select), ERR_INVALID);
	assert_int_equal(
		imap_parse_select(begin(state, " a (QRESYNC (3 9 $))"), &select), ERR_INVALID);
	assert_int_equal(
		imap_parse_select(begin(state, " a (QRESYNC (3 0))"), &select), ERR_INVALID);
	assert_int_equal(imap_parse_select(begin(state, " a (QRESYNC (3 9"), &select), ERR_INVALID);

	struct imap_create create;
	assert_int_equal(imap_parse_create(begin(state, " a"), &create), ERR_NONE);
	assert_int_equal(create.special_use, 0);
	/* RFC 6154 §3 */
	assert_int_equal(
		imap_parse_create(begin(state, " a (USE (\\sent \\Junk))"), &create), ERR_NONE);
	assert_int_equal(create.special_use, IMAP_USE_SENT | IMAP_USE_JUNK);
	AUTO_BUF(out, 0);
	imap_put_special_use(&out, create.special_use);
	assert_text(buf_str(&out), "\\Junk \\Sent");
	assert_int_equal(
		imap_parse_create(begin(state, " a (USE (\\Foo))"), &create), ERR_UNSUPPORTED);
	assert_int_equal(imap_parse_create(begin(state, " a (USE \\Sent)"), &create), ERR_INVALID);
}

static void id_has_limits(void **state)
{
	struct imap_id id;
	/* RFC 2971 §3.1 */
	assert_int_equal(imap_parse_id(begin(state, " NIL"), &id), ERR_NONE);
	assert_int_equal(id.count, 0);
	assert_int_equal(
		imap_parse_id(begin(state, " (\"name\" \"x\" \"os\" NIL)"), &id), ERR_NONE);
	assert_int_equal(id.count, 2);
	assert_text(id.pairs[0].value, "x");
	assert_null(id.pairs[1].value.p);
	assert_int_equal(imap_parse_id(begin(state, " (\"name\")"), &id), ERR_INVALID);
	assert_int_equal(
		imap_parse_id(begin(state, " (\"1234567890123456789012345678901\" NIL)"), &id),
		ERR_LIMIT);
	AUTO_BUF(many, 0);
	buf_put(&many, STR(" (\"a\" \"b\""));
	for (int i = 0; i < IMAP_ID_PAIRS_MAX; i++)
		buf_put(&many, STR(" \"a\" \"b\""));
	buf_put(&many, STR(")\0"));
	assert_int_equal(imap_parse_id(begin(state, many.p), &id), ERR_LIMIT);
}

static void enable_takes_words(void **state)
{
	struct imap_enable enable;
	assert_int_equal(imap_parse_enable(begin(state, " CONDSTORE X-FOO"), &enable), ERR_NONE);
	assert_int_equal(enable.count, 2);
	assert_int_equal(imap_parse_enable(begin(state, ""), &enable), ERR_INVALID);
}

static void status_items(void **state)
{
	struct imap_status status;
	assert_int_equal(
		imap_parse_status(begin(state, " blurdybloop (UIDNEXT messages)"), &status),
		ERR_NONE);
	assert_int_equal(status.items, IMAP_STATUS_UIDNEXT | IMAP_STATUS_MESSAGES);
	assert_int_equal(imap_parse_status(begin(state, " a ()"), &status), ERR_INVALID);
	struct imap_cursor *c = begin(state, " a (MESSAGES X)");
	assert_refused(imap_parse_status(c, &status), ERR_INVALID, c, "Invalid status item: X");
}

static void list_forms(void **state)
{
	static const struct {
		const char *in;
		size_t patterns;
		uint32_t select, returned, items;
		bool is_extended;
		const char *error; /* NULL: fine */
	} rows[] = {
		/* RFC 3501 §6.3.8 */
		{ " \"\" \"\"", 1 },
		{ " \"\" %", 1 },
		{ " ~/Mail/ {1}\r\n*", 1 },
		/* RFC 5258 §6 */
		{ " (SUBSCRIBED) \"\" \"*\"", 1, IMAP_LIST_SELECT_SUBSCRIBED, .is_extended = true },
		{ " () \"\" (INBOX Drafts Sent/%)", 3, .is_extended = true },
		{ " (SUBSCRIBED RECURSIVEMATCH) \"\" * RETURN (CHILDREN SUBSCRIBED)", 1,
			IMAP_LIST_SELECT_SUBSCRIBED | IMAP_LIST_SELECT_RECURSIVEMATCH,
			IMAP_LIST_RETURN_CHILDREN | IMAP_LIST_RETURN_SUBSCRIBED, 0, true },
		{ " \"\" * RETURN ()", 1, .is_extended = true },
		/* RFC 6154 §5.2, RFC 5819 §2 */
		{ " (special-use) \"\" * RETURN (SPECIAL-USE STATUS (MESSAGES UNSEEN))", 1,
			IMAP_LIST_SELECT_SPECIAL_USE,
			IMAP_LIST_RETURN_SPECIAL_USE | IMAP_LIST_RETURN_STATUS,
			IMAP_STATUS_MESSAGES | IMAP_STATUS_UNSEEN, true },
		/* a name that no encoding gives matches nothing */
		{ " \"\" a&b*", 0 },
		{ " (RECURSIVEMATCH) \"\" *",
			.error = "RECURSIVEMATCH must not be the only selection." },
		{ " (RECURSIVEMATCH REMOTE) \"\" *",
			.error = "RECURSIVEMATCH must not be the only selection." },
		{ " (FOO) \"\" *", .error = "Unknown select option: FOO" },
		{ " \"\" * RETURN (FOO)", .error = "Unknown return option: FOO" },
		{ " \"\" * RETURN (STATUS)", .error = "Missing space." },
		{ " \"\" * FOO", .error = "Invalid arguments." },
		{ " \"\" ()", .error = "Empty pattern list." },
		{ " \"\"", .error = "Missing arguments." },
		{ " \"\" (a", .error = "Missing ')'." },
	};
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct imap_list list;
		struct imap_cursor *c = begin(state, rows[i].in);
		enum err e = imap_parse_list(c, &list);
		if (rows[i].error) {
			assert_refused(e, ERR_INVALID, c, rows[i].error);
			continue;
		}
		assert_int_equal(e, ERR_NONE);
		assert_int_equal(list.pattern_count, rows[i].patterns);
		assert_int_equal(list.select, rows[i].select);
		assert_int_equal(list.returned, rows[i].returned);
		assert_int_equal(list.status_items, rows[i].items);
		assert_int_equal(list.is_extended, rows[i].is_extended);
	}
}

static void append_stops_at_the_mail(void **state)
{
	struct imap_append_message m;
	struct str mailbox;
	struct imap_cursor *c = begin(state,
		" {5}\r\ninbox (\\Seen \\Recent k) \"17-Jul-1996 02:44:25 -0700\" {310+}\r\n");
	assert_int_equal(imap_cut_append_mailbox(c, &mailbox), ERR_NONE);
	assert_text(mailbox, "INBOX");
	assert_int_equal(imap_parse_append_message(c, &m), ERR_NONE);
	assert_int_equal(m.flags.system, IMAP_FLAG_SEEN);
	assert_int_equal(m.flags.keyword_count, 1);
	assert_true(m.has_date);
	assert_int_equal(m.literal.size, 310);
	assert_false(m.literal.is_sync);
	/* RFC 3502: the next mail of the same command */
	c = begin(state, " ~{0}\r\n");
	assert_int_equal(imap_parse_append_message(c, &m), ERR_NONE);
	assert_true(m.literal.is_binary && m.literal.is_sync && !m.has_date);
	static const char *const bad[] = { "", " x", " (\\Foo) {3}\r\n", " \"x\" {3}\r\n",
		" {3}\r\nabc", " \"17-Jul-1996 02:44:25 -0700\" (\\Seen) {3}\r\n", " {3",
		" (a){3}" };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_int_equal(imap_parse_append_message(begin(state, bad[i]), &m), ERR_INVALID);
}

static void store_copy_expunge(void **state)
{
	struct imap_store s;
	assert_int_equal(
		imap_parse_store(begin(state, " 2:4 +FLAGS.SILENT (\\Deleted)"), &s), ERR_NONE);
	assert_true(s.is_silent && s.mode == IMAP_STORE_ADD);
	assert_int_equal(s.flags.system, IMAP_FLAG_DELETED);
	assert_int_equal(imap_parse_store(begin(state, " 1 -flags \\Seen $a b"), &s), ERR_NONE);
	assert_true(!s.is_silent && s.mode == IMAP_STORE_REMOVE && s.flags.keyword_count == 2);
	assert_int_equal(imap_parse_store(begin(state, " 1 FLAGS ()"), &s), ERR_NONE);
	assert_true(s.mode == IMAP_STORE_REPLACE && s.flags.system == 0);
	/* RFC 7162 §3.1.3 */
	assert_int_equal(
		imap_parse_store(begin(state, " 1 (UNCHANGEDSINCE 12) FLAGS (a)"), &s), ERR_NONE);
	assert_true(s.has_unchanged_since && s.unchanged_since == 12);
	static const char *const bad[] = { "", " 1", " 1 FLAGS", " 1 FLAG (a)", " 1 *FLAGS (a)",
		" 1 FLAGS (\\Recent)", " 1 FLAGS (a) b", " 1 (FOO 1) FLAGS (a)", " x FLAGS (a)" };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_int_equal(imap_parse_store(begin(state, bad[i]), &s), ERR_INVALID);

	struct imap_copy copy;
	assert_int_equal(imap_parse_copy(begin(state, " 2:4 MEETING"), &copy), ERR_NONE);
	assert_text(copy.mailbox, "MEETING");
	assert_int_equal(imap_parse_copy(begin(state, " MEETING"), &copy), ERR_INVALID);

	struct imap_sequence_set set;
	assert_int_equal(imap_parse_uid_expunge(begin(state, " 3000:3002"), &set), ERR_NONE);
	assert_int_equal(imap_parse_uid_expunge(begin(state, ""), &set), ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(command_names_are_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(login_and_authenticate, setup, teardown),
		cmocka_unit_test_setup_teardown(mailbox_commands, setup, teardown),
		cmocka_unit_test_setup_teardown(id_has_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(enable_takes_words, setup, teardown),
		cmocka_unit_test_setup_teardown(status_items, setup, teardown),
		cmocka_unit_test_setup_teardown(list_forms, setup, teardown),
		cmocka_unit_test_setup_teardown(append_stops_at_the_mail, setup, teardown),
		cmocka_unit_test_setup_teardown(store_copy_expunge, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
