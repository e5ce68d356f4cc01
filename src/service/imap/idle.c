/* SPDX-License-Identifier: Apache-2.0 */
/* IDLE: the session parks; the mailbox's change, the client's line or the timer wakes it.
 *
 * Spec: RFC 2177; sheet protocols §4.20 */
#include "service/imap/imap_private.h"

static void mailbox_changed(void *arg)
{
	struct imap_session *s = arg;
	CHECK(s, IMAP_SESSION_MAGIC);
	s->is_woken = true;
	serving_wake(&s->serving);
}

static void set_tag(struct imap_session *s, struct str tag)
{
	memcpy(s->idle_tag, tag.p, tag.n);
	s->idle_tag[tag.n] = '\0';
}

void imap_idle_resume(struct imap_session *s, struct str tag)
{
	set_tag(s, tag);
	s->is_woken = true; /* what happened meanwhile is told in its first burst */
	if (s->view)
		view_on_change(s->view, mailbox_changed, s);
}

void imap_command_idle(struct imap_run *x)
{
	struct imap_session *s = x->session;
	if (imap_parse_none(x->cursor) != ERR_NONE || x->tag.n > IMAP_TAG_MAX) {
		imap_reply_bad_arguments(x);
		return;
	}
	set_tag(s, x->tag);
	imap_frame_expect_line(&s->frame);
	imap_put_continue(x->out, STR("idling"));
	imap_sync(x->op, s, true);
	if (s->view)
		view_on_change(s->view, mailbox_changed, s);
}

/* IDLE is over; the tag it is answered with. */
static struct str stop(struct op *op, struct imap_session *s)
{
	struct str tag = str_dup(op->arena, str_from(s->idle_tag));
	s->idle_tag[0] = '\0';
	s->measure.began_us = now_us(); /* waiting is not running */
	if (s->view)
		view_on_change(s->view, NULL, NULL);
	return tag;
}

static void reply(
	struct op *op, struct imap_session *s, struct str tag, const char *status, struct str text)
{
	struct imap_run x = { .op = op,
		.session = s,
		.tag = tag,
		.name = STR("IDLE"),
		.out = stream_output(s->stream) };
	imap_put_reply(&x, status, STR_NONE, text);
}

void imap_idle_refuse(struct op *op, struct imap_session *s)
{
	struct str tag = stop(op, s);
	reply(op, s, tag, "BAD", STR("Expected DONE."));
}

void imap_idle_line(struct op *op, struct imap_session *s, struct str line)
{
	if (!str_eq_ci(str_trim_right(line), STR("DONE"))) {
		imap_idle_refuse(op, s);
		return;
	}
	struct str tag = stop(op, s);
	imap_sync(op, s, true);
	if (!s->closing_reason)
		reply(op, s, tag, "OK", STR("Idle completed."));
}
