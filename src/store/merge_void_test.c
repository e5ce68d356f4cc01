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
	row_void_encode(&value, &mark, 1);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_told_is_told_to_be_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
