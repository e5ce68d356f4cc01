/* SPDX-License-Identifier: Apache-2.0 */
/* http/drive.c - libcurl's multi handle on our loop.
 *
 * libcurl wants its descriptors level-triggered: for a plain connection it reads once per call and leaves
 * the rest to the next. The loop's watches tell edges. So libcurl's descriptors are in an epoll set of
 * their own, which is level-triggered and itself one descriptor of the loop: after each turn it is
 * asked again until it has nothing, or the turn was long enough.
 *
 * When no request is under way for idle_max_us the multi handle goes, and with it all connections (libcurl
 * ends old ones only when it looks for one to use) and the buffers of kept handles. Names and TLS sessions are in
 * the share. */
#include <sys/epoll.h>
#include <unistd.h>

#include "http/http_private.h"

#define EVENTS_PER_ROUND 32
#define ROUNDS_PER_TURN  16

/* NULL: libcurl acts on its own behalf, as when it ends an old connection. */
static struct http_attempt *attempt_of(CURL *easy)
{
	char *attempt = NULL;
	if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, &attempt) != CURLE_OK)
		return NULL;
	return (struct http_attempt *)(void *)attempt;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct http_client *c = arg;
	struct http_attempt *a = attempt_of(easy);
	if (a)
		a->fd = what == CURL_POLL_REMOVE ? CURL_SOCKET_BAD : fd;
	if (what == CURL_POLL_REMOVE) {
		(void)epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, fd, NULL); /* closed already: gone */
		return 0;
	}
	struct epoll_event ev = { .data.fd = fd };
	if (what != CURL_POLL_OUT)
		ev.events |= EPOLLIN;
	if (what != CURL_POLL_IN)
		ev.events |= EPOLLOUT;
	if (!known)
		(void)curl_multi_assign(c->multi, fd, c); /* fails for descriptors it knows not */
	/* A number may have been closed and used again in between. A failure here would end all transfers; without
	 * a descriptor watched only one ends, by its silence. */
	if (epoll_ctl(c->epoll_fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev) != 0)
		(void)epoll_ctl(c->epoll_fd, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &ev);
	return 0;
}

static int on_timer(CURLM *multi, long after_ms, void *arg)
{
	struct http_client *c = arg;
	(void)multi;
	if (after_ms < 0)
		timer_cancel(&c->timer);
	else
		timer_set(&c->timer, now_us() + after_ms * US_PER_MS);
	return 0;
}

static void tell_ended(struct http_client *c)
{
	int left;
	for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &left));) {
		if (m->msg != CURLMSG_DONE)
			continue;
		http_attempt_ended(attempt_of(m->easy_handle), m->data.result);
	}
}

static void act(struct http_client *c, curl_socket_t fd, uint32_t events)
{
	int running, mask = 0;
	if (events & (EPOLLIN | EPOLLHUP))
		mask |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		mask |= CURL_CSELECT_OUT;
	if (events & EPOLLERR)
		mask |= CURL_CSELECT_ERR;
	/* An error of the multi handle itself shows as attempts that end by their time. */
	(void)curl_multi_socket_action(c->multi, fd, mask, &running);
}

static void turn(struct http_client *c)
{
	struct epoll_event events[EVENTS_PER_ROUND];
	int n = EVENTS_PER_ROUND;
	for (int round = 0; c->multi && n > 0 && round < ROUNDS_PER_TURN; round++) {
		n = epoll_wait(c->epoll_fd, events, EVENTS_PER_ROUND, 0);
		for (int i = 0; i < n; i++)
			act(c, events[i].data.fd, events[i].events);
		if (n > 0)
			tell_ended(c);
	}
	if (c->multi && n > 0)
		timer_set(&c->again, now_us());
}

static void on_ready(struct watch *w, unsigned events, void *arg)
{
	(void)events;
	watch_forget(w, WATCH_READ);
	turn(arg);
}

static void on_again(void *arg)
{
	turn(arg);
}

static void on_timeout(void *arg)
{
	struct http_client *c = arg;
	act(c, CURL_SOCKET_TIMEOUT, 0);
	tell_ended(c);
}

static void on_idle(void *arg)
{
	struct http_client *c = arg;
	ASSERT(c->active == 0);
	timer_cancel(&c->timer);
	timer_cancel(&c->again);
	CURLM *multi = c->multi;
	(void)curl_multi_cleanup(multi); /* it has no handles */
	timer_cancel(&c->timer);
	c->multi = NULL;
	http_attempt_forget_handles(c);
}

enum err http_drive_open(struct op *op, struct http_client *c)
{
	timer_init(&c->timer, on_timeout, c);
	timer_init(&c->again, on_again, c);
	timer_init(&c->idle_timer, on_idle, c);
	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll_fd < 0)
		return op_fail_errno(op, "epoll of HTTP client %s", c->name);
	return watch_open(op, &c->watch, c->epoll_fd, on_ready, c);
}

void http_drive_close(struct http_client *c)
{
	timer_cancel(&c->idle_timer);
	if (c->multi)
		on_idle(c);
	if (c->epoll_fd < 0)
		return;
	watch_close(&c->watch);
	close(c->epoll_fd);
}

static enum err open_multi(struct op *op, struct http_client *c)
{
	CURLM *m = c->multi = curl_multi_init();
	if (!m || curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, on_socket) != CURLM_OK ||
		curl_multi_setopt(m, CURLMOPT_SOCKETDATA, c) != CURLM_OK ||
		curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, on_timer) != CURLM_OK ||
		curl_multi_setopt(m, CURLMOPT_TIMERDATA, c) != CURLM_OK ||
		curl_multi_setopt(m, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING) != CURLM_OK ||
		curl_multi_setopt(m, CURLMOPT_MAXCONNECTS, 2L * c->settings.connections_max) !=
			CURLM_OK)
		return op_fail(op, ERR_UNAVAILABLE, "libcurl gives no multi handle");
	return ERR_NONE;
}

enum err http_drive_add(struct op *op, struct http_client *c, CURL *easy)
{
	if (!c->multi)
		TRY(open_multi(op, c));
	CURLMcode code = curl_multi_add_handle(c->multi, easy);
	if (code != CURLM_OK)
		return op_fail(op, ERR_UNAVAILABLE, "libcurl takes no more requests: %s",
			curl_multi_strerror(code));
	return ERR_NONE;
}

void http_drive_remove(struct http_client *c, CURL *easy)
{
	CURLMcode code = curl_multi_remove_handle(c->multi, easy);
	ASSERT(code == CURLM_OK);
}

void http_drive_rest(struct http_client *c)
{
	if (c->multi)
		timer_set(&c->idle_timer, now_us() + c->settings.idle_max_us);
}
