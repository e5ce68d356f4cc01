/* SPDX-License-Identifier: Apache-2.0 */
/* The normal backend: a task has a stack, and running it means to swap the stack pointer.
 *
 * Always loop -> task -> loop, never task -> task. Each swap is announced to the sanitizers before
 * and confirmed after it. */
#include "task/task_private.h"

#ifndef POMBAL_TASK_THREADS

#include "task/sanitizer_private.h"

#if TASK_ASAN || TASK_TSAN || defined(POMBAL_INSTRUMENTED)
#define STACK_BYTES_DEFAULT (size_t)(1024 * 1024)
#else
#define STACK_BYTES_DEFAULT (size_t)(256 * 1024)
#endif

/* Valgrind takes a stack of which less than 512 bytes are in use for a broken one, and does not
 * unwind it. */
#ifdef POMBAL_VALGRIND
#define STACK_TOP_GAP 1024
#else
#define STACK_TOP_GAP 0
#endif

size_t context_stack_bytes_default(void)
{
	return STACK_BYTES_DEFAULT;
}

/* `from` is left for `to`; with `is_last` for ever, so that its fake stack is freed. */
static void announce(struct context *from, const struct context *to, bool is_last)
{
#if TASK_ASAN
	__sanitizer_start_switch_fiber(is_last ? NULL : &from->fake_stack, to->bottom, to->bytes);
#endif
#if TASK_TSAN
	__tsan_switch_to_fiber(to->fiber, 0);
#endif
	(void)from;
	(void)to;
	(void)is_last;
}

/* We run on `here` again, or for the first time; `back` learns the bounds of the stack we left. */
static void confirm(struct context *here, struct context *back)
{
#if TASK_ASAN
	__sanitizer_finish_switch_fiber(
		here->fake_stack, back ? &back->bottom : NULL, back ? &back->bytes : NULL);
#endif
	(void)here;
	(void)back;
}

static void context_entry(void)
{
	struct loop *l = loop_current;
	struct task *t = l->current;
	confirm(&t->context, &l->context);
	task_main(t);
	announce(&t->context, &l->context, true);
	context_swap(&t->context.sp, l->context.sp);
	UNREACHABLE();
}

#if defined(__x86_64__)
static void *context_first(const struct stack *s)
{
	void **sp = (void **)(void *)(s->base + s->bytes - STACK_TOP_GAP);
	*--sp = NULL;                  /* return address of the entry: ends backtraces */
	*--sp = (void *)context_entry; /* where the first swap returns to */
	for (int i = 0; i < 6; i++)
		*--sp = NULL;                     /* rbp rbx r12..r15 */
	uint32_t control[2] = { 0x1f80, 0x037f }; /* mxcsr, x87: the ABI's values at start */
	sp--;
	memcpy(sp, control, sizeof control);
	return sp;
}
#elif defined(__aarch64__)
void context_trampoline(void);

static void *context_first(const struct stack *s)
{
	void **sp = (void **)(void *)(s->base + s->bytes - STACK_TOP_GAP) - CONTEXT_SAVED_WORDS;
	memset(sp, 0, CONTEXT_SAVED_WORDS * sizeof *sp);
	sp[1] = (void *)context_trampoline; /* x30 */
	sp[2] = (void *)context_entry;      /* x19 */
	return sp;
}
#endif

static void context_start(struct loop *l, struct task *t)
{
	t->stack = stack_take(l);
	t->context = (struct context){
		.sp = context_first(t->stack),
		.bottom = t->stack->base,
		.bytes = t->stack->bytes,
	};
#if TASK_TSAN
	t->context.fiber = __tsan_create_fiber(0);
	__tsan_set_fiber_name(t->context.fiber, t->name);
#endif
}

void context_loop_init(struct loop *l)
{
#if TASK_TSAN
	l->context.fiber = __tsan_get_current_fiber();
#else
	(void)l;
#endif
}

void context_loop_done(struct loop *l)
{
	stack_pool_done(l);
}

void context_resume(struct loop *l, struct task *t)
{
	if (!t->stack)
		context_start(l, t);
	announce(&l->context, &t->context, false);
	context_swap(&l->context.sp, t->context.sp);
	confirm(&l->context, NULL);
}

void context_suspend(struct loop *l, struct task *t)
{
	announce(&t->context, &l->context, false);
	context_swap(&t->context.sp, l->context.sp);
	confirm(&t->context, &l->context);
}

void context_release(struct loop *l, struct task *t)
{
#if TASK_TSAN
	__tsan_destroy_fiber(t->context.fiber);
	t->context.fiber = NULL;
#endif
	stack_give(l, t->stack);
	t->stack = NULL;
}

#endif
