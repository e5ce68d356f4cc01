/* SPDX-License-Identifier: Apache-2.0 */
/* store/format/parcel.h - a user's local files on their way to another host: for each a header, its bytes and
 * a checksum; a last header that says how many there were (docs/formats/local.md).
 *
 * Header: magic "PMBPARC1", kind u8, seven zero bytes, mailbox id, bytes u64. Checksum: crc32c u32 of header and
 * bytes. Names are kinds and ids: no byte of a path travels. Total over any bytes. */
#pragma once

#include "base/base.h"
#include "catalog/catalog.h"

#define PARCEL_HEADER_BYTES   40
#define PARCEL_CHECKSUM_BYTES 4
#define PARCEL_FILE_MAX       (UINT64_C(16) << 30)

enum parcel_kind {
	PARCEL_END,
	PARCEL_SNAPSHOT,
	PARCEL_LOG,
	PARCEL_SUMMARIES,
	PARCEL_SPECIAL,
	PARCEL_KINDS
};

struct parcel_header {
	enum parcel_kind kind;
	struct catalog_guid mailbox; /* zero: of the end */
	uint64_t bytes;              /* of the file; of the end: how many files there were */
};
void parcel_header_encode(const struct parcel_header *h, uint8_t out[PARCEL_HEADER_BYTES]);
/* ERR_CORRUPT: no such header, or a file larger than any can be. */
enum err parcel_header_decode(const uint8_t bytes[PARCEL_HEADER_BYTES], struct parcel_header *out);
/* The file's name in the directory of its mailbox; NULL for the end. */
const char *parcel_file_name(enum parcel_kind kind);
