/* SPDX-License-Identifier: Apache-2.0 */
/* main/environment.h - what of the master's environment its children get.
 *
 * The master's may hold secrets ($ENV: in the configuration), which a child would carry in its memory. So
 * children get what the C library, its loader, OpenSSL and sanitizers look at, and what
 * import_environment names. */
#pragma once

#include "base/base.h"

struct config;

/* For execve(): "NAME=value", ends with NULL; in the op's arena. `own` is the master's. */
char **environment_of_children(struct op *op, struct config *config, const char *const *own);
