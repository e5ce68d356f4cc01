/* SPDX-License-Identifier: Apache-2.0 */
/* The memory account: see account.h. */
#include "base/account.h"

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/account_private.h"
#include "base/base.h"

#define LUMP_BYTES INT64_C(65536)

static int64_t total;
static uint64_t limit_bytes;
static __thread int64_t pending;
static account_relief_fn *relief;
static void *relief_arg;

static uint64_t tight_bytes(void)
{
	return limit_bytes - limit_bytes / 8;
}

static _Noreturn void above_all(void)
{
	static const char text[] = "memory account: a quarter above its limit, giving up\n";
	ssize_t written = write(STDERR_FILENO, text, sizeof(text) - 1);
	(void)written; /* we abort anyway */
	assert_backtrace(STDERR_FILENO);
	abort();
}

void account_count(int64_t bytes)
{
	pending += bytes;
	if (LIKELY(pending < LUMP_BYTES && pending > -LUMP_BYTES))
		return;
	int64_t now = __atomic_add_fetch(&total, pending, __ATOMIC_RELAXED);
	bool has_grown = pending > 0;
	pending = 0;
	if (has_grown && limit_bytes > 0 && now > (int64_t)(limit_bytes + limit_bytes / 4))
		above_all();
}

void account_set_limit(uint64_t bytes)
{
	limit_bytes = MIN(bytes, (uint64_t)INT64_MAX / 2);
}

uint64_t account_limit(void)
{
	return limit_bytes;
}

uint64_t account_used(void)
{
	int64_t now = __atomic_load_n(&total, __ATOMIC_RELAXED) + pending;
	return now > 0 ? (uint64_t)now : 0;
}

void account_take(size_t bytes)
{
	account_count((int64_t)MIN(bytes, (size_t)INT64_MAX));
}

void account_give(size_t bytes)
{
	account_count(-(int64_t)MIN(bytes, (size_t)INT64_MAX));
}

bool account_has_room(uint64_t bytes)
{
	uint64_t used = account_used();
	return limit_bytes == 0 || (used < tight_bytes() && bytes <= tight_bytes() - used);
}

enum err account_admit(struct op *op, uint64_t bytes)
{
	if (account_has_room(bytes))
		return ERR_NONE;
	enum err e = op_fail(op, ERR_UNAVAILABLE,
		"memory account: %" PRIu64 " bytes more do not fit, %" PRIu64 " of %" PRIu64
		" are used",
		bytes, account_used(), limit_bytes);
	op_tell_client(op, "The server is short of memory, try again later");
	return e;
}

void account_on_tight(account_relief_fn *fn, void *arg)
{
	relief = fn;
	relief_arg = arg;
}

bool account_relieve(void)
{
	if (account_has_room(0))
		return false;
	if (relief)
		relief(relief_arg);
	malloc_trim(0);
	return true;
}
