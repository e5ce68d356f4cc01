/* SPDX-License-Identifier: Apache-2.0 */
/* Tests that run on every kind of driver: SCENARIO(name) makes of name(world) the test function test_name. */
#pragma once

#include "store/world_test.h"

typedef void world_scenario_fn(struct world *w);
struct world_run {
	world_scenario_fn *fn;
	bool is_on_disk;
};

static inline void world_run_task(void *arg)
{
	struct world_run *r = arg;
	struct world *w = world_open(r->is_on_disk);
	r->fn(w);
	world_close(w);
}

/* In virtual time, with each kind of catalog. */
static inline void world_in_memory(task_fn *fn, void *arg)
{
	for (int loose = 0; loose < 2; loose++) {
		world_is_loose = loose;
		test_in_virtual_task(fn, arg);
	}
	world_is_loose = false;
}

static inline void world_run_in_memory(world_scenario_fn *fn)
{
	struct world_run r = { fn, false };
	world_in_memory(world_run_task, &r);
}

static inline void world_run_all(world_scenario_fn *fn)
{
	struct world_run r = { fn, true };
	world_run_in_memory(fn);
	test_in_task(world_run_task, &r);
}

#define SCENARIO(name)                                                                             \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		world_run_all(name);                                                               \
	}

/* The same for what only virtual time or planned faults can show. */
#define MEMORY_SCENARIO(name)                                                                      \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		world_run_in_memory(name);                                                         \
	}
