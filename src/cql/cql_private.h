/* SPDX-License-Identifier: Apache-2.0 */
/* cql/cql_private.h - the inside of a client: nodes, statements, requests.
 *
 * A *host* is a node of the cluster that we know of. Those of our data centre ("local") have a task
 * that keeps a connection. Hosts are never freed before the client: one that left the cluster is
 * `is_gone`, so pointers to hosts may be kept over waits. */
#pragma once

#include "base/list.h"
#include "cql/codec_private.h"
#include "cql/connection_private.h"
#include "cql/cql.h"
#include "cql/metrics_private.h"
#include "event/event.h"
#include "task/task.h"

#define CQL_INPUT_MAX     (size_t)(64 * 1024) /* of a stream's buffer; longer answers get their own */
#define CQL_REPLICAS_MAX  8
#define CQL_ID_BYTES      16
#define CQL_IN_FLIGHT_MAX 4096 /* requests, of a node */
#define CQL_WAITING_MAX   4096 /* calls that wait because all nodes have that many */

/* ---- settings.c ---- */

struct cql_settings {
	struct arena arena; /* holds the texts */
	struct str *contacts;
	size_t contact_count;
	uint16_t port;
	struct str datacenter; /* "": that of the node that answers first */
	struct cql_dial dial;
	int64_t request_us, warn_us;
	enum cql_consistency primary[CQL_CLASS_COUNT], fallback[CQL_CLASS_COUNT];
	uint32_t page_size;
	unsigned speculation_times;
	int64_t speculation_us;
	bool is_latency_aware, logs_retries, logs_queries;
	struct str metrics_path;
	struct tls_context *tls; /* owned */
};
enum err cql_settings_read(
	struct op *op, const struct config_scope *scope, struct cql_settings *out);
enum err cql_settings_parse(
	struct op *op, struct str hosts, struct str keyspace, struct cql_settings *out);
/* The setting of a class that may use less than a quorum; NULL: none does. */
const char *cql_settings_weak(const struct cql_settings *s);
void cql_settings_done(struct cql_settings *s);

/* ---- fallback.c: which consistency counts now (sheet §11.6). Pure: time is given ---- */

struct cql_fallback {
	enum cql_consistency primary, fallback;
	bool is_fallen;
	int64_t probe_at_us; /* when the primary is tried again */
	int64_t pause_us;    /* between probes */
	int64_t warned_us;   /* INT64_MIN: never */
};
void cql_fallback_init(
	struct cql_fallback *f, enum cql_consistency primary, enum cql_consistency fallback);
/* The consistency to begin with. */
enum cql_consistency cql_fallback_choose(struct cql_fallback *f, int64_t at_us);
/* An attempt at the primary consistency failed so that the fallback shall be used. True: warn. */
bool cql_fallback_failed(struct cql_fallback *f, int64_t at_us);
void cql_fallback_succeeded(struct cql_fallback *f); /* at the primary */

/* ---- token.c: where rows live ---- */

int64_t cql_token(struct str key); /* Cassandra's Murmur3Partitioner */
/* The bytes that are hashed: the one column, or each with its length and a zero byte. */
struct str cql_routing_key(
	struct buf *out, const struct cql_value *values, const uint16_t *key, size_t key_count);

struct cql_host;
struct cql_ring_entry {
	int64_t token;
	struct cql_host *host;
	uint16_t replicas[CQL_REPLICAS_MAX]; /* numbers of hosts; the first replica_count count */
};
struct cql_ring {
	/* owned */
	struct cql_ring_entry *entries; /* by token */
	size_t count;
	unsigned replica_count;
};
/* How often rows are kept, in a data centre or over all. 0: not known. */
unsigned cql_replication_parse(struct str map, struct str datacenter, bool *out_is_simple);
void cql_ring_done(struct cql_ring *r);
void cql_ring_build(struct cql_ring *r, unsigned replica_count, bool minds_racks);
/* The entry whose replicas hold `token`; NULL: not known. */
const struct cql_ring_entry *cql_ring_find(const struct cql_ring *r, int64_t token);

/* ---- hosts ---- */

enum cql_prepare_state { CQL_UNPREPARED, CQL_PREPARING, CQL_PREPARED };
struct cql_host_statement {
	enum cql_prepare_state state;
	char *id; /* owned */
	size_t id_bytes;
};
struct cql_host {
	struct cql_client *client; /* borrowed */
	uint16_t number;           /* in the client's list */
	struct address address;
	bool has_id, is_local, is_gone, is_connecting, is_preparing_all;
	bool was_down_told; /* since the last time it was up */
	uint8_t id[CQL_ID_BYTES];
	/* owned */
	char *datacenter, *rack; /* NULL: not known */
	int64_t *tokens;
	size_t token_count;
	struct cql_host_statement *statements; /* by number */
	size_t statement_count;
	struct cql_connection *connection; /* NULL: down */
	struct wait_queue prepared;        /* somebody's PREPARE has ended */
	struct wait_queue wake;            /* connect now */
	struct task_handle task, preparer;
	bool shall_connect;    /* the cluster says that it is up */
	int64_t latency_us;    /* smoothed; 0: not known */
	int64_t latency_at_us; /* when it was measured last */
};
struct cql_host *cql_host_add(struct cql_client *c, const struct address *address);
void cql_host_start(struct cql_host *h);   /* keeps a connection from now on */
void cql_host_connect(struct cql_host *h); /* at once, if it is down */
void cql_host_free(struct cql_host *h);
bool cql_host_is_up(const struct cql_host *h);
void cql_host_answered(struct cql_host *h, int64_t took_us);
bool cql_host_is_slow(const struct cql_host *h); /* against the fastest of its data centre */
/* It is up, but stands still: it has not answered anything for longer than answers may take before another
 * node is asked (cassandra_execution_retry_interval; without one, the time of a connection's begin). */
bool cql_host_is_silent(const struct cql_host *h);
/* That time. */
int64_t cql_silence_us(const struct cql_client *c);

/* ---- statements ---- */

struct cql_statement {
	unsigned number;
	enum cql_class class;
	/* owned; zero-terminated */
	char *name;
	char *text;
	/* learned from the first PREPARE */
	bool is_known;
	size_t value_count;
	uint16_t key[CQL_KEY_PARTS_MAX];
	size_t key_count;
	struct cql_statement_counters counters;
};
/* WAITS. Until the host knows it. ERR_UNAVAILABLE: another host may do. */
enum err cql_prepare(
	struct op *op, struct cql_host *h, const struct cql_statement *s, int64_t until_us);
/* False also while it is being prepared. */
bool cql_is_prepared(const struct cql_host *h, const struct cql_statement *s);
void cql_forget_prepared(struct cql_host *h, const struct cql_statement *s);
/* Prepares on a host what any host knows; in a task of its own. */
void cql_prepare_all(struct cql_host *h);

/* ---- the client ---- */

struct cql_client {
	struct cql_settings settings;
	struct event *event;
	struct cql_host **hosts;
	size_t host_count;
	struct cql_statement **statements;
	size_t statement_count;
	struct cql_fallback classes[CQL_CLASS_COUNT];
	struct cql_ring ring;
	char *datacenter; /* owned; NULL: not known yet */
	/* the task that listens to the cluster */
	struct task_handle control;
	struct cql_connection *control_connection;
	bool has_news;       /* topology or schema changed */
	bool is_searching;   /* the first contact is being made */
	bool is_unreachable; /* told that nobody answers */
	bool is_mixed_told;  /* that contacts are of several data centres */
	char *last_error;    /* owned; of the control task; NULL */
	/* who waits for a node to come up */
	struct wait_queue hosts_changed;
	/* who waits for a request to end, because too many are in flight */
	struct wait_queue room;
	size_t waiting;
	unsigned turn; /* who comes first among equals */
	size_t tasks;  /* of ours that run */
	size_t calls;  /* of others that run */
	struct wait_queue idle;
	bool is_closing;
	int64_t last_stamp_us;
	int64_t slow_told_us; /* when a slow call was warned about; 0: never */
	unsigned slow_untold; /* since then */
	/* calls that failed since one worked (report.c) */
	unsigned failed_calls;
	int64_t failing_since_us;
	int64_t down_told_us; /* when that it is down was told; 0: never */
	bool is_down_told;
	struct task_handle metrics_writer;
	struct cql_metrics metrics;
	struct cql_counters counters;
};
/* Takes the settings. */
struct cql_client *cql_client_new(const struct cql_settings *settings);
/* Starts a task of the client's, which cql_close() waits for. */
typedef void cql_task_fn(struct op *op, void *arg);
struct task_handle cql_task_start(
	struct cql_client *c, const char *name, cql_task_fn *fn, void *arg);
void cql_control_start(struct cql_client *c);
/* WAITS. Reads nodes, tokens and replication, and settles hosts and ring accordingly. */
enum err cql_discover(struct op *op, struct cql_client *c, struct cql_connection *connection);
/* WAITS. Until all nodes that are up have the same schema, as host `h` sees it. */
enum err cql_agree(struct op *op, struct cql_client *c, struct cql_host *h);
struct cql_connection *cql_connection_new(const struct cql_dial *dial, struct stream *stream,
	const struct address *to, struct event *event);

/* ---- requests ---- */

/* Fails with the class that the node's error stands for, and its words. */
enum err cql_error_fail(struct op *op, const struct cql_error *error);
static inline bool cql_class_reads(enum cql_class class)
{
	return class == CQL_READ || class == CQL_QUORUM;
}
/* An identifier, quoted. */
void cql_put_name(struct buf *out, struct str name);

enum cql_request_kind { CQL_REQUEST_EXECUTE, CQL_REQUEST_BATCH, CQL_REQUEST_TEXT };
struct cql_request {
	enum cql_request_kind kind;
	enum cql_class class;
	const struct cql_bound *items;
	size_t count;
	struct str text; /* of CQL_REQUEST_TEXT */
	bool is_logged;
	uint32_t page_size;
	struct str page_state;
	int64_t stamp_us;
};
/* WAITS. The answer is a RESULT, without its kind. *out_host (may be NULL) is who answered. */
enum err cql_request_run(struct op *op, struct cql_client *c, const struct cql_request *rq,
	enum cql_result_kind *out_kind, struct cql_answer *out, struct cql_host **out_host);
