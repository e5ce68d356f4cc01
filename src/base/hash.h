/* SPDX-License-Identifier: Apache-2.0 */
/* base/hash.h - hashes that are not for secrets: tables (SipHash-1-3 with a per-process seed),
 * stable placement (FNV-1a 64: the same on every host and version) and checksums (CRC-32C). */
#pragma once

#include <stdint.h>

#include "base/str.h"

uint64_t hash_bytes(struct str s);  /* differs from process to process */
uint64_t hash_u64(uint64_t v);      /* the same */
uint64_t hash_stable(struct str s); /* FNV-1a 64; never change it: shards depend on it */
uint32_t hash_crc32c(uint32_t crc, struct str s); /* start with 0; hardware when there is */
