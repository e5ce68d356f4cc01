/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: addresses and networks. What parses prints as text that parses to the same value. */
#include "net/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_address(struct str in)
{
	struct address a, again;
	struct sockaddr_storage sa;
	AUTO_BUF(text, 0);
	if (!address_parse(in, &a))
		return;
	address_put(&text, &a, true);
	ASSERT(address_parse(buf_str(&text), &again));
	ASSERT(address_equal_ip(&a, &again) && a.port == again.port);
	address_from_sockaddr((struct sockaddr *)&sa, address_to_sockaddr(&a, &sa), &again);
	ASSERT(address_equal_ip(&a, &again) && a.port == again.port);
}

static void check_network(struct str in)
{
	struct network n;
	if (network_parse(in, &n))
		ASSERT(network_has(&n, &n.base));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };
	check_address(in);
	check_network(in);
	return 0;
}
