/* SPDX-License-Identifier: Apache-2.0 */
/* Names are big-endian, so that bytewise order is the order of time. */
#include "store/format/name.h"

#include "base/hash.h"
#include "base/number.h"
#include "base/random.h"

#define COUNTER_MAX UINT32_C(0xffff)

static uint64_t wall_ms(int64_t wall_us)
{
	return wall_us > 0 ? (uint64_t)(wall_us / US_PER_MS) : 0;
}

static void clock_step(struct name_clock *clock)
{
	if (clock->counter < COUNTER_MAX) {
		clock->counter++;
	} else {
		clock->ms++;
		clock->counter = 0;
	}
}

struct catalog_name name_mint(struct name_clock *clock, int64_t wall_us)
{
	uint64_t now = wall_ms(wall_us);
	if (now > clock->ms) {
		clock->ms = now;
		clock->counter = 0;
	} else {
		clock_step(clock);
	}
	struct catalog_name name;
	put_be64(name.bytes, clock->ms << 16 | clock->counter);
	put_be64(name.bytes + 8, (uint64_t)clock->writer << 32 | (uint32_t)random_u64());
	return name;
}

void name_observe(struct name_clock *clock, struct catalog_name name, int64_t wall_us)
{
	uint64_t ms = name_ms(name);
	uint32_t counter = (uint32_t)(name_stamp(name) & COUNTER_MAX);
	uint32_t ours = clock->writer >> (32 - NAME_HOST_BITS);
	uint64_t most = wall_ms(wall_us + NAME_FOREIGN_US);
	if (ms > wall_ms(wall_us + NAME_AHEAD_US))
		return;
	if (ms > most && name_writer(name) >> (32 - NAME_HOST_BITS) != ours) {
		ms = most;
		counter = 0;
	}
	if (ms > clock->ms || (ms == clock->ms && counter > clock->counter)) {
		clock->ms = ms;
		clock->counter = counter;
	}
}

void name_observe_stamp(struct name_clock *clock, uint64_t stamp, int64_t wall_us)
{
	struct catalog_name name;
	put_be64(name.bytes, stamp);
	put_be64(name.bytes + 8, (uint64_t)clock->writer << 32);
	name_observe(clock, name, wall_us);
}

int name_cmp(struct catalog_name a, struct catalog_name b)
{
	return memcmp(a.bytes, b.bytes, sizeof(a.bytes));
}

bool name_is_none(struct catalog_name name)
{
	static const struct catalog_name none;
	return name_cmp(name, none) == 0;
}

uint64_t name_stamp(struct catalog_name name)
{
	return get_be64(name.bytes);
}

uint64_t name_ms(struct catalog_name name)
{
	return name_stamp(name) >> 16;
}

uint32_t name_writer(struct catalog_name name)
{
	return (uint32_t)(get_be64(name.bytes + 8) >> 32);
}

uint32_t name_writer_new(struct str host)
{
	uint32_t chance = (uint32_t)random_u64() >> NAME_HOST_BITS;
	uint32_t writer = (uint32_t)hash_stable(host) << (32 - NAME_HOST_BITS) | chance;
	return writer ? writer : 1;
}

bool name_may_share_host(uint32_t a, uint32_t b)
{
	return (a ^ b) >> (32 - NAME_HOST_BITS) == 0;
}

bool name_is_stale(struct catalog_name name, int64_t wall_us)
{
	return wall_ms(wall_us - NAME_STALE_US) > name_ms(name);
}

struct catalog_name name_at_ms(int64_t ms)
{
	struct catalog_name name = { 0 };
	if (ms > 0)
		put_be64(name.bytes, (uint64_t)ms << 16);
	return name;
}

static uint64_t modseq_at(int64_t wall_us)
{
	int64_t ms = wall_us / US_PER_MS - MODSEQ_EPOCH_MS;
	return ms > 0 ? (uint64_t)ms << MODSEQ_COUNTER_BITS : 0;
}

uint64_t modseq_next(uint64_t previous, int64_t wall_us)
{
	return MAX(previous + 1, modseq_at(wall_us));
}

uint64_t modseq_restart(uint64_t greatest, int64_t wall_us)
{
	uint64_t step = (uint64_t)(MODSEQ_RESTART_US / US_PER_MS) << MODSEQ_COUNTER_BITS;
	return MAX(greatest, modseq_at(wall_us)) + step;
}
