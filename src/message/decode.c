/* SPDX-License-Identifier: Apache-2.0 */
/* message/decode.c - bodies without their transfer encoding and charset.
 * The charset is read from the part's own header, so this works on a tree from a summary as well. */
#include "base/codec.h"
#include "message/charset.h"
#include "message/params.h"
#include "message/parse_private.h"

enum err message_part_decode(struct str mail, const struct message_part *part, struct buf *out)
{
	struct str body = message_span_bytes(mail, &part->body);

	if (body.n > buf_room(out))
		return ERR_LIMIT; /* no decoder makes more of it */
	switch (part->encoding) {
	case MESSAGE_ENCODING_IDENTITY:
		buf_put(out, body);
		return ERR_NONE;
	case MESSAGE_ENCODING_BASE64:
		base64_decode_body(out, body);
		return ERR_NONE;
	case MESSAGE_ENCODING_QUOTED_PRINTABLE:
		quoted_printable_decode(out, body);
		return ERR_NONE;
	case MESSAGE_ENCODING_UNKNOWN:
		break;
	}
	return ERR_UNSUPPORTED;
}

static struct str charset_find(struct arena *arena, struct str header)
{
	struct message_content content;
	struct content_verdict verdict;
	struct message_params params;
	struct str charset = STR_NONE;

	content_parse(arena, header, false, &content, &verdict);
	message_params_parse(arena, content.params, &params);
	(void)message_params_find(&params, STR("charset"), &charset);
	return charset;
}

enum err message_part_text(struct str mail, const struct message_part *part, struct buf *out)
{
	AUTO_ARENA(arena, 0);
	AUTO_BUF(bytes, 0);

	TRY(message_part_decode(mail, part, &bytes));
	struct str charset = charset_find(&arena, message_span_bytes(mail, &part->header));
	if (!charset_to_utf8(charset, buf_str(&bytes), out))
		(void)charset_to_utf8(STR_NONE, buf_str(&bytes), out);
	return ERR_NONE;
}
