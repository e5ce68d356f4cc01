/* SPDX-License-Identifier: Apache-2.0 */
/* store/format/name.h - names of rows, the clock that mints them, and modseqs.
 *
 * A name is 48 bits of milliseconds, a counter, the writer and a random number (catalog.h): byte
 * order is time order. The clock is hybrid: it follows the wall clock, never runs backwards, and is
 * pulled forward by the names it observes. The first eight bytes of a name are its *stamp*.
 *
 * Rules:  names are minted just before the row is written; one older than NAME_STALE_US is minted
 * anew. A writer says in its upper NAME_HOST_BITS which host it was on. Names of this host move the
 * clock however far the wall is behind them (it was set back, or was wrong), for else what is done now
 * would lose against what was done before, and tails would begin behind it; those of others at most
 * NAME_FOREIGN_US past the wall. Only a name NAME_AHEAD_US past it is taken for damage. A modseq is not a stamp: it is max(previous + 1, ms since 2020 << 12), 53 bits
 * until 2089.
 * Spec:   storage contract §2, §5. */
#pragma once

#include "base/base.h"
#include "catalog/catalog.h"

#define NAME_STALE_US       (60 * US_PER_SEC)
#define NAME_FOREIGN_US     (10 * US_PER_SEC)
#define NAME_HOST_BITS      12
#define NAME_AHEAD_US       (INT64_C(10) * 365 * 86400 * US_PER_SEC)
#define MODSEQ_RESTART_US   (60 * US_PER_SEC)
#define MODSEQ_EPOCH_MS     INT64_C(1577836800000) /* 2020-01-01 UTC */
#define MODSEQ_COUNTER_BITS 12

struct name_clock {
	uint64_t ms; /* of the last name */
	uint32_t counter;
	uint32_t writer;
};

/* A name greater than every one minted or observed (within NAME_AHEAD_US) before. */
struct catalog_name name_mint(struct name_clock *clock, int64_t wall_us);
/* A name was read: later ones of this clock are greater (NAME_FOREIGN_US). */
void name_observe(struct name_clock *clock, struct catalog_name name, int64_t wall_us);
/* The same of a stamp of this host that no name says: of a change that waited in local files. */
void name_observe_stamp(struct name_clock *clock, uint64_t stamp, int64_t wall_us);

int name_cmp(struct catalog_name a, struct catalog_name b);
bool name_is_none(struct catalog_name name); /* all zero */
uint64_t name_stamp(struct catalog_name name);
uint64_t name_ms(struct catalog_name name);
uint32_t name_writer(struct catalog_name name);
/* A writer of this host: two are the same only by chance of one in 2^20. */
uint32_t name_writer_new(struct str host);
/* False: these writers are surely of different hosts. */
bool name_may_share_host(uint32_t a, uint32_t b);
bool name_is_stale(struct catalog_name name, int64_t wall_us);
/* The smallest name of a time: for reading what is newer. Negative times give the zero name. */
struct catalog_name name_at_ms(int64_t ms);

uint64_t modseq_next(uint64_t previous, int64_t wall_us);
/* After an unclean end: 60 s above the wall and above everything seen. */
uint64_t modseq_restart(uint64_t greatest, int64_t wall_us);
