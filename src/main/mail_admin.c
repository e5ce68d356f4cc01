/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of doveadm to a mail worker (mail_admin.h): its stores, and a user's mailboxes.
 *
 * To add a command: a function, a row in commands[], and its asker in doveadm_mail.c. */
#include "main/mail_admin.h"

#include <sys/mman.h>

#include "base/file.h"
#include "catalog/catalog.h"
#include "ipc/ipc.h"
#include "main/mail_admin_private.h"
#include "objects/objects.h"
#include "store/mailbox.h"
#include "store/store.h"

#define ANSWER_BYTES_MAX (60 << 10)
#define PROBE_US         (5 * US_PER_SEC)
#define REPLY_US         (US_PER_SEC / 4)
#define PROBE_KEY        STR("doveadm/mails/probe") /* nobody stores it */

/* ---- storage status ---- */

/* A text that stays one field. */
static void put_field(struct buf *out, const char *text)
{
	for (; *text; text++)
		buf_put_byte(out, *text == '\t' || *text == '\n' ? ' ' : *text);
}

/* The end of a line: whether the store answers, since when it did not, and why. */
static void put_state(struct buf *out, const struct op *op, enum err e, int64_t since_wall_us)
{
	if (e == ERR_NONE || e == ERR_NOT_FOUND) {
		buf_put(out, STR("reachable\t0\t\n"));
		return;
	}
	buf_putf(out, "failing\t%" PRId64 "\t", since_wall_us / US_PER_SEC);
	put_field(out, op->failure.text);
	buf_put_byte(out, '\n');
}

/* WAITS. Every level of the stack counts what it is asked for; the innermost one asks the store. */
static void put_objects(struct op *op, struct admin_call *c)
{
	struct objects *o = store_get_objects(c->store);
	struct object_info info;
	enum err e = objects_stat(op, o, PROBE_KEY, &info);
	for (; o; o = o->inner) {
		const struct objects_counters *n = &o->counters;
		buf_putf(&c->out,
			"%u\tobjects\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64
			"\t%" PRIu64 "\t%" PRIu64 "\t",
			c->slot, o->driver->name, n->gets + n->stats, n->puts + n->copies,
			n->deletes, n->bytes_out, n->bytes_in, n->failures);
		put_state(&c->out, op, e, o->failing_since_wall_us);
	}
	op_forgive(op);
}

/* WAITS. */
static void put_catalog(struct op *op, struct admin_call *c)
{
	struct catalog *catalog = store_get_catalog(c->store);
	int64_t wall_us;
	enum err e = catalog_clock(op, catalog, &wall_us);
	for (; catalog; catalog = catalog->inner) {
		const struct catalog_counters *n = &catalog->counters;
		buf_putf(&c->out,
			"%u\tcatalog\t%s\t%" PRIu64 "\t%" PRIu64 "\t0\t0\t0\t%" PRIu64 "\t",
			c->slot, catalog->driver->name, n->reads, n->writes, n->failures);
		put_state(&c->out, op, e, catalog->failing_since_wall_us);
	}
	op_forgive(op);
}

/* WAITS. Asks both stores for something small, so that the answer is of this moment. */
static enum err do_storage_status(struct op *op, struct admin_call *c)
{
	int64_t deadline_us = op->deadline_us;
	op->deadline_us = MIN(deadline_us, now_us() + PROBE_US);
	put_objects(op, c);
	op->deadline_us = MIN(deadline_us, now_us() + PROBE_US);
	put_catalog(op, c);
	op->deadline_us = deadline_us;
	return ERR_NONE;
}

/* ---- a user's mailboxes ---- */

static void put_mailbox(
	struct op *op, struct admin_call *c, struct user *u, struct str name, enum err e)
{
	struct op_failure why = op->failure;
	struct mailbox_status s;
	op_forgive(op);
	buf_putf(&c->out, "%.*s\t%.*s\t%s\t", STRF(c->user), STRF(name),
		e == ERR_NONE ? "same" : err_name(e));
	if (mailbox_status(op, u, name, &s) == ERR_NONE)
		buf_putf(&c->out, "%u\t%u\t%u\t%" PRIu64 "\t", s.messages, s.uid_validity,
			s.uid_next, s.highest_modseq);
	else
		buf_put(&c->out, STR("-\t-\t-\t-\t"));
	put_field(&c->out, e == ERR_NONE ? "" : why.text);
	buf_put_byte(&c->out, '\n');
	op_forgive(op);
}

bool mail_admin_has_option(const struct admin_call *c, struct str wanted)
{
	struct str rest = c->options, word;
	while (str_cut_word(&rest, &word))
		if (str_eq(word, wanted))
			return true;
	return false;
}

struct str mail_admin_option_value(const struct admin_call *c, struct str name)
{
	struct str rest = c->options, word;
	while (str_cut_word(&rest, &word))
		if (str_skip(&word, name))
			return word;
	return STR("");
}

/* WAITS. */
static enum err verify_one(struct op *op, struct user *u, struct str name, enum rebuild_way way)
{
	struct mailbox_rebuilt rebuilt;
	struct mailbox *m;
	TRY(mailbox_open(op, u, name, &m));
	enum err e = mailbox_rebuild(op, m, way, &rebuilt);
	if (e == ERR_NONE)
		e = mailbox_verify(op, m);
	mailbox_unref(m);
	return e;
}

/* WAITS. A line for each mailbox that was asked for. The failure of one does not keep the others from
 * being looked at; the last one is the result. */
static enum err verify_all(struct op *op, struct admin_call *c, struct user *u)
{
	struct tree_entry *entries;
	size_t count;
	bool is_found = false;
	enum err worst = ERR_NONE;
	TRY(tree_list(op, u, &entries, &count));
	for (size_t i = 0; i < count; i++) {
		struct str name = entries[i].name;
		if (!(entries[i].flags & TREE_SELECTABLE) ||
			(c->mailbox.n > 0 && !str_matches(name, c->mailbox)))
			continue;
		struct arena_mark mark = arena_mark(op->arena);
		enum err e = verify_one(op, u, name, c->way);
		put_mailbox(op, c, u, name, e);
		arena_rewind(op->arena, mark);
		worst = e == ERR_NONE ? worst : e;
		is_found = true;
	}
	if (!is_found)
		return op_fail(op, ERR_NOT_FOUND, "no mailbox %.*s", STRF(c->mailbox));
	return worst == ERR_NONE ? ERR_NONE
				 : op_fail(op, worst, "not all mailboxes are as the catalog says");
}

static enum err do_mailbox_verify(struct op *op, struct admin_call *c)
{
	struct user *u;
	TRY(user_open(op, c->store, c->user, &u));
	enum err e = verify_all(op, c, u);
	user_unref(u);
	return e;
}

/* The first look writes what waits for the journal in the local state, also of mailboxes that nobody
 * opened since a crash; what differs is the reason for being here. */
static enum err do_force_resync(struct op *op, struct admin_call *c)
{
	struct str asked = c->mailbox;
	c->mailbox = STR("");
	enum err e = do_mailbox_verify(op, c);
	if (e != ERR_NONE && e != ERR_CORRUPT)
		return e;
	op_forgive(op);
	buf_clear(&c->out);
	TRY(user_forget_local(op, c->store, c->user));
	c->mailbox = asked;
	return do_mailbox_verify(op, c);
}

/* With "verify" a look alone; else missing rows come back, then the local state is made anew from base and
 * journal, and compared. */
static enum err do_mailbox_rebuild(struct op *op, struct admin_call *c)
{
	if (mail_admin_has_option(c, STR("verify")))
		return do_mailbox_verify(op, c);
	c->way = mail_admin_has_option(c, STR("drop-lost")) ? REBUILD_DROP_LOST : REBUILD_PUT_BACK;
	return do_force_resync(op, c);
}

/* ---- a user as a whole ---- */

static enum err do_user_delete(struct op *op, struct admin_call *c)
{
	struct user_obliterated gone;
	enum err e = user_obliterate(op, c->store, c->user, &gone);
	buf_putf(&c->out, "%.*s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n", STRF(c->user),
		gone.objects, gone.mailboxes, gone.mails);
	return e;
}

static enum err do_user_wait(struct op *op, struct admin_call *c)
{
	int64_t deadline_us = op->deadline_us;
	op->deadline_us = deadline_us - REPLY_US; /* for the answer */
	enum err e = user_wait_idle(op, c->store, c->user);
	op->deadline_us = deadline_us;
	buf_putf(&c->out, "%.*s\t%s\n", STRF(c->user), e == ERR_NONE ? "idle" : "in use");
	if (e == ERR_TIMEOUT)
		return op_fail(op, e, "%.*s still has sessions or deliveries", STRF(c->user));
	return e;
}

static enum err do_audit(struct op *op, struct admin_call *c)
{
	struct user_audit a;
	TRY(user_audit(op, c->store, c->user, STORE_ORPHAN_AGE_US, &c->out, &a));
	buf_putf(&c->out,
		"%.*s\tsum\t-\t%" PRIu64 " objects, %" PRIu64 " rows, %" PRIu64
		" orphans queued, %" PRIu64 " dangling rows\n",
		STRF(c->user), a.objects, a.rows, a.orphans, a.dangling);
	if (a.dangling > 0)
		return op_fail(
			op, ERR_CORRUPT, "%" PRIu64 " mails have lost their object", a.dangling);
	return ERR_NONE;
}

static enum err do_dictmap_rebuild(struct op *op, struct admin_call *c)
{
	return user_recover(
		op, c->store, c->user, mail_admin_has_option(c, STR("dry-run")), &c->out);
}

/* ---- the table ---- */

static const struct {
	const char *name;
	enum err (*run)(struct op *op, struct admin_call *c);
} commands[] = {
	{ "storage status", do_storage_status },
	{ "mailbox verify", do_mailbox_verify },
	{ "mailbox rebuild", do_mailbox_rebuild },
	{ "force-resync", do_force_resync },
	{ "metacache status", mail_metacache_status },
	{ "metacache list", mail_metacache_list },
	{ "metacache flush", mail_metacache_flush },
	{ "metacache flushall", mail_metacache_flushall },
	{ "metacache clean", mail_metacache_clean },
	{ "metacache remove", mail_metacache_remove },
	{ "metacache refresh", mail_metacache_refresh },
	{ "metacache rescan", mail_metacache_rescan },
	{ "metacache pull", mail_pull },
	{ "metacache send", mail_pull_send },
	{ "metacache sent", mail_pull_sent },
	{ "obox user delete", do_user_delete },
	{ "obox user wait", do_user_wait },
	{ "obox audit", do_audit },
	{ "dictmap rebuild", do_dictmap_rebuild },
};

/* What is too long for a message travels in a memory file. Without one it is cut. */
static void put_text(struct op *op, struct ipc_message *reply, struct str text)
{
	AUTO_FD(fd, -1);
	if (text.n > ANSWER_BYTES_MAX && (fd = memfd_create("answer", MFD_CLOEXEC)) >= 0) {
		if (file_write_all(op, fd, text) == ERR_NONE) {
			ipc_put_fd(reply, fd);
			return;
		}
		op_forgive(op);
	}
	ipc_put_str(reply, "text", str_slice(text, 0, ANSWER_BYTES_MAX));
}

enum err mail_admin_answer(struct op *op, const struct mail_admin_parts *parts,
	const struct ipc_message *request, struct ipc_message *reply)
{
	struct str command = STR_NONE;
	struct admin_call c = { .store = parts->store,
		.imap = parts->imap,
		.config = config_ref(parts->config),
		.slot = parts->slot,
		.reply = reply };
	(void)ipc_get_str(request, "command", &command); /* absent: no such command */
	(void)ipc_get_str(request, "user", &c.user);     /* absent: not about one */
	(void)ipc_get_str(request, "mailbox", &c.mailbox);
	(void)ipc_get_str(request, "options", &c.options);
	for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
		if (!str_eq(command, str_from(commands[i].name)))
			continue;
		buf_init(&c.out, 0);
		enum err e = commands[i].run(op, &c);
		ipc_put_int(reply, "failed", e);
		if (e != ERR_NONE)
			ipc_put_str(reply, "error", str_from(op->failure.text));
		put_text(op, reply, buf_str(&c.out));
		buf_done(&c.out);
		config_unref(c.config);
		return ERR_NONE; /* the failure travels with its lines */
	}
	config_unref(c.config);
	return op_fail(op, ERR_UNSUPPORTED, "a mail worker knows no command %.*s", STRF(command));
}
