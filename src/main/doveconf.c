/* SPDX-License-Identifier: Apache-2.0 */
/* main/doveconf.c - checks the configuration and prints it. Spec: sheet core §3.
 *
 * Exit status: 0, or 89 (75 with USE_SYSEXITS in the environment) when the configuration has errors; all
 * of them are on stderr. 64 for a wrong command line. */
#include <stdio.h>
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
#define REFERENCE_FLAG "--settings-reference"

struct command_line {
	const char *path;
	const char *overrides[OVERRIDES_MAX + 1];
	size_t override_count;
	struct config_place place;
	struct config_show_args show;
	bool only_value;      /* -h */
	bool is_check;        /* -C */
	bool prints_defaults; /* -d */
	bool hides_warnings;  /* -w */
	bool skips_unknown;   /* -U */
};

static const char usage[] =
	"Usage: doveconf [-aCdhnNPsUw] [-c FILE] [-f FILTER=VALUE]... [-o KEY=VALUE]... [NAME]...\n"
	"  -n  settings that differ from defaults (default)   -a  all settings\n"
	"  -N  everything that is set                         -s  also hidden settings\n"
	"  -d  built-in defaults                              -h  only the value of NAME\n"
	"  -P  show passwords                                 -C  check, also files\n"
	"  -U  unknown settings are warnings                  -w  hide warnings\n"
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

static bool take_option(struct command_line *cl, int option)
{
	switch (option) {
	case 'a':
		cl->show.with_defaults = true;
		return true;
	case 's':
		cl->show.with_defaults = cl->show.with_hidden = true;
		return true;
	case 'n':
		return true;
	case 'N':
		cl->show.with_equal = true;
		return true;
	case 'P':
		cl->show.with_secrets = true;
		return true;
	case 'h':
		cl->only_value = true;
		return true;
	case 'C':
		cl->is_check = true;
		return true;
	case 'd':
		cl->prints_defaults = true;
		return true;
	case 'w':
		cl->hides_warnings = true;
		return true;
	case 'U':
		cl->skips_unknown = true;
		return true;
	case 'c':
		cl->path = optarg;
		return true;
	case 'f':
		return take_filter(cl, str_from(optarg));
	case 'o':
		if (cl->override_count == OVERRIDES_MAX)
			return false;
		cl->overrides[cl->override_count++] = optarg;
		return true;
	default:
		return false;
	}
}

static bool parse_command_line(int argc, char **argv, struct command_line *cl)
{
	int option;
	*cl = (struct command_line){ .path = config_default_path() };
	while ((option = getopt(argc, argv, "aCdhnNPsUwc:f:o:")) != -1) {
		if (!take_option(cl, option))
			return false;
	}
	return true;
}

static void put_heading(struct buf *out, const struct command_line *cl)
{
	struct utsname os;
	buf_putf(out, "# %s: %s\n", POMBAL_VERSION, cl->path);
	if (uname(&os) == 0)
		buf_putf(out, "# OS: %s %s %s\n# Hostname: %s\n", os.sysname, os.release,
			os.machine, os.nodename);
	if (cl->show.with_defaults)
		buf_put(out,
			STR("# NOTE: Send doveconf -n output instead when asking for help.\n"));
}

static void tell_problems(const struct config_problems *all, bool hides_warnings)
{
	AUTO_BUF(text, 0);
	if (hides_warnings && all->error_count == 0)
		return;
	config_problems_print(all, &text);
	print(STDERR_FILENO, &text);
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

static int show(struct op *op, struct config *cfg, const struct command_line *cl, char **names)
{
	AUTO_BUF(out, 0);
	int status = 0;
	if (!*names && !cl->is_check) {
		put_heading(&out, cl);
		config_show(cfg, &cl->show, &out);
	}
	const struct config_scope *scope = config_scope(cfg, &cl->place);
	for (; *names && status == 0; names++) {
		if (config_show_one(op, scope, str_from(*names), cl->only_value, &cl->show, &out) !=
			ERR_NONE)
			status = fail(op);
	}
	print(STDOUT_FILENO, &out);
	return status;
}

static int run(struct op *op, const struct command_line *cl, char **names)
{
	struct config_problems problems;
	struct config *cfg;
	struct config_load_args args = { .path = cl->path,
		.overrides = cl->overrides,
		.environment = (const char *const *)environ,
		.reads_files = cl->is_check,
		.skips_unknown = cl->skips_unknown };
	if (!cl->path) {
		(void)op_fail(op, ERR_NOT_FOUND,
			"no configuration: neither /etc/pombal/pombal.conf nor "
			"/etc/dovecot/dovecot.conf exists; use -c FILE");
		return fail(op);
	}
	enum err e = config_load(op, &args, &problems, &cfg);
	tell_problems(&problems, cl->hides_warnings);
	if (e != ERR_NONE) {
		(void)fprintf(stderr, "doveconf: Fatal: %zu error%s in %s\n", problems.error_count,
			problems.error_count == 1 ? "" : "s", cl->path);
		return fail_config();
	}
	int status = show(op, cfg, cl, names);
	config_unref(cfg);
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
	if (!parse_command_line(argc, argv, &cl)) {
		(void)fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (cl.prints_defaults) {
		config_show_defaults(&cl.show, &out);
		print(STDOUT_FILENO, &out);
		return 0;
	}
	return run(&op, &cl, argv + optind);
}
