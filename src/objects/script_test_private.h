/* SPDX-License-Identifier: Apache-2.0 */
/* A store whose server follows a script. Included by azure_test.c and sproxyd_test.c only; each has its own
 * world_open(). */
#pragma once

#include "http/test_server.h"

#include "objects/objects.h"

struct world {
	struct arena arena;
	struct op op;
	struct test_server server;
	struct objects *store;
};

/* The first part of world_open(): who the server is, is known then. */
static inline void world_listen(struct world *w, const struct act *acts, size_t count)
{
	*w = (struct world){ 0 };
	arena_init(&w->arena, 0);
	op_init(&w->op, &w->arena, NULL, now_us() + 20 * US_PER_SEC);
	test_server_open(&w->server, NULL, acts, count);
}

static inline void world_close(struct world *w)
{
	objects_close(w->store);
	test_server_close(&w->server);
	arena_done(&w->arena);
}

/* Opens `w`: query of the store's text, acts of the server. */
#define SCRIPT(query, ...)                                                                         \
	const struct act acts[] = { __VA_ARGS__ };                                                 \
	struct world w;                                                                            \
	(void)arg;                                                                                 \
	world_open(&w, query, acts, ARRAY_COUNT(acts))
#define SAW(i, text)    assert_true(str_find(str_from(w.server.requests[i]), STR(text)) >= 0)
#define SAW_NO(i, text) assert_true(str_find(str_from(w.server.requests[i]), STR(text)) < 0)
