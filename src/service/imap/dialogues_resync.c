/* SPDX-License-Identifier: Apache-2.0 */
/* Coming back with SELECT (QRESYNC ...): RFC 7162 §3.2.5. */
#include "service/imap/dialogue.h"

#define MAIL "<<Subject: x||x|>>"

/* Six mails; A knows the mailbox as of ?v, ?m and leaves; B changes it. */
#define KNOWN                                                                                      \
	"A> APPEND INBOX (\\Seen) " MAIL " (\\Seen) " MAIL " (\\Seen) " MAIL " (\\Seen) " MAIL     \
	" (\\Seen) " MAIL " (\\Seen) " MAIL "\n"                                                   \
	"A< $ OK [APPENDUID .. 1:6] ..\n"                                                          \
	"A> ENABLE QRESYNC\n"                                                                      \
	"A< * ENABLED QRESYNC\n"                                                                   \
	"A< $ OK Enabled.\n"                                                                       \
	"A> SELECT INBOX\n"                                                                        \
	"A* * OK [UIDVALIDITY ?v] UIDs valid\n"                                                    \
	"A* * OK [HIGHESTMODSEQ ?m] Highest\nA< * OK [MAILBOXID ..\n"                              \
	"A< $ OK ..\n"                                                                             \
	"A> UNSELECT\n"                                                                            \
	"A< $ OK ..\n"
#define EXPUNGED(uids)                                                                             \
	"B> SELECT INBOX\n"                                                                        \
	"B* $ OK ..\n"                                                                             \
	"B> UID STORE " uids " +FLAGS.SILENT (\\Deleted)\n"                                        \
	"B< $ OK ..\n"                                                                             \
	"B> EXPUNGE\n"                                                                             \
	"B* $ OK Expunge completed.\n"
/* What comes before the news. */
#define RESYNC(what)                                                                               \
	"A> SELECT INBOX (QRESYNC (?v ?m" what "))\n"                                              \
	"A* * OK [HIGHESTMODSEQ ..] Highest\nA< * OK [MAILBOXID ..\n"

const struct dialogue dialogues_resync[] = {
	{ "RFC 7162 §3.2.5: nothing happened, nothing is told",
		KNOWN RESYNC("") "A< $ OK [READ-WRITE] Select completed.\n" },
	{ "RFC 7162 §3.2.5.1: what went comes before what changed", KNOWN EXPUNGED("2,5") //
		"B> UID STORE 3 +FLAGS.SILENT (\\Flagged)\n"
		"B< $ OK ..\n" RESYNC("") //
		"A< * VANISHED (EARLIER) 2,5\n"
		"A< * 2 FETCH (UID 3 FLAGS (\\Flagged \\Seen) MODSEQ (..))\n"
		"A< $ OK [READ-WRITE] Select completed.\n" },
	{ "RFC 7162 §3.2.5.1: only known UIDs are spoken of", KNOWN EXPUNGED("2,5") //
		"B> UID STORE 3,6 +FLAGS.SILENT (\\Flagged)\n"
		"B< $ OK ..\n" RESYNC(" 1:3") //
		"A< * VANISHED (EARLIER) 2\n"
		"A< * 2 FETCH (UID 3 FLAGS (\\Flagged \\Seen) MODSEQ (..))\n"
		"A< $ OK [READ-WRITE] Select completed.\n" },
	{ "RFC 7162 §3.2.5.1: new mails are among what changed", KNOWN //
		"B> APPEND INBOX (\\Draft) " MAIL "\n"
		"B< $ OK ..\n" RESYNC("") //
		"A< * 7 FETCH (UID 7 FLAGS (\\Draft \\Recent) MODSEQ (..))\n"
		"A< $ OK [READ-WRITE] Select completed.\n" },
	{ "RFC 7162 §3.2.5.2: what the client matches is not told again", KNOWN EXPUNGED("2,5") //
		RESYNC(" 1:6 (1,2,4 1,3,6)")                                                    //
		"A< $ OK [READ-WRITE] Select completed.\n"
		"A> UNSELECT\n"
		"A< $ OK ..\n" RESYNC(" 1:6 (1,2,3 1,3,5)") //
		"A< * VANISHED (EARLIER) 5\n"
		"A< $ OK [READ-WRITE] Select completed.\n"
		"A> UNSELECT\n"
		"A< $ OK ..\n" RESYNC(" (1:2 7:8)") //
		"A< * VANISHED (EARLIER) 2,5\n"
		"A< $ OK [READ-WRITE] Select completed.\n" },
	{ "RFC 7162 §3.2.6: a modseq before all memory tells every UID that is not there",
		KNOWN EXPUNGED("1:3") //
		"A> SELECT INBOX (QRESYNC (?v 1))\n"
		"A* * OK [HIGHESTMODSEQ ..] Highest\nA< * OK [MAILBOXID ..\n"
		"A< * VANISHED (EARLIER) 1:3\n"
		"A< * 1 FETCH (UID 4 ..\n"
		"A< * 2 FETCH (UID 5 ..\n"
		"A< * 3 FETCH (UID 6 ..\n"
		"A< $ OK [READ-WRITE] Select completed.\n" },
	{ "RFC 7162 §3.2.5: EXAMINE takes QRESYNC too", KNOWN EXPUNGED("6") //
		"A> EXAMINE INBOX (CONDSTORE QRESYNC (?v ?m))\n"
		"A* * OK [HIGHESTMODSEQ ..] Highest\nA< * OK [MAILBOXID ..\n"
		"A< * VANISHED (EARLIER) 6\n"
		"A< $ OK [READ-ONLY] Examine completed.\n" },
	{ "RFC 7162 §3.2.11: [CLOSED] stands between the two mailboxes", KNOWN //
		"A> CREATE box\n"
		"A< $ OK ..\n"
		"A> SELECT box\n"
		"A* $ OK ..\n"
		"A> SELECT INBOX (QRESYNC (?v ?m))\n"
		"A< * OK [CLOSED] Previous mailbox closed.\n"
		"A< * FLAGS ..\n"
		"A* $ OK ..\n" },
	{ "RFC 7162 §3.1.2.1: HIGHESTMODSEQ stays below what a client was not told yet",
		KNOWN RESYNC("")             //
		"A< $ OK ..\n" EXPUNGED("2") //
		"A> FETCH 1 (MODSEQ)\n"
		"A< * 1 FETCH (MODSEQ (..))\n"
		"A< $ OK ..\n"
		"C> ENABLE QRESYNC\n"
		"C< * ENABLED QRESYNC\n"
		"C< $ OK ..\n"
		"C> SELECT INBOX (QRESYNC (?v ?m))\n"
		"C* * OK [HIGHESTMODSEQ ..] Highest\nC< * OK [MAILBOXID ..\n"
		"C< * VANISHED (EARLIER) 2\n"
		"C< $ OK ..\n"
		"A> NOOP\n"
		"A< * VANISHED 2\n"
		"A< $ OK ..\n" },
	{ "RFC 7162 §3.2.7: what went is known after a restart",
		KNOWN EXPUNGED("2,4") //
		"!restart\n"
		"A> ENABLE QRESYNC\n"
		"A< * ENABLED QRESYNC\n"
		"A< $ OK ..\n" RESYNC("") //
		"A< * VANISHED (EARLIER) 2,4\n"
		"A< $ OK [READ-WRITE] Select completed.\n",
		NEEDS_DISK },
	{ NULL },
};
