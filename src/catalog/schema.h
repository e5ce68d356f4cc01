/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/schema.h - keyspace and tables of a catalog in Cassandra: made by the administrator
 * (doveadm dictmap init), never by the server.
 *
 * Rules:    making them again is harmless. What is there and differs is refused with what to do; nothing
 *           is ever dropped or altered.
 * Formats:  docs/formats/catalog.md. */
#pragma once

#include "base/base.h"

struct config_scope;

/* The tables' version; others are refused. */
#define CATALOG_SCHEMA_VERSION "1"

struct catalog_schema_wanted {
	/* "3" (SimpleStrategy), "dc1:3,dc2:3" (NetworkTopologyStrategy), or empty: that of an existing
	 * keyspace, else up to three copies in each data centre that the cluster has. */
	struct str replication;
	uint32_t shard_count; /* 0: that of an existing keyspace, else mail_shard_count */
	bool is_dry;          /* nothing is made; needs no cluster when `replication` is given */
};

/* WAITS. Makes what is missing. `scope` is where catalog_open() finds its settings (obox). `out` gets the
 * statements that were (or would be) run, each with ";" and the end of a line, and comments ("-- ...").
 * ERR_CONFLICT: something is there and differs. ERR_INVALID: arguments, settings, or no Cassandra is set.
 * ERR_UNAVAILABLE: no node can be reached. */
enum err catalog_schema_make(struct op *op, const struct config_scope *scope,
	const struct catalog_schema_wanted *wanted, struct buf *out);
/* WAITS. The same with the text of a driver: "127.0.0.1:9042,keyspace,4,". */
enum err catalog_schema_make_text(struct op *op, struct str argument,
	const struct catalog_schema_wanted *wanted, struct buf *out);
/* WAITS. Lines for an administrator: the keyspace, its tables and number of shards, the cluster's nodes,
 * how far this host's clock is from the cluster's. */
enum err catalog_schema_tell(struct op *op, const struct config_scope *scope, struct buf *out);
