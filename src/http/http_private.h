/* SPDX-License-Identifier: Apache-2.0 */
/* http/http_private.h - the inside of a client.
 *
 *   request.c   one request: attempts, waits between them, redirects, what the caller is told
 *   attempt.c   one attempt: libcurl's easy handle, bodies, headers, why it failed
 *   drive.c     libcurl's multi handle on our loop
 *   origin.c    places in the queue to a server, and its breaker
 *   headers.c   what is sent beside the caller's headers, and what must not be
 *   tls.c       whom we trust
 *   tell.c      events
 *   url.c, settings.c, client.c
 *
 * Invariants: 1. libcurl's multi handle is entered from the loop (drive.c) and by adding and removing
 *                handles from tasks; its callbacks never enter it.
 *             2. An easy handle is in the multi handle exactly while its attempt waits (attempt_run). */
#pragma once

#include <curl/curl.h>

#include "base/base.h"
#include "base/map.h"
#include "event/event.h"
#include "http/http.h"
#include "task/task.h"

#define HTTP_URL_MAX          16384u
#define HTTP_ERROR_BODY_MAX   65536u
#define HTTP_JOIN_MAX         16384u /* a body up to here leaves with its header in one system call */
#define HTTP_IDLE_HANDLES_MAX 32u
#define HTTP_RETRY_AFTER_MAX  30 /* seconds */
#define HTTP_ORIGINS_KEPT_MAX 64u
#define HTTP_ATTEMPTS_MAX     100u

/* ---- origins ---- */

struct http_origin {
	char *name;      /* owned: "https://host:9000" */
	unsigned users;  /* requests that hold a pointer */
	unsigned active; /* attempts */
	unsigned waiting;
	struct wait_queue queue;
	/* the breaker */
	unsigned failures; /* in a row */
	int64_t failing_since_us;
	uint64_t failing_about;  /* the first of the row, as in http_origin_report() */
	bool fails_widely;       /* the row is about several things, or the server itself */
	int64_t opened_until_us; /* while is_open */
	int64_t opened_for_us;   /* the last time */
	unsigned refused;        /* attempts of the row that were not made */
	bool is_open, is_probed;
	char why[128]; /* the last failure: a status, or libcurl's words */
};

struct http_client {
	uint32_t magic;
	/* owned */
	struct arena arena; /* of the settings */
	struct http_settings settings;
	char *name;
	const char **log_keys; /* "http_hdr_NAME", as settings.log_headers */
	struct map origins;
	struct http_counters counters;
	CURLM *multi;       /* NULL: nothing to do, no connections */
	CURLSH *share;      /* names and TLS sessions outlive the multi handle */
	void *trust;        /* X509_STORE */
	bool is_trust_full; /* else the library's authorities are still to be read */
	CURL *idle[HTTP_IDLE_HANDLES_MAX];
	unsigned idle_count;
	unsigned active; /* requests */
	/* libcurl's descriptors, level-triggered; itself a descriptor of the loop */
	int epoll_fd;
	struct watch watch;
	struct timer timer; /* libcurl's */
	struct timer again; /* the rest of a long turn */
	struct timer idle_timer;
};
#define HTTP_CLIENT_MAGIC 0x68747470u

/* origin.c */
/* Stays until http_origin_put(). */
struct http_origin *http_origin_get(struct http_client *c, struct str name);
void http_origin_put(struct http_origin *o);
/* WAITS for a place. ERR_TIMEOUT, ERR_CANCELLED. */
enum err http_origin_enter(struct op *op, struct http_client *c, struct http_origin *o);
void http_origin_leave(struct http_origin *o);
/* May an attempt be made? False: *out_wait_us until the next one may. True may make this one the probe:
 * http_origin_report() follows, or o->is_probed is taken back. */
bool http_origin_may_try(
	struct http_client *c, struct http_origin *o, bool *out_is_probe, int64_t *out_wait_us);
/* How it went. `about`: a hash of what was asked for, 0: the server itself could not be reached. */
void http_origin_report(
	struct http_client *c, struct http_origin *o, uint64_t about, bool is_good, bool is_probe);
void http_origins_done(struct http_client *c);

/* ---- one attempt ---- */

enum http_end {
	HTTP_ANSWERED,
	HTTP_NOT_SENT,   /* no connection, or the body did not leave */
	HTTP_UNANSWERED, /* sent, then broken or silent */
	HTTP_GARBLED,    /* what came is no HTTP */
	HTTP_CUT,        /* shorter than promised */
	HTTP_TOO_LARGE,
};

struct http_attempt {
	/* borrowed */
	struct op *op;
	struct http_client *client;
	const struct http_request *request;
	const struct http_url *url;
	struct curl_slist *headers;
	bool is_head, may_reissue;
	int64_t silence_us; /* 0: as long as it likes */
	/* result */
	enum http_end end;
	bool is_late; /* by silence or deadline */
	struct http_answer answer;
	int64_t retry_after_us;
	unsigned issued; /* how often the request was written to a connection */
	uint64_t bytes_in, bytes_out;
	struct str ip; /* of the peer */
	char why[CURL_ERROR_SIZE];
	/* private to attempt.c */
	CURL *easy;
	curl_socket_t fd; /* as libcurl tells drive.c: CURLINFO_ACTIVESOCKET comes too late */
	struct wait_queue waiter;
	bool is_done;
	CURLcode code;
	int64_t moved_us;
	size_t body_bytes; /* of the request */
	size_t part, part_at, taken_bytes;
	struct http_header *lines;
	size_t line_room, header_bytes;
	struct buf body; /* of unknown length */
	char *place;     /* of known length */
	size_t place_n, place_room;
	bool has_body, may_cut_body, is_too_large, is_cut_by_us;
};
/* WAITS until it has ended; a.end tells how. Fails only with ERR_CANCELLED, and when memory or handles are
 * missing. */
enum err http_attempt_run(struct http_attempt *a);
/* Handles that are kept for the next attempts go. */
void http_attempt_forget_handles(struct http_client *c);
/* drive.c tells it. */
void http_attempt_ended(struct http_attempt *a, CURLcode code);

/* drive.c */
enum err http_drive_open(struct op *op, struct http_client *c);
void http_drive_close(struct http_client *c);
/* Takes the handle into the loop; its private pointer is its attempt. */
enum err http_drive_add(struct op *op, struct http_client *c, CURL *easy);
void http_drive_remove(struct http_client *c, CURL *easy);
/* The last request has ended: connections go when nothing comes for a while. */
void http_drive_rest(struct http_client *c);

/* headers.c */
/* The caller's, the client's, the signer's: WAITS if the signer does. `is_home`: the origin of the request's url. */
enum err http_headers_compose(struct op *op, struct http_client *c,
	const struct http_request *request, bool is_home, struct curl_slist **out);

/* tls.c */
enum err http_tls_open(struct op *op, struct http_client *c);
void http_tls_close(struct http_client *c);
/* False: out of memory, or libcurl knows an option not. */
bool http_tls_configure(struct http_client *c, CURL *easy);

/* tell.c */
struct http_told {
	const struct http_request *request;
	const struct http_url *url;
	const struct http_attempt *last; /* NULL: there was none */
	unsigned attempts, redirects;
	int64_t started_us;
	uint64_t bytes_in, bytes_out;
};
void http_tell_finished(
	struct op *op, struct http_client *c, const struct http_told *t, enum err result);
void http_tell_retried(
	struct op *op, struct http_client *c, const struct http_told *t, int64_t wait_us);
void http_tell_redirected(
	struct op *op, struct http_client *c, const struct http_told *t, const struct http_url *to);
void http_tell_opened(struct http_client *c, const struct http_origin *o, int64_t wait_us);
void http_tell_closed(struct http_client *c, const struct http_origin *o);

/* url.c */
struct str http_url_origin(struct arena *arena, const struct http_url *url);
/* As libcurl wants it, without user and password. */
char *http_url_text(struct arena *arena, const struct http_url *url);
/* Path and query with secrets masked, for logs. */
struct str http_url_target(struct arena *arena, const struct http_url *url);
enum err http_url_follow(
	struct op *op, const struct http_url *from, struct str location, struct http_url *out);
