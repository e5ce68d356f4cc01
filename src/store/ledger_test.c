/* SPDX-License-Identifier: Apache-2.0 */
/* Random changes with random faults, crashes and late writes, held against a ledger. Every operation is
 * whole or not at all: after it, whatever happened, the store shows what the ledger had before or what it
 * has when the operation is done; and the latter if it was acknowledged. The seed is the program's
 * argument. */
#include "store/world_test.h"

#include "base/number.h"
#include "base/random.h"

#define STEPS     40
#define SEEDS     25
#define WORDS_MAX 6000
#define UIDS_MAX  (1u << 20) /* takeovers leave out a thousand each */
#define MAILS_MAX 700
#define BOXES     2

struct record {
	size_t box;
	uint32_t uid, word;
	unsigned flags;
};
/* What is where. */
struct state {
	struct record records[MAILS_MAX];
	size_t count;
};
struct ledger {
	struct world *w;
	struct state now, done; /* as it was seen last; as it is if the operation was carried out */
	bool is_doubtful
		[BOXES]
		[WORDS_MAX]; /* what was refused, and may come late, changes how many there are */
	bool may_go[WORDS_MAX]; /* a refused expunge, or append, is about it */
	bool may_leak;          /* rows of a batch came when nobody knew its writer any more */
	uint32_t words;
	uint32_t next_uid[BOXES];
	uint64_t modseq[BOXES];
	uint32_t uids[BOXES][UIDS_MAX]; /* what a UID stands for, plus one */
};

static const char *const box_names[BOXES] = { "INBOX", "Sent" };

static int by_word(const void *a, const void *b)
{
	const struct record *x = a, *y = b;
	if (x->box != y->box)
		return x->box < y->box ? -1 : 1;
	if (x->word != y->word)
		return x->word < y->word ? -1 : 1;
	return (x->flags > y->flags) - (x->flags < y->flags);
}

/* UIDs aside: new ones are the store's to choose. */
static bool states_agree(const struct state *a, const struct state *b)
{
	static struct state x, y;
	if (a->count != b->count)
		return false;
	x = *a;
	y = *b;
	qsort(x.records, x.count, sizeof(x.records[0]), by_word);
	qsort(y.records, y.count, sizeof(y.records[0]), by_word);
	for (size_t i = 0; i < x.count; i++)
		if (by_word(&x.records[i], &y.records[i]) != 0)
			return false;
	return true;
}

static void add(struct state *s, size_t box, uint32_t uid, uint32_t word, unsigned flags)
{
	assert_true(s->count < MAILS_MAX);
	s->records[s->count++] = (struct record){ box, uid, word, flags };
}

/* ---- looking ---- */

static uint32_t word_of(struct str body)
{
	struct str line, rest = body;
	uint32_t word = 0;
	assert_true(str_cut_line(&rest, &line) && str_cut_line(&rest, &line));
	assert_true(str_skip(&line, STR("Subject: w")) && number_parse_u32(line, &word));
	return word;
}

static void look_at(struct ledger *l, size_t box, struct state *out)
{
	struct world *w = l->w;
	struct mailbox *m = world_box(w, box_names[box]);
	struct view *v = world_view(w, m);
	for (uint32_t seq = 1; seq <= view_exists(v); seq++) {
		struct arena_mark mark = arena_mark(&w->arena);
		struct mail mail;
		struct str body;
		assert_true(view_get(v, seq, &mail));
		assert_ok(view_read_body(&w->op, v, &mail, &body));
		uint32_t word = word_of(body), *known = &l->uids[box][mail.uid];
		assert_true(mail.uid < UIDS_MAX && (*known == 0 || *known == word + 1));
		*known = word + 1;
		add(out, box, mail.uid, word, mail.flags & MAIL_STORABLE_FLAGS);
		arena_rewind(&w->arena, mark);
	}
	assert_true(index_modseq(m->index) >= l->modseq[box]);
	assert_true(index_next_uid(m->index) >= l->next_uid[box]);
	l->modseq[box] = index_modseq(m->index);
	l->next_uid[box] = index_next_uid(m->index);
	view_close(v);
	if (mailbox_verify(&w->op, m) != ERR_NONE)
		fail_msg("%s: %s", box_names[box], w->op.failure.text);
	mailbox_unref(m);
}

static void look(struct ledger *l, struct state *out)
{
	out->count = 0;
	for (size_t box = 0; box < BOXES; box++)
		look_at(l, box, out);
}

static void expect_unchanged(struct ledger *l)
{
	static struct state seen;
	look(l, &seen);
	assert_true(states_agree(&seen, &l->now));
}

/* ---- operations: each writes into `done` what it is to do ---- */

static enum err do_append(struct ledger *l, size_t box, struct mailbox *m, size_t count)
{
	struct append *some = mem_new_array(count, sizeof(*some));
	struct append_result result;
	for (size_t i = 0; i < count; i++) {
		char word[16];
		(void)snprintf(word, sizeof(word), "w%" PRIu32, l->words);
		some[i] = (struct append){ .message = world_mail(l->w, word) };
		add(&l->done, box, 0, l->words++, 0);
	}
	enum err e = mailbox_append(&l->w->op, m, some, count, &result);
	mem_free(some);
	return e;
}

static void plan_transfer(struct ledger *l, size_t box, uint32_t first, uint32_t last, bool is_move)
{
	size_t total = l->done.count;
	for (size_t i = 0; i < total; i++) {
		struct record *r = &l->done.records[i];
		if (r->box != box || r->uid < first || r->uid > last)
			continue;
		if (is_move)
			r->box = 1 - box;
		else
			add(&l->done, 1 - box, 0, r->word, r->flags);
	}
}

static enum err do_transfer(
	struct ledger *l, size_t box, struct view *v, const struct range_set *seqs, bool is_move)
{
	struct mailbox *target;
	struct copy_result result;
	TRY(mailbox_open(&l->w->op, l->w->user, str_from(box_names[1 - box]), &target));
	enum err e = view_copy(&l->w->op, v, seqs, target, is_move, &result);
	mailbox_unref(target);
	return e;
}

static enum err do_flags(
	struct ledger *l, size_t box, struct view *v, uint32_t first, uint32_t last, unsigned flags)
{
	struct mail from, to;
	assert_true(view_get(v, first, &from) && view_get(v, last, &to));
	for (size_t i = 0; i < l->done.count; i++) {
		struct record *r = &l->done.records[i];
		if (r->box == box && r->uid >= from.uid && r->uid <= to.uid)
			r->flags = flags;
	}
	return world_try_flags(l->w, v, first, last, FLAGS_REPLACE, flags);
}

static enum err do_expunge(struct ledger *l, size_t box, struct view *v)
{
	size_t kept = 0;
	for (size_t i = 0; i < l->done.count; i++) {
		const struct record *r = &l->done.records[i];
		if (r->box != box || !(r->flags & MAIL_DELETED))
			l->done.records[kept++] = *r;
	}
	l->done.count = kept;
	return view_expunge(&l->w->op, v, NULL);
}

static enum err operate_in_view(struct ledger *l, size_t box, struct view *v)
{
	uint32_t exists = view_exists(v), first, last;
	struct mail from, to;
	if (exists == 0)
		return ERR_NONE;
	bool is_all = random_below(4) == 0;
	first = is_all ? 1 : 1 + (uint32_t)random_below(exists);
	last = is_all ? exists : first + (uint32_t)random_below(4);
	last = MIN(last, exists);
	assert_true(view_get(v, first, &from) && view_get(v, last, &to));
	uint64_t choice = random_below(6);
	if (choice == 0)
		return do_expunge(l, box, v);
	if (choice < 3)
		return do_flags(l, box, v, first, last,
			random_below(2) ? MAIL_DELETED : (unsigned)random_below(32));
	bool is_move = choice > 3;
	if (!is_move && l->now.count > MAILS_MAX / 3)
		return ERR_NONE;
	struct range_set seqs = world_set(first, last);
	plan_transfer(l, box, from.uid, to.uid, is_move);
	enum err e = do_transfer(l, box, v, &seqs, is_move);
	range_set_done(&seqs);
	return e;
}

static enum err operate(struct ledger *l)
{
	size_t box = (size_t)random_below(BOXES);
	struct mailbox *m;
	struct view *v;
	bool is_large = random_below(8) == 0;
	bool appends = random_below(3) == 0 && l->now.count < MAILS_MAX / 3;
	TRY(mailbox_open(&l->w->op, l->w->user, str_from(box_names[box]), &m));
	enum err e = appends ? do_append(l, box, m, is_large ? 110 : 1 + (size_t)random_below(3))
			     : view_open(&l->w->op, m, false, &v);
	if (!appends && e == ERR_NONE) {
		e = operate_in_view(l, box, v);
		view_close(v);
	}
	mailbox_unref(m);
	return e;
}

/* ---- faults ---- */

static void set_faults(struct world *w, bool has_faults)
{
	struct catalog_fault_plan c = { 0 };
	struct objects_fault_plan o = { 0 };
	if (has_faults && random_below(6) == 0) {
		o.fail_at = 1 + (int64_t)random_below(3);
		o.fail_after_doing = random_below(2);
	} else if (has_faults) {
		uint64_t kind = random_below(3);
		c.fail_at = 1 + (int64_t)random_below(random_below(2) ? 6 : 300);
		c.fail_after_doing = kind == 0;
		c.fail_late = kind == 1 && world_is_loose; /* a transaction ends with its process */
		c.fail_from_there = random_below(3) > 0;
	}
	catalog_fault_set(w->catalog, &c);
	objects_fault_set(w->objects, &o);
}

static void count_words(const struct state *s, uint32_t counts[BOXES][WORDS_MAX])
{
	memset(counts, 0, BOXES * sizeof(counts[0]));
	for (size_t i = 0; i < s->count; i++)
		counts[s->records[i].box][s->records[i].word]++;
}

/* An operation was refused: it may happen later. */
static void doubt(struct ledger *l, const struct state *before)
{
	static uint32_t had[BOXES][WORDS_MAX], has[BOXES][WORDS_MAX];
	count_words(before, had);
	count_words(&l->done, has);
	for (size_t box = 0; box < BOXES; box++)
		for (uint32_t word = 0; word < l->words; word++)
			if (had[box][word] != has[box][word])
				l->is_doubtful[box][word] = true;
	for (uint32_t word = 0; word < l->words; word++)
		if (had[0][word] + had[1][word] == 0 ||
			has[0][word] + has[1][word] < had[0][word] + had[1][word])
			l->may_go[word] = true;
}

/* What no refused operation was about is there, as often as it was; what a refused move or copy was about
 * is somewhere. */
static void expect_certain(struct ledger *l, const struct state *seen)
{
	static uint32_t had[BOXES][WORDS_MAX], has[BOXES][WORDS_MAX];
	count_words(&l->now, had);
	count_words(seen, has);
	for (size_t box = 0; box < BOXES; box++)
		for (uint32_t word = 0; word < l->words; word++)
			if (!l->is_doubtful[box][word])
				assert_int_equal(has[box][word], had[box][word]);
	for (uint32_t word = 0; word < l->words; word++)
		assert_true(l->may_go[word] || had[0][word] + had[1][word] == 0 ||
			    has[0][word] + has[1][word] > 0);
	if (catalog_fault_late(l->w->catalog) > 0)
		return;
	memset(l->is_doubtful, 0, sizeof(l->is_doubtful)); /* all that was late is there */
	memset(l->may_go, 0, sizeof(l->may_go));
}

/* What failed came after all. It changes nothing, or is what was refused and happens now: but then for good. */
static void expect_late(struct ledger *l)
{
	static struct state seen;
	if (catalog_is_atomic(l->w->catalog)) {
		expect_unchanged(l);
		return;
	}
	look(l, &seen); /* which looks into the journal */
	look(l, &seen);
	expect_certain(l, &seen);
	l->now = seen;
	expect_unchanged(l);
}

/* Somebody opens in bad weather, and ends. */
static void open_in_vain(struct ledger *l)
{
	struct world *w = l->w;
	struct mailbox *m;
	set_faults(w, true);
	size_t first = (size_t)random_below(BOXES);
	for (size_t i = 0; i < BOXES; i++)
		if (mailbox_open(&w->op, w->user, str_from(box_names[(first + i) % BOXES]), &m) ==
			ERR_NONE)
			mailbox_unref(m);
	op_forgive(&w->op);
	set_faults(w, false);
	world_crash(w);
	world_open_store(w);
}

/* Who comes after two that died does not know all that is on its way: a move may end as a copy. */
static bool is_copy_of_move(const struct ledger *l, const struct state *seen)
{
	static uint32_t had[BOXES][WORDS_MAX], may[BOXES][WORDS_MAX], has[BOXES][WORDS_MAX];
	count_words(&l->now, had);
	count_words(&l->done, may);
	count_words(seen, has);
	for (uint32_t word = 0; word < l->words; word++) {
		uint32_t before = had[0][word] + had[1][word], there = has[0][word] + has[1][word];
		if (before != may[0][word] + may[1][word] || there < before)
			return false;
		for (size_t box = 0; box < BOXES; box++)
			if (has[box][word] < MIN(had[box][word], may[box][word]) ||
				has[box][word] > MAX(had[box][word], may[box][word]))
				return false;
	}
	return true;
}

/* Ends the doubt about the last operation: here, or by another process. */
static void resolve(struct ledger *l, bool is_acknowledged)
{
	static struct state seen;
	struct world *w = l->w;
	bool crashes = !w->user || random_below(2);
	if (crashes)
		world_crash(w);
	if (crashes && random_below(2))
		assert_ok(file_remove_tree(&w->op, w->settings.local_dir.p));
	set_faults(w, false);
	if (crashes)
		world_open_store(w);
	bool is_third = crashes && random_below(4) == 0;
	if (is_third) {
		open_in_vain(l);
		l->may_leak = true;
	}
	if (!crashes)
		assert_ok(user_settle(&w->op, w->user));
	w->store->settings.flags_journal = STORE_FLAGS_SYNC;
	look(l, &seen);
	bool is_done = states_agree(&seen, &l->done);
	assert_true(
		is_done || (!is_acknowledged && (states_agree(&seen, &l->now) ||
							(is_third && is_copy_of_move(l, &seen)))));
	l->now = seen;
}

static void step(struct ledger *l)
{
	struct world *w = l->w;
	struct arena_mark mark = arena_mark(&w->arena);
	uint64_t deleted;
	static struct state before;
	before = l->done = l->now;
	set_faults(w, random_below(4) > 0);
	enum err e = operate(l);
	op_forgive(&w->op);
	if (e != ERR_NONE)
		doubt(l, &before);
	resolve(l, e == ERR_NONE);
	if (random_below(4) == 0) {
		size_t late = catalog_fault_late(w->catalog);
		size_t most = random_below(2) ? late : (size_t)random_below(late + 1);
		l->may_leak = l->may_leak || most < late;
		assert_ok(catalog_fault_replay_first(&w->op, w->catalog, most));
		expect_late(l);
	}
	if (random_below(6) == 0) {
		assert_ok(world_try_collect(w, -US_PER_SEC, &deleted));
		expect_unchanged(l);
	}
	arena_rewind(&w->arena, mark);
}

static enum err count_append(struct op *op, const struct catalog_row *row, void *arg)
{
	(void)op;
	*(size_t *)arg += row->kind == CATALOG_APPEND;
	return ERR_NONE;
}

/* Of mails that do not count nothing is left in the catalog. */
static void expect_tidy(struct ledger *l)
{
	for (size_t box = 0; box < BOXES; box++) {
		struct world *w = l->w;
		struct mailbox *m = world_box(w, box_names[box]);
		size_t rows = 0;
		assert_ok(catalog_read_rows(&w->op, w->catalog, w->user->name, m->guid, 0, 10,
			(struct catalog_name){ { 0 } }, count_append, &rows));
		assert_int_equal(rows, index_counters(m->index).messages);
		mailbox_unref(m);
	}
}

static void run_seed(void *arg)
{
	uint64_t seed = *(uint64_t *)arg;
	random_set_seed(seed);
	struct ledger *l = MEM_NEW(struct ledger);
	l->w = world_open(false);
	l->w->store->settings.flags_journal = STORE_FLAGS_SYNC;
	for (int i = 0; i < STEPS; i++)
		step(l);
	assert_ok(catalog_fault_replay(&l->w->op, l->w->catalog));
	world_reopen(l->w, WORLD_CRASH_DROP);
	expect_late(l);
	if (!l->may_leak)
		expect_tidy(l);
	world_reopen(l->w, WORLD_STOP);
	expect_unchanged(l);
	world_close(l->w);
	mem_free(l);
}

static uint64_t only_seed;

static void the_ledger_holds(void **state)
{
	(void)state;
	uint64_t first = only_seed ? only_seed : 1;
	uint64_t last = only_seed ? only_seed : SEEDS;
	for (uint64_t seed = first; seed <= last; seed++) {
		struct loop_settings settings = { .is_virtual = true, .seed = seed };
		for (int loose = 0; loose < 2; loose++) {
			world_is_loose = loose;
			print_message("seed %" PRIu64 "%s\n", seed, loose ? " (loose)" : "");
			test_in_loop(&settings, run_seed, &seed);
		}
	}
}

int main(int argc, char **argv)
{
	if (argc > 1)
		only_seed = strtoull(argv[1], NULL, 10);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ledger_holds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
