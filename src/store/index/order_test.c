/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of several writers, with all that a takeover writes: any order of them gives the same index, so do
 * rows that come twice, and a snapshot in between. */
#include "store/index/journal_test.h"

#include <stdio.h>

#define SMALL 5 /* rows, of which all permutations are folded */

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

/* All that a verification compares. */
static void describe_canonical(const struct index *x, struct buf *out)
{
	struct index_canonical floors = { 0 };
	struct index_keyword_order order = index_canonical_keywords(x);
	const char *name = "";
	AUTO_BUF(b, 0);
	index_canonical_floors(x, &floors);
	for (size_t i = 0; name; i++) {
		buf_clear(&b);
		name = index_canonical_fact(x, &floors, &order, i, &b);
		if (i == 0) /* numbers: also of rows that are gone */
			continue;
		buf_putf(out, "%s ", name ? name : "end");
		hex_encode(out, buf_str(&b));
		buf_put_byte(out, '\n');
	}
}

static struct str describe(const struct index *x, struct journal *j)
{
	AUTO_BUF(b, 0);
	index_describe(x, &b);
	describe_gone(x, j, &b);
	describe_canonical(x, &b);
	return buf_dup(&j->arena, &b);
}

static struct str describe_verified(const struct index *x, struct journal *j)
{
	struct index_keyword_order order = index_canonical_keywords(x);
	AUTO_BUF(b, 0);
	AUTO_BUF(records, 0);
	describe_canonical(x, &b);
	(void)index_canonical_records(x, &order, 1, &records);
	hex_encode(&b, buf_str(&records));
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
	struct str a = found, b = want, line_a = STR_NONE, line_b = STR_NONE;
	if (str_eq(found, want))
		return;
	while (str_eq(line_a, line_b) && str_cut_line(&a, &line_a) && str_cut_line(&b, &line_b))
		continue;
	(void)fprintf(
		stderr, "seed %" PRIu64 ":\n%.*s\nnot\n%.*s\n", seed, STRF(line_a), STRF(line_b));
	fail();
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

/* Of a live owner, who leaves out what changes nothing. */
static bool is_news(const struct index *x, const struct catalog_row *row)
{
	struct row_op_value v;
	return row->kind == CATALOG_APPEND || row_op_decode(row->value, &v) != ERR_NONE ||
	       index_would_change(x, row->name, &v, NULL, NULL) || index_awaits(x, &v);
}

static struct str fold_live(struct journal *j, const size_t *order)
{
	struct index *x = index_new(box);
	for (int look = 0; look < 2; look++)
		for (size_t i = 0; i < j->count; i++)
			if (is_news(x, &j->rows[order[i]]))
				assert_ok(index_fold(x, &j->rows[order[i]]));
	struct str found = describe_verified(x, j);
	index_free(x);
	return found;
}

static void who_leaves_out_what_changes_nothing_has_the_same(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 400; seed++) {
		size_t order[ROWS_MAX];
		struct str want;
		struct journal *j = journal_of(
			seed, seed % 2 ? ROWS_MAX : 2 * SMALL, order, describe_verified, &want);
		for (int round = 0; round < 8; round++) {
			check(seed, fold_live(j, order), want);
			shuffle(order, j->count);
		}
		journal_free(j);
	}
}

/* The append row of an expunged mail is deleted. */
static void what_is_told_of_an_expunged_mail_needs_no_append_row(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 400; seed++) {
		size_t order[ROWS_MAX], kept = 0;
		struct str want;
		struct journal *j = journal_of(seed, ROWS_MAX, order, describe_verified, &want);
		struct index *x = index_new(box);
		for (size_t i = 0; i < j->count; i++)
			assert_ok(index_fold(x, &j->rows[i]));
		for (size_t i = 0; i < j->count; i++)
			if (j->rows[i].kind == CATALOG_OP || !index_is_gone(x, j->rows[i].name))
				j->rows[kept++] = j->rows[i];
		j->count = kept;
		index_free(x);
		check(seed, fold_order(j, order, false, describe_verified), want);
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

/* Nobody sees a change, but who folds all rows has its modseq. */
static void flags_of_an_expunged_mail_raise_the_modseq(void **state)
{
	(void)state;
	struct journal *j = journal_new(0);
	struct index *x = index_new(box);
	struct row_flags_group g = { .modseq = 7, .stamp = 1, .mask = 1, .value = 1, .count = 1 };
	struct catalog_row row = { .kind = CATALOG_OP };
	AUTO_BUF(b, 0);
	j->limit = 1;
	add_append(j, some_name(j), 1, (struct row_append){ .uid = 1, .modseq = 1 });
	struct row_mark mark = { .name = j->rows[0].name, .uid = 1 };
	assert_ok(index_fold(x, &j->rows[0]));
	row_expunge_encode(&b, 5, &mark, 1);
	row.name = later_name(j);
	row.value = buf_str(&b);
	assert_ok(index_fold(x, &row));
	buf_clear(&b);
	row_flags_encode_head(&b, NULL, 0);
	row_flags_encode_group(&b, &g, &mark);
	row.name = later_name(j);
	row.value = buf_str(&b);
	assert_true(is_news(x, &row));
	assert_ok(index_fold(x, &row));
	assert_int_equal(index_modseq(x), 7);
	assert_false(is_news(x, &row));
	index_free(x);
	journal_free(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_permutation_of_few_rows_gives_the_same),
		cmocka_unit_test(any_order_of_many_rows_gives_the_same),
		cmocka_unit_test(a_snapshot_in_between_changes_nothing),
		cmocka_unit_test(who_leaves_out_what_changes_nothing_has_the_same),
		cmocka_unit_test(what_is_told_of_an_expunged_mail_needs_no_append_row),
		cmocka_unit_test(an_expunge_that_was_told_stays_told),
		cmocka_unit_test(flags_of_an_expunged_mail_raise_the_modseq),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
