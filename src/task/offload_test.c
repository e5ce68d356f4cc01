/* SPDX-License-Identifier: Apache-2.0 */
/* Tests: offloaded jobs: results, limits, abandonment at each stage, virtual time. */
#include <limits.h>
#include <pthread.h>

#include "task/test.h"

/* What jobs do outside the loop's thread is counted under this. */
static pthread_mutex_t counts_mutex = PTHREAD_MUTEX_INITIALIZER;
static int running, most_running, ran, released;

struct job {
	struct offload_job base;
	int64_t sleep_us;
	int waits_for_running; /* so many at once; gives up after two seconds */
	uint64_t in, out;
};

static int get(const int *count)
{
	pthread_mutex_lock(&counts_mutex);
	int v = *count;
	pthread_mutex_unlock(&counts_mutex);
	return v;
}

static void job_run(struct offload_job *base)
{
	struct job *j = CONTAINER_OF(base, struct job, base);
	pthread_mutex_lock(&counts_mutex);
	running++;
	most_running = MAX(most_running, running);
	pthread_mutex_unlock(&counts_mutex);
	for (int i = 0; i < 2000 && get(&most_running) < j->waits_for_running; i++)
		usleep(1000);
	if (j->sleep_us)
		usleep((useconds_t)j->sleep_us);
	j->out = j->in * j->in;
	pthread_mutex_lock(&counts_mutex);
	running--;
	ran++;
	pthread_mutex_unlock(&counts_mutex);
}

static void job_release(struct offload_job *base)
{
	pthread_mutex_lock(&counts_mutex);
	released++;
	pthread_mutex_unlock(&counts_mutex);
	mem_free(CONTAINER_OF(base, struct job, base));
}

static struct job *job_new(uint64_t in, int64_t sleep_us)
{
	struct job *j = MEM_NEW(struct job);
	j->base.run = job_run;
	j->base.release = job_release;
	j->in = in;
	j->sleep_us = sleep_us;
	return j;
}

static void reset_counts(void)
{
	pthread_mutex_lock(&counts_mutex);
	running = most_running = ran = released = 0;
	pthread_mutex_unlock(&counts_mutex);
}

static int wanted_running;

static enum err square(struct op *op, void *arg)
{
	uint64_t *v = arg;
	struct job *j = job_new(*v, 1000);
	j->waits_for_running = wanted_running;
	TRY(offload(op, OFFLOAD_DISK, &j->base));
	*v = j->out;
	j->base.release(&j->base);
	return ERR_NONE;
}

static void squares_task(void *arg)
{
	struct op op = test_op(20 * US_PER_SEC);
	uint64_t values[100];
	(void)arg;
	struct task_group *g = task_group_new(&op);
	for (uint64_t i = 0; i < ARRAY_COUNT(values); i++) {
		values[i] = i;
		task_group_start(g, "square", square, &values[i]);
	}
	assert_ok(task_group_finish(&op, g));
	for (uint64_t i = 0; i < ARRAY_COUNT(values); i++)
		assert_int_equal(values[i], i * i);
	assert_int_equal(get(&ran), 100);
	assert_int_equal(get(&released), 100);
	assert_int_equal(loop_stats().offloaded, 100);
}

static void jobs_run_at_once_within_the_limit(void **state)
{
	(void)state;
	reset_counts();
	wanted_running = 3;
	offload_set_threads(OFFLOAD_DISK, 3);
	test_in_task(squares_task, NULL);
	assert_int_equal(get(&most_running), 3);
	offload_set_threads(OFFLOAD_DISK, 8);
}

static void virtual_jobs_run_inline(void **state)
{
	(void)state;
	reset_counts();
	wanted_running = 1;
	test_in_loop(&(struct loop_settings){ .is_virtual = true, .seed = 3 }, squares_task, NULL);
	assert_int_equal(get(&most_running), 1);
}

/* ---- abandonment ---- */

static void offload_and_see(void *arg)
{
	struct op op = test_op(TIME_NEVER);
	struct job *j = job_new(2, 30 * US_PER_MS);
	enum err *result = arg;
	*result = offload(&op, OFFLOAD_LIBRARY, &j->base);
	if (*result == ERR_NONE)
		j->base.release(&j->base);
}

static void wait_for_count(const int *count, int expected)
{
	struct op op = test_op(10 * US_PER_SEC);
	while (get(count) != expected)
		assert_ok(task_sleep(&op, 1000));
}

static void abandon_task(void *arg)
{
	enum err results[2] = { ERR_NONE, ERR_NONE };
	(void)arg;
	/* One thread: the first job runs, the second has not started. */
	struct task_handle first = task_start("first", offload_and_see, &results[0]);
	struct task_handle second = task_start("second", offload_and_see, &results[1]);
	wait_for_count(&running, 1);
	task_cancel(second);
	task_yield();
	assert_false(task_is_alive(second));
	assert_err(results[1], ERR_CANCELLED);
	assert_int_equal(get(&released), 1); /* at once */
	task_cancel(first);
	task_yield();
	assert_false(task_is_alive(first)); /* does not wait for the job */
	assert_err(results[0], ERR_CANCELLED);
	assert_int_equal(get(&running), 1);
	wait_for_count(&released, 2); /* the job frees itself when it has run */
	assert_int_equal(get(&ran), 1);
}

static void cancelled_jobs_free_themselves(void **state)
{
	(void)state;
	reset_counts();
	offload_set_threads(OFFLOAD_LIBRARY, 1);
	test_in_task(abandon_task, NULL);
}

static void deadline_task(void *arg)
{
	struct op op = test_op(5 * US_PER_MS);
	struct job *j = job_new(2, 0);
	(void)arg;
	j->waits_for_running = INT_MAX; /* until it is told below */
	assert_err(offload(&op, OFFLOAD_LIBRARY, &j->base), ERR_TIMEOUT);
	assert_int_equal(get(&ran), 0);
	pthread_mutex_lock(&counts_mutex);
	most_running = INT_MAX;
	pthread_mutex_unlock(&counts_mutex);
	wait_for_count(&released, 1);
	int ran_before = get(&ran); /* 0: it was given up before a thread took it */

	/* It has run, but the loop did not notice before the task was cancelled: it counts as run. */
	enum err result = ERR_INVALID;
	struct task_handle t = task_start("late", offload_and_see, &result);
	task_yield();
	while (get(&ran) == ran_before)
		usleep(1000);
	usleep(20 * 1000); /* what the thread still has to do with it */
	task_cancel(t);
	while (task_is_alive(t))
		task_yield();
	assert_err(result, ERR_NONE);
	assert_int_equal(get(&released), 2);
}

static void jobs_obey_the_deadline(void **state)
{
	(void)state;
	reset_counts();
	test_in_task(deadline_task, NULL);
}

static void leave_a_job_behind(void *arg)
{
	static enum err result;
	(void)arg;
	task_start("left", offload_and_see, &result);
	wait_for_count(&running, 1);
}

static void a_loop_closes_while_a_job_runs(void **state)
{
	(void)state;
	reset_counts();
	test_in_task(leave_a_job_behind, NULL);
	for (int i = 0; i < 1000 && get(&released) == 0; i++)
		usleep(1000);
	assert_int_equal(get(&released), 1);
}

static void virtual_abandon_task(void *arg)
{
	struct op op = test_op(0);
	struct job *j = job_new(2, 0);
	(void)arg;
	assert_err(offload(&op, OFFLOAD_CPU, &j->base), ERR_TIMEOUT);
	assert_int_equal(get(&released), 1);
	assert_int_equal(get(&ran), 0);
	enum err result = ERR_INVALID;
	struct task_handle t = task_start("cancelled", offload_and_see, &result);
	task_yield();
	task_cancel(t);
	task_yield();
	assert_err(result, ERR_CANCELLED);
	assert_int_equal(get(&released), 2);
	op = test_op(TIME_NEVER);
	assert_ok(task_sleep(&op, US_PER_SEC));
	assert_int_equal(get(&ran), 0);
}

static void virtual_jobs_are_abandoned_too(void **state)
{
	(void)state;
	reset_counts();
	test_in_virtual_task(virtual_abandon_task, NULL);
}

/* ---- a loop a thread ---- */

static void some_squares(void *arg)
{
	struct op op = test_op(20 * US_PER_SEC);
	(void)arg;
	for (uint64_t i = 0; i < 30; i++) {
		uint64_t v = i;
		ASSERT(square(&op, &v) == ERR_NONE && v == i * i);
	}
}

/* Sets the flag that it is given when the loop has run. */
static void *thread_with_loop(void *arg)
{
	bool *has_run = arg;
	struct op op;
	struct test_task t = { .fn = some_squares };
	op_init(&op, NULL, NULL, TIME_NEVER);
	if (loop_open(&op, NULL) != ERR_NONE)
		return NULL;
	task_start("test", test_task_main, &t);
	loop_run();
	loop_close();
	*has_run = true;
	return NULL;
}

static void threads_have_their_own_loops(void **state)
{
	pthread_t threads[3];
	bool has_run[3] = { false };
	(void)state;
	wanted_running = 1;
	for (size_t i = 0; i < ARRAY_COUNT(threads); i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, thread_with_loop, &has_run[i]), 0);
	for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_true(has_run[i]);
	}
}

static enum err turn(struct op *op, const char *path, struct buf *content)
{
	if (strcmp(path, "/no") == 0)
		return op_fail(op, ERR_LIMIT, "%s is too much", path);
	if (content->n > 0)
		content->p[0] = 'B';
	buf_put(content, STR("c"));
	return ERR_NONE;
}

static void file_task(void *arg)
{
	struct op op;
	AUTO_ARENA(arena, 0);
	AUTO_BUF(content, 0);
	(void)arg;
	op_init(&op, &arena, NULL, TIME_NEVER);
	buf_put(&content, STR("b"));
	assert_ok(offload_file(&op, turn, STR("/yes"), &content));
	assert_str(buf_str(&content), STR("Bc"));
	assert_err(offload_file(&op, turn, STR("/no"), &content), ERR_LIMIT);
	assert_string_equal(op.failure.text, "/no is too much");
	assert_int_equal(content.n, 0);
}

static void files_go_there_and_back(void **state)
{
	(void)state;
	test_in_task(file_task, NULL);
	test_in_virtual_task(file_task, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jobs_run_at_once_within_the_limit),
		cmocka_unit_test(virtual_jobs_run_inline),
		cmocka_unit_test(cancelled_jobs_free_themselves),
		cmocka_unit_test(jobs_obey_the_deadline),
		cmocka_unit_test(a_loop_closes_while_a_job_runs),
		cmocka_unit_test(threads_have_their_own_loops),
		cmocka_unit_test(virtual_jobs_are_abandoned_too),
		cmocka_unit_test(files_go_there_and_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
