/* SPDX-License-Identifier: Apache-2.0 */
/* APPEND and MULTIAPPEND: mails stream from the socket into memory of their announced size; nothing is
 * saved before the command is whole, then everything at once.
 *
 *   "A APPEND box (flags) {n}"     -> refused with NO before "+", or received
 *   after a literal: " (flags) {n}" -> the next mail; end of line -> saved and answered
 *
 * A client that is slow to send is parked with what came so far.
 * Invariants: 1. s->append is set from the first accepted literal until the command was answered.
 *             2. imap->append_bytes is the sum of what these mails may take.
 *             3. every byte of an accepted literal is read, also of a command that will fail.
 * Memory: a small mail is a heap block; a larger one a mapping, whose pages come as its bytes do.
 * Spec: RFC 3501 §6.3.11, RFC 3502, RFC 4315 §3, RFC 7888; sheet protocols §4.3, §4.12 */
#include <sys/mman.h>

#include "base/account.h"
#include "service/imap/imap_private.h"

#define MAILS_MAX       100
#define BYTES_MAX_ALL   (UINT64_C(1) << 30) /* of all sessions together */
#define BYTES_MAX_USER  (BYTES_MAX_ALL / 2) /* so that none keeps the others from saving */
#define HEAP_BYTES_MAX  (1u << 20)
#define ARENA_BYTES_MAX (16u << 20) /* flags and keywords of all mails of a command */
#define PIECE_BYTES     (256u << 10)
#define FUTURE_US       (2 * 3600 * US_PER_SEC) /* a date beyond becomes now */

struct imap_append_state {
	struct arena arena; /* what follows */
	struct str tag, mailbox;
	struct append *mails;
	size_t count;
	uint64_t bytes;
	size_t received;   /* of the last mail; all of it unless its client is slow */
	bool is_binary;    /* the last mail may hold NUL */
	const char *error; /* for BAD, once the command is whole; NULL: none */
};

/* ---- memory of a mail: bytes live in `message` of its struct append ---- */

static enum err mail_memory_new(struct op *op, size_t n, char **out)
{
	TRY(account_admit(op, n));
	if (n <= HEAP_BYTES_MAX) {
		*out = mem_resize(NULL, n);
		return ERR_NONE;
	}
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return op_fail_errno(op, "memory for a mail of %zu bytes", n);
	account_take(n);
	*out = p;
	return ERR_NONE;
}

static void mail_memory_free(struct str message)
{
	/* Ours, whatever the store's interface promises about it. */
	void *p = (void *)(uintptr_t)message.p;
	if (message.n <= HEAP_BYTES_MAX) {
		mem_free(p);
		return;
	}
	(void)munmap(p, message.n); /* cannot fail for our own mapping */
	account_give(message.n);
}

/* ---- the state ---- */

void imap_append_drop(struct imap_session *s)
{
	struct imap_append_state *a = s->append;
	if (!a)
		return;
	for (size_t i = 0; i < a->count; i++)
		mail_memory_free(a->mails[i].message);
	s->imap->append_bytes -= a->bytes;
	arena_done(&a->arena);
	mem_free(a);
	s->append = NULL;
}

struct str imap_append_tag(const struct imap_session *s)
{
	return s->append->tag;
}

static struct imap_append_state *state_new(struct str tag, struct str mailbox)
{
	struct imap_append_state *a = MEM_NEW(struct imap_append_state);
	arena_init(&a->arena, 0); /* asked for room before each mail */
	a->tag = str_dup(&a->arena, tag);
	a->mailbox = str_dup(&a->arena, mailbox);
	return a;
}

static int64_t received_time(const struct imap_append_message *m)
{
	if (!m->has_date)
		return 0;
	return m->wall_us > now_wall_us() + FUTURE_US ? 0 : m->wall_us;
}

/* Takes a mail into the state, its bytes still to come. */
static void state_add(struct imap_session *s, const struct imap_append_message *m, char *memory)
{
	struct imap_append_state *a = s->append;
	size_t n = m->flags.keyword_count;
	struct str *keywords = ARENA_NEW_ARRAY(&a->arena, struct str, n);
	for (size_t i = 0; i < n; i++)
		keywords[i] = str_dup(&a->arena, m->flags.keywords[i]);
	a->mails = arena_grow(&a->arena, a->mails, a->count * sizeof(*a->mails),
		(a->count + 1) * sizeof(*a->mails));
	a->mails[a->count++] = (struct append){
		.message = { memory, m->literal.size },
		.flags = m->flags.system & MAIL_STORABLE_FLAGS,
		.keywords = keywords,
		.keyword_count = n,
		.received_wall_us = received_time(m),
	};
	a->bytes += m->literal.size;
	s->imap->append_bytes += m->literal.size;
}

static struct imap_run run_of(struct op *op, struct imap_session *s, struct imap_cursor *cursor)
{
	return (struct imap_run){
		.op = op,
		.session = s,
		.cursor = cursor,
		.tag = s->append ? s->append->tag : STR_NONE,
		.name = STR("APPEND"),
		.out = stream_output(s->stream),
	};
}

/* ---- before "+" ---- */

/* What stands before the literal. The mailbox only with the first mail. False: BAD was answered. */
static bool parse_piece(struct imap_run *x, struct str text, struct str *out_mailbox,
	struct imap_append_message *out)
{
	struct imap_append_state *a = x->session->append;
	struct imap_command command;
	enum err e = ERR_NONE;
	imap_cursor_init(x->cursor, x->op->arena, text);
	if (a) {
		*out_mailbox = a->mailbox;
	} else {
		x->tag = imap_frame_tag(&x->session->settings->limits, text);
		e = imap_cut_command(x->cursor, &command);
		if (e == ERR_NONE)
			e = imap_cut_append_mailbox(x->cursor, out_mailbox);
		if (e == ERR_NONE)
			*out_mailbox = imap_given_name(x, *out_mailbox);
	}
	if (e == ERR_NONE)
		e = imap_parse_append_message(x->cursor, out);
	if (e != ERR_NONE)
		imap_reply_bad_arguments(x);
	else if (a && a->error)
		imap_reply_bad(x, str_from(a->error));
	else
		return true;
	return false;
}

/* Of all his sessions. */
static uint64_t user_bytes(const struct imap *imap, const struct user *u)
{
	const struct imap_session *s, *next;
	uint64_t bytes = 0;
	LIST_FOR_EACH(s, next, &imap->sessions, const struct imap_session, link)
	{
		bytes += s->user == u && s->append ? s->append->bytes : 0;
	}
	return bytes;
}

static bool has_room(const struct imap_session *s, uint64_t size)
{
	return size <= BYTES_MAX_ALL - s->imap->append_bytes &&
	       size <= BYTES_MAX_USER - user_bytes(s->imap, s->user) && account_has_room(size);
}

/* Whether a mail of that size may be sent. False: NO was answered. */
static bool admit_size(struct imap_run *x, uint64_t size)
{
	const struct imap_settings *set = x->session->settings;
	const struct imap_append_state *a = x->session->append;
	if (size == 0) {
		imap_reply_no(x, STR_NONE, STR("Can't save a zero byte message."));
	} else if (size > set->message_bytes_max) {
		imap_reply_no(x, STR("TOOBIG"),
			STR("Message size is larger than the maximum allowed size"));
	} else if (a && (a->count == MAILS_MAX || size > IMAP_APPEND_BYTES_MAX - a->bytes ||
				a->arena.used_bytes > ARENA_BYTES_MAX)) {
		imap_reply_no(x, STR("LIMIT"), STR("Too many messages in one APPEND."));
	} else if (!has_room(x->session, size)) {
		imap_reply_no(x, STR("UNAVAILABLE"),
			STR("Too much mail is being received, try again later."));
	} else {
		return true;
	}
	return false;
}

/* Both only with the first mail: the mailbox may still go before the end, which save() sees. */
static bool admit_mailbox(struct imap_run *x, struct str mailbox)
{
	struct tree_entry entry;
	if (x->session->append)
		return true;
	enum err e = tree_lookup(x->op, x->session->user, mailbox, &entry);
	if (e == ERR_NONE && !(entry.flags & TREE_SELECTABLE))
		e = ERR_NOT_FOUND;
	if (e != ERR_NONE)
		imap_reply_target_failure(x, e, mailbox);
	return e == ERR_NONE;
}

/* The command was answered; what the client sends for it all the same is skipped. */
static void refuse(struct imap_session *s)
{
	struct imap_frame *f = &s->frame;
	imap_append_drop(s);
	if (imap_frame_refuse(f, &s->settings->limits)) {
		stream_consume(s->stream, f->used);
		return;
	}
	imap_put_untagged(
		stream_output(s->stream), "BYE", STR("TOOBIG"), STR("Literal size too large."));
	s->closing_reason = "Refused literal is too large to skip";
}

/* ---- receiving ---- */

static struct str last_mail(const struct imap_append_state *a)
{
	return a->mails[a->count - 1].message;
}

bool imap_append_is_receiving(const struct imap_session *s)
{
	return s->append->count > 0 && s->append->received < last_mail(s->append).n;
}

/* WAITS for a moment at a time. ERR_TIMEOUT: its client is slow. */
static enum err receive(struct op *op, struct imap_session *s)
{
	struct imap_append_state *a = s->append;
	struct str message = last_mail(a);
	char *memory = (char *)(uintptr_t)message.p;
	size_t n;
	while (a->received < message.n) {
		op->deadline_us = now_us() + IMAP_PATIENCE_US;
		TRY(stream_read_some(op, s->stream, memory + a->received,
			MIN(message.n - a->received, PIECE_BYTES), &n));
		if (memchr(memory + a->received, '\0', n) != NULL && !a->is_binary)
			a->error = "NUL in a message that isn't binary.";
		a->received += n;
		imap_measure_input(s, n);
		task_breathe();
	}
	return ERR_NONE;
}

bool imap_append_resume(struct op *op, struct imap_session *s)
{
	enum err e = receive(op, s);
	if (e != ERR_NONE && e != ERR_TIMEOUT)
		s->closing_reason = "Connection lost in APPEND";
	return e == ERR_NONE;
}

void imap_append_literal(struct op *op, struct imap_session *s, struct str text)
{
	struct imap_cursor cursor;
	struct imap_append_message m;
	struct str mailbox;
	struct imap_run x = run_of(op, s, &cursor);
	char *memory = NULL;
	imap_measure_input(s, text.n);
	if (!parse_piece(&x, text, &mailbox, &m) || !admit_size(&x, m.literal.size) ||
		!imap_check_keywords(&x, &m.flags) || !admit_mailbox(&x, mailbox)) {
		refuse(s);
		return;
	}
	enum err e = mail_memory_new(op, m.literal.size, &memory);
	if (e != ERR_NONE) {
		imap_reply_failure(&x, e);
		refuse(s);
		return;
	}
	if (!s->append)
		s->append = state_new(x.tag, mailbox);
	state_add(s, &m, memory);
	stream_consume(s->stream, s->frame.used);
	imap_frame_stream(&s->frame);
	if (m.literal.is_sync)
		imap_put_continue(x.out, STR("OK"));
	s->append->received = 0;
	s->append->is_binary = m.literal.is_binary;
	/* "+" must leave before the mail is waited for. */
	(void)imap_append_resume(op, s);
}

/* ---- the end of the command ---- */

static struct str appenduid_code(
	struct arena *arena, const struct append_result *result, size_t count)
{
	struct range_set uids;
	AUTO_BUF(code, 0);
	range_set_init(&uids);
	for (size_t i = 0; i < count; i++)
		range_set_add(&uids, result->uids[i], result->uids[i]);
	buf_putf(&code, "APPENDUID %" PRIu32 " ", result->uid_validity);
	range_set_print(&uids, &code);
	range_set_done(&uids);
	return buf_dup(arena, &code);
}

/* WAITS. */
static void save(struct imap_run *x)
{
	struct imap_append_state *a = x->session->append;
	struct append_result result;
	struct mailbox *mailbox;
	enum err e = mailbox_open(x->op, x->session->user, a->mailbox, &mailbox);
	if (e == ERR_NONE) {
		e = mailbox_append(x->op, mailbox, a->mails, a->count, &result);
		mailbox_unref(mailbox);
	}
	if (e != ERR_NONE)
		imap_reply_target_failure(x, e, a->mailbox);
	if (e != ERR_NONE)
		return;
	x->session->counters.appended += a->count;
	/* Tells EXISTS first if this mailbox is selected. */
	imap_reply_ok(x, appenduid_code(x->op->arena, &result, a->count), STR("Append completed."));
}

void imap_append_finish(struct op *op, struct imap_session *s, struct str text)
{
	struct imap_cursor cursor;
	struct imap_run x = run_of(op, s, &cursor);
	imap_cursor_init(&cursor, op->arena, text);
	if (imap_parse_none(&cursor) != ERR_NONE)
		imap_reply_bad_arguments(&x);
	else if (s->append->error)
		imap_reply_bad(&x, str_from(s->append->error));
	else
		save(&x);
	imap_append_drop(s);
}

void imap_command_append(struct imap_run *x)
{
	imap_reply_bad(x, STR("Missing message literal."));
}
