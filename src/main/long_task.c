/* SPDX-License-Identifier: Apache-2.0 */
#include "main/long_task.h"

#include <dlfcn.h>

#include "event/event.h"

/* "pombal+0x1234 libc.so.6+0x5678": for addr2line. Innermost first. */
static void put_frames(struct buf *out, const struct watchdog_report *r)
{
	for (size_t i = 0; i < r->frame_count; i++) {
		Dl_info info;
		if (!dladdr(r->frames[i], &info) || !info.dli_fname)
			continue;
		const char *slash = strrchr(info.dli_fname, '/');
		buf_putf(out, " %s+0x%zx", slash ? slash + 1 : info.dli_fname,
			(size_t)((char *)r->frames[i] - (char *)info.dli_fbase));
	}
}

/* At most one report a second: one task that hogs the loop does so again and again. */
void long_task_report(const struct watchdog_report *r)
{
	static int64_t told_us;
	static unsigned untold;
	AUTO_BUF(where, 0);
	if (told_us > 0 && now_us() - told_us < US_PER_SEC) {
		untold++;
		return;
	}
	put_frames(&where, r);
	event_send(NULL, EVENT_WARNING, "task_ran_long",
		"task %s ran %" PRId64 " ms without a wait (user %.*s, %.*s; %u more since the "
		"last report), at:%.*s",
		r->task_name, r->ran_us / US_PER_MS, STRF(r->user), STRF(r->doing), untold,
		STRF(where.n > 0 ? buf_str(&where) : STR(" the kernel")));
	told_us = now_us();
	untold = 0;
}
