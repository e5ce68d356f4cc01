/* SPDX-License-Identifier: Apache-2.0 */
/* net/resolve.h - from the name of a host to its addresses. */
#pragma once

#include "net/address.h"

/* WAITS for the system's resolver, on a pool thread. `host` is a name or an address; at most `max`
 * addresses, in the order to try, with the port. ERR_UNAVAILABLE: no address is known. */
enum err resolve_host(struct op *op, struct str host, uint16_t port, struct address *out,
	size_t max, size_t *out_count);
