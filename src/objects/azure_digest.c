/* SPDX-License-Identifier: Apache-2.0 */
/* objects/azure_digest.c - MD5 of bodies, as Content-MD5 wants it. A small body is done on the spot, a big one, copied,
 * by a thread: it would keep the loop for longer than a request takes. */
#include "base/codec.h"
#include "crypto/digest.h"
#include "objects/azure_private.h"

#define INLINE_MAX ((size_t)512 << 10) /* a millisecond */

struct digest_job {
	struct offload_job job; /* first */
	uint8_t md5[CRYPTO_DIGEST_BYTES_MAX];
	size_t md5_bytes;
	size_t body_bytes;
	char body[];
};

static void digest_run(struct offload_job *job)
{
	struct digest_job *j = CONTAINER_OF(job, struct digest_job, job);
	j->md5_bytes = crypto_digest(STR("md5"), (struct str){ j->body, j->body_bytes }, j->md5);
}

static void digest_release(struct offload_job *job)
{
	mem_free(CONTAINER_OF(job, struct digest_job, job));
}

static struct str digest_text(struct op *op, const uint8_t *md5, size_t n)
{
	AUTO_BUF(text, 0);
	base64_encode(&text, (struct str){ (const char *)md5, n });
	return buf_dup(op->arena, &text);
}

enum err azure_digest(struct op *op, const struct str *parts, size_t part_count, struct str *out)
{
	size_t bytes = objects_parts_bytes(parts, part_count);
	if (bytes <= INLINE_MAX) {
		uint8_t md5[CRYPTO_DIGEST_BYTES_MAX];
		size_t n = crypto_digest_parts(STR("md5"), parts, part_count, md5);
		*out = digest_text(op, md5, n);
		return ERR_NONE;
	}
	struct digest_job *j = mem_new(sizeof(*j) + bytes);
	j->job.run = digest_run;
	j->job.release = digest_release;
	j->body_bytes = bytes;
	objects_parts_copy(j->body, parts, part_count);
	TRY(offload(op, OFFLOAD_CPU, &j->job));
	*out = digest_text(op, j->md5, j->md5_bytes);
	j->job.release(&j->job);
	return ERR_NONE;
}
