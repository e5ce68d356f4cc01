/* SPDX-License-Identifier: Apache-2.0 */
/* config/expand_codec.c - encodings, digests and ciphers in %{}. Results of digests and ciphers are binary:
 * they become hexadecimal at the end unless another filter follows. Spec: sheet core §2.2, §2.3. */
#include "config/expand_private.h"

#include "base/codec.h"
#include "base/number.h"
#include "base/random.h"
#include "crypto/digest.h"

static void set_value(struct expansion *ex, struct str value, bool is_binary)
{
	ex->value = str_dup(ex->op->arena, value);
	ex->is_binary = is_binary;
}

/* ---- encodings ---- */

enum err config_expand_hexlify(struct expansion *ex, struct expand_call *call)
{
	int64_t width = 0;
	AUTO_BUF(out, 0);
	hex_encode(&out, ex->value);
	set_value(ex, buf_str(&out), false);
	if (!call->arg_count)
		return ERR_NONE;
	if (!config_expand_signed(call->args[0].value, &width) || width < 0)
		return config_expand_bad(ex, call, "width is not a number");
	ex->value = str_slice(ex->value, 0, (size_t)width);
	return config_expand_pad(ex, call, width, '0', true);
}

enum err config_expand_unhexlify(struct expansion *ex, struct expand_call *call)
{
	AUTO_BUF(out, 0);
	if (!hex_decode(&out, ex->value))
		return config_expand_bad(ex, call, "input is not hexadecimal");
	set_value(ex, buf_str(&out), true);
	return ERR_NONE;
}

static bool flag_parse(struct str text, bool *out)
{
	*out = str_eq_ci(text, STR("yes")) || str_eq_ci(text, STR("y")) || str_eq(text, STR("1")) ||
	       str_eq_ci(text, STR("true"));
	return *out || str_eq_ci(text, STR("no")) || str_eq(text, STR("0")) ||
	       str_eq_ci(text, STR("false"));
}

/* pad= and url=; positional arguments are in this order. */
static enum err base64_flags(
	struct expansion *ex, const struct expand_call *call, bool *pads, bool *is_url)
{
	*pads = true;
	*is_url = false;
	for (size_t i = 0; i < call->arg_count; i++) {
		const struct expand_arg *arg = &call->args[i];
		bool is_pad = arg->name.n ? str_eq_ci(arg->name, STR("pad")) : i == 0;
		if ((!is_pad && arg->name.n && !str_eq_ci(arg->name, STR("url"))) ||
			!flag_parse(arg->value, is_pad ? pads : is_url))
			return config_expand_bad(ex, call, "takes pad= and url=, yes or no");
	}
	return ERR_NONE;
}

/* RFC 4648 §5: two letters differ. */
static void exchange(struct buf *text, const char *from, const char *to)
{
	for (size_t i = 0; i < text->n; i++) {
		if (text->p[i] == from[0])
			text->p[i] = to[0];
		else if (text->p[i] == from[1])
			text->p[i] = to[1];
	}
}

enum err config_expand_base64(struct expansion *ex, struct expand_call *call)
{
	bool pads, is_url;
	AUTO_BUF(out, 0);
	TRY(base64_flags(ex, call, &pads, &is_url));
	base64_encode(&out, ex->value);
	while (!pads && out.n && out.p[out.n - 1] == '=')
		buf_truncate(&out, out.n - 1);
	if (is_url)
		exchange(&out, "+/", "-_");
	set_value(ex, buf_str(&out), false);
	return ERR_NONE;
}

enum err config_expand_unbase64(struct expansion *ex, struct expand_call *call)
{
	bool pads, is_url;
	AUTO_BUF(in, 0);
	AUTO_BUF(out, 0);
	TRY(base64_flags(ex, call, &pads, &is_url));
	buf_put(&in, ex->value);
	if (is_url)
		exchange(&in, "-_", "+/");
	while (!pads && in.n % 4)
		buf_put_byte(&in, '=');
	if (!base64_decode(&out, buf_str(&in)))
		return config_expand_bad(ex, call, "input is not base64");
	set_value(ex, buf_str(&out), true);
	return ERR_NONE;
}

/* ---- digests ---- */

#define ROUNDS_MAX 10000

/* The digest of salt and input, repeated. */
static enum err digest(
	struct expansion *ex, const struct expand_call *call, struct str method, size_t first_arg)
{
	uint64_t rounds = 1;
	struct str salt = STR("");
	uint8_t sum[CRYPTO_DIGEST_BYTES_MAX];
	for (size_t i = first_arg; i < call->arg_count; i++) {
		const struct expand_arg *arg = &call->args[i];
		if (str_eq_ci(arg->name, STR("salt")))
			salt = arg->value;
		else if (!str_eq_ci(arg->name, STR("rounds")) ||
			 !number_parse_u64(arg->value, &rounds) || rounds < 1 ||
			 rounds > ROUNDS_MAX)
			return config_expand_bad(
				ex, call, "takes salt= and rounds= from 1 to 10000");
	}
	AUTO_BUF(in, 0);
	struct str value = ex->value;
	for (; rounds > 0; rounds--) {
		buf_clear(&in);
		buf_put(&in, salt);
		buf_put(&in, value);
		size_t n = crypto_digest(method, buf_str(&in), sum);
		if (n == 0)
			return config_expand_bad(
				ex, call, "methods are md5, sha1, sha224, sha256, sha384, sha512");
		value = (struct str){ (const char *)sum, n };
	}
	set_value(ex, value, true);
	return ERR_NONE;
}

enum err config_expand_digest(struct expansion *ex, struct expand_call *call)
{
	return digest(ex, call, call->name, 0);
}

enum err config_expand_hash(struct expansion *ex, struct expand_call *call)
{
	return digest(ex, call, call->args[0].value, 1);
}

/* ---- ciphers ----
 *
 * With iv=, or key= alone, the key is used as it is (hexadecimal is understood); with salt= or rounds= key
 * and IV are derived from it. The text form carries what decrypt() needs besides the key, in base64:
 * "IV$DATA$" or "s=SALT,r=ROUNDS$DATA$". */

#define CIPHER_ROUNDS     10000
#define CIPHER_ROUNDS_MAX 1000000
#define SALT_BYTES        8

struct cipher {
	struct str key, iv, salt;
	struct str algorithm, hash;
	uint64_t rounds;
	bool is_derived;
	bool is_raw; /* the value is the cipher's bytes alone */
};

static enum err cipher_args(
	struct expansion *ex, const struct expand_call *call, struct cipher *out)
{
	bool is_valid = true;
	*out = (struct cipher){
		.algorithm = STR("aes-256-cbc"), .hash = STR("sha256"), .rounds = CIPHER_ROUNDS
	};
	for (size_t i = 0; i < call->arg_count && is_valid; i++) {
		struct str name = call->args[i].name, value = call->args[i].value;
		if (str_eq_ci(name, STR("key"))) {
			out->key = value;
		} else if (str_eq_ci(name, STR("iv"))) {
			out->iv = value;
		} else if (str_eq_ci(name, STR("salt"))) {
			out->salt = value;
			out->is_derived = true;
		} else if (str_eq_ci(name, STR("rounds"))) {
			out->is_derived = true;
			is_valid = number_parse_u64(value, &out->rounds) && out->rounds > 0 &&
				   out->rounds <= CIPHER_ROUNDS_MAX;
		} else if (str_eq_ci(name, STR("hash"))) {
			out->hash = value;
		} else if (str_eq_ci(name, STR("algorithm"))) {
			out->algorithm = value;
		} else {
			is_valid = str_eq_ci(name, STR("raw")) && flag_parse(value, &out->is_raw);
		}
	}
	if (!is_valid)
		return config_expand_bad(
			ex, call, "takes key= iv= salt= rounds= hash= algorithm= raw=");
	if (out->key.n == 0)
		return config_expand_bad(ex, call, "needs key=");
	return ERR_NONE;
}

/* `text` as bytes of this length: as it is, or hexadecimal. */
static bool fit(struct expansion *ex, struct str *text, size_t bytes)
{
	AUTO_BUF(raw, 0);
	if (text->n == bytes)
		return true;
	if (text->n != 2 * bytes || !hex_decode(&raw, *text))
		return false;
	*text = buf_dup(ex->op->arena, &raw);
	return true;
}

/* Makes key and iv what the algorithm wants. */
static enum err cipher_keys(struct expansion *ex, const struct expand_call *call, struct cipher *c)
{
	size_t key_bytes, iv_bytes;
	uint8_t derived[CRYPTO_CIPHER_KEY_MAX + CRYPTO_IV_BYTES_MAX];
	if (!crypto_cipher_sizes(c->algorithm, &key_bytes, &iv_bytes))
		return config_expand_bad(
			ex, call, "algorithms are aes-128-cbc, aes-192-cbc and aes-256-cbc");
	if (!c->is_derived) {
		if (!fit(ex, &c->key, key_bytes) || !fit(ex, &c->iv, iv_bytes))
			return config_expand_bad(
				ex, call, "key or iv has not the algorithm's length");
		return ERR_NONE;
	}
	if (!crypto_key_derive(
		    c->hash, c->key, c->salt, (uint32_t)c->rounds, derived, key_bytes + iv_bytes))
		return config_expand_bad(ex, call, "unknown hash");
	struct str both =
		str_dup(ex->op->arena, (struct str){ (const char *)derived, key_bytes + iv_bytes });
	c->key = str_take(&both, key_bytes);
	c->iv = both;
	return ERR_NONE;
}

static struct str random_text(struct arena *arena, size_t n)
{
	char *bytes = arena_alloc(arena, n);
	random_bytes(bytes, n);
	return (struct str){ bytes, n };
}

enum err config_expand_encrypt(struct expansion *ex, struct expand_call *call)
{
	struct cipher c;
	AUTO_BUF(sealed, 0);
	AUTO_BUF(out, 0);
	TRY(cipher_args(ex, call, &c));
	if (c.is_raw && c.iv.n == 0 && c.salt.n == 0)
		return config_expand_bad(ex, call, "raw=yes needs iv= or salt=");
	if (c.is_derived && c.salt.n == 0)
		c.salt = random_text(ex->op->arena, SALT_BYTES);
	if (!c.is_derived && c.iv.n == 0)
		c.iv = random_text(ex->op->arena, CRYPTO_IV_BYTES_MAX);
	TRY(cipher_keys(ex, call, &c));
	if (!crypto_cipher_seal(c.algorithm, c.key, c.iv, ex->value, &sealed))
		return config_expand_bad(ex, call, "can't encrypt");
	if (c.is_raw) {
		set_value(ex, buf_str(&sealed), true);
		return ERR_NONE;
	}
	if (c.is_derived)
		buf_put(&out, STR("s="));
	base64_encode(&out, c.is_derived ? c.salt : c.iv);
	if (c.is_derived)
		buf_putf(&out, ",r=%" PRIu64, c.rounds);
	buf_put_byte(&out, '$');
	base64_encode(&out, buf_str(&sealed));
	buf_put_byte(&out, '$');
	set_value(ex, buf_str(&out), false);
	return ERR_NONE;
}

static bool unbase64(struct expansion *ex, struct str text, struct str *out)
{
	AUTO_BUF(raw, 0);
	bool is_valid = base64_decode(&raw, text);
	*out = buf_dup(ex->op->arena, &raw);
	return is_valid;
}

/* The text form back into iv, or salt and rounds, and the cipher's bytes. */
static bool cut_sealed(struct expansion *ex, struct cipher *c, struct str *out)
{
	struct str rest = ex->value, head, data, salt;
	if (!str_cut(&rest, '$', &head) || !str_cut(&rest, '$', &data) || rest.n ||
		!unbase64(ex, data, out))
		return false;
	c->is_derived = str_skip(&head, STR("s="));
	if (!c->is_derived)
		return unbase64(ex, head, &c->iv);
	return str_cut(&head, ',', &salt) && unbase64(ex, salt, &c->salt) &&
	       str_skip(&head, STR("r=")) && number_parse_u64(head, &c->rounds) && c->rounds > 0 &&
	       c->rounds <= CIPHER_ROUNDS_MAX;
}

enum err config_expand_decrypt(struct expansion *ex, struct expand_call *call)
{
	struct cipher c;
	struct str sealed = ex->value;
	AUTO_BUF(out, 0);
	TRY(cipher_args(ex, call, &c));
	if (!c.is_raw && !cut_sealed(ex, &c, &sealed))
		return config_expand_bad(ex, call, "input is not an encrypted text");
	TRY(cipher_keys(ex, call, &c));
	if (!crypto_cipher_open(c.algorithm, c.key, c.iv, sealed, &out))
		return config_expand_bad(ex, call, "input was not made with this key");
	set_value(ex, buf_str(&out), true);
	ex->is_binary = false;
	return ERR_NONE;
}
