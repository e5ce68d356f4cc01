/* SPDX-License-Identifier: Apache-2.0 */
/* What is said about requests: the node's words as an error, counters, the warning about slow ones, the
 * event sql_query_finished (sheet §15). Never values. */
#include <stdio.h>

#include "cql/request_private.h"

/* As many calls in a row that fail are an outage. */
#define DOWN_CALLS    3
#define DOWN_EVERY_US (10 * US_PER_SEC)
#define IN_A_HURRY_US US_PER_SEC
#define SLOW_EVERY_US US_PER_SEC

/* ---- errors ---- */

static enum err class_of(const struct cql_error *error)
{
	switch ((unsigned)error->code) {
	case CQL_ERROR_UNAUTHORIZED:
	case CQL_ERROR_CREDENTIALS:
		return ERR_DENIED;
	case CQL_ERROR_INVALID:
		/* batch_size_fail_threshold has no code of its own */
		return str_starts(error->message, STR("Batch too large")) ? ERR_LIMIT : ERR_INVALID;
	case CQL_ERROR_SYNTAX:
	case CQL_ERROR_CONFIGURATION:
	case CQL_ERROR_FUNCTION:
	case CQL_ERROR_PROTOCOL:
		return ERR_INVALID;
	case CQL_ERROR_EXISTS:
		return ERR_EXISTS;
	default:
		return ERR_UNAVAILABLE;
	}
}

static bool is_of_schema(struct str message)
{
	return str_find_ci(message, STR("unconfigured table")) >= 0 ||
	       str_find_ci(message, STR("does not exist")) >= 0 ||
	       str_find_ci(message, STR("keyspace")) >= 0 ||
	       str_find_ci(message, STR("undefined column")) >= 0;
}

enum err cql_error_fail(struct op *op, const struct cql_error *error)
{
	enum err class = class_of(error);
	AUTO_BUF(text, OP_FAILURE_TEXT_MAX);
	buf_putf(&text, "%s", cql_error_name(error->code));
	if (error->required > 0)
		buf_putf(&text, " (%d of %d replicas at %s%s%.*s)", error->received,
			error->required, cql_consistency_name(error->consistency),
			error->write_type.n > 0 ? ", " : "",
			(int)MIN(error->write_type.n, (size_t)20), error->write_type.p);
	if (error->failures > 0)
		buf_putf(&text, " (%d failed)", error->failures);
	buf_putf(&text, ": %.*s", (int)MIN(error->message.n, (size_t)300), error->message.p);
	if (error->code == CQL_ERROR_INVALID && is_of_schema(error->message))
		buf_put(&text, STR("; `doveadm dictmap init` makes keyspace and tables"));
	return op_fail(op, class, "%.*s", STRF(buf_str(&text)));
}

void run_note(struct run *r, const struct cql_host *h)
{
	AUTO_BUF(address, 0);
	if (h)
		address_put(&address, &h->address, true);
	(void)snprintf(r->last_text, sizeof(r->last_text), "%.*s%s%.*s", STRF(buf_str(&address)),
		h ? ": " : "", LAST_TEXT_MAX - 64, r->op->failure.text);
	if (r->client->settings.logs_retries)
		event_send(r->client->event, EVENT_WARNING, "cql_attempt_failed",
			"Cassandra: an attempt at %s failed: %s",
			r->rq->count > 0 ? r->rq->items[0].statement->name : "a text",
			r->last_text);
}

/* ---- figures ---- */

static unsigned bucket_of(int64_t us)
{
	unsigned i = 0;
	for (int64_t below = 128; us >= below && i + 1 < CQL_LATENCY_BUCKETS; below <<= 1)
		i++;
	return i;
}

static enum cql_outcome outcome_of(const struct run *r, enum err e)
{
	if (e == ERR_NONE)
		return CQL_OUTCOME_OK;
	if (r->is_refused)
		return CQL_OUTCOME_QUEUE_FULL;
	if (r->is_late)
		return CQL_OUTCOME_CLIENT_TIMEOUT;
	if (r->tried_count == 0)
		return CQL_OUTCOME_NO_HOSTS;
	if (!r->has_error_code)
		return CQL_OUTCOME_OTHER;
	if (r->error_code == CQL_ERROR_READ_TIMEOUT || r->error_code == CQL_ERROR_WRITE_TIMEOUT)
		return CQL_OUTCOME_SERVER_TIMEOUT;
	return r->error_code == CQL_ERROR_UNAVAILABLE ? CQL_OUTCOME_SERVER_UNAVAILABLE
						      : CQL_OUTCOME_OTHER;
}

static void count(const struct run *r, enum err e, int64_t took_us)
{
	struct cql_client *c = r->client;
	cql_metrics_add(&c->metrics, outcome_of(r, e), took_us);
	c->counters.failures += e != ERR_NONE;
	c->counters.uncertain += e == ERR_TIMEOUT && !cql_class_reads(r->rq->class);
	if (r->rq->count == 0)
		return;
	struct cql_statement_counters *s =
		&c->statements[r->rq->items[0].statement->number]->counters;
	s->count++;
	s->errors += e != ERR_NONE;
	s->latency[bucket_of(took_us)]++;
}

/* ---- events ---- */

static struct str text_of(const struct run *r)
{
	return r->rq->count > 0 ? str_from(r->rq->items[0].statement->text) : r->rq->text;
}

static void send_finished(const struct run *r, enum err e, int64_t took_us)
{
	struct str rest = text_of(r), word = STR("");
	struct event *event =
		event_new(r->op->event ? r->op->event : r->client->event, "cassandra");
	(void)str_cut_word(&rest, &word); /* empty: none */
	if (r->client->settings.logs_queries)
		event_set_debug(event, true);
	event_set_str(event, "sql_driver", STR("cassandra"));
	event_set_str(event, "query_first_word", word);
	event_set_str(event, "consistency", str_from(cql_consistency_name(r->consistency)));
	event_set_int(event, "duration", took_us);
	if (e != ERR_NONE) {
		event_set_str(event, "error", str_from(r->op->failure.text));
		event_set_str(event, "error_code",
			str_from(r->has_error_code ? cql_error_name(r->error_code) : err_name(e)));
		event_set_str(
			event, "error_consistency", str_from(cql_consistency_name(r->consistency)));
	}
	event_send(event, EVENT_DEBUG, "sql_query_finished",
		"Cassandra: %s took %" PRId64 " us%s%s",
		r->rq->count > 0 ? r->rq->items[0].statement->name : "text", took_us,
		e == ERR_NONE ? "" : ": ", e == ERR_NONE ? "" : r->op->failure.text);
	event_unref(event);
}

/* In an outage all calls are slow: one line a second says so. */
static void warn_slow(const struct run *r, int64_t took_us)
{
	struct cql_client *c = r->client;
	int64_t at_us = now_us();
	c->counters.slow++;
	if (c->slow_told_us != 0 && at_us - c->slow_told_us < SLOW_EVERY_US) {
		c->slow_untold++;
		return;
	}
	event_send(c->event, EVENT_WARNING, "cql_query_slow",
		"Cassandra: %s took %" PRId64 " ms (%u more since the last such line)",
		r->rq->count > 0 ? r->rq->items[0].statement->name : "a text", took_us / US_PER_MS,
		c->slow_untold);
	c->slow_told_us = at_us;
	c->slow_untold = 0;
}

/* That it is down, and that it is up again: a line each, and no such pair more often than in DOWN_EVERY_US:
 * where some rows cannot be had and others can, rows of failures come and go. Callers in a hurry say nothing of
 * it, and that one call works while others fail is no outage. */
static void tell_state(const struct run *r, enum err e, int64_t took_us)
{
	struct cql_client *c = r->client;
	if (e == ERR_NONE) {
		if (c->is_down_told)
			event_send(c->event, EVENT_ERROR, "cql_store_up",
				"Cassandra is up again after %" PRId64 " s; %u calls failed",
				(now_us() - c->failing_since_us) / US_PER_SEC, c->failed_calls);
		c->is_down_told = false;
		c->failed_calls = 0;
		return;
	}
	if ((e != ERR_UNAVAILABLE && e != ERR_TIMEOUT) || c->is_closing ||
		(r->is_late && took_us < IN_A_HURRY_US))
		return;
	if (c->failed_calls++ == 0)
		c->failing_since_us = now_us();
	if (c->failed_calls < DOWN_CALLS || c->is_down_told ||
		(c->down_told_us != 0 && now_us() - c->down_told_us < DOWN_EVERY_US))
		return;
	c->is_down_told = true;
	c->down_told_us = now_us();
	event_send(c->event, EVENT_ERROR, "cql_store_down",
		"Cassandra is down: %u calls in a row failed, the last: %s", c->failed_calls,
		r->op->failure.text);
}

void cql_request_told(const struct run *r, enum err e)
{
	struct cql_client *c = r->client;
	int64_t took_us = now_us() - r->began_us;
	count(r, e, took_us);
	tell_state(r, e, took_us);
	if (c->settings.warn_us > 0 && took_us >= c->settings.warn_us)
		warn_slow(r, took_us);
	if (c->settings.logs_queries || event_is_wanted(r->op->event, EVENT_DEBUG))
		send_finished(r, e, took_us);
}
