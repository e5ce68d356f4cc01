/* SPDX-License-Identifier: Apache-2.0 */
/* FETCH (RFC 3501 §6.4.5, §7.4.2): one response line a mail, small items first, then parts of the body
 * in the order asked.
 *
 * Cost: flags, dates and sizes come from the view; ENVELOPE, BODY, BODYSTRUCTURE and kept header
 * fields from the summary; the body is read once a mail and only when an item needs its bytes. Output
 * is sent in bursts; the mail's memory is given back after each mail. */
#include "message/crlf.h"
#include "message/header.h"
#include "service/imap/imap_private.h"

#define PREFETCH_COUNT 8
#define BURST_BYTES    32768

/* What is known of the mail at hand; read when first needed. */
struct fetched {
	struct mail mail;
	struct message_summary summary;
	struct message_tree tree;
	struct str body;
	bool has_summary, has_tree, has_body;
	unsigned item_count; /* put into the line so far */
};

struct fetch {
	struct imap_run *x;
	const struct imap_fetch *what;
	bool sets_seen;
	bool has_missing; /* a mail was expunged meanwhile */
	struct fetched at;
};

/* ---- reading, each once ---- */

static enum err need_summary(struct fetch *f)
{
	if (f->at.has_summary)
		return ERR_NONE;
	TRY(view_read_summary(f->x->op, f->x->session->view, &f->at.mail, &f->at.summary));
	f->at.has_summary = true;
	return ERR_NONE;
}

static enum err need_body(struct fetch *f)
{
	if (f->at.has_body)
		return ERR_NONE;
	TRY(view_read_body(f->x->op, f->x->session->view, &f->at.mail, &f->at.body));
	f->at.has_body = true;
	return ERR_NONE;
}

/* The part tree: from the summary, or parsed when that was lost. */
static enum err need_tree(struct fetch *f)
{
	if (f->at.has_tree)
		return ERR_NONE;
	TRY(need_summary(f));
	if (message_summary_tree(f->x->op->arena, &f->at.summary, &f->at.tree) != ERR_NONE) {
		TRY(need_body(f));
		message_parse(f->x->op->arena, f->at.body, &f->at.tree);
	}
	f->at.has_tree = true;
	return ERR_NONE;
}

/* The space between items; none before the first. */
static void put_name(struct fetch *f)
{
	if (f->at.item_count++ > 0)
		buf_put_byte(f->x->out, ' ');
}

/* ---- parts of the body ---- */

/* Section text for message_section_find(): "1.2.HEADER" without a list of fields. */
static struct str section_text(struct arena *a, const struct imap_section *section)
{
	AUTO_BUF(text, 0);
	for (size_t i = 0; i < section->part_count; i++) {
		if (i > 0)
			buf_put_byte(&text, '.');
		buf_put_u64_dec(&text, section->parts[i]);
	}
	struct str suffix = STR("");
	switch (section->kind) {
	case IMAP_SECTION_WHOLE:
		break;
	case IMAP_SECTION_HEADER:
	case IMAP_SECTION_HEADER_FIELDS:
	case IMAP_SECTION_HEADER_FIELDS_NOT:
		suffix = STR("HEADER");
		break;
	case IMAP_SECTION_TEXT:
		suffix = STR("TEXT");
		break;
	case IMAP_SECTION_MIME:
		suffix = STR("MIME");
		break;
	}
	if (suffix.n > 0 && text.n > 0)
		buf_put_byte(&text, '.');
	buf_put(&text, suffix);
	return buf_dup(a, &text);
}

static bool is_field_list(const struct imap_section *section)
{
	return section->kind == IMAP_SECTION_HEADER_FIELDS ||
	       section->kind == IMAP_SECTION_HEADER_FIELDS_NOT;
}

/* HEADER.FIELDS of the mail itself with kept names alone needs no body. */
static bool summary_has_fields(const struct fetch *f, const struct imap_section *section)
{
	if (section->kind != IMAP_SECTION_HEADER_FIELDS || section->part_count > 0 ||
		!f->at.summary.has_fields)
		return false;
	for (size_t i = 0; i < section->field_count; i++) {
		if (!message_summary_keeps_field(section->fields[i]))
			return false;
	}
	return true;
}

static void put_partial(struct fetch *f, const struct imap_fetch_body *body, struct str content)
{
	if (body->has_partial) {
		size_t from = MIN(body->offset, content.n);
		content = str_slice(content, from, from + MIN(body->length, content.n - from));
	}
	imap_put_literal(f->x->out, content);
}

/* Selected header fields as one CRLF text with the empty line. */
static enum err put_fields(struct fetch *f, const struct imap_fetch_body *body)
{
	const struct imap_section *section = &body->section;
	bool is_not = section->kind == IMAP_SECTION_HEADER_FIELDS_NOT;
	AUTO_BUF(text, 0);
	struct str header = f->at.summary.fields;
	f->x->session->fetched_headers++;
	if (!summary_has_fields(f, section)) {
		struct message_span span;
		struct str name = section_text(f->x->op->arena, section);
		if (message_section_find(&f->at.tree, name, &span) != ERR_NONE) {
			put_partial(f, body, STR("")); /* no such part: empty, sheet §4.13 */
			return ERR_NONE;
		}
		header = message_span_bytes(f->at.body, &span);
	}
	message_header_subset(
		&text, header, section->fields, section->field_count, is_not, f->x->op->arena);
	buf_put(&text, STR("\r\n"));
	put_partial(f, body, buf_str(&text));
	return ERR_NONE;
}

/* A range of the mail in CRLF form, straight from its bytes into the output. */
static enum err put_span(struct fetch *f, const struct imap_fetch_body *body)
{
	struct message_span span = { 0 };
	struct message_crlf reader;
	struct str name = section_text(f->x->op->arena, &body->section);
	/* No such part: empty. */
	if (message_section_find(&f->at.tree, name, &span) != ERR_NONE)
		span = (struct message_span){ 0 };
	uint64_t from = 0, size = span.virtual_size;
	if (body->has_partial) {
		from = MIN(body->offset, size);
		size = MIN(body->length, size - from);
	}
	imap_put_literal_start(f->x->out, size);
	message_crlf_init(&reader, message_span_bytes(f->at.body, &span), span.virtual_size);
	reader.is_nul_replaced = true;
	message_crlf_skip(&reader, from);
	f->x->session->fetched_bodies++;
	while (size > 0) {
		size_t n = message_crlf_read(&reader, f->x->out, (size_t)MIN(size, BURST_BYTES));
		ASSERT(n > 0);
		size -= n;
		TRY(imap_check_output(f->x->op, f->x->session));
	}
	return ERR_NONE;
}

static enum err put_body_item(struct fetch *f, const struct imap_fetch_body *body)
{
	put_name(f);
	imap_put_fetch_name(f->x->out, body);
	buf_put_byte(f->x->out, ' ');
	return is_field_list(&body->section) ? put_fields(f, body) : put_span(f, body);
}

/* ---- small items ---- */

static void put_small_items(struct fetch *f, unsigned items)
{
	struct buf *out = f->x->out;
	const struct mail *m = &f->at.mail;
	/* UID first: clients that read line by line know at once whom it is about. */
	if (items & IMAP_FETCH_UID) {
		put_name(f);
		buf_put(out, STR("UID "));
		buf_put_u64_dec(out, m->uid);
	}
	if (items & IMAP_FETCH_FLAGS) {
		put_name(f);
		buf_put(out, STR("FLAGS "));
		imap_put_mail_flags(out, f->x->session, m);
	}
	if (items & IMAP_FETCH_INTERNALDATE) {
		put_name(f);
		buf_put(out, STR("INTERNALDATE "));
		imap_put_date_time(out, m->received_wall_us, 0);
	}
	if (items & IMAP_FETCH_RFC822_SIZE) {
		put_name(f);
		buf_put(out, STR("RFC822.SIZE "));
		buf_put_u64_dec(out, m->size_virtual);
	}
	if (items & IMAP_FETCH_MODSEQ) {
		put_name(f);
		buf_put(out, STR("MODSEQ ("));
		buf_put_u64_dec(out, m->modseq);
		buf_put_byte(out, ')');
	}
}

static void put_summary_items(struct fetch *f)
{
	unsigned items = f->what->items;
	struct buf *out = f->x->out;
	if (items & IMAP_FETCH_ENVELOPE) {
		put_name(f);
		buf_put(out, STR("ENVELOPE "));
		buf_put(out, f->at.summary.envelope);
	}
	if (items & IMAP_FETCH_BODYSTRUCTURE) {
		put_name(f);
		buf_put(out, STR("BODYSTRUCTURE "));
		buf_put(out, f->at.summary.bodystructure);
	}
	if (items & IMAP_FETCH_BODY) {
		put_name(f);
		buf_put(out, STR("BODY "));
		buf_put(out, f->at.summary.body);
	}
}

/* Everything that may fail or wait is read before the line begins: a failure never cuts a response. */
static enum err read_all(struct fetch *f)
{
	const struct imap_fetch *what = f->what;
	if (what->items & (IMAP_FETCH_ENVELOPE | IMAP_FETCH_BODY | IMAP_FETCH_BODYSTRUCTURE))
		TRY(need_summary(f));
	for (size_t i = 0; i < what->body_count; i++) {
		const struct imap_section *section = &what->bodies[i].section;
		TRY(need_summary(f));
		if (is_field_list(section) && summary_has_fields(f, section))
			continue;
		TRY(need_tree(f));
		TRY(need_body(f));
	}
	return ERR_NONE;
}

/* Bodies without PEEK set \Seen (RFC 3501 §6.4.5); the new flags stand in the same line. */
static enum err set_seen(struct fetch *f, unsigned *items)
{
	struct imap_session *s = f->x->session;
	if (!f->sets_seen || s->is_read_only || (f->at.mail.flags & MAIL_SEEN))
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
	TRY(e);
	(void)view_get(s->view, f->at.mail.seq, &f->at.mail); /* with its new modseq */
	*items |= IMAP_FETCH_FLAGS;
	if (s->enabled & IMAP_HAS_CONDSTORE) /* RFC 7162 §3.2.4 */
		*items |= IMAP_FETCH_UID | IMAP_FETCH_MODSEQ;
	return ERR_NONE;
}

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
	for (size_t i = 0; i < f->what->body_count; i++)
		TRY(put_body_item(f, &f->what->bodies[i]));
	buf_put(out, STR(")\r\n"));
	return ERR_NONE;
}

/* ---- the command ---- */

/* Bodies that the next rounds will want. */
static void prefetch(struct fetch *f, const struct range_set *seqs, struct range_set_iter it)
{
	uint32_t next[PREFETCH_COUNT];
	size_t count = 0;
	while (count < PREFETCH_COUNT && range_set_next(seqs, &it, &next[count]))
		count++;
	view_prefetch(f->x->session->view, next, count);
}

static enum err fetch_all(struct fetch *f, const struct range_set *seqs)
{
	struct arena *arena = f->x->op->arena;
	struct range_set_iter it = { 0 };
	uint32_t seq;
	size_t done = 0;
	while (range_set_next(seqs, &it, &seq)) {
		struct arena_mark mark = arena_mark(arena);
		if (f->what->body_count > 0 && done++ % PREFETCH_COUNT == 0)
			prefetch(f, seqs, it);
		enum err e = fetch_one(f, seq);
		arena_rewind(arena, mark);
		if (e == ERR_NOT_FOUND)
			f->has_missing = true; /* expunged meanwhile: told at the end */
		else
			TRY(e);
		TRY(imap_check_output(f->x->op, f->x->session));
		task_breathe();
	}
	return ERR_NONE;
}

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
	else
		return true;
	return false;
}

void imap_command_fetch(struct imap_run *x)
{
	struct imap_fetch what;
	struct range_set seqs;
	struct fetch f = { .x = x, .what = &what };
	if (!parse(x, &what))
		return;
	f.sets_seen = sets_seen(&what);
	range_set_init(&seqs);
	if (imap_resolve_set(x, &what.set, x->is_uid, &seqs)) {
		enum err e = ERR_NONE;
		if (what.has_changed_since || (what.items & IMAP_FETCH_MODSEQ))
			imap_enable_condstore(x);
		if (what.wants_vanished)
			e = put_vanished(x, &what);
		if (e == ERR_NONE)
			e = fetch_all(&f, &seqs);
		if (x->session->closing_reason)
			e = ERR_NONE; /* nobody is there to be told */
		else if (e != ERR_NONE)
			imap_reply_failure(x, e);
		else if (f.has_missing)
			imap_reply_no(x, STR("EXPUNGEISSUED"),
				STR("Some messages were already expunged."));
		else
			imap_reply_ok(x, STR_NONE, STR("Fetch completed."));
	}
	range_set_done(&seqs);
}
