/* SPDX-License-Identifier: Apache-2.0 */
/* A file of users: "name:password:uid:gid:gecos:home:shell:extra fields" (sheet core §6.10).
 *
 * The file is read whole and looked at again, with one stat(), at most once a second; a changed file
 * replaces the old content only if it can be read. Extra fields are separated by spaces; those that
 * begin with "userdb_" are the user database's. */
#include "auth/drivers_private.h"

#include <sys/stat.h>

#include "base/file.h"
#include "task/task.h"

#define FILE_BYTES_MAX   (256 << 20)
#define LOOK_EVERY_US    US_PER_SEC
#define EXTRA_FIELDS_MAX 64

struct passwd_file {
	const struct config_scope *scope;
	bool is_passdb;
	char *path;
	struct buf content;
	struct map lines;   /* user -> struct str: a line of content */
	struct arena arena; /* of the lines */
	int64_t looked_us;
	struct timespec changed;
	off_t bytes;
	uint64_t generation;
};

static void index_lines(struct passwd_file *f)
{
	struct str rest = buf_str(&f->content), line, name;
	if (rest.n > 0 && rest.p[rest.n - 1] != '\n') {
		buf_put_byte(&f->content, '\n');
		rest = buf_str(&f->content);
	}
	while (str_cut_line(&rest, &line)) {
		struct str fields = line;
		if (line.n == 0 || line.p[0] == '#')
			continue;
		if (!str_cut(&fields, ':', &name))
			name = line;
		/* The first line of a name counts. */
		if (name.n == 0 || map_get(&f->lines, name))
			continue;
		struct str *kept = ARENA_NEW(&f->arena, struct str);
		*kept = line;
		map_set(&f->lines, name, kept);
	}
}

struct read_job {
	struct offload_job job;
	struct arena arena;
	struct op op;
	char *path;
	struct buf content;
	struct stat st;
	enum err result;
};

static void read_run(struct offload_job *job)
{
	struct read_job *r = (struct read_job *)job;
	op_init(&r->op, &r->arena, NULL, TIME_NEVER);
	r->result = file_read(&r->op, r->path, FILE_BYTES_MAX, &r->content);
}

static void read_release(struct offload_job *job)
{
	struct read_job *r = (struct read_job *)job;
	buf_done(&r->content);
	arena_done(&r->arena);
	mem_free(r->path);
	mem_free(r);
}

/* WAITS. Two tasks may read at once; both see the same file and the later one stays. */
static enum err read_again(struct op *op, struct passwd_file *f, const struct stat *st)
{
	struct read_job *r = MEM_NEW(struct read_job);
	r->job = (struct offload_job){ .run = read_run, .release = read_release };
	arena_init(&r->arena, 0);
	r->path = str_new_z(str_from(f->path));
	TRY(offload(op, OFFLOAD_DISK, &r->job));
	if (r->result != ERR_NONE) {
		enum err e = op_fail(op, ERR_UNAVAILABLE, "%s", r->op.failure.text);
		read_release(&r->job);
		return e;
	}
	map_done(&f->lines);
	map_init(&f->lines);
	arena_reset(&f->arena);
	buf_done(&f->content);
	f->content = r->content;
	r->content = (struct buf){ 0 };
	read_release(&r->job);
	f->changed = st->st_mtim;
	f->bytes = st->st_size;
	f->generation++;
	index_lines(f);
	return ERR_NONE;
}

/* WAITS when the file has changed. */
static enum err refresh(struct op *op, struct passwd_file *f)
{
	struct stat st;
	int64_t now = now_us();
	if (f->generation > 0 && now < f->looked_us + LOOK_EVERY_US)
		return ERR_NONE;
	if (stat(f->path, &st) < 0) {
		(void)op_fail_errno(op, "passwd_file_path: stat %s", f->path);
		op->failure.class = ERR_UNAVAILABLE;
		return ERR_UNAVAILABLE;
	}
	f->looked_us = now;
	if (f->generation > 0 && st.st_size == f->bytes && st.st_mtim.tv_sec == f->changed.tv_sec &&
		st.st_mtim.tv_nsec == f->changed.tv_nsec)
		return ERR_NONE;
	return read_again(op, f, &st);
}

static enum err passwd_file_open(
	struct op *op, const struct config_scope *scope, bool is_passdb, void **out)
{
	struct str path = config_str(scope, SET_passwd_file_path);
	if (path.n == 0 || str_has_nul(path))
		return op_fail(op, ERR_INVALID, "passwd_file_path must name the file of users");
	path = config_state_path(op->arena, scope, path);
	struct passwd_file *f = MEM_NEW(struct passwd_file);
	f->scope = scope;
	f->is_passdb = is_passdb;
	f->path = str_new_z(path);
	map_init(&f->lines);
	arena_init(&f->arena, 0);
	*out = f;
	return ERR_NONE;
}

static void passwd_file_close(void *state)
{
	struct passwd_file *f = state;
	map_done(&f->lines);
	arena_done(&f->arena);
	buf_done(&f->content);
	mem_free(f->path);
	mem_free(f);
}

static void add_field(struct auth_record *r, struct str key, struct str value)
{
	if (value.n > 0 && r->field_count < EXTRA_FIELDS_MAX)
		r->fields[r->field_count++] = (struct auth_field){ key, value };
}

static void add_extra_fields(struct auth_record *r, struct str extra, bool is_passdb)
{
	struct str word;
	while (str_cut_word(&extra, &word)) {
		struct str key, value = word;
		if (!str_cut(&value, '=', &key)) {
			key = word;
			value = STR("yes");
		}
		bool is_for_userdb = str_skip(&key, STR("userdb_"));
		if (is_passdb && str_eq(key, STR("nopassword")) && !is_for_userdb)
			r->needs_no_password = true;
		else if (is_for_userdb != is_passdb)
			add_field(r, key, value);
	}
}

static enum err passwd_file_lookup(
	struct op *op, void *state, const struct auth_request *request, struct auth_record *out)
{
	struct passwd_file *f = state;
	TRY(refresh(op, f));
	const struct str *line = map_get(&f->lines, request->user);
	if (!line)
		return op_fail(op, ERR_NOT_FOUND, "user is not in %s", f->path);
	struct auth_record r = { 0 };
	/* The next refresh drops the lines: what is told lives in the arena. */
	struct str rest = str_dup(op->arena, *line), parts[7] = { { 0 } };
	for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
		if (str_cut(&rest, ':', &parts[i]))
			continue;
		parts[i] = rest;
		rest = STR("");
		break;
	}
	r.fields = ARENA_NEW_ARRAY(op->arena, struct auth_field, EXTRA_FIELDS_MAX);
	r.password = parts[1];
	if (!f->is_passdb) {
		add_field(&r, STR("uid"), parts[2]);
		add_field(&r, STR("gid"), parts[3]);
		add_field(&r, STR("home"), parts[5]);
	}
	add_extra_fields(&r, rest, f->is_passdb);
	*out = r;
	return ERR_NONE;
}

static uint64_t passwd_file_generation(void *state)
{
	struct passwd_file *f = state;
	AUTO_ARENA(arena, 0);
	struct op op;
	/* Looks at the file, so that a changed password counts at once; a failure shows in the lookup. */
	op_init(&op, &arena, NULL, now_us() + 10 * US_PER_SEC);
	(void)refresh(&op, f);
	return f->generation;
}

const struct auth_driver auth_passwd_file = {
	.name = "passwd-file",
	.open = passwd_file_open,
	.close = passwd_file_close,
	.lookup = passwd_file_lookup,
	.generation = passwd_file_generation,
};
