/* SPDX-License-Identifier: Apache-2.0 */
/* What Azure Blob and Entra answer: the first byte chooses the parser; any bytes give a result within the limits, or
 * ERR_CORRUPT. */
#include "objects/azure_text.h"

#define TOKEN_ERROR_MAX 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_listing(struct op *op, struct str in)
{
	struct azure_page page;
	enum err e = azure_page_read(op, in, &page);
	ASSERT(e == ERR_NONE || e == ERR_CORRUPT);
	if (e != ERR_NONE)
		return;
	ASSERT(page.count <= AZURE_PAGE_BLOBS_MAX);
	for (size_t i = 0; i < page.count; i++)
		ASSERT(page.blobs[i].name.n > 0);
}

static void try_delegation(struct op *op, struct str in)
{
	struct azure_delegation d;
	enum err e = azure_delegation_read(op, in, &d);
	ASSERT(e == ERR_NONE || e == ERR_CORRUPT);
	if (e == ERR_NONE) {
		const struct azure_sas sas = {
			.account = STR("a"), .container = STR("c"), .permissions = STR("r")
		};
		AUTO_BUF(out, 0);
		azure_sas_put(&out, &d, &sas);
		ASSERT(str_find_byte(buf_str(&out), '\n') < 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ARENA(arena, (size_t)64 << 20);
	struct op op;
	struct str token;
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (size == 0)
		return 0;
	struct str in = { (const char *)data + 1, size - 1 };
	switch (data[0] % 4) {
	case 0:
		try_listing(&op, in);
		break;
	case 1:
		try_delegation(&op, in);
		break;
	case 2: {
		enum err e = azure_token_read(&op, in, &token);
		ASSERT(e == ERR_NONE || e == ERR_CORRUPT);
		break;
	}
	default:
		ASSERT(azure_token_error(&op, in).n <= TOKEN_ERROR_MAX);
	}
	return 0;
}
