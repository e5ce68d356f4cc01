/* SPDX-License-Identifier: Apache-2.0 */
#include "store/format/parcel.h"

#include "base/number.h"

#define AT_KIND    8
#define AT_MAILBOX 16
#define AT_BYTES   32

static const char magic[8] = { 'P', 'M', 'B', 'P', 'A', 'R', 'C', '1' };

void parcel_header_encode(const struct parcel_header *h, uint8_t out[PARCEL_HEADER_BYTES])
{
	memset(out, 0, PARCEL_HEADER_BYTES);
	memcpy(out, magic, sizeof(magic));
	out[AT_KIND] = (uint8_t)h->kind;
	memcpy(out + AT_MAILBOX, &h->mailbox, sizeof(h->mailbox));
	put_le64(out + AT_BYTES, h->bytes);
}

enum err parcel_header_decode(const uint8_t bytes[PARCEL_HEADER_BYTES], struct parcel_header *out)
{
	static const struct catalog_guid none;
	struct parcel_header h = { .kind = PARCEL_END };
	if (memcmp(bytes, magic, sizeof(magic)) != 0 || bytes[AT_KIND] >= PARCEL_KINDS)
		return ERR_CORRUPT;
	for (size_t i = AT_KIND + 1; i < AT_MAILBOX; i++)
		if (bytes[i] != 0)
			return ERR_CORRUPT;
	h.kind = (enum parcel_kind)bytes[AT_KIND];
	memcpy(&h.mailbox, bytes + AT_MAILBOX, sizeof(h.mailbox));
	h.bytes = get_le64(bytes + AT_BYTES);
	bool is_of_none = memcmp(&h.mailbox, &none, sizeof(none)) == 0;
	if (is_of_none != (h.kind == PARCEL_END) || h.bytes > PARCEL_FILE_MAX)
		return ERR_CORRUPT;
	*out = h;
	return ERR_NONE;
}

const char *parcel_file_name(enum parcel_kind kind)
{
	static const char *const names[PARCEL_KINDS] = {
		[PARCEL_SNAPSHOT] = "snapshot",
		[PARCEL_LOG] = "log",
		[PARCEL_SUMMARIES] = "summaries",
		[PARCEL_SPECIAL] = "special",
	};
	return names[kind];
}
