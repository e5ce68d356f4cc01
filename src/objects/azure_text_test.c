/* SPDX-License-Identifier: Apache-2.0 */
/* Azure's signatures against values computed elsewhere; its answers, good and hostile; its settings as text. */
#include "objects/azure_text.h"

#include "base/test.h"

#include "config/config.h"
#include "objects/azure_private.h"

#define KEY STR("0123456789abcdef0123456789abcdef")

struct place {
	struct arena arena;
	struct op op;
};

static struct op *op_of(struct place *p)
{
	arena_init(&p->arena, 0);
	op_init(&p->op, &p->arena, NULL, TIME_NEVER);
	return &p->op;
}
#define PLACE                                                                                      \
	__attribute__((cleanup(place_done))) struct place place;                                   \
	struct op *op = op_of(&place)

static void place_done(struct place *p)
{
	arena_done(&p->arena);
}

/* ---- signatures ---- */

static const struct azure_delegation delegation = {
	.oid = { "oid-1", 5 },
	.tid = { "tid-2", 5 },
	.start = { "2026-01-01T00:00:00Z", 20 },
	.expiry = { "2026-01-02T00:00:00Z", 20 },
	.service = { "b", 1 },
	.version = { "2021-12-02", 10 },
	.key = { "0123456789abcdef0123456789abcdef", 32 },
};

static void sas_are_signed_as_documented(void **state)
{
	(void)state;
	AUTO_BUF(out, 0);
	struct azure_sas sas = {
		.account = STR("acc"),
		.container = STR("mail"),
		.blob = STR("p/u \xc3\xbc/mails/a+b"),
		.permissions = STR("r"),
		.expiry = STR("2026-01-01T01:00:00Z"),
		.is_https_only = true,
	};
	azure_sas_put(&out, &delegation, &sas);
	assert_str(buf_str(&out),
		STR("sp=r&se=2026-01-01T01%3A00%3A00Z&skoid=oid-1&sktid=tid-2"
		    "&skt=2026-01-01T00%3A00%3A00Z&ske=2026-01-02T00%3A00%3A00Z&sks=b"
		    "&skv=2021-12-02&spr=https&sv=2021-12-02&sr=b"
		    "&sig=Vw4P7sZeJEn7DmNEXe2x0OwdL1kTW40sd4Q4Bn09MTI%3D"));
	buf_clear(&out);
	sas.blob = STR("");
	sas.permissions = STR("l");
	sas.is_https_only = false;
	azure_sas_put(&out, &delegation, &sas);
	assert_true(str_find(buf_str(&out), STR("&spr=")) < 0);
	assert_true(str_ends(
		buf_str(&out), STR("&sr=c&sig=3nTGBsvflIUCpdDkpiUhGKM2GEol4Nf8%2BjeIqN1xTQQ%3D")));
}

static void requests_are_signed_as_documented(void **state)
{
	(void)state;
	PLACE;
	struct str out;
	struct http_headers headers = { 0 };
	http_headers_add(op, &headers, STR("X-MS-Version"), STR("2021-12-02"));
	http_headers_add(op, &headers, STR("If-None-Match"), STR("*"));
	http_headers_add(op, &headers, STR("content-md5"), STR("MD5=="));
	http_headers_add(op, &headers, STR("Content-Type"), STR("application/octet-stream"));
	http_headers_add(op, &headers, STR("x-ms-meta-guid"), STR("1"));
	http_headers_add(op, &headers, STR("x-ms-date"), STR("Sun, 06 Nov 1994 08:49:37 GMT"));
	http_headers_add(op, &headers, STR("X-Dovecot-Username"), STR("nobody looks at it"));
	struct http_request request = { .method = STR("PUT"),
		.url = STR("https://acc.example/mail/a%20b?comp=block&BlockId=x%3D%2Fy") };
	assert_ok(azure_shared_key(op, STR("acc"), KEY, &request, &headers, 5, &out));
	assert_str(out, STR("SharedKey acc:v1symM29AzVPDXR2ylPeLIyc9fFt2GOmPlrluMMHSz0="));

	headers.count = 0;
	http_headers_add(op, &headers, STR("Range"), STR("bytes=0-9"));
	http_headers_add(op, &headers, STR("x-ms-date"), STR("D"));
	request.method = STR("GET");
	request.url = STR("http://127.0.0.1:10000/acc/mail");
	assert_ok(azure_shared_key(op, STR("acc"), KEY, &request, &headers, 0, &out));
	assert_str(out, STR("SharedKey acc:L0jRyhHlrEwhbty743pOYS/RMpql9fcVjVR6zCMNOk0="));
}

/* ---- listings ---- */

static void listings_are_read(void **state)
{
	(void)state;
	PLACE;
	struct azure_page page;
	assert_ok(azure_page_read(op,
		STR("\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults>"
		    "<Prefix>u</Prefix><Blobs><Blob><Name>u/a&amp;b</"
		    "Name><Properties><Last-Modified>"
		    "Sun, 06 Nov 1994 08:49:37 "
		    "GMT</Last-Modified><Content-Length>12</Content-Length>"
		    "</Properties></Blob><BlobPrefix><Name>dir/</Name></BlobPrefix><Blob><Name>z</"
		    "Name>"
		    "<Properties><Content-Length>0</Content-Length></Properties></Blob></Blobs>"
		    "<NextMarker>more</NextMarker></EnumerationResults>"),
		&page));
	assert_int_equal(page.count, 2);
	assert_str(page.blobs[0].name, STR("u/a&b"));
	assert_int_equal(page.blobs[0].info.size_bytes, 12);
	assert_int_equal(page.blobs[0].info.wall_us, INT64_C(784111777) * US_PER_SEC);
	assert_int_equal(page.blobs[1].info.wall_us, 0);
	assert_str(page.next_marker, STR("more"));
	assert_ok(azure_page_read(
		op, STR("<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>"), &page));
	assert_int_equal(page.count, 0);
	assert_str(page.next_marker, STR(""));
}

#define BLOB(inside)                                                                               \
	"<EnumerationResults><Blobs><Blob>" inside "</Blob></Blobs></EnumerationResults>"

static void broken_listings_are_refused(void **state)
{
	(void)state;
	PLACE;
	static const char *const bad[] = { "", "<html>proxy</html>", "<EnumerationResults>",
		BLOB("<Name>a</Name>"),
		BLOB("<Properties><Content-Length>1</Content-Length></Properties>"),
		BLOB("<Name></Name><Properties><Content-Length>1</Content-Length></Properties>"),
		BLOB("<Name>a</Name><Properties><Content-Length>-1</Content-Length></Properties>"),
		BLOB("<Name>a</Name><Content-Length>1</Content-Length>"),
		"<!DOCTYPE x><EnumerationResults/>" };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		struct azure_page page;
		assert_err(azure_page_read(op, str_from(bad[i]), &page), ERR_CORRUPT);
	}
	AUTO_BUF(many, 0);
	buf_put(&many, STR("<EnumerationResults><Blobs>"));
	for (size_t i = 0; i <= AZURE_PAGE_BLOBS_MAX; i++)
		buf_put(&many, STR("<Blob><Name>a</Name><Properties><Content-Length>1"
				   "</Content-Length></Properties></Blob>"));
	buf_put(&many, STR("</Blobs></EnumerationResults>"));
	struct azure_page page;
	assert_err(azure_page_read(op, buf_str(&many), &page), ERR_CORRUPT);
}

/* ---- keys and tokens ---- */

#define DELEGATION(start, expiry, value)                                                           \
	"<UserDelegationKey><SignedOid>o</SignedOid><SignedTid>t</SignedTid><SignedStart>" start   \
	"</SignedStart><SignedExpiry>" expiry "</SignedExpiry><SignedService>b</SignedService>"    \
	"<SignedVersion>2021-12-02</SignedVersion><Value>" value "</Value></UserDelegationKey>"

static void delegation_keys_are_read(void **state)
{
	(void)state;
	PLACE;
	struct azure_delegation d;
	assert_ok(azure_delegation_read(op,
		STR(DELEGATION("1994-11-06T08:49:37Z", "1994-11-06T08:49:38.1234567Z", "a2V5")),
		&d));
	assert_str(d.key, STR("key"));
	assert_str(d.expiry, STR("1994-11-06T08:49:38.1234567Z"));
	assert_int_equal(d.start_wall_us, INT64_C(784111777) * US_PER_SEC);
	assert_int_equal(d.expiry_wall_us, INT64_C(784111778) * US_PER_SEC);
	static const char *const bad[] = { "", "<UserDelegationKey/>",
		DELEGATION("1994-11-06T08:49:37Z", "tomorrow", "a2V5"),
		DELEGATION("1994-11-06T08:49:37Z", "1994-13-06T08:49:37Z", "a2V5"),
		DELEGATION("1994-11-06T08:49:37Z", "1994-11-06T08:49:37", "a2V5"),
		DELEGATION("1994-11-06T08:49:37Z", "1994-11-06T08:49:37Z", "***"),
		DELEGATION("1994-11-06T08:49:37Z", "1994-11-06T08:49:37Z", "") };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_err(azure_delegation_read(op, str_from(bad[i]), &d), ERR_CORRUPT);
	AUTO_BUF(ask, 0);
	azure_delegation_ask(&ask, STR("S"), STR("E"));
	assert_true(str_ends(
		buf_str(&ask), STR("<KeyInfo><Start>S</Start><Expiry>E</Expiry></KeyInfo>")));
}

static void tokens_are_read(void **state)
{
	(void)state;
	PLACE;
	struct str token;
	assert_ok(azure_token_read(op,
		STR("{\"token_type\":\"bearer\",\"expires_in\":3599,\"access_token\":\"a.b\"}"),
		&token));
	assert_str(token, STR("a.b"));
	static const char *const bad[] = { "", "[]", "{}", "{\"access_token\":\"a\"}",
		"{\"token_type\":\"mac\",\"access_token\":\"a\"}",
		"{\"token_type\":\"Bearer\",\"access_token\":\"\"}",
		"{\"token_type\":\"Bearer\",\"access_token\":1}",
		"{\"token_type\":\"Bearer\",\"access_token\":\"a\\r\\nX-Evil: 1\"}" };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_err(azure_token_read(op, str_from(bad[i]), &token), ERR_CORRUPT);
	assert_str(
		azure_token_error(op,
			STR("{\"error\":\"invalid_client\",\"error_description\":\"A\\r\\nB\"}")),
		STR("invalid_client: A  B"));
	assert_str(azure_token_error(op, STR("<html>")), STR(""));
	AUTO_BUF(longer, 0);
	buf_put(&longer, STR("{\"error\":\""));
	for (size_t i = 0; i < 1000; i++)
		buf_put_byte(&longer, 'x');
	buf_put(&longer, STR("\"}"));
	assert_int_equal(azure_token_error(op, buf_str(&longer)).n, 300);
}

/* ---- settings as text ---- */

static void texts_say_where_a_store_is(void **state)
{
	(void)state;
	PLACE;
	struct azure_settings s;
	assert_ok(azure_settings_parse(op, STR("http://acc:a2V5@h:1/acc/mail/x/y?block=4096"), &s));
	assert_str(s.endpoint, STR("http://h:1/acc"));
	assert_str(s.container, STR("mail"));
	assert_str(s.prefix, STR("x/y/"));
	assert_str(s.account_key, STR("key"));
	assert_int_equal(s.auth, AZURE_AUTH_SHARED_KEY);
	assert_int_equal(s.block_bytes, 4096);
	assert_ok(azure_settings_parse(op, STR("https://h/acc/mail?sas=sp%3Dr%26sig%3Dx"), &s));
	assert_int_equal(s.auth, AZURE_AUTH_SAS);
	assert_str(s.sas_token, STR("sp=r&sig=x"));
	assert_str(s.prefix, STR(""));
	assert_ok(azure_settings_parse(
		op, STR("https://id:se%2Fcret@h/acc/mail?tenant=t&login=https://l/"), &s));
	assert_int_equal(s.auth, AZURE_AUTH_USER_SAS);
	assert_str(s.client_secret, STR("se/cret"));
	assert_str(s.login_url, STR("https://l"));
	static const char *const bad[] = { "", "ftp://h/acc/mail", "http://acc:a2V5@h/acc",
		"http://acc@h/acc/mail", "http://acc:***@h/acc/mail",
		"http://acc:a2V5@h/acc/mail?block=0", "http://acc:a2V5@h/acc/mail?x=y",
		"http://acc:a2V5@h/acc/mail?block", "https://h/acc/mail?tenant=t",
		"http://acc:a2V5@h/acc/ma%20il", "http://acc:a2V5@h/acc/mail/../x",
		"http://acc:a2V5@h/acc/mail?ca=/nowhere/ca.pem" };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_true(azure_settings_parse(op, str_from(bad[i]), &s) != ERR_NONE);
}

/* ---- settings of the configuration ---- */

static enum err read_config(struct op *op, const char *text, struct azure_settings *out)
{
	struct config *cfg;
	struct config_problems problems;
	struct config_load_args args = { .text = str_printf(op->arena,
						 "dovecot_config_version = 2.4.0\n"
						 "dovecot_storage_version = 2.4.0\n%s",
						 text) };
	assert_ok(config_load(op, &args, &problems, &cfg));
	enum err e = azure_settings_read(op, config_scope(cfg, NULL), out);
	if (e == ERR_NONE) {
		/* They are borrowed from the configuration: those that are looked at below are copied. */
		out->tenant = str_dup(op->arena, out->tenant);
		out->client_secret = str_dup(op->arena, out->client_secret);
		out->login_url = str_dup(op->arena, out->login_url);
		out->sas_token = str_dup(op->arena, out->sas_token);
	}
	config_unref(cfg);
	return e;
}

#define PLACE_SET  "fs_azure_account_name = acc\nfs_azure_container_name = mail\n"
#define CLIENT_SET "fs_azure_auth_user_sas_tenant_id = t\nfs_azure_auth_user_sas_client_id = c\n"

static void settings_say_where_a_store_is(void **state)
{
	(void)state;
	PLACE;
	struct azure_settings s;
	assert_ok(
		read_config(op, PLACE_SET CLIENT_SET "fs_azure_user_sas_client_secret = s\n", &s));
	assert_str(s.endpoint, STR("https://acc.blob.core.windows.net"));
	assert_str(s.prefix, STR(""));
	assert_int_equal(s.auth, AZURE_AUTH_USER_SAS);
	assert_str(s.login_url, STR("https://login.microsoftonline.com"));
	assert_str(s.client_secret, STR("s"));
	assert_int_equal(s.block_bytes, 16 << 20);
	assert_ok(read_config(op,
		PLACE_SET "fs_azure_url = http://127.0.0.1:1/acc/x/y/\n"
			  "fs_azure_auth_type = sas\nfs_azure_sas_token = ?sp=r\n",
		&s));
	assert_str(s.endpoint, STR("http://127.0.0.1:1/acc"));
	assert_str(s.prefix, STR("x/y/"));
	assert_str(s.sas_token, STR("sp=r"));
	assert_ok(read_config(op,
		PLACE_SET "fs_azure_url = https://h/account\nfs_azure_auth_type = shared-key\n"
			  "fs_azure_account_key = a2V5\n",
		&s));
	assert_str(s.endpoint, STR("https://h"));
	assert_str(s.prefix, STR("account/"));
}

static void wrong_settings_are_named(void **state)
{
	(void)state;
	PLACE;
	struct azure_settings s;
	static const struct {
		const char *text, *named;
	} rows[] = {
		{ "", "fs_azure_account_name" },
		{ "fs_azure_account_name = a/b\n", "fs_azure_account_name" },
		{ "fs_azure_account_name = acc\n", "fs_azure_container_name" },
		{ PLACE_SET, "fs_azure_auth_user_sas_tenant_id" },
		{ PLACE_SET CLIENT_SET, "_client_secret" },
		{ PLACE_SET "fs_azure_auth_type = shared-key\n", "fs_azure_account_key" },
		{ PLACE_SET "fs_azure_auth_type = sas\n", "fs_azure_sas_token" },
		{ PLACE_SET "fs_azure_auth_type = sas\nfs_azure_sas_token = x\nfs_azure_url = h\n",
			"fs_azure_url" },
		{ PLACE_SET "fs_azure_auth_type = sas\nfs_azure_sas_token = x\n"
			    "fs_azure_url = https://u:p@h/\n",
			"fs_azure_url" },
		{ PLACE_SET "fs_azure_auth_type = sas\nfs_azure_sas_token = x\n"
			    "fs_azure_block_size = 5G\n",
			"fs_azure_block_size" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		assert_err(read_config(op, rows[i].text, &s), ERR_INVALID);
		assert_non_null(strstr(op->failure.text, rows[i].named));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sas_are_signed_as_documented),
		cmocka_unit_test(requests_are_signed_as_documented),
		cmocka_unit_test(listings_are_read),
		cmocka_unit_test(broken_listings_are_refused),
		cmocka_unit_test(delegation_keys_are_read),
		cmocka_unit_test(tokens_are_read),
		cmocka_unit_test(texts_say_where_a_store_is),
		cmocka_unit_test(settings_say_where_a_store_is),
		cmocka_unit_test(wrong_settings_are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
