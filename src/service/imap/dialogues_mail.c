/* SPDX-License-Identifier: Apache-2.0 */
/* Dialogues about mails: APPEND, FETCH, SEARCH, STORE, COPY, MOVE, EXPUNGE. */
#include "service/imap/dialogue.h"

#define MAIL  "<<Subject: x||x|>>"
#define OTHER "<<From: Ann <ann@example.org>|To: bob@example.org|Subject: second||other body|>>"

/* Selects INBOX, which holds mails. */
#define SELECT                                                                                     \
	"A> SELECT INBOX\n"                                                                        \
	"A< * FLAGS ..\nA< * OK [PERMANENTFLAGS ..\nA< * .. EXISTS\nA< * .. RECENT\n"              \
	"A< * OK [UNSEEN ..\nA< * OK [UIDVALIDITY ..\nA< * OK [UIDNEXT ..\n"                       \
	"A< * OK [HIGHESTMODSEQ ..\nA< * OK [MAILBOXID ..\n"                                       \
	"A< $ OK [READ-WRITE] ..\n"
#define THREE_MAILS                                                                                \
	"A> APPEND INBOX " MAIL " (\\Flagged) " OTHER " " MAIL "\n"                                \
	"A< $ OK [APPENDUID .. 1:3] ..\n" SELECT

const struct dialogue dialogues_append[] = {
	{ "RFC 3501 §6.3.11, RFC 4315 §3: APPEND",
		"A> APPEND INBOX (\\Seen $Label) \"01-Jan-2020 10:00:00 +0200\" " MAIL "\n"
		"A< $ OK [APPENDUID .. 1] Append completed.\n"
		"A> APPEND INBOX " MAIL "\n"
		"A< $ OK [APPENDUID .. 2] ..\n" SELECT
		"A> FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE)\n"
		"A< * 1 FETCH (FLAGS (\\Seen \\Recent $Label) INTERNALDATE \"01-Jan-2020 08:00:00 "
		"+0000\" RFC822.SIZE 17)\n"
		"A< $ OK ..\n" },
	{ "RFC 3501 §7.5: a synchronising literal waits for the server",
		"A! x APPEND INBOX {17}\n"
		"A< + OK\n"
		"A! Subject: x||x|\n"
		"A< x OK [APPENDUID .. 1] ..\n" },
	{ "RFC 3501 §6.3.11: [TRYCREATE] before the literal is sent", "A! x APPEND nowhere {17}\n"
								      "A< x NO [TRYCREATE] ..\n"
								      "A> NOOP\n"
								      "A< $ OK ..\n" },
	{ "RFC 7888 §4: a refused literal is swallowed", "A> APPEND nowhere " MAIL "\n"
							 "A< $ NO [TRYCREATE] ..\n"
							 "A> NOOP\n"
							 "A< $ OK NOOP completed.\n" },
	{ "RFC 3501 §6.3.11: arguments that are BAD", "A> APPEND INBOX (\\Nonsense) " MAIL "\n"
						      "A< $ BAD ..\n"
						      "A> APPEND INBOX \"yesterday\" " MAIL "\n"
						      "A< $ BAD ..\n"
						      "A> APPEND INBOX\n"
						      "A< $ BAD ..\n"
						      "A> APPEND INBOX <<>>\n"
						      "A< $ NO ..zero byte message.\n"
						      "A> STATUS INBOX (MESSAGES)\n"
						      "A< * STATUS INBOX (MESSAGES 0)\n"
						      "A< $ OK ..\n" },
	{ "RFC 3502 §6.3.11: MULTIAPPEND is all or nothing",
		"A> APPEND INBOX " MAIL " (\\Draft) " MAIL "\n"
		"A< $ OK [APPENDUID .. 1:2] ..\n"
		"A> APPEND INBOX " MAIL " (\\Nonsense) " MAIL "\n"
		"A< $ BAD ..\n"
		"A> STATUS INBOX (MESSAGES)\n"
		"A< * STATUS INBOX (MESSAGES 2)\n"
		"A< $ OK ..\n" },
	{ "RFC 3501 §6.3.11: APPEND to the selected mailbox tells before its OK",
		"A> APPEND INBOX " MAIL "\n"
		"A< $ OK ..\n" SELECT "A> APPEND INBOX " MAIL "\n"
		"A< * 2 EXISTS\n"
		"A< * 2 RECENT\n"
		"A< $ OK [APPENDUID .. 2] ..\n" },
	{ 0 },
};

const struct dialogue dialogues_fetch[] = {
	{ "RFC 3501 §6.4.5: small items and macros",
		THREE_MAILS "A> FETCH 1:* (UID FLAGS)\n"
			    "A< * 1 FETCH (UID 1 FLAGS (\\Recent))\n"
			    "A< * 2 FETCH (UID 2 FLAGS (\\Flagged \\Recent))\n"
			    "A< * 3 FETCH (UID 3 FLAGS (\\Recent))\n"
			    "A< $ OK Fetch completed.\n"
			    "A> FETCH 1 FAST\n"
			    "A< * 1 FETCH (FLAGS (\\Recent) INTERNALDATE \"..\" RFC822.SIZE 17)\n"
			    "A< $ OK ..\n"
			    "A> UID FETCH 2 RFC822.SIZE\n"
			    "A< * 2 FETCH (UID 2 RFC822.SIZE 81)\n"
			    "A< $ OK ..\n" },
	{ "RFC 3501 §7.4.2: ENVELOPE and BODYSTRUCTURE", THREE_MAILS
		"A> FETCH 2 ENVELOPE\n"
		"A< * 2 FETCH (ENVELOPE (NIL \"second\" ((\"Ann\" NIL \"ann\" \"example.org\")) "
		"((\"Ann\" NIL \"ann\" \"example.org\")) ((\"Ann\" NIL \"ann\" \"example.org\")) "
		"((NIL NIL \"bob\" \"example.org\")) NIL NIL NIL NIL))\n"
		"A< $ OK ..\n"
		"A> FETCH 1 BODY\n"
		"A< * 1 FETCH (BODY (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL "
		"\"7bit\" 3 1))\n"
		"A< $ OK ..\n" },
	{ "RFC 3501 §6.4.5: BODY[] sets \\Seen, BODY.PEEK[] does not",
		THREE_MAILS "A> FETCH 1 BODY.PEEK[TEXT]\n"
			    "A< * 1 FETCH (BODY[TEXT] {3}\n"
			    "A< x\n"
			    "A< )\n"
			    "A< $ OK ..\n"
			    "A> FETCH 1 BODY[]\n"
			    "A< * 1 FETCH (FLAGS (\\Seen \\Recent) BODY[] {17}\n"
			    "A< Subject: x\n"
			    "A< \n"
			    "A< x\n"
			    "A< )\n"
			    "A< $ OK ..\n" },
	{ "RFC 3501 §6.4.5: header fields and partial fetches",
		THREE_MAILS "A> FETCH 2 BODY.PEEK[HEADER.FIELDS (Subject TO)]\n"
			    "A< * 2 FETCH (BODY[HEADER.FIELDS (SUBJECT TO)] {40}\n"
			    "A< To: bob@example.org\n"
			    "A< Subject: second\n"
			    "A< \n"
			    "A< )\n"
			    "A< $ OK ..\n"
			    "A> FETCH 2 BODY.PEEK[]<6.3>\n"
			    "A< * 2 FETCH (BODY[]<6> {3}\n"
			    "A< Ann)\n"
			    "A< $ OK ..\n"
			    "A> FETCH 2 BODY.PEEK[]<4000.3>\n"
			    "A< * 2 FETCH (BODY[]<4000> {0}\n"
			    "A< )\n"
			    "A< $ OK ..\n" },
	{ "RFC 3501 §6.4.8, sheet §4.13: sets beyond what is there",
		THREE_MAILS "A> FETCH 4 UID\n"
			    "A< $ BAD ..Invalid messageset\n"
			    "A> UID FETCH 4 FLAGS\n"
			    "A< $ OK ..\n"
			    "A> UID FETCH 9:* FLAGS\n"
			    "A< * 3 FETCH (UID 3 FLAGS (\\Recent))\n"
			    "A< $ OK ..\n"
			    "A> FETCH 0 UID\n"
			    "A< $ BAD ..\n"
			    "A> FETCH 1 (NONSENSE)\n"
			    "A< $ BAD ..\n" },
	{ "RFC 3501 §6.3.2: nothing changes after EXAMINE",
		"A> APPEND INBOX " MAIL "\n"
		"A< $ OK ..\n"
		"A> EXAMINE INBOX\n"
		"A< * FLAGS ..\nA< * OK [PERMANENTFLAGS ()] ..\nA< * 1 EXISTS\nA< * 1 RECENT\n"
		"A< * OK [UNSEEN ..\nA< * OK [UIDVALIDITY ..\nA< * OK [UIDNEXT ..\n"
		"A< * OK [HIGHESTMODSEQ ..\nA< * OK [MAILBOXID ..\n"
		"A< $ OK [READ-ONLY] ..\n"
		"A> FETCH 1 BODY[TEXT]\n"
		"A< * 1 FETCH (BODY[TEXT] {3}\n"
		"A< x\n"
		"A< )\n"
		"A< $ OK ..\n"
		"A> FETCH 1 FLAGS\n"
		"A< * 1 FETCH (FLAGS (\\Recent))\n"
		"A< $ OK ..\n" },
	{ 0 },
};

const struct dialogue dialogues_search[] = {
	{ "RFC 3501 §6.4.4: numbers and UIDs", THREE_MAILS "A> SEARCH ALL\n"
							   "A< * SEARCH 1 2 3\n"
							   "A< $ OK Search completed.\n"
							   "A> UID SEARCH FLAGGED\n"
							   "A< * SEARCH 2\n"
							   "A< $ OK ..\n"
							   "A> SEARCH UID 3\n"
							   "A< * SEARCH 3\n"
							   "A< $ OK ..\n"
							   "A> SEARCH DELETED\n"
							   "A< * SEARCH\n"
							   "A< $ OK ..\n" },
	{ "RFC 3501 §6.4.4: keys about header and text",
		THREE_MAILS "A> SEARCH SUBJECT SECOND\n"
			    "A< * SEARCH 2\n"
			    "A< $ OK ..\n"
			    "A> SEARCH OR FROM ann SUBJECT x\n"
			    "A< * SEARCH 1 2 3\n"
			    "A< $ OK ..\n"
			    "A> SEARCH NOT BODY other\n"
			    "A< * SEARCH 1 3\n"
			    "A< $ OK ..\n"
			    "A> SEARCH CHARSET UTF-8 TEXT <<bob@>>\n"
			    "A< * SEARCH 2\n"
			    "A< $ OK ..\n"
			    "A> SEARCH LARGER 20\n"
			    "A< * SEARCH 2\n"
			    "A< $ OK ..\n" },
	{ "RFC 3501 §6.4.4: what cannot be searched", THREE_MAILS "A> SEARCH CHARSET X-NONE ALL\n"
								  "A< $ NO [BADCHARSET (..)] ..\n"
								  "A> SEARCH NONSENSE\n"
								  "A< $ BAD ..\n" },
	{ 0 },
};

const struct dialogue dialogues_store[] = {
	{ "RFC 3501 §6.4.6: FLAGS, +FLAGS, -FLAGS",
		THREE_MAILS "A> STORE 1 +FLAGS (\\Seen)\n"
			    "A< * 1 FETCH (FLAGS (\\Seen \\Recent))\n"
			    "A< $ OK Store completed.\n"
			    "A> UID STORE 2 -FLAGS \\Flagged\n"
			    "A< * 2 FETCH (UID 2 FLAGS (\\Recent))\n"
			    "A< $ OK ..\n"
			    "A> STORE 1:2 FLAGS (\\Draft)\n"
			    "A< * 1 FETCH (FLAGS (\\Draft \\Recent))\n"
			    "A< * 2 FETCH (FLAGS (\\Draft \\Recent))\n"
			    "A< $ OK ..\n" },
	{ "RFC 3501 §6.4.6: .SILENT", THREE_MAILS "A> STORE 1:3 +FLAGS.SILENT (\\Answered)\n"
						  "A< $ OK ..\n"
						  "A> FETCH 3 FLAGS\n"
						  "A< * 3 FETCH (FLAGS (\\Answered \\Recent))\n"
						  "A< $ OK ..\n" },
	{ "RFC 3501 §6.4.6: arguments that are BAD", THREE_MAILS "A> STORE 4 +FLAGS (\\Seen)\n"
								 "A< $ BAD ..\n"
								 "A> STORE 1 +FLAGS (\\Recent)\n"
								 "A< $ BAD ..\n"
								 "A> STORE 1 FLAGGED (\\Seen)\n"
								 "A< $ BAD ..\n" },
	{ 0 },
};

const struct dialogue dialogues_copy[] = {
	{ "RFC 3501 §6.4.7, RFC 4315 §3: COPY keeps flags and dates", THREE_MAILS
		"A> CREATE box\n"
		"A< $ OK ..\n"
		"A> COPY 2:3 box\n"
		"A< $ OK [COPYUID .. 2:3 1:2] Copy completed.\n"
		"A> STATUS box (MESSAGES UIDNEXT)\n"
		"A< * STATUS box (MESSAGES 2 UIDNEXT 3)\n"
		"A< $ OK ..\n"
		"A> SELECT box\n"
		"A< * OK [CLOSED] ..\nA< * FLAGS ..\nA< * OK [PERMANENTFLAGS ..\nA< * 2 EXISTS\n"
		"A< * 2 RECENT\nA< * OK [UNSEEN 1] ..\nA< * OK [UIDVALIDITY ..\n"
		"A< * OK [UIDNEXT 3] ..\nA< * OK [HIGHESTMODSEQ ..\nA< * OK [MAILBOXID ..\nA< $ OK "
		"..\n"
		"A> FETCH 1 FLAGS\n"
		"A< * 1 FETCH (FLAGS (\\Flagged \\Recent))\n"
		"A< $ OK ..\n" },
	{ "RFC 3501 §6.4.7: COPY to nowhere, COPY of nothing",
		THREE_MAILS "A> COPY 1 nowhere\n"
			    "A< $ NO [TRYCREATE] ..\n"
			    "A> COPY 4 INBOX\n"
			    "A< $ BAD ..\n"
			    "A> UID COPY 99 INBOX\n"
			    "A< $ OK ..\n" },
	{ "RFC 6851 §4.3: MOVE tells COPYUID, then the expunges",
		THREE_MAILS "A> CREATE box\n"
			    "A< $ OK ..\n"
			    "A> UID MOVE 1:2 box\n"
			    "A< * OK [COPYUID .. 1:2 1:2] ..\n"
			    "A< * .. EXPUNGE\n"
			    "A< * .. EXPUNGE\n"
			    "A< $ OK Move completed.\n"
			    "A> FETCH 1:* UID\n"
			    "A< * 1 FETCH (UID 3)\n"
			    "A< $ OK ..\n"
			    "A> STATUS box (MESSAGES)\n"
			    "A< * STATUS box (MESSAGES 2)\n"
			    "A< $ OK ..\n" },
	{ "RFC 3501 §6.4.3: EXPUNGE", THREE_MAILS "A> STORE 1:2 +FLAGS.SILENT (\\Deleted)\n"
						  "A< $ OK ..\n"
						  "A> EXPUNGE\n"
						  "A< * .. EXPUNGE\n"
						  "A< * .. EXPUNGE\n"
						  "A< $ OK Expunge completed.\n"
						  "A> UID SEARCH ALL\n"
						  "A< * SEARCH 3\n"
						  "A< $ OK ..\n" },
	{ "RFC 4315 §2.1: UID EXPUNGE spares the others",
		THREE_MAILS "A> STORE 1:3 +FLAGS.SILENT (\\Deleted)\n"
			    "A< $ OK ..\n"
			    "A> UID EXPUNGE 2\n"
			    "A< * 2 EXPUNGE\n"
			    "A< $ OK ..\n"
			    "A> UID SEARCH ALL\n"
			    "A< * SEARCH 1 3\n"
			    "A< $ OK ..\n" },
	{ 0 },
};
