/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to a host while its process lives: its clock is set, its disk is full, an administrator removes
 * local state. */
#include "ledger.h"

#include <signal.h>
#include <sys/resource.h>

#define CLOCK_SAFE_US (1800 * US_PER_MS) /* off the catalog's so far it may go on writing */

/* ---- the clock ---- */

static void set_clock(int64_t skew_us)
{
	struct world *w = sim_world;
	clock_step_wall(skew_us - w->skew_us);
	w->skew_us = skew_us;
}

static void step_clock(struct process *p)
{
	bool is_far = sim_chance(50);
	int64_t us = (int64_t)random_below(2 * CLOCK_SAFE_US) - CLOCK_SAFE_US;
	if (is_far) {
		us = sim_time_between(3 * US_PER_SEC, 2 * 3600 * US_PER_SEC);
		us = sim_chance(50) ? us : -us;
	}
	sim_trace(
		"p%d: the clock is set, it is %+" PRId64 " ms off now", p->number, us / US_PER_MS);
	sim_did(is_far ? DID_CLOCK_FAR : DID_CLOCK_NEAR);
	set_clock(us);
}

static bool clock_is_far(void)
{
	return sim_world->skew_us > CLOCK_SAFE_US || sim_world->skew_us < -CLOCK_SAFE_US;
}

bool host_clock_is_right(void)
{
	int64_t off_us = sim_world->skew_us < 0 ? -sim_world->skew_us : sim_world->skew_us;
	return off_us <= 2100 * US_PER_MS;
}

/* ---- the disk ---- */

void host_limit_files(bool is_limited)
{
	struct rlimit limit;
	int got = getrlimit(RLIMIT_FSIZE, &limit);
	ASSERT(got == 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	limit.rlim_cur = is_limited ? (rlim_t)sim_world->file_bytes_max : limit.rlim_max;
	int set = setrlimit(RLIMIT_FSIZE, &limit);
	ASSERT(set == 0);
}

static void fill_disk(bool is_full)
{
	/* What a file has can be written anew: the header of a log. */
	sim_world->file_bytes_max = LOG_HEADER_BYTES + (int64_t)random_below(3000);
	sim_world->disk_is_full = is_full;
	host_limit_files(is_full);
}

/* ---- turns ---- */

void host_turn(struct process *p)
{
	if (clock_is_far() ? random_below(300) == 0 : random_below(1500) == 0) {
		if (clock_is_far())
			host_mend(p);
		else
			step_clock(p);
	}
	if (random_below(sim_world->disk_is_full ? 100 : 2500) != 0)
		return;
	fill_disk(!sim_world->disk_is_full);
	sim_trace(
		"p%d: the disk is %s", p->number, sim_world->disk_is_full ? "full" : "empty again");
	p->had_full_disk = true;
	if (sim_world->disk_is_full)
		sim_did(DID_FULL_DISK);
}

void host_mend(struct process *p)
{
	if (clock_is_far()) {
		set_clock(p->backend->skew_us);
		sim_trace("p%d: the clock is right again", p->number);
	}
	if (sim_world->disk_is_full)
		fill_disk(false);
}

void host_forget_user(struct process *p)
{
	struct world *w = sim_world;
	ledger_note_risk(w->ledger, p);
	ledger_settle_risk(w->ledger, p->backend, false); /* flags that waited there go, too */
	user_unref(p->user);
	p->user = NULL;
	enum err e = user_forget_local(&w->op, p->store, SIM_USER);
	sim_trace("p%d removes the user's local state: %s", p->number,
		e == ERR_NONE ? "ok" : w->op.failure.text);
	if (e == ERR_NONE)
		sim_did(DID_FORGET);
	op_forgive(&w->op);
}
