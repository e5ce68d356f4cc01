/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/cql_tables.c - the tables of the catalog in Cassandra, as data: what `doveadm dictmap init`
 * makes, and what it expects of tables that are there. Reasons: docs/formats/catalog.md.
 * To change one: a new version in schema.h, and what becomes of the old one. */
#include "catalog/cql_private.h"

/* gc_grace: ten days within which `nodetool repair` must run (docs/howto/cassandra.md); entries of the
 * queue that come back are harmless. */
#define TEN_DAYS    " AND gc_grace_seconds = 864000"
#define THREE_HOURS " AND gc_grace_seconds = 10800"
#define LEVELED     "compaction = {'class': 'LeveledCompactionStrategy'}"
#define SIZE_TIERED "compaction = {'class': 'SizeTieredCompactionStrategy'}"
/* Most of what a queue's table has is dead: one alone is rewritten for that. */
#define QUEUE                                                                                      \
	"compaction = {'class': 'SizeTieredCompactionStrategy', 'tombstone_threshold': '0.1',"     \
	" 'tombstone_compaction_interval': '3600', 'unchecked_tombstone_compaction': 'true'}"

#define PARTITION(name, type)                                                                      \
	{                                                                                          \
		name, type, "partition_key"                                                        \
	}
#define CLUSTERING(name, type)                                                                     \
	{                                                                                          \
		name, type, "clustering"                                                           \
	}
#define REGULAR(name, type)                                                                        \
	{                                                                                          \
		name, type, "regular"                                                              \
	}

const struct catalog_cql_table catalog_cql_tables[] = {
	{ "user_heads", "PRIMARY KEY (user, mailbox, key)", LEVELED TEN_DAYS,
		{ PARTITION("user", "text"), CLUSTERING("mailbox", "blob"),
			CLUSTERING("key", "text"), REGULAR("value", "blob") } },
	{ "user_mailbox_rows", "PRIMARY KEY ((user, mailbox, bucket), kind, name)",
		SIZE_TIERED TEN_DAYS,
		{ PARTITION("user", "text"), PARTITION("mailbox", "blob"),
			PARTITION("bucket", "int"), CLUSTERING("kind", "int"),
			CLUSTERING("name", "blob"), REGULAR("value", "blob"),
			REGULAR("fading", "blob") } },
	{ "user_mailbox_reverse", "PRIMARY KEY ((user, part), object, mailbox, name)",
		SIZE_TIERED TEN_DAYS,
		{ PARTITION("user", "text"), PARTITION("part", "int"), CLUSTERING("object", "text"),
			CLUSTERING("mailbox", "blob"), CLUSTERING("name", "blob"),
			REGULAR("bucket", "int") } },
	{ "user_fts_objects", "PRIMARY KEY (user, name)", LEVELED TEN_DAYS,
		{ PARTITION("user", "text"), CLUSTERING("name", "text"),
			REGULAR("value", "blob") } },
	{ "gc_queue", "PRIMARY KEY ((prefix, shard, hour), queued, user, object)",
		QUEUE THREE_HOURS,
		{ PARTITION("prefix", "text"), PARTITION("shard", "int"), PARTITION("hour", "int"),
			CLUSTERING("queued", "blob"), CLUSTERING("user", "text"),
			CLUSTERING("object", "text"), REGULAR("value", "blob") } },
	{ "gc_hours", "PRIMARY KEY ((prefix, shard), hour)", LEVELED TEN_DAYS,
		{ PARTITION("prefix", "text"), PARTITION("shard", "int"),
			CLUSTERING("hour", "int") } },
	{ "meta", "PRIMARY KEY (key)", LEVELED TEN_DAYS,
		{ PARTITION("key", "text"), REGULAR("value", "text") } },
	{ NULL, NULL, NULL, { { NULL, NULL, NULL } } },
};
