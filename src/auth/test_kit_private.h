/* SPDX-License-Identifier: Apache-2.0 */
/* auth/test_kit_private.h - an auth library on a loop, from a configuration's text: for tests. */
#pragma once

#include <stdio.h>

#include "auth/auth_private.h"
#include "base/test.h"
#include "task/task.h"

struct auth_test {
	struct arena arena;
	struct op op;
	struct config *config;
	struct auth *auth;
	void (*script)(struct auth_test *t);
};

static inline struct config *auth_test_config(struct auth_test *t, const char *text)
{
	struct config_problems problems;
	struct config *config = NULL;
	struct config_load_args args = { .text = str_printf(&t->arena,
						 "dovecot_config_version = 3.1.0\n"
						 "dovecot_storage_version = 3.1.0\n%s",
						 text) };
	enum err e = config_load(&t->op, &args, &problems, &config);
	if (e != ERR_NONE)
		fprintf(stderr, "%s\n%s\n", t->op.failure.text, text);
	assert_ok(e);
	return config;
}

static inline void auth_test_task(void *arg)
{
	struct auth_test *t = arg;
	t->script(t);
	loop_stop();
}

/* In virtual time: delays cost nothing. */
static inline void auth_test_run(const char *text, void (*script)(struct auth_test *t))
{
	struct auth_test t = { .script = script };
	struct loop_settings settings = { .is_virtual = true };
	arena_init(&t.arena, 0);
	op_init(&t.op, &t.arena, NULL, TIME_NEVER);
	t.config = auth_test_config(&t, text);
	assert_ok(loop_open(&t.op, &settings));
	enum err e = auth_open(&t.op, t.config, &t.auth);
	if (e != ERR_NONE)
		fprintf(stderr, "%s\n", t.op.failure.text);
	assert_ok(e);
	task_start("script", auth_test_task, &t);
	loop_run();
	auth_close(t.auth);
	loop_close();
	config_unref(t.config);
	arena_done(&t.arena);
}

static inline enum err auth_test_verify(
	struct auth_test *t, const char *user, const char *password, struct auth_result *out)
{
	struct auth_request r = {
		.user = str_from(user),
		.password = str_from(password),
		.authzid = STR(""),
		.mechanism = STR("PLAIN"),
		.service = STR("imap"),
		.session_id = STR("s"),
	};
	return auth_verify(&t->op, t->auth, &r, out);
}

static inline struct str auth_test_field(
	const struct auth_field *fields, size_t count, const char *key)
{
	for (size_t i = 0; i < count; i++) {
		if (str_eq(fields[i].key, str_from(key)))
			return fields[i].value;
	}
	return STR_NONE;
}
