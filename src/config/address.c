/* SPDX-License-Identifier: Apache-2.0 */
/* config/address.c - networks: IPv4 and IPv6 addresses with an optional number of bits. */
#include "config/config_private.h"

#include <arpa/inet.h>

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
