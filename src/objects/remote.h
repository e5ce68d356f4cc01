/* SPDX-License-Identifier: Apache-2.0 */
/* objects/remote.h - what the stores behind HTTP have in common: kinds, metadata in headers, times, and
 * which failure a status is.
 *
 * Metadata: a value travels as a header's value. Bytes that a header cannot carry as they are (outside of
 *           printable ASCII, '%', blanks at the ends) are written %XX; reading undoes it.
 * Spec:     sheet storage §9.7; RFC 9110 §5.6.7. */
#pragma once

#include "http/http.h"
#include "objects/objects_private.h"

/* What an object is, by its key: ".../mails/...", ".../idx/...", ".../fts/...". */
enum remote_kind { REMOTE_OTHER, REMOTE_MAIL, REMOTE_INDEX, REMOTE_SEARCH };
enum remote_kind remote_kind(struct str key);
struct str remote_kind_name(enum remote_kind kind); /* as in events: "mail", "index", "fts", "" */

/* A header list that grows in the op's arena: struct http_headers. Adds one per entry of put->meta: `prefix`
 * and the name, with '-' in it replaced by `dash`. */
void remote_meta_add(struct op *op, struct http_headers *headers, struct str prefix, char dash,
	const struct object_put *put);
/* The other way round: entries of headers that begin with `prefix` (any case), names in lower case with `dash`
 * replaced by '-'. In op's arena. */
void remote_meta_read(struct op *op, const struct http_answer *answer, struct str prefix, char dash,
	struct object_meta **out, size_t *out_count);

/* Wall time of "Sun, 06 Nov 1994 08:49:37 GMT"; 0: it is none. */
int64_t remote_date_read(struct str text);
/* Wall time of "1994-11-06T08:49:37Z", with or without a fraction; 0: it is none. */
int64_t remote_iso_time_read(struct str text);
/* The two forms, at whole seconds. In the arena. */
struct str remote_date(struct arena *arena, int64_t wall_us);
struct str remote_iso_time(struct arena *arena, int64_t wall_us);

/* WAITS. http_request() in the classes of a store: whatever is the matter with the way there or with what is sent
 * is ERR_UNAVAILABLE, since no object is damaged and no mail is at fault. ERR_LIMIT: a GET's body is larger
 * than request->answer_max. ERR_TIMEOUT, ERR_CANCELLED as they are. */
enum err remote_request(struct op *op, struct http_client *http, const struct http_request *request,
	struct http_answer *out);

/* What HEAD says: Content-Length and Last-Modified. ERR_UNAVAILABLE: no length. */
enum err remote_info_read(struct op *op, const struct http_answer *answer, struct object_info *out);

/* Adds "Range" for offset and length, unless they are the whole object. False: nothing can be there. */
bool remote_range_add(struct op *op, struct http_headers *headers, uint64_t offset, size_t length);
/* What a 206 says of itself: bytes from..to of total, as many as the body has. Behind the end some say "10-9/10". */
bool remote_range_of(
	const struct http_answer *answer, uint64_t *from, uint64_t *to, uint64_t *total);
/* The part of an answer to GET that was asked for: a server may send all (200) instead of the range (206), or
 * say that nothing is there (416). Statuses other than these three are the caller's. ERR_UNAVAILABLE: another
 * range, or a part of it; a short body would look like the object's end. */
enum err remote_range_read(struct op *op, const struct http_answer *answer, uint64_t offset,
	size_t length, struct str *out);

/* Fails for a status that is no success: 404 and 410 ERR_NOT_FOUND, 409 and 412 ERR_EXISTS, all others (wrong
 * credentials too: the mail is not wrong) ERR_UNAVAILABLE. `code` is the store's own word for it, may be
 * empty. `what` is as in "azure PUT". */
enum err remote_fail(struct op *op, const char *what, struct str key,
	const struct http_answer *answer, struct str code);
