/* SPDX-License-Identifier: Apache-2.0 */
/* The role that touches mail: takes sessions and deliveries for the users of its shards. */
#include <unistd.h>

#include "auth/ticket.h"
#include "base/account.h"
#include "base/file.h"
#include "catalog/catalog.h"
#include "config/expand.h"
#include "deliver/deliver.h"
#include "event/event.h"
#include "ipc/handover.h"
#include "main/mail_admin.h"
#include "main/mail_metacache.h"
#include "main/moving.h"
#include "main/role.h"
#include "objects/objects.h"
#include "service/imap/imap.h"
#include "store/store.h"
#include "task/task.h"

#define REFRESH_LEAST_US     US_PER_SEC
#define REFRESH_MOST_US      (3600 * US_PER_SEC)
#define GARBAGE_EVERY_MIN_US US_PER_SEC
#define GARBAGE_OP_US        (10 * 60 * US_PER_SEC) /* a round may last */
#define HEAD_BYTES_MAX       (64 << 10)
#define FINISH_US            (2 * US_PER_SEC)
#define OLD_SESSIONS_US      (20 * US_PER_SEC)

struct mail_role {
	struct config *config;       /* a reference */
	struct config *store_config; /* a reference: the store borrows from that of the start */
	const struct shared_page *shared;
	uint32_t slot;
	struct arena arena; /* settings that the store borrows */
	struct store *store;
	struct imap *imap;
	struct ticket_gate *gate;
	struct ipc_server *server;
	struct moving *moving; /* NULL: no session moves away */
	struct timer garbage;
	bool is_stopping, is_retired;
	unsigned busy; /* tasks that use this: requests, the collector */
	struct wait_queue idle;
};

static void end_work(struct mail_role *r)
{
	if (--r->busy == 0)
		wait_queue_wake_all(&r->idle);
}

/* ---- what arrives ---- */

/* Whoever asked may have read the table before a shard moved; a user is never served twice. */
static enum err check_home(struct op *op, const struct mail_role *r, struct str user)
{
	uint32_t home = shared_worker_of(r->shared, user);
	if (home == r->slot)
		return ERR_NONE;
	return op_fail(op, ERR_UNAVAILABLE, "user %.*s is served by worker %u now, not by %u",
		STRF(user), home, r->slot);
}

static enum err take_session(struct op *op, struct mail_role *r, struct ipc_message *request)
{
	struct handover h;
	struct ticket ticket;
	struct user *user;
	TRY(handover_receive(op, request, &h));
	/* Which protocol login names decides nothing: this is what we speak. */
	enum err e = ticket_redeem(op, r->gate, h.ticket, TICKET_LOGIN, STR("imap"), &ticket);
	if (e == ERR_NONE)
		e = check_home(op, r, ticket.user);
	if (e == ERR_NONE)
		e = metacache_admit(op, r->store);
	if (e == ERR_NONE)
		e = user_open(op, r->store, ticket.user, &user);
	if (e != ERR_NONE) {
		close(h.fd);
		return e;
	}
	task_set_doing(user_name(user), STR("starting a session"));
	metacache_note_service(user, CACHE_BY_IMAP);
	e = imap_session_start(op, r->imap, &h, &ticket, user);
	user_unref(user);
	return e;
}

/* Whatever keeps the user from being opened is our own trouble: his mail comes again. */
static enum err open_recipient(
	struct op *op, struct mail_role *r, const struct ticket *ticket, struct user **out)
{
	if (check_home(op, r, ticket->user) == ERR_NONE && account_admit(op, 0) == ERR_NONE &&
		user_open(op, r->store, ticket->user, out) == ERR_NONE)
		return ERR_NONE;
	struct op_failure why = op->failure;
	return op_fail(op, ERR_UNAVAILABLE, "%s", why.text);
}

static enum err take_mail(
	struct op *op, struct mail_role *r, struct ipc_message *request, struct ipc_message *reply)
{
	struct delivery d;
	struct delivery_result result;
	struct ticket ticket;
	struct user *user;
	TRY(deliver_receive(op, request, &d));
	AUTO_FD(spool, d.fd);
	(void)spool; /* closed at the end of this scope */
	TRY(ticket_redeem(op, r->gate, d.ticket, TICKET_RECIPIENT, STR("lmtp"), &ticket));
	TRY(open_recipient(op, r, &ticket, &user));
	task_set_doing(user_name(user), STR("delivering a mail"));
	metacache_note_service(user, CACHE_BY_LMTP);
	struct deliver_settings settings;
	struct config_place place = { .protocol = STR("lmtp") };
	deliver_settings_read(config_scope(r->config, &place), &settings);
	enum err e = deliver_run(op, user, &d, &settings, &result);
	user_unref(user);
	reply->is_logged = result.is_logged;
	TRY(e);
	deliver_reply(reply, &result);
	return ERR_NONE;
}

/* From the worker before us, who runs as the same user: nobody else may hand over sessions without a
 * ticket. */
static enum err take_moved_session(struct op *op, struct mail_role *r, const struct ipc_peer *peer,
	struct ipc_message *request)
{
	struct str user;
	if (peer->uid != geteuid())
		return op_fail(op, ERR_DENIED, "only a worker may move sessions");
	TRY(moving_user(op, request, &user));
	TRY(check_home(op, r, user));
	return moving_take(op, request, r->imap, r->store);
}

/* Of doveadm: about this worker, or about one of its users. */
static enum err take_command(struct op *op, struct mail_role *r, const struct ipc_peer *peer,
	struct ipc_message *request, struct ipc_message *reply)
{
	struct str user;
	if (peer->uid != 0 && peer->uid != geteuid())
		return op_fail(op, ERR_DENIED, "only root may command mail workers");
	if (ipc_get_str(request, "user", &user))
		TRY(check_home(op, r, user));
	struct mail_admin_parts parts = {
		.store = r->store, .imap = &r->imap, .config = r->config, .slot = r->slot
	};
	return mail_admin_answer(op, &parts, request, reply);
}

static enum err serve(struct op *op, const struct ipc_peer *peer, struct ipc_message *request,
	struct ipc_message *reply, void *arg)
{
	struct mail_role *r = arg;
	enum err e;
	if (r->is_stopping)
		return op_fail(op, ERR_UNAVAILABLE, "this worker is stopping");
	r->busy++;
	if (request->type == IPC_SESSION)
		e = take_session(op, r, request);
	else if (request->type == IPC_DELIVER)
		e = take_mail(op, r, request, reply);
	else if (request->type == IPC_MOVED_SESSION)
		e = take_moved_session(op, r, peer, request);
	else if (request->type == IPC_MAIL_ADMIN)
		e = take_command(op, r, peer, request, reply);
	else
		e = op_fail(op, ERR_UNSUPPORTED, "a mail worker does not take messages of type %d",
			(int)request->type);
	end_work(r);
	return e; /* who asked logs it, with all that is known about the client or the mail */
}

/* ---- garbage ---- */

static int64_t garbage_interval_us(const struct mail_role *r)
{
	const struct config_scope *global = config_scope(r->config, NULL);
	return MAX(config_time_us(global, SET_obox_garbage_interval), GARBAGE_EVERY_MIN_US);
}

/* The shards that this worker serves: touching another one would take it from its worker. */
static void collect_own_shards(struct op *op, struct mail_role *r)
{
	int64_t age_us = config_time_us(config_scope(r->config, NULL), SET_obox_garbage_min_age);
	for (uint32_t shard = 0; shard < r->shared->shard_count && !r->is_stopping; shard++) {
		uint64_t deleted;
		if (shared_worker_of_shard(r->shared, shard) != r->slot)
			continue;
		enum err e = store_collect_garbage(op, r->store, shard, age_us, &deleted);
		if (e != ERR_NONE && e != ERR_CANCELLED)
			event_send_failure(
				NULL, EVENT_WARNING, NULL, op, "collecting deleted objects");
		op_forgive(op);
	}
}

static void garbage_task(void *arg)
{
	struct mail_role *r = arg;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, now_us() + MAX(garbage_interval_us(r), GARBAGE_OP_US));
	collect_own_shards(&op, r);
	if (!r->is_stopping)
		timer_set(&r->garbage, now_us() + garbage_interval_us(r));
	end_work(r);
}

static void garbage_timer(void *arg)
{
	struct mail_role *r = arg;
	r->busy++;
	task_start("garbage", garbage_task, r);
}

/* ---- settings of the store ---- */

static void add_defaults_of(struct mail_role *r, const struct config_scope *namespace,
	struct store_default_mailbox *out, size_t *count)
{
	struct str prefix = config_str(namespace, SET_namespace_prefix);
	for (size_t i = 0; i < config_block_count(namespace, BLOCK_mailbox); i++) {
		const struct config_scope *box = config_block_at(namespace, BLOCK_mailbox, i);
		struct config_item use = { .key = STR("") };
		size_t at = 0;
		struct str name = config_scope_name(box);
		/* One attribute a mailbox; without any the name stays as it was. */
		(void)config_list_next(box, SET_mailbox_special_use, &at, &use);
		out[(*count)++] = (struct store_default_mailbox){
			.name = str_printf(&r->arena, "%.*s%.*s", STRF(prefix), STRF(name)),
			.special_use = use.key,
			.auto_create = !config_is(box, SET_mailbox_auto, STR("no")),
			.auto_subscribe = config_is(box, SET_mailbox_auto, STR("subscribe")),
		};
	}
}

static void find_defaults(struct mail_role *r, struct store_settings *settings)
{
	const struct config_scope *global = config_scope(r->config, NULL);
	size_t most = 0, count = 0;
	for (size_t i = 0; i < config_block_count(global, BLOCK_namespace); i++)
		most += config_block_count(
			config_block_at(global, BLOCK_namespace, i), BLOCK_mailbox);
	struct store_default_mailbox *defaults =
		ARENA_NEW_ARRAY(&r->arena, struct store_default_mailbox, most + 1);
	for (size_t i = 0; i < config_block_count(global, BLOCK_namespace); i++) {
		const struct config_scope *namespace = config_block_at(global, BLOCK_namespace, i);
		struct str separator = config_str(namespace, SET_namespace_separator);
		if (config_bool(namespace, SET_namespace_inbox) && separator.n == 1)
			settings->separator = separator.p[0];
		add_defaults_of(r, namespace, defaults, &count);
	}
	settings->defaults = defaults;
	settings->default_count = count;
}

static enum store_flags_journal flags_journal(const struct config_scope *global)
{
	if (config_is(global, SET_obox_flags_journal, STR("sync")))
		return STORE_FLAGS_SYNC;
	if (config_is(global, SET_obox_flags_journal, STR("off")))
		return STORE_FLAGS_OFF;
	return STORE_FLAGS_ASYNC;
}

/* A mail of the largest size that LMTP takes, with the trace fields put before it. */
static uint64_t message_bytes_max(const struct config_scope *global)
{
	uint64_t size = config_size(global, SET_lmtp_max_mail_size);
	return size > UINT64_MAX - HEAD_BYTES_MAX ? size : size + HEAD_BYTES_MAX;
}

/* On pool threads, too. */
static bool owns(struct str user, void *arg)
{
	const struct mail_role *r = arg;
	return shared_worker_of(r->shared, user) == r->slot;
}

static enum err open_store(struct op *op, struct mail_role *r)
{
	const struct config_scope *global = config_scope(r->config, NULL);
	const struct config_scope *obox = config_block_get(global, BLOCK_obox, STR_NONE);
	struct str state_dir = config_str(global, SET_state_dir);
	struct store_settings settings = {
		.local_dir = str_printf(&r->arena, "%.*s/metacache", STRF(state_dir)),
		.writer_slot = r->slot,
		.separator = '/',
		.flags_journal = flags_journal(global),
		.idle_user_us = config_time_us(global, SET_metacache_close_delay),
		.refresh_us = MIN(MAX(config_time_us(global, SET_metacache_forced_refresh_interval),
					  REFRESH_LEAST_US),
			REFRESH_MOST_US),
		.cached_users_max = 10000,
		.keyword_bytes_max = (uint32_t)config_u64(global, SET_mail_max_keyword_length),
		.mailboxes_max = 10000,
		.message_bytes_max = message_bytes_max(global),
	};
	struct objects *objects;
	struct catalog *catalog;
	struct metacache_settings metacache;
	TRY(mail_metacache_settings(op, r->config, r->slot, &r->arena, &metacache));
	metacache.owns = owns;
	metacache.owns_arg = r;
	settings.metacache = &metacache;
	struct config_vars nothing = { 0 };
	TRY(config_expand(op, config_str(global, SET_hostname), &nothing, &settings.host));
	find_defaults(r, &settings);
	TRY(file_make_dirs(op, settings.local_dir.p, 0700));
	TRY(objects_open(op, obox, &objects));
	enum err e = catalog_open(op, obox, &catalog);
	if (e != ERR_NONE) {
		objects_close(objects);
		return e;
	}
	/* What others open quickly nobody opens where the catalog is here alone. */
	if (catalog_is_atomic(catalog) && !config_is_set(global, SET_metacache_nightly_window))
		metacache.night_length_us = 0;
	return store_open(op, &settings, objects, catalog, &r->store);
}

/* ---- the role ---- */

/* Memory is short: users who stay open for their next session are what can be had again. */
static void drop_caches(void *arg)
{
	struct mail_role *r = arg;
	if (r->store)
		store_drop_idle(r->store);
}

/* WAITS. What was begun is finished and answered: a mail that was saved does not come again. */
static void finish_work(struct mail_role *r)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, now_us() + FINISH_US);
	while (r->busy > 0 && wait_queue_wait(&op, &r->idle) == ERR_NONE)
		continue;
}

/* Lets go of users and shards: from now on another process may serve them. */
static void close_parts(struct op *op, struct mail_role *r)
{
	timer_cancel(&r->garbage);
	account_on_tight(NULL, NULL);
	finish_work(r);
	if (r->imap)
		imap_close(op, r->imap);
	r->imap = NULL;
	if (r->store && store_close(op, r->store) != ERR_NONE)
		event_send_failure(NULL, EVENT_ERROR, NULL, op, "closing the store");
	r->store = NULL;
}

/* Requests that were not begun go to the next process. */
static void mail_role_retire(struct op *op, void *state)
{
	struct mail_role *r = state;
	ipc_server_retire(r->server);
	r->is_retired = true;
	/* The worker of a quarantine has no successor. */
	if (r->slot < r->shared->worker_count) {
		r->moving = moving_new(role_socket_mail(op->arena, r->config, r->slot));
		moving_collect(op, r->moving, r->imap);
	}
	close_parts(op, r);
	ipc_server_finish(op, r->server);
	/* Who takes them starts when the master hears that we are done here. */
	if (r->moving)
		moving_start(r->moving);
}

static void mail_role_stop(struct op *op, void *state)
{
	struct mail_role *r = state;
	r->is_stopping = true;
	if (!r->is_retired) {
		finish_work(r);
		ipc_server_close(r->server);
		r->server = NULL;
		close_parts(op, r);
	}
	ipc_server_close(r->server);
	if (r->busy > 0)
		return; /* the process ends with those who still use it */
	moving_free(r->moving);
	ticket_gate_free(r->gate);
	arena_done(&r->arena);
	config_unref(r->store_config);
	config_unref(r->config);
	mem_free(r);
}

static uint64_t mail_role_clients(const void *state)
{
	const struct mail_role *r = state;
	return (r->imap ? imap_session_count(r->imap) : 0) +
	       (r->moving ? moving_count(r->moving) : 0);
}

/* ---- reload ---- */

static void end_old_sessions(void *arg)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, now_us() + OLD_SESSIONS_US);
	imap_close(&op, arg);
}

/* The sessions of before end, as `shutdown_clients` asks for. */
static enum err renew_imap(struct op *op, struct mail_role *r, struct config *config)
{
	struct imap *next;
	TRY(imap_open(op, config, &next));
	task_start("old-sessions", end_old_sessions, r->imap);
	r->imap = next;
	return ERR_NONE;
}

static enum err mail_role_reload(struct op *op, void *state, struct role_context *context)
{
	struct mail_role *r = state;
	if (config_bool(config_scope(context->config, NULL), SET_shutdown_clients))
		TRY(renew_imap(op, r, context->config));
	else
		TRY(imap_reload(op, r->imap, context->config));
	config_unref(r->config);
	r->config = config_ref(context->config);
	return ERR_NONE;
}

static enum err start_parts(struct op *op, struct mail_role *r, struct role_context *context)
{
	TRY(open_store(op, r));
	TRY(imap_open(op, r->config, &r->imap));
	r->gate = ticket_gate_new(context->ticket_key);
	return ipc_serve(op, context->listeners[0].fd, "mail-request", serve, r, &r->server);
}

static enum err mail_role_start(struct op *op, struct role_context *context, void **out_state)
{
	ASSERT(context->has_ticket_key && context->listener_count == 1);
	struct mail_role *r = MEM_NEW(struct mail_role);
	r->config = config_ref(context->config);
	r->store_config = config_ref(context->config);
	r->shared = context->shared;
	r->slot = context->slot;
	arena_init(&r->arena, 0);
	timer_init(&r->garbage, garbage_timer, r);
	enum err e = start_parts(op, r, context);
	if (e != ERR_NONE) {
		mail_role_stop(op, r);
		return e;
	}
	timer_set(&r->garbage, now_us() + garbage_interval_us(r));
	account_on_tight(drop_caches, r);
	*out_state = r;
	return ERR_NONE;
}

const struct role role_mail = {
	.name = "mail",
	.service = "imap",
	.user_setting = SET_mail_uid,
	.reader = CONFIG_READER_MAIL,
	.needs_ticket_key = true,
	.start = mail_role_start,
	.reload = mail_role_reload,
	.retire = mail_role_retire,
	.stop = mail_role_stop,
	.clients = mail_role_clients,
};
