/* SPDX-License-Identifier: Apache-2.0 */
/* http/attempt.c - one attempt: a handle of libcurl's from its preparation to its end.
 *
 * Traps of libcurl (7.88) that are dealt with here:
 *  - It asks servers for leave before large bodies (Expect: 100-continue) and waits a second for it: the
 *    header is taken away in headers.c.
 *  - It writes a request again, on its own, when a connection that was kept turns out to be closed before a
 *    byte came back. A server may have carried it out all the same: on_request() counts, and forbids it for
 *    requests that must not be repeated. Bodies are rewound by on_seek().
 *  - A body that leaves by callback goes after the header in a system call of its own; one that is given as a
 *    whole goes with it. So small bodies are given as a whole, joined when they have parts.
 *  - Its time limits are for whole transfers. Silence is ours: moved_us.
 *  - Taking away a handle that still looks up a name waits for the resolver's thread, unless QUICK_EXIT. */
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>

#include "http/http_private.h"

#define RECEIVE_BYTES (32l * 1024)
#define SEND_BYTES    (64l * 1024)
#define SPARE_BYTES   ((size_t)64 * 1024) /* of the op's arena, left to who tells about the answer */

/* ---- callbacks of libcurl, on the loop ---- */

static size_t on_body_wanted(char *out, size_t size, size_t count, void *arg)
{
	struct http_attempt *a = arg;
	size_t n = 0, room = size * count;
	a->moved_us = now_us();
	while (n < room && a->part < a->request->part_count) {
		struct str rest = str_slice(a->request->parts[a->part], a->part_at, SIZE_MAX);
		struct str some = str_take(&rest, room - n);
		if (some.n > 0)
			memcpy(out + n, some.p, some.n);
		n += some.n;
		a->part_at += some.n;
		a->taken_bytes += some.n;
		if (rest.n == 0) {
			a->part++;
			a->part_at = 0;
		}
	}
	return n;
}

static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct http_attempt *a = arg;
	if (origin != SEEK_SET || offset != 0)
		return CURL_SEEKFUNC_FAIL;
	a->part = a->part_at = a->taken_bytes = 0;
	return CURL_SEEKFUNC_OK;
}

static int on_request(void *arg, char *peer_ip, char *local_ip, int peer_port, int local_port)
{
	struct http_attempt *a = arg;
	(void)local_ip;
	(void)peer_port;
	(void)local_port;
	if (a->issued > 0 && !a->may_reissue)
		return CURL_PREREQFUNC_ABORT;
	a->issued++;
	a->ip = str_dup(a->op->arena, str_from(peer_ip));
	a->moved_us = now_us();
	return CURL_PREREQFUNC_OK;
}

static bool refuse(struct http_attempt *a)
{
	a->is_too_large = true;
	return false;
}

/* One line of the header, with its end. */
static bool take_line(struct http_attempt *a, struct str line)
{
	const struct http_settings *s = &a->client->settings;
	struct http_answer *answer = &a->answer;
	struct str name;
	a->header_bytes += line.n;
	if (line.n > s->header_line_max || a->header_bytes > s->header_bytes_max)
		return refuse(a);
	if (a->has_body)
		return true; /* a trailer: nobody asked for one */
	if (str_starts_ci(line, STR("HTTP/"))) {
		answer->header_count = 0; /* what came before was of an interim answer */
		return true;
	}
	line = str_trim_right(line);
	if (!str_cut(&line, ':', &name) || name.n == 0)
		return true; /* the end, or a continuation: RFC 9112 §5.2 lets us do without */
	if (answer->header_count == s->header_count_max ||
		!arena_has_room(a->op->arena,
			2 * sizeof *a->lines * (a->line_room + 8) + line.n + SPARE_BYTES))
		return refuse(a);
	if (answer->header_count == a->line_room) {
		size_t room = a->line_room ? a->line_room * 2 : 16;
		a->lines = arena_grow(a->op->arena, a->lines, a->line_room * sizeof *a->lines,
			room * sizeof *a->lines);
		a->line_room = room;
	}
	a->lines[answer->header_count++] = (struct http_header){
		.name = str_dup(a->op->arena, name),
		.value = str_dup(a->op->arena, str_trim(line)),
	};
	return true;
}

static size_t on_header(char *p, size_t size, size_t count, void *arg)
{
	struct http_attempt *a = arg;
	a->moved_us = now_us();
	a->bytes_in += size * count;
	return take_line(a, (struct str){ p, size * count }) ? size * count : 0;
}

/* The first bytes of a body: where shall it go? */
static bool place_body(struct http_attempt *a)
{
	curl_off_t promised = -1;
	long status = 0;
	(void)curl_easy_getinfo(a->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &promised);
	(void)curl_easy_getinfo(a->easy, CURLINFO_RESPONSE_CODE, &status);
	size_t max = a->request->answer_max;
	bool is_refusal = status >= 300;
	a->has_body = true;
	a->body.limit = is_refusal ? HTTP_ERROR_BODY_MAX : max;
	a->may_cut_body = is_refusal;
	if (is_refusal || promised < 0)
		return true;
	if ((uint64_t)promised > max ||
		!arena_has_room(a->op->arena, (size_t)promised + SPARE_BYTES))
		return refuse(a);
	a->place_room = (size_t)promised;
	a->place = arena_alloc(a->op->arena, a->place_room);
	return true;
}

static bool take_body(struct http_attempt *a, struct str bytes)
{
	if (!a->has_body && !place_body(a))
		return false;
	if (a->place) {
		ASSERT(bytes.n <= a->place_room - a->place_n); /* libcurl holds it to its length */
		memcpy(a->place + a->place_n, bytes.p, bytes.n);
		a->place_n += bytes.n;
		return true;
	}
	/* A limit of 0 would be none. */
	size_t room = a->body.limit - a->body.n;
	struct str some = str_take(&bytes, room);
	if (some.n > 0)
		buf_put(&a->body, some);
	if (bytes.n == 0)
		return true;
	a->is_cut_by_us = a->may_cut_body;
	return a->is_cut_by_us ? false : refuse(a);
}

static size_t on_body(char *p, size_t size, size_t count, void *arg)
{
	struct http_attempt *a = arg;
	a->moved_us = now_us();
	a->bytes_in += size * count;
	return take_body(a, (struct str){ p, size * count }) ? size * count : 0;
}

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http_client *c = arg;
	(void)purpose;
	c->counters.connections++;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- handles ---- */

#define SET(option, value)                                                                         \
	do {                                                                                       \
		if (curl_easy_setopt(easy, option, value) != CURLE_OK)                             \
			return false;                                                              \
	} while (0)

static long seconds_up(int64_t us)
{
	return (long)MIN((us + US_PER_SEC - 1) / US_PER_SEC, INT32_MAX);
}

static bool configure(struct http_client *c, CURL *easy)
{
	const struct http_settings *s = &c->settings;
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_SHARE, c->share);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_USERAGENT, s->user_agent.p);
	SET(CURLOPT_BUFFERSIZE, RECEIVE_BYTES);
	SET(CURLOPT_UPLOAD_BUFFERSIZE, SEND_BYTES);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_DNS_CACHE_TIMEOUT, seconds_up(s->dns_ttl_us));
	SET(CURLOPT_MAXAGE_CONN, MAX(seconds_up(s->idle_max_us), 1));
	SET(CURLOPT_FORBID_REUSE, s->idle_max_us == 0 ? 1L : 0L);
	SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
	SET(CURLOPT_OPENSOCKETDATA, c);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_READFUNCTION, on_body_wanted);
	SET(CURLOPT_SEEKFUNCTION, on_seek);
	SET(CURLOPT_PREREQFUNCTION, on_request);
	return http_tls_configure(c, easy);
}

static CURL *new_handle(struct http_client *c)
{
	CURL *easy = curl_easy_init();
	if (easy && configure(c, easy))
		return easy;
	curl_easy_cleanup(easy);
	return NULL;
}

/* What libcurl gets as a whole: borrowed by it until the handle is taken away. */
static struct str join(struct arena *arena, const struct http_request *request, size_t bytes)
{
	if (request->part_count == 1)
		return request->parts[0];
	char *p = arena_alloc(arena, bytes);
	size_t n = 0;
	for (size_t i = 0; i < request->part_count; i++) {
		struct str part = request->parts[i];
		if (part.n > 0)
			memcpy(p + n, part.p, part.n);
		n += part.n;
	}
	return (struct str){ p, n };
}

static bool is_method(const struct http_attempt *a, const char *name)
{
	return str_eq(a->request->method, str_from(name));
}

static bool prepare_body(struct http_attempt *a)
{
	CURL *easy = a->easy;
	bool sends = a->body_bytes > 0 || is_method(a, "PUT") || is_method(a, "POST");
	bool is_whole = a->body_bytes <= HTTP_JOIN_MAX;
	if (a->is_head) {
		SET(CURLOPT_NOBODY, 1L);
		return true;
	}
	SET(CURLOPT_HTTPGET, 1L); /* takes back NOBODY and POST of the handle's last use */
	if (sends) {
		struct str body = STR("");
		if (is_whole && a->body_bytes > 0)
			body = join(a->op->arena, a->request, a->body_bytes);
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDS, is_whole ? body.p : NULL);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)a->body_bytes);
	}
	SET(CURLOPT_CUSTOMREQUEST, str_dup_z(a->op->arena, a->request->method));
	return true;
}

static bool prepare(struct http_attempt *a)
{
	CURL *easy = a->easy;
	int64_t connect_us = a->client->settings.connect_timeout_us;
	if (connect_us == 0)
		connect_us = a->silence_us;
	SET(CURLOPT_CUSTOMREQUEST, NULL);
	SET(CURLOPT_PRIVATE, a);
	SET(CURLOPT_ERRORBUFFER, a->why);
	SET(CURLOPT_HEADERDATA, a);
	SET(CURLOPT_WRITEDATA, a);
	SET(CURLOPT_READDATA, a);
	SET(CURLOPT_SEEKDATA, a);
	SET(CURLOPT_PREREQDATA, a);
	SET(CURLOPT_URL, http_url_text(a->op->arena, a->url));
	SET(CURLOPT_HTTPHEADER, a->headers);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)MIN((connect_us + 999) / US_PER_MS, INT32_MAX));
	return prepare_body(a);
}

#undef SET

static CURL *take_handle(struct http_client *c)
{
	return c->idle_count > 0 ? c->idle[--c->idle_count] : new_handle(c);
}

static void give_handle(struct http_client *c, CURL *easy)
{
	if (c->idle_count < HTTP_IDLE_HANDLES_MAX)
		c->idle[c->idle_count++] = easy;
	else
		curl_easy_cleanup(easy);
}

void http_attempt_forget_handles(struct http_client *c)
{
	while (c->idle_count > 0)
		curl_easy_cleanup(c->idle[--c->idle_count]);
}

/* ---- waiting ---- */

void http_attempt_ended(struct http_attempt *a, CURLcode code)
{
	a->is_done = true;
	a->code = code;
	wait_queue_wake_all(&a->waiter);
}

/* Bytes that the kernel has not got rid of: an upload over a slow line moves though we are silent. */
static int unsent_bytes(const struct http_attempt *a)
{
	int n = 0;
	if (a->fd == CURL_SOCKET_BAD || ioctl(a->fd, SIOCOUTQ, &n) != 0)
		return 0;
	return n;
}

/* Until it is done, silent for too long, or late: is_late. */
static enum err wait_done(struct http_attempt *a)
{
	struct op wait;
	int unsent = 0;
	while (!a->is_done) {
		int64_t due = a->silence_us ? a->moved_us + a->silence_us : TIME_NEVER;
		op_init(&wait, NULL, a->op->event, MIN(due, a->op->deadline_us));
		enum err e = wait_queue_wait(&wait, &a->waiter);
		if (a->is_done || e == ERR_NONE)
			continue;
		if (e != ERR_TIMEOUT)
			return op_fail(a->op, e, "%s", wait.failure.text);
		int64_t now = now_us();
		int left = unsent_bytes(a);
		if (left > 0 && left != unsent)
			a->moved_us = now;
		unsent = left;
		a->is_late = now >= a->op->deadline_us ||
			     (a->silence_us && now >= a->moved_us + a->silence_us);
		if (a->is_late)
			return ERR_NONE;
	}
	return ERR_NONE;
}

/* ---- what became of it ---- */

static enum http_end end_of(const struct http_attempt *a)
{
	/* libcurl's own limit for a line of the header: it says that memory is short. */
	if (a->is_too_large || (a->is_done && a->code == CURLE_OUT_OF_MEMORY && a->issued > 0))
		return HTTP_TOO_LARGE;
	if (a->is_cut_by_us || (a->is_done && a->code == CURLE_OK))
		return HTTP_ANSWERED;
	if (a->issued == 0)
		return HTTP_NOT_SENT;
	/* A body that was not taken whole has not become anything. */
	if (a->body_bytes > HTTP_JOIN_MAX && a->issued == 1 && a->header_bytes == 0 &&
		a->taken_bytes < a->body_bytes)
		return HTTP_NOT_SENT;
	if (a->has_body || (a->is_done && a->code == CURLE_PARTIAL_FILE))
		return HTTP_CUT;
	if (a->is_done &&
		(a->code == CURLE_UNSUPPORTED_PROTOCOL || a->code == CURLE_WEIRD_SERVER_REPLY ||
			a->code == CURLE_BAD_CONTENT_ENCODING))
		return HTTP_GARBLED;
	return HTTP_UNANSWERED;
}

static void explain(struct http_attempt *a)
{
	const char *text = NULL;
	if (a->end == HTTP_TOO_LARGE)
		text = "the answer is larger than allowed";
	else if (a->is_late)
		text = a->issued ? "no answer in time" : "no connection in time";
	else if (a->end == HTTP_GARBLED && a->code == CURLE_OK)
		text = "the answer has no status of three digits";
	else if (a->why[0] == '\0')
		text = curl_easy_strerror(a->code);
	if (text)
		snprintf(a->why, sizeof a->why, "%s", text);
	size_t n = strlen(a->why);
	if (a->is_done && a->code == CURLE_PEER_FAILED_VERIFICATION)
		snprintf(a->why + n, sizeof a->why - n, "; see ssl_client_ca_file");
}

static void collect(struct http_attempt *a)
{
	long status = 0;
	curl_off_t wait_seconds = 0, sent = 0;
	(void)curl_easy_getinfo(a->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(a->easy, CURLINFO_RETRY_AFTER, &wait_seconds);
	(void)curl_easy_getinfo(a->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	a->end = end_of(a);
	/* RFC 9110 §15: three digits. "HTTP/21 00.0" and "HTTP/2 1000" pass libcurl. */
	if (a->end == HTTP_ANSWERED && (status < 100 || status > 999))
		a->end = HTTP_GARBLED;
	a->bytes_out = (uint64_t)sent;
	a->retry_after_us = (int64_t)MIN(wait_seconds, HTTP_RETRY_AFTER_MAX) * US_PER_SEC;
	a->answer.status = (unsigned)status;
	a->answer.headers = a->lines;
	if (a->end != HTTP_ANSWERED) {
		explain(a);
	} else if (a->place) {
		a->answer.body = (struct str){ a->place, a->place_n };
	} else if (arena_has_room(a->op->arena, a->body.n + SPARE_BYTES)) {
		a->answer.body = buf_dup(a->op->arena, &a->body);
	} else {
		a->end = HTTP_TOO_LARGE;
	}
}

static enum err run(struct http_attempt *a)
{
	if (!prepare(a))
		return op_fail(a->op, ERR_UNAVAILABLE, "libcurl refuses the request");
	TRY(http_drive_add(a->op, a->client, a->easy));
	a->moved_us = now_us();
	enum err e = wait_done(a);
	if (e == ERR_NONE)
		collect(a);
	http_drive_remove(a->client, a->easy);
	return e;
}

enum err http_attempt_run(struct http_attempt *a)
{
	for (size_t i = 0; i < a->request->part_count; i++)
		a->body_bytes += a->request->parts[i].n;
	a->fd = CURL_SOCKET_BAD;
	a->easy = take_handle(a->client);
	if (!a->easy)
		return op_fail(a->op, ERR_UNAVAILABLE, "libcurl gives no handle");
	enum err e = run(a);
	if (e == ERR_NONE)
		give_handle(a->client, a->easy);
	else
		curl_easy_cleanup(a->easy);
	buf_done(&a->body);
	return e;
}
