/* SPDX-License-Identifier: Apache-2.0 */
/* LIST and LSUB: which names are shown, and with which attributes (RFC 3501 §6.3.8, §6.3.9;
 * RFC 5258, 5819, 6154; sheet protocols §4.8).
 *
 * In three steps over a copy of the tree, so that a STATUS in between may wait: mark the names that
 * match a pattern and those that meet the criteria; tell every ancestor of the latter; print.
 * Shown is a matching name that meets the criteria, or, with RECURSIVEMATCH and in LSUB, one with a
 * descendant that does but is not shown itself (RFC 5258 §3.3). */
#include "base/map.h"
#include "service/imap/imap_private.h"
#include "service/imap/list_match.h"

struct entry {
	struct tree_entry tree;
	bool is_match;
	bool is_met;           /* the criteria */
	bool has_met;          /* a descendant that meets them */
	bool has_met_unlisted; /* one that matches no pattern */
};

struct listing {
	struct imap_run *x;
	const struct imap_list *what;
	bool is_lsub;
	struct list_pattern *patterns;
	size_t pattern_count;
	struct entry *entries;
	size_t count;
	struct map names; /* name -> struct entry */
};

/* ---- marking ---- */

static void make_patterns(struct listing *l)
{
	const struct imap_list *what = l->what;
	struct arena *arena = l->x->op->arena;
	char separator = l->x->session->settings->separator;
	l->patterns = ARENA_NEW_ARRAY(arena, struct list_pattern, what->pattern_count + 1);
	for (size_t i = 0; i < what->pattern_count; i++) {
		/* RFC 5258 §3: an empty pattern among others matches nothing. No name is so long as to
		 * match after such a reference, which would be copied for each pattern. */
		if (what->patterns[i].n > 0 && what->reference.n <= LIST_NAME_MAX)
			l->patterns[l->pattern_count++] =
				list_pattern_make(arena, imap_name_nfc(arena, what->reference),
					imap_name_nfc(arena, what->patterns[i]), separator);
	}
}

/* WAITS. */
static bool is_match(const struct listing *l, struct str name)
{
	for (size_t i = 0; i < l->pattern_count; i++) {
		if (list_pattern_matches(&l->patterns[i], name))
			return true;
		task_breathe();
	}
	return false;
}

static bool is_met(const struct listing *l, const struct tree_entry *t)
{
	uint32_t select = l->what->select;
	bool needs_subscription = l->is_lsub || (select & IMAP_LIST_SELECT_SUBSCRIBED);
	if (needs_subscription && !(t->flags & TREE_SUBSCRIBED))
		return false;
	if (!needs_subscription && (t->flags & TREE_NONEXISTENT))
		return false;
	return !(select & IMAP_LIST_SELECT_SPECIAL_USE) || t->special_use.n > 0;
}

static enum err read_tree(struct listing *l)
{
	struct op *op = l->x->op;
	struct tree_entry *tree;
	TRY(tree_list(op, l->x->session->user, &tree, &l->count));
	l->entries = ARENA_NEW_ARRAY(op->arena, struct entry, l->count + 1);
	for (size_t i = 0; i < l->count; i++)
		l->entries[i].tree = tree[i];
	return ERR_NONE;
}

/* WAITS. */
static void mark(struct listing *l)
{
	for (size_t i = 0; i < l->count; i++) {
		struct entry *e = &l->entries[i];
		e->is_match = is_match(l, e->tree.name);
		e->is_met = is_met(l, &e->tree);
		(void)map_set(&l->names, e->tree.name, e);
		task_breathe();
	}
}

/* Every level above a name that meets the criteria learns of it. */
static void tell_ancestors(struct listing *l)
{
	char separator = l->x->session->settings->separator;
	for (size_t i = 0; i < l->count; i++) {
		const struct entry *e = &l->entries[i];
		struct str name = e->tree.name;
		ssize_t at;
		while (e->is_met && (at = str_find_last_byte(name, separator)) > 0) {
			name.n = (size_t)at;
			struct entry *above = map_get(&l->names, name);
			if (!above)
				continue;
			above->has_met = true;
			above->has_met_unlisted |= !e->is_match;
		}
	}
}

/* ---- printing ---- */

static bool is_shown(const struct listing *l, const struct entry *e)
{
	bool is_recursive = l->is_lsub || (l->what->select & IMAP_LIST_SELECT_RECURSIVEMATCH);
	return e->is_match && (e->is_met || (is_recursive && e->has_met_unlisted));
}

static void put_attribute(struct buf *out, bool *is_first, struct str attribute)
{
	if (!*is_first)
		buf_put_byte(out, ' ');
	*is_first = false;
	buf_put(out, attribute);
}

static void put_list_attributes(const struct listing *l, const struct entry *e)
{
	const struct imap_list *what = l->what;
	struct buf *out = l->x->out;
	unsigned flags = e->tree.flags;
	bool is_mailbox = flags & TREE_SELECTABLE, is_first = true;
	bool tells_subscribed = (what->select & IMAP_LIST_SELECT_SUBSCRIBED) ||
				(what->returned & IMAP_LIST_RETURN_SUBSCRIBED);
	bool tells_children = !what->is_extended || (what->returned & IMAP_LIST_RETURN_CHILDREN);
	bool tells_use = !what->is_extended || (what->select & IMAP_LIST_SELECT_SPECIAL_USE) ||
			 (what->returned & IMAP_LIST_RETURN_SPECIAL_USE);
	if (tells_subscribed && (flags & TREE_SUBSCRIBED))
		put_attribute(out, &is_first, STR("\\Subscribed"));
	if (!is_mailbox)
		put_attribute(out, &is_first,
			what->is_extended ? STR("\\NonExistent") : STR("\\Noselect"));
	/* Said of a mere parent in any case: RFC 5258 §3.5. */
	if ((flags & TREE_HAS_CHILDREN) && (tells_children || !is_mailbox))
		put_attribute(out, &is_first, STR("\\HasChildren"));
	else if (tells_children)
		put_attribute(out, &is_first, STR("\\HasNoChildren"));
	if (tells_use && e->tree.special_use.n > 0)
		put_attribute(out, &is_first, e->tree.special_use);
}

/* LSUB: \Noselect says "not subscribed, but something below is" (RFC 3501 §6.3.9). */
static void put_lsub_attributes(const struct listing *l, const struct entry *e)
{
	bool is_first = true;
	bool is_unusable =
		l->x->session->settings->tells_lsub_noselect && !(e->tree.flags & TREE_SELECTABLE);
	if (!(e->tree.flags & TREE_SUBSCRIBED) || is_unusable)
		put_attribute(l->x->out, &is_first, STR("\\Noselect"));
	if (e->tree.special_use.n > 0)
		put_attribute(l->x->out, &is_first, e->tree.special_use);
}

/* RFC 5258 §3.5 */
static void put_child_info(const struct listing *l, const struct entry *e)
{
	uint32_t select = l->what->select;
	bool is_first = true;
	if (!(select & IMAP_LIST_SELECT_RECURSIVEMATCH) || !e->has_met)
		return;
	buf_put(l->x->out, STR(" (\"CHILDINFO\" ("));
	if (select & IMAP_LIST_SELECT_SUBSCRIBED)
		put_attribute(l->x->out, &is_first, STR("\"SUBSCRIBED\""));
	if (select & IMAP_LIST_SELECT_SPECIAL_USE)
		put_attribute(l->x->out, &is_first, STR("\"SPECIAL-USE\""));
	buf_put(l->x->out, STR("))"));
}

/* WAITS. A mailbox that can't tell its status is listed without (RFC 5819 §2). */
static void put_status(const struct listing *l, const struct entry *e)
{
	struct imap_run *x = l->x;
	struct mailbox_status status;
	if (!(l->what->returned & IMAP_LIST_RETURN_STATUS) || !(e->tree.flags & TREE_SELECTABLE))
		return;
	if (mailbox_status(x->op, x->session->user, e->tree.name, &status) == ERR_NONE)
		imap_put_status_line(x, e->tree.name, l->what->status_items, &status);
	else
		op_forgive(x->op);
}

static void put_line(const struct listing *l, const struct entry *e)
{
	struct buf *out = l->x->out;
	buf_put(out, l->is_lsub ? STR("* LSUB (") : STR("* LIST ("));
	if (l->is_lsub)
		put_lsub_attributes(l, e);
	else
		put_list_attributes(l, e);
	buf_put(out, STR(") "));
	imap_put_separator(out, l->x->session->settings->separator);
	buf_put_byte(out, ' ');
	imap_put_mailbox(out, e->tree.name);
	put_child_info(l, e);
	buf_put(out, STR("\r\n"));
}

/* WAITS. */
static enum err put_lines(const struct listing *l)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct entry *e = &l->entries[i];
		if (!is_shown(l, e))
			continue;
		struct arena_mark mark = arena_mark(l->x->op->arena);
		put_line(l, e);
		put_status(l, e);
		arena_rewind(l->x->op->arena, mark);
		TRY(imap_check_output(l->x->op, l->x->session));
	}
	return ERR_NONE;
}

/* The separator and the root of the names: `LIST "" ""`. */
static void put_root(const struct listing *l)
{
	struct buf *out = l->x->out;
	buf_put(out, l->is_lsub ? STR("* LSUB (\\Noselect) ") : STR("* LIST (\\Noselect) "));
	imap_put_separator(out, l->x->session->settings->separator);
	buf_put(out, STR(" \"\"\r\n"));
}

/* ---- the commands ---- */

static enum err list_names(struct listing *l)
{
	make_patterns(l);
	TRY(read_tree(l));
	mark(l);
	tell_ancestors(l);
	return put_lines(l);
}

static void run(struct imap_run *x, bool is_lsub, struct str completed)
{
	struct imap_list what;
	struct listing l = { .x = x, .what = &what, .is_lsub = is_lsub };
	if (imap_parse_list(x->cursor, &what) != ERR_NONE || (is_lsub && what.is_extended)) {
		imap_reply_bad_arguments(x);
		return;
	}
	if (!what.is_extended && what.pattern_count == 1 && what.patterns[0].n == 0) {
		put_root(&l);
		imap_reply_ok(x, STR_NONE, completed);
		return;
	}
	if (what.status_items & IMAP_STATUS_HIGHESTMODSEQ)
		imap_enable_condstore(x);
	map_init(&l.names);
	enum err e = list_names(&l);
	map_done(&l.names);
	if (x->session->closing_reason)
		return;
	if (e != ERR_NONE)
		imap_reply_failure(x, e);
	else
		imap_reply_ok(x, STR_NONE, completed);
}

void imap_command_list(struct imap_run *x)
{
	run(x, false, STR("List completed."));
}

void imap_command_lsub(struct imap_run *x)
{
	run(x, true, STR("Lsub completed."));
}
