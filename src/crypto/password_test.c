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
	/* no scheme: the default, CRYPT here */
	"$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
};

static void password_known_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
		struct str stored = str_from(known[i]);
		bool is_right = false;
		bool is_wrong = true;
		assert_ok(password_verify(STR("Hello world!"), stored, STR("CRYPT"), &is_right));
		assert_ok(password_verify(STR("Hello world?"), stored, STR("CRYPT"), &is_wrong));
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
		{ "{CRYPT}abMbH7WsHr7wQ", ERR_UNSUPPORTED },                 /* DES */
		{ "{CRYPT}$1$abc$.FiamM1s4pFo0QKAk4pqS.", ERR_UNSUPPORTED }, /* MD5 */
		{ "{BLF-CRYPT}$6$saltstring$svn8", ERR_INVALID },            /* another kind */
		{ "{SHA512-CRYPT}$5$saltstring$5B8v", ERR_INVALID },
		{ "{SHA256-CRYPT}", ERR_INVALID },
		{ "{BLF-CRYPT}$2y$99$abcdefghijklmnopqrstuu", ERR_INVALID },
		{ "{CRYPT}", ERR_INVALID },
		{ "{PLAIN.HEX}4", ERR_INVALID },
		{ "{PLAIN.B64}Zg", ERR_INVALID },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		bool ok = true;
		enum err got =
			password_verify(STR("x"), str_from(rows[i].stored), STR("PLAIN"), &ok);
		if (got != rows[i].expected)
			fail_msg("%s gives %s", rows[i].stored, err_name(got));
		assert_true(ok); /* outputs are written only on success */
	}
}

static void password_braces_without_end_belong_to_the_password(void **state)
{
	(void)state;
	bool ok = false;

	assert_ok(password_verify(STR("{odd"), STR("{odd"), STR("PLAIN"), &ok));
	assert_true(ok);
}

static void password_with_nul_or_too_long_is_wrong(void **state)
{
	(void)state;
	const struct str stored = STR("{SHA256-CRYPT}$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/"
				      "GNooZaBBGWEc8");
	char long_password[1000];
	bool ok = true;

	assert_ok(password_verify(STR("Hello world!\0"), stored, STR("PLAIN"), &ok));
	assert_false(ok);
	memset(long_password, 'x', sizeof(long_password));
	struct str too_long = { long_password, sizeof(long_password) };
	ok = true;
	assert_ok(password_verify(too_long, stored, STR("PLAIN"), &ok));
	assert_false(ok);
}

static void password_of_every_scheme_verifies_after_hashing(void **state)
{
	(void)state;
	for (const struct password_scheme *s = password_schemes; s->name; s++) {
		AUTO_BUF(one, 0);
		AUTO_BUF(two, 0);
		bool ok = false;
		struct str name = str_from(s->name);
		assert_ok(password_hash(name, STR("s3cret }{"), 0, &one));
		assert_ok(password_hash(name, STR("s3cret }{"), 0, &two));
		assert_true(str_starts(buf_str(&one), STR("{")));
		bool has_salt = !str_eq(buf_str(&one), buf_str(&two));
		assert_int_equal(has_salt, str_find(name, STR("CRYPT")) >= 0);
		assert_ok(password_verify(STR("s3cret }{"), buf_str(&one), STR("NOPE"), &ok));
		assert_true(ok);
		assert_ok(password_verify(STR("s3cret }"), buf_str(&one), STR("NOPE"), &ok));
		assert_false(ok);
	}
}

static void password_rounds_are_checked_and_used(void **state)
{
	(void)state;
	AUTO_BUF(out, 0);

	assert_err(password_hash(STR("BLF-CRYPT"), STR("x"), 3, &out), ERR_INVALID);
	assert_err(password_hash(STR("BLF-CRYPT"), STR("x"), 32, &out), ERR_INVALID);
	assert_err(password_hash(STR("SHA512-CRYPT"), STR("x"), 999, &out), ERR_INVALID);
	assert_err(password_hash(STR("PLAIN"), STR("x"), 1, &out), ERR_INVALID);
	assert_err(password_hash(STR("NOPE"), STR("x"), 0, &out), ERR_UNSUPPORTED);
	assert_err(password_hash(STR("PLAIN"), STR("\0"), 0, &out), ERR_INVALID);
	assert_int_equal(out.n, 0);
	assert_ok(password_hash(STR("blf-crypt"), STR("x"), 4, &out));
	assert_true(str_starts(buf_str(&out), STR("{BLF-CRYPT}$2y$04$")));
	buf_clear(&out);
	assert_ok(password_hash(STR("SHA512-CRYPT"), STR("x"), 1234, &out));
	assert_true(str_starts(buf_str(&out), STR("{SHA512-CRYPT}$6$rounds=1234$")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(password_known_answers),
		cmocka_unit_test(password_says_what_is_wrong_with_the_stored_hash),
		cmocka_unit_test(password_braces_without_end_belong_to_the_password),
		cmocka_unit_test(password_with_nul_or_too_long_is_wrong),
		cmocka_unit_test(password_of_every_scheme_verifies_after_hashing),
		cmocka_unit_test(password_rounds_are_checked_and_used),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
