/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/cql_private.h - the catalog in Cassandra: what its files share.
 *
 * cql.c opens it and asks for users and the clock; cql_write.c cuts batches into requests; cql_read.c
 * reads heads, rows and references; cql_garbage.c is the queue, cql_used.c what of it is still needed; cql_cell.c turns fields into cells and
 * back; cql_statements.c has what is run, schema.c the tables.
 *
 * Keys:     the setting dict_prefix stands before each user's name, and is a column of the queue's keys.
 * Cells:    a value carries a checksum over itself and its keys (catalog_cql_seal()).
 * Formats:  docs/formats/catalog.md. */
#pragma once

#include "catalog/catalog_private.h"
#include "catalog/schema.h"
#include "cql/cql.h"
#include "task/task.h"

/* ---- statements ---- */

enum catalog_cql_text {
	CATALOG_CQL_PUT_ROW,
	CATALOG_CQL_PUT_FADING, /* the part of a row's value that may go after CATALOG_CQL_FADING_SECONDS */
	CATALOG_CQL_DELETE_ROW,
	CATALOG_CQL_DELETE_OPS,
	CATALOG_CQL_DELETE_BUCKET,
	CATALOG_CQL_PUT_HEAD,
	CATALOG_CQL_DELETE_HEAD,
	CATALOG_CQL_PUT_REVERSE,
	CATALOG_CQL_DELETE_REVERSE,
	CATALOG_CQL_PUT_GARBAGE,
	CATALOG_CQL_DELETE_GARBAGE,
	CATALOG_CQL_PUT_HOUR,
	CATALOG_CQL_DELETE_HOUR,
	CATALOG_CQL_READ_HEADS,
	CATALOG_CQL_READ_ROWS,
	CATALOG_CQL_READ_KNOWN,
	CATALOG_CQL_READ_BOTH, /* kinds */
	CATALOG_CQL_HAS_ROW,
	CATALOG_CQL_COUNT_REVERSE,
	CATALOG_CQL_HAVE_ROWS,
	CATALOG_CQL_HAVE_REVERSE,
	CATALOG_CQL_READ_HOURS,
	CATALOG_CQL_READ_GARBAGE,
	CATALOG_CQL_LIST_USERS,
	CATALOG_CQL_READ_META,
	CATALOG_CQL_CLOCK,
	CATALOG_CQL_TEXT_COUNT,
};
struct catalog_cql_text_row {
	enum cql_class class;
	const char *name; /* in metrics and logs */
	const char *text;
};
extern const struct catalog_cql_text_row catalog_cql_texts[CATALOG_CQL_TEXT_COUNT];

#define CATALOG_CQL_FADING_SECONDS "950400" /* 11 days: bases keep what is older */

/* ---- tables ---- */

#define CATALOG_CQL_COLUMNS_MAX 8
struct catalog_cql_column {
	const char *name, *type, *kind; /* as in system_schema.columns */
};
struct catalog_cql_table {
	const char *name, *key, *options;
	struct catalog_cql_column columns[CATALOG_CQL_COLUMNS_MAX]; /* ends with a NULL name */
};
extern const struct catalog_cql_table catalog_cql_tables[]; /* ends with a NULL name */

#define CATALOG_CQL_META_SCHEMA "schema"
#define CATALOG_CQL_META_SHARDS "shards"

/* ---- the driver ---- */

#define CATALOG_CQL_USER_KEY_MAX (2 * CATALOG_USER_MAX) /* with the prefix */

struct gc_shard; /* cql_garbage.c */
struct catalog_cql {
	struct catalog base; /* first */
	/* owned */
	struct cql_client *client;
	char *prefix; /* dict_prefix */
	struct gc_shard *queues;
	/* borrowed from the client */
	const struct cql_statement *statements[CATALOG_CQL_TEXT_COUNT];
	int64_t delete_after_us; /* added to stamps of deletions that have none of their own */
	unsigned parallel_max;   /* requests of one call at a time */
	struct task_mutex ready_lock;
	bool is_ready; /* the tables were looked at */
};
static inline struct catalog_cql *catalog_cql(struct catalog *c)
{
	return CONTAINER_OF(c, struct catalog_cql, base);
}

/* WAITS at the first call. Are the tables there, and ours? */
enum err catalog_cql_ready(struct op *op, struct catalog_cql *c);
/* Gives a client's failure the class that callers of the catalog know: what an administrator can mend
 * while the server runs is temporary. */
enum err catalog_cql_failed(struct op *op, enum err e);
/* The user as in keys; in the arena. ERR_INVALID: not UTF-8. */
enum err catalog_cql_user_key(struct op *op, const struct catalog_cql *c, struct arena *a,
	struct str user, struct str *out);
struct cql_bound catalog_cql_bind(const struct catalog_cql *c, enum catalog_cql_text text,
	const struct cql_value *values, size_t count);

enum err catalog_cql_write(struct op *op, struct catalog *c, struct str user,
	const struct catalog_change *changes, size_t count, size_t *durable);
enum err catalog_cql_read_heads(struct op *op, struct catalog *c, struct str user,
	struct catalog_head **out, size_t *out_count);
enum err catalog_cql_read_rows(struct op *op, struct catalog *c, struct str user,
	struct catalog_guid mailbox, uint32_t bucket, uint32_t last_bucket,
	struct catalog_name after, struct catalog_name known, catalog_row_fn *row_fn, void *arg);
enum err catalog_cql_count_reverse(
	struct op *op, struct catalog *c, struct str user, struct str object, uint32_t *out_count);
enum err catalog_cql_has_row(struct op *op, struct catalog *c, struct str user,
	struct catalog_guid mailbox, uint32_t bucket, struct catalog_name name, bool *out);
enum err catalog_cql_find_used(struct op *op, struct catalog *c, struct str user,
	const struct catalog_garbage *entries, size_t count, bool *out_is_used);
enum err catalog_cql_read_garbage(struct op *op, struct catalog *c, uint32_t shard,
	const struct catalog_garbage *from, size_t max, struct catalog_garbage **out,
	size_t *out_count);

/* ERR_INVALID: not as Cassandra takes it. */
enum err catalog_cql_change_check(struct op *op, const struct catalog_change *change);
/* WAITS. Calls fn for 0 .. count-1, some at a time. The first failure, after those that were begun ended. */
typedef enum err catalog_cql_fn(struct op *op, void *arg, size_t i);
enum err catalog_cql_parallel(
	struct op *op, const struct catalog_cql *c, size_t count, catalog_cql_fn *fn, void *arg);

/* "host:port host:port,keyspace[,shards[,prefix]]", taken apart; borrowed from the text. */
struct catalog_cql_argument {
	struct str hosts, keyspace, prefix;
	uint32_t shard_count;
};
enum err catalog_cql_argument(struct op *op, struct str argument, struct catalog_cql_argument *out);

/* ---- the queue's hours ---- */

struct gc_shard *catalog_cql_gc_shards_new(uint32_t count);
void catalog_cql_gc_shards_free(struct gc_shard *shards, uint32_t count);
/* The hour of a queued entry: its partition. */
int32_t catalog_cql_gc_hour(const struct catalog_name *queued);
/* Has this process lately told the hours' table of this hour? If not it must, with the entry. */
bool catalog_cql_gc_hour_is_known(const struct catalog_cql *c, uint32_t shard, int32_t hour);
void catalog_cql_gc_hour_learn(struct catalog_cql *c, uint32_t shard, int32_t hour);

/* ---- cells ---- */

static inline struct cql_value catalog_cql_guid(const struct catalog_guid *v)
{
	return cql_blob((struct str){ (const char *)v->bytes, sizeof(v->bytes) });
}
static inline struct cql_value catalog_cql_name(const struct catalog_name *v)
{
	return cql_blob((struct str){ (const char *)v->bytes, sizeof(v->bytes) });
}

/* `value` and its checksum; in the arena. */
struct cql_value catalog_cql_seal(
	struct arena *a, const struct catalog_place *place, struct str value);
/* The value without its checksum, borrowed from `cell`. False: damaged. */
bool catalog_cql_unseal(const struct catalog_place *place, struct str cell, struct str *out);
