/* SPDX-License-Identifier: Apache-2.0 */
/* What the heads say of bases, where their objects are, and when a new one is due. */
#include "store/tail_private.h"

#include "base/codec.h"

#define TAIL_ROWS_MAX  2000
#define TAIL_BYTES_MAX (256u << 10)
#define TAIL_AGAIN_MIN ((size_t)1 << 20)
#define EVERY_US       (10 * 60 * US_PER_SEC)

/* ---- heads ---- */

void user_drop_base(struct user *u, struct catalog_guid mailbox, uint32_t writer)
{
	size_t kept = 0;
	for (size_t i = 0; i < u->base_count; i++)
		if (u->bases[i].writer != writer ||
			memcmp(&u->bases[i].mailbox, &mailbox, sizeof(mailbox)) != 0)
			u->bases[kept++] = u->bases[i];
	u->base_count = kept;
}

void user_set_base(struct user *u, const struct user_base *base)
{
	user_drop_base(u, base->mailbox, base->writer);
	u->bases = mem_resize(u->bases, (u->base_count + 1) * sizeof(*u->bases));
	u->bases[u->base_count++] = *base;
}

enum err user_keep_base(struct op *op, struct user *u, const struct catalog_head *head)
{
	struct user_base b = { .mailbox = head->mailbox, .stamp_us = head->stamp_us };
	if (!head_is_base_key(head->key, &b.writer))
		return ERR_NONE;
	enum err e = head_base_decode(head->value, &b.head);
	if (e != ERR_NONE)
		return op_fail(op, e, "the head of a base cannot be read");
	user_set_base(u, &b);
	return ERR_NONE;
}

bool user_has_others(const struct user *u, struct catalog_guid mailbox)
{
	for (size_t i = 0; i < u->head_count; i++)
		if (u->heads[i].head.is_open && u->heads[i].writer != u->writer &&
			memcmp(&u->heads[i].mailbox, &mailbox, sizeof(mailbox)) == 0)
			return true;
	return false;
}

const struct user_base *user_base_of(const struct user *u, struct catalog_guid mailbox)
{
	const struct user_base *newest = NULL;
	for (size_t i = 0; i < u->base_count; i++) {
		const struct user_base *b = &u->bases[i];
		if (memcmp(&b->mailbox, &mailbox, sizeof(mailbox)) == 0 &&
			(!newest || name_cmp(b->head.base.cover, newest->head.base.cover) > 0))
			newest = b;
	}
	return newest;
}

/* ---- objects ---- */

struct str base_object_key(
	struct arena *a, const struct user *u, struct catalog_guid mailbox, struct row_id id)
{
	AUTO_BUF(key, 0);
	buf_put(&key, str_from(u->store->object_prefix));
	buf_put(&key, u->name);
	buf_put(&key, STR("/mailboxes/"));
	hex_encode(&key, (struct str){ (const char *)mailbox.bytes, sizeof(mailbox.bytes) });
	buf_put(&key, STR("/idx/"));
	hex_encode(&key, (struct str){ (const char *)id.bytes, sizeof(id.bytes) });
	return buf_dup(a, &key);
}

bool base_is_garbage(struct str object, struct row_id *out_id)
{
	AUTO_BUF(bytes, 0);
	if (!str_skip(&object, STR(BASE_GARBAGE)) || object.n != 2 * sizeof(out_id->bytes) ||
		!hex_decode(&bytes, object))
		return false;
	memcpy(out_id->bytes, bytes.p, sizeof(out_id->bytes));
	return true;
}

void base_parts_done(struct base_parts *parts)
{
	mem_free(parts->segments);
	*parts = (struct base_parts){ 0 };
}

void base_state_done(struct base_state *s)
{
	base_parts_done(&s->parts);
	mem_free(s->fetched);
}

/* ---- what lies behind a base ---- */

static struct catalog_name tail_of(struct catalog_name cover)
{
	return name_at_ms((int64_t)name_ms(cover) - STORE_TAIL_MS);
}

struct catalog_name user_dropped(const struct user *u, struct catalog_guid mailbox)
{
	struct catalog_name dropped = { { 0 } };
	for (size_t i = 0; i < u->base_count; i++)
		if (memcmp(&u->bases[i].mailbox, &mailbox, sizeof(mailbox)) == 0 &&
			name_cmp(u->bases[i].head.dropped, dropped) > 0)
			dropped = u->bases[i].head.dropped;
	return dropped;
}

bool base_is_needed(const struct mailbox *m)
{
	const struct user_base *b = user_base_of(m->user, m->guid);
	uint32_t bucket;
	/* Modseqs of several hosts do not say which of them has seen what. */
	bool is_shared = !catalog_is_atomic(m->user->store->catalog);
	if (!b)
		return false;
	return name_is_none(index_cover(m->index)) ||
	       name_cmp(tail_begin(m, &bucket), user_dropped(m->user, m->guid)) < 0 ||
	       (b->head.has_own_flags && (is_shared || index_modseq(m->index) < b->head.modseq));
}

uint32_t base_tail_bucket(const struct mailbox *m, struct catalog_name after)
{
	const struct user_base *b = user_base_of(m->user, m->guid);
	return b && name_cmp(after, tail_of(b->head.base.cover)) >= 0 ? b->head.bucket : 0;
}

void base_note_row(struct mailbox *m, const struct catalog_row *row)
{
	struct base_state *s = &m->base;
	if (s->exists && name_cmp(row->name, s->cover) <= 0)
		return;
	s->tail_rows++;
	s->tail_bytes += BATCH_ROW_BYTES + row->value.n;
	s->noted_us = now_us();
}

void base_note_bytes(struct mailbox *m, size_t bytes)
{
	m->base.tail_rows++;
	m->base.tail_bytes += bytes;
	m->base.noted_us = now_us();
}

/* ---- when ---- */

static void base_task(void *arg)
{
	struct mailbox *m = arg;
	struct store *s = m->user->store;
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, s->event, now_us() + 10 * STORE_WRITE_US);
	op.doing = STR("uploading a base");
	/* Else the tail grows on, and the next one is tried when it has doubled. */
	(void)(mailbox_upload_base(&op, m, m->base.due_reason) == ERR_NONE);
	m->base.is_due = false;
	mailbox_unref(m);
	store_background_end(s);
}

/* Soon after the last one the tail must be worth it: so many arrivals cannot make a tail without end, and
 * what is uploaded again and again stays below what arrives. */
static bool tail_is_long(const struct base_state *s)
{
	bool is_long = s->tail_rows > TAIL_ROWS_MAX || s->tail_bytes > TAIL_BYTES_MAX;
	bool has_doubled = s->tail_bytes > 2 * MAX(s->due_bytes, TAIL_AGAIN_MIN);
	return is_long && (s->tried_us == 0 || now_us() - s->tried_us >= EVERY_US || has_doubled);
}

static void start(struct mailbox *m, enum base_reason why)
{
	struct store *store = m->user->store;
	if (m->base.is_due || m->state != OPEN || m->user->state != OPEN || m->is_removed ||
		store->is_closing || store->is_abandoned)
		return;
	m->base.is_due = true;
	m->base.due_reason = why;
	store_background(store, "store-base", base_task, mailbox_ref(m));
}

void base_consider(struct mailbox *m)
{
	if (tail_is_long(&m->base))
		start(m, BASE_TAIL);
}

void base_consider_idle(struct mailbox *m)
{
	const struct base_state *s = &m->base;
	if (s->tail_rows > BASE_CLOSE_ROWS && now_us() - s->noted_us >= EVERY_US &&
		now_us() - s->tried_us >= EVERY_US)
		start(m, BASE_IDLE);
}
