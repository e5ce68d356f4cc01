/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that take their answers slowly, or send their mails slowly: they are parked, and lose
 * nothing (plan §3). */
#include "service/imap/dialogue.h"

#define SELECT(client)                                                                             \
	client "> SELECT INBOX\n" client "* * OK [HIGHESTMODSEQ ..\n" client                       \
	       "< * OK [MAILBOXID ..\n" client "< $ OK [READ-WRITE] ..\n"
/* Its lines are numbered; 640,000 bytes of body. */
#define BIG   "<<Subject: big||@10000>>"
#define FIRST "00000000000000000000000000000000000000000000000000000000000000\n"
#define LAST  "00000000000000000000000000000000000000000000000000000000009999\n"

const struct dialogue dialogues_slow[] = {
	{ "RFC 3501 §7.4.2: a FETCH whose client is slow rests in the middle of a mail",
		"A> APPEND INBOX (\\Seen) " BIG " (\\Seen) " BIG "\n"
		"A< $ OK [APPENDUID .. 1:2] ..\n" SELECT("A") //
		"A! x FETCH 1:2 (UID BODY.PEEK[TEXT])|y NOOP\n"
		"!wait 5\n"
		"!parked\n"
		"A< * 1 FETCH (UID 1 BODY[TEXT] {640000}\n"
		"A< " FIRST "A* " LAST "A< )\n"
		"A< * 2 FETCH (UID 2 BODY[TEXT] {640000}\n"
		"A< " FIRST "!wait 5\n"
		"!parked\n"
		"A* " LAST "A< )\n"
		"A< x OK Fetch completed.\n"
		"A< y OK NOOP completed.\n",
		NEEDS_VIRTUAL_TIME },
	{ "RFC 3501 §7.4.2: a FETCH of several items rests and goes on with each",
		"A> APPEND INBOX (\\Seen) " BIG "\n"
		"A< $ OK ..\n" SELECT("A") //
		"A! x UID FETCH 1 (BODY.PEEK[TEXT]<0.320000> BODY.PEEK[TEXT]<320000.999999> "
		"BODY.PEEK[HEADER.FIELDS (SUBJECT)])\n"
		"!wait 3\n"
		"A< * 1 FETCH (UID 1 BODY[TEXT]<0> {320000}\n"
		"A< " FIRST "!wait 30\n"
		"A* 00000000000000000000000000000000000000000000000000000000004999\n"
		"A<  BODY[TEXT]<320000> {320000}\n"
		"!wait 30\n"
		"A* " LAST "A<  BODY[HEADER.FIELDS (SUBJECT)] {16}\n"
		"A< Subject: big\n"
		"A< \n"
		"A< )\n"
		"A< x OK Fetch completed.\n",
		NEEDS_VIRTUAL_TIME },
	{ "RFC 3501 §7.4.1: what happens while a FETCH rests is told after it",
		"A> APPEND INBOX (\\Seen) " BIG " (\\Seen) " BIG "\n"
		"A< $ OK ..\n" SELECT("A") SELECT("B") //
		"A! x FETCH 1:2 BODY.PEEK[TEXT]\n"
		"!wait 3\n"
		"!parked\n"
		"B> STORE 2 +FLAGS.SILENT (\\Deleted)\n"
		"B< $ OK ..\n"
		"B> EXPUNGE\n"
		"B< * 2 EXPUNGE\n"
		"B< $ OK ..\n"
		"A< * 1 FETCH ..\n"
		"A* )\n"
		"A< * 2 FETCH ..\n"
		"A* )\n"
		"A< x OK Fetch completed.\n"
		"A> NOOP\n"
		"A< * 2 EXPUNGE\n"
		"A< $ OK ..\n",
		NEEDS_VIRTUAL_TIME },
	{ "sheet §4.4: a client that takes nothing for a minute is let go",
		"A> APPEND INBOX (\\Seen) " BIG "\n"
		"A< $ OK ..\n" SELECT("A") //
		"A! x FETCH 1 BODY.PEEK[TEXT]\n"
		"!wait 70\n"
		"!parked\n"
		"A* EOF\n",
		NEEDS_VIRTUAL_TIME },
	{ "RFC 3501 §6.3.11: a mail that comes slowly waits parked",
		"A! x APPEND INBOX {25}\n"
		"A< + OK\n"
		"!wait 20\n"
		"!parked\n"
		"A! Subject: slow\n"
		"!wait 20\n"
		"!parked\n"
		"A! |123456|\n"
		"A< x OK [APPENDUID .. 1] ..\n"
		"A> STATUS INBOX (MESSAGES SIZE)\n"
		"A< * STATUS INBOX (MESSAGES 1 SIZE 25)\n"
		"A< $ OK ..\n",
		NEEDS_VIRTUAL_TIME },
	{ "RFC 3501 §6.3.11: a mail of which nothing comes for a minute is given up",
		"A! x APPEND INBOX {25}\n"
		"A< + OK\n"
		"A! Subject: slow\n"
		"!wait 70\n"
		"!parked\n"
		"A< EOF\n"
		"B> STATUS INBOX (MESSAGES)\n"
		"B< * STATUS INBOX (MESSAGES 0)\n"
		"B< $ OK ..\n",
		NEEDS_VIRTUAL_TIME },
	{ "RFC 3502 §3: an APPEND that does not go on for a minute is given up",
		"A! x APPEND INBOX {19}\n"
		"A< + OK\n"
		"A! Subject: x||x|\n"
		"!wait 70\n"
		"!parked\n"
		"A< EOF\n"
		"B> STATUS INBOX (MESSAGES)\n"
		"B< * STATUS INBOX (MESSAGES 0)\n"
		"B< $ OK ..\n",
		NEEDS_VIRTUAL_TIME },
	{ "RFC 2177 §3: an idling client that takes nothing is told later, not forgotten",
		"A> APPEND INBOX (\\Seen) " BIG "\n"
		"A< $ OK ..\n" SELECT("A") //
		"A! x FETCH 1 BODY.PEEK[TEXT]|y IDLE\n"
		"!wait 2\n"
		"B> APPEND INBOX <<Subject: x||x|>>\n"
		"B< $ OK ..\n"
		"A< * 1 FETCH ..\n"
		"A* )\n"
		"A< * 2 EXISTS\n"
		"A< * 2 RECENT\n"
		"A< x OK Fetch completed.\n"
		"A< + idling\n"
		"B> APPEND INBOX <<Subject: x||x|>>\n"
		"B< $ OK ..\n"
		"A< * 3 EXISTS\n"
		"A< * 3 RECENT\n"
		"A! DONE\n"
		"A< y OK Idle completed.\n",
		NEEDS_VIRTUAL_TIME },
	{ "RFC 3501 §5.5: a client that sends all its commands before it reads",
		"A> APPEND INBOX (\\Seen) " BIG "\n"
		"A< $ OK ..\n" SELECT("A") //
		"A! 1 FETCH 1 BODY.PEEK[TEXT]|2 NOOP|3 FETCH 1 BODY.PEEK[TEXT]|4 NOOP\n"
		"!wait 2\n"
		"A! 5 NOOP\n"
		"A* 1 OK ..\n"
		"A< 2 OK ..\n"
		"A* 3 OK ..\n"
		"A< 4 OK ..\n"
		"A< 5 OK ..\n",
		NEEDS_VIRTUAL_TIME },
	{ 0 },
};
