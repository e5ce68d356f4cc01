/* SPDX-License-Identifier: Apache-2.0 */
/* The role that faces clients: listeners of every protocol, and what is spoken before a worker takes
 * over. */
#include <fcntl.h>
#include <unistd.h>

#include "ipc/peers.h"
#include "main/certificates.h"
#include "main/role.h"
#include "net/net.h"
#include "service/lmtp/lmtp.h"
#include "service/login/login.h"
#include "task/task.h"

#define LAST_WORDS_US (5 * US_PER_SEC)

struct login_role;
struct door {
	struct login_role *role;
	const struct role_listener *listener;
	struct login_door login;
	struct listener *accepting;
};
struct login_role {
	struct config *config; /* a reference */
	bool is_alone;
	struct role_listener listeners[ROLE_LISTENERS_MAX];
	struct door doors[ROLE_LISTENERS_MAX];
	size_t door_count;
	struct peers peers;
	struct certificates *certificates; /* NULL: no TLS */
	struct login *login;
	struct lmtp *lmtp;
	int spool_dir;
};

static uint64_t count_clients(const void *state)
{
	const struct login_role *r = state;
	return (r->login ? login_count(r->login) : 0) + relay_count();
}

static void accepted(int fd, const struct address *peer, void *arg)
{
	struct door *door = arg;
	struct login_role *r = door->role;
	struct str protocol = str_from(door->listener->protocol);
	struct lmtp_door lmtp = {
		.is_tls = door->listener->is_tls,
		.has_proxy_header = door->listener->has_proxy_header,
	};
	if (str_eq(protocol, STR("lmtp")))
		lmtp_accept(r->lmtp, &lmtp, fd, peer);
	else
		login_accept(r->login, &door->login, fd, peer);
}

/* A process of its own stands in the directory of the sockets (main/sandbox.h). */
static struct str socket_path(const struct login_role *r, struct str path)
{
	return r->is_alone ? str_slice(path, (size_t)(str_find_last_byte(path, '/') + 1), path.n)
			   : path;
}

static struct str mail_socket(struct arena *a, uint32_t slot, void *arg)
{
	const struct login_role *r = arg;
	return socket_path(r, role_socket_mail(a, r->config, slot));
}

static int spool_dir(const void *state)
{
	const struct login_role *r = state;
	return r->spool_dir;
}

static void close_doors(struct login_role *r)
{
	for (size_t i = 0; i < r->door_count; i++)
		listener_close(r->doors[i].accepting);
	r->door_count = 0;
}

static enum err open_doors(struct op *op, struct login_role *r, struct role_context *context)
{
	memcpy(r->listeners, context->listeners, sizeof(r->listeners));
	for (size_t i = 0; i < context->listener_count; i++) {
		struct door *door = &r->doors[i];
		*door = (struct door){ .role = r, .listener = &r->listeners[i] };
		door->login = (struct login_door){
			.protocol = str_from(door->listener->protocol),
			.is_tls = door->listener->is_tls,
			.has_proxy_header = door->listener->has_proxy_header,
		};
		if (door->listener->is_tls && !r->certificates)
			return op_fail(
				op, ERR_INVALID, "a listener has ssl = yes, but ssl = no is set");
		TRY(listener_open(op, door->listener->fd, accepted, door, &door->accepting));
		r->door_count++;
	}
	return ERR_NONE;
}

static enum err check_doors(
	struct op *op, const struct login_role *r, const struct role_context *context)
{
	for (size_t i = 0; i < context->listener_count; i++) {
		if (context->listeners[i].is_tls && !r->certificates)
			return op_fail(op, ERR_INVALID,
				"a listener has ssl = yes, but there are no certificates: "
				"that needs a restart");
	}
	return ERR_NONE;
}

/* Mails on their way end; who has not logged in yet may go on to do so. */
static void login_role_retire(struct op *op, void *state)
{
	struct login_role *r = state;
	close_doors(r);
	if (r->lmtp)
		lmtp_close(op, r->lmtp);
	r->lmtp = NULL;
}

/* What is left are relays of sessions that the workers end. */
static void login_role_drain(struct op *op, void *state)
{
	struct login_role *r = state;
	login_role_retire(op, r);
	if (r->login)
		login_close(op, r->login);
	r->login = NULL;
}

static void login_role_stop(struct op *op, void *state)
{
	struct login_role *r = state;
	login_role_drain(op, r);
	/* The workers' last words are in the sockets by now: only deaf clients take longer. */
	AUTO_ARENA(arena, 0);
	struct op until;
	op_init(&until, &arena, NULL, MIN(op->deadline_us, now_us() + LAST_WORDS_US));
	while (relay_count() > 0 && task_sleep(&until, 50 * US_PER_MS) == ERR_NONE)
		continue;
	peers_done(&r->peers);
	certificates_close(r->certificates);
	if (r->spool_dir >= 0)
		close(r->spool_dir);
	config_unref(r->config);
	mem_free(r);
}

static enum err open_services(struct op *op, struct login_role *r, struct role_context *context)
{
	TRY(certificates_open(op, r->config, context->tls_seed, &r->certificates));
	TRY(login_open(op,
		&(struct login_settings){ .config = r->config,
			.peers = &r->peers,
			.tls = certificates_front(r->certificates) },
		&r->login));
	TRY(lmtp_open(op,
		&(struct lmtp_settings){ .config = r->config,
			.tls = certificates_front(r->certificates),
			.peers = &r->peers,
			.spool_dir = r->spool_dir },
		&r->lmtp));
	return open_doors(op, r, context);
}

static enum err login_role_start(struct op *op, struct role_context *context, void **out_state)
{
	struct login_role *r = MEM_NEW(struct login_role);
	const struct config_scope *global = config_scope(context->config, NULL);
	const char *spool = str_dup_z(op->arena, config_str(global, SET_mail_temp_dir));
	r->config = config_ref(context->config);
	r->is_alone = context->is_alone;
	/* Without a usable directory big mails are spooled in memory. */
	r->spool_dir = open(spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	peers_init(&r->peers, context->shared,
		socket_path(r, role_socket_auth(op->arena, context->config)), mail_socket, r);
	enum err e = open_services(op, r, context);
	if (e != ERR_NONE) {
		login_role_stop(op, r);
		return e;
	}
	*out_state = r;
	return ERR_NONE;
}

/* On a failure in the middle the master sends the old configuration again, to all. */
static enum err login_role_reload(struct op *op, void *state, struct role_context *context)
{
	struct login_role *r = state;
	TRY(check_doors(op, r, context));
	if (r->certificates)
		TRY(certificates_reload(op, r->certificates, context->config));
	TRY(lmtp_reload(op, r->lmtp, context->config));
	TRY(login_reload(op, r->login, context->config));
	config_unref(r->config);
	r->config = config_ref(context->config);
	/* The sockets stay open in the master: nobody is refused between the two. */
	close_doors(r);
	return open_doors(op, r, context);
}

const struct role role_login = {
	.name = "login",
	.service = "imap-login",
	.user_setting = SET_default_login_user,
	.reader = CONFIG_READER_LOGIN,
	.needs_tls_seed = true,
	.is_confined = true,
	.spool_dir = spool_dir,
	.start = login_role_start,
	.reload = login_role_reload,
	.retire = login_role_retire,
	.drain = login_role_drain,
	.stop = login_role_stop,
	.clients = count_clients,
};
