/* SPDX-License-Identifier: Apache-2.0 */
/* Chains of databases: every rule after every outcome, and what fields do (core §6.4, §6.5, §6.12). */
#include "auth/test_kit_private.h"

/* ---- the machine alone ---- */

enum after { STOPS, GOES_ON };
static const struct row {
	enum auth_rule rule;
	enum auth_outcome outcome;
	bool was_success, was_verified;
	enum after after;
	bool is_success, is_verified;
} rows[] = {
	{ RULE_RETURN_OK, OUTCOME_SUCCESS, false, false, STOPS, true, false },
	{ RULE_RETURN, OUTCOME_SUCCESS, false, false, STOPS, false, false },
	{ RULE_RETURN, OUTCOME_SUCCESS, true, false, STOPS, true, false },
	{ RULE_RETURN, OUTCOME_FAILURE, true, false, STOPS, true, false },
	{ RULE_RETURN, OUTCOME_INTERNAL, false, false, STOPS, false, false },
	{ RULE_RETURN_FAIL, OUTCOME_SUCCESS, true, false, STOPS, false, false },
	{ RULE_RETURN_FAIL, OUTCOME_FAILURE, true, false, STOPS, false, false },
	{ RULE_RETURN_FAIL, OUTCOME_INTERNAL, true, false, STOPS, false, false },
	{ RULE_CONTINUE, OUTCOME_SUCCESS, false, false, GOES_ON, false, true },
	{ RULE_CONTINUE, OUTCOME_SUCCESS, true, false, GOES_ON, true, true },
	{ RULE_CONTINUE, OUTCOME_FAILURE, true, true, GOES_ON, true, true },
	{ RULE_CONTINUE, OUTCOME_FAILURE, false, false, GOES_ON, false, false },
	{ RULE_CONTINUE, OUTCOME_INTERNAL, false, false, GOES_ON, false, false },
	{ RULE_CONTINUE_OK, OUTCOME_SUCCESS, false, false, GOES_ON, true, true },
	{ RULE_CONTINUE_OK, OUTCOME_FAILURE, false, false, GOES_ON, true, false },
	{ RULE_CONTINUE_OK, OUTCOME_INTERNAL, false, false, GOES_ON, true, false },
	{ RULE_CONTINUE_FAIL, OUTCOME_SUCCESS, true, true, GOES_ON, false, false },
	{ RULE_CONTINUE_FAIL, OUTCOME_FAILURE, true, true, GOES_ON, false, false },
	{ RULE_CONTINUE_FAIL, OUTCOME_INTERNAL, true, true, GOES_ON, false, false },
};

static void every_rule_after_every_outcome(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		const struct row *r = &rows[i];
		struct auth_walk w = { .is_success = r->was_success };
		bool is_verified = r->was_verified;
		auth_walk_apply(&w, r->rule, r->outcome, &is_verified);
		assert_int_equal(w.is_over, r->after == STOPS);
		assert_int_equal(w.is_success, r->is_success);
		assert_int_equal(is_verified, r->is_verified);
		assert_int_equal(w.has_internal_failure, r->outcome == OUTCOME_INTERNAL);
	}
}

/* ---- whole requests: what a configuration of two databases answers to a password ---- */

#define USERDB                 "userdb static {\n  allow_all_users = yes\n  fields {\n    home = /h\n  }\n}\n"
#define DB(name, driver_lines) "passdb " name " {\n  driver = static\n" driver_lines "}\n"
#define BROKEN(lines)                                                                              \
	"passdb broken {\n  driver = passwd-file\n  passwd_file_path = /nonexistent/users\n" lines \
	"}\n"

static const struct whole {
	const char *text;
	enum err right, wrong;
} wholes[] = {
	{ DB("a", "passdb_static_password = x\n") DB("b", "passdb_static_password = y\n"), ERR_NONE,
		ERR_DENIED },
	/* The second is asked after the first said no. */
	{ DB("a", "passdb_static_password = y\n") DB("b", "passdb_static_password = x\n"), ERR_NONE,
		ERR_DENIED },
	{ DB("a", "passdb_static_password = y\n passdb_result_failure = return-fail\n")
			DB("b", "passdb_static_password = x\n"),
		ERR_DENIED, ERR_DENIED },
	/* continue after success: the next is not asked for the password, but must know the user. */
	{ DB("a", "passdb_static_password = x\n passdb_result_success = continue\n")
			DB("b", "passdb_static_password = y\n"),
		ERR_NONE, ERR_DENIED },
	{ DB("a", "passdb_static_password = x\n passdb_result_success = continue-ok\n")
			DB("b", "passdb_static_password = y\n passdb_result_failure = return\n"),
		ERR_NONE, ERR_DENIED },
	{ DB("a", "passdb_static_password = x\n passdb_result_success = continue-fail\n")
			DB("b", "passdb_static_password = y\n"),
		ERR_DENIED, ERR_DENIED },
	/* Nothing after the only one that said "go on". */
	{ DB("a", "passdb_static_password = x\n passdb_result_success = continue\n"), ERR_DENIED,
		ERR_DENIED },
	/* skip */
	{ DB("a", "passdb_static_password = x\n passdb_result_success = continue-ok\n")
			DB("b", "passdb_static_password = y\n passdb_skip = authenticated\n"),
		ERR_NONE, ERR_DENIED },
	{ DB("a", "passdb_static_password = x\n passdb_skip = unauthenticated\n"), ERR_UNAVAILABLE,
		ERR_UNAVAILABLE },
	/* A database that fails. */
	{ BROKEN("") DB("b", "passdb_static_password = x\n"), ERR_NONE, ERR_UNAVAILABLE },
	{ BROKEN("passdb_result_internalfail = return-fail\n")
			DB("b", "passdb_static_password = x\n"),
		ERR_UNAVAILABLE, ERR_UNAVAILABLE },
	{ DB("a", "passdb_static_password = x\n") BROKEN(""), ERR_NONE, ERR_UNAVAILABLE },
	/* Filters. */
	{ DB("a", "passdb_static_password = x\n passdb_username_filter = !u@*\n"), ERR_UNAVAILABLE,
		ERR_UNAVAILABLE },
	{ DB("a", "passdb_static_password = x\n passdb_username_filter = *@x.test\n"), ERR_NONE,
		ERR_DENIED },
	{ DB("a", "passdb_static_password = x\n passdb_mechanisms_filter = login\n")
			DB("b", "passdb_static_password = y\n"),
		ERR_DENIED, ERR_DENIED },
	/* deny, also when it comes last; a deny database that fails lets nobody in. */
	{ DB("a", "passdb_static_password = x\n") DB("b", "passdb_deny = yes\n"), ERR_DENIED,
		ERR_DENIED },
	{ DB("a", "passdb_static_password = x\n")
			DB("b", "passdb_deny = yes\n passdb_username_filter = other\n"),
		ERR_NONE, ERR_DENIED },
	{ DB("a", "passdb_static_password = x\n") BROKEN("passdb_deny = yes\n"), ERR_UNAVAILABLE,
		ERR_UNAVAILABLE },
	/* Fields. */
	{ DB("a", "fields {\n nopassword = y\n}\n"), ERR_NONE, ERR_NONE },
	{ DB("a", "passdb_static_password = x\n fields {\n nopassword = y\n}\n"), ERR_UNAVAILABLE,
		ERR_UNAVAILABLE },
	{ DB("a", "passdb_static_password = x\n fields {\n fail = y\n}\n")
			DB("b", "passdb_static_password = x\n"),
		ERR_DENIED, ERR_DENIED },
	{ DB("a", "fields {\n noauthenticate = y\n}\n") DB("b", "passdb_static_password = x\n"),
		ERR_NONE, ERR_DENIED },
	{ DB("a", "fields {\n noauthenticate = y\n}\n"), ERR_UNAVAILABLE, ERR_UNAVAILABLE },
	{ DB("a", "passdb_static_password = x\n fields {\n allow_nets = 192.0.2.0/24\n}\n"),
		ERR_DENIED, ERR_DENIED },
	{ DB("a", "passdb_static_password = x\n fields {\n allow_nets = 192.0.2.0/24,local\n}\n"),
		ERR_NONE, ERR_DENIED },
	{ DB("a", "passdb_static_password = x\n fields {\n check_client_fp = aa\n}\n"), ERR_DENIED,
		ERR_DENIED },
	{ DB("a", "passdb_static_password = x\n fields {\n user = ../x\n}\n"), ERR_UNAVAILABLE,
		ERR_UNAVAILABLE },
	{ DB("a", "passdb_static_password = {SHA256}AAAA\n"), ERR_UNAVAILABLE, ERR_UNAVAILABLE },
};

static const struct whole *current;

static void ask_whole(struct auth_test *t)
{
	struct auth_result result;
	enum err right = auth_test_verify(t, "u@x.test", "x", &result);
	enum err wrong = auth_test_verify(t, "u@x.test", "z", &result);
	if (right != current->right || wrong != current->wrong)
		fprintf(stderr, "right %s, wrong %s (%s):\n%s\n", err_name(right), err_name(wrong),
			t->op.failure.text, current->text);
	assert_int_equal(right, current->right);
	assert_int_equal(wrong, current->wrong);
}

static void chains_of_databases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(wholes); i++) {
		AUTO_BUF(text, 0);
		current = &wholes[i];
		buf_putf(&text, "%s%s%c", current->text, USERDB, '\0');
		auth_test_run(text.p, ask_whole);
	}
}

/* ---- fields ---- */

static void script_fields(struct auth_test *t)
{
	struct auth_result r;
	assert_ok(auth_test_verify(t, "U@x.test", "x", &r));
	assert_str(r.user, STR("new@x.test"));
	assert_str(auth_test_field(r.login_fields, r.login_field_count, "forward_a"), STR("u"));
	assert_str(auth_test_field(r.login_fields, r.login_field_count, "kept"), STR("second"));
	assert_null(auth_test_field(r.login_fields, r.login_field_count, "lost").p);
	assert_null(auth_test_field(r.login_fields, r.login_field_count, "gone").p);
	assert_null(auth_test_field(r.login_fields, r.login_field_count, "password").p);
	assert_str(auth_test_field(r.login_fields, r.login_field_count, "imported"), STR("1"));
	assert_str(auth_test_field(r.fields, r.field_count, "home"), STR("/home/new"));
	assert_str(auth_test_field(r.fields, r.field_count, "quota"), STR("7"));
}

static void fields_of_the_failed_are_rolled_back(void **state)
{
	(void)state;
	auth_test_run("auth_username_chars =\n"
		      "passdb a {\n driver = static\n passdb_static_password = y\n"
		      " fields {\n  lost = 1\n  user = lost\n }\n}\n"
		      "passdb b {\n driver = static\n passdb_static_password = x\n"
		      " passdb_result_success = continue-ok\n"
		      " fields {\n  kept = first\n  gone = 1\n"
		      "  forward_a = %{user | username}\n }\n}\n"
		      "passdb c {\n driver = static\n"
		      " fields {\n  kept = second\n  kept:default = third\n  gone:remove = x\n"
		      "  username = new\n  passdb_import = imported=1\n"
		      "  userdb_home = /home/new\n  userdb_userdb_import = quota=7\n }\n}\n"
		      "userdb prefetch {\n}\n",
		script_fields);
}

static void script_nologin(struct auth_test *t)
{
	struct auth_result r;
	struct auth_request request = {
		.user = STR("u"), .password = STR("x"), .service = STR("doveadm")
	};
	assert_err(auth_test_verify(t, "u", "x", &r), ERR_DENIED);
	assert_int_equal(r.refusal, AUTH_REFUSAL_LOGIN_DISABLED);
	assert_str(r.reason, STR("moving house"));
	assert_err(auth_test_verify(t, "u", "wrong", &r), ERR_DENIED);
	assert_int_equal(r.refusal, AUTH_REFUSAL_CREDENTIALS);
	assert_int_equal(r.reason.n, 0);
	assert_ok(auth_verify(&t->op, t->auth, &request, &r));
}

static void nologin_is_told_to_who_knows_the_password(void **state)
{
	(void)state;
	auth_test_run(DB("a", "passdb_static_password = x\n"
			      "fields {\n nologin = y\n reason = moving house\n}\n") USERDB,
		script_nologin);
}

/* ---- names ---- */

static void script_names(struct auth_test *t)
{
	struct auth_result r;
	assert_ok(auth_test_verify(t, "A%B", "x", &r));
	assert_str(r.user, STR("a@b"));
	assert_ok(auth_test_verify(t, "A", "x", &r));
	assert_str(r.user, STR("a@dom.test"));
	assert_err(auth_test_verify(t, "a b", "x", &r), ERR_INVALID);
	assert_err(auth_test_verify(t, "", "x", &r), ERR_INVALID);
	assert_err(auth_test_verify(t, "u", "x\ty", &r), ERR_DENIED);
}

static void names_are_translated_completed_and_normalised(void **state)
{
	(void)state;
	auth_test_run("auth_username_translation = \"%@\"\n"
		      "auth_default_domain = dom.test\n" DB("a", "passdb_static_password = x\n")
			      USERDB,
		script_names);
}

static void wildcards(void **state)
{
	(void)state;
	assert_true(auth_name_matches(STR(""), STR("a")));
	assert_true(auth_name_matches(STR("a*c"), STR("abbc")));
	assert_false(auth_name_matches(STR("a*c"), STR("abcd")));
	assert_true(auth_name_matches(STR("x, ?b"), STR("ab")));
	assert_false(auth_name_matches(STR("*, !ab"), STR("ab")));
	assert_true(auth_name_matches(STR("!ab"), STR("cd")));
	assert_true(auth_name_matches(STR("**a**"), STR("a")));
}

/* ---- master users ---- */

static void script_master(struct auth_test *t)
{
	struct auth_result r;
	assert_ok(auth_test_verify(t, "u@x.test*boss", "m", &r));
	assert_str(r.user, STR("u@x.test"));
	assert_str(r.master_user, STR("boss"));
	assert_err(auth_test_verify(t, "u@x.test*boss", "x", &r), ERR_DENIED);
	assert_int_equal(r.refusal, AUTH_REFUSAL_CREDENTIALS);
	assert_err(auth_test_verify(t, "other*boss", "m", &r), ERR_UNAVAILABLE); /* all filtered */
	assert_err(auth_test_verify(t, "u@x.test*nobody", "m", &r), ERR_UNAVAILABLE);
	assert_err(auth_test_verify(t, "boss", "m", &r), ERR_UNAVAILABLE);
	assert_ok(auth_test_verify(t, "u@x.test", "x", &r));
	assert_int_equal(r.master_user.n, 0);

	struct auth_request request = { .user = STR("boss"),
		.password = STR("m"),
		.authzid = STR("u@x.test"),
		.mechanism = STR("PLAIN"),
		.service = STR("imap") };
	assert_ok(auth_verify(&t->op, t->auth, &request, &r));
	assert_str(r.user, STR("u@x.test"));
	request.authzid = STR("boss"); /* himself: no master's business */
	assert_err(auth_verify(&t->op, t->auth, &request, &r), ERR_UNAVAILABLE);
}

static void master_users_become_users_that_exist(void **state)
{
	(void)state;
	auth_test_run("auth_master_user_separator = *\n"
		      "passdb m {\n driver = static\n passdb_master = yes\n"
		      " passdb_username_filter = boss\n passdb_static_password = m\n}\n"
		      "passdb a {\n driver = static\n passdb_username_filter = u@*\n"
		      " passdb_static_password = x\n}\n" USERDB,
		script_master);
}

static void script_no_master(struct auth_test *t)
{
	struct auth_result r;
	struct auth_request request = { .user = STR("u"),
		.password = STR("x"),
		.authzid = STR("v"),
		.mechanism = STR("PLAIN"),
		.service = STR("imap") };
	assert_err(auth_verify(&t->op, t->auth, &request, &r), ERR_DENIED);
}

static void without_master_databases_nobody_becomes_another(void **state)
{
	(void)state;
	auth_test_run(DB("a", "passdb_static_password = x\n") USERDB, script_no_master);
}

/* A proxy that is trusted speaks for its client: allow_nets means him, allow_real_nets the proxy. */
static void script_proxied(struct auth_test *t)
{
	struct auth_result result;
	struct auth_request r = { .user = STR("client@example.test"),
		.password = STR("x"),
		.authzid = STR(""),
		.mechanism = STR("PLAIN"),
		.service = STR("imap") };
	assert_true(address_parse(STR("198.51.100.1"), &r.remote));
	assert_err(auth_verify(&t->op, t->auth, &r, &result), ERR_DENIED);
	assert_true(address_parse(STR("192.0.2.7"), &r.real_remote));
	assert_ok(auth_verify(&t->op, t->auth, &r, &result));
	assert_true(address_parse(STR("192.0.3.7"), &r.real_remote));
	assert_err(auth_verify(&t->op, t->auth, &r, &result), ERR_DENIED);
	r.remote = r.real_remote;
	assert_true(address_parse(STR("192.0.2.7"), &r.real_remote));
	assert_err(auth_verify(&t->op, t->auth, &r, &result), ERR_DENIED);
}

static void nets_of_proxies_and_of_clients(void **state)
{
	(void)state;
	auth_test_run(
		DB("a", "passdb_static_password = x\n fields {\n allow_nets = 198.51.100.0/24\n "
			"allow_real_nets = 192.0.2.0/24\n}\n") USERDB,
		script_proxied);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nets_of_proxies_and_of_clients),
		cmocka_unit_test(every_rule_after_every_outcome),
		cmocka_unit_test(chains_of_databases),
		cmocka_unit_test(fields_of_the_failed_are_rolled_back),
		cmocka_unit_test(nologin_is_told_to_who_knows_the_password),
		cmocka_unit_test(names_are_translated_completed_and_normalised),
		cmocka_unit_test(wildcards),
		cmocka_unit_test(master_users_become_users_that_exist),
		cmocka_unit_test(without_master_databases_nobody_becomes_another),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
