/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses: text <-> value <-> sockaddr. An IPv4 address mapped into IPv6 is that IPv4 address. */
#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/number.h"

/* Longer than any address, shorter than anything else. */
#define ADDRESS_TEXT_MAX 64

static size_t ip_bytes(sa_family_t family)
{
	return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
}

static void unmap_ipv4(struct address *a)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };
	if (a->family != AF_INET6 || memcmp(a->ip, prefix, sizeof prefix) != 0)
		return;
	uint8_t ipv4[16] = { a->ip[12], a->ip[13], a->ip[14], a->ip[15] };
	memcpy(a->ip, ipv4, sizeof ipv4);
	a->family = AF_INET;
}

static bool ip_parse(struct str s, sa_family_t family, struct address *out)
{
	char text[ADDRESS_TEXT_MAX];
	struct address a = { .family = family };
	if (s.n >= sizeof text || str_has_nul(s))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	if (inet_pton(family, text, a.ip) != 1)
		return false;
	unmap_ipv4(&a);
	*out = a;
	return true;
}

static bool port_parse(struct str s, uint16_t *out)
{
	uint32_t port;
	if (!number_parse_u32(s, &port) || port > UINT16_MAX)
		return false;
	*out = (uint16_t)port;
	return true;
}

/* "[::1]" or "[::1]:143". */
static bool bracketed_parse(struct str s, struct address *out)
{
	struct str ip;
	struct address a;
	if (!str_skip(&s, STR("[")) || !str_cut(&s, ']', &ip) || !ip_parse(ip, AF_INET6, &a))
		return false;
	if (s.n > 0 && (!str_skip(&s, STR(":")) || !port_parse(s, &a.port)))
		return false;
	*out = a;
	return true;
}

bool address_parse(struct str s, struct address *out)
{
	struct str ip;
	struct address a;
	if (s.n == 0)
		return false;
	if (s.p[0] == '[')
		return bracketed_parse(s, out);
	if (ip_parse(s, AF_INET, out) || ip_parse(s, AF_INET6, out))
		return true;
	if (!str_cut(&s, ':', &ip) || !ip_parse(ip, AF_INET, &a) || !port_parse(s, &a.port))
		return false;
	*out = a;
	return true;
}

void address_put(struct buf *out, const struct address *a, bool with_port)
{
	char text[ADDRESS_TEXT_MAX];
	if (!ip_bytes(a->family) || !inet_ntop(a->family, a->ip, text, sizeof text))
		return;
	bool has_brackets = with_port && a->family == AF_INET6;
	if (has_brackets)
		buf_put_byte(out, '[');
	buf_put(out, str_from(text));
	if (has_brackets)
		buf_put_byte(out, ']');
	if (with_port) {
		buf_put_byte(out, ':');
		buf_put_u64_dec(out, a->port);
	}
}

struct str address_dup(struct arena *arena, const struct address *a)
{
	AUTO_BUF(text, 0);
	address_put(&text, a, false);
	return buf_dup(arena, &text);
}

bool address_is_loopback(const struct address *a)
{
	static const uint8_t ipv6_loopback[16] = { [15] = 1 };
	if (a->family == AF_INET)
		return a->ip[0] == 127;
	return a->family == AF_INET6 && memcmp(a->ip, ipv6_loopback, sizeof ipv6_loopback) == 0;
}

bool address_equal_ip(const struct address *a, const struct address *b)
{
	return a->family == b->family && memcmp(a->ip, b->ip, ip_bytes(a->family)) == 0;
}

bool network_parse(struct str s, struct network *out)
{
	struct str ip = s;
	struct network n;
	bool has_prefix = str_cut(&s, '/', &ip);
	if (!ip_parse(ip, AF_INET, &n.base) && !ip_parse(ip, AF_INET6, &n.base))
		return false;
	uint32_t bits = (uint32_t)ip_bytes(n.base.family) * 8;
	/* The prefix of a mapped IPv4 address would count other bits than ours. */
	bool is_mapped = n.base.family == AF_INET && str_find_byte(ip, ':') >= 0;
	if (has_prefix &&
		(is_mapped || !number_parse_u32(s, &n.prefix_bits) || n.prefix_bits > bits))
		return false;
	if (!has_prefix)
		n.prefix_bits = bits;
	*out = n;
	return true;
}

bool network_has(const struct network *n, const struct address *a)
{
	unsigned whole = n->prefix_bits / 8, rest = n->prefix_bits % 8;
	if (n->base.family != a->family || !ip_bytes(a->family) ||
		n->prefix_bits > ip_bytes(a->family) * 8)
		return false;
	if (memcmp(n->base.ip, a->ip, whole) != 0)
		return false;
	return rest == 0 || (n->base.ip[whole] ^ a->ip[whole]) >> (8 - rest) == 0;
}

void address_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct address *out)
{
	*out = (struct address){ 0 };
	if (len >= sizeof(struct sockaddr_in) && sa->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, sa, sizeof in);
		out->family = AF_INET;
		out->port = ntohs(in.sin_port);
		memcpy(out->ip, &in.sin_addr, 4);
	} else if (len >= sizeof(struct sockaddr_in6) && sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, sa, sizeof in6);
		out->family = AF_INET6;
		out->port = ntohs(in6.sin6_port);
		memcpy(out->ip, &in6.sin6_addr, 16);
		unmap_ipv4(out);
	}
}

socklen_t address_to_sockaddr(const struct address *a, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof *out);
	if (a->family == AF_INET) {
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(a->port) };
		memcpy(&in.sin_addr, a->ip, 4);
		memcpy(out, &in, sizeof in);
		return sizeof in;
	}
	if (a->family == AF_INET6) {
		struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(a->port) };
		memcpy(&in6.sin6_addr, a->ip, 16);
		memcpy(out, &in6, sizeof in6);
		return sizeof in6;
	}
	return 0;
}
