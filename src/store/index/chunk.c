/* SPDX-License-Identifier: Apache-2.0 */
/* Records in chunks: appending is amortised O(1), inserting and removing move at most one chunk.
 *
 * Invariants: UIDs ascend over all chunks; no chunk is empty; start is the sum of the counts before. */
#include "store/index/index_private.h"

#define MAIL_DELETED_BIT 4u
#define MAIL_SEEN_BIT    8u

static void chunk_free(struct chunk *c)
{
	if (!c->is_borrowed) {
		mem_free(c->hot);
		mem_free(c->cold);
	}
}

void chunk_free_all(struct index *x)
{
	for (size_t i = 0; i < x->chunk_count; i++)
		chunk_free(&x->chunks[i]);
	mem_free(x->chunks);
}

/* The last chunk that starts at or before `position`. */
static size_t chunk_index(const struct index *x, uint32_t position)
{
	size_t low = 0, high = x->chunk_count;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (x->chunks[middle].start <= position)
			low = middle;
		else
			high = middle;
	}
	return low;
}

struct chunk *chunk_at(const struct index *x, uint32_t position, uint32_t *out_in_chunk)
{
	ASSERT(x->chunk_count > 0);
	struct chunk *c = &x->chunks[chunk_index(x, position)];
	*out_in_chunk = position - c->start;
	ASSERT(*out_in_chunk < c->count);
	return c;
}

uint32_t index_count(const struct index *x)
{
	if (x->chunk_count == 0)
		return 0;
	const struct chunk *last = &x->chunks[x->chunk_count - 1];
	return last->start + last->count;
}

const struct snapshot_hot *index_hot(const struct index *x, uint32_t position)
{
	uint32_t i;
	return &chunk_at(x, position, &i)->hot[i];
}

const struct snapshot_cold *index_cold(const struct index *x, uint32_t position)
{
	uint32_t i;
	return &chunk_at(x, position, &i)->cold[i];
}

bool index_is_ghost(const struct snapshot_hot *hot)
{
	return (hot->state & STATE_GHOST) != 0;
}

uint32_t index_seek(const struct index *x, uint32_t uid)
{
	size_t low = 0, high = x->chunk_count;
	while (low < high) { /* the first chunk whose last UID is at least uid */
		size_t middle = low + (high - low) / 2;
		const struct chunk *c = &x->chunks[middle];
		if (c->hot[c->count - 1].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == x->chunk_count)
		return index_count(x);
	const struct chunk *c = &x->chunks[low];
	uint32_t first = 0, end = c->count;
	while (first < end) {
		uint32_t middle = first + (end - first) / 2;
		if (c->hot[middle].uid < uid)
			first = middle + 1;
		else
			end = middle;
	}
	return c->start + first;
}

bool index_find(const struct index *x, uint32_t uid, uint32_t *out_position)
{
	uint32_t at = index_seek(x, uid);
	if (at == index_count(x) || index_hot(x, at)->uid != uid)
		return false;
	*out_position = at;
	return true;
}

static void renumber(struct index *x, size_t from)
{
	uint32_t start = from ? x->chunks[from - 1].start + x->chunks[from - 1].count : 0;
	for (size_t i = from; i < x->chunk_count; i++) {
		x->chunks[i].start = start;
		start += x->chunks[i].count;
	}
}

static struct chunk *chunk_new_at(struct index *x, size_t at)
{
	if (x->chunk_count == x->chunk_cap) {
		x->chunk_cap = MAX(x->chunk_cap * 2, 4);
		x->chunks = mem_resize(x->chunks, x->chunk_cap * sizeof(*x->chunks));
	}
	memmove(&x->chunks[at + 1], &x->chunks[at], (x->chunk_count - at) * sizeof(*x->chunks));
	x->chunk_count++;
	x->chunks[at] = (struct chunk){ 0 };
	return &x->chunks[at];
}

static void chunk_grow(struct chunk *c)
{
	uint32_t cap = MIN(MAX(c->cap * 4, 16), INDEX_CHUNK);
	while (cap <= c->count)
		cap *= 4;
	struct snapshot_hot *hot = mem_new_array(cap, sizeof(*hot));
	struct snapshot_cold *cold = mem_new_array(cap, sizeof(*cold));
	if (c->count) {
		memcpy(hot, c->hot, c->count * sizeof(*hot));
		memcpy(cold, c->cold, c->count * sizeof(*cold));
	}
	chunk_free(c);
	c->hot = hot;
	c->cold = cold;
	c->cap = cap;
	c->is_borrowed = false;
}

static uint32_t count_unseen(const struct chunk *c)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < c->count; i++)
		n += !(c->hot[i].flags & MAIL_SEEN_BIT) && !index_is_ghost(&c->hot[i]);
	return n;
}

/* Moves the upper half of a full chunk into a new one behind it. */
static void chunk_split(struct index *x, size_t at)
{
	struct chunk *upper = chunk_new_at(x, at + 1), *lower = &x->chunks[at];
	uint32_t keep = lower->count / 2;
	upper->count = 0;
	upper->cap = 0;
	while (upper->cap < lower->count - keep)
		chunk_grow(upper);
	upper->count = lower->count - keep;
	memcpy(upper->hot, lower->hot + keep, upper->count * sizeof(*upper->hot));
	memcpy(upper->cold, lower->cold + keep, upper->count * sizeof(*upper->cold));
	lower->count = keep;
	lower->unseen = count_unseen(lower);
	upper->unseen = count_unseen(upper);
	renumber(x, at);
}

struct chunk *chunk_insert(struct index *x, uint32_t position, uint32_t *out_in_chunk)
{
	uint32_t total = index_count(x);
	size_t at = chunk_index(x, position);
	if (x->chunk_count == 0 || (position == total && x->chunks[at].count >= INDEX_CHUNK)) {
		at = x->chunk_count;
		chunk_new_at(x, at)->start = total;
	} else if (x->chunks[at].count >= INDEX_CHUNK) {
		chunk_split(x, at);
		at = chunk_index(x, position);
	}
	struct chunk *c = &x->chunks[at];
	if (c->count == c->cap)
		chunk_grow(c);
	uint32_t i = position - c->start;
	memmove(&c->hot[i + 1], &c->hot[i], (c->count - i) * sizeof(*c->hot));
	memmove(&c->cold[i + 1], &c->cold[i], (c->count - i) * sizeof(*c->cold));
	c->count++;
	renumber(x, at);
	*out_in_chunk = i;
	return c;
}

void chunk_remove(struct index *x, uint32_t position)
{
	uint32_t i;
	struct chunk *c = chunk_at(x, position, &i);
	size_t at = (size_t)(c - x->chunks);
	memmove(&c->hot[i], &c->hot[i + 1], (c->count - i - 1) * sizeof(*c->hot));
	memmove(&c->cold[i], &c->cold[i + 1], (c->count - i - 1) * sizeof(*c->cold));
	c->count--;
	if (c->count == 0) {
		chunk_free(c);
		x->chunk_count--;
		memmove(c, c + 1, (x->chunk_count - at) * sizeof(*c));
	}
	renumber(x, at);
}

/* Removes every record that is marked, moving each of the others at most once. */
void chunk_sweep(struct index *x, uint8_t state)
{
	size_t left = 0;
	for (size_t at = 0; at < x->chunk_count; at++) {
		struct chunk *c = &x->chunks[at];
		uint32_t kept = 0;
		for (uint32_t i = 0; i < c->count; i++) {
			if (c->hot[i].state & state)
				continue;
			if (kept != i) {
				c->hot[kept] = c->hot[i];
				c->cold[kept] = c->cold[i];
			}
			kept++;
		}
		c->count = kept;
		if (kept == 0)
			chunk_free(c);
		else
			x->chunks[left++] = *c;
	}
	x->chunk_count = left;
	renumber(x, 0);
}

void chunk_add_borrowed(
	struct index *x, struct snapshot_hot *hot, struct snapshot_cold *cold, uint32_t count)
{
	uint32_t total = index_count(x);
	struct chunk *c = chunk_new_at(x, x->chunk_count);
	*c = (struct chunk){ .hot = hot,
		.cold = cold,
		.count = count,
		.cap = count,
		.start = total,
		.is_borrowed = true };
	for (uint32_t i = 0; i < count; i++)
		chunk_count_record(x, c, i, true);
}

void chunk_add_copies(struct index *x, const struct snapshot_hot *hot,
	const struct snapshot_cold *cold, uint32_t count)
{
	uint32_t total = index_count(x);
	struct chunk *c = chunk_new_at(x, x->chunk_count);
	*c = (struct chunk){ .hot = mem_new_array(count, sizeof(*hot)),
		.cold = mem_new_array(count, sizeof(*cold)),
		.count = count,
		.cap = count,
		.start = total };
	memcpy(c->hot, hot, count * sizeof(*hot));
	memcpy(c->cold, cold, count * sizeof(*cold));
	for (uint32_t i = 0; i < count; i++)
		chunk_count_record(x, c, i, true);
}

void chunk_count_record(struct index *x, struct chunk *c, uint32_t in_chunk, bool is_added)
{
	const struct snapshot_hot *hot = &c->hot[in_chunk];
	uint32_t one = is_added ? 1 : UINT32_MAX; /* adding the maximum takes one away */
	uint64_t bytes = c->cold[in_chunk].size_virtual;
	x->counters.messages += one;
	x->counters.bytes_virtual += is_added ? bytes : 0 - bytes;
	if (hot->flags & MAIL_DELETED_BIT)
		x->counters.deleted += one;
	if (!(hot->flags & MAIL_SEEN_BIT)) {
		x->counters.unseen += one;
		c->unseen += one;
	}
}

uint32_t index_next_unseen(const struct index *x, uint32_t position)
{
	uint32_t total = index_count(x);
	if (position >= total)
		return total;
	for (size_t at = chunk_index(x, position); at < x->chunk_count; at++) {
		const struct chunk *c = &x->chunks[at];
		uint32_t i = position > c->start ? position - c->start : 0;
		for (; c->unseen > 0 && i < c->count; i++)
			if (!(c->hot[i].flags & MAIL_SEEN_BIT) && !index_is_ghost(&c->hot[i]))
				return c->start + i;
	}
	return total;
}

void index_set_summary(struct index *x, uint32_t position, uint64_t offset, uint32_t length)
{
	uint32_t i;
	struct chunk *c = chunk_at(x, position, &i);
	c->cold[i].summary_offset = offset;
	c->cold[i].summary_length = length;
}
