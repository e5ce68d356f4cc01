/* SPDX-License-Identifier: Apache-2.0 */
/* main/doveconf.c - checks the configuration and prints it. Spec: sheet core §3.
 *
 * Exit status: 0, or 89 (75 with USE_SYSEXITS in the environment) when the configuration has errors; all
 * of them are on stderr. 64 for a wrong command line. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/base.h"
#include "base/file.h"
#include "config/config.h"
#include "config/show.h"

#define EXIT_CONFIG    89
#define EXIT_TEMPFAIL  75
#define EXIT_USAGE     64
#define OVERRIDES_MAX  64
#define OS_RELEASE_MAX 65536
#define REFERENCE_FLAG "--settings-reference"

/* -O: no file, the newest defaults. */
static const char no_file[] = "dovecot_config_version = 3.2.0\ndovecot_storage_version = 3.2.0\n";

struct command_line {
	const char *path;
	const char *overrides[OVERRIDES_MAX + 1];
	size_t override_count;
	struct config_place place;
	struct config_show_args show;
	bool has_filter;      /* -f */
	bool only_value;      /* -h */
	bool is_check;        /* -C */
	bool is_explanation;  /* -E */
	bool prints_defaults; /* -d */
	bool prints_table;    /* -I */
	bool prints_snapshot; /* -F */
	bool hides_warnings;  /* -w */
	bool skips_unknown;   /* -U */
	bool skips_file;      /* -O */
};

static const char usage[] =
	"Usage: doveconf [-aCdEFhInNOPsUwx] [-c FILE] [-f FILTER=VALUE]... [-o KEY=VALUE]... "
	"[NAME]...\n"
	"  -n  settings that differ from defaults (default)   -a  all settings\n"
	"  -N  everything that is set                         -s  also hidden settings\n"
	"  -d  built-in defaults (-d @GROUP/VALUE: a group)   -h  only the value of NAME\n"
	"  -x  expand references, variables and files         -P  show passwords\n"
	"  -C  check everything, also files                   -E  explain the value of NAME\n"
	"  -U  unknown settings are warnings                  -w  hide warnings\n"
	"  -o  KEY=VALUE over what the file says              -O  no file: built-in defaults\n"
	"  -F  dump for machines                              -I  dump the import table\n"
	"  -f  protocol=, local=, local_name= or remote=      " REFERENCE_FLAG "\n"
	"  NAME: setting, block, or a path like service/imap/client_limit\n";

static void print(int fd, struct buf *text)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	(void)file_write_all(&op, fd, buf_str(text)); /* nobody is left to be told */
}

static bool take_filter(struct command_line *cl, struct str text)
{
	struct str key;
	if (!str_cut(&text, '=', &key))
		return false;
	cl->has_filter = true;
	if (str_eq(key, STR("protocol")) || str_eq(key, STR("service")))
		cl->place.protocol = text;
	else if (str_eq(key, STR("local")) || str_eq(key, STR("lip")))
		cl->place.local_ip = text;
	else if (str_eq(key, STR("local_name")) || str_eq(key, STR("lname")))
		cl->place.local_name = text;
	else if (str_eq(key, STR("remote")) || str_eq(key, STR("rip")))
		cl->place.remote_ip = text;
	else
		return false;
	return true;
}

static bool take_override(struct command_line *cl, const char *text)
{
	if (cl->override_count == OVERRIDES_MAX)
		return false;
	cl->overrides[cl->override_count++] = text;
	return true;
}

/* Options without an argument: what they switch on. */
static bool take_flag(struct command_line *cl, int option)
{
	const struct {
		char option;
		bool *flag;
	} flags[] = {
		{ 'C', &cl->is_check },
		{ 'E', &cl->is_explanation },
		{ 'F', &cl->prints_snapshot },
		{ 'I', &cl->prints_table },
		{ 'N', &cl->show.with_equal },
		{ 'O', &cl->skips_file },
		{ 'P', &cl->show.with_secrets },
		{ 'U', &cl->skips_unknown },
		{ 'a', &cl->show.with_defaults },
		{ 'd', &cl->prints_defaults },
		{ 'h', &cl->only_value },
		{ 's', &cl->show.with_hidden },
		{ 'w', &cl->hides_warnings },
		{ 'x', &cl->show.expands },
	};
	for (size_t i = 0; i < ARRAY_COUNT(flags); i++) {
		if (flags[i].option == option) {
			*flags[i].flag = true;
			return true;
		}
	}
	return option == 'n';
}

static bool parse_command_line(int argc, char **argv, struct command_line *cl)
{
	int option;
	bool is_valid = true;
	*cl = (struct command_line){ .path = config_default_path() };
	cl->show.environment = (const char *const *)environ;
	while (is_valid && (option = getopt(argc, argv, "aCdEFhInNOPsUwxc:f:o:")) != -1) {
		if (option == 'c')
			cl->path = optarg;
		else if (option == 'f')
			is_valid = take_filter(cl, str_from(optarg));
		else if (option == 'o')
			is_valid = take_override(cl, optarg);
		else
			is_valid = take_flag(cl, option);
	}
	cl->show.with_defaults |= cl->show.with_hidden;
	return is_valid;
}

/* ---- heading ---- */

/* A value of /etc/os-release, without its quotes. */
static struct str os_fact(struct str facts, struct str key)
{
	struct str line;
	while (str_cut_line(&facts, &line)) {
		if (!str_skip(&line, key) || !str_skip(&line, STR("=")))
			continue;
		if (str_skip(&line, STR("\"")) && str_ends(line, STR("\"")))
			line.n--;
		return line;
	}
	return STR("");
}

static void put_heading(
	struct op *op, struct buf *out, struct config *cfg, const struct command_line *cl)
{
	struct utsname os;
	AUTO_BUF(facts, 0);
	buf_putf(out, "# %s: %s\n", POMBAL_VERSION, cl->skips_file ? "(defaults)" : cl->path);
	if (file_read(op, "/etc/os-release", OS_RELEASE_MAX, &facts) != ERR_NONE)
		op_forgive(op);
	if (uname(&os) == 0)
		buf_putf(out, "# OS: %s %s %s %.*s %.*s\n# Hostname: %s\n", os.sysname, os.release,
			os.machine, STRF(os_fact(buf_str(&facts), STR("NAME"))),
			STRF(os_fact(buf_str(&facts), STR("VERSION_ID"))), os.nodename);
	unsigned changes = config_default_changes(cfg);
	struct str version = config_str(config_scope(cfg, NULL), SET_dovecot_config_version);
	if (changes)
		buf_putf(out, "# %u default setting changes since version %.*s\n", changes,
			STRF(version));
	if (cl->show.with_defaults)
		buf_put(out,
			STR("# NOTE: Send doveconf -n output instead when asking for help.\n"));
}

/* ---- problems ---- */

static void tell(const char *level, struct str text)
{
	(void)fprintf(stderr, "doveconf: %s: %.*s\n", level, STRF(text));
}

static void tell_problems(const struct config_problems *all, const struct command_line *cl)
{
	for (size_t i = 0; i < all->count; i++) {
		AUTO_BUF(text, 0);
		if (cl->hides_warnings && all->items[i].is_warning)
			continue;
		config_problem_text(&all->items[i], &text);
		tell(all->items[i].is_warning ? "Warning" : "Error", buf_str(&text));
	}
	if (all->dropped_count)
		(void)fprintf(
			stderr, "doveconf: Error: %zu more are not shown\n", all->dropped_count);
	for (size_t i = 0; cl->is_check && !cl->hides_warnings && i < all->note_count; i++) {
		AUTO_BUF(text, 0);
		config_problem_text(&all->notes[i], &text);
		tell("Debug", buf_str(&text));
	}
}

static int fail_config(void)
{
	for (char **entry = environ; *entry; entry++) {
		if (str_starts(str_from(*entry), STR("USE_SYSEXITS=")))
			return EXIT_TEMPFAIL;
	}
	return EXIT_CONFIG;
}

static int fail(struct op *op)
{
	(void)fprintf(stderr, "doveconf: Fatal: %s\n", op->failure.text);
	return fail_config();
}

/* The master leaves a link to the file it was started with. */
static void warn_of_other_file(struct op *op, struct config *cfg, const struct command_line *cl)
{
	char used[PATH_MAX], mine[PATH_MAX];
	struct str dir = config_str(config_scope(cfg, NULL), SET_base_dir);
	if (cl->hides_warnings || cl->skips_file || str_has_nul(dir))
		return;
	char *link = str_dup_z(op->arena, str_printf(op->arena, "%.*s/dovecot.conf", STRF(dir)));
	if (!realpath(link, used) || !realpath(cl->path, mine) ||
		str_eq(str_from(used), str_from(mine)))
		return;
	(void)fprintf(stderr,
		"doveconf: Warning: Pombal was last started using %s, but this config is %s\n",
		used, mine);
}

/* ---- output ---- */

static enum err show_named(struct op *op, const struct config_scope *scope,
	const struct command_line *cl, char **names, struct buf *out)
{
	if (cl->only_value && names[0] && names[1])
		return op_fail(op, ERR_INVALID, "-h shows the value of one setting alone");
	for (; *names; names++) {
		struct str name = str_from(*names);
		if (cl->is_explanation)
			TRY(config_explain(op, scope, name, &cl->show, out));
		else
			TRY(config_show_one(op, scope, name, cl->only_value, &cl->show, out));
	}
	return ERR_NONE;
}

static int show(struct op *op, struct config *cfg, const struct command_line *cl, char **names)
{
	AUTO_BUF(out, 0);
	int status = 0;
	const struct config_scope *scope = config_scope(cfg, &cl->place);
	if (cl->prints_snapshot) {
		config_write_snapshot(cfg, CONFIG_READER_ALL, &out);
	} else if (*names) {
		status = show_named(op, scope, cl, names, &out) == ERR_NONE ? 0 : fail(op);
	} else if (!cl->is_check) {
		put_heading(op, &out, cfg, cl);
		if (cl->has_filter)
			config_show_place(scope, &cl->show, &out);
		else
			config_show(cfg, &cl->show, &out);
	}
	print(STDOUT_FILENO, &out);
	return status;
}

static int run(struct op *op, const struct command_line *cl, char **names)
{
	struct config_problems problems;
	struct config *cfg;
	struct config_load_args args = { .path = cl->skips_file ? NULL : cl->path,
		.text = str_from(no_file),
		.overrides = cl->overrides,
		.environment = (const char *const *)environ,
		.reads_files = cl->is_check || cl->show.expands || cl->prints_snapshot,
		.skips_unknown = cl->skips_unknown,
		.skips_checks = *names && !cl->is_check };
	if (!cl->path && !cl->skips_file) {
		(void)op_fail(op, ERR_NOT_FOUND,
			"no configuration: neither /etc/pombal/pombal.conf nor "
			"/etc/dovecot/dovecot.conf exists; use -c FILE");
		return fail(op);
	}
	enum err e = config_load(op, &args, &problems, &cfg);
	tell_problems(&problems, cl);
	if (e != ERR_NONE) {
		(void)fprintf(stderr, "doveconf: Fatal: %zu error%s in %s\n", problems.error_count,
			problems.error_count == 1 ? "" : "s",
			cl->skips_file ? "the command line" : cl->path);
		return fail_config();
	}
	warn_of_other_file(op, cfg, cl);
	int status = show(op, cfg, cl, names);
	config_unref(cfg);
	return status;
}

/* What needs no configuration. */
static int show_built_in(struct op *op, const struct command_line *cl, char **names)
{
	AUTO_BUF(out, 0);
	int status = 0;
	if (cl->prints_table)
		config_show_import_table(&out);
	else if (!*names)
		config_show_defaults(&cl->show, &out);
	for (; *names && !cl->prints_table && status == 0; names++) {
		struct str name = str_from(*names);
		if (config_show_default(op, name, cl->only_value, &out) != ERR_NONE)
			status = fail(op);
	}
	print(STDOUT_FILENO, &out);
	return status;
}

int main(int argc, char **argv)
{
	struct command_line cl;
	AUTO_ARENA(arena, 0);
	AUTO_BUF(out, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (argc == 2 && str_eq(str_from(argv[1]), STR(REFERENCE_FLAG))) {
		config_show_reference(&out);
		print(STDOUT_FILENO, &out);
		return 0;
	}
	if (!parse_command_line(argc, argv, &cl) ||
		((cl.is_explanation || cl.only_value) && optind == argc)) {
		(void)fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (cl.prints_defaults || cl.prints_table)
		return show_built_in(&op, &cl, argv + optind);
	return run(&op, &cl, argv + optind);
}
