/* SPDX-License-Identifier: Apache-2.0 */
/* Making a user's part of a lost catalog again from his objects (sheet storage §8.3).
 *
 * Bases say what mailboxes were, with UIDs, flags, UIDVALIDITY and name. Mails that no base names came
 * later: what stands beside them says where they were saved; where the store keeps nothing beside
 * objects they go into a mailbox of their own. What no base and no object says is lost: flags and names
 * that changed since the base, subscriptions. A mail that was expunged since, and whose object is still
 * there, comes back. */
#include "store/recover_private.h"

#include <stdlib.h>

#include "base/codec.h"
#include "event/event.h"

struct listing {
	struct op *op;
	struct recovery *r;
	struct str prefix;
};

struct recovered_box *recovery_box(struct op *op, struct recovery *r, struct catalog_guid guid)
{
	struct recovered_box *box = r->boxes;
	while (box && memcmp(&box->guid, &guid, sizeof(guid)) != 0)
		box = box->next;
	if (box)
		return box;
	box = ARENA_NEW(op->arena, struct recovered_box);
	box->guid = guid;
	box->name = box->special_use = STR("");
	box->found_end = &box->found;
	box->next = r->boxes;
	r->boxes = box;
	return box;
}

/* ---- listing ---- */

static void see_mail(struct listing *l, struct str hex, const struct object_info *info)
{
	struct recovery *r = l->r;
	struct row_id oid;
	if (!meta_id_parse(hex, &oid))
		return;
	if (r->mail_count == r->mail_cap) {
		size_t cap = MAX(2 * r->mail_cap, 256);
		r->list = arena_grow(l->op->arena, r->list,
			r->mail_cap * sizeof(struct recovered_mail *),
			cap * sizeof(struct recovered_mail *));
		r->mail_cap = cap;
	}
	struct recovered_mail *mail = ARENA_NEW(l->op->arena, struct recovered_mail);
	mail->oid = oid;
	mail->stored_wall_us = info ? info->wall_us : 0;
	r->list[r->mail_count++] = mail;
	(void)map_set(&r->mails,
		(struct str){ (const char *)mail->oid.bytes, sizeof(mail->oid.bytes) }, mail);
}

static void see_base(struct listing *l, struct str rest, const struct object_info *info)
{
	struct recovery *r = l->r;
	struct str guid, folder;
	struct row_id id, mailbox;
	if (!str_cut(&rest, '/', &guid) || !str_cut(&rest, '/', &folder) ||
		!str_eq(folder, STR("idx")) || !meta_id_parse(guid, &mailbox) ||
		!meta_id_parse(rest, &id))
		return;
	if (r->file_count == r->file_cap) {
		size_t cap = MAX(2 * r->file_cap, 64);
		r->files = arena_grow(l->op->arena, r->files, r->file_cap * sizeof(*r->files),
			cap * sizeof(*r->files));
		r->file_cap = cap;
	}
	struct recovered_file *f = &r->files[r->file_count++];
	*f = (struct recovered_file){ .id = id, .stored_wall_us = info ? info->wall_us : 0 };
	memcpy(f->guid.bytes, mailbox.bytes, sizeof(f->guid.bytes));
}

static enum err see_object(struct op *op, struct str key, const struct object_info *info, void *arg)
{
	struct listing *l = arg;
	(void)op;
	if (!str_skip(&key, l->prefix))
		return ERR_NONE;
	if (str_skip(&key, STR("mails/")))
		see_mail(l, key, info);
	else if (str_skip(&key, STR("mailboxes/")))
		see_base(l, key, info);
	task_breathe();
	return ERR_NONE;
}

enum err recovery_list(struct op *op, struct recovery *r)
{
	const struct user *u = r->user;
	struct listing l = { .op = op, .r = r };
	l.prefix = str_printf(op->arena, "%s%.*s/", u->store->object_prefix, STRF(u->name));
	return objects_iter(op, u->store->objects, l.prefix, see_object, &l);
}

/* ---- bases ---- */

static enum err read_facts(
	struct str file, struct catalog_guid guid, struct base_meta *meta, struct base_name *name)
{
	struct base_section sections[BASE_SECTIONS_MAX];
	size_t count;
	*name = (struct base_name){ STR(""), STR("") };
	TRY(base_file_parse(file, guid, sections, &count));
	if (count == 0 || sections[0].type != BASE_META)
		return ERR_NOT_FOUND; /* a segment */
	TRY(base_meta_decode(sections[0].bytes, meta));
	for (size_t i = 1; i < count; i++)
		if (sections[i].type == BASE_NAME && sections[i].items == 1)
			TRY(base_name_decode(sections[i].bytes, name));
	return ERR_NONE;
}

/* WAITS. Takes a base if it is newer than the one that is known, and can be read as a whole. */
static enum err try_base(struct op *op, struct recovery *r, const struct recovered_file *f)
{
	struct user *u = r->user;
	struct mailbox named = { .user = u, .guid = f->guid };
	struct recovered_box *box = recovery_box(op, r, f->guid);
	struct base_meta meta;
	struct base_name name;
	struct index *index;
	struct str file;
	TRY(objects_get(op, u->store->objects, base_object_key(op->arena, u, f->guid, f->id),
		BASE_FILE_BYTES_MAX, &file));
	enum err e = read_facts(file, f->guid, &meta, &name);
	if (e == ERR_NOT_FOUND || (e == ERR_NONE && meta.made_wall_us <= box->made_wall_us))
		return ERR_NONE;
	if (e == ERR_NONE)
		e = base_read_id(op, &named, &f->id, &index);
	if (e != ERR_NONE)
		return op_fail(op, e, "a base cannot be read");
	index_free(box->index);
	box->index = index;
	box->made_wall_us = meta.made_wall_us;
	box->uid_validity = meta.uid_validity;
	box->name = str_dup(op->arena, name.name);
	box->special_use = str_dup(op->arena, name.special_use);
	return ERR_NONE;
}

static enum err read_bases(struct op *op, struct recovery *r)
{
	for (size_t i = 0; i < r->file_count; i++) {
		if (base_is_of_root(r->files[i].guid))
			continue; /* names of any age, which bases have, too */
		enum err e = try_base(op, r, &r->files[i]);
		if (e == ERR_CORRUPT || e == ERR_UNSUPPORTED || e == ERR_NOT_FOUND) {
			r->damaged++;
			op_forgive(op);
			continue;
		}
		TRY(e);
	}
	return ERR_NONE;
}

static void count_records(struct recovery *r, struct recovered_box *box)
{
	for (uint32_t at = 0; box->index && at < index_count(box->index); at++) {
		struct row_id oid = index_cold(box->index, at)->oid;
		struct recovered_mail *mail = map_get(
			&r->mails, (struct str){ (const char *)oid.bytes, sizeof(oid.bytes) });
		if (index_is_ghost(index_hot(box->index, at)))
			continue;
		if (mail)
			mail->refs++;
		box->kept_count += mail != NULL;
		box->lost_count += mail == NULL;
	}
}

/* ---- mails that no base names ---- */

/* WAITS. */
static enum err read_meta(struct op *op, struct recovery *r, struct recovered_mail *mail)
{
	struct object_meta *meta = NULL;
	size_t count = 0;
	struct str key = store_object_key(op->arena, r->user, mail->oid);
	enum err e = objects_metadata(op, r->user->store->objects, key, &meta, &count);
	if (e == ERR_UNSUPPORTED || e == ERR_NOT_FOUND)
		op_forgive(op);
	else
		TRY(e);
	meta_read_mail(meta, count, &mail->meta);
	if (mail->meta.received_wall_us == 0)
		mail->meta.received_wall_us = mail->stored_wall_us;
	if (mail->meta.saved_wall_us == 0)
		mail->meta.saved_wall_us = mail->stored_wall_us;
	return ERR_NONE;
}

/* Oldest first. */
static int compare_mails(const void *a, const void *b)
{
	const struct recovered_mail *x = *(struct recovered_mail *const *)a;
	const struct recovered_mail *y = *(struct recovered_mail *const *)b;
	if (x->meta.saved_wall_us != y->meta.saved_wall_us)
		return x->meta.saved_wall_us < y->meta.saved_wall_us ? -1 : 1;
	return memcmp(&x->oid, &y->oid, sizeof(x->oid));
}

/* Where nothing says where a mail was: a mailbox whose GUID is the same when it is done again. */
static struct catalog_guid unknown_guid(const struct user *u)
{
	struct user other = { .name = u->name };
	other.tree.generation = UINT64_MAX;
	return tree_inbox_guid(&other);
}

static void place_mail(struct op *op, struct recovery *r, struct recovered_mail *mail)
{
	struct recovered_box *box = recovery_box(
		op, r, mail->meta.has_mailbox ? mail->meta.mailbox : unknown_guid(r->user));
	if (!mail->meta.has_mailbox)
		box->name = RECOVERED_MAILS;
	else if (!box->index && mail->meta.mailbox_name.n > 0)
		box->name = mail->meta.mailbox_name; /* the last name counts */
	*box->found_end = mail;
	box->found_end = &mail->next;
	box->found_count++;
}

static enum err place_mails(struct op *op, struct recovery *r)
{
	for (size_t i = 0; i < r->mail_count; i++)
		if (r->list[i]->refs == 0)
			TRY(read_meta(op, r, r->list[i]));
	if (r->mail_count > 0)
		qsort(r->list, r->mail_count, sizeof(struct recovered_mail *), compare_mails);
	for (size_t i = 0; i < r->mail_count; i++)
		if (r->list[i]->refs == 0)
			place_mail(op, r, r->list[i]);
	return ERR_NONE;
}

enum err recovery_gather(struct op *op, struct recovery *r)
{
	TRY(recovery_list(op, r));
	if (r->mail_count + r->file_count == 0)
		return op_fail(op, ERR_NOT_FOUND, "the object store has nothing of him");
	TRY(read_bases(op, r));
	for (struct recovered_box *box = r->boxes; box; box = box->next)
		count_records(r, box);
	return place_mails(op, r);
}

/* ---- names ---- */

static bool has_name(const struct recovery *r, const struct recovered_box *before, struct str name)
{
	for (const struct recovered_box *box = r->boxes; box != before; box = box->next)
		if (str_eq(box->name, name))
			return true;
	return false;
}

/* Which generation's INBOX is among the mailboxes; the first if none is. */
static void find_generation(struct recovery *r)
{
	struct user *u = r->user;
	uint64_t first = MAX(u->tree.generation, 1);
	for (uint64_t g = first; g < first + 1000; g++) {
		u->tree.generation = g;
		struct catalog_guid inbox = tree_inbox_guid(u);
		for (const struct recovered_box *box = r->boxes; box; box = box->next)
			if (memcmp(&box->guid, &inbox, sizeof(inbox)) == 0)
				return;
	}
	u->tree.generation = first;
}

static void settle_names(struct op *op, struct recovery *r)
{
	find_generation(r);
	struct catalog_guid inbox = tree_inbox_guid(r->user);
	for (struct recovered_box *box = r->boxes; box; box = box->next) {
		bool is_inbox = memcmp(&box->guid, &inbox, sizeof(inbox)) == 0;
		struct str valid;
		AUTO_BUF(hex, 0);
		hex_encode(&hex, (struct str){ (const char *)box->guid.bytes, 4 });
		if (is_inbox)
			box->name = STR("INBOX");
		else if (name_check(op, r->user->store, box->name, &valid) != ERR_NONE ||
			 str_eq(valid, STR("INBOX")))
			box->name =
				str_printf(op->arena, RECOVERED_PREFIX "%.*s", STRF(buf_str(&hex)));
		else if (has_name(r, box, valid))
			box->name = str_printf(
				op->arena, "%.*s-%.*s", STRF(valid), STRF(buf_str(&hex)));
		op_forgive(op);
	}
}

/* ---- all of it ---- */

/* The catalog must not know him: what it has is worth more than what is found here. */
static enum err check_lost(struct op *op, struct recovery *r)
{
	struct user *u = r->user;
	struct catalog_head *heads;
	struct head_generation head;
	struct str root;
	size_t count;
	TRY(catalog_read_heads(op, u->store->catalog, u->name, &heads, &count));
	TRY(user_find_root(op, heads, count, &root, &head));
	if (head.is_deleting)
		return op_fail(op, ERR_EXISTS, "he is being deleted: doveadm obox user delete");
	if (root.p)
		return op_fail(op, ERR_EXISTS,
			"the catalog knows him: doveadm mailbox rebuild repairs his mailboxes; for "
			"a recovery from the store alone the catalog must have nothing of him");
	u->tree.generation = MAX(head.generation, 1);
	u->tree.last_uid_validity = head.last_uid_validity;
	u->writer = name_writer_new(u->store->settings.host);
	return ERR_NONE;
}

static void tell(const struct recovery *r, struct buf *out)
{
	for (const struct recovered_box *box = r->boxes; box; box = box->next)
		buf_putf(out, "%.*s\t%.*s\t%s\t%u\t%u\t%u\t%u\t%u\n", STRF(r->user->name),
			STRF(box->name), box->index ? "base" : "mails", box->uid_validity,
			box->next_uid, box->kept_count, box->found_count, box->lost_count);
}

static enum err recover(struct op *op, struct recovery *r, bool is_dry, struct buf *report)
{
	TRY(store_check_clock(op, r->user->store));
	TRY(check_lost(op, r));
	TRY(recovery_gather(op, r));
	settle_names(op, r);
	uint32_t now = (uint32_t)(now_wall_us() / US_PER_SEC);
	for (struct recovered_box *box = r->boxes; box; box = box->next) {
		uint32_t first = box->index ? index_next_uid(box->index) + RECOVERED_UID_GAP : 1;
		box->next_uid = first + box->found_count;
		if (!box->index)
			box->uid_validity = now++;
	}
	tell(r, report);
	if (r->damaged > 0)
		event_send(r->user->store->event, EVENT_WARNING, "store_base_damaged",
			"%u objects of bases of %.*s cannot be read and were passed over",
			r->damaged, STRF(r->user->name));
	return is_dry ? ERR_NONE : recovery_write(op, r);
}

enum err user_recover(
	struct op *op, struct store *s, struct str name, bool is_dry, struct buf *report)
{
	struct recovery r = { 0 };
	TRY(user_hold(op, s, name, &r.user));
	map_init(&r.mails);
	enum err e = recover(op, &r, is_dry, report);
	for (struct recovered_box *box = r.boxes; box; box = box->next)
		index_free(box->index);
	map_done(&r.mails);
	if (!is_dry && e == ERR_NONE)
		e = local_remove_dir(op, r.user->dir);
	user_let_go(r.user);
	return op_within(op, e, "recovering %.*s", STRF(name));
}
