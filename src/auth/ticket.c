/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing tickets and opening each once.
 *
 * Plain text: expiry (8 bytes), then service, user, remote address, and keys and values of fields,
 * each with its length before it. The seal's own random nonce names the ticket: the gate remembers the
 * nonces it has seen until they would have expired. */
#include "auth/ticket.h"

#include "base/list.h"
#include "base/map.h"
#include "base/number.h"
#include "crypto/crypto.h"

#define NONCE_BYTES      12
#define TICKET_BYTES_MAX 32768
#define FIELDS_MAX       256

/* The seal's context, which the receiver must know: a kind of ticket each. */
static struct str context_of(enum ticket_kind kind)
{
	switch (kind) {
	case TICKET_LOGIN:
		return STR("pombal ticket login 1");
	case TICKET_RECIPIENT:
		return STR("pombal ticket recipient 1");
	}
	UNREACHABLE();
}

struct seen {
	struct list age;
	int64_t expires_wall_us;
	char nonce[NONCE_BYTES];
};
struct ticket_gate {
	uint8_t key[TICKET_KEY_BYTES];
	struct map seen;  /* nonce -> struct seen */
	struct list ages; /* oldest first */
};

enum err ticket_seal(
	struct op *op, const uint8_t key[TICKET_KEY_BYTES], const struct ticket *t, struct str *out)
{
	uint8_t expiry[8];
	AUTO_BUF(plain, 0);
	AUTO_BUF(sealed, 0);
	AUTO_BUF(remote, 0);
	put_le64(expiry, (uint64_t)t->expires_wall_us);
	buf_put(&plain, (struct str){ (const char *)expiry, sizeof(expiry) });
	address_put(&remote, &t->remote, true);
	number_put_counted(&plain, t->service);
	number_put_counted(&plain, t->user);
	number_put_counted(&plain, buf_str(&remote));
	for (size_t i = 0; i < t->field_count; i++) {
		number_put_counted(&plain, t->fields[i].key);
		number_put_counted(&plain, t->fields[i].value);
	}
	if (plain.n > TICKET_BYTES_MAX || t->field_count > FIELDS_MAX)
		return op_fail(op, ERR_LIMIT, "user %.*s has %zu bytes of fields in %zu: too much",
			STRF(t->user), plain.n, t->field_count);
	crypto_seal(key, context_of(t->kind), buf_str(&plain), &sealed);
	*out = buf_dup(op->arena, &sealed);
	return ERR_NONE;
}

struct ticket_gate *ticket_gate_new(const uint8_t key[TICKET_KEY_BYTES])
{
	struct ticket_gate *g = MEM_NEW(struct ticket_gate);
	memcpy(g->key, key, sizeof(g->key));
	map_init(&g->seen);
	list_init(&g->ages);
	return g;
}

static void forget(struct ticket_gate *g, struct seen *s)
{
	map_remove(&g->seen, (struct str){ s->nonce, sizeof(s->nonce) });
	list_remove(&s->age);
	mem_free(s);
}

void ticket_gate_free(struct ticket_gate *g)
{
	struct seen *s, *next;
	if (!g)
		return;
	LIST_FOR_EACH(s, next, &g->ages, struct seen, age)
	{
		forget(g, s);
	}
	map_done(&g->seen);
	mem_wipe(g->key, sizeof(g->key));
	mem_free(g);
}

static bool decode(struct arena *a, struct str plain, struct ticket *out)
{
	struct ticket t = { .kind = out->kind };
	struct str expiry = str_take(&plain, 8), remote;
	if (expiry.n != 8 || !number_cut_counted(&plain, &t.service) ||
		!number_cut_counted(&plain, &t.user) || !number_cut_counted(&plain, &remote))
		return false;
	t.expires_wall_us = (int64_t)get_le64(expiry.p);
	if (remote.n > 0 && !address_parse(remote, &t.remote))
		return false;
	t.fields = ARENA_NEW_ARRAY(a, struct auth_field, FIELDS_MAX);
	while (plain.n > 0) {
		struct auth_field *f = &t.fields[t.field_count];
		if (t.field_count == FIELDS_MAX || !number_cut_counted(&plain, &f->key) ||
			!number_cut_counted(&plain, &f->value))
			return false;
		t.field_count++;
	}
	*out = t;
	return true;
}

/* True if it was not there yet; expired ones make room. */
static bool remember(struct ticket_gate *g, struct str nonce, int64_t expires_wall_us)
{
	struct seen *s, *next;
	int64_t now = now_wall_us();
	LIST_FOR_EACH(s, next, &g->ages, struct seen, age)
	{
		/* Twice the life: clocks of two processes of one host differ by nothing, but may step. */
		if (s->expires_wall_us + TICKET_LIFE_US > now)
			break;
		forget(g, s);
	}
	if (map_get(&g->seen, nonce))
		return false;
	s = MEM_NEW(struct seen);
	s->expires_wall_us = expires_wall_us;
	memcpy(s->nonce, nonce.p, sizeof(s->nonce));
	map_set(&g->seen, (struct str){ s->nonce, sizeof(s->nonce) }, s);
	list_add_last(&g->ages, &s->age);
	return true;
}

enum err ticket_redeem(struct op *op, struct ticket_gate *g, struct str sealed,
	enum ticket_kind kind, struct str service, struct ticket *out)
{
	struct ticket t = { .kind = kind };
	AUTO_BUF(plain, 0);
	if (sealed.n < CRYPTO_SEAL_BYTES || !crypto_open(g->key, context_of(kind), sealed, &plain))
		return op_fail(op, ERR_DENIED, "a ticket that auth did not seal for this");
	if (!decode(op->arena, buf_dup(op->arena, &plain), &t))
		return op_fail(op, ERR_DENIED, "a ticket of another version");
	if (!str_eq(t.service, service))
		return op_fail(op, ERR_DENIED, "a ticket for %.*s, not for %.*s", STRF(t.service),
			STRF(service));
	if (now_wall_us() > t.expires_wall_us)
		return op_fail(op, ERR_DENIED, "the ticket of user %.*s has expired", STRF(t.user));
	if (!remember(g, str_slice(sealed, 0, NONCE_BYTES), t.expires_wall_us))
		return op_fail(
			op, ERR_DENIED, "the ticket of user %.*s was used before", STRF(t.user));
	*out = t;
	return ERR_NONE;
}
