/* SPDX-License-Identifier: Apache-2.0 */
/* objects/aws_fetch.c - asking for keys: an instance's metadata service, a container's agent, the token
 * service. See aws_keys.h. */
#include "base/file.h"
#include "objects/aws_private.h"

#define METADATA_TOKEN_TTL "21600"
#define METADATA_TOKEN_MAX 1024
#define FILE_TOKEN_MAX     (16 << 10)

static bool is_visible(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return s.n > 0;
}

/* ---- an instance's role: IMDSv2 ---- */

static enum err metadata_token(struct op *op, struct aws_source *s, struct str *out)
{
	const struct http_header ttl = { STR("X-aws-ec2-metadata-token-ttl-seconds"),
		STR(METADATA_TOKEN_TTL) };
	struct http_request request = {
		.method = STR("PUT"),
		.url = str_printf(
			op->arena, "http://%.*s/latest/api/token", STRF(s->settings.role_host)),
		.headers = &ttl,
		.header_count = 1,
		.answer_max = METADATA_TOKEN_MAX,
		.is_repeatable = true,
	};
	struct http_answer answer;
	TRY(http_request(op, s->http, &request, &answer));
	struct str token = str_trim(answer.body);
	if (answer.status != 200 || !is_visible(token))
		return op_fail(op, ERR_UNAVAILABLE,
			"the metadata service answered %u when asked for a token", answer.status);
	*out = token;
	return ERR_NONE;
}

static enum err fetch_metadata(struct op *op, struct aws_source *s, struct aws_fetched *out)
{
	struct http_header token = { STR("X-aws-ec2-metadata-token"), STR_NONE };
	TRY(metadata_token(op, s, &token.value));
	AUTO_BUF(role, 0);
	http_percent_encode(&role, s->settings.role, STR_NONE);
	struct http_request request = {
		.method = STR("GET"),
		.url = str_printf(op->arena,
			"http://%.*s/latest/meta-data/iam/security-credentials/%.*s",
			STRF(s->settings.role_host), STRF(buf_str(&role))),
		.headers = &token,
		.header_count = 1,
		.answer_max = AWS_ANSWER_MAX,
		.is_repeatable = true,
	};
	struct http_answer answer;
	TRY(http_request(op, s->http, &request, &answer));
	if (answer.status == 404)
		return op_fail(op, ERR_UNAVAILABLE,
			"the metadata service knows no role %.*s: see fs_s3_auth_role",
			STRF(s->settings.role));
	if (answer.status != 200)
		return op_fail(op, ERR_UNAVAILABLE,
			"the metadata service answered %u when asked for keys", answer.status);
	return aws_json_read(op, answer.body, out);
}

/* ---- tokens in files: renewed by others, so read each time ---- */

static enum err read_token(struct op *op, const char *path, struct buf *content)
{
	if (file_read(op, path, FILE_TOKEN_MAX, content) != ERR_NONE)
		return op_fail(op, ERR_UNAVAILABLE, "%s", op->failure.text);
	return ERR_NONE;
}

static enum err token_read(struct op *op, struct str path, struct str *out)
{
	AUTO_BUF(content, 0);
	TRY(offload_file(op, read_token, path, &content));
	enum err e = ERR_NONE;
	struct str token = str_trim(buf_str(&content));
	if (is_visible(token))
		*out = str_dup(op->arena, token);
	else
		e = op_fail(op, ERR_UNAVAILABLE, "%.*s holds no token", STRF(path));
	mem_wipe(content.p, content.n);
	return e;
}

/* ---- a container's role ---- */

static enum err fetch_container(struct op *op, struct aws_source *s, struct aws_fetched *out)
{
	struct http_header token = { STR("Authorization"), STR_NONE };
	if (s->settings.container_token_file.n)
		TRY(token_read(op, s->settings.container_token_file, &token.value));
	struct http_request request = {
		.method = STR("GET"),
		.url = s->settings.container_url,
		.headers = &token,
		.header_count = token.value.n ? 1 : 0,
		.answer_max = AWS_ANSWER_MAX,
		.is_repeatable = true,
	};
	struct http_answer answer;
	TRY(http_request(op, s->http, &request, &answer));
	if (answer.status != 200)
		return op_fail(op, ERR_UNAVAILABLE,
			"the container's agent answered %u when asked for keys: see "
			"fs_s3_auth_container_url",
			answer.status);
	return aws_json_read(op, answer.body, out);
}

/* ---- a token exchanged for a role ---- */

static void form_put(struct buf *form, struct str name, struct str value)
{
	if (form->n)
		buf_put_byte(form, '&');
	buf_put(form, name);
	buf_put_byte(form, '=');
	http_percent_encode(form, value, STR_NONE);
}

static enum err fetch_identity(struct op *op, struct aws_source *s, struct aws_fetched *out)
{
	struct str token = STR_NONE;
	TRY(token_read(op, s->settings.identity_token_file, &token));
	AUTO_BUF(form, 0);
	form_put(&form, STR("Action"), STR("AssumeRoleWithWebIdentity"));
	form_put(&form, STR("Version"), STR("2011-06-15"));
	form_put(&form, STR("RoleArn"), s->settings.identity_role);
	form_put(&form, STR("RoleSessionName"), STR("pombal"));
	form_put(&form, STR("WebIdentityToken"), token);
	struct str body = buf_str(&form);
	const struct http_header type = { STR("Content-Type"),
		STR("application/x-www-form-urlencoded") };
	struct http_request request = {
		.method = STR("POST"),
		.url = s->settings.identity_url,
		.headers = &type,
		.header_count = 1,
		.parts = &body,
		.part_count = 1,
		.answer_max = AWS_ANSWER_MAX,
		.is_repeatable = true,
	};
	struct http_answer answer;
	TRY(http_request(op, s->http, &request, &answer));
	enum err e = aws_xml_read(op, answer.body, out);
	if (answer.status == 200 || (e != ERR_NONE && e != ERR_CORRUPT))
		return e;
	return op_fail(op, ERR_UNAVAILABLE,
		"the token service answered %u: see fs_s3_auth_identity_url", answer.status);
}

enum err aws_fetch(struct op *op, struct aws_source *s, struct aws_fetched *out)
{
	switch (s->kind) {
	case AWS_METADATA:
		return fetch_metadata(op, s, out);
	case AWS_CONTAINER:
		return fetch_container(op, s, out);
	case AWS_IDENTITY:
		return fetch_identity(op, s, out);
	case AWS_FIXED:
		break;
	}
	UNREACHABLE();
}
