/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the dialogues (dialogue.h) against real sessions over socket pairs, in one process: with
 * everything in memory and virtual time; the same with every byte sent by itself and tasks in a
 * seeded order; with posix objects, SQLite and real time. Each dialogue has a user of its own. */
#include "service/imap/dialogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "auth/ticket.h"
#include "base/file.h"
#include "base/test.h"
#include "catalog/catalog.h"
#include "config/config.h"
#include "ipc/handover.h"
#include "net/net.h"
#include "objects/objects.h"
#include "service/imap/imap.h"
#include "store/store.h"
#include "task/task.h"

#define CLIENTS     26
#define DIALOGUES   256
#define PATIENCE_US (10 * US_PER_SEC)
#define SLOW_MAX    2000 /* longer things are sent at once in any case */

struct client {
	struct stream *stream; /* NULL: not logged in */
	unsigned serial;       /* of its last tag */
};

enum setting { IN_MEMORY, BYTE_BY_BYTE, ON_DISK };

static struct kit {
	enum setting setting;
	bool is_virtual;
	char dir[64];
	struct config *config; /* the defaults */
	struct store *store;
	struct imap *imap;
	/* the dialogue at hand */
	const struct dialogue *dialogue;
	unsigned user_serial;
	struct client clients[CLIENTS];
	char kept[26][24];  /* "?a" to "?z"; "" : not heard yet */
	unsigned line;      /* of the script */
	char failure[4096]; /* "" : none */
	enum err setup_error;
} kit;

/* ---- the server ---- */

static enum err open_server(struct op *op)
{
	struct store_settings settings = { .writer_slot = 1,
		.separator = '/',
		.flags_journal = STORE_FLAGS_SYNC,
		.idle_user_us = 60 * US_PER_SEC,
		.cached_users_max = 100,
		.keyword_bytes_max = 50,
		.mailboxes_max = 1000,
		.message_bytes_max = 1 << 20 };
	struct objects *objects;
	struct catalog *catalog;
	settings.local_dir = str_printf(op->arena, "%s/local", kit.dir);
	struct str stack = str_printf(op->arena, "posix(%s/objects)", kit.dir);
	struct str tables = str_printf(op->arena, "sqlite(%s/catalog,2)", kit.dir);
	TRY(objects_open_text(op, kit.is_virtual ? STR("mem") : stack, &objects));
	enum err e = catalog_open_text(op, kit.is_virtual ? STR("mem") : tables, &catalog);
	if (e != ERR_NONE) {
		objects_close(objects);
		return e;
	}
	TRY(store_open(op, &settings, objects, catalog, &kit.store));
	return imap_open(op, kit.config, &kit.imap);
}

static enum err close_server(struct op *op)
{
	imap_close(op, kit.imap);
	return store_close(op, kit.store);
}

/* ---- saying what went wrong ---- */

__attribute__((format(printf, 1, 2))) static bool fail_dialogue(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	int n = snprintf(kit.failure, sizeof(kit.failure), "line %u: ", kit.line);
	(void)vsnprintf(kit.failure + n, sizeof(kit.failure) - (size_t)n, fmt, args);
	va_end(args);
	return false;
}

/* ---- clients ---- */

static struct str hear(struct op *op, struct client *c)
{
	struct str input, line;
	for (;;) {
		input = stream_input(c->stream);
		size_t before = input.n;
		if (str_cut_line(&input, &line)) {
			line = str_dup(op->arena, line);
			stream_consume(c->stream, before - input.n);
			return line;
		}
		op->deadline_us = now_us() + (kit.is_virtual ? 3600 * US_PER_SEC : PATIENCE_US);
		enum err e = stream_read_more(op, c->stream);
		if (e == ERR_NOT_FOUND || e == ERR_UNAVAILABLE)
			return STR("EOF");
		if (e != ERR_NONE)
			return STR("(silence)");
	}
}

static bool log_in(struct op *op, char name, struct client *c)
{
	int fds[2];
	struct user *user;
	struct str user_name = str_printf(op->arena, "user%u", kit.user_serial);
	struct handover h = { .protocol = STR("imap"),
		.session_id = str_printf(op->arena, "session-%c", name),
		.reply_tag = STR("login"),
		.wants_capability = true };
	struct ticket ticket = { .service = STR("imap"), .user = user_name };
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
		return fail_dialogue("no socket pair");
	h.fd = fds[1];
	op->deadline_us = now_us() + PATIENCE_US;
	enum err e = stream_new(op, fds[0], 1 << 20, &c->stream);
	if (e == ERR_NONE)
		e = user_open(op, kit.store, user_name, &user);
	if (e != ERR_NONE) {
		close(h.fd);
		return fail_dialogue("cannot open the user: %s", op->failure.text);
	}
	e = imap_session_start(op, kit.imap, &h, &ticket, user);
	user_unref(user);
	if (e != ERR_NONE)
		return fail_dialogue("cannot start a session: %s", op->failure.text);
	struct str greeting = hear(op, c);
	if (!str_starts(greeting, STR("login OK [CAPABILITY IMAP4rev1 ")))
		return fail_dialogue("greeted with: %.*s", STRF(greeting));
	return true;
}

/* "@70" is 70 lines of 64 bytes. */
static void put_many_lines(struct buf *out, struct str *text)
{
	unsigned count = 0;
	while (text->n > 0 && ascii_is_digit(text->p[0]))
		count = count * 10 + (unsigned)(str_take(text, 1).p[0] - '0');
	for (unsigned i = 0; i < count; i++)
		buf_putf(out, "%062u\r\n", i);
}

static void put_lines(struct buf *out, struct str text)
{
	while (text.n > 0) {
		struct str byte = str_take(&text, 1);
		if (byte.p[0] == '@' && text.n > 0 && ascii_is_digit(text.p[0]))
			put_many_lines(out, &text);
		else
			buf_put(out, byte.p[0] == '|' ? STR("\r\n") : byte);
	}
}

/* "<<a|>>" as "{3+}" CRLF "a" CRLF. */
static void put_with_literals(struct buf *out, struct str text)
{
	struct str before, literal;
	ssize_t from, to;
	while ((from = str_find(text, STR("<<"))) >= 0 && (to = str_find(text, STR(">>"))) > from) {
		before = str_take(&text, (size_t)from);
		(void)str_skip(&text, STR("<<"));
		literal = str_take(&text, (size_t)(to - from - 2));
		(void)str_skip(&text, STR(">>"));
		AUTO_BUF(bytes, 0);
		put_lines(&bytes, literal);
		buf_put(out, before);
		buf_putf(out, "{%zu+}\r\n", bytes.n);
		buf_put(out, buf_str(&bytes));
	}
	buf_put(out, text);
	buf_put(out, STR("\r\n"));
}

static enum err send_bytes(struct op *op, struct client *c, struct str bytes)
{
	bool is_slow = kit.setting == BYTE_BY_BYTE && bytes.n < SLOW_MAX;
	op->deadline_us = now_us() + PATIENCE_US;
	while (bytes.n > 0) {
		TRY(stream_write(op, c->stream, str_take(&bytes, is_slow ? 1 : bytes.n)));
		TRY(stream_flush(op, c->stream));
		task_yield();
	}
	return ERR_NONE;
}

/* Where "?v" stands; -1: nowhere. */
static ssize_t find_variable(struct str text, size_t from)
{
	for (size_t i = from; i + 1 < text.n; i++) {
		if (text.p[i] == '?' && text.p[i + 1] >= 'a' && text.p[i + 1] <= 'z')
			return (ssize_t)i;
	}
	return -1;
}

/* Keeps the number at `from` of the line. */
static bool keep_number(char *kept, struct str line, size_t from)
{
	size_t n = from;
	while (n < line.n && ascii_is_digit(line.p[n]))
		n++;
	if (n == from || n - from >= sizeof(kit.kept[0]))
		return false;
	memcpy(kept, line.p + from, n - from);
	return true;
}

/* Puts what was kept in the place of variables; `line` gives those that are new. NULL: none may be
 * new. False: one is. */
static bool fill_variables(struct op *op, struct str *text, const struct str *line)
{
	ssize_t at = -1;
	while ((at = find_variable(*text, (size_t)(at + 1))) >= 0) {
		char *kept = kit.kept[text->p[at + 1] - 'a'];
		struct str before = str_slice(*text, 0, (size_t)at);
		struct str after = str_slice(*text, (size_t)at + 2, text->n);
		if (!kept[0] && (!line || !str_starts(*line, before) ||
					!keep_number(kept, *line, (size_t)at)))
			return false;
		*text = str_printf(op->arena, "%.*s%s%.*s", STRF(before), kept, STRF(after));
	}
	return true;
}

static bool say(struct op *op, char name, struct client *c, struct str text, bool has_tag)
{
	AUTO_BUF(line, 0);
	if (!fill_variables(op, &text, NULL))
		return fail_dialogue("nothing was kept for: %.*s", STRF(text));
	if (has_tag) {
		buf_putf(&line, "%c%u ", name, ++c->serial);
		put_with_literals(&line, text);
	} else {
		put_lines(&line, text);
		buf_put(&line, STR("\r\n"));
	}
	if (send_bytes(op, c, buf_str(&line)) != ERR_NONE)
		return fail_dialogue("client %c cannot send: %s", name, op->failure.text);
	return true;
}

/* ".." in the pattern stands for any run of bytes. */
static bool fits(struct str pattern, struct str line)
{
	struct str piece, any = STR("..");
	ssize_t at = str_find(pattern, any);
	if (at < 0)
		return str_eq(pattern, line);
	if (!str_skip(&line, str_take(&pattern, (size_t)at)))
		return false;
	while (str_skip(&pattern, any)) {
		at = str_find(pattern, any);
		if (at < 0)
			return str_ends(line, pattern);
		piece = str_take(&pattern, (size_t)at);
		if ((at = str_find(line, piece)) < 0)
			return false;
		(void)str_take(&line, (size_t)at + piece.n);
	}
	return false;
}

/* `skips`: other lines may come before it. */
static bool expect(struct op *op, char name, struct client *c, struct str pattern, bool skips)
{
	struct str line = hear(op, c);
	struct str wanted = pattern;
	if (str_skip(&pattern, STR("$")))
		wanted = str_printf(op->arena, "%c%u%.*s", name, c->serial, STRF(pattern));
	while (skips && !(fill_variables(op, &wanted, &line) && fits(wanted, line)) &&
		!str_eq(line, STR("EOF")) && !str_eq(line, STR("(silence)")))
		line = hear(op, c);
	if (!fill_variables(op, &wanted, &line) || !fits(wanted, line))
		return fail_dialogue("client %c heard:\n    %.*s\n  instead of:\n    %.*s", name,
			STRF(line), STRF(wanted));
	if (str_eq(line, STR("EOF"))) {
		stream_abandon(c->stream);
		c->stream = NULL;
	}
	return true;
}

/* ---- a dialogue ---- */

static void drop_clients(void)
{
	for (size_t i = 0; i < CLIENTS; i++) {
		stream_abandon(kit.clients[i].stream);
		kit.clients[i] = (struct client){ 0 };
	}
}

/* Every client that is there hears of it. */
static bool restart(struct op *op)
{
	op->deadline_us = now_us() + PATIENCE_US;
	if (close_server(op) != ERR_NONE || open_server(op) != ERR_NONE)
		return fail_dialogue("cannot restart: %s", op->failure.text);
	for (size_t i = 0; i < CLIENTS; i++) {
		struct client *c = &kit.clients[i];
		char name = (char)('A' + i);
		if (c->stream && (!expect(op, name, c, STR("* BYE Server shutting down."), false) ||
					 !expect(op, name, c, STR("EOF"), false)))
			return false;
	}
	return true;
}

static enum err load_config(struct op *op, struct str settings, struct config **out)
{
	struct config_problems problems;
	struct config_load_args args = { .skips_unknown = true };
	AUTO_BUF(text, 0);
	buf_put(&text, STR("dovecot_config_version = 3.1.0\n"));
	buf_put(&text, STR("dovecot_storage_version = 3.1.0\n"));
	put_lines(&text, settings);
	buf_put(&text, STR("\n"));
	args.text = buf_str(&text);
	return config_load(op, &args, &problems, out);
}

static bool reload(struct op *op, struct str settings)
{
	struct config *config;
	enum err e = load_config(op, settings, &config);
	if (e == ERR_NONE) {
		e = imap_reload(op, kit.imap, config);
		config_unref(config);
	}
	return e == ERR_NONE || fail_dialogue("cannot reload: %s", op->failure.text);
}

/* ---- moving ---- */

static struct moved {
	int fd;
	struct buf bytes;
} moved[CLIENTS];
static size_t moved_count;

static enum err take_moved(void *arg, int fd, struct str bytes)
{
	struct moved *m = &moved[moved_count++];
	(void)arg;
	*m = (struct moved){ .fd = fd };
	buf_put(&m->bytes, bytes);
	return ERR_NONE;
}

static enum err thaw_all(struct op *op)
{
	enum err first = ERR_NONE;
	for (size_t i = 0; i < moved_count; i++) {
		op->deadline_us = now_us() + PATIENCE_US;
		enum err e = imap_session_thaw(
			op, kit.imap, kit.store, buf_str(&moved[i].bytes), moved[i].fd);
		first = first == ERR_NONE ? e : first;
		buf_done(&moved[i].bytes);
	}
	return first;
}

static bool move(struct op *op)
{
	size_t count, clients = 0;
	for (size_t i = 0; i < CLIENTS; i++)
		clients += kit.clients[i].stream != NULL;
	moved_count = 0;
	op->deadline_us = TIME_NEVER;
	enum err e = task_sleep(op, US_PER_SEC / 20); /* until the last bursts are over */
	if (e == ERR_NONE)
		e = imap_freeze(op, kit.imap, take_moved, NULL, &count);
	if (e == ERR_NONE && !kit.is_virtual) {
		op->deadline_us = now_us() + PATIENCE_US;
		e = close_server(op);
		if (e == ERR_NONE)
			e = open_server(op);
	}
	if (e == ERR_NONE)
		e = thaw_all(op);
	if (e != ERR_NONE)
		return fail_dialogue("cannot move: %s", op->failure.text);
	return count == clients || fail_dialogue("%zu of %zu moved", count, clients);
}

static bool wait_for(struct op *op, struct str seconds)
{
	int64_t us = 0;
	for (size_t i = 0; i < seconds.n && ascii_is_digit(seconds.p[i]); i++)
		us = us * 10 + (seconds.p[i] - '0') * US_PER_SEC;
	op->deadline_us = TIME_NEVER;
	return task_sleep(op, us) == ERR_NONE || fail_dialogue("cannot wait");
}

/* This task is the only one. */
static bool expect_parked(void)
{
	size_t live = loop_stats().tasks_live;
	return live == 1 || fail_dialogue("%zu tasks besides this one", live - 1);
}

static bool play_order(struct op *op, struct str line)
{
	if (str_eq(line, STR("!restart")))
		return restart(op);
	if (str_eq(line, STR("!move")))
		return move(op);
	if (str_eq(line, STR("!parked")))
		return expect_parked();
	if (str_skip(&line, STR("!wait ")))
		return wait_for(op, line);
	if (str_skip(&line, STR("!reload ")))
		return reload(op, line);
	return fail_dialogue("not an order: %.*s", STRF(line));
}

static bool play_line(struct op *op, struct str line)
{
	if (line.n > 0 && line.p[0] == '!')
		return play_order(op, line);
	if (line.n < 3 || line.p[0] < 'A' || line.p[0] > 'Z' || line.p[2] != ' ')
		return fail_dialogue("not a line of a script: %.*s", STRF(line));
	char name = line.p[0];
	struct client *c = &kit.clients[name - 'A'];
	struct str text = str_slice(line, 3, line.n);
	if (!c->stream && !log_in(op, name, c))
		return false;
	switch (line.p[1]) {
	case '>':
	case '!':
		return say(op, name, c, text, line.p[1] == '>');
	case '<':
	case '*':
		return expect(op, name, c, text, line.p[1] == '*');
	case '-':
		stream_abandon(c->stream);
		c->stream = NULL;
		return true;
	default:
		return fail_dialogue("not a line of a script: %.*s", STRF(line));
	}
}

/* Nothing may be left unheard. */
static bool log_out(struct op *op, char name, struct client *c)
{
	return say(op, name, c, STR("LOGOUT"), true) &&
	       expect(op, name, c, STR("* BYE Logging out"), false) &&
	       expect(op, name, c, STR("$ OK Logout completed."), false) &&
	       expect(op, name, c, STR("EOF"), false);
}

static void dialogue_task(void *arg)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	struct str line, rest = str_from(kit.dialogue->script);
	bool goes_on = true;
	(void)arg;
	op_init(&op, &arena, NULL, TIME_NEVER);
	for (kit.line = 1; goes_on && str_cut_line(&rest, &line); kit.line++)
		goes_on = play_line(&op, line);
	if (goes_on && rest.n > 0)
		goes_on = fail_dialogue("the script does not end with a line end");
	for (size_t i = 0; i < CLIENTS && goes_on; i++) {
		if (kit.clients[i].stream)
			goes_on = log_out(&op, (char)('A' + i), &kit.clients[i]);
	}
	drop_clients();
	if (strstr(kit.dialogue->script, "!reload"))
		(void)reload(&op, STR("")); /* the dialogue's failure is told, if it was one */
	loop_stop();
}

static void run_dialogue(void **state)
{
	kit.dialogue = *state;
	kit.failure[0] = '\0';
	memset(kit.kept, 0, sizeof(kit.kept));
	kit.user_serial++;
	(void)task_start("dialogue", dialogue_task, NULL);
	loop_run();
	if (kit.failure[0])
		fail_msg("%s\n  %s", kit.dialogue->name, kit.failure);
}

/* ---- the settings ---- */

static void open_task(void *arg)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	(void)arg;
	op_init(&op, &arena, NULL, now_us() + PATIENCE_US);
	kit.setup_error = open_server(&op);
	if (kit.setup_error != ERR_NONE)
		print_error("cannot open: %s\n", op.failure.text);
	loop_stop();
}

static void close_task(void *arg)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	(void)arg;
	op_init(&op, &arena, NULL, now_us() + PATIENCE_US);
	kit.setup_error = close_server(&op);
	if (kit.setup_error != ERR_NONE)
		print_error("cannot close: %s\n", op.failure.text);
	loop_stop();
}

static int set_up(void **state)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	(void)state;
	op_init(&op, &arena, NULL, TIME_NEVER);
	const struct loop_settings loop = { .is_virtual = kit.is_virtual,
		.seed = kit.setting == BYTE_BY_BYTE ? 7 : 0 };
	(void)snprintf(kit.dir, sizeof(kit.dir), "/tmp/imap-dialogues-XXXXXX");
	if (!mkdtemp(kit.dir) || loop_open(&op, &loop) != ERR_NONE)
		return -1;
	if (load_config(&op, STR(""), &kit.config) != ERR_NONE) {
		print_error("configuration: %s\n", op.failure.text);
		return -1;
	}
	(void)task_start("open", open_task, NULL);
	loop_run();
	return kit.setup_error == ERR_NONE ? 0 : -1;
}

static int tear_down(void **state)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	(void)state;
	op_init(&op, &arena, NULL, TIME_NEVER);
	(void)task_start("close", close_task, NULL);
	loop_run();
	loop_close();
	config_unref(kit.config);
	return kit.setup_error == ERR_NONE && file_remove_tree(&op, kit.dir) == ERR_NONE ? 0 : -1;
}

static size_t add_dialogues(struct CMUnitTest *tests, size_t count, const struct dialogue *d)
{
	for (; d->name; d++) {
		bool is_possible = d->needs == NEEDS_NOTHING ||
				   (d->needs == NEEDS_VIRTUAL_TIME) == kit.is_virtual;
		ASSERT(count < DIALOGUES);
		if (is_possible)
			tests[count++] = (struct CMUnitTest){ .name = d->name,
				.test_func = run_dialogue,
				.initial_state = (void *)(uintptr_t)d };
	}
	return count;
}

static const struct dialogue *const tables[] = { dialogues_any, dialogues_tree, dialogues_list,
	dialogues_select, dialogues_append, dialogues_fetch, dialogues_search, dialogues_store,
	dialogues_copy, dialogues_receiving, dialogues_changing, dialogues_finding,
	dialogues_together, dialogues_condstore, dialogues_resync, dialogues_options,
	dialogues_settings, dialogues_slow, dialogues_moving };

static size_t count_dialogues(void)
{
	size_t count = 0;
	for (size_t i = 0; i < ARRAY_COUNT(tables); i++) {
		for (const struct dialogue *d = tables[i]; d->name; d++)
			count++;
	}
	return count;
}

static int run_all(enum setting setting, const char *name)
{
	struct CMUnitTest tests[DIALOGUES];
	size_t count = 0;
	kit.setting = setting;
	kit.is_virtual = setting != ON_DISK;
	for (size_t i = 0; i < ARRAY_COUNT(tables); i++)
		count = add_dialogues(tests, count, tables[i]);
	return _cmocka_run_group_tests(name, tests, count, set_up, tear_down);
}

/* Arguments: a pattern of cmocka for the names of the dialogues to run. */
int main(int argc, char **argv)
{
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	print_message("%zu named dialogues\n", count_dialogues());
	int failed = run_all(IN_MEMORY, "dialogues in memory");
	failed += run_all(BYTE_BY_BYTE, "dialogues byte by byte, in a seeded order");
	return failed + run_all(ON_DISK, "dialogues on posix and SQLite");
}
