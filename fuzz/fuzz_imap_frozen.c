/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions as bytes: any bytes are taken or refused, and what was taken comes back the same. */
#include "service/imap/frozen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct imap_frozen first, second;
	struct str bytes = { (const char *)data, size };
	AUTO_BUF(once, 0);
	AUTO_BUF(twice, 0);
	if (!imap_frozen_parse(bytes, &first))
		return 0;
	imap_frozen_put(&first, &once);
	ASSERT(imap_frozen_parse(buf_str(&once), &second));
	imap_frozen_put(&second, &twice);
	ASSERT(str_eq(buf_str(&once), buf_str(&twice)));
	/* The framing goes on with whatever follows. */
	struct imap_frame frame = second.frame;
	if (frame.scanned <= second.input.n)
		(void)imap_frame_feed(&frame, &imap_limits_user, second.input);
	imap_frozen_done(&first);
	imap_frozen_done(&second);
	return 0;
}
