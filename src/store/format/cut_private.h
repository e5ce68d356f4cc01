/* SPDX-License-Identifier: Apache-2.0 */
/* Taking fixed and counted fields off the front of a value: false when there is too little. */
#pragma once

#include "base/base.h"
#include "base/number.h"

static inline bool cut_bytes(struct str *rest, void *out, size_t n)
{
	if (rest->n < n)
		return false;
	memcpy(out, rest->p, n);
	rest->p += n;
	rest->n -= n;
	return true;
}

static inline bool cut_u8(struct str *rest, uint8_t *out)
{
	return cut_bytes(rest, out, 1);
}

static inline bool cut_u32(struct str *rest, uint32_t *out)
{
	uint64_t v;
	if (!number_cut_varint(rest, &v) || v > UINT32_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}

/* A length and that many bytes, at most `max`. */
static inline bool cut_counted(struct str *rest, size_t max, struct str *out)
{
	uint64_t n;
	struct str at = *rest;
	if (!number_cut_varint(&at, &n) || n > at.n || n > max)
		return false;
	*out = str_take(&at, (size_t)n);
	*rest = at;
	return true;
}

static inline void put_bytes(struct buf *b, const void *p, size_t n)
{
	buf_put(b, (struct str){ p, n });
}

static inline void put_counted(struct buf *b, struct str s)
{
	number_put_varint(b, s.n);
	buf_put(b, s);
}

/* UIDs rise: each is told by the step from the one before, less one. False: not below UINT32_MAX. */
static inline bool cut_next_uid(struct str *rest, uint64_t *uid)
{
	uint64_t step;
	if (!number_cut_varint(rest, &step) || step >= UINT32_MAX)
		return false;
	*uid += step + 1;
	return *uid < UINT32_MAX;
}
