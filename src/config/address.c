/* SPDX-License-Identifier: Apache-2.0 */
/* config/address.c - networks: IPv4 and IPv6 addresses with an optional number of bits. */
#include "config/config_private.h"

#include <arpa/inet.h>
#include <netdb.h>

#include "base/number.h"

#define IP_TEXT_MAX 45

bool config_network_parse(struct str text, struct config_network *out)
{
	struct str bits_text = STR_NONE, host = text;
	bool has_bits = str_cut(&text, '/', &host);
	if (has_bits)
		bits_text = text;
	char z[IP_TEXT_MAX + 1];
	if (host.n == 0 || host.n > IP_TEXT_MAX || str_has_nul(host))
		return false;
	memcpy(z, host.p, host.n);
	z[host.n] = '\0';

	struct config_network network = { .bits = 128 };
	unsigned offset = 0;
	if (inet_pton(AF_INET, z, network.bytes + 12) == 1) {
		network.bytes[10] = network.bytes[11] = 0xff;
		offset = 96;
	} else if (inet_pton(AF_INET6, z, network.bytes) != 1) {
		return false;
	}
	uint32_t bits;
	if (has_bits) {
		if (!number_parse_u32(bits_text, &bits) || bits > 128 - offset)
			return false;
		network.bits = bits + offset;
	}
	*out = network;
	return true;
}

bool config_network_has(const struct config_network *network, const uint8_t bytes[16])
{
	unsigned whole = network->bits / 8, rest = network->bits % 8;
	if (memcmp(network->bytes, bytes, whole) != 0)
		return false;
	if (rest == 0)
		return true;
	uint8_t mask = (uint8_t)(0xff << (8 - rest));
	return ((network->bytes[whole] ^ bytes[whole]) & mask) == 0;
}

bool config_is_host_name(struct str text)
{
	bool has_letter = false;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		has_letter |= ascii_is_alpha(c);
		if (!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '-' && c != '.' && c != '_')
			return false;
	}
	return has_letter && text.n <= 253;
}

static bool address_of(const struct addrinfo *info, struct config_network *out)
{
	*out = (struct config_network){ .bits = 128 };
	if (info->ai_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)info->ai_addr;
		out->bytes[10] = out->bytes[11] = 0xff;
		memcpy(out->bytes + 12, &in->sin_addr, 4);
	} else if (info->ai_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)info->ai_addr;
		memcpy(out->bytes, &in6->sin6_addr, 16);
	} else {
		return false;
	}
	return true;
}

bool config_host_addresses(
	struct arena *arena, struct str host, struct config_network **out, size_t *out_count)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
	if (getaddrinfo(str_dup_z(arena, host), NULL, &hints, &found) != 0)
		return false;
	*out = ARENA_NEW_ARRAY(arena, struct config_network, CONFIG_HOST_ADDRESSES_MAX);
	*out_count = 0;
	for (const struct addrinfo *info = found; info; info = info->ai_next) {
		if (*out_count < CONFIG_HOST_ADDRESSES_MAX && address_of(info, &(*out)[*out_count]))
			(*out_count)++;
	}
	freeaddrinfo(found);
	return *out_count > 0;
}
