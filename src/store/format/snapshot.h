/* SPDX-License-Identifier: Apache-2.0 */
/* store/format/snapshot.h - a mailbox's fold as a file of columns (docs/formats/local.md).
 *
 * The file is a header, a table of sections and the sections, each with its checksum, aligned so
 * that the fixed-size items can be used in place from a private mapping. Little-endian, as the
 * hosts that we run on (checked at compile time). Records stand in chunks: a SNAPSHOT_HOT section
 * and the SNAPSHOT_COLD section after it describe the same mails, in UID order.
 *
 * Total:  snapshot_parse() accepts any bytes; after ERR_NONE every section lies inside the file,
 *         its length is its item count times the item's size and its checksum was right.
 * To add a section: a number below, its item size in snapshot.c, a reader in index/load.c; old
 * readers pass over sections they do not know. A changed item is a new section. */
#pragma once

#include "base/base.h"
#include "catalog/catalog.h"
#include "store/format/row.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "snapshots are read in place: this code needs a little-endian host"
#endif

#define SNAPSHOT_VERSION      1
#define SNAPSHOT_SECTIONS_MAX 65536
#define SNAPSHOT_ALIGN        64

enum snapshot_type {
	SNAPSHOT_META = 1,       /* one encoded struct snapshot_meta */
	SNAPSHOT_KEYWORDS = 2,   /* counted names, in the order of their bits */
	SNAPSHOT_HOLES = 3,      /* struct snapshot_hole */
	SNAPSHOT_TOMBSTONES = 4, /* struct snapshot_tombstone, in the order of modseq */
	SNAPSHOT_STAMPS = 5,     /* struct snapshot_stamp: flags changed lately */
	SNAPSHOT_HOT = 6,        /* struct snapshot_hot */
	SNAPSHOT_COLD = 7,       /* struct snapshot_cold */
	SNAPSHOT_MOVED = 8,      /* struct snapshot_moved */
	SNAPSHOT_FLOORS = 9,     /* struct snapshot_floor */
	SNAPSHOT_BATCHES = 10,   /* struct snapshot_batch */
};

struct snapshot_meta {
	uint32_t next_uid, recent_uid;
	uint64_t modseq;
	uint64_t stamp_floor;     /* flag changes older than this are all in the records */
	uint64_t tombstone_floor; /* expunges at or below this modseq are forgotten */
	struct catalog_name cover;
};
struct snapshot_hole {
	uint64_t first, last;
};
struct snapshot_tombstone {
	struct catalog_name name;
	uint64_t modseq;
	uint32_t uid; /* 0: voided, never seen; the name is zero: a UID that its mail lost */
	uint32_t reserved;
};
/* A mail that a merge row gave another UID. */
struct snapshot_moved {
	struct catalog_name name, by; /* the mail's; of the row that gave it */
	uint64_t modseq;
	uint32_t uid, origin; /* now; in its append row */
};
/* What the writer of a floor row had seen of another one: what that one gave below the floor in later
 * rows needs another UID. */
struct snapshot_floor {
	struct catalog_name seen; /* the last row of the other; his number is in it */
	uint64_t stamp;           /* of the floor row */
	uint32_t uid;
	uint32_t reserved;
};
/* Mails that a commit row made count, or that never do. */
struct snapshot_batch {
	struct row_id id;
	struct catalog_name name; /* of the row that decided */
	uint64_t modseq;
	uint32_t uid;   /* of its first mail */
	uint32_t count; /* 0: it is void */
};
struct snapshot_stamp {
	uint64_t stamp;
	uint32_t uid;
	uint32_t bit; /* 0-4 system flags, 8-71 keywords */
};
/* What every FETCH FLAGS and SEARCH touches. */
struct snapshot_hot {
	uint64_t modseq;
	uint64_t keywords;
	uint32_t uid;
	uint8_t flags;
	uint8_t state; /* of the index; 0 in files */
	uint16_t reserved;
};
struct snapshot_cold {
	struct catalog_name name;
	struct row_id guid, oid;
	int64_t received_wall_us, saved_wall_us;
	uint64_t summary_offset; /* in the local summary file */
	uint32_t summary_length; /* 0: not there */
	uint32_t bucket;
	uint32_t offset, length; /* in the object */
	uint32_t size_physical, size_virtual;
};
_Static_assert(sizeof(struct snapshot_hole) == 16, "layout of the file");
_Static_assert(sizeof(struct snapshot_tombstone) == 32, "layout of the file");
_Static_assert(sizeof(struct snapshot_moved) == 48, "layout of the file");
_Static_assert(sizeof(struct snapshot_floor) == 32, "layout of the file");
_Static_assert(sizeof(struct snapshot_batch) == 48, "layout of the file");
_Static_assert(sizeof(struct snapshot_stamp) == 16, "layout of the file");
_Static_assert(sizeof(struct snapshot_hot) == 24, "layout of the file");
_Static_assert(sizeof(struct snapshot_cold) == 96, "layout of the file");

struct snapshot_section {
	enum snapshot_type type;
	uint32_t items;
	struct str bytes;
};
/* Appends a whole file to the empty `out`. */
void snapshot_encode(struct buf *out, struct catalog_guid mailbox,
	const struct snapshot_section *sections, size_t count);

/* Checks everything. ERR_CORRUPT: not a snapshot of `mailbox`; ERR_UNSUPPORTED: a newer one. The
 * sections borrow `file`, which must be aligned to SNAPSHOT_ALIGN. */
enum err snapshot_parse(struct str file, struct catalog_guid mailbox, size_t *out_sections);
struct snapshot_section snapshot_get(struct str file, size_t section);

void snapshot_meta_encode(struct buf *out, const struct snapshot_meta *meta);
enum err snapshot_meta_decode(struct str bytes, struct snapshot_meta *out);
/* Takes the next keyword off the front of a SNAPSHOT_KEYWORDS section. */
bool snapshot_keyword_next(struct str *rest, struct str *out);
