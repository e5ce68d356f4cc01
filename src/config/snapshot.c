/* SPDX-License-Identifier: Apache-2.0 */
/* config/snapshot.c - a settled configuration as bytes, for child processes.
 *
 * Format: magic, hash of the schema, path, then nodes in order; parents come before their children, so a
 * parent is its position + 1 (0: none). All numbers are varints, texts have their length before them. The
 * service catalogue, groups and files' contents are in the nodes; origins are not needed any more. Values
 * that are not for the reader are left out; defaults are public and complete. */
#include "config/config_private.h"

#include "base/hash.h"
#include "base/number.h"

#define SNAPSHOT_MAGIC STR("pombal-config-2\n")

/* Differs when a row is added, removed or changed: positions in the tables are stored. */
static uint64_t schema_hash(void)
{
	AUTO_BUF(all, 0);
	for (unsigned i = 0; i < SET_COUNT; i++) {
		const struct config_row *row = config_row((enum config_setting)i);
		buf_putf(&all, "%.*s %d %.*s %.*s\n", STRF(row->name), (int)row->type,
			STRF(row->default_text), STRF(row->choices));
	}
	for (unsigned i = 0; i < BLOCK_COUNT; i++)
		buf_putf(&all, "%.*s\n", STRF(config_block_row((enum config_block)i)->name));
	return hash_stable(buf_str(&all));
}

/* ---- writing ---- */

static void put_str(struct buf *out, struct str s)
{
	number_put_varint(out, s.n);
	buf_put(out, s);
}

static void put_value(struct buf *out, const struct config_assignment *a)
{
	const struct config_value *value = a->value;
	number_put_varint(out, a->id);
	number_put_varint(out, value->is_whole);
	number_put_varint(out, value->same_as);
	number_put_varint(out, value->number);
	put_str(out, value->text);
	put_str(out, value->content);
	number_put_varint(out, value->item_count);
	for (size_t i = 0; i < value->item_count; i++) {
		put_str(out, value->items[i].key);
		put_str(out, value->items[i].value);
	}
}

static void put_networks(struct buf *out, const struct config_node *node)
{
	number_put_varint(out, node->network_count);
	for (size_t i = 0; i < node->network_count; i++) {
		const struct config_network *network = &node->networks[i];
		buf_put(out, (struct str){ (const char *)network->bytes, sizeof(network->bytes) });
		number_put_varint(out, network->bits);
	}
}

static void put_block_lists(struct buf *out, const struct config_node *node)
{
	uint64_t count = 0;
	for (const struct config_block_list *l = node->block_lists; l; l = l->next)
		count++;
	number_put_varint(out, count);
	for (const struct config_block_list *l = node->block_lists; l; l = l->next) {
		number_put_varint(out, l->block);
		number_put_varint(out, l->is_whole);
		number_put_varint(out, l->count);
		for (size_t i = 0; i < l->count; i++)
			put_str(out, l->names[i]);
	}
}

static bool may_know(
	enum config_reader reader, const struct config_node *node, enum config_setting id)
{
	static const unsigned flags_of[CONFIG_READER_COUNT] = {
		[CONFIG_READER_LOGIN] = CONFIG_FLAG_FOR_LOGIN,
		[CONFIG_READER_AUTH] = CONFIG_FLAG_FOR_AUTH,
		[CONFIG_READER_MAIL] = CONFIG_FLAG_FOR_MAIL,
		[CONFIG_READER_DOVEADM] = CONFIG_FLAG_FOR_DOVEADM,
	};
	const unsigned for_some = CONFIG_FLAG_FOR_LOGIN | CONFIG_FLAG_FOR_AUTH |
				  CONFIG_FLAG_FOR_MAIL | CONFIG_FLAG_FOR_DOVEADM;
	unsigned flags = config_row(id)->flags;
	if (reader == CONFIG_READER_ALL || node->layer == CONFIG_LAYER_DEFAULT)
		return true;
	if (flags & (for_some | CONFIG_FLAG_SECRET))
		return (flags & flags_of[reader]) != 0;
	return true;
}

static void put_node(struct buf *out, enum config_reader reader, const struct config_node *node)
{
	uint64_t count = 0;
	for (const struct config_assignment *a = node->first; a; a = a->next)
		count += may_know(reader, node, a->id);
	number_put_varint(out, node->parent ? node->parent->index + 1 : 0);
	number_put_varint(out, node->layer);
	number_put_varint(out, node->kind);
	number_put_varint(out, node->block);
	number_put_varint(out, node->is_negated);
	put_str(out, node->name);
	put_networks(out, node);
	put_block_lists(out, node);
	number_put_varint(out, count);
	for (const struct config_assignment *a = node->first; a; a = a->next) {
		if (may_know(reader, node, a->id))
			put_value(out, a);
	}
}

void config_write_snapshot(const struct config *cfg, enum config_reader reader, struct buf *out)
{
	CHECK(cfg, CONFIG_MAGIC);
	buf_put(out, SNAPSHOT_MAGIC);
	number_put_varint(out, schema_hash());
	put_str(out, cfg->path);
	number_put_varint(out, cfg->tree.count);
	for (size_t i = 0; i < cfg->tree.count; i++)
		put_node(out, reader, cfg->tree.nodes[i]);
}

/* ---- reading ---- */

struct reader {
	struct str rest;
	struct config *cfg;
	bool is_bad; /* once set, everything reads as zero */
};

static uint64_t get_number(struct reader *r, uint64_t max)
{
	uint64_t v = 0;
	if (!r->is_bad && (!number_cut_varint(&r->rest, &v) || v > max))
		r->is_bad = true;
	return r->is_bad ? 0 : v;
}

static struct str get_str(struct reader *r)
{
	uint64_t n = get_number(r, r->rest.n);
	if (r->is_bad || n > r->rest.n) {
		r->is_bad = true;
		return STR_NONE;
	}
	return str_take(&r->rest, (size_t)n); /* the whole snapshot is in the config's arena */
}

static void get_value(struct reader *r, struct config_node *node)
{
	struct arena *arena = &r->cfg->arena;
	struct config_value *value = ARENA_NEW(arena, struct config_value);
	enum config_setting id = (enum config_setting)get_number(r, SET_COUNT - 1);
	value->is_whole = get_number(r, 1) != 0;
	value->same_as = (enum config_setting)get_number(r, SET_COUNT);
	value->number = get_number(r, UINT64_MAX);
	value->text = get_str(r);
	value->content = get_str(r);
	value->item_count = (size_t)get_number(r, r->rest.n);
	value->items = ARENA_NEW_ARRAY(arena, struct config_item, value->item_count);
	for (size_t i = 0; i < value->item_count && !r->is_bad; i++) {
		value->items[i].key = get_str(r);
		value->items[i].value = get_str(r);
	}
	if (!r->is_bad)
		config_node_set(&r->cfg->tree, node, id, value);
}

static void get_networks(struct reader *r, struct config_node *out)
{
	size_t count = (size_t)get_number(r, CONFIG_HOST_ADDRESSES_MAX);
	out->networks = ARENA_NEW_ARRAY(&r->cfg->arena, struct config_network, count);
	for (size_t i = 0; i < count && !r->is_bad; i++) {
		struct config_network *network = &out->networks[i];
		if (r->rest.n < sizeof(network->bytes)) {
			r->is_bad = true;
			return;
		}
		struct str bytes = str_take(&r->rest, sizeof(network->bytes));
		memcpy(network->bytes, bytes.p, sizeof(network->bytes));
		network->bits = (unsigned)get_number(r, 128);
	}
	out->network_count = count;
}

static void get_block_lists(struct reader *r, struct config_node *out)
{
	struct arena *arena = &r->cfg->arena;
	struct config_block_list **link = &out->block_lists;
	for (uint64_t count = get_number(r, BLOCK_COUNT); count > 0 && !r->is_bad; count--) {
		struct config_block_list *list = ARENA_NEW(arena, struct config_block_list);
		list->block = (enum config_block)get_number(r, BLOCK_COUNT - 1);
		list->is_whole = get_number(r, 1) != 0;
		list->count = (size_t)get_number(r, r->rest.n);
		list->names = ARENA_NEW_ARRAY(arena, struct str, list->count);
		for (size_t i = 0; i < list->count && !r->is_bad; i++)
			list->names[i] = get_str(r);
		*link = list;
		link = &list->next;
	}
}

static void get_node(struct reader *r)
{
	struct config_tree *tree = &r->cfg->tree;
	uint64_t parent_at = get_number(r, tree->count);
	enum config_layer layer = (enum config_layer)get_number(r, CONFIG_LAYER_COUNT - 1);
	struct config_node_key key = { .kind = (enum config_kind)get_number(r, CONFIG_KIND_BLOCK) };
	key.block = (enum config_block)get_number(r, BLOCK_COUNT);
	key.is_negated = get_number(r, 1) != 0;
	key.name = get_str(r);
	struct config_node read = { .network_count = 0 };
	get_networks(r, &read);
	get_block_lists(r, &read);
	uint64_t count = get_number(r, SET_COUNT);
	bool is_root = parent_at == 0;
	r->is_bad |= is_root != (key.kind == CONFIG_KIND_ROOT) ||
		     (key.block == BLOCK_COUNT) != (key.kind != CONFIG_KIND_BLOCK) ||
		     (is_root && tree->roots[layer]);
	if (r->is_bad)
		return;
	bool is_new = true;
	struct config_node *node =
		is_root ? config_tree_root(tree, layer)
			: config_tree_child(tree, tree->nodes[parent_at - 1], &key, &is_new);
	r->is_bad |= !is_new || node->layer != layer;
	node->networks = read.networks;
	node->network_count = read.network_count;
	node->block_lists = read.block_lists;
	for (; count > 0 && !r->is_bad; count--)
		get_value(r, node);
}

/* Every setting must have a default, or a scope could not be resolved. */
static bool has_all_defaults(const struct config_tree *tree)
{
	const struct config_node *root = tree->roots[CONFIG_LAYER_DEFAULT];
	for (unsigned i = 0; root && i < SET_COUNT; i++) {
		if (!config_node_get(root, (enum config_setting)i))
			return false;
	}
	return root != NULL;
}

enum err config_read_snapshot(struct op *op, struct str bytes, struct config **out)
{
	struct config *cfg = config_new();
	struct reader r = { .cfg = cfg, .rest = str_dup(&cfg->arena, bytes) };
	r.is_bad = !str_skip(&r.rest, SNAPSHOT_MAGIC);
	if (!r.is_bad)
		r.is_bad = get_number(&r, UINT64_MAX) != schema_hash();
	cfg->path = get_str(&r);
	for (uint64_t count = get_number(&r, r.rest.n); count > 0 && !r.is_bad; count--)
		get_node(&r);
	if (r.is_bad || r.rest.n || !has_all_defaults(&cfg->tree)) {
		config_unref(cfg);
		return op_fail(
			op, ERR_CORRUPT, "configuration snapshot is damaged or of another build");
	}
	*out = cfg;
	return ERR_NONE;
}
