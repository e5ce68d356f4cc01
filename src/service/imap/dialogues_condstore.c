/* SPDX-License-Identifier: Apache-2.0 */
/* CONDSTORE and QRESYNC (RFC 7162). Modseqs of a fresh INBOX are those of its journal: the script says
 * ".." where only their order matters. */
#include "service/imap/dialogue.h"

#define MAIL "<<Subject: x||x|>>"

#define SELECT(client, what)                                                                       \
	client "> SELECT INBOX" what "\n" client "* * OK [HIGHESTMODSEQ ..] Highest\n" client      \
	       "< * OK [MAILBOXID ..\n" client "< $ OK [READ-WRITE] Select completed.\n"
#define THREE_MAILS                                                                                \
	"A> APPEND INBOX (\\Seen) " MAIL " (\\Seen) " MAIL " (\\Seen) " MAIL "\n"                  \
	"A< $ OK [APPENDUID .. 1:3] ..\n"
#define ENABLE(client, word)                                                                       \
	client "> ENABLE " word "\n" client "< * ENABLED " word "\n" client "< $ OK Enabled.\n"

const struct dialogue dialogues_condstore[] = {
	{ "RFC 7162 §3.1.2.1: SELECT tells HIGHESTMODSEQ to everybody",
		THREE_MAILS "A> EXAMINE INBOX\n"
			    "A* * OK [UIDNEXT 4] ..\n"
			    "A< * OK [HIGHESTMODSEQ ..] Highest\nA< * OK [MAILBOXID ..\n"
			    "A< $ OK [READ-ONLY] ..\n"
			    "A> FETCH 1 FLAGS\n"
			    "A< * 1 FETCH (FLAGS (\\Seen..))\n"
			    "A< $ OK Fetch completed.\n" },
	{ "RFC 7162 §3.1.8: SELECT (CONDSTORE) enables: every FETCH told has UID and MODSEQ",
		THREE_MAILS SELECT("A", " (CONDSTORE)") //
		"A> STORE 1 +FLAGS (\\Flagged)\n"
		"A< * 1 FETCH (UID 1 FLAGS (\\Flagged \\Seen \\Recent) MODSEQ (..))\n"
		"A< $ OK Store completed.\n"
		"A> FETCH 2 FLAGS\n"
		"A< * 2 FETCH (FLAGS (\\Seen \\Recent))\n"
		"A< $ OK Fetch completed.\n" },
	{ "RFC 7162 §3.1: a first FETCH MODSEQ enables and tells HIGHESTMODSEQ, once",
		THREE_MAILS SELECT("A", "") //
		"A> FETCH 1 (MODSEQ)\n"
		"A< * OK [HIGHESTMODSEQ ..] Highest\n"
		"A< * 1 FETCH (MODSEQ (..))\n"
		"A< $ OK Fetch completed.\n"
		"A> UID FETCH 2 (MODSEQ)\n"
		"A< * 2 FETCH (UID 2 MODSEQ (..))\n"
		"A< $ OK Fetch completed.\n" },
	{ "RFC 7162 §3.1: SEARCH MODSEQ enables and tells the greatest of what it found",
		THREE_MAILS SELECT("A", "") //
		"A> SEARCH MODSEQ 1\n"
		"A< * OK [HIGHESTMODSEQ ..] Highest\n"
		"A< * SEARCH 1 2 3 (MODSEQ ..)\n"
		"A< $ OK Search completed.\n"
		"A> UID SEARCH MODSEQ \"/flags/\\\\seen\" all 1 2\n"
		"A< * SEARCH 2 (MODSEQ ..)\n"
		"A< $ OK Search completed.\n"
		"A> SEARCH MODSEQ 999999999999999999\n"
		"A< * SEARCH\n"
		"A< $ OK Search completed.\n"
		"A> SEARCH MODSEQ \"/nonsense/x\" all 1\n"
		"A< $ BAD ..Invalid MODSEQ entry.\n"
		"A> SEARCH MODSEQ \"/flags/x\" some 1\n"
		"A< $ BAD ..Invalid MODSEQ entry.\n" },
	{ "RFC 4731 §3.2: ESEARCH with MODSEQ tells that of the mails returned",
		THREE_MAILS SELECT("A", " (CONDSTORE)") //
		"A> STORE 2 +FLAGS.SILENT (\\Flagged)\n"
		"A< * 2 FETCH (UID 2 MODSEQ (..))\n"
		"A< $ OK ..\n"
		"A> SEARCH RETURN (MIN MAX COUNT) MODSEQ 1\n"
		"A< * ESEARCH (TAG ..) MIN 1 MAX 3 COUNT 3 MODSEQ ..\n"
		"A< $ OK ..\n"
		"A> SEARCH RETURN (MAX) MODSEQ 1\n"
		"A< * ESEARCH (TAG ..) MAX 3 MODSEQ ..\n"
		"A< $ OK ..\n" },
	{ "RFC 7162 §3.1: STATUS (HIGHESTMODSEQ) enables", THREE_MAILS SELECT("A", "") //
		"A> CREATE other\n"
		"A< $ OK ..\n"
		"A> STATUS other (HIGHESTMODSEQ)\n"
		"A< * OK [HIGHESTMODSEQ ..] Highest\n"
		"A< * STATUS other (HIGHESTMODSEQ 1)\n"
		"A< $ OK Status completed.\n"
		"A> STORE 1 FLAGS (\\Draft)\n"
		"A< * 1 FETCH (UID 1 FLAGS (\\Draft \\Recent) MODSEQ (..))\n"
		"A< $ OK ..\n" },
	{ "RFC 7162 §3.1.3: STORE (UNCHANGEDSINCE) of mails that did not change",
		THREE_MAILS SELECT("A", "") //
		"A> STORE 1:2 (UNCHANGEDSINCE 999999999999999999) +FLAGS.SILENT (\\Flagged)\n"
		"A< * OK [HIGHESTMODSEQ ..] Highest\n"
		"A< * 1 FETCH (UID 1 MODSEQ (..))\n"
		"A< * 2 FETCH (UID 2 MODSEQ (..))\n"
		"A< $ OK Store completed.\n" },
	{ "RFC 7162 §3.1.3: [MODIFIED] names the mails that changed, and they are told",
		THREE_MAILS SELECT("A", " (CONDSTORE)") //
		"A> STORE 1:3 (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\Flagged)\n"
		"A< * 1 FETCH (UID 1 FLAGS (\\Seen \\Recent) MODSEQ (..))\n"
		"A< * 2 FETCH (UID 2 FLAGS (\\Seen \\Recent) MODSEQ (..))\n"
		"A< * 3 FETCH (UID 3 FLAGS (\\Seen \\Recent) MODSEQ (..))\n"
		"A< $ OK [MODIFIED 1:3] Conditional store failed.\n"
		"A> STORE 1 +FLAGS.SILENT (\\Deleted)\n"
		"A< * 1 FETCH (UID 1 MODSEQ (..))\n"
		"A< $ OK ..\n"
		"A> EXPUNGE\n"
		"A< * 1 EXPUNGE\n"
		"A< $ OK [HIGHESTMODSEQ ..] Expunge completed.\n"
		"A> UID STORE 3,2 (UNCHANGEDSINCE 0) +FLAGS (\\Flagged)\n"
		"A< * 1 FETCH (UID 2 FLAGS (\\Seen \\Recent) MODSEQ (..))\n"
		"A< * 2 FETCH (UID 3 FLAGS (\\Seen \\Recent) MODSEQ (..))\n"
		"A< $ OK [MODIFIED 2:3] Conditional store failed.\n" },
	{ "RFC 7162 §3.1.3: two sessions, one conditional STORE wins",
		THREE_MAILS SELECT("A", " (CONDSTORE)") SELECT("B", " (CONDSTORE)") //
		"A> FETCH 1:3 (FLAGS) (CHANGEDSINCE 999999999999999999)\n"
		"A< $ OK Fetch completed.\n"
		"B> STORE 2 FLAGS (\\Draft)\n"
		"B< * 2 FETCH (UID 2 FLAGS (\\Draft) MODSEQ (..))\n"
		"B< $ OK ..\n"
		"A> STORE 2 (UNCHANGEDSINCE 2) FLAGS (\\Answered)\n"
		"A< * 2 FETCH (UID 2 FLAGS (\\Draft \\Recent) MODSEQ (..))\n"
		"A< * 2 FETCH (UID 2 FLAGS (\\Draft \\Recent) MODSEQ (..))\n"
		"A< $ OK [MODIFIED 2] Conditional store failed.\n" },
	{ "RFC 7162 §3.1.3: UNCHANGEDSINCE 0 fails where a keyword is set, and for any system flag",
		THREE_MAILS SELECT("A", " (CONDSTORE)") //
		"A> STORE 2 +FLAGS.SILENT ($MDNSent)\n"
		"A< * FLAGS ..\n"
		"A< * OK [PERMANENTFLAGS ..\n"
		"A< * 2 FETCH (UID 2 MODSEQ (..))\n"
		"A< $ OK ..\n"
		"A> STORE 1:2 (UNCHANGEDSINCE 0) +FLAGS.SILENT ($MDNSent)\n"
		"A< * 1 FETCH (UID 1 MODSEQ (..))\n"
		"A< * 2 FETCH (UID 2 FLAGS (\\Seen \\Recent $MDNSent) MODSEQ (..))\n"
		"A< $ OK [MODIFIED 2] Conditional store failed.\n"
		"A> STORE 1 (UNCHANGEDSINCE 0) +FLAGS.SILENT ($MDNSent)\n"
		"A< * 1 FETCH (UID 1 FLAGS (\\Seen \\Recent $MDNSent) MODSEQ (..))\n"
		"A< $ OK [MODIFIED 1] Conditional store failed.\n"
		"A> STORE 3 (UNCHANGEDSINCE 0) +FLAGS.SILENT (\\Draft $MDNSent)\n"
		"A< * 3 FETCH (UID 3 FLAGS (\\Seen \\Recent) MODSEQ (..))\n"
		"A< $ OK [MODIFIED 3] Conditional store failed.\n"
		"A> STORE 3 (UNCHANGEDSINCE 0) FLAGS.SILENT ($MDNSent)\n"
		"A< * 3 FETCH (UID 3 FLAGS (\\Seen \\Recent) MODSEQ (..))\n"
		"A< $ OK [MODIFIED 3] Conditional store failed.\n" },
	{ "RFC 7162 §3.1.3, example 11: what is expunged elsewhere is NO, and not [MODIFIED]",
		THREE_MAILS SELECT("A", " (CONDSTORE)") SELECT("B", "") //
		"B> STORE 1 +FLAGS.SILENT (\\Deleted)\n"
		"B< $ OK ..\n"
		"B> EXPUNGE\n"
		"B< * 1 EXPUNGE\n"
		"B< $ OK ..\n"
		"A> STORE 1:2 (UNCHANGEDSINCE 1) +FLAGS (\\Draft)\n"
		"A< * 2 FETCH (UID 2 FLAGS (\\Seen \\Recent) MODSEQ (..))\n"
		"A< $ NO [MODIFIED 2] Some of the messages no longer exist.\n"
		"A> STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\\Draft)\n"
		"A< $ NO [EXPUNGEISSUED] Some of the messages no longer exist.\n" },
	{ "RFC 7162 §3.1.3: a read-only mailbox fails the condition",
		THREE_MAILS "A> EXAMINE INBOX (CONDSTORE)\n"
			    "A* $ OK [READ-ONLY] ..\n"
			    "A> STORE 1 (UNCHANGEDSINCE 5) FLAGS (\\Draft)\n"
			    "A< $ NO CONDSTORE failed: Mailbox is read-only.\n" },
	{ "RFC 7162 §3.1.4.1: CHANGEDSINCE tells those that changed, with MODSEQ",
		THREE_MAILS SELECT("A", " (CONDSTORE)") //
		"A> FETCH 1:* (FLAGS) (CHANGEDSINCE 1)\n"
		"A< * 1 FETCH (FLAGS (\\Seen \\Recent) MODSEQ (..))\n"
		"A< * 2 FETCH (FLAGS (\\Seen \\Recent) MODSEQ (..))\n"
		"A< * 3 FETCH (FLAGS (\\Seen \\Recent) MODSEQ (..))\n"
		"A< $ OK Fetch completed.\n"
		"A> UID FETCH 1:* (FLAGS) (CHANGEDSINCE 999999999999999999)\n"
		"A< $ OK Fetch completed.\n"
		"A> FETCH 1 FLAGS (CHANGEDSINCE)\n"
		"A< $ BAD ..\n"
		"A> FETCH 1 FLAGS (NONSENSE 1)\n"
		"A< $ BAD ..\n" },
	{ "RFC 7162 §3.2.4: the \\Seen of FETCH comes with UID and MODSEQ",
		"A> APPEND INBOX " MAIL "\n"
		"A< $ OK ..\n" SELECT("A", " (CONDSTORE)") //
		"A> FETCH 1 BODY[TEXT]\n"
		"A< * 1 FETCH (UID 1 FLAGS (\\Seen \\Recent) MODSEQ (..) BODY[TEXT] {3}\n"
		"A< x\n"
		"A< )\n"
		"A< $ OK Fetch completed.\n" },
	{ "RFC 7162 §3.2.4: what other sessions change comes with UID and MODSEQ, in IDLE too",
		THREE_MAILS SELECT("A", " (CONDSTORE)") SELECT("B", "") //
		"A> IDLE\n"
		"A< + idling\n"
		"B> STORE 3 +FLAGS (\\Answered)\n"
		"B< * 3 FETCH (FLAGS (\\Answered \\Seen))\n"
		"B< $ OK ..\n"
		"A< * 3 FETCH (UID 3 FLAGS (\\Answered \\Seen \\Recent) MODSEQ (..))\n"
		"A! DONE\n"
		"A< $ OK Idle completed.\n" },
	{ "RFC 5161 §3.1: ENABLE tells what became enabled just now, and ignores the rest",
		"A> ENABLE CONDSTORE X-NONSENSE\n"
		"A< * ENABLED CONDSTORE\n"
		"A< $ OK Enabled.\n"
		"A> ENABLE CONDSTORE\n"
		"A< * ENABLED\n"
		"A< $ OK Enabled.\n"
		"A> ENABLE qresync\n"
		"A< * ENABLED QRESYNC\n"
		"A< $ OK Enabled.\n"
		"A> ENABLE\n"
		"A< $ BAD ..\n" },
	{ "RFC 7162 §3.2.3: QRESYNC must be enabled before it is used",
		THREE_MAILS "A> SELECT INBOX (QRESYNC (1 1))\n"
			    "A< $ BAD ..QRESYNC is not enabled.\n" SELECT("A", "") //
		"A> UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)\n"
		"A< $ BAD ..QRESYNC is not enabled.\n" },
	{ "RFC 7162 §3.2.6: VANISHED is for UID FETCH with CHANGEDSINCE",
		ENABLE("A", "QRESYNC") THREE_MAILS SELECT("A", "") //
		"A> FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)\n"
		"A< $ BAD ..VANISHED needs UID FETCH.\n"
		"A> UID FETCH 1:* (FLAGS) (VANISHED)\n"
		"A< $ BAD ..VANISHED needs CHANGEDSINCE.\n" },
	{ "RFC 7162 §3.2.10.2: EXPUNGE answers VANISHED after ENABLE QRESYNC",
		ENABLE("A", "QRESYNC") THREE_MAILS SELECT("A", "") //
		"A> STORE 1,3 +FLAGS.SILENT (\\Deleted)\n"
		"A< * 1 FETCH (UID 1 MODSEQ (..))\n"
		"A< * 3 FETCH (UID 3 MODSEQ (..))\n"
		"A< $ OK ..\n"
		"A> EXPUNGE\n"
		"A< * VANISHED 1,3\n"
		"A< $ OK [HIGHESTMODSEQ ..] Expunge completed.\n"
		"A> FETCH 1 UID\n"
		"A< * 1 FETCH (UID 2)\n"
		"A< $ OK ..\n" },
	{ "RFC 7162 §3.2.9: UID EXPUNGE answers VANISHED and HIGHESTMODSEQ",
		ENABLE("A", "QRESYNC") THREE_MAILS SELECT("A", "") //
		"A> STORE 1:3 +FLAGS.SILENT (\\Deleted)\n"
		"A* $ OK ..\n"
		"A> UID EXPUNGE 2:3\n"
		"A< * VANISHED 2:3\n"
		"A< $ OK [HIGHESTMODSEQ ..] Expunge completed.\n" },
	{ "RFC 7162 §3.2.8: CLOSE tells neither VANISHED nor HIGHESTMODSEQ",
		ENABLE("A", "QRESYNC") THREE_MAILS SELECT("A", "") //
		"A> STORE 2 +FLAGS.SILENT (\\Deleted)\n"
		"A* $ OK ..\n"
		"A> CLOSE\n"
		"A< $ OK Close completed.\n" },
	{ "RFC 7162 §3.2.10.2: what others expunge is told as VANISHED where EXPUNGE may be",
		ENABLE("A", "QRESYNC") THREE_MAILS SELECT("A", "") SELECT("B", "") //
		"B> STORE 1:2 +FLAGS.SILENT (\\Deleted)\n"
		"B< $ OK ..\n"
		"B> EXPUNGE\n"
		"B< * 2 EXPUNGE\n"
		"B< * 1 EXPUNGE\n"
		"B< $ OK Expunge completed.\n"
		"A> FETCH 3 UID\n"
		"A< * 3 FETCH (UID 3)\n"
		"A< $ OK ..\n"
		"A> UID SEARCH 3\n"
		"A< * SEARCH 3\n"
		"A< $ OK ..\n"
		"A> UID SEARCH UID 3\n"
		"A< * SEARCH 3\n"
		"A< * VANISHED 1:2\n"
		"A< $ OK ..\n" },
	{ "RFC 6851 §4.5: MOVE tells COPYUID, then VANISHED",
		ENABLE("A", "QRESYNC") THREE_MAILS SELECT("A", "") //
		"A> CREATE box\n"
		"A< $ OK ..\n"
		"A> UID MOVE 1:2 box\n"
		"A< * OK [COPYUID .. 1:2 1:2] Moved UIDs.\n"
		"A< * VANISHED 1:2\n"
		"A< $ OK [HIGHESTMODSEQ ..] Move completed.\n" },
	{ "RFC 7162 §3.2.6: UID FETCH (CHANGEDSINCE n VANISHED) tells what went first",
		ENABLE("A", "QRESYNC") THREE_MAILS SELECT("A", "") //
		"A> STORE 2 +FLAGS.SILENT (\\Deleted)\n"
		"A* $ OK ..\n"
		"A> EXPUNGE\n"
		"A* $ OK ..\n"
		"A> UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)\n"
		"A< * VANISHED (EARLIER) 2\n"
		"A< * 1 FETCH (UID 1 FLAGS (\\Seen \\Recent) MODSEQ (..))\n"
		"A< * 2 FETCH (UID 3 FLAGS (\\Seen \\Recent) MODSEQ (..))\n"
		"A< $ OK Fetch completed.\n"
		"A> UID FETCH 3 (FLAGS) (VANISHED CHANGEDSINCE 999999999999999999)\n"
		"A< $ OK Fetch completed.\n" },
	{ "RFC 7162 §3.2.5: with another UIDVALIDITY the parameter is ignored",
		ENABLE("A", "QRESYNC") THREE_MAILS SELECT("A", " (QRESYNC (1 1))") },
	{ "RFC 7162 §3.2.5: nonsense is BAD and leaves selected what is",
		ENABLE("A", "QRESYNC") SELECT("A", "") //
		"A> SELECT INBOX (QRESYNC)\n"
		"A< $ BAD ..\n"
		"A> SELECT INBOX (QRESYNC (0 1))\n"
		"A< $ BAD ..\n"
		"A> SELECT INBOX (QRESYNC (1 0))\n"
		"A< $ BAD ..\n"
		"A> SELECT INBOX (QRESYNC (1 1 1:*))\n"
		"A< $ BAD ..\n"
		"A> SELECT INBOX (QRESYNC (1 1 1:3 (1:2)))\n"
		"A< $ BAD ..\n"
		"A> CHECK\n"
		"A< $ OK Check completed.\n" },
	{ NULL },
};
