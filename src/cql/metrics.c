/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of a client as JSON, in the file cassandra_metrics_path, written anew every second (sheet §11.7);
 * and the histogram they come from.
 *
 * Latencies fall into 8 steps for each doubling, so percentiles are right within an eighth. */
#include "cql/metrics_private.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "cql/cql_private.h"

#define INTERVAL_US US_PER_SEC
#define STEPS_LOG2  3
#define STEPS       (1 << STEPS_LOG2)

/* ---- the histogram ---- */

static size_t bucket_of(uint64_t us)
{
	if (us < STEPS)
		return (size_t)us;
	unsigned octave = 63U - (unsigned)__builtin_clzll(us);
	size_t step = us >> (octave - STEPS_LOG2) & (STEPS - 1);
	return MIN(
		(size_t)(octave - STEPS_LOG2 + 1) * STEPS + step, (size_t)CQL_METRIC_BUCKETS - 1);
}

/* The smallest latency of a bucket. */
static uint64_t floor_of(size_t bucket)
{
	if (bucket < STEPS)
		return bucket;
	return (uint64_t)(STEPS + bucket % STEPS) << (bucket / STEPS - 1);
}

void cql_metrics_add(struct cql_metrics *m, enum cql_outcome outcome, int64_t took_us)
{
	uint64_t us = took_us > 0 ? (uint64_t)took_us : 0;
	m->outcomes[outcome]++;
	m->min_us = m->count == 0 ? us : MIN(m->min_us, us);
	m->max_us = MAX(m->max_us, us);
	m->count++;
	m->sum_us += (double)us;
	m->square_us += (double)us * (double)us;
	m->buckets[bucket_of(us)]++;
}

uint64_t cql_metrics_percentile(const struct cql_metrics *m, double share)
{
	double wanted = share * (double)m->count, seen = 0;
	for (size_t i = 0; i < CQL_METRIC_BUCKETS; i++) {
		seen += (double)m->buckets[i];
		if (m->buckets[i] > 0 && seen >= wanted)
			return MIN(MAX(floor_of(i), m->min_us), m->max_us);
	}
	return 0;
}

/* Means over the last 1, 5 and 15 minutes, where older seconds count less. */
void cql_metrics_tick(struct cql_metrics *m, double seconds)
{
	static const double minutes[CQL_METRIC_RATES] = { 1, 5, 15 };
	double now = seconds > 0 ? (double)(m->count - m->count_before) / seconds : 0;
	for (size_t i = 0; i < CQL_METRIC_RATES; i++)
		m->rates[i] =
			m->has_rates ? m->rates[i] + (now - m->rates[i]) *
							     (1 - exp(-seconds / (60 * minutes[i])))
				     : now;
	m->has_rates = true;
	m->count_before = m->count;
	m->seconds += seconds;
}

/* ---- the text ---- */

static void put_requests(struct buf *out, const struct cql_metrics *m)
{
	static const struct {
		const char *name;
		double share;
	} shares[] = { { "median", 0.5 }, { "percentile_75th", 0.75 }, { "percentile_95th", 0.95 },
		{ "percentile_98th", 0.98 }, { "percentile_99th", 0.99 },
		{ "percentile_999th", 0.999 } };
	double n = m->count > 0 ? (double)m->count : 1, mean = m->sum_us / n;
	double variance = MAX(m->square_us / n - mean * mean, 0.0);
	buf_putf(out,
		"\"requests\":{\"min\":%" PRIu64 ",\"max\":%" PRIu64
		",\"mean\":%.0f,\"stddev\":%.0f",
		m->min_us, m->max_us, mean, sqrt(variance));
	for (size_t i = 0; i < ARRAY_COUNT(shares); i++)
		buf_putf(out, ",\"%s\":%" PRIu64, shares[i].name,
			cql_metrics_percentile(m, shares[i].share));
	buf_putf(out,
		",\"mean_rate\":%.1f,\"one_minute_rate\":%.1f,\"five_minute_rate\":%.1f,"
		"\"fifteen_minute_rate\":%.1f}",
		m->seconds > 0 ? (double)m->count / m->seconds : 0, m->rates[0], m->rates[1],
		m->rates[2]);
}

static void put_queries(struct buf *out, const struct cql_metrics *m, const struct cql_counters *n)
{
	static const char *const names[CQL_OUTCOME_COUNT] = { [CQL_OUTCOME_OK] = "recv_ok",
		[CQL_OUTCOME_NO_HOSTS] = "recv_err_no_hosts",
		[CQL_OUTCOME_QUEUE_FULL] = "recv_err_queue_full",
		[CQL_OUTCOME_CLIENT_TIMEOUT] = "recv_err_client_timeout",
		[CQL_OUTCOME_SERVER_TIMEOUT] = "recv_err_server_timeout",
		[CQL_OUTCOME_SERVER_UNAVAILABLE] = "recv_err_server_unavailable",
		[CQL_OUTCOME_OTHER] = "recv_err_other" };
	buf_putf(out, "\"queries\":{\"sent\":%" PRIu64, n->attempts);
	for (size_t i = 0; i < CQL_OUTCOME_COUNT; i++)
		buf_putf(out, ",\"%s\":%" PRIu64, names[i], m->outcomes[i]);
	buf_putf(out, ",\"slow\":%" PRIu64 "}", n->slow);
}

static void put_statements(struct buf *out, const struct cql_client *c)
{
	struct cql_statement_counters s;
	size_t at = 0;
	buf_put(out, STR("\"statements\":{"));
	while (cql_statement_counters_next(c, &at, &s)) {
		/* Names are ours: letters and signs that JSON takes as they are. */
		buf_putf(out,
			"%s\"%.*s\":{\"count\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"latency\":[",
			at > 1 ? "," : "", STRF(s.name), s.count, s.errors);
		for (size_t i = 0; i < CQL_LATENCY_BUCKETS; i++)
			buf_putf(out, "%s%" PRIu64, i > 0 ? "," : "", s.latency[i]);
		buf_put(out, STR("]}"));
	}
	buf_put_byte(out, '}');
}

void cql_metrics_print(const struct cql_client *c, struct buf *out)
{
	const struct cql_metrics *m = &c->metrics;
	struct cql_counters n = cql_counters(c);
	buf_put_byte(out, '{');
	put_requests(out, m);
	buf_putf(out,
		",\"stats\":{\"total_connections\":%" PRIu64 ",\"hosts\":%" PRIu64
		",\"in_flight\":%" PRIu64 ",\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64
		",\"fallbacks\":%" PRIu64 ",\"retries\":%" PRIu64 ",\"speculations\":%" PRIu64
		",\"prepares\":%" PRIu64 "}",
		n.connections, n.hosts, n.in_flight, n.bytes_in, n.bytes_out, n.fallbacks,
		n.retries, n.speculations, n.prepares);
	buf_putf(out, ",\"errors\":{\"request_timeouts\":%" PRIu64 ",\"uncertain\":%" PRIu64 "},",
		m->outcomes[CQL_OUTCOME_CLIENT_TIMEOUT], n.uncertain);
	put_queries(out, m, &n);
	buf_put_byte(out, ',');
	put_statements(out, c);
	buf_put(out, STR("}\n"));
}

/* ---- the file ---- */

/* Beside it, then over it: readers never see half of one. Not synced: it is old in a second. */
static enum err replace(struct op *op, const char *path, struct buf *content)
{
	AUTO_BUF(beside, 0);
	buf_putf(&beside, "%s.tmp", path);
	buf_put_byte(&beside, '\0');
	AUTO_FD(fd, open(beside.p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
	if (fd < 0)
		return op_fail_errno(op, "open %s", beside.p);
	TRY(file_write_all(op, fd, buf_str(content)));
	if (rename(beside.p, path) != 0)
		return op_fail_errno(op, "rename %s", beside.p);
	return ERR_NONE;
}

static enum err write_file(struct op *op, struct cql_client *c)
{
	AUTO_BUF(text, 0);
	cql_metrics_print(c, &text);
	return offload_file(op, replace, c->settings.metrics_path, &text);
}

static void metrics_task(struct op *op, void *arg)
{
	struct cql_client *c = arg;
	int64_t before_us = now_us();
	bool is_told = false;
	while (!c->is_closing && task_sleep(op, INTERVAL_US) == ERR_NONE) {
		int64_t at_us = now_us();
		cql_metrics_tick(&c->metrics, (double)(at_us - before_us) / US_PER_SEC);
		before_us = at_us;
		enum err e = write_file(op, c);
		if (e == ERR_CANCELLED)
			break;
		if (e != ERR_NONE && !is_told)
			event_send(c->event, EVENT_WARNING, "cql_metrics_failed",
				"cassandra_metrics_path: %s", op->failure.text);
		is_told = e != ERR_NONE;
	}
}

void cql_metrics_start(struct cql_client *c)
{
	if (c->settings.metrics_path.n > 0)
		c->metrics_writer = cql_task_start(c, "cql metrics", metrics_task, c);
}
