/* SPDX-License-Identifier: Apache-2.0 */
/* SEARCH: what a program means is tested in search_match_test.c; here is what is answered. */
#include "service/imap/dialogue.h"

/* Three mails in INBOX, which client A has selected; UIDs 2 to 4. */
#define THREE_MAILS                                                                                \
	"A> APPEND INBOX (\\Deleted \\Seen) <<Subject: gone||x|>>\n"                               \
	"A< $ OK [APPENDUID .. 1] Append completed.\n"                                             \
	"A> APPEND INBOX (\\Seen) <<Subject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?=||alpha|>> (\\Seen "       \
	"$Work) <<Subject: two|X-Tag: yes||beta|>> (\\Seen \\Flagged) <<Subject: "                 \
	"three||gamma|>>\n"                                                                        \
	"A< $ OK [APPENDUID .. 2:4] Append completed.\n"                                           \
	"A> SELECT INBOX\n"                                                                        \
	"A< * FLAGS (..)\n"                                                                        \
	"A< * OK [PERMANENTFLAGS (..)] ..\n"                                                       \
	"A< * 4 EXISTS\n"                                                                          \
	"A< * 4 RECENT\n"                                                                          \
	"A< * OK [UIDVALIDITY ..] UIDs valid\n"                                                    \
	"A< * OK [UIDNEXT 5] Predicted next UID\nA< * OK [HIGHESTMODSEQ ..\nA< * OK [MAILBOXID "   \
	"..\n"                                                                                     \
	"A< $ OK [READ-WRITE] Select completed.\n"                                                 \
	"A> EXPUNGE\n"                                                                             \
	"A< * 1 EXPUNGE\n"                                                                         \
	"A< $ OK Expunge completed.\n"

const struct dialogue dialogues_finding[] = {
	{ "RFC 3501 §6.4.4: numbers, or UIDs in the UID form",
		THREE_MAILS "A> SEARCH ALL\n"
			    "A< * SEARCH 1 2 3\n"
			    "A< $ OK Search completed.\n"
			    "A> UID SEARCH ALL\n"
			    "A< * SEARCH 2 3 4\n"
			    "A< $ OK Search completed.\n"
			    "A> SEARCH UID 3:* FLAGGED\n"
			    "A< * SEARCH 3\n"
			    "A< $ OK Search completed.\n"
			    "A> UID SEARCH 2:* NOT FLAGGED\n"
			    "A< * SEARCH 3\n"
			    "A< $ OK Search completed.\n"
			    "A> SEARCH UID 100:*\n"
			    "A< * SEARCH 3\n"
			    "A< $ OK Search completed.\n"
			    "A> SEARCH DELETED\n"
			    "A< * SEARCH\n"
			    "A< $ OK Search completed.\n" },
	{ "RFC 3501 §6.4.4: text of headers and bodies",
		THREE_MAILS "A> SEARCH CHARSET UTF-8 SUBJECT <<GRÜSSE>>\n"
			    "A< * SEARCH 1\n"
			    "A< $ OK Search completed.\n"
			    "A> SEARCH OR BODY BETA HEADER X-Nothing \"\"\n"
			    "A< * SEARCH 2\n"
			    "A< $ OK Search completed.\n"
			    "A> SEARCH HEADER X-Tag \"\"\n"
			    "A< * SEARCH 2\n"
			    "A< $ OK Search completed.\n"
			    "A> SEARCH TEXT three\n"
			    "A< * SEARCH 3\n"
			    "A< $ OK Search completed.\n"
			    "A> SEARCH KEYWORD $work\n"
			    "A< * SEARCH 2\n"
			    "A< $ OK Search completed.\n" },
	{ "RFC 4731 §3.1: RETURN", THREE_MAILS "A> SEARCH RETURN (MIN MAX COUNT ALL) ALL\n"
					       "A< * ESEARCH (TAG ..) MIN 1 MAX 3 ALL 1:3 COUNT 3\n"
					       "A< $ OK Search completed.\n"
					       "A> UID SEARCH RETURN () UNFLAGGED\n"
					       "A< * ESEARCH (TAG ..) UID ALL 2:3\n"
					       "A< $ OK Search completed.\n"
					       "A> UID SEARCH RETURN (MIN) ALL\n"
					       "A< * ESEARCH (TAG ..) UID MIN 2\n"
					       "A< $ OK Search completed.\n"
					       "A> SEARCH RETURN (MIN COUNT) DRAFT\n"
					       "A< * ESEARCH (TAG ..) COUNT 0\n"
					       "A< $ OK Search completed.\n"
					       "A> SEARCH RETURN (NONSENSE) ALL\n"
					       "A< $ BAD Error in IMAP command SEARCH: ..\n" },
	{ "RFC 3501 §6.4.4: an unknown charset is told",
		THREE_MAILS "A> SEARCH CHARSET X-NONSENSE SUBJECT a\n"
			    "A< $ NO [BADCHARSET (US-ASCII UTF-8)] Unknown charset.\n" },
	{ "RFC 3501 §6.4.4: nonsense", THREE_MAILS "A> SEARCH\n"
						   "A< $ BAD Error in IMAP command SEARCH: ..\n"
						   "A> SEARCH NONSENSE\n"
						   "A< $ BAD Error in IMAP command SEARCH: ..\n"
						   "A> SEARCH (SEEN\n"
						   "A< $ BAD Error in IMAP command SEARCH: ..\n"
						   "A> SEARCH 0\n"
						   "A< $ BAD Error in IMAP command SEARCH: ..\n" },
	{ "RFC 3501 §6.4.4: an empty mailbox", "A> EXAMINE INBOX\n"
					       "A< * FLAGS (..)\n"
					       "A< * OK [PERMANENTFLAGS ()] ..\n"
					       "A< * 0 EXISTS\n"
					       "A< * 0 RECENT\n"
					       "A< * OK [UIDVALIDITY ..] UIDs valid\n"
					       "A< * OK [UIDNEXT 1] Predicted next UID\nA< * OK "
					       "[HIGHESTMODSEQ ..\nA< * OK [MAILBOXID ..\n"
					       "A< $ OK [READ-ONLY] Examine completed.\n"
					       "A> SEARCH ALL\n"
					       "A< * SEARCH\n"
					       "A< $ OK Search completed.\n"
					       "A> UID SEARCH RETURN (ALL COUNT) 1:*\n"
					       "A< * ESEARCH (TAG ..) UID COUNT 0\n"
					       "A< $ OK Search completed.\n" },
	{ NULL },
};
