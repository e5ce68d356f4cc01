/* SPDX-License-Identifier: Apache-2.0 */
/* store/format/base.h - bytes of bases: a mailbox's fold in the object store (docs/formats/bases.md).
 *
 * A base is a manifest and the segments that it names. All are *base files*: a header, a table and
 * sections, each with its checksum. The manifest has what is not of a single mail, and the records
 * themselves as blocks of columns, up to BASE_INLINE_MAILS of them; of larger mailboxes the blocks stand
 * in segments, what changes (hot) apart from what stays (cold). Summaries always stand in segments.
 * The object stack compresses and encrypts: here bytes are only laid out so that they compress well.
 *
 * Total:  decoders accept any bytes and say ERR_CORRUPT, or ERR_UNSUPPORTED of a later version; what is
 *         counted is checked against the bytes that are there before memory is taken for it.
 * Head:   key "base" in the mailbox's scope names the manifest; "base/<8 hex digits of the writer>" does
 *         while another writer has the mailbox open.
 * To add a section: a number below, encoder and decoder, a line in docs/formats/bases.md; readers pass
 * over sections they do not know. */
#pragma once

#include "base/base.h"
#include "store/format/head.h"
#include "store/format/snapshot.h"

#define BASE_VERSION        1
#define BASE_HEADER_BYTES   48
#define BASE_ENTRY_BYTES    20
#define BASE_SECTIONS_MAX   64
#define BASE_SEGMENTS_MAX   65536
#define BASE_BLOCK_MAILS    65536   /* of a block of records */
#define BASE_INLINE_MAILS   100000  /* larger mailboxes have segments */
#define BASE_SUMMARY_MAILS  4096    /* of a segment of summaries */
#define BASE_LIST_MAX       1000000 /* items of another section */
#define BASE_FILE_BYTES_MAX ((size_t)256 << 20)

enum base_type {
	BASE_META = 1,
	BASE_KEYWORDS = 2,   /* counted names, in the order of their bits */
	BASE_HOLES = 3,      /* modseq intervals */
	BASE_TOMBSTONES = 4, /* what was expunged, in the order of modseq */
	BASE_STAMPS = 5,     /* of flags changed lately */
	BASE_HOT = 6,        /* a block: uid, flags, modseq, keywords */
	BASE_COLD = 7,       /* the other columns of the block before it */
	BASE_SEGMENTS = 8,   /* struct base_segment */
	BASE_SUMMARIES = 9,  /* of a segment: struct base_summary */
	BASE_TEXTS = 10,     /* of a segment: the summaries themselves */
	BASE_MOVED = 12,     /* as SNAPSHOT_MOVED: mails that another writer gave another UID */
	BASE_FLOORS = 13,    /* as SNAPSHOT_FLOORS */
	BASE_BATCHES = 14,   /* as SNAPSHOT_BATCHES */
	BASE_NAME = 11,      /* of the mailbox, when the base was made: for recovery */
	BASE_TREE = 15,      /* of the zero scope: a root head's lists as a frame; no base has it */
};
struct base_section {
	enum base_type type;
	uint32_t items;
	struct str bytes;
};
/* Appends a whole file to the empty `out`. */
void base_file_encode(struct buf *out, struct catalog_guid mailbox,
	const struct base_section *sections, size_t count);
/* Checks everything; the sections borrow `file`. `out` has room for BASE_SECTIONS_MAX. */
enum err base_file_parse(
	struct str file, struct catalog_guid mailbox, struct base_section *out, size_t *out_count);

/* ---- sections of a manifest ---- */

struct base_meta {
	uint32_t next_uid, recent_uid, uid_validity;
	uint64_t modseq;
	uint64_t stamp_floor;     /* flag changes older than this are all in the records */
	uint64_t tombstone_floor; /* expunges at or below this modseq are forgotten */
	struct catalog_name cover;
	int64_t made_wall_us;
	uint32_t messages;    /* records in all blocks */
	uint32_t summary_uid; /* summaries of mails up to it are in segments, if there were any */
};
void base_meta_encode(struct buf *out, const struct base_meta *meta);
enum err base_meta_decode(struct str bytes, struct base_meta *out);

struct base_name {
	struct str name, special_use;
};
void base_name_encode(struct buf *out, const struct base_name *name);
enum err base_name_decode(struct str bytes, struct base_name *out);

/* An object that the manifest names. */
struct base_segment {
	enum base_type type; /* BASE_HOT, BASE_COLD, BASE_SUMMARIES */
	bool is_retired;     /* the base before this one used it, this one does not */
	struct row_id id;
	uint32_t first_uid, last_uid, count;
	uint64_t bytes, hash; /* of the file; the same hash, the same content */
};
void base_segment_encode(struct buf *out, const struct base_segment *s);
bool base_segment_next(struct str *rest, struct base_segment *out);

/* In columns; decoders fill `out`, which has room for `count`. ERR_CORRUPT: not so many, or more. */
void base_tombstones_encode(struct buf *out, const struct snapshot_tombstone *items, size_t count);
enum err base_tombstones_decode(struct str bytes, struct snapshot_tombstone *out, size_t count);
void base_stamps_encode(struct buf *out, const struct snapshot_stamp *items, size_t count);
enum err base_stamps_decode(struct str bytes, struct snapshot_stamp *out, size_t count);
void base_hot_encode(struct buf *out, const struct snapshot_hot *items, size_t count);
enum err base_hot_decode(struct str bytes, struct snapshot_hot *out, size_t count);
/* Without the places of summaries, which are those of a local file. */
void base_cold_encode(struct buf *out, const struct snapshot_cold *items, size_t count);
enum err base_cold_decode(struct str bytes, struct snapshot_cold *out, size_t count);
/* So many items take at least so many bytes: what a decoder may be asked to fill. */
bool base_count_is_possible(const struct base_section *s);

/* ---- segments of summaries ---- */

/* Whose summary stands where in BASE_TEXTS. A mail is known by UID and name: UIDs may change hands. */
struct base_summary {
	uint32_t uid, check; /* base_summary_check() */
	uint32_t length, crc;
};
uint32_t base_summary_check(struct catalog_name mail);
void base_summaries_encode(struct buf *out, const struct base_summary *items, size_t count);
enum err base_summaries_decode(struct str bytes, struct base_summary *out, size_t count);

/* ---- the head ---- */

#define HEAD_BASE      "base"
#define HEAD_BASE_SIZE (sizeof(HEAD_BASE) + 9)

struct head_base_place {
	struct row_id id; /* of the manifest; all zero: there is none */
	struct catalog_name cover;
	int64_t made_wall_us;
};
struct head_base {
	struct head_base_place base, previous;
	/* The next cover up to which op rows may be dropped, once it is an hour old. */
	struct head_base_place drop; /* its id does not matter */
	struct catalog_name dropped; /* op rows with names below are gone ... */
	uint32_t dropped_bucket;     /* ... of the buckets before this one all of them */
	uint32_t bucket;             /* where a tail begins that is read behind the base */
	bool has_own_flags;          /* flag changes that no row ever had */
	uint32_t next_uid, recent_uid;
	uint64_t modseq;
	struct head_counters counters;
};
/* Writes the key, zero-terminated; writer 0: the plain one. */
struct str head_base_key(uint32_t writer, char key[HEAD_BASE_SIZE]);
bool head_is_base_key(struct str key, uint32_t *out_writer);
void head_base_encode(struct buf *out, const struct head_base *head);
enum err head_base_decode(struct str value, struct head_base *out);
bool row_id_is_none(const struct row_id *id);
