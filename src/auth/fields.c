/* SPDX-License-Identifier: Apache-2.0 */
/* Fields by name. Lists are short: they are searched from front to back. */
#include "auth/auth_private.h"

static struct auth_field *find(const struct auth_fields *f, struct str key)
{
	for (size_t i = 0; i < f->count; i++) {
		if (str_eq(f->items[i].key, key))
			return &f->items[i];
	}
	return NULL;
}

static bool cut_suffix(struct str *key, struct str suffix)
{
	if (!str_ends(*key, suffix))
		return false;
	key->n -= suffix.n;
	return true;
}

void auth_fields_set(struct arena *a, struct auth_fields *f, struct str key, struct str value)
{
	if (cut_suffix(&key, STR(":remove"))) {
		auth_fields_remove(f, key);
		return;
	}
	bool is_default = cut_suffix(&key, STR(":default"));
	struct auth_field *field = find(f, key);
	if (field) {
		if (!is_default)
			field->value = value;
		return;
	}
	auth_fields_append(a, f, key, value);
}

void auth_fields_append(struct arena *a, struct auth_fields *f, struct str key, struct str value)
{
	if (f->count == AUTH_FIELDS_MAX)
		return;
	if (f->count == f->room) {
		size_t room = f->room ? 2 * f->room : 16;
		f->items = arena_grow(
			a, f->items, f->room * sizeof(*f->items), room * sizeof(*f->items));
		f->room = room;
	}
	f->items[f->count++] = (struct auth_field){ key, value };
}

bool auth_fields_get(const struct auth_fields *f, struct str key, struct str *out)
{
	const struct auth_field *field = find(f, key);
	if (field)
		*out = field->value;
	return field != NULL;
}

bool auth_fields_has(const struct auth_fields *f, struct str key)
{
	return find(f, key) != NULL;
}

void auth_fields_remove(struct auth_fields *f, struct str key)
{
	struct auth_field *field = find(f, key);
	if (!field)
		return;
	size_t at = (size_t)(field - f->items);
	memmove(field, field + 1, (f->count - at - 1) * sizeof(*field));
	f->count--;
}

struct auth_fields auth_fields_dup(struct arena *a, const struct auth_fields *f)
{
	struct auth_fields copy = { .count = f->count, .room = f->count };
	copy.items = ARENA_NEW_ARRAY(a, struct auth_field, f->count + 1);
	if (f->count > 0)
		memcpy(copy.items, f->items, f->count * sizeof(*f->items));
	return copy;
}
