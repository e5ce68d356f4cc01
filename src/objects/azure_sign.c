/* SPDX-License-Identifier: Apache-2.0 */
/* objects/azure_sign.c - see azure_sign.h. */
#include "objects/azure_sign.h"

#include <stdlib.h>

#include "base/codec.h"
#include "crypto/crypto.h"

#define SHARED_HEADERS_MAX 64

static void signature(struct buf *out, struct str key, const struct buf *text)
{
	uint8_t mac[CRYPTO_SHA256_BYTES];
	crypto_hmac_sha256(key, buf_str(text), mac);
	base64_encode(out, (struct str){ (const char *)mac, sizeof(mac) });
}

/* ---- user-delegation SAS ---- */

static void line(struct buf *out, struct str text)
{
	buf_put(out, text);
	buf_put_byte(out, '\n');
}

/* The order is the service's; an empty line stands for what we do not use. */
static void sas_text(struct buf *out, const struct azure_delegation *d, const struct azure_sas *sas)
{
	line(out, sas->permissions);
	line(out, STR("")); /* start: from now on, whatever the clocks say */
	line(out, sas->expiry);
	buf_putf(out, "/blob/%.*s/%.*s", STRF(sas->account), STRF(sas->container));
	if (sas->blob.n)
		buf_putf(out, "/%.*s", STRF(sas->blob));
	line(out, STR(""));
	line(out, d->oid);
	line(out, d->tid);
	line(out, d->start);
	line(out, d->expiry);
	line(out, d->service);
	line(out, d->version);
	line(out, STR("")); /* authorized user */
	line(out, STR("")); /* unauthorized user */
	line(out, STR("")); /* correlation */
	line(out, STR("")); /* addresses */
	line(out, sas->is_https_only ? STR("https") : STR(""));
	line(out, STR(AZURE_VERSION));
	line(out, sas->blob.n ? STR("b") : STR("c"));
	line(out, STR(""));            /* snapshot */
	line(out, STR(""));            /* encryption scope */
	buf_put(out, STR("\n\n\n\n")); /* headers of the answer: rscc rscd rsce rscl rsct */
}

static void parameter(struct buf *out, const char *name, struct str value)
{
	buf_putf(out, "&%s=", name);
	http_percent_encode(out, value, STR(""));
}

void azure_sas_put(struct buf *out, const struct azure_delegation *d, const struct azure_sas *sas)
{
	AUTO_BUF(text, 0);
	AUTO_BUF(mac, 0);
	sas_text(&text, d, sas);
	signature(&mac, d->key, &text);
	buf_put(out, STR("sp="));
	http_percent_encode(out, sas->permissions, STR(""));
	parameter(out, "se", sas->expiry);
	parameter(out, "skoid", d->oid);
	parameter(out, "sktid", d->tid);
	parameter(out, "skt", d->start);
	parameter(out, "ske", d->expiry);
	parameter(out, "sks", d->service);
	parameter(out, "skv", d->version);
	if (sas->is_https_only)
		parameter(out, "spr", STR("https"));
	parameter(out, "sv", STR(AZURE_VERSION));
	parameter(out, "sr", sas->blob.n ? STR("b") : STR("c"));
	parameter(out, "sig", buf_str(&mac));
}

/* ---- SharedKey ---- */

struct named {
	struct str name, value;
};

static int by_name(const void *a, const void *b)
{
	return str_cmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static struct str header_value(const struct http_headers *all, struct str name)
{
	for (size_t i = 0; i < all->count; i++)
		if (str_eq_ci(all->items[i].name, name))
			return all->items[i].value;
	return STR("");
}

static enum err put_service_headers(struct op *op, struct buf *out, const struct http_headers *all)
{
	struct named found[SHARED_HEADERS_MAX];
	size_t count = 0;
	for (size_t i = 0; i < all->count; i++) {
		if (!str_starts_ci(all->items[i].name, STR("x-ms-")))
			continue;
		if (count == SHARED_HEADERS_MAX)
			return op_fail(op, ERR_LIMIT, "too many headers to sign");
		found[count++] = (struct named){ str_lower(op->arena, all->items[i].name),
			all->items[i].value };
	}
	qsort(found, count, sizeof(found[0]), by_name);
	for (size_t i = 0; i < count; i++)
		buf_putf(out, "%.*s:%.*s\n", STRF(found[i].name), STRF(str_trim(found[i].value)));
	return ERR_NONE;
}

/* "/account/path\nname:value\nname:value": the path as sent, the query decoded and sorted. */
static enum err put_resource(
	struct op *op, struct buf *out, struct str account, const struct http_url *url)
{
	struct named found[SHARED_HEADERS_MAX];
	size_t count = 0;
	buf_putf(out, "/%.*s%.*s", STRF(account), STRF(url->path));
	struct str rest = url->query;
	while (rest.n) {
		struct str item, name;
		if (!str_cut(&rest, '&', &item)) {
			item = rest;
			rest = STR_NONE;
		}
		if (!str_cut(&item, '=', &name)) {
			name = item;
			item = STR("");
		}
		if (count == SHARED_HEADERS_MAX)
			return op_fail(op, ERR_LIMIT, "too many parameters to sign");
		found[count].name = str_lower(op->arena, name);
		TRY(http_percent_decode(op, item, &found[count++].value));
	}
	qsort(found, count, sizeof(found[0]), by_name);
	for (size_t i = 0; i < count; i++)
		buf_putf(out, "\n%.*s:%.*s", STRF(found[i].name), STRF(found[i].value));
	return ERR_NONE;
}

enum err azure_shared_key(struct op *op, struct str account, struct str key,
	const struct http_request *request, const struct http_headers *headers, size_t body_bytes,
	struct str *out)
{
	static const char *const standard[] = { "Content-Encoding", "Content-Language",
		"Content-Length", "Content-MD5", "Content-Type", "Date", "If-Modified-Since",
		"If-Match", "If-None-Match", "If-Unmodified-Since", "Range" };
	struct http_url url;
	TRY(http_url_parse(op, request->url, &url));
	AUTO_BUF(text, 0);
	line(&text, request->method);
	for (size_t i = 0; i < ARRAY_COUNT(standard); i++) {
		struct str name = str_from(standard[i]);
		if (!str_eq(name, STR("Content-Length")))
			line(&text, header_value(headers, name));
		else if (body_bytes)
			line(&text, str_printf(op->arena, "%zu", body_bytes));
		else
			line(&text, STR(""));
	}
	TRY(put_service_headers(op, &text, headers));
	TRY(put_resource(op, &text, account, &url));
	AUTO_BUF(mac, 0);
	signature(&mac, key, &text);
	*out = str_printf(op->arena, "SharedKey %.*s:%.*s", STRF(account), STRF(buf_str(&mac)));
	return ERR_NONE;
}
