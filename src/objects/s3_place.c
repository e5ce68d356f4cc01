/* SPDX-License-Identifier: Apache-2.0 */
/* objects/s3_place.c - where an S3 store is: settings, and the URL taken apart.
 *
 * Path style (a bucket is named): http://host/prefix with bucket b holds key k at /b/prefix/k.
 * Host style: https://b.s3.example.com/prefix holds it at /prefix/k of that host. */
#include "base/number.h"
#include "config/config.h"
#include "objects/s3_private.h"

#define PART_MIN       ((uint64_t)5 << 20) /* what S3 takes as part of a multipart upload */
#define BULK_LIMIT_MAX 1000
#define CONTAINER_HOST "169.254.170.2" /* of ECS's agent, who says paths alone */

/* ---- settings ---- */

static struct s3_settings defaults(void)
{
	return (struct s3_settings){
		.keys = { .role_host = STR("169.254.169.254:80"),
			.http = http_settings_default(),
			.timeout_us = 10 * US_PER_SEC,
			.attempts_max = 2 },
		.bulk_delete_limit = BULK_LIMIT_MAX,
		.multipart_bytes = (uint64_t)64 << 20,
		.refuses_overwrite = true,
		.region = STR("us-east-1"),
	};
}

static enum err check(struct op *op, struct s3_settings *settings)
{
	if (settings->url.n == 0)
		return op_fail(op, ERR_INVALID, "fs_s3_url is not set");
	if (settings->bulk_delete_limit > BULK_LIMIT_MAX)
		settings->bulk_delete_limit = BULK_LIMIT_MAX;
	if (settings->multipart_bytes > 0 && settings->multipart_bytes < PART_MIN)
		return op_fail(op, ERR_INVALID, "fs_s3_multipart_size must be 0 or at least 5M");
	struct http_url url;
	enum err e = http_url_parse(op, settings->url, &url);
	if (e != ERR_NONE)
		return op_within(op, e, "fs_s3_url");
	if (settings->keys.access_key.n == 0 && url.user.n) {
		settings->keys.access_key = url.user;
		settings->keys.secret = url.password;
	}
	if (str_starts(settings->keys.container_url, STR("/")))
		settings->keys.container_url = str_printf(op->arena,
			"http://" CONTAINER_HOST "%.*s", STRF(settings->keys.container_url));
	struct str region = settings->region.n ? settings->region : STR("us-east-1");
	if (settings->keys.identity_url.n == 0)
		settings->keys.identity_url =
			str_printf(op->arena, "https://sts.%.*s.amazonaws.com/", STRF(region));
	return ERR_NONE;
}

enum err s3_settings_of(struct op *op, const struct config_scope *scope,
	const struct objects_driver *driver, struct s3_settings *out)
{
	if (driver == &objects_aws_s3)
		scope = config_block_get(scope, BLOCK_fs_s3, STR_NONE);
	struct s3_settings settings = {
		.url = config_str(scope, SET_fs_s3_url),
		.bucket = config_str(scope, SET_fs_s3_bucket),
		.region = config_str(scope, SET_fs_s3_region),
		.keys = { .access_key = config_str(scope, SET_fs_s3_access_key),
			.secret = config_str(scope, SET_fs_s3_secret),
			.role = config_str(scope, SET_fs_s3_auth_role),
			.role_host = config_str(scope, SET_fs_s3_auth_host),
			.container_url = config_str(scope, SET_fs_s3_auth_container_url),
			.container_token_file =
				config_str(scope, SET_fs_s3_auth_container_token_file),
			.identity_role = config_str(scope, SET_fs_s3_auth_identity_role),
			.identity_token_file =
				config_str(scope, SET_fs_s3_auth_identity_token_file),
			.identity_url = config_str(scope, SET_fs_s3_auth_identity_url),
			.timeout_us = config_time_us(scope, SET_fs_auth_request_timeout) },
		.bulk_delete_limit = config_u64(scope, SET_fs_s3_bulk_delete_limit),
		.multipart_bytes = config_size(scope, SET_fs_s3_multipart_size),
		.hashing = (enum s3_hashing)config_enum(scope, SET_fs_s3_payload_hash),
		.refuses_overwrite = config_bool(scope, SET_fs_s3_refuse_overwrite),
	};
	uint64_t retries = config_u64(scope, SET_fs_auth_request_max_retries);
	settings.keys.attempts_max = (unsigned)MIN(retries, 100u) + 1;
	TRY(http_settings_read(op, scope, &settings.keys.http));
	TRY(check(op, &settings));
	*out = settings;
	return ERR_NONE;
}

static enum err parameter(
	struct op *op, struct s3_settings *settings, struct str name, struct str value)
{
	if (str_eq(name, STR("region")))
		settings->region = value;
	else if (str_eq(name, STR("auth_role")))
		settings->keys.role = value;
	else if (str_eq(name, STR("auth_host")))
		settings->keys.role_host = value;
	else if (str_eq(name, STR("ca")))
		settings->ca_file = value;
	else if (!(str_eq(name, STR("multipart_size")) &&
			 number_parse_u64(value, &settings->multipart_bytes)) &&
		 !(str_eq(name, STR("bulk_delete_limit")) &&
			 number_parse_u64(value, &settings->bulk_delete_limit)))
		return op_fail(op, ERR_INVALID, "URL of S3 has a parameter \"%.*s\" that is wrong",
			STRF(name));
	return ERR_NONE;
}

static enum err parameters(struct op *op, struct s3_settings *settings, struct str query)
{
	struct str item;
	while (query.n) {
		if (!str_cut(&query, '&', &item))
			item = str_take(&query, query.n);
		struct str value = item, name = item;
		if (!str_cut(&value, '=', &name))
			value = STR("");
		TRY(http_percent_decode(op, value, &value));
		TRY(parameter(op, settings, name, value));
	}
	return ERR_NONE;
}

enum err s3_settings_parse(struct op *op, struct str text, struct s3_settings *out)
{
	struct s3_settings settings = defaults();
	struct http_url url;
	TRY(http_url_parse(op, text, &url));
	TRY(parameters(op, &settings, url.query));
	struct str path = url.path;
	(void)str_skip(&path, STR("/"));
	if (!str_cut(&path, '/', &settings.bucket)) {
		settings.bucket = path;
		path = STR("");
	}
	settings.url = str_printf(op->arena, "%s://%.*s/%.*s", url.is_tls ? "https" : "http",
		STRF(http_url_authority(op->arena, &url)), STRF(path));
	settings.keys.access_key = url.user;
	settings.keys.secret = url.password;
	TRY(check(op, &settings));
	*out = settings;
	return ERR_NONE;
}

/* ---- the place ---- */

/* Names of buckets go into paths and hosts as they are. */
static bool is_bucket(struct str name)
{
	if (name.n == 0 || name.n > 255 || str_eq(name, STR(".")) || str_eq(name, STR("..")))
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alpha(name.p[i]) && !ascii_is_digit(name.p[i]) &&
			str_find_byte(STR("-._"), name.p[i]) < 0)
			return false;
	return true;
}

/* The first label of a host name; addresses and single names have none. */
static bool host_bucket(struct str host, struct str *out)
{
	struct str rest = host, top = host;
	ssize_t dot = str_find_last_byte(host, '.');
	if (dot < 0 || str_find_byte(host, ':') >= 0)
		return false;
	top = str_slice(host, (size_t)dot + 1, host.n);
	uint32_t number;
	if (number_parse_u32(top, &number))
		return false;
	return str_cut(&rest, '.', out) && is_bucket(*out);
}

/* "/a/b/" -> "a/b/", decoded: what stands before every key. */
static enum err key_prefix(struct op *op, struct arena *arena, struct str path, struct str *out)
{
	struct str plain;
	TRY(http_percent_decode(op, path, &plain));
	while (str_skip(&plain, STR("/")))
		;
	while (str_ends(plain, STR("/")))
		plain.n--;
	if (plain.n && !objects_key_is_valid(plain))
		return op_fail(op, ERR_INVALID,
			"fs_s3_url: its path \"%.*s\" cannot stand before keys", STRF(path));
	*out = plain.n ? str_printf(arena, "%.*s/", STRF(plain)) : STR("");
	return ERR_NONE;
}

enum err s3_place_parse(struct op *op, struct arena *arena, const struct s3_settings *settings,
	struct s3_place *out)
{
	struct http_url url;
	struct s3_place place = { .root = STR("/") };
	TRY(http_url_parse(op, settings->url, &url));
	if (url.query.n)
		return op_fail(op, ERR_INVALID, "fs_s3_url: parameters are settings now: %s",
			"fs_s3_bucket, fs_s3_region, fs_s3_auth_role");
	if (settings->bucket.n && !is_bucket(settings->bucket))
		return op_fail(op, ERR_INVALID, "fs_s3_bucket \"%.*s\" is no bucket's name",
			STRF(settings->bucket));
	place.is_path_style = settings->bucket.n > 0;
	if (place.is_path_style)
		place.bucket = settings->bucket;
	else if (!host_bucket(url.host, &place.bucket))
		return op_fail(op, ERR_INVALID,
			"fs_s3_url: the host does not begin with a bucket; set fs_s3_bucket");
	TRY(key_prefix(op, arena, url.path, &place.key_prefix));
	place.is_tls = url.is_tls;
	place.bucket = str_dup(arena, place.bucket);
	place.region = str_dup(arena, settings->region);
	place.authority = http_url_authority(arena, &url);
	place.origin = str_printf(
		arena, "%s://%.*s", url.is_tls ? "https" : "http", STRF(place.authority));
	if (place.is_path_style)
		place.root = str_printf(arena, "/%.*s", STRF(place.bucket));
	*out = place;
	return ERR_NONE;
}
