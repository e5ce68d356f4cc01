/* SPDX-License-Identifier: Apache-2.0 */
/* ledger.h - what clients were promised and told, and so what may and what must be true.
 *
 * A mail is known by (mailbox, UID) and has one content for ever, a *word*. It must be there, may be
 * there (an operation on it runs, or ended in doubt), or is gone for good. An *intent* is an operation
 * that makes mails: what appears must be in one, each of its words once, and all or none of them.
 * Flags are known bit by bit; a bit is *open* while nobody can know it. look() ends all doubts. */
#pragma once

#include "sim.h"

#define KEYWORD_A  0x100u
#define KEYWORD_B  0x200u
#define ALL_FLAGS  (MAIL_STORABLE_FLAGS | KEYWORD_A | KEYWORD_B)
#define KNOWN_BITS 10
#define TOLD_MAX   8 /* processes whose numbers are kept */

enum known_state { KNOWN_MUST, KNOWN_MAY, KNOWN_GONE };

struct intent;
struct known_mail {
	uint32_t uid, word;       /* the greatest UID it is known by: merges give others (--both) */
	struct catalog_name name; /* none: not seen yet */
	int64_t made_us, gone_us; /* when it was told of first; since when KNOWN_GONE */
	struct {
		int process;
		int64_t us;
	} changed[KNOWN_BITS]; /* the last change of each bit, if two live */
	enum known_state state;
	bool may_be_expunged; /* an expunge that runs or is in doubt may have taken it */
	bool is_unsure;       /* told, and not acknowledged: its void may be on its way */
	unsigned movers;      /* moves of it that run or are in doubt */
	bool was_moved;       /* as the look that runs has found */
	bool was_seen;        /* by the look that runs */
	unsigned flags, open;
	unsigned recent; /* acknowledged since the journal was last known to be empty */
	uint32_t recent_epoch;
	unsigned risk; /* only the local files of a backend know these */
	unsigned storing;
	bool overlaps; /* changes of it run at the same time */
	uint32_t changes;
};
struct known_box {
	struct catalog_guid guid;
	char name[32];
	uint32_t uid_validity;
	bool is_removed, is_doubtful, was_seen;
	int64_t removed_us;
	struct known_mail **mails; /* owned */
	size_t count, cap;
	struct known_slot {
		uint32_t uid;
		struct known_mail *mail;
	} * slots; /* owned, by UID; a mail may have had several */
	size_t slot_count, slot_cap;
	struct told {
		int process;
		uint32_t next_uid;
		uint64_t modseq;
	} told[TOLD_MAX]; /* by processes that live at the same time; else only the first */
	uint32_t flags_epoch;
	unsigned expunging;
};

/* LATE: a look has not found it, and it may still come. */
enum intent_state { INTENT_RUNNING, INTENT_DOUBT, INTENT_LATE, INTENT_DONE, INTENT_VOID };
struct intent {
	bool is_move;
	enum intent_state state;
	struct known_box *target, *source; /* source NULL: an append; target NULL: not made yet */
	int process_count;                 /* that had begun when it began */
	int64_t began_us;
	size_t count;
	struct intent_mail {
		uint32_t word, source_uid, seen_uid;
		/* of the source when it began */
		unsigned flags, open;
		uint32_t changes;
	} * mails;
};

#define CLOCKS_APART_US (5 * US_PER_SEC) /* those of two hosts, and what a removal takes */

/* Names that scripts use, as bits. */
#define TREE_NAMES 8
extern const char *const tree_names[TREE_NAMES];
struct tree_state {
	unsigned exists, subscribed;
};

#define CLIENTS_MAX 12
/* A client that went away, with what it knew. */
struct client {
	struct known_box *box;
	int process;
	uint64_t modseq;
	size_t count;
	struct client_mail {
		uint32_t uid;
		unsigned flags;
	} * mails; /* owned */
};

struct ledger {
	struct known_box **boxes;
	size_t box_count, box_cap;
	struct intent **intents; /* those that run or are in doubt */
	size_t intent_count, intent_cap;
	uint32_t words;
	struct tree_state tree, tree_after; /* after: if the change in doubt was made */
	bool tree_is_busy, tree_is_doubtful;
	unsigned steps_running;
	bool is_alone; /* a step that runs bears no other beside it */
	struct backend *risk_backend;
	struct client clients[CLIENTS_MAX];
};

struct ledger *ledger_new(void);
void ledger_free(struct ledger *l);
uint32_t ledger_word(struct ledger *l);
struct str word_mail(struct arena *a, uint32_t word);

/* The mailbox as it is known; made when it is seen for the first time. */
struct known_box *ledger_box(struct ledger *l, struct mailbox *m, const char *name);
struct known_box *ledger_box_of(
	struct ledger *l, struct catalog_guid guid, uint32_t uid_validity, const char *name);
struct known_mail *box_find(const struct known_box *box, uint32_t uid);
/* A mail is known by one more UID. */
struct known_mail *box_find_name(
	struct known_box *box, struct catalog_name name); /* --both; NULL: unknown */
void box_add_uid(struct known_box *box, struct known_mail *k, uint32_t uid);
/* A client is told of a mail, or looks at it: it is one that was put there, and its flags are right. */
struct known_mail *ledger_see(struct known_box *box, struct mailbox *m, const struct mail *mail);
void ledger_see_expunged(struct known_box *box, struct mailbox *m, uint32_t uid);
/* What clients of this mailbox's process were told of it. Valid until another process is asked for. */
struct told *box_told(struct known_box *box, const struct mailbox *m);
/* A client is told the mailbox's numbers. */
void ledger_see_numbers(
	struct known_box *box, struct mailbox *m, uint32_t next_uid, uint64_t modseq);
/* It is gone for good; other hosts that live learn that when they look next. */
void box_is_removed(struct known_box *box);
/* A mail of a mailbox that was removed just after it was saved: by the clocks of two hosts it was saved later, and
 * is in INBOX now (storage contract §4). NULL: none. */
struct known_mail *box_find_rescued(struct known_box *box, uint32_t uid, uint32_t word);
void mail_is_gone(struct known_mail *k);
/* Its saver gave it up, and only now, when it had been told of, came the row that says so. */
bool mail_may_be_voided(const struct known_mail *k);
/* May the process not have looked since? Only where several live. */
bool is_unseen_yet(const struct mailbox *m, int64_t since_us);
unsigned mail_flags(const struct mailbox *m, const struct mail *mail);
/* The bits that another host changed, and this one need not know yet. */
unsigned unknown_bits(const struct known_mail *k, const struct mailbox *m);
/* Without a flags journal: the bits that another process that lives has changed. It alone needs to show them. */
unsigned unshared_bits(const struct known_mail *k, const struct mailbox *m);

/* Operations that make mails. The caller fills `mails`. */
struct intent *intent_begin(
	struct known_box *target, struct known_box *source, bool is_move, size_t count);
void intent_run(struct intent *i);
/* The mail that one of those that run or are in doubt has made; NULL: none. */
struct known_mail *intent_find(struct known_box *box, uint32_t uid, uint32_t word);
/* `uids` of the targets in order if it was acknowledged. Frees it unless it is in doubt. */
void intent_end(struct intent *i, struct mailbox *m, enum err e, const uint32_t *uids);
bool is_doubtful(enum err e);

/* ---- ledger_doubt.c: which of them has made which mail ---- */

/* Another one may have put the same content there: who can tell? */
bool intent_is_ambiguous(const struct intent *i);
/* May mail `at` have this UID? */
bool intent_fits(const struct intent *i, size_t at, uint32_t uid);
/* The one that a mail was dealt to; NULL: none that runs or is in doubt. */
struct intent *intent_of(const struct known_box *box, uint32_t uid, size_t *out_at);
/* All mails of the box that are of one that runs or is in doubt, and one more. False: no way fits. */
bool intents_deal(const struct known_box *box, const struct known_mail *more);
/* The same, now that one is known to have made these, in order; NULL: none. The mails that it had are the
 * others'. */
bool intents_deal_beside(struct intent *fixed, const uint32_t *uids);

/* Flags of one mail. */
struct flags_change_one {
	struct known_mail *mail;
	unsigned open_before;
	unsigned open_after; /* whatever it ends with: another host may have changed it */
	int process;
};
/* `already`: bits for which nothing is written, since the host shows them as they shall be. */
void flags_begin(struct known_box *box, struct mailbox *m, struct flags_change_one *one,
	struct known_mail *mail, unsigned mask, unsigned already);
enum flags_end { FLAGS_SET, FLAGS_UNTOUCHED, FLAGS_DOUBT };
void flags_end(struct known_box *box, const struct flags_change_one *one, unsigned mask,
	unsigned value, enum flags_end how);

/* A crash: which flags do only the local files know? And a start: are they there? */
void ledger_note_risk(struct ledger *l, struct process *p);
void ledger_settle_risk(struct ledger *l, const struct backend *b, bool is_intact);

/* ---- clients.c ---- */

/* The session's client goes away with what it was told: the view was just synced. */
void client_leave(struct ledger *l, struct known_box *box, struct view *v);
/* A client that knows this mailbox comes back and is told what it missed: that ends in the truth. */
void client_return(struct ledger *l, struct known_box *box, struct view *v);
