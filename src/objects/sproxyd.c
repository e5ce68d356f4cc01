/* SPDX-License-Identifier: Apache-2.0 */
/* objects/sproxyd.c - objects in a Scality RING, through its HTTP door.
 *
 * An object's key there is made of ours (sproxyd_key.h). Nothing can be listed, and the server copies nothing. A PUT
 * says If-None-Match: *; whether a server that ignores it would overwrite does not matter, since keys are unique.
 *
 * 423 Locked: the RING is still busy with the object, usually because it was just read or written; it is asked
 * again. fs_sproxyd_avoid_423_timeout saves the round trips: a DELETE of an object that this process asked for
 * within that time waits for the rest of it. Many deletes begin with those that need not wait.
 *
 * Spec: sheet storage §9.3, §9.7. */
#include "base/codec.h"
#include "base/file.h"
#include "base/number.h"
#include "config/config.h"
#include "http/http.h"
#include "objects/remote.h"
#include "objects/sproxyd_key.h"
#include "task/task.h"

#include <stdlib.h>

#define ERROR_BYTES ((size_t)64 << 10)
#define CA_MAX      ((size_t)4 << 20)
#define RECENT_SLOTS                                                                               \
	4096 /* a newer object may take an older one's slot: that costs a 423, no more */
#define DELETE_PARALLEL 8

struct recent {
	struct sproxyd_key key;
	int64_t at_us;
};

struct sproxyd_settings {
	struct str url;
	uint64_t class;
	int64_t avoid_423_us;
	bool is_by_path;
	struct http_settings http;
};

struct sproxyd {
	struct objects base;      /* first */
	struct http_client *http; /* owned */
	struct arena arena;       /* owned; of the two below */
	struct str root;          /* "http://host/proxy/alias", no slash at the end */
	struct str authorization; /* "": none */
	unsigned class;
	bool is_by_path;
	int64_t avoid_423_us;
	struct recent *recent; /* owned; NULL: avoid_423_us is 0 */
};

static struct sproxyd *sproxyd_of(struct objects *o)
{
	return CONTAINER_OF(o, struct sproxyd, base);
}

/* ---- what was asked for lately ---- */

static struct recent *recent_slot(struct sproxyd *s, const struct sproxyd_key *key)
{
	return &s->recent[get_be64(key->bytes) % RECENT_SLOTS];
}

static void touch(struct sproxyd *s, struct str key)
{
	if (!s->recent)
		return;
	struct sproxyd_key id = sproxyd_key(key, s->class);
	*recent_slot(s, &id) = (struct recent){ id, now_us() };
}

/* From when on it may be deleted. */
static int64_t free_from(struct sproxyd *s, struct str key)
{
	if (!s->recent)
		return 0;
	struct sproxyd_key id = sproxyd_key(key, s->class);
	const struct recent *r = recent_slot(s, &id);
	if (r->at_us == 0 || memcmp(&r->key, &id, sizeof(id)) != 0)
		return 0;
	return r->at_us + s->avoid_423_us;
}

/* WAITS. A deadline that the wait would reach goes before it. */
static enum err wait_free(struct op *op, struct sproxyd *s, struct str key)
{
	int64_t now = now_us(), from = free_from(s, key);
	if (from <= now || op->deadline_us <= from)
		return ERR_NONE;
	return task_sleep(op, from - now);
}

/* ---- a request ---- */

struct ask {
	const char *what;
	struct str method, key;
	struct http_headers headers;
	const struct str *parts;
	size_t part_count;
	size_t answer_max;
};

/* Nothing of ours is a page: what answers so must be neither a mail nor the proof that one was stored. */
static enum err check_origin(struct op *op, const struct ask *ask, const struct http_answer *answer)
{
	struct str type = http_answer_header(answer, STR("Content-Type"));
	if (answer->status / 100 != 2 || !str_starts_ci(type, STR("text/html")) ||
		str_eq(ask->method, STR("DELETE")))
		return ERR_NONE;
	return op_fail(op, ERR_UNAVAILABLE,
		"%s %.*s: status %u, but the answer is a web page: see fs_sproxyd_url", ask->what,
		STRF(ask->key), answer->status);
}

static enum err request(
	struct op *op, struct sproxyd *s, struct ask *ask, struct http_answer *answer)
{
	static const unsigned also_retry[] = { 423 };
	AUTO_BUF(url, 0);
	buf_putf(&url, "%.*s/", STRF(s->root));
	if (s->is_by_path) {
		http_percent_encode(&url, ask->key, STR("/"));
	} else {
		struct sproxyd_key id = sproxyd_key(ask->key, s->class);
		sproxyd_key_put(&url, &id);
	}
	if (s->authorization.n)
		http_headers_add(op, &ask->headers, STR("Authorization"), s->authorization);
	enum err e = remote_request(op, s->http,
		&(struct http_request){ .method = ask->method,
			.url = buf_str(&url),
			.headers = ask->headers.items,
			.header_count = ask->headers.count,
			.parts = ask->parts,
			.part_count = ask->part_count,
			.answer_max = ask->answer_max,
			.is_repeatable = true,
			.also_retry = also_retry,
			.also_retry_count = ARRAY_COUNT(also_retry),
			.kind = remote_kind_name(remote_kind(ask->key)) },
		answer);
	if (!str_eq(ask->method, STR("DELETE")))
		touch(s, ask->key);
	return e == ERR_NONE ? check_origin(op, ask, answer) : e;
}

static enum err refused(struct op *op, const struct ask *ask, const struct http_answer *answer)
{
	return remote_fail(op, ask->what, ask->key, answer, STR(""));
}

/* ---- reading ---- */

static enum err head(struct op *op, struct sproxyd *s, struct str key, struct http_answer *answer)
{
	struct ask ask = { .what = "sproxyd HEAD", .method = STR("HEAD"), .key = key };
	TRY(request(op, s, &ask, answer));
	return answer->status == 200 ? ERR_NONE : refused(op, &ask, answer);
}

static enum err sproxyd_stat(
	struct op *op, struct objects *o, struct str key, struct object_info *out)
{
	struct http_answer answer;
	TRY(head(op, sproxyd_of(o), key, &answer));
	return remote_info_read(op, &answer, out);
}

static enum err sproxyd_metadata(struct op *op, struct objects *o, struct str key,
	struct object_meta **out, size_t *out_count)
{
	struct http_answer answer;
	TRY(head(op, sproxyd_of(o), key, &answer));
	remote_meta_read(op, &answer, STR("X-Object-meta-dovecot-"), '-', out, out_count);
	return ERR_NONE;
}

static enum err sproxyd_get(struct op *op, struct objects *o, struct str key, uint64_t offset,
	size_t length, struct str *out)
{
	struct sproxyd *s = sproxyd_of(o);
	struct http_answer answer;
	struct ask ask = {
		.what = "sproxyd GET", .method = STR("GET"), .key = key, .answer_max = length
	};
	if (!remote_range_add(op, &ask.headers, offset, length)) {
		TRY(head(op, s, key, &answer));
		*out = STR("");
		return ERR_NONE;
	}
	TRY(request(op, s, &ask, &answer));
	if (answer.status != 200 && answer.status != 206 && answer.status != 416)
		return refused(op, &ask, &answer);
	return op_within(op, remote_range_read(op, &answer, offset, length, out),
		"sproxyd GET %.*s", STRF(key));
}

/* ---- writing ---- */

/* An attempt whose answer was lost may have stored it: the object is ours if it has our bytes. */
static enum err check_stored(struct op *op, struct objects *o, const struct object_put *put)
{
	struct op_failure failure = op->failure;
	struct str body;
	TRY(sproxyd_get(op, o, put->key, 0, SIZE_MAX, &body));
	for (size_t i = 0; i < put->part_count; i++) {
		if (!str_skip(&body, put->parts[i])) {
			op->failure = failure;
			return ERR_EXISTS;
		}
	}
	if (body.n) {
		op->failure = failure;
		return ERR_EXISTS;
	}
	op_forgive(op);
	return ERR_NONE;
}

static enum err sproxyd_put(struct op *op, struct objects *o, const struct object_put *put)
{
	struct http_answer answer;
	struct ask ask = {
		.what = "sproxyd PUT",
		.method = STR("PUT"),
		.key = put->key,
		.parts = put->parts,
		.part_count = put->part_count,
		.answer_max = ERROR_BYTES,
	};
	http_headers_add(op, &ask.headers, STR("Content-Type"), STR("application/octet-stream"));
	http_headers_add(op, &ask.headers, STR("If-None-Match"), STR("*"));
	remote_meta_add(op, &ask.headers, STR("X-Object-meta-dovecot-"), '-', put);
	TRY(request(op, sproxyd_of(o), &ask, &answer));
	if (answer.status / 100 == 2)
		return ERR_NONE;
	enum err e = refused(op, &ask, &answer);
	if (e == ERR_EXISTS && answer.maybe_repeated)
		return check_stored(op, o, put);
	if (e == ERR_NOT_FOUND)
		return op_fail(op, ERR_UNAVAILABLE,
			"sproxyd PUT %.*s: status %u: does fs_sproxyd_url name the right alias?",
			STRF(put->key), answer.status);
	return e;
}

static enum err sproxyd_remove(struct op *op, struct objects *o, struct str key)
{
	struct sproxyd *s = sproxyd_of(o);
	struct http_answer answer;
	struct ask ask = {
		.what = "sproxyd DELETE",
		.method = STR("DELETE"),
		.key = key,
		.answer_max = ERROR_BYTES,
	};
	TRY(wait_free(op, s, key));
	TRY(request(op, s, &ask, &answer));
	if (answer.status / 100 == 2)
		return ERR_NONE;
	enum err e = refused(op, &ask, &answer);
	if (e != ERR_NOT_FOUND || !answer.maybe_repeated)
		return e;
	op_forgive(op); /* an earlier attempt of ours removed it */
	return ERR_NONE;
}

/* ---- many deletes ---- */

struct due {
	struct str key;
	int64_t from_us;
};

static int by_time(const void *a, const void *b)
{
	const struct due *x = a, *y = b;
	return (x->from_us > y->from_us) - (x->from_us < y->from_us);
}

struct deletes {
	struct objects *objects;
	const struct due *due;
	size_t count, next;
};

static enum err delete_some(struct op *op, void *arg)
{
	struct deletes *d = arg;
	while (d->next < d->count) {
		enum err e = sproxyd_remove(op, d->objects, d->due[d->next++].key);
		if (e == ERR_NOT_FOUND)
			op_forgive(op);
		else if (e != ERR_NONE)
			return e;
	}
	return ERR_NONE;
}

static enum err sproxyd_remove_many(
	struct op *op, struct objects *o, const struct str *keys, size_t count)
{
	struct sproxyd *s = sproxyd_of(o);
	struct due *due = ARENA_NEW_ARRAY(op->arena, struct due, count);
	for (size_t i = 0; i < count; i++)
		due[i] = (struct due){ keys[i], free_from(s, keys[i]) };
	qsort(due, count, sizeof(due[0]), by_time);
	struct deletes d = { .objects = o, .due = due, .count = count };
	struct task_group *g = task_group_new(op);
	for (size_t i = 0; i < MIN(count, DELETE_PARALLEL); i++)
		task_group_start(g, "sproxyd delete", delete_some, &d);
	return task_group_finish(op, g);
}

static enum err sproxyd_iter(
	struct op *op, struct objects *o, struct str prefix, objects_iter_fn *fn, void *arg)
{
	(void)o;
	(void)prefix;
	(void)fn;
	(void)arg;
	return op_fail(op, ERR_UNSUPPORTED, "sproxyd cannot list objects");
}

/* ---- opening ---- */

static enum err settings_read(
	struct op *op, const struct config_scope *scope, struct sproxyd_settings *out)
{
	*out = (struct sproxyd_settings){
		.url = config_str(scope, SET_fs_sproxyd_url),
		.class = config_u64(scope, SET_fs_sproxyd_class),
		.avoid_423_us = config_time_us(scope, SET_fs_sproxyd_avoid_423_timeout),
		.is_by_path = config_bool(scope, SET_fs_sproxyd_access_by_path),
	};
	return http_settings_read(op, scope, &out->http);
}

/* http://user:password@host/path?class=2&avoid_423=MS&by_path=1&ca=FILE */
static enum err settings_parse(struct op *op, struct str text, struct sproxyd_settings *out)
{
	struct sproxyd_settings s = { .class = 2, .http = http_settings_default() };
	struct str rest = text, item, name, value;
	uint64_t number = 0;
	if (!str_cut(&rest, '?', &s.url)) {
		s.url = text;
		rest = STR_NONE;
	}
	while (rest.n) {
		if (!str_cut(&rest, '&', &item))
			item = str_take(&rest, rest.n);
		value = item;
		bool is_right = str_cut(&value, '=', &name);
		if (is_right && str_eq(name, STR("ca"))) {
			AUTO_BUF(pem, 0);
			TRY(file_read(op, str_dup_z(op->arena, value), CA_MAX, &pem));
			s.http.ca_pem = buf_dup(op->arena, &pem);
			continue;
		}
		is_right = is_right && number_parse_u64(value, &number) && number < UINT32_MAX;
		if (is_right && str_eq(name, STR("class")))
			s.class = number;
		else if (is_right && str_eq(name, STR("avoid_423")))
			s.avoid_423_us = (int64_t)number * US_PER_MS;
		else if (is_right && str_eq(name, STR("by_path")))
			s.is_by_path = number > 0;
		else
			return op_fail(
				op, ERR_INVALID, "URL of sproxyd: \"%.*s\" is wrong", STRF(item));
	}
	*out = s;
	return ERR_NONE;
}

static enum err settings_check(
	struct op *op, const struct sproxyd_settings *settings, struct http_url *out_url)
{
	if (settings->url.n == 0)
		return op_fail(op, ERR_INVALID, "fs_sproxyd_url is not set");
	enum err e = http_url_parse(op, settings->url, out_url);
	if (e != ERR_NONE)
		return op_within(op, e, "fs_sproxyd_url");
	if (out_url->query.n)
		return op_fail(op, ERR_INVALID, "fs_sproxyd_url: parameters are settings now");
	if (settings->class > SPROXYD_CLASS_MAX)
		return op_fail(
			op, ERR_INVALID, "fs_sproxyd_class must be 0 to %d", SPROXYD_CLASS_MAX);
	return ERR_NONE;
}

static void set_address(struct sproxyd *s, const struct http_url *url)
{
	struct str path = url->path;
	while (str_ends(path, STR("/")))
		path.n--;
	s->root = str_printf(&s->arena, "%s://%.*s%.*s", url->is_tls ? "https" : "http",
		STRF(http_url_authority(&s->arena, url)), STRF(path));
	if (url->user.n == 0)
		return;
	AUTO_BUF(plain, 0);
	AUTO_BUF(text, 0);
	buf_putf(&plain, "%.*s:%.*s", STRF(url->user), STRF(url->password));
	base64_encode(&text, buf_str(&plain));
	s->authorization = str_printf(&s->arena, "Basic %.*s", STRF(buf_str(&text)));
	mem_wipe(plain.p, plain.n);
}

static void sproxyd_close(struct objects *o)
{
	struct sproxyd *s = sproxyd_of(o);
	http_client_close(s->http);
	arena_done(&s->arena);
	mem_free(s->recent);
	mem_free(s);
}

static enum err sproxyd_open(struct op *op, const struct config_scope *scope, struct str argument,
	struct objects *inner, struct objects **out)
{
	(void)inner;
	struct sproxyd_settings settings;
	struct http_client *http;
	struct http_url url;
	TRY(scope ? settings_read(op, scope, &settings) : settings_parse(op, argument, &settings));
	TRY(settings_check(op, &settings, &url));
	TRY(http_client_open_with(op, &settings.http, "sproxyd", &http));
	struct sproxyd *s = MEM_NEW(struct sproxyd);
	s->base.driver = &objects_sproxyd;
	s->http = http;
	s->class = (unsigned)settings.class;
	s->is_by_path = settings.is_by_path;
	s->avoid_423_us = settings.avoid_423_us;
	if (s->avoid_423_us > 0)
		s->recent = mem_new(RECENT_SLOTS * sizeof(s->recent[0]));
	arena_init(&s->arena, 0);
	set_address(s, &url);
	*out = &s->base;
	return ERR_NONE;
}

const struct objects_driver objects_sproxyd = {
	.name = "sproxyd",
	.is_remote = true,
	.open = sproxyd_open,
	.close = sproxyd_close,
	.put = sproxyd_put,
	.get = sproxyd_get,
	.remove = sproxyd_remove,
	.remove_many = sproxyd_remove_many,
	.stat = sproxyd_stat,
	.iter = sproxyd_iter,
	.metadata = sproxyd_metadata,
};
