/* SPDX-License-Identifier: Apache-2.0 */
/* Signals as callbacks on the loop: blocked, and read from a signalfd that knows every number asked
 * for so far. */
#include "task/task_private.h"

#include <errno.h>
#include <sys/signalfd.h>
#include <unistd.h>

void signal_block_most(sigset_t *before)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS };
	sigset_t most;
	sigfillset(&most);
	for (size_t i = 0; i < ARRAY_COUNT(faults); i++)
		sigdelset(&most, faults[i]);
	ASSERT(pthread_sigmask(SIG_SETMASK, &most, before) == 0);
}

static void signals_readable(struct watch *w, unsigned events, void *arg)
{
	struct loop *l = arg;
	struct signalfd_siginfo info;
	(void)events;
	while (w->fd >= 0 && read(w->fd, &info, sizeof info) == (ssize_t)sizeof info) {
		const struct signal_handler *h = &l->signals[info.ssi_signo];
		if (h->fn)
			h->fn((int)info.ssi_signo, h->arg);
	}
	watch_forget(w, WATCH_READ);
}

enum err loop_on_signal(struct op *op, int signal_number, signal_fn *fn, void *arg)
{
	struct loop *l = loop_current;
	ASSERT(signal_number > 0 && signal_number <= SIGNAL_NUMBER_MAX);
	l->signals[signal_number] = (struct signal_handler){ fn, arg };
	sigaddset(&l->signal_set, signal_number);
	ASSERT(pthread_sigmask(SIG_BLOCK, &l->signal_set, NULL) == 0);

	int fd = signalfd(l->signal_watch.fd, &l->signal_set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return op_fail_errno(op, "signalfd");
	if (l->signal_watch.fd >= 0)
		return ERR_NONE;
	enum err e = watch_open(op, &l->signal_watch, fd, signals_readable, l);
	if (e != ERR_NONE)
		close(fd);
	return e;
}

void signal_done(struct loop *l)
{
	int fd = l->signal_watch.fd;
	if (fd < 0)
		return;
	watch_close(&l->signal_watch);
	close(fd);
}
