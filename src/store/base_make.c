/* SPDX-License-Identifier: Apache-2.0 */
/* The cut: a mailbox as it is at one moment, in the bytes of a base. It is taken under the write lock, so
 * nothing that gets a modseq comes in between; encoding is done by pool threads on copies of a block at a
 * time, so neither the loop nor memory sees more of a large mailbox at once. */
#include "store/base_private.h"

#include "base/hash.h"

#define INLINE_ENCODE_MAX 2048 /* records that are encoded without a thread */
#define BLOCK_MIN         (BASE_BLOCK_MAILS / 8)

/* ---- a block ---- */

struct encode_job {
	struct offload_job job; /* first */
	struct snapshot_hot *hot;
	struct snapshot_cold *cold;
	uint32_t count;
	struct buf hot_bytes, cold_bytes;
};

static void encode_run(struct offload_job *job)
{
	struct encode_job *j = CONTAINER_OF(job, struct encode_job, job);
	base_hot_encode(&j->hot_bytes, j->hot, j->count);
	base_cold_encode(&j->cold_bytes, j->cold, j->count);
}

static void encode_release(struct offload_job *job)
{
	(void)job; /* on the stack of who waits */
}

void base_offload(struct offload_job *job)
{
	struct op op;
	op_init(&op, NULL, NULL, TIME_NEVER);
	task_shield();
	enum err e = offload(&op, OFFLOAD_CPU, job);
	ASSERT(e == ERR_NONE); /* no deadline, not cancellable */
	task_unshield();
}

/* WAITS for large blocks. */
static void encode_block(struct base_cut *cut, struct encode_job *j)
{
	cut->blocks = mem_resize(cut->blocks, (cut->block_count + 1) * sizeof(*cut->blocks));
	struct base_block *b = &cut->blocks[cut->block_count++];
	j->job = (struct offload_job){ .run = encode_run, .release = encode_release };
	j->hot_bytes = j->cold_bytes = (struct buf){ 0 };
	if (j->count <= INLINE_ENCODE_MAX)
		encode_run(&j->job);
	else
		base_offload(&j->job);
	*b = (struct base_block){ .first_uid = j->hot[0].uid,
		.last_uid = j->hot[j->count - 1].uid,
		.count = j->count,
		.hot = j->hot_bytes,
		.cold = j->cold_bytes };
}

/* Where the next block begins that the last base had in a segment; UINT32_MAX: nowhere. Blocks that have
 * lost most of their mails become one with the next. */
static uint32_t next_start(const struct mailbox *m, uint32_t first_uid)
{
	const struct base_parts *parts = &m->base.parts;
	uint32_t next = UINT32_MAX, at = index_seek(m->index, first_uid);
	for (size_t i = 0; i < parts->count; i++) {
		const struct base_segment *s = &parts->segments[i];
		if (s->type == BASE_HOT && !s->is_retired && s->first_uid > first_uid &&
			s->first_uid < next && index_seek(m->index, s->first_uid) - at >= BLOCK_MIN)
			next = s->first_uid;
	}
	return next;
}

static void cut_blocks(struct base_cut *cut, const struct mailbox *m)
{
	uint32_t total = index_count(m->index), max = MIN(total, (uint32_t)BASE_BLOCK_MAILS);
	struct encode_job j = { .hot = mem_new_array(MAX(max, 1), sizeof(*j.hot)),
		.cold = mem_new_array(MAX(max, 1), sizeof(*j.cold)) };
	uint32_t first = 1;
	while (first < index_next_uid(m->index)) {
		uint32_t next = cut->is_large ? next_start(m, first) : UINT32_MAX;
		j.count = index_copy_records(m->index, first, next - 1, max, j.hot, j.cold);
		if (j.count > 0)
			encode_block(cut, &j);
		if (j.count == 0 && next == UINT32_MAX)
			break;
		first = j.count == max || next == UINT32_MAX ? j.hot[j.count - 1].uid + 1 : next;
	}
	mem_free(j.hot);
	mem_free(j.cold);
}

/* ---- the rest ---- */

static uint32_t bucket_at(const struct mailbox *m, struct catalog_name name, bool is_after)
{
	uint32_t bucket = is_after ? m->bucket : 0;
	for (uint32_t at = index_count(m->index); at > 0; at--) {
		const struct snapshot_cold *cold = index_cold(m->index, at - 1);
		if (name_cmp(cold->name, name) <= 0)
			return is_after ? bucket : cold->bucket;
		bucket = is_after ? cold->bucket : 0;
	}
	return bucket;
}

void base_buckets_at(
	const struct mailbox *m, struct catalog_name name, uint32_t *out_first, uint32_t *out_last)
{
	*out_first = bucket_at(m, name, false);
	*out_last = bucket_at(m, name, true);
}

static void cut_head(struct base_cut *cut, const struct mailbox *m)
{
	struct index_counters c = index_counters(m->index);
	uint32_t total = index_count(m->index), recent = 0, ignored;
	for (uint32_t at = index_seek(m->index, index_recent_uid(m->index) + 1); at < total; at++)
		recent += !index_is_ghost(index_hot(m->index, at));
	struct catalog_name cover = cut->meta.cover;
	cut->head = (struct head_base){
		.base = { .cover = cover, .made_wall_us = cut->meta.made_wall_us },
		.next_uid = cut->meta.next_uid,
		.recent_uid = cut->meta.recent_uid,
		.modseq = cut->meta.modseq,
		.counters = { c.messages, c.unseen, c.deleted, recent, c.bytes_virtual },
	};
	base_buckets_at(m, name_at_ms((int64_t)name_ms(cover) - STORE_TAIL_MS), &cut->head.bucket,
		&ignored);
}

/* Of what was written by others since they were looked for, nothing may be known. */
static struct catalog_name cover_limit(const struct mailbox *m)
{
	int64_t ms = now_wall_us() / US_PER_MS;
	if (!catalog_is_atomic(m->user->store->catalog))
		ms = MIN(ms, m->seen_ms + 1);
	return name_at_ms(ms);
}

void base_cut_take(struct base_cut *cut, const struct mailbox *m)
{
	struct catalog_name limit = cover_limit(m);
	uint64_t stamps = flags_stamp_floor(m);
	index_base_meta(m->index, stamps, &cut->meta);
	if (name_cmp(limit, cut->meta.cover) < 0)
		cut->meta.cover = limit;
	cut->meta.made_wall_us = now_wall_us();
	cut->meta.uid_validity = m->uid_validity;
	index_base_sections(m->index, stamps, &cut->arena, cut->facts);
	cut->is_large = cut->meta.messages > BASE_INLINE_MAILS;
	cut->flags = flags_mark_pending(m);
	cut_blocks(cut, m);
	cut_head(cut, m);
	cut->head.has_own_flags = m->pending.n > 0;
}

void base_cut_init(struct base_cut *cut)
{
	*cut = (struct base_cut){ 0 };
	arena_init(&cut->arena, 0);
}

void base_cut_done(struct base_cut *cut)
{
	for (size_t i = 0; i < cut->block_count; i++) {
		buf_done(&cut->blocks[i].hot);
		buf_done(&cut->blocks[i].cold);
	}
	mem_free(cut->blocks);
	arena_done(&cut->arena);
}
