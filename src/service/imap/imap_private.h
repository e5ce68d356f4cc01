/* SPDX-License-Identifier: Apache-2.0 */
/* service/imap/imap_private.h - a session and the commands it runs, for this folder alone. */
#pragma once

#include "base/list.h"
#include "base/range_set.h"
#include "config/config.h"
#include "event/event.h"
#include "net/net.h"
#include "net/serving.h"
#include "service/imap/imap.h"
#include "store/mailbox.h"
#include "store/store.h"
#include "task/task.h"
#include "wire/imap.h"

#define IMAP_SESSION_MAGIC 0x494d4150u
#define IMAP_IDLE_OUT_US   (30 * 60 * US_PER_SEC) /* RFC 3501 §5.4 */
#define IMAP_PROGRESS_US   (60 * US_PER_SEC) /* a client that neither sends nor takes for this long */
#define IMAP_BAD_MAX       20
#define IMAP_TAG_MAX       40
#define IMAP_PATIENCE_US                                                                           \
	US_PER_SEC /* a client that neither sends nor takes for so long is parked */
#define IMAP_BURST_BYTES       32768 /* of output between two looks at the client */
#define IMAP_KEYWORD_BYTES_MAX 50
#define IMAP_APPEND_BYTES_MAX  (UINT64_C(256) << 20) /* of one mail, and of one command */
#define IMAP_COMMAND_ARENA                                                                         \
	(768u << 20) /* the largest mail as it is stored and as it is read, and the rest */
#define IMAP_NAME_MAX 4096

/* What follows a mail that cannot be read; in the order of the setting's choices. */
enum imap_fetch_failure {
	IMAP_FETCH_DISCONNECT_NOW,
	IMAP_FETCH_DISCONNECT_AFTER,
	IMAP_FETCH_NO_AFTER,
};

/* The settings, as they were when a session began: a reload makes new ones (settings.c). */
struct imap_settings {
	unsigned references;
	struct config *config;            /* a reference */
	const struct config_scope *scope; /* of protocol imap */
	struct buf capability;            /* after login; owned */
	struct imap_limits limits;
	char separator;
	enum imap_fetch_failure fetch_failure;
	bool is_literal_minus;
	bool delays_newmail;   /* EXISTS only where numbers may change at NOOP and CHECK */
	bool strips_separator; /* "box/" means "box" in every command */
	bool tells_lsub_noselect;
	uint32_t userip_max;
	uint64_t message_bytes_max; /* at most IMAP_APPEND_BYTES_MAX */
	int64_t idle_notify_us;
	unsigned prefetch_count; /* bodies that a FETCH reads at once from another host */
};
enum err imap_settings_new(struct op *op, struct config *config, struct imap_settings **out);
struct imap_settings *imap_settings_ref(struct imap_settings *settings);
void imap_settings_unref(struct imap_settings *settings);

struct imap {
	struct imap_settings *settings; /* of sessions to come */
	struct list sessions;
	size_t session_count;
	bool is_closing;
	struct wait_queue emptied;
	uint64_t append_bytes;  /* memory of all mails being received (append.c) */
	uint64_t reading_bytes; /* of mails being read from the store (turn.c) */
	struct wait_queue read; /* woken when some have been read */
};

struct imap_append_state;
struct imap_fetch_rest;

/* What a client has enabled, by ENABLE (RFC 5161) or by asking for it (RFC 7162 §3.1). */
enum imap_enabled {
	IMAP_HAS_CONDSTORE = 1, /* FETCH lines have UID and MODSEQ (RFC 7162 §3.2.4) */
	IMAP_HAS_QRESYNC = 2,   /* VANISHED instead of EXPUNGE; never without CONDSTORE */
};

/* Life: handed over -> parked <-> served by a task -> ended.
 * A session is plain data; what a command needs lives in that command's arena.
 * Invariants: 1. either a task serves it or its stream is parked, never both.
 *             2. `view` is NULL unless a mailbox is selected.
 *             3. only its own task writes to its stream. */
struct imap_session {
	uint32_t magic;
	struct imap *imap;
	struct list link;
	/* owned */
	struct user *user;       /* a reference */
	struct mailbox *mailbox; /* a reference; NULL: nothing is selected */
	struct view *view;
	struct stream *stream;
	struct event *event;
	struct imap_settings *settings;   /* a reference */
	struct imap_append_state *append; /* an APPEND that is not whole yet; NULL: none */
	struct imap_fetch_rest *fetch;    /* a FETCH whose client takes its time; NULL: none */
	struct serving serving;
	/* state of the dialogue */
	struct imap_frame frame;
	struct address remote;
	char session_id[32];
	char idle_tag[IMAP_TAG_MAX + 1]; /* of the running IDLE; "" if none */
	struct range_set saved_uids;     /* owned: "$" (RFC 5182) */
	unsigned enabled;                /* enum imap_enabled */
	uint8_t bad_commands;
	bool is_read_only;     /* EXAMINE */
	bool is_woken;         /* the mailbox changed while IDLE was parked */
	bool is_blocked;       /* the client does not take its output */
	bool may_tell_mails;   /* NOOP or CHECK is being answered */
	bool has_untold_mails; /* EXISTS was held back (delay-newmail) */
	uint64_t progress;     /* bytes that had moved at progress_us, of a slow client */
	int64_t progress_us;
	uint8_t keywords_told;      /* how many the last FLAGS line had */
	const char *closing_reason; /* static; NULL: goes on */
	struct imap_measure {       /* for imap_command_finished */
		int64_t began_us;   /* 0: no command runs */
		uint64_t in_bytes;  /* of this command so far */
		uint64_t out_mark;  /* of this process: what the commands before produced */
	} measure;
	/* FETCHes of one body each, of mails that follow each other (fetch_ahead.c) */
	struct imap_row {
		unsigned count;     /* so far; 0: none */
		uint32_t seq;       /* of the last */
		uint32_t ahead_seq; /* so far mails were asked for before their turn */
	} row;
	struct imap_counters {
		uint64_t deleted, expunged, trashed, appended;
		uint64_t headers, header_bytes, bodies, body_bytes; /* fetched */
		uint64_t bytes_in, bytes_out; /* before it came here from another process */
	} counters;
};

/* One command while it runs. */
struct imap_run {
	struct op *op;
	struct imap_session *session;
	struct imap_cursor *cursor; /* after the name */
	struct str tag, name;       /* in op's arena */
	struct str args;            /* what stands behind the name, for the event */
	bool is_uid;
	bool names_seqs; /* of a UID form: message numbers are used, so they must stay */
	struct buf
		*out; /* the stream's output: print into it, imap_check_output() between bursts */
};

/* ---- commands (commands.c has the table) ---- */

enum imap_command_flag {
	IMAP_NEEDS_SELECTED = 1,
	IMAP_KEEPS_SEQS =
		2, /* U of the sheet §4.1: no EXPUNGE while or after it (not for its UID form) */
	IMAP_NO_SYNC = 4, /* tells nothing before its tagged reply: LOGOUT, SELECT... */
	IMAP_HAS_UID_FORM = 8,
	IMAP_TELLS_MAILS = 16, /* also to clients that want it nowhere else (delay-newmail) */
};
/* Runs the command and answers it: exactly one tagged reply by one of imap_reply_*(), unless it set
 * closing_reason or began IDLE. Parse errors: imap_reply_bad_arguments(). */
typedef void imap_command_fn(struct imap_run *x);
struct imap_command_row {
	struct str name;
	unsigned flags; /* enum imap_command_flag */
	imap_command_fn *run;
};
const struct imap_command_row *imap_command_find(struct str name);

/* any state */
imap_command_fn imap_command_capability, imap_command_noop, imap_command_logout, imap_command_id,
	imap_command_enable, imap_command_namespace, imap_command_idle;
/* tree.c, list.c */
imap_command_fn imap_command_list, imap_command_lsub, imap_command_create, imap_command_delete,
	imap_command_rename, imap_command_subscribe, imap_command_unsubscribe, imap_command_status;
/* select.c */
imap_command_fn imap_command_select, imap_command_examine, imap_command_close,
	imap_command_unselect, imap_command_check;
/* fetch.c, store.c, search.c, copy.c, expunge.c */
imap_command_fn imap_command_fetch, imap_command_store, imap_command_search, imap_command_copy,
	imap_command_move, imap_command_expunge;
/* append.c: an APPEND without a mail; the others never come as one piece. */
imap_command_fn imap_command_append;

/* ---- replies (reply.c): the only place that maps classes to IMAP's words ---- */

/* The tagged OK after telling what changed (sync.c). `code` may be STR_NONE. */
void imap_reply_ok(struct imap_run *x, struct str code, struct str text);
void imap_reply_no(struct imap_run *x, struct str code, struct str text);
/* A line of a command came; the first one begins it. */
void imap_measure_input(struct imap_session *s, size_t bytes);
/* Puts a tagged reply and sends imap_command_finished. `x` without a name: nobody knows the command. */
void imap_put_reply(struct imap_run *x, const char *status, struct str code, struct str text);
/* Counts; too many end the session. */
void imap_reply_bad(struct imap_run *x, struct str text);
/* BAD with what the cursor recorded. */
void imap_reply_bad_arguments(struct imap_run *x);
/* NO or BAD with the code of the class; logs what is not the client's doing. RFC 5530. */
void imap_reply_failure(struct imap_run *x, enum err e);
/* The same for the mailbox that mails should go to: TRYCREATE when it is missing. */
void imap_reply_target_failure(struct imap_run *x, enum err e, struct str mailbox);
/* The response code and text of a class, without sending. */
void imap_failure_words(
	const struct op *op, enum err e, struct str *out_code, struct str *out_text);

/* OK with [HIGHESTMODSEQ n] of what was told, if the client has enabled CONDSTORE. */
void imap_reply_ok_modseq(struct imap_run *x, struct str text);

/* WAITS when more than a burst is queued. An error: the client is gone, closing_reason is set. */
enum err imap_check_output(struct op *op, struct imap_session *s);

/* ---- telling what changed (sync.c) ---- */

/* WAITS when it is more than a burst. FLAGS, EXPUNGE or VANISHED, EXISTS, RECENT, FETCH lines for
 * everything since the last time. A mailbox that is gone ends the session with BYE. */
void imap_sync(struct op *op, struct imap_session *s, bool may_expunge);
/* "* n FETCH (FLAGS (...))" with UID when asked; with UID and MODSEQ after CONDSTORE was enabled. */
void imap_put_flags_line(struct imap_session *s, const struct mail *mail, bool with_uid);
/* The same without FLAGS: what STORE .SILENT tells once CONDSTORE is enabled. */
void imap_put_modseq_line(struct imap_session *s, const struct mail *mail);
/* "(\Seen $x)" of a mail. */
void imap_put_mail_flags(struct buf *out, const struct imap_session *s, const struct mail *mail);
/* "* FLAGS (...)" and, if permanent, "* OK [PERMANENTFLAGS ...]". */
void imap_put_flags_lists(struct imap_session *s);

/* ---- sets (sets.c) ---- */

/* The messages a set names, as sequence numbers; for UID forms UIDs are looked up. False: BAD was
 * answered (a message number out of range, RFC 3501 §7.4.1 and sheet §4.13). */
bool imap_resolve_set(struct imap_run *x, const struct imap_sequence_set *set, bool is_uid,
	struct range_set *out);
/* The UIDs a set names, whether the view has them or not. */
void imap_resolve_uids(
	struct imap_run *x, const struct imap_sequence_set *set, struct range_set *out);
/* The message numbers of "$", those that the view still has. */
void imap_saved_seqs(const struct imap_session *s, struct range_set *out);
/* Closes the selected mailbox, if any, without expunging. */
void imap_unselect(struct imap_session *s);

/* ---- CONDSTORE and QRESYNC (condstore.c) ---- */

/* The first time: tells HIGHESTMODSEQ of what is selected (RFC 7162 §3.1). */
void imap_enable_condstore(struct imap_run *x);
/* WAITS. "* VANISHED [(EARLIER)] uids", in several lines when there are many. */
enum err imap_put_vanished(
	struct op *op, struct imap_session *s, const struct range_set *uids, bool is_earlier);
/* WAITS. Those of `uids` that were expunged since: VANISHED (EARLIER) (RFC 7162 §3.2.6). */
enum err imap_put_vanished_since(struct imap_run *x, uint64_t modseq, const struct range_set *uids);
/* WAITS. What SELECT (QRESYNC ...) tells beside the usual (RFC 7162 §3.2.5). */
enum err imap_put_resync(struct imap_run *x, const struct imap_select *what);

/* ---- the tree (tree.c) ---- */

/* NO with `code` and the name that is not there. */
void imap_reply_no_mailbox(struct imap_run *x, struct str code, struct str name);
/* "MAILBOXID (id)" (RFC 8474 §4). */
struct str imap_mailboxid_code(struct arena *arena, const struct mailbox_guid *guid);
/* "* STATUS name (...)"; `items` of enum imap_status_item. */
void imap_put_status_line(
	struct imap_run *x, struct str name, uint32_t items, const struct mailbox_status *status);

/* ---- FETCH (fetch.c): may rest between two bursts of output ---- */

/* WAITS. Goes on with s->fetch. */
void imap_fetch_resume(struct imap_session *s);
void imap_fetch_drop(struct imap_session *s);

/* ---- turns of reading bodies (turn.c) ---- */

/* WAITS until little enough is being read by others, and for some seconds for memory. `bytes`: of the mails that are read; what was taken is
 * given back as soon as they have been. ERR_UNAVAILABLE: there is no memory, with a text for the client. */
enum err imap_turn_take(struct op *op, struct imap *imap, uint64_t bytes);
void imap_turn_give(struct imap *imap, uint64_t bytes);
/* Memory of bodies went: who waits looks again. */
void imap_turn_look(struct imap *imap);

/* ---- APPEND (append.c): its mails are streamed between pieces of its command ---- */

/* The framing met a mail's literal; `text` is what stands before it. */
void imap_append_literal(struct op *op, struct imap_session *s, struct str text);
/* WAITS. Goes on with a mail whose client was slow. False: it still is. */
bool imap_append_resume(struct op *op, struct imap_session *s);
bool imap_append_is_receiving(const struct imap_session *s);
/* The framing met the end of an APPEND's line: saves and answers. */
void imap_append_finish(struct op *op, struct imap_session *s, struct str text);
/* Forgets a half-sent APPEND. */
void imap_append_drop(struct imap_session *s);
/* The tag of a half-sent APPEND; borrowed until it ends. */
struct str imap_append_tag(const struct imap_session *s);

/* ---- flags (store.c) ---- */

/* Are the keywords short enough? False: NO was answered. */
bool imap_check_keywords(struct imap_run *x, const struct imap_flags *flags);

/* ---- sessions (session.c) ---- */

struct handover;
/* A session that is not served yet: serving_start(). Takes h->fd and a reference to `u`. */
enum err imap_session_make(struct op *op, struct imap *imap, const struct handover *h,
	struct user *u, struct imap_session **out);
/* Its stream is abandoned, unless NULL. */
void imap_session_free(struct imap_session *s);

/* ---- serving (serve.c), IDLE (idle.c) ---- */

/* WAITS. Serves what has come, each command with an op of its own, until there is no more, the client
 * does not take its answers (is_blocked), or the session ends (closing_reason). */
void imap_serve_input(struct arena *arena, struct imap_session *s);
/* WAITS. A line while IDLE runs: DONE, or what is BAD. */
void imap_idle_line(struct op *op, struct imap_session *s, struct str line);
/* IDLE goes on in a session that came from another process. */
void imap_idle_resume(struct imap_session *s, struct str tag);
/* Ends IDLE with BAD: RFC 2177. */
void imap_idle_refuse(struct op *op, struct imap_session *s);

/* ---- names (names.c) ---- */

/* A mailbox name as the client means it: NFC, imap_client_workarounds. */
struct str imap_given_name(const struct imap_run *x, struct str name);
/* NFC of valid UTF-8; itself if it is that already, or too long for any name. */
struct str imap_name_nfc(struct arena *arena, struct str utf8);
