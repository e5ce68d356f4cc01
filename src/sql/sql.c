/* SPDX-License-Identifier: Apache-2.0 */
/* The list of databases, and the pool of connections.
 *
 * A statement's job takes an idle connection, or makes one, on its thread. A connection whose statement
 * failed is closed. A job that outlives its caller (a deadline) owns all it touches and frees itself. */
#include "sql/sql.h"

#include <pthread.h>

#include "config/config.h"
#include "sql/sql_private.h"
#include "task/task.h"

#define IDLE_MAX 4

static const struct sql_driver *const drivers[] = { &sql_sqlite };

/* Shared by the owner and running jobs, hence by threads: guarded by `mutex`. */
struct pool {
	pthread_mutex_t mutex;
	unsigned refs;
	bool is_closed;
	void *idle[IDLE_MAX];
	size_t idle_count;
	/* constant */
	const struct sql_driver *driver;
	struct sql_target target;
};
struct sql {
	struct pool *pool;
};
struct run_job {
	struct offload_job job;
	struct pool *pool; /* a reference */
	struct arena arena;
	struct op op;
	struct sql_statement statement;
	size_t row_max;
	struct sql_result result;
	enum err outcome;
};

/* ---- connections ---- */

static void pool_unref(struct pool *p)
{
	pthread_mutex_lock(&p->mutex);
	bool is_last = --p->refs == 0;
	pthread_mutex_unlock(&p->mutex);
	if (!is_last)
		return;
	for (size_t i = 0; i < p->idle_count; i++)
		p->driver->disconnect(p->idle[i]);
	pthread_mutex_destroy(&p->mutex);
	mem_free(p->target.path);
	mem_free(p);
}

static void *take_idle(struct pool *p)
{
	pthread_mutex_lock(&p->mutex);
	void *connection = p->idle_count > 0 ? p->idle[--p->idle_count] : NULL;
	pthread_mutex_unlock(&p->mutex);
	return connection;
}

static void give_back(struct pool *p, void *connection, bool is_sound)
{
	pthread_mutex_lock(&p->mutex);
	bool is_kept = is_sound && !p->is_closed && p->idle_count < IDLE_MAX;
	if (is_kept)
		p->idle[p->idle_count++] = connection;
	pthread_mutex_unlock(&p->mutex);
	if (!is_kept)
		p->driver->disconnect(connection);
}

static void run(struct offload_job *job)
{
	struct run_job *r = (struct run_job *)job;
	struct pool *p = r->pool;
	void *connection = take_idle(p);
	if (!connection) {
		r->outcome = p->driver->connect(&r->op, &p->target, &connection);
		if (r->outcome != ERR_NONE)
			return;
	}
	r->outcome = p->driver->run(&r->op, connection, &r->statement, r->row_max, &r->result);
	give_back(p, connection, r->outcome == ERR_NONE);
}

static void release(struct offload_job *job)
{
	struct run_job *r = (struct run_job *)job;
	pool_unref(r->pool);
	arena_done(&r->arena);
	mem_free(r);
}

/* ---- the public side ---- */

static struct str set_only(const struct config_scope *scope, enum config_setting id)
{
	return config_is_set(scope, id) ? config_str(scope, id) : STR("");
}

enum err sql_open(struct op *op, const struct config_scope *scope, struct sql **out)
{
	const struct sql_driver *driver = NULL;
	struct str name = config_str(scope, SET_sql_driver),
		   path = config_str(scope, SET_sqlite_path);
	for (size_t i = 0; i < ARRAY_COUNT(drivers); i++) {
		if (str_eq(name, str_from(drivers[i]->name)))
			driver = drivers[i];
	}
	if (!driver)
		return op_fail(op, ERR_UNSUPPORTED, "sql_driver %.*s is not supported (use sqlite)",
			STRF(name));
	if (path.n == 0 || str_has_nul(path))
		return op_fail(op, ERR_INVALID, "sqlite_path must name the database's file");
	struct pool *p = MEM_NEW(struct pool);
	pthread_mutex_init(&p->mutex, NULL);
	p->refs = 1;
	p->driver = driver;
	p->target = (struct sql_target){
		.path = str_new_z(config_state_path(op->arena, scope, path)),
		.journal_mode = set_only(scope, SET_sqlite_journal_mode),
		.synchronous = set_only(scope, SET_sqlite_synchronous),
		.is_readonly = config_bool(scope, SET_sqlite_readonly),
		.busy_timeout_us = config_time_us(scope, SET_sqlite_busy_timeout),
	};
	*out = MEM_NEW(struct sql);
	(*out)->pool = p;
	return ERR_NONE;
}

void sql_close(struct sql *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->pool->mutex);
	s->pool->is_closed = true;
	pthread_mutex_unlock(&s->pool->mutex);
	pool_unref(s->pool);
	mem_free(s);
}

static struct sql_statement statement_dup(struct arena *a, const struct sql_statement *s)
{
	struct str *params = ARENA_NEW_ARRAY(a, struct str, s->param_count + 1);
	for (size_t i = 0; i < s->param_count; i++)
		params[i] = str_dup(a, s->params[i]);
	return (struct sql_statement){ str_dup(a, s->text), params, s->param_count };
}

static struct str *values_dup(struct arena *a, const struct str *values, size_t count)
{
	struct str *copy = ARENA_NEW_ARRAY(a, struct str, count + 1);
	for (size_t i = 0; i < count; i++)
		copy[i] = values[i].p ? str_dup(a, values[i]) : STR_NONE;
	return copy;
}

enum err sql_run(struct op *op, struct sql *s, const struct sql_statement *statement,
	size_t row_max, struct sql_result *out)
{
	struct run_job *r = MEM_NEW(struct run_job);
	r->job = (struct offload_job){ .run = run, .release = release };
	r->pool = s->pool;
	pthread_mutex_lock(&s->pool->mutex);
	s->pool->refs++;
	pthread_mutex_unlock(&s->pool->mutex);
	arena_init(&r->arena, 0);
	op_init(&r->op, &r->arena, NULL, op->deadline_us);
	r->statement = statement_dup(&r->arena, statement);
	r->row_max = row_max;
	TRY(offload(op, OFFLOAD_DISK, &r->job));
	enum err e = r->outcome;
	if (e == ERR_NONE)
		*out = (struct sql_result){
			.columns = values_dup(op->arena, r->result.columns, r->result.column_count),
			.column_count = r->result.column_count,
			.values = values_dup(op->arena, r->result.values,
				r->result.column_count * r->result.row_count),
			.row_count = r->result.row_count,
		};
	else
		e = op_fail(op, ERR_UNAVAILABLE, "%s", r->op.failure.text);
	release(&r->job);
	return e;
}
