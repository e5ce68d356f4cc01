/* SPDX-License-Identifier: Apache-2.0 */
/* A catalog that is open while a test runs, in a task on a real loop. Included by *_test.h only. */
#pragma once

#include "base/test.h"
#include "catalog/catalog.h"
#include "task/task.h"

struct variant;
struct place {
	const struct variant *variant; /* contract_test.h */
	struct op *op;
	struct catalog *catalog;
	struct str text;
	void (*body)(struct place *p);
};

static inline void place_task(void *arg)
{
	struct place *p = arg;
	assert_ok(catalog_open_text(p->op, p->text, &p->catalog));
	p->body(p);
	catalog_close(p->op, p->catalog);
	loop_stop();
}

/* Op, text and body are set. */
static inline void place_run(struct place *p)
{
	assert_ok(loop_open(p->op, NULL));
	task_start("test", place_task, p);
	loop_run();
	loop_close();
}
