/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/cql.c - the catalog in Cassandra: opening, looking at the tables, users, the clock.
 *
 * Opening needs no cluster: the client connects by itself, and calls fail with ERR_UNAVAILABLE until a node
 * answers. The first call that reaches one looks whether the tables are there and ours; until they are,
 * every call fails with words for the administrator. */
#include "catalog/cql_private.h"

#include "base/number.h"
#include "base/unicode.h"
#include "config/config.h"

#define USERS_PIECE        1000
#define PARALLEL_USUAL     10
#define PARALLEL_MAX       64
#define BUCKETS_MAX        UINT32_C(1000000) /* of ten thousand mails each */
#define DELETE_AFTER_USUAL (10 * US_PER_SEC)

/* ---- what the files share ---- */

struct cql_bound catalog_cql_bind(const struct catalog_cql *c, enum catalog_cql_text text,
	const struct cql_value *values, size_t count)
{
	return (struct cql_bound){
		.statement = c->statements[text], .values = values, .count = count
	};
}

enum err catalog_cql_failed(struct op *op, enum err e)
{
	switch (e) {
	case ERR_NONE:
	case ERR_UNAVAILABLE:
	case ERR_TIMEOUT:
	case ERR_CANCELLED:
	case ERR_CORRUPT:
		return e;
	case ERR_NOT_FOUND:
	case ERR_EXISTS:
	case ERR_DENIED:
	case ERR_LIMIT:
	case ERR_INVALID:
	case ERR_CONFLICT:
	case ERR_UNSUPPORTED:
		break;
	}
	const struct op_failure why = op->failure;
	return op_fail(op, ERR_UNAVAILABLE, "%s", why.text);
}

enum err catalog_cql_user_key(struct op *op, const struct catalog_cql *c, struct arena *a,
	struct str user, struct str *out)
{
	if (!utf8_is_valid(user))
		return op_fail(op, ERR_INVALID,
			"user name of %zu bytes is not UTF-8, as Cassandra needs it", user.n);
	*out = str_printf(a, "%s%.*s", c->prefix, STRF(user));
	return ERR_NONE;
}

enum err catalog_cql_change_check(struct op *op, const struct catalog_change *change)
{
	if (change->row.bucket > BUCKETS_MAX)
		return op_fail(op, ERR_INVALID, "bucket %" PRIu32 ": at most %" PRIu32 " are kept",
			change->row.bucket, BUCKETS_MAX);
	if (!utf8_is_valid(change->key) || !utf8_is_valid(change->object))
		return op_fail(
			op, ERR_INVALID, "key or object is not UTF-8, as Cassandra needs it");
	return ERR_NONE;
}

/* ---- some requests at a time ---- */

struct parallel {
	catalog_cql_fn *fn;
	void *arg;
	size_t next;
	size_t count;
	enum err error;
	struct op_failure failure;
};

/* Whoever fails keeps the others from beginning more; what was begun is waited for. */
static enum err parallel_work(struct op *op, void *arg)
{
	struct parallel *p = arg;
	while (p->next < p->count && p->error == ERR_NONE) {
		enum err e = p->fn(op, p->arg, p->next++);
		if (e != ERR_NONE && p->error == ERR_NONE) {
			p->error = e;
			p->failure = op->failure;
		}
	}
	return ERR_NONE;
}

enum err catalog_cql_parallel(
	struct op *op, const struct catalog_cql *c, size_t count, catalog_cql_fn *fn, void *arg)
{
	struct parallel p = { .fn = fn, .arg = arg, .count = count };
	if (count == 1)
		return fn(op, arg, 0);
	struct task_group *g = task_group_new(op);
	for (size_t i = 0; i < count && i < c->parallel_max; i++)
		task_group_start(g, "catalog", parallel_work, &p);
	TRY(task_group_finish(op, g));
	return p.error == ERR_NONE ? ERR_NONE : op_fail(op, p.error, "%s", p.failure.text);
}

/* ---- are the tables there? ---- */

struct meta {
	bool has_schema, has_shards;
	char schema[32];
	uint32_t shards;
};

static enum err see_meta(struct op *op, const struct cql_row *row, void *arg)
{
	struct meta *meta = arg;
	struct str key = cql_column(row, 0), value = cql_column(row, 1);
	(void)op;
	if (str_eq(key, STR(CATALOG_CQL_META_SCHEMA)) && value.n < sizeof(meta->schema)) {
		memcpy(meta->schema, value.p, value.n);
		meta->has_schema = true;
	}
	if (str_eq(key, STR(CATALOG_CQL_META_SHARDS)))
		meta->has_shards = number_parse_u32(value, &meta->shards);
	return ERR_NONE;
}

static enum err look(struct op *op, struct catalog_cql *c)
{
	struct meta meta = { 0 };
	const struct cql_bound b = catalog_cql_bind(c, CATALOG_CQL_READ_META, NULL, 0);
	struct str keyspace = cql_keyspace(c->client);
	enum err e = cql_query(op, c->client, &b, see_meta, &meta);
	if (e == ERR_INVALID || (e == ERR_NONE && (!meta.has_schema || !meta.has_shards)))
		return op_fail(op, ERR_UNAVAILABLE,
			"Cassandra has no catalog in keyspace %.*s: run `doveadm dictmap init`",
			STRF(keyspace));
	TRY(catalog_cql_failed(op, e));
	if (strcmp(meta.schema, CATALOG_SCHEMA_VERSION) != 0)
		return op_fail(op, ERR_UNAVAILABLE,
			"the catalog in keyspace %.*s has tables of version %s; this program "
			"knows " CATALOG_SCHEMA_VERSION,
			STRF(keyspace), meta.schema);
	if (meta.shards != c->base.shard_count)
		return op_fail(op, ERR_UNAVAILABLE,
			"the catalog in keyspace %.*s was created with %" PRIu32
			" shards and cannot be opened with %" PRIu32
			": set mail_shard_count = %" PRIu32,
			STRF(keyspace), meta.shards, c->base.shard_count, meta.shards);
	c->is_ready = true;
	return ERR_NONE;
}

enum err catalog_cql_ready(struct op *op, struct catalog_cql *c)
{
	if (c->is_ready)
		return ERR_NONE;
	TRY(task_mutex_lock(op, &c->ready_lock));
	enum err e = c->is_ready ? ERR_NONE : look(op, c);
	task_mutex_unlock(&c->ready_lock);
	return e;
}

/* ---- users ---- */

struct users {
	const struct catalog_cql *c;
	uint32_t shard;
	int64_t last_token;
	size_t seen;
	catalog_user_fn *fn;
	void *arg;
	bool has_failed; /* fn */
};

static enum err see_user(struct op *op, const struct cql_row *row, void *arg)
{
	struct users *users = arg;
	struct str user = cql_column(row, 0);
	if (!cql_column_bigint(row, 1, &users->last_token))
		return op_fail(op, ERR_CORRUPT, "user_heads: a user without token");
	users->seen++;
	if (!str_skip(&user, str_from(users->c->prefix)) || user.n == 0 ||
		user.n > CATALOG_USER_MAX || str_has_nul(user) ||
		catalog_user_shard(&users->c->base, user) != users->shard)
		return ERR_NONE;
	enum err e = users->fn(op, user, users->arg);
	users->has_failed = e != ERR_NONE;
	return e;
}

/* The whole table is walked for each shard: for tools, not for serving. */
static enum err list_users(
	struct op *op, struct catalog *catalog, uint32_t shard, catalog_user_fn *fn, void *arg)
{
	struct catalog_cql *c = catalog_cql(catalog);
	struct users users = {
		.c = c, .shard = shard, .last_token = INT64_MIN, .fn = fn, .arg = arg
	};
	TRY(catalog_cql_ready(op, c));
	do {
		AUTO_ARENA(arena, 0);
		const struct cql_value values[] = { cql_bigint(&arena, users.last_token),
			cql_int(&arena, USERS_PIECE) };
		const struct cql_bound b =
			catalog_cql_bind(c, CATALOG_CQL_LIST_USERS, values, ARRAY_COUNT(values));
		users.seen = 0;
		enum err e = cql_query(op, c->client, &b, see_user, &users);
		if (e != ERR_NONE)
			return users.has_failed ? e : catalog_cql_failed(op, e);
	} while (users.seen == USERS_PIECE);
	return ERR_NONE;
}

/* ---- the clock ---- */

static enum err see_clock(struct op *op, const struct cql_row *row, void *arg)
{
	int64_t *wall_ms = arg;
	if (!cql_column_bigint(row, 0, wall_ms))
		return op_fail(op, ERR_CORRUPT, "Cassandra told no time");
	return ERR_NONE;
}

/* The node that was asked read its clock half-way between question and answer, cut to milliseconds. */
static enum err tell_clock(struct op *op, struct catalog *catalog, int64_t *out_wall_us)
{
	struct catalog_cql *c = catalog_cql(catalog);
	const struct cql_bound b = catalog_cql_bind(c, CATALOG_CQL_CLOCK, NULL, 0);
	int64_t wall_ms = 0, asked_us = now_us();
	enum err e = cql_query(op, c->client, &b, see_clock, &wall_ms);
	TRY(catalog_cql_failed(op, e));
	*out_wall_us = wall_ms * US_PER_MS + US_PER_MS / 2 + (now_us() - asked_us) / 2;
	return ERR_NONE;
}

/* ---- opening ---- */

/* A zero byte, or a prefix longer than a name, cannot stand before a name. */
static enum err prefix_check(struct op *op, struct str prefix)
{
	if (prefix.n > CATALOG_USER_MAX || str_has_nul(prefix) || !utf8_is_valid(prefix))
		return op_fail(op, ERR_INVALID,
			"fs_dictmap_dict_prefix is too long (%zu bytes), or is not UTF-8",
			prefix.n);
	return ERR_NONE;
}

static struct catalog_cql *catalog_new(
	struct cql_client *client, struct str prefix, uint32_t shards)
{
	struct catalog_cql *c = MEM_NEW(struct catalog_cql);
	c->base.driver = &catalog_in_cql;
	c->base.shard_count = shards;
	c->client = client;
	c->prefix = str_new_z(prefix);
	c->queues = catalog_cql_gc_shards_new(shards);
	c->parallel_max = PARALLEL_USUAL;
	c->delete_after_us = DELETE_AFTER_USUAL;
	for (unsigned i = 0; i < CATALOG_CQL_TEXT_COUNT; i++)
		c->statements[i] = cql_statement(client, catalog_cql_texts[i].class,
			str_from(catalog_cql_texts[i].name), str_from(catalog_cql_texts[i].text));
	return c;
}

static enum err open_scope(struct op *op, const struct config_scope *dict, struct catalog_cql **out)
{
	const struct config_scope *server;
	struct cql_client *client;
	struct str prefix = config_str(dict, SET_fs_dictmap_dict_prefix);
	uint64_t shards = config_u64(dict, SET_mail_shard_count);
	if (shards == 0 || shards > CATALOG_SHARDS_MAX)
		return op_fail(op, ERR_INVALID,
			"mail_shard_count = %" PRIu64 ": between 1 and %d are possible", shards,
			CATALOG_SHARDS_MAX);
	TRY(prefix_check(op, prefix));
	TRY(catalog_dict_server(op, dict, &server));
	TRY(cql_open(op, server, &client));
	struct catalog_cql *c = catalog_new(client, prefix, (uint32_t)shards);
	uint64_t parallel = config_u64(dict, SET_fs_dictmap_max_parallel_iter);
	c->parallel_max = (unsigned)MIN(MAX(parallel, 1), PARALLEL_MAX);
	c->delete_after_us = config_time_us(dict, SET_fs_dictmap_delete_timestamp);
	*out = c;
	return ERR_NONE;
}

enum err catalog_cql_argument(struct op *op, struct str argument, struct catalog_cql_argument *out)
{
	struct str rest = argument, shards = STR_NONE;
	*out = (struct catalog_cql_argument){ .prefix = STR_NONE };
	if (!str_cut(&rest, ',', &out->hosts))
		return op_fail(
			op, ERR_INVALID, "catalog: \"%.*s\" names no keyspace", STRF(argument));
	if (!str_cut(&rest, ',', &out->keyspace)) {
		out->keyspace = rest;
	} else if (!str_cut(&rest, ',', &shards)) {
		shards = rest;
	} else {
		out->prefix = rest;
	}
	TRY(prefix_check(op, out->prefix));
	return catalog_shards_parse(op, shards, &out->shard_count);
}

static enum err open_text(struct op *op, struct str argument, struct catalog_cql **out)
{
	struct catalog_cql_argument parts;
	struct cql_client *client;
	TRY(catalog_cql_argument(op, argument, &parts));
	TRY(cql_open_text(op, parts.hosts, parts.keyspace, &client));
	*out = catalog_new(client, parts.prefix, parts.shard_count);
	return ERR_NONE;
}

static enum err open_any(struct op *op, const struct config_scope *scope, struct str argument,
	struct catalog *inner, struct catalog **out)
{
	struct catalog_cql *c = NULL;
	(void)inner;
	TRY(scope ? open_scope(op, scope, &c) : open_text(op, argument, &c));
	*out = &c->base;
	return ERR_NONE;
}

static void close_all(struct op *op, struct catalog *catalog)
{
	struct catalog_cql *c = catalog_cql(catalog);
	cql_close(op, c->client);
	catalog_cql_gc_shards_free(c->queues, c->base.shard_count);
	mem_free(c->prefix);
	mem_free(c);
}

const struct catalog_driver catalog_in_cql = {
	.name = "cql",
	.open = open_any,
	.close = close_all,
	.write = catalog_cql_write,
	.read_heads = catalog_cql_read_heads,
	.read_rows = catalog_cql_read_rows,
	.count_reverse = catalog_cql_count_reverse,
	.has_row = catalog_cql_has_row,
	.find_used = catalog_cql_find_used,
	.read_garbage = catalog_cql_read_garbage,
	.list_users = list_users,
	.clock = tell_clock,
};
