/* SPDX-License-Identifier: Apache-2.0 */
/* service/imap/dialogue.h - what clients say and should hear, as texts; for tests of this folder.
 *
 * A script is a list of lines; the letter before the sign is the client's name. A client logs in when
 * it is first named, and again after it was seen to be closed.
 *
 *   A> CREATE box          client A sends the command, with a tag of its own
 *   A> APPEND x <<a||b|>>  "<<...>>" is sent as a non-synchronising literal, "|" in it as CRLF
 *                          and "@70" in it as 70 lines of 64 bytes
 *   A! DONE                bare lines, no tag; "|" between them
 *   A< $ OK .. done.       the next line it hears; "$" at the start is its last tag, ".." any run
 *   A* $ OK ..             the same after any other lines
 *   ?v                     a number, "v" any small letter: heard the first time it is kept (only fixed
 *                          text may stand before it), then it is what was kept, also when sent
 *   A< EOF                 the server closed
 *   A- breaks              the connection breaks
 *   !wait 5                seconds pass (NEEDS_VIRTUAL_TIME)
 *   !parked                no session is being served just now
 *   !reload key=value      the service gets these settings, lines apart with "|", beside the defaults
 *   !move                  every session moves to a new service, on disk with a new store as well
 *   !restart               store and service close and open again (on disk only); clients hear BYE
 *
 * Every line that a client hears must be in the script, up to its end, where each client logs out.
 * To add a dialogue: a row in the table of its subject, with the section it holds to. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum dialogue_needs {
	NEEDS_NOTHING,
	NEEDS_DISK,         /* not for the stores in memory */
	NEEDS_VIRTUAL_TIME, /* waits for minutes */
};
struct dialogue {
	const char *name; /* "RFC 3501 §6.3.1: what it holds" */
	const char *script;
	enum dialogue_needs needs;
};

extern const struct dialogue dialogues_any[], dialogues_tree[], dialogues_list[],
	dialogues_select[], dialogues_append[], dialogues_fetch[], dialogues_search[],
	dialogues_store[], dialogues_copy[], dialogues_receiving[], dialogues_changing[],
	dialogues_finding[], dialogues_together[], dialogues_condstore[], dialogues_resync[],
	dialogues_options[], dialogues_settings[], dialogues_slow[], dialogues_moving[];
