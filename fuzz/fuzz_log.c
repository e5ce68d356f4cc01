/* SPDX-License-Identifier: Apache-2.0 */
/* The local log: the first four bytes are the serial; every record that is read encodes to the
 * bytes it was read from. Bytes without a right checksum get one, so that payloads are reached. */
#include "store/format/log.h"

#include "base/hash.h"
#include "base/number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Puts a frame with the right checksum around the input, as the payload of one record. */
static void framed(struct str in, uint32_t serial)
{
	char frame[8];
	if (in.n == 0)
		return;
	put_le32(frame, (uint32_t)in.n);
	put_le32(frame + 4, hash_crc32c(serial, in));
	AUTO_BUF(b, 0);
	buf_put(&b, (struct str){ frame, sizeof(frame) });
	buf_put(&b, in);
	struct str rest = buf_str(&b);
	struct log_record r;
	if (log_record_cut(&rest, serial, &r)) {
		AUTO_BUF(again, 0);
		log_record_encode(&again, serial, &r);
		ASSERT(str_eq(buf_str(&again), buf_str(&b)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = { (const char *)data, size };
	struct log_header header;
	struct log_record r;
	if (log_header_cut(&rest, &header) == ERR_NONE)
		while (log_record_cut(&rest, header.serial, &r))
			;
	if (size > 4)
		framed((struct str){ (const char *)data + 4, size - 4 }, get_le32(data));
	return 0;
}
