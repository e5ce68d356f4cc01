/* SPDX-License-Identifier: Apache-2.0 */
/* The IMAP modes: what happens after a login.
 *
 *   login   LOGIN, LOGOUT, and connect again: the cost of a session
 *   idle    LOGIN, SELECT, IDLE, and stay: the cost of being there
 *   append  LOGIN, SELECT, then APPEND again and again
 *   fetch   LOGIN, SELECT, then FETCH of a whole mail at random
 *   store   LOGIN, SELECT, then UID STORE of a flag, to and fro */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum { GREETING, LOGIN, SELECT, WORK, WAITING, LOGOUT };

static bool starts_with(const char *line, size_t n, const char *text)
{
	size_t m = strlen(text);
	return n >= m && memcmp(line, text, m) == 0;
}

static void log_in(struct client *c)
{
	const struct load_options *o = &c->load->options;
	c->step = LOGIN;
	c->user = o->first_user + (unsigned)((c->index + c->load->started) % o->users);
	client_sendf(c, "a LOGIN u%u@example.test %s\r\n", c->user, o->password);
}

/* The greeting, LOGIN and SELECT, alike in all modes. True: the line was one of theirs. */
static bool prologue(struct client *c, const char *line, size_t n, bool wants_select)
{
	if (c->step > SELECT)
		return false;
	if (c->step == GREETING) {
		if (!starts_with(line, n, "* OK"))
			load_failed(c, "greeting", line, n);
		else
			log_in(c);
		return true;
	}
	if (starts_with(line, n, "* "))
		return true;
	if (!starts_with(line, n, "a OK")) {
		load_failed(c, c->step == LOGIN ? "LOGIN" : "SELECT", line, n);
		return true;
	}
	if (c->step == LOGIN && wants_select) {
		c->step = SELECT;
		client_sendf(c, "a SELECT INBOX\r\n");
		return true;
	}
	c->step = WORK;
	return false;
}

static void log_out(struct client *c)
{
	c->step = LOGOUT;
	client_sendf(c, "a LOGOUT\r\n");
}

/* ---- login ---- */

static void login_open(struct client *c)
{
	(void)c; /* the greeting comes next */
}

static void login_line(struct client *c, const char *line, size_t n)
{
	if (prologue(c, line, n, false))
		return;
	if (c->step == WORK)
		log_out(c);
	else if (starts_with(line, n, "a ") && !starts_with(line, n, "a OK"))
		load_failed(c, "LOGOUT", line, n);
}

static void login_end(struct client *c)
{
	if (c->step != LOGOUT) {
		load_failed(c, "the server closed the connection", "", 0);
		return;
	}
	load_done(c, 0);
	client_close(c);
	if (load_take(c->load))
		client_open(c);
	else
		load_leave(c);
}

const struct mode mode_login = {
	.name = "login",
	.on_open = login_open,
	.on_line = login_line,
	.on_end = login_end,
};

/* ---- idle ---- */

static void idle_line(struct client *c, const char *line, size_t n)
{
	if (prologue(c, line, n, true))
		return;
	if (c->step == WORK) {
		c->step = WAITING;
		client_sendf(c, "a IDLE\r\n");
	} else if (starts_with(line, n, "+")) {
		load_done(c, 0);
	} else if (!starts_with(line, n, "* ")) {
		load_failed(c, "IDLE", line, n);
	}
}

const struct mode mode_idle = { .name = "idle", .on_line = idle_line };

/* ---- append, fetch, store ---- */

static bool next_operation(struct client *c)
{
	if (!load_take(c->load)) {
		log_out(c);
		return false;
	}
	c->started_us = load_now_us();
	return true;
}

/* Handles everything but the answer to the operation itself; true: that has just been OK. */
static bool operation_ended(struct client *c, const char *line, size_t n)
{
	if (c->step == LOGOUT) {
		if (starts_with(line, n, "a OK"))
			load_leave(c);
		return false;
	}
	if (starts_with(line, n, "a OK"))
		return true;
	if (starts_with(line, n, "a "))
		load_failed(c, "the operation", line, n);
	return false;
}

static void append_next(struct client *c)
{
	if (!next_operation(c))
		return;
	const struct load_mail *m = &load_mails[c->load->started % LOAD_MAILS];
	c->mail = m;
	client_sendf(c, "a APPEND INBOX {%zu}\r\n", m->n - 2);
}

static void append_line(struct client *c, const char *line, size_t n)
{
	bool was_in_prologue = c->step <= SELECT;
	if (prologue(c, line, n, true))
		return;
	if (was_in_prologue) {
		append_next(c);
	} else if (starts_with(line, n, "+")) {
		/* The mail's last CRLF is not part of the literal: it ends the command. */
		client_send(c, c->mail->bytes, c->mail->n);
	} else if (operation_ended(c, line, n)) {
		load_done(c, c->mail->n);
		append_next(c);
	}
}

static void fetch_next(struct client *c)
{
	if (next_operation(c))
		client_sendf(c, "a FETCH %lu (UID FLAGS BODY.PEEK[])\r\n",
			1 + c->load->started * 7919 % c->load->options.mails);
}

static void fetch_line(struct client *c, const char *line, size_t n)
{
	bool was_in_prologue = c->step <= SELECT;
	if (prologue(c, line, n, true))
		return;
	if (!was_in_prologue && !operation_ended(c, line, n))
		return;
	if (!was_in_prologue)
		load_done(c, 0);
	fetch_next(c);
}

static void store_next(struct client *c)
{
	if (next_operation(c))
		client_sendf(c, "a UID STORE %lu %cFLAGS (\\Seen)\r\n",
			1 + c->load->started * 7919 % c->load->options.mails,
			c->load->started / c->load->options.mails % 2 ? '-' : '+');
}

static void store_line(struct client *c, const char *line, size_t n)
{
	bool was_in_prologue = c->step <= SELECT;
	if (prologue(c, line, n, true))
		return;
	if (!was_in_prologue && !operation_ended(c, line, n))
		return;
	if (!was_in_prologue)
		load_done(c, 0);
	store_next(c);
}

const struct mode mode_append = { .name = "append", .on_line = append_line };
const struct mode mode_fetch = { .name = "fetch", .on_line = fetch_line };
const struct mode mode_store = { .name = "store", .on_line = store_line };
