/* SPDX-License-Identifier: Apache-2.0 */
/* Which consistency a class of statements uses while the better one cannot be had.
 *
 * After a failure at the primary level the class uses the fallback; the primary is probed by one call
 * after 50 ms, then after twice as long each time, at most 60 s. A success there ends it. */
#include "cql/cql_private.h"

#define PAUSE_FIRST_US (50 * US_PER_MS)
#define PAUSE_MAX_US   (60 * US_PER_SEC)
#define WARN_EVERY_US  (60 * US_PER_SEC)

void cql_fallback_init(
	struct cql_fallback *f, enum cql_consistency primary, enum cql_consistency fallback)
{
	*f = (struct cql_fallback){
		.primary = primary, .fallback = fallback, .warned_us = INT64_MIN
	};
}

enum cql_consistency cql_fallback_choose(struct cql_fallback *f, int64_t at_us)
{
	if (!f->is_fallen)
		return f->primary;
	if (at_us < f->probe_at_us)
		return f->fallback;
	/* This call probes; others do not meanwhile. */
	f->pause_us = MIN(f->pause_us * 2, PAUSE_MAX_US);
	f->probe_at_us = at_us + f->pause_us;
	return f->primary;
}

bool cql_fallback_failed(struct cql_fallback *f, int64_t at_us)
{
	if (f->fallback == f->primary)
		return false;
	if (!f->is_fallen) {
		f->is_fallen = true;
		f->pause_us = PAUSE_FIRST_US;
		f->probe_at_us = at_us + f->pause_us;
	}
	if (f->warned_us != INT64_MIN && at_us - f->warned_us < WARN_EVERY_US)
		return false;
	f->warned_us = at_us;
	return true;
}

void cql_fallback_succeeded(struct cql_fallback *f)
{
	f->is_fallen = false;
}
