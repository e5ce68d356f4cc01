/* SPDX-License-Identifier: Apache-2.0 */
#include "main/environment.h"

#include "config/config.h"
#include "config/expand.h"

/* To let another name pass: add it here; one that ends with '_' lets all through that begin so. */
static const char *const kept[] = { "ASAN_", "GLIBC_TUNABLES", "LANG", "LC_", "LD_", "LSAN_",
	"MALLOC_", "OPENSSL_CONF", "PATH", "POMBAL_ARENA_MALLOC", "RES_OPTIONS", "SSL_CERT_DIR",
	"SSL_CERT_FILE", "TSAN_", "TZ", "TZDIR", "UBSAN_" };

static bool is_kept(struct str name)
{
	for (size_t i = 0; i < ARRAY_COUNT(kept); i++) {
		struct str word = str_from(kept[i]);
		if (str_eq(name, word) || (str_ends(word, STR("_")) && str_starts(name, word)))
			return true;
	}
	return false;
}

char **environment_of_children(struct op *op, struct config *config, const char *const *own)
{
	const struct config_scope *global = config_scope(config, NULL);
	const struct config_vars vars = { .environment = own };
	struct config_item item;
	struct str value, name;
	size_t count = 0, n = 0, at = 0;
	while (own && own[count])
		count++;
	while (config_list_next(global, SET_import_environment, &at, &item))
		count++;
	char **out = ARENA_NEW_ARRAY(op->arena, char *, count + 1);
	at = 0;
	/* Those that are set come first: the first of a name counts. */
	while (config_list_next(global, SET_import_environment, &at, &item)) {
		if (config_expand(op, item.value, &vars, &value) != ERR_NONE)
			op_forgive(op);
		else if (value.n > 0) /* else of a variable that is not there: so it stays */
			out[n++] = str_dup_z(op->arena,
				str_printf(op->arena, "%.*s=%.*s", STRF(item.key), STRF(value)));
	}
	for (size_t i = 0; own && own[i]; i++) {
		struct str rest = str_from(own[i]);
		if (str_cut(&rest, '=', &name) && is_kept(name))
			out[n++] = str_dup_z(op->arena, str_from(own[i]));
	}
	return out;
}
