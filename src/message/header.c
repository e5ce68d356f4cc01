/* SPDX-License-Identifier: Apache-2.0 */
/* message/header.c - cutting a header block into fields. */
#include "message/header.h"

#include <stdlib.h>

/* Size of the first field: its line and the lines after it that begin with a blank. */
static size_t field_size(struct str s)
{
	size_t at = 0;

	while (at < s.n) {
		const char *lf = memchr(s.p + at, '\n', s.n - at);
		if (!lf)
			return s.n;
		at = (size_t)(lf - s.p) + 1;
		if (at < s.n && s.p[at] != ' ' && s.p[at] != '\t')
			break;
	}
	return at;
}

static void field_split(struct message_field *field)
{
	struct str rest = field->whole;

	field->name = STR_NONE;
	if (str_cut(&rest, ':', &field->name))
		field->name = str_trim_right(field->name);
	field->value = str_trim(rest);
}

bool message_field_next(struct str *rest, struct message_field *out)
{
	struct message_field field;

	do {
		if (rest->n == 0 || str_skip(rest, STR("\n")) || str_skip(rest, STR("\r\n")))
			return false;
		field.whole = str_take(rest, field_size(*rest));
		field_split(&field);
	} while (field.name.n > MESSAGE_FIELD_NAME_MAX);
	*out = field;
	return true;
}

bool message_field_find(struct str header, struct str name, struct message_field *out)
{
	struct message_field field;

	while (message_field_next(&header, &field)) {
		if (str_eq_ci(field.name, name)) {
			*out = field;
			return true;
		}
	}
	return false;
}

struct str message_field_unfold(struct arena *arena, struct str value)
{
	struct str line;

	if (value.n == 0 || !memchr(value.p, '\n', value.n))
		return value;
	char *copy = arena_alloc(arena, value.n);
	size_t n = 0;
	while (str_cut_line(&value, &line)) {
		memcpy(copy + n, line.p, line.n);
		n += line.n;
	}
	memcpy(copy + n, value.p, value.n);
	return (struct str){ copy, n + value.n };
}

static int name_compare(const void *a, const void *b)
{
	return str_cmp_ci(*(const struct str *)a, *(const struct str *)b);
}

static void lines_put(struct buf *out, struct str whole)
{
	struct str line;

	while (str_cut_line(&whole, &line)) {
		buf_put(out, line);
		buf_put(out, STR("\r\n"));
	}
	if (whole.n > 0) {
		buf_put(out, whole);
		buf_put(out, STR("\r\n"));
	}
}

void message_header_subset(struct buf *out, struct str header, const struct str *names,
	size_t count, bool is_not, struct arena *scratch)
{
	message_header_subset_until(out, header, names, count, is_not, SIZE_MAX, scratch);
}

void message_header_subset_until(struct buf *out, struct str header, const struct str *names,
	size_t count, bool is_not, size_t max, struct arena *scratch)
{
	size_t start = out->n;
	struct arena_mark mark = arena_mark(scratch);
	struct str *sorted = ARENA_NEW_ARRAY(scratch, struct str, count);
	struct message_field field;

	for (size_t i = 0; i < count; i++)
		sorted[i] = names[i];
	qsort(sorted, count, sizeof(sorted[0]), name_compare);
	while (out->n - start <= max && message_field_next(&header, &field)) {
		bool is_named = bsearch(&field.name, sorted, count, sizeof(sorted[0]),
					name_compare) != NULL;
		if (is_named != is_not)
			lines_put(out, field.whole);
	}
	arena_rewind(scratch, mark);
}
