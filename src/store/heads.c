/* SPDX-License-Identifier: Apache-2.0 */
/* What the heads say about a user's mailboxes: who writes them or closed them, behind which names dead
 * writers do not count, into which bucket appends go. Kept from the opening on, corrected by what this
 * process writes. */
#include "store/store_private.h"

enum err user_keep_head(struct op *op, struct user *u, const struct catalog_head *head)
{
	struct user_head h = { .mailbox = head->mailbox };
	struct user_bucket b = { .mailbox = head->mailbox };
	struct catalog_name last;
	uint32_t writer;
	if (head_is_writer_key(head->key, &h.writer)) {
		enum err e = head_writer_decode(head->value, &h.head);
		if (e != ERR_NONE)
			return op_fail(op, e, "a writer head cannot be read");
		u->heads = mem_resize(u->heads, (u->head_count + 1) * sizeof(*u->heads));
		u->heads[u->head_count++] = h;
	} else if (head_is_fence_key(head->key, &writer)) {
		enum err e = head_fence_decode(head->value, &last);
		if (e != ERR_NONE)
			return op_fail(op, e, "a fence head cannot be read");
		user_add_fence(u, head->mailbox, writer, last);
	} else if (str_eq(head->key, HEAD_BUCKET)) {
		enum err e = head_bucket_decode(head->value, &b.bucket);
		if (e != ERR_NONE)
			return op_fail(op, e, "a bucket head cannot be read");
		user_set_bucket(u, b.mailbox, b.bucket);
	}
	return user_keep_base(op, u, head);
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

const struct user_fence *user_fence_of(
	const struct user *u, struct catalog_guid mailbox, uint32_t writer)
{
	for (size_t i = 0; i < u->fence_count; i++)
		if (u->fences[i].writer == writer &&
			memcmp(&u->fences[i].mailbox, &mailbox, sizeof(mailbox)) == 0)
			return &u->fences[i];
	return NULL;
}

void user_add_fence(
	struct user *u, struct catalog_guid mailbox, uint32_t writer, struct catalog_name last)
{
	if (user_fence_of(u, mailbox, writer))
		return;
	u->fences = mem_resize(u->fences, (u->fence_count + 1) * sizeof(*u->fences));
	u->fences[u->fence_count++] = (struct user_fence){ mailbox, writer, last };
}

struct catalog_name user_mint(struct user *u)
{
	u->store->clock.writer = u->writer;
	return name_mint(&u->store->clock, now_wall_us());
}

uint32_t user_last_bucket(const struct user *u, struct catalog_guid mailbox)
{
	return user_bucket_of(u, mailbox) + 1;
}
