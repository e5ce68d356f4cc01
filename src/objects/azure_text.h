/* SPDX-License-Identifier: Apache-2.0 */
/* objects/azure_text.h - what Azure Blob and Entra answer, read: listings, delegation keys, tokens.
 *
 * Parsers of foreign bytes: any bytes give a result within the limits, or ERR_CORRUPT. Results are in op's arena.
 * Spec: sheet storage §9.4; Azure Storage REST, "List Blobs", "Get User Delegation Key"; RFC 6749 §5. */
#pragma once

#include "objects/azure_sign.h"
#include "objects/objects.h"

/* One page of a listing. */
struct azure_blob {
	struct str name;
	struct object_info info;
};
struct azure_page {
	struct azure_blob *blobs;
	size_t count, room;
	struct str next_marker; /* "": the last page */
};
#define AZURE_PAGE_BLOBS_MAX 5000
enum err azure_page_read(struct op *op, struct str document, struct azure_page *out);

enum err azure_delegation_read(struct op *op, struct str document, struct azure_delegation *out);
/* What the service is asked for a delegation key with. */
void azure_delegation_ask(struct buf *out, struct str start, struct str expiry);

/* The access token of {"access_token":"...","expires_in":3599,"token_type":"Bearer"}. */
enum err azure_token_read(struct op *op, struct str document, struct str *out);
/* "invalid_client: AADSTS7000215: ..." of an error of the token's server, cut at 300 bytes and without control
 * characters; "" if it is none. */
struct str azure_token_error(struct op *op, struct str document);
