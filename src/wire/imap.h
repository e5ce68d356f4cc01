/* SPDX-License-Identifier: Apache-2.0 */
/* wire/imap.h - the grammar of IMAP: bytes <-> structs, for servers, proxies and clients.
 *
 * The way of a command through this folder:
 *   imap_frame.h    finds where the command ends and which literals it needs, while bytes arrive
 *   imap_cursor.h   cuts tokens off the gathered text: atoms, strings, numbers, sets, dates, flags
 *   imap_command.h  whole argument lists as structs: FETCH, SEARCH, STORE, LIST, APPEND, ...
 *   imap_write.h    the way back: responses into a struct buf
 *
 * Rules:  pure functions on bytes. They never wait, never log and have no global state; what they
 *         allocate comes from the caller's arena, and every size that the peer chooses is limited.
 *         Parsed slices point into the caller's text: they live as long as it does.
 * Spec:   RFC 3501, RFC 9051; 7888 (literals), 4315 (UIDPLUS), 6851 (MOVE), 2971 (ID), 5258 (LIST),
 *         5819 (LIST-STATUS), 6154 (SPECIAL-USE), 4731 (ESEARCH), 5032 (WITHIN). */
#pragma once

#include "wire/imap_command.h"
#include "wire/imap_cursor.h"
#include "wire/imap_frame.h"
#include "wire/imap_write.h"
