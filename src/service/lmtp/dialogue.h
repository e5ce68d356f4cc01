/* SPDX-License-Identifier: Apache-2.0 */
/* service/lmtp/dialogue.h - what MTAs say and should hear, as texts; for tests of this folder. The other
 * roles are those of test_kit.h: what they do follows from a recipient's name.
 *
 *   C: MAIL FROM:<a@b>     the client sends a line; in it "|" is CRLF, "^J" LF, "^M" CR, "^@" NUL, and
 *                          "@70" 70 lines of 64 bytes
 *   C~ half a line         the same without CRLF at its end
 *   S: 250 2.1.0 ..        the next line it hears, all of it; ".." is any run
 *   S: EOF                 the server closed
 *   U: u@x from a@b ..     the next mail that was saved, in the order of saving: "USER from SENDER to RCPT
 *                          detail DETAIL"
 *   H: ..Return-Path: ..   what was put before it, CRLF as "|"
 *   M: text|               its bytes, written as above
 *   !from 192.0.2.1        another connection, from there; the old one is closed
 *   !cut                   the server closes, whatever it says before
 *   !door proxy            connections of !from begin with a PROXY header; "!door tls": with a handshake
 *   !tls                   the client's handshake
 *   !reload SETTING        the configuration is read again with this line added
 *   !kill USER             the worker of that user dies; "!revive USER": it is back
 *   !hello                 greeting and LHLO with all its lines
 *
 * At the end every line that was sent must have been read in the script, and NOOP be answered.
 * To add a dialogue: a row in the table of its subject, with the section it holds to. */
#pragma once

struct dialogue {
	const char *name;     /* "RFC 5321 §4.1.1.2: what it holds" */
	const char *settings; /* configuration to add */
	const char *script;
};

extern const struct dialogue dialogues_commands[], dialogues_envelope[], dialogues_mail[],
	dialogues_chunks[], dialogues_outcomes[], dialogues_trust[]; /* end with a NULL name */
