/* SPDX-License-Identifier: Apache-2.0 */
/* wire/smtp.h - the grammar of SMTP and LMTP: command lines, the DATA stream, replies.
 *
 * Life of a connection: smtp_line_feed() finds lines -> smtp_parse_command() -> the service answers
 *         with smtp_put_reply(); after DATA smtp_data_feed() takes the mail out of the stream.
 * Rules:  pure functions on bytes, as in wire/imap.h. Parsed slices point into the line or the arena.
 * Errors: a line that is refused gives ERR_INVALID (or ERR_LIMIT) and the reply to send in *why.
 * Spec:   RFC 5321; RFC 2033 (LMTP), 1870 (SIZE), 6152 (8BITMIME), 3030 (BDAT), 3461 (DSN, xtext),
 *         2034 and 3463 (enhanced codes), 6531 (SMTPUTF8); sheet protocols §7 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* ---- lines ---- */

#define SMTP_LINE_MAX 8192 /* line end included: 4 KiB of parameters and a long AUTH fit */

/* State between calls; zeroed is fresh. Bytes are looked at once. */
struct smtp_line {
	uint32_t scanned;
	bool is_skipping; /* inside a line that was too long */
};
enum smtp_line_result {
	SMTP_LINE_MORE,     /* read more */
	SMTP_LINE_SKIP,     /* drop *used bytes of a line that was answered already, feed again */
	SMTP_LINE_COMPLETE, /* *line is a line without its end; drop *used bytes when done with it */
	SMTP_LINE_TOO_LONG, /* answer 500 5.5.2; drop *used bytes; the rest of it will be skipped */
};
/* `buffered` begins where the line does. CRLF and a lone LF end lines; no other byte is special. */
enum smtp_line_result smtp_line_feed(
	struct smtp_line *state, struct str buffered, struct str *line, size_t *used);

/* ---- commands ---- */

enum smtp_verb {
	SMTP_HELO,
	SMTP_EHLO,
	SMTP_LHLO,
	SMTP_MAIL,
	SMTP_RCPT,
	SMTP_DATA,
	SMTP_BDAT,
	SMTP_RSET,
	SMTP_NOOP,
	SMTP_QUIT,
	SMTP_VRFY,
	SMTP_EXPN,
	SMTP_HELP,
	SMTP_STARTTLS,
	SMTP_AUTH,
	SMTP_XCLIENT,
};

#define SMTP_LOCAL_MAX       256 /* RFC 5321 says 64; return paths of mailing lists are longer */
#define SMTP_DOMAIN_MAX      255
#define SMTP_PARAMS_MAX      64
#define SMTP_PARAM_BYTES_MAX 4096 /* of one command, sheet protocols §7.1 */
#define SMTP_ENVID_MAX       100  /* RFC 3461 §4.4, as sent */
#define SMTP_ORCPT_MAX       500  /* RFC 3461 §4.2, as sent */

/* RFC 5321 §4.1.2. A source route is checked and forgotten (§3.6.1). */
struct smtp_path {
	bool is_null;      /* "<>" */
	struct str local;  /* without quotes and escapes: UTF-8 but CR, LF, NUL */
	struct str domain; /* empty: none was given ("<postmaster>"); or "[address]" */
};

/* KEYWORD or KEYWORD=value, as sent. */
struct smtp_param {
	struct str keyword;
	struct str value; /* STR_NONE without "=" */
};

enum smtp_body {
	SMTP_BODY_NONE, /* not said */
	SMTP_BODY_7BIT,
	SMTP_BODY_8BITMIME,
	SMTP_BODY_BINARYMIME,
};

/* RET= (RFC 3461 §4.3) */
enum smtp_ret {
	SMTP_RET_NONE,
	SMTP_RET_FULL,
	SMTP_RET_HDRS,
};
/* NOTIFY= (RFC 3461 §4.1) as a set; 0: not said. */
enum smtp_notify {
	SMTP_NOTIFY_NEVER = 1 << 0, /* stands alone */
	SMTP_NOTIFY_SUCCESS = 1 << 1,
	SMTP_NOTIFY_FAILURE = 1 << 2,
	SMTP_NOTIFY_DELAY = 1 << 3,
};

struct smtp_command {
	enum smtp_verb verb;
	struct str args; /* everything after the verb, trimmed: for logs, AUTH, VRFY, HELP, NOOP */
	struct str domain;     /* HELO, EHLO, LHLO */
	struct smtp_path path; /* MAIL, RCPT */
	bool has_size;         /* MAIL ... SIZE=n */
	uint64_t size;         /* of MAIL's SIZE, or of BDAT's chunk */
	enum smtp_body body;   /* MAIL ... BODY=x */
	bool is_utf8;          /* MAIL ... SMTPUTF8 */
	enum smtp_ret ret;     /* MAIL ... RET=x */
	struct str envid;      /* MAIL ... ENVID=xtext, decoded; empty: none */
	unsigned notify;       /* RCPT ... NOTIFY=x,y: of enum smtp_notify */
	struct str orcpt_type; /* RCPT ... ORCPT=type;address: "rfc822", as sent; empty: none */
	struct str orcpt;      /* the address, decoded: printable, maybe UTF-8 */
	bool is_last;          /* BDAT ... LAST */
	/* MAIL, RCPT, XCLIENT: those not named above, in order, none twice. AUTH= of MAIL is checked
	 * and forgotten (RFC 4954 §5). */
	struct smtp_param *params;
	size_t param_count;
};

/* Forms that are wrong but that some clients send. */
enum smtp_workaround {
	SMTP_ALLOW_SPACE_BEFORE_PATH = 1 << 0, /* RCPT TO: <x> */
	SMTP_ALLOW_BARE_PATH = 1 << 1,         /* RCPT TO:x@y */
};

/* What to answer. */
struct smtp_reply {
	unsigned code;
	const char *enhanced; /* "5.5.4"; NULL: none */
	const char *text;     /* static */
};

/* `workarounds`: of enum smtp_workaround. */
enum err smtp_parse_command(struct arena *arena, struct str line, unsigned workarounds,
	struct smtp_command *out, struct smtp_reply *why);

/* The parameter of that name, or NULL. */
const struct smtp_param *smtp_param_find(const struct smtp_command *cmd, struct str keyword);
/* A value in xtext (RFC 3461 §4) without controls in what it hides; false if it isn't. */
bool smtp_xtext_decode(struct arena *arena, struct str value, struct str *out);
/* True if local part or domain need SMTPUTF8 (RFC 6531 §3.2). */
bool smtp_path_is_utf8(const struct smtp_path *path);
/* A path as "local@domain" again, with quotes where needed, without "<>"; "" for the null path. */
void smtp_put_path(struct buf *out, const struct smtp_path *path);

/* ---- XCLIENT: what a trusted peer says about its own client ---- */

enum smtp_xclient_attribute {
	SMTP_XCLIENT_ADDR,
	SMTP_XCLIENT_PORT,
	SMTP_XCLIENT_DESTADDR,
	SMTP_XCLIENT_DESTPORT,
	SMTP_XCLIENT_DESTNAME,
	SMTP_XCLIENT_HELO,
	SMTP_XCLIENT_LOGIN,
	SMTP_XCLIENT_PROTO,
	SMTP_XCLIENT_SESSION,
	SMTP_XCLIENT_TRANSPORT,
	SMTP_XCLIENT_TTL,
	SMTP_XCLIENT_TIMEOUT,
	SMTP_XCLIENT_FORWARD,
	SMTP_XCLIENT_ATTRIBUTES,
};
#define SMTP_XCLIENT_TEXT_MAX 255
/* `text` holds values without xtext, checked: addresses are IPs without "IPV6:", HELO is a domain,
 * PROTO is SMTP, ESMTP or LMTP in upper case, FORWARD is the decoded list. "" also for [UNAVAILABLE] and
 * [TEMPUNAVAIL]. Numbers are in `number` (ports, TTL, seconds). */
struct smtp_xclient {
	bool is_given[SMTP_XCLIENT_ATTRIBUTES];
	struct str text[SMTP_XCLIENT_ATTRIBUTES];
	uint32_t number[SMTP_XCLIENT_ATTRIBUTES];
};
/* The arguments of an XCLIENT command. */
enum err smtp_parse_xclient(struct arena *arena, const struct smtp_command *command,
	struct smtp_xclient *out, struct smtp_reply *why);
/* "XCLIENT ADDR PORT ...": the line of the greeting's reply. */
void smtp_put_xclient_keywords(struct buf *out);
/* base64, with or without padding, of "key=value" TAB ... (XCLIENT FORWARD, RCPT ... XRCPTFORWARD):
 * decodes and checks it. */
bool smtp_decode_forward(struct arena *arena, struct str value, struct str *out);

/* ---- the mail after DATA ---- */

/* Takes the dots out and finds the end, in any split of the stream. Only CRLF "." CRLF ends a mail:
 * LF.LF, CR.CR and their like are data (smuggling). The CRLF before the last dot is the mail's. */
struct smtp_data {
	uint8_t state; /* zeroed is fresh */
	bool is_done;
};
/* Reads `in` up to its end or the mail's; *used is how much was read. Writes the mail's bytes to
 * `out`, which has room for in.n + 1 bytes, or is NULL to skip a mail that was refused. Returns how
 * many bytes were, or would have been, written. */
size_t smtp_data_feed(struct smtp_data *data, struct str in, char *out, size_t *used);
/* The way back, for clients: doubles dots and ends with CRLF "." CRLF. `mail` is a whole mail. */
void smtp_data_put(struct buf *out, struct str mail);

/* ---- replies ---- */

/* "250-2.1.5 text" CRLF for each line of `text` ("\n" between them). The first digit of `enhanced`
 * matches `code`; NULL for greetings, EHLO, 1xx and 3xx. Other controls become spaces; bytes above
 * 127 become "?" unless the client asked for UTF-8 (RFC 6531 §3.7.4.1) and the text is. */
void smtp_put_reply(
	struct buf *out, bool is_utf8, unsigned code, const char *enhanced, struct str text);
