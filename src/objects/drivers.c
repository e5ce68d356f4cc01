/* SPDX-License-Identifier: Apache-2.0 */
/* objects/drivers.c - the list of drivers, and building a stack of them from the
 * configuration or from text.
 *
 * To extend: write x.c with a `const struct objects_driver`, declare it in objects_private.h, add it
 * here. contract_test.c runs against every entry. */
#include "config/config.h"
#include "objects/objects_private.h"
#include "objects/posix_private.h"

#define STACK_LEVELS_MAX 8

const struct objects_driver *const objects_drivers[] = { &objects_aws_s3, &objects_azure,
	&objects_compress, &objects_crypt, &objects_fault, &objects_fscache, &objects_mem,
	&objects_posix, &objects_s3, &objects_sproxyd, NULL };

const struct objects_driver *objects_driver_find(struct str name)
{
	for (size_t i = 0; objects_drivers[i]; i++)
		if (str_eq(str_from(objects_drivers[i]->name), name))
			return objects_drivers[i];
	return NULL;
}

bool objects_is_local(struct objects *o)
{
	while (o->inner)
		o = o->inner;
	return o->driver == &objects_mem || (o->driver == &objects_posix && posix_is_local(o));
}

enum err objects_stack(
	struct op *op, const struct objects_level *levels, size_t count, struct objects **out)
{
	struct objects *inner = NULL;
	for (size_t i = count; i-- > 0;) {
		const struct objects_level *level = &levels[i];
		struct str name = str_from(level->driver->name);
		enum err e = ERR_NONE;
		if (level->driver->is_wrapper && !inner)
			e = op_fail(op, ERR_INVALID,
				"object store \"%.*s\" needs another one inside", STRF(name));
		else if (!level->driver->is_wrapper && inner)
			e = op_fail(op, ERR_INVALID, "object store \"%.*s\" can hold no other one",
				STRF(name));
		else
			e = level->driver->open(op, level->scope, level->argument, inner, &inner);
		if (e != ERR_NONE) {
			objects_close(inner);
			return e;
		}
	}
	*out = inner;
	return ERR_NONE;
}

/* Takes "name" or "name(argument)" and the ':' behind it off the front. The argument ends at the
 * first ')' that ends the level, so a path may hold brackets and colons. */
static bool level_cut(struct str *rest, struct str *name, struct str *argument)
{
	size_t n = 0;
	while (n < rest->n && rest->p[n] != ':' && rest->p[n] != '(')
		n++;
	*name = str_take(rest, n);
	*argument = STR_NONE;
	if (str_skip(rest, STR("("))) {
		size_t end = 0;
		while (end < rest->n &&
			!(rest->p[end] == ')' && (end + 1 == rest->n || rest->p[end + 1] == ':')))
			end++;
		if (end == rest->n)
			return false;
		*argument = str_take(rest, end);
		(void)str_take(rest, 1);
	}
	return rest->n == 0 || (str_skip(rest, STR(":")) && rest->n > 0);
}

enum err objects_open_text(struct op *op, struct str stack, struct objects **out)
{
	struct objects_level levels[STACK_LEVELS_MAX] = { 0 };
	size_t count = 0;
	struct str rest = stack;
	do {
		struct str name;
		if (count == STACK_LEVELS_MAX)
			return op_fail(op, ERR_INVALID, "object stack has more than %d levels",
				STACK_LEVELS_MAX);
		struct objects_level *level = &levels[count++];
		if (!level_cut(&rest, &name, &level->argument))
			return op_fail(
				op, ERR_INVALID, "object stack \"%.*s\" is malformed", STRF(stack));
		level->driver = objects_driver_find(name);
		if (!level->driver)
			return op_fail(op, ERR_INVALID, "object stack \"%.*s\": no driver \"%.*s\"",
				STRF(stack), STRF(name));
	} while (rest.n);
	return objects_stack(op, levels, count, out);
}

enum err objects_open(struct op *op, const struct config_scope *scope, struct objects **out)
{
	struct objects_level levels[STACK_LEVELS_MAX] = { 0 };
	size_t count = 0;
	const struct config_scope *at = scope;
	while (config_block_count(at, BLOCK_fs) > 0) {
		at = config_block_at(at, BLOCK_fs, 0);
		struct str name = config_str(at, SET_fs_driver);
		if (str_eq(name, STR("dictmap")))
			continue; /* that is the catalog */
		if (count == STACK_LEVELS_MAX)
			return op_fail(op, ERR_INVALID, "more than %d fs blocks in one another",
				STACK_LEVELS_MAX);
		levels[count].driver = objects_driver_find(name);
		levels[count].scope = at;
		if (!levels[count++].driver)
			return op_fail(op, ERR_UNSUPPORTED, "fs_driver = %.*s does not exist here",
				STRF(name));
	}
	if (count == 0)
		return op_fail(op, ERR_INVALID,
			"no object store is set: fs posix { ... }, or @fs_defaults = local");
	return objects_stack(op, levels, count, out);
}
