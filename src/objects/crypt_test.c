/* SPDX-License-Identifier: Apache-2.0 */
/* What the contract does not show of the crypt layer: damage, rotation of keys, requests per range. */
#include "objects/crypt_keys.h"

#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "crypto/ec_test_keys.h"
#include "objects/objects_private.h"
#include "task/task.h"

#define CHUNK ((size_t)65536)

/* A crypt layer over memory, and that memory. */
struct room {
	struct op op;
	struct arena arena;
	char dir[32];
	struct objects *crypt;
	void (*body)(struct room *r);
};

static void room_open(struct room *r, const char *options)
{
	struct buf stack;
	struct str rest = str_from(options);
	buf_init(&stack, 0);
	buf_put(&stack, STR("crypt("));
	for (; rest.n; (void)str_take(&rest, 1))
		buf_put(&stack, rest.p[0] == '@' ? str_printf(&r->arena, "%s/", r->dir)
						 : str_slice(rest, 0, 1));
	buf_put(&stack, STR("):mem"));
	assert_ok(objects_open_text(&r->op, buf_str(&stack), &r->crypt));
	buf_done(&stack);
}

/* The same stored objects under other keys. */
static void room_reopen(struct room *r, const char *options)
{
	struct objects *old = r->crypt, *kept = old->inner;
	room_open(r, options);
	old->inner = r->crypt->inner;
	r->crypt->inner = kept;
	objects_close(old);
}

static void room_task(void *arg)
{
	struct room *r = arg;
	r->body(r);
	objects_close(r->crypt);
	loop_stop();
}

static void run(void (*body)(struct room *r))
{
	static const struct {
		const char *name, *text;
	} files[] = { { "a.pub", EC_TEST_P256_PUBLIC }, { "a", EC_TEST_P256_ENCRYPTED },
		{ "b.pub", EC_TEST_X25519_PUBLIC }, { "b", EC_TEST_X25519 }, { "c", EC_TEST_P521 },
		{ "ab.pub", EC_TEST_P256_PUBLIC EC_TEST_X25519_PUBLIC } };
	struct room r = { .dir = "/tmp/crypt-test-XXXXXX", .body = body };
	arena_init(&r.arena, 0);
	op_init(&r.op, &r.arena, NULL, TIME_NEVER);
	assert_non_null(mkdtemp(r.dir));
	for (size_t i = 0; i < ARRAY_COUNT(files); i++)
		assert_ok(file_replace(&r.op, str_printf(&r.arena, "%s/%s", r.dir, files[i].name).p,
			str_from(files[i].text), 0600));
	assert_ok(loop_open(&r.op, NULL));
	task_start("test", room_task, &r);
	loop_run();
	loop_close();
	assert_ok(file_remove_tree(&r.op, r.dir));
	arena_done(&r.arena);
}

static void put(struct room *r, struct objects *o, const char *key, struct str body)
{
	assert_ok(objects_put(&r->op, o,
		&(struct object_put){ .key = str_from(key), .parts = &body, .part_count = 1 }));
}

static struct str counting(struct room *r, size_t n)
{
	char *bytes = arena_alloc(&r->arena, n);
	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(i / 251 + i);
	return (struct str){ bytes, n };
}

static struct str stored(struct room *r, const char *key)
{
	struct str body = STR_NONE;
	assert_ok(objects_get(&r->op, r->crypt->inner, str_from(key), SIZE_MAX, &body));
	return body;
}

static enum err get(struct room *r, const char *key, struct str *out)
{
	op_forgive(&r->op);
	return objects_get(&r->op, r->crypt, str_from(key), SIZE_MAX, out);
}

#define KEYS_A "public=@a.pub,password=" EC_TEST_PASSWORD ",private=@a"

/* ---- damage ---- */

static void every_byte_counts(struct room *r)
{
	struct str body;
	room_open(r, KEYS_A);
	put(r, r->crypt, "u/x", STR("a secret of some length"));
	struct str s = str_dup(&r->arena, stored(r, "u/x"));
	assert_int_equal(str_find(s, STR("secret")), -1);
	char *bytes = arena_alloc(&r->arena, s.n);
	for (size_t i = 0; i < s.n; i++) {
		memcpy(bytes, s.p, s.n);
		bytes[i] ^= 1;
		char key[32];
		snprintf(key, sizeof(key), "u%zu/x", i);
		put(r, r->crypt->inner, key, (struct str){ bytes, s.n });
		assert_int_not_equal(get(r, key, &body), ERR_NONE);
		assert_ok(objects_delete(&r->op, r->crypt->inner, str_from(key)));
		if (i > 0) {
			put(r, r->crypt->inner, key, str_slice(s, 0, i));
			assert_int_not_equal(get(r, key, &body), ERR_NONE);
		}
	}
	put(r, r->crypt->inner, "v/x", s);
	assert_ok(get(r, "v/x", &body)); /* another user's, or the user renamed */
	put(r, r->crypt->inner, "u/y", s);
	assert_err(get(r, "u/y", &body), ERR_CORRUPT);
}
static void test_every_byte_counts(void **state)
{
	(void)state;
	run(every_byte_counts);
}

static void chunks_stay_where_they_are(struct room *r)
{
	struct str body, plain = counting(r, 3 * CHUNK + 100);
	room_open(r, KEYS_A);
	put(r, r->crypt, "x", plain);
	struct str s = stored(r, "x");
	size_t chunk = CHUNK + AEAD_TAG_BYTES;
	size_t header = s.n - crypt_chunks_size(plain.n, CRYPT_CHUNK_SHIFT);
	struct str head = str_slice(s, 0, header);
	struct str c[4];
	for (size_t i = 0; i < 4; i++)
		c[i] = str_slice(s, header + i * chunk, header + (i + 1) * chunk);
	const struct str wrong[][5] = { { head, c[1], c[0], c[2], c[3] },
		{ head, c[0], c[1], c[2] }, { head, c[0], c[1], c[3] }, { head, c[3] },
		{ head, c[0], c[1], c[2], c[2] }, { head } };
	for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
		assert_ok(objects_delete(&r->op, r->crypt->inner, STR("x")));
		assert_ok(objects_put(&r->op, r->crypt->inner,
			&(struct object_put){
				.key = STR("x"), .parts = wrong[i], .part_count = 5 }));
		assert_err(get(r, "x", &body), ERR_CORRUPT);
		/* Behind a shorter end, or another chunk: not "nothing is there". The first case left
		 * the fourth chunk as it was. */
		enum err e =
			objects_get_range(&r->op, r->crypt, STR("x"), 3 * CHUNK + 5, 10, &body);
		assert_int_equal(e == ERR_NONE, i == 0);
	}
}
static void test_chunks_stay_where_they_are(void **state)
{
	(void)state;
	run(chunks_stay_where_they_are);
}

/* ---- keys ---- */

static void rotation(struct room *r)
{
	struct str body;
	room_open(r, KEYS_A);
	put(r, r->crypt, "old", STR("by a"));
	room_reopen(r, "public=@b.pub,private=@b,password=" EC_TEST_PASSWORD ",private=@a");
	put(r, r->crypt, "new", STR("by b"));
	assert_ok(get(r, "old", &body));
	assert_str(body, STR("by a"));
	assert_ok(get(r, "new", &body));
	room_reopen(r, "public=@b.pub,private=@b");
	assert_ok(get(r, "new", &body));
	assert_err(get(r, "old", &body), ERR_UNAVAILABLE);
	assert_non_null(strstr(r->op.failure.text, "add its private key"));
	/* For two: each alone opens. */
	room_reopen(r, "public=@ab.pub");
	put(r, r->crypt, "both", STR("for both"));
	assert_err(get(r, "both", &body), ERR_UNAVAILABLE);
	room_reopen(r, "public=@b.pub,private=@b");
	assert_ok(get(r, "both", &body));
	room_reopen(r, KEYS_A);
	assert_ok(get(r, "both", &body));
	assert_str(body, STR("for both"));
}
static void test_old_keys_still_open_old_objects(void **state)
{
	(void)state;
	run(rotation);
}

static void plain_ones(struct room *r)
{
	struct str body;
	room_open(r, "");
	put(r, r->crypt, "plain", STR("plain"));
	assert_str(stored(r, "plain"), STR("plain"));
	put(r, r->crypt, "tricky", STR("\x93PCRYPT\1 is how it begins"));
	room_reopen(r, KEYS_A);
	put(r, r->crypt, "sealed", STR("sealed"));
	assert_err(get(r, "plain", &body), ERR_CORRUPT);
	assert_err(get(r, "tricky", &body), ERR_CORRUPT);
	room_reopen(r, KEYS_A ",plain");
	assert_ok(get(r, "plain", &body));
	assert_ok(get(r, "tricky", &body));
	assert_str(body, STR("\x93PCRYPT\1 is how it begins"));
	room_reopen(r, KEYS_A ",algorithm=");
	put(r, r->crypt, "plain2", STR("plain2"));
	assert_ok(get(r, "plain2", &body));
	assert_ok(get(r, "sealed", &body));
	assert_str(body, STR("sealed"));
	room_reopen(r, "");
	assert_err(get(r, "sealed", &body), ERR_UNAVAILABLE);
}
static void test_plain_objects_are_read_where_that_is_allowed(void **state)
{
	(void)state;
	run(plain_ones);
}

static void bad_settings(struct room *r)
{
	struct objects *o;
	const char *const bad[] = { "crypt(algorithm=aes-256-cbc-sha256):mem",
		"crypt(private=%s/b):mem", "crypt(public=%s/b):mem", "crypt(private=%s/a):mem",
		"crypt(public=%s/none):mem", "crypt(what):mem" };
	const char *const texts[] = { "only aes-256-gcm-sha256", "no crypt_global_public_key_file",
		"no public key is in it", "password is missing or wrong", "none",
		"unknown option" };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		struct str stack = str_from(bad[i]);
		ssize_t at = str_find(stack, STR("%s"));
		if (at >= 0)
			stack = str_printf(
				&r->arena, "%.*s%s%s", (int)at, stack.p, r->dir, bad[i] + at + 2);
		assert_int_not_equal(objects_open_text(&r->op, stack, &o), ERR_NONE);
		assert_non_null(strstr(r->op.failure.text, texts[i]));
	}
	room_open(r, "");
}
static void test_bad_keys_are_told_at_the_start(void **state)
{
	(void)state;
	run(bad_settings);
}

/* ---- costs ---- */

static void requests(struct room *r)
{
	struct str body, plain = counting(r, 20 * CHUNK);
	room_open(r, KEYS_A);
	put(r, r->crypt, "x", plain);
	uint64_t gets = r->crypt->inner->counters.gets, out = r->crypt->inner->counters.bytes_out;
	assert_ok(objects_get_range(&r->op, r->crypt, STR("x"), 10, 1000, &body));
	assert_int_equal(r->crypt->inner->counters.gets, gets + 1);
	assert_ok(objects_get_range(&r->op, r->crypt, STR("x"), 15 * CHUNK - 5, 10, &body));
	assert_str(body, str_slice(plain, 15 * CHUNK - 5, 15 * CHUNK + 5));
	assert_int_equal(r->crypt->inner->counters.gets, gets + 3);
	assert_true(r->crypt->inner->counters.bytes_out - out < 4 * CHUNK);
	assert_ok(get(r, "x", &body));
	assert_int_equal(r->crypt->inner->counters.gets, gets + 4);
}
static void test_ranges_read_what_they_need(void **state)
{
	(void)state;
	run(requests);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_byte_counts),
		cmocka_unit_test(test_chunks_stay_where_they_are),
		cmocka_unit_test(test_old_keys_still_open_old_objects),
		cmocka_unit_test(test_plain_objects_are_read_where_that_is_allowed),
		cmocka_unit_test(test_bad_keys_are_told_at_the_start),
		cmocka_unit_test(test_ranges_read_what_they_need),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
