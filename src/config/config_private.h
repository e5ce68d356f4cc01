/* SPDX-License-Identifier: Apache-2.0 */
/* config/config_private.h - how a configuration is held in memory.
 *
 * A configuration is a list of *nodes*. A node is one place where settings were written: the outermost
 * level, a connection filter ("protocol imap {") or a block ("service imap {"); it knows its parent.
 * Every node belongs to a *layer*; each layer is a tree of its own with the same kinds of places:
 *
 *   DEFAULT  schema.def     BUILTIN  the service catalogue (builtin.c)   GROUP  contents of used groups
 *   FILE     the files      USER     a user's fields                     COMMAND  -o
 *
 * What a scope sees is the nodes that apply to it, from the weakest to the strongest: by layer, number of
 * named blocks, number of unnamed blocks, order of appearance (scope.c).
 *
 * Files: source.c reads files and includes -> lexer.c cuts lines -> parse.c understands statements and
 * fills nodes (tree.c) with values (value.c) -> settle.c resolves references, adds groups, checks. */
#pragma once

#include "base/base.h"
#include "config/config.h"

/* ---- the schema as tables (schema.c) ---- */

enum config_type {
	CONFIG_TYPE_STRING,
	CONFIG_TYPE_NOVAR,
	CONFIG_TYPE_UINT,
	CONFIG_TYPE_OCTAL,
	CONFIG_TYPE_BOOL,
	CONFIG_TYPE_SIZE,
	CONFIG_TYPE_TIME,
	CONFIG_TYPE_TIME_MS,
	CONFIG_TYPE_PORT,
	CONFIG_TYPE_FILE,
	CONFIG_TYPE_ENUM,
	CONFIG_TYPE_BOOLLIST,
	CONFIG_TYPE_STRLIST,
	CONFIG_TYPE_NETWORKS,
};

enum config_flag {
	CONFIG_FLAG_PLAIN = 0,
	CONFIG_FLAG_HIDDEN = 1,
	CONFIG_FLAG_SECRET = 2,
	CONFIG_FLAG_AUTH = 4,
	CONFIG_FLAG_NOGROUP = 8,
	CONFIG_FLAG_EXTENSION = 16,
	CONFIG_FLAG_ABSENT = 32, /* accepted and checked; the feature is not there */
	CONFIG_FLAG_FOR_LOGIN = 64,
	CONFIG_FLAG_FOR_AUTH = 128,
	CONFIG_FLAG_FOR_MAIL = 256,
	CONFIG_FLAG_FOR_DOVEADM = 512,
};

struct config_row {
	struct str name;
	enum config_type type;
	struct str default_text;
	struct str choices;
	unsigned flags;
	struct str doc;
	const char *section;
};

struct config_block_row {
	struct str name;
	bool has_name;
	bool is_absent;
	enum config_block inside;   /* BLOCK_COUNT: anywhere */
	enum config_setting driver; /* SET_COUNT: none */
	struct str doc;
};

const struct config_row *config_row(enum config_setting id);
const struct config_block_row *config_block_row(enum config_block block);
/* SET_COUNT, BLOCK_COUNT if there is none. */
enum config_setting config_row_find(struct str name);
enum config_block config_block_find(struct str name);
const char *config_row_section(enum config_setting id); /* title in docs/settings.md */
const char *config_type_name(enum config_type type);    /* as in docs/settings.md */
bool config_type_is_list(enum config_type type);
/* Nearest known name of a setting or block, for typing mistakes; empty if nothing is near. `prefix` is
 * the block it was written in ("service"): names are also compared without it. */
struct str config_nearest_name(struct str name, struct str prefix);
struct str config_nearest_word(struct str word, struct str choices);

/* ---- nodes and values (tree.c) ---- */

enum config_layer {
	CONFIG_LAYER_DEFAULT,
	CONFIG_LAYER_BUILTIN,
	CONFIG_LAYER_GROUP,
	CONFIG_LAYER_FILE,
	CONFIG_LAYER_USER,
	CONFIG_LAYER_COMMAND,
};
#define CONFIG_LAYER_COUNT 6

/* Order of nesting: a filter may stand only inside kinds with lower numbers. */
enum config_kind {
	CONFIG_KIND_ROOT,
	CONFIG_KIND_LOCAL,
	CONFIG_KIND_LOCAL_NAME,
	CONFIG_KIND_REMOTE,
	CONFIG_KIND_PROTOCOL,
	CONFIG_KIND_BLOCK,
};

struct config_origin {
	struct str file;
	unsigned line;
	unsigned column;
};

/* A member of a list with $ENV: or $SET: in it: for printing. */
struct config_written {
	struct config_written *next;
	struct str key;
	struct str value; /* what the list holds, to know it again */
	struct str text;
};

struct config_value {
	struct str text; /* scalars: as written, references resolved */
	uint64_t number; /* BOOL UINT OCTAL SIZE PORT; TIME: microseconds; ENUM: position */
	struct config_item *items; /* lists; of BOOLLIST and NETWORKS the value is "yes" or "no" */
	size_t item_count;
	struct str content; /* FILE */
	bool is_whole;      /* a list that replaces what is inherited */
	bool has_reference; /* text still holds $SET: (until settle.c) */
	struct str written; /* with its references and "<file"; p NULL: as text says */
	struct config_written *written_items; /* members of a list that were written otherwise */
	enum config_setting same_as;          /* a default "$SET:x"; SET_COUNT otherwise */
	enum config_layer layer;
	struct config_origin origin;
};

struct config_assignment {
	struct config_assignment *next;
	enum config_setting id;
	bool is_resolving; /* settle.c: to find loops of references */
	struct config_value *value;
};

struct config_group_use {
	struct config_group_use *next;
	struct str label;
	struct str value;
	struct config_origin origin;
};

/* `namespace = a b`: which blocks of a kind count here, and in which order. */
struct config_block_list {
	struct config_block_list *next;
	enum config_block block;
	bool is_whole; /* else names are added (+=) */
	struct str *names;
	size_t count;
};

struct config_network {
	uint8_t bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
	unsigned bits;     /* of 128 */
};

struct config_node {
	struct config_node *parent; /* NULL: root of its layer */
	unsigned index;             /* order of appearance in its tree */
	enum config_layer layer;
	enum config_kind kind;
	enum config_block block; /* kind BLOCK */
	bool is_negated;         /* kind PROTOCOL */
	struct str name;         /* of the block or filter, as written */
	struct config_network
		*networks; /* kinds LOCAL and REMOTE; a host name has several, or none */
	size_t network_count;
	struct config_assignment *first, *last;
	struct config_block_list *block_lists;
	struct config_group_use *group_uses;
	struct config_origin origin;
};

struct config_tree {
	struct arena *arena; /* borrowed: everything in the tree is there */
	struct config_node **nodes;
	size_t count;
	size_t capacity;
	struct config_node *roots[CONFIG_LAYER_COUNT];
};

void config_tree_init(struct config_tree *tree, struct arena *arena);
struct config_node *config_tree_root(struct config_tree *tree, enum config_layer layer);
/* What identifies a node below its parent. */
struct config_node_key {
	enum config_kind kind;
	enum config_block block;
	bool is_negated;
	struct str name;
};
/* The node, made if it is new (*is_new). */
struct config_node *config_tree_child(struct config_tree *tree, struct config_node *parent,
	const struct config_node_key *key, bool *is_new);
struct config_node *config_tree_find(const struct config_tree *tree,
	const struct config_node *parent, const struct config_node_key *key);
/* The same place in another layer. */
struct config_node *config_tree_mirror(
	struct config_tree *tree, struct config_node *node, enum config_layer layer);
struct config_assignment *config_node_get(const struct config_node *node, enum config_setting id);
/* Sets or replaces. */
struct config_assignment *config_node_set(struct config_tree *tree, struct config_node *node,
	enum config_setting id, struct config_value *value);
/* The value that counts in `node`, looking outwards in its layer, then at defaults. */
struct config_assignment *config_tree_value(
	const struct config_tree *tree, const struct config_node *node, enum config_setting id);
/* base with the members of `more` set over it (or `more` alone if it is whole). */
struct config_value *config_value_merge(
	struct arena *arena, const struct config_value *base, const struct config_value *more);
/* Lists as one text, as they would be written inline. */
struct str config_value_text(struct arena *arena, const struct config_value *value);

/* ---- the whole ---- */

struct config_view; /* scopes of one set of matching connection filters, or of one user */

#define CONFIG_MAGIC 0x636f6e66u
struct config {
	uint32_t magic;
	unsigned refs;
	struct arena arena; /* owned: the tree */
	struct config_tree tree;
	struct str path;
	unsigned version;          /* of the language; unknown (0) in a snapshot */
	struct config_view *views; /* owned: cache of scopes (scope.c) */
	bool *has_block;           /* by enum config_block: a node or a list of it is in the tree */
};
struct config *config_new(void);
void config_views_free(struct config *cfg);

/* ---- loading ---- */

/* Everything that lives while a configuration is read. */
struct config_loader {
	struct op *op;
	const struct config_load_args *args;
	struct config_problems *problems;
	struct config *cfg;
	struct config_tree *tree;            /* &cfg->tree, or a user's */
	enum config_layer layer;             /* where statements go now */
	struct config_group_text *groups;    /* defined in files */
	struct config_late_item *late_items; /* members of lists that wait for other settings */
	unsigned version;                    /* of the language: 30100; 0 until it is known */
	bool has_first_setting;
	bool is_literal; /* the text of a setting is a heredoc: nothing in it is special */
	bool told_renames;
	unsigned include_depth;
	const struct config_open_file *open_files; /* for recursion */
};

/* problems.c: "FILE:LINE:COLUMN: Error: TEXT (HINT)", and: everything that was found is kept, up to the limit. */
__attribute__((format(printf, 5, 6))) void config_problem(struct config_loader *ld,
	const struct config_origin *at, bool is_warning, struct str hint, const char *fmt, ...);
void config_problem_print(const struct config_problem *problem, struct buf *out);
#define config_error(ld, at, ...)   config_problem(ld, at, false, STR_NONE, __VA_ARGS__)
#define config_warning(ld, at, ...) config_problem(ld, at, true, STR_NONE, __VA_ARGS__)
/* What is accepted, but does nothing: told at level debug. */
void config_note_absent(struct config_loader *ld, const struct config_origin *at, struct str name);

/* value.c: understands `text` for the type of `id` and stores it in *value. False: problem recorded. */
bool config_value_parse(struct config_loader *ld, enum config_setting id, struct str text,
	const struct config_origin *at, struct config_value *value);
/* One member of a list: "key = text" in the block form. */
bool config_value_add_item(struct config_loader *ld, enum config_setting id,
	struct config_item item, const struct config_origin *at, struct config_value *value);

/* The next word of an inline list; false: the list is at its end, or (*why) broken. */
bool config_list_cut(struct str *rest, struct buf *word, const char **why);

/* address.c: "192.0.2.1", "10.0.0.0/8", "2001:db8::/32". */
bool config_network_parse(struct str text, struct config_network *out);
/* All addresses of a host, in the arena; asks the system's resolver, which may take seconds. */
#define CONFIG_HOST_ADDRESSES_MAX 64
bool config_host_addresses(
	struct arena *arena, struct str host, struct config_network **out, size_t *out_count);
bool config_is_host_name(struct str text);
bool config_network_has(const struct config_network *network, const uint8_t bytes[16]);

/* lexer.c: physical lines to logical ones. */
struct config_line {
	struct str text; /* no comment, no blanks at the ends, continuations joined; never empty */
	unsigned line;
	unsigned column; /* of text's first byte */
};
struct config_lines { /* a text that is being cut */
	struct str rest;
	struct str file;
	unsigned line; /* physical lines already taken */
};
bool config_line_next(
	struct config_loader *ld, struct config_lines *lines, struct config_line *out);
/* The lines up to the one that is `marker`; false: the text ended. */
bool config_heredoc(
	struct config_lines *lines, struct str marker, struct arena *arena, struct str *out);

/* parse.c: all statements of a text, into `node` and below. */
void config_parse(struct config_loader *ld, struct config_lines lines, struct config_node *node);
/* "a/b/c=value" into the loader's layer; `shown` names the source in problems. */
void config_parse_override(
	struct config_loader *ld, struct str text, const struct config_origin *at);
/* Prefix rule: the setting or block that `key` means inside `node`; SET_COUNT / BLOCK_COUNT if none.
 * *in_parent: the name belongs to the node around an unnamed block. */
enum config_setting config_resolve_setting(
	const struct config_node *node, struct str key, bool *in_parent);
enum config_block config_resolve_block(const struct config_node *node, struct str key);

/* A member `key = $SET:x` of a string list, until settle.c. */
struct config_late_item {
	struct config_late_item *next;
	struct config_node *node;
	struct config_value *list;
	struct config_written *written;
	struct config_origin origin;
};

struct config_group_text {
	struct config_group_text *next;
	struct str label;
	struct str value;
	struct config_lines body;
};

/* source.c */
struct config_open_file {
	const struct config_open_file *outer;
	struct str path;
};
/* The contents of a file into the config's arena; false: *why says what happened. */
bool config_file_load(struct config_loader *ld, struct str path, struct str *out, struct str *why);
void config_parse_file(struct config_loader *ld, struct str path, struct config_node *node,
	const struct config_origin *at, bool is_optional);
void config_include(struct config_loader *ld, struct str pattern, struct config_node *node,
	const struct config_origin *at, bool is_optional);
struct str config_path_beside(struct arena *arena, struct str file, struct str path);

/* settle.c: after all files are read. */
void config_settle(struct config_loader *ld);
void config_add_defaults(struct config_loader *ld);
/* The text that `$SET:path` stands for in the value of for_id in `node`; false: problem recorded. */
bool config_reference_text(struct config_loader *ld, struct config_node *node,
	enum config_setting for_id, struct str path, const struct config_origin *at,
	struct str *out);

/* check.c: what only the whole can show; problems are recorded. */
void config_check_mandatory(struct config_loader *ld);
void config_check_semantics(struct config_loader *ld);

/* groups.c */
void config_settle_groups(struct config_loader *ld);

/* history.c: versions as numbers that compare: 3.1.2 is 30102; 2.4 counts as 3.1, our own as the newest. */
#define CONFIG_VERSION_NEWEST UINT32_MAX
unsigned config_version_number(struct str text); /* 0: not supported */
/* The defaults of the file's version, over those of the newest. */
void config_add_old_defaults(struct config_loader *ld);
unsigned config_default_change_count(unsigned version);

/* builtin.c */
extern const struct str config_builtin_services;
/* As of `version`; STR_NONE if there is no such built-in group. */
struct str config_builtin_group(struct str label, struct str value, unsigned version);
struct str config_builtin_group_values(struct str label); /* "english": for hints */
