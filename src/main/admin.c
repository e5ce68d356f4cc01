/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of doveadm to the master (master.h). Answers are lines of fields separated by tabs; the
 * first of a table names the fields.
 *
 * To add a command: a function, a row in commands[], a row in doveadm.c. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "event/event.h"
#include "ipc/ipc.h"
#include "main/master_private.h"

#define ANSWER_BYTES_MAX (60 << 10)

typedef enum err admin_fn(struct op *op, struct master *m, struct str argument, struct buf *out);

/* ---- reload, upgrade, waiting ---- */

static enum err do_reload(struct op *op, struct master *m, struct str argument, struct buf *out)
{
	(void)argument;
	return master_reload(op, m, out);
}

static void upgrade_soon(void *arg)
{
	struct master *m = arg;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	/* The answer to doveadm leaves first. */
	if (task_sleep(&op, 50 * US_PER_MS) == ERR_NONE && master_upgrade(&op, m) == ERR_NONE)
		return;
	event_send_failure(
		NULL, EVENT_ERROR, "master_upgrade_failed", &op, "executing the new program");
	m->is_ready = true;
	mem_free(m->upgrade_error);
	m->upgrade_error = str_new_z(str_from(op.failure.text));
	wait_queue_wake_all(&m->changed);
}

static enum err do_upgrade(struct op *op, struct master *m, struct str argument, struct buf *out)
{
	(void)argument;
	(void)out;
	if (m->is_stopping || !m->is_ready)
		return op_fail(op, ERR_CONFLICT, "Pombal is %s",
			m->is_stopping ? "stopping" : "starting or being upgraded");
	TRY(upgrade_check(op, m));
	m->is_ready = false;
	mem_free(m->upgrade_error);
	m->upgrade_error = NULL;
	task_start("upgrade", upgrade_soon, m);
	return ERR_NONE;
}

/* Answers when everything serves; after an upgrade: when the old processes have left their places. */
static enum err do_wait(struct op *op, struct master *m, struct str argument, struct buf *out)
{
	(void)argument;
	while (!m->is_ready && !m->is_stopping)
		TRY(wait_queue_wait(op, &m->changed));
	if (m->upgrade_error)
		return op_fail(op, ERR_UNAVAILABLE, "%s", m->upgrade_error);
	buf_putf(out, "%s\t%d\n", m->is_stopping ? "stopping" : "serving", (int)getpid());
	return ERR_NONE;
}

/* ---- status ---- */

static enum err do_process_status(
	struct op *op, struct master *m, struct str argument, struct buf *out)
{
	struct child *c, *next;
	(void)op;
	buf_put(out, STR("name\tslot\tpid\tstate\tclients\tmemory\tlast_turn_ms\n"));
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	{
		const struct process_page *page = c->page;
		const char *state = c->pid == 0         ? "waiting"
				    : c->is_leaving     ? "leaving"
				    : c->stalled_us > 0 ? "stalled"
				    : c->is_serving     ? "serving"
							: "starting";
		if (argument.n > 0 && !str_eq(argument, str_from(c->plan.role->name)))
			continue;
		buf_putf(out, "%s\t%u\t%d\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRId64 "\n",
			c->plan.role->name, c->plan.slot, (int)c->pid, state,
			page ? page->clients : 0, page ? page->memory_bytes : 0,
			page && page->turned_us > 0 ? (now_us() - page->turned_us) / US_PER_MS
						    : -1);
	}
	return ERR_NONE;
}

static int exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void put_service(struct master *m, const struct role *role, struct buf *out)
{
	const struct config_scope *block = config_block_get(
		config_scope(m->config, NULL), BLOCK_service, str_from(role->service));
	unsigned count = 0, serving = 0;
	uint64_t clients = 0, failures = 0;
	int64_t throttle_us = 0, last_us = 0;
	int last = 0;
	struct child *c, *next;
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	{
		if (c->plan.role != role)
			continue;
		count += c->pid > 0;
		serving += c->is_serving;
		clients += c->page && c->pid > 0 ? c->page->clients : 0;
		failures += c->failures;
		throttle_us = MAX(throttle_us, c->pid > 0 ? 0 : c->backoff_us);
		if (c->last_failure_wall_us > last_us) {
			last_us = c->last_failure_wall_us;
			last = exit_code(c->last_status);
		}
	}
	struct str limit = block ? config_str(block, SET_service_client_limit) : STR("unlimited");
	buf_putf(out, "%s\t%s\t%u\t%u\t%" PRIu64 "\t%.*s\t%.3f\t%" PRIu64 "\t%d\t%" PRId64 "\n",
		role->name, role->service, count, serving, clients, STRF(limit),
		(double)throttle_us / (double)US_PER_SEC, failures, last, last_us / US_PER_SEC);
}

static enum err do_service_status(
	struct op *op, struct master *m, struct str argument, struct buf *out)
{
	(void)op;
	buf_put(out, STR("name\tservice\tprocess_count\tprocess_serving\tclients\tclient_limit\t"
			 "throttle_secs\texit_failures\texit_failure_last\texit_failure_time\n"));
	for (size_t i = 0; roles[i]; i++) {
		if (argument.n == 0 || str_eq(argument, str_from(roles[i]->name)))
			put_service(m, roles[i], out);
	}
	return ERR_NONE;
}

/* ---- mail workers ---- */

/* Slots, one a line: the worker that serves a user, or all that serve. */
static enum err do_mail_workers(
	struct op *op, struct master *m, struct str argument, struct buf *out)
{
	struct child *c, *next;
	(void)op;
	if (argument.n > 0) {
		buf_putf(out, "%u\n", shared_worker_of(m->shared, argument));
		return ERR_NONE;
	}
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	{
		if (c->plan.role == &role_mail && c->is_serving && !c->is_leaving)
			buf_putf(out, "%u\n", c->plan.slot);
	}
	return ERR_NONE;
}

/* ---- quarantine ---- */

static enum err do_quarantine_list(
	struct op *op, struct master *m, struct str argument, struct buf *out)
{
	(void)op;
	(void)argument;
	buf_put(out, STR("user\tshard\tworker\thome_worker\n"));
	for (size_t i = 0; i < QUARANTINES_MAX; i++) {
		const struct quarantine *q = &m->quarantines[i];
		if (q->is_used)
			buf_putf(out, "%s\t%u\t%u\t%u\n", q->user, q->shard, q->slot, q->home_slot);
	}
	return ERR_NONE;
}

static enum err do_quarantine_release(
	struct op *op, struct master *m, struct str argument, struct buf *out)
{
	(void)out;
	TRY(task_mutex_lock(op, &m->changing));
	enum err e = quarantine_release(op, m, argument);
	task_mutex_unlock(&m->changing);
	return e;
}

/* ---- the table ---- */

static const struct {
	const char *name;
	admin_fn *run;
} commands[] = {
	{ "reload", do_reload },
	{ "upgrade", do_upgrade },
	{ "wait", do_wait },
	{ "process status", do_process_status },
	{ "service status", do_service_status },
	{ "mail workers", do_mail_workers },
	{ "quarantine list", do_quarantine_list },
	{ "quarantine release", do_quarantine_release },
};

static enum err answer(struct op *op, const struct ipc_peer *peer, struct ipc_message *request,
	struct ipc_message *reply, void *arg)
{
	struct str command = STR_NONE, argument = STR_NONE;
	AUTO_BUF(out, 0);
	if (peer->uid != 0 && peer->uid != geteuid())
		return op_fail(op, ERR_DENIED, "only root may command the master");
	(void)ipc_get_str(request, "command", &command); /* absent: no such command */
	(void)ipc_get_str(request, "argument", &argument);
	for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
		if (!str_eq(command, str_from(commands[i].name)))
			continue;
		enum err e = commands[i].run(op, arg, argument, &out);
		ipc_put_int(reply, "failed", e != ERR_NONE);
		if (e != ERR_NONE && out.n == 0)
			buf_putf(&out, "%s\n", op->failure.text);
		buf_truncate(&out, MIN(out.n, ANSWER_BYTES_MAX));
		ipc_put_str(reply, "text", buf_str(&out));
		return ERR_NONE; /* the failure travels with its lines */
	}
	return op_fail(op, ERR_UNSUPPORTED, "the master knows no command %.*s", STRF(command));
}

enum err admin_open(struct op *op, struct master *m, int listen_fd)
{
	int fd = dup(listen_fd);
	if (fd < 0)
		return op_fail_errno(op, "duplicate a descriptor");
	return ipc_serve(op, fd, "master-command", answer, m, &m->server);
}
