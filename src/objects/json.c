/* SPDX-License-Identifier: Apache-2.0 */
/* objects/json.c - see json.h; over jansson, whose reader is recursive. */
#include "objects/json.h"

#include <jansson.h>

static bool is_shallow(struct str document)
{
	size_t brackets = 0;
	for (size_t i = 0; i < document.n; i++)
		brackets += document.p[i] == '[' || document.p[i] == '{';
	return brackets <= JSON_BRACKETS_MAX;
}

enum err json_texts_read(
	struct op *op, struct str document, const struct json_text *texts, size_t count)
{
	if (document.n > JSON_DOCUMENT_MAX || !is_shallow(document))
		return op_fail(op, ERR_CORRUPT, "JSON answer of %zu bytes is beyond the limits",
			document.n);
	json_error_t error;
	json_t *root = json_loadb(document.n ? document.p : "", document.n, 0, &error);
	if (!json_is_object(root)) {
		json_decref(root);
		return op_fail(op, ERR_CORRUPT, "the answer is no JSON object");
	}
	for (size_t i = 0; i < count; i++) {
		struct str name = texts[i].name;
		const json_t *value = json_object_get(root, str_dup_z(op->arena, name));
		if (json_is_string(value))
			*texts[i].out = str_dup(op->arena, (struct str){ json_string_value(value),
								   json_string_length(value) });
	}
	json_decref(root);
	return ERR_NONE;
}
