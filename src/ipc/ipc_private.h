/* SPDX-License-Identifier: Apache-2.0 */
/* ipc/ipc_private.h - messages as packets, for this folder alone.
 *
 * Packet: version u8, type u8, result u16, number u32, life u64 (µs the caller will wait; replies: 0),
 * then fields: key length u8, key, kind u8 ('s' or 'i'), value length u32, value. Little-endian. */
#pragma once

#include "ipc/ipc.h"
#include "net/net.h"

#define IPC_HEADER_BYTES 16
/* In a reply: the request was not begun, because another process takes over the path. */
#define IPC_KEY_AGAIN "again"

/* Writes header and fields of `m` into `out` (cleared first). */
void ipc_packet_encode(const struct ipc_message *m, int64_t life_us, struct buf *out);
/* Takes descriptors from the packet, also on failure. ERR_INVALID: not a packet of this version. */
enum err ipc_packet_decode(
	struct op *op, struct packet *p, struct ipc_message *out, int64_t *out_life_us);
/* WAITS. */
enum err ipc_packet_send(
	struct op *op, struct watch *w, const struct ipc_message *m, int64_t life_us);
