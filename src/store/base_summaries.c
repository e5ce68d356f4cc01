/* SPDX-License-Identifier: Apache-2.0 */
/* Summaries in bases: immutable segments, each of a range of UIDs. A new base writes those of new mails;
 * small segments at the end become one with them, so that there are few, and each summary is written
 * again a few times at most; a segment whose mails are mostly gone is written anew without them.
 * Somebody who asks for a summary that is not local gets the whole segment into the local file, once. */
#include "store/base_private.h"

#include "base/hash.h"

#define SEGMENT_BYTES_MAX (16u << 20) /* of texts; above it a segment ends early */

/* ---- making ---- */

struct builder {
	struct mailbox *mailbox;
	struct base_parts *parts;
	struct base_summary *items; /* BASE_SUMMARY_MAILS of them; in op's arena */
	uint32_t count;
	struct buf texts;
};

/* WAITS. What was gathered becomes a segment. */
static enum err put_segment(struct op *op, struct builder *b)
{
	AUTO_BUF(items, 0);
	if (b->count == 0)
		return ERR_NONE;
	base_summaries_encode(&items, b->items, b->count);
	struct base_section sections[] = {
		{ BASE_SUMMARIES, b->count, buf_str(&items) },
		{ BASE_TEXTS, b->count, buf_str(&b->texts) },
	};
	struct base_segment s = { .type = BASE_SUMMARIES,
		.first_uid = b->items[0].uid,
		.last_uid = b->items[b->count - 1].uid,
		.count = b->count,
		.hash = hash_stable(buf_str(&items)) };
	TRY(base_put(op, b->mailbox, sections, ARRAY_COUNT(sections), &s));
	base_parts_add(b->parts, &s);
	b->mailbox->base.uploaded_bytes += s.bytes;
	b->count = 0;
	buf_clear(&b->texts);
	return ERR_NONE;
}

/* WAITS. Those of a range of UIDs that are in the local file; the others are made again when asked for. */
static enum err add_range(struct op *op, struct builder *b, uint32_t first_uid, uint32_t last_uid)
{
	struct mailbox *m = b->mailbox;
	for (uint32_t at = index_seek(m->index, first_uid); at < index_count(m->index);) {
		uint32_t uid = index_hot(m->index, at)->uid;
		struct snapshot_cold cold = *index_cold(m->index, at);
		bool is_living = !index_is_ghost(index_hot(m->index, at));
		struct arena_mark mark = arena_mark(op->arena);
		struct str text;
		if (uid > last_uid)
			break;
		enum err e = is_living && cold.summary_length > 0
				     ? summary_read(op, m, &cold, uid, &text)
				     : ERR_NOT_FOUND;
		if (e == ERR_NONE) {
			b->items[b->count++] = (struct base_summary){ .uid = uid,
				.check = base_summary_check(cold.name),
				.length = (uint32_t)text.n,
				.crc = hash_crc32c(0, text) };
			buf_put(&b->texts, text);
		}
		arena_rewind(op->arena, mark);
		if (e != ERR_NONE && e != ERR_NOT_FOUND)
			return e;
		op_forgive(op);
		if (b->count == BASE_SUMMARY_MAILS || b->texts.n > SEGMENT_BYTES_MAX)
			TRY(put_segment(op, b));
		task_breathe();
		at = index_seek(m->index, uid + 1); /* positions move while we wait */
	}
	return ERR_NONE;
}

static uint32_t count_living(const struct mailbox *m, const struct base_segment *s)
{
	return index_seek(m->index, s->last_uid + 1) - index_seek(m->index, s->first_uid);
}

/* WAITS. Is all of it in the local file now? A segment that cannot be read is let go: its summaries are
 * made again when they are asked for. */
static enum err bring_home(struct op *op, struct mailbox *m, const struct base_segment *s)
{
	for (uint32_t at = index_seek(m->index, s->first_uid); at < index_count(m->index); at++) {
		if (index_hot(m->index, at)->uid > s->last_uid)
			break;
		if (index_cold(m->index, at)->summary_length > 0)
			continue;
		enum err e = base_fetch_segment(op, m, &s->id);
		if (e == ERR_NOT_FOUND || e == ERR_CORRUPT) {
			op_forgive(op);
			return ERR_NONE;
		}
		return e;
	}
	return ERR_NONE;
}

/* The segments at the end that are written again, together with `fresh` new mails: from here on. */
static size_t first_merged(const struct base_segment *segments, size_t count, uint32_t fresh)
{
	size_t from = count;
	uint32_t total = fresh;
	while (from > 0 && total > 0 && segments[from - 1].count <= 2 * total &&
		segments[from - 1].count + total <= BASE_SUMMARY_MAILS)
		total += segments[--from].count;
	return from;
}

/* WAITS. */
static enum err make_all(struct op *op, struct builder *b, const struct base_segment *old,
	size_t count, uint32_t summary_uid)
{
	struct mailbox *m = b->mailbox;
	uint32_t last_uid = b->parts->summary_uid;
	uint32_t fresh = index_seek(m->index, last_uid + 1) - index_seek(m->index, summary_uid + 1);
	size_t merged = first_merged(old, count, fresh);
	for (size_t i = 0; i < merged; i++) {
		uint32_t living = count_living(m, &old[i]);
		if (living >= old[i].count / 2 && living > 0) {
			base_parts_add(b->parts, &old[i]);
			continue;
		}
		if (living == 0)
			continue;
		TRY(bring_home(op, m, &old[i]));
		TRY(add_range(op, b, old[i].first_uid, old[i].last_uid));
		TRY(put_segment(op, b));
	}
	for (size_t i = merged; i < count; i++)
		TRY(bring_home(op, m, &old[i]));
	uint32_t first = merged < count ? old[merged].first_uid : summary_uid + 1;
	TRY(add_range(op, b, first, last_uid));
	return put_segment(op, b);
}

enum err base_summaries_make(
	struct op *op, struct mailbox *m, uint32_t last_uid, struct base_parts *parts)
{
	const struct base_parts *old = &m->base.parts;
	struct base_segment *segments =
		ARENA_NEW_ARRAY(op->arena, struct base_segment, MAX(old->count, 1));
	size_t count = 0;
	struct builder b = { .mailbox = m,
		.parts = parts,
		.items = ARENA_NEW_ARRAY(op->arena, struct base_summary, BASE_SUMMARY_MAILS) };
	for (size_t i = 0; i < old->count; i++)
		if (old->segments[i].type == BASE_SUMMARIES && !old->segments[i].is_retired)
			segments[count++] = old->segments[i];
	parts->summary_uid = last_uid;
	enum err e = make_all(op, &b, segments, count, old->summary_uid);
	buf_done(&b.texts);
	return e;
}

/* ---- fetching ---- */

static void keep_texts(
	struct mailbox *m, const struct base_summary *items, uint32_t count, struct str texts)
{
	for (uint32_t i = 0; i < count; i++) {
		struct str text = str_take(&texts, items[i].length);
		uint32_t at;
		if (text.n != items[i].length || hash_crc32c(0, text) != items[i].crc ||
			!index_find(m->index, items[i].uid, &at))
			continue;
		const struct snapshot_cold *cold = index_cold(m->index, at);
		if (cold->summary_length == 0 && base_summary_check(cold->name) == items[i].check)
			summary_keep(m, items[i].uid, text);
	}
	local_write(m);
}

enum err base_fetch_segment(struct op *op, struct mailbox *m, const struct row_id *id)
{
	struct base_section sections[BASE_SECTIONS_MAX];
	struct str file;
	size_t count;
	struct str key = base_object_key(op->arena, m->user, m->guid, *id);
	TRY(objects_get(op, m->user->store->objects, key, BASE_FILE_BYTES_MAX, &file));
	enum err e = base_file_parse(file, m->guid, sections, &count);
	if (e == ERR_NONE &&
		(count < 2 || sections[0].type != BASE_SUMMARIES || sections[1].type != BASE_TEXTS))
		e = ERR_CORRUPT;
	if (e != ERR_NONE)
		return op_fail(op, e, "summaries %.*s cannot be read", STRF(key));
	struct base_summary *items =
		ARENA_NEW_ARRAY(op->arena, struct base_summary, MAX(sections[0].items, 1));
	e = base_summaries_decode(sections[0].bytes, items, sections[0].items);
	if (e != ERR_NONE)
		return op_fail(op, e, "summaries %.*s cannot be read", STRF(key));
	keep_texts(m, items, sections[0].items, sections[1].bytes);
	m->user->store->counters.summary_segments++;
	return ERR_NONE;
}

/* The segment that may have it and was not tried yet. */
static struct base_segment *find_segment(struct mailbox *m, uint32_t uid)
{
	for (size_t i = 0; i < m->base.parts.count; i++) {
		struct base_segment *s = &m->base.parts.segments[i];
		if (s->type == BASE_SUMMARIES && !s->is_retired && s->first_uid <= uid &&
			uid <= s->last_uid)
			return s;
	}
	return NULL;
}

static bool was_fetched(const struct mailbox *m, const struct row_id *id)
{
	const struct base_state *s = &m->base;
	for (size_t i = 0; i < s->fetched_count; i++)
		if (memcmp(&s->fetched[i], id, sizeof(*id)) == 0)
			return true;
	return false;
}

static void note_fetched(struct mailbox *m, const struct row_id *id)
{
	struct base_state *s = &m->base;
	s->fetched = mem_resize(s->fetched, (s->fetched_count + 1) * sizeof(*s->fetched));
	s->fetched[s->fetched_count++] = *id;
}

/* WAITS. One at a time: who asks for the next mail of the same segment finds it there. */
static enum err fetch_locked(struct op *op, struct mailbox *m, uint32_t uid)
{
	uint32_t at;
	if (index_find(m->index, uid, &at) && index_cold(m->index, at)->summary_length > 0)
		return ERR_NONE;
	if (!m->base.is_uploading)
		TRY(base_know_parts(op, m));
	const struct base_segment *s = find_segment(m, uid);
	if (!s || was_fetched(m, &s->id))
		return op_fail(op, ERR_NOT_FOUND, "no base has the summary of UID %" PRIu32, uid);
	struct row_id id = s->id;
	enum err e = base_fetch_segment(op, m, &id);
	if (e == ERR_NONE || e == ERR_CORRUPT || e == ERR_NOT_FOUND)
		note_fetched(m, &id);
	return e;
}

enum err base_fetch_summary(struct op *op, struct mailbox *m, uint32_t uid)
{
	if (!user_base_of(m->user, m->guid) || m->local.summary_fd < 0)
		return op_fail(op, ERR_NOT_FOUND, "no base to look into");
	TRY(task_mutex_lock(op, &m->base.fetching));
	enum err e = fetch_locked(op, m, uid);
	task_mutex_unlock(&m->base.fetching);
	return e;
}
