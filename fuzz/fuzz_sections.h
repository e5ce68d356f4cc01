/* SPDX-License-Identifier: Apache-2.0 */
/* Sections of a file that is made around them, so that its checksums do not keep the fuzzer out: type (1 byte),
 * items (2), length (2) and content come from the input. */
#pragma once

#include "base/number.h"
#include "base/str.h"

struct fuzz_section {
	uint8_t type;
	uint16_t items;
	struct str bytes;
};

/* Takes the next one off the front; false: there is none. */
static inline bool fuzz_section_cut(struct str *rest, struct fuzz_section *out)
{
	if (rest->n < 5)
		return false;
	out->type = (uint8_t)rest->p[0];
	out->items = get_le16(rest->p + 1);
	size_t length = get_le16(rest->p + 3);
	(void)str_take(rest, 5);
	out->bytes = str_take(rest, length);
	return true;
}
