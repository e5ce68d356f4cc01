/* SPDX-License-Identifier: Apache-2.0 */
/* wire/imap_search_words.c - the names of the search keys, for parser and printer.
 *
 * Spec: RFC 3501 §6.4.4; RFC 5032 §3; RFC 7162 §3.1.5; RFC 8474 §6.
 * To extend: add a row, and a kind in imap_command.h if its meaning is new. The printer takes the
 * first row that fits a key, so spellings with a meaning of their own stand before synonyms. */
#include "wire/imap_command.h"
#include "wire/imap_private.h"

#define FLAG_ROWS(set_name, unset_name, flag)                                                      \
	{ STR(set_name), IMAP_SEARCH_FLAGS, IMAP_SEARCH_ARG_NONE, .flags_set = (flag) },           \
	{                                                                                          \
		STR(unset_name), IMAP_SEARCH_FLAGS, IMAP_SEARCH_ARG_NONE, .flags_unset = (flag)    \
	}
#define FIELD_ROW(word, name)                                                                      \
	{                                                                                          \
		STR(word), IMAP_SEARCH_HEADER, IMAP_SEARCH_ARG_TEXT, .field = STR(name)            \
	}

const struct imap_search_word imap_search_words[] = {
	FLAG_ROWS("ANSWERED", "UNANSWERED", IMAP_FLAG_ANSWERED),
	FLAG_ROWS("FLAGGED", "UNFLAGGED", IMAP_FLAG_FLAGGED),
	FLAG_ROWS("DELETED", "UNDELETED", IMAP_FLAG_DELETED),
	FLAG_ROWS("SEEN", "UNSEEN", IMAP_FLAG_SEEN),
	FLAG_ROWS("DRAFT", "UNDRAFT", IMAP_FLAG_DRAFT),
	FLAG_ROWS("RECENT", "OLD", IMAP_FLAG_RECENT),
	{ STR("NEW"), IMAP_SEARCH_FLAGS, IMAP_SEARCH_ARG_NONE, .flags_set = IMAP_FLAG_RECENT,
		.flags_unset = IMAP_FLAG_SEEN },
	{ STR("ALL"), IMAP_SEARCH_FLAGS, IMAP_SEARCH_ARG_NONE },
	{ STR("KEYWORD"), IMAP_SEARCH_KEYWORD, IMAP_SEARCH_ARG_ATOM },
	{ STR("UNKEYWORD"), IMAP_SEARCH_KEYWORD, IMAP_SEARCH_ARG_ATOM, .is_negated = true },
	FIELD_ROW("BCC", "Bcc"),
	FIELD_ROW("CC", "Cc"),
	FIELD_ROW("FROM", "From"),
	FIELD_ROW("SUBJECT", "Subject"),
	FIELD_ROW("TO", "To"),
	{ STR("HEADER"), IMAP_SEARCH_HEADER, IMAP_SEARCH_ARG_FIELD_TEXT },
	{ STR("BODY"), IMAP_SEARCH_BODY, IMAP_SEARCH_ARG_TEXT },
	{ STR("TEXT"), IMAP_SEARCH_TEXT, IMAP_SEARCH_ARG_TEXT },
	{ STR("BEFORE"), IMAP_SEARCH_BEFORE, IMAP_SEARCH_ARG_DATE },
	{ STR("ON"), IMAP_SEARCH_ON, IMAP_SEARCH_ARG_DATE },
	{ STR("SINCE"), IMAP_SEARCH_SINCE, IMAP_SEARCH_ARG_DATE },
	{ STR("SENTBEFORE"), IMAP_SEARCH_SENTBEFORE, IMAP_SEARCH_ARG_DATE },
	{ STR("SENTON"), IMAP_SEARCH_SENTON, IMAP_SEARCH_ARG_DATE },
	{ STR("SENTSINCE"), IMAP_SEARCH_SENTSINCE, IMAP_SEARCH_ARG_DATE },
	{ STR("LARGER"), IMAP_SEARCH_LARGER, IMAP_SEARCH_ARG_NUMBER },
	{ STR("SMALLER"), IMAP_SEARCH_SMALLER, IMAP_SEARCH_ARG_NUMBER },
	{ STR("OLDER"), IMAP_SEARCH_OLDER, IMAP_SEARCH_ARG_SECONDS },
	{ STR("YOUNGER"), IMAP_SEARCH_YOUNGER, IMAP_SEARCH_ARG_SECONDS },
	{ STR("MODSEQ"), IMAP_SEARCH_MODSEQ, IMAP_SEARCH_ARG_MODSEQ },
	{ STR("EMAILID"), IMAP_SEARCH_EMAILID, IMAP_SEARCH_ARG_ATOM },
	{ STR("THREADID"), IMAP_SEARCH_THREADID, IMAP_SEARCH_ARG_ATOM },
	{ STR("UID"), IMAP_SEARCH_UID, IMAP_SEARCH_ARG_SET },
	{ STR_NONE, IMAP_SEARCH_ALL_OF, IMAP_SEARCH_ARG_NONE },
};
