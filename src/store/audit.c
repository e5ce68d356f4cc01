/* SPDX-License-Identifier: Apache-2.0 */
/* The list of a user's objects against his rows: the only place beside recovery and deletion that lists the
 * object store, and only when an administrator asks (contract §4). Nothing is deleted here: an orphan
 * goes into the garbage queue, and the collector asks once more whether anything refers to it. */
#include "base/codec.h"
#include "store/base_private.h"
#include "store/recover_private.h"

#define QUEUE_AT_ONCE 500

struct audit {
	struct recovery list;
	int64_t before_wall_us; /* what was stored later may still get its row */
	struct catalog_guid mailbox;
	struct catalog_change queue[QUEUE_AT_ONCE];
	size_t queue_count;
	struct buf *report;
	struct user_audit *out;
};

/* WAITS. It may have been saved behind the listing. */
static enum err check_missing(struct op *op, struct audit *a, struct row_id oid)
{
	struct object_info info;
	struct user *u = a->list.user;
	enum err e =
		objects_stat(op, u->store->objects, store_object_key(op->arena, u, oid), &info);
	if (e != ERR_NOT_FOUND)
		return e;
	op_forgive(op);
	AUTO_BUF(guid, 0);
	AUTO_BUF(hex, 0);
	hex_encode(&guid, (struct str){ (const char *)a->mailbox.bytes, sizeof(a->mailbox.bytes) });
	hex_encode(&hex, (struct str){ (const char *)oid.bytes, sizeof(oid.bytes) });
	buf_putf(a->report, "%.*s\tdangling\t%.*s\tobject %.*s\n", STRF(u->name),
		STRF(buf_str(&guid)), STRF(buf_str(&hex)));
	a->out->dangling++;
	return ERR_NONE;
}

static enum err see_row(struct op *op, const struct catalog_row *row, void *arg)
{
	struct audit *a = arg;
	struct row_append append;
	task_breathe();
	if (row->kind != CATALOG_APPEND || row_append_decode(row->value, &append) != ERR_NONE)
		return ERR_NONE;
	a->out->rows++;
	struct recovered_mail *mail = map_get(&a->list.mails,
		(struct str){ (const char *)append.oid.bytes, sizeof(append.oid.bytes) });
	if (mail) {
		mail->refs++;
		return ERR_NONE;
	}
	struct arena_mark mark = arena_mark(op->arena);
	enum err e = check_missing(op, a, append.oid);
	arena_rewind(op->arena, mark);
	return e;
}

/* WAITS. Rows of each mailbox that has a head: also of one whose deletion is not done. */
static enum err see_rows(struct op *op, struct audit *a)
{
	static const struct catalog_guid root;
	static const struct catalog_name all;
	struct user *u = a->list.user;
	struct catalog_head *heads;
	size_t count;
	TRY(catalog_read_heads(op, u->store->catalog, u->name, &heads, &count));
	for (size_t i = 0; i < count; i++) {
		struct catalog_guid guid = heads[i].mailbox;
		bool is_done = memcmp(&guid, &root, sizeof(guid)) == 0;
		uint32_t bucket = user_last_bucket(u, guid);
		for (size_t k = 0; k < count; k++) {
			uint32_t own;
			if (memcmp(&heads[k].mailbox, &guid, sizeof(guid)) != 0)
				continue;
			is_done = is_done || k < i;
			if (str_eq(heads[k].key, HEAD_BUCKET) &&
				head_bucket_decode(heads[k].value, &own) == ERR_NONE)
				bucket = MAX(bucket, own + 1);
		}
		a->mailbox = guid;
		if (!is_done)
			TRY(catalog_read_rows(
				op, u->store->catalog, u->name, guid, 0, bucket, all, see_row, a));
	}
	return ERR_NONE;
}

/* ---- orphans ---- */

static enum err write_queue(struct op *op, struct audit *a)
{
	struct user *u = a->list.user;
	TRY(store_write_changes(op, u->store, u->name, a->queue, a->queue_count));
	a->out->orphans += a->queue_count;
	a->queue_count = 0;
	return ERR_NONE;
}

/* WAITS now and then. */
static enum err queue_orphan(
	struct op *op, struct audit *a, struct catalog_guid mailbox, struct str object)
{
	a->queue[a->queue_count++] = (struct catalog_change){ .kind = CATALOG_PUT_GARBAGE,
		.mailbox = mailbox,
		.row = { .kind = CATALOG_OP },
		.object = object,
		.queued = store_name(a->list.user->store) };
	return a->queue_count == QUEUE_AT_ONCE ? write_queue(op, a) : ERR_NONE;
}

static enum err queue_mails(struct op *op, struct audit *a)
{
	static const struct catalog_guid nowhere;
	for (size_t i = 0; i < a->list.mail_count; i++) {
		const struct recovered_mail *mail = a->list.list[i];
		AUTO_BUF(hex, 0);
		hex_encode(&hex,
			(struct str){ (const char *)mail->oid.bytes, sizeof(mail->oid.bytes) });
		if (mail->refs == 0 && mail->stored_wall_us > 0 &&
			mail->stored_wall_us < a->before_wall_us)
			TRY(queue_orphan(op, a, nowhere, buf_dup(op->arena, &hex)));
	}
	return ERR_NONE;
}

/* WAITS. `known` is that of the file's mailbox. */
static enum err queue_file(
	struct op *op, struct audit *a, const struct recovered_file *f, struct base_names *known)
{
	struct user *u = a->list.user;
	if (!known->ids || memcmp(&known->mailbox, &f->guid, sizeof(f->guid)) != 0) {
		*known = (struct base_names){ 0 };
		TRY(base_names_read(op, u->store, u->name, f->guid, true, known));
	}
	for (size_t i = 0; i < known->count; i++)
		if (memcmp(&known->ids[i], &f->id, sizeof(f->id)) == 0)
			return ERR_NONE;
	return queue_orphan(op, a, f->guid, base_garbage_object(op->arena, &f->id));
}

static enum err queue_files(struct op *op, struct audit *a)
{
	struct base_names known = { 0 };
	for (size_t i = 0; i < a->list.file_count; i++) {
		const struct recovered_file *f = &a->list.files[i];
		if (f->stored_wall_us > 0 && f->stored_wall_us < a->before_wall_us)
			TRY(queue_file(op, a, f, &known));
	}
	return ERR_NONE;
}

static enum err audit(struct op *op, struct audit *a)
{
	TRY(store_check_clock(op, a->list.user->store));
	TRY(recovery_list(op, &a->list));
	a->out->objects = a->list.mail_count + a->list.file_count;
	TRY(see_rows(op, a));
	TRY(queue_mails(op, a));
	TRY(queue_files(op, a));
	return write_queue(op, a);
}

enum err user_audit(struct op *op, struct store *s, struct str name, int64_t min_age_us,
	struct buf *report, struct user_audit *out)
{
	struct user *u;
	*out = (struct user_audit){ 0 };
	TRY(user_open(op, s, name, &u));
	struct audit *a = MEM_NEW(struct audit);
	a->list.user = u;
	a->before_wall_us = now_wall_us() - min_age_us;
	a->report = report;
	a->out = out;
	map_init(&a->list.mails);
	enum err e = audit(op, a);
	map_done(&a->list.mails);
	mem_free(a);
	user_unref(u);
	return op_within(op, e, "auditing %.*s", STRF(name));
}
