/* SPDX-License-Identifier: Apache-2.0 */
/* objects/s3_answer.h - what S3 servers answer with: errors, listings, results of multi-deletes and
 * uploads. Pure functions over bytes from a server that may be broken or hostile.
 *
 * Memory:  results are in op's arena.
 * Spec:    sheet storage §9.2; AWS's public API reference. */
#pragma once

#include "base/base.h"

/* <Error>: members that are missing are "". */
struct s3_error {
	struct str code, message;
	struct str region, endpoint; /* where the bucket is in fact */
	struct str request_id;
};
/* False: the body is no S3 error (an empty one, a proxy's page). */
bool s3_error_read(struct op *op, struct str body, struct s3_error *out);

struct s3_listed {
	struct str key;
	uint64_t size_bytes;
	int64_t wall_us;
};
struct s3_page {
	struct s3_listed *items;
	size_t count;
	bool is_truncated;
	struct str next; /* continuation token; "" at the end */
};
/* ListObjectsV2 with encoding-type=url. ERR_CORRUPT. */
enum err s3_page_read(struct op *op, struct str body, struct s3_page *out);

struct s3_refused {
	struct str key, code, message;
};
/* DeleteResult: the keys that were not deleted. ERR_CORRUPT; ERR_UNAVAILABLE: an <Error> of the whole. */
enum err s3_refused_read(
	struct op *op, struct str body, struct s3_refused **out, size_t *out_count);

/* InitiateMultipartUploadResult. */
enum err s3_upload_id_read(struct op *op, struct str body, struct str *out);
/* Answers that come with status 200 before it is known how things end (complete, copy): ERR_NONE when
 * the body is `root` and no <Error>; ERR_UNAVAILABLE: it is, with *error. */
enum err s3_outcome_read(struct op *op, struct str body, struct str root, struct s3_error *error);
