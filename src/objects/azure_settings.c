/* SPDX-License-Identifier: Apache-2.0 */
/* objects/azure_settings.c - where an Azure store is and how it is asked: from the configuration or from text.
 *
 * fs_azure_url is the service's address and what stands before every blob's name. A path that begins with the
 * account's name is the form of services without a host for each account (Azurite): it is part of the address.
 *
 * Text, for tests and tools: http://USER:SECRET@HOST:PORT/ACCOUNT/CONTAINER/PREFIX?PARAMETERS. Without `tenant`
 * USER is the account and SECRET its key; with it they are the client and its secret. Other parameters: login
 * (address of Entra), sas (a token), ca (file with certificates), block (bytes). */
#include "base/codec.h"
#include "base/file.h"
#include "base/number.h"
#include "config/config.h"
#include "objects/azure_private.h"

#define LOGIN_URL   "https://login.microsoftonline.com"
#define BLOCK_BYTES ((uint64_t)16 << 20)
#define BLOCK_MAX   ((uint64_t)4000 << 20) /* what the service takes as one block */
#define CA_MAX      ((size_t)4 << 20)

static struct str without_slash(struct str url)
{
	while (str_ends(url, STR("/")))
		url.n--;
	return url;
}

/* Takes the next component off a path. */
static struct str cut_component(struct str *path)
{
	struct str component;
	while (str_skip(path, STR("/")))
		;
	if (!str_cut(path, '/', &component))
		component = str_take(path, path->n);
	return component;
}

static enum err set_prefix(struct op *op, struct azure_settings *s, struct str path)
{
	struct str plain;
	while (str_skip(&path, STR("/")))
		;
	TRY(http_percent_decode(op, without_slash(path), &plain));
	if (plain.n && !objects_key_is_valid(plain))
		return op_fail(op, ERR_INVALID,
			"fs_azure_url: its path \"%.*s\" cannot stand before names of blobs",
			STRF(path));
	s->prefix = plain.n ? str_printf(op->arena, "%.*s/", STRF(plain)) : STR("");
	return ERR_NONE;
}

/* The address in *url apart from its path; the account's name at the front of the path belongs to it. */
static enum err set_endpoint(
	struct op *op, struct azure_settings *s, const struct http_url *url, struct str path)
{
	struct str rest = path;
	struct str first = cut_component(&rest);
	bool has_account = first.n && str_eq(first, s->account);
	s->endpoint = str_printf(op->arena, "%s://%.*s%s%.*s", url->is_tls ? "https" : "http",
		STRF(http_url_authority(op->arena, url)), has_account ? "/" : "",
		STRF(has_account ? first : STR("")));
	return set_prefix(op, s, has_account ? rest : path);
}

static bool is_name(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alpha(name.p[i]) && !ascii_is_digit(name.p[i]) &&
			str_find_byte(STR("-$"), name.p[i]) < 0)
			return false;
	return name.n > 0;
}

static enum err set_account_key(struct op *op, struct azure_settings *s, struct str text)
{
	AUTO_BUF(key, 0);
	if (!base64_decode(&key, text) || key.n == 0)
		return op_fail(op, ERR_INVALID, "fs_azure_account_key is no key in base64");
	s->account_key = buf_dup(op->arena, &key);
	mem_wipe(key.p, key.n);
	return ERR_NONE;
}

static enum err check(struct op *op, struct azure_settings *s)
{
	if (!is_name(s->account))
		return op_fail(op, ERR_INVALID, "fs_azure_account_name is not set, or is no name");
	if (!is_name(s->container))
		return op_fail(
			op, ERR_INVALID, "fs_azure_container_name is not set, or is no name");
	if (s->block_bytes == 0 || s->block_bytes > BLOCK_MAX)
		return op_fail(op, ERR_INVALID, "fs_azure_block_size must be 1 to 4000M");
	switch (s->auth) {
	case AZURE_AUTH_USER_SAS:
		if (s->tenant.n && s->client_id.n && s->client_secret.n && s->login_url.n)
			return ERR_NONE;
		return op_fail(op, ERR_INVALID,
			"fs_azure_auth_type = user-sas needs fs_azure_auth_user_sas_tenant_id, "
			"_client_id and _client_secret");
	case AZURE_AUTH_SHARED_KEY:
		if (s->account_key.n)
			return ERR_NONE;
		return op_fail(op, ERR_INVALID,
			"fs_azure_auth_type = shared-key needs fs_azure_account_key");
	case AZURE_AUTH_SAS:
		if (s->sas_token.n)
			return ERR_NONE;
		return op_fail(
			op, ERR_INVALID, "fs_azure_auth_type = sas needs fs_azure_sas_token");
	}
	UNREACHABLE();
}

/* ---- from the configuration ---- */

static enum err read_place(
	struct op *op, const struct config_scope *scope, struct azure_settings *s)
{
	struct str text = config_str(scope, SET_fs_azure_url);
	struct http_url url;
	if (text.n == 0)
		text = str_printf(
			op->arena, "https://%.*s.blob.core.windows.net", STRF(s->account));
	enum err e = http_url_parse(op, text, &url);
	if (e != ERR_NONE)
		return op_within(op, e, "fs_azure_url");
	if (url.query.n || url.user.n)
		return op_fail(op, ERR_INVALID,
			"fs_azure_url takes an address alone: account, key and container are "
			"settings");
	return set_endpoint(op, s, &url, url.path);
}

/* Every answer's request id stands in the logs: Microsoft's support asks for it. */
static void log_request_id(struct op *op, struct http_settings *http)
{
	size_t count = http->log_header_count;
	struct str *names = ARENA_NEW_ARRAY(op->arena, struct str, count + 1);
	for (size_t i = 0; i < count; i++)
		names[i] = http->log_headers[i];
	names[count] = STR("x-ms-request-id");
	http->log_headers = names;
	http->log_header_count = count + 1;
}

enum err azure_settings_read(
	struct op *op, const struct config_scope *scope, struct azure_settings *out)
{
	struct azure_settings s = {
		.account = config_str(scope, SET_fs_azure_account_name),
		.container = config_str(scope, SET_fs_azure_container_name),
		.auth = (enum azure_auth)config_enum(scope, SET_fs_azure_auth_type),
		.sas_token = config_str(scope, SET_fs_azure_sas_token),
		.login_url = without_slash(config_str(scope, SET_fs_azure_auth_user_sas_url)),
		.tenant = config_str(scope, SET_fs_azure_auth_user_sas_tenant_id),
		.client_id = config_str(scope, SET_fs_azure_auth_user_sas_client_id),
		.client_secret = config_str(scope, SET_fs_azure_auth_user_sas_client_secret),
		.block_bytes = config_size(scope, SET_fs_azure_block_size),
	};
	if (s.client_secret.n == 0)
		s.client_secret = config_str(scope, SET_fs_azure_user_sas_client_secret);
	(void)str_skip(&s.sas_token, STR("?"));
	if (s.auth == AZURE_AUTH_SHARED_KEY)
		TRY(set_account_key(op, &s, config_str(scope, SET_fs_azure_account_key)));
	TRY(check(op, &s));
	TRY(read_place(op, scope, &s));
	TRY(http_settings_read(op, scope, &s.http));
	log_request_id(op, &s.http);
	*out = s;
	return ERR_NONE;
}

/* ---- from text ---- */

static enum err read_certificates(struct op *op, struct azure_settings *s, struct str path)
{
	AUTO_BUF(pem, 0);
	TRY(file_read(op, str_dup_z(op->arena, path), CA_MAX, &pem));
	s->http.ca_pem = buf_dup(op->arena, &pem);
	return ERR_NONE;
}

static enum err parameter(
	struct op *op, struct azure_settings *s, struct str name, struct str value)
{
	if (str_eq(name, STR("tenant")))
		s->tenant = value;
	else if (str_eq(name, STR("login")))
		s->login_url = without_slash(value);
	else if (str_eq(name, STR("sas")))
		s->sas_token = value;
	else if (str_eq(name, STR("ca")))
		return read_certificates(op, s, value);
	else if (!str_eq(name, STR("block")) || !number_parse_u64(value, &s->block_bytes))
		return op_fail(op, ERR_INVALID,
			"URL of Azure has a parameter \"%.*s\" that is wrong", STRF(name));
	return ERR_NONE;
}

enum err azure_settings_parse(struct op *op, struct str argument, struct azure_settings *out)
{
	struct azure_settings s = {
		.login_url = STR(LOGIN_URL),
		.block_bytes = BLOCK_BYTES,
		.http = http_settings_default(),
	};
	struct http_url url;
	struct str item, name;
	TRY(http_url_parse(op, argument, &url));
	for (struct str rest = url.query; rest.n;) {
		if (!str_cut(&rest, '&', &item))
			item = str_take(&rest, rest.n);
		if (!str_cut(&item, '=', &name))
			return op_fail(
				op, ERR_INVALID, "URL of Azure: a parameter without a value");
		TRY(http_percent_decode(op, item, &item));
		TRY(parameter(op, &s, name, item));
	}
	struct str path = url.path;
	s.account = cut_component(&path);
	s.container = cut_component(&path);
	s.endpoint = str_printf(op->arena, "%s://%.*s/%.*s", url.is_tls ? "https" : "http",
		STRF(http_url_authority(op->arena, &url)), STRF(s.account));
	TRY(set_prefix(op, &s, path));
	if (s.tenant.n) {
		s.auth = AZURE_AUTH_USER_SAS;
		s.client_id = url.user;
		s.client_secret = url.password;
	} else if (s.sas_token.n) {
		s.auth = AZURE_AUTH_SAS;
	} else {
		s.auth = AZURE_AUTH_SHARED_KEY;
		TRY(set_account_key(op, &s, url.password));
	}
	TRY(check(op, &s));
	*out = s;
	return ERR_NONE;
}
