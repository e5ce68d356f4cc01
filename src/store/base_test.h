/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of bases share. */
#pragma once

#include "store/world_test.h"

#include "base/random.h"
#include "task/test.h"

#define HOUR_US (INT64_C(3600) * US_PER_SEC)

/* Appends, flags, expunges at random; there is a mail or was one. */
static inline void shake(struct world *w, struct mailbox *m, int steps)
{
	struct view *v = world_view(w, m);
	for (int i = 0; i < steps; i++) {
		uint32_t exists = view_exists(v);
		uint32_t seq = exists ? 1 + (uint32_t)random_below(exists) : 0;
		switch (exists ? random_below(4) : 0) {
		case 0:
		case 1:
			world_append(w, m, "x");
			break;
		case 2:
			if (seq)
				world_flags(
					w, v, seq, seq, FLAGS_REPLACE, (unsigned)random_below(32));
			break;
		case 3:
			if (seq && random_below(3) == 0) {
				world_flags(w, v, seq, seq, FLAGS_ADD, MAIL_DELETED);
				assert_ok(view_expunge(&w->op, v, NULL));
			}
			break;
		}
		(void)world_sync(w, v, true);
	}
	view_close(v);
	assert_ok(flags_journal_flush(&w->op, m));
}

static inline void upload(struct world *w, struct mailbox *m)
{
	assert_ok(mailbox_upload_base(&w->op, m, BASE_FLUSH));
	assert_true(m->base.exists);
}

/* Without local files. */
static inline struct str opened_cold(struct world *w, enum world_end how)
{
	if (how == WORLD_STOP) {
		world_stop(w);
		assert_ok(file_remove_tree(&w->op, w->settings.local_dir.p));
		world_open_store(w);
	} else {
		world_reopen(w, WORLD_CRASH_DROP);
	}
	struct mailbox *m = world_box(w, "INBOX");
	struct str text = world_describe(w, m);
	mailbox_unref(m);
	return text;
}

static inline void sleep_hours(struct world *w, int hours)
{
	assert_ok(task_sleep(&w->op, hours * HOUR_US + US_PER_SEC));
}

struct count {
	size_t appends, ops;
};

static inline enum err count_row(struct op *op, const struct catalog_row *row, void *arg)
{
	struct count *c = arg;
	(void)op;
	c->appends += row->kind == CATALOG_APPEND;
	c->ops += row->kind == CATALOG_OP;
	return ERR_NONE;
}

static inline struct count rows_of(struct world *w, struct mailbox *m)
{
	static const struct catalog_name all;
	struct count c = { 0 };
	assert_ok(catalog_read_rows(&w->op, w->catalog, w->user->name, m->guid, 0,
		user_last_bucket(w->user, m->guid), all, count_row, &c));
	return c;
}
