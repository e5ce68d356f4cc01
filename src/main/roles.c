/* SPDX-License-Identifier: Apache-2.0 */
/* The list of roles. */
#include "crypto/crypto.h"
#include "main/role.h"

const struct role *const roles[] = { &role_auth, &role_mail, &role_login, NULL };

const struct role *role_find(struct str name)
{
	for (size_t i = 0; roles[i]; i++) {
		if (str_eq(name, str_from(roles[i]->name)))
			return roles[i];
	}
	return NULL;
}

uint64_t role_memory_limit(const struct role *role, struct config *config)
{
	const struct config_scope *block = config_block_get(
		config_scope(config, NULL), BLOCK_service, str_from(role->service));
	uint64_t limit = block ? config_size(block, SET_service_vsz_limit) : 0;
	return limit == CONFIG_UNLIMITED ? 0 : limit;
}

void role_tls_seed(const uint8_t ticket_key[TICKET_KEY_BYTES], uint8_t out[TLS_TICKET_SEED_BYTES])
{
	struct str key = { (const char *)ticket_key, TICKET_KEY_BYTES };
	_Static_assert(TLS_TICKET_SEED_BYTES == CRYPTO_SHA256_BYTES, "one digest");
	crypto_hmac_sha256(key, STR("seed of TLS tickets"), out);
}
