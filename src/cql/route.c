/* SPDX-License-Identifier: Apache-2.0 */
/* Which node gets the next attempt: those that answer at all, replicas of the row before others, those that
 * answer fast before slow ones (cassandra_latency_aware_routing), then who has least in flight. Nodes of other
 * data centres never: their "local quorum" would be another one. And waiting for a node, as long as one may
 * come. */
#include "cql/request_private.h"

bool run_is_prepared(const struct run *r, const struct cql_host *h)
{
	for (size_t i = 0; i < r->rq->count; i++)
		if (!cql_is_prepared(h, r->rq->items[i].statement))
			return false;
	return true;
}

static bool was_tried(const struct run *r, const struct cql_host *h)
{
	for (size_t i = 0; i < r->tried_count; i++)
		if (r->tried[i] == h)
			return true;
	return false;
}

static bool is_replica(const struct cql_ring_entry *e, unsigned count, const struct cql_host *h)
{
	for (unsigned i = 0; e && i < count; i++)
		if (e->replicas[i] == h->number)
			return true;
	return false;
}

/* The partition key is known once a node has prepared the statement. */
static const struct cql_ring_entry *find_replicas(const struct run *r)
{
	const struct cql_request *rq = r->rq;
	if (rq->count == 0)
		return NULL;
	const struct cql_bound *b = &rq->items[0];
	const struct cql_statement *s = b->statement;
	if (!s->is_known || s->key_count == 0 || s->value_count != b->count)
		return NULL;
	AUTO_BUF(key, 0);
	return cql_ring_find(&r->client->ring,
		cql_token(cql_routing_key(&key, b->values, s->key, s->key_count)));
}

/* Lower is better: those that stand still (frozen, or cut off without a word) last; those that know the
 * statements before those that have to learn them first; replicas before others, fast ones before slow ones,
 * then who has least to do. */
static size_t cost_of(const struct run *r, const struct cql_host *h, bool holds_it)
{
	bool is_slow = r->client->settings.is_latency_aware && cql_host_is_slow(h);
	size_t tier = (cql_host_is_silent(h) ? 8U : 0U) + (run_is_prepared(r, h) ? 0U : 4U) +
		      (holds_it ? 0U : 2U) + is_slow;
	return tier * CQL_IN_FLIGHT_MAX * 2 + h->connection->in_flight;
}

struct cql_host *run_choose(struct run *r, bool *out_full)
{
	struct cql_client *c = r->client;
	const struct cql_ring_entry *entry = find_replicas(r);
	struct cql_host *best = NULL;
	size_t best_cost = SIZE_MAX;
	*out_full = false;
	c->turn++;
	for (size_t i = 0; i < c->host_count; i++) {
		struct cql_host *h = c->hosts[(i + c->turn) % c->host_count];
		if (!cql_host_is_up(h) || was_tried(r, h))
			continue;
		/* It may get a first attempt, if there is no other; a second one is for nodes that answer. */
		if (r->tried_count > 0 && cql_host_is_silent(h))
			continue;
		if (h->connection->in_flight >= CQL_IN_FLIGHT_MAX) {
			*out_full = true;
			continue;
		}
		size_t cost = cost_of(r, h, is_replica(entry, c->ring.replica_count, h));
		if (cost < best_cost) {
			best = h;
			best_cost = cost;
		}
	}
	return best;
}

enum err run_wait(struct run *r, struct wait_queue *q, int64_t until_us)
{
	int64_t deadline_us = r->op->deadline_us;
	r->op->deadline_us = MIN(deadline_us, until_us);
	enum err e = wait_queue_wait(r->op, q);
	r->op->deadline_us = deadline_us;
	return e;
}

static enum err wait_for_room(struct run *r)
{
	struct cql_client *c = r->client;
	r->is_refused = c->waiting >= CQL_WAITING_MAX;
	if (r->is_refused)
		return op_fail(r->op, ERR_UNAVAILABLE, "too many requests wait for Cassandra (%zu)",
			c->waiting);
	c->waiting++;
	enum err e = run_wait(r, &c->room, r->until_us);
	c->waiting--;
	return e;
}

static bool may_come_up(const struct cql_client *c)
{
	for (size_t i = 0; i < c->host_count; i++)
		if (c->hosts[i]->is_connecting && !c->hosts[i]->is_gone)
			return true;
	return c->is_searching;
}

enum err run_no_host(struct run *r)
{
	struct cql_client *c = r->client;
	size_t local = 0;
	if (r->tried_count > 0)
		return op_fail(r->op, ERR_UNAVAILABLE, "%s", r->last_text);
	if (c->is_closing)
		return op_fail(r->op, ERR_UNAVAILABLE, "the client of Cassandra is being closed");
	for (size_t i = 0; i < c->host_count; i++)
		local += c->hosts[i]->is_local;
	if (local == 0 && c->host_count > 0)
		return op_fail(r->op, ERR_UNAVAILABLE,
			"there is no Cassandra node in the data centre \"%s\" "
			"(cassandra_datacenter); others are in \"%s\"",
			c->datacenter, c->hosts[0]->datacenter ? c->hosts[0]->datacenter : "");
	return op_fail(r->op, ERR_UNAVAILABLE, "no Cassandra node can be reached%s%s",
		c->last_error ? ": " : "", c->last_error ? c->last_error : "");
}

enum err run_next_host(struct run *r, struct cql_host **out)
{
	struct cql_client *c = r->client;
	int64_t patience_us = now_us() + c->settings.dial.connect_us;
	bool is_full;
	while (!c->is_closing) {
		*out = run_choose(r, &is_full);
		if (*out)
			return ERR_NONE;
		if (is_full && r->live == 0) {
			TRY(wait_for_room(r));
			continue;
		}
		if (r->tried_count > 0 || !may_come_up(c))
			break;
		enum err e = run_wait(r, &c->hosts_changed, MIN(patience_us, r->until_us));
		if (e == ERR_TIMEOUT)
			break;
		TRY(e);
	}
	return run_no_host(r);
}
