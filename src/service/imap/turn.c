/* SPDX-License-Identifier: Apache-2.0 */
/* Turns of reading bodies. While a body is read it is in memory several times: as the store sends it, and as
 * each layer of the object store leaves it. The account (base/account.h) sees that only when it has happened:
 * sessions that begin together would all be admitted, and together end the process. So what is being
 * read at any moment has a limit, and who is above it waits; a single mail of any size may always be read. */
#include "base/account.h"
#include "service/imap/imap_private.h"

#define ROOM_US       (5 * US_PER_SEC) /* others are sending what they have read: it may go soon */
#define PART_OF_LIMIT 8 /* of the process' memory; four to five times that is taken for moments */

static bool is_my_turn(const struct imap *imap, uint64_t bytes)
{
	uint64_t most = account_limit() / PART_OF_LIMIT;
	return imap->reading_bytes == 0 || account_limit() == 0 ||
	       (imap->reading_bytes < most && bytes <= most - imap->reading_bytes);
}

/* As they are stored, and as they are read; those of the others, too, who may just begin. */
static uint64_t bytes_needed(const struct imap *imap, uint64_t bytes)
{
	return 2 * (imap->reading_bytes + bytes);
}

enum err imap_turn_take(struct op *op, struct imap *imap, uint64_t bytes)
{
	const int64_t deadline_us = op->deadline_us;
	int64_t room_until_us = TIME_NEVER; /* set when it is the turn for the first time */
	while (!is_my_turn(imap, bytes) || !account_has_room(bytes_needed(imap, bytes))) {
		if (room_until_us == TIME_NEVER && is_my_turn(imap, bytes))
			room_until_us = now_us() + ROOM_US;
		op->deadline_us = MIN(deadline_us, room_until_us);
		enum err e = wait_queue_wait(op, &imap->read);
		op->deadline_us = deadline_us;
		if (e == ERR_TIMEOUT && now_us() < deadline_us) {
			op_forgive(op);
			break;
		}
		TRY(e);
	}
	TRY(account_admit(op, bytes_needed(imap, bytes)));
	imap->reading_bytes += bytes;
	return ERR_NONE;
}

void imap_turn_give(struct imap *imap, uint64_t bytes)
{
	ASSERT(imap->reading_bytes >= bytes);
	imap->reading_bytes -= bytes;
	imap_turn_look(imap);
}

void imap_turn_look(struct imap *imap)
{
	wait_queue_wake_all(&imap->read);
}
