/* SPDX-License-Identifier: Apache-2.0 */
/* What powerloss.c (the calls of the program under test) and powerloss_journal.c (what is noted before each)
 * share: the C library's own calls, what is watched, and the notes. */
#pragma once
#undef _FILE_OFFSET_BITS /* both spellings of each call are defined here, open() and open64() */
#undef _FORTIFY_SOURCE   /* and none is a macro */
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/uio.h>

/* The calls behind ours: as the C library has them, after watch_start(). */
extern int (*real_openat)(int, const char *, int, ...);
extern ssize_t (*real_pwritev)(int, const struct iovec *, int, off_t);
extern ssize_t (*real_writev)(int, const struct iovec *, int);
extern ssize_t (*real_write)(int, const void *, size_t);
extern ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
extern int (*real_ftruncate)(int, off_t);
extern int (*real_fallocate)(int, int, off_t, off_t);
extern int (*real_linkat)(int, const char *, int, const char *, int);
extern int (*real_renameat2)(int, const char *, int, const char *, unsigned);
extern int (*real_unlinkat)(int, const char *, int);
extern int (*real_mkdirat)(int, const char *, mode_t);
extern int (*real_fsync)(int);
extern int (*real_syncfs)(int);

struct watch {
	bool is_on;          /* there is a tree to watch */
	bool ignores_sync;   /* nothing is ever safe */
	const char *boot_id; /* a file instead of the kernel's; NULL: none */
};
/* What the environment asks for; looks there, and for the calls behind ours, the first time. */
const struct watch *watch(void);

/* Is it `path`, absolute, of the watched tree? */
bool watch_has(const char *path);
/* The path that a descriptor stands for; "" when there is none. */
void fd_path(int fd, char out[PATH_MAX]);
/* A regular file of the watched tree: its state before a change. */
bool file_of(int fd, struct stat *st);

/* An entry of a directory. */
struct place {
	char dir[PATH_MAX];
	char name[NAME_MAX + 1];
};
/* Splits a path as the *at() calls take it. False: not of the watched tree. */
bool place_of(int at, const char *path, struct place *out);
bool place_exists(const struct place *place);

/* ---- notes: between journal_lock() and journal_unlock(), which holds until the change is done ---- */

void journal_lock(void);
void journal_unlock(void);
/* type 'S': the file was synced; 'N': it is a new one. */
void note_inode(char type, uint64_t inode);
/* Before `length` bytes at `offset` are overwritten, or cut off with everything behind them. */
void note_bytes(int fd, const struct stat *st, uint64_t offset, uint64_t length);
/* Before an entry changes. Keeps the file that it names by a second link. */
void note_entry(const struct place *place);
void note_directory_synced(const char *path);
void note_all_synced(void);

/* Ends the program under test: a note that is missing would make the test lie. errno says why. */
void fail(const char *what);
