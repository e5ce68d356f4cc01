/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of Cassandra nodes, one after the other as a connection reads them: any bytes are a header, a
 * body or an error, rows lie within the body, what LZ4 expands stays within its limit. */
#include "cql/codec_private.h"

#define EXPANDED_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_within(struct str inner, struct str outer)
{
	return inner.n == 0 || (inner.p >= outer.p && inner.p + inner.n <= outer.p + outer.n);
}

static void read_map(struct str value)
{
	uint32_t n;
	struct str element;
	if (!cql_cut_count(&value, &n))
		return;
	for (; n > 0 && cql_cut_element(&value, &element); n--)
		;
}

static void read_rows(struct str body)
{
	struct cql_rows rows;
	struct cql_value columns[CQL_COLUMNS_MAX];
	if (!cql_rows_parse(body, &rows))
		return;
	ASSERT(rows.column_count <= CQL_COLUMNS_MAX && is_within(rows.page_state, body));
	while (rows.left > 0 && cql_rows_next(&rows, columns)) {
		for (size_t i = 0; i < rows.column_count; i++) {
			ASSERT(columns[i].is_null || is_within(columns[i].bytes, body));
			if (!columns[i].is_null)
				read_map(columns[i].bytes);
		}
	}
}

static void read_prepared(struct str body)
{
	struct cql_prepared p;
	if (!cql_prepared_parse(body, &p))
		return;
	ASSERT(p.key_count <= CQL_KEY_PARTS_MAX && is_within(p.id, body));
	for (size_t i = 0; i < p.key_count; i++)
		ASSERT(p.key[i] < p.value_count);
}

static void read_result(struct str body)
{
	enum cql_result_kind kind;
	if (!cql_result_cut_kind(&body, &kind))
		return;
	if (kind == CQL_RESULT_ROWS)
		read_rows(body);
	if (kind == CQL_RESULT_PREPARED)
		read_prepared(body);
}

static void read_body(unsigned opcode, struct str body)
{
	struct cql_error error;
	struct cql_event event;
	if (opcode == CQL_OP_RESULT)
		read_result(body);
	else if (opcode == CQL_OP_ERROR && cql_error_parse(body, &error))
		ASSERT(is_within(error.message, body) && is_within(error.unprepared_id, body));
	else if (opcode == CQL_OP_EVENT && cql_event_parse(body, &event))
		ASSERT(is_within(event.keyspace, body) && event.address.family != AF_UNIX);
	else if (opcode == CQL_OP_SUPPORTED)
		(void)cql_supported_has(body, STR("COMPRESSION"), STR("lz4"));
}

static void read_frame(const struct cql_header *h, struct str body)
{
	struct buf expanded = { 0 };
	struct str warning;
	if (h->flags & CQL_FRAME_COMPRESSED) {
		/* a damaged one leaves nothing to read */
		body = cql_lz4_expand(&expanded, body, EXPANDED_MAX) ? buf_str(&expanded)
								     : STR_NONE;
		ASSERT(body.n <= EXPANDED_MAX);
	}
	if (cql_body_skip_extras(&body, h->flags, &warning))
		read_body(h->opcode, body);
	buf_done(&expanded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = { (const char *)data, size };
	struct cql_header h;
	while (cql_header_parse(rest, &h)) {
		(void)str_take(&rest, CQL_HEADER_BYTES);
		read_frame(&h, str_take(&rest, h.body_bytes));
	}
	return 0;
}
