/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of base*.c. */
#pragma once

#include "store/store_private.h"

#define BASE_HOUR_US (INT64_C(3600) * US_PER_SEC)

/* Records of a range of UIDs, encoded. */
struct base_block {
	uint32_t first_uid, last_uid, count;
	struct buf hot, cold;
};
/* A mailbox at one moment. */
struct base_cut {
	struct arena arena;
	struct base_meta meta;
	struct base_section facts[INDEX_BASE_SECTIONS];
	struct base_block *blocks; /* owned */
	size_t block_count;
	bool is_large;                /* its blocks go into segments */
	struct flags_mark flags;      /* what was pending then */
	struct head_base head;        /* without ids and what is kept from the last one */
	size_t tail_rows, tail_bytes; /* that it takes in */
};
void base_cut_init(struct base_cut *cut);
/* WAITS for large mailboxes. Hold the write lock. */
void base_cut_take(struct base_cut *cut, const struct mailbox *m);
void base_cut_done(struct base_cut *cut);
/* The bucket of the last mail up to a name, and that of the first behind it (or the present one). */
void base_buckets_at(
	const struct mailbox *m, struct catalog_name name, uint32_t *out_first, uint32_t *out_last);
/* WAITS for a thread that computes; it is not left early. */
void base_offload(struct offload_job *job);

/* Parts of the base that is being made. */
void base_parts_add(struct base_parts *parts, const struct base_segment *s);
/* WAITS. Summaries that no segment has yet into new ones; those of the last base that go on are added;
 * up to `last_uid`. */
enum err base_summaries_make(
	struct op *op, struct mailbox *m, uint32_t last_uid, struct base_parts *parts);
/* WAITS. A segment's summaries into the local file. */
enum err base_fetch_segment(struct op *op, struct mailbox *m, const struct row_id *id);
/* What a manifest says of its segments. ERR_CORRUPT, ERR_UNSUPPORTED: `out` may have some of them. */
enum err base_parts_read(struct str file, struct catalog_guid guid, struct base_parts *out);
/* WAITS. Puts a file of sections under a new id. */
enum err base_put(struct op *op, struct mailbox *m, const struct base_section *sections,
	size_t count, struct base_segment *out);
/* WAITS. Reads the parts of the newest base if they are not known. */
enum err base_know_parts(struct op *op, struct mailbox *m);
struct str base_garbage_object(struct arena *a, const struct row_id *id);
/* Adds what a new base makes superfluous: garbage, op rows. `head` gets what it says of them. */
void base_put_drop(struct batch *b, struct mailbox *m, struct head_base *head);
