/* SPDX-License-Identifier: Apache-2.0 */
/* Mails that somebody saved in a mailbox after another had deleted it: the delete wins over what it knew,
 * not over what came later (contract §4, sheet storage §20.4 rule 6). They are saved again, in INBOX. */
#include "event/event.h"
#include "store/store_private.h"

struct rescue {
	struct index *index;
	struct catalog_name last; /* of what the delete takes with it */
	struct user *user;
	struct mailbox *inbox;
	size_t count;
};

static enum err fold_row(struct op *op, const struct catalog_row *row, void *arg)
{
	(void)op;
	if (index_fold(arg, row) != ERR_NONE)
		return ERR_NONE; /* unreadable: told by who queues its object */
	task_breathe();
	return ERR_NONE;
}

static enum err save_again(struct op *op, struct rescue *r, uint32_t at)
{
	struct store *s = r->user->store;
	const struct snapshot_hot *hot = index_hot(r->index, at);
	const struct snapshot_cold *cold = index_cold(r->index, at);
	const struct str *words;
	struct str keywords[ROW_KEYWORDS_MAX];
	struct append a = { .flags = hot->flags,
		.keywords = keywords,
		.received_wall_us = cold->received_wall_us };
	struct append_result result;
	size_t count = index_keywords(r->index, &words);
	for (size_t i = 0; i < count; i++)
		if (hot->keywords >> i & 1)
			keywords[a.keyword_count++] = words[i];
	struct str key = store_object_key(op->arena, r->user, cold->oid);
	enum err e = objects_get_range(op, s->objects, key, cold->offset, cold->length, &a.message);
	if (e == ERR_NOT_FOUND) {
		op_forgive(op);
		return ERR_NONE;
	}
	TRY(e);
	TRY(mailbox_append(op, r->inbox, &a, 1, &result));
	r->count++;
	return ERR_NONE;
}

static enum err save_all(struct op *op, struct rescue *r)
{
	for (uint32_t at = 0; at < index_count(r->index); at++) {
		if (index_is_ghost(index_hot(r->index, at)) ||
			name_cmp(index_cold(r->index, at)->name, r->last) <= 0)
			continue;
		struct arena_mark mark = arena_mark(op->arena);
		enum err e = save_again(op, r, at);
		arena_rewind(op->arena, mark);
		TRY(e);
	}
	return ERR_NONE;
}

static enum err rescue(
	struct op *op, struct rescue *r, const struct catalog_garbage *entry, uint32_t last_bucket)
{
	static const struct catalog_name all;
	struct user *u = r->user;
	TRY(catalog_read_rows(op, u->store->catalog, u->name, entry->mailbox, 0, last_bucket, all,
		fold_row, r->index));
	index_end_batches(r->index);
	TRY(mailbox_open(op, u, STR("INBOX"), &r->inbox));
	enum err e = save_all(op, r);
	mailbox_unref(r->inbox);
	return e;
}

enum err store_rescue_late(
	struct op *op, struct store *s, const struct catalog_garbage *entry, uint32_t last_bucket)
{
	struct rescue r = { .last = entry->row };
	TRY(user_open(op, s, entry->user, &r.user));
	r.index = index_new(entry->mailbox);
	enum err e = rescue(op, &r, entry, last_bucket);
	index_free(r.index);
	user_unref(r.user);
	if (r.count > 0)
		event_send(s->event, EVENT_INFO, "store_mail_rescued",
			"%zu mails of %.*s that came into a mailbox after it was deleted are in "
			"INBOX now",
			r.count, STRF(entry->user));
	return e;
}
