/* SPDX-License-Identifier: Apache-2.0 */
/* service/imap/frozen.h - a resting session as bytes, for its move to another process at an upgrade.
 *
 * Never stored: both processes are of one upgrade; the first byte says which form. Pure: who calls it
 * opens and closes. The connection's descriptor travels beside the bytes.
 *
 *   version:1, user, session, local and remote address, idle tag, view (store/mailbox.h), input;
 *   enabled, flags, bad commands, keywords told, counters, saved UIDs, frame (wire/imap_frame.h)
 *   numbers are varints, texts and lists counted */
#pragma once

#include "base/base.h"
#include "base/range_set.h"
#include "net/address.h"
#include "wire/imap_frame.h"

#define IMAP_FROZEN_NUMBERS 10

struct imap_frozen {
	struct str user, session_id, idle_tag;
	struct str view;  /* of view_freeze(); "": nothing is selected */
	struct str input; /* what the client has sent and was not served yet */
	struct address local, remote;
	uint64_t enabled, bad_commands, keywords_told;
	bool is_read_only, has_untold_mails;
	uint64_t counters[IMAP_FROZEN_NUMBERS]; /* of struct imap_counters, in its order */
	struct range_set saved_uids;            /* owned */
	struct imap_frame frame;
};
void imap_frozen_put(const struct imap_frozen *f, struct buf *out);
/* Texts point into `bytes`. False: these are no frozen session, nothing is owned. */
bool imap_frozen_parse(struct str bytes, struct imap_frozen *out);
void imap_frozen_done(struct imap_frozen *f);
