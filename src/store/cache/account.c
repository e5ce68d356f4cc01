/* SPDX-License-Identifier: Apache-2.0 */
/* The account: users by name, their units, and what all of them use together. */
#include "store/cache/cache.h"

const char *cache_change_name(enum cache_change change)
{
	switch (change) {
	case CACHE_UNCHANGED:
		return "none";
	case CACHE_UNIMPORTANT:
		return "unimportant";
	case CACHE_IMPORTANT:
		return "important";
	}
	UNREACHABLE();
}

const char *cache_service_name(enum cache_service service)
{
	switch (service) {
	case CACHE_BY_NOBODY:
		return "";
	case CACHE_BY_IMAP:
		return "imap";
	case CACHE_BY_LMTP:
		return "lmtp";
	}
	UNREACHABLE();
}

static void user_free(struct cache_user *u)
{
	mem_free((void *)(uintptr_t)u->name.p);
	mem_free(u);
}

void cache_init(struct cache *c)
{
	*c = (struct cache){ 0 };
	map_init(&c->users);
}

void cache_done(struct cache *c)
{
	for (size_t i = 0; i < c->users.count; i++)
		user_free(c->users_all[i]);
	mem_free(c->users_all);
	map_done(&c->users);
}

struct cache_user *cache_find(const struct cache *c, struct str name)
{
	return map_get(&c->users, name);
}

struct cache_user *cache_add(struct cache *c, struct str name)
{
	struct cache_user *u = cache_find(c, name);
	if (u)
		return u;
	u = MEM_NEW(struct cache_user);
	u->name = (struct str){ str_new_z(name), name.n };
	u->cache = c;
	u->place = c->users.count;
	if (u->place == c->capacity) {
		c->capacity = MAX(2 * c->capacity, 64);
		c->users_all = mem_resize(c->users_all, c->capacity * sizeof(struct cache_user *));
	}
	c->users_all[u->place] = u;
	(void)map_set(&c->users, u->name, u);
	c->is_changed = true;
	return u;
}

void cache_forget(struct cache *c, struct cache_user *u)
{
	ASSERT(u->pins == 0 && u->upload.state == UPLOAD_RESTING);
	for (int p = 0; p < CACHE_PRIORITIES; p++)
		cache_set_bytes(c, u, (enum cache_priority)p, 0);
	(void)map_remove(&c->users, u->name);
	struct cache_user *last = c->users_all[c->users.count];
	c->users_all[u->place] = last;
	last->place = u->place;
	c->is_changed = true;
	user_free(u);
}

void cache_touch(struct cache *c, struct cache_user *u, enum cache_priority p, int64_t wall_us)
{
	if (u->is_maintained)
		return;
	int64_t now_s = MAX(wall_us / US_PER_SEC, 0);
	u->units[p].access_s = (uint32_t)MIN(now_s, (int64_t)UINT32_MAX);
	u->units[CACHE_ROOT].access_s = MAX(u->units[CACHE_ROOT].access_s, u->units[p].access_s);
	c->is_changed = true;
}

void cache_set_bytes(struct cache *c, struct cache_user *u, enum cache_priority p, uint64_t bytes)
{
	c->bytes[p] = c->bytes[p] - u->units[p].bytes + bytes;
	u->units[p].bytes = bytes;
	c->is_changed = true;
}

void cache_add_bytes(
	struct cache *c, struct cache_user *u, enum cache_priority p, int64_t delta_bytes)
{
	uint64_t now = u->units[p].bytes, less = 0 - (uint64_t)delta_bytes;
	if (delta_bytes < 0)
		cache_set_bytes(c, u, p, now - MIN(now, less));
	else
		cache_set_bytes(c, u, p, now + (uint64_t)delta_bytes);
}

void cache_note_change(struct cache *c, struct cache_user *u, enum cache_priority p,
	enum cache_change change, int64_t at_us)
{
	if (change == CACHE_UNCHANGED)
		return;
	u->units[p].change = MAX(u->units[p].change, (uint8_t)change);
	u->changed_us = u->changed_us == 0 ? MAX(at_us, 1) : u->changed_us;
	u->changes++;
	c->is_changed = true;
}

void cache_note_durable(struct cache *c, struct cache_user *u, uint32_t changes)
{
	if (u->changes != changes)
		return;
	for (int p = 0; p < CACHE_PRIORITIES; p++)
		u->units[p].change = MIN(u->units[p].change, (uint8_t)CACHE_UNIMPORTANT);
	c->is_changed = true;
}

void cache_note_uploaded(struct cache *c, struct cache_user *u, uint32_t changes)
{
	if (u->changes != changes)
		return;
	for (int p = 0; p < CACHE_PRIORITIES; p++)
		u->units[p].change = CACHE_UNCHANGED;
	u->changed_us = 0;
	c->is_changed = true;
}

/* From the end: whoever goes is replaced by the last, who was met already. */
struct cache_user *cache_walk(const struct cache *c, size_t *at)
{
	*at = MIN(*at, c->users.count);
	return *at > 0 ? c->users_all[--*at] : NULL;
}

enum cache_change cache_user_change(const struct cache_user *u)
{
	uint8_t worst = CACHE_UNCHANGED;
	for (int p = 0; p < CACHE_PRIORITIES; p++)
		worst = MAX(worst, u->units[p].change);
	return (enum cache_change)worst;
}

uint64_t cache_user_bytes(const struct cache_user *u)
{
	uint64_t bytes = 0;
	for (int p = 0; p < CACHE_PRIORITIES; p++)
		bytes += u->units[p].bytes;
	return bytes;
}
