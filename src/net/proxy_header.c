/* SPDX-License-Identifier: Apache-2.0 */
/* Version 1 is a line of text, version 2 a block with a length and typed values behind the addresses. */
#include "net/proxy_header.h"

#include "base/number.h"
#include "net/net.h"

#define V1_BYTES_MAX 107
#define V2_HEAD      16

static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";

/* ---- version 1 ---- */

static bool cut_address(struct str *words, sa_family_t family, struct address *out)
{
	struct str word;
	return str_cut_word(words, &word) && address_parse(word, out) && out->family == family &&
	       out->port == 0;
}

static bool cut_port(struct str *words, struct address *out)
{
	struct str word;
	uint32_t port;
	if (!str_cut_word(words, &word) || !number_parse_u32(word, &port) || port > UINT16_MAX)
		return false;
	out->port = (uint16_t)port;
	return true;
}

static enum proxy_result parse_v1(struct str in, struct proxy_header *out, size_t *out_used)
{
	ssize_t end = str_find(str_slice(in, 0, V1_BYTES_MAX), STR("\r\n"));
	if (end < 0)
		return in.n >= V1_BYTES_MAX ? PROXY_INVALID : PROXY_MORE;
	struct str words = str_slice(in, 0, (size_t)end), family;
	struct proxy_header h = { .has_addresses = true };
	(void)str_cut_word(&words, &family); /* PROXY */
	if (!str_cut_word(&words, &family))
		return PROXY_INVALID;
	if (str_eq(family, STR("UNKNOWN"))) {
		h.has_addresses = false;
	} else {
		sa_family_t f = str_eq(family, STR("TCP4"))   ? AF_INET
				: str_eq(family, STR("TCP6")) ? AF_INET6
							      : 0;
		if (!f || !cut_address(&words, f, &h.remote) || !cut_address(&words, f, &h.local) ||
			!cut_port(&words, &h.remote) || !cut_port(&words, &h.local) ||
			str_trim(words).n > 0)
			return PROXY_INVALID;
	}
	*out = h;
	*out_used = (size_t)end + 2;
	return PROXY_DONE;
}

/* ---- version 2 ---- */

static uint32_t number_at(struct str s, size_t at, size_t bytes)
{
	uint32_t n = 0;
	for (size_t i = 0; i < bytes; i++)
		n = n << 8 | (uint8_t)s.p[at + i];
	return n;
}

/* CRC-32C, bit by bit: headers are short and rare. */
static uint32_t crc32c(uint32_t crc, uint8_t byte)
{
	crc ^= byte;
	for (int i = 0; i < 8; i++)
		crc = crc >> 1 ^ ((crc & 1) ? 0x82f63b78u : 0);
	return crc;
}

/* Over the whole header, with the four bytes of the sum itself as zeros. */
static bool sum_is_right(struct str header, size_t at)
{
	uint32_t crc = UINT32_MAX;
	for (size_t i = 0; i < header.n; i++)
		crc = crc32c(crc, i >= at && i < at + 4 ? 0 : (uint8_t)header.p[i]);
	return ~crc == number_at(header, at, 4);
}

static bool cut_value(struct str *rest, uint8_t *out_type, struct str *out)
{
	if (rest->n < 3)
		return false;
	size_t n = number_at(*rest, 1, 2);
	if (n > rest->n - 3)
		return false;
	*out_type = (uint8_t)rest->p[0];
	*rest = str_slice(*rest, 3, rest->n);
	*out = str_take(rest, n);
	return true;
}

enum { V2_ALPN = 1, V2_AUTHORITY = 2, V2_CRC32C = 3, V2_SSL = 0x20 };
enum { SSL_VERSION_TEXT = 0x21, SSL_NAME = 0x22, SSL_CIPHER_TEXT = 0x23 };
enum { SSL_BY_CLIENT = 1, SSL_CERT_ON_CONNECTION = 2, SSL_CERT_IN_SESSION = 4 };

static bool read_ssl(struct str value, struct proxy_header *h)
{
	uint8_t type;
	struct str item;
	if (value.n < 5)
		return false;
	unsigned client = (uint8_t)value.p[0];
	uint32_t verify = number_at(value, 1, 4);
	h->is_tls = client & SSL_BY_CLIENT;
	h->is_cert_verified = h->is_tls &&
			      (client & (SSL_CERT_ON_CONNECTION | SSL_CERT_IN_SESSION)) &&
			      verify == 0;
	value = str_slice(value, 5, value.n);
	while (value.n > 0) {
		if (!cut_value(&value, &type, &item))
			return false;
		if (type == SSL_VERSION_TEXT)
			h->tls_protocol = item;
		else if (type == SSL_NAME)
			h->cert_name = item;
		else if (type == SSL_CIPHER_TEXT)
			h->tls_cipher = item;
	}
	return true;
}

/* Types that are not ours are skipped: the specification wants it so. */
static bool read_values(struct str header, struct str rest, struct proxy_header *h)
{
	uint8_t type;
	struct str value;
	while (rest.n > 0) {
		if (!cut_value(&rest, &type, &value))
			return false;
		if (type == V2_ALPN)
			h->alpn = value;
		else if (type == V2_AUTHORITY)
			h->authority = value;
		else if (type == V2_SSL && !read_ssl(value, h))
			return false;
		else if (type == V2_CRC32C &&
			 (value.n != 4 || !sum_is_right(header, (size_t)(value.p - header.p))))
			return false;
	}
	return true;
}

static struct address address_at(struct str s, sa_family_t family, size_t at, size_t port_at)
{
	struct address a = { .family = family, .port = (uint16_t)number_at(s, port_at, 2) };
	memcpy(a.ip, s.p + at, family == AF_INET ? 4 : 16);
	return a;
}

/* Takes the addresses off the front of *rest. */
static bool cut_addresses(unsigned family, struct str *rest, struct proxy_header *h)
{
	/* The high half names the family, the low half stream or datagram. */
	size_t n = family >> 4 == 1 ? 4 : family >> 4 == 2 ? 16 : 0;
	size_t block = family >> 4 == 3 ? 216 : n * 2 + (n ? 4 : 0);
	if (rest->n < block)
		return false;
	struct str s = str_take(rest, block);
	if (n == 0 || (family & 15) != 1)
		return true;
	sa_family_t f = n == 4 ? AF_INET : AF_INET6;
	h->remote = address_at(s, f, 0, 2 * n);
	h->local = address_at(s, f, n, 2 * n + 2);
	h->has_addresses = true;
	return true;
}

static enum proxy_result parse_v2(struct str in, struct proxy_header *out, size_t *out_used)
{
	struct proxy_header h = { .has_addresses = false };
	if (in.n < V2_HEAD)
		return PROXY_MORE;
	unsigned command = (uint8_t)in.p[12], family = (uint8_t)in.p[13];
	size_t total = V2_HEAD + number_at(in, 14, 2);
	if (command >> 4 != 2 || (command & 15) > 1 || total > PROXY_HEADER_BYTES_MAX)
		return PROXY_INVALID;
	if (in.n < total)
		return PROXY_MORE;
	struct str header = str_slice(in, 0, total), rest = str_slice(in, V2_HEAD, total);
	/* LOCAL: a health check; what it says about addresses means nothing. */
	if ((command & 15) == 1 &&
		(!cut_addresses(family, &rest, &h) || !read_values(header, rest, &h)))
		return PROXY_INVALID;
	*out = h;
	*out_used = total;
	return PROXY_DONE;
}

enum proxy_result proxy_header_parse(struct str in, struct proxy_header *out, size_t *out_used)
{
	struct str v1 = STR("PROXY "), v2 = { signature, sizeof(signature) - 1 };
	if (str_starts(in, v1))
		return parse_v1(in, out, out_used);
	if (str_starts(in, v2))
		return parse_v2(in, out, out_used);
	return str_starts(v1, in) || str_starts(v2, in) ? PROXY_MORE : PROXY_INVALID;
}

/* ---- from a stream ---- */

enum err stream_read_proxy_header(struct op *op, struct stream *s, struct proxy_header *out)
{
	struct proxy_header h;
	size_t used;
	for (;;) {
		enum proxy_result r = proxy_header_parse(stream_input(s), &h, &used);
		if (r == PROXY_INVALID)
			return op_fail(op, ERR_INVALID, "no PROXY header");
		if (r == PROXY_DONE)
			break;
		TRY(stream_read_more(op, s));
	}
	h.alpn = str_dup(op->arena, h.alpn);
	h.authority = str_dup(op->arena, h.authority);
	h.cert_name = str_dup(op->arena, h.cert_name);
	h.tls_protocol = str_dup(op->arena, h.tls_protocol);
	h.tls_cipher = str_dup(op->arena, h.tls_cipher);
	stream_consume(s, used);
	if (h.has_addresses)
		stream_set_addresses(s, h.local, h.remote);
	*out = h;
	return ERR_NONE;
}
