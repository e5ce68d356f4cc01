/* SPDX-License-Identifier: Apache-2.0 */
/* http/client.c - clients: opened, closed, counted. */
#include <string.h>

#include "http/http_private.h"

#define USER_AGENT "Pombal"

/* Zero-terminated, for libcurl and OpenSSL. */
static void keep(struct arena *arena, struct str *s)
{
	*s = (struct str){ str_dup_z(arena, *s), s->n };
}

static void keep_lists(struct http_client *c)
{
	struct http_settings *s = &c->settings;
	struct http_header *add =
		ARENA_NEW_ARRAY(&c->arena, struct http_header, s->add_header_count);
	struct str *log = ARENA_NEW_ARRAY(&c->arena, struct str, s->log_header_count);
	c->log_keys = ARENA_NEW_ARRAY(&c->arena, const char *, s->log_header_count);
	for (size_t i = 0; i < s->add_header_count; i++) {
		add[i] = s->add_headers[i];
		keep(&c->arena, &add[i].name);
		keep(&c->arena, &add[i].value);
	}
	for (size_t i = 0; i < s->log_header_count; i++) {
		log[i] = str_dup(&c->arena, s->log_headers[i]);
		struct str lower = str_lower(&c->arena, log[i]);
		c->log_keys[i] = str_printf(&c->arena, "http_hdr_%.*s", STRF(lower)).p;
	}
	s->add_headers = add;
	s->log_headers = log;
}

static void keep_settings(struct http_client *c)
{
	struct http_settings *s = &c->settings;
	if (s->user_agent.n == 0)
		s->user_agent = STR(USER_AGENT);
	s->connections_max = MAX(s->connections_max, 1);
	keep(&c->arena, &s->user_agent);
	keep(&c->arena, &s->ca_pem);
	keep(&c->arena, &s->ca_dir);
	keep(&c->arena, &s->cert_pem);
	keep(&c->arena, &s->key_pem);
	keep(&c->arena, &s->key_password);
	keep(&c->arena, &s->tls_min_protocol);
	keep_lists(c);
}

static enum err open_library(struct op *op, struct http_client *c)
{
	static bool is_begun; /* once in a process; it never ends */
	if (!is_begun && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return op_fail(op, ERR_UNAVAILABLE, "libcurl does not start");
	is_begun = true;
	c->share = curl_share_init();
	if (!c->share ||
		curl_share_setopt(c->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) != CURLSHE_OK ||
		curl_share_setopt(c->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) !=
			CURLSHE_OK)
		return op_fail(op, ERR_UNAVAILABLE, "libcurl gives no share handle");
	return ERR_NONE;
}

static enum err open_parts(struct op *op, struct http_client *c)
{
	TRY(open_library(op, c));
	TRY(http_tls_open(op, c));
	return http_drive_open(op, c);
}

enum err http_client_open_with(struct op *op, const struct http_settings *settings,
	const char *name, struct http_client **out)
{
	struct http_client *c = MEM_NEW(struct http_client);
	c->magic = HTTP_CLIENT_MAGIC;
	c->name = str_new_z(str_from(name));
	c->settings = *settings;
	c->epoll_fd = -1;
	arena_init(&c->arena, 0);
	map_init(&c->origins);
	keep_settings(c);
	enum err e = open_parts(op, c);
	if (e != ERR_NONE) {
		http_client_close(c);
		return op_within(op, e, "HTTP client %s", name);
	}
	*out = c;
	return ERR_NONE;
}

enum err http_client_open(
	struct op *op, const struct config_scope *scope, const char *name, struct http_client **out)
{
	struct http_settings settings;
	TRY(op_within(op, http_settings_read(op, scope, &settings), "HTTP client %s", name));
	return http_client_open_with(op, &settings, name, out);
}

void http_client_close(struct http_client *c)
{
	if (!c)
		return;
	ASSERT(c->magic == HTTP_CLIENT_MAGIC && c->active == 0);
	http_drive_close(c);
	http_attempt_forget_handles(c);
	if (c->share)
		(void)curl_share_cleanup(c->share); /* nobody uses it any more */
	http_tls_close(c);
	http_origins_done(c);
	mem_wipe((void *)(uintptr_t)c->settings.key_pem.p, c->settings.key_pem.n);
	arena_done(&c->arena);
	mem_free(c->name);
	mem_free(c);
}

struct http_counters http_counters(const struct http_client *c)
{
	return c->counters;
}
