/* SPDX-License-Identifier: Apache-2.0 */
/* The tree as the fold of its op rows, and as a root head. Last stamp wins for names and
 * subscriptions; removal is final. Two hosts may give one name to two mailboxes: who had it first keeps it,
 * the other is shown as "name-<4 hexadecimal digits of its GUID>" until it is renamed. */
#include "store/store_private.h"

static struct str str_own(struct str s)
{
	return (struct str){ str_new_z(s), s.n };
}

static void str_disown(struct str s)
{
	mem_free((void *)(uintptr_t)s.p);
}

void tree_init(struct tree *t)
{
	*t = (struct tree){ 0 };
	map_init(&t->guids);
	map_init(&t->names);
	map_init(&t->subscriptions);
}

static void node_free(struct tree_node *n)
{
	str_disown(n->name);
	str_disown(n->wanted);
	str_disown(n->special_use);
	mem_free(n);
}

void tree_done(struct tree *t)
{
	for (size_t i = 0; i < t->node_count; i++)
		node_free(t->nodes[i]);
	mem_free(t->nodes);
	map_done(&t->guids);
	map_done(&t->names);
	struct map_entry e;
	size_t at = 0;
	while (map_next(&t->subscriptions, &at, &e)) {
		struct tree_subscription *s = e.value;
		str_disown(s->name);
		mem_free(s);
	}
	map_done(&t->subscriptions);
}

struct tree_node *tree_find(const struct tree *t, struct str name)
{
	return map_get(&t->names, name);
}

static struct str guid_bytes(const struct catalog_guid *guid)
{
	return (struct str){ (const char *)guid->bytes, sizeof(guid->bytes) };
}

struct tree_node *tree_find_guid(const struct tree *t, struct catalog_guid guid)
{
	return map_get(&t->guids, guid_bytes(&guid));
}

static struct str wanted_name(const struct tree_node *n)
{
	return n->wanted.n > 0 ? n->wanted : n->name;
}

static bool is_older(const struct tree_node *a, const struct tree_node *b)
{
	if (a->stamp != b->stamp)
		return a->stamp < b->stamp;
	return memcmp(&a->guid, &b->guid, sizeof(a->guid)) < 0;
}

static void name_let_go(struct tree *t, const struct tree_node *n)
{
	if (map_get(&t->names, n->name) == n)
		(void)map_remove(&t->names, n->name);
}

/* It is shown beside the one that has its name, with as much of its GUID as no other name has. */
static void name_step_aside(struct tree *t, struct tree_node *n)
{
	struct str wanted = n->wanted.n > 0 ? n->wanted : str_own(n->name);
	name_let_go(t, n);
	str_disown(n->name);
	AUTO_BUF(name, 0);
	buf_putf(&name, "%.*s-", STRF(wanted));
	for (size_t i = 0; i < sizeof(n->guid.bytes); i++) {
		buf_putf(&name, "%02x", (unsigned)n->guid.bytes[i]);
		if (i > 0 && !map_get(&t->names, buf_str(&name)))
			break;
	}
	n->name = str_own(buf_str(&name));
	n->wanted = wanted;
	(void)map_set(&t->names, n->name, n);
}

/* Clients of the other host know the name with the mails of the one that steps aside. */
static void name_renew(struct tree *t, struct tree_node *n, const struct tree_node *other)
{
	if (n->uid_validity != other->uid_validity)
		return;
	n->uid_validity++;
	t->last_uid_validity = MAX(t->last_uid_validity, n->uid_validity);
}

static void name_take(struct tree *t, struct tree_node *n)
{
	struct tree_node *other = map_get(&t->names, n->name);
	if (other == n)
		other = NULL;
	if (other && other->wanted.n > 0) { /* one that stepped aside: not its own name */
		(void)map_set(&t->names, n->name, n);
		name_step_aside(t, other);
		return;
	}
	if (other && is_older(other, n)) {
		name_renew(t, other, n);
		name_step_aside(t, n);
		return;
	}
	if (other) {
		name_renew(t, n, other);
		name_step_aside(t, other);
	}
	(void)map_set(&t->names, n->name, n);
}

/* A name is free again: the oldest that stepped aside for it has it. */
static void name_give_back(struct tree *t, struct str name)
{
	struct tree_node *first = NULL;
	for (size_t i = 0; i < t->node_count; i++) {
		struct tree_node *n = t->nodes[i];
		if (!n->is_removed && n->wanted.n > 0 && str_eq(n->wanted, name) &&
			(!first || is_older(n, first)))
			first = n;
	}
	if (!first || map_get(&t->names, name))
		return;
	name_let_go(t, first);
	str_disown(first->name);
	first->name = first->wanted;
	first->wanted = (struct str){ 0 };
	(void)map_set(&t->names, first->name, first);
}

static void node_add(struct tree *t, const struct head_mailbox *m)
{
	struct tree_node *n = MEM_NEW(struct tree_node);
	memcpy(n->guid.bytes, m->guid.bytes, sizeof(n->guid.bytes));
	n->name = str_own(m->name);
	n->special_use = str_own(m->special_use);
	n->uid_validity = m->uid_validity;
	n->stamp = m->stamp;
	n->is_removed = m->is_removed;
	t->nodes = mem_resize(t->nodes, (t->node_count + 1) * sizeof(struct tree_node *));
	t->nodes[t->node_count++] = n;
	(void)map_set(&t->guids, guid_bytes(&n->guid), n);
	if (!n->is_removed)
		name_take(t, n);
	t->last_uid_validity = MAX(t->last_uid_validity, n->uid_validity);
}

static bool node_rename(struct tree *t, struct tree_node *n, struct str name, uint64_t stamp)
{
	if (stamp <= n->stamp)
		return false;
	struct str before = n->name;
	name_let_go(t, n);
	n->stamp = stamp;
	str_disown(n->wanted);
	n->wanted = (struct str){ 0 };
	n->name = str_own(name);
	if (!n->is_removed) {
		name_give_back(t, before);
		name_take(t, n);
	}
	str_disown(before);
	return true;
}

static bool subscription_set(struct tree *t, struct str name, bool is_on, uint64_t stamp)
{
	struct tree_subscription *s = map_get(&t->subscriptions, name);
	if (!s) {
		s = MEM_NEW(struct tree_subscription);
		s->name = str_own(name);
		(void)map_set(&t->subscriptions, s->name, s);
	}
	if (stamp < s->stamp || (stamp == s->stamp && is_on == s->is_on))
		return false;
	s->stamp = stamp;
	s->is_on = is_on;
	return true;
}

static struct catalog_guid guid_of(struct row_id id)
{
	struct catalog_guid guid;
	memcpy(guid.bytes, id.bytes, sizeof(guid.bytes));
	return guid;
}

/* INBOX alone is created under one GUID twice: by who was not told that it had been. */
static bool fold_create(struct tree *t, const struct row_op_value *v, uint64_t stamp)
{
	struct tree_node *n = tree_find_guid(t, guid_of(v->mailbox));
	uint32_t before = n ? n->uid_validity : 0;
	if (n) {
		n->uid_validity = MAX(n->uid_validity, v->uid_validity);
		t->last_uid_validity = MAX(t->last_uid_validity, v->uid_validity);
		return n->uid_validity != before;
	}
	node_add(t, &(struct head_mailbox){ .guid = v->mailbox,
			    .name = v->name,
			    .special_use = v->special_use,
			    .uid_validity = v->uid_validity,
			    .stamp = stamp });
	return true;
}

static bool fold_renames(struct tree *t, struct row_op_value *v, uint64_t stamp)
{
	bool is_news = false;
	struct tree_node *n;
	struct row_rename rename;
	while (row_rename_next(&v->renames, &rename))
		if ((n = tree_find_guid(t, guid_of(rename.mailbox))) != NULL)
			is_news |= node_rename(t, n, rename.name, stamp);
	return is_news;
}

static bool fold_remove(struct tree *t, const struct row_op_value *v, uint64_t stamp)
{
	struct tree_node *n = tree_find_guid(t, guid_of(v->mailbox));
	if (!n || n->is_removed)
		return false;
	n->is_removed = true;
	n->stamp = MAX(n->stamp, stamp);
	name_let_go(t, n);
	name_give_back(t, n->name);
	return true;
}

static enum err fold_op(struct tree *t, struct row_op_value *v, uint64_t stamp, bool *out_is_news)
{
	switch (v->op) {
	case ROW_TREE_CREATE:
		*out_is_news = fold_create(t, v, stamp);
		return ERR_NONE;
	case ROW_TREE_RENAME:
		*out_is_news = fold_renames(t, v, stamp);
		return ERR_NONE;
	case ROW_TREE_REMOVE:
		*out_is_news = fold_remove(t, v, stamp);
		return ERR_NONE;
	case ROW_TREE_SUBSCRIBE:
		*out_is_news = subscription_set(t, v->name, v->is_on, stamp);
		return ERR_NONE;
	case ROW_EXPUNGE:
	case ROW_FLAGS:
	case ROW_COMMIT:
	case ROW_MOVE_INTENT:
	case ROW_VOID:
	case ROW_FLOOR:
	case ROW_HOLE:
	case ROW_MERGE:
	case ROW_VOID_BATCH:
		break;
	}
	return ERR_CORRUPT;
}

enum err tree_fold(struct tree *t, const struct catalog_row *row)
{
	struct row_op_value v;
	bool is_news = false;
	if (row->kind != CATALOG_OP)
		return ERR_CORRUPT;
	TRY(row_op_decode(row->value, &v));
	TRY(fold_op(t, &v, name_stamp(row->name), &is_news));
	bool is_late = name_cmp(row->name, t->cover) <= 0;
	if (!is_late)
		t->cover = row->name;
	t->has_late = t->has_late || (is_late && is_news);
	t->ops += is_news || !is_late;
	return ERR_NONE;
}

void tree_take(struct tree *t, struct head_root *root)
{
	t->generation = root->generation;
	t->last_uid_validity = root->last_uid_validity;
	t->cover = root->cover;
	struct head_mailbox m;
	for (size_t i = 0; i < root->mailbox_count && head_root_next_mailbox(&root->rest, &m); i++)
		node_add(t, &m);
	struct head_subscription s;
	while (head_root_next_subscription(&root->rest, &s))
		(void)subscription_set(t, s.name, s.is_on, s.stamp);
}

/* Removed mailboxes and subscriptions are kept while a tail could still name them. */
static bool is_forgettable(const struct tree *t, uint64_t stamp)
{
	uint64_t an_hour = UINT64_C(3600) * 1000 << 16;
	return stamp + an_hour < name_stamp(t->cover);
}

void tree_encode_lists(const struct tree *t, struct head_root *root, struct buf *lists)
{
	*root = (struct head_root){ .generation = t->generation,
		.last_uid_validity = t->last_uid_validity,
		.cover = t->cover };
	for (size_t i = 0; i < t->node_count; i++) {
		const struct tree_node *n = t->nodes[i];
		struct head_mailbox m = { .name = wanted_name(n),
			.special_use = n->special_use,
			.uid_validity = n->uid_validity,
			.stamp = n->stamp,
			.is_removed = n->is_removed };
		memcpy(m.guid.bytes, n->guid.bytes, sizeof(m.guid.bytes));
		if (n->is_removed && is_forgettable(t, n->stamp))
			continue;
		head_root_encode_mailbox(lists, &m);
		root->mailbox_count++;
	}
	struct map_entry e;
	size_t at = 0;
	while (map_next(&t->subscriptions, &at, &e)) {
		const struct tree_subscription *s = e.value;
		if (!s->is_on && is_forgettable(t, s->stamp))
			continue;
		head_root_encode_subscription(
			lists, &(struct head_subscription){ s->name, s->stamp, s->is_on });
		root->subscription_count++;
	}
}
