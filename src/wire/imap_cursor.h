/* SPDX-License-Identifier: Apache-2.0 */
/* wire/imap_cursor.h - cuts tokens off the text of one command, literals in place.
 *
 * Life:    imap_cursor_init() on the `used` bytes of a complete command -> imap_cut_*() in the order
 *          of the grammar -> imap_cut_end().
 * Errors:  ERR_INVALID (nonsense: BAD), ERR_LIMIT (too much: BAD) or ERR_UNSUPPORTED (said where it
 *          can happen), with a text for the client in c->error. After an error the cursor's position
 *          is unspecified; give the command up.
 * Memory:  tokens are slices of the text where possible, else in the arena. A command of n bytes
 *          takes at most 1 MiB + 64 n there; ERR_LIMIT when the arena has no room for it.
 * Spec:    RFC 3501 §9, RFC 9051 §9 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct range_set;

struct imap_cursor {
	struct str rest;     /* not yet cut */
	struct arena *arena; /* borrowed */
	const char *error;   /* for the client; static or in the arena; NULL: nothing failed */
	bool is_utf8;        /* after ENABLE UTF8=ACCEPT: mailbox names are UTF-8 */
};

/* `text` may end with its line end. */
void imap_cursor_init(struct imap_cursor *c, struct arena *arena, struct str text);
/* Records `text` (static or in the arena) if nothing was recorded yet, returns `class`. */
enum err imap_cursor_fail(struct imap_cursor *c, enum err class, const char *text);
/* The same with the offending word, cut to 80 printable bytes: "Unknown status item X". */
enum err imap_cursor_fail_word(
	struct imap_cursor *c, enum err class, const char *text, struct str word);

bool imap_at_end(const struct imap_cursor *c);
/* Looking ahead: is `byte` next? */
bool imap_is_next(const struct imap_cursor *c, char byte);
/* Takes `byte` or `word` (case-insensitive, followed by a delimiter) if it is next. */
bool imap_skip(struct imap_cursor *c, char byte);
bool imap_skip_word(struct imap_cursor *c, struct str word);

enum err imap_cut_end(struct imap_cursor *c);
enum err imap_cut_space(struct imap_cursor *c);
enum err imap_cut_byte(struct imap_cursor *c, char byte);
enum err imap_cut_tag(struct imap_cursor *c, struct str *out);
enum err imap_cut_atom(struct imap_cursor *c, struct str *out);
/* Quoted or literal; a literal with NUL is ERR_INVALID. */
enum err imap_cut_string(struct imap_cursor *c, struct str *out);
enum err imap_cut_astring(struct imap_cursor *c, struct str *out);
/* NIL gives STR_NONE (out->p == NULL); an empty string has a pointer. */
enum err imap_cut_nstring(struct imap_cursor *c, struct str *out);
enum err imap_cut_number(struct imap_cursor *c, uint32_t *out);
enum err imap_cut_nz_number(struct imap_cursor *c, uint32_t *out);
enum err imap_cut_number64(struct imap_cursor *c, uint64_t *out); /* at most 2^63-1 */

/* Items of a parenthesised list: call after imap_cut_byte(c, '(') and after each item. False after
 * taking ")"; true after taking the space between items (none before the first). */
enum err imap_cut_list_next(struct imap_cursor *c, bool is_first, bool *out_has_item);

/* An astring decoded to UTF-8 (from modified UTF-7 unless c->is_utf8); INBOX in any case, also
 * before a separator ("inbox/x" with '/' or '.'), becomes "INBOX". Bad encodings are ERR_INVALID.
 * Whether the name may exist is the namespace's business. */
enum err imap_cut_mailbox(struct imap_cursor *c, struct str *out);
/* A LIST pattern with `*` and `%`, decoded the same way; a pattern that can't be decoded matches
 * nothing and gives STR_NONE (RFC 9051 §6.3.9). */
enum err imap_cut_list_mailbox(struct imap_cursor *c, struct str *out);

/* Message numbers or UIDs as written; 0 stands for `*` (the grammar has no zero). */
struct imap_sequence_range {
	uint32_t first;
	uint32_t last;
};
struct imap_sequence_set {
	struct imap_sequence_range *ranges; /* in the arena, in the order written */
	size_t count;
	uint32_t greatest; /* number written outside "x:*"; 0 if none. Above EXISTS: the set is bad
			    */
	bool has_star;
	bool is_saved_result; /* "$" (RFC 5182); then there are no ranges */
};
enum err imap_cut_sequence_set(struct imap_cursor *c, struct imap_sequence_set *out);
/* Adds the numbers to `out` with `*` = `star` (largest UID or EXISTS). "x:*" with x above `star` is
 * `star` alone; star 0 (empty mailbox) drops ranges with `*`. O(n log n) whatever the order. */
void imap_sequence_set_resolve(struct arena *arena, const struct imap_sequence_set *set,
	uint32_t star, struct range_set *out);

/* d-Mon-yyyy, quoted or not, as days since 1970-01-01. */
enum err imap_cut_date(struct imap_cursor *c, int32_t *out_day);
/* "dd-Mon-yyyy hh:mm:ss +zzzz" */
enum err imap_cut_date_time(struct imap_cursor *c, int64_t *out_wall_us);

enum imap_flag {
	IMAP_FLAG_ANSWERED = 1 << 0,
	IMAP_FLAG_FLAGGED = 1 << 1,
	IMAP_FLAG_DELETED = 1 << 2,
	IMAP_FLAG_SEEN = 1 << 3,
	IMAP_FLAG_DRAFT = 1 << 4,
	IMAP_FLAG_RECENT = 1 << 5, /* never stored */
};
struct imap_flags {
	uint32_t system; /* of enum imap_flag */
	struct str *keywords;
	size_t keyword_count; /* as written; may repeat */
};
/* "(" flags ")"; IMAP_FLAG_RECENT may be among them. */
enum err imap_cut_flag_list(struct imap_cursor *c, struct imap_flags *out);
/* "(" flags ")" or bare flags up to the end (STORE). */
enum err imap_cut_store_flags(struct imap_cursor *c, struct imap_flags *out);

/* The announcement of a literal: "{n}", "{n+}", "~{n}", "~{n+}" at the end of the text, whose bytes
 * the caller streams. */
struct imap_literal;
enum err imap_cut_literal_start(struct imap_cursor *c, struct imap_literal *out);

/* Bytes that may stand in an atom, an astring, a LIST pattern. */
bool imap_is_atom_char(char b);
bool imap_is_astring_char(char b);
bool imap_is_list_char(char b);
