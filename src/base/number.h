/* SPDX-License-Identifier: Apache-2.0 */
/* base/number.h - numbers from text and to bytes.
 *
 * Parsing takes digits alone: no signs, no blanks, no overflow; false instead. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* The whole string is a number. */
bool number_parse_u64(struct str s, uint64_t *out);
bool number_parse_u32(struct str s, uint32_t *out);
bool number_parse_octal(struct str s, uint32_t *out);
bool number_parse_hex_u64(struct str s, uint64_t *out);
/* Takes the digits at the front of *rest; false (untouched) if there is none or they overflow. */
bool number_cut_u64(struct str *rest, uint64_t *out);
bool number_cut_u32(struct str *rest, uint32_t *out);

/* Unaligned little-endian (formats on disk) and big-endian (names that sort). */
static inline uint16_t get_le16(const void *p)
{
	const uint8_t *b = p;
	return (uint16_t)(b[0] | b[1] << 8);
}
static inline uint32_t get_le32(const void *p)
{
	const uint8_t *b = p;
	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static inline uint64_t get_le64(const void *p)
{
	const uint8_t *b = p;
	return (uint64_t)get_le32(b) | (uint64_t)get_le32(b + 4) << 32;
}
static inline void put_le16(void *p, uint16_t v)
{
	uint8_t *b = p;
	b[0] = (uint8_t)v;
	b[1] = (uint8_t)(v >> 8);
}
static inline void put_le32(void *p, uint32_t v)
{
	uint8_t *b = p;
	for (int i = 0; i < 4; i++)
		b[i] = (uint8_t)(v >> (8 * i));
}
static inline void put_le64(void *p, uint64_t v)
{
	uint8_t *b = p;
	for (int i = 0; i < 8; i++)
		b[i] = (uint8_t)(v >> (8 * i));
}
static inline uint64_t get_be64(const void *p)
{
	const uint8_t *b = p;
	uint64_t v = 0;
	for (int i = 0; i < 8; i++)
		v = v << 8 | b[i];
	return v;
}
static inline void put_be64(void *p, uint64_t v)
{
	uint8_t *b = p;
	for (int i = 0; i < 8; i++)
		b[i] = (uint8_t)(v >> (56 - 8 * i));
}

/* LEB128 varints, at most 10 bytes; only the shortest form is accepted. */
struct buf;
void number_put_varint(struct buf *b, uint64_t v);
bool number_cut_varint(struct str *rest, uint64_t *out);

/* Bytes with their count before them: two tuples never give the same bytes. */
void number_put_counted(struct buf *b, struct str bytes);
bool number_cut_counted(
	struct str *rest, struct str *out); /* false, and untouched, if it is not all there */
