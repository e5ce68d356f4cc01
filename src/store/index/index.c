/* SPDX-License-Identifier: Apache-2.0 */
/* Life, numbers and keywords of an index, and its description as text. */
#include "store/index/index_private.h"

#include "base/codec.h"

struct index *index_new(struct catalog_guid mailbox)
{
	struct index *x = MEM_NEW(struct index);
	x->mailbox = mailbox;
	x->next_uid = 1;
	map_u64_init(&x->gone);
	map_u64_init(&x->stamps);
	map_init(&x->orphans);
	map_init(&x->batches);
	map_init(&x->waiting);
	map_init(&x->waiting_names);
	return x;
}

void index_free(struct index *x)
{
	if (!x)
		return;
	chunk_free_all(x);
	mem_free(x->ghosts.items);
	mem_free(x->changes.items);
	mem_free(x->tombstones);
	mem_free(x->holes);
	mem_free(x->moved);
	mem_free(x->floors);
	mem_free(x->writers);
	batches_free(x);
	for (size_t i = 0; i < x->keyword_count; i++)
		mem_free((void *)(uintptr_t)x->keywords[i].p);
	size_t at = 0;
	struct map_entry e;
	while (map_next(&x->orphans, &at, &e))
		mem_free(e.value);
	map_done(&x->orphans);
	map_u64_done(&x->gone);
	map_u64_done(&x->stamps);
	mem_free(x);
}

uint32_t index_next_uid(const struct index *x)
{
	return x->next_uid;
}

uint64_t index_modseq(const struct index *x)
{
	return x->modseq;
}

void index_raise(struct index *x, uint32_t next_uid, uint64_t modseq)
{
	x->next_uid = MAX(x->next_uid, next_uid);
	x->modseq = MAX(x->modseq, modseq);
}

struct catalog_name index_cover(const struct index *x)
{
	return x->cover;
}

struct index_counters index_counters(const struct index *x)
{
	return x->counters;
}

uint32_t index_recent_uid(const struct index *x)
{
	return x->recent_uid;
}

void index_set_recent_uid(struct index *x, uint32_t uid)
{
	x->recent_uid = MAX(x->recent_uid, uid);
}

size_t index_keywords(const struct index *x, const struct str **out)
{
	*out = x->keywords;
	return x->keyword_count;
}

int index_keyword_find(const struct index *x, struct str name)
{
	for (size_t i = 0; i < x->keyword_count; i++)
		if (str_eq_ci(x->keywords[i], name))
			return (int)i;
	return -1;
}

int index_keyword_bit(struct index *x, struct str name)
{
	int bit = index_keyword_find(x, name);
	if (bit >= 0 || x->keyword_count == ROW_KEYWORDS_MAX)
		return bit;
	x->keywords[x->keyword_count] = (struct str){ str_new_z(name), name.n };
	return (int)x->keyword_count++;
}

static void describe_hex(struct buf *out, const void *p, size_t n)
{
	hex_encode(out, (struct str){ p, n });
	buf_put_byte(out, ' ');
}

static void describe_record(const struct index *x, uint32_t position, struct buf *out)
{
	const struct snapshot_hot *hot = index_hot(x, position);
	const struct snapshot_cold *cold = index_cold(x, position);
	buf_putf(out,
		"uid=%" PRIu32 " modseq=%" PRIu64 " flags=%u received=%" PRId64 " saved=%" PRId64
		" sizes=%" PRIu32 ",%" PRIu32 " at=%" PRIu32 "+%" PRIu32 " bucket=%" PRIu32 " ",
		hot->uid, hot->modseq, (unsigned)hot->flags, cold->received_wall_us,
		cold->saved_wall_us, cold->size_physical, cold->size_virtual, cold->offset,
		cold->length, cold->bucket);
	describe_hex(out, cold->name.bytes, sizeof(cold->name.bytes));
	describe_hex(out, cold->oid.bytes, sizeof(cold->oid.bytes));
	describe_hex(out, cold->guid.bytes, sizeof(cold->guid.bytes));
	/* By name, not by bit: the order of the table depends on the order of the rows. */
	const struct str *words[ROW_KEYWORDS_MAX];
	size_t count = 0;
	for (size_t i = 0; i < x->keyword_count; i++) {
		if (!(hot->keywords >> i & 1))
			continue;
		size_t at = count++;
		for (; at > 0 && str_cmp_ci(*words[at - 1], x->keywords[i]) > 0; at--)
			words[at] = words[at - 1];
		words[at] = &x->keywords[i];
	}
	for (size_t i = 0; i < count; i++)
		buf_putf(out, "%.*s ", STRF(*words[i]));
	buf_put_byte(out, '\n');
}

void index_describe(const struct index *x, struct buf *out)
{
	buf_putf(out,
		"messages=%" PRIu32 " unseen=%" PRIu32 " deleted=%" PRIu32 " bytes=%" PRIu64
		" next_uid=%" PRIu32 " modseq=%" PRIu64 "\n",
		x->counters.messages, x->counters.unseen, x->counters.deleted,
		x->counters.bytes_virtual, x->next_uid, x->modseq);
	uint32_t total = index_count(x);
	for (uint32_t i = 0; i < total; i++)
		if (!index_is_ghost(index_hot(x, i)))
			describe_record(x, i, out);
}
