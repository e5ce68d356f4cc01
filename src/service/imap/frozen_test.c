/* SPDX-License-Identifier: Apache-2.0 */
#include "service/imap/frozen.h"

#include "base/test.h"

static void make(struct imap_frozen *out, struct buf *bytes)
{
	*out = (struct imap_frozen){
		.user = STR("u@example.org"),
		.session_id = STR("abc"),
		.idle_tag = STR("a1"),
		.view = STR("some bytes"),
		.input = STR("a2 NO"),
		.remote = { .family = AF_INET, .port = 1143, .ip = { 192, 0, 2, 1 } },
		.enabled = 3,
		.bad_commands = 2,
		.keywords_told = 5,
		.is_read_only = true,
		.counters = { 1, 2, UINT64_MAX },
	};
	range_set_init(&out->saved_uids);
	range_set_add(&out->saved_uids, 3, 9);
	range_set_add(&out->saved_uids, 11, UINT32_MAX);
	imap_frame_init(&out->frame);
	out->frame.scanned = 5;
	imap_frozen_put(out, bytes);
}

static void a_session_comes_back_as_it_was(void **state)
{
	struct imap_frozen f, g;
	AUTO_BUF(bytes, 0);
	AUTO_BUF(again, 0);
	(void)state;
	make(&f, &bytes);
	assert_true(imap_frozen_parse(buf_str(&bytes), &g));
	assert_str(g.user, f.user);
	assert_str(g.input, f.input);
	assert_str(g.idle_tag, f.idle_tag);
	assert_true(address_equal_ip(&g.remote, &f.remote) && g.remote.port == 1143);
	assert_true(g.is_read_only && !g.has_untold_mails);
	assert_int_equal(g.counters[2], UINT64_MAX);
	assert_int_equal(range_set_size(&g.saved_uids), range_set_size(&f.saved_uids));
	assert_int_equal(g.frame.scanned, 5);
	imap_frozen_put(&g, &again);
	assert_str(buf_str(&again), buf_str(&bytes));
	imap_frozen_done(&f);
	imap_frozen_done(&g);
}

static void a_part_of_it_is_refused(void **state)
{
	struct imap_frozen f, g;
	AUTO_BUF(bytes, 0);
	(void)state;
	make(&f, &bytes);
	for (size_t n = 0; n < bytes.n; n++)
		assert_false(imap_frozen_parse(str_slice(buf_str(&bytes), 0, n), &g));
	buf_put_byte(&bytes, 0);
	assert_false(imap_frozen_parse(buf_str(&bytes), &g)); /* nor more than it */
	bytes.p[0]++;
	assert_false(imap_frozen_parse(str_slice(buf_str(&bytes), 0, bytes.n - 1), &g));
	imap_frozen_done(&f);
}

static void a_frame_beyond_the_input_is_refused(void **state)
{
	struct imap_frozen f, g;
	AUTO_BUF(bytes, 0);
	(void)state;
	make(&f, &bytes);
	buf_clear(&bytes);
	f.frame.scanned = 6;
	imap_frozen_put(&f, &bytes);
	assert_false(imap_frozen_parse(buf_str(&bytes), &g));
	imap_frozen_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_comes_back_as_it_was),
		cmocka_unit_test(a_part_of_it_is_refused),
		cmocka_unit_test(a_frame_beyond_the_input_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
