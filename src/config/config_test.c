/* SPDX-License-Identifier: Apache-2.0 */
/* Values, places, filters, groups, overrides, snapshots: what a configuration says. */
#include "config/text_test.h"

/* ---- values ---- */

static void every_type_is_read(void **state)
{
	(void)state;
	struct fixture f;
	const struct config_scope *s = load_ok(&f, VERSIONS "auth_verbose = Y\n"
							    "mail_max_userip_connections = 3\n"
							    "fs_posix_mode = 0640\n"
							    "auth_cache_size = 10 MiB\n"
							    "auth_cache_ttl = 5m\n"
							    "auth_internal_failure_delay = 1500ms\n"
							    "submission_relay_port = 587\n"
							    "ssl = required\n"
							    "last_valid_uid = unlimited\n"
							    "imap_hibernate_timeout = infinite\n");
	assert_true(config_bool(s, SET_auth_verbose));
	assert_int_equal(config_u64(s, SET_mail_max_userip_connections), 3);
	assert_int_equal(config_u64(s, SET_fs_posix_mode), 0640);
	assert_int_equal(config_size(s, SET_auth_cache_size), 10 << 20);
	assert_int_equal(config_time_us(s, SET_auth_cache_ttl), 300 * INT64_C(1000000));
	assert_int_equal(config_time_us(s, SET_auth_internal_failure_delay), 1500000);
	assert_int_equal(config_port(s, SET_submission_relay_port), 587);
	assert_int_equal(config_enum(s, SET_ssl), 2);
	assert_true(config_is(s, SET_ssl, STR("required")));
	assert_true(config_u64(s, SET_last_valid_uid) == CONFIG_UNLIMITED);
	assert_true(config_time_us(s, SET_imap_hibernate_timeout) == CONFIG_TIME_INFINITE);
	assert_text(config_state_path(&f.arena, s, STR("x")), "/var/lib/pombal/x");
	assert_text(config_state_path(&f.arena, s, STR("/y")), "/y");
	/* Defaults. */
	assert_int_equal(config_u64(s, SET_mail_worker_count), 6);
	assert_text(config_str(s, SET_recipient_delimiter), "+");
	assert_false(config_is_set(s, SET_recipient_delimiter));
	assert_true(config_is_set(s, SET_ssl));
	done(&f);
}

static void every_default_parses(void **state)
{
	(void)state;
	struct fixture f;
	const struct config_scope *s = load_ok(&f, VERSIONS);
	assert_int_equal(f.problems.count, 0);
	for (unsigned i = 0; i < SET_COUNT; i++) {
		const struct config_row *row = config_row((enum config_setting)i);
		struct str target = row->default_text;
		if (str_skip(&target, STR("$SET:")))
			assert_int_equal(config_row(config_row_find(target))->type, row->type);
		if (!config_type_is_list(row->type))
			(void)config_str(s, (enum config_setting)i);
	}
	done(&f);
}

static void texts_quotes_and_lines(void **state)
{
	(void)state;
	struct fixture f;
	const struct config_scope *s =
		load_ok(&f, "\xef\xbb\xbf# comment\r\n\r\n" VERSIONS
			    "login_greeting = \"a # \\\"b\\\" \"  # c\r\n"
			    "mail_server_comment = one \\\n  # skipped\n   two\n"
			    "mail_server_admin = say \"hi\"\n"
			    "mail_home = 'x  y'\n"
			    "rejection_reason = <<EOF\nline # 1\n  line 2\nEOF\n"
			    "mail_path = $ENV:SECRET $ENV:NOT_SET x\n"
			    "hostname = \"$ENV:SECRET\"\n");
	assert_text(config_str(s, SET_login_greeting), "a # \"b\" ");
	assert_text(config_str(s, SET_mail_server_comment), "one two");
	assert_text(config_str(s, SET_mail_server_admin), "say \"hi\"");
	assert_text(config_str(s, SET_mail_home), "x  y");
	assert_text(config_str(s, SET_rejection_reason), "line # 1\n  line 2\n");
	assert_text(config_str(s, SET_mail_path), "from env  x");
	assert_text(config_str(s, SET_hostname), "$ENV:SECRET");
	done(&f);
}

static void lists_replace_and_extend(void **state)
{
	(void)state;
	struct fixture f;
	const struct config_scope *s =
		load_ok(&f, VERSIONS "mail_plugins = quota, \"a b\" acl\n"
				     "mail_plugins {\n fts = yes\n acl = no\n}\n"
				     "protocol imap {\n mail_plugins {\n  imap_x = yes\n }\n}\n"
				     "protocol lmtp {\n mail_plugins = $SET:mail_plugins sieve\n}\n"
				     "protocol pop3 {\n mail_plugins =\n}\n"
				     "imap_capability {\n IDLE = no\n X = yes\n}\n");
	const struct config_scope *imap =
		config_scope(f.cfg, &(struct config_place){ .protocol = STR("imap") });
	const struct config_scope *lmtp =
		config_scope(f.cfg, &(struct config_place){ .protocol = STR("lmtp") });
	const struct config_scope *pop3 =
		config_scope(f.cfg, &(struct config_place){ .protocol = STR("pop3") });
	assert_true(config_list_has(s, SET_mail_plugins, STR("quota")));
	assert_true(config_list_has(s, SET_mail_plugins, STR("a b")));
	assert_true(config_list_has(s, SET_mail_plugins, STR("fts")));
	assert_false(config_list_has(s, SET_mail_plugins, STR("acl")));
	assert_false(config_list_has(s, SET_mail_plugins, STR("imap_x")));
	assert_true(config_list_has(imap, SET_mail_plugins, STR("imap_x")));
	assert_true(config_list_has(imap, SET_mail_plugins, STR("fts")));
	assert_true(config_list_has(lmtp, SET_mail_plugins, STR("sieve")));
	assert_true(config_list_has(lmtp, SET_mail_plugins, STR("a b")));
	size_t at = 0;
	struct config_item item;
	assert_false(config_list_next(pop3, SET_mail_plugins, &at, &item));
	assert_true(config_list_refuses(s, SET_imap_capability, STR("IDLE")));
	assert_true(config_list_next(s, SET_imap_capability, &at, &item));
	assert_text(item.key, "X");
	/* The same place is the same scope. */
	assert_ptr_equal(
		imap, config_scope(f.cfg, &(struct config_place){ .protocol = STR("imap") }));
	done(&f);
}

/* ---- places ---- */

static void a_place_is_found_in_every_filter(void **state)
{
	(void)state;
	struct fixture f;
	(void)load_ok(&f, VERSIONS "local 10.1.0.0/16 {\n login_greeting = a\n"
				   " local_name b.example {\n  login_greeting = b\n }\n}\n"
				   "local_name *.example.com {\n login_greeting = c\n}\n"
				   "remote 10.0.0.0/8 {\n login_greeting = d\n}\n");
	static const char *const greetings[] = { "a", "b", "c" };
	AUTO_ARENA(arena, 0);
	struct config_place place;
	size_t at = 0, n = 0;
	while (config_place_next(&arena, f.cfg, &at, &place)) {
		assert_true(n < ARRAY_COUNT(greetings));
		assert_text(config_str(config_scope(f.cfg, &place), SET_login_greeting),
			greetings[n++]);
	}
	assert_int_equal(n, ARRAY_COUNT(greetings));
	done(&f);
}

static void filters_by_address_and_name(void **state)
{
	(void)state;
	struct fixture f;
	(void)load_ok(&f,
		VERSIONS "login_greeting = all\n"
			 "local_name *.example.com {\n login_greeting = sni\n}\n"
			 "remote 10.0.0.0/8 {\n login_greeting = ten\n"
			 "  remote 10.1.0.0/16 {\n    login_greeting = ten-one\n"
			 "    protocol !imap {\n      login_greeting = other\n    }\n  }\n}\n"
			 "login_trusted_networks = 192.0.2.0/24 2001:db8::/32\n");
	struct {
		struct config_place place;
		const char *greeting;
	} cases[] = {
		{ { .remote_ip = STR("192.0.2.1") }, "all" },
		{ { .remote_ip = STR("10.2.0.1"), .protocol = STR("imap") }, "ten" },
		{ { .remote_ip = STR("::ffff:10.1.0.1"), .protocol = STR("imap") }, "ten-one" },
		{ { .remote_ip = STR("10.1.0.1"), .protocol = STR("pop3") }, "other" },
		{ { .local_name = STR("A.Example.com") }, "sni" },
		{ { .local_name = STR("example.com") }, "all" },
		{ { .remote_ip = STR("no address") }, "all" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
		assert_text(config_str(config_scope(f.cfg, &cases[i].place), SET_login_greeting),
			cases[i].greeting);
	const struct config_scope *s = config_scope(f.cfg, NULL);
	assert_true(config_networks_have(s, SET_login_trusted_networks, STR("192.0.2.200")));
	assert_true(config_networks_have(s, SET_login_trusted_networks, STR("2001:db8::1")));
	assert_false(config_networks_have(s, SET_login_trusted_networks, STR("192.0.3.1")));
	assert_false(config_networks_have(s, SET_login_trusted_networks, STR("rubbish")));
	done(&f);
}

static void blocks_prefixes_and_drivers(void **state)
{
	(void)state;
	struct fixture f;
	const struct config_scope *s = load_ok(&f,
		VERSIONS "protocol imap {\n  passdb first {\n    driver = static\n  }\n}\n"
			 "passdb passwd-file {\n  passwd_file_path = /etc/users\n  deny = yes\n}\n"
			 "passdb static {\n  password = secret\n  fields {\n    nopassword = yes\n"
			 "    \"x y\" = %{user}\n  }\n}\n"
			 "passdb static {\n  use_cache = no\n}\n"
			 "namespace inbox {\n  inbox = yes\n  mailbox \"Sent Mail\" {\n"
			 "    special_use = \\Sent\n    auto = create\n  }\n}\n"
			 "service imap-login {\n  inet_listener imaps {\n    port = 10993\n  }\n"
			 "  inet_listener extra {\n    port = 1143\n  }\n}\n"
			 "default_login_user = nobody\n"
			 "passdb_static {\n  passdb_master = yes\n}\n");
	assert_int_equal(config_block_count(s, BLOCK_passdb), 2);
	const struct config_scope *file = config_block_at(s, BLOCK_passdb, 0);
	const struct config_scope *fixed = config_block_at(s, BLOCK_passdb, 1);
	assert_text(config_str(file, SET_passdb_driver), "passwd-file");
	assert_text(config_str(file, SET_passwd_file_path), "/etc/users");
	assert_text(config_str(s, SET_passwd_file_path), "");
	assert_true(config_bool(file, SET_passdb_deny));
	assert_false(config_bool(file, SET_passdb_master));
	assert_text(config_str(fixed, SET_passdb_static_password), "secret");
	assert_true(config_list_has(fixed, SET_passdb_fields, STR("x y")));
	assert_false(config_bool(fixed, SET_passdb_use_cache)); /* merged by name */
	assert_true(config_bool(fixed, SET_passdb_master));     /* from passdb_static */

	const struct config_scope *imap =
		config_scope(f.cfg, &(struct config_place){ .protocol = STR("imap") });
	assert_int_equal(config_block_count(imap, BLOCK_passdb), 3);
	assert_text(config_scope_name(config_block_at(imap, BLOCK_passdb, 0)), "first");

	const struct config_scope *inbox = config_block_get(s, BLOCK_namespace, STR("inbox"));
	const struct config_scope *sent = config_block_get(inbox, BLOCK_mailbox, STR("Sent Mail"));
	assert_int_equal(config_enum(sent, SET_mailbox_auto), 1);
	assert_true(config_list_has(sent, SET_mailbox_special_use, STR("\\Sent")));
	assert_null(config_block_get(inbox, BLOCK_mailbox, STR("Sent")));

	const struct config_scope *login = config_block_get(s, BLOCK_service, STR("imap-login"));
	assert_text(config_str(login, SET_service_user), "nobody");
	assert_int_equal(config_u64(login, SET_service_process_limit), 6);
	assert_int_equal(config_u64(login, SET_service_client_limit), 1000);
	assert_int_equal(config_block_count(login, BLOCK_inet_listener), 3);
	const struct config_scope *imaps =
		config_block_get(login, BLOCK_inet_listener, STR("imaps"));
	assert_int_equal(config_port(imaps, SET_inet_listener_port), 10993);
	assert_true(config_bool(imaps, SET_inet_listener_ssl));
	assert_text(config_str(imaps, SET_inet_listener_listen), "* ::");
	done(&f);
}

static void groups_are_defaults(void **state)
{
	(void)state;
	struct fixture f;
	const struct config_scope *s = load_ok(&f,
		VERSIONS "fs_compress_write_method = lz4\n"
			 "@fs_defaults = local\n@fs_dictmap_defaults = sqlite\n"
			 "group @mine one {\n  login_greeting = group\n  protocol imap {\n"
			 "    mail_home = /g\n  }\n}\n"
			 "@mine = two\n@mine = one\n@mailbox_defaults = english\n");
	assert_text(config_str(s, SET_login_greeting), "group");
	assert_text(config_str(s, SET_fs_compress_write_method), "lz4"); /* set beats group */
	static const char *const drivers[] = { "compress", "dictmap", "posix" };
	const struct config_scope *fs = config_block_get(s, BLOCK_obox, STR_NONE);
	for (size_t i = 0; i < ARRAY_COUNT(drivers); i++) {
		assert_int_equal(config_block_count(fs, BLOCK_fs), 1);
		fs = config_block_at(fs, BLOCK_fs, 0);
		assert_text(config_str(fs, SET_fs_driver), drivers[i]);
		assert_int_equal(config_block_count(fs, BLOCK_dict), i == 1);
		if (i == 1)
			assert_text(config_str(config_block_at(fs, BLOCK_dict, 0), SET_sqlite_path),
				"catalog/%{shard}.sqlite");
	}
	assert_int_equal(config_block_count(fs, BLOCK_fs), 0);
	const struct config_scope *inbox = config_block_get(s, BLOCK_namespace, STR("inbox"));
	assert_int_equal(config_block_count(inbox, BLOCK_mailbox), 4);
	done(&f);
}

static void references_follow_settings(void **state)
{
	(void)state;
	struct fixture f;
	const struct config_scope *s =
		load_ok(&f, VERSIONS "mail_home = $SET:mail_path\nmail_path = $SET:instance_name\n"
				     "service imap {\n  client_limit = 7\n}\n"
				     "default_client_limit = $SET:service/imap/client_limit\n");
	assert_text(config_str(s, SET_mail_home), "pombal");
	assert_int_equal(config_u64(s, SET_default_client_limit), 7);
	done(&f);
	assert_problems(VERSIONS "mail_home = $SET:mail_path\nmail_path = $SET:mail_home\n",
		"(text):4:13: Error: Chained $SET:mail_home loops back to itself\n");
}

/* ---- layers ---- */

static void overrides_are_strongest(void **state)
{
	(void)state;
	struct fixture f;
	static const char *const overrides[] = { "ssl=no", "service/imap/client_limit=5",
		"namespace/in\\sbox/separator=.", "namespace/inbox/separator=.",
		"mail_plugins+=x y", "@mailbox_defaults=english", "userdb/static/fields/home=/over",
		NULL };
	assert_int_equal(
		load(&f,
			VERSIONS "@mailbox_defaults = english\nssl = yes\nmail_plugins = "
				 "a\nprotocol imap {\n ssl = yes\n}\n"
				 "userdb static {\n fields {\n  home = /x\n  uid = 5\n }\n}\n",
			overrides),
		ERR_NONE);
	const struct config_scope *s =
		config_scope(f.cfg, &(struct config_place){ .protocol = STR("imap") });
	assert_text(config_str(s, SET_ssl), "no");
	assert_int_equal(config_u64(config_block_get(s, BLOCK_service, STR("imap")),
				 SET_service_client_limit),
		5);
	assert_text(config_str(config_block_get(s, BLOCK_namespace, STR("in/box")),
			    SET_namespace_separator),
		".");
	assert_true(config_list_has(s, SET_mail_plugins, STR("a")));
	assert_true(config_list_has(s, SET_mail_plugins, STR("y")));
	assert_non_null(config_block_get(s, BLOCK_namespace, STR("inbox")));

	/* A user's fields lie between the files and the command line. */
	struct str fields[] = { STR("home=/h"), STR("ssl=required"), STR("mail_path=$ENV:SECRET"),
		STR("set/mail_max_keyword_length=9"), STR("namespace/inbox/prefix=<file") };
	struct config_scope *user;
	assert_int_equal(config_scope_new(&f.op, s, fields, ARRAY_COUNT(fields), &user), ERR_NONE);
	assert_text(config_str(user, SET_ssl), "no");
	assert_text(config_str(user, SET_mail_path), "$ENV:SECRET");
	assert_int_equal(config_u64(user, SET_mail_max_keyword_length), 9);
	assert_text(config_str(config_block_get(user, BLOCK_namespace, STR("inbox")),
			    SET_namespace_prefix),
		"<file");
	assert_text(config_str(s, SET_mail_path), "");
	config_scope_free(user);

	struct str wrong[] = { STR("set/mail_hoem=x") };
	assert_int_equal(config_scope_new(&f.op, s, wrong, 1, &user), ERR_INVALID);
	assert_string_equal(f.op.failure.text, "userdb field: Unknown setting: mail_hoem");
	done(&f);
}

static void snapshots_say_the_same(void **state)
{
	(void)state;
	struct fixture f;
	(void)load_ok(&f,
		VERSIONS "@fs_defaults = local\nremote 10.0.0.0/8 {\n  login_greeting = ten\n"
			 "  protocol imap {\n    mail_plugins = a b\n  }\n}\n"
			 "ssl_server_key_file = inline:KEY\n");
	AUTO_BUF(bytes, 0);
	config_write_snapshot(f.cfg, CONFIG_READER_ALL, &bytes);
	struct config *copy;
	assert_int_equal(config_read_snapshot(&f.op, buf_str(&bytes), &copy), ERR_NONE);
	struct config_place place = { .remote_ip = STR("10.0.0.1"), .protocol = STR("imap") };
	const struct config_scope *s = config_scope(copy, &place);
	assert_text(config_str(s, SET_login_greeting), "ten");
	assert_true(config_list_has(s, SET_mail_plugins, STR("b")));
	assert_text(config_file(s, SET_ssl_server_key_file), "KEY");
	assert_int_equal(
		config_block_count(config_block_get(s, BLOCK_obox, STR_NONE), BLOCK_fs), 1);
	AUTO_BUF(again, 0);
	config_write_snapshot(copy, CONFIG_READER_ALL, &again);
	assert_true(str_eq(buf_str(&bytes), buf_str(&again)));
	config_unref(copy);

	/* Every cut and many damaged bytes are refused or harmless. */
	for (size_t n = 0; n < bytes.n; n += 7) {
		assert_int_equal(
			config_read_snapshot(&f.op, str_slice(buf_str(&bytes), 0, n), &copy),
			ERR_CORRUPT);
	}
	for (size_t i = 16; i < bytes.n; i += 11) {
		again.p[i] ^= 0x55;
		if (config_read_snapshot(&f.op, buf_str(&again), &copy) == ERR_NONE) {
			(void)config_scope(copy, &place);
			config_unref(copy);
		}
		again.p[i] = bytes.p[i];
	}
	done(&f);
}

/* Who sets nothing of his own shares the place of all others. */
static void users_without_overrides_share(void **state)
{
	(void)state;
	struct fixture f;
	const struct config_scope *s = load_ok(&f, VERSIONS);
	struct config_scope *user;
	struct str fields[] = { STR("home=/h"), STR("uid=1000"), STR("whatever=x") };
	assert_int_equal(config_scope_new(&f.op, s, fields, ARRAY_COUNT(fields), &user), ERR_NONE);
	assert_ptr_equal(user, s);
	config_scope_free(user);
	struct str wrong[] = { STR("@mailbox_defaults=x"), STR("set/@mailbox_defaults=x") };
	assert_int_equal(config_scope_new(&f.op, s, wrong, 2, &user), ERR_INVALID);
	assert_string_equal(f.op.failure.text,
		"userdb field: @mailbox_defaults: groups can't be changed for one user");
	wrong[1] = STR("protocol/imap/mail_home=/x");
	assert_int_equal(config_scope_new(&f.op, s, wrong, 2, &user), ERR_INVALID);
	assert_string_equal(f.op.failure.text,
		"userdb field: protocol: connection filters can't be set for one user");
	done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_is_read),
		cmocka_unit_test(every_default_parses),
		cmocka_unit_test(texts_quotes_and_lines),
		cmocka_unit_test(lists_replace_and_extend),
		cmocka_unit_test(a_place_is_found_in_every_filter),
		cmocka_unit_test(filters_by_address_and_name),
		cmocka_unit_test(blocks_prefixes_and_drivers),
		cmocka_unit_test(groups_are_defaults),
		cmocka_unit_test(references_follow_settings),
		cmocka_unit_test(overrides_are_strongest),
		cmocka_unit_test(snapshots_say_the_same),
		cmocka_unit_test(users_without_overrides_share),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
