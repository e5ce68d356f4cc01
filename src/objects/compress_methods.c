/* SPDX-License-Identifier: Apache-2.0 */
/* objects/compress_methods.c - the methods beside zstd, and telling them apart. Readers are total and
 * bounded by what may come out, not by what goes in.
 *
 * To extend: a value in enum compress_method, its first bytes in compress_detect(), a reader and a writer
 * in the two tables' switches, a name in compress.c, a line in the contract's variants. */
#include <bzlib.h>
#include <lz4.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/base.h"
#include "base/number.h"
#include "objects/compress_private.h"

#define ZSTD_MAGIC    0xFD2FB528u
#define STEP          ((size_t)64 * 1024)
#define LZ4_MAGIC     "Dovecot-LZ4\x0d\x2a\x9b\xc5"
#define LZ4_CHUNK     ((size_t)64 * 1024)
#define LZ4_CHUNK_MAX ((size_t)1 << 20)

static uint32_t get_be32(const char *p)
{
	return __builtin_bswap32(get_le32(p));
}

static bool is_bz2(struct str s)
{
	return s.n >= 10 && memcmp(s.p, "BZh", 3) == 0 && s.p[3] >= '1' && s.p[3] <= '9' &&
	       (memcmp(s.p + 4, "1AY&SY", 6) == 0 || memcmp(s.p + 4, "\x17rE8P\x90", 6) == 0);
}

enum compress_method compress_detect(struct str stored)
{
	if (stored.n >= 4 && get_le32(stored.p) == ZSTD_MAGIC)
		return COMPRESS_ZSTD;
	if (str_starts(stored, STR(LZ4_MAGIC)))
		return COMPRESS_LZ4;
	if (str_starts(stored, STR("\x1f\x8b\x08")))
		return COMPRESS_GZ;
	return is_bz2(stored) ? COMPRESS_BZ2 : COMPRESS_NONE;
}

static enum err damaged(struct op *op, const char *method)
{
	return op_fail(op, ERR_CORRUPT, "%s object is damaged, cut short or followed by something",
		method);
}

static enum err too_large(struct op *op, size_t max)
{
	return op_fail(op, ERR_LIMIT, "compressed object has more than %zu bytes", max);
}

/* Room for more content: at most one byte above the limit, which tells that there is more. */
static size_t room_for_more(const struct buf *out, size_t before, size_t max)
{
	size_t got = out->n - before;
	return MIN(MAX(got, STEP), max - got + 1);
}

/* ---- zstd ---- */

static enum err read_zstd(struct op *op, struct str stored, size_t max, struct buf *out)
{
	size_t size;
	TRY(compress_frame_size(op, stored, &size));
	if (size > max)
		return too_large(op, max);
	ZSTD_DCtx *dctx = ZSTD_createDCtx();
	ASSERT(dctx);
	char *bytes = buf_reserve(out, MAX(size, 1));
	enum err e = compress_frame_read(op, dctx, stored, bytes, size);
	if (e == ERR_NONE)
		buf_grew(out, size);
	ZSTD_freeDCtx(dctx);
	return e;
}

static void write_zstd(int level, const struct str *parts, size_t count, struct buf *out)
{
	size_t size = 0;
	for (size_t i = 0; i < count; i++)
		size += parts[i].n;
	ZSTD_CCtx *cctx = ZSTD_createCCtx();
	ASSERT(cctx);
	char *room = buf_reserve(out, compress_frame_room(size));
	buf_grew(out, compress_frame_write(cctx, level, parts, count, size, room));
	ZSTD_freeCCtx(cctx);
}

/* ---- gzip ---- */

static enum err read_gz(struct op *op, struct str stored, size_t max, struct buf *out)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)stored.p, .avail_in = (uInt)stored.n };
	size_t before = out->n;
	enum err e = ERR_NONE;
	int r = inflateInit2(&z, 15 + 16);
	ASSERT(r == Z_OK && stored.n <= UINT32_MAX);
	while (e == ERR_NONE) {
		size_t room = room_for_more(out, before, max);
		z.next_out = (Bytef *)buf_reserve(out, room);
		z.avail_out = (uInt)room;
		r = inflate(&z, Z_NO_FLUSH);
		buf_grew(out, room - z.avail_out);
		if (out->n - before > max)
			e = too_large(op, max);
		else if (r == Z_STREAM_END && z.avail_in == 0)
			break;
		else if (r == Z_STREAM_END) /* members may follow each other */
			r = inflateReset(&z);
		else if (r != Z_OK)
			e = damaged(op, "gzip");
	}
	(void)inflateEnd(&z); /* cannot fail: it was started */
	return e;
}

static void write_gz(int level, const struct str *parts, size_t count, struct buf *out)
{
	z_stream z = { 0 };
	int r = deflateInit2(&z, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
	ASSERT(r == Z_OK);
	for (size_t i = 0; i <= count; i++) {
		z.next_in = i < count ? (Bytef *)(uintptr_t)parts[i].p : NULL;
		z.avail_in = i < count ? (uInt)parts[i].n : 0;
		do {
			z.next_out = (Bytef *)buf_reserve(out, STEP);
			z.avail_out = (uInt)STEP;
			r = deflate(&z, i < count ? Z_NO_FLUSH : Z_FINISH);
			ASSERT(r != Z_STREAM_ERROR);
			buf_grew(out, STEP - z.avail_out);
		} while (z.avail_out == 0 || (i == count && r != Z_STREAM_END));
	}
	(void)deflateEnd(&z);
}

/* ---- bzip2 ---- */

static enum err read_bz2(struct op *op, struct str stored, size_t max, struct buf *out)
{
	bz_stream z = { .next_in = (char *)(uintptr_t)stored.p, .avail_in = (unsigned)stored.n };
	size_t before = out->n;
	enum err e = ERR_NONE;
	int r = BZ2_bzDecompressInit(&z, 0, 0);
	ASSERT(r == BZ_OK);
	while (e == ERR_NONE) {
		size_t room = room_for_more(out, before, max);
		z.next_out = buf_reserve(out, room);
		z.avail_out = (unsigned)room;
		r = BZ2_bzDecompress(&z);
		buf_grew(out, room - z.avail_out);
		bool is_stuck = r == BZ_OK && z.avail_in == 0 && z.avail_out > 0;
		if (out->n - before > max)
			e = too_large(op, max);
		else if (r == BZ_STREAM_END && z.avail_in == 0)
			break;
		else if (r != BZ_OK || is_stuck) /* one stream alone: we write no others */
			e = damaged(op, "bzip2");
	}
	(void)BZ2_bzDecompressEnd(&z);
	return e;
}

static void write_bz2(int level, const struct str *parts, size_t count, struct buf *out)
{
	bz_stream z = { 0 };
	int r = BZ2_bzCompressInit(&z, level, 0, 0);
	ASSERT(r == BZ_OK);
	for (size_t i = 0; i <= count; i++) {
		z.next_in = i < count ? (char *)(uintptr_t)parts[i].p : NULL;
		z.avail_in = i < count ? (unsigned)parts[i].n : 0;
		if (i < count && z.avail_in == 0)
			continue; /* it calls that an error */
		do {
			z.next_out = buf_reserve(out, STEP);
			z.avail_out = (unsigned)STEP;
			r = BZ2_bzCompress(&z, i < count ? BZ_RUN : BZ_FINISH);
			ASSERT(r >= 0);
			buf_grew(out, STEP - z.avail_out);
		} while (i < count ? z.avail_in > 0 : r != BZ_STREAM_END);
	}
	(void)BZ2_bzCompressEnd(&z);
}

/* ---- lz4: blocks with their lengths in front ---- */

static enum err read_lz4(struct op *op, struct str stored, size_t max, struct buf *out)
{
	size_t before = out->n;
	if (stored.n < sizeof(LZ4_MAGIC) - 1 + 4)
		return damaged(op, "lz4");
	(void)str_take(&stored, sizeof(LZ4_MAGIC) - 1);
	size_t chunk = get_be32(str_take(&stored, 4).p);
	if (chunk == 0 || chunk > LZ4_CHUNK_MAX)
		return damaged(op, "lz4");
	while (stored.n) {
		if (stored.n < 4)
			return damaged(op, "lz4");
		size_t n = get_be32(str_take(&stored, 4).p);
		if (n == 0 || n > stored.n || n > (size_t)LZ4_compressBound((int)chunk))
			return damaged(op, "lz4");
		char *to = buf_reserve(out, chunk);
		int got = LZ4_decompress_safe(str_take(&stored, n).p, to, (int)n, (int)chunk);
		if (got < 0)
			return damaged(op, "lz4");
		buf_grew(out, (size_t)got);
		if (out->n - before > max)
			return too_large(op, max);
	}
	return ERR_NONE;
}

static void lz4_chunk(struct str chunk, struct buf *out)
{
	int room = LZ4_compressBound((int)chunk.n);
	char *to = buf_reserve(out, 4 + (size_t)room);
	int n = LZ4_compress_default(chunk.p, to + 4, (int)chunk.n, room);
	ASSERT(n > 0);
	put_le32(to, __builtin_bswap32((uint32_t)n));
	buf_grew(out, 4 + (size_t)n);
}

static void write_lz4(const struct str *parts, size_t count, struct buf *out)
{
	char head[4];
	struct buf chunk;
	buf_init(&chunk, 0);
	put_le32(head, __builtin_bswap32((uint32_t)LZ4_CHUNK));
	buf_put(out, STR(LZ4_MAGIC));
	buf_put(out, (struct str){ head, sizeof(head) });
	for (size_t i = 0; i < count; i++) {
		for (struct str rest = parts[i]; rest.n;) {
			buf_put(&chunk, str_take(&rest, LZ4_CHUNK - chunk.n));
			if (chunk.n == LZ4_CHUNK) {
				lz4_chunk(buf_str(&chunk), out);
				buf_clear(&chunk);
			}
		}
	}
	if (chunk.n)
		lz4_chunk(buf_str(&chunk), out);
	buf_done(&chunk);
}

/* ---- all ---- */

enum err compress_read(
	struct op *op, enum compress_method m, struct str stored, size_t max, struct buf *out)
{
	switch (m) {
	case COMPRESS_ZSTD:
		return read_zstd(op, stored, max, out);
	case COMPRESS_LZ4:
		return read_lz4(op, stored, max, out);
	case COMPRESS_GZ:
		return read_gz(op, stored, max, out);
	case COMPRESS_BZ2:
		return read_bz2(op, stored, max, out);
	case COMPRESS_NONE:
		break;
	}
	UNREACHABLE();
}

void compress_write(
	enum compress_method m, int level, const struct str *parts, size_t count, struct buf *out)
{
	switch (m) {
	case COMPRESS_ZSTD:
		write_zstd(level, parts, count, out);
		return;
	case COMPRESS_LZ4:
		write_lz4(parts, count, out);
		return;
	case COMPRESS_GZ:
		write_gz(level, parts, count, out);
		return;
	case COMPRESS_BZ2:
		write_bz2(level, parts, count, out);
		return;
	case COMPRESS_NONE:
		break;
	}
	UNREACHABLE();
}
