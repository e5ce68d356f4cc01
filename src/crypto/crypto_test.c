/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/crypto.h"

#include "base/codec.h"
#include "base/random.h"
#include "base/test.h"

static void check_hex(const uint8_t *bytes, size_t n, struct str expected)
{
	AUTO_BUF(hex, 0);
	struct str in = { (const char *)bytes, n };

	hex_encode(&hex, in);
	assert_str(buf_str(&hex), expected);
}

static void digests_known_answers(void **state) /* FIPS 180 examples */
{
	(void)state;
	uint8_t out[CRYPTO_SHA512_BYTES];

	crypto_sha256(STR("abc"), out);
	check_hex(out, CRYPTO_SHA256_BYTES,
		STR("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
	const struct str parts[] = { STR("a"), STR_NONE, STR("bc") };
	uint8_t of_parts[CRYPTO_SHA256_BYTES];
	crypto_sha256_parts(parts, 3, of_parts);
	assert_memory_equal(out, of_parts, sizeof(of_parts));
	crypto_sha256(STR_NONE, out);
	check_hex(out, CRYPTO_SHA256_BYTES,
		STR("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
	crypto_sha512(STR("abc"), out);
	check_hex(out, CRYPTO_SHA512_BYTES,
		STR("ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
		    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"));
}

static void hmac_known_answers(void **state) /* RFC 4231 */
{
	(void)state;
	uint8_t out[CRYPTO_SHA256_BYTES];
	char long_key[131];

	crypto_hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?"), out);
	check_hex(out, sizeof(out),
		STR("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
	memset(long_key, 0xaa, sizeof(long_key));
	struct str key = { long_key, sizeof(long_key) };
	crypto_hmac_sha256(key, STR("Test Using Larger Than Block-Size Key - Hash Key First"), out);
	check_hex(out, sizeof(out),
		STR("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"));
	crypto_hmac_sha256(STR_NONE, STR_NONE, out);
	check_hex(out, sizeof(out),
		STR("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"));
}

static const uint8_t key[CRYPTO_KEY_BYTES] = { 1, 2, 3 };

static void sealed_message_opens_with_the_same_key_and_context(void **state)
{
	(void)state;
	const struct str plain = STR("user=anna");
	const uint8_t other_key[CRYPTO_KEY_BYTES] = { 1, 2, 4 };
	AUTO_BUF(sealed, 0);
	AUTO_BUF(out, 0);

	crypto_seal(key, STR("ticket"), plain, &sealed);
	assert_int_equal(sealed.n, plain.n + CRYPTO_SEAL_BYTES);
	assert_int_equal(str_find(buf_str(&sealed), STR("anna")), -1);
	assert_true(crypto_open(key, STR("ticket"), buf_str(&sealed), &out));
	assert_str(buf_str(&out), plain);
	assert_false(crypto_open(other_key, STR("ticket"), buf_str(&sealed), &out));
	assert_false(crypto_open(key, STR("cookie"), buf_str(&sealed), &out));
	assert_str(buf_str(&out), plain); /* refusals added nothing */
}

static void sealed_message_is_never_the_same_twice(void **state)
{
	(void)state;
	AUTO_BUF(one, 0);
	AUTO_BUF(two, 0);

	crypto_seal(key, STR_NONE, STR("x"), &one);
	crypto_seal(key, STR_NONE, STR("x"), &two);
	assert_false(str_eq(buf_str(&one), buf_str(&two)));
}

static void any_changed_or_missing_byte_is_noticed(void **state)
{
	(void)state;
	AUTO_BUF(sealed, 0);
	AUTO_BUF(out, 0);

	crypto_seal(key, STR_NONE, STR("0123456789"), &sealed);
	for (size_t i = 0; i < sealed.n; i++) {
		sealed.p[i] ^= 0x10;
		assert_false(crypto_open(key, STR_NONE, buf_str(&sealed), &out));
		sealed.p[i] ^= 0x10;
		assert_false(crypto_open(key, STR_NONE, str_slice(buf_str(&sealed), 0, i), &out));
	}
	assert_true(crypto_open(key, STR_NONE, buf_str(&sealed), &out));
	assert_str(buf_str(&out), STR("0123456789"));
}

static void sealed_message_may_be_empty(void **state)
{
	(void)state;
	AUTO_BUF(sealed, 0);
	AUTO_BUF(out, 0);

	crypto_seal(key, STR("context"), STR_NONE, &sealed);
	assert_true(crypto_open(key, STR("context"), buf_str(&sealed), &out));
	assert_int_equal(out.n, 0);
}

/* The known answer of "AES-256-GCM, test case 14" in the GCM specification. */
static void sealed_format_is_standard_gcm(void **state)
{
	(void)state;
	const uint8_t zero_key[CRYPTO_KEY_BYTES] = { 0 };
	const char zeros[16] = { 0 };
	AUTO_BUF(sealed, 0);
	AUTO_BUF(out, 0);

	assert_true(
		hex_decode(&sealed, STR("000000000000000000000000cea7403d4d606b6e074ec5d3baf39d18"
					"d0d1c8a799996bf0265b98b5d48ab919")));
	assert_true(crypto_open(zero_key, STR_NONE, buf_str(&sealed), &out));
	struct str expected = { zeros, sizeof(zeros) };
	assert_str(buf_str(&out), expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_known_answers),
		cmocka_unit_test(hmac_known_answers),
		cmocka_unit_test(sealed_message_opens_with_the_same_key_and_context),
		cmocka_unit_test(sealed_message_is_never_the_same_twice),
		cmocka_unit_test(any_changed_or_missing_byte_is_noticed),
		cmocka_unit_test(sealed_message_may_be_empty),
		cmocka_unit_test(sealed_format_is_standard_gcm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
