/* SPDX-License-Identifier: Apache-2.0 */
/* Azure's driver against a service that follows a script: keys of Entra, lost answers, damage, statuses that
 * must not look like a missing mail. */
#include "objects/script_test_private.h"

#include "event/event.h"
#include "objects/azure_private.h"

#define REPLY(status, headers, length, body)                                                       \
	STR("HTTP/1.1 " #status " X\r\nx-ms-request-id: r\r\n" headers "Content-Length: " #length  \
	    "\r\n\r\n" body)
#define REFUSED(status, code) REPLY(status, "x-ms-error-code: " code "\r\n", 0, "")
#define TOKEN                 REPLY(200, "", 53, "{\"token_type\":\"Bearer\",\"access_token\":\"secret.token\"}")
/* base64(MD5("hello")) */
#define MD5_HELLO "XUFAKrxLKna5cZ2REBfFkg=="

static void world_open(struct world *w, const char *query, const struct act *acts, size_t count)
{
	world_listen(w, acts, count);
	struct str stack = str_printf(
		&w->arena, "azure(http://id:a2V5@127.0.0.1:%u/acc/mail%s", w->server.port, query);
	if (*query)
		stack = str_printf(
			&w->arena, "%.*shttp://127.0.0.1:%u", STRF(stack), w->server.port);
	stack = str_printf(&w->arena, "%.*s)", STRF(stack));
	assert_ok(objects_open_text(&w->op, stack, &w->store));
}

#define CLIENT "?tenant=t&login="

static enum err put(struct world *w, struct str body)
{
	return objects_put(&w->op, w->store,
		&(struct object_put){ .key = STR("u/mails/a"), .parts = &body, .part_count = 1 });
}

static enum err get(struct world *w, struct str *out)
{
	return objects_get(&w->op, w->store, STR("u/mails/a"), SIZE_MAX, out);
}

/* ---- user-delegation keys ---- */

/* A key that is good for `life_us` from now. */
static struct str key_reply(struct arena *a, int64_t life_us, const char *value)
{
	struct str body = str_printf(a,
		"<UserDelegationKey><SignedOid>o</SignedOid><SignedTid>t</SignedTid>"
		"<SignedStart>%.*s</SignedStart><SignedExpiry>%.*s</SignedExpiry><SignedService>b"
		"</SignedService><SignedVersion>2021-12-02</SignedVersion><Value>%s</Value>"
		"</UserDelegationKey>",
		STRF(remote_iso_time(a, now_wall_us() - US_PER_SEC)),
		STRF(remote_iso_time(a, now_wall_us() + life_us)), value);
	return str_printf(
		a, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%.*s", body.n, STRF(body));
}

static enum err get_in_group(struct op *op, void *arg)
{
	struct str out;
	struct world *w = arg;
	return objects_get(op, w->store, STR("u/mails/a"), SIZE_MAX, &out);
}

static enum err get_from_five(struct world *w)
{
	struct task_group *g = task_group_new(&w->op);
	for (int i = 0; i < 5; i++)
		task_group_start(g, "reader", get_in_group, w);
	return task_group_finish(&w->op, g);
}

static void run_key(void *arg)
{
	AUTO_ARENA(arena, 0);
	SCRIPT(CLIENT, { TOKEN }, { key_reply(&arena, 3600 * US_PER_SEC, "a2V5") },
		{ REPLY(200, "Content-MD5: " MD5_HELLO "\r\n", 5, "hello") });
	assert_ok(get_from_five(&w));
	assert_int_equal(w.server.request_count, 7);
	SAW(0, "POST /t/oauth2/v2.0/token HTTP/1.1\r\n");
	SAW(0, "grant_type=client_credentials&scope=https%3A%2F%2Fstorage.azure.com%2F.default&"
	       "client_id=id&client_secret=a2V5");
	SAW(1, "POST /acc/?restype=service&comp=userdelegationkey HTTP/1.1\r\n");
	SAW(1, "Authorization: Bearer secret.token\r\n");
	for (int i = 2; i < 7; i++) {
		SAW(i, "GET /acc/mail/u/mails/a?sp=r&se=");
		SAW(i, "&skoid=o&sktid=t&skt=");
		SAW(i, "&sv=2021-12-02&sr=b&sig=");
		SAW_NO(i, "Authorization");
	}
	world_close(&w);
}
static void many_share_one_key(void **state)
{
	(void)state;
	test_in_task(run_key, NULL);
}

static struct azure_keys *keys_of(struct world *w)
{
	return &azure_of(w->store)->keys;
}

static void run_refresh(void *arg)
{
	AUTO_ARENA(arena, 0);
	struct str out;
	SCRIPT(CLIENT, { TOKEN }, { key_reply(&arena, 3600 * US_PER_SEC, "a2V5") },
		{ REPLY(200, "", 5, "hello") }, { REPLY(400, "", 0, "") }, { TOKEN },
		{ key_reply(&arena, 7200 * US_PER_SEC, "bmV3") },
		{ REPLY(401, "", 26, "{\"error\":\"invalid_client\"}") });
	assert_ok(get(&w, &out));
	struct azure_keys *k = keys_of(&w);
	int64_t left = k->refresh_wall_us - now_wall_us();
	assert_true(left > 2600 * US_PER_SEC && left <= 2700 * US_PER_SEC);

	/* Time for the next one; Entra fails: the old one still serves. */
	const struct azure_delegation *d;
	k->refresh_wall_us = 0;
	assert_ok(azure_keys_get(&w.op, k, &d));
	while (task_is_alive(k->fetcher))
		task_yield();
	assert_int_equal(k->fetches, 2);
	assert_str(k->current.key, STR("key"));
	assert_true(k->refresh_wall_us > now_wall_us() + 50 * US_PER_SEC);

	/* It answers again: the new key takes over, and nobody waited for it. */
	k->refresh_wall_us = 0;
	assert_ok(azure_keys_get(&w.op, k, &d));
	assert_str(d->key, STR("key"));
	while (task_is_alive(k->fetcher))
		task_yield();
	assert_int_equal(k->fetches, 3);
	assert_str(k->current.key, STR("new"));

	/* Its end without a successor: who asks hears why, and it is asked for once. */
	k->current.expiry_wall_us = now_wall_us();
	assert_err(get_from_five(&w), ERR_UNAVAILABLE);
	assert_int_equal(w.server.request_count, 7);
	assert_non_null(strstr(w.op.failure.text, "invalid_client"));
	world_close(&w);
}
static void keys_are_replaced_before_their_end(void **state)
{
	(void)state;
	test_in_task(run_refresh, NULL);
}

static void run_revoked(void *arg)
{
	AUTO_ARENA(arena, 0);
	struct str out;
	SCRIPT(CLIENT, { TOKEN }, { key_reply(&arena, 3600 * US_PER_SEC, "a2V5") },
		{ REFUSED(403, "AuthenticationFailed") }, { REFUSED(403, "AuthenticationFailed") },
		{ TOKEN }, { key_reply(&arena, 3600 * US_PER_SEC, "bmV3") },
		{ REPLY(200, "", 5, "hello") });
	assert_err(get(&w, &out), ERR_UNAVAILABLE);
	assert_int_equal(w.server.request_count, 3); /* a key that is new is not doubted */
	keys_of(&w)->fetched_wall_us -= 3600 * US_PER_SEC;
	assert_ok(get(&w, &out));
	assert_str(out, STR("hello"));
	world_close(&w);
}
static void a_revoked_key_is_replaced(void **state)
{
	(void)state;
	test_in_task(run_revoked, NULL);
}

/* Something between us and Entra that answers with a page: no mail is damaged, and nobody asks on and on. */
static void run_captive_login(void *arg)
{
	struct str out;
	SCRIPT(CLIENT,
		{ STR("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n"
		      "<html>") });
	w.op.event = event_new(NULL, "test");
	event_set_str(w.op.event, "user", STR("jane"));
	assert_err(get(&w, &out), ERR_UNAVAILABLE);
	assert_err(get(&w, &out), ERR_UNAVAILABLE);
	assert_err(put(&w, STR("hello")), ERR_UNAVAILABLE);
	assert_int_equal(w.server.request_count, 1);
	SAW_NO(0, "jane"); /* whose mail it is, is no business of Entra's */
	event_unref(w.op.event);
	world_close(&w);
}
static void a_strange_answer_of_entra_hurts_no_mail(void **state)
{
	(void)state;
	test_in_task(run_captive_login, NULL);
}

/* ---- statuses ---- */

#define PAGE STR("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")
#define CUT                                                                                        \
	{                                                                                          \
		STR("HTTP/1.1 200 OK\r\nx-ms-request-id: r\r\nContent-Length: 9\r\n\r\nhel"),      \
			.then = THEN_CLOSE                                                         \
	}

static void run_pages_of_others(void *arg)
{
	struct str out;
	struct object_info info;
	SCRIPT("", { PAGE }, { STR("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n") }, CUT, CUT,
		/* a put that was refused, and nothing is there */
		{ REPLY(500, "", 0, "") }, { REFUSED(409, "BlobAlreadyExists") },
		{ REFUSED(404, "BlobNotFound") });
	assert_err(get(&w, &out), ERR_UNAVAILABLE);
	assert_non_null(strstr(w.op.failure.text, "fs_azure_url"));
	assert_err(objects_stat(&w.op, w.store, STR("k"), &info), ERR_UNAVAILABLE);
	/* Cut on its way: what is stored may be whole. */
	w.op.deadline_us = now_us() + 300 * US_PER_MS;
	assert_err(get(&w, &out), ERR_UNAVAILABLE);
	assert_int_equal(w.server.request_count, 4);
	w.op.deadline_us = now_us() + 20 * US_PER_SEC;
	assert_err(put(&w, STR("hello")), ERR_UNAVAILABLE);
	world_close(&w);
}
static void only_the_service_is_believed(void **state)
{
	(void)state;
	test_in_task(run_pages_of_others, NULL);
}

static void run_statuses(void *arg)
{
	struct str out;
	struct object_info info;
	SCRIPT("", { REFUSED(404, "BlobNotFound") }, { REFUSED(404, "ContainerNotFound") },
		{ REFUSED(404, "ResourceNotFound") }, { REFUSED(403, "AuthenticationFailed") },
		{ STR("HTTP/1.1 404 X\r\nContent-Length: 5\r\n\r\nproxy") },
		{ REPLY(404, "", 0, "") },
		{ REPLY(404, "", 45, "<Error><Code>BlobNotFound</Code></Error>     ") },
		{ REFUSED(404, "ContainerNotFound") }, { REFUSED(404, "ContainerNotFound") },
		{ REFUSED(409, "BlobAlreadyExists") }, { REFUSED(409, "ContainerBeingDeleted") });
	assert_err(get(&w, &out), ERR_NOT_FOUND);
	assert_err(get(&w, &out), ERR_UNAVAILABLE);
	assert_non_null(strstr(w.op.failure.text, "the container must be made before"));
	assert_err(get(&w, &out), ERR_UNAVAILABLE);
	assert_err(get(&w, &out), ERR_UNAVAILABLE);
	assert_non_null(strstr(w.op.failure.text, "credentials"));
	assert_err(get(&w, &out), ERR_UNAVAILABLE);
	assert_err(objects_stat(&w.op, w.store, STR("k"), &info), ERR_NOT_FOUND);
	assert_err(get(&w, &out), ERR_NOT_FOUND);
	assert_err(objects_delete(&w.op, w.store, STR("k")), ERR_UNAVAILABLE);
	assert_err(put(&w, STR("hello")), ERR_UNAVAILABLE);
	assert_err(put(&w, STR("hello")), ERR_EXISTS);
	assert_err(put(&w, STR("hello")), ERR_UNAVAILABLE);
	assert_err(objects_put(&w.op, w.store, &(struct object_put){ .key = STR("a\nb") }),
		ERR_INVALID);
	world_close(&w);
}
static void what_is_not_the_mails_fault_is_no_missing_mail(void **state)
{
	(void)state;
	test_in_task(run_statuses, NULL);
}

#define DAMAGED REPLY(200, "Content-MD5: " MD5_HELLO "\r\n", 5, "jello")
#define DAMAGED_PART(range)                                                                        \
	REPLY(206, "Content-Range: bytes " range "\r\nx-ms-blob-content-md5: " MD5_HELLO "\r\n",   \
		5, "jello")

static void run_damage(void *arg)
{
	struct str out;
	SCRIPT("", { REPLY(200, "Content-MD5: " MD5_HELLO "\r\n", 5, "hello") }, { DAMAGED },
		{ REPLY(200, "Content-MD5: " MD5_HELLO "\r\n", 5, "hello") }, { DAMAGED },
		{ DAMAGED }, { DAMAGED_PART("0-4/5") }, { DAMAGED_PART("0-4/5") },
		{ DAMAGED_PART("0-4/9") }, { DAMAGED_PART("1-5/9") });
	assert_ok(get(&w, &out));
	assert_ok(get(&w, &out)); /* damaged on the way: once more */
	assert_str(out, STR("hello"));
	assert_err(get(&w, &out), ERR_CORRUPT);
	assert_int_equal(w.server.request_count, 5);
	assert_err(objects_get(&w.op, w.store, STR("k"), 100, &out), ERR_CORRUPT);
	assert_ok(objects_get_range(&w.op, w.store, STR("k"), 0, 5, &out));
	assert_err(objects_get_range(&w.op, w.store, STR("k"), 0, 5, &out), ERR_UNAVAILABLE);
	world_close(&w);
}
static void damaged_bodies_are_told(void **state)
{
	(void)state;
	test_in_task(run_damage, NULL);
}

/* ---- answers that were lost ---- */

static void run_lost(void *arg)
{
	SCRIPT("", { REPLY(500, "", 0, "") }, { REFUSED(409, "BlobAlreadyExists") },
		{ REPLY(200, "Content-MD5: " MD5_HELLO "\r\n", 5, "") },
		/* another one's */
		{ REPLY(500, "", 0, "") }, { REFUSED(409, "BlobAlreadyExists") },
		{ REPLY(200, "Content-MD5: AAAAAAAAAAAAAAAAAAAAAA==\r\n", 5, "") },
		/* a delete, twice */
		{ REPLY(500, "", 0, "") }, { REFUSED(404, "BlobNotFound") },
		/* a copy, twice */
		{ REPLY(500, "", 0, "") }, { REFUSED(409, "BlobAlreadyExists") },
		{ REPLY(200, "Content-MD5: " MD5_HELLO "\r\n", 5, "") });
	assert_ok(put(&w, STR("hello")));
	SAW(0, "PUT /acc/mail/u/mails/a HTTP/1.1\r\n");
	SAW(0, "x-ms-blob-type: BlockBlob\r\n");
	SAW(0, "If-None-Match: *\r\n");
	SAW(0, "Content-MD5: " MD5_HELLO "\r\n");
	SAW(0, "Authorization: SharedKey acc:");
	SAW(2, "HEAD /acc/mail/u/mails/a HTTP/1.1\r\n");
	assert_err(put(&w, STR("hello")), ERR_EXISTS);
	assert_ok(objects_delete(&w.op, w.store, STR("u/mails/a")));
	assert_ok(objects_copy(&w.op, w.store, STR("u/mails/a"), STR("u/mails/b")));
	world_close(&w);
}
static void what_an_earlier_attempt_did_is_done(void **state)
{
	(void)state;
	test_in_task(run_lost, NULL);
}

static void run_trace(void *arg)
{
	struct str out;
	SCRIPT("", { REPLY(200, "", 5, "hello") });
	w.op.event = event_new(NULL, "test");
	event_set_str(w.op.event, "session", STR("a c\r\nx: \xc3\xbc"));
	event_set_str(w.op.event, "user", STR("u"));
	assert_ok(get(&w, &out));
	SAW(0, "x-ms-client-request-id: a%20c%0D%0Ax:%20%C3%BC\r\n");
	SAW(0, "X-Dovecot-Session-Id: a c%0D%0Ax: %C3%BC\r\n");
	SAW(0, "X-Dovecot-Username: u\r\n");
	event_unref(w.op.event);
	world_close(&w);
}
static void requests_name_their_session(void **state)
{
	(void)state;
	test_in_task(run_trace, NULL);
}

static void run_copy(void *arg)
{
	SCRIPT("", { REPLY(202, "x-ms-copy-status: pending\r\n", 0, "") },
		{ REPLY(200, "x-ms-copy-status: pending\r\n", 5, "") },
		{ REPLY(200, "x-ms-copy-status: success\r\n", 5, "") },
		{ REPLY(202, "x-ms-copy-status: pending\r\n", 0, "") },
		{ REPLY(200, "x-ms-copy-status: aborted\r\n", 5, "") },
		{ REFUSED(404, "CannotVerifyCopySource") });
	assert_ok(objects_copy(&w.op, w.store, STR("a"), STR("b")));
	SAW(0, "x-ms-copy-source: http://127.0.0.1:");
	assert_err(objects_copy(&w.op, w.store, STR("a"), STR("b")), ERR_UNAVAILABLE);
	assert_err(objects_copy(&w.op, w.store, STR("a"), STR("b")), ERR_NOT_FOUND);
	world_close(&w);
}
static void a_copy_is_waited_for(void **state)
{
	(void)state;
	test_in_task(run_copy, NULL);
}

static enum err count_key(struct op *op, struct str key, const struct object_info *info, void *arg)
{
	(void)op;
	(void)key;
	(void)info;
	(*(int *)arg)++;
	return ERR_NONE;
}

static void run_pages(void *arg)
{
	int count = 0;
	SCRIPT("",
		{ REPLY(200, "", 176,
			"<EnumerationResults><Blobs><Blob><Name>u/a</"
			"Name><Properties><Content-Length>1"
			"</Content-Length></Properties></Blob></Blobs><NextMarker>m&amp;1</"
			"NextMarker>"
			"</EnumerationResults>") },
		{ REPLY(200, "", 176,
			"<EnumerationResults><Blobs><Blob><Name>u/b</"
			"Name><Properties><Content-Length>1"
			"</Content-Length></Properties></Blob></Blobs><NextMarker>m&amp;1</"
			"NextMarker>"
			"</EnumerationResults>") });
	assert_err(objects_iter(&w.op, w.store, STR("u/"), count_key, &count), ERR_CORRUPT);
	assert_int_equal(count, 2);
	assert_int_equal(w.server.request_count, 2);
	SAW(0, "GET /acc/mail?restype=container&comp=list&prefix=u%2F HTTP/1.1\r\n");
	SAW(1, "&marker=m%261 ");
	world_close(&w);
}
static void a_listing_that_turns_in_a_circle_ends(void **state)
{
	(void)state;
	test_in_task(run_pages, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_share_one_key),
		cmocka_unit_test(keys_are_replaced_before_their_end),
		cmocka_unit_test(a_revoked_key_is_replaced),
		cmocka_unit_test(a_strange_answer_of_entra_hurts_no_mail),
		cmocka_unit_test(only_the_service_is_believed),
		cmocka_unit_test(what_is_not_the_mails_fault_is_no_missing_mail),
		cmocka_unit_test(damaged_bodies_are_told),
		cmocka_unit_test(what_an_earlier_attempt_did_is_done),
		cmocka_unit_test(requests_name_their_session),
		cmocka_unit_test(a_copy_is_waited_for),
		cmocka_unit_test(a_listing_that_turns_in_a_circle_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
