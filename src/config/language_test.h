/* SPDX-License-Identifier: Apache-2.0 */
/* The language as tables: a text, what is asked of it, and what doveconf says. Included by language*_test.c
 * only. */
#pragma once

#include "config/text_test.h"

#define VERSIONS_3_2 "dovecot_config_version = 3.2.0\ndovecot_storage_version = 3.2.0\n"

/* Offline: no test asks a name server. */
static inline enum err load_table(struct fixture *f, const char *text, const char *override)
{
	const char *overrides[] = { override, NULL };
	fixture_init(f);
	struct str all = str_printf(&f->arena, VERSIONS_3_2 "%s", text);
	struct config_load_args args = {
		.text = all, .overrides = override ? overrides : NULL, .is_offline = true
	};
	return fixture_load(f, &args);
}

static unsigned mismatch_count;

static inline void compare(const char *what, struct str got, const char *want)
{
	if (str_eq(got, str_from(want)))
		return;
	print_message("%s\n  got  %.*s\n  want %s\n", what, STRF(got), want);
	mismatch_count++;
}

struct value_case {
	const char *text; /* after the two versions */
	const char *path;
	const char *want;
	struct config_place place;
	const char *override;
};

/* What doveconf -h -P prints of a text that was loaded with this result; a want that begins with '!' is the first
 * problem. Ends `f`. */
static inline void compare_shown(struct fixture *f, enum err loaded,
	const struct config_place *place, const char *path, const char *what, const char *want)
{
	struct config_show_args args = { .with_secrets = true };
	AUTO_BUF(out, 0);
	if (loaded != ERR_NONE)
		buf_putf(&out, "!%s", f->op.failure.text);
	else if (config_show_one(&f->op, config_scope(f->cfg, place), str_from(path), true, &args,
			 &out) != ERR_NONE)
		buf_putf(&out, "!%s", f->op.failure.text);
	else
		buf_truncate(&out, out.n - 1);
	compare(what, buf_str(&out), want);
	done(f);
}

static inline void check_value(const struct value_case *c)
{
	struct fixture f;
	enum err e = load_table(&f, c->text, c->override);
	compare_shown(&f, e, &c->place, c->path, c->text, c->want);
}

static inline void check_values(const struct value_case *cases, size_t count)
{
	mismatch_count = 0;
	for (size_t i = 0; i < count; i++)
		check_value(&cases[i]);
	assert_int_equal(mismatch_count, 0);
}
