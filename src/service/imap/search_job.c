/* SPDX-License-Identifier: Apache-2.0 */
/* Mails whose text must be searched, some at a time, away from the loop.
 *
 * The job owns everything it touches: its own parsed program, the bodies it was given. When its waiter
 * is cancelled it runs to its end and frees itself (task/task.h). */
#include "service/imap/search_private.h"

#include "task/task.h"

#define JOB_MAILS_MAX    128
#define JOB_BYTES_MAX    (2u << 20)
#define INLINE_BYTES_MAX (64u << 10) /* not worth two switches of threads */

struct search_item {
	struct mail mail;
	struct message_summary summary;
	struct str body; /* read before the job runs */
	bool is_known;   /* no body is needed to say whether it is a match */
	bool is_match;
};

struct search_job {
	struct offload_job job; /* first: a job is a struct search_job */
	struct arena plan;      /* the program and what the matcher made of it */
	struct imap_search program;
	struct search_matcher matcher;
	struct arena batch; /* summaries and bodies */
	struct search_item items[JOB_MAILS_MAX];
	size_t count, bytes;
};

static void job_release(struct offload_job *job)
{
	search_job_free((struct search_job *)job);
}

static void job_run(struct offload_job *job)
{
	struct search_job *j = (struct search_job *)job;
	for (size_t i = 0; i < j->count; i++) {
		struct search_item *item = &j->items[i];
		if (item->is_known)
			continue;
		search_matcher_begin(&j->matcher, &item->mail);
		j->matcher.summary = &item->summary;
		j->matcher.body = item->body;
		j->matcher.has_body = true;
		item->is_match = search_matcher_run(&j->matcher) == SEARCH_YES;
	}
}

struct search_job *search_job_new(struct str text, const struct search_frame *frame)
{
	struct search_job *j = MEM_NEW(struct search_job);
	struct imap_cursor cursor;
	j->job.run = job_run;
	j->job.release = job_release;
	arena_init(&j->plan, 0);
	arena_init(&j->batch, 0); /* mails have a limit of their own */
	imap_cursor_init(&cursor, &j->plan, str_dup(&j->plan, text));
	enum err e = imap_parse_search(&cursor, &j->program);
	ASSERT(e == ERR_NONE); /* it was parsed before */
	search_matcher_init(&j->matcher, &j->plan, &j->program, frame);
	j->matcher.arena = &j->batch; /* for what is made of a mail */
	return j;
}

void search_job_free(struct search_job *j)
{
	if (!j)
		return;
	search_matcher_done(&j->matcher);
	arena_done(&j->batch);
	arena_done(&j->plan);
	mem_free(j);
}

bool search_job_is_full(const struct search_job *j)
{
	return j->count == JOB_MAILS_MAX || j->bytes >= JOB_BYTES_MAX;
}

bool search_job_is_empty(const struct search_job *j)
{
	return j->count == 0;
}

void search_job_add_match(struct search_job *j, const struct mail *mail)
{
	j->items[j->count++] =
		(struct search_item){ .mail = *mail, .is_known = true, .is_match = true };
}

enum err search_job_add(
	struct op *op, struct search_job *j, struct view *view, const struct mail *mail)
{
	struct search_item *item = &j->items[j->count];
	struct op reading;
	*item = (struct search_item){ .mail = *mail };
	op_init(&reading, &j->batch, op->event, op->deadline_us);
	enum err e = view_read_summary(&reading, view, mail, &item->summary);
	if (e != ERR_NONE) {
		op->failure = reading.failure;
		return e;
	}
	j->bytes += mail->size_physical;
	j->count++;
	return ERR_NONE;
}

/* WAITS. Those that are on another host in parallel. A mail that went meanwhile is no match. */
static enum err read_bodies(struct op *op, struct search_job *j, struct view *view)
{
	struct mail *mails = ARENA_NEW_ARRAY(op->arena, struct mail, j->count);
	struct str *bodies = ARENA_NEW_ARRAY(op->arena, struct str, j->count);
	size_t count = 0, at = 0;
	for (size_t i = 0; i < j->count; i++) {
		if (!j->items[i].is_known)
			mails[count++] = j->items[i].mail;
	}
	if (count > 1 && view_is_remote(view))
		TRY(view_read_bodies(op, view, mails, count, bodies));
	for (size_t i = 0; i < j->count; i++) {
		struct search_item *item = &j->items[i];
		if (item->is_known)
			continue;
		item->body = bodies[at++];
		if (item->body.n > 0)
			continue;
		enum err e = view_read_body(op, view, &item->mail, &item->body);
		item->is_known = e == ERR_NOT_FOUND;
		if (!item->is_known)
			TRY(e);
		op_forgive(op);
	}
	return ERR_NONE;
}

/* WAITS, for its turn too. */
static enum err read_in_turn(struct op *op, struct search_job *j, const struct imap_session *s)
{
	const size_t bytes = j->bytes;
	TRY(imap_turn_take(op, s->imap, bytes));
	enum err e = read_bodies(op, j, s->view);
	imap_turn_give(s->imap, bytes);
	return e;
}

enum err search_job_run(struct op *op, struct search_job **job, const struct imap_session *s)
{
	struct op reading;
	op_init(&reading, &(*job)->batch, op->event, op->deadline_us);
	enum err read = read_in_turn(&reading, *job, s);
	if (read != ERR_NONE) {
		op->failure = reading.failure;
		return read;
	}
	if ((*job)->bytes <= INLINE_BYTES_MAX) {
		job_run(&(*job)->job);
		return ERR_NONE;
	}
	enum err e = offload(op, OFFLOAD_CPU, &(*job)->job);
	if (e != ERR_NONE)
		*job = NULL;
	return e;
}

bool search_job_next(const struct search_job *j, size_t *at, const struct mail **out)
{
	while (*at < j->count) {
		const struct search_item *item = &j->items[(*at)++];
		if (!item->is_match)
			continue;
		*out = &item->mail;
		return true;
	}
	return false;
}

void search_job_clear(struct search_job *j)
{
	arena_reset(&j->batch);
	j->count = j->bytes = 0;
}
