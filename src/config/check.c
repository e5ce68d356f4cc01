/* SPDX-License-Identifier: Apache-2.0 */
/* config/check.c - what only the whole configuration can show: mandatory settings, and values that do not
 * go together. Spec: sheet core §1.5, §1.13.
 * To add a check: a function called from config_check_semantics(). */
#include "config/config_private.h"

/* ---- mandatory ---- */

/* A block of this kind must have the setting, or a block of the other kind inside. */
static const struct {
	enum config_block block;
	enum config_setting setting; /* SET_COUNT: none */
	enum config_block inner;     /* BLOCK_COUNT: none */
	const char *name;
} required[] = {
	{ BLOCK_metric, SET_metric_filter, BLOCK_COUNT, "filter" },
	{ BLOCK_acl, SET_acl_rights, BLOCK_COUNT, "rights" },
	{ BLOCK_quota_warning, SET_COUNT, BLOCK_execute, "execute" },
	{ BLOCK_quota_over_status, SET_COUNT, BLOCK_execute, "execute" },
	{ BLOCK_welcome, SET_COUNT, BLOCK_execute, "execute" },
	{ BLOCK_mail_attribute, SET_COUNT, BLOCK_dict, "dict" },
	{ BLOCK_quota_clone, SET_COUNT, BLOCK_dict, "dict" },
	{ BLOCK_notify_status, SET_COUNT, BLOCK_dict, "dict" },
	{ BLOCK_acl_sharing_map, SET_COUNT, BLOCK_dict, "dict" },
	{ BLOCK_oauth2_local_validation, SET_COUNT, BLOCK_dict, "dict" },
	{ BLOCK_mail_ext_attachment, SET_COUNT, BLOCK_fs, "fs" },
};

/* Somewhere, in any layer, a block of this name has it. */
static bool has_required(
	const struct config_tree *tree, const struct config_node *node, size_t which)
{
	for (size_t i = 0; i < tree->count; i++) {
		const struct config_node *each = tree->nodes[i], *outer = each->parent;
		if (each->block == node->block && str_eq(each->name, node->name) &&
			required[which].setting != SET_COUNT &&
			config_node_get(each, required[which].setting))
			return true;
		if (required[which].inner != BLOCK_COUNT && outer &&
			each->block == required[which].inner && outer->block == node->block &&
			str_eq(outer->name, node->name))
			return true;
	}
	return false;
}

static void check_required(struct config_loader *ld)
{
	for (size_t i = 0; i < ld->tree->count; i++) {
		const struct config_node *node = ld->tree->nodes[i];
		for (size_t k = 0; k < ARRAY_COUNT(required); k++) {
			if (node->kind != CONFIG_KIND_BLOCK || node->layer < CONFIG_LAYER_FILE ||
				node->block != required[k].block || has_required(ld->tree, node, k))
				continue;
			config_error(ld, &node->origin,
				"Named filter %.*s%s%.*s is required to have %s setting, but it is "
				"missing",
				STRF(config_block_row(node->block)->name), node->name.n ? " " : "",
				STRF(node->name), required[k].name);
		}
	}
}

void config_check_mandatory(struct config_loader *ld)
{
	struct config_node *root = config_tree_root(ld->tree, CONFIG_LAYER_FILE);
	if (!ld->has_first_setting)
		config_problem(ld, NULL, false,
			STR("begin the file with dovecot_config_version = 3.2.0"),
			"The first setting must be dovecot_config_version");
	if (!config_node_get(root, SET_dovecot_storage_version))
		config_problem(ld, NULL, false, STR("add dovecot_storage_version = 3.2.0"),
			"dovecot_storage_version setting must be set");
	check_required(ld);
}

/* ---- values that do not go together ---- */

static const struct config_origin *origin_of(struct config_loader *ld, enum config_setting id)
{
	const struct config_assignment *a =
		config_tree_value(ld->tree, config_tree_root(ld->tree, CONFIG_LAYER_FILE), id);
	return a && a->value->origin.line ? &a->value->origin : NULL;
}

static void check_global(struct config_loader *ld, const struct config_scope *scope)
{
	uint64_t shards = config_u64(scope, SET_mail_shard_count);
	uint64_t cache = config_size(scope, SET_auth_cache_size);
	if (shards == 0 || shards > 4096)
		config_error(ld, origin_of(ld, SET_mail_shard_count),
			"mail_shard_count must be between 1 and 4096");
	if (config_str(scope, SET_listen).n == 0)
		config_problem(ld, origin_of(ld, SET_listen), false, STR("write listen = * ::"),
			"listen can't be set empty");
	if (cache > 0 && cache < 1024)
		config_error(ld, origin_of(ld, SET_auth_cache_size),
			"auth_cache_size value is too small");
	if (config_str(scope, SET_auth_policy_server_url).n &&
		config_str(scope, SET_auth_policy_hash_nonce).n == 0)
		config_error(ld, origin_of(ld, SET_auth_policy_server_url),
			"auth_policy_hash_nonce must be set when policy server is used");
	if (config_is(scope, SET_ssl, STR("required")) &&
		config_bool(scope, SET_auth_allow_cleartext))
		config_warning(ld, origin_of(ld, SET_auth_allow_cleartext),
			"auth_allow_cleartext=yes has no effect, because ssl=required");
	if (!config_is(scope, SET_ssl_server_request_client_cert, STR("no")) &&
		config_str(scope, SET_ssl_server_ca_file).n == 0)
		config_error(ld, origin_of(ld, SET_ssl_server_request_client_cert),
			"ssl_server_request_client_cert is set, but ssl_server_ca_file is not");
}

/* ---- services ---- */

#define VSZ_LIMIT_MIN (1024 * 1024)

static void check_limits(struct config_loader *ld, const struct config_scope *service)
{
	struct str name = config_scope_name(service);
	uint64_t processes = config_u64(service, SET_service_process_limit);
	uint64_t vsz = config_size(service, SET_service_vsz_limit);
	if (processes == 0)
		config_error(ld, NULL, "service(%.*s): process_limit must be greater than 0",
			STRF(name));
	else if (config_u64(service, SET_service_process_min_avail) > processes)
		config_error(ld, NULL,
			"service(%.*s): process_min_avail is greater than process_limit",
			STRF(name));
	if (config_u64(service, SET_service_client_limit) == 0)
		config_error(
			ld, NULL, "service(%.*s): client_limit must be greater than 0", STRF(name));
	if (config_u64(service, SET_service_restart_request_count) == 0)
		config_error(ld, NULL,
			"service(%.*s): restart_request_count must be greater than 0 (did you "
			"mean \"unlimited\"?)",
			STRF(name));
	if (vsz > 0 && vsz < VSZ_LIMIT_MIN)
		config_error(ld, NULL, "service(%.*s): vsz_limit is too low", STRF(name));
}

struct bound {
	struct str address;
	uint16_t port;
};
#define BOUND_MAX 1024

static void check_listener(struct config_loader *ld, const struct config_scope *listener,
	struct bound *bound, size_t *count)
{
	uint16_t port = config_port(listener, SET_inet_listener_port);
	struct str rest = config_str(listener, SET_inet_listener_listen), address;
	while (port && str_cut_word(&rest, &address)) {
		for (size_t i = 0; i < *count; i++) {
			if (bound[i].port == port && str_eq(bound[i].address, address)) {
				config_error(ld, NULL, "duplicate listener: %.*s:%u", STRF(address),
					port);
				return;
			}
		}
		if (*count < BOUND_MAX)
			bound[(*count)++] = (struct bound){ address, port };
	}
}

/* Roles whose names are no services': a block of that name would do nothing. */
static const struct {
	const char *role, *words;
} no_services[] = {
	{ "mail", "mail workers take their limits from service imap" },
	{ "login", "login processes take their limits from service imap-login" },
	{ "master", "the master has no limits" },
};

static void check_is_service(struct config_loader *ld, const struct config_scope *service)
{
	struct str name = config_scope_name(service);
	for (size_t i = 0; i < ARRAY_COUNT(no_services); i++)
		if (str_eq(name, str_from(no_services[i].role)))
			config_error(ld, NULL, "service(%.*s): there is no such service: %s",
				STRF(name), no_services[i].words);
	/* LMTP is spoken by the login processes, delivery is the mail workers'. */
	if (str_eq(name, STR("lmtp")) && config_is_set(service, SET_service_vsz_limit))
		config_warning(ld, NULL,
			"service(lmtp): vsz_limit has no effect: set that of service imap-login or "
			"service imap");
}

static void check_services(struct config_loader *ld, const struct config_scope *scope)
{
	struct bound *bound = ARENA_NEW_ARRAY(ld->op->arena, struct bound, BOUND_MAX);
	size_t bound_count = 0;
	for (size_t i = 0; i < config_block_count(scope, BLOCK_service); i++) {
		const struct config_scope *service = config_block_at(scope, BLOCK_service, i);
		check_is_service(ld, service);
		check_limits(ld, service);
		struct str protocol = config_str(service, SET_service_protocol);
		if (protocol.n && !config_list_has(scope, SET_protocols, protocol))
			continue;
		for (size_t k = 0; k < config_block_count(service, BLOCK_inet_listener); k++)
			check_listener(ld, config_block_at(service, BLOCK_inet_listener, k), bound,
				&bound_count);
	}
}

static void check_namespaces(struct config_loader *ld, const struct config_scope *scope)
{
	size_t count = config_block_count(scope, BLOCK_namespace), inbox_count = 0, in_use = 0;
	struct str separator = STR_NONE;
	for (size_t i = 0; i < count; i++) {
		const struct config_scope *each = config_block_at(scope, BLOCK_namespace, i);
		if (config_bool(each, SET_namespace_disabled))
			continue;
		in_use++;
		inbox_count += config_bool(each, SET_namespace_inbox);
		struct str own = config_str(each, SET_namespace_separator);
		if (separator.n && own.n && !str_eq(own, separator) &&
			!config_is(each, SET_namespace_list, STR("no")))
			config_error(ld, NULL,
				"namespace %.*s: All list=yes namespaces must use the same "
				"separator",
				STRF(config_scope_name(each)));
		if (separator.n == 0)
			separator = own;
	}
	if (inbox_count > 1)
		config_error(ld, NULL, "namespace: There can be only one namespace with inbox=yes");
	if (in_use > 0 && inbox_count == 0)
		config_warning(ld, NULL, "namespace: No namespace has inbox=yes");
}

void config_check_semantics(struct config_loader *ld)
{
	/* The scopes stay in the config: whoever uses it asks for the same ones. */
	const struct config_scope *scope = config_scope(ld->cfg, NULL);
	check_global(ld, scope);
	check_services(ld, scope);
	check_namespaces(ld, scope);
}
