/* SPDX-License-Identifier: Apache-2.0 */
/* objects/aws_private.h - the source of keys, for aws_keys.c and aws_fetch.c alone. */
#pragma once

#include "objects/aws_keys.h"
#include "task/task.h"

enum aws_kind { AWS_FIXED, AWS_METADATA, AWS_CONTAINER, AWS_IDENTITY };

struct aws_source {
	/* owned */
	struct arena arena; /* of the settings */
	struct aws_source_settings settings;
	enum aws_kind kind;
	struct http_client *http;
	struct event *event;
	char *keys_memory; /* one block for the texts of `keys` */
	struct aws_keys keys;
	bool has_keys;
	int64_t fetched_us; /* monotonic: when `keys` came */
	int64_t ends_us;    /* monotonic: until when `keys` are used; TIME_NEVER */
	struct timer timer; /* when others are to be fetched */
	/* the fetch under way */
	struct task_handle fetching;
	uint64_t fetch_count; /* ended ones */
	struct wait_queue fetched;
	int64_t failed_us; /* when the last fetch failed; 0: it did not */
	char failure[OP_FAILURE_TEXT_MAX];
	unsigned refs; /* the owner and the fetching task */
	bool is_closed;
};

/* WAITS. Asks the source once, with all its steps. */
enum err aws_fetch(struct op *op, struct aws_source *s, struct aws_fetched *out);
