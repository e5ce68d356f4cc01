/* SPDX-License-Identifier: Apache-2.0 */
/* Receiving mails: APPEND and MULTIAPPEND in every form, and what is refused when. */
#include "service/imap/dialogue.h"

const struct dialogue dialogues_receiving[] = {
	{ "RFC 4315 §3: APPENDUID names the new mail, and APPEND needs no selected mailbox",
		"A> APPEND INBOX <<Subject: one||text|>>\n"
		"A< $ OK [APPENDUID .. 1] Append completed.\n"
		"A> STATUS INBOX (MESSAGES UIDNEXT UNSEEN)\n"
		"A< * STATUS INBOX (MESSAGES 1 UIDNEXT 2 UNSEEN 1)\n"
		"A< $ OK Status completed.\n" },
	{ "RFC 3501 §6.3.11: flags and date are kept, \\Recent is dropped",
		"A> APPEND INBOX (\\Seen \\Recent $Label) \" 4-Mar-2021 10:20:30 +0100\" "
		"<<Subject: "
		"x||y|>>\n"
		"A< $ OK [APPENDUID .. 1] Append completed.\n"
		"A> EXAMINE INBOX\n"
		"A< * FLAGS (.. $Label)\n"
		"A< * OK [PERMANENTFLAGS ()] ..\n"
		"A< * 1 EXISTS\n"
		"A< * 1 RECENT\n"
		"A< * OK [UIDVALIDITY ..] UIDs valid\n"
		"A< * OK [UIDNEXT 2] Predicted next UID\nA< * OK [HIGHESTMODSEQ ..\nA< * OK "
		"[MAILBOXID ..\n"
		"A< $ OK [READ-ONLY] Examine completed.\n"
		"A> FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE)\n"
		"A< * 1 FETCH (FLAGS (\\Seen \\Recent $Label) INTERNALDATE \"04-Mar-2021 09:20:30 "
		"+0000\" RFC822.SIZE 17)\n"
		"A< $ OK Fetch completed.\n" },
	{ "sheet §4.12: EXISTS of the selected mailbox comes before the tagged OK",
		"A> SELECT INBOX\n"
		"A< * FLAGS (..)\n"
		"A< * OK [PERMANENTFLAGS (..)] ..\n"
		"A< * 0 EXISTS\n"
		"A< * 0 RECENT\n"
		"A< * OK [UIDVALIDITY ..] UIDs valid\n"
		"A< * OK [UIDNEXT 1] Predicted next UID\nA< * OK [HIGHESTMODSEQ ..\nA< * OK "
		"[MAILBOXID ..\n"
		"A< $ OK [READ-WRITE] Select completed.\n"
		"A> APPEND INBOX <<Subject: x||y|>>\n"
		"A< * 1 EXISTS\n"
		"A< * 1 RECENT\n"
		"A< $ OK [APPENDUID .. 1] Append completed.\n"
		"A> SEARCH SUBJECT x\n"
		"A< * SEARCH 1\n"
		"A< $ OK Search completed.\n" },
	{ "RFC 7888 §3: a synchronising literal is asked for",
		"A> APPEND INBOX {12}\n"
		"A< + OK\n"
		"A! Subject: x\n"
		"A! \n"
		"A< $ OK [APPENDUID .. 1] Append completed.\n" },
	{ "RFC 3501 §6.3.11: a missing mailbox is told before the literal is sent",
		"A> APPEND Nowhere {10}\n"
		"A< $ NO [TRYCREATE] Mailbox doesn't exist: Nowhere\n"
		"A> APPEND Nowhere <<Subject: x||y|>>\n"
		"A< $ NO [TRYCREATE] Mailbox doesn't exist: Nowhere\n"
		"A> NOOP\n"
		"A< $ OK NOOP completed.\n" },
	{ "RFC 3502 §6.3.11: several mails, one answer",
		"A> APPEND INBOX (\\Seen) <<Subject: 1||a|>> \"04-Mar-2021 10:20:30 +0000\" "
		"<<Subject: "
		"2||b|>> (\\Draft) <<Subject: 3||c|>>\n"
		"A< $ OK [APPENDUID .. 1:3] Append completed.\n"
		"A> STATUS INBOX (MESSAGES UNSEEN)\n"
		"A< * STATUS INBOX (MESSAGES 3 UNSEEN 2)\n"
		"A< $ OK Status completed.\n" },
	{ "RFC 3502 §6.3.11: all or none, also when a later part is wrong",
		"A> APPEND INBOX <<Subject: 1||a|>> (\\Nonsense) <<Subject: 2||b|>>\n"
		"A< $ BAD Error in IMAP command APPEND: ..\n"
		"A> APPEND INBOX <<Subject: 1||a|>> trailing\n"
		"A< $ BAD Error in IMAP command APPEND: ..\n"
		"A> APPEND INBOX <<Subject: 1||a|>> <<>>\n"
		"A< $ NO Can't save a zero byte message.\n"
		"A> APPEND INBOX <<Subject: 1||a|>> \"unterminated\n"
		"A< $ BAD Missing '\"'.\n"
		"A> STATUS INBOX (MESSAGES UIDNEXT)\n"
		"A< * STATUS INBOX (MESSAGES 0 UIDNEXT 1)\n"
		"A< $ OK Status completed.\n" },
	{ "sheet §4.12: what cannot be saved is refused",
		"A> APPEND INBOX {0}\n"
		"A< $ NO Can't save a zero byte message.\n"
		"A> APPEND INBOX \"99-Foo-2025 10:20:30 +0100\" {10}\n"
		"A< $ BAD Error in IMAP command APPEND: ..\n"
		"A> APPEND INBOX (\\Nonsense) {10}\n"
		"A< $ BAD Error in IMAP command APPEND: ..\n"
		"A> APPEND INBOX {4294967295}\n"
		"A< $ NO [TOOBIG] Message size is larger than the maximum allowed size\n"
		"A> APPEND INBOX (aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa) "
		"{10}\n"
		"A< $ NO [LIMIT] Keyword is too long.\n"
		"A> APPEND INBOX text\n"
		"A< $ BAD Error in IMAP command APPEND: Missing message literal.\n"
		"A> UID APPEND INBOX <<Subject: x||y|>>\n"
		"A< $ BAD ..\n"
		"A> NOOP\n"
		"A< $ OK NOOP completed.\n" },
	{ "RFC 7888 §4: a refused literal that is too large to skip ends the connection",
		"A> APPEND INBOX {4294967295+}\n"
		"A< $ NO [TOOBIG] Message size is larger than the maximum allowed size\n"
		"A< * BYE [TOOBIG] Literal size too large.\n"
		"A< EOF\n" },
	{ "RFC 3501 §6.3.11: a date in the far future becomes now",
		"A> APPEND INBOX \"01-Jan-2500 00:00:00 +0000\" <<Subject: x||y|>>\n"
		"A< $ OK [APPENDUID .. 1] Append completed.\n"
		"A> EXAMINE INBOX\n"
		"A< * FLAGS (..)\n"
		"A< * OK [PERMANENTFLAGS ()] ..\n"
		"A< * 1 EXISTS\n"
		"A< * 1 RECENT\n"
		"A< * OK [UNSEEN 1] First unseen.\n"
		"A< * OK [UIDVALIDITY ..] UIDs valid\n"
		"A< * OK [UIDNEXT 2] Predicted next UID\nA< * OK [HIGHESTMODSEQ ..\nA< * OK "
		"[MAILBOXID ..\n"
		"A< $ OK [READ-ONLY] Examine completed.\n"
		"A> SEARCH SINCE 1-Jan-2400\n"
		"A< * SEARCH\n"
		"A< $ OK Search completed.\n" },
	{ "storage contract §3: what was acknowledged is there after a restart",
		"A> APPEND INBOX (\\Flagged) <<Subject: kept||body|>>\n"
		"A< $ OK [APPENDUID .. 1] Append completed.\n"
		"!restart\n"
		"A> STATUS INBOX (MESSAGES UIDNEXT)\n"
		"A< * STATUS INBOX (MESSAGES 1 UIDNEXT 2)\n"
		"A< $ OK Status completed.\n",
		NEEDS_DISK },
	{ NULL },
};
