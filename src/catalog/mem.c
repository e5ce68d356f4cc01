/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/mem.c - a catalog in memory, for tests and the simulation. It never waits, every batch is
 * atomic (nothing can fail half-way: catalog.c has checked it), and it ends with its handle.
 *
 * "mem(4,loose)" plays Cassandra: it claims to be no more than what catalog.h asks of drivers that are not
 * atomic, so that the fault wrapper breaks its batches, and keeps by stamps what is written: the highest
 * wins, deletions stay as tombstones that win ties and hide older writes, whenever these arrive.
 *
 * All tables are one array of entries, sorted by a key that begins with the table's letter:
 *   'h' user 0 mailbox key 0                     -> value
 *   'r' user 0 mailbox bucket kind name          -> value
 *   'v' user 0 object 0 mailbox name             -> nothing
 *   'g' shard queued user 0 object 0             -> mailbox bucket row
 *   'd' user 0 mailbox bucket                    -> nothing; a tombstone of all its rows (loose)
 *   'o' user 0 mailbox bucket name               -> nothing; one of its op rows below the name (loose)
 * Numbers are big-endian, so that bytes sort as the fields do. */
#include <stdlib.h>

#include "base/number.h"
#include "catalog/mem_private.h"

struct mem_catalog *mem_catalog_of(struct catalog *c)
{
	return CONTAINER_OF(c, struct mem_catalog, base);
}

struct str mem_entry_key(const struct mem_entry *e)
{
	return (struct str){ e->bytes, e->key_bytes };
}

struct str mem_entry_value(const struct mem_entry *e)
{
	return (struct str){ e->bytes + e->key_bytes, e->value_bytes };
}

/* ---- the sorted array ---- */

/* The first entry whose key is not below `key`. */
size_t mem_lower_bound(const struct mem_catalog *m, struct str key)
{
	size_t from = 0, to = m->count;
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		if (str_cmp(mem_entry_key(m->entries[middle]), key) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

struct mem_entry *mem_find(const struct mem_catalog *m, struct str key)
{
	size_t at = mem_lower_bound(m, key);
	return at < m->count && str_eq(mem_entry_key(m->entries[at]), key) ? m->entries[at] : NULL;
}

void mem_remove(struct mem_catalog *m, size_t from, size_t to)
{
	if (from == to)
		return;
	for (size_t i = from; i < to; i++)
		mem_free(m->entries[i]);
	memmove(m->entries + from, m->entries + to, (m->count - to) * sizeof(m->entries[0]));
	m->count -= to - from;
}

static size_t prefix_end(const struct mem_catalog *m, size_t from, struct str prefix)
{
	while (from < m->count && str_starts(mem_entry_key(m->entries[from]), prefix))
		from++;
	return from;
}

struct mem_entry *mem_put(struct mem_catalog *m, struct str key, struct str value)
{
	struct mem_entry *e = mem_new(sizeof(*e) + key.n + value.n);
	e->key_bytes = key.n;
	e->value_bytes = value.n;
	e->stamp_us = 0;
	e->is_tombstone = false;
	memcpy(e->bytes, key.p, key.n);
	if (value.n)
		memcpy(e->bytes + key.n, value.p, value.n);
	size_t at = mem_lower_bound(m, key);
	if (at < m->count && str_eq(mem_entry_key(m->entries[at]), key)) {
		mem_free(m->entries[at]);
		m->entries[at] = e;
		return e;
	}
	if (m->count == m->cap) {
		m->cap = m->cap ? 2 * m->cap : 64;
		m->entries = mem_resize(m->entries, m->cap * sizeof(m->entries[0]));
	}
	memmove(m->entries + at + 1, m->entries + at, (m->count - at) * sizeof(m->entries[0]));
	m->entries[at] = e;
	m->count++;
	return e;
}

/* ---- keys ---- */

static void key_text(struct buf *key, struct str text)
{
	buf_put(key, text);
	buf_put_byte(key, '\0');
}

void mem_key_u32(struct buf *key, uint32_t v)
{
	uint8_t bytes[8];
	put_be64(bytes, v);
	buf_put(key, (struct str){ (const char *)bytes + 4, 4 });
}

void mem_key_guid(struct buf *key, const struct catalog_guid *guid)
{
	buf_put(key, (struct str){ (const char *)guid->bytes, sizeof(guid->bytes) });
}

static void key_name(struct buf *key, const struct catalog_name *name)
{
	buf_put(key, (struct str){ (const char *)name->bytes, sizeof(name->bytes) });
}

void mem_key_table(struct buf *key, char table, struct str user)
{
	buf_clear(key);
	buf_put_byte(key, table);
	if (user.n)
		key_text(key, user);
}

static void key_row(struct buf *key, struct str user, const struct catalog_guid *mailbox,
	const struct catalog_row *row)
{
	mem_key_table(key, 'r', user);
	mem_key_guid(key, mailbox);
	mem_key_u32(key, row->bucket);
	buf_put_byte(key, (char)row->kind);
	key_name(key, &row->name);
}

static struct str cut_text(struct str *rest)
{
	struct str text;
	ASSERT(str_cut(rest, '\0', &text));
	return text;
}

static void cut_bytes(struct str *rest, void *out, size_t n)
{
	struct str bytes = str_take(rest, n);
	ASSERT(bytes.n == n);
	memcpy(out, bytes.p, n);
}

static uint32_t cut_u32(struct str *rest)
{
	uint8_t bytes[8] = { 0 };
	cut_bytes(rest, bytes + 4, 4);
	return (uint32_t)get_be64(bytes);
}

/* ---- writing ---- */

void mem_change_key(
	struct buf *key, uint32_t shard, struct str user, const struct catalog_change *change)
{
	switch (change->kind) {
	case CATALOG_PUT_ROW:
	case CATALOG_DELETE_ROW:
	case CATALOG_DELETE_OPS: /* where the first row stands that is kept */
		key_row(key, user, &change->mailbox, &change->row);
		break;
	case CATALOG_PUT_HEAD:
	case CATALOG_DELETE_HEAD:
		mem_key_table(key, 'h', user);
		mem_key_guid(key, &change->mailbox);
		key_text(key, change->key);
		break;
	case CATALOG_PUT_REVERSE:
	case CATALOG_DELETE_REVERSE:
		mem_key_table(key, 'v', user);
		key_text(key, change->object);
		mem_key_guid(key, &change->mailbox);
		key_name(key, &change->row.name);
		break;
	case CATALOG_PUT_GARBAGE:
	case CATALOG_DELETE_GARBAGE:
		mem_key_table(key, 'g', STR_NONE);
		mem_key_u32(key, shard);
		key_name(key, &change->queued);
		key_text(key, user);
		key_text(key, change->object);
		break;
	case CATALOG_DELETE_MAILBOX:
		mem_key_table(key, 'r', user);
		mem_key_guid(key, &change->mailbox);
		break;
	}
}

bool mem_is_put(const struct catalog_change *change)
{
	switch (change->kind) {
	case CATALOG_PUT_ROW:
	case CATALOG_PUT_HEAD:
	case CATALOG_PUT_REVERSE:
	case CATALOG_PUT_GARBAGE:
		return true;
	case CATALOG_DELETE_ROW:
	case CATALOG_DELETE_HEAD:
	case CATALOG_DELETE_REVERSE:
	case CATALOG_DELETE_GARBAGE:
	case CATALOG_DELETE_OPS:
	case CATALOG_DELETE_MAILBOX:
		break;
	}
	return false;
}

/* What a put leaves under its key; `garbage` is where it may be made. */
struct str mem_change_value(const struct catalog_change *change, struct buf *garbage)
{
	if (change->kind == CATALOG_PUT_ROW)
		return change->row.value;
	if (change->kind == CATALOG_PUT_HEAD)
		return change->value;
	if (change->kind != CATALOG_PUT_GARBAGE)
		return STR_NONE;
	mem_key_guid(garbage, &change->mailbox);
	mem_key_u32(garbage, change->row.bucket);
	key_name(garbage, &change->row.name);
	return buf_str(garbage);
}

static void change_apply(struct mem_catalog *m, struct str key, const struct catalog_change *change)
{
	AUTO_BUF(garbage, 0);
	if (mem_is_put(change)) {
		(void)mem_put(m, key, mem_change_value(change, &garbage));
		return;
	}
	size_t at = mem_lower_bound(m, key), end = at;
	if (change->kind == CATALOG_DELETE_OPS)
		at = mem_lower_bound(m, str_slice(key, 0, key.n - sizeof(change->row.name)));
	else if (change->kind == CATALOG_DELETE_MAILBOX)
		end = prefix_end(m, at, key);
	else if (mem_find(m, key))
		end++;
	mem_remove(m, at, end);
}

static enum err mem_write(struct op *op, struct catalog *c, struct str user,
	const struct catalog_change *changes, size_t count, size_t *durable)
{
	(void)durable;
	(void)op;
	uint32_t shard = catalog_user_shard(c, user);
	AUTO_BUF(key, 0);
	for (size_t i = 0; i < count; i++) {
		mem_change_key(&key, shard, user, &changes[i]);
		change_apply(mem_catalog_of(c), buf_str(&key), &changes[i]);
	}
	c->counters.commits++;
	return ERR_NONE;
}

/* ---- reading: copies, since the caller may wait and write between two rows ---- */

static enum err mem_read_heads(struct op *op, struct catalog *c, struct str user,
	struct catalog_head **out, size_t *out_count)
{
	struct mem_catalog *m = mem_catalog_of(c);
	AUTO_BUF(key, 0);
	mem_key_table(&key, 'h', user);
	size_t from = mem_lower_bound(m, buf_str(&key)), to = prefix_end(m, from, buf_str(&key));
	struct catalog_head *heads =
		ARENA_NEW_ARRAY(op->arena, struct catalog_head, MAX(to - from, 1));
	size_t count = 0;
	for (size_t i = from; i < to; i++) {
		if (m->entries[i]->is_tombstone)
			continue;
		struct catalog_head *head = &heads[count++];
		struct str rest = mem_entry_key(m->entries[i]);
		(void)str_take(&rest, key.n);
		cut_bytes(&rest, head->mailbox.bytes, sizeof(head->mailbox.bytes));
		head->key = str_dup(op->arena, cut_text(&rest));
		head->value = str_dup(op->arena, mem_entry_value(m->entries[i]));
		head->stamp_us = m->entries[i]->stamp_us;
	}
	*out = heads;
	*out_count = count;
	return ERR_NONE;
}

static int row_compare(const void *a, const void *b)
{
	const struct catalog_row *x = a, *y = b;
	int order = memcmp(x->name.bytes, y->name.bytes, sizeof(x->name.bytes));
	return order ? order : (x->kind > y->kind) - (x->kind < y->kind);
}

static enum err mem_read_rows(struct op *op, struct catalog *c, struct str user,
	struct catalog_guid mailbox, uint32_t bucket, uint32_t last_bucket,
	struct catalog_name after, struct catalog_name known, catalog_row_fn *row_fn, void *arg)
{
	(void)known; /* nothing is far away here */
	struct mem_catalog *m = mem_catalog_of(c);
	AUTO_ARENA(arena, 0);
	AUTO_BUF(key, 0);
	mem_key_table(&key, 'r', user);
	mem_key_guid(&key, &mailbox);
	size_t prefix_bytes = key.n;
	size_t to = prefix_end(m, mem_lower_bound(m, buf_str(&key)), buf_str(&key));
	mem_key_u32(&key, bucket);
	size_t from = mem_lower_bound(m, buf_str(&key));
	struct catalog_row *rows = ARENA_NEW_ARRAY(&arena, struct catalog_row, MAX(to - from, 1));
	size_t count = 0;
	for (size_t i = from; i < to; i++) {
		struct catalog_row row = { 0 };
		uint8_t kind;
		struct str rest = mem_entry_key(m->entries[i]);
		(void)str_take(&rest, prefix_bytes);
		row.bucket = cut_u32(&rest);
		cut_bytes(&rest, &kind, 1);
		row.kind = kind;
		cut_bytes(&rest, row.name.bytes, sizeof(row.name.bytes));
		if (m->entries[i]->is_tombstone || row.bucket > last_bucket ||
			memcmp(row.name.bytes, after.bytes, sizeof(after.bytes)) <= 0)
			continue;
		row.value = str_dup(&arena, mem_entry_value(m->entries[i]));
		rows[count++] = row;
	}
	qsort(rows, count, sizeof(rows[0]), row_compare);
	for (size_t i = 0; i < count; i++)
		TRY(row_fn(op, &rows[i], arg));
	return ERR_NONE;
}

static enum err mem_count_reverse(
	struct op *op, struct catalog *c, struct str user, struct str object, uint32_t *out_count)
{
	(void)op;
	struct mem_catalog *m = mem_catalog_of(c);
	AUTO_BUF(key, 0);
	mem_key_table(&key, 'v', user);
	key_text(&key, object);
	size_t from = mem_lower_bound(m, buf_str(&key)), to = prefix_end(m, from, buf_str(&key));
	*out_count = 0;
	for (size_t i = from; i < to; i++)
		*out_count += !m->entries[i]->is_tombstone;
	return ERR_NONE;
}

static enum err mem_has_row(struct op *op, struct catalog *c, struct str user,
	struct catalog_guid mailbox, uint32_t bucket, struct catalog_name name, bool *out)
{
	(void)op;
	AUTO_BUF(key, 0);
	key_row(&key, user, &mailbox,
		&(struct catalog_row){ .kind = CATALOG_APPEND, .bucket = bucket, .name = name });
	const struct mem_entry *e = mem_find(mem_catalog_of(c), buf_str(&key));
	*out = e && !e->is_tombstone;
	return ERR_NONE;
}

static enum err mem_read_garbage(struct op *op, struct catalog *c, uint32_t shard,
	const struct catalog_garbage *first, size_t max, struct catalog_garbage **out,
	size_t *out_count)
{
	struct mem_catalog *m = mem_catalog_of(c);
	AUTO_BUF(key, 0);
	mem_key_table(&key, 'g', STR_NONE);
	mem_key_u32(&key, shard);
	const size_t key_bytes = key.n;
	size_t to = prefix_end(m, mem_lower_bound(m, buf_str(&key)), buf_str(&key)), count = 0;
	if (first) {
		key_name(&key, &first->name);
		key_text(&key, first->user);
		key_text(&key, first->object);
	}
	size_t from = MIN(mem_lower_bound(m, buf_str(&key)), to);
	struct catalog_garbage *garbage =
		ARENA_NEW_ARRAY(op->arena, struct catalog_garbage, MAX(MIN(to - from, max), 1));
	for (size_t i = from; i < to && count < max; i++) {
		if (m->entries[i]->is_tombstone)
			continue;
		struct catalog_garbage *g = &garbage[count++];
		struct str rest = mem_entry_key(m->entries[i]);
		(void)str_take(&rest, key_bytes);
		cut_bytes(&rest, g->name.bytes, sizeof(g->name.bytes));
		g->user = str_dup(op->arena, cut_text(&rest));
		g->object = str_dup(op->arena, cut_text(&rest));
		rest = mem_entry_value(m->entries[i]);
		cut_bytes(&rest, g->mailbox.bytes, sizeof(g->mailbox.bytes));
		g->bucket = cut_u32(&rest);
		cut_bytes(&rest, g->row.bytes, sizeof(g->row.bytes));
	}
	*out = garbage;
	*out_count = count;
	return ERR_NONE;
}

static enum err mem_list_users(
	struct op *op, struct catalog *c, uint32_t shard, catalog_user_fn *fn, void *arg)
{
	struct mem_catalog *m = mem_catalog_of(c);
	char last[CATALOG_USER_MAX];
	struct str user = STR_NONE;
	AUTO_BUF(key, 0);
	for (;;) {
		/* The first head behind every head of `user`. */
		buf_clear(&key);
		buf_put_byte(&key, 'h');
		buf_put(&key, user);
		if (user.n)
			buf_put_byte(&key, '\1');
		size_t at = mem_lower_bound(m, buf_str(&key));
		while (at < m->count && m->entries[at]->is_tombstone)
			at++;
		struct str rest = at < m->count ? mem_entry_key(m->entries[at]) : STR("");
		if (!str_skip(&rest, STR("h")))
			return ERR_NONE;
		struct str next = cut_text(&rest);
		ASSERT(next.n <= sizeof(last));
		memcpy(last, next.p, next.n);
		user = (struct str){ last, next.n };
		if (catalog_user_shard(c, user) == shard)
			TRY(fn(op, user, arg));
	}
}

/* ---- the driver ---- */

/* "<number of shards>", ",loose" behind it. */
static enum err mem_open(struct op *op, const struct config_scope *scope, struct str argument,
	struct catalog *inner, struct catalog **out)
{
	(void)scope; /* has nothing to set but the number of shards, of which memory needs no file */
	(void)inner;
	uint32_t shard_count;
	bool is_loose = str_ends(argument, STR(",loose"));
	if (is_loose)
		argument = str_slice(argument, 0, argument.n - strlen(",loose"));
	TRY(catalog_shards_parse(op, argument, &shard_count));
	struct mem_catalog *m = MEM_NEW(struct mem_catalog);
	m->base.driver = is_loose ? &catalog_mem_loose : &catalog_mem;
	m->base.shard_count = shard_count;
	*out = &m->base;
	return ERR_NONE;
}

static void mem_close(struct op *op, struct catalog *c)
{
	(void)op;
	struct mem_catalog *m = mem_catalog_of(c);
	mem_remove(m, 0, m->count);
	mem_free(m->entries);
	mem_free(m);
}

const struct catalog_driver catalog_mem = {
	.name = "mem",
	.is_atomic = true,
	.open = mem_open,
	.close = mem_close,
	.write = mem_write,
	.read_heads = mem_read_heads,
	.read_rows = mem_read_rows,
	.count_reverse = mem_count_reverse,
	.has_row = mem_has_row,
	.read_garbage = mem_read_garbage,
	.list_users = mem_list_users,
};

const struct catalog_driver catalog_mem_loose = {
	.name = "mem",
	.open = mem_open,
	.close = mem_close,
	.write = mem_write_loose,
	.read_heads = mem_read_heads,
	.read_rows = mem_read_rows,
	.count_reverse = mem_count_reverse,
	.has_row = mem_has_row,
	.read_garbage = mem_read_garbage,
	.list_users = mem_list_users,
};
