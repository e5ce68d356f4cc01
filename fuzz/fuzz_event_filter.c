/* SPDX-License-Identifier: Apache-2.0 */
/* Event filters: any text is compiled or refused, and what is compiled can be asked. */
#include "event/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ARENA(arena, 1 << 20);
	struct op op;
	struct event_filter *f;
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (event_filter_compile(&op, (struct str){ (const char *)data, size }, &f) != ERR_NONE)
		return 0;
	struct event *e = event_new(NULL, "mailbox");
	event_set_str(e, "a", STR("b*c"));
	event_set_int(e, "n", 5);
	event_set_str(e, "ip", STR("192.0.2.1"));
	struct event_facts facts = { .event = e, .name = "x_y_z", .source_file = "a/b.c" };
	bool first = event_filter_matches(f, &facts);
	facts = (struct event_facts){ .event = NULL };
	(void)event_filter_matches(f, &facts); /* only that it ends */
	facts = (struct event_facts){ .event = e, .name = "x_y_z", .source_file = "a/b.c" };
	ASSERT(first == event_filter_matches(f, &facts) || size > 8); /* "duration" grows */
	event_filter_free(f);
	event_unref(e);
	return 0;
}
