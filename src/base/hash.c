/* SPDX-License-Identifier: Apache-2.0 */
/* base/hash.c - hashes for tables, placement and checksums: see hash.h.
 *
 * Spec: SipHash (Aumasson, Bernstein 2012) with one compression and three finalisation rounds;
 *       FNV-1a with the 64-bit parameters; CRC-32C (polynomial 0x1edc6f41, reflected), RFC 3720
 * §12.1. */
#include "base/hash.h"

#include <pthread.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash_private.h"
#include "base/number.h"
#include "base/random.h"

static uint64_t seed[2];

static void make_seed(void)
{
	random_bytes(seed, sizeof(seed));
}

static void need_seed(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, make_seed); /* cannot fail with a valid `once` */
}

static uint64_t rotate_left(uint64_t v, int by)
{
	return v << by | v >> (64 - by);
}

struct sip {
	uint64_t a, b, c, d;
};

static void sip_round(struct sip *v)
{
	v->a += v->b;
	v->b = rotate_left(v->b, 13) ^ v->a;
	v->a = rotate_left(v->a, 32);
	v->c += v->d;
	v->d = rotate_left(v->d, 16) ^ v->c;
	v->a += v->d;
	v->d = rotate_left(v->d, 21) ^ v->a;
	v->c += v->b;
	v->b = rotate_left(v->b, 17) ^ v->c;
	v->c = rotate_left(v->c, 32);
}

static void sip_word(struct sip *v, uint64_t word)
{
	v->d ^= word;
	sip_round(v);
	v->a ^= word;
}

uint64_t hash_siphash13(uint64_t k0, uint64_t k1, struct str s)
{
	struct sip v = {
		k0 ^ UINT64_C(0x736f6d6570736575),
		k1 ^ UINT64_C(0x646f72616e646f6d),
		k0 ^ UINT64_C(0x6c7967656e657261),
		k1 ^ UINT64_C(0x7465646279746573),
	};
	uint64_t last = (uint64_t)s.n << 56;

	for (; s.n >= 8; s.p += 8, s.n -= 8)
		sip_word(&v, get_le64(s.p));
	for (size_t i = 0; i < s.n; i++)
		last |= (uint64_t)(uint8_t)s.p[i] << (8 * i);
	sip_word(&v, last);
	v.c ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(&v);
	return v.a ^ v.b ^ v.c ^ v.d;
}

uint64_t hash_bytes(struct str s)
{
	need_seed();
	return hash_siphash13(seed[0], seed[1], s);
}

uint64_t hash_u64(uint64_t v)
{
	char bytes[8];

	put_le64(bytes, v);
	return hash_bytes((struct str){ bytes, sizeof(bytes) });
}

uint64_t hash_stable(struct str s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (uint8_t)s.p[i]) * UINT64_C(0x100000001b3);
	return h;
}

static uint32_t crc_table[256];

static void make_crc_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
		crc_table[i] = crc;
	}
}

uint32_t hash_crc32c_table(uint32_t crc, struct str s)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, make_crc_table); /* cannot fail with a valid `once` */
	crc = ~crc;
	for (size_t i = 0; i < s.n; i++)
		crc = crc >> 8 ^ crc_table[(crc ^ (uint8_t)s.p[i]) & 0xff];
	return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, struct str s)
{
	uint64_t wide = ~crc;

	for (; s.n >= 8; s.p += 8, s.n -= 8)
		wide = __builtin_ia32_crc32di(wide, get_le64(s.p));
	crc = (uint32_t)wide;
	for (size_t i = 0; i < s.n; i++)
		crc = __builtin_ia32_crc32qi(crc, (uint8_t)s.p[i]);
	return ~crc;
}
#endif

uint32_t hash_crc32c(uint32_t crc, struct str s)
{
#if defined(__x86_64__)
	if (LIKELY(__builtin_cpu_supports("sse4.2")))
		return crc32c_sse42(crc, s);
#endif
	return hash_crc32c_table(crc, s);
}
