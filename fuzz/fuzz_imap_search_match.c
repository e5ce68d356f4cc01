/* SPDX-License-Identifier: Apache-2.0 */
/* The first line is a search program, the rest a mail. Deciding step by step, with as little of the mail
 * as possible, must give what deciding with everything at hand gives. */
#include "service/imap/search_private.h"

#define PROGRAM_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct subject {
	struct mail mail;
	struct message_summary summary;
	struct str body;
};

static enum search_verdict decide(struct arena *arena, const struct imap_search *search,
	const struct subject *subject, bool is_stepwise)
{
	static struct range saved[] = { { 2, 4 }, { 7, 7 } };
	static const struct range_set saved_set = { .ranges = saved, .count = 2 };
	static const struct str keywords[] = { { "$Junk", 5 }, { "work", 4 } };
	const struct search_frame frame = {
		.exists = 9,
		.last_uid = 90,
		.keywords = keywords,
		.keyword_count = 2,
		.now_wall_us = INT64_C(1700000000) * US_PER_SEC,
		.saved_seqs = &saved_set,
		.saved_uids = &saved_set,
	};
	struct search_matcher m;
	search_matcher_init(&m, arena, search, &frame);
	search_matcher_begin(&m, &subject->mail);
	enum search_verdict v = is_stepwise ? search_matcher_run(&m) : SEARCH_MAYBE;
	if (v == SEARCH_MAYBE) {
		m.summary = &subject->summary;
		if (is_stepwise)
			v = search_matcher_run(&m);
	}
	if (v == SEARCH_MAYBE) {
		m.body = subject->body;
		m.has_body = true;
		v = search_matcher_run(&m);
	}
	ASSERT(v != SEARCH_MAYBE);
	search_matcher_done(&m);
	return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ARENA(arena, 256u << 20);
	AUTO_BUF(summary, 0);
	struct str program, mail = { (const char *)data, size };
	struct imap_cursor c;
	struct imap_search search;
	struct message_tree tree;
	struct subject subject = { .mail = {
					   .seq = 3,
					   .uid = 30,
					   .flags = MAIL_SEEN | MAIL_RECENT,
					   .keywords = 2,
					   .modseq = 7,
					   .received_wall_us = INT64_C(1699990000) * US_PER_SEC,
				   } };
	if (!str_cut(&mail, '\n', &program) || program.n > PROGRAM_MAX)
		return 0;
	imap_cursor_init(&c, &arena, str_printf(&arena, " %.*s", STRF(program)));
	if (imap_parse_search(&c, &search) != ERR_NONE)
		return 0;
	message_parse(&arena, mail, &tree);
	message_summary_encode(&summary, mail, &tree);
	enum err e = message_summary_decode(buf_str(&summary), &subject.summary);
	ASSERT(e == ERR_NONE);
	subject.mail.size_virtual = tree.whole.virtual_size;
	subject.body = mail;
	ASSERT(decide(&arena, &search, &subject, true) == decide(&arena, &search, &subject, false));
	return 0;
}
