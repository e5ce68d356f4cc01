/* SPDX-License-Identifier: Apache-2.0 */
/* config/schema.c - schema.def and blocks.def as tables, and searching them by name. */
#include "config/config_private.h"

#include "base/map.h"

#define PLAIN       CONFIG_FLAG_PLAIN
#define HIDDEN      CONFIG_FLAG_HIDDEN
#define SECRET      CONFIG_FLAG_SECRET
#define AUTH        CONFIG_FLAG_AUTH
#define NOGROUP     CONFIG_FLAG_NOGROUP
#define EXTENSION   CONFIG_FLAG_EXTENSION
#define ABSENT      CONFIG_FLAG_ABSENT
#define FOR_LOGIN   CONFIG_FLAG_FOR_LOGIN
#define FOR_AUTH    CONFIG_FLAG_FOR_AUTH
#define FOR_MAIL    CONFIG_FLAG_FOR_MAIL
#define FOR_DOVEADM CONFIG_FLAG_FOR_DOVEADM

/* The position in section_starts[] is found by counting: rows below take the last title before them. */
static const struct config_row rows[SET_COUNT] = {
#define SECTION(title)
#define SETTING(name_, type_, default_, choices_, flags_, doc_)                                    \
	[SET_##name_] = { .name = { #name_, sizeof(#name_) - 1 },                                  \
		.type = CONFIG_TYPE_##type_,                                                       \
		.default_text = { default_, sizeof(default_) - 1 },                                \
		.choices = { choices_, sizeof(choices_) - 1 },                                     \
		.flags = flags_,                                                                   \
		.doc = { doc_, sizeof(doc_) - 1 } },
#include "config/schema.def"
#undef SETTING
#undef SECTION
};

#define LIST   1u
#define SINGLE 0u
static const struct config_block_row block_rows[BLOCK_COUNT] = {
#define BLOCK(name_, kind_, inside_, driver_, doc_)                                                \
	[BLOCK_##name_] = { .name = { #name_, sizeof(#name_) - 1 },                                \
		.has_name = ((kind_)&LIST) != 0,                                                   \
		.is_absent = ((kind_)&ABSENT) != 0,                                                \
		.inside = inside_,                                                                 \
		.driver = driver_,                                                                 \
		.doc = { doc_, sizeof(doc_) - 1 } },
#include "config/blocks.def"
#undef BLOCK
};

struct section {
	const char *title; /* NULL: this entry is a row */
	enum config_setting id;
};
static const struct section sections[] = {
#define SECTION(title_)                                        { .title = title_ },
#define SETTING(name_, type_, default_, choices_, flags_, doc) { .id = SET_##name_ },
#include "config/schema.def"
#undef SETTING
#undef SECTION
};

const struct config_row *config_row(enum config_setting id)
{
	ASSERT(id < SET_COUNT);
	return &rows[id];
}

const char *config_row_section(enum config_setting id)
{
	const char *title = "";
	for (size_t i = 0; i < ARRAY_COUNT(sections); i++) {
		if (sections[i].title)
			title = sections[i].title;
		else if (sections[i].id == id)
			break;
	}
	return title;
}

const struct config_block_row *config_block_row(enum config_block block)
{
	ASSERT(block < BLOCK_COUNT);
	return &block_rows[block];
}

/* Sorted positions would be faster; files have hundreds of lines, tables hundreds of rows, and the
 * length differs almost always before a byte is compared. */
enum config_setting config_row_find(struct str name)
{
	for (size_t i = 0; i < SET_COUNT; i++) {
		if (str_eq(rows[i].name, name))
			return (enum config_setting)i;
	}
	return SET_COUNT;
}

enum config_block config_block_find(struct str name)
{
	for (size_t i = 0; i < BLOCK_COUNT; i++) {
		if (str_eq(block_rows[i].name, name))
			return (enum config_block)i;
	}
	return BLOCK_COUNT;
}

const char *config_type_name(enum config_type type)
{
	switch (type) {
	case CONFIG_TYPE_STRING:
		return "string";
	case CONFIG_TYPE_NOVAR:
		return "template";
	case CONFIG_TYPE_UINT:
		return "number";
	case CONFIG_TYPE_OCTAL:
		return "octal number";
	case CONFIG_TYPE_BOOL:
		return "yes or no";
	case CONFIG_TYPE_SIZE:
		return "size";
	case CONFIG_TYPE_TIME:
		return "time";
	case CONFIG_TYPE_TIME_MS:
		return "time (ms)";
	case CONFIG_TYPE_PORT:
		return "port";
	case CONFIG_TYPE_FILE:
		return "file";
	case CONFIG_TYPE_ENUM:
		return "one of";
	case CONFIG_TYPE_BOOLLIST:
		return "boolean list";
	case CONFIG_TYPE_STRLIST:
		return "string list";
	case CONFIG_TYPE_NETWORKS:
		return "list of networks";
	}
	UNREACHABLE();
}

bool config_type_is_list(enum config_type type)
{
	return type == CONFIG_TYPE_BOOLLIST || type == CONFIG_TYPE_STRLIST ||
	       type == CONFIG_TYPE_NETWORKS;
}

/* ---- typing mistakes ---- */

#define DISTANCE_NAME_MAX 64

/* Edits (insert, delete, replace, swap neighbours) between two names; `limit` + 1 if they are more. */
static unsigned edit_distance(struct str a, struct str b, unsigned limit)
{
	unsigned row[3][DISTANCE_NAME_MAX + 1];
	if (a.n > DISTANCE_NAME_MAX || b.n > DISTANCE_NAME_MAX)
		return limit + 1;
	if ((a.n > b.n ? a.n - b.n : b.n - a.n) > limit)
		return limit + 1;
	for (unsigned j = 0; j <= b.n; j++)
		row[0][j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		unsigned *now = row[i % 3], *before = row[(i + 2) % 3], *two = row[(i + 1) % 3];
		now[0] = i;
		for (unsigned j = 1; j <= b.n; j++) {
			bool is_same = a.p[i - 1] == b.p[j - 1];
			unsigned best = before[j - 1] + (is_same ? 0 : 1);
			best = MIN(best, before[j] + 1);
			best = MIN(best, now[j - 1] + 1);
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
				best = MIN(best, two[j - 2] + 1);
			now[j] = best;
		}
	}
	return row[a.n % 3][b.n];
}

struct nearest {
	struct str word;
	struct str found;
	unsigned distance; /* of found; starts as the limit + 1 */
};

static void nearest_try(struct nearest *near, struct str candidate, struct str result)
{
	unsigned distance = edit_distance(near->word, candidate, near->distance);
	if (distance < near->distance) {
		near->distance = distance;
		near->found = result;
	}
}

static struct nearest nearest_start(struct str word)
{
	/* One edit in three letters, at most three in all. */
	unsigned limit = (unsigned)MIN(word.n / 3, (size_t)3);
	return (struct nearest){ .word = word, .distance = limit + 1 };
}

struct str config_nearest_name(struct str name, struct str prefix)
{
	struct nearest near = nearest_start(name);
	for (size_t i = 0; i < SET_COUNT; i++) {
		struct str rest = rows[i].name;
		nearest_try(&near, rest, rest);
		if (prefix.n && str_skip(&rest, prefix) && str_skip(&rest, STR("_")))
			nearest_try(&near, rest, rest);
	}
	for (size_t i = 0; i < BLOCK_COUNT; i++)
		nearest_try(&near, block_rows[i].name, block_rows[i].name);
	return near.found;
}

struct str config_nearest_word(struct str word, struct str choices)
{
	struct nearest near = nearest_start(word);
	struct str choice;
	while (str_cut_word(&choices, &choice))
		nearest_try(&near, choice, choice);
	return near.found;
}
