/* SPDX-License-Identifier: Apache-2.0 */
/* base/range_set.c - sets of numbers as ranges: see range_set.h.
 *
 * Invariant: ranges[i].last + 1 < ranges[i + 1].first (as 64-bit numbers). */
#include "base/range_set.h"

#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"

void range_set_init(struct range_set *s)
{
	*s = (struct range_set){ 0 };
}

void range_set_done(struct range_set *s)
{
	mem_free(s->ranges);
	range_set_init(s);
}

void range_set_clear(struct range_set *s)
{
	s->count = 0;
}

/* Index of the first range whose last number is >= v; count if there is none. */
static size_t find_from(const struct range_set *s, uint64_t v)
{
	size_t low = 0;
	size_t high = s->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (s->ranges[middle].last < v)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Replaces ranges[from .. to) by `count` others. */
static void splice(
	struct range_set *s, size_t from, size_t to, const struct range *with, size_t count)
{
	size_t new_count = s->count - (to - from) + count;

	if (new_count > s->cap) {
		s->cap = MAX(new_count, s->cap * 2);
		ASSERT(s->cap <= SIZE_MAX / sizeof(*s->ranges));
		s->ranges = mem_resize(s->ranges, s->cap * sizeof(*s->ranges));
	}
	if (s->count > to)
		memmove(s->ranges + from + count, s->ranges + to,
			(s->count - to) * sizeof(*s->ranges));
	for (size_t i = 0; i < count; i++)
		s->ranges[from + i] = with[i];
	s->count = new_count;
}

void range_set_add(struct range_set *s, uint32_t first, uint32_t last)
{
	ASSERT(first <= last);
	/* Usual: the next number, or one behind the end. */
	if (s->count == 0 || (uint64_t)s->ranges[s->count - 1].last + 1 < first) {
		splice(s, s->count, s->count, &(struct range){ first, last }, 1);
		return;
	}
	/* All ranges that touch first - 1 .. last + 1 melt into one. */
	size_t from = find_from(s, first > 0 ? first - 1 : 0);
	size_t to = from;
	struct range melted = { first, last };
	for (; to < s->count && s->ranges[to].first <= (uint64_t)last + 1; to++) {
		melted.first = MIN(melted.first, s->ranges[to].first);
		melted.last = MAX(melted.last, s->ranges[to].last);
	}
	splice(s, from, to, &melted, 1);
}

void range_set_remove(struct range_set *s, uint32_t first, uint32_t last)
{
	ASSERT(first <= last);
	size_t from = find_from(s, first);
	size_t to = from;
	struct range kept[2];
	size_t kept_count = 0;

	while (to < s->count && s->ranges[to].first <= last)
		to++;
	if (from == to)
		return;
	if (s->ranges[from].first < first)
		kept[kept_count++] = (struct range){ s->ranges[from].first, first - 1 };
	if (s->ranges[to - 1].last > last)
		kept[kept_count++] = (struct range){ last + 1, s->ranges[to - 1].last };
	splice(s, from, to, kept, kept_count);
}

bool range_set_has(const struct range_set *s, uint32_t v)
{
	size_t i = find_from(s, v);

	return i < s->count && s->ranges[i].first <= v;
}

uint64_t range_set_size(const struct range_set *s)
{
	uint64_t size = 0;

	for (size_t i = 0; i < s->count; i++)
		size += (uint64_t)s->ranges[i].last - s->ranges[i].first + 1;
	return size;
}

bool range_set_is_empty(const struct range_set *s)
{
	return s->count == 0;
}

void range_set_add_set(struct range_set *s, const struct range_set *other)
{
	if (s == other)
		return;
	for (size_t i = 0; i < other->count; i++)
		range_set_add(s, other->ranges[i].first, other->ranges[i].last);
}

void range_set_intersect(struct range_set *s, const struct range_set *other)
{
	struct range_set both = { 0 };
	size_t i = 0;
	size_t j = 0;

	while (i < s->count && j < other->count) {
		struct range a = s->ranges[i];
		struct range b = other->ranges[j];
		uint32_t first = MAX(a.first, b.first);
		uint32_t last = MIN(a.last, b.last);
		if (first <= last)
			range_set_add(&both, first, last);
		if (a.last <= b.last)
			i++;
		else
			j++;
	}
	range_set_done(s);
	*s = both;
}

bool range_set_next(const struct range_set *s, struct range_set_iter *it, uint32_t *out)
{
	if (it->index >= s->count)
		return false;
	struct range r = s->ranges[it->index];
	uint32_t v = it->next ? (uint32_t)it->next : r.first;
	if (v == r.last) {
		it->index++;
		it->next = 0;
	} else {
		it->next = (uint64_t)v + 1;
	}
	*out = v;
	return true;
}

void range_set_print(const struct range_set *s, struct buf *out)
{
	for (size_t i = 0; i < s->count; i++) {
		if (i > 0)
			buf_put_byte(out, ',');
		buf_put_u64_dec(out, s->ranges[i].first);
		if (s->ranges[i].last > s->ranges[i].first) {
			buf_put_byte(out, ':');
			buf_put_u64_dec(out, s->ranges[i].last);
		}
	}
}
