/* SPDX-License-Identifier: Apache-2.0 */
/* objects/objects_private.h - what the drivers of this folder share. */
#pragma once

#include "base/unicode.h"
#include "objects/objects.h"
#include "task/task.h"

#define OBJECTS_KEY_MAX       512
#define OBJECTS_COMPONENT_MAX 255
#define OBJECTS_TMP_PREFIX    ".tmp-"

extern const struct objects_driver objects_azure;
extern const struct objects_driver objects_aws_s3;
extern const struct objects_driver objects_compress;
extern const struct objects_driver objects_crypt;
extern const struct objects_driver objects_fault;
extern const struct objects_driver objects_fscache;
extern const struct objects_driver objects_mem;
extern const struct objects_driver objects_posix;
extern const struct objects_driver objects_sproxyd;
extern const struct objects_driver objects_s3;

/* What objects.h says about keys. */
bool objects_key_is_valid(struct str key);

/* Are the bytes on this host's own disks, so that a cache would only double them? */
bool objects_is_local(struct objects *o);

/* The part of a body of `size` bytes that offset and length ask for; empty behind its end. */
static inline struct str objects_slice(
	const char *bytes, size_t size, uint64_t offset, size_t length)
{
	if (offset >= size)
		return (struct str){ "", 0 };
	size_t from = (size_t)offset;
	return (struct str){ bytes + from, MIN(length, size - from) };
}

static inline size_t objects_parts_bytes(const struct str *parts, size_t part_count)
{
	size_t bytes = 0;
	for (size_t i = 0; i < part_count; i++)
		ASSERT(!add_overflows(bytes, parts[i].n, &bytes));
	return bytes;
}

/* `to` has room for objects_parts_bytes(). */
static inline void objects_parts_copy(char *to, const struct str *parts, size_t part_count)
{
	for (size_t i = 0; i < part_count; i++) {
		if (parts[i].n)
			memcpy(to, parts[i].p, parts[i].n);
		to += parts[i].n;
	}
}

/* WAITS now and then: to fill new memory takes as long as the kernel needs to find it. What is copied stays as
 * it is meanwhile. */
static inline void objects_bytes_copy(char *to, struct str from)
{
	const size_t step = (size_t)1 << 20;
	while (from.n > 0) {
		struct str some = str_take(&from, step);
		memcpy(to, some.p, some.n);
		to += some.n;
		if (from.n > 0)
			task_breathe();
	}
}

static inline struct object_meta *objects_meta_dup(
	struct arena *a, const struct object_meta *meta, size_t count)
{
	struct object_meta *copy = ARENA_NEW_ARRAY(a, struct object_meta, count);
	for (size_t i = 0; i < count; i++)
		copy[i] =
			(struct object_meta){ str_dup(a, meta[i].name), str_dup(a, meta[i].value) };
	return copy;
}

/* objects_copy() for a level that has no better way: WAITS. Counts as a get and a put of `o`. */
enum err objects_copy_by_reading(struct op *op, struct objects *o, struct str from, struct str to);

/* Copies a result into op's arena; ERR_LIMIT if that has no room. */
static inline enum err objects_answer(struct op *op, struct str body, struct str *out)
{
	if (!arena_has_room(op->arena, body.n))
		return op_fail(op, ERR_LIMIT, "no room for an object of %zu bytes", body.n);
	*out = str_dup(op->arena, body);
	return ERR_NONE;
}

/* WAITS now and then. The same; the body must stay meanwhile. */
static inline enum err objects_answer_large(struct op *op, struct str body, struct str *out)
{
	if (!arena_has_room(op->arena, body.n))
		return op_fail(op, ERR_LIMIT, "no room for an object of %zu bytes", body.n);
	char *bytes = arena_alloc(op->arena, MAX(body.n, 1));
	objects_bytes_copy(bytes, body);
	*out = (struct str){ bytes, body.n };
	return ERR_NONE;
}

/* One level of a stack to be built, outermost first. */
struct objects_level {
	const struct objects_driver *driver;
	const struct config_scope *scope; /* NULL: `argument` counts */
	struct str argument;
};
const struct objects_driver *objects_driver_find(struct str name);
/* On failure the levels that were open already are closed. */
enum err objects_stack(
	struct op *op, const struct objects_level *levels, size_t count, struct objects **out);
