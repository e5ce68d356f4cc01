/* SPDX-License-Identifier: Apache-2.0 */
/* Who is running and what for: the watchdog's report, the crash slot, the text of failed assertions.
 */
#include "task/task_private.h"

#include <unistd.h>

/* Some milliseconds of error for a tenth of the price of the exact clock; real also in virtual
 * time: this is about the machine, not about the simulation. */
int64_t coarse_now_ns(void)
{
	struct timespec ts;
	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &ts); /* cannot fail with this clock */
	return (int64_t)ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

void loop_set_watchdog(int64_t limit_us, watchdog_fn *fn)
{
	struct loop *l = loop_current;
	l->watchdog_us = fn ? limit_us : 0;
	l->watchdog = fn;
}

void watchdog_check(struct loop *l, const struct task *t, const char *name, bool has_ended)
{
	int64_t ran_us = (coarse_now_ns() - l->run_start_ns) / 1000;
	if (ran_us < l->watchdog_us || l->is_virtual)
		return;
	/* What an ended task had named may be gone with it. */
	l->watchdog(name, has_ended ? STR_NONE : t->user, has_ended ? STR_NONE : t->doing, ran_us);
}

/* ---- crash slot ---- */

static void copy_text(char *out, size_t cap, struct str s)
{
	size_t n = MIN(s.n, cap - 1);
	if (n)
		memcpy(out, s.p, n);
	out[n] = '\0';
}

/* The reader looks after our death, so only a write that was cut short matters: odd generation. */
static void slot_fill(struct loop *l, struct str user, struct str doing)
{
	struct crash_slot *slot = l->crash_slot;
	__atomic_fetch_add(&slot->generation, 1, __ATOMIC_SEQ_CST);
	copy_text(slot->user, sizeof slot->user, user);
	copy_text(slot->doing, sizeof slot->doing, doing);
	__atomic_fetch_add(&slot->generation, 1, __ATOMIC_SEQ_CST);
	l->crash_slot_is_set = user.n || doing.n;
}

void crash_slot_clear(struct loop *l)
{
	if (l->crash_slot && l->crash_slot_is_set)
		slot_fill(l, STR_NONE, STR_NONE);
}

void crash_slot_write(struct loop *l, const struct task *t)
{
	if (t->user.n)
		slot_fill(l, t->user, t->doing);
	else
		crash_slot_clear(l);
}

void loop_set_crash_slot(struct crash_slot *slot)
{
	struct loop *l = loop_current;
	l->crash_slot = slot;
	if (!slot)
		return;
	slot->pid = (int32_t)getpid();
	slot_fill(l, STR_NONE, STR_NONE);
	if (l->current)
		crash_slot_write(l, l->current);
}

void task_set_doing(struct str user, struct str doing)
{
	struct loop *l = loop_current;
	ASSERT(l->current != NULL);
	l->current->user = user;
	l->current->doing = doing;
	if (l->crash_slot)
		crash_slot_write(l, l->current);
}

/* ---- for assert_failed(): async-signal-safe, so no formatting functions ---- */

static void append(char *out, size_t cap, size_t *at, struct str s)
{
	size_t n = MIN(s.n, cap - 1 - *at);
	if (n)
		memcpy(out + *at, s.p, n);
	*at += n;
	out[*at] = '\0';
}

const char *task_describe(void)
{
	static __thread char text[200];
	const struct task *t = loop_current ? loop_current->current : NULL;
	size_t at = 0;
	if (!t)
		return "the loop itself";
	append(text, sizeof text, &at, STR("task "));
	append(text, sizeof text, &at, str_from(t->name));
	if (t->user.n) {
		append(text, sizeof text, &at, STR(" for "));
		append(text, sizeof text, &at, t->user);
	}
	if (t->doing.n) {
		append(text, sizeof text, &at, STR(": "));
		append(text, sizeof text, &at, t->doing);
	}
	return text;
}
