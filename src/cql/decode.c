/* SPDX-License-Identifier: Apache-2.0 */
/* What nodes send: notations, headers, and bodies of answers. Total over any bytes. */
#include "cql/codec_private.h"

#define ANSWER_BIT        0x80
#define TRACING_ID_BYTES  16
#define TYPE_DEPTH_MAX    16
#define TYPE_ELEMENTS_MAX 4096

/* §4.2.5.2 */
enum rows_flag { ROWS_GLOBAL_SPEC = 1, ROWS_MORE_PAGES = 2, ROWS_NO_METADATA = 4 };
enum type_id {
	TYPE_CUSTOM = 0x0000,
	TYPE_LIST = 0x0020,
	TYPE_MAP = 0x0021,
	TYPE_SET = 0x0022,
	TYPE_USER = 0x0030,
	TYPE_TUPLE = 0x0031,
};

/* ---- notations ---- */

static bool cut_n(struct str *rest, size_t n, struct str *out)
{
	if (rest->n < n)
		return false;
	*out = str_take(rest, n);
	return true;
}

static uint32_t unsigned_at(const char *p)
{
	const uint8_t *b = (const uint8_t *)p;
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

bool cql_cut_byte(struct str *rest, uint8_t *out)
{
	struct str s;
	if (!cut_n(rest, 1, &s))
		return false;
	*out = (uint8_t)s.p[0];
	return true;
}

bool cql_cut_short(struct str *rest, uint16_t *out)
{
	struct str s;
	if (!cut_n(rest, 2, &s))
		return false;
	*out = (uint16_t)((uint8_t)s.p[0] << 8 | (uint8_t)s.p[1]);
	return true;
}

bool cql_cut_int(struct str *rest, int32_t *out)
{
	struct str s;
	if (!cut_n(rest, 4, &s))
		return false;
	*out = (int32_t)unsigned_at(s.p);
	return true;
}

bool cql_cut_string(struct str *rest, struct str *out)
{
	uint16_t n;
	return cql_cut_short(rest, &n) && cut_n(rest, n, out);
}

/* Negative lengths are null (-1) and "not set" (-2), which no answer holds. */
bool cql_cut_value(struct str *rest, struct cql_value *out)
{
	int32_t n;
	*out = (struct cql_value){ .is_null = true };
	if (!cql_cut_int(rest, &n))
		return false;
	if (n < 0)
		return true;
	out->is_null = false;
	return cut_n(rest, (size_t)n, &out->bytes);
}

bool cql_cut_inet(struct str *rest, struct address *out)
{
	uint8_t n;
	int32_t port;
	struct str ip;
	if (!cql_cut_byte(rest, &n) || (n != 4 && n != 16))
		return false;
	if (!cut_n(rest, n, &ip) || !cql_cut_int(rest, &port) || port < 0 || port > UINT16_MAX)
		return false;
	*out = (struct address){ .family = n == 4 ? AF_INET : AF_INET6, .port = (uint16_t)port };
	memcpy(out->ip, ip.p, n);
	return true;
}

bool cql_cut_count(struct str *rest, uint32_t *out)
{
	int32_t n;
	if (!cql_cut_int(rest, &n) || n < 0)
		return false;
	*out = (uint32_t)n;
	return true;
}

bool cql_cut_element(struct str *rest, struct str *out)
{
	struct cql_value v;
	if (!cql_cut_value(rest, &v) || v.is_null)
		return false;
	*out = v.bytes;
	return true;
}

/* ---- frames ---- */

bool cql_header_parse(struct str bytes, struct cql_header *out)
{
	uint16_t stream = 0;
	uint8_t version = 0;
	if (bytes.n < CQL_HEADER_BYTES)
		return false;
	(void)cql_cut_byte(&bytes, &version); /* the length was looked at */
	(void)cql_cut_byte(&bytes, &out->flags);
	(void)cql_cut_short(&bytes, &stream);
	(void)cql_cut_byte(&bytes, &out->opcode);
	out->version = version & (ANSWER_BIT - 1);
	out->is_answer = (version & ANSWER_BIT) != 0;
	out->stream = (int16_t)stream;
	out->body_bytes = unsigned_at(bytes.p);
	return true;
}

static bool skip_strings(struct str *rest, struct str *first)
{
	uint16_t n;
	struct str s;
	*first = STR("");
	if (!cql_cut_short(rest, &n))
		return false;
	for (uint16_t i = 0; i < n; i++) {
		if (!cql_cut_string(rest, &s))
			return false;
		if (i == 0)
			*first = s;
	}
	return true;
}

static bool skip_payload(struct str *rest)
{
	uint16_t n;
	struct str key;
	struct cql_value value;
	if (!cql_cut_short(rest, &n))
		return false;
	for (uint16_t i = 0; i < n; i++)
		if (!cql_cut_string(rest, &key) || !cql_cut_value(rest, &value))
			return false;
	return true;
}

bool cql_body_skip_extras(struct str *body, uint8_t flags, struct str *warning)
{
	struct str id;
	*warning = STR("");
	if ((flags & CQL_FRAME_TRACING) && !cut_n(body, TRACING_ID_BYTES, &id))
		return false;
	if ((flags & CQL_FRAME_WARNING) && !skip_strings(body, warning))
		return false;
	return !(flags & CQL_FRAME_PAYLOAD) || skip_payload(body);
}

/* ---- errors, §9 ---- */

static bool cut_consistency(struct str *rest, enum cql_consistency *out)
{
	uint16_t v;
	if (!cql_cut_short(rest, &v))
		return false;
	*out = (enum cql_consistency)v;
	return true;
}

static bool cut_replicas(struct str *rest, struct cql_error *e)
{
	return cut_consistency(rest, &e->consistency) && cql_cut_int(rest, &e->received) &&
	       cql_cut_int(rest, &e->required);
}

static bool cut_details(struct str *rest, struct cql_error *e)
{
	struct str keyspace, table;
	switch ((unsigned)e->code) {
	case CQL_ERROR_UNAVAILABLE:
		return cut_consistency(rest, &e->consistency) && cql_cut_int(rest, &e->required) &&
		       cql_cut_int(rest, &e->received);
	case CQL_ERROR_WRITE_TIMEOUT:
		return cut_replicas(rest, e) && cql_cut_string(rest, &e->write_type);
	case CQL_ERROR_READ_TIMEOUT:
		return cut_replicas(rest, e);
	case CQL_ERROR_READ_FAILURE:
		return cut_replicas(rest, e) && cql_cut_int(rest, &e->failures);
	case CQL_ERROR_WRITE_FAILURE:
		return cut_replicas(rest, e) && cql_cut_int(rest, &e->failures) &&
		       cql_cut_string(rest, &e->write_type);
	case CQL_ERROR_EXISTS:
		return cql_cut_string(rest, &keyspace) && cql_cut_string(rest, &table);
	case CQL_ERROR_UNPREPARED:
		return cql_cut_string(rest, &e->unprepared_id);
	default:
		return true;
	}
}

bool cql_error_parse(struct str body, struct cql_error *out)
{
	int32_t code;
	*out = (struct cql_error){ .message = STR(""), .write_type = STR("") };
	if (!cql_cut_int(&body, &code) || !cql_cut_string(&body, &out->message))
		return false;
	out->code = (enum cql_error_code)code;
	return cut_details(&body, out);
}

/* ---- SUPPORTED, §4.2.4 ---- */

bool cql_supported_has(struct str body, struct str key, struct str value)
{
	uint16_t keys, values;
	struct str k, v;
	if (!cql_cut_short(&body, &keys))
		return false;
	for (uint16_t i = 0; i < keys; i++) {
		if (!cql_cut_string(&body, &k) || !cql_cut_short(&body, &values))
			return false;
		for (uint16_t j = 0; j < values; j++) {
			if (!cql_cut_string(&body, &v))
				return false;
			if (str_eq(k, key) && str_eq_ci(v, value))
				return true;
		}
	}
	return false;
}

/* ---- results, §4.2.5 ---- */

bool cql_result_cut_kind(struct str *body, enum cql_result_kind *out)
{
	int32_t kind;
	if (!cql_cut_int(body, &kind))
		return false;
	*out = (enum cql_result_kind)kind;
	return true;
}

/* Types that are still to come at one level of nesting; those of a user type have names. */
struct type_level {
	uint32_t left;
	bool has_names;
};

/* What follows a type's id; adds the level of its elements. */
static bool open_type(struct str *rest, uint16_t id, struct type_level *inner)
{
	struct str s;
	uint16_t n = 0;
	*inner = (struct type_level){ 0 };
	switch (id) {
	case TYPE_CUSTOM:
		return cql_cut_string(rest, &s);
	case TYPE_LIST:
	case TYPE_SET:
		inner->left = 1;
		return true;
	case TYPE_MAP:
		inner->left = 2;
		return true;
	case TYPE_USER:
		if (!cql_cut_string(rest, &s) || !cql_cut_string(rest, &s))
			return false;
		inner->has_names = true;
		break;
	case TYPE_TUPLE:
		break;
	default:
		return true;
	}
	if (!cql_cut_short(rest, &n) || n > TYPE_ELEMENTS_MAX)
		return false;
	inner->left = n;
	return true;
}

static bool skip_type(struct str *rest)
{
	struct type_level levels[TYPE_DEPTH_MAX] = { { .left = 1 } };
	size_t depth = 1;
	struct str name;
	uint16_t id;
	while (depth > 0) {
		struct type_level *at = &levels[depth - 1], inner;
		if (at->left == 0) {
			depth--;
			continue;
		}
		at->left--;
		if (at->has_names && !cql_cut_string(rest, &name))
			return false;
		if (!cql_cut_short(rest, &id) || !open_type(rest, id, &inner))
			return false;
		if (inner.left == 0)
			continue;
		if (depth == TYPE_DEPTH_MAX)
			return false;
		levels[depth++] = inner;
	}
	return true;
}

static bool skip_column_specs(struct str *rest, size_t count, bool has_global_spec)
{
	struct str s;
	if (has_global_spec && (!cql_cut_string(rest, &s) || !cql_cut_string(rest, &s)))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!has_global_spec && (!cql_cut_string(rest, &s) || !cql_cut_string(rest, &s)))
			return false;
		if (!cql_cut_string(rest, &s) || !skip_type(rest))
			return false;
	}
	return true;
}

bool cql_rows_parse(struct str body, struct cql_rows *out)
{
	int32_t flags, columns, rows;
	struct cql_value state = { 0 };
	if (!cql_cut_int(&body, &flags) || !cql_cut_int(&body, &columns))
		return false;
	if (columns < 0 || columns > CQL_COLUMNS_MAX)
		return false;
	if ((flags & ROWS_MORE_PAGES) && !cql_cut_value(&body, &state))
		return false;
	if (!(flags & ROWS_NO_METADATA) &&
		!skip_column_specs(&body, (size_t)columns, (flags & ROWS_GLOBAL_SPEC) != 0))
		return false;
	if (!cql_cut_int(&body, &rows) || rows < 0)
		return false;
	*out = (struct cql_rows){ .column_count = (size_t)columns,
		.page_state = state.bytes,
		.left = (uint32_t)rows,
		.rest = body };
	/* Each value has its length: more rows than bytes cannot be, but rows without columns could. */
	return columns > 0 ? (uint32_t)rows <= body.n / 4 / (size_t)columns : rows == 0;
}

bool cql_rows_next(struct cql_rows *rows, struct cql_value *columns)
{
	ASSERT(rows->left > 0);
	for (size_t i = 0; i < rows->column_count; i++)
		if (!cql_cut_value(&rows->rest, &columns[i]))
			return false;
	rows->left--;
	return true;
}

bool cql_prepared_parse(struct str body, struct cql_prepared *out)
{
	int32_t flags, values, keys;
	if (!cql_cut_string(&body, &out->id) || out->id.n == 0 || !cql_cut_int(&body, &flags) ||
		!cql_cut_int(&body, &values) || !cql_cut_int(&body, &keys))
		return false;
	if (values < 0 || values > UINT16_MAX || keys < 0 || keys > values)
		return false;
	out->value_count = (size_t)values;
	out->key_count = keys <= CQL_KEY_PARTS_MAX ? (size_t)keys : 0;
	for (size_t i = 0; i < out->key_count; i++)
		if (!cql_cut_short(&body, &out->key[i]) || out->key[i] >= values)
			return false;
	return true;
}

/* ---- events, §4.2.6 ---- */

bool cql_event_parse(struct str body, struct cql_event *out)
{
	struct str kind, target;
	*out = (struct cql_event){ .keyspace = STR("") };
	if (!cql_cut_string(&body, &kind) || !cql_cut_string(&body, &out->change))
		return false;
	if (str_eq(kind, STR("SCHEMA_CHANGE"))) {
		out->kind = CQL_EVENT_SCHEMA;
		return cql_cut_string(&body, &target) && cql_cut_string(&body, &out->keyspace);
	}
	if (str_eq(kind, STR("TOPOLOGY_CHANGE")))
		out->kind = CQL_EVENT_TOPOLOGY;
	else if (str_eq(kind, STR("STATUS_CHANGE")))
		out->kind = CQL_EVENT_STATUS;
	else
		return false;
	return cql_cut_inet(&body, &out->address);
}
