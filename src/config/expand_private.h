/* SPDX-License-Identifier: Apache-2.0 */
/* config/expand_private.h - between the grammar of %{} (expand.c) and its filters (expand_filters.c). */
#pragma once

#include "config/expand.h"

#define EXPAND_ARGS_MAX 32

/* A pipeline while it is evaluated. */
struct expansion {
	struct op *op;
	const struct config_vars *vars;
	bool is_check;       /* syntax and names of filters alone: no values */
	struct str pipeline; /* for messages */
	struct str value;
	struct str missing; /* p != NULL: value is empty because this variable has none */
	bool is_binary;     /* becomes hexadecimal if it still is at the end */
	bool is_safe;       /* not escaped at the end */
};

struct expand_arg {
	struct str name; /* "pad" of pad='x'; empty if positional */
	struct str value;
	bool is_variable; /* value is its name */
};

struct expand_call {
	struct str name;
	bool is_source; /* first in the pipeline: has no input */
	struct expand_arg args[EXPAND_ARGS_MAX];
	size_t arg_count;
};

enum err config_expand_variable(struct expansion *ex, struct str name, struct str *out);
/* Applies call to ex->value. */
enum err config_expand_filter(struct expansion *ex, struct expand_call *call);

/* expand_filters.c, for expand_match.c */
#define EXPAND_VALUE_BYTES_MAX (64 * 1024)
enum err config_expand_bad(struct expansion *ex, const struct expand_call *call, const char *why);
bool config_expand_signed(struct str text, int64_t *out);

/* expand_match.c */
enum err config_expand_regexp(struct expansion *ex, struct expand_call *call);
enum err config_expand_if(struct expansion *ex, struct expand_call *call);
bool config_expand_is_operator(struct str word); /* eq, lt ...: no variable inside if() */
