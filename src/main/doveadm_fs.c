/* SPDX-License-Identifier: Apache-2.0 */
/* doveadm fs: objects of any stack that the configuration names, and doveadm fscache: its cache. Spec:
 * storage §16.2.
 *
 * A stack is named by the block that holds it: "obox", "metacache", "fts/NAME"; "" is an fs block that
 * stands in none. The process becomes mail_uid first, so that files it makes are the workers' too. */
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/map.h"
#include "base/number.h"
#include "crypto/digest.h"
#include "main/doveadm.h"
#include "objects/fscache.h"
#include "objects/objects.h"
#include "task/task.h"

#define FILE_MAX       ((size_t)1 << 30)
#define DELETE_AT_ONCE 1000

struct fs_call {
	struct doveadm *d;
	struct objects *objects;
	const struct config_scope *stack;
	enum err (*run)(struct op *op, struct fs_call *c);
	enum err result;
	/* arguments */
	int word_count;
	char **words; /* behind the stack's name */
	const char *hash;
	struct object_meta meta[OBJECTS_META_MAX];
	size_t meta_count;
	uint32_t at_once;
	bool is_recursive;
	struct buf body; /* of put */
};

static int exit_status(enum err e)
{
	if (e == ERR_NOT_FOUND)
		return EXIT_NOT_FOUND;
	if (e == ERR_EXISTS)
		return EXIT_FAILED;
	return e == ERR_INVALID || e == ERR_UNSUPPORTED ? EXIT_FATAL : EXIT_TEMP_FAIL;
}

/* ---- who we are ---- */

static enum err become(struct op *op, uid_t uid, gid_t gid)
{
	if (geteuid() != 0 || uid == 0)
		return ERR_NONE;
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return op_fail_errno(op, "become user %u", (unsigned)uid);
	return ERR_NONE;
}

static enum err become_mail(struct op *op, const struct config_scope *global)
{
	const char *name = str_dup_z(op->arena, config_str(global, SET_mail_uid));
	uint32_t number;
	struct passwd *pw = getpwnam(name);
	if (!pw && number_parse_u32(str_from(name), &number))
		pw = getpwuid(number);
	if (!pw)
		return op_fail(op, ERR_INVALID, "mail_uid: no user %s on this host", name);
	return become(op, pw->pw_uid, pw->pw_gid);
}

/* ---- stacks ---- */

static enum err stack_find(struct op *op, const struct config_scope *global, struct str name,
	const struct config_scope **out)
{
	struct str rest = name, kind;
	*out = NULL;
	if (name.n == 0)
		*out = global;
	else if (str_eq(name, STR("obox")))
		*out = config_block_get(global, BLOCK_obox, STR_NONE);
	else if (str_eq(name, STR("metacache")))
		*out = config_block_get(global, BLOCK_metacache, STR_NONE);
	else if (str_cut(&rest, '/', &kind) && str_eq(kind, STR("fts")))
		*out = config_block_get(global, BLOCK_fts, rest);
	if (*out && config_block_count(*out, BLOCK_fs) > 0)
		return ERR_NONE;
	return op_fail(op, ERR_INVALID,
		"there is no fs block in \"%.*s\" (obox, metacache, fts/NAME, or empty for one "
		"that "
		"stands alone)",
		STRF(name));
}

static void fs_task(void *arg)
{
	struct fs_call *c = arg;
	struct op *op = c->d->op;
	c->result = objects_open(op, c->stack, &c->objects);
	if (c->result == ERR_NONE) {
		c->result = c->run(op, c);
		objects_close(c->objects);
	}
	loop_stop();
}

/* Options, then the stack's name and between `min` and `max` words. */
static bool read_options(struct fs_call *c, const char *letters, int min, int max)
{
	struct doveadm *d = c->d;
	int option;
	opterr = 0;
	optind = 1;
	/* getopt() wants a word before the arguments: the command's own stands there. */
	while ((option = getopt(d->arg_count + 1, d->args - 1, letters)) != -1) {
		struct str value = str_from(optarg), name;
		if (option == 'h')
			c->hash = optarg;
		else if (option == 'R')
			c->is_recursive = true;
		else if (option == 'm' && c->meta_count < OBJECTS_META_MAX &&
			 str_cut(&value, '=', &name) && name.n)
			c->meta[c->meta_count++] = (struct object_meta){ name, value };
		else if (option == 'n' && number_parse_u32(value, &c->at_once) && c->at_once)
			continue;
		else if (option != 'C' && option != 'O') /* nothing is cached, names are ids */
			return false;
	}
	c->words = d->args - 1 + optind + 1;
	c->word_count = d->arg_count - optind;
	return c->word_count >= min && c->word_count <= max;
}

static int fs_run(
	struct doveadm *d, struct fs_call *c, enum err (*run)(struct op *op, struct fs_call *c))
{
	c->run = run;
	d->reads_files = true;
	if (doveadm_need_config(d) != ERR_NONE)
		return doveadm_fail(d, EXIT_FATAL);
	const struct config_scope *global = config_scope(d->config, NULL);
	enum err e = stack_find(d->op, global, str_from(c->words[-1]), &c->stack);
	if (e == ERR_NONE)
		e = become_mail(d->op, global);
	if (e == ERR_NONE)
		e = doveadm_run_task(d, fs_task, c);
	if (e == ERR_NONE)
		e = c->result;
	buf_done(&c->body);
	if (fflush(stdout) != 0 && e == ERR_NONE)
		e = op_fail_errno(d->op, "write to the output");
	return e == ERR_NONE ? 0 : doveadm_fail(d, exit_status(e));
}

static struct str word(const struct fs_call *c, int i)
{
	return str_from(c->words[i]);
}

/* What a store says: it begins no line and gives the terminal no orders. Control characters are those of
 * ASCII, and U+0080 to U+009F in UTF-8. */
static void print_text(struct str s, char end)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		unsigned char next = i + 1 < s.n ? (unsigned char)s.p[i + 1] : 0;
		if (c < 0x20 || c == 0x7f)
			printf("\\x%02x", c);
		else if (c == 0xc2 && next >= 0x80 && next < 0xa0)
			printf("\\xc2\\x%02x", (unsigned char)s.p[++i]);
		else
			putchar(c);
	}
	putchar(end);
}

/* ---- one object ---- */

static enum err get(struct op *op, struct fs_call *c)
{
	struct str body;
	TRY(objects_get(op, c->objects, word(c, 0), SIZE_MAX, &body));
	fwrite(body.p, 1, body.n, stdout); /* failures show at the end */
	return ERR_NONE;
}

int doveadm_fs_get(struct doveadm *d)
{
	struct fs_call c = { .d = d };
	return read_options(&c, "", 1, 1) ? fs_run(d, &c, get) : doveadm_usage(d);
}

static enum err put(struct op *op, struct fs_call *c)
{
	struct str body = buf_str(&c->body);
	return objects_put(op, c->objects,
		&(struct object_put){ word(c, 1), &body, 1, c->meta, c->meta_count });
}

/* The file is what the caller says it is: its digest, as long as MD5's or SHA-256's. */
static enum err check_hash(struct op *op, const struct fs_call *c)
{
	uint8_t digest[CRYPTO_DIGEST_BYTES_MAX];
	AUTO_BUF(hex, 0);
	size_t wanted = strlen(c->hash);
	if (wanted != 32 && wanted != 64)
		return op_fail(op, ERR_INVALID, "-h: neither an MD5 nor a SHA-256 digest");
	size_t n =
		crypto_digest(wanted == 32 ? STR("md5") : STR("sha256"), buf_str(&c->body), digest);
	hex_encode(&hex, (struct str){ (const char *)digest, n });
	if (!str_eq_ci(buf_str(&hex), str_from(c->hash)))
		return op_fail(op, ERR_INVALID, "%s has the digest %.*s", c->words[0],
			STRF(buf_str(&hex)));
	return ERR_NONE;
}

int doveadm_fs_put(struct doveadm *d)
{
	struct fs_call c = { .d = d };
	if (!read_options(&c, "h:m:", 2, 2))
		return doveadm_usage(d);
	buf_init(&c.body, 0);
	enum err e = file_read(d->op, c.words[0], FILE_MAX, &c.body);
	if (e == ERR_NONE && c.hash)
		e = check_hash(d->op, &c);
	if (e != ERR_NONE) {
		buf_done(&c.body);
		return doveadm_fail(d, exit_status(e));
	}
	return fs_run(d, &c, put);
}

static enum err copy(struct op *op, struct fs_call *c)
{
	return objects_copy(op, c->objects, word(c, 0), word(c, 1));
}

int doveadm_fs_copy(struct doveadm *d)
{
	struct fs_call c = { .d = d };
	return read_options(&c, "", 2, 2) ? fs_run(d, &c, copy) : doveadm_usage(d);
}

static enum err stat_one(struct op *op, struct fs_call *c)
{
	struct object_info info;
	TRY(objects_stat(op, c->objects, word(c, 0), &info));
	printf("path\tsize\n%s\t%" PRIu64 "\n", c->words[0], info.size_bytes);
	return ERR_NONE;
}

int doveadm_fs_stat(struct doveadm *d)
{
	struct fs_call c = { .d = d };
	return read_options(&c, "", 1, 1) ? fs_run(d, &c, stat_one) : doveadm_usage(d);
}

static enum err metadata(struct op *op, struct fs_call *c)
{
	struct object_meta *meta;
	size_t count;
	TRY(objects_metadata(op, c->objects, word(c, 0), &meta, &count));
	printf("key\tvalue\n");
	for (size_t i = 0; i < count; i++) {
		print_text(meta[i].name, '\t');
		print_text(meta[i].value, '\n');
	}
	return ERR_NONE;
}

int doveadm_fs_metadata(struct doveadm *d)
{
	struct fs_call c = { .d = d };
	return read_options(&c, "", 1, 1) ? fs_run(d, &c, metadata) : doveadm_usage(d);
}

/* ---- many ---- */

struct listing {
	struct str prefix;
	bool wants_dirs;
	struct map dirs;  /* names seen; values are not used */
	struct str *keys; /* of a recursive removal: in the arena */
	size_t count, room;
};

/* "dir/" of "dir" and of "dir/"; empty for everything. */
static struct str prefix_of(struct op *op, struct str path)
{
	while (path.n && path.p[path.n - 1] == '/')
		path.n--;
	return path.n ? str_printf(op->arena, "%.*s/", STRF(path)) : path;
}

static enum err print_name(struct op *op, struct str key, const struct object_info *info, void *arg)
{
	struct listing *l = arg;
	struct str rest = key, dir;
	(void)info;
	if (!str_skip(&rest, l->prefix))
		return ERR_NONE;
	bool is_below = str_cut(&rest, '/', &dir);
	if (!is_below && !l->wants_dirs)
		print_text(rest, '\n');
	if (is_below && l->wants_dirs && !map_get(&l->dirs, dir)) {
		map_set(&l->dirs, str_dup(op->arena, dir), l);
		print_text(dir, '\n');
	}
	return ERR_NONE;
}

static enum err list(struct op *op, struct fs_call *c, bool wants_dirs)
{
	struct listing l = { .prefix = prefix_of(op, word(c, 0)), .wants_dirs = wants_dirs };
	map_init(&l.dirs);
	printf("path\n");
	enum err e = objects_iter(op, c->objects, l.prefix, print_name, &l);
	map_done(&l.dirs);
	return e;
}

static enum err iter(struct op *op, struct fs_call *c)
{
	return list(op, c, false);
}

int doveadm_fs_iter(struct doveadm *d)
{
	struct fs_call c = { .d = d };
	return read_options(&c, "CO", 1, 1) ? fs_run(d, &c, iter) : doveadm_usage(d);
}

static enum err iter_dirs(struct op *op, struct fs_call *c)
{
	return list(op, c, true);
}

int doveadm_fs_iter_dirs(struct doveadm *d)
{
	struct fs_call c = { .d = d };
	return read_options(&c, "", 1, 1) ? fs_run(d, &c, iter_dirs) : doveadm_usage(d);
}

static enum err note_key(struct op *op, struct str key, const struct object_info *info, void *arg)
{
	struct listing *l = arg;
	(void)info;
	if (l->count == l->room) {
		size_t room = MAX(l->room * 2, DELETE_AT_ONCE);
		l->keys = arena_grow(
			op->arena, l->keys, l->room * sizeof(*l->keys), room * sizeof(*l->keys));
		l->room = room;
	}
	l->keys[l->count++] = str_dup(op->arena, key);
	return ERR_NONE;
}

/* All below a path: listed first, so that the listing is not of what goes meanwhile. */
static enum err delete_below(struct op *op, struct fs_call *c, struct str path)
{
	struct listing l = { .prefix = prefix_of(op, path) };
	size_t at_once = c->at_once ? c->at_once : DELETE_AT_ONCE;
	if (l.prefix.n == 0)
		return op_fail(op, ERR_INVALID, "the path of a recursive removal is empty");
	TRY(objects_iter(op, c->objects, l.prefix, note_key, &l));
	for (size_t i = 0; i < l.count; i += at_once)
		TRY(objects_delete_many(op, c->objects, l.keys + i, MIN(at_once, l.count - i)));
	return ERR_NONE;
}

static enum err delete_words(struct op *op, struct fs_call *c)
{
	for (int i = 0; i < c->word_count; i++)
		TRY(c->is_recursive ? delete_below(op, c, word(c, i))
				    : objects_delete(op, c->objects, word(c, i)));
	return ERR_NONE;
}

int doveadm_fs_delete(struct doveadm *d)
{
	struct fs_call c = { .d = d };
	return read_options(&c, "Rn:", 1, INT32_MAX) ? fs_run(d, &c, delete_words)
						     : doveadm_usage(d);
}

/* ---- fscache ---- */

/* "3600", "60m", "12h", "7d", "2w". */
static bool age_parse(struct str text, int64_t *out_us)
{
	static const struct {
		char letter;
		int64_t secs;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 } };
	int64_t secs = 1;
	uint64_t n;
	for (size_t i = 0; text.n && i < ARRAY_COUNT(units); i++) {
		if (text.p[text.n - 1] == units[i].letter) {
			secs = units[i].secs;
			text.n--;
			break;
		}
	}
	if (!number_parse_u64(text, &n) || n == 0 || n > 1000000000)
		return false;
	*out_us = (int64_t)n * secs * US_PER_SEC;
	return true;
}

int doveadm_fscache_rescan(struct doveadm *d)
{
	struct fscache_state state;
	struct stat st;
	int64_t age_us = 0;
	if (d->arg_count < 1 || d->arg_count > 2 ||
		(d->arg_count == 2 && !age_parse(str_from(d->args[1]), &age_us)))
		return doveadm_usage(d);
	enum err e = stat(d->args[0], &st) < 0 ? op_fail_errno(d->op, "look at %s", d->args[0])
					       : become(d->op, st.st_uid, st.st_gid);
	if (e == ERR_NONE)
		e = fscache_rescan(d->op, str_from(d->args[0]), age_us, &state);
	if (e != ERR_NONE)
		return doveadm_fail(d, exit_status(e));
	printf("%s: %" PRIu64 " files, %" PRIu64 " bytes; ", d->args[0], state.files, state.bytes);
	if (age_us)
		printf("%" PRIu64 " files removed; ", state.removed_files);
	if (state.bytes_before == state.bytes + state.removed_bytes)
		printf("the size was right\n");
	else
		printf("the size was wrong: %" PRIu64 "\n", state.bytes_before);
	return 0;
}
