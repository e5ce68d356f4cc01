/* SPDX-License-Identifier: Apache-2.0 */
/* Folding text for comparison. ASCII, which is most of all text, is done here; runs with other
 * characters go through ICU in small pieces.
 *
 * Pieces: the result is decomposed, so a piece may begin and end at any character: only the order of
 * several combining marks that a cut separates can differ, which nobody types. */
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

#include "service/imap/search_private.h"

#define PIECE_BYTES      120
#define FOLDED_UNITS     1024 /* one character of 3 bytes folds to 18 at most */
#define DECOMPOSED_UNITS 2048
#define UTF8_PER_UNIT    3

/* Eight bytes at a time: a byte's highest bit says "not ASCII", and, after adding, "above Z" and "from
 * A on"; what is one but not the other is upper case, 0x20 below its small letter. */
static bool lower_eight(char *to, const char *from)
{
	const uint64_t every = UINT64_C(0x0101010101010101), high = every * 0x80;
	uint64_t w;
	memcpy(&w, from, sizeof(w));
	if (w & high)
		return false;
	uint64_t from_a = w + every * (0x80 - 'A'), above_z = w + every * (0x7f - 'Z');
	w |= ((from_a ^ above_z) & high) >> 2;
	memcpy(to, &w, sizeof(w));
	return true;
}

/* Takes the ASCII in front of *rest, at most `room` bytes of it. */
static void put_ascii(struct buf *out, struct str *rest, size_t room)
{
	size_t n = 0, max = MIN(rest->n, room);
	char *to = buf_reserve(out, max);
	while (max - n >= sizeof(uint64_t) && lower_eight(to + n, rest->p + n))
		n += sizeof(uint64_t);
	for (; n < max && (unsigned char)rest->p[n] < 0x80; n++)
		to[n] = ascii_lower(rest->p[n]);
	buf_grew(out, n);
	(void)str_take(rest, n);
}

/* As it is, where ICU could do nothing with it. */
static void put_unfolded(struct buf *out, struct str piece)
{
	buf_put(out, str_slice(piece, 0, buf_room(out)));
}

/* The longest front of at most PIECE_BYTES that ends between characters. */
static struct str cut_piece(struct str *rest)
{
	size_t n = MIN(rest->n, PIECE_BYTES);
	while (n < rest->n && n > PIECE_BYTES - 4 && ((unsigned char)rest->p[n] & 0xc0) == 0x80)
		n--;
	return str_take(rest, n);
}

/* False: ICU could not do it. */
static bool fold_piece(struct buf *out, struct str piece)
{
	UChar units[PIECE_BYTES], folded[FOLDED_UNITS], decomposed[DECOMPOSED_UNITS];
	UErrorCode status = U_ZERO_ERROR;
	int32_t count = 0, bytes = 0;
	const UNormalizer2 *casefold = unorm2_getNFKCCasefoldInstance(&status);
	const UNormalizer2 *decompose = unorm2_getNFDInstance(&status);
	(void)u_strFromUTF8WithSub(
		units, PIECE_BYTES, &count, piece.p, (int32_t)piece.n, 0xfffd, NULL, &status);
	count = unorm2_normalize(casefold, units, count, folded, FOLDED_UNITS, &status);
	count = unorm2_normalize(decompose, folded, count, decomposed, DECOMPOSED_UNITS, &status);
	if (U_FAILURE(status))
		return false;
	size_t room = (size_t)count * UTF8_PER_UNIT;
	if (room == 0)
		return true;
	if (room > buf_room(out))
		return false;
	char *to = buf_reserve(out, room);
	(void)u_strToUTF8WithSub(
		to, (int32_t)room, &bytes, decomposed, count, 0xfffd, NULL, &status);
	if (U_FAILURE(status))
		return false;
	buf_grew(out, (size_t)bytes);
	return true;
}

void search_fold(struct buf *out, struct str utf8)
{
	while (utf8.n > 0 && buf_room(out) > 0) {
		put_ascii(out, &utf8, buf_room(out));
		if (utf8.n == 0 || buf_room(out) == 0)
			return;
		struct str piece = cut_piece(&utf8);
		if (!fold_piece(out, piece))
			put_unfolded(out, piece);
	}
}

bool search_contains(struct str text, struct str needle)
{
	return needle.n == 0 ||
	       (text.n >= needle.n && memmem(text.p, text.n, needle.p, needle.n) != NULL);
}
