/* SPDX-License-Identifier: Apache-2.0 */
/* auth/drivers_private.h - the kinds of databases, for the list of them. */
#pragma once

#include "auth/auth_private.h"

extern const struct auth_driver auth_static;
extern const struct auth_driver auth_passwd_file;
extern const struct auth_driver auth_sql;
extern const struct auth_driver auth_prefetch;
