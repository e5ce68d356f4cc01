/* SPDX-License-Identifier: Apache-2.0 */
/* message/address.h - address lists as people and programs really write them.
 *
 * Life:   message_addresses_init() -> message_address_next() until false -> message_addresses_done().
 *         A pull parser: the memory is one buffer, whatever the length of the list.
 * Total:  groups, routes, nested comments, quoted strings, obsolete blanks, missing commas and missing
 *         brackets are read; the rest is passed over. O(bytes), iterative.
 * Spec:   RFC 5322 §3.4, §4.4. */
#pragma once

#include "base/base.h"

/* Addresses read from one list; the rest is passed over. */
#define MESSAGE_ADDRESSES_MAX 10000

enum message_address_kind {
	MESSAGE_ADDRESS,
	MESSAGE_GROUP_START, /* the name is in `name` */
	MESSAGE_GROUP_END,
};

/* Borrowed until the next call. p == NULL: not there. Encoded words are not decoded. */
struct message_address {
	enum message_address_kind kind;
	struct str name;    /* phrase or comment, quotes undone */
	struct str route;   /* "@a,@b" */
	struct str mailbox; /* local part, quotes undone; NULL for a bare domain */
	struct str host;    /* NULL for a bare local part */
};

struct message_addresses {
	struct str rest; /* borrowed: raw header value, may be folded */
	bool is_in_group;
	unsigned count;
	/* owned */
	struct buf text; /* the current address's unquoted pieces */
	struct buf note; /* the last comment */
};

void message_addresses_init(struct message_addresses *list, struct str value);
bool message_address_next(struct message_addresses *list, struct message_address *out);
void message_addresses_done(struct message_addresses *list);
