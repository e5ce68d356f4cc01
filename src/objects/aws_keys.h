/* SPDX-License-Identifier: Apache-2.0 */
/* objects/aws_keys.h - where requests to S3 get their keys from.
 *
 * Sources, the first that is set counts:
 *   fixed        access key and secret of the configuration
 *   metadata     the role of an EC2 instance, by its metadata service (IMDSv2 alone)
 *   container    the role of an ECS task or EKS pod, by its agent
 *   identity     a token in a file, exchanged at the token service for the keys of a role
 * Keys of the last three end. One background task fetches them (whoever needs keys meanwhile waits for
 * it, nobody asks twice), again at three quarters of their life, after a failure each minute; the old
 * ones are used until they end.
 *
 * Life:   aws_source_open() -> aws_source_keys() before each signature -> aws_source_close().
 * Rules:  a source belongs to one loop. Keys and tokens are never logged.
 * Spec:   sheet storage §9.2 (IAM); AWS's public descriptions of IMDSv2, AssumeRoleWithWebIdentity and
 *         the container credentials endpoint. */
#pragma once

#include "base/base.h"
#include "http/http.h"

struct aws_keys {
	struct str access_key, secret;
	struct str token;    /* "": these keys need none */
	uint64_t generation; /* other keys, other number */
};

struct aws_source_settings {
	struct str access_key, secret;
	struct str role;      /* metadata: "" for none */
	struct str role_host; /* "169.254.169.254:80" */
	struct str container_url, container_token_file;
	struct str identity_role, identity_token_file;
	struct str identity_url; /* of the token service */
	/* Of all requests that get keys; its timeouts and attempts are set from the next two. */
	struct http_settings http;
	int64_t timeout_us;
	unsigned attempts_max;
};

/* What metadata and token services answer with. */
struct aws_fetched {
	struct aws_keys keys; /* in op's arena */
	int64_t ends_wall_us; /* 0: never */
};

struct aws_source;

/* Copies the settings; asks nobody yet. ERR_INVALID: no source is set, or half of one. */
enum err aws_source_open(
	struct op *op, const struct aws_source_settings *settings, struct aws_source **out);
/* Requests of keys that are under way are given up. NULL is fine. */
void aws_source_close(struct aws_source *s);
/* WAITS when there are no keys yet, or none that still count. In op's arena. ERR_UNAVAILABLE: why there
 * are none. */
enum err aws_source_keys(struct op *op, struct aws_source *s, struct aws_keys *out);
/* The store does not take these keys any more. True: the next aws_source_keys() has others or fails; false: there
 * can be no others, or these have just come and others would fare no better. */
bool aws_source_refuse(struct aws_source *s, uint64_t generation);

/* ---- the answers, pure ---- */

#define AWS_ANSWER_MAX (64 << 10)

/* Of the metadata service and the container agent (JSON). ERR_CORRUPT: not what they answer with;
 * ERR_UNAVAILABLE: they say that they have none, and why. */
enum err aws_json_read(struct op *op, struct str body, struct aws_fetched *out);
/* Of the token service (XML). The same. */
enum err aws_xml_read(struct op *op, struct str body, struct aws_fetched *out);
