/* SPDX-License-Identifier: Apache-2.0 */
/* objects/azure_private.h - the Azure Blob driver from inside: azure.c (requests), azure_put.c (uploads and
 * copies), azure_digest.c, azure_settings.c (where its settings come from), azure_keys.c (user-delegation keys). */
#pragma once

#include "http/http.h"
#include "objects/azure_sign.h"
#include "objects/objects_private.h"
#include "objects/remote.h"
#include "task/task.h"

enum azure_auth {
	AZURE_AUTH_USER_SAS, /* Entra gives a key for a while, which signs a SAS for each request */
	AZURE_AUTH_SHARED_KEY, /* the account's own key signs each request */
	AZURE_AUTH_SAS,        /* one SAS that somebody made */
};

struct azure_settings {
	struct str
		endpoint; /* "https://acc.blob.core.windows.net" or ".../account", no slash at the end */
	struct str account, container;
	struct str prefix; /* of every blob's name: "" or "x/y/" */
	enum azure_auth auth;
	struct str account_key; /* decoded; a secret */
	struct str sas_token;   /* a query without "?"; a secret */
	struct str login_url;   /* of Entra, no slash at the end */
	struct str tenant, client_id;
	struct str client_secret; /* a secret */
	uint64_t block_bytes;     /* a body above this is put in blocks of it */
	struct http_settings http;
};
/* From the configuration; from the text of objects_open_text() (README.md). In op's arena or borrowed from the
 * scope. ERR_INVALID names the setting. */
enum err azure_settings_read(
	struct op *op, const struct config_scope *scope, struct azure_settings *out);
enum err azure_settings_parse(struct op *op, struct str argument, struct azure_settings *out);

/* ---- user-delegation keys (azure_keys.c) ---- */

struct azure_keys {
	const struct azure_settings *settings; /* borrowed */
	struct http_client *http;              /* owned: says nothing of users to who gives keys */
	struct event *event;                   /* owned */
	struct arena arena;                    /* of `current` */
	struct azure_delegation current;
	bool has_current;
	int64_t fetched_wall_us;
	int64_t refresh_wall_us; /* from then on a new one is fetched beside the old */
	uint64_t fetches;        /* ended ones */
	int64_t failed_us;       /* monotonic: when the last one failed; 0: it did not */
	char failure[OP_FAILURE_TEXT_MAX];
	struct wait_queue waiters;
	struct task_handle fetcher;
};
/* `settings` are borrowed until azure_keys_done(), `http` for the call. */
enum err azure_keys_open(struct op *op, struct azure_keys *k, const struct azure_settings *settings,
	const struct http_settings *http);
void azure_keys_done(struct azure_keys *k); /* WAITS for a fetch under way, which is cancelled */
/* WAITS when there is no key that is still good. ERR_UNAVAILABLE: none is to be had. The key is borrowed until the next wait. */
enum err azure_keys_get(struct op *op, struct azure_keys *k, const struct azure_delegation **out);
/* The service refused what the key signed that was there when `fetches` was used_fetch. True: another one is there
 * or will be fetched, try again. False: it is too new for that to help. */
bool azure_keys_refuse(struct azure_keys *k, uint64_t used_fetch);

/* ---- requests (azure.c) ---- */

struct azure {
	struct objects base; /* first */
	struct arena arena;  /* owned; of the settings */
	struct azure_settings settings;
	struct http_client *http; /* owned */
	struct azure_keys keys;
};

/* One request to the service, without what authorizes it. */
struct azure_ask {
	const char *what; /* "azure PUT": for failures */
	struct str method;
	struct str key;         /* "": the container */
	struct str query;       /* without "?" and "&" at the ends; may be "" */
	struct str permissions; /* of a SAS */
	const struct http_header *headers;
	size_t header_count;
	const struct str *parts;
	size_t part_count;
	size_t answer_max;
	bool is_repeatable;
};
/* WAITS. Any status is ERR_NONE, but one that says the container is missing or that we may not is
 * ERR_UNAVAILABLE. */
enum err azure_request(
	struct op *op, struct azure *a, const struct azure_ask *ask, struct http_answer *answer);
/* Adds the URL of a blob and what lets others read it: the source of a copy. WAITS like azure_keys_get(). */
enum err azure_source_url(struct op *op, struct azure *a, struct str key, struct buf *out);
/* The service's own word for a failure: "BlobNotFound"; may be empty. */
struct str azure_error_code(struct op *op, const struct http_answer *answer);
/* Fails with the class that the status and the service's word have. */
enum err azure_fail(struct op *op, const struct azure_ask *ask, const struct http_answer *answer);
/* WAITS. HEAD. ERR_NOT_FOUND. */
enum err azure_head(struct op *op, struct azure *a, struct str key, struct http_answer *answer);

/* WAITS for a big body. base64(MD5) of the parts, in op's arena. */
enum err azure_digest(struct op *op, const struct str *parts, size_t part_count, struct str *out);

/* ---- uploads and copies (azure_put.c) ---- */

enum err azure_put(struct op *op, struct objects *o, const struct object_put *put);
enum err azure_copy(struct op *op, struct objects *o, struct str from, struct str to);

static inline struct azure *azure_of(struct objects *o)
{
	return CONTAINER_OF(o, struct azure, base);
}
