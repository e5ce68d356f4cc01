/* SPDX-License-Identifier: Apache-2.0 */
/* Putting up the walls: root directory, capabilities, limits, Landlock, and last the filter of system
 * calls, which forbids what the others needed.
 *
 * To let login use another system call: a row in allowed[], with the reason when it is not plain. */
#include "main/sandbox.h"

#include "base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- rights ---- */

static enum err set_capabilities(struct op *op, uint32_t kept)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { .effective = kept, .permitted = kept } };
	if (syscall(SYS_capset, &head, data) < 0)
		return op_fail_errno(op, "give up capabilities");
	return ERR_NONE;
}

enum err sandbox_become(struct op *op, uid_t uid, gid_t gid, bool keeps_root_right)
{
	/* For a moment everything is kept: setuid() would take the one right along. */
	if (keeps_root_right && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return op_fail_errno(op, "keep the right to chroot");
	if (setgroups(0, NULL) < 0 || setgid(gid) < 0 || setuid(uid) < 0)
		return op_fail_errno(op, "become user %u", (unsigned)uid);
	return keeps_root_right ? set_capabilities(op, 1u << CAP_SYS_CHROOT) : ERR_NONE;
}

static enum err change_root(struct op *op, const char *root, bool *out_done)
{
	*out_done = false;
	if (!root || set_capabilities(op, 1u << CAP_SYS_CHROOT) != ERR_NONE) {
		op_forgive(op); /* not started by root: that wall is not ours to build */
		return ERR_NONE;
	}
	if (chdir(root) < 0 || chroot(".") < 0)
		return op_fail_errno(op, "chroot to %s", root);
	*out_done = true;
	return ERR_NONE;
}

static enum err set_limits(struct op *op, enum sandbox_kind kind)
{
	const struct rlimit none = { 0, 0 };
	if (kind == SANDBOX_CLOSED && setrlimit(RLIMIT_MEMLOCK, &none) < 0)
		return op_fail_errno(op, "set limits");
	return ERR_NONE;
}

/* ---- Landlock: by system calls, the C library has no names for them ---- */

#define LANDLOCK_ALL_FS_1                                                                          \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |                              \
		LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |                       \
		LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                   \
		LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |                       \
		LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |                       \
		LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |                     \
		LANDLOCK_ACCESS_FS_MAKE_SYM)

/* As in newer kernels than the headers may be of. */
struct ruleset_attr {
	uint64_t fs, net, scoped;
};
enum { NET_ALL = 3, SCOPED_ALL = 3 };

/* What a version of Landlock can forbid; its size is how much of the struct the version knows. */
static size_t forbid(enum sandbox_kind kind, long version, struct ruleset_attr *out)
{
	*out = (struct ruleset_attr){ .fs = LANDLOCK_ACCESS_FS_EXECUTE };
	if (kind == SANDBOX_CLOSED) {
		out->fs = LANDLOCK_ALL_FS_1;
		out->net = version >= 4 ? NET_ALL : 0;
		out->scoped = version >= 6 ? SCOPED_ALL : 0;
	} else if (version >= 2) {
		out->fs |= LANDLOCK_ACCESS_FS_REFER; /* to allow it: it is forbidden even unasked */
	}
	return version >= 6 ? 24 : version >= 4 ? 16 : 8;
}

static enum err add_directory(struct op *op, int ruleset, int dir)
{
	struct landlock_path_beneath_attr rule = {
		.allowed_access = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |
				  LANDLOCK_ACCESS_FS_MAKE_REG,
		.parent_fd = dir,
	};
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return op_fail_errno(op, "Landlock: add a directory");
	return ERR_NONE;
}

/* GUARDED: files are linked and renamed from one directory to another, as without Landlock. */
static enum err allow_links(struct op *op, int ruleset)
{
	AUTO_FD(root, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
	struct landlock_path_beneath_attr rule = {
		.allowed_access = LANDLOCK_ACCESS_FS_REFER,
		.parent_fd = root,
	};
	if (root < 0 ||
		syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return op_fail_errno(op, "Landlock: allow links");
	return ERR_NONE;
}

static enum err fill_ruleset(
	struct op *op, int ruleset, const struct sandbox_rules *rules, long version)
{
	if (rules->kind == SANDBOX_GUARDED && version >= 2)
		TRY(allow_links(op, ruleset));
	if (rules->kind == SANDBOX_CLOSED && rules->spool_dir >= 0)
		TRY(add_directory(op, ruleset, rules->spool_dir));
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return op_fail_errno(op, "Landlock: enter");
	return ERR_NONE;
}

static enum err enter_landlock(struct op *op, const struct sandbox_rules *rules, bool *out_done)
{
	struct ruleset_attr attr;
	*out_done = false;
	long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 1)
		return ERR_NONE;
	size_t bytes = forbid(rules->kind, version, &attr);
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, bytes, 0);
	if (ruleset < 0)
		return op_fail_errno(op, "Landlock: make rules");
	enum err e = fill_ruleset(op, ruleset, rules, version);
	close(ruleset);
	*out_done = e == ERR_NONE;
	return e;
}

/* ---- system calls ---- */

/* Whatever the arguments. */
static const int allowed[] = {
	/* reading, writing, waiting */
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendfile),
	SCMP_SYS(splice),
	SCMP_SYS(copy_file_range),
	SCMP_SYS(close),
	SCMP_SYS(shutdown),
	SCMP_SYS(lseek),
	SCMP_SYS(fstat),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fallocate),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(dup),
	SCMP_SYS(pipe2),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(eventfd2),
	SCMP_SYS(signalfd4),
	SCMP_SYS(memfd_create),
	/* connections */
	SCMP_SYS(accept4),
	SCMP_SYS(connect),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	/* memory, threads of the offload pool, time */
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	SCMP_SYS(futex),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(membarrier),
	SCMP_SYS(getcpu),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(timer_create),
	SCMP_SYS(timer_settime),
	SCMP_SYS(timer_delete),
	SCMP_SYS(alarm),
	SCMP_SYS(setitimer),
	SCMP_SYS(getrandom),
	/* signals, itself, the end */
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getppid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(uname),
	SCMP_SYS(getrusage),
	SCMP_SYS(sysinfo),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

/* Libraries try these and live with a refusal; there is no reason to die of it. */
static const struct {
	int call, error;
} refused[] = {
	{ SCMP_SYS(open), EACCES }, { SCMP_SYS(stat), EACCES }, { SCMP_SYS(lstat), EACCES },
	{ SCMP_SYS(statx), EACCES }, { SCMP_SYS(access), EACCES }, { SCMP_SYS(faccessat), EACCES },
	{ SCMP_SYS(faccessat2), EACCES }, { SCMP_SYS(readlink), EACCES },
	{ SCMP_SYS(readlinkat), EACCES }, { SCMP_SYS(getcwd), EACCES }, { SCMP_SYS(ioctl), ENOTTY },
	{ SCMP_SYS(clone3), ENOSYS }, /* its flags cannot be seen: the C library takes clone() */
};

/* GUARDED: what no mail server needs after its start. */
static const int denied[] = { SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(kcmp), SCMP_SYS(mount),
	SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(move_mount),
	SCMP_SYS(open_tree), SCMP_SYS(fsopen), SCMP_SYS(fsmount), SCMP_SYS(mount_setattr),
	SCMP_SYS(setns), SCMP_SYS(unshare), SCMP_SYS(init_module), SCMP_SYS(finit_module),
	SCMP_SYS(delete_module), SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(add_key), SCMP_SYS(request_key),
	SCMP_SYS(keyctl), SCMP_SYS(open_by_handle_at), SCMP_SYS(reboot), SCMP_SYS(swapon),
	SCMP_SYS(swapoff), SCMP_SYS(acct), SCMP_SYS(settimeofday), SCMP_SYS(clock_settime),
	SCMP_SYS(iopl), SCMP_SYS(ioperm), SCMP_SYS(personality), SCMP_SYS(io_uring_setup) };

/* Of fcntl(): none that makes the kernel signal somebody (F_SETOWN, F_SETSIG, F_NOTIFY). */
static const int descriptor_commands[] = { F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL,
	F_SETFL, F_ADD_SEALS, F_GET_SEALS };

static int rule(scmp_filter_ctx f, uint32_t action, int call, struct scmp_arg_cmp arg)
{
	return seccomp_rule_add_array(f, action, call, 1, &arg);
}

/* Allowed when the argument is that; an error otherwise. */
static int allow_only(scmp_filter_ctx f, int call, unsigned arg, uint64_t value)
{
	const struct scmp_arg_cmp is = { .arg = arg, .op = SCMP_CMP_EQ, .datum_a = value };
	const struct scmp_arg_cmp is_not = { .arg = arg, .op = SCMP_CMP_NE, .datum_a = value };
	int r = rule(f, SCMP_ACT_ALLOW, call, is);
	return r ? r : rule(f, SCMP_ACT_ERRNO(EPERM), call, is_not);
}

/* Memory that is written is never run. */
static int allow_memory(scmp_filter_ctx f)
{
	int r = rule(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return r ? r
		 : rule(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect),
			   SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

static int allow_fcntl(scmp_filter_ctx f)
{
	int r = 0;
	for (size_t i = 0; i < ARRAY_COUNT(descriptor_commands) && r == 0; i++)
		r = rule(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl),
			SCMP_A1(SCMP_CMP_EQ, (uint64_t)descriptor_commands[i]));
	return r;
}

/* Threads, no processes; signals and limits for nobody but itself; no sockets that leave the host. */
static int allow_by_argument(scmp_filter_ctx f)
{
	int r = rule(f, SCMP_ACT_ALLOW, SCMP_SYS(clone),
		SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	if (r == 0)
		r = allow_fcntl(f);
	if (r == 0)
		r = allow_only(f, SCMP_SYS(prlimit64), 0, 0);
	if (r == 0)
		r = rule(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill),
			SCMP_A0(SCMP_CMP_EQ, (uint64_t)getpid()));
	if (r == 0)
		r = allow_only(f, SCMP_SYS(socket), 0, AF_UNIX);
	if (r == 0)
		r = allow_only(f, SCMP_SYS(socketpair), 0, AF_UNIX);
	if (r == 0)
		r = allow_only(f, SCMP_SYS(prctl), 0, PR_SET_NAME);
	/* fstat() of this C library: fstatat() with an empty path. */
	return r ? r : allow_only(f, SCMP_SYS(newfstatat), 3, AT_EMPTY_PATH);
}

/* Opening is Landlock's business, who sees paths; without it nothing is opened at all. */
static int fill_closed(scmp_filter_ctx f, bool has_landlock)
{
	int r = seccomp_rule_add_array(f, has_landlock ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EACCES),
		SCMP_SYS(openat), 0, NULL);
	for (size_t i = 0; i < ARRAY_COUNT(allowed) && r == 0; i++)
		r = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, allowed[i], 0, NULL);
	for (size_t i = 0; i < ARRAY_COUNT(refused) && r == 0; i++)
		r = seccomp_rule_add_array(
			f, SCMP_ACT_ERRNO((uint16_t)refused[i].error), refused[i].call, 0, NULL);
	if (r == 0)
		r = allow_memory(f);
	return r ? r : allow_by_argument(f);
}

static int fill_guarded(scmp_filter_ctx f)
{
	int r = 0;
	for (size_t i = 0; i < ARRAY_COUNT(denied) && r == 0; i++)
		r = seccomp_rule_add_array(f, SCMP_ACT_ERRNO(EPERM), denied[i], 0, NULL);
	return r;
}

static enum err enter_seccomp(struct op *op, enum sandbox_kind kind, bool has_landlock)
{
	scmp_filter_ctx f = seccomp_init(kind == SANDBOX_CLOSED ? SCMP_ACT_TRAP : SCMP_ACT_ALLOW);
	int r = f ? 0 : -ENOMEM;
	if (r == 0)
		r = kind == SANDBOX_CLOSED ? fill_closed(f, has_landlock) : fill_guarded(f);
	if (r == 0)
		r = seccomp_load(f);
	seccomp_release(f);
	if (r == 0)
		return ERR_NONE;
	return op_fail(op, ERR_UNAVAILABLE, "seccomp: %s", strerrordesc_np(-r));
}

/* ---- all of them ---- */

enum err sandbox_enter(struct op *op, const struct sandbox_rules *rules, struct sandbox_walls *out)
{
	struct sandbox_walls walls = { .has_root = false };
#ifdef POMBAL_INSTRUMENTED
	(void)enter_seccomp;
	(void)enter_landlock;
	(void)change_root;
	(void)set_limits;
	(void)op;
	(void)rules;
#else
	TRY(change_root(op, rules->root, &walls.has_root));
	TRY(set_capabilities(op, 0));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return op_fail_errno(op, "forbid new privileges");
	TRY(set_limits(op, rules->kind));
	TRY(enter_landlock(op, rules, &walls.has_landlock));
	TRY(enter_seccomp(op, rules->kind, walls.has_landlock));
	walls.has_seccomp = true;
#endif
	*out = walls;
	return ERR_NONE;
}
