/* SPDX-License-Identifier: Apache-2.0 */
/* base/random.h - random numbers; one stream from the kernel, or from a seed in simulations. */
#pragma once

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *out, size_t n); /* getrandom(), buffered; cryptographic unless seeded */
uint64_t random_u64(void);
uint64_t random_below(uint64_t limit); /* unbiased; limit > 0 */
/* From now on everything above is the deterministic stream of `seed` (tests, simulation). */
void random_set_seed(uint64_t seed);
