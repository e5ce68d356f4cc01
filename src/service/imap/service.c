/* SPDX-License-Identifier: Apache-2.0 */
/* All sessions of a worker: beginning, reloading, ending. */
#include "service/imap/imap_private.h"

/* What a running command may still take when the worker stops. */
#define CLOSE_PATIENCE_US (10 * US_PER_SEC)

static const struct serving_end shutting_down = { "Server shutting down", "Server shutting down.",
	NULL };
static const struct serving_end kicked = { "Disconnected by administrator",
	"Disconnected by administrator.", "UNAVAILABLE" };

enum err imap_open(struct op *op, struct config *config, struct imap **out)
{
	struct imap_settings *settings;
	TRY(imap_settings_new(op, config, &settings));
	struct imap *imap = MEM_NEW(struct imap);
	imap->settings = settings;
	list_init(&imap->sessions);
	*out = imap;
	return ERR_NONE;
}

enum err imap_reload(struct op *op, struct imap *imap, struct config *config)
{
	struct imap_settings *settings;
	TRY(imap_settings_new(op, config, &settings));
	imap_settings_unref(imap->settings);
	imap->settings = settings;
	return ERR_NONE;
}

size_t imap_session_count(const struct imap *imap)
{
	return imap->session_count;
}

void imap_kick(struct imap *imap, struct str user)
{
	struct imap_session *s, *next;
	LIST_FOR_EACH(s, next, &imap->sessions, struct imap_session, link)
	{
		if (str_eq(user_name(s->user), user))
			serving_end(&s->serving, &kicked);
	}
}

void imap_close(struct op *op, struct imap *imap)
{
	struct imap_session *s, *next;
	AUTO_ARENA(arena, 0);
	struct op patience;
	imap->is_closing = true;
	LIST_FOR_EACH(s, next, &imap->sessions, struct imap_session, link)
	{
		/* One that runs a command answers it first, then sees that it is over. */
		serving_wake(&s->serving);
	}
	op_init(&patience, &arena, NULL, MIN(op->deadline_us, now_us() + CLOSE_PATIENCE_US));
	while (imap->session_count > 0 && wait_queue_wait(&patience, &imap->emptied) == ERR_NONE)
		continue;
	/* Clients that do not take their answers, or do not send their mail to its end. */
	LIST_FOR_EACH(s, next, &imap->sessions, struct imap_session, link)
	{
		serving_end(&s->serving, &shutting_down);
	}
	while (imap->session_count > 0 && wait_queue_wait(op, &imap->emptied) == ERR_NONE)
		continue;
	if (imap->session_count > 0)
		return; /* out of time: the process ends now, and its sessions with it */
	imap_settings_unref(imap->settings);
	mem_free(imap);
}
