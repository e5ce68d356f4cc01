/* SPDX-License-Identifier: Apache-2.0 */
/* Dialogues of several sessions at once, with big mails, pipelines and connections that break. */
#include "service/imap/dialogue.h"

#define MAIL "<<Subject: x||x|>>"

/* Selects INBOX, which holds unseen mails. */
#define SELECT(client)                                                                             \
	client "> SELECT INBOX\n" client "* * OK [UIDNEXT ..\n" client                             \
	       "< * OK [HIGHESTMODSEQ ..\n" client "< * OK [MAILBOXID ..\n" client                 \
	       "< $ OK [READ-WRITE] ..\n"

const struct dialogue dialogues_together[] = {
	{ "RFC 3501 §6.3.11: two sessions append at once",
		"A! a1 APPEND INBOX {17+}|Subject: x||x||a2 NOOP\n"
		"B! b1 APPEND INBOX {17+}|Subject: x||x||b2 NOOP\n"
		"A< a1 OK [APPENDUID ..\n"
		"A< a2 OK ..\n"
		"B< b1 OK [APPENDUID ..\n"
		"B< b2 OK ..\n"
		"A> STATUS INBOX (MESSAGES UIDNEXT)\n"
		"A< * STATUS INBOX (MESSAGES 2 UIDNEXT 3)\n"
		"A< $ OK ..\n" },
	{ "RFC 3501 §6.3.11: a connection that breaks in APPEND saves nothing",
		"A! x APPEND INBOX {1000}\n"
		"A< + OK\n"
		"A! Subject: half\n"
		"A- breaks\n"
		"B! x APPEND INBOX {17+}|Subject: x||x| {1000}\n"
		"B< + OK\n"
		"B- breaks\n"
		"C> STATUS INBOX (MESSAGES UIDNEXT)\n"
		"C< * STATUS INBOX (MESSAGES 0 UIDNEXT 1)\n"
		"C< $ OK ..\n" },
	{ "RFC 3501 §6.4.5: a big mail comes back whole",
		"A> APPEND INBOX <<Subject: big||@10000>>\n"
		"A< $ OK [APPENDUID .. 1] ..\n" SELECT(
			"A") "A> FETCH 1 (RFC822.SIZE BODY.PEEK[TEXT])\n"
			     "A< * 1 FETCH (RFC822.SIZE 640016 BODY[TEXT] {640000}\n"
			     "A< 00000000000000000000000000000000000000000000000000000000000000\n"
			     "A* 00000000000000000000000000000000000000000000000000000000009999\n"
			     "A< )\n"
			     "A< $ OK ..\n"
			     "A> FETCH 1 BODY.PEEK[TEXT]<639936.1000>\n"
			     "A< * 1 FETCH (BODY[TEXT]<639936> {64}\n"
			     "A< 00000000000000000000000000000000000000000000000000000000009999\n"
			     "A< )\n"
			     "A< $ OK ..\n" },
	{ "RFC 3501 §6.4.5: a client that leaves while a big mail is sent",
		"A> APPEND INBOX <<Subject: big||@10000>>\n"
		"A< $ OK ..\n" SELECT("A") "A! x FETCH 1 BODY[]\n"
					   "A< * 1 FETCH ..\n"
					   "A- breaks\n"
					   "B> STATUS INBOX (MESSAGES)\n"
					   "B< * STATUS INBOX (MESSAGES 1)\n"
					   "B< $ OK ..\n" },
	{ "RFC 7888 §4, RFC 5530 §3: a mail above the limit is refused and skipped",
		"A! x APPEND INBOX {999999999}\n"
		"A< x NO [TOOBIG] ..\n"
		"A> NOOP\n"
		"A< $ OK ..\n" },
	{ "RFC 3501 §5.5: a pipeline over many commands of all kinds",
		"A! 1 APPEND INBOX {17+}|Subject: x||x||2 SELECT INBOX|3 STORE 1 +FLAGS.SILENT "
		"(\\Deleted)|4 EXPUNGE|5 FETCH 1 UID|6 UNSELECT|7 FETCH 1 UID\n"
		"A< 1 OK [APPENDUID .. 1] ..\n"
		"A* * OK [UIDNEXT 2] ..\nA< * OK [HIGHESTMODSEQ ..\nA< * OK [MAILBOXID ..\n"
		"A< 2 OK ..\n"
		"A< 3 OK ..\n"
		"A< * 1 EXPUNGE\n"
		"A< 4 OK ..\n"
		"A< 5 BAD ..Invalid messageset\n"
		"A< 6 OK ..\n"
		"A< 7 BAD ..No mailbox selected.\n" },
	{ "RFC 3501 §7.4.1: no EXPUNGE in FETCH, STORE, SEARCH; in their UID forms there may be",
		"A> APPEND INBOX " MAIL " " MAIL "\n"
		"A< $ OK ..\n" SELECT("A") SELECT("B") //
		"B> STORE 1 +FLAGS.SILENT (\\Deleted)\n"
		"B< $ OK ..\n"
		"B> EXPUNGE\n"
		"B< * 1 EXPUNGE\n"
		"B< $ OK ..\n"
		"A> FETCH 2 UID\n"
		"A< * 2 FETCH (UID 2)\n"
		"A< $ OK ..\n"
		"A> SEARCH UID 2\n"
		"A< * SEARCH 2\n"
		"A< $ OK ..\n"
		"A> STORE 2 +FLAGS (\\Seen)\n"
		"A< * 2 FETCH (FLAGS (\\Seen \\Recent))\n"
		"A< $ OK ..\n"
		"A> UID FETCH 2 FLAGS\n"
		"A< * 2 FETCH (UID 2 FLAGS (\\Seen \\Recent))\n"
		"A< * 1 EXPUNGE\n"
		"A< $ OK ..\n"
		"A> FETCH 1 UID\n"
		"A< * 1 FETCH (UID 2)\n"
		"A< $ OK ..\n" },
	{ "RFC 3501 §7.3.1: new mail and expunges told together have the right numbers",
		"A> APPEND INBOX " MAIL " " MAIL " " MAIL "\n"
		"A< $ OK ..\n" SELECT("A") SELECT("B") //
		"B> STORE 1:2 +FLAGS.SILENT (\\Deleted)\n"
		"B< $ OK ..\n"
		"B> EXPUNGE\n"
		"B* $ OK Expunge completed.\n"
		"B> APPEND INBOX (\\Draft) " MAIL "\n"
		"B* $ OK [APPENDUID .. 4] ..\n"
		"A> NOOP\n"
		"A< * .. EXPUNGE\n"
		"A< * .. EXPUNGE\n"
		"A< * 2 EXISTS\n"
		"A* $ OK NOOP completed.\n"
		"A> FETCH 1:* (UID FLAGS)\n"
		"A< * 1 FETCH (UID 3 ..\n"
		"A< * 2 FETCH (UID 4 FLAGS (\\Draft..\n"
		"A< $ OK ..\n" },
	{ "RFC 3501 §2.3.2: only one session sees a mail as \\Recent",
		SELECT("A") //
		SELECT("B") //
		"C> APPEND INBOX " MAIL "\n"
		"C< $ OK ..\n"
		"A> NOOP\n"
		"A< * 1 EXISTS\n"
		"A< * 1 RECENT\n"
		"A< $ OK ..\n"
		"B> NOOP\n"
		"B< * 1 EXISTS\n"
		"B< * 0 RECENT\n"
		"B< $ OK ..\n" },
	{ "RFC 3501 §6.4.7: COPY into the selected mailbox",
		"A> APPEND INBOX (\\Seen) " MAIL "\n"
		"A< $ OK ..\n" SELECT("A") //
		"A> COPY 1 INBOX\n"
		"A< * 2 EXISTS\n"
		"A< * 2 RECENT\n"
		"A< $ OK [COPYUID .. 1 2] ..\n"
		"A> UID FETCH 2 FLAGS\n"
		"A< * 2 FETCH (UID 2 FLAGS (\\Seen \\Recent))\n"
		"A< $ OK ..\n" },
	{ "RFC 2177 §3, RFC 3501 §7.4.1: IDLE tells expunges and flags of others",
		"A> APPEND INBOX " MAIL " " MAIL "\n"
		"A< $ OK ..\n" SELECT("A") SELECT("B") //
		"A> IDLE\n"
		"A< + idling\n"
		"B> STORE 1 +FLAGS.SILENT (\\Deleted)\n"
		"B< $ OK ..\n"
		"A< * 1 FETCH (UID 1 FLAGS (\\Deleted \\Recent))\n"
		"B> CLOSE\n"
		"B< $ OK ..\n"
		"A< * 1 EXPUNGE\n"
		"A! done\n"
		"A< $ OK Idle completed.\n" },
	{ "RFC 2177 §3: IDLE without a mailbox, and a client that leaves in it",
		"A> IDLE\n"
		"A< + idling\n"
		"A- breaks\n" SELECT("B") //
		"B> IDLE\n"
		"B< + idling\n"
		"B- breaks\n"
		"C> APPEND INBOX " MAIL "\n"
		"C< $ OK ..\n" },
	{ "RFC 3501 §7.1.5: sessions that idle or hold half a command hear of a shutdown",
		"A> IDLE\n"
		"A< + idling\n"
		"B! x CREATE {3}\n"
		"B< + OK\n"
		"C> NOOP\n"
		"C< $ OK ..\n"
		"!restart\n"
		"C> NOOP\n"
		"C< $ OK ..\n",
		NEEDS_DISK },
	{ "RFC 3501 §6.3.4: a mailbox deleted while others use it",
		"A! 1 CREATE box|2 SELECT box\n"
		"A* 2 OK ..\n"
		"B> APPEND box " MAIL "\n"
		"B< $ OK ..\n"
		"B> DELETE box\n"
		"B< $ OK ..\n"
		"B> CREATE box\n"
		"B< $ OK ..\n"
		"B> APPEND box " MAIL "\n"
		"B< $ OK [APPENDUID .. 1] ..\n"
		"A> UID FETCH 1:* FLAGS\n"
		"A< * BYE Mailbox was deleted under you.\n"
		"A< EOF\n" },
	{ "RFC 6851 §3.3: two sessions move the same mail, one gets it",
		"A! 1 CREATE a|2 CREATE b|3 APPEND INBOX {17+}|Subject: x||x|\n"
		"A! \n"
		"A* 3 OK ..\n" SELECT("A") SELECT("B") //
		"A> MOVE 1 a\n"
		"A< * OK [COPYUID ..\n"
		"A< * 1 EXPUNGE\n"
		"A< $ OK ..\n"
		"B> MOVE 1 b\n"
		"B< $ NO [EXPUNGEISSUED] ..\n"
		"B> NOOP\n"
		"B< * 1 EXPUNGE\n"
		"B< $ OK ..\n"
		"B> LIST \"\" (a b) RETURN (STATUS (MESSAGES))\n"
		"B< * LIST () \"/\" a\n"
		"B< * STATUS a (MESSAGES 1)\n"
		"B< * LIST () \"/\" b\n"
		"B< * STATUS b (MESSAGES 0)\n"
		"B< $ OK ..\n" },
	{ "RFC 3501 §7.2.6: a keyword that another session made is told before it is used",
		"A> APPEND INBOX " MAIL "\n"
		"A< $ OK ..\n" SELECT("A") //
		"B> APPEND INBOX (Work) " MAIL "\n"
		"B< $ OK ..\n"
		"A> FETCH 1 UID\n"
		"A< * 1 FETCH (UID 1)\n"
		"A< * FLAGS (.. Work)\n"
		"A< * OK [PERMANENTFLAGS (.. Work \\*)] ..\n"
		"A< * 2 EXISTS\n"
		"A< * 2 RECENT\n"
		"A< $ OK ..\n" },
	{ "Sheet §4.3: the greatest line, and one above it", "A> SEARCH <<@1000>>\n"
							     "A< $ BAD ..No mailbox selected.\n"
							     "A! x SEARCH {70000}\n"
							     "A< x BAD ..\n"
							     "A> NOOP\n"
							     "A< $ OK ..\n" },
	{ "RFC 3501 §2.2.1: NUL, 8-bit atoms and empty lines are BAD, the session goes on",
		"A> CREATE \xc3\xa4\n"
		"A< $ BAD ..\n"
		"A! x\n"
		"A< x BAD ..\n"
		"A> NOOP\n"
		"A< $ OK ..\n" },
	{ 0 },
};
