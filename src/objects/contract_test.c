/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of objects.h, run against every driver. Each test is one task on a real loop with real
 * offload threads. */
#include "objects/contract_test.h"

/* ---- what is put can be got ---- */

static void bodies(struct place *p)
{
	assert_ok(put(p, "u1/mails/a", STR("hello")));
	assert_str(get(p, "u1/mails/a"), STR("hello"));
	assert_ok(put(p, "u1/mails/empty", STR("")));
	assert_int_equal(get(p, "u1/mails/empty").n, 0);
	assert_ok(put_parts(p, STR("none"), NULL, 0));
	assert_int_equal(get(p, "none").n, 0);

	const struct str parts[] = { STR("one "), STR(""), STR("two "), STR("\0three") };
	assert_ok(put_parts(p, STR("parts"), parts, ARRAY_COUNT(parts)));
	assert_str(get(p, "parts"), STR("one two \0three"));

	struct str big = noise(p, 300000);
	assert_ok(put(p, "big", big));
	assert_str(get(p, "big"), big);
	/* A body that looks like a compressed one comes back as it was. */
	assert_ok(put(p, "fake", STR("\x28\xb5\x2f\xfd nothing")));
	assert_str(get(p, "fake"), STR("\x28\xb5\x2f\xfd nothing"));
	assert_ok(put(p, "fake1", STR("\x1f\x8b\x08 nothing")));
	assert_str(get(p, "fake1"), STR("\x1f\x8b\x08 nothing"));
	assert_ok(put(p, "fake2", STR("\x93PCRYPT\1 nothing")));
	assert_str(get(p, "fake2"), STR("\x93PCRYPT\1 nothing"));
	struct objects_counters c = objects_counters(p->objects);
	assert_int_equal(c.puts, 8);
	assert_int_equal(c.gets, p->variant->is_cached ? 0 : 8);
	assert_int_equal(c.failures, 0);
}
static void bodies_come_back(void **state)
{
	run(state, bodies);
}

static void objects_exist_once(struct place *p)
{
	assert_ok(put(p, "u/x", STR("first")));
	assert_err(put(p, "u/x", STR("second")), ERR_EXISTS);
	assert_str(get(p, "u/x"), STR("first"));
	assert_ok(objects_delete(p->op, p->objects, STR("u/x")));
	enum err missing = p->variant->forgets_missing ? ERR_NONE : ERR_NOT_FOUND;
	assert_err(objects_delete(p->op, p->objects, STR("u/x")), missing);
	struct str body;
	assert_err(objects_get(p->op, p->objects, STR("u/x"), 100, &body), ERR_NOT_FOUND);
	assert_err(objects_get(p->op, p->objects, STR("nobody/x"), 100, &body), ERR_NOT_FOUND);
	assert_err(objects_delete(p->op, p->objects, STR("nobody/x")), missing);
	assert_ok(put(p, "u/x", STR("again")));
	assert_str(get(p, "u/x"), STR("again"));
}
static void an_object_is_never_overwritten(void **state)
{
	run(state, objects_exist_once);
}

static void ranges(struct place *p)
{
	assert_ok(put(p, "r", STR("0123456789")));
	struct str body;
	assert_ok(objects_get_range(p->op, p->objects, STR("r"), 2, 3, &body));
	assert_str(body, STR("234"));
	assert_ok(objects_get_range(p->op, p->objects, STR("r"), 8, 100, &body));
	assert_str(body, STR("89"));
	assert_ok(objects_get_range(p->op, p->objects, STR("r"), 10, 1, &body));
	assert_int_equal(body.n, 0);
	assert_ok(objects_get_range(p->op, p->objects, STR("r"), UINT64_MAX, SIZE_MAX, &body));
	assert_int_equal(body.n, 0);
	assert_ok(objects_get(p->op, p->objects, STR("r"), 10, &body));
	assert_err(objects_get(p->op, p->objects, STR("r"), 9, &body), ERR_LIMIT);
	assert_int_equal(body.n, 10);

	struct str big = noise(p, 200000), huge = noise(p, 1500000);
	assert_ok(put(p, "rh", huge));
	for (size_t at = 1; at < huge.n; at += 131000) {
		assert_ok(objects_get_range(p->op, p->objects, STR("rh"), at, 70000, &body));
		assert_str(body, str_slice(huge, at, at + 70000));
	}
	assert_ok(objects_get_range(p->op, p->objects, STR("rh"), huge.n, 5, &body));
	assert_int_equal(body.n, 0);
	assert_ok(objects_get_range(p->op, p->objects, STR("rh"), 3000000, 5, &body));
	assert_int_equal(body.n, 0);
	assert_ok(put(p, "rb", big));
	assert_ok(objects_get_range(p->op, p->objects, STR("rb"), 150000, 1000, &body));
	assert_str(body, str_slice(big, 150000, 151000));
}
static void ranges_are_cut_at_the_end(void **state)
{
	run(state, ranges);
}

static void keys(struct place *p)
{
	const char *bad[] = { "", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", ".tmp-x",
		"a/.tmp-1", "\xff" };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_err(put(p, bad[i], STR("x")), ERR_INVALID);
	assert_err(put_parts(p, STR("a\0b"), NULL, 0), ERR_INVALID);
	char key[514];
	memset(key, 'k', sizeof(key));
	key[200] = key[400] = '/';
	assert_err(put_parts(p, (struct str){ key, 513 }, NULL, 0), ERR_INVALID);
	assert_ok(put_parts(p, (struct str){ key, 512 }, NULL, 0));
	key[200] = 'k';
	assert_err(put_parts(p, (struct str){ key, 300 }, NULL, 0), ERR_INVALID);
	assert_ok(put(p, "j\xc3\xbcrgen@example.test/mails/...", STR("odd but fine")));
	assert_str(get(p, "j\xc3\xbcrgen@example.test/mails/..."), STR("odd but fine"));
}
static void bad_keys_are_refused(void **state)
{
	run(state, keys);
}

/* ---- what is there ---- */

static void stat_object(struct place *p)
{
	int64_t before = now_wall_us() - US_PER_SEC; /* file systems' clocks lag by a tick */
	assert_ok(put(p, "u/s", STR("twelve bytes")));
	struct object_info info;
	assert_ok(objects_stat(p->op, p->objects, STR("u/s"), &info));
	assert_int_equal(info.size_bytes, 12);
	assert_true(info.wall_us == 0 ||
		    (info.wall_us >= before && info.wall_us <= now_wall_us() + US_PER_SEC));
	assert_err(objects_stat(p->op, p->objects, STR("u/t"), &info), ERR_NOT_FOUND);
}
static void stat_tells_the_size_of_the_content(void **state)
{
	run(state, stat_object);
}

struct seen {
	size_t count;
	size_t stop_at;
	char keys[8][64];
};

static enum err see(struct op *op, struct str key, const struct object_info *info, void *arg)
{
	struct seen *seen = arg;
	assert_true(info->size_bytes > 0);
	assert_true(seen->count < 8 && key.n < 64);
	memcpy(seen->keys[seen->count], key.p, key.n);
	seen->keys[seen->count++][key.n] = '\0';
	return seen->count == seen->stop_at ? op_fail(op, ERR_CANCELLED, "enough") : ERR_NONE;
}

static size_t iterate(struct place *p, const char *prefix, struct seen *seen)
{
	*seen = (struct seen){ 0 };
	assert_ok(objects_iter(p->op, p->objects, str_from(prefix), see, seen));
	qsort(seen->keys, seen->count, sizeof(seen->keys[0]),
		(int (*)(const void *, const void *))strcmp);
	return seen->count;
}

static void iterate_prefixes(struct place *p)
{
	struct seen seen;
	if (!p->variant->is_listable) {
		assert_err(objects_iter(p->op, p->objects, STR(""), see, &seen), ERR_UNSUPPORTED);
		return;
	}
	assert_int_equal(iterate(p, "", &seen), 0);
	assert_ok(put(p, "u1/mails/a", STR("1")));
	assert_ok(put(p, "u1/mails/b", STR("2")));
	assert_ok(put(p, "u11/mails/a", STR("3")));
	assert_ok(put(p, "top", STR("4")));
	assert_int_equal(iterate(p, "", &seen), 4);
	assert_string_equal(seen.keys[0], "top");
	assert_string_equal(seen.keys[3], "u11/mails/a");
	assert_int_equal(iterate(p, "u1", &seen), 3);
	assert_int_equal(iterate(p, "u1/", &seen), 2);
	assert_int_equal(iterate(p, "u1/mails/b", &seen), 1);
	assert_string_equal(seen.keys[0], "u1/mails/b");
	assert_int_equal(iterate(p, "u2/", &seen), 0);
	seen = (struct seen){ .stop_at = 2 };
	assert_err(objects_iter(p->op, p->objects, STR(""), see, &seen), ERR_CANCELLED);
	assert_int_equal(seen.count, 2);
}
static void iteration_follows_the_prefix(void **state)
{
	run(state, iterate_prefixes);
}

static void delete_many(struct place *p)
{
	struct str names[40];
	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		names[i] = str_printf(p->op->arena, "u%zu/mails/%zu", i % 3, i);
		if (i % 4)
			assert_ok(put_parts(p, names[i], &names[i], 1));
	}
	assert_ok(objects_delete_many(p->op, p->objects, names, ARRAY_COUNT(names)));
	struct object_info info;
	for (size_t i = 0; i < ARRAY_COUNT(names); i++)
		assert_err(objects_stat(p->op, p->objects, names[i], &info), ERR_NOT_FOUND);
	assert_ok(objects_delete_many(p->op, p->objects, names, 0));
}
static void many_are_deleted_missing_ones_too(void **state)
{
	run(state, delete_many);
}

/* ---- copies, metadata, many at once ---- */

static void copies(struct place *p)
{
	struct str big = noise(p, 150000), body = STR("copied");
	const struct object_meta meta[] = { { STR("guid"), STR("0123") },
		{ STR("size"), STR("6") } };
	assert_ok(objects_put(
		p->op, p->objects, &(struct object_put){ STR("u/mails/from"), &body, 1, meta, 2 }));
	assert_ok(objects_copy(p->op, p->objects, STR("u/mails/from"), STR("v/mails/from")));
	assert_ok(objects_copy(p->op, p->objects, STR("u/mails/from"), STR("u/mails/to")));
	assert_str(get(p, "v/mails/from"), STR("copied"));
	assert_str(get(p, "u/mails/to"), STR("copied"));
	assert_ok(put(p, "u/big", big));
	assert_ok(objects_copy(p->op, p->objects, STR("u/big"), STR("u/bigger")));
	assert_str(get(p, "u/bigger"), big);
	assert_err(objects_copy(p->op, p->objects, STR("u/none"), STR("u/x")), ERR_NOT_FOUND);
	if (p->variant->refuses_overwrite)
		assert_err(objects_copy(p->op, p->objects, STR("u/big"), STR("u/mails/to")),
			ERR_EXISTS);
	assert_ok(objects_delete(p->op, p->objects, STR("u/mails/from")));
	assert_str(get(p, "u/mails/to"), STR("copied"));

	struct object_meta *out;
	size_t count;
	enum err e = objects_metadata(p->op, p->objects, STR("u/mails/to"), &out, &count);
	if (!p->variant->has_metadata) {
		assert_err(e, ERR_UNSUPPORTED);
		return;
	}
	assert_ok(e);
	assert_int_equal(count, 2);
	for (size_t i = 0; i < count; i++)
		assert_str(out[i].value, str_eq(out[i].name, STR("guid")) ? STR("0123") : STR("6"));
	assert_err(objects_metadata(p->op, p->objects, STR("u/none"), &out, &count), ERR_NOT_FOUND);
}
static void copies_have_content_and_metadata(void **state)
{
	run(state, copies);
}

static void get_many(struct place *p)
{
	struct object_read reads[50];
	struct str keys[ARRAY_COUNT(reads)];
	for (size_t i = 0; i < ARRAY_COUNT(reads); i++) {
		keys[i] = str_printf(p->op->arena, "u/mails/%zu", i);
		reads[i] = (struct object_read){ .key = keys[i], .offset = 2, .length = SIZE_MAX };
		if (i % 5)
			assert_ok(put_parts(p, keys[i], &keys[i], 1));
	}
	objects_prefetch(p->objects, keys, ARRAY_COUNT(keys));
	assert_ok(objects_get_many(p->op, p->objects, reads, ARRAY_COUNT(reads)));
	for (size_t i = 0; i < ARRAY_COUNT(reads); i++) {
		assert_err(reads[i].result, i % 5 ? ERR_NONE : ERR_NOT_FOUND);
		if (i % 5)
			assert_str(reads[i].body, str_slice(keys[i], 2, keys[i].n));
	}
	assert_ok(objects_get_many(p->op, p->objects, reads, 0));
	reads[0].key = STR("../bad");
	assert_ok(objects_get_many(p->op, p->objects, reads, 1));
	assert_err(reads[0].result, ERR_INVALID);
}
static void many_are_read_each_with_its_result(void **state)
{
	run(state, get_many);
}

/* ---- at the same time, and again ---- */

struct writer {
	struct place *p;
	size_t from;
	size_t done;
};

static enum err write_some(struct op *op, void *arg)
{
	struct writer *w = arg;
	for (size_t i = w->from; i < w->from + 20; i++) {
		/* Two of each four writers race for the same keys. */
		char key[64];
		int n = snprintf(key, sizeof(key), "u%zu/mails/%zu", i % 2, i);
		struct str body = { key, (size_t)n };
		enum err e = objects_put(op, w->p->objects,
			&(struct object_put){ .key = body, .parts = &body, .part_count = 1 });
		if (e == ERR_NONE)
			w->done++;
		else if (e == ERR_EXISTS)
			op_forgive(op);
		else
			return e;
	}
	return ERR_NONE;
}

static void race(struct place *p)
{
	struct writer writers[8];
	struct task_group *g = task_group_new(p->op);
	for (size_t i = 0; i < ARRAY_COUNT(writers); i++) {
		writers[i] = (struct writer){ p, (i / 2) * 20, 0 };
		task_group_start(g, "writer", write_some, &writers[i]);
	}
	assert_ok(task_group_finish(p->op, g));
	size_t done = 0;
	for (size_t i = 0; i < ARRAY_COUNT(writers); i++)
		done += writers[i].done;
	assert_int_equal(done, 80);
	assert_str(get(p, "u1/mails/79"), STR("u1/mails/79"));
}
static void of_two_puts_of_one_key_one_wins(void **state)
{
	run(state, race);
}

static void reopen(struct place *p)
{
	if (!p->variant->is_persistent)
		return;
	assert_ok(put(p, "u/kept", STR("kept")));
	assert_ok(put(p, "u/gone", STR("gone")));
	assert_ok(objects_delete(p->op, p->objects, STR("u/gone")));
	objects_close(p->objects);
	place_open(p);
	struct str body;
	assert_str(get(p, "u/kept"), STR("kept"));
	assert_err(objects_get(p->op, p->objects, STR("u/gone"), 9, &body), ERR_NOT_FOUND);
	assert_err(put(p, "u/kept", STR("other")), ERR_EXISTS);
}
static void objects_outlive_the_handle(void **state)
{
	run(state, reopen);
}

static void deadline(struct place *p)
{
	if (!p->variant->is_persistent)
		return; /* the others never wait */
	p->op->deadline_us = now_us() - 1;
	enum err e = put(p, "late", STR("late"));
	assert_true(e == ERR_TIMEOUT || e == ERR_UNAVAILABLE || e == ERR_NONE);
	p->op->deadline_us = TIME_NEVER;
	assert_ok(put(p, "in/time", STR("in time")));
	assert_str(get(p, "in/time"), STR("in time"));
}
static void a_passed_deadline_ends_the_wait(void **state)
{
	run(state, deadline);
}

#define TEST_ALL(fn)                                                                               \
	{                                                                                          \
#fn, fn, NULL, NULL, NULL                                                          \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_ALL(bodies_come_back),
		TEST_ALL(an_object_is_never_overwritten),
		TEST_ALL(ranges_are_cut_at_the_end),
		TEST_ALL(bad_keys_are_refused),
		TEST_ALL(stat_tells_the_size_of_the_content),
		TEST_ALL(iteration_follows_the_prefix),
		TEST_ALL(many_are_deleted_missing_ones_too),
		TEST_ALL(copies_have_content_and_metadata),
		TEST_ALL(many_are_read_each_with_its_result),
		TEST_ALL(of_two_puts_of_one_key_one_wins),
		TEST_ALL(objects_outlive_the_handle),
		TEST_ALL(a_passed_deadline_ends_the_wait),
	};
	static struct CMUnitTest all[ARRAY_COUNT(variants) * ARRAY_COUNT(tests)];
	static char names[ARRAY_COUNT(all)][96];
	size_t count = 0;
	for (size_t v = 0; v < ARRAY_COUNT(variants); v++) {
		for (size_t t = 0; t < ARRAY_COUNT(tests); t++, count++) {
			all[count] = tests[t];
			snprintf(names[count], sizeof(names[count]), "%s: %s", variants[v].name,
				tests[t].name);
			all[count].name = names[count];
			all[count].initial_state = (void *)(uintptr_t)&variants[v];
		}
	}
	return cmocka_run_group_tests(all, NULL, NULL);
}
