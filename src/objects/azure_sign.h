/* SPDX-License-Identifier: Apache-2.0 */
/* objects/azure_sign.h - the two signatures of Azure Blob: SharedKey of a request, and a user-delegation SAS
 * for one kind of request to one blob.
 *
 * Pure functions: nothing here waits or keeps state.
 * Spec: sheet storage §9.4; Azure Storage REST, "Authorize with Shared Key" (2015-02-21 and later), "Create a
 *       user delegation SAS" (2020-12-06 and later). */
#pragma once

#include "base/base.h"
#include "http/http.h"

/* The version of the service's interface that everything here is written for. */
#define AZURE_VERSION "2021-12-02"

/* What a user-delegation key is: it signs SAS until it expires. Members in the arena of its reader. */
struct azure_delegation {
	struct str oid, tid;      /* who it is for: SignedOid, SignedTid */
	struct str start, expiry; /* as the service wrote them */
	struct str service, version;
	struct str key; /* decoded; a secret */
	int64_t start_wall_us, expiry_wall_us;
};

/* One SAS: what it allows. */
struct azure_sas {
	struct str account, container;
	struct str blob;        /* "": the container (listings) */
	struct str permissions; /* letters in the service's order: "r", "cw", "d", "rl" */
	struct str expiry;      /* "2026-01-31T12:00:00Z" */
	bool is_https_only;
};
/* Adds the parameters of a query, without "?" and without "&" before the first. */
void azure_sas_put(
	struct buf *out, const struct azure_delegation *delegation, const struct azure_sas *sas);

/* The value of Authorization: "SharedKey account:signature". `headers` are all that are sent (x-ms-date among
 * them), `body_bytes` the length of the body. In the arena. ERR_INVALID: the URL cannot be parsed. */
enum err azure_shared_key(struct op *op, struct str account, struct str key,
	const struct http_request *request, const struct http_headers *headers, size_t body_bytes,
	struct str *out);
