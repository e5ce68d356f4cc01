/* SPDX-License-Identifier: Apache-2.0 */
/* objects/crypt_keys.c - see crypt_keys.h. */
#include "objects/crypt_keys.h"

#include "base/codec.h"
#include "base/random.h"

#define SECRETS_KEPT 64 /* of readers, in a ring; a writer changes its pair every ten minutes */

struct public_key {
	struct ec_key *key; /* owned */
	char id[CRYPT_ID_BYTES];
	/* the sender's pair of this time */
	char half[EC_PUBLIC_MAX];
	char secret[EC_SECRET_MAX];
	size_t half_bytes, secret_bytes;
};

struct private_key {
	struct ec_key *key; /* owned */
	char id[CRYPT_ID_BYTES];
};

struct kept_secret {
	const struct private_key *key;
	size_t half_bytes, secret_bytes;
	char half[EC_PUBLIC_MAX];
	char secret[EC_SECRET_MAX];
};

struct crypt_ring {
	struct public_key publics[CRYPT_RECIPIENTS_MAX];
	struct private_key privates[CRYPT_KEYS_MAX];
	size_t public_count, private_count;
	int64_t pair_until_us;
	unsigned pair_uses;
	struct kept_secret kept[SECRETS_KEPT];
	size_t kept_next;
};

struct crypt_ring *crypt_ring_new(void)
{
	return MEM_NEW(struct crypt_ring);
}

void crypt_ring_free(struct crypt_ring *ring)
{
	for (size_t i = 0; i < ring->public_count; i++)
		ec_key_free(ring->publics[i].key);
	for (size_t i = 0; i < ring->private_count; i++)
		ec_key_free(ring->privates[i].key);
	mem_wipe(ring, sizeof(*ring));
	mem_free(ring);
}

/* ---- reading keys ---- */

/* PEM as it is, or base64 of PEM on one line. */
static bool pem_text(struct str text, struct buf *out)
{
	if (str_starts(str_trim(text), STR("-----BEGIN"))) {
		buf_put(out, text);
		return true;
	}
	return base64_decode(out, str_trim(text)) && str_starts(buf_str(out), STR("-----BEGIN"));
}

static void id_of(const struct ec_key *key, char out[CRYPT_ID_BYTES])
{
	uint8_t id[EC_ID_BYTES];
	ec_key_id(key, id);
	memcpy(out, id, CRYPT_ID_BYTES);
}

static enum err add_public(
	struct op *op, struct crypt_ring *ring, struct str what, struct ec_key *key)
{
	if (ring->public_count == CRYPT_RECIPIENTS_MAX) {
		ec_key_free(key);
		return op_fail(op, ERR_INVALID, "%.*s: at most %d keys are used", STRF(what),
			CRYPT_RECIPIENTS_MAX);
	}
	struct public_key *p = &ring->publics[ring->public_count++];
	p->key = key;
	id_of(key, p->id);
	return ERR_NONE;
}

static const struct private_key *private_find(const struct crypt_ring *ring, struct str id)
{
	for (size_t i = 0; i < ring->private_count; i++)
		if (str_eq((struct str){ ring->privates[i].id, CRYPT_ID_BYTES }, id))
			return &ring->privates[i];
	return NULL;
}

static enum err add_private(
	struct op *op, struct crypt_ring *ring, struct str what, struct ec_key *key)
{
	struct private_key p = { .key = key };
	id_of(key, p.id);
	bool is_there = private_find(ring, (struct str){ p.id, CRYPT_ID_BYTES }) != NULL;
	if (!is_there && ring->private_count < CRYPT_KEYS_MAX) {
		ring->privates[ring->private_count++] = p;
		return ERR_NONE;
	}
	ec_key_free(key);
	if (is_there)
		return ERR_NONE;
	return op_fail(
		op, ERR_INVALID, "%.*s: at most %d keys are used", STRF(what), CRYPT_KEYS_MAX);
}

static enum err add_keys(struct op *op, struct crypt_ring *ring, struct str what, struct str pem,
	bool is_private, struct str password)
{
	const char *problem = NULL;
	size_t count = 0;
	for (;; count++) {
		struct ec_key *key = is_private ? ec_key_cut_private(&pem, password, &problem)
						: ec_key_cut_public(&pem, &problem);
		if (!key)
			break;
		TRY(is_private ? add_private(op, ring, what, key)
			       : add_public(op, ring, what, key));
	}
	if (problem)
		return op_fail(op, ERR_INVALID, "%.*s: %s", STRF(what), problem);
	if (count == 0)
		return op_fail(op, ERR_INVALID, "%.*s: no key is in it", STRF(what));
	return ERR_NONE;
}

static enum err add_text(struct op *op, struct crypt_ring *ring, struct str what, struct str text,
	bool is_private, struct str password)
{
	struct buf pem;
	buf_init(&pem, 0);
	enum err e = pem_text(text, &pem)
			     ? add_keys(op, ring, what, buf_str(&pem), is_private, password)
			     : op_fail(op, ERR_INVALID,
				       "%.*s: it is no PEM text, and no base64 of one", STRF(what));
	if (pem.n)
		mem_wipe(pem.p, pem.n);
	buf_done(&pem);
	return e;
}

enum err crypt_ring_add_public(
	struct op *op, struct crypt_ring *ring, struct str what, struct str text)
{
	return add_text(op, ring, what, text, false, STR_NONE);
}

enum err crypt_ring_add_private(struct op *op, struct crypt_ring *ring, struct str what,
	struct str text, struct str password)
{
	return add_text(op, ring, what, text, true, password);
}

size_t crypt_ring_public_count(const struct crypt_ring *ring)
{
	return ring->public_count;
}

size_t crypt_ring_private_count(const struct crypt_ring *ring)
{
	return ring->private_count;
}

bool crypt_ring_opens_its_own(const struct crypt_ring *ring)
{
	for (size_t i = 0; i < ring->public_count; i++)
		if (private_find(ring, (struct str){ ring->publics[i].id, CRYPT_ID_BYTES }))
			return true;
	return ring->public_count == 0;
}

/* ---- writing ---- */

static void pairs_renew(struct crypt_ring *ring)
{
	if (ring->pair_uses++ < CRYPT_PAIR_USES && now_us() < ring->pair_until_us)
		return;
	for (size_t i = 0; i < ring->public_count; i++) {
		struct public_key *p = &ring->publics[i];
		uint8_t theirs[EC_PUBLIC_MAX];
		struct ec_key *pair = ec_key_fresh(p->key);
		p->half_bytes = ec_key_public(pair, (uint8_t *)p->half);
		size_t n = ec_key_public(p->key, theirs);
		p->secret_bytes = ec_agree(
			pair, (struct str){ (const char *)theirs, n }, (uint8_t *)p->secret);
		ASSERT(p->secret_bytes > 0); /* the key was read with its curve */
		ec_key_free(pair);
	}
	ring->pair_uses = 1;
	ring->pair_until_us = now_us() + CRYPT_PAIR_US;
}

void crypt_ring_lock(struct crypt_ring *ring, enum crypt_algorithm algorithm, struct str name,
	struct buf *header, struct crypt_span *out)
{
	uint8_t key[AEAD_KEY_BYTES], locked[CRYPT_RECIPIENTS_MAX][CRYPT_LOCKED_BYTES];
	char salt[CRYPT_SALT_BYTES];
	struct crypt_header h = { .algorithm = algorithm,
		.chunk_shift = CRYPT_CHUNK_SHIFT,
		.salt = { salt, sizeof(salt) },
		.recipient_count = ring->public_count };
	pairs_renew(ring);
	random_bytes(key, sizeof(key));
	random_bytes(salt, sizeof(salt));
	for (size_t i = 0; i < ring->public_count; i++) {
		const struct public_key *p = &ring->publics[i];
		h.recipients[i] = (struct crypt_recipient){ { p->id, CRYPT_ID_BYTES },
			{ p->half, p->half_bytes },
			{ (const char *)locked[i], CRYPT_LOCKED_BYTES } };
		crypt_key_lock(&h, &h.recipients[i], (struct str){ p->secret, p->secret_bytes },
			key, locked[i]);
	}
	size_t before = header->n;
	crypt_header_write(header, &h);
	h.bytes = str_slice(buf_str(header), before, header->n);
	crypt_span_key(&h, name, key, out);
	mem_wipe(key, sizeof(key));
}

/* ---- reading ---- */

/* The secret of a private key and a sender's half; empty: the half is no point on the curve. */
static struct str secret_find(
	struct crypt_ring *ring, const struct private_key *key, struct str half)
{
	for (size_t i = 0; i < SECRETS_KEPT; i++) {
		const struct kept_secret *k = &ring->kept[i];
		if (k->key == key && str_eq((struct str){ k->half, k->half_bytes }, half))
			return (struct str){ k->secret, k->secret_bytes };
	}
	uint8_t secret[EC_SECRET_MAX];
	size_t n = ec_agree(key->key, half, secret);
	if (n == 0)
		return STR_NONE;
	struct kept_secret *k = &ring->kept[ring->kept_next++ % SECRETS_KEPT];
	k->key = key;
	k->half_bytes = half.n;
	k->secret_bytes = n;
	memcpy(k->half, half.p, half.n); /* at most EC_PUBLIC_MAX: crypt_header_read() */
	memcpy(k->secret, secret, n);
	mem_wipe(secret, sizeof(secret));
	return (struct str){ k->secret, k->secret_bytes };
}

static enum err no_key(struct op *op, const struct crypt_header *h)
{
	struct buf ids;
	buf_init(&ids, 0);
	for (size_t i = 0; i < h->recipient_count; i++) {
		buf_put(&ids, i ? STR(", ") : STR(""));
		hex_encode(&ids, h->recipients[i].id);
	}
	enum err e = op_fail(op, ERR_UNAVAILABLE,
		"it is encrypted for key %.*s: add its private key as a crypt_global_private_key",
		STRF(buf_str(&ids)));
	buf_done(&ids);
	return e;
}

enum err crypt_ring_unlock(struct op *op, struct crypt_ring *ring, const struct crypt_header *h,
	struct str name, struct crypt_span *out)
{
	uint8_t key[AEAD_KEY_BYTES];
	bool has_key = false;
	for (size_t i = 0; i < h->recipient_count; i++) {
		const struct crypt_recipient *to = &h->recipients[i];
		const struct private_key *private = private_find(ring, to->id);
		if (!private)
			continue;
		has_key = true;
		struct str secret = secret_find(ring, private, to->half);
		if (secret.n && crypt_key_unlock(h, to, secret, key)) {
			crypt_span_key(h, name, key, out);
			mem_wipe(key, sizeof(key));
			return ERR_NONE;
		}
	}
	if (!has_key)
		return no_key(op, h);
	return op_fail(op, ERR_CORRUPT, "its header was changed: no key fits");
}
