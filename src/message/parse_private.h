/* SPDX-License-Identifier: Apache-2.0 */
/* message/parse_private.h - between the line parser (parse.c) and the reader of Content-* (content.c). */
#pragma once

#include "message/message.h"

/* What a header says about its part, before limits are applied. */
struct content_verdict {
	enum message_kind kind;
	enum message_encoding encoding;
	bool is_text;
	struct str boundary; /* in the arena; empty: none */
	uint64_t steps;
};

/* Reads the Content-* fields of a header block. `is_digest`: the part stands in a multipart/digest,
 * so its default type is message/rfc822. The boundary is allocated in `scratch`. */
void content_parse(struct arena *scratch, struct str header, bool is_digest,
	struct message_content *out, struct content_verdict *verdict);

/* The content of a part whose inside we do not look at. */
void content_make_opaque(struct message_content *content);
