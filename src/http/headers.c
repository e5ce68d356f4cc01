/* SPDX-License-Identifier: Apache-2.0 */
/* http/headers.c - what is sent beside the caller's headers, and what must not be.
 *
 * Who is asked on behalf of a user tells the server who and in which session, so that an operator finds the
 * request in the store's log. Bytes that no header may hold never get there.
 *
 * Spec: RFC 9110 §5.1, §5.5; sheet storage §9.1. */
#include <string.h>

#include "config/expand.h"
#include "http/http_private.h"

void http_headers_add(
	struct op *op, struct http_headers *headers, struct str name, struct str value)
{
	if (headers->count == headers->room) {
		size_t room = headers->room ? headers->room * 2 : 8;
		headers->items = arena_grow(op->arena, headers->items,
			headers->room * sizeof *headers->items, room * sizeof *headers->items);
		headers->room = room;
	}
	headers->items[headers->count++] = (struct http_header){
		.name = str_dup(op->arena, name),
		.value = str_dup(op->arena, value),
	};
}

static enum err check(struct op *op, const struct http_header *h)
{
	bool is_good = h->name.n > 0;
	for (size_t i = 0; i < h->name.n; i++)
		is_good = is_good &&
			  (ascii_is_alpha(h->name.p[i]) || ascii_is_digit(h->name.p[i]) ||
				  str_find_byte(STR("!#$%&'*+-.^_`|~"), h->name.p[i]) >= 0);
	if (!is_good)
		return op_fail(op, ERR_INVALID, "a header to be sent has no proper name");
	for (size_t i = 0; i < h->value.n; i++)
		if ((unsigned char)h->value.p[i] < ' ' ? h->value.p[i] != '\t'
						       : h->value.p[i] == 127)
			return op_fail(op, ERR_INVALID, "header %.*s holds a control character",
				STRF(h->name));
	return ERR_NONE;
}

/* libcurl says these itself, from URL and body. */
static bool is_libcurls(struct str name)
{
	return str_eq_ci(name, STR("Host")) || str_eq_ci(name, STR("Content-Length")) ||
	       str_eq_ci(name, STR("Transfer-Encoding"));
}

/* What another server may see of a request: nothing that could be a credential. */
static bool may_travel(struct str name)
{
	return str_starts_ci(name, STR("Accept")) || str_starts_ci(name, STR("If-")) ||
	       str_eq_ci(name, STR("Range")) || str_eq_ci(name, STR("Content-Type"));
}

/* In the arena: libcurl reads the list and never frees it. */
static void append(struct op *op, struct curl_slist ***tail, struct str name, struct str value)
{
	struct curl_slist *line = ARENA_NEW(op->arena, struct curl_slist);
	const char *sep = value.n > 0 ? ": " : ";"; /* libcurl's way to send an empty one */
	size_t sep_n = strlen(sep);
	char *p = arena_alloc(op->arena, name.n + sep_n + value.n + 1);
	memcpy(p, name.p, name.n);
	memcpy(p + name.n, sep, sep_n);
	if (value.n > 0)
		memcpy(p + name.n + sep_n, value.p, value.n);
	line->data = p;
	**tail = line;
	*tail = &line->next;
}

/* "Name:" takes away what libcurl would send. */
static void suppress(struct op *op, struct curl_slist ***tail, const char *line_text)
{
	struct curl_slist *line = ARENA_NEW(op->arena, struct curl_slist);
	line->data = str_dup_z(op->arena, str_from(line_text));
	**tail = line;
	*tail = &line->next;
}

/* Not every request is on behalf of somebody: what is not known is empty. */
static bool find_variable(void *ctx, struct str name, struct str *out)
{
	struct op *op = ctx;
	const char *key = str_dup_z(op->arena, name);
	if (!op->event || !event_get_str(op->event, key, out))
		*out = STR("");
	return true;
}

/* What cannot be expanded or sent is the administrator's to mend: nobody's mail is refused for good. */
static enum err add_configured(struct op *op, struct http_client *c, struct http_headers *headers)
{
	const struct http_settings *s = &c->settings;
	const struct config_vars vars = { .find = find_variable, .ctx = op };
	for (size_t i = 0; i < s->add_header_count; i++) {
		struct http_header h = s->add_headers[i];
		enum err e = config_expand(op, h.value, &vars, &h.value);
		if (e == ERR_NONE)
			e = check(op, &h);
		if (e != ERR_NONE) {
			const char *why = str_dup_z(op->arena, str_from(op->failure.text));
			return op_fail(op, ERR_UNAVAILABLE, "fs_http_add_headers %.*s: %s",
				STRF(h.name), why);
		}
		http_headers_add(op, headers, h.name, h.value);
	}
	return ERR_NONE;
}

/* Names of users may hold anything. */
static void add_traced(
	struct op *op, struct http_headers *headers, struct str name, struct str value, size_t max)
{
	AUTO_BUF(text, 0);
	http_percent_encode(&text, str_slice(value, 0, max), STR(" !#$&'()*+,/:;<=>?@[]^_`{|}"));
	if (text.n > 0)
		http_headers_add(op, headers, name, str_trim(buf_str(&text)));
}

static void add_trace(struct op *op, struct http_client *c, struct http_headers *headers)
{
	const struct http_settings *s = &c->settings;
	struct str value;
	if (s->sends_trace_headers && op->event) {
		if (event_get_str(op->event, "user", &value))
			add_traced(op, headers, STR("X-Dovecot-Username"), value, 512);
		if (event_get_str(op->event, "session", &value))
			add_traced(op, headers, STR("X-Dovecot-Session-Id"), value, 512);
	}
	if (s->reason_max > 0)
		add_traced(op, headers, STR("X-Dovecot-Reason"), op->doing, s->reason_max);
}

static enum err gather(struct op *op, struct http_client *c, const struct http_request *request,
	bool is_home, struct http_headers *headers)
{
	for (size_t i = 0; i < request->header_count; i++)
		if (is_home || may_travel(request->headers[i].name))
			http_headers_add(
				op, headers, request->headers[i].name, request->headers[i].value);
	if (!is_home)
		return ERR_NONE;
	TRY(add_configured(op, c, headers));
	add_trace(op, c, headers);
	if (request->sign)
		TRY(request->sign(op, request, headers, request->sign_arg));
	return ERR_NONE;
}

enum err http_headers_compose(struct op *op, struct http_client *c,
	const struct http_request *request, bool is_home, struct curl_slist **out)
{
	struct http_headers headers = { .count = 0 };
	struct curl_slist *first = NULL, **tail = &first;
	bool has_type = false, has_accept = false;
	TRY(gather(op, c, request, is_home, &headers));
	for (size_t i = 0; i < headers.count; i++) {
		const struct http_header *h = &headers.items[i];
		TRY(check(op, h));
		if (is_libcurls(h->name))
			continue;
		append(op, &tail, h->name, h->value);
		has_type = has_type || str_eq_ci(h->name, STR("Content-Type"));
		has_accept = has_accept || str_eq_ci(h->name, STR("Accept"));
	}
	suppress(op, &tail, "Expect:");
	if (!has_type)
		suppress(op, &tail, "Content-Type:");
	if (!has_accept)
		suppress(op, &tail, "Accept:");
	*out = first;
	return ERR_NONE;
}
