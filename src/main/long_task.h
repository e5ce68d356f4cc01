/* SPDX-License-Identifier: Apache-2.0 */
/* main/long_task.h - telling the administrator about tasks that hold up all others of their process. */
#pragma once

#include "task/task.h"

#define LONG_TASK_US (50 * US_PER_MS)

/* For loop_set_watchdog(). */
void long_task_report(const struct watchdog_report *r);
