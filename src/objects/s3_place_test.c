/* SPDX-License-Identifier: Apache-2.0 */
/* URLs and settings of S3 stores. */
#include "objects/s3_private.h"

#include "base/test.h"

#include "config/config.h"
#include "objects/s3_test_private.h"

static void places(void **state)
{
	(void)state;
	static const struct {
		const char *url, *bucket;
		const char *origin, *root, *name, *prefix; /* origin NULL: refused */
	} cases[] = {
		{ "https://mails.s3.eu-1.amazonaws.com/", "", "https://mails.s3.eu-1.amazonaws.com",
			"/", "mails", "" },
		{ "https://mails.s3.eu-1.amazonaws.com/a%20b/c/", "",
			"https://mails.s3.eu-1.amazonaws.com", "/", "mails", "a b/c/" },
		{ "http://127.0.0.1:9000/x", "mails", "http://127.0.0.1:9000", "/mails", "mails",
			"x/" },
		{ "http://[::1]:9000", "mails", "http://[::1]:9000", "/mails", "mails", "" },
		{ "http://127.0.0.1:9000/x", "", NULL, "", "", "" },
		{ "http://[::1]:9000/x", "", NULL, "", "", "" },
		{ "http://localhost/x", "", NULL, "", "", "" },
		{ "http://a.example/x", "no/name", NULL, "", "", "" },
		{ "http://a.example/x?bucket=b", "b", NULL, "", "", "" },
		{ "http://a.example/../x", "b", NULL, "", "", "" },
		{ "http://a.example/%2e%2e/x", "b", NULL, "", "", "" },
		{ "ftp://a.example/", "b", NULL, "", "", "" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		AUTO_ARENA(arena, 0);
		struct op op;
		struct s3_place place;
		const struct s3_settings settings = { .url = str_from(cases[i].url),
			.bucket = str_from(cases[i].bucket) };
		op_init(&op, &arena, NULL, TIME_NEVER);
		enum err e = s3_place_parse(&op, &arena, &settings, &place);
		if (!cases[i].origin) {
			assert_err(e, ERR_INVALID);
			continue;
		}
		assert_ok(e);
		assert_str(place.origin, str_from(cases[i].origin));
		assert_str(place.root, str_from(cases[i].root));
		assert_str(place.bucket, str_from(cases[i].name));
		assert_str(place.key_prefix, str_from(cases[i].prefix));
	}
}

/* The innermost fs block of obox. */
static const struct config_scope *config_of(struct op *op, const char *text, struct config **cfg)
{
	struct config_problems problems;
	struct config_load_args args = { .text = str_printf(op->arena,
						 "dovecot_config_version = 2.4.0\n"
						 "dovecot_storage_version = 2.4.0\n%s",
						 text) };
	assert_ok(config_load(op, &args, &problems, cfg));
	const struct config_scope *scope =
		config_block_get(config_scope(*cfg, NULL), BLOCK_obox, STR_NONE);
	while (config_block_count(scope, BLOCK_fs) > 0)
		scope = config_block_at(scope, BLOCK_fs, 0);
	return scope;
}

static void check_configured(const char *text, const char *url, const char *region,
	const char *secret, int64_t timeout_us)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	struct config *cfg;
	struct s3_settings got;
	struct objects *store;
	op_init(&op, &arena, NULL, TIME_NEVER);
	const struct config_scope *scope = config_of(&op, text, &cfg);
	bool is_aws = config_is(scope, SET_fs_driver, STR("aws-s3"));
	const struct objects_driver *driver = is_aws ? &objects_aws_s3 : &objects_s3;
	assert_ok(s3_settings_of(&op, scope, driver, &got));
	assert_str(got.url, str_from(url));
	assert_str(got.region, str_from(region));
	assert_str(got.keys.secret, str_from(secret));
	assert_int_equal(got.keys.http.timeout_us[HTTP_READ], timeout_us);
	assert_ok(driver->open(&op, scope, STR_NONE, NULL, &store));
	objects_close(store);
	config_unref(cfg);
}

static void a_bucket_may_be_in_the_hosts_name(void *arg)
{
	struct world w;
	struct config *cfg;
	(void)arg;
	world_open(&w, "");
	then(&w, "204 No Content", "", "");
	script(&w);
	objects_close(w.store);
	const struct config_scope *scope = config_of(&w.op,
		str_printf(&w.arena,
			"@fs_defaults = s3\nfs_s3_url = http://k:s@mails.localhost:%u/a%%20b/\n",
			w.server.port)
			.p,
		&cfg);
	assert_ok(objects_s3.open(&w.op, scope, STR_NONE, NULL, &w.store));
	config_unref(cfg);
	assert_ok(objects_delete(&w.op, w.store, STR("u/k")));
	assert_true(sent(&w, 0, "DELETE /a%20b/u/k HTTP/1.1\r\nHost: mails.localhost:"));
	assert_true(sent(&w, 0, "\r\nauthorization: AWS k:"));
	world_close(&w);
}

static void configured(void *arg)
{
	(void)arg;
	check_configured("@fs_defaults = s3\n"
			 "fs_s3_url = https://k:s%2f@b.s3.example.com/pre\n",
		"https://k:s%2f@b.s3.example.com/pre", "", "s/", 10 * US_PER_SEC);
	check_configured("@fs_defaults = aws-s3\n"
			 "fs_s3_url = https://b.s3.eu-1.amazonaws.com\n"
			 "fs_s3_access_key = k\n"
			 "fs_aws_s3 {\n  fs_s3_region = eu-1\n}\n"
			 "fs_s3 {\n  fs_s3_secret = s\n  http_client_request_timeout = 3s\n}\n",
		"https://b.s3.eu-1.amazonaws.com", "eu-1", "s", 3 * US_PER_SEC);
	check_configured("obox {\n fs s3 {\n  url = http://127.0.0.1:9000/\n  bucket = b\n"
			 "  region = r\n  access_key = k\n  secret = s\n }\n}\n",
		"http://127.0.0.1:9000/", "r", "s", 10 * US_PER_SEC);
}

IN_TASK(a_bucket_may_be_in_the_hosts_name)
IN_TASK(configured)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bucket_may_be_in_the_hosts_name_),
		cmocka_unit_test(configured_),
		cmocka_unit_test(places),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
