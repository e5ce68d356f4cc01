/* SPDX-License-Identifier: Apache-2.0 */
/* A random journal of several writers, with all that takeovers and merges write. */
#pragma once

#include "store/index/index.h"

#include <stdlib.h>

#include "base/codec.h"
#include "base/random.h"
#include "base/test.h"

#define WRITERS   3
#define MAILS_MAX 40
#define ROWS_MAX  160
#define UIDS_MAX  8 /* that one mail has in the course of time */
#define NOW       (INT64_C(1700000000) * US_PER_SEC)

static const struct catalog_guid box = { { 7 } };

/* ---- a journal ---- */

struct mail {
	struct catalog_name name;
	uint32_t uids[UIDS_MAX]; /* the first is that of the append row */
	uint64_t modseqs[UIDS_MAX];
	size_t uid_count;
};
struct journal {
	struct name_clock clocks[WRITERS];
	struct catalog_row rows[ROWS_MAX];
	size_t count, limit;
	struct mail mails[MAILS_MAX];
	size_t mail_count;
	uint64_t modseq;
	uint32_t next_uid;
	struct arena arena;
};

static int by_name(const void *a, const void *b)
{
	return name_cmp(
		((const struct catalog_row *)a)->name, ((const struct catalog_row *)b)->name);
}

static struct catalog_name some_name(struct journal *j)
{
	return name_mint(&j->clocks[random_below(WRITERS)], NOW);
}

static struct mail *some_mail(struct journal *j)
{
	return &j->mails[random_below(j->mail_count)];
}

static bool has_room(const struct journal *j, size_t rows)
{
	return j->count + rows <= j->limit;
}

/* Of somebody who has seen all that there is. */
static struct catalog_name later_name(struct journal *j)
{
	struct name_clock *clock = &j->clocks[random_below(WRITERS)];
	for (size_t i = 0; i < j->count; i++)
		name_observe(clock, j->rows[i].name, NOW);
	return name_mint(clock, NOW);
}

static void add_row(struct journal *j, enum catalog_kind kind, const struct buf *value,
	struct catalog_name name)
{
	j->rows[j->count++] = (struct catalog_row){ kind, 0, name, buf_dup(&j->arena, value) };
}

static struct row_mark some_mark(struct journal *j)
{
	const struct mail *m = some_mail(j);
	return (struct row_mark){ .name = m->name, .uid = m->uids[random_below(m->uid_count)] };
}

static void add_append(
	struct journal *j, struct catalog_name name, uint32_t uid, struct row_append a)
{
	struct mail *m = &j->mails[j->mail_count++];
	*m = (struct mail){ .name = name, .uids = { uid }, .uid_count = 1 };
	AUTO_BUF(b, 0);
	a.flags = (unsigned)random_below(32);
	a.size_virtual = uid;
	row_append_encode(&b, &a);
	add_row(j, CATALOG_APPEND, &b, name);
}

static void add_mail(struct journal *j)
{
	uint32_t uid = j->next_uid++;
	if (j->mail_count == MAILS_MAX)
		return;
	add_append(j, some_name(j), uid, (struct row_append){ .uid = uid, .modseq = ++j->modseq });
	if (random_below(8) > 0 || !has_room(j, 1))
		return;
	/* It never was: nobody sees it, so nobody changes it. */
	struct row_mark mark = { .name = j->mails[--j->mail_count].name, .uid = uid };
	AUTO_BUF(b, 0);
	row_void_encode(&b, j->modseq, &mark, 1);
	add_row(j, CATALOG_OP, &b, later_name(j));
}

/* Mails with a commit row, if they have it; its writer, or who takes over, may void it. */
static void add_batch(struct journal *j)
{
	struct name_clock *clock = &j->clocks[random_below(WRITERS)];
	struct row_id batch = { { (uint8_t)(1 + j->count), 3 } };
	size_t count = 1 + random_below(3);
	if (!has_room(j, count + 2) || j->mail_count + count > MAILS_MAX)
		return;
	for (uint32_t i = 0; i < count; i++)
		add_append(j, name_mint(clock, NOW), j->next_uid + i,
			(struct row_append){ .uid = i + 1, .has_batch = true, .batch = batch });
	AUTO_BUF(b, 0);
	struct catalog_name name = name_mint(clock, NOW);
	bool is_committed = random_below(6) > 0;
	if (is_committed) {
		row_commit_encode(&b, &batch, j->next_uid, ++j->modseq, count);
		add_row(j, CATALOG_OP, &b, name);
	}
	j->next_uid += (uint32_t)count;
	buf_clear(&b);
	uint64_t dice = random_below(8);
	struct row_mark mark = { .name = name };
	if (dice == 0)
		row_void_batch_encode(&b, &batch);
	else if (dice == 1)
		row_void_encode(&b, j->modseq, &mark, 1);
	if (dice < 2 || !is_committed)
		j->mail_count -= count; /* nobody sees them, so nobody changes them */
	if (dice < 2)
		add_row(j, CATALOG_OP, &b, later_name(j));
}

static void add_expunge(struct journal *j)
{
	struct row_mark marks[2] = { some_mark(j), some_mark(j) };
	AUTO_BUF(b, 0);
	row_expunge_encode(&b, ++j->modseq, marks, 1 + random_below(2));
	add_row(j, CATALOG_OP, &b, later_name(j));
}

/* Its writer got no answer and voids it; others had seen it, and may expunge, flag or merge it. */
static void add_void(struct journal *j)
{
	struct row_mark mark = some_mark(j);
	AUTO_BUF(b, 0);
	row_void_encode(&b, j->modseq, &mark, 1);
	add_row(j, CATALOG_OP, &b, later_name(j));
}

static void add_flags(struct journal *j)
{
	struct str words[] = { STR("$Work"), STR("Home") };
	struct row_mark marks[] = { some_mark(j), some_mark(j), some_mark(j) };
	struct catalog_name name = later_name(j);
	struct row_flags_group g = { .modseq = ++j->modseq,
		.stamp = name_stamp(name) - random_below(3),
		.mask = (unsigned)random_below(32),
		.keywords_mask = random_below(4),
		.count = 1 + random_below(3) };
	g.value = g.mask & (unsigned)random_below(32);
	g.keywords_value = g.keywords_mask & random_below(4);
	AUTO_BUF(b, 0);
	row_flags_encode_head(&b, words, 2);
	row_flags_encode_group(&b, &g, marks);
	add_row(j, CATALOG_OP, &b, name);
}

static void add_floor(struct journal *j)
{
	struct row_mark seen[2] = { { .name = some_name(j) }, { .name = some_mail(j)->name } };
	AUTO_BUF(b, 0);
	row_floor_encode(&b, j->next_uid, ++j->modseq, seen, random_below(3));
	add_row(j, CATALOG_OP, &b, later_name(j));
	if (random_below(4) == 0 && has_room(j, 1)) /* tried again */
		add_row(j, CATALOG_OP, &b, later_name(j));
}

static uint32_t give_uid(struct mail *m, uint32_t uid, uint64_t modseq)
{
	m->modseqs[m->uid_count] = modseq;
	m->uids[m->uid_count++] = uid;
	return uid;
}

/* Fresh UIDs for some mails, or the UID that one has with a fresh modseq. */
static void add_merge(struct journal *j)
{
	struct row_mark marks[2];
	size_t count = 1 + random_below(2);
	for (size_t i = 0; i < count; i++) {
		struct mail *m = some_mail(j);
		marks[i] = (struct row_mark){
			.name = m->name, .modseq = ++j->modseq, .origin = m->uids[0]
		};
		marks[i].uid = m->uids[random_below(m->uid_count)];
		if (random_below(3) > 0 && m->uid_count < UIDS_MAX)
			marks[i].uid = give_uid(m, j->next_uid++, j->modseq);
	}
	AUTO_BUF(b, 0);
	row_merge_encode(&b, marks, count);
	add_row(j, CATALOG_OP, &b, later_name(j));
}

static struct journal *journal_new(size_t rows)
{
	struct journal *j = MEM_NEW(struct journal);
	arena_init(&j->arena, 0);
	j->next_uid = 1;
	j->limit = rows;
	for (uint32_t i = 0; i < WRITERS; i++)
		j->clocks[i].writer = 100 + i;
	while (j->count < rows) {
		uint64_t dice = random_below(13);
		if (j->mail_count == 0 || dice < 3)
			add_mail(j);
		else if (dice == 3)
			add_batch(j);
		else if (dice < 6)
			add_flags(j);
		else if (dice < 10)
			add_merge(j);
		else if (dice == 10)
			add_floor(j);
		else if (dice == 11 && random_below(2) == 0)
			add_void(j);
		else
			add_expunge(j);
	}
	qsort(j->rows, j->count, sizeof(j->rows[0]), by_name);
	return j;
}

static void journal_free(struct journal *j)
{
	arena_done(&j->arena);
	mem_free(j);
}
