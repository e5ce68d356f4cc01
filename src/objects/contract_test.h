/* SPDX-License-Identifier: Apache-2.0 */
/* The drivers that hold the contract of objects.h, and what its tests share. A new driver is a new row in
 * `variants`. Included by contract_test.c only. */
#pragma once

#include "objects/objects.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/random.h"
#include "base/test.h"
#include "crypto/ec_test_keys.h"
#include "task/task.h"

struct variant {
	const char *name;
	/* "%s" is a fresh directory with keys; "$NAME$" an environment variable that says where a server is (the
	 * variant is skipped without it), $RANDOM$ a name that nobody else has. */
	const char *stack;
	bool is_persistent; /* survives its handle */
	bool has_metadata;
	bool is_listable; /* iter works */
	bool refuses_overwrite;
	bool is_cached;       /* reads what was written without a request */
	bool forgets_missing; /* says of a delete of nothing that it succeeded */
};
#define SAME_EVERYWHERE .is_listable = true, .refuses_overwrite = true
#define KEYS            "public=%s/public.pem,private=%s/private.pem"
static const struct variant variants[] = {
	{ "mem", "mem", .is_persistent = false, .has_metadata = true, SAME_EVERYWHERE },
	{ "posix", "posix(%s/deep/er)", .is_persistent = true, .has_metadata = false,
		SAME_EVERYWHERE },
	{ "posix with names", "posix(%s/deep/er,named)", .is_persistent = true,
		.has_metadata = false, SAME_EVERYWHERE },
	{ "compress:posix", "compress(zstd):posix(%s/deep/er)", .is_persistent = true,
		.has_metadata = false, SAME_EVERYWHERE },
	{ "compress none:posix", "compress(none):posix(%s/deep/er)", .is_persistent = true,
		.has_metadata = false, SAME_EVERYWHERE },
	{ "compress lz4:mem", "compress(lz4):mem", .has_metadata = true, SAME_EVERYWHERE },
	{ "compress gz:mem", "compress(gz):mem", .has_metadata = true, SAME_EVERYWHERE },
	{ "compress bz2:mem", "compress(bz2,1):mem", .has_metadata = true, SAME_EVERYWHERE },
	{ "crypt:mem", "crypt(" KEYS "):mem", .has_metadata = true, SAME_EVERYWHERE },
	{ "crypt without keys:mem", "crypt:mem", .has_metadata = true, SAME_EVERYWHERE },
	{ "compress:crypt:posix",
		"compress(zstd):crypt(" KEYS ",algorithm=chacha20-poly1305):posix(%s/deep/er)",
		.is_persistent = true, SAME_EVERYWHERE },
	{ "azure", "azure($POMBAL_TEST_AZURE$/$RANDOM$)", .is_persistent = true,
		.has_metadata = true, SAME_EVERYWHERE },
	{ "azure in blocks over TLS",
		"azure($POMBAL_TEST_AZURE_TLS$/$RANDOM$/deep/er?ca=$POMBAL_TEST_CA$&block=65536)",
		.is_persistent = true, .has_metadata = true, SAME_EVERYWHERE },
	{ "fscache:posix", "fscache(%s/cache,8000000):posix(%s/deep/er)", .is_persistent = true,
		.is_cached = true, SAME_EVERYWHERE },
	{ "small fscache:compress:crypt:mem",
		"fscache(%s/cache,4000000):compress(zstd):crypt(" KEYS "):mem",
		.has_metadata = true, .is_cached = true, SAME_EVERYWHERE },
	{ "azure with a user-delegation SAS",
		"azure($POMBAL_TEST_AZURE_CLIENT$/"
		"$RANDOM$?tenant=ab1f708d-50f6-404c-a006-d71b2ac7a606"
		"&login=$POMBAL_TEST_ENTRA$&ca=$POMBAL_TEST_CA$&block=200000)",
		.is_persistent = true, .has_metadata = true, SAME_EVERYWHERE },
	{ "sproxyd", "sproxyd($POMBAL_TEST_SPROXYD$/$RANDOM$)", .is_persistent = true,
		.has_metadata = true, .refuses_overwrite = true },
	{ "sproxyd over TLS",
		"sproxyd($POMBAL_TEST_SPROXYD_TLS$/"
		"$RANDOM$?ca=$POMBAL_TEST_CA$&class=1&avoid_423=5)",
		.is_persistent = true, .has_metadata = true, .refuses_overwrite = true },
	{ "fault:mem", "fault:mem", .is_persistent = false, .has_metadata = true, SAME_EVERYWHERE },
	{ "s3", "s3($POMBAL_TEST_S3$/$RANDOM$)", .is_persistent = true, .has_metadata = true,
		.forgets_missing = true, SAME_EVERYWHERE },
	{ "aws-s3 over TLS",
		"aws-s3($POMBAL_TEST_S3_TLS$/$RANDOM$?ca=$POMBAL_TEST_CA$&bulk_delete_limit=3)",
		.is_persistent = true, .has_metadata = true, .forgets_missing = true,
		SAME_EVERYWHERE },
	{ "s3 with old signatures", "s3($POMBAL_TEST_S3$/$RANDOM$/deep/er?region=)",
		.is_persistent = true, .has_metadata = true, .forgets_missing = true,
		SAME_EVERYWHERE },
	{ "fscache:compress:crypt:s3",
		"fscache(%s/cache,40000000):compress(zstd):crypt(" KEYS
		"):s3($POMBAL_TEST_S3$/$RANDOM$)",
		.is_persistent = true, .has_metadata = true, .is_cached = true,
		.forgets_missing = true, SAME_EVERYWHERE },
	{ "compress:crypt:s3", "compress(zstd):crypt(" KEYS "):s3($POMBAL_TEST_S3$/$RANDOM$)",
		.is_persistent = true, .has_metadata = true, .forgets_missing = true,
		SAME_EVERYWHERE },
};

/* What a test is given: an open store and an op. */
struct place {
	const struct variant *variant;
	struct op *op;
	struct objects *objects;
	struct str stack;
	void (*body)(struct place *p);
};

static inline void place_open(struct place *p)
{
	assert_ok(objects_open_text(p->op, p->stack, &p->objects));
}

static inline void place_task(void *arg)
{
	struct place *p = arg;
	place_open(p);
	p->body(p);
	objects_close(p->objects);
	loop_stop();
}

/* What $NAME$ stands for; NULL: nothing. */
static const char *server(struct str name)
{
	char text[64];
	ASSERT(name.n < sizeof(text));
	memcpy(text, name.p, name.n);
	text[name.n] = '\0';
	return getenv(text);
}

static inline bool has_servers(struct str template)
{
	struct str plain, name;
	while (str_cut(&template, '$', &plain) && str_cut(&template, '$', &name))
		if (!str_eq(name, STR("RANDOM")) && !server(name))
			return false;
	return true;
}

static inline struct str with_servers(struct arena *arena, struct str template)
{
	AUTO_BUF(out, 0);
	struct str rest = template, plain, name;
	while (str_cut(&rest, '$', &plain)) {
		buf_put(&out, plain);
		if (!str_cut(&rest, '$', &name))
			break;
		if (str_eq(name, STR("RANDOM")))
			buf_putf(&out, "contract-%016" PRIx64, random_u64());
		else
			buf_put(&out, str_from(server(name)));
	}
	buf_put(&out, rest);
	return buf_dup(arena, &out);
}

/* Every "%s" becomes the directory. */
static inline struct str stack_in(struct arena *arena, const char *template, const char *dir)
{
	struct buf out;
	struct str rest = str_from(template);
	buf_init(&out, 0);
	for (ssize_t at; (at = str_find(rest, STR("%s"))) >= 0;) {
		buf_put(&out, str_take(&rest, (size_t)at));
		buf_put(&out, str_from(dir));
		(void)str_take(&rest, 2);
	}
	buf_put(&out, rest);
	struct str stack = buf_dup(arena, &out);
	buf_done(&out);
	return stack;
}

static inline void key_file(struct op *op, const char *dir, const char *name, const char *text)
{
	const char *path = str_printf(op->arena, "%s/%s", dir, name).p;
	assert_ok(file_replace(op, path, str_from(text), 0600));
}

static inline void run(void **state, void (*body)(struct place *p))
{
	const struct variant *variant = *state;
	if (!has_servers(str_from(variant->stack)))
		skip(); /* leaves by longjmp(): nothing may be held */
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	char dir[] = "/tmp/objects-test-XXXXXX";
	struct str template = with_servers(&arena, str_from(variant->stack));
	assert_non_null(mkdtemp(dir));
	struct str stack = stack_in(&arena, str_dup_z(&arena, template), dir);
	key_file(&op, dir, "public.pem", EC_TEST_P256_PUBLIC);
	key_file(&op, dir, "private.pem", EC_TEST_P256);
	struct place p = { .variant = variant, .op = &op, .stack = stack, .body = body };
	assert_ok(loop_open(&op, NULL));
	task_start("test", place_task, &p);
	loop_run();
	loop_close();
	assert_ok(file_remove_tree(&op, dir));
}

static inline enum err put_parts(
	struct place *p, struct str key, const struct str *parts, size_t count)
{
	return objects_put(p->op, p->objects,
		&(struct object_put){ .key = key, .parts = parts, .part_count = count });
}

static inline enum err put(struct place *p, const char *key, struct str body)
{
	return put_parts(p, str_from(key), &body, 1);
}

static inline struct str get(struct place *p, const char *key)
{
	struct str body = STR("?");
	assert_ok(objects_get(p->op, p->objects, str_from(key), SIZE_MAX, &body));
	return body;
}

static inline struct str noise(struct place *p, size_t n)
{
	char *bytes = arena_alloc(p->op->arena, n);
	random_bytes(bytes, n);
	return (struct str){ bytes, n };
}
