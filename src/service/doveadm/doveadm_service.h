/* SPDX-License-Identifier: Apache-2.0 */
/* service/doveadm/doveadm_service.h - administration over TCP: who listens, and who calls.
 *
 * The server speaks the line protocol (wire/doveadm.h), checks doveadm_password and
 * doveadm_allowed_commands, and gives each command to its owner. The client is what doveadm -S and a
 * worker that pulls use.
 *
 * Life:   doveadm_server_open() -> doveadm_server_accept()... -> doveadm_server_close();
 *         doveadm_dial() -> doveadm_client_send(), doveadm_client_line()... -> doveadm_client_close().
 * Limits: lines of DOVEADM_LINE_MAX bytes, 30 s and eight lines for what comes before a command, an hour
 *         between commands, four for one; process_limit times client_limit of `service doveadm` connections, a tenth of
 *         them (four at least) before their password. A wrong password is answered two seconds late and ends the connection.
 * Source: core sheet §8.6. */
#pragma once

#include "base/base.h"
#include "wire/doveadm.h"

struct address;
struct config;
struct config_scope;
struct doveadm_server;
struct stream;
struct tls_context;

/* ---- listening ---- */

/* WAITS. Carries a command out; lines of output go to `out`, none of them empty. *out_is_cut: what was
 * written is incomplete and nothing may follow: the connection ends. */
typedef enum err doveadm_run_fn(struct op *op, void *arg, const struct doveadm_line *command,
	struct stream *out, bool *out_is_cut);
struct doveadm_server_settings {
	struct config *config;
	struct tls_context *tls; /* borrowed; NULL: neither TLS nor STARTTLS */
	doveadm_run_fn *run;
	void *arg;
};
struct doveadm_server *doveadm_server_open(const struct doveadm_server_settings *settings);
void doveadm_server_reload(struct doveadm_server *s, struct config *config);
/* Takes `fd`. */
void doveadm_server_accept(
	struct doveadm_server *s, bool is_tls, int fd, const struct address *peer);
size_t doveadm_server_count(const struct doveadm_server *s);
/* WAITS until all connections have ended. */
void doveadm_server_close(struct op *op, struct doveadm_server *s);

/* ---- calling ---- */

struct doveadm_client;
/* WAITS. "host", "host:port" or "[address]:port" of another host's service, with the settings
 * doveadm_port, doveadm_ssl, doveadm_username, doveadm_password and ssl_client_*. ERR_DENIED: wrong
 * password. ERR_UNAVAILABLE: no connection. */
enum err doveadm_dial(struct op *op, const struct config_scope *settings, struct str host,
	struct doveadm_client **out);
/* WAITS. */
enum err doveadm_client_send(struct op *op, struct doveadm_client *c, struct str user,
	struct str command, const struct str *args, size_t arg_count);
/* WAITS. The next line of the output, borrowed until the next call; *out_ended: there was none, and the
 * result is that of the command. */
enum err doveadm_client_line(
	struct op *op, struct doveadm_client *c, struct str *out, bool *out_ended);
/* WAITS. Up to `max` bytes behind a line. ERR_UNAVAILABLE: the connection has ended. */
enum err doveadm_client_read(
	struct op *op, struct doveadm_client *c, char *out, size_t max, size_t *out_n);
void doveadm_client_close(struct doveadm_client *c); /* NULL is fine */
