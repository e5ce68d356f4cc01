/* SPDX-License-Identifier: Apache-2.0 */
/* One seed: lives of backends, one after the other, until the steps are used up; then everything that is
 * late arrives, and every backend finds the same. */
#include "ledger.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"

static void world_open(struct world *w)
{
	arena_init(&w->arena, 0);
	op_init(&w->op, &w->arena, NULL, TIME_NEVER);
	(void)snprintf(w->dir, sizeof(w->dir), "%s/pombal-sim-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(w->dir))
		sim_fail("no temporary directory");
	list_init(&w->late);
	w->is_both = w->settings.has_both;
	w->is_loose = w->is_both || sim_chance(65);
	w->refresh_us = w->is_both ? sim_time_between(US_PER_SEC, 30 * US_PER_SEC) : 0;
	w->journal = w->settings.has_no_journal ? STORE_FLAGS_OFF
		     : sim_chance(50)           ? STORE_FLAGS_SYNC
						: STORE_FLAGS_ASYNC;
	if (w->journal == STORE_FLAGS_OFF)
		sim_did(DID_JOURNAL_OFF);
	w->steps_left = w->settings.steps;
	w->ledger = ledger_new();
	sim_must(&w->op, objects_open_text(&w->op, STR("mem"), &w->objects), "objects");
	sim_must(&w->op,
		catalog_open_text(
			&w->op, w->is_loose ? STR("mem(2,loose)") : STR("mem(2)"), &w->catalog),
		"catalog");
	for (int i = 0; i < SIM_BACKENDS; i++) {
		struct backend *b = &w->backends[i];
		(void)snprintf(b->host, sizeof(b->host), "backend%d", i + 1);
		b->skew_us = w->is_both || sim_chance(50)
				     ? 0
				     : (int64_t)random_below(2 * US_PER_SEC) - US_PER_SEC;
		b->boot = (uint8_t)(16 * i);
	}
	sim_trace("catalog %s, flags journal %s", w->is_loose ? "loose" : "atomic",
		w->journal == STORE_FLAGS_SYNC    ? "sync"
		: w->journal == STORE_FLAGS_ASYNC ? "async"
						  : "off");
}

static void world_close(struct world *w)
{
	late_free_all();
	for (int i = 0; i < SIM_BACKENDS; i++)
		backend_free(&w->backends[i]);
	catalog_close(&w->op, w->catalog);
	objects_close(w->objects);
	sim_must(&w->op, file_remove_tree(&w->op, w->dir), "removing files");
	ledger_free(w->ledger);
	arena_done(&w->arena);
}

/* ---- faults of a life ---- */

struct link_faults random_faults(void)
{
	unsigned most = sim_chance(30) ? 0 : sim_chance(60) ? 10 : 60;
	struct link_faults f = { 0 };
	if (most == 0)
		return f;
	f.refused = (unsigned)random_below(most);
	f.lost = (unsigned)random_below(most);
	f.late = (unsigned)random_below(most);
	f.twice = (unsigned)random_below(most);
	f.slow = (unsigned)random_below(most);
	return f;
}

/* ---- lives ---- */

void prepare_files(struct backend *b)
{
	enum damage damage = DAMAGE_NONE;
	if (sim_chance(35))
		damage = sim_chance(35)   ? DAMAGE_LOST
			 : sim_chance(35) ? DAMAGE_OLD
			 : sim_chance(50) ? DAMAGE_POWER
					  : DAMAGE_TORN;
	if (damage == DAMAGE_OLD && !b->old_dir)
		damage = DAMAGE_NONE;
	ledger_settle_risk(sim_world->ledger, b, damage == DAMAGE_NONE || damage == DAMAGE_TORN);
	backend_damage(b, damage);
	if (sim_chance(20))
		backend_keep_old(b);
}

/* WAITS. Outages come and go while sessions run; until they have ended, or the process shall die. */
static void live(struct process *p)
{
	struct world *w = sim_world;
	int64_t ends_us = now_us() + sim_time_between(US_PER_SEC, 300 * US_PER_SEC);
	while (p->sessions > 0 && !p->is_crashing) {
		sim_must(&w->op, task_sleep(&w->op, p->is_ending ? US_PER_SEC : 20 * US_PER_MS),
			"waiting");
		if (now_us() > ends_us)
			p->is_ending = true;
		if (p->is_ending)
			host_mend(p);
		else
			host_turn(p);
		if (p->link.faults.refused > 0 && random_below(500) == 0) {
			p->link.cut_until_us = now_us() + sim_time_between(0, 90 * US_PER_SEC);
			sim_trace("p%d    is cut off for %" PRId64 " ms", p->number,
				(p->link.cut_until_us - now_us()) / US_PER_MS);
		}
	}
}

void end_faults(struct process *p)
{
	p->link.faults = (struct link_faults){ 0 };
	p->link.cut_until_us = 0;
	p->link.crash_at = 0;
	p->is_crashing = false;
	host_mend(p);
}

void pass_time(void)
{
	struct world *w = sim_world;
	int64_t most = sim_chance(70)   ? 10 * US_PER_SEC
		       : sim_chance(70) ? 600 * US_PER_SEC
					: 5 * 3600 * US_PER_SEC;
	if (sim_chance(65))
		sim_must(&w->op, task_sleep(&w->op, sim_time_between(0, most)), "passing time");
	if (sim_chance(10))
		late_run(true);
}

/* WAITS. */
void end_life(struct process *p)
{
	host_mend(p);
	if (p->is_crashing || sim_chance(50)) {
		process_crash(p);
		return;
	}
	if (sim_chance(60))
		end_faults(p);
	process_stop(p);
}

static void one_life(void)
{
	struct world *w = sim_world;
	struct backend *b = &w->backends[random_below(SIM_BACKENDS)];
	prepare_files(b);
	struct process *p = process_start(b);
	p->link.faults = random_faults();
	if (sim_chance(60))
		p->link.crash_at = 1 + sim_time_between(0, 300);
	enum err e = process_open_user(&w->op, p);
	if (e == ERR_NONE) {
		sessions_start(p, 1 + (int)random_below(SIM_SESSIONS));
		live(p);
	} else {
		sim_trace("p%d opening the user: %s", p->number, w->op.failure.text);
		op_forgive(&w->op);
	}
	if (!p->is_crashing && sim_chance(30)) {
		end_faults(p);
		p->is_ending = true;
		process_wait(p);
		look(p);
	}
	if (sim_chance(10) && p->sessions == 0 && p->user)
		host_forget_user(p);
	end_life(p);
	arena_reset(&w->arena);
}

/* WAITS. A process on `b` without faults looks at everything. */
void look_from(struct backend *b)
{
	struct process *p = process_start(b);
	look(p);
	process_stop(p);
}

void world_run(void *arg)
{
	struct world *w = arg;
	world_open(w);
	if (w->is_both)
		look_from(&w->backends[0]);
	while (w->steps_left > 0) {
		if (w->is_both && sim_chance(80))
			both_live();
		else
			one_life();
		pass_time();
		if (sim_chance(40)) {
			struct backend *b = &w->backends[random_below(SIM_BACKENDS)];
			prepare_files(b);
			look_from(b);
		}
	}
	prepare_files(&w->backends[0]);
	look_from(&w->backends[0]);
	late_run(true);
	for (int i = 0; i < SIM_BACKENDS; i++) {
		prepare_files(&w->backends[i]);
		look_from(&w->backends[i]);
	}
	w->counters->virtual_us += (uint64_t)(now_us() - 1000 * US_PER_SEC);
	w->counters->seeds++;
	world_close(w);
	loop_stop();
}
