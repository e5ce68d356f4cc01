/* SPDX-License-Identifier: Apache-2.0 */
/* objects/crypt_format.c - see crypt_format.h. */
#include "objects/crypt_format.h"

#include "base/number.h"
#include "crypto/crypto.h"

/* No text begins so. The eighth byte is the version. */
#define MAGIC       "\x93PCRYPT"
#define MAGIC_BYTES 7
#define VERSION     1
#define FIXED_BYTES 32
#define LOCK_LABEL  "pombal crypt 1 lock"
#define INFO_LABEL  "pombal crypt 1 chunks"

/*   0 magic:7 version:1 algorithm:1 chunk shift:1 recipients:1 zero:1 header bytes:4 salt:16
 *  32 recipients: id:16 length of the half:1 half locked key:48 */

bool crypt_is_sealed(struct str stored)
{
	return str_starts(stored, STR(MAGIC));
}

static enum err header_bad(struct op *op, const char *what)
{
	return op_fail(op, ERR_CORRUPT, "encrypted object has a bad header: %s", what);
}

static bool recipient_cut(struct str *rest, struct crypt_recipient *out)
{
	if (rest->n < CRYPT_ID_BYTES + 1)
		return false;
	out->id = str_take(rest, CRYPT_ID_BYTES);
	size_t half_bytes = (uint8_t)str_take(rest, 1).p[0];
	if (half_bytes == 0 || half_bytes > EC_PUBLIC_MAX ||
		rest->n < half_bytes + CRYPT_LOCKED_BYTES)
		return false;
	out->half = str_take(rest, half_bytes);
	out->locked = str_take(rest, CRYPT_LOCKED_BYTES);
	return true;
}

enum err crypt_header_read(struct op *op, struct str stored, struct crypt_header *out)
{
	if (!crypt_is_sealed(stored) || stored.n < FIXED_BYTES)
		return header_bad(op, "it is too short");
	const uint8_t *p = (const uint8_t *)stored.p;
	if (p[MAGIC_BYTES] != VERSION)
		return op_fail(op, ERR_UNSUPPORTED, "encrypted object has version %u, ours is %d",
			p[MAGIC_BYTES], VERSION);
	struct crypt_header h = {
		.algorithm = p[8], .chunk_shift = p[9], .recipient_count = p[10]
	};
	size_t bytes = get_le32(p + 12);
	if (p[11] != 0 || bytes < FIXED_BYTES || bytes > CRYPT_HEADER_MAX || bytes > stored.n)
		return header_bad(op, "its length");
	if (h.algorithm > CRYPT_CHACHA20_POLY1305)
		return header_bad(op, "its algorithm");
	if (h.chunk_shift != CRYPT_CHUNK_SHIFT)
		return header_bad(op, "its size of chunks");
	if (h.recipient_count > CRYPT_RECIPIENTS_MAX ||
		(h.recipient_count == 0) != (h.algorithm == CRYPT_PLAIN))
		return header_bad(op, "its number of keys");
	h.bytes = str_slice(stored, 0, bytes);
	h.salt = str_slice(h.bytes, 16, FIXED_BYTES);
	struct str rest = str_slice(h.bytes, FIXED_BYTES, bytes);
	for (size_t i = 0; i < h.recipient_count; i++)
		if (!recipient_cut(&rest, &h.recipients[i]))
			return header_bad(op, "its keys");
	if (rest.n)
		return header_bad(op, "its length");
	*out = h;
	return ERR_NONE;
}

void crypt_header_write(struct buf *out, const struct crypt_header *h)
{
	char fixed[FIXED_BYTES] = MAGIC;
	size_t bytes = FIXED_BYTES;
	for (size_t i = 0; i < h->recipient_count; i++)
		bytes += CRYPT_ID_BYTES + 1 + h->recipients[i].half.n + CRYPT_LOCKED_BYTES;
	ASSERT(bytes < CRYPT_HEADER_MAX && h->salt.n == CRYPT_SALT_BYTES);
	fixed[MAGIC_BYTES] = VERSION;
	fixed[8] = (char)h->algorithm;
	fixed[9] = (char)h->chunk_shift;
	fixed[10] = (char)h->recipient_count;
	put_le32(fixed + 12, (uint32_t)bytes);
	memcpy(fixed + 16, h->salt.p, CRYPT_SALT_BYTES);
	buf_put(out, (struct str){ fixed, sizeof(fixed) });
	for (size_t i = 0; i < h->recipient_count; i++) {
		buf_put(out, h->recipients[i].id);
		buf_put_byte(out, (char)h->recipients[i].half.n);
		buf_put(out, h->recipients[i].half);
		buf_put(out, h->recipients[i].locked);
	}
}

/* ---- sizes ---- */

enum err crypt_content_size(
	struct op *op, const struct crypt_header *h, uint64_t stored_size, uint64_t *out)
{
	const uint64_t content = UINT64_C(1) << h->chunk_shift, chunk = content + AEAD_TAG_BYTES;
	uint64_t body = stored_size - MIN(stored_size, h->bytes.n);
	if (h->algorithm == CRYPT_PLAIN) {
		*out = body;
		return ERR_NONE;
	}
	/* The last chunk has content, unless the object is empty. */
	uint64_t left = body % chunk;
	if (body == 0 || (left > 0 && left <= AEAD_TAG_BYTES && body != AEAD_TAG_BYTES))
		return op_fail(op, ERR_CORRUPT, "encrypted object is cut short");
	*out = body / chunk * content + (left ? left - AEAD_TAG_BYTES : 0);
	return ERR_NONE;
}

size_t crypt_chunks_size(size_t content_size, unsigned chunk_shift)
{
	size_t content = (size_t)1 << chunk_shift;
	size_t chunks = content_size ? (content_size - 1) / content + 1 : 1;
	return content_size + chunks * AEAD_TAG_BYTES;
}

/* ---- keys ---- */

/* The key that locks the content key: of this object, recipient and sender alone. */
static void lock_key(const struct crypt_header *h, const struct crypt_recipient *to,
	struct str secret, uint8_t out[AEAD_KEY_BYTES])
{
	char info[sizeof(LOCK_LABEL) + CRYPT_ID_BYTES + EC_PUBLIC_MAX];
	const struct str parts[] = { STR(LOCK_LABEL), to->id, to->half };
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
		ASSERT(parts[i].n <= sizeof(info) - n);
		memcpy(info + n, parts[i].p, parts[i].n);
		n += parts[i].n;
	}
	crypto_hkdf(secret, h->salt, (struct str){ info, n }, out, AEAD_KEY_BYTES);
}

void crypt_key_lock(const struct crypt_header *h, const struct crypt_recipient *to,
	struct str secret, const uint8_t key[AEAD_KEY_BYTES], uint8_t out[CRYPT_LOCKED_BYTES])
{
	static const uint8_t nonce[AEAD_NONCE_BYTES]; /* the key is used once */
	uint8_t lock[AEAD_KEY_BYTES];
	lock_key(h, to, secret, lock);
	struct aead *a = aead_new((enum aead_algorithm)h->algorithm, lock, true);
	aead_seal(a, nonce, (struct str){ (const char *)key, AEAD_KEY_BYTES }, out);
	aead_free(a);
	mem_wipe(lock, sizeof(lock));
}

bool crypt_key_unlock(const struct crypt_header *h, const struct crypt_recipient *to,
	struct str secret, uint8_t out[AEAD_KEY_BYTES])
{
	static const uint8_t nonce[AEAD_NONCE_BYTES];
	uint8_t lock[AEAD_KEY_BYTES];
	lock_key(h, to, secret, lock);
	struct aead *a = aead_new((enum aead_algorithm)h->algorithm, lock, false);
	bool is_ours = aead_open(a, nonce, to->locked, out);
	aead_free(a);
	mem_wipe(lock, sizeof(lock));
	return is_ours;
}

void crypt_span_key(const struct crypt_header *h, struct str name,
	const uint8_t content_key[AEAD_KEY_BYTES], struct crypt_span *out)
{
	uint8_t salt[CRYPTO_SHA256_BYTES];
	const struct str bound[] = { h->bytes, name }; /* the header says its length */
	crypto_sha256_parts(bound, ARRAY_COUNT(bound), salt);
	out->algorithm = (enum aead_algorithm)h->algorithm;
	out->chunk_shift = h->chunk_shift;
	crypto_hkdf((struct str){ (const char *)content_key, AEAD_KEY_BYTES },
		(struct str){ (const char *)salt, sizeof(salt) }, STR(INFO_LABEL), out->key,
		sizeof(out->key));
}

/* ---- chunks ---- */

static void nonce_make(uint8_t out[AEAD_NONCE_BYTES], uint64_t number, bool is_last)
{
	memset(out, 0, AEAD_NONCE_BYTES);
	out[0] = is_last;
	put_be64(out + 4, number);
}

void crypt_chunks_lay(const struct crypt_span *s, const struct str *parts, size_t count, char *out)
{
	const size_t content = (size_t)1 << s->chunk_shift;
	size_t in_chunk = 0;
	for (size_t i = 0; i < count; i++) {
		for (struct str rest = parts[i]; rest.n;) {
			if (in_chunk == content) {
				out += AEAD_TAG_BYTES;
				in_chunk = 0;
			}
			struct str some = str_take(&rest, content - in_chunk);
			memcpy(out, some.p, some.n);
			out += some.n;
			in_chunk += some.n;
		}
	}
}

void crypt_chunks_seal(const struct crypt_span *s, size_t content_size, char *chunks)
{
	const size_t content = (size_t)1 << s->chunk_shift;
	struct aead *a = aead_new(s->algorithm, s->key, true);
	uint64_t number = s->first;
	bool is_last;
	do {
		uint8_t nonce[AEAD_NONCE_BYTES];
		size_t n = MIN(content, content_size);
		is_last = n == content_size;
		nonce_make(nonce, number++, is_last && s->has_last);
		aead_seal(a, nonce, (struct str){ chunks, n }, (uint8_t *)chunks);
		chunks += n + AEAD_TAG_BYTES;
		content_size -= n;
	} while (!is_last);
	aead_free(a);
}

size_t crypt_chunks_open(const struct crypt_span *s, struct str sealed, char *out)
{
	const size_t chunk = ((size_t)1 << s->chunk_shift) + AEAD_TAG_BYTES;
	struct aead *a = aead_new(s->algorithm, s->key, false);
	uint64_t number = s->first;
	size_t size = 0;
	bool is_good = sealed.n > 0;
	while (sealed.n && is_good) {
		uint8_t nonce[AEAD_NONCE_BYTES];
		struct str one = str_take(&sealed, chunk);
		bool is_last = sealed.n == 0 && s->has_last;
		nonce_make(nonce, number, is_last);
		is_good = (one.n == chunk || is_last) &&
			  aead_open(a, nonce, one, (uint8_t *)out + size) &&
			  (one.n > AEAD_TAG_BYTES || number == 0);
		number++;
		size += one.n - MIN(one.n, AEAD_TAG_BYTES);
	}
	aead_free(a);
	return is_good ? size : SIZE_MAX;
}
