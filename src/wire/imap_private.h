/* SPDX-License-Identifier: Apache-2.0 */
/* wire/imap_private.h - what the files of the IMAP grammar share. */
#pragma once

#include "base/base.h"
#include "wire/imap_command.h"
#include "wire/imap_cursor.h"

/* Arena memory, or NULL with ERR_LIMIT's text recorded: callers return ERR_LIMIT. */
void *imap_alloc(struct imap_cursor *c, size_t bytes);
/* Arrays whose capacity is the power of two at or above their count, and at least 4: makes room for
 * one more element. Returns where the array is now; NULL as above. */
void *imap_array_grow(struct imap_cursor *c, void *array, size_t count, size_t element_bytes);

/* A name of the grammar and the bit it stands for; tables end with an empty name. */
struct imap_word {
	struct str name;
	uint32_t bit;
};
extern const struct imap_word imap_system_flags[];
extern const struct imap_word imap_special_uses[];
extern const struct imap_word imap_status_items[];
extern const struct imap_word imap_fetch_items[];
/* 0 when there is none. */
uint32_t imap_word_find(const struct imap_word *table, struct str name);
/* Names of the bits in the table's order, with spaces between. */
struct buf;
void imap_word_put_all(struct buf *out, const struct imap_word *table, uint32_t bits);

/* "(" status items ")", at least one. */
enum err imap_cut_status_items(struct imap_cursor *c, uint32_t *out);
/* "[" section "]" of FETCH; the name before it was cut. */
enum err imap_cut_section(struct imap_cursor *c, struct imap_section *out);

/* What follows the name of a search key. */
enum imap_search_arg {
	IMAP_SEARCH_ARG_NONE,
	IMAP_SEARCH_ARG_ATOM,
	IMAP_SEARCH_ARG_TEXT,
	IMAP_SEARCH_ARG_FIELD_TEXT,
	IMAP_SEARCH_ARG_DATE,
	IMAP_SEARCH_ARG_NUMBER,
	IMAP_SEARCH_ARG_SECONDS, /* > 0 */
	IMAP_SEARCH_ARG_MODSEQ,
	IMAP_SEARCH_ARG_SET,
};
struct imap_search_word {
	struct str name;
	enum imap_search_kind kind;
	enum imap_search_arg arg;
	uint32_t flags_set;
	uint32_t flags_unset;
	bool is_negated; /* the key stands below a NOT */
	struct str field;
};
extern const struct imap_search_word imap_search_words[]; /* ends with an empty name */

extern const char imap_month_names[12][4];
/* Days since 1970-01-01 of a Gregorian date, and back. */
int32_t imap_day_from_date(int year, int month, int day);
void imap_date_from_day(int32_t days, int *year, int *month, int *day);
