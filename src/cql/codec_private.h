/* SPDX-License-Identifier: Apache-2.0 */
/* cql/codec_private.h - bytes of the CQL native protocol v4 <-> structs. Pure: no I/O, no clock.
 *
 * Frames:  9 bytes of header (version, flags, stream, opcode, length of the body), then the body.
 * Putting: cql_put_*() add to a buf without limit: who calls them bounds what goes in.
 * Parsing: cql_cut_*() take from the front of *rest; false when it is not there. All parsers are total,
 *          iterative, allocate nothing and return slices of what they were given.
 * Spec:    CQL binary protocol v4 (native_protocol_v4.spec); the numbers of sections below are its. */
#pragma once

#include "base/base.h"
#include "cql/cql.h"
#include "net/address.h"

#define CQL_PROTOCOL_VERSION 4
#define CQL_HEADER_BYTES     9
#define CQL_BODY_MAX         (256 << 20) /* §2: no frame may be longer */
#define CQL_COLUMNS_MAX      1024        /* of our own statements */
#define CQL_KEY_PARTS_MAX    16          /* columns of a partition key */
#define CQL_STREAM_EVENT     (-1)

enum cql_opcode {
	CQL_OP_ERROR = 0x00,
	CQL_OP_STARTUP = 0x01,
	CQL_OP_READY = 0x02,
	CQL_OP_AUTHENTICATE = 0x03,
	CQL_OP_OPTIONS = 0x05,
	CQL_OP_SUPPORTED = 0x06,
	CQL_OP_QUERY = 0x07,
	CQL_OP_RESULT = 0x08,
	CQL_OP_PREPARE = 0x09,
	CQL_OP_EXECUTE = 0x0a,
	CQL_OP_REGISTER = 0x0b,
	CQL_OP_EVENT = 0x0c,
	CQL_OP_BATCH = 0x0d,
	CQL_OP_AUTH_CHALLENGE = 0x0e,
	CQL_OP_AUTH_RESPONSE = 0x0f,
	CQL_OP_AUTH_SUCCESS = 0x10,
};
enum cql_frame_flag {
	CQL_FRAME_COMPRESSED = 1,
	CQL_FRAME_TRACING = 2,
	CQL_FRAME_PAYLOAD = 4,
	CQL_FRAME_WARNING = 8,
};
enum cql_consistency {
	CQL_AT_ANY = 0,
	CQL_AT_ONE = 1,
	CQL_AT_TWO = 2,
	CQL_AT_THREE = 3,
	CQL_AT_QUORUM = 4,
	CQL_AT_ALL = 5,
	CQL_AT_LOCAL_QUORUM = 6,
	CQL_AT_EACH_QUORUM = 7,
	CQL_AT_SERIAL = 8,
	CQL_AT_LOCAL_SERIAL = 9,
	CQL_AT_LOCAL_ONE = 10,
};
/* As written in settings: "local-quorum". "?" for numbers that are none. */
const char *cql_consistency_name(enum cql_consistency c);
bool cql_consistency_parse(struct str name, enum cql_consistency *out);

/* §9 */
enum cql_error_code {
	CQL_ERROR_SERVER = 0x0000,
	CQL_ERROR_PROTOCOL = 0x000a,
	CQL_ERROR_CREDENTIALS = 0x0100,
	CQL_ERROR_UNAVAILABLE = 0x1000,
	CQL_ERROR_OVERLOADED = 0x1001,
	CQL_ERROR_BOOTSTRAPPING = 0x1002,
	CQL_ERROR_TRUNCATE = 0x1003,
	CQL_ERROR_WRITE_TIMEOUT = 0x1100,
	CQL_ERROR_READ_TIMEOUT = 0x1200,
	CQL_ERROR_READ_FAILURE = 0x1300,
	CQL_ERROR_FUNCTION = 0x1400,
	CQL_ERROR_WRITE_FAILURE = 0x1500,
	CQL_ERROR_SYNTAX = 0x2000,
	CQL_ERROR_UNAUTHORIZED = 0x2100,
	CQL_ERROR_INVALID = 0x2200,
	CQL_ERROR_CONFIGURATION = 0x2300,
	CQL_ERROR_EXISTS = 0x2400,
	CQL_ERROR_UNPREPARED = 0x2500,
};

/* ---- notations, §3 ---- */

void cql_put_short(struct buf *b, uint16_t v);
void cql_put_int(struct buf *b, int32_t v);
void cql_put_long(struct buf *b, int64_t v);
void cql_put_string(struct buf *b, struct str s);      /* up to 65,535 bytes */
void cql_put_long_string(struct buf *b, struct str s); /* also [bytes] */
void cql_put_value(struct buf *b, const struct cql_value *v);

bool cql_cut_byte(struct str *rest, uint8_t *out);
bool cql_cut_short(struct str *rest, uint16_t *out);
bool cql_cut_int(struct str *rest, int32_t *out);
bool cql_cut_string(struct str *rest, struct str *out); /* also [short bytes] */
bool cql_cut_value(struct str *rest, struct cql_value *out);
/* §4.2.6: one byte of size (4 or 16), the address, a port. */
bool cql_cut_inet(struct str *rest, struct address *out);

/* ---- frames, §2 ---- */

struct cql_header {
	uint8_t version; /* without the bit of the direction */
	bool is_answer;
	uint8_t flags;
	int16_t stream;
	uint8_t opcode;
	uint32_t body_bytes;
};
/* False: less than CQL_HEADER_BYTES. Consumes nothing; any bytes give a header. */
bool cql_header_parse(struct str bytes, struct cql_header *out);
/* A request's header. */
void cql_header_put(
	struct buf *b, enum cql_opcode opcode, uint8_t flags, uint16_t stream, size_t body_bytes);
/* What comes before an answer's own body by the header's flags: tracing id, warnings, payload. *warning
 * is the first one ("" for none). */
bool cql_body_skip_extras(struct str *body, uint8_t flags, struct str *warning);

/* compress.c: bodies under LZ4: the length in 4 bytes, then a block. */
bool cql_lz4_compress(
	struct buf *out, struct str body); /* false, nothing added: it gains nothing */
/* False: damaged, or longer than `max` bytes. */
bool cql_lz4_expand(struct buf *out, struct str body, size_t max);

/* ---- bodies of requests, §4.1 ---- */

struct cql_parameters {
	enum cql_consistency consistency;
	const struct cql_value *values;
	size_t count;
	uint32_t page_size;    /* 0: all at once */
	struct str page_state; /* "": the first page */
	int64_t stamp_us;      /* INT64_MIN: none */
	bool wants_no_metadata;
};
void cql_put_startup(struct buf *b, bool has_lz4);
void cql_put_plain(struct buf *b, struct str user, struct str password); /* AUTH_RESPONSE */
void cql_put_register(struct buf *b);
void cql_put_query(struct buf *b, struct str text, const struct cql_parameters *p);
void cql_put_execute(struct buf *b, struct str id, const struct cql_parameters *p);
/* A batch: begin, `count` items, end. */
void cql_put_batch_begin(struct buf *b, bool is_logged, size_t count);
void cql_put_batch_item(struct buf *b, struct str id, const struct cql_value *values, size_t count);
void cql_put_batch_end(struct buf *b, enum cql_consistency consistency, int64_t stamp_us);

/* ---- bodies of answers, §4.2 ---- */

struct cql_error {
	enum cql_error_code code; /* may be a number that is not listed */
	struct str message;
	enum cql_consistency consistency; /* of the codes that have it; else CQL_AT_ANY */
	int32_t received, required;       /* answers of replicas; of unavailable: alive */
	int32_t failures;
	struct str write_type;    /* "" where there is none */
	struct str unprepared_id; /* of CQL_ERROR_UNPREPARED */
};
bool cql_error_parse(struct str body, struct cql_error *out);
const char *cql_error_name(enum cql_error_code code); /* "write_timeout"; "unknown" */

/* SUPPORTED: is `value` listed for `key`? False also for damaged bodies. */
bool cql_supported_has(struct str body, struct str key, struct str value);

enum cql_result_kind {
	CQL_RESULT_VOID = 1,
	CQL_RESULT_ROWS = 2,
	CQL_RESULT_KEYSPACE = 3,
	CQL_RESULT_PREPARED = 4,
	CQL_RESULT_SCHEMA = 5,
};
/* Takes the kind off a RESULT's body. */
bool cql_result_cut_kind(struct str *body, enum cql_result_kind *out);

struct cql_rows {
	size_t column_count;
	struct str page_state; /* "": that was the last page */
	uint32_t left;         /* rows not yet taken */
	struct str rest;
};
/* The body of a RESULT of kind rows, behind its kind. */
bool cql_rows_parse(struct str body, struct cql_rows *out);
/* Takes a row into columns[column_count]; false: damaged. Ask only while `left` > 0. */
bool cql_rows_next(struct cql_rows *rows, struct cql_value *columns);

struct cql_prepared {
	struct str id;
	size_t value_count;
	uint16_t key[CQL_KEY_PARTS_MAX]; /* which values make the partition key, in order */
	size_t key_count;                /* 0: not known */
};
bool cql_prepared_parse(struct str body, struct cql_prepared *out);

enum cql_event_kind { CQL_EVENT_TOPOLOGY, CQL_EVENT_STATUS, CQL_EVENT_SCHEMA };
struct cql_event {
	enum cql_event_kind kind;
	struct str change;      /* "NEW_NODE", "UP", "CREATED" ... */
	struct address address; /* not of schema events */
	struct str keyspace;    /* of schema events */
};
bool cql_event_parse(struct str body, struct cql_event *out);

/* Values of collections: set<text>, and map<text, text> as pairs. Start with the value's bytes; false at
 * the end or when damaged. The count in front is skipped by cql_cut_count(). */
bool cql_cut_count(struct str *rest, uint32_t *out);
bool cql_cut_element(struct str *rest, struct str *out);
