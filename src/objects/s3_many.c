/* SPDX-License-Identifier: Apache-2.0 */
/* objects/s3_many.c - deletes, one and many, and listings of a bucket.
 *
 * A multi-delete tells its failures key by key; such keys are deleted again one by one, where the HTTP
 * client's retries apply. Listings are for audits: no request of a user makes one. */
#include "objects/s3_private.h"
#include "objects/xml.h"
#include "task/task.h"

#define PARALLEL    4
#define PAGE_MEMORY ((size_t)64 << 20)

/* ---- one ---- */

static enum err remove_one(struct op *op, struct s3_store *s, struct str key)
{
	struct http_answer answer;
	struct s3_call call = {
		.method = STR("DELETE"), .key = key, .is_repeatable = true, .retries_conflict = true
	};
	TRY(s3_call(op, s, &call, &answer));
	if (answer.status / 100 == 2)
		return ERR_NONE;
	enum err e = s3_refusal(op, s, &call, &answer);
	if (e != ERR_NOT_FOUND || !answer.maybe_repeated)
		return e;
	op_forgive(op); /* our own earlier attempt did it */
	return ERR_NONE;
}

enum err s3_remove(struct op *op, struct objects *o, struct str key)
{
	return remove_one(op, s3_store(o), key);
}

/* ---- many ---- */

struct removal {
	struct s3_store *store;
	const struct str *keys;
	size_t count, next;
};

/* XML has no way to say control characters. */
static bool fits_xml(struct str key)
{
	for (size_t i = 0; i < key.n; i++)
		if ((unsigned char)key.p[i] < ' ')
			return false;
	return str_find(key, STR("\xef\xbf\xbe")) < 0 && str_find(key, STR("\xef\xbf\xbf")) < 0;
}

static enum err remove_or_forget(struct op *op, struct s3_store *s, struct str key)
{
	enum err e = remove_one(op, s, key);
	if (e != ERR_NOT_FOUND)
		return e;
	op_forgive(op);
	return ERR_NONE;
}

/* Keys first..end-1, one by one. */
static enum err remove_each(struct op *op, struct removal *r, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++)
		TRY(remove_or_forget(op, r->store, r->keys[i]));
	return ERR_NONE;
}

/* The next keys as a request's body; those that XML cannot say are put into *odd. */
static struct str bulk_body(struct op *op, struct removal *r, size_t limit, struct str **odd,
	size_t *odd_count, size_t *out_count)
{
	AUTO_BUF(body, 0);
	size_t end = MIN(r->count, r->next + limit);
	*odd = ARENA_NEW_ARRAY(op->arena, struct str, end - r->next);
	*odd_count = *out_count = 0;
	buf_put(&body, STR("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
			   "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
			   "<Quiet>true</Quiet>"));
	while (r->next < end) {
		struct str key = r->keys[r->next++];
		if (!fits_xml(key)) {
			(*odd)[(*odd_count)++] = key;
			continue;
		}
		buf_put(&body, STR("<Object><Key>"));
		xml_put_text(&body, r->store->place.key_prefix);
		xml_put_text(&body, key);
		buf_put(&body, STR("</Key></Object>"));
		++*out_count;
	}
	buf_put(&body, STR("</Delete>"));
	return buf_dup(op->arena, &body);
}

/* *out_unknown: the server does not know the request. */
static enum err bulk_send(struct op *op, struct s3_store *s, struct str body,
	struct s3_refused **out, size_t *out_count, bool *out_unknown)
{
	struct http_answer answer;
	struct s3_call call = {
		.method = STR("POST"),
		.query = STR("delete="),
		.parts = &body,
		.part_count = 1,
		.payload = s3_payload_hash(op, &body, 1),
		.is_repeatable = true,
	};
	s3_call_header(&call, STR("content-type"), STR("application/xml"));
	s3_call_header(&call, STR("content-md5"), s3_content_md5(op, &body, 1));
	TRY(s3_call(op, s, &call, &answer));
	*out_unknown = answer.status == 501 || answer.status == 405;
	if (*out_unknown)
		return ERR_NONE;
	if (answer.status != 200)
		return s3_refusal(op, s, &call, &answer);
	return op_within(op, s3_refused_read(op, answer.body, out, out_count),
		"S3 multi-delete in bucket %.*s", STRF(s->place.bucket));
}

/* The key that we know, for one in an answer. */
static bool own_key(const struct s3_store *s, struct str key, struct str *out)
{
	*out = key;
	return str_skip(out, s->place.key_prefix) && out->n > 0;
}

/* Deletes one by one what was refused. A refusal that names none of keys first..end-1 may be of any of them. */
static enum err remove_refused(struct op *op, struct removal *r, size_t first, size_t end,
	const struct s3_refused *refused, size_t count)
{
	struct str key;
	for (size_t i = 0; i < count; i++) {
		size_t at = first;
		bool has_key = own_key(r->store, refused[i].key, &key);
		while (has_key && at < end && !str_eq(r->keys[at], key))
			at++;
		if (!has_key || at == end)
			return remove_each(op, r, first, end);
		if (!str_eq(refused[i].code, STR("NoSuchKey")))
			TRY(remove_or_forget(op, r->store, key));
	}
	return ERR_NONE;
}

static enum err remove_bulk(struct op *op, struct removal *r)
{
	struct s3_store *s = r->store;
	struct str *odd;
	struct s3_refused *refused = NULL;
	size_t first = r->next, odd_count, count, refused_count = 0;
	bool is_unknown = false;
	struct str body = bulk_body(op, r, s->bulk_delete_limit, &odd, &odd_count, &count);
	size_t end = r->next;
	if (count > 0)
		TRY(bulk_send(op, s, body, &refused, &refused_count, &is_unknown));
	if (is_unknown) {
		s->bulk_delete_limit = 0;
		return remove_each(op, r, first, end);
	}
	for (size_t i = 0; i < odd_count; i++)
		TRY(remove_or_forget(op, s, odd[i]));
	return remove_refused(op, r, first, end, refused, refused_count);
}

static enum err remove_some(struct op *op, void *arg)
{
	struct removal *r = arg;
	while (r->next < r->count) {
		if (r->store->bulk_delete_limit > 1)
			TRY(remove_bulk(op, r));
		else
			TRY(remove_or_forget(op, r->store, r->keys[r->next++]));
	}
	return ERR_NONE;
}

enum err s3_remove_many(struct op *op, struct objects *o, const struct str *keys, size_t count)
{
	struct removal r = { .store = s3_store(o), .keys = keys, .count = count };
	size_t limit = MAX(r.store->bulk_delete_limit, 1u);
	size_t requests = count / limit + (count % limit > 0);
	struct task_group *g = task_group_new(op);
	for (size_t i = 0; i < MIN(requests, PARALLEL); i++)
		task_group_start(g, "s3 delete", remove_some, &r);
	return task_group_finish(op, g);
}

/* ---- listings ---- */

static void query_put(struct buf *query, struct str name, struct str value)
{
	if (query->n)
		buf_put_byte(query, '&');
	buf_put(query, name);
	buf_put_byte(query, '=');
	http_percent_encode(query, value, STR_NONE);
}

static enum err page_get(
	struct op *op, struct s3_store *s, struct str prefix, struct str from, struct s3_page *out)
{
	struct http_answer answer;
	AUTO_BUF(query, 0);
	if (from.n)
		query_put(&query, STR("continuation-token"), from);
	query_put(&query, STR("encoding-type"), STR("url"));
	query_put(&query, STR("list-type"), STR("2"));
	query_put(&query, STR("max-keys"), STR("1000"));
	query_put(&query, STR("prefix"),
		str_printf(op->arena, "%.*s%.*s", STRF(s->place.key_prefix), STRF(prefix)));
	struct s3_call call = {
		.method = STR("GET"), .query = buf_str(&query), .is_repeatable = true
	};
	TRY(s3_call(op, s, &call, &answer));
	if (answer.status != 200)
		return s3_refusal(op, s, &call, &answer);
	return s3_page_read(op, answer.body, out);
}

/* Keys of a page that are objects of ours: not the markers of directories that some tools leave. */
static enum err page_tell(struct op *op, const struct s3_store *s, const struct s3_page *page,
	objects_iter_fn *fn, void *arg)
{
	for (size_t i = 0; i < page->count; i++) {
		struct str key;
		const struct s3_listed *item = &page->items[i];
		if (!own_key(s, item->key, &key) || !objects_key_is_valid(key))
			continue;
		const struct object_info info = { item->size_bytes, item->wall_us };
		TRY(fn(op, key, &info, arg));
	}
	return ERR_NONE;
}

enum err s3_iter(
	struct op *op, struct objects *o, struct str prefix, objects_iter_fn *fn, void *arg)
{
	struct s3_store *s = s3_store(o);
	AUTO_BUF(from, 0);
	for (;;) {
		/* A page's memory ends with it: a bucket may hold millions of keys. */
		AUTO_ARENA(arena, PAGE_MEMORY);
		struct op page_op;
		struct s3_page page;
		op_init(&page_op, &arena, op->event, op->deadline_us);
		enum err e = page_get(&page_op, s, prefix, buf_str(&from), &page);
		if (e != ERR_NONE)
			return op_fail(op, e, "%s", page_op.failure.text);
		TRY(page_tell(op, s, &page, fn, arg));
		if (!page.is_truncated)
			return ERR_NONE;
		if (str_eq(page.next, buf_str(&from)))
			return op_fail(op, ERR_CORRUPT, "S3 listing of bucket %.*s does not get on",
				STRF(s->place.bucket));
		buf_clear(&from);
		buf_put(&from, page.next);
	}
}
