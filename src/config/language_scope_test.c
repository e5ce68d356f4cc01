/* SPDX-License-Identifier: Apache-2.0 */
/* The language as tables: groups, filters, overrides, versions, and what is said about a wrong text. One
 * line per rule of the sheet's §1.9 to §1.13. */
#include "config/language_test.h"

/* ---- §1.9 ---- */

static void groups(void **state)
{
	(void)state;
#define GROUP "group @g one {\n mail_home = /one\n}\ngroup @g two {\n mail_home = /two\n}\n"
	static const struct value_case cases[] = {
		{ GROUP "@g = one\n", "mail_home", "/one" },
		{ GROUP "@g = one\n@g = two\n", "mail_home", "/two" },
		{ GROUP "@g = one\nmail_home = /set\n", "mail_home", "/set" },
		{ "mail_home = /set\n@g = one\n" GROUP, "mail_home", "/set" },
		{ GROUP "protocol imap {\n @g = one\n}\n", "mail_home", "/one",
			{ .protocol = STR("imap") } },
		{ GROUP "protocol imap {\n @g = one\n}\n", "mail_home", "" },
		{ GROUP "@g = one\n", "mail_home", "/two", { .protocol = STR("x") }, "@g=two" },
		{ GROUP "namespace inbox {\n inbox = yes\n @g = one\n}\n",
			"namespace/inbox/mail_home", "/two", { .protocol = STR("x") },
			"namespace/inbox/@g=two" },
		{ GROUP "ssl = yes\n", "",
			"!-o: Error: @g isn't used at this place (only a group "
			"that the files use there can be changed)",
			{ .protocol = STR("x") }, "@g=two" },
		{ "@g = one\n", "", "!(text):3:1: Error: Unknown group: @g = one" },
		{ "@fs_defaults = moon\n", "",
			"!(text):3:1: Error: Unknown group: @fs_defaults = moon (use one of: local "
			"nfs s3 aws-s3 azure sproxyd)" },
		{ "@g one\n", "", "!(text):3:1: Error: Expecting '@label = value'" },
		{ "@g = %{user}\n", "",
			"!(text):3:1: Error: Names and values of groups can't hold variables" },
		{ "group @g {\n}\n", "",
			"!(text):3:1: Error: Expecting group name: group @label value {" },
		{ "group @g a b {\n}\n", "",
			"!(text):3:1: Error: Expecting group name: group @label value {" },
		{ "protocol imap {\n group @g a {\n }\n}\n", "",
			"!(text):4:2: Error: Groups can only be defined at the top level" },
		{ "group @g a {\n @h = b\n}\n@g = a\n", "",
			"!(text):4:2: Error: Groups may not include groups" },
		{ "group @g a {\n base_dir = /x\n}\n@g = a\n", "",
			"!(text):4:2: Error: base_dir can't be set in groups" },
		{ "group @g a {\n mail_home = x\n", "", "!(text):3:1: Error: Missing '}'" },
		{ "@mailbox_defaults = english\n", "namespace/inbox/mailbox/Sent/auto",
			"subscribe" },
		{ "@fs_defaults = s3\n",
			"obox/fs/fscache/fs/compress/fs/crypt/fs/dictmap/fs/s3/driver", "s3" },
		{ "@fs_defaults = aws-s3\n",
			"metacache/fs/compress/fs/crypt/fs/dictmap/storage_passthrough_paths",
			"full" },
		{ "@fs_defaults = azure\n",
			"obox/fs/fscache/fs/compress/fs/crypt/fs/dictmap/fs/azure/driver",
			"azure" },
		{ "@fs_defaults = sproxyd\n",
			"metacache/fs/compress/fs/crypt/fs/dictmap/fs/sproxyd/driver", "sproxyd" },
		{ "@fs_defaults = s3\n", "obox/fs/fscache/path",
			"/var/cache/mails/%{user | sha1 % 4}" },
		{ "@fs_dictmap_defaults = cassandra\n", "dict_server/dict/mails/sql_driver",
			"cassandra" },
		{ "@fts_fs_defaults = s3\n", "fts/dovecot/fs/fts-cache/fs/fscache/size", "512M" },
		{ "@fts_fs_defaults = nfs\n",
			"fts/dovecot/fs/fts-cache/fs/fscache/fs/compress/fs/crypt/fs/posix/driver",
			"posix" },
		{ "@metric_defaults = proxy\n", "metric/login_aborted/filter",
			"event=login_aborted" },
	};
	check_values(cases, ARRAY_COUNT(cases));
}

/* ---- §1.10 ---- */

static void filters(void **state)
{
	(void)state;
#define NESTED                                                                                     \
	"mail_home = all\nlocal 10.0.0.0/8 {\n mail_home = local\n local_name *.example.com {\n"   \
	"  mail_home = name\n  remote 192.0.2.0/24 {\n   mail_home = remote\n   protocol imap {\n" \
	"    mail_home = protocol\n   }\n  }\n }\n}\n"
	static const struct value_case cases[] = {
		{ NESTED, "mail_home", "all" },
		{ NESTED, "mail_home", "local", { .local_ip = STR("10.1.1.1") } },
		{ NESTED, "mail_home", "name",
			{ .local_ip = STR("10.1.1.1"), .local_name = STR("A.Example.COM") } },
		{ NESTED, "mail_home", "local",
			{ .local_ip = STR("10.1.1.1"), .local_name = STR("example.com") } },
		{ NESTED, "mail_home", "remote",
			{ .local_ip = STR("10.1.1.1"),
				.local_name = STR("a.example.com"),
				.remote_ip = STR("192.0.2.9") } },
		{ NESTED, "mail_home", "protocol",
			{ .local_ip = STR("10.1.1.1"),
				.local_name = STR("a.example.com"),
				.remote_ip = STR("192.0.2.9"),
				.protocol = STR("imap") } },
		{ NESTED, "mail_home", "all", { .remote_ip = STR("192.0.2.9") } },
		{ "protocol !imap {\n mail_home = x\n}\n", "mail_home", "x",
			{ .protocol = STR("pop3") } },
		{ "protocol !imap {\n mail_home = x\n}\n", "mail_home", "",
			{ .protocol = STR("imap") } },
		{ "protocol !imap {\n mail_home = x\n}\n", "mail_home", "" },
		{ "remote 2001:db8::/32 {\n mail_home = six\n}\n", "mail_home", "six",
			{ .remote_ip = STR("2001:db8::1") } },
		{ "remote 10.0.0.0/8 {\n mail_home = a\n}\nremote 10.1.0.0/16 {\n mail_home = "
		  "b\n}\n",
			"mail_home", "b", { .remote_ip = STR("10.1.0.1") } },
		{ "protocol imap {\n mail_home = a\n}\nprotocol imap {\n mail_path = b\n}\n",
			"mail_home", "a", { .protocol = STR("imap") } },
		{ "remote mail.example.com {\n mail_home = x\n}\n", "mail_home", "",
			{ .remote_ip = STR("192.0.2.1") } },
		{ "protocol imap {\n remote 10.0.0.0/8 {\n }\n}\n", "",
			"!(text):4:2: Error: Filters are nested in the wrong order (nest them as "
			"local, local_name, remote, protocol)" },
		{ "remote 10.0.0.0/8 {\n remote 192.0.2.1 {\n }\n}\n", "",
			"!(text):4:2: Error: 192.0.2.1 isn't inside the outer filter's network" },
		{ "remote 10.0.0.0/8 {\n remote 0.0.0.0/0 {\n }\n}\n", "",
			"!(text):4:2: Error: 0.0.0.0/0 isn't inside the outer filter's network" },
		{ "remote 10.0.0.0/40 {\n}\n", "",
			"!(text):3:1: Error: Invalid network: 10.0.0.0/40 (write an address or a "
			"network like 10.0.0.0/8)" },
		{ "remote {\n}\n", "", "!(text):3:1: Error: Expecting a value before '{'" },
		{ "service imap {\n protocol imap {\n }\n}\n", "",
			"!(text):4:2: Error: Connection filters can't stand inside other blocks" },
		{ "remote 10.0.0.0/8 {\n passdb x {\n }\n}\n", "",
			"!(text):4:2: Error: passdb can't stand inside local or remote blocks" },
		{ "local 10.0.0.0/8 {\n auth_mechanisms = plain\n}\n", "",
			"!(text):4:2: Error: auth_mechanisms can't be set inside local or remote "
			"blocks" },
		{ "protocol imap {\n auth_mechanisms = login\n}\n", "auth_mechanisms", "login",
			{ .protocol = STR("imap") } },
	};
	check_values(cases, ARRAY_COUNT(cases));
}

/* ---- §1.11 ---- */

static void overrides(void **state)
{
	(void)state;
#define ANY                                                                                        \
	{                                                                                          \
		.protocol = STR("any")                                                             \
	}
	static const struct value_case cases[] = {
		{ "ssl = yes\n", "ssl", "no", ANY, "ssl=no" },
		{ "protocol any {\n ssl = yes\n}\n", "ssl", "no", ANY, "ssl=no" },
		{ "", "service/imap/client_limit", "5", ANY, "service/imap/client_limit=5" },
		{ "", "service/imap/client_limit", "5", ANY,
			"service/imap/service_client_limit=5" },
		{ "", "namespace/inbox/separator", ".", ANY, "namespace/inbox/separator=." },
		{ "", "quota/User quota/storage_size", "5G", ANY,
			"quota/User quota/storage_size=5G" },
		{ "", "namespace/a/b/separator", "!There is no namespace a", ANY,
			"namespace/a\\sb/separator=." },
		{ "mail_plugins = a\n", "mail_plugins", "a b c", ANY, "mail_plugins+=b c" },
		{ "mail_plugins = a\n", "mail_plugins", "a b c", ANY, "mail_plugins+=b,c" },
		{ "mail_plugins = a\n", "mail_plugins", "b c", ANY, "mail_plugins=b,c" },
		{ "mail_plugins = a\n", "mail_plugins", "", ANY, "mail_plugins/a=no" },
		{ "namespace a {\n inbox = yes\n}\n", "namespace/second/inbox", "no", ANY,
			"namespace+=second" },
		{ "namespace a {\n inbox = yes\n}\n", "namespace/a/inbox", "yes", ANY,
			"namespace+=second" },
		{ "userdb static {\n}\n", "userdb/static/fields", "home", ANY,
			"userdb/static/fields/home=/x" },
		{ "", "mail_home", "/x", ANY, "protocol/any/mail_home=/x" },
		{ "", "mail_home", "", ANY, "protocol/other/mail_home=/x" },
		{ "", "mail_home", "/x", { .remote_ip = STR("10.0.0.1") },
			"remote/10.0.0.0\\s8/mail_home=/x" },
		{ "", "", "!-o: Error: Unknown setting: mail_hom (did you mean mail_home?)", ANY,
			"mail_hom=x" },
		{ "", "", "!-o: Error: No '=' in override: ssl (write key=value)", ANY, "ssl" },
		{ "", "", "!-o: Error: ssl is no list: += can't be used", ANY, "ssl+=x" },
		{ "", "", "!-o: Error: Unknown section name: nothing", ANY, "nothing/x/y=z" },
		{ "", "", "!-o: Error: A setting must follow service", ANY, "service/imap=5" },
		{ "", "", "!-o: Error: Invalid network: x", ANY, "remote/x/mail_home=y" },
		{ "", "", "!-o: Error: ssl: Invalid value: x (use one of: no yes required)", ANY,
			"ssl=x" },
	};
	check_values(cases, ARRAY_COUNT(cases));
}

/* ---- §1.12 ---- */

static void versions_choose_defaults(void **state)
{
	(void)state;
	static const struct {
		const char *version, *path, *want;
	} cases[] = {
		{ "3.2.0", "passdb_default_password_scheme", "CRYPT" },
		{ "3.1.5", "passdb_default_password_scheme", "PLAIN" },
		{ "2.4.4", "passdb_default_password_scheme", "PLAIN" },
		{ "0.1.0", "passdb_default_password_scheme", "CRYPT" },
		{ "3.1.0", "imap_compress_on_proxy", "no" },
		{ "3.2.0", "imap_compress_on_proxy", "yes" },
		{ "3.1.0", "lazy_expunge_only_last_instance", "no" },
		{ "3.2.0", "lazy_expunge_only_last_instance", "yes" },
		{ "3.1.0", "fts_search_read_fallback", "yes" },
		{ "3.1.0", "mailbox_directory_name_legacy", "yes" },
		{ "3.2.0", "mailbox_directory_name_legacy", "no" },
		{ "3.1.0", "namespace/inbox/mailbox/Sent/auto", "no" },
		{ "3.2.0", "namespace/inbox/mailbox/Sent/auto", "subscribe" },
		{ "3.1.0", "service/doveadm/extra_groups", "dovecot" },
		{ "3.2.0", "service/doveadm/extra_groups", "" },
		{ "3.1.0", "push_notification_ox/http_client_request_max_attempts", "1" },
		{ "9.0.0", "ssl",
			"!(text):1:26: Error: Invalid dovecot_config_version: Currently supported "
			"versions are: 2.4.x 3.0.x 3.1.x 3.2.x 0.1.x" },
		{ "3.1", "ssl",
			"!(text):1:26: Error: Invalid dovecot_config_version: Currently supported "
			"versions are: 2.4.x 3.0.x 3.1.x 3.2.x 0.1.x" },
	};
	mismatch_count = 0;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct fixture f;
		fixture_init(&f);
		struct config_load_args args = { .text = str_printf(&f.arena,
							 "dovecot_config_version = %s\n"
							 "dovecot_storage_version = 3.1.0\n"
							 "@mailbox_defaults = english\n",
							 cases[i].version) };
		enum err e = config_load(&f.op, &args, &f.problems, &f.cfg);
		compare_shown(&f, e, NULL, cases[i].path, cases[i].path, cases[i].want);
	}
	assert_int_equal(mismatch_count, 0);
}

/* ---- §1.13: all problems of a text ---- */

struct problem_case {
	const char *text;
	const char *want;
};

static void check_problems(const struct problem_case *cases, size_t count)
{
	mismatch_count = 0;
	for (size_t i = 0; i < count; i++) {
		struct fixture f;
		AUTO_BUF(out, 0);
		enum err e = load_table(&f, cases[i].text, NULL);
		config_problems_print(&f.problems, &out);
		compare(cases[i].text, buf_str(&out), cases[i].want);
		assert_int_equal(e, f.problems.error_count ? ERR_INVALID : ERR_NONE);
		done(&f);
	}
	assert_int_equal(mismatch_count, 0);
}

static const struct problem_case problem_cases[] = {
	{ "", "" },
	{ "}\n", "(text):3:1: Error: Unexpected '}'\n" },
	{ "service x {\n", "(text):3:1: Error: Missing '}' (section started at (text):3)\n" },
	{ "service x\n", "(text):3:9: Error: Expecting '=' or '{' after service (a setting "
			 "is written 'key = value')\n" },
	{ "service x { a\n}\n",
		"(text):3:13: Error: Garbage after '{' (one statement per line)\n" },
	{ "service x { client_limit = 1 }\n",
		"(text):3:13: Error: Garbage after '{' (one statement per line)\n" },
	{ "= x\n", "(text):3:1: Error: Expecting a name\n" },
	{ "\"a = x\n", "(text):3:1: Error: Missing ending '\"'\n" },
	{ "\"a\\n\" = x\n", "(text):3:1: Error: Unknown escape sequence \\n\n" },
	{ "login_greeting = \"a\\n\"\n", "(text):3:18: Error: Unknown escape sequence \\n\n" },
	{ "login_greeting = 'a\\'b'\n", "(text):3:18: Error: Unknown escape sequence \\'\n" },
	{ "login_greeting = <<EOF\nnever closed\n",
		"(text):3:18: Error: Missing end of text: no line 'EOF' follows\n" },
	{ "login_greeting = a#b\n", "(text):3:19: Warning: Ambiguous '#': it begins a "
				    "comment here (put a blank "
				    "before it, or quote the value)\n" },
	{ "sssl = yes\n", "(text):3:1: Error: Unknown setting: sssl (did you mean ssl?)\n" },
	{ "SSL = yes\n", "(text):3:1: Error: Unknown setting: SSL\n" },
	{ "nonsense {\n}\n", "(text):3:1: Error: Unknown section name: nonsense\n" },
	{ "servce x {\n}\n", "(text):3:1: Error: Unknown section name: servce (did you "
			     "mean service?)\n" },
	{ "ssl {\n}\n", "(text):3:1: Error: Setting ssl cannot be used as a section\n" },
	{ "service {\n}\n", "(text):3:1: Error: service: Setting is a named list filter, use "
			    "'service value {'\n" },
	{ "obox x {\n}\n", "(text):3:1: Error: obox: Setting is a named filter, use 'obox {'\n" },
	{ "obox = x\n", "(text):3:1: Error: obox: Setting is a named filter, use 'obox {'\n" },
	{ "service __x {\n}\n", "(text):3:1: Error: service: Invalid name: __x\n" },
	{ "service $SET:x {\n}\n", "(text):3:1: Error: service: Invalid name: $SET:x\n" },
	{ "mailbox x {\n}\n", "(text):3:1: Error: mailbox must be inside a namespace block\n" },
	{ "mail_location = x\n", "(text):3:1: Error: Unknown setting: mail_location (use "
				 "mail_driver and mail_path)\n" },
	{ "disable_plaintext_auth = no\n",
		"(text):3:1: Error: Unknown setting: disable_plaintext_auth (use "
		"auth_allow_cleartext, its opposite)\n" },
	{ "plugin {\n quota = x\n}\n", "(text):3:1: Error: Unknown section name: plugin "
				       "(write the settings outside: "
				       "there is no plugin block)\n" },
	{ "ssl_cert = inline:a\nssl_key = inline:b\n",
		"(text):3:1: Warning: Obsolete setting in (text):3: ssl_cert has been "
		"renamed "
		"to ssl_server_cert_file (doveconf -Pn > new.conf writes a file with the "
		"new "
		"names)\n(text):4:1: Warning: Obsolete setting in (text):4: ssl_key has "
		"been "
		"renamed to ssl_server_key_file\n" },
	{ "service imap {\n service_count = 1\n}\n",
		"(text):4:2: Warning: Obsolete setting in (text):4: service_count has been "
		"renamed to service_restart_request_count (doveconf -Pn > new.conf writes "
		"a "
		"file with the new names)\n" },
	{ "event_exporter x {\n transport = log\n}\n",
		"(text):4:2: Warning: Obsolete setting in (text):4: transport has been "
		"renamed to event_exporter_driver (doveconf -Pn > new.conf writes a file "
		"with "
		"the new names)\n" },
	{ "ssl = yes\nssl = no\n",
		"(text):4:1: Warning: ssl was already set in line 3: the last value "
		"counts\n" },
	{ "protocol imap {\n ssl = no\n}\nssl = yes\n",
		"(text):6:1: Warning: Global setting ssl won't change the setting inside "
		"an "
		"earlier filter at (text) line 3\n" },
	{ "protocol imap {\n mail_plugins {\n  a = yes\n }\n}\nmail_plugins = b\n", "" },
	{ "protocol imap {\n mail_plugins = a\n}\nmail_plugins = b\n",
		"(text):6:1: Warning: Global setting mail_plugins won't change the setting "
		"inside an earlier filter at (text) line 3\n" },
	{ "ssl = yes\nprotocol imap {\n ssl = no\n}\n", "" },
	{ "dovecot_config_version = 3.1.0\n", "(text):3:26: Error: dovecot_config_version "
					      "value can't be changed once set\n" },
	{ "metric m {\n}\n", "(text):3:1: Error: Named filter metric m is required to have "
			     "filter setting, but it is missing\n" },
	{ "welcome {\n}\n", "(text):3:1: Error: Named filter welcome is required to have "
			    "execute setting, but it is missing\n" },
	{ "welcome {\n execute x {\n }\n}\n", "" },
	{ "acl owner {\n}\n", "(text):3:1: Error: Named filter acl owner is required to have "
			      "rights setting, but it is missing\n" },
	{ "mail_attribute {\n}\n", "(text):3:1: Error: Named filter mail_attribute is "
				   "required to have dict setting, but it is missing\n" },
	{ "listen =\n", "(text):3:9: Error: listen can't be set empty (write listen = * "
			"::)\n" },
	{ "auth_policy_server_url = http://x\n",
		"(text):3:26: Error: auth_policy_hash_nonce must be set when policy server "
		"is "
		"used\n" },
	{ "ssl = required\nauth_allow_cleartext = yes\n",
		"(text):4:24: Warning: auth_allow_cleartext=yes has no effect, because "
		"ssl=required\n" },
	{ "ssl_server_request_client_cert = yes\n",
		"(text):3:34: Error: ssl_server_request_client_cert is set, but "
		"ssl_server_ca_file is not\n" },
	{ "service imap {\n process_limit = 0\n}\n",
		"Error: service(imap): process_limit must be greater than 0\n" },
	{ "service imap {\n process_limit = 1\n process_min_avail = 2\n}\n",
		"Error: service(imap): process_min_avail is greater than process_limit\n" },
	{ "service imap {\n restart_request_count = 0\n}\n",
		"Error: service(imap): restart_request_count must be greater than 0 (did "
		"you "
		"mean \"unlimited\"?)\n" },
	{ "service imap {\n vsz_limit = 1k\n}\n", "Error: service(imap): vsz_limit is too low\n" },
	{ "service mail {\n vsz_limit = 1M\n}\n",
		"Error: service(mail): there is no such service: mail workers take their limits "
		"from service imap\n" },
	{ "service lmtp {\n vsz_limit = 1M\n}\n",
		"Warning: service(lmtp): vsz_limit has no effect: set that of service imap-login "
		"or service imap\n" },
	{ "protocols = imap\nservice imap-login {\n inet_listener other {\n  port = 143\n "
	  "}\n}\n",
		"Error: duplicate listener: *:143\n" },
	{ "namespace a {\n inbox = yes\n}\nnamespace b {\n inbox = yes\n}\n",
		"Error: namespace: There can be only one namespace with inbox=yes\n" },
	{ "namespace a {\n inbox = yes\n}\nnamespace b {\n separator = .\n}\n",
		"Error: namespace b: All list=yes namespaces must use the same "
		"separator\n" },
	{ "!include /nowhere/x.conf\n", "(text):3:1: Error: No matches: /nowhere/x.conf "
					"(!include_try ignores files "
					"that do not exist)\n" },
	{ "!include_try /nowhere/x.conf\n", "" },
	{ "!include /nowhere/*.conf\n", "" },
	{ "mail_home = </nowhere/x\n", "(text):3:13: Error: mail_home: Can't open file "
				       "/nowhere/x: open /nowhere/x: "
				       "No such file or directory\n" },
	{ "service a {\n service b {\n }\n}\n", "" },
	{ "obox {\n fs a {\n  fs b {\n   fs c {\n   }\n  }\n }\n}\n", "" },
};

static void problems(void **state)
{
	(void)state;
	check_problems(problem_cases, ARRAY_COUNT(problem_cases));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups),
		cmocka_unit_test(filters),
		cmocka_unit_test(overrides),
		cmocka_unit_test(versions_choose_defaults),
		cmocka_unit_test(problems),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
