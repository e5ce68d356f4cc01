/* SPDX-License-Identifier: Apache-2.0 */
/* event/filter_private.h - a compiled filter, for this folder alone. */
#pragma once

#include "event/filter.h"

#define FILTER_TEXT_MAX    4096
#define FILTER_LEAVES_MAX  128
#define FILTER_NESTING_MAX 32
/* In a pattern; bytes that no value may hold. */
#define FILTER_ANY_RUN  '\1'
#define FILTER_ANY_BYTE '\2'

enum filter_op { FILTER_EQUAL, FILTER_LESS, FILTER_MORE, FILTER_AT_MOST, FILTER_AT_LEAST };
enum filter_key { FILTER_EVENT, FILTER_CATEGORY, FILTER_SOURCE, FILTER_FIELD };

struct filter_leaf {
	enum filter_key key;
	enum filter_op op;
	const char *field; /* its name; static as far as the filter lives */
	struct str pattern;
	bool has_number;
	int64_t number;
	bool has_network;
	int family; /* of network */
	unsigned prefix_bits;
	uint8_t network[16];
};

/* In reverse Polish order: what is 0 or more is a leaf. */
enum { FILTER_AND = -1, FILTER_OR = -2, FILTER_NOT = -3 };
struct event_filter {
	struct arena arena; /* holds what follows */
	struct filter_leaf *leaves;
	size_t leaf_count;
	int16_t *program;
	size_t program_count;
};

/* filter_match.c */
bool filter_leaf_matches(const struct filter_leaf *leaf, const struct event_facts *facts);
