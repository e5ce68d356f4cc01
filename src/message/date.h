/* SPDX-License-Identifier: Apache-2.0 */
/* message/date.h - the Date field (RFC 5322 §3.3, §4.3). */
#pragma once

#include "base/base.h"

struct message_date {
	int64_t wall_s;       /* seconds since 1970-01-01 UTC */
	int zone_min;         /* minutes east of UTC; 0 for unknown zones */
	int year, month, day; /* as written, without the zone: SENTON and its kin compare these */
};

/* `[day,] d Mon yyyy [hh:mm[:ss] [zone]]`, with comments and two-digit years. False: no date. */
bool message_date_parse(struct str value, struct message_date *out);
