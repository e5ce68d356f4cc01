/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/sqlite.c - the catalog of the embedded form: one SQLite file a shard; the loop's side.
 *
 * Writes go to the shard's committer (sqlite_commit.c). Reads are one offload job each, beside
 * commits and each other. Shards are opened by their first job: a process touches only those that
 * it owns. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/number.h"
#include "base/random.h"
#include "catalog/sqlite_private.h"
#include "config/config.h"
#include "task/task.h"

#define USERS_PIECE    256
#define SHARD_VARIABLE "%{shard}"

struct sqlite_catalog {
	struct catalog base; /* first */
	struct shard_settings settings;
	/* owned */
	struct shard *shards;
	struct committer *committers;
	_Atomic unsigned jobs; /* reads that may still touch a shard, abandoned ones too */
};

static struct sqlite_catalog *sqlite_catalog(struct catalog *c)
{
	return CONTAINER_OF(c, struct sqlite_catalog, base);
}

static enum err sqlite_write(struct op *op, struct catalog *c, struct str user,
	const struct catalog_change *changes, size_t count, size_t *durable)
{
	(void)durable;
	struct committer *committer = &sqlite_catalog(c)->committers[catalog_user_shard(c, user)];
	return committer_write(op, committer, user, changes, count);
}

/* ---- reading ---- */

struct read_job {
	struct offload_job job; /* first */
	struct sqlite_catalog *catalog;
	struct shard *shard;
	struct arena arena; /* for texts and results */
	struct op op;       /* allocates from `arena` */
	enum err result;
	enum err (*run)(struct read_job *j);
	/* in */
	struct str user;
	struct str text; /* object, or the last user */
	struct catalog_guid mailbox;
	struct catalog_name name;
	uint32_t bucket;
	size_t max;
	/* out */
	struct catalog_head *heads;
	struct catalog_garbage *garbage;
	struct str *users;
	size_t count;
	uint32_t reverse_count;
	bool has_row;
	struct rows_piece piece; /* in, too */
};

static void read_run(struct offload_job *job)
{
	struct read_job *j = CONTAINER_OF(job, struct read_job, job);
	j->result = j->run(j);
}

static void read_release(struct offload_job *job)
{
	struct read_job *j = CONTAINER_OF(job, struct read_job, job);
	struct sqlite_catalog *catalog = j->catalog;
	arena_done(&j->arena);
	mem_free(j);
	atomic_fetch_sub(&catalog->jobs, 1); /* last: the catalog may be closed from now on */
}

static struct read_job *read_job_new(
	struct catalog *c, uint32_t shard, struct str user, enum err (*run)(struct read_job *j))
{
	struct read_job *j = MEM_NEW(struct read_job);
	j->job.run = read_run;
	j->job.release = read_release;
	j->catalog = sqlite_catalog(c);
	j->shard = &j->catalog->shards[shard];
	j->run = run;
	arena_init(&j->arena, 0);
	op_init(&j->op, &j->arena, NULL, TIME_NEVER);
	j->user = str_dup(&j->arena, user);
	atomic_fetch_add(&j->catalog->jobs, 1);
	return j;
}

/* WAITS. ERR_NONE: read the results, then read_release(). */
static enum err read_job_do(struct op *op, struct read_job *j)
{
	TRY(offload(op, OFFLOAD_DISK, &j->job));
	enum err e = j->result;
	if (e != ERR_NONE) {
		(void)op_fail(op, e, "%s", j->op.failure.text);
		read_release(&j->job);
	}
	return e;
}

static enum err heads_run(struct read_job *j)
{
	return shard_read_heads(&j->op, j->shard, j->user, &j->heads, &j->count);
}

static enum err sqlite_read_heads(struct op *op, struct catalog *c, struct str user,
	struct catalog_head **out, size_t *out_count)
{
	struct read_job *j = read_job_new(c, catalog_user_shard(c, user), user, heads_run);
	TRY(read_job_do(op, j));
	struct catalog_head *heads =
		ARENA_NEW_ARRAY(op->arena, struct catalog_head, MAX(j->count, 1));
	for (size_t i = 0; i < j->count; i++) {
		heads[i].mailbox = j->heads[i].mailbox;
		heads[i].key = str_dup(op->arena, j->heads[i].key);
		heads[i].value = str_dup(op->arena, j->heads[i].value);
	}
	*out = heads;
	*out_count = j->count;
	read_release(&j->job);
	return ERR_NONE;
}

static enum err rows_run(struct read_job *j)
{
	return shard_read_rows(&j->op, j->shard, j->user, &j->mailbox, &j->piece);
}

static enum err sqlite_read_rows(struct op *op, struct catalog *c, struct str user,
	struct catalog_guid mailbox, uint32_t bucket, uint32_t last_bucket,
	struct catalog_name after, struct catalog_name known, catalog_row_fn *row_fn, void *arg)
{
	(void)known; /* nothing is far away here */
	/* Behind every row that has the name `after`. */
	struct rows_piece piece = { .bucket = bucket,
		.last_bucket = last_bucket,
		.last = { .name = after, .kind = CATALOG_OP, .bucket = UINT32_MAX } };
	while (!piece.is_last) {
		struct read_job *j = read_job_new(c, catalog_user_shard(c, user), user, rows_run);
		j->mailbox = mailbox;
		j->piece = piece;
		TRY(read_job_do(op, j));
		enum err e = ERR_NONE;
		for (size_t i = 0; i < j->piece.count && e == ERR_NONE; i++)
			e = row_fn(op, &j->piece.rows[i], arg);
		piece = j->piece;
		read_release(&j->job);
		TRY(e);
	}
	return ERR_NONE;
}

static enum err reverse_run(struct read_job *j)
{
	return shard_count_reverse(&j->op, j->shard, j->user, j->text, &j->reverse_count);
}

static enum err sqlite_count_reverse(
	struct op *op, struct catalog *c, struct str user, struct str object, uint32_t *out_count)
{
	struct read_job *j = read_job_new(c, catalog_user_shard(c, user), user, reverse_run);
	j->text = str_dup(&j->arena, object);
	TRY(read_job_do(op, j));
	*out_count = j->reverse_count;
	read_release(&j->job);
	return ERR_NONE;
}

static enum err has_row_run(struct read_job *j)
{
	return shard_has_row(
		&j->op, j->shard, j->user, &j->mailbox, j->bucket, &j->name, &j->has_row);
}

static enum err sqlite_has_row(struct op *op, struct catalog *c, struct str user,
	struct catalog_guid mailbox, uint32_t bucket, struct catalog_name name, bool *out)
{
	struct read_job *j = read_job_new(c, catalog_user_shard(c, user), user, has_row_run);
	j->mailbox = mailbox;
	j->bucket = bucket;
	j->name = name;
	TRY(read_job_do(op, j));
	*out = j->has_row;
	read_release(&j->job);
	return ERR_NONE;
}

static enum err garbage_run(struct read_job *j)
{
	const struct catalog_garbage from = { .name = j->name, .user = j->user, .object = j->text };
	return shard_read_garbage(&j->op, j->shard, &from, j->max, &j->garbage, &j->count);
}

static enum err sqlite_read_garbage(struct op *op, struct catalog *c, uint32_t shard,
	const struct catalog_garbage *from, size_t max, struct catalog_garbage **out,
	size_t *out_count)
{
	struct read_job *j = read_job_new(c, shard, from ? from->user : STR(""), garbage_run);
	j->max = max;
	j->text = from ? str_dup(&j->arena, from->object) : STR("");
	if (from)
		j->name = from->name;
	TRY(read_job_do(op, j));
	struct catalog_garbage *garbage =
		ARENA_NEW_ARRAY(op->arena, struct catalog_garbage, MAX(j->count, 1));
	for (size_t i = 0; i < j->count; i++) {
		garbage[i] = j->garbage[i];
		garbage[i].user = str_dup(op->arena, j->garbage[i].user);
		garbage[i].object = str_dup(op->arena, j->garbage[i].object);
	}
	*out = garbage;
	*out_count = j->count;
	read_release(&j->job);
	return ERR_NONE;
}

static enum err users_run(struct read_job *j)
{
	return shard_list_users(&j->op, j->shard, j->text, USERS_PIECE, &j->users, &j->count);
}

static enum err sqlite_list_users(
	struct op *op, struct catalog *c, uint32_t shard, catalog_user_fn *fn, void *arg)
{
	char last[CATALOG_USER_MAX];
	struct str after = STR_NONE;
	for (bool is_last = false; !is_last;) {
		struct read_job *j = read_job_new(c, shard, STR_NONE, users_run);
		j->text = str_dup(&j->arena, after);
		TRY(read_job_do(op, j));
		enum err e = ERR_NONE;
		for (size_t i = 0; i < j->count && e == ERR_NONE; i++)
			e = fn(op, j->users[i], arg);
		is_last = j->count < USERS_PIECE;
		if (!is_last) {
			after = str_slice(j->users[j->count - 1], 0, sizeof(last));
			memcpy(last, after.p, after.n);
			after.p = last;
		}
		read_release(&j->job);
		TRY(e);
	}
	return ERR_NONE;
}

/* ---- opening ---- */

#define SHARDS_FILE "shards"

/* The number of shards is written once, by whoever comes first, and read by everybody. */
static enum err shards_settle(struct op *op, const char *dir, uint32_t wanted)
{
	struct buf path = { 0 }, tmp = { 0 }, text = { 0 };
	buf_putf(&path, "%s/" SHARDS_FILE "%c", dir, '\0');
	buf_putf(&tmp, "%s/" SHARDS_FILE ".%016" PRIx64 "%c", dir, random_u64(), '\0');
	enum err e = file_read(op, path.p, 64, &text);
	if (e == ERR_NOT_FOUND) {
		op_forgive(op);
		buf_putf(&text, "%" PRIu32 "\n", wanted);
		e = file_replace(op, tmp.p, buf_str(&text), 0600);
		if (e == ERR_NONE && link(tmp.p, path.p) < 0 && errno != EEXIST)
			e = op_fail_errno(op, "link %s", path.p);
		(void)unlink(tmp.p); /* missing after a failure above */
		buf_clear(&text);
		if (e == ERR_NONE)
			e = file_sync_dir(op, dir);
		if (e == ERR_NONE)
			e = file_read(op, path.p, 64, &text);
	}
	uint32_t found = 0;
	if (e == ERR_NONE && !number_parse_u32(str_trim(buf_str(&text)), &found))
		e = op_fail(op, ERR_CORRUPT, "%s holds no number of shards", path.p);
	if (e == ERR_NONE && found != wanted)
		e = op_fail(op, ERR_INVALID,
			"catalog %s was created with %" PRIu32
			" shards and cannot be opened with %" PRIu32,
			dir, found, wanted);
	buf_done(&path);
	buf_done(&tmp);
	buf_done(&text);
	return e;
}

/* Makes the directory. Its parents that may be read are synced, so that it survives power loss. */
static enum err dir_make(struct op *op, const char *dir)
{
	TRY(file_make_dirs(op, dir, 0700));
	char *z = str_new_z(str_from(dir));
	enum err e = ERR_NONE;
	for (size_t n = strlen(z); e == ERR_NONE && n-- > 1;) {
		if (z[n] != '/')
			continue;
		z[n] = '\0';
		if (access(z, R_OK | W_OK) == 0)
			e = file_sync_dir(op, z);
	}
	mem_free(z);
	return e;
}

static const char *synchronous_find(struct str name)
{
	static const char *const names[] = { "off", "normal", "full", "extra" };
	for (size_t i = 0; i < ARRAY_COUNT(names); i++)
		if (str_eq(str_from(names[i]), name))
			return names[i];
	return NULL;
}

/* "<directory>", ",<number of shards>" and ",off" (or another way of SQLite to commit) behind it. */
static enum err argument_read(struct op *op, struct str argument, struct str *path,
	uint32_t *shard_count, const char **synchronous)
{
	struct str rest = argument, word;
	if (!str_cut(&rest, ',', path)) {
		*path = rest;
		rest = STR_NONE;
	}
	while (rest.n) {
		if (!str_cut(&rest, ',', &word)) {
			word = rest;
			rest = STR_NONE;
		}
		const char *way = synchronous_find(word);
		if (way)
			*synchronous = way;
		else
			TRY(catalog_shards_parse(op, word, shard_count));
	}
	*path = str_printf(op->arena, "%.*s/%s.sqlite", STRF(*path), SHARD_VARIABLE);
	return ERR_NONE;
}

/* The settings of a dict block. */
static enum err scope_read(struct op *op, const struct config_scope *scope, struct str *path,
	uint32_t *shard_count, const char **synchronous)
{
	uint64_t count = config_u64(scope, SET_mail_shard_count);
	if (count == 0 || count > CATALOG_SHARDS_MAX)
		return op_fail(op, ERR_INVALID,
			"mail_shard_count = %" PRIu64 ": between 1 and %d are possible", count,
			CATALOG_SHARDS_MAX);
	if (!config_is(scope, SET_sqlite_journal_mode, STR("wal")))
		return op_fail(op, ERR_UNSUPPORTED, "sqlite_journal_mode: the catalog needs wal");
	const char *way = synchronous_find(config_str(scope, SET_sqlite_synchronous));
	if (way)
		*synchronous = way;
	*shard_count = (uint32_t)count;
	*path = config_str(scope, SET_sqlite_path);
	if (path->n && path->p[0] != '/')
		*path = str_printf(op->arena, "%.*s/%.*s", STRF(config_str(scope, SET_state_dir)),
			STRF(*path));
	return ERR_NONE;
}

/* Takes "/dir/name-%{shard}.sqlite" apart. */
static enum err path_read(struct op *op, struct str path, struct shard_settings *out)
{
	ssize_t slash = str_find_last_byte(path, '/');
	ssize_t at = str_find(path, STR(SHARD_VARIABLE));
	if (path.n == 0 || path.p[0] != '/' || str_has_nul(path))
		return op_fail(
			op, ERR_INVALID, "catalog: \"%.*s\" is no absolute path", STRF(path));
	struct str after = str_slice(path, (size_t)(at + (ssize_t)strlen(SHARD_VARIABLE)), path.n);
	if (slash < 1 || at < slash || str_find(path, STR("%{")) != at ||
		str_find(after, STR("%{")) >= 0)
		return op_fail(op, ERR_INVALID,
			"catalog: \"%.*s\" needs %s, and no other variable, in the file's name",
			STRF(path), SHARD_VARIABLE);
	out->dir = str_new_z(str_slice(path, 0, (size_t)slash));
	out->name_before = str_new_z(str_slice(path, (size_t)slash + 1, (size_t)at));
	out->name_after = str_new_z(after);
	return ERR_NONE;
}

static void settings_done(struct shard_settings *settings)
{
	mem_free(settings->dir);
	mem_free(settings->name_before);
	mem_free(settings->name_after);
}

static enum err sqlite_catalog_open(struct op *op, const struct config_scope *scope,
	struct str argument, struct catalog *inner, struct catalog **out)
{
	(void)inner;
	struct shard_settings settings = { .synchronous = "full",
		.shard_count = CATALOG_SHARDS_USUAL };
	struct str path;
	if (scope)
		TRY(scope_read(op, scope, &path, &settings.shard_count, &settings.synchronous));
	else
		TRY(argument_read(
			op, argument, &path, &settings.shard_count, &settings.synchronous));
	TRY(path_read(op, path, &settings));
	enum err e = dir_make(op, settings.dir);
	if (e == ERR_NONE)
		e = shards_settle(op, settings.dir, settings.shard_count);
	if (e != ERR_NONE) {
		settings_done(&settings);
		return e;
	}
	const uint32_t count = settings.shard_count;
	struct sqlite_catalog *c = MEM_NEW(struct sqlite_catalog);
	c->base.driver = &catalog_sqlite;
	c->base.shard_count = count;
	c->settings = settings;
	c->shards = mem_new_array(count, sizeof(*c->shards));
	c->committers = mem_new_array(count, sizeof(*c->committers));
	for (uint32_t i = 0; i < count; i++) {
		shard_init(&c->shards[i], &c->settings, i);
		committer_init(&c->committers[i], &c->shards[i], &c->base.counters.commits);
	}
	*out = &c->base;
	return ERR_NONE;
}

static bool is_busy(struct sqlite_catalog *c)
{
	for (uint32_t i = 0; i < c->base.shard_count; i++)
		if (committer_is_busy(&c->committers[i]))
			return true;
	return atomic_load(&c->jobs) > 0;
}

/* Blocks for the last checkpoint: at the end of a process nobody else wants to run. */
static void sqlite_catalog_close(struct op *op, struct catalog *catalog)
{
	(void)op; /* its deadline does not count: what is being written is written */
	struct sqlite_catalog *c = sqlite_catalog(catalog);
	struct op patient;
	op_init(&patient, NULL, NULL, TIME_NEVER);
	task_shield();
	while (is_busy(c))
		if (task_sleep(&patient, US_PER_MS) != ERR_NONE)
			op_forgive(&patient);
	task_unshield();
	for (uint32_t i = 0; i < c->base.shard_count; i++)
		shard_done(&c->shards[i]);
	mem_free(c->shards);
	mem_free(c->committers);
	settings_done(&c->settings);
	mem_free(c);
}

const struct catalog_driver catalog_sqlite = {
	.name = "sqlite",
	.is_atomic = true,
	.open = sqlite_catalog_open,
	.close = sqlite_catalog_close,
	.write = sqlite_write,
	.read_heads = sqlite_read_heads,
	.read_rows = sqlite_read_rows,
	.count_reverse = sqlite_count_reverse,
	.has_row = sqlite_has_row,
	.read_garbage = sqlite_read_garbage,
	.list_users = sqlite_list_users,
};
