/* SPDX-License-Identifier: Apache-2.0 */
/* objects/remote.c - see remote.h. */
#include "objects/remote.h"

#include <time.h>

#include "base/number.h"
#include "message/date.h"

enum remote_kind remote_kind(struct str key)
{
	static const struct {
		struct str mark;
		enum remote_kind kind;
	} marks[] = {
		{ { "/mails/", 7 }, REMOTE_MAIL },
		{ { "/idx/", 5 }, REMOTE_INDEX },
		{ { "/fts/", 5 }, REMOTE_SEARCH },
	};
	for (size_t i = 0; i < ARRAY_COUNT(marks); i++)
		if (str_find(key, marks[i].mark) >= 0)
			return marks[i].kind;
	return REMOTE_OTHER;
}

struct str remote_kind_name(enum remote_kind kind)
{
	switch (kind) {
	case REMOTE_MAIL:
		return STR("mail");
	case REMOTE_INDEX:
		return STR("index");
	case REMOTE_SEARCH:
		return STR("fts");
	case REMOTE_OTHER:
		break;
	}
	return STR("");
}

/* ---- metadata ---- */

static struct str with_byte(struct arena *a, struct str name, char from, char to)
{
	char *copy = str_dup_z(a, str_lower(a, name));
	for (size_t i = 0; i < name.n; i++)
		if (copy[i] == from)
			copy[i] = to;
	return (struct str){ copy, name.n };
}

static void value_encode(struct buf *out, struct str value)
{
	static const char hex[] = "0123456789ABCDEF";
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];
		bool may_be_blank = i > 0 && i + 1 < value.n;
		if (((c > ' ' && c < 0x7f) || (c == ' ' && may_be_blank)) && c != '%') {
			buf_put_byte(out, (char)c);
			continue;
		}
		buf_put_byte(out, '%');
		buf_put_byte(out, hex[c >> 4]);
		buf_put_byte(out, hex[c & 15]);
	}
}

void remote_meta_add(struct op *op, struct http_headers *headers, struct str prefix, char dash,
	const struct object_put *put)
{
	for (size_t i = 0; i < put->meta_count; i++) {
		AUTO_BUF(value, 0);
		value_encode(&value, put->meta[i].value);
		struct str name = with_byte(op->arena, put->meta[i].name, '-', dash);
		http_headers_add(op, headers,
			str_printf(op->arena, "%.*s%.*s", STRF(prefix), STRF(name)),
			buf_str(&value));
	}
}

void remote_meta_read(struct op *op, const struct http_answer *answer, struct str prefix, char dash,
	struct object_meta **out, size_t *out_count)
{
	struct object_meta *meta =
		ARENA_NEW_ARRAY(op->arena, struct object_meta, answer->header_count);
	size_t count = 0;
	for (size_t i = 0; i < answer->header_count; i++) {
		struct str name = answer->headers[i].name;
		struct str value = answer->headers[i].value;
		if (!str_skip_ci(&name, prefix) || name.n == 0)
			continue;
		meta[count].name = with_byte(op->arena, name, dash, '-');
		/* Somebody else's value with a bare '%' stays as it is. */
		if (http_percent_decode(op, value, &meta[count].value) != ERR_NONE) {
			op_forgive(op);
			meta[count].value = value;
		}
		count++;
	}
	*out = meta;
	*out_count = count;
}

/* ---- times ---- */

int64_t remote_date_read(struct str text)
{
	struct message_date date;
	if (!message_date_parse(text, &date))
		return 0;
	return date.wall_s * US_PER_SEC;
}

static bool cut_digits(struct str *rest, size_t digits, int *out)
{
	uint32_t value;
	if (rest->n < digits || !number_parse_u32(str_slice(*rest, 0, digits), &value))
		return false;
	(void)str_take(rest, digits);
	*out = (int)value;
	return true;
}

int64_t remote_iso_time_read(struct str text)
{
	struct tm tm = { 0 };
	struct str rest = text;
	if (!cut_digits(&rest, 4, &tm.tm_year) || !str_skip(&rest, STR("-")) ||
		!cut_digits(&rest, 2, &tm.tm_mon) || !str_skip(&rest, STR("-")) ||
		!cut_digits(&rest, 2, &tm.tm_mday) || !str_skip(&rest, STR("T")) ||
		!cut_digits(&rest, 2, &tm.tm_hour) || !str_skip(&rest, STR(":")) ||
		!cut_digits(&rest, 2, &tm.tm_min) || !str_skip(&rest, STR(":")) ||
		!cut_digits(&rest, 2, &tm.tm_sec))
		return 0;
	uint64_t fraction;
	if (str_skip(&rest, STR(".")) && !number_cut_u64(&rest, &fraction))
		return 0;
	if (!str_eq(rest, STR("Z")) || tm.tm_year < 1970 || tm.tm_mon < 1 || tm.tm_mon > 12)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	return (int64_t)timegm(&tm) * US_PER_SEC;
}

static struct tm civil(int64_t wall_us)
{
	time_t at = (time_t)(wall_us / US_PER_SEC);
	struct tm tm = { 0 };
	ASSERT(gmtime_r(&at, &tm) != NULL);
	return tm;
}

struct str remote_date(struct arena *arena, int64_t wall_us)
{
	static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
		"Sep", "Oct", "Nov", "Dec" };
	struct tm tm = civil(wall_us);
	return str_printf(arena, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday],
		tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

struct str remote_iso_time(struct arena *arena, int64_t wall_us)
{
	struct tm tm = civil(wall_us);
	return str_printf(arena, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1,
		tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* ---- requests ---- */

enum err remote_request(struct op *op, struct http_client *http, const struct http_request *request,
	struct http_answer *out)
{
	enum err e = http_request(op, http, request, out);
	bool is_too_large = e == ERR_LIMIT && str_eq(request->method, STR("GET"));
	if (e == ERR_NONE || e == ERR_TIMEOUT || e == ERR_CANCELLED || e == ERR_UNAVAILABLE ||
		is_too_large)
		return e;
	struct str why = str_dup(op->arena, str_from(op->failure.text));
	return op_fail(op, ERR_UNAVAILABLE, "%.*s", STRF(why));
}

/* ---- answers ---- */

enum err remote_info_read(struct op *op, const struct http_answer *answer, struct object_info *out)
{
	uint64_t size;
	if (!number_parse_u64(http_answer_header(answer, STR("Content-Length")), &size))
		return op_fail(op, ERR_UNAVAILABLE, "the answer tells no length");
	out->size_bytes = size;
	out->wall_us = remote_date_read(http_answer_header(answer, STR("Last-Modified")));
	return ERR_NONE;
}

bool remote_range_add(struct op *op, struct http_headers *headers, uint64_t offset, size_t length)
{
	if (offset > INT64_MAX || length == 0)
		return false;
	if (offset == 0 && length == SIZE_MAX)
		return true;
	struct str range = str_printf(op->arena, "bytes=%" PRIu64 "-", offset);
	if (length < INT64_MAX - offset)
		range = str_printf(
			op->arena, "bytes=%" PRIu64 "-%" PRIu64, offset, offset + length - 1);
	http_headers_add(op, headers, STR("Range"), range);
	return true;
}

bool remote_range_of(
	const struct http_answer *answer, uint64_t *from, uint64_t *to, uint64_t *total)
{
	struct str text = http_answer_header(answer, STR("Content-Range"));
	return answer->status == 206 && str_skip_ci(&text, STR("bytes ")) &&
	       number_cut_u64(&text, from) && str_skip(&text, STR("-")) &&
	       number_cut_u64(&text, to) && str_skip(&text, STR("/")) &&
	       number_parse_u64(text, total) && *to < *total && *from <= *to + 1 &&
	       *to + 1 - *from == answer->body.n;
}

enum err remote_range_read(struct op *op, const struct http_answer *answer, uint64_t offset,
	size_t length, struct str *out)
{
	if (answer->status == 416) {
		*out = STR("");
		return ERR_NONE;
	}
	if (answer->status == 200) {
		*out = objects_slice(answer->body.p, answer->body.n, offset, length);
		return ERR_NONE;
	}
	uint64_t from, to, total;
	if (!remote_range_of(answer, &from, &to, &total) || from != offset ||
		answer->body.n > length || (answer->body.n < length && to + 1 < total))
		return op_fail(
			op, ERR_UNAVAILABLE, "another range than the one asked for was answered");
	*out = answer->body;
	return ERR_NONE;
}

static enum err status_class(unsigned status)
{
	switch (status) {
	case 404:
	case 410:
		return ERR_NOT_FOUND;
	case 409:
	case 412:
		return ERR_EXISTS;
	default:
		return ERR_UNAVAILABLE;
	}
}

enum err remote_fail(struct op *op, const char *what, struct str key,
	const struct http_answer *answer, struct str code)
{
	return op_fail(op, status_class(answer->status),
		"%s %.*s: status %u%s%.*s after %u attempt%s", what, STRF(key), answer->status,
		code.n ? " " : "", STRF(code), answer->attempts, answer->attempts == 1 ? "" : "s");
}
