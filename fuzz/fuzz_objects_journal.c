/* SPDX-License-Identifier: Apache-2.0 */
/* Journals of objects: any bytes are read as the groups at their beginning. Bytes without a right
 * checksum get one, so that records are reached. */
#include "objects/posix_journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_groups(struct str rest)
{
	uint64_t epoch;
	struct str records;
	struct journal_record r;
	while (journal_group_cut(&rest, &epoch, &records)) {
		while (records.n > 0) {
			struct str before = records;
			if (!journal_record_cut(&records, &r))
				break;
			AUTO_BUF(again, 0);
			if (r.body.n > JOURNAL_BODY_MAX)
				continue;
			journal_record_encode(&again, &r);
			ASSERT(again.n == before.n - records.n);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };
	char head[JOURNAL_GROUP_BYTES];
	struct str rest = in;
	if (journal_header_cut(&rest) == ERR_NONE)
		read_groups(rest);
	AUTO_BUF(group, 0);
	journal_group_encode(head, 1, in);
	buf_put(&group, (struct str){ head, sizeof(head) });
	buf_put(&group, in);
	read_groups(buf_str(&group));
	return 0;
}
