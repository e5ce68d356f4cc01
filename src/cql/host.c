/* SPDX-License-Identifier: Apache-2.0 */
/* One node: its connection, made again with growing pauses, and the statements that it knows. */
#include "base/random.h"
#include "cql/cql_private.h"

#define PAUSE_FIRST_US (100 * US_PER_MS)
#define PAUSE_MAX_US   (5 * US_PER_SEC)
/* Latencies are smoothed over about this many answers; old ones say nothing. */
#define LATENCY_WEIGHT 16
#define LATENCY_OLD_US (10 * US_PER_SEC)
#define SLOW_FACTOR    2
/* A connection that lived shorter counts as a failure. */
#define LIVED_US (5 * US_PER_SEC)

struct cql_host *cql_host_add(struct cql_client *c, const struct address *address)
{
	struct cql_host *h = MEM_NEW(struct cql_host);
	ASSERT(c->host_count < UINT16_MAX);
	h->client = c;
	h->address = *address;
	h->number = (uint16_t)c->host_count;
	c->hosts = mem_resize(c->hosts, (c->host_count + 1) * sizeof(struct cql_host *));
	c->hosts[c->host_count++] = h;
	return h;
}

void cql_host_free(struct cql_host *h)
{
	ASSERT(!h->connection);
	for (size_t i = 0; i < h->statement_count; i++)
		mem_free(h->statements[i].id);
	mem_free(h->statements);
	mem_free(h->datacenter);
	mem_free(h->rack);
	mem_free(h->tokens);
	mem_free(h);
}

bool cql_host_is_up(const struct cql_host *h)
{
	return h->is_local && !h->is_gone && cql_connection_works(h->connection);
}

static void tell_up(const struct cql_host *h)
{
	AUTO_BUF(address, 0);
	address_put(&address, &h->address, true);
	struct event *e = event_new(h->client->event, "cassandra");
	event_set_str(e, "host", buf_str(&address));
	event_send(e, EVENT_INFO, "cql_host_up", "Cassandra node %.*s is back",
		STRF(buf_str(&address)));
	event_unref(e);
}

/* Once, until it is up again. */
static void tell_lost(struct cql_host *h, const char *why)
{
	if (h->was_down_told)
		return;
	h->was_down_told = true;
	AUTO_BUF(address, 0);
	address_put(&address, &h->address, true);
	struct event *e = event_new(h->client->event, "cassandra");
	event_set_str(e, "host", buf_str(&address));
	event_send(e, EVENT_WARNING, "cql_host_lost", "Cassandra node %.*s cannot be used: %s",
		STRF(buf_str(&address)), why);
	event_unref(e);
}

/* The time to wait grows with the failures in a row; half of it is chance. */
static int64_t pause_us(unsigned failures)
{
	int64_t us = PAUSE_FIRST_US << MIN(failures, 10U);
	us = MIN(us, PAUSE_MAX_US);
	return us / 2 + (int64_t)random_below((uint64_t)us / 2 + 1);
}

static bool is_wanted(const struct cql_host *h)
{
	return h->is_local && !h->is_gone && !h->client->is_closing;
}

/* From here on calls use it, until it breaks. */
static void serve(struct op *op, struct cql_host *h, struct cql_connection *connection)
{
	struct cql_client *c = h->client;
	h->connection = connection;
	connection->room = &c->room;
	if (h->was_down_told)
		tell_up(h);
	h->was_down_told = false;
	wait_queue_wake_all(&c->hosts_changed);
	cql_prepare_all(h);
	enum err e = ERR_NONE;
	while (e == ERR_NONE && is_wanted(h) && cql_connection_works(connection))
		e = wait_queue_wait(op, &connection->ended);
	h->connection = NULL;
	connection->room = NULL;
	c->counters.bytes_in += connection->bytes_in;
	c->counters.bytes_out += connection->bytes_out;
	if (is_wanted(h) && e == ERR_NONE)
		tell_lost(h, connection->broken_why);
	cql_connection_close(connection);
	wait_queue_wake_all(&c->hosts_changed);
	wait_queue_wake_all(&c->room);
}

static enum err rest(struct op *op, struct cql_host *h, unsigned failures)
{
	enum err e = ERR_NONE;
	op->deadline_us = now_us() + pause_us(failures);
	h->shall_connect = false;
	while (e == ERR_NONE && is_wanted(h) && !h->shall_connect)
		e = wait_queue_wait(op, &h->wake);
	op->deadline_us = TIME_NEVER;
	return e == ERR_TIMEOUT ? ERR_NONE : e;
}

static void host_task(struct op *op, void *arg)
{
	struct cql_host *h = arg;
	struct cql_client *c = h->client;
	unsigned failures = 0;
	enum err e = ERR_NONE;
	while (e == ERR_NONE && is_wanted(h)) {
		struct cql_connection *connection;
		h->is_connecting = failures == 0;
		e = cql_connection_open(op, &c->settings.dial, &h->address, c->event, &connection);
		h->is_connecting = false;
		int64_t since_us = now_us();
		if (e == ERR_NONE) {
			serve(op, h, connection);
			failures = now_us() - since_us >= LIVED_US ? 0 : failures + 1;
			h->is_connecting = failures == 0;
		} else {
			if (is_wanted(h))
				tell_lost(h, op->failure.text);
			failures++;
			wait_queue_wake_all(&c->hosts_changed);
		}
		if (e != ERR_CANCELLED)
			e = ERR_NONE;
		if (e == ERR_NONE && failures > 0)
			e = rest(op, h, failures - 1);
		if (h->shall_connect)
			failures = 0;
	}
	h->is_connecting = false;
}

void cql_host_start(struct cql_host *h)
{
	if (!task_is_alive(h->task)) {
		h->is_connecting = true;
		h->task = cql_task_start(h->client, "cql host", host_task, h);
	}
}

void cql_host_connect(struct cql_host *h)
{
	h->shall_connect = true;
	wait_queue_wake_all(&h->wake);
}

/* ---- latency ---- */

void cql_host_answered(struct cql_host *h, int64_t took_us)
{
	h->latency_us += h->latency_us > 0 ? (took_us - h->latency_us) / LATENCY_WEIGHT : took_us;
	h->latency_at_us = now_us();
}

int64_t cql_silence_us(const struct cql_client *c)
{
	const struct cql_settings *s = &c->settings;
	return s->speculation_us > 0 ? s->speculation_us : s->dial.connect_us;
}

bool cql_host_is_silent(const struct cql_host *h)
{
	return h->connection && cql_connection_silent_us(h->connection) > cql_silence_us(h->client);
}

bool cql_host_is_slow(const struct cql_host *h)
{
	const struct cql_client *c = h->client;
	int64_t best_us = INT64_MAX, since_us = now_us() - LATENCY_OLD_US;
	for (size_t i = 0; i < c->host_count; i++)
		if (cql_host_is_up(c->hosts[i]) && c->hosts[i]->latency_us > 0)
			best_us = MIN(best_us, c->hosts[i]->latency_us);
	return h->latency_at_us > since_us && h->latency_us / SLOW_FACTOR > best_us;
}
