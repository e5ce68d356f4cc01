/* SPDX-License-Identifier: Apache-2.0 */
/* objects/s3_sign.h - signatures of S3 requests: version 4, and version 2 for old servers.
 *
 * Rules:  pure functions of a request's form, the keys and the time; no I/O, no limits but memory.
 * Cost:   version 4: two SHA-256 of some hundred bytes and one HMAC; the key of the day is kept.
 * Spec:   sheet storage 9.2; the public description of AWS Signature Version 4 and 2. */
#pragma once

#include "base/base.h"
#include "http/http.h"

#define S3_SIGN_HEADERS_MAX 40
#define S3_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"

/* What is signed of a request. */
struct s3_form {
	struct str method;
	struct str path;   /* encoded, as it is sent: "/bucket/a%20key" */
	struct str query;  /* encoded, names in order: "list-type=2&prefix=a%2F"; "" for none */
	struct str bucket; /* V2 alone: put before the path, where the host holds it */
	/* Names in lower case, each once. V4 signs all of them, and "host" must be among them; V2 takes
	 * content-md5, content-type, date and x-amz-*. */
	const struct http_header *headers;
	size_t header_count; /* at most S3_SIGN_HEADERS_MAX */
	struct str payload;  /* V4: hash of the body in hex, or UNSIGNED-PAYLOAD */
};
struct aws_keys;

/* The key that V4 derives from a secret for one day, region and service. Zeroed: none yet. */
struct s3_day_key {
	char date[8];
	uint64_t generation; /* of the keys it was made of */
	uint8_t bytes[32];
};

/* "20130524T000000Z". Zero-terminated. */
#define S3_STAMP_BYTES 17
void s3_stamp(int64_t wall_us, char out[S3_STAMP_BYTES]);
/* Appends the value of the header "authorization". `stamp` is that of the header x-amz-date. */
void s3_sign_v4(const struct s3_form *form, const struct aws_keys *keys, struct str region,
	struct str stamp, struct s3_day_key *day, struct buf *out);
void s3_sign_v2(const struct s3_form *form, const struct aws_keys *keys, struct buf *out);
