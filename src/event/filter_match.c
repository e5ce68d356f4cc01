/* SPDX-License-Identifier: Apache-2.0 */
/* One comparison of a filter against what happened. */
#include <arpa/inet.h>

#include "event/event_private.h"
#include "event/filter_private.h"

/* Iterative: on a mismatch the last run takes one byte more. */
static bool matches_pattern(struct str text, struct str pattern, bool is_exact)
{
	size_t t = 0, p = 0, run_t = 0, run_p = SIZE_MAX;
	while (t < text.n) {
		char want = p < pattern.n ? pattern.p[p] : '\0';
		bool is_same =
			p < pattern.n && (is_exact ? want == text.p[t]
						   : ascii_lower(want) == ascii_lower(text.p[t]));
		if (p < pattern.n && want == FILTER_ANY_RUN) {
			run_p = p++;
			run_t = t;
		} else if (is_same || (p < pattern.n && want == FILTER_ANY_BYTE)) {
			t++;
			p++;
		} else if (run_p != SIZE_MAX) {
			p = run_p + 1;
			t = ++run_t;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == FILTER_ANY_RUN)
		p++;
	return p == pattern.n;
}

/* ---- categories ---- */

/* Those that are part of another one. To extend: add a row. */
static const struct {
	const char *name, *parent;
} parents[] = {
	{ "auth-client", "auth" },
	{ "dict-server", "dict" },
	{ "fts-flatcurve", "fts" },
	{ "local-delivery", "lmtp" },
	{ "mail-cache", "storage" },
	{ "mail-index", "storage" },
	{ "mailbox", "storage" },
	{ "sieve-action", "sieve" },
	{ "sieve-execute", "sieve" },
	{ "sieve-runtime", "sieve" },
	{ "sieve-storage", "sieve" },
	{ "ssl-client", "ssl" },
	{ "ssl-server", "ssl" },
};

static bool is_category(struct str category, const struct filter_leaf *leaf)
{
	if (matches_pattern(category, leaf->pattern, false))
		return true;
	for (size_t i = 0; i < ARRAY_COUNT(parents); i++)
		if (str_eq(category, str_from(parents[i].name)))
			return matches_pattern(str_from(parents[i].parent), leaf->pattern, false);
	return false;
}

static bool has_category(const struct filter_leaf *leaf, const struct event *e)
{
	struct filter_leaf service = *leaf;
	bool is_service = str_skip_ci(&service.pattern, STR("service:"));
	for (; e; e = e->parent)
		if (e->category && is_category(str_from(e->category), is_service ? &service : leaf))
			return true;
	return is_service && str_starts_ci(event_log_process(), service.pattern);
}

/* ---- places ---- */

static bool is_place(const struct filter_leaf *leaf, const struct event_facts *facts)
{
	AUTO_BUF(place, 0);
	struct str file = str_from(facts->source_file);
	ssize_t slash = str_find_last_byte(file, '/');
	if (slash >= 0)
		file = str_slice(file, (size_t)slash + 1, file.n);
	if (file.n == 0)
		return false;
	buf_putf(&place, "%.*s:%d", STRF(file), facts->source_line);
	return matches_pattern(file, leaf->pattern, true) ||
	       matches_pattern(buf_str(&place), leaf->pattern, true);
}

/* ---- fields ---- */

static bool compare(int64_t have, const struct filter_leaf *leaf)
{
	switch (leaf->op) {
	case FILTER_EQUAL:
		return have == leaf->number;
	case FILTER_LESS:
		return have < leaf->number;
	case FILTER_MORE:
		return have > leaf->number;
	case FILTER_AT_MOST:
		return have <= leaf->number;
	case FILTER_AT_LEAST:
		return have >= leaf->number;
	}
	UNREACHABLE();
}

static bool is_in_network(struct str value, const struct filter_leaf *leaf)
{
	char text[INET6_ADDRSTRLEN];
	uint8_t ip[16];
	if (value.n == 0 || value.n >= sizeof(text))
		return false;
	memcpy(text, value.p, value.n);
	text[value.n] = '\0';
	if (inet_pton(leaf->family, text, ip) != 1)
		return false;
	for (unsigned bit = 0; bit < leaf->prefix_bits; bit++)
		if ((ip[bit / 8] ^ leaf->network[bit / 8]) & 0x80 >> bit % 8)
			return false;
	return true;
}

static bool number_matches(int64_t number, const struct filter_leaf *leaf)
{
	if (leaf->has_number)
		return compare(number, leaf);
	AUTO_BUF(text, 0);
	buf_putf(&text, "%" PRId64, number);
	return leaf->op == FILTER_EQUAL && matches_pattern(buf_str(&text), leaf->pattern, false);
}

static bool field_matches(const struct filter_leaf *leaf, const struct event_facts *facts)
{
	const struct event_field *f = event_field_find(facts->event, leaf->field);
	if (!f && facts->event && strcmp(leaf->field, "duration") == 0)
		return number_matches(now_us() - facts->event->created_us, leaf);
	if (!f)
		return leaf->op == FILTER_EQUAL && leaf->pattern.n == 0;
	if (f->is_number)
		return number_matches(f->number, leaf);
	struct str value = { f->text, f->text_bytes };
	if (leaf->op != FILTER_EQUAL)
		return false; /* texts have no order */
	return matches_pattern(value, leaf->pattern, false) ||
	       (leaf->has_network && is_in_network(value, leaf));
}

bool filter_leaf_matches(const struct filter_leaf *leaf, const struct event_facts *facts)
{
	switch (leaf->key) {
	case FILTER_EVENT:
		return facts->name && matches_pattern(str_from(facts->name), leaf->pattern, true);
	case FILTER_CATEGORY:
		return has_category(leaf, facts->event);
	case FILTER_SOURCE:
		return is_place(leaf, facts);
	case FILTER_FIELD:
		return field_matches(leaf, facts);
	}
	UNREACHABLE();
}
