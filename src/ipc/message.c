/* SPDX-License-Identifier: Apache-2.0 */
/* Messages: fields under short names, encoded as they are put, found by a walk. A message has a dozen
 * fields, so a walk beats an index. */
#include <fcntl.h>
#include <unistd.h>

#include "base/number.h"
#include "ipc/ipc_private.h"

void ipc_message_init(struct ipc_message *m, enum ipc_type type)
{
	*m = (struct ipc_message){ .type = type };
	/* Room for the header; a packet that does not fit is refused when it is sent. */
	buf_init(&m->fields, 0);
	for (size_t i = 0; i < IPC_FDS_MAX; i++)
		m->fds[i] = -1;
}

void ipc_message_done(struct ipc_message *m)
{
	for (size_t i = 0; i < IPC_FDS_MAX; i++) {
		if (m->fds[i] >= 0)
			close(m->fds[i]);
		m->fds[i] = -1;
	}
	buf_done(&m->fields);
}

static void put_field(struct ipc_message *m, const char *key, char kind, struct str value)
{
	uint8_t length[4];
	struct str name = str_from(key);
	ASSERT(name.n > 0 && name.n < 64);
	ASSERT(value.n < UINT32_MAX);
	put_le32(length, (uint32_t)value.n);
	buf_put_byte(&m->fields, (char)name.n);
	buf_put(&m->fields, name);
	buf_put_byte(&m->fields, kind);
	buf_put(&m->fields, (struct str){ (const char *)length, sizeof(length) });
	buf_put(&m->fields, value);
}

void ipc_put_str(struct ipc_message *m, const char *key, struct str value)
{
	put_field(m, key, 's', value);
}

void ipc_put_int(struct ipc_message *m, const char *key, int64_t value)
{
	uint8_t bytes[8];
	put_le64(bytes, (uint64_t)value);
	put_field(m, key, 'i', (struct str){ (const char *)bytes, sizeof(bytes) });
}

void ipc_put_fd(struct ipc_message *m, int fd)
{
	ASSERT(m->fd_count < IPC_FDS_MAX);
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	/* Without a descriptor left the message goes without it: the receiver says what is missing. */
	if (copy >= 0)
		m->fds[m->fd_count++] = copy;
}

void ipc_put_address(struct ipc_message *m, const char *key, const struct address *a)
{
	AUTO_BUF(text, 0);
	if (a->family == 0)
		return;
	address_put(&text, a, true);
	ipc_put_str(m, key, buf_str(&text));
}

/* Takes one field off the front; false at the end or at nonsense. */
static bool cut_field(struct str *rest, struct str *key, char *kind, struct str *value)
{
	if (rest->n < 1)
		return false;
	size_t key_bytes = (uint8_t)rest->p[0];
	if (rest->n < 1 + key_bytes + 5)
		return false;
	*key = (struct str){ rest->p + 1, key_bytes };
	*kind = rest->p[1 + key_bytes];
	size_t value_bytes = get_le32(rest->p + 2 + key_bytes);
	size_t head = 6 + key_bytes;
	if (value_bytes > rest->n - head)
		return false;
	*value = (struct str){ rest->p + head, value_bytes };
	rest->p += head + value_bytes;
	rest->n -= head + value_bytes;
	return true;
}

static bool find_field(
	const struct ipc_message *m, const char *key, char kind, size_t skip, struct str *out)
{
	struct str rest = buf_str(&m->fields), name, value, wanted = str_from(key);
	char found_kind;
	while (cut_field(&rest, &name, &found_kind, &value)) {
		if (found_kind != kind || !str_eq(name, wanted))
			continue;
		if (skip-- == 0) {
			*out = value;
			return true;
		}
	}
	return false;
}

bool ipc_get_str(const struct ipc_message *m, const char *key, struct str *out)
{
	return find_field(m, key, 's', 0, out);
}

bool ipc_get_str_at(const struct ipc_message *m, const char *key, size_t i, struct str *out)
{
	return find_field(m, key, 's', i, out);
}

bool ipc_get_int(const struct ipc_message *m, const char *key, int64_t *out)
{
	struct str value;
	if (!find_field(m, key, 'i', 0, &value) || value.n != 8)
		return false;
	*out = (int64_t)get_le64(value.p);
	return true;
}

bool ipc_get_bool(const struct ipc_message *m, const char *key)
{
	int64_t v;
	return ipc_get_int(m, key, &v) && v != 0;
}

struct address ipc_get_address(const struct ipc_message *m, const char *key)
{
	struct address a;
	struct str text;
	if (!ipc_get_str(m, key, &text) || !address_parse(text, &a))
		return (struct address){ 0 };
	return a;
}

int ipc_take_fd(struct ipc_message *m, size_t i)
{
	if (i >= IPC_FDS_MAX)
		return -1;
	int fd = m->fds[i];
	m->fds[i] = -1;
	return fd;
}

/* ---- packets ---- */

void ipc_packet_encode(const struct ipc_message *m, int64_t life_us, struct buf *out)
{
	uint8_t head[IPC_HEADER_BYTES] = { IPC_VERSION, (uint8_t)m->type };
	put_le16(head + 2, (uint16_t)m->result);
	put_le32(head + 4, m->number);
	put_le64(head + 8, (uint64_t)life_us);
	buf_clear(out);
	buf_put(out, (struct str){ (const char *)head, sizeof(head) });
	buf_put(out, buf_str(&m->fields));
}

enum err ipc_packet_decode(
	struct op *op, struct packet *p, struct ipc_message *out, int64_t *out_life_us)
{
	struct ipc_message m;
	ipc_message_init(&m, IPC_SESSION);
	for (size_t i = 0; i < p->fd_count; i++)
		m.fds[i] = p->fds[i];
	m.fd_count = p->fd_count;
	p->fd_count = 0;

	const uint8_t *head = (const uint8_t *)p->bytes.p;
	if (p->bytes.n < IPC_HEADER_BYTES || head[0] != IPC_VERSION ||
		get_le16(head + 2) >= ERR_COUNT) {
		ipc_message_done(&m);
		return op_fail(op, ERR_INVALID,
			"message of %zu bytes is not of version %d of the roles' protocol",
			p->bytes.n, IPC_VERSION);
	}
	m.type = (enum ipc_type)head[1];
	m.result = (enum err)get_le16(head + 2);
	m.number = get_le32(head + 4);
	*out_life_us = (int64_t)get_le64(head + 8);
	buf_put(&m.fields, str_slice(p->bytes, IPC_HEADER_BYTES, p->bytes.n));
	*out = m;
	return ERR_NONE;
}

enum err ipc_packet_send(
	struct op *op, struct watch *w, const struct ipc_message *m, int64_t life_us)
{
	AUTO_BUF(bytes, 0);
	ipc_packet_encode(m, life_us, &bytes);
	if (bytes.n > PACKET_BYTES_MAX)
		return op_fail(op, ERR_LIMIT, "message of %zu bytes is above the limit of %d",
			bytes.n, PACKET_BYTES_MAX);
	struct packet p = { .bytes = buf_str(&bytes), .fd_count = m->fd_count };
	for (size_t i = 0; i < PACKET_FDS_MAX; i++)
		p.fds[i] = m->fds[i];
	return packet_send(op, w, &p);
}
