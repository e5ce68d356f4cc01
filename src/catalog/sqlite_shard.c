/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/sqlite_shard.c - the file of a shard: ownership, connections, schema, statements.
 *
 * The schema is docs/formats/catalog.md. Tables are WITHOUT ROWID, so that rows stand on disk in the
 * order of their primary keys, as in the CQL form: a user's heads, and the rows of a bucket, are
 * neighbours. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/number.h"
#include "catalog/sqlite_private.h"

#define SCHEMA_VERSION 1
#define BUSY_MS        5000 /* an operator's sqlite3 may hold the file for a moment */

static const char *const statement_sql[STATEMENT_COUNT] = {
	[STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
	[STATEMENT_COMMIT] = "COMMIT",
	[STATEMENT_ROLLBACK] = "ROLLBACK",
	[STATEMENT_PUT_ROW] = "REPLACE INTO user_mailbox_rows"
			      " (user, mailbox, bucket, kind, name, value, checksum)"
			      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[STATEMENT_DELETE_ROW] = "DELETE FROM user_mailbox_rows WHERE user = ?1 AND mailbox = ?2"
				 " AND bucket = ?3 AND kind = ?4 AND name = ?5",
	[STATEMENT_PUT_HEAD] = "REPLACE INTO user_heads (user, mailbox, key, value, checksum)"
			       " VALUES (?1, ?2, ?3, ?4, ?5)",
	[STATEMENT_DELETE_HEAD] =
		"DELETE FROM user_heads WHERE user = ?1 AND mailbox = ?2 AND key = ?3",
	[STATEMENT_PUT_REVERSE] =
		"REPLACE INTO user_mailbox_reverse"
		" (user, object, mailbox, name, bucket) VALUES (?1, ?2, ?3, ?4, ?5)",
	[STATEMENT_DELETE_REVERSE] = "DELETE FROM user_mailbox_reverse WHERE user = ?1"
				     " AND object = ?2 AND mailbox = ?3 AND name = ?4",
	[STATEMENT_PUT_GARBAGE] = "REPLACE INTO gc_queue"
				  " (queued, user, object, mailbox, bucket, name, checksum)"
				  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[STATEMENT_DELETE_GARBAGE] =
		"DELETE FROM gc_queue WHERE queued = ?1 AND user = ?2 AND object = ?3",
	[STATEMENT_DELETE_OPS] = "DELETE FROM user_mailbox_rows WHERE user = ?1 AND mailbox = ?2"
				 " AND bucket = ?3 AND kind = 2 AND name < ?4",
	[STATEMENT_DELETE_MAILBOX] =
		"DELETE FROM user_mailbox_rows WHERE user = ?1 AND mailbox = ?2",
	[STATEMENT_READ_BEGIN] = "BEGIN",
	[STATEMENT_READ_HEADS] =
		"SELECT mailbox, key, value, checksum FROM user_heads WHERE user = ?1"
		" ORDER BY mailbox, key",
	[STATEMENT_NEXT_BUCKET] = "SELECT min(bucket) FROM user_mailbox_rows WHERE user = ?1"
				  " AND mailbox = ?2 AND bucket >= ?3",
	[STATEMENT_COUNT_REVERSE] =
		"SELECT count(*) FROM user_mailbox_reverse WHERE user = ?1 AND object = ?2",
	[STATEMENT_HAS_ROW] = "SELECT 1 FROM user_mailbox_rows WHERE user = ?1 AND mailbox = ?2"
			      " AND bucket = ?3 AND kind = ?4 AND name = ?5",
	[STATEMENT_READ_GARBAGE] =
		"SELECT queued, user, object, mailbox, bucket, name, checksum FROM gc_queue"
		" WHERE (queued, user, object) >= (?2, ?3, ?4)"
		" ORDER BY queued, user, object LIMIT ?1",
	[STATEMENT_NEXT_USER] = "SELECT min(user) FROM user_heads WHERE user > ?1",
};

static const char schema_sql[] =
	"CREATE TABLE catalog_meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE user_heads (user TEXT NOT NULL, mailbox BLOB NOT NULL, key TEXT NOT NULL,"
	" value BLOB NOT NULL, checksum INTEGER, PRIMARY KEY (user, mailbox, key)) WITHOUT ROWID;"
	"CREATE TABLE user_mailbox_rows (user TEXT NOT NULL, mailbox BLOB NOT NULL,"
	" bucket INTEGER NOT NULL, kind INTEGER NOT NULL, name BLOB NOT NULL, value BLOB NOT NULL,"
	" checksum INTEGER, PRIMARY KEY (user, mailbox, bucket, kind, name)) WITHOUT ROWID;"
	"CREATE TABLE user_mailbox_reverse (user TEXT NOT NULL, object TEXT NOT NULL,"
	" mailbox BLOB NOT NULL, name BLOB NOT NULL, bucket INTEGER NOT NULL,"
	" PRIMARY KEY (user, object, mailbox, name)) WITHOUT ROWID;"
	"CREATE TABLE gc_queue (queued BLOB NOT NULL, user TEXT NOT NULL, object TEXT NOT NULL,"
	" mailbox BLOB NOT NULL, bucket INTEGER NOT NULL, name BLOB NOT NULL, checksum INTEGER,"
	" PRIMARY KEY (queued, user, object)) WITHOUT ROWID;";

/* ---- SQLite's errors ---- */

static enum err class_of(int code)
{
	switch (code & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ERR_CORRUPT;
	case SQLITE_TOOBIG:
		return ERR_LIMIT;
	default:
		return ERR_UNAVAILABLE; /* disk full, input/output, locked by a tool ... */
	}
}

enum err shard_fail(struct op *op, const struct shard *s, struct connection *c, const char *doing)
{
	int code = c->db ? sqlite3_extended_errcode(c->db) : SQLITE_NOMEM;
	return op_fail(op, class_of(code), "%s catalog %s: %s (SQLite error %d)", doing, s->path,
		c->db ? sqlite3_errmsg(c->db) : "out of memory", code);
}

/* ---- statements ---- */

sqlite3_stmt *connection_statement(
	struct op *op, struct shard *s, struct connection *c, enum statement id)
{
	sqlite3_stmt *st = c->statements[id];
	if (st) {
		(void)sqlite3_reset(st); /* tells again how the last step ended */
		return st;
	}
	if (sqlite3_prepare_v3(c->db, statement_sql[id], -1, SQLITE_PREPARE_PERSISTENT, &st,
		    NULL) != SQLITE_OK) {
		(void)shard_fail(op, s, c, "preparing for");
		return NULL;
	}
	c->statements[id] = st;
	return st;
}

enum err statement_run(struct op *op, struct shard *s, struct connection *c, sqlite3_stmt *st)
{
	if (!st)
		return op->failure.class;
	enum err e = sqlite3_step(st) == SQLITE_DONE ? ERR_NONE : shard_fail(op, s, c, "writing");
	(void)sqlite3_reset(st); /* the same result again */
	return e;
}

void bind_text(sqlite3_stmt *st, int at, struct str v)
{
	int code = sqlite3_bind_text64(st, at, v.p, v.n, SQLITE_STATIC, SQLITE_UTF8);
	ASSERT(code == SQLITE_OK);
}

void bind_blob(sqlite3_stmt *st, int at, struct str v)
{
	/* A NULL pointer would bind NULL instead of the empty blob. */
	int code = sqlite3_bind_blob64(st, at, v.n ? v.p : "", v.n, SQLITE_STATIC);
	ASSERT(code == SQLITE_OK);
}

void bind_guid(sqlite3_stmt *st, int at, const struct catalog_guid *v)
{
	bind_blob(st, at, (struct str){ (const char *)v->bytes, sizeof(v->bytes) });
}

void bind_name(sqlite3_stmt *st, int at, const struct catalog_name *v)
{
	bind_blob(st, at, (struct str){ (const char *)v->bytes, sizeof(v->bytes) });
}

/* ---- connections ---- */

static void connection_close(struct connection *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < STATEMENT_COUNT; i++)
		(void)sqlite3_finalize(c->statements[i]); /* tells how the last step ended */
	for (size_t i = 0; i < c->stream_count; i++)
		(void)sqlite3_finalize(c->streams[i]);
	int code = sqlite3_close(c->db);
	ASSERT(code == SQLITE_OK);
	mem_free(c->streams);
	mem_free(c);
}

static enum err connection_execute(
	struct op *op, struct shard *s, struct connection *c, const char *sql)
{
	if (sqlite3_exec(c->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return shard_fail(op, s, c, "opening");
	return ERR_NONE;
}

/* The integer that a query of one row and column gives. */
static enum err connection_ask(
	struct op *op, struct shard *s, struct connection *c, const char *sql, int64_t *out)
{
	sqlite3_stmt *st;
	if (sqlite3_prepare_v2(c->db, sql, -1, &st, NULL) != SQLITE_OK)
		return shard_fail(op, s, c, "reading");
	int code = sqlite3_step(st);
	int64_t value = code == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
	enum err e = ERR_NONE;
	if (code == SQLITE_DONE)
		e = op_fail(op, ERR_CORRUPT, "catalog %s has no answer to: %s", s->path, sql);
	else if (code != SQLITE_ROW)
		e = shard_fail(op, s, c, "reading");
	(void)sqlite3_finalize(st); /* tells how the step ended */
	if (e == ERR_NONE)
		*out = value;
	return e;
}

static enum err connection_open(struct op *op, struct shard *s, int flags, struct connection **out)
{
	struct connection *c = MEM_NEW(struct connection);
	if (sqlite3_open_v2(s->path, &c->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
		enum err e = shard_fail(op, s, c, "opening");
		connection_close(c);
		return e;
	}
	(void)sqlite3_extended_result_codes(c->db, 1); /* cannot fail on an open handle */
	(void)sqlite3_busy_timeout(c->db, BUSY_MS);
	*out = c;
	return ERR_NONE;
}

/* ---- ownership ---- */

static enum err ownership_take(struct op *op, struct shard *s)
{
	if (s->lock_fd >= 0)
		return ERR_NONE;
	AUTO_FD(fd, open(s->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	if (fd < 0)
		return op_fail_errno(op, "open %s", s->lock_path);
	char pid[24];
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
		if (errno != EAGAIN && errno != EACCES)
			return op_fail_errno(op, "lock %s", s->lock_path);
		ssize_t n = pread(fd, pid, sizeof(pid), 0);
		return op_fail(op, ERR_UNAVAILABLE,
			"catalog %s is owned by process %.*s, which holds %s", s->path,
			STRF(str_trim((struct str){ pid, n > 0 ? (size_t)n : 0 })), s->lock_path);
	}
	int n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) != n)
		return op_fail_errno(op, "write %s", s->lock_path);
	s->lock_fd = fd;
	fd = -1;
	return ERR_NONE;
}

/* ---- schema ---- */

static enum err schema_make(struct op *op, struct shard *s, struct connection *c)
{
	char sql[160];
	snprintf(sql, sizeof(sql),
		"INSERT INTO catalog_meta VALUES ('schema', %d), ('shard', %" PRIu32
		"), ('shard_count', %" PRIu32 ");",
		SCHEMA_VERSION, s->number, s->settings->shard_count);
	TRY(connection_execute(op, s, c, "BEGIN IMMEDIATE"));
	enum err e = connection_execute(op, s, c, schema_sql);
	if (e == ERR_NONE)
		e = connection_execute(op, s, c, sql);
	if (e == ERR_NONE)
		e = connection_execute(op, s, c, "COMMIT");
	return e;
}

/* The first files had no checksums; what stands in them has none until it is written again. */
static enum err checksums_add(struct op *op, struct shard *s, struct connection *c)
{
	int64_t count;
	TRY(connection_ask(op, s, c,
		"SELECT count(*) FROM pragma_table_info('gc_queue') WHERE name = 'checksum'",
		&count));
	if (count > 0)
		return ERR_NONE;
	return connection_execute(op, s, c,
		"BEGIN IMMEDIATE; ALTER TABLE user_heads ADD COLUMN checksum INTEGER;"
		"ALTER TABLE user_mailbox_rows ADD COLUMN checksum INTEGER;"
		"ALTER TABLE gc_queue ADD COLUMN checksum INTEGER; COMMIT");
}

static enum err schema_check(struct op *op, struct shard *s, struct connection *c)
{
	int64_t table_count, version, number, count;
	TRY(connection_ask(op, s, c, "SELECT count(*) FROM sqlite_schema", &table_count));
	if (table_count == 0)
		TRY(schema_make(op, s, c));
	TRY(connection_ask(
		op, s, c, "SELECT value FROM catalog_meta WHERE key = 'schema'", &version));
	if (version != SCHEMA_VERSION)
		return op_fail(op, ERR_UNSUPPORTED,
			"catalog %s has schema version %" PRId64 ", this program knows %d", s->path,
			version, SCHEMA_VERSION);
	TRY(connection_ask(
		op, s, c, "SELECT value FROM catalog_meta WHERE key = 'shard'", &number));
	TRY(connection_ask(
		op, s, c, "SELECT value FROM catalog_meta WHERE key = 'shard_count'", &count));
	if (number != s->number || count != s->settings->shard_count)
		return op_fail(op, ERR_INVALID,
			"catalog %s is shard %" PRId64 " of %" PRId64 ", not %" PRIu32
			" of %" PRIu32,
			s->path, number, count, s->number, s->settings->shard_count);
	return checksums_add(op, s, c);
}

static enum err synchronous_set(struct op *op, struct shard *s, struct connection *c)
{
	char sql[64];
	snprintf(sql, sizeof(sql), "PRAGMA synchronous = %s", s->settings->synchronous);
	return connection_execute(op, s, c, sql);
}

static int wal_grew(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct shard *s = arg;
	(void)db;
	(void)name;
	s->wal_pages = pages;
	return SQLITE_OK;
}

static enum err writer_open(struct op *op, struct shard *s, struct connection **out)
{
	struct connection *c;
	TRY(connection_open(op, s, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &c));
	/* The page size and the journal stick when the file is new. */
	enum err e = connection_execute(op, s, c,
		"PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA cache_size = -4096;"
		"PRAGMA secure_delete = FAST;");
	if (e == ERR_NONE)
		e = synchronous_set(op, s, c);
	if (e == ERR_NONE)
		e = schema_check(op, s, c);
	if (e != ERR_NONE) {
		connection_close(c);
		return e;
	}
	/* Instead of automatic checkpoints, which would hold up the commit they fall into. */
	(void)sqlite3_wal_hook(c->db, wal_grew, s);
	*out = c;
	return ERR_NONE;
}

/* A file that is missing, of another catalog, or on a full disk is the operator's to mend: it must not
 * look as if the user or his mail did not exist. */
static enum err class_for_callers(struct op *op, enum err e)
{
	if (e == ERR_CORRUPT || e == ERR_UNSUPPORTED)
		return e;
	struct op_failure why = op->failure;
	return op_fail(op, ERR_UNAVAILABLE, "%s", why.text);
}

enum err shard_open(struct op *op, struct shard *s)
{
	enum err e = ERR_NONE;
	pthread_mutex_lock(&s->lock);
	if (!s->writer) {
		e = ownership_take(op, s);
		if (e == ERR_NONE)
			e = writer_open(op, s, &s->writer);
		if (e == ERR_NONE) {
			/* The names of new files, too, survive power loss. */
			e = file_sync_dir(op, s->settings->dir);
		}
		if (e != ERR_NONE) {
			connection_close(s->writer);
			s->writer = NULL;
			file_close_fd(&s->lock_fd);
			e = class_for_callers(op, e);
		}
	}
	pthread_mutex_unlock(&s->lock);
	return e;
}

enum err shard_take_reader(struct op *op, struct shard *s, struct connection **out)
{
	TRY(shard_open(op, s));
	pthread_mutex_lock(&s->lock);
	struct connection *c = s->idle;
	if (c)
		s->idle = c->next;
	pthread_mutex_unlock(&s->lock);
	if (!c) {
		TRY(connection_open(op, s, SQLITE_OPEN_READWRITE, &c));
		enum err e = connection_execute(op, s, c,
			"PRAGMA synchronous = FULL; PRAGMA cache_size = -1024; PRAGMA query_only = "
			"1");
		if (e != ERR_NONE) {
			connection_close(c);
			return e;
		}
	}
	*out = c;
	return ERR_NONE;
}

void shard_give_reader(struct shard *s, struct connection *c)
{
	pthread_mutex_lock(&s->lock);
	c->next = s->idle;
	s->idle = c;
	pthread_mutex_unlock(&s->lock);
}

/* ---- life ---- */

void shard_init(struct shard *s, const struct shard_settings *settings, uint32_t number)
{
	*s = (struct shard){ .number = number, .settings = settings, .lock_fd = -1 };
	struct buf path = { 0 };
	buf_putf(&path, "%s/%s%02" PRIu32 "%s", settings->dir, settings->name_before, number,
		settings->name_after);
	s->path = str_new_z(buf_str(&path));
	buf_put(&path, STR(".lock"));
	s->lock_path = str_new_z(buf_str(&path));
	buf_done(&path);
	pthread_mutex_init(&s->lock, NULL);
}

void shard_done(struct shard *s)
{
	for (struct connection *c = s->idle, *next; c; c = next) {
		next = c->next;
		connection_close(c);
	}
	connection_close(s->writer); /* moves the WAL into the database */
	file_close_fd(&s->lock_fd);
	pthread_mutex_destroy(&s->lock);
	mem_free(s->path);
	mem_free(s->lock_path);
}
