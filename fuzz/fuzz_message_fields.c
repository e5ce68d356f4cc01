/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_message_fields.c - any bytes as the value of a structured header field, and as a section. */
#include "base/base.h"
#include "message/date.h"
#include "message/header.h"
#include "message/message.h"
#include "message/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void sections_check(struct str in)
{
	struct str mail = STR("Content-Type: message/rfc822\n\nContent-Type: multipart/x; "
			      "boundary=b\n\n--b\n\none\n--b\n\ntwo\n");
	struct message_tree tree;
	struct message_span span;
	AUTO_ARENA(a, 0);

	message_parse(&a, mail, &tree);
	if (message_section_find(&tree, in, &span) == ERR_NONE)
		ASSERT(span.offset + span.size <= mail.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };
	struct message_params params;
	struct message_date date;
	struct str names[] = { STR("to"), STR("x") };
	AUTO_ARENA(a, 0);
	AUTO_BUF(out, 0);

	sections_check(in);
	message_params_parse(&a, in, &params);
	ASSERT(params.count <= MESSAGE_PARAMS_MAX);
	if (message_date_parse(in, &date))
		ASSERT(date.month >= 1 && date.month <= 12 && date.day >= 1 && date.day <= 31);
	message_header_subset(&out, in, names, ARRAY_COUNT(names), true, &a);
	return 0;
}
