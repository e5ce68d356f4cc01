/* SPDX-License-Identifier: Apache-2.0 */
/* The client as others see it: opening, closing, calls. */
#include "cql/cql_private.h"

/* ---- tasks of the client's own ---- */

struct own_task {
	struct cql_client *client;
	cql_task_fn *fn;
	void *arg;
};

static void own_task_main(void *arg)
{
	struct own_task *t = arg;
	struct cql_client *c = t->client;
	struct op op;
	op_init(&op, NULL, c->event, TIME_NEVER);
	t->fn(&op, t->arg);
	mem_free(t);
	if (--c->tasks == 0)
		wait_queue_wake_all(&c->idle);
}

struct task_handle cql_task_start(
	struct cql_client *c, const char *name, cql_task_fn *fn, void *arg)
{
	struct own_task *t = MEM_NEW(struct own_task);
	*t = (struct own_task){ .client = c, .fn = fn, .arg = arg };
	c->tasks++;
	return task_start(name, own_task_main, t);
}

/* ---- life ---- */

struct cql_client *cql_client_new(const struct cql_settings *settings)
{
	struct cql_client *c = MEM_NEW(struct cql_client);
	c->settings = *settings;
	c->event = event_new(NULL, "cassandra");
	for (unsigned i = 0; i < CQL_CLASS_COUNT; i++)
		cql_fallback_init(&c->classes[i], settings->primary[i], settings->fallback[i]);
	cql_control_start(c);
	cql_metrics_start(c);
	return c;
}

/* Reads and writes of which neither meets the other lose what was written. */
static void warn_weak(const struct cql_client *c)
{
	const char *setting = cql_settings_weak(&c->settings);
	if (setting)
		event_send(c->event, EVENT_WARNING, "cql_consistency_weak",
			"%s, or its fallback, is weaker than a quorum: mail that was taken can be "
			"missing where there are several copies",
			setting);
}

enum err cql_open(struct op *op, const struct config_scope *scope, struct cql_client **out)
{
	struct cql_settings settings = { 0 };
	enum err e = cql_settings_read(op, scope, &settings);
	if (e != ERR_NONE) {
		cql_settings_done(&settings);
		return e;
	}
	*out = cql_client_new(&settings);
	warn_weak(*out);
	return ERR_NONE;
}

enum err cql_open_text(
	struct op *op, struct str hosts, struct str keyspace, struct cql_client **out)
{
	struct cql_settings settings = { 0 };
	enum err e = cql_settings_parse(op, hosts, keyspace, &settings);
	if (e != ERR_NONE) {
		cql_settings_done(&settings);
		return e;
	}
	*out = cql_client_new(&settings);
	return ERR_NONE;
}

static void end_tasks(struct op *op, struct cql_client *c)
{
	int64_t deadline_us = op->deadline_us;
	/* They end at once: nothing here waits for the network. */
	op->deadline_us = TIME_NEVER;
	task_shield();
	while (c->tasks > 0 || c->calls > 0)
		if (wait_queue_wait(op, &c->idle) != ERR_NONE)
			break;
	task_unshield();
	op->deadline_us = deadline_us;
}

void cql_close(struct op *op, struct cql_client *c)
{
	if (!c)
		return;
	c->is_closing = true;
	task_cancel(c->control);
	task_cancel(c->metrics_writer);
	for (size_t i = 0; i < c->host_count; i++) {
		task_cancel(c->hosts[i]->task);
		task_cancel(c->hosts[i]->preparer);
		if (c->hosts[i]->connection)
			cql_connection_break(c->hosts[i]->connection, "the client is closed");
	}
	wait_queue_wake_all(&c->hosts_changed);
	wait_queue_wake_all(&c->room);
	end_tasks(op, c);
	for (size_t i = 0; i < c->host_count; i++)
		cql_host_free(c->hosts[i]);
	for (size_t i = 0; i < c->statement_count; i++) {
		mem_free(c->statements[i]->name);
		mem_free(c->statements[i]->text);
		mem_free(c->statements[i]);
	}
	mem_free(c->hosts);
	mem_free(c->statements);
	mem_free(c->datacenter);
	mem_free(c->last_error);
	cql_ring_done(&c->ring);
	event_unref(c->event);
	cql_settings_done(&c->settings);
	mem_free(c);
}

struct str cql_keyspace(const struct cql_client *c)
{
	return c->settings.dial.keyspace;
}

int64_t cql_stamp(struct cql_client *c)
{
	c->last_stamp_us = MAX(c->last_stamp_us + 1, now_wall_us());
	return c->last_stamp_us;
}

struct cql_counters cql_counters(const struct cql_client *c)
{
	struct cql_counters n = c->counters;
	for (size_t i = 0; i < c->host_count; i++) {
		const struct cql_host *h = c->hosts[i];
		n.hosts += h->is_local && !h->is_gone;
		if (!cql_host_is_up(h))
			continue;
		n.connections++;
		n.in_flight += h->connection->in_flight;
		n.bytes_in += h->connection->bytes_in;
		n.bytes_out += h->connection->bytes_out;
	}
	return n;
}

/* ---- calls ---- */

/* cql_close() waits for calls between these, also while they wait in a callback. */
static void call_begins(struct cql_client *c)
{
	c->calls++;
}

static void call_ends(struct cql_client *c)
{
	if (--c->calls == 0)
		wait_queue_wake_all(&c->idle);
}

static enum err run_items(struct op *op, struct cql_client *c, struct cql_request *rq)
{
	enum cql_result_kind kind;
	struct cql_host *host;
	struct cql_answer answer = { 0 };
	rq->class = rq->items[0].statement->class;
	rq->stamp_us = rq->items[0].stamp_us ? rq->items[0].stamp_us : cql_stamp(c);
	call_begins(c);
	enum err e = cql_request_run(op, c, rq, &kind, &answer, &host);
	cql_answer_done(&answer);
	call_ends(c);
	return e;
}

enum err cql_execute(struct op *op, struct cql_client *c, const struct cql_bound *b)
{
	struct cql_request rq = { .kind = CQL_REQUEST_EXECUTE, .items = b, .count = 1 };
	return run_items(op, c, &rq);
}

enum err cql_batch(struct op *op, struct cql_client *c, const struct cql_bound *items, size_t count,
	bool is_logged)
{
	struct cql_request rq = {
		.kind = CQL_REQUEST_BATCH, .items = items, .count = count, .is_logged = is_logged
	};
	if (count == 0)
		return ERR_NONE;
	if (count > UINT16_MAX)
		return op_fail(op, ERR_LIMIT, "a batch of %zu statements", count);
	return run_items(op, c, &rq);
}

/* Gives the rows of a page to fn. *state: where the next page begins, in the answer. */
static enum err give_rows(struct op *op, const struct cql_answer *answer, cql_row_fn *fn, void *arg,
	struct str *state)
{
	struct cql_rows rows;
	if (!cql_rows_parse(answer->body, &rows))
		return op_fail(op, ERR_CORRUPT, "Cassandra sent a damaged page of rows");
	*state = rows.page_state;
	struct cql_value *columns = mem_new_array(rows.column_count, sizeof(struct cql_value));
	struct cql_row row = { .columns = columns, .count = rows.column_count };
	enum err e = ERR_NONE;
	while (e == ERR_NONE && rows.left > 0)
		e = cql_rows_next(&rows, columns)
			    ? fn(op, &row, arg)
			    : op_fail(op, ERR_CORRUPT, "Cassandra sent a damaged row");
	mem_free(columns);
	return e;
}

enum err cql_query(
	struct op *op, struct cql_client *c, const struct cql_bound *b, cql_row_fn *fn, void *arg)
{
	struct cql_request rq = { .kind = CQL_REQUEST_EXECUTE,
		.class = b->statement->class,
		.items = b,
		.count = 1,
		.page_size = c->settings.page_size };
	struct cql_answer answer = { 0 };
	enum err e = ERR_NONE;
	call_begins(c);
	do {
		struct cql_answer page = { 0 };
		enum cql_result_kind kind;
		struct cql_host *host;
		e = cql_request_run(op, c, &rq, &kind, &page, &host);
		/* Its state was part of the request. */
		cql_answer_done(&answer);
		answer = page;
		rq.page_state = STR_NONE;
		if (e == ERR_NONE && kind != CQL_RESULT_ROWS)
			break;
		if (e == ERR_NONE)
			e = give_rows(op, &answer, fn, arg, &rq.page_state);
	} while (e == ERR_NONE && rq.page_state.n > 0);
	cql_answer_done(&answer);
	call_ends(c);
	return e;
}

enum err cql_run(struct op *op, struct cql_client *c, struct str text)
{
	enum cql_result_kind kind;
	struct cql_host *host;
	struct cql_answer answer = { 0 };
	struct cql_request rq = { .kind = CQL_REQUEST_TEXT, .class = CQL_WRITE, .text = text };
	call_begins(c);
	enum err e = cql_request_run(op, c, &rq, &kind, &answer, &host);
	cql_answer_done(&answer);
	if (e == ERR_NONE && kind == CQL_RESULT_SCHEMA)
		e = cql_agree(op, c, host);
	call_ends(c);
	return e;
}

void cql_put_name(struct buf *out, struct str name)
{
	struct str part;
	buf_put_byte(out, '"');
	while (str_cut(&name, '"', &part))
		buf_putf(out, "%.*s\"\"", STRF(part));
	buf_putf(out, "%.*s\"", STRF(name));
}
