/* SPDX-License-Identifier: Apache-2.0 */
/* Events as a tree of fields. A child adds to what its parents know; sending walks upwards, so that
 * creating and ending a session copies nothing. */
#include "event/event.h"

#include <stdio.h>

#include "base/codec.h"
#include "base/hash.h"
#include "base/random.h"
#include "event/event_private.h"

#define DEPTH_MAX     16
#define LINE_MAX_LEN  8192
#define FIELD_MAX_LEN 4096

struct event *event_new(struct event *parent, const char *category)
{
	struct event *e = MEM_NEW(struct event);
	e->refs = 1;
	e->category = category;
	e->created_us = now_us();
	e->parent = parent ? event_ref(parent) : NULL;
	return e;
}

struct event *event_ref(struct event *e)
{
	if (e)
		e->refs++;
	return e;
}

void event_unref(struct event *e)
{
	while (e && --e->refs == 0) {
		struct event *parent = e->parent;
		for (size_t i = 0; i < e->field_count; i++)
			mem_free(e->fields[i].text);
		mem_free(e->fields);
		mem_free(e->prefix);
		mem_free(e);
		e = parent;
	}
}

static struct event_field *field_for(struct event *e, const char *key)
{
	for (size_t i = 0; i < e->field_count; i++) {
		if (strcmp(e->fields[i].key, key) == 0) {
			mem_free(e->fields[i].text);
			e->fields[i].text = NULL;
			return &e->fields[i];
		}
	}
	if (e->field_count == e->field_cap) {
		e->field_cap = e->field_cap ? (uint16_t)(e->field_cap * 2) : 4;
		e->fields = mem_resize(e->fields, e->field_cap * sizeof(*e->fields));
	}
	struct event_field *f = &e->fields[e->field_count++];
	*f = (struct event_field){ .key = key };
	return f;
}

void event_set_str(struct event *e, const char *key, struct str value)
{
	if (!e)
		return;
	value.n = MIN(value.n, FIELD_MAX_LEN);
	struct event_field *f = field_for(e, key);
	f->is_number = false;
	f->text = mem_new(value.n + 1);
	f->text_bytes = value.n;
	if (value.n)
		memcpy(f->text, value.p, value.n);
}

void event_set_int(struct event *e, const char *key, int64_t value)
{
	if (!e)
		return;
	struct event_field *f = field_for(e, key);
	f->is_number = true;
	f->number = value;
}

void event_set_secret(struct event *e, const char *key, struct str value)
{
	char text[24];
	/* The hash is keyed with a secret of this process: equal values can be matched within one
	 * run, nothing can be tried against it later. */
	int n = snprintf(text, sizeof(text), "#%016" PRIx64, hash_bytes(value));
	event_set_str(e, key, (struct str){ text, (size_t)n });
}

void event_set_prefix(struct event *e, struct str prefix)
{
	if (!e)
		return;
	mem_free(e->prefix);
	e->prefix = str_new_z(prefix);
	e->prefix_bytes = prefix.n;
}

void event_set_debug(struct event *e, bool on)
{
	if (e)
		e->is_debug = on;
}

const struct event_field *event_field_find(const struct event *e, const char *key)
{
	for (; e; e = e->parent)
		for (size_t i = 0; i < e->field_count; i++)
			if (strcmp(e->fields[i].key, key) == 0)
				return &e->fields[i];
	return NULL;
}

bool event_get_str(const struct event *e, const char *key, struct str *out)
{
	const struct event_field *f = event_field_find(e, key);
	if (!f || f->is_number)
		return false;
	*out = (struct str){ f->text, f->text_bytes };
	return true;
}

bool event_is_debug_forced(const struct event *e)
{
	for (; e; e = e->parent)
		if (e->is_debug)
			return true;
	return false;
}

bool event_is_wanted(const struct event *e, enum event_level level)
{
	return event_log_takes(level) || (level == EVENT_DEBUG && event_log_has_debug_filter()) ||
	       event_is_debug_forced(e);
}

/* Prefixes from the root down to `e`. */
static void put_prefixes(struct buf *out, const struct event *e)
{
	const struct event *chain[DEPTH_MAX];
	size_t depth = 0;
	for (; e && depth < DEPTH_MAX; e = e->parent) {
		if (e->prefix)
			chain[depth++] = e;
	}
	while (depth > 0) {
		depth--;
		event_put_escaped(
			out, (struct str){ chain[depth]->prefix, chain[depth]->prefix_bytes });
	}
}

static void send_text(struct event_record *record, struct str text)
{
	AUTO_BUF(prefix, 0);
	AUTO_BUF(line, 0);
	put_prefixes(&prefix, record->event);
	event_put_escaped(&line, str_slice(text, 0, LINE_MAX_LEN));
	record->wall_us = now_wall_us();
	record->category = record->event ? record->event->category : "";
	record->prefix = buf_str(&prefix);
	record->text = buf_str(&line);
	event_log_dispatch(record);
}

void event_send_at(const char *file, int line, struct event *e, enum event_level level,
	const char *name, const char *fmt, ...)
{
	if (!event_is_wanted(e, level))
		return;
	AUTO_BUF(text, 0);
	va_list args;
	va_start(args, fmt);
	buf_vputf(&text, fmt, args);
	va_end(args);
	struct event_record record = {
		.level = level, .name = name, .event = e, .source_file = file, .source_line = line
	};
	send_text(&record, buf_str(&text));
}

void event_send_failure(struct event *e, enum event_level level, const char *name,
	const struct op *op, const char *while_doing)
{
	const struct op_failure *f = &op->failure;
	event_set_str(e, "error", str_from(f->text));
	event_set_str(e, "error_class", str_from(err_name(f->class)));
	event_send_at(f->file ? f->file : __FILE__, f->line, e, level, name, "%s: %s (%s, %s:%d)",
		while_doing, f->text, err_name(f->class), f->file ? f->file : "?", f->line);
}

void event_fields_walk(const struct event *e, event_field_fn *fn, void *arg)
{
	char number[24];
	const struct event *nearest = e;
	for (; e; e = e->parent) {
		for (size_t i = 0; i < e->field_count; i++) {
			const struct event_field *f = &e->fields[i];
			bool is_hidden = false; /* a nearer event has the same key */
			for (const struct event *n = nearest; n != e && !is_hidden; n = n->parent) {
				for (size_t k = 0; k < n->field_count; k++)
					is_hidden |= strcmp(n->fields[k].key, f->key) == 0;
			}
			if (is_hidden)
				continue;
			struct str value = { f->text, f->text_bytes };
			if (f->is_number) {
				int n = snprintf(number, sizeof(number), "%" PRId64, f->number);
				value = (struct str){ number, (size_t)n };
			}
			fn(f->key, value, f->is_number, arg);
		}
	}
}

struct str event_session_id(struct arena *a)
{
	/* 48 bits of microseconds order ids in time; 48 random bits tell hosts and processes apart.
	 */
	uint8_t raw[12];
	uint64_t us = (uint64_t)now_wall_us();
	for (int i = 0; i < 6; i++)
		raw[i] = (uint8_t)(us >> (40 - 8 * i));
	random_bytes(raw + 6, 6);
	AUTO_BUF(text, 0);
	base64_encode(&text, (struct str){ (const char *)raw, sizeof(raw) });
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '+')
			text.p[i] = '-';
		else if (text.p[i] == '/')
			text.p[i] = '_';
	}
	return buf_dup(a, &text);
}
