/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets by address: see sockets.h.
 *
 * Invariant: descriptors stand at SOCKETS_FD_BASE or above, so that placing them at a child's fixed
 * numbers never overwrites one that is still needed. */
#include "main/sockets.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/number.h"
#include "event/event.h"
#include "main/role.h"
#include "net/net.h"

#define BACKLOG                4096
#define SYSTEMD_FDS_FIRST      3
#define SYSTEMD_FDS_COUNT_MAX  64
#define ADDRESS_UNIX_BYTES_MAX sizeof(((struct sockaddr_un *)NULL)->sun_path)

static struct listening_socket *find(struct sockets *s, struct str address, int type)
{
	for (size_t i = 0; i < s->count; i++) {
		struct listening_socket *l = &s->items[i];
		if (l->type == type && str_eq(str_from(l->address), address))
			return l;
	}
	return NULL;
}

/* Takes fd. */
static enum err add(struct op *op, struct sockets *s, struct str address, int type, int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, ROLE_FD_MASTER_BASE);
	enum err e = high < 0 ? op_fail_errno(op, "duplicate a listener") : ERR_NONE;
	close(fd);
	TRY(e);
	if (s->count == SOCKETS_MAX || address.n >= sizeof(s->items[0].address)) {
		close(high);
		return op_fail(op, ERR_LIMIT, "%.*s: more than %d listeners, or too long a name",
			STRF(address), SOCKETS_MAX);
	}
	struct listening_socket *l = &s->items[s->count++];
	*l = (struct listening_socket){ .type = type, .fd = high };
	memcpy(l->address, address.p, address.n);
	return ERR_NONE;
}

static enum err describe(struct op *op, int fd, struct str *out_address, int *out_type)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa), type_len = sizeof(*out_type), on_len = sizeof(int);
	int is_listening = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, out_type, &type_len) < 0 ||
		getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &on_len) < 0 ||
		getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return op_fail_errno(op, "descriptor %d", fd);
	if (!is_listening)
		return op_fail(op, ERR_INVALID, "descriptor %d does not listen", fd);
	if (sa.ss_family == AF_UNIX) {
		const struct sockaddr_un *un = (const struct sockaddr_un *)&sa;
		*out_address =
			str_dup(op->arena, (struct str){ un->sun_path,
						   strnlen(un->sun_path, ADDRESS_UNIX_BYTES_MAX) });
		return ERR_NONE;
	}
	struct address at;
	AUTO_BUF(text, 0);
	address_from_sockaddr((struct sockaddr *)&sa, len, &at);
	address_put(&text, &at, true);
	*out_address = buf_dup(op->arena, &text);
	return ERR_NONE;
}

enum err sockets_adopt(struct op *op, struct sockets *s, int fd, bool is_given)
{
	struct str address;
	int type;
	enum err e = describe(op, fd, &address, &type);
	if (e != ERR_NONE) {
		close(fd);
		return e;
	}
	TRY(add(op, s, address, type, fd));
	s->items[s->count - 1].is_given = is_given;
	return ERR_NONE;
}

enum err sockets_adopt_environment(struct op *op, struct sockets *s)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	uint32_t number, fds;
	if (!pid || !count || !number_parse_u32(str_from(pid), &number) ||
		number != (uint32_t)getpid() || !number_parse_u32(str_from(count), &fds))
		return ERR_NONE;
	for (uint32_t i = 0; i < MIN(fds, SYSTEMD_FDS_COUNT_MAX); i++)
		TRY(op_within(
			op, sockets_adopt(op, s, SYSTEMD_FDS_FIRST + (int)i, true), "LISTEN_FDS"));
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return ERR_NONE;
}

/* ---- what the configuration wants ---- */

void sockets_begin(struct sockets *s)
{
	for (size_t i = 0; i < s->count; i++)
		s->items[i].is_wanted = s->items[i].is_new = false;
}

/* True: it is there; two services may not have it both. */
static bool is_there(struct sockets *s, struct str address, int type, int *out_fd)
{
	struct listening_socket *l = find(s, address, type);
	if (!l || l->is_wanted)
		return false;
	l->is_wanted = true;
	*out_fd = l->fd;
	return true;
}

static enum err add_new(
	struct op *op, struct sockets *s, struct str address, int type, int fd, int *out_fd)
{
	TRY(add(op, s, address, type, fd));
	struct listening_socket *l = &s->items[s->count - 1];
	l->is_wanted = l->is_new = true;
	*out_fd = l->fd;
	return ERR_NONE;
}

enum err sockets_tcp(struct op *op, struct sockets *s, const struct address *at, int *out_fd)
{
	AUTO_BUF(text, 0);
	int fd;
	address_put(&text, at, true);
	if (is_there(s, buf_str(&text), SOCK_STREAM, out_fd))
		return ERR_NONE;
	TRY(listen_tcp(op, at, BACKLOG, &fd));
	return add_new(op, s, buf_str(&text), SOCK_STREAM, fd, out_fd);
}

/* Is the file at `path` still the socket that we listen on? (Somebody may have removed it.) */
static bool has_file(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

enum err sockets_unix(
	struct op *op, struct sockets *s, const char *path, int type, unsigned mode, int *out_fd)
{
	int fd;
	if (has_file(path) && is_there(s, str_from(path), type, out_fd)) {
		if (chmod(path, mode) < 0)
			return op_fail_errno(op, "chmod %s", path);
		return ERR_NONE;
	}
	TRY(listen_unix(op, path, type, mode, &fd));
	return add_new(op, s, str_from(path), type, fd, out_fd);
}

/* ---- the end of the attempt ---- */

static void drop(struct sockets *s, size_t i)
{
	struct listening_socket l = s->items[i];
	s->items[i] = s->items[--s->count];
	close(l.fd);
	/* The path may belong to a newer socket by now. */
	if (l.address[0] == '/' && !l.is_given && !find(s, str_from(l.address), l.type))
		(void)unlink(l.address); /* it may be gone */
}

void sockets_commit(struct sockets *s)
{
	for (size_t i = s->count; i-- > 0;) {
		if (s->items[i].is_wanted)
			continue;
		if (s->items[i].is_given)
			event_send(NULL, EVENT_WARNING, NULL,
				"systemd passed a socket on %s, which no listener of the "
				"configuration wants",
				s->items[i].address);
		drop(s, i);
	}
}

void sockets_rollback(struct sockets *s)
{
	for (size_t i = s->count; i-- > 0;) {
		if (s->items[i].is_new)
			drop(s, i);
	}
}

void sockets_close(struct sockets *s)
{
	while (s->count > 0)
		drop(s, s->count - 1);
}
