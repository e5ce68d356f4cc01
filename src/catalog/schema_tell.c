/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/schema_tell.c - the state of a catalog in Cassandra in lines for an administrator. What fails
 * is a line as well: somebody who asks for the status wants to see the rest. */
#include "catalog/cql_private.h"
#include "catalog/schema.h"
#include "config/config.h"

#define CLOCK_TRIES      5
#define CONNECT_TRIES    20
#define CONNECT_PAUSE_US (100 * US_PER_MS)

struct teller {
	struct op *op;
	struct catalog_cql *c;
	struct buf *out;
	enum err error; /* the first */
	struct op_failure failure;
};

static void note(struct teller *t, enum err e, const char *what)
{
	if (e == ERR_NONE)
		return;
	buf_putf(t->out, "%s: %s\n", what, t->op->failure.text);
	if (t->error == ERR_NONE) {
		t->error = e;
		t->failure = t->op->failure;
	}
	op_forgive(t->op);
}

/* Addresses are four or sixteen bytes. */
static void put_address(struct buf *out, struct str ip)
{
	for (size_t i = 0; i < ip.n; i++) {
		unsigned byte = (uint8_t)ip.p[i];
		if (ip.n == 4)
			buf_putf(out, "%s%u", i > 0 ? "." : "", byte);
		else
			buf_putf(out, "%s%02x", i > 0 && i % 2 == 0 ? ":" : "", byte);
	}
}

static enum err see_node(struct op *op, const struct cql_row *row, void *arg)
{
	struct teller *t = arg;
	(void)op;
	buf_put(t->out, STR("node "));
	put_address(t->out, cql_column(row, 0));
	buf_putf(t->out, ": data centre %.*s, rack %.*s, Cassandra %.*s\n",
		STRF(cql_column(row, 1)), STRF(cql_column(row, 2)), STRF(cql_column(row, 3)));
	return ERR_NONE;
}

static enum err ask(struct teller *t, const char *name, const char *text)
{
	const struct cql_bound b = { .statement = cql_statement(t->c->client, CQL_READ,
					     str_from(name), str_from(text)) };
	return cql_query(t->op, t->c->client, &b, see_node, t);
}

/* Positive: this host is ahead. The shortest way there and back tells most. */
static enum err tell_clock(struct teller *t)
{
	int64_t best_us = TIME_NEVER, ahead_us = 0;
	for (int i = 0; i < CLOCK_TRIES; i++) {
		int64_t asked_us = now_us(), theirs_us;
		TRY(catalog_clock(t->op, &t->c->base, &theirs_us));
		int64_t own_us = now_wall_us(), took_us = now_us() - asked_us;
		if (took_us < best_us) {
			best_us = took_us;
			ahead_us = own_us - theirs_us;
		}
	}
	buf_putf(t->out,
		"clock: this host is %.1f ms ahead of the cluster (measured within %.1f ms)\n",
		(double)ahead_us / (double)US_PER_MS, (double)best_us / (double)US_PER_MS);
	return ERR_NONE;
}

/* A tool has just begun: connections to nodes that nobody asked yet may be on their way. */
static void tell_connections(struct teller *t)
{
	struct cql_counters counters = cql_counters(t->c->client);
	for (int i = 0; i < CONNECT_TRIES && counters.connections < counters.hosts; i++) {
		if (task_sleep(t->op, CONNECT_PAUSE_US) != ERR_NONE)
			break;
		counters = cql_counters(t->c->client);
	}
	op_forgive(t->op);
	buf_putf(t->out, "connected to %" PRIu64 " of %" PRIu64 " nodes of the own data centre\n",
		counters.connections, counters.hosts);
}

static enum err tell(struct teller *t)
{
	struct str keyspace = cql_keyspace(t->c->client);
	note(t,
		ask(t, "local",
			"SELECT broadcast_address, data_center, rack, release_version FROM "
			"system.local"),
		"nodes");
	note(t,
		ask(t, "peers",
			"SELECT peer, data_center, rack, release_version FROM system.peers"),
		"nodes");
	enum err e = catalog_cql_ready(t->op, t->c);
	if (e == ERR_NONE)
		buf_putf(t->out,
			"keyspace %.*s: tables of version " CATALOG_SCHEMA_VERSION ", %" PRIu32
			" shards, prefix \"%s\"\n",
			STRF(keyspace), t->c->base.shard_count, t->c->prefix);
	note(t, e, "catalog");
	note(t, tell_clock(t), "clock");
	tell_connections(t);
	if (t->error == ERR_NONE)
		return ERR_NONE;
	return op_fail(t->op, t->error, "%s", t->failure.text);
}

enum err catalog_schema_tell(struct op *op, const struct config_scope *scope, struct buf *out)
{
	const struct config_scope *dict = catalog_dict_find(scope), *server;
	struct catalog *c;
	if (!dict)
		return op_fail(
			op, ERR_INVALID, "no catalog is set: @fs_dictmap_defaults = cassandra");
	TRY(catalog_dict_server(op, dict, &server));
	TRY(catalog_in_cql.open(op, dict, STR_NONE, NULL, &c));
	struct teller t = { .op = op, .c = catalog_cql(c), .out = out };
	enum err e = tell(&t);
	catalog_close(op, c);
	return e;
}
