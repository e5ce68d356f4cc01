/* SPDX-License-Identifier: Apache-2.0 */
/* http/tell.c - events of a client: what was asked, how long it took, which servers are out of order.
 *
 * Targets are told without their secrets (http_url_target). Headers of answers are told when the administrator
 * named them (fs_http_log_headers).
 *
 * Spec: sheet storage §9.1, §15. */
#include "http/http_private.h"

static void add_headers(
	struct event *event, const struct http_client *c, const struct http_answer *answer)
{
	for (size_t i = 0; i < c->settings.log_header_count; i++) {
		struct str value = http_answer_header(answer, c->settings.log_headers[i]);
		if (value.p)
			event_set_str(event, c->log_keys[i], value);
	}
}

static struct event *event_of(struct op *op, struct http_client *c, const struct http_told *t)
{
	struct event *event = event_new(op->event, "http-client");
	event_set_str(event, "method", t->request->method);
	event_set_str(event, "target", http_url_target(op->arena, t->url));
	event_set_str(event, "dest_host", t->url->host);
	event_set_int(event, "dest_port", t->url->port);
	event_set_int(event, "attempts", t->attempts);
	event_set_int(event, "redirects", t->redirects);
	event_set_int(event, "net_in_bytes", (int64_t)t->bytes_in);
	event_set_int(event, "net_out_bytes", (int64_t)t->bytes_out);
	event_set_int(event, "duration", now_us() - t->started_us);
	if (t->request->kind.n > 0)
		event_set_str(event, "file_type", t->request->kind);
	if (t->last && t->last->ip.n > 0)
		event_set_str(event, "dest_ip", t->last->ip);
	if (t->last && t->last->answer.status > 0) {
		event_set_int(event, "status_code", t->last->answer.status);
		add_headers(event, c, &t->last->answer);
	}
	return event;
}

/* "GET http://host/path". */
static struct str text_of(struct op *op, const struct http_told *t)
{
	struct str origin = http_url_origin(op->arena, t->url);
	struct str target = http_url_target(op->arena, t->url);
	return str_printf(
		op->arena, "%.*s %.*s%.*s", STRF(t->request->method), STRF(origin), STRF(target));
}

/* What the last attempt came to. */
static struct str end_text(struct op *op, const struct http_told *t)
{
	if (!t->last)
		return STR("not sent");
	if (t->last->end == HTTP_ANSWERED)
		return str_printf(op->arena, "%u", t->last->answer.status);
	return str_from(t->last->why);
}

/* " x-request-id=...": headers that the administrator wants in each line. */
static struct str logged_text(struct op *op, struct http_client *c, const struct http_told *t)
{
	AUTO_BUF(text, 0);
	for (size_t i = 0; t->last && i < c->settings.log_header_count; i++) {
		struct str name = c->settings.log_headers[i];
		struct str value = http_answer_header(&t->last->answer, name);
		if (value.p)
			buf_putf(&text, " %.*s=%.*s", STRF(name), STRF(value));
	}
	return buf_dup(op->arena, &text);
}

void http_tell_finished(
	struct op *op, struct http_client *c, const struct http_told *t, enum err result)
{
	int64_t took = now_us() - t->started_us;
	bool is_slow = c->settings.slow_warning_us > 0 && took >= c->settings.slow_warning_us;
	if (!is_slow && !event_is_wanted(op->event, EVENT_DEBUG))
		return;
	struct event *event = event_of(op, c, t);
	if (result != ERR_NONE)
		event_set_str(event, "error", str_from(op->failure.text));
	struct str what = text_of(op, t), end = end_text(op, t), logged = logged_text(op, c, t);
	event_send(event, EVENT_DEBUG, "http_request_finished", "%.*s: %.*s after %lld ms%.*s",
		STRF(what), STRF(end), (long long)(took / US_PER_MS), STRF(logged));
	if (is_slow)
		event_send(event, EVENT_WARNING, "http_request_was_slow",
			"%.*s took %lld ms in %u attempts: %.*s%.*s", STRF(what),
			(long long)(took / US_PER_MS), t->attempts, STRF(end), STRF(logged));
	event_unref(event);
}

void http_tell_retried(
	struct op *op, struct http_client *c, const struct http_told *t, int64_t wait_us)
{
	if (!event_is_wanted(op->event, EVENT_DEBUG))
		return;
	struct event *event = event_of(op, c, t);
	struct str what = text_of(op, t), end = end_text(op, t), logged = logged_text(op, c, t);
	event_send(event, EVENT_DEBUG, "http_request_retried", "%.*s: %.*s; again in %lld ms%.*s",
		STRF(what), STRF(end), (long long)(wait_us / US_PER_MS), STRF(logged));
	event_unref(event);
}

void http_tell_redirected(
	struct op *op, struct http_client *c, const struct http_told *t, const struct http_url *to)
{
	if (!event_is_wanted(op->event, EVENT_DEBUG))
		return;
	struct event *event = event_of(op, c, t);
	struct str what = text_of(op, t), origin = http_url_origin(op->arena, to);
	struct str target = http_url_target(op->arena, to), end = end_text(op, t);
	event_send(event, EVENT_DEBUG, "http_request_redirected", "%.*s: %.*s, to %.*s%.*s",
		STRF(what), STRF(end), STRF(origin), STRF(target));
	event_unref(event);
}

void http_tell_opened(struct http_client *c, const struct http_origin *o, int64_t wait_us)
{
	struct event *event = event_new(NULL, "http-client"); /* nobody's in particular */
	event_send(event, EVENT_ERROR, "http_server_given_up",
		"%s: %s is down: it failed %u times in a row (%s) and is left alone for %lld ms at "
		"a time, until it answers again",
		c->name, o->name, o->failures, o->why, (long long)(wait_us / US_PER_MS));
	event_unref(event);
}

void http_tell_closed(struct http_client *c, const struct http_origin *o)
{
	struct event *event = event_new(NULL, "http-client");
	event_send(event, EVENT_ERROR, "http_server_came_back",
		"%s: %s is up again after %lld s; %u attempts failed, %u were not made", c->name,
		o->name, (long long)((now_us() - o->failing_since_us) / US_PER_SEC), o->failures,
		o->refused);
	event_unref(event);
}
