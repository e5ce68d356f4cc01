/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_message.c - any bytes as a mail: the tree is well formed, its summary reads back the same,
 * and virtual sizes agree with what the CRLF reader gives out. */
#include "base/base.h"
#include "base/unicode.h"
#include "message/crlf.h"
#include "message/summary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXTS_MAX 16

static void span_check(struct str mail, const struct message_span *span)
{
	ASSERT(span->offset <= mail.n && span->size <= mail.n - span->offset);
	struct str bytes = message_span_bytes(mail, span);
	AUTO_BUF(out, 0);
	struct message_crlf reader;

	message_crlf_init(&reader, bytes, span->virtual_size);
	(void)message_crlf_read(&reader, &out, SIZE_MAX);
	ASSERT(out.n == span->virtual_size);
}

static void tree_check(struct str mail, const struct message_tree *tree)
{
	ASSERT(tree->count >= 1 && tree->count <= MESSAGE_PARTS_MAX);
	ASSERT(tree->parts[0].end == tree->count);
	ASSERT(tree->steps <= 100 + 4 * mail.n);
	for (uint32_t i = 0; i < tree->count; i++) {
		const struct message_part *part = &tree->parts[i];
		span_check(mail, &part->header);
		span_check(mail, &part->body);
		ASSERT(part->depth <= MESSAGE_DEPTH_MAX && part->end > i);
		ASSERT(part->kind != MESSAGE_EMBEDDED || part->child_count == 1);
		ASSERT(part->kind != MESSAGE_LEAF || part->child_count == 0);
	}
}

static void summary_check(struct arena *a, struct str mail, const struct message_tree *tree)
{
	struct message_summary summary;
	struct message_tree stored;
	AUTO_BUF(bytes, 0);

	message_summary_encode(&bytes, mail, tree);
	ASSERT(message_summary_decode(buf_str(&bytes), &summary) == ERR_NONE);
	ASSERT(message_summary_tree(a, &summary, &stored) == ERR_NONE);
	ASSERT(stored.count == tree->count);
	for (uint32_t i = 0; i < tree->count; i++) {
		const struct message_part *p = &stored.parts[i], *q = &tree->parts[i];
		ASSERT(p->parent == q->parent && p->end == q->end && p->kind == q->kind);
		ASSERT(memcmp(&p->header, &q->header, sizeof(p->header)) == 0);
		ASSERT(memcmp(&p->body, &q->body, sizeof(p->body)) == 0);
	}
}

/* Bodies decode to UTF-8, whatever encoding and charset they name. */
static void texts_check(struct str mail, const struct message_tree *tree)
{
	for (uint32_t i = 0; i < tree->count && i < TEXTS_MAX; i++) {
		AUTO_BUF(text, 0);
		if (message_part_text(mail, &tree->parts[i], &text) == ERR_NONE)
			ASSERT(utf8_is_valid(buf_str(&text)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str mail = { (const char *)data, size };
	struct message_tree tree;
	AUTO_ARENA(a, 0);

	message_parse(&a, mail, &tree);
	tree_check(mail, &tree);
	summary_check(&a, mail, &tree);
	texts_check(mail, &tree);
	return 0;
}
