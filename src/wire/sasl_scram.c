/* SPDX-License-Identifier: Apache-2.0 */
/* wire/sasl_scram.c - messages of SCRAM: see sasl_scram.h. */
#include "wire/sasl_scram.h"

#include "base/base.h"
#include "base/codec.h"
#include "base/unicode.h"

/* Takes "x=value" up to a comma or the end. */
static bool cut_attribute(struct str *rest, char name, struct str *out)
{
	if (rest->n < 2 || rest->p[0] != name || rest->p[1] != '=')
		return false;
	(void)str_take(rest, 2);
	if (!str_cut(rest, ',', out))
		*out = str_take(rest, rest->n);
	return true;
}

/* saslname: "=2C" is a comma, "=3D" an equals sign, other "=" are wrong. */
static bool decode_name(struct arena *arena, struct str in, struct str *out)
{
	AUTO_BUF(name, 0);
	if (in.n > (size_t)3 * SASL_NAME_MAX || str_has_nul(in) || !utf8_is_valid(in))
		return false;
	while (in.n > 0) {
		if (str_skip_ci(&in, STR("=2C")))
			buf_put_byte(&name, ',');
		else if (str_skip_ci(&in, STR("=3D")))
			buf_put_byte(&name, '=');
		else if (in.p[0] == '=')
			return false;
		else
			buf_put(&name, str_take(&in, 1));
	}
	if (name.n == 0 || name.n > SASL_NAME_MAX)
		return false;
	*out = buf_dup(arena, &name);
	return true;
}

/* Printable ASCII without comma, not empty. */
static bool is_nonce(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < 0x21 || s.p[i] > 0x7e || s.p[i] == ',')
			return false;
	}
	return s.n > 0 && s.n <= SASL_SCRAM_NONCE_MAX;
}

static bool parse_binding(struct str *rest, struct sasl_scram_first *out)
{
	out->binding_name = STR("");
	if (str_skip(rest, STR("n,")))
		out->binding = SCRAM_BINDING_NONE;
	else if (str_skip(rest, STR("y,")))
		out->binding = SCRAM_BINDING_REFUSED;
	else if (str_skip(rest, STR("p=")) && str_cut(rest, ',', &out->binding_name))
		out->binding = SCRAM_BINDING_USED;
	else
		return false;
	for (size_t i = 0; i < out->binding_name.n; i++) {
		char c = out->binding_name.p[i];
		if (!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '-' && c != '.')
			return false;
	}
	return out->binding != SCRAM_BINDING_USED || out->binding_name.n > 0;
}

enum err sasl_scram_parse_first(
	struct arena *arena, struct str message, struct sasl_scram_first *out)
{
	struct sasl_scram_first first = { .authzid = STR("") };
	struct str rest = message, name;
	if (!arena_has_room(arena, 2 * message.n) || !parse_binding(&rest, &first))
		return ERR_INVALID;
	if (str_skip(&rest, STR("a="))) {
		if (!str_cut(&rest, ',', &name) || !decode_name(arena, name, &first.authzid))
			return ERR_INVALID;
	} else if (!str_skip(&rest, STR(","))) {
		return ERR_INVALID;
	}
	first.gs2_header = str_slice(message, 0, message.n - rest.n);
	first.bare = rest;
	if (str_starts(rest, STR("m=")))
		return ERR_UNSUPPORTED;
	if (!cut_attribute(&rest, 'n', &name) || !decode_name(arena, name, &first.user) ||
		!cut_attribute(&rest, 'r', &first.nonce) || !is_nonce(first.nonce))
		return ERR_INVALID;
	*out = first;
	return ERR_NONE;
}

static bool decode(struct arena *arena, struct str text, struct str *out)
{
	AUTO_BUF(bytes, 0);
	if (!base64_decode(&bytes, text))
		return false;
	*out = buf_dup(arena, &bytes);
	return true;
}

enum err sasl_scram_parse_final(
	struct arena *arena, struct str message, struct sasl_scram_final *out)
{
	struct sasl_scram_final final;
	struct str rest = message, binding, proof;
	/* Extensions may stand between nonce and proof; the proof is last. */
	ssize_t at = str_find_last_byte(message, ',');
	if (at < 0 || !arena_has_room(arena, 2 * message.n))
		return ERR_INVALID;
	final.without_proof = str_slice(message, 0, (size_t)at);
	struct str last = str_slice(message, (size_t)at + 1, message.n);
	if (!cut_attribute(&rest, 'c', &binding) || !cut_attribute(&rest, 'r', &final.nonce) ||
		!cut_attribute(&last, 'p', &proof) || str_starts(rest, STR("m=")))
		return ERR_INVALID;
	if (!is_nonce(str_slice(final.nonce, 0, SASL_SCRAM_NONCE_MAX)) ||
		!decode(arena, binding, &final.binding) || !decode(arena, proof, &final.proof))
		return ERR_INVALID;
	*out = final;
	return ERR_NONE;
}

void sasl_scram_put_server_first(struct buf *out, struct str client_nonce, struct str our_nonce,
	struct str salt, uint32_t rounds)
{
	buf_putf(out, "r=%.*s%.*s,s=", STRF(client_nonce), STRF(our_nonce));
	base64_encode(out, salt);
	buf_putf(out, ",i=%u", rounds);
}

void sasl_scram_put_server_final(struct buf *out, struct str signature)
{
	buf_put(out, STR("v="));
	base64_encode(out, signature);
}
