/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/sqlite_write.c - group commit of one shard, on an offload thread.
 *
 * Many batches share one transaction and its fsync. If it fails, it is rolled back and each batch
 * gets a transaction of its own, so that one that cannot be written does not hurt the others. When
 * the file or the disk under it fails, nobody gets a second try: all would meet the same. */
#include "catalog/sqlite_private.h"

static void bind_checksum(
	sqlite3_stmt *st, int at, const struct catalog_place *place, struct str value)
{
	(void)sqlite3_bind_int64(st, at, catalog_checksum(place, value)); /* numbers always fit */
}

static void bind_row_checksum(
	sqlite3_stmt *st, struct str user, const struct catalog_change *change)
{
	const struct catalog_place place = { .table = 'r',
		.user = user,
		.mailbox = change->mailbox,
		.bucket = change->row.bucket,
		.kind = (uint32_t)change->row.kind,
		.name = change->row.name };
	bind_checksum(st, 7, &place, change->row.value);
}

static void bind_head_checksum(
	sqlite3_stmt *st, struct str user, const struct catalog_change *change)
{
	const struct catalog_place place = {
		.table = 'h', .user = user, .mailbox = change->mailbox, .key = change->key
	};
	bind_checksum(st, 5, &place, change->value);
}

static void bind_garbage_checksum(
	sqlite3_stmt *st, struct str user, const struct catalog_change *change)
{
	const struct catalog_place place = {
		.table = 'g', .user = user, .name = change->queued, .key = change->object
	};
	const struct catalog_garbage entry = {
		.mailbox = change->mailbox, .bucket = change->row.bucket, .row = change->row.name
	};
	char bytes[CATALOG_GARBAGE_BYTES];
	catalog_garbage_encode(bytes, &entry);
	bind_checksum(st, 7, &place, (struct str){ bytes, sizeof(bytes) });
}

static enum err change_apply(
	struct op *op, struct shard *s, struct str user, const struct catalog_change *change)
{
	static const enum statement statement_of[] = {
		[CATALOG_PUT_ROW] = STATEMENT_PUT_ROW,
		[CATALOG_DELETE_ROW] = STATEMENT_DELETE_ROW,
		[CATALOG_PUT_HEAD] = STATEMENT_PUT_HEAD,
		[CATALOG_DELETE_HEAD] = STATEMENT_DELETE_HEAD,
		[CATALOG_PUT_REVERSE] = STATEMENT_PUT_REVERSE,
		[CATALOG_DELETE_REVERSE] = STATEMENT_DELETE_REVERSE,
		[CATALOG_PUT_GARBAGE] = STATEMENT_PUT_GARBAGE,
		[CATALOG_DELETE_GARBAGE] = STATEMENT_DELETE_GARBAGE,
		[CATALOG_DELETE_OPS] = STATEMENT_DELETE_OPS,
		[CATALOG_DELETE_MAILBOX] = STATEMENT_DELETE_MAILBOX,
	};
	const struct catalog_row *row = &change->row;
	sqlite3_stmt *st = connection_statement(op, s, s->writer, statement_of[change->kind]);
	if (!st)
		return op->failure.class;
	switch (change->kind) {
	case CATALOG_PUT_ROW:
		bind_blob(st, 6, row->value);
		bind_row_checksum(st, user, change);
		__attribute__((fallthrough));
	case CATALOG_DELETE_ROW:
		bind_text(st, 1, user);
		bind_guid(st, 2, &change->mailbox);
		(void)sqlite3_bind_int64(st, 3, row->bucket); /* numbers always fit */
		(void)sqlite3_bind_int64(st, 4, row->kind);
		bind_name(st, 5, &row->name);
		break;
	case CATALOG_PUT_HEAD:
		bind_blob(st, 4, change->value);
		bind_head_checksum(st, user, change);
		__attribute__((fallthrough));
	case CATALOG_DELETE_HEAD:
		bind_text(st, 1, user);
		bind_guid(st, 2, &change->mailbox);
		bind_text(st, 3, change->key);
		break;
	case CATALOG_PUT_REVERSE:
		(void)sqlite3_bind_int64(st, 5, row->bucket);
		__attribute__((fallthrough));
	case CATALOG_DELETE_REVERSE:
		bind_text(st, 1, user);
		bind_text(st, 2, change->object);
		bind_guid(st, 3, &change->mailbox);
		bind_name(st, 4, &row->name);
		break;
	case CATALOG_PUT_GARBAGE:
		bind_guid(st, 4, &change->mailbox);
		(void)sqlite3_bind_int64(st, 5, row->bucket);
		bind_name(st, 6, &row->name);
		bind_garbage_checksum(st, user, change);
		__attribute__((fallthrough));
	case CATALOG_DELETE_GARBAGE:
		bind_name(st, 1, &change->queued);
		bind_text(st, 2, user);
		bind_text(st, 3, change->object);
		break;
	case CATALOG_DELETE_OPS:
		(void)sqlite3_bind_int64(st, 3, row->bucket);
		bind_name(st, 4, &row->name);
		__attribute__((fallthrough));
	case CATALOG_DELETE_MAILBOX:
		bind_text(st, 1, user);
		bind_guid(st, 2, &change->mailbox);
		break;
	}
	return statement_run(op, s, s->writer, st);
}

static enum err run_simple(struct op *op, struct shard *s, enum statement id)
{
	return statement_run(op, s, s->writer, connection_statement(op, s, s->writer, id));
}

/* *code: SQLite's word on the failure, as long as it stands. */
static enum err transaction(struct op *op, struct shard *s, struct write_request *const *requests,
	size_t count, int *code)
{
	enum err e = run_simple(op, s, STATEMENT_BEGIN);
	for (size_t i = 0; i < count && e == ERR_NONE; i++)
		for (size_t k = 0; k < requests[i]->count && e == ERR_NONE; k++)
			e = change_apply(op, s, requests[i]->user, &requests[i]->changes[k]);
	if (e == ERR_NONE)
		e = run_simple(op, s, STATEMENT_COMMIT);
	*code = e == ERR_NONE ? SQLITE_OK : sqlite3_extended_errcode(s->writer->db);
	if (e != ERR_NONE && !sqlite3_get_autocommit(s->writer->db)) {
		struct op ignored; /* why the rollback failed as well */
		op_init(&ignored, NULL, NULL, TIME_NEVER);
		if (run_simple(&ignored, s, STATEMENT_ROLLBACK) != ERR_NONE)
			return e;
	}
	return e;
}

/* May the failure be one batch's own fault? */
static bool is_worth_another_try(int code)
{
	switch (code & 0xff) {
	case SQLITE_CONSTRAINT:
	case SQLITE_TOOBIG:
	case SQLITE_FULL: /* a smaller one may fit */
	case SQLITE_NOMEM:
		return true;
	default:
		return false;
	}
}

static void answer(struct op *op, struct write_request *request, enum err e)
{
	request->result = e;
	if (e != ERR_NONE)
		request->failure = str_new_z(str_from(op->failure.text));
}

unsigned shard_write(struct shard *s, struct write_request **requests, size_t count)
{
	struct op op;
	op_init(&op, NULL, NULL, TIME_NEVER);
	enum err e = shard_open(&op, s);
	int code = SQLITE_OK;
	if (e == ERR_NONE)
		e = transaction(&op, s, requests, count, &code);
	if (e == ERR_NONE || count == 1 || !is_worth_another_try(code)) {
		for (size_t i = 0; i < count; i++)
			answer(&op, requests[i], e);
		return e == ERR_NONE;
	}
	unsigned commits = 0;
	for (size_t i = 0; i < count; i++) {
		op_forgive(&op);
		e = transaction(&op, s, &requests[i], 1, &code);
		answer(&op, requests[i], e);
		commits += e == ERR_NONE;
	}
	return commits;
}

enum err shard_checkpoint(struct op *op, struct shard *s, bool is_rest)
{
	struct connection *c = s->writer;
	if (!is_rest)
		TRY(shard_take_reader(op, s, &c));
	int code = sqlite3_wal_checkpoint_v2(c->db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	enum err e = code == SQLITE_OK ? ERR_NONE : shard_fail(op, s, c, "checkpoint of");
	if (!is_rest)
		shard_give_reader(s, c);
	return e;
}
