/* SPDX-License-Identifier: Apache-2.0 */
/* objects/s3_hash.c - digests of bodies: small ones on the spot, big ones by a thread, which else would keep the loop
 * for longer than a request takes.
 *
 * The thread reads the caller's memory. So the caller waits for it whatever happens: shielded and without deadline,
 * for the tenth of a second that 64 MiB take. */
#include "base/codec.h"
#include "crypto/crypto.h"
#include "crypto/digest.h"
#include "objects/s3_private.h"
#include "task/task.h"

#define INLINE_MAX ((size_t)512 << 10) /* a millisecond */

struct hash_job {
	struct offload_job job; /* first; on its waiter's stack */
	/* borrowed */
	const struct str *parts;
	size_t part_count;
	bool is_md5;
	uint8_t out[CRYPTO_DIGEST_BYTES_MAX];
};

static void hash_run(struct offload_job *job)
{
	struct hash_job *j = CONTAINER_OF(job, struct hash_job, job);
	if (j->is_md5) {
		size_t n = crypto_digest_parts(STR("md5"), j->parts, j->part_count, j->out);
		ASSERT(n == 16);
	} else {
		crypto_sha256_parts(j->parts, j->part_count, j->out);
	}
}

static void hash_release(struct offload_job *job)
{
	(void)job;
}

static void hash(struct op *op, struct hash_job *j)
{
	struct op own;
	if (objects_parts_bytes(j->parts, j->part_count) <= INLINE_MAX) {
		hash_run(&j->job);
		return;
	}
	j->job.run = hash_run;
	j->job.release = hash_release;
	op_init(&own, op->arena, op->event, TIME_NEVER);
	task_shield();
	enum err e = offload(&own, OFFLOAD_CPU, &j->job);
	task_unshield();
	if (e != ERR_NONE) /* no thread could be started */
		hash_run(&j->job);
}

struct str s3_content_md5(struct op *op, const struct str *parts, size_t part_count)
{
	struct hash_job j = { .parts = parts, .part_count = part_count, .is_md5 = true };
	hash(op, &j);
	AUTO_BUF(text, 0);
	base64_encode(&text, (struct str){ (const char *)j.out, 16 });
	return buf_dup(op->arena, &text);
}

struct str s3_payload_hash(struct op *op, const struct str *parts, size_t part_count)
{
	struct hash_job j = { .parts = parts, .part_count = part_count };
	hash(op, &j);
	AUTO_BUF(text, 0);
	hex_encode(&text, (struct str){ (const char *)j.out, CRYPTO_SHA256_BYTES });
	return buf_dup(op->arena, &text);
}
