/* SPDX-License-Identifier: Apache-2.0 */
/* http/url.c - URLs taken apart and put together.
 *
 * What is accepted is what can go into a request line as it stands: visible ASCII. A host is a name of letters,
 * digits, "-", "_" and ".", or an address; everything else would be read differently by somebody.
 *
 * Spec: RFC 3986 §2, §3. */
#include "base/number.h"
#include "http/http_private.h"

#define HOST_MAX 255

static bool is_unreserved(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || c == '-' || c == '.' || c == '_' ||
	       c == '~';
}

void http_percent_encode(struct buf *out, struct str s, struct str safe)
{
	static const char digits[] = "0123456789ABCDEF";
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (is_unreserved(s.p[i]) || str_find_byte(safe, s.p[i]) >= 0) {
			buf_put_byte(out, s.p[i]);
		} else {
			char coded[3] = { '%', digits[c >> 4], digits[c & 15] };
			buf_put(out, (struct str){ coded, sizeof coded });
		}
	}
}

enum err http_percent_decode(struct op *op, struct str s, struct str *out)
{
	char *p = arena_alloc(op->arena, s.n);
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		uint64_t byte = (unsigned char)s.p[i];
		if (s.p[i] == '%') {
			struct str hex = str_slice(s, i + 1, i + 3);
			if (hex.n != 2 || !number_parse_hex_u64(hex, &byte))
				return op_fail(op, ERR_INVALID,
					"%% without two hex digits at byte %zu of a URL's part", i);
			i += 2;
		}
		p[n++] = (char)byte;
	}
	*out = (struct str){ p, n };
	return ERR_NONE;
}

static enum err check_host(struct op *op, struct str host, bool is_address)
{
	if (host.n == 0 || host.n > HOST_MAX)
		return op_fail(op, ERR_INVALID, "URL has no host, or one that is too long");
	for (size_t i = 0; i < host.n; i++) {
		char c = host.p[i];
		bool is_good = ascii_is_alpha(c) || ascii_is_digit(c) || c == '.';
		if (is_address ? !(is_good || c == ':') : !(is_good || c == '-' || c == '_'))
			return op_fail(op, ERR_INVALID, "URL's host has a strange character");
	}
	return ERR_NONE;
}

/* "host", "host:port", "[::1]:port". */
static enum err parse_host(struct op *op, struct str text, struct http_url *url)
{
	struct str host = text, port = STR_NONE;
	bool is_address = str_skip(&text, STR("["));
	if (is_address) {
		if (!str_cut(&text, ']', &host) || (text.n > 0 && !str_skip(&text, STR(":"))))
			return op_fail(op, ERR_INVALID, "URL's address lacks its ]");
		port = text;
	} else if (str_cut(&text, ':', &host)) {
		port = text;
	}
	TRY(check_host(op, host, is_address));
	uint16_t usual = url->is_tls ? 443 : 80;
	uint32_t number = usual;
	if (port.n > 0 && (!number_parse_u32(port, &number) || number == 0 || number > UINT16_MAX))
		return op_fail(op, ERR_INVALID, "URL's port is no number from 1 to 65535");
	url->host = str_lower(op->arena, host);
	url->port = (uint16_t)number;
	url->has_port = number != usual;
	return ERR_NONE;
}

static enum err parse_authority(struct op *op, struct str text, struct http_url *url)
{
	ssize_t at = str_find_last_byte(text, '@');
	if (at >= 0) {
		struct str user = str_slice(text, 0, (size_t)at);
		struct str password = user;
		text = str_slice(text, (size_t)at + 1, text.n);
		if (str_cut(&password, ':', &user))
			TRY(http_percent_decode(op, password, &url->password));
		TRY(http_percent_decode(op, user, &url->user));
	}
	return parse_host(op, text, url);
}

static enum err check_visible(struct op *op, struct str text)
{
	if (text.n > HTTP_URL_MAX)
		return op_fail(op, ERR_INVALID, "URL is longer than %u bytes", HTTP_URL_MAX);
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] <= ' ' || text.p[i] >= 127 || text.p[i] == '#')
			return op_fail(op, ERR_INVALID,
				"URL has a byte at offset %zu that must be percent-encoded", i);
	return ERR_NONE;
}

enum err http_url_parse(struct op *op, struct str text, struct http_url *out)
{
	struct http_url url = { .query = STR_NONE };
	TRY(check_visible(op, text));
	url.is_tls = str_skip_ci(&text, STR("https://"));
	if (!url.is_tls && !str_skip_ci(&text, STR("http://")))
		return op_fail(op, ERR_INVALID, "URL does not begin with http:// or https://");
	size_t end = 0;
	while (end < text.n && text.p[end] != '/' && text.p[end] != '?')
		end++;
	TRY(parse_authority(op, str_take(&text, end), &url));
	ssize_t mark = str_find_byte(text, '?');
	if (mark >= 0) {
		url.query = str_slice(text, (size_t)mark + 1, text.n);
		text = str_slice(text, 0, (size_t)mark);
	}
	url.path = text.n > 0 ? text : STR("/");
	*out = url;
	return ERR_NONE;
}

struct str http_url_authority(struct arena *arena, const struct http_url *url)
{
	bool is_address = str_find_byte(url->host, ':') >= 0;
	if (!is_address && !url->has_port)
		return url->host;
	struct str host = is_address ? str_printf(arena, "[%.*s]", STRF(url->host)) : url->host;
	return url->has_port ? str_printf(arena, "%.*s:%u", STRF(host), (unsigned)url->port) : host;
}

struct str http_url_origin(struct arena *arena, const struct http_url *url)
{
	struct str host = http_url_authority(arena, url);
	return str_printf(arena, "%s://%.*s", url->is_tls ? "https" : "http", STRF(host));
}

char *http_url_text(struct arena *arena, const struct http_url *url)
{
	struct str origin = http_url_origin(arena, url);
	const char *mark = url->query.p ? "?" : "";
	struct str text = str_printf(
		arena, "%.*s%.*s%s%.*s", STRF(origin), STRF(url->path), mark, STRF(url->query));
	return str_dup_z(arena, text);
}

/* Location: an absolute URL, "//host/path", "/path", or "name" beside the path. */
enum err http_url_follow(
	struct op *op, const struct http_url *from, struct str location, struct http_url *out)
{
	struct str fragment = location;
	if (str_cut(&fragment, '#', &location) && location.n == 0)
		return op_fail(op, ERR_INVALID, "redirected to a fragment");
	struct str text = location, origin = http_url_origin(op->arena, from);
	if (str_starts(location, STR("//"))) {
		text = str_printf(
			op->arena, "%s:%.*s", from->is_tls ? "https" : "http", STRF(location));
	} else if (str_starts(location, STR("/")) || str_starts(location, STR("?"))) {
		struct str path = location.p[0] == '?' ? from->path : STR("");
		text = str_printf(
			op->arena, "%.*s%.*s%.*s", STRF(origin), STRF(path), STRF(location));
	} else if (!str_starts_ci(location, STR("http://")) &&
		   !str_starts_ci(location, STR("https://"))) {
		size_t end = (size_t)str_find_last_byte(from->path, '/') + 1;
		struct str folder = str_slice(from->path, 0, end);
		text = str_printf(
			op->arena, "%.*s%.*s%.*s", STRF(origin), STRF(folder), STRF(location));
	}
	return op_within(op, http_url_parse(op, text, out), "redirected");
}

/* Parameters that may be told: those of the object stores' own languages. Others are secrets until
 * somebody says that they are not. */
static bool is_told(struct str name)
{
	static const char *const told[] = { "acl", "comp", "continuation-token", "delete",
		"delimiter", "include", "list-type", "location", "marker", "max-keys", "maxresults",
		"partNumber", "prefix", "restype", "start-after", "timeout", "uploadId", "uploads",
		"versionId", "versioning", "versions" };
	for (size_t i = 0; i < ARRAY_COUNT(told); i++)
		if (str_eq(name, str_from(told[i])))
			return true;
	return false;
}

struct str http_url_target(struct arena *arena, const struct http_url *url)
{
	if (!url->query.p)
		return url->path;
	AUTO_BUF(target, 0);
	buf_put(&target, url->path);
	struct str rest = url->query, pair;
	for (char sep = '?'; rest.n > 0; sep = '&') {
		if (!str_cut(&rest, '&', &pair)) {
			pair = rest;
			rest = STR_NONE;
		}
		struct str name = pair, value = pair;
		bool has_value = str_cut(&value, '=', &name);
		buf_put_byte(&target, sep);
		buf_put(&target, name);
		if (has_value) {
			buf_put_byte(&target, '=');
			buf_put(&target, is_told(name) ? value : STR("..."));
		}
	}
	return buf_dup(arena, &target);
}
