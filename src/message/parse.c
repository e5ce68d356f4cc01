/* SPDX-License-Identifier: Apache-2.0 */
/* message/parse.c - one pass over the lines of a mail.
 *
 * State:  the open parts form a stack; the top one is in its header or in its body.
 *
 *           part_open ──> header ──(empty line)──> body ──(boundary of an ancestor, end)──> closed
 *                                        │
 *                                        └─(message/rfc822)──> part_open of the inner mail
 *
 * Invariants: (1) the bytes before `pos` are accounted for: `lines` LFs, `bare` of them without CR;
 *         (2) every open multipart with a usable boundary is in `buckets`, innermost first, so finding
 *         the part that a boundary line belongs to does not depend on the depth;
 *         (3) frames[i].part has depth i.
 * Spec:   RFC 2046 §5.1.1. A boundary line is "--boundary", maybe "--", maybe blanks. */
#include "message/parse_private.h"

#include "base/hash.h"

#define NO_FRAME     (-1)
#define BUCKET_COUNT 256
#define FRAMES_MAX   (MESSAGE_DEPTH_MAX + 1)
#define PARTS_FIRST  8

struct frame {
	uint32_t part;
	bool has_boundary;
	bool is_digest;
	char boundary[MESSAGE_BOUNDARY_MAX];
	size_t boundary_full; /* its length before it was cut to MESSAGE_BOUNDARY_MAX */
	unsigned bucket;
	int next_in_bucket; /* index of a frame further out, or NO_FRAME */
};

struct parser {
	struct arena *arena;
	struct message_tree *tree;
	struct str all;
	size_t pos; /* start of the current line */
	uint64_t lines;
	uint64_t bare;
	unsigned last_eol; /* bytes of the line end before pos */
	bool is_in_header;
	bool is_full; /* no more parts: boundaries are no longer looked at */
	uint32_t parts_cap;
	uint64_t headers_bytes;
	struct arena scratch;
	int depth; /* index of the top frame */
	int buckets[BUCKET_COUNT];
	struct frame frames[FRAMES_MAX];
};

/* A place in the mail with what was counted up to it. */
struct place {
	uint64_t pos, lines, bare;
};

static struct place place_here(const struct parser *p)
{
	return (struct place){ p->pos, p->lines, p->bare };
}

static void span_begin(struct message_span *span, struct place at)
{
	*span = (struct message_span){
		.offset = at.pos, .virtual_size = at.bare, .lines = at.lines
	};
}

static void span_end(struct message_span *span, struct place at)
{
	span->size = at.pos - span->offset;
	span->virtual_size = span->size + (at.bare - span->virtual_size);
	span->lines = at.lines - span->lines;
}

static struct message_part *part_top(struct parser *p)
{
	return &p->tree->parts[p->frames[p->depth].part];
}

static bool parts_grow(struct parser *p)
{
	struct message_tree *tree = p->tree;
	uint32_t cap = MIN(MAX(2 * p->parts_cap, PARTS_FIRST), MESSAGE_PARTS_MAX);
	size_t each = sizeof(struct message_part) + sizeof(struct message_content);

	if (cap == p->parts_cap || (tree->count > 0 && !arena_has_room(p->arena, cap * each + 64)))
		return false;
	tree->parts = arena_grow(p->arena, tree->parts, tree->count * sizeof(*tree->parts),
		cap * sizeof(*tree->parts));
	tree->contents = arena_grow(p->arena, tree->contents, tree->count * sizeof(*tree->contents),
		cap * sizeof(*tree->contents));
	p->parts_cap = cap;
	return true;
}

/* Opens a part at the current position, below the top frame. May not be called when full. */
static void part_open(struct parser *p)
{
	struct message_tree *tree = p->tree;
	uint32_t idx = tree->count++;
	struct message_part *part = &tree->parts[idx];

	*part = (struct message_part){ .parent = MESSAGE_NO_PART };
	if (p->depth >= 0) {
		part->parent = p->frames[p->depth].part;
		tree->parts[part->parent].child_count++;
	}
	p->depth++;
	part->depth = (uint32_t)p->depth;
	p->frames[p->depth].part = idx;
	p->frames[p->depth].has_boundary = false;
	p->frames[p->depth].is_digest = false;
	span_begin(&part->header, place_here(p));
	p->is_in_header = true;
	tree->steps++;
	if (tree->count == p->parts_cap && !parts_grow(p)) {
		p->is_full = true;
		tree->is_cut = true;
	}
}

static void boundary_forget(struct parser *p, struct frame *frame)
{
	if (!frame->has_boundary)
		return;
	/* Frames end in the reverse order of their start, so this one is the first of its bucket. */
	p->buckets[frame->bucket] = frame->next_in_bucket;
	frame->has_boundary = false;
}

static void boundary_remember(struct parser *p, struct str boundary)
{
	struct frame *frame = &p->frames[p->depth];

	if (boundary.n == 0)
		return;
	frame->boundary_full = boundary.n;
	boundary.n = MIN(boundary.n, MESSAGE_BOUNDARY_MAX);
	memcpy(frame->boundary, boundary.p, boundary.n);
	frame->bucket = (unsigned)(hash_bytes(boundary) % BUCKET_COUNT);
	frame->next_in_bucket = p->buckets[frame->bucket];
	frame->has_boundary = true;
	p->buckets[frame->bucket] = p->depth;
}

/* Ends the header of the top part at the current position and decides what its body is. */
static void header_finish(struct parser *p)
{
	struct message_part *part = part_top(p);
	struct message_content *content = &p->tree->contents[p->frames[p->depth].part];
	struct content_verdict verdict;
	struct arena_mark mark = arena_mark(&p->scratch);

	span_end(&part->header, place_here(p));
	span_begin(&part->body, place_here(p));
	p->is_in_header = false;
	bool is_digest = p->depth > 0 && p->frames[p->depth - 1].is_digest;
	content_parse(&p->scratch, message_span_bytes(p->all, &part->header), is_digest, content,
		&verdict);
	p->tree->steps += verdict.steps;
	p->headers_bytes += part->header.size;
	bool is_too_much = p->is_full || part->header.size >= MESSAGE_HEADER_MAX ||
			   p->headers_bytes >= MESSAGE_HEADERS_MAX;
	if (verdict.kind != MESSAGE_LEAF && (is_too_much || p->depth + 1 >= FRAMES_MAX)) {
		content_make_opaque(content);
		verdict.kind = MESSAGE_LEAF;
		p->tree->is_cut = true;
	}
	if (p->headers_bytes >= MESSAGE_HEADERS_MAX) {
		p->is_full = true;
		p->tree->is_cut = true;
	}
	part->kind = verdict.kind;
	part->encoding = verdict.encoding;
	part->is_text = verdict.is_text;
	if (verdict.kind == MESSAGE_MULTIPART) {
		p->frames[p->depth].is_digest = str_eq_ci(content->subtype, STR("digest"));
		boundary_remember(p, verdict.boundary);
	}
	arena_rewind(&p->scratch, mark);
}

static void header_end(struct parser *p)
{
	header_finish(p);
	/* Each round opens a part whose header has not been read yet, so there is only one. */
	if (part_top(p)->kind == MESSAGE_EMBEDDED)
		part_open(p);
}

/* Closes the frames above `keep`; their bodies end at `at`. */
static void parts_close(struct parser *p, int keep, struct place at)
{
	while (p->depth > keep) {
		/* A header without its empty line; an inner mail may begin and end here. */
		if (p->is_in_header)
			header_finish(p);
		struct message_part *part = part_top(p);
		if (part->kind == MESSAGE_EMBEDDED && part->child_count == 0) {
			part_open(p);
			continue;
		}
		/* The line end before the boundary may belong to the header of an empty body; then
		 * the ancestors that end here include it too, so that parts stay inside parents. */
		if (at.pos < part->body.offset)
			at = (struct place){ part->body.offset, part->body.lines,
				part->body.virtual_size };
		span_end(&part->body, at);
		part->end = p->tree->count;
		uint64_t end = part->body.offset + part->body.size;
		part->is_last_line_open = part->body.size > 0 && p->all.p[end - 1] != '\n';
		boundary_forget(p, &p->frames[p->depth]);
		p->depth--;
		p->tree->steps++;
	}
	p->is_in_header = false;
}

/* The innermost frame with the boundary `key`; is_long: one that was cut to its first 80 bytes. */
static int boundary_find(struct parser *p, struct str key, bool is_long)
{
	int at = p->buckets[hash_bytes(key) % BUCKET_COUNT];

	p->tree->steps++;
	for (; at != NO_FRAME; at = p->frames[at].next_in_bucket) {
		const struct frame *frame = &p->frames[at];
		bool frame_is_long = frame->boundary_full > MESSAGE_BOUNDARY_MAX;
		struct str own = { frame->boundary,
			MIN(frame->boundary_full, MESSAGE_BOUNDARY_MAX) };
		p->tree->steps++;
		if (frame_is_long == is_long && str_eq(own, key))
			break;
	}
	return at;
}

/* `line` without its line end begins with "--". Longest match first: "x--" may be a boundary. */
static int boundary_match(struct parser *p, struct str line, bool *is_last)
{
	struct str key = str_trim_right(line);
	int at = NO_FRAME;

	(void)str_take(&key, 2);
	*is_last = false;
	if (key.n == 0)
		return NO_FRAME;
	if (key.n <= MESSAGE_BOUNDARY_MAX)
		at = boundary_find(p, key, false);
	bool has_dashes = str_ends(key, STR("--"));
	if (at == NO_FRAME && has_dashes && key.n - 2 <= MESSAGE_BOUNDARY_MAX) {
		at = boundary_find(p, str_slice(key, 0, key.n - 2), false);
		*is_last = at != NO_FRAME;
	}
	if (at == NO_FRAME && key.n > MESSAGE_BOUNDARY_MAX) {
		at = boundary_find(p, str_slice(key, 0, MESSAGE_BOUNDARY_MAX), true);
		*is_last = at != NO_FRAME && has_dashes && key.n == p->frames[at].boundary_full + 2;
	}
	return at;
}

/* Moves over the line of `n` bytes at pos. */
static void line_pass(struct parser *p, size_t n)
{
	const char *end = p->all.p + p->pos + n;

	p->pos += n;
	p->last_eol = 0;
	if (n == 0 || end[-1] != '\n')
		return;
	bool has_cr = p->pos >= 2 && end[-2] == '\r';
	p->last_eol = has_cr ? 2 : 1;
	p->lines++;
	if (!has_cr)
		p->bare++;
}

/* A boundary line of the multipart in frame `at`, `n` bytes long, begins at pos. */
static void boundary_take(struct parser *p, int at, bool is_last, size_t n)
{
	struct place cut = place_here(p);

	if (p->last_eol > 0) {
		cut.pos -= p->last_eol;
		cut.lines--;
		cut.bare -= p->last_eol == 1;
	}
	parts_close(p, at, cut);
	line_pass(p, n);
	if (is_last)
		boundary_forget(p, &p->frames[at]);
	else if (!p->is_full)
		part_open(p);
}

/* How many bytes the header of the top part may still have. */
static uint64_t header_room(struct parser *p)
{
	uint64_t so_far = p->pos - part_top(p)->header.offset;
	uint64_t block = MESSAGE_HEADER_MAX - MIN(so_far, MESSAGE_HEADER_MAX);
	uint64_t all = MESSAGE_HEADERS_MAX - MIN(p->headers_bytes + so_far, MESSAGE_HEADERS_MAX);

	return MIN(block, all);
}

static void header_line_take(struct parser *p, size_t n)
{
	uint64_t room = header_room(p);

	if (n > room) {
		n = (size_t)room;
		/* A CRLF is never torn: both parts would count its LF as bare. */
		if (n > 0 && p->all.p[p->pos + n - 1] == '\r')
			n--;
		line_pass(p, n);
		header_end(p);
		return;
	}
	line_pass(p, n);
	if (n == p->last_eol)
		header_end(p);
}

static void line_take(struct parser *p)
{
	const char *line = p->all.p + p->pos;
	size_t left = p->all.n - p->pos;
	const char *lf = memchr(line, '\n', left);
	size_t n = lf ? (size_t)(lf - line) + 1 : left;

	p->tree->steps++;
	if (n > 2 && line[0] == '-' && line[1] == '-' && !p->is_full) {
		bool is_last;
		int at = boundary_match(p, (struct str){ line, n }, &is_last);
		if (at != NO_FRAME) {
			boundary_take(p, at, is_last, n);
			return;
		}
	}
	if (p->is_in_header)
		header_line_take(p, n);
	else
		line_pass(p, n);
}

void message_parse(struct arena *arena, struct str mail, struct message_tree *out)
{
	struct parser *p = MEM_NEW(struct parser);

	*out = (struct message_tree){ 0 };
	*p = (struct parser){ .arena = arena, .tree = out, .all = mail, .depth = NO_FRAME };
	arena_init(&p->scratch, 0);
	for (int i = 0; i < BUCKET_COUNT; i++)
		p->buckets[i] = NO_FRAME;
	ASSERT(parts_grow(p));
	part_open(p);
	while (p->pos < mail.n)
		line_take(p);
	parts_close(p, NO_FRAME, place_here(p));
	out->whole = (struct message_span){
		.size = mail.n, .virtual_size = mail.n + p->bare, .lines = p->lines
	};
	out->has_nul = str_has_nul(mail);
	arena_done(&p->scratch);
	mem_free(p);
}
