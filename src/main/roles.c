/* SPDX-License-Identifier: Apache-2.0 */
/* The list of roles, and what is said about them in words. */
#include "crypto/crypto.h"
#include "main/role.h"

const struct role *const roles[] = { &role_auth, &role_mail, &role_login, &role_doveadm, NULL };

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

struct str role_listener_name(struct arena *a, const struct role_listener *l)
{
	return str_printf(a, "%s:%s:%s", l->protocol, l->is_tls ? "tls" : "plain",
		l->has_proxy_header ? "proxy" : "direct");
}

bool role_parse_listener(struct str text, int fd, struct role_listener *out)
{
	struct str protocol, security;
	if (!str_cut(&text, ':', &protocol) || protocol.n >= sizeof(out->protocol) ||
		!str_cut(&text, ':', &security))
		return false;
	*out = (struct role_listener){
		.is_tls = str_eq(security, STR("tls")),
		.has_proxy_header = str_eq(text, STR("proxy")),
		.fd = fd,
	};
	memcpy(out->protocol, protocol.p, protocol.n);
	return true;
}
