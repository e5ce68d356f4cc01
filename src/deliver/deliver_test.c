/* SPDX-License-Identifier: Apache-2.0 */
/* The store behind deliver_run() is played by the functions at the top: a set of mailboxes, and what
 * they answer. */
#include "deliver/deliver_private.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/file.h"
#include "base/test.h"
#include "event/event.h"
#include "store/mailbox.h"
#include "store/store.h"
#include "task/task.h"

/* ---- the store ---- */

struct mailbox {
	const char *name;
	bool exists;
	enum err append_result;
	const char *client_text;
};
static struct mailbox mailboxes[3];
static struct buf appended;
static const char *appended_to, *subscribed;

struct str user_name(const struct user *u)
{
	(void)u;
	return STR("u@example.test");
}

static struct mailbox *find(struct str name)
{
	for (size_t i = 0; i < ARRAY_COUNT(mailboxes); i++)
		if (mailboxes[i].name && str_eq(name, str_from(mailboxes[i].name)))
			return &mailboxes[i];
	return NULL;
}

enum err mailbox_open(struct op *op, struct user *u, struct str name, struct mailbox **out)
{
	(void)u;
	if (str_starts(name, STR("/")))
		return op_fail(op, ERR_INVALID, "not a name");
	*out = find(name);
	if (!*out || !(*out)->exists)
		return op_fail(op, ERR_NOT_FOUND, "no such mailbox");
	return ERR_NONE;
}

void mailbox_unref(struct mailbox *m)
{
	(void)m;
}

enum err mailbox_append(struct op *op, struct mailbox *m, const struct append *appends,
	size_t count, struct append_result *out)
{
	static uint32_t uid = 7;
	assert_int_equal(count, 1);
	if (m->append_result != ERR_NONE) {
		enum err e = op_fail(op, m->append_result, "the store says no");
		if (m->client_text)
			op_tell_client(op, "%s", m->client_text);
		return e;
	}
	buf_clear(&appended);
	buf_put(&appended, appends[0].message);
	appended_to = m->name;
	*out = (struct append_result){ .uid_validity = 1, .uids = &uid };
	return ERR_NONE;
}

enum err tree_create(struct op *op, struct user *u, struct str name, struct str special_use)
{
	(void)u;
	(void)special_use;
	struct mailbox *m = find(name);
	if (!m)
		return op_fail(op, ERR_LIMIT, "too many mailboxes");
	m->exists = true;
	return ERR_NONE;
}

enum err tree_subscribe(struct op *op, struct user *u, struct str name, bool is_subscribed)
{
	(void)op;
	(void)u;
	struct mailbox *m = find(name);
	subscribed = is_subscribed && m ? m->name : NULL;
	return ERR_NONE;
}

/* ---- the mail as bytes ---- */

static int spool(struct str mail, bool is_sealed)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, mail.p, mail.n), mail.n);
	if (is_sealed)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE), 0);
	return fd;
}

static void check_bytes(struct op *op, struct str head, struct str mail, bool is_sealed)
{
	struct deliver_mail m;
	struct delivery d = {
		.head = head,
		.fd = spool(mail, is_sealed),
		.size_bytes = mail.n,
	};
	assert_ok(deliver_mail_open(op, &d, &m));
	assert_int_equal(m.message.n, head.n + mail.n);
	assert_str(str_slice(m.message, 0, head.n), head);
	assert_true(str_eq(str_slice(m.message, head.n, m.message.n), mail));
	assert_int_equal(m.mapping != NULL, is_sealed && mail.n >= DELIVER_MAP_BYTES_MIN);
	deliver_mail_close(&m);
	/* Shorter than promised. */
	d.size_bytes++;
	assert_err(deliver_mail_open(op, &d, &m), ERR_UNAVAILABLE);
	close(d.fd);
}

static void script_head_and_mail_are_one_run_of_bytes(struct op *op)
{
	const size_t sizes[] = { 0, 1, 4096, DELIVER_MAP_BYTES_MIN - 1, DELIVER_MAP_BYTES_MIN,
		DELIVER_MAP_BYTES_MIN + 4095, 3 << 20 };
	const size_t heads[] = { 0, 1, 300, 4096, 5000 };
	char *bytes = arena_alloc(op->arena, 4 << 20);
	for (size_t i = 0; i < (4 << 20); i++)
		bytes[i] = (char)('a' + i % 23);
	for (size_t s = 0; s < ARRAY_COUNT(sizes); s++) {
		for (size_t h = 0; h < ARRAY_COUNT(heads); h++) {
			struct str head = { bytes + 5, heads[h] }, mail = { bytes, sizes[s] };
			check_bytes(op, head, mail, false);
			check_bytes(op, head, mail, true);
		}
	}
	struct deliver_mail m;
	struct delivery d = { .fd = -1, .size_bytes = DELIVER_MAIL_BYTES_MAX + 1 };
	assert_err(deliver_mail_open(op, &d, &m), ERR_LIMIT);
}

/* ---- where it goes ---- */

static const char *log_format = "msgid=%{msgid}: %{message}";

static void reset_store(void)
{
	mailboxes[0] = (struct mailbox){ .name = "INBOX", .exists = true };
	mailboxes[1] = (struct mailbox){ .name = "lists", .exists = true };
	mailboxes[2] = (struct mailbox){ .name = "new" };
	appended_to = subscribed = NULL;
}

static enum err run(
	struct op *op, const char *detail, unsigned options, struct delivery_result *out)
{
	struct str mail = STR("Message-ID:\r\n <a@b>\r\n\r\nHi.\r\n");
	struct delivery d = {
		.session_id = STR("abc:R1"),
		.sender = STR("s@example.org"),
		.recipient = STR("u@example.test"),
		.detail = str_from(detail),
		.head = STR("Return-Path: <s@example.org>\r\n"),
		.fd = spool(mail, true),
		.size_bytes = mail.n,
	};
	op_forgive(op);
	appended_to = NULL;
	struct deliver_settings settings = { .options = options,
		.log_format = str_from(log_format) };
	enum err e = deliver_run(op, NULL, &d, &settings, out);
	close(d.fd);
	if (e == ERR_NONE) {
		assert_str(out->mailbox, str_from(appended_to));
		assert_int_equal(out->uid, 7);
		assert_str(
			buf_str(&appended), STR("Return-Path: <s@example.org>\r\nMessage-ID:\r\n "
						"<a@b>\r\n\r\nHi.\r\n"));
	}
	return e;
}

static void script_the_mailbox_is_chosen(struct op *op)
{
	struct delivery_result r;
	reset_store();
	assert_ok(run(op, "", DELIVER_TO_DETAIL, &r));
	assert_string_equal(appended_to, "INBOX");
	assert_ok(run(op, "lists", 0, &r));
	assert_string_equal(appended_to, "INBOX");
	assert_ok(run(op, "lists", DELIVER_TO_DETAIL, &r));
	assert_string_equal(appended_to, "lists");
	assert_ok(run(op, "new", DELIVER_TO_DETAIL, &r));
	assert_string_equal(appended_to, "INBOX");
	assert_ok(run(op, "/etc/passwd", DELIVER_TO_DETAIL, &r));
	assert_string_equal(appended_to, "INBOX");
	assert_ok(run(op, "new", DELIVER_TO_DETAIL | DELIVER_CREATES_MAILBOX, &r));
	assert_string_equal(appended_to, "new");
	assert_null(subscribed);
	mailboxes[2].exists = false;
	assert_ok(run(op, "new",
		DELIVER_TO_DETAIL | DELIVER_CREATES_MAILBOX | DELIVER_SUBSCRIBES_MAILBOX, &r));
	assert_string_equal(subscribed, "new");
	mailboxes[1].append_result = ERR_NOT_FOUND; /* deleted between opening and saving */
	assert_ok(run(op, "lists", DELIVER_TO_DETAIL, &r));
	assert_string_equal(appended_to, "INBOX");
}

static void script_our_own_trouble_is_temporary(struct op *op)
{
	struct delivery_result r;
	reset_store();
	mailboxes[0].append_result = ERR_LIMIT; /* a full disk */
	assert_err(run(op, "", 0, &r), ERR_UNAVAILABLE);
	assert_string_equal(op->failure.text, "the store says no");
	mailboxes[0].client_text = "Quota exceeded";
	assert_err(run(op, "", 0, &r), ERR_LIMIT);
	assert_string_equal(op->failure.client_text, "Quota exceeded");
	mailboxes[0].append_result = ERR_UNAVAILABLE;
	assert_err(run(op, "", 0, &r), ERR_UNAVAILABLE);
	mailboxes[0].exists = false;
	assert_err(run(op, "", 0, &r), ERR_UNAVAILABLE);
	/* No INBOX instead when the detail's mailbox is only out of order. */
	reset_store();
	mailboxes[1].append_result = ERR_UNAVAILABLE;
	assert_err(run(op, "lists", DELIVER_TO_DETAIL, &r), ERR_UNAVAILABLE);
	assert_null(appended_to);
}

static void script_the_log_tells_the_message_id(struct op *op)
{
	char path[] = "/tmp/pombal-deliver-XXXXXX";
	struct delivery_result r;
	AUTO_BUF(log, 0);
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	reset_store();
	assert_ok(event_log_open(op, "file", str_from(path), EVENT_INFO, EVENT_FATAL));
	assert_ok(run(op, "", 0, &r));
	mailboxes[0].append_result = ERR_UNAVAILABLE;
	assert_err(run(op, "", 0, &r), ERR_UNAVAILABLE);
	assert_string_equal(op->failure.text, "the store says no");
	mailboxes[0].append_result = ERR_NONE;
	log_format = "%{subject}/%{from}/%{from_envelope}/%{to_envelope}/%{size}/%{vsize}/"
		     "%{storage_id}/%{user | domain}/%{session}: %{message}";
	assert_ok(run(op, "", 0, &r));
	log_format = "%{nonsense}";
	assert_ok(run(op, "", 0, &r));
	log_format = "msgid=%{msgid}: %{message}";
	event_log_close();
	assert_ok(file_read(op, path, 1 << 16, &log));
	struct str text = buf_str(&log);
	assert_true(str_find(text, STR("lmtp(u@example.test)<abc:R1>: msgid=<a@b>: "
				       "saved mail to INBOX\n")) > 0);
	assert_true(str_find(text, STR("msgid=<a@b>: failed to save mail: the store says no")) > 0);
	assert_true(str_find(text, STR(">: //s@example.org/u@example.test/")) > 0);
	assert_true(str_find(text, STR("//example.test/abc:R1: saved mail to INBOX\n")) > 0);
	assert_true(str_find(text, STR(">: saved mail to INBOX (deliver_log_format: ")) > 0);
	close(fd);
	unlink(path);
}

static void a_message_without_its_parts_is_temporary(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	struct op op;
	struct delivery d;
	struct ipc_message m;
	op_init(&op, &arena, NULL, TIME_NEVER);
	ipc_message_init(&m, IPC_DELIVER);
	assert_err(deliver_receive(&op, &m, &d), ERR_UNAVAILABLE);
	ipc_put_str(&m, "ticket", STR("t"));
	ipc_put_str(&m, "session", STR("s"));
	ipc_put_str(&m, "recipient", STR("r"));
	ipc_put_int(&m, "size", 5);
	assert_err(deliver_receive(&op, &m, &d), ERR_UNAVAILABLE);
	ipc_put_fd(&m, STDERR_FILENO);
	assert_ok(deliver_receive(&op, &m, &d));
	assert_str(d.ticket, STR("t"));
	assert_str(d.detail, STR(""));
	assert_int_equal(d.size_bytes, 5);
	close(d.fd);
	ipc_message_done(&m);
}

/* ---- running ---- */

static void task(void *arg)
{
	void (*script)(struct op * op) = *(void (**)(struct op *))arg;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, now_us() + 20 * US_PER_SEC);
	script(&op);
	buf_done(&appended);
	loop_stop();
}

static void run_in_a_task(void (*script)(struct op *op))
{
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	assert_ok(loop_open(&op, NULL));
	task_start("script", task, &script);
	loop_run();
	loop_close();
}

#define TASK_TEST(name)                                                                            \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		run_in_a_task(script_##name);                                                      \
	}
TASK_TEST(head_and_mail_are_one_run_of_bytes)
TASK_TEST(the_mailbox_is_chosen)
TASK_TEST(our_own_trouble_is_temporary)
TASK_TEST(the_log_tells_the_message_id)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(head_and_mail_are_one_run_of_bytes),
		cmocka_unit_test(the_mailbox_is_chosen),
		cmocka_unit_test(our_own_trouble_is_temporary),
		cmocka_unit_test(the_log_tells_the_message_id),
		cmocka_unit_test(a_message_without_its_parts_is_temporary),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
