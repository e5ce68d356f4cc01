/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of catalog.h, run against every driver: what is kept and how it is read. */
#include "catalog/contract_test.h"

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
		assert_ok(
			catalog_read_garbage(p->op, p->catalog, shard, NULL, 99, &entries, &count));
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
	assert_ok(catalog_read_garbage(p->op, p->catalog, shard, NULL, 2, &found, &count));
	assert_int_equal(count, 2);
	assert_str(found[0].object, STR("o1"));
	assert_str(found[0].user, user);
	assert_int_equal(get_be64(found[1].name.bytes), 2);
	assert_int_equal(get_be64(found[1].row.bytes), 102);
	assert_int_equal(found[1].bucket, 3);
	assert_memory_equal(found[1].mailbox.bytes, inbox.bytes, sizeof(inbox.bytes));
	const struct catalog_garbage second = found[1],
				     from = { .name = name(4), .user = STR(""), .object = STR("") };
	assert_ok(catalog_read_garbage(p->op, p->catalog, shard, &second, 2, &found, &count));
	assert_int_equal(count, 2);
	assert_str(found[0].object, STR("o2"));
	assert_str(found[1].object, STR("o3"));
	assert_ok(catalog_read_garbage(p->op, p->catalog, shard, &from, 99, &found, &count));
	assert_int_equal(count, 2);
	assert_str(found[0].object, STR("o4"));
	assert_str(found[1].object, STR("o5"));
	struct catalog_change done = {
		.kind = CATALOG_DELETE_GARBAGE, .object = STR("o1"), .queued = name(1)
	};
	assert_ok(write_one(p, done));
	assert_ok(catalog_read_garbage(p->op, p->catalog, shard, NULL, 99, &found, &count));
	assert_int_equal(count, 4);
	assert_str(found[0].object, STR("o2"));
	assert_ok(
		catalog_read_garbage(p->op, p->catalog, (shard + 1) % 4, NULL, 99, &found, &count));
	assert_int_equal(count, 0);
}
static void the_oldest_garbage_comes_first(void **state)
{
	run(state, garbage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONTRACT_TEST(rows_come_in_the_order_of_names),
		CONTRACT_TEST(many_rows_are_read_in_pieces),
		CONTRACT_TEST(long_tails_are_told_in_order),
		CONTRACT_TEST(hostile_bytes_are_bytes),
		CONTRACT_TEST(heads_are_one_query),
		CONTRACT_TEST(users_are_listed_by_shard),
		CONTRACT_TEST(references_are_counted),
		CONTRACT_TEST(what_is_used_is_found),
		CONTRACT_TEST(the_oldest_garbage_comes_first),
	};
	return contract_run(tests, ARRAY_COUNT(tests));
}
