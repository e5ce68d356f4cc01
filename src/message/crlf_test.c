/* SPDX-License-Identifier: Apache-2.0 */
#include "message/crlf.h"

#include "message/test_kit.h"

/* The obvious way, to compare with. */
static void normalise(struct str in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] == '\n' && (i == 0 || in.p[i - 1] != '\r'))
			buf_put_byte(out, '\r');
		buf_put_byte(out, in.p[i]);
	}
}

static const struct str samples[] = {
	{ "", 0 },
	{ "a", 1 },
	{ "\n", 1 },
	{ "\r\n", 2 },
	{ "\r", 1 },
	{ "\n\n\n", 3 },
	{ "\r\n\n\r\n", 5 },
	{ "\r\r\n\r", 4 },
	{ "one\ntwo\r\nthree\n\n\r\nfour", 23 },
	{ "one\r\ntwo\r\n\r\n", 12 },
	{ "x\r\n\ny\0z\n", 8 },
};

static void every_range_in_every_step(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(samples); i++) {
		AUTO_BUF(want, 0);
		normalise(samples[i], &want);
		assert_int_equal(message_crlf_size(samples[i]), want.n);
		for (size_t from = 0; from <= want.n + 1; from++) {
			for (size_t step = 1; step <= want.n + 1; step++) {
				struct message_crlf reader;
				AUTO_BUF(got, 0);
				message_crlf_init(&reader, samples[i], want.n);
				message_crlf_skip(&reader, from);
				while (message_crlf_read(&reader, &got, step) > 0)
					;
				assert_str(buf_str(&got), str_slice(buf_str(&want), from, want.n));
			}
		}
	}
}

static void nothing_is_fine(void **state)
{
	(void)state;
	struct message_crlf reader;
	AUTO_BUF(out, 0);

	assert_int_equal(message_crlf_size(STR_NONE), 0);
	message_crlf_init(&reader, STR_NONE, 0);
	message_crlf_skip(&reader, 1);
	assert_int_equal(message_crlf_read(&reader, &out, 1), 0);
}

static void reading_stops_at_the_room(void **state)
{
	(void)state;
	struct message_crlf reader;
	AUTO_BUF(out, 4);

	message_crlf_init(&reader, STR("ab\ncd\n"), 8);
	assert_int_equal(message_crlf_read(&reader, &out, 100), 4);
	assert_str(buf_str(&out), STR("ab\r\n"));
	assert_int_equal(message_crlf_read(&reader, &out, 100), 0);
	buf_clear(&out);
	assert_int_equal(message_crlf_read(&reader, &out, 100), 4);
	assert_str(buf_str(&out), STR("cd\r\n"));
}

static void nul_becomes_0x80_on_request(void **state)
{
	(void)state;
	struct message_crlf reader;
	AUTO_BUF(out, 0);

	buf_put(&out, STR("\0"));
	message_crlf_init(&reader, STR("\0a\0\nb\0"), 7);
	reader.is_nul_replaced = true;
	(void)message_crlf_read(&reader, &out, 100);
	assert_str(buf_str(&out), STR("\0\x80"
				      "a\x80\r\nb\x80"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_range_in_every_step),
		cmocka_unit_test(nothing_is_fine),
		cmocka_unit_test(reading_stops_at_the_room),
		cmocka_unit_test(nul_becomes_0x80_on_request),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
