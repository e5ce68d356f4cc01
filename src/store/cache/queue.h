/* SPDX-License-Identifier: Apache-2.0 */
/* store/cache/queue.h - in which order, and how fast, bases are uploaded.
 *
 * A user has one place in the queue, so one upload at a time. What is due comes out by class, then
 * earliest first. Limits: uploads at once, uploads a second (bursts are allowed, immediate ones are not
 * counted), and a back-off, doubled up to five minutes, while the store refuses: then one upload
 * at a time asks whether it is back.
 *
 *   none ── plan ──> waiting ── due ──> ready ── next ──> running ── done ──> none
 *                       ^─────────── planned meanwhile, or the store refused ──────────┘
 *
 * No clock: every function is told the time (monotonic). Source: storage sheet §7.1 [REC]. */
#pragma once

#include "base/base.h"

enum upload_class {
	UPLOAD_NONE,
	UPLOAD_LOW,       /* saves time at the next opening */
	UPLOAD_HIGH,      /* this host alone has it */
	UPLOAD_IMMEDIATE, /* somebody waits for it */
};
enum upload_state { UPLOAD_RESTING, UPLOAD_WAITING, UPLOAD_READY, UPLOAD_RUNNING };

/* Embedded in the user; zeroed: resting. */
struct upload_entry {
	int64_t due_us;
	size_t heap_at;
	uint8_t state;  /* enum upload_state */
	uint8_t class;  /* enum upload_class */
	uint8_t wanted; /* class of what was planned while it runs */
	int64_t wanted_us;
};
struct upload_heap {
	struct upload_entry **items; /* owned */
	size_t count, capacity;
};
struct upload_queue {
	struct upload_heap waiting; /* by time */
	struct upload_heap ready;   /* by class, then time */
	uint32_t parallel_max, running;
	int64_t interval_us; /* between two, on average */
	int64_t burst_us;    /* how far ahead of that */
	int64_t paid_us;     /* the last one is paid for until here */
	int64_t backoff_us, silent_until_us;
};
/* `per_second` 0: no limit. */
void upload_queue_init(struct upload_queue *q, uint32_t parallel_max, uint32_t per_second);
void upload_queue_done(struct upload_queue *q);
/* Planned already: the higher class and the earlier time count. Running: once more afterwards. */
void upload_plan(
	struct upload_queue *q, struct upload_entry *e, enum upload_class class, int64_t due_us);
/* What is to be uploaded now, marked running; NULL: nothing may. */
struct upload_entry *upload_next(struct upload_queue *q, int64_t at_us);
/* `is_refused`: the store is away; the entry is ready again and everybody holds back. */
void upload_finish(struct upload_queue *q, struct upload_entry *e, bool is_refused, int64_t at_us);
/* Takes it out; false: it runs. */
bool upload_cancel(struct upload_queue *q, struct upload_entry *e);
/* When upload_next() may have something, if nothing else happens; TIME_NEVER. */
int64_t upload_wake_us(const struct upload_queue *q, int64_t at_us);
