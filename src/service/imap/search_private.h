/* SPDX-License-Identifier: Apache-2.0 */
/* service/imap/search_private.h - does a mail match a search program? Pure: who calls it reads.
 *
 * Life:   search_matcher_init() -> per mail: search_matcher_begin() -> search_matcher_run(), and while
 *         that is MAYBE give it more (`summary`, then `body`) and run again -> search_matcher_done().
 * Cost:   keys about flags, numbers, sizes and dates need nothing but struct mail; SENT* and kept header
 *         fields the summary; the rest the body. What one key decides, the others need not. Text of a
 *         mail is decoded and folded once, whatever the number of keys.
 * Limits: SEARCH_TEXT_MAX bytes of decoded text of a mail are looked at.
 * Spec:   RFC 3501 §6.4.4; sheet protocols §4.15 */
#pragma once

#include "base/base.h"
#include "base/range_set.h"
#include "message/summary.h"
#include "service/imap/imap_private.h"
#include "store/mailbox.h"
#include "wire/imap_command.h"

#define SEARCH_TEXT_MAX (16u << 20)
#define SEARCH_RAW_MAX  (64u << 20) /* of one part or field, before folding */

/* ---- text (search_text.c) ---- */

/* Appends UTF-8 without case and compatibility forms, decomposed: what compares equal is equal bytes
 * (NFD of ICU's NFKC_Casefold; close to i;unicode-casemap, RFC 5051). Cut short when `out` has no more
 * room. */
void search_fold(struct buf *out, struct str utf8);
/* Both folded. */
bool search_contains(struct str text, struct str needle);

/* ---- matching (search_match.c) ---- */

/* In this order ALL_OF is the minimum of its children and ANY_OF the maximum. */
enum search_verdict { SEARCH_NO, SEARCH_MAYBE, SEARCH_YES };

/* What a key was made into, and what is known of it for the mail at hand. */
struct search_aid {
	/* owned */
	struct range_set set; /* of SEQUENCE and UID, `*` resolved */
	/* in the arena */
	struct str needle; /* folded text; bytes of an id */
	uint64_t keyword;  /* bit; 0: the mailbox has no such keyword */
	enum search_verdict known;
};

struct search_matcher {
	/* borrowed */
	const struct imap_search_key *keys;
	size_t count;
	struct arena *arena; /* what is read of a mail; the caller may rewind it before the next */
	struct search_aid *aids;
	int64_t now_wall_us;
	/* the mail at hand */
	const struct mail *mail;
	const struct message_summary *summary; /* NULL: not read yet */
	bool has_body;
	struct str body;
	/* made of it when first needed */
	bool has_tree, has_header_text, has_body_text;
	struct message_tree tree;
	/* owned */
	struct buf header_text, body_text; /* folded */
	struct buf raw, folded;            /* scratch */
};

/* What `*` and keywords mean in the mailbox. */
struct search_frame {
	uint32_t exists, last_uid;
	const struct str *keywords;
	size_t keyword_count;
	int64_t now_wall_us;
	const struct range_set *saved_seqs, *saved_uids; /* what "$" is; never NULL */
};
void search_matcher_init(struct search_matcher *m, struct arena *arena,
	const struct imap_search *search, const struct search_frame *frame);
void search_matcher_done(struct search_matcher *m);
/* `mail` is borrowed until the next begin. */
void search_matcher_begin(struct search_matcher *m, const struct mail *mail);
/* MAYBE: set `summary` if it is NULL, else `body` and `has_body`; then never MAYBE again. */
enum search_verdict search_matcher_run(struct search_matcher *m);

/* ---- many mails, away from the loop (search_job.c) ---- */

/* Life: search_job_new() -> [search_job_add...() until full -> search_job_run() -> search_job_next()
 *       -> search_job_clear()]... -> search_job_free(). */
struct search_job;
/* `text`: what imap_parse_search() has parsed already. */
struct search_job *search_job_new(struct str text, const struct search_frame *frame);
void search_job_free(struct search_job *j); /* NULL is fine */
bool search_job_is_full(const struct search_job *j);
bool search_job_is_empty(const struct search_job *j);
/* WAITS. A mail whose text decides. Not when full. ERR_NOT_FOUND: it is gone. */
enum err search_job_add(
	struct op *op, struct search_job *j, struct view *view, const struct mail *mail);
/* One that matches already: results keep the order of adding. Not when full. */
void search_job_add_match(struct search_job *j, const struct mail *mail);
/* WAITS. Reads the mails' texts, in parallel where they are on another host, and searches them. On an error
 * *job may be NULL: then it is no longer the caller's. */
enum err search_job_run(struct op *op, struct search_job **job, const struct imap_session *s);
/* The mails that match, in order: *at = 0 first. Borrowed until the next clear. */
bool search_job_next(const struct search_job *j, size_t *at, const struct mail **out);
void search_job_clear(struct search_job *j);
