/* SPDX-License-Identifier: Apache-2.0 */
/* Reading what a mail is: its summary from the local file, its bytes from the object store. */
#include "store/store_private.h"

#include "message/summary.h"

/* What is needed of a mail, copied: the record may move while we wait. */
struct place {
	struct snapshot_cold cold;
	uint32_t uid;
	bool is_expunged;
};

static enum err find_place(
	struct op *op, const struct view *v, const struct mail *mail, struct place *out)
{
	const struct index *x = v->mailbox->index;
	uint32_t at;
	if (!index_find(x, mail->uid, &at)) {
		enum err e = op_fail(op, ERR_NOT_FOUND, "UID %" PRIu32 " is expunged", mail->uid);
		op_tell_client(op, "Message no longer exists");
		return e;
	}
	*out = (struct place){ *index_cold(x, at), mail->uid, index_is_ghost(index_hot(x, at)) };
	return ERR_NONE;
}

/* The mail's bytes in those of its object. */
static enum err cut_mail(
	struct op *op, const struct place *place, struct str key, struct str bytes, struct str *out)
{
	uint64_t end = (uint64_t)place->cold.offset + place->cold.length;
	if (end > bytes.n)
		return op_fail(op, ERR_CORRUPT, "object %.*s has %zu bytes, the row says %" PRIu64,
			STRF(key), bytes.n, end);
	*out = str_slice(bytes, place->cold.offset, (size_t)end);
	return ERR_NONE;
}

/* WAITS. Another host may have expunged it, long before this one looks again (a process that stood still). */
static enum err explain_loss(
	struct op *op, struct view *v, const struct place *place, struct str key)
{
	struct mailbox *m = v->mailbox;
	if (place->is_expunged || m->is_removed) /* removed while we read */
		return ERR_NOT_FOUND;
	op_forgive(op);
	TRY(mailbox_refresh(op, m));
	if (m->is_removed || index_is_gone(m->index, place->cold.name))
		return op_fail(op, ERR_NOT_FOUND, "UID %" PRIu32 " is expunged", place->uid);
	return op_fail(
		op, ERR_CORRUPT, "object %.*s of UID %" PRIu32 " is lost", STRF(key), place->uid);
}

/* WAITS. */
static enum err read_object(
	struct op *op, struct view *v, const struct place *place, struct str *out)
{
	struct user *u = v->mailbox->user;
	struct str key = store_object_key(op->arena, u, place->cold.oid), bytes;
	enum err e = objects_get(op, u->store->objects, key, ROW_MESSAGE_SIZE_MAX, &bytes);
	if (e == ERR_NOT_FOUND)
		return explain_loss(op, v, place, key);
	TRY(e);
	return cut_mail(op, place, key, bytes, out);
}

enum err view_read_body(struct op *op, struct view *v, const struct mail *mail, struct str *out)
{
	struct place place;
	TRY(find_place(op, v, mail, &place));
	return read_object(op, v, &place, out);
}

bool view_is_remote(const struct view *v)
{
	return objects_is_remote(v->mailbox->user->store->objects);
}

enum err view_read_bodies(struct op *op, struct view *v, const struct mail *mails, size_t count,
	struct str *out_bodies)
{
	struct user *u = v->mailbox->user;
	struct object_read *reads = ARENA_NEW_ARRAY(op->arena, struct object_read, MAX(count, 1));
	struct place *places = ARENA_NEW_ARRAY(op->arena, struct place, MAX(count, 1));
	size_t *wanted = ARENA_NEW_ARRAY(op->arena, size_t, MAX(count, 1)), n = 0;
	for (size_t i = 0; i < count; i++) {
		out_bodies[i] = STR_NONE;
		if (find_place(op, v, &mails[i], &places[n]) != ERR_NONE)
			continue;
		reads[n].key = store_object_key(op->arena, u, places[n].cold.oid);
		reads[n].length = ROW_MESSAGE_SIZE_MAX;
		wanted[n++] = i;
	}
	TRY(objects_get_many(op, u->store->objects, reads, n));
	for (size_t i = 0; i < n; i++) {
		if (reads[i].result == ERR_NONE)
			(void)cut_mail(op, &places[i], reads[i].key, reads[i].body,
				&out_bodies[wanted[i]]); /* who needs it asks again */
	}
	op_forgive(op);
	return ERR_NONE;
}

/* WAITS. From the mail itself; kept, so that it happens once. */
static enum err remake(struct op *op, struct view *v, const struct place *place, struct str *out)
{
	struct mailbox *m = v->mailbox;
	struct str mail;
	uint64_t ignored;
	TRY(read_object(op, v, place, &mail));
	AUTO_BUF(summary, 0);
	summary_make(mail, &summary, &ignored);
	m->user->store->counters.summary_misses++;
	summary_keep(m, place->uid, buf_str(&summary));
	local_write(m);
	*out = buf_dup(op->arena, &summary);
	return ERR_NONE;
}

/* WAITS. From the segment of a base, which is in the local file afterwards. *out stays empty when no base
 * has it, or none can be read: then the mail is. */
static enum err read_from_base(struct op *op, struct view *v, const struct mail *mail,
	struct place *place, struct str *out)
{
	*out = STR_NONE;
	enum err e = base_fetch_summary(op, v->mailbox, place->uid);
	if (e == ERR_NONE) {
		TRY(find_place(op, v, mail, place));
		e = summary_read(op, v->mailbox, &place->cold, place->uid, out);
	}
	if (e == ERR_TIMEOUT || e == ERR_CANCELLED)
		return e;
	op_forgive(op);
	return ERR_NONE;
}

enum err view_read_summary(
	struct op *op, struct view *v, const struct mail *mail, struct message_summary *out)
{
	struct place place;
	struct str bytes;
	TRY(find_place(op, v, mail, &place));
	enum err e = summary_read(op, v->mailbox, &place.cold, place.uid, &bytes);
	if (e == ERR_NONE && message_summary_decode(bytes, out) == ERR_NONE)
		return ERR_NONE;
	if (e != ERR_NONE && e != ERR_NOT_FOUND)
		return e;
	op_forgive(op);
	TRY(read_from_base(op, v, mail, &place, &bytes));
	if (bytes.n > 0 && message_summary_decode(bytes, out) == ERR_NONE)
		return ERR_NONE;
	TRY(remake(op, v, &place, &bytes));
	e = message_summary_decode(bytes, out);
	return e == ERR_NONE ? e : op_fail(op, e, "the summary just made cannot be read");
}

void view_prefetch(struct view *v, const uint32_t *seqs, size_t count)
{
	struct user *u = v->mailbox->user;
	AUTO_ARENA(arena, 0);
	struct str *keys = ARENA_NEW_ARRAY(&arena, struct str, MAX(count, 1));
	size_t n = 0;
	for (size_t i = 0; i < count; i++) {
		struct mail mail;
		uint32_t at;
		if (view_get(v, seqs[i], &mail) && index_find(v->mailbox->index, mail.uid, &at))
			keys[n++] =
				store_object_key(&arena, u, index_cold(v->mailbox->index, at)->oid);
	}
	objects_prefetch(u->store->objects, keys, n);
}
