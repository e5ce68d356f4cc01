/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/password.c - the table of password schemes, and how stored ones are written: see password.h. */
#include "crypto/password.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/number.h"
#include "crypto/password_private.h"

void password_wipe(struct buf *b)
{
	if (b->p)
		mem_wipe(b->p, b->cap);
	buf_done(b);
}

static enum err plain_verify(const struct password_input *in, struct str data, bool *out_ok)
{
	*out_ok = in->plain.n == data.n && mem_equal_const_time(in->plain.p, data.p, data.n);
	return ERR_NONE;
}

static enum err plain_hash(const struct password_input *in, unsigned rounds, struct buf *out)
{
	return rounds == 0 ? buf_add(out, in->plain) : ERR_INVALID;
}

/* "N-data": only the first N bytes count. */
static enum err trunc_verify(const struct password_input *in, struct str data, bool *out_ok)
{
	struct str rest = data, number;
	uint32_t n;
	struct password_input cut = *in;
	if (str_cut(&rest, '-', &number) && number_parse_u32(number, &n)) {
		cut.plain = str_slice(in->plain, 0, n);
		data = str_slice(rest, 0, n);
	}
	return plain_verify(&cut, data, out_ok);
}

/* {MD5} is MD5-CRYPT's old name, and LDAP's for the bare digest. */
static enum err md5_verify(const struct password_input *in, struct str data, bool *out_ok)
{
	AUTO_SECRET(digest);
	if (str_starts(data, STR("$")))
		return password_md5_crypt_verify(in, data, out_ok);
	if (!base64_decode(&digest, data))
		return ERR_INVALID;
	return password_md5_verify(in, buf_str(&digest), out_ok);
}

#define FUNCTIONS(name) password_##name##_verify, password_##name##_hash
const struct password_scheme password_schemes[] = {
	{ "ARGON2ID", false, PASSWORD_TEXT, 0, FUNCTIONS(argon2id) },
	{ "ARGON2I", false, PASSWORD_TEXT, 0, FUNCTIONS(argon2i) },
	{ "ARGON2", false, PASSWORD_TEXT, 0, FUNCTIONS(argon2id) },
	{ "BLF-CRYPT", false, PASSWORD_TEXT, 0, FUNCTIONS(bcrypt) },
	{ "CRYPT", false, PASSWORD_TEXT, 0, FUNCTIONS(crypt) },
	{ "SHA512-CRYPT", false, PASSWORD_TEXT, 0, FUNCTIONS(sha512_crypt) },
	{ "SHA256-CRYPT", false, PASSWORD_TEXT, 0, FUNCTIONS(sha256_crypt) },
	{ "PBKDF2", false, PASSWORD_TEXT, 0, FUNCTIONS(pbkdf2) },
	{ "SCRAM-SHA-256", false, PASSWORD_TEXT, 0, FUNCTIONS(scram_sha256) },
	{ "SCRAM-SHA-1", false, PASSWORD_TEXT, 0, FUNCTIONS(scram_sha1) },
	{ "SSHA512", false, PASSWORD_BASE64, 64, FUNCTIONS(ssha512) },
	{ "SSHA256", false, PASSWORD_BASE64, 32, FUNCTIONS(ssha256) },
	{ "SSHA", false, PASSWORD_BASE64, 20, FUNCTIONS(ssha) },
	{ "SHA512", false, PASSWORD_BASE64, 64, FUNCTIONS(sha512) },
	{ "SHA256", false, PASSWORD_BASE64, 32, FUNCTIONS(sha256) },
	{ "SHA1", false, PASSWORD_BASE64, 20, FUNCTIONS(sha1) },
	{ "SHA", false, PASSWORD_BASE64, 20, FUNCTIONS(sha1) },
	{ "CRAM-MD5", false, PASSWORD_HEX, 32, FUNCTIONS(cram_md5) },
	{ "DIGEST-MD5", false, PASSWORD_HEX, 16, FUNCTIONS(digest_md5) },
	{ "PLAIN", false, PASSWORD_TEXT, 0, plain_verify, plain_hash },
	{ "CLEAR", false, PASSWORD_TEXT, 0, plain_verify, plain_hash },
	{ "CLEARTEXT", false, PASSWORD_TEXT, 0, plain_verify, plain_hash },
	{ "PLAIN-TRUNC", false, PASSWORD_TEXT, 0, trunc_verify, NULL },
	{ "DES-CRYPT", true, PASSWORD_TEXT, 0, FUNCTIONS(des_crypt) },
	{ "MD5-CRYPT", true, PASSWORD_TEXT, 0, FUNCTIONS(md5_crypt) },
	{ "MD5", true, PASSWORD_TEXT, 0, md5_verify, password_md5_crypt_hash },
	{ "LDAP-MD5", true, PASSWORD_BASE64, 16, FUNCTIONS(md5) },
	{ "SMD5", true, PASSWORD_BASE64, 16, FUNCTIONS(smd5) },
	{ "PLAIN-MD5", true, PASSWORD_HEX, 16, FUNCTIONS(md5) },
	{ "PLAIN-MD4", true, PASSWORD_HEX, 16, FUNCTIONS(md4) },
	{ "HMAC-MD5", true, PASSWORD_HEX, 32, FUNCTIONS(cram_md5) },
	{ NULL, false, PASSWORD_TEXT, 0, NULL, NULL },
};

const struct password_scheme *password_scheme_find(struct str name)
{
	for (const struct password_scheme *s = password_schemes; s->name; s++)
		if (str_eq_ci(str_from(s->name), name))
			return s;
	return NULL;
}

/* ---- how they are written ---- */

/* Takes "{SCHEME}" off the front of *stored. */
static struct str cut_scheme(struct str *stored, struct str default_scheme)
{
	struct str rest = *stored;
	struct str scheme;

	if (!str_skip(&rest, STR("{")) || !str_cut(&rest, '}', &scheme))
		return default_scheme;
	*stored = rest;
	return scheme;
}

enum encoding { ENCODING_NONE, ENCODING_HEX, ENCODING_BASE64 };

/* Takes ".HEX" and the like off the end of *scheme. */
static enum encoding cut_encoding(struct str *scheme)
{
	static const struct {
		struct str suffix;
		enum encoding encoding;
	} endings[] = {
		{ { ".HEX", 4 }, ENCODING_HEX },
		{ { ".B64", 4 }, ENCODING_BASE64 },
		{ { ".BASE64", 7 }, ENCODING_BASE64 },
	};

	for (size_t i = 0; i < ARRAY_COUNT(endings); i++) {
		struct str suffix = endings[i].suffix;
		if (scheme->n < suffix.n)
			continue;
		if (str_eq_ci(str_slice(*scheme, scheme->n - suffix.n, scheme->n), suffix)) {
			scheme->n -= suffix.n;
			return endings[i].encoding;
		}
	}
	return ENCODING_NONE;
}

static bool is_hex(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = ascii_lower(s.p[i]);
		if (!ascii_is_digit(c) && (c < 'a' || c > 'f'))
			return false;
	}
	return s.n % 2 == 0;
}

/* Without an ending: hex when it is as long as a digest in hex, or longer (a salt), and nothing else. */
static enum encoding guess(const struct password_scheme *scheme, struct str data)
{
	if (scheme->form == PASSWORD_TEXT)
		return ENCODING_NONE;
	return data.n >= 2 * scheme->digest_bytes && is_hex(data) ? ENCODING_HEX : ENCODING_BASE64;
}

static bool decode(enum encoding encoding, struct str *data, struct buf *out)
{
	if (encoding == ENCODING_NONE)
		return true;
	(void)buf_reserve(out, data->n + 1); /* in one piece */
	if (encoding == ENCODING_HEX ? !hex_decode(out, *data) : !base64_decode(out, *data))
		return false;
	*data = buf_str(out);
	return true;
}

enum err password_verify(
	struct str plain, struct str stored, const struct password_context *context, bool *out_ok)
{
	AUTO_SECRET(decoded);
	struct str name = cut_scheme(&stored, context->default_scheme);
	enum encoding encoding = cut_encoding(&name);
	const struct password_scheme *scheme = password_scheme_find(name);
	struct password_input in = {
		.plain = plain,
		.user = context->user,
		.allows_weak = context->allows_weak,
	};

	if (!scheme)
		return ERR_UNSUPPORTED;
	if (scheme->is_weak && !context->allows_weak)
		return ERR_DENIED;
	if (!decode(encoding != ENCODING_NONE ? encoding : guess(scheme, stored), &stored,
		    &decoded))
		return ERR_INVALID;
	/* crypt(3) would stop at a NUL and compare a part; nobody could have set a longer one. */
	bool is_possible = !str_has_nul(plain) && plain.n <= PASSWORD_MAX_BYTES, is_ok = false;
	if (is_possible)
		TRY(scheme->verify(&in, stored, &is_ok));
	*out_ok = is_ok;
	return ERR_NONE;
}

static void encode(enum encoding encoding, struct str data, struct buf *out)
{
	if (encoding == ENCODING_HEX)
		hex_encode(out, data);
	else if (encoding == ENCODING_BASE64)
		base64_encode(out, data);
	else
		buf_put(out, data);
}

static enum encoding usual_encoding(const struct password_scheme *scheme)
{
	return scheme->form == PASSWORD_TEXT     ? ENCODING_NONE
	       : scheme->form == PASSWORD_BASE64 ? ENCODING_BASE64
						 : ENCODING_HEX;
}

enum err password_hash(
	struct str scheme_name, struct str plain, struct str user, unsigned rounds, struct buf *out)
{
	struct str name = scheme_name;
	enum encoding encoding = cut_encoding(&name);
	const struct password_scheme *scheme = password_scheme_find(name);
	struct password_input in = { .plain = plain, .user = user, .allows_weak = true };
	AUTO_SECRET(data);

	if (!scheme || !scheme->hash)
		return ERR_UNSUPPORTED;
	if (str_has_nul(plain) || plain.n > PASSWORD_MAX_BYTES)
		return ERR_INVALID;
	TRY(scheme->hash(&in, rounds, &data));
	buf_putf(out, "{%s%s}", scheme->name,
		encoding == ENCODING_HEX      ? ".HEX"
		: encoding == ENCODING_BASE64 ? ".B64"
					      : "");
	encode(encoding != ENCODING_NONE ? encoding : usual_encoding(scheme), buf_str(&data), out);
	return ERR_NONE;
}
