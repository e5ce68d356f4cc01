/* SPDX-License-Identifier: Apache-2.0 */
/* objects/azure_text.c - see azure_text.h. */
#include "objects/azure_text.h"

#include "base/codec.h"
#include "base/number.h"
#include "objects/json.h"
#include "objects/remote.h"
#include "objects/xml.h"

#define TOKEN_MAX       ((size_t)16 << 10)
#define TOKEN_ERROR_MAX 300

/* ---- listings ---- */

struct page_reader {
	struct azure_page *page;
	struct azure_blob blob; /* the one that is being read */
	bool has_name, has_size, is_listing;
};

static enum err blob_end(struct op *op, struct page_reader *r)
{
	struct azure_page *page = r->page;
	if (!r->has_name || !r->has_size)
		return op_fail(op, ERR_CORRUPT, "a listing names a blob without name or length");
	if (page->count == AZURE_PAGE_BLOBS_MAX)
		return op_fail(op, ERR_CORRUPT, "a page of a listing has too many blobs");
	if (page->count == page->room) {
		size_t room = MAX(page->room * 2, 64);
		page->blobs = arena_grow(op->arena, page->blobs,
			page->room * sizeof(page->blobs[0]), room * sizeof(page->blobs[0]));
		page->room = room;
	}
	page->blobs[page->count++] = r->blob;
	r->blob = (struct azure_blob){ 0 };
	r->has_name = r->has_size = false;
	return ERR_NONE;
}

static enum err page_element(struct op *op, struct str path, struct str text, void *arg)
{
	struct page_reader *r = arg;
	if (str_eq(path, STR("EnumerationResults"))) {
		r->is_listing = true;
		return ERR_NONE;
	}
	if (str_eq(path, STR("EnumerationResults/NextMarker"))) {
		r->page->next_marker = str_dup(op->arena, text);
		return ERR_NONE;
	}
	if (!str_skip(&path, STR("EnumerationResults/Blobs/Blob")))
		return ERR_NONE;
	if (path.n == 0)
		return blob_end(op, r);
	if (str_eq(path, STR("/Name"))) {
		r->blob.name = str_dup(op->arena, text);
		r->has_name = text.n > 0;
	} else if (str_eq(path, STR("/Properties/Content-Length"))) {
		r->has_size = number_parse_u64(text, &r->blob.info.size_bytes);
	} else if (str_eq(path, STR("/Properties/Last-Modified"))) {
		r->blob.info.wall_us = remote_date_read(text);
	}
	return ERR_NONE;
}

enum err azure_page_read(struct op *op, struct str document, struct azure_page *out)
{
	struct azure_page page = { .next_marker = STR("") };
	struct page_reader r = { .page = &page };
	TRY(xml_read(op, document, page_element, &r));
	if (!r.is_listing)
		return op_fail(op, ERR_CORRUPT, "the answer is no listing");
	*out = page;
	return ERR_NONE;
}

/* ---- delegation keys ---- */

static enum err delegation_element(struct op *op, struct str path, struct str text, void *arg)
{
	struct azure_delegation *d = arg;
	const struct {
		struct str name;
		struct str *to;
	} members[] = {
		{ STR("SignedOid"), &d->oid },
		{ STR("SignedTid"), &d->tid },
		{ STR("SignedStart"), &d->start },
		{ STR("SignedExpiry"), &d->expiry },
		{ STR("SignedService"), &d->service },
		{ STR("SignedVersion"), &d->version },
		{ STR("Value"), &d->key },
	};
	if (!str_skip(&path, STR("UserDelegationKey/")))
		return ERR_NONE;
	for (size_t i = 0; i < ARRAY_COUNT(members); i++)
		if (str_eq(path, members[i].name))
			*members[i].to = str_dup(op->arena, str_trim(text));
	return ERR_NONE;
}

enum err azure_delegation_read(struct op *op, struct str document, struct azure_delegation *out)
{
	struct azure_delegation d = { 0 };
	TRY(xml_read(op, document, delegation_element, &d));
	d.start_wall_us = remote_iso_time_read(d.start);
	d.expiry_wall_us = remote_iso_time_read(d.expiry);
	AUTO_BUF(key, 0);
	if (!base64_decode(&key, d.key) || key.n == 0)
		return op_fail(op, ERR_CORRUPT, "the answer holds no user-delegation key");
	if (d.oid.n == 0 || d.tid.n == 0 || d.start_wall_us == 0 || d.expiry_wall_us == 0)
		return op_fail(op, ERR_CORRUPT, "a user-delegation key without owner or times");
	d.key = buf_dup(op->arena, &key);
	mem_wipe(key.p, key.n);
	*out = d;
	return ERR_NONE;
}

void azure_delegation_ask(struct buf *out, struct str start, struct str expiry)
{
	buf_putf(out,
		"<?xml version=\"1.0\" encoding=\"utf-8\"?><KeyInfo><Start>%.*s</Start>"
		"<Expiry>%.*s</Expiry></KeyInfo>",
		STRF(start), STRF(expiry));
}

/* ---- tokens ---- */

enum err azure_token_read(struct op *op, struct str document, struct str *out)
{
	struct str token = STR_NONE, type = STR_NONE;
	const struct json_text texts[] = { { STR("access_token"), &token },
		{ STR("token_type"), &type } };
	TRY(json_texts_read(op, document, texts, ARRAY_COUNT(texts)));
	bool is_sendable = token.n > 0 && token.n <= TOKEN_MAX;
	for (size_t i = 0; i < token.n; i++)
		is_sendable = is_sendable && token.p[i] > ' ' && token.p[i] < 0x7f;
	if (!is_sendable || !str_eq_ci(type, STR("Bearer")))
		return op_fail(op, ERR_CORRUPT, "the answer holds no bearer token");
	*out = token;
	return ERR_NONE;
}

struct str azure_token_error(struct op *op, struct str document)
{
	struct str error = STR(""), words = STR("");
	const struct json_text texts[] = { { STR("error"), &error },
		{ STR("error_description"), &words } };
	if (json_texts_read(op, document, texts, ARRAY_COUNT(texts)) != ERR_NONE)
		op_forgive(op);
	if (error.n == 0)
		return STR("");
	struct str text = str_printf(op->arena, "%.*s: %.*s", STRF(error), STRF(words));
	char *clean = str_dup_z(op->arena, str_slice(text, 0, TOKEN_ERROR_MAX));
	size_t n = MIN(text.n, TOKEN_ERROR_MAX);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)clean[i] < ' ' || clean[i] == 0x7f)
			clean[i] = ' ';
	return (struct str){ clean, n };
}
