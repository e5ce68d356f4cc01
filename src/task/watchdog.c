/* SPDX-License-Identifier: Apache-2.0 */
/* Who is running and what for: the watchdog's report, the crash slot, the text of failed assertions.
 */
#include "task/task_private.h"

#include <errno.h>
#include <execinfo.h>
#include <unistd.h>

/* Some milliseconds of error for a tenth of the price of the exact clock; real also in virtual
 * time: this is about the machine, not about the simulation. */
int64_t coarse_now_ns(void)
{
	struct timespec ts;
	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &ts); /* cannot fail with this clock */
	return (int64_t)ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* ---- where a long turn is ----
 *
 * A timer on the thread's own CPU clock sends SIGPROF after each half of the limit that the thread
 * computed. The second one that meets the same turn notes where it is; a third overwrites it. An idle
 * process gets none. */

static void sample(int signal_number)
{
	struct loop *l = loop_current;
	(void)signal_number;
	if (!l || !l->current)
		return;
	if (l->sampled_switch != l->stats.switches) {
		l->sampled_switch = l->stats.switches;
		l->sample_count = 0;
		l->frame_count = 0;
	}
	if (++l->sample_count < 2 || l->sample_count > 3)
		return;
	int error_number = errno;
	l->frame_count = backtrace(l->frames, WATCHDOG_FRAMES_MAX);
	errno = error_number;
}

void watchdog_done(struct loop *l)
{
	if (l->has_sampler)
		timer_delete(l->sampler);
	l->has_sampler = false;
}

static struct timespec timespec_of(int64_t us)
{
	return (struct timespec){ .tv_sec = us / US_PER_SEC, .tv_nsec = us % US_PER_SEC * 1000 };
}

/* Without it reports have no frames. */
static void start_sampler(struct loop *l)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF };
	struct sigaction action = { .sa_handler = sample, .sa_flags = SA_RESTART };
	struct itimerspec every = { .it_interval = timespec_of(l->watchdog_us / 2) };
	every.it_value = every.it_interval;
	event._sigev_un._tid = gettid();
	void *frame[1];
	(void)backtrace(frame, 1); /* the first call loads the unwinder: not in a handler */
	if (sigaction(SIGPROF, &action, NULL) < 0 ||
		timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &l->sampler) < 0)
		return;
	l->has_sampler = timer_settime(l->sampler, 0, &every, NULL) == 0;
	if (!l->has_sampler)
		timer_delete(l->sampler);
}

void loop_set_watchdog(int64_t limit_us, watchdog_fn *fn)
{
	struct loop *l = loop_current;
	watchdog_done(l);
	l->watchdog_us = fn ? limit_us : 0;
	l->watchdog = fn;
	if (fn && !l->is_virtual)
		start_sampler(l);
}

void watchdog_check(struct loop *l, const struct task *t, const char *name, bool has_ended)
{
	int64_t ran_us = (coarse_now_ns() - l->run_start_ns) / 1000;
	if (ran_us < l->watchdog_us || l->is_virtual)
		return;
	bool has_sample = l->sampled_switch == l->stats.switches;
	/* What an ended task had named may be gone with it. */
	l->watchdog(&(struct watchdog_report){
		.task_name = name,
		.user = has_ended ? STR_NONE : t->user,
		.doing = has_ended ? STR_NONE : t->doing,
		.ran_us = ran_us,
		.frames = l->frames,
		.frame_count = has_sample ? (size_t)l->frame_count : 0,
	});
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
