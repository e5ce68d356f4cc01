/* SPDX-License-Identifier: Apache-2.0 */
/* The role that administrators of other hosts talk to: takes their connections, and gives commands to the mail
 * workers as doveadm on this host does.
 *
 * It runs as the user that reads mail, because workers obey nobody else, but behind the walls of login: it
 * can open no file, and reaches nothing but the sockets of the other roles. */
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "ipc/ipc.h"
#include "main/certificates.h"
#include "main/mail_command.h"
#include "main/role.h"
#include "net/net.h"
#include "service/doveadm/doveadm_service.h"
#include "task/task.h"

#define COPY_BYTES (64 << 10)

struct doveadm_role;
struct door {
	struct doveadm_role *role;
	bool is_tls;
	struct listener *accepting;
};
struct doveadm_role {
	struct config *config; /* a reference */
	const struct shared_page *shared;
	bool is_alone;
	struct door doors[ROLE_LISTENERS_MAX];
	size_t door_count;
	struct certificates *certificates; /* NULL: no TLS */
	struct doveadm_server *server;
};

/* ---- asking workers ---- */

static enum err is_cut(struct op *op, const char *what, bool *out_is_cut)
{
	*out_is_cut = true;
	return op_fail(op, ERR_UNAVAILABLE, "%s", what);
}

/* WAITS. Lines that were too many for a message, from the memory file that they came in. */
static enum err copy_file(struct op *op, int fd, struct stream *out)
{
	char bytes[4096];
	ssize_t n;
	for (off_t at = 0; (n = pread(fd, bytes, sizeof(bytes), at)) > 0; at += n)
		TRY(stream_write(op, out, (struct str){ bytes, (size_t)n }));
	return ERR_NONE;
}

/* WAITS. Exactly `count` bytes, or the output is cut. Takes fd. */
static enum err copy_stream(
	struct op *op, int fd, uint64_t count, struct stream *out, bool *out_is_cut)
{
	struct stream *from;
	enum err e = stream_new(op, fd, COPY_BYTES, &from);
	if (e != ERR_NONE)
		return is_cut(op, "the worker's stream is lost", out_is_cut);
	char *bytes = mem_new(COPY_BYTES);
	e = stream_write(op, out, str_printf(op->arena, "stream\t%" PRIu64 "\n", count));
	while (e == ERR_NONE && count > 0) {
		size_t n;
		e = stream_read_some(op, from, bytes, (size_t)MIN(count, COPY_BYTES), &n);
		if (e == ERR_NONE)
			e = stream_write(op, out, (struct str){ bytes, n });
		count -= e == ERR_NONE ? n : 0;
	}
	mem_free(bytes);
	stream_abandon(from);
	if (e == ERR_NONE)
		return ERR_NONE;
	return is_cut(op, "the worker did not send all that it had promised", out_is_cut);
}

/* WAITS. */
static enum err copy_reply(
	struct op *op, struct ipc_message *reply, struct stream *out, bool *out_is_cut)
{
	AUTO_FD(fd, ipc_take_fd(reply, 0));
	struct str text = STR(""), error = STR("no reason given");
	int64_t failed = ERR_NONE, bytes;
	(void)ipc_get_str(reply, "text", &text); /* absent: nothing to say */
	(void)ipc_get_int(reply, "failed", &failed);
	(void)ipc_get_str(reply, "error", &error); /* the default stands */
	if (fd >= 0 && ipc_get_int(reply, "stream", &bytes) && bytes >= 0) {
		int taken = fd;
		fd = -1;
		TRY(copy_stream(op, taken, (uint64_t)bytes, out, out_is_cut));
	} else if (fd >= 0) {
		TRY(copy_file(op, fd, out));
	} else {
		TRY(stream_write(op, out, text));
	}
	if (failed <= ERR_NONE || failed >= ERR_COUNT)
		return ERR_NONE;
	return op_fail(op, (enum err)failed, "%.*s", STRF(error));
}

/* A process of its own stands in the directory of the sockets (main/sandbox.h). */
static struct str mail_socket(struct op *op, const struct doveadm_role *r, uint32_t slot)
{
	struct str path = role_socket_mail(op->arena, r->config, slot);
	return r->is_alone ? str_slice(path, (size_t)(str_find_last_byte(path, '/') + 1), path.n)
			   : path;
}

/* WAITS. */
static enum err ask_worker(struct op *op, const struct doveadm_role *r, const struct mail_call *c,
	uint32_t slot, struct stream *out, bool *out_is_cut)
{
	struct ipc_client *worker = ipc_client_new(mail_socket(op, r, slot));
	struct ipc_message request, reply;
	ipc_message_init(&request, IPC_MAIL_ADMIN);
	ipc_message_init(&reply, IPC_MAIL_ADMIN);
	mail_call_put(c, c->user, &request);
	enum err e = ipc_call(op, worker, &request, &reply);
	if (e == ERR_NONE)
		e = copy_reply(op, &reply, out, out_is_cut);
	ipc_message_done(&request);
	ipc_message_done(&reply);
	ipc_client_free(worker);
	return e;
}

/* WAITS. Who serves the user; without one all workers, of which those of quarantines are not asked. */
static enum err ask(struct op *op, const struct doveadm_role *r, const struct mail_call *c,
	struct stream *out, bool *out_is_cut)
{
	enum err worst = ERR_NONE;
	op->deadline_us = MIN(op->deadline_us, now_us() + c->lasts_us);
	if (c->user.n > 0)
		return ask_worker(op, r, c, shared_worker_of(r->shared, c->user), out, out_is_cut);
	for (uint32_t slot = 0; slot < r->shared->worker_count && !*out_is_cut; slot++) {
		enum err e = ask_worker(op, r, c, slot, out, out_is_cut);
		worst = e == ERR_NONE ? worst : e;
	}
	return worst;
}

static enum err run(struct op *op, void *arg, const struct doveadm_line *line, struct stream *out,
	bool *out_is_cut)
{
	const struct mail_command *command = mail_command_find(line->command);
	char *args[DOVEADM_ARGS_MAX + 2];
	struct mail_call call;
	if (!command)
		return op_fail(op, ERR_UNSUPPORTED, "no command %.*s", STRF(line->command));
	args[0] = str_dup_z(op->arena, line->command);
	for (size_t i = 0; i < line->arg_count; i++)
		args[i + 1] = str_dup_z(op->arena, line->args[i]);
	args[line->arg_count + 1] = NULL;
	enum err e;
	if (!mail_call_read(command, line->user, (int)line->arg_count + 1, args, &call) ||
		call.is_for_all)
		e = op_fail(op, ERR_INVALID, "wrong arguments of %s", command->name);
	else
		e = ask(op, arg, &call, out, out_is_cut);
	mail_call_done(&call);
	return e;
}

/* ---- the role ---- */

static void accepted(int fd, const struct address *peer, void *arg)
{
	struct door *door = arg;
	doveadm_server_accept(door->role->server, door->is_tls, fd, peer);
}

static void close_doors(struct doveadm_role *r)
{
	for (size_t i = 0; i < r->door_count; i++)
		listener_close(r->doors[i].accepting);
	r->door_count = 0;
}

static enum err open_doors(
	struct op *op, struct doveadm_role *r, const struct role_context *context)
{
	for (size_t i = 0; i < context->listener_count; i++) {
		const struct role_listener *l = &context->listeners[i];
		struct door *door = &r->doors[i];
		*door = (struct door){ .role = r, .is_tls = l->is_tls };
		if (l->is_tls && !r->certificates)
			return op_fail(op, ERR_INVALID,
				"service doveadm: a listener has ssl = yes, but there are no "
				"certificates (ssl = no)");
		TRY(listener_open(op, l->fd, accepted, door, &door->accepting));
		r->door_count++;
	}
	return ERR_NONE;
}

static void doveadm_role_retire(struct op *op, void *state)
{
	(void)op;
	close_doors(state);
}

static void doveadm_role_drain(struct op *op, void *state)
{
	struct doveadm_role *r = state;
	close_doors(r);
	if (r->server)
		doveadm_server_close(op, r->server);
	r->server = NULL;
}

static void doveadm_role_stop(struct op *op, void *state)
{
	struct doveadm_role *r = state;
	doveadm_role_drain(op, r);
	certificates_close(r->certificates);
	config_unref(r->config);
	mem_free(r);
}

static enum err start_parts(struct op *op, struct doveadm_role *r, struct role_context *context)
{
	TRY(certificates_open(op, r->config, context->tls_seed, &r->certificates));
	r->server = doveadm_server_open(&(struct doveadm_server_settings){ .config = r->config,
		.tls = certificates_front(r->certificates),
		.run = run,
		.arg = r });
	return open_doors(op, r, context);
}

static enum err doveadm_role_start(struct op *op, struct role_context *context, void **out_state)
{
	struct doveadm_role *r = MEM_NEW(struct doveadm_role);
	r->config = config_ref(context->config);
	r->shared = context->shared;
	r->is_alone = context->is_alone;
	enum err e = start_parts(op, r, context);
	if (e != ERR_NONE) {
		doveadm_role_stop(op, r);
		return e;
	}
	*out_state = r;
	return ERR_NONE;
}

static enum err doveadm_role_reload(struct op *op, void *state, struct role_context *context)
{
	struct doveadm_role *r = state;
	if (r->certificates)
		TRY(certificates_reload(op, r->certificates, context->config));
	config_unref(r->config);
	r->config = config_ref(context->config);
	doveadm_server_reload(r->server, r->config);
	/* The sockets stay open in the master: nobody is refused between the two. */
	close_doors(r);
	return open_doors(op, r, context);
}

static uint64_t doveadm_role_clients(const void *state)
{
	const struct doveadm_role *r = state;
	return r->server ? doveadm_server_count(r->server) : 0;
}

static int no_spool_dir(const void *state)
{
	(void)state;
	return -1;
}

const struct role role_doveadm = {
	.name = "doveadm",
	.service = "doveadm",
	.user_setting = SET_mail_uid,
	.reader = CONFIG_READER_DOVEADM,
	.needs_tls_seed = true,
	.is_confined = true,
	.spool_dir = no_spool_dir,
	.start = doveadm_role_start,
	.reload = doveadm_role_reload,
	.retire = doveadm_role_retire,
	.drain = doveadm_role_drain,
	.stop = doveadm_role_stop,
	.clients = doveadm_role_clients,
};
