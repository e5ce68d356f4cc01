/* SPDX-License-Identifier: Apache-2.0 */
/* net/serving.h - a connection between its bursts: served by a task, or parked.
 *
 * Every protocol's connection lives the same way: a task serves what has arrived, the stream parks,
 * input (or somebody else) wakes it, a timer ends the silent. This is that life, once.
 *
 *   serving_start() -> served <-> parked -> gone
 *                        ^          |
 *                        +-- input, serving_wake()
 *
 * Life:   embedded in the connection: serving_init() -> serving_start() -> serving_done() when the
 *         connection is freed.
 *
 * Rules:  1. A connection is served by one task or parked, never both; serve() runs again until the
 *            stream agrees to park and nobody woke it meanwhile.
 *         2. serving_end() while it is served cancels the task; when the burst has come back, end()
 *            is called all the same, so that no connection stays whose end was decided.
 *         3. The timer fires in either state: expired() decides what that means. Who wants silence
 *            to be an end calls serving_end() there: it also ends a burst that takes too long. */
#pragma once

#include "base/list.h"
#include "task/task.h"

struct stream;

/* Why a connection ends before its client wanted it. Static. */
struct serving_end {
	const char *reason; /* for the log */
	const char *told;   /* the last words, as text */
	const char *code;   /* the protocol's code for them; NULL: none */
};

/* One per protocol; static. */
struct serving_kind {
	const char *task_name;
	size_t arena_bytes_max; /* of the arena that serve() is given, empty */
	/* WAITS. One burst: serves what has come until there is no more of it, and flushes. True: the
	 * stream shall park. False: the connection has left or ended and is freed. When the task was
	 * cancelled it returns true and leaves the last words to end(). */
	bool (*serve)(struct arena *arena, void *owner);
	/* From the loop, no wait: the timer fired. */
	void (*expired)(void *owner);
	/* No wait: last words if the stream takes them (serving_say()), log, serving_done(), free. */
	void (*end)(void *owner, const struct serving_end *why);
};

struct serving {
	const struct serving_kind *kind;
	void *owner;
	struct stream **stream; /* the owner's variable; it may be NULL until the first park */
	struct task_handle task;
	struct timer timer;
	const struct serving_end *ending; /* NULL: goes on */
	bool is_woken;
};

void serving_init(
	struct serving *s, const struct serving_kind *kind, void *owner, struct stream **stream);
/* The connection goes away. */
void serving_done(struct serving *s);
/* The first burst, which may make the stream. From the loop or a task. */
void serving_start(struct serving *s);

/* Has it served soon: now if it is parked, once more if it is being served. No wait. */
void serving_wake(struct serving *s);
/* Ends the connection whatever it is doing. Parked: end() is called at once, and the connection is
 * gone. Served: its task is cancelled and end() follows. The first reason stays. No wait. */
void serving_end(struct serving *s, const struct serving_end *why);

bool serving_is_served(const struct serving *s);
bool serving_is_ending(const struct serving *s);

/* The timer: expired() in so many microseconds; replaces an earlier setting. */
void serving_expire_in(struct serving *s, int64_t us);
void serving_expire_never(struct serving *s);

/* Sends the stream's queued output as far as it goes without waiting: for last words. */
void serving_say(struct serving *s);
