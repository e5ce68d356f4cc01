/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/password.h"

#include "base/test.h"

/* Hashes of "Hello world!". Those of SHA-crypt agree with `openssl passwd`, which has its own code. */
static const char *const known[] = {
	"{PLAIN}Hello world!",
	"{cleartext}Hello world!",
	"{PLAIN.HEX}48656c6c6f20776f726c6421",
	"{PLAIN.b64}SGVsbG8gd29ybGQh",
	"{SHA256-CRYPT}$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
	"{SHA512-CRYPT}$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/"
	"O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
	"{SHA512-CRYPT}$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sb"
	"HbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
	"{BLF-CRYPT}$2b$05$abcdefghijklmnopqrstuu7nFISH/8YdwlXD3lw69A4iBUf6fvWAW",
	"{BLF-CRYPT}$2y$04$abcdefghijklmnopqrstuuyeG8laUfZvsCmc.AE6qIDYSPGM2efmK",
	"{blf-crypt}$2a$04$abcdefghijklmnopqrstuuyeG8laUfZvsCmc.AE6qIDYSPGM2efmK",
	"{CRYPT}$2a$04$abcdefghijklmnopqrstuuyeG8laUfZvsCmc.AE6qIDYSPGM2efmK",
	"{CRYPT}$y$j9T$abcdefgh$WtA2I5exIyQv5b7uDMgPs3N8zOQY6ZtcplRdKJSUiBC",
	"{SHA}00hq6RNueFa8QiEjhep5cJRHWAI=",
	"{SHA1}d3486ae9136e7856bc42212385ea797094475802",
	"{SHA256}wFNeS+K3n/2TKRMFQ2v4iTFOSj+uwF7P/Lt98xrZ5Ro=",
	"{SHA512.hex}"
	"f6cde2a0f819314cdde55fc227d8d7dae3d28cc556222a0a8ad66d91ccad4aad6094f517a2182360c9aacf6a3d"
	"c323162cb6fd8cdffedb0fe038f55e85ffb5b6",
	"{SSHA}Fj4g6BdnP4/3r9V0mnS6kJxP+x1zYWx0eQ==",
	"{SSHA256}c630bd7b5d5ec27f7f1c51816724f2ef29eaf9efed3bdf5bd4e6673bb864534b73616c7479",
	"{SSHA512}rzwczuu3yGzo3VP7gu8QGtSRSSxzqnPbk8Gq4pbdiYt+5vFeoj4ypnTwoyXB+G5NyFzU+"
	"maY4lCzPSDrti25UnNhbHR5",
	"{PBKDF2}$1$abcd$1000$93105665813a2a438c7abde90699d50ff3b309de",
	"{DIGEST-MD5}a5141447bbb0d884baaef744f3755aba",
	"{PLAIN-TRUNC}5-Hello",
	"{PLAIN-TRUNC}Hello world!",
	/* no scheme: the default, CRYPT here */
	"$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
};

/* The same, of schemes that have to be allowed. */
static const char *const weak[] = {
	"{PLAIN-MD5}86fb269d190d2c85f6e0468ceca42a20",
	"{LDAP-MD5}hvsmnRkNLIX24EaM7KQqIA==",
	"{MD5}hvsmnRkNLIX24EaM7KQqIA==",
	"{SMD5}ljrHesUZ0E3wK4mnkN3Y2HNhbHR5",
	"{MD5-CRYPT}$1$abc$.FiamM1s4pFo0QKAk4pqS.",
	"{CRYPT}$1$abc$.FiamM1s4pFo0QKAk4pqS.",
};

static enum err verify(const char *plain, struct str stored, bool allows_weak, bool *out_ok)
{
	struct password_context context = {
		.default_scheme = STR("CRYPT"),
		.user = STR("u@x.test"),
		.allows_weak = allows_weak,
	};
	return password_verify(str_from(plain), stored, &context, out_ok);
}

static void password_known_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
		struct str stored = str_from(known[i]);
		bool is_right = false;
		bool is_wrong = true;
		assert_ok(verify("Hello world!", stored, false, &is_right));
		assert_ok(verify("Jello world!", stored, false, &is_wrong));
		if (!is_right || is_wrong)
			fail_msg("%s", known[i]);
	}
}

static void password_says_what_is_wrong_with_the_stored_hash(void **state)
{
	(void)state;
	static const struct {
		const char *stored;
		enum err expected;
	} rows[] = {
		{ "{NOPE}x", ERR_UNSUPPORTED },
		{ "{CRYPT}abMbH7WsHr7wQ", ERR_DENIED },                 /* DES */
		{ "{CRYPT}$1$abc$.FiamM1s4pFo0QKAk4pqS.", ERR_DENIED }, /* MD5 */
		{ "{PLAIN-MD5}86fb269d190d2c85f6e0468ceca42a20", ERR_DENIED },
		{ "{SHA256}AAAA", ERR_INVALID },
		{ "{SSHA}", ERR_INVALID },
		{ "{PBKDF2}$1$a$0$00", ERR_INVALID },
		{ "{ARGON2ID}$argon2id$v=19$m=8", ERR_INVALID },
		{ "{SCRAM-SHA-1}4096,QQ==,QQ==,QQ==", ERR_INVALID },
		{ "{CRAM-MD5}00", ERR_INVALID },
		{ "{BLF-CRYPT}$6$saltstring$svn8", ERR_INVALID }, /* another kind */
		{ "{SHA512-CRYPT}$5$saltstring$5B8v", ERR_INVALID },
		{ "{SHA256-CRYPT}", ERR_INVALID },
		{ "{BLF-CRYPT}$2y$99$abcdefghijklmnopqrstuu", ERR_INVALID },
		{ "{CRYPT}", ERR_INVALID },
		{ "{PLAIN.HEX}4", ERR_INVALID },
		{ "{PLAIN.B64}Zg", ERR_INVALID },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		bool ok = true;
		enum err got = verify("x", str_from(rows[i].stored), false, &ok);
		if (got != rows[i].expected)
			fail_msg("%s gives %s", rows[i].stored, err_name(got));
		assert_true(ok); /* outputs are written only on success */
	}
}

static void password_braces_without_end_belong_to_the_password(void **state)
{
	(void)state;
	bool ok = false;

	assert_ok(password_verify(STR("{odd"), STR("{odd"),
		&(struct password_context){ .default_scheme = STR("PLAIN") }, &ok));
	assert_true(ok);
}

static void password_with_nul_or_too_long_is_wrong(void **state)
{
	(void)state;
	const struct str stored = STR("{SHA256-CRYPT}$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/"
				      "GNooZaBBGWEc8");
	char long_password[1000];
	bool ok = true;

	assert_ok(password_verify(
		STR("Hello world!\0"), stored, &(struct password_context){ 0 }, &ok));
	assert_false(ok);
	memset(long_password, 'x', sizeof(long_password));
	struct str too_long = { long_password, sizeof(long_password) };
	ok = true;
	assert_ok(password_verify(too_long, stored, &(struct password_context){ 0 }, &ok));
	assert_false(ok);
}

static void password_weak_schemes_have_to_be_allowed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(weak); i++) {
		bool ok = false;
		assert_err(verify("Hello world!", str_from(weak[i]), false, &ok), ERR_DENIED);
		assert_ok(verify("Hello world!", str_from(weak[i]), true, &ok));
		assert_true(ok);
		assert_ok(verify("Jello world!", str_from(weak[i]), true, &ok));
		assert_false(ok);
	}
	bool ok = false; /* RFC 1320 A.5, RFC 2195's state of a key is not published */
	assert_ok(verify("abc", STR("{PLAIN-MD4}a448017aaf21d8525fc10ae87aa6729d"), true, &ok));
	assert_true(ok);
}

/* From the tests of the reference implementation. */
static void password_argon2_known_answer(void **state)
{
	(void)state;
	bool ok = false;
	assert_ok(verify("password",
		STR("{ARGON2I}$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$"
		    "wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA"),
		false, &ok));
	assert_true(ok);
}

static void password_of_every_scheme_verifies_after_hashing(void **state)
{
	(void)state;
	for (const struct password_scheme *s = password_schemes; s->name; s++) {
		AUTO_BUF(one, 0);
		bool ok = false;
		if (!s->hash)
			continue;
		assert_ok(password_hash(
			str_from(s->name), STR("s3cret }{"), STR("u@x.test"), 0, &one));
		assert_true(str_starts(buf_str(&one), STR("{")));
		assert_ok(verify("s3cret }{", buf_str(&one), true, &ok));
		assert_true(ok);
		assert_ok(verify("3cret }{", buf_str(&one), true, &ok));
		assert_false(ok);
	}
}

static void password_hashes_in_other_encodings(void **state)
{
	(void)state;
	static const char *const names[] = { "SHA256.hex", "SSHA.hex", "PLAIN-MD5.b64",
		"SHA512-CRYPT.b64", "PLAIN.base64" };
	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		AUTO_BUF(out, 0);
		bool ok = false;
		assert_ok(password_hash(str_from(names[i]), STR("s3cret"), STR(""), 0, &out));
		assert_ok(verify("s3cret", buf_str(&out), true, &ok));
		assert_true(ok);
	}
}

static void password_rounds_are_checked_and_used(void **state)
{
	(void)state;
	AUTO_BUF(out, 0);

	assert_err(password_hash(STR("BLF-CRYPT"), STR("x"), STR(""), 3, &out), ERR_INVALID);
	assert_err(password_hash(STR("BLF-CRYPT"), STR("x"), STR(""), 32, &out), ERR_INVALID);
	assert_err(password_hash(STR("SHA512-CRYPT"), STR("x"), STR(""), 999, &out), ERR_INVALID);
	assert_err(password_hash(STR("PLAIN"), STR("x"), STR(""), 1, &out), ERR_INVALID);
	assert_err(password_hash(STR("NOPE"), STR("x"), STR(""), 0, &out), ERR_UNSUPPORTED);
	assert_err(password_hash(STR("PLAIN"), STR("\0"), STR(""), 0, &out), ERR_INVALID);
	assert_int_equal(out.n, 0);
	assert_ok(password_hash(STR("blf-crypt"), STR("x"), STR(""), 4, &out));
	assert_true(str_starts(buf_str(&out), STR("{BLF-CRYPT}$2y$04$")));
	buf_clear(&out);
	assert_ok(password_hash(STR("SHA512-CRYPT"), STR("x"), STR(""), 1234, &out));
	assert_true(str_starts(buf_str(&out), STR("{SHA512-CRYPT}$6$rounds=1234$")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(password_known_answers),
		cmocka_unit_test(password_says_what_is_wrong_with_the_stored_hash),
		cmocka_unit_test(password_braces_without_end_belong_to_the_password),
		cmocka_unit_test(password_with_nul_or_too_long_is_wrong),
		cmocka_unit_test(password_weak_schemes_have_to_be_allowed),
		cmocka_unit_test(password_argon2_known_answer),
		cmocka_unit_test(password_hashes_in_other_encodings),
		cmocka_unit_test(password_of_every_scheme_verifies_after_hashing),
		cmocka_unit_test(password_rounds_are_checked_and_used),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
