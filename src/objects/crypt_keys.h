/* SPDX-License-Identifier: Apache-2.0 */
/* objects/crypt_keys.h - the keys of a crypt layer: public ones that new objects are made for, private
 * ones that open objects, several for rotation.
 *
 * Life:     crypt_ring_new() -> crypt_ring_add_*() -> lock/unlock of content keys -> crypt_ring_free().
 * Cost:     a common secret costs one multiplication on the curve, 50 us to 1 ms. So the sender's pair
 *           is kept for CRYPT_PAIR_US, and readers remember the last secrets. That gives nothing away:
 *           every object has a salt and a content key of its own, the private half of the sender's pair
 *           opens only what this process wrote in that time (and had in its memory anyway), and it
 *           is never stored. Who has the recipient's private key opens everything either way.
 * Threads:  the loop's alone. */
#pragma once

#include "objects/crypt_format.h"

#define CRYPT_PAIR_US   (10 * 60 * US_PER_SEC)
#define CRYPT_PAIR_USES 1000000
#define CRYPT_KEYS_MAX  32

struct crypt_ring;

struct crypt_ring *crypt_ring_new(void);
void crypt_ring_free(struct crypt_ring *ring);

/* All keys of a PEM text, which may stand on one line as base64. `what` names the setting.
 * ERR_INVALID: a key is of another kind, damaged or its password is wrong. */
enum err crypt_ring_add_public(
	struct op *op, struct crypt_ring *ring, struct str what, struct str text);
enum err crypt_ring_add_private(struct op *op, struct crypt_ring *ring, struct str what,
	struct str text, struct str password);
size_t crypt_ring_public_count(const struct crypt_ring *ring);
size_t crypt_ring_private_count(const struct crypt_ring *ring);
/* Can every new object be opened with one of our private keys? */
bool crypt_ring_opens_its_own(const struct crypt_ring *ring);

/* Makes a header for a new object into *header, and the key of its chunks. */
void crypt_ring_lock(struct crypt_ring *ring, enum crypt_algorithm algorithm, struct str name,
	struct buf *header, struct crypt_span *out);
/* The key of the chunks of the object `name`. ERR_UNAVAILABLE: no private key here opens it, and the
 * text says which would; ERR_CORRUPT: the header was changed. */
enum err crypt_ring_unlock(struct op *op, struct crypt_ring *ring, const struct crypt_header *h,
	struct str name, struct crypt_span *out);
