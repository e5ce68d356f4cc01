/* SPDX-License-Identifier: Apache-2.0 */
/* cql/cql.h - a client of Apache Cassandra: CQL native protocol v4, in tasks.
 *
 * Life:    cql_open() -> cql_statement()... -> cql_execute(), cql_batch(), cql_query(), cql_run() from
 *          any task -> cql_close(). One client a process: it keeps one connection to each node of its
 *          data centre and one more that listens for news of the cluster.
 * Values:  are bound, never part of a statement's text. They are borrowed for the call.
 * Stamps:  every write carries a client timestamp (wall µs), minted once a call. That makes all writes
 *          idempotent, so that they may be sent again, also to another node, with the same stamp.
 * Outcome: of a write. ERR_UNAVAILABLE: certainly not applied. ERR_TIMEOUT or ERR_CANCELLED: uncertain,
 *          it may appear now, later or never. Reads fail with the same classes.
 * Time:    each call ends at the earlier of op's deadline and cassandra_request_timeout.
 * Spec:    CQL native protocol v4; settings cassandra_*. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

struct config_scope;
struct cql_client;
struct cql_statement;

/* ---- the client ---- */

/* Takes cassandra_* and ssl_client_* from `scope`; connects in the background: that no node can be
 * reached is told by the calls that need one, after cassandra_connect_timeout.
 * ERR_INVALID: a setting is wrong (named). */
enum err cql_open(struct op *op, const struct config_scope *scope, struct cql_client **out);
/* The same with defaults, for tests: "127.0.0.1:9042,[::1]:9042", "mails". */
enum err cql_open_text(
	struct op *op, struct str hosts, struct str keyspace, struct cql_client **out);
/* WAITS for calls that still run (they fail) and for the client's own tasks. NULL is fine. */
void cql_close(struct op *op, struct cql_client *c);
/* As configured; borrowed. */
struct str cql_keyspace(const struct cql_client *c);

/* ---- statements ---- */

/* Which of the cassandra_*_consistency settings counts. */
enum cql_class {
	CQL_READ,
	CQL_WRITE,
	CQL_DELETE,
	/* A read at a quorum of each data centre, whatever is set, without fallback: it meets every write
	 * at the local quorum of any. A QUORUM over all of them would not. */
	CQL_QUORUM,
};
#define CQL_CLASS_COUNT (CQL_QUORUM + 1)

/* A statement with `?` for each value; table names without a keyspace are those of the client's.
 * Prepared at its first use on each node, and again when a node has forgotten it. `name` stands for it
 * in metrics and logs. Both texts are copied. Owned by the client; lives as long as it. */
const struct cql_statement *cql_statement(
	struct cql_client *c, enum cql_class class, struct str name, struct str text);

struct cql_value {
	bool is_null;
	struct str bytes; /* as in the protocol; borrowed */
};
struct cql_value cql_null(void);
struct cql_value cql_text(struct str s);
struct cql_value cql_blob(struct str s);
struct cql_value cql_int(struct arena *a, int32_t v);
struct cql_value cql_bigint(struct arena *a, int64_t v); /* also timestamps, in ms */

struct cql_bound {
	const struct cql_statement *statement;
	const struct cql_value *values;
	size_t count;
	int64_t stamp_us; /* wall µs; 0: the client's next. A text with USING TIMESTAMP has its own */
};

/* A stamp later than all the client gave before. */
int64_t cql_stamp(struct cql_client *c);

/* ---- calls: errors beside those above ----
 * ERR_INVALID: the node does not understand the statement, or keyspace or table do not exist (the text
 * says what to do). ERR_DENIED: the cluster's user may not. ERR_EXISTS: DDL. ERR_LIMIT: too big. */

/* WAITS. One write. */
enum err cql_execute(struct op *op, struct cql_client *c, const struct cql_bound *b);
/* WAITS. Writes as one request, applied as a whole when they are of one partition or is_logged. The class
 * and the stamp of the first count for all; other stamps stand in the texts (USING TIMESTAMP ?). */
enum err cql_batch(struct op *op, struct cql_client *c, const struct cql_bound *items, size_t count,
	bool is_logged);

/* A row; borrowed for the call of cql_row_fn. */
struct cql_row {
	const struct cql_value *columns; /* in the order of the SELECT */
	size_t count;
};
/* Gets one row after the other; may WAIT; an error ends the query and is its result. */
typedef enum err cql_row_fn(struct op *op, const struct cql_row *row, void *arg);

/* "" for NULL and for columns that are not there. Borrowed with the row. */
struct str cql_column(const struct cql_row *row, size_t i);
bool cql_column_is_null(const struct cql_row *row, size_t i);
/* False, and *out untouched: NULL, or not of that type's size. */
bool cql_column_int(const struct cql_row *row, size_t i, int32_t *out);
bool cql_column_bigint(const struct cql_row *row, size_t i, int64_t *out); /* writetime(), too */

/* WAITS. Reads page by page (cassandra_page_size). Rows told before an error are right. */
enum err cql_query(
	struct op *op, struct cql_client *c, const struct cql_bound *b, cql_row_fn *fn, void *arg);

/* WAITS. Runs `text` as it is, outside of the client's keyspace if that does not exist (yet): DDL. Then
 * waits until the nodes agree on the schema. */
enum err cql_run(struct op *op, struct cql_client *c, struct str text);

/* ---- figures ---- */

#define CQL_LATENCY_BUCKETS 16 /* [i]: below 128 µs << i; the last: the rest */
struct cql_counters {
	uint64_t requests;  /* calls; a page is one */
	uint64_t attempts;  /* messages sent for them */
	uint64_t failures;  /* calls that failed */
	uint64_t uncertain; /* of these, writes that may have been applied */
	uint64_t fallbacks; /* attempts at a fallback consistency */
	uint64_t retries, speculations, prepares;
	uint64_t slow; /* above cassandra_warn_timeout */
	uint64_t bytes_in, bytes_out;
	uint64_t hosts, connections, in_flight; /* now, of our data centre */
};
struct cql_counters cql_counters(const struct cql_client *c);

struct cql_statement_counters {
	struct str name; /* borrowed from the client */
	uint64_t count, errors;
	uint64_t latency[CQL_LATENCY_BUCKETS];
};
/* In the order of cql_statement(): start with *at = 0; false at the end. */
bool cql_statement_counters_next(
	const struct cql_client *c, size_t *at, struct cql_statement_counters *out);
