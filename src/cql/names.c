/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the protocol's numbers, and values as the protocol has them. */
#include "base/number.h"
#include "cql/codec_private.h"

static const char *const consistencies[] = {
	[CQL_AT_ANY] = "any",
	[CQL_AT_ONE] = "one",
	[CQL_AT_TWO] = "two",
	[CQL_AT_THREE] = "three",
	[CQL_AT_QUORUM] = "quorum",
	[CQL_AT_ALL] = "all",
	[CQL_AT_LOCAL_QUORUM] = "local-quorum",
	[CQL_AT_EACH_QUORUM] = "each-quorum",
	[CQL_AT_SERIAL] = "serial",
	[CQL_AT_LOCAL_SERIAL] = "local-serial",
	[CQL_AT_LOCAL_ONE] = "local-one",
};
static const struct {
	enum cql_error_code code;
	const char *name;
} errors[] = {
	{ CQL_ERROR_SERVER, "server_error" },
	{ CQL_ERROR_PROTOCOL, "protocol_error" },
	{ CQL_ERROR_CREDENTIALS, "bad_credentials" },
	{ CQL_ERROR_UNAVAILABLE, "unavailable" },
	{ CQL_ERROR_OVERLOADED, "overloaded" },
	{ CQL_ERROR_BOOTSTRAPPING, "is_bootstrapping" },
	{ CQL_ERROR_TRUNCATE, "truncate_error" },
	{ CQL_ERROR_WRITE_TIMEOUT, "write_timeout" },
	{ CQL_ERROR_READ_TIMEOUT, "read_timeout" },
	{ CQL_ERROR_READ_FAILURE, "read_failure" },
	{ CQL_ERROR_FUNCTION, "function_failure" },
	{ CQL_ERROR_WRITE_FAILURE, "write_failure" },
	{ CQL_ERROR_SYNTAX, "syntax_error" },
	{ CQL_ERROR_UNAUTHORIZED, "unauthorized" },
	{ CQL_ERROR_INVALID, "invalid" },
	{ CQL_ERROR_CONFIGURATION, "config_error" },
	{ CQL_ERROR_EXISTS, "already_exists" },
	{ CQL_ERROR_UNPREPARED, "unprepared" },
};

const char *cql_consistency_name(enum cql_consistency c)
{
	return (unsigned)c < ARRAY_COUNT(consistencies) ? consistencies[c] : "?";
}

bool cql_consistency_parse(struct str name, enum cql_consistency *out)
{
	for (unsigned i = 0; i < ARRAY_COUNT(consistencies); i++) {
		if (str_eq(name, str_from(consistencies[i]))) {
			*out = (enum cql_consistency)i;
			return true;
		}
	}
	return false;
}

const char *cql_error_name(enum cql_error_code code)
{
	for (size_t i = 0; i < ARRAY_COUNT(errors); i++)
		if (errors[i].code == code)
			return errors[i].name;
	return "unknown";
}

/* ---- values ---- */

struct cql_value cql_null(void)
{
	return (struct cql_value){ .is_null = true };
}

struct cql_value cql_text(struct str s)
{
	return (struct cql_value){ .bytes = s };
}

struct cql_value cql_blob(struct str s)
{
	return (struct cql_value){ .bytes = s };
}

static struct cql_value big_endian(struct arena *a, uint64_t v, size_t n)
{
	char *p = arena_alloc(a, n);
	for (size_t i = 0; i < n; i++)
		p[i] = (char)(v >> (8 * (n - 1 - i)) & 0xff);
	return (struct cql_value){ .bytes = { p, n } };
}

struct cql_value cql_int(struct arena *a, int32_t v)
{
	return big_endian(a, (uint32_t)v, sizeof(v));
}

struct cql_value cql_bigint(struct arena *a, int64_t v)
{
	return big_endian(a, (uint64_t)v, sizeof(v));
}

/* ---- columns ---- */

struct str cql_column(const struct cql_row *row, size_t i)
{
	return cql_column_is_null(row, i) ? STR("") : row->columns[i].bytes;
}

bool cql_column_is_null(const struct cql_row *row, size_t i)
{
	return i >= row->count || row->columns[i].is_null;
}

static bool has_size(const struct cql_row *row, size_t i, size_t n)
{
	return !cql_column_is_null(row, i) && row->columns[i].bytes.n == n;
}

bool cql_column_int(const struct cql_row *row, size_t i, int32_t *out)
{
	struct str rest = cql_column(row, i);
	return has_size(row, i, sizeof(*out)) && cql_cut_int(&rest, out);
}

bool cql_column_bigint(const struct cql_row *row, size_t i, int64_t *out)
{
	if (!has_size(row, i, sizeof(*out)))
		return false;
	*out = (int64_t)get_be64(row->columns[i].bytes.p);
	return true;
}
