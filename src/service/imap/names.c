/* SPDX-License-Identifier: Apache-2.0 */
/* Mailbox names as clients write them, made into those that the store keeps: NFC, without what some
 * clients put behind them. Which names may exist is the store's business.
 *
 * Spec: RFC 3501 §5.1; RFC 5198 (NFC); sheet protocols §4.7, §15 */
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

#include "service/imap/imap_private.h"

static bool is_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	}
	return true;
}

/* UTF-16 in NFC; 0 when ICU could not do it. */
static int32_t normalize(struct arena *arena, struct str utf8, UChar **out)
{
	UErrorCode status = U_ZERO_ERROR;
	const UNormalizer2 *nfc = unorm2_getNFCInstance(&status);
	int32_t room = (int32_t)utf8.n, count = 0;
	UChar *units = ARENA_NEW_ARRAY(arena, UChar, utf8.n);
	UChar *composed = ARENA_NEW_ARRAY(arena, UChar, utf8.n * 3);
	(void)u_strFromUTF8(units, room, &count, utf8.p, (int32_t)utf8.n, &status);
	count = unorm2_normalize(nfc, units, count, composed, room * 3, &status);
	*out = composed;
	return U_FAILURE(status) ? 0 : count;
}

struct str imap_name_nfc(struct arena *arena, struct str utf8)
{
	UErrorCode status = U_ZERO_ERROR;
	UChar *units;
	int32_t bytes = 0;
	if (utf8.n > IMAP_NAME_MAX || is_ascii(utf8))
		return utf8; /* longer ones are refused anyway */
	int32_t count = normalize(arena, utf8, &units);
	size_t room = (size_t)count * 3;
	if (count == 0)
		return utf8;
	char *text = arena_alloc(arena, room);
	(void)u_strToUTF8(text, (int32_t)room, &bytes, units, count, &status);
	return U_FAILURE(status) ? utf8 : (struct str){ text, (size_t)bytes };
}

struct str imap_given_name(const struct imap_run *x, struct str name)
{
	const struct imap_settings *settings = x->session->settings;
	if (settings->strips_separator && name.n > 1 && name.p[name.n - 1] == settings->separator)
		name.n--;
	return imap_name_nfc(x->op->arena, name);
}
