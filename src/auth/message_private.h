/* SPDX-License-Identifier: Apache-2.0 */
/* auth/message_private.h - questions, answers and fields as messages: both ends' shared spelling. */
#pragma once

#include "auth/auth.h"
#include "ipc/ipc.h"

void auth_message_put_request(struct ipc_message *m, const struct auth_request *r);
/* Absent fields are empty, which no check accepts as a user or password. Borrowed from `m`. */
struct auth_request auth_message_get_request(const struct ipc_message *m);

/* A list of fields under two repeated keys. Reading copies into the arena. */
void auth_message_put_fields(struct ipc_message *m, const char *key, const char *value_key,
	const struct auth_field *fields, size_t count);
void auth_message_get_fields(struct arena *arena, const struct ipc_message *m, const char *key,
	const char *value_key, struct auth_field **out, size_t *out_count);

/* How a question ended. A failure travels inside a successful reply, because refusal and reason go with
 * it; reading gives the failure back. */
void auth_message_put_failure(
	struct ipc_message *m, enum err e, const struct op *op, const struct auth_result *result);
enum err auth_message_get_failure(struct op *op, const struct ipc_message *m,
	enum auth_refusal *out_refusal, struct str *out_reason);
