/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/message_private.h"

void auth_message_put_request(struct ipc_message *m, const struct auth_request *r)
{
	ipc_put_str(m, "user", r->user);
	ipc_put_str(m, "password", r->password);
	ipc_put_str(m, "authzid", r->authzid);
	ipc_put_str(m, "mechanism", r->mechanism);
	ipc_put_str(m, "service", r->service);
	ipc_put_str(m, "session", r->session_id);
	ipc_put_str(m, "local_name", r->local_name);
	ipc_put_int(m, "tls", r->is_tls);
	ipc_put_int(m, "secured", r->is_secured);
	ipc_put_int(m, "cert", r->has_cert);
	ipc_put_str(m, "cert_user", r->cert_user);
	ipc_put_str(m, "binding", r->channel_binding);
	ipc_put_address(m, "local", &r->local);
	ipc_put_address(m, "remote", &r->remote);
	ipc_put_address(m, "real_remote", &r->real_remote);
}

struct auth_request auth_message_get_request(const struct ipc_message *m)
{
	struct auth_request r = {
		.local = ipc_get_address(m, "local"),
		.remote = ipc_get_address(m, "remote"),
		.real_remote = ipc_get_address(m, "real_remote"),
		.is_tls = ipc_get_bool(m, "tls"),
		.is_secured = ipc_get_bool(m, "secured"),
		.has_cert = ipc_get_bool(m, "cert"),
	};
	(void)ipc_get_str(m, "user", &r.user);
	(void)ipc_get_str(m, "password", &r.password);
	(void)ipc_get_str(m, "authzid", &r.authzid);
	(void)ipc_get_str(m, "mechanism", &r.mechanism);
	(void)ipc_get_str(m, "service", &r.service);
	(void)ipc_get_str(m, "session", &r.session_id);
	(void)ipc_get_str(m, "local_name", &r.local_name);
	(void)ipc_get_str(m, "cert_user", &r.cert_user);
	(void)ipc_get_str(m, "binding", &r.channel_binding);
	return r;
}

void auth_message_put_fields(struct ipc_message *m, const char *key, const char *value_key,
	const struct auth_field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		ipc_put_str(m, key, fields[i].key);
		ipc_put_str(m, value_key, fields[i].value);
	}
}

void auth_message_get_fields(struct arena *arena, const struct ipc_message *m, const char *key,
	const char *value_key, struct auth_field **out, size_t *out_count)
{
	struct auth_field field;
	size_t count = 0;
	while (ipc_get_str_at(m, key, count, &field.key))
		count++;
	*out = ARENA_NEW_ARRAY(arena, struct auth_field, count + 1);
	*out_count = 0;
	for (size_t i = 0; i < count; i++) {
		if (!ipc_get_str_at(m, key, i, &field.key) ||
			!ipc_get_str_at(m, value_key, i, &field.value))
			return;
		(*out)[(*out_count)++] = (struct auth_field){ str_dup(arena, field.key),
			str_dup(arena, field.value) };
	}
}

void auth_message_put_failure(
	struct ipc_message *m, enum err e, const struct op *op, const struct auth_result *result)
{
	ipc_put_int(m, "failed", (int64_t)e);
	ipc_put_int(m, "refusal", result->refusal);
	ipc_put_str(m, "reason", result->reason);
	ipc_put_str(m, "failure", str_from(op->failure.text));
}

enum err auth_message_get_failure(struct op *op, const struct ipc_message *m,
	enum auth_refusal *out_refusal, struct str *out_reason)
{
	int64_t class, refusal;
	struct str text = STR("no reason given"), reason = STR("");
	*out_refusal = AUTH_REFUSAL_NONE;
	*out_reason = STR("");
	if (!ipc_get_int(m, "failed", &class))
		return ERR_NONE;
	if (class <= ERR_NONE || class >= ERR_COUNT)
		class = ERR_UNAVAILABLE;
	if (!ipc_get_int(m, "refusal", &refusal) || refusal <= AUTH_REFUSAL_NONE ||
		refusal > AUTH_REFUSAL_MALFORMED)
		refusal = AUTH_REFUSAL_TEMPORARY;
	(void)ipc_get_str(m, "failure", &text); /* the defaults stand */
	(void)ipc_get_str(m, "reason", &reason);
	*out_refusal = (enum auth_refusal)refusal;
	*out_reason = str_dup(op->arena, reason);
	return op_fail(op, (enum err) class, "%.*s", STRF(text));
}
