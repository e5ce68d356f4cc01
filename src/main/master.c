/* SPDX-License-Identifier: Apache-2.0 */
/* The master: one child per planned process; signals; the start. States and invariants:
 * master_private.h. */
#include "main/master.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "event/event.h"
#include "ipc/ipc.h"
#include "main/certificates.h"
#include "main/master_private.h"
#include "main/notify.h"
#include "main/pid_file.h"
#include "net/net.h"

#define WATCH_US US_PER_SEC

/* ---- signals ---- */

static void check_all_ready(struct master *m)
{
	if (m->is_ready || m->is_upgrading || !children_are_serving(m))
		return;
	m->is_ready = true;
	event_send(NULL, EVENT_INFO, "master_started",
		"Pombal serves: %zu processes, %u mail workers", m->plans.count,
		m->plans.worker_count);
	notify_ready(STR("Serving"));
	master_tell_ready(m->ready_fd);
	m->ready_fd = -1;
}

static void on_child_signal(int signal_number, void *arg)
{
	(void)signal_number;
	children_reap(arg);
}

static void on_stop_signal(int signal_number, void *arg)
{
	(void)signal_number;
	master_stop(arg);
}

static void on_log_signal(int signal_number, void *arg)
{
	(void)signal_number;
	struct master *m = arg;
	event_log_reopen();
	children_reopen_logs(m, m->config);
}

static void reload_task(void *arg)
{
	AUTO_ARENA(arena, 0);
	AUTO_BUF(text, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	enum err e = master_reload(&op, arg, &text);
	struct str rest = buf_str(&text), line;
	while (str_cut(&rest, '\n', &line))
		event_send(NULL, e == ERR_NONE ? EVENT_WARNING : EVENT_ERROR, NULL, "%.*s",
			STRF(line));
}

static void on_reload_signal(int signal_number, void *arg)
{
	(void)signal_number;
	task_start("reload", reload_task, arg);
}

static void upgrade_task(void *arg)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (master_upgrade(&op, arg) != ERR_NONE)
		event_send_failure(NULL, EVENT_ERROR, "master_upgrade_failed", &op,
			"executing the new program");
}

static void on_upgrade_signal(int signal_number, void *arg)
{
	(void)signal_number;
	task_start("upgrade", upgrade_task, arg);
}

static enum err take_signals(struct op *op, struct master *m)
{
	TRY(loop_on_signal(op, SIGCHLD, on_child_signal, m));
	TRY(loop_on_signal(op, SIGTERM, on_stop_signal, m));
	TRY(loop_on_signal(op, SIGINT, on_stop_signal, m));
	TRY(loop_on_signal(op, SIGUSR1, on_log_signal, m));
	TRY(loop_on_signal(op, SIGUSR2, on_upgrade_signal, m));
	return loop_on_signal(op, SIGHUP, on_reload_signal, m);
}

/* ---- the start ---- */

static void watch_timer(void *arg)
{
	struct master *m = arg;
	master_watch(m);
	timer_set(&m->watch_timer, now_us() + WATCH_US);
}

static enum err make_key(struct op *op, struct master *m)
{
	uint8_t key[TICKET_KEY_BYTES];
	random_bytes(key, sizeof(key));
	enum err e = master_memory_file(op, "pombal-ticket-key",
		(struct str){ (const char *)key, sizeof(key) }, &m->key_fd);
	mem_wipe(key, sizeof(key));
	return e;
}

/* Also after an upgrade, from the key that was adopted: clients' TLS tickets stay good. */
static enum err make_seed(struct op *op, struct master *m)
{
	uint8_t key[TICKET_KEY_BYTES], seed[TLS_TICKET_SEED_BYTES];
	TRY(file_pread_all(op, m->key_fd, key, sizeof(key), 0));
	role_tls_seed(key, seed);
	enum err e = master_memory_file(op, "pombal-tls-seed",
		(struct str){ (const char *)seed, sizeof(seed) }, &m->seed_fd);
	mem_wipe(key, sizeof(key));
	mem_wipe(seed, sizeof(seed));
	return e;
}

static enum err make_shared_descriptors(struct op *op, struct master *m)
{
	const struct config_scope *global = config_scope(m->config, NULL);
	int fd;
	TRY(snapshots_write(op, m->config, &m->config_fds));
	if (m->key_fd < 0)
		TRY(make_key(op, m));
	TRY(make_seed(op, m));
	TRY(shared_page_create(op, (uint32_t)config_u64(global, SET_mail_shard_count),
		m->plans.worker_count, &fd, &m->shared));
	m->shared_fd = fcntl(fd, F_DUPFD_CLOEXEC, ROLE_FD_MASTER_BASE);
	close(fd);
	if (m->shared_fd < 0)
		return op_fail_errno(op, "duplicate a descriptor");
	return ERR_NONE;
}

/* Of a first start: everything that belongs to processes which are there already is adopted. */
static enum err take_places(struct op *op, struct master *m)
{
	if (m->args.upgrade_fd >= 0)
		return upgrade_adopt(op, m, m->args.upgrade_fd);
	TRY(pid_file_take(op, m->config));
	TRY(master_prepare_state(op, m->config));
	return sockets_adopt_environment(op, &m->sockets);
}

static enum err bind_all(struct op *op, struct master *m)
{
	int admin_fd;
	sockets_begin(&m->sockets);
	TRY(process_plans_make(op, m->config, &m->sockets, 0, &m->plans));
	TRY(process_bind_master(op, m->config, &m->sockets, &admin_fd));
	sockets_commit(&m->sockets);
	return admin_open(op, m, admin_fd);
}

static void ready_task(void *arg)
{
	struct master *m = arg;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (m->is_upgrading)
		upgrade_replace(m);
	while (!m->is_stopping) {
		check_all_ready(m);
		if (m->is_ready || wait_queue_wait(&op, &m->changed) != ERR_NONE)
			break;
	}
}

static enum err start(struct op *op, struct master *m)
{
	TRY(certificates_check(op, m->config));
	TRY(take_places(op, m));
	TRY(bind_all(op, m));
	TRY(make_shared_descriptors(op, m));
	TRY(take_signals(op, m));
	children_reap(m); /* those that ended while the program was executed anew */
	for (size_t p = 0; p < m->plans.count && !m->is_upgrading; p++)
		TRY(child_start(op, child_new(m, &m->plans.items[p])));
	task_start("ready", ready_task, m);
	m->last_watch_us = now_us();
	timer_init(&m->watch_timer, watch_timer, m);
	timer_set(&m->watch_timer, now_us() + WATCH_US);
	return ERR_NONE;
}

static void finish(struct master *m)
{
	struct child *c, *next;
	timer_cancel(&m->watch_timer);
	ipc_server_close(m->server);
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	{
		if (c->pid == 0)
			child_free(c);
	}
	loop_close();
	/* Whoever gets the pid file's lock may bind: our sockets' files are gone by then. */
	sockets_close(&m->sockets);
	pid_file_drop(m->config);
	event_send(NULL, EVENT_INFO, "master_stopped", "Pombal has stopped");
	event_log_close();
	config_unref(m->config);
}

int master_run(const struct master_args *args)
{
	static struct master master; /* large, and there is one */
	struct master *m = &master;
	*m = (struct master){ .args = *args,
		.config = config_ref(args->config),
		.ready_fd = args->ready_fd,
		.key_fd = -1,
		.is_upgrading = args->upgrade_fd >= 0 };
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	list_init(&m->children);
	enum err e = role_open_log(&op, m->config, STR("master"));
	int status = e == ERR_NONE ? EXIT_FATAL : EXIT_LOG_OPEN;
	if (e == ERR_NONE)
		e = loop_open(&op, NULL);
	if (e == ERR_NONE) {
		notify_open();
		e = start(&op, m);
	}
	if (e != ERR_NONE) {
		event_send_failure(NULL, EVENT_FATAL, "master_start_failed", &op, "starting");
		fprintf(stderr, "pombal: Fatal: %s\n", op.failure.text);
		return status;
	}
	loop_run();
	finish(m);
	return 0;
}
