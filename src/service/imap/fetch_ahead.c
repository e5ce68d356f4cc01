/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies that a FETCH reads before their turn, in parallel: where mails lie on another host each is a round
 * trip, and clients fetch many in a row. A mail whose body is needed brings those of the next mails along,
 * mail_prefetch_count in number and AHEAD_BYTES_MAX in bytes at the most; while they are sent, the mails
 * after them come into the cache, if there is one. What could not be read is read again in its turn, which
 * tells why.
 *
 * Other clients fetch one mail by each command. From the third on that follows the one before, the cache is
 * told of the next mails, in the same limits: it reads them while the client thinks. Any command but FETCH
 * and NOOP ends the row, and nothing more is asked for. */
#include "service/imap/fetch_private.h"

#define AHEAD_BYTES_MAX (16u << 20)
#define AHEAD_COUNT_MAX 100
#define ROW_MIN         3
#define ROW_MAIL_MAX    (1u << 20) /* the cache does not take larger ones before their turn */

void fetch_forget_ahead(struct fetch *f)
{
	if (f->ahead.count > 0)
		arena_done(&f->ahead.arena);
	f->ahead = (struct fetch_ahead){ 0 };
}

static bool take(struct fetch *f, struct str *out)
{
	for (size_t i = 0; i < f->ahead.count; i++) {
		if (f->ahead.mails[i].uid == f->at.mail.uid) {
			*out = f->ahead.bodies[i];
			return out->n > 0;
		}
	}
	return false;
}

/* Will the next mails need their bodies too? */
static bool wants_bodies(const struct fetch *f)
{
	for (size_t i = 0; i < f->what->body_count; i++) {
		if (!fetch_is_in_summary(&f->what->bodies[i].section))
			return true;
	}
	return false;
}

static bool is_wanted(const struct fetch *f, const struct mail *mail)
{
	return !f->what->has_changed_since || mail->modseq > f->what->changed_since;
}

/* The mail at hand and those after it, into the new arena; *it is where it stopped. */
static uint64_t choose(struct fetch *f, size_t limit, struct range_set_iter *it)
{
	struct fetch_ahead *a = &f->ahead;
	uint64_t bytes = f->at.mail.size_physical;
	uint32_t seq;
	a->mails = ARENA_NEW_ARRAY(&a->arena, struct mail, limit);
	a->mails[a->count++] = f->at.mail;
	while (a->count < limit && range_set_next(&f->seqs, it, &seq)) {
		struct mail mail;
		if (!view_get(f->x->session->view, seq, &mail) || !is_wanted(f, &mail))
			continue;
		bytes += mail.size_physical;
		if (bytes > AHEAD_BYTES_MAX)
			break;
		a->mails[a->count++] = mail;
	}
	return bytes;
}

static void bring_into_cache(struct fetch *f, struct range_set_iter *it, size_t limit)
{
	uint32_t next[AHEAD_COUNT_MAX];
	size_t count = 0;
	while (count < limit && range_set_next(&f->seqs, it, &next[count]))
		count++;
	view_prefetch(f->x->session->view, next, count);
}

/* WAITS. */
static enum err read_chosen(struct op *op, struct fetch *f, uint64_t bytes)
{
	struct imap_session *s = f->x->session;
	TRY(imap_turn_take(op, s->imap, bytes));
	enum err e = view_read_bodies(op, s->view, f->ahead.mails, f->ahead.count, f->ahead.bodies);
	imap_turn_give(s->imap, bytes);
	return e;
}

/* Into the cache, in the background: the mails behind the last of the row. Numbers move when mails are
 * expunged: some may be asked for twice or not at all, which costs a moment. */
static void follow_row(struct fetch *f, size_t limit)
{
	struct view *v = f->x->session->view;
	struct imap_row *row = &f->x->session->row;
	uint32_t next[AHEAD_COUNT_MAX];
	size_t count = 0;
	uint64_t bytes = 0;
	struct mail mail;
	for (uint32_t seq = row->seq + 1; seq <= row->seq + limit && view_get(v, seq, &mail);
		seq++) {
		if (mail.size_physical > ROW_MAIL_MAX)
			continue;
		bytes += mail.size_physical;
		if (bytes > AHEAD_BYTES_MAX)
			break;
		if (seq <= row->ahead_seq)
			continue;
		next[count++] = row->ahead_seq = seq;
	}
	view_prefetch(v, next, count);
}

/* This FETCH is of one mail, number `seq`. */
static void note_single(struct fetch *f, uint32_t seq, size_t limit)
{
	struct imap_row *row = &f->x->session->row;
	if (row->count > 0 && seq == row->seq)
		return; /* it goes on after a rest */
	bool follows = row->count > 0 && seq > row->seq && seq - row->seq <= limit;
	*row = (struct imap_row){ .count = follows ? row->count + 1 : 1,
		.seq = seq,
		.ahead_seq = follows ? row->ahead_seq : 0 };
	if (row->count >= ROW_MIN)
		follow_row(f, limit);
}

bool fetch_read_ahead(struct fetch *f, struct str *out)
{
	const struct imap_session *s = f->x->session;
	struct range_set_iter it = f->at_seq;
	size_t limit = MIN(s->settings->prefetch_count, (size_t)AHEAD_COUNT_MAX);
	if (take(f, out))
		return true;
	fetch_forget_ahead(f);
	if (limit < 2 || !wants_bodies(f) || !view_is_remote(s->view))
		return false;
	if (range_set_size(&f->seqs) == 1) {
		struct range_set_iter first = { 0 };
		uint32_t seq;
		if (range_set_next(&f->seqs, &first, &seq))
			note_single(f, seq, limit);
		return false;
	}
	arena_init(&f->ahead.arena, 0); /* mails have a limit of their own */
	uint64_t bytes = choose(f, limit, &it);
	struct op reading;
	op_init(&reading, &f->ahead.arena, f->x->op->event, f->x->op->deadline_us);
	f->ahead.bodies = ARENA_NEW_ARRAY(&f->ahead.arena, struct str, f->ahead.count);
	if (f->ahead.count < 2 || read_chosen(&reading, f, bytes) != ERR_NONE) {
		fetch_forget_ahead(f);
		return false;
	}
	bring_into_cache(f, &it, limit);
	return take(f, out);
}
