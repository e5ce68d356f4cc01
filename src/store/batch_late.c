/* SPDX-License-Identifier: Apache-2.0 */
/* Batches that are written long after they were made: their process stood still, or the catalog was away.
 *
 * Rows      whose names are minutes old are looked for by nobody who goes by the usual tail. An open head that
 *           says so is there before them: a process that dies behind them cannot tell of it any more.
 * Copies    and moves name objects that another host may have expunged, and the collector takes an hour after
 *           that. What was not tried yet is refused, a copy in doubt becomes its void. A move in doubt may have
 *           been seen by others, so it goes on; of mails whose object is gone it leaves a void where their row
 *           would be. That stands under the name of the row: names become durable in their order. */
#include "store/store_private.h"

#include "base/map.h"

#define LATE_ROW_MS    (STORE_TAIL_MS / 2)
#define OLD_SOURCES_MS (45 * 60 * 1000) /* the collector keeps an hour */

bool batch_has_late_rows(const struct batch *b)
{
	int64_t limit_ms = now_wall_us() / US_PER_MS - LATE_ROW_MS;
	if (catalog_is_atomic(b->user->store->catalog))
		return false;
	for (size_t i = 0; i < b->count; i++)
		if (b->changes[i].kind == CATALOG_PUT_ROW &&
			(int64_t)name_ms(b->changes[i].row.name) < limit_ms)
			return true;
	return false;
}

bool batch_has_old_sources(const struct batch *b)
{
	return b->sources_seen_ms > 0 &&
	       now_wall_us() / US_PER_MS - b->sources_seen_ms > OLD_SOURCES_MS &&
	       !catalog_is_atomic(b->user->store->catalog);
}

/* The change that puts a row becomes the one that puts its void. */
static void leave_out(struct batch *b, size_t i, const struct row_append *a)
{
	struct catalog_change *change = &b->changes[i];
	struct row_mark mark = { .name = change->row.name, .uid = a->uid };
	AUTO_BUF(value, 0);
	row_void_encode(&value, 0, &mark, 1);
	change->row.kind = CATALOG_OP;
	change->row.value = buf_dup(&b->arena, &value);
	change->stamp_us = 0;
	b->items[i].summary = b->items[i].resolved = STR_NONE;
}

/* WAITS. *out_gone: the texts of the objects that are not there. */
static enum err find_collected(struct op *op, struct batch *b, struct map *out_gone)
{
	struct user *u = b->user;
	for (size_t i = 0; i < b->count; i++) {
		struct row_append a;
		struct object_info info;
		const struct catalog_change *change = &b->changes[i];
		if (change->kind != CATALOG_PUT_ROW || change->row.kind != CATALOG_APPEND ||
			row_append_decode(change->row.value, &a) != ERR_NONE)
			continue;
		enum err e = objects_stat(
			op, u->store->objects, store_object_key(op->arena, u, a.oid), &info);
		if (e != ERR_NOT_FOUND) {
			TRY(e);
			continue;
		}
		op_forgive(op);
		struct str *oid = ARENA_NEW(&b->arena, struct str);
		*oid = batch_oid_text(b, a.oid);
		(void)map_set(out_gone, *oid, oid);
		leave_out(b, i, &a);
	}
	return ERR_NONE;
}

enum err batch_leave_out_collected(struct op *op, struct batch *b)
{
	struct map gone;
	map_init(&gone);
	enum err e = find_collected(op, b, &gone);
	for (size_t i = 0; i < b->count; i++) {
		struct catalog_change *change = &b->changes[i];
		if (change->kind != CATALOG_PUT_REVERSE || !map_get(&gone, change->object))
			continue;
		change->kind = CATALOG_DELETE_REVERSE;
		change->stamp_us = 0;
	}
	map_done(&gone);
	batch_stamp(b);
	return e;
}
