/* SPDX-License-Identifier: Apache-2.0 */
/* objects/aws_answer.c - what services that hand out keys answer with: see aws_keys.h. */
#include "objects/aws_keys.h"
#include "objects/json.h"
#include "objects/remote.h"
#include "objects/xml.h"

#define KEY_MAX   512
#define TOKEN_MAX (16 << 10)

/* What both forms of answer tell. */
struct told {
	struct aws_keys keys;
	struct str end, code, message;
};

/* Keys go into headers: visible ASCII alone. */
static bool is_token(struct str s, size_t max)
{
	if (s.n > max)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return true;
}

static enum err check_told(struct op *op, const struct told *told, struct aws_fetched *out)
{
	const struct aws_keys *keys = &told->keys;
	struct aws_fetched fetched = { .ends_wall_us = 0 };
	if (!str_eq(told->code, STR("Success")))
		return op_fail(op, ERR_UNAVAILABLE, "the service has no keys: %.*s %.*s",
			(int)MIN(told->code.n, 64u), told->code.p, (int)MIN(told->message.n, 200u),
			told->message.p);
	if (keys->access_key.n == 0 || keys->secret.n == 0)
		return op_fail(op, ERR_CORRUPT, "the answer holds no access key or no secret");
	if (!is_token(keys->access_key, KEY_MAX) || !is_token(keys->secret, KEY_MAX) ||
		!is_token(keys->token, TOKEN_MAX))
		return op_fail(op, ERR_CORRUPT, "keys in the answer are too long or no plain text");
	if (told->end.n && (fetched.ends_wall_us = remote_iso_time_read(told->end)) == 0)
		return op_fail(op, ERR_CORRUPT, "the answer's time of expiration is malformed");
	fetched.keys = *keys;
	*out = fetched;
	return ERR_NONE;
}

enum err aws_json_read(struct op *op, struct str body, struct aws_fetched *out)
{
	struct told told = { .code = STR("Success") };
	const struct json_text texts[] = {
		{ STR("Code"), &told.code },
		{ STR("Message"), &told.message },
		{ STR("AccessKeyId"), &told.keys.access_key },
		{ STR("SecretAccessKey"), &told.keys.secret },
		{ STR("Token"), &told.keys.token },
		{ STR("Expiration"), &told.end },
	};
	TRY(json_texts_read(op, body, texts, ARRAY_COUNT(texts)));
	return check_told(op, &told, out);
}

#define CREDENTIALS "AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult/Credentials/"

static enum err xml_element(struct op *op, struct str path, struct str text, void *arg)
{
	struct told *told = arg;
	struct str *to = NULL;
	if (str_eq(path, STR("ErrorResponse/Error/Code")))
		to = &told->code;
	else if (str_eq(path, STR("ErrorResponse/Error/Message")))
		to = &told->message;
	else if (!str_skip(&path, STR(CREDENTIALS)))
		return ERR_NONE;
	else if (str_eq(path, STR("AccessKeyId")))
		to = &told->keys.access_key;
	else if (str_eq(path, STR("SecretAccessKey")))
		to = &told->keys.secret;
	else if (str_eq(path, STR("SessionToken")))
		to = &told->keys.token;
	else if (str_eq(path, STR("Expiration")))
		to = &told->end;
	if (to)
		*to = str_dup(op->arena, text);
	return ERR_NONE;
}

enum err aws_xml_read(struct op *op, struct str body, struct aws_fetched *out)
{
	struct told told = { .code = STR("Success") };
	if (body.n > AWS_ANSWER_MAX)
		return op_fail(op, ERR_CORRUPT, "answer of %zu bytes is too long", body.n);
	TRY(xml_read(op, body, xml_element, &told));
	return check_told(op, &told, out);
}
