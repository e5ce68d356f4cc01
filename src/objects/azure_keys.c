/* SPDX-License-Identifier: Apache-2.0 */
/* objects/azure_keys.c - user-delegation keys: fetched from Entra and the blob service, kept, replaced in time.
 *
 *      none --get--> fetching --ok--> good --75 % of its life--> good and fetching beside --ok--> good
 *                        |                                            | failed: tried again later
 *                        +--failed: all who wait hear it              +--its end comes: none
 *
 * Invariants: at most one fetch at a time. A good key is used to its end, whatever happens to its successor.
 * Nobody waits while there is a good one. */
#include "objects/azure_private.h"

#include "event/event.h"
#include "objects/azure_text.h"

#define KEY_LIFE_US (INT64_C(12) * 3600 * US_PER_SEC)
#define KEY_SKEW_US                                                                                \
	(INT64_C(300) * US_PER_SEC) /* a start in the service's future would be refused */
#define KEY_MARGIN_US    (INT64_C(30) * US_PER_SEC) /* of life that a request may need */
#define KEY_RETRY_US     (INT64_C(60) * US_PER_SEC)
#define KEY_FETCH_MAX_US (INT64_C(60) * US_PER_SEC)
#define ANSWER_MAX       ((size_t)64 << 10)

void azure_keys_init(struct azure_keys *k, const struct azure_settings *settings,
	struct http_client *http, struct event *event)
{
	*k = (struct azure_keys){ .settings = settings, .http = http, .event = event };
	arena_init(&k->arena, 0);
}

void azure_keys_done(struct azure_keys *k)
{
	task_cancel(k->refresher);
	while (task_is_alive(k->refresher))
		task_yield();
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

/* WAITS. One at a time; wakes whoever waits for its end. */
static enum err fetch(struct op *op, struct azure_keys *k)
{
	struct azure_delegation d;
	struct str token;
	ASSERT(!k->is_fetching);
	k->is_fetching = true;
	enum err e = fetch_token(op, k, &token);
	if (e == ERR_NONE)
		e = fetch_delegation(op, k, token, &d);
	if (e == ERR_NONE && d.expiry_wall_us <= now_wall_us())
		e = op_fail(op, ERR_UNAVAILABLE,
			"Azure gave a user-delegation key that has expired: is the clock right?");
	if (e == ERR_NONE)
		keep(k, &d);
	k->failure = op->failure;
	k->failure.class = e;
	k->fetches++;
	k->is_fetching = false;
	wait_queue_wake_all(&k->waiters);
	return e;
}

/* ---- refreshing beside the use ---- */

static void refresh_task(void *arg)
{
	struct azure_keys *k = arg;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, k->event, now_us() + KEY_FETCH_MAX_US);
	op.doing = STR("fetching a user-delegation key of Azure");
	enum err e = k->is_fetching ? ERR_NONE : fetch(&op, k);
	if (e == ERR_NONE || e == ERR_CANCELLED)
		return;
	k->refresh_wall_us = now_wall_us() + KEY_RETRY_US;
	event_send_failure(k->event, EVENT_WARNING, "azure_key_refresh_failed", &op,
		"fetching a user-delegation key; the old one is used to its end");
}

/* Is the current key good for a request that starts now? A key of a short life may be used to its last tenth. */
static bool is_good(const struct azure_keys *k, int64_t wall_us)
{
	if (!k->has_current)
		return false;
	int64_t life = k->current.expiry_wall_us - k->current.start_wall_us;
	return wall_us < k->current.expiry_wall_us - MIN(KEY_MARGIN_US, life / 10);
}

enum err azure_keys_get(struct op *op, struct azure_keys *k, const struct azure_delegation **out)
{
	int64_t now = now_wall_us();
	while (!is_good(k, now)) {
		if (k->is_fetching) {
			uint64_t seen = k->fetches;
			TRY(wait_queue_wait(op, &k->waiters));
			now = now_wall_us();
			/* A fetch that was only cancelled says nothing about the next one. */
			if (k->fetches != seen && k->failure.class != ERR_NONE &&
				k->failure.class != ERR_CANCELLED && !is_good(k, now)) {
				op->failure = k->failure;
				return k->failure.class;
			}
			continue;
		}
		TRY(fetch(op, k));
		now = now_wall_us();
		if (!is_good(k, now))
			return op_fail(op, ERR_UNAVAILABLE,
				"Azure gives user-delegation keys that expire at once");
	}
	if (now >= k->refresh_wall_us && !k->is_fetching && !task_is_alive(k->refresher))
		k->refresher = task_start("azure key", refresh_task, k);
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
