/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of texts share: a configuration that is loaded from one. Included by *_test.c only. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "config/config_private.h"
#include "config/show.h"

#define VERSIONS "dovecot_config_version = 3.1.0\ndovecot_storage_version = 3.1.0\n"

static const char *const fixture_environment[] = { "SECRET=from env", "WORD=from env", "NCPU=6",
	NULL };

struct fixture {
	struct arena arena;
	struct op op;
	struct config_problems problems;
	struct config *cfg;
};

static inline void fixture_init(struct fixture *f)
{
	arena_init(&f->arena, 0);
	op_init(&f->op, &f->arena, NULL, TIME_NEVER);
	f->cfg = NULL;
}

/* Of the text in `args`, with the environment above. */
static inline enum err fixture_load(struct fixture *f, struct config_load_args *args)
{
	args->environment = fixture_environment;
	return config_load(&f->op, args, &f->problems, &f->cfg);
}

static inline enum err load(struct fixture *f, const char *text, const char *const *overrides)
{
	struct config_load_args args = { .text = str_from(text), .overrides = overrides };
	fixture_init(f);
	return fixture_load(f, &args);
}

static inline const struct config_scope *load_ok(struct fixture *f, const char *text)
{
	enum err e = load(f, text, NULL);
	if (e != ERR_NONE)
		print_message("%s\n", f->op.failure.text);
	assert_int_equal(e, ERR_NONE);
	return config_scope(f->cfg, NULL);
}

static inline void done(struct fixture *f)
{
	config_unref(f->cfg);
	arena_done(&f->arena);
}

static inline void assert_text(struct str got, const char *want)
{
	char z[8192];
	(void)snprintf(z, sizeof(z), "%.*s", STRF(got));
	assert_string_equal(z, want);
}

/* All problems of a text, as printed. */
static inline void assert_problems(const char *text, const char *want)
{
	struct fixture f;
	AUTO_BUF(out, 0);
	enum err e = load(&f, text, NULL);
	config_problems_print(&f.problems, &out);
	assert_text(buf_str(&out), want);
	assert_int_equal(e, f.problems.error_count ? ERR_INVALID : ERR_NONE);
	done(&f);
}

static inline void write_file(struct fixture *f, const char *path, const char *text)
{
	assert_int_equal(file_replace(&f->op, path, str_from(text), 0600), ERR_NONE);
}
