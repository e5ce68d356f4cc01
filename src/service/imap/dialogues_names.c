/* SPDX-License-Identifier: Apache-2.0 */
/* Dialogues about everything but a selected mailbox: any state, the tree of names, STATUS. */
#include "service/imap/dialogue.h"

const struct dialogue dialogues_any[] = {
	{ "RFC 3501 §6.1.1: CAPABILITY lists what works",
		"A> CAPABILITY\n"
		"A< * CAPABILITY IMAP4rev1 ..IDLE.. UIDPLUS ..\n"
		"A< $ OK Capability completed.\n" },
	{ "RFC 3501 §6.1.2: NOOP without a mailbox", "A> NOOP\n"
						     "A< $ OK NOOP completed.\n" },
	{ "RFC 3501 §6.1.3: LOGOUT says BYE before its OK", "A> LOGOUT\n"
							    "A< * BYE Logging out\n"
							    "A< $ OK Logout completed.\n"
							    "A< EOF\n" },
	{ "RFC 3501 §2.2.1: commands are case-insensitive, tags come back as sent",
		"A> nOoP\n"
		"A< $ OK NOOP completed.\n"
		"A! x.y-1 noop\n"
		"A< x.y-1 OK NOOP completed.\n" },
	{ "RFC 3501 §7.1.3: unknown commands and wrong states are BAD",
		"A> FROBNICATE\n"
		"A< $ BAD Error in IMAP command FROBNICATE: Unknown command.\n"
		"A> UID NOOP\n"
		"A< $ BAD Error in IMAP command NOOP: Unknown command.\n"
		"A> CHECK\n"
		"A< $ BAD Error in IMAP command CHECK: No mailbox selected.\n"
		"A> FETCH 1 FLAGS\n"
		"A< $ BAD Error in IMAP command FETCH: No mailbox selected.\n" },
	{ "RFC 3501 §7.1.3: arguments where none belong",
		"A> NOOP now\n"
		"A< $ BAD Error in IMAP command NOOP: ..\n"
		"A> CAPABILITY IMAP4\n"
		"A< $ BAD ..\n"
		"A> LOGOUT please\n"
		"A< $ BAD ..\n" },
	{ "RFC 3501 §5.5: pipelined commands are answered in order", "A! 1 NOOP|2 CREATE p|3 NOOP\n"
								     "A< 1 OK ..\n"
								     "A< 2 OK ..\n"
								     "A< 3 OK ..\n" },
	{ "RFC 2971 §3.1: ID", "A> ID NIL\n"
			       "A< * ID (\"name\" \"Pombal\")\n"
			       "A< $ OK ID completed.\n"
			       "A> ID (\"name\" \"a client\" \"os\" NIL)\n"
			       "A< * ID (..)\n"
			       "A< $ OK ..\n"
			       "A> ID (\"name\")\n"
			       "A< $ BAD ..\n" },
	{ "RFC 5161 §3.1: ENABLE of unknown things enables nothing", "A> ENABLE X-NONSENSE\n"
								     "A< * ENABLED\n"
								     "A< $ OK Enabled.\n"
								     "A> ENABLE\n"
								     "A< $ BAD ..\n" },
	{ "RFC 2342 §5: NAMESPACE", "A> NAMESPACE\n"
				    "A< * NAMESPACE ((\"\" \"/\")) NIL NIL\n"
				    "A< $ OK Namespace completed.\n" },
	{ "RFC 7888 §4: literals in any argument", "A> CREATE <<in a literal>>\n"
						   "A< $ OK ..\n"
						   "A! x STATUS {12}\n"
						   "A< + OK\n"
						   "A! in a literal (MESSAGES)\n"
						   "A< * STATUS \"in a literal\" (MESSAGES 0)\n"
						   "A< x OK ..\n" },
	{ "Sheet §4.4: twenty bad commands in a row end the session",
		"A! 1 A|2 A|3 A|4 A|5 A|6 A|7 A|8 A|9 A|10 A\n"
		"A< 1 BAD ..\nA< 2 BAD ..\nA< 3 BAD ..\nA< 4 BAD ..\nA< 5 BAD ..\n"
		"A< 6 BAD ..\nA< 7 BAD ..\nA< 8 BAD ..\nA< 9 BAD ..\nA< 10 BAD ..\n"
		"A> NOOP\n"
		"A< $ OK ..\n"
		"A! 1 A|2 A|3 A|4 A|5 A|6 A|7 A|8 A|9 A|10 A\n"
		"A< 1 BAD ..\nA< 2 BAD ..\nA< 3 BAD ..\nA< 4 BAD ..\nA< 5 BAD ..\n"
		"A< 6 BAD ..\nA< 7 BAD ..\nA< 8 BAD ..\nA< 9 BAD ..\nA< 10 BAD ..\n"
		"A! 1 A|2 A|3 A|4 A|5 A|6 A|7 A|8 A|9 A|10 A\n"
		"A< 1 BAD ..\nA< 2 BAD ..\nA< 3 BAD ..\nA< 4 BAD ..\nA< 5 BAD ..\n"
		"A< 6 BAD ..\nA< 7 BAD ..\nA< 8 BAD ..\nA< 9 BAD ..\nA< 10 BAD ..\n"
		"A< * BYE Too many invalid IMAP commands.\n"
		"A< EOF\n" },
	{ "RFC 3501 §5.4: thirty minutes of silence end the session",
		"A> NOOP\n"
		"A< $ OK ..\n"
		"A< * BYE Disconnected for inactivity.\n"
		"A< EOF\n",
		NEEDS_VIRTUAL_TIME },
	{ 0 },
};

const struct dialogue dialogues_tree[] = {
	{ "RFC 3501 §6.3.3: CREATE, and again", "A> CREATE box\n"
						"A< $ OK [MAILBOXID (..)] Create completed.\n"
						"A> CREATE box\n"
						"A< $ NO [ALREADYEXISTS] Mailbox already exists\n"
						"A> CREATE inbox\n"
						"A< $ NO [ALREADYEXISTS] ..\n" },
	{ "RFC 3501 §6.3.3: a separator at the end means a directory",
		"A> CREATE box/\n"
		"A< $ OK ..\n"
		"A> CREATE box/below\n"
		"A< $ OK ..\n"
		"A> LIST \"\" %\n"
		"A< * LIST (\\HasNoChildren) \"/\" INBOX\n"
		"A< * LIST (\\HasChildren) \"/\" box\n"
		"A< $ OK ..\n" },
	{ "RFC 3501 §6.3.3: parents appear by themselves and can be created later",
		"A> CREATE a/b/c\n"
		"A< $ OK ..\n"
		"A> LIST \"\" a*\n"
		"A< * LIST (\\Noselect \\HasChildren) \"/\" a\n"
		"A< * LIST (\\Noselect \\HasChildren) \"/\" a/b\n"
		"A< * LIST (\\HasNoChildren) \"/\" a/b/c\n"
		"A< $ OK ..\n"
		"A> SELECT a\n"
		"A< $ NO [NONEXISTENT] Mailbox doesn't exist: a\n"
		"A> CREATE a\n"
		"A< $ OK ..\n"
		"A> LIST \"\" a\n"
		"A< * LIST (\\HasChildren) \"/\" a\n"
		"A< $ OK ..\n" },
	{ "Sheet §4.7: names that cannot be", "A> CREATE a//b\n"
					      "A< $ NO [CANNOT] Invalid mailbox name: ..\n"
					      "A> CREATE /a\n"
					      "A< $ NO [CANNOT] ..\n"
					      "A> CREATE a/../b\n"
					      "A< $ NO [CANNOT] ..\n"
					      "A> CREATE ~a\n"
					      "A< $ NO [CANNOT] ..\n"
					      "A> CREATE \"\"\n"
					      "A< $ NO [CANNOT] ..\n" },
	{ "RFC 3501 §5.1.3: names in modified UTF-7",
		"A> CREATE Entw&APw-rfe\n"
		"A< $ OK ..\n"
		"A> LIST \"\" Ent*\n"
		"A< * LIST (\\HasNoChildren) \"/\" Entw&APw-rfe\n"
		"A< $ OK ..\n"
		"A> CREATE a&-b\n"
		"A< $ OK ..\n"
		"A> STATUS a&-b (MESSAGES)\n"
		"A< * STATUS a&-b (MESSAGES 0)\n"
		"A< $ OK ..\n"
		"A> CREATE a&AGE-b\n"
		"A< $ BAD ..\n" },
	{ "RFC 6154 §3: CREATE with a special use",
		"A> CREATE Out (USE (\\Sent))\n"
		"A< $ OK ..\n"
		"A> LIST \"\" Out\n"
		"A< * LIST (\\HasNoChildren \\Sent) \"/\" Out\n"
		"A< $ OK ..\n"
		"A> CREATE Other (USE (\\Sent))\n"
		"A< $ NO [USEATTR] Another mailbox has this special use.\n"
		"A> CREATE Other (USE (\\Nonsense))\n"
		"A< $ NO [USEATTR] ..\n"
		"A> CREATE Other (USE (\\Junk \\Trash))\n"
		"A< $ NO [USEATTR] ..\n"
		"A> CREATE Other (COLOUR (RED))\n"
		"A< $ BAD ..\n" },
	{ "RFC 3501 §6.3.4: DELETE", "A> CREATE box\n"
				     "A< $ OK ..\n"
				     "A> DELETE box\n"
				     "A< $ OK Delete completed.\n"
				     "A> DELETE box\n"
				     "A< $ NO [NONEXISTENT] Mailbox doesn't exist: box\n"
				     "A> SELECT box\n"
				     "A< $ NO [NONEXISTENT] ..\n"
				     "A> DELETE INBOX\n"
				     "A< $ NO [CANNOT] INBOX can't be deleted.\n" },
	{ "RFC 3501 §6.3.4: what is below a deleted mailbox stays",
		"A> CREATE a\n"
		"A< $ OK ..\n"
		"A> CREATE a/b\n"
		"A< $ OK ..\n"
		"A> DELETE a\n"
		"A< $ OK ..\n"
		"A> LIST \"\" a*\n"
		"A< * LIST (\\Noselect \\HasChildren) \"/\" a\n"
		"A< * LIST (\\HasNoChildren) \"/\" a/b\n"
		"A< $ OK ..\n"
		"A> DELETE a\n"
		"A< $ NO [HASCHILDREN] ..\n" },
	{ "Sheet §4.9: deleting what is selected ends the session",
		"A> CREATE box\n"
		"A< $ OK ..\n"
		"A> SELECT box\n"
		"A< * FLAGS ..\nA< * OK [PERMANENTFLAGS ..\nA< * 0 EXISTS\nA< * 0 RECENT\n"
		"A< * OK [UIDVALIDITY ..\nA< * OK [UIDNEXT 1] ..\nA< * OK [HIGHESTMODSEQ ..\nA< * "
		"OK [MAILBOXID ..\n"
		"A< $ OK [READ-WRITE] Select completed.\n"
		"B> SELECT box\n"
		"B< * FLAGS ..\nB< * OK [PERMANENTFLAGS ..\nB< * 0 EXISTS\nB< * 0 RECENT\n"
		"B< * OK [UIDVALIDITY ..\nB< * OK [UIDNEXT 1] ..\nB< * OK [HIGHESTMODSEQ ..\nB< * "
		"OK [MAILBOXID ..\n"
		"B< $ OK [READ-WRITE] Select completed.\n"
		"A> DELETE box\n"
		"A< $ OK Delete completed.\n"
		"A< * BYE Selected mailbox was deleted, we have to disconnect.\n"
		"A< EOF\n"
		"B> NOOP\n"
		"B< * BYE Mailbox was deleted under you.\n"
		"B< EOF\n" },
	{ "RFC 3501 §6.3.3: a mailbox made anew has a greater UIDVALIDITY and no mails",
		"A> CREATE box\n"
		"A< $ OK ..\n"
		"A> APPEND box <<Subject: x||x|>>\n"
		"A< $ OK [APPENDUID .. 1] ..\n"
		"A> DELETE box\n"
		"A< $ OK ..\n"
		"A> CREATE box\n"
		"A< $ OK ..\n"
		"A> STATUS box (MESSAGES UIDNEXT)\n"
		"A< * STATUS box (MESSAGES 0 UIDNEXT 1)\n"
		"A< $ OK ..\n" },
	{ "RFC 3501 §6.3.5: RENAME takes the children along",
		"A> CREATE a/b\n"
		"A< $ OK ..\n"
		"A> CREATE a\n"
		"A< $ OK ..\n"
		"A> APPEND a/b <<Subject: x||x|>>\n"
		"A< $ OK ..\n"
		"A> RENAME a c/d\n"
		"A< $ OK Rename completed.\n"
		"A> LIST \"\" *\n"
		"A< * LIST (\\HasNoChildren) \"/\" INBOX\n"
		"A< * LIST (\\Noselect \\HasChildren) \"/\" c\n"
		"A< * LIST (\\HasChildren) \"/\" c/d\n"
		"A< * LIST (\\HasNoChildren) \"/\" c/d/b\n"
		"A< $ OK ..\n"
		"A> STATUS c/d/b (MESSAGES)\n"
		"A< * STATUS c/d/b (MESSAGES 1)\n"
		"A< $ OK ..\n" },
	{ "RFC 3501 §6.3.5: RENAME that cannot be",
		"A> CREATE a\n"
		"A< $ OK ..\n"
		"A> CREATE b\n"
		"A< $ OK ..\n"
		"A> RENAME a b\n"
		"A< $ NO [ALREADYEXISTS] Target mailbox already exists\n"
		"A> RENAME x y\n"
		"A< $ NO [NONEXISTENT] Mailbox doesn't exist: x\n"
		"A> RENAME a a/b\n"
		"A< $ NO [CANNOT] ..\n"
		"A> RENAME a\n"
		"A< $ BAD ..\n" },
	{ "RFC 3501 §6.3.5: RENAME of INBOX moves its mails and leaves its children",
		"A> CREATE INBOX/child\n"
		"A< $ OK ..\n"
		"A> APPEND INBOX <<Subject: x||x|>>\n"
		"A< $ OK ..\n"
		"A> RENAME INBOX old\n"
		"A< $ OK ..\n"
		"A> LIST \"\" *\n"
		"A< * LIST (\\HasChildren) \"/\" INBOX\n"
		"A< * LIST (\\HasNoChildren) \"/\" INBOX/child\n"
		"A< * LIST (\\HasNoChildren) \"/\" old\n"
		"A< $ OK ..\n"
		"A> STATUS INBOX (MESSAGES)\n"
		"A< * STATUS INBOX (MESSAGES 0)\n"
		"A< $ OK ..\n"
		"A> STATUS old (MESSAGES)\n"
		"A< * STATUS old (MESSAGES 1)\n"
		"A< $ OK ..\n" },
	{ "RFC 3501 §6.3.6: SUBSCRIBE, sheet §4.8: of what exists",
		"A> CREATE box\n"
		"A< $ OK ..\n"
		"A> SUBSCRIBE box\n"
		"A< $ OK Subscribe completed.\n"
		"A> SUBSCRIBE box/\n"
		"A< $ OK ..\n"
		"A> SUBSCRIBE nowhere\n"
		"A< $ NO [NONEXISTENT] Mailbox doesn't exist: nowhere\n"
		"A> LSUB \"\" *\n"
		"A< * LSUB () \"/\" INBOX\n"
		"A< * LSUB () \"/\" box\n"
		"A< $ OK Lsub completed.\n" },
	{ "RFC 3501 §6.3.7: UNSUBSCRIBE always succeeds", "A> UNSUBSCRIBE INBOX\n"
							  "A< $ OK Unsubscribe completed.\n"
							  "A> UNSUBSCRIBE nowhere\n"
							  "A< $ OK ..\n"
							  "A> LSUB \"\" *\n"
							  "A< $ OK ..\n" },
	{ "RFC 3501 §6.3.6: a subscription outlives its mailbox", "A> CREATE box\n"
								  "A< $ OK ..\n"
								  "A> SUBSCRIBE box\n"
								  "A< $ OK ..\n"
								  "A> DELETE box\n"
								  "A< $ OK ..\n"
								  "A> LSUB \"\" box\n"
								  "A< * LSUB () \"/\" box\n"
								  "A< $ OK ..\n"
								  "A> LIST \"\" box\n"
								  "A< $ OK ..\n" },
	{ "RFC 3501 §6.3.10: STATUS",
		"A> APPEND INBOX (\\Seen) <<Subject: x||x|>>\n"
		"A< $ OK ..\n"
		"A> APPEND INBOX (\\Deleted) <<Subject: yy||y|>>\n"
		"A< $ OK ..\n"
		"A> STATUS inbox (UNSEEN MESSAGES RECENT UIDNEXT SIZE DELETED)\n"
		"A< * STATUS INBOX (MESSAGES 2 RECENT 2 UIDNEXT 3 UNSEEN 1 SIZE 35 DELETED 1)\n"
		"A< $ OK Status completed.\n"
		"A> STATUS INBOX (UIDVALIDITY)\n"
		"A< * STATUS INBOX (UIDVALIDITY ..)\n"
		"A< $ OK ..\n" },
	{ "RFC 3501 §6.3.10: STATUS that cannot be",
		"A> STATUS nowhere (MESSAGES)\n"
		"A< $ NO [NONEXISTENT] Mailbox doesn't exist: nowhere\n"
		"A> STATUS INBOX (COLOUR)\n"
		"A< $ BAD Error in IMAP command STATUS: Invalid status item: COLOUR\n"
		"A> STATUS INBOX ()\n"
		"A< $ BAD ..\n" },
	{ "RFC 7889 §3.1, RFC 8474 §4.3: further STATUS items",
		"A> STATUS INBOX (APPENDLIMIT)\n"
		"A< * STATUS INBOX (APPENDLIMIT ..)\n"
		"A< $ OK ..\n"
		"A> STATUS INBOX (MAILBOXID MESSAGES)\n"
		"A< * STATUS INBOX (MESSAGES 0 MAILBOXID (..))\n"
		"A< $ OK ..\n" },
	{ "Storage contract §3: the tree survives a restart",
		"A> CREATE a/b\n"
		"A< $ OK ..\n"
		"A> CREATE Out (USE (\\Sent))\n"
		"A< $ OK ..\n"
		"A> SUBSCRIBE a/b\n"
		"A< $ OK ..\n"
		"A> DELETE a/b\n"
		"A< $ OK ..\n"
		"!restart\n"
		"A> LIST \"\" *\n"
		"A< * LIST (\\HasNoChildren) \"/\" INBOX\n"
		"A< * LIST (\\HasNoChildren \\Sent) \"/\" Out\n"
		"A< $ OK ..\n"
		"A> LSUB \"\" *\n"
		"A< * LSUB () \"/\" INBOX\n"
		"A< * LSUB () \"/\" a/b\n"
		"A< $ OK ..\n",
		NEEDS_DISK },
	{ 0 },
};
