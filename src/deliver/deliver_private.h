/* SPDX-License-Identifier: Apache-2.0 */
/* deliver/deliver_private.h - the mail as one run of bytes, and what is told, for this folder alone. */
#pragma once

#include "deliver/deliver.h"
#include "event/event.h"

/* Smaller mails are read: that is cheaper than mapping them. */
#define DELIVER_MAP_BYTES_MIN (256 * 1024)

/* Head and mail, contiguous. */
struct deliver_mail {
	struct str message; /* borrowed from what follows */
	/* owned */
	void *memory; /* heap; NULL if it is mapped */
	void *mapping;
	size_t mapping_bytes;
};
/* WAITS for large mails that must be read. ERR_LIMIT: too large. ERR_UNAVAILABLE: the descriptor does
 * not hold what was promised. */
enum err deliver_mail_open(struct op *op, const struct delivery *d, struct deliver_mail *out);
void deliver_mail_close(struct deliver_mail *m);

/* From the beginning of a delivery to its line in the log. */
struct deliver_report {
	struct event *event; /* owned */
	/* borrowed */
	const struct delivery *d;
	struct arena *arena;
	struct str message, user;
	struct str outcome;
	int64_t started_us;
};
void deliver_report_begin(struct deliver_report *r, struct op *op, struct user *u,
	const struct delivery *d, struct str message);
/* Sends the line; `e` and op's failure, which stays, say how it went. */
void deliver_report_end(struct deliver_report *r, struct op *op, struct str format, enum err e,
	const struct delivery_result *result);
