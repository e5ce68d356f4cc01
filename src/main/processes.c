/* SPDX-License-Identifier: Apache-2.0 */
/* From the services of the configuration to processes and bound sockets.
 *
 * The platform's service names stay the vocabulary of the configuration: they configure listeners and
 * limits, whichever role serves them. */
#include "main/processes.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "event/event.h"
#include "net/net.h"

/* To serve another protocol: one row. */
static const struct service {
	const char *name;     /* of the service block */
	const char *protocol; /* as in `protocols` and in role_listener.protocol */
	const struct role *role;
} services[] = {
	{ "imap-login", "imap", &role_login },
	{ "lmtp", "lmtp", &role_login },
};

/* Adds *like as a listener of `protocol`. */
static enum err add_listener(struct op *op, struct process_plan *plan, const char *protocol,
	const struct role_listener *like)
{
	if (plan->listener_count == ROLE_LISTENERS_MAX)
		return op_fail(
			op, ERR_LIMIT, "more than %d listeners for one role", ROLE_LISTENERS_MAX);
	struct role_listener *l = &plan->listeners[plan->listener_count++];
	*l = *like;
	snprintf(l->protocol, sizeof(l->protocol), "%s", protocol);
	return ERR_NONE;
}

static enum err bind_address(
	struct op *op, struct sockets *sockets, struct str host, uint16_t port, int *out_fd)
{
	struct address at;
	if (str_eq(host, STR("*")))
		host = STR("0.0.0.0");
	if (!address_parse(host, &at))
		return op_fail(op, ERR_INVALID, "listen: %.*s is not an IP address", STRF(host));
	at.port = port;
	return sockets_tcp(op, sockets, &at, out_fd);
}

static enum err bind_inet(struct op *op, struct sockets *sockets, struct process_plan *plan,
	const struct service *service, const struct config_scope *listener)
{
	uint16_t port = config_port(listener, SET_inet_listener_port);
	if (port == 0)
		return ERR_NONE;
	struct str hosts = config_str(listener, SET_inet_listener_listen), host;
	while (str_cut_word(&hosts, &host)) {
		int fd;
		enum err e = bind_address(op, sockets, host, port, &fd);
		if (e != ERR_NONE && str_eq(host, STR("::"))) {
			/* A host without IPv6 is common; `listen = *` silences this. */
			event_send(NULL, EVENT_WARNING, NULL, "no IPv6 listener on port %u: %s",
				port, op->failure.text);
			op_forgive(op);
			continue;
		}
		if (e != ERR_NONE)
			return op_within(op, e, "service %s, inet_listener %.*s", service->name,
				STRF(config_scope_name(listener)));
		TRY(add_listener(op, plan, service->protocol,
			&(struct role_listener){
				.is_tls = config_bool(listener, SET_inet_listener_ssl),
				.has_proxy_header =
					config_bool(listener, SET_inet_listener_haproxy),
				.fd = fd,
			}));
	}
	return ERR_NONE;
}

/* Gives the socket file its owner; names that do not exist are errors only for root. */
static enum err own_socket(struct op *op, const char *path, struct str user, struct str group)
{
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;
	if (geteuid() != 0 || (user.n == 0 && group.n == 0))
		return ERR_NONE;
	const char *user_z = str_dup_z(op->arena, user), *group_z = str_dup_z(op->arena, group);
	if (user.n > 0) {
		const struct passwd *pw = getpwnam(user_z);
		if (!pw)
			return op_fail(
				op, ERR_INVALID, "%s: no user %s on this host", path, user_z);
		uid = pw->pw_uid;
	}
	if (group.n > 0) {
		const struct group *gr = getgrnam(group_z);
		if (!gr)
			return op_fail(
				op, ERR_INVALID, "%s: no group %s on this host", path, group_z);
		gid = gr->gr_gid;
	}
	if (chown(path, uid, gid) < 0)
		return op_fail_errno(op, "chown %s", path);
	return ERR_NONE;
}

static enum err bind_unix(struct op *op, struct sockets *sockets, struct process_plan *plan,
	const struct service *service, const struct config_scope *listener, struct str base_dir)
{
	uint64_t mode = config_u64(listener, SET_unix_listener_mode);
	struct str name = config_scope_name(listener);
	if (mode == 0)
		return ERR_NONE;
	const char *path =
		name.n > 0 && name.p[0] == '/'
			? str_dup_z(op->arena, name)
			: str_printf(op->arena, "%.*s/%.*s", STRF(base_dir), STRF(name)).p;
	int fd;
	TRY(op_within(op, sockets_unix(op, sockets, path, SOCK_STREAM, (unsigned)mode, &fd),
		"service %s, unix_listener %.*s", service->name, STRF(name)));
	TRY(add_listener(op, plan, service->protocol, &(struct role_listener){ .fd = fd }));
	return own_socket(op, path, config_str(listener, SET_unix_listener_user),
		config_str(listener, SET_unix_listener_group));
}

/* Other hosts' administrators: only where a listener has a port, and by one process. `http` is another
 * protocol, which is not there. */
static enum err plan_doveadm(struct op *op, struct config *config, struct sockets *sockets,
	struct process_plan *plan, bool *out_is_on)
{
	static const struct service doveadm = { "doveadm", "doveadm", &role_doveadm };
	const struct config_scope *block =
		config_block_get(config_scope(config, NULL), BLOCK_service, STR("doveadm"));
	*plan = (struct process_plan){ .role = &role_doveadm };
	for (size_t i = 0; block && i < config_block_count(block, BLOCK_inet_listener); i++) {
		const struct config_scope *l = config_block_at(block, BLOCK_inet_listener, i);
		if (config_bool(l, SET_inet_listener_haproxy))
			return op_fail(op, ERR_INVALID,
				"service doveadm, inet_listener %.*s: haproxy = yes is not for "
				"administrators",
				STRF(config_scope_name(l)));
		if (!str_eq(config_scope_name(l), STR("http")))
			TRY(bind_inet(op, sockets, plan, &doveadm, l));
		else if (config_port(l, SET_inet_listener_port) != 0)
			event_send(NULL, EVENT_WARNING, NULL,
				"service doveadm, inet_listener http: there is no HTTP API yet");
	}
	*out_is_on = plan->listener_count > 0;
	return ERR_NONE;
}

static enum err bind_service(struct op *op, struct config *config, struct sockets *sockets,
	const struct service *service, struct process_plan *plan)
{
	const struct config_scope *global = config_scope(config, NULL);
	if (!config_list_has(global, SET_protocols, str_from(service->protocol)))
		return ERR_NONE;
	const struct config_scope *block =
		config_block_get(global, BLOCK_service, str_from(service->name));
	if (!block)
		return ERR_NONE;
	struct str base_dir = config_str(global, SET_base_dir);
	for (size_t i = 0; i < config_block_count(block, BLOCK_inet_listener); i++)
		TRY(bind_inet(op, sockets, plan, service,
			config_block_at(block, BLOCK_inet_listener, i)));
	for (size_t i = 0; i < config_block_count(block, BLOCK_unix_listener); i++)
		TRY(bind_unix(op, sockets, plan, service,
			config_block_at(block, BLOCK_unix_listener, i), base_dir));
	return ERR_NONE;
}

/* The socket on which a role takes messages: for `user` (root, if that is empty) and the login group
 * alone. */
static enum err bind_messages(struct op *op, struct config *config, struct sockets *sockets,
	struct process_plan *plan, struct str path, struct str user)
{
	const struct config_scope *global = config_scope(config, NULL);
	const char *path_z = str_dup_z(op->arena, path);
	int fd;
	TRY(sockets_unix(op, sockets, path_z, SOCK_SEQPACKET, 0660, &fd));
	TRY(add_listener(op, plan, "ipc", &(struct role_listener){ .fd = fd }));
	return own_socket(op, path_z, user, config_str(global, SET_default_login_user));
}

static enum err make_directory(struct op *op, struct str path, unsigned mode, struct str group)
{
	const char *path_z = str_dup_z(op->arena, path);
	TRY(file_make_dirs(op, path_z, mode));
	if (chmod(path_z, mode) < 0)
		return op_fail_errno(op, "chmod %s", path_z);
	return own_socket(op, path_z, STR_NONE, group);
}

static struct process_plan *add_plan(
	struct process_plans *plans, const struct role *role, uint32_t slot)
{
	ASSERT(plans->count < PROCESSES_MAX);
	struct process_plan *plan = &plans->items[plans->count++];
	*plan = (struct process_plan){ .role = role, .slot = slot };
	return plan;
}

static uint32_t login_process_count(struct config *config)
{
	const struct config_scope *block =
		config_block_get(config_scope(config, NULL), BLOCK_service, STR("imap-login"));
	uint64_t count = block ? config_u64(block, SET_service_process_limit) : 1;
	return (uint32_t)MIN(MAX(count, 1), 32);
}

enum err process_plan_extra(struct op *op, struct config *config, struct sockets *sockets,
	uint32_t slot, struct process_plan *out)
{
	*out = (struct process_plan){ .role = &role_mail, .slot = slot };
	/* Sessions move from one worker to the next (main/moving.h). */
	return bind_messages(op, config, sockets, out, role_socket_mail(op->arena, config, slot),
		config_str(config_scope(config, NULL), SET_mail_uid));
}

enum err process_bind_master(
	struct op *op, struct config *config, struct sockets *sockets, int *out_fd)
{
	const char *path = role_socket_master(op->arena, config).p;
	return sockets_unix(op, sockets, path, SOCK_SEQPACKET, 0600, out_fd);
}

static enum err make_directories(struct op *op, const struct config_scope *global)
{
	struct str base_dir = config_str(global, SET_base_dir);
	TRY(make_directory(op, base_dir, 0755, STR_NONE));
	/* Whoever knows a name may come as far as the socket, whose mode says the rest. */
	return make_directory(op, str_printf(op->arena, "%.*s/ipc", STRF(base_dir)), 0751,
		config_str(global, SET_default_login_user));
}

/* Each process that faces clients keeps a connection to auth. */
static void warn_of_capacity(struct config *config, uint32_t login_count)
{
	const struct config_scope *auth =
		config_block_get(config_scope(config, NULL), BLOCK_service, STR("auth"));
	uint64_t limit = auth ? config_u64(auth, SET_service_client_limit) : CONFIG_UNLIMITED;
	if (limit < login_count)
		event_send(NULL, EVENT_WARNING, NULL,
			"service auth { client_limit=%" PRIu64
			" } is lower than required under max. load (%u)",
			limit, login_count);
}

enum err process_plans_make(struct op *op, struct config *config, struct sockets *sockets,
	uint32_t worker_count, struct process_plans *plans)
{
	const struct config_scope *global = config_scope(config, NULL);
	uint64_t workers =
		worker_count > 0 ? worker_count : config_u64(global, SET_mail_worker_count);
	if (workers == 0 || workers > WORKERS_MAX)
		return op_fail(
			op, ERR_INVALID, "mail_worker_count must be from 1 to %d", WORKERS_MAX);
	plans->count = 0;
	plans->worker_count = (uint32_t)workers;
	TRY(make_directories(op, global));
	TRY(bind_messages(op, config, sockets, add_plan(plans, &role_auth, 0),
		role_socket_auth(op->arena, config), STR_NONE));
	for (uint32_t slot = 0; slot < workers; slot++)
		TRY(process_plan_extra(
			op, config, sockets, slot, add_plan(plans, &role_mail, slot)));

	struct process_plan *first = add_plan(plans, &role_login, 0);
	for (size_t i = 0; i < ARRAY_COUNT(services); i++)
		TRY(bind_service(op, config, sockets, &services[i], first));
	if (first->listener_count == 0)
		return op_fail(op, ERR_INVALID,
			"nothing to serve: no listener of the services in `protocols` has a port");
	for (uint32_t slot = 1; slot < login_process_count(config); slot++) {
		struct process_plan *next = add_plan(plans, &role_login, slot);
		memcpy(next->listeners, first->listeners, sizeof(next->listeners));
		next->listener_count = first->listener_count;
	}
	struct process_plan doveadm;
	bool is_on = false;
	TRY(plan_doveadm(op, config, sockets, &doveadm, &is_on));
	if (is_on)
		*add_plan(plans, &role_doveadm, 0) = doveadm;
	warn_of_capacity(config, login_process_count(config));
	return ERR_NONE;
}
