/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_message_addresses.c - any bytes as an address list: groups open and close in turn, everything is
 * consumed, and no piece is longer than what it came from. */
#include "message/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message_addresses list;
	struct message_address address;
	int open = 0;
	size_t count = 0;

	message_addresses_init(&list, (struct str){ (const char *)data, size });
	while (message_address_next(&list, &address)) {
		open += address.kind == MESSAGE_GROUP_START;
		open -= address.kind == MESSAGE_GROUP_END;
		ASSERT(open == 0 || open == 1);
		ASSERT(address.name.n + address.route.n + address.mailbox.n + address.host.n <=
			2 * size);
		count++;
	}
	ASSERT(open == 0 && list.rest.n == 0 && count <= size + 1);
	message_addresses_done(&list);
	return 0;
}
