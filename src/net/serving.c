/* SPDX-License-Identifier: Apache-2.0 */
/* Bursts and parking: one loop for every protocol. */
#include "net/serving.h"

#include "net/net.h"

static void serve_again(void *arg);

/* Cancelled by nobody's decision: the process is at its end. */
static const struct serving_end loop_closes = { .reason = "cancelled", .told = "Disconnected." };

static void serving_task(void *arg)
{
	struct serving *s = arg;
	struct arena arena;
	bool is_parked = false;
	arena_init(&arena, s->kind->arena_bytes_max);
	while (!is_parked) {
		s->is_woken = false;
		arena_reset(&arena);
		if (!s->kind->serve(&arena, s->owner))
			break; /* s is gone */
		/* Who decided the end saw a task and left; nobody would come back for it. */
		if (s->ending || task_is_cancelled()) {
			s->kind->end(s->owner, s->ending ? s->ending : &loop_closes);
			break;
		}
		is_parked = !s->is_woken && stream_park(*s->stream, serve_again, s);
		if (is_parked)
			s->task = (struct task_handle){
				0
			}; /* until here, nobody may start another */
	}
	arena_done(&arena);
}

static void serve_again(void *arg)
{
	struct serving *s = arg;
	s->task = task_start(s->kind->task_name, serving_task, s);
}

static void timer_fired(void *arg)
{
	struct serving *s = arg;
	s->kind->expired(s->owner);
}

void serving_init(
	struct serving *s, const struct serving_kind *kind, void *owner, struct stream **stream)
{
	*s = (struct serving){ .kind = kind, .owner = owner, .stream = stream };
	timer_init(&s->timer, timer_fired, s);
}

void serving_done(struct serving *s)
{
	timer_cancel(&s->timer);
}

void serving_start(struct serving *s)
{
	ASSERT(!serving_is_served(s));
	serve_again(s);
}

void serving_wake(struct serving *s)
{
	s->is_woken = true;
	if (serving_is_served(s))
		return;
	stream_unpark(*s->stream);
	serve_again(s);
}

void serving_end(struct serving *s, const struct serving_end *why)
{
	if (s->ending)
		return;
	s->ending = why;
	if (serving_is_served(s)) {
		task_cancel(s->task);
		return;
	}
	stream_unpark(*s->stream);
	s->kind->end(s->owner, why);
}

bool serving_is_served(const struct serving *s)
{
	return task_is_alive(s->task);
}

bool serving_is_ending(const struct serving *s)
{
	return s->ending != NULL;
}

void serving_expire_in(struct serving *s, int64_t us)
{
	timer_set(&s->timer, now_us() + us);
}

void serving_expire_never(struct serving *s)
{
	timer_cancel(&s->timer);
}

void serving_say(struct serving *s)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	bool is_done;
	if (!*s->stream)
		return;
	op_init(&op, &arena, NULL, now_us());
	(void)stream_flush_ready(&op, *s->stream, &is_done); /* it is the last word anyway */
}
