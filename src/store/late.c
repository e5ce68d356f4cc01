/* SPDX-License-Identifier: Apache-2.0 */
/* Those whose head we ended, and who may live: until when their rows may come.
 *
 * A is cut off from us and lives; B takes over, ends A's head and closes. A acknowledges mail without knowing,
 * and dies before he looks: nobody tells of it. The rule that finds it:
 *   1. A looked, and saw his head, before it was ended. Whoever did not look for refresh_us looks before he
 *      writes (user_look()); whose write took so long that refresh_us and STORE_WRITE_US passed since he
 *      looked puts his open head again before he acknowledges (user_claim_again()). So what he acknowledges
 *      is durable at most STORE_LATE_US after his end, or an open head tells of it.
 *   2. B's heads, open and closed, say so from the batch on that ends A: late_ms, the end of that time.
 *   3. Heads with late_ms are no clean hand-over: whoever opens the mailbox reads the tail, from before A's
 *      end, and takes over if something is there that the floors do not cover. Who looked after late_ms
 *      has seen all of it: his next head says 0, and from then on local files are trusted again.
 * A's that are dead (of this host: his lock is ours) had nothing acknowledged later, and cost nothing.
 *
 * What nobody was told that it is done (its writer died, or said NO) may be carried out hours later, by a
 * node that was away: a duplicate, a flag, an expunge. Whoever reads the journal then, and finds it behind
 * what floors cover, tells all by merge rows (came_late()). */
#include "store/tail_private.h"

#include "base/hash.h"

static const struct catalog_guid root_scope;

bool user_has_living(const struct user *u, struct catalog_guid mailbox)
{
	uint64_t host = hash_stable(u->store->settings.host);
	for (size_t i = 0; i < u->head_count; i++)
		if (u->heads[i].writer != u->writer && u->heads[i].head.is_open &&
			u->heads[i].head.host != host &&
			memcmp(&u->heads[i].mailbox, &mailbox, sizeof(mailbox)) == 0)
			return true;
	return false;
}

int64_t user_late_ms(const struct user *u, struct catalog_guid mailbox, int64_t own, int64_t seen)
{
	int64_t late_ms = MAX(own, user_handover(u, mailbox).late_ms);
	return late_ms < seen ? 0 : late_ms;
}

int64_t mailbox_late_ms(const struct mailbox *m)
{
	return user_late_ms(m->user, m->guid, m->late_ms, m->seen_ms);
}

void mailbox_end_others(struct batch *b, struct mailbox *m)
{
	struct user *u = m->user;
	if (!catalog_is_atomic(u->store->catalog) && user_has_living(u, m->guid)) {
		m->late_ms = (now_wall_us() + STORE_LATE_US(u->store)) / US_PER_MS;
		mailbox_put_open_head(b, m);
	}
	user_delete_foreign_heads(b, m->guid, true, RANK_LAST_HEADS);
}

enum err user_claim_again(struct op *op, const struct batch *b)
{
	struct user *u = b->user;
	struct batch *again = batch_new(u);
	struct catalog_guid last = root_scope;
	bool is_tree = false;
	for (size_t i = 0; i < b->count; i++) {
		struct catalog_guid scope = b->changes[i].mailbox;
		if (b->changes[i].kind != CATALOG_PUT_ROW)
			continue;
		is_tree = is_tree || memcmp(&scope, &root_scope, sizeof(scope)) == 0;
		struct mailbox *m = user_find_mailbox(u, scope);
		if (!m || !m->is_loaded || memcmp(&scope, &last, sizeof(scope)) == 0)
			continue;
		last = scope;
		mailbox_put_open_head(again, m);
	}
	if (is_tree)
		tree_put_open_head(again, u);
	store_stamp_changes(u->store, again->changes, again->count);
	enum err e = catalog_write(op, u->store->catalog, u->name, again->changes, again->count);
	batch_free(again);
	return e;
}
