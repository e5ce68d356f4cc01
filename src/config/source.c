/* SPDX-License-Identifier: Apache-2.0 */
/* config/source.c - files: reading them, includes, patterns. Spec: sheet core §1.1, §1.8. */
#include "config/config_private.h"

#include <glob.h>
#include <unistd.h>

#include "base/file.h"

#define FILE_BYTES_MAX    (16 * 1024 * 1024)
#define INCLUDE_DEPTH_MAX 32

const char *config_default_path(void)
{
	static const char *const paths[] = { "/etc/pombal/pombal.conf",
		"/etc/dovecot/dovecot.conf" };
	for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
		if (access(paths[i], F_OK) == 0)
			return paths[i];
	}
	return NULL;
}

struct str config_path_beside(struct arena *arena, struct str file, struct str path)
{
	ssize_t slash = str_find_last_byte(file, '/');
	if (path.n == 0 || path.p[0] == '/' || slash < 0)
		return str_dup(arena, path);
	return str_printf(arena, "%.*s/%.*s", (int)slash, file.p, STRF(path));
}

bool config_file_load(struct config_loader *ld, struct str path, struct str *out, struct str *why)
{
	AUTO_BUF(content, 0);
	if (str_has_nul(path)) {
		*why = STR("the name holds a NUL byte");
		return false;
	}
	char *z = str_dup_z(ld->op->arena, path);
	if (file_read(ld->op, z, FILE_BYTES_MAX, &content) != ERR_NONE) {
		*why = str_dup(ld->op->arena, str_from(ld->op->failure.text));
		op_forgive(ld->op);
		return false;
	}
	*out = buf_dup(&ld->cfg->arena, &content);
	return true;
}

static bool is_open(const struct config_loader *ld, struct str path)
{
	for (const struct config_open_file *f = ld->open_files; f; f = f->outer) {
		if (str_eq(f->path, path))
			return true;
	}
	return false;
}

void config_parse_file(struct config_loader *ld, struct str path, struct config_node *node,
	const struct config_origin *at, bool is_optional)
{
	struct str content, why;
	if (is_open(ld, path) || ld->include_depth >= INCLUDE_DEPTH_MAX) {
		config_error(ld, at, "Recursive include file: %.*s", STRF(path));
		return;
	}
	if (!config_file_load(ld, path, &content, &why)) {
		if (!is_optional)
			config_error(ld, at, "Couldn't open include file %.*s: %.*s", STRF(path),
				STRF(why));
		return;
	}
	struct config_open_file self = { ld->open_files, str_dup(&ld->cfg->arena, path) };
	ld->open_files = &self;
	ld->include_depth++;
	config_parse(ld, (struct config_lines){ .rest = content, .file = self.path }, node);
	ld->include_depth--;
	ld->open_files = self.outer;
}

static bool has_wildcard(struct str pattern)
{
	return str_find_byte(pattern, '*') >= 0 || str_find_byte(pattern, '?') >= 0 ||
	       str_find_byte(pattern, '[') >= 0 || str_find_byte(pattern, '{') >= 0;
}

/* A pattern without a match is fine, a plain name must exist (sheet core §1.8, recommendation). */
void config_include(struct config_loader *ld, struct str pattern, struct config_node *node,
	const struct config_origin *at, bool is_optional)
{
	struct str path = config_path_beside(ld->op->arena, at->file, pattern);
	glob_t found = { 0 };
	int result = str_has_nul(path)
			     ? GLOB_NOMATCH
			     : glob(str_dup_z(ld->op->arena, path), GLOB_BRACE, NULL, &found);
	if (result != 0) {
		if (!is_optional && !has_wildcard(pattern))
			config_problem(ld, at, false,
				STR("!include_try ignores files that do not exist"),
				"No matches: %.*s", STRF(path));
	} else {
		for (size_t i = 0; i < found.gl_pathc; i++)
			config_parse_file(ld, str_from(found.gl_pathv[i]), node, at, is_optional);
	}
	globfree(&found);
}
