/* SPDX-License-Identifier: Apache-2.0 */
/* The task that listens to the cluster: it keeps one connection to any node, which tells of nodes that
 * come, go and move and of changes of the schema, and goes to another node when it breaks. */
#include <netdb.h>

#include "base/number.h"
#include "base/random.h"
#include "cql/cql_private.h"

#define PAUSE_FIRST_US (200 * US_PER_MS)
#define PAUSE_MAX_US   (5 * US_PER_SEC)
#define SETTLE_US      (300 * US_PER_MS)  /* news come in flocks */
#define REFRESH_US     (300 * US_PER_SEC) /* and one may be missed */
#define RESOLVED_MAX   8
#define REGISTER_US    (10 * US_PER_SEC)

/* ---- names of hosts ---- */

struct resolve_job {
	struct offload_job job;
	char *name; /* owned */
	struct address found[RESOLVED_MAX];
	size_t count;
	int error;
};

static void resolve_run(struct offload_job *job)
{
	struct resolve_job *r = (struct resolve_job *)job;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	r->error = getaddrinfo(r->name, NULL, &hints, &list);
	for (struct addrinfo *a = list; a && r->count < RESOLVED_MAX; a = a->ai_next) {
		struct address *to = &r->found[r->count];
		address_from_sockaddr(a->ai_addr, a->ai_addrlen, to);
		r->count += to->family != 0;
	}
	if (list)
		freeaddrinfo(list);
}

static void resolve_release(struct offload_job *job)
{
	struct resolve_job *r = (struct resolve_job *)job;
	mem_free(r->name);
	mem_free(r);
}

/* Splits "name:port". */
static struct str name_of(struct str contact, uint16_t *port)
{
	uint32_t n;
	ssize_t colon = str_find_last_byte(contact, ':');
	if (colon >= 0 && number_parse_u32(str_slice(contact, (size_t)colon + 1, contact.n), &n) &&
		n > 0 && n <= UINT16_MAX) {
		*port = (uint16_t)n;
		return str_slice(contact, 0, (size_t)colon);
	}
	return contact;
}

static enum err resolve(struct op *op, struct cql_client *c, struct str contact,
	struct address *out, size_t *out_count)
{
	uint16_t port = c->settings.port;
	if (address_parse(contact, &out[0])) {
		if (out[0].port == 0)
			out[0].port = port;
		*out_count = 1;
		return ERR_NONE;
	}
	struct resolve_job *r = MEM_NEW(struct resolve_job);
	r->job = (struct offload_job){ .run = resolve_run, .release = resolve_release };
	r->name = str_new_z(name_of(contact, &port));
	op->deadline_us = now_us() + c->settings.dial.connect_us;
	enum err e = offload(op, OFFLOAD_LIBRARY, &r->job);
	op->deadline_us = TIME_NEVER;
	TRY(e);
	if (r->count == 0)
		e = op_fail(op, ERR_UNAVAILABLE, "cassandra_hosts: %.*s: %s", STRF(contact),
			r->error ? gai_strerror(r->error) : "no address");
	for (size_t i = 0; i < r->count; i++) {
		out[i] = r->found[i];
		out[i].port = port;
	}
	*out_count = r->count;
	resolve_release(&r->job);
	return e;
}

/* ---- a node to listen to ---- */

static void told(const struct cql_event *event, void *arg)
{
	struct cql_client *c = arg;
	if (event->kind == CQL_EVENT_SCHEMA) {
		c->has_news |= str_eq(event->keyspace, c->settings.dial.keyspace);
	} else if (event->kind == CQL_EVENT_STATUS) {
		bool is_known = false;
		for (size_t i = 0; i < c->host_count; i++) {
			struct cql_host *h = c->hosts[i];
			if (!address_equal_ip(&h->address, &event->address))
				continue;
			is_known = true;
			/* That it is down will be seen by those who use it. */
			if (str_eq(event->change, STR("UP")))
				cql_host_connect(h);
		}
		c->has_news |= !is_known;
	} else {
		c->has_news = true;
	}
	if (c->has_news && c->control_connection)
		wait_queue_wake_all(&c->control_connection->ended);
}

static enum err try_node(struct op *op, struct cql_client *c, const struct address *address)
{
	struct cql_connection *connection;
	struct cql_answer answer = { 0 };
	AUTO_BUF(body, 0);
	TRY(cql_connection_open(op, &c->settings.dial, address, c->event, &connection));
	connection->on_event = told;
	connection->on_event_arg = c;
	cql_put_register(&body);
	enum err e = cql_connection_ask(
		op, connection, CQL_OP_REGISTER, buf_str(&body), now_us() + REGISTER_US, &answer);
	if (e == ERR_NONE && answer.opcode != CQL_OP_READY)
		e = op_fail(op, ERR_UNAVAILABLE, "REGISTER was refused");
	cql_answer_done(&answer);
	if (e == ERR_NONE)
		e = cql_discover(op, c, connection);
	if (e != ERR_NONE) {
		cql_connection_close(connection);
		return e;
	}
	c->control_connection = connection;
	return ERR_NONE;
}

/* Those that are up first, then the others of our data centre, then whom the settings name. */
static enum err find_node(struct op *op, struct cql_client *c)
{
	enum err e = ERR_NONE;
	size_t count = c->host_count, from = count ? (size_t)random_below(count) : 0;
	for (unsigned round = 0; round < 2; round++) {
		for (size_t i = 0; i < count && e != ERR_CANCELLED; i++) {
			struct cql_host *h = c->hosts[(from + i) % count];
			if (!h->is_local || h->is_gone || cql_host_is_up(h) != (round == 0))
				continue;
			e = try_node(op, c, &h->address);
			if (e == ERR_NONE)
				return e;
		}
	}
	for (size_t i = 0; i < c->settings.contact_count && e != ERR_CANCELLED; i++) {
		struct address found[RESOLVED_MAX];
		size_t n = 0;
		e = resolve(op, c, c->settings.contacts[i], found, &n);
		for (size_t j = 0; e != ERR_CANCELLED && j < n; j++) {
			e = try_node(op, c, &found[j]);
			if (e == ERR_NONE)
				return e;
		}
	}
	return e;
}

/* Until the connection ends. */
static enum err hear(struct op *op, struct cql_client *c)
{
	struct cql_connection *connection = c->control_connection;
	enum err e = ERR_NONE;
	c->has_news = false;
	while (e == ERR_NONE && !c->is_closing && cql_connection_works(connection)) {
		op->deadline_us = now_us() + REFRESH_US;
		if (!c->has_news)
			e = wait_queue_wait(op, &connection->ended);
		op->deadline_us = TIME_NEVER;
		c->has_news |= e == ERR_TIMEOUT;
		if (e == ERR_TIMEOUT)
			e = ERR_NONE;
		if (e == ERR_NONE && c->has_news) {
			e = task_sleep(op, SETTLE_US);
			c->has_news = false;
			if (e == ERR_NONE && cql_connection_works(connection))
				e = cql_discover(op, c, connection);
		}
	}
	c->control_connection = NULL;
	cql_connection_close(connection);
	return e == ERR_CANCELLED ? e : ERR_NONE;
}

static void note_failure(struct cql_client *c, const struct op *op)
{
	mem_free(c->last_error);
	c->last_error = str_new_z(str_from(op->failure.text));
	if (!c->is_unreachable)
		event_send(c->event, EVENT_WARNING, "cql_cluster_lost",
			"No Cassandra node can be asked about the cluster: %s", c->last_error);
	c->is_unreachable = true;
}

static void control_task(struct op *op, void *arg)
{
	struct cql_client *c = arg;
	int64_t pause_us = PAUSE_FIRST_US;
	enum err e = ERR_NONE;
	while (e != ERR_CANCELLED && !c->is_closing) {
		e = find_node(op, c);
		if (e != ERR_NONE && e != ERR_CANCELLED)
			note_failure(c, op);
		c->is_searching = false;
		wait_queue_wake_all(&c->hosts_changed);
		if (e == ERR_NONE) {
			c->is_unreachable = false;
			pause_us = PAUSE_FIRST_US;
			e = hear(op, c);
		}
		if (e == ERR_CANCELLED || c->is_closing)
			break;
		e = task_sleep(op, pause_us / 2 + (int64_t)random_below((uint64_t)pause_us / 2));
		pause_us = MIN(pause_us * 2, PAUSE_MAX_US);
	}
}

void cql_control_start(struct cql_client *c)
{
	c->is_searching = true;
	c->control = cql_task_start(c, "cql control", control_task, c);
}
