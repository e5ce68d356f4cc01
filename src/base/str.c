/* SPDX-License-Identifier: Apache-2.0 */
/* base/str.c - slices: see str.h. An empty slice may have p == NULL, which libc's memory functions
 * must not see: that is what the tests of `n` before them are for. */
#include "base/str.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/mem.h"

struct str str_from(const char *zero_terminated)
{
	return zero_terminated ? (struct str){ zero_terminated, strlen(zero_terminated) }
			       : STR_NONE;
}

struct str str_slice(struct str s, size_t from, size_t to)
{
	to = MIN(to, s.n);
	from = MIN(from, to);
	return s.p ? (struct str){ s.p + from, to - from } : s;
}

bool ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool ascii_is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool ascii_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

char ascii_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c;
}

bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static bool same_ci(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ascii_lower(a[i]) != ascii_lower(b[i]))
			return false;
	return true;
}

bool str_eq_ci(struct str a, struct str b)
{
	return a.n == b.n && same_ci(a.p, b.p, a.n);
}

int str_cmp(struct str a, struct str b)
{
	size_t n = MIN(a.n, b.n);
	int order = n ? memcmp(a.p, b.p, n) : 0;

	return order ? order : (a.n > b.n) - (a.n < b.n);
}

int str_cmp_ci(struct str a, struct str b)
{
	for (size_t i = 0; i < a.n && i < b.n; i++) {
		unsigned char x = (unsigned char)ascii_lower(a.p[i]);
		unsigned char y = (unsigned char)ascii_lower(b.p[i]);
		if (x != y)
			return x < y ? -1 : 1;
	}
	return (a.n > b.n) - (a.n < b.n);
}

bool str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_eq(str_slice(s, 0, prefix.n), prefix);
}

bool str_starts_ci(struct str s, struct str prefix)
{
	return s.n >= prefix.n && same_ci(s.p, prefix.p, prefix.n);
}

bool str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n && str_eq(str_slice(s, s.n - suffix.n, s.n), suffix);
}

ssize_t str_find(struct str s, struct str needle)
{
	if (needle.n == 0)
		return 0;
	const char *at = s.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
	return at ? at - s.p : -1;
}

ssize_t str_find_ci(struct str s, struct str needle)
{
	for (size_t i = 0; i + needle.n <= s.n; i++)
		if (same_ci(s.p + i, needle.p, needle.n))
			return (ssize_t)i;
	return needle.n == 0 ? 0 : -1;
}

ssize_t str_find_byte(struct str s, char c)
{
	const char *at = s.n ? memchr(s.p, c, s.n) : NULL;

	return at ? at - s.p : -1;
}

ssize_t str_find_last_byte(struct str s, char c)
{
	const char *at = s.n ? memrchr(s.p, c, s.n) : NULL;

	return at ? at - s.p : -1;
}

struct str str_take(struct str *rest, size_t n)
{
	struct str taken = str_slice(*rest, 0, n);

	*rest = str_slice(*rest, taken.n, rest->n);
	return taken;
}

bool str_cut(struct str *rest, char sep, struct str *out)
{
	ssize_t at = str_find_byte(*rest, sep);

	if (at < 0)
		return false;
	struct str taken = str_take(rest, (size_t)at);
	(void)str_take(rest, 1); /* the separator */
	*out = taken;
	return true;
}

bool str_skip(struct str *rest, struct str prefix)
{
	if (!str_starts(*rest, prefix))
		return false;
	(void)str_take(rest, prefix.n); /* is the prefix */
	return true;
}

bool str_skip_ci(struct str *rest, struct str prefix)
{
	if (!str_starts_ci(*rest, prefix))
		return false;
	(void)str_take(rest, prefix.n); /* is the prefix */
	return true;
}

bool str_cut_line(struct str *rest, struct str *out)
{
	struct str line;

	if (!str_cut(rest, '\n', &line))
		return false;
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	*out = line;
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool str_cut_word(struct str *rest, struct str *out)
{
	size_t start = 0;

	while (start < rest->n && is_blank(rest->p[start]))
		start++;
	size_t end = start;
	while (end < rest->n && !is_blank(rest->p[end]))
		end++;
	if (end == start)
		return false;
	*out = str_slice(*rest, start, end);
	*rest = str_slice(*rest, end, rest->n);
	return true;
}

static bool is_trimmed(char c)
{
	return is_blank(c) || c == '\r' || c == '\n';
}

struct str str_trim_right(struct str s)
{
	while (s.n > 0 && is_trimmed(s.p[s.n - 1]))
		s.n--;
	return s;
}

struct str str_trim(struct str s)
{
	size_t start = 0;

	while (start < s.n && is_trimmed(s.p[start]))
		start++;
	return str_trim_right(str_slice(s, start, s.n));
}

/* Copies into n + 1 bytes at `p`. */
static char *copy_z(char *p, struct str s)
{
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

struct str str_dup(struct arena *a, struct str s)
{
	return (struct str){ str_dup_z(a, s), s.n };
}

char *str_dup_z(struct arena *a, struct str s)
{
	ASSERT(s.n < SIZE_MAX);
	return copy_z(arena_alloc(a, s.n + 1), s);
}

char *str_new_z(struct str s)
{
	ASSERT(s.n < SIZE_MAX);
	return copy_z(mem_resize(NULL, s.n + 1), s);
}

struct str str_lower(struct arena *a, struct str s)
{
	char *p = str_dup_z(a, s);

	for (size_t i = 0; i < s.n; i++)
		p[i] = ascii_lower(p[i]);
	return (struct str){ p, s.n };
}

struct str str_vprintf(struct arena *a, const char *fmt, va_list args)
{
	va_list again;

	ASSERT(fmt != NULL);
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, fmt, args);
	ASSERT(n >= 0);
	char *p = arena_alloc(a, (size_t)n + 1);
	(void)vsnprintf(p, (size_t)n + 1, fmt, again); /* the same n */
	va_end(again);
	return (struct str){ p, (size_t)n };
}

struct str str_printf(struct arena *a, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	struct str s = str_vprintf(a, fmt, args);
	va_end(args);
	return s;
}

bool str_has_nul(struct str s)
{
	return str_find_byte(s, '\0') >= 0;
}

bool str_matches(struct str s, struct str pattern)
{
	size_t p = 0, n = 0, star = SIZE_MAX, star_n = 0;

	while (n < s.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			star_n = n;
		} else if (p < pattern.n && (pattern.p[p] == '?' || pattern.p[p] == s.p[n])) {
			p++;
			n++;
		} else if (star != SIZE_MAX) { /* the last run takes one byte more */
			p = star + 1;
			n = ++star_n;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}
