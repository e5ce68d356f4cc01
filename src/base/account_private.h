/* SPDX-License-Identifier: Apache-2.0 */
/* base/account_private.h - how the heap counts itself. */
#pragma once

#include <stdint.h>

/* Positive: taken. Any thread. */
void account_count(int64_t bytes);
