/* SPDX-License-Identifier: Apache-2.0 */
/* objects/aws_keys.c - the source of keys: who fetches, when, and who waits: see aws_keys.h.
 *
 * A fetch is a task of its own, so that it outlives the request that asked for it. It and the owner
 * hold a reference each; the last one frees the source. */
#include "base/base.h"
#include "event/event.h"
#include "objects/aws_private.h"

#define RETRY_US     (60 * US_PER_SEC) /* after a failure, while old keys still count */
#define PAUSE_US     US_PER_SEC        /* after a failure, without keys: nobody asks sooner */
#define MARGIN_US    (30 * US_PER_SEC) /* keys that end so soon are not used any more, */
#define MARGIN_PART  8                 /* or that part of their life, if it is shorter */
#define DOUBT_US     (60 * US_PER_SEC) /* keys that came within it are not asked for again */
#define FETCH_MEMORY ((size_t)1 << 20)

/* ---- life ---- */

static void source_unref(struct aws_source *s)
{
	if (--s->refs > 0)
		return;
	http_client_close(s->http);
	event_unref(s->event);
	if (s->keys_memory) {
		mem_wipe(s->keys_memory, s->keys.secret.n + s->keys.token.n + s->keys.access_key.n);
		mem_free(s->keys_memory);
	}
	arena_done(&s->arena);
	mem_free(s);
}

/* Keeps copies of the texts, in one block. */
static void keys_take(struct aws_source *s, const struct aws_keys *keys)
{
	size_t n = keys->access_key.n + keys->secret.n + keys->token.n;
	char *memory = mem_new(n);
	const struct str parts[] = { keys->access_key, keys->secret, keys->token };
	struct str *const to[] = { &s->keys.access_key, &s->keys.secret, &s->keys.token };
	if (s->keys_memory) {
		mem_wipe(s->keys_memory, s->keys.secret.n + s->keys.token.n + s->keys.access_key.n);
		mem_free(s->keys_memory);
	}
	s->keys_memory = memory;
	for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
		if (parts[i].n)
			memcpy(memory, parts[i].p, parts[i].n);
		*to[i] = (struct str){ memory, parts[i].n };
		memory += parts[i].n;
	}
	s->keys.generation++;
	s->has_keys = true;
}

static void on_timer(void *arg);

static enum err kind_find(
	struct op *op, const struct aws_source_settings *settings, enum aws_kind *out)
{
	if (settings->access_key.n || settings->secret.n) {
		if (settings->access_key.n == 0 || settings->secret.n == 0)
			return op_fail(op, ERR_INVALID,
				"fs_s3_access_key and fs_s3_secret must be set together");
		*out = AWS_FIXED;
	} else if (settings->role.n) {
		*out = AWS_METADATA;
	} else if (settings->container_url.n) {
		*out = AWS_CONTAINER;
	} else if (settings->identity_role.n || settings->identity_token_file.n) {
		if (settings->identity_role.n == 0 || settings->identity_token_file.n == 0)
			return op_fail(op, ERR_INVALID,
				"fs_s3_auth_identity_role and fs_s3_auth_identity_token_file must "
				"be set together");
		*out = AWS_IDENTITY;
	} else {
		return op_fail(op, ERR_INVALID,
			"no keys for S3: set fs_s3_access_key and fs_s3_secret, or "
			"fs_s3_auth_role");
	}
	return ERR_NONE;
}

/* Keys are asked for rarely and must not hold up requests for long: limits of their own. */
static enum err client_open(struct op *op, struct aws_source *s)
{
	struct http_settings http = s->settings.http;
	http.absolute_timeout_us = s->settings.timeout_us;
	for (size_t i = 0; i < HTTP_CLASS_COUNT; i++)
		http.attempts_max[i] = s->settings.attempts_max;
	http.connections_max = 1;
	http.redirects_max = 0;
	http.add_headers = NULL;
	http.add_header_count = 0;
	http.sends_trace_headers = false;
	http.reason_max = 0;
	http.breaker_failures = 0;
	TRY(http_client_open_with(op, &http, "fs-auth", &s->http));
	memset(&s->settings.http, 0, sizeof(s->settings.http)); /* borrowed by the caller */
	return ERR_NONE;
}

enum err aws_source_open(
	struct op *op, const struct aws_source_settings *settings, struct aws_source **out)
{
	enum aws_kind kind = AWS_FIXED;
	TRY(kind_find(op, settings, &kind));
	struct aws_source *s = MEM_NEW(struct aws_source);
	arena_init(&s->arena, 0);
	s->refs = 1;
	s->kind = kind;
	s->settings = *settings;
	timer_init(&s->timer, on_timer, s);
	struct str *const texts[] = { &s->settings.role, &s->settings.role_host,
		&s->settings.container_url, &s->settings.container_token_file,
		&s->settings.identity_role, &s->settings.identity_token_file,
		&s->settings.identity_url };
	for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
		*texts[i] = str_dup(&s->arena, *texts[i]);
	if (kind == AWS_FIXED) {
		const struct aws_keys fixed = { .access_key = settings->access_key,
			.secret = settings->secret };
		keys_take(s, &fixed);
		s->ends_us = TIME_NEVER;
	} else {
		s->event = event_new(op->event, "fs-auth");
		enum err e = client_open(op, s);
		if (e != ERR_NONE) {
			source_unref(s);
			return e;
		}
	}
	s->settings.access_key = s->settings.secret = STR_NONE; /* the caller's */
	*out = s;
	return ERR_NONE;
}

void aws_source_close(struct aws_source *s)
{
	if (!s)
		return;
	s->is_closed = true;
	timer_cancel(&s->timer);
	task_cancel(s->fetching);
	source_unref(s);
}

/* ---- fetching ---- */

static enum err fetch_succeeded(struct op *op, struct aws_source *s, const struct aws_fetched *f)
{
	int64_t life = f->ends_wall_us ? f->ends_wall_us - now_wall_us() : TIME_NEVER;
	if (life <= 0)
		return op_fail(op, ERR_UNAVAILABLE,
			"the keys handed out have ended already: is this host's clock right?");
	keys_take(s, &f->keys);
	s->fetched_us = now_us();
	s->failed_us = 0;
	s->ends_us = TIME_NEVER;
	if (life == TIME_NEVER)
		return ERR_NONE;
	s->ends_us = now_us() + life - MIN(MARGIN_US, life / MARGIN_PART);
	timer_set(&s->timer, now_us() + life / 4 * 3);
	return ERR_NONE;
}

static void fetch_failed(struct aws_source *s, struct op *op)
{
	s->failed_us = now_us();
	memcpy(s->failure, op->failure.text, sizeof(s->failure));
	if (!s->has_keys)
		return; /* who asks next tries again */
	timer_set(&s->timer, now_us() + RETRY_US);
	event_send_failure(s->event, EVENT_WARNING, NULL, op, "renewing the keys of S3");
}

static void fetch_task(void *arg)
{
	struct aws_source *s = arg;
	AUTO_ARENA(arena, FETCH_MEMORY);
	struct op op;
	struct aws_fetched fetched;
	op_init(&op, &arena, s->event, now_us() + s->settings.timeout_us);
	op.doing = STR("fetching keys of S3");
	enum err e = aws_fetch(&op, s, &fetched);
	if (e == ERR_NONE && !s->is_closed)
		e = fetch_succeeded(&op, s, &fetched);
	if (e != ERR_NONE && !s->is_closed)
		fetch_failed(s, &op);
	s->fetch_count++;
	s->fetching = (struct task_handle){ 0 };
	wait_queue_wake_all(&s->fetched);
	source_unref(s);
}

static void fetch_start(struct aws_source *s)
{
	if (s->fetching.task || s->is_closed)
		return;
	s->refs++;
	s->fetching = task_start("aws keys", fetch_task, s);
}

static void on_timer(void *arg)
{
	fetch_start(arg);
}

/* ---- asking ---- */

static bool has_good_keys(const struct aws_source *s)
{
	return s->has_keys && now_us() < s->ends_us;
}

enum err aws_source_keys(struct op *op, struct aws_source *s, struct aws_keys *out)
{
	while (!has_good_keys(s)) {
		if (s->kind == AWS_FIXED || s->is_closed)
			return op_fail(op, ERR_UNAVAILABLE, "no keys for S3");
		if (!s->fetching.task && s->failed_us > 0 && now_us() - s->failed_us < PAUSE_US)
			return op_fail(op, ERR_UNAVAILABLE, "no keys for S3: %s", s->failure);
		fetch_start(s);
		uint64_t before = s->fetch_count;
		while (s->fetch_count == before && !s->is_closed)
			TRY(wait_queue_wait(op, &s->fetched));
	}
	*out = s->keys;
	out->access_key = str_dup(op->arena, s->keys.access_key);
	out->secret = str_dup(op->arena, s->keys.secret);
	out->token = str_dup(op->arena, s->keys.token);
	return ERR_NONE;
}

bool aws_source_refuse(struct aws_source *s, uint64_t generation)
{
	if (s->kind == AWS_FIXED)
		return false;
	if (s->keys.generation != generation)
		return true;
	if (s->has_keys && now_us() - s->fetched_us < DOUBT_US)
		return false;
	s->has_keys = false;
	return true;
}
