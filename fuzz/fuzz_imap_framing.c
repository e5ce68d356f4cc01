/* SPDX-License-Identifier: Apache-2.0 */
/* Framing gives the same events however the stream is split. The first byte chooses sizes of the
 * pieces, the second limits and answers to literals. */
#include "base/base.h"
#include "wire/imap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct imap_limits tight = {
	.command_bytes = 64, .skip_bytes = 32, .arg_count = 12, .tag_bytes = 4, .depth = 3
};

struct reader {
	struct str stream;
	size_t start; /* of what was not dropped */
	size_t have;  /* end of what has arrived */
	const struct imap_limits *limits;
	unsigned answers;
	bool is_done;
	struct buf events;
};

static void note(struct reader *r, const char *event, size_t n)
{
	buf_putf(&r->events, "%s %zu at %zu\n", event, n, r->start);
}

static void answer_literal(struct reader *r, struct imap_frame *f)
{
	struct imap_literal literal = f->literal;
	buf_putf(&r->events, "literal %u%s%s%s\n", literal.size, literal.is_sync ? " sync" : "",
		literal.is_binary ? " binary" : "", literal.is_message ? " message" : "");
	bool is_refused = r->answers & 1;
	r->answers = r->answers >> 1 | (r->answers & 1) << 7;
	if (is_refused) {
		r->start += f->used;
		r->is_done = !imap_frame_refuse(f, r->limits);
	} else if (literal.is_message) {
		r->start = MIN(r->start + f->used + literal.size, r->stream.n);
		r->have = MAX(r->have, r->start);
		imap_frame_stream(f);
	} else {
		ASSERT(f->used + literal.size <= r->limits->command_bytes);
		imap_frame_accept(f);
	}
}

/* Feeds until the framing wants more. */
static void drain(struct reader *r, struct imap_frame *f)
{
	while (!r->is_done) {
		struct str buffered = str_slice(r->stream, r->start, r->have);
		enum imap_frame_result result = imap_frame_feed(f, r->limits, buffered);
		ASSERT(f->used <= buffered.n);
		switch (result) {
		case IMAP_FRAME_MORE:
			ASSERT(buffered.n <= r->limits->command_bytes);
			return;
		case IMAP_FRAME_SKIP:
			ASSERT(f->used > 0);
			r->start += f->used;
			break;
		case IMAP_FRAME_LITERAL:
			answer_literal(r, f);
			break;
		case IMAP_FRAME_COMPLETE:
			ASSERT(f->used > 0 && buffered.p[f->used - 1] == '\n');
			note(r, "complete", f->used);
			r->start += f->used;
			break;
		case IMAP_FRAME_ERROR:
			note(r, f->error, f->used);
			ASSERT(imap_frame_tag(r->limits, buffered).n > 0);
			r->start += f->used;
			break;
		case IMAP_FRAME_FATAL:
			buf_put(&r->events, STR("fatal\n")); /* somewhere in what is skipped */
			r->is_done = true;
			break;
		}
	}
}

static void run(struct reader *r, size_t piece)
{
	struct imap_frame f;
	imap_frame_init(&f);
	while (r->have < r->stream.n && !r->is_done) {
		r->have += MIN(piece, r->stream.n - r->have);
		drain(r, &f);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct reader whole = {
		.stream = { (const char *)data + 2, size - 2 },
		.limits = data[1] & 1 ? &tight : &imap_limits_user,
		.answers = data[1] >> 1,
	};
	struct reader split = whole;
	run(&whole, size);
	run(&split, 1 + data[0] % 16);
	ASSERT(str_eq(buf_str(&whole.events), buf_str(&split.events)));
	buf_done(&whole.events);
	buf_done(&split.events);
	return 0;
}
