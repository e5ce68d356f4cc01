/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of a run: one line for each thing that happened, hashed, the last ones kept. */
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "sim.h"

struct world *sim_world;

void sim_trace(const char *fmt, ...)
{
	struct world *w = sim_world;
	char *line = w->trace[w->lines++ % SIM_TRACE];
	va_list args;
	int n = snprintf(line, sizeof(w->trace[0]), "%10.3f s  ",
		(double)(now_us() % INT64_C(1000000000000)) / 1e6 - 1000.0);
	va_start(args, fmt);
	(void)vsnprintf(line + n, sizeof(w->trace[0]) - (size_t)n, fmt, args);
	va_end(args);
	for (const char *at = line; *at; at++)
		w->hash = (w->hash ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
	if (!w->settings.is_traced)
		return;
	if (w->disk_is_full) /* not for what we print */
		host_limit_files(false);
	printf("%s\n", line);
	(void)fflush(stdout);
	if (w->disk_is_full)
		host_limit_files(true);
}

void sim_print_trace(void)
{
	const struct world *w = sim_world;
	if (!w || w->settings.is_traced)
		return;
	uint64_t first = w->lines > SIM_TRACE ? w->lines - SIM_TRACE : 0;
	for (uint64_t i = first; i < w->lines; i++)
		printf("%s\n", w->trace[i % SIM_TRACE]);
}

void sim_fail(const char *fmt, ...)
{
	va_list args;
	host_limit_files(false);
	sim_print_trace();
	printf("seed %" PRIu64 " FAILED: ", sim_world->settings.seed);
	va_start(args, fmt);
	(void)vprintf(fmt, args);
	va_end(args);
	printf("\n");
	(void)fflush(stdout);
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	(void)(file_remove_tree(&op, sim_world->dir) == ERR_NONE);
	_exit(1);
}

void sim_did(enum sim_deed deed)
{
	sim_world->counters->did[deed]++;
}

void sim_must(struct op *op, enum err e, const char *what)
{
	if (e != ERR_NONE)
		sim_fail("%s: %s", what, op->failure.text);
}

bool sim_chance(unsigned percent)
{
	return random_below(100) < percent;
}

int64_t sim_time_between(int64_t start_us, int64_t end_us)
{
	uint64_t span = (uint64_t)(end_us - start_us) + 1;
	uint64_t a = random_below(span), b = random_below(span);
	return start_us + (int64_t)MIN(a, b);
}
