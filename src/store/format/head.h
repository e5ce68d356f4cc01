/* SPDX-License-Identifier: Apache-2.0 */
/* store/format/head.h - values of a user's heads (docs/formats/rows.md).
 *
 * writer head   key "open/<8 hex digits of the writer>", scope mailbox: is the mailbox being
 *               written, or was it closed cleanly, and with which totals and cover? In the zero scope it
 *               stands while somebody may be changing the tree.
 * bucket head   key "bucket", scope mailbox: the bucket that appends go to.
 * root head     key "root", scope zero: a snapshot of the tree, with the cover after which tree ops
 *               count. It exists from the moment the user exists. Its lists stand in it as they are, or
 *               compressed, or in an object that it names.
 * generation    key "generation", scope zero: of a name whose user was deleted, for ever; what the next
 *               user of that name must not repeat. */
#pragma once

#include "base/base.h"
#include "catalog/catalog.h"
#include "store/format/row.h"

#define HEAD_VERSION    1
#define HEAD_LATE       2 /* version of a writer head with late_ms */
#define HEAD_ROOT_FORM  2 /* version of a root head that says where its lists are */
#define HEAD_ROOT_KEY   STR("root")
#define HEAD_BUCKET     STR("bucket")
#define HEAD_GENERATION STR("generation")
#define HEAD_OPEN       "open/"
#define HEAD_OPEN_SIZE  (sizeof(HEAD_OPEN) + 8)

struct head_counters {
	uint32_t messages, unseen, deleted, recent;
	uint64_t bytes_virtual;
};
struct head_writer {
	bool is_open;
	bool may_lose_flags; /* the writer's journal was not `sync` */
	uint32_t next_uid;
	uint32_t limit_uid;  /* he gives no UID from here on before this head says more */
	uint32_t recent_uid; /* mails up to it were claimed as recent */
	uint64_t modseq;
	struct head_counters counters; /* exact when closed */
	struct catalog_name cover;
	uint64_t host; /* hash_stable() of its name: who has its lock knows that he is dead */
	/* Rows of somebody whose head was ended, and who may live, come until then (wall clock); 0: of
	 * nobody. */
	uint64_t late_ms;
};
/* As a part of a head's value. */
void head_counters_encode(struct buf *out, const struct head_counters *counters);
bool head_counters_cut(struct str *rest, struct head_counters *out);
/* Writes the key of a writer head, zero-terminated. */
struct str head_writer_key(uint32_t writer, char key[HEAD_OPEN_SIZE]);
bool head_is_writer_key(struct str key, uint32_t *out_writer);
void head_writer_encode(struct buf *out, const struct head_writer *head);
enum err head_writer_decode(struct str value, struct head_writer *out);
void head_bucket_encode(struct buf *out, uint32_t bucket);
enum err head_bucket_decode(struct str value, uint32_t *out);

struct head_generation {
	uint64_t generation; /* of the next user of this name */
	uint32_t last_uid_validity;
	bool is_deleting; /* the deletion has begun and not ended: nobody opens him */
};
void head_generation_encode(struct buf *out, const struct head_generation *head);
enum err head_generation_decode(struct str value, struct head_generation *out);

struct head_mailbox {
	struct row_id guid;
	struct str name;
	struct str special_use;
	uint32_t uid_validity;
	uint64_t stamp; /* of the op that gave it its name */
	bool is_removed;
};
struct head_subscription {
	struct str name;
	uint64_t stamp;
	bool is_on;
};
/* Where the lists are: as they are, as a frame (objects/frame.h), or as such a frame in an object. */
enum head_root_form { HEAD_ROOT_PLAIN = 0, HEAD_ROOT_PACKED = 1, HEAD_ROOT_OBJECT = 2 };
#define HEAD_ROOT_BYTES_MAX ((size_t)64 << 20) /* of the lists, unpacked */
struct head_root {
	uint64_t generation; /* of the user */
	uint32_t last_uid_validity;
	struct catalog_name cover;
	size_t mailbox_count, subscription_count;
	enum head_root_form form;
	uint64_t plain_bytes; /* of the lists; not of the plain form */
	struct row_id object; /* all zero: there is none */
	uint64_t bytes, hash; /* of the object's file: hash_stable() */
	struct str
		rest; /* head_root_next_*(): first all mailboxes, then all subscriptions; or the frame */
};
/* The caller then appends mailbox_count and subscription_count entries, or the frame. */
void head_root_encode(struct buf *out, const struct head_root *head);
void head_root_encode_mailbox(struct buf *out, const struct head_mailbox *m);
void head_root_encode_subscription(struct buf *out, const struct head_subscription *s);
enum err head_root_decode(struct str value, struct head_root *out);
/* The lists of a head of another form, unpacked: they are checked, and head_root_next_*() go over them. */
enum err head_root_take_lists(struct head_root *head, struct str lists);
bool head_root_next_mailbox(struct str *rest, struct head_mailbox *out);
bool head_root_next_subscription(struct str *rest, struct head_subscription *out);
