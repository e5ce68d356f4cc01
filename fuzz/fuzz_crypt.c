/* SPDX-License-Identifier: Apache-2.0 */
/* Stored objects of the crypt driver: any bytes are an error, or a header whose keys and chunks are
 * tried; what was sealed here comes back whole. */
#include "objects/crypt_keys.h"

#include "crypto/ec_test_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct crypt_ring *ring_of_tests(struct op *op)
{
	struct crypt_ring *ring = crypt_ring_new();
	enum err e = crypt_ring_add_private(
		op, ring, STR("a test's key"), STR(EC_TEST_X25519), STR_NONE);
	if (e == ERR_NONE)
		e = crypt_ring_add_public(
			op, ring, STR("a test's key"), STR(EC_TEST_X25519_PUBLIC));
	ASSERT(e == ERR_NONE);
	return ring;
}

static void foreign_bytes(struct op *op, struct crypt_ring *ring, struct str stored)
{
	struct crypt_header h;
	struct crypt_span span = { .has_last = true };
	uint64_t content;
	if (crypt_header_read(op, stored, &h) != ERR_NONE)
		return;
	ASSERT(h.bytes.n <= CRYPT_HEADER_MAX);
	if (crypt_content_size(op, &h, stored.n, &content) == ERR_NONE)
		ASSERT(content <= stored.n);
	if (crypt_ring_unlock(op, ring, &h, STR("name"), &span) != ERR_NONE)
		return;
	struct str chunks = str_slice(stored, h.bytes.n, stored.n);
	char *out = mem_resize(NULL, chunks.n + 1);
	size_t n = crypt_chunks_open(&span, chunks, out);
	ASSERT(n == SIZE_MAX || n <= chunks.n);
	mem_free(out);
}

static void own_bytes(struct op *op, struct crypt_ring *ring, struct str body)
{
	struct crypt_header h;
	struct crypt_span span = { .has_last = true }, again = { .has_last = true };
	struct buf header;
	buf_init(&header, 0);
	crypt_ring_lock(ring, CRYPT_CHACHA20_POLY1305, STR("name"), &header, &span);
	enum err e = crypt_header_read(op, buf_str(&header), &h);
	ASSERT(e == ERR_NONE);
	e = crypt_ring_unlock(op, ring, &h, STR("name"), &again);
	ASSERT(e == ERR_NONE);
	size_t sealed = crypt_chunks_size(body.n, span.chunk_shift);
	char *chunks = mem_resize(NULL, sealed), *out = mem_resize(NULL, sealed);
	crypt_chunks_lay(&span, &body, 1, chunks);
	crypt_chunks_seal(&span, body.n, chunks);
	size_t n = crypt_chunks_open(&again, (struct str){ chunks, sealed }, out);
	ASSERT(n == body.n && (n == 0 || memcmp(out, body.p, n) == 0));
	mem_free(chunks);
	mem_free(out);
	buf_done(&header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct crypt_ring *ring;
	struct op op;
	op_init(&op, NULL, NULL, TIME_NEVER);
	if (!ring)
		ring = ring_of_tests(&op);
	foreign_bytes(&op, ring, (struct str){ (const char *)data, size });
	own_bytes(&op, ring, (struct str){ (const char *)data, size });
	return 0;
}
