/* SPDX-License-Identifier: Apache-2.0 */
/* wire/doveadm.h - lines of the administrators' protocol: fields separated by tabs, in which tabs, ends
 * of lines and zero bytes are escaped with \001.
 *
 *   client: VERSION doveadm-server 1 0 | STARTTLS | PLAIN base64 | OPTION name | FLAGS [extra] user command arg...
 *   server: VERSION doveadm-client 1 0 | + or - | lines of a command's output, an empty line, + or -CODE
 *
 * Minor version 0: there is no log channel. With OPTION failure-text the status says more than a code:
 * "-CODE class text". A command's output may be bytes: then its first line is "stream" and how many.
 * Spec: core sheet §8.6. Total over any bytes. */
#pragma once

#include "base/base.h"

#define DOVEADM_LINE_MAX (16 << 10)
#define DOVEADM_ARGS_MAX 64
#define DOVEADM_MAJOR    1
#define DOVEADM_MINOR    0

enum doveadm_kind {
	DOVEADM_VERSION,
	DOVEADM_STARTTLS,
	DOVEADM_PLAIN,
	DOVEADM_OPTION,
	DOVEADM_COMMAND,
};
/* A client's line. Texts are in the arena or borrowed from the line. */
struct doveadm_line {
	enum doveadm_kind kind;
	struct str peer; /* VERSION: who the client wants to talk to */
	uint32_t major, minor;
	struct str name, password; /* PLAIN */
	struct str option;         /* OPTION */
	struct str user, command;  /* COMMAND */
	struct str args[DOVEADM_ARGS_MAX];
	size_t arg_count;
};
/* ERR_INVALID: none of these. ERR_LIMIT: too many arguments. The text names no secret. */
enum err doveadm_parse_line(struct op *op, struct str line, struct doveadm_line *out);

/* Appends a field, escaped; no tab before it. */
void doveadm_put_field(struct buf *out, struct str text);
/* Cuts the next field off and takes its escapes away, in the arena. False: there is none. */
bool doveadm_cut_field(struct arena *arena, struct str *rest, struct str *out);
/* PLAIN with these credentials, with the end of the line. */
void doveadm_put_plain(struct buf *out, struct str name, struct str password);

/* The end of a command's output: how it went. `failure` is of the op that failed; is_worded: the client
 * wants class and text. */
void doveadm_put_status(struct buf *out, enum err e, struct str failure, bool is_worded);
/* A status line: ERR_NONE, or what it says, with its text in *out_text (in the arena; "": none).
 * False: no status. */
bool doveadm_parse_status(
	struct arena *arena, struct str line, enum err *out, struct str *out_text);
/* "stream 123": so many bytes follow. */
bool doveadm_parse_stream(struct str line, uint64_t *out_bytes);
