/* SPDX-License-Identifier: Apache-2.0 */
/* Batches of others, as a live mailbox folds them (merge.c): a mail of a batch has its place there instead of a
 * UID and a modseq; its commit row gives them. That is known, or lies among the rows that were read, or is not
 * durable yet: such a mail waits for the next look. Of a batch that was voided nothing counts, whatever else is
 * said of it. */
#include "store/tail_private.h"

/* Copies of the op rows: few beside the mails of large batches. */
static struct kept_rows collect_ops(const struct tail *t, const struct kept_rows *rows)
{
	struct kept_rows ops = { .items = ARENA_NEW_ARRAY(
					 t->arena, struct kept_row, MAX(rows->count, 1)) };
	for (size_t i = 0; i < rows->count; i++)
		if (rows->items[i].row.kind == CATALOG_OP)
			ops.items[ops.count++] = rows->items[i];
	return ops;
}

static bool find_commit(const struct index *x, const struct kept_rows *ops,
	const struct row_id *batch, struct row_op_value *out)
{
	const struct snapshot_batch *known = index_batch(x, batch);
	bool is_found = known && known->count > 0;
	if (known && !is_found)
		return false;
	if (is_found)
		*out = (struct row_op_value){
			.uid = known->uid, .modseq = known->modseq, .count = known->count
		};
	for (size_t i = 0; i < ops->count; i++) {
		struct row_op_value v;
		const struct catalog_row *row = &ops->items[i].row;
		if (row_op_decode(row->value, &v) != ERR_NONE ||
			memcmp(&v.batch, batch, sizeof(*batch)) != 0)
			continue;
		if (v.op == ROW_VOID_BATCH)
			return false;
		if (v.op == ROW_COMMIT && !index_is_gone(x, row->name)) {
			is_found = true;
			*out = v;
		}
	}
	return is_found;
}

void tail_resolve_batches(const struct tail *t, struct kept_rows *rows)
{
	const struct index *x = t->mailbox->index;
	size_t kept = 0;
	struct kept_rows ops = collect_ops(t, rows);
	for (size_t i = 0; i < rows->count; i++) {
		struct catalog_row row = rows->items[i].row;
		struct row_append a;
		struct row_op_value commit;
		bool has_batch = row.kind == CATALOG_APPEND &&
				 row_append_decode(row.value, &a) == ERR_NONE && a.has_batch;
		if (has_batch) {
			if (!find_commit(x, &ops, &a.batch, &commit) || a.uid > commit.count ||
				index_knows(x, row.name, commit.uid + a.uid - 1))
				continue;
			AUTO_BUF(value, 0);
			a.uid += commit.uid - 1;
			a.modseq = commit.modseq;
			a.has_batch = false;
			row_append_encode(&value, &a);
			row.value = buf_dup(t->arena, &value);
		}
		rows->items[kept++].row = row;
	}
	rows->count = kept;
}
