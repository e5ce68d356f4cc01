/* SPDX-License-Identifier: Apache-2.0 */
/* base/range_set.h - a set of uint32_t as sorted, disjoint, non-adjacent ranges (UIDs, sequence
 * numbers). Adding at the end is O(1), elsewhere O(log n) to find and O(n) to move. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct range {
	uint32_t first;
	uint32_t last; /* inclusive */
};
struct range_set {
	/* owned */
	struct range *ranges;
	size_t count;
	size_t cap;
};

void range_set_init(struct range_set *s);
void range_set_done(struct range_set *s);
void range_set_clear(struct range_set *s);
void range_set_add(struct range_set *s, uint32_t first, uint32_t last); /* first <= last */
void range_set_remove(struct range_set *s, uint32_t first, uint32_t last);
bool range_set_has(const struct range_set *s, uint32_t v);
uint64_t range_set_size(const struct range_set *s); /* how many numbers */
bool range_set_is_empty(const struct range_set *s);
/* Adds every number of `other`. */
void range_set_add_set(struct range_set *s, const struct range_set *other);
/* Keeps only numbers that are in both. */
void range_set_intersect(struct range_set *s, const struct range_set *other);
/* Walks the numbers in order: *at = 0 first; false at the end. */
struct range_set_iter {
	size_t index;
	uint64_t next; /* 0 before the first number of a range */
};
bool range_set_next(const struct range_set *s, struct range_set_iter *it, uint32_t *out);
/* "1:3,7,9:12"; nothing for an empty set. */
void range_set_print(const struct range_set *s, struct buf *out);
