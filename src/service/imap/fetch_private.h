/* SPDX-License-Identifier: Apache-2.0 */
/* service/imap/fetch_private.h - a FETCH while it runs, and while it rests.
 *
 * A FETCH whose client does not take its output for a second returns with `is_blocked` and knows where
 * it stands: between two mails, or within the bytes of one item of a mail. Mails are immutable, so it
 * goes on by reading that mail again. */
#pragma once

#include "service/imap/imap_private.h"

/* What is known of the mail at hand; read when first needed. */
struct fetched {
	struct mail mail;
	struct message_summary summary;
	struct message_tree tree;
	struct str body;
	uint64_t *binary_sizes; /* what->body_count, in the arena; NULL: no BINARY item was asked */
	bool has_summary, has_tree, has_body;
	unsigned item_count; /* put into the line so far */
};

/* Bodies that were read before their turn. */
struct fetch_ahead {
	struct arena arena; /* owned while count > 0; all below is in it */
	struct mail *mails;
	struct str *bodies; /* STR_NONE: it could not be read */
	size_t count;
};

struct fetch {
	struct imap_run *x;
	const struct imap_fetch *what;
	/* owned */
	struct range_set seqs;
	struct range_set_iter at_seq;
	bool sets_seen;
	bool is_unmarked; /* \Seen could not be set: the catalog is away */
	bool has_missing; /* a mail was expunged meanwhile */
	bool is_unknown_encoding;
	bool is_refused; /* there is no memory for a body just now */
	bool has_failed; /* a mail could not be read; `code` and `text` say why */
	char code[32], text[256];
	struct fetch_ahead ahead;           /* owned */
	struct buf decoded;                 /* owned: the part that BINARY asked for last */
	uint32_t decoded_seq, decoded_part; /* which it is; seq 0: none */
	struct fetched at;
	/* where it rests */
	bool is_blocked;
	uint32_t rest_seq; /* in that mail; 0: before the next one */
	size_t rest_item;
	uint64_t rest_offset; /* bytes of that item that were put */
};

/* WAITS. Puts the items of the body from the rest_item on, or all. An error: is_blocked, or the
 * client is gone. */
enum err fetch_put_bodies(struct fetch *f, bool is_resumed);
/* WAITS. Whatever those items need. ERR_UNSUPPORTED: an encoding that BINARY does not know. */
enum err fetch_read_bodies(struct fetch *f);

/* WAITS. The body of the mail at hand, with those of the mails after it when that saves round trips. False:
 * it must be read alone. */
bool fetch_read_ahead(struct fetch *f, struct str *out);
void fetch_forget_ahead(struct fetch *f);
/* May the section be put without the body? Its summary decides, when it has one. */
bool fetch_is_in_summary(const struct imap_section *section);

/* Gives back the memory of the last BINARY part. */
void fetch_forget_decoded(struct fetch *f);

/* WAITS. Each once. */
enum err fetch_need_summary(struct fetch *f);
enum err fetch_need_tree(struct fetch *f);
enum err fetch_need_body(struct fetch *f);

/* The space between items; none before the first. */
void fetch_put_space(struct fetch *f);
/* WAITS for a second at most. ERR_TIMEOUT: is_blocked. */
enum err fetch_check_output(struct fetch *f);
