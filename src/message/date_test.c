/* SPDX-License-Identifier: Apache-2.0 */
#include "message/date.h"

#include "message/test_kit.h"

static int64_t parse(struct str s, int *zone)
{
	struct message_date date;

	if (!message_date_parse(s, &date))
		return -1;
	*zone = date.zone_min;
	return date.wall_s;
}

#define assert_date(text, seconds, zone_min)                                                       \
	do {                                                                                       \
		int zone = -9999;                                                                  \
		assert_int_equal(parse(STR(text), &zone), seconds);                                \
		assert_int_equal(zone, zone_min);                                                  \
	} while (0)

#define assert_no_date(text)                                                                       \
	do {                                                                                       \
		struct message_date date;                                                          \
		assert_false(message_date_parse(STR(text), &date));                                \
	} while (0)

static void valid_dates(void **state)
{
	(void)state;
	assert_date("Thu, 01 Jan 1970 00:00:00 +0000", 0, 0);
	assert_date("Fri, 21 Nov 1997 09:55:06 -0600", 880127706, -360);
	assert_date("21 Nov 97 09:55:06 GMT", 880106106, 0);
	assert_date("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600 (CST)", 880127706, -360);
	assert_date("Tue, 29 Feb 2000 23:59:60 +0530", 951848999, 330);
	assert_date("1 Jan 2001 00:00 EST", 978325200, -300);
	assert_date("1 Jan 2001 00:00 Z", 978307200, 0);
	assert_date("1 Jan 2001", 978307200, 0);
	assert_date("1 Jan 49 00:00:00 +0000", 2493072000, 0);
	assert_date("1-Jan-2001 00:00:00", 978307200, 0);
	assert_date("Mon, 1 January 101 00:00:00 +0000", 978307200, 0);
	assert_date("1 Jan 2001 00:00:00 +9999", 978307200, 0);
	assert_date("1 Jan 2001\r\n 00:00:00 +0100", 978303600, 60);
}

static void written_digits_are_kept(void **state)
{
	(void)state;
	struct message_date date;

	assert_true(message_date_parse(STR("Sat, 31 Dec 2022 23:30:00 -1000"), &date));
	assert_int_equal(date.year, 2022);
	assert_int_equal(date.month, 12);
	assert_int_equal(date.day, 31);
}

static void invalid_dates(void **state)
{
	(void)state;
	assert_no_date("");
	assert_no_date("yesterday");
	assert_no_date("31 Feb 2020 10:00:00 +0000");
	assert_no_date("29 Feb 2100 10:00:00 +0000");
	assert_no_date("0 Jan 2020 10:00:00 +0000");
	assert_no_date("1 Jan 20201 10:00:00 +0000");
	assert_no_date("1 Jan 2020 24:00:00 +0000");
	assert_no_date("1 Jan 2020 10:60 +0000");
	assert_no_date("1 Xyz 2020 10:00 +0000");
	assert_no_date("1 Jan 2020 noon");
	assert_no_date("2020-01-01T10:00:00Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(valid_dates),
		cmocka_unit_test(written_digits_are_kept),
		cmocka_unit_test(invalid_dates),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
