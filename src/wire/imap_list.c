/* SPDX-License-Identifier: Apache-2.0 */
/* wire/imap_list.c - LIST with its extensions, and STATUS.
 *
 * Spec: RFC 3501 §6.3.8, §6.3.10; RFC 5258 (LIST-EXTENDED), 5819 (LIST-STATUS), 6154 (SPECIAL-USE).
 * To extend: a STATUS item, selection or return option is a row in a table here. */
#include "wire/imap_command.h"
#include "wire/imap_private.h"

const struct imap_word imap_status_items[] = {
	{ STR("MESSAGES"), IMAP_STATUS_MESSAGES },
	{ STR("RECENT"), IMAP_STATUS_RECENT },
	{ STR("UIDNEXT"), IMAP_STATUS_UIDNEXT },
	{ STR("UIDVALIDITY"), IMAP_STATUS_UIDVALIDITY },
	{ STR("UNSEEN"), IMAP_STATUS_UNSEEN },
	{ STR("HIGHESTMODSEQ"), IMAP_STATUS_HIGHESTMODSEQ },
	{ STR("SIZE"), IMAP_STATUS_SIZE },
	{ STR("DELETED"), IMAP_STATUS_DELETED },
	{ STR("APPENDLIMIT"), IMAP_STATUS_APPENDLIMIT },
	{ STR("MAILBOXID"), IMAP_STATUS_MAILBOXID },
	{ STR_NONE, 0 },
};

static const struct imap_word select_options[] = {
	{ STR("SUBSCRIBED"), IMAP_LIST_SELECT_SUBSCRIBED },
	{ STR("REMOTE"), IMAP_LIST_SELECT_REMOTE },
	{ STR("RECURSIVEMATCH"), IMAP_LIST_SELECT_RECURSIVEMATCH },
	{ STR("SPECIAL-USE"), IMAP_LIST_SELECT_SPECIAL_USE },
	{ STR_NONE, 0 },
};

static const struct imap_word return_options[] = {
	{ STR("SUBSCRIBED"), IMAP_LIST_RETURN_SUBSCRIBED },
	{ STR("CHILDREN"), IMAP_LIST_RETURN_CHILDREN },
	{ STR("SPECIAL-USE"), IMAP_LIST_RETURN_SPECIAL_USE },
	{ STR("STATUS"), IMAP_LIST_RETURN_STATUS },
	{ STR_NONE, 0 },
};

/* One word of a table. */
static enum err cut_option(struct imap_cursor *c, const struct imap_word *table,
	const char *unknown, uint32_t *out_bit)
{
	struct str word;
	TRY(imap_cut_atom(c, &word));
	*out_bit = imap_word_find(table, word);
	if (*out_bit == 0)
		return imap_cursor_fail_word(c, ERR_INVALID, unknown, word);
	return ERR_NONE;
}

enum err imap_cut_status_items(struct imap_cursor *c, uint32_t *out)
{
	uint32_t items = 0, item;
	TRY(imap_cut_byte(c, '('));
	for (bool is_first = true, has_item;; is_first = false) {
		TRY(imap_cut_list_next(c, is_first, &has_item));
		if (!has_item)
			break;
		TRY(cut_option(c, imap_status_items, "Invalid status item", &item));
		items |= item;
	}
	if (items == 0)
		return imap_cursor_fail(c, ERR_INVALID, "Empty status list.");
	*out = items;
	return ERR_NONE;
}

enum err imap_parse_status(struct imap_cursor *c, struct imap_status *out)
{
	struct imap_status status;
	TRY(imap_cut_space(c));
	TRY(imap_cut_mailbox(c, &status.mailbox));
	TRY(imap_cut_space(c));
	TRY(imap_cut_status_items(c, &status.items));
	TRY(imap_cut_end(c));
	*out = status;
	return ERR_NONE;
}

static enum err cut_select_options(struct imap_cursor *c, uint32_t *out)
{
	const uint32_t weak = IMAP_LIST_SELECT_RECURSIVEMATCH | IMAP_LIST_SELECT_REMOTE;
	uint32_t select = 0, option;
	TRY(imap_cut_byte(c, '('));
	for (bool is_first = true, has_item;; is_first = false) {
		TRY(imap_cut_list_next(c, is_first, &has_item));
		if (!has_item)
			break;
		TRY(cut_option(c, select_options, "Unknown select option", &option));
		select |= option;
	}
	if ((select & IMAP_LIST_SELECT_RECURSIVEMATCH) && !(select & ~weak))
		return imap_cursor_fail(
			c, ERR_INVALID, "RECURSIVEMATCH must not be the only selection.");
	*out = select;
	return ERR_NONE;
}

/* "RETURN (...)" */
static enum err cut_return_options(struct imap_cursor *c, struct imap_list *list)
{
	uint32_t option;
	if (!imap_skip_word(c, STR("RETURN")))
		return imap_cursor_fail(c, ERR_INVALID, "Invalid arguments.");
	TRY(imap_cut_space(c));
	TRY(imap_cut_byte(c, '('));
	for (bool is_first = true, has_item;; is_first = false) {
		TRY(imap_cut_list_next(c, is_first, &has_item));
		if (!has_item)
			break;
		TRY(cut_option(c, return_options, "Unknown return option", &option));
		list->returned |= option;
		if (option == IMAP_LIST_RETURN_STATUS) {
			TRY(imap_cut_space(c));
			TRY(imap_cut_status_items(c, &list->status_items));
		}
	}
	return ERR_NONE;
}

static enum err cut_pattern(struct imap_cursor *c, struct imap_list *list)
{
	struct str pattern;
	TRY(imap_cut_list_mailbox(c, &pattern));
	if (pattern.p == NULL)
		return ERR_NONE;
	if (list->pattern_count == IMAP_LIST_PATTERNS_MAX)
		return imap_cursor_fail(c, ERR_LIMIT, "Too many mailbox patterns.");
	list->patterns = imap_array_grow(c, list->patterns, list->pattern_count, sizeof(pattern));
	if (!list->patterns)
		return ERR_LIMIT;
	list->patterns[list->pattern_count++] = pattern;
	return ERR_NONE;
}

static enum err cut_patterns(struct imap_cursor *c, struct imap_list *list)
{
	if (!imap_skip(c, '('))
		return cut_pattern(c, list);
	list->is_extended = true;
	if (imap_is_next(c, ')'))
		return imap_cursor_fail(c, ERR_INVALID, "Empty pattern list.");
	for (bool is_first = true, has_item;; is_first = false) {
		TRY(imap_cut_list_next(c, is_first, &has_item));
		if (!has_item)
			return ERR_NONE;
		TRY(cut_pattern(c, list));
	}
}

enum err imap_parse_list(struct imap_cursor *c, struct imap_list *out)
{
	struct imap_list list = { .is_extended = false };
	TRY(imap_cut_space(c));
	if (imap_is_next(c, '(')) {
		list.is_extended = true;
		TRY(cut_select_options(c, &list.select));
		TRY(imap_cut_space(c));
	}
	TRY(imap_cut_mailbox(c, &list.reference));
	TRY(imap_cut_space(c));
	TRY(cut_patterns(c, &list));
	if (imap_skip(c, ' ')) {
		list.is_extended = true;
		TRY(cut_return_options(c, &list));
	}
	TRY(imap_cut_end(c));
	*out = list;
	return ERR_NONE;
}
