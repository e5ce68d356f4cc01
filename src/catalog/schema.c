/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/schema.c - making keyspace and tables of a catalog in Cassandra, and looking at what is there.
 *
 * First everything that is there is read and compared; only when nothing differs is the first statement
 * run. So a refusal leaves the cluster as it was, and a run that broke off is repeated. */
#include "catalog/schema.h"

#include "base/number.h"
#include "catalog/cql_private.h"
#include "config/config.h"

#define COPIES_MAX  3
#define CENTRES_MAX 16
#define RING_MAX    1000 /* nodes */

struct centre {
	struct str name;
	uint32_t nodes;
};

/* What the cluster has. */
struct found {
	struct arena *arena;
	struct centre centres[CENTRES_MAX];
	size_t centre_count;
	struct str replication; /* of the keyspace, as CQL; empty: there is no keyspace */
	uint32_t tables;        /* bit for each of catalog_cql_tables[] that is there, and ours */
	struct catalog_cql_found_column {
		struct str table, name, type, kind;
		int32_t position;
	} * columns;
	size_t column_count, column_cap;
	uint32_t shards; /* 0: not told */
	struct str version;
};

struct maker {
	struct op *op;
	struct cql_client *client;
	struct str keyspace;
	const struct catalog_schema_wanted *wanted;
	struct buf *out;
	struct found found;
};

/* ---- asking ---- */

static enum err ask(struct maker *m, const char *name, const char *text,
	const struct cql_value *values, size_t count, cql_row_fn *fn)
{
	const struct cql_bound b = { .statement = cql_statement(
					     m->client, CQL_READ, str_from(name), str_from(text)),
		.values = values,
		.count = count };
	return cql_query(m->op, m->client, &b, fn, &m->found);
}

static enum err see_centre(struct op *op, const struct cql_row *row, void *arg)
{
	struct found *f = arg;
	struct str name = cql_column(row, 0);
	for (size_t i = 0; i < f->centre_count; i++) {
		if (str_eq(f->centres[i].name, name)) {
			f->centres[i].nodes++;
			return ERR_NONE;
		}
	}
	if (f->centre_count == CENTRES_MAX)
		return op_fail(op, ERR_LIMIT,
			"the cluster has more than %d data centres: name them"
			" with --replication",
			CENTRES_MAX);
	f->centres[f->centre_count++] = (struct centre){ str_dup(f->arena, name), 1 };
	return ERR_NONE;
}

/* A map<text, text> in the protocol: number of pairs, then each text behind its length. */
static bool map_cut(struct str *rest, struct str *out)
{
	if (rest->n < 4)
		return false;
	uint64_t n = (uint32_t)((uint8_t)rest->p[0]) << 24 | (uint32_t)((uint8_t)rest->p[1]) << 16 |
		     (uint32_t)((uint8_t)rest->p[2]) << 8 | (uint8_t)rest->p[3];
	if (rest->n - 4 < n)
		return false;
	(void)str_take(rest, 4);
	*out = str_take(rest, (size_t)n);
	return true;
}

static enum err see_keyspace(struct op *op, const struct cql_row *row, void *arg)
{
	struct found *f = arg;
	struct str rest = cql_column(row, 0), key, value, class = STR_NONE;
	AUTO_BUF(text, 4096);
	if (rest.n < 4)
		return op_fail(
			op, ERR_CORRUPT, "system_schema.keyspaces: a replication is damaged");
	(void)str_take(&rest, 4);
	while (map_cut(&rest, &key) && map_cut(&rest, &value)) {
		ssize_t dot = str_find_last_byte(value, '.');
		if (str_eq(key, STR("class")))
			class = str_slice(value, (size_t)(dot + 1), value.n);
		else
			TRY(buf_addf(&text, ", '%.*s': '%.*s'", STRF(key), STRF(value)));
	}
	f->replication =
		str_printf(f->arena, "{'class': '%.*s'%.*s}", STRF(class), STRF(buf_str(&text)));
	return ERR_NONE;
}

static enum err see_column(struct op *op, const struct cql_row *row, void *arg)
{
	struct found *f = arg;
	int32_t position;
	if (!cql_column_int(row, 4, &position))
		return op_fail(op, ERR_CORRUPT, "system_schema.columns: no position");
	if (f->column_count == f->column_cap) {
		size_t cap = MAX(2 * f->column_cap, 64);
		f->columns = arena_grow(f->arena, f->columns, f->column_cap * sizeof(*f->columns),
			cap * sizeof(*f->columns));
		f->column_cap = cap;
	}
	f->columns[f->column_count++] = (struct catalog_cql_found_column){
		.table = str_dup(f->arena, cql_column(row, 0)),
		.name = str_dup(f->arena, cql_column(row, 1)),
		.type = str_dup(f->arena, cql_column(row, 2)),
		.kind = str_dup(f->arena, cql_column(row, 3)),
		.position = position,
	};
	return ERR_NONE;
}

static enum err see_meta(struct op *op, const struct cql_row *row, void *arg)
{
	struct found *f = arg;
	struct str key = cql_column(row, 0), value = cql_column(row, 1);
	if (str_eq(key, STR(CATALOG_CQL_META_SCHEMA)))
		f->version = str_dup(f->arena, value);
	if (str_eq(key, STR(CATALOG_CQL_META_SHARDS)) && !number_parse_u32(value, &f->shards))
		return op_fail(
			op, ERR_CORRUPT, "meta: \"%.*s\" is no number of shards", STRF(value));
	return ERR_NONE;
}

/* ---- comparing ---- */

static const struct catalog_cql_found_column *column_find(
	const struct found *f, const char *table, const char *name)
{
	for (size_t i = 0; i < f->column_count; i++) {
		if (str_eq(f->columns[i].table, str_from(table)) &&
			str_eq(f->columns[i].name, str_from(name)))
			return &f->columns[i];
	}
	return NULL;
}

static size_t table_columns(const struct found *f, const char *table)
{
	size_t count = 0;
	for (size_t i = 0; i < f->column_count; i++)
		count += str_eq(f->columns[i].table, str_from(table));
	return count;
}

static enum err table_differs(struct maker *m, const struct catalog_cql_table *t, const char *what)
{
	return op_fail(m->op, ERR_CONFLICT,
		"table %.*s.%s is there and is none of ours (%s): use another cassandra_keyspace, "
		"or"
		" drop the table if nothing needs it",
		STRF(m->keyspace), t->name, what);
}

static enum err table_compare(struct maker *m, const struct catalog_cql_table *t, bool *is_there)
{
	size_t count = 0;
	int32_t position = 0;
	const char *kind = "";
	*is_there = table_columns(&m->found, t->name) > 0;
	if (!*is_there)
		return ERR_NONE;
	for (; t->columns[count].name; count++) {
		const struct catalog_cql_column *c = &t->columns[count];
		const struct catalog_cql_found_column *f = column_find(&m->found, t->name, c->name);
		position = strcmp(kind, c->kind) == 0 ? position + 1 : 0;
		kind = c->kind;
		if (!f)
			return table_differs(
				m, t, str_printf(m->op->arena, "it has no column %s", c->name).p);
		bool is_key = strcmp(kind, "regular") != 0;
		if (!str_eq(f->type, str_from(c->type)) || !str_eq(f->kind, str_from(kind)) ||
			(is_key && f->position != position))
			return table_differs(m, t,
				str_printf(m->op->arena, "column %s is %.*s, %.*s", c->name,
					STRF(f->type), STRF(f->kind))
					.p);
	}
	return ERR_NONE;
}

/* ---- replication ---- */

static bool is_name(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '_' && c != '-' && c != '.')
			return false;
	}
	return s.n > 0;
}

/* "3" or "dc1:3,dc2:2" as CQL. */
static enum err replication_parse(struct maker *m, struct str *out)
{
	struct str rest = m->wanted->replication, part, centre;
	uint32_t copies;
	AUTO_BUF(text, 0);
	if (number_parse_u32(rest, &copies) && copies > 0) {
		*out = str_printf(m->op->arena,
			"{'class': 'SimpleStrategy', 'replication_factor': '%" PRIu32 "'}", copies);
		return ERR_NONE;
	}
	buf_putf(&text, "{'class': 'NetworkTopologyStrategy'");
	while (rest.n) {
		if (!str_cut(&rest, ',', &part)) {
			part = rest;
			rest = STR_NONE;
		}
		if (!str_cut(&part, ':', &centre) || !is_name(centre) ||
			!number_parse_u32(part, &copies) || copies == 0)
			return op_fail(m->op, ERR_INVALID,
				"--replication %.*s: \"3\" or \"CENTRE:3,CENTRE:3\" is meant",
				STRF(m->wanted->replication));
		buf_putf(&text, ", '%.*s': '%" PRIu32 "'", STRF(centre), copies);
	}
	buf_put(&text, STR("}"));
	*out = buf_dup(m->op->arena, &text);
	return ERR_NONE;
}

static enum err replication_choose(struct maker *m, struct str *out)
{
	AUTO_BUF(text, 0);
	if (m->wanted->replication.n)
		return replication_parse(m, out);
	buf_putf(&text, "{'class': 'NetworkTopologyStrategy'");
	for (size_t i = 0; i < m->found.centre_count; i++) {
		const struct centre *c = &m->found.centres[i];
		if (!is_name(c->name))
			return op_fail(m->op, ERR_INVALID,
				"data centre \"%.*s\": name it with --replication", STRF(c->name));
		if (c->nodes < COPIES_MAX)
			buf_putf(m->out,
				"-- data centre %.*s has %" PRIu32
				" nodes: with fewer than three copies one node that is down stops"
				" everything\n",
				STRF(c->name), c->nodes);
		buf_putf(
			&text, ", '%.*s': '%" PRIu32 "'", STRF(c->name), MIN(c->nodes, COPIES_MAX));
	}
	buf_put(&text, STR("}"));
	*out = buf_dup(m->op->arena, &text);
	return ERR_NONE;
}

/* Maps have no order: {'class': .., 'a': '1', 'b': '2'} is compared pair by pair. */
static bool is_same_map(struct str a, struct str b)
{
	struct str rest = str_slice(a, 1, a.n - 1), pair;
	if (a.n != b.n)
		return false;
	while (rest.n) {
		if (!str_cut(&rest, ',', &pair)) {
			pair = rest;
			rest = STR_NONE;
		}
		if (str_find(b, str_trim(pair)) < 0)
			return false;
	}
	return true;
}

/* ---- making ---- */

static enum err run(struct maker *m, struct str text)
{
	buf_putf(m->out, "%.*s;\n", STRF(text));
	return m->wanted->is_dry ? ERR_NONE : cql_run(m->op, m->client, text);
}

static struct str table_text(struct maker *m, const struct catalog_cql_table *t)
{
	AUTO_BUF(text, 0);
	buf_putf(&text, "CREATE TABLE IF NOT EXISTS %.*s.%s (", STRF(m->keyspace), t->name);
	for (size_t i = 0; t->columns[i].name; i++)
		buf_putf(&text, "%s %s, ", t->columns[i].name, t->columns[i].type);
	buf_putf(&text, "%s) WITH %s", t->key, t->options);
	return buf_dup(m->op->arena, &text);
}

static enum err keyspace_make(struct maker *m)
{
	struct str wanted;
	if (m->found.replication.n == 0) {
		TRY(replication_choose(m, &wanted));
		return run(m, str_printf(m->op->arena,
				      "CREATE KEYSPACE IF NOT EXISTS %.*s WITH replication = %.*s",
				      STRF(m->keyspace), STRF(wanted)));
	}
	if (m->wanted->replication.n == 0)
		return ERR_NONE;
	TRY(replication_parse(m, &wanted));
	if (is_same_map(wanted, m->found.replication))
		return ERR_NONE;
	return op_fail(m->op, ERR_CONFLICT,
		"keyspace %.*s has replication %.*s, not %.*s: change it with ALTER KEYSPACE, then "
		"run"
		" `nodetool repair --full` on every node",
		STRF(m->keyspace), STRF(m->found.replication), STRF(wanted));
}

static enum err meta_make(struct maker *m, uint32_t shards)
{
	if (m->found.version.n == 0)
		TRY(run(m, str_printf(m->op->arena,
				   "INSERT INTO %.*s.meta (key, value) VALUES "
				   "('" CATALOG_CQL_META_SCHEMA "', '" CATALOG_SCHEMA_VERSION "')",
				   STRF(m->keyspace))));
	if (m->found.shards == 0)
		TRY(run(m, str_printf(m->op->arena,
				   "INSERT INTO %.*s.meta (key, value) VALUES "
				   "('" CATALOG_CQL_META_SHARDS "', '%" PRIu32 "')",
				   STRF(m->keyspace), shards)));
	return ERR_NONE;
}

static enum err make_all(struct maker *m, uint32_t usual_shards)
{
	uint32_t shards = m->wanted->shard_count ? m->wanted->shard_count : usual_shards;
	bool is_there[16] = { false };
	for (size_t i = 0; catalog_cql_tables[i].name; i++) {
		ASSERT(i < ARRAY_COUNT(is_there));
		TRY(table_compare(m, &catalog_cql_tables[i], &is_there[i]));
	}
	if (m->found.version.n && !str_eq(m->found.version, STR(CATALOG_SCHEMA_VERSION)))
		return op_fail(m->op, ERR_CONFLICT,
			"keyspace %.*s has tables of version %.*s; this program makes version"
			" " CATALOG_SCHEMA_VERSION,
			STRF(m->keyspace), STRF(m->found.version));
	if (m->found.shards && m->wanted->shard_count && m->found.shards != shards)
		return op_fail(m->op, ERR_CONFLICT,
			"the catalog in keyspace %.*s has %" PRIu32
			" shards: their number is fixed. Set mail_shard_count = %" PRIu32,
			STRF(m->keyspace), m->found.shards, m->found.shards);
	TRY(keyspace_make(m));
	for (size_t i = 0; catalog_cql_tables[i].name; i++) {
		if (!is_there[i])
			TRY(run(m, table_text(m, &catalog_cql_tables[i])));
	}
	TRY(meta_make(m, shards));
	if (m->found.shards && m->found.shards != usual_shards)
		buf_putf(m->out,
			"-- the catalog has %" PRIu32 " shards: set mail_shard_count = %" PRIu32
			"\n",
			m->found.shards, m->found.shards);
	return ERR_NONE;
}

/* Where a dry run knows all it needs, no cluster is asked. */
static enum err look(struct maker *m)
{
	const struct cql_value values[] = { cql_text(m->keyspace) };
	if (m->wanted->is_dry && m->wanted->replication.n)
		return ERR_NONE;
	TRY(ask(m, "local", "SELECT data_center FROM system.local", NULL, 0, see_centre));
	TRY(ask(m, "peers", "SELECT data_center FROM system.peers", NULL, 0, see_centre));
	TRY(ask(m, "keyspaces",
		"SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?", values,
		1, see_keyspace));
	TRY(ask(m, "columns",
		"SELECT table_name, column_name, type, kind, position FROM system_schema.columns"
		" WHERE keyspace_name = ?",
		values, 1, see_column));
	if (table_columns(&m->found, "meta") == 0)
		return ERR_NONE;
	struct str text = str_printf(
		m->op->arena, "SELECT key, value FROM %.*s.meta%c", STRF(m->keyspace), '\0');
	return ask(m, "meta", text.p, NULL, 0, see_meta);
}

/* Unquoted names, as Cassandra takes them. */
static enum err keyspace_check(struct op *op, struct str keyspace)
{
	bool is_sound = keyspace.n > 0 && keyspace.n <= 48 && ascii_is_alpha(keyspace.p[0]);
	for (size_t i = 0; is_sound && i < keyspace.n; i++) {
		char c = keyspace.p[i];
		is_sound = (c >= 'a' && c <= 'z') || ascii_is_digit(c) || c == '_';
	}
	if (!is_sound)
		return op_fail(op, ERR_INVALID,
			"cassandra_keyspace = %.*s: small letters, digits and _ are possible, at "
			"most 48",
			STRF(keyspace));
	return ERR_NONE;
}

static enum err make(struct op *op, struct cql_client *client, uint32_t usual_shards,
	const struct catalog_schema_wanted *wanted, struct buf *out)
{
	struct maker m = { .op = op,
		.client = client,
		.keyspace = cql_keyspace(client),
		.wanted = wanted,
		.out = out,
		.found = { .arena = op->arena } };
	if (usual_shards == 0 || usual_shards > CATALOG_SHARDS_MAX ||
		wanted->shard_count > CATALOG_SHARDS_MAX)
		return op_fail(op, ERR_INVALID, "between 1 and %d shards are possible",
			CATALOG_SHARDS_MAX);
	TRY(keyspace_check(op, m.keyspace));
	TRY(look(&m));
	return make_all(&m, usual_shards);
}

enum err catalog_schema_make(struct op *op, const struct config_scope *scope,
	const struct catalog_schema_wanted *wanted, struct buf *out)
{
	const struct config_scope *dict = catalog_dict_find(scope), *server;
	struct cql_client *client;
	if (!dict)
		return op_fail(
			op, ERR_INVALID, "no catalog is set: @fs_dictmap_defaults = cassandra");
	TRY(catalog_dict_server(op, dict, &server));
	TRY(cql_open(op, server, &client));
	enum err e =
		make(op, client, (uint32_t)config_u64(dict, SET_mail_shard_count), wanted, out);
	cql_close(op, client);
	return e;
}

enum err catalog_schema_make_text(struct op *op, struct str argument,
	const struct catalog_schema_wanted *wanted, struct buf *out)
{
	struct catalog_cql_argument parts;
	struct cql_client *client;
	TRY(catalog_cql_argument(op, argument, &parts));
	TRY(cql_open_text(op, parts.hosts, parts.keyspace, &client));
	enum err e = make(op, client, parts.shard_count, wanted, out);
	cql_close(op, client);
	return e;
}
