/* SPDX-License-Identifier: Apache-2.0 */
/* base/random.c - random numbers: see random.h.
 *
 * Each thread reads ahead from getrandom() and wipes what it handed out. A forked child forgets
 * what was read ahead, so that it never repeats its parent's numbers. The seeded stream is
 * SplitMix64 and is for processes of one thread. */
#include "base/random.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>

#include "base/assert.h"
#include "base/mem.h"

#define AHEAD_BYTES 512

static _Thread_local struct {
	unsigned char bytes[AHEAD_BYTES];
	size_t left; /* the last `left` bytes are unused */
} ahead;

static bool is_seeded;
static uint64_t seeded_state;

static void forget(void)
{
	mem_wipe(&ahead, sizeof(ahead));
}

static void watch_forks(void)
{
	int rc = pthread_atfork(NULL, NULL, forget);

	ASSERT(rc == 0);
}

static void fill_from_kernel(unsigned char *out, size_t n)
{
	while (n > 0) {
		ssize_t got = getrandom(out, n, 0);
		ASSERT(got > 0 || errno == EINTR);
		if (got > 0) {
			out += got;
			n -= (size_t)got;
		}
	}
}

static uint64_t next_seeded(void)
{
	uint64_t z = seeded_state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void seeded_bytes(unsigned char *out, size_t n)
{
	while (n > 0) {
		uint64_t v = next_seeded();
		size_t part = MIN(n, sizeof(v));
		memcpy(out, &v, part);
		out += part;
		n -= part;
	}
}

void random_bytes(void *out, size_t n)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (UNLIKELY(is_seeded)) {
		seeded_bytes(out, n);
		return;
	}
	if (n > AHEAD_BYTES) {
		fill_from_kernel(out, n);
		return;
	}
	if (n > ahead.left) {
		(void)pthread_once(&once, watch_forks); /* cannot fail with a valid `once` */
		fill_from_kernel(ahead.bytes, AHEAD_BYTES);
		ahead.left = AHEAD_BYTES;
	}
	unsigned char *from = ahead.bytes + AHEAD_BYTES - ahead.left;
	if (n > 0) {
		memcpy(out, from, n); /* n <= left */
		mem_wipe(from, n);
	}
	ahead.left -= n;
}

uint64_t random_u64(void)
{
	uint64_t v;

	random_bytes(&v, sizeof(v));
	return v;
}

uint64_t random_below(uint64_t limit)
{
	ASSERT(limit > 0);
	uint64_t unfair = (UINT64_MAX - limit + 1) % limit; /* 2^64 mod limit */

	for (;;) {
		uint64_t v = random_u64();
		if (v >= unfair) /* what is left is a multiple of limit */
			return v % limit;
	}
}

void random_set_seed(uint64_t seed)
{
	is_seeded = true;
	seeded_state = seed;
}
