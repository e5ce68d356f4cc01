/* SPDX-License-Identifier: Apache-2.0 */
/* objects/sproxyd_key.c - see sproxyd_key.h. */
#include "objects/sproxyd_key.h"

#include "crypto/crypto.h"
#include "objects/remote.h"

#define DIGEST_FRONT 15

static enum sproxyd_type type_of(struct str key)
{
	switch (remote_kind(key)) {
	case REMOTE_MAIL:
		return SPROXYD_MAIL;
	case REMOTE_INDEX:
		return SPROXYD_FOLDER_BASE;
	case REMOTE_SEARCH:
		return SPROXYD_SEARCH;
	case REMOTE_OTHER:
		break;
	}
	return SPROXYD_UNKNOWN;
}

struct sproxyd_key sproxyd_key(struct str key, unsigned class)
{
	uint8_t digest[CRYPTO_SHA256_BYTES];
	struct sproxyd_key id;
	ASSERT(class <= SPROXYD_CLASS_MAX);
	crypto_sha256(key, digest);
	memcpy(id.bytes, digest, DIGEST_FRONT);
	id.bytes[15] = SPROXYD_SERVICE;
	id.bytes[16] = digest[DIGEST_FRONT];
	id.bytes[17] = (uint8_t)type_of(key);
	id.bytes[18] = 0;
	id.bytes[19] = (uint8_t)(class << 4);
	return id;
}

void sproxyd_key_put(struct buf *out, const struct sproxyd_key *key)
{
	for (size_t i = 0; i < SPROXYD_KEY_BYTES; i++)
		buf_putf(out, "%02X", key->bytes[i]);
}
