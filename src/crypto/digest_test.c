/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/digest_test.c - known answers of algorithms by name. */
#include "crypto/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/codec.h"

static void assert_hex(struct str bytes, const char *want)
{
	AUTO_BUF(hex, 0);
	hex_encode(&hex, bytes);
	buf_put_byte(&hex, '\0');
	assert_string_equal(hex.p, want);
}

static void digests_of_abc(void **state)
{
	(void)state;
	static const struct {
		const char *name, *want;
	} cases[] = {
		{ "md5", "900150983cd24fb0d6963f7d28e17f72" },
		{ "SHA1", "a9993e364706816aba3e25717850c26c9cd0d89d" },
		{ "sha224", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7" },
		{ "sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "sha384", "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
			    "8086072ba1e7cc2358baeca134c825a7" },
		{ "sha512", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
			    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
	};
	uint8_t sum[CRYPTO_DIGEST_BYTES_MAX];
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		size_t n = crypto_digest(str_from(cases[i].name), STR("abc"), sum);
		assert_hex((struct str){ (const char *)sum, n }, cases[i].want);
	}
	assert_int_equal(crypto_digest(STR("crc32"), STR("abc"), sum), 0);
}

/* NIST SP 800-38A F.2.5, first block; the padding makes a second one. */
static void cbc_known_answer(void **state)
{
	(void)state;
	AUTO_BUF(key, 0);
	AUTO_BUF(iv, 0);
	AUTO_BUF(plain, 0);
	AUTO_BUF(sealed, 0);
	AUTO_BUF(opened, 0);
	assert_true(hex_decode(
		&key, STR("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")));
	assert_true(hex_decode(&iv, STR("000102030405060708090a0b0c0d0e0f")));
	assert_true(hex_decode(&plain, STR("6bc1bee22e409f96e93d7e117393172a")));
	struct str name = STR("AES-256-cbc");
	assert_true(
		crypto_cipher_seal(name, buf_str(&key), buf_str(&iv), buf_str(&plain), &sealed));
	assert_int_equal(sealed.n, 32);
	assert_hex(str_slice(buf_str(&sealed), 0, 16), "f58c4c04d6e5f1ba779eabfb5f7bfbd6");
	assert_true(
		crypto_cipher_open(name, buf_str(&key), buf_str(&iv), buf_str(&sealed), &opened));
	assert_true(str_eq(buf_str(&opened), buf_str(&plain)));

	buf_clear(&opened);
	assert_false(crypto_cipher_open(
		name, buf_str(&key), buf_str(&iv), str_slice(buf_str(&sealed), 0, 31), &opened));
	assert_false(
		crypto_cipher_open(name, buf_str(&iv), buf_str(&iv), buf_str(&sealed), &opened));
	assert_false(crypto_cipher_open(
		STR("aes-256-gcm"), buf_str(&key), buf_str(&iv), buf_str(&sealed), &opened));
	assert_int_equal(opened.n, 0);
}

/* RFC 6070, second vector. */
static void keys_from_passwords(void **state)
{
	(void)state;
	uint8_t key[20];
	assert_true(
		crypto_key_derive(STR("sha1"), STR("password"), STR("salt"), 2, key, sizeof(key)));
	assert_hex((struct str){ (const char *)key, sizeof(key) },
		"ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957");
	assert_false(crypto_key_derive(STR("sha1"), STR("p"), STR("s"), 0, key, sizeof(key)));
	assert_false(crypto_key_derive(STR("x"), STR("p"), STR("s"), 1, key, sizeof(key)));
}

static void parts_are_one_text(void **state)
{
	(void)state;
	uint8_t whole[CRYPTO_DIGEST_BYTES_MAX], parts[CRYPTO_DIGEST_BYTES_MAX];
	const struct str pieces[] = { STR("a"), STR_NONE, STR("bc") };
	assert_int_equal(crypto_digest(STR("md5"), STR("abc"), whole), 16);
	assert_int_equal(crypto_digest_parts(STR("MD5"), pieces, 3, parts), 16);
	assert_memory_equal(whole, parts, 16);
	assert_int_equal(crypto_digest_parts(STR("x"), pieces, 3, parts), 0);
}

/* RFC 2202, test case 2. */
static void hmac_known_answer(void **state)
{
	(void)state;
	uint8_t mac[CRYPTO_DIGEST_BYTES_MAX];
	size_t n = crypto_hmac(STR("sha1"), STR("Jefe"), STR("what do ya want for nothing?"), mac);
	assert_hex(
		(struct str){ (const char *)mac, n }, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
	assert_int_equal(crypto_hmac(STR("x"), STR_NONE, STR_NONE, mac), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_of_abc),
		cmocka_unit_test(cbc_known_answer),
		cmocka_unit_test(keys_from_passwords),
		cmocka_unit_test(parts_are_one_text),
		cmocka_unit_test(hmac_known_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
