/* SPDX-License-Identifier: Apache-2.0 */
/* Changes that come late, and what is said of them again: flags and expunges behind what a floor row says was seen,
 * mails whose rows lie before the tail. */
#include "store/pair_rows_test.h"

/* ---- behind a floor ---- */

static void flag_and_crash(struct pair *p, struct mailbox *a, uint32_t from, uint32_t to)
{
	struct view *v = world_view(p->a, a);
	world_flags(p->a, v, from, to, FLAGS_ADD, MAIL_FLAGGED | MAIL_SEEN);
	assert_ok(flags_journal_flush(&p->a->op, a));
	view_close(v);
	mailbox_unref(a);
	world_crash(p->a);
}

/* Opened, proved and closed; what it was then. */
static struct str seen_by(struct world *w)
{
	world_open_store(w);
	struct mailbox *m = world_box(w, "INBOX");
	struct str found = world_describe(w, m);
	assert_ok(mailbox_verify(&w->op, m));
	mailbox_unref(m);
	world_stop(w);
	return found;
}

/* Whoever opens it next, with files and without: all show the same, and nobody says anything any more. */
static void assert_is_told_once(struct pair *p, enum row_op op)
{
	struct world *c = world_beside(p->a, "host-c");
	struct mailbox *b = world_box(p->b, "INBOX");
	size_t count = rows_of(p->b, b, op).count;
	struct str want = world_describe(p->b, b);
	assert_ok(mailbox_verify(&p->b->op, b));
	mailbox_unref(b);
	world_stop(p->b);
	assert_str(seen_by(c), want);
	assert_str(seen_by(p->a), want);
	assert_str(seen_by(p->b), want);
	world_open_store(p->a);
	struct mailbox *a = world_box(p->a, "INBOX");
	assert_int_equal(rows_of(p->a, a, op).count, count);
	mailbox_unref(a);
	world_end_beside(c);
}

static void late_flags_are_said_again_in(struct pair *p)
{
	flag_and_crash(p, ended_by_b(p), 1, 2);
	world_open_store(p->b);
	uint64_t told = 0;
	for (size_t i = 0; i < p->b->user->head_count; i++)
		told = MAX(told, p->b->user->heads[i].head.modseq);
	struct mailbox *b = world_box(p->b, "INBOX");
	struct found row = rows_of(p->b, b, ROW_FLAGS);
	assert_int_equal(row.count, 2);
	assert_int_equal(row.groups, 1);
	assert_int_equal(row.group[0].count, 2);
	assert_int_equal(name_writer(row.name), p->b->user->writer);
	assert_true(hot_of(b, 1)->modseq > told && hot_of(b, 2)->modseq > told);
	assert_int_equal(hot_of(b, 1)->flags, MAIL_FLAGGED | MAIL_SEEN);
	mailbox_unref(b);
	assert_is_told_once(p, ROW_FLAGS);
}
PAIR_TEST(late_flags_are_said_again)

static void a_late_expunge_is_said_again_in(struct pair *p)
{
	struct mailbox *a = ended_by_b(p);
	struct view *v = world_view(p->a, a);
	uint32_t at;
	assert_true(index_find(a->index, 1, &at));
	struct catalog_name name = index_cold(a->index, at)->name;
	world_flags(p->a, v, 1, 1, FLAGS_ADD, MAIL_DELETED);
	assert_ok(view_expunge(&p->a->op, v, NULL));
	view_close(v);
	mailbox_unref(a);
	world_crash(p->a);
	world_open_store(p->b);
	uint64_t told = 0;
	for (size_t i = 0; i < p->b->user->head_count; i++)
		told = MAX(told, p->b->user->heads[i].head.modseq);
	struct mailbox *b = world_box(p->b, "INBOX");
	assert_int_equal(rows_of(p->b, b, ROW_EXPUNGE).count, 2);
	assert_true(index_gone_modseq(b->index, name) > told);
	assert_int_equal(index_counters(b->index).messages, 3);
	size_t flags = rows_of(p->b, b, ROW_FLAGS).count;
	mailbox_unref(b);
	assert_is_told_once(p, ROW_EXPUNGE);
	/* Of the flags of a mail that is gone nothing stands. */
	a = world_box(p->a, "INBOX");
	assert_int_equal(rows_of(p->a, a, ROW_FLAGS).count, flags);
	mailbox_unref(a);
}
PAIR_TEST(a_late_expunge_is_said_again)

/* The merge row is of `c`, who had seen the mail and not the flags: its greater modseq says nothing of them. */
static void also_behind_a_merge_row_in(struct pair *p)
{
	struct mailbox *a = ended_by_b(p);
	struct world *c = world_beside(p->a, "host-c");
	assert_int_equal(world_append(p->a, a, "a4"), 4);
	world_open_store(c);
	struct mailbox *of_c = world_box(c, "INBOX");
	uint32_t uid = index_next_uid(of_c->index) - 1;
	assert_int_equal(rows_of(c, of_c, ROW_MERGE).count, 1);
	uint64_t told = index_modseq(of_c->index), of_mail = hot_of(of_c, uid)->modseq;
	mailbox_unref(of_c);
	world_stop(c);
	flag_and_crash(p, a, 4, 4);
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	struct found row = rows_of(p->b, b, ROW_FLAGS);
	assert_int_equal(row.count, 2);
	assert_true(of_mail > 0 && row.group[0].modseq > told);
	assert_int_equal(hot_of(b, uid)->flags, MAIL_FLAGGED | MAIL_SEEN);
	assert_true(hot_of(b, uid)->modseq > told);
	mailbox_unref(b);
	assert_is_told_once(p, ROW_FLAGS);
	world_end_beside(c);
}
PAIR_TEST(also_behind_a_merge_row)

/* `c` took a flag of the first mail back, later, and set that of the third himself; `a` and he did not see each
 * other. */
static void only_what_stands_is_said_in(struct pair *p)
{
	struct mailbox *a = ended_by_b(p);
	struct world *c = world_beside(p->a, "host-c");
	world_open_store(c);
	struct mailbox *of_c = world_box(c, "INBOX");
	struct view *v = world_view(c, of_c);
	struct catalog_name first = index_cold(a->index, 0)->name,
			    second = index_cold(a->index, 1)->name;
	flag_and_crash(p, a, 1, 3);
	assert_ok(task_sleep(&c->op, US_PER_SEC / 10));
	world_flags(c, v, 1, 1, FLAGS_ADD, MAIL_FLAGGED);
	world_flags(c, v, 3, 3, FLAGS_ADD, MAIL_FLAGGED);
	world_flags(c, v, 1, 1, FLAGS_REMOVE, MAIL_FLAGGED);
	assert_ok(flags_journal_flush(&c->op, of_c));
	view_close(v);
	mailbox_unref(of_c);
	world_crash(c);
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	struct found row = rows_of(p->b, b, ROW_FLAGS);
	assert_int_equal(name_writer(row.name), p->b->user->writer);
	assert_int_equal(row.groups, 3);
	assert_int_equal(row.group[0].mask, MAIL_SEEN);
	assert_int_equal(row.group[1].mask, MAIL_SEEN | MAIL_FLAGGED);
	assert_int_equal(row.group[2].mask, MAIL_SEEN);
	assert_int_equal(name_cmp(row.first[0], first), 0);
	assert_int_equal(name_cmp(row.first[1], second), 0);
	assert_int_equal(hot_of(b, 1)->flags, MAIL_SEEN);
	mailbox_unref(b);
	assert_is_told_once(p, ROW_FLAGS);
	world_end_beside(c);
}
PAIR_TEST(only_what_stands_is_said)

/* ---- before the tail ---- */

/* A row of `a` that `b` never reads, since it became durable an hour after its name; `c` reads all rows. */
static void find_old_row_at_c(struct pair *p, struct world *c, bool is_live)
{
	struct mailbox *a, *b;
	one_mail_each(p, &a, &b);
	AUTO_BUF(value, 0);
	struct row_append row = { .uid = 2, .modseq = index_modseq(a->index) + 1 };
	row_append_encode(&value, &row);
	struct catalog_change put = { .kind = CATALOG_PUT_ROW,
		.mailbox = a->guid,
		.row = { CATALOG_APPEND, a->bucket, user_mint(p->a->user), buf_str(&value) } };
	mailbox_unref(a);
	world_crash(p->a);
	for (int i = 0; i < 6; i++) {
		assert_ok(task_sleep(&p->b->op, 600 * US_PER_SEC));
		refresh(p->b, b);
		(void)world_append(p->b, b, "more");
	}
	assert_ok(store_write_changes(&p->b->op, p->b->store, STR("u1@example.test"), &put, 1));
	refresh(p->b, b);
	assert_int_equal(index_counters(b->index).messages, 8);
	mailbox_unref(b);
	if (!is_live)
		world_stop(p->b);
	world_open_store(c);
	struct mailbox *of_c = world_box(c, "INBOX");
	assert_int_equal(index_counters(of_c->index).messages, 9);
	assert_int_equal(rows_of(c, of_c, ROW_MERGE).count, 1);
	mailbox_unref(of_c);
}

static void a_live_host_reads_it_back_in(struct pair *p)
{
	struct world *c = world_beside(p->a, "host-c");
	find_old_row_at_c(p, c, true);
	struct mailbox *of_c = world_box(c, "INBOX"), *b = world_box(p->b, "INBOX");
	refresh(p->b, b);
	assert_int_equal(index_counters(b->index).messages, 9);
	assert_str(world_describe(p->b, b), world_describe(c, of_c));
	assert_ok(mailbox_verify(&p->b->op, b));
	mailbox_unref(b);
	mailbox_unref(of_c);
	world_stop(c);
	world_end_beside(c);
	world_open_store(p->a);
}
PAIR_TEST(a_live_host_reads_it_back)

static void who_opens_reads_it_back_in(struct pair *p)
{
	struct world *c = world_beside(p->a, "host-c");
	find_old_row_at_c(p, c, false);
	world_stop(c);
	struct str at_b = seen_by(p->b);
	assert_str(seen_by(c), at_b);
	world_open_store(p->b);
	struct mailbox *b = world_box(p->b, "INBOX");
	assert_int_equal(index_counters(b->index).messages, 9);
	mailbox_unref(b);
	world_end_beside(c);
	world_open_store(p->a);
}
PAIR_TEST(who_opens_reads_it_back)

/* Without the numbers of the mailbox. */
static struct str mails_of(struct str described)
{
	return str_slice(described, (size_t)str_find(described, STR("\n")), described.n);
}

/* A change of `a` becomes durable 20 minutes after its name. `b` is there, and looks back that far; he has made a
 * base meanwhile, with which `c` opens the mailbox, who reads from its end. */
static void who_opens_with_a_base_knows(
	struct pair *p, struct catalog_change *change, size_t change_count)
{
	struct mailbox *b = world_box(p->b, "INBOX");
	for (int i = 0; i < 2; i++) {
		assert_ok(task_sleep(&p->b->op, 600 * US_PER_SEC));
		refresh(p->b, b);
		(void)world_append(p->b, b, "more");
	}
	assert_ok(mailbox_upload_base(&p->b->op, b, BASE_FLUSH));
	struct str before = world_describe(p->b, b);
	assert_ok(store_write_changes(
		&p->b->op, p->b->store, STR("u1@example.test"), change, change_count));
	b->late_ms = now_wall_us() / US_PER_MS;
	assert_ok(task_sleep(&p->b->op, US_PER_SEC));
	refresh(p->b, b);
	struct str after = world_describe(p->b, b);
	assert_false(str_eq(mails_of(after), mails_of(before)));
	mailbox_unref(b);
	world_stop(p->b);
	struct world *c = world_beside(p->b, "host-c");
	assert_str(mails_of(seen_by(c)), mails_of(after));
	world_end_beside(c);
	world_open_store(p->a);
}

/* Of the first mail, by `a`, who crashes before it is written. */
static void an_old_change(struct pair *p, enum row_op what)
{
	struct mailbox *a, *b;
	one_mail_each(p, &a, &b);
	mailbox_unref(b);
	struct row_mark mark = mailbox_mark_at(a, 0);
	struct row_flags_group seen = { .modseq = index_modseq(a->index) + 1,
		.stamp = (uint64_t)now_wall_us() / US_PER_MS << 16,
		.mask = MAIL_SEEN,
		.value = MAIL_SEEN,
		.count = 1 };
	AUTO_BUF(value, 0);
	if (what == ROW_EXPUNGE) {
		row_expunge_encode(&value, index_modseq(a->index) + 1, &mark, 1);
	} else if (what == ROW_VOID) {
		row_void_encode(&value, 0, &mark, 1);
	} else {
		row_flags_encode_head(&value, NULL, 0);
		row_flags_encode_group(&value, &seen, &mark);
	}
	struct catalog_change change[] = {
		{ .kind = CATALOG_PUT_ROW,
			.mailbox = a->guid,
			.row = { CATALOG_OP, a->bucket, user_mint(p->a->user), buf_str(&value) } },
		{ .kind = CATALOG_DELETE_ROW,
			.mailbox = a->guid,
			.row = { CATALOG_APPEND, mark.bucket, mark.name, STR_NONE } },
	};
	mailbox_unref(a);
	world_crash(p->a);
	who_opens_with_a_base_knows(p, change, what == ROW_FLAGS ? 1 : 2);
}

static void old_flags_are_in_the_tail_of_a_base_in(struct pair *p)
{
	an_old_change(p, ROW_FLAGS);
}
PAIR_TEST(old_flags_are_in_the_tail_of_a_base)

static void an_old_expunge_is_in_it_in(struct pair *p)
{
	an_old_change(p, ROW_EXPUNGE);
}
PAIR_TEST(an_old_expunge_is_in_it)

static void an_old_void_is_in_it_in(struct pair *p)
{
	an_old_change(p, ROW_VOID);
}
PAIR_TEST(an_old_void_is_in_it)

/* ---- what is looked for first ---- */

/* Meanwhile another took the \Deleted off. */
static void who_slept_looks_before_he_expunges_in(struct pair *p)
{
	struct mailbox *b, *a = world_box(p->a, "INBOX");
	for (int i = 0; i < 2; i++)
		(void)world_append(p->a, a, "a");
	struct view *va = world_view(p->a, a);
	world_flags(p->a, va, 1, 2, FLAGS_ADD, MAIL_DELETED);
	assert_ok(flags_journal_flush(&p->a->op, a));
	world_open_store(p->b);
	b = world_box(p->b, "INBOX");
	struct view *vb = world_view(p->b, b);
	world_flags(p->b, vb, 2, 2, FLAGS_REMOVE, MAIL_DELETED);
	assert_ok(flags_journal_flush(&p->b->op, b));
	p->a->user->looked_us -= 2 * p->a->store->settings.refresh_us + 1;
	assert_ok(view_expunge(&p->a->op, va, NULL));
	converge(p, a, b);
	assert_int_equal(index_counters(b->index).messages, 1);
	assert_int_equal(index_counters(b->index).deleted, 0);
	view_close(va);
	view_close(vb);
	mailbox_unref(a);
	mailbox_unref(b);
}
PAIR_TEST(who_slept_looks_before_he_expunges)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(late_flags_are_said_again),
		cmocka_unit_test(a_late_expunge_is_said_again),
		cmocka_unit_test(also_behind_a_merge_row),
		cmocka_unit_test(only_what_stands_is_said),
		cmocka_unit_test(a_live_host_reads_it_back),
		cmocka_unit_test(who_opens_reads_it_back),
		cmocka_unit_test(old_flags_are_in_the_tail_of_a_base),
		cmocka_unit_test(an_old_expunge_is_in_it),
		cmocka_unit_test(an_old_void_is_in_it),
		cmocka_unit_test(who_slept_looks_before_he_expunges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
