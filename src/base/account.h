/* SPDX-License-Identifier: Apache-2.0 */
/* base/account.h - how much memory this process holds, and when it shall take no more.
 *
 * The house's own heap (mem.h, and with it buffers and arenas) counts by itself; what lives elsewhere
 * and is big - memory files, mapped bodies, a library's cache - is told with account_take() and
 * account_give().
 *
 * Levels, of the limit: below 7/8 all is well. From there on it is *tight*: what is new and big is
 * refused (account_admit: literals, big fetches, logins, mails) and whoever holds a cache drops it
 * (account_on_tight). Above 5/4 the process aborts: refusing did not help, and the host needs the rest.
 *
 * Rules:  any thread may count; one limit and one callback a process. Bytes are counted in lumps of
 *         64 KiB a thread, so the sum may be off by that much for each.
 * Cost:   one thread-local addition for a block of heap; an atomic one for each lump. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/op.h"

/* Bytes that this process may hold; 0 (as at start): no limit. Before other threads start. */
void account_set_limit(uint64_t bytes);
uint64_t account_limit(void);
uint64_t account_used(void);

/* Bytes outside of the heap that were taken or given back. */
void account_take(size_t bytes);
void account_give(size_t bytes);

/* Is there room for `bytes` more before it is tight? Holds nothing: who allocates counts. */
bool account_has_room(uint64_t bytes);
/* The same as an error: ERR_UNAVAILABLE, with a text for the client. */
enum err account_admit(struct op *op, uint64_t bytes);

/* `fn` drops caches; called by account_relieve() alone, so on the loop. One a process; NULL: none. */
typedef void account_relief_fn(void *arg);
void account_on_tight(account_relief_fn *fn, void *arg);
/* If it is tight: calls the relief and gives free heap back to the kernel. Call now and then from the
 * loop. True: it was tight. */
bool account_relieve(void);
