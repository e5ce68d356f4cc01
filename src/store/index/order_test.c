/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of several writers, with all that a takeover writes: any order of them gives the same index, so do
 * rows that come twice, and a snapshot in between. */
#include "store/index/index.h"

#include <stdlib.h>

#include "base/random.h"
#include "base/test.h"

#define WRITERS   3
#define MAILS_MAX 40
#define ROWS_MAX  160
#define UIDS_MAX  8 /* that one mail has in the course of time */
#define SMALL     5 /* rows, of which all permutations are folded */
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
	row_void_encode(&b, &mark, 1);
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
		row_void_encode(&b, &mark, 1);
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
		uint64_t dice = random_below(12);
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

/* ---- what it gives ---- */

static int by_mark(const void *a, const void *b)
{
	const struct row_mark *m = a, *n = b;
	int c = name_cmp(m->name, n->name);
	return c != 0 ? c : (m->uid > n->uid) - (m->uid < n->uid);
}

/* Since when clients are told that a UID is gone; 0: they are not. */
static uint64_t gone_since(const struct index *x, uint32_t uid)
{
	size_t count;
	uint64_t floor, modseq = 0;
	const struct snapshot_tombstone *t = index_tombstones(x, &count, &floor);
	for (size_t i = 0; i < count; i++)
		if (t[i].uid == uid)
			modseq = MAX(modseq, t[i].modseq);
	return modseq;
}

static void describe_gone(const struct index *x, const struct journal *j, struct buf *out)
{
	for (uint32_t uid = 1; uid < j->next_uid; uid++)
		if (gone_since(x, uid) > 0)
			buf_putf(out, "gone %" PRIu32 "\n", uid);
}

/* Who knew a mail at a UID that it lost had not been told of the one above that. */
static void check_lost_uids_are_told(const struct index *x, const struct journal *j)
{
	for (size_t i = 0; i < j->mail_count; i++) {
		const struct mail *m = &j->mails[i];
		for (size_t k = 1; k + 1 < m->uid_count && !index_is_gone(x, m->name); k++) {
			uint64_t since = gone_since(x, m->uids[k]);
			assert_true(since == 0 || since >= m->modseqs[k + 1]);
		}
	}
}

static struct str describe(const struct index *x, struct journal *j)
{
	AUTO_BUF(b, 0);
	index_describe(x, &b);
	describe_gone(x, j, &b);
	return buf_dup(&j->arena, &b);
}

/* What needs another UID: as long as the rows of its batch are known. */
static struct str describe_late(const struct index *x, struct journal *j)
{
	AUTO_BUF(b, 0);
	struct row_mark *late;
	buf_put(&b, describe(x, j));
	size_t count = index_late(x, &late);
	if (count > 0)
		qsort(late, count, sizeof(*late), by_mark);
	for (size_t i = 0; i < count; i++)
		buf_putf(&b, "late %" PRIu32 " from %" PRIu32 "\n", late[i].uid, late[i].origin);
	mem_free(late);
	return buf_dup(&j->arena, &b);
}

static void check_no_uid_is_twice(const struct index *x)
{
	for (uint32_t i = 1; i < index_count(x); i++)
		assert_true(index_hot(x, i - 1)->uid < index_hot(x, i)->uid);
}

typedef struct str describe_fn(const struct index *x, struct journal *j);

static struct str fold_order(struct journal *j, const size_t *order, bool is_twice, describe_fn *fn)
{
	struct index *x = index_new(box);
	for (size_t i = 0; i < j->count; i++) {
		assert_ok(index_fold(x, &j->rows[order[i]]));
		if (is_twice)
			assert_ok(index_fold(x, &j->rows[order[random_below(i + 1)]]));
	}
	check_no_uid_is_twice(x);
	check_lost_uids_are_told(x, j);
	struct str found = fn(x, j);
	index_free(x);
	return found;
}

static void shuffle(size_t *order, size_t count)
{
	for (size_t i = count; i > 1; i--) {
		size_t k = (size_t)random_below(i), t = order[k];
		order[k] = order[i - 1];
		order[i - 1] = t;
	}
}

static bool next_permutation(size_t *order, size_t count)
{
	size_t i = count - 1, k = count - 1;
	while (i > 0 && order[i - 1] >= order[i])
		i--;
	if (i == 0)
		return false;
	while (order[k] <= order[i - 1])
		k--;
	size_t t = order[i - 1];
	order[i - 1] = order[k];
	order[k] = t;
	for (size_t a = i, b = count - 1; a < b; a++, b--) {
		t = order[a];
		order[a] = order[b];
		order[b] = t;
	}
	return true;
}

static void check(uint64_t seed, struct str found, struct str want)
{
	if (!str_eq(found, want))
		print_error("seed %llu\n", (unsigned long long)seed);
	assert_str(found, want);
}

/* ---- tests ---- */

/* The journal of a seed, and what it gives in the order of names. */
static struct journal *journal_of(
	uint64_t seed, size_t rows_max, size_t *order, describe_fn *fn, struct str *out_want)
{
	random_set_seed(seed);
	size_t more = rows_max - SMALL;
	struct journal *j = journal_new(SMALL + (more > 0 ? (size_t)random_below(more) : 0));
	for (size_t i = 0; i < j->count; i++)
		order[i] = i;
	*out_want = fold_order(j, order, false, fn);
	return j;
}

static void every_permutation_of_few_rows_gives_the_same(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 600; seed++) {
		size_t order[ROWS_MAX];
		struct str want;
		struct journal *j = journal_of(seed, SMALL, order, describe_late, &want);
		while (next_permutation(order, j->count))
			check(seed, fold_order(j, order, false, describe_late), want);
		journal_free(j);
	}
}

static void any_order_of_many_rows_gives_the_same(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 400; seed++) {
		size_t order[ROWS_MAX];
		struct str want;
		struct journal *j = journal_of(seed, ROWS_MAX, order, describe_late, &want);
		for (int round = 0; round < 8; round++) {
			shuffle(order, j->count);
			check(seed, fold_order(j, order, round % 2, describe_late), want);
		}
		journal_free(j);
	}
}

/* The tail goes back so far that it has what waits for its batch. */
static bool is_needed(const struct index *x, struct catalog_name name)
{
	AUTO_ARENA(arena, 0);
	size_t count;
	const struct catalog_row *waiting = index_waiting(x, &arena, &count);
	for (size_t i = 0; i < count; i++)
		if (name_cmp(waiting[i].name, name) < 0)
			return true;
	return false;
}

/* Rows below the middle, a snapshot, then all rows behind it and some before it, in any order. */
static struct str fold_with_snapshot(struct journal *j)
{
	size_t order[ROWS_MAX], count = 0;
	size_t middle = random_below(j->count), from = random_below(middle + 1);
	struct index *first = index_new(box), *second = index_new(box);
	for (size_t i = 0; i < middle; i++)
		assert_ok(index_fold(first, &j->rows[i]));
	while (from > 0 && is_needed(first, j->rows[from].name))
		from--;
	AUTO_BUF(file, 0);
	index_save(first, 0, &file);
	char *copy = aligned_alloc(SNAPSHOT_ALIGN, file.n);
	memcpy(copy, file.p, file.n);
	assert_ok(index_load(second, copy, file.n));
	for (size_t i = from; i < j->count; i++)
		order[count++] = i;
	shuffle(order, count);
	for (size_t i = 0; i < count; i++)
		assert_ok(index_fold(second, &j->rows[order[i]]));
	check_no_uid_is_twice(second);
	struct str found = describe(second, j);
	index_free(first);
	index_free(second);
	free(copy);
	return found;
}

static void a_snapshot_in_between_changes_nothing(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 400; seed++) {
		size_t order[ROWS_MAX];
		struct str want;
		struct journal *j = journal_of(seed, ROWS_MAX, order, describe, &want);
		for (int round = 0; round < 4; round++)
			check(seed, fold_with_snapshot(j), want);
		journal_free(j);
	}
}

/* Views that were told of an expunge count it as gone, whatever another writer's merge row says later. */
static void an_expunge_that_was_told_stays_told(void **state)
{
	(void)state;
	size_t count;
	struct journal *j = journal_new(0);
	struct index *x = index_new(box);
	struct row_mark mark;
	struct catalog_row row = { .kind = CATALOG_OP };
	AUTO_BUF(b, 0);
	j->limit = 1;
	add_append(j, some_name(j), 1, (struct row_append){ .uid = 1, .modseq = 1 });
	mark = (struct row_mark){ .name = j->rows[0].name, .uid = 1, .origin = 1 };
	assert_ok(index_fold(x, &j->rows[0]));
	row_expunge_encode(&b, 5, &mark, 1);
	row.name = later_name(j);
	row.value = buf_str(&b);
	assert_ok(index_fold(x, &row));
	buf_clear(&b);
	mark.modseq = 9;
	row_merge_encode(&b, &mark, 1);
	row.name = later_name(j);
	row.value = buf_str(&b);
	for (int twice = 0; twice < 2; twice++)
		assert_ok(index_fold(x, &row));
	const struct index_event *ghosts = index_ghosts(x, &count);
	assert_int_equal(count, 1);
	assert_int_equal(ghosts[0].modseq, 5);
	assert_int_equal(gone_since(x, 1), 9);
	index_free(x);
	journal_free(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_permutation_of_few_rows_gives_the_same),
		cmocka_unit_test(any_order_of_many_rows_gives_the_same),
		cmocka_unit_test(a_snapshot_in_between_changes_nothing),
		cmocka_unit_test(an_expunge_that_was_told_stays_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
