/* SPDX-License-Identifier: Apache-2.0 */
/* auth/auth.h - who may log in, and what is known about a user: passdb and userdb drivers.
 *
 * Life:   auth_open(config) -> auth_verify()/auth_lookup() from any task -> auth_close().
 * Order:  passdb blocks in their order, with the result rules of the sheet (core §6.4); then userdb blocks.
 * Cache:  databases' answers, keyed by everything their queries depend on, and whether a password fits a
 *         stored hash. Keys are HMACs with a random key of this process; none is shared between users.
 * Rules:  unknown user and wrong password are indistinguishable to the client, in text and in time.
 *         Passwords with NUL, TAB, CR, LF or 0x01 are refused. Nothing here logs a password.
 * To add a driver: see auth_private.h. */
#pragma once

#include "base/base.h"
#include "net/address.h"

struct auth;
struct config;
struct event;

struct auth_field {
	struct str key;
	struct str value;
};
struct auth_request {
	struct str user;      /* as the client gave it */
	struct str password;  /* auth_verify() only */
	struct str authzid;   /* user to become (master users); "" for none */
	struct str mechanism; /* "PLAIN", "LOGIN" */
	struct str service;   /* "imap", "lmtp" */
	struct str session_id;
	struct str local_name; /* TLS server name that the client asked for */
	struct address local, remote;
	struct address
		real_remote; /* of the connection; none: as `remote`, for whom nobody spoke */
	bool is_tls, is_secured;
	bool has_cert;              /* a client certificate was verified */
	struct str cert_user;       /* the name in it; "" for none */
	struct str channel_binding; /* tls-exporter bytes (RFC 9266); "" for none */
	struct event *event;
};
/* Why somebody was refused, for the protocol's reply (core §6.7). */
enum auth_refusal {
	AUTH_REFUSAL_NONE,
	AUTH_REFUSAL_CREDENTIALS,    /* unknown user, wrong password, disabled: all alike */
	AUTH_REFUSAL_TEMPORARY,      /* a database failed */
	AUTH_REFUSAL_AUTHZ,          /* right credentials, but not for the user asked for */
	AUTH_REFUSAL_LOGIN_DISABLED, /* nologin */
	AUTH_REFUSAL_ANONYMOUS,      /* anonymous logins are not for this service */
	AUTH_REFUSAL_EXPIRED,        /* the password is too old */
	AUTH_REFUSAL_TLS_REQUIRED,   /* the mechanism shows a password and nothing hides it */
	AUTH_REFUSAL_MECHANISM,      /* not offered */
	AUTH_REFUSAL_MALFORMED,      /* the client's message is not of the mechanism */
};
struct auth_result {
	struct str user; /* normalised (auth_username_format): the name everything else uses */
	struct auth_field *fields; /* userdb's: home, mail_path, quota..., in op's arena */
	size_t field_count;
	struct auth_field *login_fields; /* passdb's, for login: proxy, host, forward_*, event_* */
	size_t login_field_count;
	/* Filled also on failure: */
	enum auth_refusal refusal;
	struct str reason;      /* for the client; "" for none */
	bool skips_delay;       /* a failure that is told at once, and counts for no penalty */
	struct str master_user; /* who became `user`; "" for himself */
};

enum err auth_open(struct op *op, struct config *config, struct auth **out);
/* Nobody is asking any more: wait for that after auth_hurry(). */
void auth_close(struct auth *a);
/* A stop begins: penalties and delayed refusals end at once. */
void auth_hurry(struct auth *a);
/* From now on `config` counts; who is on his way keeps the old one. The cache is emptied. On error
 * everything stays as it was. */
enum err auth_reload(struct op *op, struct auth *a, struct config *config);

/* WAITS. ERR_DENIED: wrong user or password (the same text for both). ERR_UNAVAILABLE: a database did
 * not answer. ERR_INVALID: not a user name. Hashes are checked in OFFLOAD_CPU. *out is also filled
 * after a failure: refusal and reason. */
enum err auth_verify(
	struct op *op, struct auth *a, const struct auth_request *request, struct auth_result *out);
/* WAITS. The same without a password. ERR_NOT_FOUND: nobody knows this user. */
enum err auth_lookup(
	struct op *op, struct auth *a, const struct auth_request *request, struct auth_result *out);

/* ---- what tools ask ---- */

/* Wildcards "*" and "?", separated by spaces or commas; "!" negates. Empty: everybody. */
bool auth_name_matches(struct str patterns, struct str name);

/* WAITS. What the password databases know of a user (never the password): login_fields. */
enum err auth_inspect(
	struct op *op, struct auth *a, const struct auth_request *request, struct auth_result *out);
/* WAITS. Appends the names of all users, each with a newline; a name may come twice. ERR_UNSUPPORTED:
 * no userdb can list. */
enum err auth_list(struct op *op, struct auth *a, struct str service, struct buf *out);
/* Forgets what is cached about users whose names match one of the wildcards ("": everybody); how many
 * entries that were. */
size_t auth_cache_flush(struct auth *a, struct str patterns);
struct auth_cache_status {
	uint64_t hits, misses;
	size_t positive_count, negative_count, positive_bytes, negative_bytes, max_bytes;
};
struct auth_cache_status auth_cache_figures(struct auth *a, bool resets);

struct auth_counters {
	uint64_t verified, refused, failed, lookups;
};
struct auth_counters auth_counters(const struct auth *a);
