/* SPDX-License-Identifier: Apache-2.0 */
/* message/form_private.h - a writer of wire forms with a budget for foreign text.
 * When the budget is used up strings become empty and address lists end: the form stays valid. */
#pragma once

#include "base/base.h"

#define FORM_ADDRESS_COST 16 /* of the budget, beside its text */

struct form {
	struct buf *out; /* borrowed */
	size_t text_left;
	struct arena scratch;
};

void form_init(struct form *form, struct buf *out, size_t text_max);
void form_done(struct form *form);

/* A raw header value: unfolded, cut to the budget; p == NULL gives NIL. */
void form_value_put(struct form *form, struct str raw);
/* The same, but an empty value is NIL too. */
void form_filled_put(struct form *form, struct str raw);

void form_envelope_put(struct form *form, struct str header);
