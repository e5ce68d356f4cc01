/* SPDX-License-Identifier: Apache-2.0 */
/* Damage of what is stored. Local files (snapshot, log, summaries, and their directory) may be
 * anything: the mailbox afterwards is what it was. A damaged catalog or object gives an error, never
 * a crash, and never another mail in the place of one. */
#include "store/scenario_test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAILS 24

static struct str local_path(struct world *w, struct mailbox *m, const char *name)
{
	return str_printf(&w->arena, "%s/%s%c", m->local.dir, name, '\0');
}

/* A bit of everything, part of it in the snapshot, part in the log alone. */
static void fill(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	for (int i = 0; i < MAILS / 2; i++)
		world_append(w, m, "x");
	assert_ok(local_rewrite(&w->op, m));
	for (int i = 0; i < MAILS / 2; i++)
		world_append(w, m, "x");
	struct view *v = world_view(w, m);
	world_flags(w, v, 3, 9, FLAGS_ADD, MAIL_FLAGGED);
	world_flags(w, v, 5, 6, FLAGS_ADD, MAIL_DELETED);
	assert_ok(flags_journal_flush(&w->op, m));
	assert_ok(view_expunge(&w->op, v, NULL));
	view_close(v);
	mailbox_unref(m);
}

/* What a user can see of the mailbox, without modseqs: they may restart. So may UIDNEXT where several
 * hosts write. */
static struct str picture(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	struct view *v = world_view(w, m);
	struct mail mail;
	AUTO_BUF(out, 0);
	buf_putf(&out, "%" PRIu32 "\n", view_exists(v));
	if (catalog_is_atomic(w->catalog))
		buf_putf(&out, "next %" PRIu32 "\n", index_next_uid(m->index));
	for (uint32_t seq = 1; view_get(v, seq, &mail); seq++) {
		struct str body;
		struct message_summary summary;
		assert_ok(view_read_body(&w->op, v, &mail, &body));
		assert_ok(view_read_summary(&w->op, v, &mail, &summary));
		assert_int_equal(summary.physical_size, body.n);
		buf_putf(&out, "%" PRIu32 " %u %.*s\n", mail.uid, mail.flags & MAIL_STORABLE_FLAGS,
			STRF(body));
	}
	assert_ok(mailbox_verify(&w->op, m));
	view_close(v);
	mailbox_unref(m);
	return buf_dup(&w->arena, &out);
}

static off_t file_size(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 ? st.st_size : 0;
}

static void flip(const char *path, off_t at)
{
	char byte;
	AUTO_FD(fd, open(path, O_RDWR));
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte = (char)(byte ^ 0x55);
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

enum harm { HARM_FLIP, HARM_CUT, HARM_GROW, HARM_KINDS };

static void harm_file(const char *path, enum harm harm, off_t at)
{
	switch (harm) {
	case HARM_FLIP:
		flip(path, at);
		return;
	case HARM_CUT:
		assert_int_equal(truncate(path, at), 0);
		return;
	case HARM_GROW: /* zeros, as after a power loss */
		assert_int_equal(truncate(path, at), 0);
		assert_int_equal(truncate(path, at + 5000), 0);
		return;
	case HARM_KINDS:
		return;
	}
}

/* The process dies or ends, the file is harmed, the mailbox is opened again. */
static void harm_and_look(
	struct world *w, const char *name, enum harm harm, off_t at, enum world_end how)
{
	struct mailbox *m = world_box(w, "INBOX");
	const char *path = local_path(w, m, name).p;
	mailbox_unref(m);
	if (how == WORLD_STOP)
		world_stop(w);
	else
		world_crash(w);
	off_t size = file_size(path);
	if (size > 0)
		harm_file(path, harm, at % size);
	world_open_store(w);
}

static void any_damage_of_local_files_is_made_good(struct world *w)
{
	static const char *const names[] = { "snapshot", "log", "summaries" };
	fill(w);
	struct str truth = picture(w);
	for (size_t n = 0; n < ARRAY_COUNT(names); n++) {
		for (off_t at = 0; at < 9000; at = at * 5 / 4 + 3) {
			enum harm harm = (enum harm)((unsigned)at % HARM_KINDS);
			enum world_end how = at / 7 % 2 ? WORLD_STOP : WORLD_CRASH;
			harm_and_look(w, names[n], harm, at, how);
			assert_str(picture(w), truth);
		}
	}
}

/* The summaries of expunged mails go, those of the others stay. */
static void summaries_are_compacted(struct world *w)
{
	struct mailbox *m = world_box(w, "INBOX");
	struct view *v;
	for (int i = 0; i < 1000; i++)
		world_append(w, m, i % 100 ? "x" : "y");
	v = world_view(w, m);
	struct range_set most = world_set(1, 980);
	struct store_flags change = {
		.change = FLAGS_ADD, .flags = MAIL_DELETED, .unchanged_since = UINT64_MAX
	};
	assert_ok(view_store_flags(&w->op, v, &most, &change, NULL));
	assert_ok(flags_journal_flush(&w->op, m));
	assert_ok(view_expunge(&w->op, v, NULL));
	(void)world_sync(w, v, true);
	uint64_t before = m->local.summary_bytes;
	assert_ok(local_rewrite(&w->op, m));
	assert_true(before > 256u << 10 && m->local.summary_bytes < before / 10);
	world_append(w, m, "z");
	view_close(v);
	mailbox_unref(m);
	struct str truth = picture(w);
	assert_int_equal(w->store->counters.summary_misses, 0);
	for (enum world_end how = WORLD_STOP; how <= WORLD_CRASH; how++) {
		world_reopen(w, how);
		assert_str(picture(w), truth);
		assert_int_equal(w->store->counters.summary_misses, 0);
	}
	range_set_done(&most);
}

/* Whatever stands where the files should be: a directory, a file, nothing. */
static void strange_things_in_the_place_of_files(struct world *w)
{
	static const char *const names[] = { "snapshot", "log", "summaries" };
	fill(w);
	struct str truth = picture(w);
	for (size_t n = 0; n < ARRAY_COUNT(names); n++) {
		struct mailbox *m = world_box(w, "INBOX");
		const char *path = local_path(w, m, names[n]).p;
		mailbox_unref(m);
		world_crash(w);
		assert_int_equal(unlink(path), 0);
		assert_int_equal(mkdir(path, 0700), 0);
		world_open_store(w);
		assert_str(picture(w), truth);
		m = world_box(w, "INBOX");
		world_append(w, m, "x"); /* it goes on, files or not */
		mailbox_unref(m);
		truth = picture(w);
		world_crash(w);
		assert_ok(file_remove_tree(&w->op, path));
		world_open_store(w);
		assert_str(picture(w), truth);
	}
}

/* A user's directory that cannot be made is an error that may pass, not a missing user. */
static void a_directory_that_cannot_be_made(struct world *w)
{
	fill(w);
	struct str truth = picture(w);
	world_stop(w);
	const char *dir = w->settings.local_dir.p;
	assert_ok(file_remove_tree(&w->op, dir));
	int fd = open(dir, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
	enum err e = store_open(&w->op, &w->settings, w->objects, w->catalog, &w->store);
	if (e == ERR_NONE)
		e = user_open(&w->op, w->store, STR("u1@example.test"), &w->user);
	assert_err(e, ERR_UNAVAILABLE);
	op_forgive(&w->op);
	assert_int_equal(unlink(dir), 0);
	if (w->store->users.count == 0 && w->user == NULL)
		assert_ok(user_open(&w->op, w->store, STR("u1@example.test"), &w->user));
	assert_str(picture(w), truth);
}

/* ---- objects ---- */

static enum err damage_file(
	struct op *op, struct str key, const struct object_info *info, void *arg)
{
	struct world *w = arg;
	const char *path = str_printf(op->arena, "%s/objects/%.*s%c", w->dir, STRF(key), '\0').p;
	if (info->size_bytes % 2)
		flip(path, (off_t)info->size_bytes / 2);
	else
		assert_int_equal(truncate(path, (off_t)info->size_bytes / 2), 0);
	return ERR_NONE;
}

static void damaged_objects_are_errors(void *arg)
{
	(void)arg;
	struct world *w = world_new(true);
	objects_close(w->objects);
	assert_ok(objects_open_text(&w->op,
		str_printf(&w->arena, "compress(zstd):posix(%s/objects)", w->dir), &w->objects));
	world_open_store(w);
	struct mailbox *m = world_box(w, "INBOX");
	world_append(w, m, "odd");
	world_append(w, m, "even..");
	struct view *v = world_view(w, m);
	assert_ok(objects_iter(&w->op, w->objects, STR(""), damage_file, w));
	for (uint32_t seq = 1; seq <= 2; seq++) {
		struct mail mail;
		struct str body;
		struct message_summary summary;
		assert_true(view_get(v, seq, &mail));
		assert_err(view_read_body(&w->op, v, &mail, &body), ERR_CORRUPT);
		op_forgive(&w->op);
		assert_ok(view_read_summary(&w->op, v, &mail, &summary)); /* it was kept */
	}
	view_close(v);
	mailbox_unref(m);
	world_close(w);
}

/* ---- the catalog ---- */

static void read_all(struct world *w)
{
	struct mailbox *m;
	if (user_open(&w->op, w->store, STR("u1@example.test"), &w->user) != ERR_NONE ||
		mailbox_open(&w->op, w->user, STR("INBOX"), &m) != ERR_NONE) {
		assert_true(w->op.failure.text[0] != '\0');
		op_forgive(&w->op);
		return;
	}
	struct view *v = world_view(w, m);
	struct mail mail;
	struct str body;
	for (uint32_t seq = 1; view_get(v, seq, &mail); seq++)
		if (view_read_body(&w->op, v, &mail, &body) != ERR_NONE)
			op_forgive(&w->op);
	view_close(v);
	mailbox_unref(m);
}

static void damaged_catalogs_are_errors(void *arg)
{
	(void)arg;
	for (off_t at = 0; at < 40000; at = at * 4 / 3 + 11) {
		struct world *w = world_open(true);
		fill(w);
		user_unref(w->user);
		w->user = NULL;
		assert_ok(store_close(&w->op, w->store)); /* the log is in the database */
		int found = 0;
		for (int shard = 0; shard < 2; shard++) {
			const char *path = str_printf(
				&w->arena, "%s/catalog/%02d.sqlite%c", w->dir, shard, '\0')
						   .p;
			off_t size = file_size(path);
			found += size > 0;
			for (off_t k = at; k < size; k += 7000)
				flip(path, k);
		}
		assert_true(found > 0);
		assert_ok(file_remove_tree(&w->op, w->settings.local_dir.p));
		assert_ok(objects_open_text(
			&w->op, str_printf(&w->arena, "posix(%s/objects)", w->dir), &w->objects));
		assert_ok(catalog_open_text(&w->op,
			str_printf(&w->arena, "sqlite(%s/catalog,2)", w->dir), &w->catalog));
		assert_ok(store_open(&w->op, &w->settings, w->objects, w->catalog, &w->store));
		read_all(w);
		if (w->user)
			user_unref(w->user);
		w->user = NULL;
		if (store_close(&w->op, w->store) != ERR_NONE)
			op_forgive(&w->op);
		assert_ok(file_remove_tree(&w->op, w->dir));
		arena_done(&w->arena);
		mem_free(w);
	}
}

static void test_damaged_objects_are_errors(void **state)
{
	(void)state;
	test_in_task(damaged_objects_are_errors, NULL);
}

static void test_damaged_catalogs_are_errors(void **state)
{
	(void)state;
	test_in_task(damaged_catalogs_are_errors, NULL);
}

/* Local state that was removed is made anew: the same UIDs and flags. Not under anybody's feet. */
static void forgotten_local_state_comes_back(struct world *w)
{
	struct str name = STR("u1@example.test");
	struct mailbox *m = world_box(w, "INBOX");
	world_append(w, m, "x");
	world_append(w, m, "y");
	struct view *v = world_view(w, m);
	world_flags(w, v, 2, 2, FLAGS_ADD, MAIL_FLAGGED);
	view_close(v);
	assert_err(user_forget_local(&w->op, w->store, name), ERR_CONFLICT);
	op_forgive(&w->op);
	assert_ok(mailbox_verify(&w->op, m));
	mailbox_unref(m);
	user_unref(w->user);
	uint64_t rebuilt = w->store->counters.opens_rebuilt;
	assert_ok(user_forget_local(&w->op, w->store, name));
	assert_ok(user_forget_local(&w->op, w->store, name)); /* nothing is there: as good */
	assert_ok(user_open(&w->op, w->store, name, &w->user));
	m = world_box(w, "INBOX");
	assert_int_equal(w->store->counters.opens_rebuilt, rebuilt + 1);
	assert_int_equal(index_count(m->index), 2);
	assert_int_equal(index_hot(m->index, 1)->uid, 2);
	assert_int_equal(index_hot(m->index, 1)->flags, MAIL_FLAGGED);
	assert_ok(mailbox_verify(&w->op, m));
	mailbox_unref(m);
}

SCENARIO(any_damage_of_local_files_is_made_good)
SCENARIO(summaries_are_compacted)
SCENARIO(strange_things_in_the_place_of_files)
SCENARIO(a_directory_that_cannot_be_made)
SCENARIO(forgotten_local_state_comes_back)

/* Who could not be closed has flags that only his local state tells of: it is not removed. */
static void what_only_local_state_knows_is_not_forgotten(struct world *w)
{
	struct str name = STR("u1@example.test");
	struct mailbox *m = world_box(w, "INBOX");
	world_append(w, m, "x");
	mailbox_unref(m);
	world_reopen(w, WORLD_STOP);
	m = world_box(w, "INBOX");
	struct view *v = world_view(w, m);
	world_flags(w, v, 1, 1, FLAGS_ADD, MAIL_FLAGGED);
	view_close(v);
	mailbox_unref(m);
	user_unref(w->user);
	w->store->clock_off_us = US_PER_SEC; /* so nothing is written */
	assert_err(user_forget_local(&w->op, w->store, name), ERR_CONFLICT);
	op_forgive(&w->op);
	w->store->clock_off_us = 0;
	assert_ok(user_open(&w->op, w->store, name, &w->user));
	m = world_box(w, "INBOX");
	assert_int_equal(index_hot(m->index, 0)->flags, MAIL_FLAGGED);
	assert_ok(mailbox_verify(&w->op, m));
	mailbox_unref(m);
}
SCENARIO(what_only_local_state_knows_is_not_forgotten)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_damage_of_local_files_is_made_good),
		cmocka_unit_test(test_summaries_are_compacted),
		cmocka_unit_test(test_strange_things_in_the_place_of_files),
		cmocka_unit_test(test_a_directory_that_cannot_be_made),
		cmocka_unit_test(test_forgotten_local_state_comes_back),
		cmocka_unit_test(test_what_only_local_state_knows_is_not_forgotten),
		cmocka_unit_test(test_damaged_objects_are_errors),
		cmocka_unit_test(test_damaged_catalogs_are_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
