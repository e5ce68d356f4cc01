/* SPDX-License-Identifier: Apache-2.0 */
/* objects/s3_test_private.h - an S3 store and a server that answers it by script; for s3*_test.c alone. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "http/test_server.h"
#include "objects/s3_private.h"

struct world {
	struct arena arena;
	struct op op;
	struct test_server server;
	struct objects *store;
	struct act acts[16];
	size_t act_count;
	const char *parameters;
};

/* Adds a reply to the script. */
static inline void then(struct world *w, const char *status, const char *headers, const char *body)
{
	ASSERT(w->act_count < ARRAY_COUNT(w->acts));
	w->acts[w->act_count++].reply = str_printf(&w->arena,
		"HTTP/1.1 %s\r\nContent-Length: %zu\r\nx-amz-request-id: R\r\n%s\r\n%s", status,
		strlen(body), headers, body);
}

static inline void world_open(struct world *w, const char *parameters)
{
	*w = (struct world){ 0 };
	arena_init(&w->arena, 0);
	op_init(&w->op, &w->arena, NULL, now_us() + 60 * US_PER_SEC);
	test_server_open(&w->server, NULL, w->acts, 0);
	w->parameters = parameters;
}

/* What is to be answered from now on, to a store that has just been opened. */
static inline void script(struct world *w)
{
	objects_close(w->store);
	test_server_script(&w->server, w->acts, w->act_count);
	w->act_count = 0;
	assert_ok(objects_open_text(&w->op,
		str_printf(&w->arena, "s3(http://key:secret@127.0.0.1:%u/bucket/at%s)",
			w->server.port, w->parameters),
		&w->store));
}

static inline void world_close(struct world *w)
{
	objects_close(w->store);
	test_server_close(&w->server);
	arena_done(&w->arena);
}

static inline bool sent(const struct world *w, size_t request, const char *text)
{
	assert_true(request < w->server.request_count);
	return str_find_ci(str_from(w->server.requests[request]), str_from(text)) >= 0;
}

/* Checks class and a part of the operator's text. */
#define assert_failure(w, expr, class, words)                                                      \
	do {                                                                                       \
		assert_err(expr, class);                                                           \
		assert_non_null(strstr((w)->op.failure.text, words));                              \
		op_forgive(&(w)->op);                                                              \
	} while (0)

#define ERROR(code) "<Error><Code>" code "</Code><Message>m</Message></Error>"
#define HELLO_CRC   "x-amz-meta-pombal-crc32c: 9a71bb4c\r\n" /* of "hello" */

#define IN_TASK(fn)                                                                                \
	static void fn##_(void **state)                                                            \
	{                                                                                          \
		test_in_task(fn, *state);                                                          \
	}
