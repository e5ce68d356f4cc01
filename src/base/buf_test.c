/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include "base/random.h"
#include "base/test.h"

static void buf_grows_as_things_are_added(void **state)
{
	(void)state;
	AUTO_BUF(b, 0);

	buf_put(&b, STR("* "));
	buf_put_u64_dec(&b, 0);
	buf_put_byte(&b, ' ');
	buf_put_u64_dec(&b, UINT64_MAX);
	buf_putf(&b, " %s %d", "FETCH", 7);
	assert_str(buf_str(&b), STR("* 0 18446744073709551615 FETCH 7"));
}

static void buf_over_the_limit_stays_as_it_was(void **state)
{
	(void)state;
	AUTO_BUF(b, 8);

	assert_ok(buf_add(&b, STR("1234567")));
	assert_err(buf_add(&b, STR("89")), ERR_LIMIT);
	assert_err(buf_addf(&b, "%d", 89), ERR_LIMIT);
	assert_str(buf_str(&b), STR("1234567"));
	assert_ok(buf_addf(&b, "%d", 8)); /* exactly full, though printf wants room for its NUL */
	assert_err(buf_add_byte(&b, '9'), ERR_LIMIT);
	assert_int_equal(buf_room(&b), 0);
	assert_str(buf_str(&b), STR("12345678"));
	assert_aborts(buf_put_byte(&b, '9'));
}

static void buf_reserved_bytes_count_when_told(void **state)
{
	(void)state;
	AUTO_BUF(b, 100);
	char *p = buf_reserve(&b, 100);

	memcpy(p, "abc", 3);
	buf_grew(&b, 3);
	assert_str(buf_str(&b), STR("abc"));
	assert_aborts((void)buf_reserve(&b, 98));
}

/* A reader takes steps from the front while a writer adds at the end: what comes out is what went
 * in, and the memory stays near what is unread. */
static void buf_works_as_a_queue(void **state)
{
	(void)state;
	AUTO_BUF(b, 0);
	uint32_t written = 0;
	uint32_t taken = 0;

	random_set_seed(1);
	for (int step = 0; step < 20000; step++) {
		for (uint64_t n = random_below(20); n > 0; n--, written++)
			buf_put(&b, (struct str){ (const char *)&written, sizeof(written) });
		for (uint64_t n = random_below(22); n > 0 && b.n > 0; n--, taken++) {
			uint32_t got;
			memcpy(&got, b.p, sizeof(got));
			assert_int_equal(got, taken);
			buf_drop_front(&b, sizeof(got));
		}
	}
	assert_int_equal(b.n, (written - taken) * sizeof(uint32_t));
	assert_true(b.front + b.cap < 64 * 1024);
}

static void buf_truncate_and_clear_keep_the_memory(void **state)
{
	(void)state;
	AUTO_BUF(b, 0);

	buf_put(&b, STR("abcdef"));
	buf_drop_front(&b, 2);
	buf_truncate(&b, 3);
	assert_str(buf_str(&b), STR("cde"));
	const char *before = b.p - b.front;
	buf_clear(&b);
	assert_int_equal(b.n, 0);
	assert_ptr_equal(b.p, before);
}

static void buf_dup_outlives_the_buffer(void **state)
{
	(void)state;
	AUTO_ARENA(a, 0);
	struct buf b;

	buf_init(&b, 0);
	buf_putf(&b, "%0500d", 7); /* longer than the first allocation */
	struct str copy = buf_dup(&a, &b);
	buf_done(&b);
	assert_int_equal(copy.n, 500);
	assert_true(str_ends(copy, STR("0007")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buf_grows_as_things_are_added),
		cmocka_unit_test(buf_over_the_limit_stays_as_it_was),
		cmocka_unit_test(buf_reserved_bytes_count_when_told),
		cmocka_unit_test(buf_works_as_a_queue),
		cmocka_unit_test(buf_truncate_and_clear_keep_the_memory),
		cmocka_unit_test(buf_dup_outlives_the_buffer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
