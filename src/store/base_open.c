/* SPDX-License-Identifier: Apache-2.0 */
/* Reading bases: one GET, and for large mailboxes their columns, all segments side by side. A base that
 * is gone was replaced since the heads were read: they are read again, once. One that is damaged or lost
 * gives way to the base before it, behind which the journal still has every row. */
#include "store/base_private.h"

#include "base/codec.h"
#include "base/number.h"
#include "event/event.h"

/* ---- bytes into an index, on a pool thread ---- */

struct decode_job {
	struct offload_job job; /* first */
	struct catalog_guid guid;
	struct str manifest;
	const struct object_read *columns; /* hot and cold of each block */
	size_t column_count;
	struct index *index; /* taken by who waits */
	enum err result;
};

static enum err decode_block(
	struct index *x, const struct base_section *hot, const struct base_section *cold)
{
	if (hot->type != BASE_HOT || cold->type != BASE_COLD || hot->items != cold->items ||
		!base_count_is_possible(hot) || !base_count_is_possible(cold))
		return ERR_CORRUPT;
	uint32_t count = hot->items;
	struct snapshot_hot *h = mem_new_array(MAX(count, 1), sizeof(*h));
	struct snapshot_cold *c = mem_new_array(MAX(count, 1), sizeof(*c));
	enum err e = base_hot_decode(hot->bytes, h, count);
	if (e == ERR_NONE)
		e = base_cold_decode(cold->bytes, c, count);
	if (e == ERR_NONE)
		e = index_take_records(x, h, c, count);
	mem_free(h);
	mem_free(c);
	return e;
}

static enum err decode_column(struct str file, struct catalog_guid guid, struct base_section *out)
{
	struct base_section sections[BASE_SECTIONS_MAX];
	size_t count;
	TRY(base_file_parse(file, guid, sections, &count));
	if (count == 0)
		return ERR_CORRUPT;
	*out = sections[0];
	return ERR_NONE;
}

static enum err decode_columns(struct decode_job *j, struct index *x)
{
	for (size_t i = 0; i + 1 < j->column_count; i += 2) {
		struct base_section hot, cold;
		TRY(decode_column(j->columns[i].body, j->guid, &hot));
		TRY(decode_column(j->columns[i + 1].body, j->guid, &cold));
		TRY(decode_block(x, &hot, &cold));
	}
	return ERR_NONE;
}

static enum err decode(struct decode_job *j, struct index *x)
{
	struct base_section sections[BASE_SECTIONS_MAX];
	struct base_meta meta;
	size_t count;
	TRY(base_file_parse(j->manifest, j->guid, sections, &count));
	if (count == 0 || sections[0].type != BASE_META)
		return ERR_CORRUPT;
	TRY(base_meta_decode(sections[0].bytes, &meta));
	index_take_meta(x, &meta);
	for (size_t i = 1; i < count; i++) {
		if (sections[i].type == BASE_HOT && i + 1 < count)
			TRY(decode_block(x, &sections[i], &sections[i + 1]));
		else
			TRY(index_take_section(x, &sections[i]));
	}
	TRY(decode_columns(j, x));
	return index_counters(x).messages == meta.messages ? ERR_NONE : ERR_CORRUPT;
}

static void decode_run(struct offload_job *job)
{
	struct decode_job *j = CONTAINER_OF(job, struct decode_job, job);
	j->result = decode(j, j->index);
}

static void decode_release(struct offload_job *job)
{
	(void)job; /* on the stack of who waits */
}

/* ---- objects ---- */

enum err base_parts_read(struct str file, struct catalog_guid guid, struct base_parts *out)
{
	struct base_section sections[BASE_SECTIONS_MAX];
	struct base_segment s;
	struct base_meta meta;
	size_t count;
	TRY(base_file_parse(file, guid, sections, &count));
	if (count == 0 || sections[0].type != BASE_META)
		return ERR_CORRUPT;
	TRY(base_meta_decode(sections[0].bytes, &meta));
	out->summary_uid = meta.summary_uid;
	for (size_t i = 1; i < count; i++) {
		if (sections[i].type != BASE_SEGMENTS)
			continue;
		struct str rest = sections[i].bytes;
		while (out->count < BASE_SEGMENTS_MAX && base_segment_next(&rest, &s))
			base_parts_add(out, &s);
		if (rest.n > 0)
			return ERR_CORRUPT;
	}
	return ERR_NONE;
}

/* WAITS. The living column segments, all at once: on a connection to a store most of the time is the
 * way there and back. */
static enum err read_columns(struct op *op, struct mailbox *m, const struct base_parts *parts,
	struct object_read **out, size_t *out_count)
{
	struct object_read *reads =
		ARENA_NEW_ARRAY(op->arena, struct object_read, MAX(parts->count, 1));
	size_t count = 0;
	for (size_t i = 0; i < parts->count; i++) {
		const struct base_segment *s = &parts->segments[i];
		if (!s->is_retired && (s->type == BASE_HOT || s->type == BASE_COLD))
			reads[count++] = (struct object_read){ .key = base_object_key(op->arena,
								       m->user, m->guid, s->id),
				.length = BASE_FILE_BYTES_MAX };
	}
	*out = reads;
	*out_count = count;
	if (count == 0)
		return ERR_NONE;
	TRY(objects_get_many(op, m->user->store->objects, reads, count));
	for (size_t i = 0; i < count; i++)
		if (reads[i].result != ERR_NONE)
			return op_fail(op, reads[i].result, "segment %.*s of a base cannot be read",
				STRF(reads[i].key));
	return ERR_NONE;
}

/* WAITS. */
static enum err read_one(struct op *op, struct mailbox *m, const struct head_base_place *place,
	struct index **out, struct base_parts *parts, size_t *out_bytes)
{
	struct str key = base_object_key(op->arena, m->user, m->guid, place->id), manifest;
	struct object_read *columns;
	size_t column_count;
	TRY(objects_get(op, m->user->store->objects, key, BASE_FILE_BYTES_MAX, &manifest));
	enum err e = base_parts_read(manifest, m->guid, parts);
	if (e != ERR_NONE)
		return op_fail(op, e, "base %.*s cannot be read", STRF(key));
	TRY(read_columns(op, m, parts, &columns, &column_count));
	struct decode_job j = { .job = { .run = decode_run, .release = decode_release },
		.guid = m->guid,
		.manifest = manifest,
		.columns = columns,
		.column_count = column_count,
		.index = index_new(m->guid) };
	base_offload(&j.job);
	if (j.result != ERR_NONE) {
		index_free(j.index);
		return op_fail(op, j.result, "base %.*s cannot be read", STRF(key));
	}
	parts->manifest = place->id;
	*out = j.index;
	*out_bytes = manifest.n;
	for (size_t i = 0; i < column_count; i++)
		*out_bytes += columns[i].body.n;
	return ERR_NONE;
}

/* ---- which ---- */

/* WAITS. The heads once more: another writer may have made a base. */
static enum err read_heads_again(struct op *op, struct mailbox *m)
{
	struct user *u = m->user;
	struct catalog_head *heads;
	size_t count;
	TRY(catalog_read_heads(op, u->store->catalog, u->name, &heads, &count));
	for (size_t i = u->base_count; i > 0; i--)
		if (memcmp(&u->bases[i - 1].mailbox, &m->guid, sizeof(m->guid)) == 0)
			user_drop_base(u, m->guid, u->bases[i - 1].writer);
	for (size_t i = 0; i < count; i++)
		if (memcmp(&heads[i].mailbox, &m->guid, sizeof(m->guid)) == 0)
			TRY(user_keep_base(op, u, &heads[i]));
	return ERR_NONE;
}

static bool is_damage(enum err e)
{
	return e == ERR_CORRUPT || e == ERR_NOT_FOUND || e == ERR_UNSUPPORTED;
}

static void tell_damage(struct op *op, struct mailbox *m)
{
	m->user->store->counters.bases_damaged++;
	event_send(op->event, EVENT_ERROR, "store_base_damaged",
		"a base of a mailbox of %.*s cannot be used, the one before it and the journal "
		"are: %s",
		STRF(m->user->name), op->failure.text);
	op_forgive(op);
}

static void tell_loaded(
	struct op *op, struct mailbox *m, size_t bytes, uint32_t mails, int64_t start_us)
{
	struct event *event = event_new(op->event, "store");
	AUTO_BUF(guid, 0);
	hex_encode(&guid, (struct str){ (const char *)m->guid.bytes, sizeof(m->guid.bytes) });
	event_set_str(event, "user", m->user->name);
	event_set_str(event, "mailbox_guid", buf_str(&guid));
	event_set_int(event, "bundle_size", (int64_t)bytes);
	event_set_int(event, "mails", mails);
	event_set_int(event, "duration", now_us() - start_us);
	event_send(event, EVENT_DEBUG, "metacache_mailbox_bundle_download_finished",
		"base read: %" PRIu32 " mails", mails);
	event_unref(event);
	m->user->store->counters.base_reads++;
}

struct reading {
	struct index *index;
	struct base_parts parts;
	struct head_base_place place;
	size_t bytes;
};

static enum err try_place(
	struct op *op, struct mailbox *m, const struct head_base_place *place, struct reading *r)
{
	base_parts_done(&r->parts);
	r->place = *place;
	return read_one(op, m, place, &r->index, &r->parts, &r->bytes);
}

/* WAITS. */
static enum err read_newest(struct op *op, struct mailbox *m, struct reading *r)
{
	const struct user_base *b = user_base_of(m->user, m->guid);
	if (!b)
		return ERR_NONE;
	struct head_base_place place = b->head.base;
	enum err e = try_place(op, m, &place, r);
	if (!is_damage(e))
		return e;
	struct op_failure why = op->failure;
	TRY(read_heads_again(op, m));
	b = user_base_of(m->user, m->guid);
	if (!b)
		return ERR_NONE;
	struct head_base head = b->head;
	if (memcmp(&head.base.id, &place.id, sizeof(place.id)) != 0) {
		op_forgive(op);
		e = try_place(op, m, &head.base, r);
		if (!is_damage(e))
			return e;
		why = op->failure;
	}
	op->failure = why;
	tell_damage(op, m);
	if (!row_id_is_none(&head.previous.id)) {
		e = try_place(op, m, &head.previous, r);
		if (!is_damage(e))
			return e;
		op_forgive(op);
	}
	/* The journal still has everything? */
	if (name_is_none(user_dropped(m->user, m->guid)))
		return ERR_NONE;
	/* Never the class of what does not exist: the mailbox does. */
	return op_fail(op, ERR_CORRUPT,
		"no base can be read, and the journal alone is not whole any more (bring the "
		"object back): %s",
		why.text);
}

/* WAITS. */
static enum err read_all(struct op *op, struct mailbox *m, struct reading *r)
{
	int64_t start_us = now_us();
	*r = (struct reading){ 0 };
	enum err e = read_newest(op, m, r);
	if (e != ERR_NONE) {
		base_parts_done(&r->parts);
		return op_within(op, e, "reading a base");
	}
	if (r->index) {
		tell_loaded(op, m, r->bytes, index_counters(r->index).messages, start_us);
	} else {
		base_parts_done(&r->parts);
		r->index = index_new(m->guid);
		r->place = (struct head_base_place){ 0 };
	}
	return ERR_NONE;
}

enum err base_read(struct op *op, struct mailbox *m, struct index **out)
{
	struct reading r;
	TRY(read_all(op, m, &r));
	base_parts_done(&r.parts);
	*out = r.index;
	return ERR_NONE;
}

enum err base_read_id(struct op *op, struct mailbox *m, const struct row_id *id, struct index **out)
{
	struct base_parts parts = { 0 };
	struct head_base_place place = { .id = *id };
	size_t bytes;
	enum err e = read_one(op, m, &place, out, &parts, &bytes);
	base_parts_done(&parts);
	return e;
}

static void adopt_parts(struct mailbox *m, struct reading *r)
{
	base_parts_done(&m->base.parts);
	m->base.parts = r->parts;
	m->base.has_parts = r->place.made_wall_us > 0;
	m->base.exists = m->base.has_parts;
	m->base.cover = r->place.cover;
	m->base.made_wall_us = r->place.made_wall_us;
}

enum err base_open(struct op *op, struct mailbox *m)
{
	struct reading r;
	uint64_t n;
	TRY(read_all(op, m, &r));
	adopt_parts(m, &r);
	local_replace_index(m, r.index);
	m->seen_ms = (int64_t)name_ms(index_cover(m->index)); /* base_cut_take() */
	struct str rest = buf_str(&m->local.pending_values);
	while (number_cut_varint(&rest, &n)) {
		enum err e = index_fold_pending(m->index, str_take(&rest, (size_t)n));
		if (e != ERR_NONE)
			return op_fail(op, e, "the local log has a bad flag change");
	}
	return ERR_NONE;
}

enum err base_know_parts(struct op *op, struct mailbox *m)
{
	const struct user_base *b = user_base_of(m->user, m->guid);
	struct base_parts parts = { 0 };
	struct str manifest;
	if (!b || (m->base.has_parts && memcmp(&m->base.parts.manifest, &b->head.base.id,
						sizeof(struct row_id)) == 0))
		return ERR_NONE;
	struct head_base_place place = b->head.base;
	base_parts_done(&m->base.parts);
	m->base.has_parts = false;
	enum err e = objects_get(op, m->user->store->objects,
		base_object_key(op->arena, m->user, m->guid, place.id), BASE_FILE_BYTES_MAX,
		&manifest);
	if (e == ERR_NONE)
		e = base_parts_read(manifest, m->guid, &parts);
	if (is_damage(e)) {
		/* A new base stands on nothing of it; what it used is for the offline audit. */
		base_parts_done(&parts);
		op_forgive(op);
		return ERR_NONE;
	}
	TRY(e);
	parts.manifest = place.id;
	m->base.parts = parts;
	m->base.has_parts = m->base.exists = true;
	m->base.cover = place.cover;
	m->base.made_wall_us = place.made_wall_us;
	return ERR_NONE;
}
