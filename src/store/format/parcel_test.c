/* SPDX-License-Identifier: Apache-2.0 */
#include "store/format/parcel.h"

#include "base/test.h"

static const struct parcel_header usual = {
	.kind = PARCEL_LOG, .mailbox = { { 1, 2, 3 } }, .bytes = UINT64_C(0x123456789)
};

static void headers_come_back(void **state)
{
	(void)state;
	uint8_t bytes[PARCEL_HEADER_BYTES];
	struct parcel_header back;
	for (int k = PARCEL_SNAPSHOT; k < PARCEL_KINDS; k++) {
		struct parcel_header h = usual;
		h.kind = (enum parcel_kind)k;
		parcel_header_encode(&h, bytes);
		assert_int_equal(parcel_header_decode(bytes, &back), ERR_NONE);
		assert_int_equal(back.kind, k);
		assert_memory_equal(&back.mailbox, &h.mailbox, sizeof(h.mailbox));
		assert_int_equal(back.bytes, h.bytes);
		assert_non_null(parcel_file_name(back.kind));
	}
	parcel_header_encode(&(struct parcel_header){ .kind = PARCEL_END, .bytes = 7 }, bytes);
	assert_int_equal(parcel_header_decode(bytes, &back), ERR_NONE);
	assert_int_equal(back.bytes, 7);
	assert_null(parcel_file_name(back.kind));
}

static void nonsense_is_refused(void **state)
{
	(void)state;
	uint8_t good[PARCEL_HEADER_BYTES], bytes[PARCEL_HEADER_BYTES];
	struct parcel_header back, wrong = usual;
	parcel_header_encode(&usual, good);
	for (size_t i = 0; i < 16; i++) { /* magic, kind, zeros */
		memcpy(bytes, good, sizeof(bytes));
		bytes[i] ^= 0x80;
		assert_int_equal(parcel_header_decode(bytes, &back), ERR_CORRUPT);
	}
	memcpy(bytes, good, sizeof(bytes));
	bytes[8] = PARCEL_KINDS;
	assert_int_equal(parcel_header_decode(bytes, &back), ERR_CORRUPT);
	bytes[8] = PARCEL_END; /* of a mailbox */
	assert_int_equal(parcel_header_decode(bytes, &back), ERR_CORRUPT);
	wrong.bytes = PARCEL_FILE_MAX + 1;
	parcel_header_encode(&wrong, bytes);
	assert_int_equal(parcel_header_decode(bytes, &back), ERR_CORRUPT);
	wrong = (struct parcel_header){ .kind = PARCEL_LOG }; /* of none */
	parcel_header_encode(&wrong, bytes);
	assert_int_equal(parcel_header_decode(bytes, &back), ERR_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_come_back),
		cmocka_unit_test(nonsense_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
