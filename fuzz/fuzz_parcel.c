/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of local files that another host sends: any bytes are taken or refused, and what was taken is what
 * would be sent. */
#include "store/format/parcel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[PARCEL_HEADER_BYTES];
	struct parcel_header h;
	for (; size >= PARCEL_HEADER_BYTES;
		data += PARCEL_HEADER_BYTES, size -= PARCEL_HEADER_BYTES) {
		if (parcel_header_decode(data, &h) != ERR_NONE)
			continue;
		const char *name = parcel_file_name(h.kind);
		ASSERT((name != NULL) == (h.kind != PARCEL_END) && h.bytes <= PARCEL_FILE_MAX);
		ASSERT(!name || (!strchr(name, '/') && name[0] != '.'));
		parcel_header_encode(&h, again);
		ASSERT(memcmp(again, data, sizeof(again)) == 0);
	}
	return 0;
}
