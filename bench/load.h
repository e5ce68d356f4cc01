/* SPDX-License-Identifier: Apache-2.0 */
/* bench/load.h - the parts of the load client.
 *
 * One process, one epoll loop, many client connections, each a small state machine that a `mode`
 * drives: what to say when connected, and what to answer to each line. Made to cost little, as it
 * shares the machine with the server that it measures: mails are generated before the start,
 * answers are looked at and dropped.
 *
 * To add a mode: write its functions in load_<what>.c, declare it here, add it to load.c. */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct load;
struct client;

/* ---- one connection (load_net.c) ---- */

#define CLIENT_INPUT_MAX 16384

struct client {
	struct load *load;
	int fd; /* -1: not open */
	unsigned index;
	SSL *ssl; /* NULL: plain */
	bool is_connected, waits_for_write;
	int step;         /* the mode's own state */
	unsigned answers; /* how many the mode still waits for */
	unsigned user;    /* of u%d@example.test */
	const struct load_mail *mail;
	int64_t started_us; /* of the operation under way */
	uint64_t literal;   /* bytes of a literal still to be skipped */
	const char *out;    /* borrowed: what is being sent */
	size_t out_n;
	char command[512]; /* for small things to send */
	char in[CLIENT_INPUT_MAX];
	size_t in_n;
};

/* Connects; on_open() is called when it can talk (after the TLS handshake). */
void client_open(struct client *c);
/* epoll has something for it. */
void client_ready(struct client *c, unsigned events);
/* Closes at once; no callback. */
void client_close(struct client *c);
/* Sends; `bytes` must stay until all is sent or client_send() is called again. */
void client_send(struct client *c, const char *bytes, size_t n);
/* The same from a format, through c->command. */
void client_sendf(struct client *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- modes ---- */

struct mode {
	const char *name;
	void (*on_open)(struct client *c);
	/* One line of an answer without its CRLF; literals of IMAP are skipped. */
	void (*on_line)(struct client *c, const char *line, size_t n);
	/* The server closed. NULL: that is an error. */
	void (*on_end)(struct client *c);
};
extern const struct mode mode_lmtp, mode_login, mode_idle, mode_append, mode_fetch, mode_store;

/* ---- a run (load.c) ---- */

struct load_options {
	const char *host, *password, *ca_file;
	uint16_t port;
	bool is_tls, resumes; /* resumes: TLS sessions, wherever the server lets it */
	unsigned connections, users, first_user;
	uint64_t count;   /* operations; idle: ignored */
	unsigned mails;   /* fetch, store: mails in each INBOX */
	size_t mail_size; /* 0: realistic sizes */
};

#define LATENCIES_MAX 200000

struct load {
	struct load_options options;
	const struct mode *mode;
	SSL_CTX *tls;
	SSL_SESSION *session; /* owned; NULL: none yet */
	int epoll_fd;
	struct client *clients;
	unsigned opening;      /* connections that are being made */
	unsigned next_to_open; /* idle sessions are opened a few at a time */
	unsigned open;
	uint64_t started, done, errors, bytes, resumed;
	int64_t began_us, ended_us;
	uint32_t *latencies_us;
	size_t latency_count;
};

int64_t load_now_us(void);
/* Takes the next operation; false: all have been taken. */
bool load_take(struct load *l);
/* An operation that began at c->started_us has succeeded. */
void load_done(struct client *c, size_t bytes);
/* Something went wrong: counted, told on stderr (the first few), and the connection is closed. */
void load_failed(struct client *c, const char *what, const char *line, size_t n);
/* This connection has nothing left to do. */
void load_leave(struct client *c);

/* ---- mails (load_mail.c) ---- */

struct load_mail {
	char *bytes; /* CRLF lines, none begins with a dot; LMTP's end mark follows after `n` */
	size_t n;
};
/* Makes `count` mails: realistic sizes (median 23 kB, mean about 44 kB, up to 2 MB, one in five
 * with an attachment), or all of `size` bytes. Deterministic. */
struct load_mail *load_mails_new(unsigned count, size_t size);
#define LOAD_MAILS          512
#define LOAD_MAIL_END       ".\r\n"
#define LOAD_MAIL_END_BYTES 3
extern struct load_mail *load_mails;
