/* SPDX-License-Identifier: Apache-2.0 */
/* message/crlf.c - bare LFs become CRLF while reading. */
#include "message/crlf.h"

void message_crlf_init(struct message_crlf *reader, struct str bytes, uint64_t virtual_size)
{
	*reader = (struct message_crlf){ .rest = bytes, .is_clean = bytes.n == virtual_size };
}

/* The next run of output bytes, at most `count`, which is borrowed; empty at the end. It goes up to
 * the next bare LF, over as many lines as end with CRLF. */
static struct str run_next(struct message_crlf *reader, uint64_t count)
{
	struct str *rest = &reader->rest;
	size_t limit = (size_t)MIN(count, rest->n), n = 0;

	if (limit == 0 || reader->is_clean)
		return str_take(rest, limit);
	while (n < limit) {
		const char *lf = memchr(rest->p + n, '\n', limit - n);
		size_t at = lf ? (size_t)(lf - rest->p) : limit;
		bool has_cr = at > 0 ? rest->p[at - 1] == '\r' : reader->is_after_cr;
		n = at;
		if (!lf || !has_cr)
			break;
		n++;
	}
	if (n == 0) {
		reader->is_after_cr = true;
		return STR("\r"); /* the LF comes with the next run */
	}
	reader->is_after_cr = rest->p[n - 1] == '\r';
	return str_take(rest, n);
}

void message_crlf_skip(struct message_crlf *reader, uint64_t count)
{
	while (count > 0) {
		struct str run = run_next(reader, count);
		if (run.n == 0)
			return;
		count -= run.n;
	}
}

static void nul_replace(char *p, size_t n)
{
	char *end = p + n;

	while (p && (p = memchr(p, '\0', (size_t)(end - p))) != NULL)
		*p = (char)0x80;
}

size_t message_crlf_read(struct message_crlf *reader, struct buf *out, size_t count)
{
	size_t before = out->n;

	count = MIN(count, buf_room(out));
	while (out->n - before < count) {
		struct str run = run_next(reader, count - (out->n - before));
		if (run.n == 0)
			break;
		buf_put(out, run);
	}
	if (reader->is_nul_replaced && out->n > before)
		nul_replace(out->p + before, out->n - before);
	return out->n - before;
}

uint64_t message_crlf_size(struct str bytes)
{
	uint64_t size = bytes.n;
	const char *p = bytes.p, *end = bytes.n > 0 ? bytes.p + bytes.n : p;

	while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		if (p == bytes.p || p[-1] != '\r')
			size++;
		p++;
	}
	return size;
}
