/* SPDX-License-Identifier: Apache-2.0 */
/* event/ring.h - the last 1000 lines of warnings and worse, of all processes, for "doveadm log errors".
 *
 * The ring is a file that every process maps when it opens its log: writing a line is a copy, needs no other
 * process, and the line stays when its writer dies. A writer takes the next number of the ring and with
 * it a slot; the slot's number is zero while it is written, so that a reader knows what is whole.
 *
 * Trust:  every role may write to all of it. So readers take nothing in it for granted: lengths are checked,
 *         and control characters do not get out.
 * Limits: 1000 lines; of each the first 960 bytes.
 * Spec:   sheet core §10, "errors kept". */
#pragma once

#include "event/event.h"

#define EVENT_RING_LINES 1000

/* Maps the ring at `path` and makes it when it does not exist or is none. Without one (no right to the
 * directory) lines are not kept. */
void event_ring_open(struct str path);
void event_ring_close(void);
/* Nothing happens while no ring is open. */
void event_ring_add(const struct event_record *record, struct str process);

struct event_ring_line {
	int64_t wall_us;
	enum event_level level;
	struct str process, text; /* control characters are escaped */
};
/* The lines of `since_wall_us` and later, oldest first, in op's arena. ERR_NOT_FOUND: no ring there. */
enum err event_ring_read(struct op *op, struct str path, int64_t since_wall_us,
	struct event_ring_line **out_lines, size_t *out_count);
