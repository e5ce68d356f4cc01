/* SPDX-License-Identifier: Apache-2.0 */
/* message/params.h - the parameters of Content-Type and Content-Disposition.
 *
 * RFC 2231 continuations (name*0, name*1*) become one value in UTF-8; an unknown charset leaves the
 * escapes as they are. Of two parameters with one name the first counts. At most 128 pieces are read.
 * Spec:   RFC 2045 §5.1, RFC 2183, RFC 2231. */
#pragma once

#include "base/base.h"

#define MESSAGE_PARAMS_MAX 128

struct message_param {
	struct str name; /* as written, without the marks of RFC 2231 */
	struct str value;
};

struct message_params {
	/* in the arena */
	struct message_param *items;
	size_t count;
};

/* Reads `*(";" name "=" value)`. Total: what is no parameter is passed over up to the next ";". */
void message_params_parse(struct arena *arena, struct str raw, struct message_params *out);

/* The value of the named parameter; false if it is not there. */
bool message_params_find(const struct message_params *params, struct str name, struct str *out);

/* Splits "attachment; filename=x" into the token and its raw parameters. Empty token: none. */
struct str message_token_cut(struct str *rest);
