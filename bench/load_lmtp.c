/* SPDX-License-Identifier: Apache-2.0 */
/* Mode lmtp: deliveries, one transaction after the other on each connection, pipelined as an MTA
 * does it.
 *
 *   greeting -> LHLO -> ( MAIL+RCPT+DATA -> mail -> saved )* -> QUIT */
#include <string.h>

#include "load.h"

enum { GREETING, HELLO, ENVELOPE, SAVING, QUITTING };

static void next_mail(struct client *c)
{
	const struct load_options *o = &c->load->options;
	if (!load_take(c->load)) {
		c->step = QUITTING;
		client_sendf(c, "QUIT\r\n");
		return;
	}
	c->step = ENVELOPE;
	c->answers = 3;
	c->started_us = load_now_us();
	c->mail = &load_mails[c->load->started % LOAD_MAILS];
	c->user = o->first_user + (unsigned)(c->load->started % o->users);
	client_sendf(c, "MAIL FROM:<sender@example.org>\r\nRCPT TO:<u%u@example.test>\r\nDATA\r\n",
		c->user);
}

static void lmtp_line(struct client *c, const char *line, size_t n)
{
	bool is_last = n < 4 || line[3] != '-';
	bool is_good = n >= 3 && (line[0] == '2' || line[0] == '3');
	if (!is_good) {
		load_failed(c, "refused", line, n);
		return;
	}
	if (!is_last)
		return;
	switch (c->step) {
	case GREETING:
		c->step = HELLO;
		client_sendf(c, "LHLO load.example.org\r\n");
		break;
	case HELLO:
		next_mail(c);
		break;
	case ENVELOPE:
		if (--c->answers > 0)
			break;
		c->step = SAVING;
		client_send(c, c->mail->bytes, c->mail->n + LOAD_MAIL_END_BYTES);
		break;
	case SAVING:
		load_done(c, c->mail->n);
		next_mail(c);
		break;
	case QUITTING:
		load_leave(c);
		break;
	}
}

const struct mode mode_lmtp = { .name = "lmtp", .on_line = lmtp_line };
