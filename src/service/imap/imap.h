/* SPDX-License-Identifier: Apache-2.0 */
/* service/imap/imap.h - IMAP after login, in the mail worker (RFC 3501 and the extensions listed in
 * settings.c).
 *
 * Life:   imap_open() -> imap_session_start() for each handed-over connection -> imap_close().
 * Parked: a session that waits for its client is a plain struct of less than 1 KiB: no task, no
 *         buffers. IDLE needs no task either: the mailbox's change wakes the session.
 * Rules:  a task serves a session while there is input; tagged replies keep the order of commands. */
#pragma once

#include "base/base.h"

struct config;
struct handover;
struct imap;
struct store;
struct ticket;
struct user;

enum err imap_open(struct op *op, struct config *config, struct imap **out);
/* Takes h->fd and a reference to `u`. The session greets with the tagged OK of h->reply_tag and goes
 * its way in tasks of its own. */
enum err imap_session_start(struct op *op, struct imap *imap, const struct handover *h,
	const struct ticket *ticket, struct user *u);
/* New settings for the sessions that come; those that are here keep theirs. On an error nothing has
 * changed. Takes a reference to `config`. */
enum err imap_reload(struct op *op, struct imap *imap, struct config *config);
/* At an upgrade: every session that rests (parked, nothing half-done or unsent) becomes bytes and a
 * descriptor, which `give` takes; it is gone from here without a word to its client. The others stay.
 * Stops at the first error of `give`. *out_count: how many were given, in any case. No wait, unless
 * `give` does. */
typedef enum err imap_freeze_fn(void *arg, int fd, struct str bytes);
enum err imap_freeze(
	struct op *op, struct imap *imap, imap_freeze_fn *give, void *arg, size_t *out_count);
/* WAITS. In the successor, which must own the user by now: goes on where it was. Takes fd.
 * ERR_CORRUPT: not such bytes; other errors: the client hears BYE if it can. */
enum err imap_session_thaw(
	struct op *op, struct imap *imap, struct store *store, struct str bytes, int fd);
/* WAITS. Says BYE to every session and ends them. */
void imap_close(struct op *op, struct imap *imap);
size_t imap_session_count(const struct imap *imap);
/* Ends the sessions of a user, as an administrator wants; they are gone soon. No wait. */
void imap_kick(struct imap *imap, struct str user);
