/* SPDX-License-Identifier: Apache-2.0 */
/* base/clock.h - the only source of time, so that tests and the simulator can drive it.
 *
 * All times are int64_t microseconds. Unmarked: monotonic since an arbitrary start; `wall_`: since
 * 1970-01-01 UTC. */
#pragma once

#include <stdint.h>

#define US_PER_MS  INT64_C(1000)
#define US_PER_SEC INT64_C(1000000)
#define TIME_NEVER INT64_MAX

int64_t now_us(void);
int64_t now_wall_us(void);

/* Puts both clocks under the caller's control, from these values on (virtual time). */
void clock_set_virtual(int64_t mono_us, int64_t wall_us);
/* Moves a virtual clock forward. The wall clock may be stepped alone, also backwards. */
void clock_advance(int64_t by_us);
void clock_step_wall(int64_t by_us);
/* Back to the kernel's clocks. */
void clock_set_real(void);
