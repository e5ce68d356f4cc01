/* SPDX-License-Identifier: Apache-2.0 */
/* The index against a naive model: random journals, folded in order, shuffled and twice. */
#include "store/index/index.h"

#include <stdlib.h>

#include "base/number.h"
#include "base/random.h"
#include "base/test.h"

#define MAILS    60
#define ROWS_MAX 400
#define NOW      (INT64_C(1700000000) * US_PER_SEC)

static const struct catalog_guid box = { { 7 } };

/* ---- a journal and what it means ---- */

struct naive_mail {
	struct catalog_name name;
	unsigned flags;
	bool has_work, is_expunged, is_there;
	uint64_t modseq;
};
struct journal {
	struct name_clock clock;
	struct catalog_row rows[ROWS_MAX];
	size_t count;
	uint64_t modseq;
	uint32_t next_uid;
	struct naive_mail mails[MAILS + 1]; /* by UID */
	struct arena arena;
};

static void add_row(struct journal *j, enum catalog_kind kind, const struct buf *value,
	struct catalog_name name)
{
	j->rows[j->count++] =
		(struct catalog_row){ kind, j->next_uid / 20, name, buf_dup(&j->arena, value) };
}

static void add_mail(struct journal *j)
{
	uint32_t uid = j->next_uid++;
	struct naive_mail *m = &j->mails[uid];
	*m = (struct naive_mail){ .name = name_mint(&j->clock, NOW),
		.flags = (unsigned)random_below(32),
		.is_there = true,
		.modseq = ++j->modseq };
	struct row_append a = { .uid = uid,
		.modseq = m->modseq,
		.oid = { { (uint8_t)uid } },
		.flags = m->flags,
		.size_virtual = uid * 100 };
	AUTO_BUF(b, 0);
	row_append_encode(&b, &a);
	add_row(j, CATALOG_APPEND, &b, m->name);
}

static struct row_mark mark_of(const struct journal *j, uint32_t uid)
{
	return (struct row_mark){ .name = j->mails[uid].name, .uid = uid };
}

static uint32_t some_uid(const struct journal *j)
{
	return 1 + (uint32_t)random_below(j->next_uid - 1);
}

static void add_expunge(struct journal *j)
{
	struct row_mark marks[3];
	uint64_t modseq = ++j->modseq;
	size_t count = 0;
	for (int i = 0; i < 3; i++) {
		uint32_t uid = some_uid(j);
		if (j->mails[uid].is_expunged)
			continue;
		j->mails[uid].is_expunged = true;
		marks[count++] = mark_of(j, uid);
	}
	AUTO_BUF(b, 0);
	row_expunge_encode(&b, modseq, marks, count);
	add_row(j, CATALOG_OP, &b, name_mint(&j->clock, NOW));
}

static void change_naive(struct naive_mail *m, const struct row_flags_group *g)
{
	m->flags = (m->flags & ~g->mask) | g->value;
	if (g->keywords_mask)
		m->has_work = g->keywords_value != 0;
	m->modseq = g->modseq;
}

static void add_flags(struct journal *j)
{
	struct str words[] = { STR("$Work") };
	struct row_mark marks[4];
	struct catalog_name name = name_mint(&j->clock, NOW);
	struct row_flags_group g = { .modseq = ++j->modseq,
		.stamp = name_stamp(name),
		.mask = (unsigned)random_below(32),
		.keywords_mask = random_below(2) };
	g.value = g.mask & (unsigned)random_below(32);
	g.keywords_value = g.keywords_mask & random_below(2);
	for (uint32_t uid = some_uid(j); uid < j->next_uid && g.count < 4; uid++) {
		if (j->mails[uid].is_expunged)
			continue;
		marks[g.count++] = mark_of(j, uid);
		change_naive(&j->mails[uid], &g);
	}
	AUTO_BUF(b, 0);
	row_flags_encode_head(&b, words, 1);
	row_flags_encode_group(&b, &g, marks);
	add_row(j, CATALOG_OP, &b, name);
}

static struct journal *journal_new(size_t rows)
{
	struct journal *j = MEM_NEW(struct journal);
	arena_init(&j->arena, 0);
	j->next_uid = 1;
	while (j->count < rows) {
		uint64_t dice = random_below(10);
		if (j->next_uid == 1 || (dice < 4 && j->next_uid <= MAILS))
			add_mail(j);
		else if (dice < 9)
			add_flags(j);
		else
			add_expunge(j);
	}
	return j;
}

static void journal_free(struct journal *j)
{
	arena_done(&j->arena);
	mem_free(j);
}

static void assert_is_naive(const struct index *x, const struct journal *j)
{
	struct index_counters want = { 0 };
	int work = index_keyword_find(x, STR("$work"));
	for (uint32_t uid = 1; uid < j->next_uid; uid++) {
		const struct naive_mail *m = &j->mails[uid];
		uint32_t at;
		bool is_there = index_find(x, uid, &at) && !index_is_ghost(index_hot(x, at));
		assert_int_equal(is_there, m->is_there && !m->is_expunged);
		if (!is_there)
			continue;
		const struct snapshot_hot *hot = index_hot(x, at);
		assert_int_equal(hot->flags, m->flags);
		assert_int_equal(hot->modseq, m->modseq);
		assert_int_equal(work >= 0 && (hot->keywords >> work & 1), m->has_work);
		want.messages++;
		want.unseen += !(m->flags & 8);
		want.deleted += (m->flags & 4) != 0;
		want.bytes_virtual += uid * 100;
	}
	struct index_counters got = index_counters(x);
	assert_int_equal(got.messages, want.messages);
	assert_int_equal(got.unseen, want.unseen);
	assert_int_equal(got.deleted, want.deleted);
	assert_int_equal(got.bytes_virtual, want.bytes_virtual);
	assert_int_equal(index_next_uid(x), j->next_uid);
	assert_true(index_modseq(x) <= j->modseq);
	uint32_t seen_positions = 0;
	for (uint32_t at = 0; (at = index_next_unseen(x, at)) < index_count(x); at++)
		seen_positions++;
	assert_int_equal(seen_positions, want.unseen);
}

static struct str describe(const struct index *x, struct arena *a)
{
	AUTO_BUF(b, 0);
	index_describe(x, &b);
	return buf_dup(a, &b);
}

/* All that has to be the same, of two that forgot nothing. */
static struct str canonical(const struct index *x, struct arena *a)
{
	struct index_canonical floors = { 0 };
	struct index_keyword_order order = index_canonical_keywords(x);
	AUTO_BUF(b, 0);
	index_canonical_floors(x, &floors);
	for (size_t i = 0; index_canonical_fact(x, &floors, &order, i, &b); i++)
		buf_put(&b, STR("|"));
	for (uint32_t uid = 1; uid != 0;)
		uid = index_canonical_records(x, &order, uid, &b);
	return buf_dup(a, &b);
}

static void fold_range(struct index *x, const struct journal *j, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		assert_ok(index_fold(x, &j->rows[i]));
}

/* Every row at least once, in random order, some twice. */
static void fold_shuffled(struct index *x, const struct journal *j)
{
	size_t order[ROWS_MAX];
	for (size_t i = 0; i < j->count; i++)
		order[i] = i;
	for (size_t i = j->count; i > 1; i--) {
		size_t k = (size_t)random_below(i), t = order[k];
		order[k] = order[i - 1];
		order[i - 1] = t;
	}
	for (size_t i = 0; i < j->count; i++) {
		assert_ok(index_fold(x, &j->rows[order[i]]));
		assert_ok(index_fold(x, &j->rows[order[random_below(i + 1)]]));
	}
}

/* A snapshot of the first rows, then the tail with an overlap, as after a crash. */
static struct index *fold_with_snapshot(const struct journal *j, char **out_file)
{
	size_t middle = (size_t)random_below(j->count), overlap = (size_t)random_below(middle + 1);
	struct index *first = index_new(box), *second = index_new(box);
	fold_range(first, j, 0, middle);
	AUTO_BUF(file, 0);
	index_save(first, 0, &file);
	index_free(first);
	char *copy = aligned_alloc(SNAPSHOT_ALIGN, file.n);
	memcpy(copy, file.p, file.n);
	assert_ok(index_load(second, copy, file.n));
	fold_range(second, j, overlap, j->count);
	*out_file = copy;
	return second;
}

static void any_order_gives_the_model(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 300; seed++) {
		random_set_seed(seed);
		struct journal *j = journal_new(20 + (size_t)random_below(ROWS_MAX - 20));
		struct index *ordered = index_new(box), *shuffled = index_new(box);
		fold_range(ordered, j, 0, j->count);
		assert_is_naive(ordered, j);
		fold_shuffled(shuffled, j);
		assert_is_naive(shuffled, j);
		char *file;
		struct index *reopened = fold_with_snapshot(j, &file);
		assert_is_naive(reopened, j);
		struct str want = describe(ordered, &j->arena);
		assert_str(describe(shuffled, &j->arena), want);
		assert_str(describe(reopened, &j->arena), want);
		want = canonical(ordered, &j->arena);
		assert_true(str_eq(canonical(shuffled, &j->arena), want));
		assert_true(str_eq(canonical(reopened, &j->arena), want));
		index_free(ordered);
		index_free(shuffled);
		index_free(reopened);
		free(file);
		journal_free(j);
	}
}

static void ghosts_stay_until_forgotten(void **state)
{
	(void)state;
	random_set_seed(5);
	struct journal *j = journal_new(150);
	struct index *x = index_new(box);
	fold_range(x, j, 0, j->count);
	size_t ghosts, tombstones;
	uint64_t floor;
	const struct index_event *g = index_ghosts(x, &ghosts);
	assert_true(ghosts > 3);
	uint64_t middle = g[ghosts / 2].modseq;
	size_t later = ghosts - index_events_after(g, ghosts, middle);
	uint32_t before = index_count(x);
	assert_true(index_forget(x, middle, middle));
	(void)index_ghosts(x, &ghosts);
	assert_int_equal(ghosts, later);
	assert_true(index_count(x) < before);
	assert_false(index_forget(x, middle, middle));
	(void)index_forget(x, UINT64_MAX, UINT64_MAX);
	assert_int_equal(index_count(x), index_counters(x).messages);
	(void)index_tombstones(x, &tombstones, &floor);
	assert_int_equal(tombstones, before - index_count(x));
	/* An append row that comes after all of that does not bring a mail back. */
	for (size_t i = 0; i < j->count; i++)
		assert_ok(index_fold(x, &j->rows[i]));
	assert_is_naive(x, j);
	index_free(x);
	journal_free(j);
}

static void changes_list_what_is_above_a_modseq(void **state)
{
	(void)state;
	random_set_seed(9);
	struct journal *j = journal_new(200);
	struct index *x = index_new(box);
	fold_range(x, j, 0, j->count);
	for (uint64_t after = 0; after <= j->modseq; after += 7) {
		size_t count;
		uint64_t floor;
		const struct index_event *e = index_changes(x, &count, &floor);
		assert_int_equal(floor, 0);
		bool listed[MAILS + 2] = { false };
		for (size_t i = index_events_after(e, count, after); i < count; i++)
			listed[e[i].uid] = true;
		for (uint32_t uid = 1; uid < j->next_uid; uid++)
			if (!j->mails[uid].is_expunged && listed[uid])
				assert_true(j->mails[uid].modseq > after);
	}
	index_free(x);
	journal_free(j);
}

static void a_void_row_hides_its_mails_and_burns_their_uids(void **state)
{
	(void)state;
	random_set_seed(1);
	struct journal *j = journal_new(1);
	struct index *first = index_new(box), *second = index_new(box);
	struct row_mark mark = mark_of(j, 1);
	AUTO_BUF(b, 0);
	row_void_encode(&b, 0, &mark, 1);
	struct catalog_row row = { CATALOG_OP, 0, name_mint(&j->clock, NOW), buf_str(&b) };
	assert_ok(index_fold(first, &j->rows[0]));
	assert_ok(index_fold(first, &row));
	assert_ok(index_fold(second, &row));
	assert_ok(index_fold(second, &j->rows[0]));
	for (struct index *x = first; x; x = x == first ? second : NULL) {
		assert_int_equal(index_counters(x).messages, 0);
		assert_int_equal(index_next_uid(x), 2);
		index_free(x);
	}
	journal_free(j);
}

static void a_hole_makes_a_clients_modseq_worthless(void **state)
{
	(void)state;
	struct index *x = index_new(box);
	AUTO_BUF(b, 0);
	row_hole_encode(&b, 100, 200);
	struct catalog_row row = { CATALOG_OP, 0, { { 1 } }, buf_str(&b) };
	assert_ok(index_fold(x, &row));
	assert_int_equal(index_settle_modseq(x, 100), 100);
	assert_int_equal(index_settle_modseq(x, 101), 0);
	assert_int_equal(index_settle_modseq(x, 199), 0);
	assert_int_equal(index_settle_modseq(x, 200), 200);
	index_free(x);
}

/* Three mails, the commit row, the void of the commit row: any prefix in any order. */
static void batch_rows(struct arena *arena, struct catalog_row rows[5])
{
	struct name_clock clock = { .writer = 5 };
	struct row_id batch = { { 9 } };
	for (size_t i = 0; i < 5; i++) {
		AUTO_BUF(b, 0);
		struct row_append a = {
			.uid = (uint32_t)i + 1, .has_batch = true, .batch = batch, .size_virtual = 1
		};
		rows[i] = (struct catalog_row){ .kind = i < 3 ? CATALOG_APPEND : CATALOG_OP,
			.name = name_mint(&clock, NOW) };
		struct row_mark mark = { .name = rows[3].name, .uid = 13 };
		if (i < 3)
			row_append_encode(&b, &a);
		else if (i == 3)
			row_commit_encode(&b, &batch, 11, 99, 3);
		else
			row_void_encode(&b, 0, &mark, 1);
		rows[i].value = buf_dup(arena, &b);
	}
}

static void a_batch_counts_with_its_commit_row(void **state)
{
	(void)state;
	random_set_seed(1);
	struct catalog_row rows[5];
	AUTO_ARENA(arena, 0);
	batch_rows(&arena, rows);
	for (unsigned round = 0; round < 400; round++) {
		struct index *x = index_new(box);
		size_t count = round % 2 ? 5 : 4, order[5] = { 0, 1, 2, 3, 4 }, waiting;
		for (size_t i = 0; i < count; i++) {
			size_t other = i + (size_t)random_below(count - i), at = order[other];
			order[other] = order[i];
			order[i] = at;
			assert_ok(index_fold(x, &rows[at]));
			assert_ok(index_fold(x, &rows[at]));
		}
		assert_int_equal(index_counters(x).messages, count == 4 ? 3 : 0);
		assert_int_equal(index_next_uid(x), 14);
		(void)index_waiting(x, &arena, &waiting);
		assert_true(count == 5 || waiting == 0);
		for (uint32_t at = 0; count == 4 && at < 3; at++) {
			assert_int_equal(index_hot(x, at)->uid, 11 + at);
			assert_int_equal(index_hot(x, at)->modseq, 99);
			assert_int_equal(name_cmp(index_cold(x, at)->name, rows[at].name), 0);
		}
		index_end_batches(x);
		(void)index_waiting(x, &arena, &waiting);
		assert_int_equal(waiting, 0);
		index_free(x);
	}
}

/* All mails of many batches come before the first commit row, as a tail is read: takes minutes if what one costs
 * depends on how many wait. */
static void many_batches_wait_at_once(void **state)
{
	(void)state;
	enum { BATCHES = 1000, EACH = 200 };
	struct name_clock clock = { .writer = 5 };
	struct index *x = index_new(box);
	for (uint32_t i = 0; i < BATCHES * EACH; i++) {
		AUTO_BUF(b, 0);
		struct row_append a = { .uid = i / BATCHES + 1, .has_batch = true };
		put_be64(a.batch.bytes, i % BATCHES);
		row_append_encode(&b, &a);
		struct catalog_row row = { CATALOG_APPEND, 0, name_mint(&clock, NOW), buf_str(&b) };
		assert_ok(index_fold(x, &row));
	}
	for (uint32_t i = 0; i < BATCHES; i++) {
		AUTO_ARENA(arena, 0);
		AUTO_BUF(b, 0);
		struct row_id batch = { { 0 } };
		size_t waiting;
		put_be64(batch.bytes, i);
		(void)index_waiting_of(x, &batch, &arena, &waiting);
		assert_int_equal(waiting, EACH);
		row_commit_encode(&b, &batch, 1 + i * EACH, 99, EACH);
		struct catalog_row row = { CATALOG_OP, 0, name_mint(&clock, NOW), buf_str(&b) };
		assert_ok(index_fold(x, &row));
		assert_int_equal(index_counters(x).messages, (i + 1) * EACH);
	}
	assert_false(index_is_waiting(x));
	index_free(x);
}

/* Tens of thousands of mails: chunks fill, split and empty. */
static void large_mailboxes_keep_their_order(void **state)
{
	(void)state;
	enum { MANY = 3 * INDEX_CHUNK };
	struct index *x = index_new(box);
	for (uint32_t pass = 0; pass < 2; pass++) { /* even UIDs, then odd ones between them */
		for (uint32_t i = 1; i <= MANY; i++) {
			struct row_append a = { .uid = 2 * i + pass, .modseq = 1 };
			struct catalog_row row = { .kind = CATALOG_APPEND };
			put_be64(row.name.bytes, a.uid);
			AUTO_BUF(b, 0);
			row_append_encode(&b, &a);
			row.value = buf_str(&b);
			assert_ok(index_fold(x, &row));
		}
	}
	assert_int_equal(index_count(x), 2 * MANY);
	for (uint32_t at = 0; at < 2 * MANY; at++)
		assert_int_equal(index_hot(x, at)->uid, at + 2);
	for (uint32_t uid = 100; uid < MANY; uid += 1000) {
		static struct row_mark marks[1000];
		for (uint32_t i = 0; i < 1000; i++) {
			marks[i] = (struct row_mark){ .uid = uid + i };
			put_be64(marks[i].name.bytes, uid + i);
		}
		AUTO_BUF(b, 0);
		row_expunge_encode(&b, uid, marks, 1000);
		struct catalog_row row = { CATALOG_OP, 0, { { 1 } }, buf_str(&b) };
		assert_ok(index_fold(x, &row));
	}
	uint32_t left = index_counters(x).messages;
	(void)index_forget(x, UINT64_MAX, UINT64_MAX);
	assert_int_equal(index_count(x), left);
	for (uint32_t at = 1; at < left; at++)
		assert_true(index_hot(x, at)->uid > index_hot(x, at - 1)->uid);
	index_free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_order_gives_the_model),
		cmocka_unit_test(ghosts_stay_until_forgotten),
		cmocka_unit_test(changes_list_what_is_above_a_modseq),
		cmocka_unit_test(a_void_row_hides_its_mails_and_burns_their_uids),
		cmocka_unit_test(a_hole_makes_a_clients_modseq_worthless),
		cmocka_unit_test(a_batch_counts_with_its_commit_row),
		cmocka_unit_test(many_batches_wait_at_once),
		cmocka_unit_test(large_mailboxes_keep_their_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
