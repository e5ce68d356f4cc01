/* SPDX-License-Identifier: Apache-2.0 */
/* Dialogues about selecting a mailbox, leaving it, and what sessions hear of each other. */
#include "service/imap/dialogue.h"

#define MAIL "<<Subject: x||x|>>"

/* What an empty mailbox says before the tagged reply. */
#define EMPTY(client)                                                                              \
	client "< * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\n" client                \
	       "< * OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] "      \
	       "Flags permitted.\n" client "< * 0 EXISTS\n" client "< * 0 RECENT\n" client         \
	       "< * OK [UIDVALIDITY ..] UIDs valid\n" client                                       \
	       "< * OK [UIDNEXT 1] Predicted next UID\n" client                                    \
	       "< * OK [HIGHESTMODSEQ ..\n" client "< * OK [MAILBOXID ..\n"
#define SELECT_EMPTY(client)                                                                       \
	client "> SELECT INBOX\n" EMPTY(client) client "< $ OK [READ-WRITE] Select completed.\n"
/* Selecting with mails in it. */
#define DATA(client) client "< * FLAGS ..\n" client "< * OK [PERMANENTFLAGS ..\n"

const struct dialogue dialogues_select[] = {
	{ "RFC 3501 §6.3.1: SELECT of an empty mailbox", SELECT_EMPTY("A") },
	{ "RFC 3501 §6.3.1: SELECT with mails and keywords",
		"A> APPEND INBOX (\\Seen Label) " MAIL "\n"
		"A< $ OK ..\n"
		"A> APPEND INBOX " MAIL "\n"
		"A< $ OK ..\n"
		"A> SELECT inbox\n"
		"A< * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft Label)\n"
		"A< * OK [PERMANENTFLAGS (\\Answered .. Label \\*)] Flags permitted.\n"
		"A< * 2 EXISTS\n"
		"A< * 2 RECENT\n"
		"A< * OK [UNSEEN 2] First unseen.\n"
		"A< * OK [UIDVALIDITY ..] UIDs valid\n"
		"A< * OK [UIDNEXT 3] Predicted next UID\nA< * OK [HIGHESTMODSEQ ..\nA< * OK "
		"[MAILBOXID ..\n"
		"A< $ OK [READ-WRITE] Select completed.\n" },
	{ "RFC 3501 §6.3.2: EXAMINE is read-only and takes no \\Recent",
		"A> APPEND INBOX " MAIL "\n"
		"A< $ OK ..\n"
		"A> EXAMINE INBOX\n"
		"A< * FLAGS ..\n"
		"A< * OK [PERMANENTFLAGS ()] Read-only mailbox.\n"
		"A< * 1 EXISTS\nA< * 1 RECENT\nA< * OK [UNSEEN 1] ..\nA< * OK [UIDVALIDITY ..\n"
		"A< * OK [UIDNEXT 2] ..\nA< * OK [HIGHESTMODSEQ ..\nA< * OK [MAILBOXID ..\n"
		"A< $ OK [READ-ONLY] Examine completed.\n"
		"B> SELECT INBOX\n" DATA("B") //
		"B< * 1 EXISTS\nB< * 1 RECENT\nB< * OK [UNSEEN 1] ..\nB< * OK [UIDVALIDITY ..\n"
		"B< * OK [UIDNEXT 2] ..\nB< * OK [HIGHESTMODSEQ ..\nB< * OK [MAILBOXID ..\n"
		"B< $ OK [READ-WRITE] ..\n"
		"C> SELECT INBOX\n" DATA("C") //
		"C< * 1 EXISTS\nC< * 0 RECENT\nC< * OK [UNSEEN 1] ..\nC< * OK [UIDVALIDITY ..\n"
		"C< * OK [UIDNEXT 2] ..\nC< * OK [HIGHESTMODSEQ ..\nC< * OK [MAILBOXID ..\n"
		"C< $ OK [READ-WRITE] ..\n" },
	{ "RFC 3501 §6.3.1, RFC 7162 §3.2.11: a failed SELECT leaves nothing selected",
		SELECT_EMPTY("A") //
		"A> SELECT nowhere\n"
		"A< * OK [CLOSED] Previous mailbox closed.\n"
		"A< $ NO [NONEXISTENT] Mailbox doesn't exist: nowhere\n"
		"A> CHECK\n"
		"A< $ BAD ..No mailbox selected.\n" },
	{ "RFC 7162 §3.2.11: [CLOSED] when another mailbox is selected",
		SELECT_EMPTY("A") //
		"A> EXAMINE INBOX\n"
		"A< * OK [CLOSED] Previous mailbox closed.\n"
		"A< * FLAGS ..\nA< * OK [PERMANENTFLAGS ()] ..\nA< * 0 EXISTS\nA< * 0 RECENT\n"
		"A< * OK [UIDVALIDITY ..\nA< * OK [UIDNEXT 1] ..\nA< * OK [HIGHESTMODSEQ ..\nA< * "
		"OK [MAILBOXID ..\n"
		"A< $ OK [READ-ONLY] ..\n" },
	{ "RFC 3501 §6.3.1: a SELECT that is BAD changes nothing",
		SELECT_EMPTY("A") //
		"A> SELECT\n"
		"A< $ BAD ..\n"
		"A> SELECT INBOX (NONSENSE)\n"
		"A< $ BAD ..\n"
		"A> CHECK\n"
		"A< $ OK Check completed.\n" },
	{ "RFC 7162 §3.1.2.1: HIGHESTMODSEQ of an empty mailbox",
		"A> SELECT INBOX (CONDSTORE)\n" EMPTY("A") //
		"A< $ OK [READ-WRITE] ..\n" },
	{ "RFC 3501 §6.4.2: CLOSE expunges without a word",
		"A> APPEND INBOX (\\Deleted) " MAIL "\n"
		"A< $ OK ..\n"
		"A> APPEND INBOX " MAIL "\n"
		"A< $ OK ..\n"
		"A> SELECT INBOX\n" DATA("A") //
		"A< * 2 EXISTS\nA< * 2 RECENT\nA< * OK [UNSEEN 1] ..\nA< * OK [UIDVALIDITY ..\n"
		"A< * OK [UIDNEXT 3] ..\nA< * OK [HIGHESTMODSEQ ..\nA< * OK [MAILBOXID ..\nA< $ OK "
		"..\n"
		"A> CLOSE\n"
		"A< $ OK Close completed.\n"
		"A> STATUS INBOX (MESSAGES)\n"
		"A< * STATUS INBOX (MESSAGES 1)\n"
		"A< $ OK ..\n"
		"A> CLOSE\n"
		"A< $ BAD ..No mailbox selected.\n" },
	{ "RFC 3501 §6.4.2: CLOSE after EXAMINE expunges nothing",
		"A> APPEND INBOX (\\Deleted) " MAIL "\n"
		"A< $ OK ..\n"
		"A> EXAMINE INBOX\n" DATA("A") //
		"A< * 1 EXISTS\nA< * 1 RECENT\nA< * OK [UNSEEN 1] ..\nA< * OK [UIDVALIDITY ..\n"
		"A< * OK [UIDNEXT 2] ..\nA< * OK [HIGHESTMODSEQ ..\nA< * OK [MAILBOXID ..\nA< $ OK "
		"..\n"
		"A> CLOSE\n"
		"A< $ OK Close completed.\n"
		"A> STATUS INBOX (MESSAGES)\n"
		"A< * STATUS INBOX (MESSAGES 1)\n"
		"A< $ OK ..\n" },
	{ "RFC 3691 §2: UNSELECT expunges nothing",
		"A> APPEND INBOX (\\Deleted) " MAIL "\n"
		"A< $ OK ..\n"
		"A> SELECT INBOX\n" DATA("A") //
		"A< * 1 EXISTS\nA< * 1 RECENT\nA< * OK [UNSEEN 1] ..\nA< * OK [UIDVALIDITY ..\n"
		"A< * OK [UIDNEXT 2] ..\nA< * OK [HIGHESTMODSEQ ..\nA< * OK [MAILBOXID ..\nA< $ OK "
		"..\n"
		"A> UNSELECT\n"
		"A< $ OK Unselect completed.\n"
		"A> STATUS INBOX (MESSAGES DELETED)\n"
		"A< * STATUS INBOX (MESSAGES 1 DELETED 1)\n"
		"A< $ OK ..\n"
		"A> UNSELECT\n"
		"A< $ BAD ..\n" },
	{ "RFC 3501 §6.4.1, §7.3.1: CHECK tells of new mail",
		SELECT_EMPTY("A") //
		"B> APPEND INBOX " MAIL "\n"
		"B< $ OK ..\n"
		"A> CHECK\n"
		"A< * 1 EXISTS\n"
		"A< * 1 RECENT\n"
		"A< $ OK Check completed.\n" },
	{ "RFC 3501 §6.3.10, sheet §4.11: STATUS of the selected mailbox",
		SELECT_EMPTY("A") //
		"A> STATUS INBOX (MESSAGES)\n"
		"A< * STATUS INBOX (MESSAGES 0)\n"
		"A< $ OK [CLIENTBUG] Status on selected mailbox completed.\n" },
	{ "RFC 3501 §7.4.1: expunges of others are told, greatest loss first seen",
		"A> APPEND INBOX " MAIL " " MAIL " " MAIL "\n"
		"A< $ OK [APPENDUID .. 1:3] ..\n"
		"A> SELECT INBOX\n" DATA("A") //
		"A< * 3 EXISTS\nA< * 3 RECENT\nA< * OK [UNSEEN 1] ..\nA< * OK [UIDVALIDITY ..\n"
		"A< * OK [UIDNEXT 4] ..\nA< * OK [HIGHESTMODSEQ ..\nA< * OK [MAILBOXID ..\nA< $ OK "
		"..\n"
		"B> SELECT INBOX\n" DATA("B") //
		"B< * 3 EXISTS\nB< * 0 RECENT\nB< * OK [UNSEEN 1] ..\nB< * OK [UIDVALIDITY ..\n"
		"B< * OK [UIDNEXT 4] ..\nB< * OK [HIGHESTMODSEQ ..\nB< * OK [MAILBOXID ..\nB< $ OK "
		"..\n"
		"B> STORE 1,3 +FLAGS.SILENT (\\Deleted)\n"
		"B< $ OK ..\n"
		"B> EXPUNGE\n"
		"B< * .. EXPUNGE\nB< * .. EXPUNGE\n"
		"B< $ OK Expunge completed.\n"
		"A> FETCH 1:3 UID\n"
		"A< * 1 FETCH (UID 1)\nA< * 2 FETCH (UID 2)\nA< * 3 FETCH (UID 3)\n"
		"A< $ ..\n"
		"A> NOOP\n"
		"A< * .. EXPUNGE\nA< * .. EXPUNGE\n"
		"A< $ OK NOOP completed.\n"
		"A> FETCH 1:* UID\n"
		"A< * 1 FETCH (UID 2)\n"
		"A< $ OK ..\n" },
	{ "RFC 3501 §7.4.2: flags that others changed are told, new keywords with FLAGS before",
		"A> APPEND INBOX " MAIL "\n"
		"A< $ OK ..\n"
		"A> SELECT INBOX\n" DATA("A") //
		"A< * 1 EXISTS\nA< * 1 RECENT\nA< * OK [UNSEEN 1] ..\nA< * OK [UIDVALIDITY ..\n"
		"A< * OK [UIDNEXT 2] ..\nA< * OK [HIGHESTMODSEQ ..\nA< * OK [MAILBOXID ..\nA< $ OK "
		"..\n"
		"B> SELECT INBOX\n" DATA("B") //
		"B< * 1 EXISTS\nB< * 0 RECENT\nB< * OK [UNSEEN 1] ..\nB< * OK [UIDVALIDITY ..\n"
		"B< * OK [UIDNEXT 2] ..\nB< * OK [HIGHESTMODSEQ ..\nB< * OK [MAILBOXID ..\nB< $ OK "
		"..\n"
		"B> STORE 1 +FLAGS.SILENT (\\Flagged Label)\n"
		"B< * FLAGS (.. Label)\n"
		"B< * OK [PERMANENTFLAGS (.. Label \\*)] ..\n"
		"B< $ OK ..\n"
		"A> NOOP\n"
		"A< * FLAGS (.. Label)\n"
		"A< * OK [PERMANENTFLAGS (.. Label \\*)] ..\n"
		"A< * 1 FETCH (UID 1 FLAGS (\\Flagged \\Recent Label))\n"
		"A< $ OK ..\n" },
	{ "RFC 2177 §3: IDLE tells at once and ends with DONE",
		SELECT_EMPTY("A") //
		"A> IDLE\n"
		"A< + idling\n"
		"B> APPEND INBOX " MAIL "\n"
		"B< $ OK ..\n"
		"A< * 1 EXISTS\n"
		"A< * 1 RECENT\n"
		"B> APPEND INBOX " MAIL "\n"
		"B< $ OK ..\n"
		"A< * 2 EXISTS\n"
		"A< * 2 RECENT\n"
		"A! DONE\n"
		"A< $ OK Idle completed.\n"
		"A> NOOP\n"
		"A< $ OK NOOP completed.\n" },
	{ "RFC 2177 §3: anything but DONE ends IDLE with BAD", "A> IDLE\n"
							       "A< + idling\n"
							       "A! x NOOP\n"
							       "A< $ BAD Expected DONE.\n"
							       "A> NOOP\n"
							       "A< $ OK NOOP completed.\n" },
	{ "RFC 2177 §3: IDLE is kept alive for as long as it takes",
		SELECT_EMPTY("A") //
		"A> IDLE\n"
		"A< + idling\n"
		"A< * OK Still here\n"
		"A< * OK Still here\n"
		"A! DONE\n"
		"A< $ OK Idle completed.\n",
		NEEDS_VIRTUAL_TIME },
	{ "RFC 2177 §3: a mailbox that goes ends IDLE",
		"A> CREATE box\n"
		"A< $ OK ..\n"
		"A> SELECT box\n" EMPTY("A") "A< $ OK ..\n"
					     "A> IDLE\n"
					     "A< + idling\n"
					     "B> DELETE box\n"
					     "B< $ OK ..\n"
					     "A< * BYE Mailbox was deleted under you.\n"
					     "A< EOF\n" },
	{ "RFC 3501 §6.3.5: a selected mailbox may be renamed",
		"A> CREATE box\n"
		"A< $ OK ..\n"
		"A> SELECT box\n" EMPTY("A") "A< $ OK ..\n"
					     "B> RENAME box other\n"
					     "B< $ OK ..\n"
					     "B> APPEND other " MAIL "\n"
					     "B< $ OK ..\n"
					     "A> NOOP\n"
					     "A< * 1 EXISTS\nA< * 1 RECENT\n"
					     "A< $ OK ..\n" },
	{ "Storage contract §3: what was acknowledged is there after a restart",
		"A> APPEND INBOX (\\Seen Label) " MAIL "\n"
		"A< $ OK ..\n"
		"A> SELECT INBOX\n" DATA("A") //
		"A< * 1 EXISTS\nA< * 1 RECENT\nA< * OK [UIDVALIDITY ..\n"
		"A< * OK [UIDNEXT 2] ..\nA< * OK [HIGHESTMODSEQ ..\nA< * OK [MAILBOXID ..\nA< $ OK "
		"..\n"
		"A> STORE 1 +FLAGS (\\Flagged)\n"
		"A< * 1 FETCH (FLAGS (..))\n"
		"A< $ OK ..\n"
		"!restart\n"
		"A> SELECT INBOX\n"
		"A< * FLAGS (.. Label)\nA< * OK [PERMANENTFLAGS ..\n"
		"A< * 1 EXISTS\nA< * 0 RECENT\nA< * OK [UIDVALIDITY ..\n"
		"A< * OK [UIDNEXT 2] ..\nA< * OK [HIGHESTMODSEQ ..\nA< * OK [MAILBOXID ..\nA< $ OK "
		"..\n"
		"A> FETCH 1 (UID FLAGS BODY.PEEK[])\n"
		"A< * 1 FETCH (UID 1 FLAGS (\\Flagged \\Seen Label) BODY[] {17}\n"
		"A< Subject: x\n"
		"A< \n"
		"A< x\n"
		"A< )\n"
		"A< $ OK ..\n",
		NEEDS_DISK },
	{ 0 },
};
