/* SPDX-License-Identifier: Apache-2.0 */
/* A writer voids rows that it was not sure of, and another one has told his sessions of them. */
#include "store/pair_test.h"

static void put_void(struct world *w, struct mailbox *m, uint32_t uid)
{
	uint32_t at;
	struct batch *b = batch_new(w->user);
	AUTO_BUF(value, 0);
	assert_true(index_find(m->index, uid, &at));
	struct row_mark mark = { .name = index_cold(m->index, at)->name, .uid = uid };
	row_void_encode(&value, 0, &mark, 1);
	batch_put_op(b, m->guid, m->bucket, &value);
	assert_ok(user_write(&w->op, w->user, b));
}

static void what_was_told_is_told_to_be_gone_in(struct pair *p)
{
	struct mailbox *a = world_box(p->a, "INBOX");
	uint32_t first = world_append(p->a, a, "a1"), second = world_append(p->a, a, "a2");
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	struct view *v = world_view(p->b, b);
	struct mail mail;
	assert_int_equal(view_exists(v), 2);
	put_void(p->a, a, first);
	refresh(p->b, b);
	/* Numbers are the old ones until it is told. */
	assert_true(view_get(v, 2, &mail));
	assert_int_equal(mail.uid, second);
	struct view_changes c = world_sync(p->b, v, true);
	assert_int_equal(c.expunged_count, 1);
	assert_int_equal(c.expunged_seqs[0], 1);
	assert_int_equal(c.expunged_uids[0], first);
	assert_true(view_get(v, 1, &mail));
	assert_int_equal(mail.uid, second);
	view_close(v);
	mailbox_unref(a);
	mailbox_unref(b);
}
PAIR_TEST(what_was_told_is_told_to_be_gone)

/* An append whose row is there, and which is voided: `b` tells his clients of it in between, if he is there. */
static uint64_t void_one(struct world *w, struct mailbox *m, struct world *b, struct mailbox *b_box)
{
	uint32_t uid;
	uint64_t before = index_modseq(m->index);
	catalog_fault_set(w->catalog,
		&(struct catalog_fault_plan){
			.fail_at = 1, .fail_after_doing = true, .fail_from_there = true });
	assert_err(world_try_append(w, m, "doubtful", &uid), ERR_UNAVAILABLE);
	catalog_fault_set(w->catalog, &(struct catalog_fault_plan){ 0 });
	op_forgive(&w->op);
	assert_int_equal(index_modseq(m->index), before); /* it would fall if we died now */
	if (b) {
		refresh(b, b_box);
		before = index_modseq(b_box->index);
	}
	assert_ok(user_settle(&w->op, w->user));
	return before;
}

/* Somebody may have told of the mail before its void came. */
static void its_modseq_is_not_given_again_in(struct pair *p)
{
	struct mailbox *a = world_box(p->a, "INBOX");
	(void)world_append(p->a, a, "a1");
	uint64_t before = modseq_restart(index_modseq(a->index), now_wall_us());
	index_raise(a->index, 0, before); /* far above the clock: they are counted */
	(void)void_one(p->a, a, NULL, NULL);
	assert_int_equal(index_counters(a->index).messages, 1);
	(void)world_append(p->a, a, "a2");
	assert_true(index_modseq(a->index) > before + 1);
	mailbox_unref(a);
	world_open_store(p->b);
}
PAIR_TEST(its_modseq_is_not_given_again)

/* Who told of it is gone; who voided it closes, or dies, and a third goes on above what was told. */
static void a_void_keeps_what_was_told_in(struct pair *p, bool dies)
{
	struct mailbox *a = world_box(p->a, "INBOX");
	(void)world_append(p->a, a, "a1");
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	refresh(p->a, a);
	(void)world_append(p->a, a, "a2");
	uint64_t before = index_modseq(a->index), told = void_one(p->a, a, p->b, b);
	assert_true(told > before);
	assert_true(index_modseq(a->index) >= told);
	mailbox_unref(b);
	world_crash(p->b);
	mailbox_unref(a);
	if (dies)
		world_crash(p->a);
	else
		world_stop(p->a);
	world_open_store(p->a);
	a = world_box(p->a, "INBOX");
	assert_int_equal(index_counters(a->index).messages, 2);
	assert_true(index_modseq(a->index) >= told);
	mailbox_unref(a);
	world_open_store(p->b);
	b = world_box(p->b, "INBOX");
	assert_true(index_modseq(b->index) >= told);
	assert_ok(mailbox_verify(&p->b->op, b));
	mailbox_unref(b);
}

static void a_void_keeps_what_was_told_also_by_who_closes_in(struct pair *p)
{
	a_void_keeps_what_was_told_in(p, false);
}
PAIR_TEST(a_void_keeps_what_was_told_also_by_who_closes)

static void a_void_keeps_what_was_told_also_by_who_dies_in(struct pair *p)
{
	a_void_keeps_what_was_told_in(p, true);
}
PAIR_TEST(a_void_keeps_what_was_told_also_by_who_dies)

/* ---- batches ---- */

#define MANY 150

static enum err find_commit(struct op *op, const struct catalog_row *row, void *arg)
{
	struct row_mark *found = arg;
	struct row_op_value v;
	(void)op;
	if (row->kind == CATALOG_OP && row_op_decode(row->value, &v) == ERR_NONE &&
		v.op == ROW_COMMIT)
		*found = (struct row_mark){ .name = row->name, .uid = v.uid, .oid = v.batch };
	return ERR_NONE;
}

/* As batch_void() does, or as somebody does who takes over. The writer himself told nobody of it. */
static void put_void_of_batch(struct world *w, struct mailbox *m, bool by_id)
{
	struct batch *b = batch_new(w->user);
	struct row_mark mark = { .uid = 0 };
	AUTO_BUF(value, 0);
	assert_ok(catalog_read_rows(&w->op, w->catalog, w->user->name, m->guid, 0, 0,
		(struct catalog_name){ { 0 } }, find_commit, &mark));
	assert_true(mark.uid > 0);
	if (by_id)
		row_void_batch_encode(&value, &mark.oid);
	else
		row_void_encode(&value, 0, &mark, 1);
	batch_put_op(b, m->guid, m->bucket, &value);
	batch_last(b)->is_quiet = true;
	assert_ok(user_write(&w->op, w->user, b));
}

enum knows { FROM_TAIL, LIVE, FROM_FILES };

static void a_batch_ends_in(struct pair *p, enum knows how, bool by_id)
{
	struct mailbox *a = world_box(p->a, "INBOX"), *b = NULL;
	uint32_t first = world_append(p->a, a, "first");
	if (how == LIVE) {
		world_open_store(p->b);
		b = world_box(p->b, "INBOX");
	}
	append_many(p->a, a, MANY);
	(void)world_append(p->a, a, "last");
	if (how == LIVE) {
		refresh(p->b, b);
	} else {
		world_open_store(p->b);
		b = world_box(p->b, "INBOX");
	}
	if (how == FROM_FILES) {
		mailbox_unref(b);
		world_stop(p->b);
		world_open_store(p->b);
		b = world_box(p->b, "INBOX");
	}
	struct view *v = world_view(p->b, b);
	struct mail mail, last;
	assert_int_equal(view_exists(v), MANY + 2);
	assert_true(view_get(v, MANY + 2, &last));
	put_void_of_batch(p->a, a, by_id);
	refresh(p->b, b);
	struct view_changes c = world_sync(p->b, v, true);
	assert_int_equal(c.expunged_count, MANY);
	assert_int_equal(view_exists(v), 2);
	assert_true(view_get(v, 1, &mail));
	assert_int_equal(mail.uid, first);
	assert_true(view_get(v, 2, &mail));
	assert_int_equal(mail.uid, last.uid);
	assert_ok(mailbox_verify(&p->b->op, b));
	/* Again: nothing is told, or written, twice. */
	uint64_t writes = catalog_counters(p->b->catalog).writes;
	refresh(p->b, b);
	assert_int_equal(catalog_counters(p->b->catalog).writes, writes);
	view_close(v);
	mailbox_unref(a);
	mailbox_unref(b);
}

static void a_void_of_a_commit_ends_its_mails_in(struct pair *p)
{
	a_batch_ends_in(p, FROM_TAIL, false);
}
PAIR_TEST(a_void_of_a_commit_ends_its_mails)

static void also_at_one_who_saw_it_live_in(struct pair *p)
{
	a_batch_ends_in(p, LIVE, false);
}
PAIR_TEST(also_at_one_who_saw_it_live)

static void also_at_one_who_has_it_from_files_in(struct pair *p)
{
	a_batch_ends_in(p, FROM_FILES, false);
}
PAIR_TEST(also_at_one_who_has_it_from_files)

static void a_void_of_its_id_ends_its_mails_in(struct pair *p)
{
	a_batch_ends_in(p, FROM_TAIL, true);
}
PAIR_TEST(a_void_of_its_id_ends_its_mails)

static void its_id_also_at_one_who_saw_it_live_in(struct pair *p)
{
	a_batch_ends_in(p, LIVE, true);
}
PAIR_TEST(its_id_also_at_one_who_saw_it_live)

static void its_id_also_at_one_who_has_it_from_files_in(struct pair *p)
{
	a_batch_ends_in(p, FROM_FILES, true);
}
PAIR_TEST(its_id_also_at_one_who_has_it_from_files)

/* ---- who opens ---- */

/* The UIDs from 1 to 1000 that are told to be gone since then. */
static struct str gone_since(struct world *w, struct mailbox *m, uint64_t modseq)
{
	struct range_set all, gone;
	AUTO_BUF(text, 0);
	struct view *v = world_view(w, m);
	range_set_init(&all);
	range_set_init(&gone);
	range_set_add(&all, 1, 1000);
	view_vanished(v, modseq, &all, &gone);
	range_set_print(&gone, &text);
	range_set_done(&all);
	range_set_done(&gone);
	view_close(v);
	return buf_dup(&w->arena, &text);
}

static enum err count_merge(struct op *op, const struct catalog_row *row, void *arg)
{
	size_t *count = arg;
	struct row_op_value v;
	(void)op;
	*count += row->kind == CATALOG_OP && row_op_decode(row->value, &v) == ERR_NONE &&
		  v.op == ROW_MERGE;
	return ERR_NONE;
}

static size_t merges_of(struct world *w, const struct mailbox *m)
{
	size_t count = 0;
	assert_ok(catalog_read_rows(&w->op, w->catalog, STR("u1@example.test"), m->guid, 0, 9,
		(struct catalog_name){ { 0 } }, count_merge, &count));
	return count;
}

/* `b` told his clients of them and closed; then `a`, who is frozen, voids them. */
static void who_opens_tells_it_in(struct pair *p, bool by_id)
{
	struct mailbox *a = world_box(p->a, "INBOX");
	assert_int_equal(world_append(p->a, a, "first"), 1);
	append_many(p->a, a, MANY);
	(void)world_append(p->a, a, "last");
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	assert_int_equal(index_counters(b->index).messages, MANY + 2);
	uint64_t told = index_modseq(b->index);
	mailbox_unref(b);
	world_stop(p->b);
	put_void(p->a, a, 1);
	put_void_of_batch(p->a, a, by_id);
	mailbox_unref(a);
	world_crash(p->a);
	struct world *c = world_beside(p->a, "host-c"), *worlds[] = { p->b, c, p->a, p->b };
	size_t merges = 0;
	for (size_t i = 0; i < ARRAY_COUNT(worlds); i++) {
		world_open_store(worlds[i]);
		struct mailbox *m = world_box(worlds[i], "INBOX");
		assert_int_equal(index_counters(m->index).messages, 1);
		assert_str(gone_since(worlds[i], m, told), STR("1:151"));
		merges = i == 0 ? merges_of(worlds[i], m) : merges;
		assert_int_equal(merges_of(worlds[i], m), merges);
		assert_ok(mailbox_verify(&worlds[i]->op, m));
		mailbox_unref(m);
		world_stop(worlds[i]);
	}
	assert_int_equal(merges, 1);
	world_open_store(p->a);
	world_end_beside(c);
}

static void who_opens_tells_of_a_void_in(struct pair *p)
{
	who_opens_tells_it_in(p, false);
}
PAIR_TEST(who_opens_tells_of_a_void)

static void who_opens_tells_of_a_void_by_id_in(struct pair *p)
{
	who_opens_tells_it_in(p, true);
}
PAIR_TEST(who_opens_tells_of_a_void_by_id)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_told_is_told_to_be_gone),
		cmocka_unit_test(its_modseq_is_not_given_again),
		cmocka_unit_test(a_void_keeps_what_was_told_also_by_who_closes),
		cmocka_unit_test(a_void_keeps_what_was_told_also_by_who_dies),
		cmocka_unit_test(a_void_of_a_commit_ends_its_mails),
		cmocka_unit_test(also_at_one_who_saw_it_live),
		cmocka_unit_test(also_at_one_who_has_it_from_files),
		cmocka_unit_test(a_void_of_its_id_ends_its_mails),
		cmocka_unit_test(its_id_also_at_one_who_saw_it_live),
		cmocka_unit_test(its_id_also_at_one_who_has_it_from_files),
		cmocka_unit_test(who_opens_tells_of_a_void),
		cmocka_unit_test(who_opens_tells_of_a_void_by_id),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
