/* SPDX-License-Identifier: Apache-2.0 */
/* Is it the password? Hashes are computed off the loop, verdicts remembered.
 *
 * A user that does not exist costs the time of one that does: his password is checked against a decoy,
 * the hash of somebody whom this database knew before, or at first one of a usual kind. */
#include "auth/auth_private.h"
#include "base/number.h"
#include "crypto/password.h"
#include "task/task.h"

/* Of a random password that nobody knows. */
#define FIRST_DECOY                                                                                \
	"{SHA512-CRYPT}$6$Xb0yJ9mGdS2kQv5u$uMS1mDFcQu8QyNUXAHhaRLC4u4R0B5nIiYm2D3wOGxAkRW4oG3gSYh" \
	"0sCmX9rQ4f1oXr9bKzq3JrE1xEwJ9tM/"

struct hash_job {
	struct offload_job job;
	struct buf plain, stored, scheme, user;
	bool allows_weak, is_ok;
	enum err result;
};

static void hash_run(struct offload_job *job)
{
	struct hash_job *h = (struct hash_job *)job;
	struct password_context context = {
		.default_scheme = buf_str(&h->scheme),
		.user = buf_str(&h->user),
		.allows_weak = h->allows_weak,
	};
	h->result = password_verify(buf_str(&h->plain), buf_str(&h->stored), &context, &h->is_ok);
}

static void wipe(struct buf *b)
{
	if (b->p)
		mem_wipe(b->p, b->n);
	buf_done(b);
}

static void hash_release(struct offload_job *job)
{
	struct hash_job *h = (struct hash_job *)job;
	wipe(&h->plain);
	wipe(&h->stored);
	buf_done(&h->scheme);
	buf_done(&h->user);
	mem_free(h);
}

/* WAITS. */
static enum err compute(struct op *op, const struct auth_flow *flow, const struct auth_database *db,
	struct str stored, bool *out_ok, enum err *out_result)
{
	struct hash_job *h = MEM_NEW(struct hash_job);
	h->job = (struct offload_job){ .run = hash_run, .release = hash_release };
	buf_put(&h->plain, flow->request->password);
	buf_put(&h->stored, stored);
	buf_put(&h->scheme, db->default_scheme);
	buf_put(&h->user, flow->user);
	h->allows_weak = flow->setup->allows_weak_schemes;
	TRY(offload(op, OFFLOAD_CPU, &h->job));
	*out_result = h->result;
	*out_ok = h->is_ok;
	hash_release(&h->job);
	return ERR_NONE;
}

static void verdict_key(const struct auth_flow *flow, const struct auth_database *db,
	struct str stored, uint8_t out[AUTH_CACHE_KEY_BYTES])
{
	AUTO_BUF(tuple, 0);
	number_put_counted(&tuple, STR("verdict"));
	number_put_counted(&tuple, db->id);
	number_put_counted(&tuple, flow->user);
	number_put_counted(&tuple, stored);
	number_put_counted(&tuple, flow->request->password);
	auth_cache_key(flow->auth->cache, buf_str(&tuple), out);
	mem_wipe(tuple.p, tuple.n);
}

/* Plain text is compared faster than it is looked up. */
static bool is_worth_remembering(struct str stored)
{
	return str_starts(stored, STR("$")) ||
	       (str_starts(stored, STR("{")) && !str_starts_ci(stored, STR("{PLAIN}")) &&
		       !str_starts_ci(stored, STR("{CLEAR")));
}

static void keep_decoy(struct auth_database *db, struct str stored)
{
	if (str_has_nul(stored))
		return;
	db->is_quick = !is_worth_remembering(stored);
	if (db->is_quick)
		return;
	if (db->decoy)
		mem_wipe(db->decoy, strlen(db->decoy));
	mem_free(db->decoy);
	db->decoy = str_new_z(stored);
}

enum err auth_password_check(struct op *op, struct auth_flow *flow, struct auth_database *db,
	struct str stored, bool *out_ok)
{
	uint8_t key[AUTH_CACHE_KEY_BYTES];
	struct auth_cache *cache = flow->auth->cache;
	bool is_cached = cache && db->uses_cache && is_worth_remembering(stored), is_ok = false;
	enum err result;
	if (is_cached) {
		verdict_key(flow, db, stored, key);
		bool is_hit = auth_cache_get_verdict(cache, key, out_ok);
		auth_cache_count(cache, is_hit);
		if (is_hit)
			return ERR_NONE;
	}
	TRY(compute(op, flow, db, stored, &is_ok, &result));
	if (result != ERR_NONE)
		return op_fail(op, ERR_UNAVAILABLE,
			"passdb %.*s: the stored password of %.*s cannot be used: %s",
			STRF(db->name), STRF(flow->user),
			result == ERR_DENIED        ? "its scheme is weak (auth_allow_weak_schemes)"
			: result == ERR_UNSUPPORTED ? "its scheme is unknown"
						    : "it is malformed");
	keep_decoy(db, stored);
	/* A reload may have taken the cache away meanwhile. */
	if (is_cached && flow->auth->cache == cache)
		auth_cache_put_verdict(cache, key, flow->user, is_ok);
	*out_ok = is_ok;
	return ERR_NONE;
}

void auth_password_pretend(struct op *op, struct auth_flow *flow, struct auth_database *db)
{
	struct op_failure before = op->failure;
	enum err result;
	bool is_ok;
	if (db->is_quick)
		return;
	struct str decoy = db->decoy ? str_dup(op->arena, str_from(db->decoy)) : STR(FIRST_DECOY);
	/* Nothing of it matters but that it was computed. */
	(void)compute(op, flow, db, decoy, &is_ok, &result);
	op->failure = before;
}
