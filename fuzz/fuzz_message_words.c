/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_message_words.c - any bytes as a header text with encoded words: what comes out is UTF-8 without
 * control characters, within its limit; and any charset name, with any bytes in it. */
#include "base/unicode.h"
#include "message/charset.h"
#include "message/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void words_check(struct str in, size_t limit)
{
	struct buf out;

	buf_init(&out, limit);
	message_words_decode(&out, in);
	ASSERT(utf8_is_valid(buf_str(&out)) && (limit == 0 || out.n <= limit));
	for (size_t i = 0; i < out.n; i++)
		ASSERT((uint8_t)out.p[i] >= ' ' && out.p[i] != 0x7f);
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size }, rest = in, charset;
	AUTO_BUF(out, 0);

	words_check(in, 0);
	words_check(in, 10);
	if (str_cut(&rest, '?', &charset) && charset_to_utf8(charset, rest, &out))
		ASSERT(utf8_is_valid(buf_str(&out)));
	return 0;
}
