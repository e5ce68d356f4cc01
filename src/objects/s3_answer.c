/* SPDX-License-Identifier: Apache-2.0 */
/* objects/s3_answer.c - what S3 servers answer with: see s3_answer.h. */
#include "objects/s3_answer.h"

#include "base/number.h"
#include "objects/remote.h"
#include "objects/xml.h"

#define ITEMS_MAX 10000 /* of one answer; servers send 1000 */

/* ---- errors ---- */

struct error_reader {
	struct s3_error error;
	bool is_error;
};

static enum err error_element(struct op *op, struct str path, struct str text, void *arg)
{
	struct error_reader *r = arg;
	if (str_eq(path, STR("Error"))) {
		r->is_error = true;
		return ERR_NONE;
	}
	const struct {
		struct str path;
		struct str *to;
	} members[] = {
		{ STR("Error/Code"), &r->error.code },
		{ STR("Error/Message"), &r->error.message },
		{ STR("Error/Region"), &r->error.region },
		{ STR("Error/Endpoint"), &r->error.endpoint },
		{ STR("Error/RequestId"), &r->error.request_id },
	};
	for (size_t i = 0; i < ARRAY_COUNT(members); i++)
		if (str_eq(path, members[i].path))
			*members[i].to = str_dup(op->arena, str_trim(text));
	return ERR_NONE;
}

bool s3_error_read(struct op *op, struct str body, struct s3_error *out)
{
	struct error_reader r = { .error = { .code = STR("") } };
	if (str_trim(body).n == 0 || xml_read(op, body, error_element, &r) != ERR_NONE) {
		op_forgive(op);
		return false;
	}
	if (r.is_error && r.error.code.n)
		*out = r.error;
	return r.is_error && r.error.code.n;
}

/* ---- listings ---- */

struct page_reader {
	struct s3_page page;
	size_t room;
	struct s3_listed item; /* being read */
	bool is_page;
};

static enum err page_add(struct op *op, struct page_reader *r)
{
	struct s3_page *page = &r->page;
	if (r->item.key.n == 0)
		return op_fail(op, ERR_CORRUPT, "listing has an entry without key");
	if (page->count == ITEMS_MAX)
		return op_fail(op, ERR_CORRUPT, "listing has more than %d keys a page", ITEMS_MAX);
	if (page->count == r->room) {
		size_t room = MAX(r->room * 2, 64u);
		page->items = arena_grow(op->arena, page->items, r->room * sizeof(*page->items),
			room * sizeof(*page->items));
		r->room = room;
	}
	page->items[page->count++] = r->item;
	r->item = (struct s3_listed){ 0 };
	return ERR_NONE;
}

/* encoding-type=url: a space may come as "+". */
static enum err key_decode(struct op *op, struct str text, struct str *out)
{
	char *plain = str_dup_z(op->arena, text);
	for (size_t i = 0; i < text.n; i++)
		if (plain[i] == '+')
			plain[i] = ' ';
	return http_percent_decode(op, (struct str){ plain, text.n }, out);
}

static enum err page_element(struct op *op, struct str path, struct str text, void *arg)
{
	struct page_reader *r = arg;
	if (str_eq(path, STR("ListBucketResult"))) {
		r->is_page = true;
	} else if (str_eq(path, STR("ListBucketResult/IsTruncated"))) {
		r->page.is_truncated = str_eq(str_trim(text), STR("true"));
	} else if (str_eq(path, STR("ListBucketResult/NextContinuationToken"))) {
		r->page.next = str_dup(op->arena, str_trim(text));
	} else if (str_eq(path, STR("ListBucketResult/Contents"))) {
		return page_add(op, r);
	} else if (str_eq(path, STR("ListBucketResult/Contents/Key"))) {
		if (key_decode(op, text, &r->item.key) != ERR_NONE)
			return op_fail(op, ERR_CORRUPT, "listing has a key that is badly encoded");
	} else if (str_eq(path, STR("ListBucketResult/Contents/Size"))) {
		if (!number_parse_u64(str_trim(text), &r->item.size_bytes))
			return op_fail(op, ERR_CORRUPT, "listing has a size that is no number");
	} else if (str_eq(path, STR("ListBucketResult/Contents/LastModified"))) {
		r->item.wall_us = remote_iso_time_read(str_trim(text));
	}
	return ERR_NONE;
}

enum err s3_page_read(struct op *op, struct str body, struct s3_page *out)
{
	struct page_reader r = { .page = { .next = STR("") } };
	TRY(xml_read(op, body, page_element, &r));
	if (!r.is_page)
		return op_fail(op, ERR_CORRUPT, "answer is no listing of a bucket");
	if (r.page.is_truncated && r.page.next.n == 0)
		return op_fail(op, ERR_CORRUPT,
			"listing goes on but says not where: the server does not know "
			"ListObjectsV2");
	*out = r.page;
	return ERR_NONE;
}

/* ---- multi-deletes ---- */

struct refused_reader {
	struct s3_refused *items;
	size_t count, room;
	struct s3_refused item;
	bool is_result;
};

static enum err refused_element(struct op *op, struct str path, struct str text, void *arg)
{
	struct refused_reader *r = arg;
	if (str_eq(path, STR("DeleteResult"))) {
		r->is_result = true;
	} else if (str_eq(path, STR("DeleteResult/Error/Key"))) {
		r->item.key = str_dup(op->arena, text);
	} else if (str_eq(path, STR("DeleteResult/Error/Code"))) {
		r->item.code = str_dup(op->arena, str_trim(text));
	} else if (str_eq(path, STR("DeleteResult/Error/Message"))) {
		r->item.message = str_dup(op->arena, str_trim(text));
	} else if (str_eq(path, STR("DeleteResult/Error"))) {
		if (r->count == ITEMS_MAX)
			return op_fail(
				op, ERR_CORRUPT, "more than %d errors in an answer", ITEMS_MAX);
		if (r->count == r->room) {
			size_t room = MAX(r->room * 2, 16u);
			r->items = arena_grow(op->arena, r->items, r->room * sizeof(*r->items),
				room * sizeof(*r->items));
			r->room = room;
		}
		r->items[r->count++] = r->item;
		r->item = (struct s3_refused){ 0 };
	}
	return ERR_NONE;
}

enum err s3_refused_read(struct op *op, struct str body, struct s3_refused **out, size_t *out_count)
{
	struct s3_error error;
	struct refused_reader r = { 0 };
	if (s3_error_read(op, body, &error))
		return op_fail(
			op, ERR_UNAVAILABLE, "%.*s: %.*s", STRF(error.code), STRF(error.message));
	TRY(xml_read(op, body, refused_element, &r));
	if (!r.is_result)
		return op_fail(op, ERR_CORRUPT, "answer is no result of a multi-delete");
	*out = r.items;
	*out_count = r.count;
	return ERR_NONE;
}

/* ---- uploads ---- */

static enum err upload_element(struct op *op, struct str path, struct str text, void *arg)
{
	struct str *id = arg;
	if (str_eq(path, STR("InitiateMultipartUploadResult/UploadId")))
		*id = str_dup(op->arena, str_trim(text));
	return ERR_NONE;
}

enum err s3_upload_id_read(struct op *op, struct str body, struct str *out)
{
	struct str id = STR_NONE;
	TRY(xml_read(op, body, upload_element, &id));
	if (id.n == 0)
		return op_fail(op, ERR_CORRUPT, "answer holds no id of a multipart upload");
	*out = id;
	return ERR_NONE;
}

struct outcome_reader {
	struct str root;
	bool is_good;
};

static enum err outcome_element(struct op *op, struct str path, struct str text, void *arg)
{
	struct outcome_reader *r = arg;
	(void)op;
	(void)text;
	r->is_good = r->is_good || str_eq(path, r->root);
	return ERR_NONE;
}

enum err s3_outcome_read(struct op *op, struct str body, struct str root, struct s3_error *error)
{
	if (s3_error_read(op, body, error))
		return op_fail(
			op, ERR_UNAVAILABLE, "%.*s: %.*s", STRF(error->code), STRF(error->message));
	*error = (struct s3_error){ .code = STR("") };
	struct outcome_reader r = { .root = root };
	TRY(xml_read(op, body, outcome_element, &r));
	if (!r.is_good)
		return op_fail(op, ERR_CORRUPT, "answer is no %.*s", STRF(root));
	return ERR_NONE;
}
