/* SPDX-License-Identifier: Apache-2.0 */
/* Those whose head we ended: until when their rows may come.
 *
 * A is cut off from us and lives; B takes over, ends A's head and closes. A acknowledges mail without knowing,
 * and dies before he looks: nobody tells of it. The rule that finds it:
 *   1. A looked, and saw his head, before it was ended. Whoever did not look for refresh_us looks before he
 *      writes (user_look()); who learns while he writes that it was ended, or did not look for refresh_us
 *      and STORE_WRITE_US when it is done, puts his open head again before he acknowledges. So what he acknowledges
 *      is durable at most STORE_LATE_US after his end, or an open head tells of it.
 *   2. B's heads, open and closed, say so from the batch on that ends A: late_ms, the end of that time.
 *   3. Heads with late_ms are no clean hand-over: whoever opens the mailbox reads the tail, from before A's
 *      end, and before the cover of such a head: A's own, which says that he was slow, has the names of what
 *      he wrote above it. He takes over if something is there that the floors do not cover. Who looked after late_ms
 *      has seen all of it: his next head says 0, and from then on local files are trusted again.
 * Also one who is dead (of this host: his lock is ours) is waited for: nobody was told that what he still had
 * on its way is done, but all who look afterwards show the same.
 *
 * What nobody was told that it is done (its writer died, or said NO) may be carried out hours later, by a
 * node that was away: a duplicate, a flag, an expunge. Whoever reads the journal then, and finds it behind
 * what floors cover, tells all by merge rows (came_late()). */
#include "store/tail_private.h"

#include "base/hash.h"

static const struct catalog_guid root_scope;

static bool is_same(const struct catalog_guid *a, const struct catalog_guid *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool user_has_living(const struct user *u, struct catalog_guid mailbox)
{
	uint64_t host = hash_stable(u->store->settings.host);
	for (size_t i = 0; i < u->head_count; i++)
		if (u->heads[i].writer != u->writer && u->heads[i].head.is_open &&
			u->heads[i].head.host != host && is_same(&u->heads[i].mailbox, &mailbox))
			return true;
	return false;
}

int64_t user_late_until(const struct user *u)
{
	return (now_wall_us() + STORE_LATE_US(u->store)) / US_PER_MS;
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

int64_t user_late_from(const struct user *u, struct catalog_guid mailbox, int64_t own, int64_t seen)
{
	int64_t late_ms = user_late_ms(u, mailbox, own, seen);
	if (late_ms == 0)
		return INT64_MAX;
	int64_t from_ms = late_ms - STORE_LATE_US(u->store) / US_PER_MS;
	for (size_t i = 0; i < u->head_count; i++)
		if (is_same(&u->heads[i].mailbox, &mailbox) &&
			u->heads[i].head.late_ms >= (uint64_t)seen)
			from_ms = MIN(from_ms, (int64_t)name_ms(u->heads[i].head.cover));
	return from_ms - STORE_TAIL_MS;
}

void mailbox_end_others(struct batch *b, struct mailbox *m)
{
	struct user *u = m->user;
	bool is_atomic = catalog_is_atomic(u->store->catalog);
	/* Somebody ended us since we began, or closed with what we have not seen: his head stays. */
	if (!is_atomic && (!m->is_claimed || !mailbox_has_seen_closed(m))) {
		mailbox_put_open_head(b, m);
		m->must_take_over = true;
		return;
	}
	if (!is_atomic && user_handover(u, m->guid).is_open) {
		m->late_ms = user_late_until(u);
		if (user_has_living(u, m->guid))
			mailbox_put_open_head(b, m);
	}
	uint32_t open_to = is_atomic ? UINT32_MAX : m->floor_uid;
	user_delete_foreign_heads(b, m->guid, open_to, RANK_LAST_HEADS);
	/* Who went above our floor since, in heads that were read meanwhile, was not ended: his UIDs are his. */
	m->must_take_over = m->must_take_over || user_handover(u, m->guid).limit_uid > open_to;
}

/* Our head is there, or stands in the batch; if heads were read while that was written, only they tell: the batch may
 * have been carried out long ago, and our head ended since. */
static bool is_claimed(const struct batch *b, const struct catalog_guid *scope)
{
	const struct user *u = b->user;
	const struct mailbox *m = user_find_mailbox(u, *scope);
	char own[HEAD_OPEN_SIZE];
	struct str key = head_writer_key(u->writer, own);
	for (size_t i = 0; i < b->count && b->head_reads == u->head_reads; i++)
		if (b->changes[i].kind == CATALOG_PUT_HEAD && str_eq(b->changes[i].key, key) &&
			is_same(&b->changes[i].mailbox, scope))
			return true;
	if (is_same(scope, &root_scope))
		return u->has_claimed_root;
	return !m || !m->is_loaded || m->is_claimed;
}

bool batch_may_be_ended(const struct batch *b)
{
	const struct user *u = b->user;
	struct catalog_guid known = { { 0 } };
	bool has_known = false;
	if (catalog_is_atomic(u->store->catalog))
		return false;
	bool is_late = now_us() - u->heads_us > u->store->settings.refresh_us + STORE_WRITE_US;
	for (size_t i = 0; i < b->count; i++) {
		const struct catalog_guid *scope = &b->changes[i].mailbox;
		if (b->changes[i].kind != CATALOG_PUT_ROW)
			continue;
		if (is_late)
			return true;
		if (has_known && is_same(&known, scope))
			continue;
		if (!is_claimed(b, scope))
			return true;
		known = *scope;
		has_known = true;
	}
	return false;
}

/* Others look as far back as our head says, also when we have closed. */
static void note_late_rows(const struct batch *b)
{
	static const struct catalog_name none;
	for (size_t i = 0; i < b->count; i++) {
		struct mailbox *m = user_find_mailbox(b->user, b->changes[i].mailbox);
		if (b->changes[i].kind != CATALOG_PUT_ROW || !m || !m->is_loaded)
			continue;
		if (mailbox_late_ms(m) == 0)
			m->late_row = none;
		m->late_ms = user_late_until(b->user);
		if (name_is_none(m->late_row) || name_cmp(b->changes[i].row.name, m->late_row) < 0)
			m->late_row = b->changes[i].row.name;
	}
}

enum err user_claim_again(struct op *op, const struct batch *b)
{
	struct user *u = b->user;
	struct batch *again = batch_new(u);
	struct catalog_guid last = root_scope;
	bool is_tree = false;
	note_late_rows(b);
	for (size_t i = 0; i < b->count; i++) {
		struct catalog_guid scope = b->changes[i].mailbox;
		if (b->changes[i].kind != CATALOG_PUT_ROW)
			continue;
		is_tree = is_tree || is_same(&scope, &root_scope);
		struct mailbox *m = user_find_mailbox(u, scope);
		if (!m || !m->is_loaded || is_same(&scope, &last))
			continue;
		last = scope;
		mailbox_put_open_head(again, m);
	}
	if (is_tree) {
		u->tree_late_ms = user_late_until(u);
		tree_put_open_head(again, u);
	}
	store_stamp_changes(u->store, again->changes, again->count);
	enum err e = catalog_write(op, u->store->catalog, u->name, again->changes, again->count);
	batch_free(again);
	return e;
}
