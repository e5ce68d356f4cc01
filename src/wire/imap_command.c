/* SPDX-License-Identifier: Apache-2.0 */
/* wire/imap_command.c - arguments of the commands that need no table of their own. */
#include "wire/imap_command.h"

#include "wire/imap_private.h"

enum err imap_cut_command(struct imap_cursor *c, struct imap_command *out)
{
	struct imap_command cmd = { .is_uid = false };
	TRY(imap_cut_tag(c, &cmd.tag));
	TRY(imap_cut_space(c));
	TRY(imap_cut_atom(c, &cmd.name));
	if (str_eq_ci(cmd.name, STR("UID"))) {
		TRY(imap_cut_space(c));
		TRY(imap_cut_atom(c, &cmd.name));
		cmd.is_uid = true;
	}
	*out = cmd;
	return ERR_NONE;
}

enum err imap_parse_none(struct imap_cursor *c)
{
	return imap_cut_end(c);
}

enum err imap_parse_mailbox(struct imap_cursor *c, struct str *out)
{
	struct str name;
	TRY(imap_cut_space(c));
	TRY(imap_cut_mailbox(c, &name));
	TRY(imap_cut_end(c));
	*out = name;
	return ERR_NONE;
}

enum err imap_parse_login(struct imap_cursor *c, struct imap_login *out)
{
	struct imap_login login;
	TRY(imap_cut_space(c));
	TRY(imap_cut_astring(c, &login.user));
	TRY(imap_cut_space(c));
	TRY(imap_cut_astring(c, &login.password));
	TRY(imap_cut_end(c));
	*out = login;
	return ERR_NONE;
}

enum err imap_parse_authenticate(struct imap_cursor *c, struct imap_authenticate *out)
{
	struct imap_authenticate a = { .has_initial = false };
	TRY(imap_cut_space(c));
	TRY(imap_cut_atom(c, &a.mechanism));
	if (imap_skip(c, ' ')) {
		a.has_initial = true;
		TRY(imap_cut_atom(c, &a.initial));
		if (str_eq(a.initial, STR("=")))
			a.initial = STR("");
	}
	TRY(imap_cut_end(c));
	*out = a;
	return ERR_NONE;
}

enum err imap_parse_rename(struct imap_cursor *c, struct imap_rename *out)
{
	struct imap_rename names;
	TRY(imap_cut_space(c));
	TRY(imap_cut_mailbox(c, &names.from));
	TRY(imap_cut_space(c));
	TRY(imap_cut_mailbox(c, &names.to));
	TRY(imap_cut_end(c));
	*out = names;
	return ERR_NONE;
}

enum err imap_parse_enable(struct imap_cursor *c, struct imap_enable *out)
{
	struct imap_enable e = { .count = 0 };
	do {
		if (e.count == IMAP_ENABLE_MAX)
			return imap_cursor_fail(c, ERR_LIMIT, "Too many arguments.");
		struct str word;
		TRY(imap_cut_space(c));
		TRY(imap_cut_atom(c, &word));
		e.words = imap_array_grow(c, e.words, e.count, sizeof(word));
		if (!e.words)
			return ERR_LIMIT;
		e.words[e.count++] = word;
	} while (!imap_at_end(c));
	*out = e;
	return ERR_NONE;
}

static enum err cut_id_pair(struct imap_cursor *c, struct imap_id_pair *out)
{
	TRY(imap_cut_string(c, &out->key));
	TRY(imap_cut_space(c));
	TRY(imap_cut_nstring(c, &out->value));
	if (out->key.n > IMAP_ID_KEY_BYTES || out->value.n > IMAP_ID_VALUE_BYTES)
		return imap_cursor_fail(c, ERR_LIMIT, "ID field is too long.");
	return ERR_NONE;
}

enum err imap_parse_id(struct imap_cursor *c, struct imap_id *out)
{
	struct imap_id id = { .count = 0 };
	TRY(imap_cut_space(c));
	if (imap_skip_word(c, STR("NIL"))) {
		TRY(imap_cut_end(c));
		*out = id;
		return ERR_NONE;
	}
	TRY(imap_cut_byte(c, '('));
	for (bool is_first = true, has_item;; is_first = false) {
		struct imap_id_pair pair;
		TRY(imap_cut_list_next(c, is_first, &has_item));
		if (!has_item)
			break;
		if (id.count == IMAP_ID_PAIRS_MAX)
			return imap_cursor_fail(c, ERR_LIMIT, "Too many ID fields.");
		TRY(cut_id_pair(c, &pair));
		id.pairs = imap_array_grow(c, id.pairs, id.count, sizeof(pair));
		if (!id.pairs)
			return ERR_LIMIT;
		id.pairs[id.count++] = pair;
	}
	TRY(imap_cut_end(c));
	*out = id;
	return ERR_NONE;
}

/* A set of plain numbers: neither `*` nor `$` (RFC 7162 §7: known-uids, known-sequence-set). */
static enum err cut_known_set(struct imap_cursor *c, struct imap_sequence_set *out)
{
	TRY(imap_cut_sequence_set(c, out));
	if (out->has_star || out->is_saved_result)
		return imap_cursor_fail(c, ERR_INVALID, "Invalid QRESYNC set.");
	return ERR_NONE;
}

/* "(seqs uids)" */
static enum err cut_match(struct imap_cursor *c, struct imap_select *s)
{
	TRY(imap_cut_byte(c, '('));
	TRY(cut_known_set(c, &s->match_seqs));
	TRY(imap_cut_space(c));
	TRY(cut_known_set(c, &s->match_uids));
	TRY(imap_cut_byte(c, ')'));
	s->has_match = true;
	return ERR_NONE;
}

/* "(validity modseq [uids] [(seqs uids)])" */
static enum err cut_qresync(struct imap_cursor *c, struct imap_select *s)
{
	TRY(imap_cut_space(c));
	TRY(imap_cut_byte(c, '('));
	TRY(imap_cut_nz_number(c, &s->uid_validity));
	TRY(imap_cut_space(c));
	TRY(imap_cut_number64(c, &s->modseq));
	if (s->modseq == 0)
		return imap_cursor_fail(c, ERR_INVALID, "Invalid QRESYNC mod-sequence.");
	if (imap_skip(c, ' ') && !imap_is_next(c, '(')) {
		TRY(cut_known_set(c, &s->known_uids));
		s->has_known_uids = true;
		(void)imap_skip(c, ' ');
	}
	if (imap_is_next(c, '('))
		TRY(cut_match(c, s));
	s->is_qresync = true;
	return imap_cut_byte(c, ')');
}

static enum err cut_select_params(struct imap_cursor *c, struct imap_select *s)
{
	TRY(imap_cut_byte(c, '('));
	for (bool is_first = true, has_item;; is_first = false) {
		struct str word;
		TRY(imap_cut_list_next(c, is_first, &has_item));
		if (!has_item)
			return ERR_NONE;
		TRY(imap_cut_atom(c, &word));
		if (str_eq_ci(word, STR("CONDSTORE")))
			s->is_condstore = true;
		else if (str_eq_ci(word, STR("QRESYNC")) && !s->is_qresync)
			TRY(cut_qresync(c, s));
		else
			return imap_cursor_fail_word(
				c, ERR_INVALID, "Unknown SELECT parameter", word);
	}
}

enum err imap_parse_select(struct imap_cursor *c, struct imap_select *out)
{
	struct imap_select s = { .is_condstore = false };
	TRY(imap_cut_space(c));
	TRY(imap_cut_mailbox(c, &s.mailbox));
	if (imap_skip(c, ' '))
		TRY(cut_select_params(c, &s));
	TRY(imap_cut_end(c));
	*out = s;
	return ERR_NONE;
}

const struct imap_word imap_special_uses[] = {
	{ STR("\\All"), IMAP_USE_ALL },
	{ STR("\\Archive"), IMAP_USE_ARCHIVE },
	{ STR("\\Drafts"), IMAP_USE_DRAFTS },
	{ STR("\\Flagged"), IMAP_USE_FLAGGED },
	{ STR("\\Junk"), IMAP_USE_JUNK },
	{ STR("\\Sent"), IMAP_USE_SENT },
	{ STR("\\Trash"), IMAP_USE_TRASH },
	{ STR("\\Important"), IMAP_USE_IMPORTANT },
	{ STR_NONE, 0 },
};

/* (USE (\Sent ...)) (RFC 6154 §3) */
static enum err cut_create_use(struct imap_cursor *c, uint32_t *out)
{
	uint32_t uses = 0;
	TRY(imap_cut_byte(c, '('));
	if (!imap_skip_word(c, STR("USE")))
		return imap_cursor_fail(c, ERR_INVALID, "Unknown CREATE parameter.");
	TRY(imap_cut_space(c));
	TRY(imap_cut_byte(c, '('));
	for (bool is_first = true, has_item;; is_first = false) {
		TRY(imap_cut_list_next(c, is_first, &has_item));
		if (!has_item)
			break;
		struct str word, from = c->rest;
		TRY(imap_cut_byte(c, '\\'));
		TRY(imap_cut_atom(c, &word));
		uint32_t use = imap_word_find(imap_special_uses, str_slice(from, 0, word.n + 1));
		if (use == 0)
			return imap_cursor_fail_word(
				c, ERR_UNSUPPORTED, "Unknown special use", word);
		uses |= use;
	}
	TRY(imap_cut_byte(c, ')'));
	*out = uses;
	return ERR_NONE;
}

enum err imap_parse_create(struct imap_cursor *c, struct imap_create *out)
{
	struct imap_create create = { .special_use = 0 };
	TRY(imap_cut_space(c));
	TRY(imap_cut_mailbox(c, &create.mailbox));
	if (imap_skip(c, ' '))
		TRY(cut_create_use(c, &create.special_use));
	TRY(imap_cut_end(c));
	*out = create;
	return ERR_NONE;
}

enum err imap_cut_append_mailbox(struct imap_cursor *c, struct str *out)
{
	TRY(imap_cut_space(c));
	return imap_cut_mailbox(c, out);
}

enum err imap_parse_append_message(struct imap_cursor *c, struct imap_append_message *out)
{
	struct imap_append_message m = { .has_date = false };
	TRY(imap_cut_space(c));
	if (imap_is_next(c, '(')) {
		TRY(imap_cut_flag_list(c, &m.flags));
		m.flags.system &= ~(uint32_t)IMAP_FLAG_RECENT;
		TRY(imap_cut_space(c));
	}
	if (imap_is_next(c, '"')) {
		TRY(imap_cut_date_time(c, &m.wall_us));
		m.has_date = true;
		TRY(imap_cut_space(c));
	}
	TRY(imap_cut_literal_start(c, &m.literal));
	*out = m;
	return ERR_NONE;
}

enum err imap_parse_copy(struct imap_cursor *c, struct imap_copy *out)
{
	struct imap_copy copy;
	TRY(imap_cut_space(c));
	TRY(imap_cut_sequence_set(c, &copy.set));
	TRY(imap_cut_space(c));
	TRY(imap_cut_mailbox(c, &copy.mailbox));
	TRY(imap_cut_end(c));
	*out = copy;
	return ERR_NONE;
}

enum err imap_parse_uid_expunge(struct imap_cursor *c, struct imap_sequence_set *out)
{
	struct imap_sequence_set set;
	TRY(imap_cut_space(c));
	TRY(imap_cut_sequence_set(c, &set));
	TRY(imap_cut_end(c));
	*out = set;
	return ERR_NONE;
}

/* " (UNCHANGEDSINCE n)" */
static enum err cut_unchanged_since(struct imap_cursor *c, struct imap_store *store)
{
	TRY(imap_cut_byte(c, '('));
	if (!imap_skip_word(c, STR("UNCHANGEDSINCE")))
		return imap_cursor_fail(c, ERR_INVALID, "Unknown STORE modifier.");
	TRY(imap_cut_space(c));
	TRY(imap_cut_number64(c, &store->unchanged_since));
	store->has_unchanged_since = true;
	TRY(imap_cut_byte(c, ')'));
	return imap_cut_space(c);
}

enum err imap_parse_store(struct imap_cursor *c, struct imap_store *out)
{
	struct imap_store store = { .mode = IMAP_STORE_REPLACE };
	TRY(imap_cut_space(c));
	TRY(imap_cut_sequence_set(c, &store.set));
	TRY(imap_cut_space(c));
	if (imap_is_next(c, '('))
		TRY(cut_unchanged_since(c, &store));
	if (imap_skip(c, '+'))
		store.mode = IMAP_STORE_ADD;
	else if (imap_skip(c, '-'))
		store.mode = IMAP_STORE_REMOVE;
	if (imap_skip_word(c, STR("FLAGS.SILENT")))
		store.is_silent = true;
	else if (!imap_skip_word(c, STR("FLAGS")))
		return imap_cursor_fail(c, ERR_INVALID, "Invalid STORE item.");
	TRY(imap_cut_space(c));
	TRY(imap_cut_store_flags(c, &store.flags));
	if (store.flags.system & IMAP_FLAG_RECENT)
		return imap_cursor_fail(
			c, ERR_INVALID, "Invalid system flag: \\Recent can't be changed.");
	TRY(imap_cut_end(c));
	*out = store;
	return ERR_NONE;
}
