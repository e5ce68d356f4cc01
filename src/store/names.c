/* SPDX-License-Identifier: Apache-2.0 */
/* Which names users and mailboxes may have. Normalisation to NFC is left to the protocol layer: here
 * names that differ in bytes are different names. */
#include "store/store_private.h"

#include "base/unicode.h"

#define PART_MAX       255
#define NAME_BYTES_MAX 4096
#define DEPTH_MAX      16

bool user_name_is_valid(struct str name)
{
	if (name.n == 0 || name.n > 255 || str_eq(name, STR(".")) || str_eq(name, STR("..")))
		return false;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];
		if (c < 0x20 || c == 0x7f || c == '/')
			return false;
	}
	return true;
}

static enum err refuse(struct op *op, const char *why)
{
	enum err e = op_fail(op, ERR_INVALID, "mailbox name: %s", why);
	op_tell_client(op, "Invalid mailbox name: %s", why);
	return e;
}

static enum err check_characters(struct op *op, struct str name)
{
	uint32_t c;
	while (utf8_cut(&name, &c))
		if (c < 0x20 || c == 0x7f || (c >= 0x80 && c <= 0x9f) || c == 0x2028 || c == 0x2029)
			return refuse(op, "control characters are not allowed");
	return name.n > 0 ? refuse(op, "not valid UTF-8") : ERR_NONE;
}

static enum err check_part(struct op *op, struct str part)
{
	if (part.n == 0)
		return refuse(op, "a level is empty");
	if (part.n > PART_MAX)
		return refuse(op, "a level is longer than 255 bytes");
	if (str_eq(part, STR(".")) || str_eq(part, STR("..")))
		return refuse(op, "a level is '.' or '..'");
	return ERR_NONE;
}

enum err name_check(struct op *op, struct store *s, struct str name, struct str *out)
{
	char separator = s->settings.separator;
	if (name.n == 0 || name.n > NAME_BYTES_MAX)
		return refuse(op, name.n ? "longer than 4096 bytes" : "empty");
	if (name.p[0] == '~')
		return refuse(op, "it begins with '~'");
	TRY(check_characters(op, name));
	struct str rest = name, first = STR_NONE, part;
	int depth = 1;
	for (; str_cut(&rest, separator, &part); depth++) {
		TRY(check_part(op, part));
		first = depth == 1 ? part : first;
	}
	TRY(check_part(op, rest));
	if (depth > DEPTH_MAX)
		return refuse(op, "more than 16 levels");
	if (!str_eq_ci(depth == 1 ? rest : first, STR("INBOX")))
		*out = str_dup(op->arena, name);
	else
		*out = str_printf(op->arena, "INBOX%.*s", STRF(str_slice(name, 5, name.n)));
	return ERR_NONE;
}
