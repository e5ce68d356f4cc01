/* SPDX-License-Identifier: Apache-2.0 */
/* config/places.c - where `local` and `local_name` filters apply, for checks beforehand. */
#include <arpa/inet.h>

#include "config/config_private.h"

#define IP_TEXT_MAX 45

/* Any name that the pattern matches. */
static struct str name_inside(struct arena *arena, struct str pattern)
{
	return str_skip(&pattern, STR("*")) ? str_printf(arena, "any%.*s", STRF(pattern)) : pattern;
}

static struct str address_inside(struct arena *arena, const struct config_network *network)
{
	char text[IP_TEXT_MAX + 1];
	bool is_4 = network->bits >= 96 && network->bytes[10] == 0xff && network->bytes[11] == 0xff;
	if (!inet_ntop(
		    is_4 ? AF_INET : AF_INET6, network->bytes + (is_4 ? 12 : 0), text, sizeof text))
		return STR_NONE;
	return str_dup(arena, str_from(text));
}

bool config_place_next(
	struct arena *arena, const struct config *cfg, size_t *at, struct config_place *out)
{
	while (*at < cfg->tree.count) {
		const struct config_node *node = cfg->tree.nodes[(*at)++];
		if (node->kind != CONFIG_KIND_LOCAL && node->kind != CONFIG_KIND_LOCAL_NAME)
			continue;
		*out = (struct config_place){ .local_ip = STR_NONE };
		/* From inside out: of nested networks the inner one is inside the outer one. */
		for (; node; node = node->parent) {
			if (node->kind == CONFIG_KIND_LOCAL_NAME && out->local_name.n == 0)
				out->local_name = name_inside(arena, node->name);
			if (node->kind == CONFIG_KIND_LOCAL && out->local_ip.n == 0 &&
				node->network_count)
				out->local_ip = address_inside(arena, &node->networks[0]);
		}
		return true;
	}
	return false;
}
