/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of roles: what the services answer with, and who asks them when. */
#include "objects/aws_private.h"

#include "base/test.h"

#include <stdlib.h>

#include "base/file.h"
#include "http/test_server.h"
#include "objects/remote.h"

/* ---- answers ---- */

static struct op pure_op(struct arena *arena)
{
	struct op op;
	op_init(&op, arena, NULL, TIME_NEVER);
	return op;
}

static void metadata_answers(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	struct op op = pure_op(&arena);
	struct aws_fetched got;
	assert_ok(aws_json_read(&op,
		STR("{\n \"Code\" : \"Success\", \"LastUpdated\" : \"2012-04-26T16:39:16Z\",\n"
		    " \"Type\" : \"AWS-HMAC\", \"AccessKeyId\" : \"ASIAIOSFODNN7EXAMPLE\",\n"
		    " \"SecretAccessKey\" : \"wJalr/K7MDENG\", \"Token\" : \"IQo+/=\",\n"
		    " \"Expiration\" : \"2012-05-17T15:09:54Z\"\n}"),
		&got));
	assert_str(got.keys.access_key, STR("ASIAIOSFODNN7EXAMPLE"));
	assert_str(got.keys.secret, STR("wJalr/K7MDENG"));
	assert_str(got.keys.token, STR("IQo+/="));
	assert_int_equal(got.ends_wall_us, INT64_C(1337267394) * US_PER_SEC);
	assert_err(aws_json_read(&op,
			   STR("{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"no\"}"),
			   &got),
		ERR_UNAVAILABLE);
	assert_non_null(strstr(op.failure.text, "AssumeRoleUnauthorizedAccess"));
}

static void bad_metadata_answers(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "null", "[]", "{", "{}", "{\"AccessKeyId\":\"a\"}",
		"{\"AccessKeyId\":1,\"SecretAccessKey\":\"b\"}",
		"{\"AccessKeyId\":\"a\\r\\nx: y\",\"SecretAccessKey\":\"b\"}",
		"{\"AccessKeyId\":\"a b\",\"SecretAccessKey\":\"b\"}",
		"{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\",\"Expiration\":\"tomorrow\"}",
		"{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\",\"Token\":\"\\u0000\"}" };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		AUTO_ARENA(arena, 0);
		struct op op = pure_op(&arena);
		struct aws_fetched got;
		assert_err(aws_json_read(&op, str_from(bad[i]), &got), ERR_CORRUPT);
	}
}

#define IDENTITY(inner)                                                                            \
	"<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"  \
	"<AssumeRoleWithWebIdentityResult><Credentials>" inner "</Credentials>"                    \
	"</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"

static void identity_answers(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	struct op op = pure_op(&arena);
	struct aws_fetched got;
	assert_ok(aws_xml_read(&op,
		STR(IDENTITY("<SessionToken>t</SessionToken><SecretAccessKey>s</SecretAccessKey>"
			     "<Expiration>2012-05-17T15:09:54Z</Expiration>"
			     "<AccessKeyId>a</AccessKeyId>")),
		&got));
	assert_str(got.keys.token, STR("t"));
	assert_int_equal(got.ends_wall_us, INT64_C(1337267394) * US_PER_SEC);
	assert_err(aws_xml_read(&op,
			   STR("<ErrorResponse><Error><Code>ExpiredTokenException</Code>"
			       "<Message>m</Message></Error></ErrorResponse>"),
			   &got),
		ERR_UNAVAILABLE);
	assert_err(aws_xml_read(&op, STR("<html></html>"), &got), ERR_CORRUPT);
	assert_err(aws_xml_read(&op, STR(IDENTITY("")), &got), ERR_CORRUPT);
}

/* ---- a service ---- */

struct world {
	struct arena arena;
	struct op op;
	struct test_server server;
	struct act acts[12];
	size_t act_count;
	struct aws_source *source;
};

static void then(struct world *w, const char *status, struct str body)
{
	ASSERT(w->act_count < ARRAY_COUNT(w->acts));
	w->acts[w->act_count++].reply = str_printf(&w->arena,
		"HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%.*s", status, body.n, STRF(body));
}

/* Keys called `name` that end `life_us` from now. */
static void then_keys(struct world *w, const char *name, int64_t life_us)
{
	then(w, "200 OK",
		str_printf(&w->arena,
			"{\"Code\":\"Success\",\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"s\","
			"\"Token\":\"t\",\"Expiration\":\"%.*s\"}",
			name, STRF(remote_iso_time(&w->arena, now_wall_us() + life_us))));
}

static void then_metadata(struct world *w, const char *name, int64_t life_us)
{
	then(w, "200 OK", STR("metadata-token"));
	then_keys(w, name, life_us);
}

static struct aws_source_settings settings_of(struct world *w)
{
	return (struct aws_source_settings){ .role = STR("mail role"),
		.role_host = str_printf(&w->arena, "127.0.0.1:%u", w->server.port),
		.http = http_settings_default(),
		.timeout_us = 20 * US_PER_SEC,
		.attempts_max = 2 };
}

static void world_open(struct world *w)
{
	*w = (struct world){ 0 };
	arena_init(&w->arena, 0);
	op_init(&w->op, &w->arena, NULL, now_us() + 60 * US_PER_SEC);
	test_server_open(&w->server, NULL, w->acts, 0);
	struct aws_source_settings settings = settings_of(w);
	assert_ok(aws_source_open(&w->op, &settings, &w->source));
}

static void script(struct world *w)
{
	test_server_script(&w->server, w->acts, w->act_count);
}

static void world_close(struct world *w)
{
	aws_source_close(w->source);
	test_server_close(&w->server);
	arena_done(&w->arena);
}

static bool sent(const struct world *w, size_t request, const char *text)
{
	assert_true(request < w->server.request_count);
	return str_find_ci(str_from(w->server.requests[request]), str_from(text)) >= 0;
}

static enum err ask_task(struct op *op, void *arg)
{
	struct world *w = arg;
	struct aws_keys keys;
	TRY(aws_source_keys(op, w->source, &keys));
	assert_str(keys.access_key, STR("first"));
	return ERR_NONE;
}

static void many_askers_are_one_request(void *arg)
{
	struct world w;
	(void)arg;
	world_open(&w);
	then_metadata(&w, "first", 3600 * US_PER_SEC);
	script(&w);
	struct task_group *g = task_group_new(&w.op);
	for (int i = 0; i < 10; i++)
		task_group_start(g, "asker", ask_task, &w);
	assert_ok(task_group_finish(&w.op, g));
	assert_int_equal(w.server.request_count, 2);
	assert_true(sent(&w, 0, "PUT /latest/api/token HTTP/1.1\r\n"));
	assert_true(sent(&w, 0, "\r\nX-aws-ec2-metadata-token-ttl-seconds: 21600\r\n"));
	assert_true(sent(
		&w, 1, "GET /latest/meta-data/iam/security-credentials/mail%20role HTTP/1.1\r\n"));
	assert_true(sent(&w, 1, "\r\nX-aws-ec2-metadata-token: metadata-token\r\n"));
	world_close(&w);
}

static void keys_are_renewed_before_they_end(void *arg)
{
	struct world w;
	struct aws_keys keys;
	(void)arg;
	world_open(&w);
	then_metadata(&w, "first", 4 * US_PER_SEC);
	then_metadata(&w, "second", 3600 * US_PER_SEC);
	script(&w);
	assert_ok(aws_source_keys(&w.op, w.source, &keys));
	assert_str(keys.access_key, STR("first"));
	uint64_t generation = keys.generation;
	/* Nobody who asks meanwhile waits: there are keys all the time. */
	while (keys.generation == generation) {
		assert_ok(task_sleep(&w.op, 20 * US_PER_MS));
		assert_ok(aws_source_keys(&w.op, w.source, &keys));
	}
	assert_str(keys.access_key, STR("second"));
	assert_int_equal(w.server.request_count, 4);
	world_close(&w);
}

static void refused_keys_are_replaced(void *arg)
{
	struct world w;
	struct aws_keys keys;
	(void)arg;
	world_open(&w);
	then_metadata(&w, "first", 3600 * US_PER_SEC);
	then_metadata(&w, "second", 3600 * US_PER_SEC);
	script(&w);
	assert_ok(aws_source_keys(&w.op, w.source, &keys));
	/* A server that refuses what just came would refuse what comes next. */
	assert_false(aws_source_refuse(w.source, keys.generation));
	w.source->fetched_us -= 60 * US_PER_SEC;
	assert_true(aws_source_refuse(w.source, keys.generation));
	assert_ok(aws_source_keys(&w.op, w.source, &keys));
	assert_str(keys.access_key, STR("second"));
	/* A late refusal of the first does not hurt the second. */
	assert_true(aws_source_refuse(w.source, keys.generation - 1));
	assert_ok(aws_source_keys(&w.op, w.source, &keys));
	assert_int_equal(w.server.request_count, 4);
	world_close(&w);
}

static void failures_are_told_and_tried_again(void *arg)
{
	struct world w;
	struct aws_keys keys;
	(void)arg;
	world_open(&w);
	then(&w, "200 OK", STR("metadata-token"));
	then(&w, "404 Not Found", STR("no"));
	then(&w, "200 OK", STR("bad\x01token"));
	then_metadata(&w, "ended", -10 * US_PER_SEC);
	then_metadata(&w, "first", 3600 * US_PER_SEC);
	script(&w);
	static const char *const words[] = { "knows no role mail role", "asked for a token",
		"ended already" };
	for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
		assert_err(aws_source_keys(&w.op, w.source, &keys), ERR_UNAVAILABLE);
		assert_non_null(strstr(w.op.failure.text, words[i]));
		/* At once: the same answer, without a request. */
		size_t requests = w.server.request_count;
		assert_err(aws_source_keys(&w.op, w.source, &keys), ERR_UNAVAILABLE);
		assert_int_equal(w.server.request_count, requests);
		assert_ok(task_sleep(&w.op, US_PER_SEC));
	}
	assert_ok(aws_source_keys(&w.op, w.source, &keys));
	world_close(&w);
}

static void a_source_may_end_while_it_asks(void *arg)
{
	struct world w;
	(void)arg;
	world_open(&w);
	w.acts[w.act_count++].then = THEN_HANG;
	script(&w);
	struct op op = w.op;
	struct aws_keys keys;
	op.deadline_us = now_us() + 50 * US_PER_MS;
	assert_err(aws_source_keys(&op, w.source, &keys), ERR_TIMEOUT);
	world_close(&w);
}

static void containers_and_identities(void *arg)
{
	struct world w;
	struct aws_keys keys;
	char path[] = "/tmp/aws-keys-test-XXXXXX";
	(void)arg;
	world_open(&w);
	aws_source_close(w.source);
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_ok(file_write_all(&w.op, fd, STR("file.token+\n")));
	struct aws_source_settings settings = settings_of(&w);
	settings.role = STR_NONE;
	settings.container_url = str_printf(&w.arena, "http://127.0.0.1:%u/v2/x", w.server.port);
	settings.container_token_file = str_from(path);
	then_keys(&w, "first", 3600 * US_PER_SEC);
	then(&w, "200 OK",
		STR(IDENTITY("<AccessKeyId>web</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
			     "<SessionToken>t</SessionToken>")));
	script(&w);
	assert_ok(aws_source_open(&w.op, &settings, &w.source));
	assert_ok(aws_source_keys(&w.op, w.source, &keys));
	assert_str(keys.access_key, STR("first"));
	assert_true(sent(&w, 0, "GET /v2/x HTTP/1.1\r\n"));
	assert_true(sent(&w, 0, "\r\nAuthorization: file.token+\r\n"));
	aws_source_close(w.source);

	settings.container_url = STR_NONE;
	settings.identity_role = STR("arn:aws:iam::1:role/x");
	settings.identity_token_file = str_from(path);
	settings.identity_url = str_printf(&w.arena, "http://127.0.0.1:%u/", w.server.port);
	assert_ok(aws_source_open(&w.op, &settings, &w.source));
	assert_ok(aws_source_keys(&w.op, w.source, &keys));
	assert_str(keys.access_key, STR("web"));
	assert_true(sent(&w, 1,
		"\r\n\r\nAction=AssumeRoleWithWebIdentity&Version=2011-06-15&"
		"RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fx&RoleSessionName=pombal&"
		"WebIdentityToken=file.token%2B"));
	aws_source_close(w.source);

	assert_int_equal(unlink(path), 0);
	assert_ok(aws_source_open(&w.op, &settings, &w.source));
	assert_err(aws_source_keys(&w.op, w.source, &keys), ERR_UNAVAILABLE);
	assert_non_null(strstr(w.op.failure.text, path));
	close(fd);
	world_close(&w);
}

static void half_a_source_is_refused(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	struct op op = pure_op(&arena);
	struct aws_source *source;
	const struct aws_source_settings bad[] = { { .timeout_us = 1 }, { .access_key = STR("a") },
		{ .secret = STR("s") }, { .identity_role = STR("r") },
		{ .identity_token_file = STR("f") } };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_err(aws_source_open(&op, &bad[i], &source), ERR_INVALID);
}

#define IN_TASK(fn)                                                                                \
	static void fn##_(void **state)                                                            \
	{                                                                                          \
		test_in_task(fn, *state);                                                          \
	}
IN_TASK(many_askers_are_one_request)
IN_TASK(keys_are_renewed_before_they_end)
IN_TASK(refused_keys_are_replaced)
IN_TASK(failures_are_told_and_tried_again)
IN_TASK(a_source_may_end_while_it_asks)
IN_TASK(containers_and_identities)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metadata_answers),
		cmocka_unit_test(bad_metadata_answers),
		cmocka_unit_test(identity_answers),
		cmocka_unit_test(many_askers_are_one_request_),
		cmocka_unit_test(keys_are_renewed_before_they_end_),
		cmocka_unit_test(refused_keys_are_replaced_),
		cmocka_unit_test(failures_are_told_and_tried_again_),
		cmocka_unit_test(a_source_may_end_while_it_asks_),
		cmocka_unit_test(containers_and_identities_),
		cmocka_unit_test(half_a_source_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
