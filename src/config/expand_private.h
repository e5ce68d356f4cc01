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

/* Values of names: what the caller gave, then the providers (expand_source.c). */
struct str config_expand_environment(const struct config_vars *vars, struct str name);
/* ERR_INVALID: there is no such provider or key. */
enum err config_expand_provider(
	struct expansion *ex, struct str provider, struct str key, struct str *out);

/* ---- filters: each reads and replaces ex->value ---- */

typedef enum err filter_fn(struct expansion *ex, struct expand_call *call);

/* expand_filters.c */
#define EXPAND_VALUE_BYTES_MAX (64 * 1024)
enum err config_expand_bad(struct expansion *ex, const struct expand_call *call, const char *why);
bool config_expand_signed(struct str text, int64_t *out);
enum err config_expand_pad(struct expansion *ex, const struct expand_call *call, int64_t width,
	char fill, bool on_left);

/* expand_codec.c */
filter_fn config_expand_hexlify, config_expand_unhexlify, config_expand_base64,
	config_expand_unbase64, config_expand_digest, config_expand_hash, config_expand_encrypt,
	config_expand_decrypt;

/* expand_time.c */
filter_fn config_expand_date, config_expand_iso8601, config_expand_epoch, config_expand_from_epoch;
/* date:year and time:hour: one member of the local time now. */
bool config_expand_clock(
	struct expansion *ex, struct str provider, struct str key, struct str *out);

/* expand_match.c */
filter_fn config_expand_regexp, config_expand_if, config_expand_switch;
bool config_expand_is_operator(struct str word);
