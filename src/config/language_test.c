/* SPDX-License-Identifier: Apache-2.0 */
/* The language as tables: what a text means. One line per rule of the sheet's §1.2 to §1.8; the
 * variables' table is in expand_test.c. */
#include "config/language_test.h"

/* ---- §1.2, §1.3 ---- */

static void lines_and_quotes(void **state)
{
	(void)state;
	static const struct value_case cases[] = {
		{ "login_greeting = hello\n", "login_greeting", "hello" },
		{ "login_greeting=hello\n", "login_greeting", "hello" },
		{ "  login_greeting\t=  hello  \n", "login_greeting", "hello" },
		{ "login_greeting = hello", "login_greeting", "hello" },
		{ "login_greeting = hello\r\n", "login_greeting", "hello" },
		{ "login_greeting = a b  c\n", "login_greeting", "a b  c" },
		{ "login_greeting = a # comment\n", "login_greeting", "a" },
		{ "login_greeting = a 'x # y' b\n", "login_greeting", "a 'x # y' b" },
		{ "login_greeting = \"a # b\" # c\n", "login_greeting", "a # b" },
		{ "login_greeting = 'a # b' # c\n", "login_greeting", "a # b" },
		{ "login_greeting = \" edges \"\n", "login_greeting", " edges " },
		{ "login_greeting = \"q\\\"q\"\n", "login_greeting", "q\"q" },
		{ "login_greeting = 'q\\\"q'\n", "login_greeting", "q\"q" },
		{ "login_greeting = \"b\\\\b\"\n", "login_greeting", "b\\b" },
		{ "login_greeting = back\\slash\n", "login_greeting", "back\\slash" },
		{ "login_greeting = \"a\" b\n", "login_greeting", "\"a\" b" },
		{ "login_greeting = \"a\n", "login_greeting", "\"a" },
		{ "login_greeting = \"\"\n", "login_greeting", "" },
		{ "login_greeting =\n", "login_greeting", "" },
		{ "login_greeting = one \\\ntwo\n", "login_greeting", "one two" },
		{ "login_greeting = one\\\n  two \\\n\tthree\n", "login_greeting",
			"one two three" },
		{ "login_greeting = one \\\n# comment\ntwo\n", "login_greeting", "one two" },
		{ "login_greeting = one \\\n\ntwo\n", "login_greeting", "one two" },
		{ "login_greeting = one \\", "login_greeting", "one" },
		{ "\"login_greeting\" = quoted key\n", "login_greeting", "quoted key" },
		{ "login_greeting = a = b\n", "login_greeting", "a = b" },
		{ "login_greeting = {\n", "login_greeting", "{" },
		{ "login_greeting = <<EOF\na\n  b # c\nEOF\n", "login_greeting", "a\n  b # c\n" },
		{ "login_greeting = <<EOF\nEOF\n", "login_greeting", "" },
		{ "login_greeting = <<X\n$ENV:WORD\nEOF\nX\n", "login_greeting",
			"$ENV:WORD\nEOF\n" },
		{ "login_greeting = << EOF\n", "login_greeting",
			"!(text):3:18: Error: Missing end of text: no line 'EOF' follows" },
		{ "# only\n\n   # comments\nlogin_greeting = x\n", "login_greeting", "x" },
		{ "login_greeting = \303\244\n", "login_greeting", "\303\244" },
	};
	check_values(cases, ARRAY_COUNT(cases));
}

/* ---- §1.6 ---- */

static void types(void **state)
{
	(void)state;
	static const struct value_case cases[] = {
		{ "auth_verbose = YES\n", "auth_verbose", "YES" },
		{ "auth_verbose = 1\n", "auth_verbose", "1" },
		{ "auth_verbose = maybe\n", "",
			"!(text):3:16: Error: auth_verbose: Invalid boolean value: maybe (use yes "
			"or "
			"no)" },
		{ "auth_verbose = true\n", "",
			"!(text):3:16: Error: auth_verbose: Invalid boolean value: true (use yes "
			"or "
			"no)" },
		{ "first_valid_uid = unlimited\n", "first_valid_uid", "unlimited" },
		{ "first_valid_uid = 4294967295\n", "",
			"!(text):3:19: Error: first_valid_uid: Invalid number 4294967295" },
		{ "first_valid_uid = -1\n", "",
			"!(text):3:19: Error: first_valid_uid: Invalid number -1" },
		{ "first_valid_uid = 1x\n", "",
			"!(text):3:19: Error: first_valid_uid: Invalid number 1x" },
		{ "first_valid_uid =\n", "",
			"!(text):3:18: Error: first_valid_uid: Invalid number " },
		{ "fs_posix_mode = 0640\n", "fs_posix_mode", "0640" },
		{ "fs_posix_mode = 0999\n", "",
			"!(text):3:17: Error: fs_posix_mode: Invalid number 0999" },
		{ "auth_cache_size = 10M\n", "auth_cache_size", "10M" },
		{ "auth_cache_size = 10 MiB\n", "auth_cache_size", "10 MiB" },
		{ "auth_cache_size = 2048 B\n", "auth_cache_size", "2048 B" },
		{ "auth_cache_size = 2kb\n", "auth_cache_size", "2kb" },
		{ "auth_cache_size = unlimited\n", "auth_cache_size", "unlimited" },
		{ "auth_cache_size = 10 X\n", "",
			"!(text):3:19: Error: auth_cache_size: Invalid size: 10 X" },
		{ "auth_cache_size = 99999999999999T\n", "",
			"!(text):3:19: Error: auth_cache_size: Size is too large: "
			"99999999999999T" },
		{ "auth_cache_size = 100\n", "",
			"!(text):3:19: Error: auth_cache_size value is too small" },
		{ "auth_cache_ttl = 5m\n", "auth_cache_ttl", "5m" },
		{ "auth_cache_ttl = 5 MINUTES\n", "auth_cache_ttl", "5 MINUTES" },
		{ "auth_cache_ttl = 1w\n", "auth_cache_ttl", "1w" },
		{ "auth_cache_ttl = 0\n", "auth_cache_ttl", "0" },
		{ "auth_cache_ttl = infinite\n", "auth_cache_ttl", "infinite" },
		{ "auth_cache_ttl = 2000ms\n", "auth_cache_ttl", "2000ms" },
		{ "auth_cache_ttl = 1500ms\n", "",
			"!(text):3:18: Error: auth_cache_ttl: Milliseconds not supported for this "
			"setting: 1500ms" },
		{ "auth_cache_ttl = 5\n", "",
			"!(text):3:18: Error: auth_cache_ttl: Time interval '5' is missing units "
			"(add "
			"e.g. 's' for seconds)" },
		{ "auth_cache_ttl = 5 fortnights\n", "",
			"!(text):3:18: Error: auth_cache_ttl: Invalid time interval: 5 "
			"fortnights" },
		{ "auth_cache_ttl = soon\n", "",
			"!(text):3:18: Error: auth_cache_ttl: Invalid time interval: soon" },
		{ "auth_internal_failure_delay = 1500ms\n", "auth_internal_failure_delay",
			"1500ms" },
		{ "submission_relay_port = 65535\n", "submission_relay_port", "65535" },
		{ "submission_relay_port = 65536\n", "",
			"!(text):3:25: Error: submission_relay_port: Invalid port number 65536" },
		{ "ssl = required\n", "ssl", "required" },
		{ "ssl = requird\n", "",
			"!(text):3:7: Error: ssl: Invalid value: requird (did you mean "
			"required?)" },
		{ "ssl = REQUIRED\n", "",
			"!(text):3:7: Error: ssl: Invalid value: REQUIRED (use one of: no yes "
			"required)" },
		{ "haproxy_trusted_networks = 10.0.0.0/8, ::1\n", "haproxy_trusted_networks",
			"10.0.0.0/8 ::1" },
		{ "haproxy_trusted_networks = 10.0.0.0/33\n", "",
			"!(text):3:28: Error: haproxy_trusted_networks: Invalid network: "
			"10.0.0.0/33 "
			"(write e.g. 10.0.0.0/8 or 2001:db8::/32)" },
		{ "mail_home = %{user | lower}\n", "mail_home", "%{user | lower}" },
		{ "mail_home = %{user | lowr}\n", "",
			"!(text):3:13: Error: mail_home: No such function 'lowr' in %{user | "
			"lowr}" },
		{ "mail_home = %{user\n", "",
			"!(text):3:13: Error: mail_home: Missing '}' after %{user" },
		{ "login_log_format = %{anything\n", "login_log_format", "%{anything" },
		{ "mail_worker_count = %{system:cpu_count}\n", "mail_worker_count",
			"%{system:cpu_count}" },
		{ "mail_worker_count = %{user}\n", "",
			"!(text):3:21: Error: mail_worker_count: Unknown variable 'user'" },
		{ "ssl_server_cert_file = inline:PEM\n", "ssl_server_cert_file", "inline:PEM" },
		{ "ssl_server_cert_file = <<EOF\nA\nB\nEOF\n", "ssl_server_cert_file",
			"inline:A\nB\n" },
		{ "ssl_server_cert_file = %{env:WORD}\n", "ssl_server_cert_file", "%{env:WORD}" },
		{ "auth_verbose = <<EOF\nyes\nEOF\n", "",
			"!(text):3:16: Error: auth_verbose: Only text can be written over several "
			"lines" },
		{ "protocols = imap pop4\n", "",
			"!(text):3:13: Error: protocols: Unknown protocol: pop4 (use: imap pop3 "
			"lmtp "
			"submission sieve doveadm)" },
	};
	check_values(cases, ARRAY_COUNT(cases));
}

/* ---- §1.6, §1.7 ---- */

static void lists(void **state)
{
	(void)state;
	static const struct value_case cases[] = {
		{ "mail_plugins = a b\n", "mail_plugins", "a b" },
		{ "mail_plugins = a,b , c\n", "mail_plugins", "a b c" },
		{ "mail_plugins = \"a b\" c\n", "mail_plugins", "\"a b\" c" },
		{ "mail_plugins = \"a\\\"b\"\n", "mail_plugins", "\"a\\\"b\"" },
		{ "mail_plugins = a a b\n", "mail_plugins", "a b" },
		{ "mail_plugins = a b\"c\n", "",
			"!(text):3:16: Error: mail_plugins: '\"' in the middle of a string" },
		{ "mail_plugins = \"a\"b\n", "",
			"!(text):3:16: Error: mail_plugins: Expected ',' or ' ' after '\"'" },
		{ "mail_plugins = a \"b\n", "",
			"!(text):3:16: Error: mail_plugins: Missing ending '\"'" },
		{ "mail_plugins = a\nmail_plugins = b\n", "mail_plugins", "b" },
		{ "mail_plugins = a\nmail_plugins {\n b = yes\n}\n", "mail_plugins", "a b" },
		{ "mail_plugins {\n b = yes\n}\nmail_plugins = a\n", "mail_plugins", "a" },
		{ "mail_plugins = a b\nmail_plugins {\n a = no\n}\n", "mail_plugins", "b" },
		{ "mail_plugins = a\nmail_plugins =\n", "mail_plugins", "" },
		{ "mail_plugins {\n a = perhaps\n}\n", "",
			"!(text):4:6: Error: mail_plugins: Invalid boolean value: perhaps (use yes "
			"or "
			"no)" },
		{ "mail_plugins = a\nmail_plugins = $SET:mail_plugins b\n", "mail_plugins", "a b" },
		{ "mail_plugins = a\nprotocol imap {\n mail_plugins {\n  b = yes\n }\n}\n",
			"mail_plugins", "a b", { .protocol = STR("imap") } },
		{ "mail_plugins = a\nprotocol imap {\n mail_plugins = b\n}\n", "mail_plugins", "b",
			{ .protocol = STR("imap") } },
		{ "mail_plugins = a\nprotocol imap {\n mail_plugins = $SET:mail_plugins b\n}\n",
			"mail_plugins", "a b", { .protocol = STR("imap") } },
		{ "mail_plugins = a\nprotocol imap {\n mail_plugins =\n}\n", "mail_plugins", "",
			{ .protocol = STR("imap") } },
		{ "mail_plugins = a\nprotocol imap {\n mail_plugins {\n  a = no\n }\n}\n",
			"mail_plugins", "", { .protocol = STR("imap") } },
		{ "protocol imap {\n mail_plugins {\n  b = yes\n }\n}\nmail_plugins = a\n",
			"mail_plugins", "a b", { .protocol = STR("imap") } },
		{ "import_environment = A=1 B=%{env:WORD}\n", "import_environment", "A B" },
		{ "import_environment {\n A = 1\n \"B C\" = 2\n}\n", "import_environment",
			"A \"B C\"" },
		{ "mail_plugins {\n a {\n }\n}\n", "",
			"!(text):4:4: Error: A list can't hold blocks" },
		{ "mail_plugins {\n !include x\n}\n", "",
			"!(text):4:2: Error: Files can't be included inside lists" },
		{ "mail_plugins {\n @a = b\n}\n", "",
			"!(text):4:2: Error: Groups can't be used inside lists" },
		{ "mail_plugins {\n a = $SET:ssl\n}\n", "",
			"!(text):4:6: Error: $SET: can't be used for members of this list" },
		{ "mail_plugins {\n a = <<EOF\nyes\nEOF\n}\n", "",
			"!(text):4:6: Error: Only text can be written over several lines" },
	};
	check_values(cases, ARRAY_COUNT(cases));
}

/* ---- §1.8 ---- */

static void references(void **state)
{
	(void)state;
	static const struct value_case cases[] = {
		{ "mail_home = $ENV:WORD\n", "mail_home", "$ENV:WORD" },
		{ "mail_home = a $ENV:NOTHING b\n", "mail_home", "a $ENV:NOTHING b" },
		{ "mail_home = x$ENV:WORD\n", "mail_home", "x$ENV:WORD" },
		{ "mail_path = $SET:mail_home\nmail_home = h\n", "mail_path", "$SET:mail_home" },
		{ "service imap {\n client_limit = $SET:default_client_limit\n}\n"
		  "default_client_limit = 77\n",
			"service/imap/client_limit", "$SET:default_client_limit" },
		{ "mail_path = $SET:nothing\n", "",
			"!(text):3:13: Error: Failed to expand $SET:nothing: Unknown setting: "
			"nothing" },
		{ "mail_path = $SET:service/imap/nothing\n", "",
			"!(text):3:13: Error: Failed to expand $SET:service/imap/nothing: Unknown "
			"setting: nothing (tried service_imap_nothing, service_nothing, nothing)" },
		{ "mail_path = $SET:service/none/user\n", "",
			"!(text):3:13: Error: Failed to expand $SET:service/none/user: Unknown "
			"filter "
			"path: service/none/user" },
		{ "mail_path = $SET:mail_plugins\n", "",
			"!(text):3:13: Error: Failed to expand $SET:mail_plugins: Setting type "
			"can't "
			"be expanded to string" },
		{ "mail_path = $SET:import_environment\n", "",
			"!(text):3:13: Error: Failed to expand $SET:import_environment: Setting "
			"type "
			"can't be expanded to string" },
		{ "mail_path = $SET:passdb\n", "",
			"!(text):3:13: Error: Failed to expand $SET:passdb: Setting type can't be "
			"expanded to string" },
		{ "mail_plugins = $SET:mail_home c\nmail_home = a b\n", "mail_plugins", "a b c" },
		{ "mail_path = $SET:mail_home\nmail_home = $SET:mail_path\n", "",
			"!(text):4:13: Error: Chained $SET:mail_path loops back to itself" },
		{ "mail_home = a\nmail_home = $SET:mail_home b\n", "mail_home",
			"$SET:mail_home b" },
	};
	check_values(cases, ARRAY_COUNT(cases));
}

/* The same, resolved: what programs get. */
static void references_are_resolved(void **state)
{
	(void)state;
	struct fixture f;
	assert_int_equal(load_table(&f,
				 "mail_home = $ENV:WORD $ENV:NOTHING x\n"
				 "mail_path = $SET:instance_name y\n"
				 "mail_index_path = a\nmail_index_path = $SET:mail_index_path b\n"
				 "userdb static {\n fields {\n  home = $SET:hostname z\n"
				 "  env = $ENV:WORD\n }\n}\nhostname = h\n",
				 NULL),
		ERR_NONE);
	const struct config_scope *s = config_scope(f.cfg, NULL);
	mismatch_count = 0;
	compare("env", config_str(s, SET_mail_home), "from env  x");
	compare("set", config_str(s, SET_mail_path), "pombal y");
	compare("self", config_str(s, SET_mail_index_path), "a b");
	const struct config_scope *db = config_block_at(s, BLOCK_userdb, 0);
	struct config_item item = { .key = STR_NONE };
	size_t at = 0;
	assert_true(config_list_next(db, SET_userdb_fields, &at, &item));
	compare("late member", item.value, "h z");
	assert_true(config_list_next(db, SET_userdb_fields, &at, &item));
	compare("member", item.value, "from env");
	assert_int_equal(mismatch_count, 0);
	done(&f);
}

/* ---- §1.4, §1.5 ---- */

static void blocks(void **state)
{
	(void)state;
	static const struct value_case cases[] = {
		{ "service imap {\n client_limit = 5\n}\n", "service/imap/client_limit", "5" },
		{ "service imap {\n service_client_limit = 5\n}\n", "service/imap/client_limit",
			"5" },
		{ "service \"imap\" {\n client_limit = 5\n}\n", "service/imap/client_limit", "5" },
		{ "service imap {\n client_limit = 5\n}\nservice imap {\n process_limit = 6\n}\n",
			"service/imap/client_limit", "5" },
		{ "passdb static {\n password = x\n}\n", "passdb/static/static_password", "x" },
		{ "passdb static {\n password = x\n}\n", "passdb/static/password", "x" },
		{ "passdb static {\n}\n", "passdb/static/driver", "static" },
		{ "passdb one {\n driver = passwd-file\n}\n", "passdb/one/driver", "passwd-file" },
		{ "passdb one {\n ssl = no\n}\n", "passdb/one/ssl", "no" },
		{ "passdb one {\n ssl = no\n}\n", "ssl", "yes" },
		{ "passdb_static {\n passdb_deny = yes\n}\npassdb static {\n}\n",
			"passdb/static/deny", "yes" },
		{ "passdb_passwd_file {\n passdb_deny = yes\n}\npassdb x {\n driver = "
		  "passwd-file\n}\n",
			"passdb/x/deny", "yes" },
		{ "auth_policy {\n server_url = u\n hash_nonce = n\n}\n", "auth_policy_server_url",
			"u" },
		{ "ssl_server {\n cert_file = inline:x\n}\n", "ssl_server_cert_file", "inline:x" },
		{ "auth_policy {\n http_client_request_absolute_timeout = 1s\n}\n",
			"http_client_request_absolute_timeout", "0" },
		{ "auth_policy {\n http_client_request_absolute_timeout = 1s\n}\n",
			"auth_policy/http_client_request_absolute_timeout", "1s" },
		{ "passdb oauth2 {\n oauth2 {\n  introspection_url = u\n }\n}\n",
			"passdb/oauth2/oauth2_introspection_url", "u" },
		{ "dict cassandra {\n cassandra {\n  keyspace = k\n }\n}\n",
			"dict/cassandra/cassandra_keyspace", "k" },
		{ "fs dictmap {\n dict proxy {\n  name = x\n }\n}\n",
			"fs/dictmap/dict/proxy/dict_proxy_name", "x" },
		{ "fs compress {\n write_method = lz4\n fs posix {\n  prefix = p\n }\n}\n",
			"fs/compress/fs/posix/prefix", "p" },
		{ "quota \"User quota\" {\n storage_size = 1G\n warning full {\n"
		  "  quota_storage_percentage = 95\n  execute x {\n  }\n }\n}\n",
			"quota/User quota/warning/full/quota_storage_percentage", "95" },
		{ "metric m {\n filter = event=x\n group_by f {\n  method linear {\n"
		  "   linear_max = 5\n  }\n }\n}\n",
			"metric/m/group_by/f/method/linear/linear_max", "5" },
		{ "namespace inbox {\n mailbox \"a # b\" {\n  auto = create\n }\n}\n",
			"namespace/inbox/mailbox/a # b/auto", "create" },
		{ "namespace a {\n}\nnamespace b {\n inbox = yes\n}\nnamespace = b\n",
			"namespace/a/inbox", "!There is no namespace a" },
		{ "namespace b {\n inbox = yes\n}\nnamespace = b c\n", "namespace/c/inbox", "no" },
		{ "dict_map x {\n field f {\n  pattern = user\n }\n}\n",
			"dict_map/x/key_field/f/value", "user" },
		{ "service imap-login {\n inet_listener x {\n  address = ::1\n }\n}\n",
			"service/imap-login/inet_listener/x/listen", "::1" },
		{ "crypt_global_private_keys a {\n private_key_file = inline:x\n}\n",
			"crypt_global_private_key/a/private_key_file", "inline:x" },
		{ "ssl_cert = inline:x\n", "ssl_server_cert_file", "inline:x" },
	};
	check_values(cases, ARRAY_COUNT(cases));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_and_quotes),
		cmocka_unit_test(types),
		cmocka_unit_test(lists),
		cmocka_unit_test(references),
		cmocka_unit_test(references_are_resolved),
		cmocka_unit_test(blocks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
