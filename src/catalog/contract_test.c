/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of catalog.h, run against every driver. A new one is a new row in `variants`. Each
 * test is one task on a real loop with real offload threads. */
#include "catalog/catalog.h"

#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/number.h"
#include "catalog/cluster_test.h"
#include "task/task.h"

enum keeps { IN_MEMORY, IN_FILES, IN_CLUSTER };
struct variant {
	const char *name;
	const char
		*text; /* "%s" is a fresh directory; of a cluster: what stands before "cql(...)" */
	enum keeps keeps;
};
static const struct variant variants[] = {
	{ "mem", "mem(4)", IN_MEMORY },
	{ "mem(loose)", "mem(4,loose)", IN_MEMORY },
	{ "sqlite", "sqlite(%s,4)", IN_FILES },
	{ "fault:mem", "fault:mem(4)", IN_MEMORY },
	{ "fault:mem(loose)", "fault:mem(4,loose)", IN_MEMORY },
	{ "fault:sqlite", "fault:sqlite(%s,4)", IN_FILES },
	{ "cql", "", IN_CLUSTER },
	{ "fault:cql", "fault:", IN_CLUSTER },
};

struct place {
	const struct variant *variant;
	struct op *op;
	struct catalog *catalog;
	struct str text;
	void (*body)(struct place *p);
};

static void place_task(void *arg)
{
	struct place *p = arg;
	assert_ok(catalog_open_text(p->op, p->text, &p->catalog));
	p->body(p);
	catalog_close(p->op, p->catalog);
	loop_stop();
}

static void run(void **state, void (*body)(struct place *p))
{
	const struct variant *variant = *state;
	if (variant->keeps == IN_CLUSTER && !cluster_address())
		skip();
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	char dir[] = "/tmp/catalog-test-XXXXXX";
	assert_non_null(mkdtemp(dir));
	struct str text = str_from(variant->text);
	ssize_t at = str_find(text, STR("%s"));
	if (at >= 0)
		text = str_printf(
			&arena, "%.*s%s/deep/er%s", (int)at, text.p, dir, variant->text + at + 2);
	if (variant->keeps == IN_CLUSTER)
		text = str_printf(&arena, "%s%.*s", variant->text, STRF(cluster_catalog(&arena)));
	struct place p = { .variant = variant, .op = &op, .text = text, .body = body };
	assert_ok(loop_open(&op, NULL));
	task_start("test", place_task, &p);
	loop_run();
	loop_close();
	assert_ok(file_remove_tree(&op, dir));
}

/* ---- shorthand ---- */

static const struct str user = { "u1@example.test", 15 };
static const struct catalog_guid inbox = { { 1, 2, 3 } };
static const struct catalog_guid trash = { { 1, 2, 4 } };

static struct catalog_name name(uint64_t n)
{
	struct catalog_name v = { { 0 } };
	put_be64(v.bytes, n);
	v.bytes[15] = 7;
	return v;
}

static struct catalog_change row(
	enum catalog_kind kind, uint32_t bucket, uint64_t n, struct str value)
{
	return (struct catalog_change){ .kind = CATALOG_PUT_ROW,
		.mailbox = inbox,
		.row = { .kind = kind, .bucket = bucket, .name = name(n), .value = value } };
}

static struct catalog_change head(struct catalog_guid mailbox, struct str key, struct str value)
{
	return (struct catalog_change){
		.kind = CATALOG_PUT_HEAD, .mailbox = mailbox, .key = key, .value = value
	};
}

static enum err write_one(struct place *p, struct catalog_change change)
{
	return catalog_write(p->op, p->catalog, user, &change, 1);
}

/* What a read of rows gave, as "bucket:kind:name=value " each. */
struct seen {
	struct buf text;
	size_t count;
	size_t stop_at;
	uint64_t last;
};

static enum err see(struct op *op, const struct catalog_row *r, void *arg)
{
	struct seen *seen = arg;
	uint64_t n = get_be64(r->name.bytes);
	assert_true(seen->count == 0 || n >= seen->last);
	seen->last = n;
	seen->count++;
	if (seen->text.n < 1000)
		buf_putf(&seen->text, "%" PRIu32 ":%c:%" PRIu64 "=%.*s ", r->bucket,
			r->kind == CATALOG_APPEND ? 'a' : 'o', n, STRF(r->value));
	return seen->count == seen->stop_at ? op_fail(op, ERR_CANCELLED, "enough") : ERR_NONE;
}

static void check_buckets(struct place *p, struct catalog_guid mailbox, uint32_t bucket,
	uint32_t last_bucket, uint64_t after, const char *text)
{
	struct seen seen = { 0 };
	struct catalog_name from = name(after);
	if (after == 0)
		from = (struct catalog_name){ { 0 } };
	assert_ok(catalog_read_rows(
		p->op, p->catalog, user, mailbox, bucket, last_bucket, from, see, &seen));
	assert_str(buf_str(&seen.text), str_from(text));
	buf_done(&seen.text);
}

static void check_rows(struct place *p, struct catalog_guid mailbox, uint32_t bucket,
	uint64_t after, const char *text)
{
	check_buckets(p, mailbox, bucket, 20, after, text);
}

/* ---- rows ---- */

static void rows(struct place *p)
{
	check_rows(p, inbox, 0, 0, "");
	const struct catalog_change changes[] = {
		row(CATALOG_APPEND, 0, 1, STR("one")),
		row(CATALOG_APPEND, 0, 2, STR("two")),
		row(CATALOG_OP, 0, 3, STR("")),
		row(CATALOG_APPEND, 1, 4, STR("four")),
		row(CATALOG_OP, 1, 5, STR("five")),
		row(CATALOG_APPEND, 1, 6, STR("six")),
		row(CATALOG_APPEND, 0, 7, STR("late")),
		row(CATALOG_APPEND, 9, 8, STR("far")),
	};
	assert_ok(catalog_write(p->op, p->catalog, user, changes, ARRAY_COUNT(changes)));
	check_rows(p, inbox, 0, 0,
		"0:a:1=one 0:a:2=two 0:o:3= 1:a:4=four 1:o:5=five 1:a:6=six 0:a:7=late 9:a:8=far ");
	check_rows(p, inbox, 0, 5, "1:a:6=six 0:a:7=late 9:a:8=far ");
	check_rows(p, inbox, 1, 0, "1:a:4=four 1:o:5=five 1:a:6=six 9:a:8=far ");
	check_rows(p, inbox, 10, 0, "");
	check_buckets(p, inbox, 0, 0, 2, "0:o:3= 0:a:7=late ");
	check_buckets(p, inbox, 1, 1, 0, "1:a:4=four 1:o:5=five 1:a:6=six ");
	check_rows(p, inbox, 0, 8, "");
	check_rows(p, trash, 0, 0, "");

	/* Repeating is harmless, another value replaces. */
	assert_ok(catalog_write(p->op, p->catalog, user, changes, 2));
	assert_ok(write_one(p, row(CATALOG_APPEND, 0, 1, STR("uno"))));
	struct catalog_change gone = row(CATALOG_OP, 0, 3, STR_NONE);
	gone.kind = CATALOG_DELETE_ROW;
	assert_ok(write_one(p, gone));
	assert_ok(write_one(p, gone));
	check_rows(p, inbox, 0, 0,
		"0:a:1=uno 0:a:2=two 1:a:4=four 1:o:5=five 1:a:6=six 0:a:7=late 9:a:8=far ");

	bool has_row;
	assert_ok(catalog_has_row(p->op, p->catalog, user, inbox, 1, name(4), &has_row));
	assert_true(has_row);
	assert_ok(catalog_has_row(p->op, p->catalog, user, inbox, 1, name(5), &has_row));
	assert_false(has_row); /* an op row */
	assert_ok(catalog_has_row(p->op, p->catalog, user, inbox, 0, name(4), &has_row));
	assert_false(has_row);

	struct catalog_change other = row(CATALOG_APPEND, 0, 1, STR("other"));
	other.mailbox = trash;
	assert_ok(write_one(p, other));
	assert_ok(write_one(p, (struct catalog_change){ .kind = CATALOG_DELETE_MAILBOX,
				       .mailbox = inbox,
				       .row = { .bucket = 9 } }));
	check_rows(p, inbox, 0, 0, "");
	check_rows(p, trash, 0, 0, "0:a:1=other ");
}
static void rows_come_in_the_order_of_names(void **state)
{
	run(state, rows);
}

static void many_rows(struct place *p)
{
	enum { COUNT = 3000 };
	struct catalog_change *changes =
		ARENA_NEW_ARRAY(p->op->arena, struct catalog_change, COUNT);
	for (uint32_t i = 0; i < COUNT; i++)
		changes[i] = row(i % 3 ? CATALOG_APPEND : CATALOG_OP, i / 1000, 5000 - i,
			STR("a value of some bytes"));
	assert_ok(catalog_write(p->op, p->catalog, user, changes, COUNT));
	struct seen seen = { 0 };
	assert_ok(catalog_read_rows(
		p->op, p->catalog, user, inbox, 0, 20, (struct catalog_name){ { 0 } }, see, &seen));
	assert_int_equal(seen.count, COUNT);
	assert_int_equal(seen.last, 5000);
	buf_clear(&seen.text);
	seen = (struct seen){ .text = seen.text, .stop_at = 700 };
	assert_err(catalog_read_rows(p->op, p->catalog, user, inbox, 0, 20,
			   (struct catalog_name){ { 0 } }, see, &seen),
		ERR_CANCELLED);
	assert_int_equal(seen.count, 700);
	buf_done(&seen.text);
	struct catalog_counters c = catalog_counters(p->catalog);
	assert_int_equal(c.failures, 0);
	if (catalog_is_atomic(p->catalog)) {
		assert_int_equal(c.writes, 1);
		assert_int_equal(c.commits, 1);
	}
	assert_int_equal(c.rows_written, COUNT);
	assert_int_equal(c.rows_read, COUNT + 700);
}
static void many_rows_are_read_in_pieces(void **state)
{
	run(state, many_rows);
}

/* The tail of a mailbox: a day of a busy one, in two buckets, of which the last minutes are asked for. */
static void tail(struct place *p)
{
	enum { COUNT = 25000, PIECE = 1000 };
	struct catalog_change *changes =
		ARENA_NEW_ARRAY(p->op->arena, struct catalog_change, PIECE);
	for (uint64_t n = 1; n <= COUNT; n += PIECE) {
		for (uint64_t i = 0; i < PIECE; i++)
			changes[i] = row((n + i) % 10 ? CATALOG_APPEND : CATALOG_OP,
				n + i > 10000 ? 1 : 0, n + i, STR("a value of some bytes"));
		assert_ok(catalog_write(p->op, p->catalog, user, changes, PIECE));
	}
	static const uint64_t froms[] = { 0, 9990, 24990 };
	for (size_t i = 0; i < ARRAY_COUNT(froms); i++) {
		struct seen seen = { 0 };
		struct catalog_name after = name(froms[i]);
		if (i == 0)
			after = (struct catalog_name){ { 0 } };
		assert_ok(
			catalog_read_rows(p->op, p->catalog, user, inbox, 0, 1, after, see, &seen));
		assert_int_equal(seen.count, COUNT - froms[i]);
		assert_int_equal(seen.last, COUNT);
		buf_done(&seen.text);
	}
}
static void long_tails_are_told_in_order(void **state)
{
	run(state, tail);
}

/* Bytes that other languages would take for something are kept as they are. */
static void hostile(struct place *p)
{
	static const struct str texts[] = {
		{ "'; DROP TABLE user_heads; --", 28 },
		{ "\"}{$$%s%n?:", 11 },
		{ "\xc3\xa9\xf0\x9f\x93\xac", 6 },
		{ "\x01\x7f\n\r\t \\", 7 },
	};
	char bytes[256];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)i;
	struct str value = { bytes, sizeof(bytes) };
	for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
		struct catalog_change changes[] = {
			head(inbox, texts[i], value),
			row(CATALOG_APPEND, 0, 1, value),
			{ .kind = CATALOG_PUT_REVERSE,
				.mailbox = inbox,
				.object = texts[i],
				.row = { .name = name(1) } },
			{ .kind = CATALOG_PUT_GARBAGE, .object = texts[i], .queued = name(i + 1) },
		};
		assert_ok(catalog_write(p->op, p->catalog, texts[i], changes, 4));
		assert_ok(catalog_write(p->op, p->catalog, texts[i], changes, 4));
		struct catalog_head *heads;
		struct catalog_garbage *entries;
		struct seen seen = { 0 };
		uint32_t references = 0, shard = catalog_user_shard(p->catalog, texts[i]);
		size_t count;
		assert_ok(catalog_read_heads(p->op, p->catalog, texts[i], &heads, &count));
		assert_int_equal(count, 1);
		assert_str(heads[0].key, texts[i]);
		assert_str(heads[0].value, value);
		assert_ok(catalog_read_rows(p->op, p->catalog, texts[i], inbox, 0, 0,
			(struct catalog_name){ { 0 } }, see, &seen));
		assert_int_equal(seen.count, 1);
		buf_done(&seen.text);
		assert_ok(
			catalog_count_reverse(p->op, p->catalog, texts[i], texts[i], &references));
		assert_int_equal(references, 1);
		assert_ok(catalog_read_garbage(p->op, p->catalog, shard, 99, &entries, &count));
		assert_str(entries[count - 1].user, texts[i]);
		assert_str(entries[count - 1].object, texts[i]);
	}
}
static void hostile_bytes_are_bytes(void **state)
{
	run(state, hostile);
}

/* ---- heads, users ---- */

static void heads(struct place *p)
{
	struct catalog_head *found;
	size_t count = 99;
	assert_ok(catalog_read_heads(p->op, p->catalog, user, &found, &count));
	assert_int_equal(count, 0);
	const struct catalog_change changes[] = {
		head(inbox, STR("open/w1"), STR("x")),
		head((struct catalog_guid){ { 0 } }, STR("root"), STR("tree\0tree")),
		head(inbox, STR("base"), STR("")),
	};
	assert_ok(catalog_write(p->op, p->catalog, user, changes, ARRAY_COUNT(changes)));
	assert_ok(catalog_write(p->op, p->catalog, STR("u1@example.tesu"), changes, 1));
	assert_ok(catalog_read_heads(p->op, p->catalog, user, &found, &count));
	assert_int_equal(count, 3);
	assert_str(found[0].key, STR("root"));
	assert_str(found[0].value, STR("tree\0tree"));
	assert_str(found[1].key, STR("base"));
	assert_int_equal(found[1].value.n, 0);
	assert_memory_equal(found[2].mailbox.bytes, inbox.bytes, sizeof(inbox.bytes));

	struct catalog_change gone = changes[0];
	gone.kind = CATALOG_DELETE_HEAD;
	assert_ok(write_one(p, gone));
	assert_ok(write_one(p, gone));
	assert_ok(write_one(p, head(inbox, STR("base"), STR("new"))));
	assert_ok(catalog_read_heads(p->op, p->catalog, user, &found, &count));
	assert_int_equal(count, 2);
	assert_str(found[1].value, STR("new"));
}
static void heads_are_one_query(void **state)
{
	run(state, heads);
}

struct users {
	struct place *p;
	uint32_t shard;
	size_t count;
	char last[64];
};

static enum err see_user(struct op *op, struct str u, void *arg)
{
	struct users *users = arg;
	(void)op;
	assert_int_equal(catalog_user_shard(users->p->catalog, u), users->shard);
	assert_true(u.n < sizeof(users->last));
	if (users->p->variant->keeps != IN_CLUSTER)
		assert_true(str_cmp(u, str_from(users->last)) > 0);
	memcpy(users->last, u.p, u.n);
	users->last[u.n] = '\0';
	users->count++;
	return ERR_NONE;
}

static void users(struct place *p)
{
	for (unsigned i = 0; i < 1100; i++) {
		struct str u = str_printf(p->op->arena, "u%u", i);
		struct catalog_change two[] = { head(inbox, STR("a"), STR("1")),
			head(inbox, STR("b"), STR("2")) };
		assert_ok(catalog_write(p->op, p->catalog, u, two, 2));
		if (p->variant->keeps == IN_FILES && i == 400)
			break;
	}
	size_t count = 0;
	assert_int_equal(catalog_shard_count(p->catalog), 4);
	for (uint32_t shard = 0; shard < 4; shard++) {
		struct users found = { .p = p, .shard = shard };
		assert_ok(catalog_list_users(p->op, p->catalog, shard, see_user, &found));
		count += found.count;
	}
	assert_int_equal(count, p->variant->keeps == IN_FILES ? 401 : 1100);
	struct users none = { .p = p };
	assert_err(catalog_list_users(p->op, p->catalog, 4, see_user, &none), ERR_INVALID);
}
static void users_are_listed_by_shard(void **state)
{
	run(state, users);
}

/* ---- references and garbage ---- */

static uint32_t references(struct place *p, const char *object)
{
	uint32_t count = 77;
	assert_ok(catalog_count_reverse(p->op, p->catalog, user, str_from(object), &count));
	return count;
}

static void reverse(struct place *p)
{
	struct catalog_change change = { .kind = CATALOG_PUT_REVERSE,
		.mailbox = inbox,
		.object = STR("o1"),
		.row = { .name = name(1), .bucket = 3 } };
	assert_int_equal(references(p, "o1"), 0);
	assert_ok(write_one(p, change));
	assert_ok(write_one(p, change));
	assert_int_equal(references(p, "o1"), 1);
	change.mailbox = trash;
	assert_ok(write_one(p, change));
	change.object = STR("o11");
	assert_ok(write_one(p, change));
	assert_int_equal(references(p, "o1"), 2);
	change.object = STR("o1");
	change.kind = CATALOG_DELETE_REVERSE;
	assert_ok(write_one(p, change));
	assert_int_equal(references(p, "o1"), 1);
	assert_int_equal(references(p, "o11"), 1);
}
static void references_are_counted(void **state)
{
	run(state, reverse);
}

/* Of 300 entries in several partitions: each third has a reverse row, each fifth its append row. */
static void used(struct place *p)
{
	static struct catalog_garbage entries[300];
	static struct catalog_change changes[200];
	static bool is_used[ARRAY_COUNT(entries)];
	size_t count = 0;
	for (unsigned i = 0; i < ARRAY_COUNT(entries); i++) {
		entries[i] = (struct catalog_garbage){ .user = user,
			.mailbox = i % 2 ? inbox : trash,
			.bucket = i / 100,
			.row = name(i + 1),
			.object = str_printf(p->op->arena, "%xo%u", i % 16, i) };
		struct catalog_change row_of = row(CATALOG_APPEND, i / 100, i + 1, STR("v"));
		row_of.mailbox = entries[i].mailbox;
		if (i % 5 == 0)
			changes[count++] = row_of;
		if (i % 3 == 0)
			changes[count++] = (struct catalog_change){ .kind = CATALOG_PUT_REVERSE,
				.mailbox = inbox,
				.object = entries[i].object,
				.row = { .name = name(1000) } };
	}
	assert_ok(catalog_write(p->op, p->catalog, user, changes, count));
	assert_ok(
		catalog_find_used(p->op, p->catalog, user, entries, ARRAY_COUNT(entries), is_used));
	for (unsigned i = 0; i < ARRAY_COUNT(entries); i++)
		assert_int_equal(is_used[i], i % 3 == 0 || i % 5 == 0);
	assert_ok(catalog_find_used(p->op, p->catalog, STR("other"), entries, 4, is_used));
	for (unsigned i = 0; i < 4; i++)
		assert_false(is_used[i]);
}
static void what_is_used_is_found(void **state)
{
	run(state, used);
}

static void garbage(struct place *p)
{
	uint32_t shard = catalog_user_shard(p->catalog, user);
	for (uint64_t i = 5; i >= 1; i--) {
		struct catalog_change change = { .kind = CATALOG_PUT_GARBAGE,
			.mailbox = inbox,
			.object = str_printf(p->op->arena, "o%" PRIu64, i),
			.queued = name(i),
			.row = { .name = name(100 + i), .bucket = 3 } };
		assert_ok(write_one(p, change));
	}
	struct catalog_garbage *found;
	size_t count;
	assert_ok(catalog_read_garbage(p->op, p->catalog, shard, 2, &found, &count));
	assert_int_equal(count, 2);
	assert_str(found[0].object, STR("o1"));
	assert_str(found[0].user, user);
	assert_int_equal(get_be64(found[1].name.bytes), 2);
	assert_int_equal(get_be64(found[1].row.bytes), 102);
	assert_int_equal(found[1].bucket, 3);
	assert_memory_equal(found[1].mailbox.bytes, inbox.bytes, sizeof(inbox.bytes));
	struct catalog_change done = {
		.kind = CATALOG_DELETE_GARBAGE, .object = STR("o1"), .queued = name(1)
	};
	assert_ok(write_one(p, done));
	assert_ok(catalog_read_garbage(p->op, p->catalog, shard, 99, &found, &count));
	assert_int_equal(count, 4);
	assert_str(found[0].object, STR("o2"));
	assert_ok(catalog_read_garbage(p->op, p->catalog, (shard + 1) % 4, 99, &found, &count));
	assert_int_equal(count, 0);
}
static void the_oldest_garbage_comes_first(void **state)
{
	run(state, garbage);
}

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
	};
	static const size_t ends[] = { 2, 4, 5, 6, 7, 8, 9, 12, 13 };
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

#define TEST(fn)                                                                                   \
	{                                                                                          \
#fn, fn, NULL, NULL, NULL                                                          \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rows_come_in_the_order_of_names),
		TEST(many_rows_are_read_in_pieces),
		TEST(long_tails_are_told_in_order),
		TEST(hostile_bytes_are_bytes),
		TEST(heads_are_one_query),
		TEST(users_are_listed_by_shard),
		TEST(references_are_counted),
		TEST(what_is_used_is_found),
		TEST(the_oldest_garbage_comes_first),
		TEST(limits_hold),
		TEST(the_highest_stamp_wins),
		TEST(groups_are_of_one_partition),
		TEST(a_failure_leaves_a_prefix_of_groups),
		TEST(the_clock_is_told),
		TEST(writers_share_transactions),
		TEST(rows_outlive_the_handle),
		TEST(a_passed_deadline_leaves_the_batch_to_the_commit_task),
	};
	static struct CMUnitTest all[ARRAY_COUNT(variants) * ARRAY_COUNT(tests)];
	static char names[ARRAY_COUNT(all)][96];
	size_t count = 0;
	for (size_t v = 0; v < ARRAY_COUNT(variants); v++) {
		for (size_t t = 0; t < ARRAY_COUNT(tests); t++, count++) {
			all[count] = tests[t];
			snprintf(names[count], sizeof(names[count]), "%s: %s", variants[v].name,
				tests[t].name);
			all[count].name = names[count];
			all[count].initial_state = (void *)(uintptr_t)&variants[v];
		}
	}
	return cmocka_run_group_tests(all, cluster_setup, cluster_teardown);
}
