/* SPDX-License-Identifier: Apache-2.0 */
/* What the journal of INBOX says, for tests of two hosts. Included by *_test.c only. */
#pragma once

#include "store/pair_test.h"

/* Rows of a kind in INBOX, and the groups of the last one. */
struct found {
	enum row_op op;
	size_t count, groups;
	struct catalog_name name;
	struct row_flags_group group[16];
	struct catalog_name first[16]; /* the mail that a group names first */
};

static inline enum err find_row(struct op *op, const struct catalog_row *row, void *arg)
{
	struct found *f = arg;
	struct row_op_value v;
	(void)op;
	if (row->kind != CATALOG_OP || row_op_decode(row->value, &v) != ERR_NONE || v.op != f->op)
		return ERR_NONE;
	f->count++;
	f->groups = 0;
	f->name = row->name;
	while (v.op == ROW_FLAGS && f->groups < ARRAY_COUNT(f->group) &&
		row_flags_next(&v.groups, v.keyword_count, &f->group[f->groups])) {
		struct row_mark mark;
		assert_true(row_mark_next(v.op, &f->group[f->groups].marks, &mark));
		f->first[f->groups++] = mark.name;
	}
	return ERR_NONE;
}

static inline struct found rows_of(struct world *w, const struct mailbox *m, enum row_op op)
{
	static const struct catalog_name all;
	struct found f = { .op = op };
	assert_ok(catalog_read_rows(
		&w->op, w->catalog, STR("u1@example.test"), m->guid, 0, 9, all, find_row, &f));
	return f;
}

static inline uint64_t now_ms(void)
{
	return (uint64_t)(now_wall_us() / US_PER_MS);
}

static inline const struct snapshot_hot *hot_of(const struct mailbox *m, uint32_t uid)
{
	uint32_t at;
	assert_true(index_find(m->index, uid, &at));
	return index_hot(m->index, at);
}
