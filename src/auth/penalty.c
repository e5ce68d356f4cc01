/* SPDX-License-Identifier: Apache-2.0 */
/* What a wrong password costs the network it came from. Spec: core §6.1, §6.3, §6.7 ("Auth penalty").
 *
 * A refusal makes the network's next questions wait 2, 4, 8, then 15 seconds; each success takes one step
 * back, PENALTY_LIFE_US without a refusal all of them. Local clients have no network. The same wrong
 * password again counts once: a mail program that was not told of a new one is no guesser.
 * Refusals themselves are told at the ticks of one clock, so that their time tells nothing.
 *
 * Invariants: 1. never more than NETWORKS_MAX entries: the one longest unused makes room, unless somebody
 *                waits for it. 2. a bounded number of questions waits. */
#include "auth/auth_private.h"
#include "base/number.h"
#include "base/random.h"
#include "crypto/crypto.h"
#include "task/task.h"

#define NETWORKS_MAX    50000
#define WAITING_MAX     20  /* of one network */
#define DELAYED_MAX     500 /* refusals waiting for their tick */
#define PENALTY_LIFE_US (15 * 60 * US_PER_SEC)
#define NETWORK_BYTES   7 /* family, and an IPv4 address or an IPv6 /48 */
#define STEPS_MAX       4
#define GUESSES_KEPT    8

struct network_state {
	struct list age; /* longest unused first */
	char key[NETWORK_BYTES];
	unsigned steps, waiting;
	int64_t used_us;
	uint64_t guesses[GUESSES_KEPT]; /* the last ones that were wrong */
	unsigned next_guess;
};
struct auth_penalties {
	uint8_t secret[32];
	struct map by_network;
	struct list ages;
	unsigned delayed;
	bool is_hurrying; /* at a stop: nobody waits any more */
	struct wait_queue sleepers;
};

/* WAITS. As task_sleep(), unless somebody hurries. */
static enum err wait_for(struct op *op, struct auth_penalties *p, int64_t us)
{
	struct op nap = *op;
	nap.deadline_us = MIN(op->deadline_us, now_us() + us);
	enum err e = ERR_NONE;
	while (!p->is_hurrying && e == ERR_NONE)
		e = wait_queue_wait(&nap, &p->sleepers);
	if (e == ERR_TIMEOUT && now_us() < op->deadline_us)
		return ERR_NONE;
	op->failure = nap.failure;
	return e;
}

void auth_penalties_hurry(struct auth_penalties *p)
{
	p->is_hurrying = true;
	wait_queue_wake_all(&p->sleepers);
}

struct auth_penalties *auth_penalties_new(void)
{
	struct auth_penalties *p = MEM_NEW(struct auth_penalties);
	random_bytes(p->secret, sizeof(p->secret));
	map_init(&p->by_network);
	list_init(&p->ages);
	return p;
}

static struct str key_of(const struct network_state *n)
{
	return (struct str){ n->key, sizeof(n->key) };
}

static void forget(struct auth_penalties *p, struct network_state *n)
{
	map_remove(&p->by_network, key_of(n));
	list_remove(&n->age);
	mem_free(n);
}

void auth_penalties_free(struct auth_penalties *p)
{
	struct network_state *n, *next;
	if (!p)
		return;
	LIST_FOR_EACH(n, next, &p->ages, struct network_state, age)
	{
		forget(p, n);
	}
	map_done(&p->by_network);
	mem_free(p);
}

static bool has_network(const struct address *a)
{
	return a->family != 0 && !address_is_loopback(a);
}

static void make_key(const struct address *a, char out[NETWORK_BYTES])
{
	memset(out, 0, NETWORK_BYTES);
	out[0] = a->family == AF_INET6 ? '6' : '4';
	memcpy(out + 1, a->ip, a->family == AF_INET6 ? 6 : 4);
}

static bool is_old(const struct network_state *n)
{
	return n->waiting == 0 && now_us() - n->used_us > PENALTY_LIFE_US;
}

static void make_room(struct auth_penalties *p)
{
	struct network_state *n, *next;
	LIST_FOR_EACH(n, next, &p->ages, struct network_state, age)
	{
		if (p->by_network.count < NETWORKS_MAX && !is_old(n))
			return;
		if (n->waiting == 0)
			forget(p, n);
	}
}

static struct network_state *find(const struct auth_penalties *p, const struct address *remote)
{
	char key[NETWORK_BYTES];
	make_key(remote, key);
	struct network_state *n = map_get(&p->by_network, (struct str){ key, sizeof(key) });
	return n && !is_old(n) ? n : NULL;
}

static int64_t seconds(unsigned steps)
{
	static const int64_t delays[STEPS_MAX + 1] = { 0, 2, 4, 8, 15 };
	return delays[MIN(steps, STEPS_MAX)];
}

int64_t auth_penalty_of(const struct auth_penalties *p, const struct address *remote)
{
	const struct network_state *n = has_network(remote) ? find(p, remote) : NULL;
	return n ? seconds(n->steps) : 0;
}

enum err auth_penalty_wait(struct op *op, struct auth_penalties *p, const struct address *remote)
{
	struct network_state *n = has_network(remote) ? find(p, remote) : NULL;
	if (!n || n->steps == 0)
		return ERR_NONE;
	if (n->waiting >= WAITING_MAX)
		return op_fail(op, ERR_UNAVAILABLE,
			"%u logins of one network wait already for its refusals", n->waiting);
	n->waiting++;
	enum err e = wait_for(op, p, seconds(n->steps) * US_PER_SEC);
	n->waiting--;
	return e;
}

uint64_t auth_penalty_guess(const struct auth_penalties *p, struct str user, struct str password)
{
	uint8_t mac[CRYPTO_SHA256_BYTES];
	AUTO_BUF(text, 0);
	if (password.n == 0)
		return 0;
	number_put_counted(&text, user);
	number_put_counted(&text, password);
	crypto_hmac_sha256(
		(struct str){ (const char *)p->secret, sizeof(p->secret) }, buf_str(&text), mac);
	mem_wipe(text.p, text.n);
	return get_le64(mac) | 1; /* never the 0 of "unknown" */
}

/* True if it was wrong before; else it is kept. */
static bool is_repeated(struct network_state *n, uint64_t guess)
{
	if (guess == 0)
		return false;
	for (size_t i = 0; i < GUESSES_KEPT; i++) {
		if (n->guesses[i] == guess)
			return true;
	}
	n->guesses[n->next_guess++ % GUESSES_KEPT] = guess;
	return false;
}

void auth_penalty_count(
	struct auth_penalties *p, const struct address *remote, bool is_refused, uint64_t guess)
{
	if (!has_network(remote))
		return;
	struct network_state *n = find(p, remote);
	if (!n && !is_refused)
		return;
	if (!n) {
		make_room(p);
		n = MEM_NEW(struct network_state);
		make_key(remote, n->key);
		/* An old one of this network may still be there. */
		struct network_state *old = map_get(&p->by_network, key_of(n));
		if (old)
			forget(p, old);
		map_set(&p->by_network, key_of(n), n);
		list_add_last(&p->ages, &n->age);
	}
	bool is_new = is_refused && !is_repeated(n, guess);
	if (is_new && n->steps < STEPS_MAX)
		n->steps++;
	else if (!is_refused && n->steps > 0)
		n->steps--;
	n->used_us = now_us();
	list_remove(&n->age);
	list_add_last(&p->ages, &n->age);
}

void auth_penalty_delay_refusal(struct op *op, struct auth_penalties *p, int64_t interval_us)
{
	struct op_failure why = op->failure;
	if (interval_us <= 0 || p->delayed >= DELAYED_MAX)
		return;
	p->delayed++;
	/* Not the tick that comes at once: guessing is never quick. */
	int64_t left_us = interval_us - now_us() % interval_us;
	if (left_us < interval_us / 4)
		left_us += interval_us;
	/* At the deadline the caller has left anyway. */
	(void)wait_for(op, p, left_us);
	p->delayed--;
	op->failure = why;
}
