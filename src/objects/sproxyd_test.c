/* SPDX-License-Identifier: Apache-2.0 */
/* sproxyd's driver against a server that follows a script. */
#include "objects/script_test_private.h"

#define REPLY(status, headers, length, body)                                                       \
	STR("HTTP/1.1 " #status " X\r\n" headers "Content-Length: " #length "\r\n\r\n" body)
/* of u1/mails/a, class 2 */
#define PATH "/proxy/x/2FFDE56B92DF0C7ABDA99CA3B1FCCC8382010020"

static void world_open(struct world *w, const char *query, const struct act *acts, size_t count)
{
	world_listen(w, acts, count);
	assert_ok(objects_open_text(&w->op,
		str_printf(&w->arena, "sproxyd(http://me:p%%2Fw@127.0.0.1:%u/proxy/x/%s)",
			w->server.port, query),
		&w->store));
}

static enum err put(struct world *w)
{
	const struct str parts[] = { STR("hel"), STR("lo") };
	const struct object_meta meta[] = { { STR("guid"), STR("12") } };
	return objects_put(
		&w->op, w->store, &(struct object_put){ STR("u1/mails/a"), parts, 2, meta, 1 });
}

static void run_requests(void *arg)
{
	struct str out;
	struct object_meta *meta;
	size_t count;
	SCRIPT("", { REPLY(200, "", 0, "") }, { REPLY(200, "", 5, "hello") },
		{ REPLY(206, "Content-Range: bytes 1-2/5\r\n", 2, "el") },
		{ REPLY(200, "x-object-META-dovecot-mailbox-guid: 1\r\nETag: x\r\n", 5, "") },
		{ REPLY(200, "", 0, "") }, { REPLY(404, "", 0, "") });
	assert_ok(put(&w));
	SAW(0, "PUT " PATH " HTTP/1.1\r\n");
	SAW(0, "Authorization: Basic bWU6cC93\r\n");
	SAW(0, "If-None-Match: *\r\n");
	SAW(0, "X-Object-meta-dovecot-guid: 12\r\n");
	SAW(0, "\r\n\r\nhello");
	assert_ok(objects_get(&w.op, w.store, STR("u1/mails/a"), SIZE_MAX, &out));
	assert_str(out, STR("hello"));
	SAW(1, "GET " PATH " HTTP/1.1\r\n");
	assert_ok(objects_get_range(&w.op, w.store, STR("u1/mails/a"), 1, 2, &out));
	SAW(2, "Range: bytes=1-2\r\n");
	assert_ok(objects_metadata(&w.op, w.store, STR("u1/mails/a"), &meta, &count));
	assert_int_equal(count, 1);
	assert_str(meta[0].name, STR("mailbox-guid"));
	assert_ok(objects_delete(&w.op, w.store, STR("u1/mails/a")));
	SAW(4, "DELETE " PATH " HTTP/1.1\r\n");
	assert_err(objects_get(&w.op, w.store, STR("u1/mails/a"), 9, &out), ERR_NOT_FOUND);
	world_close(&w);
}
static void requests_are_as_the_ring_wants_them(void **state)
{
	(void)state;
	test_in_task(run_requests, NULL);
}

static void run_page(void *arg)
{
	struct str out;
	SCRIPT("", { REPLY(200, "Content-Type: text/html; charset=utf-8\r\n", 6, "<html>") });
	assert_err(put(&w), ERR_UNAVAILABLE);
	assert_err(objects_get(&w.op, w.store, STR("u1/mails/a"), SIZE_MAX, &out), ERR_UNAVAILABLE);
	world_close(&w);
}
static void a_web_page_is_no_object(void **state)
{
	(void)state;
	test_in_task(run_page, NULL);
}

static void run_path(void *arg)
{
	struct str out;
	SCRIPT("?by_path=1&class=1", { REPLY(200, "", 5, "hello") });
	assert_ok(objects_get(&w.op, w.store, STR("u 1/mails/a"), SIZE_MAX, &out));
	SAW(0, "GET /proxy/x/u%201/mails/a HTTP/1.1\r\n");
	world_close(&w);
}
static void paths_may_be_used_instead(void **state)
{
	(void)state;
	test_in_task(run_path, NULL);
}

static void run_locked(void *arg)
{
	SCRIPT("", { REPLY(423, "", 0, "") }, { REPLY(200, "", 0, "") },
		/* the first attempt did it */
		{ REPLY(503, "", 0, "") }, { REPLY(404, "", 0, "") },
		/* put: it is ours, it is another's */
		{ REPLY(503, "", 0, "") }, { REPLY(412, "", 0, "") },
		{ REPLY(200, "", 5, "hello") }, { REPLY(503, "", 0, "") },
		{ REPLY(412, "", 0, "") }, { REPLY(200, "", 6, "hellos") },
		{ REPLY(412, "", 0, "") }, { REPLY(404, "", 0, "") });
	assert_ok(objects_delete(&w.op, w.store, STR("u1/mails/a")));
	assert_int_equal(w.server.request_count, 2);
	assert_ok(objects_delete(&w.op, w.store, STR("u1/mails/a")));
	assert_ok(put(&w));
	assert_err(put(&w), ERR_EXISTS);
	assert_err(put(&w), ERR_EXISTS);
	assert_err(put(&w), ERR_UNAVAILABLE);
	assert_non_null(strstr(w.op.failure.text, "alias"));
	world_close(&w);
}
static void locked_is_asked_again(void **state)
{
	(void)state;
	test_in_task(run_locked, NULL);
}

static void run_avoid(void *arg)
{
	SCRIPT("?avoid_423=300", { REPLY(200, "", 0, "") });
	struct str keys[9];
	int64_t start = now_us();
	assert_ok(put(&w));
	for (size_t i = 0; i < 8; i++)
		keys[i + 1] = str_printf(&w.arena, "u/mails/%zu", i);
	keys[0] = STR("u1/mails/a");
	assert_ok(objects_delete(&w.op, w.store, STR("u2/mails/untouched")));
	assert_true(now_us() - start < 300 * US_PER_MS);
	/* What was touched waits, and is the last. */
	assert_ok(objects_delete_many(&w.op, w.store, keys, ARRAY_COUNT(keys)));
	assert_true(now_us() - start >= 300 * US_PER_MS);
	assert_int_equal(w.server.request_count, 11);
	SAW(10, "DELETE " PATH " HTTP/1.1\r\n");
	/* A deadline goes before the wait. */
	assert_ok(put(&w));
	w.op.deadline_us = now_us() + 250 * US_PER_MS;
	assert_ok(objects_delete(&w.op, w.store, STR("u1/mails/a")));
	world_close(&w);
}
static void what_was_just_touched_is_deleted_later(void **state)
{
	(void)state;
	test_in_task(run_avoid, NULL);
}

static enum err no_key(struct op *op, struct str key, const struct object_info *info, void *arg)
{
	(void)op;
	(void)key;
	(void)info;
	(void)arg;
	fail();
	return ERR_NONE;
}

static void run_refusals(void *arg)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	struct objects *store;
	(void)arg;
	op_init(&op, &arena, NULL, TIME_NEVER);
	static const char *const bad[] = { "sproxyd()", "sproxyd(ftp://h/x)",
		"sproxyd(http://h/x?class=16)", "sproxyd(http://h/x?class=a)",
		"sproxyd(http://h/x?what=1)", "sproxyd(http://h/x?ca=/nowhere)" };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_true(objects_open_text(&op, str_from(bad[i]), &store) != ERR_NONE);
	assert_ok(objects_open_text(&op, STR("sproxyd(http://127.0.0.1:1/x)"), &store));
	assert_err(objects_iter(&op, store, STR(""), no_key, NULL), ERR_UNSUPPORTED);
	objects_close(store);
}
static void what_cannot_be_done_is_refused(void **state)
{
	(void)state;
	test_in_task(run_refusals, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_web_page_is_no_object),
		cmocka_unit_test(requests_are_as_the_ring_wants_them),
		cmocka_unit_test(paths_may_be_used_instead),
		cmocka_unit_test(locked_is_asked_again),
		cmocka_unit_test(what_was_just_touched_is_deleted_later),
		cmocka_unit_test(what_cannot_be_done_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
