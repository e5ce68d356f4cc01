/* SPDX-License-Identifier: Apache-2.0 */
/* message/imap_form.h - ENVELOPE, BODY and BODYSTRUCTURE as IMAP sends them.
 *
 * Made once, when a mail is saved, and stored (summary.h); FETCH copies the bytes.
 * Limits: foreign text in one ENVELOPE is cut after 1 MiB, in one BODYSTRUCTURE after 4 MiB; lists of
 *         addresses end there. `out` must have no limit of its own.
 * Spec:   RFC 3501 §7.4.2, §9 (the grammar of "body" and "envelope"). */
#pragma once

#include "message/message.h"

#define MESSAGE_ENVELOPE_TEXT_MAX  (1u << 20)
#define MESSAGE_STRUCTURE_TEXT_MAX (4u << 20)

/* "(date subject from sender reply-to to cc bcc in-reply-to message-id)" of a header block. */
void message_envelope_put(struct buf *out, struct str header);

/* BODYSTRUCTURE (extended) or BODY of a parsed mail (tree->contents is needed). */
void message_bodystructure_put(
	struct buf *out, struct str mail, const struct message_tree *tree, bool is_extended);

/* A string: quoted where that is allowed, else a literal ({n}CRLF...). NUL becomes 0x80. */
void message_imap_string_put(struct buf *out, struct str s);
/* The same; p == NULL gives NIL. */
void message_imap_nstring_put(struct buf *out, struct str s);
