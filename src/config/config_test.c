/* SPDX-License-Identifier: Apache-2.0 */
/* config/config_test.c - the language, scopes, overrides, groups, snapshots and messages. */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "config/config_private.h"
#include "config/show.h"

#define VERSIONS "dovecot_config_version = 3.1.0\ndovecot_storage_version = 3.1.0\n"

static const char *const environment[] = { "SECRET=from env", "NCPU=6", NULL };

struct fixture {
	struct arena arena;
	struct op op;
	struct config_problems problems;
	struct config *cfg;
};

static enum err load(struct fixture *f, const char *text, const char *const *overrides)
{
	arena_init(&f->arena, 0);
	op_init(&f->op, &f->arena, NULL, TIME_NEVER);
	f->cfg = NULL;
	struct config_load_args args = {
		.text = str_from(text), .overrides = overrides, .environment = environment
	};
	return config_load(&f->op, &args, &f->problems, &f->cfg);
}

static const struct config_scope *load_ok(struct fixture *f, const char *text)
{
	enum err e = load(f, text, NULL);
	if (e != ERR_NONE)
		print_message("%s\n", f->op.failure.text);
	assert_int_equal(e, ERR_NONE);
	return config_scope(f->cfg, NULL);
}

static void done(struct fixture *f)
{
	config_unref(f->cfg);
	arena_done(&f->arena);
}

static void assert_text(struct str got, const char *want)
{
	char z[8192];
	(void)snprintf(z, sizeof(z), "%.*s", STRF(got));
	assert_string_equal(z, want);
}

/* All problems of a text, as printed. */
static void assert_problems(const char *text, const char *want)
{
	struct fixture f;
	AUTO_BUF(out, 0);
	enum err e = load(&f, text, NULL);
	config_problems_print(&f.problems, &out);
	assert_text(buf_str(&out), want);
	assert_int_equal(e, f.problems.error_count ? ERR_INVALID : ERR_NONE);
	done(&f);
}

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

/* ---- files ---- */

static void write_file(struct fixture *f, const char *path, const char *text)
{
	assert_int_equal(file_replace(&f->op, path, str_from(text), 0600), ERR_NONE);
}

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

/* ---- documents ---- */

static const char *settings_path, *default_conf_path;

static void documents_are_current(void **state)
{
	(void)state;
	struct fixture f;
	if (!settings_path)
		skip();
	arena_init(&f.arena, 0);
	op_init(&f.op, &f.arena, NULL, TIME_NEVER);
	AUTO_BUF(committed, 0);
	AUTO_BUF(generated, 0);
	assert_int_equal(file_read(&f.op, settings_path, 1 << 20, &committed), ERR_NONE);
	config_show_reference(&generated);
	if (!str_eq(buf_str(&committed), buf_str(&generated)))
		fail_msg("docs/settings.md is old: doveconf --settings-reference > "
			 "docs/settings.md");

	struct config_load_args args = { .path = default_conf_path };
	enum err e = config_load(&f.op, &args, &f.problems, &f.cfg);
	assert_int_equal(f.problems.count, 0);
	assert_int_equal(e, ERR_NONE);
	done(&f);
}

/* The sheet's §12 backend, as far as its features exist. */
static void a_backend_of_the_platform(void **state)
{
	(void)state;
	struct fixture f;
	const struct config_scope *s = load_ok(&f,
		VERSIONS "protocols = imap pop3 lmtp submission sieve\n"
			 "mail_driver = obox\nmail_uid = vmail\nmail_gid = vmail\n"
			 "@mailbox_defaults = english\n@metric_defaults = backend\n"
			 "passdb static {\n  fields {\n    password = $ENV:SECRET\n  }\n}\n"
			 "userdb static {\n  allow_all_users = yes\n  fields {\n"
			 "    home = /var/vmail/%{user | domain}/%{user | username}\n  }\n}\n"
			 "login_trusted_networks = 10.1.0.0/24      # the proxies\n"
			 "mail_plugins = quota\n"
			 "namespace inbox {\n  inbox = yes\n  separator = /\n}\n");
	assert_int_equal(f.problems.count, 0);
	assert_int_equal(config_block_count(s, BLOCK_metric), 6);
	const struct config_scope *db = config_block_at(s, BLOCK_passdb, 0);
	size_t at = 0;
	struct config_item item;
	assert_true(config_list_next(db, SET_passdb_fields, &at, &item));
	assert_text(item.value, "from env");
	const struct config_scope *inbox = config_block_get(s, BLOCK_namespace, STR("inbox"));
	assert_true(config_bool(inbox, SET_namespace_inbox));
	assert_int_equal(config_block_count(inbox, BLOCK_mailbox), 4);
	done(&f);
}

/* The sheet's §12 proxy: nothing is refused, what is not there is noted. */
static void a_proxy_of_the_platform(void **state)
{
	(void)state;
	struct fixture f;
	const struct config_scope *s = load_ok(&f, VERSIONS
		"protocols = imap pop3 lmtp submission sieve\n"
		"ssl_server_cert_file = /etc/ssl/dovecot.crt\n"
		"ssl_server_key_file = /etc/ssl/dovecot.key\n"
		"login_trusted_networks = 10.0.0.0/8   # webmail\n"
		"haproxy_trusted_networks = 10.9.0.0/24\n"
		"service imap-login {\n  inet_listener imaps {\n    haproxy = yes\n  }\n}\n"
		"passdb ldap {\n  ldap_uris = ldap://dir.example.com\n"
		"  ldap_base = dc=example,dc=com\n  filter = (uid=%{user})\n  fields {\n"
		"    proxy = yes\n    host = backend.example.com\n    pass = $ENV:SECRET\n"
		"    destuser = %{user}\n    password = %{ldap:userPassword}\n"
		"    userdb_quota_storage_size = %{ldap:mailQuota | default('10G')}\n  }\n}\n"
		"@metric_defaults = proxy\nlmtp_proxy = yes\n"
		"service stats {\n  inet_listener http {\n    port = 9900\n  }\n}\n"
		"service doveadm {\n  inet_listener http {\n    port = 8080\n"
		"    ssl = yes\n  }\n}\ndoveadm_api_key = $ENV:SECRET\n");
	assert_int_equal(f.problems.count, 0);
	const struct config_scope *db = config_block_at(s, BLOCK_passdb, 0);
	assert_text(config_str(db, SET_passdb_driver), "ldap");
	assert_text(config_str(db, SET_passdb_ldap_filter), "(uid=%{user})");
	assert_true(config_list_has(db, SET_passdb_fields, STR("userdb_quota_storage_size")));
	assert_text(config_str(s, SET_doveadm_api_key), "from env");
	assert_int_equal(config_block_count(s, BLOCK_metric), 4);
	done(&f);
}

/* A reload is a new configuration; whoever holds the old one keeps it, scopes and all. */
static void an_old_configuration_stays_usable(void **state)
{
	(void)state;
	struct fixture f, g;
	char path[] = "/tmp/pombal-reload-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	(void)close(fd);
	arena_init(&f.arena, 0);
	op_init(&f.op, &f.arena, NULL, TIME_NEVER);
	arena_init(&g.arena, 0);
	op_init(&g.op, &g.arena, NULL, TIME_NEVER);
	struct config_load_args args = { .path = path, .reads_files = true };
	write_file(&f, path, VERSIONS "login_greeting = old\n");
	assert_int_equal(config_load(&f.op, &args, &f.problems, &f.cfg), ERR_NONE);
	struct config *held = config_ref(f.cfg);
	const struct config_scope *old = config_scope(held, NULL);

	write_file(&g, path, VERSIONS "login_greeting = new\nservice imap {\n}\n");
	assert_int_equal(config_load(&g.op, &args, &g.problems, &g.cfg), ERR_NONE);
	done(&f); /* its problems and its reference go; the held one stays */
	assert_text(config_str(config_scope(g.cfg, NULL), SET_login_greeting), "new");
	assert_text(config_str(old, SET_login_greeting), "old");
	assert_non_null(config_block_get(old, BLOCK_service, STR("imap")));

	/* A broken file gives no configuration at all. */
	struct config *none = NULL;
	write_file(&g, path, VERSIONS "login_greting = x\n");
	assert_int_equal(config_load(&g.op, &args, &g.problems, &none), ERR_INVALID);
	assert_null(none);
	config_unref(held);
	done(&g);
	(void)unlink(path);
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

int main(int argc, char **argv)
{
	if (argc > 2) {
		settings_path = argv[1];
		default_conf_path = argv[2];
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_is_read),
		cmocka_unit_test(every_default_parses),
		cmocka_unit_test(texts_quotes_and_lines),
		cmocka_unit_test(lists_replace_and_extend),
		cmocka_unit_test(filters_by_address_and_name),
		cmocka_unit_test(a_place_is_found_in_every_filter),
		cmocka_unit_test(blocks_prefixes_and_drivers),
		cmocka_unit_test(groups_are_defaults),
		cmocka_unit_test(references_follow_settings),
		cmocka_unit_test(overrides_are_strongest),
		cmocka_unit_test(snapshots_say_the_same),
		cmocka_unit_test(files_and_includes),
		cmocka_unit_test(all_mistakes_are_told_at_once),
		cmocka_unit_test(warnings_do_not_stop),
		cmocka_unit_test(hundred_problems_are_kept),
		cmocka_unit_test(shown_text_parses_to_the_same),
		cmocka_unit_test(one_setting_is_shown_by_path),
		cmocka_unit_test(documents_are_current),
		cmocka_unit_test(a_backend_of_the_platform),
		cmocka_unit_test(a_proxy_of_the_platform),
		cmocka_unit_test(an_old_configuration_stays_usable),
		cmocka_unit_test(users_without_overrides_share),
		cmocka_unit_test(explanations_say_why),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
