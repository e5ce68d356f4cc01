/* SPDX-License-Identifier: Apache-2.0 */
/* cql/request_private.h - a request under way: shared by request.c (attempts) and report.c (what is said
 * about it). */
#pragma once

#include "cql/cql_private.h"

#define ATTEMPTS_MAX  4 /* at once: the first and speculations */
#define TRIED_MAX     8
#define LAST_TEXT_MAX 320

struct attempt {
	struct cql_call call;
	struct cql_host *host;
	enum cql_consistency consistency;
	int64_t sent_us;
};
struct run {
	/* borrowed */
	struct op *op;
	struct cql_client *client;
	const struct cql_request *rq;
	int64_t began_us, until_us;
	int64_t speculate_at_us;
	int64_t look_at_us; /* once an attempt has failed: when it is asked whether others may still answer */
	struct attempt attempts[ATTEMPTS_MAX];
	size_t live;
	struct wait_queue answered;
	struct cql_host *tried[TRIED_MAX];
	size_t tried_count;
	enum cql_consistency consistency, answered_at;
	enum cql_result_kind kind;
	unsigned replica_retries, prepared_again, speculated;
	bool is_uncertain, has_failed, has_error_code, is_late, is_refused; /* too many wait */
	enum err failure;               /* of the last attempt */
	enum cql_error_code error_code; /* of the last answer that was one */
	char last_text[LAST_TEXT_MAX];  /* "" while nothing failed */
};

/* Keeps the op's failure as the last one, with the node it came from (NULL: none). */
void run_note(struct run *r, const struct cql_host *h);
/* Does the host know all statements of the request? */
bool run_is_prepared(const struct run *r, const struct cql_host *h);
/* NULL: none that was not tried. *out_full: there were some, but they have too much in flight. */
struct cql_host *run_choose(struct run *r, bool *out_full);
/* WAITS until a node that was not tried can be sent to. ERR_UNAVAILABLE: there is none. */
enum err run_next_host(struct run *r, struct cql_host **out);
/* Fails because there is none. */
enum err run_no_host(struct run *r);
/* WAITS on `q`, at most until `until_us` (and op's deadline). */
enum err run_wait(struct run *r, struct wait_queue *q, int64_t until_us);
/* Counts, logs what was slow, sends sql_query_finished. */
void cql_request_told(const struct run *r, enum err e);
