/* SPDX-License-Identifier: Apache-2.0 */
/* The load client: options, the loop, the figures. One JSON object on stdout at the end; mode idle
 * also prints a line "idle" when all its sessions idle, and holds them until its stdin ends. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define EVENTS_MAX       256
#define OPENING_MAX      64 /* connections that are made at the same time */
#define ERRORS_TOLD      5
#define PROGRESS_LIMIT_S 60 /* without any event: the server hangs */

static const struct mode *const modes[] = { &mode_lmtp, &mode_login, &mode_idle, &mode_append,
	&mode_fetch, &mode_store, NULL };

int64_t load_now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

bool load_take(struct load *l)
{
	if (l->started >= l->options.count)
		return false;
	l->started++;
	return true;
}

void load_done(struct client *c, size_t bytes)
{
	struct load *l = c->load;
	l->done++;
	l->bytes += bytes;
	l->ended_us = load_now_us();
	if (l->latency_count < LATENCIES_MAX)
		l->latencies_us[l->latency_count++] = (uint32_t)(l->ended_us - c->started_us);
}

void load_failed(struct client *c, const char *what, const char *line, size_t n)
{
	if (c->load->errors++ < ERRORS_TOLD)
		fprintf(stderr, "load: connection %u, user %u: %s: %.*s\n", c->index, c->user, what,
			(int)(n > 200 ? 200 : n), line);
	client_close(c);
}

void load_leave(struct client *c)
{
	client_close(c);
}

/* ---- the loop ---- */

/* Connections that are not yet what they are to be: talking, or idling. */
static uint64_t on_the_way(const struct load *l)
{
	return l->mode == &mode_idle ? l->next_to_open - l->done - l->errors : l->opening;
}

static void open_more(struct load *l)
{
	while (l->next_to_open < l->options.connections && on_the_way(l) < OPENING_MAX) {
		struct client *c = &l->clients[l->next_to_open++];
		/* A login is an operation of its own; the other modes take theirs when logged in. */
		if (l->mode == &mode_login && !load_take(l))
			continue;
		if (l->mode == &mode_idle)
			load_take(l);
		client_open(c);
	}
}

/* Holds the sessions until stdin ends. */
static bool is_told_to_end(void)
{
	char byte;
	return read(STDIN_FILENO, &byte, 1) <= 0;
}

static void run(struct load *l)
{
	struct epoll_event events[EVENTS_MAX];
	int64_t last_us = load_now_us();
	l->began_us = last_us;
	open_more(l);
	while (l->open > 0) {
		if (l->mode == &mode_idle && l->done >= l->options.connections)
			break;
		int n = epoll_wait(l->epoll_fd, events, EVENTS_MAX, 1000);
		if (n > 0)
			last_us = load_now_us();
		if (load_now_us() - last_us > PROGRESS_LIMIT_S * 1000000LL) {
			fprintf(stderr, "load: nothing happens any more\n");
			l->errors++;
			break;
		}
		for (int i = 0; i < n; i++)
			client_ready(events[i].data.ptr, events[i].events);
		open_more(l);
	}
}

/* ---- figures ---- */

static int compare_latencies(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static uint32_t percentile(const struct load *l, unsigned percent)
{
	return l->latency_count ? l->latencies_us[(l->latency_count - 1) * percent / 100] : 0;
}

static void print_figures(struct load *l)
{
	double seconds = (double)(l->ended_us - l->began_us) / 1e6;
	qsort(l->latencies_us, l->latency_count, sizeof *l->latencies_us, compare_latencies);
	printf("{\"mode\": \"%s\", \"connections\": %u, \"done\": %lu, \"errors\": %lu, "
	       "\"seconds\": %.3f, \"bytes\": %lu, \"resumed\": %lu, \"p50_us\": %u, \"p99_us\": "
	       "%u}\n",
		l->mode->name, l->options.connections, l->done, l->errors, seconds, l->bytes,
		l->resumed, percentile(l, 50), percentile(l, 99));
	fflush(stdout);
}

/* ---- start ---- */

static const char usage[] =
	"usage: load MODE --port N [--host IP] [--tls CA_FILE [--resume]] [--password TEXT]\n"
	"            [--users N] [--first-user N] [--connections N] [--count N] [--mails N] "
	"[--mail-size "
	"BYTES]\n"
	"MODE: lmtp login idle append fetch store (see the heads of load_lmtp.c and load_imap.c)\n";

enum {
	OPT_HOST = 1,
	OPT_PORT,
	OPT_TLS,
	OPT_PASSWORD,
	OPT_USERS,
	OPT_FIRST_USER,
	OPT_CONNECTIONS,
	OPT_COUNT,
	OPT_MAILS,
	OPT_MAIL_SIZE,
	OPT_RESUME
};
static const struct option long_options[] = {
	{ "host", required_argument, NULL, OPT_HOST },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "tls", required_argument, NULL, OPT_TLS },
	{ "password", required_argument, NULL, OPT_PASSWORD },
	{ "users", required_argument, NULL, OPT_USERS },
	{ "first-user", required_argument, NULL, OPT_FIRST_USER },
	{ "connections", required_argument, NULL, OPT_CONNECTIONS },
	{ "count", required_argument, NULL, OPT_COUNT },
	{ "mails", required_argument, NULL, OPT_MAILS },
	{ "mail-size", required_argument, NULL, OPT_MAIL_SIZE },
	{ "resume", no_argument, NULL, OPT_RESUME },
	{ 0 },
};

static void take_option(struct load_options *o, int option, const char *value)
{
	unsigned long number = value ? strtoul(value, NULL, 10) : 0;
	switch (option) {
	case OPT_HOST:
		o->host = value;
		break;
	case OPT_PORT:
		o->port = (uint16_t)number;
		break;
	case OPT_TLS:
		o->is_tls = true;
		o->ca_file = value;
		break;
	case OPT_PASSWORD:
		o->password = value;
		break;
	case OPT_USERS:
		o->users = (unsigned)number;
		break;
	case OPT_FIRST_USER:
		o->first_user = (unsigned)number;
		break;
	case OPT_CONNECTIONS:
		o->connections = (unsigned)number;
		break;
	case OPT_COUNT:
		o->count = number;
		break;
	case OPT_MAILS:
		o->mails = (unsigned)number;
		break;
	case OPT_MAIL_SIZE:
		o->mail_size = number;
		break;
	case OPT_RESUME:
		o->resumes = true;
		break;
	}
}

static const struct mode *find_mode(const char *name)
{
	for (unsigned i = 0; modes[i]; i++)
		if (strcmp(modes[i]->name, name) == 0)
			return modes[i];
	return NULL;
}

/* The newest session serves all connections that begin later; as a copy, because a connection that
 * ends without a farewell spoils its own. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct load *l = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	SSL_SESSION_free(l->session);
	l->session = SSL_SESSION_dup(session);
	return 0;
}

static void prepare(struct load *l)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->clients = calloc(l->options.connections, sizeof *l->clients);
	l->latencies_us = calloc(LATENCIES_MAX, sizeof *l->latencies_us);
	if (!l->clients || !l->latencies_us)
		abort();
	for (unsigned i = 0; i < l->options.connections; i++)
		l->clients[i] = (struct client){ .load = l, .fd = -1, .index = i };
	if (l->mode == &mode_lmtp || l->mode == &mode_append)
		load_mails = load_mails_new(LOAD_MAILS, l->options.mail_size);
	if (!l->options.is_tls)
		return;
	l->tls = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_mode(l->tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
					 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(l->tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_app_data(l->tls, l);
	SSL_CTX_set_session_cache_mode(
		l->tls, l->options.resumes ? SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL
					   : SSL_SESS_CACHE_OFF);
	SSL_CTX_sess_set_new_cb(l->tls, keep_session);
	if (SSL_CTX_load_verify_locations(l->tls, l->options.ca_file, NULL) != 1) {
		fprintf(stderr, "load: cannot read %s\n", l->options.ca_file);
		exit(1);
	}
}

static void finish(struct load *l)
{
	for (unsigned i = 0; i < l->options.connections; i++)
		client_close(&l->clients[i]);
	for (unsigned i = 0; load_mails && i < LOAD_MAILS; i++)
		free(load_mails[i].bytes);
	free(load_mails);
	free(l->clients);
	free(l->latencies_us);
	SSL_SESSION_free(l->session);
	SSL_CTX_free(l->tls);
	close(l->epoll_fd);
}

int main(int argc, char **argv)
{
	struct load l = { .options = { .host = "127.0.0.1",
				  .password = "",
				  .users = 1,
				  .first_user = 1,
				  .connections = 1,
				  .count = 1,
				  .mails = 1 } };
	int option;
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == '?') {
			fputs(usage, stderr);
			return 2;
		}
		take_option(&l.options, option, optarg);
	}
	l.mode = optind == argc - 1 ? find_mode(argv[optind]) : NULL;
	if (!l.mode || !l.options.port || !l.options.users || !l.options.mails ||
		!l.options.connections) {
		fputs(usage, stderr);
		return 2;
	}
	if (l.mode == &mode_idle)
		l.options.count = l.options.connections;
	prepare(&l);
	run(&l);
	if (l.mode == &mode_idle) {
		puts("idle");
		fflush(stdout);
		while (!is_told_to_end())
			continue;
	}
	print_figures(&l);
	finish(&l);
	return l.errors || l.done < l.options.count ? 1 : 0;
}
