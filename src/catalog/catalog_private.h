/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/catalog_private.h - what the drivers of this folder share. */
#pragma once

#include "catalog/catalog.h"

#define CATALOG_USER_MAX     255
#define CATALOG_KEY_MAX      255
#define CATALOG_OBJECT_MAX   512
#define CATALOG_SHARDS_MAX   1024
#define CATALOG_SHARDS_USUAL 16

extern const struct catalog_driver catalog_fault;
extern const struct catalog_driver catalog_mem;
extern const struct catalog_driver catalog_mem_loose; /* opened as "mem(4,loose)" */
extern const struct catalog_driver catalog_sqlite;
extern const struct catalog_driver catalog_in_cql;

struct config_scope;
/* The dict block that holds the catalog of the object stack in `scope`; NULL: there is none. */
const struct config_scope *catalog_dict_find(const struct config_scope *scope);
/* The block with the settings of the cluster behind a dict block: itself, or what `dict proxy` names in
 * dict_server. ERR_INVALID: there is none. ERR_UNSUPPORTED: it is no Cassandra. */
enum err catalog_dict_server(
	struct op *op, const struct config_scope *dict, const struct config_scope **out);

/* Reads "16"; an empty text is the usual number. */
enum err catalog_shards_parse(struct op *op, struct str text, uint32_t *out);

/* ERR_TIMEOUT once op's time is over. Before each group: a process that stood still for long between two of them
 * would write rows under names that no tail reaches any more. */
enum err catalog_check_time(struct op *op);

typedef enum err catalog_write_fn(struct op *op, struct catalog *c, struct str user,
	const struct catalog_change *changes, size_t count);
/* For drivers that stand before another one: passes a batch on as that one writes it, whole if it is atomic, else
 * group by group, from *durable on, until one fails. */
enum err catalog_write_groups(struct op *op, struct catalog *c, struct str user,
	const struct catalog_change *changes, size_t count, size_t *durable,
	catalog_write_fn *write_fn);

/* ---- checksums ---- */

/* What a value belongs to: its checksum covers it, so that bytes of another row are noticed. */
struct catalog_place {
	char table;      /* 'h'eads, 'r'ows, 'f'ading, 'g'arbage */
	struct str user; /* as in the driver's keys */
	struct catalog_guid mailbox;
	uint32_t bucket; /* of garbage in Cassandra: the shard */
	uint32_t kind;
	struct catalog_name name; /* of garbage: queued */
	struct str key;           /* of heads; of garbage: the object */
};
uint32_t catalog_checksum(const struct catalog_place *place, struct str value);

/* An entry of the queue beside its keys, as bytes: mailbox, bucket, name of the append row. */
#define CATALOG_GARBAGE_BYTES (CATALOG_GUID_BYTES + 4 + CATALOG_NAME_BYTES)
void catalog_garbage_encode(char out[CATALOG_GARBAGE_BYTES], const struct catalog_garbage *g);
bool catalog_garbage_decode(
	struct str value, struct catalog_garbage *out); /* false: not that long */
