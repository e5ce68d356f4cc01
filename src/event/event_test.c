/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "event/event.h"

struct collected {
	char text[512];
};

static void collect(const char *key, struct str value, bool is_number, void *arg)
{
	struct collected *c = arg;
	size_t n = strlen(c->text);
	snprintf(c->text + n, sizeof(c->text) - n, "%s%c%.*s;", key, is_number ? '#' : '=',
		STRF(value));
}

static void nearest_field_hides_the_parents(void **state)
{
	(void)state;
	struct event *session = event_new(NULL, "imap");
	event_set_str(session, "user", STR("u1"));
	event_set_int(session, "bytes", 5);
	struct event *command = event_new(session, "imap");
	event_set_str(command, "user", STR("u2"));
	event_set_str(command, "user", STR("u3"));
	struct collected c = { "" };
	event_fields_walk(command, collect, &c);
	assert_string_equal(c.text, "user=u3;bytes#5;");
	struct str user;
	assert_true(event_get_str(session, "user", &user));
	assert_true(str_eq(user, STR("u1")));
	event_unref(session);
	event_unref(command); /* frees both: the child held its parent */
}

static void secrets_are_kept_as_hash_only(void **state)
{
	(void)state;
	struct event *e = event_new(NULL, "auth");
	event_set_secret(e, "password", STR("hunter2"));
	struct str v;
	assert_true(event_get_str(e, "password", &v));
	assert_int_equal(v.p[0], '#');
	assert_int_equal(str_find(v, STR("hunter2")), -1);
	event_unref(e);
}

static void file_lines_cannot_be_forged_and_respect_levels(void **state)
{
	(void)state;
	char path[] = "/tmp/pombal-event-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	assert_int_equal(
		event_log_open(&op, "file", str_from(path), EVENT_DEBUG, EVENT_FATAL), ERR_NONE);
	event_log_set_process(STR("imap-login"));
	struct event *e = event_new(NULL, "imap");
	event_set_prefix(e, STR("imap(u1): "));
	event_send(e, EVENT_INFO, "x_done", "user said %s", "a\r\nJan 01 forged");
	event_send(e, EVENT_DEBUG, NULL, "not wanted");
	event_set_debug(e, true);
	event_send(e, EVENT_DEBUG, NULL, "wanted now");
	event_log_close();
	AUTO_BUF(text, 0);
	assert_int_equal(file_read(&op, path, 4096, &text), ERR_NONE);
	struct str s = buf_str(&text);
	assert_true(
		str_find(s, STR("imap-login: Info: imap(u1): user said a\\x0d\\x0aJan 01")) > 0);
	assert_int_equal(str_find(s, STR("not wanted")), -1);
	assert_true(str_find(s, STR("Debug: imap(u1): wanted now\n")) > 0);
	event_unref(e);
	unlink(path);
}

static void unknown_driver_is_an_error_that_names_the_known_ones(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	assert_int_equal(
		event_log_open(&op, "carrier", STR(""), EVENT_INFO, EVENT_FATAL), ERR_INVALID);
	assert_non_null(strstr(op.failure.text, "syslog"));
}

static void session_ids_differ_and_are_url_safe(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	struct str a = event_session_id(&arena), b = event_session_id(&arena);
	assert_int_equal(a.n, 16);
	assert_false(str_eq(a, b));
	assert_int_equal(str_find_byte(a, '/'), -1);
}

/* ---- what an administrator configures ---- */

struct place {
	char dir[32], path[64], info[64], debug[64], ring[64];
	struct arena arena;
	struct op op;
};

static void place_open(struct place *p)
{
	snprintf(p->dir, sizeof(p->dir), "/tmp/pombal-event-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->path, sizeof(p->path), "%s/log", p->dir);
	snprintf(p->info, sizeof(p->info), "%s/info", p->dir);
	snprintf(p->debug, sizeof(p->debug), "%s/debug", p->dir);
	snprintf(p->ring, sizeof(p->ring), "%s/ring", p->dir);
	arena_init(&p->arena, 0);
	op_init(&p->op, &p->arena, NULL, TIME_NEVER);
}

static void place_close(struct place *p)
{
	event_log_close();
	assert_int_equal(file_remove_tree(&p->op, p->dir), ERR_NONE);
	arena_done(&p->arena);
}

static struct str content(struct place *p, const char *path)
{
	AUTO_BUF(text, 0);
	assert_int_equal(file_read(&p->op, path, 65536, &text), ERR_NONE);
	return buf_dup(&p->arena, &text);
}

static void levels_have_places_of_their_own(void **state)
{
	(void)state;
	struct place p;
	place_open(&p);
	struct event_log_settings settings = { .path = str_from(p.path),
		.info_path = str_from(p.info),
		.debug_path = str_from(p.debug),
		.timestamp = STR("%Y! "),
		.debug_filter = STR("category=lmtp AND user=jane*") };
	assert_int_equal(event_log_configure(&p.op, &settings), ERR_NONE);
	struct event *e = event_new(NULL, "lmtp");
	event_send(e, EVENT_DEBUG, "a_b", "before");
	event_set_str(e, "user", STR("Jane@x"));
	event_send(e, EVENT_DEBUG, "a_b", "after");
	event_send(e, EVENT_INFO, "a_b", "info line");
	event_send(e, EVENT_ERROR, "a_b", "error line");
	event_unref(e);
	assert_int_equal(str_find(content(&p, p.debug), STR("before")), -1);
	assert_true(str_find(content(&p, p.debug), STR("! imap-login: Debug: after\n")) > 0);
	assert_true(str_ends(content(&p, p.info), STR("Info: info line\n")));
	assert_true(str_ends(content(&p, p.path), STR("Error: error line\n")));
	assert_int_equal(str_find(content(&p, p.path), STR("info")), -1);
	place_close(&p);
}

static void objects_a_line(void **state)
{
	(void)state;
	struct place p;
	place_open(&p);
	struct event_log_settings settings = { .path = str_from(p.path), .is_json = true };
	assert_int_equal(event_log_configure(&p.op, &settings), ERR_NONE);
	struct event *e = event_new(NULL, "lmtp");
	event_set_str(e, "user", STR("a\"b\n"));
	event_set_int(e, "n", 5);
	event_send(e, EVENT_INFO, "x_done", "text");
	event_unref(e);
	assert_true(str_ends(content(&p, p.path),
		STR("\"level\":\"Info\",\"process\":\"imap-login\",\"event\":\"x_done\","
		    "\"category\":\"lmtp\",\"text\":\"text\","
		    "\"fields\":{\"user\":\"a\\\"b\\u000a\",\"n\":5}}\n")));
	place_close(&p);
}

static void what_is_wrong_changes_nothing(void **state)
{
	(void)state;
	struct place p;
	place_open(&p);
	struct event_log_settings good = { .path = str_from(p.path) }, bad = good;
	assert_int_equal(event_log_configure(&p.op, &good), ERR_NONE);
	bad.debug_filter = STR("event=");
	assert_int_equal(event_log_configure(&p.op, &bad), ERR_INVALID);
	assert_non_null(strstr(p.op.failure.text, "log_debug: event filter, at byte 7"));
	bad = good;
	bad.info_path = STR("/nonexistent/x");
	assert_int_not_equal(event_log_configure(&p.op, &bad), ERR_NONE);
	bad = good;
	bad.path = STR("syslog");
	bad.facility = STR("nonsense");
	assert_int_equal(event_log_configure(&p.op, &bad), ERR_INVALID);
	event_send(NULL, EVENT_INFO, NULL, "still here");
	assert_true(str_ends(content(&p, p.path), STR("still here\n")));
	place_close(&p);
}

static void a_core_is_dumped_of_what_was_asked_for(void **state)
{
	(void)state;
	struct place p;
	int status = 0;
	place_open(&p);
	struct event_log_settings settings = { .path = str_from(p.path),
		.core_filter = STR("event=bad_thing_happened") };
	pid_t pid = fork();
	if (pid == 0) {
		struct rlimit no_core = { 0, 0 };
		(void)setrlimit(RLIMIT_CORE, &no_core);
		if (event_log_configure(&p.op, &settings) != ERR_NONE)
			_exit(1);
		event_send(NULL, EVENT_INFO, "good_thing_happened", "fine");
		event_send(NULL, EVENT_INFO, "bad_thing_happened", "not fine");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_true(str_find(content(&p, p.path), STR("not fine\n")) > 0);
	assert_true(str_find(content(&p, p.path), STR("log_core_filter matches bad_thing")) > 0);
	place_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nearest_field_hides_the_parents),
		cmocka_unit_test(secrets_are_kept_as_hash_only),
		cmocka_unit_test(file_lines_cannot_be_forged_and_respect_levels),
		cmocka_unit_test(unknown_driver_is_an_error_that_names_the_known_ones),
		cmocka_unit_test(levels_have_places_of_their_own),
		cmocka_unit_test(objects_a_line),
		cmocka_unit_test(what_is_wrong_changes_nothing),
		cmocka_unit_test(a_core_is_dumped_of_what_was_asked_for),
		cmocka_unit_test(session_ids_differ_and_are_url_safe),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
