/* SPDX-License-Identifier: Apache-2.0 */
/* objects/s3_sign.c - signatures of S3 requests: see s3_sign.h. */
#include "objects/s3_sign.h"

#include <time.h>

#include "base/codec.h"
#include "crypto/crypto.h"
#include "crypto/digest.h"
#include "objects/aws_keys.h"

#define SERVICE "s3"

/* Two digits at `out`. */
static void put_two(char *out, int v)
{
	out[0] = (char)('0' + v / 10 % 10);
	out[1] = (char)('0' + v % 10);
}

void s3_stamp(int64_t wall_us, char out[S3_STAMP_BYTES])
{
	time_t seconds = (time_t)(wall_us / US_PER_SEC);
	struct tm tm = { 0 };
	(void)gmtime_r(&seconds, &tm); /* only years beyond an int fail */
	put_two(out, (tm.tm_year + 1900) / 100);
	put_two(out + 2, tm.tm_year % 100);
	put_two(out + 4, tm.tm_mon + 1);
	put_two(out + 6, tm.tm_mday);
	out[8] = 'T';
	put_two(out + 9, tm.tm_hour);
	put_two(out + 11, tm.tm_min);
	put_two(out + 13, tm.tm_sec);
	out[15] = 'Z';
	out[16] = '\0';
}

/* ---- what both versions share ---- */

/* The form's headers by name. */
struct sorted {
	const struct http_header *at[S3_SIGN_HEADERS_MAX];
	size_t count;
};

static void headers_sort(const struct s3_form *form, struct sorted *out)
{
	ASSERT(form->header_count <= S3_SIGN_HEADERS_MAX);
	out->count = 0;
	for (size_t i = 0; i < form->header_count; i++) {
		size_t at = out->count++;
		for (; at > 0 && str_cmp(out->at[at - 1]->name, form->headers[i].name) > 0; at--)
			out->at[at] = out->at[at - 1];
		out->at[at] = &form->headers[i];
	}
}

/* A value without blanks around it, runs of them as one space. */
static void put_value(struct buf *out, struct str value)
{
	struct str rest = value, word;
	bool is_first = true;
	while (str_cut_word(&rest, &word)) {
		if (!is_first)
			buf_put_byte(out, ' ');
		buf_put(out, word);
		is_first = false;
	}
}

static void put_hex(struct buf *out, const uint8_t *bytes, size_t n)
{
	hex_encode(out, (struct str){ (const char *)bytes, n });
}

/* ---- version 4 ---- */

static struct str hmac_of(
	const uint8_t key[CRYPTO_SHA256_BYTES], struct str in, uint8_t out[CRYPTO_SHA256_BYTES])
{
	crypto_hmac_sha256((struct str){ (const char *)key, CRYPTO_SHA256_BYTES }, in, out);
	return (struct str){ (const char *)out, CRYPTO_SHA256_BYTES };
}

static void day_key_renew(
	struct s3_day_key *day, const struct aws_keys *keys, struct str region, struct str date)
{
	if (day->generation == keys->generation && memcmp(day->date, date.p, 8) == 0)
		return;
	uint8_t a[CRYPTO_SHA256_BYTES], b[CRYPTO_SHA256_BYTES];
	AUTO_BUF(secret, 0);
	buf_put(&secret, STR("AWS4"));
	buf_put(&secret, keys->secret);
	crypto_hmac_sha256(buf_str(&secret), date, a);
	mem_wipe(secret.p, secret.n);
	(void)hmac_of(a, region, b);
	(void)hmac_of(b, STR(SERVICE), a);
	(void)hmac_of(a, STR("aws4_request"), day->bytes);
	mem_wipe(a, sizeof(a));
	mem_wipe(b, sizeof(b));
	memcpy(day->date, date.p, 8);
	day->generation = keys->generation;
}

static void put_signed_names(struct buf *out, const struct sorted *headers)
{
	for (size_t i = 0; i < headers->count; i++) {
		if (i > 0)
			buf_put_byte(out, ';');
		buf_put(out, headers->at[i]->name);
	}
}

static void put_canonical(struct buf *out, const struct s3_form *form, const struct sorted *headers)
{
	buf_put(out, form->method);
	buf_put_byte(out, '\n');
	buf_put(out, form->path);
	buf_put_byte(out, '\n');
	buf_put(out, form->query);
	buf_put_byte(out, '\n');
	for (size_t i = 0; i < headers->count; i++) {
		buf_put(out, headers->at[i]->name);
		buf_put_byte(out, ':');
		put_value(out, headers->at[i]->value);
		buf_put_byte(out, '\n');
	}
	buf_put_byte(out, '\n');
	put_signed_names(out, headers);
	buf_put_byte(out, '\n');
	buf_put(out, form->payload);
}

static void put_scope(struct buf *out, struct str stamp, struct str region)
{
	buf_put(out, str_slice(stamp, 0, 8));
	buf_put_byte(out, '/');
	buf_put(out, region);
	buf_put(out, STR("/" SERVICE "/aws4_request"));
}

void s3_sign_v4(const struct s3_form *form, const struct aws_keys *keys, struct str region,
	struct str stamp, struct s3_day_key *day, struct buf *out)
{
	ASSERT(stamp.n == S3_STAMP_BYTES - 1);
	struct sorted headers;
	headers_sort(form, &headers);
	AUTO_BUF(text, 0);
	put_canonical(&text, form, &headers);
	uint8_t hash[CRYPTO_SHA256_BYTES], signature[CRYPTO_SHA256_BYTES];
	crypto_sha256(buf_str(&text), hash);

	buf_clear(&text);
	buf_put(&text, STR("AWS4-HMAC-SHA256\n"));
	buf_put(&text, stamp);
	buf_put_byte(&text, '\n');
	put_scope(&text, stamp, region);
	buf_put_byte(&text, '\n');
	put_hex(&text, hash, sizeof(hash));
	day_key_renew(day, keys, region, str_slice(stamp, 0, 8));
	(void)hmac_of(day->bytes, buf_str(&text), signature);

	buf_put(out, STR("AWS4-HMAC-SHA256 Credential="));
	buf_put(out, keys->access_key);
	buf_put_byte(out, '/');
	put_scope(out, stamp, region);
	buf_put(out, STR(",SignedHeaders="));
	put_signed_names(out, &headers);
	buf_put(out, STR(",Signature="));
	put_hex(out, signature, sizeof(signature));
}

/* ---- version 2 ---- */

/* Parts of a query that say what the request is about; the others are not signed. */
static bool is_subresource(struct str name)
{
	static const char *const names[] = { "acl", "delete", "lifecycle", "location", "logging",
		"notification", "partNumber", "policy", "requestPayment", "torrent", "uploadId",
		"uploads", "versionId", "versioning", "versions", "website" };
	for (size_t i = 0; i < ARRAY_COUNT(names); i++)
		if (str_eq(name, str_from(names[i])))
			return true;
	return false;
}

/* Takes the next "name" or "name=value" off a query. */
static bool query_next(struct str *rest, struct str *item)
{
	if (rest->n == 0)
		return false;
	if (!str_cut(rest, '&', item))
		*item = str_take(rest, rest->n);
	return true;
}

static void put_resource(struct buf *out, const struct s3_form *form)
{
	if (form->bucket.n) {
		buf_put_byte(out, '/');
		buf_put(out, form->bucket);
	}
	buf_put(out, form->path);
	struct str rest = form->query, item;
	char separator = '?';
	while (query_next(&rest, &item)) {
		struct str value = item, name;
		bool has_value = str_cut(&value, '=', &name);
		if (!is_subresource(has_value ? name : item))
			continue;
		buf_put_byte(out, separator);
		buf_put(out, has_value && value.n == 0 ? name : item);
		separator = '&';
	}
}

static struct str header_value(const struct s3_form *form, struct str name)
{
	for (size_t i = 0; i < form->header_count; i++)
		if (str_eq(form->headers[i].name, name))
			return form->headers[i].value;
	return STR("");
}

void s3_sign_v2(const struct s3_form *form, const struct aws_keys *keys, struct buf *out)
{
	struct sorted headers;
	headers_sort(form, &headers);
	AUTO_BUF(text, 0);
	buf_put(&text, form->method);
	buf_put_byte(&text, '\n');
	buf_put(&text, header_value(form, STR("content-md5")));
	buf_put_byte(&text, '\n');
	buf_put(&text, header_value(form, STR("content-type")));
	buf_put_byte(&text, '\n');
	buf_put(&text, header_value(form, STR("date")));
	buf_put_byte(&text, '\n');
	for (size_t i = 0; i < headers.count; i++) {
		if (!str_starts(headers.at[i]->name, STR("x-amz-")))
			continue;
		buf_put(&text, headers.at[i]->name);
		buf_put_byte(&text, ':');
		buf_put(&text, str_trim(headers.at[i]->value)); /* inner blanks stay as they are */
		buf_put_byte(&text, '\n');
	}
	put_resource(&text, form);
	uint8_t mac[CRYPTO_DIGEST_BYTES_MAX];
	size_t n = crypto_hmac(STR("sha1"), keys->secret, buf_str(&text), mac);
	ASSERT(n == 20);
	buf_put(out, STR("AWS "));
	buf_put(out, keys->access_key);
	buf_put_byte(out, ':');
	base64_encode(out, (struct str){ (const char *)mac, n });
}
