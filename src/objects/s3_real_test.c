/* SPDX-License-Identifier: Apache-2.0 */
/* The S3 driver and a real server, where POMBAL_TEST_S3 says that there is one: more than the contract. */
#include "objects/s3_private.h"

#include "base/test.h"

#include "base/random.h"
#include "objects/s3_test_private.h"

/* The URL with another end, or another beginning of the secret. */
static struct objects *real_store(struct world *w, const char *url, const char *end)
{
	struct objects *store = NULL;
	struct str text = str_printf(&w->arena, "s3(%s%s)", url, end);
	assert_ok(objects_open_text(&w->op, text, &store));
	return store;
}

static struct str noise(struct world *w, size_t n)
{
	char *bytes = arena_alloc(&w->arena, n);
	random_bytes(bytes, n);
	return (struct str){ bytes, n };
}

static void real_multipart(struct world *w, const char *url)
{
	struct str body = STR_NONE, big = noise(w, (12u << 20) + 5);
	const struct object_meta meta = { STR("guid"), STR("f00") };
	const struct object_put put = { STR("big"), &big, 1, &meta, 1 };
	struct object_meta *found;
	size_t count;
	struct objects *store = real_store(w, url, "?multipart_size=5242880");
	assert_ok(objects_put(&w->op, store, &put));
	assert_ok(objects_get(&w->op, store, STR("big"), SIZE_MAX, &body));
	assert_true(str_eq(body, big));
	assert_ok(objects_get_range(&w->op, store, STR("big"), 5242870, 20, &body));
	assert_str(body, str_slice(big, 5242870, 5242890));
	assert_ok(objects_metadata(&w->op, store, STR("big"), &found, &count));
	assert_int_equal(count, 1);
	assert_str(found[0].value, STR("f00"));
	assert_err(objects_put(&w->op, store, &put), ERR_EXISTS);
	objects_close(store);
}

static enum err count_key(struct op *op, struct str key, const struct object_info *info, void *arg)
{
	size_t *count = arg;
	(void)op;
	(void)key;
	(void)info;
	++*count;
	return ERR_NONE;
}

/* More than a page, more than a multi-delete. */
static void real_thousands(struct world *w, const char *url)
{
	enum { KEYS = 1100 };
	struct str *keys = ARENA_NEW_ARRAY(&w->arena, struct str, KEYS);
	size_t count = 0;
	struct objects *store = real_store(w, url, "/many");
	for (size_t i = 0; i < KEYS; i++) {
		keys[i] = str_printf(&w->arena, "u/mails/%zu <&\"'+ %%", i);
		assert_ok(objects_put(
			&w->op, store, &(struct object_put){ keys[i], keys, 1, NULL, 0 }));
	}
	assert_ok(objects_iter(&w->op, store, STR("u/"), count_key, &count));
	assert_int_equal(count, KEYS);
	assert_ok(objects_delete_many(&w->op, store, keys, KEYS));
	count = 0;
	assert_ok(objects_iter(&w->op, store, STR("u/"), count_key, &count));
	assert_int_equal(count, 0);
	objects_close(store);
}

/* Every byte that a key may have, and what people put into addresses: URL, signature and XML agree with the
 * server's own reading of them. */
static size_t odd_keys(struct world *w, struct str *keys, size_t room)
{
	static const char *const more[] = { "a+b@x", "%2F", "%", "a%20b", "?x=1&y#z", " ", "a  b",
		"j\xc3\xbcrgen@\xe4\xbe\x8b.test", "e\xcc\x81", "\xf0\x9f\x93\xa7", "...",
		"a\xe2\x80\x8b", "\xc2\x85", "*", "~!$'()*,;:=@&" };
	size_t count = 0;
	for (unsigned char c = 1; c < 128; c++)
		if (c != '/')
			keys[count++] = str_printf(&w->arena, "odd/%02x%cx/mails/1", c, c);
	for (size_t i = 0; i < ARRAY_COUNT(more); i++)
		keys[count++] = str_printf(&w->arena, "odd/%s/mails/1", more[i]);
	ASSERT(count <= room);
	return count;
}

static void real_keys(struct world *w, const char *url, const char *end)
{
	struct str keys[160], body;
	const struct object_meta meta = { STR("username"), STR(" two  blanks\r\nx: \xc3\xbc%") };
	struct object_meta *found;
	size_t count = odd_keys(w, keys, ARRAY_COUNT(keys)), listed = 0, n;
	struct objects *store = real_store(w, url, end);
	for (size_t i = 0; i < count; i++) {
		assert_ok(objects_put(
			&w->op, store, &(struct object_put){ keys[i], &keys[i], 1, &meta, 1 }));
		assert_ok(objects_get(&w->op, store, keys[i], 1000, &body));
		assert_str(body, keys[i]);
		assert_ok(objects_metadata(&w->op, store, keys[i], &found, &n));
		assert_int_equal(n, 1);
		assert_str(found[0].value, meta.value);
	}
	assert_ok(objects_copy(&w->op, store, keys[count - 1], STR("odd/copy +%")));
	assert_ok(objects_delete(&w->op, store, STR("odd/copy +%")));
	assert_ok(objects_iter(&w->op, store, STR("odd/"), count_key, &listed));
	assert_int_equal(listed, count);
	assert_ok(objects_delete_many(&w->op, store, keys, count));
	for (size_t i = 0; i < count; i++)
		assert_err(objects_get(&w->op, store, keys[i], 1000, &body), ERR_NOT_FOUND);
	objects_close(store);
}

static void real_refusals(struct world *w, const char *url)
{
	struct str body, at = str_from(url), user, bucket;
	/* "http://key:secret@host:port/bucket/..." */
	assert_true(str_skip(&at, STR("http://")) && str_cut(&at, '@', &user) &&
		    str_cut(&at, '/', &bucket));
	struct str other = str_printf(
		&w->arena, "http://%.*s@%.*s/no-such-bucket-here", STRF(user), STRF(bucket));
	struct objects *store = real_store(w, other.p, "");
	assert_failure(w, objects_get(&w->op, store, STR("k"), 9, &body), ERR_UNAVAILABLE,
		"NoSuchBucket: create the bucket");
	objects_close(store);
	other = str_printf(&w->arena, "http://%.*sx@%.*s/%.*s", STRF(user), STRF(bucket), STRF(at));
	store = real_store(w, other.p, "");
	assert_failure(w, objects_get(&w->op, store, STR("k"), 9, &body), ERR_UNAVAILABLE,
		"SignatureDoesNotMatch: fs_s3_secret");
	objects_close(store);
}

static void a_real_server(void *arg)
{
	struct world w = { 0 };
	arena_init(&w.arena, 0);
	op_init(&w.op, &w.arena, NULL, now_us() + 120 * US_PER_SEC);
	const char *url =
		str_printf(&w.arena, "%s/s3-test-%016" PRIx64, (const char *)arg, random_u64()).p;
	real_multipart(&w, url);
	real_thousands(&w, url);
	real_keys(&w, url, "/v4");
	real_keys(&w, url, "/v2?region=");
	real_refusals(&w, url);
	arena_done(&w.arena);
}

static void a_real_server_(void **state)
{
	(void)state;
	char *url = getenv("POMBAL_TEST_S3");
	if (!url)
		skip();
	test_in_task(a_real_server, url);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_real_server_),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
