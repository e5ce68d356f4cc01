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

/* Reads "16"; an empty text is the usual number. */
enum err catalog_shards_parse(struct op *op, struct str text, uint32_t *out);
