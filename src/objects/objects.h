/* SPDX-License-Identifier: Apache-2.0 */
/* objects/objects.h - the object-store stack: immutable bytes under unique keys.
 *
 * A stack is a chain of drivers: wrappers (compress, fault, later fscache and crypt) around one
 * that keeps bytes (posix, mem, later s3, azure, sproxyd). The configuration's nested `fs` blocks
 * name it.
 *
 * Life:     objects_open(config scope) -> put/get/... from any task -> objects_close().
 *
 * Contract: objects are never overwritten. After put returns ERR_NONE the object survives kill -9
 *           and power loss; so does its absence after delete. put of an existing key is ERR_EXISTS
 *           and changes nothing. A failed put may have stored the object (ERR_UNAVAILABLE,
 *           ERR_TIMEOUT): keys are unique, so it is only a leak. delete of a missing key is
 *           ERR_NOT_FOUND. Nothing above lists the store except audits.
 *
 * Keys:     "<user>/mails/<oid>": UTF-8, no NUL, at most 512 bytes; no component is empty, ".",
 *           "..", longer than 255 bytes or begins with ".tmp-". Anything else is ERR_INVALID before
 *           any driver sees it.
 *
 * Counters: every driver counts its requests (objects_counters), so that tests can state costs.
 *
 * Extend:   write x.c with a `const struct objects_driver`, list it in drivers.c; the contract suite
 *           (contract_test.c) runs against every entry. */
#pragma once

#include "base/base.h"

struct config_scope;
struct objects;

struct objects_counters {
	uint64_t puts, gets, deletes, stats, copies, bytes_in, bytes_out, failures;
};
struct object_info {
	uint64_t size_bytes; /* as stored by this level: compressed below `compress` */
	int64_t wall_us;     /* when it was stored, if the driver knows; else 0 */
};
/* What a store may keep beside the bytes, for recovery: "guid", "size", "received" ... without the
 * store's own prefix (sheet storage 9.7). At most OBJECTS_META_BYTES in all. */
struct object_meta {
	struct str name, value;
	bool is_private; /* left out where bodies are encrypted; not kept */
};
struct object_put {
	struct str key;
	const struct str *parts; /* written one after the other as one object */
	size_t part_count;
	const struct object_meta *meta; /* stores without metadata pass over it */
	size_t meta_count;
};
struct object_read {
	/* in */
	struct str key;
	uint64_t offset;
	size_t length; /* SIZE_MAX: to the end */
	/* out */
	struct str body; /* in op's arena */
	enum err result;
};
#define OBJECTS_META_MAX   16 /* entries of one object */
#define OBJECTS_META_BYTES 2048

/* ---- use ---- */

/* Builds the stack of the `fs` blocks in `scope` ("fs compress { fs dictmap { fs posix": the
 * dictmap level belongs to catalog/ and is passed over). ERR_INVALID names the setting. */
enum err objects_open(struct op *op, const struct config_scope *scope, struct objects **out);
/* Builds a stack from text, outermost first: "compress(zstd):posix(/var/vmail)" or "fault:mem".
 * Tests, tools. */
enum err objects_open_text(struct op *op, struct str stack, struct objects **out);
void objects_close(struct objects *o);

/* WAITS. ERR_LIMIT: more metadata than is allowed. A remote store that cannot refuse may answer
 * ERR_NONE for a key that exists: keys are unique. */
enum err objects_put(struct op *op, struct objects *o, const struct object_put *put);
/* WAITS. The whole object, or at most `max_bytes` of it (ERR_LIMIT above), into op's arena. */
enum err objects_get(
	struct op *op, struct objects *o, struct str key, size_t max_bytes, struct str *out);
/* WAITS. Bytes offset .. offset+length-1, fewer at the end of the object. */
enum err objects_get_range(struct op *op, struct objects *o, struct str key, uint64_t offset,
	size_t length, struct str *out);
/* WAITS. Each in parallel within limits; each has its own result (and no text of it is kept).
 * ERR_TIMEOUT, ERR_CANCELLED: the whole call ended early, results that are missing say so too. */
enum err objects_get_many(
	struct op *op, struct objects *o, struct object_read *reads, size_t count);
/* Is each request that no cache answers a round trip? Then it pays to read many at once. */
bool objects_is_remote(const struct objects *o);
/* Starts bringing objects into the nearest cache, if there is one. Never waits, tells no failures. */
void objects_prefetch(struct objects *o, const struct str *keys, size_t count);
/* WAITS. `to` gets the content and the metadata of `from`: by the store itself where it can, else by
 * reading and writing. ERR_NOT_FOUND: no `from`; ERR_EXISTS as with put. */
enum err objects_copy(struct op *op, struct objects *o, struct str from, struct str to);
/* WAITS. In op's arena. ERR_UNSUPPORTED: the store keeps none. */
enum err objects_metadata(struct op *op, struct objects *o, struct str key,
	struct object_meta **out, size_t *out_count);
/* WAITS. */
enum err objects_delete(struct op *op, struct objects *o, struct str key);
/* WAITS. Deletes many in parallel within limits; a missing key is not an error. */
enum err objects_delete_many(
	struct op *op, struct objects *o, const struct str *keys, size_t count);
/* WAITS. */
enum err objects_stat(struct op *op, struct objects *o, struct str key, struct object_info *out);
/* WAITS. Offline audit only: calls fn for each key under `prefix`, in no order. */
typedef enum err objects_iter_fn(
	struct op *op, struct str key, const struct object_info *info, void *arg);
enum err objects_iter(
	struct op *op, struct objects *o, struct str prefix, objects_iter_fn *fn, void *arg);

/* Of the level that does the real requests: the innermost one. */
struct objects_counters objects_counters(const struct objects *o);

/* ---- drivers ---- */

struct objects_driver {
	const char *name; /* as written in the configuration */
	bool is_wrapper;  /* holds another store */
	bool is_remote;   /* each request is a round trip to another host */
	enum err (*open)(struct op *op, const struct config_scope *scope, struct str argument,
		struct objects *inner, struct objects **out);
	void (*close)(struct objects *o); /* closes inner ones too */
	enum err (*put)(struct op *op, struct objects *o, const struct object_put *put);
	enum err (*get)(struct op *op, struct objects *o, struct str key, uint64_t offset,
		size_t length, struct str *out);
	enum err (*remove)(struct op *op, struct objects *o, struct str key);
	enum err (*stat)(struct op *op, struct objects *o, struct str key, struct object_info *out);
	enum err (*iter)(struct op *op, struct objects *o, struct str prefix, objects_iter_fn *fn,
		void *arg);
	/* May be NULL: a wrapper's is its inner store's then, a store's is read and written. */
	enum err (*copy)(struct op *op, struct objects *o, struct str from, struct str to);
	/* May be NULL: one by one, in parallel. A missing key is not an error. */
	enum err (*remove_many)(
		struct op *op, struct objects *o, const struct str *keys, size_t count);
	/* May be NULL: a wrapper's is its inner store's then, a store has none. */
	enum err (*metadata)(struct op *op, struct objects *o, struct str key,
		struct object_meta **out, size_t *out_count);
	/* May be NULL: a wrapper's is its inner store's then, a store does nothing. */
	void (*prefetch)(struct objects *o, const struct str *keys, size_t count);
};
struct objects {
	const struct objects_driver *driver;
	struct objects *inner; /* owned; NULL for stores */
	struct objects_counters counters;
	int64_t failing_since_wall_us; /* no request was answered since then; 0: the last one was */
};
extern const struct objects_driver *const objects_drivers[]; /* NULL-terminated */

/* The fault wrapper's controls (tests and simulation). */
struct objects_fault_plan {
	int64_t fail_at;       /* fail the n-th request from now, 1-based; 0: none */
	bool fail_after_doing; /* carry it out, then say ERR_UNAVAILABLE: an uncertain result */
	bool fail_from_there;  /* and every later one */
	int64_t delay_us;
};
void objects_fault_set(
	struct objects *o, const struct objects_fault_plan *plan); /* ASSERTs a fault level */
