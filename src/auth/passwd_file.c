/* SPDX-License-Identifier: Apache-2.0 */
/* Files of users: "name:password:uid:gid:gecos:home:shell:extra fields" (sheet core §6.10).
 *
 * A file is read whole and looked at again, with one stat(), at most once a second; a changed file
 * replaces the old content only if it can be read. Extra fields are separated by spaces; those that
 * begin with "userdb_" are the user database's. The path may have %{variables}: then there are as many
 * files as paths, FILES_MAX of which are kept. */
#include "config/expand.h"

#include <sys/stat.h>

#include "auth/drivers_private.h"
#include "base/file.h"
#include "task/task.h"

#define FILE_BYTES_MAX (256 << 20)
#define LOOK_EVERY_US  US_PER_SEC
#define FILES_MAX      256

struct users_file {
	struct list age;  /* least recently used first */
	unsigned readers; /* tasks that are reading it again */
	char *path;
	struct buf content;
	struct map lines;   /* user -> struct str: a line of content */
	struct arena arena; /* of the lines */
	bool is_read;
	int64_t looked_us;
	struct timespec changed;
	off_t bytes;
	ino_t inode;
};
struct passwd_file {
	const struct config_scope *scope;
	struct str path;
	bool is_passdb, has_one_file;
	struct map files; /* path -> struct users_file */
	struct list ages;
};

/* ---- one file ---- */

static void index_lines(struct users_file *f)
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

static enum err read_users(struct op *op, const char *path, struct buf *content)
{
	if (file_read(op, path, FILE_BYTES_MAX, content) != ERR_NONE)
		return op_fail(op, ERR_UNAVAILABLE, "%s", op->failure.text);
	return ERR_NONE;
}

/* WAITS. Two tasks may read at once; both see the same file and the later one stays. */
static enum err read_again(struct op *op, struct users_file *f, const struct stat *st)
{
	struct buf content = { 0 };
	TRY(offload_file(op, read_users, str_from(f->path), &content));
	map_done(&f->lines);
	map_init(&f->lines);
	arena_reset(&f->arena);
	buf_done(&f->content);
	f->content = content;
	f->changed = st->st_mtim;
	f->bytes = st->st_size;
	f->inode = st->st_ino;
	f->is_read = true;
	index_lines(f);
	return ERR_NONE;
}

static bool is_same(const struct users_file *f, const struct stat *st)
{
	return f->is_read && st->st_size == f->bytes && st->st_ino == f->inode &&
	       st->st_mtim.tv_sec == f->changed.tv_sec && st->st_mtim.tv_nsec == f->changed.tv_nsec;
}

/* WAITS when the file has changed. */
static enum err refresh(struct op *op, struct users_file *f)
{
	struct stat st;
	int64_t now = now_us();
	if (f->is_read && now < f->looked_us + LOOK_EVERY_US)
		return ERR_NONE;
	if (stat(f->path, &st) < 0)
		return op_fail_errno(op, "passwd_file_path: stat %s", f->path);
	f->looked_us = now;
	if (is_same(f, &st))
		return ERR_NONE;
	f->readers++;
	enum err e = read_again(op, f, &st);
	f->readers--;
	return e;
}

/* ---- all of them ---- */

static void file_free(struct passwd_file *p, struct users_file *f)
{
	map_remove(&p->files, str_from(f->path));
	list_remove(&f->age);
	map_done(&f->lines);
	arena_done(&f->arena);
	buf_done(&f->content);
	mem_free(f->path);
	mem_free(f);
}

static void make_room(struct passwd_file *p)
{
	struct users_file *f, *next;
	LIST_FOR_EACH(f, next, &p->ages, struct users_file, age)
	{
		if (p->files.count < FILES_MAX)
			return;
		if (f->readers == 0)
			file_free(p, f);
	}
}

static struct users_file *file_get(struct passwd_file *p, struct str path)
{
	struct users_file *f = map_get(&p->files, path);
	if (f) {
		list_remove(&f->age);
		list_add_last(&p->ages, &f->age);
		return f;
	}
	make_room(p);
	f = MEM_NEW(struct users_file);
	f->path = str_new_z(path);
	map_init(&f->lines);
	arena_init(&f->arena, 0);
	map_set(&p->files, str_from(f->path), f);
	list_add_last(&p->ages, &f->age);
	return f;
}

/* A name must not lead out of the place that the template means. */
static bool climbs(struct str path)
{
	struct str part;
	while (path.n > 0) {
		if (!str_cut(&path, '/', &part))
			part = str_take(&path, path.n);
		if (str_eq(part, STR("..")))
			return true;
	}
	return false;
}

/* WAITS. The file for this user, up to date. ERR_NOT_FOUND: there is none for him. */
static enum err open_file(
	struct op *op, struct passwd_file *p, const struct auth_flow *flow, struct users_file **out)
{
	struct str path = p->path;
	if (!p->has_one_file) {
		TRY(auth_expand(op, flow, p->path, &path));
		if (climbs(path) || str_has_nul(path))
			return op_fail(
				op, ERR_NOT_FOUND, "a path that leads away: %.*s", STRF(path));
	}
	struct users_file *f = file_get(p, config_state_path(op->arena, p->scope, path));
	enum err e = refresh(op, f);
	if (e == ERR_NONE) {
		*out = f;
		return ERR_NONE;
	}
	if (e == ERR_NOT_FOUND && !p->has_one_file)
		return e;
	return e == ERR_TIMEOUT || e == ERR_CANCELLED
		       ? e
		       : op_fail(op, ERR_UNAVAILABLE, "%s",
				 str_dup_z(op->arena, str_from(op->failure.text)));
}

/* ---- the driver ---- */

static enum err passwd_file_open(
	struct op *op, const struct config_scope *scope, bool is_passdb, void **out)
{
	struct str path = config_str(scope, SET_passwd_file_path);
	if (path.n == 0 || str_has_nul(path))
		return op_fail(op, ERR_INVALID, "passwd_file_path must name the file of users");
	struct passwd_file *p = MEM_NEW(struct passwd_file);
	p->scope = scope;
	p->is_passdb = is_passdb;
	p->path = path;
	p->has_one_file = config_expand_is_plain(path);
	map_init(&p->files);
	list_init(&p->ages);
	*out = p;
	return ERR_NONE;
}

static void passwd_file_close(void *state)
{
	struct passwd_file *p = state;
	struct users_file *f, *next;
	LIST_FOR_EACH(f, next, &p->ages, struct users_file, age)
	{
		file_free(p, f);
	}
	map_done(&p->files);
	mem_free(p);
}

static void add_field(struct op *op, struct auth_record *r, struct str key, struct str value)
{
	auth_fields_append(op->arena, &r->fields, key, value);
}

/* As a passdb the "userdb_" ones are prefetched; as a userdb they are all that counts. */
static void add_extra_fields(struct op *op, struct auth_record *r, struct str extra, bool is_passdb)
{
	struct str word;
	while (str_cut_word(&extra, &word)) {
		struct str key, value = word;
		if (!str_cut(&value, '=', &key)) {
			key = word;
			value = STR("yes");
		}
		if (is_passdb || str_skip(&key, STR("userdb_")))
			add_field(op, r, key, value);
	}
}

static enum err passwd_file_lookup(
	struct op *op, void *state, const struct auth_flow *flow, struct auth_record *out)
{
	struct passwd_file *p = state;
	struct users_file *f;
	TRY(open_file(op, p, flow, &f));
	const struct str *line = map_get(&f->lines, flow->user);
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
	if (p->is_passdb) {
		if (parts[1].n > 0)
			add_field(op, &r, STR("password"), parts[1]);
	} else {
		static const struct str names[] = { { "uid", 3 }, { "gid", 3 }, { "home", 4 } };
		const struct str values[] = { parts[2], parts[3], parts[5] };
		for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
			if (values[i].n > 0)
				add_field(op, &r, names[i], values[i]);
		}
	}
	add_extra_fields(op, &r, rest, p->is_passdb);
	*out = r;
	return ERR_NONE;
}

static enum err passwd_file_iterate(struct op *op, void *state, struct buf *out)
{
	struct passwd_file *p = state;
	struct users_file *f;
	struct map_entry entry;
	size_t at = 0;
	if (!p->has_one_file)
		return op_fail(op, ERR_UNSUPPORTED, "a path with variables cannot be listed");
	TRY(open_file(op, p, NULL, &f));
	while (map_next(&f->lines, &at, &entry)) {
		buf_put(out, entry.key);
		buf_put_byte(out, '\n');
	}
	return ERR_NONE;
}

const struct auth_driver auth_passwd_file = {
	.name = "passwd-file",
	.variables = "passwd_file",
	.is_for_passdb = true,
	.is_for_userdb = true,
	.open = passwd_file_open,
	.close = passwd_file_close,
	.lookup = passwd_file_lookup,
	.iterate = passwd_file_iterate,
};
