/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines for people, to stderr, stdout or a file: "Sep 30 12:00:00 imap-login: Info: text".
 *
 * One write() per line with O_APPEND: lines of several processes never mix, and nothing is lost in
 * a buffer when a process dies. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "event/event_private.h"

struct log_file {
	int fd;
	char *path;
};

/* strftime() with a pattern that is no literal. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
size_t event_format_time(char *out, size_t size, const char *pattern, const struct tm *tm)
{
	return strftime(out, size, pattern, tm);
}
#pragma GCC diagnostic pop

static void put_line(struct buf *out, const struct event_record *r)
{
	time_t seconds = (time_t)(r->wall_us / US_PER_SEC);
	struct tm tm;
	char stamp[128];
	localtime_r(&seconds, &tm);
	/* The administrator's pattern: event_log_configure() has tried it. */
	size_t n = event_format_time(stamp, sizeof(stamp), event_log_timestamp(), &tm);
	buf_put(out, (struct str){ stamp, n });
	buf_put(out, event_log_process());
	buf_put(out, STR(": "));
	buf_put(out, str_from(event_level_word(r->level)));
	buf_put(out, STR(": "));
	buf_put(out, r->prefix);
	buf_put(out, r->text);
	buf_put_byte(out, '\n');
}

static void write_line(int fd, const struct event_record *r)
{
	AUTO_BUF(line, 0);
	put_line(&line, r);
	ssize_t n;
	do {
		n = write(fd, line.p, line.n);
	} while (n < 0 && errno == EINTR);
	/* A full disk must not stop the mail: the line is lost, there is nobody left to tell. */
}

static enum err stderr_open(struct op *op, struct str target,
	const struct event_log_settings *settings, void **out_state)
{
	(void)op;
	(void)target;
	(void)settings;
	*out_state = NULL;
	return ERR_NONE;
}

static void stderr_write(void *state, const struct event_record *record)
{
	(void)state;
	write_line(STDERR_FILENO, record);
}

const struct event_driver event_driver_stderr = {
	.name = "stderr",
	.open = stderr_open,
	.write = stderr_write,
};

static void stdout_write(void *state, const struct event_record *record)
{
	(void)state;
	write_line(STDOUT_FILENO, record);
}

const struct event_driver event_driver_stdout = {
	.name = "stdout",
	.open = stderr_open,
	.write = stdout_write,
};

/* ---- files that somebody else opened for us ---- */

#define GIVEN_MAX 4
static struct log_file given[GIVEN_MAX];
static size_t given_count;

void event_log_give_file(struct str path, int fd)
{
	struct log_file *g = NULL;
	for (size_t i = 0; i < given_count; i++) {
		if (str_eq(str_from(given[i].path), path))
			g = &given[i];
	}
	if (g) {
		close(g->fd);
		g->fd = fd;
	} else if (given_count < GIVEN_MAX && !str_has_nul(path)) {
		given[given_count++] = (struct log_file){ .fd = fd, .path = str_new_z(path) };
	} else {
		close(fd);
	}
}

static int open_for_append(const char *path)
{
	for (size_t i = 0; i < given_count; i++) {
		if (strcmp(given[i].path, path) == 0)
			return fcntl(given[i].fd, F_DUPFD_CLOEXEC, 0);
	}
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

static enum err log_file_open(struct op *op, struct str target,
	const struct event_log_settings *settings, void **out_state)
{
	(void)settings;
	if (target.n == 0 || str_has_nul(target))
		return op_fail(op, ERR_INVALID, "the log file needs a path");
	char *path = str_new_z(target);
	int fd = open_for_append(path);
	if (fd < 0) {
		enum err e = op_fail_errno(op, "open log file %s", path);
		mem_free(path);
		return e;
	}
	struct log_file *f = MEM_NEW(struct log_file);
	*f = (struct log_file){ .fd = fd, .path = path };
	*out_state = f;
	return ERR_NONE;
}

static void log_file_reopen(void *state)
{
	struct log_file *f = state;
	int fd = open_for_append(f->path);
	if (fd < 0)
		return; /* keeps the old file: better a rotated log than none */
	close(f->fd);
	f->fd = fd;
}

static void log_file_close(void *state)
{
	struct log_file *f = state;
	close(f->fd);
	mem_free(f->path);
	mem_free(f);
}

static void log_file_write(void *state, const struct event_record *record)
{
	write_line(((struct log_file *)state)->fd, record);
}

const struct event_driver event_driver_file = {
	.name = "file",
	.open = log_file_open,
	.write = log_file_write,
	.reopen = log_file_reopen,
	.close = log_file_close,
};

/* ---- one JSON object per line, for machines ---- */

static void put_json_string(struct buf *out, struct str s)
{
	buf_put_byte(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '"' || c == '\\') {
			buf_put_byte(out, '\\');
			buf_put_byte(out, (char)c);
		} else if (c < 0x20 || c == 0x7f) {
			buf_putf(out, "\\u%04x", c);
		} else {
			buf_put_byte(out, (char)c);
		}
	}
	buf_put_byte(out, '"');
}

static void put_json_field(const char *key, struct str value, bool is_number, void *arg)
{
	struct buf *out = arg;
	if (out->p[out->n - 1] != '{')
		buf_put_byte(out, ',');
	put_json_string(out, str_from(key));
	buf_put_byte(out, ':');
	if (is_number)
		buf_put(out, value);
	else
		put_json_string(out, value);
}

static void json_write(void *state, const struct event_record *r)
{
	AUTO_BUF(line, 0);
	buf_putf(&line, "{\"time_us\":%" PRId64 ",\"level\":\"%s\",\"process\":", r->wall_us,
		event_level_word(r->level));
	put_json_string(&line, event_log_process());
	buf_put(&line, STR(",\"event\":"));
	put_json_string(&line, str_from(r->name ? r->name : ""));
	buf_put(&line, STR(",\"category\":"));
	put_json_string(&line, str_from(r->category ? r->category : ""));
	buf_put(&line, STR(",\"text\":"));
	put_json_string(&line, r->text);
	buf_put(&line, STR(",\"fields\":{"));
	event_fields_walk(r->event, put_json_field, &line);
	buf_put(&line, STR("}}\n"));
	ssize_t n;
	do {
		n = write(((struct log_file *)state)->fd, line.p, line.n);
	} while (n < 0 && errno == EINTR);
}

const struct event_driver event_driver_json = {
	.name = "json",
	.open = log_file_open,
	.write = json_write,
	.reopen = log_file_reopen,
	.close = log_file_close,
};
