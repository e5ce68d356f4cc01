/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions that do random things at the same time, on the seeded scheduler. Each keeps a mirror, as an
 * IMAP client does, of nothing but what view_sync() told it. After every sync the numbers agree with
 * the view; in the end all mirrors are equal, the journal folds to the same, and so does the store
 * after a crash. A failing seed reruns exactly: the seed is the program's argument. */
#include "store/world_test.h"

#include "base/random.h"

#define SESSIONS 5
#define STEPS    60
#define SEEDS    40
#define MIRROR   2000

struct mirror_mail {
	uint32_t uid;
	unsigned flags;
};
struct session {
	struct world *w;
	struct mailbox *m, *other;
	struct view *v;
	struct mirror_mail mails[MIRROR];
	uint32_t count;
	struct arena arena;
	struct op op;
	int *left;
};

static unsigned plain_flags(const struct mail *mail)
{
	return mail->flags & MAIL_STORABLE_FLAGS;
}

static void apply(struct session *s, const struct view_changes *c)
{
	struct mail mail;
	for (size_t i = 0; i < c->expunged_count; i++) {
		uint32_t seq = c->expunged_seqs[i];
		assert_true(seq >= 1 && seq <= s->count);
		assert_int_equal(s->mails[seq - 1].uid, c->expunged_uids[i]);
		memmove(&s->mails[seq - 1], &s->mails[seq], (s->count - seq) * sizeof(s->mails[0]));
		s->count--;
	}
	assert_true(c->exists >= s->count && c->exists < MIRROR);
	assert_int_equal(c->exists_changed, c->exists != s->count);
	for (; s->count < c->exists; s->count++) {
		assert_true(view_get(s->v, s->count + 1, &mail));
		s->mails[s->count] = (struct mirror_mail){ mail.uid, plain_flags(&mail) };
	}
	for (size_t i = 0; i < c->changed_count; i++) {
		assert_true(view_get(s->v, c->changed_seqs[i], &mail));
		s->mails[c->changed_seqs[i] - 1].flags = plain_flags(&mail);
	}
}

static void check_numbers(struct session *s)
{
	struct mail mail, again;
	assert_int_equal(view_exists(s->v), s->count);
	for (uint32_t seq = 1; seq <= s->count; seq++) {
		assert_true(view_get(s->v, seq, &mail));
		assert_int_equal(mail.uid, s->mails[seq - 1].uid);
		assert_true(view_get_uid(s->v, mail.uid, &again));
		assert_int_equal(again.seq, seq);
		if (!mail.is_expunged)
			assert_int_equal(plain_flags(&mail), s->mails[seq - 1].flags);
	}
}

static void sync_session(struct session *s, bool may_expunge)
{
	struct view_changes c;
	assert_ok(view_sync(&s->op, s->v, may_expunge, &c));
	apply(s, &c);
	check_numbers(s);
}

static struct range_set some_seqs(const struct session *s)
{
	uint32_t first = 1 + (uint32_t)random_below(s->count);
	uint32_t last = first + (uint32_t)random_below(4);
	return world_set(first, MIN(s->count, last));
}

static void step_append(struct session *s)
{
	struct append many[3];
	struct append_result r;
	size_t count = 1 + (size_t)random_below(3);
	for (size_t i = 0; i < count; i++)
		many[i] = (struct append){ .message = STR("Subject: x\r\n\r\nx\r\n"),
			.flags = (unsigned)random_below(32) & ~(unsigned)MAIL_DELETED };
	assert_ok(mailbox_append(&s->op, s->m, many, count, &r));
}

/* The client's own idea of its silent change. */
static void mirror_store(
	struct session *s, const struct range_set *seqs, const struct store_flags *change)
{
	struct range_set_iter it = { 0 };
	uint32_t seq;
	while (range_set_next(seqs, &it, &seq)) {
		struct mail mail;
		assert_true(view_get(s->v, seq, &mail));
		unsigned *flags = &s->mails[seq - 1].flags;
		if (mail.is_expunged)
			continue;
		if (change->change == FLAGS_REPLACE)
			*flags = change->flags;
		else if (change->change == FLAGS_ADD)
			*flags |= change->flags;
		else
			*flags &= ~change->flags;
	}
}

static void step_store(struct session *s)
{
	struct store_flags change = { .change = (enum flags_change)random_below(3),
		.flags = (unsigned)random_below(32),
		.unchanged_since = UINT64_MAX,
		.is_silent = random_below(2) };
	if (s->count == 0)
		return;
	struct range_set seqs = some_seqs(s);
	assert_ok(view_store_flags(&s->op, s->v, &seqs, &change, NULL));
	if (change.is_silent)
		mirror_store(s, &seqs, &change);
	range_set_done(&seqs);
	/* A protocol tells what happened after each command. */
	sync_session(s, false);
}

static void step_transfer(struct session *s)
{
	struct copy_result r;
	if (s->count == 0)
		return;
	struct range_set seqs = some_seqs(s);
	struct mailbox *target = random_below(3) ? s->other : s->m;
	enum err e = view_copy(&s->op, s->v, &seqs, target, random_below(2), &r);
	assert_true(e == ERR_NONE || e == ERR_NOT_FOUND);
	range_set_done(&seqs);
}

static void session_task(void *arg)
{
	struct session *s = arg;
	for (int i = 0; i < STEPS; i++) {
		switch (random_below(8)) {
		case 0:
		case 1:
			step_append(s);
			break;
		case 2:
		case 3:
			step_store(s);
			break;
		case 4:
			assert_ok(view_expunge(&s->op, s->v, NULL));
			break;
		case 5:
			step_transfer(s);
			break;
		default:
			sync_session(s, random_below(3) > 0);
		}
		assert_ok(task_sleep(&s->op, (int64_t)random_below(5) * US_PER_MS));
		arena_reset(&s->arena);
	}
	--*s->left;
}

static void session_start(struct session *s, struct world *w, int i, int *left)
{
	s->w = w;
	s->left = left;
	s->m = world_box(w, i % 3 ? "INBOX" : "Sent");
	s->other = world_box(w, i % 3 ? "Sent" : "INBOX");
	s->v = world_view(w, s->m);
	arena_init(&s->arena, 0);
	op_init(&s->op, &s->arena, NULL, TIME_NEVER);
	s->count = 0;
	struct view_changes all = { .exists = view_exists(s->v),
		.exists_changed = view_exists(s->v) > 0 };
	apply(s, &all);
	task_start("session", session_task, s);
}

static void compare_mirrors(const struct session *a, const struct session *b)
{
	if (a->m != b->m)
		return;
	assert_int_equal(a->count, b->count);
	for (uint32_t i = 0; i < a->count; i++) {
		assert_int_equal(a->mails[i].uid, b->mails[i].uid);
		assert_int_equal(a->mails[i].flags, b->mails[i].flags);
	}
}

static void session_end(struct session *s)
{
	view_close(s->v);
	assert_ok(mailbox_verify(&s->w->op, s->m));
	mailbox_unref(s->m);
	mailbox_unref(s->other);
	arena_done(&s->arena);
}

static void run_round(struct world *w, struct session *sessions)
{
	int left = SESSIONS;
	for (int i = 0; i < SESSIONS; i++)
		session_start(&sessions[i], w, i, &left);
	while (left > 0)
		assert_ok(task_sleep(&w->op, US_PER_SEC));
	for (int i = 0; i < SESSIONS; i++)
		sync_session(&sessions[i], true);
	for (int i = 1; i < SESSIONS; i++)
		for (int k = 0; k < i; k++)
			compare_mirrors(&sessions[i], &sessions[k]);
	/* Every view has passed every expunge: nothing is kept for them. */
	size_t ghosts;
	(void)index_ghosts(sessions[0].m->index, &ghosts);
	assert_int_equal(ghosts, 0);
	for (int i = 0; i < SESSIONS; i++)
		session_end(&sessions[i]);
}

/* The last line of the numbers may differ after a crash: modseqs restart. Records may not. */
static struct str records_of(struct world *w, const char *name)
{
	struct mailbox *m = world_box(w, name);
	struct str text = world_describe(w, m), line;
	(void)str_cut_line(&text, &line);
	mailbox_unref(m);
	return text;
}

static void run_seed(void *arg)
{
	uint64_t seed = *(uint64_t *)arg;
	random_set_seed(seed);
	world_is_loose = seed % 2;
	struct world *w = world_open(false);
	if (seed % 3 == 0)
		w->store->settings.flags_journal = STORE_FLAGS_SYNC;
	struct session *sessions = mem_new_array(SESSIONS, sizeof(*sessions));
	for (int round = 0; round < 3; round++) {
		run_round(w, sessions);
		struct str inbox = records_of(w, "INBOX"), sent = records_of(w, "Sent");
		world_reopen(w, (enum world_end)random_below(3));
		assert_str(records_of(w, "INBOX"), inbox);
		assert_str(records_of(w, "Sent"), sent);
	}
	mem_free(sessions);
	world_close(w);
}

static uint64_t only_seed;

static void sessions_agree(void **state)
{
	(void)state;
	uint64_t first = only_seed ? only_seed : 1;
	uint64_t last = only_seed ? only_seed : SEEDS;
	for (uint64_t seed = first; seed <= last; seed++) {
		struct loop_settings settings = { .is_virtual = true, .seed = seed };
		print_message("seed %" PRIu64 "\n", seed);
		test_in_loop(&settings, run_seed, &seed);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1)
		only_seed = strtoull(argv[1], NULL, 10);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sessions_agree),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
