/* SPDX-License-Identifier: Apache-2.0 */
/* Values of rows and heads: decoding is total, and what was decoded encodes to the same bytes. */
#include "objects/frame.h"
#include "store/format/head.h"
#include "store/format/row.h"

#define LISTS_MAX (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(struct row_op_value *v)
{
	struct row_mark mark;
	struct row_flags_group group;
	struct row_rename rename;
	size_t n = 0;
	while (row_mark_next(v->op, &v->marks, &mark))
		n++;
	while (row_flags_next(&v->groups, v->keyword_count, &group)) {
		size_t marks = 0;
		while (row_mark_next(ROW_FLAGS, &group.marks, &mark))
			marks++;
		ASSERT(marks == group.count);
		n++;
	}
	while (row_rename_next(&v->renames, &rename))
		n++;
	ASSERT(v->op == ROW_COMMIT || n == v->count);
}

/* Lists of a root head as a frame: at most what the store would read, and less, to be quick. */
static void unpack(struct head_root *root)
{
	struct op op;
	struct head_mailbox m;
	AUTO_ARENA(arena, 0);
	AUTO_BUF(lists, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	bool is_lists =
		root->form == HEAD_ROOT_PACKED && root->plain_bytes <= LISTS_MAX &&
		frame_unpack(&op, root->rest, (size_t)root->plain_bytes, &lists) == ERR_NONE &&
		head_root_take_lists(root, buf_str(&lists)) == ERR_NONE;
	for (size_t i = 0; is_lists && i < root->mailbox_count; i++)
		ASSERT(head_root_next_mailbox(&root->rest, &m));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };
	struct row_append append;
	struct row_op_value op;
	struct head_writer writer;
	struct head_root root;
	uint32_t bucket;
	AUTO_BUF(again, 0);
	if (row_append_decode(in, &append) == ERR_NONE) {
		row_append_encode(&again, &append);
		/* The second byte says whether there is a summary, also when it has faded. */
		ASSERT(again.n == in.n && again.p[0] == in.p[0]);
		ASSERT(append.summary.n == 0 || again.p[1] == in.p[1]);
		ASSERT(str_eq(str_slice(buf_str(&again), 2, again.n), str_slice(in, 2, in.n)));
	}
	if (row_op_decode(in, &op) == ERR_NONE)
		walk(&op);
	if (head_writer_decode(in, &writer) == ERR_NONE) {
		buf_clear(&again);
		head_writer_encode(&again, &writer);
		ASSERT(str_eq(buf_str(&again), in));
	}
	if (head_root_decode(in, &root) == ERR_NONE)
		unpack(&root);
	(void)(head_bucket_decode(in, &bucket) == ERR_NONE);
	return 0;
}
