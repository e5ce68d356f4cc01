/* SPDX-License-Identifier: Apache-2.0 */
/* http/http.h - asking HTTP servers: object stores, and the little services around them.
 *
 * A client is a pool of connections with its own rules: limits, timeouts, retries, certificates. One
 * call is one question with all its attempts; the caller sees the last answer.
 *
 * Life:    http_client_open() -> http_request()... from many tasks -> http_client_close().
 *
 * Rules:   1. A request never lasts longer than op->deadline_us, and a retry that would not be over
 *             by then is not begun. A cancelled request leaves nothing behind: when http_request()
 *             has returned, nobody looks at its body or headers any more.
 *          2. What may be repeated is repeated: after a broken connection, an answer that was cut
 *             off, 5xx, 429, and the statuses that the caller names. Waits: 50 ms, 500 ms, 5 s, 10 s,
 *             each shortened by chance by up to a fifth; Retry-After lengthens them, to 30 s at most.
 *          3. Class of failure: ERR_UNAVAILABLE says that nothing was done; ERR_TIMEOUT that it may
 *             have been done (a request that changes something was sent and has no answer).
 *          4. An origin (scheme, host, port) that fails many times in a row, and not about one path alone,
 *             is left alone for a while: requests fail at once, until one of them, alone, finds it in
 *             order again.
 *          5. Redirects are followed within the origin; to another one only for GET and HEAD, never
 *             from https to http, and without signature, credentials or headers of the client's own.
 *          6. Secrets in a target (signatures, tokens) are masked wherever it is told.
 *          7. HTTP/1.1 alone: see README.md. Proxies in the environment are ignored.
 *
 * Copies:  of a request's body one, in user space, into libcurl's send buffer (bodies of several parts below
 *          16 KiB: two, so that they leave with the header in one system call). Of an answer's body
 *          one, from libcurl's buffer to its place in the op's arena, when the server tells its
 *          length; two when it does not.
 *
 * Spec:    RFC 9110, RFC 9112; sheet storage §9.1, §15. */
#pragma once

#include "base/base.h"

struct config_scope;
struct http_client;

/* ---- settings ---- */

struct http_header {
	struct str name, value;
};

/* Classes of requests that have their own limits. */
enum http_class { HTTP_READ, HTTP_WRITE, HTTP_DELETE }; /* GET HEAD, PUT POST and others, DELETE */
#define HTTP_CLASS_COUNT (HTTP_DELETE + 1)

/* All is copied by http_client_open_with(). Times in microseconds; 0: no limit. */
struct http_settings {
	int64_t absolute_timeout_us; /* of all attempts together */
	/* How long nothing may move: no byte sent or received. A slow transfer that moves is bounded by the
	 * op's deadline and absolute_timeout_us alone. */
	int64_t timeout_us[HTTP_CLASS_COUNT];
	int64_t connect_timeout_us; /* until the connection (with TLS) stands; 0: as the class */
	unsigned attempts_max[HTTP_CLASS_COUNT];
	unsigned connect_attempts_max;                      /* of one request; 0: as the class */
	int64_t connect_backoff_us, connect_backoff_max_us; /* doubled each time */
	int64_t retry_us,
		retry_max_us; /* the wait after an answer or the lack of one: times ten each time */
	unsigned redirects_max;
	unsigned connections_max; /* at once, to one origin; further requests queue */
	int64_t idle_max_us;      /* how long a connection stays unused */
	int64_t dns_ttl_us;
	struct str user_agent;                    /* "": Pombal */
	size_t header_bytes_max, header_line_max; /* of an answer */
	unsigned header_count_max;                /* of an answer */
	int64_t slow_warning_us;                  /* 0: never */
	const struct http_header *add_headers;    /* to every request */
	size_t add_header_count;       /* values may hold %{variables} of the op's event */
	const struct str *log_headers; /* of answers: told in events as http_hdr_NAME */
	size_t log_header_count;
	bool sends_trace_headers; /* X-Dovecot-Username and X-Dovecot-Session-Id */
	size_t reason_max;        /* bytes of X-Dovecot-Reason; 0: not sent */
	/* TLS: PEM texts; a ca_dir is OpenSSL's hashed directory. None: the library's default. */
	struct str ca_pem, ca_dir, cert_pem, key_pem, key_password;
	bool accepts_any_cert;
	struct str tls_min_protocol; /* "TLSv1.2" (also ""), "TLSv1.3", "ANY" */
	/* The breaker of an origin: failures in a row that open it (0: never), how long at first and at most. */
	unsigned breaker_failures;
	int64_t breaker_us, breaker_max_us;
};
/* What the sheet gives to storage drivers: 10 s, 5 attempts, 10 connections and so on; see settings.c. */
struct http_settings http_settings_default(void);

/* ---- clients ---- */

/* `scope`: a place in the configuration, as the block of a driver (fs_s3): http_client_*, fs_http_*, ssl_client_*
 * where somebody set them, else the sheet's defaults for storage. The scope is not kept. `name` is for logs and
 * copied. ERR_INVALID: certificates that cannot be read. */
enum err http_client_open(struct op *op, const struct config_scope *scope, const char *name,
	struct http_client **out);
enum err http_client_open_with(struct op *op, const struct http_settings *settings,
	const char *name, struct http_client **out);
/* What the configuration says, for those who change a member and call http_client_open_with(). In op's arena and
 * borrowed from the scope. */
enum err http_settings_read(
	struct op *op, const struct config_scope *scope, struct http_settings *out);
/* No request may be under way. Ends its connections. NULL is fine. */
void http_client_close(struct http_client *c);

struct http_counters {
	uint64_t requests, attempts; /* attempts - requests: repeated, or redirected */
	uint64_t failures;           /* requests without an answer */
	uint64_t bytes_in, bytes_out;
	uint64_t connections; /* opened so far */
	uint64_t broken_off;  /* refused by a breaker */
};
struct http_counters http_counters(const struct http_client *c);

/* ---- one request ---- */

/* Headers that a signer adds. Names and values are copied into the op's arena. */
struct http_headers {
	struct http_header *items;
	size_t count, room;
};
void http_headers_add(
	struct op *op, struct http_headers *headers, struct str name, struct str value);

struct http_request;
/* May WAIT. Called before every attempt, with a request whose url is the one asked now; adds headers.
 * Its failure is the request's. */
typedef enum err http_sign_fn(
	struct op *op, const struct http_request *request, struct http_headers *add, void *arg);

/* Everything is borrowed for the call. */
struct http_request {
	struct str method; /* "GET"... */
	struct str url; /* http or https, percent-encoded; user and password in it are not sent */
	const struct http_header *headers;
	size_t header_count;
	const struct str *parts; /* the body, one after the other */
	size_t part_count;
	size_t answer_max; /* bytes of an answer's body. Bodies of answers from 300 on are cut at 64 KiB instead */
	bool is_repeatable;         /* doing it twice is as doing it once */
	const unsigned *also_retry; /* statuses beside 5xx (not 501 and 505) and 429 */
	size_t also_retry_count;
	http_sign_fn *sign; /* may be NULL */
	void *sign_arg;
	struct str kind; /* for events, as file_type: "mail", "index", ...; "": none */
};

/* In the op's arena. */
struct http_answer {
	unsigned status;
	const struct http_header *headers;
	size_t header_count;
	struct str body; /* empty for HEAD */
	unsigned attempts;
	bool maybe_repeated; /* the server may have carried it out more than once, or before this answer */
};

/* WAITS. ERR_NONE: there is an answer, of any status. ERR_UNAVAILABLE: none, and nothing was done (also: breaker
 * open, with the time until the next try). ERR_TIMEOUT: sent, but no answer. ERR_LIMIT: the body or the
 * header is larger than allowed. ERR_CORRUPT: the body was shorter than promised (reads only; others:
 * ERR_TIMEOUT). ERR_INVALID: url or header that cannot be sent. ERR_CANCELLED. */
enum err http_request(struct op *op, struct http_client *c, const struct http_request *request,
	struct http_answer *out);
/* The first header of that name, in any case; STR_NONE. */
struct str http_answer_header(const struct http_answer *a, struct str name);

/* ---- URLs ---- */

struct http_url {
	bool is_tls;
	struct str host;           /* lower case; an IPv6 address without brackets */
	struct str user, password; /* decoded; STR_NONE: none */
	uint16_t port;
	bool has_port;    /* one was written that is not the scheme's own */
	struct str path;  /* as written, percent-encoded; at least "/" */
	struct str query; /* without "?"; STR_NONE: none */
};
/* Parses an absolute http or https URL; fragments and control characters are refused. Parts of `text`, or in
 * the arena. ERR_INVALID. Spec: RFC 3986 §3. */
enum err http_url_parse(struct op *op, struct str text, struct http_url *out);
/* What stands in the Host header: "host", "host:9000", "[::1]:9000". */
struct str http_url_authority(struct arena *arena, const struct http_url *url);

/* Appends `s` with every byte outside A-Z a-z 0-9 - . _ ~ and `safe` as %XX (upper case): safe "/" for paths.
 * Spec: RFC 3986 §2.1, §2.3. */
void http_percent_encode(struct buf *out, struct str s, struct str safe);
/* ERR_INVALID: a % without two hex digits after it. */
enum err http_percent_decode(struct op *op, struct str s, struct str *out);
