/* SPDX-License-Identifier: Apache-2.0 */
/* FETCH (RFC 3501 §6.4.5, §7.4.2): one response line a mail, small items first, then parts of the body
 * in the order asked.
 *
 * Cost: flags, dates and sizes come from the view; ENVELOPE, BODY, BODYSTRUCTURE and kept header
 * fields from the summary; the body is read once a mail and only when an item needs its bytes, with others
 * where that saves round trips (fetch_ahead.c). Output
 * is sent in bursts; the mail's memory is given back after each mail. A slow client costs a small
 * struct, no task (fetch_private.h). */
#include <stdio.h>

#include "base/codec.h"
#include "service/imap/fetch_private.h"

/* A FETCH that rests: its arena holds the parsed command. */
struct imap_fetch_rest {
	struct arena arena;
	struct imap_fetch what;
	struct fetch f;
	struct str tag, name, args;
	bool is_uid;
};

/* ---- reading, each once ---- */

enum err fetch_need_summary(struct fetch *f)
{
	if (f->at.has_summary)
		return ERR_NONE;
	TRY(view_read_summary(f->x->op, f->x->session->view, &f->at.mail, &f->at.summary));
	f->at.has_summary = true;
	return ERR_NONE;
}

enum err fetch_need_body(struct fetch *f)
{
	struct op *op = f->x->op;
	if (f->at.has_body)
		return ERR_NONE;
	f->at.has_body = fetch_read_ahead(f, &f->at.body);
	if (f->at.has_body)
		return ERR_NONE;
	struct imap_session *s = f->x->session;
	enum err e = imap_turn_take(op, s->imap, f->at.mail.size_physical);
	f->is_refused = e == ERR_UNAVAILABLE;
	TRY(e);
	e = view_read_body(op, s->view, &f->at.mail, &f->at.body);
	imap_turn_give(s->imap, f->at.mail.size_physical);
	f->at.has_body = e == ERR_NONE;
	return e;
}

/* The part tree: from the summary, or parsed when that was lost. */
enum err fetch_need_tree(struct fetch *f)
{
	if (f->at.has_tree)
		return ERR_NONE;
	TRY(fetch_need_summary(f));
	if (message_summary_tree(f->x->op->arena, &f->at.summary, &f->at.tree) != ERR_NONE) {
		TRY(fetch_need_body(f));
		message_parse(f->x->op->arena, f->at.body, &f->at.tree);
	}
	f->at.has_tree = true;
	return ERR_NONE;
}

/* Everything that may fail or wait is read before the line begins: a failure never cuts a response. */
static enum err read_all(struct fetch *f)
{
	const unsigned summary = IMAP_FETCH_ENVELOPE | IMAP_FETCH_BODY | IMAP_FETCH_BODYSTRUCTURE;
	if (f->what->items & summary)
		TRY(fetch_need_summary(f));
	return fetch_read_bodies(f);
}

/* ---- output ---- */

void fetch_put_space(struct fetch *f)
{
	if (f->at.item_count++ > 0)
		buf_put_byte(f->x->out, ' ');
}

enum err fetch_check_output(struct fetch *f)
{
	struct op *op = f->x->op;
	struct imap_session *s = f->x->session;
	int64_t deadline_us = op->deadline_us;
	if (f->x->out->n < IMAP_BURST_BYTES)
		return ERR_NONE;
	op->deadline_us = now_us() + IMAP_PATIENCE_US;
	enum err e = stream_write_check(op, s->stream);
	op->deadline_us = deadline_us;
	if (e == ERR_TIMEOUT)
		f->is_blocked = true;
	else if (e != ERR_NONE && !s->closing_reason)
		s->closing_reason = "Connection lost while sending";
	return e;
}

/* ---- small items ---- */

static void put_item(struct fetch *f, struct str name)
{
	fetch_put_space(f);
	buf_put(f->x->out, name);
}

static void put_small_items(struct fetch *f, unsigned items)
{
	struct buf *out = f->x->out;
	const struct mail *m = &f->at.mail;
	/* UID first: clients that read line by line know at once whom it is about. */
	if (items & IMAP_FETCH_UID) {
		put_item(f, STR("UID "));
		buf_put_u64_dec(out, m->uid);
	}
	if (items & IMAP_FETCH_FLAGS) {
		put_item(f, STR("FLAGS "));
		imap_put_mail_flags(out, f->x->session, m);
	}
	if (items & IMAP_FETCH_INTERNALDATE) {
		put_item(f, STR("INTERNALDATE "));
		imap_put_date_time(out, m->received_wall_us, 0);
	}
	if (items & IMAP_FETCH_RFC822_SIZE) {
		put_item(f, STR("RFC822.SIZE "));
		buf_put_u64_dec(out, m->size_virtual);
	}
	if (items & IMAP_FETCH_MODSEQ) {
		put_item(f, STR("MODSEQ ("));
		buf_put_u64_dec(out, m->modseq);
		buf_put_byte(out, ')');
	}
	if (items & IMAP_FETCH_EMAILID) {
		put_item(f, STR("EMAILID ("));
		hex_encode(out, (struct str){ (const char *)m->guid, sizeof(m->guid) });
		buf_put_byte(out, ')');
	}
	if (items & IMAP_FETCH_THREADID) /* RFC 8474 §5.2: no threads are kept */
		put_item(f, STR("THREADID NIL"));
}

static void put_summary_items(struct fetch *f)
{
	unsigned items = f->what->items;
	struct buf *out = f->x->out;
	if (items & IMAP_FETCH_ENVELOPE) {
		put_item(f, STR("ENVELOPE "));
		buf_put(out, f->at.summary.envelope);
	}
	if (items & IMAP_FETCH_BODYSTRUCTURE) {
		put_item(f, STR("BODYSTRUCTURE "));
		buf_put(out, f->at.summary.bodystructure);
	}
	if (items & IMAP_FETCH_BODY) {
		put_item(f, STR("BODY "));
		buf_put(out, f->at.summary.body);
	}
}

/* ---- a mail ---- */

/* Bodies without PEEK set \Seen (RFC 3501 §6.4.5); the new flags stand in the same line. A mail that can
 * be read is told also when nobody can note that: the log says so, once a command. */
static enum err set_seen(struct fetch *f, unsigned *items)
{
	struct imap_session *s = f->x->session;
	if (!f->sets_seen || f->is_unmarked || s->is_read_only || (f->at.mail.flags & MAIL_SEEN))
		return ERR_NONE;
	struct range_set seq;
	range_set_init(&seq);
	range_set_add(&seq, f->at.mail.seq, f->at.mail.seq);
	const struct store_flags change = {
		.change = FLAGS_ADD,
		.flags = MAIL_SEEN,
		.unchanged_since = UINT64_MAX,
		.is_silent = true,
	};
	enum err e = view_store_flags(f->x->op, s->view, &seq, &change, NULL);
	range_set_done(&seq);
	if (e == ERR_UNAVAILABLE) {
		event_send_failure(s->event, EVENT_WARNING, NULL, f->x->op,
			"FETCH: the mails are told, but not marked as seen");
		f->is_unmarked = true;
		op_forgive(f->x->op);
		return ERR_NONE;
	}
	TRY(e);
	(void)view_get(s->view, f->at.mail.seq, &f->at.mail); /* with its new modseq */
	*items |= IMAP_FETCH_FLAGS;
	if (s->enabled & IMAP_HAS_CONDSTORE) /* RFC 7162 §3.2.4 */
		*items |= IMAP_FETCH_UID | IMAP_FETCH_MODSEQ;
	return ERR_NONE;
}

/* WAITS. */
static enum err fetch_one(struct fetch *f, uint32_t seq)
{
	struct buf *out = f->x->out;
	unsigned items = f->what->items | (f->x->is_uid ? IMAP_FETCH_UID : 0);
	f->at = (struct fetched){ 0 };
	if (!view_get(f->x->session->view, seq, &f->at.mail))
		return ERR_NONE;
	if (f->what->has_changed_since) {
		if (f->at.mail.modseq <= f->what->changed_since)
			return ERR_NONE;
		items |= IMAP_FETCH_MODSEQ;
	}
	TRY(read_all(f));
	TRY(set_seen(f, &items));
	buf_put(out, STR("* "));
	buf_put_u64_dec(out, seq);
	buf_put(out, STR(" FETCH ("));
	put_small_items(f, items);
	put_summary_items(f);
	TRY(fetch_put_bodies(f, false));
	buf_put(out, STR(")\r\n"));
	return ERR_NONE;
}

/* WAITS. Goes on within a mail. An error other than is_blocked: the line stays cut. */
static enum err fetch_rest_of(struct fetch *f, uint32_t seq)
{
	f->at = (struct fetched){ .item_count = 1 };
	if (!view_get(f->x->session->view, seq, &f->at.mail))
		return op_fail(f->x->op, ERR_NOT_FOUND, "the mail went while it was sent");
	TRY(read_all(f));
	f->rest_seq = 0;
	TRY(fetch_put_bodies(f, true));
	buf_put(f->x->out, STR(")\r\n"));
	return ERR_NONE;
}

/* ---- all of them ---- */

/* A mail could not be read: imap_fetch_failure says what follows. */
static enum err judge_failure(struct fetch *f, enum err e)
{
	struct imap_session *s = f->x->session;
	struct str code, text;
	if (e == ERR_NONE || f->is_blocked || s->closing_reason)
		return e;
	if (e == ERR_NOT_FOUND) { /* expunged meanwhile: told at the end */
		f->has_missing = true;
		op_forgive(f->x->op);
		return ERR_NONE;
	}
	f->is_unknown_encoding = e == ERR_UNSUPPORTED && f->at.has_body;
	if (f->is_unknown_encoding || f->is_refused || e == ERR_CANCELLED || e == ERR_LIMIT)
		return e;
	if (!f->has_failed) {
		imap_failure_words(f->x->op, e, &code, &text);
		(void)snprintf(f->code, sizeof(f->code), "%.*s", STRF(code));
		(void)snprintf(f->text, sizeof(f->text), "%.*s", STRF(text));
		event_send_failure(s->event, EVENT_ERROR, "imap_command_failed", f->x->op, "FETCH");
	}
	f->has_failed = true;
	op_forgive(f->x->op);
	return s->settings->fetch_failure == IMAP_FETCH_DISCONNECT_NOW ? e : ERR_NONE;
}

/* WAITS. */
static enum err fetch_all(struct fetch *f)
{
	struct arena *arena = f->x->op->arena;
	uint32_t seq;
	while (range_set_next(&f->seqs, &f->at_seq, &seq)) {
		struct arena_mark mark = arena_mark(arena);
		enum err e = judge_failure(f, fetch_one(f, seq));
		arena_rewind(arena, mark);
		imap_turn_look(f->x->session->imap);
		TRY(e);
		TRY(fetch_check_output(f));
		task_breathe();
	}
	return ERR_NONE;
}

/* The tagged reply, or BYE. */
static void answer(struct fetch *f, enum err e)
{
	struct imap_run *x = f->x;
	struct imap_session *s = x->session;
	if (s->closing_reason)
		return; /* nobody is there to be told */
	if (f->has_failed && s->settings->fetch_failure != IMAP_FETCH_NO_AFTER) {
		struct str text = str_printf(x->op->arena, "FETCH failed: %s", f->text);
		imap_put_untagged(x->out, "BYE", str_from(f->code), text);
		s->closing_reason = "FETCH failed";
	} else if (f->has_failed) {
		imap_reply_no(x, str_from(f->code), str_from(f->text));
	} else if (f->is_unknown_encoding) {
		imap_reply_no(x, STR("UNKNOWN-CTE"), STR("Unknown transfer encoding."));
	} else if (e != ERR_NONE) {
		imap_reply_failure(x, e);
	} else if (f->has_missing) {
		imap_reply_no(x, STR("EXPUNGEISSUED"), STR("Some messages were already expunged."));
	} else {
		imap_reply_ok(x, STR_NONE, STR("Fetch completed."));
	}
}

/* ---- resting ---- */

/* The command's memory moves to the session, which may park. */
static void rest(struct fetch *f)
{
	const struct imap_run *x = f->x;
	fetch_forget_decoded(f);
	fetch_forget_ahead(f);
	struct imap_fetch_rest *r = MEM_NEW(struct imap_fetch_rest);
	r->what = *f->what;
	r->f = *f;
	r->f.at = (struct fetched){ 0 };
	r->tag = x->tag;
	r->name = x->name;
	r->args = x->args;
	r->is_uid = x->is_uid;
	r->arena = *x->op->arena;
	arena_init(x->op->arena, r->arena.max_bytes);
	x->session->fetch = r;
	x->session->is_blocked = true;
}

static void rest_free(struct imap_fetch_rest *r)
{
	range_set_done(&r->f.seqs);
	fetch_forget_decoded(&r->f);
	fetch_forget_ahead(&r->f);
	arena_done(&r->arena);
	mem_free(r);
}

void imap_fetch_drop(struct imap_session *s)
{
	if (s->fetch)
		rest_free(s->fetch);
	s->fetch = NULL;
}

void imap_fetch_resume(struct imap_session *s)
{
	struct imap_fetch_rest *r = s->fetch;
	struct op op;
	struct imap_run x = { .op = &op,
		.session = s,
		.tag = r->tag,
		.name = r->name,
		.args = r->args,
		.is_uid = r->is_uid,
		.out = stream_output(s->stream) };
	enum err e = ERR_NONE;
	op_init(&op, &r->arena, s->event, now_us() + IMAP_IDLE_OUT_US);
	r->f.x = &x;
	r->f.what = &r->what;
	r->f.is_blocked = false;
	struct arena_mark mark = arena_mark(&r->arena);
	if (r->f.rest_seq > 0)
		e = fetch_rest_of(&r->f, r->f.rest_seq);
	arena_rewind(&r->arena, mark);
	if (e != ERR_NONE && !r->f.is_blocked && !s->closing_reason)
		s->closing_reason = "Cannot go on with a mail"; /* in the middle of its bytes */
	if (e == ERR_NONE)
		e = fetch_all(&r->f);
	s->is_blocked = r->f.is_blocked;
	if (r->f.is_blocked) {
		fetch_forget_decoded(&r->f);
		fetch_forget_ahead(&r->f);
		return;
	}
	s->fetch = NULL;
	answer(&r->f, e);
	rest_free(r);
}

/* ---- the command ---- */

static bool sets_seen(const struct imap_fetch *what)
{
	for (size_t i = 0; i < what->body_count; i++) {
		if (!what->bodies[i].is_peek)
			return true;
	}
	return false;
}

/* WAITS. Those of the set that are gone (RFC 7162 §3.2.6), before any FETCH line. */
static enum err put_vanished(struct imap_run *x, const struct imap_fetch *what)
{
	struct range_set uids;
	range_set_init(&uids);
	imap_resolve_uids(x, &what->set, &uids);
	enum err e = imap_put_vanished_since(x, what->changed_since, &uids);
	range_set_done(&uids);
	return e;
}

/* False: answered. */
static bool parse(struct imap_run *x, struct imap_fetch *what)
{
	if (imap_parse_fetch(x->cursor, what) != ERR_NONE)
		imap_reply_bad_arguments(x);
	else if (what->wants_vanished && !x->is_uid)
		imap_reply_bad(x, STR("VANISHED needs UID FETCH."));
	else if (what->wants_vanished && !(x->session->enabled & IMAP_HAS_QRESYNC))
		imap_reply_bad(x, STR("QRESYNC is not enabled."));
	else {
		what->changed_since = view_settle_modseq(x->session->view, what->changed_since);
		return true;
	}
	return false;
}

/* WAITS. False: it rests. */
static bool run(struct fetch *f)
{
	enum err e = ERR_NONE;
	if (f->what->has_changed_since || (f->what->items & IMAP_FETCH_MODSEQ))
		imap_enable_condstore(f->x);
	if (f->what->wants_vanished)
		e = put_vanished(f->x, f->what);
	if (e == ERR_NONE)
		e = fetch_all(f);
	if (f->is_blocked) {
		rest(f);
		return false;
	}
	fetch_forget_decoded(f);
	fetch_forget_ahead(f);
	answer(f, e);
	return true;
}

void imap_command_fetch(struct imap_run *x)
{
	struct imap_fetch what;
	struct fetch f = { .x = x, .what = &what };
	if (!parse(x, &what))
		return;
	f.sets_seen = sets_seen(&what);
	range_set_init(&f.seqs);
	if (!imap_resolve_set(x, &what.set, x->is_uid, &f.seqs) || run(&f))
		range_set_done(&f.seqs);
}
