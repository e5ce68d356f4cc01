/* SPDX-License-Identifier: Apache-2.0 */
/* sim --seed N [--steps K] [--trace] [--no-bases] [--both] | sim --seeds A..B [--minutes M] [--keep-going]
 *
 * --hashes tells the hash of each seed's trace: two runs of the same program have the same.
 *
 * Each seed runs in a child of a process whose addresses are not random, so that it is the same run
 * whether it is alone or one of many. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/number.h"
#include "sim.h"

#define STEPS_USUAL 120
#define CPU_S_MAX   90 /* the usual steps of a seed take some 20 ms; it does not end, else */

struct run {
	struct sim_settings settings;
	uint64_t first, last;
	int64_t until_us; /* real; TIME_NEVER */
	bool keeps_going, tells_hashes;
	struct sim_counters *counters;
};

/* A failed assertion: the trace says how it came to it. */
static void on_abort(int number)
{
	(void)signal(number, SIG_DFL);
	sim_print_trace();
	printf("seed %" PRIu64 " FAILED: signal %d\n", sim_world->settings.seed, number);
	(void)fflush(stdout);
	(void)raise(number);
}

static void run_seed(const struct sim_settings *settings, struct sim_counters *counters)
{
	struct world *w = MEM_NEW(struct world);
	struct op op;
	(void)signal(SIGABRT, on_abort);
	(void)signal(SIGSEGV, on_abort);
	(void)signal(SIGXCPU, on_abort);
	w->settings = *settings;
	w->counters = counters;
	sim_world = w;
	random_set_seed(settings->seed);
	op_init(&op, NULL, NULL, TIME_NEVER);
	sim_must(&op,
		loop_open(&op,
			&(struct loop_settings){ .is_virtual = true, .seed = settings->seed + 1 }),
		"loop");
	task_start("sim", world_run, w);
	loop_run();
	if (w->catalog && counters->seeds == 0)
		sim_fail("everything waits for ever");
	loop_close();
	counters->trace_hash = w->hash;
	mem_free(w);
}

static void limit_time(int steps)
{
	rlim_t seconds = CPU_S_MAX + (rlim_t)steps / 100;
	struct rlimit limit = { seconds, seconds + 10 };
	int set = setrlimit(RLIMIT_CPU, &limit);
	ASSERT(set == 0);
}

/* The exit status of a seed: 0 is good. */
static int run_child(struct run *r, uint64_t seed)
{
	(void)fflush(stdout);
	pid_t child = fork();
	if (child < 0)
		return 1;
	if (child == 0) {
		struct sim_settings settings = r->settings;
		settings.seed = seed;
		limit_time(settings.steps);
		run_seed(&settings, r->counters);
		(void)fflush(stdout);
		_exit(0);
	}
	int status = 0;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
	}
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		printf("seed %" PRIu64 " FAILED: killed, for lack of memory or time\n", seed);
	return status;
}

static void usage(void)
{
	(void)fprintf(stderr,
		"sim --seed N [--steps K] [--trace] [--no-bases] [--both]\n"
		"sim --seeds A..B [--minutes M] [--steps K] [--keep-going] [--hashes] [--no-bases] "
		"[--both]\n");
	exit(2);
}

static uint64_t number_of(const char *text)
{
	uint64_t n = 0;
	if (!text || !number_parse_u64(str_from(text), &n))
		usage();
	return n;
}

static void range_of(const char *text, struct run *r)
{
	struct str rest = str_from(text), first;
	ssize_t at = str_find(rest, STR(".."));
	if (at < 0)
		usage();
	first = str_slice(rest, 0, (size_t)at);
	rest = str_slice(rest, (size_t)at + 2, rest.n);
	if (!number_parse_u64(first, &r->first) || !number_parse_u64(rest, &r->last))
		usage();
}

static void parse(int argc, char **argv, struct run *r)
{
	for (int i = 1; i < argc; i++) {
		struct str word = str_from(argv[i]);
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (str_eq(word, STR("--trace"))) {
			r->settings.is_traced = true;
			continue;
		}
		if (str_eq(word, STR("--both"))) {
			r->settings.has_both = true;
			continue;
		}
		if (str_eq(word, STR("--no-journal"))) {
			r->settings.has_no_journal = true;
			continue;
		}
		if (str_eq(word, STR("--no-bases"))) {
			r->settings.has_bases = false;
			continue;
		}
		if (str_eq(word, STR("--hashes"))) {
			r->tells_hashes = true;
			continue;
		}
		if (str_eq(word, STR("--keep-going"))) {
			r->keeps_going = true;
			continue;
		}
		i++;
		if (str_eq(word, STR("--seed")))
			r->first = r->last = number_of(value);
		else if (str_eq(word, STR("--seeds")) && value)
			range_of(value, r);
		else if (str_eq(word, STR("--steps")))
			r->settings.steps = (int)MIN(number_of(value), 1000000);
		else if (str_eq(word, STR("--minutes")))
			r->until_us = now_us() + (int64_t)number_of(value) * 60 * US_PER_SEC;
		else
			usage();
	}
	if (r->first == 0 || r->last < r->first)
		usage();
}

/* In the order of enum sim_deed. */
static const char *const deeds[DID_DEEDS] = { "times two or three hosts at once", "freezes",
	"replacements", "UIDs by merges", "clocks set within limits", "beyond",
	"refusals meanwhile", "torn files", "power losses", "full disks", "sleeps of hours",
	"nightly bases", "flushes", "removals of local state", "renames of INBOX",
	"runs without a flags journal" };

static int run_all(struct run *r)
{
	struct sim_counters *c = r->counters;
	uint64_t failed = 0, seed = r->first;
	int64_t began_us = now_us();
	for (; seed <= r->last && now_us() < r->until_us && (failed == 0 || r->keeps_going);
		seed++) {
		uint64_t done = c->seeds;
		c->seeds = 0;
		bool is_good = run_child(r, seed) == 0 && c->seeds == 1;
		c->seeds = done + is_good;
		failed += !is_good;
		if (r->tells_hashes)
			printf("seed %" PRIu64 " trace %016" PRIx64 "\n", seed, c->trace_hash);
	}
	double seconds = (double)(now_us() - began_us) / 1e6;
	printf("%" PRIu64 " seeds, %" PRIu64 " failed, %.1f s; %.1f hours of virtual time, %" PRIu64
	       " operations, %" PRIu64 " faults, %" PRIu64 " late, %" PRIu64 " crashes, %" PRIu64
	       " stops, %" PRIu64 " looks",
		seed - r->first, failed, seconds, (double)c->virtual_us / 3.6e9, c->operations,
		c->faults, c->late, c->crashes, c->stops, c->looks);
	for (size_t i = 0; i < DID_DEEDS; i++)
		printf(", %" PRIu64 " %s", c->did[i], deeds[i]);
	if (r->first == r->last)
		printf("; trace %016" PRIx64, c->trace_hash);
	printf("\n");
	return failed > 0;
}

int main(int argc, char **argv)
{
	struct run r = { .settings = { .steps = STEPS_USUAL, .has_bases = true },
		.until_us = TIME_NEVER };
	int persona = personality(0xffffffff);
	if (persona >= 0 && !(persona & ADDR_NO_RANDOMIZE) &&
		personality((unsigned long)persona | ADDR_NO_RANDOMIZE) >= 0)
		(void)execv("/proc/self/exe", argv);
	parse(argc, argv, &r);
	r.counters = mmap(NULL, sizeof(*r.counters), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (r.counters == MAP_FAILED)
		return 1;
	return run_all(&r);
}
