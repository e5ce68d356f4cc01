/* SPDX-License-Identifier: Apache-2.0 */
/* Which op rows a new base lets go: storage contract §4. The head keeps one cover that waits until it is
 * an hour old; when it is, everything before its tail goes, and the last base's cover waits next. A row
 * is done when it is published, since its batch was carried out as a whole by then. */
#include "store/base_private.h"

static bool is_old(const struct head_base_place *place, int64_t wall_us)
{
	return place->made_wall_us > 0 && wall_us - place->made_wall_us >= BASE_HOUR_US;
}

static struct catalog_name limit_of(const struct head_base_place *place, int64_t wall_us)
{
	struct catalog_name limit = name_at_ms((int64_t)name_ms(place->cover) - STORE_TAIL_MS);
	struct catalog_name young = name_at_ms((wall_us - BASE_HOUR_US) / US_PER_MS);
	return name_cmp(limit, young) < 0 ? limit : young;
}

static void drop_before(
	struct batch *b, struct mailbox *m, struct head_base *head, struct catalog_name limit)
{
	uint32_t first, last;
	base_buckets_at(m, limit, &first, &last);
	for (uint32_t bucket = head->dropped_bucket; bucket <= last; bucket++) {
		struct catalog_change *change = batch_add(b, CATALOG_DELETE_OPS, m->guid);
		change->row.bucket = bucket;
		change->row.name = limit;
	}
	head->dropped = limit;
	head->dropped_bucket = MAX(first, head->dropped_bucket);
}

void base_put_drop(struct batch *b, struct mailbox *m, struct head_base *head)
{
	int64_t wall_us = now_wall_us();
	if (is_old(&head->previous, wall_us) || head->drop.made_wall_us == 0)
		head->drop = head->previous;
	if (!is_old(&head->drop, wall_us))
		return;
	struct catalog_name limit = limit_of(&head->drop, wall_us);
	/* What waits for a row that did not come stays readable. */
	if (!index_is_waiting(m->index) && name_cmp(limit, head->dropped) > 0)
		drop_before(b, m, head, limit);
	head->drop = head->previous;
}

/* ---- who reads meanwhile ---- */

/* Rows before this may go at any time, by bases that are known; whose heads were read long ago does not know all. */
static struct catalog_name may_be_dropped(const struct mailbox *m)
{
	const struct user *u = m->user;
	const struct user_base *b = user_base_of(u, m->guid);
	int64_t wall_us = now_wall_us();
	if (now_us() - u->heads_us > STORE_TAIL_MS * US_PER_MS)
		return name_at_ms((wall_us - BASE_HOUR_US) / US_PER_MS);
	return b ? limit_of(&b->head.base, wall_us) : (struct catalog_name){ { 0 } };
}

enum err base_find_dropped(
	struct op *op, const struct mailbox *m, struct catalog_name after, bool *out)
{
	*out = false;
	if (catalog_is_atomic(m->user->store->catalog) || name_cmp(after, may_be_dropped(m)) >= 0)
		return ERR_NONE;
	TRY(user_read_heads(op, m->user));
	*out = name_cmp(after, user_dropped(m->user, m->guid)) < 0;
	return ERR_NONE;
}
