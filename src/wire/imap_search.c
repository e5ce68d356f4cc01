/* SPDX-License-Identifier: Apache-2.0 */
/* wire/imap_search.c - the search program, parsed without recursion.
 *
 * An explicit stack holds the open keys: the program itself, "(", NOT (waits for one operand) and OR.
 * An OR that is an operand of an OR joins it: that key then waits for one operand more, so that the
 * long OR chains which clients make stay flat. Only what can't be joined counts against the depth.
 *
 * Spec: RFC 3501 §6.4.4, §9; RFC 4731 (RETURN), 5032 (OLDER, YOUNGER), 7162 §3.1.5 (MODSEQ).
 * To extend: a key is a row in imap_search_words (imap_search_words.c). */
#include "base/number.h"
#include "base/unicode.h"
#include "wire/imap_command.h"
#include "wire/imap_private.h"

static const struct imap_word return_options[] = {
	{ STR("MIN"), IMAP_SEARCH_RETURN_MIN },
	{ STR("MAX"), IMAP_SEARCH_RETURN_MAX },
	{ STR("ALL"), IMAP_SEARCH_RETURN_ALL },
	{ STR("COUNT"), IMAP_SEARCH_RETURN_COUNT },
	{ STR("SAVE"), IMAP_SEARCH_RETURN_SAVE },
	{ STR_NONE, 0 },
};

/* A key whose operands are being read. */
struct open_key {
	uint32_t index;   /* in the program's keys */
	uint32_t pending; /* operands still missing; 0: as many as come (ALL_OF) */
};

struct program {
	struct imap_cursor *c;
	struct imap_search_key *keys;
	size_t count;
	struct open_key open[IMAP_SEARCH_DEPTH_MAX];
	size_t depth;
};

static enum err program_add(struct program *p, struct imap_search_key key)
{
	if (p->count == IMAP_SEARCH_KEYS_MAX)
		return imap_cursor_fail(p->c, ERR_LIMIT, "Too many search keys.");
	p->keys = imap_array_grow(p->c, p->keys, p->count, sizeof(key));
	if (!p->keys)
		return ERR_LIMIT;
	key.end = (uint32_t)p->count + 1;
	p->keys[p->count++] = key;
	return ERR_NONE;
}

static enum err program_open(struct program *p, enum imap_search_kind kind, uint32_t pending)
{
	if (p->depth == IMAP_SEARCH_DEPTH_MAX)
		return imap_cursor_fail(p->c, ERR_LIMIT, "Too deep search program.");
	p->open[p->depth++] = (struct open_key){ (uint32_t)p->count, pending };
	return program_add(p, (struct imap_search_key){ .kind = kind });
}

static enum imap_search_kind innermost_kind(const struct program *p)
{
	return p->keys[p->open[p->depth - 1].index].kind;
}

/* A key is whole: closes every open key that it completes. */
static void program_close(struct program *p)
{
	while (p->depth > 1) {
		struct open_key *inner = &p->open[p->depth - 1];
		if (inner->pending == 0) {
			if (!imap_skip(p->c, ')'))
				return;
		} else if (--inner->pending > 0) {
			return;
		}
		p->keys[inner->index].end = (uint32_t)p->count;
		p->depth--;
	}
}

static enum err cut_text(struct imap_cursor *c, struct str *out)
{
	TRY(imap_cut_astring(c, out));
	if (!utf8_is_valid(*out))
		return imap_cursor_fail(c, ERR_INVALID, "Search string is not valid UTF-8.");
	return ERR_NONE;
}

/* MODSEQ ["/flags/\\Seen" all] n: which flag is asked about doesn't matter, as one modseq stands
 * for all (RFC 7162 §3.1.5). */
static enum err cut_modseq(struct imap_cursor *c, uint64_t *out)
{
	if (imap_is_next(c, '"')) {
		struct str entry, type;
		TRY(imap_cut_string(c, &entry));
		TRY(imap_cut_space(c));
		TRY(imap_cut_atom(c, &type));
		TRY(imap_cut_space(c));
		if (!str_starts_ci(entry, STR("/flags/")) ||
			!(str_eq_ci(type, STR("all")) || str_eq_ci(type, STR("priv")) ||
				str_eq_ci(type, STR("shared"))))
			return imap_cursor_fail(c, ERR_INVALID, "Invalid MODSEQ entry.");
	}
	return imap_cut_number64(c, out);
}

static enum err cut_args(
	struct imap_cursor *c, enum imap_search_arg arg, struct imap_search_key *key)
{
	uint32_t number;
	if (arg != IMAP_SEARCH_ARG_NONE)
		TRY(imap_cut_space(c));
	switch (arg) {
	case IMAP_SEARCH_ARG_NONE:
		return ERR_NONE;
	case IMAP_SEARCH_ARG_ATOM:
		return imap_cut_atom(c, &key->text);
	case IMAP_SEARCH_ARG_TEXT:
		return cut_text(c, &key->text);
	case IMAP_SEARCH_ARG_FIELD_TEXT:
		TRY(imap_cut_astring(c, &key->field));
		TRY(imap_cut_space(c));
		return cut_text(c, &key->text);
	case IMAP_SEARCH_ARG_DATE:
		return imap_cut_date(c, &key->day);
	case IMAP_SEARCH_ARG_NUMBER:
		return imap_cut_number64(c, &key->number);
	case IMAP_SEARCH_ARG_SECONDS:
		TRY(imap_cut_nz_number(c, &number));
		key->number = number;
		return ERR_NONE;
	case IMAP_SEARCH_ARG_MODSEQ:
		return cut_modseq(c, &key->number);
	case IMAP_SEARCH_ARG_SET:
		return imap_cut_sequence_set(c, &key->set);
	}
	UNREACHABLE();
}

static bool is_set_next(const struct imap_cursor *c)
{
	return c->rest.n > 0 &&
	       (ascii_is_digit(c->rest.p[0]) || c->rest.p[0] == '*' || c->rest.p[0] == '$');
}

static enum err cut_leaf(struct program *p, struct str word)
{
	const struct imap_search_word *w = imap_search_words;
	while (w->name.n > 0 && !str_eq_ci(w->name, word))
		w++;
	if (w->name.n == 0)
		return imap_cursor_fail_word(p->c, ERR_INVALID, "Unknown search key", word);
	struct imap_search_key key = {
		.kind = w->kind,
		.flags_set = w->flags_set,
		.flags_unset = w->flags_unset,
		.field = w->field,
	};
	TRY(cut_args(p->c, w->arg, &key));
	if (w->is_negated) {
		if (p->depth == IMAP_SEARCH_DEPTH_MAX)
			return imap_cursor_fail(p->c, ERR_LIMIT, "Too deep search program.");
		TRY(program_add(p, (struct imap_search_key){ .kind = IMAP_SEARCH_NOT }));
		p->keys[p->count - 1].end++;
	}
	return program_add(p, key);
}

/* One step: a key without operands, or the beginning of one with them. */
static enum err cut_key(struct program *p, bool *out_is_whole)
{
	struct imap_search_key set = { .kind = IMAP_SEARCH_SEQUENCE };
	struct str word;
	*out_is_whole = false;
	if (imap_skip(p->c, '('))
		return program_open(p, IMAP_SEARCH_ALL_OF, 0);
	if (is_set_next(p->c)) {
		TRY(imap_cut_sequence_set(p->c, &set.set));
		*out_is_whole = true;
		return program_add(p, set);
	}
	TRY(imap_cut_atom(p->c, &word));
	if (str_eq_ci(word, STR("NOT"))) {
		TRY(imap_cut_space(p->c));
		return program_open(p, IMAP_SEARCH_NOT, 1);
	}
	if (str_eq_ci(word, STR("OR"))) {
		TRY(imap_cut_space(p->c));
		if (innermost_kind(p) != IMAP_SEARCH_ANY_OF)
			return program_open(p, IMAP_SEARCH_ANY_OF, 2);
		p->open[p->depth - 1].pending++;
		return ERR_NONE;
	}
	*out_is_whole = true;
	return cut_leaf(p, word);
}

static enum err cut_program(struct imap_cursor *c, struct imap_search *out)
{
	struct program p = { .c = c };
	TRY(program_open(&p, IMAP_SEARCH_ALL_OF, 0));
	for (;;) {
		bool is_whole;
		TRY(cut_key(&p, &is_whole));
		if (!is_whole)
			continue;
		program_close(&p);
		if (imap_at_end(c))
			break;
		TRY(imap_cut_space(c));
	}
	if (p.depth > 1)
		return imap_cursor_fail(c, ERR_INVALID, "Missing arguments.");
	p.keys[0].end = (uint32_t)p.count;
	out->keys = p.keys;
	out->key_count = p.count;
	return ERR_NONE;
}

static enum err cut_return(struct imap_cursor *c, struct imap_search *search)
{
	TRY(imap_cut_space(c));
	TRY(imap_cut_byte(c, '('));
	for (bool is_first = true, has_item;; is_first = false) {
		struct str word;
		TRY(imap_cut_list_next(c, is_first, &has_item));
		if (!has_item)
			break;
		TRY(imap_cut_atom(c, &word));
		uint32_t option = imap_word_find(return_options, word);
		if (option == 0)
			return imap_cursor_fail_word(
				c, ERR_INVALID, "Unknown SEARCH return option", word);
		search->returned |= option;
	}
	search->is_esearch = true;
	if (search->returned == 0)
		search->returned = IMAP_SEARCH_RETURN_ALL;
	return imap_cut_space(c);
}

static enum err cut_charset(struct imap_cursor *c)
{
	struct str charset;
	TRY(imap_cut_space(c));
	TRY(imap_cut_astring(c, &charset));
	if (!str_eq_ci(charset, STR("UTF-8")) && !str_eq_ci(charset, STR("US-ASCII")))
		return imap_cursor_fail_word(c, ERR_UNSUPPORTED, "Unknown charset", charset);
	return imap_cut_space(c);
}

enum err imap_parse_search(struct imap_cursor *c, struct imap_search *out)
{
	struct imap_search search = { .is_esearch = false };
	TRY(imap_cut_space(c));
	if (imap_skip_word(c, STR("RETURN")))
		TRY(cut_return(c, &search));
	*out = search; /* what an unknown charset leaves */
	if (imap_skip_word(c, STR("CHARSET")))
		TRY(cut_charset(c));
	TRY(cut_program(c, &search));
	*out = search;
	return ERR_NONE;
}
