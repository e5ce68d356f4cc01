/* SPDX-License-Identifier: Apache-2.0 */
/* main/moving.h - resting IMAP sessions on their way from a worker that leaves to the one that takes its
 * place: bytes and the connection's descriptor, over the socket on which workers take messages.
 *
 * Life: moving_new() -> moving_collect() while the worker still serves -> moving_start() when another
 *       may serve its users -> moving_count() is 0 -> moving_free(). */
#pragma once

#include "ipc/ipc.h"

struct imap;
struct moving;
struct store;

/* `socket`: where the successor takes messages. */
struct moving *moving_new(struct str socket);
/* WAITS, a little, for sessions that are at work. They are gone from `imap` then; what cannot move
 * stays there. */
void moving_collect(struct op *op, struct moving *m, struct imap *imap);
/* Sends them, in tasks of its own. A client whose session cannot be sent hears BYE. */
void moving_start(struct moving *m);
size_t moving_count(const struct moving *m); /* those not yet taken over */
void moving_free(struct moving *m);          /* NULL is fine; closes what was not sent */

/* The user of a session that arrived (IPC_MOVED_SESSION); ERR_INVALID: it is none. */
enum err moving_user(struct op *op, const struct ipc_message *request, struct str *out);
/* WAITS. The successor's side; the user is his own by now. */
enum err moving_take(
	struct op *op, struct ipc_message *request, struct imap *imap, struct store *store);
