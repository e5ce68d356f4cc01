/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions that move to another process: those that rest between two commands, or idle, go; those in
 * the middle of something stay until it is done or the worker ends.
 *
 * Plan §2: the client sees nothing of it. */
#include <unistd.h>

#include "ipc/handover.h"
#include "service/imap/frozen.h"
#include "service/imap/imap_private.h"

_Static_assert(sizeof(struct imap_counters) == IMAP_FROZEN_NUMBERS * sizeof(uint64_t),
	"every counter travels");

/* Nothing half-done, nothing unsent. */
static bool may_move(const struct imap_session *s)
{
	return !serving_is_served(&s->serving) && !serving_is_ending(&s->serving) && !s->fetch &&
	       !s->append && !s->is_blocked && !s->closing_reason &&
	       stream_output(s->stream)->n == 0;
}

static void freeze(struct imap_session *s, struct buf *out)
{
	AUTO_BUF(view, 0);
	if (s->view)
		view_freeze(s->view, &view);
	struct imap_frozen f = {
		.user = user_name(s->user),
		.session_id = str_from(s->session_id),
		.idle_tag = str_from(s->idle_tag),
		.view = buf_str(&view),
		.input = stream_input(s->stream),
		.local = stream_local(s->stream),
		.remote = s->remote,
		.enabled = s->enabled,
		.bad_commands = s->bad_commands,
		.keywords_told = s->keywords_told,
		.is_read_only = s->is_read_only,
		.has_untold_mails = s->has_untold_mails,
		.saved_uids = s->saved_uids,
		.frame = s->frame,
	};
	struct stream_counters n = stream_counters(s->stream);
	struct imap_counters counters = s->counters;
	counters.bytes_in += n.bytes_in;
	counters.bytes_out += n.bytes_out;
	memcpy(f.counters, &counters, sizeof(counters));
	imap_frozen_put(&f, out);
}

enum err imap_freeze(
	struct op *op, struct imap *imap, imap_freeze_fn *give, void *arg, size_t *out_count)
{
	struct imap_session *s, *next;
	*out_count = 0;
	LIST_FOR_EACH(s, next, &imap->sessions, struct imap_session, link)
	{
		struct str leftover;
		if (!may_move(s))
			continue;
		AUTO_BUF(bytes, 0);
		freeze(s, &bytes);
		stream_unpark(s->stream);
		int fd = stream_take_fd(s->stream, op->arena, &leftover);
		s->stream = NULL;
		imap_session_free(s);
		++*out_count;
		TRY(give(arg, fd, buf_str(&bytes)));
	}
	return ERR_NONE;
}

/* ---- back ---- */

/* WAITS. */
static enum err thaw_view(struct op *op, struct imap_session *s, const struct imap_frozen *f)
{
	if (f->view.n == 0)
		return ERR_NONE;
	TRY(view_thaw(op, s->user, f->view, &s->view));
	s->mailbox = mailbox_ref(view_mailbox(s->view));
	return ERR_NONE;
}

static void thaw_state(struct imap_session *s, const struct imap_frozen *f)
{
	s->enabled = (unsigned)f->enabled & (IMAP_HAS_CONDSTORE | IMAP_HAS_QRESYNC);
	s->bad_commands = (uint8_t)f->bad_commands;
	s->keywords_told = (uint8_t)f->keywords_told;
	s->is_read_only = f->is_read_only;
	s->has_untold_mails = f->has_untold_mails;
	memcpy(&s->counters, f->counters, sizeof(s->counters));
	range_set_add_set(&s->saved_uids, &f->saved_uids);
	s->frame = f->frame;
	if (f->idle_tag.n > 0)
		imap_idle_resume(s, f->idle_tag);
}

/* WAITS. Takes fd. */
static enum err thaw(
	struct op *op, struct imap *imap, struct store *store, const struct imap_frozen *f, int fd)
{
	struct handover h = { .protocol = STR("imap"),
		.session_id = f->session_id,
		.input = f->input,
		.local = f->local,
		.remote = f->remote,
		.fd = fd };
	struct imap_session *s;
	struct user *user;
	enum err e = user_open(op, store, f->user, &user);
	if (e != ERR_NONE) {
		close(fd);
		return e;
	}
	e = imap_session_make(op, imap, &h, user, &s);
	user_unref(user);
	TRY(e);
	e = thaw_view(op, s, f);
	if (e != ERR_NONE) {
		imap_put_untagged(stream_output(s->stream), "BYE", STR("UNAVAILABLE"),
			STR("Server was replaced, please log in again."));
		s->closing_reason = "The mailbox could not be taken over";
	}
	thaw_state(s, f);
	serving_start(&s->serving);
	return e;
}

enum err imap_session_thaw(
	struct op *op, struct imap *imap, struct store *store, struct str bytes, int fd)
{
	struct imap_frozen f;
	if (!imap_frozen_parse(bytes, &f) || f.idle_tag.n > IMAP_TAG_MAX) {
		close(fd);
		return op_fail(op, ERR_CORRUPT, "these are not the bytes of a session");
	}
	enum err e = thaw(op, imap, store, &f, fd);
	imap_frozen_done(&f);
	return e;
}
