/* SPDX-License-Identifier: Apache-2.0 */
/* objects/crypt_format.h - bytes of encrypted objects, pure: docs/formats/objects.md, "crypt".
 *
 *   header: who can open it, and the object's salt; chunks: 64 KiB of content and a tag each
 *
 * The key of the chunks is made of the content key (which the header holds, locked for each recipient),
 * the whole header and the object's name; a chunk's nonce is its number and whether it is the last.
 * So nothing can be changed, cut off, moved inside the object or to another name unnoticed. */
#pragma once

#include "base/base.h"
#include "crypto/ec.h"

#define CRYPT_HEADER_MAX     2048 /* more than any header has */
#define CRYPT_RECIPIENTS_MAX 8
#define CRYPT_ID_BYTES       16 /* of the key's id */
#define CRYPT_SALT_BYTES     16
#define CRYPT_LOCKED_BYTES   (AEAD_KEY_BYTES + AEAD_TAG_BYTES)
#define CRYPT_CHUNK_SHIFT    16 /* the only one of this version */

enum crypt_algorithm {
	CRYPT_PLAIN = 0, /* the body follows as it is: a plain one that looked encrypted */
	CRYPT_AES_256_GCM = AEAD_AES_256_GCM,
	CRYPT_CHACHA20_POLY1305 = AEAD_CHACHA20_POLY1305,
};

struct crypt_recipient {
	struct str id;     /* CRYPT_ID_BYTES */
	struct str half;   /* the sender's public half, on the recipient's curve */
	struct str locked; /* the content key: CRYPT_LOCKED_BYTES */
};
struct crypt_header {
	enum crypt_algorithm algorithm;
	unsigned chunk_shift;
	struct str salt;  /* CRYPT_SALT_BYTES */
	struct str bytes; /* all of it; borrowed */
	size_t recipient_count;
	struct crypt_recipient recipients[CRYPT_RECIPIENTS_MAX];
};

/* Do these first bytes look like an encrypted object? */
bool crypt_is_sealed(struct str stored);
/* Reads the header at the front of `stored`, whose first CRYPT_HEADER_MAX bytes are enough.
 * ERR_CORRUPT: it is none; ERR_UNSUPPORTED: of a later version. */
enum err crypt_header_read(struct op *op, struct str stored, struct crypt_header *out);
/* Everything but `bytes` is given; appended to *out. */
void crypt_header_write(struct buf *out, const struct crypt_header *h);

/* The size of the content from that of the stored object; ERR_CORRUPT: there is no such size. */
enum err crypt_content_size(
	struct op *op, const struct crypt_header *h, uint64_t stored_size, uint64_t *out);
/* How many bytes the chunks of so much content have. */
size_t crypt_chunks_size(size_t content_size, unsigned chunk_shift);

/* Locks the content key for one recipient, with the secret that both have, and opens it. */
void crypt_key_lock(const struct crypt_header *h, const struct crypt_recipient *to,
	struct str secret, const uint8_t key[AEAD_KEY_BYTES], uint8_t out[CRYPT_LOCKED_BYTES]);
bool crypt_key_unlock(const struct crypt_header *h, const struct crypt_recipient *to,
	struct str secret, uint8_t out[AEAD_KEY_BYTES]);

/* A run of chunks of one object. */
struct crypt_span {
	enum aead_algorithm algorithm;
	unsigned chunk_shift;
	uint8_t key[AEAD_KEY_BYTES];
	uint64_t first; /* number of the first chunk */
	bool has_last;  /* the last chunk here is the object's last one */
};
/* The key of the chunks of the object called `name`. */
void crypt_span_key(const struct crypt_header *h, struct str name,
	const uint8_t content_key[AEAD_KEY_BYTES], struct crypt_span *out);
/* Lays the parts out at `out` as chunks with room for tags; crypt_chunks_seal() seals them in place. */
void crypt_chunks_lay(const struct crypt_span *s, const struct str *parts, size_t count, char *out);
void crypt_chunks_seal(const struct crypt_span *s, size_t content_size, char *chunks);
/* Opens whole chunks into `out`, which has room for the content; its size, or SIZE_MAX when something
 * was changed (and then `out` has no content that was not vouched for before it). */
size_t crypt_chunks_open(const struct crypt_span *s, struct str sealed, char *out);
