/* SPDX-License-Identifier: Apache-2.0 */
/* What is said about a configuration: files and lines in messages, what is printed, explanations. */
#include "config/text_test.h"

/* ---- files ---- */

static void files_and_includes(void **state)
{
	(void)state;
	struct fixture f;
	char dir[] = "/tmp/pombal-config-XXXXXX", path[64];
	assert_non_null(mkdtemp(dir));
	arena_init(&f.arena, 0);
	op_init(&f.op, &f.arena, NULL, TIME_NEVER);
	(void)snprintf(path, sizeof(path), "%s/b.conf", dir);
	write_file(&f, path, "login_greeting = b\nssl_server_cert_file = cert.pem\n");
	(void)snprintf(path, sizeof(path), "%s/a.conf", dir);
	write_file(&f, path, "login_greeting = a\nmail_server_admin = <cert.pem\n");
	(void)snprintf(path, sizeof(path), "%s/cert.pem", dir);
	write_file(&f, path, "CERT\n");
	(void)snprintf(path, sizeof(path), "%s/main.conf", dir);
	write_file(&f, path,
		VERSIONS "!include [ab].conf\n!include none/*.conf\n!include_try gone.conf\n");
	struct config_load_args args = { .path = path, .reads_files = true };
	assert_int_equal(config_load(&f.op, &args, &f.problems, &f.cfg), ERR_NONE);
	const struct config_scope *s = config_scope(f.cfg, NULL);
	assert_text(config_str(s, SET_login_greeting), "b");
	assert_text(config_file(s, SET_ssl_server_cert_file), "CERT\n");
	assert_text(config_str(s, SET_mail_server_admin), "CERT");
	config_unref(f.cfg);

	write_file(&f, path,
		VERSIONS "!include main.conf\n!include gone.conf\n"
			 "ssl_server_key_file = gone.pem\n");
	assert_int_equal(config_load(&f.op, &args, &f.problems, &f.cfg), ERR_INVALID);
	assert_int_equal(f.problems.error_count, 3);
	assert_true(str_starts(f.problems.items[0].text, STR("Recursive include file")));
	assert_true(str_starts(f.problems.items[1].text, STR("No matches")));
	assert_true(
		str_starts(f.problems.items[2].text, STR("ssl_server_key_file: Can't open file")));

	args.path = "/nowhere/main.conf";
	assert_int_equal(config_load(&f.op, &args, &f.problems, &f.cfg), ERR_INVALID);
	assert_int_equal(f.problems.count, 1);
	assert_int_equal(file_remove_tree(&f.op, dir), ERR_NONE);
	arena_done(&f.arena);
}

/* ---- messages ---- */

static void all_mistakes_are_told_at_once(void **state)
{
	(void)state;
	assert_problems("mail_drver = obox\n"
			"dovecot_config_version = 9.9.9\n"
			"ssl = maybe\n"
			"imap_idle_notify_interval = 5\n"
			"service imap {\n"
			"  clientlimit = 3\n"
			"  inet_listener {\n"
			"    port = never looked at\n"
			"  }\n"
			"}\n"
			"passdb foo { driver = static }\n"
			"mail_home = %{user | lowr}\n"
			"protocol imap {\n"
			"  remote 10.0.0.0/8 {\n"
			"  }\n"
			"}\n"
			"remote 10.0.0.0/8 {\n"
			"  auth_cache_size = 5\n"
			"}\n"
			"login_trusted_networks = 10.0.0.0/99\n"
			"auth_cache_size = 5X\n"
			"plugin {\n"
			"  x = y\n"
			"}\n"
			"@fs_defaults = moon\n"
			"protocols = imaps\n"
			"service_count = 1\n"
			"ssl_client = x\n"
			"mailbox x {\n"
			"}\n"
			"login_greeting = \"\\x\"\n"
			"mail_server_admin = a#b\n"
			"}\n"
			"namespace inbox {\n",
		"(text):1:1: Error: The first setting must be dovecot_config_version (begin the "
		"file with dovecot_config_version = 3.2.0)\n"
		"(text):1:1: Error: Unknown setting: mail_drver (did you mean mail_driver?)\n"
		"(text):2:26: Error: Invalid dovecot_config_version: Currently supported versions "
		"are: 2.4.x 3.0.x 3.1.x 3.2.x 0.1.x\n"
		"(text):3:7: Error: ssl: Invalid value: maybe (use one of: no yes required)\n"
		"(text):4:29: Error: imap_idle_notify_interval: Time interval '5' is missing units "
		"(add e.g. 's' for seconds)\n"
		"(text):6:3: Error: Unknown setting: clientlimit (did you mean client_limit? tried "
		"service_imap_clientlimit, service_clientlimit, clientlimit)\n"
		"(text):7:3: Error: inet_listener: Setting is a named list filter, use "
		"'inet_listener value {'\n"
		"(text):11:14: Error: Garbage after '{' (one statement per line)\n"
		"(text):12:13: Error: mail_home: No such function 'lowr' in %{user | lowr}\n"
		"(text):14:3: Error: Filters are nested in the wrong order (nest them as local, "
		"local_name, remote, protocol)\n"
		"(text):18:3: Error: auth_cache_size can't be set inside local or remote blocks\n"
		"(text):20:26: Error: login_trusted_networks: Invalid network: 10.0.0.0/99 (write "
		"e.g. 10.0.0.0/8 or 2001:db8::/32)\n"
		"(text):21:19: Error: auth_cache_size: Invalid size: 5X\n"
		"(text):22:1: Error: Unknown section name: plugin (write the settings outside: "
		"there is no plugin block)\n"
		"(text):26:13: Error: protocols: Unknown protocol: imaps (use: imap pop3 lmtp "
		"submission sieve doveadm)\n"
		"(text):27:1: Error: Unknown setting: service_count (use restart_request_count)\n"
		"(text):28:1: Error: ssl_client: Setting is a named filter, use 'ssl_client {'\n"
		"(text):29:1: Error: mailbox must be inside a namespace block\n"
		"(text):31:18: Error: Unknown escape sequence \\x\n"
		"(text):32:22: Warning: Ambiguous '#': it begins a comment here (put a blank "
		"before "
		"it, or quote the value)\n"
		"(text):33:1: Error: Unexpected '}'\n"
		"(text):34:1: Error: Missing '}' (section started at (text):34)\n"
		"(text):25:1: Error: Unknown group: @fs_defaults = moon (use one of: local nfs s3 "
		"aws-s3 azure sproxyd)\n"
		"Error: dovecot_storage_version setting must be set (add dovecot_storage_version = "
		"3.2.0)\n");
}

static void warnings_do_not_stop(void **state)
{
	(void)state;
	assert_problems(VERSIONS "ssl = no\nssl = yes\n",
		"(text):4:1: Warning: ssl was already set in line 3: the last value counts\n");
	assert_problems(VERSIONS "dovecot_config_version = 3.1.0\n", "");
	assert_problems(VERSIONS "dovecot_config_version = 3.2.0\n",
		"(text):3:26: Error: dovecot_config_version value can't be changed once set\n");
}

static void hundred_problems_are_kept(void **state)
{
	(void)state;
	struct fixture f;
	AUTO_BUF(text, 0);
	buf_put(&text, STR(VERSIONS));
	for (int i = 0; i < 150; i++)
		buf_put(&text, STR("nonsense = 1\n"));
	buf_put_byte(&text, '\0');
	assert_int_equal(load(&f, text.p, NULL), ERR_INVALID);
	assert_int_equal(f.problems.count, CONFIG_PROBLEMS_MAX);
	assert_int_equal(f.problems.error_count, 150);
	assert_int_equal(f.problems.dropped_count, 50);
	done(&f);
}

/* ---- printing ---- */

static void shown_text_parses_to_the_same(void **state)
{
	(void)state;
	struct fixture f, g;
	(void)load_ok(&f, VERSIONS
		"mail_plugins = quota\nlogin_greeting = \" a # b\"\nssl = yes\n"
		"passdb static {\n  password = secret\n  fields {\n    pass = hidden\n  }\n}\n"
		"namespace \"a b\" {\n  prefix = x/\n}\n@mailbox_defaults = english\n"
		"protocol !imap {\n  mail_home = /x\n}\n");
	struct config_show_args args = { .with_secrets = false };
	AUTO_BUF(out, 0);
	config_show(f.cfg, &args, &out);
	assert_text(buf_str(&out),
		VERSIONS "login_greeting = \" a # b\"\n"
			 "mail_plugins {\n  quota = yes\n}\n"
			 "@mailbox_defaults = english\n"
			 "passdb static {\n"
			 "  fields {\n    pass = \"#hidden_use-P_to_show#\"\n  }\n"
			 "  password = # hidden, use -P to show it\n}\n"
			 "namespace \"a b\" {\n  prefix = x/\n}\n"
			 "protocol !imap {\n  mail_home = /x\n}\n");
	args.with_secrets = true;
	AUTO_BUF(first, 0);
	AUTO_BUF(second, 0);
	config_show(f.cfg, &args, &first);
	buf_put_byte(&first, '\0');
	(void)load_ok(&g, first.p);
	config_show(g.cfg, &args, &second);
	buf_put_byte(&second, '\0');
	assert_string_equal(first.p, second.p);
	done(&f);
	done(&g);
}

static void one_setting_is_shown_by_path(void **state)
{
	(void)state;
	struct fixture f;
	const struct config_scope *s =
		load_ok(&f, VERSIONS "service imap {\n  client_limit = 5\n}\n");
	struct config_show_args args = { .with_secrets = false };
	AUTO_BUF(out, 0);
	assert_int_equal(
		config_show_one(&f.op, s, STR("service/imap/client_limit"), true, &args, &out),
		ERR_NONE);
	assert_int_equal(config_show_one(&f.op, s, STR("ssl"), false, &args, &out), ERR_NONE);
	assert_text(buf_str(&out), "5\nssl = yes\n");
	assert_int_equal(config_show_one(&f.op, s, STR("sssl"), false, &args, &out), ERR_NOT_FOUND);
	assert_string_equal(f.op.failure.text, "Unknown setting: sssl (did you mean ssl?)");
	done(&f);
}

static void explanations_say_why(void **state)
{
	(void)state;
	struct fixture f;
	const struct config_scope *s =
		load_ok(&f, VERSIONS "login_greeting = one\nlogin_greeting = two\n"
				     "group @g x {\n  login_greeting = three\n}\n@g = x\n"
				     "protocol imap {\n  login_greeting = four\n}\n");
	struct config_show_args args = { .with_secrets = false };
	AUTO_BUF(out, 0);
	assert_int_equal(config_explain(&f.op, s, STR("login_greeting"), &args, &out), ERR_NONE);
	assert_text(buf_str(&out), "login_greeting = two\n"
				   "  * (text):4:18 (file)\n"
				   "    login_greeting = two\n"
				   "  - (text):6:20 (group)\n"
				   "    login_greeting = three\n"
				   "    weaker: file beats group\n"
				   "  - (default)\n"
				   "    login_greeting = Pombal ready.\n"
				   "    weaker: file beats default\n"
				   "  - (text):10:20 (file, protocol imap)\n"
				   "    login_greeting = four\n"
				   "    not here: the connection filter doesn't match\n");
	assert_int_equal(config_explain(&f.op, s, STR("passdb"), &args, &out), ERR_INVALID);
	done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_and_includes),
		cmocka_unit_test(all_mistakes_are_told_at_once),
		cmocka_unit_test(warnings_do_not_stop),
		cmocka_unit_test(hundred_problems_are_kept),
		cmocka_unit_test(shown_text_parses_to_the_same),
		cmocka_unit_test(one_setting_is_shown_by_path),
		cmocka_unit_test(explanations_say_why),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
