/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: the server name in a ClientHello. What is found is a part of the input and may stand in a log. */
#include "net/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str name = tls_name_in((struct str){ (const char *)data, size });
	ASSERT(name.n <= 255 && (name.n == 0 || name.n + 5 == size));
	for (size_t i = 0; i < name.n; i++)
		ASSERT(name.p[i] > ' ' && name.p[i] < 127);
	return 0;
}
