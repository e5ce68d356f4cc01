/* SPDX-License-Identifier: Apache-2.0 */
/* wire/imap_command.h - the arguments of whole commands as structs.
 *
 * Use:     imap_cut_command() cuts tag and name; the command's imap_parse_x() then takes everything
 *          from the space after the name to the end of the command, which it checks.
 * Errors, memory: as in imap_cursor.h. *out is written only on ERR_NONE.
 * Limits:  IMAP_*_MAX below, beside those of the framing.
 *
 * To extend: a new FETCH item, STATUS item, search key or LIST option is a row in a table of
 * imap_fetch.c, imap_search.c or imap_list.c. */
#pragma once

#include "wire/imap_cursor.h"
#include "wire/imap_frame.h"

struct imap_command {
	struct str tag;
	struct str name; /* as written; compare with str_eq_ci() */
	bool is_uid;     /* the prefix UID was there; name is the word after it */
};
enum err imap_cut_command(struct imap_cursor *c, struct imap_command *out);

enum err imap_parse_none(struct imap_cursor *c); /* NOOP, CAPABILITY, IDLE, ... */
enum err imap_parse_mailbox(struct imap_cursor *c, struct str *out);

struct imap_login {
	struct str user;
	struct str password;
};
enum err imap_parse_login(struct imap_cursor *c, struct imap_login *out);

struct imap_authenticate {
	struct str mechanism;
	bool has_initial;
	struct str initial; /* base64 as sent; empty for "=" (RFC 4959) */
};
enum err imap_parse_authenticate(struct imap_cursor *c, struct imap_authenticate *out);

struct imap_rename {
	struct str from;
	struct str to;
};
enum err imap_parse_rename(struct imap_cursor *c, struct imap_rename *out);

/* ENABLE: at least one word. */
#define IMAP_ENABLE_MAX 64
struct imap_enable {
	struct str *words;
	size_t count;
};
enum err imap_parse_enable(struct imap_cursor *c, struct imap_enable *out);

/* ID (RFC 2971 §3.3): limits are checked; the strings are for logs only. */
#define IMAP_ID_PAIRS_MAX   30
#define IMAP_ID_KEY_BYTES   30
#define IMAP_ID_VALUE_BYTES 1024
struct imap_id_pair {
	struct str key;
	struct str value; /* STR_NONE for NIL */
};
struct imap_id {
	struct imap_id_pair *pairs;
	size_t count; /* 0 for NIL */
};
enum err imap_parse_id(struct imap_cursor *c, struct imap_id *out);

/* SELECT and EXAMINE; unknown parameters are ERR_INVALID. */
struct imap_select {
	struct str mailbox;
	bool is_condstore; /* "(CONDSTORE)" (RFC 7162 §3.1.8) */
	/* "(QRESYNC (validity modseq [uids] [(seqs uids)]))" (RFC 7162 §3.2.5) */
	bool is_qresync;
	uint32_t uid_validity;
	uint64_t modseq; /* > 0 */
	bool has_known_uids, has_match;
	struct imap_sequence_set known_uids;
	struct imap_sequence_set match_seqs, match_uids;
};
enum err imap_parse_select(struct imap_cursor *c, struct imap_select *out);

enum imap_special_use {
	IMAP_USE_ALL = 1 << 0,
	IMAP_USE_ARCHIVE = 1 << 1,
	IMAP_USE_DRAFTS = 1 << 2,
	IMAP_USE_FLAGGED = 1 << 3,
	IMAP_USE_JUNK = 1 << 4,
	IMAP_USE_SENT = 1 << 5,
	IMAP_USE_TRASH = 1 << 6,
	IMAP_USE_IMPORTANT = 1 << 7,
};
/* CREATE mailbox [(USE (\Sent ...))]. ERR_UNSUPPORTED: an unknown use, NO [USEATTR]. */
struct imap_create {
	struct str mailbox;
	uint32_t special_use; /* of enum imap_special_use */
};
enum err imap_parse_create(struct imap_cursor *c, struct imap_create *out);

enum imap_status_item {
	IMAP_STATUS_MESSAGES = 1 << 0,
	IMAP_STATUS_RECENT = 1 << 1,
	IMAP_STATUS_UIDNEXT = 1 << 2,
	IMAP_STATUS_UIDVALIDITY = 1 << 3,
	IMAP_STATUS_UNSEEN = 1 << 4,
	IMAP_STATUS_HIGHESTMODSEQ = 1 << 5,
	IMAP_STATUS_SIZE = 1 << 6,
	IMAP_STATUS_DELETED = 1 << 7,
	IMAP_STATUS_APPENDLIMIT = 1 << 8,
	IMAP_STATUS_MAILBOXID = 1 << 9,
};
struct imap_status {
	struct str mailbox;
	uint32_t items; /* of enum imap_status_item; never 0 */
};
enum err imap_parse_status(struct imap_cursor *c, struct imap_status *out);

enum imap_list_select {
	IMAP_LIST_SELECT_SUBSCRIBED = 1 << 0,
	IMAP_LIST_SELECT_REMOTE = 1 << 1,
	IMAP_LIST_SELECT_RECURSIVEMATCH = 1 << 2,
	IMAP_LIST_SELECT_SPECIAL_USE = 1 << 3,
};
enum imap_list_return {
	IMAP_LIST_RETURN_SUBSCRIBED = 1 << 0,
	IMAP_LIST_RETURN_CHILDREN = 1 << 1,
	IMAP_LIST_RETURN_SPECIAL_USE = 1 << 2,
	IMAP_LIST_RETURN_STATUS = 1 << 3, /* status_items says which */
};
#define IMAP_LIST_PATTERNS_MAX 256
struct imap_list {
	struct str reference;
	struct str *patterns; /* those that can be decoded; may be none */
	size_t pattern_count;
	uint32_t select;       /* of enum imap_list_select */
	uint32_t returned;     /* of enum imap_list_return */
	uint32_t status_items; /* of enum imap_status_item */
	bool is_extended;      /* selection, RETURN or a list of patterns was written */
};
/* LIST (basic and RFC 5258), LSUB and XLIST. */
enum err imap_parse_list(struct imap_cursor *c, struct imap_list *out);

/* APPEND: the framing reports the mail's literal; init the cursor on the `used` bytes before it.
 * imap_cut_append_mailbox() once, then imap_parse_append_message() for the first and, with a new
 * cursor, each further mail of a MULTIAPPEND (RFC 3502). When the framing reports COMPLETE instead
 * of another literal, the rest must satisfy imap_parse_none(). */
struct imap_append_message {
	struct imap_flags flags; /* IMAP_FLAG_RECENT is dropped */
	bool has_date;
	int64_t wall_us;
	struct imap_literal literal; /* is_message */
};
enum err imap_cut_append_mailbox(struct imap_cursor *c, struct str *out);
enum err imap_parse_append_message(struct imap_cursor *c, struct imap_append_message *out);

/* COPY and MOVE. */
struct imap_copy {
	struct imap_sequence_set set;
	struct str mailbox;
};
enum err imap_parse_copy(struct imap_cursor *c, struct imap_copy *out);

/* EXPUNGE takes nothing (imap_parse_none); UID EXPUNGE a set (RFC 4315 §2.1). */
enum err imap_parse_uid_expunge(struct imap_cursor *c, struct imap_sequence_set *out);

enum imap_store_mode {
	IMAP_STORE_REPLACE,
	IMAP_STORE_ADD,
	IMAP_STORE_REMOVE,
};
struct imap_store {
	struct imap_sequence_set set;
	enum imap_store_mode mode;
	bool is_silent;
	bool has_unchanged_since;
	uint64_t unchanged_since; /* RFC 7162 §3.1.3 */
	struct imap_flags flags;  /* \Recent is ERR_INVALID */
};
enum err imap_parse_store(struct imap_cursor *c, struct imap_store *out);

/* A part of a message (RFC 3501 §6.4.5). */
enum imap_section_kind {
	IMAP_SECTION_WHOLE, /* [] or [1.2] */
	IMAP_SECTION_HEADER,
	IMAP_SECTION_HEADER_FIELDS,
	IMAP_SECTION_HEADER_FIELDS_NOT,
	IMAP_SECTION_TEXT,
	IMAP_SECTION_MIME, /* only with a part */
};
#define IMAP_SECTION_DEPTH_MAX 100
struct imap_section {
	enum imap_section_kind kind;
	bool is_zero;    /* HEADER was written as the part number 0: [0], [2.0] */
	uint32_t *parts; /* from 1; none: the message itself */
	size_t part_count;
	struct str *fields; /* of HEADER.FIELDS, in the order asked */
	size_t field_count;
};

enum imap_fetch_item {
	IMAP_FETCH_UID = 1 << 0,
	IMAP_FETCH_FLAGS = 1 << 1,
	IMAP_FETCH_INTERNALDATE = 1 << 2,
	IMAP_FETCH_RFC822_SIZE = 1 << 3,
	IMAP_FETCH_MODSEQ = 1 << 4,
	IMAP_FETCH_ENVELOPE = 1 << 5,
	IMAP_FETCH_BODY = 1 << 6,
	IMAP_FETCH_BODYSTRUCTURE = 1 << 7,
	IMAP_FETCH_EMAILID = 1 << 8, /* RFC 8474 */
	IMAP_FETCH_THREADID = 1 << 9,
};
enum imap_fetch_name {
	IMAP_FETCH_NAME_BODY,          /* BODY[section] */
	IMAP_FETCH_NAME_RFC822,        /* same as BODY[] */
	IMAP_FETCH_NAME_RFC822_HEADER, /* same as BODY.PEEK[HEADER] */
	IMAP_FETCH_NAME_RFC822_TEXT,   /* same as BODY[TEXT] */
	IMAP_FETCH_NAME_BINARY,        /* BINARY[part] (RFC 3516) */
	IMAP_FETCH_NAME_BINARY_SIZE,
};
struct imap_fetch_body {
	enum imap_fetch_name name; /* how to call it in the response */
	struct imap_section section;
	bool is_peek; /* does not set \Seen */
	bool has_partial;
	uint32_t offset;
	uint32_t length; /* > 0 */
};
#define IMAP_FETCH_BODIES_MAX 256
struct imap_fetch {
	struct imap_sequence_set set;
	uint32_t items; /* of enum imap_fetch_item; macros are expanded */
	struct imap_fetch_body *bodies;
	size_t body_count; /* in the order asked */
	bool has_changed_since;
	uint64_t changed_since; /* RFC 7162 §3.1.4.1 */
	bool wants_vanished;    /* RFC 7162 §3.2.6 */
};
enum err imap_parse_fetch(struct imap_cursor *c, struct imap_fetch *out);

/* SEARCH: a tree as an array in prefix order; the children of key i are i + 1, then end of that
 * child, ... up to keys[i].end. keys[0] is an ALL_OF. Chains of OR are one ANY_OF. Depth is at most
 * IMAP_SEARCH_DEPTH_MAX, so that walking it may use a fixed stack. */
enum imap_search_kind {
	IMAP_SEARCH_ALL_OF,   /* every child matches; none: matches everything */
	IMAP_SEARCH_ANY_OF,   /* two or more children */
	IMAP_SEARCH_NOT,      /* one child */
	IMAP_SEARCH_SEQUENCE, /* set: message numbers */
	IMAP_SEARCH_UID,      /* set */
	IMAP_SEARCH_FLAGS,    /* flags_set are set and flags_unset are not */
	IMAP_SEARCH_KEYWORD,  /* text */
	IMAP_SEARCH_BEFORE,   /* day of INTERNALDATE < day */
	IMAP_SEARCH_ON,
	IMAP_SEARCH_SINCE,      /* >= */
	IMAP_SEARCH_SENTBEFORE, /* the same with the Date field */
	IMAP_SEARCH_SENTON,
	IMAP_SEARCH_SENTSINCE,
	IMAP_SEARCH_LARGER, /* number */
	IMAP_SEARCH_SMALLER,
	IMAP_SEARCH_OLDER, /* number of seconds (RFC 5032) */
	IMAP_SEARCH_YOUNGER,
	IMAP_SEARCH_MODSEQ,   /* number: at least (RFC 7162 §3.1.5) */
	IMAP_SEARCH_HEADER,   /* field, text; also BCC CC FROM SUBJECT TO */
	IMAP_SEARCH_BODY,     /* text */
	IMAP_SEARCH_TEXT,     /* text */
	IMAP_SEARCH_EMAILID,  /* text: an id (RFC 8474 §6) */
	IMAP_SEARCH_THREADID, /* text */
};
struct imap_search_key {
	enum imap_search_kind kind;
	uint32_t end; /* index after this key and all below it */
	uint32_t flags_set;
	uint32_t flags_unset;
	uint64_t number;
	int32_t day; /* since 1970-01-01 */
	struct str field;
	struct str text; /* UTF-8 */
	struct imap_sequence_set set;
};
enum imap_search_return {
	IMAP_SEARCH_RETURN_MIN = 1 << 0,
	IMAP_SEARCH_RETURN_MAX = 1 << 1,
	IMAP_SEARCH_RETURN_ALL = 1 << 2,
	IMAP_SEARCH_RETURN_COUNT = 1 << 3,
	IMAP_SEARCH_RETURN_SAVE = 1 << 4,
};
#define IMAP_SEARCH_DEPTH_MAX 64
#define IMAP_SEARCH_KEYS_MAX  4096
struct imap_search {
	struct imap_search_key *keys;
	size_t key_count;
	bool is_esearch;   /* RETURN was written (RFC 4731); "RETURN ()" is ALL */
	uint32_t returned; /* of enum imap_search_return */
};
/* ERR_UNSUPPORTED: a charset other than US-ASCII and UTF-8, NO [BADCHARSET (US-ASCII UTF-8)]. *out has
 * no keys then, but `returned`: SAVE is to be obeyed (RFC 5182 §2.1). */
enum err imap_parse_search(struct imap_cursor *c, struct imap_search *out);
