/* SPDX-License-Identifier: Apache-2.0 */
/* The user's mailbox names: changes are op rows of the root scope, durable before they are told; the
 * root head is a snapshot of their fold, rewritten at close when enough has gathered. */
#include "store/store_private.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/number.h"
#include "base/random.h"

static const struct catalog_guid root_scope;

/* ---- listing ---- */

static int compare_entries(const void *a, const void *b)
{
	const struct tree_entry *x = a, *y = b;
	bool x_inbox = str_eq(x->name, STR("INBOX")), y_inbox = str_eq(y->name, STR("INBOX"));
	if (x_inbox != y_inbox)
		return x_inbox ? -1 : 1;
	/* Bytewise, with the shorter first: a parent stands before its children. */
	size_t n = MIN(x->name.n, y->name.n);
	int c = memcmp(x->name.p, y->name.p, n);
	return c ? c : (x->name.n > y->name.n) - (x->name.n < y->name.n);
}

struct listing {
	struct op *op;
	struct map names; /* name -> entry */
	char separator;
};

static struct tree_entry *listing_entry(struct listing *l, struct str name)
{
	struct tree_entry *e = map_get(&l->names, name);
	if (e)
		return e;
	e = ARENA_NEW(l->op->arena, struct tree_entry);
	e->name = str_dup(l->op->arena, name);
	e->special_use = STR("");
	(void)map_set(&l->names, e->name, e);
	return e;
}

static void listing_mark_parents(struct listing *l, struct str name, unsigned flags)
{
	ssize_t at;
	while ((at = str_find_last_byte(name, l->separator)) > 0) {
		name = str_slice(name, 0, (size_t)at);
		struct tree_entry *e = listing_entry(l, name);
		if ((e->flags & flags) == flags)
			return; /* those above have them too */
		e->flags |= flags;
	}
}

static void listing_fill(struct listing *l, const struct tree *t)
{
	struct map_entry m;
	size_t at = 0;
	while (map_next(&t->names, &at, &m)) {
		const struct tree_node *n = m.value;
		struct tree_entry *e = listing_entry(l, n->name);
		e->flags |= TREE_SELECTABLE;
		e->special_use = str_dup(l->op->arena, n->special_use);
	}
	for (at = 0; map_next(&t->names, &at, &m);)
		listing_mark_parents(l, m.key, TREE_HAS_CHILDREN);
	for (at = 0; map_next(&t->subscriptions, &at, &m);) {
		const struct tree_subscription *s = m.value;
		if (!s->is_on)
			continue;
		struct tree_entry *e = listing_entry(l, s->name);
		if (!(e->flags & (TREE_SELECTABLE | TREE_HAS_CHILDREN)))
			e->flags |= TREE_NONEXISTENT;
		e->flags |= TREE_SUBSCRIBED;
	}
	for (at = 0; map_next(&t->subscriptions, &at, &m);)
		if (((const struct tree_subscription *)m.value)->is_on)
			listing_mark_parents(l, m.key, TREE_CHILD_SUBSCRIBED);
}

/* A parent that only a subscription implies does not exist either. */
static void entry_settle(struct tree_entry *e)
{
	if (!(e->flags & (TREE_SELECTABLE | TREE_HAS_CHILDREN)))
		e->flags |= TREE_NONEXISTENT;
}

enum err tree_list(struct op *op, struct user *u, struct tree_entry **out, size_t *out_count)
{
	struct listing l = { .op = op, .separator = u->store->settings.separator };
	map_init(&l.names);
	listing_fill(&l, &u->tree);
	struct tree_entry *entries = ARENA_NEW_ARRAY(op->arena, struct tree_entry, l.names.count);
	struct map_entry m;
	size_t at = 0, n = 0;
	while (map_next(&l.names, &at, &m)) {
		entries[n] = *(struct tree_entry *)m.value;
		entry_settle(&entries[n++]);
	}
	map_done(&l.names);
	qsort(entries, n, sizeof(*entries), compare_entries);
	*out = entries;
	*out_count = n;
	return ERR_NONE;
}

enum err tree_lookup(struct op *op, struct user *u, struct str name, struct tree_entry *out)
{
	struct str canonical;
	TRY(name_check(op, u->store, name, &canonical));
	struct listing l = { .op = op, .separator = u->store->settings.separator };
	map_init(&l.names);
	listing_fill(&l, &u->tree);
	struct tree_entry *e = map_get(&l.names, canonical);
	if (e) {
		*out = *e;
		entry_settle(out);
	}
	map_done(&l.names);
	return e ? ERR_NONE : op_fail(op, ERR_NOT_FOUND, "no mailbox %.*s", STRF(canonical));
}

/* ---- changing ---- */

static struct catalog_guid guid_of_text(struct buf *text)
{
	struct catalog_guid guid;
	put_be64(guid.bytes, hash_stable(buf_str(text)));
	buf_put(text, STR(" again"));
	put_be64(guid.bytes + 8, hash_stable(buf_str(text)));
	return guid;
}

struct catalog_guid tree_inbox_guid(const struct user *u)
{
	AUTO_BUF(text, 0);
	buf_putf(&text, "inbox %" PRIu64 " %.*s", u->tree.generation, STRF(u->name));
	return guid_of_text(&text);
}

/* What a user begins with is the same whoever makes him: a host that failed to may have done it after all, and
 * its rows come when others have long used theirs. Who has an INBOX gets new ones: the first may be removed. */
static struct catalog_guid first_guid(const struct user *u, struct str name)
{
	AUTO_BUF(text, 0);
	buf_putf(&text, "first %" PRIu64 " %.*s %.*s", u->tree.generation, STRF(u->name),
		STRF(name));
	return guid_of_text(&text);
}

static uint32_t next_uid_validity(const struct tree *t)
{
	uint32_t now = (uint32_t)(now_wall_us() / US_PER_SEC);
	return MAX(now, t->last_uid_validity + 1);
}

static struct catalog_guid random_guid(void)
{
	struct catalog_guid guid;
	random_bytes(guid.bytes, sizeof(guid.bytes));
	return guid;
}

/* `created` counts those of the same batch. */
static void put_create(struct batch *b, struct catalog_guid guid, struct str name,
	struct str special_use, uint32_t created)
{
	struct user *u = b->user;
	struct row_id id = row_id_of(guid);
	AUTO_BUF(value, 0);
	row_tree_create_encode(
		&value, &id, name, special_use, next_uid_validity(&u->tree) + created);
	batch_put_op(b, root_scope, 0, &value);
}

static void put_subscribe(struct batch *b, struct str name, bool is_on)
{
	AUTO_BUF(value, 0);
	row_tree_subscribe_encode(&value, name, is_on);
	batch_put_op(b, root_scope, 0, &value);
}

/* What every user needs and does not have. */
static void put_defaults(struct batch *b)
{
	struct user *u = b->user;
	const struct store_settings *s = &u->store->settings;
	uint32_t created = 0;
	bool is_first = !tree_find(&u->tree, STR("INBOX"));
	if (is_first) {
		put_create(b, tree_inbox_guid(u), STR("INBOX"), STR(""), created++);
		if (map_get(&u->tree.subscriptions, STR("INBOX")) == NULL)
			put_subscribe(b, STR("INBOX"), true);
	}
	for (size_t i = 0; i < s->default_count; i++) {
		const struct store_default_mailbox *d = &s->defaults[i];
		bool is_new = !tree_find(&u->tree, d->name) && !str_eq(d->name, STR("INBOX"));
		if (is_new && d->auto_create)
			put_create(b, is_first ? first_guid(u, d->name) : random_guid(), d->name,
				d->special_use, created++);
		if (d->auto_subscribe && !map_get(&u->tree.subscriptions, d->name))
			put_subscribe(b, d->name, true);
	}
}

enum err tree_create_first(struct op *op, struct user *u)
{
	struct batch *b = batch_new(u);
	AUTO_BUF(head, 0);
	tree_encode(&u->tree, &head);
	tree_claim(b, u);
	batch_put_head(b, root_scope, HEAD_ROOT_KEY, &head);
	put_defaults(b);
	return user_write(op, u, b);
}

enum err tree_create_defaults(struct op *op, struct user *u)
{
	struct batch *b = batch_new(u);
	put_defaults(b);
	if (b->count > 0) {
		tree_claim(b, u);
		return user_write(op, u, b);
	}
	batch_free(b);
	return ERR_NONE;
}

/* WAITS. */
static enum err tree_begin(struct op *op, struct user *u)
{
	TRY(task_mutex_lock(op, &u->tree_lock));
	/* Before names are given: those of a wrong clock would win over all that others change later. */
	enum err e = store_check_clock(op, u->store);
	if (e == ERR_NONE)
		e = user_settle(op, u);
	if (e == ERR_NONE)
		e = user_look(op, u);
	if (e != ERR_NONE)
		task_mutex_unlock(&u->tree_lock);
	return e;
}

static enum err refuse(struct op *op, enum err class, const char *text)
{
	enum err e = op_fail(op, class, "%s", text);
	op_tell_client(op, "%s", text);
	return e;
}

static enum err create_locked(
	struct op *op, struct user *u, struct str name, struct str special_use)
{
	struct map_entry e;
	size_t at = 0;
	if (tree_find(&u->tree, name))
		return refuse(op, ERR_EXISTS, "Mailbox already exists");
	if (u->tree.names.count >= u->store->settings.mailboxes_max)
		return refuse(op, ERR_LIMIT, "Too many mailboxes");
	if (special_use.n > ROW_SPECIAL_USE_MAX)
		return refuse(op, ERR_INVALID, "Unknown special use");
	while (special_use.n > 0 && map_next(&u->tree.names, &at, &e))
		if (str_eq_ci(((const struct tree_node *)e.value)->special_use, special_use))
			return refuse(op, ERR_CONFLICT, "Another mailbox has this use");
	struct batch *b = batch_new(u);
	tree_claim(b, u);
	put_create(b, random_guid(), name, special_use, 0);
	return user_write(op, u, b);
}

enum err tree_create(struct op *op, struct user *u, struct str name, struct str special_use)
{
	struct str canonical;
	TRY(name_check(op, u->store, name, &canonical));
	TRY(tree_begin(op, u));
	enum err e = create_locked(op, u, canonical, special_use);
	task_mutex_unlock(&u->tree_lock);
	return e;
}

enum err tree_subscribe(struct op *op, struct user *u, struct str name, bool is_subscribed)
{
	struct str canonical;
	TRY(name_check(op, u->store, name, &canonical));
	TRY(tree_begin(op, u));
	const struct tree_subscription *s = map_get(&u->tree.subscriptions, canonical);
	enum err e = ERR_NONE;
	if (is_subscribed != (s && s->is_on)) {
		struct batch *b = batch_new(u);
		tree_claim(b, u);
		put_subscribe(b, canonical, is_subscribed);
		e = user_write(op, u, b);
	}
	task_mutex_unlock(&u->tree_lock);
	return e;
}

/* ---- removing ---- */

static enum err write_remove(struct op *op, struct user *u, struct catalog_guid guid)
{
	struct batch *b = batch_new(u);
	struct row_id id = row_id_of(guid);
	struct catalog_name queued = user_mint(u);
	AUTO_BUF(value, 0);
	tree_claim(b, u);
	row_tree_remove_encode(&value, &id);
	batch_put_op(b, root_scope, 0, &value);
	batch_garbage(b, STORE_PURGE_OBJECT, guid, 0, queued, queued);
	return user_write(op, u, b);
}

/* Of unknown fate it stays shut, until it is settled. */
static void keep_shut(struct user *u, struct catalog_guid guid, enum err e)
{
	struct tree_node *node = tree_find_guid(&u->tree, guid);
	if (node)
		node->is_going = e == ERR_UNAVAILABLE;
}

/* An open mailbox takes no more mail from before the row is written; if that fails for sure it goes
 * on as before. */
static enum err remove_open(struct op *op, struct user *u, struct mailbox *m)
{
	TRY(mailbox_write_begin(op, m));
	m->is_removed = true;
	enum err e = write_remove(op, u, m->guid);
	keep_shut(u, m->guid, e);
	m->is_removed = e == ERR_NONE || e == ERR_UNAVAILABLE;
	if (m->is_removed)
		mailbox_mark_removed(m);
	mailbox_write_end(m);
	return e;
}

/* Nobody has it open, and nobody opens it while the row is written: a mail saved behind that row would
 * be acknowledged and go with the mailbox. */
static enum err remove_closed(struct op *op, struct user *u, struct tree_node *node)
{
	struct catalog_guid guid = node->guid;
	node->is_going = true;
	enum err e = write_remove(op, u, guid);
	keep_shut(u, guid, e);
	if (e == ERR_NONE)
		local_remove(op, u, guid);
	return e;
}

static enum err remove_locked(struct op *op, struct user *u, struct str name)
{
	struct tree_node *node = tree_find(&u->tree, name);
	if (!node)
		return refuse(op, ERR_NOT_FOUND, "Mailbox does not exist");
	struct catalog_guid guid = node->guid;
	struct mailbox *m = user_find_mailbox(u, guid);
	if (!m)
		return remove_closed(op, u, node);
	(void)mailbox_ref(m);
	while (m->state == OPENING && wait_queue_wait(op, &m->changed) == ERR_NONE)
		;
	enum err e = m->state == OPEN ? remove_open(op, u, m)
				      : op_fail(op, ERR_UNAVAILABLE, "the mailbox is not open");
	mailbox_unref(m);
	if (e == ERR_NONE)
		local_remove(op, u, guid);
	return e;
}

enum err tree_remove(struct op *op, struct user *u, struct str name)
{
	struct str canonical;
	TRY(name_check(op, u->store, name, &canonical));
	if (str_eq(canonical, STR("INBOX")))
		return refuse(op, ERR_DENIED, "INBOX cannot be deleted");
	TRY(tree_begin(op, u));
	enum err e = remove_locked(op, u, canonical);
	task_mutex_unlock(&u->tree_lock);
	return e;
}

/* ---- renaming ---- */

/* The mailbox itself and those below it; none if there is no such name. */
static enum err put_renames(
	struct op *op, struct batch *b, struct str from, struct str to, size_t *out_count)
{
	struct user *u = b->user;
	char separator = u->store->settings.separator;
	struct row_rename *renames =
		ARENA_NEW_ARRAY(op->arena, struct row_rename, u->tree.names.count);
	struct map_entry e;
	size_t at = 0, n = 0;
	while (map_next(&u->tree.names, &at, &e)) {
		bool is_below =
			e.key.n > from.n && str_starts(e.key, from) && e.key.p[from.n] == separator;
		if (!is_below && !str_eq(e.key, from))
			continue;
		struct str name = str_printf(
			op->arena, "%.*s%.*s", STRF(to), STRF(str_slice(e.key, from.n, e.key.n)));
		TRY(name_check(op, u->store, name, &name));
		if (tree_find(&u->tree, name))
			return refuse(op, ERR_EXISTS, "Mailbox already exists");
		renames[n++] =
			(struct row_rename){ row_id_of(((const struct tree_node *)e.value)->guid),
				name };
	}
	AUTO_BUF(value, 0);
	row_tree_rename_encode(&value, renames, n);
	batch_put_op(b, root_scope, 0, &value);
	*out_count = n;
	return ERR_NONE;
}

static enum err rename_locked(struct op *op, struct user *u, struct str from, struct str to)
{
	size_t count = 0;
	if (tree_find(&u->tree, to))
		return refuse(op, ERR_EXISTS, "Mailbox already exists");
	struct batch *b = batch_new(u);
	tree_claim(b, u);
	enum err e = put_renames(op, b, from, to, &count);
	if (e == ERR_NONE && count == 0)
		e = refuse(op, ERR_NOT_FOUND, "Mailbox does not exist");
	if (e == ERR_NONE)
		return user_write(op, u, b);
	batch_free(b);
	return e;
}

/* RFC 9051 §6.3.6: INBOX stays, empty; its children do not move. */
static enum err rename_inbox(struct op *op, struct user *u, struct str to)
{
	struct mailbox *inbox, *target;
	struct copy_result ignored;
	TRY(tree_create(op, u, to, STR("")));
	TRY(mailbox_open(op, u, STR("INBOX"), &inbox));
	enum err e = mailbox_open(op, u, to, &target);
	if (e == ERR_NONE) {
		struct range_set uids;
		range_set_init(&uids);
		for (uint32_t at = 0; at < index_count(inbox->index); at++) {
			const struct snapshot_hot *hot = index_hot(inbox->index, at);
			if (!index_is_ghost(hot))
				range_set_add(&uids, hot->uid, hot->uid);
		}
		e = mailbox_transfer(op, inbox, target, &uids, true, &ignored);
		range_set_done(&uids);
		mailbox_unref(target);
	}
	mailbox_unref(inbox);
	return e;
}

enum err tree_rename(struct op *op, struct user *u, struct str from, struct str to)
{
	struct str old, new;
	char separator = u->store->settings.separator;
	TRY(name_check(op, u->store, from, &old));
	TRY(name_check(op, u->store, to, &new));
	if (str_eq(old, STR("INBOX")))
		return rename_inbox(op, u, new);
	if (new.n > old.n && str_starts(new, old) && new.p[old.n] == separator)
		return refuse(op, ERR_INVALID, "A mailbox cannot be moved below itself");
	TRY(tree_begin(op, u));
	enum err e = rename_locked(op, u, old, new);
	task_mutex_unlock(&u->tree_lock);
	return e;
}
