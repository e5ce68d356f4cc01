/* SPDX-License-Identifier: Apache-2.0 */
/* XML answers of object stores: any bytes give elements within the limits, or ERR_CORRUPT. */
#include "objects/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum err check_element(struct op *op, struct str path, struct str text, void *arg)
{
	(void)op;
	(void)arg;
	ASSERT(path.n > 0 && path.n <= XML_PATH_MAX && text.n <= XML_TEXT_MAX);
	return ERR_NONE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct op op;
	op_init(&op, NULL, NULL, TIME_NEVER);
	enum err e = xml_read(&op, (struct str){ (const char *)data, size }, check_element, NULL);
	ASSERT(e == ERR_NONE || e == ERR_CORRUPT);
	return 0;
}
