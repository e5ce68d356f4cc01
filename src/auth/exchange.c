/* SPDX-License-Identifier: Apache-2.0 */
/* SASL exchanges that wait for their client's next message.
 *
 * Invariants: 1. an exchange is in the map and in the list of ages, or somebody is stepping it.
 *             2. never more than EXCHANGES_MAX wait: the oldest makes room.
 *             3. none waits longer than EXCHANGE_LIFE_US.
 * An exchange belongs to the process that began it: its id is random, and the peer's pid must fit. */
#include "auth/auth_private.h"
#include "auth/mechanism_private.h"
#include "base/codec.h"
#include "base/list.h"
#include "base/random.h"
#include "ipc/ipc.h"
#include "task/task.h"

#define EXCHANGES_MAX      10000
#define EXCHANGE_LIFE_US   (60 * US_PER_SEC)
#define EXCHANGE_BYTES_MAX (64 << 10)
#define ID_BYTES           16

struct exchange {
	struct list age; /* oldest first */
	char id[2 * ID_BYTES + 1];
	int32_t pid;
	int64_t expires_us;
	struct arena arena;
	struct auth_dialogue dialogue;
};
struct auth_exchanges {
	struct map by_id; /* id -> struct exchange */
	struct list ages;
	struct timer expiry;
};

static void exchange_free(struct exchange *x)
{
	arena_done(&x->arena);
	mem_free(x);
}

static struct str id_of(const struct exchange *x)
{
	return str_from(x->id);
}

/* Out of the table, to be stepped or freed. */
static void take(struct auth_exchanges *t, struct exchange *x)
{
	map_remove(&t->by_id, id_of(x));
	list_remove(&x->age);
}

static void expire(void *arg)
{
	struct auth_exchanges *t = arg;
	struct exchange *x, *next;
	int64_t now = now_us();
	LIST_FOR_EACH(x, next, &t->ages, struct exchange, age)
	{
		if (x->expires_us > now) {
			timer_set(&t->expiry, x->expires_us);
			return;
		}
		take(t, x);
		exchange_free(x);
	}
}

static void wait_in_table(struct auth_exchanges *t, struct exchange *x)
{
	if (t->by_id.count >= EXCHANGES_MAX) {
		struct exchange *oldest = LIST_FIRST(&t->ages, struct exchange, age);
		ASSERT(oldest);
		take(t, oldest);
		exchange_free(oldest);
	}
	x->expires_us = now_us() + EXCHANGE_LIFE_US;
	if (list_is_empty(&t->ages))
		timer_set(&t->expiry, x->expires_us);
	map_set(&t->by_id, id_of(x), x);
	list_add_last(&t->ages, &x->age);
}

struct auth_exchanges *auth_exchanges_new(void)
{
	struct auth_exchanges *t = MEM_NEW(struct auth_exchanges);
	map_init(&t->by_id);
	list_init(&t->ages);
	timer_init(&t->expiry, expire, t);
	return t;
}

void auth_exchanges_free(struct auth_exchanges *t)
{
	struct exchange *x, *next;
	if (!t)
		return;
	timer_cancel(&t->expiry);
	LIST_FOR_EACH(x, next, &t->ages, struct exchange, age)
	{
		take(t, x);
		exchange_free(x);
	}
	map_done(&t->by_id);
	mem_free(t);
}

size_t auth_exchanges_count(const struct auth_exchanges *t)
{
	return t->by_id.count;
}

static struct auth_request request_dup(struct arena *a, const struct auth_request *r)
{
	struct auth_request copy = *r;
	copy.user = copy.password = copy.authzid = STR("");
	copy.mechanism = str_dup(a, r->mechanism);
	copy.service = str_dup(a, r->service);
	copy.session_id = str_dup(a, r->session_id);
	copy.local_name = str_dup(a, r->local_name);
	copy.cert_user = str_dup(a, r->cert_user);
	copy.channel_binding = str_dup(a, r->channel_binding);
	return copy;
}

static struct exchange *exchange_new(struct auth *a, const struct ipc_peer *peer,
	const struct auth_request *request, const struct auth_mechanism *mechanism)
{
	struct exchange *x = MEM_NEW(struct exchange);
	uint8_t id[ID_BYTES];
	AUTO_BUF(hex, 0);
	random_bytes(id, sizeof(id));
	hex_encode(&hex, (struct str){ (const char *)id, sizeof(id) });
	memcpy(x->id, hex.p, 2 * ID_BYTES);
	x->pid = peer->pid;
	arena_init(&x->arena, 0);
	x->dialogue = (struct auth_dialogue){
		.auth = a,
		.mechanism = mechanism,
		.arena = &x->arena,
		.request = request_dup(&x->arena, request),
	};
	return x;
}

/* One message to the mechanism. The exchange, which is in no table now, goes back to it or ends. */
static enum err step(struct op *op, struct auth *a, struct exchange *x, struct str message,
	struct auth_turn *out)
{
	struct auth_dialogue *d = &x->dialogue;
	struct str data = STR("");
	d->request.event = op->event;
	d->result = (struct auth_result){ .reason = STR("") };
	enum err e = message.n > EXCHANGE_BYTES_MAX || x->arena.used_bytes > EXCHANGE_BYTES_MAX
			     ? auth_dialogue_malformed(op, d)
			     : d->mechanism->step(op, d, message, &data);
	out->request = d->request;
	out->request.user = str_dup(op->arena, d->request.user);
	out->request.mechanism = d->mechanism->name;
	out->request.service = str_dup(op->arena, d->request.service);
	out->request.session_id = str_dup(op->arena, d->request.session_id);
	out->request.local_name = str_dup(op->arena, d->request.local_name);
	out->guess = auth_penalty_guess(a->penalties, d->request.user, d->request.password);
	out->request.password = STR("");
	out->result = d->result;
	out->is_done = d->is_done;
	out->data = str_dup(op->arena, data);
	if (e != ERR_NONE || d->is_done) {
		exchange_free(x);
		return e;
	}
	out->id = str_dup(op->arena, id_of(x));
	wait_in_table(a->exchanges, x);
	return ERR_NONE;
}

enum err auth_exchange_begin(struct op *op, struct auth *a, const struct ipc_peer *peer,
	const struct auth_request *request, bool has_initial, struct str initial,
	struct auth_turn *out)
{
	const struct auth_mechanism *m = auth_mechanism_find(request->mechanism);
	*out = (struct auth_turn){ .request = *request, .data = STR("") };
	out->result.reason = STR("");
	if (!m || !auth_may_use_mechanism(a, request, m)) {
		out->result.refusal = AUTH_REFUSAL_MECHANISM;
		return op_fail(op, ERR_UNSUPPORTED, "mechanism %.*s is not offered",
			STRF(request->mechanism));
	}
	struct exchange *x = exchange_new(a, peer, request, m);
	if (has_initial)
		return step(op, a, x, initial.p ? initial : STR(""), out);
	if (m->flags & MECHANISM_SERVER_FIRST)
		return step(op, a, x, STR_NONE, out);
	out->id = str_dup(op->arena, id_of(x));
	wait_in_table(a->exchanges, x);
	return ERR_NONE;
}

static struct exchange *find(struct auth *a, const struct ipc_peer *peer, struct str id)
{
	struct exchange *x = map_get(&a->exchanges->by_id, id);
	return x && x->pid == peer->pid ? x : NULL;
}

enum err auth_exchange_respond(struct op *op, struct auth *a, const struct ipc_peer *peer,
	struct str id, struct str response, struct auth_turn *out)
{
	struct exchange *x = find(a, peer, id);
	*out = (struct auth_turn){ .data = STR("") };
	out->result.reason = STR("");
	if (!x) {
		out->result.refusal = AUTH_REFUSAL_TEMPORARY;
		return op_fail(op, ERR_UNAVAILABLE, "the exchange was forgotten");
	}
	take(a->exchanges, x);
	return step(op, a, x, response.p ? response : STR(""), out);
}

void auth_exchange_forget(struct auth *a, const struct ipc_peer *peer, struct str id)
{
	struct exchange *x = find(a, peer, id);
	if (!x)
		return;
	take(a->exchanges, x);
	exchange_free(x);
}
