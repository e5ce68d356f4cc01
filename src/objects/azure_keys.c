/* SPDX-License-Identifier: Apache-2.0 */
/* objects/azure_keys.c - user-delegation keys: fetched from Entra and the blob service, kept, replaced in time.
 *
 *      none --get--> fetching --ok--> good --75 % of its life--> good and fetching beside --ok--> good
 *                        |                                            | failed: tried again later
 *                        +--failed: all who wait hear it,             +--its end comes: none
 *                           and who comes soon after
 *
 * Invariants: at most one fetch at a time, in a task of its own: it outlives who asked. A good key is used to its
 * end, whatever happens to its successor. Nobody waits while there is a good one. */
#include "objects/azure_private.h"

#include "event/event.h"
#include "objects/azure_text.h"

#define KEY_LIFE_US (INT64_C(12) * 3600 * US_PER_SEC)
#define KEY_SKEW_US                                                                                \
	(INT64_C(300) * US_PER_SEC) /* a start in the service's future would be refused */
#define KEY_MARGIN_US    (INT64_C(30) * US_PER_SEC) /* of life that a request may need */
#define KEY_RETRY_US     (INT64_C(60) * US_PER_SEC)
#define KEY_FETCH_MAX_US (INT64_C(60) * US_PER_SEC)
#define PAUSE_US         US_PER_SEC /* after a failure: nobody asks sooner */
#define ANSWER_MAX       ((size_t)64 << 10)

/* Whose request needs a key first is chance: nothing of users, and nothing that the administrator adds for the
 * store, goes to Entra. */
enum err azure_keys_open(struct op *op, struct azure_keys *k, const struct azure_settings *settings,
	const struct http_settings *http)
{
	struct http_settings own = *http;
	own.redirects_max = 0;
	own.add_headers = NULL;
	own.add_header_count = 0;
	own.sends_trace_headers = false;
	own.reason_max = 0;
	own.breaker_failures = 0; /* PAUSE_US */
	*k = (struct azure_keys){ .settings = settings };
	TRY(http_client_open_with(op, &own, "azure keys", &k->http));
	k->event = event_new(op->event, "azure");
	arena_init(&k->arena, 0);
	return ERR_NONE;
}

void azure_keys_done(struct azure_keys *k)
{
	task_cancel(k->fetcher);
	while (task_is_alive(k->fetcher))
		task_yield();
	http_client_close(k->http);
	event_unref(k->event);
	arena_done(&k->arena);
}

/* ---- fetching ---- */

static enum err fetch_token(struct op *op, struct azure_keys *k, struct str *out)
{
	const struct azure_settings *s = k->settings;
	AUTO_BUF(form, 0);
	buf_put(&form, STR("grant_type=client_credentials&scope="));
	http_percent_encode(&form, STR("https://storage.azure.com/.default"), STR(""));
	buf_put(&form, STR("&client_id="));
	http_percent_encode(&form, s->client_id, STR(""));
	buf_put(&form, STR("&client_secret="));
	http_percent_encode(&form, s->client_secret, STR(""));
	AUTO_BUF(url, 0);
	buf_putf(&url, "%.*s/", STRF(s->login_url));
	http_percent_encode(&url, s->tenant, STR(""));
	buf_put(&url, STR("/oauth2/v2.0/token"));
	const struct http_header headers[] = {
		{ STR("Content-Type"), STR("application/x-www-form-urlencoded") },
	};
	struct str body = buf_str(&form);
	struct http_answer answer;
	enum err e = http_request(op, k->http,
		&(struct http_request){ .method = STR("POST"),
			.url = buf_str(&url),
			.headers = headers,
			.header_count = ARRAY_COUNT(headers),
			.parts = &body,
			.part_count = 1,
			.answer_max = ANSWER_MAX,
			.is_repeatable = true },
		&answer);
	mem_wipe(form.p, form.n);
	TRY(e);
	if (answer.status != 200) {
		struct str words = azure_token_error(op, answer.body);
		return op_fail(op, ERR_UNAVAILABLE,
			"Entra gives no token to client %.*s of tenant %.*s: status %u %.*s",
			STRF(s->client_id), STRF(s->tenant), answer.status, STRF(words));
	}
	return azure_token_read(op, answer.body, out);
}

static enum err fetch_delegation(
	struct op *op, struct azure_keys *k, struct str token, struct azure_delegation *out)
{
	int64_t now = now_wall_us();
	AUTO_BUF(question, 0);
	azure_delegation_ask(&question, remote_iso_time(op->arena, now - KEY_SKEW_US),
		remote_iso_time(op->arena, now + KEY_LIFE_US));
	struct str body = buf_str(&question);
	const struct http_header headers[] = {
		{ STR("Authorization"), str_printf(op->arena, "Bearer %.*s", STRF(token)) },
		{ STR("Content-Type"), STR("application/xml") },
		{ STR("x-ms-version"), STR(AZURE_VERSION) },
	};
	struct http_answer answer;
	TRY(http_request(op, k->http,
		&(struct http_request){ .method = STR("POST"),
			.url = str_printf(op->arena, "%.*s/?restype=service&comp=userdelegationkey",
				STRF(k->settings->endpoint)),
			.headers = headers,
			.header_count = ARRAY_COUNT(headers),
			.parts = &body,
			.part_count = 1,
			.answer_max = ANSWER_MAX,
			.is_repeatable = true },
		&answer));
	if (answer.status != 200)
		return op_fail(op, ERR_UNAVAILABLE,
			"Azure gives no user-delegation key for account %.*s: status %u %.*s; the "
			"client needs a role like Storage Blob Data Contributor",
			STRF(k->settings->account), answer.status,
			STRF(azure_error_code(op, &answer)));
	return azure_delegation_read(op, answer.body, out);
}

/* The copy outlives the op that fetched it. */
static void keep(struct azure_keys *k, const struct azure_delegation *d)
{
	arena_reset(&k->arena);
	struct azure_delegation *c = &k->current;
	*c = (struct azure_delegation){
		.oid = str_dup(&k->arena, d->oid),
		.tid = str_dup(&k->arena, d->tid),
		.start = str_dup(&k->arena, d->start),
		.expiry = str_dup(&k->arena, d->expiry),
		.service = str_dup(&k->arena, d->service),
		.version = str_dup(&k->arena, d->version),
		.key = str_dup(&k->arena, d->key),
		.start_wall_us = d->start_wall_us,
		.expiry_wall_us = d->expiry_wall_us,
	};
	int64_t now = now_wall_us();
	k->refresh_wall_us = now + (d->expiry_wall_us - now) / 4 * 3;
	k->fetched_wall_us = now;
	k->has_current = true;
}

/* Is the current key good for a request that starts now? A key of a short life may be used to its last tenth. */
static bool is_good(const struct azure_keys *k)
{
	if (!k->has_current)
		return false;
	int64_t life = k->current.expiry_wall_us - k->current.start_wall_us;
	return now_wall_us() < k->current.expiry_wall_us - MIN(KEY_MARGIN_US, life / 10);
}

/* WAITS. */
static enum err fetch(struct op *op, struct azure_keys *k)
{
	struct azure_delegation d;
	struct str token;
	TRY(fetch_token(op, k, &token));
	TRY(fetch_delegation(op, k, token, &d));
	if (d.expiry_wall_us <= now_wall_us())
		return op_fail(op, ERR_UNAVAILABLE,
			"Azure gave a user-delegation key that has expired: is the clock right?");
	keep(k, &d);
	if (!is_good(k))
		return op_fail(op, ERR_UNAVAILABLE,
			"Azure gives user-delegation keys that expire at once");
	return ERR_NONE;
}

static void fetch_failed(struct azure_keys *k, struct op *op)
{
	k->failed_us = now_us();
	memcpy(k->failure, op->failure.text, sizeof(k->failure));
	if (!is_good(k))
		return; /* those who wait tell it */
	k->refresh_wall_us = now_wall_us() + KEY_RETRY_US;
	event_send_failure(k->event, EVENT_WARNING, "azure_key_refresh_failed", op,
		"fetching a user-delegation key; the old one is used to its end");
}

static void fetch_task(void *arg)
{
	struct azure_keys *k = arg;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, k->event, now_us() + KEY_FETCH_MAX_US);
	op.doing = STR("fetching a user-delegation key of Azure");
	k->failed_us = 0;
	if (fetch(&op, k) != ERR_NONE)
		fetch_failed(k, &op);
	k->fetches++;
	wait_queue_wake_all(&k->waiters);
}

static void fetch_start(struct azure_keys *k)
{
	if (!task_is_alive(k->fetcher))
		k->fetcher = task_start("azure key", fetch_task, k);
}

/* ---- asking ---- */

enum err azure_keys_get(struct op *op, struct azure_keys *k, const struct azure_delegation **out)
{
	while (!is_good(k)) {
		/* Whatever Entra answers: no object is damaged, and no mail is at fault. */
		if (k->failed_us > 0 && now_us() - k->failed_us < PAUSE_US)
			return op_fail(op, ERR_UNAVAILABLE, "%s", k->failure);
		fetch_start(k);
		for (uint64_t seen = k->fetches; k->fetches == seen;)
			TRY(wait_queue_wait(op, &k->waiters));
	}
	if (now_wall_us() >= k->refresh_wall_us)
		fetch_start(k);
	*out = &k->current;
	return ERR_NONE;
}

bool azure_keys_refuse(struct azure_keys *k, uint64_t used_fetch)
{
	if (k->fetches != used_fetch)
		return true;
	if (now_wall_us() - k->fetched_wall_us < KEY_RETRY_US)
		return false;
	k->has_current = false;
	return true;
}
