/* SPDX-License-Identifier: Apache-2.0 */
/* config/show.h - a configuration as text again: what doveconf prints, and docs/settings.md. */
#pragma once

#include "config/config.h"

struct config_show_args {
	bool with_defaults;             /* -a: every setting that is not hidden */
	bool with_hidden;               /* -s: also those */
	bool with_equal;                /* -N: what was set to its default, too */
	bool with_secrets;              /* -P */
	bool expands;                   /* -x: references, files, and variables that need no user */
	const char *const *environment; /* for %{env:}, with expands */
};

/* All settings and blocks, in the language itself (sheet core §3). */
void config_show(const struct config *cfg, const struct config_show_args *args, struct buf *out);

/* What counts in a place, its blocks inside: doveconf -f. */
void config_show_place(
	const struct config_scope *scope, const struct config_show_args *args, struct buf *out);

/* The schema's own values: doveconf -d. */
void config_show_defaults(const struct config_show_args *args, struct buf *out);
/* The default of a setting, the values of a group ("@metric_defaults"), or the contents of one
 * ("@metric_defaults/proxy"). ERR_NOT_FOUND: there is none. */
enum err config_show_default(struct op *op, struct str name, bool only_value, struct buf *out);
/* Every name that can be set: name, type, default, between tabs. */
void config_show_import_table(struct buf *out);

/* One setting or block by name or path ("mail_driver", "service/imap/client_limit", "namespace"), as it
 * is in the place `scope`. `only_value` leaves out the name (-h). ERR_NOT_FOUND: there is none. */
enum err config_show_one(struct op *op, const struct config_scope *scope, struct str path,
	bool only_value, const struct config_show_args *args, struct buf *out);

/* The value of one setting, and all that was written for it: where, and why it does not count. */
enum err config_explain(struct op *op, const struct config_scope *scope, struct str path,
	const struct config_show_args *args, struct buf *out);

/* The settings reference in Markdown. */
void config_show_reference(struct buf *out);
