/* SPDX-License-Identifier: Apache-2.0 */
/* main/crash.h - last words: what a process says about its own death, and how the master reads it.
 *
 * The dying process writes raw addresses into the page that it shares with the master, and to stderr:
 * with nothing but async-signal-safe calls, on a stack of its own, because heap, locks and the stack
 * may be what is broken. Then it dies of the same signal, so that a core is dumped as ever. The
 * master, who is well and runs the same program, turns addresses into names of functions.
 *
 * Frames are found by frame pointers, which everything of ours keeps; code of libraries ends the walk
 * early at times, which the record shows by being short. */
#pragma once

#include "ipc/shared.h"

/* In a child: from now on deaths by signal are recorded in `report`, which must live as long as the
 * process. Does nothing in instrumented builds, whose own handlers say more. */
void crash_prepare(struct crash_report *report);

/* In the master: "signal 11 at address 0x10, build 5d0f..: parse+0x1c < run_command+0x5f < main+0x2a".
 * Nothing is added when there is no report. A report of another build keeps its numbers. Trusts
 * nothing in *report. */
void crash_describe(const struct crash_report *report, struct buf *out);
