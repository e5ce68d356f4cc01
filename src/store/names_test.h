/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of the tree compare: the names of a user. */
#pragma once

#include "store/world_test.h"

/* All names with their flags, as text. */
static inline struct str world_names(struct world *w)
{
	struct tree_entry *entries;
	size_t count;
	AUTO_BUF(b, 0);
	assert_ok(tree_list(&w->op, w->user, &entries, &count));
	for (size_t i = 0; i < count; i++)
		buf_putf(&b, "%.*s:%u ", STRF(entries[i].name), entries[i].flags);
	return buf_dup(&w->arena, &b);
}
