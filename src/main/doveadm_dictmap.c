/* SPDX-License-Identifier: Apache-2.0 */
/* doveadm dictmap: keyspace and tables of a catalog in Cassandra (catalog/schema.h). */
#include <getopt.h>
#include <stdio.h>

#include "base/number.h"
#include "catalog/schema.h"
#include "main/doveadm.h"
#include "task/task.h"

#define DICTMAP_US (10 * 60 * US_PER_SEC) /* clusters agree on tables slowly */

struct dictmap {
	struct doveadm *d;
	const struct config_scope *obox;
	struct catalog_schema_wanted wanted;
	struct buf out;
	enum err result;
};

/* In a way that scripts can tell apart: refused, wrong, or for the moment. */
static int exit_status(enum err e)
{
	if (e == ERR_CONFLICT)
		return EXIT_FAILED;
	return e == ERR_INVALID || e == ERR_UNSUPPORTED ? EXIT_FATAL : EXIT_TEMP_FAIL;
}

static int run_dictmap(struct dictmap *m, void (*task)(void *arg))
{
	struct op *op = m->d->op;
	m->d->reads_files = true;
	if (doveadm_need_config(m->d) != ERR_NONE)
		return doveadm_fail(m->d, EXIT_FATAL);
	m->obox = config_block_get(config_scope(m->d->config, NULL), BLOCK_obox, STR_NONE);
	op->deadline_us = now_us() + DICTMAP_US;
	if (doveadm_run_task(m->d, task, m) != ERR_NONE)
		return doveadm_fail(m->d, EXIT_TEMP_FAIL);
	fwrite(m->out.p, 1, m->out.n, stdout);
	buf_done(&m->out);
	return m->result == ERR_NONE ? 0 : doveadm_fail(m->d, exit_status(m->result));
}

static void init_task(void *arg)
{
	struct dictmap *m = arg;
	m->result = catalog_schema_make(m->d->op, m->obox, &m->wanted, &m->out);
	loop_stop();
}

static bool read_options(struct doveadm *d, struct catalog_schema_wanted *wanted)
{
	static const struct option options[] = {
		{ "dry-run", no_argument, NULL, 'n' },
		{ "replication", required_argument, NULL, 'r' },
		{ "shards", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	int option;
	opterr = 0;
	optind = 1;
	/* getopt_long() wants a word before the arguments: the command's own stands there. */
	while ((option = getopt_long(d->arg_count + 1, d->args - 1, "", options, NULL)) != -1) {
		if (option == 'n')
			wanted->is_dry = true;
		else if (option == 'r' && optarg[0])
			wanted->replication = str_from(optarg);
		else if (option != 's' ||
			 !number_parse_u32(str_from(optarg), &wanted->shard_count) ||
			 wanted->shard_count == 0)
			return false;
	}
	return optind == d->arg_count + 1;
}

int doveadm_dictmap_init(struct doveadm *d)
{
	struct dictmap m = { .d = d };
	if (!read_options(d, &m.wanted))
		return doveadm_usage(d);
	return run_dictmap(&m, init_task);
}

static void status_task(void *arg)
{
	struct dictmap *m = arg;
	m->result = catalog_schema_tell(m->d->op, m->obox, &m->out);
	loop_stop();
}

int doveadm_dictmap_status(struct doveadm *d)
{
	struct dictmap m = { .d = d };
	if (d->arg_count != 0)
		return doveadm_usage(d);
	return run_dictmap(&m, status_task);
}
