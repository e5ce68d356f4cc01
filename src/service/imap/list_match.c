/* SPDX-License-Identifier: Apache-2.0 */
/* Matching as a set of reached places, moved on by each byte of the name.
 *
 * Invariant: reached[j] says that the bytes so far match the first j bytes of the pattern; a place
 * before a wildcard is reached together with the one after it, since it may stand for nothing. */
#include "service/imap/list_match.h"

static bool is_wildcard(char c)
{
	return c == '*' || c == '%';
}

/* Of neighbouring wildcards the strongest is enough. */
static struct str collapse(struct arena *a, struct str text)
{
	char *p = arena_alloc(a, text.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < text.n; i++) {
		if (n == 0 || !is_wildcard(text.p[i]) || !is_wildcard(p[n - 1]))
			p[n++] = text.p[i];
		else if (text.p[i] == '*')
			p[n - 1] = '*';
	}
	return (struct str){ p, n };
}

struct list_pattern list_pattern_make(
	struct arena *a, struct str reference, struct str text, char separator)
{
	struct list_pattern p = { .separator = separator };
	bool is_absolute = text.n > 0 && text.p[0] == separator;
	if (!is_absolute)
		text = str_printf(a, "%.*s%.*s", STRF(reference), STRF(text));
	while (text.n > 0 && text.p[0] == separator)
		(void)str_take(&text, 1);
	p.text = collapse(a, text);
	for (size_t i = 0; i < p.text.n; i++)
		p.literals += !is_wildcard(p.text.p[i]);
	p.reached = ARENA_NEW_ARRAY(a, bool, p.text.n + 1);
	return p;
}

/* Bytes of the name that match in any case. */
static size_t inbox_bytes(struct str name, char separator)
{
	struct str inbox = STR("INBOX");
	if (!str_starts_ci(name, inbox) || (name.n > inbox.n && name.p[inbox.n] != separator))
		return 0;
	return inbox.n;
}

/* Moves the set over one byte; false when no place is left. */
static bool step(const struct list_pattern *p, char c, bool is_folded)
{
	bool *reached = p->reached;
	const char *text = p->text.p;
	bool is_any = false;
	for (size_t j = p->text.n + 1; j-- > 0;) {
		bool stays = reached[j] && j < p->text.n &&
			     (text[j] == '*' || (text[j] == '%' && c != p->separator));
		bool moves = j > 0 && reached[j - 1] && !is_wildcard(text[j - 1]) &&
			     (text[j - 1] == c ||
				     (is_folded && ascii_upper(text[j - 1]) == ascii_upper(c)));
		reached[j] = stays || moves;
		is_any |= reached[j];
	}
	for (size_t j = 0; j < p->text.n && is_any; j++) {
		if (reached[j] && is_wildcard(text[j]))
			reached[j + 1] = true;
	}
	return is_any;
}

bool list_pattern_matches(const struct list_pattern *p, struct str name)
{
	if (name.n > LIST_NAME_MAX || p->literals > name.n)
		return false;
	size_t folded = inbox_bytes(name, p->separator);
	memset(p->reached, 0, p->text.n + 1);
	p->reached[0] = true;
	if (p->text.n > 0 && is_wildcard(p->text.p[0]))
		p->reached[1] = true;
	for (size_t i = 0; i < name.n; i++) {
		if (!step(p, name.p[i], i < folded))
			return false;
	}
	return p->reached[p->text.n];
}
