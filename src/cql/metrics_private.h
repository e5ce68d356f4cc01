/* SPDX-License-Identifier: Apache-2.0 */
/* cql/metrics_private.h - figures of all requests of a client since it was opened. */
#pragma once

#include "base/base.h"

struct cql_client;

#define CQL_METRIC_BUCKETS 256
#define CQL_METRIC_RATES   3

enum cql_outcome {
	CQL_OUTCOME_OK,
	CQL_OUTCOME_NO_HOSTS,
	CQL_OUTCOME_QUEUE_FULL,
	CQL_OUTCOME_CLIENT_TIMEOUT,
	CQL_OUTCOME_SERVER_TIMEOUT,
	CQL_OUTCOME_SERVER_UNAVAILABLE,
	CQL_OUTCOME_OTHER,
};
#define CQL_OUTCOME_COUNT (CQL_OUTCOME_OTHER + 1)

struct cql_metrics {
	uint64_t outcomes[CQL_OUTCOME_COUNT];
	uint64_t count, count_before;
	uint64_t min_us, max_us;
	double sum_us, square_us, seconds;
	uint64_t buckets[CQL_METRIC_BUCKETS];
	double rates[CQL_METRIC_RATES]; /* requests a second, over 1, 5 and 15 minutes */
	bool has_rates;
};
void cql_metrics_add(struct cql_metrics *m, enum cql_outcome outcome, int64_t took_us);
/* The latency in µs that `share` of the requests (0 to 1) did not exceed, within an eighth. */
uint64_t cql_metrics_percentile(const struct cql_metrics *m, double share);
void cql_metrics_tick(struct cql_metrics *m, double seconds);
void cql_metrics_print(const struct cql_client *c, struct buf *out);
/* Writes cassandra_metrics_path from now on, if it is set. */
void cql_metrics_start(struct cql_client *c);
