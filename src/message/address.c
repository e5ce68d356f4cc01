/* SPDX-License-Identifier: Apache-2.0 */
/* message/address.c - the address list parser.
 *
 * One address is read as a run of words until a special character says what the run was:
 *
 *   words "<"  -> a display name; route and addr-spec follow       words ":" -> name of a group
 *   words "@"  -> a local part; the domain follows                 words ","  -> a bare local part
 *
 * The text of the current address lies in one buffer; offsets into it become slices at the end,
 * because the buffer moves while it grows. */
#include "message/address.h"

#include "message/lex_private.h"

/* A piece of list->text. */
struct piece {
	size_t from, to;
	bool is_there;
};

struct reading {
	struct piece name, route, mailbox, host;
};

void message_addresses_init(struct message_addresses *list, struct str value)
{
	*list = (struct message_addresses){ .rest = value };
	buf_init(&list->text, 0);
	buf_init(&list->note, 0);
}

void message_addresses_done(struct message_addresses *list)
{
	buf_done(&list->text);
	buf_done(&list->note);
}

static char front(const struct message_addresses *list)
{
	return list->rest.n > 0 ? *list->rest.p : '\0';
}

static bool blanks_skip(struct message_addresses *list)
{
	return lex_cfws_skip(&list->rest, &list->note);
}

static struct piece piece_begin(const struct message_addresses *list)
{
	return (struct piece){ .from = list->text.n, .to = list->text.n };
}

static void piece_end(const struct message_addresses *list, struct piece *piece)
{
	piece->to = list->text.n;
	piece->is_there = true;
}

static struct str piece_str(const struct message_addresses *list, struct piece piece)
{
	if (!piece.is_there)
		return STR_NONE;
	return piece.to > piece.from ? str_slice(buf_str(&list->text), piece.from, piece.to)
				     : STR("");
}

static void atom_take(struct message_addresses *list)
{
	size_t n = 0;

	while (n < list->rest.n && lex_is_atom(list->rest.p[n]))
		n++;
	buf_put(&list->text, str_take(&list->rest, n));
}

/* Words up to a special character. `is_phrase`: blanks between words count as one space, but none
 * is put beside a dot of a local part. Returns the run; is_there if it had a word. */
static struct piece words_take(struct message_addresses *list, bool is_phrase)
{
	struct piece run = piece_begin(list);

	for (;;) {
		bool is_gap = blanks_skip(list) && run.is_there && is_phrase;
		char c = front(list);
		bool is_word = list->rest.n > 0 && (c == '"' || lex_is_atom(c));
		if (!is_word)
			break;
		if (is_gap)
			buf_put_byte(&list->text, ' ');
		if (c == '"')
			lex_quoted_cut(&list->rest, &list->text);
		else
			atom_take(list);
		piece_end(list, &run);
	}
	return run;
}

/* After a "@": the domain, or a literal in brackets. */
static struct piece domain_take(struct message_addresses *list)
{
	struct piece run = piece_begin(list);

	blanks_skip(list);
	if (front(list) == '[') {
		const char *end = memchr(list->rest.p, ']', list->rest.n);
		size_t n = end ? (size_t)(end - list->rest.p) + 1 : list->rest.n;
		struct str literal = str_take(&list->rest, n);
		for (size_t i = 0; i < literal.n; i++)
			if (!lex_is_blank(literal.p[i]))
				buf_put_byte(&list->text, literal.p[i]);
		piece_end(list, &run);
		blanks_skip(list);
		return run;
	}
	/* Obsolete domains have blanks around their dots; a word after a blank is not ours. */
	for (;;) {
		bool ends_with_dot =
			list->text.n > run.from && list->text.p[list->text.n - 1] == '.';
		if (list->rest.n == 0 || !lex_is_atom(front(list)) ||
			(run.is_there && !ends_with_dot && front(list) != '.'))
			break;
		atom_take(list);
		piece_end(list, &run);
		blanks_skip(list);
	}
	return run;
}

/* "@a,@b:" after a "<". */
static void route_take(struct message_addresses *list, struct reading *r)
{
	struct piece run = piece_begin(list);

	while (front(list) == '@' || front(list) == ',') {
		buf_put(&list->text, str_take(&list->rest, 1));
		(void)domain_take(list);
		blanks_skip(list);
	}
	if (front(list) == ':') {
		(void)str_take(&list->rest, 1);
		piece_end(list, &run);
		r->route = run;
		return;
	}
	/* No route after all: "<@domain>". */
	if (run.from < list->text.n) {
		run.from++;
		piece_end(list, &run);
		r->host = run;
	}
}

/* *rest is behind "<". Reads up to ">" (or to a "," or ";" if that is missing). */
static void angle_take(struct message_addresses *list, struct reading *r)
{
	blanks_skip(list);
	if (front(list) == '@')
		route_take(list, r);
	if (!r->host.is_there) {
		r->mailbox = words_take(list, false);
		if (front(list) == '@') {
			(void)str_take(&list->rest, 1);
			r->host = domain_take(list);
		}
	}
	while (list->rest.n > 0 && front(list) != '>' && front(list) != ',' && front(list) != ';')
		(void)str_take(&list->rest, 1);
	if (front(list) == '>')
		(void)str_take(&list->rest, 1);
}

/* Removes blanks beside the dots of an obsolete local part ("joe . smith"). */
static void local_part_tidy(struct message_addresses *list, struct piece *run)
{
	char *p = list->text.p;
	size_t to = run->from;

	for (size_t i = run->from; i < run->to; i++) {
		bool is_beside = p[i] == ' ' && i + 1 < run->to &&
				 (p[i + 1] == '.' || (to > run->from && p[to - 1] == '.'));
		if (!is_beside)
			p[to++] = p[i];
	}
	run->to = to;
}

/* Reads one address or the head of a group. Returns false if there was nothing but separators. */
static bool address_read(struct message_addresses *list, struct reading *r, bool *is_group)
{
	struct piece words = words_take(list, true);
	char c = front(list);

	if (c == '@') {
		if (words.is_there)
			local_part_tidy(list, &words);
		buf_truncate(&list->text, words.to);
		buf_put(&list->text, str_take(&list->rest, 1));
		r->mailbox = words;
		r->host = domain_take(list);
		c = front(list);
		if (c != '<')
			return r->mailbox.is_there || r->host.is_there;
		/* "joe@x <joe@x>": what stood before the bracket was a name. */
		words.is_there = true;
		words.to = list->text.n;
		*r = (struct reading){ 0 };
	}
	if (c == '<') {
		(void)str_take(&list->rest, 1);
		r->name = words;
		angle_take(list, r);
		return true;
	}
	if (c == ':' && words.is_there && !list->is_in_group) {
		(void)str_take(&list->rest, 1);
		r->name = words;
		*is_group = true;
		return true;
	}
	r->mailbox = words;
	return words.is_there;
}

static void address_fill(
	struct message_addresses *list, const struct reading *r, struct message_address *out)
{
	*out = (struct message_address){
		.kind = MESSAGE_ADDRESS,
		.name = piece_str(list, r->name),
		.route = piece_str(list, r->route),
		.mailbox = piece_str(list, r->mailbox),
		.host = piece_str(list, r->host),
	};
	/* "joe@example.com (Joe)": the comment serves as a name. */
	if (!out->name.p && list->note.n > 0)
		out->name = buf_str(&list->note);
}

/* Returns true when *out was filled; otherwise at least one byte was taken. */
static bool address_try(struct message_addresses *list, struct message_address *out)
{
	struct reading r = { 0 };
	bool is_group = false;
	size_t before = list->rest.n;

	if (!address_read(list, &r, &is_group)) {
		if (list->rest.n == before)
			(void)str_take(&list->rest, 1);
		return false;
	}
	list->count++;
	if (is_group)
		list->is_in_group = true;
	else
		blanks_skip(list);
	address_fill(list, &r, out);
	if (is_group)
		out->kind = MESSAGE_GROUP_START;
	return true;
}

bool message_address_next(struct message_addresses *list, struct message_address *out)
{
	for (;;) {
		buf_clear(&list->text);
		buf_clear(&list->note);
		while (blanks_skip(list) || str_skip(&list->rest, STR(",")))
			;
		if (list->count >= MESSAGE_ADDRESSES_MAX)
			list->rest.n = 0;
		bool is_end = list->rest.n == 0;
		if (is_end || str_skip(&list->rest, STR(";"))) {
			if (list->is_in_group) {
				list->is_in_group = false;
				*out = (struct message_address){ .kind = MESSAGE_GROUP_END };
				return true;
			}
			if (is_end)
				return false;
			continue;
		}
		if (address_try(list, out))
			return true;
	}
}
