/* SPDX-License-Identifier: Apache-2.0 */
/* What the heads say about a user's mailboxes: who writes them or closed them, up to which UIDs, and into
 * which bucket appends go. Kept from the opening on, corrected by what this process writes, and read again
 * where it matters that nobody else came (storage contract §6). */
#include "store/store_private.h"

enum err user_keep_head(struct op *op, struct user *u, const struct catalog_head *head)
{
	struct user_head h = { .mailbox = head->mailbox, .stamp_us = head->stamp_us };
	struct user_bucket b = { .mailbox = head->mailbox };
	if (head_is_writer_key(head->key, &h.writer)) {
		enum err e = head_writer_decode(head->value, &h.head);
		if (e != ERR_NONE)
			return op_fail(op, e, "a writer head cannot be read");
		u->heads = mem_resize(u->heads, (u->head_count + 1) * sizeof(*u->heads));
		u->heads[u->head_count++] = h;
	} else if (str_eq(head->key, HEAD_BUCKET)) {
		enum err e = head_bucket_decode(head->value, &b.bucket);
		if (e != ERR_NONE)
			return op_fail(op, e, "a bucket head cannot be read");
		user_set_bucket(u, b.mailbox, b.bucket);
	}
	return user_keep_base(op, u, head);
}

static bool has_own_open(const struct user *u, struct catalog_guid mailbox)
{
	for (size_t i = 0; i < u->head_count; i++)
		if (u->heads[i].writer == u->writer && u->heads[i].head.is_open &&
			memcmp(&u->heads[i].mailbox, &mailbox, sizeof(mailbox)) == 0)
			return true;
	return false;
}

/* Who took over may have ended our heads: then they are written again before the next row. */
static void forget_claims(struct user *u)
{
	static const struct catalog_guid root;
	for (struct list *at = u->mailboxes.next; at != &u->mailboxes; at = at->next) {
		struct mailbox *m = CONTAINER_OF(at, struct mailbox, link);
		if (!m->is_claimed || has_own_open(u, m->guid))
			continue;
		m->is_claimed = m->is_checked = false;
		m->must_take_over = true;
	}
	u->has_claimed_root = u->has_claimed_root && has_own_open(u, root);
}

/* Another host deleted the user: nothing of him is written any more, and his sessions end. */
static void user_end(struct user *u)
{
	u->is_deleted = true;
	for (struct list *at = u->mailboxes.next; at != &u->mailboxes; at = at->next) {
		struct mailbox *m = CONTAINER_OF(at, struct mailbox, link);
		m->state = CLOSING;
		mailbox_mark_removed(m);
	}
}

/* Is he the one that was opened? The next of his name has a greater generation. */
static enum err check_generation(
	struct op *op, struct user *u, const struct catalog_head *heads, size_t count)
{
	struct str root;
	struct head_generation g;
	TRY(user_find_root(op, heads, count, &root, &g));
	if (root.p && !g.is_deleting && g.generation <= u->tree.generation) {
		u->root_object = root_object_of(root);
		return ERR_NONE;
	}
	user_end(u);
	return op_fail(op, ERR_UNAVAILABLE, "another host deleted the user");
}

enum err user_read_heads(struct op *op, struct user *u)
{
	struct catalog_head *heads;
	size_t count;
	uint64_t changes;
	int64_t begin_us;
	do { /* what was written meanwhile may be missing in what was read */
		changes = u->head_changes;
		begin_us = now_us();
		TRY(catalog_read_heads(op, u->store->catalog, u->name, &heads, &count));
	} while (changes != u->head_changes);
	TRY(check_generation(op, u, heads, count));
	struct user before = *u;
	u->heads = NULL;
	u->bases = NULL;
	u->head_count = u->base_count = 0;
	enum err e = ERR_NONE;
	for (size_t i = 0; e == ERR_NONE && i < count; i++)
		e = user_keep_head(op, u, &heads[i]);
	if (e != ERR_NONE) {
		mem_free(u->heads);
		mem_free(u->bases);
		u->heads = before.heads;
		u->head_count = before.head_count;
		u->bases = before.bases;
		u->base_count = before.base_count;
		return e;
	}
	mem_free(before.heads);
	mem_free(before.bases);
	u->heads_us = begin_us;
	u->head_reads++;
	u->must_look = false;
	forget_claims(u);
	return ERR_NONE;
}

void user_delete_foreign_heads(
	struct batch *b, struct catalog_guid mailbox, uint32_t open_to, enum batch_rank rank)
{
	const struct user *u = b->user;
	char key[HEAD_OPEN_SIZE];
	for (size_t i = 0; i < u->head_count; i++) {
		const struct user_head *h = &u->heads[i];
		bool is_kept = h->head.is_open && (open_to == 0 || h->head.limit_uid > open_to);
		if (h->writer == u->writer || is_kept ||
			memcmp(&h->mailbox, &mailbox, sizeof(mailbox)) != 0)
			continue;
		batch_delete_head(b, mailbox, head_writer_key(h->writer, key));
		b->changes[b->count - 1].stamp_us = h->stamp_us;
		if (rank != RANK_USUAL)
			batch_last(b)->rank = rank;
	}
}

uint32_t user_bucket_of(const struct user *u, struct catalog_guid mailbox)
{
	for (size_t i = 0; i < u->bucket_count; i++)
		if (memcmp(&u->buckets[i].mailbox, &mailbox, sizeof(mailbox)) == 0)
			return u->buckets[i].bucket;
	return 0;
}

void user_set_bucket(struct user *u, struct catalog_guid mailbox, uint32_t bucket)
{
	for (size_t i = 0; i < u->bucket_count; i++) {
		if (memcmp(&u->buckets[i].mailbox, &mailbox, sizeof(mailbox)) != 0)
			continue;
		u->buckets[i].bucket = MAX(u->buckets[i].bucket, bucket);
		return;
	}
	u->buckets = mem_resize(u->buckets, (u->bucket_count + 1) * sizeof(*u->buckets));
	u->buckets[u->bucket_count++] = (struct user_bucket){ mailbox, bucket };
}

void user_drop_head(struct user *u, struct catalog_guid mailbox, uint32_t writer)
{
	size_t kept = 0;
	u->head_changes++;
	for (size_t i = 0; i < u->head_count; i++)
		if (u->heads[i].writer != writer ||
			memcmp(&u->heads[i].mailbox, &mailbox, sizeof(mailbox)) != 0)
			u->heads[kept++] = u->heads[i];
	u->head_count = kept;
}

void user_set_head(struct user *u, const struct user_head *own)
{
	user_drop_head(u, own->mailbox, own->writer);
	u->heads = mem_resize(u->heads, (u->head_count + 1) * sizeof(*u->heads));
	u->heads[u->head_count++] = *own;
}

struct catalog_name user_mint(struct user *u)
{
	u->store->clock.writer = u->writer;
	return name_mint(&u->store->clock, store_name_wall_us(u->store));
}

uint32_t user_last_bucket(const struct user *u, struct catalog_guid mailbox)
{
	return user_bucket_of(u, mailbox) + 1;
}
