/* SPDX-License-Identifier: Apache-2.0 */
/* The service as its role sees it: open, accept, reload, close. */
#include <sys/socket.h>
#include <unistd.h>

#include "service/lmtp/lmtp_private.h"

static void rules_replace(struct lmtp *l, struct lmtp_rules *first)
{
	struct lmtp_rules *r = l->rules;
	l->rules = first;
	while (r) {
		struct lmtp_rules *next = r->next;
		r->next = NULL;
		lmtp_rules_unref(r);
		r = next;
	}
	const struct config_scope *service =
		config_block_get(config_scope(first->config, NULL), BLOCK_service, STR("lmtp"));
	l->limit = service ? (size_t)config_u64(service, SET_service_client_limit) : 1000;
}

static void lmtp_free(struct lmtp *l)
{
	while (l->rules) {
		struct lmtp_rules *r = l->rules;
		l->rules = r->next;
		lmtp_rules_unref(r);
	}
	map_done(&l->slots);
	mem_free(l);
}

enum err lmtp_open(struct op *op, const struct lmtp_settings *settings, struct lmtp **out)
{
	struct lmtp_rules *first;
	TRY(lmtp_rules_new(op, settings->config, &first));
	struct lmtp *l = MEM_NEW(struct lmtp);
	*l = (struct lmtp){
		.peers = settings->peers,
		.tls = settings->tls,
		.spool_dir = settings->spool_dir,
		.ticket_fresh_us = LMTP_TICKET_FRESH_US,
	};
	list_init(&l->connections);
	map_init(&l->slots);
	rules_replace(l, first);
	*out = l;
	return ERR_NONE;
}

enum err lmtp_reload(struct op *op, struct lmtp *l, struct config *config)
{
	struct lmtp_rules *first;
	TRY(lmtp_rules_new(op, config, &first));
	rules_replace(l, first);
	return ERR_NONE;
}

/* No connection is made for whom there is no room: one line, if it fits, and the end. */
static void refuse(struct lmtp *l, int fd)
{
	AUTO_BUF(text, 0);
	buf_putf(&text, "421 4.3.2 %s %s\r\n", l->rules->hostname,
		l->is_closing ? "Shutting down" : "Too many connections");
	/* Who is not told notices the end. */
	(void)send(fd, text.p, text.n, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

void lmtp_accept(struct lmtp *l, const struct lmtp_door *door, int fd, const struct address *peer)
{
	if (l->is_closing || l->count >= l->limit) {
		refuse(l, fd);
		return;
	}
	struct lmtp_connection *c = lmtp_connection_new(l, door, fd, peer);
	serving_start(&c->serving);
}

/* Ends those that are between transactions; `is_last`: everybody. */
static void end_connections(struct lmtp *l, bool is_last)
{
	struct lmtp_connection *c, *next;
	LIST_FOR_EACH(c, next, &l->connections, struct lmtp_connection, link)
	{
		bool is_busy = serving_is_served(&c->serving) || lmtp_is_receiving(c);
		if (is_last || !is_busy)
			serving_end(&c->serving, &lmtp_shutting_down);
	}
}

void lmtp_close(struct op *op, struct lmtp *l)
{
	AUTO_ARENA(arena, 0);
	struct op last;
	l->is_closing = true;
	end_connections(l, false);
	while (l->count > 0 && wait_queue_wait(op, &l->emptied) == ERR_NONE)
		continue;
	end_connections(l, true);
	op_init(&last, &arena, NULL, now_us() + US_PER_SEC);
	while (l->count > 0 && wait_queue_wait(&last, &l->emptied) == ERR_NONE)
		continue;
	if (l->count == 0)
		lmtp_free(l);
}
