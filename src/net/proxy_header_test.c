/* SPDX-License-Identifier: Apache-2.0 */
/* Tests: PROXY headers, whole, in pieces, and broken. */
#include <sys/socket.h>

#include "base/test.h"
#include "net/proxy_header.h"

static void expect_address(const struct address *a, const char *ip, uint16_t port)
{
	AUTO_ARENA(arena, 0);
	assert_str(address_dup(&arena, a), str_from(ip));
	assert_int_equal(a->port, port);
}

/* The whole gives DONE, every shorter piece MORE. */
static struct proxy_header parse_whole(struct str header)
{
	struct proxy_header h = { 0 };
	size_t used = 0;
	AUTO_BUF(more, 0);
	for (size_t n = 0; n < header.n; n++)
		assert_int_equal(
			proxy_header_parse(str_slice(header, 0, n), &h, &used), PROXY_MORE);
	buf_put(&more, header);
	buf_put(&more, STR("a1 NOOP\r\n"));
	assert_int_equal(proxy_header_parse(buf_str(&more), &h, &used), PROXY_DONE);
	assert_int_equal(used, header.n);
	assert_int_equal(proxy_header_parse(header, &h, &used), PROXY_DONE);
	return h;
}

static void version_1_names_addresses(void **state)
{
	(void)state;
	struct proxy_header h = parse_whole(STR("PROXY TCP4 192.0.2.1 198.51.100.2 40000 143\r\n"));
	assert_true(h.has_addresses);
	assert_false(h.is_tls);
	expect_address(&h.remote, "192.0.2.1", 40000);
	expect_address(&h.local, "198.51.100.2", 143);
	h = parse_whole(STR("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n"));
	expect_address(&h.remote, "2001:db8::1", 1);
	expect_address(&h.local, "2001:db8::2", 65535);
	h = parse_whole(STR("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"));
	assert_false(h.has_addresses);
	h = parse_whole(STR("PROXY UNKNOWN\r\n"));
	assert_false(h.has_addresses);
}

static void what_is_no_header_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "a1 NOOP\r\n", "PROXY\r\n", "PROXY TCP4 \r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 40000\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 40000 65536\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 40000 143 x\r\n",
		"PROXY TCP4 192.0.2.1:25 198.51.100.2 40000 143\r\n",
		"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
		"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n", "\r\n\r\nx" };
	struct proxy_header h;
	size_t used;
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_int_equal(proxy_header_parse(str_from(bad[i]), &h, &used), PROXY_INVALID);
	char endless[200];
	memset(endless, 'x', sizeof(endless));
	memcpy(endless, "PROXY ", 6);
	assert_int_equal(proxy_header_parse((struct str){ endless, sizeof(endless) }, &h, &used),
		PROXY_INVALID);
}

/* ---- version 2 ---- */

static void put_head(struct buf *out, uint8_t command, uint8_t family, size_t n)
{
	buf_put(out, (struct str){ "\r\n\r\n\0\r\nQUIT\n", 12 });
	buf_put_byte(out, (char)command);
	buf_put_byte(out, (char)family);
	buf_put_byte(out, (char)(n >> 8));
	buf_put_byte(out, (char)n);
}

static void put_value(struct buf *out, uint8_t type, struct str value)
{
	buf_put_byte(out, (char)type);
	buf_put_byte(out, (char)(value.n >> 8));
	buf_put_byte(out, (char)value.n);
	buf_put(out, value);
}

/* 192.0.2.1:1024 -> 192.0.2.2:993 */
static const struct str four = { "\xc0\0\2\1\xc0\0\2\2\4\0\3\xe1", 12 };

static void make(struct buf *out, uint8_t command, struct str values)
{
	buf_clear(out);
	put_head(out, command, 0x11, four.n + values.n);
	buf_put(out, four);
	buf_put(out, values);
}

static void version_2_says_more(void **state)
{
	(void)state;
	AUTO_BUF(ssl, 0);
	AUTO_BUF(values, 0);
	AUTO_BUF(header, 0);
	buf_put(&ssl, (struct str){ "\3\0\0\0\0", 5 });
	put_value(&ssl, 0x21, STR("TLSv1.3"));
	put_value(&ssl, 0x22, STR("u1@example.test"));
	put_value(&ssl, 0x23, STR("TLS_AES_128_GCM_SHA256"));
	put_value(&ssl, 0x24, STR("unknown"));
	put_value(&values, 1, STR("imap"));
	put_value(&values, 2, STR("mail.example.test"));
	put_value(&values, 4, STR("padding"));
	put_value(&values, 0x20, buf_str(&ssl));
	make(&header, 0x21, buf_str(&values));
	struct proxy_header h = parse_whole(buf_str(&header));
	assert_true(h.has_addresses && h.is_tls && h.is_cert_verified);
	expect_address(&h.remote, "192.0.2.1", 1024);
	expect_address(&h.local, "192.0.2.2", 993);
	assert_str(h.alpn, STR("imap"));
	assert_str(h.authority, STR("mail.example.test"));
	assert_str(h.cert_name, STR("u1@example.test"));
	assert_str(h.tls_protocol, STR("TLSv1.3"));
	assert_str(h.tls_cipher, STR("TLS_AES_128_GCM_SHA256"));
	/* LOCAL means nothing, whatever it says. */
	make(&header, 0x20, buf_str(&values));
	h = parse_whole(buf_str(&header));
	assert_false(h.has_addresses || h.is_tls);
	/* A certificate that the balancer could not verify. */
	ssl.p[4] = 1;
	buf_clear(&values);
	put_value(&values, 0x20, buf_str(&ssl));
	make(&header, 0x21, buf_str(&values));
	h = parse_whole(buf_str(&header));
	assert_true(h.is_tls);
	assert_false(h.is_cert_verified);
}

static void version_2_of_other_families_has_no_addresses(void **state)
{
	(void)state;
	AUTO_BUF(header, 0);
	char unix_block[216] = { 0 };
	put_head(&header, 0x21, 0x31, sizeof(unix_block));
	buf_put(&header, (struct str){ unix_block, sizeof(unix_block) });
	struct proxy_header h = parse_whole(buf_str(&header));
	assert_false(h.has_addresses);
	buf_clear(&header);
	put_head(&header, 0x21, 0, 0);
	h = parse_whole(buf_str(&header));
	assert_false(h.has_addresses);
	buf_clear(&header);
	put_head(&header, 0x21, 0x21, 36);
	buf_put(&header, (struct str){ unix_block, 36 });
	h = parse_whole(buf_str(&header));
	expect_address(&h.remote, "::", 0);
}

static void version_2_broken_is_refused(void **state)
{
	(void)state;
	static const struct str values[] = {
		{ "\1", 1 }, { "\1\0\5imap", 7 }, { "\x20\0\1x", 4 },      /* too short */
		{ "\x20\0\7\1\0\0\0\0\x21\xff", 10 }, { "\3\0\4abcd", 7 }, /* wrong sum */
	};
	AUTO_BUF(header, 0);
	struct proxy_header h;
	size_t used;
	for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
		make(&header, 0x21, values[i]);
		assert_int_equal(proxy_header_parse(buf_str(&header), &h, &used), PROXY_INVALID);
	}
	make(&header, 0x31, STR(""));
	assert_int_equal(proxy_header_parse(buf_str(&header), &h, &used), PROXY_INVALID);
	make(&header, 0x22, STR(""));
	assert_int_equal(proxy_header_parse(buf_str(&header), &h, &used), PROXY_INVALID);
	buf_clear(&header);
	put_head(&header, 0x21, 0x11, 4);
	buf_put(&header, STR("abcd"));
	assert_int_equal(proxy_header_parse(buf_str(&header), &h, &used), PROXY_INVALID);
	buf_clear(&header);
	put_head(&header, 0x21, 0x11, 60000);
	assert_int_equal(proxy_header_parse(buf_str(&header), &h, &used), PROXY_INVALID);
}

static void a_right_sum_is_taken(void **state)
{
	(void)state;
	/* CRC-32C of "123456789" is e3069283 (RFC 3720 §B.4's polynomial); here over the header. */
	AUTO_BUF(header, 0);
	struct proxy_header h;
	size_t used;
	make(&header, 0x21, (struct str){ "\3\0\4\0\0\0\0", 7 });
	uint32_t crc = UINT32_MAX;
	for (size_t i = 0; i < header.n; i++) {
		crc ^= (uint8_t)header.p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ ((crc & 1) ? 0x82f63b78u : 0);
	}
	for (size_t i = 0; i < 4; i++)
		header.p[header.n - 4 + i] = (char)(~crc >> (24 - 8 * i));
	assert_int_equal(proxy_header_parse(buf_str(&header), &h, &used), PROXY_DONE);
	header.p[20] ^= 1;
	assert_int_equal(proxy_header_parse(buf_str(&header), &h, &used), PROXY_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_1_names_addresses),
		cmocka_unit_test(what_is_no_header_is_refused),
		cmocka_unit_test(version_2_says_more),
		cmocka_unit_test(version_2_of_other_families_has_no_addresses),
		cmocka_unit_test(version_2_broken_is_refused),
		cmocka_unit_test(a_right_sum_is_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
