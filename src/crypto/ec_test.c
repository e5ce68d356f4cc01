/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/ec.h"

#include "base/codec.h"
#include "base/test.h"
#include "crypto/ec_test_keys.h"

static struct ec_key *private_key(const char *pem, const char *password)
{
	struct str rest = str_from(pem);
	const char *problem;
	struct ec_key *k = ec_key_cut_private(&rest, str_from(password), &problem);
	assert_non_null(k);
	assert_null(ec_key_cut_private(&rest, STR_NONE, &problem));
	assert_null(problem);
	return k;
}

static void both_sides_make_the_same_secret(void **state)
{
	(void)state;
	static const char *const keys[] = { EC_TEST_P256, EC_TEST_P521, EC_TEST_X25519 };
	for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
		uint8_t a[EC_SECRET_MAX], b[EC_SECRET_MAX], half[EC_PUBLIC_MAX], id[2][EC_ID_BYTES];
		struct ec_key *ours = private_key(keys[i], NULL), *fresh = ec_key_fresh(ours);
		size_t n = ec_key_public(fresh, half);
		size_t an = ec_agree(ours, (struct str){ (const char *)half, n }, a);
		n = ec_key_public(ours, half);
		size_t bn = ec_agree(fresh, (struct str){ (const char *)half, n }, b);
		assert_true(an >= 32 && an == bn);
		assert_memory_equal(a, b, an);
		half[n - 1] ^= 1; /* X25519 takes any bytes */
		if (i < 2)
			assert_int_equal(
				ec_agree(fresh, (struct str){ (const char *)half, n }, b), 0);
		assert_int_equal(ec_agree(fresh, (struct str){ (const char *)half, n - 1 }, b), 0);
		assert_int_equal(ec_agree(fresh, STR_NONE, b), 0);
		ec_key_id(ours, id[0]);
		ec_key_id(fresh, id[1]);
		assert_memory_not_equal(id[0], id[1], EC_ID_BYTES);
		ec_key_free(ours);
		ec_key_free(fresh);
	}
}

static void what_is_no_key_is_told(void **state)
{
	(void)state;
	const char *problem;
	struct str text = STR("hello");
	assert_null(ec_key_cut_public(&text, &problem));
	assert_string_equal(problem, "it is no PEM text");
	text = str_from(EC_TEST_RSA_PUBLIC);
	assert_null(ec_key_cut_public(&text, &problem));
	assert_string_equal(problem, "its curve is none of P-256, P-384, P-521, X25519 and X448");
	text = str_from(EC_TEST_P256);
	assert_null(ec_key_cut_public(&text, &problem));
	assert_string_equal(problem, "no public key is in it");
	text = str_from(EC_TEST_P256_ENCRYPTED);
	assert_null(ec_key_cut_private(&text, STR("wrong"), &problem));
	assert_string_equal(problem, "its password is missing or wrong");
	assert_null(ec_key_cut_private(&text, STR_NONE, &problem));
	assert_string_equal(problem, "its password is missing or wrong");
	ec_key_free(private_key(EC_TEST_P256_ENCRYPTED, EC_TEST_PASSWORD));
}

static void public_and_private_half_have_one_id(void **state)
{
	(void)state;
	const char *problem;
	uint8_t a[EC_ID_BYTES], b[EC_ID_BYTES];
	struct ec_key *k = private_key(EC_TEST_P256, NULL);
	struct str text = STR(EC_TEST_P256_PUBLIC EC_TEST_X25519_PUBLIC);
	struct ec_key *p = ec_key_cut_public(&text, &problem),
		      *q = ec_key_cut_public(&text, &problem);
	ec_key_id(k, a);
	ec_key_id(p, b);
	assert_memory_equal(a, b, sizeof(a));
	ec_key_id(q, b);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_null(ec_key_cut_public(&text, &problem));
	assert_null(problem);
	ec_key_free(k);
	ec_key_free(p);
	ec_key_free(q);
}

/* RFC 5869, A.1 and A.3. */
static void hkdf_gives_the_published_bytes(void **state)
{
	(void)state;
	uint8_t out[42];
	char secret[22];
	struct buf hex;
	buf_init(&hex, 0);
	memset(secret, 0x0b, sizeof(secret));
	crypto_hkdf((struct str){ secret, 22 },
		STR("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c"),
		STR("\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9"), out, sizeof(out));
	hex_encode(&hex, (struct str){ (const char *)out, sizeof(out) });
	assert_str(buf_str(&hex),
		STR("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
		    "34007208d5b887185865"));
	buf_clear(&hex);
	crypto_hkdf((struct str){ secret, 22 }, STR_NONE, STR_NONE, out, sizeof(out));
	hex_encode(&hex, (struct str){ (const char *)out, sizeof(out) });
	assert_str(buf_str(&hex),
		STR("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
		    "9d201395faa4b61a96c8"));
	buf_done(&hex);
}

static void a_changed_chunk_does_not_open(void **state)
{
	(void)state;
	for (enum aead_algorithm kind = AEAD_AES_256_GCM; kind <= AEAD_CHACHA20_POLY1305; kind++) {
		uint8_t key[AEAD_KEY_BYTES] = { 7 }, nonce[AEAD_NONCE_BYTES] = { 1 };
		uint8_t sealed[5 + AEAD_TAG_BYTES], plain[5];
		struct aead *to = aead_new(kind, key, true), *from = aead_new(kind, key, false);
		struct str in = { (const char *)sealed, sizeof(sealed) };
		for (unsigned i = 0; i < 3; i++) {
			nonce[0] = (uint8_t)i;
			aead_seal(to, nonce, STR("hello"), sealed);
			assert_true(aead_open(from, nonce, in, plain));
			assert_memory_equal(plain, "hello", 5);
			nonce[0]++;
			assert_false(aead_open(from, nonce, in, plain));
			nonce[0]--;
			sealed[i] ^= 1;
			assert_false(aead_open(from, nonce, in, plain));
			assert_memory_equal(plain, "\0\0\0\0\0", 5);
		}
		aead_seal(to, nonce, STR(""), sealed);
		assert_true(aead_open(from, nonce, str_slice(in, 0, AEAD_TAG_BYTES), plain));
		assert_false(aead_open(from, nonce, str_slice(in, 0, 3), plain));
		aead_free(to);
		aead_free(from);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sides_make_the_same_secret),
		cmocka_unit_test(what_is_no_key_is_told),
		cmocka_unit_test(public_and_private_half_have_one_id),
		cmocka_unit_test(hkdf_gives_the_published_bytes),
		cmocka_unit_test(a_changed_chunk_does_not_open),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
