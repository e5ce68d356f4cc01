/* SPDX-License-Identifier: Apache-2.0 */
/* http/request.c - one request: attempts until one of them is an answer to be told.
 *
 *   sign -> breaker -> a place at the server -> attempt -> report -+-> the answer
 *     ^                                                            +-> failure
 *     +---- wait <---- may it be repeated, and is there time? <----+
 *     +---- another url <------------------------------------ redirect
 *
 * What happened on the way counts for the class of failure: once a request that changes something was sent and
 * not answered, no later "no connection" makes it certain that nothing was done. */
#include <stdio.h>

#include "base/hash.h"
#include "base/random.h"
#include "http/http_private.h"

struct exchange {
	struct op *op; /* the caller's arena and event, our deadline */
	struct http_client *client;
	const struct http_request *asked;
	struct http_request request; /* as asked, with the url of now */
	struct http_url url;
	struct str home; /* origin of the request's own url */
	struct http_origin *origin;
	enum http_class class;
	int64_t started_us;
	struct http_attempt *last; /* NULL: none yet */
	unsigned attempts, unsent, redirects;
	bool is_uncertain;       /* an attempt before the last may have been carried out */
	int64_t breaker_wait_us; /* the last attempt was not begun because of it */
	uint64_t bytes_in, bytes_out;
};

static enum http_class class_of(struct str method)
{
	if (str_eq(method, STR("GET")) || str_eq(method, STR("HEAD")))
		return HTTP_READ;
	return str_eq(method, STR("DELETE")) ? HTTP_DELETE : HTTP_WRITE;
}

static bool is_repeatable(const struct exchange *x)
{
	return x->class == HTTP_READ || x->asked->is_repeatable;
}

/* ---- what to do after an attempt ---- */

static bool is_server_failure(unsigned status)
{
	return status >= 500 && status != 501 && status != 505;
}

static bool is_also_retried(const struct http_request *request, unsigned status)
{
	for (size_t i = 0; i < request->also_retry_count; i++)
		if (request->also_retry[i] == status)
			return true;
	return false;
}

/* 429 and 503: the server says itself that it did nothing. */
static bool may_repeat_status(const struct exchange *x, unsigned status)
{
	if (status == 429 || status == 503 || is_also_retried(x->asked, status))
		return true;
	return is_server_failure(status) && is_repeatable(x);
}

static bool is_connect_failure(const struct exchange *x)
{
	return !x->last || (x->last->end == HTTP_NOT_SENT && x->last->issued == 0);
}

static bool may_repeat(const struct exchange *x)
{
	const struct http_settings *s = &x->client->settings;
	unsigned connects = s->connect_attempts_max;
	if (x->attempts >= s->attempts_max[x->class])
		return false;
	if (is_connect_failure(x))
		return connects == 0 || x->unsent < connects;
	switch (x->last->end) {
	case HTTP_ANSWERED:
		return may_repeat_status(x, x->last->answer.status);
	case HTTP_NOT_SENT:
		return true;
	case HTTP_UNANSWERED:
	case HTTP_GARBLED:
	case HTTP_CUT:
		return is_repeatable(x);
	case HTTP_TOO_LARGE:
		break;
	}
	return false;
}

/* `us`, shortened by chance by up to a fifth: many that failed together do not come back together. */
static int64_t jittered(int64_t us)
{
	return us - (int64_t)random_below((uint64_t)us / 5 + 1);
}

/* first, first * factor, ... max. */
static int64_t growing(int64_t first_us, int64_t factor, int64_t max_us, unsigned step)
{
	int64_t us = first_us;
	for (unsigned i = 1; i < step && us < max_us; i++)
		us *= factor;
	return MIN(us, max_us);
}

static int64_t backoff(const struct exchange *x)
{
	const struct http_settings *s = &x->client->settings;
	if (!is_connect_failure(x))
		return MAX(jittered(growing(s->retry_us, 10, s->retry_max_us, x->attempts)),
			x->last->retry_after_us);
	return MAX(
		jittered(growing(s->connect_backoff_us, 2, s->connect_backoff_max_us, x->unsent)),
		x->breaker_wait_us);
}

/* ---- telling ---- */

static struct http_told told(const struct exchange *x)
{
	return (struct http_told){
		.request = x->asked,
		.url = &x->url,
		.last = x->last,
		.attempts = x->attempts,
		.redirects = x->redirects,
		.started_us = x->started_us,
		.bytes_in = x->bytes_in,
		.bytes_out = x->bytes_out,
	};
}

static struct str asked_text(const struct exchange *x)
{
	struct str origin = http_url_origin(x->op->arena, &x->url);
	struct str target = http_url_target(x->op->arena, &x->url);
	return str_printf(
		x->op->arena, "%.*s %.*s%.*s", STRF(x->asked->method), STRF(origin), STRF(target));
}

static enum err fail(const struct exchange *x, enum err e, const char *why)
{
	struct str what = asked_text(x);
	return op_fail(x->op, e, "%.*s: %s (attempts: %u)", STRF(what), why, x->attempts);
}

static const char *given_up_text(const struct exchange *x)
{
	int64_t ms = x->breaker_wait_us / US_PER_MS + 1;
	return str_printf(
		x->op->arena, "the server kept failing and is not asked for %" PRId64 " ms", ms)
		.p;
}

/* No answer: how sure is it that nothing was done? */
static enum err failure_of(const struct exchange *x)
{
	bool is_read = x->class == HTTP_READ;
	if (!x->last || x->last->end == HTTP_NOT_SENT) {
		const char *why = x->last ? x->last->why : given_up_text(x);
		return fail(x, x->is_uncertain && !is_read ? ERR_TIMEOUT : ERR_UNAVAILABLE, why);
	}
	switch (x->last->end) {
	case HTTP_TOO_LARGE:
		return fail(x, ERR_LIMIT, x->last->why);
	case HTTP_CUT:
		return fail(x, is_read ? ERR_CORRUPT : ERR_TIMEOUT, x->last->why);
	case HTTP_UNANSWERED:
	case HTTP_GARBLED:
	case HTTP_NOT_SENT:
	case HTTP_ANSWERED:
		break;
	}
	return fail(x, is_read && !x->last->is_late ? ERR_UNAVAILABLE : ERR_TIMEOUT, x->last->why);
}

/* ---- attempts ---- */

/* WAITS. At the server, within its limits. x->last NULL afterwards: its breaker is open. */
static enum err attempt(struct exchange *x, struct curl_slist *headers)
{
	struct http_client *c = x->client;
	bool is_probe;
	TRY(http_origin_enter(x->op, c, x->origin));
	x->last = NULL;
	if (!http_origin_may_try(c, x->origin, &is_probe, &x->breaker_wait_us)) {
		http_origin_leave(x->origin);
		return ERR_NONE;
	}
	struct http_attempt *a = ARENA_NEW(x->op->arena, struct http_attempt);
	*a = (struct http_attempt){
		.op = x->op,
		.client = c,
		.request = &x->request,
		.url = &x->url,
		.headers = headers,
		.is_head = str_eq(x->request.method, STR("HEAD")),
		.may_reissue = is_repeatable(x),
		.silence_us = c->settings.timeout_us[x->class],
	};
	enum err e = http_attempt_run(a);
	http_origin_leave(x->origin);
	if (e != ERR_NONE) {
		x->origin->is_probed = x->origin->is_probed && !is_probe;
		return e;
	}
	bool is_good = a->end == HTTP_TOO_LARGE ||
		       (a->end == HTTP_ANSWERED && !is_server_failure(a->answer.status));
	bool is_unreached = a->end == HTTP_NOT_SENT && a->issued == 0;
	uint64_t about = is_unreached ? 0 : hash_bytes(x->url.path);
	bool is_our_hurry = a->is_late && now_us() >= x->op->deadline_us;
	if (!is_good && a->end == HTTP_ANSWERED)
		(void)snprintf(
			x->origin->why, sizeof(x->origin->why), "status %u", a->answer.status);
	else if (!is_good)
		(void)snprintf(x->origin->why, sizeof(x->origin->why), "%.120s", a->why);
	if (is_good || !is_our_hurry)
		http_origin_report(c, x->origin, about, is_good, is_probe);
	else if (is_probe)
		x->origin->is_probed = false;
	x->last = a;
	return ERR_NONE;
}

static void count(struct exchange *x)
{
	struct http_counters *n = &x->client->counters;
	struct http_attempt *a = x->last;
	x->attempts++;
	n->attempts++;
	if (is_connect_failure(x))
		x->unsent++;
	if (!a) {
		n->broken_off++;
		return;
	}
	x->bytes_in += a->bytes_in;
	x->bytes_out += a->bytes_out;
	n->bytes_in += a->bytes_in;
	n->bytes_out += a->bytes_out;
	if (a->issued > 1) { /* libcurl repeated it on a new connection */
		x->attempts += a->issued - 1;
		x->is_uncertain = true;
	}
}

/* WAITS. One more attempt; ERR_NONE: x->last says how it went. */
static enum err try_once(struct exchange *x)
{
	struct curl_slist *headers;
	struct str origin = http_url_origin(x->op->arena, &x->url);
	bool is_home = str_eq(origin, x->home);
	if (x->origin)
		http_origin_put(x->origin);
	x->origin = http_origin_get(x->client, origin);
	x->request.url = str_from(http_url_text(x->op->arena, &x->url));
	TRY(http_headers_compose(x->op, x->client, &x->request, is_home, &headers));
	TRY(attempt(x, headers));
	count(x);
	return ERR_NONE;
}

/* WAITS. False: there is no time for another attempt, or it must not be. */
static bool wait_for_another(struct exchange *x, enum err *out_e)
{
	*out_e = ERR_NONE;
	if (!may_repeat(x) || (!x->last && x->attempts == 1))
		return false;
	int64_t us = backoff(x);
	if (x->op->deadline_us != TIME_NEVER && now_us() + us >= x->op->deadline_us)
		return false;
	struct http_told t = told(x);
	http_tell_retried(x->op, x->client, &t, us);
	if (x->last && x->last->end != HTTP_NOT_SENT)
		x->is_uncertain = true;
	*out_e = task_sleep(x->op, us);
	return *out_e == ERR_NONE;
}

/* ---- redirects ---- */

/* Where to, if it is one that we follow. */
static bool redirects_to(struct exchange *x, struct http_url *out)
{
	const struct http_attempt *a = x->last;
	struct str location;
	if (!a || a->end != HTTP_ANSWERED || x->redirects >= x->client->settings.redirects_max)
		return false;
	unsigned status = a->answer.status;
	bool is_read = x->class == HTTP_READ;
	bool is_followed =
		status == 307 || status == 308 || (is_read && status >= 301 && status <= 303);
	location = http_answer_header(&a->answer, STR("Location"));
	if (!is_followed || location.n == 0)
		return false;
	if (http_url_follow(x->op, &x->url, location, out) != ERR_NONE) {
		op_forgive(x->op); /* the caller gets the answer as it is */
		return false;
	}
	out->user = out->password = STR_NONE;
	struct str origin = http_url_origin(x->op->arena, out);
	bool is_down = x->url.is_tls && !out->is_tls;
	return str_eq(origin, x->home) || (is_read && !is_down);
}

/* ---- the whole ---- */

static enum err finish(struct exchange *x, struct http_answer *out)
{
	if (!x->last || x->last->end != HTTP_ANSWERED)
		return failure_of(x);
	*out = x->last->answer;
	out->attempts = x->attempts;
	out->maybe_repeated = x->is_uncertain;
	return ERR_NONE;
}

static enum err run(struct exchange *x, struct http_answer *out)
{
	struct http_url next;
	enum err e;
	do {
		TRY(try_once(x));
		while (redirects_to(x, &next)) {
			struct http_told t = told(x);
			http_tell_redirected(x->op, x->client, &t, &next);
			x->url = next;
			x->redirects++;
			TRY(try_once(x));
		}
	} while (wait_for_another(x, &e));
	TRY(e);
	return finish(x, out);
}

/* Waiting for a place, or for who signs, ends like other waits: what was done until then decides the class. */
static enum err settle(const struct exchange *x, enum err e)
{
	bool was_sent = x->last && x->last->end != HTTP_NOT_SENT;
	bool is_certain = !x->is_uncertain || x->class == HTTP_READ;
	if (e == ERR_NONE || e == ERR_CANCELLED || e == ERR_LIMIT)
		return e;
	const char *why = str_dup_z(x->op->arena, str_from(x->op->failure.text));
	if (!is_certain && e != ERR_TIMEOUT)
		return op_fail(
			x->op, ERR_TIMEOUT, "%s; it was sent before, without an answer", why);
	if (e == ERR_TIMEOUT && is_certain && !was_sent)
		return op_fail(x->op, ERR_UNAVAILABLE, "%s; it was never sent", why);
	return e;
}

static enum err begin(struct exchange *x)
{
	TRY(http_url_parse(x->op, x->asked->url, &x->url));
	x->home = http_url_origin(x->op->arena, &x->url);
	return ERR_NONE;
}

enum err http_request(struct op *op, struct http_client *c, const struct http_request *request,
	struct http_answer *out)
{
	struct op inner;
	struct exchange x = { .op = &inner, .client = c, .asked = request, .request = *request };
	ASSERT(c->magic == HTTP_CLIENT_MAGIC);
	x.started_us = now_us();
	x.class = class_of(request->method);
	int64_t limit_us = c->settings.absolute_timeout_us;
	int64_t due = limit_us > 0 ? x.started_us + limit_us : TIME_NEVER;
	op_init(&inner, op->arena, op->event, MIN(op->deadline_us, due));
	inner.doing = op->doing;
	timer_cancel(&c->idle_timer);
	c->active++;
	c->counters.requests++;
	enum err e = begin(&x);
	if (e == ERR_NONE)
		e = settle(&x, run(&x, out));
	if (x.origin)
		http_origin_put(x.origin);
	if (e != ERR_NONE)
		c->counters.failures++;
	struct http_told t = told(&x);
	http_tell_finished(&inner, c, &t, e);
	if (--c->active == 0)
		http_drive_rest(c);
	if (e != ERR_NONE)
		op->failure = inner.failure;
	return e;
}

struct str http_answer_header(const struct http_answer *a, struct str name)
{
	for (size_t i = 0; i < a->header_count; i++)
		if (str_eq_ci(a->headers[i].name, name))
			return a->headers[i].value;
	return STR_NONE;
}
