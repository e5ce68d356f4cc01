/* SPDX-License-Identifier: Apache-2.0 */
/* pombal - the program of all roles. Started by an administrator it is the master; the master starts
 * it again as "pombal --role ...". */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/number.h"
#include "main/master.h"
#include "main/role.h"

#define OVERRIDES_MAX 64
#define EXIT_USAGE    64
#define EXIT_FATAL    89

extern char **environ;

static const char usage[] =
	"usage: pombal [-c FILE] [-o KEY=VALUE]... [-F] [--all-in-one] [--ready-fd N]\n"
	"              [--check] [--version]\n"
	"  -c FILE        configuration (default: /etc/pombal/pombal.conf, else\n"
	"                 /etc/dovecot/dovecot.conf)\n"
	"  -o KEY=VALUE   overrides a setting\n"
	"  -F             accepted: it always stays in the foreground\n"
	"  --all-in-one   every role in one process\n"
	"  --ready-fd N   write READY to descriptor N once everything serves\n"
	"  --check        read the configuration, tell what is wrong, end\n"
	"Signals: TERM, INT stop cleanly; HUP reads the configuration again; USR1 reopens the "
	"logs;\n"
	"USR2 executes the program anew without refusing a connection.\n";

struct arguments {
	const char *path;
	const char *overrides[OVERRIDES_MAX + 1];
	size_t override_count;
	int ready_fd, upgrade_fd;
	bool is_all_in_one, is_check, wants_version;
};

static bool parse_arguments(int argc, char **argv, struct arguments *out)
{
	*out = (struct arguments){ .ready_fd = -1, .upgrade_fd = -1 };
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		uint32_t number;
		if (strcmp(argv[i], "-F") == 0)
			continue;
		if (strcmp(argv[i], "--all-in-one") == 0) {
			out->is_all_in_one = true;
		} else if (strcmp(argv[i], "--check") == 0) {
			out->is_check = true;
		} else if (strcmp(argv[i], "--version") == 0) {
			out->wants_version = true;
		} else if (strcmp(argv[i], "-c") == 0 && value) {
			out->path = argv[++i];
		} else if (strcmp(argv[i], "-o") == 0 && value &&
			   out->override_count < OVERRIDES_MAX) {
			out->overrides[out->override_count++] = argv[++i];
		} else if (strcmp(argv[i], "--ready-fd") == 0 && value &&
			   number_parse_u32(str_from(value), &number) && number < 1024) {
			out->ready_fd = (int)number;
			i++;
		} else if (strcmp(argv[i], "--upgrade-fd") == 0 && value &&
			   number_parse_u32(str_from(value), &number) && number < INT_MAX) {
			out->upgrade_fd = (int)number;
			i++;
		} else {
			return false;
		}
	}
	return true;
}

static enum err load_config(struct op *op, const struct arguments *a, struct config **out)
{
	struct config_problems problems;
	struct config_load_args args = {
		.path = a->path ? a->path : config_default_path(),
		.overrides = a->overrides,
		.environment = (const char *const *)environ,
		.reads_files = true,
	};
	if (!args.path)
		return op_fail(op, ERR_NOT_FOUND,
			"no configuration: give one with -c, or write /etc/pombal/pombal.conf");
	enum err e = config_load(op, &args, &problems, out);
	AUTO_BUF(text, 0);
	config_problems_print(&problems, &text);
	fwrite(text.p ? text.p : "", 1, text.n, stderr);
	/* Every error stands above, with its place. */
	if (e != ERR_NONE && problems.error_count > 0)
		return op_fail(op, e, "the configuration has errors (%zu)",
			problems.error_count + problems.dropped_count);
	return e;
}

/* Login processes hold two descriptors a TLS session: the soft limit of 1,024 is far too low, and the
 * hard limit is what the administrator allows. Children inherit it. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* a refusal leaves it as it was */
}

/* The file that an upgrade executes: what stands there by then, under the name we were started as. */
static const char *own_program(struct arena *a)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path));
	struct str name = { path, n > 0 ? (size_t)n : 0 };
	struct str deleted = STR(" (deleted)");
	if (name.n > deleted.n && str_eq(str_slice(name, name.n - deleted.n, name.n), deleted))
		name.n -= deleted.n;
	return str_dup_z(a, name);
}

int main(int argc, char **argv)
{
	struct arguments a;
	struct op op;
	if (argc > 1 && strcmp(argv[1], "--role") == 0)
		return role_main(argc - 1, argv + 1);
	if (!parse_arguments(argc, argv, &a)) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (a.wants_version) {
		puts(POMBAL_VERSION);
		return 0;
	}
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	assert_prepare();
	raise_descriptor_limit();
	signal(SIGPIPE, SIG_IGN);
	struct master_args master = {
		.ready_fd = a.ready_fd,
		.config_path = a.path ? a.path : config_default_path(),
		.overrides = a.overrides,
		.environment = (const char *const *)environ,
		.program = own_program(&arena),
		.argv = argv,
		.upgrade_fd = a.upgrade_fd,
	};
	if (load_config(&op, &a, &master.config) != ERR_NONE) {
		fprintf(stderr, "pombal: %s%s\n", a.is_check ? "" : "Fatal: ", op.failure.text);
		return EXIT_FATAL;
	}
	int status = a.is_check        ? 0
		     : a.is_all_in_one ? all_in_one_run(&master)
				       : master_run(&master);
	config_unref(master.config);
	return status;
}
