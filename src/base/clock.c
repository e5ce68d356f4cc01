/* SPDX-License-Identifier: Apache-2.0 */
/* base/clock.c - the kernel's clocks, or virtual ones: see clock.h. */
#include "base/clock.h"

#include <stdbool.h>
#include <time.h>

#include "base/assert.h"

/* Virtual time is for processes of one thread: tests and the simulator. */
static struct {
	bool is_virtual;
	int64_t mono_us;
	int64_t wall_us;
} state;

static int64_t kernel_us(clockid_t id)
{
	struct timespec ts;
	int rc = clock_gettime(id, &ts);

	ASSERT(rc == 0);
	return (int64_t)ts.tv_sec * US_PER_SEC + ts.tv_nsec / 1000;
}

int64_t now_us(void)
{
	return state.is_virtual ? state.mono_us : kernel_us(CLOCK_MONOTONIC);
}

int64_t now_wall_us(void)
{
	return state.is_virtual ? state.wall_us : kernel_us(CLOCK_REALTIME);
}

void clock_set_virtual(int64_t mono_us, int64_t wall_us)
{
	state.is_virtual = true;
	state.mono_us = mono_us;
	state.wall_us = wall_us;
}

void clock_advance(int64_t by_us)
{
	ASSERT(state.is_virtual && by_us >= 0);
	state.mono_us += by_us;
	state.wall_us += by_us;
}

void clock_step_wall(int64_t by_us)
{
	ASSERT(state.is_virtual);
	state.wall_us += by_us;
}

void clock_set_real(void)
{
	state.is_virtual = false;
}
