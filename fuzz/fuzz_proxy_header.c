/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: PROXY headers. A header that is whole is the same one whatever follows it, and each of its
 * beginnings is an unfinished one. */
#include "net/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };
	struct proxy_header h, again;
	size_t used, used_again;
	if (proxy_header_parse(in, &h, &used) != PROXY_DONE)
		return 0;
	ASSERT(used > 0 && used <= PROXY_HEADER_BYTES_MAX && used <= size);
	ASSERT(proxy_header_parse(str_slice(in, 0, used), &again, &used_again) == PROXY_DONE);
	ASSERT(used == used_again && str_eq(h.cert_name, again.cert_name));
	ASSERT(proxy_header_parse(str_slice(in, 0, used - 1), &again, &used_again) == PROXY_MORE);
	return 0;
}
