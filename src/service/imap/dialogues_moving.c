/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions that move to another process: the client goes on as if nothing had happened. */
#include "service/imap/dialogue.h"

#define MAIL "<<Subject: x||x|>>"
#define SELECT(client)                                                                             \
	client "> SELECT INBOX\n" client "* * OK [HIGHESTMODSEQ ..\n" client                       \
	       "< * OK [MAILBOXID ..\n" client "< $ OK [READ-WRITE] ..\n"
#define FOUR_MAILS                                                                                 \
	"A> APPEND INBOX (\\Seen) " MAIL " (\\Seen) " MAIL " (\\Seen) " MAIL " (\\Seen) " MAIL     \
	"\n"                                                                                       \
	"A< $ OK ..\n"

const struct dialogue dialogues_moving[] = {
	{ "plan §2: before SELECT, and with half a command sent",
		"A> NOOP\n"
		"A< $ OK ..\n"
		"B! x CRE\n"
		"B< x BAD ..\n"
		"C> NOOP\n"
		"C< $ OK ..\n"
		"!move\n"
		"A> CREATE box\n"
		"A< $ OK [MAILBOXID (..)] Create completed.\n"
		"C> LIST \"\" box\n"
		"C< * LIST (\\HasNoChildren) \"/\" box\n"
		"C< $ OK ..\n" },
	{ "plan §2: in the middle of a literal that was asked for",
		"A! x CREATE {3}\n"
		"A< + OK\n"
		"!move\n"
		"A! box\n"
		"A< x OK [MAILBOXID (..)] Create completed.\n" },
	{ "plan §2: message numbers, flags and \\Recent stay what they were",
		FOUR_MAILS SELECT("A") //
		"!move\n"
		"A> FETCH 1:4 (UID FLAGS)\n"
		"A< * 1 FETCH (UID 1 FLAGS (\\Seen \\Recent))\n"
		"A< * 2 FETCH (UID 2 FLAGS (\\Seen \\Recent))\n"
		"A< * 3 FETCH (UID 3 FLAGS (\\Seen \\Recent))\n"
		"A< * 4 FETCH (UID 4 FLAGS (\\Seen \\Recent))\n"
		"A< $ OK Fetch completed.\n"
		"A> STORE 2 +FLAGS (\\Flagged)\n"
		"A< * 2 FETCH (FLAGS (\\Flagged \\Seen \\Recent))\n"
		"A< $ OK ..\n" },
	{ "plan §2: what one session was not told yet is told after the move",
		FOUR_MAILS SELECT("A") SELECT("B") //
		"B> STORE 2 +FLAGS.SILENT (\\Deleted)\n"
		"B< $ OK ..\n"
		"B> EXPUNGE\n"
		"B< * 2 EXPUNGE\n"
		"B< $ OK ..\n"
		"B> STORE 1 +FLAGS.SILENT (\\Draft)\n"
		"B< $ OK ..\n"
		"!move\n"
		"A> FETCH 4 UID\n"
		"A< * 4 FETCH (UID 4)\n"
		"A< * 1 FETCH (UID 1 FLAGS (\\Seen \\Draft \\Recent))\n"
		"A< $ OK ..\n"
		"A> NOOP\n"
		"A< * 2 EXPUNGE\n"
		"A< $ OK ..\n"
		"B> FETCH 3 UID\n"
		"B< * 3 FETCH (UID 4)\n"
		"B< $ OK ..\n" },
	{ "plan §2: IDLE goes on", FOUR_MAILS SELECT("A") //
		"A> IDLE\n"
		"A< + idling\n"
		"!move\n"
		"B> APPEND INBOX " MAIL "\n"
		"B< $ OK ..\n"
		"A< * 5 EXISTS\n"
		"A< * 5 RECENT\n"
		"A! DONE\n"
		"A< $ OK Idle completed.\n" },
	{ "plan §2: what was enabled and what $ is",
		"A> ENABLE QRESYNC\n"
		"A< * ENABLED QRESYNC\n"
		"A< $ OK ..\n" FOUR_MAILS SELECT("A") //
		"A> SEARCH RETURN (SAVE) 2:3\n"
		"A< $ OK ..\n"
		"!move\n"
		"A> STORE $ +FLAGS.SILENT (\\Deleted)\n"
		"A< * 2 FETCH (UID 2 MODSEQ (..))\n"
		"A< * 3 FETCH (UID 3 MODSEQ (..))\n"
		"A< $ OK ..\n"
		"A> EXPUNGE\n"
		"A< * VANISHED 2:3\n"
		"A< $ OK [HIGHESTMODSEQ ..] ..\n" },
	{ "plan §2: a mailbox that was EXAMINEd stays read-only",
		FOUR_MAILS "A> EXAMINE INBOX\n"
			   "A* $ OK [READ-ONLY] ..\n"
			   "!move\n"
			   "A> EXPUNGE\n"
			   "A< $ OK Expunge ignored: Mailbox is read-only.\n" },
	{ "plan §2: twice, and with several sessions of a user",
		FOUR_MAILS SELECT("A") SELECT("B") //
		"!move\n"
		"!move\n"
		"C> APPEND INBOX " MAIL "\n"
		"C< $ OK ..\n"
		"A> NOOP\n"
		"A< * 5 EXISTS\n"
		"A< * .. RECENT\n"
		"A< $ OK ..\n"
		"B> NOOP\n"
		"B< * 5 EXISTS\n"
		"B< * .. RECENT\n"
		"B< $ OK ..\n" },
	{ 0 },
};
