/* SPDX-License-Identifier: Apache-2.0 */
/* config/config.h - the configuration: read once, immutable, shared, cheap to ask.
 *
 * Life:     The master calls config_load(): files -> checked tree, or *all* the problems at once.
 * It writes config_write_snapshot() into a memory file for each role; a child gets that of its role and calls
 * config_read_snapshot(): children read no files, certificates are inside. A reload is a new
 * config; whoever uses the old one keeps it with config_ref(). Asking:   A value depends on where
 * one stands: protocol, addresses, TLS name, and the chain of named blocks ("service imap",
 * "inet_listener imaps"). A `scope` is such a place with every value resolved: one array read per
 * question. Scopes are shared by everybody who stands in the same place and live as long as their
 * config.
 *
 *             const struct config_scope *imap = config_scope(cfg, &(struct config_place){
 *                     .protocol = STR("imap"), .remote_ip = ip });
 *             size_t max = config_u64(imap, SET_imap_max_line_length);
 *             for (size_t i = 0; i < config_block_count(imap, BLOCK_passdb); i++) {
 *                     const struct config_scope *db = config_block_at(imap, BLOCK_passdb, i);
 *                     struct str driver = config_str(db, SET_passdb_driver);
 *             }
 *
 *           Inside a block every other setting can be asked too: a global name set inside the block
 *           is seen there (`passdb x { ssl = no }`).
 * Rules:    One thread: resolving fills a cache inside the config. Values that were looked up may
 * be read by offload jobs while the caller holds the config. Texts may hold %{variables}: expand.h,
 * at the moment of use. Numbers, times and sizes are checked when the file is read, so lookups
 * cannot fail. Extend:   a setting is one row in schema.def; a block is one row in blocks.def. */
#pragma once

#include "base/base.h"

struct config;
struct config_scope;

enum config_setting {
#define SECTION(title)
#define SETTING(name, type, default_text, choices, flags, doc) SET_##name,
#include "config/schema.def"
#undef SETTING
#undef SECTION
	SET_COUNT
};

enum config_block {
#define BLOCK(name, kind, inside, driver_setting, doc) BLOCK_##name,
#include "config/blocks.def"
#undef BLOCK
	BLOCK_COUNT
};

/* ---- reading files ----------------------------------------------------------------------------
 */

/* What is wrong with a configuration, and where. Collected, never printed by this folder. */
struct config_problem {
	struct str file; /* empty: no place (a missing setting, a command line override) */
	unsigned line;   /* 1-based; 0 as above */
	unsigned column; /* 1-based byte; 0: the whole line */
	bool is_warning;
	struct str text;
	struct str hint; /* what to do about it; may be empty */
};
#define CONFIG_PROBLEMS_MAX 100
struct config_problems {
	struct config_problem *items; /* in the op's arena, in order of appearance */
	size_t count;
	size_t error_count;   /* of those kept, that are no warnings */
	size_t dropped_count; /* beyond CONFIG_PROBLEMS_MAX */
	/* For level debug: settings that are accepted though their feature is not there. */
	struct config_problem *notes;
	size_t note_count; /* up to CONFIG_PROBLEMS_MAX */
};

struct config_load_args {
	const char *path; /* the main file; NULL: `text` alone */
	struct str text;  /* used when path is NULL; includes are relative to "." */
	const char *const
		*overrides; /* "key=value", "service/imap/client_limit=5"; ends with NULL */
	const char *const *environment; /* for $ENV: and %{env:}; "NAME=value"; ends with NULL */
	bool reads_files;   /* load the contents of settings of type file (needs the right to) */
	bool skips_unknown; /* unknown settings are warnings (doveconf -U) */
	bool skips_checks;  /* only what single values show: for questions about one setting */
	bool is_offline; /* no host name is looked up: local and remote blocks with one match nothing */
};

/* The file that is used without -c: /etc/pombal/pombal.conf, else /etc/dovecot/dovecot.conf; NULL
 * if neither exists. */
const char *config_default_path(void);

/* Reads, checks and settles a configuration. *problems (never NULL) holds all errors and warnings,
 * also on success. ERR_INVALID: there were errors; the op's text is the first of them.
 * *out is referenced once for the caller. */
enum err config_load(struct op *op, const struct config_load_args *args,
	struct config_problems *problems, struct config **out);

/* One line per problem: "FILE:LINE:COLUMN: Error: TEXT (HINT)". */
void config_problems_print(const struct config_problems *problems, struct buf *out);
/* The same for the notes: "FILE:LINE:COLUMN: Debug: TEXT". */
void config_notes_print(const struct config_problems *problems, struct buf *out);
/* "FILE:LINE:COLUMN: TEXT (HINT)", without the level and the end of the line. */
void config_problem_text(const struct config_problem *problem, struct buf *out);

struct config *config_ref(struct config *cfg);
void config_unref(struct config *cfg); /* NULL is fine */

/* Who reads a snapshot. What a role need not know is not in it (the flags FOR_ of schema.def): such a
 * setting has its default there. */
enum config_reader {
	CONFIG_READER_LOGIN,
	CONFIG_READER_AUTH,
	CONFIG_READER_MAIL,
	CONFIG_READER_DOVEADM,
	CONFIG_READER_COUNT, /* roles */
	CONFIG_READER_ALL = CONFIG_READER_COUNT,
};

/* The checked configuration as bytes, and back. Snapshots are read by the same build that wrote
 * them: ERR_CORRUPT otherwise. `bytes` is copied. */
void config_write_snapshot(const struct config *cfg, enum config_reader reader, struct buf *out);
enum err config_read_snapshot(struct op *op, struct str bytes, struct config **out);

struct str config_main_path(const struct config *cfg); /* "" when it was read from text */

/* How many defaults differ from those of the file's dovecot_config_version. */
unsigned config_default_changes(const struct config *cfg);

/* ---- scopes -----------------------------------------------------------------------------------
 */

/* Where somebody stands; empty members match only what is not filtered by them. Addresses are texts
 * as in "192.0.2.1" or "2001:db8::1". */
struct config_place {
	struct str protocol;
	struct str local_ip;
	struct str local_name; /* TLS SNI */
	struct str remote_ip;
};

/* Never NULL; `place` NULL means the global scope. Borrowed from cfg. */
const struct config_scope *config_scope(struct config *cfg, const struct config_place *place);

/* A place inside each `local` and `local_name` filter of the files, one after the other, for those who
 * check beforehand what such filters set: start with *at = 0; false at the end. Texts in the arena. */
bool config_place_next(
	struct arena *arena, const struct config *cfg, size_t *at, struct config_place *out);

/* A user's own layer: "key=value" fields from userdb over what the files say, below -o.
 * Fields whose key is no setting are ignored unless the key begins with "set/" or holds a "/".
 * ERR_INVALID names the field that is wrong. The result and all its blocks end with
 * config_scope_free(), before the config does. */
enum err config_scope_new(struct op *op, const struct config_scope *base, const struct str *fields,
	size_t field_count, struct config_scope **out);
void config_scope_free(
	struct config_scope *scope); /* NULL is fine; only those of config_scope_new */

/* Named blocks inside a scope, in order of evaluation: those of protocol {} filters first for
 * passdb and userdb, then by first appearance. In a block's scope: the blocks nested in it. */
size_t config_block_count(const struct config_scope *scope, enum config_block block);
const struct config_scope *config_block_at(
	const struct config_scope *scope, enum config_block block, size_t i);
/* NULL: there is none of that name. Blocks without names (`obox {`): pass STR_NONE; never NULL. */
const struct config_scope *config_block_get(
	const struct config_scope *scope, enum config_block block, struct str name);
/* The name behind the keyword: "inbox" of `namespace inbox {`; empty in the outermost scope. */
struct str config_scope_name(const struct config_scope *scope);
/* The scope around a block's: there are the blocks that stand beside it. NULL: this is the outermost. */
const struct config_scope *config_scope_parent(const struct config_scope *scope);

/* ---- values -----------------------------------------------------------------------------------
 */

/* A wrong accessor for a setting's type aborts (ASSERT): types are in schema.def. */
struct str config_str(
	const struct config_scope *scope, enum config_setting id); /* any scalar type */
bool config_bool(const struct config_scope *scope, enum config_setting id);
/* UINT and OCTAL; CONFIG_UNLIMITED for "unlimited". */
uint64_t config_u64(const struct config_scope *scope, enum config_setting id);
#define CONFIG_UNLIMITED UINT64_MAX
uint64_t config_size(const struct config_scope *scope, enum config_setting id); /* bytes */
int64_t config_time_us(const struct config_scope *scope, enum config_setting id);
#define CONFIG_TIME_INFINITE INT64_MAX
uint16_t config_port(const struct config_scope *scope, enum config_setting id);
/* Position in the row's list of choices, from 0. */
unsigned config_enum(const struct config_scope *scope, enum config_setting id);
bool config_is(const struct config_scope *scope, enum config_setting id, struct str value);
/* Content of a setting of type file; config_str() gives the path. Empty if none is set or the file
 * was not read (reads_files). */
struct str config_file(const struct config_scope *scope, enum config_setting id);

/* Members of boolean lists (only those that are "yes") and string lists, in the order written: start with
 * *at = 0; false at the end. */
struct config_item {
	struct str key;
	struct str value;
};
bool config_list_next(const struct config_scope *scope, enum config_setting id, size_t *at,
	struct config_item *out);
bool config_list_has(const struct config_scope *scope, enum config_setting id, struct str key);
/* A boolean list's member was set to "no": takes away what code has by default (imap_capability). */
bool config_list_refuses(const struct config_scope *scope, enum config_setting id, struct str key);
/* Is `ip` in one of the networks ("10.0.0.0/8 ::1") of a list of type NETWORKS? */
bool config_networks_have(const struct config_scope *scope, enum config_setting id, struct str ip);

/* `path`, put below state_dir when it is relative: for mail_home, sqlite_path, fs_posix_prefix,
 * passwd_file_path after their variables are expanded. */
struct str config_state_path(
	struct arena *arena, const struct config_scope *scope, struct str path);

/* Did somebody set it, in files, groups, overrides or the service catalogue? */
bool config_is_set(const struct config_scope *scope, enum config_setting id);
