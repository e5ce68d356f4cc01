/* SPDX-License-Identifier: Apache-2.0 */
/* systemd's protocol of notifications: see notify.h. */
#include "main/notify.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/number.h"
#include "task/task.h"

static struct {
	char socket[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	char watchdog_us_text[24];
	int64_t watchdog_us;
	struct timer watchdog;
} notify;

/* Nobody is told when it fails: systemd sees a start that does not get ready. */
static void send_message(struct str message)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	size_t n = strlen(notify.socket);
	if (n == 0)
		return;
	memcpy(sa.sun_path, notify.socket, n);
	if (sa.sun_path[0] == '@')
		sa.sun_path[0] = '\0'; /* the abstract namespace */
	AUTO_FD(fd, socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	if (fd >= 0 &&
		sendto(fd, message.p, message.n, MSG_NOSIGNAL, (struct sockaddr *)&sa, len) < 0)
		return;
}

static void watchdog_due(void *arg)
{
	(void)arg;
	send_message(STR("WATCHDOG=1"));
	timer_set(&notify.watchdog, now_us() + notify.watchdog_us / 2);
}

static void read_watchdog(void)
{
	const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t number;
	uint32_t for_pid;
	if (!us || !number_parse_u64(str_from(us), &number) || number == 0 || number > INT64_MAX ||
		strlen(us) >= sizeof(notify.watchdog_us_text))
		return;
	if (pid && (!number_parse_u32(str_from(pid), &for_pid) || for_pid != (uint32_t)getpid()))
		return;
	memcpy(notify.watchdog_us_text, us, strlen(us) + 1);
	notify.watchdog_us = (int64_t)number;
	timer_init(&notify.watchdog, watchdog_due, NULL);
	timer_set(&notify.watchdog, now_us());
}

void notify_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	if (path && (path[0] == '/' || path[0] == '@') && strlen(path) < sizeof(notify.socket)) {
		memcpy(notify.socket, path, strlen(path) + 1);
		read_watchdog();
	}
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void notify_restore_environment(void)
{
	if (notify.socket[0])
		setenv("NOTIFY_SOCKET", notify.socket, 1);
	if (notify.watchdog_us > 0)
		setenv("WATCHDOG_USEC", notify.watchdog_us_text, 1);
}

void notify_ready(struct str status)
{
	AUTO_ARENA(arena, 0);
	send_message(str_printf(&arena, "READY=1\nSTATUS=%.*s", STRF(status)));
}

void notify_reloading(void)
{
	AUTO_ARENA(arena, 0);
	struct timespec ts;
	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail with this clock */
	int64_t us = (int64_t)ts.tv_sec * US_PER_SEC + ts.tv_nsec / 1000;
	send_message(str_printf(&arena,
		"RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\nSTATUS=Reading the configuration", us));
}

void notify_stopping(void)
{
	send_message(STR("STOPPING=1\nSTATUS=Stopping"));
}
