/* SPDX-License-Identifier: Apache-2.0 */
/* Turns of reading bodies. While a body is read it is in memory several times: as the store sends it, and as
 * each layer of the object store leaves it. The account (base/account.h) sees that only when it has happened:
 * sessions that begin together would all be admitted, and together end the process. So what is being
 * read at any moment has a limit, and who is above it waits; a single mail of any size may always be read. */
#include "base/account.h"
#include "service/imap/imap_private.h"

#define PART_OF_LIMIT 8 /* of the process' memory; four to five times that is taken for moments */

static bool is_my_turn(const struct imap *imap, uint64_t bytes)
{
	uint64_t most = account_limit() / PART_OF_LIMIT;
	return imap->reading_bytes == 0 || account_limit() == 0 ||
	       (imap->reading_bytes < most && bytes <= most - imap->reading_bytes);
}

enum err imap_turn_take(struct op *op, struct imap *imap, uint64_t bytes)
{
	while (!is_my_turn(imap, bytes))
		TRY(wait_queue_wait(op, &imap->read));
	/* As they are stored, and as they are read; those of the others, too, who may just begin. */
	TRY(account_admit(op, 2 * (imap->reading_bytes + bytes)));
	imap->reading_bytes += bytes;
	return ERR_NONE;
}

void imap_turn_give(struct imap *imap, uint64_t bytes)
{
	ASSERT(imap->reading_bytes >= bytes);
	imap->reading_bytes -= bytes;
	wait_queue_wake_all(&imap->read);
}
