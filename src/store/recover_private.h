/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of recover*.c: what the object store still knows of a user whose catalog is lost. */
#pragma once

#include "store/store_private.h"

#define RECOVERED_PREFIX "recovered-lost-folder-"
#define RECOVERED_MAILS  STR("recovered-lost-mails")
/* UIDs that may have been given behind a base: a client must not see another mail under one. */
#define RECOVERED_UID_GAP 10000

/* A mail object. */
struct recovered_mail {
	struct row_id oid;
	int64_t stored_wall_us;
	uint32_t refs; /* records of bases that name it */
	struct recovered_mail *next;
	struct meta_mail meta; /* of those without a record */
};
struct recovered_box {
	struct catalog_guid guid;
	struct str name, special_use; /* name empty: not known yet */
	uint32_t uid_validity;
	int64_t made_wall_us;                      /* of the base; 0: there is none */
	struct index *index;                       /* of the base; owned */
	struct recovered_mail *found, **found_end; /* newer than the base, oldest first */
	uint32_t found_count, lost_count, kept_count;
	uint32_t next_uid; /* afterwards */
	struct recovered_box *next;
};
/* A manifest or a segment of a base. */
struct recovered_file {
	struct catalog_guid guid;
	struct row_id id;
	int64_t stored_wall_us;
};
struct recovery {
	struct user *user;            /* held; of an audit: open */
	struct map mails;             /* oid bytes -> struct recovered_mail */
	struct recovered_mail **list; /* of the same */
	size_t mail_count, mail_cap;
	struct recovered_file *files;
	size_t file_count, file_cap;
	struct recovered_box *boxes;
	uint32_t damaged; /* base objects that could not be used */
};

/* The append row of a record, without its summary; keywords borrow the index. */
struct row_append recovery_row_of(const struct index *x, uint32_t at);
struct recovered_box *recovery_box(struct op *op, struct recovery *r, struct catalog_guid guid);
/* WAITS. Mails and files of bases as the store lists them. */
enum err recovery_list(struct op *op, struct recovery *r);
/* WAITS. Lists the user's objects and reads what they say. ERR_NOT_FOUND: there are none. */
enum err recovery_gather(struct op *op, struct recovery *r);
/* WAITS. Writes rows and heads, the root last: until then nobody can open the user. */
enum err recovery_write(struct op *op, struct recovery *r);
