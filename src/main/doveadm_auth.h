/* SPDX-License-Identifier: Apache-2.0 */
/* main/doveadm_auth.h - what the commands that ask the auth process share. */
#pragma once

#include "auth/client.h"
#include "main/doveadm.h"

/* Runs on a loop, with a connection to the running auth process. */
typedef enum err doveadm_auth_fn(struct op *op, struct ipc_client *auth, void *arg);
/* Reads the configuration if need be, connects, runs `fn`. ERR_DENIED: we may not use its socket. */
enum err doveadm_ask_auth(struct doveadm *d, doveadm_auth_fn *fn, void *arg);

struct doveadm_auth_options {
	struct auth_request request; /* -x, -A; service "doveadm" unless given */
	const char *master;          /* -M; NULL: none */
	const char *field;           /* -f; NULL: all */
	const char *template;        /* -e; NULL: none */
	bool is_userdb_only;         /* -u */
	char **words;                /* behind the options */
	int word_count;
};
/* Options of a command, as getopt(3) has them in `allowed`. False: a wrong one. */
bool doveadm_auth_options(struct doveadm *d, const char *allowed, struct doveadm_auth_options *out);

/* "key=value" lines. */
void doveadm_put_fields(const struct auth_field *fields, size_t count, const char *indent);
/* NULL: there is none. */
const struct auth_field *doveadm_find_field(
	const struct auth_field *fields, size_t count, const char *key);
