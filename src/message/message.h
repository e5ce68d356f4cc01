/* SPDX-License-Identifier: Apache-2.0 */
/* message/message.h - the MIME structure of a mail: which bytes are which part.
 *
 * Idea:   the mail is one contiguous run of bytes (a mapping or a buffer) with CRLF or bare LF lines,
 *         also mixed. One pass over its lines gives a flat array of parts in depth-first order, part 0
 *         being the mail itself. Everything in it points into the mail; nothing is decoded or copied.
 * Total:  any bytes parse. What exceeds a limit below becomes an opaque part (application/octet-stream)
 *         that runs to the end of its parent, or of the mail when parts or header bytes ran out.
 * Cost:   O(bytes), iterative; message_tree.steps counts the work and tests compare it with the size.
 * Sizes:  IMAP sees every line end as CRLF. "Virtual" sizes count a bare LF as two bytes.
 * Spec:   RFC 5322, RFC 2045-2046, RFC 3501 §6.4.5 (section numbers). */
#pragma once

#include "base/base.h"

#define MESSAGE_DEPTH_MAX        100
#define MESSAGE_PARTS_MAX        10000
#define MESSAGE_HEADER_MAX       (10u << 20) /* one header block */
#define MESSAGE_HEADERS_MAX      (50u << 20) /* all header blocks of a mail */
#define MESSAGE_BOUNDARY_MAX     80    /* longer boundaries are compared by their first 80 bytes */
#define MESSAGE_PARSE_ARENA_ROOM 16384 /* the least room that message_parse() needs in its arena */

#define MESSAGE_NO_PART UINT32_MAX

enum message_kind {
	MESSAGE_LEAF,
	MESSAGE_MULTIPART, /* children are its parts; it may have none */
	MESSAGE_EMBEDDED,  /* message/rfc822 or message/global; exactly one child: the inner mail */
};

enum message_encoding {
	MESSAGE_ENCODING_IDENTITY, /* 7bit, 8bit, binary */
	MESSAGE_ENCODING_BASE64,
	MESSAGE_ENCODING_QUOTED_PRINTABLE,
	MESSAGE_ENCODING_UNKNOWN,
};

/* A run of bytes of the mail with what IMAP wants to know about it. */
struct message_span {
	uint64_t offset;
	uint64_t size;
	uint64_t virtual_size;
	uint64_t lines; /* LFs */
};

struct message_part {
	uint32_t parent;      /* MESSAGE_NO_PART for part 0 */
	uint32_t child_count; /* direct children */
	uint32_t end;         /* index after its last descendant; index + 1 for a leaf */
	uint32_t depth;       /* 0 for part 0 */
	enum message_kind kind;
	enum message_encoding encoding;
	bool is_text;               /* type text/.. */
	bool is_last_line_open;     /* the body is not empty and does not end with a LF */
	struct message_span header; /* including the empty line that ends it */
	struct message_span body;   /* without the line end before the next boundary */
};

/* What the header of a part says about its content. Slices of the mail, raw (possibly folded), or
 * static text for defaults; p == NULL: not there. The first field of a name counts. */
struct message_content {
	struct str type;        /* as written; never empty */
	struct str subtype;     /* as written; never empty */
	struct str params;      /* what follows type/subtype: params.h reads it */
	struct str encoding;    /* first token of Content-Transfer-Encoding */
	struct str id;          /* Content-ID */
	struct str description; /* Content-Description */
	struct str md5;         /* Content-MD5 */
	struct str disposition; /* Content-Disposition, with its parameters */
	struct str language;    /* Content-Language */
	struct str location;    /* Content-Location */
};

struct message_tree {
	/* in the arena of message_parse() or message_summary_tree() */
	struct message_part *parts;
	struct message_content *contents; /* beside parts; NULL when decoded from a summary */
	uint32_t count;                   /* at least 1 */
	bool has_nul;                     /* somewhere in the mail */
	bool is_cut;                      /* a limit was hit: a part is opaque */
	struct message_span whole;        /* the mail */
	uint64_t steps;                   /* work done by the parser: O(bytes) */
};

/* Fills *out; it borrows `mail`. Memory from `arena`: about 400 bytes a part; when the arena's limit
 * leaves no room for more parts the rest is opaque. */
void message_parse(struct arena *arena, struct str mail, struct message_tree *out);

/* What an IMAP section names (the text between the brackets, without a header list):
 *   ""           the whole mail          "1.2"        body of a part
 *   "HEADER"     its header              "1.2.MIME"   header of that part
 *   "TEXT"       its body                "1.2.HEADER" header of the mail embedded in 1.2
 *   "0", "1.0"   old names of HEADER     "1.2.TEXT"   body of the mail embedded in 1.2
 * ERR_INVALID: not a section at all (the client's syntax error). ERR_NOT_FOUND: no such part; the
 * answer is an empty string. HEADER.FIELDS: look up "HEADER", then message_header_subset(). */
enum err message_section_find(
	const struct message_tree *tree, struct str section, struct message_span *out);

/* The same for part numbers alone ("1.2"), as BINARY and MIMEPART want it: the index of the part.
 * "" is part 0. */
enum err message_section_part(const struct message_tree *tree, struct str section, uint32_t *out);

/* The bytes of a span; clamped to the mail. */
struct str message_span_bytes(struct str mail, const struct message_span *span);

/* Lines as IMAP counts them: a last line without line end counts as well. */
uint64_t message_part_body_lines(const struct message_part *part);

/* Appends the body of a part with its transfer encoding removed.
 * ERR_UNSUPPORTED: unknown encoding. ERR_LIMIT: out->limit is too small for it. */
enum err message_part_decode(struct str mail, const struct message_part *part, struct buf *out);

/* Appends the body of a part as UTF-8 text, as searching wants it: transfer encoding and charset
 * removed; malformed bytes, and 8-bit bytes of an unknown charset, become U+FFFD. Cut short when `out`
 * has no more room. ERR_UNSUPPORTED: unknown encoding. */
enum err message_part_text(struct str mail, const struct message_part *part, struct buf *out);
