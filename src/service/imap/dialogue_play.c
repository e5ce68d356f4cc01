/* SPDX-License-Identifier: Apache-2.0 */
/* Plays a script line by line. */
#include "service/imap/dialogue_private.h"

#include <stdio.h>

static void drop_clients(void)
{
	for (size_t i = 0; i < DIALOGUE_CLIENTS; i++) {
		stream_abandon(dialogue_kit.clients[i].stream);
		dialogue_kit.clients[i] = (struct dialogue_client){ 0 };
	}
}

/* Every client that is there hears of it. */
static bool restart(struct op *op)
{
	op->deadline_us = now_us() + DIALOGUE_PATIENCE_US;
	if (dialogue_close_server(op) != ERR_NONE || dialogue_open_server(op) != ERR_NONE)
		return dialogue_fail("cannot restart: %s", op->failure.text);
	for (size_t i = 0; i < DIALOGUE_CLIENTS; i++) {
		struct dialogue_client *c = &dialogue_kit.clients[i];
		char name = (char)('A' + i);
		if (c->stream &&
			(!dialogue_expect(op, name, c, STR("* BYE Server shutting down."), false) ||
				!dialogue_expect(op, name, c, STR("EOF"), false)))
			return false;
	}
	return true;
}

static bool reload(struct op *op, struct str settings)
{
	struct config *config;
	enum err e = dialogue_load_config(op, settings, &config);
	if (e == ERR_NONE) {
		e = imap_reload(op, dialogue_kit.imap, config);
		config_unref(config);
	}
	return e == ERR_NONE || dialogue_fail("cannot reload: %s", op->failure.text);
}

/* ---- moving ---- */

static struct moved {
	int fd;
	struct buf bytes;
} moved[DIALOGUE_CLIENTS];
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
		op->deadline_us = now_us() + DIALOGUE_PATIENCE_US;
		enum err e = imap_session_thaw(op, dialogue_kit.imap, dialogue_kit.store,
			buf_str(&moved[i].bytes), moved[i].fd);
		first = first == ERR_NONE ? e : first;
		buf_done(&moved[i].bytes);
	}
	return first;
}

static bool move(struct op *op)
{
	size_t count, clients = 0;
	for (size_t i = 0; i < DIALOGUE_CLIENTS; i++)
		clients += dialogue_kit.clients[i].stream != NULL;
	moved_count = 0;
	op->deadline_us = TIME_NEVER;
	enum err e = task_sleep(op, US_PER_SEC / 20); /* until the last bursts are over */
	if (e == ERR_NONE)
		e = imap_freeze(op, dialogue_kit.imap, take_moved, NULL, &count);
	if (e == ERR_NONE && !dialogue_kit.is_virtual) {
		op->deadline_us = now_us() + DIALOGUE_PATIENCE_US;
		e = dialogue_close_server(op);
		if (e == ERR_NONE)
			e = dialogue_open_server(op);
	}
	if (e == ERR_NONE)
		e = thaw_all(op);
	if (e != ERR_NONE)
		return dialogue_fail("cannot move: %s", op->failure.text);
	return count == clients || dialogue_fail("%zu of %zu moved", count, clients);
}

static bool wait_for(struct op *op, struct str seconds)
{
	int64_t us = 0;
	for (size_t i = 0; i < seconds.n && ascii_is_digit(seconds.p[i]); i++)
		us = us * 10 + (seconds.p[i] - '0') * US_PER_SEC;
	op->deadline_us = TIME_NEVER;
	return task_sleep(op, us) == ERR_NONE || dialogue_fail("cannot wait");
}

/* This task is the only one. */
static bool expect_parked(void)
{
	size_t live = loop_stats().tasks_live;
	return live == 1 || dialogue_fail("%zu tasks besides this one", live - 1);
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
	return dialogue_fail("not an order: %.*s", STRF(line));
}

static bool play_line(struct op *op, struct str line)
{
	if (line.n > 0 && line.p[0] == '!')
		return play_order(op, line);
	if (line.n < 3 || line.p[0] < 'A' || line.p[0] > 'Z' || line.p[2] != ' ')
		return dialogue_fail("not a line of a script: %.*s", STRF(line));
	char name = line.p[0];
	struct dialogue_client *c = &dialogue_kit.clients[name - 'A'];
	struct str text = str_slice(line, 3, line.n);
	if (!c->stream && !dialogue_log_in(op, name, c))
		return false;
	switch (line.p[1]) {
	case '>':
	case '!':
		return dialogue_say(op, name, c, text, line.p[1] == '>');
	case '<':
	case '*':
		return dialogue_expect(op, name, c, text, line.p[1] == '*');
	case '-':
		stream_abandon(c->stream);
		c->stream = NULL;
		return true;
	default:
		return dialogue_fail("not a line of a script: %.*s", STRF(line));
	}
}

/* Nothing may be left unheard. */
static bool log_out(struct op *op, char name, struct dialogue_client *c)
{
	return dialogue_say(op, name, c, STR("LOGOUT"), true) &&
	       dialogue_expect(op, name, c, STR("* BYE Logging out"), false) &&
	       dialogue_expect(op, name, c, STR("$ OK Logout completed."), false) &&
	       dialogue_expect(op, name, c, STR("EOF"), false);
}

static void dialogue_task(void *arg)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	struct str line, rest = str_from(dialogue_kit.dialogue->script);
	bool goes_on = true;
	(void)arg;
	op_init(&op, &arena, NULL, TIME_NEVER);
	for (dialogue_kit.line = 1; goes_on && str_cut_line(&rest, &line); dialogue_kit.line++)
		goes_on = play_line(&op, line);
	if (goes_on && rest.n > 0)
		goes_on = dialogue_fail("the script does not end with a line end");
	for (size_t i = 0; i < DIALOGUE_CLIENTS && goes_on; i++) {
		if (dialogue_kit.clients[i].stream)
			goes_on = log_out(&op, (char)('A' + i), &dialogue_kit.clients[i]);
	}
	drop_clients();
	if (strstr(dialogue_kit.dialogue->script, "!reload"))
		(void)reload(&op, STR("")); /* the dialogue's failure is told, if it was one */
	loop_stop();
}

void dialogue_run(void **state)
{
	dialogue_kit.dialogue = *state;
	dialogue_kit.failure[0] = '\0';
	memset(dialogue_kit.kept, 0, sizeof(dialogue_kit.kept));
	dialogue_kit.user_serial++;
	(void)task_start("dialogue", dialogue_task, NULL);
	loop_run();
	if (dialogue_kit.failure[0])
		fail_msg("%s\n  %s", dialogue_kit.dialogue->name, dialogue_kit.failure);
}
