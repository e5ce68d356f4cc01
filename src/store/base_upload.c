/* SPDX-License-Identifier: Apache-2.0 */
/* Uploading a base: cut -> segments that changed -> manifest -> head. The head is what makes it count;
 * whatever fails before it leaves the old base, and objects that nothing names (for the offline audit).
 *
 * With the head go, in one batch and in this order: the base before the last one and what only it used
 * become garbage; op rows that are done, an hour old and covered by a base that was an hour old go by one
 * range delete a bucket. They go by the cover of an earlier base, never of the newest: should that one
 * turn out to be damaged, the one before it and the rows behind it are still there. */
#include "store/base_private.h"

#include "base/codec.h"
#include "base/hash.h"
#include "base/random.h"
#include "event/event.h"

#define PARALLEL_PUTS 4

/* ---- objects ---- */

void base_parts_add(struct base_parts *parts, const struct base_segment *s)
{
	parts->segments =
		mem_resize(parts->segments, (parts->count + 1) * sizeof(*parts->segments));
	parts->segments[parts->count++] = *s;
}

static enum err put_file(
	struct op *op, struct mailbox *m, const struct buf *file, struct base_segment *out)
{
	struct object_meta meta[META_OF_MAILBOX_MAX];
	struct str bytes = buf_str(file);
	size_t meta_count = meta_of_mailbox(op->arena, m, "mailbox-guid", meta);
	random_bytes(out->id.bytes, sizeof(out->id.bytes));
	out->bytes = file->n;
	if (m->user->store->is_abandoned)
		return op_fail(op, ERR_UNAVAILABLE, "the store was abandoned");
	return objects_put(op, m->user->store->objects,
		&(struct object_put){ .key = base_object_key(op->arena, m->user, m->guid, out->id),
			.parts = &bytes,
			.part_count = 1,
			.meta = meta,
			.meta_count = meta_count });
}

enum err base_put(struct op *op, struct mailbox *m, const struct base_section *sections,
	size_t count, struct base_segment *out)
{
	AUTO_BUF(file, 0);
	base_file_encode(&file, m->guid, sections, count);
	if (file.n > BASE_FILE_BYTES_MAX)
		return op_fail(op, ERR_LIMIT, "part of a base of %zu bytes", file.n);
	return put_file(op, m, &file, out);
}

/* ---- segments of columns ---- */

struct column_put {
	struct mailbox *mailbox;
	struct base_section section;
	struct base_segment segment;
	bool is_new;
};

static enum err put_column(struct op *op, void *arg)
{
	struct column_put *p = arg;
	return base_put(op, p->mailbox, &p->section, 1, &p->segment);
}

/* The segment of the last base that has just these bytes. */
static const struct base_segment *find_same(
	const struct base_parts *old, const struct base_segment *wanted)
{
	for (size_t i = 0; i < old->count; i++) {
		const struct base_segment *s = &old->segments[i];
		if (s->type == wanted->type && !s->is_retired && s->hash == wanted->hash &&
			s->count == wanted->count && s->first_uid == wanted->first_uid &&
			s->last_uid == wanted->last_uid)
			return s;
	}
	return NULL;
}

static struct column_put column_of(
	struct mailbox *m, const struct base_block *b, enum base_type type)
{
	struct str bytes = buf_str(type == BASE_HOT ? &b->hot : &b->cold);
	return (struct column_put){ .mailbox = m,
		.section = { type, b->count, bytes },
		.segment = { .type = type,
			.first_uid = b->first_uid,
			.last_uid = b->last_uid,
			.count = b->count,
			.hash = hash_stable(bytes) } };
}

/* WAITS. Hot and cold segments stand behind each other, in the order of UIDs. */
static enum err put_columns(
	struct op *op, struct mailbox *m, const struct base_cut *cut, struct base_parts *parts)
{
	size_t count = 2 * cut->block_count, running = 0;
	struct column_put *puts = ARENA_NEW_ARRAY(op->arena, struct column_put, MAX(count, 1));
	struct task_group *g = task_group_new(op);
	enum err e = ERR_NONE;
	for (size_t i = 0; i < count && e == ERR_NONE; i++) {
		puts[i] = column_of(m, &cut->blocks[i / 2], i % 2 ? BASE_COLD : BASE_HOT);
		const struct base_segment *same = find_same(&m->base.parts, &puts[i].segment);
		if (same) {
			puts[i].segment = *same;
			continue;
		}
		puts[i].is_new = true;
		task_group_start(g, "store-base-put", put_column, &puts[i]);
		if (++running % PARALLEL_PUTS != 0)
			continue;
		e = task_group_finish(op, g);
		g = task_group_new(op);
	}
	enum err last = task_group_finish(op, g);
	for (size_t i = 0; i < count; i++) {
		base_parts_add(parts, &puts[i].segment);
		m->base.uploaded_bytes += puts[i].is_new ? puts[i].segment.bytes : 0;
	}
	return e == ERR_NONE ? last : e;
}

/* ---- the manifest ---- */

static bool has_segment(const struct base_parts *parts, const struct row_id *id)
{
	for (size_t i = 0; i < parts->count; i++)
		if (memcmp(&parts->segments[i].id, id, sizeof(*id)) == 0)
			return true;
	return false;
}

/* What the last base used and this one does not is told to the next one, which makes it garbage. */
static void retire(const struct base_parts *old, struct base_parts *parts)
{
	for (size_t i = 0; i < old->count; i++) {
		struct base_segment s = old->segments[i];
		if (s.is_retired || has_segment(parts, &s.id))
			continue;
		s.is_retired = true;
		base_parts_add(parts, &s);
	}
}

/* For recovery without a catalog. */
static struct base_section name_section(struct op *op, const struct mailbox *m)
{
	const struct tree_node *node = tree_find_guid(&m->user->tree, m->guid);
	AUTO_BUF(bytes, 0);
	if (node)
		base_name_encode(&bytes, &(struct base_name){ node->name, node->special_use });
	return (struct base_section){ BASE_NAME, node ? 1 : 0, buf_dup(op->arena, &bytes) };
}

static enum err put_manifest(struct op *op, struct mailbox *m, struct base_cut *cut,
	const struct base_parts *parts, struct base_segment *out)
{
	struct base_section sections[BASE_SECTIONS_MAX];
	size_t n = 0;
	AUTO_BUF(meta, 0);
	AUTO_BUF(segments, 0);
	cut->meta.summary_uid = parts->summary_uid;
	base_meta_encode(&meta, &cut->meta);
	for (size_t i = 0; i < parts->count; i++)
		base_segment_encode(&segments, &parts->segments[i]);
	sections[n++] = (struct base_section){ BASE_META, 1, buf_str(&meta) };
	sections[n++] = name_section(op, m);
	for (size_t i = 0; i < ARRAY_COUNT(cut->facts); i++)
		sections[n++] = cut->facts[i];
	sections[n++] =
		(struct base_section){ BASE_SEGMENTS, (uint32_t)parts->count, buf_str(&segments) };
	for (size_t i = 0; i < cut->block_count && !cut->is_large; i++) {
		const struct base_block *b = &cut->blocks[i];
		sections[n++] = (struct base_section){ BASE_HOT, b->count, buf_str(&b->hot) };
		sections[n++] = (struct base_section){ BASE_COLD, b->count, buf_str(&b->cold) };
	}
	return base_put(op, m, sections, n, out);
}

/* ---- the head ---- */

static void put_garbage(struct batch *b, struct mailbox *m, const struct row_id *id)
{
	static const struct catalog_name none;
	batch_garbage(b, base_garbage_object(&b->arena, id), m->guid, 0, none, user_mint(m->user));
}

/* The head that `b` writes, after what it keeps of the last one; bases that this one replaces. */
static void put_heads(struct batch *b, struct mailbox *m, struct head_base *head)
{
	struct user *u = m->user;
	const struct user_base *last = user_base_of(u, m->guid);
	uint32_t writer = user_has_others(u, m->guid) ? u->writer : 0;
	char key[HEAD_BASE_SIZE];
	if (last) {
		head->previous = last->head.base;
		head->drop = last->head.drop;
		head->dropped = user_dropped(u, m->guid);
		head->dropped_bucket = last->head.dropped_bucket;
		head->has_own_flags = head->has_own_flags || last->head.has_own_flags;
		if (!row_id_is_none(&last->head.previous.id))
			put_garbage(b, m, &last->head.previous.id);
	}
	base_put_drop(b, m, head);
	AUTO_BUF(value, 0);
	head_base_encode(&value, head);
	batch_put_head(b, m->guid, head_base_key(writer, key), &value);
	for (size_t i = 0; i < u->base_count && writer == 0; i++) {
		const struct user_base *other = &u->bases[i];
		if (other->writer == 0 || memcmp(&other->mailbox, &m->guid, sizeof(m->guid)) != 0)
			continue;
		if (other != last)
			put_garbage(b, m, &other->head.base.id);
		batch_delete_head(b, m->guid, head_base_key(other->writer, key));
		b->changes[b->count - 1].stamp_us = other->stamp_us; /* a newer one stays */
		batch_last(b)->rank = RANK_LAST_HEADS;
	}
}

/* WAITS. Flags that the base has need no rows, if nobody came meanwhile who has not read it: his open head was there
 * before he looked for bases, and our base before we look for heads. */
static void drop_flags(struct op *op, struct mailbox *m, const struct base_cut *cut)
{
	if (cut->flags.bytes == 0 || !flags_wait_for_base(m))
		return;
	if (!catalog_is_atomic(m->user->store->catalog) &&
		user_read_heads(op, m->user) != ERR_NONE) {
		op_forgive(op); /* they stay pending, and go with the next */
		return;
	}
	if (flags_wait_for_base(m))
		flags_drop_pending(m, &cut->flags);
}

/* WAITS. */
static enum err write_head(
	struct op *op, struct mailbox *m, const struct base_cut *cut, const struct row_id *manifest)
{
	struct head_base head = cut->head;
	head.base.id = *manifest;
	TRY(mailbox_write_begin(op, m));
	struct batch *b = batch_new(m->user);
	put_heads(b, m, &head);
	const struct base_parts *old = &m->base.parts;
	for (size_t i = 0; i < old->count; i++)
		if (old->segments[i].is_retired)
			put_garbage(b, m, &old->segments[i].id);
	enum err e = user_write(op, m->user, b);
	if (e == ERR_NONE)
		drop_flags(op, m, cut);
	mailbox_write_end(m);
	return e;
}

/* ---- all of it ---- */

static const char *reason_text(enum base_reason why)
{
	switch (why) {
	case BASE_TAIL:
		return "tail";
	case BASE_CLOSE:
		return "close";
	case BASE_IDLE:
		return "idle";
	case BASE_NIGHTLY:
		return "nightly";
	case BASE_FLUSH:
		return "flush";
	case BASE_CLEAN:
		return "clean";
	}
	UNREACHABLE();
}

static bool has_news(const struct mailbox *m)
{
	const struct user_base *last = user_base_of(m->user, m->guid);
	if (!last)
		return index_modseq(m->index) > 0;
	const struct head_base *h = &last->head;
	return index_modseq(m->index) != h->modseq || index_next_uid(m->index) != h->next_uid ||
	       index_recent_uid(m->index) != h->recent_uid;
}

/* WAITS, under the write lock: no row of ours comes between what others wrote, the bases that they made, and
 * the cut, or it would lie behind the cover though it is in the base. No flag stands in a base alone that
 * shall be a row: others who have the mailbox open would have to open it anew. */
static enum err look_and_cut(struct op *op, struct mailbox *m, struct base_cut *cut)
{
	if (!flags_wait_for_base(m))
		TRY(flags_flush_locked(op, m));
	if (!catalog_is_atomic(m->user->store->catalog)) {
		TRY(user_read_heads(op, m->user));
		TRY(mailbox_check_flags(op, m));
		TRY(mailbox_merge(op, m, false));
	}
	TRY(base_know_parts(op, m));
	cut->tail_rows = m->base.tail_rows;
	cut->tail_bytes = m->base.tail_bytes;
	base_cut_take(cut, m);
	return ERR_NONE;
}

static enum err upload(
	struct op *op, struct mailbox *m, struct base_cut *cut, struct base_parts *parts)
{
	struct base_segment manifest = { 0 };
	TRY(mailbox_write_begin(op, m));
	enum err e = look_and_cut(op, m, cut);
	mailbox_write_end(m);
	TRY(e);
	if (cut->is_large)
		TRY(put_columns(op, m, cut, parts));
	uint64_t columns = m->base.uploaded_bytes;
	TRY(base_summaries_make(op, m, cut->meta.next_uid - 1, parts));
	retire(&m->base.parts, parts);
	TRY(put_manifest(op, m, cut, parts, &manifest));
	TRY(write_head(op, m, cut, &manifest.id));
	if (cut->flags.bytes > 0 && !flags_wait_for_base(m) &&
		flags_journal_flush(op, m) != ERR_NONE)
		op_forgive(op); /* they stay pending */
	parts->manifest = manifest.id;
	m->base.tail_rows -= MIN(cut->tail_rows, m->base.tail_rows);
	m->base.tail_bytes -= MIN(cut->tail_bytes, m->base.tail_bytes);
	m->base.uploaded_bytes += manifest.bytes;
	m->base.due_bytes = (size_t)columns + manifest.bytes;
	return ERR_NONE;
}

static void tell(struct op *op, struct mailbox *m, const struct base_cut *cut, enum base_reason why,
	int64_t start_us, enum err e)
{
	struct event *event = event_new(op->event, "store");
	AUTO_BUF(guid, 0);
	hex_encode(&guid, (struct str){ (const char *)m->guid.bytes, sizeof(m->guid.bytes) });
	event_set_str(event, "user", m->user->name);
	event_set_str(event, "mailbox_guid", buf_str(&guid));
	event_set_str(event, "reason", str_from(reason_text(why)));
	event_set_int(event, "bundle_size", (int64_t)m->base.uploaded_bytes);
	event_set_int(event, "mails", cut->meta.messages);
	event_set_int(event, "duration", now_us() - start_us);
	if (e == ERR_NONE)
		event_send(event, EVENT_DEBUG, "metacache_mailbox_bundle_upload_finished",
			"base uploaded: %" PRIu32 " mails, %s", cut->meta.messages,
			reason_text(why));
	else
		event_send_failure(event, EVENT_WARNING, "metacache_mailbox_bundle_upload_finished",
			op, "uploading a base");
	event_unref(event);
}

enum err mailbox_upload_base(struct op *op, struct mailbox *m, enum base_reason why)
{
	struct base_state *s = &m->base;
	struct base_parts parts = { 0 };
	struct base_cut cut;
	int64_t start_us = now_us();
	if (m->is_removed || m->state != OPEN || s->is_uploading || !has_news(m))
		return ERR_NONE;
	s->is_uploading = true;
	s->uploaded_bytes = 0;
	s->tried_us = start_us;
	s->due_bytes = s->tail_bytes;
	base_cut_init(&cut);
	enum err e = upload(op, m, &cut, &parts);
	s->is_uploading = false;
	tell(op, m, &cut, why, start_us, e);
	m->user->store->counters.base_uploads += e == ERR_NONE;
	m->user->store->counters.base_failures += e != ERR_NONE;
	if (e == ERR_NONE) {
		base_parts_done(&s->parts);
		s->parts = parts;
		s->exists = s->has_parts = true;
		s->cover = cut.meta.cover;
		s->made_wall_us = cut.meta.made_wall_us;
	} else {
		base_parts_done(&parts);
	}
	base_cut_done(&cut);
	return op_within(op, e, "uploading a base");
}
