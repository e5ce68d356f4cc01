/* SPDX-License-Identifier: Apache-2.0 */
/* SCRAM: a client's two messages. What is accepted is made of the pieces it was cut into. */
#include "base/base.h"
#include "base/unicode.h"
#include "wire/sasl_scram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_inside(struct str part, struct str whole)
{
	return part.p >= whole.p && part.p + part.n <= whole.p + whole.n;
}

static void check_first(struct arena *arena, struct str message)
{
	struct sasl_scram_first f;
	if (sasl_scram_parse_first(arena, message, &f) != ERR_NONE)
		return;
	ASSERT(f.gs2_header.n + f.bare.n == message.n);
	ASSERT(f.gs2_header.p == message.p && is_inside(f.bare, message));
	ASSERT(f.gs2_header.p[f.gs2_header.n - 1] == ',');
	ASSERT(f.user.n > 0 && f.user.n <= SASL_NAME_MAX && utf8_is_valid(f.user));
	ASSERT(f.authzid.n <= SASL_NAME_MAX && utf8_is_valid(f.authzid));
	ASSERT(f.nonce.n > 0 && is_inside(f.nonce, f.bare) && str_find_byte(f.nonce, ',') < 0);
	ASSERT((f.binding == SCRAM_BINDING_USED) == (f.binding_name.n > 0));
	AUTO_BUF(challenge, 0);
	sasl_scram_put_server_first(&challenge, f.nonce, STR("ours"), f.user, 4096);
	ASSERT(str_starts(buf_str(&challenge), STR("r=")));
}

static void check_final(struct arena *arena, struct str message)
{
	struct sasl_scram_final f;
	if (sasl_scram_parse_final(arena, message, &f) != ERR_NONE)
		return;
	ASSERT(f.without_proof.p == message.p && f.without_proof.n < message.n);
	ASSERT(is_inside(f.nonce, f.without_proof) && f.nonce.n > 0);
	ASSERT(str_starts(f.without_proof, STR("c=")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str message = { (const char *)data, size };
	AUTO_ARENA(arena, 1 << 20);
	check_first(&arena, message);
	check_final(&arena, message);
	return 0;
}
