/* SPDX-License-Identifier: Apache-2.0 */
/* Changing what is there, STORE, COPY, MOVE and EXPUNGE: order of what is told, and other sessions. */
#include "service/imap/dialogue.h"

/* Three mails in INBOX, which client A has selected. */
#define THREE_MAILS                                                                                \
	"A> APPEND INBOX (\\Seen) <<Subject: 1||a|>> (\\Seen) <<Subject: 2||b|>> (\\Seen) "        \
	"<<Subject: 3||c|>>\n"                                                                     \
	"A< $ OK [APPENDUID .. 1:3] Append completed.\n"                                           \
	"A> SELECT INBOX\n"                                                                        \
	"A< * FLAGS (..)\n"                                                                        \
	"A< * OK [PERMANENTFLAGS (..)] ..\n"                                                       \
	"A< * 3 EXISTS\n"                                                                          \
	"A< * 3 RECENT\n"                                                                          \
	"A< * OK [UIDVALIDITY ..] UIDs valid\n"                                                    \
	"A< * OK [UIDNEXT 4] Predicted next UID\nA< * OK [HIGHESTMODSEQ ..\nA< * OK [MAILBOXID "   \
	"..\n"                                                                                     \
	"A< $ OK [READ-WRITE] Select completed.\n"

const struct dialogue dialogues_changing[] = {
	{ "RFC 3501 §6.4.6: the new flags of every mail named are told",
		THREE_MAILS "A> STORE 1:2 +FLAGS (\\Flagged)\n"
			    "A< * 1 FETCH (FLAGS (\\Flagged \\Seen \\Recent))\n"
			    "A< * 2 FETCH (FLAGS (\\Flagged \\Seen \\Recent))\n"
			    "A< $ OK Store completed.\n"
			    "A> STORE 2 -FLAGS \\Flagged \\Draft\n"
			    "A< * 2 FETCH (FLAGS (\\Seen \\Recent))\n"
			    "A< $ OK Store completed.\n"
			    "A> STORE 2 -FLAGS (\\Flagged)\n"
			    "A< * 2 FETCH (FLAGS (\\Seen \\Recent))\n"
			    "A< $ OK Store completed.\n"
			    "A> STORE 1,3 FLAGS ()\n"
			    "A< * 1 FETCH (FLAGS (\\Recent))\n"
			    "A< * 3 FETCH (FLAGS (\\Recent))\n"
			    "A< $ OK Store completed.\n" },
	{ "RFC 3501 §6.4.8: UID STORE tells the UID",
		THREE_MAILS "A> UID STORE 3:9 FLAGS (\\Draft)\n"
			    "A< * 3 FETCH (UID 3 FLAGS (\\Draft \\Recent))\n"
			    "A< $ OK Store completed.\n"
			    "A> UID STORE 100 FLAGS (\\Draft)\n"
			    "A< $ OK Store completed.\n" },
	{ "RFC 3501 §6.4.6: .SILENT tells nothing of its own",
		THREE_MAILS "A> STORE 1:3 +FLAGS.SILENT (\\Answered)\n"
			    "A< $ OK Store completed.\n"
			    "A> FETCH 3 FLAGS\n"
			    "A< * 3 FETCH (FLAGS (\\Answered \\Seen \\Recent))\n"
			    "A< $ OK Fetch completed.\n" },
	{ "RFC 3501 §7.2.6: a new keyword stands in FLAGS before it is used",
		THREE_MAILS "A> STORE 1 +FLAGS ($Work)\n"
			    "A< * FLAGS (.. $Work)\n"
			    "A< * OK [PERMANENTFLAGS (.. $Work \\*)] ..\n"
			    "A< * 1 FETCH (FLAGS (\\Seen \\Recent $Work))\n"
			    "A< $ OK Store completed.\n"
			    "A> STORE 2 +FLAGS ($WORK)\n"
			    "A< * 2 FETCH (FLAGS (\\Seen \\Recent $Work))\n"
			    "A< $ OK Store completed.\n"
			    "A> STORE 2 -FLAGS ($work never)\n"
			    "A< * 2 FETCH (FLAGS (\\Seen \\Recent))\n"
			    "A< $ OK Store completed.\n" },
	{ "sheet §4.14: what another session changed is told too",
		THREE_MAILS "B> SELECT INBOX\n"
			    "B< * FLAGS (..)\n"
			    "B< * OK [PERMANENTFLAGS (..)] ..\n"
			    "B< * 3 EXISTS\n"
			    "B< * 0 RECENT\n"
			    "B< * OK [UIDVALIDITY ..] UIDs valid\n"
			    "B< * OK [UIDNEXT 4] Predicted next UID\nB< * OK [HIGHESTMODSEQ ..\nB< "
			    "* OK [MAILBOXID ..\n"
			    "B< $ OK [READ-WRITE] Select completed.\n"
			    "B> STORE 2 FLAGS.SILENT (\\Flagged)\n"
			    "B< $ OK Store completed.\n"
			    "A> STORE 1 +FLAGS.SILENT (\\Draft)\n"
			    "A< * 2 FETCH (UID 2 FLAGS (\\Flagged \\Recent))\n"
			    "A< $ OK Store completed.\n"
			    "B> NOOP\n"
			    "B< * 1 FETCH (UID 1 FLAGS (\\Seen \\Draft))\n"
			    "B< $ OK NOOP completed.\n" },
	{ "sheet §4.14: nonsense and limits",
		THREE_MAILS "A> STORE 1 +FLAGS (\\Recent)\n"
			    "A< $ BAD Error in IMAP command STORE: ..\n"
			    "A> STORE 1 +FLAGS (\\Nonsense)\n"
			    "A< $ BAD Error in IMAP command STORE: ..\n"
			    "A> STORE 4 +FLAGS (\\Seen)\n"
			    "A< $ BAD Error in IMAP command STORE: Invalid messageset\n"
			    "A> STORE 1 (UNCHANGEDSINCE x) FLAGS (\\Seen)\n"
			    "A< $ BAD Error in IMAP command STORE: ..\n"
			    "A> STORE 1 +FLAGS "
			    "(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa)\n"
			    "A< $ NO [LIMIT] Keyword is too long.\n" },
	{ "sheet §4.14: a mailbox that was EXAMINEd stays as it is",
		THREE_MAILS "A> EXAMINE INBOX\n"
			    "A< * OK [CLOSED] Previous mailbox closed.\n"
			    "A< * FLAGS (..)\n"
			    "A< * OK [PERMANENTFLAGS ()] ..\n"
			    "A< * 3 EXISTS\n"
			    "A< * 0 RECENT\n"
			    "A< * OK [UIDVALIDITY ..] UIDs valid\n"
			    "A< * OK [UIDNEXT 4] Predicted next UID\nA< * OK [HIGHESTMODSEQ ..\nA< "
			    "* OK [MAILBOXID ..\n"
			    "A< $ OK [READ-ONLY] Examine completed.\n"
			    "A> STORE 1 FLAGS (\\Deleted)\n"
			    "A< $ OK Store ignored with read-only mailbox.\n"
			    "A> EXPUNGE\n"
			    "A< $ OK Expunge ignored: Mailbox is read-only.\n"
			    "A> MOVE 1 INBOX\n"
			    "A< $ NO [CANNOT] Mailbox is read-only.\n"
			    "A> FETCH 1 FLAGS\n"
			    "A< * 1 FETCH (FLAGS (\\Seen))\n"
			    "A< $ OK Fetch completed.\n" },
	{ "storage contract §5: acknowledged flags are there after a restart",
		THREE_MAILS "A> STORE 2 FLAGS.SILENT (\\Flagged \\Seen $Work)\n"
			    "A< * FLAGS (.. $Work)\n"
			    "A< * OK [PERMANENTFLAGS (.. $Work \\*)] ..\n"
			    "A< $ OK Store completed.\n"
			    "!restart\n"
			    "A> EXAMINE INBOX\n"
			    "A< * FLAGS (.. $Work)\n"
			    "A< * OK [PERMANENTFLAGS ()] ..\n"
			    "A< * 3 EXISTS\n"
			    "A< * 0 RECENT\n"
			    "A< * OK [UIDVALIDITY ..] UIDs valid\n"
			    "A< * OK [UIDNEXT 4] Predicted next UID\nA< * OK [HIGHESTMODSEQ ..\nA< "
			    "* OK [MAILBOXID ..\n"
			    "A< $ OK [READ-ONLY] Examine completed.\n"
			    "A> FETCH 2 FLAGS\n"
			    "A< * 2 FETCH (FLAGS (\\Flagged \\Seen $Work))\n"
			    "A< $ OK Fetch completed.\n",
		NEEDS_DISK },

	{ "RFC 4315 §3: COPYUID pairs old and new UIDs",
		THREE_MAILS "A> CREATE Other\n"
			    "A< $ OK [MAILBOXID (..)] Create completed.\n"
			    "A> COPY 2:3 Other\n"
			    "A< $ OK [COPYUID .. 2:3 1:2] Copy completed.\n"
			    "A> UID COPY 1,3 Other\n"
			    "A< $ OK [COPYUID .. 1,3 3:4] Copy completed.\n"
			    "A> STATUS Other (MESSAGES UIDNEXT UNSEEN)\n"
			    "A< * STATUS Other (MESSAGES 4 UIDNEXT 5 UNSEEN 0)\n"
			    "A< $ OK Status completed.\n"
			    "A> UID COPY 100 Other\n"
			    "A< $ OK No messages found.\n" },
	{ "RFC 3501 §6.4.7: a missing target is told with TRYCREATE",
		THREE_MAILS "A> COPY 1 Nowhere\n"
			    "A< $ NO [TRYCREATE] Mailbox doesn't exist: Nowhere\n"
			    "A> UID MOVE 1 Nowhere\n"
			    "A< $ NO [TRYCREATE] Mailbox doesn't exist: Nowhere\n"
			    "A> COPY 4 INBOX\n"
			    "A< $ BAD Error in IMAP command COPY: Invalid messageset\n" },
	{ "RFC 3501 §6.4.7: copies into the same mailbox are told before OK",
		THREE_MAILS "A> COPY 1 INBOX\n"
			    "A< * 4 EXISTS\n"
			    "A< * 4 RECENT\n"
			    "A< $ OK [COPYUID .. 1 4] Copy completed.\n" },
	{ "RFC 6851 §4.3: MOVE tells COPYUID, then what is gone",
		THREE_MAILS "A> CREATE Other\n"
			    "A< $ OK [MAILBOXID (..)] Create completed.\n"
			    "A> MOVE 1:2 Other\n"
			    "A< * OK [COPYUID .. 1:2 1:2] Moved UIDs.\n"
			    "A< * 2 EXPUNGE\n"
			    "A< * 1 EXPUNGE\n"
			    "A< $ OK Move completed.\n"
			    "A> UID MOVE 3 Other\n"
			    "A< * OK [COPYUID .. 3 3] Moved UIDs.\n"
			    "A< * 1 EXPUNGE\n"
			    "A< $ OK Move completed.\n"
			    "A> UID MOVE 3 Other\n"
			    "A< $ OK No messages found.\n"
			    "A> STATUS Other (MESSAGES)\n"
			    "A< * STATUS Other (MESSAGES 3)\n"
			    "A< $ OK Status completed.\n" },
	{ "RFC 3501 §6.4.3: EXPUNGE takes what is \\Deleted, each number after those before it",
		THREE_MAILS "A> STORE 1,3 +FLAGS.SILENT (\\Deleted)\n"
			    "A< $ OK Store completed.\n"
			    "A> EXPUNGE\n"
			    "A< * 3 EXPUNGE\n"
			    "A< * 1 EXPUNGE\n"
			    "A< $ OK Expunge completed.\n"
			    "A> UID SEARCH ALL\n"
			    "A< * SEARCH 2\n"
			    "A< $ OK Search completed.\n" },
	{ "RFC 4315 §2.1: UID EXPUNGE takes those of the set alone",
		THREE_MAILS "A> STORE 1:2 +FLAGS.SILENT (\\Deleted)\n"
			    "A< $ OK Store completed.\n"
			    "A> UID EXPUNGE 2:*\n"
			    "A< * 2 EXPUNGE\n"
			    "A< $ OK Expunge completed.\n"
			    "A> UID EXPUNGE\n"
			    "A< $ BAD Error in IMAP command EXPUNGE: ..\n"
			    "A> FETCH 1:* (UID FLAGS)\n"
			    "A< * 1 FETCH (UID 1 FLAGS (\\Deleted \\Seen \\Recent))\n"
			    "A< * 2 FETCH (UID 3 FLAGS (\\Seen \\Recent))\n"
			    "A< $ OK Fetch completed.\n" },
	{ "RFC 2180 §4.1: another session's expunge waits until numbers may change", THREE_MAILS
		"B> SELECT INBOX\n"
		"B< * FLAGS (..)\n"
		"B< * OK [PERMANENTFLAGS (..)] ..\n"
		"B< * 3 EXISTS\n"
		"B< * 0 RECENT\n"
		"B< * OK [UIDVALIDITY ..] UIDs valid\n"
		"B< * OK [UIDNEXT 4] Predicted next UID\nB< * OK [HIGHESTMODSEQ ..\nB< * OK "
		"[MAILBOXID ..\n"
		"B< $ OK [READ-WRITE] Select completed.\n"
		"B> STORE 1 +FLAGS.SILENT (\\Deleted)\n"
		"B< $ OK Store completed.\n"
		"B> EXPUNGE\n"
		"B< * 1 EXPUNGE\n"
		"B< $ OK Expunge completed.\n"
		"A> SEARCH UID 2:3\n"
		"A< * SEARCH 2 3\n"
		"A< $ OK Search completed.\n"
		"A> STORE 3 FLAGS (\\Draft)\n"
		"A< * 3 FETCH (FLAGS (\\Draft \\Recent))\n"
		"A< $ OK Store completed.\n"
		"A> COPY 1 INBOX\n"
		"A< $ NO [EXPUNGEISSUED] Some of the requested messages no longer exist.\n"
		"A> NOOP\n"
		"A< * 1 EXPUNGE\n"
		"A< $ OK NOOP completed.\n" },
	{ "RFC 2180 §4.2: STORE says that mails are gone, UID STORE tells it",
		THREE_MAILS "B> SELECT INBOX\n"
			    "B* $ OK ..\n" //
			    "B> STORE 1 +FLAGS.SILENT (\\Deleted)\n"
			    "B< $ OK Store completed.\n"
			    "B> EXPUNGE\n"
			    "B< * 1 EXPUNGE\n"
			    "B< $ OK Expunge completed.\n"
			    "A> STORE 1 FLAGS (\\Draft)\n"
			    "A< $ NO [EXPUNGEISSUED] Some of the messages no longer exist.\n"
			    "A> STORE 1:2 FLAGS (\\Draft)\n"
			    "A< * 2 FETCH (FLAGS (\\Draft \\Recent))\n"
			    "A< $ NO [EXPUNGEISSUED] Some of the messages no longer exist.\n"
			    "A> STORE 1:2 FLAGS.SILENT (\\Seen)\n"
			    "A< $ OK [EXPUNGEISSUED] Some of the messages no longer exist.\n"
			    "A> UID STORE 1:2 FLAGS (\\Flagged)\n"
			    "A< * 2 FETCH (UID 2 FLAGS (\\Flagged \\Recent))\n"
			    "A< * 1 EXPUNGE\n"
			    "A< $ OK Store completed.\n" },
	{ "storage contract §4: a move is whole after a restart",
		THREE_MAILS "A> MOVE 1:2 Trash\n"
			    "A< $ NO [TRYCREATE] Mailbox doesn't exist: Trash\n"
			    "A> CREATE Trash\n"
			    "A< $ OK [MAILBOXID (..)] Create completed.\n"
			    "A> MOVE 1:2 Trash\n"
			    "A< * OK [COPYUID .. 1:2 1:2] Moved UIDs.\n"
			    "A< * 2 EXPUNGE\n"
			    "A< * 1 EXPUNGE\n"
			    "A< $ OK Move completed.\n"
			    "!restart\n"
			    "A> STATUS INBOX (MESSAGES UIDNEXT)\n"
			    "A< * STATUS INBOX (MESSAGES 1 UIDNEXT 4)\n"
			    "A< $ OK Status completed.\n"
			    "A> STATUS Trash (MESSAGES UIDNEXT)\n"
			    "A< * STATUS Trash (MESSAGES 2 UIDNEXT 3)\n"
			    "A< $ OK Status completed.\n",
		NEEDS_DISK },
	{ NULL },
};
