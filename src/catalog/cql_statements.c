/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/cql_statements.c - every statement that the catalog in Cassandra runs.
 *
 * All are prepared and have no text of users in them. Each write names its stamp, so that it may be
 * repeated by anybody at any time with the same result; none reads before it writes.
 * To add one: a name in enum catalog_cql_text, a row here. */
#include "catalog/cql_private.h"

#define ROW_KEY     "user = ? AND mailbox = ? AND bucket = ?"
#define QUEUE_KEY   "prefix = ? AND shard = ? AND hour = ?"
#define QUEUE_PLACE "(queued, user, object)"

const struct catalog_cql_text_row catalog_cql_texts[CATALOG_CQL_TEXT_COUNT] = {
	[CATALOG_CQL_PUT_ROW] = { CQL_WRITE, "put_row",
		"INSERT INTO user_mailbox_rows (user, mailbox, bucket, kind, name, value)"
		" VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?" },
	[CATALOG_CQL_PUT_FADING] = { CQL_WRITE, "put_fading",
		"UPDATE user_mailbox_rows USING TIMESTAMP ? AND TTL " CATALOG_CQL_FADING_SECONDS
		" SET fading = ? WHERE " ROW_KEY " AND kind = ? AND name = ?" },
	[CATALOG_CQL_DELETE_ROW] = { CQL_DELETE, "delete_row",
		"DELETE FROM user_mailbox_rows USING TIMESTAMP ? WHERE " ROW_KEY
		" AND kind = ? AND name = ?" },
	[CATALOG_CQL_DELETE_OPS] = { CQL_DELETE, "delete_ops",
		"DELETE FROM user_mailbox_rows USING TIMESTAMP ? WHERE " ROW_KEY
		" AND kind = ? AND name < ?" },
	[CATALOG_CQL_DELETE_BUCKET] = { CQL_DELETE, "delete_bucket",
		"DELETE FROM user_mailbox_rows USING TIMESTAMP ? WHERE " ROW_KEY },
	[CATALOG_CQL_PUT_HEAD] = { CQL_WRITE, "put_head",
		"INSERT INTO user_heads (user, mailbox, key, value)"
		" VALUES (?, ?, ?, ?) USING TIMESTAMP ?" },
	[CATALOG_CQL_DELETE_HEAD] = { CQL_DELETE, "delete_head",
		"DELETE FROM user_heads USING TIMESTAMP ?"
		" WHERE user = ? AND mailbox = ? AND key = ?" },
	[CATALOG_CQL_PUT_REVERSE] = { CQL_WRITE, "put_reverse",
		"INSERT INTO user_mailbox_reverse (user, part, object, mailbox, name, bucket)"
		" VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?" },
	[CATALOG_CQL_DELETE_REVERSE] = { CQL_DELETE, "delete_reverse",
		"DELETE FROM user_mailbox_reverse USING TIMESTAMP ?"
		" WHERE user = ? AND part = ? AND object = ? AND mailbox = ? AND name = ?" },
	[CATALOG_CQL_PUT_GARBAGE] = { CQL_WRITE, "put_garbage",
		"INSERT INTO gc_queue (prefix, shard, hour, queued, user, object, value)"
		" VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?" },
	[CATALOG_CQL_DELETE_GARBAGE] = { CQL_DELETE, "delete_garbage",
		"DELETE FROM gc_queue USING TIMESTAMP ? WHERE " QUEUE_KEY
		" AND queued = ? AND user = ? AND object = ?" },
	[CATALOG_CQL_PUT_HOUR] = { CQL_WRITE, "put_hour",
		"INSERT INTO gc_hours (prefix, shard, hour) VALUES (?, ?, ?) USING TIMESTAMP ?" },
	[CATALOG_CQL_DELETE_HOUR] = { CQL_DELETE, "delete_hour",
		"DELETE FROM gc_hours USING TIMESTAMP ?"
		" WHERE prefix = ? AND shard = ? AND hour = ?" },
	[CATALOG_CQL_READ_HEADS] = { CQL_READ, "read_heads",
		"SELECT mailbox, key, value, writetime(value) FROM user_heads WHERE user = ?" },
	[CATALOG_CQL_READ_ROWS] = { CQL_READ, "read_rows",
		"SELECT name, value, fading FROM user_mailbox_rows WHERE " ROW_KEY
		" AND kind = ? AND name > ? LIMIT ?" },
	[CATALOG_CQL_READ_KNOWN] = { CQL_READ, "read_known",
		"SELECT name, value FROM user_mailbox_rows WHERE " ROW_KEY
		" AND kind = ? AND name > ? AND name <= ? LIMIT ?" },
	[CATALOG_CQL_READ_BOTH] = { CQL_READ, "read_both",
		"SELECT name, value, fading, kind FROM user_mailbox_rows WHERE " ROW_KEY
		" AND kind IN (1, 2) AND name > ? LIMIT ?" },
	[CATALOG_CQL_HAS_ROW] = { CQL_QUORUM, "has_row",
		"SELECT name FROM user_mailbox_rows WHERE " ROW_KEY " AND kind = ? AND name = ?" },
	[CATALOG_CQL_COUNT_REVERSE] = { CQL_QUORUM, "count_reverse",
		"SELECT name FROM user_mailbox_reverse"
		" WHERE user = ? AND part = ? AND object = ? LIMIT ?" },
	[CATALOG_CQL_HAVE_ROWS] = { CQL_QUORUM, "have_rows",
		"SELECT name FROM user_mailbox_rows WHERE " ROW_KEY " AND kind = 1 AND name IN ?" },
	[CATALOG_CQL_HAVE_REVERSE] = { CQL_QUORUM, "have_reverse",
		"SELECT object FROM user_mailbox_reverse"
		" WHERE user = ? AND part = ? AND object IN ? GROUP BY object" },
	[CATALOG_CQL_READ_HOURS] = { CQL_QUORUM, "read_hours",
		"SELECT hour FROM gc_hours WHERE prefix = ? AND shard = ?" },
	[CATALOG_CQL_READ_GARBAGE] = { CQL_QUORUM, "read_garbage",
		"SELECT queued, user, object, value FROM gc_queue WHERE " QUEUE_KEY
		" AND " QUEUE_PLACE " >= (?, ?, ?) LIMIT ?" },
	[CATALOG_CQL_LIST_USERS] = { CQL_READ, "list_users",
		"SELECT DISTINCT user, token(user) FROM user_heads WHERE token(user) > ? LIMIT ?" },
	[CATALOG_CQL_READ_META] = { CQL_READ, "read_meta", "SELECT key, value FROM meta" },
	[CATALOG_CQL_CLOCK] = { CQL_READ, "clock", "SELECT toTimestamp(now()) FROM system.local" },
};
