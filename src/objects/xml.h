/* SPDX-License-Identifier: Apache-2.0 */
/* objects/xml.h - the XML that object stores answer with: listings, errors, keys.
 *
 * Rules:  a document comes from a server that may be broken or hostile. Documents above
 *         XML_DOCUMENT_MAX, deeper than XML_DEPTH_MAX, with a longer text or path than the limits, or
 *         with a document type (entities) are refused before they cost more than their own size.
 * Spec:   XML 1.0; sheet storage §9.2, §9.4. */
#pragma once

#include "base/base.h"

#define XML_DOCUMENT_MAX ((size_t)16 << 20)
#define XML_DEPTH_MAX    16
#define XML_TEXT_MAX     ((size_t)16 << 10)
#define XML_PATH_MAX     ((size_t)1 << 10)

/* An element has ended: `path` is "ListBucketResult/Contents/Key" (names without prefix as they stand in
 * the document), `text` is what stood directly in it, as UTF-8 and untrimmed. Both are borrowed for the
 * call. An error ends the reading and is what xml_read() returns. */
typedef enum err xml_element_fn(struct op *op, struct str path, struct str text, void *arg);

/* Elements inside others are told before them. ERR_CORRUPT: not well-formed, or beyond the limits. */
enum err xml_read(struct op *op, struct str document, xml_element_fn *fn, void *arg);

/* Adds `text` with the five characters that markup is made of escaped. */
void xml_put_text(struct buf *out, struct str text);
