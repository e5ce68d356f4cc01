/* SPDX-License-Identifier: Apache-2.0 */
/* What row.c and row_op.c share. */
#pragma once

#include "store/format/row.h"

/* Takes the version off the front. */
enum err row_check_version(struct str *rest);
void row_put_keywords(struct buf *out, const struct str *keywords, size_t count);
/* `out` has room for ROW_KEYWORDS_MAX. */
bool row_cut_keywords(struct str *rest, struct str *out, size_t *out_count);
