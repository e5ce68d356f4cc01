/* SPDX-License-Identifier: Apache-2.0 */
#include "store/cache/cache.h"

#include <stdlib.h>

#include "base/test.h"
#include "store/cache/totals.h"

#define MB (UINT64_C(1) << 20)
#define GB (UINT64_C(1) << 30)

static struct op plain_op(struct arena *arena)
{
	struct op op;
	op_init(&op, arena, NULL, TIME_NEVER);
	return op;
}

static struct cache_weights usual(void)
{
	struct cache_weights w;
	AUTO_ARENA(arena, 0);
	struct op op = plain_op(&arena);
	assert_ok(
		cache_weights_parse(&op, STR(CACHE_PRIORITY_WEIGHTS), STR(CACHE_SIZE_WEIGHTS), &w));
	return w;
}

/* The figures of the sheet, §12.3. */
static void sizes_are_boosted_as_the_sheet_says(void **state)
{
	(void)state;
	static const struct {
		uint64_t bytes;
		int64_t boost_s;
	} rows[] = { { 0, 30 }, { 500 << 10, 23 }, { MB, 15 }, { 3 * MB / 2, 8 }, { 2 * MB, 0 },
		{ 10 * MB, 1 }, { 50 * MB, 6 }, { 100 * MB, 12 }, { 258 * MB, 30 },
		{ 500 * MB, 58 }, { GB, 120 }, { 100 * GB, 120 } };
	struct cache_weights w = usual();
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
		assert_int_equal(cache_size_boost(&w, rows[i].bytes), rows[i].boost_s);
}

static void priorities_are_boosted_while_they_are_small(void **state)
{
	(void)state;
	struct cache_weights w = usual();
	struct cache_unit u = { .bytes = 2 * MB, .access_s = 1000000 };
	assert_int_equal(cache_weight(&w, CACHE_ROOT, &u, 10 * GB, 100 * GB), 1000000 + 86400);
	assert_int_equal(cache_weight(&w, CACHE_ROOT, &u, 10 * GB + 1, 100 * GB), 1000000);
	assert_int_equal(cache_weight(&w, CACHE_SEARCH, &u, 9 * GB, 100 * GB), 1000000 + 86400);
	assert_int_equal(cache_weight(&w, CACHE_SPECIAL, &u, 50 * GB, 100 * GB), 1000000 + 3600);
	assert_int_equal(cache_weight(&w, CACHE_SPECIAL, &u, 51 * GB, 100 * GB), 1000000);
	assert_int_equal(cache_weight(&w, CACHE_OTHER, &u, GB, 100 * GB), 1000000);
	assert_int_equal(cache_weight(&w, CACHE_OTHER, &u, UINT64_MAX, UINT64_MAX), 1000000);
}

static void weights_are_settings(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	struct op op = plain_op(&arena);
	struct cache_weights w;
	assert_ok(cache_weights_parse(&op, STR(""), STR(" "), &w));
	struct cache_unit u = { .access_s = 77 };
	assert_int_equal(cache_weight(&w, CACHE_ROOT, &u, 0, GB), 77); /* plain LRU */
	assert_ok(cache_weights_parse(
		&op, STR("1% +5m  2% 2w 100% 3 0% +4h"), STR("1k +1m 2T +2d"), &w));
	assert_int_equal(w.boost_s[0], 300);
	assert_int_equal(w.boost_s[1], 14 * 86400);
	assert_int_equal(w.boost_s[3], 4 * 3600);
	assert_int_equal(w.percent[2], 100);
	assert_int_equal(w.low_bytes, 1024);
	assert_int_equal(w.high_boost_s, 2 * 86400);
	static const char *const bad[] = { "10%", "10% 1d", "101% 1 1% 1 1% 1 1% 1",
		"1% 1 1% 1 1% 1 1% 1 1%", "1 1 1 1 1 1 1 1", "1% 1x 1% 1 1% 1 1% 1",
		"1% 99999999999999999w 1% 1 1% 1 1% 1" };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_err(cache_weights_parse(&op, str_from(bad[i]), STR(""), &w), ERR_INVALID);
	assert_err(cache_weights_parse(&op, STR(""), STR("2M +30 1M +120"), &w), ERR_INVALID);
	assert_err(cache_weights_parse(&op, STR(""), STR("0 +30 1M +120"), &w), ERR_INVALID);
	assert_err(cache_weights_parse(&op, STR(""), STR("2M +30"), &w), ERR_INVALID);
}

/* ---- the account ---- */

static void sums_follow_every_change(void **state)
{
	(void)state;
	struct cache c;
	cache_init(&c);
	struct cache_user *a = cache_add(&c, STR("a")), *b = cache_add(&c, STR("b"));
	assert_ptr_equal(cache_add(&c, STR("a")), a);
	cache_add_bytes(&c, a, CACHE_SPECIAL, 100);
	cache_add_bytes(&c, b, CACHE_SPECIAL, 50);
	cache_add_bytes(&c, a, CACHE_SPECIAL, -30);
	cache_add_bytes(&c, b, CACHE_OTHER, -30);
	assert_int_equal(c.bytes[CACHE_SPECIAL], 120);
	assert_int_equal(c.bytes[CACHE_OTHER], 0);
	assert_int_equal(cache_user_bytes(a), 70);
	cache_touch(&c, b, CACHE_OTHER, 5 * US_PER_SEC);
	assert_int_equal(b->units[CACHE_ROOT].access_s, 5);
	cache_forget(&c, a);
	assert_int_equal(c.bytes[CACHE_SPECIAL], 50);
	assert_null(cache_find(&c, STR("a")));
	assert_ptr_equal(c.users_all[0], b);
	assert_int_equal(b->place, 0);
	cache_done(&c);
}

static void changes_are_settled_by_an_upload_that_saw_them(void **state)
{
	(void)state;
	struct cache c;
	cache_init(&c);
	struct cache_user *u = cache_add(&c, STR("a"));
	cache_note_change(&c, u, CACHE_OTHER, CACHE_UNIMPORTANT, 100);
	cache_note_change(&c, u, CACHE_SPECIAL, CACHE_IMPORTANT, 200);
	cache_note_change(&c, u, CACHE_SPECIAL, CACHE_UNIMPORTANT, 300);
	assert_int_equal(cache_user_change(u), CACHE_IMPORTANT);
	assert_int_equal(u->changed_us, 100);
	uint32_t seen = u->changes;
	cache_note_change(&c, u, CACHE_OTHER, CACHE_UNIMPORTANT, 400);
	cache_note_uploaded(&c, u, seen);
	assert_int_equal(cache_user_change(u), CACHE_IMPORTANT);
	cache_note_uploaded(&c, u, u->changes);
	assert_int_equal(cache_user_change(u), CACHE_UNCHANGED);
	assert_int_equal(u->changed_us, 0);
	cache_done(&c);
}

static void put_all(struct buf *out, const struct cache *c, bool is_clean)
{
	cache_userdb_put_head(out);
	for (size_t i = 0; i < c->users.count; i++)
		cache_userdb_put_user(out, c->users_all[i]);
	cache_userdb_put_tail(out, is_clean);
}

static void the_file_comes_back(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	AUTO_BUF(file, 0);
	struct op op = plain_op(&arena);
	struct cache c, read;
	bool is_clean = false;
	cache_init(&c);
	cache_init(&read);
	for (int i = 0; i < 100; i++) {
		struct cache_user *u = cache_add(&c, str_printf(&arena, "user%d@example.test", i));
		cache_add_bytes(&c, u, (enum cache_priority)(i % CACHE_PRIORITIES), i * 4096);
		cache_touch(&c, u, CACHE_SPECIAL, i * US_PER_SEC);
		u->service = CACHE_BY_LMTP;
		u->is_counted = i % 2;
	}
	cache_note_change(
		&c, cache_find(&c, STR("user7@example.test")), CACHE_OTHER, CACHE_UNIMPORTANT, 1);
	put_all(&file, &c, true);
	assert_ok(cache_userdb_read(&op, buf_str(&file), &read, &is_clean));
	assert_true(is_clean);
	assert_int_equal(read.users.count, 100);
	assert_memory_equal(read.bytes, c.bytes, sizeof(c.bytes));
	struct cache_user *u = cache_find(&read, STR("user7@example.test"));
	assert_int_equal(cache_user_change(u), CACHE_UNIMPORTANT);
	assert_int_equal(u->units[CACHE_SPECIAL].access_s, 7);
	assert_true(u->is_counted && u->service == CACHE_BY_LMTP);
	cache_done(&read);
	cache_done(&c);
}

static void a_damaged_file_adds_nothing(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	AUTO_BUF(file, 0);
	struct op op = plain_op(&arena);
	struct cache c;
	bool is_clean;
	cache_init(&c);
	(void)cache_add(&c, STR("somebody"));
	put_all(&file, &c, false);
	cache_done(&c);
	cache_init(&c);
	for (size_t n = 0; n < file.n; n++)
		assert_err(cache_userdb_read(&op, (struct str){ file.p, n }, &c, &is_clean),
			n == 7 ? ERR_UNSUPPORTED : ERR_CORRUPT);
	for (size_t i = 8; i < file.n; i++) {
		file.p[i] = (char)(file.p[i] ^ 1);
		assert_err(cache_userdb_read(&op, buf_str(&file), &c, &is_clean), ERR_CORRUPT);
		file.p[i] = (char)(file.p[i] ^ 1);
	}
	assert_int_equal(c.users.count, 0);
	file.p[7] = '2';
	assert_err(cache_userdb_read(&op, buf_str(&file), &c, &is_clean), ERR_UNSUPPORTED);
	cache_done(&c);
}

/* ---- the queue ---- */

#define S US_PER_SEC

static void class_goes_before_time(void **state)
{
	(void)state;
	struct upload_queue q;
	struct upload_entry a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };
	upload_queue_init(&q, 10, 0);
	upload_plan(&q, &a, UPLOAD_LOW, 1 * S);
	upload_plan(&q, &b, UPLOAD_LOW, 2 * S);
	upload_plan(&q, &c, UPLOAD_HIGH, 3 * S);
	upload_plan(&q, &d, UPLOAD_IMMEDIATE, 4 * S);
	assert_int_equal(upload_wake_us(&q, 0), 1 * S);
	assert_null(upload_next(&q, S - 1));
	assert_ptr_equal(upload_next(&q, 4 * S), &d);
	assert_ptr_equal(upload_next(&q, 4 * S), &c);
	assert_ptr_equal(upload_next(&q, 4 * S), &a);
	assert_ptr_equal(upload_next(&q, 4 * S), &b);
	assert_null(upload_next(&q, 4 * S));
	upload_queue_done(&q);
}

static void plans_are_raised_and_repeated(void **state)
{
	(void)state;
	struct upload_queue q;
	struct upload_entry a = { 0 }, b = { 0 };
	upload_queue_init(&q, 10, 0);
	upload_plan(&q, &a, UPLOAD_LOW, 100 * S);
	upload_plan(&q, &a, UPLOAD_HIGH, 200 * S); /* the class rises, the time stays */
	assert_int_equal(upload_wake_us(&q, 0), 100 * S);
	upload_plan(&q, &a, UPLOAD_LOW, 10 * S);
	assert_int_equal(a.class, UPLOAD_HIGH);
	assert_ptr_equal(upload_next(&q, 10 * S), &a);
	upload_plan(&q, &a, UPLOAD_LOW, 20 * S); /* while it runs */
	assert_null(upload_next(&q, 30 * S));
	assert_false(upload_cancel(&q, &a));
	upload_finish(&q, &a, false, 30 * S);
	assert_ptr_equal(upload_next(&q, 30 * S), &a);
	assert_int_equal(a.class, UPLOAD_LOW);
	upload_finish(&q, &a, false, 31 * S);
	assert_int_equal(a.state, UPLOAD_RESTING);
	upload_plan(&q, &b, UPLOAD_LOW, 0);
	assert_true(upload_cancel(&q, &b) && upload_cancel(&q, &a));
	assert_int_equal(upload_wake_us(&q, 31 * S), TIME_NEVER);
	upload_queue_done(&q);
}

static void uploads_are_paced(void **state)
{
	(void)state;
	struct upload_queue q;
	struct upload_entry e[100] = { 0 }, urgent = { 0 };
	upload_queue_init(&q, 1000, 10);
	for (size_t i = 0; i < ARRAY_COUNT(e); i++)
		upload_plan(&q, &e[i], UPLOAD_LOW, 0);
	size_t begun = 0;
	while (upload_next(&q, 1000 * S))
		begun++;
	assert_in_range(begun, 16, 17); /* the burst */
	assert_int_equal(upload_wake_us(&q, 1000 * S), q.paid_us);
	for (int64_t at_us = 1000 * S; at_us < 1002 * S; at_us += S / 100)
		begun += upload_next(&q, at_us) != NULL;
	assert_in_range(begun, 35, 38); /* ten a second */
	upload_plan(&q, &urgent, UPLOAD_IMMEDIATE, 0);
	assert_ptr_equal(upload_next(&q, 1002 * S), &urgent);
	upload_queue_done(&q);
}

static void only_some_run_at_once(void **state)
{
	(void)state;
	struct upload_queue q;
	struct upload_entry e[3] = { 0 };
	upload_queue_init(&q, 2, 0);
	for (size_t i = 0; i < ARRAY_COUNT(e); i++)
		upload_plan(&q, &e[i], UPLOAD_LOW, (int64_t)i);
	assert_ptr_equal(upload_next(&q, S), &e[0]);
	assert_ptr_equal(upload_next(&q, S), &e[1]);
	assert_null(upload_next(&q, S));
	assert_int_equal(upload_wake_us(&q, S), TIME_NEVER);
	upload_finish(&q, &e[1], false, S);
	assert_ptr_equal(upload_next(&q, S), &e[2]);
	upload_queue_done(&q);
}

static void a_store_that_refuses_is_left_alone(void **state)
{
	(void)state;
	struct upload_queue q;
	struct upload_entry e[4] = { 0 };
	upload_queue_init(&q, 2, 0);
	for (size_t i = 0; i < ARRAY_COUNT(e); i++)
		upload_plan(&q, &e[i], UPLOAD_LOW, (int64_t)i);
	(void)upload_next(&q, S);
	(void)upload_next(&q, S);
	upload_finish(&q, &e[0], true, S);
	upload_finish(&q, &e[1], true, S); /* the same refusal */
	assert_int_equal(q.backoff_us, S);
	assert_null(upload_next(&q, 2 * S - 1));
	assert_int_equal(upload_wake_us(&q, S), 2 * S);
	int64_t at_us = 2 * S;
	for (int64_t wait_us = 2 * S; wait_us <= 512 * S; wait_us *= 2) {
		assert_ptr_equal(upload_next(&q, at_us), &e[0]);
		assert_null(upload_next(&q, at_us)); /* one asks */
		upload_finish(&q, &e[0], true, at_us);
		assert_int_equal(q.backoff_us, MIN(wait_us, 300 * S));
		at_us += q.backoff_us;
	}
	assert_ptr_equal(upload_next(&q, at_us), &e[0]);
	upload_finish(&q, &e[0], false, at_us);
	assert_ptr_equal(upload_next(&q, at_us), &e[1]);
	assert_ptr_equal(upload_next(&q, at_us), &e[2]);
	upload_queue_done(&q);
}

/* Random plans against a naive model: what comes out is always the most urgent. */
static void the_heaps_keep_order(void **state)
{
	(void)state;
	struct upload_queue q;
	struct upload_entry e[200] = { 0 };
	uint64_t seed = 12345;
	upload_queue_init(&q, 1000, 0);
	for (int round = 0; round < 5000; round++) {
		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		struct upload_entry *x = &e[(seed >> 33) % ARRAY_COUNT(e)];
		int64_t due_us = (int64_t)(seed >> 40) % 1000;
		if (x->state == UPLOAD_RUNNING)
			upload_finish(&q, x, false, 1000);
		else if ((seed >> 20) % 4 == 0)
			(void)upload_cancel(&q, x);
		else
			upload_plan(&q, x, (enum upload_class)(1 + (seed >> 10) % 3), due_us);
		if (round % 7)
			continue;
		const struct upload_entry *best = NULL;
		for (size_t i = 0; i < ARRAY_COUNT(e); i++)
			if (e[i].state == UPLOAD_WAITING || e[i].state == UPLOAD_READY)
				best = !best || e[i].class > best->class ||
						       (e[i].class == best->class &&
							       e[i].due_us < best->due_us)
					       ? &e[i]
					       : best;
		const struct upload_entry *got = upload_next(&q, 1000);
		assert_true(!got == !best);
		if (got && best)
			assert_true(got->class == best->class && got->due_us == best->due_us);
	}
	upload_queue_done(&q);
}

/* ---- totals ---- */

static void workers_see_each_other(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	struct op op = plain_op(&arena);
	char path[] = "/tmp/pombal-totals-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	struct cache_totals *a, *b, *c;
	assert_ok(cache_totals_open(&op, str_from(path), 0, &a));
	assert_err(cache_totals_open(&op, str_from(path), 0, &b), ERR_UNAVAILABLE);
	assert_ok(cache_totals_open(&op, str_from(path), 3, &b));
	cache_totals_tell(a, (uint64_t[]){ 1, 2, 3, 4 }, 50);
	cache_totals_tell(b, (uint64_t[]){ 10, 20, 30, 40 }, 60);
	uint64_t bytes[CACHE_PRIORITIES];
	assert_int_equal(cache_totals_sum(a, bytes), 110);
	assert_int_equal(bytes[CACHE_OTHER], 44);
	assert_int_equal(cache_totals_lowest_of_others(a), 60);
	assert_int_equal(cache_totals_lowest_of_others(b), 50);
	cache_totals_close(b);
	assert_int_equal(cache_totals_sum(a, NULL), 10);
	assert_int_equal(cache_totals_lowest_of_others(a), INT64_MAX);
	assert_ok(cache_totals_open(&op, STR(""), 7, &c));
	cache_totals_tell(c, (uint64_t[]){ 5, 0, 0, 0 }, 1);
	assert_int_equal(cache_totals_sum(c, NULL), 5);
	cache_totals_close(c);
	cache_totals_close(a);
	(void)unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_boosted_as_the_sheet_says),
		cmocka_unit_test(priorities_are_boosted_while_they_are_small),
		cmocka_unit_test(weights_are_settings),
		cmocka_unit_test(sums_follow_every_change),
		cmocka_unit_test(changes_are_settled_by_an_upload_that_saw_them),
		cmocka_unit_test(the_file_comes_back),
		cmocka_unit_test(a_damaged_file_adds_nothing),
		cmocka_unit_test(class_goes_before_time),
		cmocka_unit_test(plans_are_raised_and_repeated),
		cmocka_unit_test(uploads_are_paced),
		cmocka_unit_test(only_some_run_at_once),
		cmocka_unit_test(a_store_that_refuses_is_left_alone),
		cmocka_unit_test(the_heaps_keep_order),
		cmocka_unit_test(workers_see_each_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
