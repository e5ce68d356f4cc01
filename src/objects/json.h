/* SPDX-License-Identifier: Apache-2.0 */
/* objects/json.h - the small JSON that credentials come in: one object with texts.
 *
 * Rules:  a document comes from a server that may be broken or hostile: above JSON_DOCUMENT_MAX, or with more
 *         than JSON_BRACKETS_MAX opening brackets (what a recursive reader would spend stack on) it is refused.
 * Spec:   RFC 8259. */
#pragma once

#include "base/base.h"

#define JSON_DOCUMENT_MAX ((size_t)64 << 10)
#define JSON_BRACKETS_MAX 64

struct json_text {
	struct str name;
	struct str *
		out; /* its text, in op's arena; untouched when there is none of that name, or no text */
};
/* Reads members of the outermost object. ERR_CORRUPT: it is no object, or beyond the limits. */
enum err json_texts_read(
	struct op *op, struct str document, const struct json_text *texts, size_t count);
