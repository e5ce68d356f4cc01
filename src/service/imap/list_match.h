/* SPDX-License-Identifier: Apache-2.0 */
/* service/imap/list_match.h - the wildcards of LIST and LSUB (RFC 3501 §6.3.8).
 *
 * `%` stands for any run of bytes without the separator, `*` for any run. INBOX, alone or before a
 * separator, matches in any case; everything else by its bytes.
 *
 * Cost:   O(pattern * name), whatever the pattern: the places of the pattern where a name may have
 *         got to are kept as a set, nothing is tried twice. */
#pragma once

#include "base/base.h"

#define LIST_NAME_MAX 4096 /* longer names match nothing */

struct list_pattern {
	struct str text; /* runs of wildcards are one wildcard */
	size_t literals; /* bytes that are no wildcard */
	char separator;
	bool *reached; /* scratch: text.n + 1 places */
};
/* A pattern as the client means it: after `reference`, unless it begins with the separator. Takes
 * less than four times the bytes of both from the arena. */
struct list_pattern list_pattern_make(
	struct arena *a, struct str reference, struct str text, char separator);
bool list_pattern_matches(const struct list_pattern *p, struct str name);
