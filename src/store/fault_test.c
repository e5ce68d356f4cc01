/* SPDX-License-Identifier: Apache-2.0 */
/* Each scenario runs with the 1st, 2nd, ... request to the catalog or the object store failing: refused,
 * or carried out with the answer lost, or carried out after the next opening; once, or from there on.
 * Where the catalog is not atomic every group of a batch is a request. Then the process dies, its local
 * files with it in every second run, and is opened again without faults. What must hold:
 *   - a UID never names two mails, in any mailbox, at any time;
 *   - acknowledged mail is there exactly once, whatever was moved; copies are whole or not at all;
 *   - what was acknowledged as expunged or removed stays away;
 *   - modseqs and next UIDs never fall; the journal folds to what is shown;
 *   - what arrives late changes nothing.
 * A run of the suite takes one part in PARTS of the requests, another each time; the program's argument
 * is the part. With POMBAL_TEST_LONG it takes all of them. */
#include "store/fault_scenarios_test.h"

#include "base/random.h"

#define PARTS      5
#define FAULTS_MAX 400

static const struct scenario scenarios[] = {
	{ "append", act_append, check_append, NULL },
	{ "multiappend", act_multiappend, check_multiappend, NULL },
	{ "copy", act_copy, check_copy, NULL },
	{ "move", act_move, check_move, NULL },
	{ "move within", act_move_within, check_move_within, NULL },
	{ "expunge", act_expunge, check_expunge, NULL, true },
	{ "flags", act_flags, check_flags, NULL },
	{ "create", act_create, check_create, NULL },
	{ "rename", act_rename, check_rename, NULL },
	{ "remove", act_remove, check_remove, NULL, true },
	{ "reopen", act_reopen, check_reopen, NULL },
	{ "collect", act_collect, check_collect, NULL, true },
	{ "append many", act_append_many, check_append_many, NULL },
	{ "copy many", act_copy_many, check_copy_many, prepare_many },
	{ "move many", act_move_many, check_move_many, prepare_many },
};

/* ---- running ---- */

static void fill(struct run *r)
{
	struct mailbox *m = world_box(r->w, "INBOX");
	for (int i = 0; i < MAILS; i++) {
		char word[8];
		(void)snprintf(word, sizeof(word), "m%d", i);
		see(r, m->guid, world_append(r->w, m, word), str_from(word));
	}
	mailbox_unref(m);
}

static uint64_t failures(const struct world *w)
{
	/* Of the fault level, the outermost. */
	return w->catalog->counters.failures + w->objects->counters.failures;
}

/* After everything the mailbox still takes mail, under a UID that was never seen. */
static void append_afterwards(struct run *r)
{
	struct mailbox *m = world_box(r->w, "INBOX");
	uint32_t next = index_next_uid(m->index);
	uint32_t uid = world_append(r->w, m, "new");
	assert_true(uid >= next);
	see(r, m->guid, uid, STR("new"));
	mailbox_unref(m);
}

/* What nothing refers to goes; every mail that is shown can still be read. */
static void collect_afterwards(struct run *r)
{
	uint64_t deleted;
	assert_ok(world_try_collect(r->w, -US_PER_SEC, &deleted));
	look(r);
}

/* Mails that were there are, unless what comes late is what removes them. */
static void assert_kept(const struct run *r, const struct run *before, bool removes)
{
	for (size_t i = removes ? MAILS : 0; i < ARRAY_COUNT(r->seen); i++)
		assert_true(r->seen[i] >= before->seen[i]);
}

/* What failed comes now. What was refused may happen after all: but then for good. Nothing else changes,
 * and nothing at all where a batch is atomic or what was done was acknowledged. */
static void replay_late(struct run *r, const struct scenario *s, bool is_acknowledged)
{
	static const enum world_end ends[] = { WORLD_CRASH_DROP, WORLD_STOP };
	struct run before = *r;
	assert_ok(catalog_fault_replay(&r->w->op, r->w->catalog));
	if (!catalog_is_atomic(r->w->catalog)) {
		look(r); /* which looks into the journal */
		assert_ok(user_refresh(&r->w->op, r->w->user));
		look(r);
		assert_kept(r, &before, s->removes);
		if (!is_acknowledged)
			before = *r;
	}
	for (size_t i = 0; i <= ARRAY_COUNT(ends); i++) {
		look(r);
		assert_memory_equal(r->seen, before.seen, sizeof(r->seen));
		assert_int_equal(r->inbox, before.inbox);
		assert_int_equal(r->sent, before.sent);
		assert_int_equal(r->other, before.other);
		if (i < ARRAY_COUNT(ends))
			world_reopen(r->w, ends[i]);
	}
}

/* True if a fault was met. `drops`: the local files go with the process. */
static bool run_once(const struct scenario *s, const struct fault *f, bool drops, bool lives_on)
{
	struct run r = { .w = world_open(false) };
	r.named = mem_new_array(NAMED_MAX, sizeof(*r.named));
	fill(&r);
	if (s->prepare)
		s->prepare(&r);
	look(&r);
	world_reopen(r.w, drops ? WORLD_CRASH : WORLD_STOP);
	struct mailbox *m = world_box(r.w, "INBOX");
	mailbox_unref(m);
	uint64_t before = failures(r.w);
	set_faults(r.w, f);
	bool is_acknowledged = s->act(&r) == ERR_NONE;
	bool was_met = failures(r.w) > before;
	op_forgive(&r.w->op);
	if (r.w->user)
		note_told(&r);
	set_faults(r.w, NULL);
	if (lives_on && r.w->user) { /* the same process goes on first */
		append_afterwards(&r);
		look(&r);
		if (f->is_late && f->at % 3 == 0) {
			assert_ok(catalog_fault_replay(&r.w->op, r.w->catalog));
			look(&r);
		}
		r.seen[MAILS]--;
		r.inbox--;
		s->check(&r, is_acknowledged);
	}
	world_reopen(r.w, drops ? WORLD_CRASH_DROP : WORLD_CRASH);
	look(&r);
	if (f->is_late)
		replay_late(&r, s, is_acknowledged);
	if (lives_on && r.seen[MAILS] > 0) {
		r.seen[MAILS]--;
		r.inbox--;
	}
	s->check(&r, is_acknowledged);
	append_afterwards(&r);
	collect_afterwards(&r);
	mem_free(r.named);
	world_close(r.w);
	return was_met;
}

/* With POMBAL_TEST_VERBOSE: which run it is that fails. */
static void print_fault(const struct scenario *s, const struct fault *f, bool lives_on)
{
	if (getenv("POMBAL_TEST_VERBOSE"))
		print_message("%s%s: %s %" PRId64 "%s%s%s%s\n", s->name,
			world_is_loose ? " (loose)" : "", f->hits_objects ? "object" : "catalog",
			f->at, f->after_doing ? ", answer lost" : "",
			f->from_there ? ", from there" : "", f->is_late ? ", late" : "",
			lives_on ? ", lives on" : "");
}

static int64_t part; /* 0: all */

static void run_scenario(void *arg)
{
	const struct scenario *s = arg;
	size_t runs = 0;
	bool is_large = strstr(s->name, "many") != NULL;
	for (unsigned kind = 0; kind < 32; kind++) {
		struct fault f = { .hits_objects = kind & 1,
			.after_doing = kind & 2,
			.from_there = kind & 4,
			.is_late = kind & 16 };
		if (f.is_late && (f.hits_objects || f.after_doing || !world_is_loose))
			continue;
		if (is_large && (f.hits_objects || !world_is_loose))
			continue;
		bool met = true;
		/* Each kind of fault takes others. A large batch has hundreds of groups. */
		int64_t step = part == 0 ? 1 : is_large ? 2 * PARTS : PARTS;
		for (f.at = 1 + (kind + part) % step; met && f.at < FAULTS_MAX;
			f.at += step, runs++) {
			print_fault(s, &f, kind & 8);
			met = run_once(s, &f, f.at % 2 == 0, kind & 8);
		}
		assert_false(met);
	}
	print_message("%s: %zu runs\n", s->name, runs);
}

static void every_request_may_fail(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(scenarios); i++)
		world_in_memory(run_scenario, (void *)(uintptr_t)&scenarios[i]);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		part = 1 + strtol(argv[1], NULL, 10) % PARTS;
	else if (!getenv("POMBAL_TEST_LONG"))
		part = 1 + (int64_t)random_below(PARTS);
	print_message("part %" PRId64 "\n", part);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_request_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
