/* SPDX-License-Identifier: Apache-2.0 */
/* service/lmtp/test_kit.h - a whole LMTP service in one process for *_test.c: real connections, real
 * messages between roles, and behind them an auth and a mail worker that do what a name says.
 *
 * Names: nobody*, bad* unknown · lost* auth is in trouble · plus+name@ has the delimiter in it.
 * In the worker: full* over quota · disk* no room on disk · gone* user deleted · down* out of order ·
 *        slow* takes 30 ms · late* refuses the first ticket. Everybody else's mail is saved. Users
 *        have one of two workers, by their names. */
#pragma once

#include "service/lmtp/lmtp_private.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/test.h"
#include "net/tls.h"
#include "service/lmtp/test_certificate.h"

#define KIT_SAVED_MAX 1200
#define KIT_WORKERS   2

struct saved {
	struct str user, recipient, sender, session, detail, head, mail, ticket;
};
struct kit {
	struct arena arena;
	struct op op;
	char dir[64];
	struct shared_page *page;
	int page_fd;
	struct config *config;
	struct peers peers;
	struct ipc_server *auth, *mail[KIT_WORKERS];
	struct tls_context *tls;
	struct lmtp_door door; /* of connections to come */
	struct lmtp *lmtp;
	struct stream *client; /* what test_client.h talks on */
	const char *settings;
	void (*script)(struct kit *k);
	/* what the roles saw */
	unsigned lookups, tickets;
	struct saved saved[KIT_SAVED_MAX];
	size_t saved_count;
	unsigned running, running_most;
	struct str running_user; /* of the last that began */
	bool has_refused;        /* a ticket of late* */
	bool has_overlap;        /* two deliveries to one user at a time */
};

/* ---- the other roles ---- */

static inline struct str kit_field(
	struct kit *k, const struct ipc_message *request, const char *key)
{
	struct str value;
	assert_true(ipc_get_str(request, key, &value));
	return str_dup(&k->arena, value);
}

static inline enum err kit_auth(struct op *op, const struct ipc_peer *peer,
	struct ipc_message *request, struct ipc_message *reply, void *arg)
{
	struct kit *k = arg;
	(void)peer;
	struct str name = kit_field(k, request, "user");
	assert_int_equal(request->type, IPC_AUTH_LOOKUP);
	assert_str(kit_field(k, request, "service"), STR("lmtp"));
	k->lookups++;
	if (str_starts(name, STR("nobody")) || str_starts(name, STR("plus@")))
		return op_fail(op, ERR_NOT_FOUND, "no userdb knows the user");
	if (str_starts(name, STR("bad")) || str_eq_ci(name, STR("postmaster")))
		return op_fail(op, ERR_INVALID, "not a user name");
	if (str_starts(name, STR("lost")))
		return op_fail(op, ERR_UNAVAILABLE, "the database's password is wrong");
	struct str user = str_lower(&k->arena, name);
	ipc_put_str(reply, "user", user);
	ipc_put_str(reply, "ticket", str_printf(&k->arena, "%u:%.*s", ++k->tickets, STRF(user)));
	return ERR_NONE;
}

static inline enum err kit_save(
	struct op *op, struct kit *k, const struct delivery *d, struct str user)
{
	struct arena *a = &k->arena;
	for (size_t i = 0; i < k->saved_count; i++)
		if (str_eq(k->saved[i].ticket, d->ticket))
			return op_fail(op, ERR_DENIED, "the ticket was used before");
	if (str_starts(user, STR("full"))) {
		(void)op_fail(op, ERR_LIMIT, "over quota");
		op_tell_client(op, "Quota exceeded (mailbox for user is full)");
		return ERR_LIMIT;
	}
	if (str_starts(user, STR("disk")))
		return op_fail(op, ERR_LIMIT, "No space left on device");
	if (str_starts(user, STR("gone")))
		return op_fail(op, ERR_NOT_FOUND, "deleted");
	if (str_starts(user, STR("down")))
		return op_fail(op, ERR_UNAVAILABLE, "the catalog /secret/path is locked");
	if (str_starts(user, STR("slow")))
		TRY(task_sleep(op, 30 * US_PER_MS));
	assert_true(k->saved_count < KIT_SAVED_MAX);
	char *mail = arena_alloc(a, (size_t)d->size_bytes + 1);
	if (d->fd >= 0)
		assert_ok(file_pread_all(op, d->fd, mail, (size_t)d->size_bytes, 0));
	else if (d->mail.n > 0)
		memcpy(mail, d->mail.p, d->mail.n);
	k->saved[k->saved_count++] = (struct saved){
		.user = user,
		.recipient = str_dup(a, d->recipient),
		.sender = str_dup(a, d->sender),
		.session = str_dup(a, d->session_id),
		.detail = str_dup(a, d->detail),
		.head = str_dup(a, d->head),
		.ticket = str_dup(a, d->ticket),
		.mail = { mail, (size_t)d->size_bytes },
	};
	return ERR_NONE;
}

static inline enum err kit_mail(struct op *op, const struct ipc_peer *peer,
	struct ipc_message *request, struct ipc_message *reply, void *arg)
{
	struct kit *k = arg;
	struct delivery d;
	struct str serial;
	(void)peer;
	TRY(deliver_receive(op, request, &d));
	AUTO_FD(fd, d.fd);
	(void)fd; /* closed at the end */
	struct str user = str_dup(&k->arena, d.ticket);
	assert_true(str_cut(&user, ':', &serial));
	if (str_starts(user, STR("late")) && !k->has_refused) {
		k->has_refused = true;
		return op_fail(op, ERR_DENIED, "the ticket is too old");
	}
	if (k->running++ > 0 && str_eq(k->running_user, user))
		k->has_overlap = true;
	k->running_user = user;
	k->running_most = MAX(k->running_most, k->running);
	enum err e = kit_save(op, k, &d, user);
	k->running--;
	TRY(e);
	deliver_reply(reply, &(struct delivery_result){ .mailbox = STR("INBOX"), .uid = 1 });
	return ERR_NONE;
}

/* ---- the client ---- */

/* Another connection; `peer` NULL: a UNIX socket. The caller closes it. */
static inline struct stream *kit_connect(struct kit *k, const struct address *peer)
{
	static const struct address local;
	struct stream *s;
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	lmtp_accept(k->lmtp, &k->door, ends[1], peer ? peer : &local);
	assert_ok(stream_new(&k->op, ends[0], 1 << 20, &s));
	return s;
}

/* ---- the life of a test ---- */

static inline struct str kit_mail_socket(struct arena *a, uint32_t slot, void *arg)
{
	const struct kit *k = arg;
	return str_printf(a, "%s/mail%u", k->dir, slot);
}

static inline struct ipc_server *kit_serve(struct kit *k, const char *name, ipc_handler *handler)
{
	struct ipc_server *server;
	int fd;
	struct str path = str_printf(&k->arena, "%s/%s", k->dir, name);
	assert_ok(listen_unix(&k->op, str_dup_z(&k->arena, path), SOCK_SEQPACKET, 0600, &fd));
	assert_ok(ipc_serve(&k->op, fd, "kit-role", handler, k, &server));
	return server;
}

static inline struct config *kit_config(struct kit *k, struct str more)
{
	struct config_problems problems;
	struct config *config;
	struct str text = str_printf(&k->arena,
		"dovecot_config_version = 3.1.0\ndovecot_storage_version = 3.1.0\n"
		"hostname = mail.example.test\npostmaster_address = root@example.test\n%s%.*s\n",
		k->settings, STRF(more));
	assert_ok(config_load(
		&k->op, &(struct config_load_args){ .text = text }, &problems, &config));
	return config;
}

static inline void kit_reload(struct kit *k, struct str more)
{
	config_unref(k->config);
	k->config = kit_config(k, more);
	assert_ok(lmtp_reload(&k->op, k->lmtp, k->config));
}

static inline void kit_serve_mail(struct kit *k, uint32_t slot)
{
	AUTO_BUF(name, 0);
	buf_putf(&name, "mail%u", slot);
	buf_put_byte(&name, '\0');
	k->mail[slot] = kit_serve(k, name.p, kit_mail);
}

/* What a worker that dies leaves: a broken connection, and a socket that answers nobody. */
static inline void kit_kill(struct kit *k, struct str user)
{
	uint32_t slot = shared_worker_of(k->page, user);
	ipc_server_close(k->mail[slot]);
	k->mail[slot] = NULL;
}

static inline void kit_revive(struct kit *k, struct str user)
{
	uint32_t slot = shared_worker_of(k->page, user);
	unlink(str_dup_z(&k->arena, kit_mail_socket(&k->arena, slot, k)));
	kit_serve_mail(k, slot);
}

static inline void kit_open(struct kit *k)
{
	k->config = kit_config(k, STR(""));
	assert_ok(shared_page_create(&k->op, 16, KIT_WORKERS, &k->page_fd, &k->page));
	k->auth = kit_serve(k, "auth", kit_auth);
	for (uint32_t slot = 0; slot < KIT_WORKERS; slot++)
		kit_serve_mail(k, slot);
	struct tls_settings tls = { .certificate = { .chain_pem = STR(TEST_CERTIFICATE),
					    .key_pem = STR(TEST_KEY) } };
	assert_ok(tls_context_new(&k->op, &tls, &k->tls));
	peers_init(
		&k->peers, k->page, str_printf(&k->arena, "%s/auth", k->dir), kit_mail_socket, k);
	assert_ok(lmtp_open(&k->op,
		&(struct lmtp_settings){
			.config = k->config, .tls = k->tls, .peers = &k->peers, .spool_dir = -1 },
		&k->lmtp));
}

static inline void kit_close(struct kit *k)
{
	stream_abandon(k->client);
	if (k->lmtp) {
		uint64_t *spooled = &k->lmtp->spooled_bytes;
		while (k->lmtp->count > 0 && task_sleep(&k->op, US_PER_MS) == ERR_NONE)
			continue;
		assert_int_equal(*spooled, 0);
		assert_int_equal(k->lmtp->slots.count, 0);
		lmtp_close(&k->op, k->lmtp);
	}
	ipc_server_close(k->auth);
	for (uint32_t slot = 0; slot < KIT_WORKERS; slot++)
		if (k->mail[slot])
			ipc_server_close(k->mail[slot]);
	peers_done(&k->peers);
	config_unref(k->config);
	tls_context_unref(k->tls);
	shared_page_unmap(k->page);
	close(k->page_fd);
}

static inline void kit_task(void *arg)
{
	struct kit *k = arg;
	op_init(&k->op, &k->arena, NULL, now_us() + 20 * US_PER_SEC);
	kit_open(k);
	k->client = kit_connect(k, NULL);
	k->script(k);
	kit_close(k);
	loop_stop();
}

/* Runs `script` with a connection that was not greeted yet. `settings`: configuration to add. */
static inline void kit_run(const char *settings, void (*script)(struct kit *k))
{
	struct kit *k = MEM_NEW(struct kit);
	*k = (struct kit){ .settings = settings, .script = script };
	snprintf(k->dir, sizeof(k->dir), "/tmp/pombal-lmtp-XXXXXX");
	assert_non_null(mkdtemp(k->dir));
	arena_init(&k->arena, 0);
	op_init(&k->op, &k->arena, NULL, TIME_NEVER);
	assert_ok(loop_open(&k->op, NULL));
	task_start("script", kit_task, k);
	loop_run();
	loop_close();
	assert_ok(file_remove_tree(&k->op, k->dir));
	arena_done(&k->arena);
	mem_free(k);
}

#define KIT_TEST(name, settings)                                                                   \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		kit_run(settings, script_##name);                                                  \
	}
