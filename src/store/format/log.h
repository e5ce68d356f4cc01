/* SPDX-License-Identifier: Apache-2.0 */
/* store/format/log.h - a mailbox's local log: what happened since its snapshot (docs/formats/local.md).
 *
 * A header, then records that are only ever appended, each with length and checksum. A crash may
 * leave a torn record at the end: reading stops there and the file is cut. Records are facts that
 * the catalog has already (rows), except flag changes that still wait for their journal row.
 * The checksum covers the log's serial, so that old bytes never pass for new ones. */
#pragma once

#include "base/base.h"
#include "catalog/catalog.h"
#include "store/format/name.h"

#define LOG_VERSION      1
#define LOG_HEADER_BYTES 96
#define LOG_RECORD_MAX   (64u << 20)

enum log_type {
	LOG_ROW = 1,        /* a journal row, an append without its summary */
	LOG_PENDING = 2,    /* the value of a flags row that is not in the catalog yet */
	LOG_JOURNALLED = 3, /* number: so many of this file's LOG_PENDING are in the catalog now */
	LOG_RECENT = 4,     /* number: mails up to this UID were claimed as recent */
	LOG_SUMMARY = 5,    /* where the summary of a mail is in the summary file */
	LOG_CLEAN = 6,      /* the mailbox was closed here: equal to its closed head */
	LOG_WRITER = 7,     /* number: whose open head is durable; what follows is his */
	LOG_SEEN = 8, /* number: wall time in ms when the rows of other writers were looked for */
};
struct log_record {
	enum log_type type;
	struct catalog_row row; /* LOG_ROW */
	struct str value;       /* LOG_PENDING */
	uint64_t number;        /* LOG_JOURNALLED, _RECENT, _WRITER, _SEEN; LOG_CLEAN: modseq */
	uint32_t uid;           /* LOG_SUMMARY; LOG_CLEAN: next_uid */
	uint64_t offset;        /* LOG_SUMMARY */
	uint32_t length;
	struct catalog_name cover; /* LOG_CLEAN */
	uint32_t writer;           /* LOG_CLEAN: of the closed head; 0: not known */
};
struct log_header {
	struct catalog_guid mailbox;
	uint8_t boot_id[16];      /* of the kernel that ran when it was begun */
	uint32_t serial;          /* random */
	struct catalog_name base; /* cover of the snapshot that it continues; zero: of none */
};

void log_header_encode(struct buf *out, const struct log_header *header);
/* Takes the header off the front. ERR_CORRUPT, ERR_UNSUPPORTED. */
enum err log_header_cut(struct str *rest, struct log_header *out);
void log_record_encode(struct buf *out, uint32_t serial, const struct log_record *record);
/* Takes the next record off the front; false at the end or at the first bad byte (untouched). */
bool log_record_cut(struct str *rest, uint32_t serial, struct log_record *out);
