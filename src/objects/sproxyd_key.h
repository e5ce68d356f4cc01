/* SPDX-License-Identifier: Apache-2.0 */
/* objects/sproxyd_key.h - Scality's keys: 160 bits that spread an object over the RING and say what it is.
 *
 * From the most significant bit: 120 of a digest (the top 24 disperse), 8 service, 8 more of the digest, 8 type,
 * 8 zero, 4 class, 4 replica. The digest is SHA-256 of our own key, which is unique: the same key always gives the
 * same id, so no other place has to remember it.
 * Spec: sheet storage §9.3. */
#pragma once

#include "base/base.h"

#define SPROXYD_KEY_BYTES 20
#define SPROXYD_SERVICE   0x83
#define SPROXYD_CLASS_MAX 15

enum sproxyd_type {
	SPROXYD_UNKNOWN = 0x00,
	SPROXYD_MAIL = 0x01,
	SPROXYD_SEARCH = 0x03,
	SPROXYD_FOLDER_BASE = 0x0e, /* index of a folder, all of it */
};

struct sproxyd_key {
	uint8_t bytes[SPROXYD_KEY_BYTES];
};
/* `class` is at most SPROXYD_CLASS_MAX. The type follows from the path (remote.h). */
struct sproxyd_key sproxyd_key(struct str key, unsigned class);
/* 40 hex digits, upper case. */
void sproxyd_key_put(struct buf *out, const struct sproxyd_key *key);
