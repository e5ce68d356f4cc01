/* SPDX-License-Identifier: Apache-2.0 */
/* SEARCH and UID SEARCH: one mail after the other, each read only as far as it takes to decide. Those
 * whose text must be searched are gathered and searched away from the loop (search_job.c).
 *
 * Cost: message numbers and UIDs that every match must have (children of the program itself) bound the
 * mails looked at. Memory of a mail is given back before the next.
 * Spec: RFC 3501 §6.4.4, §7.2.5; RFC 4731 (RETURN), 5182 (SAVE), 7162 §3.1.5; sheet protocols §4.15 */
#include "service/imap/imap_private.h"
#include "service/imap/search_private.h"

#define BURST_COUNT 4096 /* numbers put between two looks at the output */
#define MIN_AND_MAX (IMAP_SEARCH_RETURN_MIN | IMAP_SEARCH_RETURN_MAX)

struct search {
	struct imap_run *x;
	struct str text; /* of the program */
	struct imap_search program;
	const struct search_frame *frame;
	struct search_matcher matcher;
	struct search_job *job; /* owned; NULL: no text had to be searched yet */
	/* owned */
	struct range_set candidates; /* message numbers */
	struct range_set found;      /* what is told: message numbers or UIDs */
	struct range_set found_uids; /* of the same mails, when the result is saved */
	uint64_t first_modseq, last_modseq, highest_modseq; /* of the mails found */
};

/* ---- one mail ---- */

/* WAITS. MAYBE: its text decides. Mails that are gone match nothing that must be read. */
static enum err match_mail(struct search *s, const struct mail *mail, enum search_verdict *out)
{
	struct search_matcher *m = &s->matcher;
	struct message_summary summary;
	search_matcher_begin(m, mail);
	*out = search_matcher_run(m);
	if (*out != SEARCH_MAYBE)
		return ERR_NONE;
	TRY(view_read_summary(s->x->op, s->x->session->view, mail, &summary));
	m->summary = &summary;
	*out = search_matcher_run(m);
	return ERR_NONE;
}

static bool is_enough(const struct search *s)
{
	uint32_t returned = s->program.returned & ~(uint32_t)IMAP_SEARCH_RETURN_SAVE;
	return returned == IMAP_SEARCH_RETURN_MIN && !range_set_is_empty(&s->found);
}

static void add_found(struct search *s, const struct mail *mail)
{
	uint32_t number = s->x->is_uid ? mail->uid : mail->seq;
	if (range_set_is_empty(&s->found))
		s->first_modseq = mail->modseq;
	s->last_modseq = mail->modseq;
	s->highest_modseq = MAX(s->highest_modseq, mail->modseq);
	range_set_add(&s->found, number, number);
	if (s->program.returned & IMAP_SEARCH_RETURN_SAVE)
		range_set_add(&s->found_uids, mail->uid, mail->uid);
}

/* WAITS. Searches the texts gathered so far. */
static enum err search_texts(struct search *s)
{
	const struct mail *mail;
	size_t at = 0;
	if (!s->job || search_job_is_empty(s->job))
		return ERR_NONE;
	TRY(search_job_run(s->x->op, &s->job, s->x->session));
	while (search_job_next(s->job, &at, &mail))
		add_found(s, mail);
	search_job_clear(s->job);
	return ERR_NONE;
}

/* WAITS. Matches stay in the order of the mailbox. */
static enum err take_verdict(struct search *s, const struct mail *mail, enum search_verdict v)
{
	if (v == SEARCH_NO)
		return ERR_NONE;
	if (v == SEARCH_YES && (!s->job || search_job_is_empty(s->job))) {
		add_found(s, mail);
		return ERR_NONE;
	}
	if (!s->job)
		s->job = search_job_new(s->text, s->frame);
	if (v == SEARCH_YES)
		search_job_add_match(s->job, mail);
	else
		TRY(search_job_add(s->x->op, s->job, s->x->session->view, mail));
	return search_job_is_full(s->job) ? search_texts(s) : ERR_NONE;
}

/* WAITS. */
static enum err search_all(struct search *s)
{
	struct arena *arena = s->x->op->arena;
	struct range_set_iter it = { 0 };
	struct mail mail;
	uint32_t seq;
	while (!is_enough(s) && range_set_next(&s->candidates, &it, &seq)) {
		struct arena_mark mark = arena_mark(arena);
		enum search_verdict v = SEARCH_NO;
		if (!view_get(s->x->session->view, seq, &mail))
			continue;
		enum err e = match_mail(s, &mail, &v);
		arena_rewind(arena, mark);
		if (e == ERR_NONE)
			e = take_verdict(s, &mail, v);
		if (e == ERR_NOT_FOUND)
			op_forgive(s->x->op);
		else
			TRY(e);
		task_breathe();
	}
	return search_texts(s);
}

/* ---- results ---- */

static bool asks_modseq(const struct imap_search *program)
{
	for (size_t i = 0; i < program->key_count; i++) {
		if (program->keys[i].kind == IMAP_SEARCH_MODSEQ)
			return true;
	}
	return false;
}

/* WAITS. "* SEARCH 2 3 6" */
static enum err put_search(struct search *s)
{
	struct buf *out = s->x->out;
	struct range_set_iter it = { 0 };
	uint32_t number;
	size_t count = 0;
	buf_put(out, STR("* SEARCH"));
	while (range_set_next(&s->found, &it, &number)) {
		buf_put_byte(out, ' ');
		buf_put_u64_dec(out, number);
		if (++count % BURST_COUNT == 0)
			TRY(imap_check_output(s->x->op, s->x->session));
	}
	if (count > 0 && asks_modseq(&s->program))
		buf_putf(out, " (MODSEQ %" PRIu64 ")", s->highest_modseq);
	buf_put(out, STR("\r\n"));
	return ERR_NONE;
}

/* RFC 4731 §3.2: of the mails returned. */
static uint64_t told_modseq(const struct search *s)
{
	uint32_t returned = s->program.returned & ~(uint32_t)IMAP_SEARCH_RETURN_SAVE;
	if (returned == IMAP_SEARCH_RETURN_MIN)
		return s->first_modseq;
	if (returned == IMAP_SEARCH_RETURN_MAX)
		return s->last_modseq;
	return returned == MIN_AND_MAX ? MAX(s->first_modseq, s->last_modseq) : s->highest_modseq;
}

/* "* ESEARCH (TAG "a") UID MIN 2 MAX 6 ALL 2:3,6 COUNT 3" */
static void put_esearch(struct search *s)
{
	struct buf *out = s->x->out;
	const struct range_set *found = &s->found;
	uint32_t returned = s->program.returned;
	bool is_empty = range_set_is_empty(found);
	buf_put(out, STR("* ESEARCH (TAG "));
	imap_put_string(out, s->x->tag);
	buf_put(out, s->x->is_uid ? STR(") UID") : STR(")"));
	if ((returned & IMAP_SEARCH_RETURN_MIN) && !is_empty)
		buf_putf(out, " MIN %" PRIu32, found->ranges[0].first);
	if ((returned & IMAP_SEARCH_RETURN_MAX) && !is_empty)
		buf_putf(out, " MAX %" PRIu32, found->ranges[found->count - 1].last);
	if ((returned & IMAP_SEARCH_RETURN_ALL) && !is_empty) {
		buf_put(out, STR(" ALL "));
		range_set_print(found, out);
	}
	if (returned & IMAP_SEARCH_RETURN_COUNT)
		buf_putf(out, " COUNT %" PRIu64, range_set_size(found));
	if (!is_empty && asks_modseq(&s->program))
		buf_putf(out, " MODSEQ %" PRIu64, told_modseq(s));
	buf_put(out, STR("\r\n"));
}

/* What "$" is from now on: what was asked to be returned (RFC 5182 §2.4). */
static void save_result(struct search *s)
{
	struct range_set *saved = &s->x->session->saved_uids;
	const struct range_set *found = &s->found_uids;
	uint32_t returned = s->program.returned & ~(uint32_t)IMAP_SEARCH_RETURN_SAVE;
	range_set_done(saved);
	range_set_init(saved);
	if (range_set_is_empty(found))
		return;
	uint32_t first = found->ranges[0].first, last = found->ranges[found->count - 1].last;
	if (returned == 0 || (returned & ~(uint32_t)MIN_AND_MAX)) {
		range_set_add_set(saved, found);
		return;
	}
	if (returned & IMAP_SEARCH_RETURN_MIN)
		range_set_add(saved, first, first);
	if (returned & IMAP_SEARCH_RETURN_MAX)
		range_set_add(saved, last, last);
}

/* ---- the command ---- */

/* Then they must not change while UID SEARCH runs (RFC 7162 §3.2.10.2). */
static bool names_seqs(const struct imap_search *program)
{
	for (size_t i = 0; i < program->key_count; i++) {
		if (program->keys[i].kind == IMAP_SEARCH_SEQUENCE)
			return true;
	}
	return false;
}

/* False: answered. */
static bool parse(struct imap_run *x, struct imap_search *out)
{
	enum err e = imap_parse_search(x->cursor, out);
	if (e == ERR_UNSUPPORTED) {
		if (out->returned & IMAP_SEARCH_RETURN_SAVE)
			range_set_clear(&x->session->saved_uids); /* RFC 5182 §2.1 */
		imap_reply_no(x, STR("BADCHARSET (US-ASCII UTF-8)"), STR("Unknown charset."));
	} else if (e != ERR_NONE)
		imap_reply_bad_arguments(x);
	else
		return true;
	return false;
}

/* Everything, cut down by the sets that each match must be in. */
static void find_candidates(struct search *s)
{
	const struct view *view = s->x->session->view;
	const struct imap_search_key *keys = s->program.keys;
	uint32_t exists = view_exists(view);
	if (exists > 0)
		range_set_add(&s->candidates, 1, exists);
	for (uint32_t i = 1; i < keys[0].end; i = keys[i].end) {
		const struct range_set *set = &s->matcher.aids[i].set;
		if (keys[i].kind == IMAP_SEARCH_SEQUENCE) {
			range_set_intersect(&s->candidates, set);
		} else if (keys[i].kind == IMAP_SEARCH_UID) {
			struct range_set seqs;
			range_set_init(&seqs);
			view_uids_to_seqs(view, set, &seqs);
			range_set_intersect(&s->candidates, &seqs);
			range_set_done(&seqs);
		}
	}
}

/* WAITS. */
static void run(struct search *s)
{
	struct imap_run *x = s->x;
	find_candidates(s);
	enum err e = search_all(s);
	if (e != ERR_NONE) {
		if (s->program.returned & IMAP_SEARCH_RETURN_SAVE)
			range_set_clear(&x->session->saved_uids); /* RFC 5182 §2.1 */
		imap_reply_failure(x, e);
		return;
	}
	if (s->program.returned & IMAP_SEARCH_RETURN_SAVE)
		save_result(s);
	/* Who asks for nothing but SAVE gets no answer: RFC 5182 §2.2. */
	if (s->program.is_esearch && s->program.returned != IMAP_SEARCH_RETURN_SAVE)
		put_esearch(s);
	else if (!s->program.is_esearch && put_search(s) != ERR_NONE)
		return; /* nobody is there to be told */
	imap_reply_ok(x, STR_NONE, STR("Search completed."));
}

/* Copied: they are used after waits. */
static void take_keywords(struct imap_run *x, struct search_frame *frame)
{
	const struct str *keywords;
	size_t count = mailbox_keywords(x->session->mailbox, &keywords);
	struct str *copies = ARENA_NEW_ARRAY(x->op->arena, struct str, count);
	for (size_t i = 0; i < count; i++)
		copies[i] = str_dup(x->op->arena, keywords[i]);
	frame->keywords = copies;
	frame->keyword_count = count;
}

void imap_command_search(struct imap_run *x)
{
	struct view *view = x->session->view;
	struct search s = { .x = x, .text = x->cursor->rest };
	struct range_set saved_seqs;
	if (!parse(x, &s.program))
		return;
	x->names_seqs = names_seqs(&s.program);
	if (asks_modseq(&s.program))
		imap_enable_condstore(x);
	range_set_init(&saved_seqs);
	imap_saved_seqs(x->session, &saved_seqs);
	struct search_frame frame = {
		.exists = view_exists(view),
		.last_uid = view_last_uid(view),
		.now_wall_us = now_wall_us(),
		.saved_seqs = &saved_seqs,
		.saved_uids = &x->session->saved_uids,
	};
	take_keywords(x, &frame);
	s.frame = &frame;
	search_matcher_init(&s.matcher, x->op->arena, &s.program, &frame);
	range_set_init(&s.candidates);
	range_set_init(&s.found);
	range_set_init(&s.found_uids);
	run(&s);
	range_set_done(&saved_seqs);
	range_set_done(&s.found_uids);
	range_set_done(&s.candidates);
	range_set_done(&s.found);
	search_matcher_done(&s.matcher);
	search_job_free(s.job);
}
