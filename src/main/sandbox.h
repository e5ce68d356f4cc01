/* SPDX-License-Identifier: Apache-2.0 */
/* main/sandbox.h - walls around a process after it has loaded what it needs.
 *
 * CLOSED (login, which reads what strangers send): no file can be opened but new ones in the
 * spool directory, no program started, no socket made but UNIX ones, nobody else signalled. Three walls, each
 * enough for most of that: a root directory with nothing but the sockets of the other roles, Landlock,
 * and a short list of system calls. What is not on the list ends the process and is reported with its
 * number (main/crash.h).
 * GUARDED (auth, mail): no program started, no mounts, no tracing, no keys, no kernel modules.
 *
 * Without root there is no chroot, on older kernels no Landlock: what stands is said in *out, and the
 * caller logs it. In instrumented builds, which need more than that, nothing is closed.
 *
 * Life:   sandbox_become(), then sandbox_enter() once, for good. */
#pragma once

#include <sys/types.h>

#include "base/base.h"

enum sandbox_kind { SANDBOX_CLOSED, SANDBOX_GUARDED };

struct sandbox_rules {
	enum sandbox_kind kind;
	const char *root; /* CLOSED: the new root directory; NULL: none */
	int spool_dir;    /* CLOSED: the one directory in which files may be made; -1: none */
};
struct sandbox_walls {
	bool has_root, has_landlock, has_seccomp;
};

/* Of root: becomes that user, without groups. keeps_root_right: the right to chroot() stays, until
 * sandbox_enter(). */
enum err sandbox_become(struct op *op, uid_t uid, gid_t gid, bool keeps_root_right);
/* ERR_UNAVAILABLE: a wall that the kernel has cannot be put up. What rights there were are gone in any case. */
enum err sandbox_enter(struct op *op, const struct sandbox_rules *rules, struct sandbox_walls *out);
