/* SPDX-License-Identifier: Apache-2.0 */
/* What the cluster says of itself: nodes, their data centres, racks and tokens; replication.
 *
 * Sources: system.local, system.peers, system_schema.keyspaces of the node that the control connection
 *          goes to. A node is known by its host_id; until that is read, by its address. */
#include <stdlib.h>

#include "base/number.h"
#include "cql/cql_private.h"

#define DISCOVER_US     (10 * US_PER_SEC)
#define TOKENS_MAX      4096
#define NODES_MAX       4096
#define RING_TOKENS_MAX ((size_t)1 << 20)

#define LOCAL_TEXT                                                                                 \
	"SELECT host_id, data_center, rack, tokens, partitioner FROM system.local"                 \
	" WHERE key = 'local'"
#define PEERS_TEXT "SELECT host_id, data_center, rack, tokens, rpc_address, peer FROM system.peers"
enum node_column { COL_ID, COL_DATACENTER, COL_RACK, COL_TOKENS, COL_PARTITIONER, COL_PEER };
#define COL_RPC_ADDRESS COL_PARTITIONER
#define NODE_COLUMNS    (COL_PEER + 1)

struct discovery {
	struct cql_client *client;
	struct cql_connection *connection;
	int64_t until_us;
	bool *is_seen; /* by number of the host */
	bool is_murmur3;
};

typedef void rows_fn(struct discovery *d, const struct cql_value *columns);

/* Asks and gives each row to fn, which gets NODE_COLUMNS columns, missing ones null. */
static enum err read_rows(struct op *op, struct discovery *d, struct str text, rows_fn *fn)
{
	enum cql_result_kind kind;
	struct cql_answer answer = { 0 };
	struct cql_rows rows = { 0 };
	TRY(cql_connection_query(op, d->connection, text, d->until_us, &kind, &answer));
	bool is_sound = kind == CQL_RESULT_ROWS && cql_rows_parse(answer.body, &rows) &&
			rows.column_count <= NODE_COLUMNS;
	while (is_sound && rows.left > 0) {
		struct cql_value columns[NODE_COLUMNS];
		for (size_t i = 0; i < NODE_COLUMNS; i++)
			columns[i] = cql_null();
		is_sound = cql_rows_next(&rows, columns);
		if (is_sound)
			fn(d, columns);
	}
	cql_answer_done(&answer);
	return is_sound ? ERR_NONE
			: op_fail(op, ERR_UNAVAILABLE, "system tables gave a damaged answer");
}

/* ---- nodes ---- */

static bool inet_value(const struct cql_value *v, struct address *out)
{
	if (v->is_null || (v->bytes.n != 4 && v->bytes.n != 16))
		return false;
	*out = (struct address){ .family = v->bytes.n == 4 ? AF_INET : AF_INET6 };
	memcpy(out->ip, v->bytes.p, v->bytes.n);
	for (size_t i = 0; i < v->bytes.n; i++)
		if (out->ip[i])
			return true;
	return false; /* 0.0.0.0: any */
}

static struct cql_host *find_host(
	struct cql_client *c, const struct cql_value *id, const struct address *address)
{
	for (size_t i = 0; i < c->host_count; i++) {
		struct cql_host *h = c->hosts[i];
		if (h->has_id && id->bytes.n == CQL_ID_BYTES &&
			memcmp(h->id, id->bytes.p, CQL_ID_BYTES) == 0)
			return h;
	}
	for (size_t i = 0; i < c->host_count; i++) {
		struct cql_host *h = c->hosts[i];
		if (!h->has_id && address_equal_ip(&h->address, address) &&
			h->address.port == address->port)
			return h;
	}
	return NULL;
}

static void replace_text(char **at, const struct cql_value *v)
{
	mem_free(*at);
	*at = str_new_z(v->is_null ? STR("") : v->bytes);
}

static void read_tokens(struct cql_host *h, const struct cql_value *v)
{
	struct str rest = v->bytes, text;
	uint32_t count;
	mem_free(h->tokens);
	h->tokens = NULL;
	h->token_count = 0;
	if (v->is_null || !cql_cut_count(&rest, &count) || count > TOKENS_MAX)
		return;
	h->tokens = mem_new_array(count, sizeof(int64_t));
	for (; count > 0 && cql_cut_element(&rest, &text); count--) {
		uint64_t n;
		bool is_negative = str_skip(&text, STR("-"));
		if (number_parse_u64(text, &n))
			h->tokens[h->token_count++] = (int64_t)(is_negative ? 0 - n : n);
	}
}

static void note_node(
	struct discovery *d, const struct cql_value *columns, const struct address *address)
{
	struct cql_client *c = d->client;
	struct cql_host *h = find_host(c, &columns[COL_ID], address);
	if (!h && c->host_count >= NODES_MAX)
		return;
	if (!h)
		h = cql_host_add(c, address);
	if (columns[COL_ID].bytes.n == CQL_ID_BYTES) {
		memcpy(h->id, columns[COL_ID].bytes.p, CQL_ID_BYTES);
		h->has_id = true;
	}
	if (!address_equal_ip(&h->address, address) || h->address.port != address->port) {
		h->address = *address;
		if (h->connection)
			cql_connection_break(h->connection, "the node has a new address");
	}
	replace_text(&h->datacenter, &columns[COL_DATACENTER]);
	replace_text(&h->rack, &columns[COL_RACK]);
	read_tokens(h, &columns[COL_TOKENS]);
	d->is_seen[h->number] = true;
}

static void local_row(struct discovery *d, const struct cql_value *columns)
{
	struct cql_client *c = d->client;
	note_node(d, columns, &d->connection->address);
	d->is_murmur3 = !columns[COL_PARTITIONER].is_null &&
			str_ends(columns[COL_PARTITIONER].bytes, STR("Murmur3Partitioner"));
	if (!c->datacenter)
		c->datacenter = str_new_z(c->settings.datacenter.n > 0
						  ? c->settings.datacenter
						  : cql_text(columns[COL_DATACENTER].bytes).bytes);
}

static void peer_row(struct discovery *d, const struct cql_value *columns)
{
	struct address address;
	/* A row without them is of a node that is joining or was removed badly. */
	if (columns[COL_ID].is_null || columns[COL_DATACENTER].is_null)
		return;
	if (!inet_value(&columns[COL_RPC_ADDRESS], &address) &&
		!inet_value(&columns[COL_PEER], &address))
		return;
	address.port = d->connection->address.port;
	note_node(d, columns, &address);
}

/* Starts those that are ours and new, ends those that left. */
static void settle_hosts(struct discovery *d)
{
	struct cql_client *c = d->client;
	for (size_t i = 0; i < c->host_count; i++) {
		struct cql_host *h = c->hosts[i];
		h->is_gone = !d->is_seen[i];
		h->is_local = !h->is_gone && h->datacenter &&
			      str_eq(str_from(h->datacenter), str_from(c->datacenter));
		if (h->is_local)
			cql_host_start(h);
		else if (h->connection)
			cql_connection_break(h->connection, "the node left");
	}
}

/* Whoever answers first says which data centre is ours: processes that begin while its nodes are away
 * would take the other one, and its local quorum does not see what was written at ours. */
static void warn_of_contacts(struct cql_client *c)
{
	struct address at;
	if (c->settings.datacenter.n > 0 || c->is_mixed_told)
		return;
	for (size_t i = 0; i < c->settings.contact_count; i++) {
		struct str contact = c->settings.contacts[i];
		for (size_t j = 0; address_parse(contact, &at) && j < c->host_count; j++) {
			const struct cql_host *h = c->hosts[j];
			if (h->is_gone || h->is_local || !address_equal_ip(&h->address, &at))
				continue;
			event_send(c->event, EVENT_WARNING, "cql_contact_elsewhere",
				"cassandra_hosts names %.*s of the data centre \"%s\", while "
				"\"%s\" "
				"is used: set cassandra_datacenter, or name nodes of one alone",
				STRF(contact), h->datacenter, c->datacenter);
			c->is_mixed_told = true;
			return;
		}
	}
}

/* ---- the ring ---- */

struct replication {
	unsigned count;
	bool is_simple;
};

static enum err read_replication(struct op *op, struct discovery *d, struct replication *out)
{
	enum cql_result_kind kind;
	struct cql_answer answer = { 0 };
	struct cql_rows rows = { 0 };
	struct cql_value map;
	struct str left = d->client->settings.dial.keyspace, part;
	AUTO_BUF(text, 0);
	buf_put(&text, STR("SELECT replication FROM system_schema.keyspaces"
			   " WHERE keyspace_name = '"));
	while (str_cut(&left, '\'', &part))
		buf_putf(&text, "%.*s''", STRF(part));
	buf_putf(&text, "%.*s'", STRF(left));
	TRY(cql_connection_query(op, d->connection, buf_str(&text), d->until_us, &kind, &answer));
	*out = (struct replication){ 0 };
	if (kind == CQL_RESULT_ROWS && cql_rows_parse(answer.body, &rows) && rows.left > 0 &&
		rows.column_count == 1 && cql_rows_next(&rows, &map) && !map.is_null)
		out->count = cql_replication_parse(
			map.bytes, str_from(d->client->datacenter), &out->is_simple);
	cql_answer_done(&answer);
	return ERR_NONE;
}

static void build_ring(struct discovery *d, const struct replication *r)
{
	struct cql_client *c = d->client;
	struct cql_ring *ring = &c->ring;
	size_t count = 0;
	cql_ring_done(ring);
	if (!d->is_murmur3 || r->count == 0)
		return;
	for (size_t i = 0; i < c->host_count; i++)
		count += c->hosts[i]->token_count;
	if (count > RING_TOKENS_MAX)
		return;
	ring->entries = mem_new_array(count, sizeof(struct cql_ring_entry));
	/* With SimpleStrategy the ring is one over all data centres, else each has its own. */
	for (size_t i = 0; i < c->host_count; i++) {
		struct cql_host *h = c->hosts[i];
		bool is_on_ring = !h->is_gone && (r->is_simple || h->is_local);
		for (size_t j = 0; is_on_ring && j < h->token_count; j++)
			ring->entries[ring->count++] =
				(struct cql_ring_entry){ .token = h->tokens[j], .host = h };
	}
	cql_ring_build(ring, r->count, !r->is_simple);
}

enum err cql_discover(struct op *op, struct cql_client *c, struct cql_connection *connection)
{
	struct replication r;
	struct discovery d = { .client = c,
		.connection = connection,
		.until_us = now_us() + DISCOVER_US,
		.is_seen = mem_new_array(NODES_MAX, sizeof(bool)) };
	enum err e = read_rows(op, &d, STR(LOCAL_TEXT), local_row);
	if (e == ERR_NONE)
		e = read_rows(op, &d, STR(PEERS_TEXT), peer_row);
	if (e == ERR_NONE && !c->datacenter)
		e = op_fail(op, ERR_UNAVAILABLE, "system.local is empty");
	if (e == ERR_NONE)
		e = read_replication(op, &d, &r);
	if (e == ERR_NONE) {
		settle_hosts(&d);
		warn_of_contacts(c);
		build_ring(&d, &r);
		wait_queue_wake_all(&c->hosts_changed);
	}
	mem_free(d.is_seen);
	return e;
}

/* ---- agreement ---- */

#define AGREE_US       (30 * US_PER_SEC)
#define AGREE_PAUSE_US (100 * US_PER_MS)

struct agreement {
	uint8_t version[CQL_ID_BYTES];
	bool has_version, differs;
};

static bool is_known_up(const struct cql_client *c, const struct cql_value *id)
{
	for (size_t i = 0; i < c->host_count; i++) {
		const struct cql_host *h = c->hosts[i];
		if (h->has_id && id->bytes.n == CQL_ID_BYTES &&
			memcmp(h->id, id->bytes.p, CQL_ID_BYTES) == 0)
			return cql_host_is_up(h);
	}
	return false;
}

static enum err read_versions(struct op *op, struct cql_client *c,
	struct cql_connection *connection, struct str text, struct agreement *a)
{
	enum cql_result_kind kind;
	struct cql_answer answer = { 0 };
	struct cql_rows rows = { 0 };
	struct cql_value columns[2];
	TRY(cql_connection_query(op, connection, text, now_us() + DISCOVER_US, &kind, &answer));
	bool is_sound = kind == CQL_RESULT_ROWS && cql_rows_parse(answer.body, &rows) &&
			rows.column_count == ARRAY_COUNT(columns);
	while (is_sound && rows.left > 0) {
		is_sound = cql_rows_next(&rows, columns);
		/* A node that is down keeps its old version; it learns the new one when it is back. */
		if (!is_sound || columns[0].bytes.n != CQL_ID_BYTES ||
			(a->has_version && !is_known_up(c, &columns[1])))
			continue;
		if (a->has_version && memcmp(a->version, columns[0].bytes.p, CQL_ID_BYTES) != 0)
			a->differs = true;
		memcpy(a->version, columns[0].bytes.p, CQL_ID_BYTES);
		a->has_version = true;
	}
	cql_answer_done(&answer);
	return is_sound ? ERR_NONE
			: op_fail(op, ERR_UNAVAILABLE, "system tables gave a damaged answer");
}

enum err cql_agree(struct op *op, struct cql_client *c, struct cql_host *h)
{
	int64_t until_us = now_us() + AGREE_US;
	while (now_us() < until_us) {
		struct agreement a = { 0 };
		struct cql_connection *connection = h->connection;
		if (!cql_connection_works(connection))
			return op_fail(op, ERR_UNAVAILABLE,
				"the schema was changed, but the connection was lost before the "
				"nodes agreed on it");
		TRY(read_versions(op, c, connection,
			STR("SELECT schema_version, host_id FROM system.local"), &a));
		if (h->connection == connection)
			TRY(read_versions(op, c, connection,
				STR("SELECT schema_version, host_id FROM system.peers"), &a));
		if (!a.differs)
			return ERR_NONE;
		TRY(task_sleep(op, AGREE_PAUSE_US));
	}
	return op_fail(op, ERR_UNAVAILABLE,
		"the schema was changed, but the nodes did not agree on it within 30 seconds: see "
		"`nodetool describecluster`");
}
