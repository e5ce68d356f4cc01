/* SPDX-License-Identifier: Apache-2.0 */
/* base/hash_private.h - the parts of hash.c that its test compares with each other. */
#pragma once

#include <stdint.h>

#include "base/str.h"

uint64_t hash_siphash13(uint64_t k0, uint64_t k1, struct str s);
uint32_t hash_crc32c_table(uint32_t crc, struct str s);
