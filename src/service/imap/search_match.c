/* SPDX-License-Identifier: Apache-2.0 */
/* Walks a search program for one mail.
 *
 * Each key's verdict is kept while the mail is at hand; a key whose facts are not there yet says MAYBE,
 * and the tree may be decided without it. Walking uses a fixed stack: the parser bounds the depth. */
#include "base/codec.h"
#include "message/header.h"
#include "message/words.h"
#include "service/imap/search_private.h"

#define SECONDS_PER_DAY 86400

static enum search_verdict verdict(bool is_match)
{
	return is_match ? SEARCH_YES : SEARCH_NO;
}

/* ---- life ---- */

static uint64_t keyword_bit(const struct search_frame *frame, struct str name)
{
	for (size_t i = 0; i < frame->keyword_count; i++) {
		if (str_eq_ci(frame->keywords[i], name))
			return UINT64_C(1) << i;
	}
	return 0;
}

static struct str fold_dup(struct arena *arena, struct str text)
{
	AUTO_BUF(folded, 0);
	search_fold(&folded, text);
	return buf_dup(arena, &folded);
}

/* Empty, which no mail has, for what is no id. */
static struct str id_bytes(struct arena *arena, struct str hex)
{
	AUTO_BUF(bytes, 0);
	return hex_decode(&bytes, hex) ? buf_dup(arena, &bytes) : STR("");
}

static void aid_init(struct search_aid *aid, struct arena *arena, const struct imap_search_key *key,
	const struct search_frame *frame)
{
	range_set_init(&aid->set);
	bool is_saved = key->set.is_saved_result;
	if (is_saved && key->kind == IMAP_SEARCH_SEQUENCE)
		range_set_add_set(&aid->set, frame->saved_seqs);
	else if (is_saved)
		range_set_add_set(&aid->set, frame->saved_uids);
	else if (key->kind == IMAP_SEARCH_SEQUENCE)
		imap_sequence_set_resolve(arena, &key->set, frame->exists, &aid->set);
	else if (key->kind == IMAP_SEARCH_UID)
		imap_sequence_set_resolve(arena, &key->set, frame->last_uid, &aid->set);
	else if (key->kind == IMAP_SEARCH_KEYWORD)
		aid->keyword = keyword_bit(frame, key->text);
	else if (key->kind == IMAP_SEARCH_EMAILID)
		aid->needle = id_bytes(arena, key->text);
	else if (key->kind == IMAP_SEARCH_HEADER || key->kind == IMAP_SEARCH_BODY ||
		 key->kind == IMAP_SEARCH_TEXT)
		aid->needle = fold_dup(arena, key->text);
}

void search_matcher_init(struct search_matcher *m, struct arena *arena,
	const struct imap_search *search, const struct search_frame *frame)
{
	*m = (struct search_matcher){
		.keys = search->keys,
		.count = search->key_count,
		.arena = arena,
		.aids = ARENA_NEW_ARRAY(arena, struct search_aid, search->key_count),
		.now_wall_us = frame->now_wall_us,
		.header_text = { .limit = SEARCH_TEXT_MAX },
		.body_text = { .limit = SEARCH_TEXT_MAX },
		.raw = { .limit = SEARCH_RAW_MAX },
		.folded = { .limit = SEARCH_TEXT_MAX },
	};
	for (size_t i = 0; i < m->count; i++)
		aid_init(&m->aids[i], arena, &m->keys[i], frame);
}

void search_matcher_done(struct search_matcher *m)
{
	for (size_t i = 0; i < m->count; i++)
		range_set_done(&m->aids[i].set);
	buf_done(&m->header_text);
	buf_done(&m->body_text);
	buf_done(&m->raw);
	buf_done(&m->folded);
}

void search_matcher_begin(struct search_matcher *m, const struct mail *mail)
{
	m->mail = mail;
	m->summary = NULL;
	m->has_body = m->has_tree = m->has_header_text = m->has_body_text = false;
	m->body = STR_NONE;
	for (size_t i = 0; i < m->count; i++)
		m->aids[i].known = SEARCH_MAYBE;
}

/* ---- dates ---- */

static int64_t day_of_second(int64_t wall_s)
{
	int64_t day = wall_s / SECONDS_PER_DAY;
	return wall_s % SECONDS_PER_DAY < 0 ? day - 1 : day;
}

/* In UTC, as FETCH shows INTERNALDATE. */
static int64_t received_day(const struct mail *mail)
{
	int64_t s = mail->received_wall_us / US_PER_SEC;
	return day_of_second(mail->received_wall_us % US_PER_SEC < 0 ? s - 1 : s);
}

static int64_t age_s(const struct search_matcher *m)
{
	return (m->now_wall_us - m->mail->received_wall_us) / US_PER_SEC;
}

/* The day as written in the mail, whatever its zone. A mail without a date matches nothing. */
static enum search_verdict judge_sent(
	const struct search_matcher *m, const struct imap_search_key *key)
{
	if (!m->summary)
		return SEARCH_MAYBE;
	if (!m->summary->has_sent_date)
		return SEARCH_NO;
	int64_t day = day_of_second(m->summary->sent_wall_s + 60 * m->summary->sent_zone_min);
	if (key->kind == IMAP_SEARCH_SENTBEFORE)
		return verdict(day < key->day);
	if (key->kind == IMAP_SEARCH_SENTON)
		return verdict(day == key->day);
	return verdict(day >= key->day);
}

/* ---- text ---- */

static const struct message_tree *tree_of(struct search_matcher *m)
{
	if (!m->has_tree && message_summary_tree(m->arena, m->summary, &m->tree) != ERR_NONE)
		message_parse(m->arena, m->body, &m->tree);
	m->has_tree = true;
	return &m->tree;
}

static void fold_field(struct search_matcher *m, struct str value, struct buf *out)
{
	buf_clear(&m->raw);
	message_words_decode(&m->raw, value);
	search_fold(out, buf_str(&m->raw));
}

static bool header_has(
	struct search_matcher *m, struct str header, struct str name, struct str needle)
{
	struct message_field field;
	while (message_field_next(&header, &field)) {
		if (!str_eq_ci(field.name, name))
			continue;
		buf_clear(&m->folded);
		fold_field(m, field.value, &m->folded);
		if (search_contains(buf_str(&m->folded), needle))
			return true;
	}
	return false;
}

static enum search_verdict judge_header(
	struct search_matcher *m, const struct imap_search_key *key, const struct search_aid *aid)
{
	if (!m->summary)
		return SEARCH_MAYBE;
	if (m->summary->has_fields && message_summary_keeps_field(key->field))
		return verdict(header_has(m, m->summary->fields, key->field, aid->needle));
	if (!m->has_body)
		return SEARCH_MAYBE;
	struct str header = message_span_bytes(m->body, &tree_of(m)->parts[0].header);
	return verdict(header_has(m, header, key->field, aid->needle));
}

/* All fields of all headers, those of parts and embedded mails too: "name: value" lines. */
static struct str header_text(struct search_matcher *m)
{
	const struct message_tree *tree = tree_of(m);
	struct message_field field;
	if (m->has_header_text)
		return buf_str(&m->header_text);
	buf_clear(&m->header_text);
	for (uint32_t i = 0; i < tree->count; i++) {
		struct str header = message_span_bytes(m->body, &tree->parts[i].header);
		while (message_field_next(&header, &field) && buf_room(&m->header_text) > 0) {
			search_fold(&m->header_text, field.name);
			search_fold(&m->header_text, STR(": "));
			fold_field(m, field.value, &m->header_text);
			search_fold(&m->header_text, STR("\n"));
		}
	}
	m->has_header_text = true;
	return buf_str(&m->header_text);
}

/* The text parts; a NUL after each, which no needle has, so that none matches across two. */
static struct str body_text(struct search_matcher *m)
{
	const struct message_tree *tree = tree_of(m);
	if (m->has_body_text)
		return buf_str(&m->body_text);
	buf_clear(&m->body_text);
	for (uint32_t i = 0; i < tree->count && buf_room(&m->body_text) > 0; i++) {
		const struct message_part *part = &tree->parts[i];
		if (!part->is_text || part->kind != MESSAGE_LEAF)
			continue;
		buf_clear(&m->raw);
		/* Of an unknown encoding: there is no text to search. */
		if (message_part_text(m->body, part, &m->raw) != ERR_NONE)
			continue;
		search_fold(&m->body_text, buf_str(&m->raw));
		search_fold(&m->body_text, (struct str){ "", 1 });
	}
	m->has_body_text = true;
	return buf_str(&m->body_text);
}

static enum search_verdict judge_text(
	struct search_matcher *m, const struct imap_search_key *key, const struct search_aid *aid)
{
	if (aid->needle.n == 0)
		return SEARCH_YES;
	if (!m->summary || !m->has_body)
		return SEARCH_MAYBE;
	return verdict(
		(key->kind == IMAP_SEARCH_TEXT && search_contains(header_text(m), aid->needle)) ||
		search_contains(body_text(m), aid->needle));
}

/* ---- keys ---- */

static enum search_verdict judge(
	struct search_matcher *m, const struct imap_search_key *key, const struct search_aid *aid)
{
	const struct mail *mail = m->mail;
	switch (key->kind) {
	case IMAP_SEARCH_SEQUENCE:
		return verdict(range_set_has(&aid->set, mail->seq));
	case IMAP_SEARCH_UID:
		return verdict(range_set_has(&aid->set, mail->uid));
	case IMAP_SEARCH_FLAGS:
		return verdict((mail->flags & key->flags_set) == key->flags_set &&
			       !(mail->flags & key->flags_unset));
	case IMAP_SEARCH_KEYWORD:
		return verdict(mail->keywords & aid->keyword);
	case IMAP_SEARCH_BEFORE:
		return verdict(received_day(mail) < key->day);
	case IMAP_SEARCH_ON:
		return verdict(received_day(mail) == key->day);
	case IMAP_SEARCH_SINCE:
		return verdict(received_day(mail) >= key->day);
	case IMAP_SEARCH_SENTBEFORE:
	case IMAP_SEARCH_SENTON:
	case IMAP_SEARCH_SENTSINCE:
		return judge_sent(m, key);
	case IMAP_SEARCH_LARGER:
		return verdict(mail->size_virtual > key->number);
	case IMAP_SEARCH_SMALLER:
		return verdict(mail->size_virtual < key->number);
	case IMAP_SEARCH_OLDER:
		return verdict(age_s(m) >= (int64_t)key->number);
	case IMAP_SEARCH_YOUNGER:
		return verdict(age_s(m) <= (int64_t)key->number);
	case IMAP_SEARCH_MODSEQ:
		return verdict(mail->modseq >= key->number);
	case IMAP_SEARCH_EMAILID:
		return verdict(str_eq(
			aid->needle, (struct str){ (const char *)mail->guid, sizeof(mail->guid) }));
	case IMAP_SEARCH_THREADID: /* no mail has one */
		return SEARCH_NO;
	case IMAP_SEARCH_HEADER:
		return judge_header(m, key, aid);
	case IMAP_SEARCH_BODY:
	case IMAP_SEARCH_TEXT:
		return judge_text(m, key, aid);
	case IMAP_SEARCH_ALL_OF:
	case IMAP_SEARCH_ANY_OF:
	case IMAP_SEARCH_NOT:
		break;
	}
	UNREACHABLE();
}

static enum search_verdict leaf(struct search_matcher *m, uint32_t at)
{
	struct search_aid *aid = &m->aids[at];
	if (aid->known == SEARCH_MAYBE)
		aid->known = judge(m, &m->keys[at], aid);
	return aid->known;
}

/* ---- the tree ---- */

static bool is_group(enum imap_search_kind kind)
{
	return kind == IMAP_SEARCH_ALL_OF || kind == IMAP_SEARCH_ANY_OF || kind == IMAP_SEARCH_NOT;
}

static enum search_verdict join(
	enum imap_search_kind kind, enum search_verdict so_far, enum search_verdict child)
{
	if (kind == IMAP_SEARCH_ALL_OF)
		return MIN(so_far, child);
	if (kind == IMAP_SEARCH_ANY_OF)
		return MAX(so_far, child);
	return (enum search_verdict)(SEARCH_YES - child);
}

static bool is_settled(enum imap_search_kind kind, enum search_verdict so_far)
{
	return (kind == IMAP_SEARCH_ALL_OF && so_far == SEARCH_NO) ||
	       (kind == IMAP_SEARCH_ANY_OF && so_far == SEARCH_YES);
}

enum search_verdict search_matcher_run(struct search_matcher *m)
{
	struct {
		uint32_t index;
		enum search_verdict value;
	} open[IMAP_SEARCH_DEPTH_MAX];
	size_t depth = 0;
	uint32_t at = 0;
	enum search_verdict value;
	for (;;) {
		const struct imap_search_key *key = &m->keys[at];
		if (is_group(key->kind) && key->end > at + 1) {
			ASSERT(depth < ARRAY_COUNT(open));
			open[depth].index = at++;
			open[depth++].value =
				key->kind == IMAP_SEARCH_ALL_OF ? SEARCH_YES : SEARCH_NO;
			continue;
		}
		/* A group without children is "everything". */
		value = is_group(key->kind) ? SEARCH_YES : leaf(m, at);
		at = key->end;
		while (depth > 0) {
			const struct imap_search_key *group = &m->keys[open[depth - 1].index];
			value = join(group->kind, open[depth - 1].value, value);
			open[depth - 1].value = value;
			if (at < group->end && !is_settled(group->kind, value))
				break; /* its next child */
			at = group->end;
			depth--;
		}
		if (depth == 0)
			return value;
	}
}
