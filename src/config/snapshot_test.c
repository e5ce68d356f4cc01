/* SPDX-License-Identifier: Apache-2.0 */
/* config/snapshot_test.c - what each role is told of the configuration. */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config/config_private.h"

#define VERSIONS "dovecot_config_version = 3.1.0\ndovecot_storage_version = 3.1.0\n"

/* A word of its own in every place where settings can stand. */
static const char text[] =
	VERSIONS "login_greeting = for-all\n"
		 "ssl_server_key_file = inline:tls-a\n"
		 "local_name a.example {\n  ssl_server_key_file = inline:tls-b\n}\n"
		 "fs_s3_secret = store-a\n"
		 "protocol imap {\n  fs_s3_secret = store-b\n}\n"
		 "group @fs_defaults mine {\n  cassandra_password = store-c\n}\n"
		 "@fs_defaults = mine\n"
		 "passdb one {\n  driver = static\n  passdb_static_password = pass-a\n"
		 "  fs_azure_account_key = store-d\n  fields {\n    x = pass-b\n  }\n}\n"
		 "fs_http_add_headers {\n  Authorization = store-e\n}\n"
		 "crypt_global_private_key main {\n  crypt_private_key_file = inline:store-f\n}\n"
		 "doveadm_password = admin-a\n"
		 "doveadm_api_key = nobody-a\n";

struct fixture {
	struct arena arena;
	struct op op;
	struct config *cfg;
};

static void setup(struct fixture *f)
{
	struct config_problems problems;
	struct config_load_args args = { .text = str_from(text), .reads_files = true };
	static const char *const overrides[] = { "fs_azure_sas_token=store-g", NULL };
	args.overrides = overrides;
	arena_init(&f->arena, 0);
	op_init(&f->op, &f->arena, NULL, TIME_NEVER);
	enum err e = config_load(&f->op, &args, &problems, &f->cfg);
	if (e != ERR_NONE)
		print_message("%s\n", f->op.failure.text);
	assert_int_equal(e, ERR_NONE);
}

static void done(struct fixture *f)
{
	config_unref(f->cfg);
	arena_done(&f->arena);
}

static bool knows(const struct fixture *f, enum config_reader reader, const char *word)
{
	AUTO_BUF(bytes, 0);
	config_write_snapshot(f->cfg, reader, &bytes);
	return str_find(buf_str(&bytes), str_from(word)) >= 0;
}

static void each_role_is_told_its_own(void **state)
{
	(void)state;
	struct fixture f;
	const struct {
		const char *word;
		unsigned readers; /* a bit for each */
	} words[] = {
		{ "tls-a", 1u << CONFIG_READER_LOGIN | 1u << CONFIG_READER_DOVEADM },
		{ "tls-b", 1u << CONFIG_READER_LOGIN | 1u << CONFIG_READER_DOVEADM },
		{ "store-a", 1u << CONFIG_READER_MAIL },
		{ "store-b", 1u << CONFIG_READER_MAIL },
		{ "store-c", 1u << CONFIG_READER_MAIL },
		{ "store-d", 1u << CONFIG_READER_MAIL },
		{ "store-e", 1u << CONFIG_READER_MAIL },
		{ "store-f", 1u << CONFIG_READER_MAIL },
		{ "store-g", 1u << CONFIG_READER_MAIL },
		{ "pass-a", 1u << CONFIG_READER_AUTH },
		{ "pass-b", 1u << CONFIG_READER_AUTH },
		{ "admin-a", 1u << CONFIG_READER_MAIL | 1u << CONFIG_READER_DOVEADM },
		{ "nobody-a", 0 },
	};
	setup(&f);
	for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
		assert_true(knows(&f, CONFIG_READER_ALL, words[i].word));
		for (int r = 0; r < CONFIG_READER_COUNT; r++)
			assert_int_equal(knows(&f, (enum config_reader)r, words[i].word),
				(words[i].readers >> r & 1));
	}
	for (int r = 0; r < CONFIG_READER_COUNT; r++)
		assert_true(knows(&f, (enum config_reader)r, "for-all"));
	done(&f);
}

static void what_is_left_out_has_its_default(void **state)
{
	(void)state;
	struct fixture f;
	struct config *copy;
	AUTO_BUF(bytes, 0);
	setup(&f);
	config_write_snapshot(f.cfg, CONFIG_READER_LOGIN, &bytes);
	assert_int_equal(config_read_snapshot(&f.op, buf_str(&bytes), &copy), ERR_NONE);
	const struct config_scope *s = config_scope(copy, NULL);
	assert_false(config_is_set(s, SET_fs_s3_secret));
	assert_int_equal(config_str(s, SET_fs_s3_secret).n, 0);
	assert_int_equal(config_block_count(s, BLOCK_passdb), 1);
	assert_true(str_eq(config_file(s, SET_ssl_server_key_file), STR("tls-a")));
	config_unref(copy);
	done(&f);
}

/* A secret of which nobody said whose it is would be missed by the role that works with it. */
static void every_secret_is_for_somebody(void **state)
{
	(void)state;
	const unsigned for_some = CONFIG_FLAG_FOR_LOGIN | CONFIG_FLAG_FOR_AUTH |
				  CONFIG_FLAG_FOR_MAIL | CONFIG_FLAG_FOR_DOVEADM;
	for (unsigned i = 0; i < SET_COUNT; i++) {
		const struct config_row *row = config_row((enum config_setting)i);
		bool is_of_administrators = str_starts(row->name, STR("doveadm_"));
		if (!(row->flags & CONFIG_FLAG_SECRET) || (row->flags & CONFIG_FLAG_ABSENT))
			continue;
		if ((row->flags & for_some) == 0 && !is_of_administrators)
			fail_msg("%.*s is a secret for nobody", STRF(row->name));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_role_is_told_its_own),
		cmocka_unit_test(what_is_left_out_has_its_default),
		cmocka_unit_test(every_secret_is_for_somebody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
