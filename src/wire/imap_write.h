/* SPDX-License-Identifier: Apache-2.0 */
/* wire/imap_write.h - pieces of IMAP responses, and of commands for clients and tests.
 *
 * Rules:  everything is added to a buffer whose limit the caller owns: a buffer without limit, or
 *         with room. A string is sent as atom, quoted or literal, whichever is legal and shortest;
 *         quoted strings never hold CR, LF, NUL or bytes above 127 (RFC 3501 §4.3).
 * Spec:   RFC 3501 §7, §9 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct imap_fetch_body;
struct imap_flags;
struct imap_fetch;
struct imap_search;
struct imap_section;
struct imap_sequence_set;

/* Quoted, or a synchronising literal when that isn't possible or has many escapes. */
void imap_put_string(struct buf *out, struct str s);
void imap_put_nstring(struct buf *out, struct str s); /* s.p == NULL gives NIL */
void imap_put_astring(struct buf *out, struct str s); /* atom when possible */
/* "{n}" CRLF and the bytes; NUL, illegal there, becomes 0x80. */
void imap_put_literal(struct buf *out, struct str s);
/* Only the announcement, for a body that is streamed after it. */
void imap_put_literal_start(struct buf *out, uint64_t size);
/* UTF-8 to modified UTF-7, as astring. */
void imap_put_mailbox(struct buf *out, struct str utf8);
/* The delimiter of a LIST line: quoted character, NIL for 0. */
void imap_put_separator(struct buf *out, char separator);

/* "(\Seen $Junk)"; `system` of enum imap_flag. imap_put_permanent_flags() appends "\*" if new
 * keywords may be made. */
void imap_put_flag_list(struct buf *out, const struct imap_flags *flags);
void imap_put_permanent_flags(struct buf *out, const struct imap_flags *flags, bool may_create);
/* Names of enum imap_special_use with spaces between: "\Sent \Junk"; nothing for 0. */
void imap_put_special_use(struct buf *out, uint32_t special_use);

/* "17-Jul-1996 02:44:25 -0700", quoted, shown in the zone `zone_minutes` east of Greenwich. Years
 * are clamped to 0000-9999. */
void imap_put_date_time(struct buf *out, int64_t wall_us, int zone_minutes);

/* Whole lines. `code` without brackets, STR_NONE for none; `text` must not be empty; CR and LF in
 * it become spaces. status: "OK", "NO", "BAD", "BYE", "PREAUTH". */
void imap_put_tagged(
	struct buf *out, struct str tag, const char *status, struct str code, struct str text);
void imap_put_untagged(struct buf *out, const char *status, struct str code, struct str text);
void imap_put_continue(struct buf *out, struct str text); /* "+ text": the space is always there */
/* "* 12 EXISTS" */
void imap_put_number_line(struct buf *out, uint32_t number, const char *what);

/* The set as written: "1:3,*", "$". For numbers without `*` use range_set_print(). */
void imap_put_sequence_set(struct buf *out, const struct imap_sequence_set *set);
/* "1.2.HEADER.FIELDS (FROM TO)": what stands between the brackets; field names in upper case. */
void imap_put_section(struct buf *out, const struct imap_section *section);
/* "BODY[TEXT]<100>", "RFC822.HEADER": the name of the item in a FETCH response. */
void imap_put_fetch_name(struct buf *out, const struct imap_fetch_body *body);

/* Arguments of commands, without the leading space: what imap_parse_fetch() and imap_parse_search()
 * read gives the same struct again. */
void imap_put_fetch_args(struct buf *out, const struct imap_fetch *fetch);
void imap_put_search_args(struct buf *out, const struct imap_search *search);
