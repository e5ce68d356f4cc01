/* SPDX-License-Identifier: Apache-2.0 */
/* objects/xml.c - XML with limits, over expat.
 *
 * Each open element has a text of its own, so that what stands behind a nested element still belongs to
 * the outer one. */
#include "objects/xml.h"

#include <expat.h>

struct xml_level {
	size_t path_bytes; /* of xml_reader.path, before this element */
	struct buf text;   /* owned */
};

struct xml_reader {
	XML_Parser parser;
	struct op *op;
	xml_element_fn *fn;
	void *arg;
	enum err result;
	struct buf path;
	struct xml_level levels[XML_DEPTH_MAX];
	size_t depth;
};

static void stop(struct xml_reader *r, enum err e)
{
	if (r->result == ERR_NONE)
		r->result = e;
	(void)XML_StopParser(r->parser, XML_FALSE); /* fails only when it has stopped already */
}

static void refuse(struct xml_reader *r, const char *why)
{
	stop(r, op_fail(r->op, ERR_CORRUPT, "XML answer refused at line %lu: %s",
			(unsigned long)XML_GetCurrentLineNumber(r->parser), why));
}

static void on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	struct xml_reader *r = arg;
	(void)attributes;
	if (r->result != ERR_NONE)
		return;
	if (r->depth == XML_DEPTH_MAX) {
		refuse(r, "nested too deeply");
		return;
	}
	struct xml_level *level = &r->levels[r->depth++];
	level->path_bytes = r->path.n;
	buf_init(&level->text, XML_TEXT_MAX);
	if ((r->path.n && buf_add_byte(&r->path, '/') != ERR_NONE) ||
		buf_add(&r->path, str_from(name)) != ERR_NONE)
		refuse(r, "names too long");
}

static void on_text(void *arg, const XML_Char *text, int n)
{
	struct xml_reader *r = arg;
	if (r->result != ERR_NONE || r->depth == 0)
		return;
	if (buf_add(&r->levels[r->depth - 1].text, (struct str){ text, (size_t)n }) != ERR_NONE)
		refuse(r, "text too long");
}

static void on_end(void *arg, const XML_Char *name)
{
	struct xml_reader *r = arg;
	(void)name;
	if (r->result != ERR_NONE || r->depth == 0)
		return;
	struct xml_level *level = &r->levels[r->depth - 1];
	enum err e = r->fn(r->op, buf_str(&r->path), buf_str(&level->text), r->arg);
	if (e != ERR_NONE) {
		stop(r, e);
		return;
	}
	buf_truncate(&r->path, level->path_bytes);
	buf_done(&level->text);
	r->depth--;
}

static void on_doctype(void *arg, const XML_Char *name, const XML_Char *system_id,
	const XML_Char *public_id, int has_internal_subset)
{
	(void)name;
	(void)system_id;
	(void)public_id;
	(void)has_internal_subset;
	refuse(arg, "it has a document type");
}

enum err xml_read(struct op *op, struct str document, xml_element_fn *fn, void *arg)
{
	if (document.n > XML_DOCUMENT_MAX)
		return op_fail(op, ERR_CORRUPT, "XML answer of %zu bytes is too long", document.n);
	struct xml_reader r = { .op = op, .fn = fn, .arg = arg };
	buf_init(&r.path, XML_PATH_MAX);
	r.parser = XML_ParserCreate(NULL);
	ASSERT(r.parser != NULL);
	XML_SetUserData(r.parser, &r);
	XML_SetElementHandler(r.parser, on_start, on_end);
	XML_SetCharacterDataHandler(r.parser, on_text);
	XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
	enum XML_Status status = XML_Parse(r.parser, document.p, (int)document.n, XML_TRUE);
	if (status != XML_STATUS_OK && r.result == ERR_NONE)
		r.result = op_fail(op, ERR_CORRUPT, "XML answer is malformed at line %lu: %s",
			(unsigned long)XML_GetCurrentLineNumber(r.parser),
			XML_ErrorString(XML_GetErrorCode(r.parser)));
	for (size_t i = 0; i < r.depth; i++)
		buf_done(&r.levels[i].text);
	buf_done(&r.path);
	XML_ParserFree(r.parser);
	return r.result;
}

void xml_put_text(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		switch (text.p[i]) {
		case '<':
			buf_put(out, STR("&lt;"));
			break;
		case '>':
			buf_put(out, STR("&gt;"));
			break;
		case '&':
			buf_put(out, STR("&amp;"));
			break;
		case '"':
			buf_put(out, STR("&quot;"));
			break;
		case '\'':
			buf_put(out, STR("&apos;"));
			break;
		default:
			buf_put_byte(out, text.p[i]);
		}
	}
}
