/* SPDX-License-Identifier: Apache-2.0 */
#include "event/ring.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/test.h"

struct fixture {
	char path[32];
	struct arena arena;
	struct op op;
	struct event_ring_line *lines;
	size_t count;
};

static void open_ring(struct fixture *f)
{
	snprintf(f->path, sizeof(f->path), "/tmp/pombal-ring-XXXXXX");
	int fd = mkstemp(f->path);
	assert_true(fd >= 0);
	close(fd);
	arena_init(&f->arena, 0);
	op_init(&f->op, &f->arena, NULL, TIME_NEVER);
	event_ring_open(str_from(f->path));
}

static void close_ring(struct fixture *f)
{
	event_ring_close();
	unlink(f->path);
	arena_done(&f->arena);
}

static void add(int64_t wall_us, struct str text)
{
	struct event_record r = {
		.wall_us = wall_us, .level = EVENT_WARNING, .prefix = STR("lmtp<x>: "), .text = text
	};
	event_ring_add(&r, STR("mail-0"));
}

static void read_ring(struct fixture *f, int64_t since)
{
	assert_ok(event_ring_read(&f->op, str_from(f->path), since, &f->lines, &f->count));
}

static void lines_are_kept_in_order(void **state)
{
	(void)state;
	struct fixture f;
	open_ring(&f);
	read_ring(&f, 0);
	assert_int_equal(f.count, 0);
	for (int i = 1; i <= 2500; i++) {
		AUTO_BUF(text, 0);
		buf_putf(&text, "line %d", i);
		add(i, buf_str(&text));
	}
	read_ring(&f, 0);
	assert_int_equal(f.count, EVENT_RING_LINES);
	assert_str(f.lines[0].text, STR("lmtp<x>: line 1501"));
	assert_str(f.lines[999].text, STR("lmtp<x>: line 2500"));
	assert_str(f.lines[0].process, STR("mail-0"));
	assert_int_equal(f.lines[0].level, EVENT_WARNING);
	read_ring(&f, 2499);
	assert_int_equal(f.count, 2);
	/* and over a restart */
	event_ring_open(str_from(f.path));
	add(3000, STR("later"));
	read_ring(&f, 2500);
	assert_int_equal(f.count, 2);
	close_ring(&f);
}

static void several_processes_write(void **state)
{
	(void)state;
	struct fixture f;
	open_ring(&f);
	for (int child = 0; child < 4; child++) {
		if (fork() == 0) {
			for (int i = 0; i < 200; i++)
				add(i, STR("text"));
			_exit(0);
		}
	}
	for (int child = 0; child < 4; child++)
		assert_true(wait(NULL) > 0);
	read_ring(&f, 0);
	assert_int_equal(f.count, 800);
	close_ring(&f);
}

static void foreign_bytes_are_harmless(void **state)
{
	(void)state;
	struct fixture f;
	open_ring(&f);
	AUTO_BUF(text, 0);
	for (int i = 0; i < 3000; i++)
		buf_put_byte(&text, 'x');
	add(5, buf_str(&text));
	add(6, STR("a\nb"));
	read_ring(&f, 0);
	assert_int_equal(f.count, 2);
	assert_int_equal(f.lines[0].text.n, 960);
	assert_str(f.lines[1].text, STR("lmtp<x>: a\\x0ab"));
	/* Whatever stands in the slots: lengths are checked (with the sanitizers). */
	int fd = open(f.path, O_RDWR | O_CLOEXEC);
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	char rubbish[4096];
	for (size_t i = 0; i < sizeof(rubbish); i++)
		rubbish[i] = (char)(i * 31 % 255);
	for (off_t at = 16; at + (off_t)sizeof(rubbish) < st.st_size; at += sizeof(rubbish))
		assert_int_equal(pwrite(fd, rubbish, sizeof(rubbish), at), sizeof(rubbish));
	read_ring(&f, INT64_MIN);
	/* Another size is no ring: readers say so, a writer makes one. */
	assert_int_equal(ftruncate(fd, 100), 0);
	event_ring_close();
	assert_err(event_ring_read(&f.op, str_from(f.path), 0, &f.lines, &f.count), ERR_NOT_FOUND);
	event_ring_open(str_from(f.path));
	read_ring(&f, 0);
	assert_int_equal(f.count, 0);
	close(fd);
	close_ring(&f);
}

static void without_a_ring_nothing_is_kept(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	struct op op;
	struct event_ring_line *lines;
	size_t count;
	op_init(&op, &arena, NULL, TIME_NEVER);
	event_ring_open(STR("/nonexistent/dir/ring"));
	add(1, STR("lost"));
	assert_err(event_ring_read(&op, STR("/nonexistent/dir/ring"), 0, &lines, &count),
		ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_kept_in_order),
		cmocka_unit_test(several_processes_write),
		cmocka_unit_test(foreign_bytes_are_harmless),
		cmocka_unit_test(without_a_ring_nothing_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
