/* SPDX-License-Identifier: Apache-2.0 */
/* SASL: response lines and PLAIN messages; what is accepted encodes back to the same bytes. */
#include "base/base.h"
#include "wire/sasl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_message(struct str message)
{
	struct sasl_plain plain;
	if (sasl_plain_parse(message, &plain) == ERR_NONE) {
		AUTO_BUF(printed, 0);
		sasl_plain_put(&printed, &plain);
		ASSERT(str_eq(buf_str(&printed), message));
	}
	struct sasl_login login = { .is_done = false };
	if (sasl_login_step(&login, message) == ERR_NONE &&
		sasl_login_step(&login, message) == ERR_NONE)
		ASSERT(login.is_done && str_eq(login.user, message));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str line = { (const char *)data, size };
	AUTO_ARENA(arena, 1 << 20);
	struct str message;
	check_message(line);
	if (sasl_response_decode(&arena, line, &message) == ERR_NONE) {
		AUTO_BUF(encoded, 0);
		sasl_put_line(&encoded, message);
		ASSERT(str_eq(buf_str(&encoded), line));
		check_message(message);
	}
	return 0;
}
