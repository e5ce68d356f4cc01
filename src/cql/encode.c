/* SPDX-License-Identifier: Apache-2.0 */
/* What we send: notations, headers and bodies of requests. */
#include "cql/codec_private.h"

/* §4.1.4 */
enum query_flag {
	QUERY_VALUES = 0x01,
	QUERY_SKIP_METADATA = 0x02,
	QUERY_PAGE_SIZE = 0x04,
	QUERY_PAGE_STATE = 0x08,
	QUERY_STAMP = 0x20,
};
#define VERSION_REQUEST CQL_PROTOCOL_VERSION
#define BATCH_LOGGED    0
#define BATCH_UNLOGGED  1
#define BATCH_PREPARED  1

/* ---- notations ---- */

void cql_put_short(struct buf *b, uint16_t v)
{
	char bytes[2] = { (char)(v >> 8), (char)(v & 0xff) };
	buf_put(b, (struct str){ bytes, sizeof(bytes) });
}

static void put_unsigned(struct buf *b, uint32_t v)
{
	char bytes[4] = { (char)(v >> 24), (char)(v >> 16 & 0xff), (char)(v >> 8 & 0xff),
		(char)(v & 0xff) };
	buf_put(b, (struct str){ bytes, sizeof(bytes) });
}

void cql_put_int(struct buf *b, int32_t v)
{
	put_unsigned(b, (uint32_t)v);
}

void cql_put_long(struct buf *b, int64_t v)
{
	put_unsigned(b, (uint32_t)((uint64_t)v >> 32));
	put_unsigned(b, (uint32_t)((uint64_t)v & UINT32_MAX));
}

void cql_put_string(struct buf *b, struct str s)
{
	ASSERT(s.n <= UINT16_MAX);
	cql_put_short(b, (uint16_t)s.n);
	buf_put(b, s);
}

void cql_put_long_string(struct buf *b, struct str s)
{
	ASSERT(s.n <= INT32_MAX);
	cql_put_int(b, (int32_t)s.n);
	buf_put(b, s);
}

void cql_put_value(struct buf *b, const struct cql_value *v)
{
	if (v->is_null)
		cql_put_int(b, -1);
	else
		cql_put_long_string(b, v->bytes);
}

/* ---- frames ---- */

void cql_header_put(
	struct buf *b, enum cql_opcode opcode, uint8_t flags, uint16_t stream, size_t body_bytes)
{
	ASSERT(body_bytes <= CQL_BODY_MAX);
	buf_put_byte(b, VERSION_REQUEST);
	buf_put_byte(b, (char)flags);
	cql_put_short(b, stream);
	buf_put_byte(b, (char)opcode);
	put_unsigned(b, (uint32_t)body_bytes);
}

/* ---- bodies ---- */

void cql_put_startup(struct buf *b, bool has_lz4)
{
	cql_put_short(b, has_lz4 ? 3 : 2);
	cql_put_string(b, STR("CQL_VERSION"));
	cql_put_string(b, STR("3.0.0"));
	cql_put_string(b, STR("DRIVER_NAME"));
	cql_put_string(b, STR("Pombal"));
	if (!has_lz4)
		return;
	cql_put_string(b, STR("COMPRESSION"));
	cql_put_string(b, STR("lz4"));
}

/* RFC 4616 with an empty authorization identity. */
void cql_put_plain(struct buf *b, struct str user, struct str password)
{
	ASSERT(user.n <= UINT16_MAX && password.n <= UINT16_MAX);
	cql_put_int(b, (int32_t)(user.n + password.n + 2));
	buf_put_byte(b, '\0');
	buf_put(b, user);
	buf_put_byte(b, '\0');
	buf_put(b, password);
}

void cql_put_register(struct buf *b)
{
	cql_put_short(b, 3);
	cql_put_string(b, STR("TOPOLOGY_CHANGE"));
	cql_put_string(b, STR("STATUS_CHANGE"));
	cql_put_string(b, STR("SCHEMA_CHANGE"));
}

static void put_values(struct buf *b, const struct cql_value *values, size_t count)
{
	ASSERT(count <= UINT16_MAX);
	cql_put_short(b, (uint16_t)count);
	for (size_t i = 0; i < count; i++)
		cql_put_value(b, &values[i]);
}

static void put_parameters(struct buf *b, const struct cql_parameters *p)
{
	unsigned flags = 0;
	if (p->count > 0)
		flags |= QUERY_VALUES;
	if (p->wants_no_metadata)
		flags |= QUERY_SKIP_METADATA;
	if (p->page_size > 0)
		flags |= QUERY_PAGE_SIZE;
	if (p->page_state.n > 0)
		flags |= QUERY_PAGE_STATE;
	if (p->stamp_us != INT64_MIN)
		flags |= QUERY_STAMP;
	cql_put_short(b, (uint16_t)p->consistency);
	buf_put_byte(b, (char)flags);
	if (p->count > 0)
		put_values(b, p->values, p->count);
	if (p->page_size > 0)
		cql_put_int(b, (int32_t)MIN(p->page_size, (uint32_t)INT32_MAX));
	if (p->page_state.n > 0)
		cql_put_long_string(b, p->page_state);
	if (p->stamp_us != INT64_MIN)
		cql_put_long(b, p->stamp_us);
}

void cql_put_query(struct buf *b, struct str text, const struct cql_parameters *p)
{
	cql_put_long_string(b, text);
	put_parameters(b, p);
}

void cql_put_execute(struct buf *b, struct str id, const struct cql_parameters *p)
{
	cql_put_string(b, id);
	put_parameters(b, p);
}

void cql_put_batch_begin(struct buf *b, bool is_logged, size_t count)
{
	ASSERT(count <= UINT16_MAX);
	buf_put_byte(b, is_logged ? BATCH_LOGGED : BATCH_UNLOGGED);
	cql_put_short(b, (uint16_t)count);
}

void cql_put_batch_item(struct buf *b, struct str id, const struct cql_value *values, size_t count)
{
	buf_put_byte(b, BATCH_PREPARED);
	cql_put_string(b, id);
	put_values(b, values, count);
}

void cql_put_batch_end(struct buf *b, enum cql_consistency consistency, int64_t stamp_us)
{
	cql_put_short(b, (uint16_t)consistency);
	buf_put_byte(b, QUERY_STAMP);
	cql_put_long(b, stamp_us);
}
