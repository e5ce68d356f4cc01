/* SPDX-License-Identifier: Apache-2.0 */
/* The account of local state, kept as things happen: opening and saving it, and what the other files of the
 * store tell it. */
#include <stdio.h>

#include "base/file.h"
#include "event/event.h"
#include "store/metacache_private.h"

#define SAVE_US    (60 * US_PER_SEC)
#define RECOUNT_US (5 * US_PER_SEC) /* after a start without a good account */

/* ---- who is where ---- */

struct cache_user *metacache_pin(struct metacache *c, struct str name)
{
	struct cache_user *u = cache_add(&c->account, name);
	u->pins++;
	return u;
}

void metacache_unpin(struct metacache *c, struct cache_user *u)
{
	ASSERT(u->pins > 0);
	if (--u->pins == 0 && u->is_counted && cache_user_bytes(u) == 0 &&
		upload_cancel(&c->queue, &u->upload))
		cache_forget(&c->account, u);
}

void metacache_maintain(const struct metacache *c, struct cache_user *u)
{
	if (!map_get(&c->store->users, u->name))
		u->is_maintained = true;
}

void metacache_run_begin(struct metacache *c, struct metacache_run *run)
{
	run->task = task_self();
	run->link = (struct list){ 0 };
	list_add_last(&c->running, &run->link);
	if (c->is_stopping)
		task_cancel(run->task);
}

void metacache_run_end(struct metacache_run *run)
{
	list_remove(&run->link);
}

static enum cache_priority priority_of(const struct mailbox *m)
{
	const struct tree_node *node = tree_find_guid(&m->user->tree, m->guid);
	if (node && (str_eq(node->name, STR("INBOX")) ||
			    str_find_ci(node->special_use, STR("\\Junk")) >= 0))
		return CACHE_SPECIAL;
	return CACHE_OTHER;
}

/* ---- what others of the store tell ---- */

static void changed(struct metacache *c)
{
	if (c->userdb && c->account.is_changed && c->save_timer.at_us == TIME_NEVER &&
		!c->is_saving && !c->is_stopping)
		timer_set(&c->save_timer, now_us() + SAVE_US);
}

void metacache_tell(struct metacache *c)
{
	cache_totals_tell(c->totals, c->account.bytes, INT64_MAX);
	if (c->settings.max_bytes > 0 && !c->is_checking && !c->is_stopping &&
		cache_totals_sum(c->totals, NULL) > c->settings.max_bytes)
		timer_set(&c->check_timer, MAX(now_us(), c->checked_us + US_PER_SEC));
	changed(c);
}

void metacache_user_opened(struct user *u)
{
	struct metacache *c = u->store->metacache;
	u->cached = metacache_pin(c, u->name);
	cache_touch(&c->account, u->cached, CACHE_ROOT, now_wall_us());
	if (!u->cached->is_counted)
		metacache_count_soon(c, u->name);
	changed(c);
}

void metacache_user_closed(struct user *u)
{
	if (!u->cached)
		return;
	cache_touch(&u->store->metacache->account, u->cached, CACHE_ROOT, now_wall_us());
	u->cached->is_maintained = false;
	metacache_unpin(u->store->metacache, u->cached);
	u->cached = NULL;
}

/* As metacache_look() would find it. */
static uint64_t bytes_of(const struct local *l)
{
	uint64_t log = l->is_broken || l->log_fd < 0 ? 0 : l->log_bytes;
	return METACACHE_BLOCK + metacache_blocks(l->snapshot_bytes) + metacache_blocks(log) +
	       metacache_blocks(l->summary_bytes);
}

void metacache_mailbox_found(struct mailbox *m, bool is_new)
{
	struct cache_user *u = m->user->cached;
	m->cached_priority = (uint8_t)priority_of(m);
	m->cached_bytes = is_new ? 0 : bytes_of(&m->local);
	if (u)
		cache_touch(&m->user->store->metacache->account, u,
			(enum cache_priority)m->cached_priority, now_wall_us());
	metacache_note_files(m);
}

bool metacache_is_special(const struct mailbox *m)
{
	return priority_of(m) == CACHE_SPECIAL;
}

void metacache_note_files(struct mailbox *m)
{
	struct metacache *c = m->user->store->metacache;
	struct cache_user *u = m->user->cached;
	uint64_t bytes = m->is_removed ? 0 : bytes_of(&m->local);
	if (bytes == m->cached_bytes)
		return;
	int64_t delta = (int64_t)bytes - (int64_t)m->cached_bytes;
	m->cached_bytes = bytes;
	if (!u)
		return;
	cache_add_bytes(&c->account, u, (enum cache_priority)m->cached_priority, delta);
	metacache_tell(c);
}

void metacache_note_change(struct mailbox *m)
{
	struct metacache *c = m->user->store->metacache;
	struct cache_user *u = m->user->cached;
	if (!u)
		return;
	enum cache_priority p = (enum cache_priority)m->cached_priority;
	bool waits = c->store->settings.flags_journal == STORE_FLAGS_OFF && m->pending_mails > 0;
	cache_note_change(&c->account, u, p, waits ? CACHE_IMPORTANT : CACHE_UNIMPORTANT, now_us());
	cache_touch(&c->account, u, p, now_wall_us());
	/* Half of the time is left for getting it done. */
	if (waits && c->settings.upload_interval_us > 0)
		metacache_plan(
			c, u, UPLOAD_HIGH, u->changed_us + c->settings.upload_interval_us / 2);
	changed(c);
}

void metacache_mailbox_removed(struct user *u, struct catalog_guid guid)
{
	struct mailbox *m = user_find_mailbox(u, guid);
	if (m)
		metacache_note_files(m);
	else if (u->cached)
		metacache_count_soon(u->store->metacache, u->name);
}

void metacache_user_forgotten(struct store *s, struct str name)
{
	struct metacache *c = s->metacache;
	struct cache_user *u = cache_find(&c->account, name);
	if (!u)
		return;
	for (int p = 0; p < CACHE_PRIORITIES; p++)
		cache_set_bytes(&c->account, u, (enum cache_priority)p, 0);
	if (u->pins == 0 && upload_cancel(&c->queue, &u->upload))
		cache_forget(&c->account, u);
	metacache_tell(c);
}

void metacache_note_service(struct user *u, enum cache_service service)
{
	struct cache_user *cu = u->cached;
	if (!cu)
		return;
	cu->service = (uint8_t)service;
	cu->is_maintained = false;
	cache_touch(&u->store->metacache->account, cu, CACHE_ROOT, now_wall_us());
}

enum err metacache_admit(struct op *op, struct store *s)
{
	struct metacache *c = s->metacache;
	uint64_t max = c->settings.max_bytes;
	if (max == 0)
		return ERR_NONE;
	uint64_t sum = cache_totals_sum(c->totals, NULL);
	uint64_t room = max > UINT64_MAX - c->settings.grace_bytes ? UINT64_MAX
								   : max + c->settings.grace_bytes;
	if (sum <= room)
		return ERR_NONE;
	c->figures.refused_logins++;
	metacache_tell(c);
	enum err e = op_fail(op, ERR_UNAVAILABLE,
		"local state uses %" PRIu64 " bytes, more than metacache_max_space and "
		"metacache_max_grace together (%" PRIu64
		"): no new sessions until some is dropped; see doveadm metacache status",
		sum, room);
	op_tell_client(op, "This server has no room for another session now, try again later");
	return e;
}

/* ---- the account as a file ---- */

static enum err replace(struct op *op, const char *path, struct buf *content)
{
	return file_replace(op, path, buf_str(content), 0600);
}

/* WAITS. Users who come or go meanwhile are in the next one. */
static enum err save(struct op *op, struct metacache *c, bool is_clean)
{
	AUTO_BUF(content, 0);
	c->account.is_changed = false;
	cache_userdb_put_head(&content);
	const struct cache_user *u;
	size_t at = SIZE_MAX;
	while ((u = cache_walk(&c->account, &at)) != NULL) {
		cache_userdb_put_user(&content, u);
		task_breathe();
	}
	cache_userdb_put_tail(&content, is_clean);
	return offload_file(op, replace, str_from(c->userdb), &content);
}

static void save_task(void *arg)
{
	struct metacache *c = arg;
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, c->store->event, now_us() + METACACHE_OP_US);
	if (save(&op, c, false) != ERR_NONE)
		event_send_failure(c->store->event, EVENT_WARNING, NULL, &op,
			"saving the account of local state");
	c->is_saving = false;
	changed(c);
	store_background_end(c->store);
}

static void save_due(void *arg)
{
	struct metacache *c = arg;
	c->is_saving = true;
	store_background(c->store, "metacache-save", save_task, c);
}

/* Blocks: at start. Without a good file everybody is counted again. */
static void load(struct op *op, struct metacache *c)
{
	AUTO_BUF(file, 0);
	bool is_clean = false;
	enum err e = file_read(op, c->userdb, CACHE_USERDB_MAX, &file);
	if (e == ERR_NONE)
		e = cache_userdb_read(op, buf_str(&file), &c->account, &is_clean);
	if (e != ERR_NONE && e != ERR_NOT_FOUND)
		event_send(c->store->event, EVENT_WARNING, "metacache_userdb_lost",
			"%s cannot be used, local state is counted anew: %s", c->userdb,
			op->failure.text);
	op_forgive(op);
	c->account.is_changed = false;
	if (!is_clean)
		timer_set(&c->rescan_timer, now_us() + RECOUNT_US);
	else if (c->settings.rescan_interval_us > 0)
		timer_set(&c->rescan_timer, now_us() + c->settings.rescan_interval_us);
}

/* From now on the file is old: a crash must not find it clean. */
static void spoil(struct op *op, struct metacache *c)
{
	AUTO_BUF(file, 0);
	cache_userdb_put_head(&file);
	const struct cache_user *u;
	size_t at = SIZE_MAX;
	while ((u = cache_walk(&c->account, &at)) != NULL)
		cache_userdb_put_user(&file, u);
	cache_userdb_put_tail(&file, false);
	if (file_replace(op, c->userdb, buf_str(&file), 0600) != ERR_NONE)
		event_send_failure(c->store->event, EVENT_WARNING, NULL, op,
			"writing the account of local state");
	op_forgive(op);
}

/* ---- life ---- */

static void open_totals(struct op *op, struct metacache *c)
{
	if (cache_totals_open(op, c->settings.totals, c->settings.slot, &c->totals) == ERR_NONE)
		return;
	event_send_failure(c->store->event, EVENT_WARNING, NULL, op,
		"sharing the sum of local state with other workers");
	op_forgive(op);
	enum err e = cache_totals_open(op, STR(""), 0, &c->totals);
	ASSERT(e == ERR_NONE); /* no file, no failure */
}

void metacache_open(struct op *op, struct store *s, const struct metacache_settings *settings)
{
	static const struct metacache_settings none = { .userdb = { "", 0 }, .totals = { "", 0 } };
	struct metacache *c = MEM_NEW(struct metacache);
	s->metacache = c;
	c->store = s;
	c->settings = settings ? *settings : none;
	cache_init(&c->account);
	upload_queue_init(&c->queue, c->settings.uploads_max, c->settings.uploads_per_second);
	list_init(&c->uncounted);
	list_init(&c->running);
	timer_init(&c->save_timer, save_due, c);
	timer_init(&c->upload_timer, metacache_upload_due, c);
	timer_init(&c->check_timer, metacache_check_due, c);
	timer_init(&c->rescan_timer, metacache_rescan_due, c);
	timer_init(&c->night_timer, metacache_night_due, c);
	open_totals(op, c);
	if (c->settings.userdb.n > 0) {
		c->userdb = str_new_z(c->settings.userdb);
		load(op, c);
		spoil(op, c);
	}
	cache_totals_tell(c->totals, c->account.bytes, INT64_MAX);
	if (c->settings.max_bytes > 0)
		timer_set(&c->check_timer, now_us() + METACACHE_CHECK_US);
	metacache_night_arm(c);
}

void metacache_stop(struct metacache *c)
{
	c->is_stopping = true;
	timer_cancel(&c->save_timer);
	timer_cancel(&c->upload_timer);
	timer_cancel(&c->check_timer);
	timer_cancel(&c->rescan_timer);
	timer_cancel(&c->night_timer);
	struct metacache_run *run, *next;
	LIST_FOR_EACH(run, next, &c->running, struct metacache_run, link)
	task_cancel(run->task);
	metacache_count_stop(c);
}

void metacache_close(struct op *op, struct metacache *c, bool saves)
{
	if (saves && c->userdb && save(op, c, true) != ERR_NONE) {
		event_send_failure(c->store->event, EVENT_WARNING, NULL, op,
			"saving the account of local state");
		op_forgive(op);
	}
	metacache_stop(c);
	cache_totals_close(c->totals);
	upload_queue_done(&c->queue);
	cache_done(&c->account);
	mem_free(c->userdb);
	mem_free(c);
}

/* ---- looking at it ---- */

struct metacache_figures metacache_figures(const struct store *s)
{
	const struct metacache *c = s->metacache;
	struct metacache_figures f = c->figures;
	for (int p = 0; p < CACHE_PRIORITIES; p++)
		f.own_bytes += c->account.bytes[p];
	f.host_bytes = cache_totals_sum(c->totals, NULL);
	f.max_bytes = c->settings.max_bytes;
	f.grace_bytes = c->settings.grace_bytes;
	f.users = c->account.users.count;
	f.planned = c->queue.waiting.count + c->queue.ready.count;
	f.uploading = c->queue.running;
	f.backoff_us = c->queue.backoff_us;
	return f;
}

const char *metacache_root(const struct store *s)
{
	return s->local_dir;
}

/* What waits for the journal right now. */
static enum cache_change change_of(const struct store *s, const struct cache_user *u)
{
	struct user *open = map_get(&s->users, u->name);
	struct mailbox *m, *next;
	if (!open)
		return cache_user_change(u);
	LIST_FOR_EACH(m, next, &open->mailboxes, struct mailbox, link)
	if (m->pending_mails > 0)
		return CACHE_IMPORTANT;
	return cache_user_change(u);
}

void metacache_list(
	struct store *s, const struct metacache_filter *filter, metacache_row_fn *fn, void *arg)
{
	struct metacache *c = s->metacache;
	uint64_t totals[CACHE_PRIORITIES];
	(void)cache_totals_sum(c->totals, totals);
	const struct cache_user *u;
	size_t at = SIZE_MAX;
	while ((u = cache_walk(&c->account, &at)) != NULL) {
		if (filter->wanted && !filter->wanted(u->name, filter->arg))
			continue;
		enum cache_priority first;
		bool is_planned =
			u->upload.state == UPLOAD_WAITING || u->upload.state == UPLOAD_READY;
		struct metacache_row row = { .user = u,
			.change = change_of(s, u),
			.upload_within_us = is_planned ? MAX(u->upload.due_us - now_us(), 0) : -1,
			.weight = metacache_user_weight(c, u, totals, &first),
			.is_open = map_get(&s->users, u->name) != NULL };
		fn(&row, arg);
		task_breathe();
	}
}

size_t metacache_remove(struct store *s, const struct metacache_filter *filter)
{
	struct metacache *c = s->metacache;
	size_t removed = 0, at = SIZE_MAX;
	struct cache_user *u;
	while ((u = cache_walk(&c->account, &at)) != NULL) {
		if (u->pins > 0 || (filter->wanted && !filter->wanted(u->name, filter->arg)) ||
			!upload_cancel(&c->queue, &u->upload))
			continue;
		cache_forget(&c->account, u);
		removed++;
	}
	metacache_tell(c);
	return removed;
}
