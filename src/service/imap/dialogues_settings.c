/* SPDX-License-Identifier: Apache-2.0 */
/* What the settings of protocol imap change. Sessions keep the settings they began with. */
#include "service/imap/dialogue.h"

#define MAIL "<<Subject: x||x|>>"

const struct dialogue dialogues_settings[] = {
	{ "sheet core §4.6: imap_capability takes away and adds",
		"!reload imap_capability {|QRESYNC = no|X-MORE = yes|}\n"
		"A> CAPABILITY\n"
		"A< * CAPABILITY IMAP4rev1 ..CONDSTORE ESEARCH .. LITERAL+ X-MORE\n"
		"A< $ OK Capability completed.\n" },
	{ "interface: a reload leaves the sessions that are here as they were",
		"A> NOOP\n"
		"A< $ OK ..\n"
		"!reload imap_capability {|X-MORE = yes|}\n"
		"B> CAPABILITY\n"
		"B< * CAPABILITY .. X-MORE\n"
		"B< $ OK ..\n"
		"A> CAPABILITY\n"
		"A< * CAPABILITY .. LITERAL+\n"
		"A< $ OK ..\n" },
	{ "RFC 7888 §5: LITERAL- takes 4096 bytes unasked, no more",
		"!reload imap_literal_minus = yes\n"
		"A> CAPABILITY\n"
		"A< * CAPABILITY .. LITERAL-\n"
		"A< $ OK ..\n"
		"A> SEARCH <<@64>>\n"
		"A< $ BAD ..No mailbox selected.\n"
		"A> SEARCH <<@65>>\n"
		"A< $ BAD ..Non-synchronizing literal is too large.\n"
		"A> APPEND INBOX <<@64>>\n"
		"A< $ OK ..\n"
		"A! x APPEND INBOX {5000+}\n"
		"A< * BYE [TOOBIG] ..\n"
		"A< EOF\n" },
	{ "sheet §4.29: imap_max_line_length", "!reload imap_max_line_length = 2k\n"
					       "A> SEARCH <<@40>>\n"
					       "A< $ BAD ..Too long argument.\n"
					       "A> SEARCH <<@20>>\n"
					       "A< $ BAD ..No mailbox selected.\n" },
	{ "sheet §15: tb-extra-mailbox-sep takes a separator at the end of any name",
		"A> STATUS INBOX/ (MESSAGES)\n"
		"A< $ NO ..\n"
		"!reload imap_client_workarounds = tb-extra-mailbox-sep\n"
		"B> STATUS INBOX/ (MESSAGES)\n"
		"B< * STATUS INBOX (MESSAGES 0)\n"
		"B< $ OK ..\n"
		"B> APPEND INBOX/ " MAIL "\n"
		"B< $ OK ..\n"
		"B> CREATE a\n"
		"B< $ OK ..\n"
		"B> RENAME a/ b/\n"
		"B< $ OK ..\n"
		"B> SELECT INBOX/\n"
		"B* $ OK [READ-WRITE] ..\n"
		"B> COPY 1 b/\n"
		"B< $ OK ..\n"
		"B> DELETE b/\n"
		"B< $ OK ..\n" },
	{ "sheet §15: tb-lsub-flags tells what cannot be selected",
		"A> CREATE a/b\n"
		"A< $ OK ..\n"
		"A> SUBSCRIBE a\n"
		"A< $ OK ..\n"
		"A> LSUB \"\" a\n"
		"A< * LSUB () \"/\" a\n"
		"A< $ OK ..\n"
		"!reload imap_client_workarounds = tb-lsub-flags\n"
		"B> LSUB \"\" a\n"
		"B< * LSUB (\\Noselect) \"/\" a\n"
		"B< $ OK ..\n" },
	{ "sheet §15: delay-newmail tells new mails at NOOP and CHECK alone",
		"!reload imap_client_workarounds = delay-newmail\n"
		"A> SELECT INBOX\n"
		"A* $ OK ..\n"
		"B> APPEND INBOX " MAIL "\n"
		"B< $ OK ..\n"
		"A> UID SEARCH ALL\n"
		"A< * SEARCH\n"
		"A< $ OK ..\n"
		"A> LIST \"\" nothing\n"
		"A< $ OK ..\n"
		"A> NOOP\n"
		"A< * 1 EXISTS\n"
		"A< * 1 RECENT\n"
		"A< $ OK ..\n"
		"B> APPEND INBOX " MAIL "\n"
		"B< $ OK ..\n"
		"A> UID FETCH 1 UID\n"
		"A< * 1 FETCH (UID 1)\n"
		"A< $ OK ..\n"
		"A> CHECK\n"
		"A< * 2 EXISTS\n"
		"A< * 2 RECENT\n"
		"A< $ OK ..\n" },
	{ "RFC 2971 §3.3: imap_id_send", "!reload imap_id_send {|name = x|version = 1|}\n"
					 "A> ID NIL\n"
					 "A< * ID (\"name\" \"x\" \"version\" \"1\")\n"
					 "A< $ OK ID completed.\n" },
	{ "RFC 2177 §3: imap_idle_notify_interval",
		"!reload imap_idle_notify_interval = 10 s\n"
		"A> IDLE\n"
		"A< + idling\n"
		"!wait 25\n"
		"A< * OK Still here\n"
		"A< * OK Still here\n"
		"A! DONE\n"
		"A< $ OK Idle completed.\n",
		NEEDS_VIRTUAL_TIME },
	{ 0 },
};
