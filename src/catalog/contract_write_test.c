/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of catalog.h, run against every driver: what a write promises about limits, stamps, groups,
 * other writers, a new start and deadlines. */
#include "catalog/contract_test.h"

/* ---- limits ---- */

static void limits(struct place *p)
{
	char *big = arena_alloc(p->op->arena, CATALOG_VALUE_MAX + 1);
	assert_ok(write_one(p, row(CATALOG_APPEND, 0, 1, (struct str){ big, CATALOG_VALUE_MAX })));
	assert_err(
		write_one(p, row(CATALOG_APPEND, 0, 2, (struct str){ big, CATALOG_VALUE_MAX + 1 })),
		ERR_LIMIT);
	assert_err(write_one(p, head(inbox, STR(""), STR(""))), ERR_INVALID);
	assert_err(write_one(p, head(inbox, STR("a\0b"), STR(""))), ERR_INVALID);
	assert_err(write_one(p, head(inbox, (struct str){ big, 256 }, STR(""))), ERR_INVALID);
	assert_err(write_one(p, row(0, 0, 1, STR(""))), ERR_INVALID);
	struct catalog_change ok = head(inbox, STR("k"), STR("v"));
	assert_err(catalog_write(p->op, p->catalog, STR(""), &ok, 1), ERR_INVALID);
	assert_ok(catalog_write(p->op, p->catalog, user, NULL, 0));

	/* A batch with a bad change is not carried out at all. */
	const struct catalog_change batch[] = { ok, head(inbox, STR(""), STR("")) };
	assert_err(catalog_write(p->op, p->catalog, user, batch, 2), ERR_INVALID);
	struct catalog_head *found;
	size_t count;
	assert_ok(catalog_read_heads(p->op, p->catalog, user, &found, &count));
	assert_int_equal(count, 0);
}
static void limits_hold(void **state)
{
	run(state, limits);
}

/* ---- stamps and groups ---- */

static struct catalog_change stamped(struct catalog_change change, int64_t stamp_us)
{
	change.stamp_us = stamp_us;
	return change;
}

static void stamps(struct place *p)
{
	if (catalog_is_atomic(p->catalog))
		return; /* they carry out what they are given */
	struct catalog_change gone = row(CATALOG_APPEND, 0, 1, STR_NONE);
	gone.kind = CATALOG_DELETE_ROW;
	assert_ok(write_one(p, stamped(row(CATALOG_APPEND, 0, 1, STR("new")), 20)));
	assert_ok(write_one(p, stamped(row(CATALOG_APPEND, 0, 1, STR("old")), 10)));
	check_rows(p, inbox, 0, 0, "0:a:1=new ");
	assert_ok(write_one(p, stamped(gone, 19)));
	check_rows(p, inbox, 0, 0, "0:a:1=new ");
	assert_ok(write_one(p, stamped(gone, 20)));
	assert_ok(write_one(p, stamped(row(CATALOG_APPEND, 0, 1, STR("new")), 20)));
	check_rows(p, inbox, 0, 0, "");
	assert_ok(write_one(p, stamped(head(inbox, STR("k"), STR("closed")), 2)));
	assert_ok(write_one(p, stamped(head(inbox, STR("k"), STR("open")), 1)));
	struct catalog_head *found;
	size_t count;
	assert_ok(catalog_read_heads(p->op, p->catalog, user, &found, &count));
	assert_int_equal(count, 1);
	assert_str(found[0].value, STR("closed"));

	/* A deleted mailbox hides what comes late, in each of its buckets. */
	assert_ok(write_one(p, stamped(row(CATALOG_APPEND, 1, 5, STR("b")), 30)));
	assert_ok(write_one(p, stamped((struct catalog_change){ .kind = CATALOG_DELETE_MAILBOX,
					       .mailbox = inbox,
					       .row = { .bucket = 2 } },
				       40)));
	assert_ok(write_one(p, stamped(row(CATALOG_APPEND, 2, 6, STR("late")), 39)));
	check_rows(p, inbox, 0, 0, "");
	assert_ok(write_one(p, stamped(row(CATALOG_APPEND, 2, 6, STR("later")), 41)));
	check_rows(p, inbox, 0, 0, "2:a:6=later ");
}
static void a_head_ends_with_its_stamp(struct place *p)
{
	struct catalog_head *found;
	size_t count;
	if (catalog_is_atomic(p->catalog))
		return;
	assert_ok(write_one(p, stamped(head(inbox, STR("open/1"), STR("one")), 10)));
	assert_ok(catalog_read_heads(p->op, p->catalog, user, &found, &count));
	assert_int_equal(count, 1);
	assert_int_equal(found[0].stamp_us, 10);
	struct catalog_change gone =
		stamped(head(inbox, STR("open/1"), STR_NONE), found[0].stamp_us);
	gone.kind = CATALOG_DELETE_HEAD;
	assert_ok(write_one(p, stamped(head(inbox, STR("open/1"), STR("two")), 11)));
	assert_ok(write_one(p, gone));
	assert_ok(catalog_read_heads(p->op, p->catalog, user, &found, &count));
	assert_int_equal(count, 1);
	assert_int_equal(found[0].stamp_us, 11);
	gone.stamp_us = 11;
	assert_ok(write_one(p, gone));
	assert_ok(write_one(p, stamped(head(inbox, STR("open/1"), STR("two")), 11)));
	assert_ok(catalog_read_heads(p->op, p->catalog, user, &found, &count));
	assert_int_equal(count, 0);
}
static void heads_are_ended_by_their_stamps(void **state)
{
	run(state, a_head_ends_with_its_stamp);
}

static void ops_are_dropped_by_range(struct place *p)
{
	struct catalog_change drop = row(CATALOG_OP, 0, 3, STR_NONE);
	drop.kind = CATALOG_DELETE_OPS;
	for (uint64_t name = 1; name <= 4; name++) {
		assert_ok(write_one(p, stamped(row(CATALOG_OP, 0, name, STR("x")), 10)));
		assert_ok(write_one(p, stamped(row(CATALOG_APPEND, 0, name, STR("y")), 10)));
	}
	assert_ok(write_one(p, stamped(row(CATALOG_OP, 1, 1, STR("z")), 10)));
	assert_ok(write_one(p, stamped(drop, 20)));
	check_rows(p, inbox, 0, 0, "0:a:1=y 1:o:1=z 0:a:2=y 0:a:3=y 0:o:3=x 0:a:4=y 0:o:4=x ");
	if (catalog_is_atomic(p->catalog))
		return;
	assert_ok(write_one(p, stamped(row(CATALOG_OP, 0, 2, STR("late")), 15)));
	assert_ok(write_one(p, stamped(row(CATALOG_OP, 0, 4, STR("q")), 15)));
	check_rows(p, inbox, 0, 0, "0:a:1=y 1:o:1=z 0:a:2=y 0:a:3=y 0:o:3=x 0:a:4=y 0:o:4=q ");
}
static void op_rows_go_by_one_deletion(void **state)
{
	run(state, ops_are_dropped_by_range);
}

static void the_highest_stamp_wins(void **state)
{
	run(state, stamps);
}

static void group_ends(struct place *p)
{
	char *big = arena_alloc(p->op->arena, CATALOG_GROUP_MAX);
	struct str half = { big, CATALOG_GROUP_MAX / 2 }, whole = { big, CATALOG_GROUP_MAX };
	const struct catalog_change changes[] = {
		head(inbox, STR("a"), STR("1")),
		head(trash, STR("b"), STR("2")),
		row(CATALOG_APPEND, 0, 1, STR("v")),
		row(CATALOG_OP, 0, 2, half),
		row(CATALOG_APPEND, 0, 3, half),
		row(CATALOG_APPEND, 1, 4, STR("v")),
		row(CATALOG_APPEND, 1, 5, whole),
		{ .kind = CATALOG_PUT_GARBAGE, .object = STR("o") },
		{ .kind = CATALOG_PUT_GARBAGE, .object = STR("o") },
		{ .kind = CATALOG_PUT_REVERSE, .object = STR("o") },
		{ .kind = CATALOG_PUT_REVERSE, .mailbox = inbox, .object = STR("o") },
		{ .kind = CATALOG_DELETE_REVERSE, .mailbox = inbox, .object = STR("oo") },
		{ .kind = CATALOG_PUT_REVERSE, .mailbox = inbox, .object = STR("p") },
		{ .kind = CATALOG_PUT_REVERSE,
			.mailbox = inbox,
			.object = STR("p"),
			.begins_group = true },
		{ .kind = CATALOG_PUT_REVERSE, .mailbox = trash, .object = STR("p") },
	};
	static const size_t ends[] = { 2, 4, 5, 6, 7, 8, 9, 12, 13, 15 };
	for (size_t from = 0, i = 0; i < ARRAY_COUNT(ends); from = ends[i++])
		assert_int_equal(catalog_group_end(changes, ARRAY_COUNT(changes), from), ends[i]);
	struct catalog_change *many =
		ARENA_NEW_ARRAY(p->op->arena, struct catalog_change, CATALOG_GROUP_COUNT + 1);
	for (uint64_t i = 0; i <= CATALOG_GROUP_COUNT; i++)
		many[i] = row(CATALOG_APPEND, 0, i + 1, STR("v"));
	assert_int_equal(catalog_group_end(many, CATALOG_GROUP_COUNT + 1, 0), CATALOG_GROUP_COUNT);
}
static void groups_are_of_one_partition(void **state)
{
	run(state, group_ends);
}

static void prefixes(struct place *p)
{
	if (!str_starts(p->text, STR("fault:")) || catalog_is_atomic(p->catalog))
		return;
	const struct catalog_change changes[] = {
		stamped(head(inbox, STR("k"), STR("v")), 1),
		stamped(row(CATALOG_APPEND, 0, 1, STR("one")), 1),
		stamped(row(CATALOG_APPEND, 1, 2, STR("two")), 1),
	};
	struct catalog_fault_plan plan = { .fail_at = 2 };
	catalog_fault_set(p->catalog, &plan);
	assert_err(catalog_write(p->op, p->catalog, user, changes, 3), ERR_UNAVAILABLE);
	check_rows(p, inbox, 0, 0, "");
	plan.fail_after_doing = true;
	catalog_fault_set(p->catalog, &plan);
	assert_err(catalog_write(p->op, p->catalog, user, changes, 3), ERR_UNAVAILABLE);
	assert_int_equal(catalog_fault_requests(p->catalog), 2);
	check_rows(p, inbox, 0, 0, "0:a:1=one ");
	plan = (struct catalog_fault_plan){ .fail_at = 3, .fail_late = true };
	catalog_fault_set(p->catalog, &plan);
	assert_err(catalog_write(p->op, p->catalog, user, changes, 3), ERR_UNAVAILABLE);
	check_rows(p, inbox, 0, 0, "0:a:1=one ");
	assert_ok(catalog_fault_replay(p->op, p->catalog));
	check_rows(p, inbox, 0, 0, "0:a:1=one 1:a:2=two ");
}
static void a_failure_leaves_a_prefix_of_groups(void **state)
{
	run(state, prefixes);
}

static void clock_told(struct place *p)
{
	int64_t before_us = now_wall_us(), wall_us = 0;
	assert_ok(catalog_clock(p->op, p->catalog, &wall_us));
	assert_true(wall_us >= before_us - 60 * US_PER_SEC);
	assert_true(wall_us <= now_wall_us() + 60 * US_PER_SEC);
}
static void the_clock_is_told(void **state)
{
	run(state, clock_told);
}

/* ---- at the same time, and again ---- */

struct writer {
	struct place *p;
	unsigned number;
};

static enum err write_some(struct op *op, void *arg)
{
	struct writer *w = arg;
	struct str u = str_printf(op->arena, "w%u", w->number % 5);
	for (unsigned i = 0; i < 25; i++) {
		struct catalog_change changes[] = {
			row(CATALOG_APPEND, 0, w->number * 1000 + i, STR("v")),
			head(inbox, str_printf(op->arena, "k%u", w->number), STR("v")),
		};
		TRY(catalog_write(op, w->p->catalog, u, changes, 2));
	}
	return ERR_NONE;
}

static void together(struct place *p)
{
	struct writer writers[20];
	struct task_group *g = task_group_new(p->op);
	for (unsigned i = 0; i < ARRAY_COUNT(writers); i++) {
		writers[i] = (struct writer){ p, i };
		task_group_start(g, "writer", write_some, &writers[i]);
	}
	assert_ok(task_group_finish(p->op, g));
	struct catalog_counters c = catalog_counters(p->catalog);
	if (catalog_is_atomic(p->catalog))
		assert_int_equal(c.writes, 500);
	if (p->variant->keeps == IN_FILES)
		assert_true(c.commits < 400); /* they met in transactions */
	for (unsigned i = 0; i < 5; i++) {
		struct seen seen = { 0 };
		struct catalog_head *found;
		size_t count;
		struct str u = str_printf(p->op->arena, "w%u", i);
		assert_ok(catalog_read_rows(p->op, p->catalog, u, inbox, 0, 20,
			(struct catalog_name){ { 0 } }, see, &seen));
		assert_int_equal(seen.count, 100);
		assert_ok(catalog_read_heads(p->op, p->catalog, u, &found, &count));
		assert_int_equal(count, 4);
		buf_done(&seen.text);
	}
}
static void writers_share_transactions(void **state)
{
	run(state, together);
}

static void reopen(struct place *p)
{
	if (p->variant->keeps == IN_MEMORY)
		return;
	bool is_cluster = p->variant->keeps == IN_CLUSTER;
	assert_ok(write_one(p, row(CATALOG_APPEND, 0, 1, STR("kept"))));
	catalog_close(p->op, p->catalog);
	ssize_t at = str_find(p->text, STR(",4"));
	struct str other = str_printf(p->op->arena, "%.*s,5%.*s", (int)at, p->text.p,
		STRF(str_slice(p->text, (size_t)at + 2, p->text.n)));
	if (is_cluster) {
		/* The cluster need not be there when it is opened. */
		assert_ok(catalog_open_text(p->op, other, &p->catalog));
		assert_err(write_one(p, row(CATALOG_APPEND, 0, 2, STR("no"))), ERR_UNAVAILABLE);
		catalog_close(p->op, p->catalog);
	} else {
		assert_err(catalog_open_text(p->op, other, &p->catalog), ERR_INVALID);
	}
	assert_true(str_find(str_from(p->op->failure.text), STR("4 shards")) >= 0);
	assert_ok(catalog_open_text(p->op, p->text, &p->catalog));
	check_rows(p, inbox, 0, 0, "0:a:1=kept ");
}
static void rows_outlive_the_handle(void **state)
{
	run(state, reopen);
}

static void deadline(struct place *p)
{
	if (p->variant->keeps != IN_FILES)
		return; /* memory never waits; a cluster is not asked when it is too late */
	p->op->deadline_us = now_us() - 1;
	assert_err(write_one(p, row(CATALOG_APPEND, 0, 1, STR("late"))), ERR_TIMEOUT);
	struct catalog_head *found;
	size_t count;
	assert_err(catalog_read_heads(p->op, p->catalog, user, &found, &count), ERR_TIMEOUT);
	p->op->deadline_us = TIME_NEVER;
	assert_ok(write_one(p, row(CATALOG_APPEND, 0, 2, STR("in time"))));
	check_rows(p, inbox, 0, 0, "0:a:1=late 0:a:2=in time ");
}
static void a_passed_deadline_leaves_the_batch_to_the_commit_task(void **state)
{
	run(state, deadline);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONTRACT_TEST(limits_hold),
		CONTRACT_TEST(the_highest_stamp_wins),
		CONTRACT_TEST(op_rows_go_by_one_deletion),
		CONTRACT_TEST(heads_are_ended_by_their_stamps),
		CONTRACT_TEST(groups_are_of_one_partition),
		CONTRACT_TEST(a_failure_leaves_a_prefix_of_groups),
		CONTRACT_TEST(the_clock_is_told),
		CONTRACT_TEST(writers_share_transactions),
		CONTRACT_TEST(rows_outlive_the_handle),
		CONTRACT_TEST(a_passed_deadline_leaves_the_batch_to_the_commit_task),
	};
	return contract_run(tests, ARRAY_COUNT(tests));
}
