/* SPDX-License-Identifier: Apache-2.0 */
/* config/expand_source.c - providers: %{env:NAME}, %{system:hostname}, %{generate:uuid}.
 * Spec: sheet core §2.4. To add a provider: a function and a row in providers[]. */
#include "config/expand_private.h"

#include <sys/utsname.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/random.h"
#include "event/event.h"

struct str config_expand_environment(const struct config_vars *vars, struct str name)
{
	const char *const *entry = vars ? vars->environment : NULL;
	for (; entry && *entry; entry++) {
		struct str rest = str_from(*entry);
		if (str_skip(&rest, name) && str_skip(&rest, STR("=")))
			return rest;
	}
	return STR("");
}

static bool env_value(struct expansion *ex, struct str key, struct str *out)
{
	*out = config_expand_environment(ex->vars, key);
	return true;
}

static bool system_value(struct expansion *ex, struct str key, struct str *out)
{
	struct arena *arena = ex->op->arena;
	struct utsname os = { .sysname = "Linux" };
	if (str_eq(key, STR("cpu_count"))) {
		struct str ncpu = config_expand_environment(ex->vars, STR("NCPU"));
		long count = sysconf(_SC_NPROCESSORS_ONLN);
		*out = ncpu.n ? ncpu : str_printf(arena, "%ld", count > 0 ? count : 1);
		return true;
	}
	(void)uname(&os); /* cannot fail with a valid address */
	if (str_eq(key, STR("hostname"))) {
		struct str given = config_expand_environment(ex->vars, STR("DOVECOT_HOSTNAME"));
		*out = given.n ? given : str_dup(arena, str_from(os.nodename));
	} else if (str_eq(key, STR("os"))) {
		*out = str_dup(arena, str_from(os.sysname));
	} else if (str_eq(key, STR("os-version"))) {
		*out = str_dup(arena, str_from(os.release));
	} else {
		return false;
	}
	return true;
}

static bool process_value(struct expansion *ex, struct str key, struct str *out)
{
	struct arena *arena = ex->op->arena;
	if (str_eq(key, STR("pid")))
		*out = str_printf(arena, "%ld", (long)getpid());
	else if (str_eq(key, STR("uid")))
		*out = str_printf(arena, "%ld", (long)geteuid());
	else if (str_eq(key, STR("gid")))
		*out = str_printf(arena, "%ld", (long)getegid());
	else
		return false;
	return true;
}

static bool product_value(struct expansion *ex, struct str key, struct str *out)
{
	static const struct {
		struct str key, value;
	} facts[] = {
		{ STR("name"), STR("Pombal") },
		{ STR("version"), STR(POMBAL_VERSION) },
		{ STR("revision"), STR("") },
		{ STR("support-url"), STR("") },
		{ STR("support-email"), STR("") },
	};
	(void)ex;
	for (size_t i = 0; i < ARRAY_COUNT(facts); i++) {
		if (str_eq(facts[i].key, key)) {
			*out = facts[i].value;
			return true;
		}
	}
	return false;
}

/* ---- event: ---- */

struct field_search {
	struct str key;
	struct str found;
	struct arena *arena;
};

static void field_is(const char *key, struct str value, bool is_number, void *arg)
{
	struct field_search *search = arg;
	(void)is_number;
	if (!search->found.p && str_eq(search->key, str_from(key)))
		search->found = str_dup(search->arena, value);
}

static bool event_value(struct expansion *ex, struct str key, struct str *out)
{
	struct field_search search = { .key = key, .arena = ex->op->arena };
	if (ex->op->event)
		event_fields_walk(ex->op->event, field_is, &search);
	*out = search.found.p ? search.found : STR("");
	return true;
}

/* ---- generate: ---- */

/* 8-4-4-4-12 of 32 hexadecimal digits. */
static struct str uuid_record(struct arena *arena, struct str hex)
{
	return str_printf(arena, "%.8s-%.4s-%.4s-%.4s-%.12s", hex.p, hex.p + 8, hex.p + 12,
		hex.p + 16, hex.p + 20);
}

static bool generate_value(struct expansion *ex, struct str key, struct str *out)
{
	uint8_t bytes[16];
	struct arena *arena = ex->op->arena;
	AUTO_BUF(hex, 0);
	random_bytes(bytes, sizeof(bytes));
	bool is_uuid = str_starts(key, STR("uuid"));
	if (is_uuid) { /* RFC 9562, version 4 */
		bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
		bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
	}
	hex_encode(&hex, (struct str){ (const char *)bytes, sizeof(bytes) });
	struct str plain = buf_dup(arena, &hex);
	if (str_eq(key, STR("guid")) || str_eq(key, STR("guid128")) ||
		str_eq(key, STR("uuid:compact")))
		*out = plain;
	else if (str_eq(key, STR("uuid")) || str_eq(key, STR("uuid:record")))
		*out = uuid_record(arena, plain);
	else if (str_eq(key, STR("uuid:microsoft")))
		*out = str_printf(arena, "{%.*s}", STRF(uuid_record(arena, plain)));
	else
		return false;
	return true;
}

static bool date_value(struct expansion *ex, struct str key, struct str *out)
{
	return config_expand_clock(ex, STR("date"), key, out);
}

static bool time_value(struct expansion *ex, struct str key, struct str *out)
{
	return config_expand_clock(ex, STR("time"), key, out);
}

/* ---- the table ---- */

static const struct {
	struct str name;
	bool (*value)(struct expansion *ex, struct str key, struct str *out);
} providers[] = {
	{ { "date", 4 }, date_value },
	{ { "dovecot", 7 }, product_value },
	{ { "env", 3 }, env_value },
	{ { "event", 5 }, event_value },
	{ { "generate", 8 }, generate_value },
	{ { "process", 7 }, process_value },
	{ { "system", 6 }, system_value },
	{ { "time", 4 }, time_value },
};

enum err config_expand_provider(
	struct expansion *ex, struct str provider, struct str key, struct str *out)
{
	for (size_t i = 0; i < ARRAY_COUNT(providers); i++) {
		if (!str_eq(providers[i].name, provider))
			continue;
		if (providers[i].value(ex, key, out))
			return ERR_NONE;
		return op_fail(ex->op, ERR_INVALID, "Unsupported %.*s key '%.*s'", STRF(provider),
			STRF(key));
	}
	return op_fail(ex->op, ERR_INVALID, "Unsupported prefix '%.*s'", STRF(provider));
}
