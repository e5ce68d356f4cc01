/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/scram.h"

#include "base/codec.h"
#include "base/test.h"

struct vector {
	const struct scram_digest *digest;
	const char *salt, *auth_message, *proof, *signature;
};
/* RFC 5802 §5 and RFC 7677 §3: user "user", password "pencil", 4096 rounds. */
static const struct vector vectors[] = {
	{ &scram_sha1, "QSXCR+Q6sek8bf92",
		"n=user,r=fyko+d2lbbFgONRv9qkxdawL,"
		"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096,"
		"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
		"v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "rmF9pqV8S7suAoZWja4dJRkFsKQ=" },
	{ &scram_sha256, "W22ZaJ0SNY7soEsUEjb6gQ==",
		"n=user,r=rOprNGfwEbeRWgbNEkqO,"
		"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
		"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
		"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
		"dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" },
};

static void rfc_examples(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(vectors); i++) {
		const struct vector *v = &vectors[i];
		AUTO_BUF(salt, 0);
		AUTO_BUF(proof, 0);
		AUTO_BUF(signature, 0);
		AUTO_BUF(text, 0);
		struct scram_keys keys, again;
		uint8_t raw[SCRAM_KEY_BYTES_MAX];
		uint32_t rounds;
		assert_true(base64_decode(&salt, str_from(v->salt)));
		assert_true(base64_decode(&proof, str_from(v->proof)));
		scram_keys_derive(v->digest, STR("pencil"), buf_str(&salt), 4096, &keys);
		struct str message = str_from(v->auth_message);
		assert_true(scram_proof_is_right(v->digest, &keys, message, buf_str(&proof)));
		scram_server_signature(v->digest, &keys, message, raw);
		base64_encode(&signature, (struct str){ (char *)raw, v->digest->bytes });
		assert_str(buf_str(&signature), str_from(v->signature));

		proof.p[3] ^= 1;
		assert_false(scram_proof_is_right(v->digest, &keys, message, buf_str(&proof)));
		assert_false(scram_proof_is_right(v->digest, &keys, message, STR("")));

		scram_stored_put(v->digest, 4096, buf_str(&salt), &keys, &text);
		buf_clear(&salt);
		assert_true(scram_stored_parse(v->digest, buf_str(&text), &rounds, &salt, &again));
		assert_int_equal(rounds, 4096);
		assert_memory_equal(again.stored, keys.stored, v->digest->bytes);
		assert_memory_equal(again.server, keys.server, v->digest->bytes);
	}
}

static void damaged_stored_keys_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "4096", "4096,,", "0,QQ==,QQ==,QQ==", "x,y,z,w",
		"4096,QQ==,QQ==,QQ==", "99999999999,QQ==,QQ==,QQ==" };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		AUTO_BUF(salt, 0);
		struct scram_keys keys;
		uint32_t rounds;
		assert_false(
			scram_stored_parse(&scram_sha1, str_from(bad[i]), &rounds, &salt, &keys));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_examples),
		cmocka_unit_test(damaged_stored_keys_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
