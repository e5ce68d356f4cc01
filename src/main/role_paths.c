/* SPDX-License-Identifier: Apache-2.0 */
/* Where roles take messages. */
#include "main/role.h"

struct str role_socket_master(struct arena *a, struct config *config)
{
	struct str base = config_str(config_scope(config, NULL), SET_base_dir);
	return str_printf(a, "%.*s/ipc/master", STRF(base));
}

struct str role_socket_auth(struct arena *a, struct config *config)
{
	struct str base = config_str(config_scope(config, NULL), SET_base_dir);
	return str_printf(a, "%.*s/ipc/auth", STRF(base));
}

struct str role_socket_mail(struct arena *a, struct config *config, uint32_t slot)
{
	struct str base = config_str(config_scope(config, NULL), SET_base_dir);
	return str_printf(a, "%.*s/ipc/mail-%u", STRF(base), slot);
}
