/* SPDX-License-Identifier: Apache-2.0 */
/* tests/powerloss/store_probe.c - saves as the mail store does: object durable, then row durable,
 * then acknowledged (a line on standard output), in eight tasks, until it is killed. Or checks that what was
 * acknowledged is there.
 *
 *   store_probe write OBJECTS CATALOG FIRST        numbers from FIRST on
 *   store_probe check OBJECTS CATALOG < NUMBERS    prints those that are lost */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/number.h"
#include "catalog/catalog.h"
#include "objects/objects.h"
#include "task/task.h"

#define WRITERS    8
#define USERS      5
#define BODY_BYTES 3000

static struct objects *objects;
static struct catalog *catalog;
static uint64_t next_number;

struct save {
	struct str user;
	struct str key;
	struct str body;
	struct catalog_name name;
};

static struct save save_of(struct arena *a, uint64_t number)
{
	struct save s = { 0 };
	s.user = str_printf(a, "u%" PRIu64, number % USERS);
	s.key = str_printf(a, "%.*s/mails/%016" PRIx64, STRF(s.user), number);
	char *body = arena_alloc(a, BODY_BYTES);
	for (size_t i = 0; i < BODY_BYTES; i++)
		body[i] = (char)('a' + (number * 31 + i * 7) % 26);
	s.body = (struct str){ body, BODY_BYTES };
	put_be64(s.name.bytes, number);
	return s;
}

static const struct catalog_guid inbox = { { 1 } };

static enum err write_for_ever(struct op *parent, void *arg)
{
	(void)arg;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, parent->deadline_us);
	for (;;) {
		arena_reset(&arena);
		uint64_t number = next_number++;
		struct save s = save_of(&arena, number);
		struct catalog_change change = { .kind = CATALOG_PUT_ROW,
			.mailbox = inbox,
			.row = { .kind = CATALOG_APPEND, .name = s.name, .value = s.key } };
		enum err e = objects_put(&op, objects,
			&(struct object_put){ .key = s.key, .parts = &s.body, .part_count = 1 });
		if (e == ERR_NONE)
			e = catalog_write(&op, catalog, s.user, &change, 1);
		if (e != ERR_NONE)
			return op_fail(parent, e, "%s", op.failure.text);
		struct str line = str_printf(&arena, "%" PRIu64 "\n", number);
		if (write(STDOUT_FILENO, line.p, line.n) != (ssize_t)line.n)
			return op_fail_errno(parent, "write");
	}
}

static enum err check_one(struct op *op, uint64_t number)
{
	struct save s = save_of(op->arena, number);
	struct str body;
	bool has_row = false;
	enum err e = objects_get(op, objects, s.key, 1 << 20, &body);
	if (e == ERR_NONE)
		e = catalog_has_row(op, catalog, s.user, inbox, 0, s.name, &has_row);
	if (e != ERR_NONE && e != ERR_NOT_FOUND && e != ERR_CORRUPT)
		return e;
	if (e != ERR_NONE || !has_row || !str_eq(body, s.body))
		printf("%" PRIu64 "\n", number);
	op_forgive(op);
	return ERR_NONE;
}

static enum err check_all(struct op *op)
{
	char line[32];
	while (fgets(line, sizeof(line), stdin)) {
		uint64_t number;
		if (number_parse_u64(str_trim(str_from(line)), &number))
			TRY(check_one(op, number));
	}
	return ERR_NONE;
}

static void probe(void *arg)
{
	char **argv = arg;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	enum err e = objects_open_text(&op, str_from(argv[2]), &objects);
	if (e == ERR_NONE)
		e = catalog_open_text(&op, str_from(argv[3]), &catalog);
	if (e == ERR_NONE && argv[4]) {
		if (!number_parse_u64(str_from(argv[4]), &next_number))
			next_number = 0;
		struct task_group *g = task_group_new(&op);
		for (int i = 0; i < WRITERS; i++)
			task_group_start(g, "writer", write_for_ever, NULL);
		e = task_group_finish(&op, g);
	} else if (e == ERR_NONE) {
		e = check_all(&op);
	}
	if (e != ERR_NONE) {
		fprintf(stderr, "store_probe: %s: %s\n", err_name(e), op.failure.text);
		exit(1);
	}
	loop_stop();
}

int main(int argc, char **argv)
{
	struct op op;
	op_init(&op, NULL, NULL, TIME_NEVER);
	if (argc < 4 || loop_open(&op, NULL) != ERR_NONE)
		return 2;
	task_start("probe", probe, argv);
	loop_run();
	loop_close();
	return 0;
}
