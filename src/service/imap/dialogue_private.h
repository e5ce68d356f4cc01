/* SPDX-License-Identifier: Apache-2.0 */
/* service/imap/dialogue_private.h - what the files share that play dialogues: the server, the clients,
 * the dialogue at hand. */
#pragma once

#include "base/test.h"
#include "config/config.h"
#include "net/net.h"
#include "service/imap/dialogue.h"
#include "service/imap/imap.h"
#include "store/store.h"
#include "task/task.h"

#define DIALOGUE_CLIENTS     26
#define DIALOGUE_PATIENCE_US (10 * US_PER_SEC)

struct dialogue_client {
	struct stream *stream; /* NULL: not logged in */
	unsigned serial;       /* of its last tag */
};

enum dialogue_setting { IN_MEMORY, BYTE_BY_BYTE, ON_DISK };

struct dialogue_kit {
	enum dialogue_setting setting;
	bool is_virtual;
	char dir[64];
	struct config *config; /* the defaults */
	struct store *store;
	struct imap *imap;
	/* the dialogue at hand */
	const struct dialogue *dialogue;
	unsigned user_serial;
	struct dialogue_client clients[DIALOGUE_CLIENTS];
	char kept[26][24];  /* "?a" to "?z"; "" : not heard yet */
	unsigned line;      /* of the script */
	char failure[4096]; /* "" : none */
	enum err setup_error;
};
extern struct dialogue_kit dialogue_kit;

/* Notes what went wrong; false. */
__attribute__((format(printf, 1, 2))) bool dialogue_fail(const char *fmt, ...);

/* ---- the server (dialogue_test.c) ---- */

enum err dialogue_open_server(struct op *op);
enum err dialogue_close_server(struct op *op);
/* The defaults and `settings`, lines apart with "|". */
enum err dialogue_load_config(struct op *op, struct str settings, struct config **out);

/* ---- clients (dialogue_client.c); false: the dialogue has failed ---- */

bool dialogue_log_in(struct op *op, char name, struct dialogue_client *c);
bool dialogue_say(
	struct op *op, char name, struct dialogue_client *c, struct str text, bool has_tag);
/* `skips`: other lines may come before it. */
bool dialogue_expect(
	struct op *op, char name, struct dialogue_client *c, struct str pattern, bool skips);
/* "|" as CRLF, "@70" as 70 lines of 64 bytes. */
void dialogue_put_lines(struct buf *out, struct str text);

/* ---- scripts (dialogue_play.c) ---- */

/* A test of cmocka; *state is the struct dialogue. */
void dialogue_run(void **state);
