/* SPDX-License-Identifier: Apache-2.0 */
#include "service/lmtp/spool_private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/test.h"

struct fixture {
	struct arena arena;
	struct op op;
	struct spool spool;
	uint64_t account;
};

static void open_spool(struct fixture *f, int dir)
{
	*f = (struct fixture){ 0 };
	arena_init(&f->arena, 0);
	op_init(&f->op, &f->arena, NULL, TIME_NEVER);
	spool_init(&f->spool, dir, &f->account);
}

static void close_spool(struct fixture *f)
{
	spool_done(&f->spool);
	assert_int_equal(f->account, 0);
	arena_done(&f->arena);
}

static char byte_at(size_t i)
{
	return (char)('a' + i % 19);
}

static void fill(struct fixture *f, size_t bytes, size_t piece)
{
	for (size_t at = 0; at < bytes;) {
		size_t n = MIN(piece, bytes - at);
		char *p = spool_reserve(&f->spool, n);
		for (size_t i = 0; i < n; i++)
			p[i] = byte_at(at + i);
		assert_ok(spool_grew(&f->op, &f->spool, n));
		assert_true(f->spool.gathered.cap <= 2 * SPOOL_GATHER_BYTES);
		at += n;
	}
}

static int finish(struct fixture *f, size_t bytes)
{
	struct stat st;
	int fd;
	struct str inline_bytes;
	assert_ok(spool_finish(&f->op, &f->spool, 0, &inline_bytes, &fd));
	assert_int_equal(inline_bytes.n, 0);
	if (bytes == 0) { /* nothing is small enough for a message */
		assert_int_equal(fd, -1);
		return fd;
	}
	assert_int_equal(f->spool.size_bytes, bytes);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, bytes);
	char *got = mem_new(bytes);
	assert_ok(file_pread_all(&f->op, fd, got, bytes, 0));
	for (size_t i = 0; i < bytes; i++)
		if (got[i] != byte_at(i))
			fail_msg("byte %zu differs", i);
	mem_free(got);
	return fd;
}

static void a_finished_memory_file_cannot_change(void **state)
{
	const size_t sizes[] = { 0, 1, SPOOL_GATHER_BYTES - 1, SPOOL_GATHER_BYTES,
		SPOOL_GATHER_BYTES + 1, 3 << 20 };
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
		struct fixture f;
		open_spool(&f, -1);
		fill(&f, sizes[i], 50000);
		assert_int_equal(f.account, sizes[i]);
		int fd = finish(&f, sizes[i]);
		if (sizes[i] == 0) {
			close_spool(&f);
			continue;
		}
		assert_int_equal(pwrite(fd, "x", 1, 0), -1);
		assert_int_equal(errno, EPERM);
		assert_int_equal(ftruncate(fd, 0), -1);
		close_spool(&f);
	}
}

static void a_small_mail_needs_no_file(void **state)
{
	(void)state;
	struct fixture f;
	struct str bytes;
	int fd;
	open_spool(&f, -1);
	fill(&f, 1000, 300);
	assert_ok(spool_finish(&f.op, &f.spool, 1000, &bytes, &fd));
	assert_int_equal(fd, -1);
	assert_int_equal(bytes.n, 1000);
	assert_int_equal(bytes.p[999], byte_at(999));
	assert_int_equal(f.account, 1000);
	close_spool(&f);
}

static void large_mails_move_to_the_directory(void **state)
{
	(void)state;
	const size_t edge = (size_t)SPOOL_MEMORY_FILE_MAX;
	int dir = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t bytes = edge - 1; bytes <= edge + 1; bytes++) {
		struct fixture f;
		open_spool(&f, dir);
		fill(&f, bytes, 60000);
		(void)finish(&f, bytes);
		assert_int_equal(f.spool.is_on_disk, bytes > edge);
		assert_int_equal(f.account, bytes > edge ? 0 : bytes);
		close_spool(&f);
	}
	close(dir);
}

static void a_useless_directory_is_done_without(void **state)
{
	(void)state;
	struct fixture f;
	int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	open_spool(&f, file);
	fill(&f, 2 << 20, 60000);
	(void)finish(&f, 2 << 20);
	assert_false(f.spool.is_on_disk);
	close_spool(&f);
	close(file);
}

static void all_spools_together_are_limited(void **state)
{
	(void)state;
	struct fixture f;
	open_spool(&f, -1);
	f.account = SPOOL_TOTAL_BYTES_MAX - 10;
	fill(&f, 10, 10);
	(void)spool_reserve(&f.spool, 1);
	assert_err(spool_grew(&f.op, &f.spool, 1), ERR_LIMIT);
	spool_done(&f.spool);
	assert_int_equal(f.account, SPOOL_TOTAL_BYTES_MAX - 10);
	arena_done(&f.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_finished_memory_file_cannot_change),
		cmocka_unit_test(a_small_mail_needs_no_file),
		cmocka_unit_test(large_mails_move_to_the_directory),
		cmocka_unit_test(a_useless_directory_is_done_without),
		cmocka_unit_test(all_spools_together_are_limited),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
