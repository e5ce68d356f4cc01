/* SPDX-License-Identifier: Apache-2.0 */
/* service/login/test_kit.h - login in one process for *_test.c: real connections over TCP, the real auth
 * role, and a worker that says what it was handed.
 *
 * Users: everybody has the password "pencil"; `disabled` may not log in; at the worker `crowd` has too many
 * sessions and `down` finds it out of order.
 * Scripts: lines "C text" are said by the client, with CRLF; "S text" is the beginning of the line that
 * must come next; "E" means that the server closes. */
#pragma once

#include "service/login/login_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"

struct kit {
	struct arena arena;
	struct op op;
	char dir[64];
	struct shared_page *page;
	int page_fd;
	struct config *config;
	struct auth *auth;
	uint8_t ticket_key[32];
	struct peers peers;
	struct ipc_server *auth_server, *mail_server;
	struct login *login;
	struct login_door door;
	struct stream *client;
	const char *settings, *script;
};

/* ---- the other roles ---- */

static inline enum err kit_auth(struct op *op, const struct ipc_peer *peer,
	struct ipc_message *request, struct ipc_message *reply, void *arg)
{
	struct kit *k = arg;
	return auth_serve_message(op, k->auth, k->ticket_key, peer, request, reply);
}

/* Answers as a worker does, and says what it knows in place of a capability list. */
static inline enum err kit_mail(struct op *op, const struct ipc_peer *peer,
	struct ipc_message *request, struct ipc_message *reply, void *arg)
{
	struct handover h;
	(void)peer;
	(void)reply;
	(void)arg;
	TRY(handover_receive(op, request, &h));
	AUTO_FD(fd, h.fd);
	if (str_eq(h.client_id, STR("name=crowd"))) {
		(void)op_fail(op, ERR_LIMIT, "too many");
		op_tell_client(op, "Maximum number of connections from user+IP exceeded");
		return ERR_LIMIT;
	}
	if (str_eq(h.client_id, STR("name=down")))
		return op_fail(op, ERR_UNAVAILABLE, "the catalog /secret is locked");
	struct str line = str_printf(op->arena,
		"%.*s OK rip=%.*s secured=%d tls=%d session=%.*s input=%zu\r\n", STRF(h.reply_tag),
		STRF(address_dup(op->arena, &h.remote)), h.is_secured, h.is_tls, STRF(h.session_id),
		h.input.n);
	return file_write_all(op, fd, line);
}

/* ---- the life of a test ---- */

static inline struct str kit_mail_socket(struct arena *a, uint32_t slot, void *arg)
{
	const struct kit *k = arg;
	(void)slot;
	return str_printf(a, "%s/mail", k->dir);
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

#define KIT_SETTINGS                                                                               \
	"dovecot_config_version = 3.1.0\ndovecot_storage_version = 3.1.0\n"                        \
	"auth_failure_delay = 0\nauth_mechanisms = plain login scram-sha-256 external\n"           \
	"passdb out {\n driver = static\n passdb_username_filter = disabled\n"                     \
	" passdb_deny = yes\n}\n"                                                                  \
	"passdb all {\n driver = static\n passdb_static_password = pencil\n}\n"                    \
	"userdb static {\n allow_all_users = yes\n}\n"

static inline void kit_open(struct kit *k)
{
	struct config_problems problems;
	struct str text = str_printf(&k->arena, KIT_SETTINGS "%s", k->settings);
	assert_ok(config_load(
		&k->op, &(struct config_load_args){ .text = text }, &problems, &k->config));
	assert_ok(shared_page_create(&k->op, 16, 1, &k->page_fd, &k->page));
	assert_ok(auth_open(&k->op, k->config, &k->auth));
	k->auth_server = kit_serve(k, "auth", kit_auth);
	k->mail_server = kit_serve(k, "mail", kit_mail);
	peers_init(
		&k->peers, k->page, str_printf(&k->arena, "%s/auth", k->dir), kit_mail_socket, k);
	assert_ok(login_open(&k->op,
		&(struct login_settings){ .config = k->config, .peers = &k->peers }, &k->login));
}

static inline void kit_connect(struct kit *k)
{
	struct address at;
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa);
	int listening, client;
	assert_true(address_parse(STR("127.0.0.1"), &at));
	assert_ok(listen_tcp(&k->op, &at, 1, &listening));
	assert_int_equal(getsockname(listening, (struct sockaddr *)&sa, &n), 0);
	address_from_sockaddr((struct sockaddr *)&sa, n, &at);
	assert_ok(connect_tcp(&k->op, &at, &client));
	assert_ok(stream_new(&k->op, client, 65536, &k->client));
	int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	close(listening);
	login_accept(k->login, &k->door, fd, &at);
}

static inline void kit_close(struct kit *k)
{
	stream_abandon(k->client);
	login_close(&k->op, k->login);
	peers_done(&k->peers);
	ipc_server_close(k->auth_server);
	ipc_server_close(k->mail_server);
	auth_close(k->auth);
	config_unref(k->config);
	shared_page_unmap(k->page);
	close(k->page_fd);
}

/* ---- scripts ---- */

static inline void kit_expect(struct kit *k, struct str start)
{
	struct str line, rest;
	for (;;) {
		rest = stream_input(k->client);
		if (str_cut_line(&rest, &line))
			break;
		assert_ok(stream_read_more(&k->op, k->client));
	}
	line = str_dup(&k->arena, line);
	stream_consume(k->client, stream_input(k->client).n - rest.n);
	if (!str_starts(line, start))
		assert_str(line, start);
}

static inline void kit_expect_end(struct kit *k)
{
	assert_str(stream_input(k->client), STR(""));
	assert_int_not_equal(stream_read_more(&k->op, k->client), ERR_NONE);
	assert_str(stream_input(k->client), STR(""));
}

static inline void kit_play(struct kit *k)
{
	struct str script = str_from(k->script), line;
	while (str_cut_line(&script, &line)) {
		struct str text = str_slice(line, 2, line.n);
		if (line.p[0] == 'C') {
			assert_ok(stream_write(&k->op, k->client, text));
			assert_ok(stream_write(&k->op, k->client, STR("\r\n")));
			assert_ok(stream_flush(&k->op, k->client));
		} else if (line.p[0] == 'S') {
			kit_expect(k, text);
		} else {
			kit_expect_end(k);
		}
	}
}

static inline void kit_task(void *arg)
{
	struct kit *k = arg;
	op_init(&k->op, &k->arena, NULL, now_us() + 20 * US_PER_SEC);
	kit_open(k);
	kit_connect(k);
	kit_play(k);
	kit_close(k);
	loop_stop();
}

static inline void kit_run(const char *settings, bool has_proxy_header, const char *script)
{
	struct kit *k = MEM_NEW(struct kit);
	k->settings = settings;
	k->script = script;
	k->door = (struct login_door){ .protocol = STR("imap"),
		.has_proxy_header = has_proxy_header };
	snprintf(k->dir, sizeof(k->dir), "/tmp/pombal-login-XXXXXX");
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
