/* SPDX-License-Identifier: Apache-2.0 */
/* objects/s3_private.h - what the files of the S3 driver share.
 *
 * s3.c        life, put, get, delete, stat      s3_many.c    multi-deletes, listings
 * s3_place.c  settings; URL -> place            s3_upload.c  multipart uploads, copies
 * s3_call.c   one signed request; failures      s3_answer.c, s3_sign.c  pure: answers, signatures
 * s3_hash.c   digests of bodies */
#pragma once

#include "base/hash.h"
#include "http/http.h"
#include "objects/aws_keys.h"
#include "objects/objects_private.h"
#include "objects/remote.h"
#include "objects/s3_answer.h"
#include "objects/s3_sign.h"

#define S3_ANSWER_MAX ((size_t)8 << 20) /* of what is not an object's content */
#define S3_BODY_MAX   ((size_t)1 << 30) /* of an object that is read */

/* ---- settings and place ---- */

enum s3_hashing { S3_HASH_AUTO, S3_HASH_ALWAYS, S3_HASH_NEVER };

/* From the configuration or from a text's URL; borrowed. */
struct s3_settings {
	struct str url, bucket, region;
	struct aws_source_settings keys;
	uint64_t bulk_delete_limit; /* 0: no multi-deletes */
	uint64_t multipart_bytes;   /* 0: never */
	enum s3_hashing hashing;
	bool refuses_overwrite;
	struct str ca_file; /* of a stack's text */
};

/* Where objects are. */
struct s3_place {
	bool is_tls;
	struct str origin;     /* "https://host:port" */
	struct str authority;  /* "host:port", as in the Host header */
	struct str root;       /* path of the bucket, encoded: "/" or "/bucket" */
	struct str bucket;     /* its name */
	bool is_path_style;    /* the bucket stands in the path */
	struct str key_prefix; /* before every key, plain: "" or "some/where/" */
	struct str region;     /* "": signatures of version 2 */
};

/* Of a block with this driver; settings of fs_s3 count for aws-s3 too. In op's arena. ERR_INVALID names
 * the setting. */
enum err s3_settings_of(struct op *op, const struct config_scope *scope,
	const struct objects_driver *driver, struct s3_settings *out);
/* "http://key:secret@127.0.0.1:9000/bucket/prefix?region=r": the form of a stack's text. Always path style;
 * parameters: region (us-east-1; empty: old signatures), auth_role, auth_host, bulk_delete_limit,
 * multipart_size, ca (a file). */
enum err s3_settings_parse(struct op *op, struct str text, struct s3_settings *out);
/* Texts in `arena`. */
enum err s3_place_parse(struct op *op, struct arena *arena, const struct s3_settings *settings,
	struct s3_place *out);

/* ---- the store ---- */

struct s3_store {
	struct objects base; /* first */
	/* owned */
	struct arena arena; /* of the place */
	struct s3_place place;
	struct http_client *http;
	struct aws_source *keys;
	struct s3_day_key day;
	uint64_t bulk_delete_limit; /* 0: off, also when the server turned out not to know it */
	uint64_t multipart_bytes;
	bool hashes_payload;
	bool refuses_overwrite; /* off when the server turned out not to know If-None-Match */
	int64_t skew_us;        /* the server's clock is so far ahead of ours */
};

static inline struct s3_store *s3_store(struct objects *o)
{
	return CONTAINER_OF(o, struct s3_store, base);
}

/* ---- one request ---- */

#define S3_CALL_HEADERS_MAX 28

struct s3_call {
	struct str method;
	struct str key;                                  /* STR_NONE: of the bucket itself */
	struct str query;                                /* encoded, names in order; "" for none */
	struct http_header headers[S3_CALL_HEADERS_MAX]; /* names in lower case */
	size_t header_count;
	const struct str *parts;
	size_t part_count;
	struct str payload; /* the body's hash, if the caller knows it; filled in by s3_call() */
	size_t answer_max;
	bool is_repeatable;
	bool retries_conflict; /* 409 goes away by itself */
};

/* Empty values are passed over; more headers than there is room for abort. */
void s3_call_header(struct s3_call *call, struct str name, struct str value);
/* WAITS. Signs, sends, and does it again when the signature was refused for a reason that is known by
 * then: the clock, keys that have ended. Any status is ERR_NONE, but a success for an object that no S3 server
 * told is ERR_UNAVAILABLE. */
enum err s3_call(struct op *op, struct s3_store *s, struct s3_call *call, struct http_answer *out);
/* The failure that an answer with an unwelcome status is: ERR_NOT_FOUND for an object that is not
 * there, else ERR_UNAVAILABLE with what the operator can do. */
enum err s3_refusal(struct op *op, const struct s3_store *s, const struct s3_call *call,
	const struct http_answer *answer);
/* The same for an error that came in a body with status 200. */
enum err s3_refusal_of(struct op *op, const struct s3_store *s, const struct s3_call *call,
	unsigned status, const struct s3_error *error);
/* "/bucket/prefix/key" as in a request line, encoded. */
struct str s3_path(struct arena *arena, const struct s3_store *s, struct str key);

/* ---- metadata ---- */

#define S3_META_PREFIX "x-amz-meta-dovecot-"
#define S3_META_CRC    "x-amz-meta-pombal-crc32c"

uint32_t s3_crc(const struct str *parts, size_t part_count);
/* WAIT for a big body. SHA-256 in hex; the value of Content-MD5. In op's arena. */
struct str s3_payload_hash(struct op *op, const struct str *parts, size_t part_count);
struct str s3_content_md5(struct op *op, const struct str *parts, size_t part_count);
/* The headers of a new object: content type, metadata, our checksum. */
void s3_call_describe(
	struct op *op, struct s3_call *call, const struct object_put *put, uint32_t crc);
/* WAITS. HEAD. */
enum err s3_head(struct op *op, struct s3_store *s, struct str key, struct http_answer *out);
/* WAITS. After a refused put that may have been our own: is what is there what we put? */
enum err s3_compare(struct op *op, struct s3_store *s, struct str key, uint64_t size, uint32_t crc);

/* ---- s3_upload.c, s3_many.c ---- */

/* WAITS. put of a body above multipart_bytes. */
enum err s3_upload(struct op *op, struct s3_store *s, const struct object_put *put, uint64_t size,
	uint32_t crc);
enum err s3_copy(struct op *op, struct objects *o, struct str from, struct str to);
enum err s3_remove(struct op *op, struct objects *o, struct str key);
enum err s3_remove_many(struct op *op, struct objects *o, const struct str *keys, size_t count);
enum err s3_iter(
	struct op *op, struct objects *o, struct str prefix, objects_iter_fn *fn, void *arg);
