/* SPDX-License-Identifier: Apache-2.0 */
/* base/str.h - a borrowed run of bytes, passed by value; not NUL-terminated, may contain NUL.
 *
 * Parsers consume: they cut slices off the front of a `struct str *rest` and never index. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct arena;
struct str {
	const char *p;
	size_t n;
};

#define STR(lit)                                                                                   \
	(struct str)                                                                               \
	{                                                                                          \
		"" lit, sizeof(lit) - 1                                                            \
	}
#define STR_NONE                                                                                   \
	(struct str)                                                                               \
	{                                                                                          \
		NULL, 0                                                                            \
	}
/* The two arguments of "%.*s". */
#define STRF(s) (int)(s).n, (s).p

struct str str_from(const char *zero_terminated);           /* NULL gives STR_NONE */
struct str str_slice(struct str s, size_t from, size_t to); /* clamped to s */

bool str_eq(struct str a, struct str b);
bool str_eq_ci(struct str a, struct str b); /* ASCII case-insensitive */
int str_cmp(struct str a, struct str b);    /* bytewise, shorter first */
int str_cmp_ci(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_starts_ci(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
/* Offset of the first match, or -1. */
ssize_t str_find(struct str s, struct str needle);
ssize_t str_find_ci(struct str s, struct str needle);
ssize_t str_find_byte(struct str s, char c);
ssize_t str_find_last_byte(struct str s, char c);

/* Takes the bytes before the first `sep` off the front of *rest, and the separator.
 * Returns false, and leaves *rest alone, when there is no `sep`. */
bool str_cut(struct str *rest, char sep, struct str *out);
/* Takes `prefix` off the front; false and untouched if it is not there. */
bool str_skip(struct str *rest, struct str prefix);
bool str_skip_ci(struct str *rest, struct str prefix);
/* Takes a line off the front, without its LF or CRLF; false if no LF is there. */
bool str_cut_line(struct str *rest, struct str *out);
/* Takes the next run of bytes that are not SP or TAB, skipping those before it; false at the end. */
bool str_cut_word(struct str *rest, struct str *out);
/* Takes the first `n` bytes (at most what is there). */
struct str str_take(struct str *rest, size_t n);

struct str str_trim(struct str s);       /* SP TAB CR LF at both ends */
struct str str_trim_right(struct str s); /* the same at the end alone */

struct str str_dup(struct arena *a, struct str s);
/* Zero-terminated copy. A NUL inside stays: callers that hand it to the kernel check first. */
char *str_dup_z(struct arena *a, struct str s);
char *str_new_z(struct str s);                       /* on the heap: mem_free() */
struct str str_lower(struct arena *a, struct str s); /* ASCII */
/* A zero byte stands behind the result, uncounted. */
__attribute__((format(printf, 2, 3))) struct str str_printf(struct arena *a, const char *fmt, ...);
__attribute__((format(printf, 2, 0))) struct str str_vprintf(
	struct arena *a, const char *fmt, va_list args);
bool str_has_nul(struct str s);
/* '*' in `pattern` stands for any bytes, '?' for one. Iterative: at most as many steps as the product of both
 * lengths. */
bool str_matches(struct str s, struct str pattern);

/* ASCII classes; never depend on the locale. */
bool ascii_is_digit(char c);
bool ascii_is_alpha(char c);
bool ascii_is_space(char c); /* SP HT LF VT FF CR */
char ascii_lower(char c);
char ascii_upper(char c);
