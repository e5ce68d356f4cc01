/* SPDX-License-Identifier: Apache-2.0 */
/* Every parser of IMAP arguments on any bytes: the first byte chooses the command. What has a printer
 * must parse again to something that prints the same. */
#include "base/base.h"
#include "base/range_set.h"
#include "wire/imap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a command of this length may take (wire/imap_cursor.h). */
static size_t memory_bound(size_t text_bytes)
{
	return (1 << 20) + 64 * text_bytes;
}

static void begin(struct imap_cursor *c, struct arena *arena, struct str text)
{
	imap_cursor_init(c, arena, text);
}

static void check_tree(const struct imap_search *s)
{
	ASSERT(s->key_count > 0 && s->keys[0].end == s->key_count);
	for (size_t i = 0; i < s->key_count; i++) {
		size_t children = 0, at = i + 1;
		ASSERT(s->keys[i].end > i && s->keys[i].end <= s->key_count);
		for (; at < s->keys[i].end; at = s->keys[at].end)
			children++;
		ASSERT(at == s->keys[i].end);
		ASSERT(s->keys[i].kind != IMAP_SEARCH_NOT || children == 1);
		ASSERT(s->keys[i].kind != IMAP_SEARCH_ANY_OF || children >= 2);
		ASSERT(s->keys[i].kind <= IMAP_SEARCH_NOT || children == 0);
	}
}

static bool print_search(struct arena *arena, struct str text, struct buf *out)
{
	struct imap_cursor c;
	struct imap_search s;
	begin(&c, arena, text);
	if (imap_parse_search(&c, &s) != ERR_NONE)
		return false;
	check_tree(&s);
	buf_put_byte(out, ' ');
	imap_put_search_args(out, &s);
	return true;
}

static bool print_fetch(struct arena *arena, struct str text, struct buf *out)
{
	struct imap_cursor c;
	struct imap_fetch f;
	begin(&c, arena, text);
	if (imap_parse_fetch(&c, &f) != ERR_NONE)
		return false;
	buf_put_byte(out, ' ');
	imap_put_fetch_args(out, &f);
	return true;
}

static bool print_mailbox(struct arena *arena, struct str text, struct buf *out)
{
	struct imap_cursor c;
	struct str name;
	begin(&c, arena, text);
	if (imap_parse_mailbox(&c, &name) != ERR_NONE)
		return false;
	buf_put_byte(out, ' ');
	imap_put_mailbox(out, name);
	return true;
}

static bool print_flags(struct arena *arena, struct str text, struct buf *out)
{
	struct imap_cursor c;
	struct imap_flags flags;
	begin(&c, arena, text);
	if (imap_cut_flag_list(&c, &flags) != ERR_NONE)
		return false;
	imap_put_flag_list(out, &flags);
	return true;
}

static bool print_date_time(struct arena *arena, struct str text, struct buf *out)
{
	struct imap_cursor c;
	int64_t wall_us;
	begin(&c, arena, text);
	if (imap_cut_date_time(&c, &wall_us) != ERR_NONE || wall_us < 0)
		return false;
	imap_put_date_time(out, wall_us, 0);
	return true;
}

static bool print_set(struct arena *arena, struct str text, struct buf *out)
{
	struct imap_cursor c;
	struct imap_sequence_set set;
	struct range_set numbers;
	begin(&c, arena, text);
	if (imap_cut_sequence_set(&c, &set) != ERR_NONE)
		return false;
	range_set_init(&numbers);
	imap_sequence_set_resolve(arena, &set, 1000, &numbers);
	ASSERT(!set.has_star || range_set_has(&numbers, 1000));
	range_set_done(&numbers);
	imap_put_sequence_set(out, &set);
	return true;
}

static bool print_string(struct arena *arena, struct str text, struct buf *out)
{
	struct imap_cursor c;
	struct str s;
	begin(&c, arena, text);
	if (imap_cut_astring(&c, &s) != ERR_NONE)
		return false;
	imap_put_astring(out, s);
	/* a line end would be taken for the command's */
	return !str_ends(buf_str(out), STR("\n")) && !str_ends(buf_str(out), STR("\r"));
}

/* Those without a printer: they must only be total. */
static bool parse_others(struct arena *arena, struct str text, struct buf *out)
{
	union {
		struct imap_command command;
		struct imap_login login;
		struct imap_authenticate authenticate;
		struct imap_rename rename;
		struct imap_enable enable;
		struct imap_id id;
		struct imap_select select;
		struct imap_create create;
		struct imap_status status;
		struct imap_list list;
		struct imap_append_message message;
		struct imap_copy copy;
		struct imap_store store;
		struct imap_sequence_set set;
	} any;
	(void)out;
	struct imap_cursor c;
#define TOTAL(parse, member)                                                                       \
	begin(&c, arena, text);                                                                    \
	ASSERT((parse(&c, &any.member) == ERR_NONE) == (c.error == NULL))
	TOTAL(imap_cut_command, command);
	TOTAL(imap_parse_login, login);
	TOTAL(imap_parse_authenticate, authenticate);
	TOTAL(imap_parse_rename, rename);
	TOTAL(imap_parse_enable, enable);
	TOTAL(imap_parse_id, id);
	TOTAL(imap_parse_select, select);
	TOTAL(imap_parse_create, create);
	TOTAL(imap_parse_status, status);
	TOTAL(imap_parse_list, list);
	TOTAL(imap_parse_append_message, message);
	TOTAL(imap_parse_copy, copy);
	TOTAL(imap_parse_store, store);
	TOTAL(imap_parse_uid_expunge, set);
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool (*const printers[])(struct arena *, struct str, struct buf *) = { print_search,
		print_fetch, print_mailbox, print_flags, print_date_time, print_set, print_string,
		parse_others };
	if (size == 0 || size > 65536)
		return 0;
	struct str text = { (const char *)data + 1, size - 1 };
	bool (*print)(struct arena *, struct str, struct buf *) =
		printers[data[0] % ARRAY_COUNT(printers)];
	AUTO_ARENA(arena, 16 << 20);
	AUTO_BUF(once, 0);
	AUTO_BUF(twice, 0);
	bool is_valid = print(&arena, text, &once);
	ASSERT(print == parse_others || arena.used_bytes <= memory_bound(size));
	if (is_valid) {
		ASSERT(print(&arena, buf_str(&once), &twice));
		ASSERT(str_eq(buf_str(&once), buf_str(&twice)));
	}
	return 0;
}
