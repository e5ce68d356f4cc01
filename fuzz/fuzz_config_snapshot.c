/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_config_snapshot.c - snapshots of a configuration, as a child reads them: damaged ones are refused,
 * and one that is accepted can be asked. The schema's hash is put where it belongs, or none would pass. */
#include "base/base.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_BYTES_MAX 65536
#define HEAD_BYTES_MAX  64

/* Magic and hash: what a snapshot of this build begins with. */
static struct str head(struct op *op)
{
	static char bytes[HEAD_BYTES_MAX];
	static size_t n;
	struct config_problems problems;
	struct config *cfg;
	AUTO_BUF(out, 0);
	if (n == 0) {
		struct config_load_args args = { .text = STR("dovecot_config_version = 3.2.0\n"
							     "dovecot_storage_version = 3.2.0\n") };
		enum err e = config_load(op, &args, &problems, &cfg);
		ASSERT(e == ERR_NONE);
		config_write_snapshot(cfg, CONFIG_READER_ALL, &out);
		/* A line, then a varint: its last byte has no high bit. */
		while (out.p[n++] != '\n')
			continue;
		while ((uint8_t)out.p[n++] & 0x80)
			continue;
		ASSERT(n < sizeof(bytes));
		memcpy(bytes, out.p, n);
		config_unref(cfg);
	}
	return (struct str){ bytes, n };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *cfg;
	AUTO_ARENA(arena, 0);
	AUTO_BUF(bytes, 0);
	struct op op;
	if (size > INPUT_BYTES_MAX)
		return 0;
	op_init(&op, &arena, NULL, TIME_NEVER);
	buf_put(&bytes, head(&op));
	buf_put(&bytes, (struct str){ (const char *)data, size });
	if (config_read_snapshot(&op, buf_str(&bytes), &cfg) == ERR_NONE) {
		(void)config_str(config_scope(cfg, NULL), SET_ssl);
		config_unref(cfg);
	}
	return 0;
}
