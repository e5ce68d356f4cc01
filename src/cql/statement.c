/* SPDX-License-Identifier: Apache-2.0 */
/* Statements, and which node knows which of them.
 *
 * A node's ids survive a lost connection (nodes keep what was prepared); when a node says that it does
 * not know one, it is prepared again (request.c). One task prepares, others that need it wait for it. */
#include "cql/cql_private.h"

#define PREPARE_AGAIN_US (10 * US_PER_SEC)
#define PREPARE_US       (3 * US_PER_SEC) /* then another node is asked */

const struct cql_statement *cql_statement(
	struct cql_client *c, enum cql_class class, struct str name, struct str text)
{
	struct cql_statement *s = MEM_NEW(struct cql_statement);
	s->number = (unsigned)c->statement_count;
	s->class = class;
	s->name = str_new_z(name);
	s->text = str_new_z(text);
	s->counters.name = (struct str){ s->name, name.n };
	c->statements = mem_resize(
		c->statements, (c->statement_count + 1) * sizeof(struct cql_statement *));
	c->statements[c->statement_count++] = s;
	return s;
}

bool cql_statement_counters_next(
	const struct cql_client *c, size_t *at, struct cql_statement_counters *out)
{
	if (*at >= c->statement_count)
		return false;
	*out = c->statements[(*at)++]->counters;
	return true;
}

static struct cql_host_statement *entry_of(struct cql_host *h, const struct cql_statement *s)
{
	size_t count = h->client->statement_count;
	if (s->number >= h->statement_count) {
		h->statements = mem_resize(h->statements, count * sizeof(*h->statements));
		for (size_t i = h->statement_count; i < count; i++)
			h->statements[i] = (struct cql_host_statement){ 0 };
		h->statement_count = count;
	}
	return &h->statements[s->number];
}

bool cql_is_prepared(const struct cql_host *h, const struct cql_statement *s)
{
	return s->number < h->statement_count && h->statements[s->number].state == CQL_PREPARED;
}

void cql_forget_prepared(struct cql_host *h, const struct cql_statement *s)
{
	struct cql_host_statement *entry = entry_of(h, s);
	if (entry->state == CQL_PREPARED)
		entry->state = CQL_UNPREPARED;
}

static void learn(struct cql_client *c, unsigned number, const struct cql_prepared *p)
{
	struct cql_statement *s = c->statements[number];
	bool is_new = !s->is_known;
	s->is_known = true;
	s->value_count = p->value_count;
	memcpy(s->key, p->key, sizeof(s->key));
	s->key_count = p->key_count;
	/* The others learn it before a call needs them. */
	for (size_t i = 0; is_new && i < c->host_count; i++)
		if (cql_host_is_up(c->hosts[i]))
			cql_prepare_all(c->hosts[i]);
}

static enum err read_prepared(struct op *op, struct cql_host *h, const struct cql_statement *s,
	const struct cql_answer *answer)
{
	struct str body = answer->body;
	struct cql_error error;
	struct cql_prepared p;
	enum cql_result_kind kind;
	if (answer->opcode == CQL_OP_ERROR && cql_error_parse(body, &error))
		return op_within(op, cql_error_fail(op, &error), "statement %s", s->name);
	if (answer->opcode != CQL_OP_RESULT || !cql_result_cut_kind(&body, &kind) ||
		kind != CQL_RESULT_PREPARED || !cql_prepared_parse(body, &p))
		return op_fail(op, ERR_UNAVAILABLE,
			"statement %s: an answer to PREPARE that is none", s->name);
	struct cql_host_statement *entry = entry_of(h, s);
	mem_free(entry->id);
	entry->id = str_new_z(p.id);
	entry->id_bytes = p.id.n;
	learn(h->client, s->number, &p);
	return ERR_NONE;
}

static enum err prepare(
	struct op *op, struct cql_host *h, const struct cql_statement *s, int64_t until_us)
{
	struct cql_answer answer = { 0 };
	AUTO_BUF(body, 0);
	until_us = MIN(until_us, now_us() + PREPARE_US);
	if (!cql_connection_works(h->connection))
		return op_fail(op, ERR_UNAVAILABLE, "the connection was lost");
	struct cql_connection *connection = h->connection;
	h->client->counters.prepares++;
	/* While there is no keyspace, statements that name one in their text (system tables) are prepared; others
	 * say what they miss. */
	enum err used = cql_connection_use(op, connection, until_us);
	if (used != ERR_INVALID)
		TRY(used);
	op_forgive(op);
	if (h->connection != connection)
		return op_fail(op, ERR_UNAVAILABLE, "the connection was lost");
	cql_put_long_string(&body, str_from(s->text));
	TRY(cql_connection_ask(op, connection, CQL_OP_PREPARE, buf_str(&body), until_us, &answer));
	enum err e = read_prepared(op, h, s, &answer);
	cql_answer_done(&answer);
	return e;
}

static enum err wait_prepared(struct op *op, struct cql_host *h, int64_t until_us)
{
	int64_t deadline_us = op->deadline_us;
	op->deadline_us = MIN(deadline_us, until_us);
	enum err e = wait_queue_wait(op, &h->prepared);
	op->deadline_us = deadline_us;
	return e;
}

enum err cql_prepare(
	struct op *op, struct cql_host *h, const struct cql_statement *s, int64_t until_us)
{
	while (entry_of(h, s)->state == CQL_PREPARING)
		TRY(wait_prepared(op, h, until_us));
	if (entry_of(h, s)->state == CQL_UNPREPARED) {
		entry_of(h, s)->state = CQL_PREPARING;
		enum err e = prepare(op, h, s, until_us);
		entry_of(h, s)->state = e == ERR_NONE ? CQL_PREPARED : CQL_UNPREPARED;
		wait_queue_wake_all(&h->prepared);
		return e;
	}
	return ERR_NONE;
}

/* False: the node does not answer. What a node refuses is told where it is needed. */
static bool prepare_known(struct op *op, struct cql_host *h, bool *out_did)
{
	struct cql_client *c = h->client;
	*out_did = false;
	for (size_t i = 0; i < c->statement_count && cql_host_is_up(h); i++) {
		const struct cql_statement *s = c->statements[i];
		if (!s->is_known || cql_is_prepared(h, s))
			continue;
		enum err e = cql_prepare(op, h, s, now_us() + PREPARE_US);
		if (e == ERR_CANCELLED || e == ERR_TIMEOUT || e == ERR_UNAVAILABLE)
			return false;
		*out_did |= e == ERR_NONE;
	}
	return true;
}

static void prepare_all(struct op *op, void *arg)
{
	struct cql_host *h = arg;
	bool did = true;
	/* Others may become known meanwhile. */
	while (did && cql_host_is_up(h) && !h->client->is_closing) {
		if (!prepare_known(op, h, &did))
			did = task_sleep(op, PREPARE_AGAIN_US) == ERR_NONE;
	}
	h->is_preparing_all = false;
}

void cql_prepare_all(struct cql_host *h)
{
	if (h->is_preparing_all)
		return;
	h->is_preparing_all = true;
	h->preparer = cql_task_start(h->client, "cql prepare", prepare_all, h);
}
