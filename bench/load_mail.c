/* SPDX-License-Identifier: Apache-2.0 */
/* Mails as an office gets them, made from a fixed seed, so that runs are comparable. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

#define MAIL_SIZE_MIN 900
#define MAIL_SIZE_MAX 2000000
#define HEADER_MAX    1024
#define LINE_BYTES    76

struct load_mail *load_mails;

/* Chosen so that the sizes of LOAD_MAILS mails have median 23.8 kB, mean 44.2 kB, max above 1.5 MB. */
static uint64_t random_state = 0x9e3779b97f4a7c15ULL * 289;

static uint64_t random_u64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Between 0 and 1, never 0. */
static double random_unit(void)
{
	return ((double)(random_u64() >> 11) + 1) / 9007199254740993.0;
}

/* Log-normal: median 23 kB, mean about 44 kB. */
static size_t realistic_size(void)
{
	double normal = sqrt(-2 * log(random_unit())) * cos(2 * M_PI * random_unit());
	double size = exp(10.04 + 1.14 * normal);
	if (size < MAIL_SIZE_MIN)
		return MAIL_SIZE_MIN;
	return size > MAIL_SIZE_MAX ? MAIL_SIZE_MAX : (size_t)size;
}

static size_t put_header(char *out, unsigned number, bool has_attachment)
{
	int n = snprintf(out, HEADER_MAX,
		"Received: from mx.example.org by relay.example.org with ESMTPS id %08x;\r\n"
		"\tTue, 04 Mar 2025 10:20:30 +0100\r\n"
		"From: \"Sender %u\" <sender%u@example.org>\r\n"
		"To: Reader <reader@example.test>\r\n"
		"Subject: Report number %u of the quarter\r\n"
		"Date: Tue, 04 Mar 2025 10:20:30 +0100\r\n"
		"Message-ID: <load.%u.%08x@example.org>\r\n"
		"MIME-Version: 1.0\r\n"
		"%s\r\n",
		number * 2654435761U, number, number, number, number, number * 40503U,
		has_attachment ? "Content-Type: multipart/mixed; boundary=\"=_load\"\r\n"
			       : "Content-Type: text/plain; charset=utf-8\r\n");
	return (size_t)n;
}

/* Lines of words, or of base64; `room` bytes, rounded down to whole lines. */
static size_t put_lines(char *out, size_t room, bool is_base64)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t n = 0;
	while (n + LINE_BYTES + 2 <= room) {
		for (unsigned i = 0; i < LINE_BYTES; i++) {
			uint64_t r = random_u64();
			bool is_space = !is_base64 && i > 0 && i < LINE_BYTES - 1 && r % 6 == 0;
			out[n++] = is_space    ? ' '
				   : is_base64 ? letters[r >> 8 & 63]
					       : (char)('a' + (r >> 8) % 26);
		}
		memcpy(out + n, "\r\n", 2);
		n += 2;
	}
	return n;
}

static size_t put_text(char *out, const char *text)
{
	size_t n = strlen(text);
	memcpy(out, text, n);
	return n;
}

static void make_mail(struct load_mail *m, unsigned number, size_t size)
{
	bool has_attachment = number % 5 == 0 && size > 4096;
	m->bytes = malloc(size + 2 * HEADER_MAX);
	if (!m->bytes)
		abort();
	m->n = put_header(m->bytes, number, has_attachment);
	size_t room = size > m->n ? size - m->n : 0;
	if (has_attachment) {
		m->n += put_text(m->bytes + m->n, "--=_load\r\nContent-Type: text/plain\r\n\r\n");
		m->n += put_lines(m->bytes + m->n, 1500, false);
		m->n += put_text(m->bytes + m->n,
			"--=_load\r\nContent-Type: application/pdf; name=report.pdf\r\n"
			"Content-Transfer-Encoding: base64\r\n\r\n");
		m->n += put_lines(m->bytes + m->n, room - 1700, true);
		m->n += put_text(m->bytes + m->n, "--=_load--\r\n");
	} else {
		m->n += put_lines(m->bytes + m->n, room, false);
		m->n += put_text(m->bytes + m->n, "Regards\r\n");
	}
	memcpy(m->bytes + m->n, LOAD_MAIL_END, LOAD_MAIL_END_BYTES);
}

struct load_mail *load_mails_new(unsigned count, size_t size)
{
	struct load_mail *mails = calloc(count, sizeof *mails);
	if (!mails)
		abort();
	for (unsigned i = 0; i < count; i++)
		mails[i].n = size ? size : realistic_size();
	for (unsigned i = 0; i < count; i++)
		make_mail(&mails[i], i + 1, mails[i].n);
	return mails;
}
