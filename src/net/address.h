/* SPDX-License-Identifier: Apache-2.0 */
/* net/address.h - IP addresses and networks as values. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/base.h"

struct address {
	sa_family_t family; /* AF_INET, AF_INET6, or 0: none (a UNIX socket) */
	uint16_t port;
	uint8_t ip[16]; /* network order; IPv4 in the first four bytes */
};
struct network {
	struct address base;
	unsigned prefix_bits;
};

/* "127.0.0.1", "::1", "[::1]:143", "10.0.0.1:143". No host names. */
bool address_parse(struct str s, struct address *out);
void address_put(struct buf *out, const struct address *a, bool with_port); /* "" for none */
struct str address_dup(struct arena *arena, const struct address *a);       /* without port */
bool address_is_loopback(const struct address *a);
bool address_equal_ip(const struct address *a, const struct address *b);

/* "10.0.0.0/8", "::1", "192.0.2.1". */
bool network_parse(struct str s, struct network *out);
bool network_has(const struct network *n, const struct address *a);

void address_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct address *out);
socklen_t address_to_sockaddr(const struct address *a, struct sockaddr_storage *out);
