/* SPDX-License-Identifier: Apache-2.0 */
/* One request, from a call to its answer: attempts at nodes, one after the other or (speculation) beside
 * each other, until one is definite or time is over.
 *
 * Judging what an attempt's end means:
 *   done       a result
 *   same       the node had forgotten a statement: prepare and send again
 *   next       may succeed elsewhere: the next node, perhaps with the fallback consistency (sheet §11.6)
 *   failed     will fail everywhere
 * Attempts at nodes that stand still are waited for as long as nothing else is known; once a node that
 * answers has refused, and no other is left, that counts.
 *
 * A write is uncertain when an attempt was sent and was not certainly refused, and no later one worked:
 * it then fails with ERR_TIMEOUT whatever the last attempt said. */
#include "cql/request_private.h"

#define PREPARE_AGAIN_MAX 3
#define REPLICA_RETRIES                                                                            \
	1 /* after timeouts and failures of replicas: another node asks the same ones */

enum verdict { VERDICT_DONE, VERDICT_SAME, VERDICT_NEXT, VERDICT_FAILED };

/* ---- sending ---- */

static int64_t stamp_of(const struct cql_request *rq)
{
	return cql_class_reads(rq->class) || rq->kind == CQL_REQUEST_TEXT ? INT64_MIN
									  : rq->stamp_us;
}

/* Every id is there: nothing waits between the first and the frame. */
static void put_body(struct run *r, const struct cql_host *h, struct buf *body)
{
	const struct cql_request *rq = r->rq;
	struct cql_parameters p = { .consistency = r->consistency,
		.page_size = rq->page_size,
		.page_state = rq->page_state,
		.stamp_us = stamp_of(rq),
		.wants_no_metadata = true };
	if (rq->kind == CQL_REQUEST_TEXT) {
		cql_put_query(body, rq->text, &p);
		return;
	}
	if (rq->kind == CQL_REQUEST_BATCH)
		cql_put_batch_begin(body, rq->is_logged, rq->count);
	for (size_t i = 0; i < rq->count; i++) {
		const struct cql_bound *b = &rq->items[i];
		const struct cql_host_statement *s = &h->statements[b->statement->number];
		struct str id = { s->id, s->id_bytes };
		if (rq->kind == CQL_REQUEST_BATCH) {
			cql_put_batch_item(body, id, b->values, b->count);
			continue;
		}
		p.values = b->values;
		p.count = b->count;
		cql_put_execute(body, id, &p);
	}
	if (rq->kind == CQL_REQUEST_BATCH)
		cql_put_batch_end(body, r->consistency, rq->stamp_us);
}

static enum err prepare_items(struct run *r, struct cql_host *h)
{
	/* While one is prepared another may be forgotten. */
	for (unsigned round = 0; !run_is_prepared(r, h); round++) {
		if (round > PREPARE_AGAIN_MAX)
			return op_fail(r->op, ERR_UNAVAILABLE,
				"the node forgets prepared statements at once");
		for (size_t i = 0; i < r->rq->count; i++)
			TRY(cql_prepare(r->op, h, r->rq->items[i].statement, r->until_us));
	}
	for (size_t i = 0; i < r->rq->count; i++) {
		const struct cql_bound *b = &r->rq->items[i];
		if (b->count != b->statement->value_count)
			return op_fail(r->op, ERR_INVALID, "statement %s takes %zu values, not %zu",
				b->statement->name, b->statement->value_count, b->count);
	}
	return ERR_NONE;
}

/* ERR_UNAVAILABLE: this node cannot be sent to; another may. */
static enum err send_to(struct run *r, struct cql_host *h)
{
	struct attempt *a = NULL;
	AUTO_BUF(body, 0);
	enum err e = prepare_items(r, h);
	if (e == ERR_TIMEOUT && now_us() < r->until_us)
		e = op_fail(r->op, ERR_UNAVAILABLE, "the node does not answer a PREPARE");
	TRY(e);
	for (size_t i = 0; i < ATTEMPTS_MAX && !a; i++)
		if (r->attempts[i].call.state == CQL_CALL_IDLE)
			a = &r->attempts[i];
	if (!a || !cql_connection_works(h->connection))
		return op_fail(r->op, ERR_UNAVAILABLE, "the connection was lost");
	put_body(r, h, &body);
	if (body.n > CQL_BODY_MAX)
		return op_fail(r->op, ERR_LIMIT, "a request of %zu bytes", body.n);
	static const enum cql_opcode opcodes[] = { [CQL_REQUEST_EXECUTE] = CQL_OP_EXECUTE,
		[CQL_REQUEST_BATCH] = CQL_OP_BATCH,
		[CQL_REQUEST_TEXT] = CQL_OP_QUERY };
	if (!cql_connection_send(
		    h->connection, opcodes[r->rq->kind], buf_str(&body), &a->call, &r->answered))
		return op_fail(r->op, ERR_UNAVAILABLE, "the node has too much to do");
	a->host = h;
	a->consistency = r->consistency;
	a->sent_us = now_us();
	r->live++;
	r->client->counters.attempts++;
	return ERR_NONE;
}

/* ---- going on ---- */

/* Sends to the best node that was not tried. */
static enum err send_next(struct run *r)
{
	struct cql_host *h = NULL;
	for (;;) {
		TRY(run_next_host(r, &h));
		if (r->tried_count == TRIED_MAX)
			return run_no_host(r);
		r->tried[r->tried_count++] = h;
		enum err e = send_to(r, h);
		if (e != ERR_UNAVAILABLE)
			return e;
		run_note(r, h);
	}
}

/* ---- judging ---- */

/* An attempt at the primary consistency failed in a way that the fallback may help. */
static void fall_back(struct run *r)
{
	struct cql_client *c = r->client;
	struct cql_fallback *f = &c->classes[r->rq->class];
	if (r->rq->kind == CQL_REQUEST_TEXT || r->rq->page_state.n > 0 ||
		r->consistency != f->primary || f->fallback == f->primary)
		return;
	if (cql_fallback_failed(f, now_us()))
		event_send(c->event, EVENT_WARNING, "cql_consistency_fell_back",
			"Cassandra: consistency %s cannot be had (%s): using %s",
			cql_consistency_name(f->primary), r->last_text,
			cql_consistency_name(f->fallback));
	r->consistency = f->fallback;
	r->tried_count = 0;
	r->replica_retries = 0;
	c->counters.fallbacks++;
}

static enum verdict retry(struct run *r, bool is_certain, bool is_of_replicas)
{
	enum cql_consistency before = r->consistency;
	r->is_uncertain |= !is_certain;
	/* A change of the schema is not sent twice while the first may still be under way. */
	if (r->rq->kind == CQL_REQUEST_TEXT && !is_certain)
		return VERDICT_FAILED;
	fall_back(r);
	if (before != r->consistency || !is_of_replicas)
		return VERDICT_NEXT;
	return r->replica_retries++ < REPLICA_RETRIES ? VERDICT_NEXT : VERDICT_FAILED;
}

static enum verdict judge_error(struct run *r, struct attempt *a, const struct cql_error *error)
{
	r->error_code = error->code;
	r->has_error_code = true;
	r->failure = cql_error_fail(r->op, error);
	run_note(r, a->host);
	switch ((unsigned)error->code) {
	case CQL_ERROR_UNPREPARED:
		for (size_t i = 0; i < r->rq->count; i++)
			cql_forget_prepared(a->host, r->rq->items[i].statement);
		return r->prepared_again++ < PREPARE_AGAIN_MAX ? VERDICT_SAME : VERDICT_FAILED;
	case CQL_ERROR_OVERLOADED:
	case CQL_ERROR_BOOTSTRAPPING:
		return retry(r, true, false);
	case CQL_ERROR_UNAVAILABLE:
		return retry(r, true, true);
	case CQL_ERROR_SERVER:
	case CQL_ERROR_TRUNCATE:
		return retry(r, false, false);
	case CQL_ERROR_READ_TIMEOUT:
	case CQL_ERROR_READ_FAILURE:
	case CQL_ERROR_WRITE_TIMEOUT:
	case CQL_ERROR_WRITE_FAILURE:
		return retry(r, false, true);
	default:
		/* Of errors with a class of their own it is known that they come before the write. */
		r->is_uncertain |= r->failure == ERR_UNAVAILABLE;
		return VERDICT_FAILED;
	}
}

static enum verdict failed(struct run *r, const struct attempt *a, enum err class, const char *why)
{
	r->failure = op_fail(r->op, class, "%s", why);
	run_note(r, a->host);
	return VERDICT_FAILED;
}

static enum verdict judge(struct run *r, struct attempt *a)
{
	struct cql_error error;
	struct cql_answer *answer = &a->call.answer;
	if (a->call.state == CQL_CALL_LOST) {
		(void)failed(r, a, ERR_UNAVAILABLE, "the connection was lost before the answer");
		return retry(r, false, false);
	}
	if (a->call.state == CQL_CALL_TOO_BIG) {
		r->is_uncertain = true;
		return failed(r, a, ERR_LIMIT,
			"the answer is too big: set cassandra_page_size, or make it smaller");
	}
	cql_host_answered(a->host, now_us() - a->sent_us);
	if (answer->opcode == CQL_OP_RESULT && cql_result_cut_kind(&answer->body, &r->kind))
		return VERDICT_DONE;
	if (answer->opcode == CQL_OP_ERROR && cql_error_parse(answer->body, &error))
		return judge_error(r, a, &error);
	r->is_uncertain = true;
	return failed(r, a, ERR_UNAVAILABLE, "an answer that was not expected");
}

/* ---- the loop ---- */

static struct attempt *ended_attempt(struct run *r)
{
	for (size_t i = 0; i < ATTEMPTS_MAX; i++)
		if (r->attempts[i].call.state > CQL_CALL_SENT)
			return &r->attempts[i];
	return NULL;
}

static bool may_speculate(const struct run *r)
{
	const struct cql_settings *s = &r->client->settings;
	return r->rq->kind != CQL_REQUEST_TEXT && s->speculation_us > 0 &&
	       r->speculated < MIN(s->speculation_times, ATTEMPTS_MAX - 1U) &&
	       r->tried_count < TRIED_MAX;
}

/* A second node gets the same request; one that knows the statements, because the first may answer
 * while we would prepare. Where there is none now, one is looked for again: a node that answers, but slowly,
 * seems to stand still in between. */
static void speculate(struct run *r)
{
	bool is_full;
	r->speculate_at_us += r->client->settings.speculation_us;
	struct cql_host *h = run_choose(r, &is_full);
	if (!h || !run_is_prepared(r, h))
		return;
	r->speculated++;
	r->tried[r->tried_count++] = h;
	if (send_to(r, h) == ERR_NONE)
		r->client->counters.speculations++;
}

/* WAITS for an attempt to end; NULL: it is time to speculate, or to look who may still answer. */
static enum err wait_attempt(struct run *r, struct attempt **out)
{
	while ((*out = ended_attempt(r)) == NULL) {
		int64_t until_us = r->until_us;
		if (may_speculate(r))
			until_us = MIN(until_us, r->speculate_at_us);
		if (r->has_failed)
			until_us = MIN(until_us, r->look_at_us);
		enum err e = run_wait(r, &r->answered, until_us);
		if (e == ERR_TIMEOUT && now_us() >= until_us &&
			now_us() < MIN(r->until_us, r->op->deadline_us))
			return ERR_NONE;
		TRY(e);
	}
	return ERR_NONE;
}

static bool may_hear(const struct run *r)
{
	for (size_t i = 0; i < ATTEMPTS_MAX; i++)
		if (r->attempts[i].call.state == CQL_CALL_SENT &&
			!cql_host_is_silent(r->attempts[i].host))
			return true;
	return false;
}

/* Nothing has ended, but it is time to do something about that. */
static enum err look_around(struct run *r)
{
	int64_t now = now_us();
	if (may_speculate(r) && now >= r->speculate_at_us)
		speculate(r);
	if (!r->has_failed || now < r->look_at_us)
		return ERR_NONE;
	if (!may_hear(r))
		return op_fail(r->op, r->failure, "%s", r->last_text);
	r->look_at_us = now + cql_silence_us(r->client);
	return ERR_NONE;
}

/* The whole time is over. Where the caller has more, the fallback consistency gets a try. */
static enum err time_is_over(struct run *r)
{
	enum cql_consistency before = r->consistency;
	r->is_uncertain |= r->live > 0;
	r->is_late = true;
	r->failure = op_fail(r->op, ERR_TIMEOUT, "no answer from Cassandra within %" PRId64 " ms",
		(now_us() - r->began_us) / US_PER_MS);
	run_note(r, NULL);
	/* A caller in a hurry says nothing about the cluster. */
	if (now_us() >= r->op->deadline_us)
		return r->failure;
	fall_back(r);
	if (before == r->consistency)
		return r->failure;
	r->until_us = MIN(r->op->deadline_us, now_us() + r->client->settings.request_us);
	return send_next(r);
}

static enum err act(struct run *r, struct attempt *a, enum verdict v)
{
	struct cql_host *h = a->host;
	cql_call_leave(&a->call);
	r->live--;
	r->has_failed = r->has_failed || v != VERDICT_SAME;
	r->look_at_us = now_us() + cql_silence_us(r->client);
	/* Another attempt may still succeed. */
	if (v == VERDICT_FAILED)
		return r->failure == ERR_UNAVAILABLE && may_hear(r) ? ERR_NONE : r->failure;
	r->client->counters.retries++;
	if (v == VERDICT_SAME) {
		enum err e = send_to(r, h);
		if (e != ERR_UNAVAILABLE)
			return e;
		run_note(r, h);
	}
	enum err e = send_next(r);
	return e == ERR_UNAVAILABLE && may_hear(r) ? ERR_NONE : e;
}

static enum err run_loop(struct run *r, struct cql_answer *out, struct cql_host **out_host)
{
	struct attempt *a;
	TRY(send_next(r));
	r->speculate_at_us = now_us() + r->client->settings.speculation_us;
	for (;;) {
		enum err e = wait_attempt(r, &a);
		if (e == ERR_TIMEOUT) {
			TRY(time_is_over(r));
			continue;
		}
		TRY(e);
		if (!a) {
			TRY(look_around(r));
			continue;
		}
		enum verdict v = judge(r, a);
		if (v == VERDICT_DONE) {
			r->answered_at = a->consistency;
			*out_host = a->host;
			*out = a->call.answer;
			a->call.answer = (struct cql_answer){ 0 };
			return ERR_NONE;
		}
		TRY(act(r, a, v));
	}
}

static void leave_attempts(struct run *r)
{
	r->is_uncertain |= r->live > 0;
	for (size_t i = 0; i < ATTEMPTS_MAX; i++)
		cql_call_leave(&r->attempts[i].call);
}

/* See the head of this file. */
static enum err settle(struct run *r, enum err e)
{
	if (e == ERR_NONE || e == ERR_CANCELLED)
		return e;
	if (!cql_class_reads(r->rq->class) && r->is_uncertain)
		return op_fail(r->op, ERR_TIMEOUT, "it is not known whether it was applied: %s",
			r->last_text);
	if (!cql_class_reads(r->rq->class) && e == ERR_TIMEOUT)
		return op_fail(r->op, ERR_UNAVAILABLE, "%s", r->last_text);
	return e;
}

enum err cql_request_run(struct op *op, struct cql_client *c, const struct cql_request *rq,
	enum cql_result_kind *out_kind, struct cql_answer *out, struct cql_host **out_host)
{
	struct run r = { .op = op, .client = c, .rq = rq, .began_us = now_us() };
	struct cql_fallback *f = &c->classes[rq->class];
	r.until_us = MIN(op->deadline_us, r.began_us + c->settings.request_us);
	r.consistency = rq->kind == CQL_REQUEST_TEXT || rq->page_state.n > 0
				? f->primary
				: cql_fallback_choose(f, r.began_us);
	c->counters.requests++;
	enum err e = run_loop(&r, out, out_host);
	if (e != ERR_NONE && r.last_text[0] == '\0')
		run_note(&r, NULL);
	leave_attempts(&r);
	e = settle(&r, e);
	if (e == ERR_NONE) {
		*out_kind = r.kind;
		if (rq->kind != CQL_REQUEST_TEXT && r.answered_at == f->primary)
			cql_fallback_succeeded(f);
	}
	cql_request_told(&r, e);
	return e;
}
