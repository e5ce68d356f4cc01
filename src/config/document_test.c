/* SPDX-License-Identifier: Apache-2.0 */
/* Whole configurations: the documents that are shipped, those of the platform, and one after another. */
#include "config/text_test.h"

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

int main(int argc, char **argv)
{
	if (argc > 2) {
		settings_path = argv[1];
		default_conf_path = argv[2];
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_are_current),
		cmocka_unit_test(a_backend_of_the_platform),
		cmocka_unit_test(a_proxy_of_the_platform),
		cmocka_unit_test(an_old_configuration_stays_usable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
