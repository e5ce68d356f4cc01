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
