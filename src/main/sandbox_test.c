/* SPDX-License-Identifier: Apache-2.0 */
/* Tests: what a process can still do behind the walls. Each attempt is a process of its own, since some
 * end in death. As root the whole is tried; otherwise without the root directory. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"
#include "main/sandbox.h"

/* What became of an attempt: "done", an errno's name, or "killed by SIGSYS". */
#define DONE   0
#define KILLED 1000

static char dir[] = "/tmp/pombal-sandbox-XXXXXX";
static int root_fd = -1, spool_fd = -1;
static struct sandbox_walls walls;

static void enter(enum sandbox_kind kind)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	struct sandbox_rules rules = { .kind = kind, .spool_dir = spool_fd };
	if (kind == SANDBOX_CLOSED)
		rules.root = dir;
	signal(SIGSYS, SIG_DFL); /* cmocka catches it */
	const struct passwd *pw = getpwnam("nobody");
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (geteuid() == 0 && pw)
		assert_int_equal(sandbox_become(&op, pw->pw_uid, pw->pw_gid, true), ERR_NONE);
	if (sandbox_enter(&op, &rules, &walls) != ERR_NONE) {
		fprintf(stderr, "%s\n", op.failure.text);
		_exit(99);
	}
}

typedef int attempt_fn(void);

static int outcome(enum sandbox_kind kind, attempt_fn *attempt)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		enter(kind);
		errno = 0;
		_exit(attempt() >= 0 ? DONE : errno);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGSYS);
		return KILLED;
	}
	assert_int_not_equal(WEXITSTATUS(status), 99);
	return WEXITSTATUS(status);
}

static int open_by_name(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static int open_by_root(void)
{
	return openat(root_fd, "etc/passwd", O_RDONLY | O_CLOEXEC);
}

static int open_above(void)
{
	return open("../../../../etc/passwd", O_RDONLY | O_CLOEXEC);
}

static int open_own_memory(void)
{
	return open("/proc/self/mem", O_RDWR | O_CLOEXEC);
}

static int create_by_root(void)
{
	return openat(root_fd, "tmp/pombal-sandbox-file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

static int spool(void)
{
	char byte = 'x';
	int fd = openat(spool_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return fd >= 0 && write(fd, &byte, 1) == 1 && pread(fd, &byte, 1, 0) == 1 ? fd : -1;
}

static int run_program(void)
{
	char *const args[] = { NULL };
	return execve("/bin/true", args, args);
}

static int run_held_program(void)
{
	char *const args[] = { NULL };
	int fd = openat(root_fd, "bin/true", O_PATH | O_CLOEXEC);
	return fexecve(fd < 0 ? root_fd : fd, args, args);
}

static int make_process(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	return pid;
}

static int connect_out(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int make_raw_socket(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static int make_unix_socket(void)
{
	return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

static int trace_parent(void)
{
	return (int)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static int signal_parent(void)
{
	return kill(getppid(), 0);
}

static int own_for_parent(void)
{
	return fcntl(spool_fd, F_SETOWN, getppid());
}

static int limit_parent(void)
{
	struct rlimit limit;
	return prlimit(getppid(), RLIMIT_CPU, NULL, &limit);
}

static int limit_self(void)
{
	struct rlimit limit;
	return getrlimit(RLIMIT_NOFILE, &limit);
}

static int signal_self(void)
{
	signal(SIGUSR1, SIG_IGN);
	return raise(SIGUSR1) == 0 ? 0 : -1;
}

static int map_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0) == MAP_FAILED
		       ? -1
		       : 0;
}

static int mount_something(void)
{
	return mount("none", "/mnt", "tmpfs", 0, NULL);
}

static int regain_root(void)
{
	return setuid(0);
}

static void *thread_main(void *arg)
{
	return arg;
}

static int make_thread(void)
{
	pthread_t t;
	void *result = NULL;
	if (pthread_create(&t, NULL, thread_main, dir) != 0 || pthread_join(t, &result) != 0)
		return -1;
	return result == dir ? 0 : -1;
}

static void closed_means_closed(void **state)
{
	static attempt_fn *const deadly[] = { run_program, run_held_program, make_process,
		trace_parent, signal_parent, own_for_parent, map_code, mount_something,
		regain_root };
	static attempt_fn *const refused[] = { open_by_name, open_by_root, open_above,
		open_own_memory, create_by_root, connect_out, make_raw_socket, limit_parent };
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(deadly); i++)
		assert_int_equal(outcome(SANDBOX_CLOSED, deadly[i]), KILLED);
	for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
		int e = outcome(SANDBOX_CLOSED, refused[i]);
		if (e != EACCES && e != EPERM && e != ENOENT)
			fail_msg("attempt %zu of the refused: %d", i, e);
	}
}

static void closed_leaves_what_login_needs(void **state)
{
	(void)state;
	assert_int_equal(outcome(SANDBOX_CLOSED, make_unix_socket), DONE);
	assert_int_equal(outcome(SANDBOX_CLOSED, make_thread), DONE);
	assert_int_equal(outcome(SANDBOX_CLOSED, signal_self), DONE);
	assert_int_equal(outcome(SANDBOX_CLOSED, spool), DONE);
	assert_int_equal(outcome(SANDBOX_CLOSED, limit_self), DONE);
}

static void guarded_starts_no_programs(void **state)
{
	static attempt_fn *const refused[] = { run_program, run_held_program, trace_parent,
		mount_something };
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
		int e = outcome(SANDBOX_GUARDED, refused[i]);
		if (e != EPERM && e != EACCES)
			fail_msg("attempt %zu of the refused: %d", i, e);
	}
	assert_int_equal(outcome(SANDBOX_GUARDED, open_by_name), DONE);
	assert_int_equal(outcome(SANDBOX_GUARDED, make_thread), DONE);
}

static int prepare(void **state)
{
	(void)state;
	if (!mkdtemp(dir) || chmod(dir, 0777) < 0)
		return -1;
	root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	spool_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return root_fd >= 0 && spool_fd >= 0 ? 0 : -1;
}

static int clean_up(void **state)
{
	(void)state;
	close(root_fd);
	close(spool_fd);
	return rmdir(dir);
}

int main(void)
{
#ifdef POMBAL_INSTRUMENTED
	puts("instrumented builds have no walls");
	return 77; /* skipped */
#endif
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closed_means_closed),
		cmocka_unit_test(closed_leaves_what_login_needs),
		cmocka_unit_test(guarded_starts_no_programs),
	};
	return cmocka_run_group_tests(tests, prepare, clean_up);
}
