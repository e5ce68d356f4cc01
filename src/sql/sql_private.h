/* SPDX-License-Identifier: Apache-2.0 */
/* sql/sql_private.h - databases as drivers, for this folder alone. */
#pragma once

#include "sql/sql.h"

/* What a connection needs to know; owned copies, readable by any thread. */
struct sql_target {
	char *path;                           /* sqlite_path, made absolute */
	struct str journal_mode, synchronous; /* "": as the file has it */
	bool is_readonly;
	int64_t busy_timeout_us;
};

/* All functions run on offload threads; `op` is the job's own. */
struct sql_driver {
	const char *name; /* as in sql_driver */
	enum err (*connect)(struct op *op, const struct sql_target *target, void **out);
	enum err (*run)(struct op *op, void *connection, const struct sql_statement *statement,
		size_t row_max, struct sql_result *out);
	void (*disconnect)(void *connection);
};
extern const struct sql_driver sql_sqlite;
