/* SPDX-License-Identifier: Apache-2.0 */
/* Extensions that add options: SEARCHRES, ESEARCH, WITHIN, STATUS=SIZE, LIST-STATUS, ID. */
#include "service/imap/dialogue.h"

#define MAIL "<<Subject: x||x|>>"
#define FOUR_MAILS                                                                                 \
	"A> APPEND INBOX (\\Seen) " MAIL " (\\Seen \\Flagged) " MAIL " (\\Seen \\Flagged) " MAIL   \
	" (\\Seen) " MAIL "\n"                                                                     \
	"A< $ OK [APPENDUID .. 1:4] ..\n"                                                          \
	"A> SELECT INBOX\n"                                                                        \
	"A* $ OK [READ-WRITE] ..\n"

const struct dialogue dialogues_options[] = {
	{ "RFC 5182 §2.2: RETURN (SAVE) answers nothing but OK, and $ names what it found",
		FOUR_MAILS "A> SEARCH RETURN (SAVE) FLAGGED\n"
			   "A< $ OK Search completed.\n"
			   "A> FETCH $ UID\n"
			   "A< * 2 FETCH (UID 2)\n"
			   "A< * 3 FETCH (UID 3)\n"
			   "A< $ OK Fetch completed.\n"
			   "A> UID FETCH $ FLAGS\n"
			   "A< * 2 FETCH (UID 2 ..\n"
			   "A< * 3 FETCH (UID 3 ..\n"
			   "A< $ OK Fetch completed.\n"
			   "A> SEARCH NOT $\n"
			   "A< * SEARCH 1 4\n"
			   "A< $ OK ..\n"
			   "A> UID SEARCH UID $ 3:*\n"
			   "A< * SEARCH 3\n"
			   "A< $ OK ..\n"
			   "A> STORE $ FLAGS.SILENT ()\n"
			   "A< $ OK ..\n"
			   "A> SEARCH FLAGGED\n"
			   "A< * SEARCH\n"
			   "A< $ OK ..\n" },
	{ "RFC 5182 §2.1: $ is empty before anything was saved, and after SELECT",
		FOUR_MAILS "A> FETCH $ UID\n"
			   "A< $ OK Fetch completed.\n"
			   "A> UID SEARCH RETURN (SAVE COUNT) ALL\n"
			   "A< * ESEARCH (TAG ..) UID COUNT 4\n"
			   "A< $ OK ..\n"
			   "A> SELECT INBOX\n"
			   "A* $ OK ..\n"
			   "A> SEARCH $\n"
			   "A< * SEARCH\n"
			   "A< $ OK ..\n" },
	{ "RFC 5182 §2.1: what is expunged leaves $, the others keep their places in it",
		FOUR_MAILS "A> SEARCH RETURN (SAVE) 2:4\n"
			   "A< $ OK ..\n"
			   "A> STORE 3 +FLAGS.SILENT (\\Deleted)\n"
			   "A< $ OK ..\n"
			   "A> EXPUNGE\n"
			   "A< * 3 EXPUNGE\n"
			   "A< $ OK ..\n"
			   "A> FETCH $ UID\n"
			   "A< * 2 FETCH (UID 2)\n"
			   "A< * 3 FETCH (UID 4)\n"
			   "A< $ OK ..\n" },
	{ "RFC 5182 §2.4: with MIN or MAX only those are saved, with ALL or COUNT everything",
		FOUR_MAILS "A> SEARCH RETURN (SAVE MIN) ALL\n"
			   "A< * ESEARCH (TAG ..) MIN 1\n"
			   "A< $ OK ..\n"
			   "A> SEARCH $\n"
			   "A< * SEARCH 1\n"
			   "A< $ OK ..\n"
			   "A> SEARCH RETURN (MIN MAX SAVE) ALL\n"
			   "A< * ESEARCH (TAG ..) MIN 1 MAX 4\n"
			   "A< $ OK ..\n"
			   "A> SEARCH $\n"
			   "A< * SEARCH 1 4\n"
			   "A< $ OK ..\n"
			   "A> SEARCH RETURN (MIN COUNT SAVE) 2:3\n"
			   "A< * ESEARCH (TAG ..) MIN 2 COUNT 2\n"
			   "A< $ OK ..\n"
			   "A> SEARCH $\n"
			   "A< * SEARCH 2 3\n"
			   "A< $ OK ..\n" },
	{ "RFC 5182 §2.1: BAD and searches without SAVE leave $ alone",
		FOUR_MAILS "A> SEARCH RETURN (SAVE) 4\n"
			   "A< $ OK ..\n"
			   "A> SEARCH RETURN (SAVE) NONSENSE\n"
			   "A< $ BAD ..\n"
			   "A> SEARCH 1\n"
			   "A< * SEARCH 1\n"
			   "A< $ OK ..\n"
			   "A> SEARCH $\n"
			   "A< * SEARCH 4\n"
			   "A< $ OK ..\n" },
	{ "RFC 5182 §2.3: $ in COPY, MOVE, UID EXPUNGE",
		FOUR_MAILS "A> CREATE box\n"
			   "A< $ OK ..\n"
			   "A> SEARCH RETURN (SAVE) FLAGGED\n"
			   "A< $ OK ..\n"
			   "A> COPY $ box\n"
			   "A< $ OK [COPYUID .. 2:3 1:2] ..\n"
			   "A> STORE 1:* +FLAGS.SILENT (\\Deleted)\n"
			   "A< $ OK ..\n"
			   "A> UID EXPUNGE $\n"
			   "A< * 3 EXPUNGE\n"
			   "A< * 2 EXPUNGE\n"
			   "A< $ OK ..\n"
			   "A> UID MOVE $ box\n"
			   "A< $ OK No messages found.\n" },
	{ "RFC 4731 §3.1: the empty result list, and TAG of the command",
		FOUR_MAILS "A! a\"b SEARCH RETURN () ALL\n"
			   "A< * BAD ..\n"
			   "A! t1 SEARCH RETURN () ANSWERED\n"
			   "A< * ESEARCH (TAG \"t1\")\n"
			   "A< t1 OK Search completed.\n" },
	{ "RFC 5032 §3: OLDER and YOUNGER take seconds, never zero",
		"A> APPEND INBOX \"01-Jan-2001 00:00:00 +0000\" " MAIL " " MAIL "\n"
		"A< $ OK ..\n"
		"A> SELECT INBOX\n"
		"A* $ OK ..\n"
		"A> SEARCH OLDER 86400\n"
		"A< * SEARCH 1\n"
		"A< $ OK ..\n"
		"A> SEARCH YOUNGER 86400\n"
		"A< * SEARCH 2\n"
		"A< $ OK ..\n"
		"A> SEARCH OLDER 0\n"
		"A< $ BAD ..\n"
		"A> SEARCH YOUNGER 4294967296\n"
		"A< $ BAD ..\n" },
	{ "RFC 8438 §3: STATUS (SIZE), in LIST too",
		"A> APPEND INBOX " MAIL " " MAIL "\n"
		"A< $ OK ..\n"
		"A> STATUS INBOX (SIZE)\n"
		"A< * STATUS INBOX (SIZE 34)\n"
		"A< $ OK ..\n"
		"A> LIST \"\" INBOX RETURN (STATUS (SIZE MESSAGES))\n"
		"A< * LIST () \"/\" INBOX\n"
		"A< * STATUS INBOX (MESSAGES 2 SIZE 34)\n"
		"A< $ OK ..\n" },
	{ "RFC 3501 §2.3.3: the date of APPEND is kept as a moment, told and searched in UTC",
		"A> APPEND INBOX \"02-Jan-2001 01:30:00 +0200\" " MAIL "\n"
		"A< $ OK ..\n"
		"A> SELECT INBOX\n"
		"A* $ OK ..\n"
		"A> FETCH 1 INTERNALDATE\n"
		"A< * 1 FETCH (INTERNALDATE \"01-Jan-2001 23:30:00 +0000\")\n"
		"A< $ OK ..\n"
		"A> SEARCH ON 1-Jan-2001 SINCE 1-Jan-2001 BEFORE 2-Jan-2001\n"
		"A< * SEARCH 1\n"
		"A< $ OK ..\n"
		"A> SEARCH ON 2-Jan-2001\n"
		"A< * SEARCH\n"
		"A< $ OK ..\n" },
	{ "RFC 3501 §6.4.4: SENTON takes the digits of the Date field, whatever its zone",
		"A> APPEND INBOX <<Date: Tue, 02 Jan 2001 00:30:00 +0200||x|>>\n"
		"A< $ OK ..\n"
		"A> SELECT INBOX\n"
		"A* $ OK ..\n"
		"A> SEARCH SENTON 2-Jan-2001\n"
		"A< * SEARCH 1\n"
		"A< $ OK ..\n"
		"A> SEARCH SENTBEFORE 2-Jan-2001\n"
		"A< * SEARCH\n"
		"A< $ OK ..\n" },
	{ NULL },
};
